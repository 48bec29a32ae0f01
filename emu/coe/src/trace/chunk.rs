//! Chunks: the pieces of a trace, compressed and with a checksum each.

use super::packed::unpacked;
use super::{FUZZING, TraceError};

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A [`super::Header`].
    Header = 1,
    /// The kernel's ELF.
    Kernel = 2,
    /// The initrd.
    Initrd = 3,
    /// [`super::Record`]s.
    Records = 4,
    /// The [`crate::run::Finished`]; nothing follows it.
    End = 5,
    /// What is on the disk at first.
    Disk = 6,
    /// The [`super::Place`] of the snapshot that follows.
    Place = 7,
    /// The whole machine, between two records.
    Snapshot = 8,
}

impl Kind {
    fn from_raw(raw: u8) -> Option<Kind> {
        [
            Kind::Header,
            Kind::Kernel,
            Kind::Initrd,
            Kind::Records,
            Kind::End,
            Kind::Disk,
            Kind::Place,
            Kind::Snapshot,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == raw)
    }
}

/// The fixed part before a chunk's data: kind, raw length, stored length, CRC.
const FRAME: usize = 16;

/// No chunk unpacks to more than so many times its stored bytes.
const LZ4_RATIO: usize = 256;

/// A chunk as it is stored.
pub(super) fn pack(kind: Kind, raw: &[u8]) -> Result<Vec<u8>, TraceError> {
    let stored = lz4_flex::block::compress(raw);
    Ok([head(kind, raw.len(), &stored)?.as_slice(), &stored].concat())
}

/// What stands before the data of a chunk of this length that is packed already.
pub(super) fn head(kind: Kind, len: usize, stored: &[u8]) -> Result<[u8; FRAME], TraceError> {
    let too_large = |_| TraceError::TooLarge { len };
    let raw_len = u32::try_from(len).map_err(too_large)?;
    let stored_len = u32::try_from(stored.len()).map_err(too_large)?;
    let mut bytes = [0; FRAME];
    bytes[0] = kind as u8;
    bytes[4..8].copy_from_slice(&raw_len.to_le_bytes());
    bytes[8..12].copy_from_slice(&stored_len.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), stored);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

/// A whole chunk in a trace, checked but still packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) kind: Kind,
    /// Where it begins.
    pub(super) offset: usize,
    /// Where the next one begins.
    pub(super) end: usize,
    raw_len: usize,
    stored: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// The chunk that begins at this byte.
    pub(super) fn at(bytes: &'a [u8], offset: usize) -> Result<Chunk<'a>, TraceError> {
        let cut_off = TraceError::CutOff { offset };
        let damaged = |what| TraceError::Damaged { offset, what };
        let frame: &[u8; FRAME] = bytes
            .get(offset..)
            .and_then(|rest| rest.first_chunk())
            .ok_or(cut_off.clone())?;
        let (words, _) = frame.as_chunks::<4>();
        let [raw_len, stored_len, crc] = [words[1], words[2], words[3]].map(u32::from_le_bytes);
        let from = offset + FRAME;
        let end = from.checked_add(stored_len as usize);
        let stored = end.and_then(|end| bytes.get(from..end)).ok_or(cut_off)?;
        if !FUZZING && crc32c::crc32c_append(crc32c::crc32c(&frame[..12]), stored) != crc {
            return Err(damaged("its checksum is wrong"));
        }
        if words[0][1..] != [0; 3] {
            return Err(damaged("what has to be zero is not"));
        }
        let kind = Kind::from_raw(frame[0]).ok_or(damaged("its kind is unknown"))?;
        if raw_len as usize > stored.len().saturating_mul(LZ4_RATIO) {
            return Err(damaged("its length is impossible"));
        }
        Ok(Chunk {
            kind,
            offset,
            end: from + stored.len(),
            raw_len: raw_len as usize,
            stored,
        })
    }

    /// True if nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.raw_len == 0
    }

    /// What is in it.
    pub(super) fn unpack(&self) -> Result<Vec<u8>, TraceError> {
        let raw = match unpacked(self.stored) {
            Some(file) => Ok(file.to_vec()),
            None => lz4_flex::block::decompress(self.stored, self.raw_len),
        };
        raw.ok()
            .filter(|raw| raw.len() == self.raw_len)
            .ok_or(self.damaged("it cannot be unpacked"))
    }

    /// What is in it, as a value of this type and nothing else.
    pub(super) fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, TraceError> {
        match postcard::take_from_bytes(&self.unpack()?) {
            Ok((value, [])) => Ok(value),
            _ => Err(self.damaged("it cannot be decoded")),
        }
    }

    /// This chunk is damaged in this way.
    pub(super) fn damaged(&self, what: &'static str) -> TraceError {
        TraceError::Damaged {
            offset: self.offset,
            what,
        }
    }
}
