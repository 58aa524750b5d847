//! Who a message is from: the best address in its header.

use super::header::{Field, is_blank, trim};

/// What stands for a sender that is not known.
pub(super) const UNKNOWN: &[u8] = b"foo@bar";

/// The null reverse-path of a message that nobody is to be told about.
pub(super) const NOBODY: &[u8] = b"<>";

/// Which sender is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Where reports of delivery go.
    Envelope,
    /// Where the author wants replies.
    Header,
    /// The same, with `Resent-` fields before all others, as the oldest standard could be read.
    Resent,
}

impl Wanted {
    /// The fields that may hold it, the best first.
    fn fields(self) -> &'static [&'static [u8]] {
        match self {
            Wanted::Envelope => &[
                b"From ",
                b"Return-Path:",
                b"Errors-To:",
                b"Return-Receipt-To:",
                b"Path:",
                b"Resent-Sender:",
                b"Resent-From:",
                b"Resent-Reply-To:",
                b"Sender:",
                b"From:",
                b"Reply-To:",
            ],
            Wanted::Header => &HEADER,
            Wanted::Resent => &RESENT,
        }
    }
}

const RESENT: [&[u8]; 11] = [
    b"Resent-Reply-To:",
    b"Resent-From:",
    b"Resent-Sender:",
    b"Reply-To:",
    b"From:",
    b"Sender:",
    b"Return-Path:",
    b"From ",
    b"Errors-To:",
    b"Return-Receipt-To:",
    b"Path:",
];

const HEADER: [&[u8]; 11] = [
    b"Reply-To:",
    b"From:",
    b"Sender:",
    b"Return-Path:",
    b"From ",
    b"Errors-To:",
    b"Return-Receipt-To:",
    b"Path:",
    b"Resent-Reply-To:",
    b"Resent-From:",
    b"Resent-Sender:",
];

/// How much an address says about where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quality {
    Local,
    Host,
    Route,
    Domain,
}

fn quality(address: &[u8]) -> Quality {
    match () {
        () if address.contains(&b'!') => Quality::Route,
        () if !address.contains(&b'@') => Quality::Local,
        () if address.contains(&b'.') => Quality::Domain,
        () => Quality::Host,
    }
}

/// The address that says most; among equals, that of the best field. [`NOBODY`] if there is a null reverse-path.
pub(super) fn sender(fields: &[Field], wanted: Wanted) -> Option<Vec<u8>> {
    let mut best: Option<(Quality, Vec<u8>)> = None;
    for name in wanted.fields() {
        for field in fields.iter().filter(|field| field.is(name)) {
            let Some(found) = address_in(field) else {
                // Nobody wants to hear of the fate of such a message.
                if *name == b"Return-Path:" && !trim(field.content()).is_empty() {
                    return Some(NOBODY.to_vec());
                }
                continue;
            };
            let found = (quality(&found), found);
            if best.as_ref().is_none_or(|best| found.0 > best.0) {
                best = Some(found);
            }
        }
    }
    best.map(|(_, address)| address)
}

/// The address in a field, in angle brackets if it would be taken for a list without.
fn address_in(field: &Field) -> Option<Vec<u8>> {
    let found = match field.is_from() {
        true => address(&envelope_sender(field.content()), Form::Word),
        false => address(field.content(), Form::Field),
    }?;
    let quoted = found.contains(&b'"') || found.contains(&b':');
    let listed = found.iter().any(|byte| matches!(byte, b',' | b';')) && !quoted;
    Some(if listed { [b"<", found.as_slice(), b">"].concat() } else { found })
}

/// The sender in a postmark and the older ones behind it: the first word of the last, behind the hosts that it is remote
/// from.
fn envelope_sender(content: &[u8]) -> Vec<u8> {
    const MARKS: [&[u8]; 2] = [b" remote from ", b" forwarded by "];
    let mut path = Vec::new();
    let mut word: &[u8] = b"";
    for line in content.split(|&byte| byte == b'\n') {
        let line = line.strip_prefix(b">From ".as_slice()).unwrap_or(line);
        let end = line.iter().position(|&byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
        word = &line[..end];
        let host = MARKS.iter().find_map(|mark| Some(memchr::memmem::find(line, mark)? + mark.len()));
        if let Some(host) = host {
            path.extend(line[host..].iter().copied().filter(|&byte| !is_blank(byte)));
            path.push(b'!');
        }
    }
    [path.as_slice(), word].concat()
}

/// What an address stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A field that may hold a list and comments.
    Field,
    /// A word of a postmark.
    Word,
}

/// The first address, without comments and blanks.
fn address(content: &[u8], form: Form) -> Option<Vec<u8>> {
    // A NUL ends a text for formail.
    let content = content.split(|&byte| byte == 0).next().unwrap_or_default();
    let tokens = tokens(content);
    let mut group = false;
    let bracketed = tokens
        .iter()
        .take_while(|token| {
            group |= token.text == b":";
            group || form == Form::Word || !matches!(token.text, b"," | b";")
        })
        .position(|token| token.text == b"<");
    let bare = bracketed.is_none() && form == Form::Field;
    let mut address = Vec::new();
    let from = bracketed.map_or(0, |at| at + 1);
    let mut last: &[u8] = b"";
    for token in &tokens[from..] {
        let group = address.contains(&b':');
        match token.text {
            b">" => break,
            // A list ends with the first, unless it is a group.
            b"," | b";" if bare && !group => break,
            text => {
                // Two words side by side are no address: the first must do.
                let joins = |text: &[u8]| matches!(text, [b'@' | b'.' | b':' | b'!' | b'%' | b',' | b';']);
                let apart = token.apart && bare && !text.starts_with(b"\"");
                if !last.is_empty() && apart && !joins(last) && !joins(text) {
                    break;
                }
                address.extend_from_slice(text);
                last = text;
                if text == b";" && group {
                    break;
                }
            }
        }
    }
    (!address.is_empty()).then_some(address)
}

