//! The whole server, from the socket to the disk.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside of test functions, and a failure is to fail the test"
)]

mod allowance;
mod client;
mod delivery;
mod housekeeping;
mod lifecycle;
mod log;
mod login;
mod pop3;
mod rules;
mod smtp;
mod stores;
mod trusted;
