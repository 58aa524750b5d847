use super::super::Naming;
use super::super::removal::REMOVING;
use super::super::sequences_file::SEQUENCES_TMP;
use super::*;
use crate::fault::{Fault, FaultPlan};
use crate::kernel_lock;
use crate::store::{MessageReader, ready};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

/// A folder with messages 1 to `count`.
fn folder(count: u64) -> (tempfile::TempDir, MessageDir) {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..=count {
        std::fs::write(dir.path().join(number.to_string()), format!("Subject: {number}\n\nbody\n")).unwrap();
    }
    let folder = MessageDir::open(dir.path(), Naming::Number).unwrap();
    (dir, folder)
}

fn text(mailbox: &mut MhMailbox, index: usize) -> Result<String, Error> {
    let mut reader = LocalReader::default();
    ready(mailbox.read(index, &mut reader))?;
    let mut text = Vec::new();
    while let chunk @ [_, ..] = ready(reader.chunk())? {
        text.extend_from_slice(chunk);
        let taken = chunk.len();
        reader.consume(taken);
    }
    Ok(String::from_utf8(text).unwrap())
}

fn removing(indexes: impl IntoIterator<Item = usize>) -> Update {
    let mut update = Update::new();
    indexes.into_iter().for_each(|index| {
        update.remove(index);
    });
    update
}

#[test]
fn removal_leaves_the_sequences_that_rmm_leaves() {
    // (sequences, what goes, what nmh 1.8 has left after `rmm`)
    let table: [(&str, &[usize], &str); 7] = [
        ("cur: 3\nunseen: 1-6\nmine: 2 4\n", &[3], "cur: 3\nunseen: 1-2 4-6\nmine: 2 4\n"),
        ("cur: 3\nunseen: 2\nmine: 2\n", &[2], "cur: 3\n"),
        ("unseen: 1-6\nmine: 2 4-6\n", &[4, 6], "unseen: 1-3 5\nmine: 2 5\n"),
        ("cur: 3\nunseen: 1-6\nmine: 2 4\n", &[1], "cur: 3\nunseen: 2-6\nmine: 2 4\n"),
        ("cur: 3\nunseen: 1-6\n", &[1, 2, 3, 4, 5, 6], "cur: 3\n"),
        ("unseen: 1\n", &[1], ""),
        ("unseen: 2\n", &[1], "unseen: 2\n"),
    ];
    for (before, removed, after) in table {
        let (dir, folder) = folder(6);
        let path = dir.path().join(MhSequences::FILE);
        std::fs::write(&path, before).unwrap();
        let mailbox = folder.mailbox(Access::Exclusive).unwrap();
        ready(mailbox.commit(&removing(removed.iter().map(|number| number - 1)))).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), after, "{before:?} {removed:?}");
    }
}

#[test]
fn sequences_keep_their_mode_and_nothing_is_written_through_what_was_planted() {
    type Plant = fn(&Path, &Path) -> std::io::Result<()>;
    let plants: [Plant; 4] = [
        |victim, place| std::fs::hard_link(victim, place),
        |victim, place| symlink(victim, place),
        |_, place| std::fs::write(place, "stale"),
        |_, _| Ok(()),
    ];
    for (case, plant) in plants.into_iter().enumerate() {
        let (dir, folder) = folder(3);
        let victim = dir.path().join("victim");
        let path = dir.path().join(MhSequences::FILE);
        std::fs::write(&victim, "precious").unwrap();
        std::fs::write(&path, "unseen: 1-3\n").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).unwrap();
        plant(&victim, &dir.path().join(SEQUENCES_TMP)).unwrap();
        ready(folder.mailbox(Access::Exclusive).unwrap().commit(&removing([1]))).unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious", "{case}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "unseen: 1 3\n", "{case}");
        let stat = path.metadata().unwrap();
        assert_eq!((stat.mode() & 0o7777, stat.nlink()), (0o664, 1), "{case}");
        assert!(!dir.path().join(SEQUENCES_TMP).exists(), "{case}");
    }
}

