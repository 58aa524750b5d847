//! Commands outside of transactions, QUIT, idle connections, ATRN and XCLIENT.

#[cfg(test)]
mod client_support;

use client_support::*;
use mail_wire::sasl::Credentials;
use smtp_proto::client::*;
use smtp_proto::types::*;

const GREETED: &str = "S: 220 mx
    C: EHLO c
    S: 250-mx
    S: 250-ETRN
    S: 250-ATRN
    S: 250-XFORWARD NAME ADDR
    S: 250-XCLIENT NAME ADDR
    S: 250 SMTPUTF8
    = ready
    ";

fn play_greeted(actions: &[Action], script: &str) -> Embedder {
    play(&config(), actions, &(GREETED.to_owned() + script))
}

fn attributes() -> XclientAttributes {
    let mut attributes = XclientAttributes::new();
    attributes.name = Some(Some("real.example".into()));
    attributes.addr = Some(Some([192, 0, 2, 7].into()));
    attributes
}

#[test]
fn each_command_gives_its_reply_and_the_next_may_follow() {
    let etrn = |client: &mut Client| client.etrn(EtrnTarget::Node(Domain::parse("c.example").unwrap()));
    play_greeted(
        &[
            Action::Call(Client::noop),
            Action::Call(Client::rset),
            Action::Call(|client| client.vrfy("bob smith")),
            Action::Call(|client| client.vrfy("bücher")),
            Action::Call(|client| client.expn("list")),
            Action::Call(|client| client.help(None)),
            Action::Call(|client| client.help(Some("RCPT"))),
            Action::Call(etrn),
            Action::Call(|client| client.xforward(attributes())),
            Action::Call(Client::quit),
        ],
        "C: NOOP
         S: 250 ok
         = NOOP: 250 ok
         C: RSET
         S: 250 ok
         = RSET: 250 ok
         C: VRFY bob smith
         S: 252 try
         = VRFY: 252 try
         C: VRFY bücher SMTPUTF8
         S: 550 no
         = VRFY: 550 no
         C: EXPN list
         S: 250-<a@mx>
         S: 250 <b@mx>
         = EXPN: 250 <a@mx> <b@mx>
         C: HELP
         S: 214 help
         = HELP: 214 help
         C: HELP RCPT
         S: 504 no
         = HELP: 504 no
         C: ETRN c.example
         S: 253 3 pending
         = ETRN: 253 3 pending
         C: XFORWARD NAME=real.example ADDR=192.0.2.7
         S: 250 ok
         = XFORWARD: 250 ok
         C: QUIT
         S: 221 bye
         = closed",
    );
}

#[test]
fn what_is_not_offered_is_not_sent() {
    let domains = || vec![Domain::parse("c.example").unwrap()];
    let mut embedder = Embedder::new(config(), &[]);
    embedder.feed(b"220 mx\r\n", 100);
    embedder.feed(b"250 mx\r\n", 100);
    embedder.sent.clear();
    let client = &mut embedder.client;
    for result in [
        client.etrn(EtrnTarget::Queue("q".into())),
        client.atrn(domains()),
        client.xclient(attributes()),
        client.xforward(attributes()),
        client.vrfy("bücher"),
        client.expn("bücher"),
    ] {
        assert!(matches!(result, Err(SendError::NotOffered { .. })), "{result:?}");
    }
    embedder.run();
    assert!(embedder.sent.is_empty());
    assert!(embedder.client.is_idle());
}

#[test]
fn a_line_break_in_an_argument_does_not_make_a_command() {
    play_greeted(&[Action::Call(|client| client.vrfy("x\r\nRSET"))], "C: VRFY x??RSET");
}

#[test]
fn quit_ends_well_however_the_server_takes_it() {
    for end in ["S: 221 bye", "S: 250 fine", "S: 421 already", "EOF", "WAIT 30"] {
        let script = format!("C: QUIT\n{end}\n= closed");
        let played = play_greeted(&[Action::Call(Client::quit)], &script);
        assert_eq!(played.end, Some(Ok(())), "{end}");
    }
}

