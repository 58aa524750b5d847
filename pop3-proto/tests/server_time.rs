//! Time-outs, delays, shutdown and tokens, in virtual time.

mod support;

use mail_wire::sasl::Answer;
use mail_wire::{Connection, Step};
use pop3_proto::server::{Event, Maildrop, Peer, Server, ServerConfig, ServerError, Stage};
use pop3_proto::types::Refusal;
use std::time::{Duration, Instant};
use support::{Drive, Driven, config, messages};

const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

fn logged_in() -> Driven {
    Driven::logged_in(config(), messages())
}

#[test]
fn an_idle_client_is_logged_out_after_ten_minutes_and_nothing_is_removed() {
    let mut driven = logged_in();
    driven.feed(b"DELE 1\r\n", usize::MAX);
    driven.sent();
    driven.wait(10 * MINUTE - MILLISECOND);
    assert_eq!(driven.result, None);
    driven.wait(MILLISECOND);
    // RFC 1939 §3: without a reply.
    assert_eq!(driven.sent(), "");
    assert_eq!(driven.result, Some(Err(ServerError::Timeout(Stage::Transaction))));
    assert_eq!(driven.removed, None);
}

#[test]
fn a_client_that_does_not_log_in_is_sent_away() {
    let mut driven = Driven::new(config());
    driven.wait(10 * MINUTE);
    assert_eq!(driven.result, Some(Err(ServerError::Timeout(Stage::Authorization))));
}

#[test]
fn a_client_that_only_pretends_to_log_in_is_sent_away_too() {
    let mut driven = Driven::new(config());
    for _ in 0..5 {
        driven.wait(6 * MINUTE - MILLISECOND);
        driven.feed(b"CAPA\r\n", usize::MAX);
    }
    assert_eq!(driven.result, None);
    driven.wait(5 * MILLISECOND);
    assert_eq!(driven.result, Some(Err(ServerError::Timeout(Stage::Authorization))));
    let mut driven = logged_in();
    for _ in 0..5 {
        driven.wait(9 * MINUTE);
        driven.feed(b"NOOP\r\n", usize::MAX);
    }
    assert_eq!(driven.result, None, "the login was in time");
}

#[test]
fn any_command_resets_the_timer_but_a_trickled_one_does_not() {
    let mut driven = logged_in();
    for _ in 0..5 {
        driven.wait(9 * MINUTE);
        driven.feed(b"NOOP\r\n", usize::MAX);
    }
    assert_eq!(driven.result, None);
    for _ in 0..3 {
        driven.wait(4 * MINUTE);
        if driven.result.is_none() {
            driven.feed(b"N", usize::MAX);
        }
    }
    assert_eq!(driven.result, Some(Err(ServerError::Timeout(Stage::Transaction))));
}

#[test]
fn a_lost_connection_removes_nothing() {
    let mut driven = logged_in();
    driven.feed(b"DELE 1\r\nDELE 2\r\n", usize::MAX);
    driven.end_of_input();
    assert_eq!(driven.result, Some(Err(ServerError::Eof(Stage::Transaction))));
    assert_eq!(driven.removed, None);
}

#[test]
fn a_quit_whose_client_has_gone_still_removes() {
    let mut driven = logged_in();
    driven.reads = false;
    driven.feed(b"DELE 2\r\nQUIT\r\n", usize::MAX);
    driven.end_of_input();
    assert_eq!(driven.removed, Some(vec![2]));
    assert_eq!(driven.result, Some(Ok(())));
}

fn slow_failures() -> ServerConfig {
    let mut config = config();
    config.apop = true;
    config.timeouts = config.timeouts.with_auth_failure_delay(Duration::from_secs(1));
    config
}

