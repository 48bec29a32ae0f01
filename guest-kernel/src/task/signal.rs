//! Signals between tasks: who is sent one, who is woken for it, and what
//! becomes of the task that takes it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::event::{SignalDeliver, SignalGenerate};

use super::group::Group;
use super::tree::{INIT, Node, TREE, Tree};
use super::{Task, current, exit, rseq, timers};
use crate::arch::trap::TrapFrame;
use crate::errno::{Errno, Result};
use crate::probe;
use crate::sched;
use crate::signal::{
    self, DefaultAction, Delivery, Fields, GroupSignals, SIG_DFL, SigAction, SigInfo, SigSet,
    Signal, code,
};

/// Sends to one task; with no signal only asks whether it is there.
///
/// # Errors
/// `ESRCH` if there is no such task, or not in that group.
pub fn to_task(pid: i32, group: Option<i32>, info: Option<SigInfo>) -> Result<()> {
    let task = super::find(pid as u32).ok_or(Errno::ESRCH)?;
    if group.is_some_and(|group| group != task.tgid().0 as i32) {
        return Err(Errno::ESRCH);
    }
    if let Some(info) = info {
        send(&task, false, info);
    }
    Ok(())
}

/// Sends to the group of the task with this PID, leader or not.
///
/// # Errors
/// `ESRCH`.
pub fn to_group_of(pid: i32, info: Option<SigInfo>) -> Result<()> {
    let task = super::find(pid as u32).ok_or(Errno::ESRCH)?;
    if let Some(info) = info {
        send(&task, true, info);
    }
    Ok(())
}

/// Sends to a task that the caller has hold of, or to its group.
///
/// # Errors
/// `EPERM` if it may not.
pub fn to_known(task: &Arc<Task>, whole_group: bool, info: Option<SigInfo>) -> Result<()> {
    if !current().credentials().may_signal(&task.credentials()) {
        return Err(Errno::EPERM);
    }
    if let Some(info) = info {
        send(task, whole_group, info);
    }
    Ok(())
}

/// Sends to every group of a process group, by the kernel's number.
///
/// # Errors
/// `ESRCH` if there is none.
pub fn to_process_group(process_group: i32, info: Option<SigInfo>) -> Result<()> {
    send_to_all(info, |task| task.process_group() == process_group)
}

/// Sends to every group but init's and the caller's.
///
/// # Errors
/// `ESRCH` if there is none.
pub fn to_everybody(info: Option<SigInfo>) -> Result<()> {
    let own = current().tgid();
    let me = current();
    send_to_all(info, |task| task.number_for(&me) > 1 && task.tgid() != own)
}

fn send_to_all(info: Option<SigInfo>, which: impl Fn(&Task) -> bool) -> Result<()> {
    let leaders: Vec<Arc<Task>> = {
        let tree = TREE.lock();
        let leader = |tgid: u32| tree.task(tgid).filter(|task| !task.is_kernel());
        let groups = tree.groups().map(|node| node.group.id().0);
        groups
            .filter_map(leader)
            .filter(|task| which(task))
            .collect()
    };
    if leaders.is_empty() {
        return Err(Errno::ESRCH);
    }
    if let Some(info) = info {
        for leader in &leaders {
            send(leader, true, info);
        }
    }
    Ok(())
}

/// The terminal sends a signal to a process group.
pub fn kernel_to_process_group(process_group: i32, signal: u32) {
    if let Some(signal) = Signal::new(u64::from(signal)) {
        // A terminal whose group is gone speaks to nobody.
        let _ = to_process_group(process_group, Some(SigInfo::kernel(signal)));
    }
}

/// True if there is a task in this process group.
#[must_use]
pub fn process_group_exists(process_group: i32) -> bool {
    send_to_all(None, |task| task.process_group() == process_group).is_ok()
}

/// Works out anew whether a task has signals to look at, and wakes it for them.
pub(super) fn recalculate(task: &Task) {
    let group = task.group().signals.lock();
    let work = task.signals.lock().has_work(&group);
    sched::set_signal(task.id(), work, task.group().condemns(task.id()));
}

