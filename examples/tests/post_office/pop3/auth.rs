//! Ways of logging in, with users whose passwords are kept in different forms.

use std::path::Path;

use super::{connect, listing, login_as};
use crate::client::Client;
use crate::log::log;
use mail_wire::Secret;
use mailwright::config::Config;
use mailwright::users::Scheme;
use mailwright::{PostOffice, Service};
use pop3_proto::types::ApopTimestamp;

async fn office(challenge_response: &str) -> PostOffice {
    let hash = Scheme::Sha512Crypt.hash(&Secret::new("secret")).unwrap();
    let config = format!(
        "[users]\nalice = \"secret\"\nwalter = \"{hash}\"\n[tls]\nenabled = false\n[auth]\n\
         plaintext_without_tls = true\nchallenge_response = \"{challenge_response}\"\n\
         [timeouts]\nauth_failure_delay = 0\n"
    );
    let config = Config::parse(&config, Path::new("p.toml")).unwrap();
    let builder = PostOffice::builder().config(config).in_memory();
    let builder = builder.listen(Service::Smtp, "127.0.0.1:0").listen(Service::Pop3, "127.0.0.1:0");
    builder.start().await.unwrap()
}

/// The greeting, and what CAPA and EHLO say of mechanisms.
async fn offered(office: &PostOffice) -> (String, String, String) {
    let mut client = Client::silent(office.addr(Service::Pop3).unwrap()).await;
    let greeting = client.expect("+OK ").await;
    let told = listing(&mut client, "CAPA").await;
    let sasl = told.iter().find_map(|line| line.strip_prefix("SASL ")).unwrap_or_default().to_owned();
    let mut client = Client::connect(office.addr(Service::Smtp).unwrap()).await;
    let told = client.say("EHLO client.test", "250").await;
    let auth = told.lines().find_map(|line| line.get(4..)?.strip_prefix("AUTH ")).unwrap_or_default();
    (greeting, sasl, auth.to_owned())
}

#[tokio::test]
async fn what_needs_the_password_itself_is_offered_as_configured() {
    for (challenge_response, apop, mechanisms) in [
        ("auto", false, "PLAIN LOGIN"),
        ("always", true, "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN"),
        ("never", false, "PLAIN LOGIN"),
    ] {
        let (greeting, sasl, auth) = offered(&office(challenge_response).await).await;
        assert_eq!(greeting.contains('<'), apop, "{challenge_response}: {greeting}");
        assert_eq!((&*sasl, &*auth), (mechanisms, mechanisms), "{challenge_response}");
    }
}

#[tokio::test]
async fn apop_serves_plain_users_and_refuses_others_as_with_a_wrong_password_and_the_log_tells_why() {
    let office = office("always").await;
    let mut answers = Vec::new();
    for (user, password) in
        [("alice", "secret"), ("alice", "wrong"), ("walter", "secret"), ("nobody", "secret")]
    {
        let mut client = Client::silent(office.addr(Service::Pop3).unwrap()).await;
        let greeting = client.expect("+OK ").await;
        let timestamp = ApopTimestamp::find(greeting.trim_end().as_bytes()).unwrap();
        let digest = timestamp.digest(&Secret::new(password)).to_hex();
        let before = log().len();
        client.send(format!("APOP {user} {digest}\r\n")).await;
        answers.push(client.reply().await);
        let told = log().since(before, "user=walter mechanism=CRAM-MD5 kept_as=SHA512-CRYPT");
        assert_eq!(told.len(), usize::from(user == "walter"), "{told:?}");
    }
    assert!(answers[0].starts_with("+OK"), "{answers:?}");
    assert!(answers[1].starts_with("-ERR [AUTH]"), "{answers:?}");
    assert!(answers[2..].iter().all(|answer| *answer == answers[1]), "{answers:?}");
    login_as(&mut connect(&office).await, "walter", "secret").await;
}

#[tokio::test]
async fn channel_binding_is_offered_where_it_is_asked_for_by_name() {
    let without = "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN";
    for (allowed, expected) in [
        ("", without),
        ("mechanisms = [\"PLAIN\", \"SCRAM-SHA-256\"]", "SCRAM-SHA-256 PLAIN"),
        ("mechanisms = [\"SCRAM-SHA-256-PLUS\", \"SCRAM-SHA-256\"]", "SCRAM-SHA-256-PLUS SCRAM-SHA-256"),
    ] {
        let config = Config::parse(&format!("[auth]\n{allowed}\n"), Path::new("p.toml")).unwrap();
        let builder = PostOffice::builder().config(config).in_memory().user("alice", "secret");
        let builder = builder.listen(Service::Pop3, "127.0.0.1:0").listen(Service::Pop3s, "127.0.0.1:0");
        let office = builder.start().await.unwrap();
        let certificate = office.certificate_pem().unwrap();
        let mut client = connect(&office).await;
        client.say("STLS", "+OK").await;
        let mut stls = client.tls(certificate).await;
        let client = Client::silent(office.addr(Service::Pop3s).unwrap()).await;
        let mut pop3s = client.tls(certificate).await;
        pop3s.expect("+OK").await;
        for client in [&mut stls, &mut pop3s] {
            let told = listing(client, "CAPA").await;
            assert!(told.contains(&format!("SASL {expected}")), "{expected}: {told:?}");
        }
    }
}

#[tokio::test]
async fn the_log_tells_at_the_start_what_is_not_offered_for_the_sake_of_some_users() {
    let hash = Scheme::Sha512Crypt.hash(&Secret::new("secret")).unwrap();
    for (service, plain_user, auth, expected) in [
        (Service::Pop3, true, "", Some("mechanisms=SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5")),
        (Service::Submission, true, "", Some("mechanisms=SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5")),
        (Service::Pop3, true, "mechanisms = [\"PLAIN\", \"CRAM-MD5\"]", Some("mechanisms=CRAM-MD5")),
        (Service::Pop3, true, "mechanisms = [\"PLAIN\"]", None),
        (Service::Pop3, true, "challenge_response = \"never\"", None),
        (Service::Pop3, true, "challenge_response = \"always\"", None),
        (Service::Pop3, false, "", None),
        (Service::Lmtp, true, "", None),
    ] {
        let plain = if plain_user { "peter = \"secret\"\n" } else { "" };
        let config = format!("[users]\nhashim = \"{hash}\"\n{plain}[auth]\n{auth}\n");
        let config = Config::parse(&config, Path::new("p.toml")).unwrap();
        let before = log().len();
        let builder = PostOffice::builder().config(config).in_memory();
        let _office = builder.listen(service, "127.0.0.1:0").start().await.unwrap();
        let told = log().since(before, "user=hashim kept_as=SHA512-CRYPT");
        assert_eq!(told.len(), usize::from(expected.is_some()), "{service} {auth}: {told:?}");
        assert!(told.iter().all(|line| line.contains(expected.unwrap_or_default())), "{told:?}");
    }
}
