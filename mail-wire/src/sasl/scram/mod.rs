//! SCRAM (RFC 5802, RFC 7677).

use core::fmt;

/// The hash function of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hash {
    /// SHA-1 (RFC 5802).
    Sha1,
    /// SHA-256 (RFC 7677).
    Sha256,
}

/// The error value of a server's final message (RFC 5802 §7, `server-error-value`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScramRefusal {
    /// `other-error`, or one not known here.
    OtherError,
}

impl fmt::Display for ScramRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("other-error")
    }
}
