//! The performance counters: architectural PMU version 2 with one general and one fixed counter.
//!
//! Only "instructions retired" is there (CPUID leaf 0xA says so); a general counter that selects
//! anything else stands still.

use serde::{Deserialize, Serialize};

/// Bits in a counter.
pub const WIDTH: u32 = 48;
const MASK: u64 = (1 << WIDTH) - 1;

/// Event 0xC0, unit mask 0.
const INSTRUCTIONS_RETIRED: u64 = 0xC0;
/// Event, unit mask, edge, inversion and threshold: everything that changes what is counted.
const SELECTION: u64 = 0xFFFF | 1 << 18 | 1 << 23 | 0xFF << 24;
const USER: u64 = 1 << 16;
const KERNEL: u64 = 1 << 17;
const INTERRUPT: u64 = 1 << 20;
const ENABLE: u64 = 1 << 22;
/// The bits of an event selector that may be set.
const SELECT_KNOWN: u64 = SELECTION | USER | KERNEL | 1 << 19 | INTERRUPT | ENABLE;

/// Fixed counter 0: levels in bits 0 and 1, interrupt in bit 3.
const FIXED_KNOWN: u64 = 0b1011;
/// General counter 0 and fixed counter 0 in the global registers.
const GENERAL_BIT: u64 = 1;
const FIXED_BIT: u64 = 1 << 32;
const GLOBAL_KNOWN: u64 = GENERAL_BIT | FIXED_BIT;

/// The counters of one CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pmu {
    /// IA32_PMC0.
    general: u64,
    /// IA32_PERFEVTSEL0.
    select: u64,
    /// IA32_FIXED_CTR0.
    fixed: u64,
    /// IA32_FIXED_CTR_CTRL.
    fixed_control: u64,
    /// IA32_PERF_GLOBAL_CTRL.
    global_control: u64,
    /// IA32_PERF_GLOBAL_STATUS.
    global_status: u64,
}

/// Numbers of the registers.
pub mod index {
    #![allow(missing_docs)]
    pub const PMC0: u32 = 0xC1;
    pub const PERFEVTSEL0: u32 = 0x186;
    pub const FIXED_CTR0: u32 = 0x309;
    pub const FIXED_CTR_CTRL: u32 = 0x38D;
    pub const GLOBAL_STATUS: u32 = 0x38E;
    pub const GLOBAL_CTRL: u32 = 0x38F;
    pub const GLOBAL_OVF_CTRL: u32 = 0x390;
}

impl Pmu {
    /// Reads a register; `None` if it is not one of these.
    #[must_use]
    pub fn read(&self, register: u32) -> Option<u64> {
        Some(match register {
            index::PMC0 => self.general,
            index::PERFEVTSEL0 => self.select,
            index::FIXED_CTR0 => self.fixed,
            index::FIXED_CTR_CTRL => self.fixed_control,
            index::GLOBAL_STATUS => self.global_status,
            index::GLOBAL_CTRL => self.global_control,
            index::GLOBAL_OVF_CTRL => 0,
            _ => return None,
        })
    }

    /// Writes a register; `None` if the write is a general-protection fault.
    pub fn write(&mut self, register: u32, value: u64) -> Option<()> {
        let known = |mask: u64| (value & !mask == 0).then_some(value);
        match register {
            // Without full-width writes the low half is taken and its sign extended.
            index::PMC0 => self.general = i64::from(value as i32) as u64 & MASK,
            index::PERFEVTSEL0 => self.select = known(SELECT_KNOWN)?,
            index::FIXED_CTR0 => self.fixed = known(MASK)?,
            index::FIXED_CTR_CTRL => self.fixed_control = known(FIXED_KNOWN)?,
            index::GLOBAL_CTRL => self.global_control = known(GLOBAL_KNOWN)?,
            index::GLOBAL_OVF_CTRL => self.global_status &= !known(GLOBAL_KNOWN | 3 << 62)?,
            _ => return None,
        }
        Some(())
    }

    /// What RDPMC reads.
    #[must_use]
    pub fn counter(&self, index: u32) -> Option<u64> {
        match index {
            0 => Some(self.general),
            0x4000_0000 => Some(self.fixed),
            _ => None,
        }
    }

