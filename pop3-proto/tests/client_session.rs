//! A session after the login: commands and their answers, messages and listings, pipelining, QUIT.

#[cfg(test)]
mod client_support;

use client_support::*;
use pop3_proto::client::*;
use pop3_proto::types::*;

#[test]
fn the_session_of_rfc_1939_goes_as_printed() {
    let actions = [
        submit(Request::Stat),
        submit(Request::List(None)),
        retr(1),
        dele(1),
        retr(2),
        dele(2),
        Action::Quit,
    ];
    play_after(
        None,
        &actions,
        "C: STAT
         S: +OK 2 320
         = 0 stat 2 320
         = 0 done: +OK 2 320
         C: LIST
         S: +OK 2 messages (320 octets)
         S: 1 120
         S: 2 200
         S: .
         = 1 listed 1 120
         = 1 listed 2 200
         = 1 done: +OK 2 messages (320 octets)
         C: RETR 1
         S: +OK 120 octets
         S: Subject: one
         S: .
         = 2 message 1
         = body Subject: one\\r\\n
         = 2 done: +OK 120 octets
         C: DELE 1
         S: +OK message 1 deleted
         = 3 done: +OK message 1 deleted
         C: RETR 2
         S: +OK 200 octets
         S: two
         S: .
         = 4 message 2
         = body two\\r\\n
         = 4 done: +OK 200 octets
         C: DELE 2
         S: +OK message 2 deleted
         = 5 done: +OK message 2 deleted
         C: QUIT
         S: +OK dewey POP3 server signing off (maildrop empty)
         = closed",
    );
}

#[test]
fn with_pipelining_commands_leave_together_and_answers_come_in_order() {
    let actions = [
        submit(Request::Uidl(None)),
        retr(1),
        dele(1),
        submit(Request::Top { number: number(2), lines: 0 }),
        submit(Request::List(Some(number(2)))),
        submit(Request::Uidl(Some(number(2)))),
        Action::Quit,
    ];
    play_after(
        Some(&["PIPELINING", "UIDL", "TOP"]),
        &actions,
        "C: UIDL
         C: RETR 1
         C: DELE 1
         C: TOP 2 0
         C: LIST 2
         C: UIDL 2
         S: +OK
         S: 1 whqtswO00WBw418f9t5JxYwZ
         S: 2 QhdPYR:00WBw1Ph7x7
         S: .
         S: +OK
         S: a
         S: ..b
         S: .
         S: -ERR locked
         S: +OK
         S: .
         S: +OK 2 200
         S: +OK 2 QhdPYR:00WBw1Ph7x7
         = 0 uid 1 whqtswO00WBw418f9t5JxYwZ
         = 0 uid 2 QhdPYR:00WBw1Ph7x7
         = 0 done: +OK
         = 1 message 1
         = body a\\r\\n.b\\r\\n
         = 1 done: +OK
         = 2 refused: -ERR locked
         = 3 message 2
         = 3 done: +OK
         = 4 listed 2 200
         = 4 done: +OK 2 200
         = 5 uid 2 QhdPYR:00WBw1Ph7x7
         = 5 done: +OK 2 QhdPYR:00WBw1Ph7x7
         C: QUIT
         S: +OK
         = closed",
    );
}

#[test]
fn pipelining_is_not_used_where_the_server_or_the_embedder_does_not_want_it() {
    let script = "C: NOOP
         S: +OK
         = 0 done: +OK
         C: NOOP
         S: +OK
         = 1 done: +OK";
    let actions = [submit(Request::Noop), submit(Request::Noop)];
    play_after(Some(&["TOP"]), &actions, script);
    let mut config = with_password();
    config.pipelining = false;
    play(&config, &actions, &(logged_in(Some(&["PIPELINING"])) + script));
}

#[test]
fn what_changes_the_session_waits_for_all_before_it_and_holds_up_what_is_behind() {
    let range = LanguageRange::new("de").unwrap();
    let actions = [
        submit(Request::Noop),
        submit(Request::Lang(Some(range))),
        submit(Request::Noop),
        submit(Request::Capa),
        submit(Request::Noop),
    ];
    let played = play_after(
        Some(&["PIPELINING", "LANG"]),
        &actions,
        "C: NOOP
         S: +OK
         = 0 done: +OK
         C: LANG de
         S: +OK de
         = 1 done: +OK de
         C: NOOP
         S: +OK
         = 2 done: +OK
         C: CAPA
         S: +OK
         S: UIDL
         S: .
         = 3 done: +OK
         C: NOOP
         S: +OK
         = 4 done: +OK",
    );
    assert!(played.client.capabilities().unwrap().uidl);
    assert!(!played.client.capabilities().unwrap().pipelining);
}

