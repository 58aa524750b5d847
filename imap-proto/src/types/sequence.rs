//! [`SequenceSet`] and [`NumberSet`]: sets of sequence numbers or UIDs, kept as ranges and never expanded.
//!
//! `1:4294967295` costs as much as `1`. A set is kept as it was written, since the order can matter (COPYUID) and what was read
//! should be written again equal; [`NumberSet::normalized`] sorts and joins, which is what to look things up in.

use core::fmt;
use core::num::NonZeroU32;
use core::ops::RangeInclusive;

/// A place in a mailbox: a number, or `*`, the largest in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Position {
    /// This number.
    Number(NonZeroU32),
    /// `*`: the largest sequence number or UID in the mailbox.
    Largest,
}

impl Position {
    /// The number, where `largest` is the largest in use.
    pub const fn resolve(self, largest: u32) -> u32 {
        match self {
            Position::Number(number) => number.get(),
            Position::Largest => largest,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Number(number) => number.fmt(f),
            Position::Largest => f.write_str("*"),
        }
    }
}

/// One member of a [`SequenceSet`]: from the one place to the other, whichever is the larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SequenceRange {
    /// What stands before the colon.
    pub first: Position,
    /// What stands behind it; the same as `first` for a single number.
    pub last: Position,
}

impl SequenceRange {
    /// The numbers, in order, where `largest` is the largest in use. `*` and `5:*` hold the largest even if it is below 5
    /// (RFC 9051 §9, seq-range); in an empty mailbox, where `largest` is 0, `*` is nothing.
    pub fn resolve(self, largest: u32) -> RangeInclusive<u32> {
        let (a, b) = (self.first.resolve(largest), self.last.resolve(largest));
        if a.min(b) == 0 {
            // An empty range: there is no message that `*` could be.
            return RangeInclusive::new(1, 0);
        }
        a.min(b)..=a.max(b)
    }
}

impl fmt::Display for SequenceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => self.first.fmt(f),
            false => write!(f, "{}:{}", self.first, self.last),
        }
    }
}

/// One or more members; a single one, as most sets have, needs no allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Members<T> {
    One(T),
    Many(Box<[T]>),
}

impl<T> Members<T> {
    fn new(mut members: Vec<T>) -> Option<Self> {
        match members.len() {
            0 => None,
            1 => members.pop().map(Members::One),
            _ => Some(Members::Many(members.into())),
        }
    }

    fn as_slice(&self) -> &[T] {
        match self {
            Members::One(one) => core::slice::from_ref(one),
            Members::Many(many) => many,
        }
    }
}

/// A set of messages as a command names them: `2,4:7,*`, or `$`, the saved result of a search (RFC 9051 §9 sequence-set, RFC
/// 5182). Never empty.
///
/// ```
/// use imap_proto::types::SequenceSet;
///
/// let set = SequenceSet::parse(b"2,9:*,7:5")?;
/// assert_eq!(set.to_string(), "2,9:*,7:5");
/// let resolved: Vec<_> = set.resolve(8).collect();
/// assert_eq!(resolved, [2..=2, 8..=9, 5..=7]);
/// # Ok::<(), imap_proto::codec::SyntaxError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SequenceSet(Option<Members<SequenceRange>>);

impl SequenceSet {
    /// `$`: what the last search with SAVE found.
    pub const SAVED: Self = Self(None);

    /// `1:*`: all messages.
    pub const ALL: Self = Self(Some(Members::One(SequenceRange {
        first: Position::Number(NonZeroU32::MIN),
        last: Position::Largest,
    })));

    /// From its members, as they are to be written; `None` if there are none.
    pub fn new(members: Vec<SequenceRange>) -> Option<Self> {
        Members::new(members).map(|members| Self(Some(members)))
    }

    /// One member.
    pub const fn single(member: SequenceRange) -> Self {
        Self(Some(Members::One(member)))
    }

