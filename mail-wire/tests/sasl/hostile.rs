//! What a server does with messages that no honest client sends.

use mail_wire::sasl::{
    Answer, ChannelBinding, ChannelBindingKind, Client, Credentials, Failure, Mechanism, Question, Server,
    Step, Stored, TokenError, wire,
};
use proptest::prelude::*;

use crate::pair::{client_params, plain, scram, server_params};

/// Answers every question with yes.
fn agree(server: &mut Server, mut step: Step) -> Step {
    while let Step::Ask(question) = step {
        step = server.answer(match question {
            Question::Credentials { mechanism, .. } => Answer::Stored(plain(mechanism)),
            _ => Answer::AcceptedAs("user".to_owned()),
        });
    }
    step
}

#[test]
fn malformed_first_messages_are_refused_before_anybody_is_asked() {
    use Mechanism::*;
    let cases: &[(Mechanism, &[&[u8]])] = &[
        (
            Plain,
            &[
                b"",
                b"\0",
                b"\0\0",
                b"\0user\0",
                b"\0\0pencil",
                b"user",
                b"user\0pencil",
                b"\0user\0pencil\0",
                b"\0us\0er\0pencil",
                b"\0us\xffer\0pencil",
                b"\xff\0user\0pencil",
                b"\0user\0pen\xffcil",
                b"\0us\x07er\0pencil",
                b"\0us\r\ner\0pencil",
                b"fri\nend\0user\0pencil",
                b"\0\xc2\xad\0pencil",
            ],
        ),
        (Login, &[b"", b"us\0er", b"us\xffer", b"us\r\ner", b"\x7f"]),
        (CramMd5, &[b"user 00000000000000000000000000000000"]),
        (
            XOAuth2,
            &[
                b"",
                b"\x01",
                b"user=u\x01auth=Bearer t",
                b"user=u\x01auth=Bearer t\x01",
                b"user=\x01auth=Bearer t\x01\x01",
                b"auth=Bearer t\x01\x01",
                b"user=u\x01auth=Basic t\x01\x01",
                b"user=u\x01auth=Bearer a b\x01\x01",
                b"user=u\0\x01auth=Bearer t\x01\x01",
                b"user=\xff\x01auth=Bearer t\x01\x01",
                b"user=u\x01auth=Bearer \xc3\xbc\x01\x01",
                b"user=u\x01auth=Bearer t\x01x=y\x01\x01",
                b"user=u\nv\x01auth=Bearer t\x01\x01",
                b"user=u\x01auth=Bearer\x01\x01",
            ],
        ),
        (
            OAuthBearer,
            &[
                b"",
                b"\x01",
                b"n,,",
                b"n,,\x01",
                b"n,,\x01\x01",
                b"n,,\x01auth=Bearer t",
                b"n,,\x01auth=Bearer t\x01",
                b"n,,auth=Bearer t\x01\x01",
                b"n,\x01auth=Bearer t\x01\x01",
                b"x,,\x01auth=Bearer t\x01\x01",
                b"n,user=u,\x01auth=Bearer t\x01\x01",
                b"n,a=,\x01auth=Bearer t\x01\x01",
                b"n,a=u=,\x01auth=Bearer t\x01\x01",
                b"n,a=u\0,\x01auth=Bearer t\x01\x01",
                b"n,,\x01auth=Basic t\x01\x01",
                b"n,,\x01auth=Bearer a b\x01\x01",
                b"n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01",
                b"n,,\x01host=a\x01host=b\x01auth=Bearer t\x01\x01",
                b"n,,\x01port=0\x01auth=Bearer t\x01\x01",
                b"n,,\x01port=0143\x01auth=Bearer t\x01\x01",
                b"n,,\x01port=+143\x01auth=Bearer t\x01\x01",
                b"n,,\x01port=65536\x01auth=Bearer t\x01\x01",
                b"n,,\x01host=\x01auth=Bearer t\x01\x01",
                b"n,,\x01host=a b\x01auth=Bearer t\x01\x01",
                b"n,,\x01k3y=x\x01auth=Bearer t\x01\x01",
                b"n,,\x01=x\x01auth=Bearer t\x01\x01",
                b"n,,\x01key\x01auth=Bearer t\x01\x01",
                b"n,,\x01key=\x7f\x01auth=Bearer t\x01\x01",
                b"n,,\x01key=\xc3\xbc\x01auth=Bearer t\x01\x01",
                b"n,,\x01\x01auth=Bearer t\x01\x01",
                b"\xff,,\x01auth=Bearer t\x01\x01",
            ],
        ),
        (External, &[b"\0", b"us\0er", b"us\xffer", b"us\ner"]),
        (Anonymous, &[b"\0", b"a\r\nb", b"\xff", &[b'x'; 256]]),
        (
            ScramSha256,
            &[
                b"",
                b"n,,n=user",
                b"p=tls-exporter,,n=user,r=abc",
                b"n,,n=us=er,r=abc",
                b"n,,n=us\ner,r=abc",
                b"n,,m=1,n=user,r=abc",
            ],
        ),
        (ScramSha256Plus, &[b"n,,n=user,r=abc", b"y,,n=user,r=abc"]),
    ];
    for (mechanism, messages) in cases {
        for message in *messages {
            let case = format!("{mechanism} {:?}", message.escape_ascii().to_string());
            let mut server = Server::new(*mechanism, server_params());
            let step = server.step(Some(message));
            assert!(matches!(step, Step::Failed(Failure::Malformed { .. })), "{case}: {step:?}");
            assert_eq!(server.step(Some(message)), Step::Failed(Failure::OutOfTurn), "{case}");
            assert_eq!(server.answer(Answer::Accepted), Step::Failed(Failure::Unavailable), "{case}");
        }
    }
}

