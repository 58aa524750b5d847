//! Unique parts of message file names: `<secs>.M<usecs>P<pid>Q<counter>R<random>.<host>`.
//!
//! Two names differ even if the clock steps back (the counter), processes fork (the process id, and random bits drawn
//! anew in each), process ids are shared between containers (the random bits), or hosts share the disk (the host name).
//! All of it is free of system calls but for the clock and the process id. A name with its sizes serves POP3 as a unique
//! identifier, which has at most 70 octets (RFC 1939 §7), so a host name for which that leaves no room is cut and ends with
//! a digest of the whole.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

/// Octets of a name without flags.
pub(crate) const MAX: usize = 70;
/// Octets that `,S=` and `,W=` take for a message of up to 99 MB.
const SIZES: usize = 22;
/// Octets of a digest of the host name, and with how many it does for the whole of it. Names hold random bits besides.
const DIGEST: usize = 6;
const LEAST: usize = 4;
/// Longest host name that is looked at.
const MAX_HOST: usize = 300;

static COUNTER: AtomicU64 = AtomicU64::new(0);
static DRAWN_BY: AtomicU32 = AtomicU32::new(0);
static RANDOM: AtomicU32 = AtomicU32::new(0);
static THIS_HOST: LazyLock<HostPart> = LazyLock::new(|| {
    let name = rustix::system::uname();
    HostPart::new(name.nodename().to_bytes())
});

/// The host name as it stands in file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPart {
    text: Arc<str>,
    digest: [u8; DIGEST],
}

impl HostPart {
    /// Escapes `/` as `\057` and `:` as `\072` as the Maildir convention says, and in the same way everything else that
    /// could be taken for another part of the name.
    pub(crate) fn new(name: &[u8]) -> HostPart {
        let mut part = String::with_capacity(name.len());
        for &byte in name {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => part.push(char::from(byte)),
                _ => part.push_str(&format!("\\{byte:03o}")),
            }
            if part.len() > MAX_HOST - 4 {
                break;
            }
        }
        if part.is_empty() {
            part.push_str("localhost");
        }
        let digest = Sha256::digest(name);
        let digit = |at: usize| b"0123456789abcdefghijklmnopqrstuv"[usize::from(digest[at] & 31)];
        HostPart { text: part.into(), digest: std::array::from_fn(digit) }
    }

    pub(crate) fn this_host() -> HostPart {
        THIS_HOST.clone()
    }

    /// Adds what fits of it to a name that is to have so many octets.
    fn append_to(&self, name: &mut String, most: usize) {
        let room = most.saturating_sub(name.len());
        if self.text.len() <= room {
            return name.push_str(&self.text);
        }
        let digits = if room > DIGEST + LEAST { DIGEST } else { room.clamp(LEAST, DIGEST) };
        if let Some(head) = room.checked_sub(digits + 1) {
            // An escape that is cut in two would be no escape.
            let head = &self.text[..head.min(self.text.find('\\').unwrap_or(head))];
            name.push_str(head);
            name.push('-');
        }
        name.extend(self.digest[..digits].iter().map(|&digit| char::from(digit)));
    }
}

/// The unique part of a message's file name, and the order in which this process made it.
#[derive(Clone, Debug)]
pub(crate) struct Unique {
    pub(crate) text: String,
    pub(crate) sequence: u64,
}

impl Unique {
    pub(crate) fn generate(host: &HostPart) -> Unique {
        // A clock before 1970 is as good as none; the other parts still differ.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let pid = std::process::id();
        let sequence = COUNTER.fetch_add(1, Ordering::Relaxed);
        Unique { text: text(now, pid, sequence, random_of(pid), host), sequence }
    }

    /// The short form, `<secs>.<pid>_<counter>.<host>`, as procmail names messages. Process ids that come again within a
    /// second, or are shared between containers with one host name, make the same name twice: the caller must cope with
    /// one that is taken.
    pub(crate) fn short(host: &HostPart) -> Unique {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let sequence = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mut text = format!("{}.{}_{sequence}.", now.as_secs(), std::process::id());
        host.append_to(&mut text, MAX);
        Unique { text, sequence }
    }

    /// What tells apart the stores that are kept in memory, of all processes: the time in microseconds, the process, a number
    /// within it, and random bits.
    pub(crate) fn of_store() -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let pid = std::process::id();
        let sequence = COUNTER.fetch_add(1, Ordering::Relaxed);
        format!("{:x}.{pid:x}.{sequence:x}.{:08x}.", now.as_micros(), random_of(pid))
    }
}

