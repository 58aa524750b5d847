//! Trace fields: `Received` and `Return-Path` (RFC 5321 §4.4).
//!
//! Everything the peer named is written so that it cannot break out of its place: names that are no domains go into a
//! quoted comment, and what is not ASCII is left out, so that the field is safe for a header of seven bits.

use super::{DateTime, Domain, ForwardPath, HelloName, ReversePath};
use core::fmt;
use core::net::IpAddr;

/// The `with` clause: how the message came (RFC 3848, RFC 6531 §4.3, RFC 2033 for LMTP).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WithProtocol {
    /// LMTP rather than SMTP.
    pub lmtp: bool,
    /// The client said EHLO rather than HELO.
    pub extended: bool,
    /// Under TLS.
    pub tls: bool,
    /// After AUTH.
    pub authenticated: bool,
    /// SMTPUTF8 was asked for in MAIL.
    pub utf8: bool,
}

impl fmt::Display for WithProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.utf8, self.lmtp, self.extended) {
            (true, true, _) => "UTF8LMTP",
            (true, false, _) => "UTF8SMTP",
            (false, true, _) => "LMTP",
            (false, false, true) => "ESMTP",
            // RFC 3848 has no form of plain SMTP with TLS or AUTH, which need EHLO.
            (false, false, false) => return f.write_str("SMTP"),
        })?;
        f.write_str(if self.tls { "S" } else { "" })?;
        f.write_str(if self.authenticated { "A" } else { "" })
    }
}

/// A `Received` field. [`Display`](fmt::Display) writes it folded, with CRLF at its end.
///
/// ```
/// use smtp_proto::types::{DateTime, Domain, HelloName, Received, WithProtocol};
///
/// let by = Domain::parse("mx.example.org")?;
/// let received = Received::new(&by, DateTime::from_unix(1_795_387_860))
///     .from(HelloName::parse("client.example")?, "192.0.2.7".parse().unwrap())
///     .id("4Kx9");
/// assert_eq!(
///     received.to_string(),
///     "Received: from client.example ([192.0.2.7])\r\n\
///      \tby mx.example.org with SMTP id 4Kx9;\r\n\
///      \tSun, 22 Nov 2026 22:51:00 +0000\r\n",
/// );
/// # Ok::<(), smtp_proto::types::DomainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Received<'a> {
    by: &'a Domain,
    date: DateTime,
    from: Option<(HelloName, IpAddr)>,
    client_name: Option<Domain>,
    with: WithProtocol,
    tls: Option<&'a str>,
    id: Option<&'a str>,
    recipient: Option<&'a ForwardPath>,
}

impl<'a> Received<'a> {
    /// A field that says that `by` took the message at `date`.
    pub fn new(by: &'a Domain, date: DateTime) -> Self {
        Self {
            by,
            date,
            from: None,
            client_name: None,
            with: WithProtocol::default(),
            tls: None,
            id: None,
            recipient: None,
        }
    }

    /// Who sent it: the name it gave and the address it came from.
    #[must_use]
    pub fn from(self, hello: HelloName, address: IpAddr) -> Self {
        Self { from: Some((hello, address)), ..self }
    }

    /// The client's name in the DNS, where it was looked up and verified.
    #[must_use]
    pub fn client_name(self, name: Domain) -> Self {
        Self { client_name: Some(name), ..self }
    }

    /// How it came.
    #[must_use]
    pub fn with(self, with: WithProtocol) -> Self {
        Self { with, ..self }
    }

    /// TLS version and cipher, for a comment.
    #[must_use]
    pub fn tls(self, tls: &'a str) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Our identifier of the message; left out unless it consists of letters, digits and `.-_`.
    #[must_use]
    pub fn id(self, id: &'a str) -> Self {
        let atom = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        Self { id: atom.then_some(id), ..self }
    }

    /// The recipient, to be named only where the message has exactly one (others would be disclosed).
    #[must_use]
    pub fn recipient(self, recipient: &'a ForwardPath) -> Self {
        Self { recipient: Some(recipient), ..self }
    }
}

impl fmt::Display for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Received:")?;
        if let Some((hello, address)) = &self.from {
            if hello.is_domain() && hello.as_str().is_ascii() {
                write!(f, " from {hello} (")?;
            } else {
                // RFC 5321 §4.4 wants a domain here; what the client said instead stands in the comment.
                write!(f, " from unknown (HELO {} ", Comment(hello.as_str()))?;
            }
            if let Some(name) = self.client_name.as_ref().filter(|name| name.as_str().is_ascii()) {
                write!(f, "{name} ")?;
            }
            match address {
                IpAddr::V4(v4) => write!(f, "[{v4}])")?,
                IpAddr::V6(v6) => write!(f, "[IPv6:{v6}])")?,
            }
            f.write_str("\r\n\t")?;
        } else {
            f.write_str(" ")?;
        }
        if let Some(tls) = self.tls {
            write!(f, "(using {})\r\n\t", Comment(tls))?;
        }
        write!(f, "by {} with {}", Ascii(self.by.as_str()), self.with)?;
        if let Some(id) = self.id {
            write!(f, " id {id}")?;
        }
        if let Some(recipient) = self.recipient.filter(|path| path.is_ascii()) {
            write!(f, "\r\n\tfor {recipient}")?;
        }
        write!(f, ";\r\n\t{}\r\n", self.date.rfc5322())
    }
}

