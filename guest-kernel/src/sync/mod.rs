//! Locks: spin locks that keep interrupts off, mutexes that sleep, and values
//! that are set once.

mod once;
mod spin;

pub use once::Once;
pub use spin::{SpinGuard, SpinLock};

pub use crate::sched::mutex::{Mutex, MutexGuard};
