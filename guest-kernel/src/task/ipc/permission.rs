//! Owners and permissions of System V objects.

use core::sync::atomic::{AtomicI32, Ordering};

use super::IpcNamespace;
use crate::errno::{Errno, Result};
use crate::sync::SpinLock;
use crate::task::credentials::{Cap, Credentials};

/// The permission to read, for everybody's class at once.
pub const READ: u32 = 0o444;
/// The permission to execute.
pub const EXEC: u32 = 0o111;
/// The permission to change.
pub const ALTER: u32 = 0o222;

/// Whose an object is.
#[derive(Clone, Copy, Debug)]
pub struct Owners {
    /// The owner.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// Who made it.
    pub creator: u32,
    /// The group of who made it.
    pub creator_group: u32,
    /// Permissions.
    pub mode: u32,
}

/// What every object has: a key, a number behind its id, owners.
pub struct Permission {
    key: AtomicI32,
    owners: SpinLock<Owners>,
}

impl Permission {
    /// For a new object of `maker`.
    #[must_use]
    pub fn new(key: i32, mode: u32, maker: &Credentials) -> Self {
        Permission {
            key: AtomicI32::new(key),
            owners: SpinLock::new(Owners {
                uid: maker.euid,
                gid: maker.egid,
                creator: maker.euid,
                creator_group: maker.egid,
                mode: mode & 0o777,
            }),
        }
    }

    /// The key; 0 for an object that has none.
    #[must_use]
    pub fn key(&self) -> i32 {
        self.key.load(Ordering::Relaxed)
    }

    /// Nobody finds the object by its key any more.
    pub fn lose_key(&self) {
        self.key.store(0, Ordering::Relaxed);
    }

    /// Whose it is.
    #[must_use]
    pub fn owners(&self) -> Owners {
        *self.owners.lock()
    }

    /// Gives it to somebody else.
    pub fn set(&self, uid: u32, gid: u32, mode: u32) {
        let mut owners = self.owners.lock();
        owners.uid = uid;
        owners.gid = gid;
        owners.mode = owners.mode & !0o777 | mode & 0o777;
    }

    /// Whether somebody may do what `wanted` says, in any of its three classes.
    ///
    /// # Errors
    /// `EACCES`.
    pub fn check(&self, wanted: u32, who: &Credentials, namespace: &IpcNamespace) -> Result<()> {
        let owners = self.owners();
        let granted = if [owners.uid, owners.creator].contains(&who.euid) {
            owners.mode >> 6
        } else if who.is_in_group(owners.gid) || who.is_in_group(owners.creator_group) {
            owners.mode >> 3
        } else {
            owners.mode
        };
        let wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7;
        if crate::mutant!("semaphore-permission-ignored")
            || wanted & !granted == 0
            || who.capable_in(namespace.user(), Cap::IpcOwner)
        {
            Ok(())
        } else {
            Err(Errno::EACCES)
        }
    }

    /// Whether somebody may change or remove the object itself.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn check_owner(&self, who: &Credentials, namespace: &IpcNamespace) -> Result<()> {
        let owners = self.owners();
        let own = [owners.uid, owners.creator].contains(&who.euid);
        if own || who.capable_in(namespace.user(), Cap::SysAdmin) {
            Ok(())
        } else {
            Err(Errno::EPERM)
        }
    }
}
