//! Users and their passwords: who may log in, and whose mail is ours.
//!
//! [`Users`] come from code ([`Users::add`]) or from a file in Dovecot's passwd-file form ([`Users::read_file`]):
//!
//! ```text
//! # comment
//! alice:{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$…
//! bob:{PLAIN}secret:1000:1000::/home/bob::
//! ```
//!
//! Fields after the password are passed over. See [`Scheme`] for the forms of a password.
//!
//! Names are compared without regard to ASCII letter case, beyond ASCII as SASLprep has them, and `user@domain` is `user` where the
//! domain is ours. Checking
//! a password can take a good part of a second of a core, so it is done off the async threads, and only so many at a
//! time as there are cores and as fit in 2 GiB of memory; the others wait for their turn.
//!
//! Nobody learns from the time or the form of an answer whether a user exists: an unknown name takes after one of the
//! users, always the same, and its password is checked against an imitation of that user's, with the same scheme and
//! parameters. Nobody logs in by an imitation, not even whoever has read the key that it follows from.
//!
//! A password of more than [`StoredPassword::MAX`] bytes is refused before anything is looked up or hashed.

mod cost;
mod file;
mod password;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use mail_wire::Secret;
use mail_wire::sasl::{
    Answer, Decoy, Hash, Mechanism, MechanismSet, Question, ScramKeys, Stored, prepare_name,
};
use maildrop::{UserName, UserNameError};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::config::ChallengeResponse;
use cost::{Cost, MOST_MEMORY};

pub use file::UsersFileError;
pub use password::{PasswordError, Scheme, StoredPassword};

/// Length of the salts for passwords kept as they are, in bytes.
const SALT_LEN: usize = 16;

/// The users of a post office.
#[derive(Debug)]
pub struct Users {
    domains: Vec<String>,
    by_name: HashMap<String, User>,
    /// In the order they were added.
    names: Vec<UserName>,
    /// The users (by their keys in `by_name`), each at a place of its own: an unknown name takes after the next one
    /// behind its own place. A user who is added thus changes the looks of few unknown names.
    places: BTreeMap<[u8; 32], String>,
    /// What cannot be foretold without.
    decoy_key: Secret,
    /// How many passwords are checked at a time.
    checks: Arc<Semaphore>,
    /// How many MiB they have for it.
    memory: Arc<Semaphore>,
}

/// A user: the name that mail is kept under, and the password.
#[derive(Debug, Clone)]
struct User {
    name: UserName,
    password: StoredPassword,
}

/// Why a user cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] UserNameError),
    /// The name has a domain that is not ours.
    #[error("expected a user of {}, found {found:?}", ours.join(" or "))]
    Domain {
        /// Our domains.
        ours: Vec<String>,
        /// The name.
        found: String,
    },
    /// There is a user of that name already.
    #[error("expected each user once, found {0:?} again")]
    Twice(String),
    /// The password is no good.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

