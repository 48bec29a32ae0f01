//! The traced task's side: where it stops, and what it goes on with.

use alloc::sync::{Arc, Weak};

use linux_raw_sys::general::{CLONE_UNTRACED, CLONE_VFORK, SIGCHLD, SIGTRAP};
use linux_raw_sys::ptrace as linux;

use super::super::clone_args::CloneArgs;
use super::super::pid::Pid;
use super::super::signal::{account, recalculate, send};
use super::super::stop::{participate, tell_parent};
use super::super::tree::TREE;
use super::super::{Task, current};
use super::Stop;
use crate::arch::trap::{RFLAGS_TF, SYSCALL_VECTOR, TrapFrame, user_frame};
use crate::errno::Errno;
use crate::sched;
use crate::signal::{Fields, SigInfo, Signal, code};

/// Stops the running task for its tracer; gives the signal with which it goes
/// on, and what comes with that.
fn stop(code: u32, why: i32, info: Option<SigInfo>) -> (u32, Option<SigInfo>) {
    stop_as(code, why, info, Kind::Living)
}

/// Whether a task that is to die still stops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Not any more.
    Living,
    /// Its end is what the stop is about.
    Ending,
}

fn stop_as(code: u32, why: i32, info: Option<SigInfo>, kind: Kind) -> (u32, Option<SigInfo>) {
    let task = current();
    clear_step(&task);
    {
        let mut state = task.trace().state.lock();
        let tracer = state.tracer.as_ref();
        if tracer.and_then(Weak::upgrade).is_none() {
            return (info.map_or(0, |info| info.signal.number().into()), info);
        }
        state.resume = (0, None);
        state.stop = Some(Stop {
            code,
            info,
            told: false,
            listening: false,
        });
    }
    task.trace().set_resume_flags(0);
    tell_tracer(&task, code, why);
    let stays = || task.trace().state.lock().stop.is_some();
    let ending = kind == Kind::Ending;
    while stays() && (ending || !sched::fatal_pending()) {
        sched::stop_for_tracer(ending, stays);
    }
    let mut state = task.trace().state.lock();
    state.stop = None;
    core::mem::take(&mut state.resume)
}

/// Tells the tracer that the task has stopped for it.
fn tell_tracer(task: &Task, code: u32, why: i32) {
    let Some(tracer) = task.trace().tracer() else {
        return;
    };
    if !tracer.sighand().0.lock().hides_stops() {
        let fields = Fields::Child {
            pid: task.number_for(&tracer) as i32,
            uid: task.credentials().uid,
            status: (code & 0x7F) as i32,
        };
        let info = SigInfo {
            signal: Signal::SIGCHLD,
            code: why,
            fields,
        };
        send(&tracer, true, info);
    }
    tracer.group().children.wake_all();
}

/// The trap flag that the tracer had set goes.
pub fn clear_step(task: &Task) {
    let stepping = core::mem::take(&mut task.trace().state.lock().stepping);
    if stepping {
        // SAFETY: the task runs this or is stopped in the kernel, so its frame
        // is complete and nobody else writes it.
        unsafe { (*user_frame(task.stack_top())).rflags &= !RFLAGS_TF };
    }
}

/// A signal is about to be delivered: the tracer sees it first. Gives what is
/// to be delivered in its place.
pub fn intercept(info: SigInfo) -> Option<SigInfo> {
    let task = current();
    if !task.trace().is_on() || info.signal == Signal::SIGKILL {
        return Some(info);
    }
    let number = u32::from(info.signal.number());
    let (signal, given) = stop(number, code::CLD_TRAPPED, Some(info));
    if crate::mutant!("ptrace-signal-kept") {
        return Some(info);
    }
    let signal = Signal::new(u64::from(signal))?;
    let info = match given {
        Some(given) if given.signal == signal => given,
        _ => from_tracer(&task, signal),
    };
    if task.signals.lock().blocked.has(signal) {
        let account = account(&task);
        // Only a signal with a value can fail, and this one is known already.
        let _ = task.signals.lock().pending.add(info, account);
        recalculate(&task);
        return None;
    }
    Some(info)
}

