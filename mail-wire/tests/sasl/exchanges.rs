//! Our client against our server.

use mail_wire::sasl::{
    Answer, ChannelBinding, ChannelBindingKind, Client, ClientError, Credentials, Failure, Hash, Mechanism,
    MechanismSet, Question, Server, Step, Stored, TokenError,
};

use crate::pair::{self, Embedder, client, client_params, exchange, plain, run, scram, server_params};

fn binding(data: &[u8]) -> ChannelBinding {
    ChannelBinding::new(ChannelBindingKind::TlsExporter, data)
}

fn credentials_for(mechanism: Mechanism) -> Credentials {
    match mechanism {
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::token("user", "tok"),
        Mechanism::External => Credentials::External { authzid: None },
        Mechanism::Anonymous => Credentials::Anonymous { trace: Some("sirhc".to_owned()) },
        _ => Credentials::password("user", "pencil"),
    }
}

fn is_about_passwords(mechanism: Mechanism) -> bool {
    mechanism.is_scram() || matches!(mechanism, Mechanism::Plain | Mechanism::Login | Mechanism::CramMd5)
}

#[test]
fn every_mechanism_succeeds_with_and_without_initial_response() {
    for mechanism in Mechanism::ALL {
        for with_initial_response in [true, false] {
            for data_with_success in [true, false] {
                let case = format!("{mechanism} initial: {with_initial_response} data: {data_with_success}");
                let params = client_params(MechanismSet::ALL).with_channel_binding(binding(b"channel"));
                let mut client = Client::new(mechanism, &credentials_for(mechanism), params).unwrap();
                assert_eq!(client.initial_response().is_some(), mechanism.client_first(), "{case}");
                let params = server_params()
                    .with_channel_binding(binding(b"channel"))
                    .with_data_with_success(data_with_success);
                let mut server = Server::new(mechanism, params);
                let outcome = run(&mut client, &mut server, &mut Embedder::new(plain), with_initial_response);

                let identity = outcome.server.unwrap_or_else(|failure| panic!("{case}: {failure}"));
                let name = if mechanism == Mechanism::Anonymous { "anonymous" } else { "user" };
                assert_eq!((&*identity.authcid, &*identity.authzid), (name, name), "{case}");
                assert_eq!(identity.mechanism, mechanism, "{case}");
                assert_eq!(outcome.client, Ok(()), "{case}");

                let empty_first = usize::from(mechanism.client_first() && !with_initial_response);
                let own = match mechanism {
                    Mechanism::Login => 2,
                    Mechanism::CramMd5 => 1,
                    _ if mechanism.is_scram() => 1 + usize::from(!data_with_success),
                    _ => 0,
                };
                assert_eq!(outcome.challenges, empty_first + own, "{case}");
            }
        }
    }
}

#[test]
fn scram_keys_and_plain_passwords_serve_what_they_are_documented_to_serve() {
    for mechanism in MechanismSet::ALL.without_channel_binding().iter().filter(|m| is_about_passwords(*m)) {
        let with_keys = exchange(mechanism, &credentials_for(mechanism), &mut Embedder::new(scram));
        assert_eq!(with_keys.server.is_ok(), mechanism != Mechanism::CramMd5, "{mechanism}");
        let with_plain = exchange(mechanism, &credentials_for(mechanism), &mut Embedder::new(plain));
        assert!(with_plain.server.is_ok() && with_plain.client.is_ok(), "{mechanism}");
    }
}

