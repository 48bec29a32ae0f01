//! What a task asked of the scheduler: its class, priority and nice value.

/// The scheduling classes, each with what belongs to it alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// SCHED_OTHER: shares the CPU by the boot's policy.
    #[default]
    Other,
    /// SCHED_BATCH: as SCHED_OTHER, but its wake-up preempts nobody.
    Batch,
    /// SCHED_IDLE: the least weight there is.
    Idle,
    /// SCHED_FIFO: runs before all of lower priority, until it sleeps.
    Fifo(u8),
    /// SCHED_RR: as SCHED_FIFO, but those of one priority take turns.
    RoundRobin(u8),
}

/// The highest real-time priority.
pub const PRIORITY_MAX: u8 = 99;
/// The lowest nice value: the most CPU time.
pub const NICE_MIN: i8 = -20;
/// The highest nice value.
pub const NICE_MAX: i8 = 19;

/// The weight of nice 0.
pub const WEIGHT_UNIT: u64 = 1024;
/// The weight of SCHED_IDLE.
const WEIGHT_IDLE: u64 = 3;

/// Weights from nice -20 up: each step is worth a quarter more.
static WEIGHTS: [u64; 40] = weights();

const fn weights() -> [u64; 40] {
    let mut table = [0; 40];
    let mut at = 0;
    while at < 40 {
        let (mut over, mut under) = (WEIGHT_UNIT as u128, 1_u128);
        let mut step = 20;
        while step > at {
            (over, under) = (over * 5, under * 4);
            step -= 1;
        }
        while step < at {
            (over, under) = (over * 4, under * 5);
            step += 1;
        }
        table[at] = ((over + under / 2) / under) as u64;
        at += 1;
    }
    table
}

/// What a task asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Its class.
    pub class: Class,
    /// Its nice value, which real-time classes keep but do not use.
    pub nice: i8,
    /// Its children do not inherit what needs privileges.
    pub reset_on_fork: bool,
}

/// The ranks of those that are not real-time: an idle one, any other.
pub(super) const RANK_IDLE: u8 = 0;
/// As above.
pub(super) const RANK_NORMAL: u8 = 1;
/// Above every priority: the kernel's own work, which real-time tasks that
/// never sleep must not keep from delivering their timers.
pub(super) const RANK_KERNEL: u8 = RANK_NORMAL + PRIORITY_MAX + 1;

impl Attributes {
    /// The real-time priority, 0 for all others.
    #[must_use]
    pub fn priority(&self) -> u8 {
        match self.class {
            Class::Fifo(priority) | Class::RoundRobin(priority) => priority,
            Class::Other | Class::Batch | Class::Idle => 0,
        }
    }

    /// Its share of the CPU among those that are not real-time.
    #[must_use]
    pub fn weight(&self) -> u64 {
        if self.class == Class::Idle {
            return WEIGHT_IDLE;
        }
        let nice = self.nice.clamp(NICE_MIN, NICE_MAX);
        WEIGHTS[(nice - NICE_MIN) as usize]
    }

    /// What a child of the task starts with.
    #[must_use]
    pub fn for_child(&self) -> Self {
        if crate::mutant!("nice-is-not-inherited") {
            return Attributes { nice: 0, ..*self };
        }
        if !self.reset_on_fork || crate::mutant!("reset-on-fork-is-forgotten") {
            return *self;
        }
        let real_time = self.priority() > 0;
        Attributes {
            class: if real_time { Class::Other } else { self.class },
            nice: if real_time { 0 } else { self.nice.max(0) },
            reset_on_fork: false,
        }
    }
}
