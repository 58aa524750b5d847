//! From the greeting to the first command: CAPA, STLS by policy, UTF8, the login by strength.

#[cfg(test)]
mod client_support;

use client_support::*;
use mail_wire::connection::AuthenticatedPeer;
use mail_wire::sasl::{Credentials, Mechanism, MechanismSet};
use pop3_proto::client::*;
use pop3_proto::types::*;

const TIMESTAMP: &str = "<1896.697170952@dbc.mtview.ca.us>";
const APOP: &str = "C: APOP mrose c4c9334bac560ecc979e58001b3e22fb\n";

fn credentials() -> Credentials {
    Credentials::password("mrose", "tanstaaf")
}

fn allowed() -> ClientConfig {
    let mut config = config().with_credentials(credentials());
    config.plaintext_auth_without_tls = true;
    config
}

/// The greeting and CAPA, up to the reply to it.
fn greeted(greeting: &str, capabilities: &[&str]) -> String {
    format!("S: +OK {greeting}\nC: CAPA\n{}", capa(capabilities))
}

fn capa(capabilities: &[&str]) -> String {
    let lines: String = capabilities.iter().map(|line| format!("S: {line}\n")).collect();
    format!("S: +OK\n{lines}S: .\n")
}

/// The login is accepted, and nothing more is told of the server.
fn accepted() -> String {
    format!("S: +OK open\nC: CAPA\n{}= ready\n", capa(&[]))
}

#[test]
fn without_credentials_the_client_is_ready_to_look_around() {
    let played = play(
        &config(),
        &[submit(Request::Stat), submit(Request::Capa), Action::Quit],
        "S: +OK hello
         C: CAPA
         S: +OK
         S: SASL PLAIN X-OWN
         S: IMPLEMENTATION Shlemazle-Plotz-v302
         S: EXPIRE 5 USER
         S: X-UNKNOWN a b
         S: .
         = ready
         = not taken: expected a login before STAT
         C: CAPA
         S: +OK
         S: IMPLEMENTATION other
         S: .
         = 0 done: +OK
         C: QUIT
         S: +OK
         = closed",
    );
    assert_eq!(played.client.capabilities().unwrap().implementation.as_deref(), Some("other"));
    assert_eq!(played.client.greeting().unwrap().to_string(), "+OK hello");
    assert_eq!(played.client.authenticated(), None);
}

#[test]
fn a_server_that_refuses_at_once_is_left() {
    for (greeting, temporary) in
        [("-ERR [SYS/TEMP] busy", true), ("-ERR [SYS/PERM] moved", false), ("-ERR go away", false)]
    {
        let script = format!("S: {greeting}\nC: QUIT\n= failed: refused in the greeting: {greeting}");
        let error = play(&config(), &[], &script).played.end.unwrap().unwrap_err();
        assert_eq!(error.is_temporary(), temporary);
    }
    let lost = "EOF\n= failed: the connection was lost waiting for the greeting";
    assert!(play(&config(), &[], lost).played.end.unwrap().unwrap_err().is_temporary());
}

#[test]
fn user_and_pass_are_said_where_there_is_no_capa() {
    let script = "S: +OK
         C: CAPA
         S: -ERR unknown command
         C: USER mrose
         S: +OK
         C: PASS tanstaaf
         S: +OK
         = ready";
    let played = play(&allowed(), &[], script);
    assert_eq!(played.client.authenticated(), Some(LoginMethod::UserPass));
    assert!(played.client.capabilities().is_none());
    let mut config = allowed();
    config.user_pass = false;
    let script = "S: +OK
         C: CAPA
         S: -ERR unknown command
         C: QUIT
         = failed: cannot log in: expected the server to offer a mechanism that fits the credentials, found: ";
    play(&config, &[], script.trim_end());
}

