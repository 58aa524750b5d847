//! From the greeting to the first transaction: EHLO and HELO, STARTTLS by policy, AUTH by strength.

#[cfg(test)]
mod client_support;

use client_support::*;
use mail_wire::sasl::{Credentials, Mechanism, MechanismSet};
use smtp_proto::client::*;

fn with_tls(tls: TlsPolicy) -> ClientConfig {
    config().with_tls(tls)
}

fn with_login() -> ClientConfig {
    let mut config = config().with_credentials(Credentials::password("user", "pencil"));
    config.plaintext_auth_without_tls = true;
    config
}

#[test]
fn a_server_with_ehlo_is_ready_after_it() {
    let played = play(
        &config(),
        &[],
        "S: 220-mx ESMTP
         S: 220 welcome
         C: EHLO c
         S: 250-mx greets c
         S: 250-SIZE 1000
         S: 250-X-UNKNOWN a b
         S: 250 PIPELINING
         = ready",
    );
    assert_eq!(played.client.capabilities().size, Some(1000));
    assert!(played.client.capabilities().pipelining);
    assert_eq!(played.client.greeting().unwrap().to_string(), "220 mx ESMTP welcome");
    assert!(played.client.is_idle());
}

#[test]
fn helo_is_said_where_ehlo_is_not_known() {
    for code in ["500 what?", "502 no"] {
        let played = play(
            &with_tls(TlsPolicy::Opportunistic),
            &[],
            &format!("S: 220 mx\nC: EHLO c\nS: {code}\nC: HELO c\nS: 250 mx\n= unencrypted\n= ready"),
        );
        assert!(!played.client.capabilities().pipelining);
    }
}

#[test]
fn helo_is_not_said_where_it_would_not_do() {
    let refused = "S: 220 mx\nC: EHLO c\nS: 502 no\nC: QUIT\n= failed: refused in the reply to EHLO: 502 no";
    play(&with_tls(TlsPolicy::Required), &[], refused);
    play(&with_login(), &[], refused);
    play(&config(), &[], &refused.replace("502", "550"));
    play(&config(), &[], &refused.replace("502", "450"));
    play(&config().with_protocol(Protocol::Lmtp), &[], &refused.replace("C: EHLO", "C: LHLO"));
}

#[test]
fn helo_refused_as_well_is_the_end() {
    play(
        &config(),
        &[],
        "S: 220 mx
         C: EHLO c
         S: 500 what?
         C: HELO c
         S: 504 no
         C: QUIT
         = failed: refused in the reply to EHLO: 504 no",
    );
}

#[test]
fn a_server_that_does_not_greet_is_left() {
    let cases = [
        ("S: 554 no service\nC: QUIT\n= failed: refused in the greeting: 554 no service", false),
        ("S: 450 later\nC: QUIT\n= failed: refused in the greeting: 450 later", true),
        (
            "S: 421 busy\n= failed: the server closes the connection instead of sending the greeting: 421 busy",
            true,
        ),
        ("S: 250 hi\n= failed: waiting for the greeting: found an unexpected reply: 250 hi", false),
        ("S: 354 hi\n= failed: waiting for the greeting: found an unexpected reply: 354 hi", false),
        ("EOF\n= failed: the connection was lost waiting for the greeting", true),
    ];
    for (script, temporary) in cases {
        let error = play(&config(), &[], script).played.end.unwrap().unwrap_err();
        assert_eq!(error.is_temporary(), temporary, "{script}");
    }
}

#[test]
fn lmtp_says_lhlo() {
    play(
        &config().with_protocol(Protocol::Lmtp),
        &[],
        "S: 220 mx LMTP
         C: LHLO c
         S: 250-mx
         S: 250 PIPELINING
         = ready",
    );
}

#[test]
fn starttls_is_used_where_offered_and_what_was_learnt_before_is_forgotten() {
    for policy in [TlsPolicy::Opportunistic, TlsPolicy::Required] {
        let played = play(
            &with_tls(policy),
            &[],
            "S: 220 mx
             C: EHLO c
             S: 250-mx
             S: 250-STARTTLS
             S: 250-PIPELINING
             S: 250 SIZE 5
             C: STARTTLS
             S: 220 go
             TLS
             C: EHLO c
             S: 250-mx
             S: 250 CHUNKING
             = ready",
        );
        let capabilities = played.client.capabilities();
        assert!(capabilities.chunking && !capabilities.pipelining && !capabilities.starttls);
        assert_eq!(capabilities.size, None);
        assert!(played.client.tls().is_some());
    }
}

