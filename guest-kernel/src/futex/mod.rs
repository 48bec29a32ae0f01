//! Futexes: tasks that wait until somebody wakes a word of memory.
//!
//! One lock guards the table of waiters. A waiter looks at the word and enters
//! the table under it, a waker leaves the word alone and then takes the lock:
//! so a waker comes either before the look, which then sees the new value, or
//! after the entry, which it then finds.
//!
//! | file | what |
//! |---|---|
//! | this one | names, the table, waiting and waking |
//! | `requeue` | letting waiters wait for something else |
//! | `op` | changing a word and waking in one call |
//! | `many` | waiting for several words |
//! | `pi` | locks whose owners are lent the priority of those who wait |

mod many;
mod op;
mod pi;
mod requeue;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::choice::ChoiceKind;
use abi::event::{FutexLook, FutexQueue, FutexWake};

use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::mm::Mm;
use crate::mm::fault::Access;
use crate::mm::frame::{self, Frame};
use crate::probe;
use crate::sched::{self, Deadline, TaskId, Time, WaitQueue};
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
#[derive(Clone)]
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
        let private = private && !crate::mutant!("private-futex-is-shared");
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

    /// True if both are one.
    #[must_use]
    pub fn is(&self, other: &Futex) -> bool {
        self.place.name == other.place.name
    }

    /// Changes the word while the address space cannot change.
    fn change<R>(&self, work: impl FnOnce(&AtomicU32) -> R) -> Result<R> {
        self.mm.with_word(self.address, Access::Write, work)
    }

    /// Looks at the word while the address space cannot change.
    fn look<R>(&self, work: impl FnOnce(&AtomicU32) -> R) -> Result<R> {
        self.mm.with_word(self.address, Access::Read, work)
    }
}

/// Where a waiter waits.
enum At {
    /// In the queue of a futex.
    Queue(Place),
    /// For a lock that lends priorities.
    Lock(Place),
}

/// A task that waits.
struct Waiter {
    _counted: Counted,
    task: TaskId,
    /// Its number as its memory's locks show it.
    tid: u32,
    bitset: u32,
    /// Set by whoever took the waiter out of the table to wake it.
    woken: AtomicBool,
    /// Where it sleeps; one that waits for several futexes has several waiters.
    sleep: Arc<WaitQueue>,
    /// What it waits for; changed only under the table's lock.
    at: SpinLock<At>,
    /// The lock that it wants to be moved to, and nothing else.
    lock: Option<Name>,
}

impl Waiter {
    fn new(place: &Place, bitset: u32, sleep: &Arc<WaitQueue>) -> Self {
        Waiter {
            _counted: Counted::new(Type::FutexWaiter),
            task: sched::current(),
            tid: 0,
            bitset,
            woken: AtomicBool::new(false),
            sleep: sleep.clone(),
            at: SpinLock::new(At::Queue(place.clone())),
            lock: None,
        }
    }

    fn is_woken(&self) -> bool {
        self.woken.load(Ordering::Acquire)
    }

    /// Lets a waiter go on that has been taken out of the table.
    fn wake(&self) {
        probe::emit(&FutexWake {
            waiter: self.task.into(),
        });
        if crate::mutant!("futex-wakes-sleepers-only") {
            let slept = self.sleep.wake_one();
            self.woken.store(slept, Ordering::Release);
            return;
        }
        self.woken.store(true, Ordering::Release);
        if !crate::mutant!("futex-wakes-nobody") {
            self.sleep.wake_one();
        }
    }
}

type Queue = VecDeque<Arc<Waiter>>;

/// Everybody who waits.
struct Table {
    queues: BTreeMap<Name, Queue>,
    locks: BTreeMap<Name, pi::Lock>,
}

static TABLE: SpinLock<Table> = SpinLock::new(Table {
    queues: BTreeMap::new(),
    locks: BTreeMap::new(),
});

/// Waits until somebody wakes the futex, if its word still is `expected`.
///
/// # Errors
/// EAGAIN if it is not, ETIMEDOUT at the deadline, EFAULT, ENOMEM, ERESTARTSYS
/// when a signal is pending.
pub fn wait(futex: &Futex, expected: u32, bitset: u32, deadline: Option<Deadline>) -> Result<()> {
    frame::room()?;
    let sleep = Arc::new(WaitQueue::new());
    let waiter = Arc::new(Waiter::new(&futex.place, bitset, &sleep));
    enter(futex, expected, &waiter)?;
    let early = crate::mutant!("futex-wait-ends-early");
    let deadline = deadline.map(|at| if early { Time::now().into() } else { at });
    let outcome = sleep.wait_until(deadline, || waiter.is_woken().then_some(()));
    let taken = !leave(&waiter);
    let late = deadline.is_some_and(Deadline::has_passed);
    let eaten = late && crate::mutant!("futex-timeout-eats-wake")
        || sched::signal_pending() && crate::mutant!("futex-signal-eats-wake");
    if taken && !eaten {
        // Whoever took it out of the table counts on it being woken.
        return Ok(());
    }
    match outcome {
        Ok(_) if eaten && !late => Err(Errno::ERESTARTSYS),
        Ok(_) => Err(Errno::ETIMEDOUT),
        Err(error) => Err(error),
    }
}

