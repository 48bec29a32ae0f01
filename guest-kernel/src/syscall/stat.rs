//! What a file is: the stat family, access and getdents64.

use alloc::vec::Vec;

use linux_raw_sys::general::{
    AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW,
    DT_DIR, STATX__RESERVED, STATX_BASIC_STATS, stat, statx, statx_timestamp,
};

use super::Call;
use super::file::{descriptor, lookup_flags, user_path};
use crate::errno::{Errno, Result};
use crate::fs::directory::Entry;
use crate::fs::hooks::Timestamp;
use crate::fs::inode::Kind;
use crate::fs::{File, Inode, Place, permission};
use crate::mm::user;
use crate::task;

const BLOCK: u64 = 4096;

fn write_stat(inode: &Inode, address: u64) -> Result<u64> {
    let metadata = inode.metadata();
    let subject = permission::subject();
    let seconds = |date: Timestamp| date.seconds as u64;
    let nanoseconds = |date: Timestamp| u64::from(date.nanoseconds);
    let value = stat {
        st_dev: metadata.device,
        st_ino: metadata.number,
        st_nlink: u64::from(metadata.links),
        st_mode: metadata.mode,
        st_uid: subject.shown_uid(metadata.uid),
        st_gid: subject.shown_gid(metadata.gid),
        __pad0: 0,
        st_rdev: metadata.special,
        st_size: metadata.size as i64,
        st_blksize: BLOCK as i64,
        st_blocks: metadata.sectors as i64,
        st_atime: seconds(metadata.accessed),
        st_atime_nsec: nanoseconds(metadata.accessed),
        st_mtime: seconds(metadata.modified),
        st_mtime_nsec: nanoseconds(metadata.modified),
        st_ctime: seconds(metadata.changed),
        st_ctime_nsec: nanoseconds(metadata.changed),
        __unused: [0; 3],
    };
    user::write_value(address, value)?;
    Ok(0)
}

fn stat_at(dirfd: u64, path: u64, address: u64, flags: u32) -> Result<u64> {
    let place = find(dirfd, path, flags)?;
    write_stat(place.inode(), address)
}

/// What a path names, under the flags of the stat family.
pub(super) fn find(dirfd: u64, path: u64, flags: u32) -> Result<Place> {
    let path = match path {
        0 if flags & AT_EMPTY_PATH != 0 => Vec::new(),
        _ => user_path(path)?,
    };
    lookup_flags(dirfd, &path, flags, flags & AT_SYMLINK_NOFOLLOW == 0)
}

/// `stat(pathname, statbuf)`
pub fn stat_path(call: &mut Call<'_>) -> Result<u64> {
    stat_at(AT_FDCWD as u64, call.args[0], call.args[1], 0)
}

/// `lstat(pathname, statbuf)`
pub fn lstat(call: &mut Call<'_>) -> Result<u64> {
    stat_at(
        AT_FDCWD as u64,
        call.args[0],
        call.args[1],
        AT_SYMLINK_NOFOLLOW,
    )
}

/// `fstat(fd, statbuf)`
pub fn fstat(call: &mut Call<'_>) -> Result<u64> {
    let file = descriptor(call.args[0])?;
    write_stat(file.inode(), call.args[1])
}

/// `newfstatat(dirfd, pathname, statbuf, flags)`
pub fn newfstatat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, address, flags, ..] = call.args;
    let flags = flags as u32;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    stat_at(dirfd, path, address, flags)
}

/// `statx(dirfd, pathname, flags, mask, statxbuf)`
pub fn statx_path(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, flags, mask, address, ..] = call.args;
    let flags = flags as u32;
    let known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
    let contradicts = flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE;
    if mask as u32 & STATX__RESERVED != 0 || flags & !known != 0 || contradicts {
        return Err(Errno::EINVAL);
    }
    let place = find(dirfd, path, flags)?;
    let mut value = empty_statx();
    let metadata = place.inode().metadata();
    value.stx_mask = STATX_BASIC_STATS;
    value.stx_blksize = BLOCK as u32;
    value.stx_nlink = metadata.links;
    value.stx_mode = metadata.mode as u16;
    value.stx_ino = metadata.number;
    value.stx_size = metadata.size;
    let subject = permission::subject();
    value.stx_uid = subject.shown_uid(metadata.uid);
    value.stx_gid = subject.shown_gid(metadata.gid);
    value.stx_blocks = metadata.sectors;
    value.stx_atime = statx_date(metadata.accessed);
    value.stx_mtime = statx_date(metadata.modified);
    value.stx_ctime = statx_date(metadata.changed);
    (value.stx_rdev_major, value.stx_rdev_minor) = split(metadata.special);
    (value.stx_dev_major, value.stx_dev_minor) = split(metadata.device);
    user::write_value(address, value)?;
    Ok(0)
}

