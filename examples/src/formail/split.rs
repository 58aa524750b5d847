//! Where messages begin in a mailbox, a digest or a BABYL file.

use super::header::{self, FROM, line_length};
use super::message::content_length;
use super::options::Split;

/// Names that show that a line is a header field, beside those that begin with `X-` or `Resent-`.
const KNOWN: &[&str] = &[
    "Apparently-To",
    "Approved",
    "Article",
    "Bcc",
    "Cc",
    "Comments",
    "Content-Disposition",
    "Content-Language",
    "Content-Length",
    "Content-Transfer-Encoding",
    "Content-Type",
    "Control",
    "Date",
    "Delivered-To",
    "Distribution",
    "Encrypted",
    "Errors-To",
    "Expires",
    "Followup-To",
    "From",
    "In-Reply-To",
    "Keywords",
    "Lines",
    "List-Id",
    "Message-ID",
    "MIME-Version",
    "Newsgroups",
    "Organization",
    "Originator",
    "Path",
    "Precedence",
    "Received",
    "References",
    "Reply-To",
    "Return-Path",
    "Return-Receipt-To",
    "Sender",
    "Status",
    "Subject",
    "Summary",
    "Supersedes",
    "To",
    "Xref",
];

/// The messages in `text`, in order.
pub(super) fn messages(text: &[u8], how: &Split, ignore_content_length: bool) -> Vec<Vec<u8>> {
    if how.babyl {
        return babyl(text);
    }
    let starts = starts(text, how, ignore_content_length);
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| text[start..end].to_vec()).collect()
}

fn starts(text: &[u8], how: &Split, ignore_content_length: bool) -> Vec<usize> {
    let start = text.iter().take_while(|&&byte| byte == b'\n').count();
    if start == text.len() {
        return Vec::new();
    }
    let mut starts = vec![start];
    let mut body = Body::of(text, start, how, ignore_content_length);
    let mut at = body.at;
    let mut after_empty_line = text[..at].ends_with(b"\n\n");
    while at < text.len() {
        // Where a header without a postmark ends with one, another message begins.
        let abrupt = body.abrupt && at == body.at;
        if (how.anywhere || after_empty_line || abrupt) && starts_message(&text[at..], how, abrupt) {
            starts.push(at);
            body = Body::of(text, at, how, ignore_content_length);
            at = body.at;
            after_empty_line = text[..at].ends_with(b"\n\n");
            continue;
        }
        after_empty_line = text[at] == b'\n';
        at += line_length(&text[at..]);
    }
    starts
}

/// Where to go on looking behind a header.
struct Body {
    /// Behind what `Content-Length:` covers.
    at: usize,
    /// Whether the header has no postmark, and nothing that ends it.
    abrupt: bool,
}

impl Body {
    fn of(text: &[u8], start: usize, how: &Split, ignore_content_length: bool) -> Body {
        let (fields, length) = header::parse(&text[start..]);
        let mut at = start + length;
        let separated = text.get(at) == Some(&b'\n');
        let abrupt = !separated && fields.first().is_some_and(|first| !first.is_from());
        at += usize::from(separated);
        if !how.digest && !ignore_content_length {
            let covered = usize::try_from(content_length(&fields)).unwrap_or(usize::MAX);
            at = at.saturating_add(covered).min(text.len());
        }
        Body { at, abrupt }
    }
}

/// Whether enough fields stand here.
fn starts_message(text: &[u8], how: &Split, abrupt: bool) -> bool {
    let postmark = text.starts_with(FROM);
    if postmark && !abrupt && !header::is_postmark(text) || !postmark && !how.digest {
        return false;
    }
    let fields = header::leading(text, how.fields);
    let known = fields.iter().take_while(|field| field.is_from() || is_known(field.name()));
    known.count() >= how.fields.max(1)
}

