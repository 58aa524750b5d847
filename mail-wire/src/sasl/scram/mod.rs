//! SCRAM (RFC 5802, RFC 7677): both sides prove that they know a password, or keys made from it, without sending it.
//!
//! - [`message`]: the four messages as text
//! - [`client`], [`server`]: the two sides
//! - here: the hash functions and what is computed with them

pub(super) mod client;
mod message;
pub(super) mod server;

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Mechanism;
use crate::Secret;

/// The hash function of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hash {
    /// SHA-1 (RFC 5802).
    Sha1,
    /// SHA-256 (RFC 7677).
    Sha256,
}

impl Hash {
    /// The hash function that a SCRAM mechanism uses, with channel binding or without; `None` for other mechanisms.
    pub const fn of(mechanism: Mechanism) -> Option<Self> {
        match mechanism {
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => Some(Self::Sha1),
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => Some(Self::Sha256),
            _ => None,
        }
    }

    /// How long a key made with it is, in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The mechanism that uses it, without channel binding. Its name also names the scheme of stored keys.
    pub const fn mechanism(self) -> Mechanism {
        match self {
            Self::Sha1 => Mechanism::ScramSha1,
            Self::Sha256 => Mechanism::ScramSha256,
        }
    }

    /// `H(data)` of RFC 5802 §2.2.
    pub(super) fn digest(self, data: &[u8]) -> Secret {
        match self {
            Self::Sha1 => Secret::new(Sha1::digest(data).to_vec()),
            Self::Sha256 => Secret::new(Sha256::digest(data).to_vec()),
        }
    }

    /// `HMAC(key, data)` of RFC 5802 §2.2.
    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Secret {
        const ANY_KEY: &str = "HMAC takes a key of any length";
        match self {
            Self::Sha1 => {
                let mac = Hmac::<Sha1>::new_from_slice(key).expect(ANY_KEY);
                Secret::new(mac.chain_update(data).finalize().into_bytes().to_vec())
            }
            Self::Sha256 => {
                let mac = Hmac::<Sha256>::new_from_slice(key).expect(ANY_KEY);
                Secret::new(mac.chain_update(data).finalize().into_bytes().to_vec())
            }
        }
    }

    /// `Hi(password, salt, iterations)` of RFC 5802 §2.2; the password is prepared.
    pub(super) fn salted_password(self, password: &Secret, salt: &[u8], iterations: u32) -> Secret {
        let mut salted = zeroize::Zeroizing::new(vec![0; self.key_len()]);
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password.expose(), salt, iterations, &mut salted),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password.expose(), salt, iterations, &mut salted),
        }
        Secret::new(core::mem::take(&mut *salted))
    }

    pub(super) fn client_key(self, salted_password: &Secret) -> Secret {
        self.hmac(salted_password.expose(), b"Client Key")
    }

    pub(super) fn server_key(self, salted_password: &Secret) -> Secret {
        self.hmac(salted_password.expose(), b"Server Key")
    }
}

/// `a XOR b` of two values of one length.
fn xor(a: &[u8], b: &[u8]) -> Secret {
    Secret::new(a.iter().zip(b).map(|(a, b)| a ^ b).collect::<Vec<_>>())
}

/// The error value of a server's final message (RFC 5802 §7, `server-error-value`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScramRefusal {
    /// `invalid-encoding`
    InvalidEncoding,
    /// `extensions-not-supported`
    ExtensionsNotSupported,
    /// `invalid-proof`: mostly a wrong password.
    InvalidProof,
    /// `channel-bindings-dont-match`: somebody may be in the middle.
    ChannelBindingsDontMatch,
    /// `server-does-support-channel-binding`: somebody may have cut the `-PLUS` offer out.
    ServerDoesSupportChannelBinding,
    /// `channel-binding-not-supported`
    ChannelBindingNotSupported,
    /// `unsupported-channel-binding-type`
    UnsupportedChannelBindingType,
    /// `unknown-user`
    UnknownUser,
    /// `invalid-username-encoding`
    InvalidUsernameEncoding,
    /// `no-resources`
    NoResources,
    /// `other-error`, and any value that is not known here.
    OtherError,
}

impl ScramRefusal {
    const NAMED: [(Self, &'static str); 11] = [
        (Self::InvalidEncoding, "invalid-encoding"),
        (Self::ExtensionsNotSupported, "extensions-not-supported"),
        (Self::InvalidProof, "invalid-proof"),
        (Self::ChannelBindingsDontMatch, "channel-bindings-dont-match"),
        (Self::ServerDoesSupportChannelBinding, "server-does-support-channel-binding"),
        (Self::ChannelBindingNotSupported, "channel-binding-not-supported"),
        (Self::UnsupportedChannelBindingType, "unsupported-channel-binding-type"),
        (Self::UnknownUser, "unknown-user"),
        (Self::InvalidUsernameEncoding, "invalid-username-encoding"),
        (Self::NoResources, "no-resources"),
        (Self::OtherError, "other-error"),
    ];

    /// Reads a value; one that is not known is [`OtherError`](Self::OtherError) (RFC 5802 §7).
    fn parse(value: &str) -> Self {
        Self::NAMED.into_iter().find(|(_, name)| *name == value).map_or(Self::OtherError, |(error, _)| error)
    }
}

impl fmt::Display for ScramRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMED.into_iter().find(|(error, _)| error == self);
        f.write_str(name.map_or("other-error", |(_, name)| name))
    }
}
