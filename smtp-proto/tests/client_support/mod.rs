//! An embedder of the client, whose scripts [`testkit::client`] plays.

#![allow(dead_code, reason = "each test file uses a part of this")]

use mail_wire::TlsInfo;
use smtp_proto::client::*;
use smtp_proto::types::*;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::ops::{Deref, DerefMut};
pub(crate) use testkit::client::Embed;
use testkit::client::Played;

/// What the embedder does when the client is idle.
#[derive(Clone)]
pub(crate) enum Action {
    /// Sends a message.
    Send(Transaction, Vec<u8>),
    /// Begins a message, and breaks it off after so much of it.
    Abort(Transaction, Vec<u8>),
    /// Begins a message, which the test writes itself.
    Hold(Transaction),
    /// Calls a method.
    Call(fn(&mut Client) -> Result<(), SendError>),
}

pub(crate) fn config() -> ClientConfig {
    ClientConfig::new(HelloName::parse("c").unwrap()).with_tls(TlsPolicy::Never)
}

pub(crate) fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text).unwrap()
}

/// A transaction from `a@c` to the recipients.
pub(crate) fn to(recipients: &[&str]) -> Transaction {
    recipients.iter().fold(Transaction::new(mailbox("a@c")), |t, r| t.to(mailbox(r)))
}

pub(crate) fn message(recipients: &[&str], text: &str) -> Action {
    Action::Send(to(recipients), text.into())
}

/// From the greeting to EHLO, with the extensions named.
pub(crate) fn greeted(extensions: &[&str]) -> String {
    let mut script = String::from("S: 220 mx\nC: EHLO c\nS: 250-mx\n");
    for extension in extensions {
        script.push_str(&format!("S: 250-{extension}\n"));
    }
    script + "S: 250 HELP\n= ready\n"
}

/// An envelope from `a@c` that leaves in one group.
pub(crate) fn envelope(recipients: &[&str]) -> String {
    let mut script = String::from("C: MAIL FROM:<a@c>\n");
    for recipient in recipients {
        script.push_str(&format!("C: RCPT TO:<{recipient}>\n"));
    }
    script + "C: DATA\n"
}

/// The same, with everything accepted.
pub(crate) fn accepted(recipients: &[&str]) -> String {
    let mut script = envelope(recipients) + "S: 250 ok\n";
    script.push_str(&"S: 250 ok\n".repeat(recipients.len()));
    script.push_str("S: 354 go\n");
    for index in 0..recipients.len() {
        script.push_str(&format!("= rcpt {index}: 250 ok\n"));
    }
    script
}

pub(crate) fn lmtp() -> ClientConfig {
    config().with_protocol(Protocol::Lmtp)
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
        Event::Recipient { index, reply } => format!("rcpt {index}: {reply}"),
        Event::Body => "body".into(),
        Event::Delivered { index, reply } => format!("delivered {index}: {reply}"),
        Event::Sent(outcome) => {
            let mut text = String::from("sent");
            for result in outcome.results() {
                match result {
                    Ok(reply) => write!(text, " | {reply}").unwrap(),
                    Err(rejection) => write!(text, " | not {rejection}").unwrap(),
                }
            }
            text
        }
        Event::Aborted => "aborted".into(),
        Event::Reply { verb, reply } => format!("{verb}: {reply}"),
        Event::Turned => "turned".into(),
        _ => format!("{event:?}"),
    }
}

pub(crate) struct Embedder {
    pub(crate) played: Played<Client>,
    actions: VecDeque<Action>,
    body: Vec<u8>,
    abort: bool,
    holds: bool,
    /// Whether the next message is sent behind the one before, where the client lets it.
    pub(crate) eager: bool,
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
        match event {
            Event::Body if self.holds => {}
            Event::Body => self.write(),
            event => {
                let idle =
                    matches!(event, Event::Ready | Event::Sent(_) | Event::Aborted | Event::Reply { .. });
                self.events.push(shown(&event));
                if idle {
                    self.act();
                }
            }
        }
    }
}

impl Embedder {
    pub(crate) fn new(config: ClientConfig, actions: &[Action]) -> Self {
        Self {
            played: Played::new(|now| Client::new(config, [7; Client::RANDOM], now)),
            actions: actions.iter().cloned().collect(),
            body: Vec::new(),
            abort: false,
            holds: false,
            eager: false,
        }
    }

    fn act(&mut self) {
        if !self.client.can_send() {
            return;
        }
        match self.actions.pop_front() {
            None => {}
            Some(Action::Send(transaction, body)) => {
                (self.body, self.abort) = (body, false);
                let result = self.client.send(transaction);
                self.note(result);
            }
            Some(Action::Abort(transaction, body)) => {
                (self.body, self.abort) = (body, true);
                let result = self.client.send(transaction);
                self.note(result);
            }
            Some(Action::Hold(transaction)) => {
                self.holds = true;
                let result = self.client.send(transaction);
                self.note(result);
            }
            Some(Action::Call(call)) => {
                let result = call(&mut self.played.client);
                self.note(result.map(|()| Vec::new()));
            }
        }
    }

    fn note(&mut self, result: Result<Vec<Dropped>, SendError>) {
        match result {
            Ok(dropped) => self.events.extend(dropped.iter().map(|dropped| format!("dropped {dropped:?}"))),
            Err(error) => {
                self.events.push(format!("refused: {error}"));
                self.act();
            }
        }
    }

    fn write(&mut self) {
        match self.played.client.write_body(&self.body) {
            Ok(n) => drop(self.body.drain(..n)),
            Err(error) => {
                self.events.push(format!("body refused: {error}"));
                return self.client.abort().unwrap();
            }
        }
        if self.body.is_empty() && self.abort {
            self.client.abort().unwrap();
        } else if self.body.is_empty() {
            self.client.finish_body().unwrap();
            if self.eager && self.client.can_send() {
                self.act();
            }
        }
    }
}

/// A client in the middle of a message behind DATA, with more of it to come.
pub(crate) fn in_the_middle() -> Embedder {
    let text = "0123456789\r\n".repeat(20_000);
    let mut embedder = Embedder::new(config(), &[message(&["b@mx"], &text)]);
    for reply in ["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n"] {
        embedder.feed(reply.as_bytes(), 100);
    }
    embedder.sent.clear();
    embedder.events.clear();
    embedder
}

/// Plays a transcript both ways.
pub(crate) fn play(config: &ClientConfig, actions: &[Action], script: &str) -> Embedder {
    play_tls(config, actions, script, &TlsInfo::new())
}

/// The same by an embedder that sends messages behind one another.
pub(crate) fn play_eagerly(config: &ClientConfig, actions: &[Action], script: &str) -> Embedder {
    testkit::client::play(|| Embedder { eager: true, ..Embedder::new(config.clone(), actions) }, script)
}

/// Plays a transcript from behind EHLO on.
pub(crate) fn play_after(extensions: &[&str], actions: &[Action], script: impl AsRef<str>) -> Embedder {
    play(&config(), actions, &(greeted(extensions) + script.as_ref()))
}

/// The same with LMTP.
pub(crate) fn play_lmtp(
    config: &ClientConfig,
    extensions: &[&str],
    actions: &[Action],
    script: impl AsRef<str>,
) -> Embedder {
    play(config, actions, &(greeted(extensions).replace("EHLO", "LHLO") + script.as_ref()))
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
