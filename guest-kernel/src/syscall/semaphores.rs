//! System V semaphores.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Call;
use super::time;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::sched::Time;
use crate::task;
use crate::task::ipc::IpcNamespace;
use crate::task::ipc::control::{Question, Status};
use crate::task::ipc::permission::Owners;
use crate::task::ipc::semaphores::{self, OPERATIONS_MAX, Operation, SET_MAX, SETS_MAX, VALUE_MAX};

/// Commands of semctl, with Linux's names.
mod command {
    pub const IPC_RMID: i32 = 0;
    pub const IPC_SET: i32 = 1;
    pub const IPC_STAT: i32 = 2;
    pub const IPC_INFO: i32 = 3;
    pub const GETPID: i32 = 11;
    pub const GETVAL: i32 = 12;
    pub const GETALL: i32 = 13;
    pub const GETNCNT: i32 = 14;
    pub const GETZCNT: i32 = 15;
    pub const SETVAL: i32 = 16;
    pub const SETALL: i32 = 17;
    pub const SEM_STAT: i32 = 18;
    pub const SEM_INFO: i32 = 19;
    pub const SEM_STAT_ANY: i32 = 20;
}

fn namespace() -> Arc<IpcNamespace> {
    task::current().namespaces().ipc.clone()
}

pub(super) fn semget(call: &mut Call<'_>) -> Result<u64> {
    let id = semaphores::get(&namespace(), call.int(0), call.int(1), call.int(2) as u32)?;
    Ok(id as u64)
}

pub(super) fn semop(call: &mut Call<'_>) -> Result<u64> {
    operate(call, None)
}

pub(super) fn semtimedop(call: &mut Call<'_>) -> Result<u64> {
    let timeout = match call.args[3] {
        0 => None,
        at => Some(time::Timespec::read(at)?),
    };
    operate(call, timeout)
}

fn operate(call: &Call<'_>, timeout: Option<u64>) -> Result<u64> {
    let (id, address, count) = (call.int(0), call.args[1], call.args[2] as u32 as usize);
    if count == 0 || id < 0 {
        return Err(Errno::EINVAL);
    }
    if count > OPERATIONS_MAX {
        return Err(Errno::E2BIG);
    }
    let mut operations = Vec::new();
    operations
        .try_reserve_exact(count)
        .map_err(|_| Errno::ENOMEM)?;
    for at in 0..count as u64 {
        let [number, add, flags]: [u16; 3] = user::read_value(address.wrapping_add(at * 6))?;
        operations.push(Operation {
            number,
            add: add as i16,
            flags,
        });
    }
    let deadline = timeout.map(|nanoseconds| Time::now().after(nanoseconds));
    semaphores::operate(&namespace(), id, operations, deadline)?;
    Ok(0)
}

pub(super) fn semctl(call: &mut Call<'_>) -> Result<u64> {
    let (id, number, argument) = (call.int(0), call.int(1), call.args[3]);
    if id < 0 {
        return Err(Errno::EINVAL);
    }
    let ipc = namespace();
    let question = |question| ipc.ask_semaphore(id, number, question);
    match call.int(2) {
        command::IPC_RMID => ipc.remove_semaphores(id)?,
        command::IPC_SET => set_owner(&ipc, id, argument)?,
        command::IPC_STAT => write_status(argument, ipc.semaphore_status(id)?)?,
        command::SEM_STAT => return status_at(&ipc, id, argument, true),
        command::SEM_STAT_ANY => return status_at(&ipc, id, argument, false),
        command::IPC_INFO => return write_limits(&ipc, argument, false),
        command::SEM_INFO => return write_limits(&ipc, argument, true),
        command::GETVAL => return question(Question::Value),
        command::GETPID => return question(Question::Pid),
        command::GETNCNT => return question(Question::WaitingToGrow),
        command::GETZCNT => return question(Question::WaitingForZero),
        command::GETALL => {
            for (at, value) in ipc.semaphore_values(id)?.into_iter().enumerate() {
                user::write_value(argument.wrapping_add(at as u64 * 2), value)?;
            }
        }
        command::SETVAL => ipc.set_semaphore(id, number, argument as i32)?,
        command::SETALL => set_all(&ipc, id, argument)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn set_all(ipc: &IpcNamespace, id: i32, address: u64) -> Result<()> {
    let count = ipc.semaphore_count(id)?;
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    for at in 0..count as u64 {
        values.push(user::read_value::<u16>(address.wrapping_add(at * 2))?);
    }
    ipc.set_semaphore_values(id, &values)
}

/// Words of `struct semid64_ds`.
const STATUS_WORDS: usize = 13;

fn set_owner(ipc: &IpcNamespace, id: i32, address: u64) -> Result<()> {
    let words: [u32; 6] = user::read_value(address)?;
    let me = task::current().credentials();
    let uid = me.user.mean_uid(words[1]).ok_or(Errno::EINVAL)?;
    let gid = me.user.mean_gid(words[2]).ok_or(Errno::EINVAL)?;
    ipc.set_semaphore_owner(id, uid, gid, words[5])
}

fn write_status(address: u64, status: Status) -> Result<()> {
    let mut words = [0_u64; STATUS_WORDS];
    words[..6].copy_from_slice(&permission_words(status.key, status.owners));
    words[6] = status.operated;
    words[8] = status.changed;
    words[10] = status.count;
    user::write_value(address, words)
}

/// `struct ipc64_perm`.
pub(super) fn permission_words(key: i32, owners: Owners) -> [u64; 6] {
    let user = &task::current().credentials().user;
    let two = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    [
        two(key as u32, user.uid_or_nobody(owners.uid)),
        two(
            user.gid_or_nobody(owners.gid),
            user.uid_or_nobody(owners.creator),
        ),
        two(user.gid_or_nobody(owners.creator_group), owners.mode),
        0,
        0,
        0,
    ]
}

/// The status of the set at a place; gives its id.
fn status_at(ipc: &IpcNamespace, place: i32, address: u64, check: bool) -> Result<u64> {
    let (id, set) = ipc.semaphores.lock().at(place)?;
    let status = if check {
        ipc.semaphore_status(id)?
    } else {
        set.status()
    };
    write_status(address, status)?;
    Ok(id as u64)
}

/// `struct seminfo`: limits, or with `used` in two places what is in use.
/// Gives the highest place in use.
fn write_limits(ipc: &IpcNamespace, address: u64, used: bool) -> Result<u64> {
    let all = (SETS_MAX as usize * SET_MAX) as u32;
    let (highest, sets, semaphores) = {
        let registry = ipc.semaphores.lock();
        let (highest, sets) = registry.extent();
        let counts = registry.iter().map(|(_, set)| set.status().count as u32);
        (highest, sets, counts.sum())
    };
    let operations = OPERATIONS_MAX as u32;
    let (size, most) = if used {
        (sets, semaphores)
    } else {
        (20, VALUE_MAX as u32)
    };
    let limits: [u32; 10] = [
        all,
        SETS_MAX,
        all,
        all,
        SET_MAX as u32,
        operations,
        operations,
        size,
        VALUE_MAX as u32,
        most,
    ];
    user::write_value(address, limits)?;
    Ok(highest.into())
}
