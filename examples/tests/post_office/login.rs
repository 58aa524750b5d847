//! TLS and AUTH with the whole server.

use std::sync::Arc;

use crate::client::{Client, LONG};
use mail_wire::sasl::{Credentials, Hash, Mechanism, ScramKeys, wire};
use mailwright::config::Config;
use mailwright::tls::SelfSigned;
use mailwright::users::Scheme;
use mailwright::{PostOffice, Service};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use tokio::task::JoinSet;

async fn office() -> PostOffice {
    PostOffice::builder()
        .user("alice", "secret")
        .listen(Service::Smtp, "127.0.0.1:0")
        .listen(Service::Submission, "127.0.0.1:0")
        .listen(Service::Submissions, "127.0.0.1:0")
        .start()
        .await
        .unwrap()
}

async fn submission_under_tls(office: &PostOffice) -> Client {
    let mut client = Client::connect(office.addr(Service::Submission).unwrap()).await;
    client.say("EHLO client.test", "250").await;
    let mut client = client.starttls(office.certificate_pem().unwrap()).await;
    client.say("EHLO client.test", "250").await;
    client
}

#[tokio::test]
async fn each_mechanism_lets_the_right_password_in_and_no_other() {
    let office = Arc::new(office().await);
    let mut sessions = JoinSet::new();
    for mechanism in [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::CramMd5,
        Mechanism::ScramSha1,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha256Plus,
    ] {
        // At the same time, since the answer to a failed login waits.
        for credentials in
            [Credentials::password("alice", "wrong"), Credentials::password("nobody", "secret")]
        {
            let office = Arc::clone(&office);
            sessions.spawn(async move {
                let mut client = submission_under_tls(&office).await;
                let reply = client.auth(mechanism, &credentials).await;
                assert!(reply.starts_with("535 5.7.8"), "{mechanism}: {reply}");
                client.say("MAIL FROM:<alice@localhost>", "530 5.7.0").await;
            });
        }
        let mut client = submission_under_tls(&office).await;
        let reply = client.auth(mechanism, &Credentials::password("Alice@localhost", "secret")).await;
        assert!(reply.starts_with("235 2.7.0"), "{mechanism}: {reply}");
        client.say("MAIL FROM:<alice@localhost>", "250").await;
        client.say("RCPT TO:<u@remote.test>", "550 5.7.1").await;
        client.say("RCPT TO:<alice@localhost>", "250").await;
    }
    while let Some(session) = sessions.join_next().await {
        session.unwrap();
    }
}

#[tokio::test]
async fn submission_takes_mail_only_under_tls_and_after_login() {
    let office = office().await;
    let mut client = Client::connect(office.addr(Service::Submission).unwrap()).await;
    let capabilities = client.say("EHLO client.test", "250").await;
    assert!(!capabilities.contains("PLAIN") && !capabilities.contains("LOGIN"), "{capabilities}");
    client.say("MAIL FROM:<alice@localhost>", "530 5.7.0").await;
    client.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==", "538").await;
    let mut client = client.starttls(office.certificate_pem().unwrap()).await;
    client.say("MAIL FROM:<alice@localhost>", "503").await;
    let capabilities = client.say("EHLO client.test", "250").await;
    assert!(capabilities.contains("PLAIN") && !capabilities.contains("STARTTLS"), "{capabilities}");
    client.say("MAIL FROM:<alice@localhost>", "530 5.7.0").await;
    client.say("AUTH PLAIN AGFsaWNlAHNlY3JldA==", "235").await;
    let reply = client.deliver("alice@localhost", "Subject: x\r\n\r\nhi").await;
    assert!(reply.starts_with("250"), "{reply}");
    let mail = office.wait_for(|_| true, LONG).await.unwrap();
    let text = String::from_utf8(mail.message().unwrap()).unwrap();
    assert!(text.contains("with ESMTPSA id"), "{text}");
    assert!(text.contains("(using TLSv1.3 with cipher TLS_"), "{text}");
}

#[tokio::test]
async fn submissions_begins_with_tls() {
    let office = office().await;
    let client = Client::silent(office.addr(Service::Submissions).unwrap()).await;
    let mut client = client.tls(office.certificate_pem().unwrap()).await;
    client.expect("220").await;
    client.say("EHLO client.test", "250").await;
    let credentials = Credentials::password("alice", "secret");
    assert!(client.auth(Mechanism::ScramSha256Plus, &credentials).await.starts_with("235"));
    assert!(client.deliver("alice@localhost", "Subject: x\r\n\r\nhi").await.starts_with("250"));
    client.say("QUIT", "221").await;
    client.expect_end().await;
}

