//! The 8254 timer: three channels that count at 1.193182 MHz, and the port that
//! gates channel 2. Intel 8254 data sheet (231164).
//!
//! A count takes effect with the write of its last byte, also in a running
//! channel, and not at the following tick or the end of the period.

use core::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::CYCLES_PER_SECOND;

/// Ticks per second.
const HERTZ: u64 = 1_193_182;

/// What a written count of zero means, in binary and in decimal counting.
const FULL: NonZeroU32 = NonZeroU32::new(0x10000).unwrap();
const FULL_BCD: NonZeroU32 = NonZeroU32::new(10_000).unwrap();

/// The timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pit {
    channels: [Channel; 3],
    /// The speaker's data bit of port 0x61, which is only remembered.
    speaker: bool,
    /// The cycle at which channel 0's output rises next.
    rises: Option<u64>,
    /// It has risen since somebody asked.
    risen: bool,
}

/// Where a channel's counting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Counting {
    /// No count has been written.
    Empty,
    /// So many ticks have been counted and the gate, or a trigger, is awaited.
    Held(u64),
    /// Since this cycle.
    Since(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Channel {
    mode: u8,
    bcd: bool,
    /// Which bytes of the count are accessed: 1 low, 2 high, 3 both in turn.
    access: u8,
    gate: bool,
    /// The count that was written, in binary: 1 to 0x10000.
    reload: NonZeroU32,
    counting: Counting,
    /// The low byte, while the high one is awaited.
    low_byte: Option<u8>,
    /// The next read gives the high byte.
    read_high: bool,
    latch: Option<u16>,
    /// The status that a read-back command latched.
    status: Option<u8>,
}

impl Default for Pit {
    fn default() -> Self {
        Self::new()
    }
}

impl Pit {
    /// The timer after power-on; channel 2 is gated off by port 0x61.
    #[must_use]
    pub fn new() -> Self {
        Pit {
            channels: [true, true, false].map(Channel::new),
            speaker: false,
            rises: None,
            risen: false,
        }
    }

    /// The next cycle at which channel 0's output rises.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.rises
    }

    /// Lets channel 0's output rise if it is due.
    pub fn advance(&mut self, now: u64) {
        if self.rises.is_some_and(|at| at <= now) {
            self.risen = true;
            self.rises = self.channels[0].next_rise(now);
        }
    }

    /// True if channel 0's output has risen since the last call.
    pub(super) fn take_rise(&mut self) -> bool {
        core::mem::take(&mut self.risen)
    }

    /// Reads a channel's count.
    pub fn read(&mut self, port: u16, now: u64) -> u8 {
        match self.channels.get_mut(usize::from(port)) {
            Some(channel) => channel.read(now),
            None => 0xFF,
        }
    }

    /// Writes a channel's count (0 to 2) or the control word (3).
    pub fn write(&mut self, port: u16, value: u8, now: u64) {
        let before = self.channels[0].output(now);
        match (self.channels.get_mut(usize::from(port)), value >> 6) {
            (Some(channel), _) => channel.write(value, now),
            (None, 3) => self.read_back(value, now),
            (None, channel) => self.channels[usize::from(channel)].control(value, now),
        }
        self.risen |= !before && self.channels[0].output(now);
        self.rises = self.channels[0].next_rise(now);
    }

    /// The read-back command latches counts, states or both of several channels.
    fn read_back(&mut self, command: u8, now: u64) {
        for (index, channel) in self.channels.iter_mut().enumerate() {
            if command & 2 << index == 0 {
                continue;
            }
            if command & 0x20 == 0 {
                channel.latch_count(now);
            }
            if command & 0x10 == 0 {
                channel.status = channel.status.or(Some(channel.status_byte(now)));
            }
        }
    }

    /// Reads port 0x61.
    #[must_use]
    pub fn read_control(&self, now: u64) -> u8 {
        let [_, refresh, speaker] = &self.channels;
        u8::from(speaker.gate)
            | u8::from(self.speaker) << 1
            | u8::from(refresh.ticks(now) & 1 != 0) << 4
            | u8::from(speaker.output(now)) << 5
    }

    /// Writes port 0x61: gate of channel 2, and the speaker.
    pub fn write_control(&mut self, value: u8, now: u64) {
        self.speaker = value & 2 != 0;
        self.channels[2].set_gate(value & 1 != 0, now);
    }
}

impl Channel {
    fn new(gate: bool) -> Self {
        Channel {
            mode: 0,
            bcd: false,
            access: 3,
            gate,
            reload: FULL,
            counting: Counting::Empty,
            low_byte: None,
            read_high: false,
            latch: None,
            status: None,
        }
    }

    fn control(&mut self, value: u8, now: u64) {
        let access = value >> 4 & 3;
        if access == 0 {
            self.latch_count(now);
            return;
        }
        // Modes 6 and 7 are 2 and 3.
        let mode = value >> 1 & 7;
        *self = Channel {
            mode: if mode > 5 { mode - 4 } else { mode },
            bcd: value & 1 != 0,
            access,
            ..Channel::new(self.gate)
        };
    }

