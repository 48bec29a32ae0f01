//! Moving bytes between descriptors: sendfile, splice, tee, copy_file_range.

use abi::event::FrameKind;
use linux_raw_sys::general::{
    O_APPEND, SEEK_SET, SPLICE_F_GIFT, SPLICE_F_MORE, SPLICE_F_MOVE, SPLICE_F_NONBLOCK,
};

use super::Call;
use super::file::descriptor;
use crate::errno::{Errno, Result};
use crate::fs::File;
use crate::fs::inode::Kind;
use crate::fs::pipe::{End, Pipe};
use crate::fs::splice::{self, FrameSink, FrameSource};
use crate::mm::frame;
use crate::mm::user;

/// The most that one call moves, as on Linux.
const MOST: u64 = 0x7FFF_F000;

const PAGE: usize = 4096;

/// An offset that the caller keeps, or the description's own.
struct Position<'a> {
    file: &'a File,
    address: u64,
    at: u64,
}

impl<'a> Position<'a> {
    fn new(file: &'a File, address: u64) -> Result<Self> {
        let at = match address {
            0 => file.position(),
            address => user::read_value(address)?,
        };
        if (at as i64) < 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Position { file, address, at })
    }

    /// Goes on behind what was moved.
    fn advance(&self, count: u64) -> Result<()> {
        let at = self.at + count;
        if self.address != 0 && !crate::mutant!("sendfile-moves-own-offset") {
            return user::write_value(self.address, at);
        }
        if self.file.is_seekable() {
            self.file.seek(at as i64, SEEK_SET)?;
        }
        Ok(())
    }
}

/// Copies up to `count` bytes of a file to another, a page at a time; `to`
/// without a place is written at its offset.
fn copy(from: &File, at: u64, to: &File, place: Option<u64>, count: u64) -> Result<u64> {
    let scratch = frame::alloc_uncleared(FrameKind::PageCache)?;
    let mut done = 0;
    while done < count {
        let mut sink = FrameSink {
            frame: &scratch,
            at: 0,
            room: PAGE.min((count - done) as usize),
        };
        let got = from.read(&mut sink, Some(at + done))?;
        let mut source = FrameSource {
            frame: &scratch,
            at: 0,
            left: got,
        };
        let put = match to.write(&mut source, place.map(|place| place + done)) {
            Ok(put) => put,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        };
        done += put as u64;
        if put == 0 || put < got {
            break;
        }
    }
    Ok(done)
}

/// `sendfile(out_fd, in_fd, offset, count)`
pub fn sendfile(call: &mut Call<'_>) -> Result<u64> {
    let [out, input, offset, count, ..] = call.args;
    let from = descriptor(input)?;
    let to = descriptor(out)?;
    if !from.is_readable() || !to.is_writable() {
        return Err(Errno::EBADF);
    }
    if !from.is_seekable() {
        return Err(if offset != 0 {
            Errno::ESPIPE
        } else {
            Errno::EINVAL
        });
    }
    if from.inode().regular().is_none() || to.flags() & O_APPEND != 0 {
        return Err(Errno::EINVAL);
    }
    let position = Position::new(&from, offset)?;
    let count = count.min(MOST);
    let done = match to.inode().kind() {
        Kind::Pipe(pipe) => {
            let nonblocking = to.is_nonblocking();
            splice::into_pipe(&from, position.at, pipe, count as usize, nonblocking)? as u64
        }
        _ => copy(&from, position.at, &to, None, count)?,
    };
    position.advance(done)?;
    Ok(done)
}

