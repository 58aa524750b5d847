//! The exchanges printed in the RFCs, as base64 lines where they are printed so.

use mail_wire::Secret;
use mail_wire::sasl::{
    Answer, Client, ClientParams, Credentials, Decoy, Failure, Hash, Mechanism, Nonce, Question, ScramKeys,
    Server, ServerParams, Step, Stored, TokenError, wire,
};

use crate::pair::{client, server_params};

struct ScramVector {
    mechanism: Mechanism,
    client_nonce: &'static str,
    server_nonce: &'static str,
    salt: &'static str,
    messages: [&'static str; 4],
}

const SCRAM: [ScramVector; 2] = [
    // RFC 5802 §5
    ScramVector {
        mechanism: Mechanism::ScramSha1,
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        salt: "QSXCR+Q6sek8bf92",
        messages: [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    },
    // RFC 7677 §3
    ScramVector {
        mechanism: Mechanism::ScramSha256,
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        messages: [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    },
];

fn nonce(text: &str) -> Nonce {
    Nonce::from_printable(text).unwrap()
}

#[test]
fn a_scram_client_speaks_as_printed() {
    for vector in SCRAM {
        let [first, challenge, last, verdict] = vector.messages;
        let params = ClientParams::new(nonce(vector.client_nonce), vector.mechanism.into());
        let mut client =
            Client::new(vector.mechanism, &Credentials::password("user", "pencil"), params).unwrap();
        assert_eq!(client.take_initial_response().unwrap().expose_str(), Some(first));
        assert_eq!(client.step(challenge.as_bytes()).unwrap().expose_str(), Some(last));
        assert_eq!(client.success(Some(verdict.as_bytes())), Ok(()));
    }
}

#[test]
fn a_scram_server_speaks_as_printed() {
    for vector in SCRAM {
        let [first, challenge, last, verdict] = vector.messages;
        let params = ServerParams::new(nonce(vector.server_nonce), Decoy::new("key"));
        let mut server = Server::new(vector.mechanism, params);
        let question = Question::Credentials { mechanism: vector.mechanism, authcid: "user".to_owned() };
        assert_eq!(server.step(Some(first.as_bytes())), Step::Ask(question));
        let salt = wire::decode_challenge(vector.salt.as_bytes(), 100).unwrap();
        let hash = Hash::of(vector.mechanism).unwrap();
        let keys = ScramKeys::derive(hash, &Secret::new("pencil"), &salt, 4096).unwrap();
        assert_eq!(server.answer(Answer::Stored(Stored::Scram(keys))), Step::Challenge(challenge.into()));
        assert_eq!(server.step(Some(last.as_bytes())), Step::Challenge(verdict.into()));
        let Step::Success { identity, final_data: None } = server.step(Some(b"")) else {
            panic!("expected success")
        };
        assert_eq!(identity.authcid, "user");
    }
}

#[test]
fn a_plus_exchange_carries_the_binding_in_its_final_message() {
    use mail_wire::sasl::{ChannelBinding, ChannelBindingKind};
    let plus = Mechanism::ScramSha256Plus;
    let binding = ChannelBinding::new(ChannelBindingKind::TlsExporter, *b"\0channel\xff");
    let params = ClientParams::new(nonce("abc"), plus.into()).with_channel_binding(binding);
    let mut client = Client::new(plus, &Credentials::password_as("user", "pencil", "a,b"), params).unwrap();
    let first = client.take_initial_response().unwrap();
    assert_eq!(first.expose_str(), Some("p=tls-exporter,a=a=2Cb,n=user,r=abc"));
    let last = client.step(b"r=abcdef,s=AAAA,i=4096").unwrap();
    let fields: Vec<_> = last.expose_str().unwrap().split(',').collect();
    let input = wire::decode_challenge(fields[0].strip_prefix("c=").unwrap().as_bytes(), 100).unwrap();
    assert_eq!(input, b"p=tls-exporter,a=a=2Cb,\0channel\xff");
    assert_eq!(fields[1], "r=abcdef");
    assert!(fields[2].starts_with("p=") && fields.len() == 3);
}

/// Reads a line as a server does.
fn response(line: &str) -> Secret {
    wire::decode_response(line.as_bytes(), wire::MAX_LINE).unwrap()
}

fn line(message: &[u8]) -> String {
    wire::encode(message).expose_str().unwrap().to_owned()
}

#[test]
fn cram_md5_goes_as_printed() {
    // RFC 2195 §2
    let challenge = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+";
    let answer = "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw";
    let password = || Secret::new("tanstaaftanstaaf");
    let params = ServerParams::new(nonce("1896"), Decoy::new("key"))
        .with_cram_stamp("postoffice.reston.mci.net", 697_170_952);
    let mut server = Server::new(Mechanism::CramMd5, params);
    let Step::Challenge(sent) = server.step(None) else { panic!("expected a challenge") };
    assert_eq!(line(&sent), challenge);
    let mut client = client(Mechanism::CramMd5, &Credentials::password("tim", password()));
    assert_eq!(line(client.step(&sent).unwrap().expose()), answer);
    let question = Question::Credentials { mechanism: Mechanism::CramMd5, authcid: "tim".to_owned() };
    assert_eq!(server.step(Some(response(answer).expose())), Step::Ask(question));
    assert!(matches!(server.answer(Answer::Stored(Stored::Plain(password()))), Step::Success { .. }));
}

#[test]
fn login_goes_as_printed_but_for_the_prompts() {
    // draft-murchison-sasl-login §2.3; a client ignores the prompts, a server here sends the wide-spread ones.
    let mut client = client(Mechanism::Login, &Credentials::password("tim", "tanstaaftanstaaf"));
    assert!(client.initial_response().is_none());
    for (prompt, answer) in [("VXNlciBOYW1lAA==", "dGlt"), ("UGFzc3dvcmQA", "dGFuc3RhYWZ0YW5zdGFhZg==")] {
        let prompt = wire::decode_challenge(prompt.as_bytes(), 100).unwrap();
        assert_eq!(line(client.step(&prompt).unwrap().expose()), answer);
    }
    assert_eq!(client.success(None), Ok(()));

    let mut server = Server::new(Mechanism::Login, server_params());
    assert_eq!(server.step(None), Step::Challenge(b"Username:".to_vec()));
    assert_eq!(server.step(Some(response("dGlt").expose())), Step::Challenge(b"Password:".to_vec()));
    let question = Question::VerifyPassword {
        mechanism: Mechanism::Login,
        authcid: "tim".to_owned(),
        password: "tanstaaftanstaaf".into(),
    };
    assert_eq!(server.step(Some(response("dGFuc3RhYWZ0YW5zdGFhZg==").expose())), Step::Ask(question));
}

#[test]
fn login_takes_the_name_as_initial_response() {
    let mut server = Server::new(Mechanism::Login, server_params());
    assert_eq!(server.step(Some(b"tim")), Step::Challenge(b"Password:".to_vec()));
}

#[test]
fn plain_goes_as_printed() {
    // RFC 4616 §4: the server refuses Kurt as Ursel.
    let mut server = Server::new(Mechanism::Plain, server_params());
    let question = Question::VerifyPassword {
        mechanism: Mechanism::Plain,
        authcid: "Kurt".to_owned(),
        password: "xipj3plmq".into(),
    };
    assert_eq!(server.step(Some(b"Ursel\0Kurt\0xipj3plmq")), Step::Ask(question));
    let question = Question::Authorize {
        mechanism: Mechanism::Plain,
        authcid: "Kurt".to_owned(),
        authzid: "Ursel".to_owned(),
    };
    assert_eq!(server.answer(Answer::Accepted), Step::Ask(question));
    assert_eq!(server.answer(Answer::Rejected), Step::Failed(Failure::Unauthorized));
}

#[test]
fn anonymous_goes_as_printed() {
    // RFC 4505 §4
    let mut server = Server::new(Mechanism::Anonymous, server_params());
    assert_eq!(server.step(None), Step::Challenge(Vec::new()));
    let mut client =
        client(Mechanism::Anonymous, &Credentials::Anonymous { trace: Some("sirhc".to_owned()) });
    assert_eq!(line(client.step(b"").unwrap().expose()), "c2lyaGM=");
    let question = Question::Anonymous { trace: Some("sirhc".to_owned()) };
    assert_eq!(server.step(Some(response("c2lyaGM=").expose())), Step::Ask(question));
    assert!(matches!(server.answer(Answer::Accepted), Step::Success { .. }));
}

#[test]
fn a_good_bearer_token_goes_as_printed() {
    // RFC 7628 §4.1
    let argument = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI\
        HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
    let token = Secret::new("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    let credentials = Credentials::Token {
        user: Some("user@example.com".to_owned()),
        token: token.clone(),
        host: Some("server.example.com".to_owned()),
        port: Some(143),
    };
    let mut client = client(Mechanism::OAuthBearer, &credentials);
    assert_eq!(line(client.take_initial_response().unwrap().expose()), argument);
    assert_eq!(client.success(None), Ok(()));

    let mut server = Server::new(Mechanism::OAuthBearer, server_params());
    let question = Question::VerifyToken {
        mechanism: Mechanism::OAuthBearer,
        user: Some("user@example.com".to_owned()),
        token,
        host: Some("server.example.com".to_owned()),
        port: Some(143),
    };
    assert_eq!(server.step(Some(response(argument).expose())), Step::Ask(question));
}

#[test]
fn a_missing_bearer_token_goes_as_printed() {
    // RFC 7628 §4.3
    let argument = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9AQE=";
    let challenge = "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24iOiJo\
        dHRwczovL2V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0=";
    let error = TokenError::new("invalid_token")
        .with_scope("example_scope")
        .with_openid_configuration("https://example.com/.well-known/openid-configuration");
    let mut server = Server::new(Mechanism::OAuthBearer, server_params().with_token_error(error.clone()));
    let Step::Challenge(sent) = server.step(Some(response(argument).expose())) else {
        panic!("expected a challenge")
    };
    assert_eq!(line(&sent), challenge);
    assert_eq!(server.step(Some(response("AQ==").expose())), Step::Failed(Failure::Credentials));

    let mut client = client(Mechanism::OAuthBearer, &Credentials::token("user@example.com", "expired"));
    let _ = client.take_initial_response();
    assert_eq!(line(client.step(&sent).unwrap().expose()), "AQ==");
    assert_eq!(client.token_error(), Some(&error));
}