#[test]
fn sequences_that_another_replaces_while_they_are_locked_are_read_again() {
    let (dir, folder) = folder(3);
    let path = dir.path().join(MhSequences::FILE);
    std::fs::write(&path, "unseen: 1-3\n").unwrap();
    let mailbox = folder.mailbox(Access::Exclusive).unwrap();
    let other = File::options().write(true).open(&path).unwrap();
    assert!(kernel_lock::lock(&other, Duration::ZERO).unwrap());
    std::thread::scope(|scope| {
        let done = scope.spawn(|| ready(mailbox.commit(&removing([1]))));
        // The message goes first; then it waits for the lock.
        while dir.path().join("2").exists() {
            std::thread::yield_now();
        }
        std::fs::write(dir.path().join("new"), "unseen: 1-3\nmine: 2-3\n").unwrap();
        std::fs::rename(dir.path().join("new"), &path).unwrap();
        drop(other);
        done.join().unwrap().unwrap();
    });
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "unseen: 1 3\nmine: 3\n");
}

#[test]
fn many_messages_leave_long_sequences_in_no_time() {
    const NUMBERS: u64 = 400_000;
    let mut content = "unseen:".to_owned();
    (1..NUMBERS).step_by(2).for_each(|number| write!(content, " {number}").unwrap());
    let mut sequences = MhSequences::parse(&content);
    // One by one this takes minutes.
    sequences.remove_all((1..NUMBERS - 1).step_by(2));
    assert_eq!(sequences.to_string(), format!("unseen: {}\n", NUMBERS - 1));
}

#[test]
fn a_commit_fails_if_a_message_stays_or_may_come_back_and_for_nothing_else() {
    use Operation::{CreateFile, Remove, SyncDirectory, SyncFile, Write};
    // (step, which one, whether it fails, messages that are left)
    let table: [(Operation, u64, bool, &[&str]); 8] = [
        // The journal.
        (CreateFile, 1, true, &["1", "2", "3"]),
        (Write, 1, true, &["1", "2", "3"]),
        (SyncFile, 1, true, &["1", "2", "3"]),
        (SyncDirectory, 1, true, &["1", "2", "3"]),
        (Remove, 1, true, &["1", "3"]),
        (Remove, 2, true, &["2", "3"]),
        // The sequences.
        (Write, 2, false, &["3"]),
        // What was removed may come back when power fails.
        (SyncDirectory, 2, true, &["3"]),
    ];
    for (step, nth, fails, left) in table {
        let (dir, folder) = folder(3);
        std::fs::write(dir.path().join(MhSequences::FILE), "unseen: 1-3\n").unwrap();
        let faulty = folder.clone().with_faults(Arc::new(FaultPlan::new().nth(step, nth, Fault::io_error())));
        let done = ready(faulty.mailbox(Access::Exclusive).unwrap().commit(&removing([0, 1])));
        assert_eq!(done.is_err(), fails, "{step:?} {nth}: {done:?}");
        let mut names: Vec<String> = folder.list().unwrap().iter().map(|e| e.number.to_string()).collect();
        names.sort();
        assert_eq!(names, left, "{step:?} {nth}");
        // And what is left stays: nothing goes on with it.
        assert_eq!(folder.mailbox(Access::Exclusive).unwrap().len(), left.len(), "{step:?} {nth}");
    }
}

#[test]
fn flags_that_cannot_be_written_are_an_error() {
    let (dir, folder) = folder(2);
    std::fs::write(dir.path().join(MhSequences::FILE), "unseen: 1-2\n").unwrap();
    let faulty = folder.with_faults(Arc::new(FaultPlan::new().always(Operation::Write, Fault::no_space())));
    let mut update = Update::new();
    update.seen(0);
    let error = ready(faulty.mailbox(Access::Exclusive).unwrap().commit(&update)).unwrap_err();
    assert!(error.is_only_marks() && error.is_storage_full(), "{error}");
    assert_eq!(std::fs::read_to_string(dir.path().join(MhSequences::FILE)).unwrap(), "unseen: 1-2\n");
    update.remove(1);
    let error = ready(faulty.mailbox(Access::Exclusive).unwrap().commit(&update)).unwrap_err();
    assert!(error.is_only_marks(), "{error}");
    assert!(!dir.path().join("2").exists());
}

