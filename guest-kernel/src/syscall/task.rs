//! Tasks: making, replacing, ending and waiting for them, and who they are.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::file::user_path;
use super::table::Call;
use crate::arch::layout::USER_END;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::sched;
use crate::task::clone::{self, CloneArgs};
use crate::task::rseq::Registration;
use crate::task::tree::TREE;
use crate::task::wait::{self, Change, Options, Which};
use crate::task::{self, Task, exec, exit, rseq};

fn make(args: &CloneArgs) -> Result<u64> {
    clone::clone(args).map(u64::from)
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

pub(super) fn clone3(call: &mut Call<'_>) -> Result<u64> {
    let words = read_clone_args(call.args[0], call.args[1])?;
    let [
        flags,
        _,
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
    let half_a_stack = (stack == 0) != (stack_size == 0);
    if half_a_stack || ids != 0 || id_count != 0 || exit_signal > u64::from(linux::CSIGNAL) {
        return Err(Errno::EINVAL);
    }
    let stack = stack.checked_add(stack_size).filter(|&top| top <= USER_END);
    make(&CloneArgs {
        flags,
        exit_signal: exit_signal as u32,
        stack: stack.ok_or(Errno::EINVAL)?,
        tls,
        parent_tid,
        child_tid,
        strict: true,
        ..CloneArgs::default()
    })
}

/// The longest single string, with its NUL.
const STRING_MAX: usize = 32 * 4096;
/// The most strings.
const STRINGS_MAX: usize = 1 << 17;
/// What all may take together.
const ALL_STRINGS_MAX: usize = 2 << 20;

/// Reads an array of strings that a null pointer ends.
fn read_strings(address: u64) -> Result<Vec<Vec<u8>>> {
    let mut strings = Vec::new();
    let mut total = 0;
    if address == 0 {
        return Ok(strings);
    }
    for index in 0..STRINGS_MAX as u64 {
        let pointer: u64 = user::read_value(address.wrapping_add(index * 8))?;
        if pointer == 0 {
            return Ok(strings);
        }
        let string = user::read_cstr(pointer, STRING_MAX).map_err(|error| match error {
            Errno::ENAMETOOLONG => Errno::E2BIG,
            error => error,
        })?;
        total += string.len() + 9;
        if total > ALL_STRINGS_MAX {
            break;
        }
        crate::mm::frame::room()?;
        strings.push(string);
    }
    Err(Errno::E2BIG)
}

pub(super) fn execve(call: &mut Call<'_>) -> Result<u64> {
    let [path, args, env, ..] = call.args;
    let path = user_path(path)?;
    let inode = exec::find(&path)?;
    let mut args = read_strings(args)?;
    if args.is_empty() {
        // A program always has a name.
        args.push(Vec::new());
    }
    let env = read_strings(env)?;
    *call.frame = exec::exec(&path, inode, &args, &env)?;
    Ok(0)
}

pub(super) fn exit(call: &mut Call<'_>) -> Result<u64> {
    exit::exit(exit::exited(call.args[0] as i32))
}

pub(super) fn exit_group(call: &mut Call<'_>) -> Result<u64> {
    exit::exit_group(exit::exited(call.args[0] as i32))
}

/// Bytes of `struct rusage`: nothing in it is counted.
const RUSAGE: usize = 144;

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
        0 => Which::Pgrp(task::current().process_group() as u32),
        pid if pid > 0 => Which::Pid(pid as u32),
        group => Which::Pgrp(-group as u32),
    };
    let Some(change) = wait::wait(which, Options(options | linux::WEXITED))? else {
        return Ok(0);
    };
    if status != 0 {
        user::write_value(status, change.status)?;
    }
    if usage != 0 {
        user::write_bytes(usage, &[0; RUSAGE])?;
    }
    Ok(u64::from(change.pid))
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
    let id = id as i32;
    let which = match (kind as u32, id) {
        (linux::P_ALL, _) => Which::Any,
        (linux::P_PID, 1..) => Which::Pid(id as u32),
        (linux::P_PGID, 1..) => Which::Pgrp(id as u32),
        (linux::P_PGID, 0) => Which::Pgrp(task::current().process_group() as u32),
        _ => return Err(Errno::EINVAL),
    };
    let change = wait::wait(which, Options(options))?;
    if usage != 0 && change.is_some() {
        user::write_bytes(usage, &[0; RUSAGE])?;
    }
    if info != 0 {
        user::write_bytes(info, &child_info(change))?;
    }
    Ok(0)
}