/// Sends a signal to a task, or to its whole group.
pub(super) fn send(task: &Arc<Task>, whole_group: bool, info: SigInfo) {
    if task.is_kernel() {
        return;
    }
    let receiver = if whole_group { task.tgid() } else { task.id() };
    probe::emit(&SignalGenerate {
        sig: info.signal.number().into(),
        task: receiver.into(),
        code: i64::from(info.code) as u64,
    });
    let members = TREE.lock().members(task.tgid().0);
    let info = as_seen_by(task, info);
    let continued = prepare(task, &members, info.signal);
    if continued {
        let woken = |member: &&Arc<Task>| sched::wake_stopped(member.id());
        let _ = members.iter().filter(woken).count();
        tell_parent(task, code::CLD_CONTINUED, Signal::SIGCONT);
    }
    if !add(task, whole_group, info) {
        return;
    }
    if info.signal == Signal::SIGKILL {
        exit::end_group(task, i32::from(info.signal.number()));
    } else if whole_group {
        wake_one_of(task, &members, info.signal);
    } else {
        recalculate(task);
    }
}

/// In another PID namespace the sender has another number, or none.
fn as_seen_by(task: &Task, mut info: SigInfo) -> SigInfo {
    if let Fields::Sender { pid, .. } = &mut info.fields
        && task.pid().namespace().level() > 0
    {
        let me = current();
        let own = *pid as u32 == me.tgid().0;
        *pid = match me.group_number_for(task) {
            seen if seen == 0 || own => seen as i32,
            _ => *pid,
        };
    }
    info
}

