//! Text of which each byte knows where it came from.

use crate::syntax::{Condition, Span};

/// Text with the place of each of its bytes in the source.
#[derive(Debug, Clone, Default)]
pub(super) struct Traced {
    pub(super) bytes: Vec<u8>,
    at: Vec<usize>,
    /// Bytes that stand for a value that is not known.
    values: Vec<bool>,
    /// Where the text ends in the source.
    end: usize,
}

impl Traced {
    /// The text of a condition, continued lines joined.
    pub(super) fn condition(source: &[u8], condition: &Condition) -> Self {
        let mut text = Self { end: condition.span.end, ..Self::default() };
        let mut at = condition.span.start;
        let blanks = |at: usize| {
            source[at..condition.span.end].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
        };
        if source.get(at) == Some(&b'*') {
            at += 1;
            at += blanks(at);
        }
        let mut starts = true;
        while at < condition.span.end && text.bytes.len() < condition.text.len() {
            if source[at] == b'\\' && source.get(at + 1) == Some(&b'\n') {
                // A line with nothing else is an empty one.
                if starts {
                    text.push(b'\n', at + 1);
                }
                at += 2;
                starts = blanks(at.min(condition.span.end)) == 0;
                at += blanks(at.min(condition.span.end));
                continue;
            }
            starts = false;
            text.push(source[at], at);
            at += 1;
        }
        text.end = text.at.last().map_or(at, |last| last + 1);
        text
    }

    pub(super) fn push(&mut self, byte: u8, at: usize) {
        self.bytes.push(byte);
        self.at.push(at);
        self.values.push(false);
    }

    /// Adds what stands for a value.
    pub(super) fn push_value(&mut self, at: usize) {
        self.push(b'$', at);
        if let Some(last) = self.values.last_mut() {
            *last = true;
        }
    }

    pub(super) fn is_value(&self, at: usize) -> bool {
        self.values.get(at).copied().unwrap_or(false)
    }

    /// Where bytes of the text stand in the source.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        let from = self.at.get(start).copied().unwrap_or(self.end);
        let to = if end > start { self.at.get(end - 1).map_or(self.end, |at| at + 1) } else { from };
        Span { start: from, end: to.max(from) }
    }

    /// All from one byte on.
    pub(super) fn from(&self, start: usize) -> Self {
        let start = start.min(self.bytes.len());
        Self {
            bytes: self.bytes[start..].to_vec(),
            at: self.at[start..].to_vec(),
            values: self.values[start..].to_vec(),
            end: self.end,
        }
    }

    /// What is read behind the `$` of a condition, from one byte on: variables are put in, and some backslashes and all
    /// double quotes go. Also tells where quotes went, and the names of the variables with their places.
    pub(super) fn expanded(&self, start: usize) -> Expansion {
        let mut expansion =
            Expansion { text: Self { end: self.end, ..Self::default() }, ..Expansion::default() };
        let mut at = start;
        while let Some(&byte) = self.bytes.get(at) {
            let place = self.at[at];
            let next = self.bytes.get(at + 1).copied();
            at += 1;
            match byte {
                b'\\' if matches!(next, Some(b'"' | b'\\' | b'$' | b'`')) => {
                    expansion.text.push(next.unwrap_or_default(), place);
                    at += 1;
                }
                b'"' => expansion.quotes.push(self.span(at - 1, at)),
                b'`' => {
                    let close = memchr::memchr(b'`', &self.bytes[at..]);
                    at = close.map_or(self.bytes.len(), |close| at + close + 1);
                    expansion.text.push_value(place);
                    expansion.values += 1;
                }
                b'$' => {
                    let (name, used) = variable(&self.bytes[at..]);
                    if used == 0 {
                        expansion.text.push(byte, place);
                        continue;
                    }
                    expansion.names.push((name, self.span(at - 1, at + used)));
                    expansion.values += 1;
                    expansion.text.push_value(place);
                    at += used;
                }
                _ => expansion.text.push(byte, place),
            }
        }
        expansion
    }
}

/// What becomes of a text behind `$`.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    pub(super) text: Traced,
    /// The double quotes that vanish.
    pub(super) quotes: Vec<Span>,
    /// The plain variables in it.
    pub(super) names: Vec<(Vec<u8>, Span)>,
    /// How many values are put in.
    pub(super) values: usize,
}

/// The variable behind a `$`: its name, and how many bytes it takes; none if that dollar stands for itself.
pub(super) fn variable(text: &[u8]) -> (Vec<u8>, usize) {
    let name_length =
        |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    match text.first() {
        Some(b'{') => {
            let length = name_length(&text[1..]);
            let mut depth = 0usize;
            let close = text.iter().position(|byte| {
                match byte {
                    b'{' => depth += 1,
                    b'}' => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            // With an alternative it is defined in any case.
            let plain = text.get(1 + length) == Some(&b'}');
            let name = if plain { text[1..=length].to_vec() } else { Vec::new() };
            (name, close.map_or(text.len(), |close| close + 1))
        }
        Some(b'\\') if name_length(&text[1..]) > 0 => {
            let length = name_length(&text[1..]);
            (text[1..=length].to_vec(), length + 1)
        }
        Some(byte) if byte.is_ascii_digit() || b"#$?-=@".contains(byte) => (Vec::new(), 1),
        Some(_) => {
            let length = name_length(text);
            // An underscore alone is the name of the rc file.
            let name = if &text[..length] == b"_" { &[] } else { &text[..length] };
            (name.to_vec(), length)
        }
        None => (Vec::new(), 0),
    }
}
