//! ACPI's fixed hardware: the power-management timer, the event block that
//! nothing raises, and the control register that switches the machine off.
//! ACPI specification 6.5, section 4.8.3.

use serde::{Deserialize, Serialize};

use super::CYCLES_PER_SECOND;

/// PM1 status and enable: the first port of the block.
pub const EVENTS: u16 = 0x600;
/// PM1 control.
pub const CONTROL: u16 = 0x604;
/// The power-management timer.
pub const TIMER: u16 = 0x608;
/// The chipset's reset register, and what resets the machine when written to it.
pub const RESET: u16 = 0xCF9;
/// Bit 2 resets, bit 1 makes that a hard reset.
pub const RESET_VALUE: u8 = 6;

/// The timer's ticks per second.
const HERTZ: u64 = 3_579_545;
/// It has 24 bits.
const TIMER_MASK: u32 = 0xFF_FFFF;

/// PM1 control: ACPI owns the hardware; that never changes here.
const SCI_ENABLED: u16 = 1;
const SLEEP_TYPE: u16 = 7 << 10;
const SLEEP_ENABLE: u16 = 1 << 13;

/// Sleep type of "soft off" (S5), as the DSDT says.
pub const SOFT_OFF: u16 = 0;

/// The registers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Power {
    /// PM1 enable: kept, since none of its events happens.
    enable: u16,
    sleep_type: u16,
}

impl Power {
    /// The power-management timer at cycle `now`.
    #[must_use]
    pub fn timer(now: u64) -> u32 {
        let ticks = u128::from(now) * u128::from(HERTZ) / u128::from(CYCLES_PER_SECOND);
        ticks as u32 & TIMER_MASK
    }

    /// Reads a 16-bit register by its offset in the block.
    #[must_use]
    pub fn read(&self, register: u16) -> u16 {
        match register {
            2 => self.enable,
            4 => SCI_ENABLED | self.sleep_type << 10,
            _ => 0,
        }
    }

    /// Writes a 16-bit register; true if that switches the machine off.
    pub fn write(&mut self, register: u16, value: u16) -> bool {
        match register {
            2 => self.enable = value,
            4 => {
                self.sleep_type = (value & SLEEP_TYPE) >> 10;
                return value & SLEEP_ENABLE != 0 && self.sleep_type == SOFT_OFF;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timer_keeps_its_frequency_and_wraps() {
        assert_eq!(Power::timer(CYCLES_PER_SECOND), HERTZ as u32);
        let wrapped = Power::timer(10 * CYCLES_PER_SECOND);
        assert_eq!(wrapped, (10 * HERTZ) as u32 & TIMER_MASK);
    }

    #[test]
    fn soft_off_switches_off_and_other_states_do_not() {
        let mut power = Power::default();
        assert!(!power.write(4, SLEEP_ENABLE | 1 << 10));
        assert_eq!(power.read(4), SCI_ENABLED | 1 << 10);
        assert!(power.write(4, SLEEP_ENABLE));
    }
}
