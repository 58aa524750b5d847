//! Replies: codes, enhanced codes, the refusals that a server gives and the replies that a client gets.

use core::fmt;
use mail_wire::{Escaped, ReplyText};

/// A reply code: three digits, the first from 2 to 5 (RFC 5321 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// Takes a number from 200 to 599.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 200 && code < 600 { Some(Self(code)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The first digit: 2 success, 3 go on, 4 try again later, 5 failure.
    pub const fn class(self) -> u8 {
        (self.0 / 100) as u8
    }

    /// 2yz.
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }

    /// 3yz.
    pub const fn is_intermediate(self) -> bool {
        self.class() == 3
    }

    /// 4yz: the same may succeed later.
    pub const fn is_temporary(self) -> bool {
        self.class() == 4
    }

    /// 5yz.
    pub const fn is_permanent(self) -> bool {
        self.class() == 5
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

/// An enhanced status code such as 5.1.1: class, subject, detail (RFC 3463 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedCode {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedCode {
    /// Takes the three numbers; the class is 2, 4 or 5, the others have at most three digits.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Option<Self> {
        if matches!(class, 2 | 4 | 5) && subject < 1000 && detail < 1000 {
            Some(Self { class, subject, detail })
        } else {
            None
        }
    }

    /// The class: 2 success, 4 temporary, 5 permanent.
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The subject: 1 address, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content, 7 security.
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The detail within its subject.
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// Reads the code at the start of a reply text; gives it with the length of its digits and dots.
    pub(crate) fn at_start(text: &[u8]) -> Option<(Self, usize)> {
        let number = |from: usize| {
            let digits = text.get(from..)?.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
            let valid = (1..=3).contains(&digits) && (digits == 1 || text[from] != b'0');
            valid.then(|| {
                let value = text[from..from + digits].iter().fold(0u16, |n, d| n * 10 + u16::from(d - b'0'));
                (value, from + digits)
            })
        };
        let (class, at) = number(0)?;
        let (subject, at) = text.get(at).filter(|b| **b == b'.').and_then(|_| number(at + 1))?;
        let (detail, at) = text.get(at).filter(|b| **b == b'.').and_then(|_| number(at + 1))?;
        let ends = text.get(at).is_none_or(|b| *b == b' ');
        let code = Self::new(u8::try_from(class).ok()?, subject, detail)?;
        ends.then_some((code, at))
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A negative reply: a code of 4yz or 5yz, an enhanced code of the same class, and a text that cannot break the line.
///
/// A refusal with code 421 or 521 closes the connection.
///
/// ```
/// use smtp_proto::types::Refusal;
///
/// let refusal = Refusal::new(452, (4, 2, 2), "mailbox full")?;
/// assert_eq!(refusal.to_string(), "452 4.2.2 mailbox full");
/// assert!(Refusal::new(250, (2, 0, 0), "fine").is_err());
/// assert!(Refusal::new(550, (4, 1, 1), "classes differ").is_err());
/// # Ok::<(), smtp_proto::types::RefusalError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    code: ReplyCode,
    enhanced: EnhancedCode,
    text: ReplyText,
}

/// Why there is no such refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalError {
    /// The code is not from 400 to 599, or the enhanced code not of the same class.
    #[error("expected a 4yz or 5yz code with an enhanced code of the same class")]
    Class,
    /// The text cannot stand in a reply.
    #[error(transparent)]
    Text(#[from] mail_wire::text::ReplyTextError),
}

impl Refusal {
    /// Makes a refusal from code, enhanced code and text.
    ///
    /// # Errors
    ///
    /// If code and enhanced code are not negative and of one class, or the text holds control characters.
    pub fn new(code: u16, enhanced: (u8, u16, u16), text: impl Into<String>) -> Result<Self, RefusalError> {
        let text = ReplyText::new(text.into())?;
        Self::checked(code, enhanced, text).ok_or(RefusalError::Class)
    }

    /// Makes a refusal from constants.
    ///
    /// # Panics
    ///
    /// Where [`new`](Self::new) gives an error; in a `const` this is a compile error.
    pub const fn from_static(code: u16, enhanced: (u8, u16, u16), text: &'static str) -> Self {
        match Self::checked_static(code, enhanced) {
            Some((code, enhanced)) => Self { code, enhanced, text: ReplyText::from_static(text) },
            None => panic!("a refusal needs a 4yz or 5yz code with an enhanced code of the same class"),
        }
    }

    fn checked(code: u16, enhanced: (u8, u16, u16), text: ReplyText) -> Option<Self> {
        let (code, enhanced) = Self::checked_static(code, enhanced)?;
        Some(Self { code, enhanced, text })
    }

    const fn checked_static(code: u16, enhanced: (u8, u16, u16)) -> Option<(ReplyCode, EnhancedCode)> {
        match (ReplyCode::new(code), EnhancedCode::new(enhanced.0, enhanced.1, enhanced.2)) {
            (Some(code), Some(enhanced)) if code.class() >= 4 && code.class() == enhanced.class => {
                Some((code, enhanced))
            }
            _ => None,
        }
    }

    /// The reply code.
    pub const fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced status code.
    pub const fn enhanced(&self) -> EnhancedCode {
        self.enhanced
    }

    /// The text.
    pub const fn text(&self) -> &ReplyText {
        &self.text
    }