    /// Whether this is `$`, and stands for what was saved.
    pub fn is_saved(&self) -> bool {
        self.0.is_none()
    }

    /// The members as they were written; none for `$`.
    pub fn members(&self) -> &[SequenceRange] {
        self.0.as_ref().map_or(&[], Members::as_slice)
    }

    /// The members as ranges of numbers, where `largest` is the largest in use; empty ones are left out. None for `$`.
    pub fn resolve(&self, largest: u32) -> impl Iterator<Item = RangeInclusive<u32>> {
        self.members().iter().map(move |member| member.resolve(largest)).filter(|range| !range.is_empty())
    }
}

impl From<NumberSet> for SequenceSet {
    fn from(set: NumberSet) -> Self {
        let member = |range: &NumberRange| SequenceRange {
            first: Position::Number(range.first),
            last: Position::Number(range.last),
        };
        Self(Some(match set.0 {
            Members::One(range) => Members::One(member(&range)),
            Members::Many(ranges) => Members::Many(ranges.iter().map(member).collect()),
        }))
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("$"),
            Some(members) => joined(f, members.as_slice()),
        }
    }
}

impl fmt::Debug for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SequenceSet({self})")
    }
}

/// One member of a [`NumberSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NumberRange {
    /// What stands before the colon.
    pub first: NonZeroU32,
    /// What stands behind it; the same as `first` for a single number. It may be the smaller.
    pub last: NonZeroU32,
}

impl NumberRange {
    /// The least and the largest number.
    pub fn bounds(self) -> (u32, u32) {
        let (a, b) = (self.first.get(), self.last.get());
        (a.min(b), a.max(b))
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => self.first.fmt(f),
            false => write!(f, "{}:{}", self.first, self.last),
        }
    }
}

/// A set of numbers as a server tells them: without `*` or `$`, such as in VANISHED, COPYUID and ESEARCH. Never empty.
///
/// ```
/// use imap_proto::types::NumberSet;
///
/// let set = NumberSet::from_numbers([1, 2, 3, 7, 9, 8]).unwrap();
/// assert_eq!(set.to_string(), "1:3,7,9,8");
/// assert_eq!(set.normalized().to_string(), "1:3,7:9");
/// assert!(set.normalized().contains(8));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NumberSet(Members<NumberRange>);

impl NumberSet {
    /// From its members, as they are to be written; `None` if there are none.
    pub fn new(members: Vec<NumberRange>) -> Option<Self> {
        Members::new(members).map(Self)
    }

    /// One number.
    pub const fn single(number: NonZeroU32) -> Self {
        Self(Members::One(NumberRange { first: number, last: number }))
    }

    /// The numbers in the order given; those that follow each other upwards become ranges, zeros are left out. `None` if
    /// there are none.
    pub fn from_numbers(numbers: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut members: Vec<NumberRange> = Vec::new();
        for number in numbers.into_iter().filter_map(NonZeroU32::new) {
            match members.last_mut() {
                Some(range) if range.first <= range.last && range.last.checked_add(1) == Some(number) => {
                    range.last = number;
                }
                _ => members.push(NumberRange { first: number, last: number }),
            }
        }
        Self::new(members)
    }

    /// The members as they were written.
    pub fn members(&self) -> &[NumberRange] {
        self.0.as_slice()
    }

    /// How many numbers there are, each counted as often as it is written.
    pub fn count(&self) -> u64 {
        let size = |range: &NumberRange| {
            let (low, high) = range.bounds();
            u64::from(high - low) + 1
        };
        self.members().iter().map(size).sum()
    }

