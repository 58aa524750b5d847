//! [`Client`]: the client's side of one exchange.

use core::fmt;
use core::ops::RangeInclusive;

use super::{
    ChannelBinding, Credentials, Hash, Mechanism, MechanismSet, Nonce, ScramRefusal, TokenError, cram_md5,
    gs2, oauth, plain, prep, scram,
};
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
pub struct Client {
    mechanism: Mechanism,
    /// The client's first message, until it is sent.
    initial: Option<Secret>,
    state: State,
    max_message: usize,
    token_error: Option<TokenError>,
}

/// What is left to do once the first message is sent.
enum State {
    /// Nothing: the server's verdict is due.
    Complete,
    /// LOGIN: both lines.
    LoginName { authcid: String, password: Secret },
    /// LOGIN: the second line.
    LoginPassword { password: Secret },
    /// CRAM-MD5: the answer to the challenge.
    Cram { authcid: String, password: Secret },
    /// OAUTHBEARER, XOAUTH2: nothing, unless the server tells why it refuses.
    Token,
    /// SCRAM: the proof.
    ScramBegun(scram::client::Begun),
    /// SCRAM: to verify the server's proof.
    ScramProving(scram::client::Proving),
    /// The exchange has failed; nothing the server says makes it good.
    Failed,
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
        if let Some(found) = credentials.misfit(mechanism) {
            return Err(ClientError::Unfit { mechanism, found });
        }
        let max_message = params.max_message;
        let (initial, state) = match credentials {
            Credentials::Password { authcid, authzid, password } => {
                begin_password(mechanism, authcid, authzid.as_deref(), password, params)?
            }
            Credentials::Token { user, token, host, port } => {
                let token = token.expose_str().unwrap_or_default();
                let message = match mechanism {
                    Mechanism::XOAuth2 => oauth::encode_xoauth2(user.as_deref().unwrap_or_default(), token),
                    _ => oauth::encode_bearer(user.as_deref(), token, host.as_deref(), *port),
                };
                (Some(message), State::Token)
            }
            Credentials::External { authzid: text } | Credentials::Anonymous { trace: text } => {
                (Some(Secret::new(text.as_deref().unwrap_or_default())), State::Complete)
            }
        };
        Ok(Self { mechanism, initial, state, max_message, token_error: None })
    }

    /// The mechanism, as named in the command.
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// A look at the initial response, to see its length; `None` where the server speaks first or it was taken.
    pub const fn initial_response(&self) -> Option<&Secret> {
        self.initial.as_ref()
    }

    /// Takes the initial response to send it with the command; `None` where the server speaks first.
    ///
    /// If this is not called, the first [`step`](Self::step) gives the same message on the server's empty challenge.
    pub const fn take_initial_response(&mut self) -> Option<Secret> {
        self.initial.take()
    }

    /// Answers a challenge, decoded from base64. The response may be empty, which is sent as an empty line.
    ///
    /// A refusal of a token arrives as a challenge: the response ends the exchange properly and
    /// [`token_error`](Self::token_error) tells the reason.
    ///
    /// # Errors
    /// Any [`ClientError`]; after one the exchange is over and the client should cancel.
    pub fn step(&mut self, challenge: &[u8]) -> Result<Secret, ClientError> {
        if challenge.len() > self.max_message {
            self.fail();
            return Err(ClientError::TooLong { limit: self.max_message, found: challenge.len() });
        }
        if let Some(initial) = self.initial.take() {
            if challenge.is_empty() {
                return Ok(initial);
            }
            self.fail();
            return Err(ClientError::MalformedChallenge { expected: "nothing" });
        }
        match core::mem::replace(&mut self.state, State::Failed) {
            State::Complete | State::Failed => Err(ClientError::UnexpectedChallenge),
            // draft-murchison-sasl-login §2.1: what the challenges say is to be ignored.
            State::LoginName { authcid, password } => {
                self.state = State::LoginPassword { password };
                Ok(Secret::new(authcid))
            }
            State::LoginPassword { password } => {
                self.state = State::Complete;
                Ok(password)
            }
            State::Cram { .. } if challenge.is_empty() => {
                Err(ClientError::MalformedChallenge { expected: "a text to digest" })
            }
            State::Cram { authcid, password } => {
                self.state = State::Complete;
                Ok(cram_md5::respond(&authcid, &password, challenge))
            }
            State::Token => {
                // RFC 7628 §3.2.3: the client MUST answer, so that the server can finish.
                self.token_error = Some(TokenError::parse(challenge));
                Ok(Secret::new(oauth::dummy_response(self.mechanism)))
            }
            State::ScramBegun(begun) => {
                let (response, proving) = begun.respond(challenge)?;
                self.state = State::ScramProving(proving);
                Ok(response)
            }
            State::ScramProving(proving) => {
                proving.verify(challenge)?;
                self.state = State::Complete;
                Ok(Secret::new(Vec::new()))
            }
        }
    }

    /// To be asked when the server reports success, with the data it sent along, if the protocol can carry any.
    ///
    /// # Errors
    /// [`ClientError::PrematureSuccess`] where the server has not seen or given a full proof;
    /// [`ClientError::ServerSignature`] where its proof is false. The connection must not be used any further.
    pub fn success(&mut self, data: Option<&[u8]>) -> Result<(), ClientError> {
        let state = core::mem::replace(&mut self.state, State::Failed);
        if self.initial.take().is_some() {
            return Err(ClientError::PrematureSuccess);
        }
        match (state, data) {
            (State::Complete | State::Token, None | Some(b"")) => {}
            (State::Complete | State::Token, Some(_)) => {
                return Err(ClientError::MalformedChallenge { expected: "no data with success" });
            }
            (State::ScramProving(proving), Some(data)) => proving.verify(data)?,
            _ => return Err(ClientError::PrematureSuccess),
        }
        self.state = State::Complete;
        Ok(())
    }

    /// Why the server refused the token, once it said so (OAUTHBEARER, XOAUTH2).
    pub const fn token_error(&self) -> Option<&TokenError> {
        self.token_error.as_ref()
    }

    fn fail(&mut self) {
        self.state = State::Failed;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// The first message and what follows it, for the mechanisms with a password.
fn begin_password(
    mechanism: Mechanism,
    authcid: &str,
    authzid: Option<&str>,
    password: &Secret,
    params: ClientParams,
) -> Result<(Option<Secret>, State), ClientError> {
    let (authcid_owned, password_owned) = (authcid.to_owned(), password.clone());
    Ok(match mechanism {
        Mechanism::Login => (None, State::LoginName { authcid: authcid_owned, password: password_owned }),
        Mechanism::CramMd5 => (None, State::Cram { authcid: authcid_owned, password: password_owned }),
        Mechanism::Plain => (Some(plain::encode(authzid, authcid, password)), State::Complete),
        _ => {
            let begun = begin_scram(mechanism, authcid, authzid, password, params)?;
            (Some(begun.first_message()), State::ScramBegun(begun))
        }
    })
}

fn begin_scram(
    mechanism: Mechanism,
    authcid: &str,
    authzid: Option<&str>,
    password: &Secret,
    params: ClientParams,
) -> Result<scram::client::Begun, ClientError> {
    let unfit = |found| ClientError::Unfit { mechanism, found };
    let offers_binding = params.offered.iter().any(Mechanism::uses_channel_binding);
    let (flag, binding_data) = match &params.channel_binding {
        Some(binding) if mechanism.uses_channel_binding() => {
            (gs2::Flag::Bound(binding.kind().name()), binding.data().to_vec())
        }
        None if mechanism.uses_channel_binding() => {
            return Err(ClientError::MissingChannelBinding(mechanism));
        }
        // RFC 5802 §6: a client that could bind MUST NOT say "n" where it saw no -PLUS offer.
        Some(_) if !offers_binding => (gs2::Flag::NotOffered, Vec::new()),
        _ => (gs2::Flag::Unsupported, Vec::new()),
    };
    Ok(scram::client::Begun {
        hash: Hash::of(mechanism).ok_or(unfit("a password"))?,
        password: prep::password(password, prep::Unassigned::Refuse)
            .ok_or(unfit("a password that SASLprep refuses"))?,
        gs2_header: gs2::encode(flag, authzid),
        binding_data,
        username: prep::prepare_name(authcid).ok_or(unfit("a user name that SASLprep refuses"))?,
        nonce: params.nonce.as_str().to_owned(),
        iterations: params.iterations,
    })
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
    Refused(ScramRefusal),
}
