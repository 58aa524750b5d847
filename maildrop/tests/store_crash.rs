//! Real processes that remove mail: killed at every step and at any moment, they have removed all that a session was to
//! remove, or nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

mod crash_support;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use crash_support::{FULL, hold, kill_after, kill_at_every_step, number, numbers, process, promised, say};
use maildrop::store::{
    Access, AnyStore, Folder, LocalReader, Mailbox, MessageReader, Store, StoreFormat, Update, ready,
};
use maildrop::{DeliveryOptions, DotLock, FromLine, MhSequences, UserName};

const ROOT: &str = "MAILDROP_TEST_ROOT";
const FORMAT: &str = "MAILDROP_TEST_FORMAT";
const ROUNDS: &str = "MAILDROP_TEST_ROUNDS";
const FORMATS: [StoreFormat; 3] = [StoreFormat::Maildir, StoreFormat::Mbox, StoreFormat::Mh];
/// Messages that are delivered in a round. Then those with an odd number are removed.
const MESSAGES: u64 = 6;

fn alice() -> UserName {
    UserName::parse("alice").unwrap()
}

fn deliver(store: &AnyStore, subject: &str) {
    let line = format!("body of {subject}\n");
    let message = format!("Subject: {subject}\n\n{}", line.repeat(subject.len() * 100));
    match store {
        AnyStore::Maildir(store) => {
            let maildir = store.root().create(&alice()).unwrap();
            let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
            delivery.append(message.as_bytes()).unwrap();
            delivery.stage().unwrap().commit().unwrap();
        }
        AnyStore::Mbox(store) => {
            let line = FromLine::new(b"bob@example.org", UNIX_EPOCH, 0);
            let mbox = store.mbox(&alice(), &Folder::Inbox).unwrap();
            mbox.append(&[line.as_bytes(), message.as_bytes()].concat()).unwrap();
        }
        AnyStore::Mh(store) => {
            let mut delivery = store.folder(&alice(), &Folder::Inbox).unwrap().deliver().unwrap();
            delivery.append(message.as_bytes()).unwrap();
            delivery.commit().unwrap();
        }
        other => panic!("{other:?}"),
    }
}

/// The subjects of all messages, which are whole.
fn subjects(store: &AnyStore, access: Access) -> Vec<String> {
    let mut mailbox = ready(store.open(&alice(), &Folder::Inbox, access)).unwrap();
    let (mut reader, count) = (LocalReader::default(), mailbox.len());
    let subject = |index| {
        ready(mailbox.read(index, &mut reader)).unwrap();
        let mut text = Vec::new();
        while let chunk @ [_, ..] = ready(reader.chunk()).unwrap() {
            text.extend_from_slice(chunk);
            let taken = chunk.len();
            reader.consume(taken);
        }
        let text = String::from_utf8(text).unwrap();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        let subject = header.strip_prefix("Subject: ").unwrap().to_owned();
        assert_eq!(body, format!("body of {subject}\r\n").repeat(subject.len() * 100));
        subject
    };
    (0..count).map(subject).collect()
}

/// Removes what is odd of a round.
fn remove(store: &AnyStore, round: u64) {
    let listed = subjects(store, Access::ReadOnly);
    let odd = |subject: &str| (0..MESSAGES).any(|n| n % 2 == 1 && subject == format!("{round}.{n}"));
    let mut update = Update::new();
    for (index, _) in listed.iter().enumerate().filter(|(_, subject)| odd(subject)) {
        update.remove(index);
    }
    let mailbox = ready(store.open(&alice(), &Folder::Inbox, Access::Exclusive)).unwrap();
    assert_eq!(mailbox.len(), listed.len());
    ready(mailbox.commit(&update)).unwrap();
}

/// Not a test of its own: the process with sessions, when the others start this program again.
#[test]
fn removing_process() {
    let Some(root) = env::var_os(ROOT).map(PathBuf::from) else { return };
    let store = AnyStore::new(env::var(FORMAT).unwrap().parse().unwrap(), root);
    if let Some(hold) = hold() {
        remove(&store.with_faults(hold), 0);
        say("@ok 0");
        return;
    }
    for round in 0..number(ROUNDS) {
        (0..MESSAGES).for_each(|number| deliver(&store, &format!("{round}.{number}")));
        say(&format!("@delivered {round}"));
        remove(&store, round);
        say(&format!("@ok {round}"));
    }
}

fn removing(root: &Path, format: StoreFormat) -> Command {
    let mut command = process("removing_process");
    command.env(ROOT, root).env(FORMAT, format.as_str()).env(ROUNDS, "1000000");
    command
}

/// What is there after a crash: as sessions that may change nothing see it, and those that go on where it stopped.
fn after_crash(root: &Path, format: StoreFormat) -> Vec<String> {
    // The dead process cannot take its lock away; others would wait until it is stale.
    DotLock::force(&DotLock::path_for(&root.join("alice/mbox"))).unwrap();
    let store = AnyStore::new(format, root);
    let read = subjects(&store, Access::ReadOnly);
    assert_eq!(subjects(&store, Access::Exclusive), read, "{format}");
    assert_eq!(subjects(&store, Access::ReadOnly), read, "{format}");
    read
}

