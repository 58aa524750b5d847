//! Client and server against each other in memory, with what they send cut into pieces.

#[cfg(test)]
mod client_support;
mod support;

use client_support::{Action, Embed, Embedder, config as client_config, number, submit, tls_info};
use mail_wire::sasl::{Credentials, Mechanism, MechanismSet};
use mail_wire::{AuthenticatedPeer, Connection, LayerInfo};
use pop3_proto::client::{
    Client, ClientConfig, ClientError, Deletions, LoginMethod, RefusalKind, Request, TlsPolicy, TrustedLogin,
};
use pop3_proto::server::{ServerConfig, TransportLogin, Utf8};
use pop3_proto::types::{LanguageRange, UserName};
use proptest::prelude::*;
use support::{Drive, Driven, config as server_config, wire_size};

/// Both sides, each with its application.
struct Pair {
    embedder: Embedder,
    driven: Driven,
    /// Most bytes that the network carries in one go, either way.
    chop: usize,
}

impl Pair {
    fn new(client: ClientConfig, server: ServerConfig, actions: &[Action], chop: usize) -> Self {
        Self { embedder: Embedder::new(client, actions), driven: Driven::new(server), chop }
    }

    /// Runs until nothing moves.
    fn run(&mut self) {
        loop {
            self.embedder.run();
            if self.embedder.wants_tls && self.embedder.sent.is_empty() {
                let info = LayerInfo::Tls(self.embedder.tls.clone());
                self.embedder.played.client.upgraded(info, self.embedder.played.now);
                continue;
            }
            let up: Vec<u8> = take(&mut self.embedder.sent, self.chop);
            self.driven.feed(&up, usize::MAX);
            let down =
                if self.embedder.wants_tls { Vec::new() } else { take(&mut self.driven.output, self.chop) };
            self.embedder.feed(&down, usize::MAX);
            if up.is_empty() && down.is_empty() && !self.embedder.wants_tls {
                return;
            }
        }
    }
}

fn take(bytes: &mut Vec<u8>, most: usize) -> Vec<u8> {
    bytes.drain(..bytes.len().min(most)).collect()
}

