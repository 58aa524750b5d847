//! The envelope of the next transaction behind the message of the one before, without waiting for its reply (RFC 2920
//! §3.1).

#[cfg(test)]
mod client_support;

use client_support::*;
use mail_wire::{Connection, Step};
use smtp_proto::client::*;

fn play_two(extensions: &[&str], script: &str) -> Embedder {
    let actions = [message(&["b@mx"], "x\r\n"), message(&["d@mx", "e@mx"], "y\r\n")];
    play_eagerly(&config(), &actions, &(greeted(extensions) + script))
}

/// The first message, with the envelope of the second in the same group.
fn first_and_envelope() -> String {
    accepted(&["b@mx"]) + "C: x\nC: .\n" + &envelope(&["d@mx", "e@mx"])
}

#[test]
fn the_next_envelope_leaves_in_one_group_with_the_message() {
    for (replies, results) in [
        ("250 queued", "250 queued"),
        // What becomes of the first is nothing to the second.
        ("554 5.6.0 spam", "not 554 5.6.0 spam (in the reply to the message)"),
        ("451 4.3.0 disk", "not 451 4.3.0 disk (in the reply to the message)"),
    ] {
        let script = first_and_envelope()
            + &format!(
                "S: {replies}
                 = sent | {results}
                 S: 250 ok
                 S: 250 ok
                 S: 550 who?
                 S: 354 go
                 = rcpt 0: 250 ok
                 = rcpt 1: 550 who?
                 C: y
                 C: .
                 S: 250 second
                 = sent | 250 second | not 550 who? (in the reply to RCPT)"
            );
        let played = play_two(&["PIPELINING"], &script);
        assert!(played.client.is_idle());
    }
}

#[test]
fn all_replies_may_come_in_one_piece() {
    let script = first_and_envelope()
        + "S: 250 queued
           S: 250 ok
           S: 250 ok
           S: 250 ok
           S: 354 go
           = sent | 250 queued
           = rcpt 0: 250 ok
           = rcpt 1: 250 ok
           C: y
           C: .
           S: 250 second
           = sent | 250 second | 250 second";
    play_two(&["PIPELINING"], &script);
}

#[test]
fn a_chunk_waits_for_the_reply_to_the_message_before() {
    let actions = [
        message(&["b@mx"], "x\r\n"),
        Action::Send(to(&["d@mx"]).with_size(3), b"y\r\n".to_vec()),
        message(&["e@mx"], "z\r\n"),
    ];
    // The size of the first is not known, so it goes behind DATA.
    let script = greeted(&["PIPELINING", "CHUNKING", "SIZE"])
        + &accepted(&["b@mx"])
        + "C: x
           C: .
           C: MAIL FROM:<a@c> SIZE=3
           C: RCPT TO:<d@mx>
           S: 250 queued
           = sent | 250 queued
           C: BDAT 3 LAST
           C: y
           S: 250 ok
           S: 250 ok
           = rcpt 0: 250 ok
           S: 250 second
           = sent | 250 second
           C: MAIL FROM:<a@c>
           C: RCPT TO:<e@mx>
           C: DATA";
    play_eagerly(&config(), &actions, &script);
}

#[test]
fn without_pipelining_nothing_follows() {
    let script = "C: MAIL FROM:<a@c>
         S: 250 ok
         C: RCPT TO:<b@mx>
         S: 250 ok
         = rcpt 0: 250 ok
         C: DATA
         S: 354 go
         C: x
         C: .
         S: 250 queued
         = sent | 250 queued
         C: MAIL FROM:<a@c>";
    play_two(&[], script);
    let client = about_to_send("250 mx\r\n", &["250 ok\r\n", "250 ok\r\n", "354 go\r\n"]).played.client;
    assert!(!client.can_send());
}

