//! [`Server`]: the server's side of one exchange.

use core::fmt;

use super::wire::DecodeError;
use super::{
    ChannelBinding, Decoy, Hash, Mechanism, Nonce, Stored, TokenError, anonymous, cram_md5, external, login,
    oauth, plain, scram,
};
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
    pub(super) token_error: Option<TokenError>,
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
            token_error: None,
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
    /// scope it needs (RFC 7628 §4.3). By default the status is `invalid_token`, for XOAUTH2 `401`.
    #[must_use]
    pub fn with_token_error(mut self, error: TokenError) -> Self {
        self.token_error = Some(error);
        self
    }
}

/// The server's side of one exchange.
///
/// Call [`step`](Self::step) with the initial response, if there was one, then act on the [`Step`] returned: send a
/// challenge and `step` with the response; or find out what is asked and [`answer`](Self::answer). There are at most
/// five steps whatever the client sends.
pub struct Server {
    mechanism: Mechanism,
    params: ServerParams,
    state: State,
    /// Whom the client says it is.
    claimed: Option<String>,
}

/// What is awaited.
enum State {
    /// The initial response, or its absence.
    Start,
    /// The first message of a mechanism where the client speaks first.
    ClientFirst,
    /// LOGIN: the password.
    LoginPassword {
        authcid: String,
    },
    /// CRAM-MD5: the answer to the challenge.
    CramResponse,
    /// SCRAM: the proof.
    ScramProof {
        /// The name that the client gave, where it is known under another.
        alias: Option<String>,
        challenging: Box<scram::server::Challenging>,
    },
    /// OAUTHBEARER, XOAUTH2: whatever the client says to the refusal.
    TokenDummy,
    /// The empty response to the last challenge.
    FinalAcknowledgement(Identity),
    /// Answers to questions, by their kind.
    PasswordVerdict {
        authcid: String,
        authzid: Option<String>,
        password: Secret,
    },
    CramCredentials {
        authcid: String,
        digest: cram_md5::Digest,
    },
    ScramCredentials(Box<scram::server::Named>),
    TokenVerdict {
        user: Option<String>,
    },
    ExternalVerdict {
        authzid: Option<String>,
    },
    AnonymousVerdict,
    AuthorizeVerdict {
        authcid: String,
        authzid: String,
        final_data: Option<Vec<u8>>,
    },
    /// The exchange is over.
    Done,
}

impl Server {
    /// Begins an exchange.
    pub const fn new(mechanism: Mechanism, params: ServerParams) -> Self {
        Self { mechanism, params, state: State::Start, claimed: None }
    }

    /// The mechanism of the exchange.
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The name that the client gave, prepared, in whatever spelling; also after the exchange has failed. `None` as long
    /// as it has given none that could be read.
    ///
    /// It is the client's word, and up to [`with_max_message`](ServerParams::with_max_message) long. People mistype, so
    /// it may be a password in the field for the name.
    pub fn claimed_user(&self) -> Option<&str> {
        self.claimed.as_deref()
    }

    /// Takes the client's message, decoded from base64: first the initial response or `None` where the command had
    /// none, then each response.
    ///
    /// Out of turn (while a [`Question`] is open, after the end, or `None` later on) it fails with
    /// [`Failure::OutOfTurn`].
    pub fn step(&mut self, response: Option<&[u8]>) -> Step {
        let state = core::mem::replace(&mut self.state, State::Done);
        let step = match response {
            Some(response) if response.len() > self.params.max_message => {
                Err(Failure::TooLong { limit: self.params.max_message, found: response.len() })
            }
            Some(response) => self.respond(state, response),
            None if matches!(state, State::Start) => Ok(self.greet()),
            None => Err(Failure::OutOfTurn),
        };
        step.unwrap_or_else(Step::Failed)
    }

    /// Answers the open [`Question`]. An answer of the wrong kind, or to no question, fails with
    /// [`Failure::Unavailable`].
    pub fn answer(&mut self, answer: Answer) -> Step {
        let state = core::mem::replace(&mut self.state, State::Done);
        self.decide(state, answer).unwrap_or_else(Step::Failed)
    }

