//! Chunks: the pieces of a trace, compressed and with a checksum each.

use std::borrow::Cow;

use super::encode::block;
use super::frame::{self, COVERED, FRAME, frame};
use super::packed::{chunk_of, file_at};
use super::{FUZZING, TraceError};

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A [`super::Header`].
    Header = 1,
    /// The kernel's ELF.
    Kernel = frame::KERNEL,
    /// The initrd.
    Initrd = frame::INITRD,
    /// [`super::Record`]s.
    Records = 4,
    /// The [`crate::run::Finished`]; nothing follows it.
    End = 5,
    /// What is on the disk at first.
    Disk = 6,
    /// The [`super::Place`] of the snapshot that follows.
    Place = 7,
    /// What has changed of the machine since the last one, between two records.
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

/// No chunk unpacks to more than so many times its stored bytes.
const LZ4_RATIO: usize = 256;

/// A chunk as it is stored.
pub(super) fn pack(kind: Kind, raw: &[u8]) -> Result<Cow<'static, [u8]>, TraceError> {
    if let Some(chunk) = chunk_of(kind as u8, raw) {
        return Ok(chunk.into());
    }
    let stored = block(raw);
    let too_large = TraceError::TooLarge { len: raw.len() };
    let head = frame(kind as u8, raw.len(), &stored).ok_or(too_large)?;
    Ok([head.as_slice(), &stored].concat().into())
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
    /// What is in it, where that is known.
    file: Option<&'static [u8]>,
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
        let file = file_at(&bytes[offset..]);
        let good = || crc32c::crc32c_append(crc32c::crc32c(&frame[..COVERED]), stored) == crc;
        if !FUZZING && file.is_none() && !good() {
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
            file,
        })
    }

    /// True if nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.raw_len == 0
    }

    /// What is in it.
    pub(super) fn unpack(&self) -> Result<Cow<'static, [u8]>, TraceError> {
        if let Some(file) = self.file {
            return Ok(file.into());
        }
        lz4_flex::block::decompress(self.stored, self.raw_len)
            .ok()
            .filter(|raw| raw.len() == self.raw_len)
            .map(Cow::Owned)
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
