//! Mailboxes and paths: the grammar of RFC 5321 §4.1.2 with the UTF-8 of RFC 6531 §3.3.
//!
//! A [`Mailbox`] keeps its text byte for byte: quoted local parts stay quoted, letters keep their case. Whoever needs
//! the meaning of a quoted local part asks for it ([`Mailbox::local_part_unquoted`]); whoever writes the address writes
//! what was read, so that `"a@b"@c` never turns into `a@b@c`.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

/// Longest domain in bytes (RFC 5321 §4.5.3.1.2).
const MAX_DOMAIN: usize = 255;
/// Longest label of a domain name (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;
/// Longest local part: well past the 64 bytes that RFC 5321 §4.5.3.1.1 asks for, since bounce addresses (VERP) are
/// longer in practice.
const MAX_LOCAL: usize = 512;

/// What is wrong with an address, and at which byte of the text that was parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The local part is missing or has a character that needs quoting; `a..b`, `.a` and `a.` fall here too.
    #[error("expected a local part (dot-string or quoted-string) at byte {0}")]
    LocalPart(usize),
    /// A quoted local part has no closing quote.
    #[error("expected a closed quoted-string at byte {0}")]
    QuotedString(usize),
    /// No `@` behind the local part.
    #[error("expected '@' at byte {0}")]
    At(usize),
    /// Not a domain name.
    #[error("expected a domain name at byte {0}")]
    Domain(usize),
    /// Not an address literal: `[192.0.2.1]`, `[IPv6:2001:db8::1]` or `[tag:content]`.
    #[error("expected an address literal at byte {0}")]
    Literal(usize),
    /// A source route that does not have the form `@a,@b:`.
    #[error("expected a source route or a mailbox at byte {0}")]
    Route(usize),
    /// `<` or `>` is missing.
    #[error("expected a path in angle brackets, found no '{1}' at byte {0}")]
    Bracket(usize, char),
    /// The local part or the domain is too long.
    #[error("expected a shorter address: the part at byte {0} is over the limit")]
    TooLong(usize),
    /// A control character, or bytes that are not UTF-8. The grammar of RFC 6531 lets the control characters from U+0080 to
    /// U+009F pass, but they drive terminals and have no place in a name (RFC 5198 §2).
    #[error("expected printable UTF-8 at byte {0}")]
    Control(usize),
    /// The text goes on behind the address.
    #[error("expected the end of the address at byte {0}")]
    Trailing(usize),
}

/// A mailbox: `local-part@domain`, as it was written.
///
/// ```
/// use smtp_proto::types::{Host, Mailbox};
///
/// let mailbox = Mailbox::parse(r#""a@b"@Example.org"#)?;
/// assert_eq!(mailbox.local_part(), r#""a@b""#);
/// assert_eq!(mailbox.local_part_unquoted(), "a@b");
/// assert_eq!(mailbox.host(), Host::Name("Example.org"));
/// assert_eq!(mailbox.to_string(), r#""a@b"@Example.org"#);
/// # Ok::<(), smtp_proto::types::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    text: Box<str>,
    /// Where the `@` between local part and domain stands.
    at: u16,
}

/// The right-hand side of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'a> {
    /// A domain name, in the case it was written.
    Name(&'a str),
    /// `[192.0.2.1]`
    V4(Ipv4Addr),
    /// `[IPv6:2001:db8::1]`
    V6(Ipv6Addr),
    /// `[tag:content]`, of a kind standardised elsewhere.
    Tagged {
        /// The standardised tag.
        tag: &'a str,
        /// What stands behind the colon.
        content: &'a str,
    },
}

