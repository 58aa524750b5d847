//! A server with a fixed policy, driven in memory with virtual time.
#![allow(dead_code, reason = "each test program uses a part of it")]

use mail_wire::Secret;
use mail_wire::sasl::{Answer, Decoy, Question, Stored};
use pop3_proto::server::{Event, LoginMethod, Maildrop, Peer, Server, ServerConfig, UniqueIds};
use pop3_proto::types::{ApopTimestamp, Refusal};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
pub(crate) use testkit::server::Drive;

/// Passwords in plain text, no delays.
pub(crate) fn config() -> ServerConfig {
    let mut config = ServerConfig::new("dbc.mtview.ca.us");
    config.plaintext_auth_without_tls = true;
    config.decoy = Decoy::new(vec![1; 32]).imitating_plain();
    config.timeouts =
        config.timeouts.with_auth_failure_delay(Duration::ZERO).with_error_delay(Duration::ZERO);
    config
}

/// The two messages of RFC 1939 §10: 120 and 200 octets. The first has a line that begins with a dot.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let first = b"Subject: first\r\nFrom: a@b\r\n\r\n.dot\r\n..\r\nline 3\r\n".to_vec();
    let second = b"Subject: second\n\n".to_vec();
    let fill = |mut message: Vec<u8>, octets: usize| {
        let newlines = message.iter().filter(|b| **b == b'\n').count()
            - message.windows(2).filter(|pair| *pair == b"\r\n").count();
        let rest = octets - message.len() - newlines;
        message.extend(std::iter::repeat_n(b'x', rest - 2));
        message.extend_from_slice(if newlines > 0 { b"\n" } else { b"\r\n" });
        message
    };
    vec![fill(first, 120), fill(second, 200)]
}

/// Octets as they are sent.
pub(crate) fn wire_size(message: &[u8]) -> u64 {
    let newlines = message.iter().filter(|b| **b == b'\n').count();
    let pairs = message.windows(2).filter(|pair| *pair == b"\r\n").count();
    let unfinished = if message.is_empty() || message.ends_with(b"\n") { 0 } else { 2 };
    (message.len() + newlines - pairs + unfinished) as u64
}

/// A server and what has come out of it.
pub(crate) struct Driven {
    pub(crate) played: testkit::server::Played<Server>,
    pub(crate) messages: Vec<Vec<u8>>,
    /// Unique-ids, one for each message.
    pub(crate) ids: Vec<String>,
    /// Numbers removed by QUIT, once it came.
    pub(crate) removed: Option<Vec<u32>>,
    /// Names of events in the order they came.
    pub(crate) events: Vec<&'static str>,
    /// The user of each login that failed.
    pub(crate) failed_users: Vec<Option<Box<str>>>,
    /// How many bytes of messages were handed to the machine.
    pub(crate) handed: usize,
    sending: Option<(usize, usize)>,
    writes: usize,
}

impl Driven {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self::with(config, |_| {})
    }

    /// `prepare` gets the server before it is polled.
    pub(crate) fn with(config: ServerConfig, prepare: impl FnOnce(&mut Server)) -> Self {
        let peer = Peer::new("192.0.2.7:50000".parse().expect("an address"));
        Self::from_peer(config, peer, prepare)
    }

    pub(crate) fn from_peer(config: ServerConfig, peer: Peer, prepare: impl FnOnce(&mut Server)) -> Self {
        let mut inner =
            testkit::server::Played::new(|now| Server::new(Arc::new(config), peer, [7; Server::RANDOM], now));
        inner.server.set_apop_timestamp(
            ApopTimestamp::new("<1896.697170952@dbc.mtview.ca.us>").expect("a timestamp"),
        );
        prepare(&mut inner.server);
        let mut driven = Self {
            played: inner,
            messages: messages(),
            ids: vec!["whqtswO00WBw418f9t5JxYwZ".into(), "QhdPYR:00WBw1Ph7x7".into()],
            removed: None,
            events: Vec::new(),
            failed_users: Vec::new(),
            handed: 0,
            sending: None,
            writes: usize::MAX,
        };
        driven.run();
        driven
    }

    /// A session of mrose's, with so many bytes of a message handed over at a time.
    pub(crate) fn logged_in(config: ServerConfig, messages: Vec<Vec<u8>>) -> Self {
        let mut driven = Self::new(config);
        driven.ids = (1..=messages.len()).map(|number| format!("id-{number}")).collect();
        driven.messages = messages;
        driven.feed(b"USER mrose\r\nPASS tanstaaf\r\n", usize::MAX);
        assert!(driven.sent().ends_with("maildrop locked and ready\r\n"));
        driven
    }

    pub(crate) fn by_pieces_of(mut self, bytes: usize) -> Self {
        self.writes = bytes;
        self
    }
}

