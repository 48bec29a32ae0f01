//! Dates by the proleptic Gregorian calendar, in the fields of a clock's registers.

use serde::{Deserialize, Serialize};

const DAYS_PER_ERA: u64 = 146_097;
/// Days from 1 March of year 0 to 1 January 1970.
const DAYS_BEFORE_1970: u64 = 719_468;
const SECONDS_PER_DAY: u64 = 86_400;

/// A register that shows a part of the date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Second,
    Minute,
    Hour,
    Weekday,
    Day,
    Month,
    /// Year of the century.
    Year,
    Century,
}

impl Field {
    /// The alarm's registers, what they are compared with, and for how many
    /// seconds that stays the same.
    pub(super) const ALARMS: [(usize, Field, u64); 3] = [
        (5, Field::Hour, 3600),
        (3, Field::Minute, 60),
        (1, Field::Second, 1),
    ];

    /// The field of a register.
    pub(super) fn at(index: usize) -> Option<Field> {
        Some(match index {
            0 => Field::Second,
            2 => Field::Minute,
            4 => Field::Hour,
            6 => Field::Weekday,
            7 => Field::Day,
            8 => Field::Month,
            9 => Field::Year,
            0x32 => Field::Century,
            _ => return None,
        })
    }
}

/// A date and a time of day (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Date {
    year: u64,
    month: u8,
    day: u8,
    weekday: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl Date {
    /// The date of a Unix time.
    pub(super) fn at(seconds: u64) -> Self {
        let days = seconds / SECONDS_PER_DAY;
        let time = seconds % SECONDS_PER_DAY;
        // Count from 1 March of year 0, so that the leap day ends a year.
        let shifted = days + DAYS_BEFORE_1970;
        let era = shifted / DAYS_PER_ERA;
        let day_of_era = shifted % DAYS_PER_ERA;
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

    /// The Unix time of this date; what lies before 1970 becomes 1970.
    pub(super) fn seconds(&self) -> u64 {
        let month = u64::from(self.month.clamp(1, 12));
        let year = self.year.saturating_sub(u64::from(month <= 2));
        let (era, year_of_era) = (year / 400, year % 400);
        let month_from_march = (month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + u64::from(self.day.max(1)) - 1;
        // Nothing overflows: `set` leaves four digits of the year.
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = (era * DAYS_PER_ERA + day_of_era).saturating_sub(DAYS_BEFORE_1970);
        let time =
            u64::from(self.hour) * 3600 + u64::from(self.minute) * 60 + u64::from(self.second);
        days * SECONDS_PER_DAY + time
    }

    pub(super) fn get(&self, field: Field) -> u8 {
        match field {
            Field::Second => self.second,
            Field::Minute => self.minute,
            Field::Hour => self.hour,
            Field::Weekday => self.weekday,
            Field::Day => self.day,
            Field::Month => self.month,
            Field::Year => (self.year % 100) as u8,
            Field::Century => (self.year / 100 % 100) as u8,
        }
    }

    pub(super) fn set(&mut self, field: Field, value: u8) {
        match field {
            Field::Second => self.second = value,
            Field::Minute => self.minute = value,
            Field::Hour => self.hour = value,
            // It follows from the date.
            Field::Weekday => {}
            Field::Day => self.day = value,
            Field::Month => self.month = value,
            Field::Year => self.year = self.year / 100 % 100 * 100 + u64::from(value),
            Field::Century => self.year = u64::from(value) * 100 + self.year % 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_comes_back() {
        for day in (0..200_000).chain(2_900_000..2_900_400) {
            let seconds = day * SECONDS_PER_DAY + day % SECONDS_PER_DAY;
            assert_eq!(Date::at(seconds).seconds(), seconds);
        }
    }
}
