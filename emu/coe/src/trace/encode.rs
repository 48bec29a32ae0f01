//! Encodes records, most of which are short ones, without the detours that a general encoder
//! takes.

use abi::event::EventId;
use abi::probe::ARGS;
use machine::{Choice, Event, Payload, Position};

use super::TraceError;
use super::format::Record;
use super::short::{CONSOLE, EVENTS, Past, WHOLE, folded, head};

/// A number has no more bytes.
const NUMBER: usize = 10;

/// What any byte can count.
const ROOM: usize = 256;

/// A short record has no more bytes but for the kernel's text and the candidates of a choice:
/// head, differences and rest of the position, then arguments, and the length of the text or the
/// numbers of a choice, which are no more.
const FIXED: usize = 4 + 5 * 8 + NUMBER + 1 + ARGS * 8 + NUMBER;
const _: () = assert!(FIXED < ROOM);

/// The most bytes that are stored as they are.
const SMALL: usize = 512;

/// The records of a chunk, one after the other.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Longer than what is there, so that there is room for the fixed part of an event.
    room: Vec<u8>,
    used: usize,
    past: Past,
}

impl Records {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[..self.used]
    }

    /// Begins another chunk.
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.past.clear();
    }

    /// Appends a record as a whole.
    ///
    /// # Errors
    /// [`TraceError::Encode`], and nothing is appended.
    pub(super) fn add(&mut self, record: &Record) -> Result<(), TraceError> {
        let bytes = postcard::to_stdvec(record).map_err(|_| TraceError::Encode)?;
        self.append(&[WHOLE]);
        self.append(&bytes);
        Ok(())
    }

    /// Appends the record of an event, as a short one if it can be.
    ///
    /// # Errors
    /// As [`Records::add`].
    pub(super) fn add_event(&mut self, event: &Event) -> Result<(), TraceError> {
        match &event.payload {
            Payload::Kernel { id, args, text } => {
                self.short(|short, past| short.event(past, event.at, *id, args, text.len()));
                if !text.is_empty() {
                    self.append(text);
                }
            }
            Payload::Choice { choice, answer } => {
                let expected = self.past.expects(choice, *answer);
                self.short(|short, past| short.choice(past, event.at, choice, expected));
                if expected {
                    self.expected(choice);
                } else {
                    self.unexpected(choice, *answer)?;
                }
            }
            Payload::Console(byte) => self.short(|short, past| {
                short.position(past, event.at);
                short.byte(*byte);
                short.end(CONSOLE);
            }),
            Payload::Input(_) | Payload::Unknown { .. } => {
                self.add(&Record::Event(event.clone()))?;
                self.past.at = event.at;
            }
        }
        Ok(())
    }

    /// Appends the fixed part of a short record.
    #[inline(always)]
    fn short(&mut self, fill: impl FnOnce(&mut Short<'_>, &mut Past)) {
        if self.room.len() < self.used + ROOM {
            self.room.resize(2 * (self.used + ROOM), 0);
        }
        let room = self.room[self.used..].first_chunk_mut();
        let mut short = Short {
            room: room.expect("there is as much now"),
            len: 4,
            head: 0,
        };
        fill(&mut short, &mut self.past);
        self.used += usize::from(short.len);
    }

    fn expected(&mut self, choice: &Choice) {
        if let Some((last, _)) = &mut self.past.choices[choice.kind as usize] {
            last.index = choice.index;
        }
    }

    /// Appends what a choice is that was not expected.
    fn unexpected(&mut self, choice: &Choice, answer: u32) -> Result<(), TraceError> {
        let rest = (
            choice.n,
            choice.default,
            &choice.candidates,
            choice.index,
            answer,
        );
        let bytes = postcard::to_stdvec(&rest).map_err(|_| TraceError::Encode)?;
        self.append(&bytes);
        self.past.choices[choice.kind as usize] = Some((choice.clone(), answer));
        Ok(())
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

/// The fixed part of a short record.
struct Short<'r> {
    room: &'r mut [u8; ROOM],
    len: u8,
    head: u32,
}

impl Short<'_> {
    #[inline(always)]
    fn event(
        &mut self,
        past: &mut Past,
        at: Position,
        id: EventId,
        args: &[u64; ARGS],
        text: usize,
    ) {
        self.position(past, at);
        let last = &mut past.args[id as usize];
        for ((arg, last), bit) in args.iter().zip(last).zip(head::ARGS) {
            self.field(folded(arg.wrapping_sub(*last)), bit);
            *last = *arg;
        }
        if text != 0 {
            self.head |= head::MORE;
            self.number(text as u64);
        }
        self.end(id as u8);
    }

    #[inline(always)]
    fn choice(&mut self, past: &mut Past, at: Position, choice: &Choice, expected: bool) {
        self.position(past, at);
        if !expected {
            self.head |= head::MORE;
        }
        self.end((EVENTS + choice.kind as usize) as u8);
    }

    #[inline(always)]
    fn position(&mut self, past: &mut Past, at: Position) {
        let last = &past.at;
        let fields = [
            (at.cycle, last.cycle),
            (at.retired, last.retired),
            (at.user, last.user),
            (at.retired_user, last.retired_user),
            (at.mode_since, last.mode_since),
        ];
        for ((now, before), bit) in fields.into_iter().zip(head::POSITION) {
            self.field(now.wrapping_sub(before), bit);
        }
        if at.rep != 0 {
            self.head |= head::REP;
            self.number(at.rep);
        }
        if at.cpu != last.cpu {
            self.head |= head::CPU;
            self.byte(at.cpu);
        }
        past.at = at;
    }

    /// Puts the head in its place, with what the record is.
    #[inline(always)]
    fn end(&mut self, what: u8) {
        let head = self.head | u32::from(what);
        self.room[..4].copy_from_slice(&head.to_le_bytes());
    }

    /// A number with as many bytes as the head says from this bit on.
    #[inline(always)]
    fn field(&mut self, number: u64, bit: u32) {
        if number == 0 {
            return;
        }
        let code = if number < 0x100 {
            self.byte(number as u8);
            1
        } else if number < 0x1_0000 {
            self.byte(number as u8);
            self.byte((number >> 8) as u8);
            2
        } else {
            self.eight(number);
            3
        };
        self.head |= code << bit;
    }

    #[inline(always)]
    fn eight(&mut self, number: u64) {
        let place = self.room[usize::from(self.len)..].first_chunk_mut();
        *place.expect("the fixed part has room") = number.to_le_bytes();
        self.len = self.len.wrapping_add(8);
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.room[usize::from(self.len)] = byte;
        self.len = self.len.wrapping_add(1);
    }

    #[inline(always)]
    fn number(&mut self, number: u64) {
        self.len = put_number(self.room, self.len, number);
    }
}

