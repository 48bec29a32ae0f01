//! The CMOS real-time clock (MC146818): it starts at a date that the scenario
//! gives and goes on by cycles.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::CYCLES_PER_SECOND;
use super::date::{Date, Field};

const STATUS_A: usize = 0x0A;
const STATUS_B: usize = 0x0B;
const STATUS_C: usize = 0x0C;
const STATUS_D: usize = 0x0D;

/// Status A: the date is about to change.
const A_UPDATING: u8 = 0x80;

const B_SET: u8 = 0x80;
const B_24_HOURS: u8 = 2;
const B_BINARY: u8 = 4;

/// Bits of status C; B enables the same three.
const C_PERIODIC: u8 = 0x40;
const C_ALARM: u8 = 0x20;
const C_UPDATED: u8 = 0x10;
const C_INTERRUPT: u8 = 0x80;
const SOURCES: u8 = C_PERIODIC | C_ALARM | C_UPDATED;

/// Cycles before a new second in which A says that the date is about to change.
const UPDATE_WARNING: u64 = 244_000;
/// Ticks per second of the quartz.
const QUARTZ: u64 = 32_768;
const SECONDS_PER_DAY: u64 = 86_400;

/// The clock and the bytes of its battery-backed memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rtc {
    /// The date in seconds since 1970 that it shows, or would have shown, at
    /// power-on.
    epoch: u64,
    /// The date while status B's SET bit keeps it still, to be set.
    stopped: Option<Date>,
    index: u8,
    memory: Vec<u8>,
    /// Status C, up to the cycle `settled`.
    flags: u8,
    settled: u64,
    /// The next cycle at which an enabled source interrupts.
    due: Option<u64>,
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
            stopped: None,
            index: 0,
            memory,
            flags: 0,
            settled: 0,
            due: None,
        }
    }

    /// Chooses the register that the data port shows.
    pub fn select(&mut self, value: u8) {
        self.index = value & 0x7F;
    }

    /// The next cycle at which it raises its interrupt.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.due
    }

    /// Raises what is due.
    pub fn advance(&mut self, now: u64) {
        if self.due.is_some_and(|at| at <= now) {
            self.settle(now);
        }
    }

    /// The level of its interrupt line.
    #[must_use]
    pub(super) fn wants_interrupt(&self) -> bool {
        self.flags & self.register(STATUS_B) & SOURCES != 0
    }

    /// Reads the chosen register. Reading status C answers its interrupts.
    pub fn read(&mut self, now: u64) -> u8 {
        let index = usize::from(self.index);
        if let Some(field) = Field::at(index) {
            return self.encode(field, self.date(now).get(field));
        }
        match index {
            STATUS_A if self.is_updating(now) => self.register(index) | A_UPDATING,
            STATUS_C => {
                self.settle(now);
                let interrupt = if self.wants_interrupt() {
                    C_INTERRUPT
                } else {
                    0
                };
                let flags = core::mem::take(&mut self.flags) | interrupt;
                self.plan();
                flags
            }
            _ => self.register(index),
        }
    }

    /// Writes the chosen register.
    pub fn write(&mut self, value: u8, now: u64) {
        self.settle(now);
        let index = usize::from(self.index);
        match (Field::at(index), index) {
            (Some(field), _) => {
                let mut date = self.date(now);
                date.set(field, self.decode(field, value));
                self.set_date(date, now);
            }
            (None, STATUS_A) => self.set_register(index, value & !A_UPDATING),
            (None, STATUS_B) => self.control(value, now),
            (None, STATUS_C | STATUS_D) => {}
            (None, _) => self.set_register(index, value),
        }
        self.plan();
    }

    /// Status B. While SET is on, the date stands still and can be set.
    fn control(&mut self, value: u8, now: u64) {
        let date = self.date(now);
        self.stopped = (value & B_SET != 0).then_some(date);
        self.set_date(date, now);
        self.set_register(STATUS_B, value);
    }

    fn date(&self, now: u64) -> Date {
        let running = self.epoch.saturating_add(now / CYCLES_PER_SECOND);
        self.stopped.unwrap_or_else(|| Date::at(running))
    }

    fn set_date(&mut self, date: Date, now: u64) {
        match &mut self.stopped {
            Some(stopped) => *stopped = date,
            None => self.epoch = date.seconds().saturating_sub(now / CYCLES_PER_SECOND),
        }
    }

    fn is_updating(&self, now: u64) -> bool {
        self.stopped.is_none() && now % CYCLES_PER_SECOND >= CYCLES_PER_SECOND - UPDATE_WARNING
    }

    /// Sets the flags of everything since the last time, and looks ahead.
    fn settle(&mut self, now: u64) {
        for source in [C_PERIODIC, C_UPDATED, C_ALARM] {
            if self.next(source, self.settled).is_some_and(|at| at <= now) {
                self.flags |= source;
            }
        }
        self.settled = now;
        self.plan();
    }

    /// Finds the next interrupt. There is none while the line is high.
    fn plan(&mut self) {
        let enabled = self.register(STATUS_B);
        self.due = [C_PERIODIC, C_UPDATED, C_ALARM]
            .into_iter()
            .filter(|source| enabled & source != 0 && !self.wants_interrupt())
            .filter_map(|source| self.next(source, self.settled))
            .min();
    }

    /// The first cycle after `now` at which a source sets its flag.
    fn next(&self, source: u8, now: u64) -> Option<u64> {
        if source == C_PERIODIC {
            let period = self.period()?;
            let ticks = u128::from(now) * u128::from(QUARTZ) / u128::from(CYCLES_PER_SECOND);
            let ticks = u64::try_from(ticks).ok()?;
            let next = (ticks / period + 1).saturating_mul(period);
            let at = (u128::from(next) * u128::from(CYCLES_PER_SECOND)).div_ceil(QUARTZ.into());
            // A cycle that 64 bits do not hold never comes.
            return u64::try_from(at).ok();
        }
        if self.stopped.is_some() {
            return None;
        }
        let second = now / CYCLES_PER_SECOND + 1;
        match source {
            C_ALARM => second.checked_add(self.until_alarm(second)?),
            _ => Some(second),
        }
        .and_then(|second| second.checked_mul(CYCLES_PER_SECOND))
    }

    /// Ticks of the quartz between periodic interrupts.
    fn period(&self) -> Option<u64> {
        match self.register(STATUS_A) & 0xF {
            0 => None,
            rate @ (1 | 2) => Some(1 << (rate + 6)),
            rate => Some(1 << (rate - 1)),
        }
    }

    /// Seconds from `second` after power-on to the alarm's time of day.
    fn until_alarm(&self, second: u64) -> Option<u64> {
        let start = self.epoch.checked_add(second)?;
        let mut at = start;
        while at - start < SECONDS_PER_DAY {
            let date = Date::at(at);
            let missed = Field::ALARMS.into_iter().find(|(index, field, _)| {
                let wanted = self.register(*index);
                // Any value from 0xC0 on stands for every time.
                wanted < 0xC0 && wanted != self.encode(*field, date.get(*field))
            });
            let Some((_, _, unit)) = missed else {
                return Some(at - start);
            };
            at = (at / unit + 1).checked_mul(unit)?;
        }
        None
    }

    fn register(&self, index: usize) -> u8 {
        self.memory.get(index).copied().unwrap_or(0xFF)
    }

    fn set_register(&mut self, index: usize, value: u8) {
        if let Some(byte) = self.memory.get_mut(index) {
            *byte = value;
        }
    }

    fn has(&self, status_b: u8) -> bool {
        self.register(STATUS_B) & status_b != 0
    }

    /// A number as the registers show it: BCD unless status B says binary.
    fn encode(&self, field: Field, value: u8) -> u8 {
        let digits = |value: u8| match self.has(B_BINARY) {
            true => value,
            false => ((value / 10) << 4) | (value % 10),
        };
        if field != Field::Hour || self.has(B_24_HOURS) {
            return digits(value);
        }
        let afternoon = if value >= 12 { 0x80 } else { 0 };
        digits((value + 11) % 12 + 1) | afternoon
    }

    fn decode(&self, field: Field, value: u8) -> u8 {
        let number = |value: u8| match self.has(B_BINARY) {
            true => value,
            false => (value >> 4) * 10 + (value & 0xF),
        };
        if field != Field::Hour || self.has(B_24_HOURS) {
            return number(value);
        }
        let afternoon = if value & 0x80 != 0 { 12 } else { 0 };
        number(value & 0x7F) % 12 + afternoon
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rtc: &mut Rtc, index: u8, now: u64) -> u8 {
        rtc.select(index);
        rtc.read(now)
    }

    fn write(rtc: &mut Rtc, index: usize, value: u8, now: u64) {
        rtc.select(index as u8);
        rtc.write(value, now);
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
        write(&mut rtc, STATUS_B, B_BINARY, 0);
        assert_eq!(read(&mut rtc, 2, 0), 45);
        assert_eq!(read(&mut rtc, 4, 0), 0x81);
        assert_eq!(read(&mut rtc, 9, 0), 70);
        write(&mut rtc, 4, 0x8C, 0);
        assert_eq!(read(&mut rtc, 4, 0), 0x8C);
        write(&mut rtc, STATUS_B, B_BINARY | B_24_HOURS, 0);
        assert_eq!(read(&mut rtc, 4, 0), 12);
    }

    #[test]
    fn the_date_can_be_set() {
        let mut rtc = Rtc::new(0);
        let at = 5 * CYCLES_PER_SECOND;
        write(&mut rtc, STATUS_B, B_SET | B_24_HOURS, at);
        for (index, value) in [
            (0x32, 0x19),
            (9, 0x99),
            (8, 0x12),
            (7, 0x31),
            (4, 0x23),
            (2, 0x59),
            (0, 0x59),
        ] {
            write(&mut rtc, index, value, 9 * CYCLES_PER_SECOND);
        }
        assert_eq!(read(&mut rtc, 0, 20 * CYCLES_PER_SECOND), 0x59);
        write(&mut rtc, STATUS_B, B_24_HOURS, 20 * CYCLES_PER_SECOND);
        let got = [0x32, 9, 8, 7, 0].map(|index| read(&mut rtc, index, 21 * CYCLES_PER_SECOND));
        assert_eq!(got, [0x20, 0x00, 0x01, 0x01, 0x00]);
    }

    #[test]
    fn it_warns_before_the_date_changes() {
        let mut rtc = Rtc::new(0);
        let second = 3 * CYCLES_PER_SECOND;
        assert_eq!(read(&mut rtc, 0x0A, second - UPDATE_WARNING - 1), 0x26);
        assert_eq!(read(&mut rtc, 0x0A, second - 1), 0xA6);
        assert_eq!(read(&mut rtc, 0x0A, second), 0x26);
    }

    #[test]
    fn periodic_interrupts_wait_for_their_answer() {
        let mut rtc = Rtc::new(0);
        write(&mut rtc, STATUS_B, B_24_HOURS | C_PERIODIC, 0);
        // 1024 a second.
        assert_eq!(rtc.deadline(), Some(976_563));
        rtc.advance(976_562);
        assert!(!rtc.wants_interrupt());
        rtc.advance(976_563);
        assert!(rtc.wants_interrupt());
        assert_eq!(rtc.deadline(), None);
        assert_eq!(read(&mut rtc, 0x0C, 1_000_000), 0xC0);
        assert!(!rtc.wants_interrupt());
        assert_eq!(rtc.deadline(), Some(1_953_125));
    }

    #[test]
    fn flags_come_up_whether_or_not_they_interrupt() {
        let mut rtc = Rtc::new(0);
        write(&mut rtc, STATUS_A, 0x20, 0);
        assert_eq!(read(&mut rtc, 0x0C, 999_999_999), 0);
        // The alarm's registers are zero: midnight.
        assert_eq!(read(&mut rtc, 0x0C, CYCLES_PER_SECOND), C_UPDATED);
    }

    #[test]
    fn the_alarm_knows_its_time() {
        let mut rtc = Rtc::new(0);
        for (index, value) in [(1, 0x30), (3, 0x01), (5, 0xFF)] {
            write(&mut rtc, index, value, 0);
        }
        write(&mut rtc, STATUS_B, B_24_HOURS | C_ALARM, 0);
        assert_eq!(rtc.deadline(), Some(90 * CYCLES_PER_SECOND));
        rtc.advance(90 * CYCLES_PER_SECOND);
        assert_eq!(read(&mut rtc, 0x0C, 90 * CYCLES_PER_SECOND) & 0xA0, 0xA0);
        assert_eq!(rtc.deadline(), Some(3690 * CYCLES_PER_SECOND));
    }
}
