//! Directories: names in the order in which they came.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::inode::{Inode, Kind};
use super::rename::Name;
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
    link: SpinLock<Link>,
    entries: SpinLock<Entries>,
}

/// The one name that a directory has. It stays when the directory is removed,
/// for whoever still tells where it was.
struct Link {
    parent: Weak<Inode>,
    name: Box<[u8]>,
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
    /// The number of what it stands for.
    pub number: u64,
    /// The kind of that: the upper bits of its mode.
    pub kind: u8,
}

impl Directory {
    /// An empty one, that is about to get this name.
    pub fn new(parent: Weak<Inode>, name: &[u8]) -> Self {
        let entries = Entries {
            by_name: BTreeMap::new(),
            by_cookie: BTreeMap::new(),
            next: FIRST_COOKIE,
            gone: false,
        };
        Directory {
            link: SpinLock::new(Link {
                parent,
                name: name.into(),
            }),
            entries: SpinLock::new(entries),
        }
    }

    /// The directory that `..` stands for; none if that is gone.
    pub fn parent(&self) -> Option<Arc<Inode>> {
        self.link.lock().parent.upgrade()
    }

    /// The name that it has there.
    pub fn name(&self) -> Vec<u8> {
        self.link.lock().name.to_vec()
    }

    fn moved(&self, parent: &Arc<Inode>, name: &[u8]) {
        let link = Link {
            parent: Arc::downgrade(parent),
            name: name.into(),
        };
        let old = core::mem::replace(&mut *self.link.lock(), link);
        drop(old);
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

    /// Enters one more name of something that has names already.
    ///
    /// # Errors
    /// EEXIST: the name is taken; ENOENT: the directory was removed, or the
    /// file has lost its last name.
    pub fn link(&self, name: &[u8], inode: &Arc<Inode>) -> Result<()> {
        if !inode.may_get_name() {
            return Err(Errno::ENOENT);
        }
        self.insert(name, inode)?;
        inode.linked();
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
            if crate::mutant!("open-file-dies-with-name")
                && let Some(regular) = old.regular()
            {
                regular.truncate(0);
            }
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

    /// True if it holds no names.
    pub fn is_empty(&self) -> bool {
        self.entries.lock().by_name.is_empty()
    }

    /// Takes a name out, whatever it stands for.
    pub(super) fn remove(&self, name: &[u8]) -> Option<Arc<Inode>> {
        self.entries.lock().take(name)
    }

    /// Enters a free name of this directory, which is `own`; a directory's
    /// one name is this from now on.
    pub(super) fn enter(&self, own: &Arc<Inode>, name: &[u8], inode: Arc<Inode>) {
        if let Kind::Directory(moved) = inode.kind() {
            moved.moved(own, name);
        }
        self.entries.lock().put(name, inode);
    }

    /// Moves a name; gives what had the new one before. Whoever looks up
    /// meanwhile finds it under one of the two.
    pub(super) fn shift(
        from: &Directory,
        to: &Directory,
        old: &Name<'_>,
        new: &Name<'_>,
    ) -> Option<Arc<Inode>> {
        let moved = from.get(old.name)?;
        if let Kind::Directory(directory) = moved.kind() {
            directory.moved(new.parent, new.name);
        }
        let mut entries = to.entries.lock();
        let replaced = entries.take(new.name);
        entries.put(new.name, moved);
        if core::ptr::eq(from, to) {
            drop(entries.take(old.name));
            return replaced;
        }
        drop(entries);
        drop(from.remove(old.name));
        replaced
    }

    /// Marks an empty directory as gone: nothing is created in it any more.
    ///
    /// # Errors
    /// ENOTEMPTY, or ENOENT if it is gone already.
    pub(super) fn close_if_empty(&self) -> Result<()> {
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
            number: inode.number(),
            kind: (inode.mode() >> 12) as u8,
        })
    }

    /// Takes out the first name, whatever it stands for.
    pub(super) fn remove_first(&self) -> Option<Arc<Inode>> {
        let mut entries = self.entries.lock();
        let name = entries.by_name.keys().next()?.clone();
        entries.take(&name)
    }

    /// All that is entered here.
    pub fn inodes(&self) -> Vec<Arc<Inode>> {
        let entries = self.entries.lock();
        let inodes = entries.by_name.values();
        inodes.map(|(_, inode)| inode.clone()).collect()
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
