//! Signal descriptors: a read takes a signal that the reader blocks, and says
//! all about it.

use alloc::string::String;
use core::fmt::Write as _;

use linux_raw_sys::general::{POLLIN, POLLRDNORM};

use super::signal::recalculate;
use super::{current, timers};
use crate::errno::{Errno, Result};
use crate::fs::special::SpecialFile;
use crate::fs::transfer::{Sink, Source};
use crate::sched::WaitQueue;
use crate::signal::{SigInfo, SigSet};
use crate::sync::SpinLock;

/// Bytes of `struct signalfd_siginfo`.
const RECORD: usize = 128;

/// Whoever waits at any signal descriptor: whose signals those are depends on
/// who reads, so each looks for itself.
static WAITING: WaitQueue = WaitQueue::new();

/// A signal was sent to somebody.
pub(super) fn sent() {
    WAITING.wake_all();
}

/// The signals that a descriptor is about.
pub struct SignalFd {
    set: SpinLock<SigSet>,
}

impl SignalFd {
    /// One for these signals.
    #[must_use]
    pub fn new(set: SigSet) -> Self {
        SignalFd {
            set: SpinLock::new(set.without(SigSet::UNSTOPPABLE)),
        }
    }

    /// It is about these signals from now on.
    pub fn set(&self, set: SigSet) {
        *self.set.lock() = set.without(SigSet::UNSTOPPABLE);
        WAITING.wake_all();
    }

    fn take(&self) -> Option<SigInfo> {
        let others = SigSet(!self.set.lock().0);
        let task = current();
        let info = {
            let mut group = task.group().signals.lock();
            let mut own = task.signals.lock();
            let info = own.pending.take(others);
            info.or_else(|| group.pending.take(others))
        };
        recalculate(&task);
        info.map(|mut info| {
            timers::delivered(&task, &mut info);
            info
        })
    }
}

impl SpecialFile for SignalFd {
    fn label(&self) -> String {
        "anon_inode:[signalfd]".into()
    }

    /// As many signals as there are, and as fit; the first is waited for.
    fn read(&self, to: &mut dyn Sink, _: u64, nonblocking: bool) -> Result<usize> {
        let mut done = 0;
        while to.room() >= RECORD {
            let info = match self.take() {
                Some(info) => info,
                None if done > 0 => break,
                None if nonblocking => return Err(Errno::EAGAIN),
                None => {
                    let info = WAITING.wait_interruptible(None, || self.take())?;
                    info.ok_or(Errno::EAGAIN)?
                }
            };
            if to.put(&record(&info)) < RECORD {
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Errno::EFAULT)
                };
            }
            done += RECORD;
        }
        if done == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(done)
    }

    fn write(&self, _: &mut dyn Source, _: u64, _: bool) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    fn readiness(&self) -> u32 {
        let task = current();
        let group = task.group().signals.lock();
        let own = task.signals.lock();
        let sent = own.pending.set().union(group.pending.set());
        if sent.intersection(*self.set.lock()).is_empty() {
            0
        } else {
            POLLIN | POLLRDNORM
        }
    }

    fn queue(&self) -> Option<&WaitQueue> {
        Some(&WAITING)
    }

    fn fdinfo(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "sigmask:\t{:016x}", self.set.lock().0);
        text
    }
}

/// What a read gives of a signal: the fields of its `siginfo_t` at other places.
fn record(info: &SigInfo) -> [u8; RECORD] {
    let from = info.to_bytes();
    let mut to = [0; RECORD];
    let mut copy = |at: usize, source: usize, len: usize| {
        to[at..at + len].copy_from_slice(&from[source..source + len]);
    };
    // ssi_signo, ssi_errno, ssi_code.
    copy(0, 0, 4);
    copy(4, 4, 4);
    copy(8, 8, 4);
    match kind(info) {
        Kind::Sender => {
            copy(12, 16, 4);
            copy(16, 20, 4);
        }
        // ssi_int and ssi_ptr besides.
        Kind::Value => {
            copy(12, 16, 4);
            copy(16, 20, 4);
            copy(44, 24, 4);
            copy(48, 24, 8);
        }
        // ssi_status.
        Kind::Child => {
            copy(12, 16, 4);
            copy(16, 20, 4);
            copy(40, 24, 4);
        }
        // ssi_tid, ssi_overrun, and the value.
        Kind::Timer => {
            copy(24, 16, 4);
            copy(32, 20, 4);
            copy(44, 24, 4);
            copy(48, 24, 8);
        }
        // ssi_addr.
        Kind::Fault => copy(72, 16, 8),
    }
    to
}

/// Which fields a `siginfo_t` has.
enum Kind {
    Sender,
    Value,
    Child,
    Timer,
    Fault,
}

fn kind(info: &SigInfo) -> Kind {
    use crate::signal::{Fields, code};
    match info.fields {
        Fields::None | Fields::Sender { .. } => Kind::Sender,
        Fields::Child { .. } => Kind::Child,
        Fields::Timer { .. } => Kind::Timer,
        Fields::Fault { .. } => Kind::Fault,
        Fields::Raw { .. } if info.code == code::SI_USER || info.code == code::SI_TKILL => {
            Kind::Sender
        }
        Fields::Raw { .. } => Kind::Value,
    }
}
