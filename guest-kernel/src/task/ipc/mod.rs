//! System V's ways of speaking to each other, and the namespaces they live in.
//!
//! | file | what |
//! |---|---|
//! | `permission` | who owns an object, and who may use it |
//! | `registry` | keys and ids |
//! | `semaphores` | semaphore sets: operations, all or none, and who waits for them |
//! | `undo` | what a task takes back at its end: the part that CLONE_SYSVSEM shares |
//! | `control` | semctl |
//! | `segments` | shared memory with a key |

pub mod control;
pub mod permission;
pub mod registry;
pub mod segments;
pub mod semaphores;
pub mod undo;

use alloc::sync::Arc;

use super::user_namespace::UserNamespace;
use crate::count::{Counted, Type};
use crate::sync::SpinLock;
use registry::Registry;
use segments::Segment;
use semaphores::Set;

/// A group's number as the running task sees it; 0 if it does not, or cannot be
/// told any more.
#[must_use]
pub fn shown_group(tgid: u32) -> u32 {
    let me = super::current();
    if me.pid().namespace().level() == 0 {
        return tgid;
    }
    let group = super::TREE.lock().task(tgid);
    group.map_or(0, |task| task.number_for(&me))
}

/// An IPC namespace.
pub struct IpcNamespace {
    _counted: Counted,
    number: u64,
    user: Arc<UserNamespace>,
    /// Its semaphore sets.
    pub semaphores: SpinLock<Registry<Set>>,
    /// Its segments of shared memory.
    pub segments: SpinLock<Registry<Segment>>,
}

impl IpcNamespace {
    /// An empty one.
    pub(super) fn new(number: u64, user: Arc<UserNamespace>) -> Self {
        IpcNamespace {
            _counted: Counted::new(Type::IpcNamespace),
            number,
            user,
            semaphores: SpinLock::new(Registry::new()),
            segments: SpinLock::new(Registry::new()),
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
}
