//! Where the messages of an mbox begin and end.
//!
//! A message begins with a From_ line: `From ` at the start of a line and a date behind it, as mutt and Dovecot see it. An
//! empty line need not stand before it, and belongs to no message if it does. A `Content-Length:` field is believed only
//! if a From_ line or the end of the file follows where it says that the body ends; so it may cover lines that look like
//! From_ lines, and one that lies does no harm.
//!
//! The file is read once, through a buffer of fixed size, and a little of it where `Content-Length:` fields point to, so that
//! the work grows with the size of the file, whatever they say. On the way the line ends are counted, and what tells a
//! message from all others is hashed.

use std::collections::hash_map::{DefaultHasher, RandomState};
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use memchr::{memchr, memmem};

use super::notes::{FieldKind, LONGEST_NAME};
use crate::flags::Flags;
use crate::from_line::{FromDate, MARK, is_from_line};
use crate::line_endings::count_lone_lfs;

/// Octets that are read at once; fewer in tests, which look at each place where reads can end.
const WINDOW: usize = if cfg!(test) { 4096 } else { 128 * 1024 };
/// Longest From_ line in the middle of a file.
const LONGEST_FROM_LINE: usize = 1024;
/// Octets that are read where a `Content-Length:` field points to: the last of the body, an empty line, and a From_ line of
/// usual length, or the longest.
const AHEAD: usize = 128;
const FAR_AHEAD: usize = LONGEST_FROM_LINE + 5;

/// A message of an mbox, by offsets into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MboxMessage {
    /// Its From_ line.
    pub start: u64,
    /// The header, behind the From_ line.
    pub header: u64,
    /// The body, behind the empty line that ends the header.
    pub body: u64,
    /// The end of the body, without the empty line that separates it from the next message.
    pub end: u64,
    /// The next From_ line, or the end of the file.
    pub next: u64,
    /// Octets from the header to the end, without [the notes of readers](crate::MBOX_NOTES), with each line ended by CRLF.
    pub octets: u64,
    /// Whether a `Content-Length:` field told the end: then no `>` in the body stands for quoting.
    pub counted: bool,
    /// What `Status:` and `X-Status:` say.
    pub flags: Flags,
    /// Whether there are notes of readers in the header.
    pub(super) has_notes: bool,
    /// When it was delivered, as its From_ line says.
    pub(super) date: Option<FromDate>,
    /// Tells messages apart, but for fields that readers write and line ends behind them, within this process.
    pub(super) fingerprint: u64,
}

