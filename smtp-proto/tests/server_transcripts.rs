//! Sessions written down in `transcripts/`, which [`testkit::server`] plays. `messages:` says how many are accepted.

mod support;

use mail_wire::sasl::Mechanism;
use smtp_proto::codec::Leniency;
use smtp_proto::server::{BareNewlines, NulPolicy, Peer, Protocol, ServerConfig};
use smtp_proto::types::Limits;
use std::time::Duration;
use support::Driven;

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

#[test]
fn every_transcript_plays_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
    testkit::server::play_folder(
        folder.as_ref(),
        15,
        |transcript| server_for(&transcript.config),
        |name, transcript, driven| {
            for (word, rest) in &transcript.facts {
                assert_eq!(word, "messages", "{name}: a line that is known");
                assert_eq!(driven.messages.len(), rest.parse().unwrap(), "{name}: messages accepted");
            }
        },
    );
}