impl Mailbox {
    /// Parses `local-part@domain`, without brackets.
    ///
    /// # Errors
    ///
    /// If the text is not one mailbox from its first to its last byte.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        no_control(text)?;
        let (mailbox, end) = Self::parse_at(text, 0)?;
        if end == text.len() { Ok(mailbox) } else { Err(AddressError::Trailing(end)) }
    }

    /// Parses the mailbox that begins at `start`; gives it with the place behind its end. The text must be without
    /// control characters beyond ASCII.
    fn parse_at(text: &str, start: usize) -> Result<(Self, usize), AddressError> {
        let input = text.as_bytes();
        let at = local_part_end(input, start)?;
        if input.get(at) != Some(&b'@') {
            return Err(AddressError::At(at));
        }
        if at - start > MAX_LOCAL {
            return Err(AddressError::TooLong(start));
        }
        let end = domain_end(input, at + 1)?;
        let at = u16::try_from(at - start).map_err(|_| AddressError::TooLong(start))?;
        Ok((Self { text: text[start..end].into(), at }, end))
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The local part as it was written, with its quotes if it had any.
    pub fn local_part(&self) -> &str {
        &self.text[..usize::from(self.at)]
    }

    /// What the local part means: without quotes and backslashes.
    pub fn local_part_unquoted(&self) -> Cow<'_, str> {
        let local = self.local_part();
        let Some(quoted) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Cow::Borrowed(local);
        };
        if !quoted.contains('\\') {
            return Cow::Borrowed(quoted);
        }
        let mut plain = String::with_capacity(quoted.len());
        let mut escaped = false;
        for c in quoted.chars() {
            if c == '\\' && !escaped {
                escaped = true;
            } else {
                plain.push(c);
                escaped = false;
            }
        }
        Cow::Owned(plain)
    }

    /// The domain as it was written, an address literal with its brackets.
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.at) + 1..]
    }

    /// The domain by its kind.
    pub fn host(&self) -> Host<'_> {
        host(self.domain())
    }

    /// Whether the address needs no SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.text)
    }
}

impl core::str::FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Where mail came from: a mailbox, or `<>` for notifications that must not be answered (RFC 5321 §4.5.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`
    Null,
    /// `<mailbox>`
    Mailbox(Mailbox),
}

impl ReversePath {
    /// Parses a path in brackets. A source route is accepted and dropped.
    ///
    /// # Errors
    ///
    /// If the text is not one path from its first to its last byte.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        whole_path(text).and_then(|path| path.reverse(1))
    }

    /// The mailbox, unless the path is null.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            ReversePath::Null => None,
            ReversePath::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether the path needs no SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReversePath::Null => f.write_str("<>"),
            ReversePath::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl From<Mailbox> for ReversePath {
    fn from(mailbox: Mailbox) -> Self {
        ReversePath::Mailbox(mailbox)
    }
}

/// Where mail goes: a mailbox, or `<Postmaster>` without a domain, which each server must know (RFC 5321 §4.5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>`, in whatever case it was written.
    Postmaster,
    /// `<mailbox>`
    Mailbox(Mailbox),
}

impl ForwardPath {
    /// Parses a path in brackets. A source route is accepted and dropped.
    ///
    /// # Errors
    ///
    /// If the text is not one path from its first to its last byte.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        whole_path(text).and_then(|path| path.forward(1))
    }

    /// The mailbox, unless the path is the bare `<Postmaster>`.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            ForwardPath::Postmaster => None,
            ForwardPath::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether the path needs no SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardPath::Postmaster => f.write_str("<Postmaster>"),
            ForwardPath::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl From<Mailbox> for ForwardPath {
    fn from(mailbox: Mailbox) -> Self {
        ForwardPath::Mailbox(mailbox)
    }
}

/// What a path can hold, before it is known which kind of path is wanted.
pub(crate) enum Path {
    Null,
    Postmaster,
    Mailbox(Mailbox),
}

impl Path {
    /// As the reverse-path of MAIL, where `<Postmaster>` without a domain has no place.
    pub(crate) fn reverse(self, at: usize) -> Result<ReversePath, AddressError> {
        match self {
            Path::Null => Ok(ReversePath::Null),
            Path::Postmaster => Err(AddressError::At(at + 10)),
            Path::Mailbox(mailbox) => Ok(ReversePath::Mailbox(mailbox)),
        }
    }

    pub(crate) fn forward(self, at: usize) -> Result<ForwardPath, AddressError> {
        match self {
            Path::Null => Err(AddressError::LocalPart(at)),
            Path::Postmaster => Ok(ForwardPath::Postmaster),
            Path::Mailbox(mailbox) => Ok(ForwardPath::Mailbox(mailbox)),
        }
    }
}

