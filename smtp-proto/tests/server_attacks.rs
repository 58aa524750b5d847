//! What attackers send, and what the server makes of it: each row is fed whole and byte by byte.

mod support;

use mail_wire::{Connection, Step};
use smtp_proto::server::{BareNewlines, EarlyTalkers, NulPolicy, ServerError, Stage};
use std::time::Duration;
use support::{Drive, Driven, config, with_auth};

const ENVELOPE: &[u8] = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<bob@mx.example>\r\n";

/// A server that does not make clients wait.
fn quick() -> smtp_proto::server::ServerConfig {
    let mut config = config();
    config.timeouts.error_delay = Duration::ZERO;
    config
}

fn after(prefix: &[u8], chunk: usize) -> Driven {
    let mut driven = Driven::new(quick());
    driven.feed(prefix, chunk);
    driven.sent();
    driven
}

fn last_line(sent: &str) -> &str {
    sent.trim_end().rsplit("\r\n").next().unwrap_or("")
}

#[test]
fn nothing_but_crlf_dot_crlf_ends_data() {
    let variants: &[&[u8]] = &[
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\n.\r",
        b"\r.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\n.\r\r\n",
        b"\r\r\n.\r\r\n",
        b"\n\n.\r\n",
        b"\n\r.\n\r",
        b"\r\n. \r\n",
        b"\r\n.\t\r\n",
        b"\r\n .\r\n",
        b"\r\n..\r\n",
        b"\r\n.\x0b\r\n",
        b"\r\n.\x0c\r\n",
        b"\r\n.\xc2\x85\r\n",
        b"\r\n\xe2\x80\xa8.\r\n",
    ];
    for policy in [BareNewlines::Reject, BareNewlines::Repair, BareNewlines::Keep] {
        for variant in variants {
            for chunk in [1, 2, usize::MAX] {
                let mut config = quick();
                config.bare_newlines = policy;
                let mut driven = Driven::new(config);
                driven.feed(ENVELOPE, chunk);
                driven.feed(b"DATA\r\n", chunk);
                driven.sent();
                let smuggled = b"MAIL FROM:<evil@b>\r\nRCPT TO:<alice@mx.example>\r\nDATA\r\nevil";
                driven.feed(&[b"x", *variant, smuggled].concat(), chunk);
                assert_eq!(driven.sent(), "", "{} is no end under {policy:?}", variant.escape_ascii());
                driven.feed(b"\r\n.\r\nQUIT\r\n", chunk);
                let sent = driven.sent();
                assert_eq!(sent.matches("\r\n").count(), 2, "one reply for one message: {sent}");
                assert!(sent.ends_with("221 2.0.0 bye\r\n"));
                let clean = !variant.contains(&0)
                    && (0..variant.len()).all(|at| match variant[at] {
                        b'\r' => variant.get(at + 1) == Some(&b'\n'),
                        b'\n' => at > 0 && variant[at - 1] == b'\r',
                        _ => true,
                    });
                let taken = clean || (policy != BareNewlines::Reject && !variant.contains(&0));
                assert_eq!(driven.messages.len(), usize::from(taken), "{}", variant.escape_ascii());
                assert_eq!(sent.starts_with("250"), taken);
            }
        }
    }
}

#[test]
fn repaired_messages_hold_only_crlf() {
    let mut config = quick();
    config.bare_newlines = BareNewlines::Repair;
    let mut driven = Driven::new(config);
    driven.feed(ENVELOPE, 1);
    driven.feed(b"DATA\r\na\nb\rc\r\n.\n.\r\r\n..d\r\n.\r\n", 1);
    assert_eq!(driven.messages, [b"a\r\nb c\r\n\r\n. \r\n.d\r\n".to_vec()]);
}

#[test]
fn a_refused_message_is_read_to_its_end_and_the_session_goes_on() {
    for chunk in [1, usize::MAX] {
        let mut driven = after(ENVELOPE, chunk);
        driven.feed(b"DATA\r\nbare \n.\r\nRSET\r\n\r\n.\r\n", chunk);
        assert_eq!(
            last_line(&driven.sent()),
            "550 5.6.11 message has a bare CR or bare LF, send CRLF line endings"
        );
        assert_eq!((driven.messages.len(), driven.dropped), (0, 1));
        driven.feed(b"NOOP\r\n", chunk);
        assert_eq!(driven.sent(), "250 2.0.0 ok\r\n");
    }
}

