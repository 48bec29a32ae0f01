//! The lock whose waiters sleep.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use super::WaitQueue;
use crate::arch::irq;
use crate::errno::{Errno, Result};

/// A lock for sections that may sleep. Not for interrupt handlers.
pub struct Mutex<T> {
    locked: AtomicBool,
    waiters: WaitQueue,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only through a guard, and there is one at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}
// SAFETY: owning the lock is owning the value.
unsafe impl<T: Send> Send for Mutex<T> {}

/// The right to the value; dropping it unlocks.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Self {
        Mutex {
            locked: AtomicBool::new(false),
            waiters: WaitQueue::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock, asleep until it is free.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        assert!(
            irq::may_sleep(),
            "a mutex was wanted where nobody may sleep"
        );
        if let Some(guard) = self.try_lock() {
            return guard;
        }
        self.waiters.wait(|| self.try_lock())
    }

    /// Takes the lock, unless a signal comes first: for holders that may sleep
    /// for as long as somebody outside pleases.
    ///
    /// # Errors
    /// `ERESTARTSYS` when a signal is pending.
    pub fn lock_interruptible(&self) -> Result<MutexGuard<'_, T>> {
        let guard = self.waiters.wait_interruptible(None, || self.try_lock())?;
        guard.ok_or(Errno::ERESTARTSYS)
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        // The guard must not even be made where the lock was not taken:
        // dropping it unlocks.
        (!self.locked.swap(true, Ordering::Acquire)).then(|| MutexGuard { mutex: self })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard is the only one.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.locked.store(false, Ordering::Release);
        self.mutex.waiters.wake_one();
    }
}