#[tokio::test]
async fn what_was_injected_before_tls_is_gone_after_it() {
    let office = office().await;
    let mut client = Client::connect(office.addr(Service::Smtp).unwrap()).await;
    client.say("EHLO client.test", "250").await;
    client.say("MAIL FROM:<a@x.test>", "250").await;
    client.say("RSET", "250").await;
    client.send("STARTTLS\r\nMAIL FROM:<injected@x.test>\r\n").await;
    // Either the whole connection is refused, or nothing of the line survives.
    let reply = client.reply().await;
    if reply.starts_with("220") {
        let mut client = client.tls(office.certificate_pem().unwrap()).await;
        client.say("RCPT TO:<alice@localhost>", "503").await;
    } else {
        assert!(reply.starts_with('5'), "{reply}");
    }
}

#[tokio::test]
async fn users_of_a_file_log_in_by_each_scheme() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    let mut text = "# users\n".to_owned();
    for scheme in Scheme::ALL {
        let user = scheme.name().to_lowercase();
        text += &format!("{user}:{}:1000:1000::\n", scheme.hash(&"secret".into()).unwrap());
    }
    std::fs::write(&path, text).unwrap();
    let office = PostOffice::builder()
        .users_file(&path)
        .listen(Service::Submission, "127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let office = Arc::new(office);
    let mut sessions = JoinSet::new();
    for scheme in Scheme::ALL {
        for (password, expected) in [("wrong", "535"), ("secret", "235")] {
            let office = Arc::clone(&office);
            sessions.spawn(async move {
                let mut client = submission_under_tls(&office).await;
                let credentials = Credentials::password(scheme.name().to_lowercase(), password);
                let reply = client.auth(Mechanism::Plain, &credentials).await;
                assert!(reply.starts_with(expected), "{scheme}: {reply}");
            });
        }
    }
    while let Some(session) = sessions.join_next().await {
        session.unwrap();
    }
}

/// A certificate authority for clients, and what it issues: for a mail address, or for a common name.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, address: Option<&str>, name: &str) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params
            .subject_alt_names
            .extend(address.map(|address| SanType::Rfc822Name(address.try_into().unwrap())));
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

#[tokio::test]
async fn a_certificate_of_the_clients_authority_logs_its_owner_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let authority = Authority::new();
    std::fs::write(path("ca.pem"), authority.0.pem()).unwrap();
    let made = SelfSigned::generate(["localhost"]).unwrap();
    made.write(&path("cert.pem"), &path("key.pem")).unwrap();
    let mut config = Config::default();
    config.data = path("data");
    config.tls.certificate = Some(path("cert.pem"));
    config.tls.key = Some(path("key.pem"));
    config.tls.client_ca = Some(path("ca.pem"));
    let office = PostOffice::builder()
        .config(config)
        .user("alice", "secret")
        .user("bob", "geheim")
        .listen(Service::Submissions, "127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let mut sessions = JoinSet::new();
    for (own, authzid, expected) in [
        (Some(authority.issue(Some("alice@localhost"), "bob")), None, "235"),
        (Some(authority.issue(Some("alice@localhost"), "bob")), Some("alice"), "235"),
        (Some(authority.issue(Some("alice@localhost"), "bob")), Some("bob"), "535"),
        (Some(authority.issue(None, "bob")), None, "235"),
        (Some(authority.issue(None, "nobody")), None, "535"),
        (None, None, "5"),
    ] {
        let client = Client::silent(office.addr(Service::Submissions).unwrap()).await;
        let certificate = made.certificate_pem().to_owned();
        sessions.spawn(async move {
            let own = own.as_ref().map(|(certificate, key)| (certificate.as_str(), key.as_str()));
            let mut client = client.tls_as(&certificate, own).await;
            client.expect("220").await;
            client.say("EHLO client.test", "250").await;
            let credentials = Credentials::External { authzid: authzid.map(str::to_owned) };
            let reply = client.auth(Mechanism::External, &credentials).await;
            assert!(reply.starts_with(expected), "{authzid:?}: {reply}");
        });
    }
    while let Some(session) = sessions.join_next().await {
        session.unwrap();
    }
}

