//! Changing one word and waking those who wait for it and for another.

use core::sync::atomic::{AtomicU32, Ordering};

use super::{Futex, TABLE};
use crate::errno::{Errno, Result};

/// What is done to a word, and what its value before is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    operation: u32,
    operand: u32,
    comparison: u32,
    with: i32,
}

/// A number of twelve bits, as it is encoded.
fn signed(bits: u32) -> i32 {
    (bits as i32) << 20 >> 20
}

impl Change {
    /// Reads the encoded form: four bits of operation, four of comparison, and
    /// an operand of twelve bits for each.
    ///
    /// # Errors
    /// ENOSYS for an operation or comparison that there is not.
    pub fn decode(encoded: u32) -> Result<Self> {
        let operand = signed(encoded >> 12 & 0xFFF);
        let shifts = encoded >> 31 != 0;
        let change = Change {
            operation: encoded >> 28 & 7,
            operand: if shifts {
                1 << (operand & 31)
            } else {
                operand as u32
            },
            comparison: encoded >> 24 & 15,
            with: signed(encoded & 0xFFF),
        };
        if change.operation > 4 || change.comparison > 5 {
            return Err(Errno::ENOSYS);
        }
        Ok(change)
    }

    /// Does it; gives the value before.
    fn apply(self, word: &AtomicU32) -> u32 {
        let operand = self.operand;
        match self.operation {
            0 => word.swap(operand, Ordering::SeqCst),
            1 => word.fetch_add(operand, Ordering::SeqCst),
            2 => word.fetch_or(operand, Ordering::SeqCst),
            3 => word.fetch_and(!operand, Ordering::SeqCst),
            _ => word.fetch_xor(operand, Ordering::SeqCst),
        }
    }

    /// Whether a value compares as wanted.
    fn holds(self, value: u32) -> bool {
        let (value, with) = (value as i32, self.with);
        match self.comparison {
            0 => value == with,
            1 => value != with,
            2 => value < with,
            3 => value <= with,
            4 => value > with,
            _ => value >= with,
        }
    }
}

/// Changes the word of `second`, wakes up to `wake` waiters of `first`, and up
/// to `also` of `second` if its value before compares as wanted. Returns how
/// many of both.
///
/// # Errors
/// EFAULT, EINVAL if somebody waits for a lock.
pub fn wake_op(first: &Futex, second: &Futex, wake: u64, also: u64, change: Change) -> Result<u64> {
    second.change(|word| {
        let mut table = TABLE.lock();
        let before = change.apply(word);
        let woken = table.wake(first, wake, u32::MAX)?;
        if change.holds(before) || crate::mutant!("wake-op-does-not-compare") {
            return Ok(woken + table.wake(second, also, u32::MAX)?);
        }
        Ok(woken)
    })?
}
