//! Job control: process groups that nobody can let go on any more, the
//! terminal's rules for those in the background, and the end of a session.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::group::Group;
use super::signal::{send, to_process_group};
use super::tree::{INIT, Node, TREE, Tree};
use super::{Task, current};
use crate::errno::{Errno, Result};
use crate::fs::tty;
use crate::signal::{SigInfo, Signal};

/// True if nobody is left who could let a process group go on: the terminal's
/// signals do not stop it then. Somebody would be a parent of one of its
/// members, in another process group of the same session.
pub(super) fn is_orphaned(tree: &Tree, group: &Group) -> bool {
    is_orphaned_number(tree, group.process_group())
}

fn is_orphaned_number(tree: &Tree, number: u32) -> bool {
    let member = |node: &&Node| node.group.process_group() == number && node.zombie.is_none();
    !tree.groups().filter(member).any(|node| {
        let parent = tree.node(node.parent).map(|parent| &parent.group);
        node.parent != INIT && parent.is_some_and(|parent| connects(parent, &node.group))
    })
}

/// True if a parent can let this child's process group go on.
fn connects(parent: &Group, child: &Group) -> bool {
    parent.process_group() != child.process_group() && parent.session() == child.session()
}

fn has_stopped(tree: &Tree, number: u32) -> bool {
    let mut members = tree
        .groups()
        .filter(|node| node.group.process_group() == number && node.zombie.is_none());
    members.any(|node| {
        let signals = node.group.signals.lock();
        signals.stop.is_some() && signals.still_running == 0
    })
}

/// What the end of a group means to others: decided while the tree is locked,
/// and told when it is not.
#[derive(Default)]
pub(super) struct LastWill {
    /// Children that wanted to be sent a signal when their parent ends.
    bereaved: Vec<(Arc<Task>, Signal)>,
    /// Process groups with stopped tasks that nobody can let go on now.
    orphaned: Vec<u32>,
    /// The foreground group of the terminal whose session has lost its leader.
    hung_up: Option<i32>,
}

impl LastWill {
    /// For a task that leaves a group behind.
    pub(super) fn of_task(tree: &Tree, task: &Task) -> Self {
        let children = tree.node(task.tgid().0).map(|node| &node.children[..]);
        let own = |child: &u32| {
            tree.node(*child)
                .is_some_and(|node| node.maker == task.id().0)
        };
        let children = children.unwrap_or_default().iter().copied().filter(own);
        LastWill {
            bereaved: bereaved(tree, &children.collect::<Vec<u32>>()),
            ..LastWill::default()
        }
    }

    /// For a group that has ended; `children` have other parents already.
    pub(super) fn of_group(tree: &Tree, task: &Task, children: &[u32]) -> Self {
        let parent = tree.node(task.tgid().0).map_or(INIT, |node| node.parent);
        LastWill {
            bereaved: bereaved(tree, children),
            orphaned: newly_orphaned(tree, task.group(), parent, children),
            hung_up: (task.group().session() == task.tgid().0)
                .then(|| tty::console().end_session(task.tgid().0 as i32))
                .flatten(),
        }
    }

    pub(super) fn execute(self) {
        for (task, signal) in &self.bereaved {
            send(task, true, SigInfo::own(*signal));
        }
        for number in self.orphaned {
            signal_all(number as i32, Signal::SIGHUP);
            signal_all(number as i32, Signal::SIGCONT);
        }
        if let Some(foreground) = self.hung_up
            && !crate::mutant!("hangup-silent")
        {
            signal_all(foreground, Signal::SIGHUP);
        }
    }
}

fn signal_all(process_group: i32, signal: Signal) {
    // Who is gone by now needs no signal.
    let _ = to_process_group(process_group, Some(SigInfo::kernel(signal)));
}

fn bereaved(tree: &Tree, children: &[u32]) -> Vec<(Arc<Task>, Signal)> {
    let tasks = children.iter().flat_map(|&child| tree.members(child));
    tasks
        .filter_map(|task| {
            let signal = Signal::new(u64::from(task.parent_death_signal()))?;
            (!crate::mutant!("parent-death-silent")).then_some((task, signal))
        })
        .collect()
}

/// The process groups for which the group that ended was the last connection
/// to the rest of the session, and in which somebody is stopped.
fn newly_orphaned(tree: &Tree, ended: &Group, parent: u32, children: &[u32]) -> Vec<u32> {
    let mut numbers = Vec::new();
    if tree
        .node(parent)
        .is_some_and(|parent| connects(&parent.group, ended))
    {
        numbers.push(ended.process_group());
    }
    for child in children.iter().filter_map(|&child| tree.node(child)) {
        if connects(ended, &child.group) {
            numbers.push(child.group.process_group());
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    numbers.retain(|&number| {
        is_orphaned_number(tree, number)
            && has_stopped(tree, number)
            && !crate::mutant!("orphans-stay-stopped")
    });
    numbers
}

/// The running task wants to do with its terminal what only the foreground
/// may; `signal` is what its process group gets otherwise. `session` is the
/// terminal's, `foreground` the process group in it.
///
/// # Errors
/// `ERESTARTSYS` once the signal is sent; `EIO` if nobody would see it stop.
pub fn check_foreground(session: i32, foreground: i32, signal: u32) -> Result<()> {
    let me = current();
    let elsewhere = session == 0 || me.group().session() as i32 != session;
    let Some(signal) = Signal::new(u64::from(signal)) else {
        return Ok(());
    };
    if elsewhere || me.process_group() == foreground || crate::mutant!("background-reads") {
        return Ok(());
    }
    let ignored = me.sighand().0.lock().ignores(signal);
    if ignored || me.signals.lock().blocked.has(signal) {
        return if signal == Signal::SIGTTIN {
            Err(Errno::EIO)
        } else {
            Ok(())
        };
    }
    if is_orphaned(&TREE.lock(), me.group()) {
        return Err(Errno::EIO);
    }
    signal_all(me.process_group(), signal);
    Err(Errno::ERESTARTSYS)
}

/// The session that a process group belongs to, if there is such a group.
#[must_use]
pub fn session_of(process_group: i32) -> Option<i32> {
    let tree = TREE.lock();
    let mut groups = tree.groups();
    let member = groups.find(|node| node.group.process_group() as i32 == process_group);
    member.map(|node| node.group.session() as i32)
}

/// The running task's session, and whether it leads it.
#[must_use]
pub fn own_session() -> (i32, bool) {
    let me = current();
    let session = me.group().session();
    (session as i32, session == me.tgid().0)
}
