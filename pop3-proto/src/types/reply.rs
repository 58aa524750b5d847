//! Replies: status, response codes, the refusals that a server gives and the replies that a client gets.

use core::fmt;
use mail_wire::{Escaped, ReplyText};

/// The status indicator of a reply (RFC 1939 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// `+OK`
    Ok,
    /// `-ERR`
    Err,
}

impl Status {
    /// The indicator as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "+OK",
            Status::Err => "-ERR",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A response code: the machine-readable reason at the front of a reply's text, in brackets (RFC 2449 §8).
///
/// Codes are hierarchical: whoever looks for one must take those with more detail as well, which is what
/// [`is_within`](Self::is_within) does.
///
/// ```
/// use pop3_proto::types::ResponseCode;
///
/// let code = ResponseCode::new("sys/temp/disk").unwrap();
/// assert!(code.is_within(&ResponseCode::SysTemp));
/// assert!(!code.is_within(&ResponseCode::SysPerm));
/// assert_eq!(ResponseCode::new("in-use"), Some(ResponseCode::InUse));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseCode {
    /// `IN-USE`: the maildrop is open in another session (RFC 2449 §8.1.2).
    InUse,
    /// `LOGIN-DELAY`: the last login was too short a time ago (RFC 2449 §8.1.1).
    LoginDelay,
    /// `SYS/TEMP`: a fault of the system that is likely to pass (RFC 3206 §3).
    SysTemp,
    /// `SYS/PERM`: a fault of the system that needs somebody to look after it (RFC 3206 §3).
    SysPerm,
    /// `AUTH`: the credentials are at fault (RFC 3206 §4).
    Auth,
    /// `UTF8`: the message needs UTF8 (RFC 6856 §5).
    Utf8,
    /// One that is not known here, by its text without brackets.
    Other(OtherCode),
}

/// A response code that is not known here. Only [`ResponseCode::new`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OtherCode(Box<str>);

impl ResponseCode {
    /// Longest response code in bytes, without its brackets.
    pub const MAX: usize = 128;

    /// Reads a code, without brackets: levels of printable ASCII with a slash between each two. `None` if it is not of that
    /// form or too long.
    pub fn new(text: impl AsRef<[u8]>) -> Option<Self> {
        let text = text.as_ref();
        let is_rchar = |byte: &u8| (0x20..0x7f).contains(byte) && !matches!(byte, b' ' | b'[' | b']');
        let valid = |level: &[u8]| !level.is_empty() && level.iter().all(is_rchar);
        if text.len() > Self::MAX || !text.split(|byte| *byte == b'/').all(valid) {
            return None;
        }
        let text = core::str::from_utf8(text).ok()?;
        let known = [Self::InUse, Self::LoginDelay, Self::SysTemp, Self::SysPerm, Self::Auth, Self::Utf8];
        let found = known.into_iter().find(|code| code.as_str().eq_ignore_ascii_case(text));
        Some(found.unwrap_or_else(|| Self::Other(OtherCode(text.into()))))
    }

    /// The code without brackets.
    pub const fn as_str(&self) -> &str {
        match self {
            Self::InUse => "IN-USE",
            Self::LoginDelay => "LOGIN-DELAY",
            Self::SysTemp => "SYS/TEMP",
            Self::SysPerm => "SYS/PERM",
            Self::Auth => "AUTH",
            Self::Utf8 => "UTF8",
            Self::Other(OtherCode(text)) => text,
        }
    }

    /// Whether this is `wider`, or `wider` with more detail (RFC 2449 §8).
    pub fn is_within(&self, wider: &ResponseCode) -> bool {
        let (this, wider) = (self.as_str(), wider.as_str());
        this.get(..wider.len()).is_some_and(|start| start.eq_ignore_ascii_case(wider))
            && this.as_bytes().get(wider.len()).is_none_or(|byte| *byte == b'/')
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A negative reply: perhaps a response code, and a text that cannot break the line.
///
/// ```
/// use pop3_proto::types::{Refusal, ResponseCode};
///
/// let refusal = Refusal::new(Some(ResponseCode::SysTemp), "the disk is full")?;
/// assert_eq!(refusal.to_string(), "-ERR [SYS/TEMP] the disk is full");
/// assert!(Refusal::new(None, "[looks like a code]").is_err());
/// # Ok::<(), pop3_proto::types::RefusalError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    code: Option<ResponseCode>,
    text: ReplyText,
}

/// Why there is no such refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalError {
    /// A text that begins with `[` would be taken for a response code (RFC 2449 §6.4).
    #[error("expected a text that does not begin with '['")]
    Bracket,
    /// The text cannot stand in a reply.
    #[error(transparent)]
    Text(#[from] mail_wire::text::ReplyTextError),
}

impl Refusal {
    /// Makes a refusal from a response code and a text. What does not fit the 512 bytes of a reply line is cut off when it is
    /// written.
    ///
    /// # Errors
    ///
    /// If the text holds control characters, is too long, or begins with `[`.
    pub fn new(code: Option<ResponseCode>, text: impl Into<String>) -> Result<Self, RefusalError> {
        let text = ReplyText::new(text.into())?;
        if text.as_str().starts_with('[') {
            return Err(RefusalError::Bracket);
        }
        Ok(Self { code, text })
    }

    /// Makes a refusal from constants.
    ///
    /// # Panics
    ///
    /// Where [`new`](Self::new) gives an error; in a `const` this is a compile error.
    pub const fn from_static(code: Option<ResponseCode>, text: &'static str) -> Self {
        if let [b'[', ..] = text.as_bytes() {
            panic!("the text of a refusal must not begin with '['");
        }
        Self { code, text: ReplyText::from_static(text) }
    }

