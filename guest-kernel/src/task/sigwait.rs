//! Waiting for a signal without a handler: `rt_sigtimedwait`.

use super::signal::{recalculate, set_blocked};
use super::{current, timers};
use crate::errno::{Errno, Result};
use crate::sched::{Time, WaitQueue};
use crate::signal::{SigInfo, SigSet};

/// Takes one of these signals, or waits for one until the deadline. A deadline
/// that has passed only looks.
///
/// # Errors
/// `EAGAIN` at the deadline, `EINTR` when another signal comes.
pub fn wait(set: SigSet, deadline: Option<Time>) -> Result<SigInfo> {
    let set = set.without(SigSet::UNSTOPPABLE);
    if let Some(info) = take(set) {
        return Ok(info);
    }
    if deadline.is_some_and(|at| at <= Time::now()) {
        return Err(Errno::EAGAIN);
    }
    let woken = wait_for_any(set, deadline);
    match take(set) {
        Some(info) => Ok(info),
        None if woken => Err(Errno::EINTR),
        None => Err(Errno::EAGAIN),
    }
}

fn take(set: SigSet) -> Option<SigInfo> {
    let task = current();
    let info = {
        let mut group = task.group().signals.lock();
        let mut own = task.signals.lock();
        let others = SigSet(!set.0);
        let info = own.pending.take(others);
        info.or_else(|| group.pending.take(others))
    };
    recalculate(&task);
    info.map(|mut info| {
        timers::delivered(&task, &mut info);
        info
    })
}

/// Sleeps with these signals unblocked, so that one of them wakes the task.
/// False if the deadline came first.
fn wait_for_any(set: SigSet, deadline: Option<Time>) -> bool {
    let task = current();
    let unblocked = {
        let mut own = task.signals.lock();
        own.awaited = own.blocked.intersection(set);
        own.blocked.without(set)
    };
    set_blocked(unblocked);
    let slept = WaitQueue::new().wait_interruptible(deadline, || None::<()>);
    let blocked = {
        let mut own = task.signals.lock();
        let awaited = core::mem::take(&mut own.awaited);
        if crate::mutant!("timedwait-keeps-unblocked") {
            own.blocked
        } else {
            own.blocked.union(awaited)
        }
    };
    set_blocked(blocked);
    slept.is_err()
}
