//! The list of locks that a task holds in user memory, and the word that it
//! clears at its end.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use linux_raw_sys::general::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS, ROBUST_LIST_LIMIT};

use crate::errno::{Errno, Result};
use crate::futex::{self, Futex};
use crate::mm::Mm;
use crate::mm::fault::Access;

/// Bytes of `struct robust_list_head`: what set_robust_list must be told.
pub const HEAD_SIZE: u64 = 24;

/// Bit of an entry's address that marks a lock with priority inheritance.
const PI: u64 = 1;

/// Clears the word that CLONE_CHILD_CLEARTID named, and wakes who waits for it.
pub(super) fn clear_tid(mm: &Arc<Mm>, address: u64) {
    // Nobody is left to hear of a bad address.
    let _ = mm.write_value(address, 0_u32);
    let _ = wake(mm, address);
}

fn wake(mm: &Arc<Mm>, address: u64) -> Result<()> {
    futex::wake(&Futex::at(mm, address, false)?, 1, u32::MAX);
    Ok(())
}

/// Marks every lock of a task's list as that of an owner who died, and wakes
/// one who waits for it. A list that cannot be read ends there.
pub(super) fn release(mm: &Arc<Mm>, head: u64, tid: u32) {
    let _ = walk(mm, head, tid);
}

fn walk(mm: &Arc<Mm>, head: u64, tid: u32) -> Result<()> {
    let [first, offset, pending] = mm.read_value::<[u64; 3]>(head)?;
    let mut entry = first;
    let mut outcome = Ok(());
    for _ in 0..ROBUST_LIST_LIMIT {
        if entry & !PI == head {
            break;
        }
        // Before the entry goes: whoever is woken may free it.
        let next = mm.read_value::<u64>(entry & !PI);
        if entry & !PI != pending & !PI {
            outcome = abandon(mm, entry, offset, tid, false);
        }
        match (outcome, next) {
            (Ok(()), Ok(next)) => entry = next,
            _ => break,
        }
    }
    if pending != 0 {
        outcome = outcome.and(abandon(mm, pending, offset, tid, true));
    }
    outcome
}

/// Gives up one lock, if the task holds it.
fn abandon(mm: &Arc<Mm>, entry: u64, offset: u64, tid: u32, pending: bool) -> Result<()> {
    let address = (entry & !PI).wrapping_add(offset);
    let inherits = entry & PI != 0;
    let died = |word: u32| word & FUTEX_WAITERS | FUTEX_OWNER_DIED;
    let before = mm.with_word(address, Access::Write, |word| {
        word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| {
            (word & FUTEX_TID_MASK == tid).then(|| died(word))
        })
    })?;
    let must_wake = match before {
        Ok(word) => word & FUTEX_WAITERS != 0,
        // Unlocked, but perhaps not yet told to the next.
        Err(word) => pending && word == 0,
    };
    if must_wake && !inherits {
        wake(mm, address)?;
    }
    Ok(())
}

/// What `get_robust_list` shows of a task.
///
/// # Errors
/// ESRCH if there is no such task.
pub fn head_of(pid: u32) -> Result<u64> {
    let task = match pid {
        0 => Some(super::current()),
        pid => super::find(pid),
    };
    Ok(task.ok_or(Errno::ESRCH)?.robust_list())
}
