//! Calls about tasks' numbers: clone3 in full, waitid, process groups and
//! sessions, descriptors for tasks, namespaces.

use linux_raw_sys::general::{
    __NR_clone3, __NR_getpgid, __NR_getsid, __NR_ioprio_get, __NR_ioprio_set, __NR_kill,
    __NR_pidfd_getfd, __NR_pidfd_open, __NR_pidfd_send_signal, __NR_prctl, __NR_readlink,
    __NR_setns, __NR_setpgid, __NR_setsid, __NR_tgkill, __NR_tkill, __NR_unshare, __NR_wait4,
    __NR_waitid, clone_args,
};

use crate::errno::Result;
use crate::sys::{Fd, call};
use crate::task::Status;

pub use linux_raw_sys::general::{
    __WNOTHREAD, CLONE_CLEAR_SIGHAND, CLONE_IO, CLONE_NEWCGROUP, CLONE_NEWPID, CLONE_PIDFD, P_ALL,
    P_PGID, P_PID, P_PIDFD, WCONTINUED, WEXITED, WNOWAIT, WSTOPPED, WUNTRACED,
};
pub use linux_raw_sys::prctl::PR_SET_CHILD_SUBREAPER;

/// `pidfd_open`: one task, not a thread group.
pub const PIDFD_THREAD: u32 = linux_raw_sys::general::O_EXCL;
/// `pidfd_open`: waitid does not wait.
pub const PIDFD_NONBLOCK: u32 = linux_raw_sys::general::O_NONBLOCK;

/// A call whose arguments are all numbers.
fn plain(nr: u32, args: [i64; 4]) -> Result<usize> {
    let [a, b, c, d] = args.map(|arg| arg as usize);
    // SAFETY: callers pass calls that read and write no memory of ours.
    unsafe { call(nr, [a, b, c, d, 0, 0]) }
}

/// `clone3` with everything that it takes, but without a memory of its own for
/// the child to share: 0 in the child.
///
/// # Errors
/// As clone3(2).
///
/// # Safety
/// With CLONE_VM the child needs a stack and CLONE_VFORK, or must not run.
pub unsafe fn clone3(args: &clone_args) -> Result<i32> {
    let size = size_of::<clone_args>();
    let at: *const clone_args = args;
    // SAFETY: the kernel reads `size` bytes; the rest is the caller's promise.
    unsafe { call(__NR_clone3, [at as usize, size, 0, 0, 0, 0]) }.map(|pid| pid as i32)
}

/// All that `clone3` takes, with nothing set.
#[must_use]
pub fn clone_args() -> clone_args {
    // SAFETY: all fields are numbers, for which zero is "not given".
    unsafe { core::mem::zeroed() }
}

/// `clone3` that asks for these numbers, the child's own namespace's first.
///
/// # Errors
/// As clone3(2).
pub fn clone_with_numbers(flags: u32, numbers: &[u32]) -> Result<i32> {
    let mut args = clone_args();
    args.flags = u64::from(flags);
    args.exit_signal = u64::from(crate::signal::SIGCHLD);
    args.set_tid = numbers.as_ptr() as u64;
    args.set_tid_size = numbers.len() as u64;
    // SAFETY: the child has its own copy of this memory.
    unsafe { clone3(&args) }
}

/// `clone` like fork, with further flags, and a descriptor for the child in
/// the parent: 0 in the child.
///
/// # Errors
/// As clone3(2).
pub fn fork_with_pidfd(flags: u32) -> Result<(i32, Fd)> {
    let mut fd: Fd = -1;
    let mut args = clone_args();
    args.flags = u64::from(flags | CLONE_PIDFD);
    args.exit_signal = u64::from(crate::signal::SIGCHLD);
    args.pidfd = &raw mut fd as u64;
    // SAFETY: the child has its own copy of this memory.
    let pid = unsafe { clone3(&args) }?;
    // SAFETY: the kernel wrote it; the compiler cannot see that.
    Ok((pid, unsafe { (&raw const fd).read_volatile() }))
}

/// What `waitid` tells of a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `si_signo`: 0 if there was nothing to tell.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_pid`.
    pub pid: i32,
    /// `si_status`.
    pub status: i32,
}

/// `waitid`.
///
/// # Errors
/// As waitid(2).
pub fn waitid(kind: u32, id: i32, options: u32) -> Result<Told> {
    let mut info = [0_i32; 32];
    let args = [
        kind as usize,
        id as isize as usize,
        info.as_mut_ptr() as usize,
        options as usize,
        0,
        0,
    ];
    // SAFETY: the kernel writes one siginfo_t of 128 bytes.
    unsafe { call(__NR_waitid, args) }?;
    Ok(Told {
        signal: info[0],
        code: info[2],
        pid: info[4],
        status: info[6],
    })
}

