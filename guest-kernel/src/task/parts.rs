//! The parts of a context, one line each: which flag of clone shares it, and
//! what sharing and copying are. `clone` walks this table and nothing else, so
//! there is one body for every kind of task.

use alloc::boxed::Box;
use alloc::sync::Arc;

use linux_raw_sys::general as linux;

use super::clone::Vfork;
use super::clone_args::{CLONE_CLEAR_SIGHAND, CloneArgs};
use super::credentials::{Cap, Credentials};
use super::group::Group;
use super::io_context::IoContext;
use super::ipc::undo::UndoList;
use super::namespaces::Namespaces;
use super::pid::Pid;
use super::ptrace;
use super::rseq::Registration;
use super::tree::Place;
use super::{Files, Fs, Task, mount_namespace, user_namespace};
use crate::arch::fpu::FpuState;
use crate::errno::{Errno, Result};
use crate::mm::{Mm, frame};
use crate::sched::{self, Account};
use crate::signal::{SigHand, SigInfo, Signal, TaskSignals};
use crate::sync::SpinLock;

/// A child in the making. Whatever it holds goes when it is dropped, so a
/// clone that fails leaves nothing behind.
pub(super) struct Draft {
    pub pid: Option<Arc<Pid>>,
    pub group: Option<Arc<Group>>,
    pub io: Option<Arc<IoContext>>,
    pub mm: Option<Arc<Mm>>,
    pub files: Option<Files>,
    pub fs: Option<Fs>,
    pub sighand: Option<Arc<SigHand>>,
    pub credentials: Arc<Credentials>,
    pub namespaces: Arc<Namespaces>,
    pub undo: Option<Arc<UndoList>>,
    pub signals: TaskSignals,
    pub fpu: Option<Box<FpuState>>,
    pub fs_base: u64,
    pub gs_base: u64,
    pub parent: Place,
    pub exit_signal: u32,
    pub clear_tid: u64,
    pub rseq: Option<Registration>,
    pub trace: ptrace::Trace,
    pub vfork: Option<Arc<Vfork>>,
    pub account: Option<Arc<Account>>,
    /// Addresses at which the child's number is written once nothing can fail:
    /// in the parent's memory, and in the child's.
    pub tell_parent: u64,
    pub tell_child: u64,
}

/// Who is cloned, how, and into what.
pub(super) struct Making<'a> {
    pub parent: &'a Arc<Task>,
    pub args: &'a CloneArgs,
    pub draft: &'a mut Draft,
}

/// What is done about a part.
type Step = fn(&mut Making<'_>) -> Result<()>;

/// A part of a context.
pub(super) struct Part {
    /// Its name.
    #[expect(dead_code, reason = "the table is also documentation")]
    pub name: &'static str,
    /// The flag that shares it; 0 if no flag does.
    pub flag: u32,
    /// With the flag.
    pub share: Step,
    /// Without.
    pub copy: Step,
}

macro_rules! parts {
    ($($name:literal $flag:expr, share $share:expr, copy $copy:expr;)*) => {
        /// The table, in the order in which a child is put together.
        pub(super) static PARTS: &[Part] = &[$(Part {
            name: $name, flag: $flag, share: $share, copy: $copy,
        },)*];
    };
}

parts! {
    "credentials" linux::CLONE_NEWUSER, share begin_user_namespace, copy keep_credentials;
    "namespaces" 0, share nothing, copy derive_namespaces;
    "undo list" linux::CLONE_SYSVSEM, share share_undo, copy nothing;
    "files" linux::CLONE_FILES, share share_files, copy copy_files;
    "fs" linux::CLONE_FS, share share_fs, copy copy_fs;
    "mount namespace" linux::CLONE_NEWNS, share begin_mount_namespace, copy nothing;
    "sighand" linux::CLONE_SIGHAND, share share_sighand, copy copy_sighand;
    "io" linux::CLONE_IO, share share_io, copy copy_io;
    "pid" 0, share nothing, copy take_pid;
    "task group" linux::CLONE_THREAD, share share_group, copy new_group;
    "account" 0, share nothing, copy new_account;
    "parent" linux::CLONE_PARENT, share share_parent, copy become_parent;
    "signals" linux::CLONE_VM, share copy_signals_without_stack, copy copy_signals;
    "tracer" linux::CLONE_PTRACE, share share_tracer, copy share_tracer_for_event;
    "mm" linux::CLONE_VM, share share_mm, copy copy_mm;
    "fpu" 0, share nothing, copy copy_fpu;
    "tls" linux::CLONE_SETTLS, share set_tls, copy copy_tls;
    "parent_tid" linux::CLONE_PARENT_SETTID, share set_parent_tid, copy nothing;
    "child_tid" linux::CLONE_CHILD_SETTID, share set_child_tid, copy nothing;
    "clear_child_tid" linux::CLONE_CHILD_CLEARTID, share set_clear_tid, copy nothing;
    "rseq" linux::CLONE_VM, share nothing, copy copy_rseq;
    "stop" 0, share nothing, copy start_stopped;
    "vfork" linux::CLONE_VFORK, share let_parent_wait, copy nothing;
}

fn nothing(_: &mut Making<'_>) -> Result<()> {
    Ok(())
}

/// A value that never changes: a copy of it is a reference to it.
fn keep_credentials(making: &mut Making<'_>) -> Result<()> {
    making.draft.credentials = making.parent.credentials();
    Ok(())
}

fn begin_user_namespace(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("new-user-shares") {
        return keep_credentials(making);
    }
    let new = user_namespace::begin(&making.parent.credentials())?;
    making.draft.credentials = Arc::new(new);
    Ok(())
}

fn derive_namespaces(making: &mut Making<'_>) -> Result<()> {
    let parents = making.parent.namespaces();
    let flags = making.args.namespaces();
    let own = making.parent.pid();
    making.draft.namespaces = parents.derive(flags, &making.draft.credentials, own.namespace())?;
    Ok(())
}

/// Without the flag the child begins with nothing to take back.
fn share_undo(making: &mut Making<'_>) -> Result<()> {
    if !crate::mutant!("sysvsem-own-list") {
        making.draft.undo = Some(UndoList::of(making.parent)?);
    }
    Ok(())
}

fn share_files(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-files-copies") {
        return copy_files(making);
    }
    making.draft.files = making.parent.context.lock().files.clone();
    Ok(())
}

