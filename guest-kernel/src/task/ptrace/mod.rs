//! Tracing: one task sees each stop of another, reads and writes its registers
//! and memory, and says how it goes on.
//!
//! | file | what |
//! |---|---|
//! | this one | who traces whom: attach, detach, and what a clone hands on |
//! | `stop` | the traced task's side: where it stops, and what it goes on with |
//! | `request` | the tracer's side: what it may ask of a task that is stopped |
//! | `registers` | the registers as a tracer sees them |
//! | `wait` | what wait tells a tracer |

mod registers;
mod request;
mod stop;
mod wait;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use linux_raw_sys::ptrace as linux;

use super::credentials::Cap;
use super::parts::Draft;
use super::signal::{account, recalculate, send};
use super::tree::{TREE, Tree};
use super::{Task, current, orphans};
use crate::errno::{Errno, Result};
use crate::sched;
use crate::signal::{SigInfo, Signal};
use crate::sync::SpinLock;

pub use registers::{USER_REGISTERS, UserRegisters};
pub use request::{Tracee, Until, find};
pub use stop::{
    after_exec, before_exit, clear_step, clone_done, clone_event, handler_entered, intercept,
    is_watched, killed, must_trap, syscall_enter, syscall_leave, trap, vfork_done,
};
pub(super) use wait::{is_anothers, is_own, look, own_stop};

/// The options that there are.
const OPTIONS: u32 = linux::PTRACE_O_TRACESYSGOOD
    | linux::PTRACE_O_TRACEFORK
    | linux::PTRACE_O_TRACEVFORK
    | linux::PTRACE_O_TRACECLONE
    | linux::PTRACE_O_TRACEEXEC
    | linux::PTRACE_O_TRACEVFORKDONE
    | linux::PTRACE_O_TRACEEXIT
    | linux::PTRACE_O_EXITKILL;

/// How many tasks are traced: with none, nobody looks for them.
static TRACED: AtomicU32 = AtomicU32::new(0);

/// A task is traced.
const FLAG_TRACED: u32 = 1;
/// It stops at system calls.
const FLAG_SYSCALLS: u32 = 2;
/// It stops after each instruction.
const FLAG_STEP: u32 = 4;

/// A stop that the tracer may look at.
#[derive(Clone, Debug)]
struct Stop {
    /// The signal, and the event above it, as wait tells them.
    code: u32,
    /// What comes with the signal; a group's stop has nothing.
    info: Option<SigInfo>,
    /// Wait has told it.
    told: bool,
    /// The tracer waits for what comes without letting the task go on.
    listening: bool,
}

/// What is known of a task's tracing.
#[derive(Default)]
struct State {
    tracer: Option<Weak<Task>>,
    options: u32,
    seized: bool,
    stop: Option<Stop>,
    /// With what the task goes on: a signal's number, and what comes with it.
    resume: (u32, Option<SigInfo>),
    /// What an event is about.
    message: u64,
    /// The trap flag is the tracer's doing.
    stepping: bool,
    /// The wait status of a task that has exited and is not its group's leader.
    ended: Option<i32>,
}

/// How a task is traced.
#[derive(Default)]
pub struct Trace {
    flags: AtomicU32,
    state: SpinLock<State>,
}

