//! The signal state of a task and of a thread group.

use super::altstack::AltStack;
use super::number::{SigSet, Signal};
use super::pending::Pending;
use super::restart::Restart;

/// What belongs to one task.
#[derive(Default)]
pub struct TaskSignals {
    /// Sent to this task.
    pub pending: Pending,
    /// Not delivered for now.
    pub blocked: SigSet,
    /// What is blocked besides while the task waits for some of its blocked
    /// signals (`rt_sigtimedwait`): sent ones stay pending for it.
    pub awaited: SigSet,
    /// The mask to go back to once a signal is delivered: that of before
    /// `rt_sigsuspend` or `ppoll`.
    pub saved: Option<SigSet>,
    /// Where handlers run.
    pub altstack: AltStack,
    /// How the call goes on that a signal cut short.
    pub restart: Restart,
    /// The group stops, and this task has not yet.
    pub must_stop: bool,
    /// The task is to stop for its tracer.
    pub trap: bool,
}

impl TaskSignals {
    /// The state of a new task: the mask of its creator, nothing pending. Its
    /// own stack pointer is another one unless only vfork made it, so the
    /// alternate stack is kept only then or without a shared memory.
    #[must_use]
    pub fn for_child(&self, keeps_altstack: bool) -> Self {
        TaskSignals {
            blocked: self.blocked,
            altstack: if keeps_altstack {
                self.altstack
            } else {
                AltStack::default()
            },
            ..TaskSignals::default()
        }
    }

    /// True if this task has to look at its signals before it goes on.
    #[must_use]
    pub fn has_work(&self, group: &GroupSignals) -> bool {
        let waiting = self.pending.set().union(group.pending.set());
        self.must_stop || self.trap || !waiting.without(self.blocked).is_empty()
    }

    /// True if a signal that is sent now stays pending, even if it is ignored.
    #[must_use]
    pub fn keeps(&self, signal: Signal) -> bool {
        self.blocked.has(signal) || self.awaited.has(signal)
    }

    /// A new program: pending signals and mask stay.
    pub fn exec(&mut self) {
        self.altstack = AltStack::default();
        self.saved = None;
        self.restart = Restart::None;
    }
}

/// What belongs to a thread group.
#[derive(Default)]
pub struct GroupSignals {
    /// Sent to the group: any of its tasks takes it.
    pub pending: Pending,
    /// The group is stopped or stopping because of this signal.
    pub stop: Option<Signal>,
    /// A task has taken this signal to stop the group, and not done so yet.
    /// SIGCONT takes it back.
    pub will_stop: Option<Signal>,
    /// How many of its tasks have yet to stop.
    pub still_running: usize,
    /// It was stopped and nobody has waited for that yet.
    pub report_stopped: bool,
    /// It went on and nobody has waited for that yet.
    pub report_continued: bool,
}
