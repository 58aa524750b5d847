//! A body on its way from the input to the output: escaped or quoted, to its end or to the next message.

use std::io::{self, Read};

use super::header::{self, FROM};
use super::input::Input;
use super::options::{Options, Split};
use super::output::Output;

/// Names that show that a line is a header field, beside those that begin with `X-` or `Old-`: what formail 3.22 knows.
const KNOWN: &str = "\
    Acknowledge-To Alternate-Recipient Apparently-To Approved Article Auto-Submitted Autoforwarded Bcc Cc \
    Comments Content-Description Content-Disposition Content-ID Content-Identifier Content-Language \
    Content-Length Content-MD5 Content-Return Content-Transfer-Encoding Content-Type Control Conversion \
    Conversion-With-Loss Cost Date Deferred-Delivery Delivered-To Delivery-Date \
    Discarded-X400-IPMS-Extensions Distribution DL-Expansion-History Encoding Encrypted Errors-To Expires \
    Expiry-Date Fcc Followup-To From Generate-Delivery-Report Importance In-Reply-To Incomplete-Copy \
    Keywords Language Latest-Delivery-Time Lines Mail-Copies-To Mail-From Mailing-List Message-ID \
    Message-Type MIME-Version Newsgroups NNTP-Posting-Date NNTP-Posting-Host Obsoletes Organisation \
    Organization Original-Encoded-Information-Types Originator Originator-Return-Address Path Posted-Date \
    Precedence Prevent-NonDelivery-Report Priority Read-Receipt-To Received Received-Date Reference \
    References Relay-Version Reply-By Reply-To Requested-Delivery-Method Resent Resent-Bcc Resent-Cc \
    Resent-Date Resent-From Resent-Message-ID Resent-Reply-To Resent-Sender Resent-To Return-Path \
    Return-Receipt-Requested Return-Receipt-To Sender Sensitivity Sent-By Status Subject Summary Supersedes \
    To User-Agent Via X400-Content-Type X400-MTS-Identifier X400-Originator X400-Received X400-Recipients \
    X400-Trace Xref";

/// What stands before a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// An empty line.
    Separated,
    /// The fields of a header.
    Inside,
    /// The same, with a postmark that it came without: the next line may be that of another message.
    Abrupt,
}

/// A body being copied.
pub(super) struct Body<'a> {
    options: &'a Options,
    place: Place,
    /// Octets that `Content-Length:` covers.
    covered: u64,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Whether another message begins.
    pub(super) more: bool,
    /// Octets that were promised and are not there.
    pub(super) missing: u64,
}

/// What a line is preceded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// The header, or the part that `Content-Length:` covers.
    Start,
    EmptyLine,
    Line,
    /// The rest of the same line.
    Middle,
    /// What might have been a header.
    NoHeader,
    /// The same with a postmark.
    Postmark,
}

impl<'a> Body<'a> {
    pub(super) fn new(options: &'a Options, place: Place, covered: u64) -> Body<'a> {
        Body { options, place, covered }
    }

    /// Copies the body. Where messages are split, this ends where the next one begins.
    pub(super) fn copy(&self, input: &mut Input<impl Read>, output: &mut Output) -> io::Result<End> {
        let start = output.size();
        let missing = self.copy_covered(input, output)?;
        let mut before = Before::Start;
        let more = loop {
            if input.fill(1)?.is_empty() {
                break false;
            }
            if before != Before::Middle && self.may_start_message(input, before, output)? {
                let length = input.header()?;
                let head = &input.held()[..length];
                if self.options.split.as_ref().is_some_and(|split| has_fields(head, split)) {
                    break true;
                }
                if length > 0 && (!head.starts_with(FROM) || header::is_postmark(head)) {
                    let postmark = head.starts_with(FROM);
                    self.copy_quoted(&input.held()[..length], output);
                    input.consume(length);
                    before = if postmark { Before::Postmark } else { Before::NoHeader };
                    continue;
                }
            }
            before = self.copy_line(input, before, output)?;
        };
        let wrote = output.size() > start;
        // Where a length said where the body ends, nothing more than the end of the line is missing.
        let uncovered = before != Before::Start || self.covered == 0;
        if wrote && uncovered && !output.ends_with(b"\n") {
            output.put(b"\n");
        }
        if wrote && !output.ends_with(b"\n\n") {
            output.put(b"\n");
        }
        Ok(End { more, missing })
    }

    fn copy_covered(&self, input: &mut Input<impl Read>, output: &mut Output) -> io::Result<u64> {
        let mut left = self.covered;
        while left > 0 {
            let held = input.fill(1)?;
            if held.is_empty() {
                break;
            }
            let count = held.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            output.put(&held[..count]);
            input.consume(count);
            left -= count as u64;
        }
        // formail does not miss the last one.
        Ok(left.saturating_sub(1))
    }

    /// Whether a message may begin at the line that comes next.
    fn may_start_message(
        &self,
        input: &mut Input<impl Read>,
        before: Before,
        output: &Output,
    ) -> io::Result<bool> {
        let Some(split) = &self.options.split else { return Ok(false) };
        let first = before == Before::Start && self.covered == 0;
        let in_place = match (before, self.place) {
            (Before::Postmark, _) => false,
            _ if first && self.place == Place::Inside => false,
            _ if first => true,
            (Before::Start, _) => split.anywhere || output.ends_with(b"\n\n"),
            _ => split.anywhere || before == Before::EmptyLine,
        };
        if !in_place {
            return Ok(false);
        }
        match input.fill(FROM.len())?.starts_with(FROM) {
            true if first && self.place == Place::Abrupt => Ok(true),
            true => {
                let length = input.line()?;
                Ok(header::is_postmark(&input.held()[..length]))
            }
            false => Ok(split.digest),
        }
    }

    fn anywhere(&self) -> bool {
        self.options.split.as_ref().is_some_and(|split| split.anywhere)
    }

    fn copy_line(
        &self,
        input: &mut Input<impl Read>,
        before: Before,
        output: &mut Output,
    ) -> io::Result<Before> {
        let length = input.line()?;
        let line = &input.held()[..length];
        let reply = self.options.reply && !self.options.keep_from_lines;
        let prefix = self.options.prefix.as_deref().unwrap_or(b">");
        if before != Before::Middle {
            if reply && line != b"\n" {
                output.put(prefix);
            }
            let passes = before == Before::NoHeader && self.anywhere();
            if !self.options.keep_from_lines && !passes && line.starts_with(FROM) {
                output.put(prefix);
            }
        }
        output.put(line);
        let after = match line {
            [.., b'\n'] if length == 1 && before != Before::Middle => Before::EmptyLine,
            [.., b'\n'] => Before::Line,
            _ => Before::Middle,
        };
        input.consume(length);
        Ok(after)
    }

    /// Copies what turned out to be no header: not escaped, but quoted in a reply.
    fn copy_quoted(&self, text: &[u8], output: &mut Output) {
        if !self.options.reply || self.options.keep_from_lines {
            return output.put(text);
        }
        let prefix = self.options.prefix.as_deref().unwrap_or(b">");
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            output.put(prefix);
            output.put(line);
        }
    }
}