fn statx_date(date: Timestamp) -> statx_timestamp {
    statx_timestamp {
        tv_sec: date.seconds,
        tv_nsec: date.nanoseconds,
        __reserved: 0,
    }
}

/// Major and minor number of a device whose minor is below 256.
fn split(device: u64) -> (u32, u32) {
    ((device >> 8) as u32, (device & 0xFF) as u32)
}

fn empty_statx() -> statx {
    // SAFETY: every field is a number or an array of numbers.
    unsafe { core::mem::zeroed() }
}

fn access_at(dirfd: u64, path: u64, mode: u64, flags: u32) -> Result<u64> {
    let mode = mode as u32;
    if mode & !7 != 0 {
        return Err(Errno::EINVAL);
    }
    let allowed = || {
        let place = find(dirfd, path, flags)?;
        permission::permission(place.inode(), mode)
    };
    if flags & AT_EACCESS != 0 || crate::mutant!("access-by-effective-ids") {
        allowed()?;
    } else {
        task::current().by_real_ids(allowed)?;
    }
    Ok(0)
}

/// `access(pathname, mode)`
pub fn access(call: &mut Call<'_>) -> Result<u64> {
    access_at(AT_FDCWD as u64, call.args[0], call.args[1], 0)
}

/// `faccessat(dirfd, pathname, mode)`
pub fn faccessat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, mode, ..] = call.args;
    access_at(dirfd, path, mode, 0)
}

/// `faccessat2(dirfd, pathname, mode, flags)`
pub fn faccessat2(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, mode, flags, ..] = call.args;
    let flags = flags as u32;
    if flags & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    access_at(dirfd, path, mode, flags)
}

/// Bytes of a `linux_dirent64` before its name.
const DIRENT_HEADER: usize = 19;

/// `getdents64(fd, dirp, count)`
pub fn getdents64(call: &mut Call<'_>) -> Result<u64> {
    let [fd, address, size, ..] = call.args;
    let file = descriptor(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    file.inode().check_directory()?;
    file.note_reading();
    let listing = match file.inode().kind() {
        Kind::Virtual(directory) => Some(directory.entries()?),
        _ => None,
    };
    let size = u64::from(size as u32);
    let mut done = 0;
    while let Some(entry) = next_entry(&file, listing.as_deref())? {
        let record = record(&entry);
        if done + record.len() as u64 > size {
            return if done > 0 {
                Ok(done)
            } else {
                Err(Errno::EINVAL)
            };
        }
        if let Err(error) = user::write_bytes(address.wrapping_add(done), &record) {
            return if done > 0 { Ok(done) } else { Err(error) };
        }
        file.set_cookie(entry.next);
        done += record.len() as u64;
    }
    Ok(done)
}

/// What a directory that is made up says of one name.
type Listed = (Vec<u8>, u64, u8);

/// The entry where the description goes on, or the first behind it: `.`,
/// `..`, then the names; those of a directory that is made up are given.
fn next_entry(file: &File, listing: Option<&[Listed]>) -> Result<Option<Entry>> {
    let inode = file.inode();
    let cookie = file.cookie();
    let own = |next, name: &[u8], inode: &Inode| Entry {
        next,
        name: name.to_vec(),
        number: inode.number(),
        kind: DT_DIR as u8,
    };
    Ok(match (cookie, listing) {
        (0, _) => Some(own(1, b".", inode)),
        (1, _) => {
            let parent = inode.parent().unwrap_or_else(|| inode.clone());
            Some(own(2, b"..", &parent))
        }
        (_, Some(listing)) => {
            let at = usize::try_from(cookie - 2).unwrap_or(usize::MAX);
            listing.get(at).map(|(name, number, kind)| Entry {
                next: cookie + 1,
                name: name.clone(),
                number: *number,
                kind: *kind,
            })
        }
        (_, None) => inode.directory()?.entry_from(cookie),
    })
}

fn record(entry: &Entry) -> Vec<u8> {
    let len = (DIRENT_HEADER + entry.name.len() + 1).next_multiple_of(8);
    let mut record = Vec::with_capacity(len);
    record.extend_from_slice(&entry.number.to_le_bytes());
    record.extend_from_slice(&entry.next.to_le_bytes());
    record.extend_from_slice(&(len as u16).to_le_bytes());
    record.push(entry.kind);
    record.extend_from_slice(&entry.name);
    record.resize(len, 0);
    record
}
