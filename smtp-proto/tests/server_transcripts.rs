//! Sessions written down as `C:` and `S:` lines, in `transcripts/`, played against the server.
//!
//! `C:` lines are what the client sends, `S:` lines all that the server sends, in order and nothing else. `\xHH`, `\r`,
//! `\n`, `\0` and `\\` stand for bytes; a `C:` line ends with CRLF unless it ends with `\` and nothing behind it. `T:`
//! is where TLS begins. `config:` names features that the server is to have. Each transcript is played line by line and byte by
//! byte; where it says `pipelined: yes`, also with all client lines sent at once.

mod support;

use mail_wire::sasl::Mechanism;
use smtp_proto::codec::Leniency;
use smtp_proto::server::{BareNewlines, NulPolicy, Peer, Protocol, ServerConfig};
use smtp_proto::types::Limits;
use std::time::Duration;
use support::Driven;

#[derive(Default)]
struct Transcript {
    config: Vec<String>,
    pipelined: bool,
    turns: Vec<(Vec<u8>, String)>,
    messages: Option<usize>,
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (byte, len) = match &rest[at + 1..] {
            "" => return bytes,
            tail if tail.starts_with('x') => {
                (u8::from_str_radix(&tail[1..3], 16).expect("two hexadecimal digits"), 3)
            }
            tail if tail.starts_with('r') => (b'\r', 1),
            tail if tail.starts_with('n') => (b'\n', 1),
            tail if tail.starts_with('0') => (0, 1),
            tail if tail.starts_with('\\') => (b'\\', 1),
            tail => panic!("unknown escape \\{tail}"),
        };
        bytes.push(byte);
        rest = &rest[at + 1 + len..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn read(text: &str) -> Transcript {
    let mut transcript = Transcript { turns: vec![(Vec::new(), String::new())], ..Transcript::default() };
    let mut last_was_server = true;
    for line in text.lines() {
        let (kind, rest) = line.split_once(':').unwrap_or((line, ""));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        match kind {
            "config" => transcript.config = rest.split(' ').map(Into::into).collect(),
            "pipelined" => transcript.pipelined = true,
            "messages" => transcript.messages = Some(rest.parse().expect("a number")),
            "C" => {
                if last_was_server {
                    transcript.turns.push((Vec::new(), String::new()));
                }
                transcript.turns.last_mut().expect("there is a first turn").0.extend(unescape(rest));
                last_was_server = false;
            }
            "S" => {
                transcript.turns.last_mut().expect("there is a first turn").1 += &format!("{rest}\r\n");
                last_was_server = true;
            }
            _ => assert!(line.is_empty() || line.starts_with('#'), "not a transcript line: {line}"),
        }
    }
    transcript
}

fn server_for(features: &[String]) -> Driven {
    let mut config: ServerConfig = support::config();
    config.timeouts.error_delay = Duration::ZERO;
    config.timeouts.auth_failure_delay = Duration::ZERO;
    let mut peer = Peer::new("192.0.2.7:50000".parse().expect("an address"));
    for feature in features {
        match feature.as_str() {
            "lmtp" => config.protocol = Protocol::Lmtp,
            "bare" => {
                let extensions = &mut config.extensions;
                extensions.pipelining = false;
                extensions.eight_bit_mime = false;
                extensions.smtputf8 = false;
                extensions.chunking = false;
                extensions.dsn = false;
            }
            "all" => {
                let extensions = &mut config.extensions;
                extensions.deliver_by = Some(60);
                extensions.future_release = Some(3600);
                extensions.mt_priority = true;
                extensions.binary_mime = true;
                extensions.rrvs = true;
                extensions.requiretls = true;
                extensions.limits = Limits::NONE.with_rcpt_max(2).with_mail_max(3);
                extensions.vrfy = true;
                extensions.expn = true;
                extensions.etrn = true;
                extensions.atrn = true;
            }
            "starttls" => config.extensions.starttls = true,
            "require-tls" => config.require_tls = true,
            "require-auth" => config.require_auth = true,
            "auth" => {
                config.mechanisms =
                    [Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha256Plus].into_iter().collect();
            }
            "plaintext-auth" => config.plaintext_auth_without_tls = true,
            "xclient" => {
                config.extensions.xclient = true;
                peer.trusted = true;
            }
            "lenient" => config.leniency = Leniency::LENIENT,
            "repair" => {
                config.bare_newlines = BareNewlines::Repair;
                config.nul = NulPolicy::Strip;
            }
            "proxy" => config.proxy_protocol = true,
            other => panic!("unknown feature {other}"),
        }
    }
    Driven::from_peer(config, peer)
}

fn play(name: &str, transcript: &Transcript, chunk: usize) {
    let mut driven = server_for(&transcript.config);
    for (number, (client, expected)) in transcript.turns.iter().enumerate() {
        driven.feed(client, chunk);
        let sent = driven.sent();
        assert_eq!(sent, *expected, "{name}: turn {number}, after {} (by {chunk})", client.escape_ascii());
    }
    check_messages(name, transcript, &driven);
}

fn play_pipelined(name: &str, transcript: &Transcript) {
    let mut driven = server_for(&transcript.config);
    let input: Vec<u8> = transcript.turns.iter().flat_map(|(client, _)| client.clone()).collect();
    let expected: String = transcript.turns.iter().map(|(_, server)| server.as_str()).collect();
    driven.feed(&input, usize::MAX);
    assert_eq!(driven.sent(), expected, "{name}: all at once");
    check_messages(name, transcript, &driven);
}

fn check_messages(name: &str, transcript: &Transcript, driven: &Driven) {
    if let Some(messages) = transcript.messages {
        assert_eq!(driven.messages.len(), messages, "{name}: messages accepted");
    }
}

#[test]
fn every_transcript_plays_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let transcript = read(&std::fs::read_to_string(&path).unwrap());
        for chunk in [usize::MAX, 1, 7] {
            play(&name, &transcript, chunk);
        }
        if transcript.pipelined {
            play_pipelined(&name, &transcript);
        }
        played += 1;
    }
    assert!(played >= 15, "found only {played} transcripts");
}