    /// Asks for the first message.
    fn greet(&mut self) -> Step {
        let (state, challenge) = match self.mechanism {
            Mechanism::Login => (State::ClientFirst, login::NAME_CHALLENGE.to_vec()),
            Mechanism::CramMd5 => (State::CramResponse, self.cram_challenge().into_bytes()),
            // RFC 4422 §5: where the client speaks first and has not yet, the challenge is empty.
            _ => (State::ClientFirst, Vec::new()),
        };
        self.state = state;
        Step::Challenge(challenge)
    }

    fn respond(&mut self, state: State, response: &[u8]) -> Result<Step, Failure> {
        match state {
            // RFC 4954 §4: an initial response to a mechanism that has none is refused.
            State::Start if self.mechanism == Mechanism::CramMd5 => {
                Err(Failure::Malformed { expected: "no initial response" })
            }
            State::Start | State::ClientFirst => self.read_first(response),
            State::LoginPassword { authcid } => {
                let password = login::parse_password(response)?;
                Ok(self.ask_password(authcid, None, password))
            }
            State::CramResponse => {
                let (authcid, digest) = cram_md5::parse(response)?;
                Ok(self.ask_credentials(authcid.clone(), State::CramCredentials { authcid, digest }))
            }
            State::ScramProof { alias, challenging } => {
                let proved = challenging.verify(self.mechanism, response)?;
                Ok(self.authenticated(alias, proved.username, proved.authzid, Some(proved.final_message)))
            }
            State::TokenDummy => Err(Failure::Credentials),
            State::FinalAcknowledgement(identity) if response.is_empty() => {
                Ok(Step::Success { identity, final_data: None })
            }
            State::FinalAcknowledgement(_) => Err(Failure::Malformed { expected: "an empty response" }),
            State::PasswordVerdict { .. }
            | State::CramCredentials { .. }
            | State::ScramCredentials(_)
            | State::TokenVerdict { .. }
            | State::ExternalVerdict { .. }
            | State::AnonymousVerdict
            | State::AuthorizeVerdict { .. }
            | State::Done => Err(Failure::OutOfTurn),
        }
    }

    /// Reads the first message, whether it came as initial response or after the greeting.
    fn read_first(&mut self, response: &[u8]) -> Result<Step, Failure> {
        let mechanism = self.mechanism;
        if let Some(hash) = Hash::of(mechanism) {
            let named = scram::server::Named::parse(hash, mechanism, &self.params, response)?;
            let authcid = named.username.clone();
            return Ok(self.ask_credentials(authcid, State::ScramCredentials(Box::new(named))));
        }
        Ok(match mechanism {
            Mechanism::Plain => {
                let plain::Message { authzid, authcid, password } = plain::parse(response)?;
                self.ask_password(authcid, authzid, password)
            }
            Mechanism::Login => {
                let authcid = login::parse_name(response)?;
                self.claimed = Some(authcid.clone());
                self.state = State::LoginPassword { authcid };
                Step::Challenge(login::PASSWORD_CHALLENGE.to_vec())
            }
            Mechanism::OAuthBearer => self.ask_token(oauth::parse_bearer(response)?),
            Mechanism::XOAuth2 => self.ask_token(oauth::parse_xoauth2(response)?),
            Mechanism::External => {
                let authzid = external::parse(response)?;
                self.claimed.clone_from(&authzid);
                self.state = State::ExternalVerdict { authzid: authzid.clone() };
                Step::Ask(Question::External { authzid })
            }
            Mechanism::Anonymous => {
                let trace = anonymous::parse(response)?;
                self.state = State::AnonymousVerdict;
                Step::Ask(Question::Anonymous { trace })
            }
            Mechanism::CramMd5
            | Mechanism::ScramSha1
            | Mechanism::ScramSha256
            | Mechanism::ScramSha1Plus
            | Mechanism::ScramSha256Plus => return Err(Failure::OutOfTurn),
        })
    }

    fn ask_password(&mut self, authcid: String, authzid: Option<String>, password: Secret) -> Step {
        self.claimed = Some(authcid.clone());
        let question = Question::VerifyPassword {
            mechanism: self.mechanism,
            authcid: authcid.clone(),
            password: password.clone(),
        };
        self.state = State::PasswordVerdict { authcid, authzid, password };
        Step::Ask(question)
    }