#[test]
fn a_message_whose_file_changes_is_another_message() {
    type Change = fn(&Path) -> std::io::Result<()>;
    let changes: [(&str, Change); 4] = [
        ("replaced", |path| {
            std::fs::write(path.with_extension("new"), "Subject: other\n\n")?;
            std::fs::rename(path.with_extension("new"), path)
        }),
        ("removed and given again", |path| {
            std::fs::remove_file(path)?;
            std::fs::write(path, "Subject: other\n\n")
        }),
        // procmail makes the name first.
        ("still being written", |path| File::options().append(true).open(path)?.write_all(b"rest\n")),
        ("a directory", |path| {
            std::fs::remove_file(path)?;
            std::fs::create_dir(path)
        }),
    ];
    for (case, change) in changes {
        let (dir, folder) = folder(3);
        let mut mailbox = folder.mailbox(Access::Exclusive).unwrap();
        // Clocks of file systems tick slowly.
        let old = std::time::SystemTime::now() - Duration::from_secs(1);
        File::open(dir.path().join("2")).unwrap().set_modified(old).unwrap();
        mailbox.entries[1].written = written_of(&rustix::fs::stat(dir.path().join("2")).unwrap());
        change(&dir.path().join("2")).unwrap();
        assert!(matches!(text(&mut mailbox, 1), Err(Error::Vanished { .. })), "{case}");
        assert_eq!(text(&mut mailbox, 2).unwrap(), "Subject: 3\r\n\r\nbody\r\n", "{case}");
        ready(mailbox.commit(&removing([0, 1, 2]))).unwrap();
        assert!(dir.path().join("2").exists(), "{case}");
        assert!(!dir.path().join("1").exists() && !dir.path().join("3").exists(), "{case}");
    }
}

#[test]
fn a_message_without_line_end_has_the_octets_that_are_lent() {
    for content in ["", "\n", "Subject: x\n\nno end", "Subject: x\r\n\r\nno end\r"] {
        let (dir, folder) = folder(0);
        std::fs::write(dir.path().join("5"), content).unwrap();
        let mut mailbox = folder.mailbox(Access::ReadOnly).unwrap();
        let lent = text(&mut mailbox, 0).unwrap();
        assert_eq!(ready(mailbox.octets(0)).unwrap(), lent.len() as u64, "{content:?}");
        assert_eq!(lent.trim_end(), content.trim_end().replace("\r\n", "\n").replace('\n', "\r\n"));
    }
}

#[test]
fn sequences_that_are_no_regular_file_are_none_and_stay_as_they_are() {
    type Plant = fn(&Path) -> std::io::Result<()>;
    let plants: [(&str, Plant); 4] = [
        ("a loop", |path| symlink(path, path)),
        ("a link", |path| symlink("1", path)),
        ("a directory", |path| std::fs::create_dir(path)),
        ("a socket", |path| std::os::unix::net::UnixListener::bind(path).map(drop)),
    ];
    for (case, plant) in plants {
        let (dir, folder) = folder(3);
        let path = dir.path().join(MhSequences::FILE);
        plant(&path).unwrap();
        let before = path.symlink_metadata().unwrap();
        let mailbox = folder.mailbox(Access::Exclusive).unwrap();
        assert_eq!(mailbox.len(), 3, "{case}");
        let mut update = removing([1, 2]);
        update.seen(0);
        ready(mailbox.commit(&update)).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(path.symlink_metadata().unwrap().ino(), before.ino(), "{case}");
        assert_eq!(folder.mailbox(Access::Exclusive).unwrap().len(), 1, "{case}");
    }
}

