//! How much rc files may write, and what is told of where they sent the mail.

use std::path::Path;

use crate::client::LONG;
use crate::log::log;
use crate::rules::{builder, files, names, programs, smtp, write_rc};
use maildrop::{MailRoot, UserName};
use mailwright::config::{BrokenRc, FilterConfig};
use mailwright::filter::Destination;

const MESSAGE: &str = "Subject: x\r\n\r\nhi";

#[tokio::test]
async fn rules_that_make_too_many_copies_are_broken_and_file_nothing() {
    let many = ":0 c\nx/\n".repeat(3);
    for rc in [
        many.clone(),
        ":0 c\nx/ y/ z/ Maildir/\n".to_owned(),
        ":0 c\n{\n :0\n x/\n}\n".repeat(4),
        ":0 c\nx\n".repeat(4),
    ] {
        for (broken, expected, count) in
            [(BrokenRc::Defer, "451 4.3.5", 0), (BrokenRc::Inbox, "250 2.0.0", 1)]
        {
            let data = tempfile::tempdir().unwrap();
            let mut filter = FilterConfig::default();
            (filter.broken, filter.copies) = (broken, 3);
            let office =
                builder(data.path()).filter(filter).rules("alice", rc.as_str()).start().await.unwrap();
            let reply = smtp(&office).await.deliver("alice@local.test", MESSAGE).await;
            assert!(reply.starts_with(expected), "{rc:?}: {reply}");
            assert_eq!(names(data.path(), "alice"), [] as [&str; 0], "{rc:?}");
            assert_eq!(files(data.path(), "alice", "Maildir/new").len(), count, "{rc:?}");
        }
    }
    let data = tempfile::tempdir().unwrap();
    let mut filter = FilterConfig::default();
    filter.copies = 4;
    let rc = format!("{many}:0 c\n/dev/null\n");
    let office = builder(data.path()).filter(filter).rules("alice", rc).start().await.unwrap();
    let reply = smtp(&office).await.deliver("alice@local.test", MESSAGE).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(files(data.path(), "alice", "x/new").len(), 3);
}

#[tokio::test]
async fn where_programs_may_run_too_many_copies_are_noticed_on_the_way() {
    let data = tempfile::tempdir().unwrap();
    std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut filter = programs();
    filter.copies = 2;
    let rc = ":0 c\n| cat >/dev/null\n:0 c\n{\n :0\n x/\n}\n:0 c\nx/\n";
    let office = builder(data.path()).filter(filter).rules("alice", rc).start().await.unwrap();
    let reply = smtp(&office).await.deliver("alice@local.test", MESSAGE).await;
    assert!(reply.starts_with("451 4.3.5"), "{reply}");
    assert_eq!(files(data.path(), "alice", "x/new").len(), 1);
    assert_eq!(files(data.path(), "alice", "Maildir/new").len(), 0);
}

fn set_quota(data: &Path, limits: &str) {
    let root = MailRoot::new(data.join("mail"));
    let maildir = root.create(&UserName::parse("alice").unwrap()).unwrap();
    maildir.set_quota(Some(limits.parse().unwrap())).unwrap();
}

#[tokio::test]
async fn all_folders_of_a_user_count_toward_the_quota() {
    let message = format!("Subject: x\r\n\r\n{}", "a".repeat(3000));
    for (rc, fit) in [
        // Each message with its trace fields takes between 3000 and 4000 bytes.
        (":0\nlists/\n", 2),
        (":0\nbox\n", 2),
        ("", 2),
        (":0 c\nlists/\n", 1),
        (":0 c\nlists/\n:0\nbox/\n", 1),
        (":0\n* ^Subject: y\n/dev/null\n:0\nlists/ links/ more/\n", 2),
    ] {
        let data = tempfile::tempdir().unwrap();
        set_quota(data.path(), "9000S");
        write_rc(data.path(), "alice", rc);
        let office = builder(data.path()).start().await.unwrap();
        for _ in 0..fit {
            let reply = smtp(&office).await.deliver("alice@local.test", &message).await;
            assert!(reply.starts_with("250"), "{rc:?}: {reply}");
        }
        let before = names(data.path(), "alice");
        let reply = smtp(&office).await.deliver("alice@local.test", &message).await;
        assert!(reply.starts_with("452 4.2.2"), "{rc:?}: {reply}");
        assert_eq!(names(data.path(), "alice"), before, "{rc:?}");
        let inbox = files(data.path(), "alice", "Maildir/new").len();
        let lists = files(data.path(), "alice", "lists/new").len();
        assert!(inbox.max(lists) <= fit, "{rc:?}");
    }
}

