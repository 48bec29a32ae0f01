//! The host's fast cache: accesses that the modelled TLB would let pass.
//!
//! It holds a subset of the TLB, already checked against the rights of one kind
//! of access. Hits change nothing in the TLB, so dropping all of this at any
//! moment changes no cycle; whatever leaves the TLB must leave here too.

use alloc::vec;
use alloc::vec::Vec;

use super::Access;
use crate::addr::VirtAddr;

/// Slots for accesses that read, and as many for those that write.
const SLOTS: usize = 256;

/// Bit of a tag that says that the slot is in use.
const VALID: u64 = 1 << 4;

/// One page and one kind of access.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The page's address; its low bits say which kind of access.
    tag: u64,
    /// The frame's address.
    frame: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Quick {
    slots: Vec<Slot>,
}

impl Default for Quick {
    fn default() -> Self {
        Quick {
            slots: vec![Slot::default(); 2 * SLOTS],
        }
    }
}

#[inline]
fn place(page: u64, write: bool) -> usize {
    page as usize % SLOTS + if write { SLOTS } else { 0 }
}

#[inline]
fn tag(va: VirtAddr, access: Access) -> u64 {
    let kind = u64::from(access.write)
        | u64::from(access.user) << 1
        | u64::from(access.ac) << 2
        | u64::from(access.fetch) << 3;
    (va.0 & !0xFFF) | kind | VALID
}

impl Quick {
    /// The physical address, if this kind of access to this page is known to pass.
    #[inline]
    pub(super) fn find(&self, va: VirtAddr, access: Access) -> Option<u64> {
        let slot = self.slots.get(place(va.page(), access.write))?;
        (slot.tag == tag(va, access)).then_some(slot.frame | va.offset())
    }

    /// Remembers that it passes.
    pub(super) fn keep(&mut self, va: VirtAddr, access: Access, frame: u64) {
        self.slots[place(va.page(), access.write)] = Slot {
            tag: tag(va, access),
            frame: frame << 12,
        };
    }

    /// Forgets one page.
    pub(super) fn drop_page(&mut self, page: u64) {
        for write in [false, true] {
            self.slots[place(page, write)] = Slot::default();
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.slots.fill(Slot::default());
    }
}