/// How long the reply to this takes, in seconds, where it comes at all.
fn seconds_to_reply(driven: &mut Driven, command: &[u8]) -> Option<u64> {
    driven.sent();
    driven.feed(command, usize::MAX);
    driven.sent();
    for second in 0..100 {
        if second > 0 {
            driven.wait(Duration::from_secs(1) - MILLISECOND);
            assert_eq!(driven.sent(), "", "replies come at whole seconds here");
            driven.wait(MILLISECOND);
        }
        let sent = driven.sent();
        if !sent.is_empty() {
            assert_eq!(sent, "-ERR [AUTH] invalid user name or password\r\n");
            return Some(second);
        }
    }
    None
}

#[test]
fn failed_logins_take_longer_each_time_and_then_end_the_connection() {
    let mut driven = Driven::new(slow_failures());
    let mut delays = Vec::new();
    for _ in 0..5 {
        driven.feed(b"USER mrose\r\n", usize::MAX);
        delays.extend(seconds_to_reply(&mut driven, b"PASS guess\r\n"));
    }
    assert_eq!(delays, [1, 2, 4, 8, 16]);
    assert_eq!(driven.result, Some(Err(ServerError::TooManyErrors)));
    assert_eq!(driven.failed_users.len(), 5);
}

#[test]
fn an_unknown_user_and_a_wrong_password_get_the_same_answer_at_the_same_time() {
    let attempts: [&[u8]; 4] = [
        b"USER mrose\r\nPASS guess\r\n",
        b"USER nobody\r\nPASS tanstaaf\r\n",
        b"APOP mrose 00000000000000000000000000000000\r\n",
        b"APOP nobody 00000000000000000000000000000000\r\n",
    ];
    for attempt in attempts {
        let mut driven = Driven::new(slow_failures());
        let (user, rest) = match attempt.windows(2).position(|pair| pair == b"\r\n") {
            Some(at) if attempt.starts_with(b"USER") => attempt.split_at(at + 2),
            _ => (&b""[..], attempt),
        };
        driven.feed(user, usize::MAX);
        let greeted = driven.sent();
        assert!(!greeted.contains("-ERR"), "USER tells nothing: {greeted}");
        assert_eq!(seconds_to_reply(&mut driven, rest), Some(1), "{}", attempt.escape_ascii());
        assert_eq!(driven.events.last(), Some(&"login failed"));
    }
}

#[test]
fn how_long_a_look_up_took_does_not_show() {
    let mut delays = Vec::new();
    for took in [0, 3, 80, 900] {
        let now = Instant::now();
        let (mut server, pending) = at_login(slow_failures(), now);
        let later = now + Duration::from_millis(took);
        server.handle_timeout(later);
        server.answer(pending, Answer::Rejected);
        let Step::Event(Event::LoginFailed { .. }) = server.poll() else { panic!() };
        assert!(matches!(server.poll(), Step::Blocked));
        assert!(server.io().send.is_empty());
        let due = server.deadline().expect("a reply is held");
        server.handle_timeout(due);
        assert!(matches!(server.poll(), Step::Blocked));
        assert!(server.io().send.starts_with(b"-ERR [AUTH]"));
        delays.push(due - now);
    }
    assert_eq!(delays, [Duration::from_secs(1); 4]);
}

#[test]
fn what_is_pipelined_behind_a_failed_login_waits_for_its_reply() {
    let mut driven = Driven::new(slow_failures());
    driven.sent();
    driven.feed(b"USER mrose\r\nPASS guess\r\nUSER mrose\r\nPASS tanstaaf\r\nSTAT\r\n", usize::MAX);
    assert_eq!(driven.sent(), "+OK send PASS\r\n");
    assert_eq!(driven.events.iter().filter(|event| **event == "login").count(), 1);
    driven.wait(Duration::from_secs(1));
    assert_eq!(
        driven.sent(),
        "-ERR [AUTH] invalid user name or password\r\n+OK send PASS\r\n+OK maildrop locked and ready\r\n+OK 2 320\r\n"
    );
}

