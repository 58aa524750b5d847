//! [`Client`]: the machine, its phases, and the [`Connection`] contract.

use super::envelope::Offer;
use super::login::Login;
use super::replies::{Channel, Expect};
use super::transaction::{Pumped, Transfer};
use super::{ClientConfig, ClientError, Dropped, Event, SendError, Stage, TlsPolicy, Transaction};
use crate::types::{Capabilities, Command, Reply, Verb};
use core::fmt;
use mail_wire::sasl::Mechanism;
use mail_wire::{Connection, Io, Layer, LayerInfo, Step, TlsInfo};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// An SMTP or LMTP client on one connection. See the [module docs](super).
pub struct Client {
    pub(super) config: Arc<ClientConfig>,
    pub(super) random: [u8; Client::RANDOM],
    pub(super) channel: Channel,
    pub(super) phase: Phase,
    /// The transaction behind the one in [`Phase::Transfer`], of which the whole message was given to us.
    next: Option<Box<Transfer>>,
    pub(super) events: VecDeque<Event>,
    pub(super) session: Session,
}

/// What is going on.
pub(super) enum Phase {
    /// TLS goes on before the first byte.
    ImplicitTls,
    /// From the greeting to the last reply before [`Event::Ready`].
    Login(Box<Login>),
    /// STARTTLS was accepted, TLS goes on.
    StartTls(Box<Login>),
    Idle,
    /// The reply to a command outside of transactions is awaited.
    Command,
    Transfer(Box<Transfer>),
    Quitting,
    /// ATRN was accepted.
    Turned,
    Closed(Result<(), ClientError>),
}

/// What is known of the server and has been done with it.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) greeting: Option<Reply>,
    pub(super) capabilities: Capabilities,
    pub(super) tls: Option<Box<TlsInfo>>,
    pub(super) authenticated: Option<Mechanism>,
    /// How many SASL exchanges were begun.
    pub(super) exchanges: u8,
    transactions: u32,
    /// Domains of recipients, where the server limits their number.
    domains: HashSet<Box<str>>,
}

impl Client {
    /// How many random bytes [`new`](Self::new) takes: a nonce for each SCRAM mechanism.
    pub const RANDOM: usize = 72;

