//! One connection: the events of the protocol machine, answered.

use std::sync::Arc;

use mail_wire::Pending;
use mail_wire::sasl::Answer;
use maildrop::UserName;
use maildrop::store::{AnyMailbox, Mailbox, MessageReader};
use pop3_proto::server::{Event, Identity, LoginMethod, Retrieve, Server, UniqueIdsWanted};
use pop3_proto::types::{MessageNumber, Refusal};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::maildrops::Reader;
use crate::driver::{Closed, Conn};
use crate::limits::ConnectionGuard;
use crate::office::session::{in_time, told};
use crate::office::shared::Shared;

/// A connection being served.
pub(in super::super) struct Session {
    office: Arc<Shared>,
    conn: Conn<Server, TcpStream>,
    /// Keeps the connection counted while it lasts.
    guard: ConnectionGuard,
    /// The user's mail, once it is open.
    mailbox: Option<AnyMailbox>,
    /// What reads the message that is being sent.
    reader: Option<Reader>,
}

impl Session {
    pub(in super::super) fn new(
        office: Arc<Shared>,
        conn: Conn<Server, TcpStream>,
        guard: ConnectionGuard,
    ) -> Self {
        Self { office, conn, guard, mailbox: None, reader: None }
    }

    /// Serves the connection to its end.
    pub(in super::super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let event = tokio::select! {
                biased;
                event = self.conn.next() => event,
                () = told(&mut stop) => {
                    self.conn.shutdown();
                    self.conn.next().await
                }
            };
            match event {
                Ok(event) => self.handle(event).await,
                Err(Closed::Done) => return debug!("connection closed"),
                Err(closed) => return info!(reason = %closed, "connection ended"),
            }
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Connected(pending) => {
                let client = self.conn.peer().address;
                debug!(%client, "connected");
                let room = self.guard.belongs_to(client.ip());
                self.conn.answer(pending, room.map_err(|_| Refusal::TOO_MANY_CONNECTIONS));
            }
            Event::Login { question, pending, .. } => {
                let shown = self.conn.tls().and_then(|tls| tls.peer_identity.as_deref());
                let answer = self.office.authenticate(question, shown);
                let answer = in_time(self.office.answer_timeout, answer).await;
                self.conn.answer(pending, answer.unwrap_or(Answer::Unavailable));
            }
            Event::LoginFailed { method, failure, user } => {
                // A name that nobody has may be a password in the wrong place.
                let user = user.as_deref().and_then(|name| self.office.users.find(name));
                let user = user.map_or("-", |user| user.as_str());
                info!(user, method = %shown(&method), reason = %failure, "login failed");
            }
            Event::Open(identity, pending) => {
                let opened = in_time(self.office.answer_timeout, self.open(&identity)).await;
                let opened = opened.unwrap_or(Err(Refusal::TEMPORARY));
                if let Err(refusal) = &opened {
                    info!(%refusal, "maildrop not opened");
                }
                let maildrop = opened.map(|(mailbox, maildrop)| {
                    self.mailbox = Some(mailbox);
                    maildrop
                });
                self.conn.answer(pending, maildrop);
            }
            Event::UniqueIds(pending) => self.unique_ids(pending).await,
            Event::Retrieve { number, pending, .. } => self.retrieve(number, pending).await,
            Event::Body => self.send().await,
            Event::BodyEnough => self.end(),
            Event::Commit(deleted, pending) => {
                let messages = deleted.len();
                let done = match self.mailbox.take() {
                    Some(mailbox) => self.office.maildrops.commit(mailbox, &deleted).await,
                    None => Err(Refusal::NOT_REMOVED),
                };
                match &done {
                    Ok(()) => info!(messages, "removed"),
                    Err(refusal) => info!(messages, %refusal, "not all removed"),
                }
                self.conn.answer(pending, done);
            }
            // Nothing else is offered. A question that is dropped is answered by a refusal.
            _ => {}
        }
    }

    async fn open(&self, identity: &Identity) -> Result<(AnyMailbox, pop3_proto::server::Maildrop), Refusal> {
        let user: UserName = match self.office.users.find(&identity.authzid) {
            Some(user) => user.clone(),
            None => return Err(Refusal::TEMPORARY),
        };
        let opened = self.office.maildrops.open(user.clone()).await?;
        let (messages, octets) = (opened.1.len(), opened.1.octets());
        info!(%user, method = %shown(&identity.method), messages, octets, "logged in");
        Ok(opened)
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

    async fn retrieve(&mut self, number: MessageNumber, pending: Pending<Retrieve>) {
        let Some(mailbox) = &mut self.mailbox else {
            self.conn.refuse(pending, Refusal::TEMPORARY);
            return;
        };
        let mut reader = self.office.maildrops.reader();
        // Local files, mostly in memory: handing them to another thread costs more than reading them.
        let begun = mailbox.read(number.index(), &mut reader).await;
        match begun {
            Ok(()) => {
                self.reader = Some(reader);
                self.conn.answer(pending, Ok(()));
                self.send().await;
            }
            Err(error) => {
                let vanished = matches!(error, maildrop::Error::Vanished { .. });
                info!(%number, %error, "message not sent");
                let refusal = if vanished { Refusal::MESSAGE_GONE } else { Refusal::TEMPORARY };
                self.conn.answer(pending, Err(refusal));
            }
        }
    }

    /// Goes on with the message, as far as there is room.
    async fn send(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        while self.conn.wants_body() {
            match reader.chunk().await {
                Ok([]) => return self.end(),
                Ok(chunk) => {
                    let taken = self.conn.write_body(chunk);
                    reader.consume(taken);
                }
                Err(error) => {
                    warn!(%error, "message broken off");
                    self.reader = None;
                    return self.conn.abort_body();
                }
            }
        }
    }

    fn end(&mut self) {
        self.conn.finish_body();
        if let Some(reader) = self.reader.take() {
            self.office.maildrops.put_back(reader);
        }
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
