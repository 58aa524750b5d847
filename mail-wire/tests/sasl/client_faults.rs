//! What a client does when the server errs or lies.

use mail_wire::sasl::{
    Client, ClientError, ClientParams, Credentials, Mechanism, MechanismSet, Nonce, ScramRefusal,
};
use proptest::prelude::*;

use crate::pair::{client, client_params};

fn scram_client() -> Client {
    let params = ClientParams::new(Nonce::from_printable("abc").unwrap(), Mechanism::ScramSha1.into())
        .with_iterations(2..=5);
    let mut client =
        Client::new(Mechanism::ScramSha1, &Credentials::password("user", "pencil"), params).unwrap();
    assert!(client.take_initial_response().is_some());
    client
}

#[test]
fn a_scram_client_refuses_what_is_no_answer_to_its_message() {
    let malformed = |expected| ClientError::MalformedChallenge { expected };
    let iterations = |found| ClientError::Iterations { least: 2, most: 5, found };
    let cases: [(&[u8], ClientError); 14] = [
        (b"", malformed("a nonce")),
        (b"r=abc,s=AAAA,i=3", ClientError::Nonce),
        (b"r=abd1,s=AAAA,i=3", ClientError::Nonce),
        (b"r=xabc1,s=AAAA,i=3", ClientError::Nonce),
        (b"r=abc1,s=AAAA,i=1", iterations(1)),
        (b"r=abc1,s=AAAA,i=6", iterations(6)),
        (b"r=abc1,s=AAAA,i=4294967296", iterations(u32::MAX)),
        (b"r=abc1,s=AAAA,i=0", malformed("a positive iteration count")),
        (b"r=abc1,s=!,i=3", malformed("a salt in base64")),
        (b"r=abc1,s=AAAA", malformed("an iteration count")),
        (b"m=x,r=abc1,s=AAAA,i=3", malformed("a nonce")),
        (b"r=abc1,s=AAAA,i=3,m=x", malformed("no mandatory extension")),
        (b"r=abc1\xff,s=AAAA,i=3", malformed("UTF-8 without NUL")),
        (b"e=unknown-user", ClientError::Refused(ScramRefusal::UnknownUser)),
    ];
    for (challenge, expected) in cases {
        let mut client = scram_client();
        let case = String::from_utf8_lossy(challenge).into_owned();
        assert_eq!(client.step(challenge), Err(expected), "{case}");
        assert_eq!(client.step(b"r=abc1,s=AAAA,i=3"), Err(ClientError::UnexpectedChallenge), "{case}");
        assert_eq!(client.success(None), Err(ClientError::PrematureSuccess), "{case}");
    }
}

#[test]
fn a_scram_client_takes_no_success_without_the_proof_of_the_server() {
    let false_proof = b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let cases: [(Option<&[u8]>, ClientError); 6] = [
        (None, ClientError::PrematureSuccess),
        (Some(b""), ClientError::MalformedChallenge { expected: "a server signature" }),
        (Some(false_proof), ClientError::ServerSignature),
        (Some(b"v=AAAA"), ClientError::ServerSignature),
        (Some(b"e=other-error"), ClientError::Refused(ScramRefusal::OtherError)),
        (Some(b"e=something-new"), ClientError::Refused(ScramRefusal::OtherError)),
    ];
    for (data, expected) in cases {
        let mut client = scram_client();
        assert!(client.step(b"r=abc1,s=AAAA,i=3").is_ok());
        assert_eq!(client.success(data), Err(expected), "{data:?}");
        assert_eq!(client.success(None), Err(ClientError::PrematureSuccess), "{data:?}");
    }
    let mut client = scram_client();
    assert!(client.step(b"r=abc1,s=AAAA,i=3").is_ok());
    assert_eq!(client.step(false_proof), Err(ClientError::ServerSignature));
    assert_eq!(client.success(None), Err(ClientError::PrematureSuccess));
}

