//! What happens when a time is up.

use super::event::{ServerError, Stage};
use super::machine::{Server, State, Timer};
use crate::types::Refusal;

impl Server {
    fn time_out(&mut self) {
        const TIMEOUT: Refusal = Refusal::from_static(421, (4, 4, 2), "timeout exceeded, closing connection");
        self.close(Err(ServerError::Timeout(self.stage())));
        self.reply_refusal(&TIMEOUT);
    }

    pub(super) fn wait_is_over(&mut self) {
        match &self.state {
            State::Asked(_) => {
                self.lane.cancel();
                self.abandon_question();
            }
            // The embedder holds the message up, not the client.
            State::Body(receiving) if receiving.is_lent() => {
                self.set_timer(Timer::Wait, self.config.timeouts.data_block);
            }
            // Polling sees that the time has come.
            State::Greeting => self.set_timer(Timer::Wait, core::time::Duration::ZERO),
            State::Proxy => self.close(Err(ServerError::Timeout(Stage::Connect))),
            State::ImplicitTls | State::StartTls => {
                self.send.purge();
                self.close(Err(ServerError::Timeout(Stage::Tls)));
            }
            State::Turned | State::Connect => {}
            State::Command | State::Discarding(_) | State::Response | State::Body(_) => self.time_out(),
        }
    }

    pub(super) fn rate_window_is_over(&mut self) {
        let State::Body(receiving) = &self.state else { return };
        let timeouts = &self.config.timeouts;
        let least = u64::from(timeouts.data_rate) * timeouts.rate_window.as_secs();
        if self.window_bytes < least && !receiving.is_lent() {
            return self.time_out();
        }
        self.window_bytes = 0;
        self.set_timer(Timer::Rate, timeouts.rate_window);
    }
}
