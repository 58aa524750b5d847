//! What `[pop3]` has offered and done.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{connect, listing, login_as};
use mailwright::config::{Expire, Pop3Config, Span, Utf8, WithoutUtf8};
use mailwright::office::Builder;
use mailwright::{PostOffice, Service};

fn builder(set: impl FnOnce(&mut Pop3Config)) -> Builder {
    let mut pop3 = Pop3Config::default();
    set(&mut pop3);
    let builder = PostOffice::builder().domain("local.test").no_tls().pop3(pop3);
    let builder = builder.user("alice", "secret").user("jürgen", "pässwort");
    builder.listen(Service::Smtp, "127.0.0.1:0").listen(Service::Pop3, "127.0.0.1:0")
}

/// Writes messages into a Maildir of alice's, each by its file's name with the folder before.
fn fill(data: &Path, files: &[(&str, &str)]) -> PathBuf {
    let maildir = data.join("mail/alice/Maildir");
    for folder in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(maildir.join(folder)).unwrap();
    }
    for (name, text) in files {
        std::fs::write(maildir.join(name), text).unwrap();
    }
    maildir
}

fn names(folder: PathBuf) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn capa_tells_what_is_configured() {
    let data = tempfile::tempdir().unwrap();
    let office = builder(|_| {}).data(data.path()).start().await.unwrap();
    let mut client = connect(&office).await;
    let told = listing(&mut client, "CAPA").await;
    for expected in ["IMPLEMENTATION Mailwright", "EXPIRE NEVER", "UTF8 USER", "LANG"] {
        assert!(told.iter().any(|line| line == expected), "{expected}: {told:?}");
    }
    assert!(!told.iter().any(|line| line.starts_with("LOGIN-DELAY")), "{told:?}");
    assert_eq!(listing(&mut client, "LANG").await, ["en English"]);
    client.say("LANG *", "+OK en ").await;
    client.say("LANG en-GB", "-ERR").await;
    client.say("UTF8", "+OK").await;
    let office = builder(|pop3| {
        pop3.implementation = "Own".to_owned();
        pop3.implementation_after_login = true;
        pop3.login_delay = Span(Duration::from_secs(900));
        pop3.utf8 = Utf8::Off;
    });
    let office = office.start().await.unwrap();
    let mut client = connect(&office).await;
    let told = listing(&mut client, "CAPA").await;
    assert!(told.iter().any(|line| line == "LOGIN-DELAY 900"), "{told:?}");
    for word in ["IMPLEMENTATION", "UTF8", "LANG"] {
        assert!(!told.iter().any(|line| line.starts_with(word)), "{word}: {told:?}");
    }
    assert!(!told.iter().any(|line| line.starts_with("EXPIRE")), "mail in memory is forgotten: {told:?}");
    client.say("LANG", "-ERR").await;
    client.say("UTF8", "-ERR").await;
    login_as(&mut client, "alice", "secret").await;
    assert!(listing(&mut client, "CAPA").await.iter().any(|line| line == "IMPLEMENTATION Own"));
}

#[tokio::test]
async fn who_comes_back_too_soon_is_told_to_wait() {
    let office = builder(|pop3| pop3.login_delay = Span(Duration::from_secs(900))).start().await.unwrap();
    let mut first = connect(&office).await;
    first.say("USER alice", "+OK").await;
    first.say("PASS wrong", "-ERR [AUTH]").await;
    login_as(&mut first, "alice", "secret").await;
    first.say("QUIT", "+OK").await;
    let mut second = connect(&office).await;
    second.say("USER alice", "+OK").await;
    second.say("PASS secret", "-ERR [LOGIN-DELAY]").await;
    login_as(&mut second, "jürgen", "pässwort").await;
}

#[tokio::test]
async fn names_and_passwords_may_be_beyond_ascii_however_they_are_composed() {
    let office = builder(|_| {}).start().await.unwrap();
    for (user, password) in [
        ("jürgen", "pässwort"),
        ("ju\u{308}rgen", "pa\u{308}sswort"),
        ("\u{ad}jürgen@local.test", "pässwort"),
    ] {
        login_as(&mut connect(&office).await, user, password).await;
    }
    let office = builder(|pop3| pop3.utf8 = Utf8::On).start().await.unwrap();
    connect(&office).await.say("USER jürgen", "-ERR names are ASCII here").await;
}

