//! [`Scheme`] and [`StoredPassword`]: the forms in which passwords are kept.

use core::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use mail_wire::Secret;
use mail_wire::sasl::{Hash, ScramKeys, Stored};
use sha_crypt::{PasswordHashRef, ShaCrypt};

/// How a password is kept. In text, `{NAME}` in any letter case stands before the data, as in Dovecot's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// `{PLAIN}`: as it is. Serves every mechanism.
    Plain,
    /// `{SCRAM-SHA-1}`: keys that serve SCRAM-SHA-1 (RFC 5802), PLAIN and LOGIN.
    ScramSha1,
    /// `{SCRAM-SHA-256}`: keys that serve SCRAM-SHA-256 (RFC 7677), PLAIN and LOGIN.
    ScramSha256,
    /// `{SHA512-CRYPT}`: crypt(3)'s `$6$`. Serves PLAIN and LOGIN.
    Sha512Crypt,
    /// `{ARGON2ID}`: the memory-hard hash (RFC 9106), the safest if the file is stolen. Serves PLAIN and LOGIN.
    Argon2id,
}

impl Scheme {
    /// All schemes.
    pub const ALL: [Self; 5] =
        [Self::Plain, Self::ScramSha1, Self::ScramSha256, Self::Sha512Crypt, Self::Argon2id];

