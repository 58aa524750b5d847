//! Our client against the `rsasl` server, and the `rsasl` client against our server.

use std::sync::Arc;

use mail_wire::Secret;
use mail_wire::sasl::{
    ChannelBinding, ChannelBindingKind, Client, ClientError, Credentials, Failure, Hash, Mechanism,
    MechanismSet, ScramKeys, Server, Step,
};
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::config::SASLConfig;
use rsasl::mechanisms::anonymous::AnonymousToken;
use rsasl::mechanisms::oauthbearer::properties::{OAuthBearerError, OAuthBearerErrored, OAuthBearerValidate};
use rsasl::mechanisms::scram::properties::ScramStoredPassword;
use rsasl::mechanisms::scram::{SCRAM_SHA1_PLUS, SCRAM_SHA256_PLUS};
use rsasl::mechanisms::xoauth2::properties::{XOAuth2Error, XOAuth2Validate};
use rsasl::mechname::Mechname;
use rsasl::prelude::{ChannelBindingCallback, Registry, SASLClient, SASLServer, SessionError, State};
use rsasl::property::{AuthId, AuthzId, OAuthBearerKV, OAuthBearerToken, Password};
use rsasl::validate::{Validate, Validation, ValidationError};

use crate::pair::{Embedder, ITERATIONS, client_params, plain, server_params};

const EXPORTED: &[u8] = b"exported keying material";

/// What `rsasl` knows, on either side.
struct Oracle {
    name: &'static str,
    password: &'static str,
    token: &'static str,
    authzid: Option<&'static str>,
    keys: [(Vec<u8>, Vec<u8>); 2],
}

const SALT: &[u8] = b"another salt";

impl Oracle {
    fn new(name: &'static str, password: &'static str, token: &'static str) -> Self {
        Self {
            name,
            password,
            token,
            authzid: None,
            keys: [Hash::Sha1, Hash::Sha256].map(stored_and_server_key),
        }
    }

    /// Whether the client sent the right token. The OAUTHBEARER server of `rsasl` leaves the scheme before it.
    fn is_token(&self, context: &Context) -> bool {
        let sent = context.get_ref::<OAuthBearerToken>();
        sent.map(|sent| sent.strip_prefix("Bearer ").unwrap_or(sent)) == Some(self.token)
    }
}

/// Takes the keys out of their text form.
fn stored_and_server_key(hash: Hash) -> (Vec<u8>, Vec<u8>) {
    let keys = ScramKeys::derive(hash, &Secret::new("pencil"), SALT, ITERATIONS).unwrap().encode();
    let mut fields = keys.split(',').skip(2);
    let mut key = || mail_wire::sasl::wire::decode_challenge(fields.next().unwrap().as_bytes(), 100).unwrap();
    (key(), key())
}

/// Whether the `rsasl` server would let the client in.
struct Verdict;

impl Validation for Verdict {
    type Value = bool;
}

