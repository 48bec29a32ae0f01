//! Taking a segment of System V shared memory out of an address space.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::backing::Backing;
use super::space::Mm;
use super::vma::Vma;
use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::errno::{Errno, Result};

/// True if an area is the part of a segment attached at `address` that belongs
/// where the area is.
fn is_part(area: &Vma, address: u64) -> bool {
    let source = area.source.as_ref();
    source.is_some_and(|source| {
        source.backing.is_segment() && (area.start - address) / PAGE_SIZE == source.first
    })
}

impl Mm {
    /// Removes the segment that is attached at an address, in however many
    /// pieces it lies there; gives its pages.
    ///
    /// # Errors
    /// `EINVAL` if there is none; `ENOMEM`.
    pub fn detach(&self, address: u64) -> Result<Arc<dyn Backing>> {
        let (segment, pieces): (_, Vec<Range<u64>>) = {
            let space = self.lock();
            let mut areas = space.areas_in(address..USER_END);
            let first = areas.find(|area| is_part(area, address));
            let source = first.and_then(|area| area.source.as_ref());
            let segment = &source.ok_or(Errno::EINVAL)?.backing;
            let end = address.saturating_add(segment.len().next_multiple_of(PAGE_SIZE));
            let same = |area: &&Vma| {
                let source = area.source.as_ref();
                is_part(area, address)
                    && source.is_some_and(|source| Arc::ptr_eq(&source.backing, segment))
            };
            let parts = space.areas_in(address..end).filter(same);
            (segment.clone(), parts.map(Vma::range).collect())
        };
        for piece in pieces {
            self.unmap(piece)?;
        }
        Ok(segment)
    }
}
