//! Waiting for several words at once.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Futex, Waiter, enter, leave};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::sched::{Deadline, WaitQueue};

/// A futex and what its word must be.
pub struct Wanted {
    /// The futex.
    pub futex: Futex,
    /// The value.
    pub value: u32,
}

/// Waits until somebody wakes one of several futexes, whose words all are what
/// they must be; gives the place of one that was woken.
///
/// # Errors
/// As for one; nobody is left waiting anywhere.
pub fn wait_for_any(wanted: &[Wanted], deadline: Option<Deadline>) -> Result<usize> {
    let sleep = Arc::new(WaitQueue::new());
    let mut waiters: Vec<Arc<Waiter>> = Vec::new();
    waiters
        .try_reserve_exact(wanted.len())
        .map_err(|_| Errno::ENOMEM)?;
    let mut outcome = Ok(());
    for one in wanted {
        let waiter = Arc::new(Waiter::new(&one.futex.place, u32::MAX, &sleep));
        outcome = frame::room().and_then(|()| enter(&one.futex, one.value, &waiter));
        if outcome.is_err() {
            break;
        }
        waiters.push(waiter);
    }
    let woken = || waiters.iter().any(|waiter| waiter.is_woken()).then_some(());
    let outcome = match outcome {
        Ok(()) => sleep.wait_until(deadline, woken),
        Err(error) => Err(error),
    };
    // Whoever took one out of the table counts on it being woken: the last one
    // is the answer, as on Linux.
    let mut taken = None;
    for (at, waiter) in waiters.iter().enumerate() {
        if crate::mutant!("waitv-stays-queued") && !waiter.is_woken() {
            continue;
        }
        if !leave(waiter) {
            taken = Some(at);
        }
    }
    match (taken, outcome) {
        (Some(at), _) => Ok(at),
        (None, Ok(_)) => Err(Errno::ETIMEDOUT),
        (None, Err(error)) => Err(error),
    }
}
