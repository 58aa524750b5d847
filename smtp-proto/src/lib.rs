//! SMTP, submission and LMTP as sans-IO state machines: a [`server::Server`] and a [`client::Client`], with the
//! [`types`] and the [`codec`] that they are made of.
//!
//! The machines hold no socket and read no clock. A driver moves bytes by the [`mail_wire::Connection`] contract, and the
//! application deals with events. So the same code runs under tokio, on threads, in a test with virtual time, and under a
//! fuzzer.
//!
//! # What it is for, and what not
//!
//! For mail servers that take mail, for programs that send it, for proxies, filters and test doubles. Not for deciding who
//! may relay, where mail goes next, or how it is stored: the application decides, the machines see to the protocol. Nor
//! for the message itself: its header and MIME structure are bytes here.
//!
//! # A whole exchange in memory
//!
//! A client sends a message to a server; both run on the same thread, and bytes are carried from one to the other.
//!
//! ```
//! use mail_wire::{Connection, Step};
//! use smtp_proto::client::{self, Client, ClientConfig, TlsPolicy, Transaction};
//! use smtp_proto::server::{self, Delivered, Peer, Server, ServerConfig};
//! use smtp_proto::types::{Domain, HelloName, Mailbox, Refusal, Verdict};
//! use std::{sync::Arc, time::Instant};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In earnest the random bytes are random, and the time is what the clock says.
//! let now = Instant::now();
//! let config = Arc::new(ServerConfig::new(Domain::parse("mx.example")?));
//! let mut server = Server::new(config, Peer::new("192.0.2.7:50000".parse()?), [1; Server::RANDOM], now);
//! let config = ClientConfig::new(HelloName::parse("client.example")?).with_tls(TlsPolicy::Never);
//! let mut client = Client::new(config, [2; Client::RANDOM], now);
//!
//! let mut received = Vec::new();
//! let outcome = loop {
//!     // The server's application: who is a user here, and where messages go.
//!     match server.poll() {
//!         Step::Event(server::Event::Connected(pending)) => server.accept(pending),
//!         Step::Event(server::Event::Hello(_, pending)) => server.accept(pending),
//!         Step::Event(server::Event::Mail { pending, .. }) => server.accept(pending),
//!         Step::Event(server::Event::Recipient { to, pending, .. }) => {
//!             let known = to.mailbox().is_some_and(|mailbox| mailbox.as_str() == "bob@mx.example");
//!             server.answer(pending, if known { Verdict::Accept } else { Refusal::NO_SUCH_USER.into() });
//!         }
//!         Step::Event(server::Event::Message(pending)) => server.accept(pending),
//!         Step::Event(server::Event::Body) => {
//!             received.extend_from_slice(server.body());
//!             server.consume(server.body().len());
//!         }
//!         // In earnest: accept only when the message is safe on disk.
//!         Step::Event(server::Event::MessageEnd(pending)) => {
//!             server.answer(pending, Delivered::All(Verdict::Accept));
//!         }
//!         _ => {}
//!     }
//!     // The client's application: one message to two recipients.
//!     match client.poll() {
//!         Step::Event(client::Event::Ready) => {
//!             let transaction = Transaction::new(Mailbox::parse("alice@client.example")?)
//!                 .to(Mailbox::parse("bob@mx.example")?)
//!                 .to(Mailbox::parse("nobody@mx.example")?);
//!             client.send(transaction)?;
//!         }
//!         Step::Event(client::Event::Body) => {
//!             client.write_body(b"Subject: hello\r\n\r\n.hidden dot\r\n")?;
//!             client.finish_body()?;
//!         }
//!         Step::Event(client::Event::Sent(outcome)) => break outcome,
//!         _ => {}
//!     }
//!     // The network.
//!     carry(&mut client, &mut server, now);
//!     carry(&mut server, &mut client, now);
//! };
//! assert_eq!(received, b"Subject: hello\r\n\r\n.hidden dot\r\n");
//! let results: Vec<bool> = outcome.results().iter().map(Result::is_ok).collect();
//! assert_eq!(results, [true, false]);
//! # Ok(())
//! # }
//!
//! /// Carries what `from` has to send to `to`.
//! fn carry(from: &mut impl Connection, to: &mut impl Connection, now: Instant) {
//!     let (source, target) = (from.io().send, to.io().recv);
//!     let n = source.len().min(target.len());
//!     target[..n].copy_from_slice(&source[..n]);
//!     if n > 0 {
//!         from.sent(n, now);
//!         to.received(n, now);
//!     }
//! }
//! ```
//!
//! # Extensions
//!
//! PIPELINING (RFC 2920), SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), CHUNKING and BINARYMIME (3030), STARTTLS (3207),
//! AUTH (4954), ENHANCEDSTATUSCODES (2034, 3463, 5248), DSN (3461), DELIVERBY (2852), FUTURERELEASE (4865), MT-PRIORITY
//! (6710), REQUIRETLS (8689), LIMITS (9422), RRVS (7293), ETRN (1985), ATRN (2645), XCLIENT, XFORWARD and the PROXY protocol;
//! BURL (4468) is known and refused. Which are offered is configuration.
//!
//! There are no feature flags.

pub mod client;
pub mod codec;
pub mod server;
pub mod types;
