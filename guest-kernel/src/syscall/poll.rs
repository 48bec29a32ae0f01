//! poll and ppoll.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general::{POLLERR, POLLHUP, POLLNVAL};

use super::Call;
use super::file::{files, limit};
use super::signal::check_size;
use super::time::Timespec;
use crate::errno::{Errno, Result};
use crate::fs::File;
use crate::mm::user;
use crate::sched::{Time, WaitQueue};
use crate::signal::{Restart, SigSet};
use crate::task::{self, signal as sending};

/// Bytes of a `pollfd`.
const POLLFD: u64 = 8;

/// One descriptor that is asked about.
struct Item {
    fd: i32,
    wanted: u32,
    file: Option<Arc<File>>,
}

impl Item {
    /// What it is ready for, of what was asked.
    fn ready(&self) -> u32 {
        match &self.file {
            _ if self.fd < 0 => 0,
            None => POLLNVAL,
            Some(file) => file.readiness() & (self.wanted | POLLERR | POLLHUP),
        }
    }
}

/// `poll(fds, nfds, timeout)`
pub fn poll(call: &mut Call<'_>) -> Result<u64> {
    let [address, count, timeout, ..] = call.args;
    let deadline = match timeout as i32 {
        ..0 => None,
        milliseconds => Some(Time::now().after(milliseconds as u64 * 1_000_000)),
    };
    poll_until(address, count, deadline)
}

/// Polls; a signal without a handler lets it go on until the same moment.
pub(super) fn poll_until(address: u64, count: u64, deadline: Option<Time>) -> Result<u64> {
    match (wait(address, count, deadline), deadline) {
        (Err(Errno::ERESTARTSYS), None) => Err(Errno::ERESTARTNOHAND),
        (Err(Errno::ERESTARTSYS), Some(deadline)) => {
            task::current().signals.lock().restart = Restart::Poll {
                address,
                count,
                deadline,
            };
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        (result, _) => result,
    }
}

/// `ppoll(fds, nfds, timeout, sigmask, sigsetsize)`
pub fn ppoll(call: &mut Call<'_>) -> Result<u64> {
    let [address, count, timeout, mask, size, _] = call.args;
    let deadline = match timeout {
        0 => None,
        at => Some(Time::now().after(Timespec::read(at)?)),
    };
    if mask != 0 {
        check_size(size)?;
        block_for_now(user::read_value(mask)?);
    }
    let result = wait(address, count, deadline);
    if let Some(deadline) = deadline {
        let left = deadline.0.saturating_sub(Time::now().0);
        // Who cannot be told how much is left still gets the result.
        let _ = user::write_value(timeout, Timespec::from_nanoseconds(left));
    }
    match result {
        // The mask goes back when the signal is delivered.
        Err(Errno::ERESTARTSYS) => Err(Errno::ERESTARTNOHAND),
        result => {
            unblock_again();
            result
        }
    }
}

/// Blocks these signals and no others until a signal is delivered, or
/// `unblock_again`.
pub(super) fn block_for_now(set: SigSet) {
    {
        let me = task::current();
        let mut signals = me.signals.lock();
        signals.saved = Some(signals.blocked);
    }
    sending::set_blocked(set.without(SigSet::UNSTOPPABLE));
}

pub(super) fn unblock_again() {
    let saved = task::current().signals.lock().saved.take();
    if let Some(saved) = saved {
        sending::set_blocked(saved);
    }
}

fn wait(address: u64, count: u64, deadline: Option<Time>) -> Result<u64> {
    let items = items(address, count)?;
    let any = || items.iter().any(|item| item.ready() != 0).then_some(());
    let queues: Vec<&WaitQueue> = items
        .iter()
        .filter_map(|item| item.file.as_deref())
        .flat_map(File::queues)
        .flatten()
        .collect();
    WaitQueue::wait_many(&queues, deadline, any)?;
    let mut ready = 0;
    for (at, item) in items.iter().enumerate() {
        let revents = item.ready() as u16;
        ready += u64::from(revents != 0);
        user::write_value(address.wrapping_add(at as u64 * POLLFD + 6), revents)?;
    }
    Ok(ready)
}

fn items(address: u64, count: u64) -> Result<Vec<Item>> {
    let count = u64::from(count as u32);
    if count > limit() as u64 {
        return Err(Errno::EINVAL);
    }
    let table = files();
    let mut items = Vec::new();
    items
        .try_reserve_exact(count as usize)
        .map_err(|_| Errno::ENOMEM)?;
    for at in 0..count {
        let [fd, events]: [u32; 2] = user::read_value(address.wrapping_add(at * POLLFD))?;
        let fd = fd as i32;
        let file = table.lock().get(fd).ok().filter(|file| !file.is_path());
        items.push(Item {
            fd,
            wanted: events & 0xFFFF,
            file,
        });
    }
    Ok(items)
}
