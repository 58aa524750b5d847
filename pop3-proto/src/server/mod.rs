//! The server's side: [`Server`], a machine that turns what a client sends into [`Event`]s and answers into replies.
//!
//! # How it is used
//!
//! A driver carries bytes (see [`mail_wire::Connection`]); the application takes events and answers those that carry a
//! token. Dropping a token gives the client `-ERR [SYS/TEMP]`.
//!
//! ```
//! use mail_wire::sasl::{Answer, Question, Stored};
//! use mail_wire::{Connection, Step};
//! use pop3_proto::server::{Event, Maildrop, Peer, Server, ServerConfig, UniqueIds};
//! use std::{sync::Arc, time::Instant};
//!
//! let mut config = ServerConfig::new("pop.example.org");
//! config.plaintext_auth_without_tls = true; // for this example; in earnest passwords come under TLS
//! let peer = Peer::new("192.0.2.7:50000".parse().unwrap());
//! let mut server = Server::new(Arc::new(config), peer, [7; Server::RANDOM], Instant::now()); // in earnest: random bytes
//!
//! let mut messages = vec![b"Subject: one\r\n\r\n.hidden dot\r\n".to_vec(), b"Subject: two\r\n\r\n".to_vec()];
//! let mut input: &[u8] = b"USER mrose\r\nPASS tanstaaf\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nUIDL\r\nQUIT\r\n";
//! let mut output = Vec::new();
//! let mut sending: Vec<u8> = Vec::new();
//! loop {
//!     match server.poll() {
//!         Step::Event(Event::Connected(pending)) => {
//!             server.accept(pending);
//!         }
//!         Step::Event(Event::Login { question, pending, .. }) => {
//!             let answer = match question {
//!                 Question::VerifyPassword { authcid, .. } if authcid == "mrose" => {
//!                     Answer::Stored(Stored::Plain("tanstaaf".into()))
//!                 }
//!                 _ => Answer::Stored(Stored::Unknown),
//!             };
//!             server.answer(pending, answer);
//!         }
//!         Step::Event(Event::Open(_, pending)) => {
//!             let maildrop: Maildrop = messages.iter().map(|message| message.len() as u64).collect();
//!             server.answer(pending, Ok(maildrop));
//!         }
//!         Step::Event(Event::UniqueIds(pending)) => {
//!             let mut ids = UniqueIds::new();
//!             for index in 0..messages.len() {
//!                 ids.push(format!("id-{index}"))?;
//!             }
//!             server.answer(pending, Ok(ids));
//!         }
//!         Step::Event(Event::Retrieve { number, pending, .. }) => {
//!             if server.accept(pending) {
//!                 sending = messages[number.index()].clone();
//!             }
//!         }
//!         Step::Event(Event::Body) => {
//!             let taken = server.write_body(&sending);
//!             sending.drain(..taken);
//!             if sending.is_empty() {
//!                 server.finish_body();
//!             }
//!         }
//!         Step::Event(Event::BodyEnough) => server.finish_body(),
//!         Step::Event(Event::Commit(deleted, pending)) => {
//!             for number in deleted.iter() {
//!                 messages[number.index()].clear(); // in earnest: remove it from the disk
//!             }
//!             server.accept(pending);
//!         }
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
//!         Step::Upgrade(_) => unreachable!("STLS is not offered"),
//!         Step::Close(result) => {
//!             output.extend_from_slice(server.io().send);
//!             assert_eq!(result, Ok(()));
//!             break;
//!         }
//!     }
//! }
//! let output = String::from_utf8(output)?;
//! assert!(output.contains("+OK 2 45\r\n+OK 29 octets\r\nSubject: one\r\n\r\n..hidden dot\r\n.\r\n"));
//! assert!(output.contains("2 id-1\r\n.\r\n+OK bye\r\n"));
//! assert!(messages[0].is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it sees to by itself
//!
//! The order of commands, the grammar, limits and time-outs, what CAPA tells, STLS hygiene, SASL exchanges and APOP, the delays
//! that make guessing passwords slow, and all of a session that can be known without looking at messages: their numbers, STAT,
//! LIST, DELE, RSET, dot-stuffing, and where TOP ends. What only the embedder can know is asked: whether a password is right, how
//! large the messages are, what their unique-ids are, what is in them, and whether they could be removed.
//!
//! | event | answered by |
//! |---|---|
//! | [`Event::Connected`] | greet, or refuse |
//! | [`Event::Login`] | what is known of the user |
//! | [`Event::Open`] | a [`Maildrop`], or why there is none |
//! | [`Event::UniqueIds`] | [`UniqueIds`], once in a session |
//! | [`Event::Retrieve`] | yes, and the message by [`Server::write_body`] and [`Server::finish_body`] |
//! | [`Event::Commit`] | that what was marked as deleted is removed |
//!
//! A message may be written as soon as its question is accepted, as far as there is room, without waiting for [`Event::Body`].
//!
//! # Kerberos, and other layers that log in by themselves
//!
//! KPOP is POP3 behind a Kerberos exchange: once connected, client and server exchange Kerberos messages, the server knows who
//! the client is, and then POP3 begins on the same connection. Such an exchange runs in the embedder, before the machine sees a
//! byte. Its outcome is told by [`upgraded`](mail_wire::Connection::upgraded), and
//! [`ServerConfig::transport_login`] says what it is worth:
//!
//! ```
//! # use pop3_proto::server::{Peer, Server, ServerConfig, TransportLogin};
//! use mail_wire::{AuthenticatedPeer, Connection, LayerInfo};
//! use std::time::Instant;
//!
//! let mut config = ServerConfig::new("pop.example.org");
//! config.transport_login = TransportLogin::UserPass;
//! # let peer = Peer::new("192.0.2.7:50000".parse().unwrap());
//! let mut server = Server::new(config.into(), peer, [7; Server::RANDOM], Instant::now());
//! // Here the Kerberos exchange ran on the socket, and this principal came out of it.
//! let client = AuthenticatedPeer::new("mrose@EXAMPLE.ORG");
//! server.upgraded(LayerInfo::Authenticated(client), Instant::now());
//! // From here on drive the server as any other. USER and PASS ask `Question::External` by `Event::Login`:
//! // may this principal have that user's maildrop?
//! ```
//!
//! Where the layer goes on to encrypt what is exchanged, set [`AuthenticatedPeer::confidential`](mail_wire::AuthenticatedPeer) and
//! let the driver read and write through it, as it does with TLS.

mod clock;
mod commands;
mod config;
mod event;
mod language;
mod login;
mod machine;
mod maildrop;
mod order;
mod replies;
mod sending;
mod session;
mod transaction;
mod unique_ids;

pub use config::{ServerConfig, ServerLimits, ServerTimeouts, TransportLogin, Utf8};
pub use event::{
    Commit, Connected, Event, Identity, Login, LoginMethod, Open, Part, Question, Retrieve, ServerError,
    Stage, UniqueIdsWanted,
};
pub use language::{Language, Phrase};
pub use machine::Server;
pub use maildrop::{Deleted, Maildrop};
pub use order::Phase;
pub use session::Peer;
pub use unique_ids::UniqueIds;
