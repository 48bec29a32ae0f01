//! The machine's direct ways to memory, as compiled code uses them.

use machine::cpu::Cx;

/// Place of a slot's tag for reading, in bytes.
pub(crate) const READ: i32 = 0;
/// Of its tag for writing.
pub(crate) const WRITE: i32 = 8;
/// Of what is added to an address.
pub(crate) const ADDEND: i32 = 16;
/// Bits of a slot's size.
pub(crate) const SLOT_BITS: u32 = 5;
/// Bytes of a bank, less those of a slot.
pub(crate) const MASK: i64 = (1023 << 5) as i64;

/// Address of the bank for the running code.
pub(crate) fn bank(_cx: &mut Cx<'_>) -> u64 {
    static EMPTY: [[u64; 4]; 1024] = [[1; 4]; 1024];
    EMPTY.as_ptr().addr() as u64
}

/// Makes it possible.
pub(crate) fn make(_cx: &mut Cx<'_>, _va: u64, _write: bool) -> Option<u64> {
    None
}

/// Where it is.
pub(crate) fn host(_cx: &mut Cx<'_>, _va: u64, _bytes: u64, _write: bool) -> u64 {
    0
}
