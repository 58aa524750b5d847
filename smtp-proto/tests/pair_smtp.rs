//! Client and server against each other in memory, with what they send cut into pieces.

#[cfg(test)]
mod client_support;

use client_support::{Action, Embed, Embedder, config as client_config, mailbox, to};
use mail_wire::sasl::{
    Answer, ChannelBinding, ChannelBindingKind, Credentials, Hash, Mechanism, MechanismSet, Question,
    ScramKeys, Stored,
};
use mail_wire::{Connection, LayerInfo, ReplyText, Secret, Step, TlsInfo};
use proptest::prelude::*;
use smtp_proto::client::{Chunking, Client, ClientConfig, TlsPolicy, Transaction};
use smtp_proto::server::{Delivered, Event, Peer, Protocol, Server, ServerConfig, ServerError, VerifyAnswer};
use smtp_proto::types::*;
use std::sync::Arc;

const PASSWORD: &str = "pencil";

fn server_config() -> ServerConfig {
    ServerConfig::new(Domain::parse("mx").expect("a domain"))
}

/// A message as the server took it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Taken {
    from: String,
    params: MailParams,
    recipients: Vec<(String, RcptParams)>,
    message: Vec<u8>,
}

/// Both sides, each with its application: nobody@ is no user, full@ has no room, `spam` is refused.
struct Pair {
    embedder: Embedder,
    server: Server,
    /// Most bytes that the network carries in one go, either way.
    chop: usize,
    taken: Vec<Taken>,
    open: Taken,
    server_ended: Option<Result<(), ServerError>>,
    server_events: Vec<String>,
    binding: bool,
}

impl Pair {
    fn new(client: ClientConfig, server: ServerConfig, actions: &[Action], chop: usize) -> Self {
        let embedder = Embedder::new(client, actions);
        let mut peer = Peer::new("192.0.2.7:50000".parse().expect("an address"));
        peer.trusted = true;
        let server = Server::new(Arc::new(server), peer, [3; Server::RANDOM], embedder.now);
        Self {
            embedder,
            server,
            chop,
            taken: Vec::new(),
            open: Self::nothing(),
            server_ended: None,
            server_events: Vec::new(),
            binding: false,
        }
    }

    fn nothing() -> Taken {
        Taken { from: String::new(), params: MailParams::new(), recipients: Vec::new(), message: Vec::new() }
    }

    /// Runs until nothing moves.
    fn run(&mut self) {
        loop {
            self.embedder.run();
            let server_wants_tls = self.run_server();
            let carried = self.carry();
            if carried {
                continue;
            }
            if self.embedder.wants_tls && server_wants_tls {
                let mut info = TlsInfo::new();
                if self.binding {
                    let binding = ChannelBinding::new(ChannelBindingKind::TlsExporter, *b"the binding");
                    info.channel_bindings = vec![binding];
                }
                let now = self.embedder.now;
                self.embedder.client.upgraded(LayerInfo::Tls(info.clone()), now);
                info.peer_identity = Some("user".into());
                self.server.upgraded(LayerInfo::Tls(info), now);
                continue;
            }
            return;
        }
    }

    /// One piece each way. Whether anything moved.
    fn carry(&mut self) -> bool {
        let now = self.embedder.now;
        let (client, server, chop) = (&mut self.embedder.played.client, &mut self.server, self.chop);
        let up = move_bytes(&mut self.embedder.played.sent, server, chop, now);
        let n = {
            let (source, target) = (server.io().send, client.io().recv);
            let n = source.len().min(target.len()).min(chop);
            target[..n].copy_from_slice(&source[..n]);
            n
        };
        if n > 0 {
            server.sent(n, now);
            client.received(n, now);
        }
        up || n > 0
    }

    /// Whether the server waits for TLS.
    fn run_server(&mut self) -> bool {
        loop {
            match self.server.poll() {
                Step::Event(event) => self.serve(event),
                Step::Blocked => return false,
                Step::Upgrade(_) => return true,
                Step::Close(result) => {
                    self.server_ended = Some(result);
                    return false;
                }
            }
        }
    }