    fn latch_count(&mut self, now: u64) {
        self.latch = self.latch.or(Some(self.count(now)));
    }

    /// The status byte: output, no count yet, and what the control word said.
    fn status_byte(&self, now: u64) -> u8 {
        let empty = self.counting == Counting::Empty || self.low_byte.is_some();
        u8::from(self.output(now)) << 7
            | u8::from(empty) << 6
            | self.access << 4
            | self.mode << 1
            | u8::from(self.bcd)
    }

    fn write(&mut self, value: u8, now: u64) {
        let count = match (self.access, self.low_byte) {
            (1, _) => u32::from(value),
            (2, _) => u32::from(value) << 8,
            (_, None) => {
                self.low_byte = Some(value);
                return;
            }
            (_, Some(low)) => u32::from(low) | u32::from(value) << 8,
        };
        self.low_byte = None;
        let count = if self.bcd { from_bcd(count) } else { count };
        let full = if self.bcd { FULL_BCD } else { FULL };
        self.reload = NonZeroU32::new(count).unwrap_or(full);
        self.counting = match (self.mode, self.counting) {
            // Modes 1 and 5 wait for the gate to rise.
            (1 | 5, Counting::Since(at)) => Counting::Since(at),
            (1 | 5, _) => Counting::Held(0),
            _ if self.gate => Counting::Since(now),
            _ => Counting::Held(0),
        };
    }

    /// In modes 0 and 4 the gate suspends counting, in 2 and 3 it starts the
    /// period over, in 1 and 5 its rise is the trigger.
    fn set_gate(&mut self, gate: bool, now: u64) {
        let was = core::mem::replace(&mut self.gate, gate);
        if gate == was || self.counting == Counting::Empty {
            return;
        }
        let suspends = matches!(self.mode, 0 | 4);
        self.counting = match (gate, self.mode) {
            (true, _) if suspends => {
                Counting::Since(now.saturating_sub(cycles_of(self.ticks(now))))
            }
            (true, _) => Counting::Since(now),
            (false, 1 | 5) => self.counting,
            (false, _) if suspends => Counting::Held(self.ticks(now)),
            (false, _) => Counting::Held(0),
        };
    }

    fn is_running(&self) -> bool {
        matches!(self.counting, Counting::Since(_))
    }

    /// Ticks that have been counted.
    fn ticks(&self, now: u64) -> u64 {
        match self.counting {
            Counting::Empty => 0,
            Counting::Held(ticks) => ticks,
            Counting::Since(at) => {
                let cycles = u128::from(now.saturating_sub(at));
                (cycles * u128::from(HERTZ) / u128::from(CYCLES_PER_SECOND)) as u64
            }
        }
    }

    /// The counter as software reads it.
    fn count(&self, now: u64) -> u16 {
        let reload = u64::from(self.reload.get());
        let ticks = self.ticks(now);
        let modulus = if self.bcd { 10_000 } else { 0x10000 };
        let count = match self.mode {
            2 => reload - ticks % reload,
            // A square wave counts down by two, twice for each period.
            3 => reload - (ticks * 2) % reload,
            // The others go on below zero.
            _ => modulus + reload - ticks % modulus,
        };
        let count = (count % modulus) as u32;
        (if self.bcd { to_bcd(count) } else { count }) as u16
    }

    fn output(&self, now: u64) -> bool {
        let ticks = self.ticks(now);
        let reload = u64::from(self.reload.get());
        match self.mode {
            0 => self.counting != Counting::Empty && ticks >= reload,
            _ if !self.is_running() => true,
            1 => ticks >= reload,
            2 => ticks % reload != reload - 1,
            3 => ticks % reload < reload.div_ceil(2),
            _ => ticks != reload,
        }
    }

    /// The next cycle after `now` at which the output rises.
    fn next_rise(&self, now: u64) -> Option<u64> {
        let Counting::Since(since) = self.counting else {
            return None;
        };
        let reload = u64::from(self.reload.get());
        let tick = match self.mode {
            0 | 1 => reload,
            2 | 3 => (self.ticks(now) / reload + 1) * reload,
            _ => reload + 1,
        };
        let at = since.saturating_add(cycles_of(tick));
        (at > now).then_some(at)
    }

    fn read(&mut self, now: u64) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let value = self.latch.unwrap_or_else(|| self.count(now));
        let high = match self.access {
            1 => false,
            2 => true,
            _ => {
                self.read_high = !self.read_high;
                !self.read_high
            }
        };
        if high || self.access == 1 {
            self.latch = None;
        }
        if high {
            (value >> 8) as u8
        } else {
            value as u8
        }
    }
}

/// The least number of cycles in which so many ticks pass.
fn cycles_of(ticks: u64) -> u64 {
    (u128::from(ticks) * u128::from(CYCLES_PER_SECOND)).div_ceil(u128::from(HERTZ)) as u64
}

