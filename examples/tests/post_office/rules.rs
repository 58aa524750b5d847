//! Rc files of users: where their mail goes, and what the client is told.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::client::{Client, LONG};
use mailwright::config::{BrokenRc, ByteSize, FilterConfig, Span};
use mailwright::office::{Builder, RulesError, StartError};
use mailwright::{PostOffice, Service};

pub(crate) fn builder(data: &Path) -> Builder {
    PostOffice::builder()
        .domain("local.test")
        .data(data)
        .user("alice", "secret")
        .user("bob", "geheim")
        .listen(Service::Smtp, "127.0.0.1:0")
        .listen(Service::Lmtp, "127.0.0.1:0")
}

pub(crate) async fn smtp(office: &PostOffice) -> Client {
    Client::connect(office.addr(Service::Smtp).unwrap()).await
}

pub(crate) fn write_rc(data: &Path, user: &str, text: &str) -> PathBuf {
    let folder = data.join("mail").join(user);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(".procmailrc");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// What lies in a folder of a user: the contents of its files.
pub(crate) fn files(data: &Path, user: &str, folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(data.join("mail").join(user).join(folder)) else { return Vec::new() };
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

/// The names in the folder of a user, but for the inbox and the rc file.
pub(crate) fn names(data: &Path, user: &str) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("mail").join(user)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "Maildir" && name != ".procmailrc");
    names.sort();
    names
}

