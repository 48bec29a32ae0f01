//! wait4 and waitid.

use linux_raw_sys::general as linux;

use super::file::descriptor;
use super::table::Call;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::task;
use crate::task::pid_namespace;
use crate::task::pidfd::PidFd;
use crate::task::wait::{self, Change, Options, Which};

/// The kernel's number for one that the caller gave; no task has number 0 as a
/// child.
fn global(number: i32) -> u32 {
    pid_namespace::own().find(number as u32).unwrap_or(0)
}

fn own_process_group() -> Which {
    Which::Pgrp(task::current().process_group() as u32)
}

pub(super) fn wait4(call: &mut Call<'_>) -> Result<u64> {
    let [pid, status, options, usage, ..] = call.args;
    let known = linux::WNOHANG
        | linux::WUNTRACED
        | linux::WCONTINUED
        | linux::__WALL
        | linux::__WCLONE
        | linux::__WNOTHREAD;
    let options = options as u32;
    if options & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let which = match pid as i32 {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Which::Any,
        0 => own_process_group(),
        pid if pid > 0 => Which::Pid(global(pid)),
        group => Which::Pgrp(global(-group)),
    };
    let Some(change) = wait::wait(which, Options(options | linux::WEXITED))? else {
        return Ok(0);
    };
    if status != 0 {
        user::write_value(status, change.status)?;
    }
    if usage != 0 {
        user::write_value(usage, super::timer::rusage(change.usage))?;
    }
    Ok(u64::from(change.pid))
}

/// The children that waitid's first two arguments name, and whether the call is
/// not to wait for them: a descriptor may say so.
fn named(kind: u32, id: i32) -> Result<(Which, bool)> {
    let which = match (kind, id) {
        (linux::P_PIDFD, 0..) => {
            let file = descriptor(id as u64)?;
            let task = PidFd::of(&file)?.task().map_err(|_| Errno::ECHILD)?;
            let nonblocking = file.flags() & linux::O_NONBLOCK != 0;
            return Ok((Which::Pid(task.id().0), nonblocking));
        }
        (linux::P_ALL, _) => Which::Any,
        (linux::P_PID, 1..) => Which::Pid(global(id)),
        (linux::P_PGID, 1..) => Which::Pgrp(global(id)),
        (linux::P_PGID, 0) => own_process_group(),
        _ => return Err(Errno::EINVAL),
    };
    Ok((which, false))
}

/// Waits as waitid does. Who asked by a descriptor not to wait, and did not say
/// WNOHANG besides, is told that there is nothing yet.
fn wait_for(which: Which, options: u32, nonblocking: bool) -> Result<Option<Change>> {
    if !nonblocking || options & linux::WNOHANG != 0 {
        return wait::wait(which, Options(options));
    }
    let found = wait::wait(which, Options(options | linux::WNOHANG))?;
    found.map(Some).ok_or(Errno::EAGAIN)
}

pub(super) fn waitid(call: &mut Call<'_>) -> Result<u64> {
    let [kind, id, info, options, usage, _] = call.args;
    let known = linux::WNOHANG
        | linux::WNOWAIT
        | linux::WEXITED
        | linux::WSTOPPED
        | linux::WCONTINUED
        | linux::__WALL
        | linux::__WCLONE
        | linux::__WNOTHREAD;
    let options = options as u32;
    let states = linux::WEXITED | linux::WSTOPPED | linux::WCONTINUED;
    if options & !known != 0 || options & states == 0 {
        return Err(Errno::EINVAL);
    }
    let (which, nonblocking) = named(kind as u32, id as i32)?;
    let waited = wait_for(which, options, nonblocking);
    let change = waited.unwrap_or(None);
    if let Some(change) = change.filter(|_| usage != 0) {
        user::write_value(usage, super::timer::rusage(change.usage))?;
    }
    if info != 0 {
        // Also where there was nothing to wait for.
        user::write_bytes(info, &child_info(change))?;
    }
    waited.map(|_| 0)
}

/// The `siginfo_t` of waitid, up to its status.
fn child_info(change: Option<Change>) -> [u8; 28] {
    let mut bytes = [0; 28];
    let Some(change) = change else {
        return bytes;
    };
    let (code, value) = match (change.status, change.status & 0x7F) {
        (0xFFFF, _) => (linux::CLD_CONTINUED, linux::SIGCONT as i32),
        (status, 0x7F) if change.trapped => (linux::CLD_TRAPPED, status >> 8),
        (status, 0x7F) => (linux::CLD_STOPPED, status >> 8),
        (status, 0) => (linux::CLD_EXITED, status >> 8),
        (status, signal) if status & 0x80 != 0 => (linux::CLD_DUMPED, signal),
        (_, signal) => (linux::CLD_KILLED, signal),
    };
    let fields = [
        (0, linux::SIGCHLD),
        (8, code),
        (16, change.pid),
        (20, change.uid),
        (24, value as u32),
    ];
    for (at, field) in fields {
        bytes[at..at + 4].copy_from_slice(&field.to_le_bytes());
    }
    bytes
}
