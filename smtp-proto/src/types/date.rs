//! Dates without a clock: an instant in UTC seconds with an offset, read and written as RFC 3339 (RRVS, HOLDUNTIL) and
//! written as RFC 5322 (trace fields).

use core::fmt;

/// A date and time with its offset from UTC, from year 0 to 9999.
///
/// ```
/// use smtp_proto::types::DateTime;
///
/// let date = DateTime::parse_rfc3339("2026-11-22T23:51:00+01:00")?;
/// assert_eq!(date.unix(), 1_795_387_860);
/// assert_eq!(date.rfc5322().to_string(), "Sun, 22 Nov 2026 23:51:00 +0100");
/// assert_eq!(date.to_string(), "2026-11-22T23:51:00+01:00");
/// # Ok::<(), smtp_proto::types::DateError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    unix: i64,
    offset_minutes: i16,
}

/// The text is no date-time of RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a date-time such as 2026-11-22T23:51:00Z (RFC 3339)")]
pub struct DateError;

const DAY: i64 = 86_400;
/// 0000-01-01 and 9999-12-31T23:59:59, in seconds since 1970.
const RANGE: core::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

impl DateTime {
    /// The instant `unix` seconds after 1970-01-01T00:00:00Z, shown in UTC. Clamped to years 0 to 9999.
    pub fn from_unix(unix: i64) -> Self {
        Self { unix: unix.clamp(*RANGE.start() + DAY, *RANGE.end() - DAY), offset_minutes: 0 }
    }

    /// The same instant, shown at an offset from UTC; clamped to a day either way.
    pub fn with_offset_minutes(self, minutes: i16) -> Self {
        Self { offset_minutes: minutes.clamp(-1439, 1439), ..self }
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix(self) -> i64 {
        self.unix
    }

    /// Parses `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`. The fraction is dropped, a leap second counts as the second
    /// before it.
    ///
    /// # Errors
    ///
    /// If the text has another form or names a date that does not exist.
    pub fn parse_rfc3339(text: &str) -> Result<Self, DateError> {
        parse(text.as_bytes()).ok_or(DateError)
    }

    /// Shows the date as a `Date` or `Received` field has it (RFC 5322 §3.3).
    pub fn rfc5322(self) -> impl fmt::Display {
        Rfc5322(self)
    }

    fn fields(self) -> Fields {
        let local = self.unix + i64::from(self.offset_minutes) * 60;
        let (days, seconds) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        Fields {
            year,
            month,
            day,
            weekday: (days + 4).rem_euclid(7),
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            sign: if self.offset_minutes < 0 { '-' } else { '+' },
            offset: self.offset_minutes.unsigned_abs(),
        }
    }
}

struct Fields {
    year: i64,
    month: i64,
    day: i64,
    weekday: i64,
    hour: i64,
    minute: i64,
    second: i64,
    sign: char,
    offset: u16,
}

/// RFC 3339.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fields { year, month, day, hour, minute, second, sign, offset, .. } = self.fields();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if offset == 0 { f.write_str("Z") } else { write!(f, "{sign}{:02}:{:02}", offset / 60, offset % 60) }
    }
}

struct Rfc5322(DateTime);

impl fmt::Display for Rfc5322 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let Fields { year, month, day, weekday, hour, minute, second, sign, offset } = self.0.fields();
        let (weekday, month) = (DAYS[weekday as usize % 7], MONTHS[(month - 1) as usize % 12]);
        write!(f, "{weekday}, {day} {month} {year:04} {hour:02}:{minute:02}:{second:02} ")?;
        write!(f, "{sign}{:02}{:02}", offset / 60, offset % 60)
    }
}

/// Days since 1970-01-01 as (year, month, day) of the Gregorian calendar: eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn parse(text: &[u8]) -> Option<DateTime> {
    let number = |range: core::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0')))
    };
    let is = |at: usize, byte: u8| text.get(at).is_some_and(|b| b.eq_ignore_ascii_case(&byte));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':')) {
        return None;
    }
    let mut at = 19;
    if is(at, b'.') {
        let fraction = text[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    let offset_minutes = match text.get(at)? {
        b'Z' | b'z' if text.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == at + 6 && is(at + 3, b':') => {
            let (hours, minutes) = (number(at + 1..at + 3)?, number(at + 4..at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            i16::try_from(if *sign == b'-' { -offset } else { offset }).ok()?
        }
        _ => return None,
    };
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let date = days(year, month, day);
    if civil(date) != (year, month, day) {
        return None;
    }
    let unix = date * DAY + hour * 3600 + minute * 60 + second.min(59) - i64::from(offset_minutes) * 60;
    Some(DateTime { unix, offset_minutes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for text in [
            "",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+0100",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00ZZ",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:00+24:00",
        ] {
            assert_eq!(DateTime::parse_rfc3339(text), Err(DateError), "{text}");
        }
        for (text, unix) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00.5-00:30", 951_827_400),
            ("2016-12-31T23:59:60Z", 1_483_228_799),
        ] {
            assert_eq!(DateTime::parse_rfc3339(text).map(DateTime::unix), Ok(unix), "{text}");
        }
    }

    #[test]
    fn trace_dates_have_the_right_weekday_and_offset() {
        let date = DateTime::from_unix(951_827_400).with_offset_minutes(-90);
        assert_eq!(date.rfc5322().to_string(), "Tue, 29 Feb 2000 11:00:00 -0130");
    }

    proptest! {
        #[test]
        fn rfc3339_round_trips(unix in -62_000_000_000i64..253_000_000_000, offset in -1439i16..=1439) {
            let date = DateTime::from_unix(unix).with_offset_minutes(offset);
            prop_assert_eq!(DateTime::parse_rfc3339(&date.to_string()), Ok(date));
        }
    }
}
