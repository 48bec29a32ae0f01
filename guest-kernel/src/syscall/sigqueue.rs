//! Signals with more than a number: sending them, and waiting for them
//! without a handler.

use super::Call;
use super::signal::check_size;
use super::time::Timespec;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::sched::Time;
use crate::signal::{SigInfo, SigSet, Signal, code};
use crate::task::{self, signal as sending, sigwait};

/// Reads a `siginfo_t` for a signal that a task sends to the group or task
/// with this number.
///
/// # Errors
/// `EPERM` if it says that the kernel or kill sent it, unless it stays with
/// the sender.
pub(super) fn read_info(address: u64, number: u64, to: i32) -> Result<Option<SigInfo>> {
    let bytes: [u8; SigInfo::SIZE] = user::read_value(address)?;
    let signal = match number as u32 {
        0 => None,
        number => Some(Signal::new(u64::from(number)).ok_or(Errno::EINVAL)?),
    };
    let info = SigInfo::from_bytes(signal.unwrap_or(Signal::SIGKILL), &bytes);
    let forged = info.code >= 0 || info.code == code::SI_TKILL;
    if forged && task::current().id().0 as i32 != to && !crate::mutant!("sigqueueinfo-forged") {
        return Err(Errno::EPERM);
    }
    Ok(signal.map(|_| info))
}

/// `rt_sigqueueinfo(tgid, sig, info)`
pub(super) fn rt_sigqueueinfo(call: &mut Call<'_>) -> Result<u64> {
    let to = call.int(0);
    let info = read_info(call.args[2], call.args[1], to)?;
    sending::to_group_of(to, info)?;
    Ok(0)
}

/// `rt_tgsigqueueinfo(tgid, tid, sig, info)`
pub(super) fn rt_tgsigqueueinfo(call: &mut Call<'_>) -> Result<u64> {
    let (group, to) = (call.int(0), call.int(1));
    if group <= 0 || to <= 0 {
        return Err(Errno::EINVAL);
    }
    let info = read_info(call.args[3], call.args[2], to)?;
    sending::to_task(to, Some(group), info)?;
    Ok(0)
}

/// `rt_sigtimedwait(set, info, timeout, size)`
pub(super) fn rt_sigtimedwait(call: &mut Call<'_>) -> Result<u64> {
    let [set, info, timeout, size, ..] = call.args;
    check_size(size)?;
    let set: SigSet = user::read_value(set)?;
    let deadline = match timeout {
        0 => None,
        at => Some(Time::now().after(Timespec::read(at)?)),
    };
    let taken = sigwait::wait(set, deadline)?;
    if info != 0 {
        user::write_bytes(info, &taken.to_bytes())?;
    }
    Ok(u64::from(taken.signal.number()))
}
