//! [`Scheme`] and [`StoredPassword`]: the forms in which passwords are kept.

use core::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use mail_wire::Secret;
use mail_wire::sasl::{Hash, Mechanism, ScramKeys, Stored};
use sha_crypt::{PasswordHashRef, ShaCrypt};

use super::cost::Cost;

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
        check_length(password)?;
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
pub struct StoredPassword {
    kept: Kept,
    cost: Cost,
}

#[derive(Clone)]
enum Kept {
    Plain(Secret),
    Scram(ScramKeys),
    Sha512Crypt(Secret),
    Argon2id(Secret),
}

impl StoredPassword {
    /// Longest password, in bytes. Hashes like that of `{SHA512-CRYPT}` go over the whole password in each of their many
    /// rounds, so what a client sends must be bounded before it is hashed.
    pub const MAX: usize = 512;

    /// A password kept as it is. One of more than [`MAX`](Self::MAX) bytes is refused when the user is
    /// [added](super::Users::add).
    pub fn plain(password: impl Into<Secret>) -> Self {
        Self { kept: Kept::Plain(password.into()), cost: Cost::Comparison }
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
        let (kept, cost) = match scheme {
            Scheme::Plain => return Self::plain(data).within_length(),
            Scheme::ScramSha1 | Scheme::ScramSha256 => {
                let keys = ScramKeys::parse(text).map_err(|error| malformed(error.to_string()))?;
                let cost = Cost::Iterations(keys.iterations());
                (Kept::Scram(keys), cost)
            }
            Scheme::Sha512Crypt => {
                let cost = Cost::of_sha512_crypt(data).filter(|_| PasswordHashRef::new(data).is_ok());
                let cost = cost
                    .ok_or_else(|| malformed("expected $6$salt$hash or $6$rounds=…$salt$hash".to_owned()))?;
                (Kept::Sha512Crypt(Secret::new(data)), cost)
            }
            Scheme::Argon2id => {
                let hash = PasswordHash::new(data).map_err(|error| malformed(error.to_string()))?;
                if hash.algorithm.as_str() != "argon2id" || hash.salt.is_none() || hash.hash.is_none() {
                    return Err(malformed("expected $argon2id$v=19$m=…,t=…,p=…$salt$hash".to_owned()));
                }
                (Kept::Argon2id(Secret::new(data)), Cost::of_argon2(&hash).map_err(malformed)?)
            }
        };
        Ok(Self { kept, cost: cost.check(scheme)? })
    }

    /// Reads the text of a configuration, where a bare password is one: braces or dollars show what is not.
    ///
    /// # Errors
    ///
    /// [`PasswordError`], without the text.
    pub(crate) fn parse_or_plain(text: &str) -> Result<Self, PasswordError> {
        match text.is_empty() || text.starts_with(['{', '$']) {
            true => Self::parse(text),
            false => Self::plain(text).within_length(),
        }
    }

    /// Refuses a password that is kept as it is and too long for anybody to log in with.
    pub(super) fn within_length(self) -> Result<Self, PasswordError> {
        if let Kept::Plain(password) = &self.kept {
            check_length(password)?;
        }
        Ok(self)
    }

    /// In which form it is kept.
    pub fn scheme(&self) -> Scheme {
        match &self.kept {
            Kept::Plain(_) => Scheme::Plain,
            Kept::Scram(keys) if keys.hash() == Hash::Sha1 => Scheme::ScramSha1,
            Kept::Scram(_) => Scheme::ScramSha256,
            Kept::Sha512Crypt(_) => Scheme::Sha512Crypt,
            Kept::Argon2id(_) => Scheme::Argon2id,
        }
    }

