//! Procmail's regular expressions.
//!
//! A dialect of egrep of its own: `^ $ . * + ? [] () |`, a backslash that makes the next byte a plain one, and
//!
//! - `^` and `$`, which both consume one newline, anywhere; one is thought before the text and one behind it;
//! - `^^`, the very start of the text, or its very end at the end of an expression;
//! - `\<` and `\>`, which consume one byte that is not of a word;
//! - `\/`, behind which stands what the variable `MATCH` gets.
//!
//! There is no `{n}`, no `[[:alpha:]]`, no `\d`. Every text is an expression; unbalanced parentheses are only told
//! ([`Regex::is_balanced`]), as procmail does.
//!
//! Where procmail is odd, so is this:
//!
//! - A `\/` at the end of an alternative goes on in the next one: `(a\/|b)c` matches `abc` and not `ac`.
//! - Of ways to the same end, some with `\/` and some without, the first counts: that of the first alternative, of an item
//!   before what follows it, and of a match that starts here before one that is under way.
//! - A way that passes `\/` hands the place on to the ways that branch off before it and are followed after it: `MATCH` is
//!   `ab` for `(\/|a)b` in `ab`.
//! - Where an item that may be empty is repeated, or stands before another of the kind, some ways are lost: `x(a*|)b*y` does
//!   not match `xaay`.
//! - `[a-c-e]` has `d`: a range may go on at the end of another.
//!
//! Different are two things that procmail hardly means. It goes round for ever in an expression that repeats a `\/` without
//! a byte between, as `a\/+` does ([`Regex::is_endless`]); here that is gone through once. And when a weight counts the
//! matches of an expression with `\/`, what procmail's search for one has left behind hides some of the next, if it took
//! several newlines behind the `\/` or if a match may pass none: in `a` it counts one match of `^.*\/(^.*)+`, where here each
//! search starts afresh and there are two.
//!
//! Searching takes time linear in the text, whatever the expression, and memory linear in the expression plus tables
//! of at most a few hundred kilobytes.
//!
//! ```
//! use procmail_engine::regex::{Case, Regex};
//!
//! let subject = Regex::new(br"^Subject:.*\[\/[a-z]+", Case::Fold);
//! let header = b"From: joe\nSUBJECT: [ferris] hello\n\n";
//! let found = subject.find(header, 0).expect("it is there");
//! assert_eq!(&header[found.marked().expect("has a \\/")], b"ferris");
//! ```

mod automaton;
mod circles;
mod extract;
mod layout;
mod library;
mod macros;
mod needed;
mod parse;
mod set;
mod tokens;
mod wide;

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use automaton::Automaton;
pub(crate) use library::Expression;
pub use library::Library;
pub use macros::{Expanded, expand_macros};
use needed::Needed;
pub(crate) use needed::{Searched, fold_case};
use parse::{Outline, Program};

/// Whether the case of ASCII letters matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Case {
    /// It does: the `D` flag.
    Exact,
    /// It does not.
    Fold,
}

/// A compiled expression. It can be shared by threads.
pub struct Regex {
    pattern: Box<[u8]>,
    fold: bool,
    balanced: bool,
    marks: bool,
    /// Laid out once a text has what is needed.
    program: OnceLock<Program>,
    needed: Needed,
    /// What a search has learnt, for the next one. A second search at the same time starts afresh.
    learnt: Mutex<Option<Box<Automaton>>>,
    /// How many bytes it takes, about, without what was learnt.
    size: usize,
    /// How many bytes all expressions of a library take.
    total: Arc<AtomicUsize>,
}

/// How many bytes the expressions of a library may take together before what they have learnt is no longer kept.
const MAX_TOTAL: usize = 1 << 26;

/// Where an expression matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    end: usize,
    marked: Option<Range<usize>>,
}

impl Match {
    /// Where the shortest match ends. One behind the text when it took the newline that is thought there.
    pub fn end(&self) -> usize {
        self.end
    }

    /// What stands behind `\/`, if the match went that way.
    pub fn marked(&self) -> Option<Range<usize>> {
        self.marked.clone()
    }
}

impl Regex {
    /// Compiles an expression. Takes time and memory linear in its length.
    pub fn new(pattern: &[u8], case: Case) -> Self {
        Self::counted(pattern, case, Arc::default(), 0)
    }

    /// Compiles an expression whose size is to count towards a total, with what is kept beside it.
    fn counted(pattern: &[u8], case: Case, total: Arc<AtomicUsize>, beside: usize) -> Self {
        let fold = case == Case::Fold;
        let Outline { balanced, marks, needed } = parse::outline(pattern, fold);
        let needed = Needed::new(needed, fold);
        let size = size_of::<Self>() + pattern.len() + Program::most_bytes(pattern.len()) + beside;
        total.fetch_add(size, Ordering::Relaxed);
        Self {
            pattern: pattern.into(),
            fold,
            balanced,
            marks,
            program: OnceLock::new(),
            needed,
            learnt: Mutex::new(None),
            size,
            total,
        }
    }

    /// Whether each parenthesis has its other half.
    pub fn is_balanced(&self) -> bool {
        self.balanced
    }

