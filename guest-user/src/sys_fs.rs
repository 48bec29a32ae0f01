//! Calls on files and mounts, for programs that show what they do.

use core::ffi::CStr;
use core::fmt;

use linux_raw_sys::errno as numbers;
use linux_raw_sys::general as nr;

use crate::errno::{Errno, Result};
use crate::println;
use crate::sys::{Fd, call};

/// A call whose first argument is a path and whose others are numbers.
///
/// # Errors
/// The call's.
pub fn on_path(nr: u32, path: &CStr, rest: [usize; 3]) -> Result<usize> {
    let [a, b, c] = rest;
    // SAFETY: the path ends with NUL; the numbers are no addresses of ours.
    unsafe { call(nr, [path.as_ptr() as usize, a, b, c, 0, 0]) }
}

/// A call with two paths.
///
/// # Errors
/// The call's.
pub fn on_paths(nr: u32, first: &CStr, second: &CStr) -> Result<usize> {
    // SAFETY: the paths end with NUL.
    unsafe {
        call(
            nr,
            [
                first.as_ptr() as usize,
                second.as_ptr() as usize,
                0,
                0,
                0,
                0,
            ],
        )
    }
}

/// A call whose arguments are numbers, the first of them a descriptor.
///
/// # Errors
/// The call's.
pub fn on_fd(nr: u32, fd: Fd, rest: [usize; 4]) -> Result<usize> {
    let [a, b, c, d] = rest;
    // SAFETY: callers pass calls that read and write no memory of ours.
    unsafe { call(nr, [fd as isize as usize, a, b, c, d, 0]) }
}

/// `mount`, without options.
///
/// # Errors
/// As mount(2).
pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u32) -> Result<()> {
    // SAFETY: the strings end with NUL.
    unsafe {
        call(
            nr::__NR_mount,
            [
                source.as_ptr() as usize,
                target.as_ptr() as usize,
                kind.as_ptr() as usize,
                flags as usize,
                0,
                0,
            ],
        )
    }
    .map(drop)
}

/// `umount2`.
///
/// # Errors
/// As umount(2).
pub fn umount(target: &CStr, flags: u32) -> Result<()> {
    on_path(nr::__NR_umount2, target, [flags as usize, 0, 0]).map(drop)
}

/// `mkdir`.
///
/// # Errors
/// As mkdir(2).
pub fn mkdir(path: &CStr, mode: u32) -> Result<()> {
    on_path(nr::__NR_mkdir, path, [mode as usize, 0, 0]).map(drop)
}

/// `rmdir`.
///
/// # Errors
/// As rmdir(2).
pub fn rmdir(path: &CStr) -> Result<()> {
    on_path(nr::__NR_rmdir, path, [0; 3]).map(drop)
}

/// `unlink`.
///
/// # Errors
/// As unlink(2).
pub fn unlink(path: &CStr) -> Result<()> {
    on_path(nr::__NR_unlink, path, [0; 3]).map(drop)
}

/// `access`.
///
/// # Errors
/// As access(2).
pub fn access(path: &CStr, mode: u32) -> Result<()> {
    on_path(nr::__NR_access, path, [mode as usize, 0, 0]).map(drop)
}

/// `rename`.
///
/// # Errors
/// As rename(2).
pub fn rename(old: &CStr, new: &CStr) -> Result<()> {
    on_paths(nr::__NR_rename, old, new).map(drop)
}

/// `link`.
///
/// # Errors
/// As link(2).
pub fn link(old: &CStr, new: &CStr) -> Result<()> {
    on_paths(nr::__NR_link, old, new).map(drop)
}

/// `symlink`.
///
/// # Errors
/// As symlink(2).
pub fn symlink(target: &CStr, path: &CStr) -> Result<()> {
    on_paths(nr::__NR_symlink, target, path).map(drop)
}

/// `readlink`, in the buffer given.
///
/// # Errors
/// As readlink(2).
pub fn readlink<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a str> {
    // SAFETY: the kernel writes into the slice and no more.
    let len = unsafe {
        call(
            nr::__NR_readlink,
            [
                path.as_ptr() as usize,
                buffer.as_mut_ptr() as usize,
                buffer.len(),
                0,
                0,
                0,
            ],
        )
    }?;
    let bytes = buffer.get(..len).unwrap_or_default();
    core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)
}

/// An empty `struct stat`.
fn no_stat() -> nr::stat {
    // SAFETY: every field is a number.
    unsafe { core::mem::zeroed() }
}

