//! SMTP, submission and LMTP sessions with the whole server, byte for byte.

use crate::client::{Client, LONG};
use mailwright::config::Config;
use mailwright::office::{FaultRule, Stage};
use mailwright::{PostOffice, Service};

async fn office() -> PostOffice {
    PostOffice::builder()
        .domain("local.test")
        .user("alice", "secret")
        .user("bob", "geheim")
        .listen(Service::Smtp, "127.0.0.1:0")
        .listen(Service::Lmtp, "127.0.0.1:0")
        .start()
        .await
        .unwrap()
}

async fn smtp(office: &PostOffice) -> Client {
    Client::connect(office.addr(Service::Smtp).unwrap()).await
}

#[tokio::test]
async fn mail_for_a_local_user_arrives_with_its_trace_fields() {
    let office = office().await;
    let mut client = smtp(&office).await;
    client
        .deliver("Alice+lists@LOCAL.test", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n..dot\r\nbye")
        .await;
    client.say("QUIT", "221").await;
    client.expect_end().await;

    let mail = office.wait_for(|mail| mail.user() == "alice", LONG).await.unwrap();
    assert_eq!(mail.subject(), "Grüße");
    assert_eq!(mail.text(), ".dot\r\nbye\r\n");
    assert_eq!((mail.from(), mail.to()), ("sender@client.test", "Alice+lists@LOCAL.test"));
    let message = String::from_utf8(mail.message().unwrap()).unwrap();
    let (trace, rest) = message.split_once("Subject:").unwrap();
    let lines: Vec<&str> = trace.lines().collect();
    assert_eq!(lines[0], "Return-Path: <sender@client.test>");
    assert_eq!(lines[1], "Delivered-To: Alice+lists@LOCAL.test");
    assert_eq!(lines[2], "Received: from client.test ([127.0.0.1])");
    assert!(lines[3].starts_with("\tby local.test with ESMTP id "), "{lines:?}");
    assert_eq!(lines[4], "\tfor <Alice+lists@LOCAL.test>;");
    assert!(rest.ends_with("\r\n\r\n.dot\r\nbye\r\n"));
}

#[tokio::test]
async fn a_return_path_that_came_along_is_replaced() {
    let office = office().await;
    let message = "Return-Path: <forged@x.test>\r\n folded\r\nSubject: x\r\n\r\nReturn-Path: stays";
    smtp(&office).await.deliver("alice@local.test", message).await;
    let mail = office.wait_for(|_| true, LONG).await.unwrap();
    let text = String::from_utf8(mail.message().unwrap()).unwrap();
    assert_eq!(text.matches("Return-Path:").count(), 2, "{text}");
    assert!(!text.contains("forged") && !text.contains("folded"), "{text}");
}

#[tokio::test]
async fn it_never_relays() {
    let office = office().await;
    let mut client = smtp(&office).await;
    client.say("EHLO client.test", "250").await;
    client.say("MAIL FROM:<alice@local.test>", "250").await;
    for (path, expected) in [
        ("<u@remote.test>", "550 5.7.1"),
        ("<u%remote.test@local.test>", "550 5.1.1"),
        ("<remote.test!u@local.test>", "550 5.1.1"),
        ("<@local.test:u@remote.test>", "550 5.7.1"),
        ("<\"u@remote.test\"@local.test>", "550 5.1.1"),
        ("<\"alice@local.test\"@local.test>", "550 5.1.1"),
        ("<u@remote.test@local.test>", "501"),
    ] {
        client.say(&format!("RCPT TO:{path}"), expected).await;
    }
    client.say("DATA", "554").await;
    assert!(office.mails().is_empty());
}

#[tokio::test]
async fn postmaster_is_always_somebody() {
    let office = PostOffice::builder()
        .domain("local.test")
        .hostname("mail.local.test")
        .user("alice", "secret")
        .listen(Service::Smtp, "127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let paths = [
        "<Postmaster>",
        "<postMASTER@local.test>",
        "<postmaster+detail@local.test>",
        "<postmaster@mail.local.test>",
        "<postmaster@[127.0.0.1]>",
    ];
    for path in paths {
        let mut client = smtp(&office).await;
        client.say("HELO client.test", "250").await;
        client.say("MAIL FROM:<>", "250").await;
        client.say(&format!("RCPT TO:{path}"), "250").await;
        client.say("DATA", "354").await;
        client.send("\r\nhelp\r\n.\r\n").await;
        client.expect("250").await;
    }
    assert!(office.mails().iter().all(|mail| mail.user() == "alice" && mail.from().is_empty()));
    assert_eq!(office.mails().len(), paths.len());
}

#[tokio::test]
async fn domains_given_in_code_take_the_place_of_those_of_the_configuration() {
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.data = data.path().to_owned();
    config.domains = vec!["configured.test".to_owned()];
    for (code_first, given, ours) in [
        (true, Some("given.test"), "given.test"),
        (false, Some("given.test"), "given.test"),
        (false, None, "configured.test"),
    ] {
        let mut builder = PostOffice::builder();
        builder = match (code_first, given) {
            (true, Some(domain)) => builder.domain(domain).config(config.clone()),
            (false, Some(domain)) => builder.config(config.clone()).domain(domain),
            (_, None) => builder.config(config.clone()),
        };
        let builder = builder.user("alice", "secret").listen(Service::Smtp, "127.0.0.1:0");
        let office = builder.start().await.unwrap();
        let mut client = Client::silent(office.addr(Service::Smtp).unwrap()).await;
        client.expect(&format!("220 {ours} ")).await;
        client.say("EHLO client.test", "250").await;
        client.say("MAIL FROM:<s@x.test>", "250").await;
        for domain in ["given.test", "configured.test", "localhost"] {
            let expected = if domain == ours { "250" } else { "550" };
            client.say(&format!("RCPT TO:<alice@{domain}>"), expected).await;
        }
    }
}

#[tokio::test]
async fn the_recipients_of_one_message_do_not_learn_of_each_other() {
    let office = office().await;
    let mut client = smtp(&office).await;
    client.say("EHLO client.test", "250").await;
    client.send("MAIL FROM:<s@x.test>\r\nRCPT TO:<alice@local.test>\r\nRCPT TO:<nobody@local.test>\r\nRCPT TO:<bob@local.test>\r\nDATA\r\n").await;
    for expected in ["250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "354"] {
        client.expect(expected).await;
    }
    client.send("Subject: all\r\n\r\nhi\r\n.\r\nQUIT\r\n").await;
    client.expect("250 2.0.0").await;
    client.expect("221").await;
    client.expect_end().await;
    for (user, other) in [("alice", "bob"), ("bob", "alice")] {
        let mail = office.wait_for(|mail| mail.user() == user, LONG).await.unwrap();
        let text = String::from_utf8(mail.message().unwrap()).unwrap();
        assert!(!text.contains(other), "{text}");
    }
}

#[tokio::test]
async fn a_client_that_ends_its_input_behind_the_message_still_gets_its_replies() {
    let office = office().await;
    let mut client = smtp(&office).await;
    client.begin("alice@local.test").await;
    client.send("Subject: x\r\n\r\nhi\r\n.\r\nQUIT\r\n").await;
    client.half_close().await;
    client.expect("250").await;
    client.expect("221").await;
    client.expect_end().await;
}

#[tokio::test]
async fn nothing_but_crlf_dot_crlf_ends_a_message() {
    let office = office().await;
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\n.\r",
        "\r.\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\r",
        "\r\n\0.\r\n",
        "\r\n.\0\r\n",
        "\r\n.\r\r\n",
        "\r\r\n.\r\r\n",
        "\n\n.\r\n",
        "\r\n. \r\n",
        "\r\n.\t\r\n",
        "\r\n .\r\n",
        "\r\n..\r\n",
    ] {
        let mut client = smtp(&office).await;
        client.begin("alice@local.test").await;
        client.send(format!("Subject: x\r\n\r\nbody{end}MAIL FROM:<smuggled@x.test>\r\n")).await;
        client.send("RCPT TO:<bob@local.test>\r\nDATA\r\nsmuggled\r\n.\r\n").await;
        let reply = client.reply().await;
        assert!(reply.starts_with("250") || reply.starts_with("550"), "{end:?}: {reply}");
        client.say("NOOP", "250").await;
        assert!(office.mails().iter().all(|mail| mail.user() == "alice"), "{end:?} let a message through");
    }
}

