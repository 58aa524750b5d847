//! From the greeting to [`Event::Ready`]: EHLO, STARTTLS, EHLO again, AUTH.

use super::machine::{Phase, knows_helo_only};
use super::replies::Expect;
use super::{Client, ClientError, Event, Protocol, Stage, TlsPolicy};
use crate::types::{Capabilities, Command, Reply, Verb};
use mail_wire::Secret;
use mail_wire::sasl::{self, ChooseError, ClientParams, Mechanism, MechanismSet, Nonce, wire};

/// Longest AUTH command that may carry an initial response, in bytes with CRLF (RFC 4954 §4).
const AUTH_LINE: usize = 512;

/// How far logging in has come.
#[derive(Debug, Default)]
pub(super) struct Login {
    /// Mechanisms that the server offered and then would not have.
    refused: MechanismSet,
    exchange: Exchange,
}

#[derive(Debug, Default)]
enum Exchange {
    #[default]
    None,
    Running(Box<sasl::Client>),
    /// Given up on our side; the server's reply to that is awaited.
    Cancelled(Mechanism, sasl::ClientError),
}

impl Client {
    /// The verb to begin with.
    pub(super) fn first_hello(&self) -> Verb {
        match self.config.protocol {
            Protocol::Smtp => Verb::Ehlo,
            Protocol::Lmtp => Verb::Lhlo,
        }
    }

    pub(super) fn say_hello(&mut self, verb: Verb) {
        let name = self.config.hello.clone();
        let command = match verb {
            Verb::Lhlo => Command::Lhlo(name),
            Verb::Helo => Command::Helo(name),
            _ => Command::Ehlo(name),
        };
        let issued = self.channel.issue(&command, Expect::Hello(verb));
        self.fail_on(issued);
    }

    pub(super) fn on_login_reply(&mut self, expect: Expect, reply: Reply) {
        match expect {
            Expect::Greeting => self.on_greeting(reply),
            Expect::Hello(verb) => self.on_hello(verb, reply),
            Expect::StartTls => self.on_starttls(reply),
            Expect::Auth => self.on_auth(reply),
            _ => self.on_auth_cancelled(),
        }
    }

    fn on_greeting(&mut self, reply: Reply) {
        let code = reply.code();
        if code.class() >= 4 {
            // RFC 5321 §3.1: 554 means that nothing but QUIT is of use.
            return self.give_up(ClientError::Refused { stage: Stage::Greeting, reply });
        }
        if code.get() != 220 {
            return self.fail(ClientError::UnexpectedReply { stage: Stage::Greeting, reply });
        }
        self.session.greeting = Some(reply);
        self.say_hello(self.first_hello());
    }

    fn on_hello(&mut self, verb: Verb, reply: Reply) {
        if reply.code().is_success() {
            let extended = verb != Verb::Helo;
            self.session.capabilities =
                if extended { Capabilities::from_reply(&reply) } else { Capabilities::default() };
            return self.after_hello();
        }
        if reply.code().is_intermediate() {
            return self.fail(ClientError::UnexpectedReply { stage: Stage::Hello, reply });
        }
        // RFC 5321 §3.2: a server that knows no EHLO is spoken to by HELO, where that is enough.
        let tls_missing = self.config.tls == TlsPolicy::Required && self.session.tls.is_none();
        if knows_helo_only(verb, &reply) && self.config.credentials.is_none() && !tls_missing {
            return self.say_hello(Verb::Helo);
        }
        self.give_up(ClientError::Refused { stage: Stage::Hello, reply });
    }

    fn after_hello(&mut self) {
        if self.session.tls.is_some() {
            return self.authenticate();
        }
        let offered = self.session.capabilities.starttls;
        match self.config.tls {
            TlsPolicy::Opportunistic | TlsPolicy::Required if offered => {
                let issued = self.channel.issue(&Command::StartTls, Expect::StartTls);
                self.fail_on(issued);
            }
            TlsPolicy::Required => self.give_up(ClientError::TlsNotOffered),
            TlsPolicy::Opportunistic => {
                self.events.push_back(Event::Unencrypted { refusal: None });
                self.authenticate();
            }
            TlsPolicy::Never | TlsPolicy::Implicit => self.authenticate(),
        }
    }