    /// One instruction has retired. True if a counter overflowed that wants an interrupt.
    #[inline]
    pub fn retire(&mut self, user: bool) -> bool {
        let (general, fixed) = if user { (USER, 2) } else { (KERNEL, 1) };
        if self.select & general == 0 && self.fixed_control & fixed == 0 {
            return false;
        }
        self.count(user)
    }

    fn count(&mut self, user: bool) -> bool {
        let mut interrupt = false;
        if self.general_counts(user) && advance(&mut self.general) {
            self.global_status |= GENERAL_BIT;
            interrupt |= self.select & INTERRUPT != 0;
        }
        if self.fixed_counts(user) && advance(&mut self.fixed) {
            self.global_status |= FIXED_BIT;
            interrupt |= self.fixed_control & 8 != 0;
        }
        interrupt
    }

    /// How many instructions may retire at this level before a counter goes round.
    #[inline(always)]
    #[must_use]
    pub fn room(&self, user: bool) -> u64 {
        let (general, fixed) = if user { (USER, 2) } else { (KERNEL, 1) };
        if self.select & general == 0 && self.fixed_control & fixed == 0 {
            return u64::MAX;
        }
        self.room_of_counters(user)
    }

    fn room_of_counters(&self, user: bool) -> u64 {
        let left = |counts: bool, counter: u64| if counts { MASK - counter } else { u64::MAX };
        left(self.general_counts(user), self.general).min(left(self.fixed_counts(user), self.fixed))
    }

    /// Counts instructions, no more than there is [`Pmu::room`] for.
    #[inline]
    pub fn retire_many(&mut self, user: bool, count: u64) {
        if self.global_control == 0 {
            return;
        }
        if self.general_counts(user) {
            self.general = (self.general + count) & MASK;
        }
        if self.fixed_counts(user) {
            self.fixed = (self.fixed + count) & MASK;
        }
    }

    fn general_counts(&self, user: bool) -> bool {
        let level = if user { USER } else { KERNEL };
        self.global_control & GENERAL_BIT != 0
            && self.select & (ENABLE | level) == ENABLE | level
            && self.select & SELECTION == INSTRUCTIONS_RETIRED
    }

    fn fixed_counts(&self, user: bool) -> bool {
        let level = if user { 2 } else { 1 };
        self.global_control & FIXED_BIT != 0 && self.fixed_control & level != 0
    }
}

/// Counts one; true if the counter went round.
fn advance(counter: &mut u64) -> bool {
    *counter = (*counter + 1) & MASK;
    *counter == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(n: u32) -> Pmu {
        let mut pmu = Pmu::default();
        for (register, value) in [
            (index::PMC0, u64::from(n.wrapping_neg())),
            (
                index::PERFEVTSEL0,
                INSTRUCTIONS_RETIRED | USER | INTERRUPT | ENABLE,
            ),
            (index::GLOBAL_CTRL, GENERAL_BIT),
        ] {
            assert_eq!(pmu.write(register, value), Some(()));
        }
        pmu
    }

    #[test]
    fn overflow_comes_with_the_nth_user_instruction() {
        let mut pmu = armed(3);
        let raised: [bool; 6] = [true, false, true, false, true, true].map(|u| pmu.retire(u));
        assert_eq!(raised, [false, false, false, false, true, false]);
        assert_eq!(pmu.read(index::GLOBAL_STATUS), Some(1));
        assert_eq!(pmu.write(index::GLOBAL_OVF_CTRL, 1), Some(()));
        assert_eq!(pmu.read(index::GLOBAL_STATUS), Some(0));
    }

    #[test]
    fn many_at_once_are_as_one_after_the_other() {
        let (mut one, mut many) = (armed(5), armed(5));
        assert_eq!((one.room(true), one.room(false)), (4, u64::MAX));
        assert!(!(0..4).any(|_| one.retire(true)));
        many.retire_many(true, 4);
        many.retire_many(false, 9);
        assert_eq!(one, many);
        assert_eq!(many.room(true), 0);
        assert!(many.retire(true));
    }

    #[test]
    fn other_events_stand_still_and_reserved_bits_fault() {
        let mut pmu = armed(1);
        assert_eq!(
            pmu.write(index::PERFEVTSEL0, 0x3C | USER | ENABLE),
            Some(())
        );
        assert!(!pmu.retire(true));
        assert_eq!(pmu.write(index::GLOBAL_CTRL, 2), None);
        assert_eq!(pmu.write(0x187, 0), None);
    }
}