    /// The response code.
    pub const fn code(&self) -> Option<&ResponseCode> {
        self.code.as_ref()
    }

    /// The text.
    pub const fn text(&self) -> &ReplyText {
        &self.text
    }

    /// `[IN-USE]`: another session has the maildrop.
    pub const IN_USE: Refusal =
        Refusal::from_static(Some(ResponseCode::InUse), "the maildrop is open in another session");
    /// `[LOGIN-DELAY]`: too soon after the last login.
    pub const LOGIN_DELAY: Refusal =
        Refusal::from_static(Some(ResponseCode::LoginDelay), "the last login was too short a time ago");
    /// `[SYS/TEMP]`: something failed on our side that is likely to pass.
    pub const TEMPORARY: Refusal =
        Refusal::from_static(Some(ResponseCode::SysTemp), "local error, try again later");
    /// `[SYS/PERM]`: something is wrong on our side that does not pass by itself.
    pub const PERMANENT: Refusal =
        Refusal::from_static(Some(ResponseCode::SysPerm), "local error, ask the administrator");
    /// No message has this number, or it is marked as deleted.
    pub const NO_SUCH_MESSAGE: Refusal = Refusal::from_static(None, "no such message");
    /// The message was deleted by another program since the session began.
    pub const MESSAGE_GONE: Refusal = Refusal::from_static(None, "the message is gone");
    /// `[UTF8]`: the message needs UTF8 (RFC 6856 §5).
    pub const NEEDS_UTF8: Refusal =
        Refusal::from_static(Some(ResponseCode::Utf8), "the message needs the UTF8 command first");
    /// `[SYS/TEMP]`: not all that was marked as deleted could be removed (RFC 1939 §6).
    pub const NOT_REMOVED: Refusal =
        Refusal::from_static(Some(ResponseCode::SysTemp), "some deleted messages not removed");
    /// `[SYS/TEMP]`: too many connections.
    pub const TOO_MANY_CONNECTIONS: Refusal =
        Refusal::from_static(Some(ResponseCode::SysTemp), "too many connections, try again later");
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("-ERR ")?;
        if let Some(code) = &self.code {
            write!(f, "[{code}] ")?;
        }
        self.text.fmt(f)
    }
}

/// A reply as a client received it.
///
/// The text is the peer's and may hold anything but line breaks; [`Display`](fmt::Display) escapes what is not printable.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    status: Status,
    code: Option<ResponseCode>,
    text: Box<[u8]>,
}

impl Reply {
    pub(crate) fn from_parts(status: Status, code: Option<ResponseCode>, text: &[u8]) -> Self {
        Self { status, code, text: text.into() }
    }

    /// Whether it is positive or negative.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The response code.
    pub fn code(&self) -> Option<&ResponseCode> {
        self.code.as_ref()
    }

    /// The text behind status and response code, as it was sent.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the response code is `wider`, or `wider` with more detail.
    pub fn is_within(&self, wider: &ResponseCode) -> bool {
        self.code.as_ref().is_some_and(|code| code.is_within(wider))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status.fmt(f)?;
        if let Some(code) = &self.code {
            write!(f, " [{code}]")?;
        }
        match core::str::from_utf8(&self.text) {
            Ok("") => Ok(()),
            Ok(text) if !text.chars().any(char::is_control) => write!(f, " {text}"),
            _ => write!(f, " {}", Escaped(&self.text)),
        }
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
    fn response_codes_are_known_in_any_case_and_kept_otherwise() {
        for (text, code) in [
            ("IN-USE", ResponseCode::InUse),
            ("login-delay", ResponseCode::LoginDelay),
            ("Sys/Temp", ResponseCode::SysTemp),
            ("SYS/PERM", ResponseCode::SysPerm),
            ("AUTH", ResponseCode::Auth),
            ("utf8", ResponseCode::Utf8),
        ] {
            assert_eq!(ResponseCode::new(text), Some(code));
        }
        assert_eq!(ResponseCode::new("X-quota/full").unwrap().as_str(), "X-quota/full");
        let long = "x".repeat(129);
        for bad in ["", "/", "SYS/", "/TEMP", "a//b", "a b", "a]", "[a", "a\x7f", "é", &long] {
            assert_eq!(ResponseCode::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn detail_is_within_what_it_details() {
        for (narrow, wide, within) in [
            ("SYS/TEMP", "SYS/TEMP", true),
            ("SYS/TEMP/DISK", "sys/temp", true),
            ("SYS/TEMPER", "SYS/TEMP", false),
            ("SYS", "SYS/TEMP", false),
            ("SYS/PERM", "SYS", true),
            ("AUTH", "IN-USE", false),
        ] {
            let (narrow, wide) = (ResponseCode::new(narrow).unwrap(), ResponseCode::new(wide).unwrap());
            assert_eq!(narrow.is_within(&wide), within, "{narrow} {wide}");
        }
    }

    #[test]
    fn refusals_cannot_forge_a_line_or_a_code() {
        assert_eq!(Refusal::new(None, "[AUTH] no"), Err(RefusalError::Bracket));
        assert!(matches!(Refusal::new(None, "a\r\n+OK"), Err(RefusalError::Text(_))));
        assert_eq!(Refusal::IN_USE.to_string(), "-ERR [IN-USE] the maildrop is open in another session");
        assert_eq!(Refusal::NO_SUCH_MESSAGE.to_string(), "-ERR no such message");
    }

    #[test]
    fn a_reply_shows_the_peers_bytes_escaped() {
        let reply = Reply::from_parts(Status::Err, Some(ResponseCode::Auth), b"no\x1b[2J");
        assert_eq!(reply.to_string(), r"-ERR [AUTH] no\x1b[2J");
    }
}