#[test]
fn more_sequences_than_anybody_has_stay_as_they_are() {
    for (count, is_changed) in [(256, true), (257, false)] {
        let (dir, folder) = folder(3);
        let path = dir.path().join(MhSequences::FILE);
        let lines = |list: &str| (0..count).map(|n| format!("s{n}: {list}\n")).collect::<String>();
        std::fs::write(&path, lines("1-3")).unwrap();
        ready(folder.mailbox(Access::Exclusive).unwrap().commit(&removing([1]))).unwrap();
        let expected = lines(if is_changed { "1 3" } else { "1-3" });
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "{count}");
        assert_eq!(folder.mailbox(Access::Exclusive).unwrap().len(), 2);
    }
}

#[test]
fn a_sequence_on_many_lines_is_looked_up_once() {
    let (dir, folder) = folder(2_000);
    let mut content = "a:1\n".repeat(200_000);
    content.push_str("unseen: 1500-1600\nunseen: 1-3 7\nflagged: 3\n");
    std::fs::write(dir.path().join(MhSequences::FILE), &content).unwrap();
    let mailbox = folder.mailbox(Access::Exclusive).unwrap();
    let flags = |number: usize| mailbox.message(number - 1).flags;
    assert_eq!([flags(1), flags(3), flags(4)], [Flags::EMPTY, Flags::FLAGGED, Flags::SEEN]);
    assert_eq!([flags(7), flags(1500), flags(1601)], [Flags::EMPTY, Flags::EMPTY, Flags::SEEN]);
}

#[test]
fn on_a_full_disk_messages_go_without_a_journal() {
    let (dir, folder) = folder(9);
    let faults = FaultPlan::new().always(Operation::Write, Fault::no_space());
    let faulty = folder.clone().with_faults(Arc::new(faults));
    ready(faulty.mailbox(Access::Exclusive).unwrap().commit(&removing(0..8))).unwrap();
    assert_eq!(folder.mailbox(Access::Exclusive).unwrap().len(), 1);
    assert!(dir.path().join("9").exists() && !dir.path().join(REMOVING).exists());
}

#[test]
fn a_removal_that_may_be_undone_by_a_power_failure_keeps_its_journal() {
    let (dir, folder) = folder(3);
    let faults = FaultPlan::new().nth(Operation::SyncDirectory, 2, Fault::io_error());
    let faulty = folder.clone().with_faults(Arc::new(faults));
    assert!(ready(faulty.mailbox(Access::Exclusive).unwrap().commit(&removing([0, 1]))).is_err());
    assert!(dir.path().join(REMOVING).exists());
    assert_eq!(folder.mailbox(Access::Exclusive).unwrap().len(), 1);
    assert!(!dir.path().join(REMOVING).exists());
}

#[test]
fn whatever_numbers_there_are_what_is_delivered_is_listed_and_so_is_what_was_there() {
    // (number of a message that is there, number of the next)
    let table = [
        (3, 4),
        (2_147_483_645, 2_147_483_646),
        (2_147_483_646, 2_147_483_647),
        (2_147_483_647, 1),
        (u64::MAX, 1),
    ];
    for (there, next) in table {
        let (dir, folder) = folder(0);
        std::fs::write(dir.path().join(there.to_string()), "there\n").unwrap();
        for _ in 0..2 {
            let mut delivery = folder.deliver().unwrap();
            delivery.append(b"delivered\n").unwrap();
            delivery.commit().unwrap();
        }
        assert!(dir.path().join(next.to_string()).exists(), "{there}");
        let listed: Vec<u64> = folder.list().unwrap().iter().map(|entry| entry.number).collect();
        assert_eq!(listed.len(), 3, "{there}: {listed:?}");
    }
}

/// Gives the messages of a folder the numbers from 1 on, as `folder -pack` does.
fn pack(folder: &MessageDir) {
    for (number, entry) in (1_u64..).zip(folder.list().unwrap()) {
        let path = |number: u64| folder.path().join(number.to_string());
        std::fs::rename(path(entry.number), path(number)).unwrap();
    }
}

