//! `execve`: another program in the same task. What clone shared by flags
//! comes apart here where Linux says so: memory, descriptors, handlers.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::event::SchedProcessExec;
use linux_raw_sys::general::{MS_NOEXEC, MS_NOSUID, SIGCHLD};

use super::credentials::Credentials;
use super::credentials::program::Program;
use super::image::Strings;
use super::{Files, Task, current, elf, exit, image, rseq, timers, tree::TREE};
use crate::arch::fpu::FpuState;
use crate::arch::trap::TrapFrame;
use crate::errno::{Errno, Result};
use crate::fs::File;
use crate::fs::path::{self, LastLink};
use crate::fs::permission::{EXEC, permission};
use crate::mm::{Mm, frame};
use crate::probe;
use crate::sched;
use crate::sync::SpinLock;

/// Where the running task's paths begin.
fn start(task: &Task) -> path::Start {
    let fs = task.fs();
    let fs = fs.lock();
    path::Start {
        root: fs.root.clone(),
        base: fs.cwd.clone(),
    }
}

/// Finds a program file.
///
/// # Errors
/// Those of walking a path; `EACCES` if it may not be executed.
pub fn find(path: &[u8]) -> Result<Arc<File>> {
    let found = path::walk(&start(&current()), path, LastLink::Follow)?;
    let origin = found.origin();
    let place = found.existing()?;
    let mount_forbids = place.mount().flags() & MS_NOEXEC != 0;
    let mount_forbids = mount_forbids && !crate::mutant!("mount-flags-ignored");
    let inode = place.inode();
    if inode.regular().is_none() || mount_forbids {
        return Err(Errno::EACCES);
    }
    permission(inode, EXEC)?;
    File::open_program(place, origin)
}

/// Runs another program in the running task; gives the registers with which
/// it starts.
///
/// # Errors
/// Those of [`find`]; `ENOEXEC`, `E2BIG`, `ENOMEM`. The task is what it was.
pub fn exec(
    filename: &[u8],
    file: Arc<File>,
    args: &[Vec<u8>],
    env: &[Vec<u8>],
) -> Result<TrapFrame> {
    let task = current();
    let mm = Mm::new()?;
    super::task_limit::may_exec(&task)?;
    let (credentials, secure) = task.credentials().for_program(&Program {
        mode: file.inode().mode(),
        owner: file.inode().owner(),
        set_ids: file.place().mount().flags() & MS_NOSUID == 0 || crate::mutant!("nosuid-ignored"),
        exposed: shares_folder(&task) || task.trace().takes_rights(&task),
    });
    let program = elf::load(&mm, &file)?;
    let strings = Strings {
        filename,
        args,
        env,
    };
    let stack = image::build(&mm, &program, &strings, &credentials, secure)?;
    let files = own_files(&task)?;
    frame::room()?;
    let old_pid = task.id();
    be_alone(&task)?;
    become_user(&task, &mm, Arc::new(credentials), secure);
    commit(&task, mm, files);
    let name = filename.rsplit(|&byte| byte == b'/').next();
    task.set_comm(name.unwrap_or(filename));
    let text = core::str::from_utf8(filename).unwrap_or("?");
    probe::emit(&SchedProcessExec {
        task: task.id().into(),
        old_pid: old_pid.into(),
        filename: text.into(),
    });
    Ok(TrapFrame::user(program.entry, stack))
}

/// The descriptor table that the new program gets: the task's own, or a copy
/// if others share it.
fn own_files(task: &Task) -> Result<Files> {
    let files = task.files();
    // One reference is the task's, one this function's.
    if Arc::strong_count(&files) <= 2 || crate::mutant!("exec-shares-descriptors") {
        return Ok(files);
    }
    let copy = files.lock().copy()?;
    Ok(Arc::new(SpinLock::new(copy)))
}

