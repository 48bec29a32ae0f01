//! The layout of a `.coe` file; docs/trace-format.md describes it.

use std::borrow::Cow;
use std::fmt;

use machine::{Config, CostModel, CpuModel, Event, Input, Payload, Position};
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

/// Where a snapshot was taken; it stands right after the digest of that cycle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The machine's cycle.
    pub cycle: u64,
}

/// What an event's record is encoded from, without a copy of the event: its
/// number among the records, its relative position, its payload.
pub(super) fn event_record(at: Position, payload: &Payload) -> (u8, Position, &Payload) {
    (0, at, payload)
}

/// The counters of a position from which differences are taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Base(Position);

impl Base {
    /// The relative form of this position; moves on to it.
    pub(super) fn relative(&mut self, at: Position) -> Position {
        let mut relative = at;
        self.each(&mut relative, u64::wrapping_sub);
        self.0 = at;
        relative
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

#[cfg(test)]
mod tests {
    use abi::choice::ChoiceKind;
    use abi::event::EventId;
    use machine::Choice;

    use super::*;

    fn bytes(payload: Payload) -> Vec<u8> {
        let at = Position {
            cycle: 300,
            cpu: 1,
            retired: 2,
            rep: 3,
            user: 4,
            retired_user: 5,
            mode_since: 6,
        };
        let written = postcard::to_stdvec(&event_record(at, &payload)).unwrap();
        let record = Record::Event(Event { at, payload });
        assert_eq!(postcard::to_stdvec(&record).unwrap(), written);
        written
    }

    /// The bytes that docs/trace-format.md promises.
    #[test]
    fn records_are_encoded_as_documented() {
        const AT: [u8; 9] = [0, 0xAC, 0x02, 1, 2, 3, 4, 5, 6];
        let with = |rest: &[u8]| [&AT, rest].concat();
        let kernel = Payload::Kernel {
            id: EventId::SysEnter,
            args: [1, 2, 3, 4, 0x80],
            text: b"ab".to_vec(),
        };
        let id = EventId::SysEnter as u8;
        let expected = with(&[0, id, 1, 2, 3, 4, 0x80, 1, 2, b'a', b'b']);
        assert_eq!(bytes(kernel), expected);
        let choice = Choice {
            kind: ChoiceKind::PickNext,
            n: 3,
            default: 1,
            candidates: vec![7, 8, 9],
            index: 6,
        };
        let kind = ChoiceKind::PickNext as u8;
        let expected = with(&[1, kind, 3, 1, 3, 7, 8, 9, 6, 2]);
        assert_eq!(bytes(Payload::Choice { choice, answer: 2 }), expected);
        assert_eq!(bytes(Payload::Console(0xFF)), with(&[2, 0xFF]));
        let input = |input| bytes(Payload::Input(input));
        assert_eq!(input(Input::Console(b'x')), with(&[3, 0, b'x']));
        assert_eq!(input(Input::Interrupt(0xF0)), with(&[3, 1, 0xF0]));
        assert_eq!(bytes(Payload::Unknown { id: 9 }), with(&[4, 9]));
        let digest = Record::Digest {
            cycle: 1,
            digest: "ab".to_owned(),
        };
        assert_eq!(postcard::to_stdvec(&digest).unwrap(), [1, 1, 2, b'a', b'b']);
        let typed = Record::Arrival(Arrival::Typed {
            at: 7,
            bytes: b"ab".to_vec(),
        });
        assert_eq!(
            postcard::to_stdvec(&typed).unwrap(),
            [2, 0, 7, 2, b'a', b'b']
        );
        let left = Record::Arrival(Arrival::Left { at: 7 });
        assert_eq!(postcard::to_stdvec(&left).unwrap(), [2, 1, 7]);
        assert_eq!(
            postcard::to_stdvec(&Place { cycle: 128 }).unwrap(),
            [0x80, 1]
        );
    }
}
