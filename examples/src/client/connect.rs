//! Where to connect: [`HostPort`], and the first address of it that answers.

use core::fmt;
use core::str::FromStr;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::exit::{Exit, Failure};

/// How long to try to connect to one address, where nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A host, and a port if one was given.
///
/// ```
/// use mailwright::client::connect::HostPort;
///
/// let server: HostPort = "[2001:db8::1]:2110".parse()?;
/// assert_eq!((server.host.as_str(), server.port), ("2001:db8::1", Some(2110)));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: Option<u16>,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("expected host, host:port or [IPv6]:port, found {text:?}");
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(error)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(error()),
            }
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        let port = port.map(|port| port.parse().map_err(|_| error())).transpose()?;
        if host.is_empty() || host.contains(['/', ' ']) {
            return Err(error());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

/// The addresses of a host.
///
/// # Errors
/// [`Exit::NoHost`], if there are none.
pub async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let no_host =
        |why: &str| Failure::new(Exit::NoHost, format!("expected addresses of {host}, found: {why}"));
    let found = tokio::net::lookup_host((host, port)).await;
    let addresses: Vec<_> = found.map_err(|error| no_host(&error.to_string()))?.collect();
    if addresses.is_empty() { Err(no_host("none")) } else { Ok(addresses) }
}

/// Connects to the first of these that answers within the limit.
///
/// # Errors
/// [`Exit::TempFail`], about the last of them.
pub async fn first<A: fmt::Display, S>(
    addresses: &[A],
    limit: Duration,
    connect: impl AsyncFn(&A) -> io::Result<S>,
) -> Result<S, Failure> {
    let mut failure = Failure::new(Exit::NoHost, "expected an address to connect to, found none");
    for address in addresses {
        let why = match tokio::time::timeout(limit, connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {limit:?}"),
        };
        failure = Failure::new(Exit::TempFail, format!("expected to connect to {address}, found: {why}"));
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_in_each_form() {
        for (text, host, port) in [
            ("localhost", "localhost", None),
            ("mx.example:2525", "mx.example", Some(2525)),
            ("192.0.2.1:25", "192.0.2.1", Some(25)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[2001:db8::1]:25", "2001:db8::1", Some(25)),
        ] {
            assert_eq!(text.parse(), Ok(HostPort { host: host.into(), port }), "{text}");
        }
        for text in
            ["", ":25", "host:", "host:x", "host:70000", "[::1", "[::1]25", "[::1]:", "a b", "/run/lmtp"]
        {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn the_first_address_that_answers_is_taken() {
        let answer = async |number: &u8| match number {
            2 | 3 => Ok(*number),
            _ => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
        };
        assert_eq!(first(&[1, 2, 3], TIMEOUT, answer).await.unwrap(), 2);
        let failure = first(&[0, 1], TIMEOUT, answer).await.unwrap_err();
        assert_eq!(failure.exit, Exit::TempFail);
        assert!(failure.text.starts_with("expected to connect to 1, found: "), "{failure}");
    }
}