#[test]
fn keys_of_another_hash_are_as_good_as_no_user() {
    let other_hash = |mechanism| {
        scram(match Hash::of(mechanism) {
            Some(Hash::Sha1) => Mechanism::ScramSha256,
            _ => Mechanism::ScramSha1,
        })
    };
    for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256] {
        let outcome = exchange(mechanism, &credentials_for(mechanism), &mut Embedder::new(other_hash));
        assert_eq!(outcome.server, Err(Failure::Credentials), "{mechanism}");
        assert_eq!(outcome.challenges, 1, "{mechanism}");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_the_same() {
    for mechanism in MechanismSet::ALL.without_channel_binding().iter().filter(|m| is_about_passwords(*m)) {
        for stored in [plain, scram] {
            let mut reference = None;
            for (name, password) in [("user", "pen"), ("nobody", "pencil"), ("nobody", "pen")] {
                let credentials = Credentials::password(name, password);
                let outcome = exchange(mechanism, &credentials, &mut Embedder::new(stored));
                assert_eq!(outcome.server, Err(Failure::Credentials), "{mechanism} {name} {password}");
                let seen = (outcome.server, outcome.challenges);
                assert_eq!(*reference.get_or_insert(seen.clone()), seen, "{mechanism} {name} {password}");
            }
        }
    }
}

#[test]
fn an_unknown_user_is_shown_the_same_salt_at_each_try_and_a_plausible_one() {
    let challenge_for = |name: &str| {
        let mut client = client(Mechanism::ScramSha256, &Credentials::password(name, "pencil"));
        let mut server = Server::new(Mechanism::ScramSha256, server_params());
        let first = client.take_initial_response().unwrap();
        assert!(matches!(server.step(Some(first.expose())), Step::Ask(Question::Credentials { .. })));
        let Step::Challenge(challenge) = server.answer(Answer::Stored(Stored::Unknown)) else {
            panic!("expected a challenge")
        };
        String::from_utf8(challenge).unwrap()
    };
    assert_eq!(challenge_for("nobody"), challenge_for("nobody"));
    assert_ne!(challenge_for("nobody"), challenge_for("noone"));
    assert!(challenge_for("nobody").ends_with("==,i=3"), "{}", challenge_for("nobody"));
}

#[test]
fn whoever_knows_the_password_of_an_imitation_is_refused_all_the_same() {
    for mechanism in Mechanism::ALL.into_iter().filter(|mechanism| is_about_passwords(*mechanism)) {
        let imitations: [fn(Mechanism) -> Stored; 2] = [
            |mechanism| Stored::Imitation(Box::new(plain(mechanism))),
            |mechanism| Stored::Imitation(Box::new(scram(mechanism))),
        ];
        for stored in imitations {
            let (mut client, mut server) = bound_pair(mechanism, &Credentials::password("user", "pencil"));
            let mut embedder = Embedder::new(stored);
            let outcome = run(&mut client, &mut server, &mut embedder, mechanism.client_first());
            assert_eq!(outcome.server, Err(Failure::Credentials), "{mechanism}");
        }
    }
}

#[test]
fn the_identity_has_the_name_that_the_embedder_answers_with() {
    for mechanism in Mechanism::ALL.into_iter().filter(|mechanism| is_about_passwords(*mechanism)) {
        for stored in [plain, scram] {
            if mechanism == Mechanism::CramMd5 && stored(mechanism) != plain(mechanism) {
                continue;
            }
            // The name that the client itself gave needs no leave either.
            for authzid in [None, Some("User"), Some("user")] {
                let case = format!("{mechanism} as {authzid:?}");
                let credentials = match authzid {
                    Some(authzid) if carries_authzid(mechanism) => {
                        Credentials::password_as("User", "pencil", authzid)
                    }
                    _ => Credentials::password("User", "pencil"),
                };
                let (mut client, mut server) = bound_pair(mechanism, &credentials);
                let mut embedder = Embedder::new(stored).folding();
                let outcome = run(&mut client, &mut server, &mut embedder, mechanism.client_first());
                let identity = outcome.server.unwrap_or_else(|failure| panic!("{case}: {failure}"));
                assert_eq!((&*identity.authcid, &*identity.authzid), ("user", "user"), "{case}");
                assert_eq!(outcome.client, Ok(()), "{case}");
                assert_eq!(embedder.asked.len(), 1, "{case}");
                assert_eq!(server.claimed_user(), Some("User"), "{case}");
            }
        }
    }
}

/// Both sides, with channel binding where the mechanism has it.
fn bound_pair(mechanism: Mechanism, credentials: &Credentials) -> (Client, Server) {
    let (mut client_params, mut server_params) = (client_params(mechanism), server_params());
    if mechanism.uses_channel_binding() {
        client_params = client_params.with_channel_binding(binding(b"channel"));
        server_params = server_params.with_channel_binding(binding(b"channel"));
    }
    let client = Client::new(mechanism, credentials, client_params).unwrap();
    (client, Server::new(mechanism, server_params))
}

fn carries_authzid(mechanism: Mechanism) -> bool {
    mechanism.is_scram() || mechanism == Mechanism::Plain
}

#[test]
fn spellings_of_one_name_are_shown_one_salt_whether_there_is_such_a_user_or_not() {
    let challenge_for = |name: &str, stored: fn(Mechanism) -> Stored| {
        let mut client = client(Mechanism::ScramSha256, &Credentials::password(name, "pencil"));
        let mut server = Server::new(Mechanism::ScramSha256, server_params());
        let first = client.take_initial_response().unwrap();
        let Step::Ask(question) = server.step(Some(first.expose())) else { panic!("expected a question") };
        let Step::Challenge(challenge) = server.answer(Embedder::new(stored).folding().answer(question))
        else {
            panic!("expected a challenge")
        };
        challenge
    };
    for stored in [plain, scram] {
        for (one, other) in [("user", "User"), ("nobody", "NoBody")] {
            assert_eq!(challenge_for(one, stored), challenge_for(other, stored), "{one}");
        }
    }
}

#[test]
fn a_user_is_claimed_as_soon_as_it_is_named_and_after_a_failure_too() {
    for mechanism in Mechanism::ALL {
        let mut credentials = credentials_for(mechanism);
        if mechanism == Mechanism::External {
            credentials = Credentials::External { authzid: Some("user".to_owned()) };
        }
        let (mut client, mut server) = bound_pair(mechanism, &credentials);
        assert_eq!(server.claimed_user(), None, "{mechanism}");
        let mut step = server.step(client.take_initial_response().as_ref().map(|first| first.expose()));
        while let Step::Challenge(challenge) = step {
            step = server.step(Some(client.step(&challenge).unwrap().expose()));
        }
        let claimed = (mechanism != Mechanism::Anonymous).then_some("user");
        assert_eq!(server.claimed_user(), claimed, "{mechanism}");
        assert_eq!(server.answer(Answer::Unavailable), Step::Failed(Failure::Unavailable), "{mechanism}");
        assert_eq!(server.claimed_user(), claimed, "{mechanism}");
    }
}

#[test]
fn acting_as_another_user_is_asked_about_after_the_proof() {
    let mechanisms = [
        Mechanism::Plain,
        Mechanism::ScramSha1,
        Mechanism::ScramSha256,
        Mechanism::OAuthBearer,
        Mechanism::External,
    ];
    for mechanism in mechanisms {
        for (authzid, permitted) in [("friend", true), ("stranger", false)] {
            let case = format!("{mechanism} as {authzid}");
            let credentials = match mechanism {
                Mechanism::OAuthBearer => Credentials::token(authzid, "tok"),
                Mechanism::External => Credentials::External { authzid: Some(authzid.to_owned()) },
                _ => Credentials::password_as("user", "pencil", authzid),
            };
            let mut embedder = Embedder::new(plain);
            let outcome = exchange(mechanism, &credentials, &mut embedder);
            let expected =
                Question::Authorize { mechanism, authcid: "user".to_owned(), authzid: authzid.to_owned() };
            assert_eq!(embedder.asked.last(), Some(&expected), "{case}");
            if permitted {
                let identity = outcome.server.unwrap();
                assert_eq!((&*identity.authcid, &*identity.authzid), ("user", authzid), "{case}");
                assert_eq!(outcome.client, Ok(()), "{case}");
            } else {
                assert_eq!(outcome.server, Err(Failure::Unauthorized), "{case}");
            }
        }
    }
}

#[test]
fn acting_as_oneself_is_not_asked_about() {
    for authzid in ["user", "us\u{ad}er"] {
        for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
            let mut embedder = Embedder::new(plain);
            let outcome =
                exchange(mechanism, &Credentials::password_as("user", "pencil", authzid), &mut embedder);
            assert_eq!(outcome.server.unwrap().authzid, "user", "{mechanism}");
            assert_eq!(embedder.asked.len(), 1, "{mechanism}");
        }
    }
}

