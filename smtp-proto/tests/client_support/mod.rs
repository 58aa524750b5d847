//! Plays transcripts against a client: whole, and byte by byte.
//!
//! A transcript has a line for each thing that happens:
//!
//! | line | meaning |
//! |---|---|
//! | `S: text` | the server sends a line; `\xNN`, `\r`, `\n` stand for bytes, and with `~` at the end there is no CRLF |
//! | `C: text` | the client has sent this line since the last `S:` |
//! | `= text` | an event, as [`shown`] has it |
//! | `TLS` | the client asks for TLS, and gets it |
//! | `EOF` | the server closes |
//! | `WAIT n` | n seconds pass |
//!
//! Whatever the client sends or tells beyond the transcript fails the test.

#![allow(dead_code, reason = "each test file uses a part of this")]

use mail_wire::{Connection, Layer, LayerInfo, Step, TlsInfo};
use smtp_proto::client::*;
use smtp_proto::types::*;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

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

/// What became of a transcript.
pub(crate) struct Played {
    pub(crate) client: Client,
    pub(crate) end: Option<Result<(), ClientError>>,
}

pub(crate) struct Embedder {
    pub(crate) client: Client,
    pub(crate) now: Instant,
    actions: VecDeque<Action>,
    body: Vec<u8>,
    abort: bool,
    holds: bool,
    /// Whether the next message is sent behind the one before, where the client lets it.
    pub(crate) eager: bool,
    pub(crate) sent: Vec<u8>,
    pub(crate) events: Vec<String>,
    pub(crate) wants_tls: bool,
    tls: TlsInfo,
    end: Option<Result<(), ClientError>>,
}

impl Embedder {
    pub(crate) fn new(config: ClientConfig, actions: &[Action]) -> Self {
        let now = Instant::now();
        Self {
            client: Client::new(config, [7; Client::RANDOM], now),
            now,
            actions: actions.iter().cloned().collect(),
            body: Vec::new(),
            abort: false,
            holds: false,
            eager: false,
            sent: Vec::new(),
            events: Vec::new(),
            wants_tls: false,
            tls: TlsInfo::new(),
            end: None,
        }
    }

