//! Limits of resources.

use super::table::Call;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::task::{self, group};

/// Soft and hard limit, as `struct rlimit` and `struct rlimit64` have them.
type Raw = [u64; 2];

fn resource(number: u64) -> Result<usize> {
    let number = number as u32 as usize;
    (number < group::LIMITS)
        .then_some(number)
        .ok_or(Errno::EINVAL)
}

fn change(task: &task::Task, resource: usize, [soft, hard]: Raw) -> Result<()> {
    if soft > hard {
        return Err(Errno::EINVAL);
    }
    task.group().set_limit(resource, (soft, hard));
    Ok(())
}

pub(super) fn getrlimit(call: &mut Call<'_>) -> Result<u64> {
    let (soft, hard) = task::current().group().limit(resource(call.args[0])?);
    user::write_value(call.args[1], [soft, hard])?;
    Ok(0)
}

pub(super) fn setrlimit(call: &mut Call<'_>) -> Result<u64> {
    let limit = user::read_value(call.args[1])?;
    change(&task::current(), resource(call.args[0])?, limit)?;
    Ok(0)
}

pub(super) fn prlimit64(call: &mut Call<'_>) -> Result<u64> {
    let [pid, number, new, old, ..] = call.args;
    let resource = resource(number)?;
    let new: Option<Raw> = match new {
        0 => None,
        at => Some(user::read_value(at)?),
    };
    let task = match pid as u32 {
        0 => task::current(),
        pid => task::find(pid).ok_or(Errno::ESRCH)?,
    };
    let (soft, hard) = task.group().limit(resource);
    if let Some(new) = new {
        change(&task, resource, new)?;
    }
    if old != 0 {
        user::write_value(old, [soft, hard])?;
    }
    Ok(0)
}
