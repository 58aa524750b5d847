//! Who a message is from: the best address in its header.

use super::header::Field;

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

/// The address that says most; among equals, that of the best field. [`NOBODY`] if the envelope has a null reverse-path.
pub(super) fn sender(fields: &[Field], wanted: Wanted) -> Option<Vec<u8>> {
    let mut best: Option<(Quality, Vec<u8>)> = None;
    for name in wanted.fields() {
        for field in fields.iter().filter(|field| field.is(name)) {
            let Some(found) = address(newest(field)) else {
                // Nobody wants to hear of the fate of such a message.
                if wanted == Wanted::Envelope && *name == b"Return-Path:" && field.content().contains(&b'<') {
                    return Some(best.map_or_else(|| NOBODY.to_vec(), |(_, address)| address));
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

/// The content of a field; of a postmark, the part behind older ones.
fn newest(field: &Field) -> &[u8] {
    const OLDER: &[u8] = b"\n>From ";
    let content = field.content();
    let older = memchr::memmem::rfind(content, OLDER).filter(|_| field.is_from());
    older.map_or(content, |at| &content[at + OLDER.len()..])
}

/// The first address in a field, without comments and blanks.
fn address(content: &[u8]) -> Option<Vec<u8>> {
    let tokens = tokens(content);
    let bracketed = tokens.iter().position(|token| token == b"<");
    let mut address = Vec::new();
    let from = bracketed.map_or(0, |at| at + 1);
    let mut last: &[u8] = b"";
    for token in &tokens[from..] {
        match token.as_slice() {
            b">" => break,
            // Outside of brackets, a list ends with the first, unless it is a group.
            b"," | b";" if bracketed.is_none() && !address.contains(&b':') => break,
            token => {
                // Two words side by side are no address: the first must do.
                let joins = |token: &[u8]| matches!(token, [b'@' | b'.' | b':' | b'!' | b'%' | b',' | b';']);
                if !last.is_empty() && !joins(last) && !joins(token) {
                    break;
                }
                address.extend_from_slice(token);
                last = token;
            }
        }
    }
    (!address.is_empty()).then_some(address)
}

/// Words, quoted strings, domain literals and single specials; comments are left out.
fn tokens(content: &[u8]) -> Vec<Vec<u8>> {
    let mut tokens: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = content.get(at) {
        let rest = &content[at..];
        let length = match byte {
            b'(' => comment_length(rest),
            b'"' => quoted_length(rest, b'"'),
            b'[' => quoted_length(rest, b']'),
            b'<' | b'>' | b',' | b';' | b':' | b'@' | b'.' | b'!' | b'%' => 1,
            byte if byte <= b' ' => 1,
            _ => rest
                .iter()
                .position(|byte| *byte <= b' ' || b"()<>,;:@.!%\"[".contains(byte))
                .unwrap_or(rest.len()),
        };
        if byte > b' ' && byte != b'(' {
            tokens.push(rest[..length].to_vec());
        }
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
        ];
        for (content, expected) in table {
            let found = address(content.as_bytes()).map(|found| String::from_utf8(found).unwrap());
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
