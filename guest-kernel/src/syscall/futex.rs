//! The futex calls, and the list of locks that a task leaves behind.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::Call;
use super::time::Timespec;
use crate::errno::{Errno, Result};
use crate::futex::{self, Change, Futex, Own, Wanted};
use crate::mm::user;
use crate::sched::{Deadline, Time};
use crate::signal::Restart;
use crate::task;
use crate::task::robust::{self, HEAD_SIZE};

/// One call, taken apart.
struct Request {
    address: u64,
    private: bool,
    value: u32,
    /// The timeout's address, or a second count.
    timeout: u64,
    other: u64,
    third: u32,
    by_real_time: bool,
}

pub(super) fn futex(call: &mut Call<'_>) -> Result<u64> {
    let [address, operation, value, timeout, other, third] = call.args;
    let operation = operation as u32;
    let flags = linux::FUTEX_PRIVATE_FLAG | linux::FUTEX_CLOCK_REALTIME;
    let request = Request {
        address,
        private: operation & linux::FUTEX_PRIVATE_FLAG != 0,
        value: value as u32,
        timeout,
        other,
        third: third as u32,
        by_real_time: operation & linux::FUTEX_CLOCK_REALTIME != 0,
    };
    let command = operation & !flags;
    let has_clock = matches!(
        command,
        linux::FUTEX_WAIT_BITSET | linux::FUTEX_WAIT_REQUEUE_PI | linux::FUTEX_LOCK_PI2
    );
    if request.by_real_time && !has_clock {
        return Err(Errno::ENOSYS);
    }
    request.serve(command)
}

impl Request {
    fn serve(&self, command: u32) -> Result<u64> {
        let futex = || here(self.address, self.private);
        match command {
            linux::FUTEX_WAIT => self.wait(u32::MAX, self.relative()?),
            linux::FUTEX_WAIT_BITSET => self.wait(self.third, self.absolute(self.by_real_time)?),
            linux::FUTEX_WAKE => wake(&futex()?, self.value, u32::MAX),
            linux::FUTEX_WAKE_BITSET => wake(&futex()?, self.value, self.third),
            linux::FUTEX_REQUEUE => self.requeue(None),
            linux::FUTEX_CMP_REQUEUE => self.requeue(Some(self.third)),
            linux::FUTEX_WAKE_OP => self.wake_op(),
            linux::FUTEX_LOCK_PI => self.lock(self.absolute(true)?),
            linux::FUTEX_LOCK_PI2 => self.lock(self.absolute(self.by_real_time)?),
            linux::FUTEX_TRYLOCK_PI => futex::trylock(&futex()?, &own()).map(|()| 0),
            linux::FUTEX_UNLOCK_PI => futex::unlock(&futex()?, &own()).map(|()| 0),
            linux::FUTEX_WAIT_REQUEUE_PI => {
                let deadline = self.absolute(self.by_real_time)?;
                let to = here(self.other, self.private)?;
                futex::wait_for_lock(&futex()?, self.value, &to, &own(), deadline).map(|()| 0)
            }
            linux::FUTEX_CMP_REQUEUE_PI => self.requeue_to_lock(),
            _ => Err(Errno::ENOSYS),
        }
    }

    fn relative(&self) -> Result<Option<Deadline>> {
        match self.timeout {
            0 => Ok(None),
            at => Ok(Some(Time::now().after(Timespec::read(at)?).into())),
        }
    }

    fn absolute(&self, real: bool) -> Result<Option<Deadline>> {
        match self.timeout {
            0 => Ok(None),
            at if real => Ok(Some(Deadline::Real(Timespec::read(at)?))),
            at => Ok(Some(Time(Timespec::read(at)?).into())),
        }
    }

    fn wait(&self, bitset: u32, deadline: Option<Deadline>) -> Result<u64> {
        wait(self.address, self.private, self.value, bitset, deadline)
    }

    fn lock(&self, deadline: Option<Deadline>) -> Result<u64> {
        let futex = here(self.address, self.private)?;
        futex::lock(&futex, &own(), deadline).map(|()| 0)
    }

    /// The two counts of a call that has no timeout.
    fn counts(&self) -> Result<(u64, u64)> {
        let count = |count: u32| u64::try_from(count as i32).map_err(|_| Errno::EINVAL);
        Ok((count(self.value)?, count(self.timeout as u32)?))
    }

    fn requeue(&self, expected: Option<u32>) -> Result<u64> {
        let (wake, requeue) = self.counts()?;
        let from = here(self.address, self.private)?;
        let to = here(self.other, self.private)?;
        futex::requeue(&from, &to, wake, requeue, expected)
    }

