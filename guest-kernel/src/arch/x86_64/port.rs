//! Port input and output.

use core::arch::asm;

/// Writes a byte.
///
/// # Safety
/// What the device does with it must not break anybody's memory.
pub unsafe fn out8(port: u16, value: u8) {
    // SAFETY: by the caller.
    unsafe {
        asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags))
    };
}

/// Writes four bytes.
///
/// # Safety
/// As [`out8`].
pub unsafe fn out32(port: u16, value: u32) {
    // SAFETY: by the caller.
    unsafe {
        asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack, preserves_flags))
    };
}

/// Reads a byte.
///
/// # Safety
/// As [`out8`].
#[must_use]
pub unsafe fn in8(port: u16) -> u8 {
    let value;
    // SAFETY: by the caller.
    unsafe {
        asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags))
    };
    value
}
