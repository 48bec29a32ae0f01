//! The two 8259A interrupt controllers: master (lines 0 to 7) and slave (8 to
//! 15, behind the master's line 2). 8259A data sheet (Intel 231468).
//!
//! An edge that was seen stays requested until it is acknowledged, also if its
//! line has fallen again, as in chipsets' integrated 8259As.

use serde::{Deserialize, Serialize};

/// The master's line that the slave's output drives.
const CASCADE: u8 = 2;

const ICW1: u8 = 0x10;
const ICW1_NEEDS_ICW4: u8 = 0x01;
const ICW1_SINGLE: u8 = 0x02;
const ICW1_LEVEL: u8 = 0x08;
const ICW4_AUTO_EOI: u8 = 0x02;
const ICW4_SPECIAL_NESTED: u8 = 0x10;
const OCW3: u8 = 0x08;

/// Lines that software may make level-triggered (ELCR): not the timer's, the
/// keyboard's, the cascade, the clock's or the coprocessor's.
const ELCR_WRITABLE: [u8; 2] = [0xF8, 0xDE];

/// Both controllers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pic {
    chips: [Chip; 2],
}

/// Which initialisation word the data port takes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Expects {
    Mask,
    Icw2,
    Icw3,
    Icw4,
}

/// What a read of the command port gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Reads {
    Requests,
    InService,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Chip {
    /// Interrupt request, in service and mask registers.
    irr: u8,
    isr: u8,
    imr: u8,
    /// First vector (ICW2).
    base: u8,
    /// Levels of the lines as their devices drive them.
    lines: u8,
    /// Lines that are level-triggered one by one (ELCR), and all of them (ICW1).
    elcr: u8,
    level: bool,
    expects: Expects,
    single: bool,
    needs_icw4: bool,
    auto_eoi: bool,
    rotate_on_auto_eoi: bool,
    special_nested: bool,
    special_mask: bool,
    /// The line of lowest priority: 7 unless rotated.
    lowest: u8,
    reads: Reads,
    /// The next read of the command port is a poll.
    poll: bool,
}

impl Default for Pic {
    /// As firmware leaves them: vectors 8 and 0x70, everything masked.
    fn default() -> Self {
        Pic {
            chips: [Chip::new(0x08), Chip::new(0x70)],
        }
    }
}

impl Pic {
    /// A device drives its line (0 to 15).
    pub(super) fn set_line(&mut self, line: usize, high: bool) {
        if let Some(chip) = self.chips.get_mut(line / 8) {
            chip.set_line((line % 8) as u8, high);
        }
        self.cascade();
    }

    /// True if the CPU is to be interrupted: the level of the output INT.
    #[must_use]
    pub fn output(&self) -> bool {
        self.chips[0].pending().is_some()
    }

    /// True if the mask registers let a line (0 to 15) through.
    #[must_use]
    pub(super) fn is_open(&self, line: usize) -> bool {
        let open = |chip: usize, line: usize| self.chips[chip].imr & 1 << line == 0;
        match line {
            0..8 => open(0, line),
            _ => open(1, line % 8) && open(0, usize::from(CASCADE)),
        }
    }

    /// The CPU's interrupt acknowledge cycles: the vector to take.
    pub(super) fn acknowledge(&mut self) -> u8 {
        let vector = match self.chips[0].acknowledge() {
            Some(CASCADE) => {
                let line = self.chips[1].acknowledge();
                self.chips[1].base | line.unwrap_or(7)
            }
            // A request that has gone: line 7's vector, not in service.
            line => self.chips[0].base | line.unwrap_or(7),
        };
        self.cascade();
        vector
    }

    /// Reads command (0) or data (1) port of a chip.
    pub fn read(&mut self, chip: usize, port: u16) -> u8 {
        let value = self.chips[chip].read(port);
        self.cascade();
        value
    }

    /// Writes command (0) or data (1) port of a chip.
    pub fn write(&mut self, chip: usize, port: u16, value: u8) {
        let chip = &mut self.chips[chip];
        match port {
            1 => chip.write_data(value),
            _ if value & ICW1 != 0 => chip.initialise(value),
            _ if value & OCW3 != 0 => chip.operate(value),
            _ => chip.end_of_interrupt(value),
        }
        self.cascade();
    }

