//! Inodes: what a name stands for.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

use linux_raw_sys::general::{S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG};

use super::attributes::{Attributes, PERMISSIONS};
use super::device::Device;
use super::directory::Directory;
use super::hooks::{self, Timestamp};
use super::locks::Locks;
use super::pipe::Pipe;
use super::regular::Regular;
use super::special::{MagicLink, SpecialFile, VirtualDirectory};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::sync::SpinLock;

/// The device number of the first file system in memory.
pub const MEMORY_DEVICE: u64 = 0x15;

/// The device number of the place where pipes live.
const PIPE_DEVICE: u64 = 0x0E;

/// The device number of the place where inodes without names live.
const ANONYMOUS_DEVICE: u64 = 0x0F;

/// What an inode is.
pub enum Kind {
    /// A file with contents.
    Regular(Regular),
    /// A list of names.
    Directory(Directory),
    /// A name for another path.
    Symlink(Box<[u8]>),
    /// A character device.
    Device(Device),
    /// A pipe, with or without a name.
    Pipe(Pipe),
    /// A device that nobody drives, or a socket's name: it can be made,
    /// looked at and removed, and not be opened.
    Inert {
        /// The kind, as in `st_mode`.
        file_type: u32,
        /// For a device its number.
        number: u64,
    },
    /// What one room of the kernel makes up.
    Special(Box<dyn SpecialFile>),
    /// A list of names that is made up when somebody looks.
    Virtual(Box<dyn VirtualDirectory>),
    /// A link whose target is found when somebody follows it.
    Magic(Box<dyn MagicLink>),
}

/// Something that can have a name.
pub struct Inode {
    _counted: Counted,
    number: u64,
    device: u64,
    kind: Kind,
    links: AtomicU32,
    attributes: SpinLock<Attributes>,
    locks: Locks,
    /// Its pages are, or were, in some task's memory.
    mapped: AtomicBool,
    /// It has no name and may get one (O_TMPFILE).
    nameable: AtomicBool,
    /// Descriptions that may write, or if negative programs that run from it.
    writers: AtomicI32,
}

