//! Notifying `comsat`, which tells a user of new mail.

use std::net::{ToSocketAddrs, UdpSocket};

use procmail_engine::effect::Notice;

use super::{Host, Programs};

/// The port of `biff`.
const PORT: u16 = 512;

impl Host {
    /// Sends a datagram. Whoever may run no programs may not reach out to the network either.
    pub(super) fn notify(&self, notice: &Notice) {
        if self.programs == Programs::Refuse {
            return;
        }
        let (Ok(service), Ok(host)) =
            (std::str::from_utf8(&notice.service), std::str::from_utf8(&notice.host))
        else {
            return;
        };
        let port = service.parse().unwrap_or(PORT);
        let to = (host, port).to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
        // Nobody may be listening, and mail is delivered all the same.
        if let Some(to) = to {
            let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            drop(UdpSocket::bind(from).and_then(|socket| socket.send_to(&notice.message, to)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Stop;

    #[test]
    fn a_datagram_is_sent_unless_programs_are_refused() {
        let service = UdpSocket::bind("127.0.0.1:0").unwrap();
        let notice = |message: &str| Notice {
            service: service.local_addr().unwrap().port().to_string().into_bytes(),
            host: b"127.0.0.1".to_vec(),
            message: message.as_bytes().to_vec(),
        };
        let host = || Host::new("/", Stop::new().unwrap());
        host().with_programs(Programs::Refuse).notify(&notice("refused"));
        host().notify(&notice("joe@0:/var/mail/joe"));
        let mut buffer = [0; 64];
        let (size, _) = service.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..size], b"joe@0:/var/mail/joe");
    }
}
