//! Tasks: contexts of execution that share or copy each part of their state.
//!
//! | file | what |
//! |---|---|
//! | `clone`, `clone_args` | the only place that makes a task, and what it is asked for |
//! | `parts/` | the table of the parts of a context, and a file for each: how it is shared or copied |
//! | `credentials`, `user_namespace` | who a task is, and where its ids mean something |
//! | `namespaces`, `uts`, `ipc`, `mount_namespace` | what the machine's names mean to it |
//! | `group`, `tree`, `orphans` | thread groups, who is whose child, and who gets the children of the dead |
//! | `pid`, `pid_namespace`, `pidfd` | numbers, who sees which, and descriptors instead of them |
//! | `unshare`, `namespace_file` | taking a context apart, and entering others' namespaces |
//! | `io_context` | the priority of a task's requests |
//! | `exec`, `elf`, `image` | another program in the same task |
//! | `exit`, `wait` | the end, and who hears of it |
//! | `signal`, `sigwait`, `stop` | who sends to whom, and what becomes of the task |
//! | `ptrace` | one task watches and steers another |
//! | `jobs` | process groups, sessions and their terminal |
//! | `robust`, `rseq` | what C libraries register: locks that outlive a task, sequences that start over |
//! | `timers` | interval timers, POSIX timers, timers by CPU clocks |
//! | `fault` | exceptions: pages to bring in, signals to send |
//! | `kthread` | kernel threads |
//! | `pdflush` | the one that writes changed pages of the disk back |
//! | `census` | what is left over when init ends |

mod census;
pub mod clone;
mod clone_args;
pub mod credentials;
mod elf;
pub mod exec;
pub mod exit;
pub mod fault;
pub mod group;
mod image;
pub mod io_context;
pub mod ipc;
pub mod jobs;
pub mod kthread;
pub mod mappings;
mod may_signal;
pub mod mount_namespace;
pub mod namespace_file;
pub mod namespaces;
mod orphans;
mod parts;
pub mod pdflush;
pub mod pid;
pub mod pid_namespace;
pub mod pidfd;
pub mod ptrace;
pub mod robust;
pub mod rseq;
pub mod signal;
pub mod signalfd;
pub mod sigwait;
mod stop;
mod task_limit;
pub mod timers;
pub mod tree;
pub mod unshare;
pub mod user_namespace;
pub mod uts;
pub mod wait;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::arch::percpu;
use crate::count::Counted;
use crate::errno::{Errno, Result};
use crate::fs::{FdTable, File, FsContext};
use crate::mm::{Mm, frame};
use crate::sched::{Account, Attributes, TaskId, Time};
use crate::signal::{SigHand, TaskSignals};
use crate::sync::SpinLock;

use credentials::{Cap, Credentials};
use group::Group;
use io_context::IoContext;
use ipc::undo::UndoList;
use namespaces::Namespaces;
use pid::Pid;
use tree::TREE;

pub use tree::count;

/// A descriptor table that tasks may share.
pub type Files = Arc<SpinLock<FdTable>>;
/// A working directory, root and umask that tasks may share.
pub type Fs = Arc<SpinLock<FsContext>>;

/// The parts of a context that a task refers to. They go one by one when the
/// task exits.
pub(super) struct Context {
    pub mm: Option<Arc<Mm>>,
    pub files: Option<Files>,
    pub fs: Option<Fs>,
    pub sighand: Arc<SigHand>,
    pub credentials: Arc<Credentials>,
    pub namespaces: Arc<Namespaces>,
    pub io: Arc<IoContext>,
    /// What is taken back when the last task that shares it ends.
    pub undo: Option<Arc<UndoList>>,
}

/// A context of execution.
pub struct Task {
    _counted: Counted,
    /// The PID; exec by a task that is not its group's leader changes it.
    pid: SpinLock<Arc<Pid>>,
    group: Arc<Group>,
    context: SpinLock<Context>,
    /// What has been sent to this task, and what it blocks.
    pub signals: SpinLock<TaskSignals>,
    /// Cleared, with a futex wake-up, when the task leaves its memory.
    clear_tid: AtomicU64,
    /// The head of the list of locks that it holds.
    robust_list: AtomicU64,
    /// Where it is told on which CPU it runs, if it asked for that.
    rseq: SpinLock<Option<rseq::Registration>>,
    /// Who traces it, and what that one wants to know.
    trace: ptrace::Trace,
    /// Who waits until this task leaves its memory.
    vfork: SpinLock<Option<Arc<parts::vfork::Vfork>>>,
    comm: SpinLock<[u8; COMM_LEN]>,
    /// Non-zero for a kernel thread.
    kernel: AtomicU32,
    /// What it is sent when its parent's task ends; 0 is nothing.
    parent_death_signal: AtomicU32,
    /// It became the task of a user who has too many.
    over_limit: AtomicBool,
    /// Who it is to files for the length of one call, if not itself.
    acting: SpinLock<Option<Arc<Credentials>>>,
    /// When it was made.
    started: Time,
    stack_top: u64,
    /// What the scheduler keeps of it.
    account: Arc<Account>,
}

