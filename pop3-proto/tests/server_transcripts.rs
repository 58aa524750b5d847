//! Sessions written down as `C:` and `S:` lines, in `transcripts/`, played against the server.
//!
//! `C:` lines are what the client sends, `S:` lines all that the server sends, in order and nothing else. `\xHH`, `\r`,
//! `\n`, `\0` and `\\` stand for bytes; a `C:` line ends with CRLF unless it ends with `\` and nothing behind it. `M:` is a
//! message of the maildrop, where those of RFC 1939 §10 are not meant. `config:` names features that the server is to have,
//! `removed:` the messages that QUIT removes; without it nothing must be removed. Each transcript is played line by line and byte
//! by byte; where it says `pipelined: yes`, also with all client lines sent at once.

mod support;

use mail_wire::ReplyText;
use mail_wire::sasl::Mechanism;
use mail_wire::{AuthenticatedPeer, Connection, LayerInfo};
use pop3_proto::server::{Language, Phrase, ServerConfig, TransportLogin, Utf8};
use pop3_proto::types::{Expire, LanguageTag, LoginDelay};
use support::Driven;

#[derive(Default)]
struct Transcript {
    config: Vec<String>,
    pipelined: bool,
    turns: Vec<(Vec<u8>, String)>,
    messages: Vec<Vec<u8>>,
    removed: Option<Vec<u32>>,
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
            "removed" => {
                let numbers = rest.split(' ').filter(|word| !word.is_empty());
                transcript.removed = Some(numbers.map(|word| word.parse().expect("a number")).collect());
            }
            "M" => transcript.messages.push(unescape(&format!("{rest}\\"))),
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

fn server_for(transcript: &Transcript) -> Driven {
    let mut config: ServerConfig = support::config();
    let mut transport = None;
    for feature in &transcript.config {
        match feature.as_str() {
            "apop" => config.apop = true,
            "secure" => config.plaintext_auth_without_tls = false,
            "stls" => config.stls = true,
            "no-user" => config.user = false,
            "rpop" => config.rpop = true,
            "bare" => {
                config.response_codes = false;
                config.pipelining = false;
                config.top = false;
                config.uidl = false;
            }
            "sasl" => {
                config.mechanisms =
                    [Mechanism::Plain, Mechanism::Login, Mechanism::CramMd5].into_iter().collect();
            }
            "policy" => {
                config.expire = Some(Expire { days: Some(5), per_user: true });
                config.login_delay = Some(LoginDelay { seconds: 900, per_user: true });
                config.implementation = Some(ReplyText::from_static("Shlemazle-Plotz-v302"));
                config.implementation_after_login = true;
            }
            "utf8" => config.utf8 = Utf8::On,
            "utf8-users" => config.utf8 = Utf8::WithUsers,
            "languages" => config.languages = languages(),
            "bare-lf" => config.bare_lf = true,
            "kpop" => config.transport_login = TransportLogin::UserPass,
            "preauth" => config.transport_login = TransportLogin::Preauthenticated,
            principal if principal.contains('@') => transport = Some(AuthenticatedPeer::new(principal)),
            other => panic!("unknown feature {other}"),
        }
    }
    let mut driven = Driven::with(config, |server| {
        if let Some(transport) = transport {
            server.upgraded(LayerInfo::Authenticated(transport), std::time::Instant::now());
        }
    });
    if !transcript.messages.is_empty() {
        driven.messages = transcript.messages.clone();
        driven.ids = (1..=driven.messages.len()).map(|number| format!("id-{number}")).collect();
    }
    driven
}

fn languages() -> Vec<Language> {
    let tag = |tag| LanguageTag::new(tag).expect("a tag");
    let text = ReplyText::sanitized;
    vec![
        Language::new(tag("es"))
            .with_description(text("Español"))
            .with(Phrase::LanguageChanged, text("Idioma cambiado"))
            .with(Phrase::UnknownLanguage, text("Idioma no es conocido"))
            .with(Phrase::Bye, text("adiós")),
        Language::new(tag("en")).with_description(text("English")),
        Language::new(tag("en-boont")).with_description(text("English Boontling dialect")),
        Language::new(tag("sv")),
    ]
}

fn play(name: &str, transcript: &Transcript, chunk: usize) {
    let mut driven = server_for(transcript);
    for (number, (client, expected)) in transcript.turns.iter().enumerate() {
        driven.feed(client, chunk);
        let sent = driven.sent();
        assert_eq!(sent, *expected, "{name}: turn {number}, after {} (by {chunk})", client.escape_ascii());
    }
    assert_eq!(driven.removed, transcript.removed, "{name}: messages removed");
}

fn play_pipelined(name: &str, transcript: &Transcript) {
    let mut driven = server_for(transcript);
    let input: Vec<u8> = transcript.turns.iter().flat_map(|(client, _)| client.clone()).collect();
    let expected: String = transcript.turns.iter().map(|(_, server)| server.as_str()).collect();
    driven.feed(&input, usize::MAX);
    assert_eq!(driven.sent(), expected, "{name}: all at once");
    assert_eq!(driven.removed, transcript.removed, "{name}: messages removed");
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
