//! The 8254 timer: three channels that count at 1.193182 MHz, and the port that
//! gates channel 2. No channel interrupts; they are there to be measured with.

use serde::{Deserialize, Serialize};

use super::CYCLES_PER_SECOND;

const HERTZ: u64 = 1_193_182;

/// The timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pit {
    channels: [Channel; 3],
    /// The speaker's data bit of port 0x61, which is only remembered.
    speaker: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Channel {
    mode: u8,
    /// Which bytes of the count are accessed: 1 low, 2 high, 3 both in turn.
    access: u8,
    gate: bool,
    reload: u32,
    /// The cycle at which counting began; `None` until a count is written.
    started: Option<u64>,
    /// The low byte, while the high one is awaited.
    low_byte: Option<u8>,
    /// The next read gives the high byte.
    read_high: bool,
    latch: Option<u16>,
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
        let channel = |gate| Channel {
            mode: 0,
            access: 3,
            gate,
            reload: 0x10000,
            started: None,
            low_byte: None,
            read_high: false,
            latch: None,
        };
        Pit {
            channels: [channel(true), channel(true), channel(false)],
            speaker: false,
        }
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
        if let Some(channel) = self.channels.get_mut(usize::from(port)) {
            channel.write(value, now);
            return;
        }
        // Selection 3 is the 8254's read-back command, which nothing here uses.
        if let Some(channel) = self.channels.get_mut(usize::from(value >> 6)) {
            channel.control(value, now);
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
    fn control(&mut self, value: u8, now: u64) {
        let access = value >> 4 & 3;
        if access == 0 {
            self.latch = self.latch.or(Some(self.count(now)));
            return;
        }
        // Modes 6 and 7 are 2 and 3.
        let mode = value >> 1 & 7;
        self.mode = if mode > 5 { mode - 4 } else { mode };
        self.access = access;
        self.started = None;
        self.low_byte = None;
        self.read_high = false;
        self.latch = None;
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
        self.reload = if count == 0 { 0x10000 } else { count };
        // Modes 1 and 5 wait for the gate to rise.
        if !matches!(self.mode, 1 | 5) {
            self.started = Some(now);
        }
    }

    fn set_gate(&mut self, gate: bool, now: u64) {
        if gate && !self.gate && (self.mode != 0 && self.mode != 4 || self.started.is_some()) {
            self.started = Some(now);
        }
        self.gate = gate;
    }

    /// Ticks since counting began.
    fn ticks(&self, now: u64) -> u64 {
        let Some(started) = self.started else {
            return 0;
        };
        let cycles = u128::from(now.saturating_sub(started));
        (cycles * u128::from(HERTZ) / u128::from(CYCLES_PER_SECOND)) as u64
    }

    fn count(&self, now: u64) -> u16 {
        let reload = u64::from(self.reload);
        if !self.gate || self.started.is_none() {
            return reload as u16;
        }
        let ticks = self.ticks(now);
        match self.mode {
            2 => (reload - ticks % reload) as u16,
            // A square wave counts down by two, twice for each period.
            3 => (reload - (ticks * 2) % reload) as u16,
            _ => reload.wrapping_sub(ticks) as u16,
        }
    }

    fn output(&self, now: u64) -> bool {
        let ticks = self.ticks(now);
        let reload = u64::from(self.reload);
        let running = self.gate && self.started.is_some();
        match self.mode {
            0 | 1 => running && ticks >= reload,
            2 => !running || ticks % reload != reload - 1,
            3 => !running || ticks % reload < reload.div_ceil(2),
            _ => !running || ticks != reload,
        }
    }

    fn read(&mut self, now: u64) -> u8 {
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
}
