//! From the greeting to [`Event::Ready`]: CAPA, STLS, CAPA again, UTF8, the login, and CAPA once more, as a server may offer more
//! to those who are logged in.

use super::channel::Expect;
use super::listing::ListingKind;
use super::machine::Phase;
use super::{Client, ClientError, Event, LoginMethod, RefusalKind, Stage, TlsPolicy, TrustedLogin};
use crate::codec::MAX_COMMAND;
use crate::types::{ApopTimestamp, Capabilities, Command, Reply, Status, UserName};
use mail_wire::Secret;
use mail_wire::sasl::{self, ChooseError, ClientParams, Credentials, Mechanism, MechanismSet, Nonce, wire};

/// How far logging in has come.
#[derive(Debug, Default)]
pub(super) struct Login {
    /// Mechanisms that the server offered and then would not have.
    refused: MechanismSet,
    apop_refused: bool,
    exchange: Exchange,
    /// By what, where that is no SASL exchange.
    method: Option<LoginMethod>,
    /// Logged in; CAPA is asked for once more.
    complete: bool,
}

#[derive(Debug, Default)]
enum Exchange {
    #[default]
    None,
    Running {
        exchange: Box<sasl::Client>,
        /// Whether the server has seen anything of the credentials.
        shown: bool,
    },
    /// Given up on our side; the server's reply to that is awaited.
    Cancelled(Mechanism, sasl::ClientError),
}

impl Client {
    pub(super) fn ask_capabilities(&mut self) {
        let issued = self.channel.issue(&Command::Capa, Expect::Capa);
        self.fail_on(issued);
    }

    pub(super) fn on_login_reply(&mut self, reply: Reply) {
        let accepted = reply.status() == Status::Ok;
        let Some(expect) = self.channel.awaits().cloned() else { return };
        if expect == Expect::Capa && accepted {
            return self.begin_listing(None, reply, ListingKind::Capa(Box::default()));
        }
        if expect == Expect::AuthList && accepted {
            return self.begin_listing(None, reply, ListingKind::Mechanisms(MechanismSet::EMPTY));
        }
        self.channel.met();
        match expect {
            Expect::Greeting => self.on_greeting(reply),
            Expect::Capa => {
                if matches!(&self.phase, Phase::Login(login) if login.complete) {
                    self.session.capa_refusal = Some(reply);
                }
                self.after_capabilities();
            }
            Expect::Stls => self.on_stls(reply),
            Expect::Utf8 => {
                self.session.utf8 = accepted;
                self.authenticate();
            }
            Expect::AuthList => {
                self.session.listed = Some(MechanismSet::EMPTY);
                self.authenticate();
            }
            Expect::User if accepted => self.say_password(),
            Expect::Pass | Expect::Apop if accepted => self.logged_in(),
            Expect::User | Expect::Pass | Expect::Apop => self.on_login_refused(reply),
            Expect::Auth => self.on_auth(reply),
            _ => self.on_auth_cancelled(),
        }
    }

    fn on_greeting(&mut self, reply: Reply) {
        if reply.status() == Status::Err {
            return self.give_up(ClientError::Refused { stage: Stage::Greeting, reply });
        }
        self.session.timestamp = ApopTimestamp::find(reply.text());
        self.session.greeting = Some(reply);
        self.ask_capabilities();
    }

    /// CAPA was answered, or refused: then what was known stays.
    pub(super) fn after_capabilities(&mut self) {
        if matches!(&self.phase, Phase::Login(login) if login.complete) {
            return self.ready();
        }
        if self.session.tls.is_some() {
            return self.prepare();
        }
        // RFC 2449 §5: a server without CAPA is found out by trying.
        let may_be_offered = self.capabilities().is_none_or(|offered| offered.stls);
        match self.config.tls {
            TlsPolicy::Opportunistic | TlsPolicy::Required if may_be_offered => {
                let issued = self.channel.issue(&Command::Stls, Expect::Stls);
                self.fail_on(issued);
            }
            TlsPolicy::Required => self.give_up(ClientError::TlsNotOffered),
            TlsPolicy::Opportunistic => {
                self.events.push_back(Event::Unencrypted { refusal: None });
                self.prepare();
            }
            TlsPolicy::Never | TlsPolicy::Implicit => self.prepare(),
        }
    }

    fn on_stls(&mut self, reply: Reply) {
        match (reply.status(), self.config.tls) {
            (Status::Ok, _) if self.channel.recv.data().is_empty() => {
                if let Phase::Login(login) = core::mem::replace(&mut self.phase, Phase::Ready) {
                    self.phase = Phase::Stls(login);
                }
            }
            // RFC 2595 §4: what stands behind the +OK was put there by somebody who wants it taken for the reply to a command
            // under TLS.
            (Status::Ok, _) => self.fail(ClientError::Injected),
            (Status::Err, TlsPolicy::Required) => {
                self.give_up(ClientError::Refused { stage: Stage::Stls, reply });
            }
            (Status::Err, _) => {
                self.events.push_back(Event::Unencrypted { refusal: Some(reply) });
                self.prepare();
            }
        }
    }

