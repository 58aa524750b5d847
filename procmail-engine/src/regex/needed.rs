//! What a text must hold so that an expression can match at all: strings that stand in each of its matches.
//!
//! Most conditions of an rc file do not hold for most mails, and searching for a plain string is many times as fast as
//! running the automaton, which need not even be built.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memmem::{self, Finder};

use super::set::ByteSet;
use super::tokens::{Item, Repeat, Token};

/// How many strings are searched for.
const MOST: usize = 3;
/// How much of a string is.
const LONGEST: usize = 64;
/// How much of a text has the case of its letters folded at a time.
const CHUNK: usize = 2048;

/// A group that is open.
#[derive(Default)]
struct Group {
    /// How many strings there were before it.
    before: usize,
    /// Whether it may be passed over.
    optional: bool,
    alternatives: usize,
}

/// The strings that stand in each match, the longest first. Of those that are of one length the last comes first: names of
/// header fields stand at the front, and most mails have them.
pub(super) fn strings(tokens: &[Token], sets: &[ByteSet], fold: bool) -> Vec<Vec<u8>> {
    let mut text = Vec::new();
    // Parts of the text.
    let mut runs: Vec<Range<usize>> = Vec::new();
    // Whether the next byte continues the last run.
    let mut open = false;
    let mut groups = vec![Group::default()];
    for token in tokens {
        match *token {
            Token::Alternative { .. } => {
                open = false;
                if let Some(group) = groups.last_mut() {
                    group.alternatives += 1;
                    runs.truncate(if group.alternatives > 1 { group.before } else { runs.len() });
                }
            }
            Token::Item { what: Item::Group, repeat, .. } => {
                open = false;
                let optional = matches!(repeat, Repeat::Optional | Repeat::Any);
                groups.push(Group { before: runs.len(), optional, alternatives: 0 });
            }
            Token::Item {
                what: Item::Set(number), repeat: repeat @ (Repeat::Once | Repeat::Many), ..
            } => {
                let byte = sets[number].only(fold).filter(|&byte| byte != b'\n');
                if let Some(byte) = byte {
                    text.push(byte);
                    match runs.last_mut() {
                        Some(run) if open => run.end = text.len(),
                        _ => runs.push(text.len() - 1..text.len()),
                    }
                }
                open = byte.is_some() && repeat == Repeat::Once;
            }
            Token::Item { .. } => open = false,
            Token::Close => {
                open = false;
                if let Some(group) = groups.pop()
                    && (group.optional || group.alternatives > 1)
                {
                    runs.truncate(group.before);
                }
            }
        }
    }
    let first = |run: Range<usize>| &text[run.start..run.end.min(run.start + LONGEST)];
    let mut strings: Vec<&[u8]> = runs.into_iter().rev().map(first).collect();
    strings.sort_by_key(|string| std::cmp::Reverse(string.len()));
    strings.truncate(MOST);
    strings.into_iter().map(<[u8]>::to_vec).collect()
}

/// A text that expressions are searched in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Searched<'a> {
    bytes: &'a [u8],
    folded: Option<&'a [u8]>,
}