/// A `Return-Path` field with CRLF at its end, for final delivery (RFC 5321 §4.4). An address that needs SMTPUTF8 is
/// written as it is, since a message that came under SMTPUTF8 has a header of UTF-8 (RFC 6532).
pub fn return_path(path: &ReversePath) -> String {
    format!("Return-Path: {path}\r\n")
}

/// Text that stands inside a comment: parentheses and backslashes are quoted, what is not printable ASCII becomes `?`.
struct Comment<'a>(&'a str);

impl fmt::Display for Comment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '(' | ')' | '\\' => write!(f, "\\{c}")?,
                ' '..='~' => write!(f, "{c}")?,
                _ => f.write_str("?")?,
            }
        }
        Ok(())
    }
}

struct Ascii<'a>(&'a str);

impl fmt::Display for Ascii<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii() { f.write_str(self.0) } else { f.write_str("localhost") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Mailbox;

    #[test]
    fn each_transmission_type_has_its_registered_name() {
        let all = |bits: [bool; 5]| {
            let [lmtp, extended, tls, authenticated, utf8] = bits;
            WithProtocol { lmtp, extended, tls, authenticated, utf8 }.to_string()
        };
        assert_eq!(all([false, false, false, false, false]), "SMTP");
        assert_eq!(all([false, true, false, false, false]), "ESMTP");
        assert_eq!(all([false, true, true, false, false]), "ESMTPS");
        assert_eq!(all([false, true, false, true, false]), "ESMTPA");
        assert_eq!(all([false, true, true, true, false]), "ESMTPSA");
        assert_eq!(all([true, true, true, true, false]), "LMTPSA");
        assert_eq!(all([false, true, true, true, true]), "UTF8SMTPSA");
        assert_eq!(all([true, true, false, false, true]), "UTF8LMTP");
    }

    #[test]
    fn a_hostile_hello_stays_inside_its_comment() {
        let by = Domain::parse("mx.example").unwrap();
        let hello = HelloName::parse(r"x)(y\z").unwrap();
        let recipient = ForwardPath::Mailbox(Mailbox::parse("a@b").unwrap());
        let received = Received::new(&by, DateTime::from_unix(0))
            .from(hello, "2001:db8::1".parse().unwrap())
            .client_name(Domain::parse("ptr.example").unwrap())
            .with(WithProtocol { extended: true, tls: true, ..WithProtocol::default() })
            .tls("TLSv1.3 with cipher X\r\nEvil: 1")
            .id("no good")
            .recipient(&recipient);
        assert_eq!(
            received.to_string(),
            "Received: from unknown (HELO x\\)\\(y\\\\z ptr.example [IPv6:2001:db8::1])\r\n\
             \t(using TLSv1.3 with cipher X??Evil: 1)\r\n\
             \tby mx.example with ESMTPS\r\n\
             \tfor <a@b>;\r\n\
             \tThu, 1 Jan 1970 00:00:00 +0000\r\n",
        );
    }

    #[test]
    fn fields_for_a_seven_bit_header_hold_no_utf8() {
        let by = Domain::parse("例子.example").unwrap();
        let recipient = ForwardPath::Mailbox(Mailbox::parse("用户@b").unwrap());
        let hello = HelloName::parse("例子.example").unwrap();
        let received = Received::new(&by, DateTime::from_unix(0))
            .from(hello, "192.0.2.1".parse().unwrap())
            .recipient(&recipient);
        assert!(received.to_string().is_ascii(), "{received}");
    }

    #[test]
    fn return_path_is_the_reverse_path() {
        assert_eq!(return_path(&ReversePath::Null), "Return-Path: <>\r\n");
        assert_eq!(return_path(&ReversePath::parse("<\"a b\"@x>").unwrap()), "Return-Path: <\"a b\"@x>\r\n");
    }
}
