//! Futexes: tasks that wait until somebody wakes a word of memory.
//!
//! One lock guards the table of waiters. A waiter looks at the word and enters
//! the table under it, a waker leaves the word alone and then takes the lock:
//! so a waker comes either before the look, which then sees the new value, or
//! after the entry, which it then finds.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::choice::ChoiceKind;

use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::mm::Mm;
use crate::mm::fault::Access;
use crate::mm::frame::Frame;
use crate::probe;
use crate::sched::{self, Deadline, TaskId, WaitQueue};
use crate::sync::SpinLock;

/// What a futex is known by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    /// An address in an address space; whether the caller asked for a private
    /// futex is part of it, as on Linux.
    Address {
        space: u64,
        address: u64,
        private: bool,
    },
    /// The physical address of a word that several address spaces share.
    Word(u64),
}

/// A name that stays right as long as this lives: a shared frame is kept from
/// being used for something else.
#[derive(Clone)]
struct Place {
    name: Name,
    _frame: Option<Frame>,
}

/// A futex.
pub struct Futex {
    place: Place,
    address: u64,
    mm: Arc<Mm>,
}

impl Futex {
    /// The futex at `address` of an address space.
    ///
    /// # Errors
    /// EINVAL if it is not aligned, EFAULT if nothing can be there.
    pub fn at(mm: &Arc<Mm>, address: u64, private: bool) -> Result<Self> {
        if !address.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        if address >= USER_END {
            return Err(Errno::EFAULT);
        }
        let frame = if private {
            None
        } else {
            mm.shared_frame(address)?
        };
        let name = match &frame {
            Some(frame) => Name::Word(frame.address() + address % PAGE_SIZE),
            None => Name::Address {
                space: mm.root(),
                address,
                private,
            },
        };
        Ok(Futex {
            place: Place {
                name,
                _frame: frame,
            },
            address,
            mm: mm.clone(),
        })
    }

    /// Looks at the word while the address space cannot change.
    fn look<R>(&self, work: impl FnOnce(&AtomicU32) -> R) -> Result<R> {
        self.mm.with_word(self.address, Access::Read, work)
    }
}

/// A task that waits.
struct Waiter {
    _counted: Counted,
    task: TaskId,
    bitset: u32,
    /// Set by whoever took the waiter out of the table to wake it.
    woken: AtomicBool,
    /// Where it sleeps, alone.
    sleep: WaitQueue,
    /// What it waits for; changed only under the table's lock.
    place: SpinLock<Place>,
}

type Table = BTreeMap<Name, VecDeque<Arc<Waiter>>>;

static TABLE: SpinLock<Table> = SpinLock::new(BTreeMap::new());

/// Waits until somebody wakes the futex, if its word still is `expected`.
///
/// # Errors
/// EAGAIN if it is not, ETIMEDOUT at the deadline, EFAULT, ERESTARTSYS when a
/// signal is pending.
pub fn wait(futex: &Futex, expected: u32, bitset: u32, deadline: Option<Deadline>) -> Result<()> {
    let waiter = Arc::new(Waiter {
        task: sched::current(),
        _counted: Counted::new(Type::FutexWaiter),
        bitset,
        woken: AtomicBool::new(false),
        sleep: WaitQueue::new(),
        place: SpinLock::new(futex.place.clone()),
    });
    enter(futex, expected, &waiter)?;
    let woken = || waiter.woken.load(Ordering::Acquire).then_some(());
    let outcome = waiter.sleep.wait_until(deadline, woken);
    if !leave(&waiter) {
        // Whoever took it out of the table counts on it being woken.
        return Ok(());
    }
    match outcome {
        Ok(_) => Err(Errno::ETIMEDOUT),
        Err(error) => Err(error),
    }
}