    fn ask_credentials(&mut self, authcid: String, state: State) -> Step {
        self.claimed = Some(authcid.clone());
        self.state = state;
        Step::Ask(Question::Credentials { mechanism: self.mechanism, authcid })
    }

    fn ask_token(&mut self, message: oauth::Message) -> Step {
        let oauth::Message { user, token, host, port } = message;
        self.claimed.clone_from(&user);
        if token.is_empty() {
            return self.refuse_token(None);
        }
        self.state = State::TokenVerdict { user: user.clone() };
        Step::Ask(Question::VerifyToken { mechanism: self.mechanism, user, token, host, port })
    }

    fn refuse_token(&mut self, error: Option<TokenError>) -> Step {
        let error = error.or_else(|| self.params.token_error.take());
        let error = error.unwrap_or_else(|| TokenError::invalid_token(self.mechanism));
        // RFC 7628 §3.2.3: the reason goes out as a challenge, failure follows the client's response.
        self.state = State::TokenDummy;
        Step::Challenge(error.encode())
    }

    fn decide(&mut self, state: State, answer: Answer) -> Result<Step, Failure> {
        match (state, answer) {
            (_, Answer::Unavailable) => Err(Failure::Unavailable),

            (State::PasswordVerdict { authcid, authzid, .. }, Answer::Accepted) => {
                Ok(self.authenticated(None, authcid, authzid, None))
            }
            (State::PasswordVerdict { authcid, authzid, .. }, Answer::AcceptedAs(name)) => {
                Ok(self.authenticated(Some(authcid), name, authzid, None))
            }
            (state, Answer::Stored(stored)) => self.compare(state, None, stored),
            (state, Answer::StoredAs(name, stored)) => self.compare(state, Some(name), stored),

            (State::TokenVerdict { user: Some(user) }, Answer::Accepted) => {
                Ok(self.authenticated(None, user, None, None))
            }
            (State::TokenVerdict { user }, Answer::AcceptedAs(owner)) => {
                Ok(self.authenticated(None, owner, user, None))
            }
            (State::TokenVerdict { .. }, Answer::Rejected) => Ok(self.refuse_token(None)),
            (State::TokenVerdict { .. }, Answer::RejectedToken(error)) => Ok(self.refuse_token(Some(error))),

            (State::ExternalVerdict { authzid: Some(authzid) }, Answer::Accepted) => {
                Ok(self.authenticated(None, authzid, None, None))
            }
            (State::ExternalVerdict { authzid }, Answer::AcceptedAs(name)) => {
                Ok(self.authenticated(None, name, authzid, None))
            }
            (State::AnonymousVerdict, Answer::Accepted) => {
                Ok(self.authenticated(None, anonymous::NAME.to_owned(), None, None))
            }
            (State::AnonymousVerdict, Answer::AcceptedAs(name)) => {
                Ok(self.authenticated(None, name, None, None))
            }

            (State::AuthorizeVerdict { authcid, authzid, final_data }, Answer::Accepted) => {
                Ok(self.conclude(authcid, authzid, final_data))
            }
            (State::AuthorizeVerdict { authcid, final_data, .. }, Answer::AcceptedAs(authzid)) => {
                Ok(self.conclude(authcid, authzid, final_data))
            }
            (State::AuthorizeVerdict { .. }, Answer::Rejected) => Err(Failure::Unauthorized),

            (
                State::PasswordVerdict { .. } | State::ExternalVerdict { .. } | State::AnonymousVerdict,
                Answer::Rejected,
            ) => Err(Failure::Credentials),
            _ => Err(Failure::Unavailable),
        }
    }