/// A signal that the tracer put in another's place.
fn from_tracer(task: &Task, signal: Signal) -> SigInfo {
    let fields = match task.trace().tracer() {
        Some(tracer) => Fields::Sender {
            pid: tracer.group_number_for(task) as i32,
            uid: tracer.credentials().uid,
        },
        None => Fields::Sender { pid: 0, uid: 0 },
    };
    SigInfo {
        signal,
        code: code::SI_USER,
        fields,
    }
}

/// True if the running task is to stop for its tracer, be it with its group.
#[must_use]
pub fn must_trap() -> bool {
    let task = current();
    let own = task.signals.lock();
    task.trace().is_on() && (own.trap || own.must_stop)
}

/// The group stops, or the tracer has interrupted the task: it tells so.
pub fn trap() {
    let task = current();
    let (signal, all_stopped) = {
        let mut group = task.group().signals.lock();
        let mut own = task.signals.lock();
        own.trap = false;
        let stopped = participate(&mut group, &mut own);
        (group.stop, stopped)
    };
    recalculate(&task);
    if let Some(signal) = all_stopped.filter(|_| has_other_parent(&task)) {
        tell_parent(&task, code::CLD_STOPPED, signal);
    }
    let seized = task.trace().state.lock().seized;
    let number = signal.map_or(SIGTRAP, |signal| signal.number().into());
    let plain = signal.is_some() && crate::mutant!("seized-stop-no-event");
    if seized && !plain {
        let code = number | linux::PTRACE_EVENT_STOP << 8;
        stop(code, code::CLD_STOPPED, Some(event_info(&task, code)));
    } else if signal.is_some() {
        stop(number, code::CLD_STOPPED, None);
    }
}

/// True if the tracer is not the parent.
pub(super) fn has_other_parent(task: &Task) -> bool {
    let parent = TREE.lock().node(task.tgid().0).map(|node| node.parent);
    parent.is_some_and(|parent| !task.trace().is_traced_by_group(parent))
}

fn event_info(task: &Task, code: u32) -> SigInfo {
    SigInfo {
        signal: Signal::SIGTRAP,
        code: code as i32,
        fields: Fields::Sender {
            pid: task.number_for(task) as i32,
            uid: task.credentials().uid,
        },
    }
}

/// Stops for an event, if the tracer wants to know of it.
fn event(number: u32, option: u32, message: u64) {
    let task = current();
    if !task.trace().is_on() {
        return;
    }
    {
        let mut state = task.trace().state.lock();
        if state.options & option == 0 {
            return;
        }
        state.message = message;
    }
    if number == linux::PTRACE_EVENT_EXIT {
        let code = SIGTRAP | number << 8;
        stop_as(
            code,
            code::CLD_TRAPPED,
            Some(event_info(&task, code)),
            Kind::Ending,
        );
    } else {
        notify(SIGTRAP | number << 8);
    }
}

/// A task is sent SIGKILL: no tracer holds it back.
pub fn killed(task: &Task) {
    if task.trace().is_on() {
        task.trace().state.lock().stop = None;
        sched::wake_traced(task.id());
    }
}

/// A stop at which no signal is delivered; one that the tracer sends with it
/// comes as any other.
fn notify(code: u32) {
    let task = current();
    let info = event_info(&task, code);
    let (signal, _) = stop(code, code::CLD_TRAPPED, Some(info));
    if let Some(signal) = Signal::new(u64::from(signal)) {
        send(&task, false, SigInfo::kernel(signal));
    }
}

/// The event that the birth of a task is, if its parent's tracer wants it.
#[must_use]
pub fn clone_event(args: &CloneArgs) -> Option<u32> {
    let task = current();
    let hidden = args.has(CLONE_UNTRACED) && !crate::mutant!("clone-untraced-ignored");
    if !task.trace().is_on() || args.kernel.is_some() || hidden {
        return None;
    }
    let (number, option) = if args.has(CLONE_VFORK) {
        (linux::PTRACE_EVENT_VFORK, linux::PTRACE_O_TRACEVFORK)
    } else if args.exit_signal != SIGCHLD {
        (linux::PTRACE_EVENT_CLONE, linux::PTRACE_O_TRACECLONE)
    } else {
        (linux::PTRACE_EVENT_FORK, linux::PTRACE_O_TRACEFORK)
    };
    let wanted = task.trace().state.lock().options & option != 0;
    wanted.then_some(number)
}