impl Deref for Driven {
    type Target = testkit::server::Played<Server>;

    fn deref(&self) -> &Self::Target {
        &self.played
    }
}

impl DerefMut for Driven {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.played
    }
}

impl Drive for Driven {
    type Server = Server;

    fn on_event(&mut self, event: Event) {
        let server = &mut self.played.server;
        self.events.push(match event {
            Event::Connected(pending) => {
                server.accept(pending);
                "connected"
            }
            Event::Login { method, question, pending } => {
                let transport = server.transport().map(|peer| peer.identity.clone());
                server.answer(pending, answer(&method, question, transport.as_deref()));
                "login"
            }
            Event::LoginFailed { user, .. } => {
                self.failed_users.push(user);
                "login failed"
            }
            Event::Open(identity, pending) => {
                let sizes = self.messages.iter().map(|message| wire_size(message));
                let maildrop: Result<Maildrop, Refusal> = match &*identity.authzid {
                    "busy" => Err(Refusal::IN_USE),
                    "eager" => Err(Refusal::LOGIN_DELAY),
                    "broken" => Err(Refusal::TEMPORARY),
                    "special" => Ok(sizes.collect::<Maildrop>().with_expire(None).with_login_delay(60)),
                    _ => Ok(sizes.collect()),
                };
                server.answer(pending, maildrop);
                "open"
            }
            Event::UniqueIds(pending) => {
                let mut ids = UniqueIds::new();
                self.ids.iter().for_each(|id| ids.push(id).expect("a unique-id"));
                server.answer(pending, Ok(ids));
                "unique-ids"
            }
            Event::Retrieve { number, pending, .. } => {
                let message = &self.messages[number.index()];
                if message == b"gone" {
                    server.refuse(pending, Refusal::MESSAGE_GONE);
                } else if message == b"utf8" && !server.is_utf8() {
                    server.refuse(pending, Refusal::NEEDS_UTF8);
                } else {
                    server.accept(pending);
                    self.sending = Some((number.index(), 0));
                }
                "retrieve"
            }
            Event::Body => {
                let (index, at) = self.sending.as_mut().expect("a body only comes within a message");
                let message = &self.messages[*index];
                let piece = &message[*at..message.len().min(at.saturating_add(self.writes))];
                let taken = server.write_body(piece);
                self.handed += piece.len();
                *at += taken;
                if *at == message.len() {
                    server.finish_body();
                    self.sending = None;
                }
                return;
            }
            Event::BodyEnough => {
                server.finish_body();
                self.sending = None;
                "enough"
            }
            Event::Commit(deleted, pending) => {
                let numbers: Vec<u32> = deleted.iter().map(|number| number.get()).collect();
                if self.messages.iter().any(|message| message == b"stuck") {
                    server.refuse(pending, Refusal::NOT_REMOVED);
                } else {
                    server.accept(pending);
                }
                self.removed = Some(numbers);
                "commit"
            }
            other => panic!("unexpected event {other:?}"),
        });
    }
}

/// Mrose has the password `tanstaaf`; so have those whose maildrops cannot be opened.
fn answer(method: &LoginMethod, question: Question, transport: Option<&str>) -> Answer {
    let known =
        |name: &str| matches!(name, "mrose" | "busy" | "eager" | "broken" | "special" | "m rose" | "grün");
    match question {
        Question::VerifyPassword { authcid, password, .. } if known(&authcid) => {
            let right = if authcid == "grün" { "weiß" } else { "tanstaaf" };
            if password == Secret::new(right) { Answer::Accepted } else { Answer::Rejected }
        }
        Question::Credentials { authcid, .. } if authcid == "grün" => {
            Answer::Stored(Stored::Plain(Secret::new("wei\u{ad}ß")))
        }
        Question::Credentials { authcid, .. } if authcid == "ghost" => {
            Answer::Stored(Stored::Imitation(Box::new(Stored::Plain(Secret::new("tanstaaf")))))
        }
        Question::Credentials { authcid, .. } if known(&authcid) => {
            Answer::Stored(Stored::Plain(Secret::new("tanstaaf")))
        }
        Question::Credentials { .. } => Answer::Stored(Stored::Unknown),
        Question::External { authzid } => match (method, authzid, transport) {
            (LoginMethod::Rpop { client_user }, Some(user), _) if **client_user == *user => Answer::Accepted,
            (LoginMethod::Transport, Some(user), Some(principal))
                if principal == format!("{user}@EXAMPLE.ORG") =>
            {
                Answer::Accepted
            }
            (LoginMethod::Transport, None, Some("mrose@EXAMPLE.ORG")) => Answer::AcceptedAs("mrose".into()),
            _ => Answer::Rejected,
        },
        _ => Answer::Rejected,
    }
}
