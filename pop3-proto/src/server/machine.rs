//! [`Server`]: its state, its buffers, its timers, and the loop that turns bytes into events.

use super::config::{ServerConfig, TransportLogin};
use super::event::{Event, Identity, Question, ServerError, Stage, sealed::Seal};
use super::language::Phrase;
use super::login::Attempt;
use super::order::Phase;
use super::sending::Sending;
use super::session::{Peer, Session};
use super::transaction::Listing;
use super::{Language, Part};
use crate::codec::encode_reply;
use crate::types::{ApopTimestamp, MessageNumber, Refusal, Status};
use core::fmt;
use core::time::Duration;
use mail_wire::line::{LineScanner, Scan};
use mail_wire::{
    AuthenticatedPeer, Connection, Io, Lane, Layer, LayerInfo, Pending, ProxyHeader, RecvBuffer, ReplyText,
    Secret, SendBuffer, Step, Timers, TlsInfo,
};
use std::sync::Arc;
use std::time::Instant;

/// How many bytes of a command line that is too long are dropped before the connection is closed instead.
const MAX_LINE_DISCARD: usize = 64 << 10;

/// The server's side of a POP3 connection. See the [module docs](super).
pub struct Server {
    pub(super) config: Arc<ServerConfig>,
    pub(super) recv: RecvBuffer,
    pub(super) send: SendBuffer,
    pub(super) scanner: LineScanner,
    pub(super) lane: Lane,
    pub(super) state: State,
    pub(super) session: Session,
    pub(super) counters: Counters,
    /// The login that is under way.
    pub(super) login: Option<Attempt>,
    /// Where nonces come from.
    pub(super) entropy: Secret,
    /// An event that follows the one that was just told.
    pub(super) queued: Option<Event>,
    /// A reply that is sent later, see [`Timer::Hold`].
    held: Vec<u8>,
    pub(super) closed: Option<Result<(), ServerError>>,
    eof: bool,
    shutting_down: bool,
    pub(super) timers: Timers<4>,
    /// The time that was last told.
    pub(super) now: Instant,
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
    /// A question is open.
    Asked(Asked),
    /// A command line is to come.
    Command,
    /// A command line that is too long is being dropped; so many bytes so far.
    Discarding(usize),
    /// A SASL response is to come.
    Response,
    /// A message is being sent.
    Sending(Sending),
    /// A listing is being sent.
    Listing(Listing),
    /// The reply to STLS is on its way; the driver puts TLS on the transport.
    StartTls,
}

/// The open question, with what is needed to go on.
#[derive(Debug)]
pub(super) enum Asked {
    Connected,
    Login,
    Open,
    UniqueIds(Option<MessageNumber>),
    Retrieve { octets: u64, part: Part },
    Commit,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) errors: u32,
    pub(super) login_commands: u32,
    pub(super) auth_failures: u32,
    /// Nonces made, so that each is another.
    pub(super) nonces: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Timer {
    /// For what the state waits for.
    Wait,
    /// For the peer to take what is being sent.
    Send,
    /// Until the held reply is sent.
    Hold,
    /// For the login.
    Login,
}

impl Server {
    /// How many random bytes a server is handed.
    pub const RANDOM: usize = 32;

    /// A server for one connection. The random bytes must be fresh for each connection, from a cryptographic source:
    /// nonces and the timestamp of the greeting are derived from them.
    pub fn new(config: Arc<ServerConfig>, peer: Peer, random: [u8; Self::RANDOM], now: Instant) -> Self {
        let state = if config.proxy_protocol { State::Proxy } else { Self::after_proxy(&config) };
        let mut server = Self {
            recv: RecvBuffer::new(config.limits.receive_buffer()),
            send: SendBuffer::new(config.limits.send_bytes()),
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
            config,
        };
        server.set_timer(Timer::Wait, server.config.timeouts.handshake());
        server
    }

    fn after_proxy(config: &ServerConfig) -> State {
        if config.implicit_tls { State::ImplicitTls } else { State::Connect }
    }

    /// Sets the timestamp of the greeting, in place of one that is made of the random bytes: for what no other connection ever had
    /// and nobody can foretell. Of no effect where [APOP](ServerConfig::apop) is off, or once the client is greeted.
    pub fn set_apop_timestamp(&mut self, timestamp: ApopTimestamp) {
        if self.config.apop && !self.session.greeted {
            self.session.timestamp = Some(timestamp);
        }
    }

    /// Answers a question, and says whether that came in time: an answer that comes after a time-out does nothing.
    pub fn answer<Q: Question>(&mut self, pending: Pending<Q>, answer: Q::Answer) -> bool {
        let in_time = self.lane.settle(pending);
        if in_time {
            Q::apply(self, answer, Seal);
        }
        in_time
    }

    /// Grants a question that is granted or refused. See [`answer`](Self::answer).
    pub fn accept<Q: Question<Answer = Result<(), Refusal>>>(&mut self, pending: Pending<Q>) -> bool {
        self.answer(pending, Ok(()))
    }

