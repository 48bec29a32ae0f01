//! Time slices: how long a task runs while others wait.

use core::sync::atomic::{AtomicU64, Ordering};

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
static END: AtomicU64 = AtomicU64::new(NEVER);

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

/// Begins a slice. Interrupts are off.
pub(super) fn start(kernel: bool) {
    let end = match SLICE.get() {
        Some(Slice::Instructions(_)) if kernel => {
            pmu::stop();
            Time::now().after(KERNEL_NANOSECONDS).0
        }
        Some(Slice::Instructions(count)) => {
            pmu::start(*count);
            NEVER
        }
        Some(Slice::Nanoseconds(length)) => Time::now().after(*length).0,
        Some(Slice::Endless) | None => NEVER,
    };
    set_end(end);
}

/// Nobody's slice: the CPU idles.
pub(super) fn stop() {
    pmu::stop();
    set_end(NEVER);
}

fn set_end(end: u64) {
    let before = END.swap(end, Ordering::Relaxed);
    if end != before {
        timer::arm_for_slice();
    }
}

/// When the timer has to end the running slice, if it has to.
pub(super) fn end() -> Option<Time> {
    let end = END.load(Ordering::Relaxed);
    (end != NEVER).then_some(Time(end))
}

/// The counter's interrupt: is the slice over?
pub fn counter_interrupt() {
    if pmu::overflowed() {
        pmu::stop();
        super::request_resched();
    }
}
