//! Deliveries on a healthy disk: what lies where, under which name, with which content.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

use std::collections::HashSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use maildrop::{
    Delivered, DeliveryOptions, Error, FolderName, LineEndings, Maildir, MessageName, Staged, SyncStrategy,
    commit_all, commit_all_with,
};
use proptest::prelude::*;

fn entries(maildir: &Maildir, inner: &str) -> Vec<String> {
    let dir = std::fs::read_dir(maildir.path().join(inner)).unwrap();
    dir.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn fresh() -> (tempfile::TempDir, Maildir) {
    let dir = tempfile::tempdir().unwrap();
    let maildir = Maildir::create(dir.path().join("Maildir")).unwrap();
    (dir, maildir)
}

fn stage(maildir: &Maildir, message: &[u8]) -> Staged {
    let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
    delivery.append(message).unwrap();
    delivery.stage().unwrap()
}

fn content(delivered: &Delivered) -> Vec<u8> {
    std::fs::read(delivered.path()).unwrap()
}

#[test]
fn a_message_is_in_tmp_until_it_is_committed_and_in_new_after() {
    let (_dir, maildir) = fresh();
    let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
    delivery.write_all(b"Subject: x\r\n\r\nbody\r\n").unwrap();
    let staged = delivery.stage().unwrap();
    assert_eq!((entries(&maildir, "tmp").len(), entries(&maildir, "new").len()), (1, 0));
    assert_eq!((staged.size(), staged.crlf_size()), (17, 20));

    let delivered = staged.commit().unwrap();
    assert_eq!(entries(&maildir, "tmp"), [""; 0]);
    let name = entries(&maildir, "new").pop().unwrap();
    assert_eq!(name, delivered.name().to_string());
    assert!(name.ends_with(",S=17,W=20"), "{name}");
    assert_eq!(content(&delivered), b"Subject: x\n\nbody\n");
    assert_eq!(delivered.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(delivered.name(), &MessageName::parse(name.as_bytes()).unwrap());
}

#[test]
fn what_is_dropped_leaves_nothing_behind() {
    let (_dir, maildir) = fresh();
    let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
    delivery.append(&[b'x'; 100_000]).unwrap();
    assert_eq!(entries(&maildir, "tmp").len(), 1);
    drop(delivery);
    drop(stage(&maildir, b"x"));
    drop(commit_all(Vec::new()));
    assert_eq!((entries(&maildir, "tmp").len(), entries(&maildir, "new").len()), (0, 0));
}

#[test]
fn an_empty_message_is_a_message() {
    let (_dir, maildir) = fresh();
    let delivered = stage(&maildir, b"").commit().unwrap();
    assert!(delivered.name().to_string().ends_with(",S=0,W=0"));
    assert_eq!(content(&delivered), b"");
}

#[test]
fn a_prefix_stands_before_the_message_as_whole_lines() {
    // (line endings, prefix, message, file, crlf size)
    type Row = (LineEndings, &'static [u8], &'static [u8], &'static [u8], u64);
    let table: [Row; 6] = [
        (LineEndings::ToLf, b"", b"a\r\n", b"a\n", 3),
        (LineEndings::ToLf, b"P: 1\r\n", b"a\r\n", b"P: 1\na\n", 9),
        (LineEndings::ToLf, b"P: 1\n", b"a\r\n", b"P: 1\na\n", 9),
        (LineEndings::ToLf, b"P: 1", b"a\r\n", b"P: 1\na\n", 9),
        (LineEndings::Keep, b"P: 1\r\n", b"a\n", b"P: 1\r\na\n", 9),
        (LineEndings::Keep, b"P: 1", b"a", b"P: 1\r\na", 7),
    ];
    for (line_endings, prefix, message, file, crlf_size) in table {
        let (_dir, maildir) = fresh();
        let options = DeliveryOptions::new().line_endings(line_endings).prefix(prefix);
        let mut delivery = maildir.deliver(&options).unwrap();
        delivery.append(message).unwrap();
        let delivered = delivery.stage().unwrap().commit().unwrap();
        assert_eq!(content(&delivered), file);
        assert_eq!((delivered.size(), delivered.crlf_size()), (file.len() as u64, crlf_size));
    }
}

#[test]
fn a_folder_is_delivered_to_like_the_inbox() {
    let (_dir, maildir) = fresh();
    let folder = maildir.create_folder(&FolderName::parse("Lists/rust").unwrap()).unwrap();
    let delivered = stage(&folder, b"x").commit().unwrap();
    assert!(delivered.path().starts_with(maildir.path().join(".Lists.rust/new")));
}

#[test]
fn copies_share_the_body_and_have_their_own_prefix() {
    let small = b"Subject: s\r\n\r\nshort\r\n".to_vec();
    let large = [b"Subject: l\r\n\r\n".as_slice(), &b"line of a long message\r\n".repeat(5000)].concat();
    for line_endings in [LineEndings::ToLf, LineEndings::Keep] {
        for message in [b"".as_slice(), &small, &large] {
            let (_dir_a, alice) = fresh();
            let (_dir_b, bob) = fresh();
            let options =
                DeliveryOptions::new().line_endings(line_endings).prefix(b"Delivered-To: alice\r\n");
            let mut delivery = alice.deliver(&options).unwrap();
            delivery.append(message).unwrap();
            let first = delivery.stage().unwrap();
            let second = first.duplicate(&bob, b"Delivered-To: bob@example.org\r\nX: y\r\n").unwrap();
            let third = second.duplicate(&alice, b"no line end").unwrap();
            let results = commit_all(vec![first, second, third]);
            let prefixes =
                ["Delivered-To: alice\r\n", "Delivered-To: bob@example.org\r\nX: y\r\n", "no line end\r\n"];
            for ((result, prefix), maildir) in results.into_iter().zip(prefixes).zip([&alice, &bob, &alice]) {
                let delivered = result.unwrap();
                let wire = [prefix.as_bytes(), message].concat();
                let stored = match line_endings {
                    LineEndings::ToLf => {
                        String::from_utf8(wire.clone()).unwrap().replace("\r\n", "\n").into_bytes()
                    }
                    _ => wire.clone(),
                };
                assert_eq!(content(&delivered), stored);
                assert_eq!(
                    (delivered.size(), delivered.crlf_size()),
                    (stored.len() as u64, wire.len() as u64)
                );
                assert!(delivered.path().starts_with(maildir.path()));
            }
            assert_eq!((entries(&alice, "new").len(), entries(&bob, "new").len()), (2, 1));
            assert_eq!(entries(&alice, "tmp").len() + entries(&bob, "tmp").len(), 0);
        }
    }
}

#[test]
fn a_batch_for_many_maildirs_is_delivered_in_order() {
    for strategy in [SyncStrategy::Auto, SyncStrategy::EachFile] {
        for count in [1, 2, 3, 20] {
            let maildirs: Vec<_> = (0..5).map(|_| fresh()).collect();
            let batch = (0..count).map(|n| stage(&maildirs[n % 5].1, n.to_string().as_bytes())).collect();
            let results = commit_all_with(batch, strategy);
            assert_eq!(results.len(), count);
            for (n, result) in results.into_iter().enumerate() {
                let delivered = result.unwrap();
                assert_eq!(content(&delivered), n.to_string().as_bytes());
                assert_eq!(delivered.maildir().path(), maildirs[n % 5].1.path());
            }
        }
    }
}

#[test]
fn threads_deliver_side_by_side() {
    let (_dir, shared) = fresh();
    let (_dir_own, root) = fresh();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (shared, root) = (&shared, &root);
            scope.spawn(move || {
                let own = root.create_folder(&FolderName::new([format!("t{thread}")]).unwrap()).unwrap();
                for number in 0..10 {
                    let message = format!("{thread} {number}");
                    let batch = [shared, &own, shared].map(|to| stage(to, message.as_bytes()));
                    assert!(commit_all(batch.into()).iter().all(Result::is_ok));
                }
            });
        }
    });
    let names: HashSet<String> = entries(&shared, "new").into_iter().collect();
    assert_eq!(names.len(), 80);
    assert_eq!(entries(&shared, "tmp").len(), 0);
    for folder in root.folders().unwrap() {
        assert_eq!(entries(&root.folder(&folder).unwrap(), "new").len(), 10);
    }
}

