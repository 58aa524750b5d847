//! [`Stored`], [`ScramKeys`] and [`Decoy`]: what a server keeps of a password.

use super::Hash;
use crate::Secret;

/// What a server keeps of a user's password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// The password itself: serves every mechanism.
    Plain(Secret),
    /// SCRAM keys: serve SCRAM with their hash, PLAIN and LOGIN, but not CRAM-MD5.
    Scram(ScramKeys),
    /// There is no such user.
    Unknown,
}

/// What SCRAM needs to know of a password (RFC 5802 §3); neither a password nor enough to log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramKeys {
    hash: Hash,
}

/// What makes a user who does not exist look like one who does.
///
/// Salt and iteration count of an unknown user follow from a key of the server's and the name, so that they are the
/// same at each try, as a real user's would be.
#[derive(Clone, Debug)]
pub struct Decoy {
    key: Secret,
    iterations: u32,
}

impl Decoy {
    /// Takes a key of at least 16 random bytes that outlives restarts of the server.
    pub fn new(key: impl Into<Secret>) -> Self {
        Self { key: key.into(), iterations: ScramKeys::DEFAULT_ITERATIONS }
    }
}

impl ScramKeys {
    /// Iterations to derive keys with where nothing else is asked for.
    pub const DEFAULT_ITERATIONS: u32 = 10_000;
}
