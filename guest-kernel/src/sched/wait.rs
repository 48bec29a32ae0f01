//! Waiting for something to become true.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use abi::choice::ChoiceKind;

use super::{Deadline, Sleep, TaskId, Time, fatal_pending, run, signal_pending, timer};
use crate::arch::irq;
use crate::errno::{Errno, Result};
use crate::probe;
use crate::sync::SpinLock;

struct Waiter {
    task: TaskId,
    ticket: u64,
}

struct Waiters {
    list: VecDeque<Waiter>,
    tickets: u64,
}

/// The tasks that wait for one thing, in the order in which they came.
///
/// A waiter is in the list exactly as long as nobody has woken it; that, and
/// not the sleep itself, tells a wake-up from any other end of the sleep.
pub struct WaitQueue {
    waiters: SpinLock<Waiters>,
}

impl WaitQueue {
    /// An empty queue.
    #[must_use]
    pub const fn new() -> Self {
        WaitQueue {
            waiters: SpinLock::new(Waiters {
                list: VecDeque::new(),
                tickets: 0,
            }),
        }
    }

    /// Sleeps until `cond` gives a value. It is called once before, and then
    /// after every wake-up, with no lock held.
    pub fn wait<T>(&self, cond: impl FnMut() -> Option<T>) -> T {
        let mut cond = cond;
        loop {
            let got = wait_on(&[self], Sleep::Uninterruptible, None, &mut cond);
            if let Ok(Some(value)) = got {
                return value;
            }
        }
    }

    /// Like [`WaitQueue::wait`], but a signal that kills the task ends it.
    ///
    /// # Errors
    /// `EINTR`, which nobody sees any more.
    pub fn wait_killable<T>(&self, cond: impl FnMut() -> Option<T>) -> Result<T> {
        let got = wait_on(&[self], Sleep::Killable, None, cond)?;
        got.ok_or(Errno::EINTR)
    }

    /// Sleeps until `cond` gives a value; `Ok(None)` at the deadline.
    ///
    /// # Errors
    /// `ERESTARTSYS` when a signal is pending.
    pub fn wait_interruptible<T>(
        &self,
        deadline: Option<Time>,
        cond: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>> {
        self.wait_until(deadline.map(Deadline::from), cond)
    }

    /// Like [`WaitQueue::wait_interruptible`], by either clock.
    ///
    /// # Errors
    /// `ERESTARTSYS` when a signal is pending.
    pub fn wait_until<T>(
        &self,
        deadline: Option<Deadline>,
        cond: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>> {
        wait_on(&[self], Sleep::Interruptible, deadline, cond)
    }

    /// Like [`WaitQueue::wait_interruptible`], on several queues at once.
    ///
    /// # Errors
    /// `ERESTARTSYS` when a signal is pending.
    pub fn wait_many<T>(
        queues: &[&WaitQueue],
        deadline: Option<Time>,
        cond: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>> {
        let deadline = deadline.map(Deadline::from);
        wait_on(queues, Sleep::Interruptible, deadline, cond)
    }

    /// Wakes one waiter, the first unless the choice says otherwise. False if
    /// there was none.
    pub fn wake_one(&self) -> bool {
        let mut waiters = self.waiters.lock();
        let at = match waiters.list.len() {
            0 => return false,
            1 => 0,
            n => {
                let tasks: Vec<u32> = waiters.list.iter().map(|w| w.task.0).collect();
                probe::choose(ChoiceKind::WakeFirst, n as u32, 0, &tasks) as usize
            }
        };
        let Some(waiter) = waiters.list.remove(at) else {
            return false;
        };
        run::wake(waiter.task);
        true
    }

    /// Wakes every waiter, one after the other.
    pub fn wake_all(&self) {
        while self.wake_one() {}
    }

    fn enter(&self, task: TaskId) -> u64 {
        let mut waiters = self.waiters.lock();
        waiters.tickets += 1;
        let ticket = waiters.tickets;
        waiters.list.push_back(Waiter { task, ticket });
        ticket
    }

    fn has(&self, ticket: u64) -> bool {
        self.waiters.lock().list.iter().any(|w| w.ticket == ticket)
    }

    /// False if somebody has woken the waiter.
    fn leave(&self, ticket: u64) -> bool {
        let mut waiters = self.waiters.lock();
        let at = waiters.list.iter().position(|w| w.ticket == ticket);
        at.is_some_and(|at| waiters.list.remove(at).is_some())
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        WaitQueue::new()
    }
}

fn interrupted(sleep: Sleep) -> bool {
    match sleep {
        Sleep::Interruptible => signal_pending(),
        Sleep::Killable => fatal_pending(),
        Sleep::Uninterruptible | Sleep::Stopped | Sleep::Traced | Sleep::TracedEnd => false,
    }
}

/// The one body of all waiting.
fn wait_on<T>(
    queues: &[&WaitQueue],
    sleep: Sleep,
    deadline: Option<Deadline>,
    mut cond: impl FnMut() -> Option<T>,
) -> Result<Option<T>> {
    if let Some(value) = cond() {
        return Ok(Some(value));
    }
    assert!(irq::may_sleep(), "sleeping where nobody may sleep");
    let task = super::current();
    loop {
        let tickets: Vec<u64> = queues.iter().map(|queue| queue.enter(task)).collect();
        let outcome = match cond() {
            Some(value) => Some(Ok(Some(value))),
            None if deadline.is_some_and(Deadline::has_passed) => Some(Ok(None)),
            None if interrupted(sleep) => Some(Err(Errno::ERESTARTSYS)),
            None => None,
        };
        if outcome.is_none() {
            sleep_until_woken(queues, &tickets, sleep, deadline);
        }
        let mut woken = false;
        for (queue, ticket) in queues.iter().zip(&tickets) {
            let woken_here = !queue.leave(*ticket);
            // A wake-up that this task has no use for is another's.
            if woken_here && matches!(outcome, Some(Ok(None) | Err(_))) {
                queue.wake_one();
            }
            woken |= woken_here;
        }
        match outcome {
            Some(outcome) => return outcome,
            None if woken => {
                if let Some(value) = cond() {
                    return Ok(Some(value));
                }
            }
            None => {}
        }
    }
}

fn sleep_until_woken(
    queues: &[&WaitQueue],
    tickets: &[u64],
    sleep: Sleep,
    deadline: Option<Deadline>,
) {
    run::begin_wait();
    let timer = deadline.map(|at| timer::set(at, timer::Action::Wake(super::current())));
    let still_waiting = queues
        .iter()
        .zip(tickets)
        .all(|(queue, ticket)| queue.has(*ticket));
    if still_waiting {
        run::block(sleep);
    }
    if let Some(timer) = timer {
        timer::cancel(timer);
    }
}
