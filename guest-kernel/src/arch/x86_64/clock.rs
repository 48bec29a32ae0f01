//! Time: the time-stamp counter, and the frequencies of it and of the timer.

use core::arch::x86_64::{__cpuid, _rdtsc};
use core::sync::atomic::{AtomicU64, Ordering};

use super::apic;
use super::port::{in8, out8};

const NANOSECONDS: u128 = 1_000_000_000;

static TSC_HZ: AtomicU64 = AtomicU64::new(NANOSECONDS as u64);
static TIMER_HZ: AtomicU64 = AtomicU64::new(NANOSECONDS as u64);

/// The time-stamp counter.
#[must_use]
pub fn cycles() -> u64 {
    // SAFETY: every x86-64 CPU has it.
    unsafe { _rdtsc() }
}

/// Nanoseconds since the counter started.
#[must_use]
pub fn nanoseconds() -> u64 {
    from_cycles(cycles())
}

/// Counter cycles as nanoseconds.
#[must_use]
pub fn from_cycles(cycles: u64) -> u64 {
    let hz = TSC_HZ.load(Ordering::Relaxed);
    if u128::from(hz) == NANOSECONDS {
        return cycles;
    }
    (u128::from(cycles) * NANOSECONDS / u128::from(hz)) as u64
}

/// Lets the timer fire once, not before `nanoseconds` have passed.
pub fn start_timer(nanoseconds: u64) {
    let hz = u128::from(TIMER_HZ.load(Ordering::Relaxed));
    let ticks = (u128::from(nanoseconds) * hz).div_ceil(NANOSECONDS) + 1;
    apic::start_timer(ticks.min(u128::from(u32::MAX)) as u32);
}

/// Finds the frequencies: CPUID says them, or the PIT measures them.
pub fn init() {
    let (tsc, timer) = announced().unwrap_or_else(measured);
    TSC_HZ.store(tsc.max(1), Ordering::Relaxed);
    TIMER_HZ.store(timer.max(1), Ordering::Relaxed);
}

fn announced() -> Option<(u64, u64)> {
    if __cpuid(0).eax < 0x15 {
        return None;
    }
    let leaf = __cpuid(0x15);
    let crystal = u64::from(leaf.ecx);
    let ratio = (u64::from(leaf.ebx), u64::from(leaf.eax));
    (crystal != 0 && ratio.0 != 0 && ratio.1 != 0).then(|| (crystal * ratio.0 / ratio.1, crystal))
}

const PIT_HZ: u64 = 1_193_182;
/// 10 ms of the PIT.
const PIT_COUNT: u64 = PIT_HZ / 100;
const PIT_CHANNEL_2: u16 = 0x42;
const PIT_COMMAND: u16 = 0x43;
const SPEAKER: u16 = 0x61;

/// Counts both clocks while the PIT's channel 2 runs down once.
fn measured() -> (u64, u64) {
    // SAFETY: the PIT drives nothing but the speaker, which stays off.
    unsafe {
        out8(SPEAKER, in8(SPEAKER) & !3 | 1);
        out8(PIT_COMMAND, 0xB0);
        out8(PIT_CHANNEL_2, PIT_COUNT as u8);
        out8(PIT_CHANNEL_2, (PIT_COUNT >> 8) as u8);
    }
    apic::start_timer(u32::MAX);
    let start = cycles();
    // SAFETY: as above.
    while unsafe { in8(SPEAKER) } & 0x20 == 0 {
        core::hint::spin_loop();
    }
    let tsc = cycles() - start;
    let timer = u64::from(u32::MAX - apic::timer());
    apic::start_timer(0);
    (tsc * PIT_HZ / PIT_COUNT, timer * PIT_HZ / PIT_COUNT)
}
