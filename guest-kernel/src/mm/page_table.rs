//! The page tables of one address space: its user half. The kernel half is
//! the same everywhere and copied from the kernel's own top table.

use core::ops::Range;

use abi::event::FrameKind;

use super::frame::{self, Frame};
use super::vma::Prot;
use crate::arch::layout::{DIRECT_MAP, PAGE_SIZE};
use crate::arch::paging::{self, ADDRESS_MASK, Bits};
use crate::errno::Result;

const ENTRIES: usize = 512;
const USER_ENTRIES: usize = 256;
/// Address bits below the index of each level's entries, top first.
const SHIFTS: [u32; 4] = [39, 30, 21, 12];

/// An entry of the last level.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    /// Maps a frame, whose reference the entry takes over.
    pub(super) fn new(frame: Frame, prot: Prot, writable: bool) -> Self {
        Entry(frame.into_address() | Bits::PRESENT.bits()).with(prot, writable)
    }

    /// The same frame with other rights. A page that may not be touched stays
    /// mapped for the kernel alone, which never goes there.
    pub(super) fn with(self, prot: Prot, writable: bool) -> Self {
        let mut bits = Bits::PRESENT;
        bits.set(Bits::USER, !prot.is_empty());
        bits.set(Bits::WRITE, writable);
        bits.set(Bits::NO_EXECUTE, !prot.contains(Prot::EXEC));
        let used = self.0 & (Bits::ACCESSED | Bits::DIRTY).bits();
        Entry(self.0 & ADDRESS_MASK | bits.bits() | used)
    }

    pub(super) fn is_present(self) -> bool {
        self.0 & Bits::PRESENT.bits() != 0
    }

    pub(super) fn is_writable(self) -> bool {
        self.0 & Bits::WRITE.bits() != 0
    }

    /// The same frame, not to be written.
    pub(super) fn read_only(self) -> Self {
        Entry(self.0 & !Bits::WRITE.bits())
    }

    /// Another reference to the frame.
    pub(super) fn frame(self) -> Frame {
        // SAFETY: the entry's own reference stays in the entry: what is made of
        // its address is only cloned.
        let own =
            core::mem::ManuallyDrop::new(unsafe { Frame::from_address(self.0 & ADDRESS_MASK) });
        Frame::clone(&own)
    }

    /// How many references the frame has.
    pub(super) fn references(self) -> u32 {
        // SAFETY: as in `frame`.
        let own =
            core::mem::ManuallyDrop::new(unsafe { Frame::from_address(self.0 & ADDRESS_MASK) });
        own.references()
    }

    /// The entry's own reference, when the entry goes.
    fn into_frame(self) -> Frame {
        // SAFETY: the caller has taken the entry out of its table.
        unsafe { Frame::from_address(self.0 & ADDRESS_MASK) }
    }
}

/// A place in a last-level table.
pub(super) struct Place {
    slot: *mut u64,
}

impl Place {
    pub(super) fn get(&self) -> Entry {
        // SAFETY: a slot of a table that its address space keeps; the address
        // space is locked.
        Entry(unsafe { self.slot.read_volatile() })
    }

    /// Puts an entry in, for the same frame or where there was none.
    pub(super) fn set(&self, entry: Entry) {
        // SAFETY: as in `get`.
        unsafe { self.slot.write_volatile(entry.0) };
    }

    /// Puts an entry in and gives back the frame that was there.
    pub(super) fn replace(&self, entry: Entry) -> Option<Frame> {
        let before = self.get();
        self.set(entry);
        before.is_present().then(|| before.into_frame())
    }

    pub(super) fn clear(&self) -> Option<Frame> {
        self.replace(Entry(0))
    }
}

/// The tables. Dropping them frees them and lets go of every mapped frame.
pub(super) struct Tables {
    root: u64,
    /// How many frames the tables take.
    count: u64,
}

fn slots(table: u64) -> *mut u64 {
    (DIRECT_MAP + (table & ADDRESS_MASK)) as *mut u64
}

impl Tables {
    /// Tables that map the kernel and nothing else.
    pub(super) fn new() -> Result<Self> {
        let root = frame::alloc(FrameKind::PageTable)?.into_address();
        // SAFETY: two whole tables; the kernel's half of the top one is fixed.
        unsafe {
            core::ptr::copy_nonoverlapping(
                slots(paging::kernel_root()).add(USER_ENTRIES),
                slots(root).add(USER_ENTRIES),
                ENTRIES - USER_ENTRIES,
            );
        }
        Ok(Tables { root, count: 1 })
    }