    /// Whether this is the password. Takes as long as its [cost](Self::cost) says.
    pub(super) fn verify(&self, given: &Secret) -> bool {
        match &self.kept {
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

    /// What checking takes.
    pub(super) fn cost(&self) -> Cost {
        self.cost
    }

    /// The SCRAM keys for a hash: those that are kept, or derived with this salt from a password that is kept as it is,
    /// which takes its time. `None` where it cannot serve.
    pub(super) fn scram_keys(&self, hash: Hash, salt: &[u8]) -> Option<ScramKeys> {
        match &self.kept {
            Kept::Plain(password) => {
                ScramKeys::derive(hash, password, salt, ScramKeys::DEFAULT_ITERATIONS).ok()
            }
            Kept::Scram(keys) => Some(keys.clone()).filter(|keys| keys.hash() == hash),
            Kept::Sha512Crypt(_) | Kept::Argon2id(_) => None,
        }
    }

    /// The password itself, where it is kept.
    pub(super) fn as_plain(&self) -> Option<&Secret> {
        match &self.kept {
            Kept::Plain(password) => Some(password),
            Kept::Scram(_) | Kept::Sha512Crypt(_) | Kept::Argon2id(_) => None,
        }
    }

    /// Whether it can serve a mechanism for which the password is not sent.
    pub(super) fn serves(&self, mechanism: Mechanism) -> bool {
        match Hash::of(mechanism) {
            Some(hash) => self.serves_scram(hash),
            None => self.as_plain().is_some(),
        }
    }

    pub(super) fn serves_scram(&self, hash: Hash) -> bool {
        match &self.kept {
            Kept::Plain(_) => true,
            Kept::Scram(keys) => keys.hash() == hash,
            Kept::Sha512Crypt(_) | Kept::Argon2id(_) => false,
        }
    }

    /// A password of nobody's that is kept as this one is, and costs as much to check. `invent` gives so many bytes for a
    /// purpose, the same at each time, that nobody can foretell.
    pub(super) fn imitation(&self, invent: impl Fn(&str, usize) -> Vec<u8>) -> Self {
        let kept = match &self.kept {
            Kept::Plain(_) => {
                // Text, since passwords are, which SASLprep takes its time over.
                let letters = invent("password", 12).into_iter().map(|byte| b'a' + byte % 26);
                Kept::Plain(Secret::new(letters.collect::<Vec<u8>>()))
            }
            Kept::Scram(keys) => {
                let hash = keys.hash();
                let key = |purpose: &str| Secret::new(invent(purpose, hash.key_len()));
                let salt = invent("salt", keys.salt().len());
                let keys = ScramKeys::from_parts(
                    hash,
                    &salt,
                    keys.iterations(),
                    key("stored key"),
                    key("server key"),
                )
                .expect("a salt and keys as long as those of valid keys, with their iterations, are valid");
                Kept::Scram(keys)
            }
            Kept::Sha512Crypt(hash) => Kept::Sha512Crypt(with_hash_of_zeros(hash, '.')),
            Kept::Argon2id(hash) => Kept::Argon2id(with_hash_of_zeros(hash, 'A')),
        };
        Self { kept, cost: self.cost }
    }
}

/// The text of a hash with nothing but zeros, which `zero` stands for, in the place of what no password is known to give.
fn with_hash_of_zeros(hash: &Secret, zero: char) -> Secret {
    let text = hash.expose_str().unwrap_or_default();
    let (parameters, hash) = text.rsplit_once('$').unwrap_or((text, ""));
    Secret::new(format!("{parameters}${}", String::from(zero).repeat(hash.len())))
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
    /// The password is longer than [`StoredPassword::MAX`].
    #[error("expected a password of at most {} bytes, found {found}", StoredPassword::MAX)]
    TooLong {
        /// Its length, in bytes.
        found: usize,
    },
    /// The data does not fit the scheme.
    #[error("expected data for {{{scheme}}}, found something else: {why}")]
    Malformed {
        /// The scheme.
        scheme: Scheme,
        /// What is wrong.
        why: String,
    },
    /// Checking it would take more time or memory than anybody can mean.
    #[error("expected {what} of {{{scheme}}} to be at most {most}, found {found}")]
    TooCostly {
        /// The scheme.
        scheme: Scheme,
        /// Which of its parameters.
        what: &'static str,
        /// What the text asks for.
        found: u64,
        /// The most that is taken.
        most: u64,
    },
}

pub(super) fn check_length(password: &Secret) -> Result<(), PasswordError> {
    match password.len() {
        found if found > StoredPassword::MAX => Err(PasswordError::TooLong { found }),
        _ => Ok(()),
    }
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
    fn parameters_that_would_let_a_login_take_all_time_or_memory_are_refused() {
        let argon2 = |params: &str| {
            format!(
                "{{ARGON2ID}}$argon2id$v=19${params}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
            )
        };
        let crypt = |params: &str| {
            let hash =
                "svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
            format!("{{SHA512-CRYPT}}$6${params}saltstring${hash}")
        };
        let scram = |iterations: u32| {
            let keys = format!("{}=", "A".repeat(43));
            format!("{{SCRAM-SHA-256}}{iterations},MDEyMzQ1Njc4OWFiY2RlZg==,{keys},{keys}")
        };
        for (text, expected) in [
            (argon2("m=2097152,t=1,p=4"), Ok(Cost::Argon2 { memory: 2_097_152, passes: 1, lanes: 4 })),
            (
                argon2("m=2097153,t=1,p=4"),
                Err("memory m, in KiB, of {ARGON2ID} to be at most 2097152, found 2097153"),
            ),
            (argon2("m=4294967295,t=4294967295,p=1"), Err("at most 2097152")),
            (argon2("m=1048576,t=16,p=1"), Ok(Cost::Argon2 { memory: 1 << 20, passes: 16, lanes: 1 })),
            (argon2("m=1048576,t=17,p=1"), Err("passes t, in KiB, of {ARGON2ID} to be at most 16777216")),
            (argon2("m=4,t=1,p=1"), Err("expected data for {ARGON2ID}")),
            (argon2("m=4096,t=0,p=1"), Err("expected data for {ARGON2ID}")),
            (crypt(""), Ok(Cost::Rounds(5000))),
            (crypt("rounds=1000$"), Ok(Cost::Rounds(1000))),
            (crypt("rounds=10000000$"), Ok(Cost::Rounds(10_000_000))),
            (
                crypt("rounds=10000001$"),
                Err("rounds of {SHA512-CRYPT} to be at most 10000000, found 10000001"),
            ),
            (crypt("rounds=999$"), Err("expected $6$")),
            (crypt("rounds=x$"), Err("expected $6$")),
            (crypt("a$b$"), Err("expected $6$")),
            (scram(10_000_000), Ok(Cost::Iterations(10_000_000))),
            (scram(4_000_000_000), Err("iterations of {SCRAM-SHA-256} to be at most 10000000")),
        ] {
            match (StoredPassword::parse(&text), expected) {
                (Ok(stored), Ok(cost)) => assert_eq!(stored.cost(), cost, "{text}"),
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().contains(expected), "{text}: {error}");
                }
                (found, _) => panic!("{text}: expected {expected:?}, found {found:?}"),
            }
        }
    }

