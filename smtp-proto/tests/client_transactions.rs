//! Transactions: groups of commands, DATA and BDAT, recipients refused, LMTP, connections that break.

#[cfg(test)]
mod client_support;

use client_support::*;
use mail_wire::dot::Newlines;
use smtp_proto::client::*;
use smtp_proto::types::*;

/// From the greeting to EHLO, with the extensions named.
fn greeted(extensions: &[&str]) -> String {
    let mut script = String::from("S: 220 mx\nC: EHLO c\nS: 250-mx\n");
    for extension in extensions {
        script.push_str(&format!("S: 250-{extension}\n"));
    }
    script + "S: 250 HELP\n= ready\n"
}

fn play_after(extensions: &[&str], actions: &[Action], script: &str) -> Played {
    play(&config(), actions, &(greeted(extensions) + script))
}

fn lmtp() -> ClientConfig {
    config().with_protocol(Protocol::Lmtp)
}

fn play_lmtp(config: &ClientConfig, extensions: &[&str], actions: &[Action], script: &str) -> Played {
    play(config, actions, &(greeted(extensions).replace("EHLO", "LHLO") + script))
}

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
    let script = "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: RCPT TO:<d@mx>
         C: DATA
         S: 250 ok
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
            let sent = embedder.sent;
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
        + "C: MAIL FROM:<a@c>
           C: RCPT TO:<b@mx>
           C: DATA
           S: 250 ok
           S: 250 ok
           S: 354 go
           C: a
           = rcpt 0: 250 ok
           = body refused: expected CRLF line endings only, found a bare LF at byte 4 of the message
           = failed: the message was broken off on this side";
    play(&config, &[message(&["b@mx"], "a\r\nb\nc")], &script.replace("C: a\n", ""));
}

#[test]
fn an_empty_message_is_a_dot() {
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx"], "")],
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         = rcpt 0: 250 ok
         C: .
         S: 250 queued
         = sent | 250 queued",
    );
}

#[test]
fn a_refused_recipient_does_not_keep_others_from_the_message() {
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx", "d@mx", "e@mx"], "x\r\n")],
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: RCPT TO:<d@mx>
         C: RCPT TO:<e@mx>
         C: DATA
         S: 250 ok
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
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: DATA
         S: 250 ok
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
            "C: MAIL FROM:<a@c>
             C: RCPT TO:<b@mx>
             C: DATA
             S: 250 ok
             S: 550 who?
             S: 354 go
             = rcpt 0: 550 who?
             C: .
             S: {verdict}
             C: RSET
             S: 250 ok
             = sent | not 550 who? (in the reply to RCPT)"
        );
        play_after(&["PIPELINING"], &[message(&["b@mx"], "secret\r\n")], &script);
    }
}