/// A server that asks about mrose's password.
fn at_login(config: ServerConfig, now: Instant) -> (Server, mail_wire::Pending<pop3_proto::server::Login>) {
    let mut server = Server::new(config.into(), Peer::new(([192, 0, 2, 7], 1).into()), [1; 32], now);
    let mut input: &[u8] = b"USER mrose\r\nPASS tanstaaf\r\n";
    loop {
        match server.poll() {
            Step::Event(Event::Connected(pending)) => {
                server.accept(pending);
            }
            Step::Event(Event::Login { pending, .. }) => {
                sent(&mut server, now);
                return (server, pending);
            }
            Step::Blocked => {
                sent(&mut server, now);
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

/// Feeds a command and gives the event that it makes.
fn event_of(server: &mut Server, command: &[u8], now: Instant) -> Event {
    server.io().recv[..command.len()].copy_from_slice(command);
    server.received(command.len(), now);
    match server.poll() {
        Step::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

fn opened(now: Instant) -> Server {
    let (mut server, pending) = at_login(config(), now);
    server.answer(pending, Answer::Accepted);
    let Step::Event(Event::Open(identity, pending)) = server.poll() else { panic!() };
    assert_eq!((identity.authcid.as_str(), identity.authzid.as_str()), ("mrose", "mrose"));
    server.answer(pending, Ok([120, 200].into_iter().collect::<Maildrop>()));
    assert!(matches!(server.poll(), Step::Blocked));
    assert_eq!(sent(&mut server, now), "+OK maildrop locked and ready\r\n");
    server
}

#[test]
fn each_dropped_token_is_answered_by_err() {
    const LOCAL: &str = "-ERR [SYS/TEMP] local error, try again later\r\n";
    let now = Instant::now();
    let (mut server, pending) = at_login(config(), now);
    drop(pending);
    let Step::Event(Event::LoginFailed { .. }) = server.poll() else { panic!() };
    assert!(matches!(server.poll(), Step::Blocked));
    assert_eq!(sent(&mut server, now), "-ERR [SYS/TEMP] cannot authenticate now, try again later\r\n");
    for (command, reply) in [
        (&b"RETR 1\r\n"[..], LOCAL),
        (b"TOP 1 1\r\n", LOCAL),
        (b"UIDL\r\n", LOCAL),
        (b"UIDL 1\r\n", LOCAL),
        (b"QUIT\r\n", "-ERR [SYS/TEMP] some deleted messages not removed\r\n"),
    ] {
        let mut server = opened(now);
        drop(event_of(&mut server, command, now));
        let ends = command.starts_with(b"QUIT");
        assert_eq!(matches!(server.poll(), Step::Close(Ok(()))), ends);
        assert_eq!(sent(&mut server, now), reply, "{}", command.escape_ascii());
    }
    let (mut server, pending) = at_login(config(), now);
    server.answer(pending, Answer::Accepted);
    drop(server.poll());
    assert!(matches!(server.poll(), Step::Blocked));
    assert_eq!(sent(&mut server, now), LOCAL);
    assert_eq!(server.identity(), None);
}

#[test]
fn an_answer_after_the_time_out_does_nothing() {
    let now = Instant::now();
    let mut server = opened(now);
    let Event::Retrieve { pending, .. } = event_of(&mut server, b"RETR 1\r\n", now) else { panic!() };
    let late = now + 10 * MINUTE;
    server.handle_timeout(late);
    assert!(matches!(server.poll(), Step::Blocked));
    assert_eq!(sent(&mut server, late), "-ERR [SYS/TEMP] local error, try again later\r\n");
    let Event::Retrieve { pending: other, .. } = event_of(&mut server, b"RETR 2\r\n", late) else { panic!() };
    assert!(!server.accept(pending), "too late");
    assert_eq!(server.write_body(b"of the wrong message\r\n"), 22, "taken and dropped");
    server.finish_body();
    assert!(matches!(server.poll(), Step::Blocked));
    assert_eq!(sent(&mut server, late), "");
    assert!(server.accept(other));
    assert_eq!(server.write_body(b"right\r\n"), 7);
    server.finish_body();
    assert_eq!(sent(&mut server, late), "+OK 200 octets\r\nright\r\n.\r\n");
}

#[test]
fn a_message_that_breaks_off_ends_the_connection_without_its_end() {
    let now = Instant::now();
    for times_out in [false, true] {
        let mut server = opened(now);
        let Event::Retrieve { pending, .. } = event_of(&mut server, b"RETR 1\r\n", now) else { panic!() };
        server.accept(pending);
        server.write_body(b"half\r\n.");
        if times_out {
            sent(&mut server, now);
            server.handle_timeout(now + 10 * MINUTE);
        } else {
            server.abort_body();
        }
        assert!(!server.wants_body());
        assert_eq!(server.write_body(b"rest"), 4);
        server.finish_body();
        assert!(matches!(server.poll(), Step::Close(Err(ServerError::BrokenOff))));
        let left = sent(&mut server, now);
        assert_eq!(left, if times_out { "" } else { "+OK 120 octets\r\nhalf\r\n.." });
    }
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let mut driven = logged_in();
    driven.reads = false;
    driven.feed(b"RETR 1\r\n", usize::MAX);
    driven.wait(9 * MINUTE);
    assert_eq!(driven.result, None);
    driven.wait(2 * MINUTE);
    assert_eq!(driven.result, Some(Err(ServerError::SendTimeout)));
}

#[test]
fn a_slow_reader_is_not_logged_out_in_the_midst_of_a_message() {
    let mut driven = Driven::logged_in(config(), vec![b"line\r\n".repeat(100_000)]);
    driven.reads = false;
    driven.feed(b"RETR 1\r\n", usize::MAX);
    let mut rounds = 0;
    while !driven.server.io().send.is_empty() {
        driven.wait(5 * MINUTE);
        assert_eq!(driven.result, None, "after {rounds} rounds");
        let n = driven.server.io().send.len().min(10_000);
        driven.played.server.sent(n, driven.played.now);
        driven.run();
        rounds += 1;
    }
    assert!(rounds >= 60, "{rounds} rounds");
    driven.reads = true;
    driven.feed(b"NOOP\r\n", usize::MAX);
    assert_eq!(driven.sent(), "+OK nothing done\r\n");
}

#[test]
fn shutdown_lets_a_message_finish_and_removes_nothing() {
    let mut driven = Driven::logged_in(config(), vec![b"line\r\n".repeat(50_000)]);
    driven.feed(b"DELE 1\r\nRSET\r\n", usize::MAX);
    driven.sent();
    driven.reads = false;
    driven.feed(b"RETR 1\r\nSTAT\r\n", usize::MAX);
    driven.server.shutdown();
    driven.run();
    assert_eq!(driven.result, None);
    driven.reads = true;
    driven.run();
    assert!(driven.sent().ends_with("line\r\n.\r\n"));
    assert_eq!((driven.result, driven.removed), (Some(Ok(())), None));
}

#[test]
fn a_refused_connection_is_told_why() {
    let now = Instant::now();
    let mut server = Server::new(config().into(), Peer::new(([192, 0, 2, 7], 1).into()), [1; 32], now);
    let Step::Event(Event::Connected(pending)) = server.poll() else { panic!() };
    server.refuse(pending, Refusal::TOO_MANY_CONNECTIONS);
    assert!(matches!(server.poll(), Step::Close(Ok(()))));
    assert_eq!(sent(&mut server, now), "-ERR [SYS/TEMP] too many connections, try again later\r\n");
}

#[test]
fn an_idle_session_holds_little_memory() {
    let mut driven = Driven::logged_in(config(), vec![b"some line of text\r\n".repeat(20_000)]);
    driven.feed(b"RETR 1\r\n", usize::MAX);
    driven.feed(&b"NOOP\r\n".repeat(20_000), usize::MAX);
    driven.sent();
    driven.run();
    assert!(driven.server.buffered() <= 12_288, "{} bytes", driven.server.buffered());
    assert!(size_of::<Server>() < 2048, "{} bytes", size_of::<Server>());
}
