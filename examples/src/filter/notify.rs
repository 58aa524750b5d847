//! Notifying `comsat`, which tells a user of new mail.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use procmail_engine::effect::Notice;

use super::{Host, Notices, Programs};

/// The port of `biff`.
const PORT: u16 = 512;

impl Host {
    /// Sends a datagram. Whoever may run no programs may not reach out to the network either.
    pub(super) fn notify(&self, notice: &Notice) {
        if self.programs == Programs::Refuse {
            return;
        }
        // Nobody may be listening, and mail is delivered all the same.
        if let Some(to) = address(notice, self.notices) {
            let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            drop(UdpSocket::bind(from).and_then(|socket| socket.send_to(&notice.message, to)));
        }
    }
}

/// Where a notice goes.
fn address(notice: &Notice, notices: Notices) -> Option<SocketAddr> {
    let host = std::str::from_utf8(&notice.host).ok()?;
    let port = std::str::from_utf8(&notice.service).ok()?.parse().unwrap_or(PORT);
    match notices {
        Notices::Anywhere => (host, port).to_socket_addrs().ok()?.next(),
        Notices::Local => {
            let here = match host {
                "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
                host => host.parse::<IpAddr>().ok(),
            };
            here.filter(|here| here.to_canonical().is_loopback()).map(|here| (here, port).into())
        }
        Notices::Nowhere => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Stop;

    #[test]
    fn a_datagram_is_sent_unless_programs_or_notices_are_refused() {
        let service = UdpSocket::bind("127.0.0.1:0").unwrap();
        let notice = |message: &str| Notice {
            service: service.local_addr().unwrap().port().to_string().into_bytes(),
            host: b"127.0.0.1".to_vec(),
            message: message.as_bytes().to_vec(),
        };
        let host = || Host::new("/", Stop::new().unwrap());
        host().with_programs(Programs::Refuse).notify(&notice("refused"));
        host().with_notices(Notices::Nowhere).notify(&notice("unwanted"));
        host().with_notices(Notices::Local).notify(&notice("local"));
        host().notify(&notice("joe@0:/var/mail/joe"));
        for expected in [b"local".as_slice(), b"joe@0:/var/mail/joe"] {
            let mut buffer = [0; 64];
            let (size, _) = service.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..size], expected);
        }
    }

    #[test]
    fn local_notices_go_to_this_host_only() {
        for (host, expected) in [
            ("localhost", Some("127.0.0.1:512")),
            ("127.0.0.1", Some("127.0.0.1:512")),
            ("127.9.9.9", Some("127.9.9.9:512")),
            ("::1", Some("[::1]:512")),
            ("::ffff:127.0.0.1", Some("[::ffff:127.0.0.1]:512")),
            ("192.0.2.1", None),
            ("2001:db8::1", None),
            ("::ffff:192.0.2.1", None),
            ("0.0.0.0", None),
            ("::", None),
            ("255.255.255.255", None),
            ("localhost.example", None),
            ("", None),
        ] {
            let notice = Notice { service: b"biff".to_vec(), host: host.into(), message: Vec::new() };
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(address(&notice, Notices::Local), expected, "{host:?}");
        }
    }
}
