//! Snapshots: a machine as bytes, and back.
//!
//! `magic, format version, cost version, what it continues, length of the state, state, number
//! of frames, frames (number within RAM and 4096 bytes each), disk, checksum`. What it continues
//! is the checksum of another snapshot, or 0: frames that are not here hold what they hold
//! there, or zeros. The disk is a byte 0, or a byte 1 and then the length of its registers'
//! state, that state, and pages as with the frames. Numbers are little-endian. The same machine
//! always gives the same bytes, and the same continuation of the same snapshot.

use alloc::vec::Vec;
use core::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::bus::ram::{FrameHashes, Page};
use crate::cost;
use crate::devices::disk::Contents;
use crate::machine::Machine;

const MAGIC: [u8; 8] = *b"COEMACH\0";

/// Version of the format. 1: the first. 2: a disk. 3: cycles spent in user mode. 4: which CPU, its
/// YMM registers, XCR0, memory types and random numbers; process contexts; what interrupts
/// through the 8259s. 5: what it continues.
const VERSION: u32 = 5;

/// What a whole snapshot continues.
const NOTHING: u64 = 0;

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
    /// They continue another snapshot than the one before them, if there is one.
    OutOfSequence,
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
            RestoreError::OutOfSequence => {
                write!(
                    f,
                    "the snapshot continues another one, which does not precede it"
                )
            }
            RestoreError::Damaged => write!(f, "the snapshot is damaged or cut off"),
        }
    }
}

impl core::error::Error for RestoreError {}

/// What was saved last: [`Machine::save_changes`] saves what is different from it.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The checksum of the snapshot.
    checksum: u64,
    frames: FrameHashes,
    disk: Contents,
}

impl Machine {
    /// The whole machine as bytes.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let frames = self.ram().contents().collect();
        let disk = self.disk().map(|disk| disk.pages().collect());
        self.write(NOTHING, frames, disk).0
    }

    /// What has changed since this machine, or one that it went on from, was saved, as bytes;
    /// the first time that is the whole machine. The cost grows with the pages that were
    /// written since. [`Machine::restore_sequence`] needs all of these snapshots up to the
    /// one that is wanted.
    #[must_use]
    pub fn save_changes(&self, since: &mut Saved) -> Vec<u8> {
        let frames = self.ram().changes(&mut since.frames);
        let disk = self.disk().map(|disk| disk.changes(&since.disk));
        let (bytes, checksum) = self.write(since.checksum, frames, disk);
        since.checksum = checksum;
        since.disk = self.disk().cloned().unwrap_or_default();
        bytes
    }

    /// A snapshot with these pages, and its checksum.
    fn write(&self, continues: u64, frames: Pages<'_>, disk: Option<Pages<'_>>) -> (Vec<u8>, u64) {
        let state = self.state();
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&cost::VERSION.to_le_bytes());
        out.extend_from_slice(&continues.to_le_bytes());
        out.extend_from_slice(&(state.len() as u64).to_le_bytes());
        out.extend_from_slice(&state);
        put_pages(&mut out, frames);
        match (self.disk_state(), disk) {
            (Some(state), Some(pages)) => {
                out.push(1);
                out.extend_from_slice(&(state.len() as u64).to_le_bytes());
                out.extend_from_slice(&state);
                put_pages(&mut out, pages);
            }
            _ => out.push(0),
        }
        let checksum = xxh3_64(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        (out, checksum)
    }

    /// The machine that [`Machine::save`] wrote.
    ///
    /// # Errors
    /// If the bytes are no snapshot, one of another version, or damaged.
    pub fn restore(bytes: &[u8]) -> Result<Machine, RestoreError> {
        Machine::restore_sequence([bytes])
    }

    /// The machine of the last of these snapshots: one of [`Machine::save_changes`], after all
    /// those that it wrote before.
    ///
    /// # Errors
    /// If one of them is no snapshot, one of another version, or damaged, and if one is
    /// missing. An empty sequence is no snapshot.
    pub fn restore_sequence<'a>(
        snapshots: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Machine, RestoreError> {
        let mut last = None;
        for bytes in snapshots {
            last = Some(continued(last, bytes)?);
        }
        let (machine, _) = last.ok_or(RestoreError::NotASnapshot)?;
        Ok(machine)
    }
}

/// A machine that was restored, with the checksum of its snapshot.
type Restored = (Machine, u64);

/// The machine of a snapshot that continues the one before, if there is one.
fn continued(before: Option<Restored>, bytes: &[u8]) -> Result<Restored, RestoreError> {
    let mut reader = Reader { rest: bytes };
    reader.head()?;
    let (body, checksum) = bytes.split_last_chunk().ok_or(RestoreError::Damaged)?;
    let checksum = u64::from_le_bytes(*checksum);
    if !FUZZING && xxh3_64(body) != checksum {
        return Err(RestoreError::Damaged);
    }
    let (before, continues) = before.unzip();
    if reader.u64()? != continues.unwrap_or(NOTHING) {
        return Err(RestoreError::OutOfSequence);
    }
    let len = reader.u64()?;
    let state = reader.take(len)?;
    let mut machine = Machine::from_state(state).ok_or(RestoreError::Damaged)?;
    let disk_before = before.as_ref().and_then(Machine::disk).cloned();
    if before.is_some_and(|before| !machine.take_memory(before)) {
        return Err(RestoreError::Damaged);
    }
    reader.pages(|index, page| machine.ram_mut().put(index, page))?;
    match reader.array() {
        Some([0]) => {}
        Some([1]) => {
            let len = reader.u64()?;
            let state = reader.take(len)?;
            let disk = machine.restore_disk(state).ok_or(RestoreError::Damaged)?;
            match disk_before {
                Some(before) if before.len() == disk.len() => *disk = before,
                Some(_) => return Err(RestoreError::Damaged),
                None => {}
            }
            reader.pages(|index, page| disk.put(index, page))?;
        }
        _ => return Err(RestoreError::Damaged),
    }
    if reader.rest.len() == size_of_val(&checksum) {
        Ok((machine, checksum))
    } else {
        Err(RestoreError::Damaged)
    }
}

/// Pages with their numbers.
type Pages<'a> = Vec<(u64, &'a Page)>;

/// Writes them after how many there are.
fn put_pages(out: &mut Vec<u8>, pages: Pages<'_>) {
    out.extend_from_slice(&(pages.len() as u64).to_le_bytes());
    for (index, bytes) in pages {
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

    /// What every snapshot begins with, up to the versions.
    fn head(&mut self) -> Result<(), RestoreError> {
        if self.array() != Some(MAGIC) {
            return Err(RestoreError::NotASnapshot);
        }
        let (found, known) = (self.u32()?, VERSION);
        if found != known {
            return Err(RestoreError::Version { found, known });
        }
        let (found, known) = (self.u32()?, cost::VERSION);
        if found != known {
            return Err(RestoreError::CostVersion { found, known });
        }
        Ok(())
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

    /// Reads pages as [`put_pages`] writes them; `put` says whether one has a place.
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