impl Users {
    /// No users yet, for these domains. `decoy_key` (32 random bytes that outlive restarts) hides which users exist.
    pub fn new<D: Into<String>>(domains: impl IntoIterator<Item = D>, decoy_key: impl Into<Secret>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            domains: domains.into_iter().map(Into::into).collect(),
            by_name: HashMap::new(),
            names: Vec::new(),
            places: BTreeMap::new(),
            decoy_key: decoy_key.into(),
            checks: Arc::new(Semaphore::new(cores)),
            memory: Arc::new(Semaphore::new(MOST_MEMORY as usize / 1024)),
        }
    }

    /// Adds a user.
    ///
    /// # Errors
    ///
    /// [`UserError`], if the name is none or there already, or the password too long.
    pub fn add(&mut self, name: &str, password: StoredPassword) -> Result<(), UserError> {
        let password = password.within_length()?;
        let local = self
            .local_part(name)
            .ok_or_else(|| UserError::Domain { ours: self.domains.clone(), found: name.to_owned() })?;
        let name = UserName::parse(&local)?;
        if self.by_name.contains_key(name.as_str()) {
            return Err(UserError::Twice(local));
        }
        self.names.push(name.clone());
        self.places.insert(self.invented("place", &local), local.clone());
        self.by_name.insert(local, User { name, password });
        Ok(())
    }

    /// Adds the users of a file.
    ///
    /// # Errors
    ///
    /// [`UsersFileError`], with file and line; none is added then.
    pub fn read_file(&mut self, path: &Path) -> Result<(), UsersFileError> {
        file::read(self, path)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names, in the order they were added.
    pub fn names(&self) -> &[UserName] {
        &self.names
    }

    /// The user that goes by this name, `user` or `user@domain` of ours.
    pub fn find(&self, name: &str) -> Option<&UserName> {
        self.lookup(name).map(|user| &user.name)
    }

    /// The user of this local part: the name as it stands, in any letter case, with no domain looked for in it.
    pub fn find_local(&self, local: &str) -> Option<&UserName> {
        self.by_name.get(prepared(local).as_str()).map(|user| &user.name)
    }

    /// Whether this domain is ours.
    pub fn is_our_domain(&self, domain: &str) -> bool {
        self.domains.iter().any(|ours| ours.eq_ignore_ascii_case(domain))
    }

    /// Our domains, the first first.
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// The mechanisms that the users can log in by: PLAIN and LOGIN, and of the others those that serve each of the users, any
    /// of them, or none.
    pub fn mechanisms(&self, others: ChallengeResponse) -> MechanismSet {
        if self.is_empty() {
            return MechanismSet::EMPTY;
        }
        let all = |can: fn(&StoredPassword) -> bool| {
            let mut users = self.by_name.values().map(|user| can(&user.password));
            match others {
                ChallengeResponse::Auto => users.all(|can| can),
                ChallengeResponse::Always => users.any(|can| can),
                ChallengeResponse::Never => false,
            }
        };
        let mut set: MechanismSet = [Mechanism::Plain, Mechanism::Login].into_iter().collect();
        if all(|password| password.serves_scram(Hash::Sha256)) {
            set.insert(Mechanism::ScramSha256);
            set.insert(Mechanism::ScramSha256Plus);
        }
        if all(|password| password.serves_scram(Hash::Sha1)) {
            set.insert(Mechanism::ScramSha1);
            set.insert(Mechanism::ScramSha1Plus);
        }
        if all(|password| password.scheme() == Scheme::Plain) {
            set.insert(Mechanism::CramMd5);
        }
        set
    }

    /// The first user whose password does not serve all of these mechanisms, and how it is kept.
    pub(crate) fn not_served(&self, mechanisms: MechanismSet) -> Option<(&UserName, Scheme)> {
        let serves = |password: &StoredPassword, mechanism: Mechanism| match mechanism {
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => password.serves_scram(Hash::Sha256),
            Mechanism::ScramSha1 | Mechanism::ScramSha1Plus => password.serves_scram(Hash::Sha1),
            Mechanism::CramMd5 => password.scheme() == Scheme::Plain,
            _ => true,
        };
        let mut users = self.names.iter().filter_map(|name| self.by_name.get(name.as_str()));
        let user =
            users.find(|user| mechanisms.iter().any(|mechanism| !serves(&user.password, mechanism)))?;
        Some((&user.name, user.password.scheme()))
    }

    /// For the configuration of the SASL machine: what it shows where [`answer`](Self::answer) has nothing to show, which
    /// is of no mechanism that is [offered](Self::mechanisms). Costs it next to nothing.
    pub fn decoy(&self) -> Decoy {
        Decoy::new(self.decoy_key.clone())
    }

    /// Answers what a SASL exchange asks.
    pub async fn answer(&self, question: Question) -> Answer {
        match question {
            Question::VerifyPassword { authcid, password, .. } => self.verify(&authcid, password).await,
            Question::Credentials { mechanism, authcid } => self.credentials(mechanism, &authcid).await,
            Question::Authorize { authcid, authzid, .. } => {
                match (self.find(&authcid), self.find(&authzid)) {
                    (Some(who), Some(whom)) if who == whom => Answer::AcceptedAs(whom.as_str().to_owned()),
                    _ => Answer::Rejected,
                }
            }
            _ => Answer::Rejected,
        }
    }

    async fn verify(&self, authcid: &str, given: Secret) -> Answer {
        if password::check_length(&given).is_err() {
            return Answer::Rejected;
        }
        let (user, stored) = self.stored_or_imitated(authcid);
        let Some(stored) = stored else { return Answer::Rejected };
        let cost = stored.cost();
        let verified = match cost {
            Cost::Comparison => Some(stored.verify(&given)),
            _ => self.in_turn(cost, move || stored.verify(&given)).await,
        };
        match (user, verified) {
            (_, None) => Answer::Unavailable,
            (Some(user), Some(true)) => Answer::AcceptedAs(user.name.as_str().to_owned()),
            _ => Answer::Rejected,
        }
    }

    /// What the SASL machine needs for an exchange: keys for SCRAM, which it would else derive itself and let all other
    /// connections of the thread wait, and the password for CRAM-MD5.
    async fn credentials(&self, mechanism: Mechanism, authcid: &str) -> Answer {
        let name = self.spelled(authcid);
        let (user, stored) = self.stored_or_imitated(authcid);
        let Some(stored) = stored else { return Answer::StoredAs(name, Stored::Unknown) };
        let serves = stored.serves(mechanism);
        let unserved = user.filter(|_| !serves).map(|user| (user.name.clone(), stored.scheme()));
        // Not on the way to the answer: the time of a line in the log would tell who is known.
        let tell = async move {
            if let Some((user, scheme)) = unserved {
                tracing::info!(
                    %user,
                    %mechanism,
                    kept_as = %scheme,
                    "login must fail: the password is kept in a form that does not serve the mechanism"
                );
            }
        };
        tokio::spawn(tell.in_current_span());
        let known = user.is_some() && serves;
        // Whom the mechanism does not serve gets what a {PLAIN} user with another password would.
        let letters = StoredPassword::plain("").imitation(self.inventor(&name));
        let stored = if serves { stored } else { letters.clone() };
        let found = match Hash::of(mechanism) {
            None => stored.as_plain().map(|password| (Stored::Plain(password.clone()), known)),
            Some(hash) if stored.as_plain().is_none() => {
                stored.scram_keys(hash, &[]).map(|keys| (Stored::Scram(keys), known))
            }
            Some(hash) => {
                let salt = self.invented(&format!("salt for {}", hash.mechanism()), &name);
                let derive = move || {
                    let keys = |password: &StoredPassword| password.scram_keys(hash, &salt[..SALT_LEN]);
                    // A password that SASLprep refuses serves nobody, and must not be told from others by that.
                    let found = keys(&stored).map(|keys| (keys, known));
                    found.or_else(|| keys(&letters).map(|keys| (keys, false)))
                };
                match self.in_turn(Cost::Iterations(ScramKeys::DEFAULT_ITERATIONS), derive).await {
                    None => return Answer::Unavailable,
                    Some(found) => found.map(|(keys, known)| (Stored::Scram(keys), known)),
                }
            }
        };
        let stored = match found {
            Some((stored, true)) => stored,
            Some((stored, false)) => Stored::Imitation(Box::new(stored)),
            None => Stored::Unknown,
        };
        Answer::StoredAs(name, stored)
    }

    /// Does what takes a core for a while off the async threads, once there is a core and memory for it. `None` if it
    /// cannot be done.
    async fn in_turn<T: Send + 'static>(
        &self,
        cost: Cost,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.checks).acquire_owned().await.ok()?;
        let memory = Arc::clone(&self.memory).acquire_many_owned(cost.mebibytes()).await.ok()?;
        let work = move || {
            // They are given back when the work ends, even if nobody waits for it any more.
            let _held = (turn, memory);
            work()
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// The user of that name, and the password to compare with: an imitation where there is no such user. `None` where
    /// there are no users at all.
    fn stored_or_imitated(&self, name: &str) -> (Option<&User>, Option<StoredPassword>) {
        // For known users too, so that both take the same time.
        let imitation = self.imitation(name);
        let user = self.lookup(name);
        (user, user.map(|user| user.password.clone()).or(imitation))
    }

    fn imitation(&self, name: &str) -> Option<StoredPassword> {
        let name = self.spelled(name);
        let place = self.invented("place", &name);
        let (_, model) = self.places.range(place..).next().or_else(|| self.places.first_key_value())?;
        Some(self.imitation_of(&self.by_name.get(model)?.password, &name))
    }

    /// An imitation of that password for a name, as it is spelled.
    fn imitation_of(&self, model: &StoredPassword, name: &str) -> StoredPassword {
        model.imitation(self.inventor(name))
    }

    fn inventor<'a>(&'a self, name: &'a str) -> impl Fn(&str, usize) -> Vec<u8> + 'a {
        move |purpose, len| {
            let blocks = (0..len.div_ceil(32)).flat_map(|n| self.invented(&format!("{purpose} {n}"), name));
            blocks.take(len).collect()
        }
    }

    /// The one spelling of a name, whether there is such a user or not.
    fn spelled(&self, name: &str) -> String {
        self.local_part(name).unwrap_or_else(|| prepared(name))
    }

    /// Bytes that follow from purpose, name and key, and that nobody can foretell without the key.
    fn invented(&self, purpose: &str, name: &str) -> [u8; 32] {
        let mac =
            Hmac::<Sha256>::new_from_slice(self.decoy_key.expose()).expect("HMAC takes a key of any length");
        mac.chain_update(purpose).chain_update([0]).chain_update(name).finalize().into_bytes().into()
    }

    fn lookup(&self, name: &str) -> Option<&User> {
        self.by_name.get(self.local_part(name)?.as_str())
    }

    /// The local part that a name stands for, in lower case; `None` where its domain is not ours.
    fn local_part(&self, name: &str) -> Option<String> {
        let local = match name.rsplit_once('@') {
            None => name,
            Some((local, domain)) if self.is_our_domain(domain) => local,
            Some(_) => return None,
        };
        Some(prepared(local))
    }
}

/// A name as names are compared. Those of SASL come prepared, but not those of mail addresses and of configurations.
fn prepared(name: &str) -> String {
    let mut name =
        if name.is_ascii() { name.to_owned() } else { prepare_name(name).unwrap_or_else(|| name.to_owned()) };
    name.make_ascii_lowercase();
    name
}

/// What stands before the domain of a name, or all of it.
pub(crate) fn local_part(name: &str) -> &str {
    name.rsplit_once('@').map_or(name, |(local, _)| local)
}

#[cfg(test)]
mod tests;
