//! The rc file of a user: found, trusted, read, and kept parsed until it changes.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use procmail_engine::syntax::{Action, Item, Rc};

/// Longest rc file, in bytes.
const LONGEST: u64 = 1 << 20;
/// Most rc files that are kept.
const MOST: usize = 1024;

/// Why an rc file is not obeyed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("expected to read the rc file {path}, found: {error}", path = path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("expected the rc file {path} to be {expected}", path = path.display())]
    Suspicious { path: PathBuf, expected: &'static str },
    #[error("expected the rc file {path} to make no more than {most} copies of a message", path = path.display())]
    Copies { path: PathBuf, most: usize },
    #[error("{path}:{line}:{column}: expected rc file text, found {found}", path = path.display())]
    Syntax { path: PathBuf, line: usize, column: usize, found: &'static str },
}

/// Parsed rc files. Those of a mail system are read once for thousands of messages.
#[derive(Debug, Default)]
pub(super) struct RcFiles(Mutex<HashMap<PathBuf, Known>>);

#[derive(Debug)]
struct Known {
    stamp: Stamp,
    rc: Arc<Rc>,
}

/// What changes whenever a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: Option<SystemTime>,
    changed: (i64, i64),
}

impl Stamp {
    fn of(data: &Metadata) -> Self {
        Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.len(),
            modified: data.modified().ok(),
            changed: (data.ctime(), data.ctime_nsec()),
        }
    }
}

impl RcFiles {
    /// Reads a file of one of these users, or takes what is known of it. None if there is none.
    pub(super) fn read(&self, path: &Path, owners: &[u32]) -> Result<Option<Arc<Rc>>, Broken> {
        let failed = |error| Broken::Read { path: path.to_owned(), error };
        let mut file = match open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let data = file.metadata().map_err(failed)?;
        let suspicious = |expected| Broken::Suspicious { path: path.to_owned(), expected };
        if !data.is_file() {
            return Err(suspicious("a regular file"));
        }
        if !owners.contains(&data.uid()) {
            return Err(suspicious("owned by the user, the server or root"));
        }
        if data.mode() & 0o022 != 0 {
            return Err(suspicious("writable for its owner only"));
        }
        if data.len() > LONGEST {
            return Err(suspicious("no longer than 1 MiB"));
        }
        let stamp = Stamp::of(&data);
        let known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .map(|known| (known.stamp == stamp).then(|| Arc::clone(&known.rc)));
        if let Some(Some(rc)) = known {
            return Ok(Some(rc));
        }
        let mut source = Vec::new();
        file.by_ref().take(LONGEST + 1).read_to_end(&mut source).map_err(failed)?;
        if source.len() as u64 > LONGEST {
            return Err(suspicious("no longer than 1 MiB"));
        }
        let rc = Arc::new(Rc::parse(source));
        if let Some((at, found)) = flaw(&rc) {
            let (line, column) = rc.position(at);
            return Err(Broken::Syntax { path: path.to_owned(), line, column, found });
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST
            && let Some(other) = kept.keys().next().cloned()
        {
            kept.remove(&other);
        }
        kept.insert(path.to_owned(), Known { stamp, rc: Arc::clone(&rc) });
        Ok(Some(rc))
    }
}

/// Opens a file, and waits for nobody at the other end of a pipe.
fn open(path: &Path) -> std::io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Where an rc file is none, and what stands there.
pub(super) fn flaw(rc: &Rc) -> Option<(usize, &'static str)> {
    rc.items().iter().find_map(|item| match item {
        Item::Skipped(span) => Some((span.start, "something else, which procmail would skip")),
        Item::UnexpectedClose(span) => Some((span.start, "a closing brace too many")),
        Item::MissingClose(span) => Some((span.start, "the end of the file within a block")),
        Item::Recipe(recipe) => match recipe.action {
            Action::Missing => Some((recipe.span.start, "a recipe without an action")),
            Action::Incomplete => Some((recipe.span.start, "a recipe that the end of the file cuts off")),
            _ => None,
        },
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".procmailrc");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_is_parsed_once_until_it_changes() {
        let (_folder, path) = written(":0\nx\n", 0o600);
        let files = RcFiles::default();
        let first = files.read(&path, &[me()]).unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &files.read(&path, &[me()]).unwrap().unwrap()));
        std::fs::write(&path, ":0\nanother\n").unwrap();
        let second = files.read(&path, &[me()]).unwrap().unwrap();
        assert_eq!(second.source(), b":0\nanother\n");
        std::fs::remove_file(&path).unwrap();
        assert!(files.read(&path, &[me()]).unwrap().is_none());
    }

    #[test]
    fn what_others_can_write_to_is_not_trusted() {
        for (mode, expected) in
            [(0o600, None), (0o644, None), (0o664, Some("owner only")), (0o606, Some("owner only"))]
        {
            let (_folder, path) = written(":0\nx\n", mode);
            let error = RcFiles::default().read(&path, &[me()]).err().map(|error| error.to_string());
            assert_eq!(error.is_some(), expected.is_some(), "{mode:o}");
            assert!(error.unwrap_or_default().ends_with(expected.unwrap_or_default()), "{mode:o}");
        }
        let (_folder, path) = written(":0\nx\n", 0o600);
        let error = RcFiles::default().read(&path, &[me() + 1]).unwrap_err().to_string();
        assert!(error.ends_with("the server or root"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let error = RcFiles::default().read(folder.path(), &[me()]).unwrap_err().to_string();
        assert!(error.ends_with("a regular file"), "{error}");
    }

    #[test]
    fn a_file_that_is_none_is_told_with_its_place() {
        for (text, expected) in [
            ("A=b\n}\n", ":2:1: expected rc file text, found a closing brace too many"),
            (":0\n{\n", ": expected rc file text, found the end of the file within a block"),
            ("A=b\n:0\n* x\n", ":2:1: expected rc file text, found a recipe that the end"),
            ("\n*x\n", ":2:1: expected rc file text, found something else"),
        ] {
            let (_folder, path) = written(text, 0o600);
            let error = RcFiles::default().read(&path, &[me()]).unwrap_err().to_string();
            let rest = error.strip_prefix(path.to_str().unwrap()).unwrap();
            assert!(rest.contains(expected.trim_start_matches(": ")), "{error}");
        }
    }
}
