//! The mark behind a message that is being appended, and how what a dead program left is found by it.
//!
//! While a message is being written, the file ends with a guard that says where the message begins. The guard goes with
//! the last step, which makes the file end where the message does. So a file that ends with a guard has a message at its
//! end whose writer died, and whoever locks the file next cuts it off.
//!
//! Each chunk goes into the file like this, so that at no time the file ends otherwise: first a guard is written behind
//! the place of the chunk, then the chunk over the old guard. A guard is never written across a page, which the kernel
//! copies as one: a process that is killed has written all of it or nothing.
//!
//! Nobody can make a file end like this by sending mail: messages written here never end with what guards end with; and
//! a guard names the file by the nanosecond in which it was made, where the disk tells, for the sake of programs that
//! append whatever they are given.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, StatxFlags};

/// What stands before and behind the text of a guard. It ends with an empty line, so that what a program that knows no
/// guards appends to it is a message of its own.
const START: &[u8] = b"\0\n";
pub(super) const END: &[u8] = b"\0\n\n";
const TEXT: &str = "half a message, cut off at the next delivery: ";

/// Octets that lie in one page, whatever the page size.
const PAGE: u64 = 4096;

/// Tells one file from all others that bear its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    inode: u64,
    born: (i64, u32),
}

impl Identity {
    pub(super) fn of(file: &File) -> io::Result<Identity> {
        #[cfg(target_os = "linux")]
        {
            let wanted = StatxFlags::INO | StatxFlags::BTIME;
            if let Ok(stat) = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted) {
                return Ok(Identity {
                    inode: stat.stx_ino,
                    born: (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec),
                });
            }
        }
        Ok(Identity { inode: rustix::fs::fstat(file)?.st_ino, born: (0, 0) })
    }

    /// The guard of a message that begins at `start`.
    pub(super) fn guard(&self, start: u64) -> Vec<u8> {
        let (seconds, nanoseconds) = self.born;
        let text = format!("{TEXT}{start:020} {:016x} {seconds:016x}.{nanoseconds:08x}", self.inode);
        [START, text.as_bytes(), END].concat()
    }

    /// Where the message begins whose writer died, if the file ends with a guard.
    pub(super) fn unfinished(&self, file: &File, size: u64) -> io::Result<Option<u64>> {
        let length = self.guard(0).len() as u64;
        let mut end = [0; 3];
        if size < length {
            return Ok(None);
        }
        file.read_exact_at(&mut end, size - END.len() as u64)?;
        if end != *END {
            return Ok(None);
        }
        let mut guard = vec![0; length as usize];
        file.read_exact_at(&mut guard, size - length)?;
        let digits = guard.get(START.len() + TEXT.len()..).and_then(|rest| rest.get(..20));
        let start = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u64>().ok());
        Ok(start.filter(|&start| start <= size - length && self.guard(start) == guard))
    }
}

/// The first place at or behind `at` where a guard of this length lies within one page.
pub(super) fn place(at: u64, length: u64) -> u64 {
    if at % PAGE + length > PAGE { at.next_multiple_of(PAGE) } else { at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_known_by_its_file_only() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str, content: &[u8]| {
            std::fs::write(dir.path().join(name), content).unwrap();
            File::options().read(true).write(true).open(dir.path().join(name)).unwrap()
        };
        let file = open("a", b"");
        let identity = Identity::of(&file).unwrap();
        assert_eq!(identity.unfinished(&file, 0).unwrap(), None);
        let guard = identity.guard(4);
        file.write_all_at(&[b"one\ntwo".as_slice(), &guard].concat(), 0).unwrap();
        let size = 7 + guard.len() as u64;
        assert_eq!(identity.unfinished(&file, size).unwrap(), Some(4));
        assert_eq!(identity.unfinished(&file, size - 1).unwrap(), None);

        let other = open("b", &[b"one\ntwo".as_slice(), &guard].concat());
        assert_eq!(Identity::of(&other).unwrap().unfinished(&other, size).unwrap(), None);
        // Beginning behind its own end.
        file.write_all_at(&[b"one\ntwo".as_slice(), &identity.guard(8)].concat(), 0).unwrap();
        assert_eq!(identity.unfinished(&file, size).unwrap(), None);
    }

    #[test]
    fn guards_have_one_length_and_lie_within_a_page() {
        let identity = Identity { inode: u64::MAX, born: (i64::MAX, u32::MAX) };
        let length = identity.guard(u64::MAX).len() as u64;
        assert_eq!(Identity { inode: 1, born: (0, 0) }.guard(0).len() as u64, length);
        for at in (0..9000).chain(1 << 40..(1 << 40) + 5000) {
            let placed = place(at, length);
            assert!(placed >= at && placed - at < length, "{at}");
            assert_eq!(placed / PAGE, (placed + length - 1) / PAGE, "{at}");
        }
    }
}
