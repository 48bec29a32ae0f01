//! select and pselect6: poll with bitmaps.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general::{
    POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND,
    POLLWRNORM,
};

use super::Call;
use super::file::{files, limit};
use super::poll::{block_for_now, unblock_again};
use super::signal::check_size;
use super::time::Timespec;
use crate::errno::{Errno, Result};
use crate::fs::File;
use crate::mm::user;
use crate::sched::{Time, WaitQueue};

/// What each of the three sets asks for, in poll's words.
const WANTED: [u32; 3] = [
    POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
    POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
    POLLPRI | POLLNVAL,
];

const MICROSECONDS: i64 = 1_000_000;

/// A descriptor, and in which of the sets it is.
struct Item {
    fd: usize,
    sets: [bool; 3],
    file: Arc<File>,
}

impl Item {
    fn ready(&self) -> [bool; 3] {
        let ready = self.file.readiness();
        let mut sets = self.sets;
        for (set, wanted) in sets.iter_mut().zip(WANTED) {
            *set &= ready & wanted != 0 || crate::mutant!("select-leaves-sets");
        }
        sets
    }
}

/// The bitmaps of the caller.
struct Sets {
    addresses: [u64; 3],
    words: usize,
}

impl Sets {
    fn read(&self) -> Result<[Vec<u64>; 3]> {
        let mut sets = [Vec::new(), Vec::new(), Vec::new()];
        for (set, address) in sets.iter_mut().zip(self.addresses) {
            set.try_reserve_exact(self.words)
                .map_err(|_| Errno::ENOMEM)?;
            for at in 0..self.words as u64 {
                set.push(match address {
                    0 => 0,
                    address => user::read_value(address.wrapping_add(at * 8))?,
                });
            }
        }
        Ok(sets)
    }

    fn write(&self, items: &[Item]) -> Result<u64> {
        let mut count = 0;
        for (index, address) in self.addresses.iter().enumerate() {
            let mut words = Vec::new();
            words
                .try_reserve_exact(self.words)
                .map_err(|_| Errno::ENOMEM)?;
            words.resize(self.words, 0_u64);
            for item in items.iter().filter(|item| item.ready()[index]) {
                words[item.fd / 64] |= 1 << (item.fd % 64);
                count += 1;
            }
            if *address != 0 {
                for (at, word) in words.iter().enumerate() {
                    user::write_value(address.wrapping_add(at as u64 * 8), *word)?;
                }
            }
        }
        Ok(count)
    }
}

fn wait(call: &Call<'_>, deadline: Option<Time>) -> Result<u64> {
    let [count, read, write, except, ..] = call.args;
    let count = usize::try_from(count as i32).map_err(|_| Errno::EINVAL)?;
    let count = count.min(limit());
    let sets = Sets {
        addresses: [read, write, except],
        words: count.div_ceil(64),
    };
    let items = items(&sets.read()?, count)?;
    let any = || {
        let ready = items.iter().any(|item| item.ready().contains(&true));
        ready.then_some(())
    };
    let files = items.iter().map(|item| &*item.file);
    let mut queues: Vec<&WaitQueue> = Vec::new();
    queues
        .try_reserve_exact(2 * items.len())
        .map_err(|_| Errno::ENOMEM)?;
    queues.extend(files.flat_map(File::queues).flatten());
    WaitQueue::wait_many(&queues, deadline, any)?;
    sets.write(&items)
}

fn items(sets: &[Vec<u64>; 3], count: usize) -> Result<Vec<Item>> {
    let table = files();
    let mut items = Vec::new();
    for fd in 0..count {
        let is_in = |set: &Vec<u64>| set[fd / 64] & 1 << (fd % 64) != 0;
        let sets = [is_in(&sets[0]), is_in(&sets[1]), is_in(&sets[2])];
        if sets == [false; 3] {
            continue;
        }
        let file = table.lock().get(fd as i32)?;
        if file.is_path() {
            return Err(Errno::EBADF);
        }
        items.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        items.push(Item { fd, sets, file });
    }
    Ok(items)
}

/// What is left until then; nobody hears if it cannot be told.
fn tell_rest(address: u64, deadline: Option<Time>, unit: u64) {
    if let Some(deadline) = deadline {
        let left = deadline.0.saturating_sub(Time::now().0);
        let rest = left % 1_000_000_000 / unit;
        let _ = user::write_value(address, [left / 1_000_000_000, rest]);
    }
}

/// A signal with a handler ends it; without one it goes on with what is left.
fn after_signal(result: Result<u64>) -> Result<u64> {
    result.map_err(|error| match error {
        Errno::ERESTARTSYS => Errno::ERESTARTNOHAND,
        error => error,
    })
}

/// `select(nfds, readfds, writefds, exceptfds, timeout)`
pub fn select(call: &mut Call<'_>) -> Result<u64> {
    let timeout = call.args[4];
    let deadline = match timeout {
        0 => None,
        at => {
            let [seconds, micros]: [i64; 2] = user::read_value(at)?;
            let carried = micros.div_euclid(MICROSECONDS);
            let seconds = seconds.saturating_add(carried);
            if seconds < 0 || micros < 0 {
                return Err(Errno::EINVAL);
            }
            let rest = (micros % MICROSECONDS) as u64 * 1000;
            let length = (seconds as u64).saturating_mul(1_000_000_000);
            Some(Time::now().after(length.saturating_add(rest)))
        }
    };
    let result = wait(call, deadline);
    tell_rest(timeout, deadline, 1000);
    after_signal(result)
}

/// `pselect6(nfds, readfds, writefds, exceptfds, timeout, sigmask)`
pub fn pselect6(call: &mut Call<'_>) -> Result<u64> {
    let [_, _, _, _, timeout, masking] = call.args;
    let deadline = match timeout {
        0 => None,
        at => Some(Time::now().after(Timespec::read(at)?)),
    };
    let [mask, size]: [u64; 2] = match masking {
        0 => [0, 0],
        at => user::read_value(at)?,
    };
    if mask != 0 {
        check_size(size)?;
        block_for_now(user::read_value(mask)?);
    }
    let result = wait(call, deadline);
    tell_rest(timeout, deadline, 1);
    match result {
        // The mask goes back when the signal is delivered.
        Err(Errno::ERESTARTSYS) => Err(Errno::ERESTARTNOHAND),
        result => {
            unblock_again();
            result
        }
    }
}
