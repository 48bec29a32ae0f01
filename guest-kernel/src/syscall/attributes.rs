//! What can be changed about a file beside its contents: permissions, owner,
//! dates.

use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, S_ISGID, S_ISUID, S_IXGRP, UTIME_NOW, UTIME_OMIT,
};

use super::Call;
use super::file::descriptor;
use super::stat::find;
use crate::errno::{Errno, Result};
use crate::fs::attributes::PERMISSIONS;
use crate::fs::hooks::Timestamp;
use crate::fs::inode::Kind;
use crate::fs::{Place, hooks, permission};
use crate::mm::user;

/// The working directory, as calls without a directory's descriptor mean it.
const HERE: u64 = AT_FDCWD as u64;

fn change_mode(place: &Place, mode: u32) -> Result<u64> {
    place.mount().check_writable()?;
    let inode = place.inode();
    if matches!(inode.kind(), Kind::Symlink(_) | Kind::Magic(_)) {
        return Err(Errno::EOPNOTSUPP);
    }
    permission::owns(inode)?;
    let mode = permission::allowed_mode(mode & PERMISSIONS, inode.owner());
    inode.with_attributes(|attributes| attributes.permissions = mode);
    inode.touch_changed();
    Ok(0)
}

/// `chmod(pathname, mode)`
pub fn chmod(call: &mut Call<'_>) -> Result<u64> {
    let [path, mode, ..] = call.args;
    change_mode(&find(HERE, path, 0)?, mode as u32)
}

/// `fchmod(fd, mode)`
pub fn fchmod(call: &mut Call<'_>) -> Result<u64> {
    let [fd, mode, ..] = call.args;
    let file = descriptor(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    change_mode(file.place(), mode as u32)
}

/// `fchmodat(dirfd, pathname, mode)`
pub fn fchmodat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, mode, ..] = call.args;
    change_mode(&find(dirfd, path, 0)?, mode as u32)
}

/// `fchmodat2(dirfd, pathname, mode, flags)`
pub fn fchmodat2(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, mode, flags, ..] = call.args;
    let flags = known_flags(flags)?;
    change_mode(&find(dirfd, path, flags)?, mode as u32)
}

fn known_flags(flags: u64) -> Result<u32> {
    let flags = flags as u32;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(flags)
}

/// The id that a number means to the caller; -1 leaves it as it is.
fn wanted(id: u64, meant: impl FnOnce(u32) -> Option<u32>) -> Result<Option<u32>> {
    match id as u32 {
        u32::MAX => Ok(None),
        id => meant(id).map(Some).ok_or(Errno::EINVAL),
    }
}

fn change_owner(place: &Place, uid: u64, gid: u64) -> Result<u64> {
    place.mount().check_writable()?;
    let subject = permission::subject();
    let uid = wanted(uid, |uid| subject.meant_uid(uid))?;
    let gid = wanted(gid, |gid| subject.meant_gid(gid))?;
    let inode = place.inode();
    permission::may_chown(inode, uid, gid)?;
    let is_directory = inode.is_directory();
    inode.with_attributes(|attributes| {
        attributes.uid = uid.unwrap_or(attributes.uid);
        attributes.gid = gid.unwrap_or(attributes.gid);
        if !is_directory {
            attributes.permissions &= !S_ISUID;
            if attributes.permissions & S_IXGRP != 0 {
                attributes.permissions &= !S_ISGID;
            }
        }
    });
    inode.touch_changed();
    Ok(0)
}

/// `chown(pathname, owner, group)`
pub fn chown(call: &mut Call<'_>) -> Result<u64> {
    let [path, uid, gid, ..] = call.args;
    change_owner(&find(HERE, path, 0)?, uid, gid)
}

/// `lchown(pathname, owner, group)`
pub fn lchown(call: &mut Call<'_>) -> Result<u64> {
    let [path, uid, gid, ..] = call.args;
    change_owner(&find(HERE, path, AT_SYMLINK_NOFOLLOW)?, uid, gid)
}

/// `fchown(fd, owner, group)`
pub fn fchown(call: &mut Call<'_>) -> Result<u64> {
    let [fd, uid, gid, ..] = call.args;
    let file = descriptor(fd)?;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    change_owner(file.place(), uid, gid)
}

