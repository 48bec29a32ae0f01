//! Memory-type range registers: kept and checked, without effect on a machine without caches
//! (volume 3A, 12.11).

use serde::{Deserialize, Serialize};

use crate::addr::PHYS_BITS;

/// How many pairs of variable ranges there are.
const VARIABLE: usize = 8;

/// Numbers of the registers.
mod index {
    pub(super) const CAPABILITIES: u32 = 0xFE;
    pub(super) const VARIABLE_FIRST: u32 = 0x200;
    pub(super) const VARIABLE_LAST: u32 = VARIABLE_FIRST + 2 * super::VARIABLE as u32 - 1;
    /// Those of fixed ranges: one of 64 KiB, two of 16 KiB, eight of 4 KiB steps.
    pub(super) const FIXED: [u32; 11] = [
        0x250, 0x258, 0x259, 0x268, 0x269, 0x26A, 0x26B, 0x26C, 0x26D, 0x26E, 0x26F,
    ];
    pub(super) const DEFAULT_TYPE: u32 = 0x2FF;
}

/// IA32_MTRRCAP: the variable ranges, fixed ranges, and write combining.
const CAPABILITIES: u64 = VARIABLE as u64 | 1 << 8 | 1 << 10;
/// Address bits of a base or a mask.
const ADDRESS: u64 = ((1 << PHYS_BITS) - 1) & !0xFFF;
/// Bit of a mask: the pair is in use.
const VALID: u64 = 1 << 11;
/// Bits of the default type's register: fixed ranges and all of them are switched on.
const ENABLES: u64 = 3 << 10;

/// Whether a register can hold a value.
type Check = fn(u64) -> bool;

/// The registers. After power-on they are all zero: everything is uncacheable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mtrrs {
    /// IA32_MTRR_DEF_TYPE.
    default_type: u64,
    /// IA32_MTRR_PHYSBASEn and IA32_MTRR_PHYSMASKn in turn.
    variable: [u64; 2 * VARIABLE],
    /// The fixed ranges, from address 0 upwards.
    fixed: [u64; index::FIXED.len()],
}

impl Mtrrs {
    /// RDMSR; none if the register is not one of these.
    pub(super) fn read(&self, register: u32) -> Option<u64> {
        if register == index::CAPABILITIES {
            return Some(CAPABILITIES);
        }
        self.clone().slot(register).map(|(value, _)| *value)
    }

    /// WRMSR; none if the register is not one of these, or the value not one that it can hold.
    pub(super) fn write(&mut self, register: u32, value: u64) -> Option<()> {
        let (slot, is_valid) = self.slot(register)?;
        if !is_valid(value) {
            return None;
        }
        *slot = value;
        Some(())
    }

    /// A register that can be written, and what it can hold.
    fn slot(&mut self, register: u32) -> Option<(&mut u64, Check)> {
        match register {
            index::DEFAULT_TYPE => Some((&mut self.default_type, is_default_type)),
            index::VARIABLE_FIRST..=index::VARIABLE_LAST => {
                let number = register - index::VARIABLE_FIRST;
                let is_valid = if number & 1 == 0 { is_base } else { is_mask };
                Some((&mut self.variable[number as usize], is_valid))
            }
            _ => {
                let number = index::FIXED.iter().position(|&known| known == register)?;
                Some((&mut self.fixed[number], is_fixed))
            }
        }
    }
}

/// Types 2, 3 and those above 6 do not exist.
fn is_type(value: u64) -> bool {
    matches!(value, 0 | 1 | 4..=6)
}

fn is_default_type(value: u64) -> bool {
    is_type(value & 0xFF) && value & !(0xFF | ENABLES) == 0
}

fn is_base(value: u64) -> bool {
    is_type(value & 0xFF) && value & !(0xFF | ADDRESS) == 0
}

fn is_mask(value: u64) -> bool {
    value & !(VALID | ADDRESS) == 0
}

fn is_fixed(value: u64) -> bool {
    value
        .to_le_bytes()
        .into_iter()
        .all(|kind| is_type(kind.into()))
}
