//! What each fuzz target checks, as a plain function of bytes.
//!
//! A check panics when an invariant does not hold. The targets in `targets/` hand them to libFuzzer; the tests in
//! `tests/` run them over the seeds, so that the checks themselves are known to hold on a stable toolchain. Seeds come
//! from the transcripts of the protocol crates and the recorded cases of procmail: `cargo run --example seed -- corpus`.

pub mod dot_codec;
pub mod imap_command;
pub mod imap_response;
mod knobs;
pub mod line;
pub mod mail_header;
pub mod mbox;
pub mod mbox_session;
pub mod mh_folder;
pub mod mh_sequences;
pub mod names;
pub mod pop3_client;
pub mod pop3_command;
pub mod pop3_reply;
pub mod pop3_server;
pub mod procmail_eval;
pub mod procmail_rc;
pub mod procmail_regex;
pub mod proxy_header;
pub mod rc_check;
pub mod rc_explain;
pub mod rc_sieve;
pub mod sasl_client;
pub mod sasl_server;
pub mod seeds;
pub mod smtp_client;
pub mod smtp_command;
pub mod smtp_reply;
pub mod smtp_server;

pub use knobs::Knobs;

/// A check.
pub type Check = fn(&[u8]);

/// All checks by the names of their targets.
pub const CHECKS: &[(&str, Check)] = &[
    ("dot_codec", dot_codec::check),
    ("imap_command", imap_command::check),
    ("imap_response", imap_response::check),
    ("line", line::check),
    ("mail_header", mail_header::check),
    ("mbox", mbox::check),
    ("mbox_session", mbox_session::check),
    ("mh_folder", mh_folder::check),
    ("mh_sequences", mh_sequences::check),
    ("names", names::check),
    ("pop3_client", pop3_client::check),
    ("pop3_command", pop3_command::check),
    ("pop3_reply", pop3_reply::check),
    ("pop3_server", pop3_server::check),
    ("procmail_eval", procmail_eval::check),
    ("procmail_rc", procmail_rc::check),
    ("procmail_regex", procmail_regex::check),
    ("proxy_header", proxy_header::check),
    ("rc_check", rc_check::check),
    ("rc_explain", rc_explain::check),
    ("rc_sieve", rc_sieve::check),
    ("sasl_client", sasl_client::check),
    ("sasl_server", sasl_server::check),
    ("smtp_client", smtp_client::check),
    ("smtp_command", smtp_command::check),
    ("smtp_reply", smtp_reply::check),
    ("smtp_server", smtp_server::check),
];
