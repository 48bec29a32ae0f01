//! Descriptors and names: open, dup, pipe, fcntl, directories and links.

use alloc::sync::Arc;
use alloc::vec::Vec;

use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD,
    F_SETFL, FD_CLOEXEC, O_ACCMODE, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_LARGEFILE,
    O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_TRUNC, O_WRONLY,
};

use super::Call;
use crate::errno::{Errno, Result};
use crate::fs::inode::Kind;
use crate::fs::path::{self, Found, LastLink, PATH_MAX, Start};
use crate::fs::pipe::Pipe;
use crate::fs::regular::Regular;
use crate::fs::{FdTable, File, FsContext, Inode, file, pipe};
use crate::mm::{frame, user};
use crate::sync::SpinLock;
use crate::task;

/// `__O_TMPFILE`: a file without a name, which this file system does not make.
const TMPFILE: u32 = 0o20_000_000;

/// fcntl's command that asks for a pipe's size.
const F_GETPIPE_SZ: u32 = 1032;

/// The running task's descriptor table.
pub(super) fn files() -> Arc<SpinLock<FdTable>> {
    task::current().files()
}

/// The running task's working directory, root and umask.
fn context() -> Arc<SpinLock<FsContext>> {
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
        files().lock().get(dirfd)?.inode().clone()
    };
    Ok(Start { root, base })
}

/// What a path names.
pub(super) fn lookup(dirfd: u64, path: &[u8], follow: bool) -> Result<Arc<Inode>> {
    path::lookup(&start(dirfd, path)?, path, follow)
}

/// What a path names, or with AT_EMPTY_PATH and no path the descriptor itself.
pub(super) fn lookup_flags(
    dirfd: u64,
    path: &[u8],
    flags: u32,
    follow: bool,
) -> Result<Arc<Inode>> {
    if !path.is_empty() || flags & AT_EMPTY_PATH == 0 {
        return lookup(dirfd, path, follow);
    }
    if dirfd as i32 == AT_FDCWD {
        return Ok(context().lock().cwd.clone());
    }
    Ok(descriptor(dirfd)?.inode().clone())
}

/// Enters a new description into the table.
fn install(file: &Arc<File>, close_on_exec: bool) -> Result<u64> {
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
    if flags & (O_CREAT | O_DIRECTORY) == O_CREAT | O_DIRECTORY {
        return Err(Errno::EINVAL);
    }
    if flags & TMPFILE != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let path = user_path(path)?;
    // Before anything is created, as on Linux.
    files().lock().check_free(limit())?;
    frame::room()?;
    let inode = open_inode(&start(dirfd, &path)?, &path, flags, mode)?;
    let file = File::new(inode, flags & file::KEPT);
    install(&file, flags & O_CLOEXEC != 0)
}

/// Finds or creates what is to be opened.
fn open_inode(start: &Start, path: &[u8], flags: u32, mode: u32) -> Result<Arc<Inode>> {
    let create = flags & O_CREAT != 0;
    let exclusive = create && flags & O_EXCL != 0;
    let follow = flags & O_NOFOLLOW == 0 && !exclusive;
    loop {
        let found = path::walk(start, path, LastLink::follow_if(follow))?;
        if create && found.slash && !found.name.is_empty() {
            return Err(Errno::EISDIR);
        }
        match &found.inode {
            Some(_) if exclusive => return Err(Errno::EEXIST),
            Some(_) => {
                let inode = found.existing()?;
                check_open(&inode, flags)?;
                return Ok(inode);
            }
            None if !create => return Err(Errno::ENOENT),
            None => {}
        }
        match create_file(&found, mode) {
            // Somebody else was faster.
            Err(Errno::EEXIST) if !exclusive => {}
            result => return result,
        }
    }
}

fn create_file(found: &Found, mode: u32) -> Result<Arc<Inode>> {
    let umask = context().lock().umask;
    let inode = Inode::new(Kind::Regular(Regular::new(&[])), mode & 0o7777 & !umask);
    found.parent.directory()?.insert(&found.name, &inode)?;
    found.parent.touch();
    Ok(inode)
}

/// What open says to something that exists, and O_TRUNC.
fn check_open(inode: &Inode, flags: u32) -> Result<()> {
    if flags & O_DIRECTORY != 0 && !inode.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    if flags & O_PATH != 0 {
        return Ok(());
    }
    let writes = flags & O_ACCMODE != O_RDONLY;
    match inode.kind() {
        Kind::Symlink(_) => Err(Errno::ELOOP),
        Kind::Directory(_) if writes || flags & (O_CREAT | O_TRUNC) != 0 => Err(Errno::EISDIR),
        Kind::Regular(regular) if flags & O_TRUNC != 0 => {
            regular.truncate(0);
            inode.touch();
            Ok(())
        }
        _ => Ok(()),
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

/// `chdir(path)`
pub fn chdir(call: &mut Call<'_>) -> Result<u64> {
    let path = user_path(call.args[0])?;
    let inode = lookup(AT_FDCWD as u64, &path, true)?;
    change_directory(inode)
}

/// `fchdir(fd)`
pub fn fchdir(call: &mut Call<'_>) -> Result<u64> {
    let inode = descriptor(call.args[0])?.inode().clone();
    change_directory(inode)
}

fn change_directory(inode: Arc<Inode>) -> Result<u64> {
    inode.directory()?;
    let context = context();
    let old = core::mem::replace(&mut context.lock().cwd, inode);
    drop(old);
    Ok(0)
}

/// `getcwd(buf, size)`
pub fn getcwd(call: &mut Call<'_>) -> Result<u64> {
    let [address, size, ..] = call.args;
    let context = context().lock().clone();
    let mut path = context.cwd_path()?;
    path.push(0);
    if path.len() as u64 > size {
        return Err(Errno::ERANGE);
    }
    user::write_bytes(address, &path)?;
    Ok(path.len() as u64)
}

/// `umask(mask)`
pub fn umask(call: &mut Call<'_>) -> Result<u64> {
    let new = call.args[0] as u32 & 0o777;
    let context = context();
    let old = core::mem::replace(&mut context.lock().umask, new);
    Ok(u64::from(old))
}

fn make_directory(dirfd: u64, path: u64, mode: u32) -> Result<u64> {
    frame::room()?;
    let path = user_path(path)?;
    let found = path::walk(&start(dirfd, &path)?, &path, LastLink::Name)?;
    if found.inode.is_some() {
        return Err(Errno::EEXIST);
    }
    frame::room()?;
    let umask = context().lock().umask;
    let inode = Inode::new_directory(&found.parent, mode & 0o1777 & !umask);
    found.parent.directory()?.insert(&found.name, &inode)?;
    found.parent.touch();
    Ok(0)
}

/// `mkdir(pathname, mode)`
pub fn mkdir(call: &mut Call<'_>) -> Result<u64> {
    let [path, mode, ..] = call.args;
    make_directory(AT_FDCWD as u64, path, mode as u32)
}

/// `mkdirat(dirfd, pathname, mode)`
pub fn mkdirat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, mode, ..] = call.args;
    make_directory(dirfd, path, mode as u32)
}

