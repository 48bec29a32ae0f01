//! How a chunk begins. The build script has this file as well: it makes the
//! chunks of what coe brings along.

/// The kind of a chunk with a kernel.
pub(super) const KERNEL: u8 = 2;
/// The kind of a chunk with an initrd or a piece of one.
pub(super) const INITRD: u8 = 3;

/// The bytes before a chunk's data: kind, raw length, stored length, CRC.
pub(super) const FRAME: usize = 16;

/// The bytes of them that the CRC covers, as it covers the data.
pub(super) const COVERED: usize = 12;

/// What stands before the data of a chunk; nothing if a length is too large.
pub(super) fn frame(kind: u8, len: usize, stored: &[u8]) -> Option<[u8; FRAME]> {
    let raw_len = u32::try_from(len).ok()?;
    let stored_len = u32::try_from(stored.len()).ok()?;
    let mut bytes = [0; FRAME];
    bytes[0] = kind;
    bytes[4..8].copy_from_slice(&raw_len.to_le_bytes());
    bytes[8..12].copy_from_slice(&stored_len.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..COVERED]), stored);
    bytes[COVERED..].copy_from_slice(&crc.to_le_bytes());
    Some(bytes)
}
