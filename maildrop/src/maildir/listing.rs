//! The messages of a Maildir, in the order of their arrival, from the names of their files alone.
//!
//! A file that is renamed while its directory is read may be seen twice or never. So a listing knows whether it is
//! *settled*: nothing was renamed meanwhile. Only such a one is believed about what it does not show.
//!
//! All names lie in one buffer, so that a hundred thousand messages cost some tens of octets each besides their names.

use std::os::fd::{AsFd, OwnedFd};
use std::time::SystemTime;

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::arrival::{Arrival, arrival, number};
use super::changed::{changed, is_recent};
use crate::flags::Flags;
use crate::message_name::NameParts;

/// Listings to try while other programs keep renaming files.
const ATTEMPTS: usize = 4;
/// Longest name of a file.
const MAX_NAME: usize = 255;

/// Where the file of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    Cur,
    New,
    /// Nowhere any more.
    Gone,
}

/// What is known of the octets of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// Nothing, and it was not tried.
    Unknown,
    /// The name tells them.
    Named,
    /// They were counted.
    Counted,
    /// They were counted by an earlier session.
    Recalled,
    /// Nothing: it could not be read, or has changed.
    Uncountable,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    name: usize,
    length: u8,
    /// Octets of the name up to the flags.
    base: u8,
    pub(super) place: Place,
    pub(super) flags: Flags,
    pub(super) size: Size,
    /// Octets of the file, without higher bits, if they were counted.
    pub(super) stored: u32,
    /// Octets with CRLF line ends.
    pub(super) octets: Option<u64>,
    pub(super) seconds: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Listing {
    names: Vec<u8>,
    entries: Vec<Entry>,
    /// Other files with the names of messages, but for flags and place, in the same order: what a program left that copies
    /// and dies.
    twins: Vec<Entry>,
}

impl Listing {
    /// Lists until that is settled. Where other programs do not come to rest, all that was seen at some attempt is listed:
    /// what is there may have been missed by some, but not by all. Answers whether it is settled.
    pub(super) fn read(new: &OwnedFd, cur: &OwnedFd) -> Result<(Listing, bool), Errno> {
        let (mut listing, mut settled) = Listing::read_once(new, cur)?;
        for _ in 1..ATTEMPTS {
            if settled {
                break;
            }
            let before = listing;
            (listing, settled) = Listing::read_once(new, cur)?;
            if !settled {
                listing.unite(&before);
            }
        }
        Ok((listing, settled))
    }