#[tokio::test]
async fn mail_goes_where_the_rc_file_says_and_the_rest_to_the_inbox() {
    let data = tempfile::tempdir().unwrap();
    write_rc(
        data.path(),
        "alice",
        ":0:\n* ^Subject: box\nbox\n\n:0\n* ^Subject: dir\ndir/\n\n:0\n* ^Subject: mh\nmh/.\n\n\
         :0\n* ^Subject: none\n/dev/null\n\n:0 c\n* B ?? copy\ncopies/\n",
    );
    let office = builder(data.path()).start().await.unwrap();
    let mut client = smtp(&office).await;
    for subject in ["box", "box", "dir", "mh", "mh", "none", "rest"] {
        let text = format!("Subject: {subject}\r\n\r\nFrom here to there");
        let reply = client.deliver("alice@local.test", &text).await;
        assert!(reply.starts_with("250 2.0.0"), "{reply}");
    }
    let reply = client.deliver("alice@local.test", "Subject: c\r\n\r\na copy").await;
    assert!(reply.starts_with("250 2.0.0"), "{reply}");

    assert_eq!(names(data.path(), "alice"), ["box", "copies", "dir", "mh"]);
    let mbox = std::fs::read_to_string(data.path().join("mail/alice/box")).unwrap();
    let lines = |start: &str| mbox.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(
        (lines("From sender@client.test  "), lines("From "), lines(">From here")),
        (2, 2, 2),
        "{mbox}"
    );
    let filed = files(data.path(), "alice", "dir/new");
    assert_eq!(filed.len(), 1);
    assert!(
        filed[0].starts_with("Return-Path: <sender@client.test>\nDelivered-To: alice@local.test\n"),
        "{filed:?}"
    );
    assert!(filed[0].ends_with("Subject: dir\n\nFrom here to there\n"), "{filed:?}");
    let mut numbers: Vec<_> = std::fs::read_dir(data.path().join("mail/alice/mh"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    numbers.sort();
    assert_eq!(numbers, ["1", "2"]);
    assert_eq!(files(data.path(), "alice", "copies/new").len(), 1);
    assert_eq!(files(data.path(), "alice", "Maildir/new").len(), 2);
    assert_eq!(files(data.path(), "alice", "Maildir/tmp"), [] as [&str; 0]);

    let mail = office.wait_for(|mail| mail.subject() == "dir", LONG).await.unwrap();
    assert_eq!(mail.message().unwrap(), filed[0].as_bytes());
    assert!(mail.path().unwrap().parent().unwrap().ends_with("mail/alice/dir/new"), "{mail:?}");
    let mail = office.wait_for(|mail| mail.subject() == "box", LONG).await.unwrap();
    assert!(mail.path().unwrap().ends_with("mail/alice/box"), "{mail:?}");
}

#[tokio::test]
async fn messages_of_any_size_and_for_several_are_filed_whole() {
    let data = tempfile::tempdir().unwrap();
    write_rc(data.path(), "alice", ":0\nall/\n");
    let office = builder(data.path()).start().await.unwrap();
    let mut client = smtp(&office).await;
    for (size, first, second) in [(10, "alice", "bob"), (70_000, "bob", "alice"), (3_000_000, "alice", "bob")]
    {
        let body: String = (0..size / 8).map(|n| format!("{n:06}\r\n")).collect();
        client.say("EHLO client.test", "250").await;
        client.say("MAIL FROM:<s@x.test>", "250").await;
        client.say(&format!("RCPT TO:<{first}@local.test>"), "250").await;
        client.say(&format!("RCPT TO:<{second}@local.test>"), "250").await;
        client.say("DATA", "354").await;
        client.send(format!("Subject: {size}\r\n\r\n{body}.\r\n")).await;
        client.expect("250 2.0.0").await;
        let expected = format!("Subject: {size}\n\n{}", body.replace("\r\n", "\n"));
        for (user, folder) in [("alice", "all/new"), ("bob", "Maildir/new")] {
            let found = files(data.path(), user, folder);
            let whole = |file: &&String| {
                file.ends_with(&expected) && file.contains(&format!("Delivered-To: {user}@local.test\n"))
            };
            assert_eq!(found.iter().filter(whole).count(), 1, "{size} for {user}");
        }
    }
    assert_eq!(files(data.path(), "alice", "Maildir/new"), [] as [&str; 0]);
}

#[tokio::test]
async fn what_the_rc_file_exits_with_is_told_to_the_client() {
    let data = tempfile::tempdir().unwrap();
    let office =
        |rc: &str| builder(data.path()).rules("alice", format!("EXITCODE={rc}\n:0\n/dev/null\n")).start();
    for (code, expected) in
        [("0", "250 2.0.0"), ("67", "550 5.1.1"), ("69", "554 5.7.1"), ("75", "451 4.3.0")]
    {
        let office = office(code).await.unwrap();
        let reply = smtp(&office).await.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
        assert!(reply.starts_with(expected), "{code}: {reply}");
    }
    assert_eq!(files(data.path(), "alice", "Maildir/new"), [] as [&str; 0]);
}

#[tokio::test]
async fn with_smtp_all_or_none_gets_it_with_lmtp_each_for_itself() {
    let data = tempfile::tempdir().unwrap();
    let rules = "EXITCODE=67\n:0\n/dev/null\n";
    let office = builder(data.path()).rules("alice", rules).start().await.unwrap();
    let mut client = Client::connect(office.addr(Service::Lmtp).unwrap()).await;
    client.say("LHLO client.test", "250").await;
    client.say("MAIL FROM:<s@x.test>", "250").await;
    client.say("RCPT TO:<alice@local.test>", "250").await;
    client.say("RCPT TO:<bob@local.test>", "250").await;
    client.say("DATA", "354").await;
    client.send("Subject: x\r\n\r\nhi\r\n.\r\n").await;
    client.expect("550 5.1.1").await;
    client.expect("250 2.1.5").await;
    assert_eq!(files(data.path(), "bob", "Maildir/new").len(), 1);
    let mut client = smtp(&office).await;
    client.say("EHLO client.test", "250").await;
    client.say("MAIL FROM:<s@x.test>", "250").await;
    client.say("RCPT TO:<bob@local.test>", "250").await;
    client.say("RCPT TO:<alice@local.test>", "250").await;
    client.say("DATA", "354").await;
    client.send("Subject: x\r\n\r\nhi\r\n.\r\n").await;
    client.expect("550 5.1.1").await;
    assert_eq!(files(data.path(), "bob", "Maildir/new").len(), 1);
    assert_eq!(files(data.path(), "bob", "Maildir/tmp"), [] as [&str; 0]);
}

#[tokio::test]
async fn a_broken_rc_file_defers_or_leaves_all_to_the_inbox() {
    for (broken, expected, count) in [(BrokenRc::Defer, "451 4.3.5", 0), (BrokenRc::Inbox, "250 2.0.0", 1)] {
        let texts = [
            (":0\n* x\n{\n:0\nx/\n", 0o600),
            ("}\n", 0o600),
            ("* x\n", 0o600),
            (":0\nx/\n", 0o622),
            ("INCLUDERC=other\n", 0o600),
        ];
        for (text, mode) in texts {
            let data = tempfile::tempdir().unwrap();
            let rc = write_rc(data.path(), "alice", text);
            std::fs::set_permissions(&rc, std::fs::Permissions::from_mode(mode)).unwrap();
            std::fs::write(rc.with_file_name("other"), ":0\n").unwrap();
            let mut filter = FilterConfig::default();
            filter.broken = broken;
            let office = builder(data.path()).filter(filter).start().await.unwrap();
            let reply = smtp(&office).await.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
            assert!(reply.starts_with(expected), "{text:?}: {reply}");
            assert_eq!(files(data.path(), "alice", "Maildir/new").len(), count, "{text:?}");
            assert_eq!(names(data.path(), "alice"), ["other"], "{text:?}");
        }
    }
}

#[tokio::test]
async fn where_programs_may_not_run_mail_that_wants_one_is_deferred_before_anything_is_filed() {
    for rc in [
        ":0\n| cat >file\n",
        ":0 c\nx/\n:0 fw\n| cat\n",
        ":0 c\n{\n :0 c\n x/\n :0\n | true\n}\n",
        "A=`date`\n",
        ":0\n* ? true\nx\n",
        ":0\n! bob\n",
        "X=|cat\n:0\nX=| cat\n",
        "TRAP='echo x >y'\n:0\nx/\n",
    ] {
        let data = tempfile::tempdir().unwrap();
        let office = builder(data.path()).rules("alice", rc).start().await.unwrap();
        let reply = smtp(&office).await.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
        assert!(reply.starts_with("451 4.3.5"), "{rc:?}: {reply}");
        assert_eq!(names(data.path(), "alice"), [] as [&str; 0], "{rc:?}");
        assert_eq!(files(data.path(), "alice", "Maildir/new"), [] as [&str; 0], "{rc:?}");
    }
    let data = tempfile::tempdir().unwrap();
    let office = builder(data.path()).rules("alice", ":0\n* ^Subject: y\n| cat\n").start().await.unwrap();
    let reply = smtp(&office).await.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
    assert!(reply.starts_with("250"), "{reply}");
}

#[tokio::test]
async fn nothing_outside_of_the_users_folder_is_reached() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.rc");
    std::fs::write(&secret, ":0\nread/\n").unwrap();
    let place = outside.path().to_str().unwrap();
    for rc in [
        format!(":0:\n{place}/mbox\n"),
        format!(":0\n{place}/maildir/\n"),
        format!("MAILDIR={place}\n:0\nmbox\n"),
        format!("LOGFILE={place}/log\nLOG=x\n"),
        format!("LOCKFILE={place}/lock\nLOCKSLEEP=0\n:0: {place}/x.lock\n* z\ny\n"),
        format!("INCLUDERC={place}/secret.rc\n"),
        format!("SWITCHRC={place}/secret.rc\n"),
        ":0\n../bob/Maildir/\n".to_owned(),
        ":0\nlink/mbox\n".to_owned(),
        ":0\nlink/../../x\n".to_owned(),
        format!(":0\ninner/ {place}/linked/\n"),
        "DEFAULT=/etc/nowhere\n".to_owned(),
    ] {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("mail/alice");
        std::fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.join("link")).unwrap();
        let office = builder(data.path()).rules("alice", rc.as_str()).start().await.unwrap();
        let reply = smtp(&office).await.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
        assert!(reply.starts_with("250"), "{rc:?}: {reply}");
        let left: Vec<_> =
            std::fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["secret.rc"], "{rc:?}");
        assert!(!data.path().join("mail/bob").exists(), "{rc:?}");
        assert!(!folder.join("read").exists(), "{rc:?}");
        let inside = |folder| files(data.path(), "alice", folder).len();
        let mailboxes = names(data.path(), "alice").iter().filter(|name| *name == "mbox").count();
        assert_eq!(inside("Maildir/new") + inside("inner/new") + mailboxes, 1, "{rc:?}");
    }
}

