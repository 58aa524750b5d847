//! One connection: the events of the protocol machine, answered.

use std::ops::ControlFlow;
use std::sync::Arc;

use mail_wire::Pending;
use mail_wire::sasl::{Answer, Failure};
use maildrop::UserName;
use maildrop::store::{AnyMailbox, Mailbox, MessageReader, ready};
use pop3_proto::server::{
    Commit, Deleted, Event, Identity, LoginMethod, Open, Part, Question, Retrieve, Server, UniqueIdsWanted,
};
use pop3_proto::types::{MessageNumber, Refusal};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::ahead::Ahead;
use super::beginning::{Begun, begin};
use super::maildrops::Reader;
use super::tally::Tally;
use crate::config::WithoutUtf8;
use crate::driver::{Closed, Conn};
use crate::limits::ConnectionGuard;
use crate::office::faults::{Action, Stage, in_pop3};
use crate::office::session::{in_time, told};
use crate::office::shared::Shared;

/// Whether the connection goes on.
type Flow = ControlFlow<()>;

/// A connection being served.
pub(in super::super) struct Session {
    office: Arc<Shared>,
    conn: Conn<Server, TcpStream>,
    /// Keeps the connection counted while it lasts.
    guard: ConnectionGuard,
    /// Who has logged in.
    user: Option<UserName>,
    /// The user's mail, once it is open.
    mailbox: Option<Box<AnyMailbox>>,
    sending: Option<Sending>,
    ahead: Ahead,
    tally: Tally,
}

/// A message that is being sent.
struct Sending {
    number: MessageNumber,
    part: Part,
    reader: Reader,
    /// How much of what was read last has yet to be taken.
    left: usize,
    /// How much was taken in all.
    taken: u64,
    /// After how much a fault rule breaks it off.
    ends_at: Option<u64>,
}

impl Session {
    pub(in super::super) fn new(
        office: Arc<Shared>,
        conn: Conn<Server, TcpStream>,
        guard: ConnectionGuard,
    ) -> Self {
        Self {
            office,
            conn,
            guard,
            user: None,
            mailbox: None,
            sending: None,
            ahead: Ahead::default(),
            tally: Tally::default(),
        }
    }