/// Bytes of a task's name, with its NUL.
pub const COMM_LEN: usize = 16;

/// The running task.
#[must_use]
pub fn current() -> Arc<Task> {
    let task = percpu::payload().cast::<Task>();
    debug_assert!(!task.is_null());
    // SAFETY: the scheduler's payload holds a reference for as long as the
    // task can run, and it runs.
    unsafe {
        Arc::increment_strong_count(task);
        Arc::from_raw(task)
    }
}

impl Task {
    /// Its PID.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.pid.lock().id()
    }

    /// Its numbers.
    #[must_use]
    pub fn pid(&self) -> Arc<Pid> {
        self.pid.lock().clone()
    }

    /// Its number as `viewer` sees it; 0 if it does not see it.
    #[must_use]
    pub fn number_for(&self, viewer: &Task) -> u32 {
        self.pid().number_in(viewer.pid().namespace())
    }

    /// Its group's number as `viewer` sees it; 0 if it does not see it.
    #[must_use]
    pub fn group_number_for(&self, viewer: &Task) -> u32 {
        self.group.pid().number_in(viewer.pid().namespace())
    }

    /// What it shares with CLONE_IO.
    #[must_use]
    pub fn io(&self) -> Arc<IoContext> {
        self.context.lock().io.clone()
    }

    /// Its thread group's number.
    #[must_use]
    pub fn tgid(&self) -> TaskId {
        self.group.id()
    }

    /// Its thread group.
    #[must_use]
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// True if its PID is its group's number.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.id() == self.tgid()
    }

    /// Its process group.
    #[must_use]
    pub fn process_group(&self) -> i32 {
        self.group.process_group() as i32
    }

    /// What the scheduler keeps of it.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Its class, priority and nice value.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        self.account.attributes()
    }

    /// Its address space; kernel threads have none.
    #[must_use]
    pub fn mm(&self) -> Option<Arc<Mm>> {
        self.context.lock().mm.clone()
    }

    /// Its descriptor table.
    ///
    /// # Panics
    /// If it has exited: only a task itself and its creator ask.
    #[must_use]
    pub fn files(&self) -> Files {
        let context = self.context.lock();
        context.files.clone().expect("a task that runs has files")
    }

    /// What one of its descriptors stands for.
    ///
    /// # Errors
    /// `EBADF` if it stands for nothing, `ESRCH` if the task has ended.
    pub fn open_file(&self, fd: i32) -> Result<Arc<File>> {
        let files = self.context.lock().files.clone();
        files.ok_or(Errno::ESRCH)?.lock().get(fd)
    }

    /// Its working directory, root and umask.
    ///
    /// # Panics
    /// As [`Task::files`].
    #[must_use]
    pub fn fs(&self) -> Fs {
        let context = self.context.lock();
        context
            .fs
            .clone()
            .expect("a task that runs has a directory")
    }

    /// Its descriptor table, unless it has exited.
    #[must_use]
    pub fn open_files(&self) -> Option<Files> {
        self.context.lock().files.clone()
    }

    /// Its working directory, root and umask, unless it has exited.
    #[must_use]
    pub fn folder(&self) -> Option<Fs> {
        self.context.lock().fs.clone()
    }

    /// When it was made.
    #[must_use]
    pub fn started(&self) -> Time {
        self.started
    }

    /// Its table of handlers.
    #[must_use]
    pub fn sighand(&self) -> Arc<SigHand> {
        self.context.lock().sighand.clone()
    }

    /// Who it is.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        self.context.lock().credentials.clone()
    }

    /// Who it is to files: itself, or for the length of one call another.
    #[must_use]
    pub fn acting_credentials(&self) -> Arc<Credentials> {
        let acting = self.acting.lock().clone();
        acting.unwrap_or_else(|| self.credentials())
    }

    /// Does something by its real ids, as access(2) asks.
    ///
    /// # Errors
    /// `ENOMEM`, or what `work` gives.
    pub fn by_real_ids<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        frame::room()?;
        let real = Arc::new(self.credentials().real());
        *self.acting.lock() = Some(real);
        let result = work();
        let real = self.acting.lock().take();
        drop(real);
        result
    }

    /// Makes it somebody else. Only a task itself does this.
    ///
    /// # Errors
    /// `ENOMEM`; it is who it was.
    pub fn set_credentials(&self, new: Credentials) -> Result<()> {
        frame::room()?;
        let old = self.credentials();
        if let Some(mm) = self.mm()
            && new.is_dearer_than(&old)
        {
            mm.set_dumpable(0);
            self.set_parent_death_signal(0);
        }
        if new.uid != old.uid {
            task_limit::user_changes(self, new.uid);
        }
        let new = Arc::new(new);
        if crate::mutant!("credentials-of-the-group") {
            for member in TREE.lock().members(self.tgid().0) {
                member.context.lock().credentials = new.clone();
            }
        }
        let replaced = core::mem::replace(&mut self.context.lock().credentials, new);
        drop(replaced);
        Ok(())
    }

    /// True if it became the task of a user who has too many.
    #[must_use]
    pub(super) fn is_over_limit(&self) -> bool {
        self.over_limit.load(Ordering::Relaxed)
    }

    pub(super) fn set_over_limit(&self, over: bool) {
        self.over_limit.store(over, Ordering::Relaxed);
    }

    /// Its namespaces.
    #[must_use]
    pub fn namespaces(&self) -> Arc<Namespaces> {
        self.context.lock().namespaces.clone()
    }

    /// Gives it other namespaces.
    pub fn set_namespaces(&self, new: Arc<Namespaces>) {
        let replaced = core::mem::replace(&mut self.context.lock().namespaces, new);
        drop(replaced);
    }

    /// What it is sent when its parent's task ends; 0 is nothing.
    #[must_use]
    pub fn parent_death_signal(&self) -> u32 {
        self.parent_death_signal.load(Ordering::Relaxed)
    }

    /// Sets what it is sent when its parent's task ends.
    pub fn set_parent_death_signal(&self, signal: u32) {
        self.parent_death_signal.store(signal, Ordering::Relaxed);
    }

    /// May it set the real-time clock?
    #[must_use]
    pub fn may_set_time(&self) -> bool {
        self.credentials().capable(Cap::SysTime)
    }

    /// May it ask for more of the CPU than its limits say, for anybody?
    #[must_use]
    pub fn may_schedule(&self) -> bool {
        self.credentials().capable(Cap::SysNice)
    }

    /// How many descriptors it may have.
    #[must_use]
    pub fn descriptor_limit(&self) -> usize {
        let (soft, _) = self.group.limit(group::LIMIT_NOFILE);
        usize::try_from(soft).unwrap_or(usize::MAX)
    }

    /// True for a task that never runs in user mode.
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        self.kernel.load(Ordering::Relaxed) != 0
    }

    /// The top of its kernel stack.
    #[must_use]
    pub fn stack_top(&self) -> u64 {
        self.stack_top
    }

    /// Who traces it, and how.
    #[must_use]
    pub fn trace(&self) -> &ptrace::Trace {
        &self.trace
    }

    /// Sets the address that is cleared at the task's end.
    pub fn set_clear_tid(&self, address: u64) {
        self.clear_tid.store(address, Ordering::Relaxed);
    }

    /// Sets the head of the list of locks that it holds.
    pub fn set_robust_list(&self, head: u64) {
        self.robust_list.store(head, Ordering::Relaxed);
    }

    /// The head of the list of locks that it holds.
    #[must_use]
    pub fn robust_list(&self) -> u64 {
        self.robust_list.load(Ordering::Relaxed)
    }

    /// Its name.
    #[must_use]
    pub fn comm(&self) -> [u8; COMM_LEN] {
        *self.comm.lock()
    }

    /// Gives it a name, cut to what fits.
    pub fn set_comm(&self, name: &[u8]) {
        let len = name.len().min(COMM_LEN - 1);
        let mut comm = [0; COMM_LEN];
        comm[..len].copy_from_slice(&name[..len]);
        *self.comm.lock() = comm;
    }
}

/// The task that the running one knows by this number.
#[must_use]
pub fn find(number: u32) -> Option<Arc<Task>> {
    let global = pid_namespace::own().find(number)?;
    TREE.lock().task(global)
}

/// Tells the rooms below what they may ask of this one.
pub fn init() {
    crate::mm::user::CURRENT.set(|| current().mm());
}
