//! Short records: what has just been recorded need not be said again.
//!
//! A short record begins with four bytes, its head, little-endian: what it is, and how long
//! each of its fields is. docs/trace-format.md describes it.

use abi::choice::ChoiceKind;
use abi::event::EventId;
use abi::probe::ARGS;
use machine::{Choice, Position};

/// Events of the kernel with smaller numbers have short records.
pub(super) const EVENTS: usize = 224;

/// Choices of kinds with smaller numbers have short records.
pub(super) const CHOICES: usize = 30;

/// The first byte of a byte sent to the console.
pub(super) const CONSOLE: u8 = 254;

/// The first byte of a record that is no short one.
pub(super) const WHOLE: u8 = 255;

const _: () = {
    let mut n = 0;
    while n < EventId::ALL.len() {
        assert!((EventId::ALL[n] as usize) < EVENTS);
        n += 1;
    }
    let mut n = 0;
    while n < ChoiceKind::ALL.len() {
        assert!((ChoiceKind::ALL[n] as usize) < CHOICES);
        n += 1;
    }
    assert!(EVENTS + CHOICES == CONSOLE as usize);
};

/// Bits of the head. Lengths have two each: 0, 1, 2 or 8 bytes.
pub(super) mod head {
    /// Lengths of the position's differences: cycle, retired, user, retired in user mode, since
    /// when in the mode.
    pub(in crate::trace) const POSITION: [u32; 5] = [8, 10, 12, 14, 16];
    /// A REP instruction has done iterations.
    pub(in crate::trace) const REP: u32 = 1 << 18;
    /// It is another CPU than before.
    pub(in crate::trace) const CPU: u32 = 1 << 19;
    /// An event of the kernel has text; a choice is not what the last one of its kind leads
    /// to expect.
    pub(in crate::trace) const MORE: u32 = 1 << 20;
    /// Lengths of the arguments' differences.
    pub(in crate::trace) const ARGS: [u32; 5] = [21, 23, 25, 27, 29];
    /// What is not zero in the head of an event of the kernel, of a choice, of a byte.
    pub(in crate::trace) const EVENT: u32 = 0x7FFF_FFFF;
    pub(in crate::trace) const CHOICE: u32 = 0x001F_FFFF;
    pub(in crate::trace) const BYTE: u32 = 0x000F_FFFF;
}

/// What the records so far in a chunk say about the next one.
#[derive(Clone, Debug)]
pub(super) struct Past {
    /// Where the last event was.
    pub(super) at: Position,
    /// The arguments that each event of the kernel had last.
    pub(super) args: Box<[[u64; ARGS]; EVENTS]>,
    /// The last choice of each kind and its answer.
    pub(super) choices: [Option<(Choice, u32)>; CHOICES],
}

impl Default for Past {
    /// Before the first record.
    fn default() -> Past {
        Past {
            at: Position::default(),
            args: Box::new([[0; ARGS]; EVENTS]),
            choices: [const { None }; CHOICES],
        }
    }
}

impl Past {
    /// Forgets all: a chunk begins.
    pub(super) fn clear(&mut self) {
        self.at = Position::default();
        self.args.fill([0; ARGS]);
        self.choices.fill(None);
    }

    /// Whether the choice is the next one of its kind, and otherwise as the last one.
    pub(super) fn expects(&self, choice: &Choice, answer: u32) -> bool {
        let Some(Some((last, answered))) = self.choices.get(choice.kind as usize) else {
            return false;
        };
        choice.index == last.index.wrapping_add(1)
            && answer == *answered
            && (choice.n, choice.default) == (last.n, last.default)
            && choice.candidates == last.candidates
    }
}

/// A difference that may be negative as a number that is small if the difference is.
#[inline(always)]
pub(super) fn folded(difference: u64) -> u64 {
    difference << 1 ^ ((difference as i64) >> 63) as u64
}

/// The difference that was folded.
#[inline(always)]
pub(super) fn unfolded(folded: u64) -> u64 {
    folded >> 1 ^ (folded & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_are_small_numbers() {
        for (difference, number) in [(0, 0), (-1, 1), (1, 2), (-128, 255), (127, 254)] {
            assert_eq!(folded(difference as u64), number, "{difference}");
        }
        for difference in [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1, 0x1234] {
            assert_eq!(unfolded(folded(difference)), difference, "{difference:#x}");
        }
    }
}
