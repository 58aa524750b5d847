//! Names of hosts: [`Domain`] for our own and for those in commands, [`HelloName`] for what a client calls itself.

use super::address::{self, Host};
use core::fmt;

/// A domain name or an address literal in brackets, as it was written.
///
/// ```
/// use smtp_proto::types::Domain;
///
/// assert!(Domain::parse("mail.example.org").is_ok());
/// assert!(Domain::parse("[IPv6:2001:db8::1]").is_ok());
/// assert!(Domain::parse("not a domain").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Domain(Box<str>);

/// The text is neither a domain name nor an address literal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a domain name or an address literal in brackets")]
pub struct DomainError;

impl Domain {
    /// Parses a domain name or an address literal.
    ///
    /// # Errors
    ///
    /// If the whole text is neither.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        if is_domain(text) { Ok(Self(text.into())) } else { Err(DomainError) }
    }

    /// The domain as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain by its kind.
    pub fn host(&self) -> Host<'_> {
        address::host(&self.0)
    }
}

fn is_domain(text: &str) -> bool {
    address::domain_end(text.as_bytes(), 0) == Ok(text.len())
        && (text.is_ascii() || !text.contains(char::is_control))
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::str::FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// What a client calls itself in HELO, EHLO or LHLO.
///
/// Real clients send host names with underscores and worse, and a server must not refuse mail for what the name fails
/// to prove (RFC 5321 §4.1.4), so anything printable is taken, and told apart.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HelloName {
    text: Box<str>,
    is_domain: bool,
}

impl HelloName {
    /// Takes the argument of HELO, EHLO or LHLO.
    ///
    /// # Errors
    ///
    /// If it is neither a domain nor an address literal, and empty, longer than 255 bytes, or holds anything but printable
    /// ASCII.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let is_domain = is_domain(text);
        let printable = !text.is_empty() && text.len() <= 255 && text.bytes().all(|b| b.is_ascii_graphic());
        if is_domain || printable { Ok(Self { text: text.into(), is_domain }) } else { Err(DomainError) }
    }

    /// The name as it was sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is a domain or an address literal, as RFC 5321 §4.1.1.1 wants it.
    pub fn is_domain(&self) -> bool {
        self.is_domain
    }
}

impl fmt::Display for HelloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for HelloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Domain> for HelloName {
    fn from(domain: Domain) -> Self {
        Self { text: domain.0, is_domain: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_names_are_told_apart() {
        for (text, domain) in [
            ("mx.example.org", true),
            ("[192.0.2.1]", true),
            ("MY_PC", false),
            ("a..b", false),
            ("[1.2.3]", false),
        ] {
            let name = HelloName::parse(text).unwrap();
            assert_eq!(name.is_domain(), domain, "{text}");
            assert_eq!(name.as_str(), text);
        }
        for text in ["", "a b", "a\tb", "\u{7f}", &"x".repeat(256)] {
            assert!(HelloName::parse(text).is_err(), "{text:?}");
        }
    }
}
