//! A condition variable: a count of signals, on which waiters sleep.

use core::sync::atomic::{AtomicU32, Ordering};

use super::futex;
use super::mutex::Guard;

/// Lets threads that hold a mutex wait for what others do under it.
pub struct Condition {
    signals: AtomicU32,
}

impl Condition {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Condition {
            signals: AtomicU32::new(0),
        }
    }

    /// Frees the mutex, sleeps until a signal, takes the mutex again. It may
    /// wake for no reason: the caller looks at its condition again.
    pub fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Guard<'a, T> {
        // Read while the mutex is held: a signal after that changes the count,
        // and the futex does not sleep.
        let seen = self.signals.load(Ordering::Relaxed);
        let mutex = guard.mutex();
        drop(guard);
        futex::wait(&self.signals, seen);
        mutex.lock()
    }

    /// Wakes one waiter.
    pub fn signal(&self) {
        self.signals.fetch_add(1, Ordering::Relaxed);
        futex::wake(&self.signals, 1);
    }

    /// Wakes all waiters.
    pub fn broadcast(&self) {
        self.signals.fetch_add(1, Ordering::Relaxed);
        futex::wake(&self.signals, i32::MAX as u32);
    }
}

impl Default for Condition {
    fn default() -> Self {
        Self::new()
    }
}
