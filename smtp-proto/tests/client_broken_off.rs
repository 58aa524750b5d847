//! Transactions that do not come to their end: broken off on this side, refused in mid-message, connections that break.

#[cfg(test)]
mod client_support;

use client_support::*;
use smtp_proto::client::*;

#[test]
fn a_message_behind_data_is_broken_off_by_closing() {
    let played = play_after(
        &["PIPELINING"],
        &[Action::Abort(to(&["b@mx"]), b"half".to_vec())],
        accepted(&["b@mx"]) + "= failed: the message was broken off on this side",
    );
    assert_eq!(played.end, Some(Err(ClientError::Aborted)));
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
    let whole = accepted(&["b@mx"]) + "C: x\nC: .\n";
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
        accepted(&["b@mx", "d@mx"]) + "C: x
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
        envelope(&["b@mx", "d@mx"])
            + "S: 250 ok
         S: 550 who?
         S: 421 bye
         = rcpt 0: 550 who?
         = sent | not 550 who? (in the reply to RCPT) | not 421 bye (in the reply to RCPT)
         = failed: the server closes the connection instead of sending the reply to RCPT: 421 bye",
    );
    play_after(
        &["PIPELINING"],
        &[message(&["b@mx"], "x\r\n")],
        accepted(&["b@mx"])
            + "C: x
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
        envelope(&["b@mx"])
            + "S: 250 ok
         EOF
         = failed: the connection was lost waiting for the reply to RCPT",
    );
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
