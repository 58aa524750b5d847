//! POP3 as sans-IO state machines, with the [`types`] and the [`codec`] that they are made of.
//!
//! The machines hold no socket and read no clock. A driver moves bytes by the [`mail_wire::Connection`] contract, and the
//! application deals with events. So the same code runs under tokio, on threads, in a test with virtual time, and under a
//! fuzzer.
//!
//! # What it is for, and what not
//!
//! For mail servers that people fetch their mail from, for programs that fetch it, for proxies and test doubles. Not for where
//! mail is kept: the application has the messages and the passwords, the machines see to the protocol. Nor for what is in a
//! message: it is bytes here, and all that is looked at are line ends, dots at line starts and, for TOP, the empty line.
//!
//! # A server
//!
//! A maildrop in memory, and a client whose commands are all there from the beginning. The [module](server) says what else can
//! be asked.
//!
//! ```
//! use mail_wire::sasl::{Answer, Question, Stored};
//! use mail_wire::{Connection, Step};
//! use pop3_proto::server::{Event, Peer, Server, ServerConfig};
//! use std::{sync::Arc, time::Instant};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = ServerConfig::new("pop.example");
//! config.plaintext_auth_without_tls = true; // for this example
//! let peer = Peer::new("192.0.2.7:50000".parse()?);
//! // In earnest the random bytes are random, and the time is what the clock says.
//! let now = Instant::now();
//! let mut server = Server::new(Arc::new(config), peer, [1; Server::RANDOM], now);
//!
//! let messages: [&[u8]; 1] = [b"Subject: hello\r\n\r\n.hidden dot\r\n"];
//! let mut input: &[u8] = b"USER bob\r\nPASS secret\r\nRETR 1\r\nQUIT\r\n";
//! let (mut output, mut next) = (Vec::new(), None);
//! let result = loop {
//!     match server.poll() {
//!         Step::Event(Event::Connected(pending)) => {
//!             server.accept(pending);
//!         }
//!         Step::Event(Event::Login { question: Question::VerifyPassword { authcid, .. }, pending, .. }) => {
//!             let stored = if authcid == "bob" { Stored::Plain("secret".into()) } else { Stored::Unknown };
//!             server.answer(pending, Answer::Stored(stored));
//!         }
//!         Step::Event(Event::Open(_, pending)) => {
//!             server.answer(pending, Ok(messages.iter().map(|message| message.len() as u64).collect()));
//!         }
//!         Step::Event(Event::Retrieve { number, pending, .. }) => {
//!             server.accept(pending);
//!             next = Some(messages[number.index()]);
//!         }
//!         Step::Event(Event::Body) => {
//!             let message = next.unwrap_or_default();
//!             let taken = server.write_body(message);
//!             next = Some(&message[taken..]).filter(|rest| !rest.is_empty());
//!             if next.is_none() {
//!                 server.finish_body();
//!             }
//!         }
//!         Step::Event(Event::BodyEnough) => server.finish_body(),
//!         Step::Event(Event::Commit(_deleted, pending)) => {
//!             server.accept(pending);
//!         }
//!         Step::Event(_) => {}
//!         Step::Blocked => {
//!             // The network.
//!             let io = server.io();
//!             output.extend_from_slice(io.send);
//!             let (sent, received) = (io.send.len(), io.recv.len().min(input.len()));
//!             io.recv[..received].copy_from_slice(&input[..received]);
//!             input = &input[received..];
//!             server.sent(sent, now);
//!             server.received(received, now);
//!         }
//!         Step::Upgrade(_) => unreachable!("STLS is not offered"),
//!         Step::Close(result) => break result,
//!     }
//! };
//! output.extend_from_slice(server.io().send);
//! assert_eq!(result, Ok(()));
//! let expected = "+OK 31 octets\r\nSubject: hello\r\n\r\n..hidden dot\r\n.\r\n+OK bye\r\n";
//! assert!(String::from_utf8(output)?.ends_with(expected));
//! # Ok(())
//! # }
//! ```
//!
//! # A client
//!
//! One that fetches the first message, from a server whose replies are all there from the beginning. The [module](client) says
//! how a login goes, what else can be asked, and what servers in the field do.
//!
//! ```
//! use mail_wire::sasl::Credentials;
//! use mail_wire::{Connection, Step};
//! use pop3_proto::client::{Client, ClientConfig, Event, Request, TlsPolicy};
//! use pop3_proto::types::MessageNumber;
//! use std::time::Instant;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = ClientConfig::new()
//!     .with_tls(TlsPolicy::Never)
//!     .with_credentials(Credentials::password("bob", "secret"));
//! config.plaintext_auth_without_tls = true; // both for this example
//! // In earnest the random bytes are random, and the time is what the clock says.
//! let now = Instant::now();
//! let mut client = Client::new(config, [1; Client::RANDOM], now);
//!
//! let replies = ["+OK\r\n", "-ERR\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\nhello\r\n.\r\n", "+OK bye\r\n"];
//! let (mut replies, mut message) = (replies.into_iter(), Vec::new());
//! loop {
//!     match client.poll() {
//!         Step::Event(Event::Ready) => {
//!             client.submit(Request::Retr(MessageNumber::FIRST))?;
//!             client.quit()?;
//!         }
//!         Step::Event(Event::Body) => {
//!             message.extend_from_slice(client.body());
//!             client.consume(client.body().len());
//!         }
//!         Step::Event(_) => {}
//!         Step::Blocked => {
//!             // The network.
//!             let sent = client.io().send.len();
//!             client.sent(sent, now);
//!             let reply = replies.next().unwrap_or_default().as_bytes();
//!             client.io().recv[..reply.len()].copy_from_slice(reply);
//!             client.received(reply.len(), now);
//!         }
//!         Step::Upgrade(_) => unreachable!("TLS is not wanted"),
//!         Step::Close(result) => break result?,
//!     }
//! }
//! assert_eq!(message, b"hello\r\n");
//! # Ok(())
//! # }
//! ```
//!
//! # Extensions
//!
//! POP3 (RFC 1939) with APOP, TOP and UIDL; CAPA, response codes, LOGIN-DELAY, EXPIRE, PIPELINING and IMPLEMENTATION (RFC
//! 2449), STLS (2595), `SYS/TEMP`, `SYS/PERM`, `AUTH` and AUTH-RESP-CODE (3206), AUTH with SASL (5034), UTF8 and LANG
//! (6856), RPOP (1225), and the PROXY protocol.
//!
//! There are no feature flags.

pub mod client;
pub mod codec;
pub mod server;
pub mod types;
