//! `clone`: the one function that makes tasks.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use abi::event::{FrameKind, SchedProcessFork, TaskRename};
use linux_raw_sys::general::{CLONE_PIDFD, CLONE_THREAD};

use super::census;
use super::credentials::Credentials;
use super::group::Group;
use super::io_context::IoContext;
use super::namespaces::Namespaces;
use super::parts::{Draft, Making, PARTS};
use super::pid::Pid;
use super::tree::{INIT, Place, TREE};
use super::{COMM_LEN, Context, Files, Fs, Task, current};
use super::{pid_namespace, pidfd, ptrace, stop};
use crate::arch::boot;
use crate::arch::context::SavedCpu;
use crate::arch::layout::PAGE_SIZE;
use crate::arch::trap::{NO_VECTOR, RFLAGS_TF, TrapFrame, user_frame};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::fs::MountTree;
use crate::mm::{frame, kernel_map};
use crate::probe;
use crate::sched::{self, Account, Attributes, NewTask, Time};
use crate::signal::{SigHand, TaskSignals};
use crate::sync::SpinLock;

pub use super::clone_args::CloneArgs;

/// The mask of the CPUs that there are.
pub const ALL_CPUS: u64 = (1 << crate::arch::percpu::MAX_CPUS) - 1;

/// Pages of a kernel stack.
pub(super) const STACK_PAGES: usize = 6;

/// Makes a task. The caller goes on at once, or with CLONE_VFORK when the
/// child has left the memory that they share.
///
/// # Errors
/// `EINVAL` and `EPERM` for flags that do not go together, `EAGAIN` without a
/// free number, `EEXIST` for one that is taken, `ENOMEM`. Nothing is left
/// behind then.
pub fn clone(args: &CloneArgs) -> Result<Arc<Pid>> {
    let parent = current();
    args.check(&parent)?;
    if sched::signal_pending() {
        // A child is born between signals, not with half of one.
        return Err(Errno::ERESTARTNOINTR);
    }
    if parent.tgid().0 == INIT {
        census::begin(&parent);
    }
    super::task_limit::may_clone(&parent)?;
    frame::room_for_task()?;
    let stack = kernel_map::alloc(STACK_PAGES, FrameKind::KernelStack)?;
    let mut draft = Draft::of(&parent, args);
    for part in PARTS {
        let step = if args.has(part.flag) {
            part.share
        } else {
            part.copy
        };
        step(&mut Making {
            parent: &parent,
            args,
            draft: &mut draft,
        })?;
    }
    if let Err(error) = frame::room_for_task() {
        if crate::mutant!("failed-fork-leaks") {
            core::mem::forget(draft.mm.take());
        }
        return Err(error);
    }
    if parent.group().condemns(parent.id()) {
        return Err(Errno::ERESTARTNOINTR);
    }
    let pid = draft.pid.take().ok_or(Errno::EAGAIN)?;
    if args.has(CLONE_PIDFD) {
        pidfd::install(&parent, &pid, args.has(CLONE_THREAD), args.pidfd)?;
    }
    start(&parent, args, (pid.clone(), draft), stack);
    Ok(pid)
}

/// Lets a complete child go. Nothing fails from here on.
fn start(
    parent: &Arc<Task>,
    args: &CloneArgs,
    (pid, draft): (Arc<Pid>, Draft),
    stack: kernel_map::Pages,
) {
    let id = pid.id();
    tell(parent, &draft, &pid);
    let frame = child_frame(parent, args);
    let (entry, argument) = args.kernel.unwrap_or((to_user_mode, 0));
    // SAFETY: the stack was made for this task.
    let mut cpu = unsafe { SavedCpu::starting(stack.end(), frame, entry, argument) };
    cpu.root = draft.mm.as_ref().map_or(0, |mm| mm.root());
    cpu.fs_base = draft.fs_base;
    cpu.gs_base = draft.gs_base;
    let (exit_signal, place, vfork) = (draft.exit_signal, draft.parent, draft.vfork.clone());
    let (task, fpu) = assemble(parent, args, (pid, draft), stack.end());
    cpu.fpu = fpu;
    probe::emit(&SchedProcessFork {
        parent: parent.id().into(),
        child: id.into(),
        tgid: task.tgid().into(),
        flags: args.flags | u64::from(args.exit_signal),
    });
    if let Some(name) = args.name {
        task.set_comm(name.as_bytes());
        probe::emit(&TaskRename {
            task: id.into(),
            comm: name.into(),
        });
    }
    pid_namespace::entered(&task);
    TREE.lock().enter(&task, place, exit_signal);
    sched::add(NewTask {
        id,
        cpu,
        kernel: args.kernel.is_some(),
        notify: task.rseq.lock().is_some(),
        pointer: Arc::as_ptr(&task).cast(),
        account: task.account().clone(),
        payload: Box::new((task.clone(), stack)),
    });
    stop::enter_group(&task);
    let pid = task.pid();
    drop(task);
    if let Some(event) = ptrace::clone_event(args) {
        ptrace::clone_done(event, &pid);
    }
    if let Some(vfork) = vfork {
        vfork.wait();
        ptrace::vfork_done(&pid);
    }
}