#[test]
fn a_refused_mail_speaks_for_all_recipients() {
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx", "d@mx"], "x\r\n"), Action::Call(Client::noop)],
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: RCPT TO:<d@mx>
         C: DATA
         S: 451 4.7.1 greylisted
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
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: RCPT TO:<d@mx>
         C: DATA
         S: 250 ok
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
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         = rcpt 0: 250 ok
         C: x
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
fn a_small_message_of_known_size_leaves_with_its_envelope_by_bdat() {
    let transaction = to(&["b@mx"]).with_size(3);
    play_after(
        &["PIPELINING", "CHUNKING", "SIZE"],
        &[Action::Send(transaction, b".x\n".to_vec())],
        "C: MAIL FROM:<a@c> SIZE=3
         C: RCPT TO:<b@mx>
         C: BDAT 4 LAST
         C: .x
         S: 250 ok
         S: 250 ok
         = rcpt 0: 250 ok
         S: 250 queued
         = sent | 250 queued",
    );
}

#[test]
fn bdat_is_not_used_on_its_own_where_it_gains_nothing() {
    for (extensions, size) in [
        (&["PIPELINING", "CHUNKING", "SIZE"][..], None),
        (&["PIPELINING", "CHUNKING", "SIZE"], Some(70_000)),
        (&["PIPELINING", "SIZE"], Some(3)),
    ] {
        let mut transaction = to(&["b@mx"]);
        transaction.params.size = size;
        let size = size.map_or(String::new(), |size| format!(" SIZE={size}"));
        let script = format!("C: MAIL FROM:<a@c>{size}\nC: RCPT TO:<b@mx>\nC: DATA");
        play_after(extensions, &[Action::Send(transaction, Vec::new())], &script);
    }
}

#[test]
fn bdat_is_not_used_on_its_own_where_it_saves_no_round_trip() {
    play_after(
        &["CHUNKING", "SIZE"],
        &[Action::Send(to(&["b@mx"]).with_size(3), Vec::new())],
        "C: MAIL FROM:<a@c> SIZE=3
         S: 250 ok
         C: RCPT TO:<b@mx>
         S: 250 ok
         = rcpt 0: 250 ok
         C: DATA",
    );
}

#[test]
fn a_binary_message_goes_by_bdat_as_it_is() {
    let transaction = to(&["b@mx"]).with_body(Body::BinaryMime);
    play_after(
        &["CHUNKING", "BINARYMIME", "8BITMIME"],
        &[Action::Send(transaction, b"\x00\n.\n\r\xff".to_vec())],
        "C: MAIL FROM:<a@c> BODY=BINARYMIME
         S: 250 ok
         C: RCPT TO:<b@mx>
         S: 250 ok
         = rcpt 0: 250 ok
         C: BDAT 6 LAST
         C: \\x00\\n.\\n\\r\\xff~
         S: 250 queued
         = sent | 250 queued",
    );
}

fn chunked() -> ClientConfig {
    let mut config = config().with_chunking(Chunking::Always);
    config.chunk_size = 1024;
    config
}

#[test]
fn one_chunk_goes_ahead_of_the_envelope_and_the_rest_behind_it() {
    let line = "x".repeat(1022);
    let script = greeted(&["PIPELINING", "CHUNKING"])
        + &format!(
            "C: MAIL FROM:<a@c>
             C: RCPT TO:<b@mx>
             C: BDAT 1024
             C: {line}
             S: 250 ok
             S: 250 ok
             = rcpt 0: 250 ok
             C: BDAT 1024
             C: {line}
             C: BDAT 3 LAST
             C: y
             S: 250 chunk
             S: 250 chunk
             S: 250 queued
             = sent | 250 queued"
        );
    play(&chunked(), &[message(&["b@mx"], &format!("{line}\n{line}\r\ny"))], &script);
}

#[test]
fn without_pipelining_each_chunk_waits_for_the_reply() {
    let line = "x".repeat(1022);
    let script = greeted(&["CHUNKING"])
        + &format!(
            "C: MAIL FROM:<a@c>
             S: 250 ok
             C: RCPT TO:<b@mx>
             S: 250 ok
             = rcpt 0: 250 ok
             C: BDAT 1024
             C: {line}
             S: 250 chunk
             C: BDAT 3 LAST
             C: y
             S: 250 queued
             = sent | 250 queued"
        );
    play(&chunked(), &[message(&["b@mx"], &format!("{line}\ny\n"))], &script);
}

#[test]
fn a_chunk_for_nobody_is_followed_by_a_reset() {
    let line = "x".repeat(1022);
    let script = greeted(&["PIPELINING", "CHUNKING"])
        + &format!(
            "C: MAIL FROM:<a@c>
             C: RCPT TO:<b@mx>
             C: BDAT 1024
             C: {line}
             S: 250 ok
             S: 550 who?
             = rcpt 0: 550 who?
             S: 503 nobody
             C: RSET
             S: 250 ok
             = sent | not 550 who? (in the reply to RCPT)"
        );
    play(&chunked(), &[message(&["b@mx"], &format!("{line}\n{line}\nmore"))], &script);
}

#[test]
fn a_refused_chunk_ends_the_message() {
    let line = "x".repeat(1022);
    let script = greeted(&["PIPELINING", "CHUNKING"])
        + &format!(
            "C: MAIL FROM:<a@c>
             C: RCPT TO:<b@mx>
             C: BDAT 1024
             C: {line}
             S: 250 ok
             S: 250 ok
             = rcpt 0: 250 ok
             C: BDAT 3 LAST
             C: y
             S: 552 5.3.4 too large
             S: 503 no
             C: RSET
             S: 250 ok
             = sent | not 552 5.3.4 too large (in the reply to the message)"
        );
    let played = play(&chunked(), &[message(&["b@mx"], &format!("{line}\ny\n"))], &script);
    assert!(played.client.is_idle());
}

#[test]
fn a_refused_last_chunk_is_followed_by_a_reset() {
    let transaction = to(&["b@mx"]).with_size(3);
    play_after(
        &["PIPELINING", "CHUNKING", "SIZE"],
        &[Action::Send(transaction, b"x\r\n".to_vec())],
        "C: MAIL FROM:<a@c> SIZE=3
         C: RCPT TO:<b@mx>
         C: BDAT 3 LAST
         C: x
         S: 250 ok
         S: 250 ok
         S: 554 spam
         = rcpt 0: 250 ok
         C: RSET
         S: 250 ok
         = sent | not 554 spam (in the reply to the message)",
    );
}

#[test]
fn mail_refused_in_front_of_a_chunk_needs_no_reset() {
    let transaction = to(&["b@mx"]).with_size(3);
    play_after(
        &["PIPELINING", "CHUNKING", "SIZE"],
        &[Action::Send(transaction, b"x\r\n".to_vec())],
        "C: MAIL FROM:<a@c> SIZE=3
         C: RCPT TO:<b@mx>
         C: BDAT 3 LAST
         C: x
         S: 452 full
         S: 503 no
         S: 503 no
         = sent | not 452 full (in the reply to MAIL)",
    );
}

#[test]
fn lmtp_has_a_result_for_each_accepted_recipient() {
    play_lmtp(
        &lmtp(),
        &["PIPELINING"],
        &[message(&["b@mx", "d@mx", "e@mx"], "x\r\n"), Action::Call(Client::noop)],
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: RCPT TO:<d@mx>
         C: RCPT TO:<e@mx>
         C: DATA
         S: 250 ok
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
fn lmtp_by_bdat_has_a_result_for_each_as_well() {
    let transaction = to(&["b@mx", "d@mx"]).with_size(3);
    play_lmtp(
        &lmtp(),
        &["PIPELINING", "CHUNKING", "SIZE"],
        &[Action::Send(transaction, b"x\r\n".to_vec())],
        "C: MAIL FROM:<a@c> SIZE=3
         C: RCPT TO:<b@mx>
         C: RCPT TO:<d@mx>
         C: BDAT 3 LAST
         C: x
         S: 250 ok
         S: 250 ok
         S: 250 ok
         S: 250 one
         S: 250 two
         = rcpt 0: 250 ok
         = rcpt 1: 250 ok
         = delivered 0: 250 one
         = delivered 1: 250 two
         = sent | 250 one | 250 two",
    );
}

#[test]
fn lmtp_by_bdat_to_nobody_has_one_reply_and_a_reset() {
    let transaction = to(&["b@mx"]).with_size(3);
    play_lmtp(
        &lmtp(),
        &["PIPELINING", "CHUNKING", "SIZE"],
        &[Action::Send(transaction, b"x\r\n".to_vec())],
        "C: MAIL FROM:<a@c> SIZE=3
         C: RCPT TO:<b@mx>
         C: BDAT 3 LAST
         C: x
         S: 250 ok
         S: 550 who?
         S: 503 nobody
         = rcpt 0: 550 who?
         C: RSET
         S: 250 ok
         = sent | not 550 who? (in the reply to RCPT)",
    );
}

#[test]
fn the_last_chunk_of_lmtp_waits_for_those_before_it() {
    let mut config = chunked();
    config.protocol = Protocol::Lmtp;
    let line = "x".repeat(1022);
    play_lmtp(
        &config,
        &["PIPELINING", "CHUNKING"],
        &[message(&["b@mx"], &format!("{line}\ny\n"))],
        &format!(
            "C: MAIL FROM:<a@c>
             C: RCPT TO:<b@mx>
             C: BDAT 1024
             C: {line}
             S: 250 ok
             S: 250 ok
             = rcpt 0: 250 ok
             S: 250 chunk
             C: BDAT 3 LAST
             C: y
             S: 250 kept
             = delivered 0: 250 kept
             = sent | 250 kept"
        ),
    );
}

#[test]
fn an_lmtp_server_that_wants_a_message_for_nobody_is_out_of_step() {
    play_lmtp(
        &lmtp(),
        &["PIPELINING"],
        &[message(&["b@mx"], "x\r\n")],
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: DATA
         S: 250 ok
         S: 550 who?
         S: 354 go
         = rcpt 0: 550 who?
         = sent | not 550 who? (in the reply to RCPT)
         = failed: waiting for the reply to DATA: found an unexpected reply: 354 go",
    );
}

#[test]
fn a_message_behind_data_is_broken_off_by_closing() {
    let played = play_after(
        &["PIPELINING"],
        &[Action::Abort(to(&["b@mx"]), b"half".to_vec())],
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         = rcpt 0: 250 ok
         = failed: the message was broken off on this side",
    );
    assert_eq!(played.end, Some(Err(ClientError::Aborted)));
}

#[test]
fn a_message_by_bdat_is_broken_off_by_a_reset() {
    let line = "x".repeat(1022);
    // What the server says to the chunk counts for nothing.
    for reply in ["250 chunk", "552 too large"] {
        let script = greeted(&["PIPELINING", "CHUNKING"])
            + &format!(
                "C: MAIL FROM:<a@c>
             C: RCPT TO:<b@mx>
             C: BDAT 1024
             C: {line}
             S: 250 ok
             S: 250 ok
             S: {reply}
             C: RSET
             S: 250 ok
             = aborted
             C: NOOP"
            );
        let abort = Action::Abort(to(&["b@mx"]), format!("{line}\nhalf").into());
        play(&chunked(), &[abort, Action::Call(Client::noop)], &script);
    }
}

#[test]
fn a_transaction_is_broken_off_before_its_message_is_wanted() {
    let mut embedder = Embedder::new(config(), &[message(&["b@mx"], "x\r\n"), Action::Call(Client::noop)]);
    embedder.feed(b"220 mx\r\n", 100);
    embedder.feed(b"250 mx\r\n", 100);
    embedder.sent.clear();
    embedder.client.abort().unwrap();
    embedder.run();
    assert_eq!(embedder.sent, b"");
    embedder.feed(b"250 ok\r\n", 100);
    assert_eq!(embedder.client.abort(), Err(BodyError::NotNow), "once is enough");
    embedder.feed(b"250 ok\r\n", 100);
    assert_eq!(embedder.sent, b"RSET\r\nNOOP\r\n");
    assert_eq!(embedder.events, ["ready", "aborted"]);
}

#[test]
fn a_message_whose_reply_does_not_come_is_uncertain() {
    let whole = "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         = rcpt 0: 250 ok
         C: x
         C: .
         ";
    let cases = [
        ("EOF", "the connection was lost waiting for the reply to the message"),
        ("WAIT 601", "expected the reply to the message within 600s"),
        (
            "S: hello",
            "waiting for the reply to the message: expected a reply code from 200 to 599 at the start of line 1",
        ),
        ("S: 354 more", "waiting for the reply to the message: found an unexpected reply: 354 more"),
    ];
    for (what, why) in cases {
        let script = format!("{whole}{what}\n= failed: the message may or may not have been accepted: {why}");
        let played = play_after(&["PIPELINING"], &[message(&["b@mx"], "x\r\n")], &script);
        assert!(matches!(played.end, Some(Err(ClientError::Uncertain { .. }))), "{what}");
    }
}

#[test]
fn a_message_that_has_not_left_whole_is_not_uncertain() {
    use mail_wire::Connection;
    let mut embedder = Embedder::new(config(), &[message(&["b@mx"], "x\r\n")]);
    for reply in ["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n"] {
        embedder.feed(reply.as_bytes(), 100);
    }
    let now = embedder.now;
    let client = &mut embedder.client;
    client.io().recv[..8].copy_from_slice(b"354 go\r\n");
    client.received(8, now);
    assert!(matches!(client.poll(), mail_wire::Step::Event(Event::Body)));
    client.write_body(b"x\r\n").unwrap();
    client.finish_body().unwrap();
    client.sent(5, now);
    client.received(0, now);
    let mail_wire::Step::Close(Err(error)) = client.poll() else { panic!() };
    assert_eq!(error, ClientError::Lost { stage: Stage::Message });
}

#[test]
fn an_lmtp_connection_that_breaks_between_results_keeps_the_first() {
    play_lmtp(
        &lmtp(),
        &["PIPELINING"],
        &[message(&["b@mx", "d@mx"], "x\r\n")],
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: RCPT TO:<d@mx>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 250 ok
         S: 354 go
         = rcpt 0: 250 ok
         = rcpt 1: 250 ok
         C: x
         C: .
         S: 250 kept
         = delivered 0: 250 kept
         EOF
         = failed: the message may or may not have been accepted: the connection was lost waiting for the reply to the message",
    );
}

#[test]
fn a_server_that_goes_down_answers_for_the_message() {
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx", "d@mx"], "x\r\n")],
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: RCPT TO:<d@mx>
         C: DATA
         S: 250 ok
         S: 550 who?
         S: 421 bye
         = rcpt 0: 550 who?
         = sent | not 550 who? (in the reply to RCPT) | not 421 bye (in the reply to RCPT)
         = failed: the server closes the connection instead of sending the reply to RCPT: 421 bye",
    );
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx"], "x\r\n")],
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         = rcpt 0: 250 ok
         C: x
         C: .
         S: 421 bye
         = sent | not 421 bye (in the reply to the message)
         = failed: the server closes the connection instead of sending the reply to the message: 421 bye",
    );
}

#[test]
fn a_connection_lost_before_the_message_was_sent_is_just_lost() {
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx"], "x\r\n")],
        "C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: DATA
         S: 250 ok
         EOF
         = failed: the connection was lost waiting for the reply to RCPT",
    );
}

