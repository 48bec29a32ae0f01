//! The futex call, and the list of locks that a task leaves behind.

use linux_raw_sys::general as linux;

use super::Call;
use super::time::Timespec;
use crate::errno::{Errno, Result};
use crate::futex::{self, Futex};
use crate::mm::user;
use crate::sched::{Deadline, Time};
use crate::signal::Restart;
use crate::task;
use crate::task::robust::{self, HEAD_SIZE};

pub(super) fn futex(call: &mut Call<'_>) -> Result<u64> {
    let [address, operation, value, timeout, other, third] = call.args;
    let operation = operation as u32;
    let flags = linux::FUTEX_PRIVATE_FLAG | linux::FUTEX_CLOCK_REALTIME;
    let private = operation & linux::FUTEX_PRIVATE_FLAG != 0;
    let by_real_time = operation & linux::FUTEX_CLOCK_REALTIME != 0;
    let value = value as u32;
    let command = operation & !flags;
    if by_real_time && command != linux::FUTEX_WAIT_BITSET {
        return Err(Errno::ENOSYS);
    }
    match command {
        linux::FUTEX_WAIT => {
            let deadline = match timeout {
                0 => None,
                at => Some(Time::now().after(Timespec::read(at)?).into()),
            };
            wait(address, private, value, u32::MAX, deadline)
        }
        linux::FUTEX_WAIT_BITSET => {
            let deadline = match timeout {
                0 => None,
                at if by_real_time => Some(Deadline::Real(Timespec::read(at)?)),
                at => Some(Time(Timespec::read(at)?).into()),
            };
            wait(address, private, value, third as u32, deadline)
        }
        linux::FUTEX_WAKE => wake(address, private, value, u32::MAX),
        linux::FUTEX_WAKE_BITSET => wake(address, private, value, third as u32),
        linux::FUTEX_REQUEUE => requeue(address, other, private, value, timeout, None),
        linux::FUTEX_CMP_REQUEUE => {
            requeue(address, other, private, value, timeout, Some(third as u32))
        }
        _ => Err(Errno::ENOSYS),
    }
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

fn wake(address: u64, private: bool, count: u32, bitset: u32) -> Result<u64> {
    if bitset == 0 {
        return Err(Errno::EINVAL);
    }
    // As on Linux, somebody wakes even if nobody was asked for.
    let count = (count as i32).max(1) as u64;
    Ok(futex::wake(&here(address, private)?, count, bitset))
}

fn requeue(
    from: u64,
    to: u64,
    private: bool,
    wake: u32,
    requeue: u64,
    expected: Option<u32>,
) -> Result<u64> {
    let count = |count: u32| u64::try_from(count as i32).map_err(|_| Errno::EINVAL);
    let (wake, requeue) = (count(wake)?, count(requeue as u32)?);
    let (from, to) = (here(from, private)?, here(to, private)?);
    futex::requeue(&from, &to, wake, requeue, expected)
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