    /// Reads a chip's edge/level control register.
    #[must_use]
    pub fn read_elcr(&self, chip: usize) -> u8 {
        self.chips[chip].elcr
    }

    /// Writes a chip's edge/level control register.
    pub fn write_elcr(&mut self, chip: usize, value: u8) {
        self.chips[chip].elcr = value & ELCR_WRITABLE[chip];
        self.cascade();
    }

    /// The slave's output is the master's line 2, whose request follows it.
    fn cascade(&mut self) {
        let high = self.chips[1].pending().is_some();
        let master = &mut self.chips[0];
        set(&mut master.lines, CASCADE, high);
        set(&mut master.irr, CASCADE, high && !master.single);
    }
}

impl Chip {
    fn new(base: u8) -> Self {
        Chip {
            irr: 0,
            isr: 0,
            imr: 0xFF,
            base,
            lines: 0,
            elcr: 0,
            level: false,
            expects: Expects::Mask,
            single: false,
            needs_icw4: false,
            auto_eoi: false,
            rotate_on_auto_eoi: false,
            special_nested: false,
            special_mask: false,
            lowest: 7,
            reads: Reads::Requests,
            poll: false,
        }
    }

    fn is_level(&self, line: u8) -> bool {
        self.level || self.elcr & 1 << line != 0
    }

    fn set_line(&mut self, line: u8, high: bool) {
        let rises = high && self.lines & 1 << line == 0;
        set(&mut self.lines, line, high);
        if self.is_level(line) {
            set(&mut self.irr, line, high);
        } else if rises {
            set(&mut self.irr, line, true);
        }
    }

    /// How far a line is from the highest priority.
    fn rank(&self, line: u8) -> u8 {
        line.wrapping_sub(self.lowest.wrapping_add(1)) & 7
    }

    /// The lines of a register, the one of highest priority first.
    fn first(&self, register: u8) -> Option<u8> {
        if register == 0 {
            return None;
        }
        (0..8)
            .filter(|line| register & 1 << line != 0)
            .min_by_key(|&line| self.rank(line))
    }

    /// The request that goes to the CPU (or to the master): the first one that
    /// is not masked and before everything in service.
    fn pending(&self) -> Option<u8> {
        if self.expects != Expects::Mask {
            return None;
        }
        let line = self.first(self.irr & !self.imr)?;
        let mut blocking = self.isr;
        if self.special_mask {
            blocking &= !self.imr;
        }
        if self.special_nested && line == CASCADE {
            blocking &= !(1 << CASCADE);
        }
        match self.first(blocking) {
            Some(serving) if self.rank(serving) <= self.rank(line) => None,
            _ => Some(line),
        }
    }

    /// From requested to in service.
    fn acknowledge(&mut self) -> Option<u8> {
        let line = self.pending()?;
        if !self.is_level(line) {
            set(&mut self.irr, line, false);
        }
        if !self.auto_eoi {
            set(&mut self.isr, line, true);
        } else if self.rotate_on_auto_eoi {
            self.lowest = line;
        }
        Some(line)
    }

    fn read(&mut self, port: u16) -> u8 {
        if core::mem::take(&mut self.poll) {
            return self.acknowledge().map_or(0, |line| 0x80 | line);
        }
        match (port, self.reads) {
            (1, _) => self.imr,
            (_, Reads::Requests) => self.irr,
            (_, Reads::InService) => self.isr,
        }
    }

    /// ICW1: everything starts over; a line that is high already has to rise
    /// again.
    fn initialise(&mut self, icw1: u8) {
        *self = Chip {
            imr: 0,
            lines: self.lines,
            elcr: self.elcr,
            level: icw1 & ICW1_LEVEL != 0,
            single: icw1 & ICW1_SINGLE != 0,
            needs_icw4: icw1 & ICW1_NEEDS_ICW4 != 0,
            expects: Expects::Icw2,
            ..Chip::new(self.base)
        };
        self.irr = (0..8)
            .filter(|&line| self.is_level(line) && self.lines & 1 << line != 0)
            .fold(0, |irr, line| irr | 1 << line);
    }

