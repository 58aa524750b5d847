//! What an rc file may do.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// What takes everything and holds nothing.
pub(super) const NULL_DEVICE: &str = "/dev/null";

/// Whether programs run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Programs {
    /// They run.
    Run(Limits),
    /// The first that is asked for ends the evaluation, and the mail is to be tried again: nothing is lost, and whoever
    /// owns the rc file can be told.
    Refuse,
}

/// How much programs may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one may run at most, whatever `TIMEOUT` says; nothing leaves it to `TIMEOUT`.
    pub time: Option<Duration>,
    /// How long one may go on after SIGTERM before it gets SIGKILL.
    pub grace: Duration,
    /// How much of its output is taken at most, in bytes. A filter that writes more is ended, and the mail stays as it was.
    pub output: usize,
    /// User and group as whom they run, with no further groups; nothing is as this process. Only root can be another.
    pub user: Option<(u32, u32)>,
    /// Whether one runs in a process group of its own, so that it cannot signal this process by its group, and ends together
    /// with what it started.
    pub as_group: bool,
}

impl Default for Limits {
    /// As long as `TIMEOUT` says, 10 seconds of grace, and 512 MiB.
    fn default() -> Limits {
        Limits { time: None, grace: Duration::from_secs(10), output: 512 << 20, user: None, as_group: false }
    }
}

/// Whom `COMSAT` may have told of mail, by a datagram. Nobody where programs are [refused](Programs::Refuse).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notices {
    /// Any host.
    Anywhere,
    /// This host: `localhost`, or a loopback address. No name is looked up.
    Local,
    /// Nobody.
    Nowhere,
}

/// Which files an rc file may name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Places {
    /// All that the system lets this process open.
    Anywhere,
    /// Those below a directory, and `/dev/null`, which cannot be a lock file. Symbolic links that lead elsewhere count as
    /// elsewhere, and pipes and devices take no mail. It must exist. A file is looked at before it is opened, so this keeps
    /// rc files in, but not those who can put links there in that moment.
    Below(PathBuf),
}

impl Places {
    /// Whether a path, which is absolute or relative to the process's directory, may be used.
    pub fn allow(&self, path: &Path) -> bool {
        let Places::Below(root) = self else { return true };
        if path == Path::new(NULL_DEVICE) {
            return true;
        }
        // A link in the way makes `..` lead elsewhere than it seems to.
        let Ok(root) = root.canonicalize() else { return false };
        let mut existing = path;
        let existing = loop {
            match existing.canonicalize() {
                Ok(found) => break found,
                Err(_) if existing.is_symlink() => return false,
                Err(_) => {
                    let mut components = existing.components();
                    if !matches!(components.next_back(), Some(Component::Normal(_))) {
                        return false;
                    }
                    existing = components.as_path();
                    if existing == Path::new("") {
                        existing = Path::new(".");
                    }
                }
            }
        };
        existing.starts_with(root)
    }
}

/// Whose rc files are read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owners {
    /// Anybody's.
    Anybody,
    /// Those of a user or of root that nobody else can change. It goes for files named by the user, not for those that
    /// they include.
    User {
        /// The user.
        id: u32,
        /// Whether the group of the file may not write to it either, unless it is this one.
        group: Option<u32>,
    },
}
