//! The `[filter]` table: the rc files of users, which file their mail as it is delivered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::units::{ByteSize, Span, positive};

/// The `[filter]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FilterConfig {
    /// Whether mail is filtered at all.
    pub enabled: bool,
    /// The rc file of a user. A relative path counts from the user's folder, `DIR/mail/USER`. In an absolute path, `{user}`
    /// stands for the user's name; without it, the file is that of all users. `.procmailrc` by default.
    #[serde(deserialize_with = "rc_file")]
    pub rc: PathBuf,
    /// Folders from which rc files may include others, beside the user's own.
    pub includes: Vec<PathBuf>,
    /// What becomes of mail when the rc file cannot be read or is no rc file.
    pub broken: BrokenRc,
    /// Whether rc files may run programs.
    pub programs: bool,
    /// The system user as whom programs run. Needed where the server runs as root.
    pub run_as: Option<String>,
    /// Whether rc files that may run programs may also tell services on this host of mail, by `COMSAT`. Other hosts are never
    /// told.
    pub notices: bool,
    /// How long a program may run. 1 minute.
    #[serde(deserialize_with = "positive")]
    pub program_time: Span,
    /// How much a program may write for us to take: a filtered message, or the value of a variable. 64 MiB.
    #[serde(deserialize_with = "positive")]
    pub program_output: ByteSize,
    /// How long an rc file may take in all, waiting for locks included. 5 minutes.
    #[serde(deserialize_with = "positive")]
    pub time: Span,
    /// How often an rc file may file, pipe or forward a message. One that goes beyond is broken. 20.
    #[serde(deserialize_with = "positive")]
    pub copies: usize,
    /// Messages that are filtered at the same time. Each is whole in memory. 4.
    #[serde(deserialize_with = "positive")]
    pub at_once: usize,
}

impl Default for FilterConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            rc: ".procmailrc".into(),
            includes: Vec::new(),
            broken: BrokenRc::Defer,
            programs: false,
            run_as: None,
            notices: false,
            program_time: Span(Duration::from_secs(60)),
            program_output: ByteSize(64 << 20),
            time: Span(Duration::from_secs(300)),
            copies: 20,
            at_once: 4,
        }
    }
}

/// What becomes of mail for a user whose rc file is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokenRc {
    /// The sender is to try again later, until somebody has mended it.
    #[default]
    Defer,
    /// It goes to the inbox.
    Inbox,
}

impl FilterConfig {
    /// The rc file of a user whose folder is this.
    pub(crate) fn rc_of(&self, user: &str, folder: &Path) -> PathBuf {
        match self.rc.to_str() {
            Some(path) if path.contains(USER) => path.replace(USER, user).into(),
            _ => folder.join(&self.rc),
        }
    }
}

/// What stands for the user's name.
const USER: &str = "{user}";

fn rc_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    let leads_up = path.components().any(|part| part == std::path::Component::ParentDir);
    if path.file_name().is_none() || leads_up {
        return Err(D::Error::custom(format!(
            "expected a file such as \".procmailrc\" or \"/etc/mail/rc/{USER}\", found {path:?}"
        )));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rc_file_lies_in_the_folder_of_the_user_or_where_the_path_says() {
        for (rc, expected) in [
            (".procmailrc", "/d/mail/joe/.procmailrc"),
            ("/etc/rc", "/etc/rc"),
            ("/etc/rc/{user}.rc", "/etc/rc/joe.rc"),
        ] {
            let config = FilterConfig { rc: rc.into(), ..FilterConfig::default() };
            assert_eq!(config.rc_of("joe", Path::new("/d/mail/joe")), Path::new(expected));
        }
    }
}
