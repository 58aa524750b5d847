//! Mailwright as a program: the tokio and rustls driver for its protocol machines, and the mail server put together.
//!
//! | module | what it gives |
//! |---|---|
//! | [`driver`] | [`Conn`](driver::Conn): any protocol machine on any tokio transport, with TLS, deadlines, cancel safety |
//! | [`tls`] | certificates, keys and trust, for both sides |
//! | [`office`] | [`PostOffice`]: the mail server as a value |
//! | [`service`] | which protocol is served where |
//! | [`filter`] | a host for the procmail engine: rc files that file mail for real |
//! | [`formail`] | headers rewritten, mailboxes split, replies begun: what the program `formail` does |
//! | [`config`] | the configuration as TOML |
//! | [`client`] | what the command-line clients share |
//! | [`users`] | users and their passwords |
//! | [`limits`] | how many connections at a time |
//!
//! The programs `postoffice`, `smtp-send`, `pop3-fetch`, `procmail`, `formail` and `lockfile` are thin shells around it.

pub mod client;
pub mod config;
mod delivery;
pub mod driver;
pub mod filter;
pub mod formail;
pub mod limits;
pub mod office;
pub mod service;
pub mod tls;
pub mod users;

pub use maildrop::store::StoreFormat;
pub use office::PostOffice;
pub use service::Service;
