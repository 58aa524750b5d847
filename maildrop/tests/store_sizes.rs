//! What sessions with a Maildir know of the octets of messages whose names do not tell, or tell what is wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

mod maildir_session;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use maildir_session::{all_of, fresh, names, open, removing, text, with_faults};
use maildrop::store::{Access, Mailbox, MaildirMailbox, Update, ready};
use maildrop::{Fault, FaultPlan, Faults, Maildir, Operation};

/// Counts the files that are opened.
#[derive(Debug, Default)]
struct Reads(AtomicUsize);

impl Faults for Reads {
    fn inject(&self, operation: Operation) -> Fault {
        if operation == Operation::Read {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Fault::None
    }
}

/// The octets of all messages, and how many had to be read for that.
fn sizes(maildir: &Maildir, access: Access) -> (Vec<u64>, usize) {
    let reads = Arc::new(Reads::default());
    let counting = maildir.clone().with_faults(Arc::clone(&reads) as Arc<dyn Faults>);
    let mut session = counting.mailbox(access).unwrap();
    let sizes = (0..session.len()).map(|index| ready(session.octets(index)).unwrap()).collect();
    (sizes, reads.0.load(Ordering::Relaxed))
}

/// Messages without sizes in their names, as procmail delivers them. Answers their octets on the wire.
fn put_unsized(maildir: &Maildir, numbers: std::ops::Range<usize>) -> Vec<u64> {
    let octets = numbers.map(|number| {
        let lines = 1 + number % 7;
        let name = format!("new/17000{number:05}.123_0.mx");
        fs::write(maildir.path().join(name), "a: line\n".repeat(lines)).unwrap();
        9 * lines as u64
    });
    octets.collect()
}

const SIZES: &str = "maildrop.sizes";

#[test]
fn messages_whose_names_tell_no_sizes_are_read_once_and_not_by_each_session() {
    let (_dir, maildir) = fresh();
    let mut expected = put_unsized(&maildir, 0..100);
    // Whoever may change nothing leaves nothing.
    assert_eq!(sizes(&maildir, Access::ReadOnly), (expected.clone(), 100));
    assert!(!maildir.path().join(SIZES).exists());
    assert_eq!(sizes(&maildir, Access::Exclusive), (expected.clone(), 100));
    for access in [Access::Exclusive, Access::ReadOnly] {
        assert_eq!(sizes(&maildir, access), (expected.clone(), 0));
    }
    // A few more do not pay, many do. What other programs rename stays known.
    for (from, to, reads) in [(100, 110, [10, 10]), (110, 140, [40, 0])] {
        expected.extend(put_unsized(&maildir, from..to));
        for (index, name) in names(&maildir).iter().enumerate().filter(|(index, _)| index % 3 == 0) {
            let base = name[4..].split(":2,").next().unwrap();
            let renamed = format!("cur/{base}:2,{}", ["S", "F"][index % 2]);
            fs::rename(maildir.path().join(name), maildir.path().join(renamed)).unwrap();
        }
        for reads in reads {
            assert_eq!(sizes(&maildir, Access::Exclusive), (expected.clone(), reads), "{to}");
        }
    }
    // The last message takes the file with it.
    ready(open(&maildir).commit(&removing(&[0]))).unwrap();
    assert!(maildir.path().join(SIZES).exists());
    let session = open(&maildir);
    let update = all_of(&session);
    ready(session.commit(&update)).unwrap();
    assert!(!maildir.path().join(SIZES).exists());
    assert!(!maildir.path().join("maildrop.sizes.tmp").exists());
}

#[test]
fn kept_sizes_of_messages_that_are_gone_go_in_the_end() {
    let (_dir, maildir) = fresh();
    put_unsized(&maildir, 0..1200);
    sizes(&maildir, Access::Exclusive);
    let before = fs::metadata(maildir.path().join(SIZES)).unwrap().len();
    ready(open(&maildir).commit(&removing(&(50..1200).collect::<Vec<_>>()))).unwrap();
    let after = fs::metadata(maildir.path().join(SIZES)).unwrap().len();
    assert!(after * 20 < before, "{before} {after}");
    assert_eq!(sizes(&maildir, Access::Exclusive).1, 0);
}

#[test]
fn a_message_that_was_replaced_is_found_out_when_it_is_read() {
    let (_dir, maildir) = fresh();
    let mut expected = put_unsized(&maildir, 0..40);
    sizes(&maildir, Access::Exclusive);
    fs::write(maildir.path().join("new/1700000007.123_0.mx"), "b: longer than it was\n").unwrap();
    assert_eq!(sizes(&maildir, Access::Exclusive), (expected.clone(), 0), "wrong, but nobody looked");
    let mut session = open(&maildir);
    assert_eq!(text(&mut session, 7).unwrap(), "b: longer than it was\r\n");
    assert_eq!(ready(session.octets(7)).unwrap(), 23);
    drop(session);
    expected[7] = 23;
    assert_eq!(sizes(&maildir, Access::Exclusive), (expected.clone(), 40));
    assert_eq!(sizes(&maildir, Access::Exclusive), (expected, 0));
}

#[test]
fn a_name_that_tells_what_is_wrong_is_believed_until_the_message_is_read() {
    let (_dir, maildir) = fresh();
    let text_of = |lines| "a: line\n".repeat(lines);
    let put = |name: &str, text: &str| fs::write(maildir.path().join("new").join(name), text).unwrap();
    put("1.a,S=16,W=18", &text_of(2));
    put("2.a,S=16,W=99", &text_of(2));
    put("3.a,S=7,W=7", "no end");
    put("4.a,S=16,W=5", &text_of(4000));
    // The end that its last line lacks is counted by some.
    put("5.a,S=6,W=6", "no end");
    put("6.a,S=6,W=8", "no end");
    let octets = |mailbox: &MaildirMailbox| {
        (0..6).map(|index| mailbox.message(index).octets.unwrap()).collect::<Vec<_>>()
    };
    let told = [18, 99, 7, 5, 6, 8];
    let right = [18, 18, 8, 36000, 6, 8];
    for (access, after) in [(Access::ReadOnly, told), (Access::Exclusive, right), (Access::Exclusive, right)]
    {
        let mut mailbox = maildir.mailbox(access).unwrap();
        let before = octets(&mailbox);
        let wrong = before.iter().zip(right).filter(|(told, right)| *told != right).count();
        for index in [1, 0, 1, 2, 3, 4, 5] {
            text(&mut mailbox, index).unwrap();
        }
        assert_eq!(mailbox.miscounted(), wrong);
        assert_eq!(octets(&mailbox), before, "while a session is open they stay");
        ready(mailbox.commit(&Update::new())).unwrap();
        assert_eq!(octets(&open(&maildir)), after, "{access:?}");
    }
    // One that is replaced is told by its name again.
    put("4.a,S=16,W=5", &text_of(3));
    let mut mailbox = open(&maildir);
    assert_eq!(text(&mut mailbox, 3).unwrap().len(), 27);
    assert_eq!(ready(mailbox.octets(3)).unwrap(), 27);
    drop(mailbox);
    assert_eq!(octets(&open(&maildir)), told);
}

#[test]
fn what_is_no_file_of_sizes_or_cannot_be_written_is_passed_over() {
    use std::os::unix::fs::symlink;
    let (dir, maildir) = fresh();
    let expected = put_unsized(&maildir, 0..40);
    let [path, tmp] = [SIZES, "maildrop.sizes.tmp"].map(|name| maildir.path().join(name));
    let victim = dir.path().join("victim");
    fs::write(&victim, "maildrop sizes 1\n").unwrap();
    for directory in [&path, &tmp] {
        fs::create_dir_all(directory.join("x")).unwrap();
        for _ in 0..2 {
            assert_eq!(sizes(&maildir, Access::Exclusive), (expected.clone(), 40), "{directory:?}");
        }
        fs::remove_dir_all(directory).unwrap();
    }
    for link in [&path, &tmp] {
        let _ = fs::remove_file(&path);
        symlink(&victim, link).unwrap();
        assert_eq!(sizes(&maildir, Access::Exclusive), (expected.clone(), 40), "{link:?}");
        assert_eq!(sizes(&maildir, Access::Exclusive), (expected.clone(), 0), "{link:?}");
        assert_eq!(fs::read(&victim).unwrap(), b"maildrop sizes 1\n");
    }
    fs::remove_file(&path).unwrap();
    let faulty = with_faults(&maildir, FaultPlan::new().always(Operation::Write, Fault::no_space()));
    let mut session = open(&faulty);
    assert!((0..40).all(|index| ready(session.octets(index)).unwrap() == expected[index]));
    assert!(!path.exists());
}
