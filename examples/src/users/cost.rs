//! [`Cost`]: what checking a password takes, and the most that a stored one may ask for.
//!
//! The parameters of a stored password decide how long each login takes, and for Argon2 how much memory. They come from a
//! file, where a slip of a digit or two would let every login hold a core for hours or take all memory; so there is a most,
//! well above what anybody recommends.

use argon2::Params;
use argon2::password_hash::phc::PasswordHash;

use super::{PasswordError, Scheme};

/// Most memory for one check, in KiB: 2 GiB, as the first recommendation of RFC 9106 §4 has it. All checks that run at the
/// same time have no more than this together.
pub(super) const MOST_MEMORY: u32 = 2 << 20;
/// Most memory times passes, in KiB: some ten seconds of a core.
const MOST_WORK: u64 = 16 << 20;
/// Most rounds of SHA-crypt and iterations of SCRAM: some six seconds of a core for a short password. SHA-crypt hashes the
/// whole password about twice in each round, so that one of [`StoredPassword::MAX`](super::StoredPassword::MAX) bytes takes
/// seven times as long: three quarters of a minute.
const MOST_ROUNDS: u32 = 10_000_000;
/// Rounds of SHA-crypt where none are named, and the fewest that can be.
const CRYPT_ROUNDS: (u32, u32) = (5000, 1000);

/// What checking a password against a stored one takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cost {
    /// A comparison.
    Comparison,
    /// So many iterations of PBKDF2.
    Iterations(u32),
    /// So many rounds of SHA-crypt.
    Rounds(u32),
    /// Argon2.
    Argon2 {
        /// In KiB.
        memory: u32,
        passes: u32,
        lanes: u32,
    },
}

impl Cost {
    /// Reads it from the text of a hash, `$6$…`. `None` where that is none.
    pub(super) fn of_sha512_crypt(text: &str) -> Option<Self> {
        let mut fields = text.strip_prefix("$6$")?.split('$');
        let mut salt = fields.next()?;
        let mut rounds = CRYPT_ROUNDS.0;
        if let Some(named) = salt.strip_prefix("rounds=") {
            rounds = named.parse().ok().filter(|&rounds| rounds >= CRYPT_ROUNDS.1)?;
            salt = fields.next()?;
        }
        let (hash, end) = (fields.next()?, fields.next());
        let well = !salt.is_empty() && hash.len() == 86 && end.is_none();
        well.then_some(Self::Rounds(rounds))
    }

    /// Reads it from a hash.
    pub(super) fn of_argon2(hash: &PasswordHash) -> Result<Self, String> {
        let params = Params::try_from(hash).map_err(|error| error.to_string())?;
        Ok(Self::Argon2 { memory: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() })
    }

    /// Refuses what nobody can mean.
    pub(super) fn check(self, scheme: Scheme) -> Result<Self, PasswordError> {
        let most = |what: &'static str, found: u64, most: u64| match found > most {
            true => Err(PasswordError::TooCostly { scheme, what, found, most }),
            false => Ok(()),
        };
        match self {
            Self::Comparison => {}
            Self::Iterations(count) => most("iterations", count.into(), MOST_ROUNDS.into())?,
            Self::Rounds(count) => most("rounds", count.into(), MOST_ROUNDS.into())?,
            Self::Argon2 { memory, passes, .. } => {
                most("memory m, in KiB,", memory.into(), MOST_MEMORY.into())?;
                most("memory m times passes t, in KiB,", u64::from(memory) * u64::from(passes), MOST_WORK)?;
            }
        }
        Ok(self)
    }

    /// The memory that a check takes, in MiB.
    pub(super) fn mebibytes(self) -> u32 {
        match self {
            Self::Argon2 { memory, .. } => memory.min(MOST_MEMORY).div_ceil(1024),
            _ => 0,
        }
    }
}
