//! The descriptor table: the part of a context that CLONE_FILES shares.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use super::file::File;
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};

#[derive(Clone)]
struct Slot {
    file: Arc<File>,
    close_on_exec: bool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Which description each descriptor stands for.
///
/// Removed descriptions are handed to the caller, who drops them after the
/// table is unlocked: the last one closes the file, which wakes others.
pub struct FdTable {
    /// Unlike any other table's: whose a lock is.
    id: u64,
    slots: Vec<Option<Slot>>,
    _counted: Counted,
}

impl Default for FdTable {
    fn default() -> Self {
        Self::with(Vec::new())
    }
}

impl FdTable {
    /// No descriptors.
    pub fn new() -> Self {
        Self::default()
    }

    fn with(slots: Vec<Option<Slot>>) -> Self {
        FdTable {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            slots,
            _counted: Counted::new(Type::Files),
        }
    }

    /// For how many descriptors there is room without taking memory.
    pub fn size(&self) -> usize {
        self.slots.capacity()
    }

    /// A number unlike any other table's.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A descriptor goes: with it all locks that this table holds on the file,
    /// even if another descriptor of it stays.
    fn closing(&self, file: &Arc<File>) {
        file.inode().locks().closed_in(self.id);
    }

    /// Frees the first descriptor of a range, and says which it was.
    #[must_use = "the description is closed by dropping it, outside the lock"]
    pub fn take_first(&mut self, first: usize, last: usize) -> Option<(usize, Arc<File>)> {
        let first = first + usize::from(crate::mutant!("close-range-begins-late"));
        let end = last.saturating_add(1).min(self.slots.len());
        let range = self.slots.get(first.min(end)..end)?;
        let fd = first + range.iter().position(Option::is_some)?;
        let file = self.remove(fd as i32).ok()?;
        Some((fd, file))
    }

    /// Says that exec closes the descriptors of a range.
    pub fn set_range_close_on_exec(&mut self, first: usize, last: usize) {
        let end = last.saturating_add(1).min(self.slots.len());
        let range = self.slots.get_mut(first.min(end)..end);
        for slot in range.into_iter().flatten().flatten() {
            slot.close_on_exec = true;
        }
    }

    /// Every descriptor with its description, and whether exec closes it.
    pub fn all(&self) -> Vec<(i32, Arc<File>, bool)> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter_map(|(fd, slot)| {
                let slot = slot.as_ref()?;
                Some((fd as i32, slot.file.clone(), slot.close_on_exec))
            })
            .collect()
    }

    fn slot(&self, fd: i32) -> Result<&Slot> {
        let slot = usize::try_from(fd).ok().and_then(|fd| self.slots.get(fd));
        slot.and_then(Option::as_ref).ok_or(Errno::EBADF)
    }

    fn slot_mut(&mut self, fd: i32) -> Result<&mut Slot> {
        let slot = usize::try_from(fd)
            .ok()
            .and_then(|fd| self.slots.get_mut(fd));
        slot.and_then(Option::as_mut).ok_or(Errno::EBADF)
    }

    /// The description behind a descriptor.
    ///
    /// # Errors
    /// EBADF.
    pub fn get(&self, fd: i32) -> Result<Arc<File>> {
        Ok(self.slot(fd)?.file.clone())
    }

    /// Gives a description the lowest free descriptor from `lowest` on.
    ///
    /// # Errors
    /// EMFILE: that is not below `limit`. ENOMEM.
    pub fn insert(
        &mut self,
        file: &Arc<File>,
        lowest: usize,
        limit: usize,
        close_on_exec: bool,
    ) -> Result<i32> {
        let used = self.slots.iter().skip(lowest);
        let taken = used.take_while(|slot| slot.is_some()).count();
        let fd = lowest.saturating_add(taken);
        if fd >= limit {
            return Err(Errno::EMFILE);
        }
        self.put(fd, file, close_on_exec)?;
        Ok(fd as i32)
    }

    /// Is there a free descriptor?
    ///
    /// # Errors
    /// EMFILE: none below `limit`.
    pub fn check_free(&self, limit: usize) -> Result<()> {
        let used = self.slots.iter().take_while(|slot| slot.is_some());
        if used.count() >= limit {
            return Err(Errno::EMFILE);
        }
        Ok(())
    }

    /// Makes exactly this descriptor stand for a description, and returns the
    /// one it stood for before.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn replace(
        &mut self,
        fd: usize,
        file: &Arc<File>,
        close_on_exec: bool,
    ) -> Result<Option<Arc<File>>> {
        self.put(fd, file, close_on_exec)
    }

    fn put(
        &mut self,
        fd: usize,
        file: &Arc<File>,
        close_on_exec: bool,
    ) -> Result<Option<Arc<File>>> {
        if fd >= self.slots.len() {
            let more = fd + 1 - self.slots.len();
            self.slots.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
            self.slots.resize(fd + 1, None);
        }
        let slot = Slot {
            file: file.clone(),
            close_on_exec,
        };
        let old = self.slots[fd].replace(slot).map(|old| old.file);
        if let Some(old) = &old {
            self.closing(old);
        }
        Ok(old)
    }

    /// Frees a descriptor.
    ///
    /// # Errors
    /// EBADF.
    #[must_use = "the description is closed by dropping it, outside the lock"]
    pub fn remove(&mut self, fd: i32) -> Result<Arc<File>> {
        self.slot(fd)?;
        let slot = self.slots[fd as usize].take();
        let file = slot.map(|slot| slot.file).ok_or(Errno::EBADF)?;
        self.closing(&file);
        Ok(file)
    }

    /// Whether exec closes this descriptor.
    ///
    /// # Errors
    /// EBADF.
    pub fn close_on_exec(&self, fd: i32) -> Result<bool> {
        Ok(self.slot(fd)?.close_on_exec)
    }

    /// Says whether exec closes this descriptor.
    ///
    /// # Errors
    /// EBADF.
    pub fn set_close_on_exec(&mut self, fd: i32, value: bool) -> Result<()> {
        self.slot_mut(fd)?.close_on_exec = value;
        Ok(())
    }

    /// The copy that a child without CLONE_FILES gets: other descriptors, the
    /// same descriptions.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn copy(&self) -> Result<FdTable> {
        let mut slots = Vec::new();
        let count = self.slots.len();
        slots.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        slots.extend_from_slice(&self.slots);
        if crate::mutant!("fork-copies-offsets") {
            for slot in slots.iter_mut().flatten() {
                slot.file = slot.file.twin();
            }
        }
        Ok(Self::with(slots))
    }

    /// Frees the descriptors that exec closes.
    #[must_use = "the descriptions are closed by dropping them, outside the lock"]
    pub fn take_close_on_exec(&mut self) -> Vec<Arc<File>> {
        let closing = |slot: &mut Option<Slot>| {
            let slot = slot.take_if(|slot| slot.close_on_exec)?;
            Some(slot.file)
        };
        let files: Vec<Arc<File>> = self.slots.iter_mut().filter_map(closing).collect();
        files.iter().for_each(|file| self.closing(file));
        files
    }
}

impl Drop for FdTable {
    fn drop(&mut self) {
        for slot in self.slots.iter().flatten() {
            self.closing(&slot.file);
        }
    }
}
