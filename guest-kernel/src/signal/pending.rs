//! Signals that were sent and not delivered yet.

use alloc::collections::VecDeque;

use super::info::SigInfo;
use super::number::{SigSet, Signal};

/// The most real-time signals that one set queues.
const QUEUE_MAX: usize = 1024;

/// A pending set. A standard signal is in it once, whatever was sent; a
/// real-time signal as often as it was sent.
#[derive(Default)]
pub struct Pending {
    set: SigSet,
    queue: VecDeque<SigInfo>,
}

impl Pending {
    /// Which signals are pending.
    #[must_use]
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// Adds a signal. False if it is a real-time signal and there is no room.
    ///
    /// Without memory for its siginfo a standard signal still arrives, as on
    /// Linux, but says nothing about its sender.
    pub fn add(&mut self, info: SigInfo) -> bool {
        let signal = info.signal;
        if !signal.is_realtime() && self.set.has(signal) {
            return true;
        }
        let room = self.queue.len() < QUEUE_MAX && self.queue.try_reserve(1).is_ok();
        if room {
            self.queue.push_back(info);
        } else if signal.is_realtime() {
            return false;
        }
        self.set = self.set.with(signal);
        true
    }

    /// True if this very signal waits.
    #[must_use]
    pub fn holds(&self, info: &SigInfo) -> bool {
        self.queue.contains(info)
    }

    /// Takes the first signal that is not blocked.
    pub fn take(&mut self, blocked: SigSet) -> Option<SigInfo> {
        let signal = self.set.without(blocked).first()?;
        Some(self.take_signal(signal))
    }

    /// Takes the first signal that an instruction caused, if one is pending
    /// and not blocked.
    pub fn take_caused(&mut self, blocked: SigSet) -> Option<SigInfo> {
        let ready = self.set.without(blocked);
        let at = self.queue.iter().position(|info| {
            info.code > 0 && ready.intersection(SigSet::SYNCHRONOUS).has(info.signal)
        })?;
        let info = self.queue.remove(at)?;
        self.forget_if_last(info.signal);
        Some(info)
    }

    fn take_signal(&mut self, signal: Signal) -> SigInfo {
        let at = self.queue.iter().position(|info| info.signal == signal);
        let info = at.and_then(|at| self.queue.remove(at));
        self.forget_if_last(signal);
        info.unwrap_or_else(|| SigInfo::forgotten(signal))
    }

    fn forget_if_last(&mut self, signal: Signal) {
        if !self.queue.iter().any(|info| info.signal == signal) {
            self.set = self.set.without(SigSet::of(&[signal]));
        }
    }

    /// Removes signals, however often they were sent.
    pub fn remove(&mut self, signals: SigSet) {
        if self.set.intersection(signals).is_empty() {
            return;
        }
        self.set = self.set.without(signals);
        self.queue.retain(|info| !signals.has(info.signal));
    }
}
