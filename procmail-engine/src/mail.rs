//! The mail as the language sees it: a header, a body, and the forms in which they are written.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use crate::regex::{Searched, fold_case};
use crate::shown::Length;

/// A mail, split at its first empty line.
#[derive(Clone)]
pub struct Mail {
    bytes: Vec<u8>,
    body: usize,
    /// How much of the body `Content-Length` covers, so that no `From ` line in it has to be escaped.
    covered: Option<usize>,
    /// The header with continued lines joined, if there are any.
    joined: Option<Vec<u8>>,
    /// Header and body as they are searched, with the case of letters folded, once a condition has looked there.
    folded: [OnceLock<Box<[u8]>>; 2],
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("header", &Length(self.area(Area::Header)))
            .field("body", &Length(self.area(Area::Body)))
            .finish()
    }
}

impl PartialEq for Mail {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Mail {}

/// Longer texts are not kept with their case folded.
const MAX_FOLDED: usize = 1 << 18;

/// Columns of a `Content-Length` field into which its number is set to the right.
const LONGEST_NUMBER: usize = 26;

/// What of a mail a condition looks at, or an action gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Area {
    /// The header with the empty line that ends it.
    Header,
    /// What comes behind.
    Body,
    /// Both.
    Whole,
}

impl Mail {
    /// Takes a mail with LF as line end. Leading empty lines belong to the header.
    pub fn new(bytes: Vec<u8>) -> Self {
        let lead = bytes.iter().position(|&byte| byte != b'\n').unwrap_or(bytes.len());
        let body = memchr::memmem::find(&bytes[lead..], b"\n\n").map_or(bytes.len(), |at| lead + at + 2);
        let joined = join_lines(&bytes[..body]);
        Self { bytes, body, covered: None, joined, folded: Default::default() }
    }

    /// The mail with the first `Content-Length` made true, as procmail does it: the field keeps its width, so that a number
    /// for which it has no room becomes nines, and the body's last line is one short if it is empty or a single octet.
    pub(crate) fn with_true_length(mut self) -> Self {
        let Some(value) = content_length(self.area(Area::Header)) else { return self };
        let lone_end = self.bytes.iter().nth_back(1) == Some(&b'\n');
        let length = self.area(Area::Body).len().saturating_sub(usize::from(lone_end));
        let number = value.len().min(LONGEST_NUMBER);
        let mut shown = format!("{length:>number$}");
        if shown.len() > number {
            shown = "9".repeat(number);
        }
        self.covered = shown.trim_start().parse().ok();
        let mut shown = shown.into_bytes();
        shown.resize(value.len(), b' ');
        if let Some(joined) = &mut self.joined {
            joined[value.clone()].copy_from_slice(&shown);
        }
        self.bytes[value].copy_from_slice(&shown);
        self
    }

    /// Part of the mail, to be written.
    pub(crate) fn content(&self, area: Area, raw: bool) -> Content {
        let bytes = self.area(area).to_vec();
        let body = match area {
            Area::Body => 0,
            Area::Header | Area::Whole => self.body.min(bytes.len()),
        };
        Content { bytes, body, raw, covered: self.covered }
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All of it, ended by an empty line, as programs read it.
    pub(crate) fn with_end(&self) -> Cow<'_, [u8]> {
        with_end(&self.bytes)
    }

    /// An area as it stands in the mail.
    pub fn area(&self, area: Area) -> &[u8] {
        match area {
            Area::Header => &self.bytes[..self.body],
            Area::Body => &self.bytes[self.body..],
            Area::Whole => &self.bytes,
        }
    }