fn subjects(mailbox: &mut MhMailbox) -> String {
    let count = mailbox.len();
    let mut subject = |index| {
        let text = text(mailbox, index).unwrap();
        text.lines().next().unwrap()["Subject: ".len()..].to_owned()
    };
    (0..count).map(&mut subject).collect::<Vec<String>>().join(" ")
}

#[test]
fn a_removal_goes_on_with_the_same_messages_when_they_have_other_numbers() {
    let doomed = [1, 3, 5];
    for removed in 0..=doomed.len() {
        let (dir, folder) = folder(7);
        let mut dead = folder.mailbox(Access::Exclusive).unwrap();
        dead.announce(&doomed).unwrap();
        drop(dead);
        for number in &doomed[..removed] {
            std::fs::remove_file(dir.path().join((number + 1).to_string())).unwrap();
        }
        pack(&folder);
        for access in [Access::ReadOnly, Access::Exclusive, Access::ReadOnly] {
            let mut mailbox = folder.mailbox(access).unwrap();
            assert_eq!(subjects(&mut mailbox), "1 3 5 7", "{removed} {access:?}");
        }
        assert_eq!(folder.list().unwrap().len(), 4, "{removed}");
        assert!(!dir.path().join(REMOVING).exists(), "{removed}");
    }
}

#[test]
fn of_the_links_to_a_file_those_go_that_are_named_and_no_more() {
    // (what goes of the links 2 and 4, what was removed before the process died, whether it is packed, what is left)
    let table: [(&[usize], &[u64], bool, &str); 8] = [
        (&[0, 1], &[], false, "2 3"),
        (&[0, 1], &[1, 2], false, "2 3"),
        (&[0, 3], &[1, 4], true, "2 3"),
        (&[0, 1], &[2], true, "2 3"),
        // Nobody can tell whether it went already.
        (&[0, 3], &[1], true, "2 2 3"),
        (&[1, 3], &[2], false, "1 3"),
        (&[1, 3], &[2], true, "1 3"),
        (&[1, 3], &[], true, "1 3"),
    ];
    for (case, (doomed, removed, packed, left)) in table.into_iter().enumerate() {
        let (dir, folder) = folder(3);
        std::fs::hard_link(dir.path().join("2"), dir.path().join("4")).unwrap();
        let mut dead = folder.mailbox(Access::Exclusive).unwrap();
        dead.announce(doomed).unwrap();
        drop(dead);
        for number in removed {
            std::fs::remove_file(dir.path().join(number.to_string())).unwrap();
        }
        if packed {
            pack(&folder);
        }
        drop(folder.mailbox(Access::Exclusive).unwrap());
        let mut mailbox = folder.mailbox(Access::ReadOnly).unwrap();
        let mut subjects: Vec<String> = subjects(&mut mailbox).split(' ').map(str::to_owned).collect();
        subjects.sort();
        assert_eq!(subjects.join(" "), left, "{case}");
    }
}

#[test]
fn a_link_that_another_removes_does_not_take_the_other_along() {
    let (dir, folder) = folder(2);
    std::fs::hard_link(dir.path().join("2"), dir.path().join("3")).unwrap();
    let mailbox = folder.mailbox(Access::Exclusive).unwrap();
    std::fs::remove_file(dir.path().join("2")).unwrap();
    ready(mailbox.commit(&removing([1]))).unwrap();
    let mut mailbox = folder.mailbox(Access::Exclusive).unwrap();
    assert_eq!(subjects(&mut mailbox), "1 2");
    std::fs::hard_link(dir.path().join("3"), dir.path().join("5")).unwrap();
    let mut mailbox = folder.mailbox(Access::ReadOnly).unwrap();
    pack(&folder);
    assert_eq!(subjects(&mut mailbox), "1 2 2");
    let numbers: BTreeSet<u64> = mailbox.entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers.len(), 3, "each has its own");
}
