//! [`Connection`]: the contract between a protocol machine and whatever drives it.
//!
//! # The driver's loop
//!
//! 1. Call [`poll`](Connection::poll). An [`Event`](Step::Event) goes to the application, which answers by the
//!    machine's own methods; then poll again.
//! 2. On [`Blocked`](Step::Blocked), write what [`io`](Connection::io) has to send and read into its receive slice,
//!    both at once, telling the machine by [`sent`](Connection::sent) and [`received`](Connection::received). An empty
//!    receive slice means back-pressure: do not read now.
//! 3. On [`Upgrade`](Step::Upgrade), write all that is left to send, put the layer on the transport, and call
//!    [`upgraded`](Connection::upgraded). If the layer cannot be set up, drop the connection.
//! 4. When [`deadline`](Connection::deadline) passes, call [`handle_timeout`](Connection::handle_timeout).
//! 5. On [`Close`](Step::Close), write all that is left to send and close the transport.
//!
//! Replies to pipelined commands gather in the send buffer while the driver goes on polling, so they leave in one
//! write.

use crate::sasl::ChannelBinding;
use std::time::Instant;

/// The buffers of a machine, lent to its driver for one round of I/O.
pub struct Io<'a> {
    /// Where bytes from the peer go. Empty while the machine wants none (back-pressure).
    pub recv: &'a mut [u8],
    /// Bytes for the peer, in order. Empty when there is nothing to send.
    pub send: &'a [u8],
}

/// Without the bytes, which may hold a password or a message.
impl core::fmt::Debug for Io<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Io({} bytes to send, room for {})", self.send.len(), self.recv.len())
    }
}

/// A protocol machine: client or server of any of the mail protocols.
///
/// The machine owns its buffers, so it alone sees to it that nothing grows without bound and that no plain text
/// survives STARTTLS. See the [module docs](self) for how to drive it.
pub trait Connection {
    /// What the application is told. Owned: it borrows nothing and never holds unread body bytes.
    type Event;
    /// Why a connection ended badly.
    type Error: core::error::Error;

    /// The buffers, for one round of reading and writing.
    fn io(&mut self) -> Io<'_>;

    /// The driver has put `n` bytes at the front of [`Io::recv`]; 0 says that the peer sends no more.
    ///
    /// # Panics
    ///
    /// If `n` is more than the slice had room for.
    fn received(&mut self, n: usize, now: Instant);

    /// The driver has sent the first `n` bytes of [`Io::send`].
    ///
    /// # Panics
    ///
    /// If `n` is more than there was to send.
    fn sent(&mut self, n: usize, now: Instant);

    /// The next thing that happened. Each event is to be dealt with before the next call.
    fn poll(&mut self) -> Step<Self::Event, Self::Error>;

    /// When [`handle_timeout`](Connection::handle_timeout) is to be called, if nothing else happens before.
    fn deadline(&self) -> Option<Instant>;

    /// Tells the machine the time, at or after its [`deadline`](Connection::deadline). Calling it early is harmless.
    fn handle_timeout(&mut self, now: Instant);

    /// A layer is in place: the one asked for by [`Step::Upgrade`], or, before the first byte is exchanged, one that
    /// the transport came with (implicit TLS).
    fn upgraded(&mut self, layer: LayerInfo, now: Instant);
}

/// What [`Connection::poll`] found.
#[derive(Debug)]
#[must_use = "a step may hold a question that waits for its answer"]
pub enum Step<E, X> {
    /// Something for the application.
    Event(E),
    /// The protocol agreed on a layer: send what is left, set it up, call [`Connection::upgraded`].
    Upgrade(Layer),
    /// Nothing to do until bytes move, an answer is given or the deadline passes.
    Blocked,
    /// The connection is over: send what is left, then close. Polling again gives the same.
    Close(Result<(), X>),
}

/// A transport layer that a protocol can ask for in mid-connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// Transport Layer Security (STARTTLS, STLS).
    Tls,
    /// Raw DEFLATE in both directions (RFC 4978).
    Deflate,
}

/// The layer that was set up, with what the machine needs to know of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LayerInfo {
    /// TLS is on.
    Tls(TlsInfo),
    /// Compression is on.
    Deflate,
    /// The peer has proved who it is to a layer below the protocol, such as Kerberos, before the first byte.
    Authenticated(AuthenticatedPeer),
}

/// Who the peer has proved to be below the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthenticatedPeer {
    /// The name that was proved, such as a Kerberos principal.
    pub identity: String,
    /// Whether the layer also encrypts, so that passwords may go through it. Not so by default.
    pub confidential: bool,
}

impl AuthenticatedPeer {
    /// A peer with this identity, on a layer that does not encrypt.
    pub fn new(identity: impl Into<String>) -> Self {
        Self { identity: identity.into(), confidential: false }
    }
}

/// Facts of a finished TLS handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// Protocol version as text for trace fields, such as `TLSv1.3`.
    pub version: Option<String>,
    /// Cipher suite as text for trace fields, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: Option<String>,
    /// Name that the client asked for (SNI); on a server.
    pub server_name: Option<String>,
    /// Identity that the peer's verified certificate proves, for SASL EXTERNAL.
    pub peer_identity: Option<String>,
    /// Channel bindings that the transport can offer, best first.
    pub channel_bindings: Vec<ChannelBinding>,
}

impl TlsInfo {
    /// No facts: TLS is on, nothing more is known.
    pub fn new() -> Self {
        Self::default()
    }
}
