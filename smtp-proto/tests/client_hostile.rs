//! Servers that lie, babble, or are somebody else.

#[cfg(test)]
mod client_support;

use client_support::*;
use mail_wire::sasl::Credentials;
use mail_wire::{Connection, LayerInfo, Step, TlsInfo};
use proptest::prelude::*;
use smtp_proto::client::*;
use std::time::Instant;

#[test]
fn plain_text_behind_the_reply_to_starttls_is_fatal() {
    for tls in [TlsPolicy::Opportunistic, TlsPolicy::Required] {
        for injected in ["250-mx\r\n250 AUTH PLAIN\r\n", "2", "\r\n", "421 bye\r\n"] {
            let mut embedder = Embedder::new(config().with_tls(tls), &[]);
            embedder.feed(b"220 mx\r\n", 100);
            embedder.feed(b"250-mx\r\n250 STARTTLS\r\n", 100);
            embedder.sent.clear();
            embedder.feed(format!("220 go\r\n{injected}").as_bytes(), 1000);
            assert_eq!(
                embedder.events,
                ["failed: expected TLS behind the reply to STARTTLS, found injected plain text"],
                "{injected:?}"
            );
            assert!(embedder.sent.is_empty());
        }
    }
}

#[test]
fn a_reply_to_starttls_that_comes_before_it_is_sent_is_fatal() {
    play_whole(
        &config().with_tls(TlsPolicy::Required),
        "220 mx\r\n",
        "250-mx\r\n250 STARTTLS\r\n220 go\r\n",
        "failed: waiting for the next command: found a reply that no command asked for",
    );
}

/// Feeds two pieces, each whole; the last event is this, and nothing is sent after EHLO.
fn play_whole(config: &ClientConfig, first: &str, second: &str, end: &str) {
    let mut embedder = Embedder::new(config.clone(), &[]);
    embedder.feed(first.as_bytes(), usize::MAX);
    embedder.sent.clear();
    embedder.feed(second.as_bytes(), usize::MAX);
    assert_eq!(embedder.events.last().map(String::as_str), Some(end), "{second:?}");
    assert!(embedder.sent.is_empty(), "{second:?} {}", embedder.sent.escape_ascii());
}

#[test]
fn replies_that_no_command_asked_for_end_the_connection() {
    let unsolicited = "found a reply that no command asked for";
    let greeted = "S: 220 mx\nC: EHLO c\nS: 250 mx\n= ready\n";
    for extra in ["S: 250 ok", "S: 250-ok\nS: 250 ok", "S: 354 go", "S: 554 no"] {
        let script = format!("{greeted}{extra}\n= failed: waiting for the next command: {unsolicited}");
        play(&config(), &[], &script);
    }
    play_whole(
        &config(),
        "220 mx\r\n",
        "250 mx\r\n250 ok\r\n",
        &format!("failed: waiting for the next command: {unsolicited}"),
    );
    play_whole(
        &config(),
        "",
        "220 mx\r\n220 mx\r\n",
        &format!("failed: waiting for the next command: {unsolicited}"),
    );
}

#[test]
fn a_second_reply_to_the_message_is_not_taken_for_that_to_the_next_mail() {
    let mut embedder = Embedder::new(config(), &[message(&["b@mx"], "x\r\n"), message(&["d@mx"], "y\r\n")]);
    embedder.feed(b"220 mx\r\n", 100);
    embedder.feed(b"250-mx\r\n250 PIPELINING\r\n", 100);
    embedder.feed(b"250 ok\r\n250 ok\r\n354 go\r\n", 100);
    embedder.sent.clear();
    embedder.feed(b"250 queued\r\n250 ok\r\n250 ok\r\n354 go\r\n", 100);
    assert_eq!(
        embedder.events[2..],
        [
            "sent | 250 queued",
            "failed: waiting for the reply to MAIL: found a reply that no command asked for"
        ]
    );
    assert!(embedder.sent.is_empty());
}

#[test]
fn lines_that_are_no_replies_end_the_connection() {
    let cases = [
        ("hello", "expected a reply code from 200 to 599 at the start of line 1"),
        ("", "expected a reply code from 200 to 599 at the start of line 1"),
        ("150 go", "expected a reply code from 200 to 599 at the start of line 1"),
        ("999 no", "expected a reply code from 200 to 599 at the start of line 1"),
        ("22", "expected a reply code from 200 to 599 at the start of line 1"),
        ("220_mx", "expected a space or '-' behind the reply code in line 1"),
        ("220-mx\\r\\n250 mx", "expected reply code 220 in line 2, found 250"),
        ("220-mx\\r\\nmx", "expected a reply code from 200 to 599 at the start of line 2"),
        ("220 m\\x00x", "expected a line ended by CRLF, found a NUL"),
        ("220 m\\rx", "expected a line ended by CRLF, found a bare CR"),
        ("220 m\\r", "expected a line ended by CRLF, found a bare CR"),
        ("220 mx\\n~", "expected a line ended by CRLF, found a bare LF"),
        ("HTTP/1.1 400 Bad Request", "expected a reply code from 200 to 599 at the start of line 1"),
    ];
    for (line, why) in cases {
        play(&config(), &[], &format!("S: {line}\n= failed: waiting for the greeting: {why}"));
    }
}

