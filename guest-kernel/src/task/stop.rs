//! Stop and continue: a stop signal stops a whole group, task by task, and
//! SIGCONT lets it go on at once; the parent hears of both.

use alloc::sync::Arc;

use super::signal::{recalculate, send};
use super::tree::TREE;
use super::{Task, current, jobs};
use crate::sched;
use crate::signal::{Fields, GroupSignals, SigInfo, SigSet, Signal, TaskSignals, code};

/// SIGCONT takes back every stop that is pending, a stop every SIGCONT, also
/// where they are ignored or blocked. True if the group was stopped.
pub(super) fn prepare(task: &Task, members: &[Arc<Task>], signal: Signal) -> bool {
    let undone = if crate::mutant!("stop-stays-pending") {
        SigSet::default()
    } else if signal == Signal::SIGCONT {
        SigSet::STOP
    } else if SigSet::STOP.has(signal) {
        SigSet::of(&[Signal::SIGCONT])
    } else {
        return false;
    };
    let mut group = task.group().signals.lock();
    group.pending.remove(undone);
    for member in members {
        let mut signals = member.signals.lock();
        signals.pending.remove(undone);
        signals.must_stop &= signal != Signal::SIGCONT;
    }
    if signal == Signal::SIGCONT {
        group.will_stop = None;
    }
    if signal != Signal::SIGCONT || group.stop.take().is_none() {
        return false;
    }
    group.still_running = 0;
    group.report_stopped = false;
    group.report_continued = true;
    true
}

/// Tells the parent that a group has stopped or goes on.
pub(super) fn tell_parent(task: &Task, code: i32, signal: Signal) {
    let parents = {
        let tree = TREE.lock();
        let parent = tree.node(task.tgid().0).map(|node| node.parent);
        parent
            .map(|parent| tree.members(parent))
            .unwrap_or_default()
    };
    let Some(parent) = parents.first() else {
        return;
    };
    if !parent.sighand().0.lock().hides_stops() {
        let fields = Fields::Child {
            pid: task.group_number_for(parent) as i32,
            uid: task.credentials().uid,
            status: i32::from(signal.number()),
        };
        let signal = Signal::SIGCHLD;
        send(
            parent,
            true,
            SigInfo {
                signal,
                code,
                fields,
            },
        );
    }
    parent.group().children.wake_all();
}

/// The whole group is to stop, unless SIGCONT has come since the signal was
/// taken.
pub(super) fn begin_stop(signal: Signal) {
    let task = current();
    let members = {
        let tree = TREE.lock();
        let orphaned = signal != Signal::SIGSTOP && jobs::is_orphaned(&tree, task.group());
        let mut members = tree.members(task.tgid().0);
        if crate::mutant!("stop-one-task") {
            members.retain(|member| member.id() == task.id());
        }
        let mut group = task.group().signals.lock();
        if group.will_stop.take().is_none() || group.stop.is_some() || orphaned {
            return;
        }
        group.stop = Some(signal);
        group.still_running = members.len();
        group.report_continued = false;
        for member in &members {
            member.signals.lock().must_stop = true;
        }
        members
    };
    for member in &members {
        recalculate(member);
    }
}

/// A new task joins a group that is about to stop. Whatever was sent to it
/// before the scheduler knew it, it hears of now.
pub(super) fn enter_group(task: &Task) {
    {
        let mut group = task.group().signals.lock();
        if group.still_running > 0 {
            group.still_running += 1;
            task.signals.lock().must_stop = true;
        }
    }
    recalculate(task);
}

/// A task has left a group that goes on without it: what it would have taken
/// for the group others take, and a stop does not wait for it.
pub(super) fn leave_group(task: &Task, members: &[Arc<Task>]) {
    let stopped = {
        let mut group = task.group().signals.lock();
        participate(&mut group, &mut task.signals.lock())
    };
    if let Some(signal) = stopped {
        tell_parent(task, code::CLD_STOPPED, signal);
    }
    if !task.group().signals.lock().pending.set().is_empty() {
        members.iter().for_each(|member| recalculate(member));
    }
}

/// A task stops, or is gone; gives the signal that stopped the group if it was
/// the last to do so.
pub(super) fn participate(group: &mut GroupSignals, task: &mut TaskSignals) -> Option<Signal> {
    let awaited = core::mem::take(&mut task.must_stop);
    awaited.then(|| one_less(group)).flatten()
}

/// One task less that has yet to stop; with the last one the group is stopped,
/// by the signal given.
fn one_less(group: &mut GroupSignals) -> Option<Signal> {
    group.still_running = group.still_running.saturating_sub(1);
    let stopped = group.stop.filter(|_| group.still_running == 0);
    group.report_stopped |= stopped.is_some();
    stopped
}

/// Stops the running task until SIGCONT or its end; the last of a group to
/// stop tells the parent.
pub(super) fn stop() {
    let task = current();
    let signal = {
        let mut group = task.group().signals.lock();
        let mut own = task.signals.lock();
        own.trap = false;
        participate(&mut group, &mut own)
    };
    recalculate(&task);
    if let Some(signal) = signal {
        tell_parent(&task, code::CLD_STOPPED, signal);
    }
    // Another stop may come before this task has noticed that the first is
    // over: it has to be counted for that one, too.
    let stays = || {
        let group = task.group().signals.lock();
        let own = task.signals.lock();
        group.stop.is_some() && !own.must_stop && !own.trap
    };
    while stays() && !sched::fatal_pending() {
        sched::stop_current(stays);
    }
}
