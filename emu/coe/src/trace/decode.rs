//! Decodes what [`super::encode`] makes of events, without the detours that a general decoder
//! takes. What is unusual is left to that one, and so is whatever is wrong.

use abi::choice::ChoiceKind;
use abi::event::EventId;
use abi::probe::ARGS;
use machine::{Choice, Event, Payload, Position};

use super::encode::CANDIDATES;

/// The event whose record these bytes begin with, at its relative position, and how many bytes
/// it has; none if the general decoder has to look.
#[inline]
pub(super) fn event(bytes: &[u8]) -> Option<(Event, usize)> {
    let mut record = Fields { bytes, at: 0 };
    if record.byte()? != 0 {
        return None;
    }
    let at = record.position()?;
    let payload = match record.byte()? {
        0 => record.kernel()?,
        1 => record.choice()?,
        _ => return None,
    };
    Some((Event { at, payload }, record.at))
}

/// The fields of a record, from the first one not yet read.
struct Fields<'r> {
    bytes: &'r [u8],
    at: usize,
}

impl Fields<'_> {
    #[inline(always)]
    fn position(&mut self) -> Option<Position> {
        Some(Position {
            cycle: self.number()?,
            cpu: self.byte()?,
            retired: self.number()?,
            rep: self.number()?,
            user: self.number()?,
            retired_user: self.number()?,
            mode_since: self.number()?,
        })
    }

    #[inline(always)]
    fn kernel(&mut self) -> Option<Payload> {
        let id = EventId::from_raw(self.word()?)?;
        let mut args = [0; ARGS];
        for arg in &mut args {
            *arg = self.number()?;
        }
        let len = self.word()? as usize;
        let text = self.bytes.get(self.at..)?.get(..len)?.to_vec();
        self.at += len;
        Some(Payload::Kernel { id, args, text })
    }

    fn choice(&mut self) -> Option<Payload> {
        let kind = ChoiceKind::from_raw(self.word()?)?;
        let (n, default) = (self.word()?, self.word()?);
        let count = self.word()? as usize;
        if count > CANDIDATES {
            return None;
        }
        let mut candidates = Vec::with_capacity(count);
        for _ in 0..count {
            candidates.push(self.word()?);
        }
        let choice = Choice {
            kind,
            n,
            default,
            candidates,
            index: self.number()?,
        };
        let answer = self.word()?;
        Some(Payload::Choice { choice, answer })
    }

    #[inline(always)]
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Most numbers have one byte.
    #[inline(always)]
    fn number(&mut self) -> Option<u64> {
        match self.byte()? {
            byte @ ..0x80 => Some(u64::from(byte)),
            byte => self.more(byte),
        }
    }

    /// A number of several bytes; the first was this one.
    fn more(&mut self, first: u8) -> Option<u64> {
        let mut number = u64::from(first & 0x7F);
        for shift in (7..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        match self.byte()? {
            byte @ 0..=1 => Some(number | u64::from(byte) << 63),
            _ => None,
        }
    }

    /// A number of 32 bits, in no more bytes than one of 28 bits needs.
    #[inline(always)]
    fn word(&mut self) -> Option<u32> {
        const LARGE: u64 = 1 << 28;
        let from = self.at;
        let number = self.number()?;
        (number < LARGE && self.at - from <= 4).then_some(number as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode::Records;
    use super::*;
    use crate::trace::Record;

    /// What the general decoder makes of it, and how many bytes it takes.
    fn generally(bytes: &[u8]) -> Option<(Event, usize)> {
        match postcard::take_from_bytes(bytes) {
            Ok((Record::Event(event), rest)) => Some((event, bytes.len() - rest.len())),
            _ => None,
        }
    }

    fn records() -> Vec<Vec<u8>> {
        let edges = [0, 1, 127, 128, 16_383, 16_384, 1 << 27, 1 << 63, u64::MAX];
        let mut all = Vec::new();
        let mut add = |at, payload: &Payload| {
            let mut records = Records::default();
            records.add_event(at, payload).unwrap();
            all.push(records.bytes().to_vec());
        };
        for n in 0..edges.len() {
            let edge = |by: usize| edges[(n + by) % edges.len()];
            let at = Position {
                cycle: edge(0),
                cpu: 255,
                retired: edge(1),
                rep: edge(2),
                user: edge(3),
                retired_user: edge(4),
                mode_since: edge(5),
            };
            for text in [&b""[..], b"text", &[0x80; 200]] {
                let (id, text) = (EventId::SchedSwitch, text.to_vec());
                let args = std::array::from_fn(edge);
                add(at, &Payload::Kernel { id, args, text });
            }
            for count in [0, 2, CANDIDATES, CANDIDATES + 1] {
                let choice = Choice {
                    kind: ChoiceKind::WakeFirst,
                    n: edge(1) as u32,
                    default: edge(2) as u32,
                    candidates: (0..count).map(|by| edge(by) as u32).collect(),
                    index: edge(3),
                };
                let answer = edge(4) as u32;
                add(at, &Payload::Choice { choice, answer });
            }
            add(at, &Payload::Console(9));
        }
        all
    }

    #[test]
    fn events_are_decoded_as_by_the_general_decoder() {
        let mut decoded = 0;
        for record in records() {
            for more in [&[][..], &[0x80; 20]] {
                let bytes = [&record, more].concat();
                let general = generally(&bytes).expect("it is an event");
                let quick = event(&bytes);
                decoded += u32::from(quick.is_some());
                assert!(quick.is_none_or(|quick| quick == general), "{bytes:x?}");
            }
        }
        assert!(decoded > 50, "only {decoded} were decoded at all");
    }

    #[test]
    fn nothing_is_decoded_that_the_general_decoder_refuses() {
        for record in records() {
            for place in 0..record.len() {
                for byte in [0, 1, 2, 0x0F, 0x10, 0x7F, 0x80, 0x8F, 0xFF] {
                    let mut broken = record.clone();
                    broken[place] = byte;
                    let quick = event(&broken);
                    assert!(
                        quick.is_none() || quick == generally(&broken),
                        "{broken:x?}"
                    );
                }
                let cut = &record[..place];
                assert_eq!(event(cut), None, "{cut:x?}");
            }
        }
    }
}