#[tokio::test]
async fn messages_with_utf8_in_their_header_are_sent_to_all_or_to_those_who_say_utf8() {
    let data = tempfile::tempdir().unwrap();
    let far = format!("X: {}\nSubject: é\n\nx\n", "a".repeat(40_000));
    fill(
        data.path(),
        &[
            ("new/1.M1.host", "Subject: é\n\nx\n"),
            ("new/2.M2.host", "Subject: e\n\né\n"),
            ("new/3.M3.host", &far),
        ],
    );
    for (without_utf8, says_utf8, refused) in [
        (WithoutUtf8::Serve, false, false),
        (WithoutUtf8::Refuse, true, false),
        (WithoutUtf8::Refuse, false, true),
    ] {
        let office = builder(|pop3| {
            pop3.without_utf8 = without_utf8;
            pop3.mark_seen = false;
        });
        let office = office.data(data.path()).start().await.unwrap();
        let mut client = connect(&office).await;
        if says_utf8 {
            client.say("UTF8", "+OK").await;
        }
        login_as(&mut client, "alice", "secret").await;
        assert_eq!(listing(&mut client, "RETR 2").await, ["Subject: e", "", "é"]);
        for number in [1, 3] {
            if refused {
                client.say(&format!("RETR {number}"), "-ERR [UTF8]").await;
                client.say(&format!("TOP {number} 0"), "-ERR [UTF8]").await;
            } else {
                let lines = listing(&mut client, &format!("RETR {number}")).await;
                assert_eq!(lines[lines.len() - 3..], ["Subject: é", "", "x"]);
            }
        }
    }
}

#[tokio::test]
async fn what_was_collected_and_left_is_marked_as_seen() {
    for marks in [true, false] {
        let data = tempfile::tempdir().unwrap();
        let text = "Subject: x\n\nx\n";
        let names_of = ["1.M1.host", "2.M2.host", "3.M3.host", "4.M4.host"];
        let files = names_of.map(|name| format!("new/{name}"));
        let maildir = fill(data.path(), &files.each_ref().map(|file| (file.as_str(), text)));
        let office = builder(|pop3| pop3.mark_seen = marks).data(data.path()).start().await.unwrap();
        let mut client = connect(&office).await;
        login_as(&mut client, "alice", "secret").await;
        let ids = listing(&mut client, "UIDL").await;
        listing(&mut client, "RETR 1").await;
        client.half_close().await;
        client.expect_end().await;
        assert_eq!(names(maildir.join("new")), names_of, "a session that breaks off marks nothing");
        let mut client = connect(&office).await;
        login_as(&mut client, "alice", "secret").await;
        listing(&mut client, "RETR 1").await;
        listing(&mut client, "TOP 2 100").await;
        listing(&mut client, "RETR 3").await;
        listing(&mut client, "RETR 4").await;
        client.say("DELE 4", "+OK").await;
        client.say("QUIT", "+OK").await;
        client.expect_end().await;
        let (left, seen) = (names(maildir.join("new")), names(maildir.join("cur")));
        match marks {
            true => {
                assert_eq!(left, ["2.M2.host"]);
                assert!(seen.iter().all(|name| name.ends_with(":2,S")), "{seen:?}");
                assert_eq!(seen.len(), 2);
            }
            false => assert_eq!((left.len(), seen.len()), (3, 0)),
        }
        let mut client = connect(&office).await;
        login_as(&mut client, "alice", "secret").await;
        assert_eq!(listing(&mut client, "UIDL").await, ids[..3]);
    }
}

#[tokio::test]
async fn what_was_seen_expires_and_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let day = 24 * 60 * 60;
    let (old, young) = (now - 30 * day - 60, now - 30 * day + 600);
    let files = [
        format!("cur/{old}.M1.host:2,S"),
        format!("cur/{old}.M2.host:2,"),
        format!("new/{old}.M3.host"),
        format!("cur/{young}.M4.host:2,S"),
        format!("cur/{old}.M5.host:2,FS"),
    ];
    let maildir = fill(data.path(), &files.each_ref().map(|file| (file.as_str(), "Subject: x\n\n")));
    let office = builder(|_| {}).data(data.path()).start().await.unwrap();
    let mut client = connect(&office).await;
    login_as(&mut client, "alice", "secret").await;
    client.say("STAT", "+OK 5 ").await;
    client.say("QUIT", "+OK").await;
    let office = builder(|pop3| pop3.expire = Expire::Days(30)).data(data.path()).start().await.unwrap();
    let mut client = connect(&office).await;
    assert!(listing(&mut client, "CAPA").await.iter().any(|line| line == "EXPIRE 30"));
    login_as(&mut client, "alice", "secret").await;
    client.say("STAT", "+OK 4 ").await;
    assert_eq!(names(maildir.join("new")), [format!("{old}.M3.host")]);
    let kept = [format!("{old}.M2.host:2,"), format!("{old}.M5.host:2,FS"), format!("{young}.M4.host:2,S")];
    assert_eq!(names(maildir.join("cur")), kept);
}
