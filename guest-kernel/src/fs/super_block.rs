//! File systems, each once however often it is mounted, and their types.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use linux_raw_sys::general::{MS_DIRSYNC, MS_MANDLOCK, MS_RDONLY, MS_SYNCHRONOUS};

use super::inode::{Inode, Kind, MEMORY_DEVICE};
use crate::errno::{Errno, Result};
use crate::sync::SpinLock;

/// The flags that belong to a file system and not to one mount of it.
const SUPER_FLAGS: u32 = MS_RDONLY | MS_SYNCHRONOUS | MS_MANDLOCK | MS_DIRSYNC;

/// A file system.
pub struct SuperBlock {
    kind: &'static str,
    source: Box<[u8]>,
    root: Arc<Inode>,
    flags: AtomicU32,
}

impl SuperBlock {
    /// A file system of this type and source, with this root.
    pub fn new(kind: &'static str, source: &[u8], root: Arc<Inode>, flags: u32) -> Arc<Self> {
        Arc::new(SuperBlock {
            kind,
            source: source.into(),
            root,
            flags: AtomicU32::new(flags & SUPER_FLAGS),
        })
    }

    /// The name of its type.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What it was made from, as the mounter said.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Its root.
    pub fn root(&self) -> &Arc<Inode> {
        &self.root
    }

    /// Its flags, all mounts together.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Gives it other flags.
    pub fn set_flags(&self, flags: u32) {
        self.flags.store(flags & SUPER_FLAGS, Ordering::Relaxed);
    }
}

impl Drop for SuperBlock {
    /// Takes the tree apart from its leaves: left to themselves, directories
    /// would drop each other on the stack, however deep they lie.
    fn drop(&mut self) {
        let mut above = alloc::vec![self.root.clone()];
        while let Some(inode) = above.last() {
            let first = match inode.kind() {
                Kind::Directory(directory) => directory.remove_first(),
                _ => None,
            };
            match first {
                Some(inode) if inode.is_directory() => above.push(inode),
                Some(_) => {}
                None => drop(above.pop()),
            }
        }
    }
}

/// What a type makes a file system from.
pub struct Request<'a> {
    /// The options, separated by commas.
    pub data: &'a [u8],
    /// The device number of the file system to be.
    pub device: u64,
}

/// Makes a file system's root.
pub type Make = fn(&Request<'_>) -> Result<Arc<Inode>>;

struct FileSystemType {
    name: &'static str,
    make: Make,
}

static TYPES: SpinLock<Vec<FileSystemType>> = SpinLock::new(Vec::new());
static NEXT_DEVICE: AtomicU64 = AtomicU64::new(MEMORY_DEVICE + 1);

/// Makes a type known to mount.
pub fn register(name: &'static str, make: Make) {
    TYPES.lock().push(FileSystemType { name, make });
}

/// The names of all types.
pub fn types() -> Vec<&'static str> {
    TYPES.lock().iter().map(|known| known.name).collect()
}

/// Makes a file system.
///
/// # Errors
/// ENODEV: there is no such type; and what the type says.
pub fn make(kind: &[u8], source: &[u8], data: &[u8], flags: u32) -> Result<Arc<SuperBlock>> {
    let found = {
        let types = TYPES.lock();
        let mut types = types.iter();
        let known = types.find(|known| known.name.as_bytes() == kind);
        known.map(|known| (known.name, known.make))
    };
    let (name, make) = found.ok_or(Errno::ENODEV)?;
    let root = make(&Request {
        data,
        device: NEXT_DEVICE.fetch_add(1, Ordering::Relaxed),
    })?;
    Ok(SuperBlock::new(name, source, root, flags))
}

/// Makes a file system in memory. Its options are `mode`, `uid` and `gid`;
/// `size` and `nr_inodes` are read and, as there is one limit for all of
/// memory, stand for nothing.
///
/// # Errors
/// EINVAL: an option that there is not.
pub fn make_tmpfs(request: &Request<'_>) -> Result<Arc<Inode>> {
    let mut mode = 0o1777;
    let mut owner = (None, None);
    let options = request.data.split(|byte| *byte == b',');
    for option in options.filter(|option| !option.is_empty()) {
        let option = core::str::from_utf8(option).map_err(|_| Errno::EINVAL)?;
        let (key, value) = option.split_once('=').ok_or(Errno::EINVAL)?;
        match key {
            "mode" => mode = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)? & 0o7777,
            "uid" => owner.0 = Some(value.parse().map_err(|_| Errno::EINVAL)?),
            "gid" => owner.1 = Some(value.parse().map_err(|_| Errno::EINVAL)?),
            "size" | "nr_inodes" | "nr_blocks" => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    let root = Inode::new_root(request.device, mode);
    root.with_attributes(|attributes| {
        attributes.uid = owner.0.unwrap_or(attributes.uid);
        attributes.gid = owner.1.unwrap_or(attributes.gid);
    });
    Ok(root)
}
