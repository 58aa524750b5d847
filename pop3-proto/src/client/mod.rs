//! [`Client`]: POP3 from the client's side, without I/O.
//!
//! # What it does
//!
//! A driver moves bytes by the [`Connection`](mail_wire::Connection) contract. The client reads the greeting, asks for the
//! capabilities, puts TLS on and logs in as its [`ClientConfig`] has it, and tells [`Event::Ready`]. Then the embedder
//! [submits](Client::submit) [`Request`]s, as many as it likes at a time:
//!
//! | request | events that follow |
//! |---|---|
//! | STAT | [`Event::Stat`] |
//! | LIST, UIDL, LANG | [`Event::Listed`], [`Event::UniqueId`], [`Event::Language`]: one for each line, none is kept |
//! | RETR, TOP | [`Event::Message`], then [`Event::Body`] as long as there is some: [`body`](Client::body) lends it, [`consume`](Client::consume) takes it |
//! | DELE, RSET, NOOP, CAPA | nothing |
//! | each of them, at its end | [`Event::Done`] or [`Event::Refused`] |
//! | [`quit`](Client::quit) | [`Step::Close`](mail_wire::Step::Close) |
//!
//! Answers come in the order of the requests. Where the server offers PIPELINING the requests leave together, up to
//! [`in_flight`](ClientConfig::in_flight) of them, else each when the one before is answered: nothing else is different.
//!
//! The login takes the strongest way that is left:
//!
//! 1. SASL without a readable password: SCRAM with channel binding, EXTERNAL, SCRAM, CRAM-MD5;
//! 2. without TLS, APOP, if the greeting has a timestamp that is one;
//! 3. under TLS, or [where it is allowed](ClientConfig::plaintext_auth_without_tls), the other SASL mechanisms, then USER and PASS;
//! 4. under TLS, APOP.
//!
//! A way is given up for the next only where the server has seen nothing of the credentials, or says by AUTH-RESP-CODE that they
//! are not at fault: so a wrong password counts as one failure.
//!
//! # What can go wrong
//!
//! - **Refusals are events**: a refused command leaves the session usable. [`RefusalKind`] sorts them.
//! - **A connection that ends** gives a [`ClientError`], sorted by whose fault it is. Commands that were not answered get no
//!   event. No message has been removed then, unless [`deletions`](ClientError::deletions) says otherwise: that is only after
//!   QUIT, when its reply is negative or missing.
//! - **Time**: each reply has its [deadline](Timeouts), from when its command left; a message and a listing must make progress.
//!   What the embedder takes to deal with an event does not count: after one, [`deadline`](mail_wire::Connection::deadline) lies
//!   in the past until the driver has told the time.
//! - **Nothing grows**: at most 64 KiB are read ahead of the embedder, and [`Limits`] bound what a server that never ends can send.
//! - **Plain text never gets past STLS**: what lies behind the reply to it, or before the command, ends the connection;
//!   capabilities are forgotten and learnt anew.
//!
//! # What servers may do
//!
//! These are no [`Quirks`], since every client must take them:
//!
//! - to know no CAPA. [`capabilities`](Client::capabilities) is `None` then; STLS is tried, USER and PASS may be used, and a refusal
//!   of TOP or UIDL means that [it is not there](Client::support). [`Quirks::auth_list`] finds out mechanisms;
//! - to have commands that CAPA does not name (Verizon's jpop had UIDL: neomutt/neomutt#1427): TOP, UIDL and LANG are sent all the
//!   same;
//! - to name more capabilities after the login (jakartaee/mail-api#50): they are asked for again;
//! - to say more than the numbers in answers to STAT and LIST (RFC 1939 §5), and nothing behind `+OK` and `-ERR` (knadh/go-pop3#1);
//! - to give wrong sizes (andyedinborough/aenetmail#150): nothing here relies on a size, and each message ends with its dot;
//! - to put something in angle brackets into the greeting that is no timestamp (curl/curl#3278), or the timestamp anywhere in it
//!   (jstedfast/MailKit#529);
//! - to send bare CR, bare LF and NUL in messages: they are lent as they are;
//! - to close an idle connection, with a `-ERR` before it or not: [`ClientError::IdleClosed`].
//!
//! # KPOP
//!
//! A driver that has put a Kerberised transport below tells so by [`upgraded`](mail_wire::Connection::upgraded) with
//! [`LayerInfo::Authenticated`](mail_wire::LayerInfo::Authenticated) before it hands the first byte in. With
//! [`TrustedLogin::Kpop`] the client then names the maildrop and sends no password. The same identity serves AUTH EXTERNAL. If the
//! layer is [confidential](mail_wire::connection::AuthenticatedPeer::confidential), passwords may go through it as through TLS.
//!
//! # Example
//!
//! A whole session against a script, which fetches and deletes all messages:
//!
//! ```
//! use mail_wire::sasl::Credentials;
//! use mail_wire::{Connection, Step};
//! use pop3_proto::client::{Client, ClientConfig, Event, Request, TlsPolicy};
//! use pop3_proto::types::MessageNumber;
//! use std::time::Instant;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = ClientConfig::new()
//!     .with_tls(TlsPolicy::Never) // for this script; in earnest TlsPolicy::Required or Implicit
//!     .with_credentials(Credentials::password("mrose", "tanstaaf"));
//! let now = Instant::now();
//! let mut client = Client::new(config, [0; Client::RANDOM], now); // in earnest: random bytes
//!
//! let mut server = [
//!     "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n",
//!     "+OK\r\nPIPELINING\r\n.\r\n",
//!     "+OK maildrop has 2 messages\r\n",
//!     "+OK\r\nPIPELINING\r\n.\r\n",
//!     "+OK 2 29\r\n",
//!     "+OK\r\nSubject: one\r\n.\r\n+OK\r\n+OK\r\n..\r\n.\r\n+OK\r\n",
//!     "+OK bye\r\n",
//! ]
//! .into_iter();
//! let (mut sent, mut message, mut mailbox) = (Vec::new(), Vec::new(), Vec::new());
//! loop {
//!     match client.poll() {
//!         Step::Event(Event::Ready) => {
//!             client.submit(Request::Stat)?;
//!         }
//!         Step::Event(Event::Stat { listing, .. }) => {
//!             // More than Client::QUEUE are submitted bit by bit, as others are done.
//!             for number in (1..=listing.messages).filter_map(MessageNumber::new) {
//!                 client.submit(Request::Retr(number))?;
//!                 client.submit(Request::Dele(number))?; // in earnest: when the message is safe
//!             }
//!             client.quit()?;
//!         }
//!         Step::Event(Event::Message { .. }) => message = Vec::new(),
//!         Step::Event(Event::Body) => {
//!             message.extend_from_slice(client.body());
//!             client.consume(client.body().len());
//!         }
//!         Step::Event(Event::Done { .. }) if !message.is_empty() => mailbox.push(std::mem::take(&mut message)),
//!         Step::Event(Event::Refused { reply, .. }) => eprintln!("{reply}"),
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
//! assert_eq!(mailbox, [b"Subject: one\r\n".to_vec(), b".\r\n".to_vec()]);
//! assert_eq!(
//!     String::from_utf8(sent)?,
//!     "CAPA\r\nAPOP mrose c4c9334bac560ecc979e58001b3e22fb\r\nCAPA\r\nSTAT\r\n\
//!      RETR 1\r\nDELE 1\r\nRETR 2\r\nDELE 2\r\n\
//!      QUIT\r\n",
//! );
//! # Ok(())
//! # }
//! ```

mod body;
mod channel;
mod commands;
mod config;
mod error;
mod event;
mod listing;
mod login;
mod machine;
mod session;

pub use config::{ClientConfig, Limits, Quirks, Timeouts, TlsPolicy, TrustedLogin};
pub use error::{ClientError, Deletions, RefusalKind, Stage, SubmitError};
pub use event::{CommandId, Event, Request};
pub use machine::Client;
pub use session::{LoginMethod, Support};
