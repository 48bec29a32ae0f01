//! Snapshots: a machine as bytes, and back.
//!
//! `magic, format version, cost version, length of the state, state, number of
//! frames, frames (number within RAM and 4096 bytes each, none of them all
//! zero), disk, checksum`. The disk is a byte 0, or a byte 1 and then the length
//! of its registers' state, that state, and pages as with the frames. Numbers are
//! little-endian. The same machine always gives the same bytes.

use alloc::vec::Vec;
use core::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::bus::ram::Page;
use crate::cost;
use crate::machine::Machine;

const MAGIC: [u8; 8] = *b"COEMACH\0";

/// Version of the format. 1: the first. 2: a disk. 3: cycles spent in user mode. 4: which CPU, its
/// YMM registers, XCR0, memory types and random numbers; process contexts; what interrupts
/// through the 8259s.
const VERSION: u32 = 4;

/// A build for fuzzing looks behind the checksum, which no mutation would hit.
#[allow(unexpected_cfgs, reason = "fuzz/run sets it, as cargo fuzz does")]
const FUZZING: bool = cfg!(fuzzing);

/// Why bytes are no machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// They do not begin as a snapshot does.
    NotASnapshot,
    /// They were written in another version of the format.
    Version {
        /// Theirs.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// They were written with another table of costs.
    CostVersion {
        /// Theirs.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// They are cut off, changed, or do not fit together.
    Damaged,
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreError::NotASnapshot => write!(f, "this is not a snapshot of a machine"),
            RestoreError::Version { found, known } => {
                write!(
                    f,
                    "the snapshot has format {found}, this machine reads format {known}"
                )
            }
            RestoreError::CostVersion { found, known } => {
                write!(
                    f,
                    "the snapshot counts by cost table {found}, this machine by {known}"
                )
            }
            RestoreError::Damaged => write!(f, "the snapshot is damaged or cut off"),
        }
    }
}

impl core::error::Error for RestoreError {}

impl Machine {
    /// The whole machine as bytes.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let state = self.state();
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&cost::VERSION.to_le_bytes());
        out.extend_from_slice(&(state.len() as u64).to_le_bytes());
        out.extend_from_slice(&state);
        put_pages(&mut out, || self.ram().contents());
        match (self.disk_state(), self.disk()) {
            (Some(state), Some(disk)) => {
                out.push(1);
                out.extend_from_slice(&(state.len() as u64).to_le_bytes());
                out.extend_from_slice(&state);
                put_pages(&mut out, || disk.pages());
            }
            _ => out.push(0),
        }
        out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
        out
    }

    /// The machine that [`Machine::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are no snapshot, one of another version, or damaged.
    pub fn restore(bytes: &[u8]) -> Result<Machine, RestoreError> {
        let mut reader = Reader { rest: bytes };
        if reader.array() != Some(MAGIC) {
            return Err(RestoreError::NotASnapshot);
        }
        let found = reader.u32()?;
        if found != VERSION {
            return Err(RestoreError::Version {
                found,
                known: VERSION,
            });
        }
        let found = reader.u32()?;
        if found != cost::VERSION {
            return Err(RestoreError::CostVersion {
                found,
                known: cost::VERSION,
            });
        }
        let (body, checksum) = bytes.split_last_chunk().ok_or(RestoreError::Damaged)?;
        if !FUZZING && xxh3_64(body) != u64::from_le_bytes(*checksum) {
            return Err(RestoreError::Damaged);
        }
        let len = reader.u64()?;
        let state = reader.take(len)?;
        let mut machine = Machine::from_state(state).ok_or(RestoreError::Damaged)?;
        reader.pages(|index, page| machine.ram_mut().put(index, page))?;
        match reader.array() {
            Some([0]) => {}
            Some([1]) => {
                let len = reader.u64()?;
                let state = reader.take(len)?;
                let disk = machine.restore_disk(state).ok_or(RestoreError::Damaged)?;
                reader.pages(|index, page| disk.put(index, page))?;
            }
            _ => return Err(RestoreError::Damaged),
        }
        if reader.rest.len() == checksum.len() {
            Ok(machine)
        } else {
            Err(RestoreError::Damaged)
        }
    }
}

/// Writes pages with their numbers, after how many there are.
fn put_pages<'a, I: Iterator<Item = (u64, &'a Page)>>(out: &mut Vec<u8>, pages: impl Fn() -> I) {
    out.extend_from_slice(&(pages().count() as u64).to_le_bytes());
    for (index, bytes) in pages() {
        out.extend_from_slice(&index.to_le_bytes());
        out.extend_from_slice(bytes);
    }
}

/// Takes numbers and bytes from the front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*front)
    }

    fn u32(&mut self) -> Result<u32, RestoreError> {
        self.array()
            .map(u32::from_le_bytes)
            .ok_or(RestoreError::Damaged)
    }

    fn u64(&mut self) -> Result<u64, RestoreError> {
        self.array()
            .map(u64::from_le_bytes)
            .ok_or(RestoreError::Damaged)
    }

    /// Reads pages as `put_pages` writes them; `put` says whether one has a place.
    fn pages(&mut self, mut put: impl FnMut(u64, &Page) -> bool) -> Result<(), RestoreError> {
        for _ in 0..self.u64()? {
            let index = self.u64()?;
            let page: Page = self.array().ok_or(RestoreError::Damaged)?;
            if !put(index, &page) {
                return Err(RestoreError::Damaged);
            }
        }
        Ok(())
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], RestoreError> {
        let len = usize::try_from(len).map_err(|_| RestoreError::Damaged)?;
        let (front, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(RestoreError::Damaged)?;
        self.rest = rest;
        Ok(front)
    }
}