    /// Lists once. Answers whether it is settled.
    pub(super) fn read_once(new: &OwnedFd, cur: &OwnedFd) -> Result<(Listing, bool), Errno> {
        let start = SystemTime::now();
        let before = changed(cur)?;
        let mut listing = Listing::default();
        // In this order a message that is being moved is seen twice rather than never. So what happens in `new/` matters
        // only if it happens in `cur/` too, and mail may go on coming.
        let mut inodes = Vec::new();
        listing.add(new, Place::New, &mut inodes)?;
        listing.add(cur, Place::Cur, &mut inodes)?;
        listing.sort(&inodes);
        Ok((listing, changed(cur)? == before && !is_recent(before, start)))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn entry_mut(&mut self, index: usize) -> &mut Entry {
        &mut self.entries[index]
    }

    /// The name of the file.
    pub(super) fn name(&self, index: usize) -> &[u8] {
        name_of(&self.names, &self.entries[index])
    }

    /// The name without the flags, which stays the same.
    pub(super) fn base(&self, index: usize) -> &[u8] {
        base_of(&self.names, &self.entries[index])
    }

    /// Looks for a message by its name without flags.
    pub(super) fn find(&self, base: &[u8]) -> Option<usize> {
        let wanted = arrival(base);
        self.entries.binary_search_by(|entry| self.order(entry).cmp(&(wanted, base))).ok()
    }

    /// Goes on from an index to where a message has its place.
    pub(super) fn seek(&self, mut index: usize, base: &[u8]) -> usize {
        if self.entries.get(index).is_some_and(|entry| base_of(&self.names, entry) == base) {
            return index;
        }
        let wanted = (arrival(base), base);
        while self.entries.get(index).is_some_and(|entry| self.order(entry) < wanted) {
            index += 1;
        }
        index
    }

    /// The files of a message that are known.
    pub(super) fn files(&self, index: usize) -> impl Iterator<Item = (Place, &[u8])> {
        let first = &self.entries[index];
        std::iter::once(first)
            .chain(self.twins(index))
            .map(|entry| (entry.place, name_of(&self.names, entry)))
    }

    /// Whether more than one file of a message is known.
    pub(super) fn has_twins(&self, index: usize) -> bool {
        !self.twins(index).is_empty()
    }

    /// Passes over files from then on that have another name by then.
    pub(super) fn forget_twins(&mut self, renamed: impl Fn(Place, &[u8]) -> bool) {
        let names = &self.names;
        self.twins.retain(|twin| !renamed(twin.place, name_of(names, twin)));
    }

    fn twins(&self, index: usize) -> &[Entry] {
        if self.twins.is_empty() {
            return &[];
        }
        let wanted = self.order(&self.entries[index]);
        let start = self.twins.partition_point(|entry| self.order(entry) < wanted);
        let count = self.twins[start..].partition_point(|entry| self.order(entry) == wanted);
        &self.twins[start..][..count]
    }

    /// The names that other programs are likely to have given to a message meanwhile.
    pub(super) fn likely_names(&self, index: usize) -> impl Iterator<Item = (Place, Vec<u8>)> + '_ {
        let (base, flags) = (self.base(index), self.entries[index].flags);
        let flag_sets = [
            flags | Flags::SEEN,
            flags,
            Flags::EMPTY,
            Flags::SEEN,
            flags | Flags::FLAGGED,
            flags.without(Flags::FLAGGED),
            flags | Flags::SEEN | Flags::REPLIED,
            flags | Flags::SEEN | Flags::TRASHED,
            flags.without(Flags::SEEN),
        ];
        let with_flags = flag_sets.into_iter().map(move |flags| {
            let letters = flags.letters().map(|letter| letter as u8);
            let name = base.iter().chain(b":2,").copied().chain(letters).collect::<Vec<u8>>();
            (Place::Cur, name)
        });
        let names = with_flags.filter(|(_, name)| name.len() <= MAX_NAME);
        names.chain([(Place::New, base.to_vec()), (Place::Cur, base.to_vec())])
    }

    /// Adds a message behind all others that is known by its name without flags alone. Nothing can be found by name
    /// then any more.
    pub(super) fn add_unlisted(&mut self, base: &[u8]) -> usize {
        let name = self.keep(base);
        let base = length(base);
        self.entries.push(Entry {
            name,
            length: base,
            base,
            place: Place::New,
            flags: Flags::EMPTY,
            size: Size::Uncountable,
            stored: 0,
            octets: None,
            seconds: None,
        });
        self.entries.len() - 1
    }

    /// Takes those out that were added behind others.
    pub(super) fn truncate(&mut self, messages: usize) {
        self.entries.truncate(messages);
    }

    /// Takes messages out, in order.
    pub(super) fn remove_all(&mut self, indexes: &[usize]) {
        let (mut index, mut indexes) = (0.., indexes.iter().copied().peekable());
        self.entries.retain(|_| index.next().is_some_and(|index| indexes.next_if_eq(&index).is_none()));
    }

