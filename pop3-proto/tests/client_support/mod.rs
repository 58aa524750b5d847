//! Plays transcripts against a client: whole, by seven bytes, and byte by byte.
//!
//! A transcript has a line for each thing that happens:
//!
//! | line | meaning |
//! |---|---|
//! | `S: text` | the server sends a line; `\xNN`, `\r`, `\n`, `\t` stand for bytes, and with `~` at the end there is no CRLF |
//! | `C: text` | the client has sent this line since the last `S:` |
//! | `= text` | an event, as [`shown`] has it; a message stands in one `= body` |
//! | `TLS` | the client asks for TLS, and gets it |
//! | `EOF` | the server closes |
//! | `WAIT n` | n seconds pass |
//!
//! Whatever the client sends or tells beyond the transcript fails the test.

#![allow(dead_code, reason = "each test file uses a part of this")]

use mail_wire::connection::AuthenticatedPeer;
use mail_wire::{Connection, Layer, LayerInfo, Step, TlsInfo};
use pop3_proto::client::*;
use pop3_proto::types::*;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

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

/// What became of a transcript.
pub(crate) struct Played {
    pub(crate) client: Client,
    pub(crate) end: Option<Result<(), ClientError>>,
}

pub(crate) struct Embedder {
    pub(crate) client: Client,
    pub(crate) now: Instant,
    pub(crate) actions: VecDeque<Action>,
    /// The message that is being received.
    pub(crate) body: Vec<u8>,
    skips: bool,
    pub(crate) sent: Vec<u8>,
    pub(crate) events: Vec<String>,
    pub(crate) wants_tls: bool,
    pub(crate) tls: TlsInfo,
    pub(crate) end: Option<Result<(), ClientError>>,
}

impl Embedder {
    pub(crate) fn new(config: ClientConfig, actions: &[Action]) -> Self {
        let now = Instant::now();
        Self {
            client: Client::new(config, [7; Client::RANDOM], now),
            now,
            actions: actions.iter().cloned().collect(),
            body: Vec::new(),
            skips: false,
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
                Step::Event(Event::Body) => {
                    // Taken in two pieces, as an embedder may.
                    let half = self.client.body().len().div_ceil(2);
                    self.body.extend_from_slice(&self.client.body()[..half]);
                    self.client.consume(half);
                }
                Step::Event(event) => self.on_event(&event),
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
                    assert!(self.client.body().is_empty());
                    assert_eq!(self.client.deadline(), None);
                    return;
                }
            }
        }
    }

    fn on_event(&mut self, event: &Event) {
        if matches!(event, Event::Done { .. } | Event::Unterminated { .. }) && !self.body.is_empty() {
            let body = core::mem::take(&mut self.body);
            self.events.push(format!("body {}", body.escape_ascii()));
        }
        self.events.push(shown(event));
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

    /// Does what can be done.
    pub(crate) fn act(&mut self) {
        while let Some(action) = self.actions.front() {
            let result = match action {
                Action::Submit(request) => self.client.submit(request.clone()).map(drop),
                Action::Quit => self.client.quit(),
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

    pub(crate) fn flush(&mut self) -> bool {
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

    /// So much time passes, of which the driver tells.
    pub(crate) fn wait(&mut self, time: Duration) {
        let now = self.now;
        self.client.handle_timeout(now);
        self.now += time;
        let now = self.now;
        self.client.handle_timeout(now);
        self.run();
    }
}

/// Plays a transcript all ways.
pub(crate) fn play(config: &ClientConfig, actions: &[Action], script: &str) -> Played {
    play_by(|| Embedder::new(config.clone(), actions), script)
}

/// Plays a transcript from behind the login on, with the capabilities named.
pub(crate) fn play_after(
    capabilities: Option<&[&str]>,
    actions: &[Action],
    script: impl AsRef<str>,
) -> Played {
    play_with(Quirks::NONE, capabilities, actions, script)
}

/// The same with quirks.
pub(crate) fn play_with(
    quirks: Quirks,
    capabilities: Option<&[&str]>,
    actions: &[Action],
    script: impl AsRef<str>,
) -> Played {
    play(&with_password().with_quirks(quirks), actions, &(logged_in(capabilities) + script.as_ref()))
}

/// As [`play`], with what is known of the TLS session.
pub(crate) fn play_tls(config: &ClientConfig, actions: &[Action], script: &str, tls: &TlsInfo) -> Played {
    play_by(|| Embedder { tls: tls.clone(), ..Embedder::new(config.clone(), actions) }, script)
}

/// As [`play`], with an identity that was proved before the greeting.
pub(crate) fn play_proved(config: &ClientConfig, peer: &AuthenticatedPeer, script: &str) -> Played {
    let embedder = || {
        let mut embedder = Embedder::new(config.clone(), &[]);
        let now = embedder.now;
        embedder.client.upgraded(LayerInfo::Authenticated(peer.clone()), now);
        embedder
    };
    play_by(embedder, script)
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
            embedder.wait(Duration::from_secs(seconds.parse().unwrap()));
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
            [b't', ..] => (b'\t', 1),
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
