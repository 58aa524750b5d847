//! An embedder of the client, whose scripts [`testkit::client`] plays. A message stands in one `= body`.

#![allow(dead_code, reason = "each test file uses a part of this")]

use mail_wire::connection::AuthenticatedPeer;
use mail_wire::{Connection, LayerInfo, TlsInfo};
use pop3_proto::client::*;
use pop3_proto::types::*;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
pub(crate) use testkit::client::Embed;
use testkit::client::Played;

/// What the embedder does once the client is ready.
#[derive(Clone)]
pub(crate) enum Action {
    Submit(Request),
    Quit,
    /// Reads no more of the message that comes next.
    Skip,
}

pub(crate) fn config() -> ClientConfig {
    ClientConfig::new().with_tls(TlsPolicy::Never)
}

pub(crate) fn number(number: u32) -> MessageNumber {
    MessageNumber::new(number).unwrap()
}

pub(crate) fn retr(n: u32) -> Action {
    Action::Submit(Request::Retr(number(n)))
}

pub(crate) fn dele(n: u32) -> Action {
    Action::Submit(Request::Dele(number(n)))
}

pub(crate) fn submit(request: Request) -> Action {
    Action::Submit(request)
}

/// To log in by USER and PASS in the clear.
pub(crate) fn with_password() -> ClientConfig {
    let mut config = config().with_credentials(mail_wire::sasl::Credentials::password("mrose", "secret"));
    config.plaintext_auth_without_tls = true;
    config
}

/// From the greeting to the first command, with the capabilities named; none stands for a server without CAPA.
pub(crate) fn logged_in(capabilities: Option<&[&str]>) -> String {
    let capa = capabilities.map_or("S: -ERR what?\n".to_owned(), |capabilities| {
        let lines: String = capabilities.iter().map(|line| format!("S: {line}\n")).collect();
        format!("S: +OK\nS: USER\n{lines}S: .\n")
    });
    let again = if capabilities.is_some() { format!("C: CAPA\n{capa}") } else { String::new() };
    format!(
        "S: +OK ready\nC: CAPA\n{capa}C: USER mrose\nS: +OK\nC: PASS secret\nS: +OK open\n{again}= ready\n"
    )
}

/// Facts of a TLS session, with channel binding or without.
pub(crate) fn tls_info(binding: bool) -> TlsInfo {
    use mail_wire::sasl::{ChannelBinding, ChannelBindingKind};
    let mut info = TlsInfo::new();
    if binding {
        info.channel_bindings = vec![ChannelBinding::new(ChannelBindingKind::TlsExporter, *b"binding")];
    }
    info
}

/// An event in one line.
pub(crate) fn shown(event: &Event) -> String {
    match event {
        Event::Unencrypted { refusal: None } => "unencrypted".into(),
        Event::Unencrypted { refusal: Some(reply) } => format!("unencrypted: {reply}"),
        Event::Ready => "ready".into(),
        Event::Stat { id, listing } => format!("{id} stat {} {}", listing.messages, listing.octets),
        Event::Listed { id, listing } => format!("{id} listed {} {}", listing.number, listing.octets),
        Event::UniqueId { id, listing } => format!("{id} uid {} {}", listing.number, listing.id),
        Event::OddUniqueId { id, number, text } => {
            format!("{id} odd uid {number} {}", text.escape_ascii()).trim_end().into()
        }
        Event::Language { id, listing } => {
            let mut line = Vec::new();
            listing.encode(&mut line);
            format!("{id} language {}", String::from_utf8(line).unwrap())
        }
        Event::Message { id, number } => format!("{id} message {number}"),
        Event::Done { id, reply } => format!("{id} done: {reply}"),
        Event::Unterminated { id, reply } => format!("{id} unterminated: {reply}"),
        Event::Refused { id, reply } => format!("{id} refused: {reply}"),
        _ => format!("{event:?}"),
    }
}