    fn serve(&mut self, event: Event) {
        let server = &mut self.server;
        match event {
            Event::Connected(pending) => server.accept(pending),
            Event::Hello(_, pending) => server.accept(pending),
            Event::Mail { from, params, pending } => {
                self.open = Taken { from: from.to_string(), params, ..Self::nothing() };
                server.accept(pending);
            }
            Event::Recipient { to, params, pending } => {
                if to.to_string().starts_with("<nobody") {
                    return server.refuse(pending, Refusal::NO_SUCH_USER);
                }
                self.open.recipients.push((to.to_string(), params));
                server.accept(pending);
            }
            Event::Message(pending) => server.accept(pending),
            Event::Body => {
                let n = server.body().len();
                self.open.message.extend_from_slice(server.body());
                server.consume(n);
            }
            Event::MessageEnd(pending) => {
                let spam = self.open.message.starts_with(b"spam");
                let verdicts = self.open.recipients.iter().map(|(to, _)| match to.starts_with("<full") {
                    _ if spam => Verdict::Refuse(Refusal::from_static(554, (5, 7, 1), "spam")),
                    true => Verdict::Refuse(Refusal::MAILBOX_FULL),
                    false => Verdict::Accept,
                });
                server.answer(pending, Delivered::Each(verdicts.collect()));
                if !spam {
                    self.taken.push(std::mem::replace(&mut self.open, Self::nothing()));
                }
            }
            Event::MessageRefused(refusal) => self.server_events.push(format!("void: {refusal}")),
            Event::Reset => self.server_events.push("reset".into()),
            Event::Sasl(question, pending) => server.answer(pending, credentials(&question)),
            Event::Authenticated => {
                let identity = server.identity().expect("authenticated");
                self.server_events.push(format!("{} by {}", identity.authcid, identity.mechanism));
            }
            Event::AuthenticationFailed { mechanism, failure, user } => {
                self.server_events.push(format!("{mechanism}: {failure} ({})", user.unwrap_or_default()));
            }
            Event::Verify(target, pending) | Event::Expand(target, pending) => {
                let line = ReplyText::sanitized(&format!("<{}@mx>", target.text()));
                server.answer(pending, VerifyAnswer::Found(vec![line]));
            }
            Event::Etrn(_, pending) => server.accept(pending),
            Event::Atrn(_, pending) => server.accept(pending),
            Event::Turned => self.server_events.push("turned".into()),
            Event::Xclient(attributes, pending) => {
                self.server_events.push(format!("XCLIENT {:?}", attributes.addr));
                server.accept(pending);
            }
            Event::Xforward(attributes, pending) => {
                self.server_events.push(format!("XFORWARD {:?}", attributes.addr));
                server.accept(pending);
            }
            other => panic!("not expected here: {other:?}"),
        }
    }

    fn events(&self) -> Vec<&str> {
        self.embedder.events.iter().map(String::as_str).collect()
    }
}

/// Moves what a client has sent into a server.
fn move_bytes(sent: &mut Vec<u8>, server: &mut Server, chop: usize, now: std::time::Instant) -> bool {
    let recv = server.io().recv;
    let n = sent.len().min(recv.len()).min(chop);
    recv[..n].copy_from_slice(&sent[..n]);
    sent.drain(..n);
    if n > 0 {
        server.received(n, now);
    }
    n > 0
}

/// The answers of a server where `user` has the password, and the token `tok`.
fn credentials(question: &Question) -> Answer {
    let secret = Secret::new(PASSWORD);
    match question {
        Question::VerifyPassword { authcid, .. } if authcid == "user" => {
            Answer::Stored(Stored::Plain(secret))
        }
        Question::Credentials { mechanism, authcid } if authcid == "user" => {
            let hash = match mechanism {
                Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => Hash::Sha1,
                Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => Hash::Sha256,
                _ => return Answer::Stored(Stored::Plain(secret)),
            };
            Answer::Stored(Stored::Scram(
                ScramKeys::derive(hash, &secret, b"salt of some bytes", 4096).expect("keys"),
            ))
        }
        Question::Credentials { .. } => Answer::Stored(Stored::Unknown),
        Question::VerifyToken { token, .. } if token.expose() == b"tok" => Answer::AcceptedAs("user".into()),
        Question::Anonymous { .. } => Answer::Accepted,
        Question::External { .. } => Answer::AcceptedAs("user".into()),
        _ => Answer::Rejected,
    }
}

