//! Who may speak for others: XCLIENT, XFORWARD and the PROXY protocol with the whole server.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::client::Client;
use mail_wire::sasl::{Credentials, Mechanism};
use mailwright::config::{Config, Network, Span};
use mailwright::office::Builder;
use mailwright::{PostOffice, Service};

fn builder() -> Builder {
    PostOffice::builder()
        .domain("local.test")
        .user("alice", "secret")
        .listen(Service::Smtp, "127.0.0.1:0")
        .listen(Service::Submissions, "127.0.0.1:0")
        .listen(Service::Pop3, "127.0.0.1:0")
        .listen(Service::Pop3s, "127.0.0.1:0")
}

/// A network that the clients of these tests are in, and one that they are not in.
fn networks() -> (Network, Network) {
    ("127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap())
}

async fn silent(office: &PostOffice) -> Client {
    Client::silent(office.addr(Service::Smtp).unwrap()).await
}

fn received(office: &PostOffice) -> String {
    let mails = office.mails();
    let text = String::from_utf8(mails.last().unwrap().message().unwrap()).unwrap();
    text.split_once("Received: ").unwrap().1.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_trusted_peer_speaks_for_a_client_by_xclient() {
    let (inside, _) = networks();
    let office = builder().trust_xclient(inside).start().await.unwrap();
    let mut client = silent(&office).await;
    client.expect("220").await;
    let offered = client.say("EHLO filter.test", "250").await;
    assert!(offered.contains("250-XCLIENT ") && offered.contains("XFORWARD "), "{offered}");
    client.say("MAIL FROM:<forgotten@x.test>", "250").await;
    client.say("RSET", "250").await;
    client.say("XFORWARD ADDR=192.0.2.8 NAME=upstream.test", "250").await;
    client.say("XCLIENT ADDR=192.0.2.7 NAME=far.test LOGIN=alice", "220").await;
    client.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
    assert_eq!(received(&office), "from client.test (far.test [192.0.2.7])");
}

#[tokio::test]
async fn whom_a_proxy_speaks_for_is_not_trusted_even_if_it_does_not_say_who_that_is() {
    let (inside, _) = networks();
    let office = builder().trust_proxy(inside).trust_xclient(inside).start().await.unwrap();
    let v2 = |command: u8, family: u8, addresses: &[u8]| {
        let len = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x20 | command, family], &len, addresses].concat()
    };
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 192.0.2.7 198.51.100.1 1234 25\r\n".to_vec(),
        v2(0, 0x00, b""),
        v2(1, 0x00, b""),
        v2(1, 0x31, &[b'/'; 216]),
    ] {
        let mut client = silent(&office).await;
        client.send(&header).await;
        client.expect("220").await;
        let offered = client.say("EHLO client.test", "250").await;
        assert!(!offered.contains("XCLIENT"), "{}: {offered}", header.escape_ascii());
        client.say("XCLIENT ADDR=192.0.2.7 LOGIN=alice", "502").await;
    }
}

#[tokio::test]
async fn nobody_else_speaks_for_a_client() {
    let (_, outside) = networks();
    for builder in [builder(), builder().trust_xclient(outside)] {
        let office = builder.start().await.unwrap();
        let mut client = silent(&office).await;
        client.expect("220").await;
        let offered = client.say("EHLO client.test", "250").await;
        assert!(!offered.contains("XCLIENT") && !offered.contains("XFORWARD"), "{offered}");
        client.say("XCLIENT ADDR=192.0.2.7", "502").await;
        client.say("XFORWARD ADDR=192.0.2.7", "502").await;
        client.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
        assert_eq!(received(&office), "from client.test ([127.0.0.1])");
    }
}

#[tokio::test]
async fn a_proxy_announces_its_client_before_anything_else() {
    let (inside, _) = networks();
    let office = builder().trust_proxy(inside).trust_xclient(inside).start().await.unwrap();
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x04\xd2\0\x19";
    for header in [&b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 25\r\n"[..], v2] {
        let mut client = silent(&office).await;
        client.send(header).await;
        client.expect("220").await;
        let offered = client.say("EHLO client.test", "250").await;
        assert!(!offered.contains("XCLIENT"), "the proxy is trusted, its client is not: {offered}");
        client.say("MAIL FROM:<s@x.test>", "250").await;
        client.say("RCPT TO:<postmaster@[127.0.0.1]>", "550").await;
        client.say("RCPT TO:<postmaster@[198.51.100.1]>", "250").await;
        client.say("RSET", "250").await;
        client.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
        assert_eq!(received(&office), "from client.test ([192.0.2.7])");
    }
    for (service, command) in
        [(Service::Smtp, "EHLO without.a.header\r\n"), (Service::Pop3, "USER without.a.header\r\n")]
    {
        let mut client = Client::silent(office.addr(service).unwrap()).await;
        client.send(command).await;
        client.expect_end().await;
    }
}

