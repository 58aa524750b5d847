//! The PROXY protocol, versions 1 and 2: what a load balancer says of the real client before the first byte of the mail
//! protocol, and before TLS.
//!
//! Only to be read from peers that are known to send it; from anyone else it would be a forged address.
//!
//! ```
//! use mail_wire::ProxyHeader;
//!
//! let data = b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 110\r\nCAPA\r\n";
//! let Ok(Some((ProxyHeader::Proxied(addresses), len))) = ProxyHeader::parse(data) else { panic!("no client") };
//! assert_eq!(addresses.source, "192.0.2.1:1234".parse().unwrap());
//! assert_eq!(&data[len..], b"CAPA\r\n");
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses of the connection as the proxy saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProxyAddresses {
    /// The client.
    pub source: SocketAddr,
    /// Where the client connected to.
    pub destination: SocketAddr,
}

/// A whole PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyHeader {
    /// The proxy speaks for a client.
    Proxied(ProxyAddresses),
    /// The proxy speaks for itself (health checks), or does not know the addresses: those of the socket hold.
    Local,
}

/// The bytes are no PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// Neither of the two signatures.
    #[error("expected a PROXY protocol header")]
    Signature,
    /// A header of version 1 without CRLF in its first 107 bytes.
    #[error("expected the end of the PROXY header within {} bytes", ProxyHeader::MAX_V1)]
    TooLong,
    /// Version 1: wrong words, addresses or ports.
    #[error("expected 'PROXY TCP4|TCP6 source destination source-port destination-port'")]
    V1,
    /// Version 2: wrong version, command, family or length.
    #[error("expected version, command and addresses of a binary PROXY header")]
    V2,
}

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

impl ProxyHeader {
    /// Longest header of version 1, with CRLF.
    pub const MAX_V1: usize = 107;
    /// Longest header of version 2 that is read: addresses and type-length-value records.
    pub const MAX_V2: usize = 16 + 2048;

    /// Reads a header from the front of `data`; gives it with its length, or `None` where more bytes are needed.
    ///
    /// # Errors
    ///
    /// As soon as the bytes cannot become a header.
    pub fn parse(data: &[u8]) -> Result<Option<(Self, usize)>, ProxyError> {
        let agrees = |signature: &[u8]| {
            let n = data.len().min(signature.len());
            data[..n] == signature[..n]
        };
        if agrees(&SIGNATURE) {
            Self::parse_v2(data)
        } else if agrees(b"PROXY ") {
            Self::parse_v1(data)
        } else {
            Err(ProxyError::Signature)
        }
    }

    /// How many more bytes may be read so that none is read that stands behind the header, where TLS may begin; at least one.
    /// `data` is what has been read of it, for which [`parse`](Self::parse) gives `None`.
    pub fn missing(data: &[u8]) -> usize {
        match data {
            // The shortest headers have 15 and 16 bytes.
            _ if data.len() < 15 => 15 - data.len(),
            [b'P', ..] => 1,
            _ => match data.get(14..16) {
                None => 16 - data.len(),
                Some(len) => {
                    let total = 16 + (usize::from(len[0]) << 8 | usize::from(len[1]));
                    total.min(Self::MAX_V2 + 1).saturating_sub(data.len()).max(1)
                }
            },
        }
    }