fn is_known(name: &[u8]) -> bool {
    let begins =
        |start: &[u8]| name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    let name = name.strip_suffix(b":").unwrap_or(name);
    begins(b"X-")
        || begins(b"Resent-")
        || KNOWN.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// The messages of an Emacs mail file. Each begins behind a line with US and FF, and a line with its labels. Behind the
/// whole header, unless that is empty, comes a mark and the header as it was shown.
fn babyl(text: &[u8]) -> Vec<Vec<u8>> {
    const MARK: &[u8] = b"*** EOOH ***\n";
    let mut found = Vec::new();
    let mut sections = text.split(|&byte| byte == 0x1f);
    sections.next();
    for section in sections {
        let Some(section) = section.strip_prefix(b"\x0c\n") else { continue };
        let section = &section[line_length(section)..];
        let Some(at) = memchr::memmem::find(section, MARK) else {
            found.push(section.to_vec());
            continue;
        };
        let (whole, shown) = (&section[..at], &section[at + MARK.len()..]);
        let body = memchr::memmem::find(shown, b"\n\n").map_or(shown.len(), |at| at + 1);
        let header = if whole.trim_ascii().is_empty() { &shown[..body] } else { whole.trim_ascii_end() };
        let line_end: &[u8] = if header.ends_with(b"\n") { b"" } else { b"\n" };
        found.push([header, line_end, &shown[body..]].concat());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how() -> Split {
        Split {
            command: Vec::new(),
            skip: 0,
            most: None,
            digest: false,
            anywhere: false,
            babyl: false,
            fields: 2,
            programs: 1,
        }
    }

    #[test]
    fn messages_begin_where_formail_sees_them() {
        let digest = Split { digest: true, ..how() };
        let anywhere = Split { anywhere: true, ..how() };
        let one = Split { fields: 1, ..how() };
        // Behind a first message; each row is what formail 3.22 found.
        let table: [(&str, &Split, usize); 16] = [
            ("From a b\nTo: x\nxx\n", &how(), 2),
            ("From a b\nC: d\n\n", &how(), 1),
            ("From a b\nxx\n", &how(), 1),
            ("From a b\nxx\n", &one, 2),
            ("From  b\nTo: x\n", &how(), 1),
            ("x\nFrom a b\nTo: x\n", &how(), 1),
            ("x\nFrom a b\nTo: x\n", &anywhere, 2),
            ("To: a\nCc: d\n\n", &how(), 1),
            ("To: a\nCc: d\n\n", &digest, 2),
            ("From: a\nC: d\n\n", &digest, 1),
            ("C: d\nFrom: a\n\n", &digest, 1),
            ("X-Foo: d\nX-Bar: x\n\n", &digest, 2),
            ("Foo-Bar: d\nSubject: x\n\n", &digest, 1),
            ("Subject: x\n\n", &digest, 1),
            ("Subject: x\nDate: x\n\n", &Split { fields: 3, ..digest.clone() }, 1),
            ("", &digest, 1),
        ];
        for (text, how, count) in table {
            let text = format!("\nFrom a b\nTo: x\n\nintro\n\n{text}");
            let found = messages(text.as_bytes(), how, false);
            assert_eq!(found.len(), count, "{text:?}");
            assert_eq!(found.concat(), text.as_bytes()[1..], "{text:?}");
        }
        assert!(messages(b"\n\n", &how(), false).is_empty());
    }

    #[test]
    fn content_lengths_are_passed_over() {
        let text = b"From a b\nContent-Length: 20\n\nx\n\nFrom a b\nTo: x\n\n\nFrom c d\nTo: y\n\n";
        assert_eq!(messages(text, &how(), false).len(), 2);
        assert_eq!(messages(text, &how(), true).len(), 3);
        assert_eq!(messages(text, &Split { digest: true, ..how() }, false).len(), 3);
    }

    #[test]
    fn a_babyl_file_holds_whole_or_shown_headers() {
        let text = b"BABYL OPTIONS:\nVersion: 5\n\x1f\x0c\n1,,\nReceived: x\nFrom: a@b\n\n*** EOOH ***\nFrom: a@b\n\nbody\n\x1f\x0c\n0, unseen,,\n*** EOOH ***\nFrom: d@b\n\nbody2\n\x1f";
        let found = messages(text, &Split { babyl: true, ..how() }, false);
        assert_eq!(found, [b"Received: x\nFrom: a@b\n\nbody\n".to_vec(), b"From: d@b\n\nbody2\n".to_vec()]);
    }
}