    /// Compares what the client gave with what is stored for it, under `name` where that is another than the client gave.
    fn compare(&mut self, state: State, name: Option<String>, stored: Stored) -> Result<Step, Failure> {
        let decoy = &self.params.decoy;
        match state {
            State::PasswordVerdict { authcid, authzid, password } => {
                let (alias, authcid) = renamed(authcid, name);
                match stored.verify_password(&authcid, &password, decoy) {
                    true => Ok(self.authenticated(alias, authcid, authzid, None)),
                    false => Err(Failure::Credentials),
                }
            }
            State::CramCredentials { authcid, digest } => {
                let (_, authcid) = renamed(authcid, name);
                let (password, known) = stored.shared_secret(&authcid, decoy);
                let fits = cram_md5::verify(&password, self.cram_challenge().as_bytes(), &digest);
                match fits && known {
                    true => Ok(self.authenticated(None, authcid, None, None)),
                    false => Err(Failure::Credentials),
                }
            }
            State::ScramCredentials(mut named) => {
                let (alias, username) = renamed(named.username, name);
                named.username = username;
                let (keys, known) = stored.scram_keys(named.hash, &named.username, decoy);
                let (challenge, challenging) = named.challenge(keys, known, &self.params);
                self.state = State::ScramProof { alias, challenging: Box::new(challenging) };
                Ok(Step::Challenge(challenge))
            }
            _ => Err(Failure::Unavailable),
        }
    }

    /// Goes on once the client is known, by asking whether it may act as the other it named, if it did.
    ///
    /// `alias` is the name the client gave, where `authcid` is another for the same user.
    fn authenticated(
        &mut self,
        alias: Option<String>,
        authcid: String,
        authzid: Option<String>,
        final_data: Option<Vec<u8>>,
    ) -> Step {
        match authzid.filter(|authzid| *authzid != authcid && Some(authzid) != alias.as_ref()) {
            None => self.conclude(authcid.clone(), authcid, final_data),
            Some(authzid) => {
                let question = Question::Authorize {
                    mechanism: self.mechanism,
                    authcid: authcid.clone(),
                    authzid: authzid.clone(),
                };
                self.state = State::AuthorizeVerdict { authcid, authzid, final_data };
                Step::Ask(question)
            }
        }
    }

    fn conclude(&mut self, authcid: String, authzid: String, final_data: Option<Vec<u8>>) -> Step {
        let identity = Identity { mechanism: self.mechanism, authcid, authzid };
        match final_data {
            // RFC 4422 §3.6: data that cannot go with success is sent as a challenge, to be answered empty.
            Some(data) if !self.params.data_with_success => {
                self.state = State::FinalAcknowledgement(identity);
                Step::Challenge(data)
            }
            final_data => Step::Success { identity, final_data },
        }
    }

    fn cram_challenge(&self) -> String {
        cram_md5::challenge(&self.params.nonce, self.params.unix_time, &self.params.host)
    }
}

/// The alias, if any, and the name for a client that said `given` and is known as `name`.
fn renamed(given: String, name: Option<String>) -> (Option<String>, String) {
    match name {
        None => (None, given),
        Some(name) => (Some(given), name),
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("mechanism", &self.mechanism).finish_non_exhaustive()
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
    /// [`Answer::Rejected`], or [`Answer::Stored`] or [`Answer::StoredAs`] to have it compared here.
    VerifyPassword {
        /// The mechanism.
        mechanism: Mechanism,
        /// The name.
        authcid: String,
        /// The password as sent, not prepared. [`Stored::verify_password`] prepares it where it must be.
        password: Secret,
    },
    /// What is stored for this user? (SCRAM, CRAM-MD5) Answer [`Answer::Stored`] or [`Answer::StoredAs`], with
    /// [`Stored::Unknown`] or [`Stored::Imitation`] where there is no such user: the exchange then goes on to fail as with
    /// a wrong password.
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
        /// Whom it wants to act as.
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
    /// What is stored for the user, and the name to use from here on, whatever the spelling that the client used.
    ///
    /// Where names have more than one spelling (letter case, a domain or none), give the canonical one with
    /// [`Stored::Unknown`] as well: what a [`Decoy`] invents follows from the name, and if it differed from spelling to
    /// spelling, it would tell that there is no such user.
    StoredAs(String, Stored),
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

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Cancelled => Self::Cancelled,
            DecodeError::BadBase64 => Self::Malformed { expected: "strict base64" },
            DecodeError::TooLong { limit, found } => Self::TooLong { limit, found },
        }
    }
}