/// `wait4` by process group or number, as the kernel takes it.
///
/// # Errors
/// As wait4(2).
pub fn wait_for(pid: i32, options: u32) -> Result<(i32, Status)> {
    let mut status = 0;
    let args = [
        pid as isize as usize,
        &raw mut status as usize,
        options as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel writes one int.
    let pid = unsafe { call(__NR_wait4, args) }?;
    Ok((pid as i32, Status(status)))
}

/// `setpgid`.
///
/// # Errors
/// As setpgid(2).
pub fn setpgid(pid: i32, group: i32) -> Result<()> {
    plain(__NR_setpgid, [pid.into(), group.into(), 0, 0]).map(drop)
}

/// `getpgid`.
///
/// # Errors
/// As getpgid(2).
pub fn getpgid(pid: i32) -> Result<i32> {
    plain(__NR_getpgid, [pid.into(), 0, 0, 0]).map(|group| group as i32)
}

/// `setsid`.
///
/// # Errors
/// As setsid(2).
pub fn setsid() -> Result<i32> {
    plain(__NR_setsid, [0; 4]).map(|session| session as i32)
}

/// `getsid`.
///
/// # Errors
/// As getsid(2).
pub fn getsid(pid: i32) -> Result<i32> {
    plain(__NR_getsid, [pid.into(), 0, 0, 0]).map(|session| session as i32)
}

/// `kill` with anything for a signal.
///
/// # Errors
/// As kill(2).
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    plain(__NR_kill, [pid.into(), signal.into(), 0, 0]).map(drop)
}

/// `tkill`.
///
/// # Errors
/// As tkill(2).
pub fn tkill(tid: i32, signal: i32) -> Result<()> {
    plain(__NR_tkill, [tid.into(), signal.into(), 0, 0]).map(drop)
}

/// `tgkill` with anything for its arguments.
///
/// # Errors
/// As tgkill(2).
pub fn tgkill(tgid: i32, tid: i32, signal: i32) -> Result<()> {
    plain(__NR_tgkill, [tgid.into(), tid.into(), signal.into(), 0]).map(drop)
}

/// `pidfd_open`.
///
/// # Errors
/// As pidfd_open(2).
pub fn pidfd_open(pid: i32, flags: u32) -> Result<Fd> {
    plain(__NR_pidfd_open, [pid.into(), flags.into(), 0, 0]).map(|fd| fd as Fd)
}

/// `pidfd_send_signal` without a siginfo.
///
/// # Errors
/// As pidfd_send_signal(2).
pub fn pidfd_send_signal(fd: Fd, signal: i32, flags: u32) -> Result<()> {
    let args = [fd.into(), signal.into(), 0, flags.into()];
    plain(__NR_pidfd_send_signal, args).map(drop)
}

/// `pidfd_getfd`.
///
/// # Errors
/// As pidfd_getfd(2).
pub fn pidfd_getfd(fd: Fd, theirs: Fd) -> Result<Fd> {
    plain(__NR_pidfd_getfd, [fd.into(), theirs.into(), 0, 0]).map(|fd| fd as Fd)
}

/// `prctl` with one number.
///
/// # Errors
/// As prctl(2).
pub fn prctl(option: u32, value: usize) -> Result<usize> {
    plain(__NR_prctl, [option.into(), value as i64, 0, 0])
}

/// `unshare`.
///
/// # Errors
/// As unshare(2).
pub fn unshare(flags: u32) -> Result<()> {
    plain(__NR_unshare, [flags.into(), 0, 0, 0]).map(drop)
}

/// `setns`.
///
/// # Errors
/// As setns(2).
pub fn setns(fd: Fd, flags: u32) -> Result<()> {
    plain(__NR_setns, [fd.into(), flags.into(), 0, 0]).map(drop)
}

/// `ioprio_set` for one task; 0 is the caller.
///
/// # Errors
/// As ioprio_set(2).
pub fn ioprio_set(pid: i32, priority: u32) -> Result<()> {
    plain(__NR_ioprio_set, [1, pid.into(), priority.into(), 0]).map(drop)
}

/// `ioprio_get` of one task; 0 is the caller.
///
/// # Errors
/// As ioprio_get(2).
pub fn ioprio_get(pid: i32) -> Result<u32> {
    plain(__NR_ioprio_get, [1, pid.into(), 0, 0]).map(|priority| priority as u32)
}

/// `readlink`: how much of the buffer it filled.
///
/// # Errors
/// As readlink(2).
pub fn readlink(path: &core::ffi::CStr, buffer: &mut [u8]) -> Result<usize> {
    let args = [
        path.as_ptr() as usize,
        buffer.as_mut_ptr() as usize,
        buffer.len(),
        0,
        0,
        0,
    ];
    // SAFETY: the path ends with NUL; the kernel writes into the buffer.
    unsafe { call(__NR_readlink, args) }
}

/// Holds a child back until its parent opens it.
pub struct Gate {
    output: Fd,
    input: Fd,
}

impl Gate {
    /// A closed gate. What is forked later holds it closed as well, until it
    /// goes through or drops it.
    ///
    /// # Errors
    /// As pipe2(2).
    pub fn new() -> Result<Self> {
        let (output, input) = crate::sys::pipe(crate::sys::O_CLOEXEC)?;
        Ok(Gate { output, input })
    }

    /// Waits until everybody else has opened it.
    pub fn pass(&self) {
        let _ = crate::sys::close(self.input);
        let _ = crate::sys::read(self.output, &mut [0; 1]);
    }

    /// Opens it, as far as this task keeps it closed.
    pub fn open(&self) {
        let _ = crate::sys::close(self.input);
        let _ = crate::sys::close(self.output);
    }
}

/// Says what came of a call: `fine`, or the error's name.
pub struct Came<T>(pub Result<T>);

impl<T> core::fmt::Display for Came<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.0 {
            Ok(_) => f.write_str("fine"),
            Err(errno) => write!(f, "{errno}"),
        }
    }
}
