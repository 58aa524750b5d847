//! [`Client`]: SMTP, submission and LMTP from the client's side, without I/O.
//!
//! # What it does
//!
//! A driver moves bytes by the [`Connection`](mail_wire::Connection) contract. The client reads the greeting, says
//! EHLO, puts TLS on and logs in as its [`ClientConfig`] has it, and tells [`Event::Ready`]. Then the embedder
//! [sends](Client::send) one [`Transaction`] after another:
//!
//! | call | events that follow |
//! |---|---|
//! | [`send`](Client::send) | [`Event::Recipient`] for each RCPT, [`Event::Body`] when the message is wanted |
//! | [`write_body`](Client::write_body) | [`Event::Body`] when there is room for more |
//! | [`finish_body`](Client::finish_body) | [`Event::Delivered`] for each recipient (LMTP), [`Event::Sent`] with the [`Outcome`] |
//! | [`vrfy`](Client::vrfy), [`noop`](Client::noop), … | [`Event::Reply`] |
//! | [`quit`](Client::quit) | [`Step::Close`](mail_wire::Step::Close) |
//!
//! To save a round trip the next transaction may be sent as soon as a message is finished: see
//! [`can_send`](Client::can_send).
//!
//! The message may be wanted before the replies to RCPT are there (BDAT with PIPELINING), or not at all, where all
//! recipients are refused: then [`Event::Sent`] comes without an [`Event::Body`], or in the middle of the message.
//!
//! # What can go wrong
//!
//! - **Refusals are results**: a refused recipient or message stands in the [`Outcome`]. The connection stays usable.
//! - **What the server cannot take is not sent**: a message over its SIZE, 8-bit content without 8BITMIME, UTF-8
//!   addresses without SMTPUTF8, and so on, give a [`SendError`] before a byte has left.
//! - **A connection that ends** gives a [`ClientError`], sorted by whose fault it is. When a whole message has left and
//!   no reply came, it is [`ClientError::Uncertain`]: everything else says that the message was not accepted. When an
//!   idle connection was closed, it is [`ClientError::IdleClosed`]: connect anew and go on.
//! - **Time**: each reply has its [deadline](Timeouts), from when its command left. Whether the server takes bytes at
//!   all is for the driver to watch; here it counts from the first that it took.
//! - **Plain text never gets past STARTTLS**: what lies behind the reply to it, or before the command, ends the
//!   connection; capabilities are forgotten and learnt anew.
//!
//! # Example
//!
//! A whole session against a script:
//!
//! ```
//! use mail_wire::{Connection, Step};
//! use smtp_proto::client::{Client, ClientConfig, Event, TlsPolicy, Transaction};
//! use smtp_proto::types::{HelloName, Mailbox};
//! use std::time::Instant;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ClientConfig::new(HelloName::parse("client.example")?).with_tls(TlsPolicy::Never);
//! let now = Instant::now();
//! let mut client = Client::new(config, [0; Client::RANDOM], now);
//!
//! let mut server = [
//!     "220 mx.example ESMTP\r\n",
//!     "250-mx.example\r\n250 PIPELINING\r\n",
//!     "250 ok\r\n250 ok\r\n354 go on\r\n",
//!     "250 2.0.0 queued\r\n",
//!     "221 bye\r\n",
//! ]
//! .into_iter();
//! let mut sent = Vec::new();
//! loop {
//!     match client.poll() {
//!         Step::Event(Event::Ready) => {
//!             let transaction = Transaction::new(Mailbox::parse("alice@client.example")?)
//!                 .to(Mailbox::parse("bob@mx.example")?);
//!             client.send(transaction)?;
//!         }
//!         Step::Event(Event::Body) => {
//!             client.write_body(b"Subject: hello\n\n.\n")?;
//!             client.finish_body()?;
//!         }
//!         Step::Event(Event::Sent(outcome)) => {
//!             assert!(outcome.is_success());
//!             client.quit()?;
//!         }
//!         Step::Event(_) => {}
//!         Step::Upgrade(_) => unreachable!("this client wants no TLS"),
//!         Step::Blocked => {
//!             let n = client.io().send.len();
//!             sent.extend_from_slice(client.io().send);
//!             client.sent(n, now);
//!             let reply = server.next().ok_or("the script is over")?.as_bytes();
//!             client.io().recv[..reply.len()].copy_from_slice(reply);
//!             client.received(reply.len(), now);
//!         }
//!         Step::Close(result) => break result?,
//!     }
//! }
//! assert_eq!(
//!     String::from_utf8(sent)?,
//!     "EHLO client.example\r\n\
//!      MAIL FROM:<alice@client.example>\r\nRCPT TO:<bob@mx.example>\r\nDATA\r\n\
//!      Subject: hello\r\n\r\n..\r\n.\r\n\
//!      QUIT\r\n",
//! );
//! # Ok(())
//! # }
//! ```

mod body;
mod commands;
mod config;
mod envelope;
mod error;
mod event;
mod login;
mod machine;
mod replies;
mod transaction;

pub use config::{Chunking, ClientConfig, Protocol, Timeouts, TlsPolicy};
pub use envelope::{Dropped, Transaction};
pub use error::{BodyError, ClientError, SendError, Stage};
pub use event::{Event, Outcome, Rejection};
pub use machine::Client;