/// The `siginfo_t` of waitid, up to its status.
fn child_info(change: Option<Change>) -> [u8; 28] {
    let mut bytes = [0; 28];
    let Some(change) = change else {
        return bytes;
    };
    let (code, value) = match (change.status, change.status & 0x7F) {
        (0xFFFF, _) => (linux::CLD_CONTINUED, linux::SIGCONT as i32),
        (status, 0x7F) => (linux::CLD_STOPPED, status >> 8),
        (status, 0) => (linux::CLD_EXITED, status >> 8),
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

pub(super) fn getpid(_: &mut Call<'_>) -> Result<u64> {
    Ok(task::current().tgid().into())
}

pub(super) fn gettid(_: &mut Call<'_>) -> Result<u64> {
    Ok(task::current().id().into())
}

pub(super) fn getppid(_: &mut Call<'_>) -> Result<u64> {
    let tgid = task::current().tgid().0;
    let parent = TREE.lock().node(tgid).map_or(0, |node| node.parent);
    Ok(u64::from(parent))
}

/// The task that a PID argument names; 0 is the caller.
fn named(pid: u64) -> Result<Arc<Task>> {
    match pid as i32 {
        0 => Ok(task::current()),
        pid if pid > 0 => task::find(pid as u32).ok_or(Errno::ESRCH),
        _ => Err(Errno::ESRCH),
    }
}

pub(super) fn getpgid(call: &mut Call<'_>) -> Result<u64> {
    Ok(named(call.args[0])?.process_group() as u64)
}

pub(super) fn getpgrp(_: &mut Call<'_>) -> Result<u64> {
    Ok(task::current().process_group() as u64)
}

pub(super) fn getsid(call: &mut Call<'_>) -> Result<u64> {
    Ok(u64::from(named(call.args[0])?.group().session()))
}

pub(super) fn setpgid(call: &mut Call<'_>) -> Result<u64> {
    let me = task::current();
    let task = named(call.args[0])?;
    let wanted = match call.args[1] as i32 {
        0 => task.tgid().0,
        group if group > 0 => group as u32,
        _ => return Err(Errno::EINVAL),
    };
    let tree = TREE.lock();
    let own_child = tree
        .node(task.tgid().0)
        .is_some_and(|node| node.parent == me.tgid().0);
    if !task.is_leader() || task.tgid() != me.tgid() && !own_child {
        return Err(Errno::ESRCH);
    }
    let session = task.group().session();
    let exists = wanted == task.tgid().0
        || tree
            .groups()
            .any(|node| node.group.process_group() == wanted && node.group.session() == session);
    if !exists || session == task.tgid().0 || session != me.group().session() {
        return Err(Errno::EPERM);
    }
    drop(tree);
    task.group().set_process_group(wanted);
    Ok(0)
}

pub(super) fn setsid(_: &mut Call<'_>) -> Result<u64> {
    let me = task::current();
    let tgid = me.tgid().0;
    let leads = TREE
        .lock()
        .groups()
        .any(|node| node.group.process_group() == tgid);
    if leads {
        return Err(Errno::EPERM);
    }
    me.group().lead_session();
    Ok(u64::from(tgid))
}

pub(super) fn set_tid_address(call: &mut Call<'_>) -> Result<u64> {
    let me = task::current();
    me.set_clear_tid(call.args[0]);
    Ok(me.id().into())
}

/// The only flag: the registration is taken back.
const RSEQ_FLAG_UNREGISTER: u32 = 1;

pub(super) fn rseq(call: &mut Call<'_>) -> Result<u64> {
    let [area, len, flags, signature, ..] = call.args;
    let registration = Registration {
        area,
        len: len as u32,
        signature: signature as u32,
    };
    match flags as u32 {
        0 => rseq::register(registration)?,
        RSEQ_FLAG_UNREGISTER => rseq::unregister(registration)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

pub(super) fn sched_yield(_: &mut Call<'_>) -> Result<u64> {
    sched::yield_now();
    Ok(0)
}

/// Bytes of the mask that this kernel has: a word.
const CPU_MASK: u64 = 8;

pub(super) fn sched_getaffinity(call: &mut Call<'_>) -> Result<u64> {
    let [pid, len, mask, ..] = call.args;
    if len < CPU_MASK || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    named(pid)?;
    user::write_value(mask, (1_u64 << crate::arch::percpu::MAX_CPUS) - 1)?;
    Ok(CPU_MASK)
}

const ARCH_SET_GS: u64 = 0x1001;
const ARCH_SET_FS: u64 = 0x1002;
const ARCH_GET_FS: u64 = 0x1003;
const ARCH_GET_GS: u64 = 0x1004;

pub(super) fn arch_prctl(call: &mut Call<'_>) -> Result<u64> {
    let [code, address, ..] = call.args;
    let (fs, gs) = sched::user_bases();
    match code {
        ARCH_GET_FS => user::write_value(address, fs)?,
        ARCH_GET_GS => user::write_value(address, gs)?,
        ARCH_SET_FS | ARCH_SET_GS if address >= USER_END => return Err(Errno::EPERM),
        ARCH_SET_FS => sched::set_user_bases(address, gs),
        ARCH_SET_GS => sched::set_user_bases(fs, address),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