/// A child with this number is there: the event that [`clone_event`] gave.
pub fn clone_done(number: u32, child: &Pid) {
    let task = current();
    let seen = seen_by_tracer(&task, child);
    task.trace().state.lock().message = seen;
    notify(SIGTRAP | number << 8);
}

/// The child of a vfork has left the memory.
pub fn vfork_done(child: &Pid) {
    let task = current();
    if task.trace().is_on() {
        let option = linux::PTRACE_O_TRACEVFORKDONE;
        event(
            linux::PTRACE_EVENT_VFORK_DONE,
            option,
            seen_by_tracer(&task, child),
        );
    }
}

fn seen_by_tracer(task: &Task, child: &Pid) -> u64 {
    let tracer = task.trace().tracer();
    tracer.map_or(0, |tracer| child.number_in(tracer.pid().namespace()).into())
}

/// Another program runs, by the system call with this number; the task had
/// the number `old` before.
pub fn after_exec(call: u64, old: u64, frame: &mut TrapFrame) {
    let task = current();
    if !task.trace().is_on() {
        return;
    }
    // The tracer sees that this comes from a system call.
    frame.vector = SYSCALL_VECTOR;
    frame.error = call;
    let (options, seized) = {
        let state = task.trace().state.lock();
        (state.options, state.seized)
    };
    if options & linux::PTRACE_O_TRACEEXEC != 0 && !crate::mutant!("exec-no-event") {
        event(linux::PTRACE_EVENT_EXEC, linux::PTRACE_O_TRACEEXEC, old);
    } else if !seized {
        let me = task.group_number_for(&task) as i32;
        let fields = Fields::Sender {
            pid: me,
            uid: task.credentials().uid,
        };
        let info = SigInfo {
            signal: Signal::SIGTRAP,
            code: code::SI_USER,
            fields,
        };
        send(&task, false, info);
    }
}

/// The task is about to end with this wait status.
pub fn before_exit(status: i32) {
    let option = linux::PTRACE_O_TRACEEXIT;
    event(linux::PTRACE_EVENT_EXIT, option, status as u64);
}

/// True if the end of a system call is something to tell.
#[must_use]
pub fn is_watched() -> bool {
    let task = current();
    task.trace().stops_at_syscalls() || task.trace().is_stepped()
}

/// A system call begins; gives its number, which the tracer may have changed.
/// `None` if it is not to be done.
pub fn syscall_enter(frame: &mut TrapFrame) -> Option<u64> {
    if !current().trace().stops_at_syscalls() {
        return Some(u64::from(frame.rax as u32));
    }
    frame.rax = Errno::ENOSYS.as_return();
    syscall_stop();
    let number = frame.error as u32;
    (number != u32::MAX && !sched::fatal_pending()).then_some(u64::from(number))
}

/// A system call is over.
pub fn syscall_leave() {
    let task = current();
    if task.trace().stops_at_syscalls() {
        syscall_stop();
    } else if task.trace().is_stepped() && !crate::mutant!("step-misses-syscall") {
        step_done();
    }
}

fn syscall_stop() {
    let good = {
        let task = current();
        let options = task.trace().state.lock().options;
        options & linux::PTRACE_O_TRACESYSGOOD != 0
    };
    notify(if good { SIGTRAP | 0x80 } else { SIGTRAP });
}

/// A handler begins for a task that is stepped.
pub fn handler_entered() {
    notify(SIGTRAP);
}

/// An instruction was stepped over in the kernel: a system call, or the start
/// of a handler.
pub fn step_done() {
    let task: Arc<Task> = current();
    // SAFETY: the running task's own frame, which is complete.
    let rip = unsafe { (*user_frame(task.stack_top())).rip };
    let info = SigInfo::fault(Signal::SIGTRAP, code::TRAP_BRKPT, rip);
    super::super::signal::force(info);
}
