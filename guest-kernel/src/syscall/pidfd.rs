//! Descriptors for tasks, and the calls that take namespaces apart and enter
//! them.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::file::{descriptor, files, limit};
use super::signal::own_info;
use super::table::Call;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::signal::{SigInfo, Signal, code};
use crate::task::namespace_file::{Namespace, NamespaceFile};
use crate::task::pidfd::{PIDFD_NONBLOCK, PIDFD_THREAD, PidFd, may_look_into};
use crate::task::{self, signal as sending, unshare};

pub(super) fn pidfd_open(call: &mut Call<'_>) -> Result<u64> {
    let (number, flags) = (call.int(0), call.args[1] as u32);
    if flags & !(PIDFD_NONBLOCK | PIDFD_THREAD) != 0 || number <= 0 {
        return Err(Errno::EINVAL);
    }
    let task = task::find(number as u32).ok_or(Errno::ESRCH)?;
    if !task.is_leader() && flags & PIDFD_THREAD == 0 {
        return Err(Errno::ENOENT);
    }
    let file = PidFd::file(&task.pid(), flags)?;
    let fd = files().lock().insert(&file, 0, limit(), true)?;
    Ok(fd as u64)
}

const SIGNAL_THREAD: u32 = 1;
const SIGNAL_THREAD_GROUP: u32 = 2;
const SIGNAL_PROCESS_GROUP: u32 = 4;

pub(super) fn pidfd_send_signal(call: &mut Call<'_>) -> Result<u64> {
    let [fd, number, info, flags, ..] = call.args;
    let flags = flags as u32;
    let known = SIGNAL_THREAD | SIGNAL_THREAD_GROUP | SIGNAL_PROCESS_GROUP;
    if flags & !known != 0 || flags.count_ones() > 1 {
        return Err(Errno::EINVAL);
    }
    let file = descriptor(fd)?;
    let pidfd = PidFd::of(&file)?;
    let task = pidfd.task()?;
    let me = task::current();
    if task.number_for(&me) == 0 {
        return Err(Errno::EINVAL);
    }
    let named = flags == SIGNAL_THREAD || flags == 0 && pidfd.is_single();
    let alone = named && !crate::mutant!("pidfd-single-is-group");
    let signal = match number as u32 {
        0 => None,
        number => Some(Signal::new(u64::from(number)).ok_or(Errno::EINVAL)?),
    };
    let info = match (signal, info) {
        (None, _) => None,
        (Some(signal), 0) => {
            let code = if alone { code::SI_TKILL } else { code::SI_USER };
            Some(own_info(signal, code))
        }
        (Some(signal), at) => {
            let own = task.id() == me.id() && !alone;
            Some(given_info(signal, at, own)?)
        }
    };
    if flags == SIGNAL_PROCESS_GROUP {
        sending::to_process_group(task.id().0 as i32, info)?;
    } else {
        sending::to_known(&task, !alone, info)?;
    }
    Ok(0)
}

/// What the caller wants to be said with the signal; what the kernel says
/// itself only to itself.
fn given_info(signal: Signal, address: u64, own: bool) -> Result<SigInfo> {
    let mut bytes = [0; SigInfo::SIZE];
    user::read_bytes(address, &mut bytes)?;
    if bytes[..4] != i32::from(signal.number()).to_le_bytes() {
        return Err(Errno::EINVAL);
    }
    let info = SigInfo::from_bytes(signal, &bytes);
    if !own && (info.code >= 0 || info.code == code::SI_TKILL) {
        return Err(Errno::EPERM);
    }
    Ok(info)
}

pub(super) fn pidfd_getfd(call: &mut Call<'_>) -> Result<u64> {
    let [fd, theirs, flags, ..] = call.args;
    if flags as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    let file = descriptor(fd)?;
    let task = PidFd::of(&file)?.task()?;
    if !may_look_into(&task::current(), &task) {
        return Err(Errno::EPERM);
    }
    let taken = task.open_file(theirs as i32)?;
    let close_on_exec = !crate::mutant!("pidfd-getfd-stays-open");
    let fd = files().lock().insert(&taken, 0, limit(), close_on_exec)?;
    Ok(fd as u64)
}

pub(super) fn unshare(call: &mut Call<'_>) -> Result<u64> {
    if call.args[0] >> 32 != 0 {
        return Err(Errno::EINVAL);
    }
    unshare::unshare(call.args[0] as u32)?;
    Ok(0)
}

/// The kinds that setns enters through a descriptor for a task, in the order
/// in which it does so.
const KINDS: [(u32, &[u8]); 5] = [
    (linux::CLONE_NEWUSER, b"user"),
    (linux::CLONE_NEWUTS, b"uts"),
    (linux::CLONE_NEWIPC, b"ipc"),
    (linux::CLONE_NEWPID, b"pid"),
    (linux::CLONE_NEWNS, b"mnt"),
];

pub(super) fn setns(call: &mut Call<'_>) -> Result<u64> {
    let flags = call.args[1] as u32;
    let file = descriptor(call.args[0])?;
    if let Some(NamespaceFile(namespace)) = file.inode().special::<NamespaceFile>() {
        if flags != 0 && flags != namespace.flag() {
            return Err(Errno::EINVAL);
        }
        unshare::enter(core::slice::from_ref(namespace))?;
        return Ok(0);
    }
    let pidfd = PidFd::of(&file).map_err(|_| Errno::EINVAL)?;
    let known = KINDS.iter().fold(0, |known, (flag, _)| known | flag);
    if flags == 0 || flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let task = pidfd.task()?;
    if !may_look_into(&task::current(), &task) {
        return Err(Errno::EPERM);
    }
    let wanted = KINDS.iter().filter(|(flag, _)| flags & flag != 0);
    let all: Vec<Namespace> = wanted
        .filter_map(|(_, name)| Namespace::named(&task, name))
        .collect();
    unshare::enter(&all)?;
    Ok(0)
}