impl SessionCallback for Oracle {
    fn callback(
        &self,
        session: &SessionData,
        context: &Context,
        request: &mut Request,
    ) -> Result<(), SessionError> {
        let mechanism = session.mechanism().mechanism.as_str();
        let token_is_good = self.is_token(context);
        let is_known = context.get_ref::<AuthId>() == Some(self.name);
        request.satisfy::<AuthId>(self.name)?;
        request.satisfy::<Password>(self.password.as_bytes())?;
        request.satisfy::<OAuthBearerToken>(self.token)?;
        request.satisfy::<OAuthBearerKV>(&[("host", "mail.example.test"), ("port", "587")])?;
        request.satisfy::<AnonymousToken>("sirhc")?;
        if let Some(authzid) = self.authzid {
            request.satisfy::<AuthzId>(authzid)?;
        }
        if is_known {
            let (stored_key, server_key) = &self.keys[usize::from(mechanism.starts_with("SCRAM-SHA-256"))];
            request.satisfy::<ScramStoredPassword>(&ScramStoredPassword::new(
                ITERATIONS, SALT, stored_key, server_key,
            ))?;
        }
        let refusal = OAuthBearerError::new("invalid_token", Some("mail"), Some("https://o.test/"));
        request.satisfy::<OAuthBearerValidate>(&if token_is_good { Ok(()) } else { Err(refusal) })?;
        let refusal = r#"{"status":"401","schemes":"bearer","scope":"mail"}"#;
        request.satisfy::<XOAuth2Validate>(&if token_is_good { Ok(()) } else { Err(refusal) })?;
        if let Some(error) = request.get_action::<OAuthBearerErrored>() {
            assert_eq!(error.status, "invalid_token");
        }
        if let Some(error) = request.get_action::<XOAuth2Error>() {
            assert_eq!(error, r#"{"status":"401","schemes":"bearer"}"#);
        }
        Ok(())
    }

    fn validate(
        &self,
        session: &SessionData,
        context: &Context,
        validate: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        let name_fits = context.get_ref::<AuthId>() == Some(self.name);
        let fits = match session.mechanism().mechanism.as_str() {
            "PLAIN" | "LOGIN" => name_fits && context.get_ref::<Password>() == Some(self.password.as_bytes()),
            "ANONYMOUS" => context.get_ref::<AnonymousToken>() == Some("sirhc"),
            "EXTERNAL" => context.get_ref::<AuthzId>() == Some(self.name),
            "OAUTHBEARER" => {
                let pairs = context.get_ref::<OAuthBearerKV>();
                context.get_ref::<AuthzId>() == Some(self.name)
                    && pairs == Some(&[("host", "mail.example.test"), ("port", "587")][..])
                    && self.is_token(context)
            }
            "XOAUTH2" => name_fits && self.is_token(context),
            _ => name_fits && context.get_ref::<AuthzId>() == self.authzid,
        };
        validate.with::<Verdict, _>(|| Ok(fits))?;
        Ok(())
    }

    fn enable_channel_binding(&self) -> bool {
        true
    }
}

/// `rsasl` leaves the `-PLUS` forms out of its defaults.
static BOUND: &[rsasl::prelude::Mechanism] = &[SCRAM_SHA1_PLUS, SCRAM_SHA256_PLUS];

fn config(mechanism: Mechanism, oracle: Oracle) -> Arc<SASLConfig> {
    let registry = match mechanism.uses_channel_binding() {
        true => Registry::with_mechanisms(BOUND),
        false => Registry::default(),
    };
    SASLConfig::builder().with_registry(registry).with_callback(oracle).unwrap()
}

/// The channel as `rsasl` sees it.
struct Channel;

impl ChannelBindingCallback for Channel {
    fn get_cb_data(&self, name: &str) -> Option<&[u8]> {
        (name == "tls-exporter").then_some(EXPORTED)
    }
}

fn binding() -> ChannelBinding {
    ChannelBinding::new(ChannelBindingKind::TlsExporter, EXPORTED)
}

fn credentials(mechanism: Mechanism, password: &str, token: &str) -> Credentials {
    match mechanism {
        Mechanism::XOAuth2 => Credentials::token("user", token),
        Mechanism::OAuthBearer => Credentials::Token {
            user: Some("user".to_owned()),
            token: token.into(),
            host: Some("mail.example.test".to_owned()),
            port: Some(587),
        },
        Mechanism::External => Credentials::External { authzid: Some("user".to_owned()) },
        Mechanism::Anonymous => Credentials::Anonymous { trace: Some("sirhc".to_owned()) },
        _ => Credentials::password("user", password),
    }
}

/// All mechanisms but CRAM-MD5, which `rsasl` has not.
fn known_to_oracle() -> impl Iterator<Item = Mechanism> {
    MechanismSet::ALL.iter().filter(|mechanism| *mechanism != Mechanism::CramMd5)
}

fn has_secret(mechanism: Mechanism) -> bool {
    !matches!(mechanism, Mechanism::External | Mechanism::Anonymous)
}

fn mechname(mechanism: Mechanism) -> &'static Mechname {
    Mechname::parse(mechanism.name().as_bytes()).unwrap()
}

/// How our client fares with their server: their verdict, ours, and why a token was refused.
fn against_their_server(
    mechanism: Mechanism,
    credentials: &Credentials,
    oracle: Oracle,
) -> (bool, Result<(), ClientError>, Option<String>) {
    let server = SASLServer::<Verdict, _>::with_cb(config(mechanism, oracle), Channel);
    let mut server = server.start_suggested(mechname(mechanism)).unwrap();
    let params = client_params(MechanismSet::ALL).with_channel_binding(binding());
    let mut client = Client::new(mechanism, credentials, params).unwrap();
    let mut response = client.take_initial_response();
    loop {
        let mut challenge = Vec::new();
        let state = server.step(response.as_ref().map(Secret::expose), &mut challenge).unwrap();
        if let State::Finished(sent) = state {
            let data = (sent == rsasl::prelude::MessageSent::Yes).then_some(&challenge[..]);
            let verdict = server.validation().unwrap_or(false);
            let outcome = client.success(data);
            return (verdict, outcome, client.token_error().map(|error| error.status.clone()));
        }
        response = Some(client.step(&challenge).unwrap());
    }
}