#[test]
fn bare_lf_may_be_let_pass() {
    let mut config = config();
    config.bare_lf_replies = true;
    play(&config, &[], "S: 220 mx\\n~\nC: EHLO c\nS: 250-mx\\n250 SIZE\\n~\n= ready");
    play(
        &config,
        &[],
        "S: 220 m\\rx\\n~\n= failed: waiting for the greeting: expected a line ended by CRLF, found a bare CR",
    );
}

#[test]
fn a_line_without_end_is_cut_off_while_it_is_read() {
    let mut config = config();
    for (limit, effective) in [(2048, 2048), (100, 512), (usize::MAX, 16 * 1024)] {
        config.reply_line = limit;
        for chunk in [1, 1000] {
            let mut embedder = Embedder::new(config.clone(), &[]);
            let text = "220 ".to_owned() + &"x".repeat(effective - 4 - 2);
            embedder.feed(text.as_bytes(), chunk);
            assert!(embedder.events.is_empty(), "{limit} in chunks of {chunk}");
            embedder.feed(b"xx", chunk);
            let error = format!(
                "failed: waiting for the greeting: expected a reply line of at most {effective} bytes"
            );
            assert_eq!(embedder.events, [error], "{limit} in chunks of {chunk}");
        }
    }
}

#[test]
fn a_line_of_just_the_limit_passes() {
    let line = "x".repeat(2048 - 4 - 2);
    play(&config(), &[], &format!("S: 220 {line}\nC: EHLO c"));
}

#[test]
fn an_endless_reply_is_cut_off() {
    let mut embedder = Embedder::new(config(), &[]);
    let mut fed = 0;
    while embedder.events.is_empty() && fed < 10_000 {
        embedder.feed(b"220-mx\r\n", 100);
        fed += 1;
    }
    assert_eq!(fed, 513);
    assert!(embedder.events[0].contains("expected a reply of at most 512 lines"), "{:?}", embedder.events);
}

#[test]
fn codes_of_the_wrong_class_end_the_connection() {
    let greeted = "S: 220 mx\nC: EHLO c\nS: 250 mx\n= ready\n";
    let send = [message(&["b@mx"], "x\r\n")];
    let mail = format!("{greeted}C: MAIL FROM:<a@c>\n");
    let rcpt = format!("{mail}S: 250 ok\nC: RCPT TO:<b@mx>\n");
    let data = format!("{rcpt}S: 250 ok\n= rcpt 0: 250 ok\nC: DATA\n");
    let cases = [
        ("S: 220 mx\nC: EHLO c\n", "354 go", "the reply to EHLO"),
        (&mail, "354 go", "the reply to MAIL"),
        (&rcpt, "354 go", "the reply to RCPT"),
        (&data, "250 ok", "the reply to DATA"),
        (&data, "334 go", "the reply to DATA"),
    ];
    for (script, reply, stage) in cases {
        let end =
            format!("{script}S: {reply}\n= failed: waiting for {stage}: found an unexpected reply: {reply}");
        play(&config(), &send, &end);
    }
    let starttls = "S: 220 mx\nC: EHLO c\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 250 ok\n";
    let end = "= failed: waiting for the reply to STARTTLS: found an unexpected reply: 250 ok";
    play(&config().with_tls(TlsPolicy::Opportunistic), &[], &format!("{starttls}{end}"));
    let mut login = config().with_credentials(Credentials::password("u", "p"));
    login.plaintext_auth_without_tls = true;
    let auth = "S: 220 mx\nC: EHLO c\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHUAcA==\nS: 250 ok\n";
    let end = "= failed: waiting for the reply to AUTH: found an unexpected reply: 250 ok";
    play(&login, &[], &format!("{auth}{end}"));
}

