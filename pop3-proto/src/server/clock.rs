//! What happens when a time is up.

use super::event::ServerError;
use super::machine::{Server, State, Timer};

impl Server {
    pub(super) fn wait_is_over(&mut self) {
        match &self.state {
            State::Asked(_) => {
                self.lane.cancel();
                self.abandon_question();
            }
            // The client has yet to read what was written: that has a time of its own.
            State::Sending(_) if !self.send.is_empty() => {
                self.set_timer(Timer::Wait, self.config.timeouts.answer());
            }
            State::Sending(_) => self.close(Err(ServerError::BrokenOff)),
            State::Listing(_) => self.set_timer(Timer::Wait, self.config.timeouts.autologout()),
            State::ImplicitTls | State::StartTls => {
                self.send.purge();
                self.close(Err(ServerError::Timeout(self.stage())));
            }
            State::Proxy => self.close(Err(ServerError::Timeout(self.stage()))),
            State::Connect => {}
            // RFC 1939 §3: nothing is removed, and nothing is said.
            State::Command | State::Discarding(_) | State::Response => {
                self.close(Err(ServerError::Timeout(self.stage())));
            }
        }
    }

    pub(super) fn login_is_overdue(&mut self) {
        match &self.state {
            // The embedder may be about to let the client in.
            State::Asked(_) => self.set_timer(Timer::Login, self.config.timeouts.answer()),
            _ => self.close(Err(ServerError::Timeout(self.stage()))),
        }
    }
}
