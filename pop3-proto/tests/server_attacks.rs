//! What attackers send, and what the server makes of it.

mod support;

use mail_wire::sasl::{Mechanism, wire};
use mail_wire::{AuthenticatedPeer, Connection, LayerInfo, Step, TlsInfo};
use pop3_proto::server::{Peer, Server, ServerConfig, ServerError, Stage, TransportLogin, Utf8};
use pop3_proto::types::ApopTimestamp;
use std::time::{Duration, Instant};
use support::{Drive, Driven, config, messages};

fn secure() -> ServerConfig {
    let mut config = config();
    config.plaintext_auth_without_tls = false;
    config.stls = true;
    config
}

fn greeted(config: ServerConfig) -> Driven {
    let mut driven = Driven::new(config);
    driven.sent();
    driven
}

#[test]
fn what_stands_behind_stls_is_dropped() {
    for chunk in [1, 5, usize::MAX] {
        let mut driven = greeted(secure());
        driven.feed(b"STLS\r\nUSER mrose\r\nPASS tanstaaf\r\n"[..].split_at(6).0, chunk);
        driven.sent();
        let mut driven = greeted(secure());
        driven.feed(b"STLS\r\nUSER mrose\r\nDELE 1\r\n", usize::MAX);
        assert_eq!(driven.sent(), "+OK begin TLS negotiation\r\n");
        driven.feed(b"CAPA\r\n", chunk);
        assert!(driven.sent().starts_with("+OK capability list follows\r\n"), "and nothing else was sent");
    }
}

