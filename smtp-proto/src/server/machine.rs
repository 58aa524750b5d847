//! [`Server`]: its state, its buffers, its timers, and the loop that turns bytes into events.

use super::body::Receiving;
use super::config::ServerConfig;
use super::event::{Event, Question, ServerError, Stage, sealed::Seal};
use super::session::{Envelope, Peer, Progress, Session};
use crate::types::{HelloName, Refusal, Verdict, WithProtocol, XclientAttributes};
use core::fmt;
use mail_wire::line::{LineScanner, Scan};
use mail_wire::sasl::{self, Identity};
use mail_wire::{
    Connection, Io, Lane, Layer, LayerInfo, Pending, ProxyHeader, RecvBuffer, Secret, SendBuffer, Step,
    Timers, TlsInfo,
};
use std::sync::Arc;
use std::time::Instant;
/// Replies gather up to here before the next command has to wait for the peer to read.
const HIGH_WATER: usize = 16 << 10;
/// How many bytes of a command line that is too long are dropped before the connection is closed instead.
const MAX_LINE_DISCARD: usize = 64 << 10;

/// The server's side of an SMTP or LMTP connection. See the [module docs](super).
pub struct Server {
    pub(super) config: Arc<ServerConfig>,
    pub(super) recv: RecvBuffer,
    pub(super) send: SendBuffer,
    pub(super) scanner: LineScanner,
    pub(super) lane: Lane,
    pub(super) state: State,
    pub(super) session: Session,
    pub(super) counters: Counters,
    /// The SASL exchange that AUTH began.
    pub(super) login: Option<Box<sasl::Server>>,
    /// Where nonces come from.
    pub(super) entropy: Secret,
    /// An event that follows the one that was just told.
    pub(super) queued: Option<Event>,
    /// A reply that is sent later, see [`Timer::Hold`].
    held: Vec<u8>,
    closed: Option<Result<(), ServerError>>,
    eof: bool,
    shutting_down: bool,
    pub(super) timers: Timers<4>,
    /// The time that was last told.
    pub(super) now: Instant,
    /// Bytes received in the present rate window.
    pub(super) window_bytes: u64,
}

/// What the machine is doing.
#[derive(Debug)]
pub(super) enum State {
    /// The PROXY header is to come.
    Proxy,
    /// The transport begins with TLS, which is not there yet.
    ImplicitTls,
    /// The embedder is to be told of the connection.
    Connect,
    /// The embedder accepted; the greeting waits for the end of [`Timer::Wait`].
    Greeting,
    /// A question is open.
    Asked(Asked),
    /// A command line is to come.
    Command,
    /// A command line that is too long is being dropped; so many bytes so far.
    Discarding(usize),
    /// A SASL response is to come.
    Response,
    /// A message, or a chunk of one, is coming.
    Body(Receiving),
    /// The reply to STARTTLS is on its way; the driver puts TLS on the transport.
    StartTls,
    /// The roles have turned; the transport is no longer ours.
    Turned,
}

/// The open question, with what is needed to go on.
#[derive(Debug)]
pub(super) enum Asked {
    Connected,
    Hello { name: HelloName, extended: bool },
    Mail(Envelope),
    Recipient,
    Data,
    Chunk { size: u64, last: bool },
    MessageEnd,
    Sasl,
    Verify { utf8: bool },
    Etrn,
    Atrn,
    Xclient(XclientAttributes),
    Xforward,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) errors: u32,
    pub(super) junk: u32,
    pub(super) auth_failures: u32,
    /// SASL exchanges begun, so that each has a nonce of its own.
    pub(super) exchanges: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Timer {
    /// For what the state waits for.
    Wait,
    /// The end of a rate window.
    Rate,
    /// For the peer to take what is being sent.
    Send,
    /// Until the held reply is sent.
    Hold,
}

impl Server {
    /// How many random bytes a server is handed.
    pub const RANDOM: usize = 32;

