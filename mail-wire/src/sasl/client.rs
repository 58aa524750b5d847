//! [`Client`]: the client's side of one exchange.

use core::ops::RangeInclusive;

use super::{ChannelBinding, Credentials, Mechanism, MechanismSet, Nonce, TokenError};
use crate::Secret;

/// What a [`Client`] is handed besides credentials.
#[derive(Clone, Debug)]
pub struct ClientParams {
    nonce: Nonce,
    offered: MechanismSet,
    channel_binding: Option<ChannelBinding>,
    iterations: RangeInclusive<u32>,
    max_message: usize,
}

impl ClientParams {
    /// Takes a fresh nonce and the set of mechanisms the server offered on this very channel (learnt after STARTTLS).
    pub const fn new(nonce: Nonce, offered: MechanismSet) -> Self {
        Self { nonce, offered, channel_binding: None, iterations: 4_096..=2_000_000, max_message: 12_288 }
    }

    /// Hands in the channel binding of the TLS session, where the driver has one.
    ///
    /// With it SCRAM also tells the server that it could bind, so that a `-PLUS` offer which somebody cut out on the
    /// way is noticed (RFC 5802 §6).
    #[must_use]
    pub fn with_channel_binding(mut self, binding: ChannelBinding) -> Self {
        self.channel_binding = Some(binding);
        self
    }

    /// Sets the SCRAM iteration counts accepted from the server; by default 4,096 (RFC 5802 §5.1) to 2,000,000.
    ///
    /// Below, a stolen exchange is cheap to try passwords on; above, a hostile server makes the client burn its time.
    #[must_use]
    pub const fn with_iterations(mut self, iterations: RangeInclusive<u32>) -> Self {
        self.iterations = iterations;
        self
    }

    /// Sets how long a challenge may be, in bytes; 12,288 by default.
    #[must_use]
    pub const fn with_max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }
}

/// The client's side of one exchange.
///
/// 1. [`choose`](super::choose) a mechanism, [`new`](Self::new).
/// 2. Where the protocol lets the command carry an initial response and the line is not too long,
///    [`take_initial_response`](Self::take_initial_response) and send it along, as
///    [`wire::encode_initial`](super::wire::encode_initial) writes it.
/// 3. Answer each challenge by [`step`](Self::step). On an error send `*`
///    ([`wire::CANCEL`](super::wire::CANCEL)) and await the server's refusal.
/// 4. When the server says that it worked, ask [`success`](Self::success): only its `Ok` means that the client is
///    authenticated, and with SCRAM that the server has proved itself as well.
#[derive(Debug)]
pub struct Client {
    mechanism: Mechanism,
}

impl Client {
    /// Begins an exchange.
    ///
    /// # Errors
    /// [`ClientError::Unfit`], [`ClientError::MissingChannelBinding`].
    pub fn new(
        mechanism: Mechanism,
        credentials: &Credentials,
        params: ClientParams,
    ) -> Result<Self, ClientError> {
        let _ = (credentials, params);
        Ok(Self { mechanism })
    }

    /// The mechanism, as named in the command.
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// A look at the initial response, to see its length; `None` where the server speaks first or it was taken.
    pub fn initial_response(&self) -> Option<&Secret> {
        None
    }

    /// Takes the initial response to send it with the command; `None` where the server speaks first.
    ///
    /// If this is not called, the first [`step`](Self::step) gives the same message on the server's empty challenge.
    pub fn take_initial_response(&mut self) -> Option<Secret> {
        None
    }

    /// Answers a challenge, decoded from base64. The response may be empty, which is sent as an empty line.
    ///
    /// A refusal of a token arrives as a challenge: the response ends the exchange properly and
    /// [`token_error`](Self::token_error) tells the reason.
    ///
    /// # Errors
    /// Any [`ClientError`]; after one the exchange is over and the client should cancel.
    pub fn step(&mut self, challenge: &[u8]) -> Result<Secret, ClientError> {
        let _ = challenge;
        Err(ClientError::UnexpectedChallenge)
    }

    /// To be asked when the server reports success, with the data it sent along, if the protocol can carry any.
    ///
    /// # Errors
    /// [`ClientError::PrematureSuccess`] where the server has not seen or given a full proof;
    /// [`ClientError::ServerSignature`] where its proof is false. The connection must not be used any further.
    pub fn success(&mut self, data: Option<&[u8]>) -> Result<(), ClientError> {
        let _ = data;
        Err(ClientError::PrematureSuccess)
    }

    /// Why the server refused the token, once it said so (OAUTHBEARER, XOAUTH2).
    pub fn token_error(&self) -> Option<&TokenError> {
        None
    }
}

/// Why a client cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Ours: the mechanism cannot carry these credentials.
    #[error("expected credentials fit for {mechanism}, found {found}")]
    Unfit {
        /// The mechanism.
        mechanism: Mechanism,
        /// What is wrong with them.
        found: &'static str,
    },
    /// Ours: a `-PLUS` mechanism without a channel binding handed in.
    #[error("expected a channel binding for {0}, found none")]
    MissingChannelBinding(Mechanism),
    /// The server's: a challenge that the mechanism does not allow.
    #[error("expected {expected} in the server's challenge, found something else")]
    MalformedChallenge {
        /// What should have been there.
        expected: &'static str,
    },
    /// The server's: a challenge beyond the limit.
    #[error("expected a challenge of at most {limit} bytes, found {found}")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        found: usize,
    },
    /// The server's: a challenge where the exchange was complete.
    #[error("expected the outcome of the exchange, found another challenge")]
    UnexpectedChallenge,
    /// The server's: an iteration count out of the range accepted.
    #[error("expected between {least} and {most} iterations, found {found}")]
    Iterations {
        /// The least accepted.
        least: u32,
        /// The most accepted.
        most: u32,
        /// What the server demands; the largest value of the type where it demands more.
        found: u32,
    },
    /// The server's: its nonce does not begin with ours, so this is somebody else's exchange.
    #[error("expected a nonce that extends the client's, found another")]
    Nonce,
    /// The server's: it does not know the password's keys. It may be an impostor.
    #[error("expected a proof that the server knows the password's keys, found a false one")]
    ServerSignature,
    /// The server's: success reported before the exchange was complete. It may be an impostor.
    #[error("expected the exchange to be completed before its success")]
    PrematureSuccess,
    /// The server refused, by a SCRAM error value.
    #[error("expected a proof from the server, found its refusal: {0}")]
    Refused(super::ScramRefusal),
}
