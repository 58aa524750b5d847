//! POP3 as sans-IO state machines, with the [`types`] and the [`codec`] that they are made of.
//!
//! The machines hold no socket and read no clock. A driver moves bytes by the [`mail_wire::Connection`] contract, and the
//! application deals with events. So the same code runs under tokio, on threads, in a test with virtual time, and under a
//! fuzzer.
//!
//! # Extensions
//!
//! POP3 (RFC 1939) with APOP, TOP and UIDL; CAPA, response codes, LOGIN-DELAY, EXPIRE, PIPELINING and IMPLEMENTATION (RFC
//! 2449), STLS (2595), `SYS/TEMP`, `SYS/PERM`, `AUTH` and AUTH-RESP-CODE (3206), AUTH with SASL (5034), UTF8 and LANG
//! (6856), RPOP (1225).
//!
//! There are no feature flags.

pub mod client;
pub mod codec;
pub mod server;
pub mod types;
