//! The client machine, fed anything in any pieces.

use crate::Knobs;
use mail_wire::dot::Newlines;
use mail_wire::sasl::Credentials;
use mail_wire::{Connection, LayerInfo, Step, TlsInfo};
use smtp_proto::client::{
    Chunking, Client, ClientConfig, ClientError, Event, Protocol, TlsPolicy, Transaction,
};
use smtp_proto::types::{Body, HelloName, Mailbox};
use std::time::Instant;

/// Base64 of what must not be seen in the clear: the password alone (LOGIN), and at each offset in PLAIN.
const SECRETS: [&[u8]; 3] = [b"aHVudGVyMi1zZWNyZXQ", b"h1bnRlcjItc2VjcmV0", b"odW50ZXIyLXNlY3JldA"];
const CONTENT: &[u8] = b"Subject: x\n\n.dot\r\n..\r\n.\r\nbare\rcr\n.\nQUIT\nend";

/// Feeds `data` behind its knobs as what a server says.
pub fn check(data: &[u8]) {
    let (mut knobs, wire) = Knobs::split(data);
    let config = config(&mut knobs);
    let mut run = Run {
        client: Client::new(config.clone(), [3; Client::RANDOM], Instant::now()),
        now: Instant::now(),
        clear: Vec::new(),
        upgraded: false,
        ready: 0,
        written: 0,
        config,
    };
    run.feed(wire, &mut knobs);
}

fn config(knobs: &mut Knobs) -> ClientConfig {
    let tls = [TlsPolicy::Never, TlsPolicy::Opportunistic, TlsPolicy::Required, TlsPolicy::Implicit];
    let mut config = ClientConfig::new(HelloName::parse("client.example").expect("a name"))
        .with_tls(tls[knobs.below(tls.len())]);
    if knobs.one_in(3) {
        config.protocol = Protocol::Lmtp;
    }
    if knobs.one_in(2) {
        config.credentials = Some(Credentials::password("alice", "hunter2-secret"));
    }
    config.pipelining = !knobs.one_in(3);
    config.chunking = [Chunking::Auto, Chunking::Never, Chunking::Always][knobs.below(3)];
    config.chunk_size = 1024;
    config.newlines = if knobs.one_in(2) { Newlines::Repair } else { Newlines::Strict };
    config.bare_lf_replies = knobs.one_in(4);
    config
}

struct Run {
    client: Client,
    config: ClientConfig,
    now: Instant,
    /// What was sent before TLS.
    clear: Vec<u8>,
    upgraded: bool,
    ready: usize,
    written: usize,
}

impl Run {
    fn feed(&mut self, mut wire: &[u8], knobs: &mut Knobs) {
        let mut eof = false;
        for _ in 0..20 * wire.len() + 4000 {
            match self.client.poll() {
                Step::Event(event) => self.event(event, knobs),
                Step::Upgrade(_) => {
                    self.flush();
                    self.upgraded = true;
                    self.client.upgraded(LayerInfo::Tls(TlsInfo::new()), self.now);
                }
                Step::Blocked => {
                    let sent = self.flush();
                    let room = self.client.io().recv;
                    let n = room.len().min(wire.len()).min(1 + knobs.below(60));
                    assert!(room.len() <= 64 << 10, "a receive buffer without bound");
                    room[..n].copy_from_slice(&wire[..n]);
                    if n > 0 {
                        wire = &wire[n..];
                        self.client.received(n, self.now);
                    } else if wire.is_empty() && !eof {
                        eof = true;
                        self.client.received(0, self.now);
                    } else if sent == 0 {
                        if let Some(deadline) = self.client.deadline() {
                            self.now = self.now.max(deadline);
                            self.client.handle_timeout(self.now);
                        } else {
                            // An idle client waits for its embedder for as long as it takes.
                            assert!(
                                self.client.is_idle(),
                                "a client that waits for the server has a deadline"
                            );
                            self.client.quit().expect("an idle client can quit");
                        }
                    }
                }
                Step::Close(result) => {
                    self.flush();
                    self.closed(&result);
                    return;
                }
            }
        }
        panic!("a connection that neither moves nor ends");
    }

