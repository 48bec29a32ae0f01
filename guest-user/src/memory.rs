//! The four functions that compiled Rust calls for blocks of memory; elsewhere
//! they come from the C library, and here there is none.
//!
//! String instructions do the work, so that the compiler cannot recognise a
//! loop and turn it into a call of the very function that it is in.

use core::arch::asm;

/// Copies `len` bytes; the two blocks do not overlap.
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller vouches for both blocks; the direction flag is clear by the ABI.
    unsafe {
        asm!(
            "rep movsb",
            inout("rdi") to => _, inout("rsi") from => _, inout("rcx") len => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Copies `len` bytes; the blocks may overlap.
///
/// # Safety
/// `from` is readable and `to` writable for `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= len {
        // SAFETY: `to` does not lie inside the source block, so copying upwards is right.
        return unsafe { memcpy(to, from, len) };
    }
    // SAFETY: `to` lies inside the source block (so `len` is not zero): copied
    // downwards, each byte is read before it is overwritten. The direction flag
    // is clear again at the end.
    unsafe {
        asm!(
            "std", "rep movsb", "cld",
            inout("rdi") to.add(len - 1) => _, inout("rsi") from.add(len - 1) => _,
            inout("rcx") len => _,
            options(nostack),
        );
    }
    to
}

/// Fills `len` bytes with the low byte of `value`.
///
/// # Safety
/// `to` is writable for `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, len: usize) -> *mut u8 {
    // SAFETY: the caller vouches for the block.
    unsafe {
        asm!(
            "rep stosb",
            inout("rdi") to => _, in("al") value as u8, inout("rcx") len => _,
            options(nostack, preserves_flags),
        );
    }
    to
}

/// Compares two blocks as unsigned bytes: negative, zero or positive.
///
/// # Safety
/// Both blocks are readable for `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    for at in 0..len {
        // SAFETY: `at < len`; volatile, or the loop would become a call of memcmp.
        let (x, y) = unsafe { (a.add(at).read_volatile(), b.add(at).read_volatile()) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
    }
    0
}

/// Compares two blocks: zero if they are equal.
///
/// # Safety
/// Both blocks are readable for `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(a, b, len) }
}

/// Length of a string that ends with a zero byte.
///
/// # Safety
/// `text` is readable up to and including a zero byte.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: every byte up to the zero byte is readable.
    while unsafe { text.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}
