//! Time slices: how long a task runs while others wait.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Time;
use super::timer;
use crate::arch::{clock, pmu};
use crate::sync::Once;

/// How slices are measured.
#[derive(Clone, Copy, Debug)]
pub enum Slice {
    /// Not at all.
    Endless,
    /// In the task's own user instructions, by the performance counter.
    Instructions(u64),
    /// In nanoseconds, by the timer.
    Nanoseconds(u64),
}

/// The slice of a kernel thread, and the shortest one of the timer where it
/// stands in for a counter that is not there.
const KERNEL_NANOSECONDS: u64 = 1_000_000;

const NEVER: u64 = u64::MAX;

static SLICE: Once<Slice> = Once::new();
/// When the timer ends the running slice.
static END: AtomicU64 = AtomicU64::new(NEVER);
/// When the running task's CPU clock reaches its alarm.
static ALARM: AtomicU64 = AtomicU64::new(NEVER);
/// When the running slice began.
static BEGUN: AtomicU64 = AtomicU64::new(0);
/// The running slice is over.
static ENDED: AtomicBool = AtomicBool::new(false);

/// Chooses the measure: `cycles` if given, otherwise instructions where the
/// CPU can count them, otherwise the timer.
pub fn init(slices: bool, instructions: u64, cycles: Option<u64>) {
    let counter = pmu::init();
    SLICE.set(match cycles {
        _ if !slices => Slice::Endless,
        Some(cycles) => Slice::Nanoseconds(clock::from_cycles(cycles).max(1)),
        None if counter => Slice::Instructions(instructions),
        None => Slice::Nanoseconds(clock::from_cycles(instructions).max(KERNEL_NANOSECONDS)),
    });
}

/// Begins a slice, without an end for a task that nobody's turn ends, and with
/// an alarm after so many nanoseconds. Interrupts are off.
pub(super) fn start(kernel: bool, endless: bool, alarm: Option<u64>) {
    let now = Time::now();
    BEGUN.store(now.0, Ordering::Relaxed);
    let end = match SLICE.get() {
        Some(Slice::Instructions(_)) if endless => {
            pmu::start(pmu::LONGEST);
            NEVER
        }
        Some(Slice::Instructions(_)) if kernel => {
            pmu::stop();
            now.after(KERNEL_NANOSECONDS).0
        }
        Some(Slice::Instructions(count)) => {
            pmu::start(*count);
            NEVER
        }
        Some(Slice::Nanoseconds(length)) if !endless => now.after(*length).0,
        Some(Slice::Nanoseconds(_) | Slice::Endless) | None => NEVER,
    };
    set_ends(end, alarm.map_or(NEVER, |left| now.after(left).0));
}

/// What the running task has used of its slice: see `fair`.
pub(super) fn used(kernel: bool) -> u64 {
    match SLICE.get() {
        Some(Slice::Instructions(_)) if !kernel => pmu::used(),
        _ => Time::now().0.saturating_sub(BEGUN.load(Ordering::Relaxed)),
    }
}

/// How long a slice is, in what [`used`] counts.
pub(super) fn length() -> u64 {
    match SLICE.get() {
        Some(Slice::Instructions(count)) => *count,
        Some(Slice::Nanoseconds(length)) => *length,
        Some(Slice::Endless) | None => KERNEL_NANOSECONDS,
    }
}

/// A slice as time, for those who ask how long one is.
#[must_use]
pub fn nanoseconds() -> u64 {
    match SLICE.get() {
        // A user instruction costs about a cycle.
        Some(Slice::Instructions(count)) => clock::from_cycles(*count),
        Some(Slice::Nanoseconds(length)) => *length,
        Some(Slice::Endless) | None => 0,
    }
}

/// Nobody's slice: the CPU idles.
pub(super) fn stop() {
    pmu::stop();
    set_ends(NEVER, NEVER);
}

/// The running task's alarm comes after so many nanoseconds.
pub(super) fn set_alarm(left: Option<u64>) {
    let alarm = left.map_or(NEVER, |left| Time::now().after(left).0);
    set_ends(END.load(Ordering::Relaxed), alarm);
}

fn set_ends(end: u64, alarm: u64) {
    let before = END.swap(end, Ordering::Relaxed);
    let alarm_before = ALARM.swap(alarm, Ordering::Relaxed);
    if (end, alarm) != (before, alarm_before) {
        timer::arm_for_slice();
    }
}

/// When the timer has something to do about the running task.
pub(super) fn end() -> Option<Time> {
    let end = END
        .load(Ordering::Relaxed)
        .min(ALARM.load(Ordering::Relaxed));
    (end != NEVER).then_some(Time(end))
}

/// The slice is over: the task's turn ends with it.
pub(super) fn note_end() {
    ENDED.store(true, Ordering::Relaxed);
}

/// Is it?
pub(super) fn has_ended() -> bool {
    ENDED.load(Ordering::Relaxed)
}

/// Another one begins.
pub(super) fn forget_end() {
    ENDED.store(false, Ordering::Relaxed);
}

/// The timer's interrupt: is the slice over, or is there an alarm?
pub(super) fn timer_interrupt() {
    let now = Time::now().0;
    if END.load(Ordering::Relaxed) <= now {
        END.store(NEVER, Ordering::Relaxed);
        note_end();
        super::request_resched();
    }
    if ALARM.load(Ordering::Relaxed) <= now {
        ALARM.store(NEVER, Ordering::Relaxed);
        super::alarm();
    }
}

/// The counter's interrupt: is the slice over?
pub fn counter_interrupt() {
    if pmu::overflowed() {
        pmu::stop();
        note_end();
        super::request_resched();
    }
}
