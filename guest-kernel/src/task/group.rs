//! Thread groups: what tasks with one TGID have in common.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::count::{Counted, Type};
use crate::mm::space::STACK_LIMIT;
use crate::sched::{TaskId, WaitQueue};
use crate::signal::GroupSignals;
use crate::sync::SpinLock;

/// Resources that have limits.
pub const LIMITS: usize = 16;
/// RLIMIT_STACK.
const LIMIT_STACK: usize = 3;
/// RLIMIT_CORE.
const LIMIT_CORE: usize = 4;
/// RLIMIT_NOFILE.
pub const LIMIT_NOFILE: usize = 7;

/// A soft and a hard limit.
pub type Limit = (u64, u64);

/// How a group ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    /// The wait status that every task of the group is to end with.
    pub status: Option<i32>,
    /// The task that runs another program and wants to be alone.
    pub exec: Option<TaskId>,
}

/// A thread group.
pub struct Group {
    _counted: Counted,
    id: TaskId,
    /// Signals sent to the group.
    pub signals: SpinLock<GroupSignals>,
    pub(super) ending: SpinLock<Ending>,
    limits: SpinLock<[Limit; LIMITS]>,
    process_group: AtomicU32,
    session: AtomicU32,
    /// It gets the orphans among its descendants.
    child_subreaper: AtomicBool,
    /// Tasks of this group that wait for a child.
    pub children: WaitQueue,
    /// The task that wants to be alone, and whoever waits for the group.
    pub(super) shrunk: WaitQueue,
}

impl Group {
    /// The first group, of the idle task.
    pub(super) fn first() -> Self {
        let mut limits = [(u64::MAX, u64::MAX); LIMITS];
        limits[LIMIT_STACK] = (STACK_LIMIT, u64::MAX);
        limits[LIMIT_CORE] = (0, u64::MAX);
        limits[LIMIT_NOFILE] = (1024, 4096);
        Group::with(TaskId::IDLE, limits, 0, 0)
    }

    /// A new group, in the same process group and session and with the same
    /// limits.
    pub(super) fn child(&self, id: TaskId) -> Self {
        let limits = *self.limits.lock();
        Group::with(id, limits, self.process_group(), self.session())
    }

    fn with(id: TaskId, limits: [Limit; LIMITS], process_group: u32, session: u32) -> Self {
        Group {
            _counted: Counted::new(Type::Group),
            id,
            signals: SpinLock::new(GroupSignals::default()),
            ending: SpinLock::new(Ending::default()),
            limits: SpinLock::new(limits),
            process_group: AtomicU32::new(process_group),
            session: AtomicU32::new(session),
            child_subreaper: AtomicBool::new(false),
            children: WaitQueue::new(),
            shrunk: WaitQueue::new(),
        }
    }

    /// Its number: that of its leader.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Its process group.
    #[must_use]
    pub fn process_group(&self) -> u32 {
        self.process_group.load(Ordering::Relaxed)
    }

    /// Its session.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.session.load(Ordering::Relaxed)
    }

    /// Puts it into a process group.
    pub fn set_process_group(&self, id: u32) {
        self.process_group.store(id, Ordering::Relaxed);
    }

    /// Makes it the leader of a session and process group of its own.
    pub fn lead_session(&self) {
        self.session.store(self.id.0, Ordering::Relaxed);
        self.set_process_group(self.id.0);
    }

    /// True if it gets the orphans among its descendants.
    #[must_use]
    pub fn is_child_subreaper(&self) -> bool {
        self.child_subreaper.load(Ordering::Relaxed)
    }

    /// Says whether it gets the orphans among its descendants.
    pub fn set_child_subreaper(&self, value: bool) {
        self.child_subreaper.store(value, Ordering::Relaxed);
    }

    /// A limit. Resources that nobody knows are unlimited.
    #[must_use]
    pub fn limit(&self, resource: usize) -> Limit {
        let limits = self.limits.lock();
        limits
            .get(resource)
            .copied()
            .unwrap_or((u64::MAX, u64::MAX))
    }

    /// Sets a limit.
    pub fn set_limit(&self, resource: usize, limit: Limit) {
        if let Some(slot) = self.limits.lock().get_mut(resource) {
            *slot = limit;
        }
    }

    /// The status with which every task of the group is to end, if it ends.
    #[must_use]
    pub fn ending(&self) -> Option<i32> {
        self.ending.lock().status
    }

    /// True if `task` is to die: the group ends, or another task of it runs a
    /// new program.
    #[must_use]
    pub fn condemns(&self, task: TaskId) -> bool {
        let ending = self.ending.lock();
        ending.status.is_some() || ending.exec.is_some_and(|exec| exec != task)
    }
}
