//! [`Server`]: the server's side of one exchange.

use super::{ChannelBinding, Decoy, Mechanism, Nonce, Stored, TokenError};
use crate::Secret;

/// What a [`Server`] is handed besides the mechanism. Make one for each exchange: the nonce must not be used twice.
#[derive(Clone, Debug)]
pub struct ServerParams {
    pub(super) nonce: Nonce,
    pub(super) decoy: Decoy,
    pub(super) host: String,
    pub(super) unix_time: u64,
    pub(super) channel_bindings: Vec<ChannelBinding>,
    pub(super) max_message: usize,
    pub(super) data_with_success: bool,
    pub(super) token_error: TokenError,
}

impl ServerParams {
    /// Takes a fresh nonce, and the decoy that hides which users exist.
    pub fn new(nonce: Nonce, decoy: Decoy) -> Self {
        Self {
            nonce,
            decoy,
            host: "localhost".to_owned(),
            unix_time: 0,
            channel_bindings: Vec::new(),
            max_message: 12_288,
            data_with_success: false,
            token_error: TokenError::new("invalid_token"),
        }
    }

    /// Sets the host name and time (seconds since 1970) that a CRAM-MD5 challenge shows beside the nonce.
    #[must_use]
    pub fn with_cram_stamp(mut self, host: impl Into<String>, unix_time: u64) -> Self {
        self.host = host.into();
        self.unix_time = unix_time;
        self
    }

    /// Hands in a channel binding of the TLS session; call it again for another kind, the client chooses.
    ///
    /// Hand one in only where the `-PLUS` mechanisms are offered: with it, a client that could bind but saw no
    /// `-PLUS` offer is refused, since somebody must have cut it out on the way (RFC 5802 §6).
    #[must_use]
    pub fn with_channel_binding(mut self, binding: ChannelBinding) -> Self {
        self.channel_bindings.push(binding);
        self
    }

    /// Sets how long a response may be once decoded, in bytes; 12,288 by default.
    #[must_use]
    pub const fn with_max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Says that the protocol can carry data along with success, as [`Step::Success::final_data`].
    ///
    /// SMTP, POP3 and IMAP cannot, so by default such data goes out as a last challenge, the client answers it by an
    /// empty response, and success follows with no data.
    #[must_use]
    pub const fn with_data_with_success(mut self, carried: bool) -> Self {
        self.data_with_success = carried;
        self
    }

    /// Sets what a refused token is told by [`Answer::Rejected`], and a client that asks by an empty token which
    /// scope it needs (RFC 7628 §4.3). `invalid_token` by default.
    #[must_use]
    pub fn with_token_error(mut self, error: TokenError) -> Self {
        self.token_error = error;
        self
    }
}

/// The server's side of one exchange.
///
/// Call [`step`](Self::step) with the initial response, if there was one, then act on the [`Step`] returned: send a
/// challenge and `step` with the response; or find out what is asked and [`answer`](Self::answer). There are at most
/// five steps whatever the client sends.
#[derive(Debug)]
pub struct Server {
    mechanism: Mechanism,
}

impl Server {
    /// Begins an exchange.
    pub fn new(mechanism: Mechanism, params: ServerParams) -> Self {
        let _ = params;
        Self { mechanism }
    }

    /// The mechanism of the exchange.
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes the client's message, decoded from base64: first the initial response or `None` where the command had
    /// none, then each response.
    ///
    /// Out of turn (while a [`Question`] is open, after the end, or `None` later on) it fails with
    /// [`Failure::OutOfTurn`].
    pub fn step(&mut self, response: Option<&[u8]>) -> Step {
        let _ = response;
        Step::Failed(Failure::Unavailable)
    }

    /// Answers the open [`Question`]. An answer of the wrong kind, or to no question, fails with
    /// [`Failure::Unavailable`].
    pub fn answer(&mut self, answer: Answer) -> Step {
        let _ = answer;
        Step::Failed(Failure::Unavailable)
    }
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Send this challenge, base64-encoded, and call [`Server::step`] with the response.
    Challenge(Vec<u8>),
    /// Call [`Server::answer`].
    Ask(Question),
    /// The client is who it says. The exchange is over.
    Success {
        /// Who it is.
        identity: Identity,
        /// Data to send along with success; always `None` unless
        /// [`with_data_with_success`](ServerParams::with_data_with_success) said that the protocol can.
        final_data: Option<Vec<u8>>,
    },
    /// The client is refused. The exchange is over.
    Failed(Failure),
}

/// Who a client has proved to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// By which mechanism.
    pub mechanism: Mechanism,
    /// The authentication identity: whose password, token or certificate it was. For ANONYMOUS `anonymous`.
    pub authcid: String,
    /// The authorisation identity: whom the client acts as; mostly the same.
    pub authzid: String,
}

