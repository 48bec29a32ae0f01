//! Signals between tasks: who is sent one, who is woken for it, and what
//! becomes of the task that takes it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::event::{SignalDeliver, SignalGenerate};

use super::group::LIMIT_SIGPENDING;
use super::stop::{begin_stop, prepare, stop, tell_parent};
use super::tree::{INIT, TREE};
use super::{Task, current, exit, may_signal, ptrace, rseq, signalfd, timers};
use crate::arch::trap::TrapFrame;
use crate::errno::{Errno, Result};
use crate::probe;
use crate::sched;
use crate::signal::{
    self, Account, DefaultAction, Delivery, Fields, SIG_DFL, SigAction, SigInfo, SigSet, Signal,
    code,
};

/// Sends to one task; with no signal only asks whether it is there.
///
/// # Errors
/// `ESRCH` if there is no such task, or not in that group; `EPERM`; `EAGAIN` if a signal
/// with a value finds the queue full.
pub fn to_task(pid: i32, group: Option<i32>, info: Option<SigInfo>) -> Result<()> {
    let task = super::find(pid as u32).ok_or(Errno::ESRCH)?;
    let its = task.group_number_for(&current()) as i32;
    let other = group.is_some_and(|group| group != its);
    if other && !crate::mutant!("tgkill-any-group") {
        return Err(Errno::ESRCH);
    }
    may_signal::check(&task, info.as_ref())?;
    info.map_or(Ok(()), |info| try_send(&task, false, info))
}

/// Sends to the group of the task with this PID, leader or not.
///
/// # Errors
/// `ESRCH`; `EPERM`; `EAGAIN` if a signal with a value finds the queue full.
pub fn to_group_of(pid: i32, info: Option<SigInfo>) -> Result<()> {
    let task = super::find(pid as u32).ok_or(Errno::ESRCH)?;
    if crate::mutant!("kill-leaders-only") && !task.is_leader() {
        return Err(Errno::ESRCH);
    }
    may_signal::check(&task, info.as_ref())?;
    info.map_or(Ok(()), |info| try_send(&task, true, info))
}

/// Sends to a task that the caller has hold of, or to its group.
///
/// # Errors
/// `EPERM` if it may not; `EAGAIN` if a signal with a value finds the queue full.
pub fn to_known(task: &Arc<Task>, whole_group: bool, info: Option<SigInfo>) -> Result<()> {
    may_signal::check(task, info.as_ref())?;
    info.map_or(Ok(()), |info| try_send(task, whole_group, info))
}

