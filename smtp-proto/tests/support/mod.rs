//! A server with a fixed policy, driven in memory with virtual time.
#![allow(dead_code, reason = "each test program uses a part of it")]

use mail_wire::sasl::{Answer, Mechanism, Question, Stored};
use mail_wire::{ReplyText, Secret};
use smtp_proto::server::{Delivered, Event, Peer, Protocol, Server, ServerConfig, VerifyAnswer};
use smtp_proto::types::{Domain, ForwardPath, Refusal, Verdict};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
pub(crate) use testkit::server::Drive;

pub(crate) fn config() -> ServerConfig {
    ServerConfig::new(Domain::parse("mx.example").expect("a domain"))
}

pub(crate) fn lmtp() -> ServerConfig {
    let mut config = config();
    config.protocol = Protocol::Lmtp;
    config
}

/// With AUTH PLAIN and LOGIN in plain text, for alice with the password `secret`.
pub(crate) fn with_auth() -> ServerConfig {
    let mut config = config();
    config.mechanisms = [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5].into_iter().collect();
    config.plaintext_auth_without_tls = true;
    config.timeouts.auth_failure_delay = Duration::ZERO;
    config
}

/// A server and what has come out of it.
pub(crate) struct Driven {
    pub(crate) played: testkit::server::Played<Server>,
    /// Messages that were accepted.
    pub(crate) messages: Vec<Vec<u8>>,
    /// Messages that were given up: refused, or dropped by RSET or the end.
    pub(crate) dropped: usize,
    /// Names of events in the order they came, without bodies.
    pub(crate) events: Vec<&'static str>,
    /// The user of each login that failed.
    pub(crate) failed_users: Vec<Option<Box<str>>>,
    recipients: Vec<String>,
    message: Option<Vec<u8>>,
}

impl Driven {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self::from_peer(config, Peer::new("192.0.2.7:50000".parse().expect("an address")))
    }

    pub(crate) fn from_peer(config: ServerConfig, peer: Peer) -> Self {
        let server = |now| Server::new(Arc::new(config), peer, [7; Server::RANDOM], now);
        let mut driven = Self {
            played: testkit::server::Played::new(server),
            messages: Vec::new(),
            dropped: 0,
            events: Vec::new(),
            failed_users: Vec::new(),
            recipients: Vec::new(),
            message: None,
        };
        driven.run();
        driven
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

    fn on_close(&mut self) {
        if self.message.take().is_some() {
            self.dropped += 1;
        }
    }

    fn on_event(&mut self, event: Event) {
        let server = &mut self.played.server;
        self.events.push(match event {
            Event::Connected(pending) => {
                server.accept(pending);
                "connected"
            }
            Event::Hello(_, pending) => {
                server.accept(pending);
                self.recipients.clear();
                "hello"
            }
            Event::Mail { pending, .. } => {
                server.accept(pending);
                self.recipients.clear();
                "mail"
            }
            Event::Recipient { to, pending, .. } => {
                let verdict = recipient_verdict(&to);
                if verdict == Verdict::Accept {
                    self.recipients.push(to.to_string());
                }
                server.answer(pending, verdict);
                "recipient"
            }
            Event::Message(pending) => {
                self.message = Some(Vec::new());
                server.accept(pending);
                "message"
            }
            Event::Body => {
                let message = self.message.as_mut().expect("a body only comes within a message");
                message.extend_from_slice(server.body());
                server.consume(server.body().len());
                return;
            }
            Event::MessageRefused(_) => {
                self.message = None;
                self.dropped += 1;
                "refused"
            }
            Event::MessageEnd(pending) => {
                self.messages.push(self.message.take().expect("only a message that began can end"));
                let verdicts = self.recipients.iter().map(|to| match to.contains("full") {
                    true => Refusal::MAILBOX_FULL.into(),
                    false => Verdict::Accept,
                });
                server.answer(pending, Delivered::Each(verdicts.collect()));
                "end"
            }
            Event::Reset => {
                if self.message.take().is_some() {
                    self.dropped += 1;
                }
                "reset"
            }
            Event::Sasl(question, pending) => {
                server.answer(pending, sasl_answer(question));
                "sasl"
            }
            Event::Authenticated => "authenticated",
            Event::AuthenticationFailed { user, .. } => {
                self.failed_users.push(user);
                "authentication failed"
            }
            Event::Verify(text, pending) | Event::Expand(text, pending) => {
                let answer = match text.text() {
                    "bob" => VerifyAnswer::Found(vec![ReplyText::from_static("Bob <bob@mx.example>")]),
                    "δοκιμή" => {
                        VerifyAnswer::Found(vec![ReplyText::new("<δοκιμή@mx.example>").expect("printable")])
                    }
                    "nobody" => VerifyAnswer::Refuse(Refusal::NO_SUCH_USER),
                    _ => VerifyAnswer::CannotVerify,
                };
                server.answer(pending, answer);
                "verify"
            }
            Event::Etrn(_, pending) => {
                server.accept(pending);
                "etrn"
            }
            Event::Atrn(_, pending) => {
                server.accept(pending);
                "atrn"
            }
            Event::Turned => "turned",
            Event::Xclient(_, pending) => {
                server.accept(pending);
                "xclient"
            }
            Event::Xforward(_, pending) => {
                server.accept(pending);
                "xforward"
            }
            other => panic!("unexpected event {other:?}"),
        });
    }
}

/// Mail for bob, alice, full and postmaster is taken; relaying is refused.
fn recipient_verdict(to: &ForwardPath) -> Verdict {
    let Some(mailbox) = to.mailbox() else { return Verdict::Accept };
    if mailbox.domain() != "mx.example" {
        return Refusal::RELAY_DENIED.into();
    }
    match &*mailbox.local_part_unquoted() {
        "bob" | "alice" | "full" | "Postmaster" | "δοκιμή" => Verdict::Accept,
        local if local.starts_with("user") => Verdict::Accept,
        _ => Refusal::NO_SUCH_USER.into(),
    }
}

fn sasl_answer(question: Question) -> Answer {
    match question {
        Question::VerifyPassword { authcid, password, .. } if authcid == "alice" => {
            if password == Secret::new("secret") { Answer::Accepted } else { Answer::Rejected }
        }
        Question::Credentials { authcid, .. } if authcid == "alice" => {
            Answer::Stored(Stored::Plain(Secret::new("secret")))
        }
        Question::Credentials { .. } => Answer::Stored(Stored::Unknown),
        _ => Answer::Rejected,
    }
}