#[tokio::test]
async fn what_lies_in_folders_when_the_office_starts_counts_toward_the_quota() {
    let data = tempfile::tempdir().unwrap();
    set_quota(data.path(), "9000S");
    let rc = write_rc(data.path(), "alice", ":0\nlists/\n");
    std::fs::write(rc.with_file_name("box"), "a".repeat(8900)).unwrap();
    let office = builder(data.path()).start().await.unwrap();
    let reply = smtp(&office).await.deliver("alice@local.test", MESSAGE).await;
    assert!(reply.starts_with("452 4.2.2"), "{reply}");
    assert_eq!(names(data.path(), "alice"), ["box"]);
}

#[tokio::test]
async fn the_log_and_what_arrived_tell_where_rules_sent_the_mail() {
    for (rc, told, arrived) in [
        (":0\n/dev/null\n", vec!["dropped by the recipient's rules"], 0),
        ("HOST=another\n", vec!["dropped by the recipient's rules"], 0),
        (":0\nbox\n", vec!["delivered folder=HOME/box"], 1),
        (
            ":0 c\nbox\n:0 c\ndir/ links\n:0\n/dev/null\n",
            vec![
                "delivered folder=HOME/box",
                "delivered folder=HOME/dir/new/",
                "delivered folder=HOME/links/msg.",
            ],
            1,
        ),
        (":0\n| cat >/dev/null\n", vec!["given to a program"], 1),
        (
            ":0 c\n| exit 1\n:0 w\n| exit 1\n:0\nbox\n",
            vec!["given to a program", "delivered folder=HOME/box"],
            1,
        ),
        (":0 cw\n| /nowhere/program\n:0\nbox\n", vec!["delivered folder=HOME/box"], 1),
        ("SENDMAIL=/bin/true\n:0\n! bob\n", vec!["forwarded"], 1),
    ] {
        let data = tempfile::tempdir().unwrap();
        std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let builder = builder(data.path()).user("carol", "secret").rules("carol", rc);
        let office = builder.filter(programs()).start().await.unwrap();
        let before = log().len();
        let reply = smtp(&office).await.deliver("carol@local.test", MESSAGE).await;
        assert!(reply.starts_with("250"), "{rc:?}: {reply}");
        let home = data.path().canonicalize().unwrap().join("mail/carol");
        let lines = log().since(before, "user=carol");
        assert_eq!(lines.len(), told.len(), "{rc:?}: {lines:?}");
        for (line, told) in lines.iter().zip(told) {
            let (what, folder) = told.split_once(" folder=").unwrap_or((told, ""));
            assert!(line.contains(what), "{rc:?}: {line}");
            let folder = folder.replace("HOME", home.to_str().unwrap());
            assert!(
                line.contains(&folder) && line.contains("folder=") != folder.is_empty(),
                "{rc:?}: {line}"
            );
        }
        assert_eq!(office.mails().len(), arrived, "{rc:?}");
    }
}

#[tokio::test]
async fn what_arrived_tells_of_all_its_folders() {
    let data = tempfile::tempdir().unwrap();
    let rc = ":0 c\nbox\n:0\ndir/\n";
    let office = builder(data.path()).rules("alice", rc).start().await.unwrap();
    smtp(&office).await.deliver("alice@local.test", MESSAGE).await;
    let mail = office.wait_for(|_| true, LONG).await.unwrap();
    let [Destination::File { path, bytes }, Destination::File { path: last, .. }] = mail.destinations()
    else {
        panic!("{mail:?}");
    };
    assert!(path.ends_with("alice/box") && *bytes > 100, "{mail:?}");
    assert_eq!(mail.path(), Some(last.as_path()));
    assert_eq!(std::fs::read(last).unwrap(), mail.message().unwrap());
}
