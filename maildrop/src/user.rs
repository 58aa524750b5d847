//! Where the mail of a user lies: `ROOT/USER/Maildir`, with user names that cannot lead elsewhere.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustix::io::Errno;

use crate::error::{Error, Operation};
use crate::fault::Faults;
use crate::fs;
use crate::maildir::Maildir;

/// The directory inside that of a user.
const MAILDIR: &str = "Maildir";

/// The name of a local user that is safe as a directory name.
///
/// It is compared octet for octet: whoever wants `Alice` and `alice` to be one user folds the case first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

/// Why a text cannot be a user's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserNameError {
    /// No characters.
    #[error("expected a user name, but found an empty one")]
    Empty,
    /// It begins with a dot, as `..` and hidden files do.
    #[error("expected a user name, but found a leading '.'")]
    LeadingDot,
    /// A `/`, NUL or another control character.
    #[error("expected a user name without '/' and control characters, but found {0:?}")]
    Forbidden(char),
    /// More than [`UserName::MAX`] octets.
    #[error("expected a user name of at most 128 octets, but found {0}")]
    TooLong(usize),
}

impl UserName {
    /// Longest name, in octets. SMTP local parts have at most 64 (RFC 5321 §4.5.3.1.1); this leaves room for `@domain`.
    pub const MAX: usize = 128;

