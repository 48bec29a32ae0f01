//! Who is there, and who is whose child. Children belong to thread groups.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::event::SchedProcessFree;

use super::Task;
use super::group::Group;
use crate::probe;
use crate::sync::SpinLock;

/// The group that gets the children of groups that end.
pub const INIT: u32 = 1;

/// Whose child a thread group is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// The parent's group.
    pub parent: u32,
    /// The task of that group that made it, or that got it when that one ended.
    pub maker: u32,
    /// How often the parent had run another program by then.
    pub parent_execs: u32,
}

/// A thread group's place among the others.
pub struct Node {
    pub group: Arc<Group>,
    /// The tasks that have not exited, in the order of their creation.
    pub members: Vec<u32>,
    /// How many of them are on their way out.
    pub leaving: usize,
    pub parent: u32,
    pub maker: u32,
    pub parent_execs: u32,
    /// The groups that this one may wait for, oldest first.
    pub children: Vec<u32>,
    /// What the parent is sent when the group ends; 0 is nothing.
    pub exit_signal: u32,
    /// The wait status with which the leader exited.
    pub leader_status: i32,
    /// The group's own wait status, once its last task has exited.
    pub zombie: Option<i32>,
}

/// All tasks and groups.
pub struct Tree {
    tasks: BTreeMap<u32, Arc<Task>>,
    groups: BTreeMap<u32, Node>,
}

pub static TREE: SpinLock<Tree> = SpinLock::new(Tree {
    tasks: BTreeMap::new(),
    groups: BTreeMap::new(),
});

/// How many tasks there are, zombies included.
#[must_use]
pub fn count() -> usize {
    TREE.lock().tasks.len()
}

impl Tree {
    /// How many tasks never run in user mode.
    pub fn count_kernel(&self) -> usize {
        self.tasks.values().filter(|task| task.is_kernel()).count()
    }

    pub fn task(&self, pid: u32) -> Option<Arc<Task>> {
        self.tasks.get(&pid).cloned()
    }

    /// How many tasks are a user's.
    pub fn count_of(&self, uid: u32) -> u64 {
        let all = self.tasks.values();
        all.filter(|task| task.credentials().uid == uid).count() as u64
    }

    /// The first task with a greater number.
    pub fn next(&self, after: u32) -> Option<(u32, Arc<Task>)> {
        let (pid, task) = self.tasks.range(after + 1..).next()?;
        Some((*pid, task.clone()))
    }

    pub fn node(&self, tgid: u32) -> Option<&Node> {
        self.groups.get(&tgid)
    }

    pub fn node_mut(&mut self, tgid: u32) -> Option<&mut Node> {
        self.groups.get_mut(&tgid)
    }

    /// All tasks, by number.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks.values()
    }

    /// The groups, by number.
    pub fn groups(&self) -> impl Iterator<Item = &Node> {
        self.groups.values()
    }

    /// The tasks of a group that have not exited.
    pub fn members(&self, tgid: u32) -> Vec<Arc<Task>> {
        let members = self.node(tgid).map_or(&[][..], |node| &node.members);
        members.iter().filter_map(|&pid| self.task(pid)).collect()
    }

    /// Enters a task; as the leader of a new group, a child of `parent`, if it
    /// leads one.
    pub fn enter(&mut self, task: &Arc<Task>, place: Place, exit_signal: u32) {
        let pid = task.id().0;
        let tgid = task.tgid().0;
        self.tasks.insert(pid, task.clone());
        if pid == tgid {
            let node = Node {
                group: task.group().clone(),
                members: Vec::new(),
                leaving: 0,
                parent: place.parent,
                maker: place.maker,
                parent_execs: place.parent_execs,
                children: Vec::new(),
                exit_signal,
                leader_status: 0,
                zombie: None,
            };
            self.groups.insert(tgid, node);
            let parent = self.node_mut(place.parent).filter(|_| tgid != place.parent);
            if let Some(parent) = parent {
                parent.children.push(tgid);
            }
        }
        if let Some(node) = self.node_mut(tgid) {
            node.members.push(pid);
        }
    }

    /// Takes a task out that has exited; gives what is to be dropped when the
    /// tree is unlocked.
    #[must_use]
    pub fn forget_task(&mut self, pid: u32) -> Option<Arc<Task>> {
        let task = self.tasks.remove(&pid)?;
        probe::emit(&SchedProcessFree { task: pid.into() });
        Some(task)
    }

    /// Takes a group out that has ended, with its leader.
    #[must_use]
    pub fn forget_group(&mut self, tgid: u32) -> Option<Arc<Task>> {
        let node = self.groups.remove(&tgid)?;
        if let Some(parent) = self.node_mut(node.parent) {
            parent.children.retain(|&child| child != tgid);
        }
        self.forget_task(tgid)
    }

    /// Renumbers the running task, alone in its group, to its leader's number.
    /// Gives the old leader, whose number it takes.
    pub fn take_leaders_place(&mut self, old: u32, tgid: u32) -> Option<Arc<Task>> {
        let task = self.tasks.remove(&old)?;
        let leader = self.tasks.insert(tgid, task);
        let children = match self.node_mut(tgid) {
            Some(node) => {
                node.members = alloc::vec![tgid];
                node.children.clone()
            }
            None => Vec::new(),
        };
        self.give_children(&children, old, tgid);
        leader
    }

    /// Those of these groups that task `from` made become `to`'s.
    pub fn give_children(&mut self, children: &[u32], from: u32, to: u32) {
        for &child in children {
            if let Some(node) = self.node_mut(child).filter(|node| node.maker == from) {
                node.maker = to;
            }
        }
    }
}