impl Trace {
    /// True if somebody traces the task.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.has(FLAG_TRACED)
    }

    /// True if system calls are stops.
    #[must_use]
    pub fn stops_at_syscalls(&self) -> bool {
        self.has(FLAG_SYSCALLS)
    }

    /// True if each instruction is followed by a stop.
    #[must_use]
    pub fn is_stepped(&self) -> bool {
        self.has(FLAG_STEP)
    }

    /// True while the task is stopped for its tracer.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_on() && self.state.lock().stop.is_some()
    }

    /// True if a tracer could make more of a task than that one may itself: a
    /// program gives it no rights then.
    #[must_use]
    pub fn takes_rights(&self, task: &Task) -> bool {
        if crate::mutant!("tracer-trusted") {
            return false;
        }
        let user = &task.credentials().user;
        self.tracer()
            .is_some_and(|tracer| !tracer.credentials().capable_in(user, Cap::SysPtrace))
    }

    fn has(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    fn set_resume_flags(&self, flags: u32) {
        self.flags.store(FLAG_TRACED | flags, Ordering::Relaxed);
    }

    /// The tracer, unless nobody traces it.
    #[must_use]
    pub fn tracer(&self) -> Option<Arc<Task>> {
        if !self.is_on() {
            return None;
        }
        self.state.lock().tracer.as_ref()?.upgrade()
    }

    fn is_traced_by(&self, task: &Arc<Task>) -> bool {
        self.is_on()
            && self
                .tracer()
                .is_some_and(|tracer| Arc::ptr_eq(&tracer, task))
    }

    /// True if the tracer is a task of the group with this number.
    fn is_traced_by_group(&self, tgid: u32) -> bool {
        self.tracer().is_some_and(|tracer| tracer.tgid().0 == tgid)
    }

    fn begin(&self, tracer: &Arc<Task>, options: u32, seized: bool) {
        *self.state.lock() = State {
            tracer: Some(Arc::downgrade(tracer)),
            options,
            seized,
            ..State::default()
        };
        self.flags.store(FLAG_TRACED, Ordering::Relaxed);
        TRACED.fetch_add(1, Ordering::Relaxed);
    }

    /// Nobody traces the task any more. False if nobody did.
    fn end(&self) -> bool {
        if self.flags.swap(0, Ordering::Relaxed) & FLAG_TRACED == 0 {
            return false;
        }
        TRACED.fetch_sub(1, Ordering::Relaxed);
        *self.state.lock() = State::default();
        true
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.end();
    }
}

fn nobody_is_traced() -> bool {
    TRACED.load(Ordering::Relaxed) == 0
}

/// The tasks that a task traces.
fn tracees(tracer: &Arc<Task>) -> Vec<Arc<Task>> {
    if nobody_is_traced() {
        return Vec::new();
    }
    let tree = TREE.lock();
    let own = |task: &&Arc<Task>| task.trace().is_traced_by(tracer);
    tree.all().filter(own).cloned().collect()
}

/// `PTRACE_TRACEME`: the caller's parent traces it from now on.
///
/// # Errors
/// `EPERM` if somebody does already, or nobody can.
pub fn trace_me() -> Result<()> {
    let me = current();
    let parent = {
        let tree = TREE.lock();
        let node = tree.node(me.tgid().0).ok_or(Errno::EPERM)?;
        let members = tree.members(node.parent);
        let maker = members.iter().find(|task| task.id().0 == node.maker);
        maker.or(members.first()).cloned().ok_or(Errno::EPERM)?
    };
    if me.trace().is_on() || parent.is_kernel() {
        return Err(Errno::EPERM);
    }
    me.trace().begin(&parent, 0, false);
    Ok(())
}

/// `PTRACE_ATTACH` and, with options, `PTRACE_SEIZE`.
///
/// # Errors
/// `EIO` for unknown options, `ESRCH`, `EPERM` if the caller may not.
pub fn attach(number: u32, seize: Option<u64>) -> Result<()> {
    let options = seize.unwrap_or(0);
    if options & !u64::from(OPTIONS) != 0 {
        return Err(Errno::EIO);
    }
    let task = super::find(number).ok_or(Errno::ESRCH)?;
    let me = current();
    let refused = task.is_kernel()
        || task.tgid() == me.tgid()
        || task.trace().is_on()
        || has_exited(&task)
        || !super::pidfd::may_look_into(&me, &task);
    if refused {
        return Err(Errno::EPERM);
    }
    task.trace().begin(&me, options as u32, seize.is_some());
    if seize.is_none() {
        send(&task, false, SigInfo::kernel(Signal::SIGSTOP));
    }
    let stopped = task.group().signals.lock().stop.is_some();
    if stopped && !crate::mutant!("attach-stopped-silent") {
        // What it has to tell now is that it is stopped.
        task.signals.lock().trap = true;
        recalculate(&task);
        sched::wake_stopped(task.id());
    }
    Ok(())
}

fn has_exited(task: &Task) -> bool {
    let tree = TREE.lock();
    let node = tree.node(task.tgid().0);
    !node.is_some_and(|node| node.members.contains(&task.id().0))
}