#[test]
fn bearer_tokens_with_channel_binding_are_refused() {
    let mut server = Server::new(Mechanism::OAuthBearer, server_params());
    let step = server.step(Some(b"p=tls-exporter,,\x01auth=Bearer t\x01\x01"));
    assert_eq!(step, Step::Failed(Failure::ChannelBinding));
}

#[test]
fn malformed_later_messages_are_refused() {
    let login: &[&[u8]] = &[b"", b"pen\0cil", b"pen\rcil", b"pen\ncil"];
    for message in login {
        let mut server = Server::new(Mechanism::Login, server_params());
        assert_eq!(server.step(Some(b"user")), Step::Challenge(b"Password:".to_vec()));
        assert!(matches!(server.step(Some(message)), Step::Failed(Failure::Malformed { .. })), "{message:?}");
    }
    let cram: &[&[u8]] = &[
        b"",
        b"user",
        b"user ",
        b" 00000000000000000000000000000000",
        b"user 0000000000000000000000000000000",
        b"user 000000000000000000000000000000000",
        b"user 0000000000000000000000000000000g",
        b"us\0er 00000000000000000000000000000000",
        b"\xff 00000000000000000000000000000000",
        b"user 00000000000000000000000000000000 ",
        b"user\t00000000000000000000000000000000",
    ];
    for message in cram {
        let mut server = Server::new(Mechanism::CramMd5, server_params());
        assert!(matches!(server.step(None), Step::Challenge(_)));
        assert!(matches!(server.step(Some(message)), Step::Failed(Failure::Malformed { .. })), "{message:?}");
    }
}

#[test]
fn a_scram_proof_must_fit_its_challenge() {
    let right_nonce = "abcbm9uY2Ugb2YgYSBzZXJ2ZXIh";
    let proof = "p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let malformed = |expected| Failure::Malformed { expected };
    let cases = [
        (format!("c=biws,r={right_nonce},{proof}"), Failure::Credentials),
        (format!("c=biws,r={right_nonce},p=AAAA"), Failure::Credentials),
        (format!("c=biws,r={right_nonce}x,{proof}"), malformed("the nonce of the challenge")),
        (format!("c=biws,r=abc,{proof}"), malformed("the nonce of the challenge")),
        (format!("c=eSws,r={right_nonce},{proof}"), malformed("the GS2 header of the first message")),
        (format!("c=biwsAAAA,r={right_nonce},{proof}"), malformed("the GS2 header of the first message")),
        (format!("c=biws,r={right_nonce},m=x,{proof}"), malformed("no mandatory extension")),
        (format!("c=biws,r={right_nonce}"), malformed("a proof at the end")),
        (format!("c=biws,r={right_nonce},p=A"), malformed("a proof in base64")),
        (String::new(), malformed("a proof at the end")),
    ];
    for (message, expected) in cases {
        for stored in [plain(Mechanism::ScramSha256), scram(Mechanism::ScramSha256), Stored::Unknown] {
            let mut server = Server::new(Mechanism::ScramSha256, server_params());
            assert!(matches!(server.step(Some(b"n,,n=user,r=abc")), Step::Ask(_)));
            assert!(matches!(server.answer(Answer::Stored(stored)), Step::Challenge(_)));
            assert_eq!(server.step(Some(message.as_bytes())), Step::Failed(expected), "{message}");
        }
    }
}