/// Whether enough known fields stand at the start of a header.
fn has_fields(head: &[u8], split: &Split) -> bool {
    let (fields, _) = header::parse(head);
    let known = fields.iter().take_while(|field| field.is_from() || is_known(field.name()));
    known.count() >= split.fields
}

fn is_known(name: &[u8]) -> bool {
    let name = name.strip_suffix(b":").unwrap_or(name);
    let begins =
        |start: &[u8]| name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    begins(b"X-") || begins(b"Old-") || KNOWN.split_ascii_whitespace().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formail::options::parse;
    use crate::formail::output::Target;

    /// The messages of a mailbox, each by its length.
    fn lengths(text: &str, arguments: &str) -> Vec<u64> {
        let arguments = arguments.split_ascii_whitespace().chain(["-b", "-f", "-s"]);
        let options = parse(arguments.map(std::ffi::OsString::from)).unwrap();
        let mut input = Input::new(text.as_bytes());
        let mut more = input.skip_empty_lines().unwrap();
        let mut lengths = Vec::new();
        while more {
            let mut output = Output::to(Target::Nobody);
            let length = input.header().unwrap();
            output.put(&input.held()[..length]);
            input.consume(length);
            let separated = input.fill(1).unwrap().starts_with(b"\n");
            if separated {
                output.put(b"\n");
                input.consume(1);
            }
            let place = if separated { Place::Separated } else { Place::Abrupt };
            more = Body::new(&options, place, 0).copy(&mut input, &mut output).unwrap().more;
            lengths.push(output.size());
        }
        lengths
    }

    #[test]
    fn messages_begin_where_formail_sees_them() {
        // Behind a first message; each row is what formail 3.22 found.
        let table = [
            ("From a b\nTo: x\nxx\n\n", "", 2),
            ("From a b\nC: d\n\n", "", 1),
            ("From a b\nxx\n\n", "", 1),
            ("From a b\nxx\n\n", "-m 1", 2),
            ("From  b\nTo: x\n\n", "", 1),
            ("x\nFrom a b\nTo: x\n\n", "", 1),
            ("x\nFrom a b\nTo: x\n\n", "-e", 2),
            ("To: a\nCc: d\n\n", "", 1),
            ("To: a\nCc: d\n\n", "-d", 2),
            ("From: a\nC: d\n\n", "-d", 1),
            ("C: d\nFrom: a\n\n", "-d", 1),
            ("X-Foo: d\nX-Bar: x\n\n", "-d", 2),
            ("Old-Foo: d\nVia: x\n\n", "-d", 2),
            ("Foo-Bar: d\nSubject: x\n\n", "-d", 1),
            ("Subject: x\n\n", "-d", 1),
            ("Subject: x\nDate: x\n\n", "-d -m 3", 1),
            ("", "-d", 1),
        ];
        for (text, arguments, count) in table {
            let text = format!("From a b\nTo: x\n\nintro\n\n{text}");
            let found = lengths(&format!("\n{text}"), arguments);
            assert_eq!(found.len(), count, "{text:?}");
            assert!(found.iter().sum::<u64>() >= text.len() as u64, "{text:?}");
        }
        assert!(lengths("\n\n", "").is_empty());
    }

    #[test]
    fn names_are_known_in_part_or_whole() {
        for (name, expected) in
            [("x-", true), ("OLD-a", true), ("resent-to:", true), ("Resent-", false), ("List-Id", false)]
        {
            assert_eq!(is_known(name.as_bytes()), expected, "{name}");
        }
    }
}
