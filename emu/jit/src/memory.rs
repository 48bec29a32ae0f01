//! The machine's direct ways to memory, as compiled code uses them.

use machine::cpu::Cx;
use machine::mmu::fast::{SLOTS, Slot, offsets};

/// Place of a slot's tag for reading, in bytes.
pub(crate) const READ: i32 = offsets::READ as i32;
/// Of its tag for writing.
pub(crate) const WRITE: i32 = offsets::WRITE as i32;
/// Of what is added to an address.
pub(crate) const ADDEND: i32 = offsets::ADDEND as i32;
/// Binary logarithm of a slot's size.
pub(crate) const SLOT_BITS: u32 = offsets::SIZE.trailing_zeros();
/// The bits of a place in a bank, in bytes.
pub(crate) const MASK: i64 = ((SLOTS - 1) << SLOT_BITS) as i64;

const _: () = assert!(offsets::SIZE.is_power_of_two() && SLOTS.is_power_of_two());

/// Address of the bank for the running code.
pub(crate) fn bank(cx: &Cx<'_>) -> u64 {
    cx.fast_bank().expose_provenance() as u64
}

/// Makes the way to a page; the cycles that it cost, which are not charged yet,
/// or none if nothing has happened.
pub(crate) fn make(cx: &mut Cx<'_>, va: u64, write: bool) -> Option<u64> {
    let before = cx.cpu.cycle;
    let made = cx.make_way(va, write);
    let cost = cx.cpu.cycle - before;
    cx.cpu.cycle = before;
    made.then_some(cost)
}

/// The host's address of `bytes` at `va`, if there is a direct way to them.
pub(crate) fn host(cx: &Cx<'_>, va: u64, bytes: u64, write: bool) -> Option<u64> {
    let place = (va >> 12) as usize % SLOTS;
    let slot: *const Slot = cx.fast_bank().wrapping_add(place);
    // SAFETY: a bank has SLOTS slots, and nobody changes them while `cx` is
    // borrowed.
    let slot = unsafe { *slot };
    let tag = if write { slot.write } else { slot.read };
    let page = va.wrapping_add(bytes - 1) & !0xFFF;
    (tag == page).then(|| slot.addend.wrapping_add(va))
}

/// The eight bytes of data at `va`, if there is a direct way to them.
pub(crate) fn peek(cx: &Cx<'_>, va: u64) -> Option<u64> {
    let host = host(cx, va, 8, false)?;
    let at = std::ptr::with_exposed_provenance::<[u8; 8]>(host as usize);
    // SAFETY: a tag for reading says that these bytes are the guest's memory,
    // which nobody changes while `cx` is borrowed.
    Some(u64::from_le_bytes(unsafe { at.read() }))
}