#[test]
fn nothing_is_known_of_the_server_between_starttls_and_the_next_ehlo() {
    use mail_wire::{Connection, LayerInfo};
    let mut embedder = Embedder::new(with_tls(TlsPolicy::Required), &[]);
    embedder.feed(b"220 mx\r\n", 100);
    embedder.feed(b"250-mx\r\n250-SIZE 5\r\n250 STARTTLS\r\n", 100);
    assert_eq!(embedder.client.capabilities().size, Some(5));
    embedder.feed(b"220 go\r\n", 100);
    let now = embedder.now;
    embedder.client.upgraded(LayerInfo::Tls(tls_info(false)), now);
    assert_eq!(*embedder.client.capabilities(), smtp_proto::types::Capabilities::default());
}

#[test]
fn starttls_is_not_used_where_it_is_not_wanted() {
    play(&with_tls(TlsPolicy::Never), &[], "S: 220 mx\nC: EHLO c\nS: 250-mx\nS: 250 STARTTLS\n= ready");
}

#[test]
fn without_starttls_the_policy_decides() {
    play(&with_tls(TlsPolicy::Opportunistic), &[], "S: 220 mx\nC: EHLO c\nS: 250 mx\n= unencrypted\n= ready");
    play(
        &with_tls(TlsPolicy::Required),
        &[],
        "S: 220 mx
         C: EHLO c
         S: 250 mx
         C: QUIT
         = failed: expected the server to offer STARTTLS, which is required, found no such offer",
    );
}

#[test]
fn with_starttls_refused_the_policy_decides() {
    let offer = "S: 220 mx\nC: EHLO c\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 no key\n";
    let opportunistic = format!("{offer}= unencrypted: 454 no key\n= ready");
    play(&with_tls(TlsPolicy::Opportunistic), &[], &opportunistic);
    let required = format!("{offer}C: QUIT\n= failed: refused in the reply to STARTTLS: 454 no key");
    play(&with_tls(TlsPolicy::Required), &[], &required);
}

#[test]
fn implicit_tls_comes_before_the_first_byte() {
    let played = play(
        &with_tls(TlsPolicy::Implicit),
        &[],
        "TLS
         S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 STARTTLS
         = ready",
    );
    assert!(played.client.tls().is_some());
}

#[test]
fn a_driver_may_put_implicit_tls_on_by_itself() {
    use mail_wire::{Connection, LayerInfo};
    for policy in [TlsPolicy::Implicit, TlsPolicy::Required] {
        let mut embedder = Embedder::new(with_tls(policy), &[]);
        let now = embedder.now;
        embedder.client.upgraded(LayerInfo::Tls(tls_info(false)), now);
        embedder.run();
        embedder.feed(b"220 mx\r\n", 1);
        embedder.feed(b"250-mx\r\n250 STARTTLS\r\n", 1);
        assert_eq!(embedder.events, ["ready"]);
        assert_eq!(embedder.sent, b"EHLO c\r\n");
    }
}

#[test]
#[should_panic(expected = "in mid-protocol, unasked")]
fn tls_in_mid_protocol_is_a_bug_of_the_driver() {
    use mail_wire::{Connection, LayerInfo};
    let mut embedder = Embedder::new(config(), &[]);
    embedder.feed(b"220 mx\r\n", 1);
    let now = embedder.now;
    embedder.client.upgraded(LayerInfo::Tls(tls_info(false)), now);
}

#[test]
fn the_strongest_mechanism_offered_is_used_with_an_initial_response() {
    let played = play(
        &with_login(),
        &[],
        "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 AUTH LOGIN PLAIN
         C: AUTH PLAIN AHVzZXIAcGVuY2ls
         S: 235 2.7.0 welcome
         = ready",
    );
    assert_eq!(played.client.authenticated(), Some(Mechanism::Plain));
}

#[test]
fn login_and_cram_md5_answer_challenges() {
    play(
        &with_login(),
        &[],
        "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 AUTH LOGIN
         C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: dXNlcg==
         S: 334 UGFzc3dvcmQ6
         C: cGVuY2ls
         S: 235 welcome
         = ready",
    );
    // RFC 2195 §2 has this challenge, for another user.
    play(
        &with_login(),
        &[],
        "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 AUTH CRAM-MD5 PLAIN
         C: AUTH CRAM-MD5
         S: 334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+
         C: dXNlciAyNjZmODJiYjJkMWFjZTY3MjlkMmM1NzNlNGUwMDRjNg==
         S: 235 welcome
         = ready",
    );
}

