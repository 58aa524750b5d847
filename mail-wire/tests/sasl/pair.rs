//! A client and a server in one place, with every message sent through the base64 lines of the mail protocols.

use mail_wire::Secret;
use mail_wire::sasl::{
    Answer, Client, ClientError, ClientParams, Credentials, Decoy, Failure, Hash, Identity, Mechanism,
    MechanismSet, Nonce, Question, ScramKeys, Server, ServerParams, Step, Stored, wire,
};

pub(crate) const ITERATIONS: u32 = 3;

/// An embedder with one user, `user` with password `pencil` and token `tok`, who may also act as `friend`.
#[derive(Clone)]
pub(crate) struct Embedder {
    stored: fn(Mechanism) -> Stored,
    certificate: Option<&'static str>,
    /// Whether names are compared without regard to letter case, and the one in lower case is answered.
    folds: bool,
    pub(crate) asked: Vec<Question>,
}

pub(crate) fn plain(_: Mechanism) -> Stored {
    Stored::Plain(Secret::new("pencil"))
}

pub(crate) fn scram(mechanism: Mechanism) -> Stored {
    let hash = Hash::of(mechanism).unwrap_or(Hash::Sha256);
    Stored::Scram(ScramKeys::derive(hash, &Secret::new("pencil"), b"sixteen bytes it", ITERATIONS).unwrap())
}

impl Embedder {
    pub(crate) fn new(stored: fn(Mechanism) -> Stored) -> Self {
        Self { stored, certificate: Some("user"), folds: false, asked: Vec::new() }
    }

    pub(crate) fn folding(self) -> Self {
        Self { folds: true, ..self }
    }

    pub(crate) fn answer(&mut self, question: Question) -> Answer {
        let answer = match &question {
            Question::VerifyPassword { mechanism, authcid, .. }
            | Question::Credentials { mechanism, authcid }
                if self.folds =>
            {
                let name = authcid.to_ascii_lowercase();
                let stored = if name == "user" { (self.stored)(*mechanism) } else { Stored::Unknown };
                Answer::StoredAs(name, stored)
            }
            Question::VerifyPassword { mechanism, authcid, .. }
            | Question::Credentials { mechanism, authcid } => {
                Answer::Stored(if authcid == "user" { (self.stored)(*mechanism) } else { Stored::Unknown })
            }
            Question::VerifyToken { token, .. } if token.expose() == b"tok" => {
                Answer::AcceptedAs("user".to_owned())
            }
            Question::External { .. } => match self.certificate {
                Some(name) => Answer::AcceptedAs(name.to_owned()),
                None => Answer::Rejected,
            },
            Question::Anonymous { .. } => Answer::Accepted,
            Question::Authorize { authcid, authzid, .. } if authcid == "user" && authzid == "friend" => {
                Answer::Accepted
            }
            _ => Answer::Rejected,
        };
        self.asked.push(question);
        answer
    }
}

/// How an exchange ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) server: Result<Identity, Failure>,
    pub(crate) client: Result<(), ClientError>,
    pub(crate) challenges: usize,
}

pub(crate) fn client_params(offered: impl Into<MechanismSet>) -> ClientParams {
    ClientParams::new(Nonce::from_random(*b"nonce of a client!"), offered.into()).with_iterations(1..=10)
}

pub(crate) fn server_params() -> ServerParams {
    let decoy = Decoy::new("key of the decoy").with_iterations(ITERATIONS);
    ServerParams::new(Nonce::from_random(*b"nonce of a server!"), decoy)
        .with_cram_stamp("mail.example.test", 1_700_000_000)
}

pub(crate) fn client(mechanism: Mechanism, credentials: &Credentials) -> Client {
    Client::new(mechanism, credentials, client_params(mechanism)).unwrap()
}

/// Plays the exchange to its end.
pub(crate) fn run(
    client: &mut Client,
    server: &mut Server,
    embedder: &mut Embedder,
    with_initial_response: bool,
) -> Outcome {
    let initial = if with_initial_response { client.take_initial_response() } else { None };
    let argument = initial.map(|message| wire::encode_initial(message.expose()));
    let initial = wire::decode_initial(argument.as_ref().map(Secret::expose), wire::MAX_LINE).unwrap();
    let mut step = server.step(initial.as_ref().map(Secret::expose));
    let mut challenges = 0;
    loop {
        step = match step {
            Step::Challenge(challenge) => {
                challenges += 1;
                let line = wire::encode(&challenge);
                let challenge = wire::decode_challenge(line.expose(), wire::MAX_LINE).unwrap();
                match client.step(&challenge) {
                    Ok(response) => {
                        let line = wire::encode(response.expose());
                        let response = wire::decode_response(line.expose(), wire::MAX_LINE).unwrap();
                        server.step(Some(response.expose()))
                    }
                    Err(error) => {
                        return Outcome { server: Err(Failure::Cancelled), client: Err(error), challenges };
                    }
                }
            }
            Step::Ask(question) => server.answer(embedder.answer(question)),
            Step::Success { identity, final_data } => {
                let client = client.success(final_data.as_deref());
                return Outcome { server: Ok(identity), client, challenges };
            }
            Step::Failed(failure) => {
                return Outcome {
                    server: Err(failure),
                    client: Err(ClientError::PrematureSuccess),
                    challenges,
                };
            }
        };
    }
}

/// Plays an exchange between a fresh pair without channel binding.
pub(crate) fn exchange(mechanism: Mechanism, credentials: &Credentials, embedder: &mut Embedder) -> Outcome {
    run(&mut client(mechanism, credentials), &mut Server::new(mechanism, server_params()), embedder, true)
}