/// The first control character of a text that has any.
fn no_control(text: &str) -> Result<(), AddressError> {
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(AddressError::Control(at)),
        None => Ok(()),
    }
}

fn whole_path(text: &str) -> Result<Path, AddressError> {
    no_control(text)?;
    let (path, end) = path_at(text, 0, true)?;
    if end == text.len() { Ok(path) } else { Err(AddressError::Trailing(end)) }
}

/// Parses `<…>` at `at`, in a text without control characters beyond ASCII. With `brackets` false, a mailbox without
/// brackets will do as well.
pub(crate) fn path_at(text: &str, at: usize, brackets: bool) -> Result<(Path, usize), AddressError> {
    let input = text.as_bytes();
    if input.get(at) != Some(&b'<') {
        if brackets {
            return Err(AddressError::Bracket(at, '<'));
        }
        let (mailbox, end) = Mailbox::parse_at(text, at)?;
        return Ok((Path::Mailbox(mailbox), end));
    }
    let start = at + 1;
    match &input[start..] {
        [b'>', ..] => return Ok((Path::Null, start + 1)),
        rest if rest.len() > 10 && rest[10] == b'>' && rest[..10].eq_ignore_ascii_case(b"postmaster") => {
            return Ok((Path::Postmaster, start + 11));
        }
        _ => {}
    }
    let start = skip_route(input, start)?;
    let (mailbox, end) = Mailbox::parse_at(text, start)?;
    match input.get(end) {
        Some(b'>') => Ok((Path::Mailbox(mailbox), end + 1)),
        _ => Err(AddressError::Bracket(end, '>')),
    }
}

/// Passes over `@a,@b:`.
// RFC 5321 §4.1.1.3, appendix C: source routes MUST be accepted and SHOULD be ignored.
fn skip_route(input: &[u8], start: usize) -> Result<usize, AddressError> {
    let mut at = start;
    if input.get(at) != Some(&b'@') {
        return Ok(at);
    }
    loop {
        if input.get(at) != Some(&b'@') {
            return Err(AddressError::Route(at));
        }
        at = domain_end(input, at + 1)?;
        match input.get(at) {
            Some(b',') => at += 1,
            Some(b':') => return Ok(at + 1),
            _ => return Err(AddressError::Route(at)),
        }
    }
}

const ATEXT: u8 = 1;
/// Letters, digits and the hyphen.
const LDH: u8 = 2;
const QTEXT: u8 = 4;

/// The character classes of RFC 5321 §4.1.2; bytes from 0x80 up are those of UTF-8 (RFC 6531 §3.3).
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        if byte.is_ascii_alphanumeric() || byte >= 0x80 {
            class[b] |= ATEXT | LDH;
        }
        if matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'/'
                | b'='
                | b'?'
                | b'^'
                | b'_'
                | b'`'
                | b'{'
                | b'|'
                | b'}'
                | b'~'
        ) {
            class[b] |= ATEXT;
        }
        if byte == b'-' {
            class[b] |= LDH;
        }
        if byte >= b' ' && byte != 0x7f && byte != b'"' && byte != b'\\' {
            class[b] |= QTEXT;
        }
        b += 1;
    }
    class
};

fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

/// The place behind the run of bytes of `class` at `at`.
fn run(input: &[u8], at: usize, class: u8) -> usize {
    let mut end = at;
    while input.get(end).is_some_and(|&b| is(b, class)) {
        end += 1;
    }
    end
}

fn local_part_end(input: &[u8], start: usize) -> Result<usize, AddressError> {
    let mut at = start;
    if input.get(at) == Some(&b'"') {
        at += 1;
        loop {
            at = run(input, at, QTEXT);
            match input.get(at..) {
                Some([b'"', ..]) => return Ok(at + 1),
                Some([b'\\', b' '..=b'~', ..]) => at += 2,
                _ => return Err(AddressError::QuotedString(at)),
            }
        }
    }
    loop {
        let end = run(input, at, ATEXT);
        if end == at {
            return Err(AddressError::LocalPart(at));
        }
        at = end;
        if input.get(at) != Some(&b'.') {
            return Ok(at);
        }
        at += 1;
    }
}

