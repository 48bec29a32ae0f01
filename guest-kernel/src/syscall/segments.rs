//! System V shared memory.

use alloc::sync::Arc;

use super::Call;
use super::semaphores::permission_words;
use crate::arch::layout::PAGE_SIZE;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::mm::vma::Prot;
use crate::task;
use crate::task::ipc::segments::{SEGMENTS_MAX, SIZE_MAX, Status};
use crate::task::ipc::{IpcNamespace, shown_group};

/// shmget's flag for huge pages, which there are none of.
const SHM_HUGETLB: u32 = 0o4000;
/// shmat's flags.
const SHM_RDONLY: u32 = 0o10000;
const SHM_RND: u32 = 0o20000;
const SHM_REMAP: u32 = 0o40000;
const SHM_EXEC: u32 = 0o100_000;

/// Commands of shmctl, with Linux's names.
mod command {
    pub const IPC_RMID: i32 = 0;
    pub const IPC_SET: i32 = 1;
    pub const IPC_STAT: i32 = 2;
    pub const IPC_INFO: i32 = 3;
    pub const SHM_LOCK: i32 = 11;
    pub const SHM_UNLOCK: i32 = 12;
    pub const SHM_STAT: i32 = 13;
    pub const SHM_INFO: i32 = 14;
    pub const SHM_STAT_ANY: i32 = 15;
}

fn namespace() -> Arc<IpcNamespace> {
    task::current().namespaces().ipc.clone()
}

pub(super) fn shmget(call: &mut Call<'_>) -> Result<u64> {
    let flags = call.int(2) as u32;
    if flags & SHM_HUGETLB != 0 {
        return Err(Errno::EINVAL);
    }
    let id = namespace().get_segment(call.int(0), call.args[1], flags)?;
    Ok(id as u64)
}

pub(super) fn shmat(call: &mut Call<'_>) -> Result<u64> {
    let (id, address, flags) = (call.int(0), call.args[1], call.int(2) as u32);
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    let inside = address % PAGE_SIZE;
    let address = match inside {
        0 => address,
        _ if flags & SHM_RND == 0 => return Err(Errno::EINVAL),
        inside => address - inside,
    };
    let replace = flags & SHM_REMAP != 0;
    if replace && address == 0 {
        return Err(Errno::EINVAL);
    }
    let mut how = Prot::READ;
    how.set(Prot::WRITE, flags & SHM_RDONLY == 0);
    how.set(Prot::EXEC, flags & SHM_EXEC != 0);
    let mm = user::current()?;
    namespace().attach_segment(&mm, id, address, how, replace)
}

pub(super) fn shmdt(call: &mut Call<'_>) -> Result<u64> {
    let address = call.args[0];
    if !address.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let pages = user::current()?.detach(address)?;
    namespace().segment_detached(&pages);
    Ok(0)
}

pub(super) fn shmctl(call: &mut Call<'_>) -> Result<u64> {
    let (id, number, address) = (call.int(0), call.int(1), call.args[2]);
    if id < 0 || number < 0 {
        return Err(Errno::EINVAL);
    }
    let ipc = namespace();
    match number {
        command::IPC_RMID => ipc.remove_segment(id)?,
        command::IPC_SET => set_owner(&ipc, id, address)?,
        command::IPC_STAT => write_status(address, ipc.segment_status(id)?)?,
        command::SHM_STAT | command::SHM_STAT_ANY => {
            let (id, status) = ipc.segment_at(id, number == command::SHM_STAT)?;
            write_status(address, status)?;
            return Ok(id as u64);
        }
        command::SHM_LOCK => ipc.lock_segment(id, true)?,
        command::SHM_UNLOCK => ipc.lock_segment(id, false)?,
        command::IPC_INFO => {
            let most = u64::from(SEGMENTS_MAX);
            user::write_value(address, [SIZE_MAX, 1, most, most, SIZE_MAX, 0, 0, 0, 0])?;
            return Ok(ipc.segment_totals().1.into());
        }
        command::SHM_INFO => {
            let (count, highest, room, used) = ipc.segment_totals();
            user::write_value(address, [count.into(), room, used, 0, 0, 0])?;
            return Ok(highest.into());
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn set_owner(ipc: &IpcNamespace, id: i32, address: u64) -> Result<()> {
    let words: [u32; 6] = user::read_value(address)?;
    let me = task::current().credentials();
    let uid = me.user.mean_uid(words[1]).ok_or(Errno::EINVAL)?;
    let gid = me.user.mean_gid(words[2]).ok_or(Errno::EINVAL)?;
    ipc.set_segment_owner(id, uid, gid, words[5])
}

/// `struct shmid64_ds`.
fn write_status(address: u64, status: Status) -> Result<()> {
    let mut words = [0_u64; 14];
    words[..6].copy_from_slice(&permission_words(status.key, status.owners));
    let history = status.history;
    words[6] = status.size;
    words[7] = history.attached;
    words[8] = history.detached;
    words[9] = history.changed;
    words[10] = u64::from(shown_group(history.maker)) | u64::from(shown_group(history.user)) << 32;
    words[11] = status.attached;
    user::write_value(address, words)
}
