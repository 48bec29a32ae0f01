//! Names: making, linking, moving and removing them.

use alloc::sync::Arc;

use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, RENAME_EXCHANGE, RENAME_NOREPLACE,
    S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK,
};

use super::Call;
use super::file::{descriptor, lookup, start, umask, user_path};
use crate::errno::{Errno, Result};
use crate::fs::attributes::PERMISSIONS;
use crate::fs::capability::Cap;
use crate::fs::device::Device;
use crate::fs::inode::Kind;
use crate::fs::path::{self, Found, LastLink};
use crate::fs::pipe::Pipe;
use crate::fs::regular::Regular;
use crate::fs::rename::{self, Existing, Name};
use crate::fs::{Inode, Place, permission};
use crate::mm::{frame, user};

/// The working directory, as calls without a directory's descriptor mean it.
const HERE: u64 = AT_FDCWD as u64;

/// Set-group-id: of a directory, that what is made in it gets its group.
const SET_GROUP: u32 = 0o2000;

/// Makes something for a name that was not there and enters it. `make` gets
/// the device number and the permissions.
pub(super) fn enter(
    found: &Found,
    permissions: u32,
    make: impl FnOnce(u64, u32) -> Arc<Inode>,
) -> Result<Arc<Inode>> {
    frame::room()?;
    let parent = found.parent.inode();
    found.parent.mount().check_writable()?;
    let directory = parent.directory()?;
    permission::may_create(parent)?;
    let inode = make(parent.device(), permissions);
    if parent.mode() & SET_GROUP != 0 {
        let (_, group) = parent.owner();
        let is_directory = inode.is_directory();
        inode.with_attributes(|attributes| {
            attributes.gid = group;
            if is_directory {
                attributes.permissions |= SET_GROUP;
            }
        });
    }
    directory.insert(&found.name, &inode)?;
    parent.touch();
    Ok(inode)
}

/// Walks to a name that is to be made.
fn walk_to_new(dirfd: u64, path: &[u8]) -> Result<Found> {
    let found = path::walk(&start(dirfd, path)?, path, LastLink::Name)?;
    if found.place.is_some() {
        return Err(Errno::EEXIST);
    }
    Ok(found)
}

fn make_directory(dirfd: u64, path: u64, mode: u32) -> Result<u64> {
    frame::room()?;
    let path = user_path(path)?;
    let found = walk_to_new(dirfd, &path)?;
    enter(&found, mode & 0o1777 & !umask(), |_, mode| {
        Inode::new_directory(found.parent.inode(), &found.name, mode)
    })?;
    Ok(0)
}

/// `mkdir(pathname, mode)`
pub fn mkdir(call: &mut Call<'_>) -> Result<u64> {
    let [path, mode, ..] = call.args;
    make_directory(HERE, path, mode as u32)
}

/// `mkdirat(dirfd, pathname, mode)`
pub fn mkdirat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, mode, ..] = call.args;
    make_directory(dirfd, path, mode as u32)
}

fn make_node(dirfd: u64, path: u64, mode: u32, device: u64) -> Result<u64> {
    frame::room()?;
    let kind = match mode & S_IFMT {
        0 | S_IFREG => Kind::Regular(Regular::new(&[])),
        S_IFIFO => Kind::Pipe(Pipe::new()),
        S_IFDIR => return Err(Errno::EPERM),
        S_IFCHR if Device::by_number(device).is_some() => {
            Kind::Device(Device::by_number(device).ok_or(Errno::EINVAL)?)
        }
        file_type @ (S_IFCHR | S_IFBLK) => Kind::Inert {
            file_type,
            number: device & u64::from(u32::MAX),
        },
        file_type @ S_IFSOCK => Kind::Inert {
            file_type,
            number: 0,
        },
        _ => return Err(Errno::EINVAL),
    };
    let path = user_path(path)?;
    let found = walk_to_new(dirfd, &path)?;
    if found.slash {
        return Err(Errno::ENOENT);
    }
    if matches!(mode & S_IFMT, S_IFCHR | S_IFBLK) {
        permission::may_create(found.parent.inode())?;
        if !permission::subject().capable(Cap::Mknod) {
            return Err(Errno::EPERM);
        }
    }
    enter(&found, mode & PERMISSIONS & !umask(), |device, mode| {
        Inode::on(device, kind, mode)
    })?;
    Ok(0)
}