/// A client in the middle of a message behind DATA, with more of it to come.
fn in_the_middle() -> Embedder {
    let text = "0123456789\r\n".repeat(20_000);
    let mut embedder = Embedder::new(config(), &[message(&["b@mx"], &text)]);
    for reply in ["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n"] {
        embedder.feed(reply.as_bytes(), 100);
    }
    embedder.sent.clear();
    embedder.events.clear();
    embedder
}

#[test]
fn a_server_that_refuses_in_the_middle_of_a_message_is_believed() {
    use mail_wire::{Connection, Step};
    for (reply, events) in [
        (
            "552 5.3.4 too large\r\n",
            [
                "sent | not 552 5.3.4 too large (in the reply to the message)",
                "failed: expected no reply before the end of the message, found: 552 5.3.4 too large",
            ],
        ),
        (
            "421 bye\r\n",
            [
                "sent | not 421 bye (in the reply to the message)",
                "failed: the server closes the connection instead of sending the server to take the message: 421 bye",
            ],
        ),
    ] {
        let mut embedder = in_the_middle();
        let now = embedder.now;
        let client = &mut embedder.client;
        client.io().recv[..8].copy_from_slice(b"354 go\r\n");
        client.received(8, now);
        assert!(matches!(client.poll(), Step::Event(Event::Body)));
        assert!(client.write_body(b"half").unwrap() == 4);
        embedder.feed(reply.as_bytes(), 100);
        assert_eq!(embedder.events, events);
    }
}

#[test]
fn success_in_the_middle_of_a_message_is_a_lie() {
    use mail_wire::{Connection, Step};
    let mut embedder = in_the_middle();
    let now = embedder.now;
    let client = &mut embedder.client;
    client.io().recv[..8].copy_from_slice(b"354 go\r\n");
    client.received(8, now);
    assert!(matches!(client.poll(), Step::Event(Event::Body)));
    embedder.feed(b"250 queued\r\n", 1);
    assert_eq!(
        embedder.events,
        ["failed: waiting for the server to take the message: found a reply that no command asked for"]
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
