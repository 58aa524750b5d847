//! The same mail in each store: delivered by SMTP and LMTP, filed by rc files, collected by POP3.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::client::{Client, LONG};
use crate::rules::write_rc;
use mailwright::config::{BrokenRc, Config, Expire, LineEndings, Span};
use mailwright::office::{Builder, RulesError, StartError};
use mailwright::{PostOffice, Service, StoreFormat};

const FILES: [StoreFormat; 3] = [StoreFormat::Maildir, StoreFormat::Mbox, StoreFormat::Mh];

fn config(format: StoreFormat) -> Config {
    let mut config = Config::default();
    config.store = format;
    config.timeouts.lock = Span(Duration::from_millis(200));
    config
}

fn builder(data: &Path, config: Config) -> Builder {
    let builder = PostOffice::builder().config(config).data(data).domain("local.test").no_tls();
    [Service::Smtp, Service::Lmtp, Service::Pop3]
        .into_iter()
        .fold(builder, |builder, service| builder.listen(service, "127.0.0.1:0"))
        .user("alice", "secret")
        .user("bob", "secret")
}

async fn start(data: &Path, format: StoreFormat) -> PostOffice {
    builder(data, config(format)).start().await.unwrap()
}

/// Where the inbox of a user lies.
fn inbox(data: &Path, format: StoreFormat, user: &str) -> PathBuf {
    let home = data.join("mail").join(user);
    match format {
        StoreFormat::Maildir => home.join("Maildir/new"),
        StoreFormat::Mbox => home.join("mbox"),
        StoreFormat::Mh => home.join("Mail/inbox"),
        _ => panic!("{format} has no files"),
    }
}

/// Sends a message as the wire has it, and gives the replies to its end.
async fn send(office: &PostOffice, service: Service, to: &[&str], message: &[u8]) -> Vec<String> {
    let mut client = Client::connect(office.addr(service).unwrap()).await;
    client.say(if service == Service::Lmtp { "LHLO c.test" } else { "EHLO c.test" }, "250").await;
    client.say("MAIL FROM:<s@x.test> BODY=8BITMIME", "250").await;
    for address in to {
        client.say(&format!("RCPT TO:<{address}@local.test>"), "250").await;
    }
    client.say("DATA", "354").await;
    let mut stuffed = Vec::new();
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        stuffed.extend((line[0] == b'.').then_some(b'.'));
        stuffed.extend_from_slice(line);
    }
    client.send([&stuffed, b".\r\n".as_slice()].concat()).await;
    let count = if service == Service::Lmtp { to.len() } else { 1 };
    let mut replies = Vec::new();
    for _ in 0..count {
        replies.push(client.reply().await);
    }
    replies
}

async fn deliver(office: &PostOffice, to: &[&str], message: &[u8]) {
    for reply in send(office, Service::Smtp, to, message).await {
        assert!(reply.starts_with("250 2.0.0"), "{reply}");
    }
}

async fn login(office: &PostOffice, user: &str) -> Client {
    let mut client = Client::silent(office.addr(Service::Pop3).unwrap()).await;
    client.expect("+OK").await;
    client.say(&format!("USER {user}"), "+OK").await;
    client.say("PASS secret", "+OK").await;
    client
}

