//! Who else has a file open that was replaced: they may write to it yet, and what they write is to be carried over.
//!
//! Linux tells in /proc: of all processes to root, of those of the same user to others. Programs on other machines, in
//! other containers, and on other systems are not seen.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, Stat};

/// Whether a process other than this one has a file open for writing that has no name any more.
pub(super) fn has_writers(file: &File) -> bool {
    let Ok(stat) = rustix::fs::fstat(file) else { return false };
    let own = std::process::id().to_string();
    let processes = paths_in(Path::new("/proc")).unwrap_or_default();
    let others = processes.iter().filter(|process| {
        let name = process.file_name().unwrap_or_default();
        name.as_bytes().iter().all(u8::is_ascii_digit) && name != &*own
    });
    // One that ends meanwhile, or belongs to somebody else, is passed over.
    others.into_iter().any(|process| {
        let handles = paths_in(&process.join("fd")).unwrap_or_default();
        handles.iter().any(|handle| is(handle, &stat) && is_for_writing(process, handle))
    })
}

fn paths_in(dir: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(std::fs::read_dir(dir)?.flatten().map(|entry| entry.path()).collect())
}

fn is(handle: &Path, file: &Stat) -> bool {
    // The link is made up by the kernel, without asking a disk that may not answer.
    let nameless =
        std::fs::read_link(handle).is_ok_and(|link| link.as_os_str().as_bytes().ends_with(b" (deleted)"));
    nameless
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
    fn who_may_write_to_a_file_without_a_name_is_seen_until_they_close_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let file = File::create(&path).unwrap();
        let other = |handle: File| {
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::from(handle)).spawn().unwrap()
        };
        let mut reader = other(File::open(&path).unwrap());
        let mut writer = other(File::options().append(true).open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(has_writers(&file));
        drop(writer.stdin.take());
        writer.wait().unwrap();
        assert!(!has_writers(&file));
        drop(reader.stdin.take());
        reader.wait().unwrap();
    }
}