/// Runs a pair in pieces of several sizes; the same must come of each.
fn pair(client: &ClientConfig, server: &ServerConfig, actions: &[Action]) -> Pair {
    pair_bound(client, server, actions, false)
}

fn pair_bound(client: &ClientConfig, server: &ServerConfig, actions: &[Action], binding: bool) -> Pair {
    let run = |chop| {
        let mut pair = Pair::new(client.clone(), server.clone(), actions, chop);
        pair.binding = binding;
        pair.run();
        pair
    };
    let whole = run(usize::MAX);
    for chop in [1, 2, 13] {
        let chopped = run(chop);
        assert_eq!(chopped.taken, whole.taken, "in pieces of {chop}");
        assert_eq!(chopped.embedder.events, whole.embedder.events, "in pieces of {chop}");
        assert_eq!(chopped.server_events, whole.server_events, "in pieces of {chop}");
    }
    whole
}

const QUIT: Action = Action::Call(Client::quit);

#[test]
fn a_message_goes_from_one_to_the_other() {
    let message = b".\n..\nx\r\n.y\r\n\r\n".to_vec();
    let send = Action::Send(to(&["b@mx", "nobody@mx"]), message);
    let pair = pair(&client_config(), &server_config(), &[send, QUIT]);
    assert_eq!(pair.taken.len(), 1);
    assert_eq!(pair.taken[0].message, b".\r\n..\r\nx\r\n.y\r\n\r\n");
    assert_eq!(pair.taken[0].from, "<a@c>");
    assert_eq!(pair.taken[0].recipients, [("<b@mx>".into(), RcptParams::new())]);
    assert_eq!(
        pair.events(),
        [
            "ready",
            "rcpt 0: 250 2.1.5 recipient ok",
            "rcpt 1: 550 5.1.1 no such user here",
            "sent | 250 2.0.0 ok, message accepted | not 550 5.1.1 no such user here (in the reply to RCPT)",
            "closed"
        ]
    );
    assert_eq!(pair.server_ended, Some(Ok(())));
}

#[test]
fn every_way_to_send_gives_the_same_message() {
    let text = "Subject: x\n\n".to_owned() + &".line\nanother\r\n".repeat(300);
    let mut wire = text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
    for chunking in [Chunking::Auto, Chunking::Never, Chunking::Always] {
        for client_pipelines in [true, false] {
            for server_pipelines in [true, false] {
                for size in [None, Some(wire.len() as u64)] {
                    let mut client = client_config().with_chunking(chunking);
                    client.pipelining = client_pipelines;
                    client.chunk_size = 1024;
                    let mut server = server_config();
                    server.extensions.pipelining = server_pipelines;
                    let mut transaction = to(&["b@mx", "d@mx"]);
                    transaction.params.size = size;
                    let send = Action::Send(transaction, text.clone().into());
                    let pair = pair(&client, &server, &[send.clone(), send, QUIT]);
                    assert_eq!(pair.taken.len(), 2);
                    for taken in &pair.taken {
                        assert_eq!(taken.message, wire, "{chunking:?} {client_pipelines} {size:?}");
                        assert_eq!(taken.recipients.len(), 2);
                    }
                    assert_eq!(pair.server_ended, Some(Ok(())));
                }
            }
        }
    }
    wire.clear();
}

