//! How much there is: lengths of files, room in file systems, and what is to
//! last.

use linux_raw_sys::general::{
    AT_FDCWD, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, MS_NOATIME, MS_NODEV, MS_NODIRATIME,
    MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME, statfs,
};

use super::Call;
use super::file::descriptor;
use super::stat::find;
use crate::block;
use crate::errno::{Errno, Result};
use crate::fs::directory::NAME_MAX;
use crate::fs::inode::Kind;
use crate::fs::regular::{self, Regular};
use crate::fs::{File, Place, permission};
use crate::mm::{frame, user};

const BLOCK: i64 = 4096;

/// `truncate(path, length)`
pub fn truncate(call: &mut Call<'_>) -> Result<u64> {
    let [path, len, ..] = call.args;
    if (len as i64) < 0 {
        return Err(Errno::EINVAL);
    }
    let place = find(AT_FDCWD as u64, path, 0)?;
    let inode = place.inode();
    match inode.kind() {
        Kind::Regular(_) => {}
        Kind::Directory(_) | Kind::Virtual(_) => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    place.mount().check_writable()?;
    permission::permission(inode, permission::WRITE)?;
    inode.check_no_program()?;
    inode.set_len(len);
    Ok(0)
}

/// `ftruncate(fd, length)`
pub fn ftruncate(call: &mut Call<'_>) -> Result<u64> {
    let [fd, len, ..] = call.args;
    if (len as i64) < 0 {
        return Err(Errno::EINVAL);
    }
    let file = descriptor(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    if file.inode().regular().is_none() || !file.is_writable() {
        return Err(Errno::EINVAL);
    }
    if !(file.inode().is_nameless() && crate::mutant!("memfd-cannot-grow")) {
        file.inode().set_len(len);
    }
    file.drop_set_id();
    Ok(0)
}

/// `fallocate(fd, mode, offset, len)`
pub fn fallocate(call: &mut Call<'_>) -> Result<u64> {
    let [fd, mode, offset, len, ..] = call.args;
    let file = descriptor(fd)?;
    let end = (offset as i64).checked_add(len as i64);
    if (offset as i64) < 0 || (len as i64) <= 0 {
        return Err(Errno::EINVAL);
    }
    let punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    let mode = mode as u32;
    if ![0, FALLOC_FL_KEEP_SIZE, punch].contains(&mode) {
        return Err(Errno::EOPNOTSUPP);
    }
    if !file.is_writable() {
        return Err(Errno::EBADF);
    }
    let regular = writable_contents(&file)?;
    let end = end.ok_or(Errno::EFBIG)? as u64;
    if mode == punch {
        regular.punch(offset, end)?;
    } else {
        regular.allocate(offset, end, mode == 0)?;
    }
    file.inode().touch();
    Ok(0)
}

fn writable_contents(file: &File) -> Result<&Regular> {
    match file.inode().kind() {
        Kind::Regular(regular) => Ok(regular),
        Kind::Pipe(_) => Err(Errno::ESPIPE),
        Kind::Directory(_) | Kind::Virtual(_) => Err(Errno::EISDIR),
        _ => Err(Errno::ENODEV),
    }
}

/// `fsync(fd)` and `fdatasync(fd)`: memory is all that there is behind a file
/// in memory, so nothing is to be done for one.
pub fn fsync(call: &mut Call<'_>) -> Result<u64> {
    let file = descriptor(call.args[0])?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    match file.inode().kind() {
        Kind::Regular(_) | Kind::Directory(_) => {}
        Kind::Special(_) if crate::mutant!("fsync-writes-nothing") => {}
        Kind::Special(special) => special.sync()?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// `sync()`: whoever wants to hear of failures calls fsync.
pub fn sync(_: &mut Call<'_>) -> Result<u64> {
    if let Some(disk) = block::device() {
        let _ = disk.sync();
    }
    Ok(0)
}

/// `syncfs(fd)`
pub fn syncfs(call: &mut Call<'_>) -> Result<u64> {
    if descriptor(call.args[0])?.is_path() {
        return Err(Errno::EBADF);
    }
    Ok(0)
}

/// The number by which a type of file system is known.
fn magic(place: &Place) -> i64 {
    match (place.inode().kind(), place.mount().super_block().kind()) {
        (Kind::Pipe(_), "none") => 0x5049_5045,
        (_, "none") => 0x0904_1934,
        (_, "proc") => 0x9FA0,
        _ => 0x0102_1994,
    }
}

/// The flags of a mount as statfs gives them.
fn mount_flags(place: &Place) -> i64 {
    const VALID: i64 = 0x20;
    let flags = place.mount().flags() | place.mount().super_block().flags() & MS_RDONLY;
    let table = [
        (MS_RDONLY, 1),
        (MS_NOSUID, 2),
        (MS_NODEV, 4),
        (MS_NOEXEC, 8),
        (MS_NOATIME, 0x400),
        (MS_NODIRATIME, 0x800),
        (MS_RELATIME, 0x1000),
    ];
    let set = table.iter().filter(|(flag, _)| flags & flag != 0);
    set.fold(VALID, |all, (_, shown)| all | shown)
}

fn write_statfs(place: &Place, address: u64) -> Result<u64> {
    let in_memory = magic(place) == 0x0102_1994;
    let (total, free) = if in_memory {
        (frame::total() / 2, regular::pages_left().min(frame::free()))
    } else {
        (0, 0)
    };
    // SAFETY: every field is a number or an array of numbers.
    let mut value: statfs = unsafe { core::mem::zeroed() };
    value.f_type = magic(place);
    value.f_bsize = BLOCK;
    value.f_blocks = total as i64;
    value.f_bfree = free as i64;
    value.f_bavail = free as i64;
    value.f_fsid.val = [place.inode().device() as i32, 0];
    value.f_namelen = NAME_MAX as i64;
    value.f_frsize = BLOCK;
    value.f_flags = mount_flags(place);
    user::write_value(address, value)?;
    Ok(0)
}

/// `statfs(path, buf)`
pub fn statfs_path(call: &mut Call<'_>) -> Result<u64> {
    let [path, address, ..] = call.args;
    write_statfs(&find(AT_FDCWD as u64, path, 0)?, address)
}

/// `fstatfs(fd, buf)`
pub fn fstatfs(call: &mut Call<'_>) -> Result<u64> {
    let [fd, address, ..] = call.args;
    write_statfs(descriptor(fd)?.place(), address)
}