pub(crate) struct Embedder {
    pub(crate) played: Played<Client>,
    pub(crate) actions: VecDeque<Action>,
    /// The message that is being received.
    pub(crate) body: Vec<u8>,
    skips: bool,
}

impl Deref for Embedder {
    type Target = Played<Client>;

    fn deref(&self) -> &Played<Client> {
        &self.played
    }
}

impl DerefMut for Embedder {
    fn deref_mut(&mut self) -> &mut Played<Client> {
        &mut self.played
    }
}

impl Embed for Embedder {
    type Client = Client;

    fn on_event(&mut self, event: Event) {
        if matches!(event, Event::Body) {
            // Taken in two pieces, as an embedder may.
            let half = self.client.body().len().div_ceil(2);
            self.body.extend_from_slice(&self.played.client.body()[..half]);
            return self.client.consume(half);
        }
        if matches!(event, Event::Done { .. } | Event::Unterminated { .. }) && !self.body.is_empty() {
            let body = core::mem::take(&mut self.body);
            self.events.push(format!("body {}", body.escape_ascii()));
        }
        self.events.push(shown(&event));
        match event {
            Event::Message { .. } if self.skips => {
                self.client.skip_body();
                self.skips = false;
            }
            Event::Ready | Event::Done { .. } | Event::Refused { .. } | Event::Unterminated { .. } => {
                self.act()
            }
            _ => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.client.body().is_empty()
    }
}

impl Embedder {
    pub(crate) fn new(config: ClientConfig, actions: &[Action]) -> Self {
        Self {
            played: Played::new(|now| Client::new(config, [7; Client::RANDOM], now)),
            actions: actions.iter().cloned().collect(),
            body: Vec::new(),
            skips: false,
        }
    }

    /// Does what can be done.
    pub(crate) fn act(&mut self) {
        while let Some(action) = self.actions.front() {
            let result = match action {
                Action::Submit(request) => self.played.client.submit(request.clone()).map(drop),
                Action::Quit => self.played.client.quit(),
                Action::Skip => {
                    self.skips = true;
                    Ok(())
                }
            };
            match result {
                Err(SubmitError::Full { .. }) => return,
                Err(error) => self.events.push(format!("not taken: {error}")),
                Ok(()) => {}
            }
            self.actions.pop_front();
        }
    }
}

/// Plays a transcript all ways.
pub(crate) fn play(config: &ClientConfig, actions: &[Action], script: &str) -> Embedder {
    testkit::client::play(|| Embedder::new(config.clone(), actions), script)
}

/// Plays a transcript from behind the login on, with the capabilities named.
pub(crate) fn play_after(
    capabilities: Option<&[&str]>,
    actions: &[Action],
    script: impl AsRef<str>,
) -> Embedder {
    play_with(Quirks::NONE, capabilities, actions, script)
}

/// The same with quirks.
pub(crate) fn play_with(
    quirks: Quirks,
    capabilities: Option<&[&str]>,
    actions: &[Action],
    script: impl AsRef<str>,
) -> Embedder {
    play(&with_password().with_quirks(quirks), actions, &(logged_in(capabilities) + script.as_ref()))
}

/// As [`play`], with what is known of the TLS session.
pub(crate) fn play_tls(config: &ClientConfig, actions: &[Action], script: &str, tls: &TlsInfo) -> Embedder {
    let embedder = || {
        let mut embedder = Embedder::new(config.clone(), actions);
        embedder.tls = tls.clone();
        embedder
    };
    testkit::client::play(embedder, script)
}

/// As [`play`], with an identity that was proved before the greeting.
pub(crate) fn play_proved(config: &ClientConfig, peer: &AuthenticatedPeer, script: &str) -> Embedder {
    let embedder = || {
        let mut embedder = Embedder::new(config.clone(), &[]);
        let now = embedder.now;
        embedder.client.upgraded(LayerInfo::Authenticated(peer.clone()), now);
        embedder
    };
    testkit::client::play(embedder, script)
}
