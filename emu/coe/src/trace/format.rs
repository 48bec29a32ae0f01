//! The layout of a `.coe` file; docs/trace-format.md describes it.

use std::fmt;

use machine::{CostModel, Event, Input, Position};
use serde::{Deserialize, Serialize};

use super::TraceError;
use crate::images::{Chooser, Setup};
use crate::input::Arrival;
use crate::scenario::Hardware;

/// The first bytes of every trace.
pub(super) const MAGIC: [u8; 8] = *b"coe\x1atrc\n";

/// A version of the format. A reader takes its own and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub u32);

impl Version {
    /// The version that is written.
    ///
    /// - 1: the first one.
    /// - 2: a disk; choices are counted by kind.
    /// - 3: positions say how many cycles and instructions were the user's;
    ///   live input.
    pub const CURRENT: Version = Version(3);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A [`Header`].
    Header = 1,
    /// The kernel's ELF.
    Kernel = 2,
    /// The initrd.
    Initrd = 3,
    /// [`Record`]s.
    Records = 4,
    /// The [`crate::run::Finished`]; nothing follows it.
    End = 5,
    /// What is on the disk at first.
    Disk = 6,
}

impl Kind {
    pub(super) fn from_raw(raw: u8) -> Option<Kind> {
        [
            Kind::Header,
            Kind::Kernel,
            Kind::Initrd,
            Kind::Records,
            Kind::End,
            Kind::Disk,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == raw)
    }
}

/// What a trace says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The scenario's title.
    pub title: String,
    /// The scenario's text, if there was one.
    pub scenario: String,
    /// Bytes of memory.
    pub memory: u64,
    /// CPUs.
    pub cpus: u8,
    /// The seed.
    pub seed: u64,
    /// The table of costs.
    pub cost: CostModel,
    /// Its version.
    pub cost_version: u32,
    /// The date at boot.
    pub epoch: u64,
    /// The kernel's command line.
    pub cmdline: String,
    /// The limit of cycles.
    pub limit: u64,
    /// Digests are recorded at each multiple of so many cycles.
    pub digest_every: u64,
    /// The hash of the kernel's ELF, for people and for comparing.
    pub kernel_hash: String,
    /// True if there is an initrd.
    pub has_initrd: bool,
    /// True if there is a disk.
    pub has_disk: bool,
    /// Inputs with their times, pushed before the first instruction.
    pub inputs: Vec<(u64, Input)>,
    /// True if there are records of live input.
    pub live: bool,
}

impl Header {
    /// The header of a recording of this setup.
    #[must_use]
    pub fn new(setup: &Setup) -> Header {
        Header {
            title: setup.title.clone(),
            scenario: setup.scenario.clone(),
            memory: setup.hardware.memory,
            cpus: setup.hardware.cpus,
            seed: setup.hardware.seed,
            cost: setup.hardware.cost,
            cost_version: machine::cost::VERSION,
            epoch: setup.hardware.epoch,
            cmdline: setup.cmdline.clone(),
            limit: setup.limit,
            digest_every: crate::run::PAUSE_EVERY,
            kernel_hash: hash(&setup.kernel),
            has_initrd: setup.initrd.is_some(),
            has_disk: setup.disk.is_some(),
            inputs: setup.inputs.clone(),
            live: setup.live,
        }
    }

    /// The setup that was recorded; choices come from the records.
    #[must_use]
    pub fn setup(&self, kernel: Vec<u8>, initrd: Option<Vec<u8>>, disk: Option<Vec<u8>>) -> Setup {
        Setup {
            title: self.title.clone(),
            scenario: self.scenario.clone(),
            hardware: Hardware {
                memory: self.memory,
                cpus: self.cpus,
                seed: self.seed,
                cost: self.cost,
                epoch: self.epoch,
            },
            kernel,
            initrd,
            cmdline: self.cmdline.clone(),
            disk,
            inputs: self.inputs.clone(),
            live: self.live,
            chooser: Chooser::Defaults,
            limit: self.limit,
        }
    }
}

/// The name of an image: its xxh3-128 hash.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(bytes))
}

/// One thing that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// An event. In the file the counters of its position that only grow
    /// (cycles, retired instructions, those of user mode) are the differences
    /// to the event before it in the same chunk.
    Event(Event),
    /// The digest of the whole state.
    Digest {
        /// At this cycle.
        cycle: u64,
        /// 32 hexadecimal digits.
        digest: String,
    },
    /// Live input, where it was given to the machine.
    Arrival(Arrival),
}

/// The counters of a position from which differences are taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Base(Position);

impl Base {
    /// Makes an event's position relative and moves on to it.
    pub(super) fn subtract(&mut self, event: &mut Event) {
        let absolute = event.at;
        self.each(&mut event.at, u64::wrapping_sub);
        self.0 = absolute;
    }

    /// Makes a relative position absolute again.
    pub(super) fn add(&mut self, event: &mut Event) {
        self.each(&mut event.at, u64::wrapping_add);
        self.0 = event.at;
    }

    /// Changes the counters that only grow by those of the base.
    fn each(&self, at: &mut Position, change: fn(u64, u64) -> u64) {
        at.cycle = change(at.cycle, self.0.cycle);
        at.retired = change(at.retired, self.0.retired);
        at.user = change(at.user, self.0.user);
        at.retired_user = change(at.retired_user, self.0.retired_user);
        at.mode_since = change(at.mode_since, self.0.mode_since);
    }
}

/// The fixed part before a chunk's data: kind, raw length, stored length, CRC.
pub(super) const FRAME: usize = 16;

/// A chunk as it is stored.
pub(super) fn frame(kind: Kind, raw: &[u8]) -> Result<Vec<u8>, TraceError> {
    let stored = lz4_flex::block::compress(raw);
    let too_large = |_| TraceError::TooLarge { len: raw.len() };
    let raw_len = u32::try_from(raw.len()).map_err(too_large)?;
    let stored_len = u32::try_from(stored.len()).map_err(too_large)?;
    let mut bytes = Vec::with_capacity(FRAME + stored.len());
    bytes.extend([kind as u8, 0, 0, 0]);
    bytes.extend(raw_len.to_le_bytes());
    bytes.extend(stored_len.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), &stored);
    bytes.extend(crc.to_le_bytes());
    bytes.extend(stored);
    Ok(bytes)
}

/// Magic, version and their checksum.
pub(super) const PREAMBLE: usize = 16;

pub(super) fn preamble(version: Version) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(version.0.to_le_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}