/// What an mbox is read from.
pub(super) trait ReadAt {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl MboxMessage {
    /// The messages of an mbox that is in memory; none if it is no mbox, since something stands before the first From_
    /// line. `content_length` says whether that field is heeded.
    ///
    /// ```
    /// use maildrop::MboxMessage;
    ///
    /// let mbox = b"From a@b Tue Jan  2 03:04:05 2001\nSubject: x\n\nFrom me to you\n\nFrom c@d Tue Jan  2 03:04:06 2001\n\n";
    /// let messages = MboxMessage::all_in(mbox, true).unwrap();
    /// assert_eq!(messages.len(), 2);
    /// assert_eq!(&mbox[messages[0].header as usize..messages[0].end as usize], b"Subject: x\n\nFrom me to you\n");
    /// assert_eq!(MboxMessage::all_in(b"Subject: x\n\n", true), None);
    /// ```
    pub fn all_in(mbox: &[u8], content_length: bool) -> Option<Vec<MboxMessage>> {
        let scanned = scan(mbox, mbox.len() as u64, content_length);
        scanned.expect("reading from memory does not fail")
    }
}

/// Reads the messages in the first `size` octets. `None` if it is no mbox.
pub(super) fn scan<R: ReadAt + ?Sized>(
    source: &R,
    size: u64,
    content_length: bool,
) -> io::Result<Option<Vec<MboxMessage>>> {
    let mut window = Window { source, size, buffer: Vec::new(), base: 0, ahead: Vec::new() };
    let mut start = 0;
    while let [b'\n' | b'\r', ..] = window.piece(start, 1)? {
        start += 1;
    }
    if start == size {
        return Ok(Some(Vec::new()));
    }
    if !window.piece(start, MARK.len())?.starts_with(MARK) {
        return Ok(None);
    }
    let (mut messages, first) = (Vec::new(), start);
    while start < size {
        let (message, internal) = window.message(start, content_length)?;
        // The first message of some programs is not one, but what they know of the others.
        if !(internal && start == first) {
            messages.push(message);
        }
        start = message.next;
    }
    Ok(Some(messages))
}

/// Whether a message stands where it was found, but for what readers write into headers without moving anything.
pub(super) fn is_in_place<R: ReadAt + ?Sized>(
    source: &R,
    message: &MboxMessage,
    content_length: bool,
) -> io::Result<bool> {
    // What comes behind it is no part of it.
    let mut window = Window { source, size: message.next, buffer: Vec::new(), base: 0, ahead: Vec::new() };
    match window.message(message.start, content_length) {
        Ok((found, _)) => Ok(MboxMessage { flags: message.flags, ..found } == *message),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A part of the file that is in memory.
struct Window<'a, R: ?Sized> {
    source: &'a R,
    size: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    base: u64,
    /// What was looked at elsewhere.
    ahead: Vec<u8>,
}

/// What the fields of a header say.
#[derive(Default)]
struct Fields {
    content_length: Option<u64>,
    flags: Flags,
    has_notes: bool,
    /// The pseudo-message in which UW IMAP keeps its data.
    internal: bool,
}

impl<R: ReadAt + ?Sized> Window<'_, R> {
    /// The file from an offset on, as much of it as is in memory, which is `least` octets unless the file ends before.
    fn piece(&mut self, at: u64, least: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX);
        let least = least.min(left);
        let inside = at >= self.base && at - self.base + least as u64 <= self.buffer.len() as u64;
        if !inside {
            self.buffer.resize(WINDOW.min(left), 0);
            fill(self.source, &mut self.buffer, at)?;
            self.base = at;
        }
        let from = usize::try_from(at - self.base).unwrap_or(usize::MAX).min(self.buffer.len());
        Ok(&self.buffer[from..])
    }