#[test]
fn a_wrong_password_is_refused_before_the_other_user_is_looked_at() {
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
        let mut embedder = Embedder::new(plain);
        let outcome =
            exchange(mechanism, &Credentials::password_as("user", "pen", "stranger"), &mut embedder);
        assert_eq!(outcome.server, Err(Failure::Credentials));
        assert_eq!(embedder.asked.len(), 1, "{mechanism}");
    }
}

#[test]
fn names_with_commas_equals_signs_and_other_scripts_arrive_whole() {
    for mechanism in [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5, Mechanism::ScramSha1] {
        for name in ["a,b=c", "=2C", "=3D,", "grüße", "用户", "two words"] {
            let mut embedder = Embedder::new(plain);
            let _ = exchange(mechanism, &Credentials::password(name, "pencil"), &mut embedder);
            let Some(Question::VerifyPassword { authcid, .. } | Question::Credentials { authcid, .. }) =
                embedder.asked.first()
            else {
                panic!("{mechanism} asked {:?}", embedder.asked)
            };
            assert_eq!(authcid, name, "{mechanism}");
        }
    }
}

#[test]
fn a_name_the_embedder_corrects_is_the_name_of_the_session() {
    let mut server = Server::new(Mechanism::Plain, server_params());
    assert!(matches!(server.step(Some(b"USER\0USER\0pencil")), Step::Ask(Question::VerifyPassword { .. })));
    let Step::Success { identity, .. } = server.answer(Answer::AcceptedAs("user".to_owned())) else {
        panic!("expected success")
    };
    assert_eq!((&*identity.authcid, &*identity.authzid), ("user", "user"));
}