/// A task ends: whom it traced nobody traces any more.
pub(super) fn leave_tracees(tracer: &Arc<Task>) {
    for task in tracees(tracer) {
        let kill = task.trace().state.lock().options & linux::PTRACE_O_EXITKILL != 0;
        release(&task, 0);
        if kill && !crate::mutant!("exitkill-ignored") {
            send(&task, false, SigInfo::kernel(Signal::SIGKILL));
        }
    }
}

/// Lets a task go for good, with a signal or 0.
fn release(task: &Arc<Task>, signal: u32) {
    stop::clear_step(task);
    let (ended, was_stopped, info) = {
        let mut state = task.trace().state.lock();
        let stop = state.stop.take();
        (state.ended, stop.is_some(), stop.and_then(|stop| stop.info))
    };
    let others = stop::has_other_parent(task);
    task.trace().end();
    if was_stopped {
        task.trace().state.lock().resume = (signal, info);
        rejoin_stop(task);
        sched::wake_traced(task.id());
    }
    if ended.is_some() {
        forget(task);
    } else if others {
        super::exit::after_tracer(task);
    }
}

/// The tracer has heard of a task's end: one that is not its group's leader is
/// forgotten, a group's leader is its parent's again.
pub(super) fn heard(task: &Arc<Task>) {
    if task.is_leader() {
        super::exit::after_tracer(task);
    } else {
        forget(task);
    }
}

/// A task whose group is stopped stops with it when its tracer lets it go.
fn rejoin_stop(task: &Arc<Task>) {
    let mut group = task.group().signals.lock();
    if group.stop.is_some() {
        group.still_running += 1;
        task.signals.lock().must_stop = true;
    }
    drop(group);
    recalculate(task);
}

/// Takes a task out of the tree that only its tracer still knew.
fn forget(task: &Arc<Task>) {
    let forgotten = TREE.lock().forget_task(task.id().0);
    orphans::gone(forgotten);
}

/// A task that is not its group's leader has exited: its tracer is to hear
/// with what status. False if there is none, or it does not want to.
pub(super) fn keep_for_tracer(task: &Task, status: i32) -> bool {
    let Some(tracer) = task.trace().tracer() else {
        return false;
    };
    if tracer.sighand().0.lock().reaps_children() || crate::mutant!("traced-thread-forgotten") {
        return false;
    }
    task.trace().state.lock().ended = Some(status);
    true
}

/// What a child of a traced task starts with: with CLONE_PTRACE, or if its
/// birth is an event, the same tracer, for whom it stops at once.
pub(super) fn hand_on(parent: &Arc<Task>, draft: &mut Draft) {
    let Some(tracer) = parent.trace().tracer() else {
        return;
    };
    let (options, seized) = {
        let state = parent.trace().state.lock();
        (state.options, state.seized)
    };
    draft.trace.begin(&tracer, options, seized);
    if seized {
        draft.signals.trap = true;
    } else {
        let stop = SigInfo::own(Signal::SIGSTOP);
        // Only a signal with a value can fail.
        let _ = draft.signals.pending.add(stop, account(parent));
    }
}

/// Somebody else than the parent traces the leader of a group that has ended:
/// that one is told first, unless it does not want to be.
pub(super) fn other_tracer(tree: &Tree, tgid: u32) -> Option<Arc<Task>> {
    if nobody_is_traced() {
        return None;
    }
    let leader = tree.task(tgid)?;
    let tracer = leader.trace().tracer()?;
    if tree.node(tgid)?.parent == tracer.tgid().0 {
        return None;
    }
    if tracer.sighand().0.lock().reaps_children() {
        leader.trace().end();
        return None;
    }
    Some(tracer)
}

/// A group that stops or goes on: whoever is seized tells its tracer.
pub(super) fn group_goes_on(members: &[Arc<Task>]) {
    if nobody_is_traced() {
        return;
    }
    for task in members.iter().filter(|task| task.trace().is_on()) {
        let listening = {
            let mut state = task.trace().state.lock();
            if !state.seized {
                continue;
            }
            let listens = state.stop.as_ref().is_some_and(|stop| stop.listening);
            if listens {
                state.stop = None;
            }
            listens
        };
        task.signals.lock().trap = true;
        recalculate(task);
        if listening {
            sched::wake_traced(task.id());
        }
    }
}