#[test]
fn lmtp_results_all_come_before_the_next_envelope_is_answered() {
    let actions = [message(&["b@mx", "d@mx"], "x\r\n"), message(&["e@mx"], "y\r\n")];
    let script = greeted(&["PIPELINING"]).replace("EHLO", "LHLO")
        + &accepted(&["b@mx", "d@mx"])
        + "C: x\nC: .\n"
        + &envelope(&["e@mx"])
        + "S: 250 kept
           = delivered 0: 250 kept
           S: 452 full
           = delivered 1: 452 full
           = sent | 250 kept | not 452 full (in the reply to the message)
           S: 250 ok
           S: 250 ok
           S: 354 go
           = rcpt 0: 250 ok
           C: y
           C: .
           S: 250 kept
           = delivered 0: 250 kept
           = sent | 250 kept";
    play_eagerly(&lmtp(), &actions, &script);
}

#[test]
fn a_connection_that_ends_in_between_tells_of_the_first_only() {
    for (what, events) in [
        (
            "EOF",
            "= failed: the message may or may not have been accepted: the connection was lost waiting for the reply to the message",
        ),
        (
            "S: 421 bye",
            "= sent | not 421 bye (in the reply to the message)
             = failed: the server closes the connection instead of sending the reply to the message: 421 bye",
        ),
        (
            "S: 250 queued\n= sent | 250 queued\nEOF",
            "= failed: the connection was lost waiting for the reply to MAIL",
        ),
        (
            "WAIT 601",
            "= failed: the message may or may not have been accepted: expected the reply to the message within 600s",
        ),
    ] {
        play_two(&["PIPELINING"], &format!("{}{what}\n{events}", first_and_envelope()));
    }
}

/// A client that has the first message whole in its send buffer.
fn about_to_send(ehlo: &str, replies: &[&str]) -> Embedder {
    let mut embedder = Embedder::new(config(), &[Action::Hold(to(&["b@mx"]))]);
    for reply in ["220 mx\r\n", ehlo].iter().chain(replies) {
        embedder.feed(reply.as_bytes(), 1000);
    }
    let client = &mut embedder.client;
    assert!(!client.can_send());
    client.write_body(b"x\r\n").expect("there is room");
    assert!(!client.can_send());
    client.finish_body().expect("the message is wanted");
    embedder
}

/// The same, with the second envelope behind it.
fn about_to_send_both() -> Embedder {
    let mut embedder = about_to_send("250-mx\r\n250 PIPELINING\r\n", &["250 ok\r\n250 ok\r\n354 go\r\n"]);
    let client = &mut embedder.client;
    assert!(client.can_send() && !client.is_idle());
    client.send(to(&["d@mx"])).expect("it may follow");
    assert!(matches!(client.poll(), Step::Blocked));
    assert_eq!(client.io().send, b"x\r\n.\r\nMAIL FROM:<a@c>\r\nRCPT TO:<d@mx>\r\nDATA\r\n");
    embedder
}

#[test]
fn only_one_transaction_follows_and_no_other_command() {
    let mut client = about_to_send_both().played.client;
    assert!(!client.can_send());
    assert_eq!(client.send(to(&["e@mx"])), Err(SendError::Busy));
    assert_eq!(client.noop(), Err(SendError::Busy));
    assert_eq!(client.quit(), Err(SendError::Busy));
}

#[test]
fn a_message_is_uncertain_once_its_dot_has_left_whatever_is_behind_it() {
    for (sent, uncertain) in [(5, false), (6, true), (10, true)] {
        let mut embedder = about_to_send_both();
        let now = embedder.now;
        let client = &mut embedder.client;
        client.sent(sent, now);
        client.received(0, now);
        let Step::Close(Err(error)) = client.poll() else { panic!("expected an error") };
        assert_eq!(matches!(error, ClientError::Uncertain { .. }), uncertain, "{sent} bytes sent: {error}");
    }
}

#[test]
fn breaking_off_takes_both() {
    let mut client = about_to_send_both().played.client;
    client.abort().unwrap();
    assert!(matches!(client.poll(), Step::Close(Err(ClientError::Aborted))));
}
