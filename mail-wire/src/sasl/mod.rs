//! SASL (RFC 4422): how a client proves to a server who it is, as SMTP, POP3 and IMAP do it.
//!
//! Mechanisms, each as client and as server: PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1 and SCRAM-SHA-256 with their `-PLUS`
//! forms, OAUTHBEARER, XOAUTH2, EXTERNAL, ANONYMOUS.
//!
//! Nothing here does I/O: messages go in and out as bytes, [`wire`] turns them into the base64 lines of the mail
//! protocols and back. Nonces, the time and the [`ChannelBinding`] are handed in. Whatever only the embedder can know
//! (is this password right? what is stored for this user?) comes out as a [`Question`].
//!
//! | side | begins with | goes on with | ends with |
//! |---|---|---|---|
//! | [`Client`] | [`choose`], [`Client::new`], [`Client::take_initial_response`] | [`Client::step`] | [`Client::success`] |
//! | [`Server`] | [`Server::new`], [`Server::step`] | [`Server::step`], [`Server::answer`] | [`Step::Success`], [`Step::Failed`] |
//!
//! A server that hides which users exist needs a [`Decoy`]; passwords are stored as [`Stored`] says, or anywhere else,
//! such as in PAM, since the embedder answers. Passwords, tokens and keys travel as [`Secret`](crate::Secret): wiped on
//! drop, compared in constant time, absent from `Debug`. Names are prepared by SASLprep (RFC 4013) before they are
//! asked about, so that they hold no NUL, no control characters and are normalised. Where the embedder has
//! one name for several spellings, such as `Alice` and `alice`, it answers with it ([`Answer::AcceptedAs`],
//! [`Answer::StoredAs`]), and the [`Identity`] has that.
//!
//! A whole exchange:
//!
//! ```
//! use mail_wire::sasl::*;
//!
//! // The server, on `AUTH` with an initial response. Nonces must be random, the decoy's key must be secret.
//! let offered = MechanismSet::parse("SCRAM-SHA-256 PLAIN");
//! let params = ServerParams::new(Nonce::from_random([1; 18]), Decoy::new("a key of the server's"));
//! let mut server = Server::new(Mechanism::ScramSha256, params);
//!
//! // The client.
//! let credentials = Credentials::password("user", "pencil");
//! let mechanism = choose(offered, &credentials, &Policy::clear())?;
//! let params = ClientParams::new(Nonce::from_random([2; 18]), offered);
//! let mut client = Client::new(mechanism, &credentials, params)?;
//!
//! let initial = client.take_initial_response();
//! let mut step = server.step(initial.as_ref().map(|message| message.expose()));
//! let identity = loop {
//!     step = match step {
//!         Step::Challenge(challenge) => server.step(Some(client.step(&challenge)?.expose())),
//!         Step::Ask(Question::Credentials { authcid, .. }) if authcid == "user" => {
//!             server.answer(Answer::Stored(Stored::Plain("pencil".into())))
//!         }
//!         Step::Ask(_) => server.answer(Answer::Stored(Stored::Unknown)),
//!         Step::Success { identity, .. } => break identity,
//!         Step::Failed(failure) => return Err(failure.into()),
//!     };
//! };
//! client.success(None)?;
//! assert_eq!(identity.authzid, "user");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod anonymous;
mod binding;
mod client;
mod cram_md5;
mod credentials;
mod external;
mod gs2;
mod login;
mod mechanism;
mod oauth;
mod plain;
mod prep;
mod scram;
mod server;
mod stored;
pub mod wire;

pub use binding::{ChannelBinding, ChannelBindingKind, Nonce};
pub use client::{Client, ClientError, ClientParams};
pub use credentials::{ChooseError, Credentials, Policy, choose};
pub use mechanism::{Mechanism, MechanismSet};
pub use oauth::TokenError;
pub use prep::{prepare_name, prepare_password};
pub use scram::{Hash, ScramRefusal};
pub use server::{Answer, Failure, Identity, Question, Server, ServerParams, Step};
pub use stored::{Decoy, KeysError, ScramKeys, Stored};