#[test]
fn each_malformed_command_has_its_reply() {
    let long = [&b"NOOP "[..], &[b'x'; 2100], b"\r\n"].concat();
    let rows: &[(&[u8], &str)] = &[
        (b"NOOP\n", "500 5.5.2"),
        (b"NOOP\rRSET\r\n", "500 5.5.2"),
        (b"NO\0OP\r\n", "500 5.5.2"),
        (b"NOOP\0\r\n", "500 5.5.2"),
        (&long, "500 5.5.2"),
        (b"\r\n", "500 5.5.2"),
        (b"MAIL FROM:<a@b@c>\r\n", "501 5.1.7"),
        (b"MAIL FROM:<.a@x>\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a.@x>\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a..b@x>\r\n", "501 5.1.7"),
        (b"MAIL FROM:<<a@x>>\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a@x>junk\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a@x\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a\x01b@x>\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a\tb@x>\r\n", "501 5.1.7"),
        (b"MAIL FROM:<a@[300.1.2.3]>\r\n", "501 5.1.7"),
        ("MAIL FROM:<é@x>\r\n".as_bytes(), "553 5.6.7"),
        (b"MAIL FROM:<\xff@x> SMTPUTF8\r\n", "501 5.1.7"),
        (b"MAIL FROM: <a@x>\r\n", "501 5.5.4"),
        (b"MAIL FROM:a@x\r\n", "501 5.1.7"),
        (b"MAIL <a@x>\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@x> SIZE=99999999999999999999999\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@x> SIZE=99999999999999999999\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@x> SIZE=18446744073709551615\r\n", "552 5.3.4"),
        (b"MAIL FROM:<a@x> SIZE=-1\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@x> SIZE=1 SIZE=2\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@x> BODY=FOO\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@x> FOO=BAR\r\n", "555 5.5.4"),
        (b"MAIL FROM:<a@x> RET=FOO\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@x> RET=FULL RET=FULL\r\n", "501 5.5.4"),
        (b"MAIL FROM:<a@x> ENVID=a+zz\r\n", "501 5.5.4"),
        (b"DATA foo\r\n", "501 5.5.4"),
        (b"STARTTLS foo\r\n", "501 5.5.4"),
        (b"QUIT now\r\n", "501 5.5.4"),
        (b"EHLO\r\n", "501 5.5.4"),
        (b"EHLO a b\r\n", "501 5.5.4"),
        (b"AUTH PLAIN\r\n", "503 5.5.1"),
    ];
    for (command, reply) in rows {
        for chunk in [1, usize::MAX] {
            let mut driven = after(b"EHLO x\r\n", chunk);
            driven.feed(command, chunk);
            let sent = driven.sent();
            assert!(sent.starts_with(reply), "{}: {sent}", command[..command.len().min(60)].escape_ascii());
            assert_eq!(sent.matches("\r\n").count(), 1, "one reply only: {sent}");
            driven.feed(b"NOOP\r\n", chunk);
            assert_eq!(driven.sent(), "250 2.0.0 ok\r\n", "the session goes on");
        }
    }
}

#[test]
fn each_malformed_recipient_has_its_reply() {
    let rows: &[(&str, &str)] = &[
        ("<>", "501 5.1.3"),
        ("<Postmaster>", "250 2.1.5"),
        ("<postmaster@elsewhere.example>", "550 5.7.1"),
        ("<\"bob\"@mx.example>", "250 2.1.5"),
        ("<@relay,@other:bob@mx.example>", "250 2.1.5"),
        ("<bob@mx.example> ORCPT=box", "501 5.5.4"),
        ("<bob@mx.example> NOTIFY=NEVER,SUCCESS", "501 5.5.4"),
        ("<bob@mx.example> NOTIFY=SUCCESS,SUCCESS", "501 5.5.4"),
        ("<bob@mx.example> FOO=BAR", "555 5.5.4"),
        // Relaying, in every disguise.
        ("<u@remote.example>", "550 5.7.1"),
        ("<u%remote.example@mx.example>", "550 5.1.1"),
        ("<remote.example!u@mx.example>", "550 5.1.1"),
        ("<remote.example!u>", "501 5.1.3"),
        ("<@mx.example:u@remote.example>", "550 5.7.1"),
        ("<\"u@remote.example\"@mx.example>", "550 5.1.1"),
        ("<\"u%remote.example\"@mx.example>", "550 5.1.1"),
        ("<u@remote.example@mx.example>", "501 5.1.3"),
    ];
    for (path, reply) in rows {
        for chunk in [1, usize::MAX] {
            let mut driven = after(b"EHLO x\r\nMAIL FROM:<a@b>\r\n", chunk);
            driven.feed(format!("RCPT TO:{path}\r\n").as_bytes(), chunk);
            let sent = driven.sent();
            assert!(sent.starts_with(reply), "{path}: {sent}");
        }
    }
}

