//! A value that boot sets once and everybody reads.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const SETTING: u8 = 1;
const SET: u8 = 2;

/// A value that is set once.
pub struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is written by the one caller that won `EMPTY -> SETTING`
// and only read after `SET`.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// Not set yet.
    #[must_use]
    pub const fn new() -> Self {
        Once {
            state: AtomicU8::new(EMPTY),
            value: UnsafeCell::new(None),
        }
    }

    /// Sets the value.
    ///
    /// # Panics
    /// If it was set before.
    pub fn set(&self, value: T) {
        let won = self
            .state
            .compare_exchange(EMPTY, SETTING, Ordering::Acquire, Ordering::Relaxed);
        assert!(won.is_ok(), "a Once was set twice");
        // SAFETY: this caller alone left EMPTY, and nobody reads before SET.
        unsafe { *self.value.get() = Some(value) };
        self.state.store(SET, Ordering::Release);
    }

    /// The value, if it was set.
    #[must_use]
    pub fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) != SET {
            return None;
        }
        // SAFETY: after SET the value never changes.
        unsafe { (*self.value.get()).as_ref() }
    }
}