    /// The numbers in the order in which they are written, one at a time. There may be four thousand million of them.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.members().iter().flat_map(|range| {
            let (first, last) = (range.first.get(), range.last.get());
            let step = move |at: u32| match at.cmp(&last) {
                core::cmp::Ordering::Less => Some(at + 1),
                core::cmp::Ordering::Equal => None,
                core::cmp::Ordering::Greater => Some(at - 1),
            };
            core::iter::successors(Some(first), move |at| step(*at))
        })
    }

    /// The same numbers in order, each once, in as few ranges as can be.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let mut ranges: Vec<(u32, u32)> = self.members().iter().map(|range| range.bounds()).collect();
        ranges.sort_unstable();
        let mut members: Vec<NumberRange> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            let (Some(first), Some(last)) = (NonZeroU32::new(low), NonZeroU32::new(high)) else { continue };
            match members.last_mut() {
                Some(range) if range.last.get() >= low - 1 => range.last = range.last.max(last),
                _ => members.push(NumberRange { first, last }),
            }
        }
        Self::new(members).unwrap_or_else(|| self.clone())
    }

    /// Whether a [normalized](Self::normalized) set holds a number: by halving, so that a set of many ranges is asked often
    /// and cheaply. For another set the answer may be wrong.
    pub fn contains(&self, number: u32) -> bool {
        let members = self.members();
        let at = members.partition_point(|range| range.last.get() < number);
        members.get(at).is_some_and(|range| range.first.get() <= number)
    }
}

impl fmt::Display for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, self.members())
    }
}

impl fmt::Debug for NumberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NumberSet({self})")
    }
}

fn joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, members: &[T]) -> fmt::Result {
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        member.fmt(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> NumberSet {
        let number = |text: &str| text.parse().unwrap();
        let member = |text: &str| {
            let (first, last) = text.split_once(':').unwrap_or((text, text));
            NumberRange { first: number(first), last: number(last) }
        };
        NumberSet::new(text.split(',').map(member).collect()).unwrap()
    }

    #[test]
    fn ranges_turn_round_and_the_largest_counts_where_it_is() {
        let at = |n| NonZeroU32::new(n).map_or(Position::Largest, Position::Number);
        for (first, last, largest, expected) in [
            (2, 4, 9, 2..=4),
            (4, 2, 9, 2..=4),
            (5, 0, 9, 5..=9),
            (5, 0, 3, 3..=5),
            (0, 0, 3, 3..=3),
            (1, u32::MAX, 3, 1..=u32::MAX),
        ] {
            let range = SequenceRange { first: at(first), last: at(last) };
            assert_eq!(range.resolve(largest), expected, "{range} of {largest}");
        }
        assert_eq!(SequenceSet::ALL.resolve(0).count(), 0, "an empty mailbox has nothing");
        assert!(SequenceSet::SAVED.members().is_empty() && SequenceSet::SAVED.is_saved());
    }

    #[test]
    fn a_set_of_all_numbers_costs_one_range() {
        let set = numbers("1:4294967295");
        assert_eq!(set.count(), u64::from(u32::MAX));
        assert_eq!(set.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(set.contains(u32::MAX));
        assert_eq!(numbers("4294967295:4294967294").iter().collect::<Vec<_>>(), [u32::MAX, u32::MAX - 1]);
    }

    #[test]
    fn normalizing_sorts_and_joins() {
        for (set, expected) in [
            ("5", "5"),
            ("5,5", "5"),
            ("7:5,1", "1,5:7"),
            ("1:4,5:9,3", "1:9"),
            ("1:9,2:3,11", "1:9,11"),
            ("4294967294:4294967295,1", "1,4294967294:4294967295"),
        ] {
            assert_eq!(numbers(set).normalized().to_string(), expected, "{set}");
        }
        let set = numbers("10:20,30,40:50").normalized();
        for (number, within) in
            [(9, false), (10, true), (20, true), (21, false), (30, true), (50, true), (51, false)]
        {
            assert_eq!(set.contains(number), within, "{number}");
        }
    }

    #[test]
    fn sets_are_small() {
        assert_eq!(size_of::<SequenceSet>(), 24);
        assert_eq!(size_of::<NumberSet>(), 16);
    }
}
