//! Plays transcripts against a server: line by line, byte by byte, and with all lines of the client's at once.
//!
//! A transcript has `C:` lines, which the client sends, and `S:` lines, all that the server sends, in order and nothing else.
//! Escapes are those of [`unescape`](crate::unescape); a `C:` line ends with CRLF unless it ends with `\`. `config:` names
//! features that the server is to have, `pipelined: yes` says that the lines may come all at once. What stands behind other words
//! and a colon is the protocol's matter.

use std::ops::DerefMut;
use std::path::Path;
use std::time::{Duration, Instant};

use mail_wire::{Connection, Layer, LayerInfo, Step, TlsInfo};

/// A server, and what has come out of it.
pub struct Played<S: Connection> {
    /// The machine.
    pub server: S,
    /// The time, which only the test lets pass.
    pub now: Instant,
    /// What was sent and not looked at.
    pub output: Vec<u8>,
    /// How it ended, once it has.
    pub result: Option<Result<(), S::Error>>,
    /// What is known of TLS once it is on.
    pub tls: TlsInfo,
    /// Largest amount that waited to be sent.
    pub most_waiting: usize,
    /// Whether what is sent is taken at once.
    pub reads: bool,
}

impl<S: Connection> Played<S> {
    /// Nothing has happened yet.
    pub fn new(server: impl FnOnce(Instant) -> S) -> Self {
        let now = Instant::now();
        Self {
            server: server(now),
            now,
            output: Vec::new(),
            result: None,
            tls: TlsInfo::new(),
            most_waiting: 0,
            reads: true,
        }
    }

    /// What was sent since the last call, as text.
    pub fn sent(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.output)).expect("replies are UTF-8")
    }

    fn flush(&mut self) -> usize {
        let send = self.server.io().send;
        self.most_waiting = self.most_waiting.max(send.len());
        if !self.reads {
            return 0;
        }
        self.output.extend_from_slice(send);
        let n = send.len();
        if n > 0 {
            self.server.sent(n, self.now);
        }
        n
    }
}

/// What embeds a server of one protocol, and answers its events.
pub trait Drive: DerefMut<Target = Played<Self::Server>> {
    /// The machine.
    type Server: Connection;

    /// Something has happened.
    fn on_event(&mut self, event: <Self::Server as Connection>::Event);

    /// It is over.
    fn on_close(&mut self) {}

    /// Polls until nothing more happens.
    fn run(&mut self) {
        loop {
            match self.server.poll() {
                Step::Event(event) => self.on_event(event),
                Step::Blocked => {
                    if self.flush() == 0 {
                        return;
                    }
                }
                Step::Upgrade(layer) => {
                    assert_eq!(layer, Layer::Tls);
                    self.flush();
                    let (info, now) = (LayerInfo::Tls(self.tls.clone()), self.now);
                    self.server.upgraded(info, now);
                }
                Step::Close(result) => {
                    self.flush();
                    self.on_close();
                    self.result = Some(result);
                    return;
                }
            }
        }
    }

    /// Feeds bytes in chunks of `chunk`.
    fn feed(&mut self, mut input: &[u8], chunk: usize) {
        while !input.is_empty() && self.result.is_none() {
            let room = self.server.io().recv;
            let n = room.len().min(chunk).min(input.len());
            assert!(n > 0, "the server takes no input and is not closed");
            room[..n].copy_from_slice(&input[..n]);
            input = &input[n..];
            let now = self.now;
            self.server.received(n, now);
            self.run();
        }
    }

    /// The client sends nothing more.
    fn end_of_input(&mut self) {
        let now = self.now;
        self.server.received(0, now);
        self.run();
    }

    /// Lets time pass, telling the server of each deadline on the way.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.server.deadline().filter(|deadline| *deadline <= until) {
            let now = self.now.max(deadline);
            self.now = now;
            self.server.handle_timeout(now);
            self.run();
        }
        self.now = until;
    }
}

/// A session written down.
#[derive(Debug, Default)]
pub struct Transcript {
    /// Features that the server is to have.
    pub config: Vec<String>,
    /// Words and what stands behind them, in order.
    pub facts: Vec<(String, String)>,
    pipelined: bool,
    turns: Vec<(Vec<u8>, String)>,
}

impl Transcript {
    fn read(text: &str) -> Self {
        let mut transcript = Self { turns: vec![Default::default()], ..Self::default() };
        let mut last_was_server = true;
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (kind, rest) = line.split_once(':').unwrap_or((line, ""));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match kind {
                "config" => transcript.config = rest.split(' ').map(Into::into).collect(),
                "pipelined" => transcript.pipelined = true,
                "C" => {
                    if last_was_server {
                        transcript.turns.push(Default::default());
                    }
                    let (mut bytes, ends) = crate::unescape(rest);
                    if ends {
                        bytes.extend_from_slice(b"\r\n");
                    }
                    transcript.turn().0.extend(bytes);
                    last_was_server = false;
                }
                "S" => {
                    transcript.turn().1 += &format!("{rest}\r\n");
                    last_was_server = true;
                }
                _ => transcript.facts.push((kind.to_owned(), rest.to_owned())),
            }
        }
        transcript
    }

    fn turn(&mut self) -> &mut (Vec<u8>, String) {
        self.turns.last_mut().expect("there is a first turn")
    }

    fn play(&self, name: &str, driven: &mut impl Drive, chunk: usize) {
        for (number, (client, expected)) in self.turns.iter().enumerate() {
            driven.feed(client, chunk);
            let sent = driven.sent();
            assert_eq!(
                sent,
                *expected,
                "{name}: turn {number}, after {} (by {chunk})",
                client.escape_ascii()
            );
        }
    }

    fn play_at_once(&self, name: &str, driven: &mut impl Drive) {
        let input: Vec<u8> = self.turns.iter().flat_map(|(client, _)| client.clone()).collect();
        let expected: String = self.turns.iter().map(|(_, server)| server.as_str()).collect();
        driven.feed(&input, usize::MAX);
        assert_eq!(driven.sent(), expected, "{name}: all at once");
    }
}

/// Plays all transcripts of a folder against servers made for them, which are then checked. There must be `least` of them.
pub fn play_folder<D: Drive>(
    folder: &Path,
    least: usize,
    server_for: impl Fn(&Transcript) -> D,
    check: impl Fn(&str, &Transcript, &D),
) {
    let mut played = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        let name = path.display().to_string();
        let transcript = Transcript::read(&std::fs::read_to_string(&path).expect("transcripts are text"));
        let play = |how: &dyn Fn(&mut D)| {
            let mut driven = server_for(&transcript);
            how(&mut driven);
            check(&name, &transcript, &driven);
        };
        for chunk in [usize::MAX, 1, 7] {
            play(&|driven| transcript.play(&name, driven, chunk));
        }
        if transcript.pipelined {
            play(&|driven| transcript.play_at_once(&name, driven));
        }
        played += 1;
    }
    assert!(played >= least, "expected {least} transcripts at least, found {played}");
}
