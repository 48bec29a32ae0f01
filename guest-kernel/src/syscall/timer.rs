//! Interval timers and POSIX timers.

use linux_raw_sys::general as linux;

use super::Call;
use super::time::{self, Timespec};
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::signal::Signal;
use crate::task::timers::{self, Clock, Notify, Setting};
use crate::task::{self, group};

const MICROSECOND: u64 = 1000;
const SECOND: u64 = 1_000_000_000;

/// `struct itimerval`: the interval and the time left, in seconds and
/// microseconds.
type IntervalWords = [i64; 4];

fn from_timeval(seconds: i64, microseconds: i64) -> Result<u64> {
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    if !(0..1_000_000).contains(&microseconds) {
        return Err(Errno::EINVAL);
    }
    let part = microseconds as u64 * MICROSECOND;
    Ok(seconds.saturating_mul(SECOND).saturating_add(part))
}

/// What is left, rounded so that a timer that runs never shows 0.
fn to_words(setting: Setting) -> IntervalWords {
    let left = match setting.left {
        0 => 0,
        left => left.max(MICROSECOND),
    };
    let split = |time: u64| [(time / SECOND) as i64, (time % SECOND / MICROSECOND) as i64];
    let ([a, b], [c, d]) = (split(setting.interval), split(left));
    [a, b, c, d]
}

