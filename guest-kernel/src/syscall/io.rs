//! Moving bytes: read, write and their relatives.

use alloc::vec::Vec;

use linux_raw_sys::general::{CLONE_FILES, RWF_DSYNC, RWF_HIPRI, RWF_SYNC};

use super::Call;
use super::file::{descriptor, files};
use super::user_io::{self, Range, UserBuffer};
use crate::errno::{Errno, Result};
use crate::fs::File;
use crate::task;

enum Direction {
    Read,
    Write,
}

fn transfer(file: &File, ranges: &[Range], at: Option<u64>, direction: Direction) -> Result<u64> {
    let mut buffer = UserBuffer::new(ranges);
    let done = match direction {
        Direction::Read => file.read(&mut buffer, at)?,
        Direction::Write => file.write(&mut buffer, at)?,
    };
    Ok(done as u64)
}

/// What `read(2)` needs before it looks at the buffer: a readable descriptor.
fn check(file: &File, direction: &Direction) -> Result<()> {
    let open = match direction {
        Direction::Read => file.is_readable(),
        Direction::Write => file.is_writable(),
    };
    if open { Ok(()) } else { Err(Errno::EBADF) }
}

fn single(call: &Call<'_>, at: Option<u64>, direction: Direction) -> Result<u64> {
    let [fd, address, len, ..] = call.args;
    let file = descriptor(fd)?;
    check(&file, &direction)?;
    let range = user_io::range(address, len)?;
    transfer(&file, &[range], at, direction)
}

fn vector(call: &Call<'_>, at: Option<u64>, direction: Direction) -> Result<u64> {
    let [fd, address, count, ..] = call.args;
    let file = descriptor(fd)?;
    check(&file, &direction)?;
    let ranges: Vec<Range> = user_io::ranges(address, count)?;
    transfer(&file, &ranges, at, direction)
}

/// The offset of pread and its relatives.
fn position(call: &Call<'_>) -> Result<Option<u64>> {
    let at = call.args[3];
    if (at as i64) < 0 {
        return Err(Errno::EINVAL);
    }
    Ok(Some(at))
}

/// `read(fd, buf, count)`
pub fn read(call: &mut Call<'_>) -> Result<u64> {
    single(call, None, Direction::Read)
}

/// `write(fd, buf, count)`
pub fn write(call: &mut Call<'_>) -> Result<u64> {
    single(call, None, Direction::Write)
}

/// `pread64(fd, buf, count, offset)`
pub fn pread64(call: &mut Call<'_>) -> Result<u64> {
    let at = position(call)?;
    if !descriptor(call.args[0])?.is_seekable() {
        return Err(Errno::ESPIPE);
    }
    single(call, at, Direction::Read)
}

/// `pwrite64(fd, buf, count, offset)`
pub fn pwrite64(call: &mut Call<'_>) -> Result<u64> {
    let at = position(call)?;
    if !descriptor(call.args[0])?.is_seekable() {
        return Err(Errno::ESPIPE);
    }
    single(call, at, Direction::Write)
}

/// `readv(fd, iov, iovcnt)`
pub fn readv(call: &mut Call<'_>) -> Result<u64> {
    vector(call, None, Direction::Read)
}

/// `writev(fd, iov, iovcnt)`
pub fn writev(call: &mut Call<'_>) -> Result<u64> {
    vector(call, None, Direction::Write)
}

/// Where a call with an offset in two halves begins; on a 64-bit machine the
/// first is all of it.
fn vector_at(call: &Call<'_>, direction: Direction) -> Result<u64> {
    let at = position(call)?;
    if !descriptor(call.args[0])?.is_seekable() {
        return Err(Errno::ESPIPE);
    }
    vector(call, at, direction)
}

/// `preadv(fd, iov, iovcnt, offset)`
pub fn preadv(call: &mut Call<'_>) -> Result<u64> {
    vector_at(call, Direction::Read)
}

/// `pwritev(fd, iov, iovcnt, offset)`
pub fn pwritev(call: &mut Call<'_>) -> Result<u64> {
    vector_at(call, Direction::Write)
}

/// The calls with flags, of which those work that ask for what is so anyway.
fn vector_with_flags(call: &Call<'_>, direction: Direction) -> Result<u64> {
    if call.args[5] as u32 & !(RWF_HIPRI | RWF_DSYNC | RWF_SYNC) != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    // -1 stands for the description's own offset.
    if call.args[3] == u64::MAX && !crate::mutant!("preadv2-without-offset") {
        return vector(call, None, direction);
    }
    vector_at(call, direction)
}

/// `preadv2(fd, iov, iovcnt, offset, 0, flags)`
pub fn preadv2(call: &mut Call<'_>) -> Result<u64> {
    vector_with_flags(call, Direction::Read)
}

/// `pwritev2(fd, iov, iovcnt, offset, 0, flags)`
pub fn pwritev2(call: &mut Call<'_>) -> Result<u64> {
    vector_with_flags(call, Direction::Write)
}

/// `lseek(fd, offset, whence)`
pub fn lseek(call: &mut Call<'_>) -> Result<u64> {
    let [fd, distance, whence, ..] = call.args;
    descriptor(fd)?.seek(distance as i64, whence as u32)
}

/// `close(fd)`
pub fn close(call: &mut Call<'_>) -> Result<u64> {
    let table = files();
    let file = table.lock().remove(call.args[0] as i32)?;
    drop(file);
    Ok(0)
}

/// Descriptors of one's own first (`close_range`).
const CLOSE_RANGE_UNSHARE: u32 = 2;

/// exec closes them, and not this call (`close_range`).
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// `close_range(first, last, flags)`
pub fn close_range(call: &mut Call<'_>) -> Result<u64> {
    let [first, last, flags, ..] = call.args;
    let (first, last, flags) = (first as u32, last as u32, flags as u32);
    if flags & !(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    if flags & CLOSE_RANGE_UNSHARE != 0 {
        task::unshare::unshare(CLONE_FILES)?;
    }
    let table = files();
    let (first, last) = (first as usize, last as usize);
    if flags & CLOSE_RANGE_CLOEXEC != 0 {
        table.lock().set_range_close_on_exec(first, last);
    } else {
        let mut from = first;
        loop {
            let taken = table.lock().take_first(from, last);
            let Some((fd, file)) = taken else {
                break;
            };
            drop(file);
            from = fd;
        }
    }
    Ok(0)
}
