//! Open file descriptions: what dup and fork share.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use linux_raw_sys::general::{
    MS_NOATIME, MS_RDONLY, O_ACCMODE, O_APPEND, O_DIRECTORY, O_LARGEFILE, O_NOATIME, O_NOFOLLOW,
    O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_SYNC, O_WRONLY, POLLIN, POLLOUT, POLLRDNORM,
    POLLWRNORM, S_ISGID, S_ISUID, SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET,
};

use super::attributes::PERMISSIONS;
use super::inode::{Inode, Kind};
use super::path::Origin;
use super::permission;
use super::pipe::{End, Pipe};
use super::place::Place;
use super::special::SpecialFile;
use super::transfer::{Sink, Source};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::sched::{Mutex, WaitQueue};
use crate::sync::SpinLock;

/// The flags that fcntl(F_SETFL) may change.
const CHANGEABLE: u32 = O_APPEND | O_NONBLOCK | O_NOATIME;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// An open file description.
pub struct File {
    _counted: Counted,
    /// Unlike any other's: whose a lock is.
    id: u64,
    /// A program runs from it, or is about to.
    runs: bool,
    place: Place,
    /// The directory and the name that led to it, for who asks for its path.
    origin: Option<(Place, Box<[u8]>)>,
    /// The flags of open that stay: access mode, O_APPEND, O_NONBLOCK and so on.
    flags: AtomicU32,
    /// Where the next read or write begins. Held over a whole transfer, so
    /// that tasks which share the description do not get the same bytes.
    offset: Mutex<u64>,
    /// For a directory: the next entry.
    cookie: SpinLock<u64>,
}

impl File {
    /// A new description of something without a name.
    pub fn new(inode: Arc<Inode>, flags: u32) -> Arc<Self> {
        let file = Self::bare(Place::anonymous(inode), None, flags);
        if let Kind::Pipe(pipe) = file.inode().kind() {
            file.ends().for_each(|end| pipe.open(end));
        }
        Arc::new(file)
    }

    /// Opens what is at a place, to which this directory and name led.
    ///
    /// # Errors
    /// ENXIO for what nobody drives and a terminal that is not there, and what a special file says.
    pub fn open(place: Place, origin: Option<(Place, Box<[u8]>)>, flags: u32) -> Result<Arc<Self>> {
        if flags & O_PATH == 0 {
            match place.inode().kind() {
                Kind::Inert { .. } => return Err(Errno::ENXIO),
                Kind::Special(special) => special.opened(flags)?,
                Kind::Device(device) => device.opened()?,
                Kind::Pipe(pipe) => return Self::open_fifo(pipe, &place, origin, flags),
                Kind::Regular(_) if flags & O_ACCMODE != O_RDONLY => {
                    place.inode().begin_writing()?
                }
                _ => {}
            }
        }
        Ok(Arc::new(Self::bare(place, origin, flags)))
    }

    /// Opens a program to run it: nobody writes to it as long as this lives.
    ///
    /// # Errors
    /// ETXTBSY: somebody may write to it.
    pub fn open_program(place: Place, origin: Option<(Place, Box<[u8]>)>) -> Result<Arc<Self>> {
        place.inode().begin_running()?;
        let mut file = Self::bare(place, origin, O_RDONLY);
        file.runs = true;
        Ok(Arc::new(file))
    }

    /// A new description of a file that never had a name here, for reading
    /// and writing; `name` is what its path says all the same.
    ///
    /// # Errors
    /// As [`File::open`].
    pub fn open_nameless(
        inode: Arc<Inode>,
        root: Place,
        name: &[u8],
        flags: u32,
    ) -> Result<Arc<Self>> {
        let place = Place::anonymous(inode);
        Self::open(place, Some((root, name.into())), flags)
    }

    /// Opens a pipe by name: each end waits until there is another.
    fn open_fifo(
        pipe: &Pipe,
        place: &Place,
        origin: Option<(Place, Box<[u8]>)>,
        flags: u32,
    ) -> Result<Arc<Self>> {
        let file = Self::bare(place.clone(), origin, flags);
        let nonblocking = file.is_nonblocking();
        if nonblocking && !file.is_readable() && !pipe.has(End::Read) {
            // Not counted yet, so it must not be counted off.
            file.flags.fetch_or(O_PATH, Ordering::Relaxed);
            return Err(Errno::ENXIO);
        }
        file.ends().for_each(|end| pipe.open(end));
        let other = match (file.is_readable(), file.is_writable()) {
            (true, false) if !nonblocking => Some(End::Write),
            (false, true) => Some(End::Read),
            _ => None,
        };
        if let Some(other) = other {
            pipe.wait_for_opener(other)?;
        }
        Ok(Arc::new(file))
    }

