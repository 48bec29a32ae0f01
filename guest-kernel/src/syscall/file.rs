//! Descriptors: open, dup, pipe, fcntl.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_FDCWD, F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_GETLK, F_OFD_GETLK,
    F_OFD_SETLK, F_OFD_SETLKW, F_SETFD, F_SETFL, F_SETLK, F_SETLKW, FD_CLOEXEC, MS_NODEV,
    O_ACCMODE, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_LARGEFILE, O_NOFOLLOW, O_NONBLOCK,
    O_PATH, O_RDONLY, O_TRUNC, O_WRONLY,
};

use super::{Call, locks, names};
use crate::errno::{Errno, Result};
use crate::fs::inode::Kind;
use crate::fs::path::{self, Found, LastLink, PATH_MAX, Start};
use crate::fs::pipe::Pipe;
use crate::fs::regular::Regular;
use crate::fs::{FdTable, File, FsContext, Inode, Place, file, permission, pipe};
use crate::mm::{frame, user};
use crate::sync::SpinLock;
use crate::task;

/// `__O_TMPFILE`: a file without a name.
const TMPFILE: u32 = 0o20_000_000;

/// fcntl's command that asks for a pipe's size.
const F_GETPIPE_SZ: u32 = 1032;

/// The running task's descriptor table.
pub(super) fn files() -> Arc<SpinLock<FdTable>> {
    task::current().files()
}

/// The running task's working directory, root and umask.
pub(super) fn context() -> Arc<SpinLock<FsContext>> {
    task::current().fs()
}

/// How many descriptors the running task may have.
pub(super) fn limit() -> usize {
    task::current().descriptor_limit()
}

/// The description behind a descriptor.
pub(super) fn descriptor(fd: u64) -> Result<Arc<File>> {
    files().lock().get(fd as i32)
}

/// Reads a path.
pub(super) fn user_path(address: u64) -> Result<Vec<u8>> {
    user::read_cstr(address, PATH_MAX)
}

/// Where a path begins that is relative to a descriptor, or to AT_FDCWD.
pub(super) fn start(dirfd: u64, path: &[u8]) -> Result<Start> {
    let dirfd = dirfd as i32;
    let (root, cwd) = {
        let context = context();
        let context = context.lock();
        (context.root.clone(), context.cwd.clone())
    };
    let base = if dirfd == AT_FDCWD || path.first() == Some(&b'/') {
        cwd
    } else {
        files().lock().get(dirfd)?.place().clone()
    };
    Ok(Start { root, base })
}

/// What a path names.
pub(super) fn lookup(dirfd: u64, path: &[u8], follow: bool) -> Result<Place> {
    path::lookup(&start(dirfd, path)?, path, follow)
}

/// What a path names, or with AT_EMPTY_PATH and no path the descriptor itself.
pub(super) fn lookup_flags(dirfd: u64, path: &[u8], flags: u32, follow: bool) -> Result<Place> {
    if !path.is_empty() || flags & AT_EMPTY_PATH == 0 {
        return lookup(dirfd, path, follow);
    }
    if dirfd as i32 == AT_FDCWD {
        return Ok(context().lock().cwd.clone());
    }
    Ok(descriptor(dirfd)?.place().clone())
}

/// Enters a new description into the table.
pub(super) fn install(file: &Arc<File>, close_on_exec: bool) -> Result<u64> {
    let fd = files().lock().insert(file, 0, limit(), close_on_exec)?;
    Ok(fd as u64)
}

fn open_at(dirfd: u64, path: u64, flags: u32, mode: u32) -> Result<u64> {
    frame::room()?;
    let path_only = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
    let flags = if flags & O_PATH != 0 {
        flags & path_only
    } else {
        flags | O_LARGEFILE
    };
    if flags & TMPFILE == 0 && flags & (O_CREAT | O_DIRECTORY) == O_CREAT | O_DIRECTORY {
        return Err(Errno::EINVAL);
    }
    let path = user_path(path)?;
    // Before anything is created, as on Linux.
    files().lock().check_free(limit())?;
    frame::room()?;
    if flags & TMPFILE != 0 {
        let file = open_temporary(&start(dirfd, &path)?, &path, flags, mode)?;
        return install(&file, flags & O_CLOEXEC != 0);
    }
    let opened = open_place(&start(dirfd, &path)?, &path, flags, mode)?;
    let file = File::open(opened.place, opened.origin, flags & file::KEPT)?;
    if flags & O_TRUNC != 0 && flags & O_PATH == 0 {
        truncate_opened(file.inode());
    }
    install(&file, flags & O_CLOEXEC != 0)
}

