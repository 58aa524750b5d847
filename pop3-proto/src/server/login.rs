//! AUTHORIZATION: all ways of logging in, which lead to the opening of the maildrop.
//!
//! USER with PASS and the logins of the transport run as the SASL mechanisms that ask the same (PLAIN, EXTERNAL), so that names
//! are prepared, unknown users imitated and answers understood in one place.

use super::Maildrop;
use super::config::{TransportLogin, Utf8};
use super::event::{Event, Identity, LoginMethod, ServerError};
use super::language::Phrase;
use super::machine::{Asked, Server, Timer};
use super::maildrop::Opened;
use crate::types::{ApopDigest, ApopTimestamp, Refusal, UserName};
use core::time::Duration;
use mail_wire::line::Scan;
use mail_wire::sasl::{self, ChannelBinding, Failure, Mechanism, MechanismSet, wire};
use mail_wire::{Secret, Step};
use std::time::Instant;

type Next = Option<Step<Event, ServerError>>;

/// A login that is under way.
#[derive(Debug)]
pub(super) struct Attempt {
    method: LoginMethod,
    exchange: Exchange,
    /// When the client had said all that it has to say.
    since: Instant,
}

#[derive(Debug)]
enum Exchange {
    Sasl(Box<sasl::Server>),
    Apop {
        user: String,
        digest: ApopDigest,
    },
    /// What the client gave cannot be right, whatever is known of this user.
    Void {
        user: Box<str>,
    },
}

impl Server {
    /// The mechanisms that can be used now.
    pub(super) fn offered_mechanisms(&self) -> MechanismSet {
        let mut mechanisms = self.config.mechanisms;
        if !self.takes_plaintext() {
            mechanisms = mechanisms.without_plaintext();
        }
        if self.channel_bindings().is_empty() {
            mechanisms = mechanisms.without_channel_binding();
        }
        // RFC 4422 appendix A: of use only where something below has shown who the client is.
        if !self.has_shown_identity() {
            mechanisms.remove(Mechanism::External);
        }
        mechanisms
    }

    /// Whether passwords may come as they are.
    pub(super) fn takes_plaintext(&self) -> bool {
        self.session.is_confidential() || self.config.plaintext_auth_without_tls
    }

    /// Whether USER and PASS can be used now.
    pub(super) fn offers_user(&self) -> bool {
        match self.config.transport_login {
            TransportLogin::UserPass => true,
            _ => self.config.user && self.takes_plaintext(),
        }
    }

    fn has_shown_identity(&self) -> bool {
        self.session.tls.as_ref().is_some_and(|tls| tls.peer_identity.is_some())
            || self.session.transport.is_some()
            || self.session.peer.identity.is_some()
    }

    fn channel_bindings(&self) -> &[ChannelBinding] {
        self.session.tls.as_ref().map_or(&[], |tls| &tls.channel_bindings)
    }

    pub(super) fn user(&mut self, name: UserName) -> Next {
        if !self.config.user && !self.config.rpop && !self.offers_user() {
            self.error(Phrase::UnknownCommand);
        } else if !self.takes_plaintext() && !self.offers_user() {
            self.error(Phrase::NeedTls);
        } else if self.is_foreign(&name) {
            self.error(Phrase::AsciiOnly);
        } else {
            // RFC 1939 §7 allows to say no to an unknown name; that would tell which are known.
            self.session.user = Some(name);
            self.ok(Phrase::SendPass);
        }
        None
    }

    /// Whether a name needs what UTF8 does not offer (RFC 6856 §2.2).
    fn is_foreign(&self, name: &UserName) -> bool {
        self.config.utf8 != Utf8::WithUsers && !name.as_str().is_ascii()
    }

    pub(super) fn pass(&mut self, password: &Secret) -> Next {
        let name = self.session.user.take()?;
        if !self.offers_user() {
            self.error(if self.config.user { Phrase::NeedTls } else { Phrase::UnknownCommand });
            return None;
        }
        if self.config.transport_login == TransportLogin::UserPass {
            return self.transport_login(Some(&name));
        }
        // RFC 6856 §2.2
        if self.config.utf8 == Utf8::WithUsers && password.expose_str().is_none() {
            return self.fail_at_once(LoginMethod::User, &name);
        }
        let message = [b"\0", name.as_str().as_bytes(), b"\0", password.expose()].concat();
        self.attempt(LoginMethod::User, Mechanism::Plain, &Secret::new(message))
    }

