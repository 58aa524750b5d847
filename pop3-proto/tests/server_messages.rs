//! Messages and listings on their way out: stuffed, counted, cut for TOP, and never more of them in memory than there is room for.

mod support;

use mail_wire::dot::{Decoded, Decoder, Framing};
use mail_wire::sasl::Answer;
use mail_wire::{Connection, Step};
use pop3_proto::server::{Event, Peer, Server};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Instant;
use support::{Drive, Driven, config, wire_size};

/// The text of a multi-line reply, un-stuffed, and what comes behind it.
fn unstuff(reply: &[u8]) -> (Vec<u8>, &[u8]) {
    let start = reply.windows(2).position(|pair| pair == b"\r\n").expect("a first line") + 2;
    let (mut wire, mut content) = (&reply[start..], Vec::new());
    let mut decoder = Decoder::new(Framing::Dots);
    loop {
        match decoder.decode(wire) {
            Decoded::Data(n) => {
                content.extend_from_slice(&wire[..n]);
                wire = &wire[n..];
            }
            Decoded::StuffedDot => wire = &wire[1..],
            Decoded::End(n) => return (content, &wire[n..]),
            other => panic!("{other:?} at {}", wire.escape_ascii()),
        }
    }
}

fn reply_to(driven: &mut Driven, command: &str) -> Vec<u8> {
    driven.output.clear();
    driven.feed(format!("{command}\r\n").as_bytes(), usize::MAX);
    std::mem::take(&mut driven.output)
}

/// CRLF for LF, and a last line that ends.
fn wire_form(message: &str) -> String {
    let text = message.replace("\r\n", "\n").replace('\r', " ").replace('\n', "\r\n");
    if text.is_empty() || text.ends_with("\r\n") { text } else { text + "\r\n" }
}

#[test]
fn messages_arrive_as_they_are_however_they_are_written() {
    for message in
        ["", ".", ".\n", "a", "a\n.\n..\n.b", "a\r\n.\r\n\r\n", "a\nb\r\nc", "\n\n\n", "x\0y\n", "\u{e4}\n"]
    {
        for pieces in [1, 2, 3, usize::MAX] {
            let driven = Driven::logged_in(config(), vec![message.into()]);
            let mut driven = driven.by_pieces_of(pieces);
            let reply = reply_to(&mut driven, "RETR 1");
            let size = wire_size(message.as_bytes());
            assert!(reply.starts_with(format!("+OK {size} octets\r\n").as_bytes()));
            let expected = wire_form(message);
            assert_eq!(expected.len() as u64, size);
            if message.contains('\0') {
                assert!(reply.windows(3).any(|bytes| bytes == b"x\0y"));
            } else {
                assert_eq!(unstuff(&reply), (expected.into_bytes(), &b""[..]), "{message:?} by {pieces}");
            }
        }
    }
}

#[test]
fn no_more_of_a_message_is_in_memory_than_there_is_room_for() {
    let message = b"A line of a message, as long as most are.\n".repeat(100_000);
    let mut driven = Driven::logged_in(config(), vec![message.clone()]);
    let reply = reply_to(&mut driven, "RETR 1");
    let (content, rest) = unstuff(&reply);
    assert_eq!((content.len() as u64, rest), (wire_size(&message), &b""[..]));
    assert!(driven.most_waiting <= 160 << 10, "{} bytes", driven.most_waiting);
}

#[test]
fn more_is_asked_for_when_there_is_room_for_a_good_piece() {
    let mut driven = Driven::logged_in(config(), vec![b"line\n".repeat(100_000)]);
    driven.reads = false;
    driven.feed(b"RETR 1\r\n", usize::MAX);
    let before = driven.handed;
    assert!(!driven.server.wants_body(), "there is no room");
    let some_room = driven.server.io().send.len() - (64 << 10) + 1000;
    driven.played.server.sent(some_room, driven.played.now);
    driven.run();
    assert_eq!(driven.handed, before, "not for a few bytes");
    driven.played.server.sent(40_000, driven.played.now);
    driven.run();
    assert!(driven.handed > before);
}

