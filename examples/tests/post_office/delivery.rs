//! Delivery to disk by the whole server: durability, faults, quota.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::client::{Client, LONG};
use maildrop::{Fault, FaultPlan, Faults, MailRoot, Operation, QuotaLimits, UserName};
use mailwright::config::{Config, Span};
use mailwright::office::Builder;
use mailwright::{PostOffice, Service};

fn builder(data: &Path) -> Builder {
    PostOffice::builder()
        .domain("local.test")
        .data(data)
        .user("alice", "secret")
        .user("bob", "geheim")
        .listen(Service::Smtp, "127.0.0.1:0")
        .listen(Service::Lmtp, "127.0.0.1:0")
}

fn files(data: &Path, user: &str, folder: &str) -> Vec<Vec<u8>> {
    let folder = data.join("mail").join(user).join("Maildir").join(folder);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

async fn smtp(office: &PostOffice) -> Client {
    Client::connect(office.addr(Service::Smtp).unwrap()).await
}

#[tokio::test]
async fn a_message_lies_in_the_maildir_when_it_is_acknowledged() {
    let data = tempfile::tempdir().unwrap();
    let office = builder(data.path()).start().await.unwrap();
    let reply = smtp(&office).await.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");
    let found = files(data.path(), "alice", "new");
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with(b"Subject: x\n\nhi\n"));
    let mail = office.wait_for(|_| true, LONG).await.unwrap();
    assert_eq!(mail.message().unwrap(), found[0]);
    let moved = mail.path().unwrap().to_owned();
    let name = moved.file_name().unwrap().to_str().unwrap();
    std::fs::rename(&moved, moved.parent().unwrap().with_file_name("cur").join(format!("{name}:2,S")))
        .unwrap();
    assert_eq!(mail.message().unwrap(), found[0], "found where a reader moved it");
}