    /// Refuses a question. See [`answer`](Self::answer).
    pub fn refuse<T, Q: Question<Answer = Result<T, Refusal>>>(
        &mut self,
        pending: Pending<Q>,
        refusal: Refusal,
    ) -> bool {
        self.answer(pending, Err(refusal))
    }

    /// Ends the connection as soon as no reply is under way. As with a time-out, nothing is removed and nothing is said: a client
    /// would take it for the reply to its next command.
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

    /// What is known of TLS, once it is on.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.session.tls.as_deref()
    }

    /// Who the client has proved to be to a layer below, before the greeting.
    pub fn transport(&self) -> Option<&AuthenticatedPeer> {
        self.session.transport.as_deref()
    }

    /// Who has logged in.
    pub fn identity(&self) -> Option<&Identity> {
        self.session.identity.as_deref()
    }

    /// How far the session has come.
    pub fn phase(&self) -> Phase {
        self.session.phase()
    }

    /// Whether the client has asked for UTF8: only then may messages be sent that are more than ASCII in their headers (RFC 6856
    /// §2.1). [`Refusal::NEEDS_UTF8`] refuses them otherwise.
    pub fn is_utf8(&self) -> bool {
        self.session.utf8
    }

    /// The language that LANG has chosen.
    pub fn language(&self) -> Option<&Language> {
        self.config.languages.get(self.session.language?)
    }

    /// Bytes of memory that the buffers and the maildrop's sizes, marks and unique-ids take.
    pub fn buffered(&self) -> usize {
        let maildrop = self.session.opened.as_ref().map_or(0, |opened| opened.capacity());
        self.recv.capacity() + self.send.capacity() + self.held.capacity() + maildrop
    }

    /// Opens a question and waits for its answer.
    pub(super) fn ask<Q: Question>(&mut self, asked: Asked) -> Pending<Q> {
        self.state = State::Asked(asked);
        self.set_timer(Timer::Wait, self.config.timeouts.answer());
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
        self.set_timer(Timer::Wait, self.config.timeouts.autologout());
    }

    pub(super) fn await_tls(&mut self) {
        self.state = State::StartTls;
        self.set_timer(Timer::Wait, self.config.timeouts.handshake());
    }

    /// Ends the connection once all is sent. Of a maildrop that is open, nothing is removed.
    pub(super) fn close(&mut self, result: Result<(), ServerError>) {
        if self.closed.is_none() {
            self.closed = Some(result);
            self.lane.cancel();
            self.login = None;
        }
    }

    /// Keeps back what was written since `from` until `due`. Nothing is read meanwhile.
    pub(super) fn hold_since(&mut self, from: usize, due: Instant) {
        if due > self.now {
            self.held = self.send.tail().split_off(from);
            self.timers.set(Timer::Hold as usize, due);
        }
    }

    /// Drops the line that turned out too long, as it comes.
    pub(super) fn discard_rest_of_line(&mut self) {
        self.state = State::Discarding(0);
    }

    pub(super) fn set_timer(&mut self, timer: Timer, after: Duration) {
        self.timers.set(timer as usize, self.now + after);
    }

    /// Whether it is for the peer to say something.
    fn awaits_peer(&self) -> bool {
        matches!(self.state, State::Command | State::Discarding(_) | State::Response)
    }

    pub(super) fn stage(&self) -> Stage {
        match &self.state {
            State::ImplicitTls | State::StartTls => Stage::Tls,
            State::Asked(Asked::Commit) => Stage::Update,
            _ if !self.session.greeted => Stage::Connect,
            _ if self.session.opened.is_some() => Stage::Transaction,
            _ => Stage::Authorization,
        }
    }

    /// One step of the state; `None` to go on with the next.
    fn advance(&mut self) -> Option<Step<Event, ServerError>> {
        match &mut self.state {
            State::Command => self.read_command(),
            State::Sending(_) => self.feed(),
            State::Listing(_) => self.continue_listing(),
            State::Asked(_) => Some(Step::Blocked),
            _ if self.shutting_down => {
                self.close(Ok(()));
                None
            }
            State::Proxy => self.read_proxy_header(),
            State::ImplicitTls | State::StartTls => Some(Step::Upgrade(Layer::Tls)),
            State::Connect => self.connect(),
            State::Discarding(_) => self.discard_line(),
            State::Response => self.read_response(),
        }
    }

    fn read_proxy_header(&mut self) -> Option<Step<Event, ServerError>> {
        match ProxyHeader::parse(self.recv.data()) {
            Ok(None) => return self.blocked(),
            Err(error) => {
                self.close(Err(ServerError::Proxy(error)));
                return None;
            }
            Ok(Some((header, len))) => {
                self.recv.consume(len);
                // Who the proxy is says nothing of whom it speaks for.
                self.session.peer.identity = None;
                if let ProxyHeader::Proxied(addresses) = header {
                    self.session.peer.address = addresses.source;
                    self.session.peer.local = Some(addresses.destination);
                }
            }
        }
        self.state = Self::after_proxy(&self.config);
        self.set_timer(Timer::Wait, self.config.timeouts.handshake());
        None
    }

    fn connect(&mut self) -> Option<Step<Event, ServerError>> {
        if self.config.transport_login != TransportLogin::Ignore && self.session.transport.is_none() {
            self.err(Phrase::BadCredentials);
            self.close(Err(ServerError::NoTransportIdentity));
            return None;
        }
        let pending = self.ask(Asked::Connected);
        Some(Step::Event(Event::Connected(pending)))
    }

    pub(super) fn answer_connected(&mut self, answer: Result<(), Refusal>) {
        self.asked();
        match answer {
            Err(refusal) => {
                self.refuse_with(&refusal);
                self.close(Ok(()));
            }
            Ok(()) if self.config.transport_login == TransportLogin::Preauthenticated => {
                if let Some(Step::Event(event)) = self.transport_login(None) {
                    self.queued = Some(event);
                }
            }
            Ok(()) => {
                if self.config.apop && self.session.timestamp.is_none() {
                    self.session.timestamp = self.make_timestamp();
                }
                self.greet();
            }
        }
    }

    /// Sends the greeting and begins the session.
    pub(super) fn greet(&mut self) {
        // RFC 2449 §3: no angle bracket but those of the timestamp.
        let banner = self.config.greeting.as_str().replace('<', "(").replace('>', ")");
        let text = match self.session.timestamp.as_ref() {
            None => banner,
            Some(timestamp) => {
                let room = ReplyText::MAX - timestamp.as_str().len() - 1;
                format!("{} {timestamp}", &banner[..banner.floor_char_boundary(room)])
            }
        };
        encode_reply(self.send.tail(), Status::Ok, None, &ReplyText::sanitized(&text));
        self.session.greeted = true;
        if self.session.opened.is_none() {
            self.set_timer(Timer::Login, self.config.timeouts.login());
        }
        self.await_command();
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
        if self.shutting_down {
            self.close(Ok(()));
            return None;
        }
        let data = self.recv.data();
        let limits = &self.config.limits;
        // RFC 5034 §4: the responses of AUTH have a limit of their own, and an initial one is no shorter.
        let is_auth = self.session.opened.is_none()
            && data.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        let max = if is_auth { limits.auth_line() } else { limits.command_line() };
        match self.scanner.scan(data, max) {
            Scan::Line(line) => self.command_line(line),
            Scan::Partial => {
                if data.is_empty() {
                    self.recv.shrink();
                }
                self.blocked()
            }
            Scan::TooLong => {
                self.error(Phrase::LineTooLong);
                self.discard_rest_of_line();
                None
            }
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
            self.close(Err(ServerError::Protocol(self.stage())));
            return None;
        }
        self.state = State::Discarding(dropped + n);
        self.blocked()
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
            .field("peer", &self.session.peer)
            .field("phase", &self.session.phase())
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
        let reads =
            self.closed.is_none() && !self.eof && !matches!(self.state, State::ImplicitTls | State::StartTls);
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
    }

    fn sent(&mut self, n: usize, now: Instant) {
        self.now = now;
        self.send.sent(n);
        if self.send.is_empty() {
            self.timers.clear(Timer::Send as usize);
            // A client's time begins when it has its reply.
            if matches!(self.state, State::Command | State::Response) {
                self.set_timer(Timer::Wait, self.config.timeouts.autologout());
                self.send.shrink();
            }
        } else {
            self.set_timer(Timer::Send, self.config.timeouts.send());
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
            self.set_timer(Timer::Send, self.config.timeouts.send());
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
        const SEND: usize = Timer::Send as usize;
        const HOLD: usize = Timer::Hold as usize;
        while let Some(expired) = self.timers.take_expired(now) {
            match expired {
                SEND => {
                    self.send.purge();
                    self.close(Err(ServerError::SendTimeout));
                }
                // While a reply is held, or the peer takes none, it is not the peer's turn.
                WAIT if self.closed.is_some() => {}
                WAIT if self.awaits_peer() && !(self.held.is_empty() && self.send.is_empty()) => {
                    self.set_timer(Timer::Wait, self.config.timeouts.autologout());
                }
                WAIT => self.wait_is_over(),
                HOLD => self.release_held(),
                _ => self.login_is_overdue(),
            }
        }
    }

    fn upgraded(&mut self, layer: LayerInfo, now: Instant) {
        self.now = now;
        match (layer, &self.state) {
            (LayerInfo::Tls(info), State::ImplicitTls | State::StartTls | State::Connect) => {
                // RFC 2595 §4: nothing that came in plain text counts, and nothing that was to go in plain text goes now.
                self.recv.purge();
                self.send.purge();
                self.scanner.reset();
                self.session.tls = Some(Box::new(info));
                self.session.language = None;
                if matches!(self.state, State::StartTls) {
                    self.await_command();
                } else {
                    self.state = State::Connect;
                }
            }
            (LayerInfo::Authenticated(peer), State::ImplicitTls | State::Connect) => {
                self.session.transport = Some(Box::new(peer));
            }
            _ => {}
        }
    }
}