/// `splice(fd_in, off_in, fd_out, off_out, len, flags)`
pub fn splice(call: &mut Call<'_>) -> Result<u64> {
    let [input, off_in, out, off_out, len, flags] = call.args;
    let known = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;
    let flags = flags as u32;
    if len == 0 {
        return Ok(0);
    }
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let from = descriptor(input)?;
    let to = descriptor(out)?;
    let source = splice::pipe_of(&from, End::Read)?;
    let target = splice::pipe_of(&to, End::Write)?;
    if source.is_some() && off_in != 0 || target.is_some() && off_out != 0 {
        return Err(Errno::ESPIPE);
    }
    let waits_not = |file: &File| flags & SPLICE_F_NONBLOCK != 0 || file.is_nonblocking();
    let count = len.min(MOST) as usize;
    match (source, target) {
        (Some(one), Some(other)) if core::ptr::eq(one, other) => Err(Errno::EINVAL),
        (Some(pipe), Some(_)) => {
            let nonblocking = waits_not(&from) || waits_not(&to);
            Ok(splice::from_pipe(pipe, &to, None, count, nonblocking)? as u64)
        }
        (Some(pipe), None) => from_pipe(pipe, &to, off_out, count, waits_not(&from)),
        (None, Some(pipe)) => into_pipe(&from, off_in, pipe, count, waits_not(&to)),
        (None, None) => Err(Errno::EINVAL),
    }
}

fn from_pipe(pipe: &Pipe, to: &File, offset: u64, count: usize, nonblocking: bool) -> Result<u64> {
    if to.flags() & O_APPEND != 0 {
        return Err(Errno::EINVAL);
    }
    if offset == 0 {
        return Ok(splice::from_pipe(pipe, to, None, count, nonblocking)? as u64);
    }
    if !to.is_seekable() {
        return Err(Errno::EINVAL);
    }
    let position = Position::new(to, offset)?;
    let done = splice::from_pipe(pipe, to, Some(position.at), count, nonblocking)? as u64;
    position.advance(done)?;
    Ok(done)
}

fn into_pipe(
    from: &File,
    offset: u64,
    pipe: &Pipe,
    count: usize,
    nonblocking: bool,
) -> Result<u64> {
    if !from.is_seekable() || from.inode().is_directory() {
        return Err(Errno::EINVAL);
    }
    let position = Position::new(from, offset)?;
    let done = splice::into_pipe(from, position.at, pipe, count, nonblocking)? as u64;
    position.advance(done)?;
    Ok(done)
}

/// `tee(fd_in, fd_out, len, flags)`
pub fn tee(call: &mut Call<'_>) -> Result<u64> {
    let [input, out, len, flags, ..] = call.args;
    let known = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;
    let flags = flags as u32;
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    let from = descriptor(input)?;
    let to = descriptor(out)?;
    let source = splice::pipe_of(&from, End::Read)?;
    let target = splice::pipe_of(&to, End::Write)?;
    let (Some(source), Some(target)) = (source, target) else {
        return Err(Errno::EINVAL);
    };
    if core::ptr::eq(source, target) {
        return Err(Errno::EINVAL);
    }
    let nonblocking = flags & SPLICE_F_NONBLOCK != 0 || from.is_nonblocking();
    let done = splice::tee(source, &to, len.min(MOST) as usize, nonblocking)?;
    Ok(done as u64)
}

/// `copy_file_range(fd_in, off_in, fd_out, off_out, len, flags)`
pub fn copy_file_range(call: &mut Call<'_>) -> Result<u64> {
    let [input, off_in, out, off_out, len, flags] = call.args;
    let from = descriptor(input)?;
    let to = descriptor(out)?;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if from.inode().is_directory() || to.inode().is_directory() {
        return Err(Errno::EISDIR);
    }
    if from.inode().regular().is_none() || to.inode().regular().is_none() {
        return Err(Errno::EINVAL);
    }
    if !from.is_readable() || !to.is_writable() || to.flags() & O_APPEND != 0 {
        return Err(Errno::EBADF);
    }
    if from.inode().device() != to.inode().device() {
        return Err(Errno::EXDEV);
    }
    let source = Position::new(&from, off_in)?;
    let target = Position::new(&to, off_out)?;
    let len = len.min(MOST);
    let apart = source.at.abs_diff(target.at) >= len;
    if from.inode().number() == to.inode().number() && !apart {
        return Err(Errno::EINVAL);
    }
    let done = copy(&from, source.at, &to, Some(target.at), len)?;
    source.advance(done)?;
    target.advance(done)?;
    Ok(done)
}
