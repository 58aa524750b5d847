//! [`Client`]: the machine, its phases, and the [`Connection`] contract.

use super::body::{Body, Found};
use super::channel::{Channel, Expect, reply_line};
use super::listing::{Listing, Read};
use super::login::Login;
use super::session::Session;
use super::{ClientConfig, ClientError, CommandId, Event, Request, Stage, TlsPolicy};
use crate::codec::LineKind;
use crate::types::{Command, Reply, Status};
use core::fmt;
use mail_wire::{Connection, Escaped, Io, Layer, LayerInfo, Step};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// A POP3 client on one connection. See the [module docs](super).
pub struct Client {
    pub(super) config: Arc<ClientConfig>,
    pub(super) random: [u8; Client::RANDOM],
    pub(super) channel: Channel,
    pub(super) phase: Phase,
    pub(super) reading: Reading,
    /// Commands that were submitted and not sent.
    pub(super) queue: VecDeque<(CommandId, Request)>,
    /// How many commands were submitted.
    pub(super) submitted: u64,
    pub(super) events: VecDeque<Event>,
    pub(super) session: Session,
}

/// What is going on.
pub(super) enum Phase {
    /// TLS goes on before the first byte.
    ImplicitTls,
    /// From the greeting to the last reply before [`Event::Ready`].
    Login(Box<Login>),
    /// STLS was accepted, TLS goes on.
    Stls(Box<Login>),
    Ready,
    /// No command is taken any more; QUIT leaves when the others are answered.
    Leaving,
    /// QUIT was sent.
    Quitting,
    Closed(Result<(), ClientError>),
}

/// What the next bytes are.
pub(super) enum Reading {
    /// The first line of a reply.
    Reply,
    Listing(Box<Listing>),
    Body(Box<Body>),
}

impl Client {
    /// How many random bytes [`new`](Self::new) takes: a nonce for each SCRAM mechanism.
    pub const RANDOM: usize = 72;
    /// Most commands that may wait: those in flight, and those that are not sent yet.
    pub const QUEUE: usize = 1000;

    /// A client at the start of a connection, which begins at `now`.
    ///
    /// `random` must come from a cryptographic random source and be used for one connection only; without credentials it is not
    /// looked at.
    pub fn new(config: impl Into<Arc<ClientConfig>>, random: [u8; Self::RANDOM], now: Instant) -> Self {
        let config = config.into();
        let mut channel = Channel::new(now);
        let phase = match config.tls {
            TlsPolicy::Implicit => Phase::ImplicitTls,
            TlsPolicy::Never | TlsPolicy::Opportunistic | TlsPolicy::Required => {
                channel.expect_next(Expect::Greeting);
                Phase::Login(Box::default())
            }
        };
        Self {
            config,
            random,
            channel,
            phase,
            reading: Reading::Reply,
            queue: VecDeque::new(),
            submitted: 0,
            events: VecDeque::new(),
            session: Session::default(),
        }
    }

