//! Sleeping on a word of memory.

use core::sync::atomic::AtomicU32;

use linux_raw_sys::general::{__NR_futex, FUTEX_PRIVATE_FLAG, FUTEX_WAIT, FUTEX_WAKE};

use crate::sys::call;

/// Sleeps while the word has this value; it may also return for no reason.
pub(super) fn wait(word: &AtomicU32, value: u32) {
    sleep(word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value);
}

/// The same on a word that the kernel itself clears and wakes, which it does
/// with the shared kind.
pub(super) fn wait_shared(word: &AtomicU32, value: u32) {
    sleep(word, FUTEX_WAIT, value);
}

fn sleep(word: &AtomicU32, operation: u32, value: u32) {
    let args = [
        word.as_ptr() as usize,
        operation as usize,
        value as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads the word. Every caller looks at the word again,
    // so it does not matter why it returned.
    let _ = unsafe { call(__NR_futex, args) };
}

/// Wakes up to `count` sleepers.
pub(super) fn wake(word: &AtomicU32, count: u32) {
    let operation = (FUTEX_WAKE | FUTEX_PRIVATE_FLAG) as usize;
    let args = [word.as_ptr() as usize, operation, count as usize, 0, 0, 0];
    // SAFETY: the kernel takes the address as a name only.
    let _ = unsafe { call(__NR_futex, args) };
}