/// `fchownat(dirfd, pathname, owner, group, flags)`
pub fn fchownat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, uid, gid, flags, _] = call.args;
    let flags = known_flags(flags)?;
    change_owner(&find(dirfd, path, flags)?, uid, gid)
}

/// What a date is to become.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Date {
    Now,
    Keep,
    At(Timestamp),
}

impl Date {
    /// From seconds and nanoseconds, as `utimensat` reads them.
    fn new([seconds, nanoseconds]: [i64; 2]) -> Result<Self> {
        const NOW: i64 = UTIME_NOW as i64;
        const OMIT: i64 = UTIME_OMIT as i64;
        match nanoseconds {
            NOW => Ok(Date::Now),
            OMIT => Ok(Date::Keep),
            0..1_000_000_000 => Ok(Date::At(Timestamp {
                seconds,
                nanoseconds: nanoseconds as u32,
            })),
            _ => Err(Errno::EINVAL),
        }
    }

    fn or(self, before: Timestamp, now: Timestamp) -> Timestamp {
        match self {
            Date::Now => now,
            Date::Keep => before,
            Date::At(date) => date,
        }
    }
}

fn change_dates(place: &Place, [accessed, modified]: [Date; 2]) -> Result<u64> {
    place.mount().check_writable()?;
    let inode = place.inode();
    let own = permission::owns(inode);
    if [accessed, modified] == [Date::Now; 2] {
        // Who may write could do it by writing.
        own.or_else(|_| permission::permission(inode, permission::WRITE))?;
    } else {
        own?;
    }
    let now = hooks::now();
    inode.with_attributes(|attributes| {
        attributes.accessed = accessed.or(attributes.accessed, now);
        attributes.modified = modified.or(attributes.modified, now);
        attributes.changed = now;
    });
    Ok(0)
}

/// `utimensat(dirfd, pathname, times, flags)`
pub fn utimensat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, times, flags, ..] = call.args;
    let dates = match times {
        0 => [Date::Now; 2],
        at => {
            let [first, second]: [[i64; 2]; 2] = user::read_value(at)?;
            [Date::new(first)?, Date::new(second)?]
        }
    };
    if dates == [Date::Keep; 2] {
        return Ok(0);
    }
    if path == 0 && dirfd as i32 != AT_FDCWD {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        let file = descriptor(dirfd)?;
        return change_dates(file.place(), dates);
    }
    let flags = known_flags(flags)?;
    if path == 0 {
        return Err(Errno::EFAULT);
    }
    change_dates(&find(dirfd, path, flags)?, dates)
}

/// Dates of seconds and microseconds.
fn read_microseconds(times: u64) -> Result<[Date; 2]> {
    if times == 0 {
        return Ok([Date::Now; 2]);
    }
    let values: [[i64; 2]; 2] = user::read_value(times)?;
    let mut dates = [Date::Now; 2];
    for (date, [seconds, microseconds]) in dates.iter_mut().zip(values) {
        if !(0..1_000_000).contains(&microseconds) {
            return Err(Errno::EINVAL);
        }
        *date = Date::new([seconds, microseconds * 1000])?;
    }
    Ok(dates)
}

/// `utimes(filename, times)`
pub fn utimes(call: &mut Call<'_>) -> Result<u64> {
    let [path, times, ..] = call.args;
    let dates = read_microseconds(times)?;
    change_dates(&find(HERE, path, 0)?, dates)
}

/// `futimesat(dirfd, pathname, times)`
pub fn futimesat(call: &mut Call<'_>) -> Result<u64> {
    let [dirfd, path, times, ..] = call.args;
    let dates = read_microseconds(times)?;
    if path == 0 {
        return change_dates(descriptor(dirfd)?.place(), dates);
    }
    change_dates(&find(dirfd, path, 0)?, dates)
}

/// `utime(filename, times)`
pub fn utime(call: &mut Call<'_>) -> Result<u64> {
    let [path, times, ..] = call.args;
    let dates = match times {
        0 => [Date::Now; 2],
        at => {
            let [accessed, modified]: [i64; 2] = user::read_value(at)?;
            [Date::new([accessed, 0])?, Date::new([modified, 0])?]
        }
    };
    change_dates(&find(HERE, path, 0)?, dates)
}