/// Four decimal digits, one in each nibble, as a number.
fn from_bcd(digits: u32) -> u32 {
    (0..4).rev().fold(0, |number, digit| {
        number * 10 + (digits >> (4 * digit) & 0xF)
    })
}

/// The other way round.
fn to_bcd(number: u32) -> u32 {
    (0..4).fold(0, |digits, digit| {
        digits | (number / 10_u32.pow(digit) % 10) << (4 * digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way kernels measure: channel 2, mode 0, gate, wait for bit 5.
    #[test]
    fn ten_milliseconds_on_channel_2_take_ten_milliseconds() {
        let mut pit = Pit::new();
        pit.write_control(0, 0);
        pit.write(3, 0b1011_0000, 0);
        let count = 11_932_u32;
        pit.write(2, count as u8, 0);
        pit.write(2, (count >> 8) as u8, 0);
        assert_eq!(
            pit.read_control(1_000_000_000) & 0x20,
            0,
            "the gate is closed"
        );
        pit.write_control(1, 500);
        let due = 500 + u64::from(count) * CYCLES_PER_SECOND / HERTZ;
        assert_eq!(pit.read_control(due - 100) & 0x20, 0);
        assert_eq!(pit.read_control(due + 1) & 0x20, 0x20);
    }

    #[test]
    fn the_gate_suspends_mode_0() {
        let mut pit = Pit::new();
        pit.write_control(1, 0);
        pit.write(3, 0b1001_0000, 0);
        pit.write(2, 100, 0);
        pit.write_control(0, cycles_of(40));
        pit.write_control(1, cycles_of(1000));
        assert_eq!(pit.read(2, cycles_of(1000)), 60);
        assert_eq!(pit.read_control(cycles_of(1059)) & 0x20, 0);
        assert_eq!(pit.read_control(cycles_of(1061)) & 0x20, 0x20);
    }

    #[test]
    fn a_latched_count_stands_still_until_read() {
        let mut pit = Pit::new();
        pit.write(3, 0b0011_0100, 0);
        pit.write(0, 0, 0);
        pit.write(0, 0, 0);
        let at = 1_000 * CYCLES_PER_SECOND / HERTZ + 1;
        pit.write(3, 0, at);
        let low = pit.read(0, at + 500_000);
        let high = pit.read(0, at + 600_000);
        assert_eq!(u32::from(low) | u32::from(high) << 8, 0x10000 - 1_000);
        let moving = pit.read(0, at + 900_000);
        assert_ne!(moving, low);
    }

    #[test]
    fn a_rate_generator_starts_over() {
        let mut pit = Pit::new();
        pit.write(3, 0b0101_0100, 0);
        pit.write(1, 18, 0);
        let tick = |n: u64| n * CYCLES_PER_SECOND / HERTZ + 1;
        assert_eq!(pit.read(1, tick(17)), 1);
        assert_eq!(pit.read(1, tick(18)), 18);
    }

    /// Rises of channel 0 within 100 ticks, in ticks.
    fn rises(mode: u8, count: u8) -> Vec<u64> {
        let mut pit = Pit::new();
        pit.write(3, 0b0001_0000 | mode << 1, 0);
        pit.write(0, count, 0);
        pit.take_rise();
        let mut found = Vec::new();
        while let Some(at) = pit.deadline().filter(|&at| at <= cycles_of(100)) {
            assert!(!pit.take_rise());
            pit.advance(at);
            assert!(pit.take_rise());
            found.push(at * HERTZ / CYCLES_PER_SECOND);
        }
        found
    }

    #[test]
    fn channel_0_rises_when_its_mode_says() {
        assert_eq!(rises(0, 40), [40]);
        assert_eq!(rises(1, 40), [0; 0], "its gate never rises");
        assert_eq!(rises(2, 40), [40, 80]);
        assert_eq!(rises(3, 33), [33, 66, 99]);
        assert_eq!(rises(4, 40), [41]);
    }

    #[test]
    fn read_back_tells_states_and_counts() {
        let mut pit = Pit::new();
        pit.write(3, 0b0011_0110, 0);
        pit.write(3, 0b1110_0010, 0);
        assert_eq!(pit.read(0, 0), 0b1111_0110, "no count yet");
        pit.write(0, 10, 0);
        pit.write(0, 0, 0);
        pit.write(3, 0b1100_0010, cycles_of(6));
        assert_eq!(pit.read(0, 0), 0b0011_0110, "the second half is low");
        assert_eq!((pit.read(0, 0), pit.read(0, 0)), (8, 0));
    }

    #[test]
    fn decimal_counts_are_decimal() {
        let mut pit = Pit::new();
        pit.write(3, 0b0011_0101, 0);
        pit.write(0, 0x00, 0);
        pit.write(0, 0x10, 0);
        let low = pit.read(0, cycles_of(1));
        assert_eq!((low, pit.read(0, cycles_of(1))), (0x99, 0x09));
    }
}