    fn parse_v1(data: &[u8]) -> Result<Option<(Self, usize)>, ProxyError> {
        let window = &data[..data.len().min(Self::MAX_V1)];
        let Some(lf) = memchr::memchr(b'\n', window) else {
            return if data.len() >= Self::MAX_V1 { Err(ProxyError::TooLong) } else { Ok(None) };
        };
        let line = window[..lf].strip_suffix(b"\r").ok_or(ProxyError::V1)?;
        let text = core::str::from_utf8(line).map_err(|_| ProxyError::V1)?;
        let mut words = text.split(' ').skip(1);
        let family = words.next();
        if family == Some("UNKNOWN") {
            return Ok(Some((ProxyHeader::Local, lf + 1)));
        }
        let mut address = || words.next()?.parse::<IpAddr>().ok();
        let (source, destination) = (address(), address());
        let mut port = || {
            let word = words.next()?;
            let plain = word.bytes().all(|b| b.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
            if plain { word.parse::<u16>().ok() } else { None }
        };
        let (source_port, destination_port) = (port(), port());
        let (Some(source), Some(destination), Some(source_port), Some(destination_port), None) =
            (source, destination, source_port, destination_port, words.next())
        else {
            return Err(ProxyError::V1);
        };
        match (family, source, destination) {
            (Some("TCP4"), IpAddr::V4(_), IpAddr::V4(_)) | (Some("TCP6"), IpAddr::V6(_), IpAddr::V6(_)) => {}
            _ => return Err(ProxyError::V1),
        }
        let addresses = ProxyAddresses {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
        };
        Ok(Some((ProxyHeader::Proxied(addresses), lf + 1)))
    }

    fn parse_v2(data: &[u8]) -> Result<Option<(Self, usize)>, ProxyError> {
        let Some(&[version_command, family, high, low]) = data.get(12..16).and_then(|b| b.first_chunk())
        else {
            return Ok(None);
        };
        let total = 16 + usize::from(u16::from_be_bytes([high, low]));
        if version_command >> 4 != 2 || version_command & 0xf > 1 || total > Self::MAX_V2 {
            return Err(ProxyError::V2);
        }
        let Some(body) = data.get(16..total) else { return Ok(None) };
        // LOCAL: the addresses, if any, are to be ignored.
        if version_command & 0xf == 0 {
            return Ok(Some((ProxyHeader::Local, total)));
        }
        let port =
            |at: usize| body.get(at..at + 2).and_then(|b| b.first_chunk()).copied().map(u16::from_be_bytes);
        let v4 = |at: usize| {
            body.get(at..).and_then(|b| b.first_chunk::<4>()).map(|b| IpAddr::V4(Ipv4Addr::from(*b)))
        };
        let v6 = |at: usize| {
            body.get(at..).and_then(|b| b.first_chunk::<16>()).map(|b| IpAddr::V6(Ipv6Addr::from(*b)))
        };
        let (source, destination, ports) = match family {
            0x11 => (v4(0), v4(4), 8),
            0x21 => (v6(0), v6(16), 32),
            // Unspecified family, datagrams or unix sockets: nothing that a mail server can use.
            _ => return Ok(Some((ProxyHeader::Local, total))),
        };
        let (Some(source), Some(destination), Some(source_port), Some(destination_port)) =
            (source, destination, port(ports), port(ports + 2))
        else {
            return Err(ProxyError::V2);
        };
        let addresses = ProxyAddresses {
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
        };
        Ok(Some((ProxyHeader::Proxied(addresses), total)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version_command, family], &len, body].concat()
    }

    fn proxied(source: &str, destination: &str) -> ProxyHeader {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        ProxyHeader::Proxied(ProxyAddresses { source, destination })
    }

    #[test]
    fn whole_headers_are_read_and_every_prefix_wants_more() {
        let v4_body = [192, 0, 2, 1, 198, 51, 100, 1, 0x04, 0xd2, 0, 25];
        let v6_body = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0; 16]]
            .concat()
            .into_iter()
            .chain([0, 1, 0, 2]);
        let v6_body: Vec<u8> = v6_body.collect();
        let cases: Vec<(Vec<u8>, ProxyHeader)> = vec![
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 25\r\n".to_vec(),
                proxied("192.0.2.1:1234", "198.51.100.1:25"),
            ),
            (b"PROXY TCP6 2001:db8::1 :: 1 2\r\n".to_vec(), proxied("[2001:db8::1]:1", "[::]:2")),
            (b"PROXY UNKNOWN\r\n".to_vec(), ProxyHeader::Local),
            (b"PROXY UNKNOWN ffff::1 whatever\r\n".to_vec(), ProxyHeader::Local),
            (v2(0x21, 0x11, &v4_body), proxied("192.0.2.1:1234", "198.51.100.1:25")),
            (
                v2(0x21, 0x11, &[&v4_body[..], &[4, 0, 1, 0]].concat()),
                proxied("192.0.2.1:1234", "198.51.100.1:25"),
            ),
            (v2(0x21, 0x21, &v6_body), proxied("[2001:db8::1]:1", "[::]:2")),
            (v2(0x20, 0, &[]), ProxyHeader::Local),
            (v2(0x21, 0x31, &[0; 216]), ProxyHeader::Local),
        ];
        for (bytes, header) in cases {
            let whole = [&bytes[..], b"EHLO x\r\n"].concat();
            assert_eq!(
                ProxyHeader::parse(&whole),
                Ok(Some((header, bytes.len()))),
                "{}",
                bytes.escape_ascii()
            );
            for n in 0..bytes.len() {
                assert_eq!(ProxyHeader::parse(&bytes[..n]), Ok(None), "{} of {}", n, bytes.escape_ascii());
                let missing = ProxyHeader::missing(&bytes[..n]);
                assert!((1..=bytes.len() - n).contains(&missing), "{} of {}", n, bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let cases: Vec<(Vec<u8>, ProxyError)> = vec![
            (b"EHLO x\r\n".to_vec(), ProxyError::Signature),
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 1234\r\n".to_vec(), ProxyError::V1),
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 25 x\r\n".to_vec(), ProxyError::V1),
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 65536\r\n".to_vec(), ProxyError::V1),
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 25\r\n".to_vec(), ProxyError::V1),
            (b"PROXY TCP4 ::1 ::1 1 25\r\n".to_vec(), ProxyError::V1),
            (b"PROXY TCP5 192.0.2.1 198.51.100.1 1 25\r\n".to_vec(), ProxyError::V1),
            (b"PROXY UNKNOWN\n".to_vec(), ProxyError::V1),
            ([&b"PROXY TCP4 "[..], &[b'1'; 200]].concat(), ProxyError::TooLong),
            (v2(0x11, 0x11, &[0; 12]), ProxyError::V2),
            (v2(0x22, 0x11, &[0; 12]), ProxyError::V2),
            (v2(0x21, 0x11, &[0; 11]), ProxyError::V2),
            (v2(0x21, 0x21, &[0; 35]), ProxyError::V2),
            (v2(0x21, 0x11, &[0; 3000]), ProxyError::V2),
        ];
        for (bytes, error) in cases {
            assert_eq!(ProxyHeader::parse(&bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }
}
