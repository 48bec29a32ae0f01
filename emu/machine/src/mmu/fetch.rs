//! Translations of pages that instructions were fetched from.
//!
//! A subset of the modelled TLB, already checked against the rights of a fetch.
//! Hits change nothing in the TLB, so dropping all of this at any moment changes
//! no cycle; whatever leaves the TLB must leave here too.

use alloc::vec;
use alloc::vec::Vec;

use crate::addr::{PhysAddr, VirtAddr};

/// For each of the two rights: a program's pages do not drive out the kernel's.
const SLOTS: usize = 1024;

/// Bit of a tag that says that the slot is in use.
const VALID: u64 = 1;
/// Bit of a tag: fetched with the rights of CPL 3.
const USER: u64 = 2;

/// Bit of a frame: the translation outlives a load of CR3.
const GLOBAL: u64 = 1;
/// Bit of a frame: the slot's place stands in [`Fetches::used`].
const LISTED: u64 = 2;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    /// The page's address and the bits above.
    tag: u64,
    /// The frame's address and the bits above.
    frame: u64,
}

impl Slot {
    fn drop(&mut self) {
        self.tag = 0;
        self.frame = LISTED;
    }
}

#[derive(Clone, Debug)]
pub(super) struct Fetches {
    slots: Vec<Slot>,
    /// Places of slots that may be in use, each once.
    used: Vec<u16>,
    /// Grows whenever something that was known to pass no longer is.
    pub(super) epoch: u64,
}

impl Default for Fetches {
    fn default() -> Self {
        Fetches {
            slots: vec![Slot::default(); 2 * SLOTS],
            used: Vec::new(),
            epoch: 0,
        }
    }
}

#[inline]
fn tag(va: VirtAddr, user: bool) -> u64 {
    va.0 & !0xFFF | if user { USER } else { 0 } | VALID
}

#[inline]
fn place(page: u64, user: bool) -> usize {
    page as usize % SLOTS + if user { SLOTS } else { 0 }
}

impl Fetches {
    /// The physical address, if fetching there is known to pass.
    #[inline]
    pub(super) fn find(&self, va: VirtAddr, user: bool) -> Option<PhysAddr> {
        let slot = self.slots.get(place(va.page(), user))?;
        (slot.tag == tag(va, user)).then_some(PhysAddr(slot.frame & !0xFFF | va.offset()))
    }

    /// Remembers that it passes.
    pub(super) fn keep(&mut self, va: VirtAddr, user: bool, frame: u64, global: bool) {
        let at = place(va.page(), user);
        let new = Slot {
            tag: tag(va, user),
            frame: frame << 12 | LISTED | if global { GLOBAL } else { 0 },
        };
        let old = core::mem::replace(&mut self.slots[at], new);
        if old.frame & LISTED == 0 {
            self.used.push(at as u16);
        }
        if old.tag != 0 && old != new {
            self.epoch += 1;
        }
    }

    /// Forgets one page.
    pub(super) fn drop_page(&mut self, page: u64) {
        for user in [false, true] {
            let slot = &mut self.slots[place(page, user)];
            if slot.tag & !0xFFF == page << 12 && slot.tag != 0 {
                slot.drop();
                self.epoch += 1;
            }
        }
    }

    /// Forgets all but global translations.
    pub(super) fn drop_local(&mut self) {
        self.retain(|slot| slot.frame & GLOBAL != 0);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.retain(|_| false);
    }

    fn retain(&mut self, keep: impl Fn(&Slot) -> bool) {
        let Fetches { slots, used, epoch } = self;
        used.retain(|&at| {
            let slot = &mut slots[usize::from(at)];
            let stays = slot.tag != 0 && keep(slot);
            if !stays {
                *epoch += u64::from(slot.tag != 0);
                *slot = Slot::default();
            }
            stays
        });
    }
}
