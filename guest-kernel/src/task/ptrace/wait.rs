//! What wait tells a tracer: the stops of the tasks that it traces, and the
//! end of those that are nobody else's business.

use alloc::sync::Arc;

use linux_raw_sys::general as linux;

use super::super::Task;
use super::super::tree::Tree;
use super::super::wait::{Change, Options, Which};
use super::nobody_is_traced;
use crate::sched::Usage;

/// True if somebody outside of the parent's group traces a child: the parent
/// hears of nothing until that is over.
pub(in crate::task) fn is_anothers(tree: &Tree, child: u32, parent: u32) -> bool {
    !nobody_is_traced()
        && !crate::mutant!("parent-hears-first")
        && tree
            .task(child)
            .is_some_and(|task| task.trace().is_on() && !task.trace().is_traced_by_group(parent))
}

/// True if a child is traced by its own parent: wait takes it whatever signal
/// it ends with.
pub(in crate::task) fn is_own(tree: &Tree, child: u32, parent: &Task) -> bool {
    let traced = |task: &Arc<Task>| task.trace().is_traced_by_group(parent.tgid().0);
    !nobody_is_traced() && tree.task(child).is_some_and(|task| traced(&task))
}

/// A child that its own parent traces: whether it is, and the wait status of
/// a stop that it has to tell.
pub(in crate::task) fn own_stop(tree: &Tree, child: u32, options: Options) -> Option<Option<i32>> {
    if nobody_is_traced() {
        return None;
    }
    let task = tree.task(child).filter(|task| task.trace().is_on())?;
    Some(stop_status(&task, options))
}

fn stop_status(task: &Task, options: Options) -> Option<i32> {
    let mut state = task.trace().state.lock();
    let stop = state.stop.as_mut()?;
    if stop.told || stop.listening {
        return None;
    }
    stop.told = !options.has(linux::WNOWAIT);
    Some((stop.code << 8 | 0x7F) as i32)
}

/// What is told of a task, and the task if that was its end.
pub(in crate::task) type Told = (Change, Option<Arc<Task>>);

/// What is to be told of the tasks that `me`'s group traces besides its
/// children: whether there is any that is meant, and the first that has
/// something to tell. One that has ended comes with it, for [`super::heard`].
pub(in crate::task) fn look(
    tree: &Tree,
    me: &Arc<Task>,
    which: Which,
    options: Options,
) -> (bool, Option<Told>) {
    let mut any = false;
    if nobody_is_traced() {
        return (any, None);
    }
    let alone = options.has(linux::__WNOTHREAD);
    let mut found = None;
    for task in tree.all() {
        if !is_meant(tree, task, me, which, alone) {
            continue;
        }
        any = true;
        found = status(tree, task, options).map(|(status, over)| (task.clone(), status, over));
        if found.is_some() {
            break;
        }
    }
    let Some((task, status, over)) = found else {
        return (any, None);
    };
    let change = Change {
        pid: task.number_for(me),
        uid: task.credentials().uid,
        status,
        trapped: !over,
        usage: Usage::default(),
    };
    let taken = over && !options.has(linux::WNOWAIT);
    if taken {
        // Nobody else is to hear of it.
        task.trace().end();
    }
    (any, Some((change, taken.then_some(task))))
}

fn is_meant(tree: &Tree, task: &Arc<Task>, me: &Arc<Task>, which: Which, alone: bool) -> bool {
    let traced = if alone {
        task.trace().is_traced_by(me)
    } else {
        task.trace().is_traced_by_group(me.tgid().0)
    };
    // The leader of a child is among the children.
    let child = task.is_leader()
        && tree
            .node(task.tgid().0)
            .is_some_and(|node| node.parent == me.tgid().0);
    let named = match which {
        Which::Any => true,
        Which::Pid(pid) => task.id().0 == pid,
        Which::Pgrp(group) => task.group().process_group() == group,
    };
    traced && !child && named
}

/// The wait status of a task that has something to tell; true if it has ended.
fn status(tree: &Tree, task: &Task, options: Options) -> Option<(i32, bool)> {
    let ended = task.trace().state.lock().ended;
    let node = tree.node(task.tgid().0);
    let zombie = node
        .and_then(|node| node.zombie)
        .filter(|_| task.is_leader());
    if let Some(status) = ended.or(zombie) {
        return options.has(linux::WEXITED).then_some((status, true));
    }
    stop_status(task, options).map(|status| (status, false))
}
