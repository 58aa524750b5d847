//! Transactions behind DATA: groups of commands, content, recipients refused, LMTP.

#[cfg(test)]
mod client_support;

use client_support::*;
use mail_wire::dot::Newlines;
use smtp_proto::client::*;
use smtp_proto::types::*;

#[test]
fn without_pipelining_each_command_waits_for_the_reply() {
    play_after(
        &[],
        &[message(&["b@mx", "d@mx"], "hello\r\n")],
        "C: MAIL FROM:<a@c>
         S: 250 ok
         C: RCPT TO:<b@mx>
         S: 250 ok
         = rcpt 0: 250 ok
         C: RCPT TO:<d@mx>
         S: 251 forwarded
         = rcpt 1: 251 forwarded
         C: DATA
         S: 354 go
         C: hello
         C: .
         S: 250 queued
         = sent | 250 queued | 250 queued",
    );
}

#[test]
fn with_pipelining_the_envelope_leaves_in_one_group() {
    let script = envelope(&["b@mx", "d@mx"])
        + "S: 250 ok
         S: 250 ok
         S: 250 ok
         S: 354 go
         C: hello
         C: .
         = rcpt 0: 250 ok
         = rcpt 1: 250 ok
         S: 250 queued
         = sent | 250 queued | 250 queued";
    play_after(&["PIPELINING"], &[message(&["b@mx", "d@mx"], "hello\r\n")], script);
}

#[test]
fn pipelining_can_be_switched_off() {
    let mut config = config();
    config.pipelining = false;
    let script = greeted(&["PIPELINING"]) + "C: MAIL FROM:<a@c>";
    play(&config, &[message(&["b@mx"], "")], &script);
}

#[test]
fn parameters_go_with_mail_and_rcpt() {
    let mut rcpt = RcptParams::new();
    rcpt.notify = Some(Notify::On { success: true, failure: true, delay: false });
    rcpt.orcpt = OriginalRecipient::parse("rfc822;b@mx");
    let mut params = MailParams::new();
    params.ret = Some(Ret::Headers);
    params.envid = Some(Xtext::new("x=1").unwrap());
    let transaction = Transaction::new(ReversePath::Null)
        .with_params(params)
        .with_size(7)
        .with_body(Body::EightBitMime)
        .to_with(mailbox("b@mx"), rcpt);
    play_after(
        &["SIZE 100", "8BITMIME", "DSN"],
        &[Action::Send(transaction, b"hello\r\n".to_vec())],
        "C: MAIL FROM:<> SIZE=7 BODY=8BITMIME RET=HDRS ENVID=x+3D1
         S: 250 ok
         C: RCPT TO:<b@mx> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@mx",
    );
}

#[test]
fn dots_are_doubled_and_line_endings_repaired() {
    play_after(
        &[],
        &[message(&["b@mx"], "a\n.\r\n..\rx\n.end")],
        "C: MAIL FROM:<a@c>
         S: 250 ok
         C: RCPT TO:<b@mx>
         S: 250 ok
         = rcpt 0: 250 ok
         C: DATA
         S: 354 go
         C: a
         C: ..
         C: ... x
         C: ..end
         C: .
         S: 250 queued
         = sent | 250 queued",
    );
}

/// Each sequence by which servers have been tricked into seeing the end of a message (SMTP smuggling).
#[test]
fn no_message_makes_a_bare_cr_or_lf_or_an_undoubled_dot_leave() {
    let ends = [
        "\n.\n",
        "\n.\r",
        "\r.\n",
        "\r.\r",
        "\n.\r\n",
        "\r.\r\n",
        "\r\n\0.\r\n",
        "\r\n.\r\r\n",
        "\r\r\n.\r\r\n",
        "\r\n.\n",
        "\r\n.\r",
        "\r\n.\0\r\n",
        "\n\n.\r\n",
        "\n\r.\n\r",
        "\r\n.\r\n",
    ];
    for end in ends {
        for chunking in [Chunking::Never, Chunking::Always] {
            let text = format!("a{end}MAIL FROM:<x@y>\r\n");
            let mut embedder = Embedder::new(config().with_chunking(chunking), &[message(&["b@mx"], &text)]);
            embedder.feed(b"220 mx\r\n", 1000);
            embedder.feed(b"250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n", 1000);
            embedder.feed(b"250 ok\r\n250 ok\r\n", 1000);
            if chunking == Chunking::Never {
                embedder.feed(b"354 go\r\n", 1000);
            }
            let sent = embedder.played.sent;
            for (at, byte) in sent.iter().enumerate() {
                match byte {
                    b'\r' => assert_eq!(sent.get(at + 1), Some(&b'\n'), "{end:?} {}", sent.escape_ascii()),
                    b'\n' => assert_eq!(sent[at - 1], b'\r', "{end:?} {}", sent.escape_ascii()),
                    _ => {}
                }
            }
            if chunking == Chunking::Never {
                let body = sent.split(|b| *b == b'\n').skip_while(|line| *line != b"DATA\r").skip(1);
                let lines: Vec<_> = body.collect();
                let ends = lines.iter().filter(|line| **line == b".\r").count();
                assert_eq!(ends, 1, "{end:?} {}", sent.escape_ascii());
                assert_eq!(lines[lines.len() - 2], b".\r", "{end:?}");
            }
        }
    }
}

