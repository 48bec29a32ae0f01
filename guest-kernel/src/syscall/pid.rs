//! Who a task is: numbers, process groups, sessions.

use alloc::sync::Arc;

use super::table::Call;
use crate::errno::{Errno, Result};
use crate::task::pid::Pid;
use crate::task::tree::TREE;
use crate::task::{self, Task, pid_namespace};

pub(super) fn getpid(_: &mut Call<'_>) -> Result<u64> {
    let me = task::current();
    if crate::mutant!("getpid-own") {
        return Ok(u64::from(me.pid().number()));
    }
    Ok(u64::from(me.group_number_for(&me)))
}

pub(super) fn gettid(_: &mut Call<'_>) -> Result<u64> {
    let me = task::current();
    if crate::mutant!("gettid-leaders") {
        return Ok(u64::from(me.group_number_for(&me)));
    }
    Ok(u64::from(me.pid().number()))
}

/// The parent's number, 0 if the caller does not see it.
pub(super) fn getppid(_: &mut Call<'_>) -> Result<u64> {
    let me = task::current();
    let pid = me.pid();
    let tree = TREE.lock();
    let parent = tree
        .node(me.tgid().0)
        .and_then(|node| tree.node(node.parent));
    let seen = parent.map_or(0, |parent| parent.group.pid().number_in(pid.namespace()));
    Ok(u64::from(seen))
}

/// The task that a PID argument names; 0 is the caller.
pub(super) fn named(pid: u64) -> Result<Arc<Task>> {
    match pid as i32 {
        0 => Ok(task::current()),
        pid if pid > 0 => task::find(pid as u32).ok_or(Errno::ESRCH),
        _ => Err(Errno::ESRCH),
    }
}

/// A number as the caller sees it.
fn seen(pid: &Pid) -> Result<u64> {
    Ok(u64::from(pid.number_in(&pid_namespace::own())))
}

pub(super) fn getpgid(call: &mut Call<'_>) -> Result<u64> {
    seen(&named(call.args[0])?.group().process_group_pid())
}

pub(super) fn getpgrp(_: &mut Call<'_>) -> Result<u64> {
    seen(&task::current().group().process_group_pid())
}

pub(super) fn getsid(call: &mut Call<'_>) -> Result<u64> {
    seen(&named(call.args[0])?.group().session_pid())
}

pub(super) fn setpgid(call: &mut Call<'_>) -> Result<u64> {
    let wanted = match call.int(1) {
        0 => call.int(0),
        wanted => wanted,
    };
    if wanted < 0 {
        return Err(Errno::EINVAL);
    }
    let task = match call.int(0) {
        0 => task::current(),
        _ => named(call.args[0])?,
    };
    let group = task.group();
    may_move(&task, call.int(0) == 0)?;
    if group.leads_session() {
        return Err(Errno::EPERM);
    }
    let own = group.pid();
    let target = match wanted as u32 {
        0 => own.clone(),
        wanted if pid_namespace::own().find(wanted) == Some(own.id().0) => own.clone(),
        wanted => existing(wanted)?,
    };
    group.set_process_group(target);
    Ok(0)
}

/// Only a group's leader names it, and only the caller's own group and its
/// children, as long as they run its program, are moved.
fn may_move(task: &Task, own: bool) -> Result<()> {
    let me = task::current();
    if !task.is_leader() && !own {
        return Err(Errno::EINVAL);
    }
    if task.tgid() == me.tgid() {
        return Ok(());
    }
    let parent = TREE.lock().node(task.tgid().0).map(|node| node.parent);
    if parent != Some(me.tgid().0) {
        return Err(Errno::ESRCH);
    }
    if task.group().session() != me.group().session() {
        return Err(Errno::EPERM);
    }
    if task.group().has_execed() && !crate::mutant!("setpgid-after-exec") {
        return Err(Errno::EACCES);
    }
    Ok(())
}

/// The process group with this number, if the caller's session has it.
fn existing(wanted: u32) -> Result<Arc<Pid>> {
    let wanted = pid_namespace::own().find(wanted).ok_or(Errno::EPERM)?;
    let session = task::current().group().session();
    let tree = TREE.lock();
    let groups = tree.groups().map(|node| &node.group);
    let mut of_session = groups
        .filter(|group| group.session() == session || crate::mutant!("setpgid-other-session"));
    let found = of_session.find(|group| group.process_group() == wanted);
    found
        .map(|group| group.process_group_pid())
        .ok_or(Errno::EPERM)
}

pub(super) fn setsid(_: &mut Call<'_>) -> Result<u64> {
    let me = task::current();
    let tgid = me.tgid().0;
    let leads = TREE
        .lock()
        .groups()
        .any(|node| node.group.process_group() == tgid);
    if (leads || me.group().leads_session()) && !crate::mutant!("setsid-by-leader") {
        return Err(Errno::EPERM);
    }
    me.group().lead_session();
    seen(me.group().pid())
}
