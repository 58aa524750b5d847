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
//! append whatever they are given. Users of the machine can learn that, so no guard is believed that goes for more than
//! one message: from where it says that the message begins, no line up to the guard may begin with `From `. So whoever
//! forges one has their own message cut off. (Half of a message that was written unquoted, with such a line in it, stays
//! for that reason.)

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use memchr::memmem;
use rustix::fs::{AtFlags, StatxFlags};

use crate::from_line::MARK;

/// What stands before and behind the text of a guard. It ends with an empty line, so that what a program that knows no
/// guards appends to it is a message of its own.
const START: &[u8] = b"\0\n";
pub(super) const END: &[u8] = b"\0\n\n";
const TEXT: &str = "half a message, cut off at the next delivery: ";

/// Octets that lie in one page, whatever the page size.
const PAGE: u64 = 4096;
/// Octets that are looked through at once.
const CHUNK: usize = 64 * 1024;

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
        match start.filter(|&start| start <= size - length && self.guard(start) == guard) {
            Some(start) if !has_from_line(file, start, size - length)? => Ok(Some(start)),
            _ => Ok(None),
        }
    }
}

/// Whether a line begins with `From ` that begins behind `start` and before `end`.
fn has_from_line(file: &File, start: u64, end: u64) -> io::Result<bool> {
    let line = [b"\n".as_slice(), MARK].concat();
    let finder = memmem::Finder::new(&line);
    let mut chunk = vec![0; CHUNK];
    let mut at = start;
    while at < end {
        at = next_data(file, at);
        if at >= end {
            break;
        }
        let length = chunk.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        file.read_exact_at(&mut chunk[..length], at)?;
        if finder.find(&chunk[..length]).is_some() {
            return Ok(true);
        }
        // A line may begin in one chunk and go on in the next.
        at += if length == chunk.len() { length - (line.len() - 1) } else { length } as u64;
    }
    Ok(false)
}

/// The first place at or behind `at` that is not in a hole, where the system can tell. A file may be said to have more octets
/// than anybody could read.
fn next_data(file: &File, at: u64) -> u64 {
    #[cfg(target_os = "linux")]
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(found) => return found,
        // There is nothing but a hole.
        Err(rustix::io::Errno::NXIO) => return u64::MAX,
        Err(_) => {}
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
    at
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
    fn no_guard_goes_for_more_than_one_message() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        std::fs::write(&path, b"").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let identity = Identity::of(&file).unwrap();
        // With the second message right behind the first, and on both sides of where chunks end.
        for length in [0, 1, 10].into_iter().chain(CHUNK - 10..CHUNK + 3).chain([3 * CHUNK]) {
            let first = [b"From a\n".as_slice(), &vec![b'x'; length], b"\n"].concat();
            let second = first.len() as u64;
            for start in [0, 3, second - 1, second, second + 4] {
                let content = [&first, b"From b\n\nhello\n".as_slice(), &identity.guard(start)].concat();
                file.set_len(0).unwrap();
                file.write_all_at(&content, 0).unwrap();
                let found = identity.unfinished(&file, content.len() as u64).unwrap();
                assert_eq!(found, (start >= second).then_some(start), "{length} {start}");
            }
        }
    }

    #[test]
    fn holes_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        std::fs::write(&path, b"From a\n").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let identity = Identity::of(&file).unwrap();
        // Too much to be read in the time of a test.
        let terabyte = 1 << 40;
        let guard = identity.guard(0);
        file.write_all_at(&guard, terabyte).unwrap();
        let size = terabyte + guard.len() as u64;
        let started = std::time::Instant::now();
        assert_eq!(identity.unfinished(&file, size).unwrap(), Some(0));
        // A line behind one hole and before another.
        file.write_all_at(b"\nFrom b\n", terabyte / 2).unwrap();
        assert_eq!(identity.unfinished(&file, size).unwrap(), None);
        assert!(started.elapsed().as_secs() < 10);
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