/// `mknod(pathname, mode, dev)`
pub fn mknod(call: &mut Call<'_>) -> Result<u64> {
    let [path, mode, device, ..] = call.args;
    make_node(HERE, path, mode as u32, device)
}

/// `mknodat(dirfd, pathname, mode, dev)`
pub fn mknodat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, mode, device, ..] = call.args;
    make_node(dirfd, path, mode as u32, device)
}

fn make_symlink(target: u64, dirfd: u64, path: u64) -> Result<u64> {
    frame::room()?;
    let target = user_path(target)?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path = user_path(path)?;
    let found = walk_to_new(dirfd, &path)?;
    if found.slash {
        return Err(Errno::ENOENT);
    }
    enter(&found, 0o777, |device, mode| {
        Inode::on(device, Kind::Symlink(target.into()), mode)
    })?;
    Ok(0)
}

/// `symlink(target, linkpath)`
pub fn symlink(call: &mut Call<'_>) -> Result<u64> {
    let [target, path, ..] = call.args;
    make_symlink(target, HERE, path)
}

/// `symlinkat(target, newdirfd, linkpath)`
pub fn symlinkat(call: &mut Call<'_>) -> Result<u64> {
    let [target, dirfd, path, ..] = call.args;
    make_symlink(target, dirfd, path)
}

fn make_link(old: (u64, u64), new: (u64, u64), flags: u32) -> Result<u64> {
    frame::room()?;
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = user_path(old.1)?;
    let target = if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        descriptor(old.0)?.place().clone()
    } else {
        lookup(old.0, &path, flags & AT_SYMLINK_FOLLOW != 0)?
    };
    let path = user_path(new.1)?;
    let found = walk_to_new(new.0, &path)?;
    if found.slash {
        return Err(Errno::ENOENT);
    }
    if !Arc::ptr_eq(target.mount(), found.parent.mount()) {
        return Err(Errno::EXDEV);
    }
    found.parent.mount().check_writable()?;
    permission::may_create(found.parent.inode())?;
    let inode = target.inode();
    if inode.is_directory() {
        return Err(Errno::EPERM);
    }
    found.parent.inode().directory()?.link(&found.name, inode)?;
    found.parent.inode().touch();
    inode.touch_changed();
    Ok(0)
}

/// `link(oldpath, newpath)`
pub fn link(call: &mut Call<'_>) -> Result<u64> {
    let [old, new, ..] = call.args;
    make_link((HERE, old), (HERE, new), 0)
}

/// `linkat(olddirfd, oldpath, newdirfd, newpath, flags)`
pub fn linkat(call: &mut Call<'_>) -> Result<u64> {
    let [old_fd, old, new_fd, new, flags, _] = call.args;
    make_link((old_fd, old), (new_fd, new), flags as u32)
}

fn remove_file(dirfd: u64, path: u64) -> Result<u64> {
    let path = user_path(path)?;
    let found = path::walk(&start(dirfd, &path)?, &path, LastLink::Name)?;
    if found.name.is_empty() {
        return Err(Errno::EISDIR);
    }
    match &found.place {
        Some(place) if found.slash && !place.inode().is_directory() => return Err(Errno::ENOTDIR),
        None => return Err(Errno::ENOENT),
        Some(place) => may_remove(&found.parent, place)?,
    }
    found.parent.inode().directory()?.unlink(&found.name)?;
    found.parent.inode().touch();
    Ok(0)
}

/// Refuses to take a name from a place that may not be changed, or from
/// something that is mounted on.
fn may_remove(parent: &Place, place: &Place) -> Result<()> {
    parent.mount().check_writable()?;
    permission::may_delete(parent.inode(), place.inode())?;
    if !Arc::ptr_eq(parent.mount(), place.mount()) {
        return Err(Errno::EBUSY);
    }
    Ok(())
}

