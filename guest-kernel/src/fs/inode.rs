//! Inodes: what a name stands for.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use linux_raw_sys::general::{S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG};

use super::device::Device;
use super::directory::Directory;
use super::hooks::{self, Timestamp};
use super::pipe::Pipe;
use super::regular::Regular;
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::sync::SpinLock;

/// The bits of a mode that `chmod` and `umask` speak of.
pub const PERMISSIONS: u32 = 0o7777;

/// The device number of the file system in memory.
const MEMORY_DEVICE: u64 = 0x15;

/// The device number of the place where pipes live.
const PIPE_DEVICE: u64 = 0x0E;

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
    /// A pipe.
    Pipe(Pipe),
}

/// Something that can have a name.
pub struct Inode {
    _counted: Counted,
    number: u64,
    kind: Kind,
    permissions: u32,
    links: AtomicU32,
    modified: SpinLock<Timestamp>,
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
    /// For a device its number.
    pub special: u64,
    /// Bytes in it.
    pub size: u64,
    /// When its contents were last changed.
    pub modified: Timestamp,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl Inode {
    /// A new inode that has one name (a directory two: its own and `.`).
    pub fn new(kind: Kind, permissions: u32) -> Arc<Self> {
        Arc::new(Self::bare(kind, permissions, hooks::now()))
    }

    /// A new inode with a given date.
    pub fn new_dated(kind: Kind, permissions: u32, modified: Timestamp) -> Arc<Self> {
        Arc::new(Self::bare(kind, permissions, modified))
    }

    /// A directory that is its own parent.
    pub fn new_root() -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Inode>| {
            let kind = Kind::Directory(Directory::new(this.clone()));
            Self::bare(kind, 0o755, Timestamp::default())
        })
    }

    /// An empty directory for `parent`; the caller enters it there.
    pub fn new_directory(parent: &Arc<Inode>, permissions: u32) -> Arc<Self> {
        let kind = Kind::Directory(Directory::new(Arc::downgrade(parent)));
        Self::new(kind, permissions)
    }

    fn bare(kind: Kind, permissions: u32, modified: Timestamp) -> Self {
        let links = if matches!(kind, Kind::Directory(_)) {
            2
        } else {
            1
        };
        Inode {
            _counted: Counted::new(Type::Inode),
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            kind,
            permissions: permissions & PERMISSIONS,
            links: AtomicU32::new(links),
            modified: SpinLock::new(modified),
        }
    }

    /// Its number, unlike any other's.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its entries, if it is a directory.
    ///
    /// # Errors
    /// ENOTDIR: it is none.
    pub fn directory(&self) -> Result<&Directory> {
        match &self.kind {
            Kind::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// True if it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    /// Its contents, if it is a regular file.
    pub fn regular(&self) -> Option<&Regular> {
        match &self.kind {
            Kind::Regular(regular) => Some(regular),
            _ => None,
        }
    }

    /// Kind and permissions, as in `st_mode`.
    pub fn mode(&self) -> u32 {
        let kind = match self.kind {
            Kind::Regular(_) => S_IFREG,
            Kind::Directory(_) => S_IFDIR,
            Kind::Symlink(_) => S_IFLNK,
            Kind::Device(_) => S_IFCHR,
            Kind::Pipe(_) => S_IFIFO,
        };
        kind | self.permissions
    }

    /// Owner and owning group.
    pub fn owner(&self) -> (u32, u32) {
        (0, 0)
    }

    /// True if anybody may execute it, which is what root needs.
    pub fn is_executable(&self) -> bool {
        self.permissions & 0o111 != 0
    }

    /// Its contents changed just now.
    pub fn touch(&self) {
        let now = hooks::now();
        *self.modified.lock() = now;
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
    }

    /// What `stat` tells.
    pub fn metadata(&self) -> Metadata {
        let size = match &self.kind {
            Kind::Regular(regular) => regular.len(),
            Kind::Symlink(target) => target.len() as u64,
            _ => 0,
        };
        let subdirectories = match &self.kind {
            Kind::Directory(directory) => directory.subdirectories(),
            _ => 0,
        };
        let special = match &self.kind {
            Kind::Device(device) => device.number(),
            _ => 0,
        };
        let device = match &self.kind {
            Kind::Pipe(_) => PIPE_DEVICE,
            _ => MEMORY_DEVICE,
        };
        Metadata {
            device,
            number: self.number,
            mode: self.mode(),
            links: self.links.load(Ordering::Relaxed) + subdirectories,
            special,
            size,
            modified: *self.modified.lock(),
        }
    }
}
