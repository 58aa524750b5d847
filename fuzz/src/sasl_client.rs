//! The client's side of SASL exchanges, against a hostile server and an honest one.

use crate::Knobs;
use mail_wire::Secret;
use mail_wire::sasl::{
    Answer, ChannelBinding, ChannelBindingKind, Client, ClientParams, Credentials, Decoy, Mechanism,
    MechanismSet, Nonce, Question, Server, ServerParams, Step, Stored,
};

/// The first two lines of `data` are name and password (or token), the others are what a hostile server says.
pub fn check(data: &[u8]) {
    let (mut knobs, data) = Knobs::split(data);
    let mechanism = Mechanism::ALL[knobs.below(Mechanism::ALL.len())];
    let mut lines = data.split(|b| *b == b'\n');
    let name = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let secret = Secret::new(lines.next().unwrap_or_default());
    let credentials = match mechanism {
        Mechanism::Anonymous => Credentials::Anonymous { trace: Some(name.clone()) },
        Mechanism::External => Credentials::External { authzid: Some(name.clone()) },
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::token(name.clone(), secret.clone()),
        _ => Credentials::password(name.clone(), secret.clone()),
    };
    let binding = || ChannelBinding::new(ChannelBindingKind::TlsExporter, [3; 32]);
    let bound = mechanism.uses_channel_binding();
    let begin = || {
        let params = ClientParams::new(Nonce::from_random([5; 18]), MechanismSet::ALL).with_iterations(1..=8);
        let params = if bound { params.with_channel_binding(binding()) } else { params };
        Client::new(mechanism, &credentials, params)
    };
    let Ok(client) = begin() else { return };
    hostile(client, lines, &mut knobs);

    let params = ServerParams::new(
        Nonce::from_random([7; 18]),
        Decoy::new(Secret::new(vec![9; 32])).with_iterations(1),
    );
    let params = if bound { params.with_channel_binding(binding()) } else { params };
    let client = begin().expect("it could begin before");
    honest(client, Server::new(mechanism, params), &name, &secret);
}

/// A hostile server gets no more than a few answers, and none that the mechanism does not have.
fn hostile<'a>(mut client: Client, lines: impl Iterator<Item = &'a [u8]>, knobs: &mut Knobs) {
    let mut answered = 0;
    if knobs.one_in(2) {
        drop(client.take_initial_response());
    }
    for line in lines {
        match client.step(line) {
            Ok(_) => answered += 1,
            Err(error) => {
                assert!(!error.to_string().contains(char::is_control), "{error}");
                assert!(client.step(b"").is_err(), "what has failed stays failed");
                assert!(client.success(None).is_err(), "what has failed stays failed");
                return;
            }
        }
        assert!(answered <= 4, "an exchange that does not end");
    }
    let is_scram = client.mechanism().is_scram();
    let done = client.success(None);
    assert!(!is_scram || done.is_err(), "a server that does not know the password has proved itself");
}

/// An honest server that knows the password lets the client in, or one of both finds the name or password unfit.
fn honest(mut client: Client, mut server: Server, name: &str, secret: &Secret) {
    let initial = client.take_initial_response();
    let mut step = server.step(initial.as_ref().map(Secret::expose));
    for _ in 0..8 {
        step = match step {
            Step::Challenge(challenge) => match client.step(&challenge) {
                Ok(response) => server.step(Some(response.expose())),
                Err(error) => panic!("the honest server's challenge: {error}"),
            },
            Step::Ask(Question::VerifyPassword { .. } | Question::Credentials { .. }) => {
                server.answer(Answer::Stored(Stored::Plain(secret.clone())))
            }
            Step::Ask(Question::VerifyToken { token, user, .. }) => {
                assert_eq!(&token, secret);
                // SASLprep leaves ASCII as it is.
                if name.is_ascii() {
                    assert_eq!(user.as_deref().unwrap_or_default(), name);
                }
                server.answer(Answer::AcceptedAs("somebody".to_owned()))
            }
            Step::Ask(_) => server.answer(Answer::AcceptedAs("somebody".to_owned())),
            Step::Success { .. } => {
                assert_eq!(client.success(None), Ok(()));
                return;
            }
            // Names and passwords that SASLprep refuses, or that the mechanism cannot carry.
            Step::Failed(_) => return,
        };
    }
    panic!("an exchange that does not end");
}