    /// Finds the scheme of that name, in any letter case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name))
    }

    /// The name, without braces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Sha512Crypt => "SHA512-CRYPT",
            Self::Argon2id => "ARGON2ID",
        }
    }

    /// Turns a password into the text for a users file, scheme included. Salts are random.
    ///
    /// # Errors
    ///
    /// [`PasswordError`], if the password cannot be kept in this form.
    pub fn hash(self, password: &Secret) -> Result<String, PasswordError> {
        if password.is_empty() {
            return Err(PasswordError::Empty);
        }
        let failed = |error: String| PasswordError::Malformed { scheme: self, why: error };
        let data = match self {
            Self::Plain => {
                let text = password.expose_str().ok_or_else(|| failed("expected UTF-8".to_owned()))?;
                if text.contains([':', '\r', '\n', '\0']) {
                    return Err(failed("a users file has no place for ':' or a line break".to_owned()));
                }
                text.to_owned()
            }
            Self::ScramSha1 => return scram(Hash::Sha1, password),
            Self::ScramSha256 => return scram(Hash::Sha256, password),
            Self::Sha512Crypt => ShaCrypt::default()
                .hash_password(password.expose())
                .map_err(|error| failed(error.to_string()))?
                .as_str()
                .to_owned(),
            Self::Argon2id => {
                let hasher = Argon2::default();
                let hash: PasswordHash =
                    hasher.hash_password(password.expose()).map_err(|error| failed(error.to_string()))?;
                hash.to_string()
            }
        };
        Ok(format!("{{{self}}}{data}"))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A password as it is kept. `Debug` shows the scheme only.
#[derive(Clone)]
pub struct StoredPassword(Kept);

#[derive(Clone)]
enum Kept {
    Plain(Secret),
    Scram(ScramKeys),
    Sha512Crypt(Secret),
    Argon2id(Secret),
}

impl StoredPassword {
    /// A password kept as it is.
    pub fn plain(password: impl Into<Secret>) -> Self {
        Self(Kept::Plain(password.into()))
    }

    /// Reads the text of a users file: `{SCHEME}data`. Without a scheme the data must show what it is, by `$argon2id$`
    /// or `$6$`: Dovecot takes it for crypt(3) then, and so does this.
    ///
    /// # Errors
    ///
    /// [`PasswordError`]. It never holds the text, which may be a password without its scheme.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        let (scheme, data) = match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, data)) => {
                let scheme = Scheme::parse(name)
                    .ok_or_else(|| PasswordError::UnknownScheme { found: name.chars().take(32).collect() })?;
                (scheme, data)
            }
            None if text.starts_with("$argon2id$") => (Scheme::Argon2id, text),
            None if text.starts_with("$6$") => (Scheme::Sha512Crypt, text),
            None if text.is_empty() => return Err(PasswordError::Empty),
            None => return Err(PasswordError::NoScheme),
        };
        if data.is_empty() {
            return Err(PasswordError::Empty);
        }
        let malformed = |why: String| PasswordError::Malformed { scheme, why };
        Ok(Self(match scheme {
            Scheme::Plain => Kept::Plain(Secret::new(data)),
            Scheme::ScramSha1 | Scheme::ScramSha256 => {
                Kept::Scram(ScramKeys::parse(text).map_err(|error| malformed(error.to_string()))?)
            }
            Scheme::Sha512Crypt => {
                let well = data.starts_with("$6$") && PasswordHashRef::new(data).is_ok();
                if !well {
                    return Err(malformed("expected $6$salt$hash".to_owned()));
                }
                Kept::Sha512Crypt(Secret::new(data))
            }
            Scheme::Argon2id => {
                let hash = PasswordHash::new(data).map_err(|error| malformed(error.to_string()))?;
                if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
                    return Err(malformed("expected $argon2id$v=19$m=…,t=…,p=…$salt$hash".to_owned()));
                }
                Kept::Argon2id(Secret::new(data))
            }
        }))
    }

    /// In which form it is kept.
    pub fn scheme(&self) -> Scheme {
        match &self.0 {
            Kept::Plain(_) => Scheme::Plain,
            Kept::Scram(keys) if keys.hash() == Hash::Sha1 => Scheme::ScramSha1,
            Kept::Scram(_) => Scheme::ScramSha256,
            Kept::Sha512Crypt(_) => Scheme::Sha512Crypt,
            Kept::Argon2id(_) => Scheme::Argon2id,
        }
    }

    /// Whether this is the password. Takes long for all but [cheap](Self::is_cheap) schemes.
    pub(super) fn verify(&self, given: &Secret) -> bool {
        match &self.0 {
            Kept::Plain(password) => {
                // The decoy is for unknown users, and this is a known one.
                let decoy = mail_wire::sasl::Decoy::new(Vec::new());
                Stored::Plain(password.clone()).verify_password("", given, &decoy)
            }
            Kept::Scram(keys) => keys.verify_password(given),
            Kept::Sha512Crypt(hash) => hash
                .expose_str()
                .is_some_and(|hash| ShaCrypt::default().verify_password(given.expose(), hash).is_ok()),
            Kept::Argon2id(hash) => hash
                .expose_str()
                .and_then(|hash| PasswordHash::new(hash).ok())
                .is_some_and(|hash| Argon2::default().verify_password(given.expose(), &hash).is_ok()),
        }
    }

    /// Whether checking takes next to no time.
    pub(super) fn is_cheap(&self) -> bool {
        matches!(self.0, Kept::Plain(_))
    }

    /// What the SASL machine may be told: passwords and SCRAM keys, but not hashes, which serve no exchange.
    pub(super) fn for_sasl(&self) -> Option<Stored> {
        match &self.0 {
            Kept::Plain(password) => Some(Stored::Plain(password.clone())),
            Kept::Scram(keys) => Some(Stored::Scram(keys.clone())),
            Kept::Sha512Crypt(_) | Kept::Argon2id(_) => None,
        }
    }

    pub(super) fn serves_scram(&self, hash: Hash) -> bool {
        match &self.0 {
            Kept::Plain(_) => true,
            Kept::Scram(keys) => keys.hash() == hash,
            Kept::Sha512Crypt(_) | Kept::Argon2id(_) => false,
        }
    }

    /// Iterations of SCRAM keys.
    pub(super) fn iterations(&self) -> Option<u32> {
        match &self.0 {
            Kept::Scram(keys) => Some(keys.iterations()),
            _ => None,
        }
    }

    /// A password of that scheme that nobody has, to be checked against for the sake of the time it takes.
    pub(super) fn dummy(scheme: Scheme) -> Self {
        let mut random = [0; 24];
        // Without randomness there is the dummy of zeros: nobody has it either, since it is refused by its user, who is
        // unknown.
        let _ = getrandom::fill(&mut random);
        let password = Secret::new(random.map(|byte| b'a' + byte % 26).to_vec());
        scheme
            .hash(&password)
            .ok()
            .and_then(|text| Self::parse(&text).ok())
            .unwrap_or(Self(Kept::Plain(password)))
    }
}

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredPassword({{{}}}..)", self.scheme())
    }
}

