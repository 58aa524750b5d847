//! What servers do wrong: refused by default, taken where the quirk of that name is asked for.

#[cfg(test)]
mod client_support;

use client_support::*;
use pop3_proto::client::*;

/// Without the quirk this is the end of it, with it the whole.
fn quirk(set: fn(&mut Quirks), actions: &[Action], common: &str, refused: &str, taken: &str) -> Embedder {
    play_with(Quirks::NONE, None, actions, format!("{common}\n{refused}"));
    let mut quirks = Quirks::NONE;
    set(&mut quirks);
    play_with(quirks, None, actions, format!("{common}\n{taken}"))
}

#[test]
fn lines_may_end_with_lf_alone() {
    quirk(
        |quirks| quirks.bare_lf = true,
        &[retr(1), submit(Request::List(None)), Action::Quit],
        "C: RETR 1
         S: +OK\\n~",
        "= failed: waiting for the reply to RETR: expected a line ended by CRLF, found a bare LF",
        "S: a\\n..b\\n.\\n~
         = 0 message 1
         = body a\\n.b\\n
         = 0 done: +OK
         C: LIST
         S: +OK\\n1 1\\n.\\n~
         = 1 listed 1 1
         = 1 done: +OK
         C: QUIT
         S: +OK\\n~
         = closed",
    );
}

#[test]
fn with_lf_alone_every_mixture_of_ends_is_an_end() {
    let mut quirks = Quirks::NONE;
    quirks.bare_lf = true;
    for (wire, content) in [
        ("S: .\\n~", ""),
        ("S: .", ""),
        ("S: a\\n.", "a\\n"),
        ("S: a\nS: .\\n~", "a\\r\\n"),
        ("S: a\\n..\\n.x\\n...\\n.\\n~", "a\\n.\\nx\\n..\\n"),
        ("S: a\nS: ..\nS: .\\n~", "a\\r\\n.\\r\\n"),
        ("S: ..\\n.\\n~", ".\\n"),
        ("S: a\\n.\\rb\\n.\\n~", "a\\n\\rb\\n"),
        ("S: a\\r\\n.\\rb\\n.\\n~", "a\\r\\n\\rb\\n"),
        ("S: a.\\n.\\n~", "a.\\n"),
        ("S: a\\x00.\\n.\\n~", "a\\x00.\\n"),
        ("S: a\\r.\\n.\\n~", "a\\r.\\n"),
    ] {
        let body = if content.is_empty() { String::new() } else { format!("= body {content}\n") };
        let script = format!("C: RETR 1\nS: +OK\n{wire}\n= 0 message 1\n{body}= 0 done: +OK");
        play_with(quirks, None, &[retr(1)], script);
    }
}

#[test]
fn the_end_of_the_connection_may_end_a_message() {
    for (wire, content) in [
        ("", ""),
        ("S: a", "a\\r\\n"),
        ("S: a\nS: b~", "a\\r\\nb"),
        ("S: a\\r~", "a\\r"),
        ("S: a\nS: .~", "a\\r\\n"),
    ] {
        let body = if content.is_empty() { String::new() } else { format!("= body {content}\n") };
        quirk(
            |quirks| quirks.missing_end = true,
            &[retr(1)],
            &format!("C: RETR 1\nS: +OK\n{wire}\n= 0 message 1\nEOF"),
            "= failed: the connection was lost waiting for message 1",
            &format!("{body}= 0 unterminated: +OK\n= failed: the server closed the idle connection"),
        );
    }
}

#[test]
fn the_end_of_the_connection_may_end_a_listing_but_not_the_session() {
    quirk(
        |quirks| quirks.missing_end = true,
        &[submit(Request::List(None)), Action::Quit],
        "C: LIST\nS: +OK\nS: 1 1\nS: 2~\n= 0 listed 1 1\nEOF",
        "= failed: the connection was lost waiting for the lines of LIST",
        "= 0 unterminated: +OK\n= failed: the server closed the idle connection",
    );
    let mut quirks = Quirks::NONE;
    quirks.missing_end = true;
    play(
        &with_password().with_quirks(quirks),
        &[],
        "S: +OK\nC: CAPA\nS: +OK\nS: USER\nEOF\n= failed: the connection was lost waiting for the lines of CAPA",
    );
    let script = "C: RETR 1\nC: RETR 2\nS: +OK\nEOF\n= 0 message 1\n= 0 unterminated: +OK\n= failed: the connection was lost waiting for the reply to RETR";
    let script = script.replace("EOF\n= 0 message 1", "= 0 message 1\nEOF");
    play_with(quirks, Some(&["PIPELINING"]), &[retr(1), retr(2)], script);
}