fn remove_directory(dirfd: u64, path: u64) -> Result<u64> {
    let path = user_path(path)?;
    let found = path::walk(&start(dirfd, &path)?, &path, LastLink::Name)?;
    if found.name.is_empty() {
        return Err(last_is_no_name(&path));
    }
    if let Some(place) = &found.place {
        may_remove(&found.parent, place)?;
    }
    let directory = found.parent.inode().directory()?;
    directory.remove_directory(&found.name)?;
    found.parent.inode().touch();
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
    remove_file(HERE, call.args[0])
}

/// `rmdir(pathname)`
pub fn rmdir(call: &mut Call<'_>) -> Result<u64> {
    remove_directory(HERE, call.args[0])
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

fn move_name(old: (u64, u64), new: (u64, u64), flags: u32) -> Result<u64> {
    frame::room()?;
    let existing = match flags {
        0 => Existing::Replace,
        RENAME_NOREPLACE => Existing::Refuse,
        RENAME_EXCHANGE => Existing::Exchange,
        _ => return Err(Errno::EINVAL),
    };
    let old_path = user_path(old.1)?;
    let new_path = user_path(new.1)?;
    let from = path::walk(&start(old.0, &old_path)?, &old_path, LastLink::Name)?;
    let to = path::walk(&start(new.0, &new_path)?, &new_path, LastLink::Name)?;
    if !Arc::ptr_eq(from.parent.mount(), to.parent.mount()) {
        return Err(Errno::EXDEV);
    }
    if from.name.is_empty() || to.name.is_empty() {
        let exists = to.name.is_empty() && !from.name.is_empty() && existing == Existing::Refuse;
        return Err(if exists { Errno::EEXIST } else { Errno::EBUSY });
    }
    let moved = from.place.as_ref().ok_or(Errno::ENOENT)?;
    if !moved.inode().is_directory() && (from.slash || to.slash && existing != Existing::Exchange) {
        return Err(Errno::ENOTDIR);
    }
    may_remove(&from.parent, moved)?;
    if let Some(target) = &to.place {
        if existing == Existing::Refuse {
            return Err(Errno::EEXIST);
        }
        may_remove(&to.parent, target)?;
    } else {
        permission::may_create(to.parent.inode())?;
    }
    let old_name = Name {
        parent: from.parent.inode(),
        name: &from.name,
    };
    let new_name = Name {
        parent: to.parent.inode(),
        name: &to.name,
    };
    rename::rename(&old_name, &new_name, existing)?;
    Ok(0)
}

/// `rename(oldpath, newpath)`
pub fn rename(call: &mut Call<'_>) -> Result<u64> {
    let [old, new, ..] = call.args;
    move_name((HERE, old), (HERE, new), 0)
}

/// `renameat(olddirfd, oldpath, newdirfd, newpath)`
pub fn renameat(call: &mut Call<'_>) -> Result<u64> {
    let [old_fd, old, new_fd, new, ..] = call.args;
    move_name((old_fd, old), (new_fd, new), 0)
}

/// `renameat2(olddirfd, oldpath, newdirfd, newpath, flags)`
pub fn renameat2(call: &mut Call<'_>) -> Result<u64> {
    let [old_fd, old, new_fd, new, flags, _] = call.args;
    move_name((old_fd, old), (new_fd, new), flags as u32)
}

fn read_link(inode: &Inode, address: u64, size: u64, not_a_link: Errno) -> Result<u64> {
    let target = match inode.kind() {
        Kind::Symlink(target) => target.to_vec(),
        Kind::Magic(link) => link.text()?,
        _ => return Err(not_a_link),
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
    let place = lookup(dirfd, &path, false)?;
    read_link(place.inode(), address, size, Errno::EINVAL)
}

/// `readlink(pathname, buf, bufsiz)`
pub fn readlink(call: &mut Call<'_>) -> Result<u64> {
    let [path, address, size, ..] = call.args;
    read_link_at(HERE, path, address, size)
}

/// `readlinkat(dirfd, pathname, buf, bufsiz)`
pub fn readlinkat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, address, size, ..] = call.args;
    read_link_at(dirfd, path, address, size)
}
