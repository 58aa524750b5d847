//! [`Credentials`], and [`choose`]: which mechanism a client should use with them.

use super::{Mechanism, MechanismSet};
use crate::Secret;

/// What a client can prove itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A name and a password: SCRAM, CRAM-MD5, PLAIN, LOGIN.
    Password {
        /// Whose password it is, the authentication identity.
        authcid: String,
        /// Whom to act as, the authorisation identity, where it is somebody else. CRAM-MD5 and LOGIN cannot say it.
        authzid: Option<String>,
        /// The password.
        password: Secret,
    },
    /// An OAuth 2.0 bearer token: OAUTHBEARER, XOAUTH2.
    Token {
        /// The user whose mail it is; XOAUTH2 needs it.
        user: Option<String>,
        /// The access token.
        token: Secret,
        /// The host name the client connected to, which OAUTHBEARER may tell.
        host: Option<String>,
        /// The port the client connected to, which OAUTHBEARER may tell.
        port: Option<u16>,
    },
    /// A proof given below SASL, such as a TLS client certificate: EXTERNAL.
    External {
        /// Whom to act as; `None` leaves it to the server.
        authzid: Option<String>,
    },
    /// No proof: ANONYMOUS.
    Anonymous {
        /// A line for the server's log, such as a mail address; at most 255 characters.
        trace: Option<String>,
    },
}

impl Credentials {
    /// A name and its password.
    pub fn password(authcid: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Password { authcid: authcid.into(), authzid: None, password: password.into() }
    }

    /// A name, its password and another user to act as.
    pub fn password_as(
        authcid: impl Into<String>,
        password: impl Into<Secret>,
        authzid: impl Into<String>,
    ) -> Self {
        Self::Password { authcid: authcid.into(), authzid: Some(authzid.into()), password: password.into() }
    }

    /// A user and a bearer token.
    pub fn token(user: impl Into<String>, token: impl Into<Secret>) -> Self {
        Self::Token { user: Some(user.into()), token: token.into(), host: None, port: None }
    }
}

/// What [`choose`] may choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether a password or token may be sent readable: true under TLS, else only if the user asked for it.
    pub allow_plaintext: bool,
    /// Whether there is a channel binding to hand in.
    pub channel_binding: bool,
    /// The mechanisms the user allows.
    pub allowed: MechanismSet,
}

impl Policy {
    /// For a connection under TLS: all mechanisms, passwords included.
    pub const fn encrypted(channel_binding: bool) -> Self {
        Self { allow_plaintext: true, channel_binding, allowed: MechanismSet::ALL }
    }

    /// For a connection in the clear: all mechanisms that send no password or token.
    pub const fn clear() -> Self {
        Self { allow_plaintext: false, channel_binding: false, allowed: MechanismSet::ALL }
    }
}

/// Why no mechanism could be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// The server offers nothing that these credentials and this policy can use.
    #[error("expected the server to offer a mechanism that fits the credentials, found: {offered}")]
    NoCommonMechanism {
        /// What the server offers, of the mechanisms known here.
        offered: MechanismSet,
    },
    /// Only mechanisms that send the password or token readable are left, and the policy forbids them.
    #[error("expected a mechanism fit for an unencrypted connection, found only: {offered}")]
    PlaintextForbidden {
        /// What would do under TLS.
        offered: MechanismSet,
    },
}

/// Chooses the strongest mechanism that the server offers, the credentials fit and the policy allows.
///
/// Fitting means that the mechanism can carry these very credentials: CRAM-MD5 and LOGIN carry no other user to act
/// as, SCRAM takes no password that SASLprep refuses, PLAIN no NUL.
///
/// # Errors
/// See [`ChooseError`].
///
/// ```
/// use mail_wire::sasl::{Credentials, Mechanism, MechanismSet, Policy, choose};
///
/// let offered = MechanismSet::parse("PLAIN LOGIN SCRAM-SHA-1");
/// let chosen = choose(offered, &Credentials::password("user", "pencil"), &Policy::encrypted(false));
/// assert_eq!(chosen, Ok(Mechanism::ScramSha1));
/// ```
pub fn choose(
    offered: MechanismSet,
    credentials: &Credentials,
    policy: &Policy,
) -> Result<Mechanism, ChooseError> {
    let _ = (credentials, policy);
    Err(ChooseError::NoCommonMechanism { offered })
}
