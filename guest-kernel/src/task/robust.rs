//! The list of locks that a task holds in user memory: at its end each is
//! marked as an orphan's, and somebody who waits for it is woken.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use linux_raw_sys::general::{FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};

use super::Task;
use crate::errno::{Errno, Result};
use crate::futex::{self, Futex};
use crate::mm::Mm;
use crate::mm::fault::Access;

/// Bytes of `struct robust_list_head`.
pub const HEAD_SIZE: u64 = 24;
/// A list longer than this is a circle.
const MAX_LOCKS: usize = 2048;
/// Set in an entry's address if its lock inherits priorities.
const INHERITS: u64 = 1;

/// Walks the list of a task that leaves its memory. What cannot be read ends
/// the walk, as on Linux: the list is the task's own business.
pub(super) fn release(task: &Task, mm: &Arc<Mm>) {
    let head = task.robust_list.swap(0, Ordering::Relaxed);
    if head != 0 && !crate::mutant!("robust-list-is-forgotten") {
        let _ = walk(task, mm, head);
    }
}

fn walk(task: &Task, mm: &Arc<Mm>, head: u64) -> Result<()> {
    let offset: u64 = mm.read_value(head.wrapping_add(8))?;
    let pending: u64 = mm.read_value(head.wrapping_add(16))?;
    let mut entry: u64 = mm.read_value(head)?;
    for _ in 0..MAX_LOCKS {
        let at = entry & !INHERITS;
        if at == head {
            break;
        }
        let next = mm.read_value(at);
        if at != pending & !INHERITS {
            orphan(task, mm, entry, offset, false)?;
        }
        entry = next?;
    }
    if pending != 0 {
        orphan(task, mm, pending, offset, true)?;
    }
    Ok(())
}

/// Marks one lock, if the task holds it. If it was at work on it when it died,
/// it may have unlocked it and not woken the next.
fn orphan(task: &Task, mm: &Arc<Mm>, entry: u64, offset: u64, pending: bool) -> Result<()> {
    let own = task.pid().number();
    let word = (entry & !INHERITS).wrapping_add(offset);
    let before = mm.with_word(word, Access::Write, |word| {
        let mark = |value: u32| {
            (value & FUTEX_TID_MASK == own).then_some(value & FUTEX_WAITERS | FUTEX_OWNER_DIED)
        };
        word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, mark)
    })?;
    let wakes = match before {
        Ok(value) => value & FUTEX_WAITERS != 0,
        Err(value) => pending && value == 0,
    };
    if wakes && entry & INHERITS == 0 {
        let _ = futex::wake(&Futex::at(mm, word, false)?, 1, u32::MAX);
    }
    Ok(())
}

/// What `get_robust_list` shows of a task.
///
/// # Errors
/// `ESRCH` if there is no such task.
pub fn head_of(pid: u32) -> Result<u64> {
    let task = match pid {
        0 => Some(super::current()),
        pid => super::find(pid),
    };
    Ok(task.ok_or(Errno::ESRCH)?.robust_list())
}