    fn requeue_to_lock(&self) -> Result<u64> {
        let (wake, requeue) = self.counts()?;
        let from = here(self.address, self.private)?;
        let to = here(self.other, self.private)?;
        if wake != 1 || from.is(&to) {
            return Err(Errno::EINVAL);
        }
        futex::requeue_to_lock(&from, &to, requeue, self.third, &own())
    }

    fn wake_op(&self) -> Result<u64> {
        let at_least_one = |count: u32| (count as i32).max(1) as u64;
        let change = Change::decode(self.third)?;
        let first = here(self.address, self.private)?;
        let second = here(self.other, self.private)?;
        let (wake, also) = (at_least_one(self.value), at_least_one(self.timeout as u32));
        futex::wake_op(&first, &second, wake, also, change)
    }
}

/// The running task as locks name it, and those that they name.
fn own() -> Own {
    Own {
        tid: task::current().pid().number(),
        find: |tid| {
            let task = task::find(tid).ok_or(Errno::ESRCH)?;
            if task.is_kernel() {
                return Err(Errno::EPERM);
            }
            // Who has left its memory unlocks nothing any more.
            task.mm().map(|_| task.id()).ok_or(Errno::ESRCH)
        },
    }
}

/// The most futexes that one call waits for.
const WAITV_MAX: u64 = 128;
/// The size of a futex's word, and whether it is private.
const FLAG_SIZE_32: u32 = linux::FUTEX_32;

pub(super) fn futex_waitv(call: &mut Call<'_>) -> Result<u64> {
    let [list, count, flags, timeout, clock, _] = call.args;
    if flags != 0 || !(1..=WAITV_MAX).contains(&count) {
        return Err(Errno::EINVAL);
    }
    let deadline = match timeout {
        0 => None,
        at => match clock as u32 {
            linux::CLOCK_REALTIME => Some(Deadline::Real(Timespec::read(at)?)),
            linux::CLOCK_MONOTONIC => Some(Time(Timespec::read(at)?).into()),
            _ => return Err(Errno::EINVAL),
        },
    };
    let mut wanted = Vec::new();
    wanted
        .try_reserve_exact(count as usize)
        .map_err(|_| Errno::ENOMEM)?;
    for at in 0..count {
        // struct futex_waitv: the value, the address, flags, nothing.
        let [value, address, rest]: [u64; 3] = user::read_value(list.wrapping_add(at * 24))?;
        let flags = rest as u32;
        let known = FLAG_SIZE_32 | linux::FUTEX_PRIVATE_FLAG;
        if rest >> 32 != 0 || flags & !known != 0 || flags & FLAG_SIZE_32 == 0 {
            return Err(Errno::EINVAL);
        }
        wanted.push(Wanted {
            futex: here(address, flags & linux::FUTEX_PRIVATE_FLAG != 0)?,
            value: value as u32,
        });
    }
    futex::wait_for_any(&wanted, deadline).map(|at| at as u64)
}

/// The futex at an address of the running task.
fn here(address: u64, private: bool) -> Result<Futex> {
    Futex::at(&user::current()?, address, private)
}

pub(super) fn wait(
    address: u64,
    private: bool,
    value: u32,
    bitset: u32,
    deadline: Option<Deadline>,
) -> Result<u64> {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    let outcome = futex::wait(&here(address, private)?, value, bitset, deadline);
    match (outcome, deadline) {
        (Err(Errno::ERESTARTSYS), Some(deadline)) => {
            // A timeout that was relative must not start from the beginning.
            task::current().signals.lock().restart = Restart::Futex {
                address,
                private,
                value,
                bitset,
                deadline,
            };
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        (outcome, _) => outcome.map(|()| 0),
    }
}

fn wake(futex: &Futex, count: u32, bitset: u32) -> Result<u64> {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    // As on Linux, somebody wakes even if nobody was asked for.
    let count = (count as i32).max(1) as u64;
    futex::wake(futex, count, bitset)
}

pub(super) fn set_robust_list(call: &mut Call<'_>) -> Result<u64> {
    if call.args[1] != HEAD_SIZE {
        return Err(Errno::EINVAL);
    }
    task::current().set_robust_list(call.args[0]);
    Ok(0)
}

pub(super) fn get_robust_list(call: &mut Call<'_>) -> Result<u64> {
    let [pid, head, size, ..] = call.args;
    let list = robust::head_of(pid as u32)?;
    user::write_value(size, HEAD_SIZE)?;
    user::write_value(head, list)?;
    Ok(0)
}
