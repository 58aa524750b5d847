//! The PROXY protocol's header.

use smtp_proto::codec::{ProxyAddresses, ProxyHeader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// More bytes never change what was found, and each pair of addresses comes back from both versions.
pub fn check(data: &[u8]) {
    let whole = ProxyHeader::parse(data);
    for n in 0..data.len().min(300) {
        match ProxyHeader::parse(&data[..n]) {
            Ok(None) => {}
            Ok(Some(found)) => {
                assert!(found.1 <= n);
                assert_eq!(whole, Ok(Some(found)), "a header ends where it ends");
            }
            Err(error) => assert_eq!(whole, Err(error), "no more bytes make it a header"),
        }
    }
    if let Ok(Some((_, len))) = whole {
        assert!((1..=data.len().min(ProxyHeader::MAX_V2)).contains(&len));
    } else if whole == Ok(None) {
        assert!(data.len() < ProxyHeader::MAX_V2);
    }
    if let Some(bytes) = data.first_chunk::<37>() {
        round_trip(bytes);
    }
}

fn round_trip(bytes: &[u8; 37]) {
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let v6 =
        |at: usize| IpAddr::V6(Ipv6Addr::from(*bytes[at..].first_chunk::<16>().expect("there are as many")));
    let v4 =
        |at: usize| IpAddr::V4(Ipv4Addr::from(*bytes[at..].first_chunk::<4>().expect("there are as many")));
    let is_v4 = bytes[0] & 1 == 0;
    let (source, destination) = if is_v4 { (v4(1), v4(17)) } else { (v6(1), v6(17)) };
    let (source_port, destination_port) = (port(33), port(35));
    let expected = ProxyHeader::Proxied(ProxyAddresses {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    });

    let family = if is_v4 { "TCP4" } else { "TCP6" };
    let v1 = format!("PROXY {family} {source} {destination} {source_port} {destination_port}\r\n");
    assert_eq!(ProxyHeader::parse(v1.as_bytes()), Ok(Some((expected, v1.len()))), "{v1}");

    let mut body = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => body.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => body.extend_from_slice(&address.octets()),
        }
    }
    body.extend_from_slice(&bytes[33..37]);
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    v2.push(if is_v4 { 0x11 } else { 0x21 });
    v2.extend_from_slice(&(body.len() as u16).to_be_bytes());
    v2.extend_from_slice(&body);
    assert_eq!(ProxyHeader::parse(&v2), Ok(Some((expected, v2.len()))));
}
