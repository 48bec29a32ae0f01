//! Where indirect jumps have led: blocks by the address of their code.

use alloc::vec;
use alloc::vec::Vec;

use crate::op::{Op, Packed};

/// A power of two.
const SLOTS: usize = 8192;

/// One address: itself, its tag, the place of the operation, and the cost.
type Jump = [u64; 4];

/// A cache of addresses, each with one place.
#[derive(Debug, Default)]
pub(crate) struct Jumps {
    /// None before something is kept; then they come as zeros, which no tag is, and cost the host
    /// memory only where they are used.
    slots: Vec<Jump>,
}

/// Functions begin on multiples of 16 as a rule, and lie close together: those of 128 KiB have
/// places of their own. Where calls come back to is spread by the lower bits.
#[inline(always)]
fn place(rip: u64) -> usize {
    (rip >> 4 ^ rip >> 17 ^ rip << 9) as usize % SLOTS
}

impl Jumps {
    /// The block at this address and what it is charged, if it is known under this tag.
    #[inline(always)]
    pub(crate) fn find(&self, rip: u64, tag: u64) -> Option<(*const Op, Packed)> {
        let &[its_rip, its_tag, entry, cost] = self.slots.get(place(rip))?;
        let hit = its_rip == rip && its_tag == tag;
        hit.then(|| {
            let entry = core::ptr::with_exposed_provenance(entry as usize);
            (entry, cost as Packed)
        })
    }

    /// Notes a block.
    pub(crate) fn keep(&mut self, rip: u64, tag: u64, entry: *const Op, cost: Packed) {
        if self.slots.is_empty() {
            self.slots = vec![[0; 4]; SLOTS];
        }
        let entry = entry.expose_provenance() as u64;
        self.slots[place(rip)] = [rip, tag, entry, cost as u64];
    }
}