#[tokio::test]
async fn rc_files_are_included_from_the_users_folder_and_those_that_are_named() {
    let (data, library) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_rc(
        data.path(),
        "alice",
        &format!("INCLUDERC=$HOME/one.rc\nINCLUDERC={}/two.rc\n", library.path().display()),
    );
    std::fs::write(data.path().join("mail/alice/one.rc"), ":0\n* ^Subject: one\none/\n").unwrap();
    std::fs::write(library.path().join("two.rc"), ":0\n* ^Subject: two\ntwo/\n").unwrap();
    let mut filter = FilterConfig::default();
    filter.includes = vec![library.path().to_owned()];
    let office = builder(data.path()).filter(filter).start().await.unwrap();
    for subject in ["one", "two"] {
        let text = format!("Subject: {subject}\r\n\r\nhi");
        let reply = smtp(&office).await.deliver("alice@local.test", &text).await;
        assert!(reply.starts_with("250"), "{reply}");
        assert_eq!(files(data.path(), "alice", &format!("{subject}/new")).len(), 1);
    }
}

#[tokio::test]
async fn programs_run_where_they_may_and_end_in_time() {
    if rustix::process::geteuid().is_root() {
        let mut filter = FilterConfig::default();
        filter.programs = true;
        let data = tempfile::tempdir().unwrap();
        let error = builder(data.path()).filter(filter.clone()).start().await.unwrap_err();
        assert!(matches!(error, StartError::Filter(RulesError::NobodyToRunAs)), "{error}");
        filter.run_as = Some("root".to_owned());
        let error = builder(data.path()).filter(filter).start().await.unwrap_err();
        assert!(matches!(error, StartError::Filter(RulesError::Root)), "{error}");
    }
    for (rc, expected) in [
        // Programs are fed an empty line at the end, as procmail does it.
        (":0 fw\n| sed 's/^Subject:.*/Subject: changed/'\n", "Subject: changed\n\nhi\n\n"),
        (":0 w\n| exit 1\n", "Subject: x\n\nhi\n"),
        // Neither ends of its own accord.
        (":0 w\n| exec sleep 1000\n", "Subject: x\n\nhi\n"),
        (":0 fw\n| yes\n", "Subject: x\n\nhi\n"),
    ] {
        let data = tempfile::tempdir().unwrap();
        std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut filter = programs();
        filter.program_time = Span(std::time::Duration::from_millis(300));
        filter.program_output = ByteSize(100_000);
        let office = builder(data.path()).filter(filter).rules("alice", rc).start().await.unwrap();
        let reply = smtp(&office).await.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
        assert!(reply.starts_with("250"), "{rc:?}: {reply}");
        let filed = files(data.path(), "alice", "Maildir/new");
        assert!(filed.len() == 1 && filed[0].ends_with(expected), "{rc:?}: {filed:?}");
    }
}