fn numbered(round: u64, wanted: impl Fn(u64) -> bool) -> Vec<String> {
    (0..MESSAGES).filter(|&number| wanted(number)).map(|number| format!("{round}.{number}")).collect()
}

#[test]
fn a_process_killed_before_any_step_of_an_update_has_done_all_of_it_or_nothing() {
    for format in FORMATS {
        let set_up = || {
            let dir = tempfile::tempdir().unwrap();
            let store = AnyStore::new(format, dir.path());
            (0..MESSAGES).for_each(|number| deliver(&store, &format!("0.{number}")));
            if format == StoreFormat::Mh {
                std::fs::write(sequences(dir.path()), "unseen: 1-6\n").unwrap();
            }
            let command = removing(dir.path(), format);
            (dir, command)
        };
        let steps = kill_at_every_step(set_up, |dir, crash| {
            let case = format!("{format}, killed before step {}: {:?}", crash.at, crash.said);
            // Mail goes on coming, to the number of a message that is gone too.
            deliver(&store_without_lock(dir.path(), format), "new");
            let mut left = after_crash(dir.path(), format);
            assert_eq!(left.pop().as_deref(), Some("new"), "{case}");
            let removed = left == numbered(0, |number| number % 2 == 0);
            assert!(removed || left == numbered(0, |_| true), "{case}: {left:?}");
            // Once it is done, it is done: with the name of the journal, or of the mbox without them. Nothing is said of how many
            // steps come before, for what was written just then is read again.
            let (_, steps_done) = crash.said.split_last().unwrap();
            assert_eq!(removed, steps_done.iter().any(|step| step == "@step Rename"), "{case}");
            if format == StoreFormat::Mh {
                let unseen = MhSequences::parse(&std::fs::read_to_string(sequences(dir.path())).unwrap());
                // The last number is given to the next message.
                for number in 1..MESSAGES {
                    assert_eq!(
                        unseen.contains("unseen", number),
                        !removed || number % 2 == 1,
                        "{case}: {unseen}"
                    );
                }
            }
        });
        assert!(steps >= 8, "{format}: {steps}");
    }
}

fn sequences(root: &Path) -> PathBuf {
    root.join("alice/Mail/inbox").join(MhSequences::FILE)
}

/// On a full disk messages of a Maildir are removed by themselves until there is room for a journal: one, then two more.
#[test]
fn a_process_killed_on_a_full_disk_has_removed_whole_messages_one_by_one_or_the_rest_as_one() {
    for full in [1, 2] {
        let mut outcomes = Vec::new();
        let set_up = || {
            let dir = tempfile::tempdir().unwrap();
            let store = AnyStore::new(StoreFormat::Maildir, dir.path());
            (0..MESSAGES).for_each(|number| deliver(&store, &format!("0.{number}")));
            let mut command = removing(dir.path(), StoreFormat::Maildir);
            command.env(FULL, full.to_string());
            (dir, command)
        };
        kill_at_every_step(set_up, |dir, crash| {
            let left = after_crash(dir.path(), StoreFormat::Maildir);
            // In order: what is odd goes.
            let removed =
                (0..=MESSAGES / 2).find(|&removed| left == numbered(0, |n| n % 2 == 0 || n > 2 * removed));
            let removed = removed.unwrap_or_else(|| {
                panic!("full {full}, before step {}: {left:?} {:?}", crash.at, crash.said)
            });
            outcomes.push(removed);
        });
        outcomes.sort_unstable();
        outcomes.dedup();
        // The first by itself, then the two that are left: as one if there is room for their names by then.
        let expected: &[u64] = if full == 1 { &[0, 1, 3] } else { &[0, 1, 2, 3] };
        assert_eq!(outcomes, expected, "full {full}");
    }
}

fn store_without_lock(root: &Path, format: StoreFormat) -> AnyStore {
    DotLock::force(&DotLock::path_for(&root.join("alice/mbox"))).unwrap();
    AnyStore::new(format, root)
}

#[test]
fn a_process_killed_at_any_moment_has_done_whole_updates_only() {
    for (run, number) in numbers().take(36).enumerate() {
        let format = FORMATS[run % 3];
        let dir = tempfile::tempdir().unwrap();
        let said = kill_after(1 + number % 9, removing(dir.path(), format));
        let left = after_crash(dir.path(), format);
        let promised = promised(&said).map(|round| round.parse::<u64>().unwrap()).max();
        let last = promised.map_or(0, |round| round + 1);
        let mut expected: Vec<String> = (0..last).flat_map(|round| numbered(round, |n| n % 2 == 0)).collect();
        let rest =
            left.strip_prefix(&*expected).unwrap_or_else(|| panic!("run {run} {format}: {left:?} {said:?}"));
        // Of the rounds behind it, all are done but the last, or are on their way.
        let rest = rest.to_vec();
        expected.clear();
        let mut possible = Vec::new();
        for round in last..last + 3 {
            for count in 0..=MESSAGES {
                possible.push([expected.clone(), numbered(round, |n| n < count)].concat());
            }
            expected.extend(numbered(round, |n| n % 2 == 0));
            possible.push(expected.clone());
        }
        assert!(possible.contains(&rest), "run {run} {format}: {rest:?} {said:?}");
    }
}
