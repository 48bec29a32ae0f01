//! `prctl`: what a task says about itself.

use linux_raw_sys::prctl as linux;

use super::Call;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::signal::Signal;
use crate::task::credentials::Cap;
use crate::task::credentials::capabilities::KEEP_CAPS;
use crate::task::{self, COMM_LEN, Task};

pub(super) fn prctl(call: &mut Call<'_>) -> Result<u64> {
    let [option, args @ ..] = call.args;
    let task = task::current();
    match option as u32 {
        linux::PR_SET_NAME | linux::PR_GET_NAME => name(&task, option as u32, args[0]),
        linux::PR_SET_PDEATHSIG => set_parent_death_signal(&task, args[0]),
        linux::PR_GET_PDEATHSIG => {
            user::write_value(args[0], task.parent_death_signal())?;
            Ok(0)
        }
        linux::PR_SET_CHILD_SUBREAPER => {
            task.group().set_child_subreaper(args[0] != 0);
            Ok(0)
        }
        linux::PR_GET_CHILD_SUBREAPER => {
            user::write_value(args[0], u32::from(task.group().is_child_subreaper()))?;
            Ok(0)
        }
        linux::PR_GET_DUMPABLE => Ok(task.mm().map_or(0, |mm| mm.dumpable()).into()),
        linux::PR_SET_DUMPABLE => set_dumpable(&task, args[0]),
        _ => privileges(&task, option as u32, args),
    }
}

fn name(task: &Task, option: u32, address: u64) -> Result<u64> {
    if option == linux::PR_GET_NAME {
        user::write_value(address, task.comm())?;
        return Ok(0);
    }
    let mut name = [0; COMM_LEN];
    for (at, byte) in name.iter_mut().take(COMM_LEN - 1).enumerate() {
        *byte = user::read_value(address.wrapping_add(at as u64))?;
        if *byte == 0 {
            break;
        }
    }
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(COMM_LEN);
    task.set_comm(&name[..len]);
    Ok(0)
}

fn set_parent_death_signal(task: &Task, number: u64) -> Result<u64> {
    if number != 0 && Signal::new(number).is_none() {
        return Err(Errno::EINVAL);
    }
    task.set_parent_death_signal(number as u32);
    Ok(0)
}

fn set_dumpable(task: &Task, value: u64) -> Result<u64> {
    if value > 1 {
        return Err(Errno::EINVAL);
    }
    if let Some(mm) = task.mm() {
        mm.set_dumpable(value as u32);
    }
    Ok(0)
}

/// What belongs to the credentials.
fn privileges(task: &Task, option: u32, args: [u64; 5]) -> Result<u64> {
    let me = task.credentials();
    let rest_is_zero = |from: usize| args.iter().take(4).skip(from).all(|&arg| arg == 0);
    let new = match option {
        linux::PR_GET_KEEPCAPS => return Ok(u64::from(me.securebits & KEEP_CAPS != 0)),
        linux::PR_SET_KEEPCAPS if args[0] > 1 => return Err(Errno::EINVAL),
        linux::PR_SET_KEEPCAPS => me.with_keep_capabilities(args[0] == 1)?,
        linux::PR_GET_SECUREBITS => return Ok(me.securebits.into()),
        linux::PR_SET_SECUREBITS => me.with_securebits(args[0])?,
        linux::PR_CAPBSET_READ => {
            let cap = Cap::new(args[0]).ok_or(Errno::EINVAL)?;
            return Ok(me.bounding.has(cap).into());
        }
        linux::PR_CAPBSET_DROP => match Cap::new(args[0]) {
            None if !me.capable_here(Cap::Setpcap) => return Err(Errno::EPERM),
            None => return Err(Errno::EINVAL),
            Some(cap) => me.drop_bounding(cap)?,
        },
        linux::PR_CAP_AMBIENT if !rest_is_zero(2) => return Err(Errno::EINVAL),
        linux::PR_CAP_AMBIENT => match me.change_ambient(args[0], args[1])? {
            (_, Some(new)) => new,
            (answer, None) => return Ok(answer),
        },
        linux::PR_SET_NO_NEW_PRIVS if args[0] != 1 || !rest_is_zero(1) => {
            return Err(Errno::EINVAL);
        }
        linux::PR_SET_NO_NEW_PRIVS => {
            let mut new = (*me).clone();
            new.no_new_privileges = true;
            new
        }
        linux::PR_GET_NO_NEW_PRIVS if !rest_is_zero(0) => return Err(Errno::EINVAL),
        linux::PR_GET_NO_NEW_PRIVS => return Ok(me.no_new_privileges.into()),
        _ => return Err(Errno::EINVAL),
    };
    task.set_credentials(new)?;
    Ok(0)
}
