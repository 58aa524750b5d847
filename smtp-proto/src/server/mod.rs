//! The server's side: [`Server`], a machine that turns what a client sends into [`Event`]s and answers into replies.
//!
//! # How it is used
//!
//! A driver carries bytes (see [`mail_wire::Connection`]); the application takes events and answers those that carry a
//! token. Nothing is accepted without an answer, and dropping a token gives the client 451.
//!
//! ```
//! use mail_wire::{Connection, Step};
//! use smtp_proto::server::{Delivered, Event, Peer, Server, ServerConfig};
//! use smtp_proto::types::{Domain, Refusal, Verdict};
//! use std::{sync::Arc, time::Instant};
//!
//! let config = Arc::new(ServerConfig::new(Domain::parse("mx.example.org")?));
//! let peer = Peer::new("192.0.2.7:50000".parse().unwrap());
//! let mut server = Server::new(config, peer, [7; Server::RANDOM], Instant::now()); // in earnest: random bytes
//!
//! let mut input: &[u8] = b"EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<nobody@example.org>\r\n\
//!     RCPT TO:<bob@example.org>\r\nDATA\r\nSubject: hi\r\n\r\n..dots\r\n.\r\nQUIT\r\n";
//! let (mut output, mut message) = (Vec::new(), Vec::new());
//! loop {
//!     match server.poll() {
//!         Step::Event(Event::Connected(pending)) => server.accept(pending),
//!         Step::Event(Event::Hello(_, pending)) => server.accept(pending),
//!         Step::Event(Event::Mail { pending, .. }) => server.accept(pending),
//!         Step::Event(Event::Recipient { to, pending, .. }) => {
//!             let local = to.mailbox().is_some_and(|mailbox| mailbox.local_part() == "bob");
//!             server.answer(pending, if local { Verdict::Accept } else { Refusal::NO_SUCH_USER.into() });
//!         }
//!         Step::Event(Event::Message(pending)) => server.accept(pending),
//!         Step::Event(Event::Body) => {
//!             message.extend_from_slice(server.body());
//!             server.consume(server.body().len());
//!         }
//!         Step::Event(Event::MessageEnd(pending)) => server.answer(pending, Delivered::All(Verdict::Accept)),
//!         Step::Event(_) => {}
//!         Step::Blocked => {
//!             let io = server.io();
//!             output.extend_from_slice(io.send);
//!             let (sent, n) = (io.send.len(), io.recv.len().min(input.len()));
//!             io.recv[..n].copy_from_slice(&input[..n]);
//!             input = &input[n..];
//!             server.sent(sent, Instant::now());
//!             server.received(n, Instant::now());
//!         }
//!         Step::Upgrade(_) => unreachable!("STARTTLS is not offered"),
//!         Step::Close(result) => {
//!             output.extend_from_slice(server.io().send);
//!             assert_eq!(result, Ok(()));
//!             break;
//!         }
//!     }
//! }
//! assert_eq!(message, b"Subject: hi\r\n\r\n.dots\r\n");
//! assert!(String::from_utf8(output)?.ends_with("250 2.0.0 ok, message accepted\r\n221 2.0.0 bye\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it sees to by itself
//!
//! The order of commands, the grammar, limits and time-outs, extensions that are not offered, STARTTLS hygiene, the end
//! of messages (CRLF `.` CRLF and nothing else), SASL exchanges, and the counting of errors. What only the embedder can
//! know is asked: who may send, which recipients exist, whether a password is right, whether a message is safe on disk.

mod body;
mod clock;
mod commands;
mod config;
mod connect;
mod event;
mod login;
mod machine;
mod order;
mod replies;
mod session;
mod transaction;

pub use config::{
    BareNewlines, EarlyTalkers, Extensions, NulPolicy, Protocol, ServerConfig, ServerLimits, ServerTimeouts,
};
pub use event::{
    Atrn, Connected, Delivered, Etrn, Event, Hello, Mail, Message, MessageEnd, Question, Recipient, Sasl,
    ServerError, Stage, Verify, VerifyAnswer, Xclient, Xforward,
};
pub use machine::Server;
pub use session::Peer;
