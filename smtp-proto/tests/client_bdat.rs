//! Transactions by BDAT (RFC 3030): when it is used, chunks ahead of their replies, chunks refused.

#[cfg(test)]
mod client_support;

use client_support::*;
use smtp_proto::client::*;
use smtp_proto::types::*;

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
        format!(
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