/// Opens a new file without a name in the file system of a directory.
fn open_temporary(start: &Start, path: &[u8], flags: u32, mode: u32) -> Result<Arc<File>> {
    if flags & O_DIRECTORY == 0 || flags & O_ACCMODE == O_RDONLY {
        return Err(Errno::EINVAL);
    }
    let place = path::lookup(start, path, flags & O_NOFOLLOW == 0)?;
    place.inode().directory().map_err(|error| match error {
        Errno::EPERM => Errno::EOPNOTSUPP,
        error => error,
    })?;
    place.mount().check_writable()?;
    permission::may_create(place.inode())?;
    let mode = mode & 0o7777 & !umask();
    let inode = Inode::new_nameless(place.inode().device(), mode);
    if flags & O_EXCL == 0 {
        inode.allow_name();
    }
    let name = format!("#{}", inode.number());
    let origin = Some((place.clone(), name.into_bytes().into()));
    // Not a directory itself, which is what the flag asked for.
    File::open(
        place.beside(inode),
        origin,
        flags & file::KEPT & !O_DIRECTORY,
    )
}

/// What is to be opened, and the directory and name that led to it.
struct Opened {
    place: Place,
    origin: Option<(Place, Box<[u8]>)>,
}

/// Finds or creates what is to be opened.
fn open_place(start: &Start, path: &[u8], flags: u32, mode: u32) -> Result<Opened> {
    let create = flags & O_CREAT != 0;
    let exclusive = create && flags & O_EXCL != 0;
    let follow = flags & O_NOFOLLOW == 0 && !exclusive;
    loop {
        let found = path::walk(start, path, LastLink::follow_if(follow))?;
        if create && found.slash && !found.name.is_empty() {
            return Err(Errno::EISDIR);
        }
        let origin = found.origin();
        match &found.place {
            Some(_) if exclusive => return Err(Errno::EEXIST),
            Some(_) => {
                let place = found.existing()?;
                check_open(&place, flags)?;
                return Ok(Opened { place, origin });
            }
            None if !create => return Err(Errno::ENOENT),
            None => {}
        }
        match create_file(&found, mode) {
            // Somebody else was faster.
            Err(Errno::EEXIST) if !exclusive => {}
            result => {
                let place = found.parent.beside(result?);
                return Ok(Opened { place, origin });
            }
        }
    }
}

fn create_file(found: &Found, mode: u32) -> Result<Arc<Inode>> {
    let kind = Kind::Regular(Regular::new(&[]));
    names::enter(found, mode & 0o7777 & !umask(), |device, mode| {
        Inode::on(device, kind, mode)
    })
}

/// The permissions that the running task does not give to new files.
pub(super) fn umask() -> u32 {
    if crate::mutant!("umask-ignored") {
        return 0;
    }
    context().lock().umask
}

/// What open says to something that exists.
fn check_open(place: &Place, flags: u32) -> Result<()> {
    let inode = place.inode();
    if flags & O_DIRECTORY != 0 {
        inode.check_directory()?;
    }
    if flags & O_PATH != 0 {
        return Ok(());
    }
    let writes = flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0;
    match inode.kind() {
        Kind::Symlink(_) | Kind::Magic(_) => return Err(Errno::ELOOP),
        Kind::Directory(_) | Kind::Virtual(_) if writes || flags & O_CREAT != 0 => {
            return Err(Errno::EISDIR);
        }
        Kind::Special(special)
            if special.device_number() != 0 && place.mount().flags() & MS_NODEV != 0 =>
        {
            return Err(Errno::EACCES);
        }
        Kind::Device(_) | Kind::Inert { .. } if place.mount().flags() & MS_NODEV != 0 => {
            return Err(Errno::EACCES);
        }
        Kind::Regular(_) if writes => place.mount().check_writable()?,
        _ => {}
    }
    let mut mask = match flags & O_ACCMODE {
        O_RDONLY => permission::READ,
        O_WRONLY => permission::WRITE,
        _ => permission::READ | permission::WRITE,
    };
    if flags & O_TRUNC != 0 {
        mask |= permission::WRITE;
    }
    permission::permission(inode, mask)
}

/// What O_TRUNC does: nothing to what is no file with contents.
fn truncate_opened(inode: &Inode) {
    if let Some(regular) = inode.regular()
        && regular.len() > 0
    {
        inode.set_len(0);
    }
}

/// `open(pathname, flags, mode)`
pub fn open(call: &mut Call<'_>) -> Result<u64> {
    let [path, flags, mode, ..] = call.args;
    open_at(AT_FDCWD as u64, path, flags as u32, mode as u32)
}

/// `openat(dirfd, pathname, flags, mode)`
pub fn openat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, flags, mode, ..] = call.args;
    open_at(dirfd, path, flags as u32, mode as u32)
}

