//! Waiting for children.

use alloc::sync::Arc;

use linux_raw_sys::general as linux;

use super::tree::{Node, TREE, Tree};
use super::{Task, current, orphans, ptrace};
use crate::errno::{Errno, Result};
use crate::sched::Usage;

/// Which children are meant.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// Any.
    Any,
    /// The one with this number, the kernel's.
    Pid(u32),
    /// Those of a process group, by the kernel's number.
    Pgrp(u32),
}

/// A child's change of state.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The child, as its parent sees it.
    pub pid: u32,
    /// Its user id.
    pub uid: u32,
    /// The wait status.
    pub status: i32,
    /// It stopped for its tracer.
    pub trapped: bool,
    /// What it has used, its own children that it waited for included.
    pub usage: Usage,
}

/// What is waited for: the flags of wait4, with WEXITED understood.
#[derive(Clone, Copy, Debug)]
pub struct Options(pub u32);

impl Options {
    pub(super) fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    /// Whether a child is meant: one that ends with SIGCHLD, or with __WCLONE
    /// one that does not; with __WNOTHREAD only one of this very task.
    fn cover(self, child: &Node, me: u32) -> bool {
        let other = self.has(linux::__WNOTHREAD)
            && child.maker != me
            && !crate::mutant!("wnothread-takes-all");
        let kind = self.has(linux::__WCLONE) == (child.exit_signal != linux::SIGCHLD)
            || crate::mutant!("wclone-ignored");
        !other && (self.has(linux::__WALL) || kind)
    }
}

/// Waits for a child that ended, stopped or went on. `None` if WNOHANG is
/// given and none did.
///
/// # Errors
/// `ECHILD` if there is no such child, `ERESTARTSYS`.
pub fn wait(which: Which, options: Options) -> Result<Option<Change>> {
    let me = current();
    let look = || look(&me, which, options).transpose();
    if options.has(linux::WNOHANG) {
        return look().transpose();
    }
    let found = me.group().children.wait_interruptible(None, look)?;
    found.transpose()
}

/// Lets every child go that has ended.
pub(super) fn reap_all(task: &Arc<Task>) {
    let options = Options(linux::__WALL | linux::WEXITED);
    while let Ok(Some(_)) = look(task, Which::Any, options) {}
}

/// Looks through the children once.
fn look(me: &Arc<Task>, which: Which, options: Options) -> Result<Option<Change>> {
    let mut tree = TREE.lock();
    let children = tree
        .node(me.tgid().0)
        .map_or(&[][..], |node| &node.children);
    let mut any = false;
    let mut found = None;
    for &child in children {
        let Some(node) = tree.node(child) else {
            continue;
        };
        if !matches(node, which)
            || !options.cover(node, me.id().0) && !ptrace::is_own(&tree, child, me)
        {
            continue;
        }
        any = true;
        if ptrace::is_anothers(&tree, child, me.tgid().0) {
            continue;
        }
        let status = match ptrace::own_stop(&tree, child, options) {
            Some(stop) if node.zombie.is_none() => stop,
            _ => change(node, options),
        };
        found = status.map(|status| (child, status));
        if found.is_some() {
            break;
        }
    }
    let Some((child, status)) = found else {
        let (more, told) = ptrace::look(&tree, me, which, options);
        drop(tree);
        let Some((change, ended)) = told else {
            return if any || more {
                Ok(None)
            } else {
                Err(Errno::ECHILD)
            };
        };
        if let Some(ended) = ended {
            ptrace::heard(&ended);
        }
        return Ok(Some(change));
    };
    let leader = tree.task(child);
    let trapped = ptrace::is_own(&tree, child, me) && status & 0xFF == 0x7F;
    let usage = tree.node(child).map(|node| {
        let reaped = *node.group.reaped.lock();
        node.group.clock.usage().plus(reaped)
    });
    let usage = usage.unwrap_or_default();
    let change = Change {
        pid: leader
            .as_ref()
            .map_or(0, |leader| leader.group_number_for(me)),
        uid: leader.as_ref().map_or(0, |leader| leader.credentials().uid),
        status,
        trapped,
        usage,
    };
    let forgotten = take(&mut tree, child, options);
    if let Some(mother) = tree
        .node(me.tgid().0)
        .filter(|_| forgotten.is_some() && !crate::mutant!("children-use-nothing"))
    {
        let mut reaped = mother.group.reaped.lock();
        *reaped = reaped.plus(usage);
    }
    drop(tree);
    drop(leader);
    orphans::gone(forgotten);
    Ok(Some(change))
}

fn matches(node: &Node, which: Which) -> bool {
    match which {
        Which::Any => true,
        Which::Pid(_) if crate::mutant!("wait-ignores-the-pid") => true,
        Which::Pid(pid) => node.group.id().0 == pid,
        Which::Pgrp(group) => node.group.process_group() == group,
    }
}

/// What there is to tell of a child.
fn change(node: &Node, options: Options) -> Option<i32> {
    if let Some(status) = node.zombie {
        options.has(linux::WEXITED).then_some(status)
    } else {
        let signals = node.group.signals.lock();
        let stopped = options.has(linux::WUNTRACED) && signals.report_stopped;
        match signals.stop {
            Some(signal) if stopped => Some(i32::from(signal.number()) << 8 | 0x7F),
            _ if options.has(linux::WCONTINUED) && signals.report_continued => Some(0xFFFF),
            _ => None,
        }
    }
}

/// Makes sure that a change is told once: a zombie goes.
fn take(tree: &mut Tree, pid: u32, options: Options) -> Option<Arc<Task>> {
    if options.has(linux::WNOWAIT) && !crate::mutant!("wnowait-takes") {
        return None;
    }
    let node = tree.node(pid)?;
    if node.zombie.is_some() {
        return tree.forget_group(pid);
    }
    let mut signals = node.group.signals.lock();
    if signals.stop.is_some() {
        signals.report_stopped = crate::mutant!("stop-told-twice");
    } else {
        signals.report_continued = false;
    }
    None
}
