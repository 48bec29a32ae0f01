//! Locks whose owner is lent the priority of those who wait for it.
//!
//! A word holds the owner's number. While it is free or nobody waits, tasks
//! take and release it themselves; otherwise they come here. Whoever releases
//! it hands it over to the most urgent waiter.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::event::{FutexLook, FutexQueue, SchedPiSetprio};
use linux_raw_sys::general::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};

use super::{At, Futex, Name, Queue, TABLE, Table, Waiter, enter, leave, remove};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::probe;
use crate::sched::{self, Deadline, TaskId, WaitQueue};

/// What the futex room has to know of tasks' numbers, which the task room says.
pub struct Own {
    /// The running task's number as its memory shows it.
    pub tid: u32,
    /// The task that such a number names: ESRCH if there is none, EPERM for
    /// one of the kernel's.
    pub find: fn(u32) -> Result<TaskId>,
}

/// A lock that somebody waits for.
pub(super) struct Lock {
    owner: TaskId,
    waiters: Queue,
    futex: Futex,
}

/// How taking a lock went.
pub(super) enum Taken {
    /// The waiter owns it.
    Owned,
    /// The waiter waits for it.
    Queued,
}

/// The longest chain of owners that wait for other owners.
const CHAIN: usize = 64;

impl Table {
    /// Takes a lock for a waiter, or lets it wait for the owner.
    pub(super) fn take_lock(
        &mut self,
        word: &AtomicU32,
        futex: &Futex,
        waiter: &Arc<Waiter>,
        own: &Own,
    ) -> Result<Taken> {
        let value = word.load(Ordering::SeqCst);
        let owner = value & FUTEX_TID_MASK;
        if owner == waiter.tid {
            return Err(Errno::EDEADLK);
        }
        if owner == 0 && !self.locks.contains_key(&futex.place.name) {
            let new = value & FUTEX_OWNER_DIED | waiter.tid;
            word.store(new, Ordering::SeqCst);
            return Ok(Taken::Owned);
        }
        let owner = (own.find)(owner)?;
        word.fetch_or(FUTEX_WAITERS, Ordering::SeqCst);
        let lock = self.locks.entry(futex.place.name).or_insert_with(|| Lock {
            owner,
            waiters: VecDeque::new(),
            futex: futex.clone(),
        });
        if lock.owner != owner {
            return Err(Errno::EINVAL);
        }
        lock.waiters.push_back(waiter.clone());
        *waiter.at.lock() = At::Lock(futex.place.clone());
        self.lend(owner);
        Ok(Taken::Queued)
    }

    /// Lends a task the priority of the most urgent task that waits for a lock
    /// of its, and so on up the chain.
    fn lend(&mut self, to: TaskId) {
        let mut next = Some(to);
        for _ in 0..CHAIN {
            let Some(owner) = next else {
                return;
            };
            let owned = self.locks.values().filter(|lock| lock.owner == owner);
            let waiters = owned.flat_map(|lock| &lock.waiters);
            let priority = waiters.map(|waiter| sched::priority(waiter.task)).max();
            let priority = priority.unwrap_or(0);
            if crate::mutant!("pi-lends-nothing") || !sched::set_boost(owner, priority) {
                return;
            }
            probe::emit(&SchedPiSetprio {
                task: owner.into(),
                priority: priority.into(),
            });
            let waits = |lock: &&Lock| lock.waiters.iter().any(|other| other.task == owner);
            next = self.locks.values().find(waits).map(|lock| lock.owner);
        }
    }

    /// Takes a waiter away from a lock. False if it owns it by now.
    pub(super) fn leave_lock(&mut self, name: Name, waiter: &Arc<Waiter>) -> bool {
        let Some(lock) = self.locks.get_mut(&name) else {
            return false;
        };
        let found = remove(&mut lock.waiters, waiter);
        let owner = lock.owner;
        if lock.waiters.is_empty() {
            self.locks.remove(&name);
        }
        self.lend(owner);
        found
    }

    /// Gives a lock to the most urgent waiter, if there is one; `also` is set
    /// in the word then.
    fn hand_over(&mut self, word: &AtomicU32, name: Name, also: u32) -> bool {
        let Some(lock) = self.locks.get_mut(&name) else {
            return false;
        };
        let before = lock.owner;
        let waiters = lock.waiters.iter().enumerate();
        // The first of equals.
        let top = waiters
            .max_by_key(|(at, waiter)| (sched::priority(waiter.task), core::cmp::Reverse(*at)));
        let Some(next) = top.map(|(at, _)| at).and_then(|at| lock.waiters.remove(at)) else {
            return false;
        };
        word.store(next.tid | FUTEX_WAITERS | also, Ordering::SeqCst);
        lock.owner = next.task;
        if lock.waiters.is_empty() {
            self.locks.remove(&name);
        }
        self.lend(before);
        self.lend(next.task);
        next.wake();
        true
    }
}

