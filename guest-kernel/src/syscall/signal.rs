//! The calls about signals.

use linux_raw_sys::general as linux;

use super::Call;
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::sched::WaitQueue;
use crate::signal::{Fields, Restart, SigAction, SigInfo, SigSet, Signal, StackT, code};
use crate::task::{self, signal as sending};

/// Bytes of the kernel's `sigset_t`: what callers must pass.
const SET_SIZE: u64 = size_of::<SigSet>() as u64;

pub(super) fn check_size(size: u64) -> Result<()> {
    if size == SET_SIZE {
        Ok(())
    } else {
        Err(Errno::EINVAL)
    }
}

pub(super) fn own_info(signal: Signal, code: i32) -> SigInfo {
    let me = task::current();
    SigInfo {
        signal,
        code,
        fields: Fields::Sender {
            pid: me.tgid().0 as i32,
            uid: me.credentials().uid,
        },
    }
}

/// The signal that a number names; `None` for 0, which only asks.
fn asked(number: u64) -> Result<Option<Signal>> {
    match number as u32 {
        0 => Ok(None),
        number => Signal::new(u64::from(number))
            .map(Some)
            .ok_or(Errno::EINVAL),
    }
}

pub(super) fn kill(call: &mut Call<'_>) -> Result<u64> {
    let to = call.int(0);
    let signal = asked(call.args[1]).map_err(|error| match send_to(to, None) {
        // Who does not exist is said before which signal is wrong.
        Err(Errno::ESRCH) => Errno::ESRCH,
        _ => error,
    })?;
    send_to(to, signal.map(|signal| own_info(signal, code::SI_USER)))?;
    Ok(0)
}

fn send_to(to: i32, info: Option<SigInfo>) -> Result<()> {
    match to {
        i32::MIN => Err(Errno::ESRCH),
        -1 => sending::to_everybody(info),
        0 => sending::to_process_group(task::current().process_group(), info),
        group if group < 0 => {
            let group = task::pid_namespace::own().find(-group as u32);
            sending::to_process_group(group.ok_or(Errno::ESRCH)? as i32, info)
        }
        pid => sending::to_group_of(pid, info),
    }
}

pub(super) fn tkill(call: &mut Call<'_>) -> Result<u64> {
    send_to_task(call.args[0], None, call.args[1])
}

pub(super) fn tgkill(call: &mut Call<'_>) -> Result<u64> {
    let group = call.args[0] as i32;
    if group <= 0 {
        return Err(Errno::EINVAL);
    }
    send_to_task(call.args[1], Some(group), call.args[2])
}

fn send_to_task(pid: u64, group: Option<i32>, number: u64) -> Result<u64> {
    let pid = pid as i32;
    if pid <= 0 {
        return Err(Errno::EINVAL);
    }
    let signal = asked(number).map_err(|error| match sending::to_task(pid, group, None) {
        // Who does not exist is said before which signal is wrong.
        Err(Errno::ESRCH) => Errno::ESRCH,
        _ => error,
    })?;
    let info = signal.map(|signal| own_info(signal, code::SI_TKILL));
    sending::to_task(pid, group, info)?;
    Ok(0)
}

pub(super) fn rt_sigaction(call: &mut Call<'_>) -> Result<u64> {
    let [number, new, old, size, ..] = call.args;
    check_size(size)?;
    let action = match new {
        0 => None,
        at => Some(user::read_value::<SigAction>(at)?),
    };
    let signal = Signal::new(number & u64::from(u32::MAX)).ok_or(Errno::EINVAL)?;
    let before = sending::set_action(signal, action)?;
    if old != 0 {
        user::write_value(old, before)?;
    }
    Ok(0)
}

pub(super) fn rt_sigprocmask(call: &mut Call<'_>) -> Result<u64> {
    let [how, new, old, size, ..] = call.args;
    check_size(size)?;
    let before = task::current().signals.lock().blocked;
    if new != 0 {
        let set: SigSet = user::read_value(new)?;
        let set = set.without(SigSet::UNSTOPPABLE);
        let blocked = match how as u32 {
            linux::SIG_BLOCK => before.union(set),
            linux::SIG_UNBLOCK => before.without(set),
            linux::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        sending::set_blocked(blocked);
    }
    if old != 0 {
        user::write_value(old, before)?;
    }
    Ok(0)
}

pub(super) fn rt_sigpending(call: &mut Call<'_>) -> Result<u64> {
    let [set, size, ..] = call.args;
    if size > SET_SIZE {
        return Err(Errno::EINVAL);
    }
    let pending = sending::pending();
    user::write_bytes(set, &pending.0.to_le_bytes()[..size as usize])?;
    Ok(0)
}

pub(super) fn rt_sigsuspend(call: &mut Call<'_>) -> Result<u64> {
    let [set, size, ..] = call.args;
    check_size(size)?;
    let set: SigSet = user::read_value(set)?;
    {
        let me = task::current();
        let mut signals = me.signals.lock();
        signals.saved = Some(signals.blocked);
    }
    sending::set_blocked(set.without(SigSet::UNSTOPPABLE));
    sleep_for_ever()
}

pub(super) fn pause(_: &mut Call<'_>) -> Result<u64> {
    sleep_for_ever()
}

/// Sleeps until a signal comes; fails with EINTR if a handler ran.
fn sleep_for_ever() -> Result<u64> {
    match WaitQueue::new().wait_interruptible(None, || None::<()>) {
        Ok(_) | Err(_) => Err(Errno::ERESTARTNOHAND),
    }
}

pub(super) fn sigaltstack(call: &mut Call<'_>) -> Result<u64> {
    let [new, old, ..] = call.args;
    let change = match new {
        0 => None,
        at => Some(user::read_value::<StackT>(at)?),
    };
    let rsp = call.frame.rsp;
    let before = {
        let me = task::current();
        let mut signals = me.signals.lock();
        let before = signals.altstack.show(rsp);
        if let Some(change) = change {
            signals.altstack.change(&change, rsp)?;
        }
        before
    };
    if old != 0 {
        user::write_value(old, before)?;
    }
    Ok(0)
}

pub(super) fn rt_sigreturn(call: &mut Call<'_>) -> Result<u64> {
    sending::leave_handler(call.frame);
    // The result register belongs to what was interrupted.
    Ok(call.frame.rax)
}

pub(super) fn restart_syscall(_: &mut Call<'_>) -> Result<u64> {
    let restart = core::mem::take(&mut task::current().signals.lock().restart);
    match restart {
        Restart::None => Err(Errno::EINTR),
        Restart::Sleep {
            deadline,
            remainder,
        } => super::time::sleep_relative(deadline, remainder),
        Restart::Poll {
            address,
            count,
            deadline,
        } => super::poll::poll_until(address, count, Some(deadline)),
        Restart::Futex {
            address,
            private,
            value,
            bitset,
            deadline,
        } => super::futex::wait(address, private, value, bitset, Some(deadline)),
    }
}