#[test]
fn the_challenges_of_login_may_be_anything() {
    play(
        &with_login(),
        &[],
        "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 AUTH LOGIN
         C: AUTH LOGIN
         S: 334 Username:
         C: dXNlcg==
         S: 334
         C: cGVuY2ls
         S: 235 welcome
         = ready",
    );
}

#[test]
fn a_mechanism_that_the_server_will_not_have_is_followed_by_the_next() {
    for code in ["504 5.5.4 no", "534 5.7.9 too weak", "538 5.7.11 no", "502 no", "500 no"] {
        let played = play(
            &with_login(),
            &[],
            &format!(
                "S: 220 mx
                 C: EHLO c
                 S: 250-mx
                 S: 250 AUTH CRAM-MD5 PLAIN LOGIN
                 C: AUTH CRAM-MD5
                 S: {code}
                 C: AUTH PLAIN AHVzZXIAcGVuY2ls
                 S: {code}
                 C: AUTH LOGIN
                 S: {code}
                 C: QUIT
                 = failed: authentication by LOGIN refused: {code}"
            ),
        );
        assert!(played.client.authenticated().is_none());
    }
}

#[test]
fn wrong_credentials_are_not_tried_by_another_mechanism() {
    for (code, temporary) in [("535 5.7.8 no", false), ("454 4.7.0 later", true), ("501 what?", false)] {
        let played = play(
            &with_login(),
            &[],
            &format!(
                "S: 220 mx
                 C: EHLO c
                 S: 250-mx
                 S: 250 AUTH PLAIN LOGIN
                 C: AUTH PLAIN AHVzZXIAcGVuY2ls
                 S: {code}
                 C: QUIT
                 = failed: authentication by PLAIN refused: {code}"
            ),
        );
        let error = played.played.end.unwrap().unwrap_err();
        assert_eq!(error.is_temporary(), temporary, "{code}");
        assert!(!format!("{error:?}{error}").contains("pencil"));
    }
}

#[test]
fn a_password_is_not_sent_readable_without_tls() {
    let mut config = with_login();
    config.plaintext_auth_without_tls = false;
    play(
        &config,
        &[],
        "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 AUTH PLAIN LOGIN
         C: QUIT
         = failed: cannot log in: expected a mechanism fit for an unencrypted connection, found only: PLAIN LOGIN",
    );
    play(
        &config.with_tls(TlsPolicy::Required),
        &[],
        "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250-AUTH PLAIN
         S: 250 STARTTLS
         C: STARTTLS
         S: 220 go
         TLS
         C: EHLO c
         S: 250-mx
         S: 250 AUTH LOGIN PLAIN
         C: AUTH PLAIN AHVzZXIAcGVuY2ls
         S: 235 welcome
         = ready",
    );
}

#[test]
fn a_server_without_a_fitting_mechanism_is_left() {
    let offer = |line: &str| {
        format!(
            "S: 220 mx\nC: EHLO c\nS: 250-mx\nS: 250 {line}\nC: QUIT\n= failed: cannot log in: expected the server \
             to offer a mechanism that fits the credentials, found: "
        )
    };
    play(&with_login(), &[], &offer("PIPELINING"));
    play(&with_login(), &[], &(offer("AUTH ANONYMOUS GSSAPI") + "ANONYMOUS"));
    let mut config = with_login();
    config.mechanisms = MechanismSet::parse("CRAM-MD5");
    play(&config, &[], &(offer("AUTH PLAIN") + "PLAIN"));
}

#[test]
fn a_long_initial_response_waits_for_the_challenge() {
    // RFC 4954 §4: the line with AUTH has 512 bytes at the most.
    let token = "t".repeat(400);
    let mut config = config().with_credentials(Credentials::token("user", token.as_str()));
    config.plaintext_auth_without_tls = true;
    let message = format!("user=user\x01auth=Bearer {token}\x01\x01");
    let encoded = mail_wire::sasl::wire::encode(message.as_bytes());
    let encoded = encoded.expose_str().unwrap();
    play(
        &config,
        &[],
        &format!(
            "S: 220 mx\nC: EHLO c\nS: 250-mx\nS: 250 AUTH XOAUTH2\nC: AUTH XOAUTH2\nS: 334 \nC: {encoded}\n\
             S: 235 ok\n= ready"
        ),
    );
    let short = config.with_credentials(Credentials::token("user", "tok"));
    play(
        &short,
        &[],
        "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 AUTH XOAUTH2
         C: AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHRvawEB
         S: 235 ok
         = ready",
    );
}

