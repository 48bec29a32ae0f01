//! What tasks and groups have used of the CPU.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use super::class::Attributes;
use crate::arch::clock;
use crate::sync::SpinLock;

/// CPU time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// In user mode.
    pub user: u64,
    /// In the kernel on the task's behalf.
    pub system: u64,
}

impl Times {
    /// Both.
    #[must_use]
    pub fn total(self) -> u64 {
        self.user + self.system
    }

    /// These and others.
    #[must_use]
    pub fn plus(self, other: Times) -> Times {
        Times {
            user: self.user + other.user,
            system: self.system + other.system,
        }
    }
}

/// Everything that is counted of a task, in a form to add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time.
    pub times: Times,
    /// Page faults that needed nothing read from outside: here all of them.
    pub faults: u64,
    /// Switches because the task slept.
    pub voluntary: u64,
    /// Switches because others were to run.
    pub involuntary: u64,
}

impl Usage {
    /// This and another.
    #[must_use]
    pub fn plus(self, other: Usage) -> Usage {
        Usage {
            times: self.times.plus(other.times),
            faults: self.faults + other.faults,
            voluntary: self.voluntary + other.voluntary,
            involuntary: self.involuntary + other.involuntary,
        }
    }
}

/// No alarm is set.
const NEVER: u64 = u64::MAX;

/// Counts what a task, or all tasks of a group together, have used.
pub struct CpuClock {
    /// In cycles, so that nothing is lost by rounding.
    user: AtomicU64,
    system: AtomicU64,
    faults: AtomicU64,
    voluntary: AtomicU64,
    involuntary: AtomicU64,
    /// The total, in nanoseconds, at which somebody has to look at the timers
    /// that run by this clock.
    alarm: AtomicU64,
    /// The group's clock, for a task's.
    group: Option<Arc<CpuClock>>,
}

impl CpuClock {
    /// A clock that has counted nothing; what it will count `group` counts too.
    #[must_use]
    pub const fn new(group: Option<Arc<CpuClock>>) -> Self {
        CpuClock {
            user: AtomicU64::new(0),
            system: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            voluntary: AtomicU64::new(0),
            involuntary: AtomicU64::new(0),
            alarm: AtomicU64::new(NEVER),
            group,
        }
    }

    /// The CPU time used so far. What runs right now is counted to this moment.
    #[must_use]
    pub fn times(&self) -> Times {
        super::account();
        Times {
            user: clock::from_cycles(self.user.load(Ordering::Relaxed)),
            system: clock::from_cycles(self.system.load(Ordering::Relaxed)),
        }
    }

    /// Everything counted so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            times: self.times(),
            faults: self.faults.load(Ordering::Relaxed),
            voluntary: self.voluntary.load(Ordering::Relaxed),
            involuntary: self.involuntary.load(Ordering::Relaxed),
        }
    }

    fn each(&self, work: impl Fn(&CpuClock)) {
        work(self);
        if let Some(group) = &self.group {
            work(group);
        }
    }

    /// Adds cycles.
    pub(super) fn charge(&self, user: u64, system: u64) {
        self.each(|clock| {
            clock.user.fetch_add(user, Ordering::Relaxed);
            clock.system.fetch_add(system, Ordering::Relaxed);
        });
    }

    /// Counts a page fault.
    pub fn count_fault(&self) {
        self.each(|clock| {
            clock.faults.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// Counts a switch away from the task.
    pub(super) fn count_switch(&self, voluntary: bool) {
        self.each(|clock| {
            let counter = if voluntary {
                &clock.voluntary
            } else {
                &clock.involuntary
            };
            counter.fetch_add(1, Ordering::Relaxed);
        });
    }

    fn total(&self) -> u64 {
        let cycles = self.user.load(Ordering::Relaxed) + self.system.load(Ordering::Relaxed);
        clock::from_cycles(cycles)
    }

    /// Sets the total at which the timers are to be looked at; `None` for
    /// never.
    pub fn set_alarm(&self, at: Option<u64>) {
        self.alarm.store(at.unwrap_or(NEVER), Ordering::Relaxed);
        super::arm_cpu_alarm();
    }

    /// How many nanoseconds the task may run until the first alarm of its
    /// clock or its group's; `None` if none is set. Accounts are up to date.
    pub(super) fn until_alarm(&self) -> Option<u64> {
        let own = self.alarm.load(Ordering::Relaxed);
        let left =
            |at: u64, clock: &CpuClock| (at != NEVER).then(|| at.saturating_sub(clock.total()));
        let group = self.group.as_deref();
        let group = group.and_then(|group| left(group.alarm.load(Ordering::Relaxed), group));
        match (left(own, self), group) {
            (Some(own), Some(group)) => Some(own.min(group)),
            (own, group) => own.or(group),
        }
    }
}

/// What the scheduler keeps of a task for as long as anybody knows the task.
pub struct Account {
    /// What it has used.
    pub clock: CpuClock,
    attributes: SpinLock<Attributes>,
    /// The CPUs that it may run on.
    affinity: AtomicU64,
}

impl Account {
    /// The account of a task that has not run.
    #[must_use]
    pub fn new(group: Option<Arc<CpuClock>>, attributes: Attributes, affinity: u64) -> Self {
        Account {
            clock: CpuClock::new(group),
            attributes: SpinLock::new(attributes),
            affinity: AtomicU64::new(affinity),
        }
    }

    /// What it asked of the scheduler.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        *self.attributes.lock()
    }

    /// Only the scheduler changes them, which has its own copy.
    pub(super) fn set_attributes(&self, attributes: Attributes) {
        *self.attributes.lock() = attributes;
    }

    /// The CPUs that it may run on.
    #[must_use]
    pub fn affinity(&self) -> u64 {
        self.affinity.load(Ordering::Relaxed)
    }

    /// Sets them. With one CPU there is no other to move to.
    pub fn set_affinity(&self, mask: u64) {
        self.affinity.store(mask, Ordering::Relaxed);
    }
}
