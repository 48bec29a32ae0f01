//! Direct ways from linear addresses to the host's memory: what most accesses
//! of a guest go through, in every engine.
//!
//! There is a bank of slots for each mode of the CPU. A slot knows one page: a
//! tag for reading, one for writing, and what to add to an address of the guest
//! to have the host's. An access of `n` bytes at `va` is a hit if
//! `(va + n - 1) & !0xFFF` is the tag of the slot of `va`'s page: one comparison
//! tells the page, the right and that the access does not cross into the next.
//!
//! What has no tag is done the long way, which never depends on tags. So tags
//! may vanish at any time, and must when
//! - the modelled TLB forgets the page, or would give another answer: both;
//! - the page's bytes move on the host: both;
//! - a write has to be noticed (the frame holds decoded code or its hash is
//!   kept, or it is shared with another machine or a checkpoint): that for writing.

mod slot;

use alloc::vec;
use alloc::vec::Vec;

use crate::addr::{PhysAddr, VirtAddr};
use slot::{GLOBAL, LISTED, NONE, WRITABLE, place};
pub use slot::{SLOTS, Slot, offsets, read, read128, write, write128};
use slot::{read_slot, read128_slot, write_slot, write128_slot};

/// Banks, the empty one among them.
const BANKS: usize = 4;

/// Which bank a mode uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Mode {
    /// The supervisor.
    Kernel = 0,
    /// CPL 3.
    User = 1,
    /// The supervisor with EFLAGS.AC set: SMAP looks away.
    KernelAc = 2,
    /// Nothing goes the direct way: accesses are watched or checked for alignment.
    Watched = 3,
}

/// What a slot is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// First byte of the page on the host.
    pub(super) host: *mut u8,
    /// Writes, too, may go the direct way.
    pub(super) open: bool,
    /// The frame.
    pub(super) pa: PhysAddr,
    /// The translation allows writes (and is marked dirty).
    pub(super) writable: bool,
    /// The translation outlives a load of CR3.
    pub(super) global: bool,
}

/// The banks of one machine.
#[derive(Debug, Default)]
pub(crate) struct Banks {
    /// None at all before the machine runs for the first time.
    slots: Vec<Slot>,
    /// Places of slots that may have tags, each once.
    used: Vec<u16>,
}

impl Banks {
    /// Makes the slots. They stay where they are from then on.
    pub(super) fn make(&mut self) {
        if self.slots.is_empty() {
            self.slots = vec![Slot::EMPTY; BANKS * SLOTS];
        }
    }

    /// The first slot of a bank; the banks must have been made.
    #[inline]
    pub(crate) fn bank(&self, mode: Mode) -> *const Slot {
        self.slots[mode as usize * SLOTS..].as_ptr()
    }

    #[inline(always)]
    fn slot(&self, mode: Mode, va: u64) -> Option<&Slot> {
        self.slots.get(mode as usize * SLOTS + place(va >> 12))
    }

    /// Reads `N` bytes (1, 2, 4, 8), if that goes the direct way.
    #[inline(always)]
    pub(crate) fn read<const N: usize>(&self, mode: Mode, va: u64) -> Option<u64> {
        // SAFETY: the slot is one of a valid bank: what its tags promise is kept.
        unsafe { read_slot::<N>(self.slot(mode, va)?, va) }
    }

    /// Writes `N` bytes (1, 2, 4, 8), if that goes the direct way. The caller
    /// has the owner of the pages borrowed mutably.
    #[inline(always)]
    pub(super) fn write<const N: usize>(&mut self, mode: Mode, va: u64, value: u64) -> bool {
        match self.slot(mode, va) {
            // SAFETY: as in `read`; and nobody reads the page meanwhile, since its
            // owner is borrowed mutably.
            Some(slot) => unsafe { write_slot::<N>(slot, va, value) },
            None => false,
        }
    }

    /// As [`Banks::read`] with 16 bytes.
    #[inline(always)]
    pub(crate) fn read128(&self, mode: Mode, va: u64) -> Option<u128> {
        // SAFETY: as in `read`.
        unsafe { read128_slot(self.slot(mode, va)?, va) }
    }