fn copy_files(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    if crate::mutant!("descriptors-always-shared")
        || crate::mutant!("thread-shares-descriptors") && making.args.has(linux::CLONE_THREAD)
    {
        making.draft.files = making.parent.context.lock().files.clone();
        return Ok(());
    }
    let shared = making.parent.context.lock().files.clone();
    let copy = shared.map(|files| files.lock().copy()).transpose()?;
    making.draft.files = copy.map(|files| Arc::new(SpinLock::new(files)));
    Ok(())
}

fn share_fs(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-fs-copies") {
        return copy_fs(making);
    }
    making.draft.fs = making.parent.context.lock().fs.clone();
    Ok(())
}

fn copy_fs(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    let shared = making.parent.context.lock().fs.clone();
    making.draft.fs = shared.map(|fs| Arc::new(SpinLock::new(fs.lock().clone())));
    Ok(())
}

/// The child's working directory is a copy by now, and moves over to the
/// copies of the mounts.
fn begin_mount_namespace(making: &mut Making<'_>) -> Result<()> {
    let draft = &mut *making.draft;
    let Some(fs) = &draft.fs else {
        return Ok(());
    };
    draft.namespaces = mount_namespace::begin(&draft.namespaces, fs, &draft.credentials)?;
    Ok(())
}

fn share_sighand(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-sighand-copies") {
        return copy_sighand(making);
    }
    making.draft.sighand = Some(making.parent.sighand());
    Ok(())
}

fn copy_sighand(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    let copy = making.parent.sighand().copy();
    let clears = making.args.flags & CLONE_CLEAR_SIGHAND != 0;
    if clears && !crate::mutant!("clear-sighand-keeps") {
        copy.0.lock().exec();
    }
    making.draft.sighand = Some(copy);
    Ok(())
}

fn share_io(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-io-copies") {
        return copy_io(making);
    }
    making.draft.io = Some(making.parent.io());
    Ok(())
}

fn copy_io(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    making.draft.io = Some(making.parent.io().copy());
    Ok(())
}

/// The numbers of the child: the next ones, or those of `set_tid`, which are
/// a privilege to choose.
fn take_pid(making: &mut Making<'_>) -> Result<()> {
    let namespace = &making.draft.namespaces.pid;
    let mut wanted = &making.args.set_tid[..];
    let credentials = &making.draft.credentials;
    if !wanted.is_empty() && !credentials.capable_in(namespace.user(), Cap::SysAdmin) {
        return Err(Errno::EPERM);
    }
    if crate::mutant!("set-tid-ignored") {
        wanted = &[];
    }
    making.draft.pid = Some(Pid::take(namespace, wanted)?);
    Ok(())
}

fn share_group(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("thread-leads-a-group") {
        return new_group(making);
    }
    making.draft.group = Some(making.parent.group().clone());
    Ok(())
}

fn new_group(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    let pid = making.draft.pid.as_ref().ok_or(Errno::EAGAIN)?;
    let group = making.parent.group().child(pid.clone());
    making.draft.group = Some(Arc::new(group));
    making.draft.exit_signal = making.args.exit_signal;
    Ok(())
}

/// Nothing of what was used is inherited, but what was asked of the scheduler.
fn new_account(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    let parent = making.parent.account();
    let attributes = parent.attributes().for_child();
    let group = making.draft.group.as_ref().map(|group| group.clock.clone());
    let account = Account::new(group, attributes, parent.affinity());
    making.draft.account = Some(Arc::new(account));
    Ok(())
}