#[test]
fn a_message_in_wire_form_may_be_demanded() {
    let mut config = config();
    config.newlines = Newlines::Strict;
    let script = greeted(&["CHUNKING", "PIPELINING"])
        + &envelope(&["b@mx"])
        + "S: 250 ok
           S: 250 ok
           S: 354 go
           C: a
           = rcpt 0: 250 ok
           = body refused: expected CRLF line endings only, found a bare LF at byte 4 of the message
           = failed: the message was broken off on this side";
    play(&config, &[message(&["b@mx"], "a\r\nb\nc")], &script.replace("C: a\n", ""));
}

/// What the server does not take in 8-bit bytes: whether it offers 8BITMIME, and what it was told of the message.
const SEVEN_BIT: [(&[&str], Option<Body>); 3] = [
    (&["PIPELINING"], None),
    (&["PIPELINING"], Some(Body::SevenBit)),
    (&["PIPELINING", "8BITMIME"], Some(Body::SevenBit)),
];

#[test]
fn no_eight_bit_byte_gets_to_a_server_that_was_told_of_none() {
    for (extensions, body) in SEVEN_BIT {
        for chunking in [Chunking::Never, Chunking::Always] {
            let mut transaction = to(&["b@mx"]);
            transaction.params.body = body;
            let action = Action::Send(transaction, b"ab\r\nc\xe4\r\n".to_vec());
            let mut embedder = Embedder::new(config().with_chunking(chunking), &[action]);
            embedder.feed(b"220 mx\r\n", 1000);
            let offers: String = extensions.iter().map(|extension| format!("250-{extension}\r\n")).collect();
            embedder.feed(format!("250-mx\r\n{offers}250 CHUNKING\r\n").as_bytes(), 1000);
            embedder.feed(b"250 ok\r\n250 ok\r\n", 1000);
            if chunking == Chunking::Never {
                embedder.feed(b"354 go\r\n", 1000);
            }
            let events = embedder.events.join("\n");
            let refused =
                "body refused: expected a message of 7-bit bytes, found another at byte 5 of the message";
            assert!(events.contains(refused), "{events}");
            assert!(embedder.sent.is_ascii());
            let sent = embedder.sent.escape_ascii().to_string();
            match chunking {
                Chunking::Never => {
                    assert!(events.ends_with("failed: the message was broken off on this side"), "{events}");
                    assert!(sent.ends_with(r"DATA\r\n"), "{sent}");
                }
                // The connection goes on.
                _ => assert!(sent.ends_with(r"RSET\r\n"), "{sent}"),
            }
        }
    }
}

#[test]
fn a_message_that_is_spoiled_cannot_be_ended() {
    use mail_wire::Connection;
    for (newlines, spoiling, error) in [
        (Newlines::Repair, &b"c\xe4"[..], "expected a message of 7-bit bytes, found another at byte 4"),
        (Newlines::Strict, b"c\nd", "expected CRLF line endings only, found a bare LF at byte 4"),
    ] {
        let mut config = config();
        config.newlines = newlines;
        let mut embedder = Embedder::new(config, &[Action::Hold(to(&["b@mx"]))]);
        for reply in ["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
            embedder.feed(reply.as_bytes(), 1000);
        }
        let client = &mut embedder.client;
        assert_eq!(client.write_body(b"a\r\n"), Ok(3));
        for _ in 0..2 {
            let found = client.write_body(spoiling).unwrap_err().to_string();
            assert!(found.starts_with(error), "{found}");
        }
        assert!(client.write_body(b"more\r\n").is_err());
        assert!(client.finish_body().is_err());
        assert!(!client.io().send.ends_with(b".\r\n"));
    }
}

