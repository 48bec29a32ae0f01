//! Directories: names in the order in which they came.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::inode::Inode;
use crate::errno::{Errno, Result};
use crate::sync::SpinLock;

/// The longest name of one file.
pub const NAME_MAX: usize = 255;

/// Cookies 0 and 1 stand for `.` and `..`.
const FIRST_COOKIE: u64 = 2;

/// A list of names.
///
/// Every entry has a number that grows with each entry made: `getdents64`
/// goes on behind the last number it gave, so entries that come and go
/// meanwhile make it neither skip nor repeat another.
pub struct Directory {
    parent: Weak<Inode>,
    entries: SpinLock<Entries>,
}

struct Entries {
    by_name: BTreeMap<Box<[u8]>, (u64, Arc<Inode>)>,
    by_cookie: BTreeMap<u64, Box<[u8]>>,
    next: u64,
    /// Set by rmdir: nothing is created in a directory that is gone.
    gone: bool,
}

/// One entry as `getdents64` sees it.
pub struct Entry {
    /// Where to go on after this entry.
    pub next: u64,
    /// The name.
    pub name: Vec<u8>,
    /// What it stands for.
    pub inode: Arc<Inode>,
}

impl Directory {
    /// An empty one.
    pub fn new(parent: Weak<Inode>) -> Self {
        let entries = Entries {
            by_name: BTreeMap::new(),
            by_cookie: BTreeMap::new(),
            next: FIRST_COOKIE,
            gone: false,
        };
        Directory {
            parent,
            entries: SpinLock::new(entries),
        }
    }

    /// The directory that `..` stands for; none if that is gone.
    pub fn parent(&self) -> Option<Arc<Inode>> {
        self.parent.upgrade()
    }

    /// What a name stands for.
    pub fn get(&self, name: &[u8]) -> Option<Arc<Inode>> {
        let entries = self.entries.lock();
        entries.by_name.get(name).map(|(_, inode)| inode.clone())
    }

    /// Enters a new name.
    ///
    /// # Errors
    /// EEXIST: the name is taken; ENOENT: the directory itself was removed.
    pub fn insert(&self, name: &[u8], inode: &Arc<Inode>) -> Result<()> {
        let mut entries = self.entries.lock();
        if entries.gone {
            return Err(Errno::ENOENT);
        }
        if entries.by_name.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        entries.put(name, inode.clone());
        Ok(())
    }

    /// Enters a name, whatever it stood for before.
    pub fn replace(&self, name: &[u8], inode: Arc<Inode>) {
        let old = {
            let mut entries = self.entries.lock();
            let old = entries.take(name);
            entries.put(name, inode);
            old
        };
        if let Some(old) = old {
            old.unlinked();
        }
    }

    /// Removes the name of something that is no directory.
    ///
    /// # Errors
    /// ENOENT, or EISDIR.
    pub fn unlink(&self, name: &[u8]) -> Result<()> {
        let old = {
            let mut entries = self.entries.lock();
            match entries.by_name.get(name) {
                None => return Err(Errno::ENOENT),
                Some((_, inode)) if inode.is_directory() => return Err(Errno::EISDIR),
                Some(_) => entries.take(name),
            }
        };
        if let Some(old) = old {
            old.unlinked();
        }
        Ok(())
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR or ENOTEMPTY.
    pub fn remove_directory(&self, name: &[u8]) -> Result<()> {
        let inode = self.get(name).ok_or(Errno::ENOENT)?;
        inode.directory()?.close_if_empty()?;
        let old = self.entries.lock().take(name);
        if let Some(old) = old {
            old.unlinked();
        }
        Ok(())
    }

    fn close_if_empty(&self) -> Result<()> {
        let mut entries = self.entries.lock();
        if entries.gone {
            return Err(Errno::ENOENT);
        }
        if !entries.by_name.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        entries.gone = true;
        Ok(())
    }

    /// True if rmdir removed it.
    pub fn is_gone(&self) -> bool {
        self.entries.lock().gone
    }

    /// The first entry whose number is at least `cookie`.
    pub fn entry_from(&self, cookie: u64) -> Option<Entry> {
        let entries = self.entries.lock();
        let (number, name) = entries.by_cookie.range(cookie..).next()?;
        let (_, inode) = entries.by_name.get(name)?;
        Some(Entry {
            next: number + 1,
            name: name.to_vec(),
            inode: inode.clone(),
        })
    }

    /// The name under which an inode is entered here.
    pub fn name_of(&self, wanted: &Arc<Inode>) -> Option<Vec<u8>> {
        let entries = self.entries.lock();
        let mut names = entries.by_name.iter();
        names
            .find(|(_, (_, inode))| Arc::ptr_eq(inode, wanted))
            .map(|(name, _)| name.to_vec())
    }

    /// How many directories are entered here: each has a `..` that links back.
    pub fn subdirectories(&self) -> u32 {
        let entries = self.entries.lock();
        let inodes = entries.by_name.values();
        inodes.filter(|(_, inode)| inode.is_directory()).count() as u32
    }
}

impl Entries {
    fn put(&mut self, name: &[u8], inode: Arc<Inode>) {
        let cookie = self.next;
        self.next += 1;
        self.by_name.insert(name.into(), (cookie, inode));
        self.by_cookie.insert(cookie, name.into());
    }

    fn take(&mut self, name: &[u8]) -> Option<Arc<Inode>> {
        let (cookie, inode) = self.by_name.remove(name)?;
        self.by_cookie.remove(&cookie);
        Some(inode)
    }
}
