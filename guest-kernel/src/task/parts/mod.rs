//! The parts of a context, one line each: which flag of clone shares it, and
//! what sharing and copying are. `clone` walks this table and nothing else, so
//! there is one body for every kind of task.

mod account;
mod cpu;
mod credentials;
mod files;
mod fs;
mod group;
mod io;
mod mm;
mod namespaces;
mod parent;
mod pid;
mod rseq;
mod sighand;
mod signals;
mod tid;
mod tracer;
mod undo;
pub(super) mod vfork;

use alloc::sync::Arc;

use linux_raw_sys::general as linux;

use super::clone_args::CloneArgs;
use super::credentials::Credentials;
use super::group::Group;
use super::io_context::IoContext;
use super::ipc::undo::UndoList;
use super::namespaces::Namespaces;
use super::pid::Pid;
use super::ptrace;
use super::rseq::Registration;
use super::tree::Place;
use super::{Files, Fs, Task};
use crate::arch::fpu::FpuState;
use crate::errno::Result;
use crate::mm::Mm;
use crate::sched::Account;
use crate::signal::{SigHand, TaskSignals};
use vfork::Vfork;

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
    pub fpu: Option<FpuState>,
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

impl Draft {
    /// Nothing but what the parent's context gives of itself.
    pub(super) fn of(parent: &Task, args: &CloneArgs) -> Self {
        Draft {
            pid: None,
            group: None,
            io: None,
            mm: None,
            files: None,
            fs: None,
            sighand: None,
            credentials: parent.credentials(),
            namespaces: parent.namespaces(),
            undo: None,
            signals: TaskSignals::default(),
            fpu: None,
            fs_base: 0,
            gs_base: 0,
            parent: Place::default(),
            exit_signal: args.exit_signal,
            clear_tid: 0,
            rseq: None,
            trace: ptrace::Trace::default(),
            vfork: None,
            account: None,
            tell_parent: 0,
            tell_child: 0,
        }
    }
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
    "credentials" linux::CLONE_NEWUSER, share credentials::begin_namespace, copy credentials::keep;
    "namespaces" 0, share nothing, copy namespaces::derive;
    "undo list" linux::CLONE_SYSVSEM, share undo::share, copy nothing;
    "files" linux::CLONE_FILES, share files::share, copy files::copy;
    "fs" linux::CLONE_FS, share fs::share, copy fs::copy;
    "mount namespace" linux::CLONE_NEWNS, share namespaces::begin_mounts, copy nothing;
    "sighand" linux::CLONE_SIGHAND, share sighand::share, copy sighand::copy;
    "io" linux::CLONE_IO, share io::share, copy io::copy;
    "pid" 0, share nothing, copy pid::take;
    "task group" linux::CLONE_THREAD, share group::share, copy group::lead;
    "account" 0, share nothing, copy account::open;
    "parent" linux::CLONE_PARENT, share parent::share, copy parent::be_parent;
    "signals" linux::CLONE_VM, share signals::copy_without_stack, copy signals::copy;
    "tracer" linux::CLONE_PTRACE, share tracer::share, copy tracer::share_for_event;
    "mm" linux::CLONE_VM, share mm::share, copy mm::copy;
    "fpu" 0, share nothing, copy cpu::copy_fpu;
    "tls" linux::CLONE_SETTLS, share cpu::set_tls, copy cpu::copy_tls;
    "parent_tid" linux::CLONE_PARENT_SETTID, share tid::tell_parent, copy nothing;
    "child_tid" linux::CLONE_CHILD_SETTID, share tid::tell_child, copy nothing;
    "clear_child_tid" linux::CLONE_CHILD_CLEARTID, share tid::clear_at_end, copy nothing;
    "rseq" linux::CLONE_VM, share nothing, copy rseq::copy;
    "stop" 0, share nothing, copy signals::stop;
    "vfork" linux::CLONE_VFORK, share vfork::let_parent_wait, copy nothing;
}

fn nothing(_: &mut Making<'_>) -> Result<()> {
    Ok(())
}
