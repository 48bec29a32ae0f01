//! The CMOS real-time clock: it starts at a date that the scenario gives and
//! goes on by cycles.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::CYCLES_PER_SECOND;

const STATUS_A: usize = 0x0A;
const STATUS_B: usize = 0x0B;
const STATUS_C: usize = 0x0C;
const STATUS_D: usize = 0x0D;
const CENTURY: usize = 0x32;

const B_24_HOURS: u8 = 2;
const B_BINARY: u8 = 4;

/// The clock and the bytes of its battery-backed memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rtc {
    /// Unix time at power-on, in seconds.
    epoch: u64,
    index: u8,
    memory: Vec<u8>,
}

/// A date and a time of day (UTC).
struct Date {
    year: u64,
    month: u8,
    day: u8,
    weekday: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl Rtc {
    /// A clock that says `epoch` (seconds since 1970) at power-on.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        let mut memory = vec![0; 128];
        memory[STATUS_A] = 0x26;
        memory[STATUS_B] = B_24_HOURS;
        memory[STATUS_D] = 0x80;
        Rtc {
            epoch,
            index: 0,
            memory,
        }
    }

    /// Chooses the register that the data port shows.
    pub fn select(&mut self, value: u8) {
        self.index = value & 0x7F;
    }

    /// Reads the chosen register.
    #[must_use]
    pub fn read(&self, now: u64) -> u8 {
        let date = Date::at(self.epoch.saturating_add(now / CYCLES_PER_SECOND));
        match usize::from(self.index) {
            0 => self.encode(date.second),
            2 => self.encode(date.minute),
            4 => self.encode_hour(date.hour),
            6 => self.encode(date.weekday),
            7 => self.encode(date.day),
            8 => self.encode(date.month),
            9 => self.encode((date.year % 100) as u8),
            CENTURY => self.encode((date.year / 100 % 100) as u8),
            index => self.memory.get(index).copied().unwrap_or(0xFF),
        }
    }

    /// Writes the chosen register. The date itself cannot be set: it belongs to
    /// the scenario.
    pub fn write(&mut self, value: u8) {
        let index = usize::from(self.index);
        if matches!(
            index,
            0 | 2 | 4 | 6..=9 | STATUS_A | STATUS_C | STATUS_D | CENTURY
        ) {
            return;
        }
        if let Some(byte) = self.memory.get_mut(index) {
            // No interrupts are wired, so their enable bits stay off.
            *byte = if index == STATUS_B {
                value & (B_24_HOURS | B_BINARY)
            } else {
                value
            };
        }
    }

    fn encode(&self, value: u8) -> u8 {
        if self.memory.get(STATUS_B).is_some_and(|b| b & B_BINARY != 0) {
            value
        } else {
            ((value / 10) << 4) | (value % 10)
        }
    }

    fn encode_hour(&self, hour: u8) -> u8 {
        if self
            .memory
            .get(STATUS_B)
            .is_some_and(|b| b & B_24_HOURS != 0)
        {
            return self.encode(hour);
        }
        let afternoon = if hour >= 12 { 0x80 } else { 0 };
        self.encode((hour + 11) % 12 + 1) | afternoon
    }
}

impl Date {
    /// The date of a Unix time, by the proleptic Gregorian calendar.
    fn at(seconds: u64) -> Self {
        let days = seconds / 86_400;
        let time = seconds % 86_400;
        // Count from 1 March of year 0, so that the leap day ends a year.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = (month_from_march + 2) % 12 + 1;
        Date {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month: month as u8,
            day: (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8,
            weekday: ((days + 4) % 7 + 1) as u8,
            hour: (time / 3600) as u8,
            minute: (time / 60 % 60) as u8,
            second: (time % 60) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rtc: &mut Rtc, index: u8, now: u64) -> u8 {
        rtc.select(index);
        rtc.read(now)
    }

    #[test]
    fn it_tells_the_date_in_bcd() {
        // 2024-02-29 23:59:58 UTC, a Thursday.
        let mut rtc = Rtc::new(1_709_251_198);
        let fields = [0x32, 9, 8, 7, 6, 4, 2, 0];
        let got = fields.map(|index| read(&mut rtc, index, 0));
        assert_eq!(got, [0x20, 0x24, 0x02, 0x29, 0x05, 0x23, 0x59, 0x58]);
        let later = fields.map(|index| read(&mut rtc, index, 2 * CYCLES_PER_SECOND));
        assert_eq!(later, [0x20, 0x24, 0x03, 0x01, 0x06, 0x00, 0x00, 0x00]);
    }

    #[test]
    fn binary_and_twelve_hours_are_obeyed() {
        let mut rtc = Rtc::new(13 * 3600 + 45 * 60);
        rtc.select(STATUS_B as u8);
        rtc.write(B_BINARY);
        assert_eq!(read(&mut rtc, 2, 0), 45);
        assert_eq!(read(&mut rtc, 4, 0), 0x81);
        assert_eq!(read(&mut rtc, 9, 0), 70);
    }
}
