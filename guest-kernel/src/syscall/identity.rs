//! Who the caller is: user and group ids, further groups, capabilities. Ids
//! are translated here, from and to what they mean in the caller's user
//! namespace.

use alloc::vec::Vec;

use super::Call;
use crate::errno::{Errno, Result};
use crate::mm::{frame, user};
use crate::task::credentials::change::GROUPS_MAX;
use crate::task::credentials::{CapSet, Credentials};
use crate::task::{self, Task};

/// An id argument that leaves the id as it is.
const UNCHANGED: u32 = u32::MAX;

fn uid_argument(me: &Credentials, uid: u64) -> Result<u32> {
    me.user.mean_uid(uid as u32).ok_or(Errno::EINVAL)
}

fn gid_argument(me: &Credentials, gid: u64) -> Result<u32> {
    me.user.mean_gid(gid as u32).ok_or(Errno::EINVAL)
}

fn optional(id: u64, mean: impl Fn(u32) -> Option<u32>) -> Result<Option<u32>> {
    match id as u32 {
        UNCHANGED => Ok(None),
        id => mean(id).map(Some).ok_or(Errno::EINVAL),
    }
}

fn become_one(task: &Task, new: Credentials) -> Result<u64> {
    task.set_credentials(new)?;
    Ok(0)
}

pub(super) fn getuid(_: &mut Call<'_>) -> Result<u64> {
    let me = task::current().credentials();
    Ok(me.user.uid_or_nobody(me.uid).into())
}

pub(super) fn geteuid(_: &mut Call<'_>) -> Result<u64> {
    let me = task::current().credentials();
    Ok(me.user.uid_or_nobody(me.euid).into())
}

pub(super) fn getgid(_: &mut Call<'_>) -> Result<u64> {
    let me = task::current().credentials();
    Ok(me.user.gid_or_nobody(me.gid).into())
}

pub(super) fn getegid(_: &mut Call<'_>) -> Result<u64> {
    let me = task::current().credentials();
    Ok(me.user.gid_or_nobody(me.egid).into())
}

fn write_three(call: &Call<'_>, ids: [u32; 3]) -> Result<u64> {
    for (address, id) in call.args.into_iter().zip(ids) {
        user::write_value(address, id)?;
    }
    Ok(0)
}

pub(super) fn getresuid(call: &mut Call<'_>) -> Result<u64> {
    let me = task::current().credentials();
    let ids = [me.uid, me.euid, me.suid];
    write_three(call, ids.map(|uid| me.user.uid_or_nobody(uid)))
}

pub(super) fn getresgid(call: &mut Call<'_>) -> Result<u64> {
    let me = task::current().credentials();
    let ids = [me.gid, me.egid, me.sgid];
    write_three(call, ids.map(|gid| me.user.gid_or_nobody(gid)))
}

pub(super) fn setuid(call: &mut Call<'_>) -> Result<u64> {
    let task = task::current();
    let me = task.credentials();
    become_one(&task, me.setuid(uid_argument(&me, call.args[0])?)?)
}

pub(super) fn setgid(call: &mut Call<'_>) -> Result<u64> {
    let task = task::current();
    let me = task.credentials();
    become_one(&task, me.setgid(gid_argument(&me, call.args[0])?)?)
}

pub(super) fn setreuid(call: &mut Call<'_>) -> Result<u64> {
    let task = task::current();
    let me = task.credentials();
    let mean = |uid| me.user.mean_uid(uid);
    let real = optional(call.args[0], mean)?;
    become_one(&task, me.setreuid(real, optional(call.args[1], mean)?)?)
}

pub(super) fn setregid(call: &mut Call<'_>) -> Result<u64> {
    let task = task::current();
    let me = task.credentials();
    let mean = |gid| me.user.mean_gid(gid);
    let real = optional(call.args[0], mean)?;
    become_one(&task, me.setregid(real, optional(call.args[1], mean)?)?)
}

pub(super) fn setresuid(call: &mut Call<'_>) -> Result<u64> {
    let task = task::current();
    let me = task.credentials();
    let mean = |uid| me.user.mean_uid(uid);
    let [real, effective, saved, ..] = call.args;
    let ids = [
        optional(real, mean)?,
        optional(effective, mean)?,
        optional(saved, mean)?,
    ];
    become_one(&task, me.setresuid(ids)?)
}

pub(super) fn setresgid(call: &mut Call<'_>) -> Result<u64> {
    let task = task::current();
    let me = task.credentials();
    let mean = |gid| me.user.mean_gid(gid);
    let [real, effective, saved, ..] = call.args;
    let ids = [
        optional(real, mean)?,
        optional(effective, mean)?,
        optional(saved, mean)?,
    ];
    become_one(&task, me.setresgid(ids)?)
}

