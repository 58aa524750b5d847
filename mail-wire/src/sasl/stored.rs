//! [`Stored`], [`ScramKeys`] and [`Decoy`]: what a server keeps of a password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::prep::{self, Unassigned};
use super::scram::Hash;
use crate::Secret;

/// What a server keeps of a user's password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// The password itself: serves every mechanism.
    Plain(Secret),
    /// SCRAM keys: serve SCRAM with their hash, PLAIN and LOGIN, but not CRAM-MD5.
    Scram(ScramKeys),
    /// There is no such user, and this is what to look like instead, in form and in time. Nothing fits it: neither its own
    /// password nor a proof made with it.
    ///
    /// For an embedder whose users are kept in more forms than one, which a [`Decoy`] cannot imitate.
    Imitation(Box<Stored>),
    /// There is no such user. The [`Decoy`] says what to look like.
    Unknown,
}

impl Stored {
    /// Whether `password`, given by a client, is the one stored: the answer to
    /// [`Question::VerifyPassword`](super::Question::VerifyPassword).
    ///
    /// Both are prepared by SASLprep as queries (RFC 4616 §2); a password that SASLprep refuses never fits, but two that
    /// are not UTF-8 are compared as they are. Takes as long for an unknown user as for those that the `decoy` imitates.
    pub fn verify_password(&self, authcid: &str, password: &Secret, decoy: &Decoy) -> bool {
        match self {
            Self::Plain(stored) => is_same_password(stored, password),
            Self::Scram(keys) => keys.verify_password(password),
            Self::Imitation(like) => {
                like.verify_password(authcid, password, decoy);
                false
            }
            Self::Unknown => {
                match decoy.imitates {
                    Imitates::Scram => decoy.keys(Hash::Sha256, authcid).verify_password(password),
                    Imitates::Plain => is_same_password(&decoy.password(authcid), password),
                };
                false
            }
        }
    }

    /// The keys for a SCRAM exchange, and whether they are those of a user.
    pub(super) fn scram_keys(self, hash: Hash, authcid: &str, decoy: &Decoy) -> (ScramKeys, bool) {
        match self {
            Self::Scram(keys) if keys.hash == hash => (keys, true),
            Self::Plain(password) => match decoy.derive(hash, authcid, &password) {
                Some(keys) => (keys, true),
                None => (decoy.keys(hash, authcid), false),
            },
            Self::Imitation(like) => (like.scram_keys(hash, authcid, decoy).0, false),
            // RFC 5802 §7: the server may hide the real reason; here it hides it altogether.
            Self::Scram(_) | Self::Unknown => {
                let invented = match decoy.imitates {
                    Imitates::Plain => decoy.derive(hash, authcid, &decoy.password(authcid)),
                    Imitates::Scram => None,
                };
                (invented.unwrap_or_else(|| decoy.keys(hash, authcid)), false)
            }
        }
    }

    /// The password itself, for exchanges that need it as it is (CRAM-MD5, the APOP of POP3), and whether it is that of a user.
    /// Where it is not, or only keys are stored, it is one that nobody knows: go on with it, so that the time tells nothing,
    /// and refuse in the end.
    pub fn shared_secret(self, authcid: &str, decoy: &Decoy) -> (Secret, bool) {
        match self {
            Self::Plain(password) => (password, true),
            Self::Imitation(like) => (like.shared_secret(authcid, decoy).0, false),
            Self::Scram(_) | Self::Unknown => (decoy.password(authcid), false),
        }
    }
}

/// What SCRAM needs to know of a password (RFC 5802 §3); neither the password nor enough to log in with.
///
/// Text form, as in Dovecot's password files: `{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey`, the last three in
/// base64.
///
/// ```
/// use mail_wire::Secret;
/// use mail_wire::sasl::{Hash, ScramKeys};
///
/// let keys = ScramKeys::derive(Hash::Sha256, &Secret::new("pencil"), b"0123456789abcdef", 4096).unwrap();
/// assert!(keys.encode().starts_with("{SCRAM-SHA-256}4096,MDEyMzQ1Njc4OWFiY2RlZg==,"));
/// assert_eq!(ScramKeys::parse(&keys.encode()).unwrap(), keys);
/// assert!(keys.verify_password(&Secret::new("pencil")));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    hash: Hash,
    salt: Box<[u8]>,
    iterations: u32,
    stored_key: Secret,
    server_key: Secret,
}