/// The place behind the domain or address literal at `start`.
pub(crate) fn domain_end(input: &[u8], start: usize) -> Result<usize, AddressError> {
    let mut at = start;
    if input.get(at) == Some(&b'[') {
        let close = input[at..].iter().take(MAX_DOMAIN).position(|&b| b == b']');
        let end = at + close.ok_or(AddressError::Literal(at))? + 1;
        return match literal(&input[at + 1..end - 1]) {
            Some(_) => Ok(end),
            None => Err(AddressError::Literal(at)),
        };
    }
    loop {
        let label = at;
        at = run(input, at, LDH);
        // RFC 5321 §4.1.2: a label begins and ends with a letter or digit.
        if at == label || input[label] == b'-' {
            return Err(AddressError::Domain(label));
        }
        if input[at - 1] == b'-' {
            return Err(AddressError::Domain(at));
        }
        // A U-label is measured in its encoded form, which is not known here.
        if at - label > MAX_LABEL && input[label..at].is_ascii() {
            return Err(AddressError::TooLong(label));
        }
        if input.get(at) != Some(&b'.') {
            break;
        }
        at += 1;
    }
    if at - start > MAX_DOMAIN { Err(AddressError::TooLong(start)) } else { Ok(at) }
}

/// The inside of an address literal (RFC 5321 §4.1.3).
fn literal(inside: &[u8]) -> Option<Host<'_>> {
    let text = core::str::from_utf8(inside).ok()?;
    let Some((tag, content)) = text.split_once(':') else {
        return text.parse().ok().map(Host::V4);
    };
    if tag.eq_ignore_ascii_case("IPv6") {
        return content.parse().ok().map(Host::V6);
    }
    let ldh = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let dcontent = |b: u8| matches!(b, b'!'..=b'Z' | b'^'..=b'~');
    let valid = tag.bytes().all(ldh)
        && tag.bytes().next_back().is_some_and(|b| b != b'-')
        && !content.is_empty()
        && content.bytes().all(dcontent);
    valid.then_some(Host::Tagged { tag, content })
}