fn waiter(futex: &Futex, own: &Own, sleep: &Arc<WaitQueue>) -> Waiter {
    Waiter {
        tid: own.tid,
        ..Waiter::new(&futex.place, u32::MAX, sleep)
    }
}

/// Takes the lock, asleep until its owner hands it over.
///
/// # Errors
/// EDEADLK for the owner itself, ETIMEDOUT, EFAULT, ENOMEM, ESRCH if the owner
/// is gone, EPERM, EINVAL, ERESTARTNOINTR when a signal is pending.
pub fn lock(futex: &Futex, own: &Own, deadline: Option<Deadline>) -> Result<()> {
    frame::room()?;
    let sleep = Arc::new(WaitQueue::new());
    let waiter = Arc::new(waiter(futex, own, &sleep));
    let uaddr = futex.address;
    probe::emit(&FutexLook { uaddr });
    let taken = futex.change(|word| TABLE.lock().take_lock(word, futex, &waiter, own))??;
    if matches!(taken, Taken::Owned) {
        return Ok(());
    }
    probe::emit(&FutexQueue { uaddr });
    let outcome = sleep.wait_until(deadline, || waiter.is_woken().then_some(()));
    if !leave(&waiter) {
        return Ok(());
    }
    match outcome {
        Ok(_) => Err(Errno::ETIMEDOUT),
        Err(_) => Err(Errno::ERESTARTNOINTR),
    }
}

/// Takes the lock if it is free.
///
/// # Errors
/// EAGAIN if it is not, EDEADLK for the owner itself, EFAULT, ESRCH if the
/// owner is gone, EPERM.
pub fn trylock(futex: &Futex, own: &Own) -> Result<()> {
    frame::room()?;
    let waiter = Arc::new(waiter(futex, own, &Arc::new(WaitQueue::new())));
    futex.change(|word| {
        let mut table = TABLE.lock();
        match table.take_lock(word, futex, &waiter, own)? {
            Taken::Owned => Ok(()),
            Taken::Queued => {
                table.leave_lock(futex.place.name, &waiter);
                Err(Errno::EAGAIN)
            }
        }
    })?
}

/// Releases the lock: the most urgent waiter owns it, or nobody.
///
/// # Errors
/// EPERM if the caller does not own it, EFAULT.
pub fn unlock(futex: &Futex, own: &Own) -> Result<()> {
    futex.change(|word| {
        let mut table = TABLE.lock();
        if word.load(Ordering::SeqCst) & FUTEX_TID_MASK != own.tid {
            return Err(Errno::EPERM);
        }
        if crate::mutant!("pi-unlock-frees") || !table.hand_over(word, futex.place.name, 0) {
            word.store(0, Ordering::SeqCst);
        }
        Ok(())
    })?
}

/// Waits for `futex` until somebody moves the waiter to the lock `to` and it
/// owns that.
///
/// # Errors
/// EAGAIN if the word is not as expected, or when a signal comes after the
/// waiter was moved; ERESTARTNOINTR when it comes before; ETIMEDOUT, EFAULT,
/// ENOMEM, EINVAL.
pub fn wait_for_lock(
    futex: &Futex,
    expected: u32,
    to: &Futex,
    own: &Own,
    deadline: Option<Deadline>,
) -> Result<()> {
    if futex.is(to) {
        return Err(Errno::EINVAL);
    }
    frame::room()?;
    let sleep = Arc::new(WaitQueue::new());
    let waiter = Arc::new(Waiter {
        lock: Some(to.place.name),
        ..waiter(futex, own, &sleep)
    });
    enter(futex, expected, &waiter)?;
    let outcome = sleep.wait_until(deadline, || waiter.is_woken().then_some(()));
    let moved = matches!(&*waiter.at.lock(), At::Lock(_));
    if !leave(&waiter) {
        return Ok(());
    }
    match outcome {
        Ok(_) => Err(Errno::ETIMEDOUT),
        Err(_) if moved => Err(Errno::EAGAIN),
        Err(_) => Err(Errno::ERESTARTNOINTR),
    }
}

/// A task leaves its memory: each lock that somebody waits for goes to the
/// most urgent waiter, who is told that the owner died.
pub fn leave_locks(owner: TaskId) {
    let owned: Vec<Futex> = {
        let table = TABLE.lock();
        let owned = table.locks.values().filter(|lock| lock.owner == owner);
        owned.map(|lock| lock.futex.clone()).collect()
    };
    for futex in owned {
        let name = futex.place.name;
        // A word that is gone from its memory has waiters no more than readers.
        let _ = futex.change(|word| TABLE.lock().hand_over(word, name, FUTEX_OWNER_DIED));
    }
}