/// The lines of a listing without their numbers.
async fn listing(client: &mut Client, command: &str) -> Vec<String> {
    let text = String::from_utf8(client.text(command).await).unwrap();
    text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

/// Messages that are easily damaged, and some of all sizes.
fn messages() -> Vec<Vec<u8>> {
    let lines = |size: usize| {
        let line = |n: usize| match n % 50 {
            7 => "From here on\r\n".to_owned(),
            8 => ">From there\r\n".to_owned(),
            _ => format!("{n:062}\r\n"),
        };
        (0..size / 64).map(line).collect::<String>()
    };
    let mut messages: Vec<Vec<u8>> = [
        b"Subject: one\r\n\r\nhi\r\n".as_slice(),
        b"Subject: eight bits\r\n\r\n\xe9\xff\x80 \xc3\xa9\r\n",
        b"Subject: dots\r\n\r\n.\r\n..\r\n...x\r\n.",
        b"Subject: empty lines\r\n\r\n\r\nx\r\n\r\n\r\n",
        b"Subject: no body\r\n\r\n",
        b"Subject: from\r\n\r\nFrom here\r\n>From there\r\n>>>From far\r\n\r\n\
          From a@b Tue Jan  2 03:04:05 2001\r\nSubject: none\r\n\r\nFrom \r\n",
    ]
    .map(|message| if message.ends_with(b"\n") { message.to_vec() } else { [message, b"\r\n"].concat() })
    .to_vec();
    for size in [20_000, 33_000, 70_000, 1_000_000] {
        messages.push(format!("Subject: {size}\r\n\r\n{}", lines(size)).into_bytes());
    }
    messages
}

#[tokio::test]
async fn each_store_gives_back_what_came_octet_for_octet() {
    for format in StoreFormat::ALL {
        let data = tempfile::tempdir().unwrap();
        let office = start(data.path(), format).await;
        let mut messages = messages();
        if format != StoreFormat::Mbox {
            // In an mbox, the empty line behind it ends a header, and such fields are for mail readers.
            messages.push(b"Subject: header alone\r\n".to_vec());
            messages.push(b"Status: RO\r\nContent-Length: 7\r\n\r\nFrom x\r\n".to_vec());
        }
        let mut sent = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            let service = if at % 2 == 0 { Service::Smtp } else { Service::Lmtp };
            // Two copies for alice: with another address, it is another message.
            let replies = send(&office, service, &["bob", "alice", "alice+tag"], message).await;
            for reply in &replies {
                assert!(reply.starts_with("250 2."), "{format}: {reply}");
            }
            assert_eq!(replies.len(), if service == Service::Lmtp { 3 } else { 1 });
            sent.extend([message, message]);
        }
        for (user, sent) in [("alice", sent), ("bob", messages.iter().collect())] {
            let mut client = login(&office, user).await;
            let sizes = listing(&mut client, "LIST").await;
            assert_eq!(sizes.len(), sent.len(), "{format}");
            let mut found = Vec::new();
            for number in 1..=sent.len() {
                let text = client.text(&format!("RETR {number}")).await;
                assert_eq!(sizes[number - 1], text.len().to_string(), "{format}");
                found.push(text);
            }
            // Maildirs may list messages of the same moment in another order.
            for message in &sent {
                let shown = message[..message.len().min(200)].escape_ascii();
                let whole = |text: &Vec<u8>| {
                    let trace = text.strip_suffix(message.as_slice());
                    trace.is_some_and(|trace| {
                        trace.starts_with(b"Return-Path: <s@x.test>\r\nDelivered-To: ")
                            && trace.ends_with(b"\r\n")
                            && !trace.windows(4).any(|end| end == b"\r\n\r\n")
                    })
                };
                let at = found.iter().position(whole);
                let at = at.unwrap_or_else(|| panic!("{format} for {user}: {shown}"));
                found.swap_remove(at);
            }
        }
    }
}

#[tokio::test]
async fn fields_of_mail_readers_in_an_mbox_do_not_come_from_the_sender() {
    let data = tempfile::tempdir().unwrap();
    let office = start(data.path(), StoreFormat::Mbox).await;
    for length in ["7", "8", "100000"] {
        let notes = format!("X-IMAP: 1 2\r\nStatus: RO\r\nContent-Length: {length}\r\n");
        let message = format!("{notes}Subject: {length}\r\n\r\nFrom x\r\n");
        deliver(&office, &["alice"], message.as_bytes()).await;
    }
    let mut client = login(&office, "alice").await;
    for (number, length) in [(1, "7"), (2, "8"), (3, "100000")] {
        let text = client.text(&format!("RETR {number}")).await;
        let text = String::from_utf8(text).unwrap();
        assert!(text.ends_with(&format!("Subject: {length}\r\n\r\nFrom x\r\n")), "{text}");
        assert!(!text.contains("Status:") && !text.contains("-Length:"), "{text}");
    }
    client.say("RETR 4", "-ERR").await;
}

