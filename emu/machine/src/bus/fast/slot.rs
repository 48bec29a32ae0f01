//! One slot of the direct ways: its layout, and what it lets through.

use core::ptr;

use crate::addr::PAGE_SIZE;

/// Slots of a bank; a page's slot is its number modulo this.
pub const SLOTS: usize = 1024;

/// A tag that no access has.
pub(super) const NONE: u64 = 1;

/// Bit of [`Slot::frame`]: the translation allows writes, though perhaps not the
/// direct way.
pub(super) const WRITABLE: u64 = 1;
/// Bit of [`Slot::frame`]: the translation outlives a load of CR3.
pub(super) const GLOBAL: u64 = 2;
/// Bit of [`Slot::frame`]: the slot's place stands in [`Banks::used`](super::Banks).
pub(super) const LISTED: u64 = 4;

/// A page's place in a bank.
#[inline(always)]
pub(super) fn place(page: u64) -> usize {
    page as usize % SLOTS
}

/// One page as one mode of the CPU may reach it. The layout is known to compiled
/// code: see [`offsets`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Linear address of the page, if it may be read directly.
    pub read: u64,
    /// Linear address of the page, if it may be written directly.
    pub write: u64,
    /// Address of the page's first byte on the host, less its linear address.
    pub addend: u64,
    /// Address of the frame; the low 12 bits are flags for this module.
    pub frame: u64,
}

/// Where things stand in a [`Slot`], in bytes.
pub mod offsets {
    use core::mem::{offset_of, size_of};

    use super::Slot;

    /// Bytes of a slot.
    pub const SIZE: usize = size_of::<Slot>();
    /// Of [`Slot::read`].
    pub const READ: usize = offset_of!(Slot, read);
    /// Of [`Slot::write`].
    pub const WRITE: usize = offset_of!(Slot, write);
    /// Of [`Slot::addend`].
    pub const ADDEND: usize = offset_of!(Slot, addend);
}

const _: () = assert!(offsets::SIZE == 32);

impl Slot {
    pub(super) const EMPTY: Slot = Slot {
        read: NONE,
        write: NONE,
        addend: 0,
        frame: 0,
    };

    /// Takes the tags away.
    pub(super) fn drop(&mut self) {
        *self = Slot {
            frame: self.frame & LISTED,
            ..Slot::EMPTY
        };
    }
}

/// The slot of a page in a bank.
///
/// # Safety
/// `bank` is the first of [`SLOTS`] slots.
#[inline(always)]
unsafe fn slot_of<'a>(bank: *const Slot, va: u64) -> &'a Slot {
    // SAFETY: the place is below SLOTS.
    unsafe { &*bank.add(place(va >> 12)) }
}

#[inline(always)]
fn hits(tag: u64, va: u64, len: usize) -> bool {
    va.wrapping_add(len as u64 - 1) & !(PAGE_SIZE - 1) == tag
}

#[inline(always)]
fn host(slot: &Slot, va: u64) -> *mut u8 {
    ptr::with_exposed_provenance_mut(va.wrapping_add(slot.addend) as usize)
}

/// Reads `N` bytes (1, 2, 4, 8) at `va`, if a slot of the bank allows it.
///
/// # Safety
/// `bank` is what [`Cx::fast_bank`](crate::cpu::Cx::fast_bank) said, and nothing
/// has been done with that `Cx` since, but through this module's functions.
#[inline(always)]
#[must_use]
pub unsafe fn read<const N: usize>(bank: *const Slot, va: u64) -> Option<u64> {
    // SAFETY: the caller's promise.
    unsafe { read_slot::<N>(slot_of(bank, va), va) }
}

/// Writes the low `N` bytes (1, 2, 4, 8) of `value` at `va`, if a slot of the
/// bank allows it; else changes nothing and says false.
///
/// # Safety
/// As with [`read`]; and the `Cx` is borrowed mutably.
#[inline(always)]
#[must_use]
pub unsafe fn write<const N: usize>(bank: *const Slot, va: u64, value: u64) -> bool {
    // SAFETY: the caller's promise.
    unsafe { write_slot::<N>(slot_of(bank, va), va, value) }
}

/// As [`read`] with 16 bytes.
///
/// # Safety
/// As with [`read`].
#[inline(always)]
#[must_use]
pub unsafe fn read128(bank: *const Slot, va: u64) -> Option<u128> {
    // SAFETY: the caller's promise.
    unsafe { read128_slot(slot_of(bank, va), va) }
}

/// As [`write`](fn@write) with 16 bytes.
///
/// # Safety
/// As with [`write`](fn@write).
#[inline(always)]
#[must_use]
pub unsafe fn write128(bank: *const Slot, va: u64, value: u128) -> bool {
    // SAFETY: the caller's promise.
    unsafe { write128_slot(slot_of(bank, va), va, value) }
}

/// # Safety
/// The slot's tags promise what [`Banks::fill`](super::Banks::fill) was promised, as here in all
/// that follow.
#[inline(always)]
pub(super) unsafe fn read_slot<const N: usize>(slot: &Slot, va: u64) -> Option<u64> {
    if !hits(slot.read, va, N) {
        return None;
    }
    let from = host(slot, va);
    // SAFETY: the tag says that the N bytes lie in a page at that address.
    Some(unsafe {
        match N {
            1 => u64::from(from.read()),
            2 => u64::from(u16::from_le(from.cast::<u16>().read_unaligned())),
            4 => u64::from(u32::from_le(from.cast::<u32>().read_unaligned())),
            8 => u64::from_le(from.cast::<u64>().read_unaligned()),
            _ => return None,
        }
    })
}

/// # Safety
/// As [`read_slot`], and the owner of the page is borrowed mutably.
#[inline(always)]
pub(super) unsafe fn write_slot<const N: usize>(slot: &Slot, va: u64, value: u64) -> bool {
    if !hits(slot.write, va, N) {
        return false;
    }
    let to = host(slot, va);
    // SAFETY: the tag says that the N bytes lie in a page at that address, which
    // nobody else holds.
    unsafe {
        match N {
            1 => to.write(value as u8),
            2 => to.cast::<u16>().write_unaligned((value as u16).to_le()),
            4 => to.cast::<u32>().write_unaligned((value as u32).to_le()),
            8 => to.cast::<u64>().write_unaligned(value.to_le()),
            _ => return false,
        }
    }
    true
}

/// # Safety
/// As [`read_slot`].
#[inline(always)]
pub(super) unsafe fn read128_slot(slot: &Slot, va: u64) -> Option<u128> {
    let hit = hits(slot.read, va, 16);
    // SAFETY: the tag says that the 16 bytes lie in a page at that address.
    hit.then(|| u128::from_le(unsafe { host(slot, va).cast::<u128>().read_unaligned() }))
}

/// # Safety
/// As [`write_slot`].
#[inline(always)]
pub(super) unsafe fn write128_slot(slot: &Slot, va: u64, value: u128) -> bool {
    let hit = hits(slot.write, va, 16);
    if hit {
        // SAFETY: the tag says that the 16 bytes lie in a page at that address,
        // which nobody else holds.
        unsafe { host(slot, va).cast::<u128>().write_unaligned(value.to_le()) }
    }
    hit
}
