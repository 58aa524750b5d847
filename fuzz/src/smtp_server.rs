//! The server machine, fed anything in any pieces.

use crate::{Knobs, smtp_reply};
use mail_wire::sasl::{self, MechanismSet};
use mail_wire::{Connection, LayerInfo, ReplyText, Secret, Step, TlsInfo};
use smtp_proto::codec::Leniency;
use smtp_proto::server::{
    BareNewlines, Delivered, EarlyTalkers, Event, NulPolicy, Peer, Protocol, Server, ServerConfig,
    VerifyAnswer,
};
use smtp_proto::types::{Domain, Limits, Refusal, Verdict};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Feeds `data` behind its knobs, in one piece and in many. Where no piece can matter, the outcome is the same.
pub fn check(data: &[u8]) {
    let (mut knobs, wire) = Knobs::split(data);
    let config = Arc::new(config(&mut knobs));
    let trusted = knobs.one_in(2);
    let drops_tokens = knobs.one_in(8);
    let run = |pieces: &mut dyn FnMut() -> usize| {
        let peer = {
            let mut peer = Peer::new("192.0.2.7:50000".parse().expect("an address"));
            peer.trusted = trusted;
            peer
        };
        let mut run = Run::new(Arc::clone(&config), peer, drops_tokens);
        run.feed(wire, pieces);
        run
    };
    let whole = run(&mut || usize::MAX);
    let pieces = run(&mut || 1 + knobs.below(30));
    // Where a command has to be the last of its group, content comes along with a DATA that is refused, or the purge at
    // STARTTLS decides, the cut into pieces matters by design.
    let cut_matters = config.refuse_improper_pipelining
        || matches!(config.early_talkers, EarlyTalkers::Refuse { .. })
        || [&whole, &pieces].iter().any(|run| run.upgraded || run.sent_content_too_early());
    if !cut_matters {
        let (a, b) = (whole.output.escape_ascii().to_string(), pieces.output.escape_ascii().to_string());
        assert_eq!(a, b, "the replies depend on how the input was cut");
        assert_eq!(whole.messages, pieces.messages, "the messages depend on how the input was cut");
    }
}

fn config(knobs: &mut Knobs) -> ServerConfig {
    let mut config = ServerConfig::new(Domain::parse("mx.example").expect("a domain"));
    if knobs.one_in(3) {
        config.protocol = Protocol::Lmtp;
    }
    if knobs.one_in(2) {
        config.mechanisms = MechanismSet::ALL;
        config.plaintext_auth_without_tls = knobs.one_in(2);
        config.require_auth = knobs.one_in(4);
    }
    config.decoy = sasl::Decoy::new(vec![1; 32]).with_iterations(1);
    config.extensions.starttls = knobs.one_in(3);
    config.require_tls = knobs.one_in(8);
    config.implicit_tls = knobs.one_in(12);
    config.proxy_protocol = knobs.one_in(12);
    config.extensions.xclient = knobs.one_in(2);
    config.extensions.binary_mime = knobs.one_in(2);
    config.extensions.pipelining = !knobs.one_in(4);
    config.extensions.enhanced_status_codes = !knobs.one_in(4);
    if knobs.one_in(2) {
        config.extensions.vrfy = true;
        config.extensions.expn = true;
        config.extensions.etrn = true;
        config.extensions.atrn = true;
        config.extensions.mt_priority = true;
        config.extensions.rrvs = true;
        config.extensions.deliver_by = Some(60);
        config.extensions.future_release = Some(3600);
        config.extensions.limits = Limits::NONE.with_rcpt_max(3).with_mail_max(2);
    }
    if knobs.one_in(2) {
        config.leniency = Leniency::LENIENT;
    }
    config.bare_newlines = [BareNewlines::Reject, BareNewlines::Repair, BareNewlines::Keep][knobs.below(3)];
    config.nul = [NulPolicy::Reject, NulPolicy::Strip, NulPolicy::Keep][knobs.below(3)];
    if knobs.one_in(8) {
        config.early_talkers = EarlyTalkers::Refuse { wait: Duration::from_secs(2) };
    }
    config.refuse_improper_pipelining = knobs.one_in(4);
    if knobs.one_in(4) {
        // The floors.
        config.limits =
            config.limits.with_command_line(0).with_message_size(0).with_pipelined_bytes(0).with_errors(0);
    }
    config
}

/// One connection, and what came out of it.
struct Run {
    server: Server,
    now: Instant,
    output: Vec<u8>,
    /// Messages that ended, with what was answered.
    messages: Vec<Vec<u8>>,
    message: Option<Vec<u8>>,
    questions: usize,
    drops_tokens: bool,
    upgraded: bool,
    closed: bool,
}

impl Run {
    fn new(config: Arc<ServerConfig>, peer: Peer, drops_tokens: bool) -> Self {
        let now = Instant::now();
        Self {
            server: Server::new(config, peer, [7; Server::RANDOM], now),
            now,
            output: Vec::new(),
            messages: Vec::new(),
            message: None,
            questions: 0,
            drops_tokens,
            upgraded: false,
            closed: false,
        }
    }

    fn feed(&mut self, mut wire: &[u8], pieces: &mut dyn FnMut() -> usize) {
        let limit = 20 * wire.len() + 4000;
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
                    self.bounded();
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
        smtp_reply::codes(&self.output);
    }

    fn sent_content_too_early(&self) -> bool {
        const REPLY: &[u8] = b"content sent before the reply to DATA";
        self.output.windows(REPLY.len()).any(|window| window == REPLY)
    }

