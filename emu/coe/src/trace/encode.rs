//! Encodes what a trace has most of, events and choices of the kernel, and what it has in
//! small pieces, without the detours that a general encoder takes.

use abi::probe::ARGS;
use machine::{Choice, Payload, Position};
use serde::Serialize;

use super::TraceError;
use super::format::event_record;

/// A number has no more bytes.
const NUMBER: usize = 10;

/// Answers that a choice usually has no more of.
pub(super) const CANDIDATES: usize = 8;

/// What any byte can count.
const ROOM: usize = 256;

/// An event has no more bytes but for the kernel's text: two tags, the CPU, six
/// counters; then id, arguments and the length of the text, or what a choice has,
/// which is no more.
const FIXED: usize = 3 + (6 + 1 + ARGS + 1 + CANDIDATES) * NUMBER;
const _: () = assert!(FIXED < ROOM);

/// The most bytes that are stored as they are.
const SMALL: usize = 512;

/// Records, one after the other.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Longer than what is there, so that there is room for the fixed part of an event.
    room: Vec<u8>,
    used: usize,
}

impl Records {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[..self.used]
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`TraceError::Encode`], and nothing is appended.
    pub(super) fn add<T: Serialize>(&mut self, record: &T) -> Result<(), TraceError> {
        let bytes = postcard::to_stdvec(record).map_err(|_| TraceError::Encode)?;
        self.append(&bytes);
        Ok(())
    }

    /// Appends the record of an event with this relative position.
    ///
    /// # Errors
    /// As [`Records::add`].
    pub(super) fn add_event(&mut self, at: Position, payload: &Payload) -> Result<(), TraceError> {
        let mut fixed = Fixed {
            room: self.fixed_room(),
            len: 0,
        };
        let text: &[u8] = match payload {
            Payload::Kernel { id, args, text } => {
                fixed.event(at, 0);
                fixed.number(*id as u64);
                for arg in args {
                    fixed.number(*arg);
                }
                fixed.number(text.len() as u64);
                text
            }
            Payload::Choice { choice, answer } if choice.candidates.len() <= CANDIDATES => {
                fixed.event(at, 1);
                fixed.choice(choice);
                fixed.number(u64::from(*answer));
                &[]
            }
            other => return self.add(&event_record(at, other)),
        };
        self.used += usize::from(fixed.len);
        if !text.is_empty() {
            self.append(text);
        }
        Ok(())
    }

    /// Room for the fixed part of an event, behind what is there.
    fn fixed_room(&mut self) -> &mut [u8; ROOM] {
        if self.room.len() < self.used + ROOM {
            self.room.resize(2 * (self.used + ROOM), 0);
        }
        let room = self.room[self.used..].first_chunk_mut();
        room.expect("there is as much now")
    }

    fn append(&mut self, bytes: &[u8]) {
        let end = self.used + bytes.len();
        if self.room.len() < end {
            self.room.resize(2 * end, 0);
        }
        self.room[self.used..end].copy_from_slice(bytes);
        self.used = end;
    }
}

/// The fixed part of an event.
struct Fixed<'r> {
    room: &'r mut [u8; ROOM],
    len: u8,
}