    pub(super) fn rpop(&mut self, client_user: &UserName) -> Next {
        let name = self.session.user.take()?;
        if !self.config.rpop {
            self.error(Phrase::UnknownCommand);
            return None;
        }
        let method = LoginMethod::Rpop { client_user: client_user.as_str().into() };
        self.attempt(method, Mechanism::External, &Secret::new(name.as_str()))
    }

    /// A login for which the transport speaks, as this user or as whom the embedder finds.
    pub(super) fn transport_login(&mut self, name: Option<&UserName>) -> Next {
        let name = name.map_or("", UserName::as_str);
        self.attempt(LoginMethod::Transport, Mechanism::External, &Secret::new(name))
    }

    /// Runs an exchange that is over with the client's first message.
    fn attempt(&mut self, method: LoginMethod, mechanism: Mechanism, message: &Secret) -> Next {
        let mut exchange = Box::new(sasl::Server::new(mechanism, self.sasl_params()));
        let step = exchange.step(Some(message.expose()));
        self.begin(method, Exchange::Sasl(exchange));
        self.exchange_step(step)
    }

    fn begin(&mut self, method: LoginMethod, exchange: Exchange) {
        self.session.user = None;
        self.login = Some(Attempt { method, exchange, since: self.now });
    }

    /// Refuses what cannot be right, after the time that what is wrong takes.
    fn fail_at_once(&mut self, method: LoginMethod, user: &UserName) -> Next {
        self.begin(method, Exchange::Void { user: bounded(user.as_str()) });
        self.login_failed(Failure::Credentials)
    }

    fn sasl_params(&mut self) -> sasl::ServerParams {
        let nonce = self.next_nonce();
        sasl::ServerParams::new(nonce, self.config.decoy.clone())
            .with_cram_stamp(&*self.config.hostname, 0)
            .with_max_message(self.config.limits.auth_line())
    }

    fn next_nonce(&mut self) -> sasl::Nonce {
        self.counters.nonces += 1;
        sasl::Nonce::derive(&self.entropy, self.counters.nonces)
    }

    /// A timestamp that no other connection has.
    pub(super) fn make_timestamp(&mut self) -> Option<ApopTimestamp> {
        let nonce = self.next_nonce();
        let is_good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let host: String = self.config.hostname.chars().map(|c| if is_good(&c) { c } else { '-' }).collect();
        let stamp = |host: &str| ApopTimestamp::new(format!("<{}@{host}>", nonce.as_str()));
        stamp(&host).or_else(|_| stamp("localhost")).ok()
    }

    pub(super) fn apop(&mut self, user: UserName, digest: ApopDigest) -> Next {
        if self.session.timestamp.is_none() {
            self.error(Phrase::UnknownCommand);
            return None;
        }
        if self.is_foreign(&user) {
            self.error(Phrase::AsciiOnly);
            return None;
        }
        let Some(name) = sasl::prepare_name(user.as_str()) else {
            return self.fail_at_once(LoginMethod::Apop, &user);
        };
        self.begin(LoginMethod::Apop, Exchange::Apop { user: name.clone(), digest });
        let question = sasl::Question::Credentials { mechanism: Mechanism::CramMd5, authcid: name };
        self.ask_login(question)
    }

    fn answer_apop(&mut self, user: String, digest: ApopDigest, answer: sasl::Answer) -> Next {
        let (name, stored) = match answer {
            sasl::Answer::Stored(stored) => (user, stored),
            sasl::Answer::StoredAs(name, stored) => (name, stored),
            _ => return self.login_failed(Failure::Unavailable),
        };
        let (secret, known) = stored.shared_secret(&name, &self.config.decoy);
        // RFC 6856 §2.2: SASLprep, where names and passwords may be UTF-8.
        let prepared = match self.config.utf8 {
            Utf8::WithUsers => sasl::prepare_password(&secret),
            Utf8::On | Utf8::Off => None,
        };
        let secret = prepared.unwrap_or(secret);
        let fits = self.session.timestamp.as_ref().is_some_and(|stamp| stamp.digest(&secret) == digest);
        if !(fits && known) {
            return self.login_failed(Failure::Credentials);
        }
        self.logged_in(Identity { method: LoginMethod::Apop, authcid: name.clone(), authzid: name })
    }