#[tokio::test]
async fn external_is_offered_to_those_who_show_a_certificate_and_to_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let authority = Authority::new();
    std::fs::write(path("ca.pem"), authority.0.pem()).unwrap();
    let mut config = Config::default();
    config.data = path("data");
    config.tls.client_ca = Some(path("ca.pem"));
    let builder = || {
        PostOffice::builder()
            .config(config.clone())
            .user("alice", "secret")
            .listen(Service::Submission, "127.0.0.1:0")
    };
    let office = builder().start().await.unwrap();
    let certificate = office.certificate_pem().unwrap();
    let mut client = Client::connect(office.addr(Service::Submission).unwrap()).await;
    let offered = client.say("EHLO client.test", "250").await;
    assert!(!offered.contains("EXTERNAL"), "without TLS: {offered}");
    let mut client = client.starttls(certificate).await;
    let offered = client.say("EHLO client.test", "250").await;
    assert!(offered.contains("AUTH ") && !offered.contains("EXTERNAL"), "without a certificate: {offered}");

    let mut client = Client::connect(office.addr(Service::Submission).unwrap()).await;
    client.say("EHLO client.test", "250").await;
    client.say("STARTTLS", "220").await;
    let (own, key) = authority.issue(None, "alice");
    let mut client = client.tls_as(certificate, Some((&own, &key))).await;
    let offered = client.say("EHLO client.test", "250").await;
    assert!(offered.contains("EXTERNAL"), "{offered}");
    let credentials = Credentials::External { authzid: None };
    assert!(client.auth(Mechanism::External, &credentials).await.starts_with("235"));

    let office = builder().no_tls().start().await.unwrap();
    let mut client = Client::connect(office.addr(Service::Submission).unwrap()).await;
    let offered = client.say("EHLO client.test", "250").await;
    assert!(offered.contains("AUTH ") && !offered.contains("EXTERNAL"), "TLS off: {offered}");
}

#[tokio::test]
async fn scram_shows_an_unknown_user_as_it_shows_a_known_one() {
    let folder = tempfile::tempdir().unwrap();
    let keys = ScramKeys::derive(Hash::Sha256, &"secret".into(), b"0123456789abcdefg", 4321).unwrap();
    for (number, (stored, iterations)) in
        [(keys.encode(), "4321"), ("{PLAIN}secret".to_owned(), "10000")].into_iter().enumerate()
    {
        let users = folder.path().join(format!("users{number}"));
        std::fs::write(&users, format!("alice:{stored}\n")).unwrap();
        let office = PostOffice::builder()
            .users_file(users)
            .listen(Service::Smtp, "127.0.0.1:0")
            .start()
            .await
            .unwrap();
        let mut salts = Vec::new();
        for name in ["alice", "Alice@localhost", "nobody", "Nobody@localhost"] {
            let mut client = Client::connect(office.addr(Service::Smtp).unwrap()).await;
            client.say("EHLO client.test", "250").await;
            let first = wire::encode(format!("n,,n={name},r=abc").as_bytes());
            let reply =
                client.say(&format!("AUTH SCRAM-SHA-256 {}", first.expose_str().unwrap()), "334 ").await;
            let challenge =
                wire::decode_challenge(&reply.trim_end().as_bytes()[4..], wire::MAX_LINE).unwrap();
            let challenge = String::from_utf8(challenge).unwrap();
            assert!(challenge.ends_with(&format!(",i={iterations}")), "{name}: {challenge}");
            salts.push(challenge.split(',').nth(1).unwrap().to_owned());
        }
        assert!(salts[0] == salts[1] && salts[2] == salts[3] && salts[0] != salts[2], "{salts:?}");
        assert!(salts.iter().all(|salt| salt.len() == salts[0].len()), "{salts:?}");
    }
}

#[tokio::test]
async fn a_handshake_that_fails_does_no_harm() {
    let office = office().await;
    let mut client = Client::silent(office.addr(Service::Submissions).unwrap()).await;
    client.send("EHLO this is no TLS\r\n".repeat(10)).await;
    let mut client = Client::connect(office.addr(Service::Smtp).unwrap()).await;
    client.say("EHLO client.test", "250").await;
    client.say("STARTTLS", "220").await;
    client.send("EHLO neither is this\r\n".repeat(10)).await;
    submission_under_tls(&office).await.say("NOOP", "250").await;
}