    /// A server for one connection. The random bytes must be fresh for each connection, from a cryptographic source:
    /// nonces are derived from them.
    pub fn new(config: Arc<ServerConfig>, peer: Peer, random: [u8; Self::RANDOM], now: Instant) -> Self {
        let state = if config.proxy_protocol { State::Proxy } else { Self::after_proxy(&config) };
        let mut server = Self {
            recv: RecvBuffer::new(config.limits.receive_buffer()),
            send: SendBuffer::new(HIGH_WATER),
            scanner: LineScanner::new(),
            lane: Lane::new(),
            state,
            session: Session::new(peer),
            counters: Counters::default(),
            login: None,
            entropy: Secret::new(random),
            queued: None,
            held: Vec::new(),
            closed: None,
            eof: false,
            shutting_down: false,
            timers: Timers::new(),
            now,
            window_bytes: 0,
            config,
        };
        server.set_timer(Timer::Wait, server.config.timeouts.command);
        server
    }

    pub(super) fn after_proxy(config: &ServerConfig) -> State {
        if config.implicit_tls { State::ImplicitTls } else { State::Connect }
    }

    /// Answers a question. An answer that comes after a time-out does nothing.
    pub fn answer<Q: Question>(&mut self, pending: Pending<Q>, answer: Q::Answer) {
        if self.lane.settle(pending) {
            Q::apply(self, answer, Seal);
        }
    }

    /// Grants a question that is granted or refused.
    pub fn accept<Q: Question<Answer = Verdict>>(&mut self, pending: Pending<Q>) {
        self.answer(pending, Verdict::Accept);
    }

    /// Refuses a question that is granted or refused.
    pub fn refuse<Q: Question<Answer = Verdict>>(&mut self, pending: Pending<Q>, refusal: Refusal) {
        self.answer(pending, Verdict::Refuse(refusal));
    }

    /// Ends the connection as soon as no message is under way: 421 4.3.2 (RFC 5321 §3.8).
    pub fn shutdown(&mut self) {
        self.shutting_down = true;
    }

