//! Who sends a signal to whom, and what becomes of the task that it reaches.
//!
//! Locks are taken in the order tree, handlers, group, task.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::event::{SignalDeliver, SignalGenerate};

use super::stop;
use super::tree::{INIT, Node, TREE, Tree};
use super::{Task, current, exit};
use crate::arch::trap::TrapFrame;
use crate::errno::{Errno, Result};
use crate::probe;
use crate::sched;
use crate::signal::{
    self, Actions, Delivery, Fields, GroupSignals, SIG_DFL, SigAction, SigInfo, SigSet, Signal,
    TaskSignals, code,
};

/// Tells the scheduler that there is something for a task to look at. Only a
/// task itself takes that back, in [`refresh`].
pub(super) fn notify(task: &Task, fatal: bool) {
    sched::set_signal(task.id(), true, fatal);
}

/// Tells the scheduler whether there is something for the running task.
fn refresh(me: &Task, group: &GroupSignals, own: &TaskSignals) {
    let condemned = me.group().condemns(me.id());
    sched::set_signal(me.id(), own.has_work(group), condemned);
}

fn announce(info: &SigInfo, task: u32) {
    probe::emit(&SignalGenerate {
        sig: info.signal.number().into(),
        task: task.into(),
        code: i64::from(info.code) as u64,
    });
}

/// True if nothing comes of a signal: it would be thrown away on delivery, or
/// somebody else wants to end init.
fn is_dropped(to: &Task, actions: &Actions, info: &SigInfo) -> bool {
    let blocked = to.signals.lock().blocked.has(info.signal);
    let protected = to.tgid().0 == INIT
        && current().tgid().0 != INIT
        && actions.get(info.signal).handler == SIG_DFL;
    protected || !blocked && actions.ignores(info.signal)
}

/// The members of a group in the order in which they are asked to take a
/// signal: first the one that was named.
fn candidates(tree: &Tree, tgid: u32, named: u32) -> Vec<Arc<Task>> {
    let mut members = tree.members(tgid);
    if let Some(at) = members.iter().position(|task| task.id().0 == named) {
        members[..=at].rotate_right(1);
    }
    members
}

/// Lets a task of the group take a signal that is pending for the group: one
/// that does not block it, best one that has nothing else to do.
fn direct(signal: Signal, group: &GroupSignals, members: &[Arc<Task>]) {
    if signal == Signal::SIGKILL {
        members.iter().for_each(|task| notify(task, true));
        return;
    }
    let mut willing = members
        .iter()
        .filter(|task| !task.signals.lock().blocked.has(signal))
        .peekable();
    let first = willing.peek().copied();
    let others = signal_set_without(group, signal);
    let idle = willing.find(|task| {
        let own = task.signals.lock();
        own.pending
            .set()
            .union(others)
            .without(own.blocked)
            .is_empty()
    });
    if let Some(task) = idle.or(first) {
        notify(task, false);
    }
}

fn signal_set_without(group: &GroupSignals, signal: Signal) -> SigSet {
    group.pending.set().without(SigSet::of(&[signal]))
}

/// Sends a signal to a group; `named` is the task that the sender named.
pub(super) fn to_group_in(tree: &Tree, tgid: u32, named: u32, info: SigInfo) {
    let Some(node) = tree.node(tgid) else {
        return;
    };
    announce(&info, tgid);
    let members = candidates(tree, tgid, named);
    let Some(main) = members.first() else {
        return;
    };
    let resumed = {
        let sighand = main.sighand();
        let actions = sighand.0.lock();
        let mut group = node.group.signals.lock();
        let resumed = stop::cancel_opposite(info.signal, &mut group, &members);
        if !is_dropped(main, &actions, &info) && group.pending.add(info) {
            direct(info.signal, &group, &members);
        }
        resumed
    };
    if resumed {
        stop::tell_parent(tree, node, code::CLD_CONTINUED, Signal::SIGCONT);
    }
}

/// Sends a signal to one task.
fn to_task_in(tree: &Tree, task: &Arc<Task>, info: SigInfo) {
    let Some(node) = tree.node(task.tgid().0) else {
        return;
    };
    announce(&info, task.id().0);
    if !node.members.contains(&task.id().0) {
        return;
    }
    let members = tree.members(task.tgid().0);
    let resumed = {
        let sighand = task.sighand();
        let actions = sighand.0.lock();
        let mut group = node.group.signals.lock();
        let resumed = stop::cancel_opposite(info.signal, &mut group, &members);
        if !is_dropped(task, &actions, &info) {
            let mut own = task.signals.lock();
            if own.pending.add(info) && !own.blocked.has(info.signal) {
                drop(own);
                notify(task, info.signal == Signal::SIGKILL);
            }
        }
        resumed
    };
    if resumed {
        stop::tell_parent(tree, node, code::CLD_CONTINUED, Signal::SIGCONT);
    }
}