/// `lstat`.
///
/// # Errors
/// As stat(2).
pub fn lstat(path: &CStr) -> Result<nr::stat> {
    let mut value = no_stat();
    // SAFETY: the kernel writes one stat.
    unsafe {
        call(
            nr::__NR_lstat,
            [path.as_ptr() as usize, &raw mut value as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(value)
}

/// `fstat`.
///
/// # Errors
/// As stat(2).
pub fn fstat(fd: Fd) -> Result<nr::stat> {
    let mut value = no_stat();
    // SAFETY: the kernel writes one stat.
    unsafe {
        call(
            nr::__NR_fstat,
            [fd as isize as usize, &raw mut value as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(value)
}

/// An error's name, also where it is one that only files know.
struct Named(Errno);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0.0 {
            numbers::EXDEV => "EXDEV",
            numbers::ENODEV => "ENODEV",
            numbers::ENXIO => "ENXIO",
            numbers::ETXTBSY => "ETXTBSY",
            numbers::EMLINK => "EMLINK",
            numbers::EOVERFLOW => "EOVERFLOW",
            numbers::EOPNOTSUPP => "EOPNOTSUPP",
            _ => return self.0.fmt(f),
        };
        f.write_str(name)
    }
}

/// Prints what came of a call: `ok`, or the error's name.
pub fn show<T>(what: &str, result: Result<T>) {
    match result {
        Ok(_) => println!("{what}: ok"),
        Err(errno) => println!("{what}: {}", Named(errno)),
    }
}

/// Prints a call's result as a number, or the error's name.
pub fn show_number<T: core::fmt::Display>(what: &str, result: Result<T>) {
    match result {
        Ok(value) => println!("{what}: {value}"),
        Err(errno) => println!("{what}: {}", Named(errno)),
    }
}

/// `fcntl` with a `struct flock`: the range from `start` of `len` bytes. Gives
/// the kind of lock that the kernel wrote back.
///
/// # Errors
/// As fcntl(2).
pub fn range_lock(fd: Fd, command: u32, kind: u32, start: i64, len: i64) -> Result<u32> {
    let mut lock = nr::flock {
        l_type: kind as i16,
        l_whence: 0,
        l_start: start,
        l_len: len,
        l_pid: 0,
    };
    // SAFETY: the kernel reads and writes one flock.
    unsafe {
        call(
            nr::__NR_fcntl,
            [
                fd as isize as usize,
                command as usize,
                &raw mut lock as usize,
                0,
                0,
                0,
            ],
        )
    }?;
    Ok(lock.l_type as u32)
}

/// `openat2`'s older relative: any flags, O_TMPFILE too.
///
/// # Errors
/// As open(2).
pub fn open_any(path: &CStr, flags: u32, mode: u32) -> Result<Fd> {
    on_path(nr::__NR_open, path, [flags as usize, mode as usize, 0]).map(|fd| fd as Fd)
}

/// `linkat` of a descriptor itself (AT_EMPTY_PATH).
///
/// # Errors
/// As linkat(2).
pub fn link_descriptor(fd: Fd, path: &CStr) -> Result<()> {
    // SAFETY: the paths end with NUL.
    unsafe {
        call(
            nr::__NR_linkat,
            [
                fd as isize as usize,
                c"".as_ptr() as usize,
                nr::AT_FDCWD as isize as usize,
                path.as_ptr() as usize,
                nr::AT_EMPTY_PATH as usize,
                0,
            ],
        )
    }
    .map(drop)
}

/// `renameat2` from the working directory.
///
/// # Errors
/// As rename(2).
pub fn rename_with(old: &CStr, new: &CStr, flags: u32) -> Result<()> {
    let here = nr::AT_FDCWD as isize as usize;
    // SAFETY: the paths end with NUL.
    unsafe {
        call(
            nr::__NR_renameat2,
            [
                here,
                old.as_ptr() as usize,
                here,
                new.as_ptr() as usize,
                flags as usize,
                0,
            ],
        )
    }
    .map(drop)
}

/// `utimensat` from the working directory: seconds and nanoseconds of the last
/// reading and writing.
///
/// # Errors
/// As utimensat(2).
pub fn set_dates(path: &CStr, dates: [[i64; 2]; 2]) -> Result<()> {
    let at: *const [[i64; 2]; 2] = &dates;
    // SAFETY: the kernel reads two timespecs.
    unsafe {
        call(
            nr::__NR_utimensat,
            [
                nr::AT_FDCWD as isize as usize,
                path.as_ptr() as usize,
                at as usize,
                0,
                0,
                0,
            ],
        )
    }
    .map(drop)
}

/// A call that moves bytes between descriptors and goes on at an offset of the
/// caller's: `sendfile`.
///
/// # Errors
/// As sendfile(2).
pub fn sendfile(out: Fd, from: Fd, offset: Option<&mut u64>, count: usize) -> Result<usize> {
    let offset = offset.map_or(core::ptr::null_mut(), |at| &raw mut *at);
    // SAFETY: the kernel reads and writes the offset, if there is one.
    unsafe {
        call(
            nr::__NR_sendfile,
            [
                out as isize as usize,
                from as isize as usize,
                offset as usize,
                count,
                0,
                0,
            ],
        )
    }
}

/// `select` on descriptors below 64: the sets that it leaves.
///
/// # Errors
/// As select(2).
pub fn select(read: u64, write: u64, micros: i64) -> Result<(usize, u64, u64)> {
    let mut sets = [read, write];
    let mut timeout = [micros / 1_000_000, micros % 1_000_000];
    let [read, write] = &mut sets;
    // SAFETY: the kernel reads and writes the two words and the time.
    let count = unsafe {
        call(
            nr::__NR_select,
            [
                64,
                &raw mut *read as usize,
                &raw mut *write as usize,
                0,
                timeout.as_mut_ptr() as usize,
                0,
            ],
        )
    }?;
    Ok((count, sets[0], sets[1]))
}

/// `statfs`.
///
/// # Errors
/// As statfs(2).
pub fn statfs(path: &CStr) -> Result<nr::statfs> {
    // SAFETY: every field is a number.
    let mut value: nr::statfs = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel writes one statfs.
    unsafe {
        call(
            nr::__NR_statfs,
            [path.as_ptr() as usize, &raw mut value as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(value)
}
