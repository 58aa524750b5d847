//! Scripted failures of POP3 sessions.

use std::time::{Duration, Instant};

use super::{connect, listing, login_as};
use crate::client::Client;
use mailwright::office::{FaultRule, Stage};
use mailwright::{PostOffice, Service};

/// An office with these failures, and a message for alice and one for bob.
async fn office(rules: impl IntoIterator<Item = FaultRule>) -> PostOffice {
    let builder = PostOffice::builder().domain("local.test").user("alice", "secret").user("bob", "secret");
    let builder = builder.listen(Service::Smtp, "127.0.0.1:0").listen(Service::Pop3, "127.0.0.1:0").no_tls();
    let office = rules.into_iter().fold(builder, |builder, rule| builder.fault(rule)).start().await.unwrap();
    for user in ["alice", "bob"] {
        let mut client = Client::connect(office.addr(Service::Smtp).unwrap()).await;
        let message = format!("Subject: x\r\n\r\n{}", "a line of text\r\n".repeat(20_000));
        client.deliver(&format!("{user}@local.test"), &message).await;
    }
    office
}

#[tokio::test]
async fn logins_are_refused_as_the_rules_say() {
    let at = |user: &str| FaultRule::at(Stage::Maildrop).matching(user).times(1);
    let office = office([
        at("alice").refuse_pop3("IN-USE", "still open elsewhere"),
        at("alice").refuse(451, (4, 3, 0), "come back"),
        at("alice").disk_full(),
        at("bob").drop_connection(),
    ])
    .await;
    let mut client = connect(&office).await;
    for refusal in ["-ERR [IN-USE] still open elsewhere", "-ERR [SYS/TEMP] come back", "-ERR [SYS/TEMP] "] {
        client.say("USER alice", "+OK").await;
        client.say("PASS secret", refusal).await;
    }
    login_as(&mut client, "alice", "secret").await;
    let mut client = connect(&office).await;
    client.say("USER bob", "+OK").await;
    client.send("PASS secret\r\n").await;
    client.expect_end().await;
    login_as(&mut connect(&office).await, "bob", "secret").await;
}

#[tokio::test]
async fn a_message_breaks_off_in_the_middle() {
    let office = office([
        FaultRule::at(Stage::Retrieve).matching("alice").times(1).break_off_after(200_000),
        FaultRule::at(Stage::Retrieve).matching("alice").times(1).break_off_after(0),
        FaultRule::at(Stage::Retrieve).matching("bob").times(1).refuse_pop3("SYS/TEMP", "disk asleep"),
    ])
    .await;
    for octets in [200_000_usize, 0] {
        let mut client = connect(&office).await;
        login_as(&mut client, "alice", "secret").await;
        client.send("RETR 1\r\nDELE 1\r\nQUIT\r\n").await;
        client.expect("+OK ").await;
        let rest = client.rest().await;
        // A CR waits for its LF.
        let at_cr = octets.saturating_sub(1);
        assert!((at_cr..=octets).contains(&rest.len()), "and nothing else was sent: {}", rest.len());
    }
    let mut client = connect(&office).await;
    login_as(&mut client, "alice", "secret").await;
    assert!(listing(&mut client, "RETR 1").await.len() > 20_000);
    let mut client = connect(&office).await;
    login_as(&mut client, "bob", "secret").await;
    client.say("RETR 1", "-ERR [SYS/TEMP] disk asleep").await;
    assert!(listing(&mut client, "RETR 1").await.len() > 20_000);
}

#[tokio::test]
async fn quit_fails_and_removes_nothing() {
    let office = office([FaultRule::at(Stage::Commit).times(1).refuse_pop3("SYS/TEMP", "disk asleep")]).await;
    for (reply, left) in [("-ERR [SYS/TEMP] disk asleep", 1), ("+OK", 0)] {
        let mut client = connect(&office).await;
        login_as(&mut client, "alice", "secret").await;
        client.say("DELE 1", "+OK").await;
        client.say("QUIT", reply).await;
        client.expect_end().await;
        let mut client = connect(&office).await;
        login_as(&mut client, "alice", "secret").await;
        client.say("STAT", &format!("+OK {left} ")).await;
        client.half_close().await;
        client.expect_end().await;
    }
}

#[tokio::test]
async fn each_answer_can_be_slow() {
    let time = Duration::from_millis(150);
    // Two clients bring mail before.
    let connect = FaultRule::at(Stage::Connect).after(2).delay(time);
    let others =
        [Stage::Maildrop, Stage::Retrieve, Stage::Commit].map(|stage| FaultRule::at(stage).delay(time));
    let office = office(std::iter::once(connect).chain(others)).await;
    let mut client = Client::silent(office.addr(Service::Pop3).unwrap()).await;
    client.send("USER alice\r\n").await;
    for (command, slow) in [("", true), ("", false), ("PASS secret", true), ("RETR 1", true), ("QUIT", true)]
    {
        let began = Instant::now();
        if !command.is_empty() {
            client.send(format!("{command}\r\n")).await;
        }
        client.expect("+OK").await;
        assert!(began.elapsed() >= time || !slow, "{command}");
        while command == "RETR 1" && client.reply().await != ".\r\n" {}
    }
    client.expect_end().await;
}
