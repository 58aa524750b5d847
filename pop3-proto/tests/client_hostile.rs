//! Servers that lie, babble, never end, or are somebody else.

#[cfg(test)]
mod client_support;

use client_support::*;
use mail_wire::sasl::Credentials;
use mail_wire::{Connection, LayerInfo, Step, TlsInfo};
use pop3_proto::client::*;
use proptest::prelude::*;
use std::time::Instant;

#[test]
fn plain_text_behind_the_reply_to_stls_is_fatal() {
    for tls in [TlsPolicy::Opportunistic, TlsPolicy::Required] {
        for injected in ["+OK\r\nSASL PLAIN\r\n.\r\n", "+", "\r\n", "-ERR\r\n"] {
            let mut embedder = Embedder::new(config().with_tls(tls), &[]);
            embedder.feed(b"+OK\r\n", 100);
            embedder.feed(b"+OK\r\nSTLS\r\n.\r\n", 100);
            embedder.sent.clear();
            embedder.feed(format!("+OK go\r\n{injected}").as_bytes(), 1000);
            assert_eq!(
                embedder.events,
                ["failed: expected TLS behind the reply to STLS, found injected plain text"],
                "{injected:?}"
            );
            assert!(embedder.sent.is_empty());
        }
    }
}

#[test]
fn a_reply_that_comes_before_its_command_is_fatal() {
    for (first, second) in [
        ("+OK\r\n", "+OK\r\nSTLS\r\n.\r\n+OK\r\n"),
        ("", "+OK\r\n+OK\r\n.\r\n"),
        ("+OK\r\n", "+OK\r\n.\r\n+OK\r\n"),
    ] {
        let mut embedder = Embedder::new(config().with_tls(TlsPolicy::Required), &[]);
        embedder.feed(first.as_bytes(), usize::MAX);
        embedder.sent.clear();
        embedder.feed(second.as_bytes(), usize::MAX);
        let error = embedder.played.end.unwrap().unwrap_err();
        let fine = matches!(error, ClientError::Unsolicited { .. } | ClientError::TlsNotOffered);
        assert!(fine, "{second:?}: {error}");
        assert!(!String::from_utf8(embedder.played.sent).unwrap().contains("STLS"), "{second:?}");
    }
}

#[test]
fn a_password_is_not_said_to_a_server_that_is_out_of_step() {
    let mut embedder = Embedder::new(with_password(), &[]);
    embedder.feed(b"+OK\r\n", 100);
    embedder.feed(b"-ERR\r\n", 100);
    embedder.sent.clear();
    embedder.feed(b"+OK\r\n+OK\r\n", 100);
    assert_eq!(
        embedder.events,
        ["failed: waiting for the next command: found a reply that no command asked for"]
    );
    assert!(embedder.sent.is_empty());
}

#[test]
fn lines_that_are_no_replies_end_the_connection() {
    let cases = [
        ("hello", "expected +OK or -ERR, found \"hello\""),
        ("", "expected +OK or -ERR, found \"\""),
        ("+ok", "expected a space behind the status indicator"),
        ("+OKAY", "expected a space behind the status indicator"),
        ("+ERR no", "expected a space behind the status indicator"),
        ("220 mx ESMTP", "expected +OK or -ERR, found \"220 mx ESMTP\""),
        ("* OK IMAP4rev1", "expected +OK or -ERR, found \"* OK IMAP4rev1\""),
        ("HTTP/1.1 400 Bad Request", "expected +OK or -ERR, found \"HTTP/1.1 400 Bad Request\""),
        ("+ challenge", "found a challenge where no exchange is under way"),
        ("+OK m\\x00x", "expected a line ended by CRLF, found a NUL"),
        ("+OK m\\rx", "expected a line ended by CRLF, found a bare CR"),
        ("+OK mx\\n~", "expected a line ended by CRLF, found a bare LF"),
    ];
    for (line, why) in cases {
        play(&config(), &[], &format!("S: {line}\n= failed: waiting for the greeting: {why}"));
    }
    let shown = format!("220 {}", "x".repeat(56));
    for (more, end) in [("", ""), ("x", "...")] {
        let failed = format!("waiting for the greeting: expected +OK or -ERR, found \"{shown}{end}\"");
        play(&config(), &[], &format!("S: {shown}{more}\n= failed: {failed}"));
    }
}

