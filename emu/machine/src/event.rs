//! What goes into the machine and what comes out of it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use abi::choice::ChoiceKind;
use abi::event::EventId;
use abi::probe::ARGS;
use serde::{Deserialize, Serialize};

/// A place in time: an instruction boundary of one CPU.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// Cycles since power-on.
    pub cycle: u64,
    /// The CPU.
    pub cpu: u8,
    /// Instructions that this CPU has retired.
    pub retired: u64,
    /// Iterations that the current REP instruction has done.
    pub rep: u64,
    /// Cycles that this CPU has spent at CPL 3. An instruction belongs to the
    /// level at which it began, and so does the way into the kernel.
    pub user: u64,
    /// Instructions that this CPU has retired at CPL 3.
    pub retired_user: u64,
    /// The cycle at which this CPU last came to CPL 3 or left it: for an event
    /// of the kernel, when the kernel was entered.
    pub mode_since: u64,
}

/// Something that happened, with its place in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When and where: the boundary after the instruction that caused it.
    pub at: Position,
    /// What happened.
    pub payload: Payload,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A tracepoint of the kernel.
    Kernel {
        /// Which one.
        #[serde(with = "event_id")]
        id: EventId,
        /// Its arguments, in the order of its fields.
        args: [u64; ARGS],
        /// The text that its last two arguments point at, if it has one.
        text: Vec<u8>,
    },
    /// The kernel asked and was answered.
    Choice {
        /// What was asked.
        choice: Choice,
        /// The answer that it got.
        answer: u32,
    },
    /// The guest sent a byte through its serial port.
    Console(u8),
    /// An input took effect.
    Input(Input),
    /// The kernel wrote a tracepoint number that the vocabulary does not have.
    Unknown {
        /// The number.
        id: u32,
    },
}

/// A question of the kernel: which of `n` ways to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What is to be chosen.
    #[serde(with = "choice_kind")]
    pub kind: ChoiceKind,
    /// The number of answers.
    pub n: u32,
    /// The answer that the kernel would give itself.
    pub default: u32,
    /// The task ids that the answers stand for; empty if they stand for none.
    pub candidates: Vec<u32>,
    /// How many choices of its kind came before this one. It is part of the
    /// machine's state, so a seeded policy can be a pure function of seed, kind
    /// and index; and since each kind has its own count, a kernel that
    /// allocates once more does not shuffle the order of tasks.
    pub index: u64,
}

/// Something from outside that the guest can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Input {
    /// A byte arrives at the serial port.
    Console(u8),
    /// The local APIC gets this vector, as if a device had sent it.
    Interrupt(u8),
}

/// Why an input was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputError {
    /// Its time has passed already.
    Past {
        /// When it should have come.
        at: u64,
        /// The machine's cycle.
        now: u64,
    },
    /// Vectors below 16 are no interrupts that a local APIC can deliver.
    Vector(u8),
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InputError::Past { at, now } => {
                write!(
                    f,
                    "an input for cycle {at} came when the machine was at cycle {now}"
                )
            }
            InputError::Vector(vector) => {
                write!(
                    f,
                    "vector {vector} cannot be delivered: the first one is 16"
                )
            }
        }
    }
}

impl core::error::Error for InputError {}

/// Everything that leaves the machine. A host never changes a guest cycle; its
/// answers to choices do change what the guest does.
pub trait Host {
    /// Something happened.
    fn event(&mut self, event: Event);

    /// The kernel asks; an answer that is not below `choice.n` counts as the
    /// default.
    fn choose(&mut self, choice: &Choice) -> u32;

    /// Asked after each event: an input that takes effect at this very
    /// boundary, before any that waits for its time.
    fn interject(&mut self) -> Option<Input> {
        None
    }

    /// How many user instructions the machine will have retired when
    /// [`Host::reached`] is to be called; asked before the machine goes on from
    /// an event. A number that is reached already is none.
    fn alarm(&self) -> Option<u64> {
        None
    }

    /// The machine is at the boundary after the alarm's instruction: an input
    /// that takes effect here.
    fn reached(&mut self) -> Option<Input> {
        None
    }
}

/// A host that drops all events and lets the kernel have its defaults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Host for Nobody {
    fn event(&mut self, _event: Event) {}

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}

/// Something that the machine announces but does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Its name.
    pub what: String,
    /// The address of the instruction that needs it.
    pub rip: u64,
    /// The instruction's bytes, as far as they could be read.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this machine does not have {} (at {:#x}, bytes",
            self.what, self.rip
        )?;
        for byte in &self.bytes {
            write!(f, " {byte:02x}")?;
        }
        write!(f, ")")
    }
}

/// `abi` has no dependencies, so its numbers are put into words of serde here.
macro_rules! by_number {
    ($module:ident, $type:ty, $name:literal) => {
        mod $module {
            use serde::{Deserialize, Deserializer, Serializer, de::Error};

            pub(super) fn serialize<S: Serializer>(value: &$type, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_u32(*value as u32)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<$type, D::Error> {
                let raw = u32::deserialize(d)?;
                <$type>::from_raw(raw).ok_or_else(|| D::Error::custom(concat!("unknown ", $name)))
            }
        }
    };
}

by_number!(event_id, abi::event::EventId, "event");
by_number!(choice_kind, abi::choice::ChoiceKind, "choice");

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn events_survive_being_written_down() {
        let event = Event {
            at: Position {
                cycle: 7,
                cpu: 0,
                retired: 5,
                rep: 1,
                user: 3,
                retired_user: 2,
                mode_since: 4,
            },
            payload: Payload::Choice {
                choice: Choice {
                    kind: ChoiceKind::WakeFirst,
                    n: 2,
                    default: 0,
                    candidates: vec![3, 4],
                    index: 9,
                },
                answer: 1,
            },
        };
        let bytes = postcard::to_allocvec(&event).unwrap();
        assert_eq!(postcard::from_bytes::<Event>(&bytes).unwrap(), event);
    }

    #[test]
    fn an_unknown_event_number_is_refused() {
        let known = Payload::Kernel {
            id: EventId::SysEnter,
            args: [0; ARGS],
            text: vec![],
        };
        let mut bytes = postcard::to_allocvec(&known).unwrap();
        assert_eq!(bytes[1], EventId::SysEnter as u8);
        bytes[1] = 0x7F;
        assert!(postcard::from_bytes::<Payload>(&bytes).is_err());
    }
}