#[test]
fn a_line_without_end_is_cut_off_while_it_comes() {
    let mut driven = Driven::new(quick());
    driven.sent();
    let mut fed = 0;
    while driven.result.is_none() && fed < 2 << 20 {
        driven.feed(&[b'x'; 1000], 1000);
        fed += 1000;
        assert!(driven.server.buffered() < 100_000);
    }
    assert_eq!(driven.sent(), "500 5.5.2 line too long\r\n", "told once, before the line ended");
    assert_eq!(driven.result, Some(Err(ServerError::Protocol(Stage::Command))));
    assert!(fed < 100_000, "closed after {fed} bytes");
}

#[test]
fn lines_of_another_protocol_close_the_connection_at_once() {
    for line in ["GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "Subject: x\r\n", "Host:x\r\n"] {
        let mut driven = after(b"EHLO x\r\n", usize::MAX);
        driven.feed(&[line.as_bytes(), b"MAIL FROM:<a@b>\r\n"].concat(), usize::MAX);
        assert_eq!(driven.sent(), "521 5.7.0 this is an SMTP server, closing connection\r\n", "{line}");
        assert_eq!(driven.result, Some(Err(ServerError::Protocol(Stage::Command))));
    }
}

#[test]
fn a_chunk_size_that_is_none_closes_the_connection() {
    for size in ["-1", "+5", "18446744073709551616", "5 FOO", "", "5x", "0x5"] {
        for chunk in [1, usize::MAX] {
            let mut driven = after(ENVELOPE, chunk);
            driven.feed(format!("BDAT {size}\r\n").as_bytes(), chunk);
            assert_eq!(driven.sent(), "521 5.5.4 syntax: BDAT size [LAST]\r\n", "BDAT {size}");
            assert_eq!(driven.result, Some(Err(ServerError::Protocol(Stage::Message))));
        }
    }
}

#[test]
fn a_chunk_too_large_is_refused_without_waiting_for_it() {
    for size in ["1000000000000 LAST", "9223372036854775808", "18446744073709551615 LAST"] {
        let mut driven = after(ENVELOPE, usize::MAX);
        driven.feed(format!("BDAT {size}\r\n").as_bytes(), usize::MAX);
        let sent = driven.sent();
        assert!(sent.starts_with("552 5.3.4"), "{sent}");
        assert!(driven.result.is_some(), "closed");
    }
}

#[test]
fn chunks_together_over_the_limit_are_refused_and_swallowed() {
    let mut config = quick();
    config.limits = config.limits.with_message_size(65536);
    let mut driven = Driven::new(config);
    driven.feed(ENVELOPE, 4096);
    driven.sent();
    let line = [&[b'x'; 78][..], b"\r\n"].concat();
    let chunk = line.repeat(600);
    driven.feed(format!("BDAT {}\r\n", chunk.len()).as_bytes(), 4096);
    driven.feed(&chunk, 4096);
    assert_eq!(driven.sent(), "250 2.0.0 48000 bytes received\r\n");
    driven.feed(format!("BDAT {} LAST\r\n", chunk.len()).as_bytes(), 4096);
    driven.feed(&chunk, 4096);
    assert!(driven.sent().starts_with("552 5.3.4"));
    driven.feed(b"NOOP\r\n", 4096);
    assert_eq!(driven.sent(), "250 2.0.0 ok\r\n");
    assert!(driven.messages.is_empty());
}

