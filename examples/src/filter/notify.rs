//! Notifying `comsat`, which tells a user of new mail.

use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::ffi::OsStrExt;

use procmail_engine::eval::Evaluator;

use super::Host;

/// The port of `biff`.
const PORT: u16 = 512;

impl Host {
    /// Sends `user@offset:file`. The service is `service@host`, `@host`, a port, or a word for yes.
    pub(super) fn notify(&self, service: &[u8], folder: &[u8], evaluator: &Evaluator) {
        if folder.starts_with(b"|") || folder.starts_with(b"!") {
            return;
        }
        let Some((port, host)) = address(&String::from_utf8_lossy(service)) else { return };
        let Some(path) = self.path(folder) else { return };
        let user = evaluator.variable(b"LOGNAME").unwrap_or_default();
        let message = [user, b"@0:", path.as_os_str().as_bytes()].concat();
        let sent = (host.as_str(), port).to_socket_addrs().is_ok_and(|mut addresses| {
            addresses.next().is_some_and(|to| {
                let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                UdpSocket::bind(from).and_then(|socket| socket.send_to(&message, to)).is_ok()
            })
        });
        if sent && evaluator.is_verbose() {
            self.complain("Notified comsat:", &message);
        }
    }
}

fn address(service: &str) -> Option<(u16, String)> {
    let (port, host) = service.split_once('@').unwrap_or((service, ""));
    let port = match port.parse::<u16>() {
        Ok(0) => return None,
        // A plain 1 is a word for yes.
        Ok(1) => PORT,
        Ok(port) => port,
        Err(_) => PORT,
    };
    Some((port, if host.is_empty() { "localhost".to_owned() } else { host.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_port_and_a_host() {
        let table = [
            ("yes", 512, "localhost"),
            ("1", 512, "localhost"),
            ("4711@mail.example", 4711, "mail.example"),
            ("@mail.example", 512, "mail.example"),
            ("biff@mail.example", 512, "mail.example"),
        ];
        for (service, port, host) in table {
            assert_eq!(address(service), Some((port, host.to_owned())), "{service}");
        }
        assert_eq!(address("0"), None);
    }
}