/// A part of an address, and whether blanks or comments stand before it.
struct Token<'a> {
    text: &'a [u8],
    apart: bool,
}

/// Words, quoted strings, domain literals and single specials; comments are left out.
fn tokens(content: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut apart) = (0, false);
    while let Some(&byte) = content.get(at) {
        let rest = &content[at..];
        let length = match byte {
            b'(' => comment_length(rest),
            b'"' => quoted_length(rest, b'"'),
            b'[' => quoted_length(rest, b']'),
            b'<' | b'>' | b',' | b';' | b':' | b'@' | b'.' | b'!' | b'%' => 1,
            byte if is_blank(byte) => 1,
            _ => rest
                .iter()
                .position(|&byte| is_blank(byte) || b"()<>,;:@.!%\"[".contains(&byte))
                .unwrap_or(rest.len()),
        };
        let blank = is_blank(byte) || byte == b'(';
        if !blank {
            tokens.push(Token { text: &rest[..length], apart });
        }
        apart = blank;
        at += length.max(1);
    }
    tokens
}

fn quoted_length(text: &[u8], end: u8) -> usize {
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte == end {
            return at;
        }
        if byte == b'\\' {
            at += 1;
        }
    }
    text.len()
}

fn comment_length(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'(' => depth += 1,
            b')' if depth == 1 => return at,
            b')' => depth -= 1,
            b'\\' => at += 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_stripped_to_what_counts() {
        // Each row is what formail 3.22 answers.
        let table = [
            (" foo", Some("foo")),
            (" <>", None),
            (" <a@b>", Some("a@b")),
            (" \"x, y\" <q@z>, r@z", Some("q@z")),
            (" a@b (c)", Some("a@b")),
            (" (c (<x@y>)) a@b", Some("a@b")),
            (" <@r:a@b>", Some("@r:a@b")),
            (" a b@c", Some("a")),
            (" \"a b\"@c", Some("\"a b\"@c")),
            (" a@b, c@d", Some("a@b")),
            (" g: a@b, c@d;", Some("g:a@b,c@d;")),
            (" ;", None),
            (" a@[1.2.3.4]", Some("a@[1.2.3.4]")),
            (" x <a @ b . c>", Some("a@b.c")),
            (" <a@b", Some("a@b")),
            (" a@b>", Some("a@b")),
            (" a%b@c", Some("a%b@c")),
            ("a@b Tue Jan  2 03:04:05 2001", Some("a@b")),
            (" \"<x@y>\" z", Some("\"<x@y>\"")),
            (" =?x?q?y?= <a@b>", Some("a@b")),
            ("", None),
            (" \"", Some("\"")),
            (" (", None),
            (" a@b\r", Some("a@b\r")),
            (" <a@b>\r", Some("a@b")),
            (" a@b (c)\r\n (d)\r", Some("a@b")),
            (" a @\r b.c", Some("a@\r")),
            ("\r\n <a@b>", Some("a@b")),
            ("\r\n a@b", Some("\r")),
            (" a\rb@c", Some("a\rb@c")),
            (" a@b\u{1} c", Some("a@b\u{1}")),
            (" \0a@b", None),
            (" a@b\0c", Some("a@b")),
        ];
        for (content, expected) in table {
            let field = Field::new(b"From:", content.as_bytes());
            let found = address_in(&field).map(|found| String::from_utf8(found).unwrap());
            assert_eq!(found.as_deref(), expected, "{content:?}");
        }
    }

    #[test]
    fn the_best_address_wins_and_then_the_best_field() {
        let fields = |text: &str| super::super::header::parse(text.as_bytes()).0;
        // (header, envelope, header sender, with Resent-)
        let table = [
            ("From a@x Mon\nReply-To: b@x\nResent-From: c@x\n", "a@x", "b@x", "c@x"),
            ("From a@x Mon\n>From d@x\nReply-To: b@x\n", "d@x", "b@x", "b@x"),
            ("From a@x Mon\nReply-To: b@x.y\nResent-From: c@x\n", "b@x.y", "b@x.y", "b@x.y"),
            ("From o Mon\nSender: s@x\nPath: p!q\n", "p!q", "p!q", "p!q"),
            ("Sender: s@x\nFrom: f@x\nReply-To: <>\n", "s@x", "f@x", "f@x"),
        ];
        for (text, envelope, header, resent) in table {
            for (wanted, expected) in
                [(Wanted::Envelope, envelope), (Wanted::Header, header), (Wanted::Resent, resent)]
            {
                let found = sender(&fields(text), wanted).unwrap();
                assert_eq!(String::from_utf8(found).unwrap(), expected, "{text:?} {wanted:?}");
            }
        }
        assert_eq!(sender(&fields("To: x@y\n"), Wanted::Envelope), None);
    }
}