/// Sends to every group of a process group, by the kernel's number.
///
/// # Errors
/// `ESRCH` if there is none; `EPERM` if the caller may send to none of them.
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
    let meant = |task: &Task| {
        let seen = task.number_for(&me) > 1
            || task.tgid().0 > INIT && crate::mutant!("kill-all-namespaces");
        seen && task.tgid() != own
    };
    match send_to_all(info, meant) {
        // Whom one may not reach is not meant.
        Err(Errno::EPERM) => Ok(()),
        sent => sent,
    }
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
    let allowed = |leader: &&Arc<Task>| may_signal::check(leader, info.as_ref()).is_ok();
    let leaders: Vec<&Arc<Task>> = leaders.iter().filter(allowed).collect();
    if leaders.is_empty() {
        return Err(Errno::EPERM);
    }
    if let Some(info) = info {
        for leader in leaders {
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

/// Works out anew whether a task has signals to look at, and wakes it for them.
pub(super) fn recalculate(task: &Task) {
    let group = task.group().signals.lock();
    let work = task.signals.lock().has_work(&group);
    let dies = task.group().condemns(task.id()) && !crate::mutant!("kill-9-stopped");
    sched::set_signal(task.id(), work, dies);
}

/// Sends a signal to a task, or to its whole group.
pub(super) fn send(task: &Arc<Task>, whole_group: bool, info: SigInfo) {
    // Only a signal with a value can fail, and the kernel sends none.
    let _ = try_send(task, whole_group, info);
}

/// As [`send`].
///
/// # Errors
/// `EAGAIN` if a signal with a value finds the queue full.
pub(super) fn try_send(task: &Arc<Task>, whole_group: bool, info: SigInfo) -> Result<()> {
    if task.is_kernel() {
        return Ok(());
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
        ptrace::group_goes_on(&members);
        tell_parent(task, code::CLD_CONTINUED, Signal::SIGCONT);
    }
    if !add(task, whole_group, info)? {
        return Ok(());
    }
    if !crate::mutant!("signalfd-not-woken") {
        signalfd::sent();
    }
    if info.signal == Signal::SIGKILL {
        exit::end_group(task, i32::from(info.signal.number()));
        members.iter().for_each(|member| ptrace::killed(member));
    } else if whole_group {
        wake_one_of(task, &members, info.signal);
    } else {
        notify(task, info.signal);
    }
    Ok(())
}

/// In another PID namespace the sender has another number, or none, and in
/// another user namespace another user id.
fn as_seen_by(task: &Task, mut info: SigInfo) -> SigInfo {
    if let Fields::Sender { uid, .. } | Fields::Child { uid, .. } = &mut info.fields {
        *uid = task.credentials().user.uid_or_nobody(*uid);
    }
    if let Fields::Sender { pid, .. } = &mut info.fields
        && task.pid().namespace().level() > 0
        && !crate::mutant!("si-pid-is-global")
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

/// Whose queue a task's signals are in.
pub(super) fn account(task: &Task) -> Account {
    Account {
        uid: task.credentials().uid,
        limit: task.group().limit(LIMIT_SIGPENDING).0,
    }
}

/// Adds a signal to a pending set. False if it is thrown away.
fn add(task: &Task, whole_group: bool, info: SigInfo) -> Result<bool> {
    let account = account(task);
    let sighand = task.sighand();
    let actions = sighand.0.lock();
    let mut group = task.group().signals.lock();
    let mut signals = task.signals.lock();
    let kept = signals.keeps(info.signal) && !crate::mutant!("blocked-ignored-lost");
    let caught = actions.get(info.signal).handler != SIG_DFL;
    // Nobody but itself ends init by a signal that it has no handler for.
    let spared = task.group().is_init() && !caught && !commands(task, info.signal);
    let spared = spared && defends(info.signal) && !crate::mutant!("newpid-init-killable");
    // A tracer wants to see those as well that are ignored.
    let kept = kept || task.trace().is_on() && info.signal != Signal::SIGKILL;
    if spared || !kept && actions.ignores(info.signal) {
        return Ok(false);
    }
    let pending = if whole_group || crate::mutant!("task-signal-to-group") {
        &mut group.pending
    } else {
        &mut signals.pending
    };
    pending.add(info, account)?;
    Ok(true)
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
    let other = members.iter().find(takes);
    let other = other.filter(|_| !crate::mutant!("group-signal-one-task"));
    let taker = alive.filter(takes).or(other);
    if let Some(taker) = taker {
        notify(taker, signal);
    }
}

/// A task has got a signal to look at. One that nothing can keep from ending
/// the group ends it from now on, as on Linux: sleeps that only a kill ends
/// are over, and nobody else can take the signal and do something else.
fn notify(task: &Task, signal: Signal) {
    recalculate(task);
    let deadly = {
        let sighand = task.sighand();
        let actions = sighand.0.lock();
        let by_default = actions.get(signal).handler == SIG_DFL;
        by_default && matches!(signal.default_action(), DefaultAction::Terminate)
    };
    // A stopped group takes nothing but a kill before it goes on.
    let stopped = signal != Signal::SIGKILL && task.group().signals.lock().stop.is_some();
    let spared = stopped || task.tgid().0 == INIT || task.signals.lock().keeps(signal);
    if deadly && !spared && !task.trace().is_on() && !crate::mutant!("deadly-signal-waits") {
        exit::end_group(task, i32::from(signal.number()));
    }
}

/// Sends a signal to the running task for what its own instruction did: it
/// cannot be blocked or ignored.
pub fn force(mut info: SigInfo) {
    let task = current();
    let account = account(&task);
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
            if crate::mutant!("fault-blocked-kills") {
                info.signal = Signal::SIGKILL;
            }
            actions.reset(info.signal);
            signals.blocked = signals.blocked.without(SigSet::of(&[info.signal]));
        }
        // What an instruction did is known even if its siginfo is not.
        let _ = signals.pending.add(info, account);
    }
    recalculate(&task);
}

/// The running task wrote where nobody reads.
pub fn broken_pipe() {
    if crate::mutant!("sigpipe-silent") {
        return;
    }
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
        if ptrace::must_trap() {
            ptrace::trap();
            continue;
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
        take_deadly(&task, status);
        return Some(status);
    }
    let condemned = task.group().condemns(task.id());
    condemned.then_some(i32::from(Signal::SIGKILL.number()))
}

/// The first task that ends because of a signal takes it.
fn take_deadly(task: &Task, status: i32) {
    let Some(signal) = Signal::new((status & 0x7F) as u64) else {
        return;
    };
    let set = SigSet::of(&[signal]);
    let taken = {
        let mut group = task.group().signals.lock();
        let mut own = task.signals.lock();
        let sent = own.pending.set().union(group.pending.set()).has(signal);
        own.pending.remove(set);
        group.pending.remove(set);
        sent
    };
    if taken {
        delivered(signal, SIG_DFL);
    }
}

fn must_stop() -> bool {
    current().signals.lock().must_stop
}

/// The next signal that somebody has to do something about, once a tracer has
/// seen it.
fn next() -> Option<Delivery> {
    let task = current();
    loop {
        let mut info = take(&task)?;
        timers::delivered(&task, &mut info);
        let Some(info) = ptrace::intercept(info) else {
            continue;
        };
        let sighand = task.sighand();
        let delivery = signal::decide(&mut sighand.0.lock(), info);
        if delivery.is_some() {
            return delivery;
        }
    }
}

fn take(task: &Task) -> Option<SigInfo> {
    let mut group = task.group().signals.lock();
    let mut signals = task.signals.lock();
    let info = signal::take(&mut group, &mut signals)?;
    if SigSet::STOP.has(info.signal) {
        group.will_stop = Some(info.signal);
    }
    Some(info)
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
    let stepped = task.trace().is_stepped();
    if stepped {
        ptrace::clear_step(&task);
    }
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
    if stepped {
        ptrace::handler_entered();
    }
}
