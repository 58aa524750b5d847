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
        match address::domain_end(text.as_bytes(), 0) {
            Ok(end) if end == text.len() => Ok(Self(text.into())),
            _ => Err(DomainError),
        }
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HelloName {
    /// As RFC 5321 §4.1.1.1 wants it.
    Domain(Domain),
    /// Printable ASCII without spaces that is no domain.
    Other(Box<str>),
}

impl HelloName {
    /// Takes the argument of HELO, EHLO or LHLO.
    ///
    /// # Errors
    ///
    /// If it is empty, longer than 255 bytes, or holds anything but printable UTF-8 without spaces.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        if let Ok(domain) = Domain::parse(text) {
            return Ok(HelloName::Domain(domain));
        }
        let printable = text.bytes().all(|b| b.is_ascii_graphic());
        if printable && !text.is_empty() && text.len() <= 255 {
            Ok(HelloName::Other(text.into()))
        } else {
            Err(DomainError)
        }
    }

    /// The name as it was sent.
    pub fn as_str(&self) -> &str {
        match self {
            HelloName::Domain(domain) => domain.as_str(),
            HelloName::Other(text) => text,
        }
    }
}

impl fmt::Display for HelloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Domain> for HelloName {
    fn from(domain: Domain) -> Self {
        HelloName::Domain(domain)
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
            assert_eq!(matches!(name, HelloName::Domain(_)), domain, "{text}");
            assert_eq!(name.as_str(), text);
        }
        for text in ["", "a b", "a\tb", "\u{7f}", &"x".repeat(256)] {
            assert!(HelloName::parse(text).is_err(), "{text:?}");
        }
    }
}