    /// Another description of the same, at the same offset: what fork must not
    /// make.
    pub(super) fn twin(self: &Arc<Self>) -> Arc<Self> {
        match self.inode().kind() {
            Kind::Regular(_) if !self.is_writable() || self.is_path() => self.clone(),
            Kind::Regular(_) => {
                let twin = Self::open(self.place.clone(), self.origin.clone(), self.flags());
                let at = self.offset.try_lock().map_or(0, |at| *at);
                twin.map_or_else(
                    |_| self.clone(),
                    |twin| {
                        if let Some(mut offset) = twin.offset.try_lock() {
                            *offset = at;
                        }
                        twin
                    },
                )
            }
            _ => self.clone(),
        }
    }

    fn bare(place: Place, origin: Option<(Place, Box<[u8]>)>, flags: u32) -> Self {
        File {
            _counted: Counted::new(Type::File),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            runs: false,
            place,
            origin,
            flags: AtomicU32::new(flags),
            offset: Mutex::new(0),
            cookie: SpinLock::new(0),
        }
    }

    /// A number unlike any other description's.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What it is a description of.
    pub fn inode(&self) -> &Arc<Inode> {
        self.place.inode()
    }

    /// The directory and the name that led to it, if any did.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Where that is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its path where `/` is `root`, or what stands for one.
    pub fn path(&self, root: &Place) -> Vec<u8> {
        let number = self.inode().number();
        match (self.inode().kind(), &self.origin) {
            (Kind::Directory(directory), _) => {
                let mut path = self.place.path(root);
                if directory.is_gone() {
                    path.extend_from_slice(b" (deleted)");
                }
                path
            }
            (Kind::Virtual(_), _) => self.place.path(root),
            (_, Some((parent, name))) => named_path(parent, name, self.inode(), root),
            (Kind::Pipe(_), None) => format!("pipe:[{number}]").into_bytes(),
            (Kind::Special(special), None) => special.label().into_bytes(),
            _ => Vec::new(),
        }
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

    /// True if it does not wait.
    pub fn is_nonblocking(&self) -> bool {
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
        match (self.inode().kind(), at) {
            (Kind::Regular(regular), Some(at)) => {
                let done = regular.read_at(at, to)?;
                self.note_reading();
                Ok(done)
            }
            (Kind::Regular(regular), None) => {
                let mut offset = self.offset.lock();
                let done = regular.read_at(*offset, to)?;
                *offset += done as u64;
                self.note_reading();
                Ok(done)
            }
            (Kind::Directory(_) | Kind::Virtual(_), _) => Err(Errno::EISDIR),
            (Kind::Special(special), at) => self.read_special(&**special, to, at),
            (Kind::Pipe(pipe), None) => pipe.read(to, self.is_nonblocking()),
            (Kind::Device(device), None) => device.read(to, self.is_nonblocking()),
            (Kind::Device(device), Some(_)) if device.tty().is_none() => {
                device.read(to, self.is_nonblocking())
            }
            (Kind::Pipe(_) | Kind::Device(_), Some(_)) => Err(Errno::ESPIPE),
            (Kind::Symlink(_) | Kind::Magic(_) | Kind::Inert { .. }, _) => Err(Errno::EBADF),
        }
    }

    /// What is written to gives nobody another identity any more.
    pub fn drop_set_id(&self) {
        let mode = self.inode().mode();
        if mode & (S_ISUID | S_ISGID) == 0 || crate::mutant!("write-keeps-set-id") {
            return;
        }
        let left = permission::mode_after_change(mode, self.inode().owner());
        self.inode()
            .with_attributes(|attributes| attributes.permissions = left & PERMISSIONS);
    }

    /// Its contents were read.
    pub fn note_reading(&self) {
        let unwanted = self.flags() & O_NOATIME != 0
            || self.place.mount().flags() & (MS_NOATIME | MS_RDONLY) != 0;
        if !unwanted {
            self.inode().touch_accessed();
        }
    }

    fn read_special(
        &self,
        special: &dyn SpecialFile,
        to: &mut dyn Sink,
        at: Option<u64>,
    ) -> Result<usize> {
        match at {
            Some(_) if !special.seekable() => Err(Errno::ESPIPE),
            Some(at) => special.read(to, at, self.is_nonblocking()),
            None if !special.seekable() => special.read(to, 0, self.is_nonblocking()),
            None => {
                let mut offset = self.offset.lock();
                let done = special.read(to, *offset, self.is_nonblocking())?;
                *offset += done as u64;
                Ok(done)
            }
        }
    }

    fn write_special(
        &self,
        special: &dyn SpecialFile,
        from: &mut dyn Source,
        at: Option<u64>,
    ) -> Result<usize> {
        match at {
            Some(_) if !special.seekable() => Err(Errno::ESPIPE),
            Some(at) => special.write(from, at, self.is_nonblocking()),
            None if !special.seekable() => special.write(from, 0, self.is_nonblocking()),
            None => {
                let mut offset = self.offset.lock();
                if self.flags() & O_APPEND != 0 {
                    *offset = special.size();
                }
                let done = special.write(from, *offset, self.is_nonblocking())?;
                *offset += done as u64;
                Ok(done)
            }
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
        match (self.inode().kind(), at) {
            (Kind::Regular(_), _) => self.write_regular(from, at),
            (Kind::Special(special), at) => self.write_special(&**special, from, at),
            (Kind::Pipe(pipe), None) => pipe.write(from, self.is_nonblocking()),
            (Kind::Device(device), None) => device.write(from, self.is_nonblocking()),
            (Kind::Device(device), Some(_)) if device.tty().is_none() => {
                device.write(from, self.is_nonblocking())
            }
            (Kind::Pipe(_) | Kind::Device(_), Some(_)) => Err(Errno::ESPIPE),
            _ => Err(Errno::EBADF),
        }
    }

    fn write_regular(&self, from: &mut dyn Source, at: Option<u64>) -> Result<usize> {
        let Kind::Regular(regular) = self.inode().kind() else {
            return Err(Errno::EBADF);
        };
        let append = self.flags() & O_APPEND != 0 && !crate::mutant!("append-at-offset");
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
        self.inode().touch();
        self.drop_set_id();
        Ok(done)
    }

    /// True if positions mean something in it.
    pub fn is_seekable(&self) -> bool {
        match self.inode().kind() {
            Kind::Pipe(_) => false,
            Kind::Device(device) => device.tty().is_none(),
            Kind::Special(special) => special.seekable(),
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
        if let Kind::Special(special) = self.inode().kind()
            && special.ignores_seek()
        {
            return Ok(0);
        }
        if !self.is_seekable() {
            return Err(Errno::ESPIPE);
        }
        match self.inode().kind() {
            Kind::Regular(_) | Kind::Special(_) => {
                let mut offset = self.offset.lock();
                *offset = self.target(*offset, distance, whence)?;
                Ok(*offset)
            }
            Kind::Directory(_) | Kind::Virtual(_) => {
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
        let len = match self.inode().kind() {
            Kind::Regular(regular) => regular.len(),
            Kind::Special(special) => special.size(),
            _ => 0,
        };
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
        match self.inode().kind() {
            Kind::Pipe(pipe) => self
                .ends()
                .fold(0, |ready, end| ready | pipe.readiness(end)),
            Kind::Device(device) => device.readiness(),
            Kind::Special(special) => special.readiness(),
            _ => POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
        }
    }

    /// Where to wait for a change of that readiness, if it can change.
    pub fn queues(&self) -> [Option<&WaitQueue>; 2] {
        match self.inode().kind() {
            Kind::Pipe(pipe) => {
                let mut ends = self.ends().map(|end| pipe.queue(end));
                [ends.next(), ends.next()]
            }
            Kind::Device(device) => match device.tty() {
                Some(tty) => tty.queues().map(Some),
                None => [None, None],
            },
            Kind::Special(special) => [special.queue(), None],
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

/// The path of a name in a directory; whether it was removed since.
fn named_path(parent: &Place, name: &[u8], inode: &Arc<Inode>, root: &Place) -> Vec<u8> {
    let mut path = parent.path(root);
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    if inode.is_nameless() {
        path.extend_from_slice(b" (deleted)");
    }
    path
}

impl Drop for File {
    fn drop(&mut self) {
        if self.is_path() {
            return;
        }
        self.place.inode().locks().description_gone(self.id);
        if self.runs {
            self.place.inode().end_running();
        }
        match self.place.inode().kind() {
            Kind::Pipe(pipe) => self.ends().for_each(|end| pipe.close(end)),
            Kind::Special(special) => special.closed(self.flags()),
            Kind::Regular(_) if self.is_writable() => self.place.inode().end_writing(),
            _ => {}
        }
    }
}

/// The flags of open that a description keeps.
pub const KEPT: u32 =
    O_ACCMODE | CHANGEABLE | O_LARGEFILE | O_PATH | O_DIRECTORY | O_NOFOLLOW | O_SYNC;
