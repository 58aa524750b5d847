//! Plays scripts against a client: whole, by seven bytes, and byte by byte.
//!
//! A script has a line for each thing that happens:
//!
//! | line | meaning |
//! |---|---|
//! | `S: text` | the server sends a line; escapes are those of [`unescape`](crate::unescape), and with `~` at the end there is no CRLF |
//! | `C: text` | the client has sent this line since the last `S:` |
//! | `= text` | an event, as the embedder shows it |
//! | `TLS` | the client asks for TLS, and gets it |
//! | `EOF` | the server closes |
//! | `WAIT n` | n seconds pass |
//!
//! Whatever the client sends or tells beyond the script fails the test.

use std::ops::DerefMut;
use std::time::{Duration, Instant};

use mail_wire::{Connection, Layer, LayerInfo, Step, TlsInfo};

/// A client, and what has come out of it.
pub struct Played<C: Connection> {
    /// The machine.
    pub client: C,
    /// The time, which only the test lets pass.
    pub now: Instant,
    /// What was sent.
    pub sent: Vec<u8>,
    /// What was told, as the embedder shows it.
    pub events: Vec<String>,
    /// Whether TLS is asked for.
    pub wants_tls: bool,
    /// What is known of TLS once it is on.
    pub tls: TlsInfo,
    /// How it ended, once it has.
    pub end: Option<Result<(), C::Error>>,
}

impl<C: Connection> Played<C> {
    /// Nothing has happened yet.
    pub fn new(client: impl FnOnce(Instant) -> C) -> Self {
        let now = Instant::now();
        Self {
            client: client(now),
            now,
            sent: Vec::new(),
            events: Vec::new(),
            wants_tls: false,
            tls: TlsInfo::new(),
            end: None,
        }
    }

    /// Takes what is to be sent; says whether that was anything.
    pub fn flush(&mut self) -> bool {
        let send = self.client.io().send;
        let n = send.len();
        self.sent.extend_from_slice(send);
        if n > 0 {
            self.client.sent(n, self.now);
        }
        n > 0
    }

    /// Tells the client of the time.
    pub fn tell_time(&mut self) {
        self.client.handle_timeout(self.now);
    }
}

/// What embeds a client of one protocol, and does something about its events.
pub trait Embed: DerefMut<Target = Played<Self::Client>> {
    /// The machine.
    type Client: Connection;

    /// Something has happened.
    fn on_event(&mut self, event: <Self::Client as Connection>::Event);

    /// It is over: whether there is nothing left.
    fn is_empty(&self) -> bool {
        true
    }

    /// Polls until nothing more happens.
    fn run(&mut self) {
        self.wants_tls = false;
        loop {
            match self.client.poll() {
                Step::Event(event) => self.on_event(event),
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
                    assert!(self.is_empty());
                    assert_eq!(self.client.deadline(), None);
                    return;
                }
            }
        }
    }

    /// Hands bytes in, `chunk` at a time.
    fn feed(&mut self, mut bytes: &[u8], chunk: usize) {
        while !bytes.is_empty() {
            let recv = self.client.io().recv;
            let n = bytes.len().min(recv.len()).min(chunk);
            if n == 0 {
                return;
            }
            recv[..n].copy_from_slice(&bytes[..n]);
            let now = self.now;
            self.client.received(n, now);
            bytes = &bytes[n..];
            self.run();
        }
    }

    /// So much time passes, of which the driver tells.
    fn wait(&mut self, time: Duration) {
        self.tell_time();
        self.now += time;
        self.tell_time();
        self.run();
    }
}

/// Plays a script in pieces of each length; the last of the embedders.
pub fn play<E: Embed>(embedder: impl Fn() -> E, script: &str) -> E {
    play_in_chunks(embedder(), script, 1);
    play_in_chunks(embedder(), script, 7);
    play_in_chunks(embedder(), script, usize::MAX)
}

fn play_in_chunks<E: Embed>(mut embedder: E, script: &str, chunk: usize) -> E {
    embedder.run();
    let mut lines = script.lines().map(str::trim_start).filter(|line| !line.is_empty()).peekable();
    loop {
        let (mut sent, mut events) = (Vec::new(), Vec::new());
        while let Some(line) = lines.next_if(|line| line.starts_with("C:") || line.starts_with('=')) {
            match line.strip_prefix("C:") {
                Some(text) => sent.extend(line_of(text)),
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
            let mut input = line_of(text);
            while let Some(text) = lines.peek().and_then(|line| line.strip_prefix("S:")) {
                input.extend(line_of(text));
                lines.next();
            }
            embedder.feed(&input, chunk);
        } else if line == "TLS" {
            assert!(embedder.wants_tls, "TLS asked for {context}");
            assert!(embedder.client.io().recv.is_empty(), "nothing read in plain text {context}");
            let (info, now) = (LayerInfo::Tls(embedder.tls.clone()), embedder.now);
            embedder.client.upgraded(info, now);
            embedder.run();
        } else if line == "EOF" {
            let now = embedder.now;
            embedder.client.received(0, now);
            embedder.run();
        } else if let Some(seconds) = line.strip_prefix("WAIT ") {
            embedder.wait(Duration::from_secs(seconds.parse().expect("a number of seconds")));
        } else {
            panic!("no such line: {line}");
        }
        assert!(!embedder.wants_tls || line != "TLS", "TLS asked for once {context}");
    }
    embedder
}

fn lines_of(text: &str) -> Vec<String> {
    text.split_inclusive("\\n").map(ToOwned::to_owned).collect()
}

/// The bytes that a line of a script stands for.
fn line_of(text: &str) -> Vec<u8> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let (text, end) = text.strip_suffix('~').map_or((text, "\r\n"), |text| (text, ""));
    let (mut bytes, _) = crate::unescape(text);
    bytes.extend_from_slice(end.as_bytes());
    bytes
}
