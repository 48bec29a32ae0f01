//! Calls that only tell something: amounts, limits, random numbers.

use alloc::sync::Arc;

use linux_raw_sys::general as linux;

use super::Call;
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::mm::user::{self, Plain};
use crate::random;
use crate::sched::Time;
use crate::task::credentials::Cap;
use crate::task::group::LIMITS;
use crate::task::{self, Task};

/// `struct sysinfo`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct SysInfo {
    uptime: i64,
    loads: [u64; 3],
    total: u64,
    free: u64,
    shared: u64,
    buffers: u64,
    swap: [u64; 2],
    tasks: u16,
    pad: [u16; 3],
    high: [u64; 2],
    unit: u32,
    end: u32,
}

// SAFETY: numbers side by side, without padding.
unsafe impl Plain for SysInfo {}

const _: () = assert!(size_of::<SysInfo>() == 112);

pub(super) fn sysinfo(call: &mut Call<'_>) -> Result<u64> {
    let info = SysInfo {
        uptime: (Time::now().0 / 1_000_000_000) as i64,
        total: frame::total() * 4096,
        free: frame::free() * 4096,
        tasks: task::count().min(usize::from(u16::MAX)) as u16,
        unit: 1,
        ..SysInfo::default()
    };
    user::write_value(call.args[0], info)?;
    Ok(0)
}

pub(super) fn getrandom(call: &mut Call<'_>) -> Result<u64> {
    let [address, len, flags, ..] = call.args;
    let known = linux::GRND_NONBLOCK | linux::GRND_RANDOM | linux::GRND_INSECURE;
    let both = u64::from(linux::GRND_RANDOM | linux::GRND_INSECURE);
    if flags & !u64::from(known) != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    let len = len.min(i32::MAX as u64);
    let mut done = 0;
    let mut buffer = [0; 256];
    while done < len {
        let part = &mut buffer[..(len - done).min(256) as usize];
        random::fill(part);
        match user::write_bytes(address.wrapping_add(done), part) {
            Ok(()) => done += part.len() as u64,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// The most descriptors that anybody may ask for: Linux's `nr_open`.
const DESCRIPTORS_MAX: u64 = 1 << 20;

fn task_named(pid: u64) -> Result<Arc<Task>> {
    match pid as u32 {
        0 => Ok(task::current()),
        pid => task::find(pid).ok_or(Errno::ESRCH),
    }
}

fn resource(number: u64) -> Result<usize> {
    let resource = number as u32 as usize;
    if resource < LIMITS {
        Ok(resource)
    } else {
        Err(Errno::EINVAL)
    }
}

pub(super) fn prlimit64(call: &mut Call<'_>) -> Result<u64> {
    let [pid, number, new, old, ..] = call.args;
    let resource = resource(number)?;
    let new = match new {
        0 => None,
        at => Some(user::read_value::<[u64; 2]>(at)?),
    };
    let task = task_named(pid)?;
    check_owner(&task)?;
    let (soft, hard) = task.group().limit(resource);
    if let Some(new) = new {
        set_limit(&task, resource, new)?;
    }
    if old != 0 {
        user::write_value(old, [soft, hard])?;
    }
    Ok(0)
}

/// Another's limits belong to who has all its ids, or the capability.
fn check_owner(task: &Task) -> Result<()> {
    let me = task::current();
    let (mine, its) = (me.credentials(), task.credentials());
    let users = [its.uid, its.euid, its.suid];
    let groups = [its.gid, its.egid, its.sgid];
    let same =
        users.iter().all(|&uid| uid == mine.uid) && groups.iter().all(|&gid| gid == mine.gid);
    let allowed = me.tgid() == task.tgid()
        || same
        || mine.capable_in(&its.user, Cap::SysResource)
        || crate::mutant!("prlimit-unchecked");
    if allowed { Ok(()) } else { Err(Errno::EPERM) }
}

pub(super) fn getrlimit(call: &mut Call<'_>) -> Result<u64> {
    let (soft, hard) = task::current().group().limit(resource(call.args[0])?);
    user::write_value(call.args[1], [soft, hard])?;
    Ok(0)
}

pub(super) fn setrlimit(call: &mut Call<'_>) -> Result<u64> {
    let new = user::read_value::<[u64; 2]>(call.args[1])?;
    set_limit(&task::current(), resource(call.args[0])?, new)?;
    Ok(0)
}

/// Sets a limit that somebody heeds: of descriptors, queued signals, CPU time
/// and priorities, and of core files, which are never written. Any other cannot
/// be set, rather than set and forgotten.
fn set_limit(task: &Task, resource: usize, [soft, hard]: [u64; 2]) -> Result<()> {
    if soft > hard {
        return Err(Errno::EINVAL);
    }
    let before = task.group().limit(resource);
    let raises = hard > before.1 && !task::current().credentials().capable(Cap::SysResource);
    let heeded = match resource as u32 {
        linux::RLIMIT_NOFILE => hard <= DESCRIPTORS_MAX,
        linux::RLIMIT_CORE
        | linux::RLIMIT_CPU
        | linux::RLIMIT_NICE
        | linux::RLIMIT_NPROC
        | linux::RLIMIT_RTPRIO
        | linux::RLIMIT_SIGPENDING => true,
        _ => (soft, hard) == before,
    };
    if raises || !heeded {
        return Err(Errno::EPERM);
    }
    task.group().set_limit(resource, (soft, hard));
    super::timer::limit_changed(task, resource);
    Ok(())
}