#[test]
fn listings_that_are_none_end_the_connection() {
    let of_all = [
        (Request::List(None), "LIST", "1", "the number of a message and its size in octets"),
        (Request::List(None), "LIST", "1\\t2", "the number of a message and its size in octets"),
        (Request::List(None), "LIST", "+OK", "the number of a message and its size in octets"),
        (Request::Uidl(None), "UIDL", "1", "the number of a message and a space"),
        (Request::Uidl(None), "UIDL", "1 a b", "a unique-id of 1 to 70 printable characters"),
        (Request::Uidl(None), "UIDL", "1  a", "a unique-id of 1 to 70 printable characters"),
        (Request::Lang(None), "LANG", "en_US", "a language tag"),
    ];
    for (request, verb, line, why) in of_all {
        let script = format!(
            "C: {verb}\nS: +OK\nS: {line}\nS: .\n= failed: waiting for the lines of {verb}: expected {why}"
        );
        play_after(None, &[submit(request)], script);
    }
    let of_one = [
        (Request::Stat, "STAT", "", "the number of messages and their size in octets"),
        (Request::List(Some(number(3))), "LIST 3", "320", "the number of a message and its size in octets"),
        (Request::List(Some(number(3))), "LIST 3", "2 320", "the number of the message that was asked about"),
        (Request::Uidl(Some(number(3))), "UIDL 3", "abc", "the number of a message and a space"),
        (Request::Uidl(Some(number(3))), "UIDL 3", "4 abc", "the number of the message that was asked about"),
    ];
    for (request, command, text, why) in of_one {
        let verb = request.verb();
        let script =
            format!("C: {command}\nS: +OK {text}\n= failed: waiting for the reply to {verb}: expected {why}");
        play_after(None, &[submit(request)], script);
    }
}

/// A client that has logged in and asks this.
fn asking(mut config: ClientConfig, request: Request) -> Embedder {
    config.plaintext_auth_without_tls = true;
    config.credentials = Some(Credentials::password("mrose", "secret"));
    let mut embedder = Embedder::new(config, &[submit(request)]);
    for reply in ["+OK\r\n", "-ERR\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"] {
        embedder.feed(reply.as_bytes(), 100);
    }
    embedder.events.clear();
    embedder
}

#[test]
fn a_line_without_end_is_cut_off_while_it_is_read() {
    let mut limits = Limits::default();
    for (limit, effective) in [(2048, 2048), (100, 512), (usize::MAX, 16 * 1024)] {
        limits.reply_line = limit;
        for chunk in [1, 1000] {
            let mut embedder = Embedder::new(config().with_limits(limits), &[]);
            embedder.feed(&vec![b'x'; effective - 1], chunk);
            assert!(embedder.events.is_empty(), "{limit} in chunks of {chunk}");
            embedder.feed(b"x", chunk);
            let error =
                format!("failed: waiting for the greeting: expected a line of at most {effective} bytes");
            assert_eq!(embedder.events, [error], "{limit} in chunks of {chunk}");
        }
    }
}

#[test]
fn a_listing_without_end_is_cut_off() {
    let mut limits = Limits::default();
    limits.listing = 1000;
    for (request, verb) in [(Request::List(None), "LIST"), (Request::Uidl(None), "UIDL")] {
        let mut embedder = asking(config().with_limits(limits), request);
        embedder.feed(&b"1 1\r\n".repeat(1000), 77);
        assert_eq!(embedder.events.len(), 1000);
        embedder.events.clear();
        embedder.feed(b"1 1\r\n", 77);
        assert_eq!(embedder.events, [format!("failed: expected at most 1000 lines of {verb}")]);
    }
    let mut embedder = Embedder::new(config(), &[]);
    embedder.feed(b"+OK\r\n", 100);
    embedder.feed(b"+OK\r\n", 100);
    embedder.feed(&b"X-UNKNOWN\r\n".repeat(1001), 1000);
    assert_eq!(embedder.events, ["failed: expected at most 1000 lines of CAPA"]);
}

#[test]
fn a_message_without_end_is_cut_off() {
    let mut limits = Limits::default();
    limits.message = 5000;
    let mut embedder = asking(config().with_limits(limits), Request::Retr(number(7)));
    embedder.feed(&b"0123456\r\n..\r\n".repeat(416), 100);
    assert!(embedder.end.is_none());
    embedder.feed(&b"0123456\r\n".repeat(30), 100);
    let error = embedder.played.end.unwrap().unwrap_err();
    assert_eq!(error, ClientError::MessageTooLarge { number: number(7), limit: 5000 });
}