#[tokio::test]
async fn an_empty_message_ends_at_once() {
    let office = office().await;
    let mut client = smtp(&office).await;
    client.begin("alice@local.test").await;
    client.send(".\r\n").await;
    client.expect("250").await;
    assert_eq!(office.mails()[0].size(), 0);
}

#[tokio::test]
async fn chunks_are_content_whatever_they_hold() {
    let office = office().await;
    let mut client = smtp(&office).await;
    client.say("EHLO client.test", "250").await;
    client.send("MAIL FROM:<s@x.test>\r\nRCPT TO:<alice@local.test>\r\nBDAT 21\r\nSubject: x\r\n\r\n\r\n.\r\nRSBDAT 4 LAST\r\nET\r\n").await;
    for expected in ["250", "250", "250", "250 2.0.0"] {
        client.expect(expected).await;
    }
    assert_eq!(office.mails()[0].text(), "\r\n.\r\nRSET\r\n");
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_session_goes_on() {
    let office = PostOffice::builder()
        .domain("local.test")
        .user("alice", "secret")
        .max_message_size(100_000)
        .listen(Service::Smtp, "127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let mut client = smtp(&office).await;
    client.say("EHLO client.test", "250").await;
    client.say("MAIL FROM:<s@x.test> SIZE=100001", "552 5.3.4").await;
    let reply = client.deliver("alice@local.test", &"0123456789abcdef\r\n".repeat(10_000)).await;
    assert!(reply.starts_with("552 5.3.4"), "{reply}");
    client.deliver("alice@local.test", "Subject: small\r\n\r\nhi").await;
    assert_eq!(office.mails().len(), 1);
}

#[tokio::test]
async fn a_message_that_goes_round_in_circles_is_refused() {
    let office = office().await;
    let fields = |count| "Received: from a by b; Mon, 23 Nov 2026 00:00:00 +0000\r\n".repeat(count);
    let mut client = smtp(&office).await;
    let reply = client.deliver("alice@local.test", &format!("{}\r\nhi", fields(101))).await;
    assert!(reply.starts_with("554 5.4.6"), "{reply}");
    let reply = client.deliver("alice@local.test", &format!("{}\r\nhi", fields(100))).await;
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(office.mails().len(), 1);
}

#[tokio::test]
async fn lmtp_answers_for_each_recipient() {
    let office = office().await;
    let mut client = Client::silent(office.addr(Service::Lmtp).unwrap()).await;
    client.expect("220 local.test LMTP").await;
    client.say("EHLO client.test", "500").await;
    client.say("LHLO client.test", "250").await;
    client.say("MAIL FROM:<s@x.test>", "250").await;
    client.say("RCPT TO:<alice@local.test>", "250").await;
    client.say("RCPT TO:<nobody@local.test>", "550 5.1.1").await;
    client.say("RCPT TO:<bob@local.test>", "250").await;
    client.say("DATA", "354").await;
    client.send("Subject: x\r\n\r\nhi\r\n.\r\n").await;
    client.expect("250 2.1.5").await;
    client.expect("250 2.1.5").await;
    client.say("QUIT", "221").await;
    client.expect_end().await;
    assert_eq!(office.mails().len(), 2);
    let text = String::from_utf8(office.mails()[0].message().unwrap()).unwrap();
    assert!(text.contains("with LMTP id"), "{text}");
}

#[tokio::test]
async fn scripted_faults_strike_where_and_as_often_as_they_say() {
    let office = PostOffice::builder()
        .domain("local.test")
        .user("alice", "secret")
        .listen(Service::Smtp, "127.0.0.1:0")
        .fault(FaultRule::at(Stage::Recipient).matching("alice@*").times(2).refuse(
            450,
            (4, 2, 0),
            "greylisted",
        ))
        .fault(FaultRule::at(Stage::MessageEnd).matching("full@*").disk_full())
        .fault(FaultRule::at(Stage::Mail).matching("gone@*").drop_connection())
        .start()
        .await
        .unwrap();
    let mut client = smtp(&office).await;
    client.say("EHLO client.test", "250").await;
    client.say("MAIL FROM:<full@x.test>", "250").await;
    client.say("RCPT TO:<alice@local.test>", "450 4.2.0 greylisted").await;
    client.say("RCPT TO:<alice@local.test>", "450").await;
    client.say("RCPT TO:<alice@local.test>", "250").await;
    client.say("DATA", "354").await;
    client.send("Subject: x\r\n\r\nhi\r\n.\r\n").await;
    client.expect("452 4.3.1").await;
    assert!(office.mails().is_empty());
    client.send("MAIL FROM:<gone@x.test>\r\n").await;
    client.expect_end().await;
}

#[tokio::test]
async fn two_offices_stand_side_by_side() {
    let (one, two) = (office().await, office().await);
    assert_ne!(one.addr(Service::Smtp), two.addr(Service::Smtp));
    smtp(&one).await.deliver("alice@local.test", "Subject: one\r\n\r\nhi").await;
    assert_eq!((one.mails().len(), two.mails().len()), (1, 0));
    drop(one);
    smtp(&two).await.deliver("alice@local.test", "Subject: two\r\n\r\nhi").await;
    assert_eq!(two.mails().len(), 1);
}