#[test]
fn a_right_proof_with_more_bytes_behind_it_is_refused() {
    let mechanism = Mechanism::ScramSha256;
    let credentials = Credentials::password("user", "pencil");
    let mut client = Client::new(mechanism, &credentials, client_params(mechanism)).unwrap();
    let mut server = Server::new(mechanism, server_params());
    let step = server.step(Some(client.take_initial_response().unwrap().expose()));
    let Step::Challenge(challenge) = agree(&mut server, step) else { panic!("expected a challenge") };
    let last = client.step(&challenge).unwrap();
    let (message, proof) = last.expose_str().unwrap().rsplit_once("p=").unwrap();
    let mut proof = wire::decode_challenge(proof.as_bytes(), wire::MAX_LINE).unwrap();
    proof.push(0);
    let message = format!("{message}p={}", wire::encode(&proof).expose_str().unwrap());
    assert_eq!(server.step(Some(message.as_bytes())), Step::Failed(Failure::Credentials));
}

#[test]
fn the_last_challenge_is_answered_by_nothing_but_an_empty_response() {
    let credentials = Credentials::password("user", "pencil");
    let mut client =
        Client::new(Mechanism::ScramSha1, &credentials, client_params(Mechanism::ScramSha1)).unwrap();
    let mut server = Server::new(Mechanism::ScramSha1, server_params());
    let step = server.step(Some(client.take_initial_response().unwrap().expose()));
    let Step::Challenge(challenge) = agree(&mut server, step) else { panic!("expected a challenge") };
    assert!(matches!(server.step(Some(client.step(&challenge).unwrap().expose())), Step::Challenge(_)));
    assert_eq!(server.step(Some(b"x")), Step::Failed(Failure::Malformed { expected: "an empty response" }));
    assert_eq!(server.step(Some(b"")), Step::Failed(Failure::OutOfTurn));
}

#[test]
fn an_overlong_message_is_refused_unread() {
    for mechanism in Mechanism::ALL {
        let mut server = Server::new(mechanism, server_params());
        let step = server.step(Some(&[b'x'; 12_289]));
        assert_eq!(step, Step::Failed(Failure::TooLong { limit: 12_288, found: 12_289 }), "{mechanism}");
        assert_eq!(server.step(None), Step::Failed(Failure::OutOfTurn), "{mechanism}");
    }
    let mut server = Server::new(Mechanism::Login, server_params().with_max_message(4));
    assert!(matches!(server.step(Some(b"user")), Step::Challenge(_)));
    assert_eq!(server.step(Some(b"pencil")), Step::Failed(Failure::TooLong { limit: 4, found: 6 }));
}

#[test]
fn a_message_out_of_turn_ends_the_exchange() {
    let mut server = Server::new(Mechanism::Plain, server_params());
    assert!(matches!(server.step(Some(b"\0user\0pencil")), Step::Ask(_)));
    assert_eq!(server.step(Some(b"\0user\0pencil")), Step::Failed(Failure::OutOfTurn));
    assert_eq!(server.answer(Answer::Accepted), Step::Failed(Failure::Unavailable));

    let mut server = Server::new(Mechanism::Plain, server_params());
    assert_eq!(server.step(None), Step::Challenge(Vec::new()));
    assert_eq!(server.step(None), Step::Failed(Failure::OutOfTurn));

    let mut server = Server::new(Mechanism::Anonymous, server_params());
    assert!(matches!(server.step(Some(b"")), Step::Ask(_)));
    assert!(matches!(server.answer(Answer::Accepted), Step::Success { .. }));
    assert_eq!(server.step(Some(b"")), Step::Failed(Failure::OutOfTurn));
    assert_eq!(server.answer(Answer::Accepted), Step::Failed(Failure::Unavailable));
}

#[test]
fn an_answer_of_the_wrong_kind_lets_nobody_in() {
    let first: [(Mechanism, &[u8]); 6] = [
        (Mechanism::Plain, b"\0user\0pencil"),
        (Mechanism::ScramSha256, b"n,,n=user,r=abc"),
        (Mechanism::OAuthBearer, b"n,,\x01auth=Bearer t\x01\x01"),
        (Mechanism::XOAuth2, b"user=u\x01auth=Bearer t\x01\x01"),
        (Mechanism::External, b""),
        (Mechanism::Anonymous, b""),
    ];
    for (mechanism, message) in first {
        let wrong = match mechanism {
            Mechanism::Plain => vec![Answer::RejectedToken(TokenError::new("x"))],
            Mechanism::ScramSha256 => {
                vec![Answer::Accepted, Answer::AcceptedAs("user".to_owned()), Answer::Rejected]
            }
            // Nobody was named whom "yes" could mean.
            Mechanism::OAuthBearer | Mechanism::External => vec![Answer::Accepted],
            _ => vec![Answer::Stored(plain(mechanism))],
        };
        for answer in wrong.into_iter().chain([Answer::Unavailable]) {
            let mut server = Server::new(mechanism, server_params());
            assert!(matches!(server.step(Some(message)), Step::Ask(_)), "{mechanism}");
            let case = format!("{mechanism} {answer:?}");
            assert_eq!(server.answer(answer), Step::Failed(Failure::Unavailable), "{case}");
        }
    }
}

