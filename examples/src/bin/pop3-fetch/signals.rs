//! [`Signals`]: what asks the program to stop.

use mailwright::client::exit::{Exit, Failure};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGHUP, SIGINT and SIGTERM, save those that the program was started to ignore, as nohup(1) and shells do. Listened to only
/// where something would be left behind.
pub(crate) struct Signals {
    hangup: Option<Signal>,
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let ignored = ignored();
        let listen = |kind: SignalKind| match ignored & 1 << (kind.as_raw_value() - 1) {
            0 => signal(kind).map(Some).map_err(|error| Failure::new(Exit::OsErr, error)),
            _ => Ok(None),
        };
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn next(&mut self) -> Failure {
        let name = tokio::select! {
            () = comes(&mut self.hangup) => "SIGHUP",
            () = comes(&mut self.interrupt) => "SIGINT",
            () = comes(&mut self.terminate) => "SIGTERM",
        };
        Failure::new(Exit::TempFail, format!("interrupted by {name} before the end"))
    }
}

async fn comes(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => core::future::pending().await,
    }
}

/// The signals that are ignored, the first in the lowest bit. None where the system does not tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
