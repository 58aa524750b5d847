//! SASL (RFC 4422): how a client proves to a server who it is, as SMTP, POP3 and IMAP do it.
//!
//! Mechanisms, each as client and as server: PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1 and SCRAM-SHA-256 with their `-PLUS`
//! forms, OAUTHBEARER, XOAUTH2, EXTERNAL, ANONYMOUS.
//!
//! Nothing here does I/O: messages go in and out as bytes, [`wire`] turns them into the base64 lines of the mail
//! protocols and back. Nonces, the time and the [`ChannelBinding`] are handed in. Whatever only the embedder can know
//! (is this password right? what is stored for this user?) comes out as a [`Question`].

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
pub use scram::{Hash, ScramRefusal};
pub use server::{Answer, Failure, Identity, Question, Server, ServerParams, Step};
pub use stored::{Decoy, KeysError, ScramKeys, Stored};
