//! POP3 sessions with the whole server: mail comes in by SMTP and is collected.

mod auth;
mod faults;
mod policy;

use std::net::IpAddr;
use std::path::Path;

use crate::client::{Client, LONG};
use crate::log::log;
use mailwright::{PostOffice, Service};

/// An office without TLS, and with mail for alice: in memory, or in a folder.
async fn office(data: Option<&Path>, messages: &[&str]) -> PostOffice {
    let builder = PostOffice::builder().domain("local.test").user("alice", "two words ").no_tls();
    let builder = builder.listen(Service::Smtp, "127.0.0.1:0").listen(Service::Pop3, "127.0.0.1:0");
    let office = match data {
        Some(data) => builder.data(data),
        None => builder,
    };
    let office = office.start().await.unwrap();
    for message in messages {
        let mut client = Client::connect(office.addr(Service::Smtp).unwrap()).await;
        let reply = client.deliver("alice@local.test", message).await;
        assert!(reply.starts_with("250"), "{reply}");
    }
    office
}

/// A session up to the greeting.
async fn connect(office: &PostOffice) -> Client {
    let mut client = Client::silent(office.addr(Service::Pop3).unwrap()).await;
    client.expect("+OK ").await;
    client
}

async fn login(office: &PostOffice) -> Client {
    let mut client = connect(office).await;
    login_as(&mut client, "alice", "two words ").await;
    client
}

async fn login_as(client: &mut Client, user: &str, password: &str) {
    client.say(&format!("USER {user}"), "+OK").await;
    client.say(&format!("PASS {password}"), "+OK").await;
}

/// The lines behind a status, up to the one with the dot.
async fn listing(client: &mut Client, command: &str) -> Vec<String> {
    client.say(command, "+OK").await;
    let mut lines = Vec::new();
    loop {
        match client.reply().await.trim_end() {
            "." => return lines,
            line => lines.push(line.to_owned()),
        }
    }
}

#[tokio::test]
async fn mail_is_collected_wherever_it_is_kept() {
    let data = tempfile::tempdir().unwrap();
    for folder in [None, Some(data.path())] {
        let office = office(folder, &["Subject: one\r\n\r\n..dot\r\nend", "Subject: two\r\n\r\n"]).await;
        let mut client = login(&office).await;
        let sizes = listing(&mut client, "LIST").await;
        assert_eq!(sizes.len(), 2);
        let message = listing(&mut client, "RETR 1").await;
        let octets: usize = message
            .iter()
            .map(|line| line.strip_prefix("..").map_or(line.len(), |rest| rest.len() + 1) + 2)
            .sum();
        assert_eq!(sizes[0], format!("1 {octets}"), "{message:?}");
        assert!(message[0].starts_with("Return-Path: <sender@client.test>"), "{message:?}");
        assert!(message.ends_with(&["Subject: one", "", "..dot", "end"].map(str::to_owned)), "{message:?}");
        let top = listing(&mut client, "TOP 1 1").await;
        assert_eq!(top, message[..message.len() - 1]);
        client.say("DELE 1", "+OK").await;
        client.say("QUIT", "+OK").await;
        client.expect_end().await;
        let mut client = login(&office).await;
        let left = listing(&mut client, "RETR 1").await;
        assert!(left.contains(&"Subject: two".to_owned()), "{left:?}");
        client.say("RETR 2", "-ERR").await;
    }
}

#[tokio::test]
async fn a_session_that_breaks_off_removes_nothing_and_lets_the_next_one_in() {
    let data = tempfile::tempdir().unwrap();
    for folder in [None, Some(data.path())] {
        let office = office(folder, &["Subject: one\r\n\r\n"]).await;
        let mut first = login(&office).await;
        first.say("DELE 1", "+OK").await;
        let mut second = connect(&office).await;
        second.say("USER alice", "+OK").await;
        second.say("PASS two words ", "-ERR [IN-USE]").await;
        first.half_close().await;
        first.expect_end().await;
        second.say("USER alice", "+OK").await;
        second.say("PASS two words ", "+OK").await;
        second.say("STAT", "+OK 1 ").await;
    }
}

#[tokio::test]
async fn unique_ids_outlive_the_server_and_other_messages() {
    let data = tempfile::tempdir().unwrap();
    let first = office(Some(data.path()), &["Subject: one\r\n\r\n", "Subject: two\r\n\r\n"]).await;
    let mut client = login(&first).await;
    let before = listing(&mut client, "UIDL").await;
    client.say("DELE 1", "+OK").await;
    client.say("QUIT", "+OK").await;
    first.shutdown().await;
    let second = office(Some(data.path()), &["Subject: three\r\n\r\n"]).await;
    let after = listing(&mut login(&second).await, "UIDL").await;
    assert_eq!(after.len(), 2);
    assert_eq!(after[0].strip_prefix("1 "), before[1].strip_prefix("2 "));
}

