//! `maildrop.sizes`: octets of messages whose names do not tell, so that they are counted once and not by each session.
//!
//! Maildirs that Dovecot or procmail has filled have names without `,W=`, and counting line ends means to read all mail. The
//! file holds, for each such message, the name without flags, the octets of the file and those on the wire. It is a cache:
//! who removes it loses nothing, and all that a wrong one can do is to make sizes in listings wrong, as long as files
//! have the sizes that it tells. What is read of it is bounded by the number of messages.
//!
//! It is written by exclusive sessions, when they have counted so many that it pays, and anew when most of it is of messages
//! that are gone, and when messages that were read to their end had other octets than their names told. It is replaced as a
//! whole. A message that is found to have another size than it tells (none of a Maildir
//! ever should) has the whole of it forgotten.

use std::fs::File;
use std::io::Read;
use std::sync::PoisonError;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::listing::{Listing, Place, Size};
use super::mailbox::MaildirMailbox;
use crate::error::Operation;
use crate::replacement::Replacement;
use crate::store::Access;

const FILE: &str = "maildrop.sizes";
const TMP: &str = "maildrop.sizes.tmp";
/// The first line.
const HEAD: &[u8] = b"maildrop sizes 1\n";
/// Octets that are read at most, and how many more for each message that is listed.
const LARGEST: u64 = 1024 * 1024;
const LARGEST_EACH: u64 = 512;
/// How many messages have to be counted for the file to be written, and one more for how many messages there are.
const PAYS: usize = 32;
const PAYS_EACH: usize = 256;
/// The file is written anew if it tells of that many messages more than twice those that are left.
const SPARE: usize = 1000;

/// What is known of the file, and what is to be put into it.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Messages that have not been counted.
    uncounted: usize,
    /// Messages that were counted by this session.
    counted: usize,
    /// Messages that the file tells of.
    in_file: usize,
}

impl MaildirMailbox {
    /// Takes from the file what names do not tell, or tell wrong.
    pub(super) fn recall_sizes(&mut self) {
        if let Some(content) = self.read_sizes() {
            self.kept.in_file = recall(&mut self.listing, &content);
        }
        self.kept.uncounted = self.listing.entries().filter(|entry| entry.size == Size::Unknown).count();
    }

    fn read_sizes(&self) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let dir = &self.maildir.dirs.root;
        let file = File::from(rustix::fs::openat(dir, FILE, flags, Mode::empty()).ok()?);
        let metadata = file.metadata().ok()?;
        let most = LARGEST + LARGEST_EACH * self.listing.len() as u64;
        if !metadata.is_file() || metadata.len() > most {
            return None;
        }
        let mut content = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
        file.take(most).read_to_end(&mut content).ok()?;
        Some(content)
    }

    /// Notes that a message was counted, with the octets of its file, or could not be. With the last one the file is
    /// written, if it pays.
    pub(super) fn note_size(&mut self, index: usize, counted: Option<(u64, u64)>) {
        let entry = self.listing.entry_mut(index);
        if entry.size == Size::Unknown {
            self.kept.uncounted -= 1;
        }
        match counted {
            Some((stored, octets)) => {
                (entry.size, entry.octets, entry.stored) = (Size::Counted, Some(octets), stored as u32);
                self.kept.counted += 1;
            }
            None => entry.size = Size::Uncountable,
        }
        let pays = PAYS + self.listing.len() / PAYS_EACH;
        if self.kept.uncounted == 0 && self.kept.counted >= pays {
            self.write_sizes();
        }
    }

    /// Whether the file of a message has the size that was told of it. If not, nothing is believed any more.
    pub(super) fn check_size(&mut self, index: usize, stored: u64) {
        let entry = self.listing.entry_mut(index);
        if entry.size == Size::Recalled && entry.stored != stored as u32 {
            (entry.size, entry.octets) = (Size::Uncountable, None);
            if self.access == Access::Exclusive && std::mem::take(&mut self.kept.in_file) > 0 {
                let _ = rustix::fs::unlinkat(&self.maildir.dirs.root, FILE, AtFlags::empty());
            }
        }
    }

    /// Writes down of which messages the names tell what is wrong.
    pub(super) fn correct_sizes(&mut self) {
        let miscounts = std::mem::take(&mut *self.miscounts.lock().unwrap_or_else(PoisonError::into_inner));
        for (&index, counted) in &miscounts {
            let entry = self.listing.entry_mut(index);
            (entry.size, entry.octets) = (Size::Counted, Some(counted.octets));
            entry.stored = counted.stored as u32;
        }
        if !miscounts.is_empty() {
            self.write_sizes();
        }
    }

    /// Writes the file anew if most of it is of messages that are gone.
    pub(super) fn trim_sizes(&mut self) {
        let left = self.listing.entries().filter(|entry| is_kept(entry.size, entry.place)).count();
        if left == 0 && self.kept.in_file > 0 {
            let _ = rustix::fs::unlinkat(&self.maildir.dirs.root, FILE, AtFlags::empty());
        } else if self.kept.in_file > 2 * left + SPARE {
            self.write_sizes();
        }
    }

    /// Nothing depends on it, so failures are passed over, and it need not survive a power failure.
    fn write_sizes(&mut self) {
        if self.access != Access::Exclusive {
            return;
        }
        self.kept.counted = 0;
        let (content, messages) = render(&self.listing);
        let dir = &self.maildir.dirs.root;
        let write = || -> std::io::Result<()> {
            self.maildir.inject(Operation::Write).check()?;
            let mut replacement = Replacement::create(dir, TMP)?;
            replacement.write(&content)?;
            Ok(replacement.put_in_place(dir, FILE)?)
        };
        if write().is_ok() {
            self.kept.in_file = messages;
        }
    }
}