#[test]
fn eight_bit_bytes_go_where_they_were_announced() {
    for (extensions, body, params) in [
        (&["PIPELINING", "8BITMIME"][..], Some(Body::EightBitMime), " BODY=8BITMIME"),
        (&["PIPELINING", "8BITMIME"], None, ""),
    ] {
        let mut transaction = to(&["b@mx"]);
        transaction.params.body = body;
        let script = accepted(&["b@mx"]).replace("FROM:<a@c>", &format!("FROM:<a@c>{params}"));
        play_after(
            extensions,
            &[Action::Send(transaction, b"\xe4\r\n".to_vec())],
            script + "C: \\xe4\nC: .\nS: 250 queued\n= sent | 250 queued",
        );
    }
    let transaction = to(&["b@mx"]).with_utf8_header();
    let script = accepted(&["b@mx"]).replace("FROM:<a@c>", "FROM:<a@c> SMTPUTF8");
    play_after(
        &["PIPELINING", "SMTPUTF8"],
        &[Action::Send(transaction, b"\xe4\r\n".to_vec())],
        script + "C: \\xe4\nC: .\nS: 250 queued\n= sent | 250 queued",
    );
}

#[test]
fn an_empty_message_is_a_dot() {
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx"], "")],
        accepted(&["b@mx"])
            + "C: .
         S: 250 queued
         = sent | 250 queued",
    );
}

#[test]
fn a_refused_recipient_does_not_keep_others_from_the_message() {
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx", "d@mx", "e@mx"], "x\r\n")],
        envelope(&["b@mx", "d@mx", "e@mx"]) + "S: 250 ok
         S: 550 5.1.1 who?
         S: 250 ok
         S: 450 4.2.1 later
         S: 354 go
         = rcpt 0: 550 5.1.1 who?
         = rcpt 1: 250 ok
         = rcpt 2: 450 4.2.1 later
         C: x
         C: .
         S: 250 queued
         = sent | not 550 5.1.1 who? (in the reply to RCPT) | 250 queued | not 450 4.2.1 later (in the reply to RCPT)",
    );
}

#[test]
fn when_all_recipients_are_refused_the_transaction_is_reset() {
    play_after(
        &[],
        &[message(&["b@mx"], "x\r\n"), Action::Call(Client::noop)],
        "C: MAIL FROM:<a@c>
         S: 250 ok
         C: RCPT TO:<b@mx>
         S: 550 who?
         = rcpt 0: 550 who?
         C: RSET
         S: 250 ok
         = sent | not 550 who? (in the reply to RCPT)
         C: NOOP",
    );
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx"], "x\r\n"), Action::Call(Client::noop)],
        envelope(&["b@mx"])
            + "S: 250 ok
         S: 550 who?
         S: 503 nobody
         = rcpt 0: 550 who?
         C: RSET
         S: 250 ok
         = sent | not 550 who? (in the reply to RCPT)
         C: NOOP",
    );
}

#[test]
fn a_server_that_waits_for_a_message_to_nobody_gets_a_dot() {
    for verdict in ["250 thanks", "554 no recipients"] {
        let script = format!(
            "{}
             S: 250 ok
             S: 550 who?
             S: 354 go
             = rcpt 0: 550 who?
             C: .
             S: {verdict}
             C: RSET
             S: 250 ok
             = sent | not 550 who? (in the reply to RCPT)",
            envelope(&["b@mx"]),
        );
        play_after(&["PIPELINING"], &[message(&["b@mx"], "secret\r\n")], &script);
    }
}

#[test]
fn a_refused_mail_speaks_for_all_recipients() {
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx", "d@mx"], "x\r\n"), Action::Call(Client::noop)],
        envelope(&["b@mx", "d@mx"]) + "S: 451 4.7.1 greylisted
         S: 503 no
         S: 503 no
         S: 503 no
         = sent | not 451 4.7.1 greylisted (in the reply to MAIL) | not 451 4.7.1 greylisted (in the reply to MAIL)
         C: NOOP",
    );
    play_after(
        &[],
        &[message(&["b@mx"], "x\r\n")],
        "C: MAIL FROM:<a@c>
         S: 550 no
         = sent | not 550 no (in the reply to MAIL)",
    );
}

#[test]
fn a_refused_data_speaks_for_those_who_were_accepted() {
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx", "d@mx"], "x\r\n")],
        envelope(&["b@mx", "d@mx"])
            + "S: 250 ok
         S: 250 ok
         S: 550 who?
         S: 451 disk
         = rcpt 0: 250 ok
         = rcpt 1: 550 who?
         C: RSET
         S: 250 ok
         = sent | not 451 disk (in the reply to DATA) | not 550 who? (in the reply to RCPT)",
    );
}

