//! The calls about time: clocks and sleeping.

use linux_raw_sys::general as linux;

use super::Call;
use crate::errno::{Errno, Result};
use crate::mm::user::{self, Plain};
use crate::sched::{Time, WaitQueue};
use crate::signal::Restart;
use crate::task;

const NANOSECONDS: u64 = 1_000_000_000;

/// `struct timespec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

// SAFETY: numbers side by side, without padding.
unsafe impl Plain for Timespec {}

impl Timespec {
    pub(super) fn from_nanoseconds(nanoseconds: u64) -> Self {
        Timespec {
            seconds: (nanoseconds / NANOSECONDS) as i64,
            nanoseconds: (nanoseconds % NANOSECONDS) as i64,
        }
    }

    /// As nanoseconds; what is too long is for ever.
    ///
    /// # Errors
    /// EINVAL if it is negative or its nanoseconds make a second.
    fn to_nanoseconds(self) -> Result<u64> {
        let seconds = u64::try_from(self.seconds).map_err(|_| Errno::EINVAL)?;
        let rest = u64::try_from(self.nanoseconds).map_err(|_| Errno::EINVAL)?;
        if rest >= NANOSECONDS {
            return Err(Errno::EINVAL);
        }
        Ok(seconds.saturating_mul(NANOSECONDS).saturating_add(rest))
    }

    /// Reads one from user memory, as nanoseconds.
    pub(super) fn read(address: u64) -> Result<u64> {
        user::read_value::<Timespec>(address)?.to_nanoseconds()
    }
}

/// The clocks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// Since 1970.
    Real,
    /// Since the machine started; it never sleeps.
    Monotonic,
}

/// Which clock a number names; whether one can sleep by it.
fn clock(number: u64) -> Result<(Clock, bool)> {
    match number as u32 {
        linux::CLOCK_REALTIME | linux::CLOCK_TAI => Ok((Clock::Real, true)),
        linux::CLOCK_MONOTONIC | linux::CLOCK_BOOTTIME => Ok((Clock::Monotonic, true)),
        linux::CLOCK_REALTIME_COARSE => Ok((Clock::Real, false)),
        linux::CLOCK_MONOTONIC_RAW | linux::CLOCK_MONOTONIC_COARSE => Ok((Clock::Monotonic, false)),
        _ => Err(Errno::EINVAL),
    }
}

fn now(clock: Clock) -> u64 {
    match clock {
        Clock::Real => Time::now().real(),
        Clock::Monotonic => Time::now().0,
    }
}

pub(super) fn clock_gettime(call: &mut Call<'_>) -> Result<u64> {
    let (clock, _) = clock(call.args[0])?;
    user::write_value(call.args[1], Timespec::from_nanoseconds(now(clock)))?;
    Ok(0)
}

pub(super) fn clock_getres(call: &mut Call<'_>) -> Result<u64> {
    clock(call.args[0])?;
    if call.args[1] != 0 {
        user::write_value(call.args[1], Timespec::from_nanoseconds(1))?;
    }
    Ok(0)
}

pub(super) fn gettimeofday(call: &mut Call<'_>) -> Result<u64> {
    let real = Time::now().real();
    if call.args[0] != 0 {
        let timeval = Timespec {
            seconds: (real / NANOSECONDS) as i64,
            nanoseconds: (real % NANOSECONDS / 1000) as i64,
        };
        user::write_value(call.args[0], timeval)?;
    }
    if call.args[1] != 0 {
        // struct timezone: UTC, no daylight saving.
        user::write_value(call.args[1], [0_u32; 2])?;
    }
    Ok(0)
}

pub(super) fn time(call: &mut Call<'_>) -> Result<u64> {
    let seconds = Time::now().real() / NANOSECONDS;
    if call.args[0] != 0 {
        user::write_value(call.args[0], seconds)?;
    }
    Ok(seconds)
}

pub(super) fn nanosleep(call: &mut Call<'_>) -> Result<u64> {
    let length = Timespec::read(call.args[0])?;
    sleep_relative(Time::now().after(length), call.args[1])
}

pub(super) fn clock_nanosleep(call: &mut Call<'_>) -> Result<u64> {
    let [number, flags, request, remainder, ..] = call.args;
    let (clock, sleeps) = clock(number)?;
    if !sleeps {
        return Err(Errno::EOPNOTSUPP);
    }
    let time = Timespec::read(request)?;
    if flags & u64::from(linux::TIMER_ABSTIME) == 0 {
        return sleep_relative(Time::now().after(time), remainder);
    }
    let deadline = match clock {
        Clock::Real => Time::from_real(time),
        Clock::Monotonic => Time(time),
    };
    sleep(deadline).map_err(|_| Errno::ERESTARTNOHAND)?;
    Ok(0)
}

/// Sleeps; when a signal ends it, says how long it would have gone on and
/// leaves what `restart_syscall` needs to do just that.
pub(super) fn sleep_relative(deadline: Time, remainder: u64) -> Result<u64> {
    if sleep(deadline).is_ok() {
        return Ok(0);
    }
    let left = deadline.0.saturating_sub(Time::now().0);
    if left == 0 {
        return Ok(0);
    }
    if remainder != 0 {
        user::write_value(remainder, Timespec::from_nanoseconds(left))?;
    }
    task::current().signals.lock().restart = Restart::Sleep {
        deadline,
        remainder,
    };
    Err(Errno::ERESTART_RESTARTBLOCK)
}

fn sleep(deadline: Time) -> Result<()> {
    WaitQueue::new().wait_interruptible(Some(deadline), || None::<()>)?;
    Ok(())
}
