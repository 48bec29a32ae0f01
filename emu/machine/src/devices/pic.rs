//! The two 8259 interrupt controllers, as far as a kernel needs them that turns
//! them off: initialisation and masks. No line is wired to them.

use serde::{Deserialize, Serialize};

/// Both controllers: master (0) and slave (1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pic {
    chips: [Chip; 2],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Chip {
    mask: u8,
    /// First vector, from the second initialisation word.
    base: u8,
    /// Initialisation words that are still to come on the data port.
    words_left: u8,
    /// The fourth word was announced.
    wants_fourth: bool,
}

impl Pic {
    /// Reads command (0) or data (1) port of a chip.
    #[must_use]
    pub fn read(&self, chip: usize, port: u16) -> u8 {
        // Neither is anything requested nor in service.
        if port == 1 { self.chips[chip].mask } else { 0 }
    }

    /// Writes command (0) or data (1) port of a chip.
    pub fn write(&mut self, chip: usize, port: u16, value: u8) {
        let chip = &mut self.chips[chip];
        match (port, chip.words_left) {
            (0, _) if value & 0x10 != 0 => {
                *chip = Chip {
                    words_left: 3,
                    wants_fourth: value & 1 != 0,
                    ..Chip::default()
                };
            }
            (0, _) => {}
            (_, 0) => chip.mask = value,
            (_, left) => {
                if left == 3 {
                    chip.base = value & 0xF8;
                }
                chip.words_left = if left == 2 && !chip.wants_fourth {
                    0
                } else {
                    left - 1
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_kept_and_initialisation_words_are_no_masks() {
        let mut pic = Pic::default();
        for word in [(0, 0x11), (1, 0x20), (1, 0x04), (1, 0x01)] {
            pic.write(0, word.0, word.1);
        }
        assert_eq!(pic.read(0, 1), 0);
        pic.write(0, 1, 0xFF);
        assert_eq!(pic.read(0, 1), 0xFF);
        assert_eq!(pic.read(1, 1), 0, "the slave has a mask of its own");
    }
}