    pub(super) fn auth(&mut self, name: &str, initial: Option<Secret>) -> Next {
        self.session.user = None;
        let mechanism = Mechanism::parse(name);
        match mechanism {
            Some(mechanism) if self.offered_mechanisms().contains(mechanism) => {
                return self.begin_exchange(mechanism, initial);
            }
            _ if self.config.mechanisms.is_empty() => self.error(Phrase::UnknownCommand),
            Some(mechanism)
                if self.config.mechanisms.contains(mechanism)
                    && mechanism.is_plaintext()
                    && !self.takes_plaintext() =>
            {
                self.error(Phrase::NeedTls);
            }
            _ => self.error(Phrase::UnknownMechanism),
        }
        None
    }

    /// `AUTH` alone, as clients from before CAPA send it.
    pub(super) fn auth_list(&mut self) -> Next {
        let mechanisms = self.offered_mechanisms();
        if mechanisms.is_empty() {
            self.error(Phrase::UnknownCommand);
            return None;
        }
        self.ok(Phrase::MechanismsFollow);
        for mechanism in mechanisms.iter() {
            self.send.push(mechanism.name().as_bytes());
            self.end_line();
        }
        self.end_lines();
        None
    }

    fn begin_exchange(&mut self, mechanism: Mechanism, initial: Option<Secret>) -> Next {
        let limit = self.config.limits.auth_line();
        let initial = match wire::decode_initial(initial.as_ref().map(Secret::expose), limit) {
            Ok(initial) => initial,
            Err(error) => return self.bad_response(error),
        };
        let mut params = self.sasl_params();
        if self.offered_mechanisms() != self.offered_mechanisms().without_channel_binding() {
            for binding in self.channel_bindings() {
                params = params.with_channel_binding(binding.clone());
            }
        }
        let mut exchange = Box::new(sasl::Server::new(mechanism, params));
        let step = exchange.step(initial.as_ref().map(Secret::expose));
        self.begin(LoginMethod::Sasl(mechanism), Exchange::Sasl(exchange));
        self.exchange_step(step)
    }

    /// Reads a response line.
    pub(super) fn read_response(&mut self) -> Next {
        let limit = self.config.limits.auth_line();
        let line = match self.scanner.scan(self.recv.data(), limit) {
            Scan::Partial => return self.blocked(),
            Scan::TooLong => {
                self.login = None;
                self.error(Phrase::LineTooLong);
                self.discard_rest_of_line();
                return None;
            }
            Scan::Line(line) => line,
        };
        let response = match line.flaw {
            None => wire::decode_response(&self.recv.data()[..line.text], limit),
            Some(_) => Err(wire::DecodeError::BadBase64),
        };
        self.recv.consume_secret(line.total);
        let response = match response {
            Ok(response) => response,
            Err(error) => return self.bad_response(error),
        };
        let now = self.now;
        let Some(Attempt { exchange: Exchange::Sasl(exchange), since, .. }) = &mut self.login else {
            return None;
        };
        *since = now;
        let step = exchange.step(Some(response.expose()));
        self.exchange_step(step)
    }

    /// RFC 5034 §4: what to say of a response that is none.
    fn bad_response(&mut self, error: wire::DecodeError) -> Next {
        self.login = None;
        self.await_command();
        self.error(match error {
            wire::DecodeError::Cancelled => Phrase::AuthCancelled,
            wire::DecodeError::TooLong { .. } => Phrase::LineTooLong,
            _ => Phrase::BadBase64,
        });
        None
    }

    fn exchange_step(&mut self, step: sasl::Step) -> Next {
        match step {
            sasl::Step::Challenge(challenge) => {
                self.send.push(b"+ ");
                self.send.push(wire::encode(&challenge).expose());
                self.end_line();
                self.await_response();
                None
            }
            sasl::Step::Ask(question) => self.ask_login(question),
            sasl::Step::Success { identity, .. } => {
                let method = self.login.take()?.method;
                let sasl::Identity { authcid, authzid, .. } = identity;
                self.logged_in(Identity { method, authcid, authzid })
            }
            sasl::Step::Failed(failure) => self.login_failed(failure),
        }
    }

