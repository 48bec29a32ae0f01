//! Mount namespaces: which file systems a task sees where. The trees of mounts
//! are the file room's; whose they are is said here.

use alloc::sync::Arc;

use super::credentials::{Cap, Credentials};
use super::namespaces::{self, Namespaces};
use super::tree::TREE;
use super::user_namespace::UserNamespace;
use super::{Fs, Task};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::fs::{MountTree, Place};
use crate::mm::frame;

/// A mount namespace.
pub struct MountNamespace {
    _counted: Counted,
    number: u64,
    /// Whose root may mount.
    user: Arc<UserNamespace>,
    tree: Arc<MountTree>,
}

impl MountNamespace {
    /// The one of boot.
    pub(super) fn first(tree: Arc<MountTree>, user: Arc<UserNamespace>) -> Self {
        MountNamespace {
            _counted: Counted::new(Type::MountNamespace),
            number: namespaces::FIRST_MOUNT,
            user,
            tree,
        }
    }

    /// Its number, as /proc shows it.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The user namespace that it belongs to.
    #[must_use]
    pub fn user(&self) -> &Arc<UserNamespace> {
        &self.user
    }

    /// The mounts.
    #[must_use]
    pub fn tree(&self) -> &Arc<MountTree> {
        &self.tree
    }
}

/// A set of namespaces with a copy of the mounts; `fs`, whose only users are
/// those that get the set, moves over to the copies.
///
/// # Errors
/// `ENOMEM`.
pub fn begin(old: &Arc<Namespaces>, fs: &Fs, credentials: &Credentials) -> Result<Arc<Namespaces>> {
    if crate::mutant!("new-mounts-shared") {
        return Ok(old.clone());
    }
    frame::room()?;
    let mut context = fs.lock().clone();
    let tree = old.mount.tree.copy(&mut context)?;
    let before = core::mem::replace(&mut *fs.lock(), context);
    drop(before);
    let mut new = Namespaces::clone(old);
    new.mount = Arc::new(MountNamespace {
        _counted: Counted::new(Type::MountNamespace),
        number: namespaces::next_number(),
        user: credentials.user.clone(),
        tree,
    });
    Ok(Arc::new(new))
}

/// Moves a task's root and working directory to the root of a namespace that
/// it enters.
///
/// # Errors
/// `EINVAL` if other tasks share the working directory; `EPERM` without
/// CAP_SYS_ADMIN over the namespace, and CAP_SYS_CHROOT and CAP_SYS_ADMIN in
/// the task's own.
pub fn enter(task: &Task, namespace: &MountNamespace) -> Result<()> {
    let credentials = task.credentials();
    let allowed = credentials.capable_in(&namespace.user, Cap::SysAdmin)
        && credentials.capable_here(Cap::SysChroot)
        && credentials.capable_here(Cap::SysAdmin);
    if !allowed {
        return Err(Errno::EPERM);
    }
    let fs = task.fs();
    // One reference is the task's own, one is this function's.
    if Arc::strong_count(&fs) > 2 {
        return Err(Errno::EINVAL);
    }
    let root = Place::root_of(namespace.tree.root()).uncovered();
    let mut context = fs.lock().clone();
    context.root = root.clone();
    context.cwd = root;
    let before = core::mem::replace(&mut *fs.lock(), context);
    drop(before);
    Ok(())
}

/// Every task whose root or working directory is `old` gets `new` instead.
pub fn move_roots(old: &Place, new: &Place) {
    let mut at = 0;
    loop {
        let next = TREE.lock().next(at);
        let Some((pid, task)) = next else {
            break;
        };
        at = pid;
        let Some(fs) = task.context.lock().fs.clone() else {
            continue;
        };
        let mut context = fs.lock().clone();
        for place in [&mut context.root, &mut context.cwd] {
            if place.is(old) {
                *place = new.clone();
            }
        }
        let before = core::mem::replace(&mut *fs.lock(), context);
        drop(before);
    }
}