#[test]
fn no_more_commands_are_in_flight_than_configured() {
    let mut config = with_password();
    config.in_flight = 2;
    let actions = vec![submit(Request::Noop); 4];
    let script = "C: NOOP
         C: NOOP
         S: +OK
         = 0 done: +OK
         C: NOOP
         S: +OK
         = 1 done: +OK
         C: NOOP
         S: +OK
         S: +OK
         = 2 done: +OK
         = 3 done: +OK";
    play(&config, &actions, &(logged_in(Some(&["PIPELINING"])) + script));
}

#[test]
fn a_queue_that_is_full_takes_no_more() {
    let mut embedder = Embedder::new(config(), &[]);
    assert_eq!(embedder.client.submit(Request::Noop), Err(SubmitError::NotReady));
    embedder = Embedder::new(with_password(), &vec![submit(Request::Noop); 5000]);
    embedder.feed(b"+OK\r\n", 100);
    embedder.feed(b"-ERR\r\n", 100);
    embedder.feed(b"+OK\r\n", 100);
    embedder.feed(b"+OK\r\n", 100);
    assert_eq!(embedder.client.waiting(), Client::QUEUE);
    assert_eq!(embedder.client.submit(Request::Noop), Err(SubmitError::Full { limit: Client::QUEUE }));
    for _ in 0..4000 {
        embedder.feed(b"+OK\r\n", 100);
        assert_eq!(embedder.client.waiting(), Client::QUEUE);
    }
    assert!(embedder.actions.is_empty());
}

#[test]
fn languages_and_their_names_are_told() {
    play_after(
        Some(&["LANG"]),
        &[submit(Request::Lang(None))],
        "C: LANG
         S: +OK Language listing follows:
         S: en English
         S: sv
         S: .
         = 0 language en English
         = 0 language sv
         = 0 done: +OK Language listing follows:",
    );
}

#[test]
fn text_behind_the_numbers_is_ignored() {
    play_after(
        None,
        &[submit(Request::Stat), submit(Request::List(None)), submit(Request::List(Some(number(3))))],
        "C: STAT
         S: +OK 2 320 and all that
         = 0 stat 2 320
         = 0 done: +OK 2 320 and all that
         C: LIST
         S: +OK
         S: 1 120 seen
         S: .
         = 1 listed 1 120
         = 1 done: +OK
         C: LIST 3
         S: +OK 3 120 octets
         = 2 listed 3 120
         = 2 done: +OK 3 120 octets",
    );
}

#[test]
fn what_a_message_holds_is_lent_as_it_is_up_to_the_dot_alone() {
    for (wire, content) in [
        ("S: .", ""),
        ("S: ..\nS: .", ".\\r\\n"),
        ("S: .x\nS: .", "x\\r\\n"),
        ("S: a\\n.\\nb\nS: .", "a\\n.\\nb\\r\\n"),
        ("S: a\\r.\\rb\\r\nS: .", "a\\r.\\rb\\r\\r\\n"),
        ("S: a\\x00b\nS: .", "a\\x00b\\r\\n"),
        ("S: a\\n.\nS: .", "a\\n.\\r\\n"),
        ("S: a\nS: .\\nb\nS: .", "a\\r\\n\\nb\\r\\n"),
        ("S: a\nS: .\\rb\nS: .", "a\\r\\n\\rb\\r\\n"),
        ("S: +OK\nS: -ERR\nS: .", "+OK\\r\\n-ERR\\r\\n"),
    ] {
        let body = if content.is_empty() { String::new() } else { format!("= body {content}\n") };
        let script = format!("C: RETR 1\nS: +OK\n{wire}\n= 0 message 1\n{body}= 0 done: +OK");
        play_after(None, &[retr(1)], script);
    }
}

#[test]
fn a_message_that_is_not_wanted_is_read_over() {
    let played = play_after(
        None,
        &[Action::Skip, retr(1), submit(Request::Noop)],
        "C: RETR 1
         S: +OK
         S: a
         S: ..b
         S: c\\n.\\nd
         S: .
         = 0 message 1
         = 0 done: +OK
         C: NOOP
         S: +OK
         = 1 done: +OK",
    );
    assert!(played.client.is_idle());
}

#[test]
fn deletions_are_counted_until_they_are_taken_back() {
    let played = play_after(
        None,
        &[dele(1), dele(2), submit(Request::Rset), dele(3)],
        "C: DELE 1
         S: +OK
         = 0 done: +OK
         C: DELE 2
         S: -ERR no such message
         = 1 refused: -ERR no such message
         C: RSET
         S: +OK
         = 2 done: +OK
         C: DELE 3
         S: +OK
         = 3 done: +OK",
    );
    assert_eq!(played.client.deleted(), 1);
}