/// Plays SCRAM-SHA-256 or its `-PLUS` form with these bindings on the two sides.
fn bound_exchange(
    mechanism: Mechanism,
    offered: &str,
    client_binding: Option<ChannelBinding>,
    server_bindings: &[ChannelBinding],
) -> pair::Outcome {
    let mut params = client_params(MechanismSet::parse(offered));
    if let Some(binding) = client_binding {
        params = params.with_channel_binding(binding);
    }
    let mut client = Client::new(mechanism, &Credentials::password("user", "pencil"), params).unwrap();
    let params =
        server_bindings.iter().cloned().fold(server_params(), |params, b| params.with_channel_binding(b));
    run(&mut client, &mut Server::new(mechanism, params), &mut Embedder::new(plain), true)
}

#[test]
fn a_plus_offer_that_was_cut_out_is_noticed() {
    // RFC 5802 §6
    let bare = Mechanism::ScramSha256;
    let both = "SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
    let channel = || binding(b"channel");
    let cases = [
        // offered as seen by the client, client can bind, server can bind, expected
        ("SCRAM-SHA-256", true, true, Err(Failure::ChannelBinding)),
        ("SCRAM-SHA-256", true, false, Ok(())),
        ("SCRAM-SHA-256", false, true, Ok(())),
        ("SCRAM-SHA-256", false, false, Ok(())),
        (both, true, true, Ok(())),
        (both, false, true, Ok(())),
    ];
    for (offered, client_binds, server_binds, expected) in cases {
        let bindings: &[_] = if server_binds { &[channel()] } else { &[] };
        let outcome = bound_exchange(bare, offered, client_binds.then(channel), bindings);
        let case = format!("{offered} client: {client_binds} server: {server_binds}");
        assert_eq!(outcome.server.map(drop), expected, "{case}");
    }
}

#[test]
fn a_channel_that_is_not_the_same_at_both_ends_is_refused() {
    let plus = Mechanism::ScramSha256Plus;
    let end_point = |data: &[u8]| ChannelBinding::new(ChannelBindingKind::TlsServerEndPoint, data);
    let cases: [(ChannelBinding, &[ChannelBinding], _); 6] = [
        (binding(b"channel"), &[binding(b"channel")], Ok(())),
        (binding(b"channel"), &[binding(b"another")], Err(Failure::ChannelBinding)),
        (binding(b"channel"), &[end_point(b"channel")], Err(Failure::ChannelBinding)),
        (binding(b"channel"), &[], Err(Failure::ChannelBinding)),
        (end_point(b"hash"), &[binding(b"channel"), end_point(b"hash")], Ok(())),
        (end_point(b"hash"), &[binding(b"hash"), end_point(b"else")], Err(Failure::ChannelBinding)),
    ];
    for (client, server, expected) in cases {
        let outcome = bound_exchange(plus, plus.name(), Some(client.clone()), server);
        assert_eq!(outcome.server.map(drop), expected, "{client:?} {server:?}");
    }
}