/// A domain that has passed [`domain_end`], by its kind.
pub(crate) fn host(domain: &str) -> Host<'_> {
    domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .and_then(|inside| literal(inside.as_bytes()))
        .unwrap_or(Host::Name(domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mailboxes_are_kept_byte_for_byte() {
        for (text, local, unquoted, domain) in [
            ("a@b", "a", "a", "b"),
            ("User.Name+tag@Example.ORG", "User.Name+tag", "User.Name+tag", "Example.ORG"),
            (r#""a b"@x.example"#, r#""a b""#, "a b", "x.example"),
            (r#""a@b"@x.example"#, r#""a@b""#, "a@b", "x.example"),
            (r#""a\"b\\c"@x"#, r#""a\"b\\c""#, r#"a"b\c"#, "x"),
            (r#"""@x"#, r#""""#, "", "x"),
            (r#"".a..b."@x"#, r#"".a..b.""#, ".a..b.", "x"),
            ("!#$%&'*+-/=?^_`{|}~@x", "!#$%&'*+-/=?^_`{|}~", "!#$%&'*+-/=?^_`{|}~", "x"),
            ("a@[192.0.2.1]", "a", "a", "[192.0.2.1]"),
            ("a@[IPv6:::1]", "a", "a", "[IPv6:::1]"),
            ("a@[ipv6:2001:db8::1]", "a", "a", "[ipv6:2001:db8::1]"),
            ("a@[x-tag:some!thing]", "a", "a", "[x-tag:some!thing]"),
            ("用户@例子.example", "用户", "用户", "例子.example"),
            ("a@xn--fsqu00a.example", "a", "a", "xn--fsqu00a.example"),
            ("a@1.2.example", "a", "a", "1.2.example"),
            ("u%remote@local", "u%remote", "u%remote", "local"),
            ("remote!u@local", "remote!u", "remote!u", "local"),
        ] {
            let mailbox = Mailbox::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(mailbox.as_str(), text);
            assert_eq!(mailbox.local_part(), local);
            assert_eq!(mailbox.local_part_unquoted(), unquoted);
            assert_eq!(mailbox.domain(), domain);
        }
    }

    #[test]
    fn what_is_no_mailbox_is_refused_with_its_place() {
        use AddressError::*;
        for (text, error) in [
            ("", LocalPart(0)),
            ("a", At(1)),
            ("@b", LocalPart(0)),
            ("a@", Domain(2)),
            ("a@b@c", Trailing(3)),
            (".a@x", LocalPart(0)),
            ("a.@x", LocalPart(2)),
            ("a..b@x", LocalPart(2)),
            ("a b@x", At(1)),
            ("a\tb@x", Control(1)),
            ("a\u{1}@x", Control(1)),
            ("\"a\u{1}\"@x", Control(2)),
            ("\"a@x", QuotedString(4)),
            ("\"a\\\u{e9}\"@x", QuotedString(2)),
            ("\"a\"b@x", At(3)),
            ("a@-x", Domain(2)),
            ("a@x-", Domain(4)),
            ("a@x..y", Domain(4)),
            ("a@x.", Domain(4)),
            ("a@x_y", Trailing(3)),
            ("a@[300.1.2.3]", Literal(2)),
            ("a@[1.2.3]", Literal(2)),
            ("a@[1.2.3.4", Literal(2)),
            ("a@[IPv6:1.2.3.4]", Literal(2)),
            ("a@[IPv6:12345::]", Literal(2)),
            ("a@[tag-:x]", Literal(2)),
            ("a@[tag:]", Literal(2)),
            ("a@[tag:a b]", Literal(2)),
            ("a@[]", Literal(2)),
            ("a@x ", Trailing(3)),
            ("é\u{9b}@x", Control(2)),
            ("\"\u{80}\"@x", Control(1)),
            ("a@x\u{85}", Control(3)),
        ] {
            assert_eq!(Mailbox::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(Mailbox::parse(&format!("a@{}", "x".repeat(64))), Err(TooLong(2)));
        assert_eq!(Mailbox::parse(&format!("a@{}", "x.".repeat(200) + "x")), Err(TooLong(2)));
        assert_eq!(Mailbox::parse(&format!("{}@x", "a".repeat(513))), Err(TooLong(0)));
    }

    #[test]
    fn paths_know_routes_null_and_postmaster() {
        let reverse = |text: &str| ReversePath::parse(text).map(|path| path.to_string());
        let forward = |text: &str| ForwardPath::parse(text).map(|path| path.to_string());
        assert_eq!(reverse("<>").as_deref(), Ok("<>"));
        assert_eq!(reverse("<@r,@s:a@x>").as_deref(), Ok("<a@x>"));
        assert_eq!(reverse("<@[192.0.2.1]:a@x>").as_deref(), Ok("<a@x>"));
        assert_eq!(forward("<POSTmaster>").as_deref(), Ok("<Postmaster>"));
        assert_eq!(forward("<Postmaster@x>").as_deref(), Ok("<Postmaster@x>"));
        use AddressError::*;
        for (text, error) in [
            ("<>", LocalPart(1)),
            ("a@x", Bracket(0, '<')),
            ("<a@x", Bracket(4, '>')),
            ("<<a@x>>", LocalPart(1)),
            ("<a@x>>", Trailing(5)),
            ("<a@x>junk", Trailing(5)),
            ("<a@b@c>", Bracket(4, '>')),
            ("<@r a@x>", Route(3)),
            ("<@r,a@x>", Route(4)),
            ("<postmaster", At(11)),
        ] {
            assert_eq!(forward(text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_round_trips(text in r#"[a-c.@"\\<>\[\]:,\u{85}\u{e9} -]{0,24}"#) {
            if let Ok(mailbox) = Mailbox::parse(&text) {
                prop_assert_eq!(mailbox.to_string(), text.clone());
                prop_assert!(!text.contains(char::is_control));
                prop_assert_eq!(Mailbox::parse(mailbox.as_str()), Ok(mailbox));
            }
            if let Ok(path) = ReversePath::parse(&text) {
                prop_assert_eq!(ReversePath::parse(&path.to_string()), Ok(path));
            }
        }
    }
}
