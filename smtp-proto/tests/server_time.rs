//! Time-outs, shutdown and tokens, in virtual time.

mod support;

use mail_wire::{Connection, Step};
use smtp_proto::server::{Delivered, Event, Peer, Server, ServerError, Stage};
use smtp_proto::types::Verdict;
use std::time::{Duration, Instant};
use support::{Drive, Driven, config};

const MINUTE: Duration = Duration::from_secs(60);

fn ready() -> Driven {
    let mut driven = Driven::new(config());
    driven.feed(b"HELO x\r\n", usize::MAX);
    driven.sent();
    driven
}

#[test]
fn an_idle_client_is_sent_away_after_five_minutes() {
    let mut driven = ready();
    driven.wait(5 * MINUTE - Duration::from_millis(1));
    assert_eq!(driven.sent(), "");
    driven.wait(Duration::from_millis(1));
    assert_eq!(driven.sent(), "421 4.4.2 timeout exceeded, closing connection\r\n");
    assert_eq!(driven.result, Some(Err(ServerError::Timeout(Stage::Command))));
}

#[test]
fn a_trickled_command_does_not_stretch_its_time() {
    let mut driven = ready();
    for byte in [b'N'; 10] {
        driven.wait(MINUTE - Duration::from_secs(1));
        if driven.result.is_some() {
            break;
        }
        driven.feed(&[byte], 1);
    }
    assert_eq!(driven.result, Some(Err(ServerError::Timeout(Stage::Command))));
}

#[test]
fn a_stalled_message_is_given_up() {
    let mut driven = ready();
    driven.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\n", usize::MAX);
    driven.feed(&[b'x'; 100_000], usize::MAX);
    driven.wait(6 * MINUTE);
    assert_eq!(driven.result, Some(Err(ServerError::Timeout(Stage::Message))));
    assert_eq!((driven.messages.len(), driven.dropped), (0, 1));
}

#[test]
fn a_trickled_message_falls_below_the_least_rate() {
    let mut driven = ready();
    driven.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\n", usize::MAX);
    for _ in 0..100 {
        driven.wait(Duration::from_secs(10));
        if driven.result.is_some() {
            break;
        }
        driven.feed(b"x", 1);
    }
    assert_eq!(driven.result, Some(Err(ServerError::Timeout(Stage::Message))));
}

#[test]
fn a_client_that_takes_no_replies_is_given_up() {
    let now = Instant::now();
    let mut server =
        Server::new(config().into(), Peer::new("192.0.2.7:1".parse().unwrap()), [1; Server::RANDOM], now);
    let Step::Event(Event::Connected(pending)) = server.poll() else { panic!() };
    server.accept(pending);
    assert!(matches!(server.poll(), Step::Blocked));
    let deadline = server.deadline().expect("waiting for the greeting to be sent");
    assert!(deadline <= now + 5 * MINUTE);
    server.handle_timeout(deadline);
    server.handle_timeout(now + 6 * MINUTE);
    assert!(matches!(server.poll(), Step::Close(Err(_))));
}

fn at_message_end() -> (Server, mail_wire::Pending<smtp_proto::server::MessageEnd>, Instant) {
    let now = Instant::now();
    let mut server =
        Server::new(config().into(), Peer::new(([192, 0, 2, 7], 1).into()), [1; Server::RANDOM], now);
    let mut input: &[u8] = b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\n.\r\n";
    loop {
        match server.poll() {
            Step::Event(Event::Connected(pending)) => server.accept(pending),
            Step::Event(Event::Hello(_, pending)) => server.accept(pending),
            Step::Event(Event::Mail { pending, .. }) => server.accept(pending),
            Step::Event(Event::Recipient { pending, .. }) => server.accept(pending),
            Step::Event(Event::Message(pending)) => server.accept(pending),
            Step::Event(Event::MessageEnd(pending)) => {
                let n = server.io().send.len();
                server.sent(n, now);
                return (server, pending, now);
            }
            Step::Blocked => {
                let n = server.io().send.len();
                server.sent(n, now);
                server.io().recv[..input.len()].copy_from_slice(input);
                server.received(input.len(), now);
                input = &[];
            }
            other => panic!("{other:?}"),
        }
    }
}