#[test]
fn quit_says_what_became_of_the_deletions() {
    let quit = |deletes: bool| if deletes { vec![dele(1), Action::Quit] } else { vec![Action::Quit] };
    let deleted = "C: DELE 1\nS: +OK\n= 0 done: +OK\nC: QUIT\n";
    let nothing = "C: QUIT\n";
    for (deletes, end, deletions) in [
        (false, "S: +OK\n= closed", None),
        (false, "S: -ERR\n= closed", None),
        (false, "EOF\n= closed", None),
        (false, "WAIT 600\n= closed", None),
        (true, "S: +OK bye\n= closed", None),
        (
            true,
            "S: -ERR [SYS/TEMP] some not removed\n= failed: not all deleted messages were removed: -ERR [SYS/TEMP] some not removed",
            Some(Deletions::Partial),
        ),
        (
            true,
            "EOF\n= failed: the deleted messages may or may not have been removed: the connection was lost waiting for the reply to QUIT",
            Some(Deletions::Uncertain),
        ),
        (
            true,
            "S: +O~\nEOF\n= failed: the deleted messages may or may not have been removed: the connection was lost waiting for the reply to QUIT",
            Some(Deletions::Uncertain),
        ),
        (
            true,
            "WAIT 600\n= failed: the deleted messages may or may not have been removed: expected the reply to QUIT within 600s",
            Some(Deletions::Uncertain),
        ),
        (
            true,
            "S: bye\n= failed: the deleted messages may or may not have been removed: waiting for the reply to QUIT: expected +OK, -ERR or +",
            Some(Deletions::Uncertain),
        ),
    ] {
        let script = format!("{}{end}", if deletes { deleted } else { nothing });
        let result = play_after(None, &quit(deletes), script).played.end.unwrap();
        assert_eq!(result.err().map(|error| error.deletions()), deletions, "{end}");
    }
}

#[test]
fn a_quit_that_never_left_removed_nothing() {
    let mut embedder = Embedder::new(with_password(), &[dele(1)]);
    for reply in ["+OK\r\n", "-ERR\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"] {
        embedder.feed(reply.as_bytes(), 100);
    }
    embedder.client.quit().unwrap();
    assert!(matches!(mail_wire::Connection::poll(&mut embedder.client), mail_wire::Step::Blocked));
    let now = embedder.now;
    mail_wire::Connection::received(&mut embedder.client, 0, now);
    embedder.run();
    let error = embedder.played.end.unwrap().unwrap_err();
    assert_eq!((error.deletions(), error.is_temporary()), (Deletions::None, true));
}

#[test]
fn a_connection_that_ends_without_quit_removes_nothing() {
    for (script, temporary) in [
        ("C: DELE 1\nS: +OK\n= 0 done: +OK\nEOF\n= failed: the server closed the idle connection", true),
        (
            "C: DELE 1\nS: +OK\nS: -ERR Disconnected for inactivity.\n= 0 done: +OK\n= failed: the server closed the idle connection: -ERR Disconnected for inactivity.",
            true,
        ),
        ("C: DELE 1\nEOF\n= failed: the connection was lost waiting for the reply to DELE", true),
        (
            "C: DELE 1\nS: +OK\nS: +OK\n= 0 done: +OK\n= failed: waiting for the next command: found a reply that no command asked for",
            false,
        ),
    ] {
        let error = play_after(None, &[dele(1)], script).played.end.unwrap().unwrap_err();
        assert_eq!((error.deletions(), error.is_temporary()), (Deletions::None, temporary), "{script}");
    }
}

#[test]
fn optional_commands_are_tried_where_nothing_is_known_of_them() {
    let top = || submit(Request::Top { number: number(1), lines: 0 });
    let played = play_after(
        None,
        &[submit(Request::Uidl(None)), top()],
        "C: UIDL
         S: -ERR what?
         = 0 refused: -ERR what?
         C: TOP 1 0
         S: +OK
         S: .
         = 1 message 1
         = 1 done: +OK",
    );
    assert_eq!(played.client.support(Verb::Uidl), Support::Missing);
    assert_eq!(played.client.support(Verb::Top), Support::Offered);
    assert_eq!(played.client.support(Verb::Retr), Support::Offered);
    assert_eq!(played.client.support(Verb::Lang), Support::Unknown);
    let played = play_after(
        Some(&["TOP"]),
        &[submit(Request::Uidl(None)), top()],
        "C: UIDL
         S: +OK
         S: .
         = 0 done: +OK
         C: TOP 1 0
         S: -ERR no such message
         = 1 refused: -ERR no such message",
    );
    assert_eq!(played.client.support(Verb::Uidl), Support::Offered, "jpop has it and does not say so");
    assert_eq!(played.client.support(Verb::Top), Support::Offered);
    let refused = "C: TOP 1 0\nS: -ERR [SYS/TEMP] x\n= 0 refused: -ERR [SYS/TEMP] x";
    assert_eq!(play_after(None, &[top()], refused).client.support(Verb::Top), Support::Unknown);
}

#[test]
fn nothing_is_taken_after_quit() {
    play_after(
        None,
        &[Action::Quit, submit(Request::Noop), Action::Quit],
        "= not taken: expected a connection that is ready
         = not taken: expected a connection that is ready
         C: QUIT
         S: +OK
         = closed",
    );
}
