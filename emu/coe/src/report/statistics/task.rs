//! What one task did and what became of its time.

use std::collections::BTreeMap;

use super::Distribution;

/// One system call of one task, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Times that it was entered.
    pub entered: u64,
    /// Times that it returned an error.
    pub errors: u64,
    /// Cycles from its entry until its result was on the way back.
    pub latency: Distribution,
}

/// One task's figures. All times are in cycles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Its name, by creation path.
    pub name: String,
    /// The running time spent in user mode.
    pub user: u64,
    /// The running time spent in the kernel, interrupts included.
    pub kernel: u64,
    /// How long it waited for the CPU, each time.
    pub runnable: Distribution,
    /// How long it slept, each time, by what it slept in.
    pub sleeping: BTreeMap<String, Distribution>,
    /// How long it was stopped, each time.
    pub stopped: Distribution,
    /// Times that it gave the CPU away itself: it slept, stopped, ended or yielded.
    pub voluntary: u64,
    /// Times that the CPU was taken from it.
    pub involuntary: u64,
    /// Page faults by what was done about them.
    pub faults: BTreeMap<&'static str, u64>,
    /// Page faults by the function that made them.
    pub places: BTreeMap<String, u64>,
    /// Signals that reached it.
    pub signals: u64,
    /// System calls by name.
    pub calls: BTreeMap<String, Call>,
}

impl Task {
    /// The cycles that it ran.
    #[must_use]
    pub fn ran(&self) -> u64 {
        self.user + self.kernel
    }

    /// The cycles that it slept, whatever in.
    #[must_use]
    pub fn slept(&self) -> u64 {
        self.sleeping.values().map(Distribution::sum).sum()
    }

    /// Page faults of all kinds.
    #[must_use]
    pub fn fault_count(&self) -> u64 {
        self.faults.values().sum()
    }

    /// System calls of all names.
    #[must_use]
    pub fn call_count(&self) -> u64 {
        self.calls.values().map(|call| call.entered).sum()
    }
}
