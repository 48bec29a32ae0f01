//! Stopping and going on: a signal stops a whole group, SIGCONT lets it go on.

use alloc::sync::Arc;

use super::signal::{notify, to_group_in};
use super::tree::{INIT, Node, TREE, Tree};
use super::{Task, current};
use crate::sched;
use crate::signal::{Fields, GroupSignals, SigInfo, SigSet, Signal, code};

/// A signal that lets a group go on takes back all that would stop it, and the
/// other way round. True if a group that was stopped, or about to be, goes on.
pub(super) fn cancel_opposite(
    signal: Signal,
    group: &mut GroupSignals,
    members: &[Arc<Task>],
) -> bool {
    if SigSet::STOP.has(signal) {
        remove(group, members, SigSet::of(&[Signal::SIGCONT]));
        return false;
    }
    if signal != Signal::SIGCONT {
        return false;
    }
    remove(group, members, SigSet::STOP);
    let stopped = group.stop.take().is_some();
    group.still_running = 0;
    group.report_stopped = false;
    group.report_continued |= stopped;
    for task in members {
        task.signals.lock().must_stop = false;
        sched::wake_stopped(task.id());
    }
    stopped
}

fn remove(group: &mut GroupSignals, members: &[Arc<Task>], signals: SigSet) {
    group.pending.remove(signals);
    for task in members {
        task.signals.lock().pending.remove(signals);
    }
}

/// Tells the parent of a group that it stopped or goes on.
pub(super) fn tell_parent(tree: &Tree, node: &Node, code: i32, signal: Signal) {
    let Some(parent) = tree.node(node.parent) else {
        return;
    };
    let child = node.group.id().0;
    let hidden = tree
        .members(node.parent)
        .first()
        .is_none_or(|task| task.sighand().0.lock().hides_stops());
    if !hidden {
        let uid = tree.task(child).map_or(0, |task| task.credentials().uid);
        let info = SigInfo {
            signal: Signal::SIGCHLD,
            code,
            fields: Fields::Child {
                pid: child as i32,
                uid,
                status: i32::from(signal.number()),
            },
        };
        to_group_in(tree, node.parent, node.parent, info);
    }
    parent.group.children.wake_all();
}

/// True if nobody is left who could let a process group go on: no parent of
/// one of its members is of another group of the same session.
fn is_orphaned(tree: &Tree, process_group: u32) -> bool {
    let mut members = tree
        .groups()
        .filter(|node| node.group.process_group() == process_group && node.zombie.is_none());
    !members.any(|node| {
        let parent = tree.node(node.parent).map(|parent| &parent.group);
        node.parent != INIT
            && parent.is_some_and(|parent| {
                parent.process_group() != process_group && parent.session() == node.group.session()
            })
    })
}

/// The running task has taken a signal that stops: so does its whole group.
pub(super) fn stop_group(me: &Arc<Task>, signal: Signal) {
    {
        let tree = TREE.lock();
        let orphaned = signal != Signal::SIGSTOP && is_orphaned(&tree, me.group().process_group());
        if orphaned || me.group().ending().is_some() {
            return;
        }
        let members = tree.members(me.tgid().0);
        let mut group = me.group().signals.lock();
        if group.stop.is_none() {
            group.stop = Some(signal);
            group.still_running = members.len();
            for task in &members {
                task.signals.lock().must_stop = true;
                notify(task, false);
            }
        }
    }
    stop_if_asked(me);
}

/// Stops if the group does, until it goes on or ends.
pub(super) fn stop_if_asked(me: &Arc<Task>) {
    if !core::mem::take(&mut me.signals.lock().must_stop) {
        return;
    }
    count_stopped(me);
    let stays = || me.group().signals.lock().stop.is_some();
    while stays() && !sched::fatal_pending() {
        sched::stop_while(stays);
    }
}

/// One task less to wait for; with the last one the group is stopped.
fn count_stopped(me: &Task) {
    let tree = TREE.lock();
    let Some(signal) = ({
        let mut group = me.group().signals.lock();
        group.still_running = group.still_running.saturating_sub(1);
        let complete = group.still_running == 0 && group.stop.is_some();
        group.report_stopped |= complete;
        group.stop.filter(|_| complete)
    }) else {
        return;
    };
    if let Some(node) = tree.node(me.tgid().0) {
        tell_parent(&tree, node, code::CLD_STOPPED, signal);
    }
}

/// A task that exits need not stop any more.
pub(super) fn no_longer_awaited(me: &Task) {
    if core::mem::take(&mut me.signals.lock().must_stop) {
        count_stopped(me);
    }
}

/// True if the running task's group is stopped or stopping.
#[must_use]
pub fn is_stopping() -> bool {
    current().group().signals.lock().stop.is_some()
}