    fn on_starttls(&mut self, reply: Reply) {
        match reply.code().get() {
            220 if self.channel.recv.data().is_empty() => {
                if let Phase::Login(login) = core::mem::replace(&mut self.phase, Phase::Idle) {
                    self.phase = Phase::StartTls(login);
                }
            }
            // RFC 3207 §5: what stands behind the 220 was put there by somebody who wants it taken for the reply to a
            // command under TLS.
            220 => self.fail(ClientError::Injected),
            _ if reply.code().class() < 4 => {
                self.fail(ClientError::UnexpectedReply { stage: Stage::StartTls, reply });
            }
            _ if self.config.tls == TlsPolicy::Required => {
                self.give_up(ClientError::Refused { stage: Stage::StartTls, reply });
            }
            _ => {
                self.events.push_back(Event::Unencrypted { refusal: Some(reply) });
                self.authenticate();
            }
        }
    }

    fn authenticate(&mut self) {
        if self.config.credentials.is_none() {
            return self.ready();
        }
        self.try_mechanism(ClientError::NoMechanism);
    }

    /// Begins an exchange by the strongest mechanism that is left; if none is, ends with what `otherwise` says.
    fn try_mechanism(&mut self, otherwise: impl FnOnce(ChooseError) -> ClientError) {
        let (config, session) = (&self.config, &mut self.session);
        let (Some(credentials), Phase::Login(login)) = (&config.credentials, &self.phase) else { return };
        let binding = session.tls.as_ref().and_then(|tls| tls.channel_bindings.first());
        let policy = sasl::Policy {
            allow_plaintext: session.tls.is_some() || config.plaintext_auth_without_tls,
            channel_binding: binding.is_some(),
            allowed: config.mechanisms.difference(login.refused),
        };
        let offered = session.capabilities.auth;
        let mechanism = match sasl::choose(offered, credentials, &policy) {
            Ok(mechanism) => mechanism,
            Err(error) => return self.give_up(otherwise(error)),
        };
        let mut params = ClientParams::new(nonce(&self.random, session.exchanges), offered);
        if let Some(binding) = binding {
            params = params.with_channel_binding(binding.clone());
        }
        session.exchanges = session.exchanges.wrapping_add(1);
        match sasl::Client::new(mechanism, credentials, params) {
            Ok(exchange) => self.begin_exchange(exchange),
            Err(error) => self.give_up(ClientError::Sasl { mechanism, error }),
        }
    }

    fn begin_exchange(&mut self, mut exchange: sasl::Client) {
        let mechanism = exchange.mechanism().name();
        let room = AUTH_LINE.saturating_sub("AUTH  \r\n".len() + mechanism.len());
        let initial = exchange
            .initial_response()
            .map(|message| wire::encode_initial(message.expose()))
            .filter(|encoded| encoded.len() <= room);
        if initial.is_some() {
            exchange.take_initial_response();
        }
        // Room for the longest, since what grows leaves a copy behind.
        let mut line = Vec::with_capacity(AUTH_LINE);
        Command::Auth { mechanism: mechanism.into(), initial }.encode(&mut line);
        if let Phase::Login(login) = &mut self.phase {
            login.exchange = Exchange::Running(Box::new(exchange));
        }
        let issued = self.channel.issue_secret(&Secret::new(line), Expect::Auth);
        self.fail_on(issued);
    }

    fn on_auth(&mut self, reply: Reply) {
        let Phase::Login(login) = &mut self.phase else { return };
        let Exchange::Running(exchange) = &mut login.exchange else { return };
        let mechanism = exchange.mechanism();
        match reply.code().get() {
            334 => {
                let answer = answer(exchange, &reply);
                self.respond(mechanism, answer);
            }
            235 => match exchange.success(None) {
                Ok(()) => {
                    self.session.authenticated = Some(mechanism);
                    self.ready();
                }
                Err(error) => self.fail(ClientError::Sasl { mechanism, error }),
            },
            // Not this mechanism, says RFC 4954 §6 by these; perhaps another. 535 is about the credentials, and others
            // would be as wrong.
            500 | 502 | 504 | 534 | 538 => {
                login.refused.insert(mechanism);
                self.try_mechanism(|_| ClientError::AuthRefused { mechanism, reply, token_error: None });
            }
            400..600 => {
                let token_error = exchange.token_error().cloned().map(Box::new);
                self.give_up(ClientError::AuthRefused { mechanism, reply, token_error });
            }
            _ => self.fail(ClientError::UnexpectedReply { stage: Stage::Auth, reply }),
        }
    }