    /// Polls until nothing more happens.
    pub(crate) fn run(&mut self) {
        self.wants_tls = false;
        loop {
            match self.client.poll() {
                Step::Event(Event::Body) if self.holds => {}
                Step::Event(Event::Body) => self.write(),
                Step::Event(event) => {
                    let idle =
                        matches!(event, Event::Ready | Event::Sent(_) | Event::Aborted | Event::Reply { .. });
                    self.events.push(shown(&event));
                    if idle {
                        self.act();
                    }
                }
                Step::Upgrade(layer) => {
                    assert_eq!(layer, Layer::Tls);
                    self.wants_tls = true;
                    self.flush();
                    return;
                }
                Step::Blocked => {
                    if !self.flush() {
                        return;
                    }
                }
                Step::Close(result) => {
                    self.flush();
                    if self.end.is_none() {
                        self.events.push(match &result {
                            Ok(()) => "closed".into(),
                            Err(error) => format!("failed: {error}").trim_end().into(),
                        });
                    }
                    self.end = Some(result);
                    assert!(matches!(self.client.poll(), Step::Close(_)), "closed is closed");
                    assert!(self.client.io().recv.is_empty());
                    assert_eq!(self.client.deadline(), None);
                    return;
                }
            }
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
                let result = call(&mut self.client);
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
        match self.client.write_body(&self.body) {
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

    fn flush(&mut self) -> bool {
        let send = self.client.io().send;
        let n = send.len();
        self.sent.extend_from_slice(send);
        if n > 0 {
            self.client.sent(n, self.now);
        }
        n > 0
    }

    /// Hands bytes in, `chunk` at a time.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], chunk: usize) {
        while !bytes.is_empty() {
            let recv = self.client.io().recv;
            let n = bytes.len().min(recv.len()).min(chunk);
            if n == 0 {
                return;
            }
            recv[..n].copy_from_slice(&bytes[..n]);
            self.client.received(n, self.now);
            bytes = &bytes[n..];
            self.run();
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
pub(crate) fn play(config: &ClientConfig, actions: &[Action], script: &str) -> Played {
    play_tls(config, actions, script, &TlsInfo::new())
}

/// The same by an embedder that sends messages behind one another.
pub(crate) fn play_eagerly(config: &ClientConfig, actions: &[Action], script: &str) -> Played {
    play_by(|| Embedder { eager: true, ..Embedder::new(config.clone(), actions) }, script)
}

/// Plays a transcript from behind EHLO on.
pub(crate) fn play_after(extensions: &[&str], actions: &[Action], script: impl AsRef<str>) -> Played {
    play(&config(), actions, &(greeted(extensions) + script.as_ref()))
}

/// The same with LMTP.
pub(crate) fn play_lmtp(
    config: &ClientConfig,
    extensions: &[&str],
    actions: &[Action],
    script: impl AsRef<str>,
) -> Played {
    play(config, actions, &(greeted(extensions).replace("EHLO", "LHLO") + script.as_ref()))
}

/// As [`play`], with what is known of the TLS session.
pub(crate) fn play_tls(config: &ClientConfig, actions: &[Action], script: &str, tls: &TlsInfo) -> Played {
    play_by(|| Embedder { tls: tls.clone(), ..Embedder::new(config.clone(), actions) }, script)
}

fn play_by(embedder: impl Fn() -> Embedder, script: &str) -> Played {
    play_in_chunks(embedder(), script, 1);
    play_in_chunks(embedder(), script, 7);
    play_in_chunks(embedder(), script, usize::MAX)
}

fn play_in_chunks(mut embedder: Embedder, script: &str, chunk: usize) -> Played {
    embedder.run();
    let mut lines = script.lines().map(str::trim_start).filter(|line| !line.is_empty()).peekable();
    loop {
        let (mut sent, mut events) = (Vec::new(), Vec::new());
        while let Some(line) = lines.next_if(|line| line.starts_with("C:") || line.starts_with('=')) {
            match line.strip_prefix("C:") {
                Some(text) => sent.extend(bytes(text)),
                None => events.push(line[1..].trim().to_owned()),
            }
        }
        let context = format!("before {:?} in chunks of {chunk}\n{script}", lines.peek());
        let (expected, found) = (sent.escape_ascii().to_string(), embedder.sent.escape_ascii().to_string());
        assert_eq!(lines_of(&found), lines_of(&expected), "sent (left) {context}");
        assert_eq!(embedder.events, events, "told (left) {context}");
        embedder.sent.clear();
        embedder.events.clear();
        let Some(line) = lines.next() else { break };
        if let Some(text) = line.strip_prefix("S:") {
            let mut input = bytes(text);
            while let Some(text) = lines.peek().and_then(|line| line.strip_prefix("S:")) {
                input.extend(bytes(text));
                lines.next();
            }
            embedder.feed(&input, chunk);
        } else if line == "TLS" {
            assert!(embedder.wants_tls, "TLS asked for {context}");
            assert!(embedder.client.io().recv.is_empty(), "nothing read in plain text {context}");
            let info = LayerInfo::Tls(embedder.tls.clone());
            embedder.client.upgraded(info, embedder.now);
            embedder.run();
        } else if line == "EOF" {
            embedder.client.received(0, embedder.now);
            embedder.run();
        } else if let Some(seconds) = line.strip_prefix("WAIT ") {
            embedder.now += Duration::from_secs(seconds.parse().unwrap());
            let now = embedder.now;
            embedder.client.handle_timeout(now);
            embedder.run();
        } else {
            panic!("no such line: {line}");
        }
        assert!(!embedder.wants_tls || line != "TLS", "TLS asked for once {context}");
    }
    Played { client: embedder.client, end: embedder.end }
}

fn lines_of(text: &str) -> Vec<String> {
    text.split_inclusive("\\n").map(ToOwned::to_owned).collect()
}

/// The bytes that a line of a transcript stands for.
fn bytes(text: &str) -> Vec<u8> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let (text, end) = text.strip_suffix('~').map_or((text, "\r\n"), |text| (text, ""));
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (byte, used) = match escape.as_bytes() {
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b'x', ..] => (u8::from_str_radix(&escape[1..3], 16).unwrap(), 3),
            _ => panic!("no such escape: {rest}"),
        };
        bytes.push(byte);
        rest = &escape[used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(end.as_bytes());
    bytes
}
