//! SMTP, submission and LMTP.
pub mod codec;
pub mod server;
pub mod types;
