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
//! time as there are cores. An unknown user costs as much time as a known one: as the commonest scheme of the users.

mod file;
mod password;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use mail_wire::Secret;
use mail_wire::sasl::{Answer, Decoy, Hash, Mechanism, MechanismSet, Question, Stored};
use maildrop::{UserName, UserNameError};
use tokio::sync::Semaphore;

pub use file::UsersFileError;
pub use password::{PasswordError, Scheme, StoredPassword};

/// The users of a post office.
#[derive(Debug)]
pub struct Users {
    domains: Vec<String>,
    by_name: HashMap<String, User>,
    /// In the order they were added.
    names: Vec<UserName>,
    /// What an unknown user's password is checked against.
    dummy: StoredPassword,
    decoy: Decoy,
    /// How many passwords are checked at a time.
    checks: Arc<Semaphore>,
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
            dummy: StoredPassword::dummy(Scheme::Plain),
            decoy: Decoy::new(decoy_key).imitating_plain(),
            checks: Arc::new(Semaphore::new(cores)),
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
        self.by_name.insert(local, User { name, password });
        self.choose_decoys();
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

    /// What makes unknown users look like known ones, for the configuration of the SASL machine.
    pub fn decoy(&self) -> Decoy {
        self.decoy.clone()
    }

    /// Answers what a SASL exchange asks.
    pub async fn answer(&self, question: Question) -> Answer {
        match question {
            Question::VerifyPassword { authcid, password, .. } => self.verify(&authcid, password).await,
            Question::Credentials { authcid, .. } => {
                let stored = self.lookup(&authcid).and_then(|user| user.password.for_sasl());
                Answer::Stored(stored.unwrap_or(Stored::Unknown))
            }
            Question::Authorize { authcid, authzid, .. } => {
                match (self.find(&authcid), self.find(&authzid)) {
                    (Some(who), Some(whom)) if who == whom => Answer::Accepted,
                    _ => Answer::Rejected,
                }
            }
            _ => Answer::Rejected,
        }
    }

    async fn verify(&self, authcid: &str, given: Secret) -> Answer {
        let user = self.lookup(authcid);
        let stored = user.map_or(&self.dummy, |user| &user.password).clone();
        let verified = if stored.is_cheap() {
            stored.verify(&given)
        } else {
            let Ok(_permit) = self.checks.acquire().await else { return Answer::Unavailable };
            match tokio::task::spawn_blocking(move || stored.verify(&given)).await {
                Ok(verified) => verified,
                Err(_) => return Answer::Unavailable,
            }
        };
        match user {
            Some(user) if verified => Answer::AcceptedAs(user.name.as_str().to_owned()),
            _ => Answer::Rejected,
        }
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

    /// Lets unknown users look like most of the known.
    fn choose_decoys(&mut self) {
        let mut counts: HashMap<Scheme, usize> = HashMap::new();
        for user in self.by_name.values() {
            *counts.entry(user.password.scheme()).or_default() += 1;
        }
        let Some((commonest, _)) = counts.into_iter().max_by_key(|(scheme, count)| (*count, *scheme)) else {
            return;
        };
        if self.dummy.scheme() != commonest {
            self.dummy = StoredPassword::dummy(commonest);
            if commonest != Scheme::Plain {
                let iterations = self.by_name.values().find_map(|user| user.password.iterations());
                self.decoy = self.decoy.clone().with_iterations(iterations.unwrap_or(4096));
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(users.answer(authorize("alice", "Alice@example.test")).await, Answer::Accepted);
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
        assert!(matches!(ask("plain").await, Answer::Stored(Stored::Plain(_))));
        assert!(matches!(ask("scram").await, Answer::Stored(Stored::Scram(_))));
        assert_eq!(ask("crypt").await, Answer::Stored(Stored::Unknown));
        assert_eq!(ask("nobody").await, Answer::Stored(Stored::Unknown));
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
