//! Who may do what to an inode. The task that asks is a [`Subject`], which the
//! task room's credentials are.

use alloc::sync::Arc;

use linux_raw_sys::general::{S_ISVTX, S_IXGRP};

use super::capability::Cap;
use super::hooks;
use super::inode::Inode;
use crate::errno::{Errno, Result};

/// To execute a file, or to search a directory.
pub const EXEC: u32 = 1;
/// To write a file, or to change a directory's names.
pub const WRITE: u32 = 2;
/// To read a file, or to list a directory.
pub const READ: u32 = 4;

/// Whose an inode is: user and group.
pub type Owner = (u32, u32);

/// Who asks. Ids are those of the first user namespace, except where a
/// function says otherwise.
pub trait Subject: Send + Sync {
    /// The file-system user id.
    fn user_id(&self) -> u32;
    /// The file-system group id.
    fn group_id(&self) -> u32;
    /// True if that group is the subject's, or among its further groups.
    fn is_in(&self, gid: u32) -> bool;
    /// True if it has a capability over everything.
    fn capable(&self, cap: Cap) -> bool;
    /// True if it has a capability over what belongs to `owner`: both ids must
    /// mean something in its user namespace.
    fn capable_over(&self, cap: Cap, owner: Owner) -> bool;
    /// A user id as the subject's namespace shows it.
    fn shown_uid(&self, uid: u32) -> u32;
    /// A group id as the subject's namespace shows it.
    fn shown_gid(&self, gid: u32) -> u32;
    /// The user id that a number means to the subject, if it means any.
    fn meant_uid(&self, uid: u32) -> Option<u32>;
    /// The group id that a number means to the subject, if it means any.
    fn meant_gid(&self, gid: u32) -> Option<u32>;
}

/// The kernel itself, before there are tasks: it may do everything.
struct Kernel;

impl Subject for Kernel {
    fn user_id(&self) -> u32 {
        0
    }

    fn group_id(&self) -> u32 {
        0
    }

    fn is_in(&self, gid: u32) -> bool {
        gid == 0
    }

    fn capable(&self, _: Cap) -> bool {
        true
    }

    fn capable_over(&self, _: Cap, _: Owner) -> bool {
        true
    }

    fn shown_uid(&self, uid: u32) -> u32 {
        uid
    }

    fn shown_gid(&self, gid: u32) -> u32 {
        gid
    }

    fn meant_uid(&self, uid: u32) -> Option<u32> {
        Some(uid)
    }

    fn meant_gid(&self, gid: u32) -> Option<u32> {
        Some(gid)
    }
}

/// Who runs.
pub fn subject() -> Arc<dyn Subject> {
    hooks::subject().unwrap_or_else(|| Arc::new(Kernel))
}

/// Whether the running task may do what `mask` says to an inode.
///
/// # Errors
/// `EACCES`.
pub fn permission(inode: &Inode, mask: u32) -> Result<()> {
    permission_of(&*subject(), inode, mask)
}

/// Whether `subject` may do what `mask` says to an inode.
///
/// # Errors
/// `EACCES`.
pub fn permission_of(subject: &dyn Subject, inode: &Inode, mask: u32) -> Result<()> {
    let (owner, mode) = (inode.owner(), inode.mode());
    let class = if subject.user_id() == owner.0 {
        mode >> 6
    } else if subject.is_in(owner.1) {
        mode >> 3
    } else {
        mode
    };
    if crate::mutant!("permission-ignored") || mask & 7 & !class == 0 {
        return Ok(());
    }
    if overrides(subject, inode, mask) {
        Ok(())
    } else {
        Err(Errno::EACCES)
    }
}

/// True if a capability makes up for permissions that are not there.
fn overrides(subject: &dyn Subject, inode: &Inode, mask: u32) -> bool {
    let capable = |cap| subject.capable_over(cap, inode.owner());
    let only_reads = if inode.is_directory() {
        mask & WRITE == 0
    } else {
        mask & 7 == READ
    };
    if only_reads && capable(Cap::DacReadSearch) {
        return true;
    }
    // Not even root executes what nobody may.
    let executable = mask & EXEC == 0 || inode.is_directory() || inode.is_executable();
    executable && capable(Cap::DacOverride)
}

/// Whether the running task may enter a name into a directory.
///
/// # Errors
/// `EACCES`.
pub fn may_create(directory: &Inode) -> Result<()> {
    permission(directory, WRITE | EXEC)
}

/// Whether the running task may take the name of `victim` out of a directory.
///
/// # Errors
/// `EACCES`; `EPERM` in a sticky directory, for what is somebody else's.
pub fn may_delete(directory: &Inode, victim: &Inode) -> Result<()> {
    permission(directory, WRITE | EXEC)?;
    if directory.mode() & S_ISVTX == 0 {
        return Ok(());
    }
    let subject = subject();
    let own = [victim.owner().0, directory.owner().0].contains(&subject.user_id());
    if own || subject.capable_over(Cap::Fowner, victim.owner()) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// Whether the running task may treat an inode as its own: change its
/// permissions, set its times.
///
/// # Errors
/// `EPERM`.
pub fn owns(inode: &Inode) -> Result<()> {
    let (subject, owner) = (subject(), inode.owner());
    if subject.user_id() == owner.0 || subject.capable_over(Cap::Fowner, owner) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// Whether the running task may give an inode to another owner; `None` leaves
/// an id as it is.
///
/// # Errors
/// `EPERM`.
pub fn may_chown(inode: &Inode, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    let (subject, owner) = (subject(), inode.owner());
    let mine = subject.user_id() == owner.0;
    let keeps_user = uid.is_none_or(|uid| mine && uid == owner.0);
    let keeps_group = gid.is_none_or(|gid| mine && (gid == owner.1 || subject.is_in(gid)));
    if keeps_user && keeps_group || subject.capable_over(Cap::Chown, owner) {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}

/// The permissions that the running task gives an inode when it asks for
/// `mode`: the set-group-id bit needs the group, or a capability.
pub fn allowed_mode(mode: u32, owner: Owner) -> u32 {
    use linux_raw_sys::general::S_ISGID;
    let subject = subject();
    if subject.is_in(owner.1) || subject.capable_over(Cap::Fsetid, owner) {
        mode
    } else {
        mode & !S_ISGID
    }
}

/// What is left of a file's permissions when somebody writes to it or gives it
/// to another owner: the set-id bits go, unless the writer may set them.
pub fn mode_after_change(mode: u32, owner: Owner) -> u32 {
    use linux_raw_sys::general::{S_ISGID, S_ISUID};
    if subject().capable_over(Cap::Fsetid, owner) {
        return mode;
    }
    let group = if mode & S_IXGRP != 0 { S_ISGID } else { 0 };
    mode & !(S_ISUID | group)
}