/// The caller's parent becomes the child's, which ends with the signal with
/// which the caller's group ends. (A thread's parent is its group's anyway.)
fn share_parent(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-parent-ignored") {
        return become_parent(making);
    }
    let tree = super::TREE.lock();
    if let Some(node) = tree.node(making.parent.tgid().0) {
        making.draft.parent = Place {
            parent: node.parent,
            maker: node.maker,
            parent_execs: node.parent_execs,
        };
        if !crate::mutant!("clone-parent-own-signal") {
            making.draft.exit_signal = node.exit_signal;
        }
    }
    Ok(())
}

fn become_parent(making: &mut Making<'_>) -> Result<()> {
    making.draft.parent = Place {
        parent: making.parent.tgid().0,
        maker: making.parent.id().0,
        parent_execs: making.parent.group().execs(),
    };
    Ok(())
}

fn copy_signals(making: &mut Making<'_>) -> Result<()> {
    making.draft.signals = making.parent.signals.lock().for_child(true);
    Ok(())
}

/// With the memory shared, the parent's alternate stack is the parent's: only
/// while it waits for a vfork child may that one use it.
fn copy_signals_without_stack(making: &mut Making<'_>) -> Result<()> {
    let waits = making.args.has(linux::CLONE_VFORK);
    making.draft.signals = making.parent.signals.lock().for_child(waits);
    Ok(())
}

fn share_mm(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("clone-vm-copies")
        || crate::mutant!("thread-copies-memory") && making.args.has(linux::CLONE_THREAD)
        || crate::mutant!("vfork-copies-memory") && making.args.has(linux::CLONE_VFORK)
    {
        return copy_mm(making);
    }
    making.draft.mm = making.parent.mm();
    Ok(())
}

fn copy_mm(making: &mut Making<'_>) -> Result<()> {
    let mm = making.parent.mm();
    if crate::mutant!("memory-always-shared") && making.args.stack != 0 {
        making.draft.mm = mm;
        return Ok(());
    }
    making.draft.mm = mm.map(|mm| mm.fork()).transpose()?;
    Ok(())
}

fn copy_fpu(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    making.draft.fpu = sched::with_fpu(|fpu| fpu.clone()).map(Box::new);
    Ok(())
}

fn set_tls(making: &mut Making<'_>) -> Result<()> {
    copy_tls(making)?;
    if crate::mutant!("settls-ignored") {
        return Ok(());
    }
    making.draft.fs_base = making.args.tls;
    Ok(())
}

fn copy_tls(making: &mut Making<'_>) -> Result<()> {
    (making.draft.fs_base, making.draft.gs_base) = sched::user_bases();
    Ok(())
}

fn set_parent_tid(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("parent-settid-forgotten") {
        return Ok(());
    }
    making.draft.tell_parent = making.args.parent_tid;
    Ok(())
}

fn set_child_tid(making: &mut Making<'_>) -> Result<()> {
    if crate::mutant!("child-settid-in-parent") {
        making.draft.tell_parent = making.args.child_tid;
        return Ok(());
    }
    making.draft.tell_child = making.args.child_tid;
    Ok(())
}

fn set_clear_tid(making: &mut Making<'_>) -> Result<()> {
    if making.args.has(linux::CLONE_SYSVSEM) && crate::mutant!("clear-tid-without-undo-only") {
        return Ok(());
    }
    if crate::mutant!("cleartid-forgotten") {
        return Ok(());
    }
    making.draft.clear_tid = making.args.child_tid;
    Ok(())
}

/// The parent's tracer traces the child, too.
fn share_tracer(making: &mut Making<'_>) -> Result<()> {
    if !crate::mutant!("clone-ptrace-untraced") {
        ptrace::hand_on(making.parent, making.draft);
    }
    Ok(())
}

/// So it does if it wants to know of every child.
fn share_tracer_for_event(making: &mut Making<'_>) -> Result<()> {
    if ptrace::clone_event(making.args).is_some() {
        ptrace::hand_on(making.parent, making.draft);
    }
    Ok(())
}

/// In a copy of the memory the registration still means the same; where the
/// memory is shared it is the parent's.
fn copy_rseq(making: &mut Making<'_>) -> Result<()> {
    making.draft.rseq = *making.parent.rseq.lock();
    Ok(())
}

/// A child that starts in a stop finds SIGSTOP before its first instruction.
fn start_stopped(making: &mut Making<'_>) -> Result<()> {
    if making.args.starts_stopped() {
        let stop = SigInfo::kernel(Signal::SIGSTOP);
        let account = super::signal::account(making.parent);
        // Only a signal with a value can fail.
        let _ = making.draft.signals.pending.add(stop, account);
    }
    Ok(())
}

fn let_parent_wait(making: &mut Making<'_>) -> Result<()> {
    frame::room()?;
    if crate::mutant!("vfork-does-not-wait") {
        return Ok(());
    }
    making.draft.vfork = Some(Arc::new(Vfork::new()));
    Ok(())
}
