//! Timers: what is to happen at a time, and the hardware timer for the next.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use super::softirq::{self, Softirq};
use super::time::Deadline;
use super::{TaskId, Time, slice};
use crate::arch::clock;
use crate::sync::SpinLock;

/// Something that wants to know when a time has come.
pub trait Expire: Send + Sync {
    /// It has. Called by ksoftirqd, with no lock held.
    fn expire(self: Arc<Self>);
}

/// What happens when a timer expires.
#[derive(Clone)]
pub enum Action {
    /// A task is woken.
    Wake(TaskId),
    /// Somebody is told.
    Tell(Arc<dyn Expire>),
}

/// A timer that was set. Equal times expire in the order of setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    real: bool,
    at: u64,
    sequence: u64,
}

type Map = BTreeMap<(u64, u64), Action>;

/// The timers of each clock.
struct Timers {
    monotonic: Map,
    real: Map,
}

static TIMERS: SpinLock<Timers> = SpinLock::new(Timers {
    monotonic: BTreeMap::new(),
    real: BTreeMap::new(),
});
static SEQUENCE: AtomicU64 = AtomicU64::new(0);

impl Timers {
    fn map(&mut self, real: bool) -> &mut Map {
        if real {
            &mut self.real
        } else {
            &mut self.monotonic
        }
    }

    /// How long until the first timer that is not due, or with `all` until the
    /// first of all.
    fn next(&self, now: Time, all: bool) -> Option<u64> {
        let first = |map: &Map, now: u64| {
            let from = if all { 0 } else { now.saturating_add(1) };
            let next = map.range((from, 0)..).next();
            next.map(|((at, _), _)| at.saturating_sub(now))
        };
        let left = [first(&self.monotonic, now.0), first(&self.real, now.real())];
        left.into_iter().flatten().min()
    }

    fn is_due(&self, now: Time) -> bool {
        self.next(now, true) == Some(0)
    }

    /// Takes a timer out whose time has come.
    fn take_due(&mut self, now: Time) -> Option<Action> {
        let due = |map: &Map, now: u64| {
            let (key, _) = map.first_key_value()?;
            let late = now.checked_sub(key.0)?;
            Some((*key, late))
        };
        let monotonic = due(&self.monotonic, now.0);
        let real = due(&self.real, now.real());
        let (real, key) = match (monotonic, real) {
            (Some((own, late)), Some((_, later))) if late >= later => (false, own),
            (_, Some((key, _))) => (true, key),
            (Some((key, _)), None) => (false, key),
            (None, None) => return None,
        };
        self.map(real).remove(&key)
    }
}

/// Sets a timer.
pub fn set(at: Deadline, action: Action) -> Key {
    let (real, at) = match at {
        Deadline::Monotonic(at) => (false, at.0),
        Deadline::Real(_) if crate::mutant!("real-timers-ignore-settings") => {
            (false, Time::now().after(at.left()).0)
        }
        Deadline::Real(at) => (true, at),
    };
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
    TIMERS.lock().map(real).insert((at, sequence), action);
    arm();
    Key { real, at, sequence }
}

/// Takes a timer back. False if it has expired.
pub fn cancel(key: Key) -> bool {
    let mut timers = TIMERS.lock();
    let action = timers.map(key.real).remove(&(key.at, key.sequence));
    drop(timers);
    action.is_some()
}

/// The real-time clock says something else than before.
pub(super) fn clock_was_set() {
    arm();
}

/// Starts the hardware timer for what comes after so many nanoseconds, or for
/// the end of the running slice if that comes before.
fn start_hardware(next: Option<u64>, now: Time) {
    let slice = slice::end().map(|end| end.0.saturating_sub(now.0));
    let next = match (next, slice) {
        (Some(timer), Some(slice)) => Some(timer.min(slice)),
        (timer, slice) => timer.or(slice),
    };
    if let Some(next) = next {
        clock::start_timer(next);
    }
}

/// Starts the hardware timer for whatever comes next, and the deferred work
/// for what is due.
fn arm() {
    let timers = TIMERS.lock();
    let now = Time::now();
    let due = timers.is_due(now);
    start_hardware(timers.next(now, false), now);
    drop(timers);
    if due && crate::mutant!("timers-in-the-interrupt") {
        run_expired();
    } else if due {
        softirq::raise(Softirq::Timer);
    }
}

/// Starts the hardware timer for whatever comes next, on behalf of the
/// scheduler: it is locked, so nobody can be woken. If something is due that
/// nobody has been woken for, the interrupt comes at once and does that.
pub(super) fn arm_for_slice() {
    let timers = TIMERS.lock();
    let now = Time::now();
    let all = !softirq::is_raised(Softirq::Timer);
    start_hardware(timers.next(now, all), now);
}

/// The hardware timer's interrupt.
pub fn interrupt() {
    slice::timer_interrupt();
    arm();
}

/// Does what is due: the deferred half of the interrupt.
pub(super) fn run_expired() {
    loop {
        let action = TIMERS.lock().take_due(Time::now());
        match action {
            None => break,
            Some(Action::Wake(task)) => {
                super::wake(task);
            }
            Some(Action::Tell(who)) => who.expire(),
        }
    }
}
