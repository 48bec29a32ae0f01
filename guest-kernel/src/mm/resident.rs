//! Which pages are there: bringing them in at once, keeping them in, telling,
//! and forgetting them when their file gets shorter.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::backing::Backing;
use super::fault::Access;
use super::space::{Mm, Space};
use super::vma::{Prot, Vma};
use crate::arch::layout::PAGE_SIZE;
use crate::errno::{Errno, Result};

impl Mm {
    /// Marks what is mapped in a range as to be kept in memory, or no more.
    /// (Nothing is ever put out here: it is what is counted and told.)
    ///
    /// # Errors
    /// `ENOMEM` if part of it is not mapped.
    pub fn set_locked(&self, range: Range<u64>, locked: bool) -> Result<()> {
        let mut space = self.lock();
        if !space.is_covered(&range) {
            return Err(Errno::ENOMEM);
        }
        space.mark_locked(range, locked);
        Ok(())
    }

    /// Marks all that is mapped, and if `future` what will be.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn set_all_locked(&self, now: Option<bool>, future: bool) -> Result<Vec<Range<u64>>> {
        let mut space = self.lock();
        let mut all = Vec::new();
        all.try_reserve_exact(space.areas.len())
            .map_err(|_| Errno::ENOMEM)?;
        all.extend(space.areas.values().map(Vma::range));
        space.lock_future = future;
        if let Some(locked) = now {
            for range in &all {
                space.mark_locked(range.clone(), locked);
            }
        }
        Ok(all)
    }

    /// True if what is mapped from now on is to be kept in memory.
    #[must_use]
    pub fn locks_future(&self) -> bool {
        self.lock().lock_future
    }

    /// Bytes that are marked so.
    #[must_use]
    pub fn locked_bytes(&self) -> u64 {
        let space = self.lock();
        let locked = space.areas.values().filter(|area| area.locked);
        locked.map(|area| area.end - area.start).sum()
    }

    /// True if any of a range is marked so.
    #[must_use]
    pub fn is_locked(&self, range: &Range<u64>) -> bool {
        let space = self.lock();
        let mut areas = space.areas.values();
        areas.any(|area| area.locked && area.start < range.end && range.start < area.end)
    }

    /// Brings in every page of a range, private ones that may be written as if
    /// they were.
    ///
    /// # Errors
    /// `ENOMEM` where nothing is mapped, nothing may be read, or there is no
    /// memory; what lies before is there then.
    pub fn populate(&self, range: Range<u64>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            let access = {
                let space = self.lock();
                let area = space.area(at).ok_or(Errno::ENOMEM)?;
                if area.prot.contains(Prot::WRITE) && !area.shared {
                    Access::Write
                } else {
                    Access::Read
                }
            };
            self.with_frame(at, access, |_, _| ())
                .map_err(|_| Errno::ENOMEM)?;
            at += PAGE_SIZE;
        }
        Ok(())
    }

    /// For each page of a range, whether touching it would find it in memory.
    ///
    /// # Errors
    /// `ENOMEM` if part of it is not mapped.
    pub fn residency(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let space = self.lock();
        let mut pages = Vec::new();
        let count = ((range.end - range.start) / PAGE_SIZE) as usize;
        pages.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for at in range.step_by(PAGE_SIZE as usize) {
            let area = space.area(at).ok_or(Errno::ENOMEM)?;
            let mapped = space
                .tables
                .place(at)
                .is_some_and(|place| place.get().is_present());
            let cached = || {
                let source = area.source_page(at);
                source.is_some_and(|(source, index)| source.backing.is_resident(index))
            };
            pages.push(u8::from(mapped || cached()));
        }
        Ok(pages)
    }

    /// Lets go of a source's pages from `first` on, private copies included.
    pub fn forget(&self, backing: &dyn Backing, first: u64) {
        let mut space = self.lock();
        let this = core::ptr::from_ref(backing).cast::<()>();
        let mut gone = Vec::new();
        for area in space.areas.values() {
            let Some(source) = &area.source else {
                continue;
            };
            if Arc::as_ptr(&source.backing).cast::<()>() != this {
                continue;
            }
            let pages = first.saturating_sub(source.first);
            let start = area.start.saturating_add(pages.saturating_mul(PAGE_SIZE));
            if start < area.end {
                gone.push(start..area.end);
            }
        }
        for range in gone {
            space.tables.unmap(range);
        }
    }
}

impl Space {
    fn mark_locked(&mut self, range: Range<u64>, locked: bool) {
        for mut area in self.take(&range) {
            area.locked = locked && !crate::mutant!("mlock-marks-nothing");
            self.insert(area);
        }
    }
}