    /// OCW1 (the mask), or the initialisation word that is awaited.
    fn write_data(&mut self, value: u8) {
        let after_icw3 = match self.needs_icw4 {
            true => Expects::Icw4,
            false => Expects::Mask,
        };
        self.expects = match self.expects {
            Expects::Mask => {
                self.imr = value;
                Expects::Mask
            }
            Expects::Icw2 => {
                self.base = value & 0xF8;
                match self.single {
                    true => after_icw3,
                    false => Expects::Icw3,
                }
            }
            // The wiring is what it is, whatever the word says.
            Expects::Icw3 => after_icw3,
            Expects::Icw4 => {
                self.auto_eoi = value & ICW4_AUTO_EOI != 0;
                self.special_nested = value & ICW4_SPECIAL_NESTED != 0;
                Expects::Mask
            }
        };
    }

    /// OCW3: special mask mode, poll, and which register is read.
    fn operate(&mut self, ocw3: u8) {
        match ocw3 >> 5 & 3 {
            2 => self.special_mask = false,
            3 => self.special_mask = true,
            _ => {}
        }
        self.poll = ocw3 & 4 != 0;
        match ocw3 & 3 {
            2 => self.reads = Reads::Requests,
            3 => self.reads = Reads::InService,
            _ => {}
        }
    }

    /// OCW2: end of interrupt and rotation (bits R, SL, EOI).
    fn end_of_interrupt(&mut self, ocw2: u8) {
        let named = ocw2 & 7;
        match ocw2 >> 5 {
            0b000 => self.rotate_on_auto_eoi = false,
            0b100 => self.rotate_on_auto_eoi = true,
            0b001 => _ = self.end_first(),
            0b101 => {
                if let Some(line) = self.end_first() {
                    self.lowest = line;
                }
            }
            0b011 => set(&mut self.isr, named, false),
            0b111 => {
                set(&mut self.isr, named, false);
                self.lowest = named;
            }
            0b110 => self.lowest = named,
            _ => {}
        }
    }

    /// Ends the interrupt of highest priority that is in service. In special
    /// mask mode one that is masked is passed over.
    fn end_first(&mut self) -> Option<u8> {
        let masked = if self.special_mask { self.imr } else { 0 };
        let line = self.first(self.isr & !masked)?;
        set(&mut self.isr, line, false);
        Some(line)
    }
}