#[test]
fn our_client_convinces_their_server() {
    for mechanism in known_to_oracle() {
        let credentials = credentials(mechanism, "pencil", "tok");
        let (theirs, ours, _) =
            against_their_server(mechanism, &credentials, Oracle::new("user", "pencil", "tok"));
        assert!(theirs, "{mechanism}");
        assert_eq!(ours, Ok(()), "{mechanism}");
    }
}

#[test]
fn our_client_is_refused_by_their_server_with_a_wrong_secret() {
    for mechanism in known_to_oracle().filter(|mechanism| has_secret(*mechanism)) {
        let credentials = credentials(mechanism, "pen", "bad");
        let (theirs, ours, token_error) =
            against_their_server(mechanism, &credentials, Oracle::new("user", "pencil", "tok"));
        assert!(!theirs, "{mechanism}");
        let is_token = matches!(mechanism, Mechanism::OAuthBearer | Mechanism::XOAuth2);
        assert_eq!(token_error.is_some(), is_token, "{mechanism}");
        if mechanism.is_scram() {
            assert!(matches!(ours, Err(ClientError::Refused(_))), "{mechanism}: {ours:?}");
        }
    }
}

#[test]
fn our_client_acts_as_another_user_before_their_server() {
    for mechanism in MechanismSet::ALL.iter().filter(|mechanism| mechanism.is_scram()) {
        let oracle = Oracle { authzid: Some("friend"), ..Oracle::new("user", "pencil", "tok") };
        let credentials = Credentials::password_as("user", "pencil", "friend");
        let (theirs, ours, _) = against_their_server(mechanism, &credentials, oracle);
        assert!(theirs, "{mechanism}");
        assert_eq!(ours, Ok(()), "{mechanism}");
    }
}

/// How their client fares with our server: our verdict, and whether their client is content.
fn against_our_server(mechanism: Mechanism, oracle: Oracle) -> (Result<String, Failure>, bool) {
    let client = SASLClient::with_cb(config(mechanism, oracle), Channel);
    let mut client = client.start_suggested([&mechname(mechanism)]).unwrap();
    let mut server_params = server_params().with_data_with_success(true);
    // Their client takes the only mechanism on offer for all that is offered.
    if mechanism.uses_channel_binding() {
        server_params = server_params.with_channel_binding(binding());
    }
    let mut server = Server::new(mechanism, server_params);
    let mut embedder = Embedder::new(plain);
    let mut step = if mechanism.client_first() {
        let mut message = Vec::new();
        let _ = client.step(None, &mut message).unwrap();
        server.step(Some(&message))
    } else {
        server.step(None)
    };
    loop {
        step = match step {
            Step::Ask(question) => server.answer(embedder.answer(question)),
            Step::Challenge(challenge) => {
                let mut response = Vec::new();
                let _ = client.step(Some(&challenge), &mut response).unwrap();
                server.step(Some(&response))
            }
            Step::Success { identity, final_data } => {
                let content = match final_data {
                    Some(data) => client.step(Some(&data), &mut Vec::new()).is_ok(),
                    None => true,
                };
                return (Ok(identity.authzid), content);
            }
            Step::Failed(failure) => return (Err(failure), false),
        };
    }
}

#[test]
fn their_client_convinces_our_server() {
    for mechanism in known_to_oracle() {
        let mut oracle = Oracle::new("user", "pencil", "tok");
        if mechanism == Mechanism::External {
            oracle.authzid = Some("user");
        }
        let name = if mechanism == Mechanism::Anonymous { "anonymous" } else { "user" };
        assert_eq!(against_our_server(mechanism, oracle), (Ok(name.to_owned()), true), "{mechanism}");
    }
}

#[test]
fn their_client_acts_as_another_user_before_our_server() {
    for mechanism in known_to_oracle().filter(|m| m.is_scram() || *m == Mechanism::Plain) {
        let oracle = Oracle { authzid: Some("friend"), ..Oracle::new("user", "pencil", "tok") };
        assert_eq!(against_our_server(mechanism, oracle), (Ok("friend".to_owned()), true), "{mechanism}");
        let oracle = Oracle { authzid: Some("stranger"), ..Oracle::new("user", "pencil", "tok") };
        assert_eq!(against_our_server(mechanism, oracle).0, Err(Failure::Unauthorized), "{mechanism}");
    }
}

#[test]
fn their_client_is_refused_by_our_server_with_a_wrong_secret() {
    for mechanism in known_to_oracle().filter(|mechanism| has_secret(*mechanism)) {
        let oracle = Oracle::new("user", "pen", "bad");
        assert_eq!(against_our_server(mechanism, oracle).0, Err(Failure::Credentials), "{mechanism}");
    }
}
