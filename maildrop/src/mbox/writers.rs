//! Who else has a file open for writing: they may write to it yet when another has come in its place.
//!
//! Linux tells in /proc: of all processes to root, of those of the same user to others. Programs on other machines, in
//! other containers, and on other systems are not seen. To look at all processes takes milliseconds where there are many, so
//! it is done once, and then again when those that were found have closed the file.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, Stat};

/// How often it is looked at those that were found.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Whether a process other than this one has a file of this name open for writing.
pub(super) fn has_writers(file: &File, name: &OsStr) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| !writers(&stat, name).is_empty())
}

/// Waits until no other process has a file of this name, or of none, open for writing. Answers how often it was looked at
/// all processes.
pub(super) fn wait_for_writers(file: &File, name: &OsStr, most: Duration) -> usize {
    let Ok(stat) = rustix::fs::fstat(file) else { return 0 };
    let (start, mut pause, mut looks) = (Instant::now(), FIRST_PAUSE, 0);
    loop {
        looks += 1;
        let writers = writers(&stat, name);
        if writers.is_empty() {
            return looks;
        }
        while writers.iter().any(|process| may_write(process, &stat, name)) {
            if start.elapsed() >= most {
                return looks;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        // They may have handed it on.
        if start.elapsed() >= most {
            return looks;
        }
    }
}

/// The processes that have it open for writing, by their directories.
fn writers(file: &Stat, name: &OsStr) -> Vec<PathBuf> {
    let own = std::process::id().to_string();
    let mut processes = paths_in(Path::new("/proc")).unwrap_or_default();
    processes.retain(|process| {
        let id = process.file_name().unwrap_or_default();
        id.as_bytes().iter().all(u8::is_ascii_digit) && id != &*own && may_write(process, file, name)
    });
    processes
}

/// One that ends meanwhile, or belongs to somebody else, may not.
fn may_write(process: &Path, file: &Stat, name: &OsStr) -> bool {
    let handles = paths_in(&process.join("fd")).unwrap_or_default();
    handles.iter().any(|handle| is(handle, file, name) && is_for_writing(process, handle))
}

fn paths_in(dir: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(std::fs::read_dir(dir)?.flatten().map(|entry| entry.path()).collect())
}

fn is(handle: &Path, file: &Stat, name: &OsStr) -> bool {
    // The link is made up by the kernel, without asking a disk that may not answer.
    let Ok(link) = std::fs::read_link(handle) else { return false };
    let link = link.into_os_string().into_vec();
    let may_be =
        link.ends_with(b" (deleted)") || link.rsplit(|&byte| byte == b'/').next() == Some(name.as_bytes());
    may_be
        && rustix::fs::stat(handle)
            .is_ok_and(|other| (other.st_dev, other.st_ino) == (file.st_dev, file.st_ino))
}

fn is_for_writing(process: &Path, handle: &Path) -> bool {
    let info = process.join("fdinfo").join(handle.file_name().unwrap_or_default());
    let flags = std::fs::read_to_string(info).ok().and_then(|info| {
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        u32::from_str_radix(flags.trim(), 8).ok()
    });
    flags.is_none_or(|flags| flags & (OFlags::WRONLY | OFlags::RDWR).bits() != 0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn who_may_write_to_a_file_is_seen_until_they_close_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let file = File::create(&path).unwrap();
        let other = |handle: File| {
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::from(handle)).spawn().unwrap()
        };
        let mut reader = other(File::open(&path).unwrap());
        let mut writer = other(File::options().append(true).open(&path).unwrap());
        let (name, other_name) = (OsStr::new("box"), OsStr::new("other"));
        assert!(has_writers(&file, name) && !has_writers(&file, other_name));
        std::fs::remove_file(&path).unwrap();
        assert!(has_writers(&file, other_name));
        // Those who were found are looked at often, the others once.
        assert_eq!(wait_for_writers(&file, name, Duration::from_millis(150)), 1);
        drop(writer.stdin.take());
        writer.wait().unwrap();
        assert!(!has_writers(&file, name));
        assert_eq!(wait_for_writers(&file, name, Duration::from_secs(60)), 1);
        drop(reader.stdin.take());
        reader.wait().unwrap();
    }
}