/// What `stat` tells about an inode.
pub struct Metadata {
    /// The file system's device number.
    pub device: u64,
    /// The inode number.
    pub number: u64,
    /// Kind and permissions, as in `st_mode`.
    pub mode: u32,
    /// How many names it has.
    pub links: u32,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// For a device its number.
    pub special: u64,
    /// Bytes in it.
    pub size: u64,
    /// Pieces of 512 bytes that it takes up.
    pub sectors: u64,
    /// When its contents were last read.
    pub accessed: Timestamp,
    /// When its contents were last changed.
    pub modified: Timestamp,
    /// When anything about it was last changed.
    pub changed: Timestamp,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl Inode {
    /// A new inode that has one name (a directory two: its own and `.`), of
    /// the first file system; it is the running task's.
    pub fn new(kind: Kind, permissions: u32) -> Arc<Self> {
        let device = match kind {
            Kind::Pipe(_) => PIPE_DEVICE,
            _ => MEMORY_DEVICE,
        };
        Self::on(device, kind, permissions)
    }

    /// A new inode of a file system; it is the running task's.
    pub fn on(device: u64, kind: Kind, permissions: u32) -> Arc<Self> {
        let attributes = Attributes::new(permissions, hooks::owner(), hooks::now());
        Arc::new(Self::bare(device, kind, attributes))
    }

    /// A new inode of the first file system with a given date; it is root's.
    pub fn new_dated(kind: Kind, permissions: u32, modified: Timestamp) -> Arc<Self> {
        let attributes = Attributes::new(permissions, (0, 0), modified);
        Arc::new(Self::bare(MEMORY_DEVICE, kind, attributes))
    }

    /// A directory that is its own parent: the root of a file system.
    pub fn new_root(device: u64, permissions: u32) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Inode>| {
            let kind = Kind::Directory(Directory::new(this.clone(), &[]));
            let attributes = Attributes::new(permissions, hooks::owner(), hooks::now());
            Self::bare(device, kind, attributes)
        })
    }

    /// An empty directory for `parent`; the caller enters it there.
    pub fn new_directory(parent: &Arc<Inode>, name: &[u8], permissions: u32) -> Arc<Self> {
        let kind = Kind::Directory(Directory::new(Arc::downgrade(parent), name));
        Self::on(parent.device, kind, permissions)
    }

    /// An inode that has no name: what the calls open that make a descriptor
    /// out of nothing.
    pub fn anonymous(special: Box<dyn SpecialFile>, permissions: u32) -> Arc<Self> {
        Self::on(ANONYMOUS_DEVICE, Kind::Special(special), permissions)
    }

    /// An inode of a file system that is made up as somebody looks: with a
    /// number and an owner that stay the same although it is made anew.
    pub fn made_up(
        device: u64,
        number: u64,
        kind: Kind,
        permissions: u32,
        owner: (u32, u32),
    ) -> Arc<Self> {
        let attributes = Attributes::new(permissions, owner, hooks::now());
        let mut inode = Self::bare(device, kind, attributes);
        inode.number = number;
        Arc::new(inode)
    }

    fn bare(device: u64, kind: Kind, attributes: Attributes) -> Self {
        let links = match kind {
            Kind::Directory(_) | Kind::Virtual(_) => 2,
            _ => 1,
        };
        Inode {
            _counted: Counted::new(Type::Inode),
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            device,
            kind,
            links: AtomicU32::new(links),
            attributes: SpinLock::new(attributes),
            locks: Locks::new(),
            mapped: AtomicBool::new(false),
            nameable: AtomicBool::new(false),
            writers: AtomicI32::new(0),
        }
    }

    /// Its number, unlike any other's of its file system.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The device number of its file system.
    pub fn device(&self) -> u64 {
        self.device
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its entries, if it is a directory in which names can be made.
    ///
    /// # Errors
    /// ENOTDIR: it is no directory; EPERM: it is one that is made up.
    pub fn directory(&self) -> Result<&Directory> {
        match &self.kind {
            Kind::Directory(directory) => Ok(directory),
            Kind::Virtual(_) => Err(Errno::EPERM),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// True if it is a directory of either kind.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_) | Kind::Virtual(_))
    }

    /// Refuses what is no directory.
    ///
    /// # Errors
    /// ENOTDIR.
    pub fn check_directory(&self) -> Result<()> {
        if self.is_directory() {
            Ok(())
        } else {
            Err(Errno::ENOTDIR)
        }
    }

    /// What a name in this directory stands for.
    ///
    /// # Errors
    /// ENOTDIR; and where names are made up ENOENT for those that are not.
    pub fn child(&self, name: &[u8]) -> Result<Option<Arc<Inode>>> {
        match &self.kind {
            Kind::Directory(directory) => Ok(directory.get(name)),
            Kind::Virtual(directory) => match directory.get(name)? {
                Some(inode) => Ok(Some(inode)),
                None => Err(Errno::ENOENT),
            },
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// The directory that holds this one; none for a root, or if it is gone.
    pub fn parent(&self) -> Option<Arc<Inode>> {
        match &self.kind {
            Kind::Directory(directory) => directory.parent(),
            Kind::Virtual(directory) => directory.parent(),
            _ => None,
        }
    }

    /// Its contents, if it is a regular file.
    pub fn regular(&self) -> Option<&Regular> {
        match &self.kind {
            Kind::Regular(regular) => Some(regular),
            _ => None,
        }
    }

    /// What is behind it, if it is a special file of this type.
    pub fn special<T: SpecialFile>(&self) -> Option<&T> {
        match &self.kind {
            Kind::Special(special) => {
                let any: &dyn Any = &**special;
                any.downcast_ref()
            }
            _ => None,
        }
    }

    /// Kind and permissions, as in `st_mode`.
    pub fn mode(&self) -> u32 {
        let kind = match &self.kind {
            Kind::Regular(_) => S_IFREG,
            Kind::Directory(_) | Kind::Virtual(_) => S_IFDIR,
            Kind::Symlink(_) | Kind::Magic(_) => S_IFLNK,
            Kind::Device(_) => S_IFCHR,
            Kind::Pipe(_) => S_IFIFO,
            Kind::Inert { file_type, .. } => *file_type,
            Kind::Special(special) => special.file_type(),
        };
        kind | self.attributes.lock().permissions
    }

    /// Owner and owning group.
    pub fn owner(&self) -> (u32, u32) {
        let attributes = self.attributes.lock();
        (attributes.uid, attributes.gid)
    }

    /// Looks at, or changes, permissions, owner and dates.
    pub fn with_attributes<R>(&self, work: impl FnOnce(&mut Attributes) -> R) -> R {
        work(&mut self.attributes.lock())
    }

    /// True if anybody may execute it, which is what root needs.
    pub fn is_executable(&self) -> bool {
        self.attributes.lock().permissions & 0o111 != 0
    }

    /// Its contents changed just now.
    pub fn touch(&self) {
        let now = hooks::now();
        let mut attributes = self.attributes.lock();
        if !crate::mutant!("write-keeps-date") {
            attributes.modified = now;
        }
        attributes.changed = now;
    }

    /// Something about it changed just now.
    pub fn touch_changed(&self) {
        let now = hooks::now();
        self.attributes.lock().changed = now;
    }

    /// Its contents were read just now: noted as Linux does by default.
    pub fn touch_accessed(&self) {
        let now = hooks::now();
        self.attributes.lock().read_at(now);
    }

    /// The locks on it.
    pub fn locks(&self) -> &Locks {
        &self.locks
    }

    pub(super) fn note_mapping(&self) {
        self.mapped.store(true, Ordering::Relaxed);
    }

    /// Gives a file this length. What lies behind it is gone from the memory
    /// of those who map it too.
    pub fn set_len(&self, len: u64) {
        let Kind::Regular(regular) = &self.kind else {
            return;
        };
        let shorter = len < regular.len();
        regular.truncate(len);
        if shorter && self.mapped.load(Ordering::Relaxed) {
            hooks::truncated(self, len);
        }
        self.touch();
    }

    /// One more description may write to it.
    ///
    /// # Errors
    /// ETXTBSY: a program runs from it.
    pub(super) fn begin_writing(&self) -> Result<()> {
        let more = |count: i32| (count >= 0).then_some(count + 1);
        self.count_writers(more)
    }

    pub(super) fn end_writing(&self) {
        self.writers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Refuses writing while a program runs from it.
    ///
    /// # Errors
    /// ETXTBSY.
    pub fn check_no_program(&self) -> Result<()> {
        if self.writers.load(Ordering::Relaxed) < 0 && !crate::mutant!("text-not-busy") {
            return Err(Errno::ETXTBSY);
        }
        Ok(())
    }

    /// One more program runs from it.
    ///
    /// # Errors
    /// ETXTBSY: somebody may write to it.
    pub(super) fn begin_running(&self) -> Result<()> {
        self.count_writers(|count| (count <= 0).then_some(count - 1))
    }

    pub(super) fn end_running(&self) {
        self.writers.fetch_add(1, Ordering::Relaxed);
    }

    fn count_writers(&self, change: impl FnMut(i32) -> Option<i32>) -> Result<()> {
        let order = Ordering::Relaxed;
        let changed = self.writers.fetch_update(order, order, change);
        if crate::mutant!("text-not-busy") {
            return Ok(());
        }
        changed.map(drop).map_err(|_| Errno::ETXTBSY)
    }

    /// How many names it has; a directory's subdirectories not counted.
    pub fn links(&self) -> u32 {
        self.links.load(Ordering::Relaxed)
    }

    pub(super) fn linked(&self) {
        self.links.fetch_add(1, Ordering::Relaxed);
    }

    /// It has lost a name; a directory has lost `.` with it.
    pub(super) fn unlinked(&self) {
        if self.is_directory() {
            self.links.store(0, Ordering::Relaxed);
        } else {
            self.links.fetch_sub(1, Ordering::Relaxed);
        }
        self.touch_changed();
    }

    /// A new file that has no name.
    pub fn new_nameless(device: u64, permissions: u32) -> Arc<Self> {
        let inode = Self::on(device, Kind::Regular(Regular::new(&[])), permissions);
        if !crate::mutant!("tmpfile-has-name") {
            inode.links.store(0, Ordering::Relaxed);
        }
        inode
    }

    /// Although it has no name, it may get one.
    pub fn allow_name(&self) {
        self.nameable.store(true, Ordering::Relaxed);
    }

    /// True if a name may be given to it.
    pub fn may_get_name(&self) -> bool {
        !self.is_nameless() || self.nameable.swap(false, Ordering::Relaxed)
    }

    /// It never had a name, or has none any more.
    pub fn is_nameless(&self) -> bool {
        self.links() == 0
    }

    /// What `stat` tells.
    pub fn metadata(&self) -> Metadata {
        let mode = self.mode();
        let subdirectories = match &self.kind {
            Kind::Directory(directory) => directory.subdirectories(),
            _ => 0,
        };
        let attributes = self.attributes.lock().clone();
        Metadata {
            device: self.device,
            number: self.number,
            mode,
            links: self.links() + subdirectories,
            uid: attributes.uid,
            gid: attributes.gid,
            special: self.device_number(),
            size: self.size(),
            sectors: self.regular().map_or(0, Regular::sectors),
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
        }
    }

    fn size(&self) -> u64 {
        match &self.kind {
            Kind::Regular(regular) => regular.len(),
            Kind::Symlink(target) => target.len() as u64,
            Kind::Special(special) => special.size(),
            _ => 0,
        }
    }

    fn device_number(&self) -> u64 {
        match &self.kind {
            Kind::Device(device) => device.number(),
            Kind::Inert { number, .. } => *number,
            Kind::Special(special) => special.device_number(),
            _ => 0,
        }
    }
}

const _: () = assert!(PERMISSIONS == 0o7777);
