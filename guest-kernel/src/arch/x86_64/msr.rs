//! Model-specific registers.

use core::arch::asm;

/// Selectors of SYSCALL and SYSRET.
pub const STAR: u32 = 0xC000_0081;
/// Where SYSCALL goes.
pub const LSTAR: u32 = 0xC000_0082;
/// RFLAGS bits that SYSCALL clears.
pub const FMASK: u32 = 0xC000_0084;
/// FS base.
pub const FS_BASE: u32 = 0xC000_0100;
/// GS base.
pub const GS_BASE: u32 = 0xC000_0101;
/// What SWAPGS swaps GS base with.
pub const KERNEL_GS_BASE: u32 = 0xC000_0102;
/// Base address and enable bit of the local APIC.
pub const APIC_BASE: u32 = 0x1B;

/// Reads a register.
///
/// # Safety
/// The CPU must have it.
#[must_use]
pub unsafe fn read(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: by the caller.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags))
    };
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a register.
///
/// # Safety
/// The CPU must have it, and the value must leave the kernel's own state whole.
pub unsafe fn write(register: u32, value: u64) {
    // SAFETY: by the caller.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32, options(nostack, preserves_flags));
    }
}
