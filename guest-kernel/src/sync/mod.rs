//! Spin locks that keep interrupts off, and values that are set once. Mutexes
//! sleep, so they are the scheduler's (`sched::Mutex`).

mod once;
mod spin;

pub use once::Once;
pub use spin::{SpinGuard, SpinLock};
