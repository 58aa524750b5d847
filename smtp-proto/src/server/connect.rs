//! The beginning of a connection: the PROXY header, the embedder's leave, the greeting.

use super::config::EarlyTalkers;
use super::event::{Event, ServerError};
use super::machine::{Server, State, Timer};
use crate::types::{Refusal, Verdict};
use mail_wire::{ProxyHeader, Step};

impl Server {
    pub(super) fn read_proxy_header(&mut self) -> Option<Step<Event, ServerError>> {
        match ProxyHeader::parse(self.recv.data()) {
            Ok(None) => return self.blocked(),
            Err(error) => {
                self.close(Err(ServerError::Proxy(error)));
                return None;
            }
            Ok(Some((header, len))) => {
                self.recv.consume(len);
                // It is the proxy that is trusted, not whom it speaks for, also where it does not know who that is.
                self.session.peer.trusted = false;
                self.session.peer.identity = None;
                if let ProxyHeader::Proxied(addresses) = header {
                    self.session.peer.address = addresses.source;
                    self.session.peer.local = Some(addresses.destination);
                    self.session.peer.name = None;
                }
            }
        }
        self.state = Self::after_proxy(&self.config);
        None
    }

    pub(super) fn answer_connected(&mut self, verdict: Verdict) {
        self.asked();
        match verdict {
            Verdict::Refuse(refusal) => {
                self.reply_refusal(&refusal);
                self.close(Ok(()));
            }
            Verdict::Accept | Verdict::AcceptWith(_) => {
                self.state = State::Greeting;
                match self.config.early_talkers {
                    EarlyTalkers::Refuse { wait } => self.set_timer(Timer::Wait, wait),
                    EarlyTalkers::Tolerate => self.timers.clear(Timer::Wait as usize),
                }
            }
        }
    }

    pub(super) fn greet_when_due(&mut self) -> Option<Step<Event, ServerError>> {
        if matches!(self.config.early_talkers, EarlyTalkers::Refuse { .. }) {
            const EARLY: Refusal = Refusal::from_static(554, (5, 5, 0), "you talk before the greeting");
            if self.has_more_input() {
                self.reply_refusal(&EARLY);
                self.close(Err(ServerError::EarlyTalker));
                return None;
            }
            if self.timers.at(Timer::Wait as usize).is_some_and(|due| self.now < due) {
                return self.blocked();
            }
        }
        self.greet();
        None
    }

    /// Sends the greeting and begins the session.
    pub(super) fn greet(&mut self) {
        self.reply_greeting();
        self.await_command();
    }
}
