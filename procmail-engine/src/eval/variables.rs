//! Variables, and the numbers that some of them stand for.

use std::collections::BTreeMap;

/// The variables of a run; all are exported to programs.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What some count as while nothing has been assigned to them, whatever their value; nothing is as if unset.
    settings: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// How many bytes all names and values have.
    size: usize,
}

impl Variables {
    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(name).map(Vec::as_slice)
    }

    /// What the variable says of how to go about things: its value, if it has not only been inherited.
    pub(super) fn setting(&self, name: &str) -> Option<&[u8]> {
        match self.settings.get(name.as_bytes()) {
            Some(setting) => setting.as_deref(),
            None => self.get(name.as_bytes()),
        }
    }

    /// The same, or nothing.
    pub(super) fn value(&self, name: &str) -> &[u8] {
        self.setting(name).unwrap_or_default()
    }

    /// Has a variable count as this until something is assigned to it.
    pub(super) fn count_as(&mut self, name: &[u8], setting: Option<Vec<u8>>) {
        self.settings.insert(name.to_vec(), setting);
    }

    /// As [`Variables::set`], with what can be kept.
    pub(super) fn put(&mut self, name: Vec<u8>, value: Vec<u8>) {
        self.settings.remove(&name);
        self.inherit(name, value);
    }

    /// Sets a variable without changing what it counts as.
    pub(super) fn inherit(&mut self, name: Vec<u8>, value: Vec<u8>) {
        self.size += name.len() + value.len();
        let length = name.len();
        if let Some(before) = self.values.insert(name, value) {
            self.size -= length + before.len();
        }
    }

    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        self.settings.remove(name);
        self.size += value.len();
        match self.values.get_mut(name) {
            Some(before) => {
                self.size -= before.len();
                value.clone_into(before);
            }
            None => {
                self.size += name.len();
                self.values.insert(name.to_vec(), value.to_vec());
            }
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        self.settings.remove(name);
        if let Some(value) = self.values.remove(name) {
            self.size -= name.len() + value.len();
        }
    }

    /// How many bytes all names and values have.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn export(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.values.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// What `LINEBUF` can be at least.
pub(super) const MIN_LINE: usize = 128;
/// What `LINEBUF` can be at most.
const MAX_LINE: usize = 1 << 20;

/// The longest wait, in seconds: a year.
const MAX_WAIT: u64 = 365 * 24 * 60 * 60;

/// The variables that are read as numbers, with their defaults.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub(super) verbose: bool,
    pub(super) line_buffer: usize,
    pub(super) timeout: u64,
    pub(super) lock_sleep: u64,
    pub(super) lock_timeout: u64,
    pub(super) suspend: u64,
    pub(super) retries: i64,
    pub(super) log_abstract: i64,
    pub(super) delivered: bool,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            verbose: false,
            line_buffer: 2048,
            timeout: 960,
            lock_sleep: 8,
            lock_timeout: 1024,
            suspend: 16,
            retries: 4,
            log_abstract: -1,
            delivered: false,
        }
    }
}

/// A number as procmail reads it: digits, or the first letters of a word for yes, no or all; else what it was.
pub(super) fn number(text: &[u8], before: i64) -> i64 {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text.first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.first().is_some_and(u8::is_ascii_digit) {
        let value = digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .fold(0i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
        return sign * value;
    }
    let lower: Vec<u8> = text.iter().take(2).map(u8::to_ascii_lowercase).collect();
    match lower.as_slice() {
        [b'a', ..] => 2,
        [b'o', b'n', ..] | [b'y' | b't' | b'e', ..] => 1,
        [b'o', b'f', ..] | [b'n' | b'f' | b'd', ..] => 0,
        _ => before,
    }
}

fn seconds(text: &[u8], before: u64) -> u64 {
    u64::try_from(number(text, i64::try_from(before).unwrap_or(i64::MAX))).unwrap_or(0).min(MAX_WAIT)
}

impl Numbers {
    /// Takes note of an assignment.
    pub(super) fn assigned(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"VERBOSE" => self.verbose = number(value, i64::from(self.verbose)) != 0,
            b"LINEBUF" => {
                self.line_buffer = usize::try_from(number(value, self.line_buffer as i64))
                    .unwrap_or(0)
                    .clamp(MIN_LINE, MAX_LINE);
            }
            b"TIMEOUT" => self.timeout = seconds(value, self.timeout),
            b"LOCKSLEEP" => self.lock_sleep = seconds(value, self.lock_sleep),
            b"LOCKTIMEOUT" => self.lock_timeout = seconds(value, self.lock_timeout),
            b"NORESRETRY" => self.retries = number(value, self.retries),
            b"SUSPEND" => self.suspend = seconds(value, self.suspend),
            b"LOGABSTRACT" => self.log_abstract = number(value, self.log_abstract),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_or_the_first_letters_of_a_word() {
        for (text, expected) in [
            ("12", 12),
            ("-3x", -3),
            ("yes", 1),
            ("ON", 1),
            ("off", 0),
            ("no", 0),
            ("all", 2),
            ("abc", 2),
            ("junk", 7),
            ("", 7),
            ("true", 1),
            ("d", 0),
        ] {
            assert_eq!(number(text.as_bytes(), 7), expected, "{text}");
        }
    }
}