    /// Takes a name that is a single, visible directory name.
    ///
    /// # Errors
    /// [`UserNameError`] if it is empty, too long, begins with a dot or holds `/` or a control character.
    ///
    /// ```
    /// assert!(maildrop::UserName::parse("alice@example.org").is_ok());
    /// assert!(maildrop::UserName::parse("../alice").is_err());
    /// ```
    pub fn parse(name: &str) -> Result<UserName, UserNameError> {
        if name.is_empty() {
            return Err(UserNameError::Empty);
        }
        if name.starts_with('.') {
            return Err(UserNameError::LeadingDot);
        }
        if name.len() > UserName::MAX {
            return Err(UserNameError::TooLong(name.len()));
        }
        match name.chars().find(|c| *c == '/' || c.is_control()) {
            Some(forbidden) => Err(UserNameError::Forbidden(forbidden)),
            None => Ok(UserName(name.to_owned())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserName {
    type Err = UserNameError;

    fn from_str(name: &str) -> Result<UserName, UserNameError> {
        UserName::parse(name)
    }
}

/// The directory that holds a directory per user, each with a `Maildir` inside.
///
/// The root itself may be reached through symbolic links; what lies below may not, so that whoever can write to one
/// user's directory cannot send that user's mail elsewhere.
///
/// ```
/// use maildrop::{MailRoot, UserName};
///
/// # let dir = tempfile::tempdir()?;
/// let root = MailRoot::new(dir.path().join("mail"));
/// let alice = UserName::parse("alice")?;
/// let maildir = root.create(&alice)?;
/// assert!(maildir.path().ends_with("mail/alice/Maildir"));
/// assert!(root.open(&UserName::parse("bob")?).unwrap_err().is_not_found());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MailRoot {
    path: PathBuf,
    faults: Option<Arc<dyn Faults>>,
}

impl MailRoot {
    /// Takes the directory for a mail root. It need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> MailRoot {
        MailRoot { path: path.into(), faults: None }
    }

    /// Gives every Maildir opened from here this fault hook.
    #[must_use]
    pub fn with_faults(mut self, faults: Arc<dyn Faults>) -> MailRoot {
        self.faults = Some(faults);
        self
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the Maildir of this user lies, whether or not it exists.
    pub fn path_of(&self, user: &UserName) -> PathBuf {
        self.path.join(user.as_str()).join(MAILDIR)
    }

    /// Opens the Maildir of a user.
    ///
    /// # Errors
    /// [`Error::NotAMaildir`] if the user has none, [`Error::Symlink`] if a link stands in its place, or [`Error::Io`].
    pub fn open(&self, user: &UserName) -> Result<Maildir, Error> {
        let missing = |dir: &Path| Error::NotAMaildir { path: self.path_of(user), missing: dir.to_owned() };
        let root = match fs::open_dir(&self.path) {
            Ok(root) => root,
            Err(Errno::NOENT) => return Err(missing(&self.path)),
            Err(errno) => return Err(Error::io(Operation::Open, &self.path, errno)),
        };
        let home_path = self.path.join(user.as_str());
        let home = self
            .step_down(&root, user.as_str(), &home_path)
            .map_err(|e| e.or_missing(|| missing(&home_path)))?;
        let path = home_path.join(MAILDIR);
        let dir = self.step_down(&home, MAILDIR, &path).map_err(|e| e.or_missing(|| missing(&path)))?;
        self.adopt(dir, path)
    }

    /// Opens the Maildir of a user, making what is missing of it, the root included. What was made is durable.
    ///
    /// # Errors
    /// [`Error::Symlink`] if a link stands in the place of a directory, or [`Error::Io`].
    pub fn create(&self, user: &UserName) -> Result<Maildir, Error> {
        fs::make_dir_all(&self.path)?;
        let root = fs::open_dir(&self.path).map_err(|errno| Error::io(Operation::Open, &self.path, errno))?;
        let home_path = self.path.join(user.as_str());
        let home = self.make_and_step_down(&root, user.as_str(), &home_path)?;
        let path = home_path.join(MAILDIR);
        let dir = self.make_and_step_down(&home, MAILDIR, &path)?;
        Maildir::complete(&dir, &path)?;
        self.adopt(dir, path)
    }

    fn adopt(&self, dir: OwnedFd, path: PathBuf) -> Result<Maildir, Error> {
        let maildir = Maildir::from_dir(dir, path)?;
        Ok(match &self.faults {
            Some(faults) => maildir.with_faults(Arc::clone(faults)),
            None => maildir,
        })
    }

    /// The directory of a user, made with the root if it is not there.
    pub(crate) fn home(&self, user: &UserName) -> Result<(OwnedFd, PathBuf), Error> {
        let path = self.path.join(user.as_str());
        if let Ok(root) = fs::open_dir(&self.path)
            && let Ok(home) = self.step_down(&root, user.as_str(), &path)
        {
            return Ok((home, path));
        }
        fs::make_dir_all(&self.path)?;
        let root = fs::open_dir(&self.path).map_err(|errno| Error::io(Operation::Open, &self.path, errno))?;
        Ok((self.make_and_step_down(&root, user.as_str(), &path)?, path))
    }

    pub(crate) fn faults(&self) -> Option<&Arc<dyn Faults>> {
        self.faults.as_ref()
    }

    pub(crate) fn step_down(&self, parent: &OwnedFd, name: &str, path: &Path) -> Result<OwnedFd, Error> {
        fs::open_dir_at(parent, name).map_err(|errno| {
            if fs::is_symlink(parent, name) {
                Error::Symlink { path: path.to_owned() }
            } else {
                Error::io(Operation::Open, path, errno)
            }
        })
    }

    pub(crate) fn make_and_step_down(
        &self,
        parent: &OwnedFd,
        name: &str,
        path: &Path,
    ) -> Result<OwnedFd, Error> {
        fs::make_dir_at(parent, name).map_err(|errno| Error::io(Operation::CreateDirectory, path, errno))?;
        // Also if it was there: whoever made it may not have come this far.
        fs::sync_dir(parent).map_err(|error| Error::io(Operation::SyncDirectory, path, error))?;
        self.step_down(parent, name, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_name_that_would_leave_the_root_is_refused() {
        let table = [
            ("", UserNameError::Empty),
            (".", UserNameError::LeadingDot),
            ("..", UserNameError::LeadingDot),
            (".ssh", UserNameError::LeadingDot),
            ("../bob", UserNameError::LeadingDot),
            ("/etc", UserNameError::Forbidden('/')),
            ("a/../../etc", UserNameError::Forbidden('/')),
            ("a/", UserNameError::Forbidden('/')),
            ("a\0b", UserNameError::Forbidden('\0')),
            ("a\r\n", UserNameError::Forbidden('\r')),
            ("a\u{7f}", UserNameError::Forbidden('\u{7f}')),
            ("a\u{9b}", UserNameError::Forbidden('\u{9b}')),
        ];
        for (name, error) in table {
            assert_eq!(UserName::parse(name), Err(error), "{name:?}");
        }
        assert!(UserName::parse(&"a".repeat(128)).is_ok());
        assert_eq!(UserName::parse(&"a".repeat(129)), Err(UserNameError::TooLong(129)));
    }

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        for name in
            ["alice", "Alice", "a.b", "a..b", "user+tag", "o'neil", "jürgen", "a@b.example", "~", "a b"]
        {
            assert_eq!(UserName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_users_maildir_is_made_private_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = MailRoot::new(dir.path().join("deep/mail"));
        let alice = UserName::parse("alice").unwrap();
        let error = root.open(&alice).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        root.create(&alice).unwrap();
        root.create(&alice).unwrap();
        let maildir = root.open(&alice).unwrap();
        assert_eq!(maildir.path(), root.path_of(&alice));
        for inner in [".", "tmp", "new", "cur", ".."] {
            let mode = maildir.path().join(inner).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{inner}");
        }
    }

    #[test]
    fn links_in_place_of_a_users_directories_are_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        Maildir::create(outside.path().join("Maildir")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let root = MailRoot::new(dir.path());
        symlink(outside.path(), dir.path().join("eve")).unwrap();
        std::fs::create_dir(dir.path().join("mallory")).unwrap();
        symlink(outside.path().join("Maildir"), dir.path().join("mallory/Maildir")).unwrap();
        root.create(&UserName::parse("trent").unwrap()).unwrap();
        std::fs::remove_dir(dir.path().join("trent/Maildir/new")).unwrap();
        symlink(outside.path().join("Maildir/new"), dir.path().join("trent/Maildir/new")).unwrap();
        for user in ["eve", "mallory", "trent"] {
            let user = UserName::parse(user).unwrap();
            for result in [root.open(&user), root.create(&user)] {
                assert!(matches!(result, Err(Error::Symlink { .. })), "{user}: {result:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_names_stay_directly_below_the_root(name in ".*") {
            if let Ok(user) = UserName::parse(&name) {
                let path = MailRoot::new("/mail").path_of(&user);
                let parts: Vec<_> = path.components().collect();
                prop_assert_eq!(parts.len(), 4);
                prop_assert!(parts.iter().all(|part| !matches!(part, std::path::Component::ParentDir)));
            }
        }
    }
}
