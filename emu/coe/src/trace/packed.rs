//! What coe brings along is made into chunks when it is built: packing,
//! checking and unpacking those files costs more than a short run.

use std::ptr;

use super::frame::FRAME;
use crate::embedded::{KERNEL, KERNEL_HASH, PACKED};

/// The chunk that holds an embedded file of these bytes as this kind.
pub(super) fn chunk_of(kind: u8, raw: &[u8]) -> Option<&'static [u8]> {
    let (_, chunk) = PACKED.iter().find(|(file, _)| same(file, raw))?;
    (chunk[0] == kind).then_some(chunk)
}

/// The embedded file whose chunk begins here. Each byte of that is compared, so
/// its checksum need not be worked out.
pub(super) fn file_at(bytes: &[u8]) -> Option<&'static [u8]> {
    let frame: &[u8; FRAME] = bytes.first_chunk()?;
    let (file, chunk) = PACKED.iter().find(|(_, chunk)| chunk.starts_with(frame))?;
    bytes.starts_with(chunk).then_some(file)
}

/// The xxh3-128 hash of an image.
pub(super) fn hash(bytes: &[u8]) -> u128 {
    if same(KERNEL, bytes) {
        KERNEL_HASH
    } else {
        xxhash_rust::xxh3::xxh3_128(bytes)
    }
}

/// What is in the same place need not be compared.
fn same(file: &'static [u8], bytes: &[u8]) -> bool {
    ptr::eq(file, bytes) || file == bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::frame::{INITRD, KERNEL as KERNEL_KIND, frame};

    /// Otherwise a trace would not mean what the format says.
    #[test]
    fn what_was_made_at_build_time_is_a_chunk_of_the_file() {
        assert!(PACKED.len() > 1, "kernel and programs");
        for (at, (file, chunk)) in PACKED.iter().enumerate() {
            let kind = if at == 0 { KERNEL_KIND } else { INITRD };
            let (head, stored) = chunk.split_at(FRAME);
            assert_eq!(frame(kind, file.len(), stored).as_ref(), head.first_chunk());
            let raw = lz4_flex::block::decompress(stored, file.len());
            assert!(raw.is_ok_and(|raw| raw == *file));
            let elsewhere = file.to_vec();
            assert_eq!(chunk_of(kind, &elsewhere), Some(*chunk));
            assert_eq!(chunk_of(kind ^ 1, file), None);
            let followed = [chunk, &b"more"[..]].concat();
            assert_eq!(file_at(&followed), Some(*file));
        }
        assert_eq!(
            (chunk_of(INITRD, b"other"), file_at(&[3; 99])),
            (None, None)
        );
    }

    #[test]
    fn a_chunk_is_known_only_if_it_is_whole_and_unchanged() {
        for (_, chunk) in PACKED {
            assert_eq!(file_at(&chunk[..chunk.len() - 1]), None);
            let mut bytes = chunk.to_vec();
            for at in [0, 5, 13, FRAME, chunk.len() / 2, chunk.len() - 1] {
                bytes[at] ^= 1;
                assert_eq!(file_at(&bytes), None, "byte {at}");
                bytes[at] ^= 1;
            }
        }
    }

    #[test]
    fn the_kernels_hash_is_that_of_its_bytes() {
        let elsewhere = KERNEL.to_vec();
        for bytes in [KERNEL, &elsewhere, &KERNEL[1..], b""] {
            assert_eq!(hash(bytes), xxhash_rust::xxh3::xxh3_128(bytes));
        }
    }
}