    /// RFC 6856 §2.1: UTF8 is said before the login, and no STLS may follow.
    fn prepare(&mut self) {
        let offered = self.capabilities().is_some_and(|offered| offered.utf8.is_some());
        if self.config.utf8 && offered {
            let issued = self.channel.issue(&Command::Utf8, Expect::Utf8);
            return self.fail_on(issued);
        }
        self.authenticate();
    }

    pub(super) fn authenticate(&mut self) {
        let (method, user) = match &self.config.trusted {
            Some(TrustedLogin::Kpop { .. }) if self.session.below.is_none() => {
                return self.give_up(ClientError::NotProved);
            }
            Some(TrustedLogin::Kpop { user }) => (LoginMethod::Kpop, user.clone()),
            Some(TrustedLogin::Rpop { user, .. }) => (LoginMethod::Rpop, user.clone()),
            Some(TrustedLogin::Open) => {
                self.session.authenticated = Some(LoginMethod::Open);
                return self.ready();
            }
            None if self.config.credentials.is_none() => return self.ready(),
            None if self.lists_mechanisms() => {
                let issued = self.channel.issue(&Command::AuthList, Expect::AuthList);
                return self.fail_on(issued);
            }
            None => return self.try_next(|error| error),
        };
        self.say_user(method, user);
    }

    /// Whether the server is yet to be asked for its mechanisms by AUTH.
    fn lists_mechanisms(&self) -> bool {
        self.config.quirks.auth_list && self.session.capabilities.is_none() && self.session.listed.is_none()
    }

    /// Begins a login by the strongest way that is left; if none is, ends with what `otherwise` says.
    fn try_next(&mut self, otherwise: impl FnOnce(ClientError) -> ClientError) {
        let method = match self.strongest() {
            Ok(method) => method,
            Err(error) => return self.give_up(otherwise(error)),
        };
        match (method, self.simple_credentials()) {
            (LoginMethod::Sasl(mechanism), _) => self.begin_sasl(mechanism),
            (LoginMethod::Apop, Some((user, password))) => self.say_apop(user, &password),
            (method, Some((user, _))) => self.say_user(method, user),
            (_, None) => {}
        }
    }

    /// The strongest way that is left to log in.
    fn strongest(&self) -> Result<LoginMethod, ClientError> {
        let none = ChooseError::NoCommonMechanism { offered: MechanismSet::EMPTY };
        let (Some(credentials), Phase::Login(login)) = (&self.config.credentials, &self.phase) else {
            return Err(ClientError::NoMechanism(none));
        };
        let (config, session) = (&*self.config, &self.session);
        let confidential =
            session.tls.is_some() || session.below.as_ref().is_some_and(|peer| peer.confidential);
        let offered = self.offered_mechanisms();
        let policy = |allow_plaintext| sasl::Policy {
            allow_plaintext,
            channel_binding: session.tls.as_ref().is_some_and(|tls| !tls.channel_bindings.is_empty()),
            allowed: config.mechanisms.difference(login.refused),
        };
        let simple = self.simple_credentials();
        let apop = config.apop && !login.apop_refused && session.timestamp.is_some() && simple.is_some();
        // RFC 2449 §6.2: a server with CAPA says so where USER may be used.
        let has_user = self.capabilities().is_none_or(|offered| offered.user);
        let user_pass =
            config.user_pass && has_user && simple.is_some_and(|(_, password)| fits_pass(&password));

        if let Ok(mechanism) = sasl::choose(offered, credentials, &policy(false)) {
            return Ok(LoginMethod::Sasl(mechanism));
        }
        if apop && !confidential {
            return Ok(LoginMethod::Apop);
        }
        let readable = sasl::choose(offered, credentials, &policy(true)).map(LoginMethod::Sasl);
        let readable = if user_pass { readable.or(Ok(LoginMethod::UserPass)) } else { readable };
        match readable {
            Ok(method) if confidential || config.plaintext_auth_without_tls => Ok(method),
            _ if apop => Ok(LoginMethod::Apop),
            Ok(_) => Err(ClientError::PlaintextForbidden),
            Err(error) => Err(ClientError::NoMechanism(error)),
        }
    }

    /// Name and password, where APOP and USER can say the name.
    fn simple_credentials(&self) -> Option<(UserName, Secret)> {
        match &self.config.credentials {
            Some(Credentials::Password { authcid, authzid: None, password }) => {
                Some((UserName::new(authcid).ok()?, password.clone()))
            }
            _ => None,
        }
    }

