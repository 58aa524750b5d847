//! AUTH: what is offered to whom, and what the embedder is told of those who fail.

mod support;

use mail_wire::TlsInfo;
use mail_wire::sasl::{Mechanism, wire};
use smtp_proto::server::{Peer, ServerConfig};
use support::{Drive, Driven, config, with_auth};

/// A peer whose identity the embedder knows, or not.
fn peer(identity: Option<&str>) -> Peer {
    let mut peer = Peer::new("192.0.2.7:50000".parse().expect("an address"));
    peer.identity = identity.map(Into::into);
    peer
}

fn with_external() -> ServerConfig {
    let mut config = config();
    config.mechanisms = [Mechanism::External, Mechanism::Plain].into_iter().collect();
    config.extensions.starttls = true;
    config
}

/// The mechanisms that EHLO offers.
fn offered(driven: &mut Driven) -> Option<String> {
    driven.feed(b"EHLO x\r\n", usize::MAX);
    let sent = driven.sent();
    sent.lines().find_map(|line| line.get(4..)?.strip_prefix("AUTH ").map(Into::into))
}

#[test]
fn external_is_offered_where_something_has_shown_who_the_client_is() {
    for (known, certified, clear, secured) in [
        (None, None, None, "PLAIN"),
        (None, Some("alice"), None, "EXTERNAL PLAIN"),
        (Some("alice"), None, Some("EXTERNAL"), "EXTERNAL PLAIN"),
        (Some("alice"), Some("bob"), Some("EXTERNAL"), "EXTERNAL PLAIN"),
    ] {
        let mut driven = Driven::from_peer(with_external(), peer(known));
        driven.tls = TlsInfo::new();
        driven.tls.peer_identity = certified.map(Into::into);
        assert_eq!(offered(&mut driven).as_deref(), clear, "{known:?} {certified:?}");
        driven.feed(b"STARTTLS\r\n", usize::MAX);
        assert_eq!(offered(&mut driven).as_deref(), Some(secured), "{known:?} {certified:?}");
    }
}

#[test]
fn external_without_an_identity_is_refused() {
    let mut driven = Driven::from_peer(with_external(), peer(None));
    driven.feed(b"EHLO x\r\nSTARTTLS\r\n", usize::MAX);
    driven.feed(b"EHLO x\r\n", usize::MAX);
    driven.sent();
    driven.feed(b"AUTH EXTERNAL =\r\n", usize::MAX);
    assert_eq!(driven.sent(), "504 5.5.4 authentication mechanism not supported\r\n");
    assert!(!driven.events.contains(&"sasl"));
}

#[test]
fn what_was_shown_of_a_proxy_says_nothing_of_its_client() {
    let mut config = with_external();
    config.extensions.xclient = true;
    let mut peer = peer(Some("proxy"));
    peer.trusted = true;
    let mut driven = Driven::from_peer(config, peer);
    driven.tls.peer_identity = Some("proxy".into());
    driven.feed(b"STARTTLS\r\n", usize::MAX);
    assert_eq!(offered(&mut driven).as_deref(), Some("EXTERNAL PLAIN"));
    driven.feed(b"XCLIENT ADDR=192.0.2.99\r\n", usize::MAX);
    assert_eq!(offered(&mut driven).as_deref(), Some("PLAIN"));

    let mut config = with_external();
    config.proxy_protocol = true;
    let mut driven = Driven::from_peer(config, self::peer(Some("proxy")));
    driven.feed(b"PROXY TCP4 192.0.2.99 192.0.2.1 5000 25\r\n", 1);
    assert_eq!(offered(&mut driven), None);
}

#[test]
fn a_failed_login_names_the_user_as_far_as_it_is_known() {
    let long = "x".repeat(400);
    let plain = |user: &str| format!("AUTH PLAIN {}\r\n", encoded(&format!("\0{user}\0wrong")));
    for (lines, user) in [
        (plain("alice"), Some("alice")),
        (plain("Ma\u{f1}ana"), Some("Ma\u{f1}ana")),
        (plain(&long), Some(&long[..255])),
        (plain(&format!("x{}", "\u{e9}".repeat(200))), Some(&*format!("x{}", "\u{e9}".repeat(127)))),
        (format!("AUTH PLAIN {}\r\n", encoded("alice wrong")), None),
        (format!("AUTH LOGIN\r\n{}\r\n{}\r\n", encoded("bob"), encoded("wrong")), Some("bob")),
        (format!("AUTH LOGIN\r\n{}\r\n{}\r\n", encoded("bob"), encoded("a\nb")), Some("bob")),
        (format!("AUTH CRAM-MD5\r\n{}\r\n", encoded(&format!("alice {}", "0".repeat(32)))), Some("alice")),
        (format!("AUTH CRAM-MD5\r\n{}\r\n", encoded("alice")), None),
    ] {
        let mut driven = Driven::new(with_auth());
        driven.feed(format!("EHLO x\r\n{lines}").as_bytes(), usize::MAX);
        let users: Vec<_> = driven.failed_users.iter().map(Option::as_deref).collect();
        assert_eq!(users, [user], "{lines}");
    }
}

fn encoded(message: &str) -> String {
    String::from_utf8(wire::encode(message.as_bytes()).expose().to_vec()).expect("base64")
}
