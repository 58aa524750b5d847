//! AUTH (RFC 4954): the SASL exchange in lines of base64.

use super::event::{Event, ServerError};
use super::machine::{Asked, Server};
use super::replies::Positive;
use crate::types::Refusal;
use mail_wire::line::Scan;
use mail_wire::sasl::{self, ChannelBinding, Failure, Mechanism, MechanismSet, wire};
use mail_wire::{Secret, Step};

type Next = Option<Step<Event, ServerError>>;

impl Server {
    /// The mechanisms that can be used now.
    pub(super) fn offered_mechanisms(&self) -> MechanismSet {
        let mut mechanisms = self.config.mechanisms;
        if self.session.tls.is_none() && !self.config.plaintext_auth_without_tls {
            mechanisms = mechanisms.without_plaintext();
        }
        if self.channel_bindings().is_empty() {
            mechanisms = mechanisms.without_channel_binding();
        }
        // RFC 4422 appendix A: of use only where something below has shown who the client is.
        if self.shown_identity().is_none() {
            mechanisms.remove(Mechanism::External);
        }
        mechanisms
    }

    /// Who the client is by its certificate, or by what the embedder knows.
    fn shown_identity(&self) -> Option<&str> {
        let certified = self.session.tls.as_ref().and_then(|tls| tls.peer_identity.as_deref());
        certified.or(self.session.peer.identity.as_deref())
    }

    fn channel_bindings(&self) -> &[ChannelBinding] {
        self.session.tls.as_ref().map_or(&[], |tls| &tls.channel_bindings)
    }

    pub(super) fn auth(&mut self, name: &str, initial: Option<Secret>) -> Next {
        const AGAIN: Refusal = Refusal::from_static(503, (5, 5, 1), "already authenticated");
        const NOT_OFFERED: Refusal = Refusal::from_static(503, (5, 5, 1), "authentication not offered");
        const UNKNOWN: Refusal =
            Refusal::from_static(504, (5, 5, 4), "authentication mechanism not supported");
        const NEEDS_TLS: Refusal =
            Refusal::from_static(538, (5, 7, 11), "encryption required for this authentication mechanism");
        let mechanism = Mechanism::parse(name);
        let refusal = if self.session.identity.is_some() {
            AGAIN
        } else if self.config.mechanisms == MechanismSet::EMPTY || !self.session.extended {
            NOT_OFFERED
        } else {
            match mechanism {
                Some(mechanism) if self.offered_mechanisms().contains(mechanism) => {
                    return self.begin_exchange(mechanism, initial);
                }
                Some(mechanism)
                    if self.config.mechanisms.contains(mechanism) && self.session.tls.is_none() =>
                {
                    NEEDS_TLS
                }
                _ => UNKNOWN,
            }
        };
        self.reply_error(&refusal);
        None
    }

    fn begin_exchange(&mut self, mechanism: Mechanism, initial: Option<Secret>) -> Next {
        let initial = match wire::decode_initial(initial.as_ref().map(Secret::expose), self.sasl_limit()) {
            Ok(initial) => initial,
            Err(error) => return self.bad_response(error),
        };
        let nonce = sasl::Nonce::derive(&self.entropy, u64::from(self.counters.exchanges));
        self.counters.exchanges += 1;
        let mut params = sasl::ServerParams::new(nonce, self.config.decoy.clone())
            .with_cram_stamp(self.config.hostname.as_str(), 0)
            .with_max_message(self.sasl_limit());
        if self.offered_mechanisms() != self.offered_mechanisms().without_channel_binding() {
            for binding in self.channel_bindings() {
                params = params.with_channel_binding(binding.clone());
            }
        }
        let mut exchange = Box::new(sasl::Server::new(mechanism, params));
        let step = exchange.step(initial.as_ref().map(Secret::expose));
        self.login = Some(exchange);
        self.exchange_step(step)
    }

    fn sasl_limit(&self) -> usize {
        self.config.limits.auth_line()
    }

