//! Waiters that shall wait for something else.

use core::sync::atomic::Ordering;

use abi::event::FutexRequeue;

use super::pi::{Own, Taken};
use super::{At, Futex, Queue, TABLE, Table, take};
use crate::errno::{Errno, Result};
use crate::probe;

/// Wakes up to `wake` waiters of `from` and lets up to `requeue` others wait
/// for `to` instead; returns how many of both. With `expected`, only if the
/// word of `from` is that.
///
/// # Errors
/// EAGAIN if it is not, EINVAL if somebody waits for a lock, EFAULT.
pub fn requeue(
    from: &Futex,
    to: &Futex,
    wake: u64,
    requeue: u64,
    expected: Option<u32>,
) -> Result<u64> {
    let Some(expected) = expected else {
        return TABLE.lock().requeue(from, to, wake, requeue);
    };
    from.look(|word| {
        let mut table = TABLE.lock();
        if word.load(Ordering::SeqCst) != expected {
            return Err(Errno::EAGAIN);
        }
        table.requeue(from, to, wake, requeue)
    })?
}

impl Table {
    fn requeue(&mut self, from: &Futex, to: &Futex, wake: u64, requeue: u64) -> Result<u64> {
        if crate::mutant!("requeue-wakes-all") {
            return self.wake(from, wake + requeue, u32::MAX);
        }
        let woken = self.wake(from, wake, u32::MAX)?;
        let Some(mut queue) = self.queues.remove(&from.place.name) else {
            return Ok(woken);
        };
        let mut moved = Queue::new();
        while (moved.len() as u64) < requeue
            && let Some(waiter) = queue.pop_front()
        {
            if !crate::mutant!("requeue-keeps-place") {
                *waiter.at.lock() = At::Queue(to.place.clone());
            }
            probe::emit(&FutexRequeue {
                waiter: waiter.task.into(),
            });
            moved.push_back(waiter);
        }
        let done = moved.len() as u64;
        if !queue.is_empty() {
            self.queues.insert(from.place.name, queue);
        }
        if done > 0 {
            let target = self.queues.entry(to.place.name).or_default();
            target.extend(moved);
        }
        Ok(woken + done)
    }
}

/// Gives the lock `to` to the first waiter of `from` if it is free, and lets
/// up to `requeue` others, or the first as well if it is not, wait for it.
/// Returns how many were woken or moved.
///
/// # Errors
/// EAGAIN if the word of `from` is not `expected`, EINVAL if a waiter does not
/// want that lock, EFAULT, ESRCH if the lock's owner is gone.
pub fn requeue_to_lock(
    from: &Futex,
    to: &Futex,
    requeue: u64,
    expected: u32,
    own: &Own,
) -> Result<u64> {
    let compared = from.look(|word| word.load(Ordering::SeqCst))?;
    if compared != expected {
        return Err(Errno::EAGAIN);
    }
    to.change(|word| {
        let mut table = TABLE.lock();
        let Some(mut queue) = table.queues.remove(&from.place.name) else {
            return Ok(0);
        };
        let mut done = 0;
        let mut outcome = Ok(());
        while done < requeue.saturating_add(1) {
            let wants_other = |waiter: &super::Waiter| waiter.lock != Some(to.place.name);
            if queue.iter().any(|waiter| wants_other(waiter)) {
                outcome = Err(Errno::EINVAL);
                break;
            }
            let Some(waiter) = take(&mut queue, u32::MAX) else {
                break;
            };
            match table.take_lock(word, to, &waiter, own) {
                Ok(Taken::Owned) if crate::mutant!("requeue-pi-forgets-to-wake") => {}
                Ok(Taken::Owned) => waiter.wake(),
                Ok(Taken::Queued) => probe::emit(&FutexRequeue {
                    waiter: waiter.task.into(),
                }),
                Err(error) => {
                    queue.push_front(waiter);
                    outcome = Err(error);
                    break;
                }
            }
            done += 1;
        }
        if !queue.is_empty() {
            table.queues.insert(from.place.name, queue);
        }
        if done > 0 {
            Ok(done)
        } else {
            outcome.map(|()| 0)
        }
    })?
}