    /// Whether the client is ready and nothing is under way or waits.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Ready) && self.channel.is_settled() && self.queue.is_empty()
    }

    pub(super) fn stage(&self) -> Stage {
        match (&self.reading, &self.phase) {
            (Reading::Listing(listing), _) => listing.stage(),
            (Reading::Body(body), _) => body.stage(),
            (Reading::Reply, Phase::ImplicitTls | Phase::Stls(_)) => Stage::Connect,
            (Reading::Reply, _) => self.channel.awaits().map_or(Stage::Idle, Expect::stage),
        }
    }

    pub(super) fn receiving(&self) -> Option<&Body> {
        match &self.reading {
            Reading::Body(body) => Some(body),
            _ => None,
        }
    }

    pub(super) fn receiving_mut(&mut self) -> Option<(&mut Body, &mut Channel)> {
        match &mut self.reading {
            Reading::Body(body) => Some((body, &mut self.channel)),
            _ => None,
        }
    }

    /// Ends the connection: nothing more is sent or read.
    pub(super) fn fail(&mut self, error: ClientError) {
        let mut error = error;
        // Without its line end QUIT is no command that the server could obey.
        let quit_left = matches!(self.phase, Phase::Quitting) && self.channel.send.is_empty();
        if quit_left && self.session.deleted > 0 && !matches!(error, ClientError::NotRemoved { .. }) {
            error = ClientError::Uncertain { cause: Box::new(error) };
        }
        self.close(Err(error));
    }

    /// Ends the connection with a word of parting, where the server is in step and only we do not want to go on.
    pub(super) fn give_up(&mut self, error: ClientError) {
        self.fail(error);
        Command::Quit.encode(self.channel.send.tail());
    }

    /// Ends the connection in order.
    fn finish(&mut self) {
        self.close(Ok(()));
    }

    fn close(&mut self, result: Result<(), ClientError>) {
        self.channel.purge();
        self.queue = VecDeque::new();
        self.reading = Reading::Reply;
        self.phase = Phase::Closed(result);
    }

    pub(super) fn fail_on<T: Default>(&mut self, result: Result<T, ClientError>) -> T {
        result.unwrap_or_else(|error| {
            self.fail(error);
            T::default()
        })
    }

    /// Deals with the next thing in the buffer. `None` if it is not whole.
    fn read(&mut self) -> Option<Option<Event>> {
        let read = match &mut self.reading {
            Reading::Reply => return self.read_reply().then_some(None),
            Reading::Listing(listing) => listing.read(&mut self.channel, &self.config),
            Reading::Body(body) => body.read(&mut self.channel, &self.config).map(|found| match found {
                Found::Nothing => Read::Nothing,
                Found::Content => Read::Event(Event::Body),
                Found::End => Read::End,
            }),
        };
        match read {
            Ok(Read::Nothing) => return None,
            Ok(Read::Line) => {}
            Ok(Read::Event(event)) => return Some(Some(event)),
            Ok(Read::End) => self.end_of_answer(|id, reply| Event::Done { id, reply }),
            Err(error) => self.fail(error),
        }
        Some(None)
    }

    /// A listing or a message is at its end.
    fn end_of_answer(&mut self, event: fn(CommandId, Reply) -> Event) {
        self.channel.met();
        match core::mem::replace(&mut self.reading, Reading::Reply) {
            Reading::Reply => {}
            Reading::Body(body) => self.events.push_back(event(body.id, body.reply)),
            Reading::Listing(listing) => {
                let id = listing.id;
                let reply = self.on_listing(*listing);
                self.events.extend(id.map(|id| event(id, reply)));
            }
        }
        self.settle();
    }

    /// Gives memory back where nothing is left to do.
    pub(super) fn settle(&mut self) {
        if self.channel.is_settled() && self.queue.is_empty() {
            self.channel.shrink();
            self.queue.shrink_to(16);
        }
    }

    /// Deals with the next first line of a reply. Whether there was one.
    fn read_reply(&mut self) -> bool {
        if self.channel.recv.data().is_empty() {
            return false;
        }
        let stage = self.stage();
        let line = match self.channel.line(&self.config, stage) {
            Ok(None) => return false,
            Ok(Some(line)) => line,
            Err(error) => {
                self.fail(error);
                return true;
            }
        };
        let text = self.channel.text(line);
        let parsed = reply_line(&self.config, text).map_err(|error| match (stage, text) {
            (Stage::Greeting, [b'+' | b'-', ..]) => ClientError::Malformed { stage, error },
            (Stage::Greeting, _) => ClientError::NotPop3 { greeting: cut(text) },
            _ => ClientError::Malformed { stage, error },
        });
        let parsed = parsed.map(|reply| match reply.kind() {
            LineKind::Challenge => Err(reply.rest().to_vec()),
            LineKind::Status(_) => Ok(reply.to_reply()),
        });
        self.channel.take(line);
        match parsed {
            Ok(Ok(Some(reply))) => self.on_reply(stage, reply),
            Ok(Err(challenge)) if self.channel.awaits() == Some(&Expect::Auth) => {
                self.channel.met();
                self.on_challenge(&challenge);
            }
            Ok(_) => self.fail(ClientError::UnexpectedChallenge { stage }),
            Err(error) => self.fail(error),
        }
        true
    }

    fn on_reply(&mut self, stage: Stage, reply: Reply) {
        match self.channel.awaits() {
            None if reply.status() == Status::Err && stage == Stage::Idle => {
                self.fail(ClientError::IdleClosed { reply: Some(reply) });
            }
            None => self.fail(ClientError::Unsolicited { stage }),
            Some(Expect::Command(id, request)) => {
                let (id, request) = (*id, request.clone());
                self.on_command_reply(id, request, reply);
            }
            Some(Expect::Quit) => {
                if reply.status() == Status::Err && self.session.deleted > 0 {
                    self.fail(ClientError::NotRemoved { reply });
                } else {
                    self.finish();
                }
            }
            Some(_) => self.on_login_reply(reply),
        }
    }

    /// Sends what may go out. Whether anything changed.
    fn pump(&mut self) -> bool {
        if !matches!(self.phase, Phase::Ready | Phase::Leaving) {
            return false;
        }
        if let Some((_, request)) = self.queue.front() {
            let may_follow = match self.channel.last() {
                None => true,
                Some(Expect::Command(_, before)) => {
                    self.may_pipeline() && before.pipelines() && request.pipelines()
                }
                Some(_) => false,
            };
            if !may_follow
                || self.channel.outstanding() >= self.config.window()
                || self.channel.send.is_high()
            {
                return false;
            }
            let Some((id, request)) = self.queue.pop_front() else { return false };
            let issued = self.channel.issue(&request.command(), Expect::Command(id, request));
            self.fail_on(issued);
            return true;
        }
        if matches!(self.phase, Phase::Leaving) && self.channel.is_settled() {
            self.phase = Phase::Quitting;
            let issued = self.channel.issue(&Command::Quit, Expect::Quit);
            self.fail_on(issued);
            return true;
        }
        false
    }

    fn may_pipeline(&self) -> bool {
        self.config.pipelining && self.capabilities().is_some_and(|offered| offered.pipelining)
    }

    /// The peer sends no more, and all that it sent is dealt with.
    fn on_end(&mut self) {
        if self.config.quirks.missing_end {
            let is_over = match &mut self.reading {
                Reading::Body(body) => !body.close(&mut self.channel),
                Reading::Listing(listing) => listing.id.is_some(),
                Reading::Reply => false,
            };
            if is_over {
                return self.end_of_answer(|id, reply| Event::Unterminated { id, reply });
            }
            if self.body().is_empty() {
                return self.on_lost();
            }
            return;
        }
        self.on_lost();
    }

    fn on_lost(&mut self) {
        let stage = self.stage();
        match self.phase {
            // Nothing hangs on the reply to QUIT then.
            Phase::Quitting if self.session.deleted == 0 => self.finish(),
            Phase::Ready | Phase::Leaving if stage == Stage::Idle && self.queue.is_empty() => {
                self.fail(ClientError::IdleClosed { reply: None });
            }
            _ => self.fail(ClientError::Lost { stage }),
        }
    }
}