#[test]
fn a_message_is_read_no_faster_than_it_is_taken() {
    let mut embedder = asking(config(), Request::Retr(number(1)));
    let (client, now) = (&mut embedder.played.client, embedder.played.now);
    let mut fed = 0;
    loop {
        let recv = client.io().recv;
        if recv.is_empty() {
            break;
        }
        let n = recv.len().min(1000);
        recv[..n].fill(b'x');
        client.received(n, now);
        fed += n;
        assert!(matches!(client.poll(), Step::Event(Event::Body)));
        assert!(fed <= 64 * 1024, "{fed}");
    }
    assert_eq!(client.body().len(), fed);
    client.consume(fed);
    assert!(!client.io().recv.is_empty());
}

#[test]
fn a_hundred_thousand_lines_pass_through_little_memory() {
    let mut embedder = asking(config(), Request::Uidl(None));
    let (client, now) = (&mut embedder.played.client, embedder.played.now);
    let (mut seen, mut next, mut rest) = (0, 1, Vec::new());
    let lines = 100_000;
    loop {
        match client.poll() {
            Step::Event(Event::UniqueId { listing, .. }) => {
                seen += 1;
                assert_eq!(listing.number.get(), seen);
            }
            Step::Event(Event::Done { .. }) => break,
            Step::Event(event) => panic!("{event:?}"),
            Step::Blocked => {
                while next <= lines && rest.len() < 100_000 {
                    rest.extend_from_slice(format!("{next} unique-id-number-{next}\r\n").as_bytes());
                    next += 1;
                    if next > lines {
                        rest.extend_from_slice(b".\r\n");
                    }
                }
                let recv = client.io().recv;
                assert!(recv.len() <= 64 * 1024);
                let n = recv.len().min(rest.len());
                recv[..n].copy_from_slice(&rest[..n]);
                rest.drain(..n);
                client.received(n, now);
            }
            step => panic!("{step:?}"),
        }
    }
    assert_eq!(seen, lines);
}

#[test]
fn capabilities_that_cannot_be_read_are_passed_over() {
    let script = "S: +OK
         C: CAPA
         S: +OK
         S: \\xff\\xfe
         S: ..TOP
         S: 
         S: UIDL
         S: .
         = ready";
    let played = play(&config(), &[], script);
    let capabilities = played.client.capabilities().unwrap();
    assert!(capabilities.uidl && !capabilities.top);
    assert_eq!(capabilities.others, [".TOP".into()], "without the dot that was put before it");
}

#[test]
fn tls_in_mid_protocol_is_misuse() {
    let result = std::panic::catch_unwind(|| {
        let mut client = play(&config(), &[], "S: +OK\nC: CAPA\nS: -ERR\n= ready").played.client;
        client.upgraded(LayerInfo::Tls(TlsInfo::new()), Instant::now());
    });
    assert!(result.is_err());
}

#[test]
fn no_secret_stands_in_debug_or_errors() {
    let config = with_password();
    assert!(!format!("{config:?}").contains("secret"));
    let mut embedder = Embedder::new(config, &[]);
    embedder.feed(b"+OK\r\n", 100);
    embedder.feed(b"-ERR\r\n", 100);
    embedder.feed(b"+OK\r\n", 100);
    assert!(embedder.sent.ends_with(b"PASS secret\r\n"));
    assert!(!format!("{:?}", embedder.client).contains("secret"));
}

/// Pieces of sessions, and what is none.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "+OK\r\n",
        "+OK 2 320\r\n",
        "+OK <1.2@b>\r\n",
        "-ERR\r\n",
        "-ERR [IN-USE] x\r\n",
        "+ \r\n",
        "+ PDFAMj4=\r\n",
        ".\r\n",
        "STLS\r\n",
        "PIPELINING\r\n",
        "USER\r\n",
        "SASL PLAIN CRAM-MD5\r\n",
        "UTF8\r\n",
        "1 120\r\n",
        "2 abc\r\n",
        "..\r\n",
        "a\r\n",
        "a\n.\nb",
        "\r",
        "\n",
        ".",
        "+ok\r\n",
    ]);
    prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ]
}