    /// Whether this refusal ends the connection: 421 and 521.
    pub const fn closes(&self) -> bool {
        matches!(self.code.0, 421 | 521)
    }

    /// 550 5.1.1: the mailbox does not exist.
    pub const NO_SUCH_USER: Refusal = Refusal::from_static(550, (5, 1, 1), "no such user here");
    /// 550 5.7.1: the recipient is not local and the client may not relay.
    pub const RELAY_DENIED: Refusal = Refusal::from_static(550, (5, 7, 1), "relaying denied");
    /// 452 4.2.2: the mailbox is over its quota.
    pub const MAILBOX_FULL: Refusal = Refusal::from_static(452, (4, 2, 2), "mailbox full");
    /// 452 4.3.1: no space left for the message.
    pub const INSUFFICIENT_STORAGE: Refusal =
        Refusal::from_static(452, (4, 3, 1), "insufficient system storage, try again later");
    /// 451 4.3.0: something failed on our side.
    pub const LOCAL_ERROR: Refusal =
        Refusal::from_static(451, (4, 3, 0), "local error in processing, try again later");
    /// 421 4.3.2: the service is going down.
    pub const SHUTTING_DOWN: Refusal =
        Refusal::from_static(421, (4, 3, 2), "service shutting down, closing transmission channel");
    /// 421 4.7.0: too many connections.
    pub const TOO_MANY_CONNECTIONS: Refusal =
        Refusal::from_static(421, (4, 7, 0), "too many connections, try again later");
    /// 530 5.7.0: log in first.
    pub const AUTHENTICATION_REQUIRED: Refusal =
        Refusal::from_static(530, (5, 7, 0), "authentication required");
    /// 530 5.7.0: TLS first (RFC 3207 §4).
    pub const TLS_REQUIRED: Refusal =
        Refusal::from_static(530, (5, 7, 0), "must issue a STARTTLS command first");
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.enhanced, self.text)
    }
}

/// The answer to a question that is either granted or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Granted, with the usual text.
    Accept,
    /// Granted, with a text of one's own.
    AcceptWith(ReplyText),
    /// Refused.
    Refuse(Refusal),
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        Verdict::Refuse(refusal)
    }
}

impl From<Result<(), Refusal>> for Verdict {
    fn from(result: Result<(), Refusal>) -> Self {
        result.map_or_else(Verdict::Refuse, |()| Verdict::Accept)
    }
}

/// A reply as a client received it: a code and one or more lines of text.
///
/// The text is the peer's and may hold anything but line breaks; [`Display`](fmt::Display) escapes what is not printable.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    code: ReplyCode,
    enhanced: Option<EnhancedCode>,
    /// The lines without code and separator, each ended by LF.
    lines: Vec<u8>,
}

impl Reply {
    /// `lines` ends each line with LF.
    pub(crate) fn from_lines(code: ReplyCode, lines: Vec<u8>) -> Self {
        let enhanced = EnhancedCode::at_start(&lines[..memchr::memchr(b'\n', &lines).unwrap_or(0)])
            .map(|(enhanced, _)| enhanced)
            .filter(|enhanced| enhanced.class() == code.class());
        Self { code, enhanced, lines }
    }

    /// The reply code.
    pub fn code(&self) -> ReplyCode {
        self.code
    }

    /// The enhanced status code at the start of the text, where there is one of the same class as the code.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The lines behind the first, each ended by LF.
    pub(crate) fn text_behind_first_line(&self) -> &[u8] {
        memchr::memchr(b'\n', &self.lines).map_or(&[][..], |end| &self.lines[end + 1..])
    }

    /// The lines of text as they came, without the enhanced code being taken off.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        memchr::memchr_iter(b'\n', &self.lines)
            .map(move |end| &self.lines[core::mem::replace(&mut start, end + 1)..end])
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        for line in self.lines() {
            match core::str::from_utf8(line) {
                Ok(text) if !text.chars().any(char::is_control) => write!(f, " {text}")?,
                _ => write!(f, " {}", Escaped(line))?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_read_from_the_start_of_a_text() {
        for (text, expected) in [
            ("5.1.1 no such user", Some(((5, 1, 1), 5))),
            ("2.0.0", Some(((2, 0, 0), 5))),
            ("4.7.123 x", Some(((4, 7, 123), 7))),
            ("3.1.1 x", None),
            ("5.1 x", None),
            ("5.1.1x", None),
            ("5.1.1234 x", None),
            ("5.01.1 x", None),
            ("hello", None),
            ("", None),
        ] {
            let expected = expected.map(|((a, b, c), n)| (EnhancedCode::new(a, b, c).unwrap(), n));
            assert_eq!(EnhancedCode::at_start(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn an_enhanced_code_of_another_class_is_plain_text() {
        let code = ReplyCode::new(550).unwrap();
        assert_eq!(Reply::from_lines(code, b"4.1.1 x\n".to_vec()).enhanced(), None);
        assert_eq!(Reply::from_lines(code, b"5.1.1 x\n".to_vec()).enhanced(), EnhancedCode::new(5, 1, 1));
    }

    #[test]
    fn a_reply_is_shown_without_control_characters() {
        let reply = Reply::from_lines(ReplyCode::new(250).unwrap(), b"a\x1b[2J\nb\xff\n".to_vec());
        assert_eq!(reply.to_string(), r"250 a\x1b[2J b\xff");
    }
}
