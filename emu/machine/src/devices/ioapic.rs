//! The IOAPIC: 24 lines, each turned into a message to a local APIC.

use serde::{Deserialize, Serialize};

use super::apic::Message;

const LINES: usize = 24;

/// ACPI's line: active low, as ACPI wants it without an override, and never
/// active here (ACPI specification 6.5, section 5.2.9, SCI_INT).
const SCI: usize = 9;

const SELECT: u32 = 0x00;
const WINDOW: u32 = 0x10;

const MASKED: u64 = 1 << 16;
const LEVEL: u64 = 1 << 15;
/// A level-triggered message was taken and its interrupt has not ended yet.
const REMOTE_IRR: u64 = 1 << 14;
const ACTIVE_LOW: u64 = 1 << 13;
const LOGICAL: u64 = 1 << 11;
/// Bits that software can change: all but delivery status and remote IRR.
const WRITABLE: u64 = 0xFF00_0000_0001_AFFF;

/// The IOAPIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoApic {
    select: u8,
    id: u32,
    entries: [u64; LINES],
    /// Levels of the lines as their devices drive them.
    lines: u32,
    /// Edges that wait to be sent.
    edges: u32,
}

impl Default for IoApic {
    fn default() -> Self {
        Self::new()
    }
}

impl IoApic {
    /// The IOAPIC after power-on: everything masked.
    #[must_use]
    pub fn new() -> Self {
        IoApic {
            select: 0,
            id: 0,
            entries: [MASKED; LINES],
            lines: 1 << SCI,
            edges: 0,
        }
    }

    /// Reads one of the two registers that memory shows.
    #[must_use]
    pub fn read(&self, register: u32) -> u32 {
        match register {
            SELECT => u32::from(self.select),
            WINDOW => self.read_selected(),
            _ => 0,
        }
    }

    fn read_selected(&self) -> u32 {
        match self.select {
            0 | 2 => self.id,
            1 => 0x11 | ((LINES as u32 - 1) << 16),
            select => match self.entry_of(select) {
                Some((line, false)) => self.entries[line] as u32,
                Some((line, true)) => (self.entries[line] >> 32) as u32,
                None => 0,
            },
        }
    }

    /// Writes one of the two registers that memory shows.
    pub fn write(&mut self, register: u32, value: u32) {
        match (register, self.select) {
            (SELECT, _) => self.select = value as u8,
            (WINDOW, 0) => self.id = value & 0x0F00_0000,
            (WINDOW, select) => self.write_entry(select, value),
            _ => {}
        }
    }

    fn write_entry(&mut self, select: u8, value: u32) {
        let Some((line, high)) = self.entry_of(select) else {
            return;
        };
        let old = self.entries[line];
        let new = if high {
            old & 0xFFFF_FFFF | u64::from(value) << 32
        } else {
            old & !0xFFFF_FFFF | u64::from(value)
        };
        self.entries[line] = new & WRITABLE | old & !WRITABLE;
        if self.entries[line] & LEVEL == 0 {
            self.entries[line] &= !REMOTE_IRR;
        }
    }

    /// The line that a register number belongs to, and which half it is.
    fn entry_of(&self, select: u8) -> Option<(usize, bool)> {
        let index = usize::from(select.checked_sub(0x10)?);
        (index / 2 < LINES).then_some((index / 2, index % 2 == 1))
    }

    /// A device drives its line. An edge on a masked line is lost.
    pub(super) fn set_line(&mut self, line: usize, high: bool) {
        let bit = 1 << line;
        let entry = self.entries[line];
        let active = high != (entry & ACTIVE_LOW != 0);
        let was_active = (self.lines & bit != 0) != (entry & ACTIVE_LOW != 0);
        if active && !was_active && entry & (MASKED | LEVEL) == 0 {
            self.edges |= bit;
        }
        self.lines = if high {
            self.lines | bit
        } else {
            self.lines & !bit
        };
    }

    /// True if a line's entry is not masked.
    pub(super) fn is_open(&self, line: usize) -> bool {
        self.entries[line] & MASKED == 0
    }

