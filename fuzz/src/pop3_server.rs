//! The POP3 server machine, fed anything in any pieces.

use crate::Knobs;
use mail_wire::sasl::{self, MechanismSet, Question, Stored};
use mail_wire::{AuthenticatedPeer, Connection, LayerInfo, ReplyText, Step, TlsInfo};
use pop3_proto::server::{
    Event, Language, Maildrop, Peer, Phrase, Server, ServerConfig, ServerTimeouts, TransportLogin, UniqueIds,
    Utf8,
};
use pop3_proto::types::{Expire, LanguageTag, LoginDelay, Refusal};
use std::sync::Arc;
use std::time::{Duration, Instant};

const MESSAGES: [&[u8]; 4] =
    [b"Subject: one\r\n\r\n.\r\n..\r\nlast", b"a: b\n\n1\n2\n3\n", b"", b"\r\r\n.\n\n\0."];

/// Feeds `data` behind its knobs, in one piece and in many. Where no piece can matter, the outcome is the same.
pub fn check(data: &[u8]) {
    let (mut knobs, wire) = Knobs::split(data);
    let config = Arc::new(config(&mut knobs));
    let transport = knobs.one_in(2);
    let drops_tokens = knobs.one_in(6);
    let run = |pieces: &mut dyn FnMut() -> usize| {
        let mut run = Run::new(Arc::clone(&config), transport, drops_tokens);
        run.feed(wire, pieces);
        run
    };
    let whole = run(&mut || usize::MAX);
    let pieces = run(&mut || 1 + knobs.below(30));
    // What is purged at STLS depends on what had come by then.
    if !whole.upgraded && !pieces.upgraded {
        let (a, b) = (whole.output.escape_ascii().to_string(), pieces.output.escape_ascii().to_string());
        assert_eq!(a, b, "the replies depend on how the input was cut");
        assert_eq!(whole.removed, pieces.removed);
    }
}

fn config(knobs: &mut Knobs) -> ServerConfig {
    let mut config = ServerConfig::new("pop.example");
    config.user = !knobs.one_in(8);
    config.apop = knobs.one_in(2);
    config.rpop = knobs.one_in(4);
    if knobs.one_in(2) {
        config.mechanisms = MechanismSet::ALL;
    }
    config.plaintext_auth_without_tls = !knobs.one_in(4);
    config.stls = knobs.one_in(3);
    config.implicit_tls = knobs.one_in(12);
    config.transport_login =
        [TransportLogin::Ignore, TransportLogin::UserPass, TransportLogin::Preauthenticated]
            [if knobs.one_in(4) { knobs.below(3) } else { 0 }];
    config.response_codes = !knobs.one_in(4);
    config.top = !knobs.one_in(8);
    config.uidl = !knobs.one_in(8);
    config.utf8 = [Utf8::Off, Utf8::On, Utf8::WithUsers][knobs.below(3)];
    config.bare_lf = knobs.one_in(3);
    if knobs.one_in(2) {
        config.expire = Some(Expire { days: Some(3), per_user: true });
        config.login_delay = Some(LoginDelay { seconds: 9, per_user: true });
        config.implementation = Some(ReplyText::from_static("fuzzed"));
        let tag = LanguageTag::new("es").expect("a tag");
        config.languages = vec![Language::new(tag).with(Phrase::Bye, ReplyText::sanitized("adiós"))];
    }
    if knobs.one_in(2) {
        // The floors.
        config.limits = config.limits.with_send_bytes(0).with_pipelined_bytes(0).with_errors(0);
        config.limits = config.limits.with_login_commands(0).with_auth_failures(0);
    }
    config.timeouts = ServerTimeouts::default().with_auth_failure_delay(Duration::from_millis(1));
    config.decoy = sasl::Decoy::new(vec![1; 32]).with_iterations(1).imitating_plain();
    config.proxy_protocol = knobs.one_in(12);
    config
}

/// One connection, and what came out of it.
struct Run {
    server: Server,
    now: Instant,
    output: Vec<u8>,
    removed: Option<Vec<u32>>,
    sending: Option<(usize, usize)>,
    questions: usize,
    drops_tokens: bool,
    upgraded: bool,
    closed: bool,
}

impl Run {
    fn new(config: Arc<ServerConfig>, transport: bool, drops_tokens: bool) -> Self {
        let now = Instant::now();
        let peer = Peer::new("192.0.2.7:50000".parse().expect("an address"));
        let mut server = Server::new(config, peer, [7; Server::RANDOM], now);
        if transport {
            server.upgraded(LayerInfo::Authenticated(AuthenticatedPeer::new("alice")), now);
        }
        Self {
            server,
            now,
            output: Vec::new(),
            removed: None,
            sending: None,
            questions: 0,
            drops_tokens,
            upgraded: false,
            closed: false,
        }
    }