#[test]
fn the_strongest_way_is_taken_first() {
    let all = ["SASL PLAIN LOGIN CRAM-MD5", "USER"];
    let plain = "C: AUTH PLAIN AG1yb3NlAHRhbnN0YWFm\n";
    let user = "C: USER mrose\nS: +OK\nC: PASS tanstaaf\n";
    let cram = "C: AUTH CRAM-MD5\nS: + PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\nC: bXJvc2UgNTk3OTBlNWM5MmM5OTkyMjdkM2UyMDMyODNjNTk0ZTA=\n";
    let cases: &[(&str, &[&str], &str, LoginMethod)] = &[
        (TIMESTAMP, &["SASL PLAIN LOGIN", "USER"], APOP, LoginMethod::Apop),
        ("ready", &["SASL PLAIN LOGIN", "USER"], plain, LoginMethod::Sasl(Mechanism::Plain)),
        ("ready", &["USER"], user, LoginMethod::UserPass),
        ("ready <no timestamp>", &["USER"], user, LoginMethod::UserPass),
        ("ready <a.b.c>", &["USER"], user, LoginMethod::UserPass),
    ];
    for (greeting, capabilities, dialogue, method) in cases {
        let script = greeted(greeting, capabilities) + dialogue + &accepted();
        assert_eq!(play(&allowed(), &[], &script).client.authenticated(), Some(*method), "{greeting}");
    }
    let mut embedder = Embedder::new(allowed(), &[]);
    embedder.feed(format!("+OK {TIMESTAMP}\r\n").as_bytes(), 1000);
    embedder.feed(format!("+OK\r\n{}\r\n.\r\n", all.join("\r\n")).as_bytes(), 1000);
    let line = cram.lines().next().unwrap().strip_prefix("C: ").unwrap();
    assert_eq!(embedder.sent, format!("CAPA\r\n{line}\r\n").into_bytes(), "CRAM-MD5 before APOP");
}

#[test]
fn under_tls_apop_is_the_last_resort() {
    let config = allowed().with_tls(TlsPolicy::Required);
    let start = greeted(TIMESTAMP, &["STLS"]) + "C: STLS\nS: +OK\nTLS\nC: CAPA\n";
    let script = start.clone() + &capa(&["USER"]) + "C: USER mrose\nS: +OK\nC: PASS tanstaaf\n" + &accepted();
    play(&config, &[], &script);
    let script = start + &capa(&["TOP"]) + APOP + &accepted();
    play(&config, &[], &script);
}

#[test]
fn passwords_are_not_shown_without_tls() {
    let refused = "C: QUIT\n= failed: cannot log in: expected TLS, or a way that does not show the password";
    let strict = config().with_credentials(credentials());
    for capabilities in [&["USER"][..], &["SASL PLAIN LOGIN"], &["SASL PLAIN", "USER"]] {
        play(&strict, &[], &(greeted("ready", capabilities) + refused));
    }
    play(&strict, &[], &format!("S: +OK\nC: CAPA\nS: -ERR\n{refused}"));
    play(&strict, &[], &(greeted(TIMESTAMP, &["SASL PLAIN", "USER"]) + APOP + &accepted()));
    let token = config().with_credentials(Credentials::token("mrose", "tok"));
    play(&token, &[], &(greeted("ready", &["SASL XOAUTH2"]) + refused));
}

#[test]
fn ways_that_are_switched_off_are_not_taken() {
    let mut config = allowed();
    config.apop = false;
    config.mechanisms = MechanismSet::EMPTY;
    let script = greeted(TIMESTAMP, &["SASL PLAIN CRAM-MD5", "USER"])
        + "C: USER mrose\nS: +OK\nC: PASS tanstaaf\n"
        + &accepted();
    play(&config, &[], &script);
}

#[test]
fn user_is_not_said_where_capa_does_not_name_it() {
    let script = greeted("ready", &["TOP"])
        + "C: QUIT\n= failed: cannot log in: expected the server to offer a mechanism that fits the credentials, found:";
    play(&allowed(), &[], &script);
}

#[test]
fn credentials_that_a_line_cannot_carry_are_not_said_by_it() {
    for password in ["a\r\nDELE 1", "a\nb", "a\0b", &"x".repeat(250)] {
        let mut config = config().with_credentials(Credentials::password("mrose", password));
        config.plaintext_auth_without_tls = true;
        let script = greeted("ready", &["USER"])
            + "C: QUIT\n= failed: cannot log in: expected the server to offer a mechanism that fits the credentials, found:";
        play(&config, &[], &script);
    }
    let mut config = config().with_credentials(Credentials::password("mrose\r\nDELE 1", "x"));
    config.plaintext_auth_without_tls = true;
    let script = greeted(TIMESTAMP, &["USER"])
        + "C: QUIT\n= failed: cannot log in: expected the server to offer a mechanism that fits the credentials, found:";
    play(&config, &[], &script);
}

