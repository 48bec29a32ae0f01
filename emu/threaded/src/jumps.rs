//! Where indirect jumps have led: blocks by the address of their code.

use alloc::boxed::Box;
use core::cell::Cell;
use core::ptr;

use crate::op::{Op, Packed};

const SLOTS: usize = 2048;

/// One address.
#[derive(Clone, Debug)]
pub(crate) struct Jump {
    rip: Cell<u64>,
    tag: Cell<u64>,
    entry: Cell<*const Op>,
    cost: Cell<Packed>,
}

/// A cache of addresses, each with one place.
#[derive(Debug)]
pub(crate) struct Jumps(Box<[Jump; SLOTS]>);

impl Default for Jumps {
    fn default() -> Self {
        Jumps(Box::new(core::array::from_fn(|_| Jump {
            rip: Cell::new(0),
            tag: Cell::new(0),
            entry: Cell::new(ptr::null()),
            cost: Cell::new(0),
        })))
    }
}

impl Jumps {
    #[inline(always)]
    fn slot(&self, rip: u64) -> &Jump {
        &self.0[(rip ^ rip >> 11) as usize % SLOTS]
    }

    /// The block at this address and what it is charged, if it is known under this tag.
    #[inline(always)]
    pub(crate) fn find(&self, rip: u64, tag: u64) -> Option<(*const Op, Packed)> {
        let jump = self.slot(rip);
        let hit = jump.rip.get() == rip && jump.tag.get() == tag;
        hit.then(|| (jump.entry.get(), jump.cost.get()))
    }

    /// Notes a block.
    pub(crate) fn keep(&self, rip: u64, tag: u64, entry: *const Op, cost: Packed) {
        let jump = self.slot(rip);
        jump.rip.set(rip);
        jump.tag.set(tag);
        jump.entry.set(entry);
        jump.cost.set(cost);
    }
}
