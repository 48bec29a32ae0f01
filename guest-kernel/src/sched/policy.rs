//! The scheduling policies: how those share the CPU that are not real-time.

use abi::boot::POLICIES;

/// What a policy decides.
pub trait Policy: Sync {
    /// Which of the candidates (more than one, in the order of their turns)
    /// runs next, unless the answer to the choice says otherwise. `runtime`
    /// gives a candidate's CPU time divided by its weight.
    fn default_pick(&self, candidates: usize, runtime: &dyn Fn(usize) -> u64) -> usize;

    /// Whether a running task is interrupted when its slice is over.
    fn slices(&self) -> bool;

    /// Whether weights count, so that somebody has to measure.
    fn weighs(&self) -> bool {
        false
    }
}

/// In turn, a slice each.
struct RoundRobin;

/// In turn, each until it sleeps or yields.
struct Fifo;

/// Whoever has had the least for its weight.
struct Fair;

impl Policy for RoundRobin {
    fn default_pick(&self, _candidates: usize, _runtime: &dyn Fn(usize) -> u64) -> usize {
        0
    }

    fn slices(&self) -> bool {
        true
    }
}

impl Policy for Fifo {
    fn default_pick(&self, _candidates: usize, _runtime: &dyn Fn(usize) -> u64) -> usize {
        0
    }

    fn slices(&self) -> bool {
        false
    }
}

impl Policy for Fair {
    fn default_pick(&self, candidates: usize, runtime: &dyn Fn(usize) -> u64) -> usize {
        // The first of equals: `min_by_key` takes it.
        (0..candidates).min_by_key(|&at| runtime(at)).unwrap_or(0)
    }

    fn slices(&self) -> bool {
        true
    }

    fn weighs(&self) -> bool {
        true
    }
}

/// The policy that `sched=` names; the first of the list without it.
#[must_use]
pub fn by_name(name: Option<&str>) -> Option<&'static dyn Policy> {
    match name {
        None => Some(&RoundRobin),
        Some(name) if name == POLICIES[0] => Some(&RoundRobin),
        Some(name) if name == POLICIES[1] => Some(&Fifo),
        Some(name) if name == POLICIES[2] => Some(&Fair),
        Some(_) => None,
    }
}