#[test]
fn a_refused_login_says_by_what_and_why() {
    let login = greeted("ready", &["USER"]) + "C: USER mrose\nS: +OK\nC: PASS tanstaaf\n";
    for (reply, kind, temporary) in [
        ("-ERR [IN-USE] locked", RefusalKind::InUse, true),
        ("-ERR [LOGIN-DELAY] wait", RefusalKind::LoginDelay, true),
        ("-ERR [SYS/TEMP] x", RefusalKind::Temporary, true),
        ("-ERR [SYS/PERM] x", RefusalKind::Permanent, false),
        ("-ERR [AUTH] x", RefusalKind::Credentials, false),
        ("-ERR x", RefusalKind::Unknown, false),
    ] {
        let script = format!("{login}S: {reply}\nC: QUIT\n= failed: login by USER and PASS refused: {reply}");
        let error = play(&allowed(), &[], &script).played.end.unwrap().unwrap_err();
        assert_eq!(error.reply().map(RefusalKind::of), Some(kind));
        assert_eq!(error.is_temporary(), temporary);
    }
    let user = greeted("ready", &["USER"])
        + "C: USER mrose\nS: -ERR never heard of\nC: QUIT\n= failed: login by USER and PASS refused: -ERR never heard of";
    play(&allowed(), &[], &user);
}

#[test]
fn a_wrong_password_is_tried_in_one_way_only() {
    for capabilities in [&["SASL PLAIN", "USER"][..], &["SASL PLAIN", "USER", "AUTH-RESP-CODE"]] {
        let code = if capabilities.len() == 3 { "[AUTH] " } else { "" };
        let script = greeted("ready", capabilities)
            + &format!("C: AUTH PLAIN AG1yb3NlAHRhbnN0YWFm\nS: -ERR {code}no\nC: QUIT\n= failed: authentication by PLAIN refused: -ERR {code}no")
                .replace("authentication by", "login by");
        play(&allowed(), &[], &script);
    }
    let script = greeted(TIMESTAMP, &["USER"])
        + APOP
        + "S: -ERR no\nC: QUIT\n= failed: login by APOP refused: -ERR no";
    play(&allowed(), &[], &script);
}

#[test]
fn the_next_way_is_tried_where_the_credentials_are_not_at_fault() {
    let user = "C: USER mrose\nS: +OK\nC: PASS tanstaaf\n".to_owned() + &accepted();
    let coded = |capabilities: &[&str], dialogue: &str| {
        greeted(TIMESTAMP, &[capabilities, &["USER", "AUTH-RESP-CODE"]].concat()) + dialogue + &user
    };
    play(&allowed(), &[], &coded(&[], &format!("{APOP}S: -ERR not for you\n")));
    let plain = "C: AUTH PLAIN AG1yb3NlAHRhbnN0YWFm\nS: -ERR not for you\n";
    play(&allowed(), &[], &coded(&["SASL PLAIN"], &format!("{APOP}S: -ERR not for you\n{plain}")));
    // The server has seen nothing of them.
    let script = greeted("ready", &["SASL CRAM-MD5", "USER"]) + "C: AUTH CRAM-MD5\nS: -ERR no such\n" + &user;
    play(&allowed(), &[], &script);
    let script = greeted("ready", &["SASL CRAM-MD5", "USER"])
        + "C: AUTH CRAM-MD5\nS: -ERR [IN-USE] x\nC: QUIT\n= failed: login by CRAM-MD5 refused: -ERR [IN-USE] x";
    play(&allowed(), &[], &script);
}

#[test]
fn stls_is_used_where_offered_and_what_was_learnt_before_is_forgotten() {
    for policy in [TlsPolicy::Opportunistic, TlsPolicy::Required] {
        let script = greeted("ready", &["STLS", "PIPELINING", "SASL CRAM-MD5"])
            + "C: STLS\nS: +OK\nTLS\nC: CAPA\n"
            + &capa(&["TOP"])
            + "= ready\n";
        let played = play(&config().with_tls(policy), &[], &script);
        let capabilities = played.client.capabilities().unwrap();
        assert!(capabilities.top && !capabilities.pipelining && capabilities.sasl.is_none());
        assert!(played.client.tls().is_some());
    }
    let script =
        greeted("ready", &["STLS", "PIPELINING"]) + "C: STLS\nS: +OK\nTLS\nC: CAPA\nS: -ERR\n= ready";
    let played = play(&config().with_tls(TlsPolicy::Required), &[], &script);
    assert!(played.client.capabilities().is_none(), "also where nothing is learnt in their place");
    let script = greeted("ready", &["STLS"]) + "= ready";
    play(&config().with_tls(TlsPolicy::Never), &[], &script);
}

