//! Reads a trace, up to its last whole chunk.

use std::path::Path;

use super::TraceError;
use super::format::{Base, FRAME, Header, Kind, MAGIC, PREAMBLE, Record, Version};
use crate::images::Setup;
use crate::input::Arrival;
use crate::run::Finished;
use crate::scenario::program;

/// No chunk unpacks to more than so many times its stored bytes.
const LZ4_RATIO: usize = 256;

/// A trace whose header and images are known and checked.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What it says about itself.
    pub header: Header,
    /// The kernel's ELF.
    pub kernel: Vec<u8>,
    /// The initrd.
    pub initrd: Option<Vec<u8>>,
    /// What is on the disk at first.
    pub disk: Option<Vec<u8>>,
    bytes: Vec<u8>,
    /// Where the chunks of records begin.
    records_at: usize,
}

/// What comes next in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A record.
    Record(Record),
    /// The end of the run; nothing follows.
    End(Finished),
}

impl Trace {
    /// Opens a trace.
    ///
    /// # Errors
    /// If it cannot be read, is no trace, or its header or images are damaged.
    pub fn open(path: &Path) -> Result<Trace, crate::Error> {
        Ok(Trace::from_bytes(program::read(path)?)?)
    }

    /// The trace in these bytes.
    ///
    /// # Errors
    /// If they are no trace, or its header or images are damaged.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Trace, TraceError> {
        check_preamble(&bytes)?;
        let mut at = PREAMBLE;
        let header: Header = {
            let offset = at;
            let raw = expect(&bytes, &mut at, Kind::Header)?;
            postcard::from_bytes(&raw).map_err(|_| TraceError::Damaged {
                offset,
                what: "it cannot be decoded",
            })?
        };
        let kernel = expect(&bytes, &mut at, Kind::Kernel)?;
        let initrd = header
            .has_initrd
            .then(|| expect(&bytes, &mut at, Kind::Initrd))
            .transpose()?;
        let disk = header
            .has_disk
            .then(|| expect(&bytes, &mut at, Kind::Disk))
            .transpose()?;
        Ok(Trace {
            header,
            kernel,
            initrd,
            disk,
            bytes,
            records_at: at,
        })
    }

    /// The setup from which the recorded machine was booted.
    #[must_use]
    pub fn setup(&self) -> Setup {
        self.header
            .setup(self.kernel.clone(), self.initrd.clone(), self.disk.clone())
    }

    /// The live input, as far as it can be read.
    pub fn arrivals(&self) -> impl Iterator<Item = Arrival> {
        let arrival = |item| match item {
            Ok(Item::Record(Record::Arrival(arrival))) => Some(arrival),
            _ => None,
        };
        // Most traces have none, and need not be read for it.
        let all = self.header.live.then(|| self.items());
        all.into_iter().flatten().filter_map(arrival)
    }

    /// The records in their order, then the end. An error ends the iteration.
    #[must_use]
    pub fn items(&self) -> Items<'_> {
        Items {
            bytes: &self.bytes,
            at: self.records_at,
            chunk: Vec::new(),
            used: 0,
            chunk_at: 0,
            base: Base::default(),
            over: false,
        }
    }
}

fn check_preamble(bytes: &[u8]) -> Result<(), TraceError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(TraceError::NotATrace);
    }
    let word = |at: usize| {
        bytes
            .get(at..at + 4)
            .and_then(|word| word.try_into().ok())
            .map(u32::from_le_bytes)
    };
    let (Some(version), Some(crc)) = (word(8), word(12)) else {
        return Err(TraceError::CutOff { offset: 0 });
    };
    if crc32c::crc32c(&bytes[..12]) != crc {
        return Err(TraceError::Damaged {
            offset: 0,
            what: "its checksum is wrong",
        });
    }
    if Version(version) != Version::CURRENT {
        return Err(TraceError::Version {
            found: Version(version),
        });
    }
    Ok(())
}

/// The chunk at this place, unpacked; moves on to the next.
fn chunk(bytes: &[u8], at: &mut usize) -> Result<(Kind, Vec<u8>), TraceError> {
    let offset = *at;
    let damaged = |what| TraceError::Damaged { offset, what };
    let frame = bytes
        .get(offset..offset + FRAME)
        .ok_or(TraceError::CutOff { offset })?;
    let word =
        |at: usize| u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
    let (raw_len, stored_len, crc) = (word(4) as usize, word(8) as usize, word(12));
    let from = offset + FRAME;
    let stored = from
        .checked_add(stored_len)
        .and_then(|end| bytes.get(from..end));
    let stored = stored.ok_or(TraceError::CutOff { offset })?;
    if crc32c::crc32c_append(crc32c::crc32c(&frame[..12]), stored) != crc {
        return Err(damaged("its checksum is wrong"));
    }
    let kind = Kind::from_raw(frame[0]).ok_or(damaged("its kind is unknown"))?;
    if raw_len > stored_len.saturating_mul(LZ4_RATIO) {
        return Err(damaged("its length is impossible"));
    }
    let raw = lz4_flex::block::decompress(stored, raw_len)
        .map_err(|_| damaged("it cannot be unpacked"))?;
    *at = from + stored_len;
    Ok((kind, raw))
}

fn expect(bytes: &[u8], at: &mut usize, kind: Kind) -> Result<Vec<u8>, TraceError> {
    let offset = *at;
    match chunk(bytes, at)? {
        (found, raw) if found == kind => Ok(raw),
        _ => Err(TraceError::Damaged {
            offset,
            what: "another chunk belongs here",
        }),
    }
}

/// Reads records chunk by chunk.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
    chunk: Vec<u8>,
    /// Bytes of the chunk that are read already.
    used: usize,
    chunk_at: usize,
    base: Base,
    over: bool,
}

impl Items<'_> {
    fn read(&mut self) -> Result<Item, TraceError> {
        while self.used == self.chunk.len() {
            self.chunk_at = self.at;
            let (kind, raw) = chunk(self.bytes, &mut self.at)?;
            match kind {
                Kind::Records => (self.chunk, self.used, self.base) = (raw, 0, Base::default()),
                Kind::End => return self.end(&raw),
                _ => return Err(self.damaged("another chunk belongs here")),
            }
        }
        let rest = &self.chunk[self.used..];
        let (mut record, rest) =
            postcard::take_from_bytes(rest).map_err(|_| self.damaged("it cannot be decoded"))?;
        self.used = self.chunk.len() - rest.len();
        if let Record::Event(event) = &mut record {
            self.base.add(event);
        }
        Ok(Item::Record(record))
    }

    fn end(&mut self, raw: &[u8]) -> Result<Item, TraceError> {
        self.over = true;
        if self.at != self.bytes.len() {
            return Err(TraceError::Damaged {
                offset: self.at,
                what: "nothing may follow the end",
            });
        }
        postcard::from_bytes(raw)
            .map(Item::End)
            .map_err(|_| self.damaged("it cannot be decoded"))
    }

    fn damaged(&self, what: &'static str) -> TraceError {
        TraceError::Damaged {
            offset: self.chunk_at,
            what,
        }
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Item, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let item = self.read();
        self.over |= item.is_err();
        Some(item)
    }
}