    #[test]
    fn an_imitation_is_hashed_for_with_the_same_parameters() {
        let crypt = "$6$rounds=1234$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
        let argon2 = "$argon2id$v=19$m=64,t=3,p=2$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        for (text, parameters) in
            [(crypt, "$6$rounds=1234$saltstring$"), (argon2, "$argon2id$v=19$m=64,t=3,p=2$c29tZXNhbHQ$")]
        {
            let imitation = StoredPassword::parse(text).unwrap().imitation(|_, len| vec![7; len]);
            let (Kept::Sha512Crypt(hash) | Kept::Argon2id(hash)) = &imitation.kept else {
                panic!("{imitation:?}")
            };
            let hash = hash.expose_str().unwrap();
            assert!(hash.starts_with(parameters) && hash.len() == text.len() && hash != text, "{hash}");
            // Each verifier gets as far as comparing, rather than give up over a text that it cannot read.
            let wrong = argon2::password_hash::Error::PasswordInvalid;
            let outcome = match &imitation.kept {
                Kept::Argon2id(_) => {
                    Argon2::default().verify_password(b"x", &PasswordHash::new(hash).unwrap())
                }
                _ => ShaCrypt::default().verify_password(b"x", hash),
            };
            assert_eq!(outcome, Err(wrong), "{hash}");
        }
    }

    #[test]
    fn a_password_is_of_512_bytes_at_the_most_in_each_form() {
        let (longest, longer) = ("x".repeat(512), "x".repeat(513));
        for scheme in Scheme::ALL {
            let error = scheme.hash(&Secret::new(longer.as_str())).unwrap_err();
            assert_eq!(error.to_string(), "expected a password of at most 512 bytes, found 513", "{scheme}");
        }
        assert!(Scheme::Plain.hash(&Secret::new(longest.as_str())).is_ok());
        type Read = fn(&str) -> Result<StoredPassword, PasswordError>;
        let readers: [Read; 2] =
            [|text| StoredPassword::parse(&format!("{{PLAIN}}{text}")), StoredPassword::parse_or_plain];
        for read in readers {
            assert!(read(&longest).unwrap().verify(&Secret::new(longest.as_str())));
            assert_eq!(read(&longer).unwrap_err(), PasswordError::TooLong { found: 513 });
        }
    }

    #[test]
    fn a_password_that_would_break_the_file_is_not_written_plain() {
        for bad in ["a:b", "a\nb", ""] {
            assert!(Scheme::Plain.hash(&Secret::new(bad)).is_err(), "{bad:?}");
        }
    }
}