impl Fixed<'_> {
    /// What every event begins with, up to the number of its payload.
    fn event(&mut self, at: Position, payload: u8) {
        self.byte(0);
        self.number(at.cycle);
        self.byte(at.cpu);
        for counter in [at.retired, at.rep, at.user, at.retired_user, at.mode_since] {
            self.number(counter);
        }
        self.byte(payload);
    }

    fn choice(&mut self, choice: &Choice) {
        self.number(choice.kind as u64);
        self.number(u64::from(choice.n));
        self.number(u64::from(choice.default));
        self.number(choice.candidates.len() as u64);
        for candidate in &choice.candidates {
            self.number(u64::from(*candidate));
        }
        self.number(choice.index);
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.room[usize::from(self.len)] = byte;
        self.len = self.len.wrapping_add(1);
    }

    /// Most numbers have one byte or two.
    #[inline(always)]
    fn number(&mut self, number: u64) {
        if number < 0x80 {
            self.byte(number as u8);
        } else if number < 0x4000 {
            self.byte(number as u8 | 0x80);
            self.byte((number >> 7) as u8);
        } else {
            self.large(number);
        }
    }

    #[inline(never)]
    fn large(&mut self, number: u64) {
        let mut rest = number;
        while rest >= 0x80 {
            self.byte(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }
}

/// These bytes as an LZ4 block. To look for repetitions in a few bytes costs
/// more than it saves: they become one run of literals.
pub(super) fn block(raw: &[u8]) -> Vec<u8> {
    const SHORT: usize = 15;
    if raw.len() > SMALL {
        return lz4_flex::block::compress(raw);
    }
    let mut block = Vec::with_capacity(raw.len() + 4);
    block.push((raw.len().min(SHORT) as u8) << 4);
    if let Some(mut more) = raw.len().checked_sub(SHORT) {
        while more >= 255 {
            block.push(255);
            more -= 255;
        }
        block.push(more as u8);
    }
    block.extend_from_slice(raw);
    block
}

#[cfg(test)]
mod tests {
    use abi::choice::ChoiceKind;
    use abi::event::EventId;
    use machine::Event;

    use super::*;
    use crate::trace::Record;

    /// The general encoder is the judge.
    #[test]
    fn events_are_encoded_as_by_the_general_encoder() {
        let mut records = Records::default();
        let edges = [0, 1, 127, 128, 16_383, 16_384, 1 << 32, u64::MAX];
        for (n, &value) in edges.iter().enumerate() {
            let other = |by: usize| edges[(n + by) % edges.len()];
            let at = Position {
                cycle: value,
                cpu: 200,
                retired: other(1),
                rep: other(2),
                user: other(3),
                retired_user: other(4),
                mode_since: other(5),
            };
            let kernel = |text: &[u8]| Payload::Kernel {
                id: EventId::SchedSwitch,
                args: std::array::from_fn(other),
                text: text.to_vec(),
            };
            let choice = |candidates: Vec<u32>| Payload::Choice {
                choice: Choice {
                    kind: ChoiceKind::WakeFirst,
                    n: other(1) as u32,
                    default: other(2) as u32,
                    candidates,
                    index: other(3),
                },
                answer: other(4) as u32,
            };
            let payloads = [
                choice(Vec::new()),
                choice(vec![u32::MAX; CANDIDATES]),
                choice(vec![u32::MAX; CANDIDATES + 1]),
                kernel(b""),
                kernel(&[7; 300]),
                Payload::Console(9),
                Payload::Unknown { id: 700 },
            ];
            for payload in payloads {
                let before = records.bytes().to_vec();
                records.add_event(at, &payload).unwrap();
                let record = Record::Event(Event { at, payload });
                let expected = postcard::to_extend(&record, before).unwrap();
                assert_eq!(records.bytes(), expected, "{record:?}");
            }
        }
        let largest = Position {
            cycle: u64::MAX,
            cpu: u8::MAX,
            retired: u64::MAX,
            rep: u64::MAX,
            user: u64::MAX,
            retired_user: u64::MAX,
            mode_since: u64::MAX,
        };
        let payload = Payload::Kernel {
            id: EventId::SchedSwitch,
            args: [u64::MAX; ARGS],
            text: Vec::new(),
        };
        records.clear();
        records.add_event(largest, &payload).unwrap();
        assert!(records.bytes().len() < FIXED);
    }

    #[test]
    fn small_blocks_are_blocks() {
        for len in (0..600).chain([4096]) {
            let raw: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let block = block(&raw);
            assert_eq!(lz4_flex::block::decompress(&block, len).unwrap(), raw);
        }
    }
}