impl<'a> Searched<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, folded: None }
    }

    /// A text that is searched often enough to be kept with its case folded too, as [`fold_case`] does it.
    pub(crate) fn with_folded(bytes: &'a [u8], folded: &'a [u8]) -> Self {
        Self { bytes, folded: Some(folded) }
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// A text with its letters in lower case.
pub(crate) fn fold_case(text: &[u8]) -> Box<[u8]> {
    text.to_ascii_lowercase().into_boxed_slice()
}

/// The strings, to be searched for.
pub(super) struct Needed {
    strings: Vec<Needle>,
    fold: bool,
}

/// A string, and what makes it quick to find, which is kept once it is searched for again: a program that delivers one mail
/// searches most of them once.
struct Needle {
    string: Vec<u8>,
    finder: OnceLock<Box<Finder<'static>>>,
    searched: AtomicBool,
}

impl Needle {
    fn new(string: Vec<u8>) -> Self {
        Self { string, finder: OnceLock::new(), searched: AtomicBool::new(false) }
    }

    fn is_in(&self, text: &[u8]) -> bool {
        if !self.searched.load(Ordering::Relaxed) {
            self.searched.store(true, Ordering::Relaxed);
            return memmem::find(text, &self.string).is_some();
        }
        let finder = self.finder.get_or_init(|| Box::new(Finder::new(&self.string).into_owned()));
        finder.find(text).is_some()
    }
}

impl Needed {
    pub(super) fn new(strings: Vec<Vec<u8>>, fold: bool) -> Self {
        Self { strings: strings.into_iter().map(Needle::new).collect(), fold }
    }

    /// Whether a text has all of them, in whatever order.
    pub(super) fn are_in(&self, text: &Searched<'_>) -> bool {
        let all_in = |text: &[u8]| self.strings.iter().all(|string| string.is_in(text));
        match (self.fold, text.folded) {
            (false, _) => all_in(text.bytes),
            (true, Some(folded)) => all_in(folded),
            (true, None) => self.strings.is_empty() || self.are_in_when_folded(text.bytes),
        }
    }

    /// Folds the case of the text in passing.
    fn are_in_when_folded(&self, text: &[u8]) -> bool {
        let overlap = self.strings.iter().map(|string| string.string.len() - 1).max().unwrap_or_default();
        let mut missing = [true; MOST];
        let mut folded = [0; CHUNK];
        let mut at = 0;
        loop {
            let chunk = &text[at..text.len().min(at + CHUNK)];
            let folded = &mut folded[..chunk.len()];
            folded.copy_from_slice(chunk);
            folded.make_ascii_lowercase();
            for (missing, string) in missing.iter_mut().zip(&self.strings) {
                *missing = *missing && !string.is_in(folded);
            }
            let missing = &missing[..self.strings.len()];
            if !missing.contains(&true) {
                return true;
            }
            if at + CHUNK >= text.len() {
                return false;
            }
            at += CHUNK - overlap;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::outline;
    use super::*;

    fn strings(pattern: &[u8], fold: bool) -> Vec<Vec<u8>> {
        outline(pattern, fold).needed
    }

    #[test]
    fn strings_are_needed_that_stand_in_each_match() {
        let cases: &[(&[u8], &[&[u8]])] = &[
            (b"abc", &[b"abc"]),
            (b"^Subject:.*\\[list\\]", &[b"subject:", b"[list]"]),
            (b"^From:.*joe", &[b"from:", b"joe"]),
            (b"^To:.*joe", &[b"joe", b"to:"]),
            (b"abc*", &[b"ab"]),
            (b"abc?d", &[b"ab", b"d"]),
            (b"abc+d", &[b"abc", b"d"]),
            (b"a*", &[]),
            (b"ab|cd", &[]),
            (b"(ab|cd)ef", &[b"ef"]),
            (b"x(ab)?ef", &[b"ef", b"x"]),
            (b"x(ab)+ef", &[b"ef", b"ab", b"x"]),
            (b"x(y(ab|c)z)*ef", &[b"ef", b"x"]),
            (b"(x(y|z)(ab))ef", &[b"ef", b"ab", b"x"]),
            (b"a[.]b[bc]d", &[b"a.b", b"d"]),
            (b"a[Bb]c", &[b"abc"]),
            (b"a$b", &[b"b", b"a"]),
            (b"a\\/bc", &[b"bc", b"a"]),
            (b"a\\/*bc", &[b"bc", b"a"]),
            (b"ab)*cd", &[b"ab"]),
            (b"(ab", &[b"ab"]),
            (b"ab|(cd", &[]),
            (b"^^a^^", &[b"a"]),
            (b"", &[]),
            (b"()", &[]),
            (b"*a", &[b"*a"]),
            (b"ab**c", &[b"*c", b"a"]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(strings(pattern, true), *expected, "{}", String::from_utf8_lossy(pattern));
        }
        assert_eq!(strings(b"aBc[Bb]d", false), [b"aBc".as_slice(), b"d"]);
    }

    #[test]
    fn a_string_is_found_wherever_it_stands_and_in_any_case() {
        let needed = Needed::new(strings(b"xyz.*end", true), true);
        for length in (0..10).chain(CHUNK - 10..CHUNK + 10).chain(2 * CHUNK - 10..2 * CHUNK + 10) {
            let mut text = vec![b'a'; length];
            text.extend_from_slice(b"XyZ");
            assert!(!needed.are_in(&Searched::new(&text)), "{length}");
            text.extend_from_slice(b"eND");
            assert!(needed.are_in(&Searched::new(&text)), "{length}");
            text.extend(vec![b'e'; CHUNK]);
            assert!(needed.are_in(&Searched::new(&text)), "{length}");
        }
        assert!(!needed.are_in(&Searched::new(b"")));
        assert!(!needed.are_in(&Searched::new(b"xy zend")));
    }
}
