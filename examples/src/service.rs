//! [`Service`] and [`Listen`]: which protocol is served where.

use core::fmt;
use core::str::FromStr;
use std::net::SocketAddr;

use serde::de::{Deserialize, Deserializer, Error as _};

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Service {
    /// Mail from other hosts: SMTP, STARTTLS offered (RFC 5321, port 25).
    Smtp,
    /// Mail from our users: SMTP with AUTH required, STARTTLS before (RFC 6409, port 587).
    Submission,
    /// The same with TLS from the first byte (RFC 8314, port 465).
    Submissions,
    /// Mail from another mail server, one answer for each recipient (RFC 2033). For local peers only.
    Lmtp,
    /// Mail that arrived, for our users to collect: POP3, STLS offered (RFC 1939, port 110).
    Pop3,
    /// The same with TLS from the first byte (RFC 8314, port 995).
    Pop3s,
}

impl Service {
    /// All services.
    pub const ALL: [Self; 6] =
        [Self::Smtp, Self::Submission, Self::Submissions, Self::Lmtp, Self::Pop3, Self::Pop3s];

    /// The name on the command line and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Lmtp => "lmtp",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
        }
    }

    /// The port of the demo: unprivileged, and the registered one in its last digits.
    pub const fn demo_port(self) -> u16 {
        match self {
            Self::Smtp => 2525,
            Self::Submission => 2587,
            Self::Submissions => 2465,
            Self::Lmtp => 2024,
            Self::Pop3 => 2110,
            Self::Pop3s => 2995,
        }
    }

    /// Whether TLS comes before the first byte of the protocol.
    pub const fn is_implicit_tls(self) -> bool {
        matches!(self, Self::Submissions | Self::Pop3s)
    }

    /// Whether mail is collected rather than brought.
    pub const fn is_pop3(self) -> bool {
        matches!(self, Self::Pop3 | Self::Pop3s)
    }

    /// Whether it is for our users to send mail, who log in first.
    pub const fn is_submission(self) -> bool {
        matches!(self, Self::Submission | Self::Submissions)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A service and the address to serve it at: `smtp=127.0.0.1:2525`. Port 0 takes any that is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// What is served.
    pub service: Service,
    /// Where.
    pub address: SocketAddr,
}

/// Why a text names no listener.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// There is no `=`.
    #[error("expected SERVICE=ADDRESS:PORT such as smtp=127.0.0.1:2525, found {0:?}")]
    Form(String),
    /// The service is none of ours.
    #[error("expected a service of {}, found {found:?}", Service::ALL.map(Service::name).join(", "))]
    Service {
        /// What was found.
        found: String,
    },
    /// The address is none.
    #[error("expected an IP address and a port such as 127.0.0.1:2525 or [::]:25, found {0:?}")]
    Address(String),
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let (service, address) = text.split_once('=').ok_or_else(|| ListenError::Form(text.to_owned()))?;
        let service = Service::ALL
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(service.trim()))
            .ok_or_else(|| ListenError::Service { found: service.to_owned() })?;
        let address = address.trim().parse().map_err(|_| ListenError::Address(address.to_owned()))?;
        Ok(Self { service, address })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.service, self.address)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_read_as_it_is_shown() {
        for text in ["smtp=127.0.0.1:2525", "lmtp=[::1]:0", "submissions=0.0.0.0:465", "pop3s=[::]:995"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn errors_say_what_would_have_been_right() {
        for (text, expected) in [
            ("127.0.0.1:25", "SERVICE=ADDRESS:PORT"),
            ("smpt=127.0.0.1:25", "submission, submissions, lmtp, pop3, pop3s, found \"smpt\""),
            ("smtp=localhost:25", "found \"localhost:25\""),
            ("smtp=127.0.0.1", "found \"127.0.0.1\""),
        ] {
            let error = text.parse::<Listen>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
