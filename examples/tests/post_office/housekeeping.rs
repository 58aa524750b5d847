//! What is kept in order behind the mail: stale files, quotas, copies.

use std::fs::File;
use std::time::{Duration, SystemTime};

use mailwright::{PostOffice, Service};

use crate::client::Client;

async fn office(data: &std::path::Path) -> PostOffice {
    PostOffice::builder()
        .data(data)
        .user("demo", "demo")
        .user("other", "demo")
        .listen(Service::Smtp, "127.0.0.1:0")
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn files_that_a_crash_left_in_tmp_go_after_36_hours() {
    let folder = tempfile::tempdir().unwrap();
    let maildir = maildrop::Maildir::create(folder.path().join("mail/demo/Maildir")).unwrap();
    let (old, young) = (maildir.path().join("tmp/1.old.host"), maildir.path().join("tmp/2.young.host"));
    let day = Duration::from_secs(24 * 60 * 60);
    for (path, age) in [(&old, 2 * day), (&young, day)] {
        let file = File::create(path).unwrap();
        let then = SystemTime::now() - age;
        file.set_times(std::fs::FileTimes::new().set_accessed(then).set_modified(then)).unwrap();
    }
    let office = office(folder.path()).await;
    // Cleaning goes on beside the serving; this waits for it, and for it alone.
    while old.exists() {
        tokio::task::yield_now().await;
    }
    assert!(young.exists());
    office.shutdown().await;
}

#[tokio::test]
async fn an_address_given_twice_gets_one_copy_and_a_reply_each() {
    let folder = tempfile::tempdir().unwrap();
    let office = office(folder.path()).await;
    let mut client = Client::connect(office.addr(Service::Smtp).unwrap()).await;
    client.say("EHLO client", "250").await;
    client.say("MAIL FROM:<a@b>", "250").await;
    for to in ["demo@localhost", "other@localhost", "DEMO@localhost", "demo@localhost"] {
        client.say(&format!("RCPT TO:<{to}>"), "250").await;
    }
    client.say("DATA", "354").await;
    client.say("Subject: x\r\n\r\nhi\r\n.", "250").await;
    let files = |user: &str| {
        std::fs::read_dir(folder.path().join("mail").join(user).join("Maildir/new")).unwrap().count()
    };
    assert_eq!((files("demo"), files("other")), (1, 1));
}

#[tokio::test]
async fn a_quota_file_that_cannot_be_read_keeps_no_mail_away() {
    let folder = tempfile::tempdir().unwrap();
    let maildir = maildrop::Maildir::create(folder.path().join("mail/demo/Maildir")).unwrap();
    std::fs::write(maildir.path().join("maildirsize"), "garbage\n").unwrap();
    let office = office(folder.path()).await;
    let mut client = Client::connect(office.addr(Service::Smtp).unwrap()).await;
    client.say("EHLO client", "250").await;
    client.deliver("demo@localhost", "Subject: x\r\n\r\nhi\r\n").await;
    assert_eq!(std::fs::read_dir(maildir.path().join("new")).unwrap().count(), 1);
}