/// `creat(pathname, mode)`
pub fn creat(call: &mut Call<'_>) -> Result<u64> {
    let [path, mode, ..] = call.args;
    open_at(
        AT_FDCWD as u64,
        path,
        O_CREAT | O_WRONLY | O_TRUNC,
        mode as u32,
    )
}

/// `dup(oldfd)`
pub fn dup(call: &mut Call<'_>) -> Result<u64> {
    let file = descriptor(call.args[0])?;
    install(&file, false)
}

/// `dup2(oldfd, newfd)`
pub fn dup2(call: &mut Call<'_>) -> Result<u64> {
    let [old, new, ..] = call.args;
    if old as u32 == new as u32 {
        descriptor(old)?;
        return Ok(u64::from(new as u32));
    }
    duplicate_to(old, new, false)
}

/// `dup3(oldfd, newfd, flags)`
pub fn dup3(call: &mut Call<'_>) -> Result<u64> {
    let [old, new, flags, ..] = call.args;
    if flags as u32 & !O_CLOEXEC != 0 || old as u32 == new as u32 {
        return Err(Errno::EINVAL);
    }
    duplicate_to(old, new, flags as u32 & O_CLOEXEC != 0)
}

fn duplicate_to(old: u64, new: u64, close_on_exec: bool) -> Result<u64> {
    let new = new as u32 as usize;
    if new >= limit() {
        return Err(Errno::EBADF);
    }
    let table = files();
    let replaced = {
        let mut table = table.lock();
        let file = table.get(old as i32)?;
        table.replace(new, &file, close_on_exec)?
    };
    drop(replaced);
    Ok(new as u64)
}

/// `fcntl(fd, cmd, arg)`
pub fn fcntl(call: &mut Call<'_>) -> Result<u64> {
    let [fd, command, argument, ..] = call.args;
    let file = descriptor(fd)?;
    let table = files();
    let fd = fd as i32;
    match command as u32 {
        F_DUPFD => duplicate_from(&file, argument, false),
        F_DUPFD_CLOEXEC => duplicate_from(&file, argument, true),
        F_GETFD => Ok(u64::from(table.lock().close_on_exec(fd)?)),
        F_SETFD => {
            let value = argument as u32 & FD_CLOEXEC != 0;
            table.lock().set_close_on_exec(fd, value)?;
            Ok(0)
        }
        F_GETFL => Ok(u64::from(file.flags())),
        F_SETFL if file.is_path() => Err(Errno::EBADF),
        F_SETFL => {
            file.set_flags(argument as u32);
            Ok(0)
        }
        F_GETPIPE_SZ if file.is_path() => Err(Errno::EBADF),
        F_GETPIPE_SZ => match file.inode().kind() {
            Kind::Pipe(_) => Ok(pipe::CAPACITY),
            _ => Err(Errno::EBADF),
        },
        F_GETLK | F_SETLK | F_SETLKW | F_OFD_GETLK | F_OFD_SETLK | F_OFD_SETLKW => {
            locks::range_lock(&file, command as u32, argument)
        }
        _ => Err(Errno::EINVAL),
    }
}

fn duplicate_from(file: &Arc<File>, lowest: u64, close_on_exec: bool) -> Result<u64> {
    let lowest = lowest as u32 as usize;
    let limit = limit();
    if lowest >= limit {
        return Err(Errno::EINVAL);
    }
    let fd = files().lock().insert(file, lowest, limit, close_on_exec)?;
    Ok(fd as u64)
}

/// `pipe(pipefd)`
pub fn pipe(call: &mut Call<'_>) -> Result<u64> {
    make_pipe(call.args[0], 0)
}

/// `pipe2(pipefd, flags)`
pub fn pipe2(call: &mut Call<'_>) -> Result<u64> {
    make_pipe(call.args[0], call.args[1] as u32)
}

fn make_pipe(address: u64, flags: u32) -> Result<u64> {
    frame::room()?;
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    frame::room()?;
    let close_on_exec = flags & O_CLOEXEC != 0;
    let status = flags & O_NONBLOCK;
    let inode = Inode::new(Kind::Pipe(Pipe::new()), 0o600);
    let read = File::new(inode.clone(), O_RDONLY | status);
    let write = File::new(inode, O_WRONLY | status);
    let table = files();
    let limit = limit();
    let fds = {
        let mut table = table.lock();
        let first = table.insert(&read, 0, limit, close_on_exec)?;
        match table.insert(&write, 0, limit, close_on_exec) {
            Ok(second) => Ok([first, second]),
            Err(error) => {
                let _ = table.remove(first);
                Err(error)
            }
        }
    }?;
    user::write_value(address, fds).inspect_err(|_| {
        let mut table = table.lock();
        let removed = fds.map(|fd| table.remove(fd));
        drop(table);
        drop(removed);
    })?;
    Ok(0)
}