fn any_config() -> impl Strategy<Value = ClientConfig> {
    (0..4_usize, any::<[bool; 9]>()).prop_map(|(tls, flags)| {
        let mut config = ClientConfig::new().with_tls(
            [TlsPolicy::Never, TlsPolicy::Opportunistic, TlsPolicy::Required, TlsPolicy::Implicit][tls],
        );
        if flags[0] {
            config.credentials = Some(Credentials::password("mrose", "secret"));
        }
        config.plaintext_auth_without_tls = flags[1];
        config.pipelining = flags[2];
        config.utf8 = flags[3];
        config.quirks.bare_lf = flags[4];
        config.quirks.missing_end = flags[5];
        config.quirks.loose_status = flags[6];
        config.quirks.odd_unique_ids = flags[7];
        config.quirks.odd_listings = flags[8];
        config
    })
}

fn all_requests() -> Vec<Action> {
    let n = number(1);
    [
        Request::Stat,
        Request::List(None),
        Request::Uidl(None),
        Request::Retr(n),
        Request::Dele(n),
        Request::Uidl(Some(n)),
        Request::List(Some(n)),
        Request::Top { number: n, lines: 3 },
        Request::Lang(None),
        Request::Capa,
        Request::Rset,
        Request::Noop,
    ]
    .into_iter()
    .map(submit)
    .chain([Action::Quit])
    .collect()
}

/// What an embedder sees, and what is sent before TLS.
fn outcome(config: &ClientConfig, wire: &[u8], chunk: usize) -> (Vec<String>, Vec<u8>) {
    let mut embedder = Embedder::new(config.clone(), &all_requests());
    embedder.run();
    let (mut rest, mut clear) = (wire, None);
    while !rest.is_empty() && embedder.end.is_none() {
        if embedder.wants_tls {
            clear = Some(embedder.sent.clone());
            embedder.played.client.upgraded(LayerInfo::Tls(TlsInfo::new()), embedder.played.now);
            embedder.run();
            continue;
        }
        let n = rest.len().min(chunk);
        let (now, later) = rest.split_at(n);
        embedder.feed(now, n);
        rest = later;
    }
    if embedder.end.is_none() && !embedder.wants_tls {
        embedder.played.client.received(0, embedder.played.now);
        embedder.run();
        assert!(embedder.end.is_some(), "the end of the connection is the end");
    }
    (embedder.played.events, clear.unwrap_or(embedder.played.sent))
}

proptest! {
    #[test]
    fn whatever_a_server_says_the_client_ends_or_waits(
        config in any_config(),
        pieces in prop::collection::vec(piece(), 0..60),
        chunk in 1..50_usize,
    ) {
        let wire = pieces.concat();
        let (events, clear) = outcome(&config, &wire, chunk);
        let ends = |text: &str| events.iter().filter(|event| event.contains(text)).count();
        prop_assert!(ends("failed: ") + ends("closed") <= 2);
        for id in 0..12 {
            let of = |what: &str| events.iter().filter(|event| event.starts_with(&format!("{id} {what}:"))).count();
            prop_assert!(of("done") + of("refused") + of("unterminated") <= 1, "{events:?}");
        }
        let clear = String::from_utf8_lossy(&clear);
        let shown = ["PASS", "AUTH PLAIN", "secret", "c2VjcmV0"].iter().any(|text| clear.contains(text));
        prop_assert!(!shown || config.plaintext_auth_without_tls, "{clear}");
        let strict = matches!(config.tls, TlsPolicy::Required | TlsPolicy::Implicit);
        prop_assert!(!strict || !clear.contains("USER") && !clear.contains("APOP"), "{clear}");
    }

    #[test]
    fn messages_arrive_as_they_were_sent_however_they_are_cut(
        lines in prop::collection::vec("[.a\\x00\\r\\n\u{e9}]{0,6}", 0..30),
        chunk in 1..40_usize,
    ) {
        // As servers send them: whole lines, dots doubled.
        let content: String = lines.iter().map(|line| line.replace(['\r', '\n'], "") + "\r\n").collect();
        let stuffed: String = content.split_inclusive("\r\n")
            .map(|line| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() })
            .collect();
        for quirk in [false, true] {
            let mut config = config();
            config.quirks.bare_lf = quirk;
            let mut embedder = asking(config, Request::Retr(number(1)));
            embedder.feed(format!("{stuffed}.\r\n").as_bytes(), chunk);
            let mut expected = vec![];
            if !content.is_empty() {
                expected.push(format!("body {}", content.as_bytes().escape_ascii()));
            }
            expected.push("0 done: +OK".to_owned());
            prop_assert_eq!(&embedder.events, &expected);
            prop_assert!(embedder.client.is_idle());
        }
    }
}