#[test]
fn a_message_over_the_limit_is_refused_at_its_end_or_cut_off() {
    let mut config = quick();
    config.limits = config.limits.with_message_size(65536).with_refused_bytes(200_000);
    for (lines, closes) in [(1000, false), (10_000, true)] {
        let mut driven = Driven::new(config.clone());
        driven.feed(ENVELOPE, 4096);
        driven.feed(b"DATA\r\n", 4096);
        driven.sent();
        let line = [&[b'x'; 78][..], b"\r\n"].concat();
        for _ in 0..lines {
            driven.feed(&line, 4096);
        }
        driven.feed(b".\r\n", 4096);
        assert!(driven.sent().starts_with("552 5.3.4"));
        assert_eq!(driven.result.is_some(), closes);
        assert_eq!((driven.messages.len(), driven.dropped), (0, 1));
    }
}

#[test]
fn recipients_over_the_limit_get_452_and_count_as_errors() {
    let mut config = quick();
    config.limits = config.limits.with_recipients(100);
    let mut driven = Driven::new(config);
    driven.feed(b"HELO x\r\nMAIL FROM:<a@b>\r\n", 4096);
    driven.sent();
    for n in 0..118 {
        driven.feed(format!("RCPT TO:<user{n}@mx.example>\r\n").as_bytes(), 4096);
    }
    let sent = driven.sent();
    assert_eq!(sent.matches("250 2.1.5").count(), 100);
    assert_eq!(sent.matches("452 4.5.3 too many recipients\r\n").count(), 18);
    driven.feed(b"RCPT TO:<user@mx.example>\r\nRCPT TO:<user@mx.example>\r\n", 4096);
    assert_eq!(driven.result, Some(Err(ServerError::TooManyErrors)));
}

#[test]
fn sixty_unknown_commands_are_not_all_answered() {
    let mut driven = after(b"", usize::MAX);
    driven.feed("WHAT\r\n".repeat(60).as_bytes(), usize::MAX);
    let sent = driven.sent();
    assert_eq!(sent.matches("500 5.5.2 command not recognized").count(), 20);
    assert_eq!(last_line(&sent), "421 4.7.0 too many errors, closing connection");
    assert_eq!(driven.result, Some(Err(ServerError::TooManyErrors)));
}

#[test]
fn errors_beyond_the_soft_limit_are_answered_late() {
    let mut driven = Driven::new(config());
    driven.sent();
    driven.feed("WHAT\r\n".repeat(11).as_bytes(), usize::MAX);
    assert_eq!(driven.sent().matches("500").count(), 9);
    driven.wait(Duration::from_millis(999));
    assert_eq!(driven.sent(), "");
    driven.wait(Duration::from_millis(1));
    assert_eq!(driven.sent().matches("500").count(), 1);
}

#[test]
fn junk_without_mail_ends_the_connection() {
    let mut driven = after(b"", usize::MAX);
    driven.feed("NOOP\r\n".repeat(200).as_bytes(), usize::MAX);
    let sent = driven.sent();
    assert_eq!(sent.matches("250 2.0.0 ok").count(), 120);
    assert_eq!(driven.result, Some(Err(ServerError::TooManyErrors)));
}

#[test]
fn a_group_and_then_content_with_quit_gets_all_its_replies() {
    let mut driven = after(b"HELO x\r\n", usize::MAX);
    driven.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\n", usize::MAX);
    driven.feed(b"hi\r\n.\r\nQUIT\r\n", usize::MAX);
    let codes: Vec<_> = driven.sent().lines().map(|line| line[..3].to_owned()).collect();
    assert_eq!(codes, ["250", "250", "354", "250", "221"]);
}

#[test]
fn replies_are_still_given_after_a_half_close() {
    let mut driven = after(ENVELOPE, usize::MAX);
    driven.feed(b"DATA\r\n", usize::MAX);
    driven.sent();
    let room = driven.server.io().recv;
    let end = b"hi\r\n.\r\nQUIT\r\n";
    room[..end.len()].copy_from_slice(end);
    driven.played.server.received(end.len(), driven.played.now);
    driven.end_of_input();
    assert_eq!(driven.sent(), "250 2.0.0 ok, message accepted\r\n221 2.0.0 bye\r\n");
    assert_eq!((driven.result, driven.messages.len()), (Some(Ok(())), 1));
}

