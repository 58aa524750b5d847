//! `.mh_sequences`: which messages of an MH folder are unseen, current, or of any other sort that its user has named.

use std::fmt;

/// The sequence of one message at which its user is.
const CURRENT: &str = "cur";

/// The sequences of an MH folder. Numbers stand in ranges, so that long sequences are small; what is no sequence is kept as
/// it is.
///
/// ```
/// use maildrop::MhSequences;
///
/// let mut sequences = MhSequences::parse("cur: 3\nunseen: 1-4 7\n");
/// assert!(sequences.contains("unseen", 2) && !sequences.contains("unseen", 5));
/// sequences.remove(3);
/// assert_eq!(sequences.to_string(), "cur: 3\nunseen: 1-2 4 7\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MhSequences {
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// Ranges in order, first and last number of each.
    Sequence {
        name: String,
        ranges: Vec<(u64, u64)>,
    },
    Other(String),
}

impl MhSequences {
    /// The name of the file.
    pub const FILE: &str = ".mh_sequences";

    /// Reads what the file holds. Lines that begin with a blank go on with the one before.
    pub fn parse(content: &str) -> MhSequences {
        let mut unfolded: Vec<String> = Vec::new();
        for line in content.split('\n').map(str::trim_end) {
            match unfolded.last_mut() {
                _ if line.is_empty() => {}
                Some(before) if line.starts_with([' ', '\t']) => before.push_str(line),
                _ => unfolded.push(line.to_owned()),
            }
        }
        let lines = unfolded.into_iter().map(|line| match parse_line(&line) {
            Some((name, ranges)) => Line::Sequence { name, ranges },
            None => Line::Other(line),
        });
        MhSequences { lines: lines.collect() }
    }

    /// Whether a message is in a sequence.
    pub fn contains(&self, sequence: &str, number: u64) -> bool {
        self.lines.iter().any(|line| match line {
            Line::Sequence { name, ranges } if name == sequence => position(ranges, number).is_ok(),
            _ => false,
        })
    }

    /// How many lines are sequences.
    pub(super) fn count(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line, Line::Sequence { .. })).count()
    }

    /// The ranges of a sequence, in order, those of all lines that have its name.
    pub(super) fn ranges(&self, sequence: &str) -> Vec<(u64, u64)> {
        let of_line = |line: &Line| match line {
            Line::Sequence { name, ranges } if name == sequence => ranges.clone(),
            _ => Vec::new(),
        };
        merge(self.lines.iter().flat_map(of_line).collect())
    }

    /// Takes a message out of all sequences but `cur`, for it is gone. The place of the current message is kept, as nmh's
    /// `rmm` keeps it: `next` goes on from there.
    pub fn remove(&mut self, number: u64) {
        self.remove_all([number]);
    }

    /// Takes messages out of all sequences but `cur`, in one pass, however many they are.
    pub fn remove_all(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.remove_if(|name| name != CURRENT, numbers.into_iter().collect());
    }

    /// Takes messages out of one sequence.
    pub fn remove_from(&mut self, sequence: &str, numbers: impl IntoIterator<Item = u64>) {
        self.remove_if(|name| name == sequence, numbers.into_iter().collect());
    }

    fn remove_if(&mut self, wanted: impl Fn(&str) -> bool, mut numbers: Vec<u64>) {
        numbers.sort_unstable();
        for line in &mut self.lines {
            if let Line::Sequence { name, ranges } = line
                && wanted(name)
            {
                *ranges = without(ranges, &numbers);
            }
        }
        // A sequence that is empty is no sequence.
        self.lines.retain(|line| !matches!(line, Line::Sequence { ranges, .. } if ranges.is_empty()));
    }
}

impl fmt::Display for MhSequences {
    /// The content of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            match line {
                Line::Sequence { name, ranges } => {
                    write!(f, "{name}:")?;
                    for (first, last) in ranges {
                        match first == last {
                            true => write!(f, " {first}")?,
                            false => write!(f, " {first}-{last}")?,
                        }
                    }
                    writeln!(f)?;
                }
                Line::Other(text) => writeln!(f, "{text}")?,
            }
        }
        Ok(())
    }
}