#[test]
fn messages_behind_one_another_arrive_each_for_itself() {
    let send = |name: &str, text: &str| Action::Send(to(&[name]), text.into());
    let actions = [
        send("b@mx", "one\r\n"),
        send("nobody@mx", "two\r\n"),
        send("b@mx", "spam\r\n"),
        send("d@mx", "four\r\n"),
    ];
    let mut server = server_config();
    server.refuse_improper_pipelining = true;
    for chop in [usize::MAX, 1, 2, 13] {
        let mut pair = Pair::new(client_config(), server.clone(), &actions, chop);
        pair.embedder.eager = true;
        pair.run();
        let taken: Vec<&[u8]> = pair.taken.iter().map(|taken| &*taken.message).collect();
        assert_eq!(taken, [b"one\r\n", &b"four\r\n"[..]], "in pieces of {chop}");
        let results = pair.events().iter().filter(|event| event.starts_with("sent")).count();
        assert_eq!(results, 4, "{:?}", pair.events());
    }
}

#[test]
fn binary_content_arrives_as_it_is() {
    let content: Vec<u8> = (0..4000u32).map(|n| (n * 7 % 256) as u8).collect();
    let mut client = client_config();
    client.chunk_size = 1024;
    let mut server = server_config();
    server.extensions.binary_mime = true;
    let send = Action::Send(to(&["b@mx"]).with_body(Body::BinaryMime), content.clone());
    let pair = pair(&client, &server, &[send, QUIT]);
    assert_eq!(pair.taken.len(), 1, "{:?}", pair.events());
    assert_eq!(pair.taken[0].message, content);
    assert_eq!(pair.taken[0].params.body, Some(Body::BinaryMime));
}

#[test]
fn when_nobody_wants_it_the_next_message_still_goes() {
    for chunking in [Chunking::Never, Chunking::Always] {
        let text = "x\r\n".repeat(2000);
        let mut client = client_config().with_chunking(chunking);
        client.chunk_size = 1024;
        let refused = Action::Send(to(&["nobody@mx"]), text.clone().into());
        let spam = Action::Send(to(&["b@mx"]), b"spam\r\n".to_vec());
        let taken = Action::Send(to(&["b@mx"]), text.clone().into());
        let pair = pair(&client, &server_config(), &[refused, spam, taken, QUIT]);
        assert_eq!(pair.taken.len(), 1, "{:?}", pair.events());
        assert_eq!(pair.taken[0].message, text.as_bytes());
        assert_eq!(pair.server_ended, Some(Ok(())));
        assert!(pair.events().contains(&"sent | not 554 5.7.1 spam (in the reply to the message)"));
    }
}

#[test]
fn a_message_broken_off_by_bdat_leaves_no_trace() {
    let mut client = client_config().with_chunking(Chunking::Always);
    client.chunk_size = 1024;
    let abort = Action::Abort(to(&["b@mx"]), "x\r\n".repeat(1000).into());
    let taken = Action::Send(to(&["b@mx"]), b"y\r\n".to_vec());
    let run = pair(&client, &server_config(), &[abort, taken, QUIT]);
    assert_eq!(run.taken.len(), 1);
    assert_eq!(run.taken[0].message, b"y\r\n");
    assert!(run.events().contains(&"aborted"));
}

#[test]
fn lmtp_tells_the_result_of_each_recipient() {
    for chunking in [Chunking::Never, Chunking::Always] {
        let mut server = server_config();
        server.protocol = Protocol::Lmtp;
        let mut client =
            client_config().with_protocol(smtp_proto::client::Protocol::Lmtp).with_chunking(chunking);
        client.chunk_size = 1024;
        let send = |recipients: &[&str], text: &str| Action::Send(to(recipients), text.repeat(500).into());
        let actions = [
            send(&["b@mx", "nobody@mx", "full@mx", "d@mx"], "hello\r\n"),
            send(&["nobody@mx"], "x\r\n"),
            send(&["full@mx"], "y\r\n"),
            send(&["b@mx", "d@mx"], "spam\r\n"),
            QUIT,
        ];
        let pair = pair(&client, &server, &actions);
        assert_eq!(pair.server_ended, Some(Ok(())), "{:?}", pair.events());
        let sent: Vec<_> = pair.events().into_iter().filter(|event| event.starts_with("sent")).collect();
        assert_eq!(
            sent[0].split(" | ").skip(1).map(|result| result.starts_with("not")).collect::<Vec<_>>(),
            [false, true, true, false],
            "{sent:?}"
        );
        assert_eq!(sent.len(), 4);
        assert_eq!(sent[3].matches("not 554 5.7.1 spam").count(), 2, "{sent:?}");
        assert_eq!(pair.taken.len(), 2);
    }
}

