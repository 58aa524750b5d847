//! [`Date`] and [`DateTime`], as SEARCH and INTERNALDATE have them.

use core::fmt;

/// The names of the months (RFC 9051 §9, date-month).
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A day of the Gregorian calendar, in the years 1 to 9999.
///
/// ```
/// use imap_proto::types::Date;
///
/// let date = Date::new(1994, 2, 1).unwrap();
/// assert_eq!(date.to_string(), "1-Feb-1994");
/// assert_eq!(Date::new(2025, 2, 29), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// A day that exists, with the month from 1.
    pub const fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        if year == 0 || year > 9999 || month == 0 || month > 12 || day == 0 || day > days_of(year, month) {
            return None;
        }
        Some(Self { year, month, day })
    }

    /// The year, 1 to 9999.
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The month, 1 to 12.
    pub const fn month(self) -> u8 {
        self.month
    }

    /// The day of the month, from 1.
    pub const fn day(self) -> u8 {
        self.day
    }

    /// The name of the month, as it is written.
    pub fn month_name(self) -> &'static str {
        MONTHS[usize::from(self.month) - 1]
    }

    /// The number of a month by its name, in any letter case.
    pub fn month_by_name(name: &[u8]) -> Option<u8> {
        let at = MONTHS.iter().position(|month| name.eq_ignore_ascii_case(month.as_bytes()))?;
        Some(at as u8 + 1)
    }

    /// Days since the first of January 1970.
    pub const fn to_days(self) -> i64 {
        // Years begin in March, so that the leap day is the last; eras are of 400 years.
        let (year, month) = (self.year as i64, self.month as i64);
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let of_year = (153 * month + 2) / 5 + self.day as i64 - 1;
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// From the days since the first of January 1970; `None` outside the years that can be written.
    pub const fn from_days(days: i64) -> Option<Self> {
        let Some(days) = days.checked_add(719_468) else { return None };
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + of_era + next;
        if year < 1 || year > 9999 {
            return None;
        }
        Self::new(year as u16, month as u8, day as u8)
    }
}

const fn days_of(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// As a SEARCH key has it: `1-Feb-1994`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:04}", self.day, self.month_name(), self.year)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A moment with the zone in which it was told, as INTERNALDATE has it.
///
/// ```
/// use imap_proto::types::{Date, DateTime};
///
/// let date = Date::new(1996, 7, 17).unwrap();
/// let moment = DateTime::new(date, (2, 44, 25), -7 * 60).unwrap();
/// assert_eq!(moment.to_string(), "17-Jul-1996 02:44:25 -0700");
/// assert_eq!(moment.to_unix(), 837_596_665);
/// assert_eq!(DateTime::from_unix(837_596_665, -7 * 60), Some(moment));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    date: Date,
    hour: u8,
    minute: u8,
    second: u8,
    /// Minutes east of Greenwich.
    zone: i16,
}

impl DateTime {
    /// A moment: the day, then hour, minute and second (up to 60, for leap seconds), and the minutes by which its zone is
    /// east of Greenwich, less than 100 hours either way.
    pub const fn new(date: Date, (hour, minute, second): (u8, u8, u8), zone: i16) -> Option<Self> {
        if hour > 23 || minute > 59 || second > 60 || zone.unsigned_abs() >= 100 * 60 {
            return None;
        }
        Some(Self { date, hour, minute, second, zone })
    }

    /// The day, in its zone. SEARCH BEFORE, ON and SINCE go by it (RFC 9051 §6.4.4).
    pub const fn date(self) -> Date {
        self.date
    }

    /// Hour, minute and second, in its zone.
    pub const fn time(self) -> (u8, u8, u8) {
        (self.hour, self.minute, self.second)
    }

    /// Minutes by which its zone is east of Greenwich.
    pub const fn zone(self) -> i16 {
        self.zone
    }

    /// Seconds since 1970 began at Greenwich.
    pub const fn to_unix(self) -> i64 {
        let minutes =
            (self.date.to_days() * 24 + self.hour as i64) * 60 + self.minute as i64 - self.zone as i64;
        minutes * 60 + self.second as i64
    }

    /// The moment so many seconds after 1970 began at Greenwich, told in a zone; `None` outside the years that can be
    /// written.
    pub const fn from_unix(seconds: i64, zone: i16) -> Option<Self> {
        let Some(local) = seconds.checked_add(zone as i64 * 60) else { return None };
        let Some(date) = Date::from_days(local.div_euclid(86_400)) else { return None };
        let second = local.rem_euclid(86_400);
        Self::new(date, ((second / 3600) as u8, (second / 60 % 60) as u8, (second % 60) as u8), zone)
    }
}

/// As INTERNALDATE has it, without the quotes: `17-Jul-1996 02:44:25 -0700`, the day with a space before it if need be.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, zone) = (self.date, self.zone.unsigned_abs());
        let sign = if self.zone < 0 { '-' } else { '+' };
        write!(f, "{:2}-{}-{:04} ", date.day, date.month_name(), date.year)?;
        write!(
            f,
            "{:02}:{:02}:{:02} {sign}{:02}{:02}",
            self.hour,
            self.minute,
            self.second,
            zone / 60,
            zone % 60
        )
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_over_all_years() {
        assert_eq!(Date::new(1970, 1, 1).unwrap().to_days(), 0);
        assert_eq!(Date::new(2000, 2, 29).unwrap().to_days(), 11_016);
        let first = Date::new(1, 1, 1).unwrap().to_days();
        let last = Date::new(9999, 12, 31).unwrap().to_days();
        let mut before = None;
        for days in first..=last {
            let date = Date::from_days(days).unwrap();
            assert_eq!(date.to_days(), days);
            assert!(before < Some(date), "{date}");
            before = Some(date);
        }
        assert_eq!((Date::from_days(first - 1), Date::from_days(last + 1)), (None, None));
        assert_eq!((Date::from_days(i64::MAX), Date::from_days(i64::MIN)), (None, None));
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        for (year, month, day) in
            [(0, 1, 1), (10_000, 1, 1), (2000, 0, 1), (2000, 13, 1), (2000, 4, 31), (1900, 2, 29)]
        {
            assert_eq!(Date::new(year, month, day), None, "{year} {month} {day}");
        }
        let date = Date::new(2000, 1, 1).unwrap();
        for (time, zone) in
            [((24, 0, 0), 0), ((0, 60, 0), 0), ((0, 0, 61), 0), ((0, 0, 0), 6000), ((0, 0, 0), -6000)]
        {
            assert_eq!(DateTime::new(date, time, zone), None);
        }
    }

    #[test]
    fn moments_are_the_same_in_each_zone() {
        for zone in [0, 330, -570, 5999, -5999] {
            for seconds in [0, -1, 951_782_399, 951_782_400, 253_000_000_000] {
                let moment = DateTime::from_unix(seconds, zone).unwrap();
                assert_eq!((moment.to_unix(), moment.zone()), (seconds, zone));
            }
        }
        assert_eq!(DateTime::from_unix(0, -570).unwrap().to_string(), "31-Dec-1969 14:30:00 -0930");
        assert_eq!(DateTime::from_unix(0, 0).unwrap().to_string(), " 1-Jan-1970 00:00:00 +0000");
        assert_eq!((DateTime::from_unix(i64::MAX, 0), DateTime::from_unix(i64::MIN, -1)), (None, None));
    }
}
