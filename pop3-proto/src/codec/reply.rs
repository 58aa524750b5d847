//! The first line of a server's reply.

use super::ReplyError;
use crate::types::{Reply, ResponseCode, Status};

/// What kind of line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// The reply to a command, or the greeting.
    Status(Status),
    /// `+`: a challenge in the course of AUTH (RFC 5034 §4); its text is base64.
    Challenge,
}

/// A line of a server's, as it lies in the receive buffer: nothing is copied, and the response code is only looked for when
/// it is asked about.
///
/// ```
/// use pop3_proto::codec::{LineKind, ReplyLine};
/// use pop3_proto::types::{ResponseCode, Status};
///
/// let line = ReplyLine::parse(b"-ERR [IN-USE] Do you have another POP session running?")?;
/// assert_eq!(line.kind(), LineKind::Status(Status::Err));
/// assert_eq!(line.code(), Some(ResponseCode::InUse));
/// assert_eq!(line.text(), b"Do you have another POP session running?");
/// assert_eq!(ReplyLine::parse(b"+ cHdk")?.kind(), LineKind::Challenge);
/// # Ok::<(), pop3_proto::codec::ReplyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplyLine<'a> {
    kind: LineKind,
    rest: &'a [u8],
}

impl<'a> ReplyLine<'a> {
    /// Reads a line without its CRLF. The status must be in capitals (RFC 1939 §3).
    ///
    /// # Errors
    ///
    /// If the line begins with neither `+OK`, `-ERR` nor `+`, followed by a space or by nothing.
    pub fn parse(line: &'a [u8]) -> Result<Self, ReplyError> {
        let (kind, rest) = match line {
            [b'+', b'O', b'K', rest @ ..] => (LineKind::Status(Status::Ok), rest),
            [b'-', b'E', b'R', b'R', rest @ ..] => (LineKind::Status(Status::Err), rest),
            [b'+', rest @ ..] => (LineKind::Challenge, rest),
            _ => return Err(ReplyError::expected("+OK, -ERR or +")),
        };
        match rest {
            [] => Ok(Self { kind, rest }),
            [b' ', rest @ ..] => Ok(Self { kind, rest }),
            _ => Err(ReplyError::expected("a space behind the status indicator")),
        }
    }

    /// Reads a line without its CRLF as servers with a flaw write it: the status in any letter case, with any byte or none
    /// behind it, and `+ERR` for `-ERR`. A challenge must be as it should.
    ///
    /// # Errors
    ///
    /// If the line begins with no status, and is no challenge.
    pub fn parse_loose(line: &'a [u8]) -> Result<Self, ReplyError> {
        let begins = |status: &[u8]| line.get(..status.len()).is_some_and(|s| s.eq_ignore_ascii_case(status));
        let (status, len) = if begins(b"+OK") {
            (Status::Ok, 3)
        } else if begins(b"-ERR") || begins(b"+ERR") {
            (Status::Err, 4)
        } else {
            return Self::parse(line);
        };
        let rest = &line[len..];
        let rest = rest.strip_prefix(b" ").or(rest.strip_prefix(b"\t")).unwrap_or(rest);
        Ok(Self { kind: LineKind::Status(status), rest })
    }

    /// What kind of line it is.
    pub fn kind(&self) -> LineKind {
        self.kind
    }

    /// Whether it is a positive reply.
    pub fn is_ok(&self) -> bool {
        self.kind == LineKind::Status(Status::Ok)
    }

    /// All that stands behind the status and its space, a response code with it.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The response code, where there is one.
    pub fn code(&self) -> Option<ResponseCode> {
        self.split_code().0
    }

    /// The text, without the response code.
    pub fn text(&self) -> &'a [u8] {
        self.split_code().1
    }

    /// The whole as a value of its own; `None` for a challenge.
    pub fn to_reply(&self) -> Option<Reply> {
        let LineKind::Status(status) = self.kind else { return None };
        let (code, text) = self.split_code();
        Some(Reply::from_parts(status, code, text))
    }

    fn split_code(&self) -> (Option<ResponseCode>, &'a [u8]) {
        let [b'[', inner @ ..] = self.rest else { return (None, self.rest) };
        let end = memchr::memchr(b']', inner);
        let code = end.and_then(|end| Some((ResponseCode::new(&inner[..end])?, &inner[end + 1..])));
        match code {
            Some((code, [b' ', text @ ..])) => (Some(code), text),
            Some((code, text)) => (Some(code), text),
            None => (None, self.rest),
        }
    }
}

/// Escaped: the text is the peer's.
impl core::fmt::Debug for ReplyLine<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // A challenge may be of use to somebody who wants to guess the password.
        match self.to_reply() {
            Some(reply) => write!(f, "ReplyLine({reply})"),
            None => f.write_str("ReplyLine(challenge)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_are_read_as_what_they_are() {
        let ok = LineKind::Status(Status::Ok);
        let err = LineKind::Status(Status::Err);
        for (line, kind, code, text) in [
            ("+OK", ok, None, ""),
            ("+OK ", ok, None, ""),
            ("+OK 2 320", ok, None, "2 320"),
            ("-ERR [AUTH] no", err, Some("AUTH"), "no"),
            ("-ERR [SYS/TEMP/X]no", err, Some("SYS/TEMP/X"), "no"),
            ("-ERR [not a code] no", err, None, "[not a code] no"),
            ("-ERR [open", err, None, "[open"),
            ("-ERR []", err, None, "[]"),
            ("-ERR  [AUTH]", err, None, " [AUTH]"),
            ("+", LineKind::Challenge, None, ""),
            ("+ cHdk", LineKind::Challenge, None, "cHdk"),
        ] {
            let read = ReplyLine::parse(line.as_bytes()).unwrap();
            assert_eq!(read.kind(), kind, "{line}");
            assert_eq!(read.code().as_ref().map(ResponseCode::as_str), code, "{line}");
            assert_eq!(read.text(), text.as_bytes(), "{line}");
        }
        for bad in ["", "OK", "+ok", "-err", "+OKAY", "-ERROR", "-", "* OK", " +OK"] {
            assert!(ReplyLine::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn statuses_may_be_loose_where_asked_for() {
        let ok = LineKind::Status(Status::Ok);
        let err = LineKind::Status(Status::Err);
        for (line, kind, code, text) in [
            ("+OK x", ok, None, "x"),
            ("+ok x", ok, None, "x"),
            ("+OK\tx", ok, None, "x"),
            ("+OKx", ok, None, "x"),
            ("+Ok:", ok, None, ":"),
            ("-err", err, None, ""),
            ("-ERR[AUTH] x", err, Some("AUTH"), "x"),
            ("+ERR Server error", err, None, "Server error"),
            ("+ cHdk", LineKind::Challenge, None, "cHdk"),
        ] {
            let read = ReplyLine::parse_loose(line.as_bytes()).unwrap();
            assert_eq!(read.kind(), kind, "{line}");
            assert_eq!(read.code().as_ref().map(ResponseCode::as_str), code, "{line}");
            assert_eq!(read.text(), text.as_bytes(), "{line}");
        }
        for bad in ["", "OK", "-OK", "- ERR", "+O", "+cHdk", "* OK"] {
            assert!(ReplyLine::parse_loose(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