fn make_link(target: u64, dirfd: u64, path: u64) -> Result<u64> {
    frame::room()?;
    let target = user_path(target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path = user_path(path)?;
    let found = path::walk(&start(dirfd, &path)?, &path, LastLink::Name)?;
    if found.inode.is_some() {
        return Err(Errno::EEXIST);
    }
    if found.slash {
        return Err(Errno::ENOENT);
    }
    frame::room()?;
    let inode = Inode::new(Kind::Symlink(target.into()), 0o777);
    found.parent.directory()?.insert(&found.name, &inode)?;
    found.parent.touch();
    Ok(0)
}

/// `symlink(target, linkpath)`
pub fn symlink(call: &mut Call<'_>) -> Result<u64> {
    let [target, path, ..] = call.args;
    make_link(target, AT_FDCWD as u64, path)
}

/// `symlinkat(target, newdirfd, linkpath)`
pub fn symlinkat(call: &mut Call<'_>) -> Result<u64> {
    let [target, dirfd, path, ..] = call.args;
    make_link(target, dirfd, path)
}

fn remove_file(dirfd: u64, path: u64) -> Result<u64> {
    let path = user_path(path)?;
    let found = path::walk(&start(dirfd, &path)?, &path, LastLink::Name)?;
    if found.name.is_empty() {
        return Err(Errno::EISDIR);
    }
    match &found.inode {
        Some(inode) if found.slash && !inode.is_directory() => return Err(Errno::ENOTDIR),
        None => return Err(Errno::ENOENT),
        Some(_) => {}
    }
    found.parent.directory()?.unlink(&found.name)?;
    found.parent.touch();
    Ok(0)
}

fn remove_directory(dirfd: u64, path: u64) -> Result<u64> {
    let path = user_path(path)?;
    let found = path::walk(&start(dirfd, &path)?, &path, LastLink::Name)?;
    if found.name.is_empty() {
        return Err(last_is_no_name(&path));
    }
    found.parent.directory()?.remove_directory(&found.name)?;
    found.parent.touch();
    Ok(0)
}

/// Why `rmdir` refuses a path that ends in `.`, `..` or the root.
fn last_is_no_name(path: &[u8]) -> Errno {
    let mut names = path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty());
    match names.next_back() {
        Some(b".") => Errno::EINVAL,
        Some(_) => Errno::ENOTEMPTY,
        None => Errno::EBUSY,
    }
}

/// `unlink(pathname)`
pub fn unlink(call: &mut Call<'_>) -> Result<u64> {
    remove_file(AT_FDCWD as u64, call.args[0])
}

/// `rmdir(pathname)`
pub fn rmdir(call: &mut Call<'_>) -> Result<u64> {
    remove_directory(AT_FDCWD as u64, call.args[0])
}

/// `unlinkat(dirfd, pathname, flags)`
pub fn unlinkat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, flags, ..] = call.args;
    match flags as u32 {
        0 => remove_file(dirfd, path),
        AT_REMOVEDIR => remove_directory(dirfd, path),
        _ => Err(Errno::EINVAL),
    }
}

fn read_link(inode: &Inode, address: u64, size: u64, not_a_link: Errno) -> Result<u64> {
    let Kind::Symlink(target) = inode.kind() else {
        return Err(not_a_link);
    };
    let count = target.len().min(size as usize);
    user::write_bytes(address, &target[..count])?;
    Ok(count as u64)
}

fn read_link_at(dirfd: u64, path: u64, address: u64, size: u64) -> Result<u64> {
    if size as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let path = user_path(path)?;
    if path.is_empty() && dirfd as i32 != AT_FDCWD {
        let file = descriptor(dirfd)?;
        return read_link(file.inode(), address, size, Errno::ENOENT);
    }
    let inode = lookup(dirfd, &path, false)?;
    read_link(&inode, address, size, Errno::EINVAL)
}

/// `readlink(pathname, buf, bufsiz)`
pub fn readlink(call: &mut Call<'_>) -> Result<u64> {
    let [path, address, size, ..] = call.args;
    read_link_at(AT_FDCWD as u64, path, address, size)
}

/// `readlinkat(dirfd, pathname, buf, bufsiz)`
pub fn readlinkat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, address, size, ..] = call.args;
    read_link_at(dirfd, path, address, size)
}
