//! [`Settings`] of the driver, and [`Closed`]: how a connection ended.

use std::io;
use std::time::Duration;

use mail_wire::Layer;

use crate::tls::Tls;

/// What the driver needs to know besides the machine; one for all connections of a listener.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// What TLS is made with, where the machine asks for it.
    pub tls: Option<Tls>,
    /// How long a TLS handshake may take. 30 seconds by default.
    pub handshake_timeout: Duration,
    /// How long a peer may take no byte of what waits for it. 2 minutes by default.
    pub write_timeout: Duration,
    /// How long the last bytes and the closing of TLS may take. 10 seconds by default.
    pub close_timeout: Duration,
    /// How long input is swallowed after the closing, so that the last reply is not overtaken by a reset (RFC 1122
    /// §4.2.2.13). 2 seconds by default; zero for none, which suits clients.
    pub linger: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tls: None,
            handshake_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(120),
            close_timeout: Duration::from_secs(10),
            linger: Duration::from_secs(2),
        }
    }
}

impl Settings {
    /// The defaults for a server, without TLS.
    pub fn new() -> Self {
        Self::default()
    }

    /// The defaults for a client: no lingering, since it is the client that has the last word.
    pub fn client() -> Self {
        Self { linger: Duration::ZERO, ..Self::default() }
    }

    /// With TLS to be had.
    #[must_use]
    pub fn with_tls(mut self, tls: impl Into<Tls>) -> Self {
        self.tls = Some(tls.into());
        self
    }
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Closed<X: core::error::Error> {
    /// In order, as the protocol has it, or at the wish of this side.
    #[error("the connection is closed")]
    Done,
    /// By an error of the protocol.
    #[error(transparent)]
    Protocol(X),
    /// The peer's or the network's: the transport broke.
    #[error("expected the transport to hold, found: {0}")]
    Transport(#[source] io::Error),
    /// The peer's, or ours if the certificate is at fault: no TLS session came about.
    #[error("expected a TLS handshake, found: {0}")]
    Handshake(#[source] io::Error),
    /// The peer's: it did not finish the TLS handshake in time.
    #[error("expected the TLS handshake to be finished within {0:?}")]
    HandshakeTimeout(Duration),
    /// The peer's: it did not read what it was sent.
    #[error("expected the peer to read within {0:?}")]
    Stalled(Duration),
    /// Ours: the protocol agreed on TLS, but the settings have none.
    #[error("expected TLS in the settings of the connection, found none")]
    NoTls,
    /// Ours: the protocol agreed on a layer that this driver cannot set up.
    #[error("expected a layer that the driver can set up, found {0:?}")]
    UnsupportedLayer(Layer),
}