/// Enters the table if the word is as expected.
fn enter(futex: &Futex, expected: u32, waiter: &Arc<Waiter>) -> Result<()> {
    futex.look(|word| {
        let mut table = TABLE.lock();
        if word.load(Ordering::SeqCst) != expected {
            return Err(Errno::EAGAIN);
        }
        table
            .entry(futex.place.name)
            .or_default()
            .push_back(waiter.clone());
        Ok(())
    })?
}

/// Takes a waiter out of the table. False if somebody else did.
fn leave(waiter: &Arc<Waiter>) -> bool {
    let mut table = TABLE.lock();
    let name = waiter.place.lock().name;
    let Some(queue) = table.get_mut(&name) else {
        return false;
    };
    let at = queue.iter().position(|other| Arc::ptr_eq(other, waiter));
    let found = at.and_then(|at| queue.remove(at));
    if queue.is_empty() {
        table.remove(&name);
    }
    found.is_some()
}

/// Takes one waiter with a bit of `bitset` out of a queue: the first, unless
/// the choice says otherwise.
fn take(queue: &mut VecDeque<Arc<Waiter>>, bitset: u32) -> Option<Arc<Waiter>> {
    let places: Vec<usize> = (0..queue.len())
        .filter(|at| queue[*at].bitset & bitset != 0)
        .collect();
    let answer = match places.len() {
        0 => return None,
        1 => 0,
        n => {
            let tasks: Vec<u32> = places.iter().map(|at| queue[*at].task.0).collect();
            probe::choose(ChoiceKind::WakeFirst, n as u32, 0, &tasks) as usize
        }
    };
    queue.remove(*places.get(answer)?)
}

/// Wakes up to `count` waiters that have a bit of `bitset`; returns how many.
pub fn wake(futex: &Futex, count: u64, bitset: u32) -> u64 {
    let mut table = TABLE.lock();
    wake_in(&mut table, futex, count, bitset)
}

fn wake_in(table: &mut Table, futex: &Futex, count: u64, bitset: u32) -> u64 {
    let Some(queue) = table.get_mut(&futex.place.name) else {
        return 0;
    };
    let mut woken = 0;
    while woken < count
        && let Some(waiter) = take(queue, bitset)
    {
        waiter.woken.store(true, Ordering::Release);
        waiter.sleep.wake_one();
        woken += 1;
    }
    if queue.is_empty() {
        table.remove(&futex.place.name);
    }
    woken
}

/// Wakes up to `wake` waiters of `from` and lets up to `requeue` others wait
/// for `to` instead; returns how many of both. With `expected`, only if the
/// word of `from` is that.
///
/// # Errors
/// EAGAIN if it is not, EFAULT.
pub fn requeue(
    from: &Futex,
    to: &Futex,
    wake: u64,
    requeue: u64,
    expected: Option<u32>,
) -> Result<u64> {
    let Some(expected) = expected else {
        return Ok(requeue_in(&mut TABLE.lock(), from, to, wake, requeue));
    };
    from.look(|word| {
        let mut table = TABLE.lock();
        if word.load(Ordering::SeqCst) != expected {
            return Err(Errno::EAGAIN);
        }
        Ok(requeue_in(&mut table, from, to, wake, requeue))
    })?
}

fn requeue_in(table: &mut Table, from: &Futex, to: &Futex, wake: u64, requeue: u64) -> u64 {
    let woken = wake_in(table, from, wake, u32::MAX);
    woken + move_waiters(table, from, to, requeue)
}

fn move_waiters(table: &mut Table, from: &Futex, to: &Futex, count: u64) -> u64 {
    let Some(mut queue) = table.remove(&from.place.name) else {
        return 0;
    };
    let mut moved = VecDeque::new();
    while (moved.len() as u64) < count
        && let Some(waiter) = queue.pop_front()
    {
        *waiter.place.lock() = to.place.clone();
        moved.push_back(waiter);
    }
    let done = moved.len() as u64;
    if !queue.is_empty() {
        table.insert(from.place.name, queue);
    }
    if done > 0 {
        table.entry(to.place.name).or_default().extend(moved);
    }
    done
}
