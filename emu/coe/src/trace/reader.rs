//! Reads a trace, up to its last whole chunk.

use std::borrow::Cow;
use std::path::Path;

use machine::{Images, Machine};

use super::TraceError;
use super::chunk::{Chunk, Kind};
use super::decode;
use super::format::{Header, Record, hash};
use super::preamble::{self, Version, WriterName};
use super::short::Past;
use super::snapshot::{self, Snapshot};
use crate::images::Setup;
use crate::input::Arrival;
use crate::run::{self, Finished};
use crate::scenario::program;

/// A trace whose header and images are known and checked.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The coe that wrote it.
    pub writer: Option<WriterName>,
    /// What it says about itself.
    pub header: Header,
    /// The kernel's ELF.
    pub kernel: Cow<'static, [u8]>,
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
        let preamble = preamble::read(&bytes)?;
        if preamble.version != Version::CURRENT {
            return Err(TraceError::version(preamble.version, preamble.writer));
        }
        let mut at = preamble.len;
        let header: Header = expect(&bytes, &mut at, Kind::Header)?.decode()?;
        let kernel = expect(&bytes, &mut at, Kind::Kernel)?;
        let kernel = named(&kernel, &header)?;
        let initrd = header
            .initrd
            .map(|len| initrd(&bytes, &mut at, len))
            .transpose()?;
        let disk = header
            .has_disk
            .then(|| Ok(expect(&bytes, &mut at, Kind::Disk)?.unpack()?.into_owned()))
            .transpose()?;
        Ok(Trace {
            writer: preamble.writer,
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

    /// The machine that was recorded, at power-on.
    ///
    /// # Errors
    /// If its images cannot be loaded or an input cannot be taken.
    pub fn boot(&self) -> Result<Machine, crate::Error> {
        let images = Images {
            kernel: &self.kernel,
            initrd: self.initrd.as_deref(),
            cmdline: &self.header.cmdline,
            disk: self.disk.as_deref(),
        };
        run::load(&self.header.config(), &images, &self.header.inputs)
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

    /// The last snapshot that was taken at this cycle or before.
    ///
    /// # Errors
    /// If its chunk is damaged.
    pub fn snapshot_before(&self, cycle: u64) -> Result<Option<Snapshot>, TraceError> {
        snapshot::before(&self.bytes, self.records_at, cycle)
    }

    /// The records in their order, then the end. An error ends the iteration.
    #[must_use]
    pub fn items(&self) -> Items<'_> {
        Items {
            bytes: &self.bytes,
            at: self.records_at,
            raw: Cow::default(),
            used: 0,
            chunk_at: 0,
            past: Past::default(),
            over: false,
        }
    }
}

/// The next chunk, which has to be of this kind.
fn expect<'a>(bytes: &'a [u8], at: &mut usize, kind: Kind) -> Result<Chunk<'a>, TraceError> {
    let chunk = Chunk::at(bytes, *at)?;
    if chunk.kind != kind {
        return Err(chunk.damaged(MISPLACED));
    }
    *at = chunk.end;
    Ok(chunk)
}

/// The kernel, if it is the one that the header names.
fn named(chunk: &Chunk<'_>, header: &Header) -> Result<Cow<'static, [u8]>, TraceError> {
    let kernel = chunk.unpack()?;
    if hash(&kernel) == header.kernel_hash {
        Ok(kernel)
    } else {
        Err(chunk.damaged("it is not the kernel that the header names"))
    }
}

/// The initrd of this length, which may stand in several chunks.
fn initrd(bytes: &[u8], at: &mut usize, len: u64) -> Result<Vec<u8>, TraceError> {
    let mut initrd = Vec::new();
    while (initrd.len() as u64) < len {
        let chunk = expect(bytes, at, Kind::Initrd)?;
        initrd.extend_from_slice(&chunk.unpack()?);
        if chunk.is_empty() || initrd.len() as u64 > len {
            return Err(chunk.damaged("its length is not what the header says"));
        }
    }
    Ok(initrd)
}

const MISPLACED: &str = "another chunk belongs here";

/// Reads records chunk by chunk.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The records of the current chunk.
    raw: Cow<'static, [u8]>,
    /// Bytes of them that are read already.
    used: usize,
    chunk_at: usize,
    past: Past,
    over: bool,
}

impl Items<'_> {
    fn read(&mut self) -> Result<Item, TraceError> {
        while self.used == self.raw.len() {
            let chunk = Chunk::at(self.bytes, self.at)?;
            (self.chunk_at, self.at) = (chunk.offset, chunk.end);
            match chunk.kind {
                Kind::Records => {
                    (self.raw, self.used) = (chunk.unpack()?, 0);
                    self.past.clear();
                }
                Kind::Place => {
                    expect(self.bytes, &mut self.at, Kind::Snapshot)?;
                }
                Kind::End => return self.end(&chunk),
                _ => return Err(chunk.damaged(MISPLACED)),
            }
        }
        let bytes = &self.raw[self.used..];
        let (record, len) = decode::record(bytes, &mut self.past).ok_or(TraceError::Damaged {
            offset: self.chunk_at,
            what: "it cannot be decoded",
        })?;
        self.used += len;
        Ok(Item::Record(record))
    }

    fn end(&mut self, chunk: &Chunk<'_>) -> Result<Item, TraceError> {
        self.over = true;
        if chunk.end != self.bytes.len() {
            return Err(TraceError::Damaged {
                offset: chunk.end,
                what: "nothing may follow the end",
            });
        }
        chunk.decode().map(Item::End)
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
