//! Keys and ids: objects that stay until somebody removes them.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::permission::Permission;
use crate::errno::{Errno, Result};

/// The key of objects that nobody finds by their key.
pub const IPC_PRIVATE: i32 = 0;
/// Make an object if there is none with the key.
pub const IPC_CREAT: u32 = 0o1000;
/// Fail if there is one.
pub const IPC_EXCL: u32 = 0o2000;
/// Fail rather than wait.
pub const IPC_NOWAIT: u32 = 0o4000;

/// An id is a place, and above it how often places were used again.
const PLACE_BITS: u32 = 15;

/// Something with a key.
pub trait Object {
    /// Its key and owners.
    fn permission(&self) -> &Permission;
}

/// All objects of one kind in a namespace.
pub struct Registry<T> {
    objects: BTreeMap<u32, (i32, Arc<T>)>,
    last: u32,
    sequence: u32,
}

impl<T: Object> Registry<T> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Registry {
            objects: BTreeMap::new(),
            last: 0,
            sequence: 0,
        }
    }

    /// The object with this id.
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn get(&self, id: i32) -> Result<Arc<T>> {
        let place = id as u32 & ((1 << PLACE_BITS) - 1);
        let (own, object) = self.objects.get(&place).ok_or(Errno::EINVAL)?;
        if *own == id {
            Ok(object.clone())
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// The object at this place, and its id.
    ///
    /// # Errors
    /// `EINVAL`.
    pub fn at(&self, place: i32) -> Result<(i32, Arc<T>)> {
        let found = self.objects.get(&(place as u32));
        found.cloned().ok_or(Errno::EINVAL)
    }

    /// The highest place in use, and how many objects there are.
    #[must_use]
    pub fn extent(&self) -> (u32, u32) {
        let highest = self.objects.keys().next_back().copied().unwrap_or(0);
        (highest, self.objects.len() as u32)
    }

    /// The objects, by place.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &Arc<T>)> {
        self.objects.values().map(|(id, object)| (*id, object))
    }

    /// What `semget` and its like ask for: the object with this key, unless
    /// the flags want a new one.
    ///
    /// # Errors
    /// `EEXIST`, `ENOENT`.
    pub fn find(&self, key: i32, flags: u32) -> Result<Option<(i32, Arc<T>)>> {
        if key == IPC_PRIVATE {
            return Ok(None);
        }
        let mut all = self.objects.values();
        match all.find(|(_, object)| object.permission().key() == key) {
            Some(_) if flags & (IPC_CREAT | IPC_EXCL) == IPC_CREAT | IPC_EXCL => Err(Errno::EEXIST),
            Some(found) => Ok(Some(found.clone())),
            None if flags & IPC_CREAT == 0 => Err(Errno::ENOENT),
            None => Ok(None),
        }
    }

    /// Enters a new object, unless there are `most`; gives its id.
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn enter(&mut self, object: Arc<T>, most: u32) -> Result<i32> {
        let free = (0..most).find(|place| !self.objects.contains_key(place));
        let place = free.ok_or(Errno::ENOSPC)?;
        if place <= self.last && self.last != 0 || place == 0 && !self.objects.is_empty() {
            self.sequence = (self.sequence + 1) & 0xFFFF;
        }
        self.last = place;
        let id = (self.sequence << PLACE_BITS | place) as i32;
        self.objects.insert(place, (id, object));
        Ok(id)
    }

    /// Takes out every object of which `gone` is true.
    pub fn forget(&mut self, gone: impl Fn(&T) -> bool) {
        self.objects.retain(|_, (_, object)| !gone(object));
    }

    /// Takes an object out; gives what is to be dropped when nothing is locked.
    #[must_use]
    pub fn remove(&mut self, id: i32) -> Option<Arc<T>> {
        let place = id as u32 & ((1 << PLACE_BITS) - 1);
        self.objects.remove(&place).map(|(_, object)| object)
    }
}
