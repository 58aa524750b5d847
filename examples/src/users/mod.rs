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
//! parameters.

mod cost;
mod file;
mod password;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use mail_wire::Secret;
use mail_wire::sasl::{Answer, Decoy, Hash, Mechanism, MechanismSet, Question, Stored};
use maildrop::{UserName, UserNameError};
use sha2::Sha256;
use tokio::sync::Semaphore;

use cost::{Cost, MOST_MEMORY};

pub use file::UsersFileError;
pub use password::{PasswordError, Scheme, StoredPassword};

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
    /// [`UserError`], if the name is none or there already.
    pub fn add(&mut self, name: &str, password: StoredPassword) -> Result<(), UserError> {
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

    /// What gives users kept as plain passwords their salts, for the configuration of the SASL machine.
    pub fn decoy(&self) -> Decoy {
        Decoy::new(self.decoy_key.clone()).imitating_plain()
    }

    /// Answers what a SASL exchange asks.
    pub async fn answer(&self, question: Question) -> Answer {
        match question {
            Question::VerifyPassword { authcid, password, .. } => self.verify(&authcid, password).await,
            Question::Credentials { authcid, .. } => {
                let stored = self.stored_or_imitated(&authcid).1.and_then(|password| password.for_sasl());
                Answer::StoredAs(self.spelled(&authcid), stored.unwrap_or(Stored::Unknown))
            }
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
        let (user, stored) = self.stored_or_imitated(authcid);
        let Some(stored) = stored else { return Answer::Rejected };
        let verified = if stored.cost() == Cost::Comparison {
            stored.verify(&given)
        } else {
            let Ok(turn) = Arc::clone(&self.checks).acquire_owned().await else { return Answer::Unavailable };
            let memory = Arc::clone(&self.memory).acquire_many_owned(stored.cost().mebibytes()).await;
            let Ok(memory) = memory else { return Answer::Unavailable };
            let check = move || {
                // They are given back when the check ends, even if nobody waits for it any more.
                let _held = (turn, memory);
                stored.verify(&given)
            };
            match tokio::task::spawn_blocking(check).await {
                Ok(verified) => verified,
                Err(_) => return Answer::Unavailable,
            }
        };
        match user {
            Some(user) if verified => Answer::AcceptedAs(user.name.as_str().to_owned()),
            _ => Answer::Rejected,
        }
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
        let model = &self.by_name.get(model)?.password;
        Some(model.imitation(|purpose, len| {
            let blocks = (0..len.div_ceil(32)).flat_map(|n| self.invented(&format!("{purpose} {n}"), &name));
            blocks.take(len).collect()
        }))
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
        let ask = async |name: &str| {
            let question =
                Question::Credentials { mechanism: Mechanism::ScramSha256, authcid: name.to_owned() };
            users.answer(question).await
        };
        assert!(matches!(ask("Plain").await, Answer::StoredAs(name, Stored::Plain(_)) if name == "plain"));
        assert!(
            matches!(ask("scram@example.org").await, Answer::StoredAs(name, Stored::Scram(_)) if name == "scram")
        );
        assert_eq!(ask("crypt").await, Answer::StoredAs("crypt".to_owned(), Stored::Unknown));
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
            let keys = imitation.for_sasl().map(|stored| match stored {
                Stored::Scram(keys) => keys.encode(),
                Stored::Plain(password) => password.expose_str().unwrap().to_owned(),
                _ => String::new(),
            });
            (imitation.cost(), keys)
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
            let question =
                Question::Credentials { mechanism: Mechanism::ScramSha256, authcid: name.to_owned() };
            let Answer::StoredAs(_, Stored::Scram(keys)) = users.answer(question).await else {
                panic!("{name}")
            };
            assert_eq!((keys.iterations(), keys.salt().len()), (5555, 17), "{name}");
            salts.push(keys.salt().to_vec());
        }
        assert_eq!(salts[1], salts[2], "the same user, if there were one");
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), 4);
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