#[test]
fn each_mechanism_logs_in() {
    let password = || Credentials::password("user", PASSWORD);
    let token = || Credentials::token("user", "tok");
    let cases = [
        (Mechanism::Plain, password(), "user"),
        (Mechanism::Login, password(), "user"),
        (Mechanism::CramMd5, password(), "user"),
        (Mechanism::ScramSha1, password(), "user"),
        (Mechanism::ScramSha256, password(), "user"),
        (Mechanism::ScramSha1Plus, password(), "user"),
        (Mechanism::ScramSha256Plus, password(), "user"),
        (Mechanism::XOAuth2, token(), "user"),
        (Mechanism::OAuthBearer, token(), "user"),
        (Mechanism::External, Credentials::External { authzid: None }, "user"),
        (Mechanism::Anonymous, Credentials::Anonymous { trace: Some("x".into()) }, "anonymous"),
    ];
    for (mechanism, credentials, who) in cases {
        let mut server = server_config();
        server.extensions.starttls = true;
        server.mechanisms = mechanism.into();
        server.require_auth = true;
        let client = client_config().with_tls(TlsPolicy::Required).with_credentials(credentials);
        let send = Action::Send(to(&["b@mx"]), b"x\r\n".to_vec());
        let pair = pair_bound(&client, &server, &[send, QUIT], true);
        assert_eq!(pair.server_events, [format!("{who} by {mechanism}")], "{:?}", pair.events());
        assert_eq!(pair.embedder.client.authenticated(), Some(mechanism));
        assert_eq!(pair.taken.len(), 1, "{mechanism}");
    }
}

#[test]
fn the_strongest_mechanism_wins() {
    let mut server = server_config();
    server.extensions.starttls = true;
    server.mechanisms = MechanismSet::ALL;
    let client = client_config()
        .with_tls(TlsPolicy::Opportunistic)
        .with_credentials(Credentials::password("user", PASSWORD));
    let bound = pair_bound(&client, &server, &[QUIT], true);
    assert_eq!(bound.server_events, ["user by SCRAM-SHA-256-PLUS"]);
    let unbound = pair(&client, &server, &[QUIT]);
    assert_eq!(unbound.server_events, ["user by SCRAM-SHA-256"]);
}

#[test]
fn a_wrong_password_is_refused_by_each_mechanism() {
    for mechanism in [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5, Mechanism::ScramSha256] {
        let mut server = server_config();
        server.extensions.starttls = true;
        server.mechanisms = mechanism.into();
        server.timeouts.auth_failure_delay = std::time::Duration::ZERO;
        for user in ["user", "stranger"] {
            let client = client_config()
                .with_tls(TlsPolicy::Required)
                .with_credentials(Credentials::password(user, "wrong"));
            let pair = pair(&client, &server, &[]);
            let last = pair.events().last().copied().unwrap_or_default();
            assert!(
                last.starts_with(&format!("failed: authentication by {mechanism} refused: 535")),
                "{last}"
            );
        }
    }
}

#[test]
fn implicit_tls_comes_first() {
    let mut server = server_config();
    server.implicit_tls = true;
    let send = Action::Send(to(&["b@mx"]), b"x\r\n".to_vec());
    let pair = pair(&client_config().with_tls(TlsPolicy::Implicit), &server, &[send, QUIT]);
    assert_eq!(pair.taken.len(), 1);
    assert!(pair.embedder.client.tls().is_some() && pair.server.tls().is_some());
}