#[tokio::test]
async fn what_was_collected_and_left_is_the_same_in_the_next_session() {
    for format in FILES {
        let data = tempfile::tempdir().unwrap();
        let office = start(data.path(), format).await;
        for n in 1..=3 {
            let message = format!("Subject: {n}\r\n\r\n{}\r\n", "x\r\n".repeat(n));
            deliver(&office, &["alice"], message.as_bytes()).await;
        }
        let mut sessions = Vec::new();
        for _ in 0..3 {
            let mut client = login(&office, "alice").await;
            let mut seen = vec![listing(&mut client, "LIST").await, listing(&mut client, "UIDL").await];
            for command in ["RETR 1", "TOP 2 1", "RETR 3"] {
                seen.push(vec![String::from_utf8(client.text(command).await).unwrap()]);
            }
            client.say("QUIT", "+OK").await;
            sessions.push(seen);
        }
        assert_eq!(sessions[0], sessions[1], "{format}");
        assert_eq!(sessions[0], sessions[2], "{format}");
        if format == StoreFormat::Mbox {
            let file = std::fs::read_to_string(data.path().join("mail/alice/mbox")).unwrap();
            assert_eq!(file.matches("\nStatus: RO\n\n").count(), 2, "{file}");
        }
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_the_rest_keeps_its_unique_ids_over_a_restart() {
    for format in StoreFormat::ALL {
        let data = tempfile::tempdir().unwrap();
        let mut office = start(data.path(), format).await;
        for n in 1..=5 {
            deliver(&office, &["alice"], format!("Subject: {n}\r\n\r\nFrom {n}\r\n").as_bytes()).await;
        }
        let mut client = login(&office, "alice").await;
        let before = listing(&mut client, "UIDL").await;
        for number in [1, 3] {
            client.say(&format!("DELE {number}"), "+OK").await;
        }
        client.say("QUIT", "+OK").await;
        client.expect_end().await;
        if format != StoreFormat::Memory {
            office.shutdown().await;
            office = start(data.path(), format).await;
        }
        deliver(&office, &["alice"], b"Subject: 6\r\n\r\nFrom 6\r\n").await;
        let mut client = login(&office, "alice").await;
        let after = listing(&mut client, "UIDL").await;
        assert_eq!(after.len(), 4, "{format}");
        assert_eq!([&after[0], &after[1], &after[2]], [&before[1], &before[3], &before[4]], "{format}");
        assert!(!before.contains(&after[3]), "{format}");
        for (number, subject) in [(1, 2), (2, 4), (3, 5), (4, 6)] {
            let text = client.text(&format!("RETR {number}")).await;
            assert!(text.ends_with(format!("Subject: {subject}\r\n\r\nFrom {subject}\r\n").as_bytes()));
        }
        let left = data.path().join("mail/alice/mbox.lock").exists();
        assert!(!left, "{format}: no lock stays");
    }
}

#[tokio::test]
async fn mail_lies_where_the_store_says_and_what_arrived_tells_where() {
    for format in FILES {
        let data = tempfile::tempdir().unwrap();
        let office = start(data.path(), format).await;
        for (at, body) in ["hi".to_owned(), "0123456789\r\n".repeat(10_000)].iter().enumerate() {
            let message = format!("Subject: x{at}\r\n\r\n{body}\r\n");
            deliver(&office, &["alice"], message.as_bytes()).await;
            let mail = office.wait_for(|mail| mail.subject() == format!("x{at}"), LONG).await.unwrap();
            let (path, inbox) = (mail.path().unwrap(), inbox(data.path(), format, "alice"));
            assert!(path == inbox || path.parent() == Some(&inbox), "{format}: {path:?}");
            let stored = std::fs::read(path).unwrap();
            let text = mail.message().unwrap();
            assert!(text.ends_with(message.replace("\r\n", "\n").as_bytes()), "{format}");
            assert!(stored.windows(text.len()).any(|part| part == text), "{format}");
            assert!(mail.destinations().is_empty());
            // What others do to it is no matter.
            if format != StoreFormat::Maildir {
                std::fs::remove_file(path).unwrap();
                assert_eq!(mail.message().unwrap(), text);
            }
        }
        assert_eq!(data.path().join("mail/alice/Maildir").exists(), format == StoreFormat::Maildir);
    }
}

#[tokio::test]
async fn mail_in_memory_is_collected_and_goes_with_the_office() {
    let data = tempfile::tempdir().unwrap();
    let office = start(data.path(), StoreFormat::Memory).await;
    deliver(&office, &["alice"], b"Subject: x\r\n\r\n").await;
    login(&office, "alice").await.say("STAT", "+OK 1 ").await;
    assert!(!data.path().join("mail").exists());
    office.shutdown().await;
    let office = start(data.path(), StoreFormat::Memory).await;
    login(&office, "alice").await.say("STAT", "+OK 0 ").await;
}

#[tokio::test]
async fn rc_files_file_into_the_store_unless_they_say_otherwise() {
    for format in FILES {
        let data = tempfile::tempdir().unwrap();
        write_rc(data.path(), "alice", ":0:\n* ^Subject: box\nbox\n:0\n* ^Subject: back\n$DEFAULT\n");
        let office = start(data.path(), format).await;
        let large = format!("Subject: large\r\n\r\n{}", "From 456789\r\n".repeat(10_000));
        for message in
            ["Subject: box\r\n\r\n1\r\n", "Subject: back\r\n\r\n2\r\n", "Subject: x\r\n\r\n3\r\n", &large]
        {
            deliver(&office, &["alice", "bob"], message.as_bytes()).await;
        }
        let boxed = std::fs::read_to_string(data.path().join("mail/alice/box")).unwrap();
        assert_eq!(boxed.matches("\nSubject: ").count(), 1, "{boxed}");
        for (user, subjects) in
            [("alice", vec!["back", "large", "x"]), ("bob", vec!["back", "box", "large", "x"])]
        {
            let mut client = login(&office, user).await;
            let count = listing(&mut client, "LIST").await.len();
            let mut found = Vec::new();
            for number in 1..=count {
                let text = String::from_utf8(client.text(&format!("RETR {number}")).await).unwrap();
                let subject = text.split("\r\nSubject: ").nth(1).unwrap().split("\r\n").next().unwrap();
                assert!(subject != "large" || text.ends_with(&large), "{format} for {user}");
                found.push(subject.to_owned());
            }
            found.sort();
            assert_eq!(found, subjects, "{format} for {user}");
        }
        let maildir = data.path().join("mail/alice/Maildir");
        assert_eq!(maildir.exists(), format == StoreFormat::Maildir);
        assert!(!data.path().join("mail/alice/mbox.lock").exists());
    }
}

#[tokio::test]
async fn a_broken_rc_file_leaves_mail_in_the_inbox_of_the_store_where_that_is_asked_for() {
    for format in FILES {
        let data = tempfile::tempdir().unwrap();
        write_rc(data.path(), "alice", ":0\n{\n");
        let mut config = config(format);
        config.filter.broken = BrokenRc::Inbox;
        let office = builder(data.path(), config).start().await.unwrap();
        let large = format!("Subject: large\r\n\r\n{}", "From 456789\r\n".repeat(10_000));
        for (count, message) in ["Subject: x\r\n\r\nhi\r\n", &large].into_iter().enumerate() {
            for service in [Service::Smtp, Service::Lmtp] {
                for reply in send(&office, service, &["bob", "alice"], message.as_bytes()).await {
                    assert!(reply.starts_with("250 "), "{format}: {reply}");
                }
            }
            for user in ["alice", "bob"] {
                let mut client = login(&office, user).await;
                let found = listing(&mut client, "LIST").await.len();
                assert_eq!(found, 2 * (count + 1), "{format}");
                assert!(client.text(&format!("RETR {found}")).await.ends_with(message.as_bytes()));
            }
        }
    }
}

#[tokio::test]
async fn an_mbox_that_another_program_has_locked_is_told_and_gets_its_mail_later() {
    let data = tempfile::tempdir().unwrap();
    let office = start(data.path(), StoreFormat::Mbox).await;
    deliver(&office, &["alice"], b"Subject: 1\r\n\r\n").await;
    let lock = data.path().join("mail/alice/mbox.lock");
    std::fs::write(&lock, "0").unwrap();
    for message in ["Subject: 2\r\n\r\n".to_owned(), "0123456789\r\n".repeat(10_000)] {
        let replies = send(&office, Service::Smtp, &["alice", "bob"], message.as_bytes()).await;
        assert!(replies[0].starts_with("451 4.2.0 "), "{replies:?}");
        let replies = send(&office, Service::Lmtp, &["alice", "bob"], message.as_bytes()).await;
        assert!(replies[0].starts_with("451 4.2.0 ") && replies[1].starts_with("250"), "{replies:?}");
    }
    // Nor does a session begin.
    let mut client = Client::silent(office.addr(Service::Pop3).unwrap()).await;
    client.expect("+OK").await;
    client.say("USER alice", "+OK").await;
    client.say("PASS secret", "-ERR [IN-USE] another program has locked the maildrop").await;
    std::fs::remove_file(&lock).unwrap();
    deliver(&office, &["alice"], b"Subject: 2\r\n\r\n").await;
    login(&office, "alice").await.say("STAT", "+OK 2 ").await;
    login(&office, "bob").await.say("STAT", "+OK 2 ").await;
}

#[tokio::test]
async fn what_is_no_mailbox_is_left_to_the_administrator() {
    let data = tempfile::tempdir().unwrap();
    let office = start(data.path(), StoreFormat::Mbox).await;
    deliver(&office, &["alice", "bob"], b"Subject: 1\r\n\r\n").await;
    let (mbox, other) = (data.path().join("mail/alice/mbox"), data.path().join("other"));
    let no_mbox: fn(&Path, &Path) = |mbox, _| std::fs::write(mbox, "Subject: x\n\n").unwrap();
    let link: fn(&Path, &Path) = |mbox, other| std::os::unix::fs::symlink(other, mbox).unwrap();
    let hard_link: fn(&Path, &Path) = |mbox, other| std::fs::hard_link(other, mbox).unwrap();
    std::fs::rename(&mbox, &other).unwrap();
    for put in [no_mbox, link, hard_link] {
        put(&mbox, &other);
        let mut client = Client::silent(office.addr(Service::Pop3).unwrap()).await;
        client.expect("+OK").await;
        client.say("USER alice", "+OK").await;
        client.say("PASS secret", "-ERR [SYS/PERM]").await;
        std::fs::remove_file(&mbox).unwrap();
    }
    std::fs::rename(&other, &mbox).unwrap();
    login(&office, "alice").await.say("STAT", "+OK 1 ").await;
    login(&office, "bob").await.say("STAT", "+OK 1 ").await;
}

/// Sets when a file was changed last.
fn age(path: &Path, time: SystemTime) {
    std::fs::File::open(path).unwrap().set_modified(time).unwrap();
}

#[tokio::test]
async fn what_nobody_has_seen_never_expires() {
    let old = SystemTime::now() - Duration::from_secs(31 * 24 * 60 * 60);
    let seconds = old.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expiring = |format| {
        let mut config = config(format);
        config.pop3.expire = Expire::Days(30);
        config
    };
    for format in FILES {
        let data = tempfile::tempdir().unwrap();
        let home = data.path().join("mail/alice");
        match format {
            StoreFormat::Maildir => {
                for part in ["tmp", "new", "cur"] {
                    std::fs::create_dir_all(home.join("Maildir").join(part)).unwrap();
                }
                for (name, subject) in
                    [("new/{}.1.h", "new"), ("cur/{}.2.h", "listed"), ("cur/{}.3.h:2,S", "seen")]
                {
                    let path = home.join("Maildir").join(name.replace("{}", &seconds.to_string()));
                    std::fs::write(&path, format!("Subject: {subject}\n\n")).unwrap();
                    age(&path, old);
                }
            }
            StoreFormat::Mbox => {
                std::fs::create_dir_all(&home).unwrap();
                let message = |subject: &str, status: &str| {
                    format!("From s@x.test Tue Jan  2 03:04:05 2001\nSubject: {subject}\n{status}\nx\n\n")
                };
                let messages =
                    [message("new", ""), message("listed", "Status: O\n"), message("seen", "Status: RO\n")];
                std::fs::write(home.join("mbox"), messages.concat()).unwrap();
            }
            _ => {
                // As procmail and nmh's slocal leave it: nothing tells whether somebody has read it.
                std::fs::create_dir_all(home.join("Mail/inbox")).unwrap();
                for (name, subject) in [("1", "new"), ("2", "listed")] {
                    let path = home.join("Mail/inbox").join(name);
                    std::fs::write(&path, format!("Subject: {subject}\n\n")).unwrap();
                    age(&path, old);
                }
            }
        }
        match builder(data.path(), expiring(format)).start().await {
            Ok(office) => drop(login(&office, "alice").await),
            Err(error) => {
                assert!(matches!(&error, StartError::Expire(StoreFormat::Mh)), "{format}: {error}");
                assert_eq!(error.keys(), [vec!["pop3", "expire"], vec!["store"]]);
            }
        }
        let office = start(data.path(), format).await;
        let mut client = login(&office, "alice").await;
        client.say("STAT", "+OK 2 ").await;
        let mut left = Vec::new();
        for number in 1..=2 {
            left.extend(client.text(&format!("RETR {number}")).await);
        }
        let left = String::from_utf8(left).unwrap();
        assert!(
            left.contains("Subject: new\r\n") && left.contains("Subject: listed\r\n"),
            "{format}: {left}"
        );
    }
    let data = tempfile::tempdir().unwrap();
    let mut discarding = expiring(StoreFormat::Mh);
    discarding.discard = true;
    assert!(builder(data.path(), discarding).start().await.is_ok(), "there is nothing that could expire");
}

#[tokio::test]
async fn what_a_store_cannot_do_keeps_the_office_from_starting() {
    let data = tempfile::tempdir().unwrap();
    for format in [StoreFormat::Mbox, StoreFormat::Mh] {
        let error = PostOffice::builder().user("alice", "x").store(format).start().await.unwrap_err();
        assert!(matches!(error, StartError::NoData(_)), "{error}");
        assert_eq!(error.keys(), [["store"]]);
        let mut crlf = config(format);
        crlf.line_endings = LineEndings::Crlf;
        let error = builder(data.path(), crlf).start().await.unwrap_err();
        let expected = format!("expected line_endings = \"lf\" for the store {format}, found \"crlf\"");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.keys(), [["line_endings"], ["store"]]);
    }
    let rc = write_rc(data.path(), "bob", ":0\nbox\n");
    let error = builder(data.path(), config(StoreFormat::Memory)).start().await.unwrap_err();
    assert!(matches!(&error, StartError::Filter(RulesError::InMemory { path }) if *path == rc), "{error}");
    assert_eq!(error.keys(), [["store"]]);
    let mut unfiltered = config(StoreFormat::Memory);
    unfiltered.filter.enabled = false;
    assert!(builder(data.path(), unfiltered).start().await.is_ok());

    let root = maildrop::MailRoot::new(data.path().join("mail"));
    let maildir = root.create(&maildrop::UserName::parse("bob").unwrap()).unwrap();
    assert!(builder(data.path(), config(StoreFormat::Mh)).start().await.is_ok());
    maildir.set_quota(Some("5000S".parse().unwrap())).unwrap();
    for format in [StoreFormat::Mbox, StoreFormat::Mh] {
        let error = builder(data.path(), config(format)).start().await.unwrap_err();
        let StartError::Quota { path, store } = &error else { panic!("{error}") };
        assert_eq!((path, *store), (&maildir.path().join("maildirsize"), format));
        assert_eq!(error.keys(), [["store"]]);
    }
    assert!(builder(data.path(), config(StoreFormat::Maildir)).start().await.is_ok());
}

#[tokio::test]
async fn the_builder_has_the_last_word_on_the_store() {
    let data = tempfile::tempdir().unwrap();
    let users = |builder: Builder| {
        builder.domain("local.test").user("alice", "x").listen(Service::Smtp, "127.0.0.1:0")
    };
    for (builder, expected) in [
        (PostOffice::builder().data(data.path().join("1")).store(StoreFormat::Mbox), "1/mail/alice/mbox"),
        (PostOffice::builder().store(StoreFormat::Mbox).data(data.path().join("2")), "2/mail/alice/mbox"),
        (PostOffice::builder().data(data.path().join("3")), "3/mail/alice/Maildir"),
        (
            PostOffice::builder()
                .config(config(StoreFormat::Mbox))
                .data(data.path().join("4"))
                .store(StoreFormat::Mh),
            "4/mail/alice/Mail/inbox/1",
        ),
    ] {
        let office = users(builder).start().await.unwrap();
        deliver(&office, &["alice"], b"Subject: x\r\n\r\n").await;
        assert!(data.path().join(expected).exists(), "{expected}");
    }
    let in_memory = PostOffice::builder().store(StoreFormat::Mbox).data(data.path().join("5")).in_memory();
    let office = users(in_memory).start().await.unwrap();
    deliver(&office, &["alice"], b"Subject: x\r\n\r\n").await;
    assert!(!data.path().join("5").exists());
}

#[tokio::test]
async fn users_whose_mboxes_are_locked_keep_nobody_else_out() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config(StoreFormat::Mbox);
    config.timeouts.lock = Span(Duration::from_secs(60));
    let names: Vec<_> = (0..16).map(|number| format!("user{number}")).collect();
    let builder = builder(data.path(), config);
    let office =
        names.iter().fold(builder, |builder, name| builder.user(name, "secret")).start().await.unwrap();
    let mut waiting = Vec::new();
    for name in &names {
        let home = data.path().join("mail").join(name);
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("mbox"), "From s@x.test Tue Jan  2 03:04:05 2001\nSubject: x\n\nx\n\n")
            .unwrap();
        std::fs::write(home.join("mbox.lock"), "").unwrap();
        let mut client = Client::silent(office.addr(Service::Pop3).unwrap()).await;
        client.expect("+OK").await;
        client.say(&format!("USER {name}"), "+OK").await;
        client.send("PASS secret\r\n").await;
        waiting.push((client, home.join("mbox.lock")));
    }
    login(&office, "bob").await.say("QUIT", "+OK").await;
    for (client, lock) in &mut waiting {
        std::fs::remove_file(&*lock).unwrap();
        client.expect("+OK").await;
    }
    // Nor do those whose mail cannot be marked or removed yet.
    for (at, (client, lock)) in waiting.iter_mut().enumerate() {
        client.text("RETR 1").await;
        if at % 2 == 0 {
            client.say("DELE 1", "+OK").await;
        }
        std::fs::write(&*lock, "").unwrap();
        client.send("QUIT\r\n").await;
    }
    login(&office, "bob").await.say("QUIT", "+OK").await;
    for (client, lock) in &mut waiting {
        std::fs::remove_file(&*lock).unwrap();
        client.expect("+OK").await;
    }
}
