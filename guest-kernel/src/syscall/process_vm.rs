//! `process_vm_readv` and `process_vm_writev`: bytes from one task's memory to
//! another's.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Call;
use crate::errno::{Errno, Result};
use crate::mm::Mm;
use crate::mm::user;
use crate::task;

/// The most ranges on each side.
const IOV_MAX: u64 = 1024;

/// How much is moved at once.
const CHUNK: u64 = 512;

/// Ranges of addresses, and how far they are worked off.
struct Ranges {
    list: Vec<[u64; 2]>,
    at: usize,
    done: u64,
}

impl Ranges {
    /// Reads iovecs. Those of another task are checked when they are touched.
    fn read(address: u64, count: u64) -> Result<Self> {
        if count > IOV_MAX {
            return Err(Errno::EINVAL);
        }
        let mut list = Vec::new();
        list.try_reserve_exact(count as usize)
            .map_err(|_| Errno::ENOMEM)?;
        for index in 0..count {
            let range: [u64; 2] = user::read_value(address.wrapping_add(index * 16))?;
            if (range[1] as i64) < 0 {
                return Err(Errno::EINVAL);
            }
            list.push(range);
        }
        Ok(Ranges {
            list,
            at: 0,
            done: 0,
        })
    }

    /// The next address and how many bytes there are from it on.
    fn next(&mut self) -> Option<(u64, u64)> {
        while let Some([base, len]) = self.list.get(self.at) {
            if self.done < *len {
                return Some((base.wrapping_add(self.done), len - self.done));
            }
            self.at += 1;
            self.done = 0;
        }
        None
    }
}

/// `process_vm_readv(pid, local, count, remote, count, flags)`
pub(super) fn process_vm_readv(call: &mut Call<'_>) -> Result<u64> {
    transfer(call, |own, other, here, there, buffer| {
        other.read_bytes(there, buffer)?;
        own.write_bytes(here, buffer)
    })
}

/// `process_vm_writev(pid, local, count, remote, count, flags)`
pub(super) fn process_vm_writev(call: &mut Call<'_>) -> Result<u64> {
    transfer(call, |own, other, here, there, buffer| {
        own.read_bytes(here, buffer)?;
        if crate::mutant!("process-vm-write-lost") {
            return Ok(());
        }
        other.write_bytes(there, buffer)
    })
}

/// Moves one piece between the caller's memory and the other task's.
type Move = fn(&Mm, &Mm, u64, u64, &mut [u8]) -> Result<()>;

fn transfer(call: &mut Call<'_>, piece: Move) -> Result<u64> {
    let [pid, local, local_count, remote, remote_count, flags] = call.args;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let mut here = Ranges::read(local, local_count)?;
    let mut there = Ranges::read(remote, remote_count)?;
    if here.next().is_none() || there.next().is_none() {
        return Ok(0);
    }
    let own = user::current()?;
    let other = memory_of(pid)?;
    let mut moved = 0;
    let mut buffer = [0; CHUNK as usize];
    while let (Some((to, room)), Some((from, left))) = (here.next(), there.next()) {
        // Within a page on both sides: it is there or is not.
        let page = |address: u64| 4096 - address % 4096;
        let count = room.min(left).min(CHUNK).min(page(to)).min(page(from));
        match piece(&own, &other, to, from, &mut buffer[..count as usize]) {
            Ok(()) => moved += count,
            Err(error) if moved == 0 => return Err(error),
            Err(_) => break,
        }
        here.done += count;
        there.done += count;
    }
    Ok(moved)
}

fn memory_of(pid: u64) -> Result<Arc<Mm>> {
    let task = task::find(pid as i32 as u32).ok_or(Errno::ESRCH)?;
    if !task::pidfd::may_look_into(&task::current(), &task) && !crate::mutant!("process-vm-anybody")
    {
        return Err(Errno::EPERM);
    }
    task.mm().ok_or(Errno::ESRCH)
}