#[tokio::test]
async fn a_proxy_comes_before_implicit_tls() {
    let (inside, _) = networks();
    let office = builder().domain("localhost").trust_proxy(inside).start().await.unwrap();
    for (service, greeting, command, reply) in [
        (Service::Submissions, "220", "EHLO client.test", "250"),
        (Service::Pop3s, "+OK", "USER alice", "+OK"),
    ] {
        let mut client = Client::silent(office.addr(service).unwrap()).await;
        client.send("PROXY TCP6 2001:db8::7 2001:db8::1 1234 465\r\n").await;
        let mut client = client.tls(office.certificate_pem().unwrap()).await;
        client.expect(greeting).await;
        client.say(command, reply).await;
    }
}

#[tokio::test]
async fn nobody_else_is_taken_for_a_proxy() {
    let (_, outside) = networks();
    let office = builder().trust_proxy(outside).start().await.unwrap();
    let mut client = silent(&office).await;
    client.expect("220").await;
    client.say("PROXY TCP4 192.0.2.7 198.51.100.1 1234 25", "500").await;
    let mut collecting = Client::silent(office.addr(Service::Pop3).unwrap()).await;
    collecting.expect("+OK").await;
    collecting.say("PROXY TCP4 192.0.2.7 198.51.100.1 1234 110", "-ERR unknown command").await;
    client.deliver("alice@local.test", "Subject: x\r\n\r\nhi").await;
    assert_eq!(received(&office), "from client.test ([127.0.0.1])");
}

#[tokio::test]
async fn connections_through_a_proxy_are_counted_by_client() {
    let office =
        builder().trust_proxy(IpAddr::from([127, 0, 0, 1])).max_connections(10, 1).start().await.unwrap();
    let mut clients = Vec::new();
    for (service, address, expected) in [
        (Service::Smtp, "192.0.2.7", "220"),
        (Service::Smtp, "192.0.2.8", "220"),
        (Service::Pop3, "192.0.2.9", "+OK"),
        (Service::Pop3, "192.0.2.7", "-ERR [SYS/TEMP]"),
        (Service::Smtp, "192.0.2.7", "421 4.7.0"),
    ] {
        let mut client = Client::silent(office.addr(service).unwrap()).await;
        client.send(format!("PROXY TCP4 {address} 198.51.100.1 1234 25\r\n")).await;
        client.expect(expected).await;
        clients.push(client);
    }
    clients.pop().unwrap().expect_end().await;
}

#[tokio::test]
async fn who_guesses_passwords_waits_on_every_connection_until_one_is_right() {
    let (inside, _) = networks();
    let mut config = Config::default();
    config.tls.enabled = false;
    config.auth.plaintext_without_tls = true;
    let unit = Duration::from_millis(200);
    config.timeouts.auth_failure_delay = Span(unit);
    let office =
        PostOffice::builder().config(config).in_memory().domain("local.test").user("alice", "secret");
    let office = office.listen(Service::Smtp, "127.0.0.1:0").listen(Service::Pop3, "127.0.0.1:0");
    let office = office.trust_proxy(inside).start().await.unwrap();
    let smtp = async |password: &str, expected: &str| {
        let mut client = Client::silent(office.addr(Service::Smtp).unwrap()).await;
        client.send("PROXY TCP4 192.0.2.7 198.51.100.1 1234 25\r\n").await;
        client.expect("220").await;
        client.say("EHLO client.test", "250").await;
        let begun = Instant::now();
        let reply = client.auth(Mechanism::Plain, &Credentials::password("alice", password)).await;
        assert!(reply.starts_with(expected), "{reply}");
        begun.elapsed()
    };
    let pop3 = async |password: &str, expected: &str| {
        let mut client = Client::silent(office.addr(Service::Pop3).unwrap()).await;
        client.send("PROXY TCP4 192.0.2.7 198.51.100.1 1234 110\r\n").await;
        client.expect("+OK").await;
        client.say("USER alice", "+OK").await;
        let begun = Instant::now();
        client.say(&format!("PASS {password}"), expected).await;
        begun.elapsed()
    };
    smtp("wrong", "535").await;
    let second = pop3("wrong", "-ERR [AUTH]").await;
    assert!(second >= 2 * unit, "{second:?}");
    let third = smtp("secret", "235").await;
    assert!(third >= 4 * unit, "{third:?}");
    // The login that succeeded has the others forgotten: else three failures would count.
    pop3("wrong", "-ERR [AUTH]").await;
    let right = pop3("secret", "+OK").await;
    assert!(right >= 2 * unit, "{right:?}");
    assert!(right < 8 * unit, "{right:?}");
}
