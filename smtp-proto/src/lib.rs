//! SMTP, submission and LMTP.
pub mod codec;
pub mod types;
