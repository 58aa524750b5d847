//! The line with which a recipe begins: its flags, and its lock.

use std::borrow::Cow;

use super::Chain;
use super::trace::{ChainFlag, Chained};
use crate::mail::Area;

/// What the line of a recipe says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) searches_header: bool,
    pub(crate) searches_body: bool,
    pub(crate) exact_case: bool,
    pub(crate) also: bool,
    pub(crate) also_if_succeeded: bool,
    pub(crate) or_else: bool,
    pub(crate) on_error: bool,
    pub(crate) gives_header: bool,
    pub(crate) gives_body: bool,
    pub(crate) filters: bool,
    pub(crate) copies: bool,
    pub(crate) waits: bool,
    pub(crate) waits_quietly: bool,
    pub(crate) ignores_write_errors: bool,
    pub(crate) raw: bool,
    /// The lock, if there is to be one; empty if its name is to be derived.
    pub(crate) lock: Option<Vec<u8>>,
    /// Whether a name is given for the lock that is empty, as `: ""` has it: then none is taken.
    pub(super) nameless_lock: bool,
    /// What could not be read.
    pub(crate) rest: Vec<u8>,
}

impl Head {
    /// Reads the expanded words behind the colon.
    pub(crate) fn parse(words: &[impl AsRef<[u8]>]) -> Self {
        let mut head = Self::default();
        let line = match words {
            [word] => Cow::Borrowed(word.as_ref()),
            _ => Cow::Owned(joined(words)),
        };
        let mut at = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        while let Some(&byte) = line.get(at) {
            match byte {
                b' ' | b'\t' => {}
                b'H' => head.searches_header = true,
                b'B' => head.searches_body = true,
                b'D' => head.exact_case = true,
                b'A' => head.also = true,
                b'a' => head.also_if_succeeded = true,
                b'E' => head.or_else = true,
                b'e' => head.on_error = true,
                b'h' => head.gives_header = true,
                b'b' => head.gives_body = true,
                b'f' => head.filters = true,
                b'c' => head.copies = true,
                b'w' => head.waits = true,
                b'W' => head.waits_quietly = true,
                b'i' => head.ignores_write_errors = true,
                b'r' => head.raw = true,
                b':' => {
                    // The name is the next word, whatever it consists of.
                    let (name, rest) = lock_name(words, at + 1);
                    head.nameless_lock = name.as_ref().is_some_and(Vec::is_empty);
                    head.lock = Some(name.unwrap_or_default());
                    head.rest = rest;
                    break;
                }
                _ => {
                    head.rest = line[at..].to_vec();
                    break;
                }
            }
            at += 1;
        }
        head
    }

    /// The area that conditions search.
    pub(crate) fn searched(&self) -> Area {
        match (self.searches_header, self.searches_body) {
            (true, true) => Area::Whole,
            (false, true) => Area::Body,
            _ => Area::Header,
        }
    }

    /// The part of the mail that the action gets, if it is not all.
    pub(crate) fn given_part(&self) -> Option<Area> {
        Some(self.given()).filter(|area| *area != Area::Whole)
    }

    /// The area that the action gets.
    pub(super) fn given(&self) -> Area {
        match (self.gives_header, self.gives_body) {
            (true, false) => Area::Header,
            (false, true) => Area::Body,
            _ => Area::Whole,
        }
    }

    /// What the flags say that make the recipe depend on those before it.
    pub(super) fn chained(&self, chain: Chain) -> impl Iterator<Item = Chained> {
        let flags = [
            (self.also, ChainFlag::And, chain.last),
            (self.also_if_succeeded, ChainFlag::AndSucceeded, chain.last && chain.succeeded),
            (self.or_else && !self.on_error, ChainFlag::Else, !chain.previous),
            (self.on_error, ChainFlag::OnError, chain.previous && !chain.succeeded),
        ];
        flags.into_iter().filter(|(set, ..)| *set).map(|(_, flag, holds)| Chained { flag, holds })
    }

    pub(super) fn waits_for_exit(&self) -> bool {
        self.waits || self.waits_quietly || self.lock.is_some()
    }
}

/// Words with a space between them.
pub(super) fn joined(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
    words.join(&b' ')
}

/// The word behind the colon that ends the first `before` bytes of the line, if there is one, and the words behind it.
fn lock_name(words: &[impl AsRef<[u8]>], before: usize) -> (Option<Vec<u8>>, Vec<u8>) {
    let mut seen = 0;
    for (number, word) in words.iter().enumerate() {
        let word = word.as_ref();
        if seen + word.len() >= before {
            let inside = &word[before - seen..];
            let (name, rest) = if inside.is_empty() {
                let next = words.get(number + 1).map(AsRef::as_ref);
                (next, words.get(number + 2..).unwrap_or_default())
            } else {
                (Some(inside), &words[number + 1..])
            };
            return (name.map(<[u8]>::to_vec), joined(rest));
        }
        seen += word.len() + 1;
    }
    (None, Vec::new())
}