/// Why a text holds no SCRAM keys, or a password makes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The text does not begin with a scheme known here.
    #[error("expected {{SCRAM-SHA-1}} or {{SCRAM-SHA-256}} at the start")]
    Scheme,
    /// The text has not four fields.
    #[error("expected iterations, salt, StoredKey and ServerKey with commas between")]
    Fields,
    /// No iteration count, or one of zero.
    #[error("expected a positive number of iterations")]
    Iterations,
    /// A field is not base64 of the right length.
    #[error("expected {0} in base64 of the right length")]
    Field(&'static str),
    /// The password is not UTF-8, is empty, or holds characters that SASLprep refuses (RFC 4013).
    #[error("expected a password that SASLprep allows")]
    Password,
}

impl ScramKeys {
    /// Iterations to derive keys with where nothing else is asked for. RFC 7677 §4 has 4,096 as the least.
    pub const DEFAULT_ITERATIONS: u32 = 10_000;

    /// Makes the keys of a password, with a random salt of 16 bytes or more that is used for nothing else.
    ///
    /// # Errors
    /// [`KeysError::Password`], [`KeysError::Iterations`] for 0, [`KeysError::Field`] for an empty salt.
    pub fn derive(hash: Hash, password: &Secret, salt: &[u8], iterations: u32) -> Result<Self, KeysError> {
        // RFC 5802 §2.2: unassigned code points are prohibited.
        let password = prep::password(password, Unassigned::Refuse).ok_or(KeysError::Password)?;
        let (stored_key, server_key) = key_pair(hash, &password, salt, iterations);
        Self::from_parts(hash, salt, iterations, stored_key, server_key)
    }

    /// Puts keys together that were kept apart.
    ///
    /// # Errors
    /// [`KeysError::Iterations`] for 0, [`KeysError::Field`] for an empty salt or a key of the wrong length.
    pub fn from_parts(
        hash: Hash,
        salt: &[u8],
        iterations: u32,
        stored_key: Secret,
        server_key: Secret,
    ) -> Result<Self, KeysError> {
        if iterations == 0 {
            return Err(KeysError::Iterations);
        }
        let fields = [
            ("a salt", !salt.is_empty()),
            ("a StoredKey", stored_key.len() == hash.key_len()),
            ("a ServerKey", server_key.len() == hash.key_len()),
        ];
        match fields.into_iter().find(|(_, valid)| !valid) {
            Some((field, _)) => Err(KeysError::Field(field)),
            None => Ok(Self { hash, salt: salt.into(), iterations, stored_key, server_key }),
        }
    }

    /// Reads the text form; the scheme in any letter case.
    ///
    /// # Errors
    /// Any [`KeysError`] but [`KeysError::Password`].
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let (scheme, fields) =
            text.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or(KeysError::Scheme)?;
        let hash = [Hash::Sha1, Hash::Sha256]
            .into_iter()
            .find(|hash| hash.mechanism().name().eq_ignore_ascii_case(scheme))
            .ok_or(KeysError::Scheme)?;
        let mut fields = fields.split(',');
        let (Some(iterations), Some(salt), Some(stored_key), Some(server_key), None) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(KeysError::Fields);
        };
        let iterations = iterations.parse().map_err(|_| KeysError::Iterations)?;
        let decode = |text, field| STANDARD.decode(text).map_err(|_| KeysError::Field(field));
        Self::from_parts(
            hash,
            &decode(salt, "a salt")?,
            iterations,
            Secret::new(decode(stored_key, "a StoredKey")?),
            Secret::new(decode(server_key, "a ServerKey")?),
        )
    }

    /// Writes the text form. Keep it as safe as a hashed password: with it one can try passwords, and with SCRAM stand
    /// in for the server.
    pub fn encode(&self) -> String {
        format!(
            "{{{}}}{},{},{},{}",
            self.hash.mechanism(),
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key.expose()),
            STANDARD.encode(self.server_key.expose()),
        )
    }

    /// The hash function.
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The iteration count.
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Whether these are the keys of `password`. Takes as long as [`derive`](Self::derive).
    pub fn verify_password(&self, password: &Secret) -> bool {
        let Some(password) = prep::password(password, Unassigned::Allow) else { return false };
        let (stored_key, _) = key_pair(self.hash, &password, &self.salt, self.iterations);
        stored_key == self.stored_key
    }

    /// Whether a client that knows the password made this proof (RFC 5802 §3).
    pub(super) fn verify_proof(&self, auth_message: &[u8], proof: &[u8]) -> bool {
        let signature = self.hash.hmac(self.stored_key.expose(), auth_message);
        let client_key: Vec<u8> = proof.iter().zip(signature.expose()).map(|(a, b)| a ^ b).collect();
        proof.len() == self.hash.key_len()
            && self.hash.digest(Secret::new(client_key).expose()) == self.stored_key
    }

    /// `ServerSignature` of RFC 5802 §3.
    pub(super) fn sign(&self, auth_message: &[u8]) -> Secret {
        self.hash.hmac(self.server_key.expose(), auth_message)
    }
}