#[test]
fn a_quota_refuses_what_does_not_fit_and_counts_what_does() {
    let (_dir, maildir) = fresh();
    maildir.set_quota(Some("100S,3C".parse().unwrap())).unwrap();
    stage(&maildir, &[b'x'; 60]).commit().unwrap();

    let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
    delivery.append(&[b'x'; 41]).unwrap();
    let error = delivery.stage().unwrap_err();
    assert!(matches!(error, Error::OverQuota { size: 41, usage, .. } if usage.bytes == 60), "{error}");
    assert!(error.is_over_quota() && error.is_storage_full() && error.is_transient());
    assert_eq!((entries(&maildir, "new").len(), entries(&maildir, "tmp").len()), (1, 0));

    // The folder counts with the Maildir it lies in, its Trash does not.
    let sent = maildir.create_folder(&FolderName::parse("Sent").unwrap()).unwrap();
    stage(&sent, &[b'x'; 40]).commit().unwrap();
    assert!(maildir.would_exceed(1).unwrap() && sent.would_exceed(1).unwrap());
    let trash = maildir.create_folder(&FolderName::parse("Trash").unwrap()).unwrap();
    assert!(!trash.would_exceed(1_000_000).unwrap());
    stage(&trash, &[b'x'; 1000]).commit().unwrap();
    let usage = maildir.quota().unwrap().unwrap().usage;
    assert_eq!((usage.bytes, usage.messages), (100, 2));
}