fn set(register: &mut u8, line: u8, on: bool) {
    let bit = 1 << line;
    *register = if on {
        *register | bit
    } else {
        *register & !bit
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const EOI: u8 = 0x20;

    /// Both set up as kernels do: vectors 0x20 and 0x28, nothing masked.
    fn ready(icw4: u8) -> Pic {
        let mut pic = Pic::default();
        for (chip, base, wiring) in [(0, 0x20, 0x04), (1, 0x28, 0x02)] {
            pic.write(chip, 0, 0x11);
            for word in [base, wiring, icw4] {
                pic.write(chip, 1, word);
            }
        }
        pic
    }

    fn pulse(pic: &mut Pic, line: usize) {
        pic.set_line(line, false);
        pic.set_line(line, true);
    }

    #[test]
    fn masks_are_kept_and_initialisation_words_are_no_masks() {
        let mut pic = ready(1);
        assert_eq!(pic.read(0, 1), 0);
        pic.write(0, 1, 0xFF);
        assert_eq!(pic.read(0, 1), 0xFF);
        assert_eq!(pic.read(1, 1), 0, "the slave has a mask of its own");
    }

    #[test]
    fn a_masked_request_waits() {
        let mut pic = ready(1);
        pic.write(0, 1, 0xFF);
        pulse(&mut pic, 0);
        assert!(!pic.output());
        assert_eq!(pic.read(0, 0), 1, "IRR");
        pic.write(0, 1, 0xFE);
        assert!(pic.output() && pic.is_open(0) && !pic.is_open(8));
        assert_eq!(pic.acknowledge(), 0x20);
        assert!(!pic.output());
    }

    #[test]
    fn lower_lines_come_first_and_hold_back_the_others() {
        let mut pic = ready(1);
        pulse(&mut pic, 4);
        assert_eq!(pic.acknowledge(), 0x24);
        for held_back in [5, 4] {
            pulse(&mut pic, held_back);
            assert!(!pic.output());
        }
        pulse(&mut pic, 1);
        assert_eq!(pic.acknowledge(), 0x21);
        pic.write(0, 0, 0x0B);
        assert_eq!(pic.read(0, 0), 0x12, "ISR");
        pic.write(0, 0, EOI);
        assert!(!pic.output(), "line 4 is still in service");
        pic.write(0, 0, EOI);
        assert_eq!(pic.acknowledge(), 0x24);
        pic.write(0, 0, EOI);
        assert_eq!(pic.acknowledge(), 0x25);
    }

    #[test]
    fn the_slave_comes_through_the_masters_line_2() {
        let mut pic = ready(1);
        pulse(&mut pic, 8);
        assert_eq!(pic.acknowledge(), 0x28);
        pulse(&mut pic, 9);
        pulse(&mut pic, 3);
        assert!(!pic.output(), "both are behind line 2");
        pic.write(1, 0, EOI);
        pic.write(0, 0, EOI);
        assert_eq!(pic.acknowledge(), 0x29);
        pic.write(1, 0, EOI);
        pic.write(0, 0, EOI);
        assert_eq!(pic.acknowledge(), 0x23);
    }

    #[test]
    fn special_fully_nested_lets_the_slave_interrupt_itself() {
        let mut pic = ready(0x11);
        pulse(&mut pic, 12);
        assert_eq!(pic.acknowledge(), 0x2C);
        pulse(&mut pic, 8);
        assert_eq!(pic.acknowledge(), 0x28);
    }

    #[test]
    fn automatic_ends_leave_nothing_in_service() {
        let mut pic = ready(3);
        pulse(&mut pic, 5);
        assert_eq!(pic.acknowledge(), 0x25);
        pulse(&mut pic, 6);
        assert_eq!(pic.acknowledge(), 0x26);
    }

    #[test]
    fn priorities_rotate() {
        let mut pic = ready(1);
        pulse(&mut pic, 0);
        assert_eq!(pic.acknowledge(), 0x20);
        pic.write(0, 0, 0xA0);
        pulse(&mut pic, 0);
        pulse(&mut pic, 7);
        assert_eq!(pic.acknowledge(), 0x27, "line 0 is the last now");
        pic.write(0, 0, 0x67);
        pic.write(0, 0, 0xC4);
        pulse(&mut pic, 4);
        assert_eq!(pic.acknowledge(), 0x20, "line 4 is the last now");
    }

    #[test]
    fn special_mask_mode_lets_lower_lines_through() {
        let mut pic = ready(1);
        pulse(&mut pic, 3);
        assert_eq!(pic.acknowledge(), 0x23);
        pulse(&mut pic, 6);
        assert!(!pic.output());
        pic.write(0, 1, 0x08);
        pic.write(0, 0, 0x68);
        assert_eq!(pic.acknowledge(), 0x26);
        pic.write(0, 0, EOI);
        pic.write(0, 0, 0x0B);
        assert_eq!(pic.read(0, 0), 0x08, "the masked one is not what ended");
    }

    #[test]
    fn polling_acknowledges() {
        let mut pic = ready(1);
        pic.write(0, 0, 0x0C);
        assert_eq!(pic.read(0, 0), 0);
        pulse(&mut pic, 5);
        pic.write(0, 0, 0x0C);
        assert_eq!(pic.read(0, 0), 0x85);
        assert!(!pic.output());
    }

    #[test]
    fn level_lines_ask_again_until_they_fall() {
        let mut pic = ready(1);
        pic.write_elcr(0, 0xFF);
        assert_eq!(pic.read_elcr(0), 0xF8);
        pic.set_line(5, true);
        assert_eq!(pic.acknowledge(), 0x25);
        pic.write(0, 0, EOI);
        assert_eq!(pic.acknowledge(), 0x25);
        pic.set_line(5, false);
        pic.write(0, 0, EOI);
        assert!(!pic.output());
        assert_eq!(pic.acknowledge(), 0x27, "nobody asked: a spurious vector");
    }
}
