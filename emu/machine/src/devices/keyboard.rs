//! The 8042 keyboard controller without a keyboard, and without a second port for
//! a mouse: enough for software that looks whether it works, and for the reset
//! line that it drives.

use serde::{Deserialize, Serialize};

/// Status: a byte can be read from the data port.
const OUTPUT_FULL: u8 = 0x01;
/// Status: the controller has passed its test.
const SYSTEM: u8 = 0x04;
/// Status: the keyboard is not locked.
const UNLOCKED: u8 = 0x10;

/// Command byte: the keyboard's port is off.
const PORT_OFF: u8 = 0x10;

/// Output port: reset line (high is off) and address line 20.
const RESET_OFF: u8 = 1;
const A20: u8 = 2;

/// The controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyboard {
    /// What the data port holds.
    output: Option<u8>,
    /// A command that takes the next byte at the data port.
    awaiting: Option<u8>,
    /// The command byte.
    configuration: u8,
}

impl Keyboard {
    /// Reads the data port (0x60).
    pub fn read_data(&mut self) -> u8 {
        self.output.take().unwrap_or(0)
    }

    /// Reads the status (0x64).
    #[must_use]
    pub fn status(&self) -> u8 {
        let full = if self.output.is_some() {
            OUTPUT_FULL
        } else {
            0
        };
        UNLOCKED | SYSTEM | full
    }

    /// Writes the data port; true if that resets the machine. What is meant for
    /// a keyboard or a mouse meets nobody.
    pub fn write_data(&mut self, value: u8) -> bool {
        match self.awaiting.take() {
            Some(0x60) => self.configuration = value,
            Some(0xD1) => return value & RESET_OFF == 0,
            Some(0xD2) => self.output = Some(value),
            _ => {}
        }
        false
    }

    /// Writes a command (0x64); true if that resets the machine.
    pub fn command(&mut self, command: u8) -> bool {
        self.awaiting = None;
        match command {
            0x20 => self.output = Some(self.configuration),
            // Its own test passes; that of the keyboard's port finds nothing wrong.
            0xAA => self.output = Some(0x55),
            0xAB => self.output = Some(0),
            0xAD => self.configuration |= PORT_OFF,
            0xAE => self.configuration &= !PORT_OFF,
            0xD0 => self.output = Some(RESET_OFF | A20),
            0x60 | 0xD1 | 0xD2 => self.awaiting = Some(command),
            // Pulses the output lines whose bit is zero.
            0xF0..=0xFF => return command & RESET_OFF == 0,
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_passes_its_test_and_has_no_keyboard() {
        let mut controller = Keyboard::default();
        assert!(!controller.command(0xAA));
        assert_eq!(controller.status() & OUTPUT_FULL, OUTPUT_FULL);
        assert_eq!(controller.read_data(), 0x55);
        assert!(!controller.write_data(0xFF));
        assert_eq!(controller.status() & OUTPUT_FULL, 0, "nobody answers");
    }

    #[test]
    fn the_command_byte_is_kept() {
        let mut controller = Keyboard::default();
        controller.command(0x60);
        controller.write_data(0x47);
        controller.command(0xAD);
        controller.command(0x20);
        assert_eq!(controller.read_data(), 0x57);
    }

    #[test]
    fn two_ways_lead_to_a_reset() {
        let mut controller = Keyboard::default();
        assert!(controller.command(0xFE));
        assert!(!controller.command(0xFF));
        controller.command(0xD1);
        assert!(!controller.write_data(0xDF));
        controller.command(0xD1);
        assert!(controller.write_data(0xFE));
    }
}