/// A table by which programs may run.
pub(crate) fn programs() -> FilterConfig {
    let mut filter = FilterConfig::default();
    filter.programs = true;
    filter.run_as = rustix::process::geteuid().is_root().then(|| "nobody".to_owned());
    filter
}

#[tokio::test]
async fn comsat_tells_this_host_where_that_is_allowed() {
    let service = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    service.set_read_timeout(Some(LONG)).unwrap();
    let port = service.local_addr().unwrap().port();
    for allowed in [false, true] {
        let data = tempfile::tempdir().unwrap();
        let mut filter = programs();
        filter.notices = allowed;
        let rc = format!("COMSAT={port}@127.0.0.1\n:0\n{allowed}\n");
        let office = builder(data.path()).filter(filter).rules("alice", rc).start().await.unwrap();
        let reply = smtp(&office).await.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
        assert!(reply.starts_with("250"), "{reply}");
    }
    let mut buffer = [0; 1024];
    let (size, _) = service.recv_from(&mut buffer).unwrap();
    let told = String::from_utf8_lossy(&buffer[..size]).into_owned();
    assert!(told.starts_with("alice@0:") && told.ends_with("/true"), "{told}");
}

#[tokio::test]
async fn a_lock_that_stays_defers_the_mail_of_its_user_and_holds_up_no_other() {
    let data = tempfile::tempdir().unwrap();
    write_rc(data.path(), "alice", "LOCKSLEEP=1\n:0: stays.lock\nx\n");
    write_rc(data.path(), "bob", ":0\ny/\n");
    std::fs::write(data.path().join("mail/alice/stays.lock"), "0").unwrap();
    let mut filter = FilterConfig::default();
    filter.time = Span(std::time::Duration::from_millis(500));
    filter.at_once = 2;
    let office = builder(data.path()).filter(filter).start().await.unwrap();
    let mut clients = [smtp(&office).await, smtp(&office).await, smtp(&office).await];
    let [one, another, other] = &mut clients;
    let message = "Subject: x\r\n\r\nhi";
    let mut held = Box::pin(async {
        tokio::join!(one.deliver("alice@local.test", message), another.deliver("alice@local.test", message))
    });
    tokio::select! {
        _ = &mut held => panic!("both wait for the lock"),
        filed = other.deliver("bob@local.test", message) => assert!(filed.starts_with("250"), "{filed}"),
    }
    let (one, another) = held.await;
    assert!(one.starts_with("451 4.3.0") && another.starts_with("451 4.3.0"), "{one} {another}");
    assert_eq!(names(data.path(), "alice"), ["stays.lock"]);
}