#[test]
fn nothing_is_read_between_stls_and_the_handshake() {
    let now = Instant::now();
    let mut server = Server::new(secure().into(), Peer::new(([192, 0, 2, 7], 1).into()), [1; 32], now);
    let mut input: &[u8] = b"STLS\r\n";
    loop {
        match server.poll() {
            Step::Event(pop3_proto::server::Event::Connected(pending)) => {
                server.accept(pending);
            }
            Step::Blocked => {
                let n = server.io().send.len();
                server.sent(n, now);
                server.io().recv[..input.len()].copy_from_slice(input);
                server.received(input.len(), now);
                input = &[];
            }
            Step::Upgrade(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(server.io().recv.is_empty());
    assert_eq!(server.io().send, b"+OK begin TLS negotiation\r\n");
    // A driver that did not send it all must not send it under TLS.
    server.upgraded(LayerInfo::Tls(TlsInfo::new()), now);
    assert!(server.io().send.is_empty());
    assert!(server.tls().is_some());
}

#[test]
fn a_handshake_that_does_not_come_ends_the_connection() {
    let now = Instant::now();
    let mut config = secure();
    config.implicit_tls = true;
    let mut server = Server::new(config.into(), Peer::new(([192, 0, 2, 7], 1).into()), [1; 32], now);
    assert!(matches!(server.poll(), Step::Upgrade(_)));
    server.handle_timeout(now + Duration::from_secs(60));
    assert!(matches!(server.poll(), Step::Close(Err(ServerError::Timeout(Stage::Tls)))));
    assert!(server.io().send.is_empty());
}

#[test]
fn a_late_layer_changes_nothing() {
    let mut driven = greeted(config());
    driven.feed(b"USER mrose\r\n", usize::MAX);
    let now = driven.now;
    driven.server.upgraded(LayerInfo::Authenticated(AuthenticatedPeer::new("root@EXAMPLE.ORG")), now);
    driven.server.upgraded(LayerInfo::Tls(TlsInfo::new()), now);
    assert!(driven.server.transport().is_none() && driven.server.tls().is_none());
    driven.feed(b"PASS tanstaaf\r\n", usize::MAX);
    assert!(driven.sent().ends_with("maildrop locked and ready\r\n"));
}

#[test]
fn long_lines_are_refused_while_they_come_and_dropped_to_their_end() {
    for length in [256, 300, 20_000] {
        for chunk in [1, 100, usize::MAX] {
            let mut driven = greeted(config());
            driven.feed(&vec![b'x'; length], chunk);
            assert_eq!(driven.sent(), "-ERR line too long\r\n", "before its end, and once");
            driven.feed(b"\r\nQUIT\r\n", chunk);
            assert_eq!(driven.sent(), "+OK bye\r\n");
        }
    }
    let mut driven = greeted(config());
    driven.feed(&[b'x'; 200_000], 4096);
    assert_eq!(driven.result, Some(Err(ServerError::Protocol(Stage::Authorization))));
}

#[test]
fn the_longest_line_that_every_server_takes_is_taken() {
    let line = |octets: usize| [&b"USER "[..], &vec![b'x'; octets - 7], b"\r\n"].concat();
    let mut driven = greeted(config());
    driven.feed(&line(247), usize::MAX);
    assert_eq!(driven.sent(), "+OK send PASS\r\n");
    driven.feed(&[&b"PASS "[..], &[b'x'; 248], b"\r\n"].concat(), usize::MAX);
    assert_eq!(driven.sent(), "-ERR [AUTH] invalid user name or password\r\n");
    driven.feed(&[&b"NOOP"[..], &[b' '; 249], b"\r\n"].concat(), usize::MAX);
    assert_eq!(driven.sent(), "-ERR log in first\r\n");
    driven.feed(&[&b"NOOP"[..], &[b' '; 250], b"\r\n"].concat(), usize::MAX);
    assert_eq!(driven.sent(), "-ERR line too long\r\n");
}

#[test]
fn a_client_that_only_errs_is_slowed_down_and_sent_away() {
    let mut driven = greeted(config());
    driven.feed(&b"XYZZY\r\n".repeat(100), usize::MAX);
    let sent = driven.sent();
    assert_eq!(sent.matches("unknown command").count(), 19);
    assert!(sent.ends_with("-ERR too many errors, closing connection\r\n"));
    assert_eq!(driven.result, Some(Err(ServerError::TooManyErrors)));

    let mut config = config();
    config.timeouts = config.timeouts.with_error_delay(Duration::from_secs(1));
    let mut driven = greeted(config);
    driven.feed(&b"XYZZY\r\n".repeat(100), usize::MAX);
    assert_eq!(driven.sent().matches("-ERR").count(), 9, "the tenth waits");
    driven.wait(Duration::from_secs(1));
    assert_eq!(driven.sent().matches("-ERR").count(), 1);
    driven.wait(Duration::from_secs(60));
    assert_eq!(driven.result, Some(Err(ServerError::TooManyErrors)));
}

#[test]
fn a_client_that_never_logs_in_is_not_kept_for_ever() {
    let mut driven = greeted(config());
    driven.feed(&b"CAPA\r\n".repeat(200), usize::MAX);
    let sent = driven.sent();
    assert_eq!(sent.matches("capability list").count(), 100);
    assert_eq!(driven.result, Some(Err(ServerError::TooManyErrors)));
}

#[test]
fn messages_that_are_not_there_are_no_errors_of_the_client() {
    let mut driven = Driven::logged_in(config(), messages());
    driven.feed(&b"RETR 7\r\nDELE 0\r\n".repeat(100), usize::MAX);
    assert_eq!(driven.sent(), "-ERR no such message\r\n".repeat(200));
    assert_eq!(driven.result, None);
}

#[test]
fn nothing_but_quit_removes_anything() {
    type End = fn(&mut Driven);
    let ends: &[(&str, End)] = &[
        ("end of input", |driven| driven.end_of_input()),
        ("autologout", |driven| driven.wait(Duration::from_secs(600))),
        ("shutdown", |driven| {
            driven.server.shutdown();
            driven.run();
        }),
        ("too many errors", |driven| driven.feed(&b"XYZZY\r\n".repeat(20), usize::MAX)),
        ("another protocol", |driven| driven.feed(b"Host: x\r\n", usize::MAX)),
        ("an endless line", |driven| driven.feed(&[b'x'; 100_000], 4096)),
        ("QUIT with an argument", |driven| {
            driven.feed(b"QUIT now\r\n", usize::MAX);
            driven.end_of_input();
        }),
        ("half a QUIT", |driven| {
            driven.feed(b"QUIT", usize::MAX);
            driven.end_of_input();
        }),
        ("QUIT with a bare LF", |driven| {
            driven.feed(b"QUIT\n", usize::MAX);
            driven.end_of_input();
        }),
    ];
    for (name, end) in ends {
        let mut driven = Driven::logged_in(config(), messages());
        driven.feed(b"DELE 1\r\n", usize::MAX);
        end(&mut driven);
        assert!(driven.result.is_some(), "{name} ends the session");
        assert_eq!(driven.removed, None, "{name}");
        assert!(!driven.events.contains(&"commit"), "{name}");
    }
}

#[test]
fn a_browser_is_not_talked_to() {
    for first in ["GET / HTTP/1.1\r\nHost: x\r\n\r\nUSER mrose\r\n", "Host: x\r\n"] {
        let mut driven = greeted(config());
        driven.feed(first.as_bytes(), usize::MAX);
        assert_eq!(driven.sent(), "-ERR this is a POP3 server, closing connection\r\n");
        assert_eq!(driven.result, Some(Err(ServerError::Protocol(Stage::Authorization))));
    }
}

#[test]
fn passwords_are_shown_nowhere() {
    let mut driven = Driven::new(config());
    driven.feed(b"USER mrose\r\nPASS tansta", usize::MAX);
    let shown = format!("{:?}", driven.server);
    assert!(!shown.contains("tansta"), "{shown}");
    driven.feed(b"bf\r\n", usize::MAX);
    assert_eq!(driven.failed_users, [Some("mrose".into())]);
}

fn with_sasl(mechanisms: &[Mechanism]) -> ServerConfig {
    let mut config = config();
    config.mechanisms = mechanisms.iter().copied().collect();
    config
}

#[test]
fn endless_sasl_responses_are_cut_off() {
    let mut driven = greeted(with_sasl(&[Mechanism::Plain]));
    driven.feed(b"AUTH PLAIN\r\n", usize::MAX);
    assert_eq!(driven.sent(), "+ \r\n");
    driven.feed(&[b'A'; 20_000], 1000);
    assert_eq!(driven.sent(), "-ERR line too long\r\n");
    driven.feed(b"\r\nQUIT\r\n", usize::MAX);
    assert_eq!(driven.sent(), "+OK bye\r\n");
}

#[test]
fn cram_md5_follows_its_rfc_and_hides_who_exists() {
    for (user, password, fits) in
        [("mrose", "tanstaaf", true), ("mrose", "wrong", false), ("nobody", "tanstaaf", false)]
    {
        let mut driven = greeted(with_sasl(&[Mechanism::CramMd5]));
        driven.feed(b"AUTH CRAM-MD5\r\n", usize::MAX);
        let sent = driven.sent();
        let challenge =
            sent.strip_prefix("+ ").and_then(|rest| rest.strip_suffix("\r\n")).expect("a challenge");
        let credentials = mail_wire::sasl::Credentials::password(user, password);
        let params = mail_wire::sasl::ClientParams::new(
            mail_wire::sasl::Nonce::from_random([2; 18]),
            Mechanism::ALL.into_iter().collect(),
        );
        let mut client =
            mail_wire::sasl::Client::new(Mechanism::CramMd5, &credentials, params).expect("it fits");
        let challenge = wire::decode_challenge(challenge.as_bytes(), 1000).expect("base64");
        let response = client.step(&challenge).expect("a challenge");
        driven.feed(wire::encode(response.expose()).expose(), usize::MAX);
        driven.feed(b"\r\n", usize::MAX);
        let expected = match fits {
            true => "+OK maildrop locked and ready\r\n",
            false => "-ERR [AUTH] invalid user name or password\r\n",
        };
        assert_eq!(driven.sent(), expected, "{user} {password}");
    }
}

/// What APOP with this name and password gets.
fn apop(name: &str, password: &str) -> String {
    let mut config = config();
    config.apop = true;
    config.utf8 = Utf8::WithUsers;
    let mut driven = Driven::new(config);
    let greeting = driven.sent();
    let timestamp = ApopTimestamp::find(greeting.as_bytes()).expect("a timestamp");
    let digest = timestamp.digest(&password.into()).to_hex();
    driven.feed(format!("APOP {name} {digest}\r\n").as_bytes(), usize::MAX);
    driven.sent()
}

#[test]
fn apop_prepares_passwords_and_lets_no_imitation_in() {
    assert_eq!(apop("mrose", "tanstaaf"), "+OK maildrop locked and ready\r\n");
    assert_eq!(apop("grün", "weiß"), "+OK maildrop locked and ready\r\n");
    assert_eq!(apop("ghost", "tanstaaf"), "-ERR [AUTH] invalid user name or password\r\n");
}

#[test]
fn timestamps_are_never_the_same_and_need_apop() {
    let mut config = config();
    config.apop = true;
    config.hostname = "host_name with <odd> things".into();
    let config = std::sync::Arc::new(config);
    let mut seen = std::collections::BTreeSet::new();
    for byte in 0..50 {
        let now = Instant::now();
        let mut server = Server::new(config.clone(), Peer::new(([192, 0, 2, 7], 1).into()), [byte; 32], now);
        let Step::Event(pop3_proto::server::Event::Connected(pending)) = server.poll() else { panic!() };
        server.accept(pending);
        let greeting = server.io().send.to_vec();
        let timestamp = ApopTimestamp::find(&greeting).expect("a timestamp");
        assert!(timestamp.as_str().ends_with("@host-name-with--odd--things>"), "{timestamp}");
        assert!(seen.insert(timestamp.as_str().to_owned()));
    }
}

#[test]
fn a_banner_cannot_pass_for_a_timestamp() {
    let mut config = config();
    config.greeting = mail_wire::ReplyText::from_static("[x] ready <1.2@b>");
    let mut driven = Driven::new(config);
    assert_eq!(driven.sent(), "+OK (x] ready (1.2@b)\r\n");
}

#[test]
fn external_is_offered_where_something_has_shown_who_the_client_is() {
    for (transport, offered) in [(None, false), (Some("mrose@EXAMPLE.ORG"), true)] {
        let mut config = with_sasl(&[Mechanism::External]);
        config.transport_login = TransportLogin::Ignore;
        let mut driven = Driven::with(config, |server| {
            if let Some(identity) = transport {
                let peer = AuthenticatedPeer::new(identity);
                server.upgraded(LayerInfo::Authenticated(peer), Instant::now());
            }
        });
        driven.sent();
        driven.feed(b"CAPA\r\n", usize::MAX);
        assert_eq!(driven.sent().contains("SASL EXTERNAL"), offered);
        driven.feed(b"AUTH EXTERNAL =\r\n", usize::MAX);
        let expected = match offered {
            true => "-ERR [AUTH] invalid user name or password\r\n",
            false => "-ERR authentication mechanism not supported\r\n",
        };
        assert_eq!(driven.sent(), expected);
    }
}

#[test]
fn a_confidential_transport_lets_passwords_through() {
    for confidential in [false, true] {
        let mut config = secure();
        config.stls = false;
        let mut driven = Driven::with(config, |server| {
            let mut peer = AuthenticatedPeer::new("host@EXAMPLE.ORG");
            peer.confidential = confidential;
            server.upgraded(LayerInfo::Authenticated(peer), Instant::now());
        });
        driven.sent();
        driven.feed(b"USER mrose\r\n", usize::MAX);
        assert_eq!(driven.sent().starts_with("+OK"), confidential);
    }
}

fn proxied() -> ServerConfig {
    let mut config = config();
    config.proxy_protocol = true;
    config
}

#[test]
fn a_proxied_client_has_its_own_address_and_nothing_of_what_the_proxy_has_shown() {
    for (header, address) in [
        (&b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 110\r\n"[..], "192.0.2.1:1234"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\x04\xd2\0\x6e", "192.0.2.1:1234"),
        (b"PROXY UNKNOWN\r\n", "198.51.100.9:1"),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "198.51.100.9:1"),
    ] {
        for chunk in [1, 7, usize::MAX] {
            let mut config = proxied();
            config.mechanisms.insert(Mechanism::External);
            let mut peer = Peer::new("198.51.100.9:1".parse().unwrap());
            peer.identity = Some("proxy".to_owned());
            let mut driven = Driven::from_peer(config, peer, |_| {});
            driven.feed(header, chunk);
            assert_eq!(driven.sent(), "+OK POP3 server ready\r\n");
            assert_eq!(driven.server.peer().address, address.parse().unwrap());
            driven.feed(b"CAPA\r\n", chunk);
            assert!(!driven.sent().contains("EXTERNAL"));
        }
    }
}

#[test]
fn what_is_no_proxy_header_ends_the_connection_without_a_word() {
    for wrong in
        [&b"CAPA\r\nQUIT\r\nSTAT\r\n"[..], b"PROXY TCP4 192.0.2.1\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\0\0\0"]
    {
        let mut driven = Driven::new(proxied());
        driven.feed(wrong, usize::MAX);
        assert!(matches!(driven.result, Some(Err(ServerError::Proxy(_)))), "{}", wrong.escape_ascii());
        assert_eq!(driven.sent(), "", "and nothing was sent");
        assert!(driven.events.is_empty());
    }
    let mut driven = Driven::new(proxied());
    driven.feed(b"PROXY TCP4 ", usize::MAX);
    driven.wait(Duration::from_secs(60));
    assert_eq!(driven.result, Some(Err(ServerError::Timeout(Stage::Connect))));
    assert_eq!(driven.sent(), "", "and nothing was sent");
}

#[test]
fn nothing_behind_a_proxy_header_is_read_before_tls() {
    let now = Instant::now();
    let mut config = proxied();
    config.implicit_tls = true;
    let mut server = Server::new(config.into(), Peer::new(([192, 0, 2, 7], 1).into()), [1; 32], now);
    let mut input: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 995\r\nhello";
    while let Step::Blocked = server.poll() {
        let room = server.io().recv;
        let n = room.len().min(input.len());
        room[..n].copy_from_slice(&input[..n]);
        input = &input[n..];
        server.received(n, now);
    }
    assert!(matches!(server.poll(), Step::Upgrade(_)));
    assert_eq!(input, b"hello");
    assert!(server.io().recv.is_empty());
}
