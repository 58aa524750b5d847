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
//! Names are compared without regard to ASCII letter case, and `user@domain` is `user` where the domain is ours. Checking
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
use mail_wire::sasl::{Answer, Decoy, Hash, Mechanism, MechanismSet, Question, ScramKeys, Stored};
use maildrop::{UserName, UserNameError};
use sha2::Sha256;
use tokio::sync::Semaphore;

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
        self.by_name.get(local.to_ascii_lowercase().as_str()).map(|user| &user.name)
    }

    /// Whether this domain is ours.
    pub fn is_our_domain(&self, domain: &str) -> bool {
        self.domains.iter().any(|ours| ours.eq_ignore_ascii_case(domain))
    }

    /// Our domains, the first first.
    pub fn domains(&self) -> &[String] {
        &self.domains
    }

    /// The mechanisms that each of the users can log in by. One that only some can is not offered: clients choose the
    /// strongest offered, and do not try another after it failed.
    pub fn mechanisms(&self) -> MechanismSet {
        if self.is_empty() {
            return MechanismSet::EMPTY;
        }
        let all = |can: fn(&StoredPassword) -> bool| self.by_name.values().all(|user| can(&user.password));
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
        let known = user.is_some();
        let Some(stored) = stored else { return Answer::StoredAs(name, Stored::Unknown) };
        let found = match Hash::of(mechanism) {
            None => stored.as_plain().map(|password| (Stored::Plain(password.clone()), known)),
            Some(hash) if stored.as_plain().is_none() => {
                stored.scram_keys(hash, &[]).map(|keys| (Stored::Scram(keys), known))
            }
            Some(hash) => {
                let salt = self.invented(&format!("salt for {}", hash.mechanism()), &name);
                let letters = self.imitation_of(&stored, &name);
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
        model.imitation(|purpose, len| {
            let blocks = (0..len.div_ceil(32)).flat_map(|n| self.invented(&format!("{purpose} {n}"), name));
            blocks.take(len).collect()
        })
    }

    /// The one spelling of a name, whether there is such a user or not.
    fn spelled(&self, name: &str) -> String {
        self.local_part(name).unwrap_or_else(|| name.to_ascii_lowercase())
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
        Some(local.to_ascii_lowercase())
    }
}

/// What stands before the domain of a name, or all of it.
pub(crate) fn local_part(name: &str) -> &str {
    name.rsplit_once('@').map_or(name, |(local, _)| local)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn users(of: &[(&str, &str)]) -> Users {
        let mut users = Users::new(["example.test", "Example.ORG"], vec![7; 32]);
        for (name, password) in of {
            users.add(name, StoredPassword::parse(password).unwrap()).unwrap();
        }
        users
    }

    fn question(name: &str, password: &str) -> Question {
        Question::VerifyPassword {
            mechanism: Mechanism::Plain,
            authcid: name.to_owned(),
            password: Secret::new(password),
        }
    }

    #[tokio::test]
    async fn each_scheme_verifies_its_password_and_no_other() {
        for scheme in Scheme::ALL {
            let text = scheme.hash(&Secret::new("tr0ub4dor")).unwrap();
            let users = users(&[("alice", &text)]);
            let yes = Answer::AcceptedAs("alice".to_owned());
            assert_eq!(users.answer(question("alice", "tr0ub4dor")).await, yes, "{scheme}");
            assert_eq!(users.answer(question("alice", "tr0ub4do")).await, Answer::Rejected, "{scheme}");
            assert_eq!(users.answer(question("nobody", "tr0ub4dor")).await, Answer::Rejected, "{scheme}");
        }
    }

    #[tokio::test]
    async fn a_name_may_carry_a_domain_of_ours_and_any_letter_case() {
        let users = users(&[("alice", "{PLAIN}x")]);
        for (name, known) in [
            ("alice", true),
            ("ALICE", true),
            ("alice@example.test", true),
            ("Alice@EXAMPLE.org", true),
            ("alice@elsewhere.test", false),
            ("alice@", false),
            ("a@alice@example.test", false),
            ("../alice", false),
        ] {
            assert_eq!(users.find(name).is_some(), known, "{name}");
            assert_eq!(users.answer(question(name, "x")).await != Answer::Rejected, known, "{name}");
        }
    }

    #[tokio::test]
    async fn nobody_acts_as_somebody_else() {
        let users = users(&[("alice", "{PLAIN}x"), ("bob", "{PLAIN}y")]);
        let authorize = |authcid: &str, authzid: &str| Question::Authorize {
            mechanism: Mechanism::Plain,
            authcid: authcid.to_owned(),
            authzid: authzid.to_owned(),
        };
        let as_alice = Answer::AcceptedAs("alice".to_owned());
        assert_eq!(users.answer(authorize("alice", "Alice@example.test")).await, as_alice);
        assert_eq!(users.answer(authorize("alice", "bob")).await, Answer::Rejected);
        assert_eq!(users.answer(authorize("alice", "nobody")).await, Answer::Rejected);
        assert_eq!(users.answer(authorize("nobody", "nobody")).await, Answer::Rejected);
    }

    #[test]
    fn only_mechanisms_that_serve_every_user_are_offered() {
        let scram = Scheme::ScramSha256.hash(&Secret::new("x")).unwrap();
        let crypt = Scheme::Sha512Crypt.hash(&Secret::new("x")).unwrap();
        let offered = |of: &[(&str, &str)]| users(of).mechanisms().to_string();
        assert_eq!(offered(&[]), "");
        assert_eq!(
            offered(&[("a", "{PLAIN}x")]),
            "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN"
        );
        assert_eq!(
            offered(&[("a", "{PLAIN}x"), ("b", &scram)]),
            "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"
        );
        assert_eq!(offered(&[("a", &scram), ("b", &crypt)]), "PLAIN LOGIN");
    }

    #[tokio::test]
    async fn scram_is_told_of_plain_passwords_and_of_keys_but_not_of_hashes() {
        let scram = Scheme::ScramSha256.hash(&Secret::new("x")).unwrap();
        let crypt = Scheme::Sha512Crypt.hash(&Secret::new("x")).unwrap();
        let users = users(&[("plain", "{PLAIN}x"), ("scram", &scram), ("crypt", &crypt)]);
        let ask = async |mechanism, name| users.answer(credentials(mechanism, name)).await;
        for (name, user) in [("Plain", "plain"), ("scram@example.org", "scram")] {
            let Answer::StoredAs(name, Stored::Scram(keys)) = ask(Mechanism::ScramSha256, name).await else {
                panic!("{name}")
            };
            assert!(name == user && keys.verify_password(&"x".into()), "{name}");
        }
        let crypt = Answer::StoredAs("crypt".to_owned(), Stored::Unknown);
        assert_eq!(ask(Mechanism::ScramSha256, "crypt").await, crypt);
        let plain = Answer::StoredAs("plain".to_owned(), Stored::Plain("x".into()));
        assert_eq!(ask(Mechanism::CramMd5, "plain").await, plain);
    }

    fn credentials(mechanism: Mechanism, name: &str) -> Question {
        Question::Credentials { mechanism, authcid: name.to_owned() }
    }

    #[tokio::test]
    async fn keys_for_plain_passwords_look_the_same_for_unknown_names_and_fit_known_ones_only() {
        // The last is one that SASLprep refuses.
        let users = users(&[("alice", "{PLAIN}x"), ("carol", "{PLAIN}\u{7}")]);
        for (mechanism, hash) in
            [(Mechanism::ScramSha1Plus, Hash::Sha1), (Mechanism::ScramSha256, Hash::Sha256)]
        {
            let mut salts = Vec::new();
            for name in ["alice", "ALICE@example.org", "nobody", "Nobody@example.test", "carol"] {
                let Answer::StoredAs(spelled, stored) = users.answer(credentials(mechanism, name)).await
                else {
                    panic!("{name}")
                };
                let (keys, known) = match stored {
                    Stored::Scram(keys) => (keys, true),
                    Stored::Imitation(like) => match *like {
                        Stored::Scram(keys) => (keys, false),
                        other => panic!("{name}: {other:?}"),
                    },
                    other => panic!("{name}: {other:?}"),
                };
                assert_eq!(
                    (known, keys.verify_password(&"x".into())),
                    (spelled == "alice", spelled == "alice")
                );
                let shown = (keys.hash(), keys.iterations(), keys.salt().len());
                assert_eq!(shown, (hash, ScramKeys::DEFAULT_ITERATIONS, 16), "{name}");
                salts.push(keys.salt().to_vec());
            }
            assert!(salts[0] == salts[1] && salts[2] == salts[3], "the same at each time");
            assert!(salts[0] != salts[2] && salts[2] != salts[4] && salts[0] != salts[4], "each its own");
        }
    }

    #[tokio::test]
    async fn nobody_logs_in_as_a_user_who_does_not_exist_by_the_key_of_the_imitations() {
        let users = users(&[("alice", "{PLAIN}x")]);
        let invented = users.imitation("nobody").unwrap().as_plain().unwrap().clone();
        let Answer::StoredAs(_, Stored::Imitation(like)) =
            users.answer(credentials(Mechanism::CramMd5, "nobody")).await
        else {
            panic!("an imitation is told as one")
        };
        assert_eq!(*like, Stored::Plain(invented.clone()));
        let question = question("nobody", invented.expose_str().unwrap());
        assert_eq!(users.answer(question).await, Answer::Rejected);
    }

    #[tokio::test]
    async fn a_password_that_is_too_long_is_refused_before_anything_is_done() {
        for kept in [ARGON2, CRYPT, SCRAM, "{PLAIN}x"] {
            let users = users(&[("alice", kept)]);
            // With no core to be had, whatever costs something would wait for ever.
            let all = u32::try_from(users.checks.available_permits()).unwrap();
            let _held = Arc::clone(&users.checks).acquire_many_owned(all).await.unwrap();
            for name in ["alice", "nobody"] {
                for length in [513, 9000] {
                    let answer = users.answer(question(name, &"x".repeat(length)));
                    let answer = tokio::time::timeout(Duration::ZERO, answer).await;
                    assert_eq!(answer, Ok(Answer::Rejected), "{kept} {name} {length}");
                }
            }
        }
        let mut users = users(&[]);
        let longest = "x".repeat(512);
        users.add("alice", StoredPassword::plain(longest.as_str())).unwrap();
        let accepted = Answer::AcceptedAs("alice".to_owned());
        assert_eq!(users.answer(question("alice", &longest)).await, accepted);
        let error = users.add("bob", StoredPassword::plain("x".repeat(513))).unwrap_err();
        assert_eq!(error, UserError::Password(PasswordError::TooLong { found: 513 }));
    }

    const ARGON2: &str =
        "{ARGON2ID}$argon2id$v=19$m=64,t=3,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    const CRYPT: &str = "$6$rounds=1234$salt$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
    const SCRAM: &str = "{SCRAM-SHA-256}5555,MDEyMzQ1Njc4OWFiY2RlZjA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    #[test]
    fn an_unknown_name_costs_what_one_of_the_known_costs() {
        let users = users(&[("a", ARGON2), ("b", CRYPT), ("c", SCRAM), ("d", "{PLAIN}x")]);
        let known: Vec<Cost> = users.by_name.values().map(|user| user.password.cost()).collect();
        let mut seen: Vec<Cost> =
            (0..200).map(|n| users.imitation(&format!("nobody{n}")).unwrap().cost()).collect();
        assert!(seen.iter().all(|cost| known.contains(cost)), "{seen:?}");
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), known.len(), "each kind is imitated");
    }

    #[test]
    fn an_unknown_name_looks_the_same_at_each_time_and_in_each_spelling() {
        let shown = |users: &Users, name: &str| {
            let imitation = users.imitation(name).unwrap();
            let password = imitation.as_plain().map(|password| password.expose_str().unwrap().to_owned());
            let keys = imitation.scram_keys(Hash::Sha256, b"salt").map(|keys| keys.encode());
            (imitation.cost(), password, keys)
        };
        let entries = [("a", ARGON2), ("b", CRYPT), ("c", SCRAM), ("d", "{PLAIN}x")];
        let (mut one, two) = (users(&entries), users(&entries));
        let names: Vec<String> = (0..100).map(|n| format!("nobody{n}")).collect();
        let before: Vec<_> = names.iter().map(|name| shown(&one, name)).collect();
        for (name, before) in names.iter().zip(&before) {
            for spelling in [name.clone(), name.to_uppercase(), format!("{name}@EXAMPLE.test")] {
                assert_eq!(shown(&two, &spelling), *before, "{spelling}");
            }
        }
        one.add("e", StoredPassword::parse(ARGON2).unwrap()).unwrap();
        let changed =
            names.iter().zip(&before).filter(|(name, before)| shown(&one, name) != **before).count();
        assert!(changed < 70, "a further user changed the looks of {changed} of 100 unknown names");
    }

    #[tokio::test]
    async fn scram_shows_unknown_names_the_parameters_of_known_ones() {
        let users = users(&[("alice", SCRAM)]);
        let mut salts = Vec::new();
        for name in ["alice", "nobody", "NOBODY@example.org", "nobody@elsewhere.test", "somebody"] {
            let question = credentials(Mechanism::ScramSha256, name);
            let Answer::StoredAs(_, stored) = users.answer(question).await else { panic!("{name}") };
            let stored = match stored {
                Stored::Imitation(like) if name != "alice" => *like,
                stored => stored,
            };
            let Stored::Scram(keys) = stored else { panic!("{name}: {stored:?}") };
            assert_eq!((keys.iterations(), keys.salt().len()), (5555, 17), "{name}");
            salts.push(keys.salt().to_vec());
        }
        assert_eq!(salts[1], salts[2], "the same user, if there were one");
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_derived_only_while_there_are_cores_for_it() {
        let users = users(&[("alice", "{PLAIN}x")]);
        let hour = Duration::from_secs(3600);
        let all = u32::try_from(users.checks.available_permits()).unwrap();
        let held = Arc::clone(&users.checks).acquire_many_owned(all).await.unwrap();
        let ask = |name| tokio::time::timeout(hour, users.answer(credentials(Mechanism::ScramSha256, name)));
        for name in ["alice", "nobody"] {
            ask(name).await.unwrap_err();
        }
        drop(held);
        for name in ["alice", "nobody"] {
            ask(name).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn passwords_are_checked_only_while_there_are_cores_and_memory_for_it() {
        let users = users(&[("alice", ARGON2)]);
        // The clock stands while a check runs, so that the time is over only where none does.
        let hour = Duration::from_secs(3600);
        for semaphore in [&users.checks, &users.memory] {
            let all = u32::try_from(semaphore.available_permits()).unwrap();
            let held = Arc::clone(semaphore).acquire_many_owned(all).await.unwrap();
            for name in ["alice", "nobody"] {
                tokio::time::timeout(hour, users.answer(question(name, "x"))).await.unwrap_err();
            }
            drop(held);
            assert_eq!(
                tokio::time::timeout(hour, users.answer(question("alice", "x"))).await,
                Ok(Answer::Rejected)
            );
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let mut users = users(&[("alice", "{PLAIN}x")]);
        let plain = || StoredPassword::parse("{PLAIN}x").unwrap();
        for bad in ["", ".", "..", "../x", "a/b", "a\0b", ".hidden", "bob@elsewhere.test", "ALICE"] {
            assert!(users.add(bad, plain()).is_err(), "{bad:?}");
        }
        users.add("bob@example.test", plain()).unwrap();
        assert_eq!(users.find("bob").unwrap().as_str(), "bob");
    }
}
