//! What clone is asked for, and Linux's answers to what makes no sense.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::Task;
use crate::arch::layout::USER_END;
use crate::errno::{Errno, Result};

/// A request for a task, whoever makes it: fork, vfork, clone, clone3 and
/// kernel threads come down to this.
#[derive(Clone, Debug, Default)]
pub struct CloneArgs {
    /// CLONE_* flags, without the exit signal.
    pub flags: u64,
    /// What the parent is sent at the end; 0 is nothing.
    pub exit_signal: u32,
    /// The child's stack pointer; 0 keeps the parent's.
    pub stack: u64,
    /// The child's FS base, with CLONE_SETTLS.
    pub tls: u64,
    /// Where the parent reads the child's number, with CLONE_PARENT_SETTID.
    pub parent_tid: u64,
    /// Where the child reads its number, with CLONE_CHILD_SETTID, and where it
    /// is cleared at the end, with CLONE_CHILD_CLEARTID.
    pub child_tid: u64,
    /// Where the parent reads the descriptor for the child, with CLONE_PIDFD.
    pub pidfd: u64,
    /// The numbers that the child is to have, its own namespace's first.
    pub set_tid: Vec<u32>,
    /// Came through clone3, whose rules are stricter.
    pub strict: bool,
    /// What a kernel thread does: a function and its argument.
    pub kernel: Option<(extern "C" fn(u64), u64)>,
    /// A kernel thread's name.
    pub name: Option<&'static str>,
}

/// clone3 only: the child's caught signals go back to their default.
pub(super) const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;

/// What 2.6 called CLONE_STOPPED. Today the bit is CLONE_NEWCGROUP; the kernel
/// option `clone_stopped=on` gives it its old meaning.
const CLONE_STOPPED: u32 = linux::CLONE_NEWCGROUP;

/// Namespaces that this kernel does not have: EINVAL, as on a Linux that was
/// built without them. (Where Linux has no control groups, CLONE_NEWCGROUP is
/// accepted and does nothing.)
const MISSING: u32 = linux::CLONE_NEWNET;

impl CloneArgs {
    /// True if the flag is set.
    #[must_use]
    pub fn has(&self, flag: u32) -> bool {
        self.flags & u64::from(flag) != 0
    }

    fn has_both(&self, one: u32, other: u32) -> bool {
        self.has(one) && self.has(other)
    }

    fn has_without(&self, one: u32, other: u32) -> bool {
        self.has(one) && !self.has(other)
    }

    /// True if the child is to start in a stop.
    pub(super) fn starts_stopped(&self) -> bool {
        crate::cmdline().clone_stopped
            && self.has(CLONE_STOPPED)
            && !crate::mutant!("clone-stopped-runs")
    }

    /// The flags, without the bit that is not a namespace's here.
    pub(super) fn namespaces(&self) -> u64 {
        if crate::cmdline().clone_stopped {
            self.flags & !u64::from(CLONE_STOPPED)
        } else {
            self.flags
        }
    }

    /// Refuses what makes no sense, as Linux does.
    pub(super) fn check(&self, parent: &Arc<Task>) -> Result<()> {
        if self.strict {
            self.check_strict()?;
        }
        self.check_pairs()?;
        if self.has(linux::CLONE_PARENT) && parent.group().is_init() {
            // Nobody becomes a brother of a namespace's first.
            return Err(Errno::EINVAL);
        }
        if self.has(linux::CLONE_THREAD) {
            let children = parent.namespaces();
            let moves = !Arc::ptr_eq(&children.pid, parent.pid().namespace());
            if moves || self.has(linux::CLONE_NEWUSER | linux::CLONE_NEWPID) {
                return Err(Errno::EINVAL);
            }
        }
        if self.has(linux::CLONE_SETTLS) && self.tls >= USER_END {
            return Err(Errno::EPERM);
        }
        if self.has(MISSING) || self.has_both(linux::CLONE_NEWIPC, linux::CLONE_SYSVSEM) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// Flags that need or exclude each other.
    fn check_pairs(&self) -> Result<()> {
        let two_tids = self.has_both(linux::CLONE_PIDFD, linux::CLONE_PARENT_SETTID)
            && self.pidfd == self.parent_tid;
        let unsound = two_tids
            || self.has_both(linux::CLONE_NEWNS, linux::CLONE_FS)
            || self.has_both(linux::CLONE_NEWUSER, linux::CLONE_FS)
            || self.has_without(linux::CLONE_THREAD, linux::CLONE_SIGHAND)
            || self.has_without(linux::CLONE_SIGHAND, linux::CLONE_VM)
                && !crate::mutant!("clone-sighand-alone")
            || self.has_both(linux::CLONE_PIDFD, linux::CLONE_DETACHED)
                && !crate::mutant!("clone-detached-pidfd");
        if unsound {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    fn check_strict(&self) -> Result<()> {
        let silent = self.has(linux::CLONE_THREAD) || self.has(linux::CLONE_PARENT);
        // CLONE_NEWTIME lies in the byte of the exit signal, and is missing.
        let lower = u64::from(u32::MAX) & !u64::from(linux::CLONE_DETACHED | linux::CSIGNAL);
        let known = lower | CLONE_CLEAR_SIGHAND;
        let both_handlers = self.flags & CLONE_CLEAR_SIGHAND != 0 && self.has(linux::CLONE_SIGHAND);
        if both_handlers
            || self.flags & !known != 0
            || self.exit_signal > 64
            || silent && self.exit_signal != 0 && !crate::mutant!("clone3-parent-signal")
        {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }
}