    /// A local APIC has ended a level-triggered interrupt.
    pub(super) fn end_of_interrupt(&mut self, vector: u8) {
        for entry in &mut self.entries {
            if *entry & LEVEL != 0 && *entry as u8 == vector {
                *entry &= !REMOTE_IRR;
            }
        }
    }

    /// Sends what there is to send; `take` says whether somebody took it.
    pub(super) fn send(&mut self, mut take: impl FnMut(Message) -> bool) {
        // Asked at each access to many devices: nearly always there is nothing.
        let levels = self
            .entries
            .iter()
            .any(|entry| entry & (LEVEL | MASKED) == LEVEL);
        if !levels && self.edges == 0 {
            return;
        }
        for line in 0..LINES {
            let entry = self.entries[line];
            let level = entry & LEVEL != 0;
            let active = (self.lines & 1 << line != 0) != (entry & ACTIVE_LOW != 0);
            let due = if level {
                active && entry & (MASKED | REMOTE_IRR) == 0
            } else {
                self.edges & 1 << line != 0
            };
            // Fixed and lowest priority are the same with one CPU; SMI, NMI,
            // INIT and ExtINT have no wire here.
            if !due || entry >> 8 & 7 > 1 {
                continue;
            }
            let taken = take(Message {
                vector: entry as u8,
                destination: (entry >> 56) as u8,
                logical: entry & LOGICAL != 0,
                level,
            });
            if level && taken {
                self.entries[line] |= REMOTE_IRR;
            }
        }
        self.edges = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_entry(entry: u32) -> IoApic {
        let mut io_apic = IoApic::new();
        io_apic.write(SELECT, 0x10 + 2 * 4);
        io_apic.write(WINDOW, entry);
        io_apic
    }

    fn sent(io_apic: &mut IoApic) -> usize {
        let mut count = 0;
        io_apic.send(|message| {
            assert_eq!(message.vector, 0x24);
            count += 1;
            true
        });
        count
    }

    #[test]
    fn an_edge_is_sent_once() {
        let mut io_apic = with_entry(0x24);
        io_apic.set_line(4, true);
        assert_eq!(sent(&mut io_apic), 1);
        io_apic.set_line(4, true);
        assert_eq!(sent(&mut io_apic), 0);
        io_apic.set_line(4, false);
        io_apic.set_line(4, true);
        assert_eq!(sent(&mut io_apic), 1);
    }

    #[test]
    fn an_edge_on_a_masked_line_is_lost() {
        let mut io_apic = with_entry(0x1_0024);
        io_apic.set_line(4, true);
        assert_eq!(sent(&mut io_apic), 0);
        io_apic.write(WINDOW, 0x24);
        assert_eq!(sent(&mut io_apic), 0);
    }

    #[test]
    fn a_level_is_sent_again_after_its_end() {
        let mut io_apic = with_entry(0x8024);
        io_apic.set_line(4, true);
        assert_eq!(sent(&mut io_apic), 1);
        assert_eq!(sent(&mut io_apic), 0);
        io_apic.end_of_interrupt(0x24);
        assert_eq!(sent(&mut io_apic), 1);
        io_apic.set_line(4, false);
        io_apic.end_of_interrupt(0x24);
        assert_eq!(sent(&mut io_apic), 0);
    }

    #[test]
    fn acpi_never_interrupts() {
        let mut io_apic = IoApic::new();
        io_apic.write(SELECT, 0x10 + 2 * SCI as u32);
        io_apic.write(WINDOW, 0xA024);
        assert_eq!(sent(&mut io_apic), 0, "level, active low");
        io_apic.write(WINDOW, 0x24);
        assert_eq!(sent(&mut io_apic), 0, "edge, active high");
    }

    #[test]
    fn entries_are_read_as_written() {
        let mut io_apic = with_entry(0x1_0024);
        io_apic.write(SELECT, 0x10 + 2 * 4 + 1);
        io_apic.write(WINDOW, 0xAB00_0000);
        assert_eq!(io_apic.read(WINDOW), 0xAB00_0000);
        io_apic.write(SELECT, 0x10 + 2 * 4);
        assert_eq!(io_apic.read(WINDOW), 0x1_0024);
        io_apic.write(SELECT, 1);
        assert_eq!(io_apic.read(WINDOW) >> 16, 23);
    }
}
