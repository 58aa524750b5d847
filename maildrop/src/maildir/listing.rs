//! The messages of a Maildir, in the order of their arrival, from the names of their files alone.
//!
//! All names lie in one buffer, so that a hundred thousand messages cost some tens of octets each besides their names.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use crate::flags::Flags;
use crate::message_name::NameParts;

/// Listings to try while other programs keep renaming files: a name that is changed meanwhile may be seen twice or never.
const ATTEMPTS: usize = 4;

/// Where the file of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Cur,
    New,
    /// Nowhere any more.
    Gone,
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
    /// Octets with CRLF line ends.
    pub(super) octets: Option<u64>,
    pub(super) seconds: Option<u64>,
}

/// When a message was delivered, as its name tells: seconds, microseconds, and the number of the delivery within its process.
type Arrival = (u64, u64, u64);

#[derive(Debug, Default)]
pub(super) struct Listing {
    names: Vec<u8>,
    entries: Vec<Entry>,
}

impl Listing {
    pub(super) fn read(new: &OwnedFd, cur: &OwnedFd) -> Result<Listing, Errno> {
        let mut attempt = 1;
        loop {
            let before = changed(cur)?;
            let mut listing = Listing::default();
            // In this order a message that is being moved is seen twice rather than never.
            listing.add(new, Place::New)?;
            listing.add(cur, Place::Cur)?;
            if changed(cur)? == before || attempt == ATTEMPTS {
                listing.sort();
                return Ok(listing);
            }
            attempt += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
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
        self.entries
            .binary_search_by(|entry| {
                let other = base_of(&self.names, entry);
                (arrival(other), other).cmp(&(wanted, base))
            })
            .ok()
    }

    /// Takes messages out.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let names = &self.names;
        self.entries.retain(|entry| keep(base_of(names, entry)));
    }

    /// Learns from a later listing what the files are called. Messages that are not in it are gone; new ones are passed
    /// over.
    pub(super) fn update(&mut self, later: Listing) {
        let old_names = std::mem::take(&mut self.names);
        let mut names = Vec::with_capacity(old_names.len());
        for entry in &mut self.entries {
            let found = later.find(base_of(&old_names, entry));
            let (name, place) = match found {
                Some(index) => (later.name(index), later.entries[index].place),
                None => (name_of(&old_names, entry), Place::Gone),
            };
            let at = names.len();
            names.extend_from_slice(name);
            let flags = found.map_or(entry.flags, |index| later.entries[index].flags);
            *entry = Entry { name: at, length: length(name), place, flags, ..*entry };
        }
        self.names = names;
    }

    fn add(&mut self, dir: &OwnedFd, place: Place) -> Result<(), Errno> {
        for entry in Dir::read_from(dir.as_fd())? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let Ok(parts) = NameParts::parse(name) else { continue };
            if entry.file_type() == FileType::Directory {
                continue;
            }
            self.entries.push(Entry {
                name: self.names.len(),
                length: length(name),
                base: length(&name[..parts.info]),
                place,
                flags: parts.flags,
                octets: parts.crlf_size,
                seconds: number(name).map(|(seconds, _)| seconds),
            });
            self.names.extend_from_slice(name);
        }
        Ok(())
    }

    fn sort(&mut self) {
        let names = &self.names;
        // What stands in `cur/` comes before the same in `new/`, from where it was moved.
        let mut sorted: Vec<(Arrival, Entry)> =
            self.entries.iter().map(|entry| (arrival(base_of(names, entry)), *entry)).collect();
        sorted.sort_unstable_by(|(a, one), (b, other)| {
            a.cmp(b).then_with(|| {
                base_of(names, one).cmp(base_of(names, other)).then_with(|| one.place.cmp(&other.place))
            })
        });
        sorted.dedup_by(|(_, later), (_, first)| base_of(names, later) == base_of(names, first));
        self.entries = sorted.into_iter().map(|(_, entry)| entry).collect();
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

/// When the directory was changed last.
fn changed(dir: &OwnedFd) -> Result<(i128, i128), Errno> {
    let stat = rustix::fs::fstat(dir)?;
    Ok((stat.st_mtime.into(), stat.st_mtime_nsec.into()))
}

/// Reads `<seconds>.M<microseconds>P<process>Q<number>.<host>`, in which `M`, `P` and `Q` may stand in any order among other
/// letters, and procmail's `<seconds>.<process>_<number>.<host>`. What does not look like that comes first.
fn arrival(base: &[u8]) -> Arrival {
    let Some((seconds, rest)) = number(base) else { return (0, 0, 0) };
    let Some(rest) = rest.strip_prefix(b".") else { return (seconds, 0, 0) };
    let delivery = &rest[..memchr::memchr2(b'.', b',', rest).unwrap_or(rest.len())];
    let field = |letter: u8| {
        let at = memchr::memchr(letter, delivery)?;
        number(&delivery[at + 1..]).map(|(number, _)| number)
    };
    (seconds, field(b'M').unwrap_or(0), field(b'Q').or_else(|| field(b'_')).unwrap_or(0))
}

/// The decimal number that some octets begin with, and what is behind it.
fn number(octets: &[u8]) -> Option<(u64, &[u8])> {
    let digits = octets.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = octets.split_at(digits);
    let value = digits
        .iter()
        .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    value.filter(|_| !digits.is_empty()).map(|value| (value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_programs_tell_when_a_message_came() {
        let table: [(&str, Arrival); 9] = [
            ("1700000000.M5P7Q1.mx,S=12", (1_700_000_000, 5, 1)),
            ("1700000000.M5P7Q12R0123456789abcdef.mx", (1_700_000_000, 5, 12)),
            ("1700000000.12_3.mx", (1_700_000_000, 0, 3)),
            ("1700000000.V1I2M345.mx", (1_700_000_000, 345, 0)),
            ("1700000000.77.mx", (1_700_000_000, 0, 0)),
            ("1700000000", (1_700_000_000, 0, 0)),
            ("mx.M5", (0, 0, 0)),
            ("99999999999999999999999.M5", (0, 0, 0)),
            ("17.M99999999999999999999999Q5.mx", (17, 0, 5)),
        ];
        for (name, expected) in table {
            assert_eq!(arrival(name.as_bytes()), expected, "{name}");
        }
    }

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
        (dir, move || Listing::read(&new, &cur).unwrap())
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
        listing.update(read());
        assert_eq!(names(&listing), ["1.a:2,S", "2.a", "3.a:2,FRST", "4.a:2,"]);
        let places: Vec<Place> = (0..4).map(|index| listing.entry(index).place).collect();
        assert_eq!(places, [Place::Cur, Place::New, Place::Cur, Place::Gone]);
        assert_eq!(listing.entry(0).flags, Flags::SEEN);
        // What was gone may be back.
        std::fs::write(path("cur/4.a:2,S"), "").unwrap();
        listing.update(read());
        assert_eq!(names(&listing)[3], "4.a:2,S");
    }
}
