//! Timers: what is to happen at a time, and the hardware timer for the next.

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU64, Ordering};

use super::softirq::{self, Softirq};
use super::{TaskId, Time, slice};
use crate::arch::clock;
use crate::sync::SpinLock;

/// What happens when a timer expires.
#[derive(Clone, Copy)]
pub enum Action {
    /// A task is woken.
    Wake(TaskId),
}

/// A timer that was set. Equal times expire in the order of setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    at: Time,
    sequence: u64,
}

static TIMERS: SpinLock<Timers> = SpinLock::new(BTreeMap::new());
static SEQUENCE: AtomicU64 = AtomicU64::new(0);

/// Sets a timer.
pub fn set(at: Time, action: Action) -> Key {
    let key = Key {
        at,
        sequence: SEQUENCE.fetch_add(1, Ordering::Relaxed),
    };
    TIMERS.lock().insert(key, action);
    arm();
    key
}

/// Takes a timer back. False if it has expired.
pub fn cancel(key: Key) -> bool {
    TIMERS.lock().remove(&key).is_some()
}

type Timers = BTreeMap<Key, Action>;

/// Starts the hardware timer for the first timer at or after `from`, or for
/// the end of the running slice if that comes before.
fn start_hardware(timers: &Timers, from: Time, now: Time) {
    let from = Key {
        at: from,
        sequence: 0,
    };
    let next = timers.range(from..).next().map(|(key, _)| key.at);
    let next = match (next, slice::end()) {
        (Some(timer), Some(slice)) => Some(timer.min(slice)),
        (timer, slice) => timer.or(slice),
    };
    if let Some(next) = next {
        clock::start_timer(next.0.saturating_sub(now.0));
    }
}

/// Starts the hardware timer for whatever comes next, and the deferred work
/// for what is due.
fn arm() {
    let timers = TIMERS.lock();
    let now = Time::now();
    let due = timers
        .first_key_value()
        .is_some_and(|(key, _)| key.at <= now);
    start_hardware(&timers, now.after(1), now);
    drop(timers);
    if due {
        softirq::raise(Softirq::Timer);
    }
}

/// Starts the hardware timer for whatever comes next, on behalf of the
/// scheduler: it is locked, so nobody can be woken. If something is due that
/// nobody has been woken for, the interrupt comes at once and does that.
pub(super) fn arm_for_slice() {
    let timers = TIMERS.lock();
    let now = Time::now();
    let from = if softirq::is_raised(Softirq::Timer) {
        now.after(1)
    } else {
        Time(0)
    };
    start_hardware(&timers, from, now);
}

/// The hardware timer's interrupt.
pub fn interrupt() {
    if slice::end().is_some_and(|end| end <= Time::now()) {
        super::request_resched();
    }
    arm();
}

/// Does what is due: the deferred half of the interrupt.
pub(super) fn run_expired() {
    loop {
        let mut timers = TIMERS.lock();
        let due = timers
            .first_key_value()
            .map(|(key, _)| *key)
            .filter(|key| key.at <= Time::now());
        let Some(action) = due.and_then(|key| timers.remove(&key)) else {
            break;
        };
        drop(timers);
        match action {
            Action::Wake(task) => {
                super::wake(task);
            }
        }
    }
}
