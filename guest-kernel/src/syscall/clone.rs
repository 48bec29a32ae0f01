//! Making tasks: fork, vfork, clone, clone3.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::table::Call;
use crate::arch::layout::USER_END;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::task;
use crate::task::clone::{self, CloneArgs};

fn make(args: &CloneArgs) -> Result<u64> {
    let pid = clone::clone(args)?;
    let me = task::current();
    Ok(u64::from(pid.number_in(me.pid().namespace())))
}

pub(super) fn fork(_: &mut Call<'_>) -> Result<u64> {
    make(&CloneArgs {
        exit_signal: linux::SIGCHLD,
        ..CloneArgs::default()
    })
}

pub(super) fn vfork(_: &mut Call<'_>) -> Result<u64> {
    make(&CloneArgs {
        flags: u64::from(linux::CLONE_VFORK | linux::CLONE_VM),
        exit_signal: linux::SIGCHLD,
        ..CloneArgs::default()
    })
}

pub(super) fn clone(call: &mut Call<'_>) -> Result<u64> {
    let [flags, stack, parent_tid, child_tid, tls, _] = call.args;
    let flags = flags & u64::from(u32::MAX);
    make(&CloneArgs {
        flags: flags & !u64::from(linux::CSIGNAL),
        exit_signal: (flags & u64::from(linux::CSIGNAL)) as u32,
        stack,
        tls,
        parent_tid,
        child_tid,
        // The older call has no room for it elsewhere.
        pidfd: parent_tid,
        ..CloneArgs::default()
    })
}

/// Words of `struct clone_args`, and of its first version.
const CLONE_ARGS_WORDS: usize = 11;
const CLONE_ARGS_WORDS_0: u64 = 8;

/// Reads a structure that may be shorter or longer than the one we know: what
/// is missing is zero, what is too much must be.
fn read_clone_args(address: u64, size: u64) -> Result<[u64; CLONE_ARGS_WORDS]> {
    if size < CLONE_ARGS_WORDS_0 * 8 {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let mut bytes = [0; 4096];
    let bytes = &mut bytes[..size as usize];
    user::read_bytes(address, bytes)?;
    if bytes
        .iter()
        .skip(CLONE_ARGS_WORDS * 8)
        .any(|&byte| byte != 0)
    {
        return Err(Errno::E2BIG);
    }
    let mut words = [0; CLONE_ARGS_WORDS];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        let mut value = [0; 8];
        value.copy_from_slice(bytes);
        *word = u64::from_le_bytes(value);
    }
    Ok(words)
}

/// The most numbers that a task can have: PID namespaces lie so deep.
const SET_TID_MAX: u64 = 32;

/// The numbers that the child is to have.
fn read_set_tid(address: u64, count: u64) -> Result<Vec<u32>> {
    if count > SET_TID_MAX || (address == 0) != (count == 0) {
        return Err(Errno::EINVAL);
    }
    let at = |index: u64| address.wrapping_add(index * 4);
    (0..count)
        .map(|index| user::read_value(at(index)))
        .collect()
}

/// The top of a stack, which is given whole or not at all.
fn stack_top(stack: u64, size: u64) -> Result<u64> {
    if (stack == 0) != (size == 0) {
        return Err(Errno::EINVAL);
    }
    let top = stack.checked_add(size).filter(|&top| top <= USER_END);
    top.ok_or(Errno::EINVAL)
}

pub(super) fn clone3(call: &mut Call<'_>) -> Result<u64> {
    let words = read_clone_args(call.args[0], call.args[1])?;
    let [
        flags,
        pidfd,
        child_tid,
        parent_tid,
        exit_signal,
        stack,
        stack_size,
        tls,
        ids,
        id_count,
        _,
    ] = words;
    if exit_signal > 64 {
        return Err(Errno::EINVAL);
    }
    make(&CloneArgs {
        flags,
        exit_signal: exit_signal as u32,
        set_tid: read_set_tid(ids, id_count)?,
        stack: stack_top(stack, stack_size)?,
        tls,
        parent_tid,
        child_tid,
        pidfd,
        strict: true,
        ..CloneArgs::default()
    })
}
