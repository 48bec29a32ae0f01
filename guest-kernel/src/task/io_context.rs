//! What the block layer knows of a task: the priority of its requests, which
//! CLONE_IO shares.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use linux_raw_sys::general as linux;

use super::Task;
use super::credentials::Cap;
use crate::errno::{Errno, Result};

/// Bits of the level in a priority; the class is above them.
const CLASS_SHIFT: u32 = 13;
/// The classes of Linux: none, real time, best effort, idle.
const NONE: u32 = 0;
const REAL_TIME: u32 = 1;
const BEST_EFFORT: u32 = 2;
const IDLE: u32 = 3;
/// Levels of a class, and the bits of a hint beside them.
const LEVELS: u32 = 8;

/// A task's input and output, as far as it can be told from others'.
#[derive(Default)]
pub struct IoContext {
    priority: AtomicU32,
}

impl IoContext {
    /// Class and level of its requests.
    #[must_use]
    pub fn priority(&self) -> u32 {
        self.priority.load(Ordering::Relaxed)
    }

    /// Sets class and level.
    pub fn set_priority(&self, priority: u32) {
        self.priority.store(priority, Ordering::Relaxed);
    }

    /// A copy, for a child that does not share it.
    #[must_use]
    pub fn copy(&self) -> Arc<Self> {
        let copy = IoContext::default();
        copy.set_priority(self.priority());
        Arc::new(copy)
    }
}

fn may(task: &Task) -> bool {
    let credentials = task.credentials();
    credentials.capable(Cap::SysAdmin) || credentials.capable(Cap::SysNice)
}

/// Whether `task` may ask for this priority.
///
/// # Errors
/// `EPERM` for real time without privilege, `EINVAL` if there is no such class
/// or level.
pub fn check(task: &Task, priority: u32) -> Result<()> {
    let (class, level) = (priority >> CLASS_SHIFT, priority % LEVELS);
    match class {
        REAL_TIME if !may(task) => Err(Errno::EPERM),
        REAL_TIME | BEST_EFFORT | IDLE => Ok(()),
        NONE if level == 0 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

/// Which tasks a call about priorities means: IOPRIO_WHO_*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// One task.
    Task,
    /// A process group.
    Pgrp,
    /// A user.
    User,
}

impl Who {
    /// Reads the argument.
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn from_raw(which: u64) -> Result<Self> {
        match which as u32 {
            1 => Ok(Who::Task),
            2 => Ok(Who::Pgrp),
            3 => Ok(Who::User),
            _ => Err(Errno::EINVAL),
        }
    }
}

const _: () = assert!(linux::CLONE_IO == 0x8000_0000);
