//! The layout of a `.coe` file; docs/trace-format.md describes it.

use std::borrow::Cow;
use std::fmt;

use machine::{Config, CostModel, CpuModel, Event, Input};
use serde::{Deserialize, Serialize};

use super::packed;
use crate::engine::Kind;
use crate::images::{Chooser, Setup};
use crate::input::Arrival;
use crate::scenario::Hardware;

/// A version of the cost model: every cycle of a trace depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CostVersion(pub u32);

impl CostVersion {
    /// The one that this machine counts by.
    pub const CURRENT: CostVersion = CostVersion(machine::cost::VERSION);
}

impl fmt::Display for CostVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
    /// Which CPU they are.
    pub cpu: CpuModel,
    /// The seed.
    pub seed: u64,
    /// The table of costs.
    pub cost: CostModel,
    /// Its version.
    pub cost_version: CostVersion,
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
    /// The bytes of the initrd, if there is one.
    pub initrd: Option<u64>,
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
            cpu: setup.hardware.cpu,
            seed: setup.hardware.seed,
            cost: setup.hardware.cost,
            cost_version: CostVersion::CURRENT,
            epoch: setup.hardware.epoch,
            cmdline: setup.cmdline.clone(),
            limit: setup.limit,
            digest_every: crate::run::PAUSE_EVERY,
            kernel_hash: hash(&setup.kernel),
            initrd: setup.initrd.as_ref().map(|initrd| initrd.len() as u64),
            has_disk: setup.disk.is_some(),
            inputs: setup.inputs.clone(),
            live: setup.live,
        }
    }

    /// The configuration of the machine that was recorded.
    #[must_use]
    pub fn config(&self) -> Config {
        self.hardware().config()
    }

    fn hardware(&self) -> Hardware {
        Hardware {
            memory: self.memory,
            cpus: self.cpus,
            cpu: self.cpu,
            seed: self.seed,
            cost: self.cost,
            epoch: self.epoch,
        }
    }

    /// The setup that was recorded; choices come from the records.
    #[must_use]
    pub fn setup(
        &self,
        kernel: Cow<'static, [u8]>,
        initrd: Option<Vec<u8>>,
        disk: Option<Vec<u8>>,
    ) -> Setup {
        Setup {
            title: self.title.clone(),
            scenario: self.scenario.clone(),
            hardware: self.hardware(),
            kernel,
            initrd,
            cmdline: self.cmdline.clone(),
            disk,
            inputs: self.inputs.clone(),
            live: self.live,
            chooser: Chooser::Defaults,
            limit: self.limit,
            engine: Kind::default(),
        }
    }
}

/// The name of an image: its xxh3-128 hash.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    format!("{:032x}", packed::hash(bytes))
}

/// One thing that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// An event. Most have a shorter record in the file.
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

/// Where a snapshot was taken; it stands right after the digest of that cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The machine's cycle.
    pub cycle: u64,
}

#[cfg(test)]
mod tests {
    use machine::{Payload, Position};

    use super::*;

    /// The bytes that docs/trace-format.md promises.
    #[test]
    fn whole_records_are_encoded_as_documented() {
        let bytes = |record: Record| postcard::to_stdvec(&record).unwrap();
        let at = Position {
            cycle: 300,
            cpu: 1,
            retired: 2,
            rep: 3,
            user: 4,
            retired_user: 5,
            mode_since: 6,
        };
        let event = |payload| bytes(Record::Event(Event { at, payload }));
        const AT: [u8; 9] = [0, 0xAC, 0x02, 1, 2, 3, 4, 5, 6];
        let with = |rest: &[u8]| [&AT, rest].concat();
        let input = |input| event(Payload::Input(input));
        assert_eq!(input(Input::Console(b'x')), with(&[3, 0, b'x']));
        assert_eq!(input(Input::Interrupt(0xF0)), with(&[3, 1, 0xF0]));
        assert_eq!(event(Payload::Unknown { id: 9 }), with(&[4, 9]));
        let digest = Record::Digest {
            cycle: 1,
            digest: "ab".to_owned(),
        };
        assert_eq!(bytes(digest), [1, 1, 2, b'a', b'b']);
        let typed = Record::Arrival(Arrival::Typed {
            at: 7,
            bytes: b"ab".to_vec(),
        });
        assert_eq!(bytes(typed), [2, 0, 7, 2, b'a', b'b']);
        let left = Record::Arrival(Arrival::Left { at: 7 });
        assert_eq!(bytes(left), [2, 1, 7]);
        let place = postcard::to_stdvec(&Place { cycle: 128 });
        assert_eq!(place.unwrap(), [0x80, 1]);
    }
}