#[test]
fn challenges_without_end_are_cut_off() {
    let mut login = config().with_credentials(Credentials::password("u", "p"));
    login.plaintext_auth_without_tls = true;
    play(
        &login,
        &[],
        "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 AUTH PLAIN
         C: AUTH PLAIN AHUAcA==
         S: 334 go on
         C: *
         S: 334 no, go on
         C: QUIT
         = failed: authentication by PLAIN failed: expected base64 in the server's challenge, found something else",
    );
    let long = "A".repeat(12_288);
    let begin = "S: 220 mx\nC: EHLO c\nS: 250-mx\nS: 250 AUTH CRAM-MD5\nC: AUTH CRAM-MD5\n";
    let end = "= failed: waiting for the reply to AUTH: expected a reply line of at most 12294 bytes";
    play(&login, &[], &format!("{begin}S: 334 {long}A\n{end}"));
}

#[test]
fn control_characters_of_the_server_are_shown_escaped() {
    play(
        &config(),
        &[],
        "S: 554 \\x1b[2J no
         C: QUIT
         = failed: refused in the greeting: 554 \\x1b[2J no",
    );
}

/// Pieces of what servers say, so that arbitrary input gets past the first line now and then.
const PIECES: [&str; 24] = [
    "220 mx\r\n",
    "250 ok\r\n",
    "250-mx\r\n",
    "250-PIPELINING\r\n",
    "250-CHUNKING\r\n",
    "250-STARTTLS\r\n",
    "250-AUTH PLAIN LOGIN SCRAM-SHA-1 CRAM-MD5\r\n",
    "250-SIZE 1000\r\n",
    "250 HELP\r\n",
    "354 go\r\n",
    "334 \r\n",
    "334 VXNlcm5hbWU6\r\n",
    "235 ok\r\n",
    "535 no\r\n",
    "504 no\r\n",
    "550 who\r\n",
    "450 later\r\n",
    "421 bye\r\n",
    "503 no\r\n",
    "502 no\r\n",
    "\r\n",
    "\n",
    "\0",
    "2",
];

fn input() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        12 => proptest::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..100),
    ];
    proptest::collection::vec(piece, 0..60)
}

proptest! {
    /// Whatever a server sends, in whatever pieces, with pauses: the client neither panics nor loops nor grows, and
    /// once it is closed it stays so. It never says anything but lines before it was asked for a message.
    #[test]
    fn no_server_breaks_the_client(
        input in input(),
        tls in 0..4u8,
        lmtp: bool,
        login: bool,
        chunking in 0..3u8,
        eof: bool,
        chop in 1..40usize,
    ) {
        let mut config = config()
            .with_tls([TlsPolicy::Never, TlsPolicy::Opportunistic, TlsPolicy::Required, TlsPolicy::Implicit][usize::from(tls)])
            .with_protocol(if lmtp { Protocol::Lmtp } else { Protocol::Smtp })
            .with_chunking([Chunking::Auto, Chunking::Never, Chunking::Always][usize::from(chunking)]);
        config.plaintext_auth_without_tls = true;
        config.chunk_size = 1024;
        if login {
            config.credentials = Some(Credentials::password("user", "pencil"));
        }
        let now = Instant::now();
        let mut client = Client::new(config, [1; Client::RANDOM], now);
        let mut closed = None;
        for piece in input.iter().map(Vec::as_slice).chain(eof.then_some(&b""[..])) {
            let mut rest = piece;
            loop {
                let recv = client.io().recv;
                prop_assert!(recv.len() <= 32 * 1024);
                let n = recv.len().min(rest.len()).min(chop);
                recv[..n].copy_from_slice(&rest[..n]);
                if n > 0 || piece.is_empty() {
                    client.received(n, now);
                }
                rest = &rest[n..];
                for step in 0.. {
                    prop_assert!(step < 1000, "no end of events");
                    match client.poll() {
                        Step::Event(Event::Ready | Event::Sent(_) | Event::Aborted) if client.is_idle() => {
                            client.send(to(&["b@mx", "d@mx"])).unwrap();
                        }
                        Step::Event(Event::Body) => {
                            let taken = client.write_body(&[b'x'; 3000]).unwrap();
                            prop_assert!(taken <= 3000);
                            if step % 7 == 3 {
                                client.finish_body().unwrap();
                            } else if step % 7 == 4 {
                                client.abort().unwrap();
                            }
                        }
                        Step::Event(_) => {}
                        Step::Upgrade(_) => {
                            client.upgraded(LayerInfo::Tls(TlsInfo::new()), now);
                        }
                        Step::Blocked => break,
                        Step::Close(result) => {
                            prop_assert!(closed.is_none() || closed == Some(result.clone()));
                            closed = Some(result);
                            break;
                        }
                    }
                }
                let n = client.io().send.len();
                prop_assert!(n < 200 * 1024, "{n} bytes to be sent");
                client.sent(n, now);
                if rest.is_empty() || closed.is_some() {
                    break;
                }
            }
        }
        if eof {
            prop_assert!(closed.is_some(), "the end of input is the end");
        }
    }
}