/// Puts a number there; where the next byte belongs. It is seldom called, and whoever calls it
/// keeps what it knows in registers.
#[inline(never)]
fn put_number(room: &mut [u8; ROOM], from: u8, number: u64) -> u8 {
    let (mut rest, mut at) = (number, from);
    while rest >= 0x80 {
        room[usize::from(at)] = rest as u8 | 0x80;
        at = at.wrapping_add(1);
        rest >>= 7;
    }
    room[usize::from(at)] = rest as u8;
    at.wrapping_add(1)
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
    use machine::Input;

    use super::*;
    use crate::input::Arrival;
    use crate::trace::decode;

    /// The place is told by differences: of counters, from those of the last.
    fn position(n: u64) -> Position {
        let edges = [0, 1, 255, 256, 65_535, 65_536, 1 << 32, u64::MAX];
        let edge = |by: u64| edges[((n + by) % 8) as usize];
        Position {
            cycle: edge(0),
            cpu: [0, 0, 200][(n % 3) as usize],
            retired: edge(1),
            rep: edge(2),
            user: edge(3),
            retired_user: edge(4),
            mode_since: edge(5),
        }
    }

    fn payloads(n: u64) -> Vec<Payload> {
        let at = position(n);
        let kernel = |id, text: &[u8]| Payload::Kernel {
            id,
            args: [at.cycle, at.retired, at.user, at.rep, at.mode_since],
            text: text.to_vec(),
        };
        let choice = |kind, index, candidates: &[u32], answer| Payload::Choice {
            choice: Choice {
                kind,
                n: at.cycle as u32,
                default: at.user as u32,
                candidates: candidates.to_vec(),
                index,
            },
            answer,
        };
        vec![
            kernel(EventId::SchedSwitch, b""),
            kernel(EventId::SchedSwitch, &[7; 300]),
            kernel(EventId::SysEnter, b"text"),
            choice(ChoiceKind::PickNext, u64::MAX, &[3, 4], 4),
            choice(ChoiceKind::WakeFirst, 9, &[], 0),
            choice(ChoiceKind::PickNext, 0, &[3, 4], 4),
            choice(ChoiceKind::PickNext, 1, &[3, 4], 3),
            choice(ChoiceKind::PickNext, 2, &[3, 5], 3),
            choice(ChoiceKind::PickNext, 4, &[3, 5], 3),
            choice(ChoiceKind::PickNext, 5, &[u32::MAX; 99], 3),
            Payload::Console(9),
            Payload::Input(Input::Interrupt(0xF0)),
            Payload::Unknown { id: 700 },
        ]
    }

    fn all(rounds: u64) -> Vec<Record> {
        let mut all = Vec::new();
        for n in 0..rounds {
            for (by, payload) in payloads(n).into_iter().enumerate() {
                let at = position(n * 5 + by as u64);
                all.push(Record::Event(Event { at, payload }));
            }
            all.push(Record::Arrival(Arrival::Left { at: n }));
        }
        all
    }

    fn add(records: &mut Records, record: &Record) {
        match record {
            Record::Event(event) => records.add_event(event).unwrap(),
            other => records.add(other).unwrap(),
        }
    }

    fn encoded(all: &[Record]) -> Records {
        let mut records = Records::default();
        all.iter().for_each(|record| add(&mut records, record));
        records
    }

    fn decoded(mut bytes: &[u8]) -> Option<Vec<Record>> {
        let (mut all, mut past) = (Vec::new(), Past::default());
        while !bytes.is_empty() {
            let (record, len) = decode::record(bytes, &mut past)?;
            all.push(record);
            bytes = &bytes[len..];
        }
        Some(all)
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let all = all(24);
        let records = encoded(&all);
        assert_eq!(decoded(records.bytes()), Some(all));
    }

    #[test]
    fn a_chunk_knows_nothing_of_those_before_it() {
        let all = all(3);
        let mut records = encoded(&all);
        for record in all {
            records.clear();
            add(&mut records, &record);
            assert_eq!(decoded(records.bytes()), Some(vec![record]));
        }
    }

    /// Whatever the bytes are, they are records or are refused.
    #[test]
    fn what_was_damaged_is_decoded_or_refused() {
        let good = encoded(&all(3)).bytes().to_vec();
        let mut refused = 0;
        for place in 0..good.len() {
            for byte in [0, 1, 0x0F, 0x7F, 0x80, 224, 227, 254, 255] {
                let mut bytes = good[..(place + 300).min(good.len())].to_vec();
                bytes[place] = byte;
                refused += u32::from(decoded(&bytes).is_none());
            }
        }
        assert!(refused > 1000, "{refused}");
    }

    /// The bytes that docs/trace-format.md promises.
    #[test]
    fn short_records_are_encoded_as_documented() {
        let mut records = Records::default();
        let mut added = |at, payload| {
            let from = records.bytes().len();
            records.add_event(&Event { at, payload }).unwrap();
            records.bytes()[from..].to_vec()
        };
        let first = Position {
            cycle: 300,
            cpu: 1,
            retired: 2,
            rep: 3,
            user: 4,
            retired_user: 0,
            mode_since: 0x12345,
        };
        let enter = |text: &[u8]| Payload::Kernel {
            id: EventId::SysEnter,
            args: [1, 0, 0x80, 0, u64::MAX],
            text: text.to_vec(),
        };
        let id = EventId::SysEnter as u8;
        let lengths = 2 << 8 | 1 << 10 | 1 << 12 | 3 << 16 | 7 << 18 | 1 << 21 | 2 << 25 | 1 << 29;
        let head = (u32::from(id) | lengths).to_le_bytes();
        let place = [0x2C, 1, 2, 4, 0x45, 0x23, 1, 0, 0, 0, 0, 0, 3, 1];
        let rest = [2, 0, 1, 1, 2, b'a', b'b'];
        let expected = [&head[..], &place, &rest].concat();
        assert_eq!(added(first, enter(b"ab")), expected);

        let next = |by: u64| Position {
            cycle: first.cycle + by,
            rep: 0,
            ..first
        };
        assert_eq!(added(next(1), enter(b"")), [id, 1, 0, 0, 1]);
        let choice = |index, answer| Payload::Choice {
            choice: Choice {
                kind: ChoiceKind::PickNext,
                n: 3,
                default: 1,
                candidates: vec![7, 8, 9],
                index,
            },
            answer,
        };
        let kind = 224 + ChoiceKind::PickNext as u8;
        let whole = |index, answer| [kind, 1, 0x10, 0, 1, 3, 1, 3, 7, 8, 9, index, answer];
        assert_eq!(added(next(2), choice(6, 2)), whole(6, 2));
        assert_eq!(added(next(3), choice(7, 2)), [kind, 1, 0, 0, 1]);
        assert_eq!(added(next(4), choice(8, 1)), whole(8, 1));
        assert_eq!(added(next(5), choice(10, 1)), whole(10, 1));
        let console = Payload::Console(0xFF);
        assert_eq!(added(next(6), console), [254, 1, 0, 0, 1, 0xFF]);
        let unknown = Payload::Unknown { id: 9 };
        assert_eq!(added(next(7), unknown)[..2], [255, 0]);
        assert_eq!(added(next(8), enter(b"")), [id, 1, 0, 0, 1]);
    }

    #[test]
    fn the_fixed_part_has_room() {
        let at = |n| Position {
            cycle: n,
            cpu: n as u8,
            retired: n,
            rep: u64::MAX,
            user: n,
            retired_user: n,
            mode_since: n,
        };
        let event = |n| Event {
            at: at(n),
            payload: Payload::Kernel {
                id: EventId::SchedSwitch,
                args: [n >> 1; ARGS],
                text: Vec::new(),
            },
        };
        let mut records = Records::default();
        records.add_event(&event(u64::MAX)).unwrap();
        assert!((90..FIXED).contains(&records.bytes().len()));
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
