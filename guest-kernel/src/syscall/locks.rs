//! Locks on files: flock, and fcntl's locks of ranges.

use linux_raw_sys::general::{
    F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX,
    LOCK_NB, LOCK_SH, LOCK_UN, SEEK_CUR, SEEK_END, SEEK_SET,
};

use super::Call;
use super::file::{descriptor, files};
use crate::errno::{Errno, Result};
use crate::fs::File;
use crate::fs::locks::{Lock, Owner};
use crate::mm::{frame, user};
use crate::task;

/// `flock(fd, operation)`
pub fn flock(call: &mut Call<'_>) -> Result<u64> {
    let [fd, operation, ..] = call.args;
    let file = descriptor(fd)?;
    let operation = operation as u32;
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    frame::room()?;
    let locks = file.inode().locks();
    let wait = operation & LOCK_NB == 0;
    match operation & !LOCK_NB {
        LOCK_UN => locks.release_whole(file.id()),
        LOCK_SH => locks.take_whole(file.id(), false, wait)?,
        LOCK_EX => locks.take_whole(file.id(), true, wait)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// `struct flock`: type, whence and padding in the first word, then start,
/// length, and the group's number in the lower half of the last one.
type Raw = [u64; 4];

fn kind(raw: &Raw) -> u32 {
    raw[0] as u32 & 0xFFFF
}

/// The range that a `struct flock` names: first and last byte.
fn range(raw: &Raw, file: &File) -> Result<(u64, u64)> {
    let base = match raw[0] as u32 >> 16 {
        SEEK_SET => 0,
        SEEK_CUR => file.position() as i64,
        SEEK_END => file.inode().metadata().size as i64,
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(raw[1] as i64).ok_or(Errno::EOVERFLOW)?;
    let len = raw[2] as i64;
    let (first, last) = match len {
        0 => (start, i64::MAX),
        1.. => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
        ..0 => (start.checked_add(len).ok_or(Errno::EINVAL)?, start - 1),
    };
    if first < 0 {
        return Err(Errno::EINVAL);
    }
    let last = if last == i64::MAX {
        u64::MAX
    } else {
        last as u64
    };
    Ok((first as u64, last))
}

/// fcntl's commands about locks of ranges.
pub(super) fn range_lock(file: &File, command: u32, address: u64) -> Result<u64> {
    if file.is_path() {
        return Err(Errno::EBADF);
    }
    frame::room()?;
    let raw: Raw = user::read_value(address)?;
    let (start, end) = range(&raw, file)?;
    let of_description = [F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW].contains(&command);
    if of_description && raw[3] as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    let (owner, group) = if of_description {
        (Owner::Description(file.id()), -1)
    } else {
        let table = files().lock().id();
        (Owner::Table(table), task::current().tgid().0 as i32)
    };
    let lock = Lock {
        owner,
        group,
        exclusive: kind(&raw) == F_WRLCK,
        start,
        end,
    };
    if command == F_GETLK || command == F_OFD_GETLK {
        return tell_conflict(file, &raw, &lock, address);
    }
    let wait = command == F_SETLKW || command == F_OFD_SETLKW;
    let locks = file.inode().locks();
    match kind(&raw) {
        F_RDLCK if !file.is_readable() => return Err(Errno::EBADF),
        F_WRLCK if !file.is_writable() => return Err(Errno::EBADF),
        F_RDLCK | F_WRLCK => locks.take(&lock, wait)?,
        F_UNLCK => locks.release(owner, start, end)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// Says what a lock would run into; if it is nothing, that it is free.
fn tell_conflict(file: &File, raw: &Raw, lock: &Lock, address: u64) -> Result<u64> {
    if ![F_RDLCK, F_WRLCK].contains(&kind(raw)) {
        return Err(Errno::EINVAL);
    }
    let mut answer = *raw;
    match file.inode().locks().conflict(lock) {
        None => answer[0] = raw[0] & !0xFFFF | u64::from(F_UNLCK),
        Some(other) => {
            let kind = if other.exclusive { F_WRLCK } else { F_RDLCK };
            answer[0] = raw[0] & !0xFFFF_FFFF | u64::from(SEEK_SET) << 16 | u64::from(kind);
            answer[1] = other.start;
            answer[2] = match other.end {
                u64::MAX => 0,
                end => end - other.start + 1,
            };
            answer[3] = raw[3] & !0xFFFF_FFFF | u64::from(other.group as u32);
        }
    }
    user::write_value(address, answer)?;
    Ok(0)
}
