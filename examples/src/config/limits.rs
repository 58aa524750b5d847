//! The `[limits]` and `[timeouts]` tables: how much of everything, and how long for it.

use std::time::Duration;

use serde::Deserialize;

use super::units::{ByteSize, Span, positive};

/// The `[limits]` table. In the file none of them may be zero.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// Largest message. 50 MiB; at least 64 KiB.
    #[serde(deserialize_with = "positive")]
    pub message_size: ByteSize,
    /// Most recipients of a message. 1000; at least 100.
    #[serde(deserialize_with = "positive")]
    pub recipients: usize,
    /// Most `Received` fields of a message, more are taken for a loop. 100.
    #[serde(deserialize_with = "positive")]
    pub received_fields: usize,
    /// Most connections at a time. 10,000.
    #[serde(deserialize_with = "positive")]
    pub connections: usize,
    /// Most connections at a time from one address (IPv6: one /64). 1,000.
    #[serde(deserialize_with = "positive")]
    pub connections_per_address: usize,
    /// Wrong commands and refused recipients until the connection is closed. 20; at least 3.
    #[serde(deserialize_with = "positive")]
    pub errors: u32,
    /// Failed logins until the connection is closed. 5.
    #[serde(deserialize_with = "positive")]
    pub auth_failures: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_size: ByteSize(50 << 20),
            recipients: 1000,
            received_fields: 100,
            connections: 10_000,
            connections_per_address: 1000,
            errors: 20,
            auth_failures: 5,
        }
    }
}

/// The `[timeouts]` table. In the file only those may be zero of which that is said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TimeoutsConfig {
    /// For the next command, to its end. 5 minutes.
    #[serde(deserialize_with = "positive")]
    pub command: Span,
    /// For the next command of POP3, after which the session ends and removes nothing. 10 minutes, which is also the
    /// least (RFC 1939 §3).
    #[serde(deserialize_with = "positive")]
    pub autologout: Span,
    /// For the next block of a message. 5 minutes.
    #[serde(deserialize_with = "positive")]
    pub data_block: Span,
    /// Least rate of a message: so much a second. 20 bytes; zero for none.
    pub data_rate: ByteSize,
    /// Over how long the rate is judged. 10 minutes.
    #[serde(deserialize_with = "positive")]
    pub data_rate_window: Span,
    /// For our own answer: looking a user up, checking a password, storing a message. 10 minutes.
    #[serde(deserialize_with = "positive")]
    pub answer: Span,
    /// For a lock of an mbox that another program holds, when a message is delivered or a session begins or ends. 10 seconds.
    #[serde(deserialize_with = "positive")]
    pub lock: Span,
    /// For a TLS handshake. 30 seconds.
    #[serde(deserialize_with = "positive")]
    pub handshake: Span,
    /// For a client to read some of what it is sent. 2 minutes.
    #[serde(deserialize_with = "positive")]
    pub write: Span,
    /// For the last bytes and the end of TLS. 10 seconds.
    #[serde(deserialize_with = "positive")]
    pub close: Span,
    /// How long what a client still sends is swallowed after the end, so that it gets to read our last reply. 2 seconds;
    /// may be zero.
    pub linger: Span,
    /// How long the reply to a wrong command waits, once there were 10. 1 second; may be zero.
    pub error_delay: Span,
    /// How long the reply to a failed login waits, doubled each time up to 16 times as long; the next login from that address
    /// waits as well, twice that long, unless the last one succeeded or was 2 minutes ago. 1 second; may be zero.
    pub auth_failure_delay: Span,
    /// For messages under way when the server stops. 30 seconds.
    #[serde(deserialize_with = "positive")]
    pub shutdown: Span,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        let seconds = |n| Span(Duration::from_secs(n));
        Self {
            command: seconds(300),
            autologout: seconds(600),
            data_block: seconds(300),
            data_rate: ByteSize(20),
            data_rate_window: seconds(600),
            answer: seconds(600),
            lock: seconds(10),
            handshake: seconds(30),
            write: seconds(120),
            close: seconds(10),
            linger: seconds(2),
            error_delay: seconds(1),
            auth_failure_delay: seconds(1),
            shutdown: seconds(30),
        }
    }
}
