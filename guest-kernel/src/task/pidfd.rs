//! Descriptors for tasks: a name that nobody else's task can get, to wait for
//! its end with poll and waitid and to send it signals.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};

use linux_raw_sys::general::{O_NONBLOCK, O_RDWR, POLLHUP, POLLIN, POLLRDNORM};

use super::credentials::Cap;
use super::pid::Pid;
use super::tree::TREE;
use super::{Task, pid_namespace};
use crate::errno::{Errno, Result};
use crate::fs::special::SpecialFile;
use crate::fs::{File, Inode};
use crate::mm::frame;
use crate::sched::WaitQueue;

/// `pidfd_open`: not to wait in waitid.
pub const PIDFD_NONBLOCK: u32 = O_NONBLOCK;
/// `pidfd_open`: one task, not a thread group.
pub const PIDFD_THREAD: u32 = linux_raw_sys::general::O_EXCL;

/// What is behind such a descriptor.
pub struct PidFd {
    /// It does not keep the numbers in use.
    pid: Weak<Pid>,
    /// It stands for one task, not for a group.
    single: bool,
    queue: Arc<WaitQueue>,
}

impl PidFd {
    /// A description for the task with these numbers.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn file(pid: &Arc<Pid>, flags: u32) -> Result<Arc<File>> {
        frame::room()?;
        let special = PidFd {
            pid: Arc::downgrade(pid),
            single: flags & PIDFD_THREAD != 0,
            queue: pid.watch(),
        };
        let inode = Inode::anonymous(Box::new(special), 0o600);
        Ok(File::new(
            inode,
            O_RDWR | flags & (O_NONBLOCK | PIDFD_THREAD),
        ))
    }

    /// What is behind a description, if it is one for a task.
    ///
    /// # Errors
    /// `EBADF` if it is not.
    pub fn of(file: &File) -> Result<&PidFd> {
        file.inode().special::<PidFd>().ok_or(Errno::EBADF)
    }

    /// True if it stands for one task and not for a thread group.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.single
    }

    /// The task, zombies included.
    ///
    /// # Errors
    /// `ESRCH` if it is gone.
    pub fn task(&self) -> Result<Arc<Task>> {
        let pid = self.pid.upgrade().ok_or(Errno::ESRCH)?;
        let task = TREE.lock().task(pid.id().0);
        task.ok_or(Errno::ESRCH)
    }

    /// Says that the task has ended, or is gone altogether.
    fn end(&self) -> u32 {
        let Ok(task) = self.task() else {
            return POLLIN | POLLRDNORM | POLLHUP;
        };
        let tree = TREE.lock();
        let node = tree.node(task.tgid().0);
        let zombie = node.is_some_and(|node| node.zombie.is_some());
        if zombie || crate::mutant!("pidfd-always-ready") {
            POLLIN | POLLRDNORM
        } else {
            0
        }
    }
}

impl SpecialFile for PidFd {
    fn label(&self) -> String {
        String::from("anon_inode:[pidfd]")
    }

    fn readiness(&self) -> u32 {
        self.end()
    }

    fn queue(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn fdinfo(&self) -> String {
        let viewer = pid_namespace::own();
        let Ok(task) = self.task() else {
            return String::from("Pid:\t-1\nNSpid:\t-1\n");
        };
        let pid = task.pid();
        let mut text = format!("Pid:\t{}\nNSpid:", pid.number_in(&viewer));
        if pid.number_in(&viewer) == 0 {
            text.push_str("\t0");
        } else {
            for number in pid.numbers_from(&viewer) {
                text.push_str(&format!("\t{number}"));
            }
        }
        text.push('\n');
        text
    }
}

/// Gives the caller a descriptor for a child in the making, and writes it
/// where it was asked for.
pub(super) fn install(parent: &Task, pid: &Arc<Pid>, single: bool, address: u64) -> Result<()> {
    let flags = if single { PIDFD_THREAD } else { 0 };
    let file = PidFd::file(pid, flags)?;
    let files = parent.files();
    let limit = parent.descriptor_limit();
    let fd = files.lock().insert(&file, 0, limit, true)?;
    let told = match parent.mm() {
        Some(mm) => mm.write_value(address, fd),
        None => Err(Errno::EFAULT),
    };
    if told.is_err() {
        let removed = files.lock().remove(fd);
        drop(removed);
    }
    told
}

/// Whether `me` may look into another task: take its descriptors, say.
#[must_use]
pub fn may_look_into(me: &Task, other: &Task) -> bool {
    if me.tgid() == other.tgid() {
        return true;
    }
    let (mine, its) = (me.credentials(), other.credentials());
    let same_user = [its.uid, its.euid, its.suid]
        .iter()
        .all(|&uid| uid == mine.uid);
    let same_group = [its.gid, its.egid, its.sgid]
        .iter()
        .all(|&gid| gid == mine.gid);
    let dumpable = other.mm().is_some_and(|mm| mm.dumpable() == 1);
    same_user && same_group && dumpable && its.permitted.is_within(mine.permitted)
        || mine.capable_in(&its.user, Cap::SysPtrace)
}