/// As the server has it: CRLF ends each line.
fn wire_form(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        wire.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

fn with_credentials(tls: TlsPolicy) -> ClientConfig {
    client_config().with_tls(tls).with_credentials(Credentials::password("mrose", "tanstaaf"))
}

/// Fetches and deletes so many messages.
fn fetch(messages: u32) -> Vec<Action> {
    let mut actions = vec![submit(Request::Stat), submit(Request::List(None)), submit(Request::Uidl(None))];
    for n in 1..=messages {
        actions.push(submit(Request::Retr(number(n))));
        actions.push(submit(Request::Dele(number(n))));
    }
    actions.push(Action::Quit);
    actions
}

/// What such a session tells.
fn fetched(messages: &[Vec<u8>], ids: &[String]) -> Vec<String> {
    let sizes: Vec<u64> = messages.iter().map(|message| wire_size(message)).collect();
    let mut events = vec![format!("0 stat {} {}", sizes.len(), sizes.iter().sum::<u64>())];
    events.extend(sizes.iter().zip(1..).map(|(size, n)| format!("1 listed {n} {size}")));
    events.extend(ids.iter().zip(1..).map(|(id, n)| format!("2 uid {n} {id}")));
    for (n, message) in (1..).zip(messages) {
        events.push(format!("{} message {n}", 1 + 2 * n));
        if !message.is_empty() {
            events.push(format!("body {}", wire_form(message).escape_ascii()));
        }
    }
    events.push("closed".into());
    events
}

fn told(pair: &Pair) -> Vec<String> {
    pair.embedder
        .events
        .iter()
        .filter(|event| !event.contains("done: ") && **event != "ready" && **event != "unencrypted")
        .cloned()
        .collect()
}

const CHOPS: [usize; 4] = [1, 2, 13, usize::MAX];

/// Logs in on both sides, fetches and deletes all.
fn session(client: &ClientConfig, server: &ServerConfig, binding: bool, method: LoginMethod) {
    for chop in CHOPS {
        let mut pair = Pair::new(client.clone(), server.clone(), &fetch(2), chop);
        pair.embedder.tls = tls_info(binding);
        pair.driven.tls = tls_info(binding);
        pair.run();
        assert_eq!(told(&pair), fetched(&pair.driven.messages, &pair.driven.ids), "{method} by {chop}");
        assert_eq!(pair.driven.removed, Some(vec![1, 2]));
        assert_eq!(pair.driven.result, Some(Ok(())));
        assert_eq!(pair.embedder.client.authenticated(), Some(method));
        assert!(pair.driven.failed_users.is_empty());
    }
}

#[test]
fn each_way_to_log_in_leads_to_the_messages() {
    for mechanism in
        [Mechanism::ScramSha256, Mechanism::ScramSha1, Mechanism::CramMd5, Mechanism::Plain, Mechanism::Login]
    {
        let mut server = server_config();
        server.mechanisms = mechanism.into();
        let mut client = with_credentials(TlsPolicy::Never);
        client.plaintext_auth_without_tls = true;
        session(&client, &server, false, LoginMethod::Sasl(mechanism));
    }
    let mut server = server_config();
    server.mechanisms = MechanismSet::EMPTY;
    let mut client = with_credentials(TlsPolicy::Never);
    client.plaintext_auth_without_tls = true;
    session(&client, &server, false, LoginMethod::UserPass);
    server.apop = true;
    session(&client, &server, false, LoginMethod::Apop);
}

#[test]
fn tls_goes_on_before_the_password() {
    let mut server = server_config();
    server.plaintext_auth_without_tls = false;
    server.stls = true;
    server.mechanisms = Mechanism::Plain.into();
    for tls in [TlsPolicy::Opportunistic, TlsPolicy::Required] {
        session(&with_credentials(tls), &server, false, LoginMethod::Sasl(Mechanism::Plain));
    }
    server.mechanisms = [Mechanism::ScramSha256, Mechanism::ScramSha256Plus].into_iter().collect();
    let plus = LoginMethod::Sasl(Mechanism::ScramSha256Plus);
    session(&with_credentials(TlsPolicy::Required), &server, true, plus);
    server.implicit_tls = true;
    let unbound = LoginMethod::Sasl(Mechanism::ScramSha256);
    session(&with_credentials(TlsPolicy::Implicit), &server, false, unbound);
}

#[test]
fn without_pipelining_the_same_comes_out() {
    let mut server = server_config();
    server.pipelining = false;
    let mut client = with_credentials(TlsPolicy::Never);
    client.plaintext_auth_without_tls = true;
    client.apop = false;
    let method = LoginMethod::UserPass;
    session(&client, &server, false, method);
    server.pipelining = true;
    client.pipelining = false;
    session(&client, &server, false, method);
}

#[test]
fn a_wrong_password_fails_once_and_is_known_for_what_it_is() {
    let mut server = server_config();
    server.apop = true;
    server.mechanisms = [Mechanism::CramMd5, Mechanism::Plain].into_iter().collect();
    let mut client = client_config().with_credentials(Credentials::password("mrose", "wrong"));
    client.plaintext_auth_without_tls = true;
    let mut pair = Pair::new(client, server, &[], 7);
    pair.run();
    let error = pair.embedder.played.end.unwrap().unwrap_err();
    assert_eq!(error.reply().map(RefusalKind::of), Some(RefusalKind::Credentials));
    assert!(matches!(error, ClientError::LoginRefused { method: LoginMethod::Sasl(Mechanism::CramMd5), .. }));
    assert_eq!(pair.driven.failed_users.len(), 1);
}

#[test]
fn a_maildrop_that_cannot_be_opened_is_tried_later() {
    for (user, kind) in
        [("busy", RefusalKind::InUse), ("eager", RefusalKind::LoginDelay), ("broken", RefusalKind::Temporary)]
    {
        let mut client = client_config().with_credentials(Credentials::password(user, "tanstaaf"));
        client.plaintext_auth_without_tls = true;
        let mut pair = Pair::new(client, server_config(), &[], usize::MAX);
        pair.run();
        let error = pair.embedder.played.end.unwrap().unwrap_err();
        assert_eq!(error.reply().map(RefusalKind::of), Some(kind), "{error}");
        assert!(error.is_temporary());
    }
}

#[test]
fn messages_that_cannot_be_removed_are_told_of() {
    let mut client = with_credentials(TlsPolicy::Never);
    client.plaintext_auth_without_tls = true;
    let actions = [submit(Request::Dele(number(1))), Action::Quit];
    let mut pair = Pair::new(client, server_config(), &actions, usize::MAX);
    pair.driven.messages[1] = b"stuck".to_vec();
    pair.run();
    let error = pair.embedder.played.end.unwrap().unwrap_err();
    assert_eq!((error.deletions(), error.is_temporary()), (Deletions::Partial, true), "{error}");
}

#[test]
fn a_session_with_everything_else_is_understood_on_both_sides() {
    let mut server = server_config();
    server.utf8 = Utf8::On;
    let mut client = with_credentials(TlsPolicy::Never);
    client.plaintext_auth_without_tls = true;
    client.utf8 = true;
    let actions = [
        submit(Request::Top { number: number(1), lines: 1 }),
        submit(Request::List(Some(number(2)))),
        submit(Request::Uidl(Some(number(2)))),
        submit(Request::Retr(number(3))),
        submit(Request::Dele(number(2))),
        submit(Request::Retr(number(2))),
        submit(Request::Rset),
        submit(Request::Lang(Some(LanguageRange::Preferred))),
        submit(Request::Lang(None)),
        submit(Request::Capa),
        submit(Request::Noop),
        Action::Quit,
    ];
    for chop in CHOPS {
        let mut pair = Pair::new(client.clone(), server.clone(), &actions, chop);
        pair.run();
        assert!(pair.embedder.client.is_utf8());
        assert_eq!(pair.embedder.client.authenticated(), Some(LoginMethod::UserPass));
        let told = told(&pair);
        let body = "body Subject: first\\r\\nFrom: a@b\\r\\n\\r\\n.dot\\r\\n";
        assert_eq!(
            told[..4],
            ["0 message 1", body, "1 listed 2 200", "2 uid 2 QhdPYR:00WBw1Ph7x7"],
            "by {chop}"
        );
        assert!(told[4].starts_with("3 refused: -ERR"), "{told:?}");
        assert!(told[5].starts_with("5 refused: -ERR"), "{told:?}");
        assert_eq!(told.last().map(String::as_str), Some("closed"));
        assert_eq!(pair.driven.removed.unwrap_or_default(), []);
    }
}

#[test]
fn a_layer_below_stands_in_for_the_password() {
    let user = UserName::new("mrose").unwrap();
    for (login, transport, method) in [
        (TrustedLogin::Kpop { user }, TransportLogin::UserPass, LoginMethod::Kpop),
        (TrustedLogin::Open, TransportLogin::Preauthenticated, LoginMethod::Open),
    ] {
        let mut server = server_config();
        server.plaintext_auth_without_tls = false;
        server.transport_login = transport;
        let client = client_config().with_trusted_login(login);
        let peer = AuthenticatedPeer::new("mrose@EXAMPLE.ORG");
        let mut embedder = Embedder::new(client, &fetch(2));
        let now = embedder.now;
        embedder.client.upgraded(LayerInfo::Authenticated(peer.clone()), now);
        let driven = Driven::with(server, |server| server.upgraded(LayerInfo::Authenticated(peer), now));
        let mut pair = Pair { embedder, driven, chop: 5 };
        pair.run();
        assert_eq!(told(&pair), fetched(&pair.driven.messages, &pair.driven.ids));
        assert_eq!(pair.embedder.client.authenticated(), Some(method));
    }
}

#[test]
fn rpop_is_understood() {
    let name = || UserName::new("mrose").unwrap();
    let mut server = server_config();
    server.rpop = true;
    let client = client_config().with_trusted_login(TrustedLogin::Rpop { user: name(), client_user: name() });
    session(&client, &server, false, LoginMethod::Rpop);
}

#[test]
fn more_messages_than_fit_the_queue_are_fetched() {
    let messages: Vec<Vec<u8>> =
        (0..700).map(|n| format!("Subject: {n}\r\n\r\n.\r\n").into_bytes()).collect();
    let mut client = with_credentials(TlsPolicy::Never);
    client.plaintext_auth_without_tls = true;
    let actions = fetch(700);
    assert!(actions.len() > Client::QUEUE);
    let mut pair = Pair::new(client, server_config(), &actions, 10_000);
    pair.driven.ids = (1..=messages.len()).map(|n| format!("id-{n}")).collect();
    pair.driven.messages = messages;
    pair.run();
    assert_eq!(told(&pair), fetched(&pair.driven.messages, &pair.driven.ids));
    assert_eq!(pair.driven.removed.map(|removed| removed.len()), Some(700));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_message_arrives_as_it_lies_in_the_maildrop(
        messages in prop::collection::vec(prop::collection::vec("[.a\u{e9}]{0,4}(\r\n|\n)", 0..12), 0..8),
        chop in 1..2000_usize,
        pipelining in any::<bool>(),
        pieces in 1..30_usize,
    ) {
        let messages: Vec<Vec<u8>> = messages.iter().map(|lines| lines.concat().into_bytes()).collect();
        let mut client = with_credentials(TlsPolicy::Never);
        client.plaintext_auth_without_tls = true;
        client.pipelining = pipelining;
        let mut pair = Pair::new(client, server_config(), &fetch(messages.len() as u32), chop);
        pair.driven.ids = (1..=messages.len()).map(|n| format!("id-{n}")).collect();
        pair.driven.messages = messages;
        pair.driven = pair.driven.by_pieces_of(pieces);
        pair.run();
        prop_assert_eq!(told(&pair), fetched(&pair.driven.messages, &pair.driven.ids));
    }
}
