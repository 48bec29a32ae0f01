//! Thread groups: what tasks with one TGID have in common.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::pid::Pid;
use crate::count::{Counted, Type};
use crate::mm::space::STACK_LIMIT;
use crate::sched::{CpuClock, TaskId, Usage, WaitQueue};
use crate::signal::GroupSignals;
use crate::sync::SpinLock;

use super::timers::Timers;

/// Resources that have limits.
pub const LIMITS: usize = 16;
/// RLIMIT_CPU.
pub const LIMIT_CPU: usize = 0;
/// RLIMIT_STACK.
const LIMIT_STACK: usize = 3;
/// RLIMIT_CORE.
const LIMIT_CORE: usize = 4;
/// RLIMIT_NPROC.
pub(super) const LIMIT_NPROC: usize = 6;
/// RLIMIT_MEMLOCK.
pub const LIMIT_MEMLOCK: usize = 8;
/// RLIMIT_NOFILE.
pub const LIMIT_NOFILE: usize = 7;

/// RLIMIT_NICE.
pub const LIMIT_NICE: usize = 13;
/// RLIMIT_RTPRIO.
pub const LIMIT_RTPRIO: usize = 14;
/// RLIMIT_SIGPENDING.
pub const LIMIT_SIGPENDING: usize = 11;
/// How many signals may be queued for one user at first.
const SIGNALS_QUEUED: u64 = 1024;

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
    /// The numbers of its leader, and so its own.
    pid: Arc<Pid>,
    /// Signals sent to the group.
    pub signals: SpinLock<GroupSignals>,
    pub(super) ending: SpinLock<Ending>,
    limits: SpinLock<[Limit; LIMITS]>,
    process_group: SpinLock<Arc<Pid>>,
    session: SpinLock<Arc<Pid>>,
    /// Its leader is number 1 of a PID namespace.
    init: AtomicBool,
    /// It gets the orphans among its descendants.
    child_subreaper: AtomicBool,
    /// How often it has run another program, it and those it comes from.
    execs: AtomicU32,
    /// It has run another program itself.
    has_execed: AtomicBool,
    /// Tasks of this group that wait for a child.
    pub children: WaitQueue,
    /// What all of its tasks have used, those included that are gone.
    pub clock: Arc<CpuClock>,
    /// What the children used that were waited for, theirs included.
    pub reaped: SpinLock<Usage>,
    /// Its interval timers and POSIX timers.
    pub(super) timers: SpinLock<Timers>,
    /// The task that wants to be alone, and whoever waits for the group.
    pub(super) shrunk: WaitQueue,
}

impl Group {
    /// The first group, of the idle task.
    pub(super) fn first(pid: Arc<Pid>) -> Self {
        let mut limits = [(u64::MAX, u64::MAX); LIMITS];
        limits[LIMIT_STACK] = (STACK_LIMIT, u64::MAX);
        limits[LIMIT_CORE] = (0, u64::MAX);
        limits[LIMIT_NOFILE] = (1024, 4096);
        limits[LIMIT_NICE] = (0, 0);
        limits[LIMIT_RTPRIO] = (0, 0);
        limits[LIMIT_SIGPENDING] = (SIGNALS_QUEUED, SIGNALS_QUEUED);
        Group::with(pid.clone(), limits, pid.clone(), pid)
    }

    /// A new group, in the same process group and session and with the same
    /// limits.
    pub(super) fn child(&self, pid: Arc<Pid>) -> Self {
        let limits = *self.limits.lock();
        let process_group = self.process_group.lock().clone();
        let session = self.session.lock().clone();
        let child = Group::with(pid, limits, process_group, session);
        child.execs.store(self.execs(), Ordering::Relaxed);
        child
    }

    fn with(
        pid: Arc<Pid>,
        limits: [Limit; LIMITS],
        process_group: Arc<Pid>,
        session: Arc<Pid>,
    ) -> Self {
        let clock = Arc::new(CpuClock::new(None));
        let (cpu, _) = limits[LIMIT_CPU];
        if cpu != u64::MAX {
            clock.set_alarm(Some(cpu.saturating_mul(1_000_000_000)));
        }
        Group {
            _counted: Counted::new(Type::Group),
            pid,
            signals: SpinLock::new(GroupSignals::default()),
            ending: SpinLock::new(Ending::default()),
            limits: SpinLock::new(limits),
            process_group: SpinLock::new(process_group),
            session: SpinLock::new(session),
            init: AtomicBool::new(false),
            child_subreaper: AtomicBool::new(false),
            execs: AtomicU32::new(0),
            has_execed: AtomicBool::new(false),
            children: WaitQueue::new(),
            clock,
            reaped: SpinLock::new(Usage::default()),
            timers: SpinLock::new(Timers::default()),
            shrunk: WaitQueue::new(),
        }
    }

    /// Its number: that of its leader.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.pid.id()
    }

    /// Its numbers: those of its leader.
    #[must_use]
    pub fn pid(&self) -> &Arc<Pid> {
        &self.pid
    }

    /// Its process group.
    #[must_use]
    pub fn process_group(&self) -> u32 {
        self.process_group.lock().id().0
    }

    /// The numbers of its process group.
    #[must_use]
    pub fn process_group_pid(&self) -> Arc<Pid> {
        self.process_group.lock().clone()
    }

    /// Its session.
    #[must_use]
    pub fn session(&self) -> u32 {
        self.session.lock().id().0
    }

    /// The numbers of its session.
    #[must_use]
    pub fn session_pid(&self) -> Arc<Pid> {
        self.session.lock().clone()
    }

    /// Puts it into a process group.
    pub fn set_process_group(&self, pid: Arc<Pid>) {
        let before = core::mem::replace(&mut *self.process_group.lock(), pid);
        drop(before);
    }

    /// Makes it the leader of a session and process group of its own.
    pub fn lead_session(&self) {
        let before = core::mem::replace(&mut *self.session.lock(), self.pid.clone());
        drop(before);
        self.set_process_group(self.pid.clone());
    }

    /// True if it leads its session.
    #[must_use]
    pub fn leads_session(&self) -> bool {
        self.session() == self.id().0
    }

    /// True if its leader is number 1 of a PID namespace.
    #[must_use]
    pub fn is_init(&self) -> bool {
        self.init.load(Ordering::Relaxed)
    }

    /// Makes it the first of a PID namespace.
    pub(super) fn set_init(&self) {
        self.init.store(true, Ordering::Relaxed);
    }

    /// How often it has run another program, it and those it comes from.
    #[must_use]
    pub(super) fn execs(&self) -> u32 {
        self.execs.load(Ordering::Relaxed)
    }

    /// True if it has run another program since it was made.
    #[must_use]
    pub fn has_execed(&self) -> bool {
        self.has_execed.load(Ordering::Relaxed)
    }

    /// It runs another program.
    pub(super) fn execed(&self) {
        self.execs.fetch_add(1, Ordering::Relaxed);
        self.has_execed.store(true, Ordering::Relaxed);
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