    /// Learns from a later listing what the files are called. Messages that are not in it are gone, if it is settled; new
    /// ones are passed over.
    pub(super) fn update(&mut self, later: &Listing, settled: bool) {
        let old_names = std::mem::take(&mut self.names);
        self.names.reserve(old_names.len());
        for at in 0..self.entries.len() {
            let entry = self.entries[at];
            let found = later.find(base_of(&old_names, &entry)).map(|index| &later.entries[index]);
            let (name, place, flags) = match found {
                Some(found) => (name_of(&later.names, found), found.place, found.flags),
                None if settled => (name_of(&old_names, &entry), Place::Gone, entry.flags),
                None => (name_of(&old_names, &entry), entry.place, entry.flags),
            };
            self.entries[at] = Entry { name: self.keep(name), length: length(name), place, flags, ..entry };
        }
        self.twins.clear();
        for twin in &later.twins {
            let name = self.keep(name_of(&later.names, twin));
            self.twins.push(Entry { name, ..*twin });
        }
    }

    /// Adds what an earlier listing has seen and this one has not.
    fn unite(&mut self, earlier: &Listing) {
        let missed: Vec<&Entry> = (earlier.entries.iter())
            .filter(|entry| self.find(base_of(&earlier.names, entry)).is_none())
            .collect();
        for entry in missed {
            let name = self.keep(name_of(&earlier.names, entry));
            self.entries.push(Entry { name, ..*entry });
        }
        self.sort(&[]);
    }

    /// Takes a name into the buffer of all names.
    fn keep(&mut self, name: &[u8]) -> usize {
        self.names.extend_from_slice(name);
        self.names.len() - name.len()
    }

    fn order(&self, entry: &Entry) -> (Arrival, &[u8]) {
        let base = base_of(&self.names, entry);
        (arrival(base), base)
    }

    /// Adds the files of a directory, and which they are, which renaming does not change.
    fn add(&mut self, dir: &OwnedFd, place: Place, inodes: &mut Vec<u64>) -> Result<(), Errno> {
        for entry in Dir::read_from(dir.as_fd())? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let Ok(parts) = NameParts::parse(name) else { continue };
            // Where the file system does not tell, it is found out when a message is opened.
            if !matches!(entry.file_type(), FileType::RegularFile | FileType::Unknown) {
                continue;
            }
            self.entries.push(Entry {
                name: self.names.len(),
                length: length(name),
                base: length(&name[..parts.info]),
                place,
                flags: parts.flags,
                size: parts.crlf_size.map_or(Size::Unknown, |_| Size::Named),
                stored: 0,
                octets: parts.crlf_size,
                seconds: number(name).map(|(seconds, _)| seconds),
            });
            self.names.extend_from_slice(name);
            inodes.push(entry.ino());
        }
        Ok(())
    }

    /// Puts messages in order, and twins apart; which files they are is not known if no message has two.
    fn sort(&mut self, inodes: &[u64]) {
        let names = &self.names;
        // What stands in `cur/` comes before the same in `new/`, from where it was moved, and what is seen before what is not.
        let rank = |entry: &Entry| (entry.place, !entry.flags.contains(Flags::SEEN));
        let inodes = inodes.iter().copied().chain(std::iter::repeat(0));
        let mut sorted: Vec<(Arrival, Entry, u64)> = (self.entries.iter().zip(inodes))
            .map(|(entry, inode)| (arrival(base_of(names, entry)), *entry, inode))
            .collect();
        sorted.sort_unstable_by(|(a, one, _), (b, other, _)| {
            a.cmp(b)
                .then_with(|| base_of(names, one).cmp(base_of(names, other)))
                .then_with(|| rank(one).cmp(&rank(other)))
                .then_with(|| name_of(names, one).cmp(name_of(names, other)))
        });
        let twins = &mut self.twins;
        sorted.dedup_by(|(_, later, its), (_, first, inode)| {
            let same = base_of(names, later) == base_of(names, first);
            // One file that was renamed while it was listed is seen twice, but is no twin.
            if same && its != inode {
                twins.push(*later);
            }
            same
        });
        self.entries = sorted.into_iter().map(|(_, entry, _)| entry).collect();
    }
}

fn name_of<'a>(names: &'a [u8], entry: &Entry) -> &'a [u8] {
    &names[entry.name..][..usize::from(entry.length)]
}

