//! Decodes what [`super::encode`] makes of records. Whatever the bytes are, they are a record
//! or none.

use abi::choice::ChoiceKind;
use abi::event::EventId;
use abi::probe::ARGS;
use machine::{Choice, Event, Payload, Position};

use super::format::Record;
use super::short::{CONSOLE, EVENTS, Past, WHOLE, head, unfolded};

/// The record that these bytes begin with, and how many bytes it has; none if they are damaged.
#[inline]
pub(super) fn record(bytes: &[u8], past: &mut Past) -> Option<(Record, usize)> {
    if *bytes.first()? == WHOLE {
        return whole(bytes, past);
    }
    let head = u32::from_le_bytes(*bytes.first_chunk()?);
    let mut fields = Fields { bytes, at: 4, head };
    let at = fields.position(&past.at)?;
    let payload = match head as u8 {
        CONSOLE => fields.console()?,
        id if usize::from(id) < EVENTS => fields.event(id, past)?,
        kind => fields.choice(kind - EVENTS as u8, past)?,
    };
    past.at = at;
    Some((Record::Event(Event { at, payload }), fields.at))
}

/// A record that is no short one.
fn whole(bytes: &[u8], past: &mut Past) -> Option<(Record, usize)> {
    let (record, rest) = postcard::take_from_bytes(&bytes[1..]).ok()?;
    if let Record::Event(event) = &record {
        past.at = event.at;
    }
    Some((record, bytes.len() - rest.len()))
}

/// The fields of a short record, from the first one not yet read.
struct Fields<'r> {
    bytes: &'r [u8],
    at: usize,
    head: u32,
}

impl Fields<'_> {
    #[inline(always)]
    fn position(&mut self, last: &Position) -> Option<Position> {
        let [cycle, retired, user, retired_user, mode_since] = head::POSITION;
        let mut counter = |last: u64, bit| Some(last.wrapping_add(self.field(bit)?));
        let mut at = Position {
            cycle: counter(last.cycle, cycle)?,
            cpu: last.cpu,
            retired: counter(last.retired, retired)?,
            rep: 0,
            user: counter(last.user, user)?,
            retired_user: counter(last.retired_user, retired_user)?,
            mode_since: counter(last.mode_since, mode_since)?,
        };
        if self.head & head::REP != 0 {
            at.rep = self.number()?;
        }
        if self.head & head::CPU != 0 {
            at.cpu = self.byte()?;
        }
        Some(at)
    }

    #[inline(always)]
    fn event(&mut self, raw: u8, past: &mut Past) -> Option<Payload> {
        let id = EventId::from_raw(raw.into())?;
        let mut args = [0; ARGS];
        let last = &mut past.args[usize::from(raw)];
        for ((arg, last), bit) in args.iter_mut().zip(last).zip(head::ARGS) {
            *last = last.wrapping_add(unfolded(self.field(bit)?));
            *arg = *last;
        }
        let text = match self.more(head::EVENT)? {
            true => self.text()?,
            false => Vec::new(),
        };
        Some(Payload::Kernel { id, args, text })
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let len = usize::try_from(self.number()?).ok()?;
        let text = self.bytes.get(self.at..)?.get(..len)?.to_vec();
        self.at += len;
        Some(text)
    }

    fn choice(&mut self, raw: u8, past: &mut Past) -> Option<Payload> {
        let kind = ChoiceKind::from_raw(raw.into())?;
        let last = &mut past.choices[usize::from(raw)];
        if self.more(head::CHOICE)? {
            let (n, default, candidates, index, answer) = self.postcard()?;
            let choice = Choice {
                kind,
                n,
                default,
                candidates,
                index,
            };
            *last = Some((choice, answer));
        } else {
            let (choice, _) = last.as_mut()?;
            choice.index = choice.index.wrapping_add(1);
        }
        let (choice, answer) = last.clone()?;
        Some(Payload::Choice { choice, answer })
    }

    fn console(&mut self) -> Option<Payload> {
        if self.head & !head::BYTE != 0 {
            return None;
        }
        self.byte().map(Payload::Console)
    }

    /// What [`head::MORE`] says, if no bit of the head is set that may not be.
    #[inline(always)]
    fn more(&self, allowed: u32) -> Option<bool> {
        (self.head & !allowed == 0).then_some(self.head & head::MORE != 0)
    }

    /// A number of as many bytes as the head says from this bit on.
    #[inline(always)]
    fn field(&mut self, bit: u32) -> Option<u64> {
        match self.head >> bit & 3 {
            0 => Some(0),
            1 => self.byte().map(u64::from),
            2 => self
                .bytes::<2>()
                .map(|bytes| u16::from_le_bytes(bytes).into()),
            _ => self.bytes().map(u64::from_le_bytes),
        }
    }

    #[inline(always)]
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(bytes)
    }

    #[inline(always)]
    fn byte(&mut self) -> Option<u8> {
        self.bytes().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.postcard()
    }

    /// What the general decoder makes of the next bytes.
    fn postcard<T: serde::de::DeserializeOwned>(&mut self) -> Option<T> {
        let rest = self.bytes.get(self.at..)?;
        let (value, rest) = postcard::take_from_bytes(rest).ok()?;
        self.at = self.bytes.len() - rest.len();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_without_a_meaning_are_zero() {
        let sched_switch = EventId::SchedSwitch as u8;
        let wake_first = EVENTS as u8 + ChoiceKind::WakeFirst as u8;
        for (what, bits) in [
            (sched_switch, 31..32),
            (wake_first, 21..32),
            (CONSOLE, 20..32),
        ] {
            let bytes = |head: u32| [&head.to_le_bytes()[..], &[0; 60]].concat();
            let mut past = Past::default();
            let more = if what == wake_first { head::MORE } else { 0 };
            let good = u32::from(what) | more;
            assert!(record(&bytes(good), &mut past).is_some(), "{what}");
            for bit in bits {
                let head = good | 1 << bit;
                assert!(record(&bytes(head), &mut past).is_none(), "{head:#x}");
            }
        }
    }
}
