//! A turn that two tasks hand to each other, in memory that they share: by
//! CLONE_VM or as a shared mapping.

use core::sync::atomic::{AtomicU64, Ordering};

use linux_raw_sys::general::{__NR_futex, FUTEX_WAIT, FUTEX_WAKE};

use crate::sys::call;

/// Sleeps until the word has this value.
pub fn wait_for(word: &AtomicU64, value: u64) {
    loop {
        let seen = word.load(Ordering::Acquire);
        if seen == value {
            return;
        }
        futex(word, FUTEX_WAIT, seen);
    }
}

/// Sleeps while the word has this value; gives what it has then.
pub fn wait_while(word: &AtomicU64, value: u64) -> u64 {
    loop {
        let seen = word.load(Ordering::Acquire);
        if seen != value {
            return seen;
        }
        futex(word, FUTEX_WAIT, seen);
    }
}

/// Gives the word this value and wakes whoever waits for it.
pub fn hand_over(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Release);
    futex(word, FUTEX_WAKE, i32::MAX as u64);
}

/// The call on the low half of the word, which comes first in memory. It may
/// return for no reason: waiters look again.
fn futex(word: &AtomicU64, operation: u32, value: u64) {
    let args = [
        word.as_ptr() as usize,
        operation as usize,
        value as u32 as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads the word, or takes its address as a name.
    let _ = unsafe { call(__NR_futex, args) };
}