/// Writes the child's number where it was asked for. As on Linux an address
/// that cannot be written is the caller's own loss.
fn tell(parent: &Task, draft: &Draft, pid: &Pid) {
    if draft.tell_parent != 0
        && let Some(mm) = parent.mm()
    {
        let seen = pid.number_in(parent.pid().namespace());
        let _ = mm.write_value(draft.tell_parent, seen);
    }
    if draft.tell_child != 0
        && let Some(mm) = &draft.mm
    {
        let _ = mm.write_value(draft.tell_child, pid.number());
    }
}

/// The registers with which the child enters user mode: the parent's, but for
/// the result, and the stack if it has one of its own.
fn child_frame(parent: &Task, args: &CloneArgs) -> TrapFrame {
    if args.kernel.is_some() {
        return TrapFrame::user(0, 0);
    }
    // SAFETY: the parent is the caller, so its frame is complete and still.
    let mut frame = unsafe { (*user_frame(parent.stack_top)).clone() };
    frame.rax = 0;
    frame.vector = NO_VECTOR;
    if parent.trace().is_stepped() {
        frame.rflags &= !RFLAGS_TF;
    }
    if args.stack != 0 && !crate::mutant!("clone-stack-ignored") {
        frame.rsp = args.stack;
    }
    frame
}

extern "C" fn to_user_mode(_: u64) {}

fn assemble(
    parent: &Task,
    args: &CloneArgs,
    (pid, draft): (Arc<Pid>, Draft),
    stack_top: u64,
) -> (Arc<Task>, Option<crate::arch::fpu::FpuState>) {
    let context = Context {
        mm: draft.mm,
        files: draft.files,
        fs: draft.fs,
        sighand: draft.sighand.unwrap_or_default(),
        credentials: draft.credentials,
        namespaces: draft.namespaces,
        io: draft.io.unwrap_or_default(),
        undo: draft.undo,
    };
    let task = Task {
        _counted: Counted::new(Type::Task),
        pid: SpinLock::new(pid),
        group: draft.group.unwrap_or_else(|| parent.group().clone()),
        context: SpinLock::new(context),
        signals: SpinLock::new(draft.signals),
        clear_tid: AtomicU64::new(draft.clear_tid),
        robust_list: AtomicU64::new(0),
        rseq: SpinLock::new(draft.rseq),
        trace: draft.trace,
        vfork: SpinLock::new(draft.vfork),
        account: draft.account.unwrap_or_else(|| parent.account().clone()),
        comm: SpinLock::new(parent.comm()),
        kernel: AtomicU32::new(args.kernel.is_some().into()),
        over_limit: AtomicBool::new(false),
        acting: SpinLock::new(None),
        parent_death_signal: AtomicU32::new(if crate::mutant!("pdeathsig-inherited") {
            parent.parent_death_signal()
        } else {
            0
        }),
        started: Time::now(),
        stack_top,
    };
    (Arc::new(task), draft.fpu)
}

/// Makes the code of boot the idle task, from which all others are cloned.
/// The task lives for ever.
#[must_use]
pub fn make_idle(files: Files, fs: Fs, mounts: Arc<MountTree>) -> &'static Task {
    let mut comm = [0; COMM_LEN];
    comm[..4].copy_from_slice(b"idle");
    let pid = Pid::idle();
    let task = Arc::new(Task {
        _counted: Counted::new(Type::Task),
        group: Arc::new(Group::first(pid.clone())),
        pid: SpinLock::new(pid),
        context: SpinLock::new(Context {
            mm: None,
            files: Some(files),
            fs: Some(fs),
            sighand: Arc::new(SigHand::new()),
            credentials: Arc::new(Credentials::first()),
            namespaces: Arc::new(Namespaces::first(mounts)),
            io: Arc::new(IoContext::default()),
            undo: None,
        }),
        signals: SpinLock::new(TaskSignals::default()),
        clear_tid: AtomicU64::new(0),
        robust_list: AtomicU64::new(0),
        rseq: SpinLock::new(None),
        trace: ptrace::Trace::default(),
        vfork: SpinLock::new(None),
        account: Arc::new(Account::new(None, Attributes::default(), ALL_CPUS)),
        comm: SpinLock::new(comm),
        kernel: AtomicU32::new(1),
        over_limit: AtomicBool::new(false),
        acting: SpinLock::new(None),
        parent_death_signal: AtomicU32::new(0),
        started: Time::now(),
        stack_top: boot::stack_top(),
    });
    TREE.lock().enter(&task, Place::default(), 0);
    // SAFETY: the reference is given up and so never goes away.
    unsafe { &*Arc::into_raw(task) }
}

const _: () = assert!(INIT == 1 && STACK_PAGES as u64 * PAGE_SIZE >= 16384);