fn base_of<'a>(names: &'a [u8], entry: &Entry) -> &'a [u8] {
    &names[entry.name..][..usize::from(entry.base)]
}

fn length(name: &[u8]) -> u8 {
    u8::try_from(name.len()).expect("names of messages have at most 255 octets")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn listing(new: &[&str], cur: &[&str]) -> (tempfile::TempDir, impl Fn() -> Listing) {
        let dir = tempfile::tempdir().unwrap();
        for (folder, names) in [("new", new), ("cur", cur)] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
            for name in names {
                std::fs::write(dir.path().join(folder).join(name), name).unwrap();
            }
        }
        let open = |name: &str| crate::fs::open_dir(&dir.path().join(name)).unwrap();
        let (new, cur) = (open("new"), open("cur"));
        (dir, move || Listing::read(&new, &cur).unwrap().0)
    }

    fn names(listing: &Listing) -> Vec<&str> {
        (0..listing.len()).map(|index| std::str::from_utf8(listing.name(index)).unwrap()).collect()
    }

    #[test]
    fn messages_stand_in_the_order_of_their_arrival_each_once() {
        let (dir, read) = listing(
            &["10.M5P1Q2.a", "9.z", "11.M1.a", ".hidden", "10.M5P1Q10.a", "8.b"],
            &["10.M4P1Q9.a:2,S", "11.M1.a:2,RS", "12.b:2,", "12.a:2,", "odd:2,F"],
        );
        std::fs::create_dir(dir.path().join("cur/13.folder")).unwrap();
        std::os::unix::fs::symlink("8.b", dir.path().join("new/14.link")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(dir.path().join("new/15.socket")).unwrap());
        let expected = [
            "odd:2,F",
            "8.b",
            "9.z",
            "10.M4P1Q9.a:2,S",
            "10.M5P1Q2.a",
            "10.M5P1Q10.a",
            "11.M1.a:2,RS",
            "12.a:2,",
            "12.b:2,",
        ];
        let listing = read();
        assert_eq!(names(&listing), expected);
        for index in 0..listing.len() {
            assert_eq!(listing.find(listing.base(index)), Some(index));
        }
        assert_eq!(listing.find(b"10.M5P1Q3.a"), None);
        assert!(size_of::<Entry>() <= 56, "{}", size_of::<Entry>());
    }

    #[test]
    fn a_later_listing_tells_the_names_and_who_is_gone_and_nothing_of_what_came() {
        let (dir, read) = listing(&["1.a", "2.a"], &["3.a:2,", "4.a:2,"]);
        let mut listing = read();
        let path = |name: &str| dir.path().join(name);
        std::fs::rename(path("new/1.a"), path("cur/1.a:2,S")).unwrap();
        std::fs::rename(path("cur/3.a:2,"), path("cur/3.a:2,FRST")).unwrap();
        std::fs::remove_file(path("cur/4.a:2,")).unwrap();
        std::fs::write(path("new/0.a"), "").unwrap();
        let later = read();
        listing.update(&later, false);
        assert_eq!(listing.entry(3).place, Place::Cur, "nobody knows");
        listing.update(&later, true);
        assert_eq!(names(&listing), ["1.a:2,S", "2.a", "3.a:2,FRST", "4.a:2,"]);
        let places: Vec<Place> = (0..4).map(|index| listing.entry(index).place).collect();
        assert_eq!(places, [Place::Cur, Place::New, Place::Cur, Place::Gone]);
        assert_eq!(listing.entry(0).flags, Flags::SEEN);
        // What was gone may be back.
        std::fs::write(path("cur/4.a:2,S"), "").unwrap();
        listing.update(&read(), true);
        assert_eq!(names(&listing)[3], "4.a:2,S");
    }

    #[test]
    fn all_files_of_a_message_are_known_and_the_one_that_is_seen_stands_for_them() {
        let (_dir, read) = listing(
            &["1.a", "2.a", "4.a"],
            &["1.a:2,", "1.a:2,FS", "1.a:2,F", "2.a:2,", "3.a:2,S", "3.a:2,RS"],
        );
        let mut listing = read();
        for _ in 0..2 {
            assert_eq!(names(&listing), ["1.a:2,FS", "2.a:2,", "3.a:2,RS", "4.a"]);
            let files = |index| -> Vec<(Place, &[u8])> { listing.files(index).collect() };
            let cur = |name: &'static str| (Place::Cur, name.as_bytes());
            let new = |name: &'static str| (Place::New, name.as_bytes());
            assert_eq!(files(0), [cur("1.a:2,FS"), cur("1.a:2,"), cur("1.a:2,F"), new("1.a")]);
            assert_eq!(files(1), [cur("2.a:2,"), new("2.a")]);
            assert_eq!(files(2), [cur("3.a:2,RS"), cur("3.a:2,S")]);
            assert_eq!(files(3), [new("4.a")]);
            assert_eq!([0, 1, 2, 3].map(|index| listing.has_twins(index)), [true, true, true, false]);
            listing.update(&read(), true);
        }
    }

    #[test]
    fn one_file_that_is_seen_twice_is_no_twin() {
        let (dir, read) = listing(&["1.a", "2.a"], &["2.a:2,S"]);
        let path = |name: &str| dir.path().join(name);
        // As if it was renamed between two reads of the directory.
        std::fs::hard_link(path("new/1.a"), path("cur/1.a:2,S")).unwrap();
        let listing = read();
        assert_eq!(names(&listing), ["1.a:2,S", "2.a:2,S"]);
        assert_eq!([0, 1].map(|index| listing.has_twins(index)), [false, true]);
    }

    #[test]
    fn a_listing_is_settled_if_nothing_could_be_renamed_unseen() {
        let (dir, _) = listing(&[], &["1.a:2,"]);
        let open = |name: &str| crate::fs::open_dir(&dir.path().join(name)).unwrap();
        let (new, cur) = (open("new"), open("cur"));
        let set_time = |time: SystemTime| {
            let times = std::fs::FileTimes::new().set_modified(time);
            std::fs::File::open(dir.path().join("cur")).unwrap().set_times(times).unwrap();
        };
        let is_settled = || Listing::read_once(&new, &cur).unwrap().1;
        let now = SystemTime::now();
        for time in [now - Duration::from_secs(60), now + Duration::from_secs(60)] {
            // The kernel knows better.
            assert!((0..100).any(|_| {
                set_time(time);
                !is_settled()
            }));
            while !is_settled() {
                std::thread::yield_now();
            }
        }
        assert!((0..100).any(|_| {
            set_time(SystemTime::now());
            !is_settled()
        }));
        let before = changed(&cur).unwrap();
        let put_back = || {
            std::fs::rename(dir.path().join("cur/1.a:2,"), dir.path().join("cur/1.a:2,S")).unwrap();
            std::fs::rename(dir.path().join("cur/1.a:2,S"), dir.path().join("cur/1.a:2,")).unwrap();
            set_time(UNIX_EPOCH + before[0]);
            changed(&cur).unwrap()
        };
        // In the same tick nothing is to be seen.
        let after = std::iter::repeat_with(put_back).find(|after| *after != before).unwrap();
        assert_eq!(after[0], before[0]);
    }

    #[test]
    fn what_one_of_two_listings_has_seen_is_in_both_together() {
        let (dir, read) = listing(&["2.a", "3.a"], &["1.a:2,"]);
        let earlier = read();
        std::fs::remove_file(dir.path().join("new/2.a")).unwrap();
        std::fs::rename(dir.path().join("new/3.a"), dir.path().join("cur/3.a:2,S")).unwrap();
        let mut later = read();
        later.unite(&earlier);
        assert_eq!(names(&later), ["1.a:2,", "2.a", "3.a:2,S"]);
        assert!((0..3).all(|index| !later.has_twins(index) && later.find(later.base(index)) == Some(index)));
    }
}