    /// A client at the start of a connection, which begins at `now`.
    ///
    /// `random` must come from a cryptographic random source and be used for one connection only; without credentials
    /// it is not looked at.
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
            next: None,
            events: VecDeque::new(),
            session: Session::default(),
        }
    }

    /// What the server offered in its latest reply to EHLO or LHLO; nothing before that, or after HELO.
    pub fn capabilities(&self) -> &Capabilities {
        &self.session.capabilities
    }

    /// The server's greeting.
    pub fn greeting(&self) -> Option<&Reply> {
        self.session.greeting.as_ref()
    }

    /// Facts of the TLS session, where there is one.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.session.tls.as_deref()
    }

    /// The mechanism by which the client has logged in.
    pub fn authenticated(&self) -> Option<Mechanism> {
        self.session.authenticated
    }

    /// Whether nothing is under way, so that a transaction or command may begin.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether a transaction may begin: the client is [idle](Self::is_idle), or the message of the transaction before
    /// is [finished](Self::finish_body), and with PIPELINING the next envelope may follow it at once (RFC 2920 §3.1).
    pub fn can_send(&self) -> bool {
        let follows = matches!(&self.phase, Phase::Transfer(transfer) if transfer.lets_follow());
        self.is_idle() || (follows && self.next.is_none())
    }

    /// Begins a transaction: the envelope is on its way after the next [`poll`](Connection::poll), and
    /// [`Event::Body`] asks for the message.
    ///
    /// The next may begin at its [`Event::Sent`], or, to save a round trip, as soon as its message is finished, if
    /// [`can_send`](Self::can_send) says so: not behind BDAT, and no more than one. All events of the first come before
    /// those of the second. If the connection ends before the [`Event::Sent`] of the first, the second was not accepted.
    ///
    /// Gives what was left out because the server does not offer it.
    ///
    /// # Errors
    ///
    /// If the client [cannot](Self::can_send), or the server is known not to take such a message. Nothing is sent then.
    pub fn send(&mut self, mut transaction: Transaction) -> Result<Vec<Dropped>, SendError> {
        if !self.can_send() {
            return Err(SendError::Busy);
        }
        let offer = Offer {
            capabilities: &self.session.capabilities,
            tls: self.session.tls.is_some(),
            chunking: self.config.chunking,
        };
        let dropped = offer.fit(&mut transaction)?;
        self.session.count(&transaction)?;
        let transfer = Transfer::new(transaction, &self.config, &self.session.capabilities);
        if self.is_idle() {
            self.phase = Phase::Transfer(Box::new(transfer));
        } else {
            self.next = Some(Box::new(transfer));
        }
        Ok(dropped)
    }

    pub(super) fn stage(&self) -> Stage {
        match (&self.phase, self.channel.awaits()) {
            (_, Some(expect)) => expect.stage(),
            (Phase::ImplicitTls | Phase::StartTls(_), None) => Stage::Connect,
            (Phase::Transfer(transfer), None) => transfer.stage(),
            (_, None) => Stage::Idle,
        }
    }

    /// Ends the connection: nothing more is sent or read.
    pub(super) fn fail(&mut self, error: ClientError) {
        let (mut error, message_left) = (error, !self.channel.holds_message());
        self.next = None;
        if let Phase::Transfer(mut transfer) = core::mem::replace(&mut self.phase, Phase::Closed(Ok(()))) {
            if transfer.is_uncertain() && message_left {
                error = ClientError::Uncertain { cause: Box::new(error) };
            }
            self.events.extend(transfer.settled());
        }
        self.channel.purge();
        self.phase = Phase::Closed(Err(error));
    }

    /// Ends the connection with a word of parting, where the server is in step and only we do not want to go on.
    pub(super) fn give_up(&mut self, error: ClientError) {
        self.fail(error);
        Command::Quit.encode(self.channel.send.tail());
    }

    /// Ends the connection in order.
    fn finish(&mut self) {
        self.channel.purge();
        self.phase = Phase::Closed(Ok(()));
    }

    pub(super) fn fail_on<T: Default>(&mut self, result: Result<T, ClientError>) -> T {
        result.unwrap_or_else(|error| {
            self.fail(error);
            T::default()
        })
    }

    /// Deals with the next reply. Whether there was one.
    fn read(&mut self) -> bool {
        if self.channel.recv.data().is_empty() {
            return false;
        }
        let stage = self.stage();
        match self.channel.reply(&self.config, stage) {
            Ok(None) => false,
            Ok(Some(reply)) => {
                self.on_reply(stage, reply);
                true
            }
            Err(error) => {
                self.fail(error);
                true
            }
        }
    }

    fn on_reply(&mut self, stage: Stage, reply: Reply) {
        // RFC 5321 §3.8: 421 may answer any command, and come without one.
        if reply.code().get() == 421 {
            return self.on_shutdown(stage, reply);
        }
        let Some(expect) = self.channel.met() else { return self.on_unsolicited(stage, reply) };
        match expect {
            Expect::Quit => self.finish(),
            Expect::Command(verb) => self.on_command_reply(verb, reply),
            Expect::Greeting | Expect::Hello(_) | Expect::StartTls | Expect::Auth | Expect::AuthCancel => {
                self.on_login_reply(expect, reply);
            }
            Expect::Mail
            | Expect::Rcpt(_)
            | Expect::Data
            | Expect::Chunk
            | Expect::Message
            | Expect::EmptyMessage
            | Expect::Reset => {
                let Phase::Transfer(transfer) = &mut self.phase else { return };
                let pumped = transfer.on_reply(expect, reply, &mut self.channel);
                self.on_pumped(pumped);
            }
        }
    }

    fn on_shutdown(&mut self, stage: Stage, reply: Reply) {
        match &mut self.phase {
            Phase::Quitting => return self.finish(),
            Phase::Idle => return self.fail(ClientError::IdleClosed { reply: Some(reply) }),
            // The server answers, if not as hoped: nothing is uncertain.
            Phase::Transfer(transfer) => transfer.refuse(stage, &reply),
            _ => {}
        }
        self.fail(ClientError::Shutdown { stage, reply });
    }

    fn on_unsolicited(&mut self, stage: Stage, reply: Reply) {
        match &mut self.phase {
            // Servers that run out of space or patience say so in the middle of a message.
            Phase::Transfer(transfer) if stage == Stage::Body && reply.code().class() >= 4 => {
                transfer.refuse(Stage::Message, &reply);
                self.fail(ClientError::EarlyReply { reply });
            }
            _ => self.fail(ClientError::Unsolicited { stage }),
        }
    }

    /// Sends what may go out. Whether anything changed.
    fn pump(&mut self) -> bool {
        let Phase::Transfer(transfer) = &mut self.phase else { return false };
        let pumped = match &mut self.next {
            Some(next) => next.pump_behind(&mut self.channel),
            None => transfer.pump(&mut self.channel),
        };
        self.on_pumped(pumped)
    }

    fn on_pumped(&mut self, pumped: Result<Pumped, ClientError>) -> bool {
        match pumped {
            Ok(Pumped::Nothing) => return false,
            Ok(Pumped::Progress) => {}
            Ok(Pumped::Event(event)) => self.events.push_back(event),
            Ok(Pumped::Over(event)) => {
                self.events.extend(event);
                let next = self.next.take().map_or(Phase::Idle, Phase::Transfer);
                if let Phase::Transfer(mut transfer) = core::mem::replace(&mut self.phase, next) {
                    self.events.extend(transfer.last_event());
                }
                self.channel.shrink();
            }
            Err(error) => self.fail(error),
        }
        true
    }

    /// The peer sends no more, and all that it sent is dealt with.
    fn on_end(&mut self) {
        match self.phase {
            // RFC 5321 §4.1.1.10 wants a 221 first; many do not wait for it to be read.
            Phase::Quitting => self.finish(),
            Phase::Idle => self.fail(ClientError::IdleClosed { reply: None }),
            _ => {
                let stage = self.stage();
                self.fail(ClientError::Lost { stage });
            }
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

impl Session {
    /// Counts a transaction in, unless one of the server's limits for a session is met (RFC 9422 §4).
    fn count(&mut self, transaction: &Transaction) -> Result<(), SendError> {
        let limits = self.capabilities.limits;
        if let Some(limit) = limits.mail_max.filter(|limit| self.transactions >= *limit) {
            return Err(SendError::SessionSpent { limit });
        }
        if let Some(limit) = limits.rcpt_domain_max {
            let domains = transaction.recipients.iter().filter_map(|(to, _)| to.mailbox());
            let fresh: HashSet<Box<str>> = domains
                .map(|mailbox| mailbox.domain().to_ascii_lowercase().into_boxed_str())
                .filter(|domain| !self.domains.contains(domain))
                .collect();
            if (self.domains.len() + fresh.len()) as u64 > u64::from(limit) {
                return Err(SendError::TooManyDomains { limit });
            }
            self.domains.extend(fresh);
        }
        self.transactions = self.transactions.saturating_add(1);
        Ok(())
    }
}

impl Connection for Client {
    type Event = Event;
    type Error = ClientError;

    fn io(&mut self) -> Io<'_> {
        let reads = !self.channel.ended
            && !matches!(
                self.phase,
                Phase::ImplicitTls | Phase::StartTls(_) | Phase::Turned | Phase::Closed(_)
            );
        let recv = if reads { self.channel.recv.spare() } else { &mut [] };
        Io { recv, send: self.channel.send.data() }
    }

    fn received(&mut self, n: usize, now: Instant) {
        self.channel.now = now;
        if n == 0 {
            self.channel.ended = true;
        } else {
            self.channel.recv.filled(n);
        }
    }

    fn sent(&mut self, n: usize, now: Instant) {
        self.channel.sent(n, now);
    }

    fn poll(&mut self) -> Step<Event, ClientError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            match &self.phase {
                Phase::Closed(result) => return Step::Close(result.clone()),
                Phase::ImplicitTls | Phase::StartTls(_) => return Step::Upgrade(Layer::Tls),
                Phase::Turned => return Step::Blocked,
                _ => {}
            }
            if self.read() {
                continue;
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
            Phase::ImplicitTls | Phase::StartTls(_) | Phase::Turned | Phase::Closed(_) => None,
            _ => self.channel.deadline(&self.config.timeouts).map(|(at, _)| at),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.channel.now = now;
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        if matches!(self.phase, Phase::Quitting) {
            return self.finish();
        }
        let Some((_, after)) = self.channel.deadline(&self.config.timeouts) else { return };
        let stage = if self.channel.holds_message() { self.stage().while_sending() } else { self.stage() };
        self.fail(ClientError::Timeout { stage, after });
    }

    /// # Panics
    ///
    /// If TLS was neither asked for by [`Step::Upgrade`] nor put on before the first byte.
    fn upgraded(&mut self, layer: LayerInfo, now: Instant) {
        self.channel.now = now;
        let LayerInfo::Tls(info) = layer else { return };
        let early = self.channel.awaits() == Some(Expect::Greeting) && self.channel.recv.data().is_empty();
        let login = match core::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::StartTls(login) => Some(login),
            Phase::ImplicitTls => None,
            Phase::Login(_) if early => None,
            _ => panic!("TLS was put on a connection in mid-protocol, unasked"),
        };
        // RFC 3207 §4.2: nothing that was learnt in plain text counts.
        self.channel.purge();
        self.session.capabilities = Capabilities::default();
        self.session.tls = Some(Box::new(info));
        match login {
            Some(login) => {
                self.phase = Phase::Login(login);
                self.say_hello(self.first_hello());
            }
            None => {
                self.phase = Phase::Login(Box::default());
                self.channel.expect_next(Expect::Greeting);
            }
        }
    }
}

impl Stage {
    /// What is waited for while bytes are still to leave.
    fn while_sending(self) -> Self {
        if self == Stage::Message { Stage::Body } else { self }
    }
}

/// Whether a reply to EHLO says that the server knows HELO only (RFC 5321 §3.2).
pub(super) fn knows_helo_only(verb: Verb, reply: &Reply) -> bool {
    verb == Verb::Ehlo && matches!(reply.code().get(), 500 | 502)
}