#[test]
fn an_idle_connection_that_the_server_closes_is_told_as_such() {
    let played = play_greeted(&[], "EOF\n= failed: the server closed the idle connection");
    assert_eq!(played.end, Some(Err(ClientError::IdleClosed { reply: None })));
    let played = play_greeted(
        &[],
        "S: 421-4.4.2 timeout
         S: 421 4.4.2 bye
         = failed: the server closed the idle connection: 421 4.4.2 timeout 4.4.2 bye",
    );
    assert!(played.played.end.unwrap().unwrap_err().is_temporary());
}

#[test]
fn a_command_that_crosses_the_servers_421_has_it_for_an_answer() {
    use mail_wire::Connection;
    let mut embedder = Embedder::new(config(), &[]);
    embedder.feed(b"220 mx\r\n", 100);
    embedder.feed(b"250 mx\r\n", 100);
    let now = embedder.now;
    let client = &mut embedder.client;
    client.io().recv[..9].copy_from_slice(b"421 bye\r\n");
    client.received(9, now);
    client.send(to(&["b@mx"])).unwrap();
    embedder.events.clear();
    embedder.run();
    assert_eq!(
        embedder.events,
        [
            "sent | not 421 bye (in the reply to MAIL)",
            "failed: the server closes the connection instead of sending the reply to MAIL: 421 bye"
        ]
    );
}

#[test]
fn atrn_turns_the_roles() {
    let atrn = |client: &mut Client| {
        client.atrn(vec![Domain::parse("c.example").unwrap(), Domain::parse("d.example").unwrap()])
    };
    let played = play_greeted(
        &[Action::Call(atrn)],
        "C: ATRN c.example,d.example
         S: 250 turned
         = turned
         WAIT 100000",
    );
    assert!(played.end.is_none(), "it is for the embedder to go on");
    play_greeted(
        &[Action::Call(atrn)],
        "C: ATRN c.example,d.example
         S: 453 no mail
         = ATRN: 453 no mail",
    );
}

#[test]
fn what_the_peer_says_after_it_was_turned_is_not_lost() {
    let mut embedder = Embedder::new(config(), &[Action::Call(|client| client.atrn(Vec::new()))]);
    embedder.feed(b"220 mx\r\n", 100);
    embedder.feed(b"250-mx\r\n250 ATRN\r\n", 100);
    embedder.feed(b"250 turned\r\nEHLO early\r\n", 100);
    assert_eq!(embedder.events, ["ready", "turned"]);
    assert_eq!(embedder.played.client.into_unread(), b"EHLO early\r\n");
}

#[test]
fn xclient_begins_the_session_anew() {
    let mut config = config().with_credentials(Credentials::password("user", "pencil"));
    config.plaintext_auth_without_tls = true;
    let begin = "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250-XCLIENT NAME
         S: 250 AUTH PLAIN
         C: AUTH PLAIN AHVzZXIAcGVuY2ls
         S: 235 ok
         = ready
         C: XCLIENT NAME=real.example ADDR=192.0.2.7
         ";
    let again = "S: 220 mx again
         C: EHLO c
         S: 250-mx
         S: 250 AUTH PLAIN
         C: AUTH PLAIN AHVzZXIAcGVuY2ls
         S: 235 ok
         = ready";
    let actions = [Action::Call(|client| client.xclient(attributes()))];
    let played = play(&config, &actions, &format!("{begin}S: 220 mx again\nC: EHLO c"));
    assert_eq!(played.client.authenticated(), None);
    let played = play(&config, &actions, &format!("{begin}{again}"));
    assert!(played.client.capabilities().xclient.is_none());
    assert_eq!(played.client.greeting().unwrap().to_string(), "220 mx again");
    play(&config, &actions, &format!("{begin}S: 550 not you\n= XCLIENT: 550 not you"));
}
