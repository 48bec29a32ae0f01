//! Moving bytes between files without a task's memory.

use super::file::File;
use super::inode::Kind;
use super::pipe::{End, Pipe};
use super::transfer::{Sink, Source};
use crate::errno::{Errno, Result};
use crate::mm::frame::Frame;

/// Bytes of a frame as the destination of a read.
pub struct FrameSink<'a> {
    /// The frame.
    pub frame: &'a Frame,
    /// Where the next byte goes.
    pub at: usize,
    /// How many more fit.
    pub room: usize,
}

impl Sink for FrameSink<'_> {
    fn room(&self) -> usize {
        self.room
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room);
        self.frame.write(self.at, &bytes[..count]);
        self.at += count;
        self.room -= count;
        count
    }

    fn put_frame(&mut self, frame: &Frame, at: usize, count: usize) -> usize {
        let count = count.min(self.room);
        self.frame.copy_part(self.at, frame, at, count);
        self.at += count;
        self.room -= count;
        count
    }
}

/// Bytes of a frame as the origin of a write.
pub struct FrameSource<'a> {
    /// The frame.
    pub frame: &'a Frame,
    /// Where the next byte is.
    pub at: usize,
    /// How many are left.
    pub left: usize,
}

impl Source for FrameSource<'_> {
    fn left(&self) -> usize {
        self.left
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.left);
        self.frame.read(self.at, &mut into[..count]);
        self.at += count;
        self.left -= count;
        count
    }

    fn take_to_frame(&mut self, frame: &Frame, at: usize, count: usize) -> usize {
        let count = count.min(self.left);
        frame.copy_part(at, self.frame, self.at, count);
        self.at += count;
        self.left -= count;
        count
    }
}

/// A file that bytes of a pipe go to. A pipe takes what fits at once: nobody
/// sleeps while the pipe that is read is locked.
struct FileSink<'a> {
    file: &'a File,
    at: Option<u64>,
    room: usize,
    failure: Option<Errno>,
}

impl FileSink<'_> {
    fn moved(&mut self, result: Result<usize>) -> usize {
        match result {
            Ok(count) => {
                self.room -= count;
                self.at = self.at.map(|at| at + count as u64);
                count
            }
            Err(error) => {
                self.failure = Some(error);
                0
            }
        }
    }
}

impl Sink for FileSink<'_> {
    fn room(&self) -> usize {
        self.room
    }

    fn put(&mut self, _: &[u8]) -> usize {
        // Pipes give frames.
        0
    }

    fn put_frame(&mut self, frame: &Frame, at: usize, count: usize) -> usize {
        let mut source = FrameSource {
            frame,
            at,
            left: count,
        };
        let result = match self.file.inode().kind() {
            Kind::Pipe(pipe) => pipe.write(&mut source, true),
            _ => self.file.write(&mut source, self.at),
        };
        self.moved(result)
    }

    fn keeps_part(&self) -> bool {
        true
    }
}

/// A file whose bytes go into a pipe.
struct FileSource<'a> {
    file: &'a File,
    at: u64,
    left: usize,
}

impl Source for FileSource<'_> {
    fn left(&self) -> usize {
        self.left
    }

    fn take(&mut self, _: &mut [u8]) -> usize {
        // Pipes take into frames.
        0
    }

    fn take_to_frame(&mut self, frame: &Frame, at: usize, count: usize) -> usize {
        let mut sink = FrameSink {
            frame,
            at,
            room: count,
        };
        let count = self.file.read(&mut sink, Some(self.at)).unwrap_or(0);
        self.at += count as u64;
        self.left -= count;
        count
    }
}

/// Moves what a pipe holds, up to `count` bytes, to a file: to its offset, or
/// to `at`.
///
/// # Errors
/// What reading and writing give, if nothing was moved.
pub fn from_pipe(
    pipe: &Pipe,
    file: &File,
    at: Option<u64>,
    count: usize,
    nonblocking: bool,
) -> Result<usize> {
    loop {
        let mut sink = FileSink {
            file,
            at,
            room: count,
            failure: None,
        };
        let result = pipe.read(&mut sink, nonblocking);
        match (result, sink.failure, file.inode().kind()) {
            (Ok(done), _, _) => return Ok(done),
            (Err(_), Some(Errno::EAGAIN), Kind::Pipe(other)) if !nonblocking => {
                other.wait_for_room_once()?;
            }
            (Err(error), failure, _) => return Err(failure.unwrap_or(error)),
        }
    }
}

/// Moves bytes of a file, from `at` on, into a pipe: as many as there are and
/// fit, up to `count`.
///
/// # Errors
/// What reading and writing give, if nothing was moved.
pub fn into_pipe(
    file: &File,
    at: u64,
    pipe: &Pipe,
    count: usize,
    nonblocking: bool,
) -> Result<usize> {
    let rest = match file.inode().kind() {
        Kind::Regular(regular) => regular.len().saturating_sub(at),
        _ => u64::MAX,
    };
    let count = count.min(usize::try_from(rest).unwrap_or(usize::MAX));
    if count == 0 {
        return Ok(0);
    }
    loop {
        let mut source = FileSource {
            file,
            at,
            left: count,
        };
        match pipe.write(&mut source, true) {
            Err(Errno::EAGAIN) if !nonblocking => pipe.wait_for_room_once()?,
            result => return result,
        }
    }
}

/// Copies what a pipe holds, up to `count` bytes, into another; it stays in
/// the first.
///
/// # Errors
/// As [`from_pipe`].
pub fn tee(from: &Pipe, to: &File, count: usize, nonblocking: bool) -> Result<usize> {
    let Kind::Pipe(other) = to.inode().kind() else {
        return Err(Errno::EINVAL);
    };
    loop {
        let mut sink = FileSink {
            file: to,
            at: None,
            room: count,
            failure: None,
        };
        let done = from.look(&mut sink, nonblocking)?;
        match sink.failure {
            _ if done > 0 => return Ok(done),
            Some(Errno::EAGAIN) if !nonblocking => other.wait_for_room_once()?,
            Some(error) => return Err(error),
            None => return Ok(0),
        }
    }
}

/// The pipe behind a description, if it is one of that end.
pub fn pipe_of(file: &File, end: End) -> Result<Option<&Pipe>> {
    let open = match end {
        End::Read => file.is_readable(),
        End::Write => file.is_writable(),
    };
    if !open {
        return Err(Errno::EBADF);
    }
    Ok(match file.inode().kind() {
        Kind::Pipe(pipe) => Some(pipe),
        _ => None,
    })
}