fn is_kept(size: Size, place: Place) -> bool {
    matches!(size, Size::Counted | Size::Recalled) && place != Place::Gone
}

/// The content of the file, and of how many messages it tells. Of each name stands there how much it has in common with
/// the one before, the length of the rest, and the rest; then four octets of the size of the file and eight of that on
/// the wire, the lowest first.
fn render(listing: &Listing) -> (Vec<u8>, usize) {
    let (mut content, mut messages) = (HEAD.to_vec(), 0);
    let mut before: &[u8] = &[];
    for index in 0..listing.len() {
        let entry = listing.entry(index);
        let Some(octets) = entry.octets.filter(|_| is_kept(entry.size, entry.place)) else { continue };
        let base = listing.base(index);
        let shared = before.iter().zip(base).take_while(|(one, other)| one == other).count();
        // Names have at most 255 octets.
        content.extend([shared as u8, (base.len() - shared) as u8]);
        content.extend_from_slice(&base[shared..]);
        content.extend_from_slice(&entry.stored.to_le_bytes());
        content.extend_from_slice(&octets.to_le_bytes());
        messages += 1;
        before = base;
    }
    (content, messages)
}

/// Takes sizes that are not known, or told by names, from a file in the order of the listing; out of order nothing is found. Answers of how
/// many messages the file tells. Reading ends at what makes no sense.
fn recall(listing: &mut Listing, content: &[u8]) -> usize {
    let Some(mut rest) = content.strip_prefix(HEAD) else { return 0 };
    let (mut base, mut messages, mut next) = (Vec::new(), 0, 0);
    while let Some((stored, octets, behind)) = take(rest, &mut base) {
        rest = behind;
        messages += 1;
        next = listing.seek(next, &base);
        if next == listing.len() {
            continue;
        }
        if listing.base(next) == base {
            let entry = listing.entry_mut(next);
            if matches!(entry.size, Size::Unknown | Size::Named) {
                (entry.size, entry.octets, entry.stored) = (Size::Recalled, Some(octets), stored);
            }
            next += 1;
        }
    }
    messages
}

/// The next message: its name is put in place of that of the one before.
fn take<'a>(content: &'a [u8], base: &mut Vec<u8>) -> Option<(u32, u64, &'a [u8])> {
    let (&[shared, length], rest) = content.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(length.into())?;
    let (stored, rest) = rest.split_first_chunk()?;
    let (octets, rest) = rest.split_first_chunk()?;
    let shared = usize::from(shared);
    if shared > base.len() || shared + name.len() == 0 || shared + name.len() > 255 {
        return None;
    }
    base.truncate(shared);
    base.extend_from_slice(name);
    Some((u32::from_le_bytes(*stored), u64::from_le_bytes(*octets), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;
    use proptest::prelude::*;

    fn listing(names: &[&str]) -> (tempfile::TempDir, Listing) {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["new", "cur"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for name in names {
            std::fs::write(dir.path().join("new").join(name), "").unwrap();
        }
        let open = |name: &str| fs::open_dir(&dir.path().join(name)).unwrap();
        let listing = Listing::read(&open("new"), &open("cur")).unwrap().0;
        (dir, listing)
    }

    fn octets(listing: &Listing) -> Vec<Option<u64>> {
        listing.entries().map(|entry| entry.octets).collect()
    }

    #[test]
    fn what_was_counted_is_recalled_for_the_messages_that_are_still_there() {
        let (_dir, mut before) = listing(&["10.M1.a", "10.M2.a", "10.M10.a", "11.b,S=3", "12.c,W=7", "odd"]);
        for (index, size) in [(0, 100), (1, 101), (2, 102), (3, u64::MAX), (4, 104)] {
            let entry = before.entry_mut(index);
            (entry.size, entry.octets, entry.stored) = (Size::Counted, Some(size), index as u32);
        }
        before.entry_mut(4).place = Place::Gone;
        let (content, messages) = render(&before);
        assert_eq!(messages, 4);
        let (_dir, mut after) =
            listing(&["1.new", "10.M1.a", "10.M10.a", "10.M3.a", "11.b,S=3", "12.c,W=7", "odd"]);
        assert_eq!(recall(&mut after, &content), 4);
        let expected = [Some(100), None, Some(101), None, Some(u64::MAX), None, Some(7)];
        let names: Vec<&[u8]> = (0..after.len()).map(|index| after.base(index)).collect();
        assert_eq!(names[0], b"odd");
        assert_eq!(octets(&after), expected);
    }

    proptest! {
        #[test]
        fn whatever_the_file_holds_does_no_harm(
            junk in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0_usize..200,
            flipped: u8,
        ) {
            let (_dir, mut before) = listing(&["10.M1.a", "10.M2.a", "10.M3.a"]);
            for index in 0..3 {
                let entry = before.entry_mut(index);
                (entry.size, entry.octets) = (Size::Counted, Some(5));
            }
            let (mut content, _) = render(&before);
            let at = at % content.len();
            content[at] ^= flipped;
            for content in [&content[..], &content[..at], &junk, &[HEAD, &junk].concat()] {
                let (_dir, mut after) = listing(&["10.M1.a", "10.M2.a", "10.M3.a"]);
                let messages = recall(&mut after, content);
                prop_assert!(messages <= content.len() / 14);
                prop_assert_eq!(after.len(), 3);
            }
        }
    }
}