    /// The configuration.
    pub fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.session.peer
    }

    /// What the client called itself.
    pub fn hello(&self) -> Option<&HelloName> {
        self.session.hello.as_ref()
    }

    /// The TLS layer, if there is one.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.session.tls.as_deref()
    }

    /// Who the client has proved to be by AUTH.
    pub fn identity(&self) -> Option<&Identity> {
        self.session.identity.as_deref()
    }

    /// How messages come on this connection, for the `with` clause of a Received field (RFC 3848).
    pub fn with_protocol(&self) -> WithProtocol {
        WithProtocol {
            lmtp: self.is_lmtp(),
            extended: self.session.extended,
            tls: self.session.tls.is_some(),
            authenticated: self.session.identity.is_some(),
            utf8: self.session.envelope.as_ref().is_some_and(|envelope| envelope.utf8),
        }
    }

    /// Takes what has been received and not been read, after [`Event::Turned`].
    pub fn take_received(&mut self) -> Vec<u8> {
        let data = self.recv.data().to_vec();
        self.recv.purge();
        data
    }

    /// Bytes of memory that the buffers hold.
    pub fn buffered(&self) -> usize {
        self.recv.capacity() + self.send.capacity() + self.held.capacity()
    }

    pub(super) fn is_lmtp(&self) -> bool {
        self.config.protocol == super::Protocol::Lmtp
    }

    /// Opens a question and waits for its answer.
    pub(super) fn ask<Q: Question>(&mut self, asked: Asked) -> Pending<Q> {
        self.state = State::Asked(asked);
        self.set_timer(Timer::Wait, self.config.timeouts.answer);
        self.lane.ask()
    }

    /// The question that was open. The state is then that of waiting for a command.
    pub(super) fn asked(&mut self) -> Option<Asked> {
        match core::mem::replace(&mut self.state, State::Command) {
            State::Asked(asked) => {
                self.await_command();
                Some(asked)
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    pub(super) fn await_command(&mut self) {
        self.state = State::Command;
        self.timers.clear(Timer::Rate as usize);
        self.set_timer(Timer::Wait, self.config.timeouts.command);
    }

    pub(super) fn await_response(&mut self) {
        self.state = State::Response;
        self.set_timer(Timer::Wait, self.config.timeouts.command);
    }

    pub(super) fn await_body(&mut self, receiving: Receiving) {
        self.state = State::Body(receiving);
        self.window_bytes = 0;
        self.set_timer(Timer::Wait, self.config.timeouts.data_block);
        self.set_timer(Timer::Rate, self.config.timeouts.rate_window);
    }

    /// Ends the connection once all is sent.
    pub(super) fn close(&mut self, result: Result<(), ServerError>) {
        if self.closed.is_none() {
            self.closed = Some(result);
            self.lane.cancel();
            self.login = None;
            if self.session.envelope.take().is_some() {
                self.queued = Some(Event::Reset);
            }
        }
    }

    /// Keeps back what was written since `from` for so long. Nothing is read meanwhile.
    pub(super) fn hold_since(&mut self, from: usize, delay: core::time::Duration) {
        if !delay.is_zero() {
            self.held = self.send.tail().split_off(from);
            self.set_timer(Timer::Hold, delay);
        }
    }

    /// The transport is given away: no time-out is ours any more.
    pub(super) fn stop_waiting(&mut self) {
        self.timers.clear(Timer::Wait as usize);
    }

    /// Drops the line that turned out too long, as it comes.
    pub(super) fn discard_rest_of_line(&mut self) {
        self.state = State::Discarding(0);
    }

    pub(super) fn has_more_input(&self) -> bool {
        !self.recv.data().is_empty()
    }

    pub(super) fn set_timer(&mut self, timer: Timer, after: core::time::Duration) {
        self.timers.set(timer as usize, self.now + after);
    }

    /// Whether it is for the peer to say something.
    fn awaits_peer(&self) -> bool {
        matches!(self.state, State::Command | State::Discarding(_) | State::Response)
    }

    pub(super) fn stage(&self) -> Stage {
        match &self.state {
            State::Proxy | State::Connect | State::Greeting | State::Asked(Asked::Connected) => {
                Stage::Connect
            }
            State::ImplicitTls | State::StartTls => Stage::Tls,
            State::Response | State::Asked(Asked::Sasl) => Stage::Auth,
            State::Body(_) | State::Asked(Asked::MessageEnd) => Stage::Message,
            _ if self.session.envelope.is_some() => Stage::Envelope,
            _ => Stage::Command,
        }
    }

    /// One step of the state; `None` to go on with the next.
    fn advance(&mut self) -> Option<Step<Event, ServerError>> {
        if self.shutting_down && self.shut_down() {
            return None;
        }
        match &mut self.state {
            State::Proxy => self.read_proxy_header(),
            State::ImplicitTls => Some(Step::Upgrade(Layer::Tls)),
            State::Connect => {
                let pending = self.ask(Asked::Connected);
                Some(Step::Event(Event::Connected(pending)))
            }
            State::Greeting => self.greet_when_due(),
            State::Asked(_) | State::Turned => Some(Step::Blocked),
            State::Command => self.read_command(),
            State::Discarding(_) => self.discard_line(),
            State::Response => self.read_response(),
            State::Body(_) => self.read_body(),
            State::StartTls => Some(Step::Upgrade(Layer::Tls)),
        }
    }

    /// Ends the connection, unless a message is under way or a question is open. Says whether it did.
    fn shut_down(&mut self) -> bool {
        let chunks =
            matches!(&self.session.envelope, Some(Envelope { progress: Progress::Chunks { .. }, .. }));
        match self.state {
            State::Asked(_) | State::Body(_) | State::Turned => return false,
            State::Command | State::Discarding(_) if chunks => return false,
            // There is nobody yet who could read a reply.
            State::Proxy | State::ImplicitTls | State::StartTls => {}
            State::Connect | State::Greeting | State::Command | State::Discarding(_) | State::Response => {
                self.reply_refusal(&Refusal::SHUTTING_DOWN);
            }
        }
        self.close(Ok(()));
        true
    }

    /// Waits for input; at its end, ends.
    pub(super) fn blocked(&mut self) -> Option<Step<Event, ServerError>> {
        if self.eof {
            self.close(Err(ServerError::Eof(self.stage())));
            return None;
        }
        Some(Step::Blocked)
    }

    fn read_command(&mut self) -> Option<Step<Event, ServerError>> {
        let data = self.recv.data();
        let limits = &self.config.limits;
        // RFC 4954 §4: AUTH has a limit of its own.
        let is_auth = data.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        let max = if is_auth { limits.auth_line() } else { limits.command_line() };
        match self.scanner.scan(data, max) {
            Scan::Partial => {
                if data.is_empty() {
                    self.recv.shrink();
                }
                self.blocked()
            }
            Scan::TooLong => {
                self.reply_line_too_long();
                self.discard_rest_of_line();
                None
            }
            Scan::Line(line) => self.command_line(line, is_auth),
        }
    }

    fn discard_line(&mut self) -> Option<Step<Event, ServerError>> {
        let State::Discarding(dropped) = self.state else { return None };
        let (n, ended) = self.scanner.discard(self.recv.data());
        self.recv.consume_secret(n);
        if ended {
            self.await_command();
            return None;
        }
        if dropped + n > MAX_LINE_DISCARD {
            self.close(Err(ServerError::Protocol(Stage::Command)));
            return None;
        }
        self.state = State::Discarding(dropped + n);
        self.blocked()
    }

    /// The embedder dropped a token, or took too long: the client gets a temporary failure.
    pub(super) fn abandon_question(&mut self) {
        const NOT_ANSWERED: Refusal = Refusal::LOCAL_ERROR;
        match &self.state {
            State::Asked(Asked::Connected) => {
                self.answer_connected(
                    Refusal::from_static(421, (4, 3, 0), "local error, try again later").into(),
                );
            }
            State::Asked(Asked::Hello { .. }) => self.answer_hello(NOT_ANSWERED.into()),
            State::Asked(Asked::Mail(_)) => self.answer_mail(NOT_ANSWERED.into()),
            State::Asked(Asked::Recipient) => self.answer_recipient(NOT_ANSWERED.into()),
            State::Asked(Asked::Data | Asked::Chunk { .. }) => self.answer_message(NOT_ANSWERED.into()),
            State::Asked(Asked::MessageEnd) => self.answer_message_end(NOT_ANSWERED.into()),
            State::Asked(Asked::Sasl) => self.answer_sasl(sasl::Answer::Unavailable),
            State::Asked(Asked::Verify { .. }) => {
                self.answer_verify(super::VerifyAnswer::Refuse(NOT_ANSWERED))
            }
            State::Asked(Asked::Etrn) => self.answer_etrn(NOT_ANSWERED.into()),
            State::Asked(Asked::Atrn) => self.answer_atrn(NOT_ANSWERED.into()),
            State::Asked(Asked::Xclient(_)) => self.answer_xclient(NOT_ANSWERED.into()),
            State::Asked(Asked::Xforward) => self.answer_xforward(NOT_ANSWERED.into()),
            _ => {}
        }
    }

    fn release_held(&mut self) {
        self.timers.clear(Timer::Hold as usize);
        self.send.push(&self.held);
        self.held = Vec::new();
    }
}

/// Without what was received or is to be sent, which may hold a password or a message.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("state", &self.state)
            .field("session", &self.session)
            .field("counters", &self.counters)
            .field("recv", &self.recv)
            .field("send", &self.send)
            .finish_non_exhaustive()
    }
}

