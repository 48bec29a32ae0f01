//! The priority of a task's requests to block devices.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::pid::named;
use super::table::Call;
use crate::errno::{Errno, Result};
use crate::task::credentials::Cap;
use crate::task::io_context::{self, Who};
use crate::task::tree::TREE;
use crate::task::{self, Task, pid_namespace};

/// The tasks that the arguments name.
fn meant(which: u64, who: u64) -> Result<Vec<Arc<Task>>> {
    let number = who as i32;
    let wanted: Vec<Arc<Task>> = match Who::from_raw(which)? {
        Who::Task => alloc::vec![named(who)?],
        Who::Pgrp => {
            let group = match number {
                0 => Some(task::current().process_group() as u32),
                number => pid_namespace::own().find(number as u32),
            };
            TREE.lock()
                .all()
                .filter(|task| Some(task.process_group() as u32) == group)
                .cloned()
                .collect()
        }
        Who::User => {
            let user = match number {
                0 => task::current().credentials().uid,
                number => number as u32,
            };
            TREE.lock()
                .all()
                .filter(|task| task.credentials().uid == user)
                .cloned()
                .collect()
        }
    };
    if wanted.is_empty() {
        return Err(Errno::ESRCH);
    }
    Ok(wanted)
}

pub(super) fn ioprio_set(call: &mut Call<'_>) -> Result<u64> {
    let [which, who, priority, ..] = call.args;
    let priority = priority as u32;
    let me = task::current();
    io_context::check(&me, priority)?;
    for task in meant(which, who)? {
        let (mine, its) = (me.credentials(), task.credentials());
        if !mine.capable(Cap::SysNice) && its.uid != mine.euid && its.uid != mine.uid {
            return Err(Errno::EPERM);
        }
        task.io().set_priority(priority);
    }
    Ok(0)
}

/// The best of the priorities of those who are meant.
pub(super) fn ioprio_get(call: &mut Call<'_>) -> Result<u64> {
    let [which, who, ..] = call.args;
    let tasks = meant(which, who)?;
    let priorities = tasks.iter().map(|task| task.io().priority());
    Ok(u64::from(priorities.min().unwrap_or(0)))
}
