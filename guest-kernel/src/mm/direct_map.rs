//! The rest of the direct map: boot has mapped the first 4 GiB.

use abi::event::FrameKind;

use super::frame;
use crate::arch::layout::{BOOT_MAPPED, DIRECT_MAP, direct};
use crate::arch::paging::{self, ADDRESS_MASK, Bits};
use crate::errno::Result;

const GIB: u64 = 1 << 30;
const LARGE_PAGE: u64 = 2 << 20;

/// Maps all RAM up to `end`.
///
/// # Errors
/// `ENOMEM`.
pub fn extend(end: u64) -> Result<()> {
    let root = direct(paging::root()) as *const u64;
    // SAFETY: boot has made the top table's entry for the direct map.
    let top = unsafe { *root.add((DIRECT_MAP >> 39 & 511) as usize) } & ADDRESS_MASK;
    for gib in BOOT_MAPPED / GIB..end.div_ceil(GIB).min(512) {
        let table = frame::alloc(FrameKind::PageTable)?.into_address();
        let bits = Bits::PRESENT | Bits::WRITE | Bits::GLOBAL | Bits::LARGE | Bits::NO_EXECUTE;
        for index in 0..512 {
            let address = gib * GIB + index * LARGE_PAGE;
            // SAFETY: a table of our own.
            unsafe { *(direct(table) as *mut u64).add(index as usize) = address | bits.bits() };
        }
        // SAFETY: the entry is empty, and nobody uses these addresses yet.
        unsafe {
            *(direct(top) as *mut u64).add(gib as usize) =
                table | (Bits::PRESENT | Bits::WRITE).bits();
        }
    }
    Ok(())
}