/// SIGCONT takes back every stop that is pending, a stop every SIGCONT, also
/// where they are ignored or blocked. True if the group was stopped.
fn prepare(task: &Task, members: &[Arc<Task>], signal: Signal) -> bool {
    let undone = if signal == Signal::SIGCONT {
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

/// Adds a signal to a pending set. False if it is thrown away.
fn add(task: &Task, whole_group: bool, info: SigInfo) -> bool {
    let sighand = task.sighand();
    let actions = sighand.0.lock();
    let mut group = task.group().signals.lock();
    let mut signals = task.signals.lock();
    let blocked = signals.blocked.has(info.signal);
    let caught = actions.get(info.signal).handler != SIG_DFL;
    // Nobody but itself ends init by a signal that it has no handler for.
    let spared = task.group().is_init() && !caught && !commands(task, info.signal);
    if spared && defends(info.signal) && !crate::mutant!("newpid-init-killable")
        || !blocked && actions.ignores(info.signal)
    {
        return false;
    }
    if whole_group {
        group.pending.add(info)
    } else {
        signals.pending.add(info)
    }
}

/// Whether the running task may end or stop a namespace's init: the machine's
/// own init itself, and with SIGKILL or SIGSTOP whoever the init does not see.
fn commands(init: &Task, signal: Signal) -> bool {
    let me = current();
    if init.tgid().0 == INIT {
        return me.tgid().0 == INIT;
    }
    SigSet::UNSTOPPABLE.has(signal) && me.number_for(init) == 0
}

fn defends(signal: Signal) -> bool {
    matches!(
        signal.default_action(),
        DefaultAction::Terminate | DefaultAction::Core | DefaultAction::Stop
    )
}

/// Wakes one task of a group for a signal: the one that was named if it does
/// not block it, otherwise the first that does not.
fn wake_one_of(task: &Arc<Task>, members: &[Arc<Task>], signal: Signal) {
    let takes = |member: &&Arc<Task>| !member.signals.lock().blocked.has(signal);
    let alive = members.iter().find(|member| member.id() == task.id());
    let taker = alive.filter(takes).or_else(|| members.iter().find(takes));
    if let Some(taker) = taker {
        recalculate(taker);
    }
}

/// Tells the parent that a group has stopped or goes on.
fn tell_parent(task: &Task, code: i32, signal: Signal) {
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

/// Sends a signal to the running task for what its own instruction did: it
/// cannot be blocked or ignored.
pub fn force(info: SigInfo) {
    let task = current();
    probe::emit(&SignalGenerate {
        sig: info.signal.number().into(),
        task: task.id().into(),
        code: i64::from(info.code) as u64,
    });
    {
        let sighand = task.sighand();
        let mut actions = sighand.0.lock();
        let mut signals = task.signals.lock();
        if signals.blocked.has(info.signal) || actions.ignores(info.signal) {
            actions.reset(info.signal);
            signals.blocked = signals.blocked.without(SigSet::of(&[info.signal]));
        }
        signals.pending.add(info);
    }
    recalculate(&task);
}

/// The running task wrote where nobody reads.
pub fn broken_pipe() {
    let task = current();
    let fields = Fields::Sender {
        pid: task.tgid().0 as i32,
        uid: task.credentials().uid,
    };
    let (signal, code) = (Signal::SIGPIPE, code::SI_USER);
    send(
        &task,
        false,
        SigInfo {
            signal,
            code,
            fields,
        },
    );
}

/// Changes what is done about a signal; gives what was done before.
///
/// # Errors
/// `EINVAL` for a change of SIGKILL or SIGSTOP.
pub fn set_action(signal: Signal, action: Option<SigAction>) -> Result<SigAction> {
    let task = current();
    let sighand = task.sighand();
    let mut actions = sighand.0.lock();
    let Some(action) = action else {
        return Ok(actions.get(signal));
    };
    let before = actions.set(signal, action)?;
    let ignored = actions.ignores(signal);
    drop(actions);
    if ignored {
        let members = TREE.lock().members(task.tgid().0);
        task.group()
            .signals
            .lock()
            .pending
            .remove(SigSet::of(&[signal]));
        for member in &members {
            member.signals.lock().pending.remove(SigSet::of(&[signal]));
        }
    }
    Ok(before)
}

/// Sets what the running task blocks. What it leaves to others they hear of.
pub fn set_blocked(blocked: SigSet) {
    let task = current();
    task.signals.lock().blocked = blocked.without(SigSet::UNSTOPPABLE);
    mask_changed(&task);
}

/// Looks at the signals with the running task's new mask; those of the group
/// that it blocks now, others hear of.
fn mask_changed(task: &Task) {
    recalculate(task);
    let left = {
        let group = task.group().signals.lock();
        let own = task.signals.lock();
        group.pending.set().intersection(own.blocked)
    };
    if !left.is_empty() {
        let members = TREE.lock().members(task.tgid().0);
        members.iter().for_each(|member| recalculate(member));
    }
}

/// The signals that are sent to the running task and blocked.
#[must_use]
pub fn pending() -> SigSet {
    let task = current();
    let group = task.group().signals.lock();
    let signals = task.signals.lock();
    let sent = signals.pending.set().union(group.pending.set());
    sent.intersection(signals.blocked)
}

/// Goes back to what a handler interrupted.
pub fn leave_handler(frame: &mut TrapFrame) {
    let task = current();
    if signal::leave_handler(frame, &task.signals).is_err() {
        force(SigInfo::kernel(Signal::SIGSEGV));
    }
    mask_changed(&task);
}

/// Before user mode: does what the pending signals ask for.
pub fn deliver(frame: &mut TrapFrame) {
    loop {
        if let Some(status) = doom() {
            exit::exit(status);
        }
        if must_stop() {
            stop();
            continue;
        }
        match next() {
            None => {
                resume(frame);
                return;
            }
            Some(Delivery::Handler(info, action)) => {
                enter(frame, &info, &action);
                return;
            }
            Some(Delivery::Terminate(signal)) => {
                delivered(signal, SIG_DFL);
                exit::exit_group(i32::from(signal.number()));
            }
            Some(Delivery::Stop(signal)) => {
                delivered(signal, SIG_DFL);
                begin_stop(signal);
            }
        }
    }
}

fn delivered(signal: Signal, handler: u64) {
    probe::emit(&SignalDeliver {
        sig: signal.number().into(),
        handler,
    });
}

/// The status with which the running task has to end, if it has to.
fn doom() -> Option<i32> {
    let task = current();
    if let Some(status) = task.group().ending() {
        return Some(status);
    }
    let condemned = task.group().condemns(task.id());
    condemned.then_some(i32::from(Signal::SIGKILL.number()))
}

fn must_stop() -> bool {
    current().signals.lock().must_stop
}

fn next() -> Option<Delivery> {
    let task = current();
    let sighand = task.sighand();
    let mut actions = sighand.0.lock();
    let mut group = task.group().signals.lock();
    let mut signals = task.signals.lock();
    let mut delivery = signal::next(&mut actions, &mut group, &mut signals);
    if let Some(Delivery::Stop(signal)) = delivery {
        group.will_stop = Some(signal);
    }
    drop((actions, group, signals));
    if let Some(Delivery::Handler(info, _)) = &mut delivery {
        timers::delivered(&task, info);
    }
    delivery
}

/// Nothing is left: an interrupted call goes on, and a mask that was only for
/// waiting goes.
fn resume(frame: &mut TrapFrame) {
    signal::without_handler(frame);
    let task = current();
    let saved = task.signals.lock().saved.take();
    match saved {
        Some(mask) => set_blocked(mask),
        None => recalculate(&task),
    }
}

fn enter(frame: &mut TrapFrame, info: &SigInfo, action: &SigAction) {
    let task = current();
    delivered(info.signal, action.handler);
    signal::for_handler(frame, action);
    // The handler returns to where the section starts over.
    let entered = rseq::follow(frame)
        .and_then(|()| signal::enter_handler(frame, info, action, &task.signals));
    if entered.is_err() {
        if info.signal == Signal::SIGSEGV {
            task.sighand().0.lock().reset(Signal::SIGSEGV);
        }
        force(SigInfo::kernel(Signal::SIGSEGV));
    }
    mask_changed(&task);
}

/// The whole group is to stop, unless SIGCONT has come since the signal was
/// taken.
fn begin_stop(signal: Signal) {
    let task = current();
    let members = {
        let tree = TREE.lock();
        let orphaned = signal != Signal::SIGSTOP && is_orphaned(&tree, task.group());
        let members = tree.members(task.tgid().0);
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

/// True if nobody is left who could let a process group go on: the terminal's
/// signals do not stop it then. Somebody would be a parent of one of its
/// members, in another process group of the same session.
fn is_orphaned(tree: &Tree, group: &Group) -> bool {
    let ours =
        |node: &&Node| node.group.process_group() == group.process_group() && node.zombie.is_none();
    !tree.groups().filter(ours).any(|node| {
        let parent = tree.node(node.parent).map(|parent| &parent.group);
        node.parent != INIT
            && parent.is_some_and(|parent| {
                parent.process_group() != group.process_group()
                    && parent.session() == group.session()
            })
    })
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
        let awaited = core::mem::take(&mut task.signals.lock().must_stop);
        awaited.then(|| one_less(&mut group)).flatten()
    };
    if let Some(signal) = stopped {
        tell_parent(task, code::CLD_STOPPED, signal);
    }
    if !task.group().signals.lock().pending.set().is_empty() {
        members.iter().for_each(|member| recalculate(member));
    }
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
fn stop() {
    let task = current();
    let signal = {
        let mut group = task.group().signals.lock();
        let awaited = core::mem::take(&mut task.signals.lock().must_stop);
        awaited.then(|| one_less(&mut group)).flatten()
    };
    recalculate(&task);
    if let Some(signal) = signal {
        tell_parent(&task, code::CLD_STOPPED, signal);
    }
    // Another stop may come before this task has noticed that the first is
    // over: it has to be counted for that one, too.
    let stays = || {
        let group = task.group().signals.lock();
        group.stop.is_some() && !task.signals.lock().must_stop
    };
    while stays() && !sched::fatal_pending() {
        sched::stop_current(stays);
    }
}
