//! What coe brings along is packed when it is built: packing and unpacking
//! those files costs more than a short run.

use crate::embedded::PACKED;

/// The packed form of an embedded file of these bytes.
pub(super) fn packed(raw: &[u8]) -> Option<&'static [u8]> {
    let (_, stored) = PACKED.iter().find(|(file, _)| *file == raw)?;
    Some(stored)
}

/// The embedded file whose packed form has these bytes.
pub(super) fn unpacked(stored: &[u8]) -> Option<&'static [u8]> {
    let (file, _) = PACKED.iter().find(|(_, packed)| *packed == stored)?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise a trace would not mean what the format says.
    #[test]
    fn what_was_packed_at_build_time_is_an_lz4_block_of_the_file() {
        assert!(PACKED.len() > 1, "kernel and programs");
        for (file, stored) in PACKED {
            let raw = lz4_flex::block::decompress(stored, file.len());
            assert!(raw.is_ok_and(|raw| raw == *file));
            assert_eq!(packed(file), Some(*stored));
            assert_eq!(unpacked(stored), Some(*file));
        }
        assert_eq!((packed(b"other"), unpacked(b"other")), (None, None));
    }
}