    /// Reads a response line.
    pub(super) fn read_response(&mut self) -> Next {
        const TOO_LONG: Refusal =
            Refusal::from_static(500, (5, 5, 6), "authentication exchange line is too long");
        let line = match self.scanner.scan(self.recv.data(), self.config.limits.auth_line()) {
            Scan::Partial => return self.blocked(),
            Scan::TooLong => {
                self.login = None;
                self.reply_error(&TOO_LONG);
                self.discard_rest_of_line();
                return None;
            }
            Scan::Line(line) => line,
        };
        let response = match line.flaw {
            None => wire::decode_response(&self.recv.data()[..line.text], self.sasl_limit()),
            Some(_) => Err(wire::DecodeError::BadBase64),
        };
        self.recv.consume_secret(line.total);
        let response = match response {
            Ok(response) => response,
            Err(error) => return self.bad_response(error),
        };
        let Some(exchange) = &mut self.login else { return None };
        let step = exchange.step(Some(response.expose()));
        self.exchange_step(step)
    }

    /// RFC 4954 §4: what to say of a response that is none.
    fn bad_response(&mut self, error: wire::DecodeError) -> Next {
        self.login = None;
        self.await_command();
        let refusal = match error {
            wire::DecodeError::Cancelled => Refusal::from_static(501, (5, 7, 0), "authentication cancelled"),
            wire::DecodeError::TooLong { .. } => {
                Refusal::from_static(500, (5, 5, 6), "authentication exchange line is too long")
            }
            _ => Refusal::from_static(501, (5, 5, 2), "cannot base64-decode the response"),
        };
        self.reply_error(&refusal);
        None
    }

    fn exchange_step(&mut self, step: sasl::Step) -> Next {
        match step {
            sasl::Step::Challenge(challenge) => {
                self.send.push(b"334 ");
                self.send.push(wire::encode(&challenge).expose());
                self.send.push(b"\r\n");
                self.await_response();
                None
            }
            sasl::Step::Ask(question) => {
                let pending = self.ask(Asked::Sasl);
                Some(Step::Event(Event::Sasl(question, pending)))
            }
            sasl::Step::Success { identity, .. } => {
                self.login = None;
                self.await_command();
                self.session.identity = Some(Box::new(identity));
                self.reply(&Positive::new(235, (2, 7, 0), "authentication succeeded"));
                Some(Step::Event(Event::Authenticated))
            }
            sasl::Step::Failed(failure) => self.exchange_failed(failure),
        }
    }

    fn exchange_failed(&mut self, failure: Failure) -> Next {
        let exchange = self.login.take()?;
        let mechanism = exchange.mechanism();
        let user = exchange.claimed_user().map(bounded);
        self.await_command();
        let from = self.send.tail().len();
        // One text for all that a client could learn from (RFC 4954 §6).
        let refusal = match failure {
            Failure::Unavailable => Refusal::from_static(454, (4, 7, 0), "temporary authentication failure"),
            Failure::Malformed { .. } => {
                Refusal::from_static(501, (5, 5, 2), "malformed authentication response")
            }
            Failure::TooLong { .. } => {
                Refusal::from_static(500, (5, 5, 6), "authentication exchange line is too long")
            }
            _ => Refusal::from_static(535, (5, 7, 8), "authentication credentials invalid"),
        };
        self.reply_refusal(&refusal);
        self.counters.auth_failures += 1;
        if self.counters.auth_failures >= self.config.limits.auth_failures() {
            const TOO_MANY: Refusal =
                Refusal::from_static(421, (4, 7, 0), "too many authentication failures");
            self.close(Err(ServerError::TooManyErrors));
            self.reply_refusal(&TOO_MANY);
        }
        let delay = self.config.timeouts.auth_failure_delay * (1 << (self.counters.auth_failures - 1).min(4));
        self.hold_since(from, delay);
        Some(Step::Event(Event::AuthenticationFailed { mechanism, failure, user }))
    }

    pub(super) fn answer_sasl(&mut self, answer: sasl::Answer) {
        self.asked();
        let Some(exchange) = &mut self.login else { return };
        let step = exchange.answer(answer);
        if let Some(Step::Event(event)) = self.exchange_step(step) {
            self.queued = Some(event);
        }
    }
}

/// A name without what goes beyond the longest that a server must take (RFC 4616 §2).
fn bounded(name: &str) -> Box<str> {
    name[..name.floor_char_boundary(255)].into()
}