#[tokio::test]
async fn large_messages_are_whole_whatever_their_size() {
    let data = tempfile::tempdir().unwrap();
    let office = builder(data.path()).start().await.unwrap();
    let mut client = smtp(&office).await;
    for size in [65_000, 65_536, 70_000, 131_072, 3_000_000] {
        let body: String = (0..size / 64).map(|n| format!("{n:062}\r\n")).collect();
        client.say("EHLO client.test", "250").await;
        client.say("MAIL FROM:<s@x.test>", "250").await;
        client.say("RCPT TO:<alice@local.test>", "250").await;
        client.say("RCPT TO:<bob@local.test>", "250").await;
        client.say("DATA", "354").await;
        client.send(format!("Subject: {size}\r\n\r\n{body}.\r\n")).await;
        client.expect("250 2.0.0").await;
        for user in ["alice", "bob"] {
            let expected = format!("Subject: {size}\n\n{}", body.replace("\r\n", "\n"));
            let found = files(data.path(), user, "new");
            assert!(found.iter().any(|file| file.ends_with(expected.as_bytes())), "{size} for {user}");
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_answered_452_and_leaves_nothing() {
    for message in ["Subject: x\r\n\r\nhi".to_owned(), "0123456789abcdef\r\n".repeat(20_000)] {
        for operation in [Operation::CreateFile, Operation::Write, Operation::SyncFile, Operation::Rename] {
            let data = tempfile::tempdir().unwrap();
            let plan = Arc::new(FaultPlan::new().always(operation, Fault::no_space()));
            let office = builder(data.path()).disk_faults(Arc::clone(&plan) as _).start().await.unwrap();
            let mut client = smtp(&office).await;
            let reply = client.deliver("alice@local.test", &message).await;
            assert!(reply.starts_with("452 4.3.1"), "{operation}: {reply}");
            assert!(files(data.path(), "alice", "new").is_empty(), "{operation}");
            assert!(files(data.path(), "alice", "tmp").is_empty(), "{operation}");
            plan.heal();
            let reply = client.deliver("alice@local.test", &message).await;
            assert!(reply.starts_with("250"), "{operation}: {reply}");
            assert_eq!(files(data.path(), "alice", "new").len(), 1);
        }
    }
}

/// A disk that stands still from a step on, until the test lets it go.
#[derive(Debug)]
struct Hanging {
    operation: Operation,
    released: (Mutex<bool>, Condvar),
}

impl Hanging {
    fn at(operation: Operation) -> Arc<Self> {
        Arc::new(Self { operation, released: Default::default() })
    }

    fn release(&self) {
        *self.released.0.lock().unwrap() = true;
        self.released.1.notify_all();
    }
}

impl Faults for Hanging {
    fn inject(&self, operation: Operation) -> Fault {
        if operation == self.operation {
            let released = self.released.0.lock().unwrap();
            drop(self.released.1.wait_while(released, |released| !*released).unwrap());
        }
        Fault::None
    }
}

#[tokio::test]
async fn a_disk_that_hangs_is_answered_in_time_and_nothing_is_lost() {
    for message in ["Subject: x\r\n\r\nhi".to_owned(), "0123456789abcdef\r\n".repeat(20_000)] {
        for operation in [Operation::CreateFile, Operation::SyncFile] {
            let data = tempfile::tempdir().unwrap();
            let disk = Hanging::at(operation);
            let mut config = Config::default();
            config.timeouts.answer = Span(Duration::from_millis(50));
            let builder = builder(data.path()).config(config).data(data.path());
            let office = builder.disk_faults(Arc::clone(&disk) as _).start().await.unwrap();
            let mut client = smtp(&office).await;
            let reply = client.deliver("alice@local.test", &message).await;
            assert!(reply.starts_with("451 4.3.0"), "{operation}: {reply}");
            disk.release();
            let reply = client.deliver("alice@local.test", &message).await;
            assert!(reply.starts_with("250"), "{operation}: {reply}");
        }
    }
}

#[tokio::test]
async fn a_failure_that_has_nothing_to_do_with_room_is_a_local_error() {
    let data = tempfile::tempdir().unwrap();
    let plan = FaultPlan::new().nth(Operation::Rename, 1, Fault::io_error());
    let office = builder(data.path()).disk_faults(Arc::new(plan)).start().await.unwrap();
    let reply = smtp(&office).await.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
    assert!(reply.starts_with("451 4.3.0"), "{reply}");
    assert!(files(data.path(), "alice", "new").is_empty());
}

#[tokio::test]
async fn a_full_mailbox_is_told_at_rcpt_where_that_is_known() {
    let data = tempfile::tempdir().unwrap();
    let root = MailRoot::new(data.path().join("mail"));
    let limits = QuotaLimits { bytes: Some(5000), messages: None };
    root.create(&UserName::parse("alice").unwrap()).unwrap().set_quota(Some(limits)).unwrap();
    let office = builder(data.path()).start().await.unwrap();
    let mut client = smtp(&office).await;
    client.say("EHLO client.test", "250").await;
    client.say("MAIL FROM:<s@x.test> SIZE=6000", "250").await;
    client.say("RCPT TO:<alice@local.test>", "452 4.2.2").await;
    client.say("RCPT TO:<bob@local.test>", "250").await;
    client.say("RSET", "250").await;
    let reply = client.deliver("alice@local.test", &"0123456789\r\n".repeat(600)).await;
    assert!(reply.starts_with("452 4.2.2"), "{reply}");
    assert!(files(data.path(), "alice", "new").is_empty());
}

#[tokio::test]
async fn with_lmtp_a_full_mailbox_does_not_keep_the_others_from_their_mail() {
    let data = tempfile::tempdir().unwrap();
    let root = MailRoot::new(data.path().join("mail"));
    let limits = QuotaLimits { bytes: Some(1000), messages: None };
    root.create(&UserName::parse("alice").unwrap()).unwrap().set_quota(Some(limits)).unwrap();
    let office = builder(data.path()).start().await.unwrap();
    let mut client = Client::connect(office.addr(Service::Lmtp).unwrap()).await;
    client.say("LHLO client.test", "250").await;
    client.say("MAIL FROM:<s@x.test>", "250").await;
    client.say("RCPT TO:<alice@local.test>", "250").await;
    client.say("RCPT TO:<bob@local.test>", "250").await;
    client.say("DATA", "354").await;
    client.send(format!("Subject: x\r\n\r\n{}.\r\n", "0123456789\r\n".repeat(600))).await;
    client.expect("452 4.2.2").await;
    client.expect("250 2.1.5").await;
    assert_eq!((files(data.path(), "alice", "new").len(), files(data.path(), "bob", "new").len()), (0, 1));
}

#[tokio::test]
async fn sessions_that_finish_together_share_the_sync_and_each_is_told() {
    let data = tempfile::tempdir().unwrap();
    let office = Arc::new(builder(data.path()).max_connections(1000, 1000).start().await.unwrap());
    let sessions: Vec<_> = (0..50)
        .map(|n| {
            let office = Arc::clone(&office);
            tokio::spawn(async move {
                let mut client = smtp(&office).await;
                for m in 0..4 {
                    let reply =
                        client.deliver("alice@local.test", &format!("Subject: {n}.{m}\r\n\r\nhi")).await;
                    assert!(reply.starts_with("250"), "{reply}");
                }
            })
        })
        .collect();
    for session in sessions {
        session.await.unwrap();
    }
    assert_eq!(files(data.path(), "alice", "new").len(), 200);
    assert!(files(data.path(), "alice", "tmp").is_empty());
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_leaves_nothing() {
    let data = tempfile::tempdir().unwrap();
    let office = builder(data.path()).start().await.unwrap();
    let mut client = smtp(&office).await;
    client.begin("alice@local.test").await;
    client.send("0123456789abcdef\r\n".repeat(20_000)).await;
    drop(client);
    let mut other = smtp(&office).await;
    assert!(other.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await.starts_with("250"));
    office.shutdown().await;
    assert_eq!(files(data.path(), "alice", "new").len(), 1);
    // What was begun is removed beside the serving; this waits for it, and for it alone.
    while !files(data.path(), "alice", "tmp").is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn with_discard_nothing_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let office = builder(data.path()).discard().start().await.unwrap();
    let mut client = smtp(&office).await;
    for _ in 0..3 {
        assert!(client.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await.starts_with("250"));
    }
    client.say("RCPT TO:<u@remote.test>", "503").await;
    assert_eq!(office.discarded(), (3, 3 * 18));
    assert!(office.mails().is_empty());
    assert!(!data.path().join("mail").exists());
}