    /// An area as conditions see it: in the header, a newline before a blank is a space.
    pub fn searched(&self, area: Area) -> Cow<'_, [u8]> {
        match (area, &self.joined) {
            (Area::Header, Some(joined)) => Cow::Borrowed(joined),
            (Area::Whole, Some(joined)) => Cow::Owned([joined, self.area(Area::Body)].concat()),
            _ => Cow::Borrowed(self.area(area)),
        }
    }

    /// An area as conditions see it, with its case folded as well if that is kept.
    pub(crate) fn folded<'m>(&'m self, area: Area, searched: &'m [u8]) -> Searched<'m> {
        let kept = match area {
            Area::Header => &self.folded[0],
            Area::Body => &self.folded[1],
            Area::Whole => return Searched::new(searched),
        };
        if searched.len() > MAX_FOLDED {
            return Searched::new(searched);
        }
        Searched::with_folded(searched, kept.get_or_init(|| fold_case(searched)))
    }

    /// The mail with an area replaced, split anew.
    #[must_use]
    pub fn with(&self, area: Area, replacement: &[u8]) -> Self {
        Self::new(match area {
            Area::Header => [replacement, self.area(Area::Body)].concat(),
            Area::Body => [self.area(Area::Header), replacement].concat(),
            Area::Whole => replacement.to_vec(),
        })
    }

    /// The `From ` line with which it starts, without its end.
    pub fn from_line(&self) -> Option<&[u8]> {
        let line = self.bytes.split(|&byte| byte == b'\n').next()?;
        line.starts_with(b"From ").then_some(line)
    }

    /// The first line of a header field, without its name. The name is compared without regard to case.
    pub fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.field_line(name).map(|line| &line[name.len() + 1..])
    }

    /// The first line of a header field with its name as it is written.
    pub(crate) fn field_line(&self, name: &[u8]) -> Option<&[u8]> {
        self.area(Area::Header).split(|&byte| byte == b'\n').find(|line| {
            let parts = line.split_at_checked(name.len());
            parts.is_some_and(|(start, rest)| start.eq_ignore_ascii_case(name) && rest.starts_with(b":"))
        })
    }
}

/// A text with an empty line at its end.
pub(crate) fn with_end(text: &[u8]) -> Cow<'_, [u8]> {
    match text.ends_with(b"\n\n") {
        true => Cow::Borrowed(text),
        false => Cow::Owned([text, b"\n"].concat()),
    }
}

fn join_lines(header: &[u8]) -> Option<Vec<u8>> {
    let folded = |at: usize| matches!(header.get(at + 1), Some(b' ' | b'\t'));
    if !memchr::memchr_iter(b'\n', header).any(folded) {
        return None;
    }
    let mut joined = header.to_vec();
    for at in memchr::memchr_iter(b'\n', header).filter(|&at| folded(at)) {
        joined[at] = b' ';
    }
    Some(joined)
}

/// Whether `text` starts with `From ` lines, and how long they are: that of the mail and the `>From ` ones behind it.
fn from_lines(text: &[u8]) -> usize {
    let line = |rest: &[u8]| memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
    if !text.starts_with(b"From ") {
        return 0;
    }
    let mut at = line(text);
    while text[at..].starts_with(b">From ") {
        at += line(&text[at..]);
    }
    at
}

/// What is to be written, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    pub(crate) bytes: Vec<u8>,
    /// Where the body starts in `bytes`, if there is one.
    pub(crate) body: usize,
    pub(crate) raw: bool,
    /// How much of the body `Content-Length` covers.
    pub(crate) covered: Option<usize>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("bytes", &Length(&self.bytes)).field("raw", &self.raw).finish()
    }
}

impl Content {
    /// As it is.
    pub fn raw(&self) -> &[u8] {
        &self.bytes
    }

