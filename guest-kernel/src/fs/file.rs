//! Open file descriptions: what dup and fork share.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use linux_raw_sys::general::{
    O_ACCMODE, O_APPEND, O_DIRECTORY, O_LARGEFILE, O_NOATIME, O_NOFOLLOW, O_NONBLOCK, O_PATH,
    O_RDONLY, O_RDWR, O_SYNC, O_WRONLY, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, SEEK_CUR,
    SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET,
};

use super::inode::{Inode, Kind};
use super::pipe::End;
use super::transfer::{Sink, Source};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::sched::{Mutex, WaitQueue};
use crate::sync::SpinLock;

/// The flags that fcntl(F_SETFL) may change.
const CHANGEABLE: u32 = O_APPEND | O_NONBLOCK | O_NOATIME;

/// An open file description.
pub struct File {
    _counted: Counted,
    inode: Arc<Inode>,
    /// The flags of open that stay: access mode, O_APPEND, O_NONBLOCK and so on.
    flags: AtomicU32,
    /// Where the next read or write begins. Held over a whole transfer, so
    /// that tasks which share the description do not get the same bytes.
    offset: Mutex<u64>,
    /// For a directory: the next entry.
    cookie: SpinLock<u64>,
}

impl File {
    /// A new description of an inode.
    pub fn new(inode: Arc<Inode>, flags: u32) -> Arc<Self> {
        let file = File {
            _counted: Counted::new(Type::File),
            inode,
            flags: AtomicU32::new(flags),
            offset: Mutex::new(0),
            cookie: SpinLock::new(0),
        };
        if let Kind::Pipe(pipe) = file.inode.kind() {
            file.ends().for_each(|end| pipe.open(end));
        }
        Arc::new(file)
    }

    /// What it is a description of.
    pub fn inode(&self) -> &Arc<Inode> {
        &self.inode
    }

    /// The flags as fcntl(F_GETFL) gives them.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// What fcntl(F_SETFL) does.
    pub fn set_flags(&self, flags: u32) {
        let update = |old: u32| Some(old & !CHANGEABLE | flags & CHANGEABLE);
        let _ = self
            .flags
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }

    /// Sets or clears O_NONBLOCK.
    pub fn set_nonblocking(&self, on: bool) {
        if on {
            self.flags.fetch_or(O_NONBLOCK, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!O_NONBLOCK, Ordering::Relaxed);
        }
    }

    fn nonblocking(&self) -> bool {
        self.flags() & O_NONBLOCK != 0
    }

    /// True if it only names a place (O_PATH).
    pub fn is_path(&self) -> bool {
        self.flags() & O_PATH != 0
    }

    /// True if it was opened for reading.
    pub fn is_readable(&self) -> bool {
        !self.is_path() && matches!(self.flags() & O_ACCMODE, O_RDONLY | O_RDWR)
    }

    /// True if it was opened for writing.
    pub fn is_writable(&self) -> bool {
        !self.is_path() && matches!(self.flags() & O_ACCMODE, O_WRONLY | O_RDWR)
    }

    fn ends(&self) -> impl Iterator<Item = End> {
        let read = self.is_readable().then_some(End::Read);
        let write = self.is_writable().then_some(End::Write);
        read.into_iter().chain(write)
    }

    /// Reads at the offset and moves it, or at `at`.
    ///
    /// # Errors
    /// EBADF, EISDIR, ESPIPE, and what the kind of file gives.
    pub fn read(&self, to: &mut dyn Sink, at: Option<u64>) -> Result<usize> {
        if !self.is_readable() {
            return Err(Errno::EBADF);
        }
        match (self.inode.kind(), at) {
            (Kind::Regular(regular), Some(at)) => regular.read_at(at, to),
            (Kind::Regular(regular), None) => {
                let mut offset = self.offset.lock();
                let done = regular.read_at(*offset, to)?;
                *offset += done as u64;
                Ok(done)
            }
            (Kind::Directory(_), _) => Err(Errno::EISDIR),
            (Kind::Pipe(pipe), None) => pipe.read(to, self.nonblocking()),
            (Kind::Device(device), None) => device.read(to, self.nonblocking()),
            (Kind::Device(device), Some(_)) if device.tty().is_none() => {
                device.read(to, self.nonblocking())
            }
            (Kind::Pipe(_) | Kind::Device(_), Some(_)) => Err(Errno::ESPIPE),
            (Kind::Symlink(_), _) => Err(Errno::EBADF),
        }
    }