    fn note_method(&mut self, method: LoginMethod) {
        if let Phase::Login(login) = &mut self.phase {
            login.method = Some(method);
        }
    }

    fn say_apop(&mut self, user: UserName, password: &Secret) {
        let Some(digest) = self.session.timestamp.as_ref().map(|timestamp| timestamp.digest(password)) else {
            return;
        };
        self.note_method(LoginMethod::Apop);
        // Weak passwords can be found from the digest by trial.
        let issued = self.channel.issue_hidden(&Command::Apop { user, digest }, Expect::Apop);
        self.fail_on(issued);
    }

    fn say_user(&mut self, method: LoginMethod, user: UserName) {
        self.note_method(method);
        let issued = self.channel.issue(&Command::User(user), Expect::User);
        self.fail_on(issued);
    }

    fn say_password(&mut self) {
        let command = match (&self.config.trusted, self.simple_credentials()) {
            (Some(TrustedLogin::Rpop { client_user, .. }), _) => Command::Rpop(client_user.clone()),
            (Some(TrustedLogin::Kpop { user }), _) => Command::Pass(user.as_str().into()),
            (_, Some((_, password))) => Command::Pass(password),
            (_, None) => return,
        };
        let issued = self.channel.issue_hidden(&command, Expect::Pass);
        self.fail_on(issued);
    }

    fn on_login_refused(&mut self, reply: Reply) {
        let Phase::Login(login) = &mut self.phase else { return };
        let Some(method) = login.method else { return };
        // Only a server that tells wrong credentials apart can mean that it is the way that will not do.
        if method == LoginMethod::Apop && says_another_way(self.session.capabilities.as_deref(), &reply) {
            login.apop_refused = true;
            return self.try_next(|_| ClientError::LoginRefused { method, reply, token_error: None });
        }
        self.give_up(ClientError::LoginRefused { method, reply, token_error: None });
    }

    fn begin_sasl(&mut self, mechanism: Mechanism) {
        let Some(credentials) = &self.config.credentials else { return };
        let offered = self.offered_mechanisms();
        let mut params = ClientParams::new(nonce(&self.random, self.session.exchanges), offered);
        if let Some(binding) = self.session.tls.as_ref().and_then(|tls| tls.channel_bindings.first()) {
            params = params.with_channel_binding(binding.clone());
        }
        match sasl::Client::new(mechanism, credentials, params) {
            Ok(exchange) => {
                self.session.exchanges = self.session.exchanges.wrapping_add(1);
                self.begin_exchange(exchange);
            }
            Err(error) => self.give_up(ClientError::Sasl { mechanism, error }),
        }
    }

    fn begin_exchange(&mut self, mut exchange: sasl::Client) {
        let mechanism = exchange.mechanism().name();
        // RFC 5034 §4: an initial response that makes the line too long waits for the first challenge. Servers without CAPA are older
        // than initial responses.
        let room = MAX_COMMAND.saturating_sub("AUTH  \r\n".len() + mechanism.len());
        let initial = exchange
            .initial_response()
            .map(|message| wire::encode_initial(message.expose()))
            .filter(|encoded| encoded.len() <= room && self.session.capabilities.is_some());
        let shown = initial.is_some();
        if shown {
            exchange.take_initial_response();
        }
        let command = Command::Auth { mechanism: mechanism.into(), initial };
        if let Phase::Login(login) = &mut self.phase {
            login.exchange = Exchange::Running { exchange: Box::new(exchange), shown };
        }
        let issued = self.channel.issue_hidden(&command, Expect::Auth);
        self.fail_on(issued);
    }

    pub(super) fn on_challenge(&mut self, challenge: &[u8]) {
        let Phase::Login(login) = &mut self.phase else { return };
        let Exchange::Running { exchange, shown } = &mut login.exchange else { return };
        let mechanism = exchange.mechanism();
        let (text, expect) = match answer(exchange, challenge) {
            Ok(response) => {
                *shown = true;
                (wire::encode(response.expose()), Expect::Auth)
            }
            Err(error) => {
                // RFC 5034 §4: a client that gives up says so by `*`.
                login.exchange = Exchange::Cancelled(mechanism, error);
                (wire::CANCEL.into(), Expect::AuthCancel)
            }
        };
        let mut line = Vec::with_capacity(text.len() + 2);
        line.extend_from_slice(text.expose());
        line.extend_from_slice(b"\r\n");
        let issued = self.channel.issue_secret(&Secret::new(line), expect);
        self.fail_on(issued);
    }