/// Messages that get some way into an exchange.
fn message() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        1 => Just(None),
        2 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Some),
        2 => "([a-z]{0,4}\0){0,3}[a-z]{0,6}".prop_map(|text| Some(text.into_bytes())),
        2 => "(n|y|p=tls-exporter),(a=[a-z=,]{0,3})?,(n=[a-z=]{0,4})?(,r=[!-~]{0,5})?(,[a-z]=x)?"
            .prop_map(|text| Some(text.into_bytes())),
        2 => "c=(biws|eSws|[A-Za-z=]{4}),r=[a-z]{0,3}bm9uY2Ugb2YgYSBzZXJ2ZXIh,p=[A-Za-z]{0,8}(AAAA)*"
            .prop_map(|text| Some(text.into_bytes())),
        1 => "(n,(a=u)?,\x01)?(user=u|host=h|port=[0-9]{1,6}|auth=)?\x01?(auth=(Bearer )?[a-z]{0,3}\x01)\x01?"
            .prop_map(|text| Some(text.into_bytes())),
        1 => "[a-z]{0,3} [0-9a-fA-Fg]{31,33}".prop_map(|text| Some(text.into_bytes())),
    ]
}

fn mechanism() -> impl Strategy<Value = Mechanism> {
    prop::sample::select(&Mechanism::ALL[..])
}

proptest! {
    #[test]
    fn arbitrary_exchanges_neither_panic_nor_last(
        mechanism in mechanism(),
        messages in prop::collection::vec(message(), 1..8),
    ) {
        let binding = ChannelBinding::new(ChannelBindingKind::TlsExporter, *b"channel");
        let mut server = Server::new(mechanism, server_params().with_channel_binding(binding));
        let mut challenges = 0;
        let mut over = false;
        for message in messages {
            let step = server.step(message.as_deref());
            match agree(&mut server, step) {
                Step::Challenge(_) => {
                    prop_assert!(!over);
                    challenges += 1;
                }
                Step::Success { .. } | Step::Failed(_) => over = true,
                Step::Ask(_) => unreachable!("agree answers"),
            }
        }
        prop_assert!(challenges <= 3);
    }

    #[test]
    fn nobody_gets_in_where_everybody_is_refused(
        mechanism in mechanism(),
        messages in prop::collection::vec(message(), 1..8),
        unknown in any::<bool>(),
    ) {
        let mut server = Server::new(mechanism, server_params());
        for message in messages {
            let mut step = server.step(message.as_deref());
            while let Step::Ask(_) = step {
                step = server.answer(if unknown { Answer::Stored(Stored::Unknown) } else { Answer::Rejected });
            }
            let success = matches!(step, Step::Success { .. });
            prop_assert!(!success);
        }
    }

    /// Whoever changes one byte of one message of SCRAM, in either direction, makes the exchange fail on some side.
    #[test]
    fn scram_fails_when_a_byte_is_changed_on_the_way(
        changed_message in 0_usize..4,
        position in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let tamper = |number: usize, mut message: Vec<u8>| {
            if number == changed_message {
                let index = position.index(message.len());
                message[index] ^= flip;
            }
            message
        };
        let credentials = Credentials::password_as("user", "pencil", "friend");
        let mechanism = Mechanism::ScramSha1;
        let mut client = Client::new(mechanism, &credentials, client_params(mechanism)).unwrap();
        let mut server = Server::new(mechanism, server_params());
        let first = tamper(0, client.take_initial_response().unwrap().expose().to_vec());
        let step = server.step(Some(&first));
        let Step::Challenge(challenge) = agree(&mut server, step) else { return Ok(()) };
        let Ok(last) = client.step(&tamper(1, challenge)) else { return Ok(()) };
        let step = server.step(Some(&tamper(2, last.expose().to_vec())));
        let Step::Challenge(verdict) = agree(&mut server, step) else { return Ok(()) };
        prop_assert!(changed_message == 3, "the server took a changed message {changed_message}");
        prop_assert!(client.step(&tamper(3, verdict)).is_err());
    }
}