fn parse_line(line: &str) -> Option<(String, Vec<(u64, u64)>)> {
    let (name, list) = line.split_once(':')?;
    let mut ranges = Vec::new();
    for word in list.split_ascii_whitespace() {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last): (u64, u64) = (number(first)?, number(last)?);
        if first <= last {
            ranges.push((first, last));
        }
    }
    let merged = merge(ranges);
    (!name.is_empty() && !merged.is_empty()).then(|| (name.to_owned(), merged))
}

/// Puts ranges in order; those that touch become one.
fn merge(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

/// What is left of ranges without some numbers; both are in order.
fn without(ranges: &[(u64, u64)], numbers: &[u64]) -> Vec<(u64, u64)> {
    let mut left = Vec::with_capacity(ranges.len());
    let mut numbers = numbers.iter().copied().peekable();
    for &(first, last) in ranges {
        let mut from = Some(first);
        while let Some(number) = numbers.next_if(|&number| number <= last) {
            if let Some(start) = from.filter(|&start| start <= number) {
                if start < number {
                    left.push((start, number - 1));
                }
                from = number.checked_add(1);
            }
        }
        if let Some(start) = from.filter(|&start| start <= last) {
            left.push((start, last));
        }
    }
    left
}

/// Digits only: a sign is none.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Whether a range holds a number.
pub(super) fn holds(ranges: &[(u64, u64)], number: u64) -> bool {
    position(ranges, number).is_ok()
}

/// The range that holds a number.
fn position(ranges: &[(u64, u64)], number: u64) -> Result<usize, usize> {
    ranges.binary_search_by(|(first, last)| match () {
        () if *last < number => std::cmp::Ordering::Less,
        () if *first > number => std::cmp::Ordering::Greater,
        () => std::cmp::Ordering::Equal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_what_was_read_in_order_and_without_folds() {
        let table = [
            ("", ""),
            ("cur: 5\n", "cur: 5\n"),
            ("unseen: 1 2 3 7-9 8-12\n", "unseen: 1-3 7-12\n"),
            ("unseen: 9 1-3\n  5\n\t6\ncur: 1", "unseen: 1-3 5-6 9\ncur: 1\n"),
            ("odd line\nunseen: a\n\nold: 3-1\n", "odd line\nunseen: a\nold: 3-1\n"),
            ("x: -3 +4\n", "x: -3 +4\n"),
            ("x: 1\r\nodd\r\r\n \t\r\n 2\r", "x: 1\nodd 2\n"),
        ];
        for (given, expected) in table {
            assert_eq!(MhSequences::parse(given).to_string(), expected, "{given:?}");
        }
    }

    #[test]
    fn removing_splits_and_shrinks_ranges_and_drops_what_is_empty() {
        // (number, what is left)
        let table = [
            (1, "unseen: 2-5 9\ncur: 1\nmine: 9\n"),
            (3, "unseen: 1-2 4-5 9\ncur: 1\nmine: 9\n"),
            (5, "unseen: 1-4 9\ncur: 1\nmine: 9\n"),
            (9, "unseen: 1-5\ncur: 1\n"),
            (6, "unseen: 1-5 9\ncur: 1\nmine: 9\n"),
        ];
        for (number, left) in table {
            let mut sequences = MhSequences::parse("unseen: 1-5 9\ncur: 1\nmine: 9\n");
            sequences.remove(number);
            assert_eq!(sequences.to_string(), left, "{number}");
        }
        let mut sequences = MhSequences::parse("unseen: 1-5\ncur: 1\n");
        sequences.remove_from("unseen", [1]);
        assert_eq!(sequences.to_string(), "unseen: 2-5\ncur: 1\n");
        let mut sequences = MhSequences::parse("all: 0-18446744073709551615\nx: 7\n");
        sequences.remove_all([7, 0, u64::MAX, 7]);
        assert_eq!(sequences.to_string(), "all: 1-6 8-18446744073709551614\n");
    }

    proptest! {
        #[test]
        fn removing_takes_out_one_number_and_no_other(
            numbers in proptest::collection::btree_set(0_u64..40, 0..30),
            removed in proptest::collection::vec(0_u64..40, 0..10),
        ) {
            let list: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let mut sequences = MhSequences::parse(&format!("s: {}\n", list.join(" ")));
            sequences.remove_all(removed.iter().copied());
            prop_assert_eq!(&MhSequences::parse(&sequences.to_string()), &sequences);
            for number in 0..40 {
                let expected = numbers.contains(&number) && !removed.contains(&number);
                prop_assert_eq!(sequences.contains("s", number), expected);
            }
        }
    }
}
