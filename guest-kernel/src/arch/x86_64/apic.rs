//! The local APIC: end of interrupt, timer, performance interrupt.

use super::layout::{LOCAL_APIC, direct};
use super::msr;

/// The timer's vector.
pub const TIMER_VECTOR: u8 = 0xF0;
/// The performance counter's vector.
pub const PMI_VECTOR: u8 = 0xF1;
/// The vector of interrupts that vanished before they were taken.
pub const SPURIOUS_VECTOR: u8 = 0xFF;

const ID: u64 = 0x20;
const TASK_PRIORITY: u64 = 0x80;
const END_OF_INTERRUPT: u64 = 0xB0;
const SPURIOUS: u64 = 0xF0;
const IN_SERVICE: u64 = 0x100;
const LVT_TIMER: u64 = 0x320;
const LVT_PMI: u64 = 0x340;
const LVT_LINT0: u64 = 0x350;
const LVT_LINT1: u64 = 0x360;
const TIMER_INITIAL: u64 = 0x380;
const TIMER_CURRENT: u64 = 0x390;
const TIMER_DIVIDE: u64 = 0x3E0;

const ENABLED: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const DIVIDE_BY_1: u32 = 0b1011;
const GLOBAL_ENABLE: u64 = 1 << 11;

fn read(register: u64) -> u32 {
    // SAFETY: the page is mapped uncached, the register exists.
    unsafe { ((direct(LOCAL_APIC) + register) as *const u32).read_volatile() }
}

fn write(register: u64, value: u32) {
    // SAFETY: as in `read`.
    unsafe { ((direct(LOCAL_APIC) + register) as *mut u32).write_volatile(value) };
}

/// Switches this CPU's local APIC on, with a silent timer.
pub fn init() {
    // SAFETY: every x86-64 CPU has the register.
    unsafe {
        let base = msr::read(msr::APIC_BASE);
        msr::write(msr::APIC_BASE, base & 0xFFF | LOCAL_APIC | GLOBAL_ENABLE);
    }
    // First of all: while it is off, every entry of its table stays masked.
    write(SPURIOUS, ENABLED | u32::from(SPURIOUS_VECTOR));
    write(TASK_PRIORITY, 0);
    write(LVT_LINT0, MASKED);
    write(LVT_LINT1, MASKED);
    write(LVT_PMI, MASKED);
    write(TIMER_DIVIDE, DIVIDE_BY_1);
    write(LVT_TIMER, u32::from(TIMER_VECTOR));
    write(TIMER_INITIAL, 0);
}

/// This CPU's APIC id.
#[must_use]
pub fn id() -> u8 {
    (read(ID) >> 24) as u8
}

/// Ends an interrupt. A spurious one was never in service.
pub fn end_of_interrupt(vector: u8) {
    let word = IN_SERVICE + u64::from(vector / 32) * 16;
    if vector != SPURIOUS_VECTOR || read(word) >> (vector % 32) & 1 != 0 {
        write(END_OF_INTERRUPT, 0);
    }
}

/// Lets the timer fire once after `ticks`; 0 stops it.
pub fn start_timer(ticks: u32) {
    write(TIMER_INITIAL, ticks);
}

/// What is left on the timer.
#[must_use]
pub fn timer() -> u32 {
    read(TIMER_CURRENT)
}

/// Lets the performance counter interrupt (again: each interrupt masks it).
pub fn unmask_pmi() {
    write(LVT_PMI, u32::from(PMI_VECTOR));
}
