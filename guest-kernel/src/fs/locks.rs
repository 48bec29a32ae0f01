//! Locks on files: of ranges (`fcntl`) and of whole files (`flock`). They bind
//! only those who ask for locks.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};
use crate::sched::WaitQueue;
use crate::sync::SpinLock;

/// Whose a lock is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// A descriptor table's: POSIX locks. All tasks that share it are one.
    Table(u64),
    /// An open file description's.
    Description(u64),
}

/// A lock of a range.
#[derive(Clone, Copy)]
pub struct Lock {
    /// Whose it is.
    pub owner: Owner,
    /// The group whose task took it; -1 for a description's.
    pub group: i32,
    /// Nobody else may hold one, or only none that is exclusive.
    pub exclusive: bool,
    /// The first byte.
    pub start: u64,
    /// The last byte; `u64::MAX` reaches as far as the file ever will.
    pub end: u64,
}

impl Lock {
    fn conflicts(&self, other: &Lock) -> bool {
        let overlap = self.start <= other.end && other.start <= self.end;
        overlap && self.owner != other.owner && (self.exclusive || other.exclusive)
    }
}

/// Why a lock cannot be had now.
enum Refusal {
    /// This owner has one that it would run into.
    Held(Owner),
    /// There is no memory for it.
    Failed(Errno),
}

/// The locks of one file.
pub struct Locks {
    ranges: SpinLock<Vec<Lock>>,
    /// Descriptions that hold the whole file, and whether exclusively.
    whole: SpinLock<Vec<(u64, bool)>>,
    /// A lock went, or became weaker.
    changed: WaitQueue,
}

/// Who waits for whom, of those that wait for a range.
static WAITING: SpinLock<Vec<(Owner, Owner)>> = SpinLock::new(Vec::new());

impl Locks {
    /// None.
    pub const fn new() -> Self {
        Locks {
            ranges: SpinLock::new(Vec::new()),
            whole: SpinLock::new(Vec::new()),
            changed: WaitQueue::new(),
        }
    }

    /// The first lock that a lock would run into.
    pub fn conflict(&self, wanted: &Lock) -> Option<Lock> {
        let ranges = self.ranges.lock();
        let conflicts = ranges.iter().filter(|lock| lock.conflicts(wanted));
        conflicts.min_by_key(|lock| lock.start).copied()
    }

