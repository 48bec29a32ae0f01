//! The system-call instruction, and typed wrappers for the calls that need no
//! room of their own.

use core::arch::asm;
use core::ffi::{CStr, c_void};

use linux_raw_sys::general::{
    __NR_chdir, __NR_close, __NR_dup, __NR_dup2, __NR_fcntl, __NR_getcwd, __NR_getpid,
    __NR_getppid, __NR_gettid, __NR_ioctl, __NR_lseek, __NR_nanosleep, __NR_openat, __NR_pipe2,
    __NR_poll, __NR_read, __NR_sched_yield, __NR_write, __kernel_timespec, AT_FDCWD, F_GETFD,
    F_SETFD, pollfd,
};
use linux_raw_sys::ioctl::{TCGETS, TCSETS};

use crate::errno::{Errno, Result};

pub use linux_raw_sys::general::{
    O_APPEND, O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, POLLERR, POLLHUP, POLLIN,
    SEEK_CUR, SEEK_END, SEEK_SET, termios,
};

/// A descriptor.
pub type Fd = i32;

/// Standard input.
pub const STDIN: Fd = 0;
/// Standard output.
pub const STDOUT: Fd = 1;
/// Standard error.
pub const STDERR: Fd = 2;

/// A system call with up to six arguments; unused ones are zero.
///
/// # Errors
/// What the kernel answers between -4095 and -1.
///
/// # Safety
/// The call does to this task's memory and flow what it is documented to do;
/// the caller answers for the pointers among the arguments.
pub unsafe fn call(nr: u32, args: [usize; 6]) -> Result<usize> {
    let ret: isize;
    // SAFETY: the kernel clobbers rax, rcx and r11; the rest is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr as isize => ret,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
        );
    }
    check(ret)
}

/// Tells a result from an error number.
pub(crate) fn check(ret: isize) -> Result<usize> {
    if (-4095..0).contains(&ret) {
        Err(Errno(ret.unsigned_abs() as u32))
    } else {
        Ok(ret as usize)
    }
}

/// A call whose arguments are all numbers.
fn plain(nr: u32, a: usize, b: usize, c: usize) -> Result<usize> {
    // SAFETY: callers pass calls that read and write no memory of ours.
    unsafe { call(nr, [a, b, c, 0, 0, 0]) }
}

/// A descriptor as an argument.
fn arg(fd: Fd) -> usize {
    fd as isize as usize
}

/// `write`: how many bytes were taken.
///
/// # Errors
/// As write(2).
pub fn write(fd: Fd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the kernel reads the slice and no more.
    unsafe {
        call(
            __NR_write,
            [arg(fd), bytes.as_ptr() as usize, bytes.len(), 0, 0, 0],
        )
    }
}

/// Writes all of it, however many calls that takes.
///
/// # Errors
/// As write(2).
pub fn write_all(fd: Fd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let n = write(fd, bytes)?;
        bytes = bytes.get(n..).unwrap_or_default();
    }
    Ok(())
}

/// `read`: how many bytes came; 0 is the end.
///
/// # Errors
/// As read(2).
pub fn read(fd: Fd, bytes: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes into the slice and no more.
    unsafe {
        call(
            __NR_read,
            [arg(fd), bytes.as_mut_ptr() as usize, bytes.len(), 0, 0, 0],
        )
    }
}

/// `read` and `write` with an address that nobody vouches for: for programs
/// that show what a bad pointer does.
///
/// # Errors
/// As write(2): EFAULT.
pub fn write_from_address(fd: Fd, address: usize, len: usize) -> Result<usize> {
    // SAFETY: the kernel only reads, and checks the address.
    unsafe { call(__NR_write, [arg(fd), address, len, 0, 0, 0]) }
}

/// `openat` from the working directory.
///
/// # Errors
/// As open(2).
pub fn open(path: &CStr, flags: u32, mode: u32) -> Result<Fd> {
    let at = AT_FDCWD as isize as usize;
    // SAFETY: the path ends with NUL.
    let fd = unsafe {
        call(
            __NR_openat,
            [
                at,
                path.as_ptr() as usize,
                flags as usize,
                mode as usize,
                0,
                0,
            ],
        )
    }?;
    Ok(fd as Fd)
}

/// `close`.
///
/// # Errors
/// As close(2).
pub fn close(fd: Fd) -> Result<()> {
    plain(__NR_close, arg(fd), 0, 0).map(drop)
}

/// `dup`.
///
/// # Errors
/// As dup(2).
pub fn dup(fd: Fd) -> Result<Fd> {
    plain(__NR_dup, arg(fd), 0, 0).map(|fd| fd as Fd)
}

/// `dup2`.
///
/// # Errors
/// As dup2(2).
pub fn dup2(from: Fd, to: Fd) -> Result<Fd> {
    plain(__NR_dup2, arg(from), arg(to), 0).map(|fd| fd as Fd)
}