    /// For a file that holds one mail, and for programs: an empty line ends it, unless the recipe has the flag `r`.
    pub fn with_end(&self) -> Cow<'_, [u8]> {
        if self.raw { Cow::Borrowed(&self.bytes) } else { with_end(&self.bytes) }
    }

    /// For a Maildir: without the `From ` line.
    pub fn for_maildir(&self) -> &[u8] {
        &self.bytes[from_lines(&self.bytes)..]
    }

    /// For a mailer: without the `From ` line, with an end.
    pub fn for_mailer(&self) -> Cow<'_, [u8]> {
        let skip = from_lines(&self.bytes);
        match self.with_end() {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[skip..]),
            Cow::Owned(bytes) => Cow::Owned(bytes[skip..].to_vec()),
        }
    }

    /// For a mailbox of many mails: `From ` at the start of a line gets a `>`, other than in what `Content-Length` covers;
    /// an empty line ends it; nothing of this with the flag `r`.
    pub fn for_mbox(&self) -> Cow<'_, [u8]> {
        if self.raw {
            return Cow::Borrowed(&self.bytes);
        }
        let mut out = Vec::with_capacity(self.bytes.len() + 8);
        self.escape(&mut out);
        if !out.ends_with(b"\n\n") {
            out.push(b'\n');
        }
        Cow::Owned(out)
    }

    fn escape(&self, out: &mut Vec<u8>) {
        // Where a header comes first, the first line with something in it may be the mail's own `From ` line.
        let own = match self.body {
            0 => 0,
            _ => self.bytes.iter().position(|&byte| byte != b'\n').unwrap_or(0),
        };
        let covered = self.covered.map(|length| self.body..=self.body.saturating_add(length));
        let mut copied = 0;
        for at in memchr::memmem::find_iter(&self.bytes, b"\nFrom ").map(|at| at + 1) {
            if at != own && !covered.as_ref().is_some_and(|covered| covered.contains(&at)) {
                out.extend_from_slice(&self.bytes[copied..at]);
                out.push(b'>');
                copied = at;
            }
        }
        out.extend_from_slice(&self.bytes[copied..]);
    }
}