    /// Takes a lock, over whatever its owner held of the range.
    ///
    /// # Errors
    /// EAGAIN if it runs into another; where it may wait, EDEADLK if the other
    /// waits for this one, and what a signal makes of it.
    pub fn take(&self, wanted: &Lock, wait: bool) -> Result<()> {
        match self.try_take(wanted) {
            Ok(()) => {
                self.changed.wake_all();
                return Ok(());
            }
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::Held(_)) => {}
        }
        if !wait {
            return Err(Errno::EAGAIN);
        }
        let outcome = self.changed.wait_interruptible(None, || {
            let holder = match self.try_take(wanted) {
                Ok(()) => return Some(Ok(())),
                Err(Refusal::Failed(error)) => return Some(Err(error)),
                Err(Refusal::Held(holder)) => holder,
            };
            note_waiting(wanted.owner, holder).err().map(Err)
        });
        WAITING.lock().retain(|(waiter, _)| *waiter != wanted.owner);
        self.changed.wake_all();
        outcome?.unwrap_or(Err(Errno::EAGAIN))
    }

    fn try_take(&self, wanted: &Lock) -> core::result::Result<(), Refusal> {
        let mut ranges = self.ranges.lock();
        if let Some(other) = ranges.iter().find(|lock| lock.conflicts(wanted))
            && !crate::mutant!("range-locks-ignored")
        {
            return Err(Refusal::Held(other.owner));
        }
        carve(&mut ranges, wanted.owner, wanted.start, wanted.end).map_err(Refusal::Failed)?;
        let mut whole = *wanted;
        ranges.retain(|lock| !absorb(&mut whole, lock));
        ranges.push(whole);
        Ok(())
    }

    /// Gives up whatever an owner holds of a range.
    ///
    /// # Errors
    /// ENOLCK.
    pub fn release(&self, owner: Owner, start: u64, end: u64) -> Result<()> {
        {
            let mut ranges = self.ranges.lock();
            if ranges.is_empty() {
                return Ok(());
            }
            carve(&mut ranges, owner, start, end)?;
        }
        self.changed.wake_all();
        Ok(())
    }

    /// Gives up all that an owner holds.
    fn release_all(&self, owner: Owner) {
        let went = {
            let mut ranges = self.ranges.lock();
            let before = ranges.len();
            ranges.retain(|lock| lock.owner != owner);
            before != ranges.len()
        };
        if went {
            self.changed.wake_all();
        }
    }

    /// A descriptor of this file was closed: all that its table held goes.
    pub fn closed_in(&self, table: u64) {
        if !crate::mutant!("close-keeps-locks") {
            self.release_all(Owner::Table(table));
        }
    }

    /// A description is gone, and with it all that it held.
    pub fn description_gone(&self, description: u64) {
        self.release_all(Owner::Description(description));
        self.release_whole(description);
    }

    /// Locks the whole file for a description, which first gives up what it
    /// held of another kind, as on Linux.
    ///
    /// # Errors
    /// EAGAIN; what a signal makes of waiting.
    pub fn take_whole(&self, description: u64, exclusive: bool, wait: bool) -> Result<()> {
        let held = (description, exclusive);
        if self.whole.lock().contains(&held) {
            return Ok(());
        }
        self.release_whole(description);
        if self.try_whole(held).is_some() {
            return Ok(());
        }
        if !wait {
            return Err(Errno::EAGAIN);
        }
        self.changed
            .wait_interruptible(None, || self.try_whole(held))?;
        Ok(())
    }

    fn try_whole(&self, wanted: (u64, bool)) -> Option<()> {
        let mut whole = self.whole.lock();
        let conflict = whole.iter().any(|(_, exclusive)| *exclusive || wanted.1);
        if conflict && !crate::mutant!("flock-ignored") {
            return None;
        }
        whole.push(wanted);
        Some(())
    }

    /// Gives up the lock of the whole file.
    pub fn release_whole(&self, description: u64) {
        let went = {
            let mut whole = self.whole.lock();
            let before = whole.len();
            whole.retain(|(holder, _)| *holder != description);
            before != whole.len()
        };
        if went {
            self.changed.wake_all();
        }
    }
}

/// Takes an owner's locks out of a range, cut at its ends.
///
/// # Errors
/// ENOLCK: there is no memory for another piece. Nothing has changed then.
fn carve(ranges: &mut Vec<Lock>, owner: Owner, start: u64, end: u64) -> Result<()> {
    // At most one lock is cut in two, and at most one is entered after this.
    ranges.try_reserve(2).map_err(|_| Errno::ENOLCK)?;
    let mut upper = None;
    ranges.retain_mut(|lock| {
        if lock.owner != owner || lock.end < start || lock.start > end {
            return true;
        }
        let rest = (lock.end > end).then(|| Lock {
            start: end + 1,
            ..*lock
        });
        match (lock.start < start, rest) {
            (true, rest) => {
                lock.end = start - 1;
                upper = rest.or(upper);
                true
            }
            (false, Some(rest)) => {
                *lock = rest;
                true
            }
            (false, None) => false,
        }
    });
    ranges.extend(upper);
    Ok(())
}

/// Joins a lock of the same owner and kind that lies right beside.
fn absorb(into: &mut Lock, other: &Lock) -> bool {
    let alike = into.owner == other.owner && into.exclusive == other.exclusive;
    let before = other.end.checked_add(1) == Some(into.start);
    let behind = into.end.checked_add(1) == Some(other.start);
    if !alike || !before && !behind {
        return false;
    }
    into.start = into.start.min(other.start);
    into.end = into.end.max(other.end);
    true
}

/// Notes that `waiter` waits for `holder`.
///
/// # Errors
/// EDEADLK: so would, over others, `holder` for `waiter`. Only tables wait as
/// one; of descriptions nobody can say who would free them.
fn note_waiting(waiter: Owner, holder: Owner) -> Result<()> {
    let mut waiting = WAITING.lock();
    waiting.retain(|(known, _)| *known != waiter);
    let mut at = holder;
    for _ in 0..=waiting.len() {
        let unseen = crate::mutant!("deadlock-unseen");
        if at == waiter && matches!(waiter, Owner::Table(_)) && !unseen {
            return Err(Errno::EDEADLK);
        }
        match waiting.iter().find(|(known, _)| *known == at) {
            Some((_, next)) => at = *next,
            None => break,
        }
    }
    waiting.push((waiter, holder));
    Ok(())
}