    fn on_auth(&mut self, reply: Reply) {
        let Phase::Login(login) = &mut self.phase else { return };
        let Exchange::Running { exchange, shown } = &mut login.exchange else { return };
        let mechanism = exchange.mechanism();
        if reply.status() == Status::Ok {
            return match exchange.success(None) {
                Ok(()) => {
                    login.method = Some(LoginMethod::Sasl(mechanism));
                    self.logged_in();
                }
                Err(error) => self.fail(ClientError::Sasl { mechanism, error }),
            };
        }
        let method = LoginMethod::Sasl(mechanism);
        let unseen = !*shown && RefusalKind::of(&reply) == RefusalKind::Unknown;
        if unseen || says_another_way(self.session.capabilities.as_deref(), &reply) {
            login.refused.insert(mechanism);
            return self.try_next(|_| ClientError::LoginRefused { method, reply, token_error: None });
        }
        let token_error = exchange.token_error().cloned().map(Box::new);
        self.give_up(ClientError::LoginRefused { method, reply, token_error });
    }

    /// Whatever the server says to that: there is no falling back to a weaker mechanism with a server that could not do the
    /// stronger one right.
    fn on_auth_cancelled(&mut self) {
        let Phase::Login(login) = &mut self.phase else { return };
        if let Exchange::Cancelled(mechanism, error) = core::mem::take(&mut login.exchange) {
            self.give_up(ClientError::Sasl { mechanism, error });
        }
    }

    fn logged_in(&mut self) {
        let Phase::Login(login) = &mut self.phase else { return };
        self.session.authenticated = login.method;
        if self.session.capabilities.is_none() {
            return self.ready();
        }
        login.exchange = Exchange::None;
        login.complete = true;
        self.ask_capabilities();
    }

    fn ready(&mut self) {
        self.phase = Phase::Ready;
        self.events.push_back(Event::Ready);
        self.settle();
    }
}

/// Whether PASS can say the password: it is the rest of a line of 255 bytes (RFC 2449 §4).
fn fits_pass(password: &Secret) -> bool {
    let forbidden = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
    password.len() + "PASS \r\n".len() <= MAX_COMMAND && !password.expose().iter().any(forbidden)
}

/// Whether a refusal without a code says that the credentials are not at fault: a server with AUTH-RESP-CODE says where they
/// are (RFC 3206 §5).
fn says_another_way(capabilities: Option<&Capabilities>, reply: &Reply) -> bool {
    capabilities.is_some_and(|offered| offered.auth_resp_code)
        && RefusalKind::of(reply) == RefusalKind::Unknown
}

/// A nonce of its own for each exchange on a connection.
fn nonce(random: &[u8; Client::RANDOM], exchange: u8) -> Nonce {
    let (nonces, _) = random.as_chunks::<18>();
    Nonce::from_random(nonces[usize::from(exchange) % nonces.len()])
}

/// The answer to a challenge.
fn answer(exchange: &mut sasl::Client, text: &[u8]) -> Result<Secret, sasl::ClientError> {
    match wire::decode_challenge(text, wire::MAX_LINE) {
        Ok(challenge) => exchange.step(&challenge),
        // What LOGIN's challenges say is to be ignored, and some servers say it without base64.
        Err(_) if exchange.mechanism() == Mechanism::Login => exchange.step(text),
        Err(_) => Err(sasl::ClientError::MalformedChallenge { expected: "base64" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientConfig;
    use mail_wire::{Connection, Step};
    use std::time::Instant;

    #[test]
    fn no_line_with_a_password_stays_in_memory_once_it_has_left() {
        for (dialogue, last) in [
            (&["+OK\r\n", "-ERR\r\n", "+OK\r\n"][..], "PASS tanstaaf\r\n"),
            (
                &["+OK <1896.697170952@dbc.mtview.ca.us>\r\n", "-ERR\r\n"],
                "APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n",
            ),
            (&["+OK\r\n", "+OK\r\nSASL PLAIN\r\n.\r\n"], "AUTH PLAIN AG1yb3NlAHRhbnN0YWFm\r\n"),
            (
                &["+OK\r\n", "+OK\r\nSASL LOGIN\r\n.\r\n", "+ VXNlcm5hbWU6\r\n", "+ UGFzc3dvcmQ6\r\n"],
                "dGFuc3RhYWY=\r\n",
            ),
        ] {
            let mut config = ClientConfig::new()
                .with_tls(TlsPolicy::Never)
                .with_credentials(Credentials::password("mrose", "tanstaaf"));
            config.plaintext_auth_without_tls = true;
            let now = Instant::now();
            let mut client = Client::new(config, [7; Client::RANDOM], now);
            for line in dialogue {
                let left = client.io().send.len();
                client.sent(left, now);
                client.io().recv[..line.len()].copy_from_slice(line.as_bytes());
                client.received(line.len(), now);
                assert!(matches!(client.poll(), Step::Blocked));
            }
            assert_eq!(client.io().send, last.as_bytes());
            client.sent(last.len() - 1, now);
            let memory = client.channel.send.tail();
            assert_eq!(memory[..last.len() - 1], vec![0; last.len() - 1], "{last}");
        }
    }
}
