//! The kernel map: frames that lie side by side only for the kernel, with an
//! unmapped page before each range. For kernel stacks and large objects.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::event::FrameKind;

use super::frame::{self, Frame};
use crate::arch::layout::{DIRECT_MAP, KERNEL_MAP, PAGE_SIZE};
use crate::arch::paging::{self, ADDRESS_MASK, Bits};
use crate::errno::{Errno, Result};
use crate::sync::SpinLock;

/// The map is handed out in slots of this many pages; a range takes as many
/// as it needs, the first page of the first one being the guard.
const SLOT_PAGES: usize = 8;
/// 64 Ki slots: 2 GiB of addresses.
const SLOTS: usize = 1 << 16;

struct Slots {
    used: [u64; SLOTS / 64],
}

static SLOTS_USED: SpinLock<Slots> = SpinLock::new(Slots {
    used: [0; SLOTS / 64],
});

impl Slots {
    fn is_used(&self, slot: usize) -> bool {
        self.used[slot / 64] >> (slot % 64) & 1 != 0
    }

    fn set(&mut self, slot: usize, used: bool) {
        let bit = 1 << (slot % 64);
        if used {
            self.used[slot / 64] |= bit;
        } else {
            self.used[slot / 64] &= !bit;
        }
    }

    /// The lowest free run of `count` slots.
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut start = 0;
        while start + count <= SLOTS {
            if self.used[start / 64] == u64::MAX {
                start = (start / 64 + 1) * 64;
                continue;
            }
            match (start..start + count).find(|&slot| self.is_used(slot)) {
                Some(slot) => start = slot + 1,
                None => {
                    (start..start + count).for_each(|slot| self.set(slot, true));
                    return Some(start);
                }
            }
        }
        None
    }
}

/// A range of mapped pages; dropping it unmaps and frees them.
pub struct Pages {
    start: u64,
    pages: usize,
}

impl Pages {
    /// The first byte behind the range.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.pages as u64 * PAGE_SIZE
    }

    /// Gives the range away as its address.
    #[must_use]
    pub fn into_start(self) -> u64 {
        let start = self.start;
        core::mem::forget(self);
        start
    }

    /// Takes a range back: its length is that of the mapped pages up to the
    /// next guard.
    ///
    /// # Safety
    /// The address came from [`Pages::into_start`] and is used once.
    #[must_use]
    pub unsafe fn from_start(start: u64) -> Self {
        let mut pages = 0;
        while entry(start + pages as u64 * PAGE_SIZE).is_some_and(|entry| {
            // SAFETY: the entry lies in a page table of the kernel's.
            (unsafe { *entry } & Bits::PRESENT.bits()) != 0
        }) {
            pages += 1;
        }
        Pages { start, pages }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        for page in 0..self.pages {
            unmap(self.start + page as u64 * PAGE_SIZE);
        }
        let first = (self.start - KERNEL_MAP) as usize / PAGE_SIZE as usize / SLOT_PAGES;
        let count = slots_for(self.pages);
        let mut slots = SLOTS_USED.lock();
        (first..first + count).for_each(|slot| slots.set(slot, false));
    }
}

/// Slots for a guard page and `pages` more. There is always an unmapped page
/// behind the last one too: the next slot's guard.
fn slots_for(pages: usize) -> usize {
    (pages + 1).div_ceil(SLOT_PAGES)
}

/// Maps `pages` new frames side by side.
///
/// # Errors
/// `ENOMEM`; nothing is taken then.
pub fn alloc(pages: usize, kind: FrameKind) -> Result<Pages> {
    let slot = SLOTS_USED
        .lock()
        .take(slots_for(pages))
        .ok_or(Errno::ENOMEM)?;
    let start = KERNEL_MAP + ((slot * SLOT_PAGES + 1) as u64) * PAGE_SIZE;
    let mut range = Pages { start, pages: 0 };
    for page in 0..pages {
        match map(start + page as u64 * PAGE_SIZE, kind) {
            Ok(()) => range.pages += 1,
            Err(error) => {
                // The slots of the whole range are to be given back.
                let mut slots = SLOTS_USED.lock();
                let kept = slots_for(range.pages);
                (slot + kept..slot + slots_for(pages)).for_each(|slot| slots.set(slot, false));
                return Err(error);
            }
        }
    }
    Ok(range)
}

static TABLES: SpinLock<()> = SpinLock::new(());

/// How many tables the map has.
static TABLE_COUNT: AtomicU64 = AtomicU64::new(0);

/// How many frames the map's own tables take. They are never freed.
#[must_use]
pub fn tables() -> u64 {
    TABLE_COUNT.load(Ordering::Relaxed)
}

fn table(address: u64) -> *mut u64 {
    (DIRECT_MAP + (address & ADDRESS_MASK)) as *mut u64
}

/// The last-level entry of an address, if the tables above it exist.
fn entry(address: u64) -> Option<*mut u64> {
    let mut at = table(paging::kernel_root());
    for level in [39, 30, 21] {
        // SAFETY: the index is below 512; tables of the kernel map stay.
        let value = unsafe { *at.add((address >> level & 511) as usize) };
        if value & Bits::PRESENT.bits() == 0 {
            return None;
        }
        at = table(value);
    }
    // SAFETY: as above.
    Some(unsafe { at.add((address >> 12 & 511) as usize) })
}

/// The entry, with tables made where they are missing. They are never freed.
fn entry_or_new(address: u64) -> Result<*mut u64> {
    let _guard = TABLES.lock();
    let mut at = table(paging::kernel_root());
    for level in [39, 30, 21] {
        // SAFETY: as in `entry`.
        let slot = unsafe { at.add((address >> level & 511) as usize) };
        // SAFETY: under the lock.
        unsafe {
            if *slot & Bits::PRESENT.bits() == 0 {
                let frame = frame::alloc(FrameKind::PageTable)?;
                TABLE_COUNT.fetch_add(1, Ordering::Relaxed);
                *slot = frame.into_address() | (Bits::PRESENT | Bits::WRITE).bits();
            }
            at = table(*slot);
        }
    }
    // SAFETY: as above.
    Ok(unsafe { at.add((address >> 12 & 511) as usize) })
}

fn map(address: u64, kind: FrameKind) -> Result<()> {
    let entry = entry_or_new(address)?;
    let frame = frame::alloc(kind)?;
    let bits = Bits::PRESENT | Bits::WRITE | Bits::GLOBAL | Bits::NO_EXECUTE;
    // SAFETY: the slot is the caller's alone and was unmapped.
    unsafe { entry.write_volatile(frame.into_address() | bits.bits()) };
    Ok(())
}

fn unmap(address: u64) {
    let Some(entry) = entry(address) else {
        return;
    };
    // SAFETY: the range was mapped by `map`, and its owner lets it go.
    let frame = unsafe {
        let value = entry.read_volatile();
        entry.write_volatile(0);
        Frame::from_address(value & ADDRESS_MASK)
    };
    paging::flush_page(address);
    drop(frame);
}

/// Makes the top table's entry for the whole map, so that address spaces can
/// copy it, and everything that a first stack needs.
///
/// # Errors
/// `ENOMEM`.
pub fn init() -> Result<()> {
    entry_or_new(KERNEL_MAP).map(drop)
}