    /// As [`Banks::write`] with 16 bytes.
    #[inline(always)]
    pub(super) fn write128(&mut self, mode: Mode, va: u64, value: u128) -> bool {
        match self.slot(mode, va) {
            // SAFETY: as in `write`.
            Some(slot) => unsafe { write128_slot(slot, va, value) },
            None => false,
        }
    }

    /// The physical address of an access that the translation is known to allow,
    /// and whether writes cannot go the direct way.
    #[inline]
    pub(super) fn find(&self, mode: Mode, va: VirtAddr, write: bool) -> Option<(PhysAddr, bool)> {
        let slot = self.slot(mode, va.0)?;
        let page = va.0 & !0xFFF;
        let hit = slot.read == page && (!write || slot.frame & WRITABLE != 0);
        hit.then_some((
            PhysAddr(slot.frame & !0xFFF | va.offset()),
            slot.write != page,
        ))
    }

    /// Lets writes go the direct way where the translation allows them.
    ///
    /// # Safety
    /// As with [`Banks::fill`] if the way is open.
    pub(super) unsafe fn widen(&mut self, mode: Mode, va: VirtAddr) {
        let at = mode as usize * SLOTS + place(va.page());
        let Some(slot) = self.slots.get_mut(at) else {
            return;
        };
        if slot.read == va.0 & !0xFFF && slot.frame & WRITABLE != 0 {
            slot.write = slot.read;
        }
    }

    /// Remembers a page that this mode may read.
    ///
    /// # Safety
    /// `way.host` begins a page that stays valid, and if `way.open` may be written under the owner's mutable borrow, until
    /// the owner takes the tags away.
    pub(super) unsafe fn fill(&mut self, mode: Mode, va: VirtAddr, way: Way) {
        let at = mode as usize * SLOTS + place(va.page());
        let page = va.0 & !0xFFF;
        let Some(slot) = self.slots.get_mut(at).filter(|_| mode != Mode::Watched) else {
            return;
        };
        if slot.frame & LISTED == 0 {
            self.used.push(at as u16);
        }
        *slot = Slot {
            read: page,
            write: if way.writable && way.open { page } else { NONE },
            addend: (way.host.expose_provenance() as u64).wrapping_sub(page),
            frame: way.pa.0 & !0xFFF
                | LISTED
                | if way.writable { WRITABLE } else { 0 }
                | if way.global { GLOBAL } else { 0 },
        };
    }

    /// Forgets a page in all modes.
    pub(super) fn drop_page(&mut self, page: u64) {
        for bank in self.slots.chunks_exact_mut(SLOTS) {
            let slot = &mut bank[place(page)];
            if slot.read == page << 12 {
                slot.drop();
            }
        }
    }

    /// Forgets all ways to a frame: its bytes move.
    pub(super) fn drop_frame(&mut self, pa: PhysAddr) {
        self.tidy(|slot| slot.frame >> 12 != pa.frame());
    }

    /// Writes to this frame have to be noticed.
    pub(super) fn close_frame(&mut self, pa: PhysAddr) {
        self.each(|slot| {
            if slot.frame >> 12 == pa.frame() {
                slot.write = NONE;
            }
        });
    }

    /// Writes to any frame have to be noticed.
    pub(super) fn close_all(&mut self) {
        self.each(|slot| slot.write = NONE);
    }

    /// Forgets all but global translations.
    pub(super) fn drop_local(&mut self) {
        self.tidy(|slot| slot.frame & GLOBAL != 0);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.tidy(|_| false);
    }

    fn each(&mut self, mut change: impl FnMut(&mut Slot)) {
        for &at in &self.used {
            change(&mut self.slots[usize::from(at)]);
        }
    }

    /// Forgets what is not to be kept.
    fn tidy(&mut self, keep: impl Fn(&Slot) -> bool) {
        let slots = &mut self.slots;
        self.used.retain(|&at| {
            let slot = &mut slots[usize::from(at)];
            let stays = slot.read != NONE && keep(slot);
            if !stays {
                *slot = Slot::EMPTY;
            }
            stays
        });
    }
}
