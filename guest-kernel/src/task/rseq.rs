//! Restartable sequences: a task that is preempted or gets a signal inside one
//! goes on at its abort address, and reads its CPU's number in its own memory.

use super::{Task, current, signal};
use crate::arch::layout::USER_END;
use crate::arch::percpu;
use crate::arch::trap::TrapFrame;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::sched;
use crate::signal::{SigInfo, Signal};

/// Bytes of the first `struct rseq`, and its alignment.
const SIZE: u64 = 32;
/// Offset of the number of the CPU, after its copy for the start.
const SEQUENCE: u64 = 8;
/// `cpu_id` of a task that is not registered.
const UNINITIALIZED: u32 = u32::MAX;

/// What a task has registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    address: u64,
    len: u64,
    signature: u32,
}

/// The CPU that the caller runs on. Interrupts being on, it may be another one
/// by the time the task is in user mode: then it has been switched, and comes
/// here again.
fn cpu() -> u32 {
    crate::arch::irq::disable();
    let id = percpu::with(|cpu| cpu.id);
    crate::arch::irq::restore();
    id
}

fn write_cpu(address: u64, start: u32, id: u32) -> Result<()> {
    user::write_value(address, [start, id])?;
    // The memory node and the concurrency id: there is one of each.
    user::write_value(address + 20, [0_u32; 2])
}

/// Registers the running task.
///
/// # Errors
/// `EINVAL` for a structure that is too short or not aligned, or another one
/// than before; `EPERM` for another signature; `EBUSY` if it is registered.
pub fn register(address: u64, len: u64, signature: u32) -> Result<()> {
    let task = current();
    let new = Registration {
        address,
        len,
        signature,
    };
    let mut registered = task.rseq.lock();
    if let Some(old) = *registered {
        return Err(
            match (old.address == address && old.len == len, old == new) {
                (false, _) => Errno::EINVAL,
                (true, false) => Errno::EPERM,
                (true, true) => Errno::EBUSY,
            },
        );
    }
    if len < SIZE || !address.is_multiple_of(SIZE) {
        return Err(Errno::EINVAL);
    }
    user::check_range(address, len)?;
    *registered = Some(new);
    drop(registered);
    sched::set_notify(true);
    Ok(())
}

/// Takes the registration back.
///
/// # Errors
/// `EINVAL` if it is another one, `EPERM` for another signature, `EFAULT`.
pub fn unregister(address: u64, len: u64, signature: u32) -> Result<()> {
    let task = current();
    let registered = *task.rseq.lock();
    match registered {
        Some(old) if old.address == address && old.len == len => {
            if old.signature != signature {
                return Err(Errno::EPERM);
            }
        }
        _ => return Err(Errno::EINVAL),
    }
    write_cpu(address, 0, UNINITIALIZED)?;
    forget(&task);
    Ok(())
}

/// A new program knows nothing of the old one's registration.
pub(super) fn forget(task: &Task) {
    *task.rseq.lock() = None;
    sched::set_notify(false);
}

/// The task comes back from another one's turn, or is about to enter a signal
/// handler: leaves the sequence that it is in, if it is in one.
pub fn resume(frame: &mut TrapFrame) {
    let registered = *current().rseq.lock();
    let Some(registered) = registered else {
        return;
    };
    let id = cpu();
    let left = leave_sequence(frame, registered);
    if left
        .and_then(|()| write_cpu(registered.address, id, id))
        .is_err()
    {
        signal::force(SigInfo::kernel(Signal::SIGSEGV));
    }
}

fn leave_sequence(frame: &mut TrapFrame, registered: Registration) -> Result<()> {
    let pointer = registered.address + SEQUENCE;
    let descriptor: u64 = user::read_value(pointer)?;
    if descriptor == 0 {
        return Ok(());
    }
    let [_, start, length, abort]: [u64; 4] = user::read_value(descriptor)?;
    let signature: u32 = user::read_value(abort.wrapping_sub(4))?;
    if abort >= USER_END || signature != registered.signature {
        return Err(Errno::EINVAL);
    }
    user::write_value(pointer, 0_u64)?;
    if frame.rip.wrapping_sub(start) < length {
        frame.rip = abort;
    }
    Ok(())
}
