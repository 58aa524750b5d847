//! The From_ line: `From sender@example.org Tue Jan  2 03:04:05 2001`, the postmark before each message of an mbox.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What stands for a sender that is not known, or whose address is of no use.
const UNKNOWN: &str = "foo@bar";
/// What `From_` lines begin with.
pub(crate) const MARK: &[u8] = b"From ";

/// A From_ line to be written before a message.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use maildrop::FromLine;
///
/// let line = FromLine::new(b"a@example.org", UNIX_EPOCH + Duration::from_secs(978_404_645), 0);
/// assert_eq!(line.as_bytes(), b"From a@example.org  Tue Jan  2 03:04:05 2001\n");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct FromLine(Vec<u8>);

impl FromLine {
    /// The line for a sender and a time. The date is written in the zone that is `utc_offset` seconds east of Greenwich:
    /// readers expect local time. White space and control characters in the sender become dashes, and an empty one
    /// becomes `foo@bar`. Two blanks
    /// stand before the date, as with procmail and sendmail.
    pub fn new(sender: &[u8], time: SystemTime, utc_offset: i32) -> FromLine {
        let mut line = MARK.to_vec();
        if sender.is_empty() {
            line.extend_from_slice(UNKNOWN.as_bytes());
        }
        line.extend(sender.iter().map(|&b| if b <= b' ' || b == 0x7f { b'-' } else { b }));
        line.extend_from_slice(b"  ");
        line.extend_from_slice(asctime(time, utc_offset).as_bytes());
        line.push(b'\n');
        FromLine(line)
    }

    /// The whole line, LF included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Octets of the From_ line that `message` begins with: the line itself, and lines behind it that begin with `>From `,
    /// which hold older ones. Zero if there is none.
    ///
    /// ```
    /// use maildrop::FromLine;
    ///
    /// let message = b"From a@b Tue Jan  2 03:04:05 2001\n>From root\nSubject: x\n\n";
    /// assert_eq!(&message[FromLine::length_in(message)..], b"Subject: x\n\n");
    /// assert_eq!(FromLine::length_in(b"From: a@b\n\n"), 0);
    /// ```
    pub fn length_in(message: &[u8]) -> usize {
        let mut length = 0;
        while message[length..].starts_with(if length == 0 { MARK } else { b">From " }) {
            length = memchr::memchr(b'\n', &message[length..]).map_or(message.len(), |at| length + at + 1);
        }
        length
    }
}

impl fmt::Debug for FromLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FromLine(\"{}\")", self.0.escape_ascii())
    }
}

/// Whether a line begins a message: `From `, and somewhere behind it a date as asctime(3) writes it, perhaps without seconds
/// or with a zone, or with the day before the month. So mutt and Dovecot tell From_ lines from others.
pub(crate) fn is_from_line(line: &[u8]) -> bool {
    FromDate::of(line).is_some()
}

/// Words of a From_ line that are looked at.
const MOST_WORDS: usize = 64;

/// The date of a From_ line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FromDate {
    /// Since 1970, by the clock that the date was read from.
    seconds: i64,
    /// Seconds east of Greenwich, if the line says so.
    zone: Option<i32>,
}

impl FromDate {
    /// The first date in a line that begins with `From `.
    pub(crate) fn of(line: &[u8]) -> Option<FromDate> {
        let rest = line.strip_prefix(MARK)?;
        let words: Vec<&[u8]> =
            rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).take(MOST_WORDS).collect();
        (0..words.len()).find_map(|at| FromDate::parse(&words[at..]))
    }

    /// The time, where lines that name no zone are of the one that is `utc_offset` seconds east of Greenwich.
    pub(crate) fn time(self, utc_offset: i32) -> Option<SystemTime> {
        let seconds = self.seconds - i64::from(self.zone.unwrap_or(utc_offset));
        let apart = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { UNIX_EPOCH.checked_sub(apart) } else { UNIX_EPOCH.checked_add(apart) }
    }

    fn parse(words: &[&[u8]]) -> Option<FromDate> {
        let [weekday, a, b, c, rest @ ..] = words else { return None };
        let weekday = weekday.strip_suffix(b",").unwrap_or(weekday);
        if !DAYS.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(weekday)) {
            return None;
        }
        let rest = &rest[..rest.len().min(3)];
        if let (Some(month), Some(day), Some(time)) = (month(a), day(b), time_of_day(c)) {
            // A zone may stand before the year, or behind it.
            let at = rest.iter().position(|word| year(word).is_some())?;
            let zone = rest[..at].iter().chain(rest[at + 1..].first()).find_map(|word| zone(word));
            let seconds = days_of(year(rest[at])?, month, day) * 86_400 + time;
            return Some(FromDate { seconds, zone });
        }
        let (day, month, year) = (day(a)?, month(b)?, year(c)?);
        let seconds = days_of(year, month, day) * 86_400 + time_of_day(rest.first()?)?;
        Some(FromDate { seconds, zone: rest.get(1).and_then(|word| zone(word)) })
    }
}

