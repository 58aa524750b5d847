//! What every mail protocol of this project shares.
//!
//! SMTP, POP3 and IMAP, each as client and as server, are six state machines that hold no socket and read no clock.
//! This crate has what they have in common:
//!
//! | module | what it gives |
//! |---|---|
//! | [`connection`] | [`Connection`], the one trait that a driver needs to know to run any of the machines |
//! | [`buffer`] | the receive and send buffers that a machine owns: bounded, small when idle |
//! | [`decimal`] | decimal numbers, written |
//! | [`keyword`] | keywords at the front of a text, compared without regard to case by whole machine words |
//! | [`mod@line`] | the one line scanner: strict CRLF, limits while reading, flaws reported as what they are |
//! | [`dot`] | the body codec: dot-stuffing both ways, streaming, with detection of bare CR, bare LF and NUL |
//! | [`pending`] | tokens for questions that must be answered exactly once |
//! | [`text`] | reply text that cannot hold a line break, and escaping of the peer's bytes for logs |
//! | [`proxy`] | the header by which a load balancer tells of the real client |
//! | [`timers`] | a small table of deadlines |
//! | [`sasl`] | SASL exchanges, client and server |
//!
//! Nothing here does I/O. Time comes in as an argument, and so do random bytes.
//!
//! # A machine in ten lines
//!
//! A driver moves bytes between a socket and [`Connection::io`], and asks [`Connection::poll`] what happened. This
//! one runs any two machines against each other in memory, as the tests of the protocol crates do:
//!
//! ```
//! use mail_wire::Connection;
//! use std::time::Instant;
//!
//! /// Carries what `from` wants to send to `to`. Returns the number of bytes moved.
//! fn carry(from: &mut impl Connection, to: &mut impl Connection, now: Instant) -> usize {
//!     let (source, target) = (from.io().send, to.io().recv);
//!     let n = source.len().min(target.len());
//!     target[..n].copy_from_slice(&source[..n]);
//!     if n > 0 {
//!         from.sent(n, now);
//!         to.received(n, now);
//!     }
//!     n
//! }
//! ```

pub mod buffer;
pub mod connection;
pub mod decimal;
pub mod dot;
pub mod keyword;
pub mod line;
pub mod pending;
pub mod proxy;
pub mod sasl;
mod secret;
pub mod text;
pub mod timers;

pub use buffer::{RecvBuffer, SendBuffer};
pub use connection::{AuthenticatedPeer, Connection, Io, Layer, LayerInfo, Step, TlsInfo};
pub use pending::{Lane, Pending};
pub use proxy::{ProxyAddresses, ProxyError, ProxyHeader};
pub use secret::Secret;
pub use text::{Escaped, ReplyText};
pub use timers::Timers;
