//! RLIMIT_NPROC: how many tasks a user may have. Root may have any number.

use super::group::LIMIT_NPROC;
use super::{TREE, Task};
use crate::errno::{Errno, Result};
use crate::fs::capability::Cap;

/// True if so many tasks are more than a user may have.
fn is_over(task: &Task, uid: u32, more: u64) -> bool {
    let (limit, _) = task.group().limit(LIMIT_NPROC);
    uid != 0 && limit != u64::MAX && TREE.lock().count_of(uid) + more > limit
}

/// Whether the task may make another one of its user.
///
/// # Errors
/// `EAGAIN`.
pub(super) fn may_clone(task: &Task) -> Result<()> {
    let me = task.credentials();
    if !is_over(task, me.uid, 1) || crate::mutant!("task-limit-ignored") {
        return Ok(());
    }
    if me.capable(Cap::SysResource) || me.capable(Cap::SysAdmin) {
        Ok(())
    } else {
        Err(Errno::EAGAIN)
    }
}

/// The task becomes another user's. That always succeeds: too many programs do
/// not look. If that user has too many tasks, exec will fail.
pub(super) fn user_changes(task: &Task, uid: u32) {
    task.set_over_limit(is_over(task, uid, 0));
}

/// Whether the task may run a program.
///
/// # Errors
/// `EAGAIN`.
pub(super) fn may_exec(task: &Task) -> Result<()> {
    if task.is_over_limit() && is_over(task, task.credentials().uid, 0) {
        return Err(Errno::EAGAIN);
    }
    task.set_over_limit(false);
    Ok(())
}
