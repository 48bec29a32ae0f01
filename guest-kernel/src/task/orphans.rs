//! Who gets the children of a group that ends: the nearest sub-reaper above it
//! in its PID namespace, otherwise the namespace's init.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general::SIGCHLD;

use super::tree::{INIT, Node, Tree};
use super::{Task, pid_namespace};

/// The group that gets the children of `task`'s.
fn reaper(tree: &Tree, task: &Task) -> u32 {
    let pid = task.pid();
    let namespace = pid.namespace();
    let mut next = tree.node(task.tgid().0);
    while let Some(node) = next.and_then(|node| tree.node(node.parent)) {
        let tgid = node.group.id().0;
        let same = node.group.pid().namespace().level() == namespace.level();
        if tgid <= INIT || !same {
            break;
        }
        if node.group.is_child_subreaper()
            && lives(node)
            && !crate::mutant!("subreaper-passed-over")
        {
            return tgid;
        }
        next = Some(node);
    }
    let mut at = Some(namespace).filter(|_| !crate::mutant!("newpid-orphans-leave"));
    while let Some(namespace) = at {
        if let Some(init) = namespace.init().filter(|&init| init != task.tgid().0) {
            return init;
        }
        at = namespace.parent();
    }
    INIT
}

fn lives(node: &Node) -> bool {
    node.members.len() > node.leaving
}

/// The group of `task` ends: its children get another parent, who is sent
/// SIGCHLD for each, whatever the old one was to be sent. Gives that parent,
/// and those children that have ended already.
pub(super) fn hand_over(tree: &mut Tree, task: &Task) -> (u32, Vec<u32>) {
    let reaper = reaper(tree, task);
    let maker = first_member(tree, reaper);
    let children = match tree.node_mut(task.tgid().0) {
        Some(node) => core::mem::take(&mut node.children),
        None => Vec::new(),
    };
    for &child in &children {
        if let Some(node) = tree.node_mut(child) {
            node.parent = reaper;
            node.maker = maker;
            node.exit_signal = SIGCHLD;
        }
    }
    if let Some(node) = tree.node_mut(reaper) {
        node.children.extend(&children);
    }
    let mut zombies = children;
    zombies.retain(|&child| tree.node(child).is_some_and(|node| node.zombie.is_some()));
    (reaper, zombies)
}

/// One task leaves a group that goes on: its children become those of the
/// first that stays.
pub(super) fn hand_on(tree: &mut Tree, task: &Task) {
    let (pid, tgid) = (task.id().0, task.tgid().0);
    let to = first_member(tree, tgid);
    let children = tree.node(tgid).map(|node| node.children.clone());
    tree.give_children(&children.unwrap_or_default(), pid, to);
}

fn first_member(tree: &Tree, tgid: u32) -> u32 {
    let members = tree.node(tgid).map(|node| &node.members);
    members
        .and_then(|members| members.first())
        .copied()
        .unwrap_or(tgid)
}

/// A new parent that does not want to hear of its children lets those go that
/// it got as zombies. Gives what is to be dropped when the tree is unlocked.
#[must_use]
pub(super) fn let_go(tree: &mut Tree, zombies: &[u32]) -> Vec<Arc<Task>> {
    zombies
        .iter()
        .filter_map(|&zombie| tree.forget_group(zombie))
        .collect()
}

/// Tells whoever waits for these tasks' end that they are gone.
pub(super) fn gone(tasks: impl IntoIterator<Item = Arc<Task>>) {
    for task in tasks {
        pid_namespace::left(&task);
    }
}