#[tokio::test]
async fn rc_files_that_would_never_end_or_fill_the_memory_harm_nobody_else() {
    for rc in [
        ":0c\n{ SWITCHRC=.procmailrc }\n",
        ":0c\n{ SWITCHRC=.procmailrc }\n:0c\n{ SWITCHRC=.procmailrc }\n",
        ":0cw\n{ SWITCHRC=.procmailrc }\n",
        "SWITCHRC=.procmailrc\n",
        "INCLUDERC=.procmailrc\n",
        "LINEBUF=99999999999999\nA=aaaaaaaaaaaaaaaa\nA=$A$A$A$A$A$A$A$A\nSWITCHRC=.procmailrc\n",
        "LOGFILE=pipe\nLOG=x\n",
        "INCLUDERC=pipe\n",
        ":0\npipe\n",
        ":0B\n* 1^1 a\\/.*\nx\n",
    ] {
        let data = tempfile::tempdir().unwrap();
        let path = write_rc(data.path(), "alice", rc);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path.with_file_name("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let mut filter = FilterConfig::default();
        filter.time = Span(std::time::Duration::from_secs(5));
        let office = builder(data.path()).filter(filter).start().await.unwrap();
        let message = format!("Subject: x\r\n\r\n{}", "a".repeat(20_000));
        let deliver = async { smtp(&office).await.deliver("alice@local.test", &message).await };
        let reply = tokio::time::timeout(std::time::Duration::from_secs(60), deliver).await.expect(rc);
        assert!(reply.starts_with("250") || reply.starts_with("451"), "{rc:?}: {reply}");
        let reply = smtp(&office).await.deliver("bob@local.test", "Subject: x\r\n\r\nhi").await;
        assert!(reply.starts_with("250"), "{rc:?}: {reply}");
    }
}

#[tokio::test]
async fn rules_that_only_compute_end_in_time() {
    let data = tempfile::tempdir().unwrap();
    let message = format!("Subject: x\r\n\r\nc\r\n{}", "a".repeat(300_000));
    for mut filter in [FilterConfig::default(), programs()] {
        filter.time = Span(std::time::Duration::from_millis(50));
        // Minutes of work.
        let rc = ":0B\n* (a|b)+c\nbox\n".repeat(20_000);
        let office = builder(data.path()).filter(filter).rules("alice", rc).start().await.unwrap();
        let deliver = async { smtp(&office).await.deliver("alice@local.test", &message).await };
        let reply = tokio::time::timeout(LONG, deliver).await.expect("it ends in time");
        assert!(reply.starts_with("451 4.3.0"), "{reply}");
        assert_eq!(files(data.path(), "alice", "Maildir/new"), [] as [&str; 0]);
    }
}

#[tokio::test]
async fn rules_from_code_are_checked_when_the_office_starts() {
    let data = tempfile::tempdir().unwrap();
    let error = builder(data.path()).rules("alice", ":0\n* x\n").start().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "expected an rc file for user \"alice\", found in line 1, column 1 a recipe that the end of the file cuts off"
    );
    let office = PostOffice::builder().user("alice", "x").rules("alice", ":0\nx/\n").start().await;
    assert!(matches!(office.unwrap_err(), StartError::Filter(RulesError::NoData)));
}