fn text(now: Duration, pid: u32, sequence: u64, random: u32, host: &HostPart) -> String {
    let mut text = format!("{}.M{}P{pid}Q{sequence}R{random:08x}.", now.as_secs(), now.subsec_micros());
    host.append_to(&mut text, MAX - SIZES);
    text
}

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Random bits drawn once per process. A forked child finds its parent's process id and draws its own.
fn random_of(pid: u32) -> u32 {
    if DRAWN_BY.load(Ordering::Acquire) != pid {
        // Threads that get here together may each draw; every one of the results belongs to this process alone.
        RANDOM.store(draw(), Ordering::Relaxed);
        DRAWN_BY.store(pid, Ordering::Release);
    }
    RANDOM.load(Ordering::Relaxed)
}

fn draw() -> u32 {
    let mut bytes = [0; 4];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK) {
        Ok(4) => u32::from_ne_bytes(bytes),
        // Early at boot there may be no randomness. The rest of the name is unique on one host without it.
        _ => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn host_names_cannot_break_a_file_name() {
        let table = [
            ("mx1.example.org", "mx1.example.org"),
            ("a/b:c", "a\\057b\\072c"),
            ("a,S=1", "a\\054S\\0751"),
            ("ü", "\\303\\274"),
            ("", "localhost"),
        ];
        for (name, part) in table {
            assert_eq!(&*HostPart::new(name.as_bytes()).text, part);
        }
        assert!(HostPart::new(&[b'/'; 500]).text.len() <= MAX_HOST);
    }

    #[test]
    fn names_made_by_many_threads_differ() {
        let host = HostPart::this_host();
        let names: Vec<Vec<String>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..2000).map(|_| Unique::generate(&host).text).collect::<Vec<_>>()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let distinct: HashSet<&String> = names.iter().flatten().collect();
        assert_eq!(distinct.len(), 16_000);
    }

    #[test]
    fn a_forked_process_draws_its_own_random_bits() {
        let parent = random_of(1_000_001);
        assert_eq!(random_of(1_000_001), parent);
        assert_ne!(random_of(1_000_002), parent);
    }

    #[test]
    fn a_name_with_its_sizes_fits_into_a_unique_identifier_whatever_the_host_is_called() {
        let now = Duration::new(1_700_000_000, 999_999_000);
        // (host, process, number, host part)
        let long = "ec2-203-0-113-25.us-gov-east-1.compute.amazonaws.com";
        let table = [
            ("mx", 1, 0, "mx"),
            ("mx.example.org", 1, 0, "mx.example.org"),
            (long, 1, 0, "ec2-203-0-nmmkup"),
            (long, 1234, 5, "ec2-20-nmmkup"),
            (long, 4_194_304, 9_999_999, "nmmk"),
            ("mx.example.org", 4_194_304, 9_999_999, "kkae"),
            ("mx.example.org", 4_194_304, 99_999_999_999, "kkae"),
            ("ü.example.org.and.more", 1, 0, "-lgi2o8"),
        ];
        for (host, pid, sequence, part) in table {
            let name = text(now, pid, sequence, 7, &HostPart::new(host.as_bytes()));
            let (_, found) = name.split_once("R00000007.").unwrap();
            assert_eq!(found, part, "{name}");
            let sequence_digits = sequence.to_string().len().saturating_sub(7);
            assert!(name.len() + SIZES <= MAX + sequence_digits, "{name}");
        }
        // Hosts that begin in the same way are told apart by the end.
        let [one, other] = ["1", "2"].map(|n| HostPart::new(format!("{long}{n}").as_bytes()));
        assert_ne!(text(now, 1, 0, 7, &one), text(now, 1, 0, 7, &other));
        let short = Unique::short(&HostPart::new(&[b'h'; 500])).text;
        assert_eq!(short.len(), MAX, "{short}");
    }

    #[test]
    fn a_name_has_the_parts_of_the_convention_and_leaves_room_for_sizes_and_flags() {
        let name = Unique::generate(&HostPart::new(&[b'h'; 300])).text;
        let (secs, rest) = name.split_once(".M").unwrap();
        assert!(secs.bytes().all(|b| b.is_ascii_digit()));
        let usual = Unique::generate(&HostPart::new(b"mx.example.org")).text + ",S=95000,W=97000";
        assert!(usual.len() <= 70, "{usual}");
        for mark in ['P', 'Q', 'R', '.'] {
            assert!(rest.contains(mark), "{mark} in {name}");
        }
        let longest =
            ",S=18446744073709551615,W=18446744073709551615:2,DFPRSTabcdefghijklmnopqrstuvwxyz".len();
        assert!(name.len() + longest <= 255, "{}", name.len());
    }
}
