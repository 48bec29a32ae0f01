//! The namespaces of a context: what the machine's names mean to a task. Tasks
//! share the set by reference; one with a namespace of its own has a set of its
//! own. (The user namespace belongs to the credentials, as on Linux.)

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use linux_raw_sys::general as linux;

use super::credentials::{Cap, Credentials};
use super::ipc::IpcNamespace;
use super::mount_namespace::MountNamespace;
use super::pid_namespace::{self, PidNamespace};
use super::user_namespace::UserNamespace;
use super::uts::UtsNamespace;
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::fs::MountTree;
use crate::mm::frame;

/// The numbers under which /proc shows the namespaces of boot.
pub const FIRST_USER: u64 = 0xEFFF_FFFD;
/// See [`FIRST_USER`].
pub const FIRST_UTS: u64 = 0xEFFF_FFFE;
/// See [`FIRST_USER`].
pub const FIRST_IPC: u64 = 0xEFFF_FFFF;
/// See [`FIRST_USER`].
pub const FIRST_MOUNT: u64 = 0xEFFF_FFF8;

/// A number for a new namespace.
pub fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0xF000_0000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Flags that ask for a namespace that lies in here.
const NEW: u32 = linux::CLONE_NEWUTS
    | linux::CLONE_NEWIPC
    | linux::CLONE_NEWPID
    // The mounts are copied with a working directory, in `mount_namespace`.
    | linux::CLONE_NEWNS
    // No control groups: asking is a privilege, and nothing comes of it.
    | linux::CLONE_NEWCGROUP;

/// One namespace of each kind.
#[derive(Clone)]
pub struct Namespaces {
    /// The host's name.
    pub uts: Arc<UtsNamespace>,
    /// System V semaphores and their like.
    pub ipc: Arc<IpcNamespace>,
    /// Where children get their numbers.
    pub pid: Arc<PidNamespace>,
    /// Which file systems are seen where.
    pub mount: Arc<MountNamespace>,
    _counted: Counted,
}

impl Namespaces {
    /// Those of boot.
    #[must_use]
    pub fn first(mounts: Arc<MountTree>) -> Self {
        let user = UserNamespace::first();
        Namespaces {
            uts: Arc::new(UtsNamespace::first(user.clone())),
            ipc: Arc::new(IpcNamespace::new(FIRST_IPC, user.clone())),
            mount: Arc::new(MountNamespace::first(mounts, user)),
            pid: pid_namespace::first().clone(),
            _counted: Counted::new(Type::Namespaces),
        }
    }

    /// What a task gets that asks with CLONE_NEW* flags, as `credentials`: the
    /// same set if it asks for nothing. `own` is the PID namespace that it is
    /// in itself.
    ///
    /// # Errors
    /// `EPERM` without CAP_SYS_ADMIN; `EINVAL` and `ENOSPC` for a PID namespace
    /// that cannot be; `ENOMEM`.
    pub fn derive(
        self: &Arc<Self>,
        flags: u64,
        credentials: &Credentials,
        own: &Arc<PidNamespace>,
    ) -> Result<Arc<Self>> {
        let wants = |flag: u32| flags & u64::from(flag) != 0;
        if !wants(NEW) {
            return Ok(self.clone());
        }
        if !credentials.capable_here(Cap::SysAdmin) {
            return Err(Errno::EPERM);
        }
        frame::room()?;
        let mut new = Namespaces::clone(self);
        if wants(linux::CLONE_NEWUTS) && !crate::mutant!("new-uts-shares") {
            new.uts = Arc::new(self.uts.copy(credentials.user.clone()));
        }
        if wants(linux::CLONE_NEWIPC) && !crate::mutant!("new-ipc-shares") {
            let ipc = IpcNamespace::new(next_number(), credentials.user.clone());
            new.ipc = Arc::new(ipc);
        }
        if wants(linux::CLONE_NEWPID) && !crate::mutant!("new-pid-shares") {
            if !Arc::ptr_eq(&self.pid, own) {
                return Err(Errno::EINVAL);
            }
            new.pid = PidNamespace::inside(own, credentials.user.clone())?;
        }
        Ok(Arc::new(new))
    }
}
