//! Deadlines in virtual time: each reply has its own, messages and listings must make progress, an idle connection has none.

#[cfg(test)]
mod client_support;

use client_support::*;
use mail_wire::{Connection, Step};
use pop3_proto::client::*;
use pop3_proto::types::Verb;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Nothing happens a second before, and this after so many seconds.
fn times_out(config: &ClientConfig, actions: &[Action], script: &str, seconds: u64, stage: Stage) {
    let early = format!("{script}\nWAIT {}", seconds - 1);
    let played = play(config, actions, &early);
    assert!(played.end.is_none(), "{script}");
    let error = ClientError::Timeout { stage, after: Duration::from_secs(seconds) };
    let late = format!("{script}\nWAIT {seconds}\n= failed: {error}");
    let played = play(config, actions, &late);
    assert_eq!(played.end, Some(Err(error)));
}

#[test]
fn each_stage_has_its_own_time() {
    let config = with_password();
    times_out(&config, &[], "", 300, Stage::Greeting);
    let greeted = "S: +OK\nC: CAPA\n".to_owned();
    times_out(&config, &[], &greeted, 300, Stage::Command(Verb::Capa));
    times_out(&config, &[], &(greeted.clone() + "S: +OK\n"), 180, Stage::Listing(Verb::Capa));
    let user = greeted + "S: -ERR\nC: USER mrose\n";
    times_out(&config, &[], &user, 300, Stage::Login);
    times_out(&config, &[], &(user + "S: +OK\nC: PASS secret\n"), 300, Stage::Login);
    let ready = logged_in(None);
    times_out(&config, &[dele(1)], &(ready.clone() + "C: DELE 1"), 300, Stage::Command(Verb::Dele));
    let transfer = ready.clone() + "C: RETR 1\nS: +OK\nS: a\n= 0 message 1\n";
    times_out(&config, &[retr(1)], &transfer, 180, Stage::Message(number(1)));
    let list = ready + "C: LIST\nS: +OK\nS: 1 1\n= 0 listed 1 1\n";
    times_out(&config, &[submit(Request::List(None))], &list, 180, Stage::Listing(Verb::List));
}

#[test]
fn the_clock_starts_anew_with_each_reply() {
    let script = logged_in(Some(&["PIPELINING"]))
        + "C: DELE 1
         C: DELE 2
         WAIT 299
         S: +OK
         = 0 done: +OK
         WAIT 299
         S: +OK
         = 1 done: +OK
         WAIT 100000";
    play(&with_password(), &[dele(1), dele(2)], &script);
}

#[test]
fn a_reply_that_trickles_does_not_stop_the_clock() {
    let script = "S: +~
         WAIT 150
         S: OK~
         WAIT 150
         = failed: expected the greeting within 300s";
    play(&config(), &[], script);
}

/// A client within a message.
fn within_a_message() -> Embedder {
    let mut embedder = Embedder::new(with_password(), &[retr(1)]);
    for reply in ["+OK\r\n", "-ERR\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"] {
        embedder.feed(reply.as_bytes(), 100);
    }
    embedder.events.clear();
    embedder
}

#[test]
fn a_message_that_trickles_is_given_up() {
    let mut embedder = within_a_message();
    let mut waited = Duration::ZERO;
    while embedder.end.is_none() {
        embedder.feed(b"x", 1);
        embedder.wait(SECOND);
        waited += SECOND;
        assert!(waited < 1000 * SECOND);
    }
    assert_eq!(waited, 180 * SECOND, "of the KiB that was due not half has come");
    assert_eq!(embedder.events, ["failed: expected message 1 within 180s"]);
}

#[test]
fn a_message_that_is_slow_but_goes_on_is_not_given_up() {
    let mut embedder = within_a_message();
    for _ in 0..1000 {
        embedder.wait(170 * SECOND);
        embedder.feed(&[b'x'; 1024], 1024);
        assert!(embedder.end.is_none());
    }
    assert_eq!(embedder.body.len(), 1024 * 1000);
}

#[test]
fn the_time_that_the_embedder_takes_for_a_message_does_not_count() {
    let mut embedder = within_a_message();
    let mut now = embedder.now;
    let client = &mut embedder.client;
    client.io().recv[..3].copy_from_slice(b"abc");
    client.received(3, now);
    assert!(matches!(client.poll(), Step::Event(Event::Body)));
    assert_eq!(client.deadline(), None, "the embedder may take its time");
    now += 10_000 * SECOND;
    client.handle_timeout(now);
    assert!(matches!(client.poll(), Step::Event(Event::Body)));
    now += 10_000 * SECOND;
    client.consume(3);
    assert!(matches!(client.poll(), Step::Blocked));
    assert!(client.deadline().unwrap() <= now, "what time is it?");
    client.handle_timeout(now);
    assert!(matches!(client.poll(), Step::Blocked));
    assert_eq!(client.deadline(), Some(now + 180 * SECOND));
}

#[test]
fn the_time_that_the_embedder_takes_for_an_event_does_not_count() {
    let mut embedder = Embedder::new(with_password(), &[]);
    for reply in ["+OK\r\n", "+OK\r\nPIPELINING\r\nUSER\r\n.\r\n", "+OK\r\n", "+OK\r\n"] {
        embedder.feed(reply.as_bytes(), 100);
    }
    embedder.actions.extend([dele(1), dele(2)]);
    embedder.feed(b"+OK\r\nPIPELINING\r\n.\r\n", 100);
    let mut now = embedder.now;
    let client = &mut embedder.client;
    client.io().recv[..5].copy_from_slice(b"+OK\r\n");
    client.received(5, now);
    assert!(matches!(client.poll(), Step::Event(Event::Done { .. })));
    now += 10_000 * SECOND;
    assert!(matches!(client.poll(), Step::Blocked));
    client.handle_timeout(now);
    assert!(matches!(client.poll(), Step::Blocked));
    assert_eq!(client.deadline(), Some(now + 300 * SECOND));
    client.handle_timeout(now + 300 * SECOND);
    assert!(matches!(client.poll(), Step::Close(Err(ClientError::Timeout { .. }))));
}

#[test]
fn an_idle_connection_has_no_deadline_and_does_not_spoil_the_next() {
    let mut client = play_after(None, &[], "WAIT 1000000").played.client;
    assert_eq!(client.deadline(), None);
    client.submit(Request::Noop).unwrap();
    assert!(matches!(client.poll(), Step::Blocked));
    assert_eq!(client.deadline(), None, "until it has left, at a time that the client does not know");
}

#[test]
fn the_removal_of_messages_is_given_ten_minutes() {
    let deleted = logged_in(None) + "C: DELE 1\nS: +OK\n= 0 done: +OK\nC: QUIT\nWAIT 599\n";
    play(&with_password(), &[dele(1), Action::Quit], &(deleted + "S: +OK\n= closed"));
}

#[test]
fn timeouts_can_be_set() {
    let mut timeouts = Timeouts::default();
    timeouts.greeting = Duration::from_secs(5);
    let script = "WAIT 4\nWAIT 1\n= failed: expected the greeting within 5s";
    play(&config().with_timeouts(timeouts), &[], script);
}