#[test]
fn a_status_may_be_loose() {
    for (reply, taken) in [
        ("+ok fine", "= 0 done: +OK fine"),
        ("+OK\\tfine", "= 0 done: +OK fine"),
        ("+OKfine", "= 0 done: +OK fine"),
        ("+ERR Server error", "= 0 refused: -ERR Server error"),
        ("-err [IN-USE] x", "= 0 refused: -ERR [IN-USE] x"),
    ] {
        let why = if reply.starts_with('+') && !reply.starts_with("+OKf") || reply.starts_with("+OK") {
            "expected a space behind the status indicator"
        } else {
            "expected +OK, -ERR or +"
        };
        quirk(
            |quirks| quirks.loose_status = true,
            &[submit(Request::Noop)],
            &format!("C: NOOP\nS: {reply}"),
            &format!("= failed: waiting for the reply to NOOP: {why}"),
            taken,
        );
    }
}

#[test]
fn unique_ids_may_be_odd() {
    quirk(
        |quirks| quirks.odd_unique_ids = true,
        &[submit(Request::Uidl(None)), submit(Request::Uidl(Some(number(6670))))],
        "C: UIDL
         S: +OK
         S: 1 fine
         = 0 uid 1 fine
         S: 2   spaces-before
         S: 3\\ttab
         S: 4 with spaces in it
         S: 5
         S: 6 \\xe9
         S: .",
        "= failed: waiting for the lines of UIDL: expected a unique-id of 1 to 70 printable characters",
        "= 0 uid 2 spaces-before
         = 0 uid 3 tab
         = 0 odd uid 4 with spaces in it
         = 0 odd uid 5
         = 0 odd uid 6 \\xe9
         = 0 done: +OK
         C: UIDL 6670
         S: +OK 00001a1457b5a851
         = 1 uid 6670 00001a1457b5a851
         = 1 done: +OK 00001a1457b5a851",
    );
}

#[test]
fn listings_may_be_odd() {
    quirk(
        |quirks| quirks.odd_listings = true,
        &[submit(Request::Stat), submit(Request::List(None)), submit(Request::List(Some(number(2))))],
        "C: STAT
         S: +OK  2\\t320",
        "= failed: waiting for the reply to STAT: expected the number of messages and their size in octets",
        "= 0 stat 2 320
         = 0 done: +OK  2\\t320
         C: LIST
         S: +OK
         S: 1\\t120
         S: 2   200
         S: .
         = 1 listed 1 120
         = 1 listed 2 200
         = 1 done: +OK
         C: LIST 2
         S: +OK 200
         = 2 listed 2 200
         = 2 done: +OK 200",
    );
}

#[test]
fn a_server_without_capa_may_list_its_mechanisms_by_auth() {
    let strict = with_password();
    let mut lenient = strict.clone();
    lenient.quirks.auth_list = true;
    let greeted = "S: +OK hello\nC: CAPA\nS: -ERR unknown\n";
    let user = "C: USER mrose\nS: +OK\nC: PASS secret\nS: +OK\n= ready\n";
    let plain = "C: AUTH PLAIN\nS: + \nC: AG1yb3NlAHNlY3JldA==\nS: +OK\n= ready\n";
    for (config, script) in [
        (&strict, user.to_owned()),
        (&lenient, format!("C: AUTH\nS: +OK\nS: X-OWN\nS: PLAIN \nS: ..\nS: .\n{plain}")),
        (&lenient, format!("C: AUTH\nS: +OK\nS: X-OWN\nS: .\n{user}")),
        (&lenient, format!("C: AUTH\nS: -ERR missing argument\n{user}")),
    ] {
        play(config, &[], &format!("{greeted}{script}"));
    }
    play(
        &lenient,
        &[],
        &format!("S: +OK hello\nC: CAPA\nS: +OK\nS: USER\nS: .\n{user}")
            .replace("= ready", "C: CAPA\nS: +OK\nS: .\n= ready"),
    );
    let endless = format!(
        "{greeted}C: AUTH\nS: +OK\n{}= failed: expected at most 1000 lines of AUTH",
        "S: X\n".repeat(1001)
    );
    play(&lenient, &[], &endless);
}