    /// How many frames the tables take.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The top table's physical address.
    pub(super) fn root(&self) -> u64 {
        self.root
    }

    fn index(address: u64, level: usize) -> usize {
        (address >> SHIFTS[level]) as usize % ENTRIES
    }

    /// The place of a page, if the tables above it exist.
    pub(super) fn place(&self, address: u64) -> Option<Place> {
        let mut table = self.root;
        for level in 0..3 {
            // SAFETY: a present entry of these tables leads to a table.
            table = unsafe { *slots(table).add(Self::index(address, level)) };
            if table & Bits::PRESENT.bits() == 0 {
                return None;
            }
        }
        // SAFETY: the index is below 512.
        let slot = unsafe { slots(table).add(Self::index(address, 3)) };
        Some(Place { slot })
    }

    /// The place of a page, with tables made where they are missing.
    pub(super) fn place_or_new(&mut self, address: u64) -> Result<Place> {
        let mut table = self.root;
        for level in 0..3 {
            // SAFETY: as in `place`.
            unsafe {
                let slot = slots(table).add(Self::index(address, level));
                if *slot & Bits::PRESENT.bits() == 0 {
                    let new = frame::alloc(FrameKind::PageTable)?.into_address();
                    self.count += 1;
                    *slot = new | (Bits::PRESENT | Bits::WRITE | Bits::USER).bits();
                }
                table = *slot;
            }
        }
        // SAFETY: as in `place`.
        let slot = unsafe { slots(table).add(Self::index(address, 3)) };
        Ok(Place { slot })
    }

    /// Calls `visit` for every mapped page of a range, lowest first.
    pub(super) fn for_each<E>(
        &self,
        range: Range<u64>,
        mut visit: impl FnMut(u64, Place) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut address = range.start;
        while address < range.end {
            let step = self.missing(address);
            if let Some(size) = step {
                address = (address & !(size - 1)) + size;
                continue;
            }
            if let Some(place) = self.place(address).filter(|place| place.get().is_present()) {
                visit(address, place)?;
            }
            address += PAGE_SIZE;
        }
        Ok(())
    }

    /// The first mapped page of a range.
    pub(super) fn first_mapped(&self, range: Range<u64>) -> Option<u64> {
        self.for_each(range, |address, _| Err(address)).err()
    }

    /// The size of the hole around an address if a table above it is missing.
    fn missing(&self, address: u64) -> Option<u64> {
        let mut table = self.root;
        for (level, shift) in SHIFTS.iter().enumerate().take(3) {
            // SAFETY: as in `place`.
            table = unsafe { *slots(table).add(Self::index(address, level)) };
            if table & Bits::PRESENT.bits() == 0 {
                return Some(1 << shift);
            }
        }
        None
    }

    /// Lets go of every page of a range.
    pub(super) fn unmap(&mut self, range: Range<u64>) {
        let Ok(()) = self.for_each(range, |address, place| {
            let frame = place.clear();
            self.flush(address);
            drop(frame);
            Ok::<(), core::convert::Infallible>(())
        });
    }

    /// Forgets the CPU's translation of one page, if it uses these tables.
    pub(super) fn flush(&self, address: u64) {
        if paging::root() == self.root {
            paging::flush_page(address);
        }
    }

    /// Forgets all of the CPU's translations, if it uses these tables.
    pub(super) fn flush_all(&self) {
        if paging::root() == self.root {
            paging::flush_all();
        }
    }

    fn free(table: u64, level: usize) {
        let count = if level == 0 { USER_ENTRIES } else { ENTRIES };
        for index in 0..count {
            // SAFETY: a table of these tables, which nobody uses any more.
            let entry = unsafe { *slots(table).add(index) };
            if entry & Bits::PRESENT.bits() == 0 {
                continue;
            }
            if level == 3 {
                drop(Entry(entry).into_frame());
            } else {
                Self::free(entry, level + 1);
            }
        }
        // SAFETY: the table was made by `new` or `place_or_new`.
        drop(unsafe { Frame::from_address(table & ADDRESS_MASK) });
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        if paging::root() == self.root {
            // A kernel thread may have borrowed the tables.
            // SAFETY: the kernel's own tables map all that the kernel needs.
            unsafe { paging::set_root(paging::kernel_root()) };
        }
        Self::free(self.root, 0);
    }
}
