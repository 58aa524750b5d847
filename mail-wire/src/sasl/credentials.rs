//! [`Credentials`], and [`choose`]: which mechanism a client should use with them.

use super::{Mechanism, MechanismSet, anonymous, login, oauth, prep};
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
    let fitting: MechanismSet = offered
        .intersection(policy.allowed)
        .iter()
        .filter(|mechanism| policy.channel_binding || !mechanism.uses_channel_binding())
        .filter(|&mechanism| credentials.misfit(mechanism).is_none())
        .collect();
    let permitted = if policy.allow_plaintext { fitting } else { fitting.without_plaintext() };
    match permitted.iter().next() {
        Some(mechanism) => Ok(mechanism),
        None if fitting.is_empty() => Err(ChooseError::NoCommonMechanism { offered }),
        None => Err(ChooseError::PlaintextForbidden { offered: fitting }),
    }
}

/// The words of [`Credentials::misfit`] for credentials of another kind than the mechanism's.
const OTHER_KIND: &str = "credentials of another kind";

impl Credentials {
    /// What keeps `mechanism` from carrying these credentials; `None` where it can.
    pub(super) fn misfit(&self, mechanism: Mechanism) -> Option<&'static str> {
        match self {
            Self::Password { authcid, authzid, password } => {
                password_misfit(mechanism, authcid, authzid.as_deref(), password)
            }
            Self::Token { user, token, host, .. } => {
                token_misfit(mechanism, user.as_deref(), token, host.as_deref())
            }
            Self::External { authzid } => match mechanism {
                Mechanism::External => authzid.as_deref().and_then(name_misfit),
                _ => Some(OTHER_KIND),
            },
            Self::Anonymous { trace } => match (mechanism, trace) {
                (Mechanism::Anonymous, None) => None,
                (Mechanism::Anonymous, Some(trace)) if anonymous::is_trace(trace) => None,
                (Mechanism::Anonymous, Some(_)) => {
                    Some("a trace with controls or of more than 255 characters")
                }
                _ => Some(OTHER_KIND),
            },
        }
    }
}

fn password_misfit(
    mechanism: Mechanism,
    authcid: &str,
    authzid: Option<&str>,
    password: &Secret,
) -> Option<&'static str> {
    let password_fits = match mechanism {
        Mechanism::Plain => {
            !password.is_empty() && password.expose_str().is_some_and(|text| !text.contains('\0'))
        }
        Mechanism::Login => login::is_password(password.expose()),
        Mechanism::CramMd5 => !password.is_empty(),
        // RFC 5802 §2.2: Normalize(password) prohibits unassigned code points.
        _ if mechanism.is_scram() => prep::password(password, prep::Unassigned::Refuse).is_some(),
        _ => return Some(OTHER_KIND),
    };
    if !password_fits {
        return Some("a password that it cannot carry");
    }
    if authzid.is_some() && matches!(mechanism, Mechanism::Login | Mechanism::CramMd5) {
        return Some("a user to act as, which it cannot carry");
    }
    // RFC 5802 §5.1: the client SHOULD abort where the preparation of the name fails.
    if mechanism.is_scram() && prep::prepare_name(authcid).is_none() {
        return Some("a user name that SASLprep refuses");
    }
    name_misfit(authcid).or_else(|| authzid.and_then(name_misfit))
}

fn token_misfit(
    mechanism: Mechanism,
    user: Option<&str>,
    token: &Secret,
    host: Option<&str>,
) -> Option<&'static str> {
    if !matches!(mechanism, Mechanism::OAuthBearer | Mechanism::XOAuth2) {
        return Some(OTHER_KIND);
    }
    if !token.expose_str().is_some_and(oauth::is_token) {
        return Some("a token with other bytes than printable ASCII");
    }
    if host.is_some_and(|host| !oauth::is_host(host)) {
        return Some("a host name with other bytes than printable ASCII");
    }
    match user {
        None if mechanism == Mechanism::XOAuth2 => Some("no user"),
        None => None,
        Some(user) if user.contains('\x01') => Some("a user with a separator in the name"),
        Some(user) => name_misfit(user),
    }
}