#[test]
fn success_before_the_end_is_no_success() {
    let password = Credentials::password("user", "pencil");
    for mechanism in MechanismSet::ALL.without_channel_binding().iter() {
        let credentials = match mechanism {
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::token("user", "tok"),
            Mechanism::External => Credentials::External { authzid: None },
            Mechanism::Anonymous => Credentials::Anonymous { trace: None },
            _ => password.clone(),
        };
        let mut client = client(mechanism, &credentials);
        assert_eq!(client.success(None), Err(ClientError::PrematureSuccess), "{mechanism}");
    }
    let mut login = client(Mechanism::Login, &password);
    assert!(login.step(b"Username:").is_ok());
    assert_eq!(login.success(None), Err(ClientError::PrematureSuccess));
}

#[test]
fn a_challenge_beyond_the_last_is_refused() {
    let password = Credentials::password("user", "pencil");
    for (mechanism, challenges) in [(Mechanism::Plain, 1), (Mechanism::Login, 2), (Mechanism::CramMd5, 1)] {
        let mut client = client(mechanism, &password);
        let challenge: &[u8] = if mechanism.client_first() { b"" } else { b"x" };
        for _ in 0..challenges {
            assert!(client.step(challenge).is_ok(), "{mechanism}");
        }
        assert_eq!(client.step(challenge), Err(ClientError::UnexpectedChallenge), "{mechanism}");
        assert_eq!(client.success(None), Err(ClientError::PrematureSuccess), "{mechanism}");
    }
    let mut token = client(Mechanism::XOAuth2, &Credentials::token("user", "tok"));
    let _ = token.take_initial_response();
    assert!(token.step(b"not JSON").is_ok());
    assert_eq!(token.token_error().unwrap().status, "");
    assert_eq!(token.step(b"{}"), Err(ClientError::UnexpectedChallenge));
}

#[test]
fn a_password_is_not_sent_in_answer_to_a_challenge_that_should_be_empty() {
    let mut client = client(Mechanism::Plain, &Credentials::password("user", "pencil"));
    assert_eq!(client.step(b"x"), Err(ClientError::MalformedChallenge { expected: "nothing" }));
    assert_eq!(client.step(b""), Err(ClientError::UnexpectedChallenge));
}

#[test]
fn an_overlong_challenge_is_refused() {
    let params = client_params(Mechanism::CramMd5).with_max_message(10);
    let mut client =
        Client::new(Mechanism::CramMd5, &Credentials::password("user", "pencil"), params).unwrap();
    assert_eq!(client.step(&[b'x'; 11]), Err(ClientError::TooLong { limit: 10, found: 11 }));
    assert_eq!(client.step(&[b'x'; 10]), Err(ClientError::UnexpectedChallenge));
}

#[test]
fn credentials_the_mechanism_cannot_carry_do_not_begin() {
    let cases = [
        (Mechanism::Plain, Credentials::token("user", "tok")),
        (Mechanism::XOAuth2, Credentials::password("user", "pencil")),
        (Mechanism::ScramSha256, Credentials::password("user", "\u{7}")),
        (Mechanism::Login, Credentials::password_as("user", "pencil", "friend")),
        (Mechanism::External, Credentials::Anonymous { trace: None }),
    ];
    for (mechanism, credentials) in cases {
        let error = Client::new(mechanism, &credentials, client_params(mechanism)).unwrap_err();
        assert!(matches!(error, ClientError::Unfit { .. }), "{mechanism} {credentials:?}: {error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_challenges_neither_panic_nor_convince_a_scram_client(
        challenges in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "(r=abc[a-z,=]{0,9})?(,s=[A-Za-z0-9+/=]{0,8})?(,i=[0-9]{0,2})?(,[a-z]=x)?".prop_map(String::into_bytes),
                "[ve]=[A-Za-z0-9+/=-]{0,28}".prop_map(String::into_bytes),
            ],
            0..5,
        ),
        data in prop::option::of("v=[A-Za-z0-9+/]{27}=".prop_map(String::into_bytes)),
    ) {
        let mut client = scram_client();
        for challenge in &challenges {
            let _ = client.step(challenge);
        }
        prop_assert!(client.success(data.as_deref()).is_err());
    }
}
