//! The performance counter that cuts slices by a task's own instructions.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{apic, msr};

const PMC0: u32 = 0xC1;
const PERFEVTSEL0: u32 = 0x186;
const GLOBAL_STATUS: u32 = 0x38E;
const GLOBAL_CTRL: u32 = 0x38F;
const GLOBAL_OVF_CTRL: u32 = 0x390;

/// Instructions retired, in user mode, with an interrupt at overflow.
const USER_INSTRUCTIONS: u64 = 0xC0 | 1 << 16 | 1 << 20 | 1 << 22;
const COUNTER_0: u64 = 1;

/// A counter is written as a sign-extended 32-bit number.
pub const LONGEST: u64 = 0x7FFF_FFFF;

static PRESENT: AtomicBool = AtomicBool::new(false);
/// What the counter was last started with.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// Looks for the counter. True if there is one.
pub fn init() -> bool {
    let there = __cpuid(0).eax >= 0xA && {
        let leaf = __cpuid(0xA);
        leaf.eax & 0xFF >= 2 && leaf.eax >> 8 & 0xFF >= 1 && leaf.ebx & 2 == 0
    };
    if there {
        // SAFETY: CPUID announces the registers.
        unsafe {
            msr::write(GLOBAL_CTRL, 0);
            msr::write(PERFEVTSEL0, USER_INSTRUCTIONS);
        }
    }
    PRESENT.store(there, Ordering::Relaxed);
    there
}

/// Interrupts after `instructions` more in user mode.
pub fn start(instructions: u64) {
    let instructions = instructions.clamp(1, LONGEST);
    STARTED.store(instructions, Ordering::Relaxed);
    // SAFETY: only called where `init` found the counter.
    unsafe {
        msr::write(GLOBAL_CTRL, 0);
        msr::write(GLOBAL_OVF_CTRL, COUNTER_0);
        msr::write(PMC0, instructions.wrapping_neg());
        apic::unmask_pmi();
        msr::write(GLOBAL_CTRL, COUNTER_0);
    }
}

/// Stops counting.
pub fn stop() {
    if PRESENT.load(Ordering::Relaxed) {
        // SAFETY: as in `start`.
        unsafe { msr::write(GLOBAL_CTRL, 0) };
    }
}

/// User instructions since `start`, which were not more than 2³².
#[must_use]
pub fn used() -> u64 {
    if !PRESENT.load(Ordering::Relaxed) {
        return 0;
    }
    // SAFETY: as in `start`.
    let count = unsafe { msr::read(PMC0) };
    let started = STARTED.load(Ordering::Relaxed);
    count.wrapping_add(started) & u64::from(u32::MAX)
}

/// True if the counter has run over since `start`.
#[must_use]
pub fn overflowed() -> bool {
    // SAFETY: as in `start`.
    PRESENT.load(Ordering::Relaxed) && unsafe { msr::read(GLOBAL_STATUS) } & COUNTER_0 != 0
}