    /// So many octets from an offset on, unless the file ends before. What is in memory stays there.
    fn look(&mut self, at: u64, most: usize) -> io::Result<&[u8]> {
        let most = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX).min(most);
        let inside = at >= self.base && at - self.base + most as u64 <= self.buffer.len() as u64;
        if inside {
            return Ok(&self.piece(at, most)?[..most]);
        }
        self.ahead.resize(most, 0);
        fill(self.source, &mut self.ahead, at)?;
        Ok(&self.ahead)
    }

    /// Goes to behind the next LF, telling about all octets on the way.
    fn pass_line(&mut self, mut at: u64, mut seen: impl FnMut(&[u8])) -> io::Result<u64> {
        loop {
            let piece = self.piece(at, 1)?;
            if piece.is_empty() {
                return Ok(at);
            }
            let end = memchr(b'\n', piece).map(|lf| lf + 1);
            let line = &piece[..end.unwrap_or(piece.len())];
            seen(line);
            at += line.len() as u64;
            if end.is_some() {
                return Ok(at);
            }
        }
    }

    /// The first octets of the line at an offset, up to its LF.
    fn line_start(&mut self, at: u64, most: usize) -> io::Result<&[u8]> {
        let piece = self.piece(at, most)?;
        let piece = &piece[..piece.len().min(most)];
        Ok(&piece[..memchr(b'\n', piece).unwrap_or(piece.len())])
    }

    fn is_from_line(&mut self, at: u64) -> io::Result<bool> {
        Ok(self.piece(at, MARK.len())?.starts_with(MARK)
            && is_from_line(self.line_start(at, LONGEST_FROM_LINE)?))
    }

    fn message(&mut self, start: u64, heeded: bool) -> io::Result<(MboxMessage, bool)> {
        let mut text = Text::default();
        let date = FromDate::of(self.line_start(start, LONGEST_FROM_LINE)?);
        let mut header = self.pass_line(start, |line| text.hash(line))?;
        // Older From_ lines. One that is not quoted may be among them, as with Dovecot.
        let mut unquoted = 0;
        loop {
            if !self.piece(header, 6)?.starts_with(b">From ") {
                unquoted += 1;
                if unquoted > 1 || !self.is_from_line(header)? {
                    break;
                }
            }
            header = self.pass_line(header, |line| text.hash(line))?;
        }
        let mut fields = Fields::default();
        let (body, ended) = self.header(header, &mut text, &mut fields)?;
        let mut message = MboxMessage {
            start,
            header,
            body,
            end: body,
            next: body,
            octets: 0,
            counted: false,
            flags: fields.flags,
            has_notes: fields.has_notes,
            date,
            fingerprint: 0,
        };
        if ended {
            let counted = match fields.content_length.filter(|_| heeded) {
                Some(length) => self.counted_end(body, length)?,
                None => None,
            };
            if let Some((end, next)) = counted {
                (message.counted, message.end, message.next) = (true, end, next);
                self.take(body, end, &mut text)?;
            } else {
                message.next = self.find_from_line(body)?;
                message.end = self.without_empty_line(body, message.next)?;
                self.take(body, message.end, &mut text)?;
            }
        }
        // Readers are lent an end of the last line too.
        message.octets = text.octets + if text.last == b'\n' { 0 } else { 2 };
        message.fingerprint = text.hash.finish();
        Ok((message, fields.internal))
    }

    /// Goes through a header. Answers where it ends, and whether with an empty line; else another message, or nothing,
    /// comes behind it.
    fn header(&mut self, mut at: u64, text: &mut Text, fields: &mut Fields) -> io::Result<(u64, bool)> {
        let mut kind = FieldKind::Other;
        loop {
            let start = self.line_start(at, LONGEST_NAME)?;
            let empty = matches!(start, [] | [b'\r']);
            if (empty && at == self.size) || self.is_from_line(at)? {
                return Ok((at, false));
            }
            let start = self.line_start(at, LONGEST_NAME)?;
            if !matches!(start, [b' ' | b'\t', ..]) {
                kind = fields.take(start);
            }
            at = self.pass_line(at, |line| text.take(line, kind))?;
            if empty {
                return Ok((at, true));
            }
        }
    }

    /// Where a body of this length ends, and where the next message begins, if one or the end of the file follows.
    fn counted_end(&mut self, body: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
        let Some(end) = body.checked_add(length).filter(|&end| end <= self.size) else { return Ok(None) };
        let size = self.size;
        // The last octet of the body tells whether its last line is whole.
        let last = u64::from(end > body);
        for most in [AHEAD, FAR_AHEAD] {
            let seen = self.look(end - last, most)?;
            let (before, mut rest) = seen.split_at(usize::from(last == 1).min(seen.len()));
            let mut whole_line = matches!(before, [] | [b'\n']);
            // The line feed of the last line, where it is not counted, and the empty line.
            for _ in 0..if whole_line { 1 } else { 2 } {
                rest = match rest {
                    [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => rest,
                    _ => break,
                };
                whole_line = true;
            }
            let next = end - last + (seen.len() - rest.len()) as u64;
            if next == size {
                return Ok(Some((end, next)));
            }
            if !whole_line || !rest.starts_with(MARK) {
                return Ok(None);
            }
            let line = &rest[..rest.len().min(LONGEST_FROM_LINE)];
            match memchr(b'\n', line) {
                None if most == AHEAD => {}
                end_of_line => {
                    let line = &line[..end_of_line.unwrap_or(line.len())];
                    return Ok(is_from_line(line).then_some((end, next)));
                }
            }
        }
        Ok(None)
    }

    /// The first From_ line at or behind the start of a body, or the end of the file.
    fn find_from_line(&mut self, body: u64) -> io::Result<u64> {
        if self.is_from_line(body)? {
            return Ok(body);
        }
        let finder = memmem::Finder::new(b"\nFrom ");
        let mut at = body;
        loop {
            let piece = self.piece(at, 6)?;
            match finder.find(piece) {
                Some(found) => {
                    at += found as u64 + 1;
                    if self.is_from_line(at)? {
                        return Ok(at);
                    }
                }
                None => {
                    at += piece.len() as u64;
                    if at >= self.size {
                        return Ok(self.size);
                    }
                    // It may begin in what was read and go on behind it.
                    at -= 5.min(at - body);
                }
            }
        }
    }

    /// The end of a body, without an empty line that it ends with.
    fn without_empty_line(&mut self, body: u64, next: u64) -> io::Result<u64> {
        for separator in [b"\n\r\n".as_slice(), b"\n\n"] {
            let length = separator.len() as u64;
            // The line feed before it may be that of the header.
            if next.saturating_sub(body) + 1 >= length
                && next - body >= length - 1
                && next >= length
                && self.piece(next - length, separator.len())?.starts_with(separator)
            {
                return Ok(next - (length - 1));
            }
        }
        Ok(next)
    }

    fn take(&mut self, mut at: u64, end: u64, text: &mut Text) -> io::Result<()> {
        while at < end {
            let piece = self.piece(at, 1)?;
            let piece = &piece[..piece.len().min(usize::try_from(end - at).unwrap_or(usize::MAX))];
            text.take(piece, FieldKind::Other);
            at += piece.len() as u64;
        }
        Ok(())
    }
}