/// Shows what is waited for, and neither buffers nor credentials.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("waits_for", &self.stage())
            .field("tls", &self.session.tls.is_some())
            .field("authenticated", &self.session.authenticated)
            .finish_non_exhaustive()
    }
}

impl Connection for Client {
    type Event = Event;
    type Error = ClientError;

    fn io(&mut self) -> Io<'_> {
        let reads = !self.channel.ended
            && !matches!(self.phase, Phase::ImplicitTls | Phase::Stls(_) | Phase::Closed(_));
        let recv = if reads { self.channel.recv.spare() } else { &mut [] };
        Io { recv, send: self.channel.send.data() }
    }

    fn received(&mut self, n: usize, now: Instant) {
        self.channel.received(n, now);
    }

    fn sent(&mut self, n: usize, now: Instant) {
        self.channel.sent(n, now);
    }

    fn poll(&mut self) -> Step<Event, ClientError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                self.channel.hold_clock();
                return Step::Event(event);
            }
            match &self.phase {
                Phase::Closed(result) => return Step::Close(result.clone()),
                Phase::ImplicitTls | Phase::Stls(_) => return Step::Upgrade(Layer::Tls),
                _ => {}
            }
            match self.read() {
                Some(Some(event)) => {
                    self.channel.hold_clock();
                    return Step::Event(event);
                }
                Some(None) => continue,
                None => {}
            }
            if self.channel.ended {
                self.on_end();
                continue;
            }
            if !self.pump() {
                return Step::Blocked;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            // The layer's own deadline is the driver's.
            Phase::ImplicitTls | Phase::Stls(_) | Phase::Closed(_) => None,
            // It is the embedder who is waited for.
            _ if self.receiving().is_some_and(Body::waits_for_embedder) => None,
            _ => self.channel.deadline(&self.config.timeouts).map(|(at, _)| at),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.channel.tick(now);
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        if matches!(self.phase, Phase::Quitting) && self.session.deleted == 0 {
            return self.finish();
        }
        let Some((_, after)) = self.channel.deadline(&self.config.timeouts) else { return };
        let stage = self.stage();
        self.fail(ClientError::Timeout { stage, after });
    }

    /// TLS, or an identity that a layer below has proved (KPOP).
    ///
    /// # Panics
    ///
    /// If TLS was neither asked for by [`Step::Upgrade`] nor put on before the first byte, or an identity comes later than that.
    fn upgraded(&mut self, layer: LayerInfo, now: Instant) {
        self.channel.tick(now);
        let early = self.channel.awaits() == Some(&Expect::Greeting) && self.channel.recv.data().is_empty();
        let info = match layer {
            LayerInfo::Tls(info) => info,
            LayerInfo::Authenticated(peer) => {
                assert!(
                    early || matches!(self.phase, Phase::ImplicitTls),
                    "an identity was told in mid-protocol"
                );
                self.session.below = Some(peer);
                return;
            }
            _ => return,
        };
        let login = match core::mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Stls(login) => Some(login),
            Phase::ImplicitTls => None,
            Phase::Login(_) if early => None,
            _ => panic!("TLS was put on a connection in mid-protocol, unasked"),
        };
        // RFC 2595 §4: nothing that was learnt in plain text counts.
        self.channel.purge();
        self.session.capabilities = None;
        self.session.listed = None;
        self.session.tls = Some(Box::new(info));
        match login {
            Some(login) => {
                self.phase = Phase::Login(login);
                self.ask_capabilities();
            }
            None => {
                self.phase = Phase::Login(Box::default());
                self.channel.expect_next(Expect::Greeting);
            }
        }
    }
}

/// The beginning of a line, to be shown.
fn cut(line: &[u8]) -> Box<str> {
    const SHOWN: usize = 60;
    match line.get(..SHOWN) {
        Some(start) if start.len() < line.len() => format!("{}...", Escaped(start)).into(),
        _ => Escaped(line).to_string().into(),
    }
}