    fn feed(&mut self, mut wire: &[u8], pieces: &mut dyn FnMut() -> usize) {
        let limit = 40 * wire.len() + 4000;
        let mut eof = false;
        for _ in 0..limit {
            match self.server.poll() {
                Step::Event(event) => self.event(event),
                Step::Upgrade(_) => {
                    self.flush();
                    self.upgraded = true;
                    self.server.upgraded(LayerInfo::Tls(TlsInfo::new()), self.now);
                }
                Step::Blocked => {
                    let sent = self.flush();
                    assert!(self.server.buffered() <= 512 << 10, "{} bytes", self.server.buffered());
                    let room = self.server.io().recv;
                    let n = room.len().min(wire.len()).min(pieces());
                    room[..n].copy_from_slice(&wire[..n]);
                    if n > 0 {
                        wire = &wire[n..];
                        self.server.received(n, self.now);
                    } else if wire.is_empty() && !eof {
                        eof = true;
                        self.server.received(0, self.now);
                    } else if sent == 0 {
                        // Nothing moves: only time can.
                        let deadline = self.server.deadline().expect("a server that waits has a deadline");
                        self.now = self.now.max(deadline);
                        self.server.handle_timeout(self.now);
                    }
                }
                Step::Close(result) => {
                    self.flush();
                    self.closed = true;
                    if let Err(error) = &result {
                        assert!(!error.to_string().contains(char::is_control));
                    }
                    assert!(matches!(self.server.poll(), Step::Close(again) if again == result));
                    break;
                }
            }
        }
        assert!(self.closed, "a connection that neither moves nor ends");
        assert!(self.output.is_empty() || matches!(self.output[0], b'+' | b'-'));
    }

    fn flush(&mut self) -> usize {
        let send = self.server.io().send;
        self.output.extend_from_slice(send);
        let n = send.len();
        self.server.sent(n, self.now);
        n
    }

    fn event(&mut self, event: Event) {
        self.questions += 1;
        // What follows from how many questions came before is the same however the input is cut.
        if self.drops_tokens
            && self.questions.is_multiple_of(5)
            && !matches!(event, Event::Body | Event::BodyEnough)
        {
            return drop(event);
        }
        let refuse = self.questions.is_multiple_of(7);
        let server = &mut self.server;
        match event {
            Event::Connected(pending) => {
                server.accept(pending);
            }
            Event::Login { question, pending, .. } => {
                let answer = match question {
                    Question::VerifyPassword { .. } | Question::Credentials { .. } if refuse => {
                        sasl::Answer::Stored(Stored::Unknown)
                    }
                    Question::VerifyPassword { .. } => sasl::Answer::Accepted,
                    Question::Credentials { .. } => sasl::Answer::Stored(Stored::Plain("tanstaaf".into())),
                    Question::External { authzid: None } => sasl::Answer::AcceptedAs("alice".into()),
                    _ if refuse => sasl::Answer::Rejected,
                    _ => sasl::Answer::Accepted,
                };
                server.answer(pending, answer);
            }
            Event::Open(_, pending) if refuse => {
                server.refuse(pending, Refusal::IN_USE);
            }
            Event::Open(_, pending) => {
                let maildrop: Maildrop = MESSAGES.iter().map(|message| message.len() as u64).collect();
                server.answer(pending, Ok(maildrop));
            }
            Event::UniqueIds(pending) => {
                let mut ids = UniqueIds::new();
                for index in 0..MESSAGES.len() - usize::from(refuse) {
                    ids.push(format!("id-{index}")).expect("a unique-id");
                }
                server.answer(pending, Ok(ids));
            }
            Event::Retrieve { number, pending, .. } => {
                assert!(number.index() < MESSAGES.len());
                if refuse {
                    server.refuse(pending, Refusal::MESSAGE_GONE);
                } else {
                    server.accept(pending);
                    self.sending = Some((number.index(), 0));
                }
            }
            Event::Body => {
                let (index, at) = self.sending.as_mut().expect("a body only comes within a message");
                *at += server.write_body(&MESSAGES[*index][*at..]);
                if *at == MESSAGES[*index].len() {
                    server.finish_body();
                    self.sending = None;
                }
            }
            Event::BodyEnough => {
                assert!(!server.wants_body());
                server.finish_body();
                self.sending = None;
            }
            Event::Commit(deleted, pending) => {
                assert_eq!(deleted.iter().count(), deleted.len());
                self.removed = Some(deleted.iter().map(|number| number.get()).collect());
                server.accept(pending);
            }
            _ => {}
        }
    }
}