impl Connection for Server {
    type Event = Event;
    type Error = ServerError;

    fn io(&mut self) -> Io<'_> {
        let reads = self.closed.is_none()
            && !self.eof
            && !matches!(self.state, State::ImplicitTls | State::StartTls | State::Turned);
        let want = match self.state {
            _ if !reads => 0,
            State::Proxy => ProxyHeader::missing(self.recv.data()),
            _ => usize::MAX,
        };
        let recv = if want == 0 { &mut [][..] } else { self.recv.spare() };
        let want = want.min(recv.len());
        Io { recv: &mut recv[..want], send: self.send.data() }
    }

    fn received(&mut self, n: usize, now: Instant) {
        self.now = now;
        if n == 0 {
            self.eof = true;
            return;
        }
        self.recv.filled(n);
        if matches!(self.state, State::Body(_)) {
            self.window_bytes += n as u64;
            self.set_timer(Timer::Wait, self.config.timeouts.data_block);
        }
    }

    fn sent(&mut self, n: usize, now: Instant) {
        self.now = now;
        self.send.sent(n);
        if self.send.is_empty() {
            self.timers.clear(Timer::Send as usize);
            // A client's time begins when it has its reply.
            match self.state {
                State::Command | State::Response => {
                    self.set_timer(Timer::Wait, self.config.timeouts.command);
                    self.send.shrink();
                }
                State::Body(_) => {
                    self.set_timer(Timer::Wait, self.config.timeouts.data_block);
                    self.set_timer(Timer::Rate, self.config.timeouts.rate_window);
                }
                _ => {}
            }
        } else {
            self.set_timer(Timer::Send, self.config.timeouts.send);
        }
    }

    fn poll(&mut self) -> Step<Event, ServerError> {
        if self.lane.take_dropped() {
            self.abandon_question();
        }
        let step = loop {
            if let Some(event) = self.queued.take() {
                break Step::Event(event);
            }
            if !self.held.is_empty() {
                if self.timers.at(Timer::Hold as usize).is_some_and(|due| self.now < due) {
                    break Step::Blocked;
                }
                self.release_held();
            }
            if let Some(result) = self.closed {
                break Step::Close(result);
            }
            if self.send.is_high() {
                break Step::Blocked;
            }
            if let Some(step) = self.advance() {
                break step;
            }
        };
        if !self.send.is_empty() && self.timers.at(Timer::Send as usize).is_none() {
            self.set_timer(Timer::Send, self.config.timeouts.send);
        }
        step
    }

    fn deadline(&self) -> Option<Instant> {
        if self.closed.is_some() && self.held.is_empty() {
            return self.timers.at(Timer::Send as usize);
        }
        self.timers.earliest()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        const WAIT: usize = Timer::Wait as usize;
        const RATE: usize = Timer::Rate as usize;
        const SEND: usize = Timer::Send as usize;
        const HOLD: usize = Timer::Hold as usize;
        while let Some(expired) = self.timers.take_expired(now) {
            match expired {
                SEND => {
                    self.send.purge();
                    self.close(Err(ServerError::SendTimeout));
                }
                HOLD => self.release_held(),
                // While a reply is held, or the peer takes none, it is not the peer's turn.
                WAIT | RATE if self.closed.is_some() => {}
                WAIT if self.awaits_peer() && !(self.held.is_empty() && self.send.is_empty()) => {
                    self.set_timer(Timer::Wait, self.config.timeouts.command);
                }
                WAIT => {
                    let greeting = matches!(self.state, State::Greeting);
                    self.wait_is_over();
                    if greeting {
                        break;
                    }
                }
                _ => self.rate_window_is_over(),
            }
        }
    }

    fn upgraded(&mut self, layer: LayerInfo, now: Instant) {
        self.now = now;
        let LayerInfo::Tls(info) = layer else { return };
        // RFC 3207 §4.2: nothing that came in plain text counts.
        self.recv.purge();
        self.scanner.reset();
        self.session.tls = Some(Box::new(info));
        match self.state {
            State::StartTls => {
                self.session.hello = None;
                self.session.extended = false;
                self.session.identity = None;
                self.await_command();
            }
            State::ImplicitTls => {
                self.state = State::Connect;
                self.set_timer(Timer::Wait, self.config.timeouts.command);
            }
            _ => {}
        }
    }
}