/// Whether the running task may send to a task; only tasks that send in their
/// own name are asked.
fn may_send(to: &Task, info: Option<&SigInfo>) -> bool {
    if info.is_some_and(|info| !matches!(info.fields, Fields::Sender { .. })) {
        return true;
    }
    let me = current();
    let (from, target) = (me.credentials(), to.credentials());
    let same_session = me.group().session() == to.group().session();
    me.tgid() == to.tgid()
        || from.euid == 0
        || from.euid == target.uid
        || from.uid == target.uid
        || info.is_some_and(|info| info.signal == Signal::SIGCONT) && same_session
}

/// A checked sending to a group; without a signal only the check.
fn checked(tree: &Tree, task: &Arc<Task>, info: Option<SigInfo>) -> Result<()> {
    if !may_send(task, info.as_ref()) {
        return Err(Errno::EPERM);
    }
    if let Some(info) = info
        && !task.is_kernel()
    {
        to_group_in(tree, task.tgid().0, task.id().0, info);
    }
    Ok(())
}

/// Sends to the group of a task; without a signal only looks whether one could.
///
/// # Errors
/// ESRCH, EPERM.
pub fn to_group_of(pid: i32, info: Option<SigInfo>) -> Result<()> {
    let tree = TREE.lock();
    let task = u32::try_from(pid).ok().and_then(|pid| tree.task(pid));
    checked(&tree, &task.ok_or(Errno::ESRCH)?, info)
}

/// Sends to one task, which must be in the group if one is given.
///
/// # Errors
/// ESRCH, EPERM.
pub fn to_task(pid: i32, group: Option<i32>, info: Option<SigInfo>) -> Result<()> {
    let tree = TREE.lock();
    let task = u32::try_from(pid).ok().and_then(|pid| tree.task(pid));
    let task = task
        .filter(|task| group.is_none_or(|group| task.tgid().0 as i32 == group))
        .ok_or(Errno::ESRCH)?;
    if !may_send(&task, info.as_ref()) {
        return Err(Errno::EPERM);
    }
    if let Some(info) = info
        && !task.is_kernel()
    {
        to_task_in(&tree, &task, info);
    }
    Ok(())
}

/// Sends to every group of a process group.
///
/// # Errors
/// ESRCH if there is none, EPERM if none may be sent to.
pub fn to_process_group(process_group: i32, info: Option<SigInfo>) -> Result<()> {
    to_all(info, |node| {
        node.group.process_group() as i32 == process_group
    })
}

/// Sends to everybody but init and the caller.
///
/// # Errors
/// As [`to_process_group`].
pub fn to_everybody(info: Option<SigInfo>) -> Result<()> {
    let me = current().tgid().0;
    to_all(info, |node| {
        let tgid = node.group.id().0;
        tgid > INIT && tgid != me
    })
}

fn to_all(info: Option<SigInfo>, wanted: impl Fn(&Node) -> bool) -> Result<()> {
    let tree = TREE.lock();
    let leaders: Vec<u32> = tree
        .groups()
        .filter(|node| wanted(node))
        .map(|node| node.group.id().0)
        .collect();
    let mut outcome = Err(Errno::ESRCH);
    for leader in leaders {
        let Some(task) = tree.task(leader) else {
            continue;
        };
        match checked(&tree, &task, info) {
            Ok(()) => outcome = Ok(()),
            Err(error) if outcome != Ok(()) => outcome = Err(error),
            Err(_) => {}
        }
    }
    outcome
}

/// Sends the running task a signal that its own system call caused.
pub fn to_self(signal: Signal) {
    let me = current();
    let info = SigInfo {
        signal,
        code: code::SI_USER,
        fields: Fields::Sender {
            pid: me.tgid().0 as i32,
            uid: me.credentials().uid,
        },
    };
    to_task_in(&TREE.lock(), &me, info);
}

/// True if there is a task in a process group.
#[must_use]
pub fn group_exists(process_group: i32) -> bool {
    to_process_group(process_group, None) != Err(Errno::ESRCH)
}

/// What an instruction of the running task caused. If it is blocked or
/// ignored it ends the task all the same.
pub fn force(info: SigInfo) {
    force_with(info, false);
}

fn force_with(info: SigInfo, fatal: bool) {
    let me = current();
    announce(&info, me.id().0);
    let sighand = me.sighand();
    let mut actions = sighand.0.lock();
    let group = me.group().signals.lock();
    let mut own = me.signals.lock();
    let only = SigSet::of(&[info.signal]);
    let unheard = own.blocked.has(info.signal) || actions.ignores(info.signal);
    if fatal || unheard {
        actions.reset(info.signal);
        own.blocked = own.blocked.without(only);
    }
    // An older one that was only sent must not take its place.
    own.pending.remove(only);
    own.pending.add(info);
    refresh(&me, &group, &own);
}

