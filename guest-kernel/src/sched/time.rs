//! Points in time.

use core::sync::atomic::{AtomicU64, Ordering};

use super::timer;
use crate::arch::clock;

/// Nanoseconds since the machine started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

/// What the real-time clock said at time zero, in nanoseconds since 1970. It
/// may have been set to before that: then this wraps around.
static EPOCH: AtomicU64 = AtomicU64::new(0);
/// How often the real-time clock was set.
static SETTINGS: AtomicU64 = AtomicU64::new(0);

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
        EPOCH.load(Ordering::Relaxed).wrapping_add(self.0)
    }
}

/// Sets the real-time clock, at boot.
pub fn set_epoch(seconds: u64) {
    let nanoseconds = seconds.saturating_mul(1_000_000_000);
    EPOCH.store(nanoseconds, Ordering::Relaxed);
}

/// Sets the real-time clock to nanoseconds since 1970. Who waits for a time of
/// that clock waits for the new one.
pub fn set_real(nanoseconds: u64) {
    let epoch = nanoseconds.wrapping_sub(Time::now().0);
    EPOCH.store(epoch, Ordering::Relaxed);
    SETTINGS.fetch_add(1, Ordering::Relaxed);
    timer::clock_was_set();
}

/// How often the real-time clock was set.
#[must_use]
pub fn settings() -> u64 {
    SETTINGS.load(Ordering::Relaxed)
}

/// A point at which a wait ends or a timer expires, by one of two clocks. They
/// differ when the real-time clock is set meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Since the machine started.
    Monotonic(Time),
    /// Nanoseconds since 1970.
    Real(u64),
}

impl Deadline {
    /// Has it come?
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.left() == 0
    }

    /// Nanoseconds until it comes, as the clocks are now.
    #[must_use]
    pub fn left(self) -> u64 {
        let now = Time::now();
        match self {
            Deadline::Monotonic(at) => at.0.saturating_sub(now.0),
            Deadline::Real(at) => at.saturating_sub(now.real()),
        }
    }
}

impl From<Time> for Deadline {
    fn from(at: Time) -> Self {
        Deadline::Monotonic(at)
    }
}