/// Where the value of `Content-Length` stands, with its blanks.
fn content_length(header: &[u8]) -> Option<std::ops::Range<usize>> {
    const NAME: &[u8] = b"content-length:";
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', header).chain([header.len()]) {
        let line = &header[start..end];
        if line.len() >= NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            return Some(start + NAME.len()..end);
        }
        start = end + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_split_behind_its_first_empty_line() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"A: b\n\nc\n\nd", b"A: b\n\n"),
            (b"\n\nA: b\n\nc", b"\n\nA: b\n\n"),
            (b"A: b\nc\n", b"A: b\nc\n"),
            (b"", b""),
        ];
        for (mail, header) in cases {
            assert_eq!(Mail::new(mail.to_vec()).area(Area::Header), *header);
        }
    }

    #[test]
    fn conditions_see_continued_lines_as_one() {
        let mail = Mail::new(b"A: b\n\tc\nD: e\n\nf\n g".to_vec());
        assert_eq!(&*mail.searched(Area::Whole), b"A: b \tc\nD: e\n\nf\n g");
        assert_eq!(mail.bytes(), b"A: b\n\tc\nD: e\n\nf\n g");
    }

    fn written(mail: &str, area: Area) -> String {
        let mail = Mail::new(mail.as_bytes().to_vec()).with_true_length();
        String::from_utf8(mail.content(area, false).for_mbox().into_owned()).expect("it was UTF-8")
    }

    #[test]
    fn mailboxes_get_an_escaped_body_and_an_empty_line() {
        let table = [
            (Area::Whole, "From a\nS: x\n\nFrom me\nx", "From a\nS: x\n\n>From me\nx\n"),
            (Area::Whole, "\n\nFrom a\nFrom b\n\nx\n\n", "\n\nFrom a\n>From b\n\nx\n\n"),
            (Area::Whole, "\nS: x\nFrom b\n", "\nS: x\n>From b\n\n"),
            (Area::Header, "\n\nFrom a\nFrom b\n\nFrom c\n", "\n\nFrom a\n>From b\n\n"),
            (Area::Body, "S: x\n\nFrom me\nFrom you\n", "From me\n>From you\n\n"),
            (Area::Body, "S: x\n\n\n\nFrom me\nFrom you\n", "\n\n>From me\n>From you\n\n"),
            (Area::Whole, "S: x\n\n\n\nFrom me\n", "S: x\n\n\n\n>From me\n\n"),
        ];
        for (area, mail, expected) in table {
            assert_eq!(written(mail, area), expected, "{area:?} of {mail:?}");
        }
    }

    #[test]
    fn content_length_gets_the_true_length_and_covers_it() {
        // What follows the name of the field, the body; what stands there afterwards. As procmail does it, which was asked.
        let table = [
            (": 5", "From me\nFrom you\n", ":17", "From me\nFrom you\n\n"),
            (": 5", "From me\nx", ": 8", "From me\nx\n"),
            (": 5", "From me\nxy", ":10", "From me\nxy\n"),
            (": 5678 ", "From me\n\n", ":     8", "From me\n\n"),
            (": 5", "\nFrom me\n\n\n", ":10", "\nFrom me\n\n\n"),
            (": 500 x", "From me\n", ":     8", "From me\n\n"),
            (": -3\t", "From me\n", ":   8", "From me\n\n"),
            (":x", "From me\n", ":8", "From me\n\n"),
            (": ", "From me\n", ":8", "From me\n\n"),
            (": 5\r", "From me\n", ":  8", "From me\n\n"),
            (": 5", "", ": 0", ""),
            (": 5", "\n", ": 0", "\n"),
            (": 5", "\n\n", ": 1", "\n\n"),
            (":\t5\n 6", "From me\n", ": 8\n 6", "From me\n\n"),
            (": 5\ncontent-length: 6", "From me\n", ": 8\ncontent-length: 6", "From me\n\n"),
            (": 5\nFrom: x\nFrom us", "From me\n", ": 8\nFrom: x\n>From us", "From me\n\n"),
            // No room: as many nines, and what is behind them is escaped.
            (":5", "12345678\nFrom me\n", ":9", "12345678\nFrom me\n\n"),
            (":5", "123456789\nFrom me\n", ":9", "123456789\n>From me\n\n"),
            (":5", "1234\nFrom me\nFrom you\n", ":9", "1234\nFrom me\n>From you\n\n"),
            // Too much room.
            (":30                        01", "From me\n", ":                         8  ", "From me\n\n"),
            // None, or none of the header.
            (":", "x\nFrom me\n", ":", "x\n>From me\n\n"),
            (":\n 5", "x\nFrom me\n", ":\n 5", "x\n>From me\n\n"),
            (":\nContent-Length: 5", "x\nFrom me\n", ":\nContent-Length: 5", "x\n>From me\n\n"),
            (" : 5", "From me\n", " : 5", ">From me\n\n"),
            ("\n\nContent-Length: 5", "From me\n", "\n\nContent-Length: 5", ">From me\n\n"),
        ];
        for (field, body, shown, stored) in table {
            let mail = format!("S: x\nContent-Length{field}\n\n{body}");
            assert_eq!(
                written(&mail, Area::Whole),
                format!("S: x\nContent-Length{shown}\n\n{stored}"),
                "{mail:?}"
            );
        }
    }

    #[test]
    fn a_content_length_of_any_width_is_made_true() {
        let field = |value: String| format!("Content-Length:{value}\n\nFrom me\n");
        for width in [26, 27, 65_536, 70_000] {
            let shown = format!("{:>26}", 8) + &" ".repeat(width - 26);
            assert_eq!(written(&field("5".repeat(width)), Area::Whole), field(shown) + "\n", "{width}");
        }
    }

    #[test]
    fn a_field_with_no_room_covers_nothing() {
        // procmail spares the very start of the body, and so lets others begin a message there.
        assert_eq!(written("Content-Length:\n\nFrom me\n", Area::Whole), "Content-Length:\n\n>From me\n\n");
    }

    #[test]
    fn what_content_length_covers_is_not_escaped_without_the_header_either() {
        assert_eq!(written("Content-Length: 5\n\nx\nFrom me\n", Area::Body), "x\nFrom me\n\n");
        assert_eq!(
            written("Content-Length:5\n\n123456789\nFrom me\n", Area::Body),
            "123456789\n>From me\n\n"
        );
        assert_eq!(written("Content-Length: 5\n\nx\nFrom me\n", Area::Header), "Content-Length:10\n\n");
    }
}