    fn closed(&mut self, result: &Result<(), ClientError>) {
        if let Err(error) = result {
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
        assert!(matches!(self.client.poll(), Step::Close(again) if again == *result));
        let clear = &self.clear;
        assert!(
            !SECRETS.iter().any(|secret| clear.windows(secret.len()).any(|window| window == *secret)),
            "a password in the clear: {}",
            clear.escape_ascii()
        );
        if matches!(self.config.tls, TlsPolicy::Required) && !self.upgraded {
            assert!(!clear.windows(5).any(|window| window == b"MAIL "), "mail in the clear");
        }
        if matches!(self.config.tls, TlsPolicy::Implicit) {
            assert!(clear.is_empty());
        }
    }

    fn flush(&mut self) -> usize {
        let send = self.client.io().send;
        let n = send.len();
        assert!(n <= 256 << 10, "a send buffer without bound");
        if !self.upgraded {
            self.clear.extend_from_slice(send);
        }
        self.client.sent(n, self.now);
        n
    }

    fn event(&mut self, event: Event, knobs: &mut Knobs) {
        match event {
            Event::Ready => {
                self.ready += 1;
                assert!(self.ready < 100_000);
                if self.config.credentials.is_some() {
                    assert!(self.client.authenticated().is_some(), "ready without having logged in");
                }
                if matches!(self.config.tls, TlsPolicy::Required | TlsPolicy::Implicit) {
                    assert!(self.upgraded, "ready without TLS");
                }
                self.next(knobs);
            }
            Event::Recipient { index, reply } | Event::Delivered { index, reply } => {
                assert!(index < 3);
                assert!(!reply.to_string().contains(char::is_control));
            }
            Event::Body => self.body(knobs),
            Event::Sent(outcome) => {
                assert_eq!(outcome.results().len(), 3, "one result for each recipient");
                assert_eq!(outcome.accepted().count() + outcome.rejected().count(), 3);
                self.next(knobs);
            }
            Event::Aborted | Event::Reply { .. } => self.next(knobs),
            Event::Unencrypted { .. } => {
                assert!(
                    matches!(self.config.tls, TlsPolicy::Opportunistic),
                    "in the clear against the policy"
                );
            }
            other => panic!("an event that is not known here: {other:?}"),
        }
    }

    fn body(&mut self, knobs: &mut Knobs) {
        if knobs.one_in(12) {
            return self.client.abort().expect("a message that is wanted can be given up");
        }
        let piece = &CONTENT[self.written % CONTENT.len()..];
        if self.written > 4000 || knobs.one_in(6) {
            self.written = 0;
            // A bare newline may stand at the end.
            let _ = self.client.finish_body();
            return;
        }
        match self.client.write_body(piece) {
            Ok(n) => {
                assert!(n <= piece.len());
                self.written += n;
            }
            Err(_) => assert!(matches!(self.config.newlines, Newlines::Strict), "repairing has no errors"),
        }
    }

    /// Something to do while the connection is idle.
    fn next(&mut self, knobs: &mut Knobs) {
        let done = match knobs.below(6) {
            0 => self.client.noop(),
            1 => self.client.vrfy("bob\r\nRCPT TO:<x@y>"),
            2 => self.client.quit(),
            3 => self.client.rset(),
            _ => {
                self.written = 0;
                let mailbox = |text| Mailbox::parse(text).expect("a mailbox");
                let mut transaction = Transaction::new(mailbox("alice@client.example"))
                    .to(mailbox("bob@mx.example"))
                    .to(mailbox("\"c d\"@mx.example"))
                    .to(mailbox("eve@mx.example"));
                if knobs.one_in(2) {
                    transaction = transaction.with_size(CONTENT.len() as u64);
                }
                if knobs.one_in(3) {
                    transaction = transaction.with_body(Body::EightBitMime);
                }
                self.client.send(transaction).map(drop)
            }
        };
        // The server cannot take it, or is gone: ask for less.
        if done.is_err() && self.client.is_idle() {
            let _ = self.client.quit();
        }
    }
}