#[test]
fn parameters_arrive_as_they_were_given() {
    let mut server = server_config();
    server.extensions.deliver_by = Some(0);
    server.extensions.future_release = Some(86_400);
    server.extensions.mt_priority = true;
    server.extensions.rrvs = true;
    server.extensions.requiretls = true;
    server.implicit_tls = true;
    let mut params = MailParams::new();
    params.size = Some(3);
    params.body = Some(Body::EightBitMime);
    params.smtputf8 = true;
    params.ret = Some(Ret::Headers);
    params.envid = Xtext::new("id +=").ok();
    params.by = Some(DeliverBy { seconds: 600, mode: ByMode::Notify, trace: true });
    params.hold = Some(Hold::For(60));
    params.mt_priority = Some(-4);
    params.requiretls = true;
    let mut rcpt = RcptParams::new();
    rcpt.notify = Some(Notify::On { success: true, failure: false, delay: true });
    rcpt.orcpt = OriginalRecipient::parse("rfc822;x+40y");
    let since = DateTime::parse_rfc3339("2026-01-01T00:00:00Z").expect("a date");
    rcpt.rrvs = Some(Rrvs { since, action: RrvsAction::Reject });
    let transaction = Transaction::new(mailbox("ä@c"))
        .with_params(params.clone())
        .to_with(mailbox("\"b c\"@mx"), rcpt.clone());
    let send = Action::Send(transaction, b"x\r\n".to_vec());
    let pair = pair(&client_config().with_tls(TlsPolicy::Implicit), &server, &[send, QUIT]);
    assert_eq!(pair.taken.len(), 1, "{:?}", pair.events());
    assert_eq!(pair.taken[0].params, params);
    assert_eq!(pair.taken[0].from, "<ä@c>");
    assert_eq!(pair.taken[0].recipients, [("<\"b c\"@mx>".into(), rcpt)]);
}

#[test]
fn the_other_commands_are_understood() {
    let mut server = server_config();
    server.extensions.vrfy = true;
    server.extensions.expn = true;
    server.extensions.etrn = true;
    server.extensions.xclient = true;
    let attributes = || {
        let mut attributes = XclientAttributes::new();
        attributes.addr = Some(Some([198, 51, 100, 1].into()));
        attributes
    };
    let actions = [
        Action::Call(Client::noop),
        Action::Call(Client::rset),
        Action::Call(|client| client.vrfy("bob")),
        Action::Call(|client| client.vrfy("bücher")),
        Action::Call(|client| client.expn("list")),
        Action::Call(|client| client.help(None)),
        Action::Call(|client| client.etrn(EtrnTarget::Node(Domain::parse("c.example").expect("a domain")))),
        Action::Call(|client| {
            let mut attributes = XclientAttributes::new();
            attributes.addr = Some(Some([198, 51, 100, 1].into()));
            client.xforward(attributes)
        }),
        Action::Call(|client| {
            let mut attributes = XclientAttributes::new();
            attributes.addr = Some(Some([198, 51, 100, 1].into()));
            client.xclient(attributes)
        }),
        Action::Send(to(&["b@mx"]), b"x\r\n".to_vec()),
        QUIT,
    ];
    let pair = pair(&client_config(), &server, &actions);
    let events = pair.events();
    for (index, start) in [
        "ready",
        "NOOP: 250",
        "RSET: 250",
        "VRFY: 250",
        "VRFY: 250",
        "EXPN: 250",
        "HELP: 214",
        "ETRN: 25",
        "XFORWARD: 250",
        "ready",
    ]
    .iter()
    .enumerate()
    {
        assert!(events[index].starts_with(start), "{index} {start} {events:?}");
    }
    let shown = format!("{:?}", attributes().addr);
    assert_eq!(pair.server_events, [format!("XFORWARD {shown}"), format!("XCLIENT {shown}")]);
    assert_eq!(pair.taken.len(), 1);
    assert_eq!(pair.server_ended, Some(Ok(())));
}

