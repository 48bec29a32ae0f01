//! Signals that were sent and not delivered yet.

use alloc::collections::VecDeque;

use super::info::SigInfo;
use super::number::{SigSet, Signal};
use super::quota::{Account, Ticket};
use crate::errno::{Errno, Result};

/// A signal that waits, and its place in its receiver's account.
struct Queued {
    info: SigInfo,
    _ticket: Ticket,
}

/// A pending set. A standard signal is in it once, whatever was sent; a
/// real-time signal as often as it was sent.
#[derive(Default)]
pub struct Pending {
    set: SigSet,
    queue: VecDeque<Queued>,
}

impl Pending {
    /// Which signals are pending.
    #[must_use]
    pub fn set(&self) -> SigSet {
        self.set
    }

    /// Adds a signal.
    ///
    /// Where the queue is full or there is no memory for it, a signal still
    /// arrives, as on Linux, but says nothing about its sender.
    ///
    /// # Errors
    /// `EAGAIN` there for a real-time signal that was queued with a value.
    pub fn add(&mut self, info: SigInfo, account: Account) -> Result<()> {
        let signal = info.signal;
        let counted = signal.is_realtime() && !crate::mutant!("realtime-not-queued");
        if !counted && self.set.has(signal) {
            return Ok(());
        }
        let beyond = !signal.is_realtime() && info.code >= 0;
        let room = self.queue.try_reserve(1).is_ok();
        let ticket = room.then(|| Ticket::take(account, beyond)).flatten();
        match ticket {
            Some(_ticket) => self.queue.push_back(Queued { info, _ticket }),
            None if signal.is_realtime() && info.code != super::code::SI_USER => {
                return Err(Errno::EAGAIN);
            }
            None => {}
        }
        self.set = self.set.with(signal);
        Ok(())
    }

    /// True if this very signal waits.
    #[must_use]
    pub fn holds(&self, info: &SigInfo) -> bool {
        self.queue.iter().any(|queued| queued.info == *info)
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
        let at = self.queue.iter().position(|queued| {
            let caused = ready.intersection(SigSet::SYNCHRONOUS);
            queued.info.code > 0 && caused.has(queued.info.signal)
        })?;
        let queued = self.queue.remove(at)?;
        self.forget_if_last(queued.info.signal);
        Some(queued.info)
    }

    fn take_signal(&mut self, signal: Signal) -> SigInfo {
        let mut places = self.queue.iter();
        let at = if crate::mutant!("realtime-order") {
            places.rposition(|queued| queued.info.signal == signal)
        } else {
            places.position(|queued| queued.info.signal == signal)
        };
        let queued = at.and_then(|at| self.queue.remove(at));
        self.forget_if_last(signal);
        queued.map_or_else(|| SigInfo::forgotten(signal), |queued| queued.info)
    }

    fn forget_if_last(&mut self, signal: Signal) {
        if !self.queue.iter().any(|queued| queued.info.signal == signal) {
            self.set = self.set.without(SigSet::of(&[signal]));
        }
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }

    /// Removes signals, however often they were sent.
    pub fn remove(&mut self, signals: SigSet) {
        if self.set.intersection(signals).is_empty() {
            return;
        }
        self.set = self.set.without(signals);
        self.queue.retain(|queued| !signals.has(queued.info.signal));
    }
}
