//! mlock and its relatives: what is to stay in memory.

use linux_raw_sys::general::{MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT};

use super::table::Call;
use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::errno::{Errno, Result};
use crate::mm::{Mm, frame, user};
use crate::task;
use crate::task::credentials::Cap;
use crate::task::group::LIMIT_MEMLOCK;

/// Bring pages in when they are touched, and then keep them (`mlock2`).
const MLOCK_ONFAULT: u32 = 1;

/// Refuses to keep more in memory than the running task may.
///
/// # Errors
/// `EPERM` if it may keep nothing, `ENOMEM` if it would be too much.
pub(super) fn check_limit(mm: &Mm, more: u64) -> Result<()> {
    let me = task::current();
    let (most, _) = me.group().limit(LIMIT_MEMLOCK);
    if me.credentials().capable(Cap::IpcLock) {
        return Ok(());
    }
    if most == 0 {
        return Err(Errno::EPERM);
    }
    if mm.locked_bytes().saturating_add(more) > most {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

/// The pages that a range of bytes touches.
fn pages(start: u64, len: u64) -> Result<core::ops::Range<u64>> {
    let first = start & !(PAGE_SIZE - 1);
    let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
    let end = end
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::EINVAL)?;
    if end > USER_END {
        return Err(Errno::ENOMEM);
    }
    Ok(first..end)
}

fn keep(start: u64, len: u64, at_once: bool) -> Result<u64> {
    frame::room()?;
    let mm = user::current()?;
    let range = pages(start, len)?;
    check_limit(&mm, range.end - range.start)?;
    mm.set_locked(range.clone(), true)?;
    if at_once {
        mm.populate(range)?;
    }
    Ok(0)
}

/// `mlock(addr, len)`
pub(super) fn mlock(call: &mut Call<'_>) -> Result<u64> {
    keep(call.args[0], call.args[1], true)
}

/// `mlock2(addr, len, flags)`
pub(super) fn mlock2(call: &mut Call<'_>) -> Result<u64> {
    let [start, len, flags, ..] = call.args;
    if flags as u32 & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    keep(start, len, flags as u32 & MLOCK_ONFAULT == 0)
}

/// `munlock(addr, len)`
pub(super) fn munlock(call: &mut Call<'_>) -> Result<u64> {
    frame::room()?;
    let range = pages(call.args[0], call.args[1])?;
    user::current()?.set_locked(range, false)?;
    Ok(0)
}

/// `mlockall(flags)`
pub(super) fn mlockall(call: &mut Call<'_>) -> Result<u64> {
    let flags = call.args[0] as u32;
    let known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    if flags == 0 || flags & !known != 0 || flags == MCL_ONFAULT {
        return Err(Errno::EINVAL);
    }
    frame::room()?;
    let mm = user::current()?;
    check_limit(&mm, 0)?;
    let now = flags & MCL_CURRENT != 0;
    let all = mm.set_all_locked(now.then_some(true), flags & MCL_FUTURE != 0)?;
    if now && flags & MCL_ONFAULT == 0 {
        for range in all {
            // Guard pages are mapped too, and stay out.
            let _ = mm.populate(range);
        }
    }
    Ok(0)
}

/// `munlockall()`
pub(super) fn munlockall(_: &mut Call<'_>) -> Result<u64> {
    frame::room()?;
    user::current()?.set_all_locked(Some(false), false)?;
    Ok(0)
}