#[test]
fn atrn_turns_both() {
    let mut server = server_config();
    server.extensions.atrn = true;
    server.mechanisms = Mechanism::Plain.into();
    server.plaintext_auth_without_tls = true;
    let mut client = client_config().with_credentials(Credentials::password("user", PASSWORD));
    client.plaintext_auth_without_tls = true;
    let actions = [Action::Call(|client| client.atrn(vec![Domain::parse("c.example").expect("a domain")]))];
    let pair = pair(&client, &server, &actions);
    assert_eq!(pair.events(), ["ready", "turned"]);
    assert_eq!(pair.server_events, ["user by PLAIN", "turned"]);
}

#[test]
fn what_the_server_does_not_offer_the_client_does_not_send() {
    let mut server = server_config();
    server.extensions.dsn = false;
    server.extensions.eight_bit_mime = false;
    server.extensions.smtputf8 = false;
    server.limits = server.limits.with_message_size(100_000);
    let mut dsn = to(&["b@mx"]);
    dsn.params.ret = Some(Ret::Full);
    let actions = [
        Action::Send(to(&["b@mx"]).with_size(100_001), Vec::new()),
        Action::Send(to(&["b@mx"]).with_body(Body::EightBitMime), Vec::new()),
        Action::Send(to(&["ä@mx"]), Vec::new()),
        Action::Send(dsn, b"x\r\n".to_vec()),
        QUIT,
    ];
    let pair = pair(&client_config(), &server, &actions);
    assert_eq!(pair.events()[1..4].iter().filter(|event| event.starts_with("refused: ")).count(), 3);
    assert_eq!(pair.events()[4], "dropped DsnOfMessage");
    assert_eq!(pair.taken.len(), 1);
}

#[test]
fn a_message_over_the_limit_that_did_not_say_so_is_refused_and_the_session_goes_on() {
    for chunking in [Chunking::Never, Chunking::Always] {
        let mut server = server_config();
        server.limits = server.limits.with_message_size(65_536);
        let large = Action::Send(to(&["b@mx"]), "0123456789abc\r\n".repeat(10_000).into());
        let small = Action::Send(to(&["b@mx"]), b"x\r\n".to_vec());
        let mut run =
            Pair::new(client_config().with_chunking(chunking), server, &[large, small, QUIT], usize::MAX);
        run.run();
        assert_eq!(run.taken.len(), 1, "{:?}", run.events());
        let sent = run.events().into_iter().find(|event| event.starts_with("sent"));
        assert!(sent.is_some_and(|sent| sent.contains("not 552 5.3.4")), "{sent:?}");
        assert_eq!(run.server_ended, Some(Ok(())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any message gets through as its lines, by any method, in any pieces.
    #[test]
    fn what_is_written_arrives(
        pieces in proptest::collection::vec(
            prop_oneof![Just("\n"), Just("\r\n"), Just("."), Just("\r\n.\r\n"), Just("MAIL FROM:<x@y>\r\n"), Just("text")],
            0..200,
        ),
        chunking in 0..3usize,
        pipelining: bool,
        lmtp: bool,
        chop in 1..50usize,
    ) {
        let text = pieces.concat();
        let chunking = [Chunking::Auto, Chunking::Never, Chunking::Always][chunking];
        let mut client = client_config().with_chunking(chunking);
        let mut server = server_config();
        client.chunk_size = 1024;
        client.pipelining = pipelining;
        if lmtp {
            client.protocol = smtp_proto::client::Protocol::Lmtp;
            server.protocol = Protocol::Lmtp;
        }
        let mut expected = text.replace("\r\n", "\n").replace('\n', "\r\n");
        if !expected.is_empty() && !expected.ends_with("\r\n") {
            expected.push_str("\r\n");
        }
        let send = Action::Send(to(&["b@mx", "nobody@mx", "d@mx"]), text.into());
        let mut pair = Pair::new(client, server, &[send, QUIT], chop);
        pair.run();
        prop_assert_eq!(pair.taken.len(), 1);
        prop_assert_eq!(pair.taken[0].message.escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string());
        prop_assert_eq!(pair.server_ended, Some(Ok(())));
        prop_assert_eq!(pair.events().last().copied(), Some("closed"));
    }
}