/// Why a text is no stored password, or a password cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// A scheme that is not known here.
    #[error("expected a password scheme of {}, found {{{found}}}", known())]
    UnknownScheme {
        /// Its name.
        found: String,
    },
    /// Neither a scheme nor data that shows what it is.
    #[error("expected {{SCHEME}} before the password ({}), found none", known())]
    NoScheme,
    /// No password.
    #[error("expected a password, found none")]
    Empty,
    /// The data does not fit the scheme.
    #[error("expected data for {{{scheme}}}, found something else: {why}")]
    Malformed {
        /// The scheme.
        scheme: Scheme,
        /// What is wrong.
        why: String,
    },
}

fn known() -> String {
    Scheme::ALL.map(|scheme| format!("{{{scheme}}}")).join(" ")
}

fn scram(hash: Hash, password: &Secret) -> Result<String, PasswordError> {
    let scheme = if hash == Hash::Sha1 { Scheme::ScramSha1 } else { Scheme::ScramSha256 };
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|error| PasswordError::Malformed { scheme, why: error.to_string() })?;
    ScramKeys::derive(hash, password, &salt, ScramKeys::DEFAULT_ITERATIONS)
        .map(|keys| keys.encode())
        .map_err(|error| PasswordError::Malformed { scheme, why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_programs_hashed_is_verified() {
        // The first of the published test vectors of SHA-crypt, and one hash made with the reference argon2 program.
        let sha512 = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
        let stored = StoredPassword::parse(&format!("{{sha512-crypt}}{sha512}")).unwrap();
        assert!(stored.verify(&Secret::new("Hello world!")));
        assert!(!stored.verify(&Secret::new("Hello world")));
        assert_eq!(StoredPassword::parse(sha512).unwrap().scheme(), Scheme::Sha512Crypt);

        let argon = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let stored = StoredPassword::parse(argon).unwrap();
        assert!(stored.verify(&Secret::new("password")));
        assert!(!stored.verify(&Secret::new("passwort")));
    }

    #[test]
    fn errors_say_what_was_expected_and_never_the_password() {
        for (text, expected) in [
            ("{MD5}hunter2", "{ARGON2ID}, found {MD5}"),
            ("hunter2", "found none"),
            ("", "expected a password"),
            ("{PLAIN}", "expected a password"),
            ("{SHA512-CRYPT}hunter2", "$6$salt$hash"),
            ("{SHA512-CRYPT}$5$hunter2$x", "$6$salt$hash"),
            ("{ARGON2ID}hunter2", "{ARGON2ID}"),
            (
                "{ARGON2ID}$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                "argon2id",
            ),
            ("{SCRAM-SHA-256}hunter2", "{SCRAM-SHA-256}"),
            ("$1$hunter2$x", "found none"),
        ] {
            let error = StoredPassword::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(format!("{:?}", StoredPassword::plain("hunter2")), "StoredPassword({PLAIN}..)");
    }

    #[test]
    fn a_password_that_would_break_the_file_is_not_written_plain() {
        for bad in ["a:b", "a\nb", ""] {
            assert!(Scheme::Plain.hash(&Secret::new(bad)).is_err(), "{bad:?}");
        }
    }
}