#[test]
fn a_batch_cannot_pass_the_quota_together() {
    let (_dir, maildir) = fresh();
    let (_other_dir, other) = fresh();
    maildir.set_quota(Some("100S".parse().unwrap())).unwrap();
    let sizes = [60, 60, 30, 20, 10];
    let mut batch: Vec<Staged> = sizes.iter().map(|&size| stage(&maildir, &vec![b'x'; size])).collect();
    batch.push(stage(&other, &[b'x'; 500]));
    let results = commit_all(batch);
    let verdicts: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(verdicts, [true, false, true, false, true, true]);
    assert!(matches!(results[1], Err(Error::OverQuota { size: 60, usage, .. }) if usage.bytes == 60));
    assert_eq!(entries(&maildir, "new").len(), 3);
    let written = std::fs::read_to_string(maildir.path().join("maildirsize")).unwrap();
    assert_eq!(written, "100S\n0 0\n100 3\n");
}

#[test]
fn a_copy_is_held_to_the_quota_of_its_own_maildir() {
    let (_dir_a, alice) = fresh();
    let (_dir_b, bob) = fresh();
    bob.set_quota(Some("10S".parse().unwrap())).unwrap();
    let staged = stage(&alice, &[b'x'; 20]);
    assert!(staged.duplicate(&bob, b"").unwrap_err().is_over_quota());
    assert_eq!(entries(&bob, "tmp").len(), 0);
    staged.commit().unwrap();
}

#[test]
fn threads_that_deliver_under_a_quota_are_all_counted() {
    let (_dir, maildir) = fresh();
    maildir.set_quota(Some("1000000S,1000C".parse().unwrap())).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    stage(&maildir, b"12345").commit().unwrap();
                }
            });
        }
    });
    let usage = maildir.quota().unwrap().unwrap().usage;
    assert_eq!((usage.bytes, usage.messages), (200, 40));
}

#[test]
fn a_maildir_that_was_removed_is_told_from_a_failing_disk() {
    let (dir, maildir) = fresh();
    let staged = stage(&maildir, b"x");
    std::fs::remove_dir_all(dir.path().join("Maildir")).unwrap();
    assert!(maildir.deliver(&DeliveryOptions::new()).unwrap_err().is_not_found());
    assert!(staged.commit().unwrap_err().is_not_found());
    // One made in its place takes mail when it is opened.
    let maildir = Maildir::create(dir.path().join("Maildir")).unwrap();
    stage(&maildir, b"x").commit().unwrap();
}

#[test]
fn a_host_name_of_choice_stands_in_the_file_name() {
    let (_dir, maildir) = fresh();
    let maildir = maildir.with_host_name("m/:a");
    let delivered = stage(&maildir, b"x").commit().unwrap();
    assert!(delivered.name().unique().ends_with(b".m\\057\\072a"), "{}", delivered.name());
    assert_eq!(delivered.path().parent(), Some(Path::new(&maildir.path().join("new"))));
}

#[test]
fn short_names_are_those_of_procmail_and_one_that_is_taken_gives_way() {
    let (_dir, maildir) = fresh();
    let maildir = maildir.with_short_names();
    let names: Vec<_> = (0..3).map(|_| stage(&maildir, b"x").commit().unwrap()).collect();
    for delivered in &names {
        let name = std::str::from_utf8(delivered.name().as_bytes()).unwrap();
        let (seconds, rest) = name.split_once('.').unwrap();
        let (process, rest) = rest.split_once('_').unwrap();
        let (number, _host) = rest.split_once('.').unwrap();
        assert!(seconds.parse::<u64>().is_ok() && number.parse::<u64>().is_ok(), "{name}");
        assert_eq!(process, std::process::id().to_string());
        assert_eq!((delivered.name().size(), delivered.size()), (None, 1));
    }
    let staged = stage(&maildir, b"y");
    // The name that it has in tmp/ is the one that it is to get.
    let unfinished = std::fs::read_dir(maildir.path().join("tmp")).unwrap().next().unwrap().unwrap();
    let taken = maildir.path().join("new").join(unfinished.file_name());
    std::fs::write(&taken, "z").unwrap();
    let path = staged.commit().unwrap().path();
    assert_eq!((std::fs::read(path).unwrap(), std::fs::read(taken).unwrap()), (b"y".to_vec(), b"z".to_vec()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_message_is_stored_the_same_however_it_is_cut(
        line in "[ -~]{0,100}",
        lines in 0_usize..700,
        cuts in proptest::collection::vec(1_usize..40_000, 1..20),
        keep: bool,
    ) {
        let (_dir, maildir) = fresh();
        let message = format!("{line}\r\n").repeat(lines).into_bytes();
        let mode = if keep { LineEndings::Keep } else { LineEndings::ToLf };
        let mut delivery = maildir.deliver(&DeliveryOptions::new().line_endings(mode)).unwrap();
        let (mut rest, mut cuts) = (&message[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            delivery.append(chunk).unwrap();
            rest = tail;
        }
        let delivered = delivery.stage().unwrap().commit().unwrap();
        let stored = if keep { message.clone() } else { format!("{line}\n").repeat(lines).into_bytes() };
        prop_assert!(content(&delivered) == stored);
        prop_assert_eq!(delivered.crlf_size(), message.len() as u64);
        prop_assert_eq!(delivered.size(), stored.len() as u64);
    }
}
