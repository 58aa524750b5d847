//! Deadlines in virtual time: each reply has its own (RFC 5321 §4.5.3.2), an idle connection has none.

#[cfg(test)]
mod client_support;

use client_support::*;
use mail_wire::{Connection, Step};
use smtp_proto::client::*;
use smtp_proto::types::Verb;
use std::time::Duration;

/// Nothing happens a second before, and this after so many seconds.
fn times_out(actions: &[Action], script: &str, seconds: u64, stage: Stage) {
    let early = format!("{script}\nWAIT {}", seconds - 1);
    let played = play(&config(), actions, &early);
    assert!(played.end.is_none(), "{script}");
    let text = ClientError::Timeout { stage, after: Duration::from_secs(seconds) };
    let late = format!("{script}\nWAIT {seconds}\n= failed: {text}");
    let played = play(&config(), actions, &late);
    assert_eq!(played.end, Some(Err(text)));
}

#[test]
fn each_stage_has_its_own_time() {
    times_out(&[], "", 300, Stage::Greeting);
    times_out(&[], "S: 220 mx\nC: EHLO c\n", 300, Stage::Hello);
    let greeted = "S: 220 mx\nC: EHLO c\nS: 250 mx\n= ready\n";
    let noop = [Action::Call(Client::noop)];
    times_out(&noop, &format!("{greeted}C: NOOP"), 300, Stage::Command(Verb::Noop));
    let send = [message(&["b@mx"], "x\r\n")];
    let mail = format!("{greeted}C: MAIL FROM:<a@c>\n");
    times_out(&send, &mail, 300, Stage::Mail);
    let rcpt = mail + "S: 250 ok\nC: RCPT TO:<b@mx>\n";
    times_out(&send, &rcpt, 300, Stage::Rcpt);
    let data = rcpt + "S: 250 ok\n= rcpt 0: 250 ok\nC: DATA\n";
    times_out(&send, &data, 120, Stage::Data);
}

#[test]
fn the_clock_starts_anew_with_each_reply() {
    let script = "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 PIPELINING
         = ready
         C: MAIL FROM:<a@c>
         C: RCPT TO:<b@mx>
         C: RCPT TO:<d@mx>
         C: DATA
         WAIT 299
         S: 250 ok
         WAIT 299
         S: 250 ok
         = rcpt 0: 250 ok
         WAIT 299
         S: 250 ok
         = rcpt 1: 250 ok
         WAIT 119
         WAIT 1
         = failed: expected the reply to DATA within 120s";
    play(&config(), &[message(&["b@mx", "d@mx"], "")], script);
}

#[test]
fn a_reply_that_trickles_does_not_stop_the_clock() {
    let script = "S: 220 mx
         C: EHLO c
         S: 250-mx
         WAIT 299
         S: 250-STILL
         WAIT 1
         = failed: expected the reply to EHLO within 300s";
    play(&config(), &[], script);
}

#[test]
fn an_idle_connection_has_no_deadline_and_does_not_spoil_the_next() {
    let script = "S: 220 mx\nC: EHLO c\nS: 250 mx\n= ready\nWAIT 1000000";
    let mut client = play(&config(), &[], script).played.client;
    assert_eq!(client.deadline(), None);
    client.noop().unwrap();
    assert_eq!(client.deadline(), None, "until it has left, at a time that the client does not know");
}

#[test]
fn a_server_that_takes_no_more_of_the_message_is_given_three_minutes() {
    let mut embedder = Embedder::new(config(), &[message(&["b@mx"], "")]);
    for reply in ["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n"] {
        embedder.feed(reply.as_bytes(), 100);
    }
    let mut now = embedder.now;
    let client = &mut embedder.client;
    client.io().recv[..8].copy_from_slice(b"354 go\r\n");
    client.received(8, now);
    assert!(matches!(client.poll(), Step::Event(Event::Body)));
    assert_eq!(client.deadline(), None, "the embedder may take its time");
    now += Duration::from_secs(10_000);
    client.write_body(&[b'x'; 60_000]).unwrap();
    client.sent(1000, now);
    assert_eq!(client.deadline(), Some(now + Duration::from_secs(180)));
    now += Duration::from_secs(179);
    client.sent(1, now);
    now += Duration::from_secs(179);
    client.handle_timeout(now);
    assert!(matches!(client.poll(), Step::Blocked));
    now += Duration::from_secs(1);
    client.handle_timeout(now);
    let Step::Close(Err(error)) = client.poll() else { panic!() };
    assert_eq!(error, ClientError::Timeout { stage: Stage::Body, after: Duration::from_secs(180) });
}

#[test]
fn the_end_of_the_message_has_ten_minutes_once_it_has_left() {
    let mut embedder = Embedder::new(config(), &[message(&["b@mx"], "")]);
    for reply in ["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n"] {
        embedder.feed(reply.as_bytes(), 100);
    }
    let now = embedder.now;
    let client = &mut embedder.client;
    client.io().recv[..8].copy_from_slice(b"354 go\r\n");
    client.received(8, now);
    assert!(matches!(client.poll(), Step::Event(Event::Body)));
    client.write_body(b"x\r\n").unwrap();
    client.finish_body().unwrap();
    client.sent(3, now);
    assert_eq!(client.deadline(), Some(now + Duration::from_secs(180)));
    client.sent(3, now);
    assert_eq!(client.deadline(), Some(now + Duration::from_secs(600)));
}

#[test]
fn timeouts_can_be_set() {
    let mut timeouts = Timeouts::default();
    timeouts.greeting = Duration::from_secs(5);
    let script = "WAIT 4\nWAIT 1\n= failed: expected the greeting within 5s";
    play(&config().with_timeouts(timeouts), &[], script);
}