#[test]
fn stls_is_tried_where_nothing_is_known_of_it() {
    let start = "S: +OK\nC: CAPA\nS: -ERR\nC: STLS\n";
    let script = format!("{start}S: +OK\nTLS\nC: CAPA\nS: -ERR\n= ready");
    play(&config().with_tls(TlsPolicy::Required), &[], &script);
    let script = format!("{start}S: -ERR no\nC: QUIT\n= failed: refused in the reply to STLS: -ERR no");
    play(&config().with_tls(TlsPolicy::Required), &[], &script);
    let script = format!("{start}S: -ERR no\n= unencrypted: -ERR no\n= ready");
    play(&config().with_tls(TlsPolicy::Opportunistic), &[], &script);
}

#[test]
fn a_server_without_stls_is_taken_or_left_by_policy() {
    let start = greeted("ready", &["TOP"]);
    play(&config().with_tls(TlsPolicy::Opportunistic), &[], &(start.clone() + "= unencrypted\n= ready"));
    let script = start
        + "C: QUIT\n= failed: expected the server to offer STLS, which is required, found no such offer";
    play(&config().with_tls(TlsPolicy::Required), &[], &script);
    let start = greeted("ready", &["STLS"]) + "C: STLS\nS: -ERR not today\n";
    let script = start.clone() + "= unencrypted: -ERR not today\n= ready";
    play(&config().with_tls(TlsPolicy::Opportunistic), &[], &script);
    let script = start + "C: QUIT\n= failed: refused in the reply to STLS: -ERR not today";
    play(&config().with_tls(TlsPolicy::Required), &[], &script);
}

#[test]
fn implicit_tls_goes_on_before_the_greeting() {
    let script = "TLS\n".to_owned() + &greeted("ready", &["STLS"]) + "= ready";
    play(&config().with_tls(TlsPolicy::Implicit), &[], &script);
}

#[test]
fn capabilities_are_asked_for_again_after_the_login() {
    let script = greeted("ready", &["USER", "EXPIRE 5 USER"])
        + "C: USER mrose\nS: +OK\nC: PASS tanstaaf\nS: +OK\nC: CAPA\n"
        + &capa(&["UIDL", "EXPIRE NEVER"])
        + "= ready";
    let played = play(&allowed(), &[], &script);
    assert!(played.client.capabilities().unwrap().uidl);
    assert_eq!(played.client.capabilities().unwrap().expire.unwrap().days, None);
    let script = greeted("ready", &["USER", "TOP"])
        + "C: USER mrose\nS: +OK\nC: PASS tanstaaf\nS: +OK\nC: CAPA\nS: -ERR not now\n= ready";
    assert!(play(&allowed(), &[], &script).client.capabilities().unwrap().top, "what was known stays");
}

#[test]
fn utf8_is_said_before_the_login_where_wanted_and_offered() {
    let mut config = allowed();
    config.utf8 = true;
    let login = "C: USER mrose\nS: +OK\nC: PASS tanstaaf\n".to_owned() + &accepted();
    let offered = greeted("ready", &["USER", "UTF8"]);
    assert!(play(&config, &[], &(offered.clone() + "C: UTF8\nS: +OK\n" + &login)).client.is_utf8());
    assert!(!play(&config, &[], &(offered.clone() + "C: UTF8\nS: -ERR\n" + &login)).client.is_utf8());
    assert!(!play(&config, &[], &(greeted("ready", &["USER"]) + &login)).client.is_utf8());
    assert!(!play(&allowed(), &[], &(offered + &login)).client.is_utf8());
}

#[test]
fn initial_responses_are_sent_where_the_line_has_room() {
    let long = "x".repeat(180);
    let mut config = config().with_credentials(Credentials::password("mrose", long.clone()));
    config.plaintext_auth_without_tls = true;
    config.user_pass = false;
    let response = mail_wire::sasl::wire::encode(format!("\0mrose\0{long}").as_bytes());
    let script = greeted("ready", &["SASL PLAIN"])
        + &format!("C: AUTH PLAIN\nS: + \nC: {}\n", response.expose_str().unwrap())
        + &accepted();
    play(&config, &[], &script);
    let login = greeted("ready", &["SASL LOGIN"])
        + "C: AUTH LOGIN\nS: + VXNlcm5hbWU6\nC: bXJvc2U=\nS: + Password:\nC: dGFuc3RhYWY=\n"
        + &accepted();
    play(&allowed(), &[], &login);
}

