//! [`Network`]: addresses with a common beginning, as `192.0.2.0/24`.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};

/// A network of IP addresses: `192.0.2.0/24`, `2001:db8::/32`, or an address alone, which is a network of one.
///
/// ```
/// use mailwright::config::Network;
///
/// let network: Network = "192.0.2.0/24".parse().unwrap();
/// assert!(network.contains("192.0.2.7".parse().unwrap()));
/// assert!(!network.contains("192.0.3.7".parse().unwrap()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Never an IPv4 address in the form of an IPv6 one.
    first: IpAddr,
    /// How many bits are common to all.
    prefix: u8,
}

/// Why a text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It has not the form of one.
    #[error("expected a network such as 192.0.2.0/24 or 2001:db8::/32, found {0:?}")]
    Form(String),
    /// An IPv4 address in the form of an IPv6 one, with a prefix that ends before that form does.
    #[error(
        "expected a prefix from 96 to 128 behind an IPv4 address in the form of an IPv6 one, found {0:?}"
    )]
    Mapped(String),
    /// The address goes on where the prefix has ended, so one of the two is a slip.
    #[error("expected a network, such as {network}, found an address inside of it: {found:?}")]
    HostBits {
        /// What was found.
        found: String,
        /// The network that it lies in.
        network: Network,
    },
}

impl Network {
    /// Whether the address is one of these. An IPv4 address in the form of an IPv6 one (`::ffff:192.0.2.7`) counts as
    /// what it stands for.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.prefix) == self.first
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let first = address.to_canonical();
        Self { first, prefix: bits(first) }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError::Form(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            None => return text.parse().map(IpAddr::into).map_err(|_| error()),
            Some((address, prefix)) => (address.parse::<IpAddr>().map_err(|_| error())?, prefix),
        };
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|&n| digits && n <= bits(address)).ok_or_else(error)?;
        // Addresses are compared in their canonical form.
        let (address, prefix) = match address.to_canonical() {
            canonical if canonical.is_ipv4() == address.is_ipv4() => (address, prefix),
            v4 => (v4, prefix.checked_sub(96).ok_or_else(|| NetworkError::Mapped(text.to_owned()))?),
        };
        let network = Self { first: masked(address, prefix), prefix };
        match network.first == address {
            true => Ok(network),
            false => Err(NetworkError::HostBits { found: text.to_owned(), network }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with nothing but zeros behind its prefix.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        // A shift by all bits there are is none at all, as Rust sees it.
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(32 - prefix).unwrap_or(0)).into()),
        IpAddr::V6(v6) => {
            IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(128 - prefix).unwrap_or(0)).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_what_begins_alike() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("192.0.2.4/31", "192.0.2.5", "192.0.2.6"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1/32", "::ffff:127.0.0.1", "::ffff:127.0.0.2"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("::ffff:10.0.0.0/104", "10.255.255.255", "11.0.0.0"),
            ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", "::ffff:11.0.0.0"),
            ("::ffff:192.0.2.7/128", "192.0.2.7", "192.0.2.8"),
            ("::ffff:0:0/96", "192.0.2.7", "::1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{inside} in {network}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{outside} in {network}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
    }

    #[test]
    fn errors_say_what_would_have_been_right() {
        for bad in
            ["", "localhost", "192.0.2.0/33", "::/129", "192.0.2.0/", "192.0.2.0/+8", "192.0.2/24", "/8"]
        {
            let error = bad.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains("such as 192.0.2.0/24") && error.contains(&format!("{bad:?}")), "{error}");
        }
        let error = "192.0.2.7/24".parse::<Network>().unwrap_err().to_string();
        assert!(error.contains("such as 192.0.2.0/24,"), "{error}");
        let error = "::ffff:10.0.0.1/104".parse::<Network>().unwrap_err().to_string();
        assert!(error.contains("such as 10.0.0.0/8,"), "{error}");
        for bad in ["::ffff:0:0/95", "::ffff:10.0.0.0/8", "::ffff:0:0/0"] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError::Mapped(bad.to_owned())));
        }
    }
}
