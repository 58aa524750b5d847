//! SASL exchanges: client against server, the transcripts of the RFCs, hostile peers, and `rsasl` on the other side.

#![allow(clippy::unwrap_used, reason = "a test is to panic where it fails, in functions shared by tests too")]

mod client_faults;
mod exchanges;
mod hostile;
mod oracle;
mod pair;
mod transcripts;