/// Changes what is done about a signal, or only tells.
///
/// # Errors
/// EINVAL for SIGKILL and SIGSTOP, if a change is asked for.
pub fn set_action(number: Signal, action: Option<SigAction>) -> Result<SigAction> {
    let me = current();
    let sighand = me.sighand();
    let Some(action) = action else {
        return Ok(sighand.0.lock().get(number));
    };
    let tree = TREE.lock();
    let mut actions = sighand.0.lock();
    let before = actions.set(number, action)?;
    if actions.ignores(number) {
        // What waits is ignored from here on, too.
        let only = SigSet::of(&[number]);
        me.group().signals.lock().pending.remove(only);
        for task in tree.members(me.tgid().0) {
            task.signals.lock().pending.remove(only);
        }
    }
    Ok(before)
}

/// Changes the running task's mask; what it blocks from here on and was sent
/// to the group, another one takes.
pub fn set_blocked(blocked: SigSet) {
    let me = current();
    let left = {
        let group = me.group().signals.lock();
        let mut own = me.signals.lock();
        let newly = blocked.without(own.blocked);
        own.blocked = blocked;
        refresh(&me, &group, &own);
        group.pending.set().intersection(newly)
    };
    hand_over(&me, left);
}

/// Finds another task of the group for signals that this one will not take.
fn hand_over(me: &Task, signals: SigSet) {
    if signals.is_empty() {
        return;
    }
    let tree = TREE.lock();
    let mut members = tree.members(me.tgid().0);
    members.retain(|task| task.id() != me.id());
    let group = me.group().signals.lock();
    let mut left = signals;
    while let Some(signal) = left.first() {
        direct(signal, &group, &members);
        left = left.without(SigSet::of(&[signal]));
    }
}

/// The running task exits: others take what it was to take for the group, and
/// a stop of the group does not wait for it.
pub(super) fn leave_group(me: &Task) {
    let pending = {
        let group = me.group().signals.lock();
        let mut own = me.signals.lock();
        let taken = group.pending.set().without(own.blocked);
        own.blocked = SigSet(u64::MAX);
        taken
    };
    hand_over(me, pending);
    stop::no_longer_awaited(me);
}

/// What is pending for the running task and blocked, by itself or its group.
#[must_use]
pub fn pending() -> SigSet {
    let me = current();
    let group = me.group().signals.lock();
    let own = me.signals.lock();
    let waiting = own.pending.set().union(group.pending.set());
    waiting.intersection(own.blocked)
}

/// What the next signal asks for. A group that a signal ends is marked before
/// anybody else can look.
fn next(me: &Task) -> Option<Delivery> {
    let sighand = me.sighand();
    let mut actions = sighand.0.lock();
    let mut group = me.group().signals.lock();
    let mut own = me.signals.lock();
    let delivery = signal::next(&mut actions, &mut group, &mut own);
    if let Some(Delivery::Terminate(signal, _)) = delivery {
        let mut ending = me.group().ending.lock();
        ending.status.get_or_insert(i32::from(signal.number()));
    }
    if delivery.is_none() {
        refresh(me, &group, &own);
    }
    delivery
}

fn tell_delivery(signal: Signal, handler: u64) {
    probe::emit(&SignalDeliver {
        sig: signal.number().into(),
        handler,
    });
}

/// Before a task returns to user mode: does what its signals ask for. One
/// handler is entered at a time; the way back looks again.
pub fn deliver(frame: &mut TrapFrame) {
    let me = current();
    stop::stop_if_asked(&me);
    loop {
        match next(&me) {
            Some(Delivery::Handler(info, action)) => {
                tell_delivery(info.signal, action.handler);
                signal::for_handler(frame, &action);
                if signal::enter_handler(frame, &info, &action, &me.signals).is_err() {
                    force_with(
                        SigInfo::kernel(Signal::SIGSEGV),
                        info.signal == Signal::SIGSEGV,
                    );
                }
                mask_changed(&me);
                return;
            }
            Some(Delivery::Terminate(signal, _)) => {
                tell_delivery(signal, SIG_DFL);
                exit::exit_group(i32::from(signal.number()));
            }
            Some(Delivery::Stop(signal)) => {
                tell_delivery(signal, SIG_DFL);
                stop::stop_group(&me, signal);
            }
            None => break,
        }
    }
    signal::without_handler(frame);
    let saved = me.signals.lock().saved.take();
    if let Some(saved) = saved {
        set_blocked(saved);
    }
}

/// The mask was changed with the frame; the rest is as in [`set_blocked`].
fn mask_changed(me: &Task) {
    let left = {
        let group = me.group().signals.lock();
        let own = me.signals.lock();
        refresh(me, &group, &own);
        group.pending.set().intersection(own.blocked)
    };
    hand_over(me, left);
}

/// `rt_sigreturn`; a frame that makes no sense ends the task or reaches its
/// handler of SIGSEGV.
pub fn leave_handler(frame: &mut TrapFrame) {
    let me = current();
    if signal::leave_handler(frame, &me.signals).is_err() {
        force(SigInfo::kernel(Signal::SIGSEGV));
    }
    mask_changed(&me);
}