#[test]
fn what_the_server_says_of_a_token_is_told() {
    let mut config = config().with_credentials(Credentials::token("user", "tok"));
    config.plaintext_auth_without_tls = true;
    let played = play(
        &config,
        &[],
        "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 AUTH OAUTHBEARER
         C: AUTH OAUTHBEARER bixhPXVzZXIsAWF1dGg9QmVhcmVyIHRvawEB
         S: 334 eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=
         C: AQ==
         S: 535 no
         C: QUIT
         = failed: authentication by OAUTHBEARER refused: 535 no",
    );
    let Err(ClientError::AuthRefused { token_error: Some(error), .. }) = played.played.end.unwrap() else {
        panic!()
    };
    assert_eq!(error.status, "invalid_token");
}

#[test]
fn anonymous_and_external_go_without_a_password() {
    let play_with = |credentials, offer: &str, auth: &str| {
        let script = format!(
            "S: 220 mx\nC: EHLO c\nS: 250-mx\nS: 250 AUTH {offer}\nC: AUTH {auth}\nS: 235 ok\n= ready"
        );
        play(&config().with_credentials(credentials), &[], &script);
    };
    play_with(Credentials::External { authzid: None }, "PLAIN EXTERNAL", "EXTERNAL =");
    play_with(Credentials::Anonymous { trace: Some("x".into()) }, "ANONYMOUS", "ANONYMOUS eA==");
}

/// Challenges by which a server shows that it does not know the password, or breaks the rules.
#[test]
fn an_exchange_that_goes_wrong_is_cancelled_and_no_weaker_one_tried() {
    let begin = "S: 220 mx
         C: EHLO c
         S: 250-mx
         S: 250 AUTH SCRAM-SHA-256 PLAIN
         C: AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9QndjSEJ3Y0hCd2NIQndjSEJ3Y0hCd2NI
         ";
    let cancelled = |challenge: &str, why: &str| {
        let script = format!(
            "{begin}S: 334 {challenge}\nC: *\nS: 501 cancelled\nC: QUIT\n= failed: authentication by SCRAM-SHA-256 \
             failed: {why}"
        );
        play(&with_login(), &[], &script);
    };
    cancelled("???", "expected base64 in the server's challenge, found something else");
    // r=other,s=c2FsdA==,i=4096
    cancelled(
        "cj1vdGhlcixzPWMyRnNkQT09LGk9NDA5Ng==",
        "expected a nonce that extends the client's, found another",
    );
    // The right nonce with one more letter, and an iteration count of 1.
    cancelled(
        "cj1Cd2NIQndjSEJ3Y0hCd2NIQndjSEJ3Y0hYLHM9YzJGc2RBPT0saT0x",
        "expected between 4096 and 2000000 iterations, found 1",
    );
    let premature = format!(
        "{begin}S: 235 welcome\n= failed: authentication by SCRAM-SHA-256 failed: expected the exchange to be \
         completed before its success"
    );
    play(&with_login(), &[], &premature);
}

#[test]
fn scram_plus_is_used_where_the_channel_can_be_bound() {
    let mut config = with_login().with_tls(TlsPolicy::Implicit);
    config.plaintext_auth_without_tls = false;
    let begin = "TLS\nS: 220 mx\nC: EHLO c\nS: 250-mx\nS: 250 AUTH SCRAM-SHA-256 SCRAM-SHA-256-PLUS\n";
    // p=tls-exporter,,n=user,r=…
    let plus =
        "C: AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49dXNlcixyPUJ3Y0hCd2NIQndjSEJ3Y0hCd2NIQndjSA==";
    let end = "\nS: 535 no\nC: QUIT\n= failed: authentication by SCRAM-SHA-256-PLUS refused: 535 no";
    play_tls(&config, &[], &format!("{begin}{plus}{end}"), &tls_info(true));
    let plain = "C: AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9QndjSEJ3Y0hCd2NIQndjSEJ3Y0hCd2NI";
    let end = end.replace("-PLUS", "");
    play_tls(&config, &[], &format!("{begin}{plain}{end}"), &tls_info(false));
}

#[test]
fn nothing_shows_the_password() {
    let mut embedder = Embedder::new(with_login(), &[]);
    embedder.feed(b"220 mx\r\n250-mx\r\n250 AUTH PLAIN\r\n", 1000);
    assert!(embedder.sent.is_empty());
    embedder.feed(b"250-mx\r\n250 AUTH PLAIN\r\n", 1000);
    let shown = format!("{:?} {:?}", embedder.client, with_login());
    assert!(!shown.contains("pencil") && !shown.contains("AHVzZXI"), "{shown}");
}