impl core::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut keys = f.debug_struct("ScramKeys");
        keys.field("hash", &self.hash).field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// What makes a user who does not exist look like one who does.
///
/// Salt and iteration count shown for an unknown user follow from a key of the server's and the name, so that they are
/// the same at each try, as a real user's are. Users stored as plain passwords get their salt in the same way.
///
/// It can only imitate one kind of user: choose the one that the server mostly has, and its iteration count. SCRAM
/// keys of [`ScramKeys::DEFAULT_ITERATIONS`] with a salt of 16 bytes are imitated by default.
#[derive(Clone, Debug)]
pub struct Decoy {
    key: Secret,
    iterations: u32,
    imitates: Imitates,
}

#[derive(Clone, Copy, Debug)]
enum Imitates {
    Scram,
    Plain,
}

impl Decoy {
    /// Takes a key of at least 16 random bytes, best one that outlives restarts of the server: when it changes, so do
    /// the salts of users that do not exist.
    pub fn new(key: impl Into<Secret>) -> Self {
        Self { key: key.into(), iterations: ScramKeys::DEFAULT_ITERATIONS, imitates: Imitates::Scram }
    }

    /// Sets the iteration count shown for unknown users and for users stored as plain passwords; 0 counts as 1.
    #[must_use]
    pub const fn with_iterations(mut self, iterations: u32) -> Self {
        self.iterations = if iterations == 0 { 1 } else { iterations };
        self
    }

    /// Says that users are stored as [`Stored::Plain`], so that an unknown one costs as much time as those do.
    #[must_use]
    pub const fn imitating_plain(mut self) -> Self {
        self.imitates = Imitates::Plain;
        self
    }

    /// Keys that no password has.
    fn keys(&self, hash: Hash, authcid: &str) -> ScramKeys {
        let invent = |label| Secret::new(&self.bytes(label, hash, authcid).expose()[..hash.key_len()]);
        ScramKeys {
            hash,
            salt: self.salt(hash, authcid),
            iterations: self.iterations,
            stored_key: invent("stored key"),
            server_key: invent("server key"),
        }
    }

    /// The keys of a user stored as plain password; `None` where SASLprep refuses it.
    fn derive(&self, hash: Hash, authcid: &str, password: &Secret) -> Option<ScramKeys> {
        ScramKeys::derive(hash, password, &self.salt(hash, authcid), self.iterations).ok()
    }

    /// A password that nobody knows.
    fn password(&self, authcid: &str) -> Secret {
        let bytes = self.bytes("password", Hash::Sha256, authcid);
        Secret::new(STANDARD.encode(&bytes.expose()[..12]))
    }

    fn salt(&self, hash: Hash, authcid: &str) -> Box<[u8]> {
        self.bytes("salt", hash, authcid).expose()[..16].into()
    }