fn sent(server: &mut Server, now: Instant) -> String {
    let sent = String::from_utf8(server.io().send.to_vec()).expect("replies are UTF-8");
    server.sent(sent.len(), now);
    sent
}

#[test]
fn a_dropped_token_gives_the_client_451() {
    let (mut server, pending, now) = at_message_end();
    assert!(matches!(server.poll(), Step::Blocked), "waits for the answer");
    drop(pending);
    assert!(matches!(server.poll(), Step::Blocked));
    assert_eq!(sent(&mut server, now), "451 4.3.0 local error in processing, try again later\r\n");
}

#[test]
fn an_answer_after_the_time_out_does_nothing() {
    let (mut server, pending, now) = at_message_end();
    let late = now + 10 * MINUTE;
    server.handle_timeout(late);
    assert!(matches!(server.poll(), Step::Blocked));
    assert!(sent(&mut server, late).starts_with("451 4.3.0"));
    server.answer(pending, Delivered::All(Verdict::Accept));
    assert!(matches!(server.poll(), Step::Blocked));
    assert_eq!(sent(&mut server, late), "");
}

#[test]
fn shutdown_lets_the_message_in_flight_finish() {
    let mut driven = ready();
    driven.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\nhello\r\n", usize::MAX);
    driven.sent();
    driven.server.shutdown();
    driven.run();
    assert_eq!((driven.sent().as_str(), driven.result), ("", None));
    driven.feed(b".\r\nMAIL FROM:<c@d>\r\n", usize::MAX);
    assert_eq!(
        driven.sent(),
        "250 2.0.0 ok, message accepted\r\n421 4.3.2 service shutting down, closing transmission channel\r\n"
    );
    assert_eq!((driven.result, driven.messages.len()), (Some(Ok(())), 1));
}

#[test]
fn shutdown_sends_idle_clients_away_at_once() {
    let mut driven = ready();
    driven.feed(b"MAIL FROM:<a@b>\r\n", usize::MAX);
    driven.sent();
    driven.server.shutdown();
    driven.run();
    assert_eq!(driven.sent(), "421 4.3.2 service shutting down, closing transmission channel\r\n");
    assert_eq!(driven.events.last(), Some(&"reset"));
    assert_eq!(driven.result, Some(Ok(())));
}

#[test]
fn an_idle_connection_holds_little_memory() {
    let mut driven = ready();
    driven.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\n", usize::MAX);
    driven.feed(&b"some line of text\r\n".repeat(20_000), usize::MAX);
    driven.feed(b".\r\n", usize::MAX);
    driven.sent();
    driven.run();
    assert!(driven.server.buffered() <= 12_288, "{} bytes", driven.server.buffered());
}

#[test]
fn shutdown_waits_for_nobody_but_messages() {
    let mut long_line = ready();
    long_line.feed(&[b'x'; 3000], usize::MAX);
    long_line.sent();
    long_line.server.shutdown();
    long_line.run();
    assert_eq!(long_line.sent(), "421 4.3.2 service shutting down, closing transmission channel\r\n");
    let mut between_chunks = Driven::new(config());
    between_chunks
        .feed(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<bob@mx.example>\r\nBDAT 3\r\na\r\n", usize::MAX);
    between_chunks.sent();
    between_chunks.server.shutdown();
    between_chunks.run();
    assert_eq!(between_chunks.sent(), "");
    between_chunks.feed(b"BDAT 0 LAST\r\n", usize::MAX);
    assert!(between_chunks.sent().starts_with("250 2.0.0 ok"));
    assert_eq!((between_chunks.messages.len(), between_chunks.result), (1, Some(Ok(()))));
}

#[test]
fn a_client_may_be_slow_to_begin_its_message() {
    let mut driven = ready();
    driven.feed(b"MAIL FROM:<a@b>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\n", usize::MAX);
    driven.wait(4 * MINUTE);
    driven.feed(b"Subject: x\r\n", usize::MAX);
    driven.wait(4 * MINUTE);
    driven.feed(b"\r\nhello\r\n.\r\n", usize::MAX);
    assert_eq!(driven.messages.len(), 1);
}