#[test]
fn a_refused_message_leaves_the_connection_usable() {
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx"], "x\r\n"), message(&["d@mx"], "y\r\n")],
        accepted(&["b@mx"])
            + "C: x
         C: .
         S: 554 5.6.0 spam
         = sent | not 554 5.6.0 spam (in the reply to the message)
         C: MAIL FROM:<a@c>
         C: RCPT TO:<d@mx>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         = rcpt 0: 250 ok
         C: y
         C: .
         S: 250 queued
         = sent | 250 queued",
    );
}

#[test]
fn lmtp_has_a_result_for_each_accepted_recipient() {
    play_lmtp(
        &lmtp(),
        &["PIPELINING"],
        &[message(&["b@mx", "d@mx", "e@mx"], "x\r\n"), Action::Call(Client::noop)],
        envelope(&["b@mx", "d@mx", "e@mx"])
            + "S: 250 ok
         S: 250 ok
         S: 550 who?
         S: 250 ok
         S: 354 go
         = rcpt 0: 250 ok
         = rcpt 1: 550 who?
         = rcpt 2: 250 ok
         C: x
         C: .
         S: 250 kept
         = delivered 0: 250 kept
         S: 452 full
         = delivered 2: 452 full
         = sent | 250 kept | not 550 who? (in the reply to RCPT) | not 452 full (in the reply to the message)
         C: NOOP",
    );
}

#[test]
fn an_lmtp_server_that_wants_a_message_for_nobody_is_out_of_step() {
    play_lmtp(
        &lmtp(),
        &["PIPELINING"],
        &[message(&["b@mx"], "x\r\n")],
        envelope(&["b@mx"])
            + "S: 250 ok
         S: 550 who?
         S: 354 go
         = rcpt 0: 550 who?
         = sent | not 550 who? (in the reply to RCPT)
         = failed: waiting for the reply to DATA: found an unexpected reply: 354 go",
    );
}

#[test]
fn a_long_message_is_taken_piece_by_piece_and_arrives_whole() {
    let text = "0123456789\r\n".repeat(20_000);
    let mut embedder = in_the_middle();
    embedder.feed(b"354 go\r\n", 100);
    assert_eq!(embedder.sent, (text + ".\r\n").as_bytes());
}

#[test]
fn no_more_of_a_message_is_taken_than_there_is_room_for() {
    use mail_wire::{Connection, Step};
    let mut embedder = in_the_middle();
    let now = embedder.now;
    let client = &mut embedder.client;
    client.io().recv[..8].copy_from_slice(b"354 go\r\n");
    client.received(8, now);
    assert!(matches!(client.poll(), Step::Event(Event::Body)));
    let taken = client.write_body(&[b'x'; 1 << 20]).unwrap();
    assert_eq!(taken, 64 * 1024);
    assert!(matches!(client.poll(), Step::Blocked));
    assert_eq!(client.write_body(b"x"), Ok(0));
    client.sent(30_000, now);
    assert!(matches!(client.poll(), Step::Blocked), "not for a little room");
    client.sent(10_000, now);
    assert!(matches!(client.poll(), Step::Event(Event::Body)));
    assert!(matches!(client.poll(), Step::Blocked), "told once");
    assert_eq!(client.write_body(b"x"), Ok(1));
    assert!(matches!(client.poll(), Step::Event(Event::Body)), "and again after a write");
}

#[test]
fn many_recipients_go_in_groups_of_a_bounded_size() {
    let recipients: Vec<String> = (0..1000).map(|n| format!("r{n}@mx")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut embedder = Embedder::new(config(), &[message(&recipients, "x\r\n")]);
    embedder.feed(b"220 mx\r\n", 100);
    embedder.sent.clear();
    embedder.feed(b"250-mx\r\n250 PIPELINING\r\n", 100);
    let count = |sent: &[u8]| sent.iter().filter(|b| **b == b'\n').count();
    assert_eq!(count(&embedder.sent), 256);
    for n in 1..1000 {
        embedder.feed(b"250 ok\r\n", 100);
        let expected = if 256 + n < 1001 { 256 + n } else { 1002 };
        assert_eq!(count(&embedder.sent), expected, "DATA goes right behind the last");
    }
    assert!(embedder.sent.ends_with(b"RCPT TO:<r999@mx>\r\nDATA\r\n"));
    embedder.feed(b"250 ok\r\n250 ok\r\n354 go\r\n", 100);
    embedder.feed(b"250 queued\r\n", 100);
    assert_eq!(embedder.events.len(), 1 + 1000 + 1, "{:?}", embedder.events.last());
    assert!(embedder.events[1001].starts_with("sent | 250 queued"), "{:?}", embedder.events.last());
}
