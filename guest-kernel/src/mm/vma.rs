//! The areas of an address space.

use alloc::sync::Arc;
use core::ops::Range;

use super::backing::Backing;
use super::image::FileHandle;
use crate::arch::layout::PAGE_SIZE;

bitflags::bitflags! {
    /// What may be done with a page; the bits are Linux's PROT_*.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Prot: u32 {
        /// Reading.
        const READ = 1;
        /// Writing.
        const WRITE = 2;
        /// Executing.
        const EXEC = 4;
    }
}

/// Where an area's pages come from.
#[derive(Clone)]
pub struct Source {
    /// The file or shared memory.
    pub backing: Arc<dyn Backing>,
    /// The page of it with which the area begins.
    pub first: u64,
    /// True for shared memory without a file.
    pub anonymous: bool,
    /// The file, as it was opened.
    pub file: Option<FileHandle>,
}

/// Pages side by side with the same rights and the same source.
#[derive(Clone)]
pub struct Vma {
    /// The first address.
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
    /// The rights.
    pub prot: Prot,
    /// Writes are seen by everyone who maps the source.
    pub shared: bool,
    /// The area grows downwards when it is touched below its start.
    pub grows_down: bool,
    /// It is to stay in memory.
    pub locked: bool,
    /// It may never be written: shared with a file that is only read.
    pub never_writable: bool,
    /// `None` for private memory that starts as zeros.
    pub source: Option<Source>,
}

impl Vma {
    /// Private memory of zeros.
    #[must_use]
    pub fn anonymous(range: Range<u64>, prot: Prot) -> Self {
        Vma {
            start: range.start,
            end: range.end,
            prot,
            shared: false,
            grows_down: false,
            locked: false,
            never_writable: false,
            source: None,
        }
    }

    /// The addresses.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// The page of the source that belongs at an address.
    #[must_use]
    pub fn source_page(&self, address: u64) -> Option<(&Source, u64)> {
        let source = self.source.as_ref()?;
        Some((source, source.first + (address - self.start) / PAGE_SIZE))
    }

    /// Cuts the area in two; `self` keeps the lower part.
    #[must_use]
    pub fn split_off(&mut self, at: u64) -> Self {
        let mut upper = self.clone();
        upper.start = at;
        upper.grows_down = false;
        if let Some(source) = &mut upper.source {
            source.first += (at - self.start) / PAGE_SIZE;
        }
        self.end = at;
        upper
    }

    /// True if `next` lies right behind and nothing but the border tells the
    /// two apart.
    #[must_use]
    pub fn continues_in(&self, next: &Vma) -> bool {
        let same_source = match (&self.source, &next.source) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                Arc::ptr_eq(&a.backing, &b.backing)
                    && a.first + (self.end - self.start) / PAGE_SIZE == b.first
            }
            _ => false,
        };
        self.end == next.start
            && self.prot == next.prot
            && self.shared == next.shared
            && self.grows_down == next.grows_down
            && self.locked == next.locked
            && self.never_writable == next.never_writable
            && same_source
    }
}