    fn respond(&mut self, mechanism: Mechanism, answer: Result<Secret, sasl::ClientError>) {
        let (text, expect) = match answer {
            Ok(response) => (wire::encode(response.expose()), Expect::Auth),
            Err(error) => {
                // RFC 4954 §4: a client that gives up says so by `*`.
                if let Phase::Login(login) = &mut self.phase {
                    login.exchange = Exchange::Cancelled(mechanism, error);
                }
                (wire::CANCEL.into(), Expect::AuthCancel)
            }
        };
        let mut line = Vec::with_capacity(text.len() + 2);
        line.extend_from_slice(text.expose());
        line.extend_from_slice(b"\r\n");
        let issued = self.channel.issue_secret(&Secret::new(line), expect);
        self.fail_on(issued);
    }

    /// Whatever the server says to that: there is no falling back to a weaker mechanism with a server that could not do
    /// the stronger one right.
    fn on_auth_cancelled(&mut self) {
        let Phase::Login(login) = &mut self.phase else { return };
        if let Exchange::Cancelled(mechanism, error) = core::mem::take(&mut login.exchange) {
            self.give_up(ClientError::Sasl { mechanism, error });
        }
    }

    fn ready(&mut self) {
        self.phase = Phase::Idle;
        self.channel.shrink();
        self.events.push_back(Event::Ready);
    }
}

/// A nonce of its own for each exchange on a connection.
fn nonce(random: &[u8; Client::RANDOM], exchange: u8) -> Nonce {
    let (nonces, _) = random.as_chunks::<18>();
    let count = nonces.len();
    let mut nonce = nonces[usize::from(exchange) % count];
    // More than one for each mechanism are used only where XCLIENT makes the client log in again.
    nonce[0] ^= exchange / 4;
    Nonce::from_random(nonce)
}

/// The answer to a challenge.
fn answer(exchange: &mut sasl::Client, reply: &Reply) -> Result<Secret, sasl::ClientError> {
    let text = reply.lines().next().unwrap_or_default();
    match wire::decode_challenge(text, wire::MAX_LINE) {
        Ok(challenge) => exchange.step(&challenge),
        // What LOGIN's challenges say is to be ignored, and some servers say it without base64.
        Err(_) if exchange.mechanism() == Mechanism::Login => exchange.step(text),
        Err(_) => Err(sasl::ClientError::MalformedChallenge { expected: "base64" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientConfig;
    use crate::types::HelloName;
    use mail_wire::sasl::Credentials;
    use mail_wire::{Connection, Step};
    use std::time::Instant;

    #[test]
    fn no_line_with_a_password_stays_in_memory_once_it_has_left() {
        for (mechanism, dialogue, last) in [
            (Mechanism::Plain, &["250-mx\r\n250 AUTH PLAIN\r\n"][..], "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"),
            (
                Mechanism::Login,
                &["250-mx\r\n250 AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n"],
                "c2VjcmV0\r\n",
            ),
        ] {
            let mut config = ClientConfig::new(HelloName::parse("c").unwrap())
                .with_tls(TlsPolicy::Never)
                .with_credentials(Credentials::password("alice", "secret"));
            config.plaintext_auth_without_tls = true;
            let now = Instant::now();
            let mut client = Client::new(config, [7; Client::RANDOM], now);
            for line in ["220 mx\r\n"].iter().chain(dialogue) {
                let left = client.io().send.len();
                client.sent(left, now);
                client.io().recv[..line.len()].copy_from_slice(line.as_bytes());
                client.received(line.len(), now);
                assert!(matches!(client.poll(), Step::Blocked));
            }
            assert_eq!(client.io().send, last.as_bytes(), "{mechanism}");
            client.sent(last.len() - 1, now);
            let memory = client.channel.send.tail();
            assert_eq!(memory[..last.len() - 1], vec![0; last.len() - 1], "{mechanism}");
        }
    }
}