    fn ask_login(&mut self, question: sasl::Question) -> Next {
        let method = self.login.as_ref()?.method.clone();
        let pending = self.ask(Asked::Login);
        Some(Step::Event(Event::Login { method, question, pending }))
    }

    pub(super) fn answer_login(&mut self, answer: sasl::Answer) {
        self.asked();
        let next = match &mut self.login {
            None | Some(Attempt { exchange: Exchange::Void { .. }, .. }) => return,
            Some(Attempt { exchange: Exchange::Sasl(exchange), .. }) => {
                let step = exchange.answer(answer);
                self.exchange_step(step)
            }
            Some(Attempt { exchange: Exchange::Apop { user, digest }, .. }) => {
                let (user, digest) = (core::mem::take(user), *digest);
                self.answer_apop(user, digest, answer)
            }
        };
        if let Some(Step::Event(event)) = next {
            self.queued = Some(event);
        }
    }

    fn login_failed(&mut self, failure: Failure) -> Next {
        let Attempt { method, exchange, since } = self.login.take()?;
        let user = match &exchange {
            Exchange::Sasl(exchange) => exchange.claimed_user().map(bounded),
            Exchange::Apop { user, .. } => Some(bounded(user)),
            Exchange::Void { user } => Some(user.clone()),
        };
        self.await_command();
        let from = self.send.tail().len();
        if failure == Failure::Unavailable {
            self.err(Phrase::AuthUnavailable);
        } else {
            // One text for all that a client could learn from.
            self.err(Phrase::BadCredentials);
            self.counters.auth_failures += 1;
            if self.counters.auth_failures >= self.config.limits.auth_failures() {
                self.close(Err(ServerError::TooManyErrors));
            }
            let doubled = 1 << (self.counters.auth_failures - 1).min(4);
            let delay = self.config.timeouts.auth_failure_delay() * doubled;
            self.hold_since(from, next_multiple(since, delay, self.now));
        }
        if !self.session.greeted {
            // The transport speaks for the wrong one: there is nothing else that the client could try.
            self.close(Ok(()));
        }
        Some(Step::Event(Event::LoginFailed { method, failure, user }))
    }

    /// The client is known; its maildrop is to be opened.
    fn logged_in(&mut self, identity: Identity) -> Next {
        self.login = None;
        self.session.user = None;
        self.session.identity = Some(Box::new(identity.clone()));
        let pending = self.ask(Asked::Open);
        Some(Step::Event(Event::Open(identity, pending)))
    }

    pub(super) fn answer_open(&mut self, answer: Result<Maildrop, Refusal>) {
        if self.asked().is_none() {
            return;
        }
        match answer {
            Ok(maildrop) => {
                self.session.opened = Some(Box::new(Opened::new(maildrop)));
                self.timers.clear(Timer::Login as usize);
                if self.session.greeted {
                    self.ok(Phrase::Opened);
                } else {
                    self.greet();
                }
            }
            Err(refusal) => {
                self.session.identity = None;
                self.refuse_with(&refusal);
                if !self.session.greeted {
                    self.close(Ok(()));
                }
            }
        }
    }

    fn await_response(&mut self) {
        self.state = super::machine::State::Response;
        self.set_timer(Timer::Wait, self.config.timeouts.autologout());
    }
}

/// The first time not before `now` that lies a whole number of delays, at least one, behind `since`.
fn next_multiple(since: Instant, delay: Duration, now: Instant) -> Instant {
    let past = now.saturating_duration_since(since);
    if delay.is_zero() {
        return now;
    }
    let times = past.as_nanos().div_ceil(delay.as_nanos()).max(1);
    match u32::try_from(times) {
        Ok(times) => since + delay * times,
        Err(_) => now + delay,
    }
}

/// A name without what goes beyond the longest that a server must take (RFC 4616 §2).
fn bounded(name: &str) -> Box<str> {
    name[..name.floor_char_boundary(255)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_at_multiples_of_the_delay() {
        let since = Instant::now();
        let second = Duration::from_secs(1);
        for (past, due) in [(0, 1000), (3, 1000), (999, 1000), (1000, 1000), (1001, 2000), (7400, 8000)] {
            let past = Duration::from_millis(past);
            assert_eq!(next_multiple(since, second, since + past), since + Duration::from_millis(due));
        }
        assert_eq!(next_multiple(since, Duration::ZERO, since + second), since + second);
    }
}