#[test]
fn a_loop_that_writes_as_long_as_more_is_wanted_ends() {
    let config = Arc::new(config());
    for (command, lines) in [("RETR 1", 100_000), ("TOP 1 50000", 50_000)] {
        let now = Instant::now();
        let mut server =
            Server::new(Arc::clone(&config), Peer::new(([192, 0, 2, 7], 1).into()), [1; 32], now);
        let input = format!("USER mrose\r\nPASS tanstaaf\r\n{command}\r\nQUIT\r\n");
        let mut input = input.as_bytes();
        let message = [&b"\n"[..], &b"line\n".repeat(100_000)].concat();
        let (mut at, mut output, mut rounds) = (0, Vec::new(), 0);
        loop {
            match server.poll() {
                Step::Event(Event::Connected(pending)) => {
                    server.accept(pending);
                }
                Step::Event(Event::Login { pending, .. }) => {
                    server.answer(pending, Answer::Accepted);
                }
                Step::Event(Event::Open(_, pending)) => {
                    server.answer(pending, Ok([600_002].into_iter().collect()));
                }
                Step::Event(Event::Retrieve { pending, .. }) => {
                    server.accept(pending);
                }
                Step::Event(Event::Body) => {
                    rounds += 1;
                    while server.wants_body() && at < message.len() {
                        let taken = server.write_body(&message[at..message.len().min(at + 1000)]);
                        assert!(taken > 0);
                        at += taken;
                    }
                    if at == message.len() {
                        server.finish_body();
                    }
                }
                Step::Event(Event::BodyEnough) => server.finish_body(),
                Step::Event(Event::Commit(_, pending)) => {
                    server.accept(pending);
                }
                Step::Blocked => {
                    let io = server.io();
                    output.extend_from_slice(io.send);
                    let (sent, n) = (io.send.len(), io.recv.len().min(input.len()));
                    io.recv[..n].copy_from_slice(&input[..n]);
                    input = &input[n..];
                    server.sent(sent, now);
                    if n > 0 {
                        server.received(n, now);
                    }
                }
                Step::Close(result) => break assert_eq!(result, Ok(())),
                other => panic!("{other:?}"),
            }
        }
        output.extend_from_slice(server.io().send);
        let text = String::from_utf8(output).expect("ASCII");
        assert_eq!(text.matches("line\r\n").count(), lines);
        assert!(text.ends_with("line\r\n.\r\n+OK bye\r\n"));
        assert!((4..20).contains(&rounds), "{rounds} rounds");
    }
}

#[test]
fn dots_all_over_do_not_make_the_buffer_grow_beyond_twice_its_size() {
    let message = b".\n".repeat(300_000);
    let mut driven = Driven::logged_in(config(), vec![message]);
    reply_to(&mut driven, "RETR 1");
    assert!(driven.most_waiting <= 200 << 10, "{} bytes", driven.most_waiting);
}

#[test]
fn top_reads_no_more_of_a_large_message_than_it_shows() {
    let message = [&b"Subject: x\r\n\r\n"[..], &b"line\r\n".repeat(1_000_000)].concat();
    let mut driven = Driven::logged_in(config(), vec![message]).by_pieces_of(4096);
    let reply = reply_to(&mut driven, "TOP 1 3");
    assert_eq!(unstuff(&reply), (b"Subject: x\r\n\r\nline\r\nline\r\nline\r\n".to_vec(), &b""[..]));
    assert_eq!(driven.handed, 4096);
    assert_eq!(driven.events.last(), Some(&"enough"));
    assert_eq!(reply_to(&mut driven, "STAT"), b"+OK 1 6000014\r\n");
}

#[test]
fn many_messages_are_listed_piece_by_piece() {
    const MESSAGES: usize = 100_000;
    let mut driven = Driven::logged_in(config(), vec![b"\r\n".to_vec(); MESSAGES]);
    for (command, line) in [("LIST", "99999 2\r\n"), ("UIDL", "99999 id-99999\r\n")] {
        driven.most_waiting = 0;
        let reply = String::from_utf8(reply_to(&mut driven, command)).unwrap();
        assert_eq!(reply.lines().count(), MESSAGES + 2);
        assert!(reply.contains(line) && reply.ends_with("\r\n.\r\n"));
        assert!(driven.most_waiting < 66 << 10, "{} bytes", driven.most_waiting);
    }
    assert_eq!(driven.events.iter().filter(|event| **event == "unique-ids").count(), 1);
    reply_to(&mut driven, "UIDL 7");
    assert_eq!(driven.events.iter().filter(|event| **event == "unique-ids").count(), 1, "asked once");
    let for_each = driven.server.buffered() / MESSAGES;
    assert!(for_each <= 24, "{for_each} bytes for each message");
}

#[test]
fn stat_does_not_ask_for_unique_ids() {
    let mut driven = Driven::logged_in(config(), vec![b"\r\n".to_vec(); 3]);
    reply_to(&mut driven, "STAT");
    reply_to(&mut driven, "LIST");
    assert!(!driven.events.contains(&"unique-ids"));
}