/// `setfsuid` tells what the id was, whether or not it changed.
pub(super) fn setfsuid(call: &mut Call<'_>) -> Result<u64> {
    let task = task::current();
    let me = task.credentials();
    let wanted = me.user.mean_uid(call.args[0] as u32);
    if let Some(new) = wanted.and_then(|uid| me.setfsuid(uid)) {
        task.set_credentials(new)?;
    }
    Ok(me.user.uid_or_nobody(me.fsuid).into())
}

pub(super) fn setfsgid(call: &mut Call<'_>) -> Result<u64> {
    let task = task::current();
    let me = task.credentials();
    let wanted = me.user.mean_gid(call.args[0] as u32);
    if let Some(new) = wanted.and_then(|gid| me.setfsgid(gid)) {
        task.set_credentials(new)?;
    }
    Ok(me.user.gid_or_nobody(me.fsgid).into())
}

pub(super) fn getgroups(call: &mut Call<'_>) -> Result<u64> {
    let (size, address) = (call.args[0] as i32, call.args[1]);
    let me = task::current().credentials();
    let size = usize::try_from(size).map_err(|_| Errno::EINVAL)?;
    if size == 0 {
        return Ok(me.groups.len() as u64);
    }
    if me.groups.len() > size {
        return Err(Errno::EINVAL);
    }
    for (at, &gid) in me.groups.iter().enumerate() {
        let place = address.wrapping_add(at as u64 * 4);
        user::write_value(place, me.user.gid_or_nobody(gid))?;
    }
    Ok(me.groups.len() as u64)
}

pub(super) fn setgroups(call: &mut Call<'_>) -> Result<u64> {
    let (size, address) = (call.args[0] as u32 as usize, call.args[1]);
    let task = task::current();
    let me = task.credentials();
    if !me.may_set_groups() {
        return Err(Errno::EPERM);
    }
    if size > GROUPS_MAX {
        return Err(Errno::EINVAL);
    }
    frame::room()?;
    let mut groups = Vec::new();
    groups.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
    for at in 0..size as u64 {
        let gid: u32 = user::read_value(address.wrapping_add(at * 4))?;
        groups.push(me.user.mean_gid(gid).ok_or(Errno::EINVAL)?);
    }
    become_one(&task, me.with_groups(groups))
}

const VERSION_1: u32 = 0x1998_0330;
const VERSION_2: u32 = 0x2007_1026;
const VERSION_3: u32 = 0x2008_0522;

/// How many words each set has in the version that a header names; the one we
/// like best is written into a header that names none.
fn words(header: u64) -> Result<usize> {
    match user::read_value::<u32>(header)? {
        VERSION_1 => Ok(1),
        VERSION_2 | VERSION_3 => Ok(2),
        _ => {
            user::write_value(header, VERSION_3)?;
            Err(Errno::EINVAL)
        }
    }
}

pub(super) fn capget(call: &mut Call<'_>) -> Result<u64> {
    let [header, data, ..] = call.args;
    let words = match words(header) {
        // Only the version was asked for.
        Err(Errno::EINVAL) if data == 0 => return Ok(0),
        words => words?,
    };
    let pid: i32 = user::read_value(header.wrapping_add(4))?;
    let task = match pid {
        ..0 => return Err(Errno::EINVAL),
        0 => task::current(),
        pid => task::find(pid as u32).ok_or(Errno::ESRCH)?,
    };
    if data == 0 {
        return Ok(0);
    }
    let of = task.credentials();
    let sets = [of.effective, of.permitted, of.inheritable];
    for word in 0..words {
        let part = sets.map(|set| (set.bits() >> (32 * word)) as u32);
        user::write_value(data.wrapping_add(word as u64 * 12), part)?;
    }
    Ok(0)
}

pub(super) fn capset(call: &mut Call<'_>) -> Result<u64> {
    let [header, data, ..] = call.args;
    let words = words(header)?;
    let pid: i32 = user::read_value(header.wrapping_add(4))?;
    let task = task::current();
    if pid != 0 && pid as u32 != task.id().0 {
        return Err(Errno::EPERM);
    }
    let mut sets = [0_u64; 3];
    for word in 0..words {
        let part: [u32; 3] = user::read_value(data.wrapping_add(word as u64 * 12))?;
        for (set, part) in sets.iter_mut().zip(part) {
            *set |= u64::from(part) << (32 * word);
        }
    }
    let [effective, permitted, inheritable] = sets.map(CapSet::from_bits);
    let me = task.credentials();
    become_one(
        &task,
        me.with_capabilities(effective, permitted, inheritable)?,
    )
}