#[tokio::test]
async fn who_asks_for_one_message_after_the_other_finds_the_next_one_read() {
    let data = tempfile::tempdir().unwrap();
    let messages =
        ["Subject: one\r\n\r\n", "Subject: two\r\n\r\n", "Subject: three\r\n\r\n", "Subject: four\r\n\r\n"];
    let office = office(Some(data.path()), &messages).await;
    let mut client = login(&office).await;
    listing(&mut client, "RETR 1").await;
    listing(&mut client, "RETR 2").await;
    // The server runs on the thread of this test: it has read the third before it waited for the next command.
    for file in std::fs::read_dir(data.path().join("mail/alice/Maildir/new")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    client.say("NOOP", "+OK").await;
    client.say("DELE 2", "+OK").await;
    let third = listing(&mut client, "RETR 3").await;
    assert!(third.contains(&"Subject: three".to_owned()), "{third:?}");
    client.say("RETR 4", "-ERR").await;
    client.say("RETR 3", "-ERR").await;
}

#[tokio::test]
async fn a_message_that_another_program_removes_is_an_error_for_that_message_alone() {
    let data = tempfile::tempdir().unwrap();
    let office = office(Some(data.path()), &["Subject: one\r\n\r\n", "Subject: two\r\n\r\n"]).await;
    let mut client = login(&office).await;
    let new = data.path().join("mail/alice/Maildir/new");
    let mut names: Vec<_> = std::fs::read_dir(&new).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    std::fs::remove_file(&names[0]).unwrap();
    let moved = new.with_file_name("cur").join(format!("{}:2,S", names[1].file_name().unwrap().display()));
    std::fs::rename(&names[1], moved).unwrap();
    client.say("RETR 1", "-ERR").await;
    let found = listing(&mut client, "RETR 2").await;
    assert!(found.contains(&"Subject: two".to_owned()), "{found:?}");
    client.say("DELE 1", "+OK").await;
    client.say("QUIT", "+OK").await;
}

#[tokio::test]
async fn passwords_go_over_tls_only() {
    let builder = PostOffice::builder().domain("localhost").user("alice", "two words ").user("bob", "geheim");
    let builder = builder.listen(Service::Pop3, "127.0.0.1:0").listen(Service::Pop3s, "127.0.0.1:0");
    let office = builder.start().await.unwrap();
    let certificate = office.certificate_pem().unwrap().to_owned();
    let mut client = connect(&office).await;
    let capabilities = listing(&mut client, "CAPA").await;
    assert!(capabilities.contains(&"STLS".to_owned()) && !capabilities.contains(&"USER".to_owned()));
    client.say("USER alice", "-ERR").await;
    client.say("STLS", "+OK").await;
    let mut client = client.tls(&certificate).await;
    client.say("USER alice", "+OK").await;
    client.say("PASS two words ", "+OK").await;
    client.say("QUIT", "+OK").await;
    let client = Client::silent(office.addr(Service::Pop3s).unwrap()).await;
    let mut client = client.tls(&certificate).await;
    client.expect("+OK ").await;
    client.say("STLS", "-ERR").await;
    client.say("USER bob", "+OK").await;
    client.say("PASS geheim", "+OK").await;
}

#[tokio::test]
async fn a_server_that_stops_ends_its_sessions_and_removes_nothing() {
    let data = tempfile::tempdir().unwrap();
    let office = office(Some(data.path()), &["Subject: one\r\n\r\n"]).await;
    let mut client = login(&office).await;
    client.say("DELE 1", "+OK").await;
    tokio::time::timeout(LONG, office.shutdown()).await.unwrap();
    client.expect_end().await;
    assert_eq!(std::fs::read_dir(data.path().join("mail/alice/Maildir/new")).unwrap().count(), 1);
}

#[tokio::test]
async fn the_log_tells_who_collected_what_from_where() {
    let builder = PostOffice::builder().domain("local.test").user("wanda", "two words ").no_tls();
    let builder = builder.listen(Service::Smtp, "127.0.0.1:0").listen(Service::Pop3, "127.0.0.1:0");
    let office = builder.trust_proxy(IpAddr::from([127, 0, 0, 1])).start().await.unwrap();
    for subject in ["one", "two", "three"] {
        let mut client = Client::silent(office.addr(Service::Smtp).unwrap()).await;
        client.send("PROXY TCP4 192.0.2.8 198.51.100.1 1234 25\r\n").await;
        client.expect("220").await;
        client.deliver("wanda@local.test", &format!("Subject: {subject}\r\n\r\n")).await;
    }
    let before = log().len();
    let mut client = Client::silent(office.addr(Service::Pop3).unwrap()).await;
    client.send("PROXY TCP4 192.0.2.7 198.51.100.1 1234 110\r\n").await;
    client.expect("+OK").await;
    login_as(&mut client, "wanda", "two words ").await;
    let octets: usize = listing(&mut client, "RETR 1").await.iter().map(|line| line.len() + 2).sum();
    listing(&mut client, "RETR 1").await;
    listing(&mut client, "TOP 2 0").await;
    client.say("DELE 1", "+OK").await;
    client.say("DELE 3", "+OK").await;
    client.say("QUIT", "+OK").await;
    client.expect_end().await;
    office.shutdown().await;
    let told = log().since(before, "user=wanda");
    let logged_in =
        "logged in user=wanda method=USER client=192.0.2.7:1234 local=198.51.100.1:110 tls=false messages=3 ";
    let logged_out = format!("logged out user=wanda retrieved=2 octets={} tops=1 removed=2", 2 * octets);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains(logged_in) && told[1].ends_with(&logged_out), "{told:?}");
}
