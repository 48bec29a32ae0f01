//! The walk through four levels of page tables.

use super::tlb::{Entry, Rights};
use super::{Paging, code};
use crate::addr::{PHYS_BITS, PhysAddr, VirtAddr};
use crate::bus::Bus;

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;

/// The address bits of an entry that this machine has.
const ADDRESS: u64 = ((1 << PHYS_BITS) - 1) & !0xFFF;

/// Address bits that an entry may have in general but not on this machine.
const BEYOND: u64 = ((1 << 52) - 1) & !((1 << PHYS_BITS) - 1);

/// Where a walk ended: the entry that maps the page, and the way there.
pub(super) struct Leaf {
    /// Entries from the root to the last one, with their places.
    path: [(PhysAddr, u64); 4],
    level: u32,
    pub(super) rights: Rights,
}

impl Leaf {
    /// The 4 KiB frame within the page that holds `va`.
    pub(super) fn frame_of(&self, va: VirtAddr) -> u64 {
        let (_, entry) = self.path[self.level as usize];
        let within = (1 << (9 * self.level)) - 1;
        (((entry & ADDRESS) >> 12) & !within) | (va.page() & within)
    }
}

/// Finds the entry that maps `va` and combines the rights of all levels.
/// Counts each entry read in `steps`; changes nothing. The error is the
/// fault's reason: not present (0), or a reserved bit.
pub(super) fn walk(bus: &Bus, paging: &Paging, va: VirtAddr, steps: &mut u32) -> Result<Leaf, u32> {
    let mut rights = Rights::WRITE | Rights::USER;
    let mut path = [(PhysAddr(0), 0); 4];
    let mut table = paging.root.0 & ADDRESS;
    let mut level = 3;
    loop {
        let place = PhysAddr(table + va.index(level) * 8);
        let entry = bus.read_table(place);
        *steps += 1;
        if entry & PRESENT == 0 {
            return Err(0);
        }
        if entry & reserved(paging, level, entry) != 0 {
            return Err(code::PRESENT | code::RESERVED);
        }
        path[level as usize] = (place, entry);
        combine(&mut rights, entry);
        if level == 0 || entry & LARGE != 0 {
            rights.set(Rights::GLOBAL, paging.global && entry & GLOBAL != 0);
            rights.set(Rights::DIRTY, entry & DIRTY != 0);
            return Ok(Leaf {
                path,
                level,
                rights,
            });
        }
        table = entry & ADDRESS;
        level -= 1;
    }
}

fn combine(rights: &mut Rights, entry: u64) {
    if entry & WRITE == 0 {
        rights.remove(Rights::WRITE);
    }
    if entry & USER == 0 {
        rights.remove(Rights::USER);
    }
    if entry & NO_EXECUTE != 0 {
        rights.insert(Rights::NO_EXECUTE);
    }
}

/// The bits that must be clear in an entry of this level.
fn reserved(paging: &Paging, level: u32, entry: u64) -> u64 {
    let mut bits = BEYOND;
    if !paging.no_execute {
        bits |= NO_EXECUTE;
    }
    match level {
        3 => bits |= LARGE,
        // Bit 12 of a large page's entry is PAT; the address begins above.
        1 | 2 if entry & LARGE != 0 => bits |= ((1 << (12 + 9 * level)) - 1) & !0x1FFF,
        _ => {}
    }
    bits
}

/// Sets the accessed bits of the tables that a refused access went through: each entry that refers
/// to another table has been used, the one at which the way ended has not (volume 3A, 4.8).
#[cold]
pub(super) fn mark_way(bus: &mut Bus, paging: &Paging, va: VirtAddr) {
    let mut table = paging.root.0 & ADDRESS;
    for level in (1..4).rev() {
        let place = PhysAddr(table + va.index(level) * 8);
        let entry = bus.read_table(place);
        let refers = entry & PRESENT != 0 && entry & LARGE == 0;
        if !refers || entry & reserved(paging, level, entry) != 0 {
            return;
        }
        if entry & ACCESSED == 0 {
            bus.write_table(place, entry | ACCESSED);
        }
        table = entry & ADDRESS;
    }
}

/// Sets the accessed bits on the way, and the dirty bit for a write, and makes
/// the TLB's entry of what stands there then.
pub(super) fn mark(bus: &mut Bus, leaf: &Leaf, va: VirtAddr, write: bool) -> Entry {
    let mut rights = leaf.rights;
    for level in (leaf.level..4).rev() {
        let (place, entry) = leaf.path[level as usize];
        let mut marked = entry | ACCESSED;
        if level == leaf.level && write {
            marked |= DIRTY;
            rights.insert(Rights::DIRTY);
        }
        if marked != entry {
            bus.write_table(place, marked);
        }
    }
    Entry::new(va.page(), leaf.frame_of(va), rights, leaf.level)
}
