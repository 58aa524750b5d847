//! The text of a Maildir++ `maildirsize` file.
//!
//! Its first line defines the limits (`10000000S,1000C`: octets and messages). Each line after that is a change: octets
//! and messages added, or removed if negative; their sums are the usage. Programs append one line per change and rewrite
//! the file with a single sum when it grows long.

use std::fmt;
use std::str::FromStr;

/// The limits of a Maildir++ quota.
///
/// ```
/// use maildrop::QuotaLimits;
///
/// let limits: QuotaLimits = "10000000S,1000C".parse()?;
/// assert_eq!(limits, QuotaLimits { bytes: Some(10_000_000), messages: Some(1000) });
/// assert_eq!(limits.to_string(), "10000000S,1000C");
/// # Ok::<(), maildrop::QuotaLimitsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Octets of all messages together; none is no limit.
    pub bytes: Option<u64>,
    /// Number of messages; none is no limit.
    pub messages: Option<u64>,
}

/// A text that is no quota definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a quota definition like 10000000S,1000C")]
pub struct QuotaLimitsError;

/// What counts against a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaUsage {
    /// Octets of all messages together.
    pub bytes: u64,
    /// Number of messages.
    pub messages: u64,
}

/// The limits of a Maildir and how much of them is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// What may be used.
    pub limits: QuotaLimits,
    /// What is used.
    pub usage: QuotaUsage,
}

impl Quota {
    /// Whether one more message of `size` octets would go beyond a limit.
    pub fn would_exceed(&self, size: u64) -> bool {
        self.exceeded_by(QuotaUsage { bytes: size, messages: 1 })
    }

    pub(crate) fn exceeded_by(&self, more: QuotaUsage) -> bool {
        let over = |limit: Option<u64>, used: u64, more: u64| {
            limit.is_some_and(|limit| used.saturating_add(more) > limit)
        };
        over(self.limits.bytes, self.usage.bytes, more.bytes)
            || over(self.limits.messages, self.usage.messages, more.messages)
    }
}

impl QuotaUsage {
    pub(crate) fn add(&mut self, size: u64) {
        self.bytes = self.bytes.saturating_add(size);
        self.messages = self.messages.saturating_add(1);
    }
}

impl fmt::Display for QuotaLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bytes, self.messages) {
            (Some(bytes), Some(messages)) => write!(f, "{bytes}S,{messages}C"),
            (Some(bytes), None) => write!(f, "{bytes}S"),
            (None, Some(messages)) => write!(f, "{messages}C"),
            // Zero is no limit; an empty line would be no definition.
            (None, None) => f.write_str("0S"),
        }
    }
}

impl fmt::Display for QuotaUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}S,{}C", self.bytes, self.messages)
    }
}

impl FromStr for QuotaLimits {
    type Err = QuotaLimitsError;

    /// Reads a definition. A limit of zero is no limit, and kinds of limits unknown to this crate are passed over.
    fn from_str(text: &str) -> Result<QuotaLimits, QuotaLimitsError> {
        let mut limits = QuotaLimits::default();
        for part in text.split(',') {
            let kind = part.chars().next_back().filter(char::is_ascii_alphabetic).ok_or(QuotaLimitsError)?;
            let digits = &part[..part.len() - 1];
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(QuotaLimitsError);
            }
            let limit = digits.parse().map_err(|_| QuotaLimitsError)?;
            match kind {
                'S' => limits.bytes = Some(limit).filter(|&limit| limit > 0),
                'C' => limits.messages = Some(limit).filter(|&limit| limit > 0),
                _ => {}
            }
        }
        Ok(limits)
    }
}

/// What a `maildirsize` file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuotaFile {
    /// The first line as it stands, so that rewriting keeps kinds of limits unknown here.
    pub(crate) definition: String,
    pub(crate) limits: QuotaLimits,
    /// The sums; none if they are negative or a line makes no sense, so that they must be counted anew.
    pub(crate) usage: Option<QuotaUsage>,
    /// Lines behind the definition.
    pub(crate) changes: usize,
}

