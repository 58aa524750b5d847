//! [`Elsewhere`]: what users keep beside the messages that the quota of their inbox counts.
//!
//! `maildirsize` counts the messages of the inbox and of the Maildir++ folders in it. All else below a user's folder is
//! counted here, file by file when it is first asked for, and kept in memory from then on: what is delivered is added. What
//! others add or remove is found when it is counted anew: once a day, and before a message is refused on the word of a count
//! that is older than 15 minutes.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use maildrop::UserName;

use crate::filter::Destination;

/// Age beyond which a count is not believed.
const BELIEVED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Age beyond which a count is not believed if it would refuse a message.
const TRUSTED_FOR: Duration = Duration::from_secs(15 * 60);
/// Users whose count is kept.
const MOST_USERS: usize = 10_000;
/// The folder of the inbox.
const INBOX: &str = "Maildir";

/// What users keep elsewhere.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(Mutex<HashMap<UserName, Counted>>);

#[derive(Debug, Clone, Copy)]
struct Counted {
    bytes: u64,
    at: Instant,
}

impl Elsewhere {
    /// How much is left of `left` bytes for the user whose folder is this. Blocks.
    pub(super) fn room(&self, user: &UserName, folder: &Path, left: u64, wanted: u64) -> u64 {
        let room = left.saturating_sub(self.bytes(user, folder, BELIEVED_FOR));
        if room >= wanted {
            return room;
        }
        left.saturating_sub(self.bytes(user, folder, TRUSTED_FOR))
    }

    /// Adds what was filed.
    pub(super) fn note(&self, user: &UserName, folder: &Path, destinations: &[Destination]) {
        // What is filed is named by the folder as it is in truth.
        let folder = &folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let added = destinations.iter().map(|destination| match destination {
            Destination::File { path, bytes } if !is_counted_by_inbox(folder, path) => *bytes,
            _ => 0,
        });
        let added = added.sum();
        if let Some(counted) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(user) {
            counted.bytes = counted.bytes.saturating_add(added);
        }
    }

    fn bytes(&self, user: &UserName, folder: &Path, age: Duration) -> u64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(user).copied();
        if let Some(counted) = known.filter(|counted| counted.at.elapsed() < age) {
            return counted.bytes;
        }
        let at = Instant::now();
        let bytes = count(folder).unwrap_or_else(|error| {
            // Mail is not lost for a quota that nobody can tell.
            tracing::warn!(%user, %error, "the folders of a user cannot be counted");
            0
        });
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= MOST_USERS
            && let Some(other) = users.keys().next().cloned()
        {
            users.remove(&other);
        }
        users.insert(user.clone(), Counted { bytes, at });
        bytes
    }
}

/// Whether a file of a Maildir is one that `maildirsize` counts: in the inbox, or a folder beside its messages.
fn is_counted_by_inbox(folder: &Path, file: &Path) -> bool {
    let Some(messages) = file.parent() else { return false };
    messages.parent().is_some_and(|maildir| is_in_inbox(folder, maildir)) && is_message_folder(messages)
}

/// Whether a directory is the inbox or a Maildir++ folder of it.
fn is_in_inbox(folder: &Path, maildir: &Path) -> bool {
    let inbox = folder.join(INBOX);
    let is_folder = || maildir.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    maildir == inbox || (maildir.parent() == Some(&inbox) && is_folder())
}

fn is_message_folder(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "new" || name == "cur" || name == "tmp")
}

/// The bytes of all files below a folder, but those that `maildirsize` counts. Links are not followed, and a file of several
/// names counts once.
fn count(folder: &Path) -> io::Result<u64> {
    let mut bytes: u64 = 0;
    let mut linked = HashSet::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        let entries = match std::fs::read_dir(&at) {
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        let in_inbox = is_in_inbox(folder, &at);
        for entry in entries {
            let entry = entry?;
            let data = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                data => data?,
            };
            if data.is_dir() {
                if !(in_inbox && is_message_folder(&entry.path())) {
                    folders.push(entry.path());
                }
            } else if data.is_file() && (data.nlink() == 1 || linked.insert((data.dev(), data.ino()))) {
                bytes = bytes.saturating_add(data.len());
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str, size: usize) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, vec![b'x'; size]).unwrap();
    }

    #[test]
    fn what_maildirsize_counts_is_left_out_and_links_count_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for (name, size) in [
            ("Maildir/new/1", 10_000),
            ("Maildir/cur/1", 10_000),
            ("Maildir/tmp/1", 10_000),
            ("Maildir/.Sent/cur/1", 10_000),
            ("Maildir/.Sent/tmp/1", 10_000),
            ("Maildir/plain/new/1", 1),
            ("Maildir/.Sent/below/new/1", 20),
            ("Maildir/new/deep/1", 10_000),
            ("lists/new/1", 300),
            (".hidden/cur/1", 4000),
            ("mbox", 50_000),
        ] {
            put(folder, name, size);
        }
        std::fs::hard_link(folder.join("mbox"), folder.join("again")).unwrap();
        std::os::unix::fs::symlink("/", folder.join("root")).unwrap();
        assert_eq!(count(folder).unwrap(), 54_321);
        assert_eq!(count(&folder.join("none")).unwrap(), 0);
    }

    #[test]
    fn a_count_is_kept_and_corrected_by_what_is_filed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = &folder.path().canonicalize().unwrap();
        let user = UserName::parse("alice").unwrap();
        put(folder, "mbox", 100);
        let elsewhere = Elsewhere::default();
        assert_eq!(elsewhere.room(&user, folder, 1000, 1), 900);
        let file = |path: &str, bytes| Destination::File { path: folder.join(path), bytes };
        elsewhere.note(
            &user,
            folder,
            &[
                file("mbox", 30),
                file("lists/new/1", 7),
                file("Maildir/new/1", 500),
                file("Maildir/.Sent/new/1", 500),
                Destination::Nowhere,
            ],
        );
        put(folder, "unnoticed", 1);
        assert_eq!(elsewhere.room(&user, folder, 1000, 863), 863);
        // A count is not believed for ever, and less long if it would refuse a message.
        let age = |age: Duration| {
            let mut users = elsewhere.0.lock().unwrap();
            let counted = users.get_mut(&user).unwrap();
            counted.at = Instant::now().checked_sub(age).unwrap();
        };
        age(TRUSTED_FOR + Duration::from_secs(1));
        assert_eq!(elsewhere.room(&user, folder, 1000, 863), 863);
        assert_eq!(elsewhere.room(&user, folder, 1000, 864), 899);
        age(BELIEVED_FOR + Duration::from_secs(1));
        put(folder, "another", 9);
        assert_eq!(elsewhere.room(&user, folder, 1000, 1), 890);
    }
}