    /// Whether it has a `\/`.
    pub fn marks(&self) -> bool {
        self.marks
    }

    /// Whether procmail may never be done with a search for it: it has a way round that consumes nothing, as `a\/+` has, and
    /// procmail follows that for ever unless it finds a match without `\/` first. Here, it is followed once.
    ///
    /// ```
    /// use procmail_engine::regex::{Case, Regex};
    /// assert!(Regex::new(br"a\/+", Case::Fold).is_endless());
    /// assert!(!Regex::new(br"(a*)*", Case::Fold).is_endless());
    /// ```
    pub fn is_endless(&self) -> bool {
        self.program().strays || circles::stay(&self.program().insts)
    }

    /// Whether procmail follows the ways through an expression that its text says. Takes time quadratic in its length.
    pub(crate) fn is_as_written(pattern: &[u8]) -> bool {
        parse::is_as_written(pattern, true)
    }

    /// Whether it matches anywhere in the text.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.needed.are_in(&Searched::new(text)) && self.first_end(text, 0).is_some()
    }

    /// The match that ends first, among those that start at or behind `from`. A newline right before `from` may be
    /// its first byte.
    pub fn find(&self, text: &[u8], from: usize) -> Option<Match> {
        let end = self.first_end(text, from)?;
        self.with_mark(text, from, end, &mut { usize::MAX })
    }

    /// As [`Regex::find`] from the start of a text.
    pub(crate) fn find_first(&self, text: &Searched<'_>) -> Option<Match> {
        if self.needed.are_in(text) { self.find(text.bytes(), 0) } else { None }
    }

    /// The next of many matches. As [`Regex::find`], but what `\/` marks is no longer than `patience` allows: each byte
    /// behind the end that is looked at takes one of it.
    pub(crate) fn find_within(
        &self,
        text: &Searched<'_>,
        from: usize,
        patience: &mut usize,
    ) -> Option<Match> {
        // For the first of many only, so that the text is not searched for the strings once for each.
        if from == 0 && !self.needed.are_in(text) {
            return None;
        }
        let text = text.bytes();
        let unfinished = text.last().is_some_and(|&byte| byte != b'\n');
        let end = if from == text.len() && unfinished {
            // Procmail thinks two newlines behind the text when it goes on there.
            from + 1.min(self.first_end(b" \n", 1)? - 1)
        } else {
            self.first_end(text, from)?
        };
        self.with_mark(text, from, end, patience)
    }

    fn with_mark(&self, text: &[u8], from: usize, end: usize, patience: &mut usize) -> Option<Match> {
        let marked = if self.marks { extract::marked(self.program(), text, from, patience)? } else { None };
        Some(Match { end, marked })
    }

    /// Where the shortest match starts that ends at `end`, which [`Regex::find`] gave for all of the text. Takes time
    /// `n log n`.
    pub(crate) fn last_start(&self, text: &[u8], end: usize) -> usize {
        // From `low` on there is such a match, from `high` on there is none.
        let (mut low, mut high) = (0, end.min(text.len()) + 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.first_end(text, middle) == Some(end) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    fn program(&self) -> &Program {
        self.program.get_or_init(|| parse::parse(&self.pattern, self.fold))
    }

    fn first_end(&self, text: &[u8], from: usize) -> Option<usize> {
        let learnt = self.learnt.try_lock().ok().and_then(|mut kept| kept.take());
        let mut automaton = match learnt {
            Some(automaton) => {
                self.total.fetch_sub(automaton.size(), Ordering::Relaxed);
                automaton
            }
            None => Box::new(Automaton::new(self.program())),
        };
        let end = automaton.first_end(self.program(), text, from);
        let size = automaton.size();
        if let Ok(mut kept) = self.learnt.try_lock()
            && kept.is_none()
            && self.total.load(Ordering::Relaxed).saturating_add(size) <= MAX_TOTAL
        {
            self.total.fetch_add(size, Ordering::Relaxed);
            *kept = Some(automaton);
        }
        end
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        let learnt = self.learnt.get_mut().unwrap_or_else(PoisonError::into_inner);
        let learnt = learnt.as_ref().map_or(0, |automaton| automaton.size());
        self.total.fetch_sub(self.size + learnt, Ordering::Relaxed);
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Regex").field("bytes", &self.pattern.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expressions_match_as_procmail_has_them() {
        let header = b"From sender@example.org Tue\nSubject: Test message number one\nMessage-ID: <x>\nX: third part\n\n";
        let cases: &[(&[u8], &[u8], bool)] = &[
            (br"^Subject: Test message number one$", header, true),
            (br"^Test", header, false),
            (br"one$Message-ID", header, true),
            (br"one$^Message-ID", header, false),
            (br"one$$", header, false),
            (br"^^From sender", header, true),
            (br"^^Subject", header, false),
            (br"a^", header, false),
            (br"^^^", header, false),
            (br"third part$$^^", header, true),
            (br"third part$^^", header, false),
            (br"()$$^^", header, true),
            (br"()$$$^^", header, false),
            (br".$^^", header, false),
            (br"c^^", b"abc", true),
            (br"b^^", b"abc", false),
            (br"^^abc^^", b"abc", true),
            (br"(^^a|c^^)", b"abc", true),
            (br"^^^^", b"abc", false),
            (br"^^^^", b"", true),
            (br"c$^^", b"abc", false),
            (br"a^^b", b"abc", false),
            (br"^^x|def^^", b"def", true),
            (br"()^^a", b"ab", true),
            (br"z*^^a", b"ba", false),
            (br"(z|()^^)a", b"ab", true),
            (br"a(^^|z)", b"ba", true),
            (br"a^^()", b"a", false),
            (br"a^^^^", b"a", false),
            (br"a(^^)?", b"ab", true),
            (br"^(^^)a", b"a", false),
            (br"^^^^^^", b"", false),
            (br"^^(^^|a)", b"ab", true),
            (br"nothing|", b"def", true),
            (br"[]]", b"a-]xb", true),
            (br"[^]abcd]", b"a-]xb", true),
            (br"a[x-]", b"a-]xb", true),
            (br"[\]", br"\d", true),
            (br"[[:alpha:]]-", b"a-]xb", false),
            (br"[d-b]", b"a-]xb", true),
            (br"[abc", b"abc", true),
            (br"a[", b"abc", false),
            (br"*a", b"abc", false),
            (br"^*abc", b"abc", true),
            (br"(*a)", b"abc", false),
            (br"a**b", b"a*b", true),
            (br"(abc", b"abc", true),
            (br"abc)", b"abc", true),
            (br"foo\>bar", b"foo bar", true),
            (br"foo\>\<bar", b"foo bar", false),
            (br"foo\>$", b"foo", false),
            (br"a[^b]b", b"a\nb", false),
            (br"^subject:.*TEST", header, true),
            (b"^^..^^", "\u{e9}".as_bytes(), true),
            (br"(a*)*b", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false),
        ];
        for (pattern, text, expected) in cases {
            let regex = Regex::new(pattern, Case::Fold);
            assert_eq!(regex.is_match(text), *expected, "{}", String::from_utf8_lossy(pattern));
        }
    }

    proptest! {
        #[test]
        fn no_match_lacks_what_was_thought_to_be_needed(
            pattern in "[abA()|*+?.\\[\\]^$\\\\/]{0,12}",
            text in "[abAB\n]{0,20}",
            fold: bool,
        ) {
            let regex = Regex::new(pattern.as_bytes(), if fold { Case::Fold } else { Case::Exact });
            prop_assert_eq!(regex.is_match(text.as_bytes()), regex.first_end(text.as_bytes(), 0).is_some());
        }
    }

    #[test]
    fn what_stands_behind_the_mark_is_the_longest_after_the_shortest() {
        type Marked = (&'static [u8], &'static [u8], Option<&'static [u8]>);
        let cases: &[Marked] = &[
            (br"a\/b*", b"aaabbbc", Some(b"")),
            (br"a+\/b+", b"aaabbbc", Some(b"bbb")),
            (br"a\/(a|ab|aab)", b"aaabbbc", Some(b"aab")),
            (br"^^a*\/a", b"aaabbbc", Some(b"a")),
            (br".*\/b.*", b"aaabbbc", Some(b"bbbc")),
            (br"(a|b)*\/c", b"aaabbbc", Some(b"c")),
            (br"a\/$b", b"a\nb", Some(b"\nb")),
            (br"()\/a$", b"a\nb", Some(b"a\n")),
            (br"^b\/$*", b"a\nb", Some(b"")),
            (br"()\/(^.*)+", b"a\nb", Some(b"a\nb")),
            (br"a\/b\/c", b"abcdef", Some(b"c")),
            (br"(a\/)?bc", b"abcdef", Some(b"bc")),
            (br"(z\/|a)b", b"abcdef", None),
            (br"(a\/b|b\/c)", b"abcdef", Some(b"b")),
            (br"()\/\<bar\>", b"foo bar baz", Some(b" bar ")),
            (br"^Subject: *\/[a-z ]+", b"Subject:   some words", Some(b"   some words")),
            (br"^Subject: +\/[^ ]+", b"Subject:   some words", Some(b"some")),
            (br"^Subject:.+\/f", b"Subject: ffoof", Some(b"f")),
            (br"^a+\/b*c*", b"aabbc", Some(b"abbc")),
            (br"()a+\/a", b"aaaa", Some(b"aaa")),
            (br"()\/.*^^", b"ab", Some(b"")),
            (br"a\/.*^^", b"ab", Some(b"b")),
            (br"a\/? b", b"a b", Some(b" b")),
        ];
        for (pattern, text, expected) in cases {
            let found = Regex::new(pattern, Case::Fold).find(text, 0).expect("matches");
            let marked = found.marked().map(|range| &text[range]);
            assert_eq!(marked, *expected, "{}", String::from_utf8_lossy(pattern));
        }
    }

    #[test]
    fn deep_nesting_neither_overflows_nor_slows_down() {
        let mut pattern = vec![b'('; 100_000];
        pattern.push(b'a');
        assert!(Regex::new(&pattern, Case::Fold).is_match(b"xa"));
    }
}