impl QuotaFile {
    pub(crate) fn parse(content: &[u8]) -> Result<QuotaFile, QuotaLimitsError> {
        let text = std::str::from_utf8(content).map_err(|_| QuotaLimitsError)?;
        let mut lines = text.lines();
        let definition = lines.next().unwrap_or_default().trim_end();
        let limits = definition.parse()?;
        let mut sums = Some((0_i64, 0_i64));
        let mut changes = 0;
        for line in lines {
            changes += 1;
            sums = sums.zip(parse_change(line)).and_then(|((bytes, messages), (more, count))| {
                Some((bytes.checked_add(more)?, messages.checked_add(count)?))
            });
        }
        let usage = sums.and_then(|(bytes, messages)| {
            Some(QuotaUsage { bytes: bytes.try_into().ok()?, messages: messages.try_into().ok()? })
        });
        Ok(QuotaFile { definition: definition.to_owned(), limits, usage, changes })
    }

    /// The text of a file with one sum.
    pub(crate) fn render(definition: &str, usage: QuotaUsage) -> String {
        format!("{definition}\n{} {}\n", usage.bytes, usage.messages)
    }
}

fn parse_change(line: &str) -> Option<(i64, i64)> {
    let mut numbers = line.split_ascii_whitespace();
    let change = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    numbers.next().is_none().then_some(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn definitions_are_read_and_written() {
        let limits = |bytes, messages| Ok(QuotaLimits { bytes, messages });
        let table = [
            ("10000000S,1000C", limits(Some(10_000_000), Some(1000))),
            ("1000C,10S", limits(Some(10), Some(1000))),
            ("5S", limits(Some(5), None)),
            ("5C", limits(None, Some(5))),
            ("0S,0C", limits(None, None)),
            ("5S,3X", limits(Some(5), None)),
            ("", Err(QuotaLimitsError)),
            ("S", Err(QuotaLimitsError)),
            ("5", Err(QuotaLimitsError)),
            ("-5S", Err(QuotaLimitsError)),
            ("+5S", Err(QuotaLimitsError)),
            ("5S,", Err(QuotaLimitsError)),
            ("5é", Err(QuotaLimitsError)),
            ("99999999999999999999S", Err(QuotaLimitsError)),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<QuotaLimits>(), expected, "{text:?}");
        }
    }

    #[test]
    fn usage_is_the_sum_of_all_lines() {
        let usage = |bytes, messages| Some(QuotaUsage { bytes, messages });
        // (content, usage, changes)
        let table: [(&str, Option<QuotaUsage>, usize); 8] = [
            ("5S\n", usage(0, 0), 0),
            ("5S", usage(0, 0), 0),
            ("5S\n100 1\n", usage(100, 1), 1),
            ("5S\n100 2\n-40 -1\n", usage(60, 1), 2),
            ("5S\n         100            1\n", usage(100, 1), 1),
            ("5S\n-1 0\n", None, 1),
            ("5S\n1 1 1\n", None, 1),
            ("5S\n9223372036854775807 1\n1 1\n", None, 2),
        ];
        for (content, expected, changes) in table {
            let file = QuotaFile::parse(content.as_bytes()).unwrap();
            assert_eq!((file.usage, file.changes), (expected, changes), "{content:?}");
        }
        assert_eq!(QuotaFile::parse(b""), Err(QuotaLimitsError));
        assert_eq!(QuotaFile::parse(b"\xff\n"), Err(QuotaLimitsError));
    }

    #[test]
    fn a_limit_may_be_reached_but_not_passed() {
        let limits = QuotaLimits { bytes: Some(100), messages: Some(3) };
        // (used octets, used messages, size, exceeds)
        let table = [
            (0, 0, 100, false),
            (0, 0, 101, true),
            (90, 2, 10, false),
            (90, 3, 1, true),
            (100, 1, 0, false),
            (u64::MAX, 1, u64::MAX, true),
        ];
        for (bytes, messages, size, exceeds) in table {
            let quota = Quota { limits, usage: QuotaUsage { bytes, messages } };
            assert_eq!(quota.would_exceed(size), exceeds, "{quota:?} + {size}");
        }
        assert!(!Quota::default().would_exceed(u64::MAX));
    }

    proptest! {
        #[test]
        fn a_written_file_is_read_back(bytes in 0..=i64::MAX as u64, messages in 0..=i64::MAX as u64, limit in 1_u64..) {
            let limits = QuotaLimits { bytes: Some(limit), messages: None };
            let usage = QuotaUsage { bytes, messages };
            let file = QuotaFile::parse(QuotaFile::render(&limits.to_string(), usage).as_bytes()).unwrap();
            prop_assert_eq!((file.limits, file.usage, file.changes), (limits, Some(usage), 1));
        }

        #[test]
        fn arbitrary_content_never_panics(content in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = QuotaFile::parse(&content);
        }
    }
}
