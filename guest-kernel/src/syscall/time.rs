//! The calls about time: clocks and sleeping.

use linux_raw_sys::general as linux;

use super::Call;
use crate::errno::{Errno, Result};
use crate::mm::user::{self, Plain};
use crate::sched::{Deadline, Time, WaitQueue, time};
use crate::signal::Restart;
use crate::task;
use crate::task::timers::{self, Clock, Counter};

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
    pub(super) fn to_nanoseconds(self) -> Result<u64> {
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

/// Which clock a number names; whether one can sleep by it.
pub(super) fn clock(number: u64) -> Result<(Clock, bool)> {
    match number as u32 {
        linux::CLOCK_REALTIME | linux::CLOCK_TAI => Ok((Clock::Real, true)),
        linux::CLOCK_MONOTONIC | linux::CLOCK_BOOTTIME => Ok((Clock::Monotonic, true)),
        linux::CLOCK_REALTIME_COARSE => Ok((Clock::Real, false)),
        linux::CLOCK_MONOTONIC_RAW | linux::CLOCK_MONOTONIC_COARSE => Ok((Clock::Monotonic, false)),
        _ => super::timer::cpu_clock(number).map(|clock| (clock, true)),
    }
}

pub(super) fn clock_gettime(call: &mut Call<'_>) -> Result<u64> {
    let (clock, _) = clock(call.args[0])?;
    user::write_value(call.args[1], Timespec::from_nanoseconds(clock.now()))?;
    Ok(0)
}

pub(super) fn clock_getres(call: &mut Call<'_>) -> Result<u64> {
    clock(call.args[0])?;
    if call.args[1] != 0 {
        user::write_value(call.args[1], Timespec::from_nanoseconds(1))?;
    }
    Ok(0)
}

/// The latest time that the clock can be set to: 30 years before its end.
const LATEST: u64 = u64::MAX / 2 - 30 * 365 * 86400 * NANOSECONDS;

/// Sets the real-time clock.
///
/// # Errors
/// `EINVAL` for a time before the machine started or too late, `EPERM`.
fn set_real(nanoseconds: u64) -> Result<()> {
    if nanoseconds < Time::now().0 || nanoseconds > LATEST {
        return Err(Errno::EINVAL);
    }
    if !task::current().may_set_time() {
        return Err(Errno::EPERM);
    }
    time::set_real(nanoseconds);
    Ok(())
}

pub(super) fn clock_settime(call: &mut Call<'_>) -> Result<u64> {
    let number = call.args[0] as u32;
    let time = match number {
        linux::CLOCK_REALTIME => Timespec::read(call.args[1])?,
        // What counts the CPU's use is nobody's to set.
        _ => match clock(call.args[0])?.0 {
            Clock::Cpu { .. } if (number as i32) < 0 => return Err(Errno::EPERM),
            _ => return Err(Errno::EINVAL),
        },
    };
    set_real(time)?;
    Ok(0)
}

pub(super) fn settimeofday(call: &mut Call<'_>) -> Result<u64> {
    let [time, zone, ..] = call.args;
    if zone != 0 {
        // struct timezone: nobody asks for it any more, UTC it stays.
        user::read_value::<[u32; 2]>(zone)?;
    }
    if time != 0 {
        let [seconds, microseconds]: [i64; 2] = user::read_value(time)?;
        if !(0..1_000_000).contains(&microseconds) {
            return Err(Errno::EINVAL);
        }
        let time = Timespec {
            seconds,
            nanoseconds: microseconds * 1000,
        };
        set_real(time.to_nanoseconds()?)?;
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

pub(super) fn time_of_day(call: &mut Call<'_>) -> Result<u64> {
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
    if !sleeps || number as u32 == linux::CLOCK_THREAD_CPUTIME_ID {
        return Err(Errno::EOPNOTSUPP);
    }
    let time = Timespec::read(request)?;
    let absolute = flags & u64::from(linux::TIMER_ABSTIME) != 0;
    let deadline = match (&clock, absolute) {
        (Clock::Cpu { .. }, _) => return sleep_by_cpu(clock, time, absolute, remainder),
        (_, false) => return sleep_relative(Time::now().after(time), remainder),
        (Clock::Real, true) => Deadline::Real(time),
        (Clock::Monotonic, true) => Deadline::Monotonic(Time(time)),
    };
    sleep(deadline).map_err(|_| Errno::ERESTARTNOHAND)?;
    Ok(0)
}

/// Sleeps until others have used so much of the CPU.
fn sleep_by_cpu(clock: Clock, time: u64, absolute: bool, remainder: u64) -> Result<u64> {
    let own = task::current();
    let by_own = matches!(&clock, Clock::Cpu { counter: Counter::Task(account), .. }
        if core::ptr::eq(&**account, &**own.account()));
    if by_own {
        // It would never end.
        return Err(Errno::EINVAL);
    }
    let until = if absolute {
        time
    } else {
        clock.now().saturating_add(time)
    };
    let slept = timers::sleep_by_cpu(clock.clone(), until);
    if slept == Err(Errno::ERESTARTSYS) {
        if absolute {
            return Err(Errno::ERESTARTNOHAND);
        }
        if remainder != 0 {
            let left = until.saturating_sub(clock.now());
            user::write_value(remainder, Timespec::from_nanoseconds(left))?;
        }
        return Err(Errno::EINTR);
    }
    slept.map(|()| 0)
}

/// Sleeps; when a signal ends it, says how long it would have gone on and
/// leaves what `restart_syscall` needs to do just that.
pub(super) fn sleep_relative(deadline: Time, remainder: u64) -> Result<u64> {
    if sleep(deadline.into()).is_ok() {
        return Ok(0);
    }
    let left = deadline.0.saturating_sub(Time::now().0);
    if left == 0 {
        return Ok(0);
    }
    if remainder != 0 && !crate::mutant!("sleep-rest-untold") {
        user::write_value(remainder, Timespec::from_nanoseconds(left))?;
    }
    task::current().signals.lock().restart = Restart::Sleep {
        deadline,
        remainder,
    };
    Err(Errno::ERESTART_RESTARTBLOCK)
}

fn sleep(deadline: Deadline) -> Result<()> {
    if crate::mutant!("sleep-ends-early") {
        return Ok(());
    }
    WaitQueue::new().wait_until(Some(deadline), || None::<()>)?;
    Ok(())
}