    fn flush(&mut self) -> usize {
        let send = self.server.io().send;
        self.output.extend_from_slice(send);
        let n = send.len();
        self.server.sent(n, self.now);
        n
    }

    /// Memory stays within what the configuration allows, whatever the peer does.
    fn bounded(&self) {
        let limits = &self.server.config().limits;
        let cap = limits.pipelined_bytes() + (128 << 10);
        assert!(self.server.buffered() <= cap, "{} bytes of buffers", self.server.buffered());
    }

    fn event(&mut self, event: Event) {
        self.questions += 1;
        // A verdict that follows from how many questions came before, so that it is the same however input is cut.
        let refuse = self.questions.is_multiple_of(7);
        if self.drops_tokens && self.questions.is_multiple_of(5) && is_question(&event) {
            if matches!(event, Event::Hello(..) | Event::MessageEnd(_)) {
                self.message = None;
            }
            return drop(event);
        }
        let verdict: Verdict = if refuse { Refusal::LOCAL_ERROR.into() } else { Verdict::Accept };
        let server = &mut self.server;
        match event {
            Event::Connected(pending) => server.accept(pending),
            Event::Hello(name, pending) => {
                assert!(!name.as_str().contains(char::is_control));
                self.message = None;
                server.answer(pending, verdict);
            }
            Event::Mail { from, params, pending } => {
                assert!(self.message.is_none(), "MAIL inside a message");
                let text = format!("{from}{params}");
                assert!(!text.contains(char::is_control), "{text:?}");
                assert!(from.is_ascii() || params.smtputf8, "an address in UTF-8 without SMTPUTF8");
                let config = server.config();
                assert!(!config.require_auth || server.identity().is_some(), "MAIL without AUTH");
                assert!(!config.require_tls || server.tls().is_some(), "MAIL without TLS");
                server.answer(pending, verdict);
            }
            Event::Recipient { to, params, pending } => {
                assert!(!format!("{to}{params}").contains(char::is_control));
                server.answer(pending, verdict);
            }
            Event::Message(pending) => {
                self.message = (!refuse).then(Vec::new);
                server.answer(pending, verdict);
            }
            Event::Body => {
                self.questions -= 1;
                let body = server.body();
                assert!(!body.is_empty(), "an event without content");
                let taken = if self.drops_tokens { body.len().div_ceil(2) } else { body.len() };
                self.message
                    .as_mut()
                    .expect("a body comes within a message")
                    .extend_from_slice(&body[..taken]);
                server.consume(taken);
            }
            Event::MessageRefused(refusal) => {
                // It may come earlier or later, by how the input is cut, so no verdict hangs on it.
                self.questions -= 1;
                assert!(refusal.code().class() >= 4);
                self.message = None;
            }
            Event::MessageEnd(pending) => {
                let message = self.message.take().expect("a message that ends has begun");
                self.content(&message);
                self.messages.push(message);
                let server = &mut self.server;
                server.answer(pending, Delivered::Each(vec![verdict, Verdict::Accept]));
            }
            Event::Reset => {
                self.questions -= 1;
                self.message = None;
            }
            Event::Sasl(question, pending) => {
                let stored = sasl::Answer::Stored(sasl::Stored::Plain(Secret::new("secret")));
                let answer = match question {
                    sasl::Question::VerifyPassword { .. } | sasl::Question::Credentials { .. } => stored,
                    _ if refuse => sasl::Answer::Rejected,
                    _ => sasl::Answer::AcceptedAs("alice".to_owned()),
                };
                server.answer(pending, answer);
            }
            Event::Authenticated => {
                assert!(server.identity().is_some());
            }
            Event::AuthenticationFailed { .. } => assert!(server.identity().is_none()),
            Event::Verify(_, pending) | Event::Expand(_, pending) => {
                server.answer(pending, VerifyAnswer::Found(vec![ReplyText::from_static("<bob@mx.example>")]));
            }
            Event::Etrn(_, pending) => server.answer(pending, verdict),
            Event::Atrn(_, pending) => server.refuse(pending, Refusal::LOCAL_ERROR),
            Event::Xclient(_, pending) => {
                server.answer(pending, verdict);
            }
            Event::Xforward(_, pending) => server.answer(pending, verdict),
            other => panic!("an event that is not known here: {other:?}"),
        }
    }

    /// What reaches a store holds no byte that the configuration keeps out, and is no longer than announced.
    fn content(&self, message: &[u8]) {
        let config = self.server.config();
        assert!(message.len() as u64 <= config.limits.message_size());
        if config.extensions.binary_mime && config.extensions.chunking {
            return;
        }
        if config.bare_newlines != BareNewlines::Keep {
            let bare = message.iter().enumerate().any(|(at, byte)| match byte {
                b'\r' => message.get(at + 1) != Some(&b'\n'),
                b'\n' => at == 0 || message[at - 1] != b'\r',
                _ => false,
            });
            assert!(!bare, "a bare newline was let pass: {}", message.escape_ascii());
        }
        if config.nul != NulPolicy::Keep {
            assert!(!message.contains(&0), "a NUL was let pass");
        }
    }
}

fn is_question(event: &Event) -> bool {
    !matches!(
        event,
        Event::Body
            | Event::MessageRefused(_)
            | Event::Reset
            | Event::Authenticated
            | Event::AuthenticationFailed { .. }
            | Event::Turned
    )
}