fn name_misfit(name: &str) -> Option<&'static str> {
    (name.is_empty() || name.contains('\0')).then_some("a name that is empty or holds NUL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(offered: &str, credentials: &Credentials, policy: Policy) -> Result<Mechanism, ChooseError> {
        choose(MechanismSet::parse(offered), credentials, &policy)
    }

    #[test]
    fn the_strongest_mechanism_that_fits_is_chosen() {
        use Mechanism::*;
        let password = Credentials::password("user", "pencil");
        let other = Credentials::password_as("user", "pencil", "other");
        let emoji = Credentials::password("user", "\u{1f511}");
        let binary = Credentials::password("user", b"p\xe4ss".to_vec());
        let token = Credentials::token("user", "tok");
        let owner = Credentials::Token { user: None, token: "tok".into(), host: None, port: None };
        let external = Credentials::External { authzid: None };
        let anonymous = Credentials::Anonymous { trace: None };
        let all = MechanismSet::ALL.to_string();
        let tls = Policy::encrypted(false);
        let bound = Policy::encrypted(true);
        let cases = [
            (&*all, &password, bound, ScramSha256Plus),
            (&*all, &password, tls, ScramSha256),
            (&*all, &password, Policy::clear(), ScramSha256),
            ("SCRAM-SHA-256 SCRAM-SHA-1-PLUS", &password, bound, ScramSha1Plus),
            ("LOGIN CRAM-MD5 PLAIN", &password, tls, CramMd5),
            ("LOGIN CRAM-MD5 PLAIN", &other, tls, Plain),
            ("LOGIN PLAIN", &password, tls, Plain),
            (&*all, &emoji, tls, CramMd5),
            ("SCRAM-SHA-1 PLAIN LOGIN", &emoji, tls, Plain),
            ("SCRAM-SHA-1 PLAIN LOGIN", &binary, tls, Login),
            (&*all, &token, tls, OAuthBearer),
            ("XOAUTH2 PLAIN", &token, tls, XOAuth2),
            (&*all, &owner, tls, OAuthBearer),
            (&*all, &external, Policy::clear(), External),
            (&*all, &anonymous, Policy::clear(), Anonymous),
            (&*all, &password, Policy { allowed: MechanismSet::parse("LOGIN XOAUTH2"), ..tls }, Login),
        ];
        for (offered, credentials, policy, expected) in cases {
            assert_eq!(
                choice(offered, credentials, policy),
                Ok(expected),
                "{offered} {credentials:?} {policy:?}"
            );
        }
    }

    #[test]
    fn nothing_in_common_and_nothing_permitted_are_told_apart() {
        let password = Credentials::password("user", "pencil");
        let offered = MechanismSet::parse("PLAIN LOGIN");
        let forbidden = Err(ChooseError::PlaintextForbidden { offered });
        assert_eq!(choice("PLAIN LOGIN OAUTHBEARER", &password, Policy::clear()), forbidden);
        let cases = [
            ("", Policy::encrypted(true)),
            ("EXTERNAL ANONYMOUS XOAUTH2 GSSAPI", Policy::encrypted(true)),
            ("SCRAM-SHA-256-PLUS", Policy::encrypted(false)),
            ("PLAIN", Policy { allowed: Mechanism::Login.into(), ..Policy::encrypted(false) }),
        ];
        for (offered, policy) in cases {
            let none = ChooseError::NoCommonMechanism { offered: MechanismSet::parse(offered) };
            assert_eq!(choice(offered, &password, policy), Err(none), "{offered}");
        }
    }

    #[test]
    fn credentials_that_a_mechanism_cannot_carry_do_not_fit() {
        let external = |authzid: &str| Credentials::External { authzid: Some(authzid.to_owned()) };
        let trace = |trace: &str| Credentials::Anonymous { trace: Some(trace.to_owned()) };
        let token = |token: &str| Credentials::token("user", token);
        let cases = [
            ("PLAIN", Credentials::password("us\0er", "pencil")),
            ("PLAIN", Credentials::password("", "pencil")),
            ("PLAIN", Credentials::password("user", "")),
            ("PLAIN", Credentials::password("user", "pen\0cil")),
            ("PLAIN", Credentials::password_as("user", "pencil", "")),
            ("LOGIN", Credentials::password("user", "pen\ncil")),
            ("CRAM-MD5", Credentials::password_as("user", "pencil", "other")),
            ("SCRAM-SHA-256", Credentials::password("\u{ad}", "pencil")),
            ("SCRAM-SHA-256", Credentials::password("user", "\u{7}")),
            ("OAUTHBEARER", token("a b")),
            ("OAUTHBEARER", token("")),
            ("XOAUTH2", token("a\x01b")),
            ("XOAUTH2", Credentials::token("a\x01b", "tok")),
            ("EXTERNAL", external("a\0b")),
            ("EXTERNAL", external("")),
            ("ANONYMOUS", trace("a\nb")),
        ];
        for (mechanism, credentials) in cases {
            let mechanism = Mechanism::parse(mechanism).unwrap();
            assert!(credentials.misfit(mechanism).is_some(), "{mechanism} {credentials:?}");
        }
    }
}
