//! The files beside the mail: rc files, and logs.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use procmail_engine::effect::ReadRc;
use rustix::fs::OFlags;

use super::{Host, NULL, Owners, Places};

/// Bytes of the largest rc file that is read.
const LARGEST_RC: u64 = 16 << 20;

impl Host {
    pub(super) fn open_log(&self, name: &[u8]) -> Option<File> {
        let path = self.path(name)?;
        let mode = 0o666 & !self.umask;
        let is_new = !path.exists();
        // A pipe that nobody reads must not hold this up.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        let file =
            OpenOptions::new().append(true).create(true).mode(mode).custom_flags(flags).open(path).ok()?;
        if self.places != Places::Anywhere && !file.metadata().ok()?.is_file() {
            return None;
        }
        if is_new {
            // The mask of the process may have taken more.
            file.set_permissions(std::fs::Permissions::from_mode(mode)).ok()?;
        }
        Some(file)
    }

    pub(super) fn read_rc(&self, rc: &ReadRc) -> Option<Vec<u8>> {
        let path = self.path(&rc.path)?;
        let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&path).ok()?;
        let data = file.metadata().ok()?;
        if data.is_dir() {
            // An rc file that was asked for and is a directory is read as procmail reads it: as empty.
            return rc.first.then(Vec::new);
        }
        if rc.first && rc.path != NULL && !self.trusts(&data, &path) {
            self.complain("Suspicious rcfile", &rc.path);
            return None;
        }
        let expected = data.len().min(LARGEST_RC) + 1;
        let mut source = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
        file.take(LARGEST_RC + 1).read_to_end(&mut source).ok()?;
        (source.len() as u64 <= LARGEST_RC).then_some(source)
    }

    /// Whether nobody but its owner could have written this.
    fn trusts(&self, data: &std::fs::Metadata, path: &Path) -> bool {
        const GROUP_WRITES: u32 = 0o020;
        const OTHERS_WRITE: u32 = 0o002;
        const STICKY: u32 = 0o1000;
        let Owners::User { id, group } = self.owners else { return true };
        let by_group = data.mode() & GROUP_WRITES != 0 && group.is_some_and(|group| group != data.gid());
        if (data.uid() != id && data.uid() != 0) || data.mode() & OTHERS_WRITE != 0 || by_group {
            return false;
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        parent.metadata().is_ok_and(|parent| parent.mode() & (OTHERS_WRITE | STICKY) != OTHERS_WRITE)
    }
}