    /// Writes at the offset (or the end, with O_APPEND) and moves it, or at
    /// `at`: with O_APPEND at the end even then, as Linux does it.
    ///
    /// # Errors
    /// EBADF, ESPIPE, and what the kind of file gives.
    pub fn write(&self, from: &mut dyn Source, at: Option<u64>) -> Result<usize> {
        if !self.is_writable() {
            return Err(Errno::EBADF);
        }
        match (self.inode.kind(), at) {
            (Kind::Regular(_), _) => self.write_regular(from, at),
            (Kind::Pipe(pipe), None) => pipe.write(from, self.nonblocking()),
            (Kind::Device(device), None) => device.write(from, self.nonblocking()),
            (Kind::Device(device), Some(_)) if device.tty().is_none() => {
                device.write(from, self.nonblocking())
            }
            (Kind::Pipe(_) | Kind::Device(_), Some(_)) => Err(Errno::ESPIPE),
            (Kind::Directory(_) | Kind::Symlink(_), _) => Err(Errno::EBADF),
        }
    }

    fn write_regular(&self, from: &mut dyn Source, at: Option<u64>) -> Result<usize> {
        let Kind::Regular(regular) = self.inode.kind() else {
            return Err(Errno::EBADF);
        };
        let append = self.flags() & O_APPEND != 0;
        if from.left() == 0 {
            return Ok(0);
        }
        let done = match at {
            Some(at) => regular.write_at((!append).then_some(at), from)?.1,
            None => {
                let mut offset = self.offset.lock();
                let begin = (!append).then_some(*offset);
                let (end, done) = regular.write_at(begin, from)?;
                *offset = end;
                done
            }
        };
        self.inode.touch();
        Ok(done)
    }

    /// True if positions mean something in it.
    pub fn is_seekable(&self) -> bool {
        match self.inode.kind() {
            Kind::Pipe(_) => false,
            Kind::Device(device) => device.tty().is_none(),
            _ => true,
        }
    }

    /// Moves the offset.
    ///
    /// # Errors
    /// EBADF, ESPIPE, EINVAL, EOVERFLOW or ENXIO.
    pub fn seek(&self, distance: i64, whence: u32) -> Result<u64> {
        if self.is_path() {
            return Err(Errno::EBADF);
        }
        if !self.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        match self.inode.kind() {
            Kind::Regular(_) => {
                let mut offset = self.offset.lock();
                *offset = self.target(*offset, distance, whence)?;
                Ok(*offset)
            }
            Kind::Directory(_) => {
                let mut cookie = self.cookie.lock();
                *cookie = match whence {
                    SEEK_SET | SEEK_CUR => self.target(*cookie, distance, whence)?,
                    _ => return Err(Errno::EINVAL),
                };
                Ok(*cookie)
            }
            // The memory devices have no end; null stays where it is.
            _ => Ok(0),
        }
    }

    fn target(&self, offset: u64, distance: i64, whence: u32) -> Result<u64> {
        let len = self.inode.regular().map_or(0, |regular| regular.len());
        let base = match whence {
            SEEK_SET => 0,
            SEEK_CUR => offset,
            SEEK_END => len,
            SEEK_DATA | SEEK_HOLE => return seek_data(len, distance, whence),
            _ => return Err(Errno::EINVAL),
        };
        let target = (base as i64)
            .checked_add(distance)
            .ok_or(Errno::EOVERFLOW)?;
        u64::try_from(target).map_err(|_| Errno::EINVAL)
    }

    /// The offset.
    pub fn position(&self) -> u64 {
        *self.offset.lock()
    }

    /// The next entry of a directory, where getdents64 goes on.
    pub fn cookie(&self) -> u64 {
        *self.cookie.lock()
    }

    /// getdents64 has got this far.
    pub fn set_cookie(&self, cookie: u64) {
        *self.cookie.lock() = cookie;
    }

    /// What it is ready for, as poll's bits.
    pub fn readiness(&self) -> u32 {
        match self.inode.kind() {
            Kind::Pipe(pipe) => self
                .ends()
                .fold(0, |ready, end| ready | pipe.readiness(end)),
            Kind::Device(device) => device.readiness(),
            _ => POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
        }
    }

    /// Where to wait for a change of that readiness, if it can change.
    pub fn queues(&self) -> [Option<&WaitQueue>; 2] {
        match self.inode.kind() {
            Kind::Pipe(pipe) => {
                let mut ends = self.ends().map(|end| pipe.queue(end));
                [ends.next(), ends.next()]
            }
            Kind::Device(device) => match device.tty() {
                Some(tty) => tty.queues().map(Some),
                None => [None, None],
            },
            _ => [None, None],
        }
    }
}

/// SEEK_DATA and SEEK_HOLE where a file is all data and a hole at its end.
fn seek_data(len: u64, distance: i64, whence: u32) -> Result<u64> {
    let at = u64::try_from(distance).map_err(|_| Errno::ENXIO)?;
    if at >= len {
        return Err(Errno::ENXIO);
    }
    Ok(if whence == SEEK_DATA { at } else { len })
}

impl Drop for File {
    fn drop(&mut self) {
        if let Kind::Pipe(pipe) = self.inode.kind() {
            self.ends().for_each(|end| pipe.close(end));
        }
    }
}

/// The flags of open that a description keeps.
pub const KEPT: u32 =
    O_ACCMODE | CHANGEABLE | O_LARGEFILE | O_PATH | O_DIRECTORY | O_NOFOLLOW | O_SYNC;
