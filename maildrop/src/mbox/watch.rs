//! Whether a message that is being read is still where it was found.
//!
//! No lock is held while a client takes a message, so other programs may write to the file meanwhile. What they append does
//! not matter, and a file that is put in the place of this one leaves this one as it is. But mail readers rewrite mboxes in
//! place, and then other octets stand where the message was. So the time stamps of the file are looked at whenever a part of
//! it was read, before that is lent. When they have changed, the message is read through again and compared with what was
//! found when the file was last read under its locks.
//!
//! Mail may arrive more often than a slow client takes a part of a large message, so what is read again is bounded: at the
//! first change, then each time that an eighth of the message was read since, and before the last part.

use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

use super::scan::{MboxMessage, ReadAt, is_in_place};

/// A file that was changed less than this before may be changed again without any of its times telling: clocks of file
/// systems tick up to a hundred times a second.
const SETTLED: Duration = Duration::from_millis(50);
/// Parts of a message that may be read, while the file changes, before the message is compared again.
const PARTS: u64 = 8;

/// What changes when a file does. Mail readers set the time of modification back, but not the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    // Wide enough for the numbers of all systems.
    file: (i128, i128),
    size: i64,
    modified: (i128, i128),
    changed: (i128, i128),
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Stamp {
        Stamp {
            file: (stat.st_dev.into(), stat.st_ino.into()),
            size: stat.st_size,
            modified: (stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed: (stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        }
    }

    pub(super) fn is_same_file(&self, other: &Stamp) -> bool {
        self.file == other.file
    }

    /// Whether a change after this instant would show.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let changed = self.changed.0 * 1_000_000_000 + self.changed.1;
        let apart = i128::try_from(since(now)).unwrap_or(i128::MAX).abs_diff(changed);
        apart > SETTLED.as_nanos()
    }
}

/// Looks after a message while it is being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    message: MboxMessage,
    content_length: bool,
    /// The file as it was when the message was last seen in it.
    stamp: Stamp,
    /// Whether it has changed since.
    changed: bool,
    /// Octets that were read since the message was compared.
    read: u64,
}

impl Watch {
    /// The message was in the file when that was like this.
    pub(super) fn new(message: MboxMessage, content_length: bool, stamp: Stamp) -> Watch {
        Watch { message, content_length, stamp, changed: false, read: u64::MAX }
    }

    /// Whether octets that were just read are those of the message. `last` says that no more are wanted.
    pub(crate) fn holds(&mut self, file: &File, read: usize, last: bool) -> io::Result<bool> {
        let stamp = Stamp::of(&rustix::fs::fstat(file)?);
        self.compare(file, stamp, read, last)
    }

    fn compare<R: ReadAt + ?Sized>(
        &mut self,
        source: &R,
        stamp: Stamp,
        read: usize,
        last: bool,
    ) -> io::Result<bool> {
        self.read = self.read.saturating_add(read as u64);
        self.changed |= stamp != self.stamp;
        self.stamp = stamp;
        let share = (self.message.next - self.message.start) / PARTS;
        if !self.changed || (!last && self.read <= share) {
            return Ok(true);
        }
        let holds = is_in_place(source, &self.message, self.content_length)?;
        if holds {
            (self.changed, self.read) = (false, 0);
        }
        Ok(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Counts the octets that are read.
    struct Counted(Vec<u8>, Cell<u64>);

    impl ReadAt for Counted {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let count = ReadAt::read_at(&*self.0, buffer, offset)?;
            self.1.set(self.1.get() + count as u64);
            Ok(count)
        }
    }

    fn stamp(number: i128) -> Stamp {
        Stamp { file: (1, 2), size: 3, modified: (4, 5), changed: (6, number) }
    }

    #[test]
    fn a_message_is_compared_a_few_times_however_often_the_file_changes() {
        let text = format!("From a@b Tue Jan  2 03:04:05 2001\nS: x\n\n{}", "x".repeat(1_000_000));
        let message = MboxMessage::all_in(text.as_bytes(), true).unwrap()[0];
        let source = Counted(text.clone().into_bytes(), Cell::new(0));
        let mut watch = Watch::new(message, true, stamp(0));
        let parts = text.len() / 1000;
        for number in 0..=parts {
            assert!(watch.compare(&source, stamp(number as i128), 1000, number == parts).unwrap());
        }
        let read = source.1.get();
        assert!(read > text.len() as u64 && read < 20 * text.len() as u64, "{read}");
        // Without a change nothing is read at all.
        source.1.set(0);
        let mut watch = Watch::new(message, true, stamp(0));
        assert!((0..100).all(|_| watch.compare(&source, stamp(0), 1000, true).unwrap()));
        assert_eq!(source.1.get(), 0);
    }

    #[test]
    fn what_has_changed_is_found_at_the_first_change_and_stays_found() {
        let text = "From a@b Tue Jan  2 03:04:05 2001\nS: x\n\nbody\n";
        let message = MboxMessage::all_in(text.as_bytes(), true).unwrap()[0];
        for (other, holds) in [
            (text.to_owned(), true),
            (format!("{text}\nFrom c@d Tue Jan  2 03:04:05 2001\n"), true),
            (format!("{text}more"), true),
            (text.replace("body", "soul"), false),
            (text.replace("S: x", "S: y"), false),
            (text.replace("a@b", "b@a"), false),
            (text[1..].to_owned(), false),
            (text[..20].to_owned(), false),
            (String::new(), false),
        ] {
            let mut watch = Watch::new(message, true, stamp(0));
            assert!(watch.compare(other.as_bytes(), stamp(0), 1, false).unwrap());
            for last in [false, true] {
                let seen = watch.compare(other.as_bytes(), stamp(1), 1, last).unwrap();
                assert_eq!(seen, holds, "{other:?}");
            }
        }
    }

    #[test]
    fn a_file_is_settled_when_its_clock_has_gone_on() {
        let stamp = Stamp { changed: (1000, 500_000_000), ..stamp(0) };
        let at = |millis: u64| stamp.is_settled(UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!([0, 1_000_449, 1_000_460, 1_000_540, 1_000_551].map(at), [true, true, false, false, true]);
    }
}