    /// Serves the connection to its end.
    pub(in super::super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let (maildrops, asks_utf8) = (&self.office.maildrops, self.asks_utf8());
            let event = tokio::select! {
                biased;
                event = self.conn.next() => event,
                () = told(&mut stop) => {
                    self.conn.shutdown();
                    self.conn.next().await
                }
                () = self.ahead.idle(maildrops, self.mailbox.as_deref_mut(), asks_utf8), if self.sending.is_none() => {
                    continue;
                }
            };
            let flow = match event {
                Ok(event) => self.handle(event).await,
                Err(closed) => {
                    self.log_end();
                    match closed {
                        Closed::Done => debug!("connection closed"),
                        closed => info!(reason = %closed, "connection ended"),
                    }
                    return;
                }
            };
            if flow.is_break() {
                self.log_end();
                info!("connection dropped by a fault rule");
                return;
            }
        }
    }

    /// Tells what the session came to, if somebody had logged in.
    fn log_end(&self) {
        let Some(user) = &self.user else { return };
        let Tally { retrieved, octets, tops, removed, .. } = self.tally;
        info!(%user, retrieved, octets, tops, removed, "logged out");
    }

    async fn handle(&mut self, event: Event) -> Flow {
        match event {
            Event::Connected(pending) => {
                let client = self.conn.peer().address;
                debug!(%client, "connected");
                let room = self.guard.belongs_to(client.ip());
                let address = client.ip().to_string();
                if let Some(pending) = self.fault(pending, Stage::Connect, &address).await? {
                    self.conn.answer(pending, room.map_err(|_| Refusal::TOO_MANY_CONNECTIONS));
                }
            }
            Event::Login { question, pending, .. } => {
                let shown = self.conn.tls().and_then(|tls| tls.peer_identity.as_deref());
                let answer = self.office.authenticate(question, shown, self.conn.peer().address.ip());
                let answer = in_time(self.office.answer_timeout, answer).await;
                self.conn.answer(pending, answer.unwrap_or(Answer::Unavailable));
            }
            Event::LoginFailed { method, failure, user } => {
                // A name that nobody has may be a password in the wrong place.
                let user = user.as_deref().and_then(|name| self.office.users.find(name));
                let user = user.map_or("-", |user| user.as_str());
                info!(user, method = %shown(&method), reason = %failure, "login failed");
                if failure == Failure::Credentials {
                    self.office.penalties.failed(self.conn.peer().address.ip());
                }
            }
            Event::Open(identity, pending) => {
                self.office.penalties.succeeded(self.conn.peer().address.ip());
                if let Some(pending) = self.fault(pending, Stage::Maildrop, &identity.authzid).await? {
                    self.open(&identity, pending).await;
                }
            }
            Event::UniqueIds(pending) => self.unique_ids(pending).await,
            Event::Retrieve { number, part, pending } => return self.retrieve(number, part, pending).await,
            Event::Body => return self.send().await,
            Event::BodyEnough => self.end(),
            Event::Commit(deleted, pending) => {
                let user = self.user_name();
                if let Some(pending) = self.fault(pending, Stage::Commit, &user).await? {
                    self.commit(&deleted, pending).await;
                }
            }
            // Nothing else is offered. A question that is dropped is answered by a refusal.
            _ => {}
        }
        Flow::Continue(())
    }

    /// Lets the fault rules of this stage act. Gives the question back if they leave it open.
    async fn fault<T, Q>(
        &mut self,
        pending: Pending<Q>,
        stage: Stage,
        text: &str,
    ) -> ControlFlow<(), Option<Pending<Q>>>
    where
        Q: Question<Answer = Result<T, Refusal>>,
    {
        match self.strike(stage, text) {
            None => ControlFlow::Continue(Some(pending)),
            Some(action) => self.act(pending, action).await,
        }
    }

    fn strike(&self, stage: Stage, text: &str) -> Option<Action> {
        self.office.faults.as_ref()?.strike(stage, text)
    }

    async fn act<T, Q>(&mut self, pending: Pending<Q>, action: Action) -> ControlFlow<(), Option<Pending<Q>>>
    where
        Q: Question<Answer = Result<T, Refusal>>,
    {
        let refusal = match action {
            Action::Delay(time) => {
                tokio::time::sleep(time).await;
                return ControlFlow::Continue(Some(pending));
            }
            Action::Drop | Action::BreakOff(_) => return ControlFlow::Break(()),
            Action::Refuse(refusal) => in_pop3(&refusal),
            Action::RefusePop3(refusal) => refusal,
        };
        self.conn.refuse(pending, refusal);
        ControlFlow::Continue(None)
    }

    /// The user, for the fault rules; empty where there are none, since then nobody reads it.
    fn user_name(&self) -> String {
        match (&self.office.faults, &self.user) {
            (Some(_), Some(user)) => user.to_string(),
            _ => String::new(),
        }
    }

    async fn open(&mut self, identity: &Identity, pending: Pending<Open>) {
        let Some(user) = self.office.users.find(&identity.authzid).cloned() else {
            self.conn.refuse(pending, Refusal::TEMPORARY);
            return;
        };
        let opened = in_time(self.office.answer_timeout, self.office.maildrops.open(user.clone())).await;
        let method = shown(&identity.method);
        let opened = match opened.unwrap_or(Err(Refusal::TEMPORARY)) {
            Ok((mailbox, maildrop)) => {
                let (messages, octets) = (maildrop.len(), maildrop.octets());
                let (peer, tls) = (self.conn.peer(), self.conn.tls().is_some());
                let local = peer.local.map(tracing::field::display);
                info!(%user, %method, client = %peer.address, local, tls, messages, octets, "logged in");
                self.mailbox = Some(mailbox);
                Ok(maildrop)
            }
            Err(refusal) => {
                info!(%user, %method, %refusal, "maildrop not opened");
                Err(refusal)
            }
        };
        if self.conn.answer(pending, opened) && self.mailbox.is_some() {
            self.user = Some(user);
        }
    }

    async fn unique_ids(&mut self, pending: Pending<UniqueIdsWanted>) {
        let Some(mailbox) = self.mailbox.take() else {
            self.conn.refuse(pending, Refusal::TEMPORARY);
            return;
        };
        let (mailbox, ids) = self.office.maildrops.unique_ids(mailbox).await;
        self.mailbox = mailbox;
        self.conn.answer(pending, ids);
    }

    async fn retrieve(&mut self, number: MessageNumber, part: Part, pending: Pending<Retrieve>) -> Flow {
        let (mut ends_at, mut pending) = (None, pending);
        match self.strike(Stage::Retrieve, &self.user_name()) {
            None => {}
            Some(Action::BreakOff(octets)) => ends_at = Some(octets),
            Some(action) => match self.act(pending, action).await? {
                Some(open) => pending = open,
                None => return Flow::Continue(()),
            },
        }
        let index = number.index();
        let begun = match self.ahead.asked(index, &self.office.maildrops) {
            Some((reader, begun)) => Some((reader, Ok(begun))),
            None => self.begin(index).await,
        };
        let Some((reader, begun)) = begun else {
            self.conn.refuse(pending, Refusal::TEMPORARY);
            return Flow::Continue(());
        };
        let left = match begun {
            Ok(Begun::Read(left)) => left,
            Ok(Begun::NeedsUtf8) => {
                self.office.maildrops.put_back(reader);
                self.conn.refuse(pending, Refusal::NEEDS_UTF8);
                return Flow::Continue(());
            }
            Err(error) => {
                let vanished = matches!(error, maildrop::Error::Vanished { .. });
                info!(%number, %error, "message not sent");
                let refusal = if vanished { Refusal::MESSAGE_GONE } else { Refusal::TEMPORARY };
                self.conn.refuse(pending, refusal);
                return Flow::Continue(());
            }
        };
        if self.conn.accept(pending) {
            self.sending = Some(Sending { number, part, reader, left, taken: 0, ends_at });
            if left > 0 || ends_at.is_some() {
                return self.send().await;
            }
            self.end();
        }
        Flow::Continue(())
    }

    /// Begins to read a message. `None` says that the mailbox does not answer.
    async fn begin(&mut self, index: usize) -> Option<(Reader, Result<Begun, maildrop::Error>)> {
        let asks_utf8 = self.asks_utf8();
        let at_hand = |(mailbox, reader): &mut (Box<AnyMailbox>, Reader)| {
            begin(reader, asks_utf8, |reader| mailbox.read_at_hand(index, reader)).transpose()
        };
        let work = move |(mailbox, reader): &mut (Box<AnyMailbox>, Reader)| {
            let begun = begin(reader, asks_utf8, |reader| ready(mailbox.read(index, reader)).map(Some))?;
            Ok(begun.expect("a read that is done has begun"))
        };
        let (maildrops, limit) = (&self.office.maildrops, self.office.answer_timeout);
        let subject = (self.mailbox.take()?, maildrops.reader());
        let ((mailbox, reader), begun) = maildrops.pace.read(limit, subject, at_hand, work).await?;
        self.mailbox = Some(mailbox);
        Some((reader, begun))
    }

    /// Whether messages that need UTF8 are not to be sent.
    fn asks_utf8(&self) -> bool {
        self.office.maildrops.without_utf8 == WithoutUtf8::Refuse && !self.conn.is_utf8()
    }

    /// Goes on with the message, as far as there is room.
    async fn send(&mut self) -> Flow {
        while self.conn.wants_body() {
            let Some(sending) = &mut self.sending else { break };
            if sending.ends_at.is_some_and(|end| sending.taken >= end) {
                // What was sent is to arrive.
                let _ = self.conn.flush().await;
                return Flow::Break(());
            }
            if sending.left == 0 {
                let (limit, reader) = (self.office.answer_timeout, std::mem::take(&mut sending.reader));
                let next = |reader: &mut Reader| ready(reader.chunk()).map(<[u8]>::len);
                match self.office.maildrops.pace.read(limit, reader, |reader| Some(next(reader)), next).await
                {
                    Some((reader, Ok(read))) => (sending.reader, sending.left) = (reader, read),
                    Some((_, Err(error))) => {
                        self.break_off(&error);
                        break;
                    }
                    None => {
                        self.break_off(&"no answer in time");
                        break;
                    }
                }
                if sending.left == 0 {
                    self.end();
                    break;
                }
            }
            // It lies ready: nothing is read for it.
            let chunk = match sending.reader.chunk().await {
                Ok(chunk) => chunk,
                Err(error) => {
                    self.break_off(&error);
                    break;
                }
            };
            let most = sending.ends_at.map_or(u64::MAX, |end| end - sending.taken);
            let most = usize::try_from(most).unwrap_or(usize::MAX).min(chunk.len());
            let taken = self.conn.write_body(&chunk[..most]);
            sending.reader.consume(taken);
            sending.left -= taken;
            sending.taken += taken as u64;
        }
        Flow::Continue(())
    }

    fn break_off(&mut self, error: &dyn std::fmt::Display) {
        warn!(%error, "message broken off");
        self.sending = None;
        self.conn.abort_body();
    }

    fn end(&mut self) {
        self.conn.finish_body();
        let Some(Sending { number, part, reader, taken, .. }) = self.sending.take() else { return };
        match part {
            Part::Whole => self.tally.retrieved(number, taken),
            Part::Top(_) => self.tally.tops += 1,
        }
        self.office.maildrops.put_back(reader);
    }

    async fn commit(&mut self, deleted: &Deleted, pending: Pending<Commit>) {
        let messages = deleted.len();
        let done = match self.mailbox.take() {
            Some(mailbox) => self.office.maildrops.commit(mailbox, deleted, &self.tally).await,
            None => Err(Refusal::NOT_REMOVED),
        };
        match &done {
            Ok(()) => self.tally.removed = messages,
            Err(refusal) => info!(messages, %refusal, "not all removed"),
        }
        self.conn.answer(pending, done);
    }
}

/// A way of logging in, for the log.
fn shown(method: &LoginMethod) -> impl std::fmt::Display {
    match method {
        LoginMethod::User => "USER",
        LoginMethod::Apop => "APOP",
        LoginMethod::Rpop { .. } => "RPOP",
        LoginMethod::Sasl(mechanism) => mechanism.name(),
        _ => "transport",
    }
}