fn which(number: u64) -> Result<usize> {
    match number as u32 {
        which @ 0..=2 => Ok(which as usize),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn getitimer(call: &mut Call<'_>) -> Result<u64> {
    let setting = timers::get_interval(which(call.args[0])?);
    user::write_value(call.args[1], to_words(setting))?;
    Ok(0)
}

pub(super) fn setitimer(call: &mut Call<'_>) -> Result<u64> {
    let [number, new, old, ..] = call.args;
    // Without a new value Linux stops the timer.
    let words: IntervalWords = match new {
        0 => [0; 4],
        at => user::read_value(at)?,
    };
    let setting = Setting {
        interval: from_timeval(words[0], words[1])?,
        left: from_timeval(words[2], words[3])?,
    };
    let before = timers::set_interval(which(number)?, setting)?;
    if old != 0 {
        user::write_value(old, to_words(before))?;
    }
    Ok(0)
}

pub(super) fn alarm(call: &mut Call<'_>) -> Result<u64> {
    let seconds = u64::from(call.args[0] as u32);
    let setting = Setting {
        left: seconds * SECOND,
        interval: 0,
    };
    let before = timers::set_interval(0, setting)?.left;
    let (seconds, rest) = (before / SECOND, before % SECOND);
    // Rounded, but a timer that runs never shows 0.
    let up = rest >= SECOND / 2 || seconds == 0 && rest > 0;
    Ok(seconds + u64::from(up))
}

/// `struct sigevent`: value, signal, kind of notification, task.
fn read_event(address: u64) -> Result<(u64, u32, u32, u32)> {
    let words: [u32; 16] = user::read_value(address)?;
    let value = u64::from(words[0]) | u64::from(words[1]) << 32;
    Ok((value, words[2], words[3], words[4]))
}

fn notification(address: u64) -> Result<impl FnOnce(u32) -> Notify> {
    let mut by_default = false;
    let notify = if address == 0 {
        by_default = true;
        Notify::Signal {
            signal: Signal::SIGALRM,
            value: 0,
            task: None,
        }
    } else {
        let (value, number, kind, tid) = read_event(address)?;
        let signal = || Signal::new(u64::from(number)).ok_or(Errno::EINVAL);
        match kind {
            linux::SIGEV_NONE => Notify::Nothing,
            linux::SIGEV_SIGNAL | linux::SIGEV_THREAD => Notify::Signal {
                signal: signal()?,
                value,
                task: None,
            },
            linux::SIGEV_THREAD_ID => Notify::Signal {
                signal: signal()?,
                value,
                task: Some(task_of_group(tid)?),
            },
            _ => return Err(Errno::EINVAL),
        }
    };
    Ok(move |id: u32| match notify {
        Notify::Signal { signal, task, .. } if by_default => Notify::Signal {
            signal,
            value: u64::from(id),
            task,
        },
        notify => notify,
    })
}

/// A task of the caller's group.
fn task_of_group(tid: u32) -> Result<crate::sched::TaskId> {
    let task = task::find(tid).ok_or(Errno::EINVAL)?;
    let own = task.tgid() == task::current().tgid();
    own.then(|| task.id()).ok_or(Errno::EINVAL)
}

pub(super) fn timer_create(call: &mut Call<'_>) -> Result<u64> {
    let [number, event, place, ..] = call.args;
    let clock = match number as u32 {
        linux::CLOCK_REALTIME_COARSE
        | linux::CLOCK_MONOTONIC_COARSE
        | linux::CLOCK_MONOTONIC_RAW => return Err(Errno::EOPNOTSUPP),
        _ => time::clock(number)?.0,
    };
    let id = timers::create(clock, notification(event)?)?;
    if let Err(error) = user::write_value(place, id) {
        timers::delete(id)?;
        return Err(error);
    }
    Ok(0)
}

pub(super) fn timer_settime(call: &mut Call<'_>) -> Result<u64> {
    let [id, flags, new, old, ..] = call.args;
    if new == 0 {
        return Err(Errno::EINVAL);
    }
    let [interval, value]: [Timespec; 2] = user::read_value(new)?;
    let setting = Setting {
        left: value.to_nanoseconds()?,
        interval: interval.to_nanoseconds()?,
    };
    let absolute = flags & u64::from(linux::TIMER_ABSTIME) != 0;
    let before = timers::find(id as u32)?.set(setting, absolute);
    if old != 0 {
        user::write_value(old, specs(before))?;
    }
    Ok(0)
}

/// `struct itimerspec`.
pub(super) fn specs(setting: Setting) -> [Timespec; 2] {
    [setting.interval, setting.left].map(Timespec::from_nanoseconds)
}

pub(super) fn timer_gettime(call: &mut Call<'_>) -> Result<u64> {
    let setting = timers::find(call.args[0] as u32)?.setting();
    user::write_value(call.args[1], specs(setting))?;
    Ok(0)
}

pub(super) fn timer_getoverrun(call: &mut Call<'_>) -> Result<u64> {
    let overrun = timers::find(call.args[0] as u32)?.overrun();
    Ok(overrun as u64)
}

pub(super) fn timer_delete(call: &mut Call<'_>) -> Result<u64> {
    timers::delete(call.args[0] as u32)?;
    Ok(0)
}

/// Clock ticks of `times` and `/proc` in a second.
pub const TICKS: u64 = 100;

/// Nanoseconds as ticks.
pub fn ticks(nanoseconds: u64) -> u64 {
    nanoseconds / (SECOND / TICKS)
}

pub(super) fn times(call: &mut Call<'_>) -> Result<u64> {
    let me = task::current();
    let own = me.group().clock.times();
    let children = me.group().reaped.lock().times;
    if call.args[0] != 0 {
        let times = [own.user, own.system, children.user, children.system];
        user::write_value(call.args[0], times.map(ticks))?;
    }
    Ok(ticks(crate::sched::Time::now().0))
}

/// `struct rusage`: two times and fourteen numbers, of which this kernel counts
/// page faults and switches.
pub fn rusage(usage: crate::sched::Usage) -> [u64; 18] {
    let mut words = [0; 18];
    let time = |time: u64| [time / SECOND, time % SECOND / MICROSECOND];
    words[..2].copy_from_slice(&time(usage.times.user));
    words[2..4].copy_from_slice(&time(usage.times.system));
    words[8] = usage.faults;
    words[16] = usage.voluntary;
    words[17] = usage.involuntary;
    words
}

const RUSAGE_CHILDREN: i32 = -1;
const RUSAGE_SELF: i32 = 0;
const RUSAGE_THREAD: i32 = 1;

pub(super) fn getrusage(call: &mut Call<'_>) -> Result<u64> {
    let me = task::current();
    let usage = match call.int(0) {
        RUSAGE_SELF => me.group().clock.usage(),
        RUSAGE_CHILDREN => *me.group().reaped.lock(),
        RUSAGE_THREAD => me.account().clock.usage(),
        _ => return Err(Errno::EINVAL),
    };
    user::write_value(call.args[1], rusage(usage))?;
    Ok(0)
}

/// The clock that a CPU clock's number names: those of the caller, and those
/// that are made from a PID.
pub(super) fn cpu_clock(number: u64) -> Result<Clock> {
    let number = number as i32;
    let own = task::current();
    let (task, whole_group, kind) = match number as u32 {
        linux::CLOCK_PROCESS_CPUTIME_ID => (own, true, 2),
        linux::CLOCK_THREAD_CPUTIME_ID => (own, false, 2),
        _ if number < 0 => {
            let pid = !(number >> 3) as u32;
            let task = match pid {
                0 => own,
                pid => task::find(pid).ok_or(Errno::EINVAL)?,
            };
            (task, number & 4 == 0, number & 3)
        }
        _ => return Err(Errno::EINVAL),
    };
    // A thread's clock is seen by its group only, a group's goes by its leader.
    let visible = if whole_group {
        task.is_leader() || task.tgid() == task::current().tgid()
    } else {
        task.tgid() == task::current().tgid()
    };
    if !visible || kind == 3 {
        return Err(Errno::EINVAL);
    }
    let counter = if whole_group {
        timers::Counter::Group(task.group().clock.clone())
    } else {
        timers::Counter::Task(task.account().clone())
    };
    Ok(Clock::Cpu {
        counter,
        user: kind == 1,
    })
}

/// A limit that timers look after has changed.
pub(super) fn limit_changed(task: &task::Task, resource: usize) {
    if resource == group::LIMIT_CPU {
        timers::rearm(task.group());
    }
}
