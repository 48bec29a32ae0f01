//! Tasks: another program, the end, who they are to permission checks, and what
//! they register.

use alloc::vec::Vec;

use super::file::user_path;
use super::table::Call;
use crate::arch::layout::USER_END;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::sched;
use crate::task::rseq::Registration;
use crate::task::{self, exec, exit, ptrace, rseq};

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
    let before = task::current().id();
    *call.frame = exec::exec(&path, inode, &args, &env)?;
    ptrace::after_exec(call.nr, before.into(), call.frame);
    Ok(0)
}

pub(super) fn exit(call: &mut Call<'_>) -> Result<u64> {
    exit::exit(exit::exited(call.args[0] as i32))
}

pub(super) fn exit_group(call: &mut Call<'_>) -> Result<u64> {
    exit::exit_group(exit::exited(call.args[0] as i32))
}

pub(super) fn set_tid_address(call: &mut Call<'_>) -> Result<u64> {
    let me = task::current();
    me.set_clear_tid(call.args[0]);
    Ok(u64::from(me.pid().number()))
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