#[test]
fn a_plus_mechanism_without_a_binding_does_not_begin() {
    let plus = Mechanism::ScramSha1Plus;
    let error = Client::new(plus, &Credentials::password("user", "pencil"), client_params(plus)).unwrap_err();
    assert_eq!(error, ClientError::MissingChannelBinding(plus));
}

#[test]
fn a_refused_token_tells_the_client_why() {
    let reason =
        TokenError::new("invalid_token").with_scope("mail").with_openid_configuration("https://o.test/");
    for mechanism in [Mechanism::OAuthBearer, Mechanism::XOAuth2] {
        for (token, answer) in
            [("bad", Some(Answer::Rejected)), ("bad", Some(Answer::RejectedToken(reason.clone())))]
        {
            let mut client = client(mechanism, &Credentials::token("user", token));
            let mut server = Server::new(mechanism, server_params().with_token_error(reason.clone()));
            let first = client.take_initial_response().unwrap();
            assert!(matches!(server.step(Some(first.expose())), Step::Ask(Question::VerifyToken { .. })));
            let Step::Challenge(challenge) = server.answer(answer.unwrap()) else {
                panic!("expected a challenge")
            };
            let dummy = client.step(&challenge).unwrap();
            let expected: &[u8] = if mechanism == Mechanism::OAuthBearer { b"\x01" } else { b"" };
            assert_eq!(dummy.expose(), expected);
            assert_eq!(client.token_error(), Some(&reason));
            assert_eq!(server.step(Some(dummy.expose())), Step::Failed(Failure::Credentials));
            assert_eq!(client.success(None), Err(ClientError::PrematureSuccess));
        }
    }
}

#[test]
fn a_refused_token_is_told_in_the_dialect_of_the_mechanism() {
    let cases = [
        (Mechanism::OAuthBearer, r#"{"status":"invalid_token"}"#),
        (Mechanism::XOAuth2, r#"{"status":"401","schemes":"bearer"}"#),
    ];
    for (mechanism, expected) in cases {
        let mut client = client(mechanism, &Credentials::token("user", "bad"));
        let mut server = Server::new(mechanism, server_params());
        let _ = server.step(client.take_initial_response().as_ref().map(|first| first.expose()));
        assert_eq!(server.answer(Answer::Rejected), Step::Challenge(expected.into()), "{mechanism}");
    }
}

#[test]
fn host_and_port_reach_the_embedder() {
    let credentials = Credentials::Token {
        user: None,
        token: "tok".into(),
        host: Some("mail.example.test".to_owned()),
        port: Some(587),
    };
    let mut embedder = Embedder::new(plain);
    let outcome = exchange(Mechanism::OAuthBearer, &credentials, &mut embedder);
    assert_eq!(outcome.server.unwrap().authcid, "user");
    let expected = Question::VerifyToken {
        mechanism: Mechanism::OAuthBearer,
        user: None,
        token: "tok".into(),
        host: Some("mail.example.test".to_owned()),
        port: Some(587),
    };
    assert_eq!(embedder.asked, [expected]);
}

#[test]
fn debug_shows_no_password_and_no_token() {
    let mut shown = String::new();
    for mechanism in Mechanism::ALL {
        let credentials = match credentials_for(mechanism) {
            Credentials::Password { .. } => Credentials::password("user", "s3cret"),
            Credentials::Token { .. } => Credentials::token("user", "s3cret"),
            other => other,
        };
        let params = client_params(mechanism).with_channel_binding(binding(b"s3cret"));
        let mut client = Client::new(mechanism, &credentials, params).unwrap();
        let mut server = Server::new(mechanism, server_params().with_channel_binding(binding(b"s3cret")));
        shown += &format!("{credentials:?} {client:?} {server:?}");
        let mut embedder = Embedder::new(|_| Stored::Plain("s3cret".into()));
        let outcome = run(&mut client, &mut server, &mut embedder, true);
        shown += &format!("{:?} {outcome:?} {client:?} {server:?}", embedder.asked);
    }
    assert!(shown.contains("Secret(..)"));
    assert!(!shown.contains("s3cret"), "{shown}");
}