#[test]
fn unique_ids_that_are_not_as_many_as_messages_are_no_answer() {
    let mut driven = Driven::logged_in(config(), vec![b"\r\n".to_vec(); 3]);
    driven.ids.pop();
    assert_eq!(reply_to(&mut driven, "UIDL"), b"-ERR [SYS/TEMP] local error, try again later\r\n");
    driven.ids.push("another".into());
    assert!(reply_to(&mut driven, "UIDL 3").ends_with(b"+OK 3 another\r\n"));
}

#[test]
fn replies_to_pipelined_commands_leave_together() {
    let mut driven = Driven::logged_in(config(), vec![b"Subject: x\r\n\r\n".to_vec(); 500]);
    driven.reads = false;
    driven.feed(&b"RETR 1\r\nDELE 2\r\nNOOP\r\n"[..], usize::MAX);
    let waiting = driven.server.io().send.to_vec();
    assert_eq!(
        waiting,
        b"+OK 14 octets\r\nSubject: x\r\n\r\n.\r\n+OK message deleted\r\n+OK nothing done\r\n"
    );
}

#[test]
fn a_client_that_pipelines_without_reading_is_not_read_from() {
    let mut driven = Driven::logged_in(config(), vec![b"0123456789\r\n".repeat(1000)]);
    driven.reads = false;
    for _ in 0..100_000 {
        let room = driven.server.io().recv;
        if room.is_empty() {
            break;
        }
        let n = room.len().min(8);
        room[..n].copy_from_slice(&b"RETR 1\r\n"[..n]);
        driven.played.server.received(n, driven.played.now);
        driven.run();
    }
    assert!(driven.server.io().recv.is_empty(), "back-pressure");
    assert!(driven.server.buffered() < 300 << 10, "{} bytes", driven.server.buffered());
    driven.reads = true;
    driven.run();
    assert_eq!(driven.result, None);
    assert!(!driven.server.io().recv.is_empty());
}

proptest! {
    #[test]
    fn top_is_the_header_and_so_many_lines(
        header in proptest::collection::vec("[a-zA-Z:. ]{1,20}", 0..5),
        body in proptest::collection::vec("[a-z.]{0,10}", 0..8),
        lines in 0usize..10,
        crlf: bool,
        pieces in 1usize..40,
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let text = |lines: &[String]| lines.iter().map(|line| format!("{line}{end}")).collect::<String>();
        let message = format!("{}{end}{}", text(&header), text(&body));
        let wanted = format!("{}{end}{}", text(&header), text(&body[..lines.min(body.len())]));
        let mut driven = Driven::logged_in(config(), vec![message.into_bytes()]).by_pieces_of(pieces);
        let reply = reply_to(&mut driven, &format!("TOP 1 {lines}"));
        prop_assert_eq!(unstuff(&reply), (wire_form(&wanted).into_bytes(), &b""[..]));
        prop_assert_eq!(reply_to(&mut driven, "NOOP"), b"+OK nothing done\r\n");
    }

    #[test]
    fn retr_gives_back_the_message(message in "[a-z.\r\n]{0,300}", pieces in 1usize..100) {
        let mut driven = Driven::logged_in(config(), vec![message.clone().into_bytes()]).by_pieces_of(pieces);
        let reply = reply_to(&mut driven, "RETR 1");
        prop_assert_eq!(unstuff(&reply), (wire_form(&message).into_bytes(), &b""[..]));
    }

    #[test]
    fn counts_follow_the_marks(marks in proptest::collection::vec((1u32..40, any::<bool>()), 0..60)) {
        let sizes: Vec<u64> = (1..=30).map(|size| size * 3).collect();
        let messages = sizes.iter().map(|size| [b'x'].repeat(*size as usize - 2)).collect();
        let mut driven = Driven::logged_in(config(), messages);
        let mut deleted = std::collections::BTreeSet::new();
        for (number, reset) in marks {
            if reset && number > 35 {
                deleted.clear();
                prop_assert!(reply_to(&mut driven, "RSET").starts_with(b"+OK"));
                continue;
            }
            let fits = number <= 30 && deleted.insert(number);
            let reply = reply_to(&mut driven, &format!("DELE {number}"));
            prop_assert_eq!(reply.starts_with(b"+OK"), fits);
        }
        let left = sizes.len() - deleted.len();
        let octets: u64 = (1..=30).filter(|n| !deleted.contains(n)).map(|n| sizes[n as usize - 1]).sum();
        prop_assert_eq!(reply_to(&mut driven, "STAT"), format!("+OK {left} {octets}\r\n").into_bytes());
        reply_to(&mut driven, "QUIT");
        prop_assert_eq!(driven.removed, Some(deleted.into_iter().collect()));
    }
}
