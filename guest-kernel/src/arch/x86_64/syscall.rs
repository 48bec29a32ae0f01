//! Switching SYSCALL on.

use super::gdt::{KERNEL_CS, USER_BASE};
use super::{msr, trap};

/// TF, IF, DF, IOPL, NT, RF, AC: the kernel starts without them.
const MASKED: u64 = 0x57700 | 1 << 18;

/// Points this CPU's SYSCALL at the kernel.
///
/// # Safety
/// Once for each CPU, after its tables and per-CPU data.
pub unsafe fn init() {
    let selectors = u64::from(USER_BASE) << 48 | u64::from(KERNEL_CS) << 32;
    // SAFETY: long-mode CPUs have these registers.
    unsafe {
        msr::write(msr::STAR, selectors);
        msr::write(msr::LSTAR, trap::syscall_entry as *const () as u64);
        msr::write(msr::FMASK, MASKED);
    }
}