/// Enters the table if the word is as expected.
fn enter(futex: &Futex, expected: u32, waiter: &Arc<Waiter>) -> Result<()> {
    let uaddr = futex.address;
    let early = crate::mutant!("futex-looks-too-early");
    let seen = early.then(|| futex.look(|word| word.load(Ordering::SeqCst)));
    probe::emit(&FutexLook { uaddr });
    futex.look(|word| {
        let mut table = TABLE.lock();
        let now = match seen {
            Some(seen) => seen?,
            None => word.load(Ordering::SeqCst),
        };
        if now != expected {
            return Err(Errno::EAGAIN);
        }
        let queue = table.queues.entry(futex.place.name).or_default();
        queue.push_back(waiter.clone());
        Ok(())
    })??;
    probe::emit(&FutexQueue { uaddr });
    Ok(())
}

/// Takes a waiter out of the table. False if somebody else did.
fn leave(waiter: &Arc<Waiter>) -> bool {
    let mut table = TABLE.lock();
    let name = match &*waiter.at.lock() {
        At::Queue(place) => place.name,
        At::Lock(place) => return table.leave_lock(place.name, waiter),
    };
    let Some(queue) = table.queues.get_mut(&name) else {
        return false;
    };
    let found = remove(queue, waiter);
    if queue.is_empty() {
        table.queues.remove(&name);
    }
    found
}

fn remove(queue: &mut Queue, waiter: &Arc<Waiter>) -> bool {
    let at = queue.iter().position(|other| Arc::ptr_eq(other, waiter));
    at.is_some_and(|at| queue.remove(at).is_some())
}

/// Takes one waiter with a bit of `bitset` out of a queue: the first of those
/// with the highest real-time priority, unless the choice says otherwise.
fn take(queue: &mut Queue, bitset: u32) -> Option<Arc<Waiter>> {
    let any = crate::mutant!("futex-ignores-bits");
    let meant = |at: &usize| any || queue[*at].bitset & bitset != 0;
    let priority = |at: &usize| sched::priority(queue[*at].task);
    let top = (0..queue.len())
        .filter(meant)
        .map(|at| priority(&at))
        .max()?;
    let meant = (0..queue.len()).filter(meant);
    let places: Vec<usize> = meant.filter(|at| priority(at) == top).collect();
    let answer = match places.len() {
        0 | 1 => 0,
        n => {
            let tasks: Vec<u32> = places.iter().map(|at| queue[*at].task.0).collect();
            probe::choose(ChoiceKind::WakeFirst, n as u32, 0, &tasks) as usize
        }
    };
    queue.remove(*places.get(answer)?)
}

/// Wakes up to `count` waiters that have a bit of `bitset`; returns how many.
///
/// # Errors
/// EINVAL if somebody waits there to be moved to a lock.
pub fn wake(futex: &Futex, count: u64, bitset: u32) -> Result<u64> {
    TABLE.lock().wake(futex, count, bitset)
}

impl Table {
    fn wake(&mut self, futex: &Futex, count: u64, bitset: u32) -> Result<u64> {
        let name = futex.place.name;
        let wants_lock = |waiter: &Arc<Waiter>| waiter.lock.is_some();
        if self.locks.contains_key(&name) {
            return Err(Errno::EINVAL);
        }
        let Some(queue) = self.queues.get_mut(&name) else {
            return Ok(0);
        };
        if queue.iter().any(wants_lock) {
            return Err(Errno::EINVAL);
        }
        let mut woken = 0;
        let count = count + u64::from(crate::mutant!("futex-wakes-one-more"));
        while woken < count
            && let Some(waiter) = take(queue, bitset)
        {
            waiter.wake();
            woken += 1;
        }
        if queue.is_empty() {
            self.queues.remove(&name);
        }
        Ok(woken)
    }
}

pub use many::{Wanted, wait_for_any};
pub use op::{Change, wake_op};
pub use pi::{Own, leave_locks, lock, trylock, unlock, wait_for_lock};
pub use requeue::{requeue, requeue_to_lock};