/// What only the embedder can know. Names have been through SASLprep, are not empty and hold no NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question {
    /// Is this the user's password? (PLAIN, LOGIN) Answer [`Answer::Accepted`], [`Answer::AcceptedAs`],
    /// [`Answer::Rejected`], or [`Answer::Stored`] to have it compared here.
    VerifyPassword {
        /// The mechanism.
        mechanism: Mechanism,
        /// The name.
        authcid: String,
        /// The password as sent, not prepared. [`Stored::verify_password`] prepares it where it must be.
        password: Secret,
    },
    /// What is stored for this user? (SCRAM, CRAM-MD5) Answer [`Answer::Stored`], with [`Stored::Unknown`] where
    /// there is no such user: the exchange then goes on to fail as with a wrong password.
    Credentials {
        /// The mechanism; for SCRAM it says for which hash keys are needed.
        mechanism: Mechanism,
        /// The name.
        authcid: String,
    },
    /// Is this token good, and for whom? (OAUTHBEARER, XOAUTH2) Answer [`Answer::AcceptedAs`] the token's owner,
    /// [`Answer::Accepted`] where it is `user`, [`Answer::Rejected`] or [`Answer::RejectedToken`].
    VerifyToken {
        /// The mechanism.
        mechanism: Mechanism,
        /// Whom the client wants to act as, if it said so. XOAUTH2 always does.
        user: Option<String>,
        /// The token.
        token: Secret,
        /// The host the client says it connected to (RFC 7628 §3.2: to be compared where it is known).
        host: Option<String>,
        /// The port the client says it connected to.
        port: Option<u16>,
    },
    /// Who is the client by what it showed below SASL, such as its TLS certificate? Answer [`Answer::AcceptedAs`]
    /// that name, [`Answer::Accepted`] where it is `authzid`, or [`Answer::Rejected`].
    External {
        /// Whom the client wants to act as, if it said so.
        authzid: Option<String>,
    },
    /// May anybody in? Answer [`Answer::Accepted`], [`Answer::AcceptedAs`] or [`Answer::Rejected`].
    Anonymous {
        /// What the client says of itself: for the log, worth nothing.
        trace: Option<String>,
    },
    /// May `authcid`, who is proved, act as `authzid`, who is another? Answer [`Answer::Accepted`],
    /// [`Answer::AcceptedAs`] another spelling of `authzid`, or [`Answer::Rejected`].
    Authorize {
        /// The mechanism.
        mechanism: Mechanism,
        /// Who the client is.
        authcid: String,
        /// Whom it wants to act as, as sent: not prepared.
        authzid: String,
    },
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// Yes.
    Accepted,
    /// Yes, and this is the name to use from here on.
    AcceptedAs(String),
    /// No.
    Rejected,
    /// No to a token, and this tells the client why.
    RejectedToken(TokenError),
    /// What is stored for the user.
    Stored(Stored),
    /// It could not be found out: a data base is down. The client is told to try later.
    Unavailable,
}

/// Why a client is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The client's: it gave up. SMTP 501 5.7.0.
    #[error("the client cancelled the exchange")]
    Cancelled,
    /// The client's: a message the mechanism does not allow. SMTP 501 5.5.2.
    #[error("expected {expected} in the client's response, found something else")]
    Malformed {
        /// What should have been there.
        expected: &'static str,
    },
    /// The client's: a message beyond the limit. SMTP 500 5.5.6.
    #[error("expected a response of at most {limit} bytes, found {found}")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        found: usize,
    },
    /// The caller's or the client's: a response where none was due. SMTP 503 5.5.1.
    #[error("expected no response at this point of the exchange")]
    OutOfTurn,
    /// Wrong password, token or proof, or no such user: never said which. SMTP 535 5.7.8.
    #[error("the credentials are not valid")]
    Credentials,
    /// The proof was right, but the client may not act as the user it named. SMTP 535 5.7.8.
    #[error("the client may not act as the user it named")]
    Unauthorized,
    /// The channel binding differs, is of an unknown kind, or was cut out of the offer: somebody may be in the
    /// middle. SMTP 535 5.7.8.
    #[error("the channel binding does not hold")]
    ChannelBinding,
    /// Ours: the answer could not be found out. SMTP 454 4.7.0.
    #[error("the credentials could not be checked")]
    Unavailable,
}

impl From<super::wire::DecodeError> for Failure {
    fn from(error: super::wire::DecodeError) -> Self {
        use super::wire::DecodeError;
        match error {
            DecodeError::Cancelled => Self::Cancelled,
            DecodeError::BadBase64 => Self::Malformed { expected: "strict base64" },
            DecodeError::TooLong { limit, found } => Self::TooLong { limit, found },
        }
    }
}