    fn bytes(&self, label: &str, hash: Hash, authcid: &str) -> Secret {
        let data = format!("{label}\0{}\0{authcid}", hash.mechanism());
        Hash::Sha256.hmac(self.key.expose(), data.as_bytes())
    }
}

/// `StoredKey` and `ServerKey` of RFC 5802 §3; the password is prepared.
fn key_pair(hash: Hash, password: &Secret, salt: &[u8], iterations: u32) -> (Secret, Secret) {
    let salted_password = hash.salted_password(password, salt, iterations);
    let stored_key = hash.digest(hash.client_key(&salted_password).expose());
    (stored_key, hash.server_key(&salted_password))
}

fn is_same_password(stored: &Secret, given: &Secret) -> bool {
    let is_text = |secret: &Secret| secret.expose_str().is_some();
    match (is_text(stored), is_text(given)) {
        (true, true) => {
            let prepare = |password| prep::password(password, Unassigned::Allow);
            prepare(stored)
                .zip(prepare(given))
                .is_some_and(|(stored, given)| bool::from(stored.expose().ct_eq(given.expose())))
        }
        _ => stored == given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    fn decoy() -> Decoy {
        Decoy::new("decoy key").with_iterations(2)
    }

    #[test]
    fn keys_are_derived_as_other_servers_do() {
        // User, salt and password of RFC 7677 §3, keys as PostgreSQL and Dovecot store them.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = ScramKeys::derive(Hash::Sha256, &Secret::new("pencil"), &salt, 4096).unwrap();
        assert_eq!(keys.encode(), TEXT);
        assert_eq!(ScramKeys::parse(TEXT), Ok(keys.clone()));
        assert_eq!(ScramKeys::parse(&TEXT.replace("SCRAM-SHA", "scram-sha")), Ok(keys.clone()));
        assert!(keys.verify_password(&Secret::new("pencil")));
        assert!(!keys.verify_password(&Secret::new("pencils")));
    }

    #[test]
    fn a_damaged_text_is_refused_with_the_field_that_is_wrong() {
        let cases = [
            ("", KeysError::Scheme),
            ("SCRAM-SHA-256", KeysError::Scheme),
            ("{PLAIN}pencil", KeysError::Scheme),
            ("{SCRAM-SHA-256-PLUS}1,AAAA,AAAA,AAAA", KeysError::Scheme),
            ("{SCRAM-SHA-256}", KeysError::Fields),
            ("{SCRAM-SHA-256}1,AAAA,AAAA", KeysError::Fields),
            ("{SCRAM-SHA-256}1,AAAA,AAAA,AAAA,AAAA", KeysError::Fields),
            ("{SCRAM-SHA-256}x,AAAA,AAAA,AAAA", KeysError::Iterations),
            ("{SCRAM-SHA-256}1,AAA,AAAA,AAAA", KeysError::Field("a salt")),
            ("{SCRAM-SHA-256}1,AAAA,AAAA,AAAA", KeysError::Field("a StoredKey")),
            ("{SCRAM-SHA-1}1,AAAA,AAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAA", KeysError::Field("a ServerKey")),
            (
                "{SCRAM-SHA-1}0,AAAA,AAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                KeysError::Iterations,
            ),
            (
                "{SCRAM-SHA-1}1,,AAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                KeysError::Field("a salt"),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(ScramKeys::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_password_is_prepared_before_it_is_derived_from_or_compared() {
        let keys = ScramKeys::derive(Hash::Sha1, &Secret::new("\u{2168}"), b"salt", 1).unwrap();
        for stored in [Stored::Scram(keys), Stored::Plain("\u{2168}".into())] {
            assert!(stored.verify_password("user", &"IX".into(), &decoy()), "{stored:?}");
            assert!(stored.verify_password("user", &"I\u{ad}X".into(), &decoy()), "{stored:?}");
            assert!(!stored.verify_password("user", &"ix".into(), &decoy()), "{stored:?}");
            assert!(!stored.verify_password("user", &"".into(), &decoy()), "{stored:?}");
        }
        for refused in ["", "a\u{7}", "\u{1f511}"] {
            let derived = ScramKeys::derive(Hash::Sha1, &Secret::new(refused), b"salt", 1);
            assert_eq!(derived, Err(KeysError::Password), "{refused:?}");
        }
    }

    #[test]
    fn a_password_beyond_the_reach_of_saslprep_is_compared_as_it_is() {
        let binary = Stored::Plain(Secret::new(b"p\xe4ss".to_vec()));
        assert!(binary.verify_password("user", &Secret::new(b"p\xe4ss".to_vec()), &decoy()));
        assert!(!binary.verify_password("user", &"p\u{e4}ss".into(), &decoy()));
        let key = Stored::Plain("\u{1f511}".into());
        assert!(key.verify_password("user", &"\u{1f511}".into(), &decoy()));
        let refused = Stored::Plain("a\u{7}".into());
        assert!(!refused.verify_password("user", &"a\u{7}".into(), &decoy()));
        assert!(!Stored::Plain("".into()).verify_password("user", &"".into(), &decoy()));
    }

    #[test]
    fn no_password_is_that_of_an_unknown_user() {
        let decoy = decoy();
        assert!(!Stored::Unknown.verify_password("user", &decoy.password("user"), &decoy));
        let decoy = decoy.imitating_plain();
        assert!(!Stored::Unknown.verify_password("user", &decoy.password("user"), &decoy));
    }

    #[test]
    fn an_imitation_looks_like_what_it_imitates_and_nothing_fits_it() {
        let keys = ScramKeys::derive(Hash::Sha256, &"pencil".into(), b"salt", 1).unwrap();
        for like in [Stored::Plain("pencil".into()), Stored::Scram(keys)] {
            let imitation = Stored::Imitation(Box::new(like.clone()));
            assert!(like.verify_password("user", &"pencil".into(), &decoy()), "{like:?}");
            assert!(!imitation.verify_password("user", &"pencil".into(), &decoy()), "{like:?}");
            let (shown, known) = imitation.clone().scram_keys(Hash::Sha256, "user", &decoy());
            assert_eq!((shown, known), (like.clone().scram_keys(Hash::Sha256, "user", &decoy()).0, false));
            let (password, known) = imitation.shared_secret("user", &decoy());
            assert_eq!((password, known), (like.shared_secret("user", &decoy()).0, false));
        }
    }

    #[test]
    fn an_unknown_user_has_a_salt_of_its_own_that_stays() {
        let salt = |name: &str, hash| Stored::Unknown.scram_keys(hash, name, &decoy()).0.salt().to_vec();
        assert_eq!(salt("a", Hash::Sha256), salt("a", Hash::Sha256));
        assert_ne!(salt("a", Hash::Sha256), salt("b", Hash::Sha256));
        assert_ne!(salt("a", Hash::Sha256), salt("a", Hash::Sha1));
        let (known, is_known) =
            Stored::Plain("x".into()).scram_keys(Hash::Sha1, "a", &decoy().imitating_plain());
        let (unknown, is_unknown) = Stored::Unknown.scram_keys(Hash::Sha1, "a", &decoy().imitating_plain());
        assert_eq!((known.salt(), known.iterations()), (unknown.salt(), unknown.iterations()));
        assert!(is_known && !is_unknown);
    }

    #[test]
    fn what_does_not_serve_a_mechanism_counts_as_no_user() {
        let keys = ScramKeys::parse(TEXT).unwrap();
        for stored in [Stored::Scram(keys.clone()), Stored::Unknown] {
            let (_, known) = stored.shared_secret("user", &decoy());
            assert!(!known);
        }
        let (invented, known) = Stored::Scram(keys.clone()).scram_keys(Hash::Sha1, "user", &decoy());
        assert!(!known);
        assert_eq!(invented.hash(), Hash::Sha1);
        assert_ne!(invented.salt(), keys.salt());
    }

    #[test]
    fn debug_shows_no_secret() {
        let keys = ScramKeys::parse(TEXT).unwrap();
        assert_eq!(format!("{keys:?}"), "ScramKeys { hash: Sha256, iterations: 4096, .. }");
        assert_eq!(format!("{:?}", Stored::Plain("pencil".into())), "Plain(Secret(..))");
        assert!(!format!("{:?}", decoy()).contains("decoy key"));
    }
}
