//! Sessions written down in `transcripts/`, which [`testkit::server`] plays. `M:` is a message of the maildrop, where those of RFC
//! 1939 §10 are not meant; `removed:` are the messages that QUIT removes, without which nothing must be removed.

mod support;

use mail_wire::ReplyText;
use mail_wire::sasl::Mechanism;
use mail_wire::{AuthenticatedPeer, Connection, LayerInfo};
use pop3_proto::server::{Language, Phrase, ServerConfig, TransportLogin, Utf8};
use pop3_proto::types::{Expire, LanguageTag, LoginDelay};
use support::Driven;
use testkit::server::Transcript;
use testkit::unescape;

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
            "proxy" => config.proxy_protocol = true,
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
    let messages = transcript.facts.iter().filter(|(word, _)| word == "M");
    let messages: Vec<Vec<u8>> = messages.map(|(_, text)| unescape(text).0).collect();
    if !messages.is_empty() {
        driven.messages = messages;
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

#[test]
fn every_transcript_plays_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    testkit::server::play_folder(folder.as_ref(), 15, server_for, |name, transcript, driven| {
        let numbers = |rest: &str| {
            rest.split(' ').filter(|word| !word.is_empty()).map(|word| word.parse().unwrap()).collect()
        };
        let (mut removed, mut messages) = (None::<Vec<u32>>, 0);
        for (word, rest) in &transcript.facts {
            match word.as_str() {
                "removed" => removed = Some(numbers(rest)),
                "M" => messages += 1,
                _ => panic!("{name}: not a transcript line: {word}"),
            }
        }
        assert!(messages == 0 || messages == driven.messages.len(), "{name}: messages");
        assert_eq!(driven.removed, removed, "{name}: messages removed");
    });
}