/// Ends the group's other tasks; the caller gets the group's number.
///
/// # Errors
/// `EAGAIN` if the group ends or another task got here first.
fn be_alone(task: &Arc<Task>) -> Result<()> {
    let group = task.group();
    {
        let mut ending = group.ending.lock();
        if ending.status.is_some() || ending.exec.is_some() {
            return Err(Errno::EAGAIN);
        }
        ending.exec = Some(task.id());
    }
    let tgid = task.tgid().0;
    for member in TREE.lock().members(tgid) {
        super::signal::recalculate(&member);
    }
    let alone = || {
        let tree = TREE.lock();
        let node = tree.node(tgid)?;
        (node.members.len() == 1).then_some(())
    };
    let waited = group.shrunk.wait_killable(alone);
    if waited.is_ok() && !task.is_leader() && !crate::mutant!("exec-keeps-number") {
        take_leaders_place(task);
    }
    group.ending.lock().exec = None;
    super::signal::recalculate(task);
    waited
}

fn take_leaders_place(task: &Arc<Task>) {
    let (old, tgid) = (task.id(), task.tgid());
    // A leader that has exited has left the CPU for good by now, except on its
    // very last steps: those are not preempted.
    let leader = TREE.lock().take_leaders_place(old.0, tgid.0);
    if let Some(leader) = &leader {
        core::mem::swap(&mut *leader.pid.lock(), &mut *task.pid.lock());
    }
    sched::rename(tgid);
}

/// True if a task outside the group shares the working directory.
fn shares_folder(task: &Task) -> bool {
    let fs = task.fs();
    if crate::mutant!("shared-folder-trusted") {
        return false;
    }
    let shares = |member: &Arc<Task>| {
        let context = member.context.lock();
        context.fs.as_ref().is_some_and(|own| Arc::ptr_eq(own, &fs))
    };
    let members = TREE.lock().members(task.tgid().0);
    let inside = members.iter().filter(|member| shares(member)).count();
    // One reference is this function's.
    Arc::strong_count(&fs) > inside + 1
}

/// Makes the task who the new program runs as. Its memory is nobody else's to
/// look into if that is not the user who started it.
fn become_user(task: &Task, mm: &Mm, new: Arc<Credentials>, secure: bool) {
    let changed = new.is_dearer_than(&task.credentials());
    if new.euid != new.uid || new.egid != new.gid || changed {
        mm.set_dumpable(0);
    }
    if secure || changed {
        task.set_parent_death_signal(0);
    }
    let old = core::mem::replace(&mut task.context.lock().credentials, new);
    drop(old);
}

/// The point of no return.
fn commit(task: &Arc<Task>, mm: Arc<Mm>, files: Files) {
    exit::leave_memory(task, Some(mm));
    let shared_files = {
        let mut context = task.context.lock();
        if crate::mutant!("exec-unshares-fs") {
            let own = context.fs.as_ref().map(|fs| fs.lock().clone());
            context.fs = own.map(|fs| Arc::new(SpinLock::new(fs)));
        }
        let shared = Arc::strong_count(&context.sighand) > 1;
        if shared && !crate::mutant!("exec-shares-handlers") {
            context.sighand = context.sighand.copy();
        }
        context.sighand.0.lock().exec();
        context.files.replace(files.clone())
    };
    drop(shared_files);
    if !crate::mutant!("exec-closes-nothing") {
        let closed = files.lock().take_close_on_exec();
        drop(closed);
    }
    if crate::mutant!("exec-clears-the-mask") {
        task.signals.lock().blocked = crate::signal::SigSet::default();
    }
    task.signals.lock().exec();
    timers::exec(task.group());
    rseq::forget(task);
    task.kernel.store(0, core::sync::atomic::Ordering::Relaxed);
    if let Some(node) = TREE.lock().node_mut(task.tgid().0) {
        node.exit_signal = SIGCHLD;
    }
    task.group().execed();
    sched::set_fpu(FpuState::new());
    sched::set_user_bases(0, 0);
}