#[test]
fn an_exchange_that_goes_wrong_is_cancelled_and_no_weaker_way_is_tried() {
    let script = greeted(TIMESTAMP, &["SASL CRAM-MD5 PLAIN", "USER"])
        + "C: AUTH CRAM-MD5
           S: + not base64!
           C: *
           S: -ERR cancelled
           C: QUIT
           = failed: authentication by CRAM-MD5 failed: expected base64 in the server's challenge, found something else";
    play(&allowed(), &[], &script);
    let script = greeted("ready", &["SASL CRAM-MD5"])
        + "C: AUTH CRAM-MD5
           S: +OK welcome
           = failed: authentication by CRAM-MD5 failed: expected the exchange to be completed before its success";
    play(&allowed(), &[], &script);
}

#[test]
fn the_reason_for_a_refused_token_is_told() {
    let mut config = config().with_credentials(Credentials::token("mrose", "tok"));
    config.plaintext_auth_without_tls = true;
    let script = greeted("ready", &["SASL XOAUTH2"])
        + "C: AUTH XOAUTH2 dXNlcj1tcm9zZQFhdXRoPUJlYXJlciB0b2sBAQ==
           S: + eyJzdGF0dXMiOiI0MDEifQ==
           C: 
           S: -ERR no
           C: QUIT
           = failed: login by XOAUTH2 refused: -ERR no";
    let error = play(&config, &[], &script).played.end.unwrap().unwrap_err();
    let ClientError::LoginRefused { token_error: Some(error), .. } = error else { panic!("{error}") };
    assert_eq!(error.status, "401");
}

#[test]
fn rpop_says_the_users_name_here_in_place_of_a_password() {
    let name = |name| UserName::new(name).unwrap();
    let login = TrustedLogin::Rpop { user: name("mrose"), client_user: name("root") };
    let script = greeted("ready", &["USER"]) + "C: USER mrose\nS: +OK\nC: RPOP root\n" + &accepted();
    let played = play(&config().with_trusted_login(login), &[], &script);
    assert_eq!(played.client.authenticated(), Some(LoginMethod::Rpop));
}

#[test]
fn kpop_needs_a_layer_that_proved_who_we_are_and_sends_no_password() {
    let login = TrustedLogin::Kpop { user: UserName::new("mrose").unwrap() };
    let config = config().with_trusted_login(login).with_credentials(credentials());
    let script = greeted("ready", &["USER"]) + "C: USER mrose\nS: +OK\nC: PASS mrose\n" + &accepted();
    let played = play_proved(&config, &AuthenticatedPeer::new("mrose@EXAMPLE.ORG"), &script);
    assert_eq!(played.client.authenticated(), Some(LoginMethod::Kpop));
    let script = greeted("ready", &["USER"])
        + "C: QUIT\n= failed: expected a layer that proves who we are, as KPOP needs, found none";
    play(&config, &[], &script);
}

#[test]
fn a_confidential_layer_below_is_as_good_as_tls_for_passwords() {
    let mut peer = AuthenticatedPeer::new("mrose@EXAMPLE.ORG");
    let config = config().with_credentials(credentials());
    let refused = greeted("ready", &["USER"])
        + "C: QUIT\n= failed: cannot log in: expected TLS, or a way that does not show the password";
    play_proved(&config, &peer, &refused);
    peer.confidential = true;
    let script = greeted("ready", &["USER"]) + "C: USER mrose\nS: +OK\nC: PASS tanstaaf\n" + &accepted();
    play_proved(&config, &peer, &script);
}

#[test]
fn a_server_that_greets_with_the_maildrop_open_needs_no_login() {
    let config = config().with_trusted_login(TrustedLogin::Open);
    let script = greeted("ready", &["TOP"]) + "= ready\nC: NOOP\nS: +OK\n= 0 done: +OK";
    let played = play(&config, &[submit(Request::Noop)], &script);
    assert_eq!(played.client.authenticated(), Some(LoginMethod::Open));
}