/// `fcntl(F_GETFD)`: the descriptor's own flags; an error if there is no such descriptor.
///
/// # Errors
/// As fcntl(2).
pub fn descriptor_flags(fd: Fd) -> Result<usize> {
    plain(__NR_fcntl, arg(fd), F_GETFD as usize, 0)
}

/// `fcntl(F_SETFD)`.
///
/// # Errors
/// As fcntl(2).
pub fn set_descriptor_flags(fd: Fd, flags: u32) -> Result<()> {
    plain(__NR_fcntl, arg(fd), F_SETFD as usize, flags as usize).map(drop)
}

/// `pipe2`: the reading and the writing end.
///
/// # Errors
/// As pipe2(2).
pub fn pipe(flags: u32) -> Result<(Fd, Fd)> {
    let mut ends: [Fd; 2] = [0; 2];
    // SAFETY: the kernel writes two descriptors.
    unsafe {
        call(
            __NR_pipe2,
            [ends.as_mut_ptr() as usize, flags as usize, 0, 0, 0, 0],
        )
    }?;
    Ok((ends[0], ends[1]))
}

/// `lseek`.
///
/// # Errors
/// As lseek(2).
pub fn seek(fd: Fd, offset: i64, whence: u32) -> Result<u64> {
    plain(__NR_lseek, arg(fd), offset as usize, whence as usize).map(|at| at as u64)
}

/// `poll`; a negative timeout waits for ever.
///
/// # Errors
/// As poll(2).
pub fn poll(fds: &mut [pollfd], timeout_ms: i32) -> Result<usize> {
    // SAFETY: the kernel reads and writes the slice and no more.
    unsafe {
        call(
            __NR_poll,
            [
                fds.as_mut_ptr() as usize,
                fds.len(),
                timeout_ms as isize as usize,
                0,
                0,
                0,
            ],
        )
    }
}

/// What [`poll`] shall wait for on one descriptor.
#[must_use]
pub fn poll_entry(fd: Fd, events: u32) -> pollfd {
    pollfd {
        fd,
        events: events as i16,
        revents: 0,
    }
}

/// `ioctl(TCGETS)`: how the terminal is set.
///
/// # Errors
/// ENOTTY if it is none.
pub fn terminal(fd: Fd) -> Result<termios> {
    let mut settings = termios {
        c_iflag: 0,
        c_oflag: 0,
        c_cflag: 0,
        c_lflag: 0,
        c_line: 0,
        c_cc: [0; 19],
    };
    // SAFETY: the kernel writes one termios.
    unsafe {
        call(
            __NR_ioctl,
            [
                arg(fd),
                TCGETS as usize,
                &raw mut settings as usize,
                0,
                0,
                0,
            ],
        )
    }?;
    Ok(settings)
}

/// `ioctl(TCSETS)`.
///
/// # Errors
/// ENOTTY if it is none.
pub fn set_terminal(fd: Fd, settings: &termios) -> Result<()> {
    let at: *const termios = settings;
    // SAFETY: the kernel reads one termios.
    unsafe { call(__NR_ioctl, [arg(fd), TCSETS as usize, at as usize, 0, 0, 0]) }.map(drop)
}

/// `chdir`.
///
/// # Errors
/// As chdir(2).
pub fn chdir(path: &CStr) -> Result<()> {
    // SAFETY: the path ends with NUL.
    unsafe { call(__NR_chdir, [path.as_ptr() as usize, 0, 0, 0, 0, 0]) }.map(drop)
}

/// `getcwd`: the working directory, in the buffer given.
///
/// # Errors
/// As getcwd(2).
pub fn getcwd(buffer: &mut [u8]) -> Result<&str> {
    // SAFETY: the kernel writes into the slice and no more.
    let len = unsafe {
        call(
            __NR_getcwd,
            [buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0, 0],
        )
    }?;
    let bytes = buffer.get(..len.saturating_sub(1)).unwrap_or_default();
    core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)
}

/// `getpid`: the thread group's id.
#[must_use]
pub fn getpid() -> i32 {
    plain(__NR_getpid, 0, 0, 0).map_or(-1, |pid| pid as i32)
}

/// `gettid`: the task's own id.
#[must_use]
pub fn gettid() -> i32 {
    plain(__NR_gettid, 0, 0, 0).map_or(-1, |pid| pid as i32)
}

/// `getppid`: the parent's thread group's id.
#[must_use]
pub fn getppid() -> i32 {
    plain(__NR_getppid, 0, 0, 0).map_or(-1, |pid| pid as i32)
}

/// `sched_yield`.
pub fn sched_yield() {
    // It cannot fail.
    let _ = plain(__NR_sched_yield, 0, 0, 0);
}

/// `nanosleep`, without what was left.
///
/// # Errors
/// EINTR if a handler ran meanwhile.
pub fn sleep_ms(ms: i64) -> Result<()> {
    let time = __kernel_timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    };
    let none: *mut c_void = core::ptr::null_mut();
    // SAFETY: the kernel reads one timespec.
    unsafe {
        call(
            __NR_nanosleep,
            [&raw const time as usize, none as usize, 0, 0, 0, 0],
        )
    }
    .map(drop)
}
