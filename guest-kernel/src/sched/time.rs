//! Points in time.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch::clock;

/// Nanoseconds since the machine started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

/// What the real-time clock said at time zero, in seconds since 1970.
static EPOCH: AtomicU64 = AtomicU64::new(0);

impl Time {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Time(clock::nanoseconds())
    }

    /// That much later; the end of time at the latest.
    #[must_use]
    pub fn after(self, nanoseconds: u64) -> Self {
        Time(self.0.saturating_add(nanoseconds))
    }

    /// The same point as nanoseconds since 1970.
    #[must_use]
    pub fn real(self) -> u64 {
        epoch_nanoseconds().saturating_add(self.0)
    }

    /// The point at which the real-time clock shows `nanoseconds`.
    #[must_use]
    pub fn from_real(nanoseconds: u64) -> Self {
        Time(nanoseconds.saturating_sub(epoch_nanoseconds()))
    }
}

fn epoch_nanoseconds() -> u64 {
    EPOCH.load(Ordering::Relaxed).saturating_mul(1_000_000_000)
}

/// Sets the real-time clock, at boot.
pub fn set_epoch(seconds: u64) {
    EPOCH.store(seconds, Ordering::Relaxed);
}
