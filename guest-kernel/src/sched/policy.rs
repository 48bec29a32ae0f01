//! The scheduling policies.

use alloc::collections::VecDeque;

use abi::boot::POLICIES;

/// What a policy decides. The queue is in the order in which tasks became
/// runnable; the task whose slice ended has just been put at its end.
pub trait Policy: Sync {
    /// Which place of a queue of more than one runs next, unless the answer to
    /// the choice says otherwise.
    fn default_pick(&self, queue: &VecDeque<u32>) -> usize;

    /// Whether a running task is interrupted when its slice is over.
    fn slices(&self) -> bool;
}

/// In turn, a slice each.
struct RoundRobin;

/// In turn, each until it sleeps or yields.
struct Fifo;

impl Policy for RoundRobin {
    fn default_pick(&self, _queue: &VecDeque<u32>) -> usize {
        0
    }

    fn slices(&self) -> bool {
        true
    }
}

impl Policy for Fifo {
    fn default_pick(&self, _queue: &VecDeque<u32>) -> usize {
        0
    }

    fn slices(&self) -> bool {
        false
    }
}

/// The policy that `sched=` names; the first of the list without it.
#[must_use]
pub fn by_name(name: Option<&str>) -> Option<&'static dyn Policy> {
    match name {
        None => Some(&RoundRobin),
        Some(name) if name == POLICIES[0] => Some(&RoundRobin),
        Some(name) if name == POLICIES[1] => Some(&Fifo),
        Some(_) => None,
    }
}