#[test]
fn a_message_cut_off_is_dropped() {
    for cut in ["", "x", "x\r\n", "x\r\n.", "x\r\n.\r"] {
        let mut driven = after(ENVELOPE, usize::MAX);
        driven.feed(b"DATA\r\n", usize::MAX);
        driven.feed(cut.as_bytes(), usize::MAX);
        driven.end_of_input();
        assert_eq!(driven.result, Some(Err(ServerError::Eof(Stage::Message))));
        assert_eq!((driven.messages.len(), driven.dropped), (0, 1), "{cut:?}");
    }
}

#[test]
fn content_behind_a_refused_data_is_never_read_as_commands() {
    let mut driven = after(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<nobody@mx.example>\r\n", usize::MAX);
    driven.feed(b"DATA\r\nRSET\r\nMAIL FROM:<evil@b>\r\n.\r\n", usize::MAX);
    assert_eq!(
        driven.sent(),
        "554 5.5.1 no valid recipients\r\n421 4.5.0 content sent before the reply to DATA\r\n"
    );
    assert!(driven.result.is_some());
}

#[test]
fn nothing_sent_behind_starttls_is_obeyed() {
    for chunk in [usize::MAX, 64] {
        let mut config = quick();
        config.extensions.starttls = true;
        let mut driven = Driven::new(config);
        driven.feed(b"EHLO x\r\n", chunk);
        driven.sent();
        driven.feed(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@b>\r\n", chunk);
        assert_eq!(driven.sent(), "220 2.0.0 ready to start TLS\r\n");
        driven.feed(b"MAIL FROM:<a@b>\r\n", chunk);
        assert_eq!(driven.sent(), "503 5.5.1 bad sequence of commands: send EHLO first\r\n");
    }
}

#[test]
fn starttls_forgets_who_the_client_was() {
    let mut config = with_auth();
    config.extensions.starttls = true;
    let mut driven = Driven::new(config);
    driven.feed(b"EHLO x\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n", usize::MAX);
    assert!(driven.server.identity().is_some());
    driven.feed(b"STARTTLS\r\n", usize::MAX);
    assert!(
        driven.server.identity().is_none()
            && driven.server.hello().is_none()
            && driven.server.tls().is_some()
    );
}

#[test]
fn sasl_lines_that_are_too_long_and_exchanges_that_never_end_are_refused() {
    let long = "A".repeat(13_000);
    for chunk in [1000, usize::MAX] {
        let mut driven = Driven::new(with_auth());
        driven.feed(b"EHLO x\r\nAUTH PLAIN\r\n", chunk);
        driven.sent();
        driven.feed(format!("{long}\r\nNOOP\r\n").as_bytes(), chunk);
        assert_eq!(driven.sent(), "500 5.5.6 authentication exchange line is too long\r\n250 2.0.0 ok\r\n");
        driven.feed(format!("AUTH PLAIN {long}\r\nNOOP\r\n").as_bytes(), chunk);
        assert!(driven.sent().starts_with("500 5.5."));
        driven.feed(b"AUTH LOGIN\r\nYWxpY2U=\r\n*\r\n", chunk);
        assert_eq!(last_line(&driven.sent()), "501 5.7.0 authentication cancelled");
    }
}

#[test]
fn failed_auth_is_answered_ever_later_and_ends_the_connection() {
    let mut config = with_auth();
    config.timeouts.auth_failure_delay = Duration::from_secs(1);
    let mut driven = Driven::new(config);
    driven.feed(b"EHLO x\r\n", usize::MAX);
    driven.sent();
    for delay in [1, 2, 4, 8, 16] {
        driven.feed(b"AUTH PLAIN AGFsaWNlAHdyb25n\r\n", usize::MAX);
        driven.wait(Duration::from_millis(delay * 1000 - 1));
        assert_eq!(driven.sent(), "", "not before {delay} s");
        driven.wait(Duration::from_millis(1));
        assert!(driven.sent().starts_with("535 5.7.8 "));
    }
    assert_eq!(driven.result, Some(Err(ServerError::TooManyErrors)));
}

#[test]
fn an_unknown_user_cannot_be_told_from_a_wrong_password() {
    // LOGIN: nobody / secret, and alice / wrong. CRAM-MD5: an unknown name and a wrong digest.
    let digest = "0123456789abcdef0123456789abcdef";
    let cram = |name: &str| {
        let response = format!("{name} {digest}");
        let encoded = mail_wire::sasl::wire::encode(response.as_bytes());
        format!("AUTH CRAM-MD5\r\n{}\r\n", encoded.expose_str().unwrap())
    };
    for (unknown, wrong) in [
        (
            "AUTH LOGIN\r\nbm9ib2R5\r\nc2VjcmV0\r\n".to_owned(),
            "AUTH LOGIN\r\nYWxpY2U=\r\nd3Jvbmc=\r\n".to_owned(),
        ),
        (cram("nobody"), cram("alice")),
    ] {
        let replies = |input: &str| {
            let mut driven = Driven::new(with_auth());
            driven.feed(b"EHLO x\r\n", usize::MAX);
            driven.sent();
            driven.feed(input.as_bytes(), usize::MAX);
            driven.sent()
        };
        assert_eq!(replies(&unknown), replies(&wrong));
        assert_eq!(last_line(&replies(&wrong)), "535 5.7.8 authentication credentials invalid");
    }
}

#[test]
fn early_talkers_are_refused_and_patient_clients_greeted_after_the_wait() {
    let mut config = config();
    config.early_talkers = EarlyTalkers::Refuse { wait: Duration::from_secs(2) };
    let mut early = Driven::new(config.clone());
    early.feed(b"EHLO spam\r\n", usize::MAX);
    assert_eq!(early.sent(), "554 5.5.0 you talk before the greeting\r\n");
    assert_eq!(early.result, Some(Err(ServerError::EarlyTalker)));
    let mut patient = Driven::new(config);
    patient.wait(Duration::from_millis(1999));
    assert_eq!(patient.sent(), "");
    patient.wait(Duration::from_millis(1));
    assert_eq!(patient.sent(), "220 mx.example ESMTP ready\r\n");
}

#[test]
fn improper_pipelining_is_refused_where_the_config_says_so() {
    let mut config = quick();
    config.refuse_improper_pipelining = true;
    let mut driven = Driven::new(config);
    driven.sent();
    driven.feed(b"EHLO x\r\nMAIL FROM:<a@b>\r\n", usize::MAX);
    assert_eq!(driven.sent(), "521 5.5.0 improper command pipelining\r\n");
    assert!(driven.result.is_some());
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let mut config = quick();
    config.limits = config.limits.with_junk_commands(1_000_000);
    let now = std::time::Instant::now();
    let peer = smtp_proto::server::Peer::new("192.0.2.7:1".parse().unwrap());
    let mut server =
        smtp_proto::server::Server::new(config.into(), peer, [1; smtp_proto::server::Server::RANDOM], now);
    let mut fed = 0;
    for _ in 0..1_000_000 {
        while let Step::Event(event) = server.poll() {
            match event {
                smtp_proto::server::Event::Connected(pending) => server.accept(pending),
                other => panic!("{other:?}"),
            }
        }
        let recv = server.io().recv;
        if recv.is_empty() {
            break;
        }
        let n = recv.len();
        recv.copy_from_slice(&b"HELP\r\n".repeat(n / 6 + 1)[..n]);
        server.received(n, now);
        fed += n;
    }
    assert!(server.io().recv.is_empty(), "back-pressure");
    assert!(fed < 200_000, "took {fed} bytes from a client that reads nothing");
    assert!(server.buffered() < 200_000);
}

#[test]
fn five_thousand_header_fields_and_lines_of_any_length_are_data() {
    let mut driven = after(ENVELOPE, usize::MAX);
    driven.feed(b"DATA\r\n", usize::MAX);
    driven.feed("X-Field: x\r\n".repeat(5000).as_bytes(), usize::MAX);
    driven.feed(&[&b"X-Long: "[..], &[b'x'; 200_000], b"\r\n.\r\n"].concat(), usize::MAX);
    assert_eq!(last_line(&driven.sent()), "250 2.0.0 ok, message accepted");
}

#[test]
fn recipient_domains_over_the_announced_limit_get_452() {
    let mut config = quick();
    config.extensions.limits = smtp_proto::types::Limits::NONE.with_rcpt_domain_max(1);
    let mut driven = Driven::new(config);
    driven.feed(b"EHLO x\r\nMAIL FROM:<a@b>\r\n", usize::MAX);
    assert!(driven.sent().contains("LIMITS RCPTDOMAINMAX=1\r\n"));
    driven
        .feed(b"RCPT TO:<bob@mx.example>\r\nRCPT TO:<x@other.example>\r\nRCPT TO:<alice@MX.example>\r\n", 1);
    let codes: Vec<_> = driven.sent().lines().map(|line| line[..9].to_owned()).collect();
    assert_eq!(codes, ["250 2.1.5", "452 4.5.3", "550 5.7.1"]);
}

/// Counts what the server did: messages taken, replies sent.
fn after_big_message(config: smtp_proto::server::ServerConfig, pieces: &[&[u8]]) -> (usize, String) {
    let mut driven = Driven::new(config);
    driven.feed(ENVELOPE, usize::MAX);
    driven.feed(b"DATA\r\n", usize::MAX);
    driven.sent();
    for piece in pieces {
        driven.feed(piece, usize::MAX);
    }
    (driven.messages.len(), driven.sent())
}

#[test]
fn a_message_that_grows_over_the_limit_hides_no_end() {
    let mut config = quick();
    config.limits = config.limits.with_message_size(65536);
    let line = [&[b'x'; 78][..], b"\r\n"].concat();
    let filler = line.repeat(819);
    let evil = b"MAIL FROM:<boss@b>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\nevil\r\n.\r\n";
    // The limit is crossed by a stuffed dot's line, by a dot at the start of a read, and everywhere around.
    for extra in 0..40 {
        let body = [&filler[..], &vec![b'y'; extra], b"\r\n..\r\n"].concat();
        let (messages, sent) = after_big_message(config.clone(), &[&body, evil]);
        assert_eq!(messages, 0, "{extra}: {sent}");
        assert_eq!(sent.matches("\r\n").count(), 1, "{extra}: {sent}");
    }
    let (messages, sent) = after_big_message(config, &[&[b'x'; 65535], b".\r\n", evil, b".\r\n"]);
    assert_eq!((messages, sent.starts_with("552 5.3.4")), (0, true), "{sent}");
}

#[test]
fn no_policy_lets_a_message_grow_past_the_limit() {
    for (bare, nul, byte) in [
        (BareNewlines::Repair, NulPolicy::Reject, b'\n'),
        (BareNewlines::Keep, NulPolicy::Reject, b'\n'),
        (BareNewlines::Keep, NulPolicy::Reject, b'\r'),
        (BareNewlines::Reject, NulPolicy::Keep, 0),
        (BareNewlines::Reject, NulPolicy::Strip, 0),
        (BareNewlines::Reject, NulPolicy::Reject, b'\n'),
    ] {
        let mut config = quick();
        config.bare_newlines = bare;
        config.nul = nul;
        config.limits = config.limits.with_message_size(65536).with_refused_bytes(100_000);
        let mut driven = Driven::new(config);
        driven.feed(ENVELOPE, usize::MAX);
        driven.feed(b"DATA\r\n", usize::MAX);
        let mut fed = 0;
        while driven.result.is_none() && fed < 1 << 20 {
            driven.feed(&[byte; 10_000], usize::MAX);
            fed += 10_000;
        }
        assert!(driven.result.is_some() && fed <= 200_000, "{bare:?} {nul:?} {byte}: took {fed} bytes");
        assert!(driven.messages.is_empty());
    }
}

#[test]
fn a_chunk_that_ends_with_cr_takes_nothing_from_what_follows() {
    for next in [&b"\r"[..], b"\n", b"N", b""] {
        for policy in [BareNewlines::Reject, BareNewlines::Repair, BareNewlines::Keep] {
            for chunk in [1, usize::MAX] {
                let mut config = quick();
                config.bare_newlines = policy;
                let mut driven = Driven::new(config);
                driven.feed(ENVELOPE, usize::MAX);
                driven.sent();
                driven.feed(&[b"BDAT 4 LAST\r\nabc\r", next, b"\r\nNOOP\r\n"].concat(), chunk);
                let sent = driven.sent();
                let first = if policy == BareNewlines::Reject { "550 5.6.11" } else { "250 2.0.0" };
                assert!(sent.starts_with(first), "{policy:?}: {sent}");
                assert!(sent.ends_with("250 2.0.0 ok\r\n"), "the NOOP is read: {sent}");
                let expected: &[&[u8]] = match policy {
                    BareNewlines::Reject => &[],
                    BareNewlines::Repair => &[b"abc "],
                    BareNewlines::Keep => &[b"abc\r"],
                };
                assert_eq!(driven.messages, expected);
            }
        }
    }
}

#[test]
fn a_bare_cr_between_two_chunks_is_kept_once() {
    for (policy, message) in
        [(BareNewlines::Keep, &b"abc\r\rdef\r\n"[..]), (BareNewlines::Repair, b"abc  def\r\n")]
    {
        for chunk in [1, usize::MAX] {
            let mut config = quick();
            config.bare_newlines = policy;
            let mut driven = Driven::new(config);
            driven.feed(ENVELOPE, usize::MAX);
            driven.feed(b"BDAT 4\r\nabc\rBDAT 6 LAST\r\n\rdef\r\n", chunk);
            assert_eq!(driven.messages, [message.to_vec()]);
        }
    }
}

#[test]
fn content_that_comes_late_behind_a_refused_data_closes_the_connection() {
    let mut driven =
        after(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<nobody@mx.example>\r\nDATA\r\n", usize::MAX);
    driven.feed(b"Hello Bob,\r\nRSET\r\n", usize::MAX);
    assert_eq!(driven.sent(), "421 4.5.0 content sent before the reply to DATA\r\n");
    let mut driven =
        after(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<nobody@mx.example>\r\nDATA\r\n", usize::MAX);
    driven.feed(b"RSET\r\nWHAT\r\n", usize::MAX);
    assert_eq!(driven.sent(), "250 2.0.0 ok\r\n500 5.5.2 command not recognized\r\n");
}

#[test]
fn asking_for_users_without_end_ends_the_connection() {
    let mut config = quick();
    config.extensions.vrfy = true;
    config.extensions.etrn = true;
    for command in ["VRFY bob\r\n", "VRFY x\r\n", "EHLO x\r\n"] {
        let mut driven = Driven::new(config.clone());
        driven.feed(b"EHLO x\r\n", usize::MAX);
        driven.feed(command.repeat(1000).as_bytes(), usize::MAX);
        assert_eq!(driven.result, Some(Err(ServerError::TooManyErrors)), "{command}");
    }
}

#[test]
fn a_proxied_client_inherits_no_trust() {
    let mut config = quick();
    config.proxy_protocol = true;
    config.extensions.xclient = true;
    let mut peer = smtp_proto::server::Peer::new("198.51.100.9:1".parse().unwrap());
    peer.trusted = true;
    let mut driven = Driven::from_peer(config, peer);
    driven.feed(b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 25\r\nEHLO x\r\nXCLIENT LOGIN=root\r\n", usize::MAX);
    assert!(driven.sent().ends_with("502 5.5.1 command not implemented\r\n"));
    assert_eq!(driven.server.peer().address, "192.0.2.1:1234".parse().unwrap());
}

#[test]
fn what_is_shown_for_debugging_holds_no_secret_and_no_message() {
    let mut driven = Driven::new(with_auth());
    driven.feed(b"EHLO x\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==", usize::MAX);
    let text = format!("{:?}", driven.server) + &format!("{:?}", driven.server.io());
    assert!(!text.contains("AGFsaWNl") && !text.contains("65, 71, 70"), "{text}");
    driven.feed(b"\r\nMAIL FROM:<a@b>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\n", usize::MAX);
    let room = driven.server.io().recv;
    room[..6].copy_from_slice(b"secret");
    driven.played.server.received(6, driven.played.now);
    let text = format!("{:?}", driven.server);
    assert!(!text.contains("secret") && !text.contains("115, 101"), "{text}");
}