/// Reads until the buffer is full.
fn fill<R: ReadAt + ?Sized>(source: &R, buffer: &mut [u8], at: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read_at(&mut buffer[filled..], at + filled as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(())
}

/// What is gathered of a message on the way.
struct Text {
    /// Without the line ends that come last: whoever appends to a file may add some.
    hash: DefaultHasher,
    running: DefaultHasher,
    octets: u64,
    last: u8,
}

impl Default for Text {
    fn default() -> Text {
        // Of keys that no sender knows, who could else make two messages that are taken for one.
        static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Text { hash: KEYS.build_hasher(), running: KEYS.build_hasher(), octets: 0, last: b'\n' }
    }
}

impl Text {
    fn hash(&mut self, piece: &[u8]) {
        let text = piece.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
        if text > 0 {
            self.running.write(&piece[..text]);
            self.hash = self.running.clone();
        }
        self.running.write(&piece[text..]);
    }

    fn take(&mut self, piece: &[u8], kind: FieldKind) {
        let Some(&last) = piece.last().filter(|_| kind != FieldKind::Note) else { return };
        self.octets += piece.len() as u64 + count_lone_lfs(piece, self.last);
        self.last = last;
        if kind == FieldKind::Other {
            self.hash(piece);
        }
    }
}

impl Fields {
    /// Takes the start of a field.
    fn take(&mut self, line: &[u8]) -> FieldKind {
        let Some(colon) = memchr(b':', line) else { return FieldKind::Other };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let kind = FieldKind::of(name);
        if kind != FieldKind::Note {
            return kind;
        }
        self.has_notes = true;
        // With blanks behind the name it is shown to nobody, but no program writes it so.
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        if is(b"content-length") {
            // The first counts, as when it is written.
            let digits =
                std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            self.content_length = self.content_length.or(digits.and_then(|digits| digits.parse().ok()));
        } else if is(b"status") || is(b"x-status") {
            for letter in value {
                self.flags |= match letter {
                    b'R' => Flags::SEEN,
                    b'A' => Flags::REPLIED,
                    b'F' => Flags::FLAGGED,
                    b'T' => Flags::DRAFT,
                    b'D' => Flags::TRASHED,
                    _ => Flags::EMPTY,
                };
            }
        } else if is(b"x-imap") {
            // UIDVALIDITY and the last UID. Anything else in this field is no reason to hide a message.
            let digits = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
            let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            self.internal |= words.next().is_some_and(digits) && words.next().is_some_and(digits);
        }
        kind
    }
}

#[cfg(test)]
mod tests;