fn number(word: &[u8], range: RangeInclusive<i64>) -> Option<i64> {
    let digits = word.len() <= 4 && word.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(word).ok().filter(|_| digits)?.parse().ok()?;
    range.contains(&number).then_some(number)
}

fn day(word: &[u8]) -> Option<i64> {
    number(word, 1..=31).filter(|_| word.len() <= 2)
}

/// Counted from 0.
fn month(word: &[u8]) -> Option<i64> {
    let at = MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word))?;
    i64::try_from(at).ok()
}

fn year(word: &[u8]) -> Option<i64> {
    number(word, 1..=9999).filter(|_| word.len() == 4)
}

fn time_of_day(word: &[u8]) -> Option<i64> {
    let mut parts = word.split(|&byte| byte == b':');
    let mut part = |most| number(parts.next()?, 0..=most);
    let (hour, minute) = (part(23)?, part(59)?);
    let second = match parts.next() {
        Some(second) => number(second, 0..=60)?,
        None => 0,
    };
    let short = word.split(|&byte| byte == b':').all(|part| part.len() <= 2);
    (short && parts.next().is_none()).then_some(hour * 3600 + minute * 60 + second)
}

/// Names of zones mean this here and that there, but for one.
fn zone(word: &[u8]) -> Option<i32> {
    if [b"GMT".as_slice(), b"UTC", b"UT", b"Z"].contains(&word) {
        return Some(0);
    }
    let (sign, digits) = word.split_first()?;
    let number = number(digits, 0..=2400).filter(|_| digits.len() == 4)?;
    let seconds = i32::try_from(number / 100 * 3600 + number % 100 * 60).ok()?;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// Days from 1970 to a day, with months counted from 0.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // As in `asctime`: years begin in March.
    let year = year - i64::from(month < 2);
    let day_of_year = (153 * ((month + 10) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time as asctime(3) writes it.
fn asctime(time: SystemTime, utc_offset: i32) -> String {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 2),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX / 2),
    };
    let seconds = seconds.saturating_add(i64::from(utc_offset));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March end with the leap day. 719468 days lie between 1 March of the year 0 and 1970.
    let (era, day_of_era) = ((days + 719_468).div_euclid(146_097), (days + 719_468).rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = era * 400 + year_of_era + i64::from(month < 2);
    format!(
        "{} {} {day:2} {:02}:{:02}:{:02} {year}",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS[month as usize],
        second / 3600,
        second / 60 % 60,
        second % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_asctime() {
        // (seconds, offset, date)
        let table = [
            (0, 0, "Thu Jan  1 00:00:00 1970"),
            (951_782_399, 0, "Mon Feb 28 23:59:59 2000"),
            (951_782_400, 0, "Tue Feb 29 00:00:00 2000"),
            (978_404_645, 0, "Tue Jan  2 03:04:05 2001"),
            (978_404_645, -5 * 3600, "Mon Jan  1 22:04:05 2001"),
            (4_107_542_400, 0, "Mon Mar  1 00:00:00 2100"),
            (1_709_164_800, 0, "Thu Feb 29 00:00:00 2024"),
            (1_735_689_599, 3600, "Wed Jan  1 00:59:59 2025"),
        ];
        for (seconds, offset, date) in table {
            assert_eq!(asctime(UNIX_EPOCH + Duration::from_secs(seconds), offset), date);
        }
        assert_eq!(asctime(UNIX_EPOCH - Duration::from_secs(1), 0), "Wed Dec 31 23:59:59 1969");
    }

    #[test]
    fn no_sender_breaks_the_line() {
        let line = |sender: &[u8]| {
            let line = FromLine::new(sender, UNIX_EPOCH, 0);
            String::from_utf8(line.0).unwrap().replace("  Thu Jan  1 00:00:00 1970\n", "")
        };
        assert_eq!(line(b""), "From foo@bar");
        assert_eq!(line(b"a b@c\nFrom x"), "From a-b@c-From-x");
    }

    #[test]
    fn a_line_begins_a_message_only_with_a_date() {
        let table = [
            ("From a@b Tue Jan  2 03:04:05 2001", true),
            ("From a@b  Tue Jan  2 03:04:05 2001\r", true),
            ("From a@b Tue Jan 2 03:04 2001", true),
            ("From a@b Tue Jan  2 03:04:05 CET 2001", true),
            ("From a@b Tue Jan  2 03:04:05 2001 +0100", true),
            ("From a@b Tue Jan  2 03:04:05 MET DST 2001", true),
            ("From a b@c \"x y\" Tue Jan  2 03:04:05 2001 remote from host", true),
            ("From a@b Tue, 2 Jan 2001 03:04:05 +0100", true),
            ("From - Tue Jan  2 03:04:05 2001", true),
            ("From  Tue Jan  2 03:04:05 2001", true),
            ("From Tue Tue Jan  2 03:04:05 2001", true),
            ("From me to you", false),
            ("From Tuesday on", false),
            ("From a@b Tue Jan 32 03:04:05 2001", false),
            ("From a@b Tue Jan  2 24:04:05 2001", false),
            ("From a@b Tue Jan  2 03:04:05 01", false),
            ("From a@b Jan  2 03:04:05 2001", false),
            (">From a@b Tue Jan  2 03:04:05 2001", false),
            ("From: a@b Tue Jan  2 03:04:05 2001", false),
            ("From ", false),
        ];
        for (line, expected) in table {
            assert_eq!(is_from_line(line.as_bytes()), expected, "{line}");
        }
        for seconds in [0, 951_782_399, 4_107_542_400] {
            let line = FromLine::new(b"x y", UNIX_EPOCH + Duration::from_secs(seconds), 0);
            assert!(is_from_line(line.as_bytes()));
        }
    }

    #[test]
    fn the_date_of_a_line_is_that_of_its_zone_or_of_the_one_that_is_given() {
        // (line, seconds, those in a zone an hour east)
        let table = [
            ("From a@b Tue Jan  2 03:04:05 2001", 978_404_645, 978_401_045),
            ("From a@b Tue Jan 2 03:04 2001", 978_404_640, 978_401_040),
            ("From a@b Tue Jan  2 03:04:05 UTC 2001", 978_404_645, 978_404_645),
            ("From a@b Tue Jan  2 03:04:05 2001 +0100", 978_401_045, 978_401_045),
            ("From a@b Tue Jan  2 03:04:05 -0530 2001", 978_424_445, 978_424_445),
            ("From a@b Tue Jan  2 03:04:05 CET 2001", 978_404_645, 978_401_045),
            ("From - Tue, 2 Jan 2001 03:04:05 +0100", 978_401_045, 978_401_045),
            ("From a@b Thu Jan  1 00:00:00 1970", 0, -3600),
        ];
        for (line, seconds, east) in table {
            let date = FromDate::of(line.as_bytes()).unwrap();
            let since = |time: SystemTime| match time.duration_since(UNIX_EPOCH) {
                Ok(since) => since.as_secs() as i64,
                Err(before) => -(before.duration().as_secs() as i64),
            };
            let found = [0, 3600].map(|offset| since(date.time(offset).unwrap()));
            assert_eq!(found, [seconds, east], "{line}");
        }
        for days in (-200_000..700_000).step_by(97) {
            let seconds = days * 86_400 + 12_345;
            let time = FromDate { seconds, zone: None }.time(0).unwrap();
            assert_eq!(FromDate::of(FromLine::new(b"a", time, 0).as_bytes()).unwrap().seconds, seconds);
        }
    }

    #[test]
    fn only_lines_at_the_start_are_from_lines() {
        // (message, length)
        let table: [(&[u8], usize); 6] = [
            (b"", 0),
            (b"From ", 5),
            (b"From a\n", 7),
            (b"From a\n>From b\n>From c\nx", 23),
            (b"From a\nFrom b\n", 7),
            (b">From a\n", 0),
        ];
        for (message, length) in table {
            assert_eq!(FromLine::length_in(message), length, "{}", message.escape_ascii());
        }
    }
}
