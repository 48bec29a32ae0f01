//! Timers as descriptors.

use linux_raw_sys::general as linux;

use super::Call;
use super::file::{descriptor, files, limit};
use super::time::Timespec;
use crate::errno::{Errno, Result};
use crate::fs::timerfd::{Setting, TimerFd};
use crate::mm::user;

const TFD_TIMER_ABSTIME: u64 = 1;
const TFD_TIMER_CANCEL_ON_SET: u64 = 2;

pub(super) fn timerfd_create(call: &mut Call<'_>) -> Result<u64> {
    let [clock, flags, ..] = call.args;
    let flags = flags as u32;
    if flags & !(linux::O_CLOEXEC | linux::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let real = match clock as u32 {
        linux::CLOCK_REALTIME => true,
        linux::CLOCK_MONOTONIC | linux::CLOCK_BOOTTIME => false,
        _ => return Err(Errno::EINVAL),
    };
    let file = TimerFd::file(real, flags & linux::O_NONBLOCK != 0)?;
    let close_on_exec = flags & linux::O_CLOEXEC != 0;
    let fd = files().lock().insert(&file, 0, limit(), close_on_exec)?;
    Ok(fd as u64)
}

fn specs((left, interval): Setting) -> [Timespec; 2] {
    [interval, left].map(Timespec::from_nanoseconds)
}

pub(super) fn timerfd_settime(call: &mut Call<'_>) -> Result<u64> {
    let [fd, flags, new, old, ..] = call.args;
    let [interval, left]: [Timespec; 2] = user::read_value(new)?;
    let flags = u64::from(flags as u32);
    if flags & !(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let setting = (left.to_nanoseconds()?, interval.to_nanoseconds()?);
    let file = descriptor(fd)?;
    let timer = file.inode().special::<TimerFd>().ok_or(Errno::EINVAL)?;
    let absolute = flags & TFD_TIMER_ABSTIME != 0;
    let cancels = absolute && flags & TFD_TIMER_CANCEL_ON_SET != 0;
    let before = timer.set(setting, absolute, cancels);
    if old != 0 {
        user::write_value(old, specs(before))?;
    }
    Ok(0)
}

pub(super) fn timerfd_gettime(call: &mut Call<'_>) -> Result<u64> {
    let file = descriptor(call.args[0])?;
    let timer = file.inode().special::<TimerFd>().ok_or(Errno::EINVAL)?;
    user::write_value(call.args[1], specs(timer.setting()))?;
    Ok(0)
}
