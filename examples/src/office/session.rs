//! One connection: the events of the protocol machine, answered.

use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use mail_wire::sasl::{Answer, Failure};
use mail_wire::{Escaped, Pending, ReplyText};
use smtp_proto::server::{Delivered, Event, MessageEnd, Question as Asked, Server};
use smtp_proto::types::{ForwardPath, Refusal, ReversePath, Verdict};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::arrivals::{Mail, Place};
use super::faults::{Action, Stage, in_smtp};
use super::policy::{Recipient, resolve};
use super::shared::Shared;
use crate::delivery::{Copy, Incoming, Kept, Origin, Way, message_id, prefix};
use crate::driver::{Closed, Conn};
use crate::filter::Destination;
use crate::limits::ConnectionGuard;

/// RFC 5321 §6.3.
const LOOP: Refusal =
    Refusal::from_static(554, (5, 4, 6), "too many Received fields, mail seems to go in circles");

/// Whether the connection goes on.
type Flow = ControlFlow<()>;

/// A connection being served.
pub(super) struct Session {
    office: Arc<Shared>,
    conn: Conn<Server, TcpStream>,
    /// Keeps the connection counted while it lasts.
    guard: ConnectionGuard,
    envelope: Option<Box<Envelope>>,
}

/// A transaction.
#[derive(Debug)]
struct Envelope {
    from: ReversePath,
    /// What the client says that the message's size is.
    size: Option<u64>,
    /// Who gets a copy.
    recipients: Vec<(Recipient, Way)>,
    /// For each accepted RCPT, whose copy it is: the same address given twice gets one.
    copy_of: Vec<usize>,
    incoming: Option<Incoming>,
    id: String,
}

impl Session {
    pub(super) fn new(office: Arc<Shared>, conn: Conn<Server, TcpStream>, guard: ConnectionGuard) -> Self {
        Self { office, conn, guard, envelope: None }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let event = tokio::select! {
                biased;
                event = self.conn.next() => event,
                () = told(&mut stop) => {
                    self.conn.shutdown();
                    self.conn.next().await
                }
            };
            let flow = match event {
                Ok(event) => self.handle(event).await,
                Err(Closed::Done) => {
                    debug!("connection closed");
                    return;
                }
                Err(closed) => {
                    info!(reason = %closed, "connection ended");
                    return;
                }
            };
            if flow.is_break() {
                info!("connection dropped by a fault rule");
                return;
            }
        }
    }

    async fn handle(&mut self, event: Event) -> Flow {
        match event {
            Event::Connected(pending) => {
                let client = self.conn.peer().address;
                let address = client.ip().to_string();
                let room = self.guard.belongs_to(client.ip());
                debug!(%client, "connected");
                self.decide(pending, Stage::Connect, &address, |_| match room {
                    Ok(()) => Verdict::Accept,
                    Err(_) => Refusal::TOO_MANY_CONNECTIONS.into(),
                })
                .await
            }
            Event::Hello(name, pending) => {
                self.envelope = None;
                self.decide(pending, Stage::Hello, name.as_str(), |_| Verdict::Accept).await
            }
            Event::Mail { from, params, pending } => {
                let sender = from.mailbox().map_or_else(String::new, |mailbox| mailbox.as_str().to_owned());
                self.decide(pending, Stage::Mail, &sender, |session| {
                    session.envelope = Some(Box::new(Envelope {
                        from,
                        size: params.size,
                        recipients: Vec::new(),
                        copy_of: Vec::new(),
                        incoming: None,
                        id: String::new(),
                    }));
                    Verdict::Accept
                })
                .await
            }
            Event::Recipient { to, pending, .. } => {
                let address = match &to {
                    ForwardPath::Postmaster => "postmaster".to_owned(),
                    ForwardPath::Mailbox(mailbox) => mailbox.as_str().to_owned(),
                };
                match self.fault(Stage::Recipient, &address).await {
                    ControlFlow::Break(()) => return Flow::Break(()),
                    ControlFlow::Continue(Some(refusal)) => self.conn.refuse(pending, refusal),
                    ControlFlow::Continue(None) => {
                        let limit = self.office.answer_timeout;
                        let verdict = in_time(limit, self.recipient(to)).await;
                        let verdict = verdict.unwrap_or(Err(Refusal::LOCAL_ERROR));
                        if let Err(refusal) = &verdict {
                            debug!(to = %Escaped(address.as_bytes()), %refusal, "recipient refused");
                        }
                        self.conn.answer(pending, verdict.into());
                    }
                }
                Flow::Continue(())
            }
            Event::Message(pending) => {
                let sender = self.sender();
                self.decide(pending, Stage::Message, &sender, Self::begin_message).await
            }
            Event::Body => {
                self.take_body().await;
                Flow::Continue(())
            }
            Event::MessageRefused(refusal) => {
                info!(%refusal, "message refused");
                if let Some(envelope) = &mut self.envelope {
                    envelope.incoming = None;
                }
                Flow::Continue(())
            }
            Event::MessageEnd(pending) => {
                let sender = self.sender();
                match self.fault(Stage::MessageEnd, &sender).await {
                    ControlFlow::Break(()) => return Flow::Break(()),
                    ControlFlow::Continue(Some(refusal)) => {
                        self.envelope = None;
                        self.conn.answer(pending, refusal.into());
                    }
                    ControlFlow::Continue(None) => self.end_message(pending).await,
                }
                Flow::Continue(())
            }
            Event::Reset => {
                self.envelope = None;
                Flow::Continue(())
            }
            Event::Sasl(question, pending) => {
                let shown = self.conn.tls().and_then(|tls| tls.peer_identity.as_deref());
                let answer = self.office.authenticate(question, shown, self.conn.peer().address.ip());
                let answer = in_time(self.office.answer_timeout, answer).await;
                let answer = answer.unwrap_or(Answer::Unavailable);
                self.conn.answer(pending, answer);
                Flow::Continue(())
            }
            Event::Authenticated => {
                self.office.penalties.succeeded(self.conn.peer().address.ip());
                if let Some(identity) = self.conn.identity() {
                    info!(user = %Escaped(identity.authzid.as_bytes()), mechanism = %identity.mechanism, "logged in");
                }
                Flow::Continue(())
            }
            Event::AuthenticationFailed { mechanism, failure, user } => {
                // A name that nobody has may be a password in the wrong place.
                let user = user.as_deref().and_then(|name| self.office.users.find(name));
                let user = user.map_or("-", |user| user.as_str());
                info!(user, %mechanism, reason = %failure, "login failed");
                if failure == Failure::Credentials {
                    self.office.penalties.failed(self.conn.peer().address.ip());
                }
                Flow::Continue(())
            }
            Event::Xclient(_, pending) => {
                self.envelope = None;
                self.conn.answer(pending, Verdict::Accept);
                info!(client = %self.conn.peer().address, "the peer speaks for a client, by XCLIENT");
                Flow::Continue(())
            }
            Event::Xforward(client, pending) => {
                let address = client.addr.flatten().map(|address| address.to_string());
                info!(client = address.as_deref(), "the peer forwards a client's message, by XFORWARD");
                self.conn.answer(pending, Verdict::Accept);
                Flow::Continue(())
            }
            // Nothing else is offered. A question that is dropped is answered by a temporary failure.
            _ => Flow::Continue(()),
        }
    }

    /// Answers a question, unless a fault rule does.
    async fn decide<Q: Asked<Answer = Verdict>>(
        &mut self,
        pending: Pending<Q>,
        stage: Stage,
        text: &str,
        verdict: impl FnOnce(&mut Self) -> Verdict,
    ) -> Flow {
        match self.fault(stage, text).await {
            ControlFlow::Break(()) => return Flow::Break(()),
            ControlFlow::Continue(Some(refusal)) => self.conn.refuse(pending, refusal),
            ControlFlow::Continue(None) => {
                let verdict = verdict(self);
                self.conn.answer(pending, verdict);
            }
        }
        Flow::Continue(())
    }

    /// What the fault rules have for this stage.
    async fn fault(&self, stage: Stage, text: &str) -> ControlFlow<(), Option<Refusal>> {
        match self.office.faults.as_ref().and_then(|script| script.strike(stage, text)) {
            None => ControlFlow::Continue(None),
            Some(Action::Refuse(refusal)) => ControlFlow::Continue(Some(refusal)),
            Some(Action::RefusePop3(refusal)) => ControlFlow::Continue(Some(in_smtp(&refusal))),
            Some(Action::Drop | Action::BreakOff(_)) => ControlFlow::Break(()),
            Some(Action::Delay(time)) => {
                tokio::time::sleep(time).await;
                ControlFlow::Continue(None)
            }
        }
    }

    /// The sender, for the fault rules; empty where there are none, since then nobody reads it.
    fn sender(&self) -> String {
        match (&self.office.faults, &self.envelope) {
            (Some(_), Some(envelope)) => {
                envelope.from.mailbox().map_or_else(String::new, |mailbox| mailbox.as_str().to_owned())
            }
            _ => String::new(),
        }
    }

    async fn recipient(&mut self, to: ForwardPath) -> Result<(), Refusal> {
        let authenticated = self.conn.identity().is_some();
        let office = &self.office;
        let address = self.conn.peer().local.map(|address| address.ip());
        let recipient = resolve(to, office.here(address), authenticated)?;
        let Some(envelope) = &mut self.envelope else { return Err(Refusal::LOCAL_ERROR) };
        let known = envelope.recipients.iter().position(|(other, _)| {
            other.user == recipient.user && other.address.eq_ignore_ascii_case(&recipient.address)
        });
        let copy = match known {
            Some(copy) => copy,
            None => {
                let way = office.sink.admit(&recipient.user, envelope.size).await?;
                envelope.recipients.push((recipient, way));
                envelope.recipients.len() - 1
            }
        };
        envelope.copy_of.push(copy);
        Ok(())
    }

    fn begin_message(&mut self) -> Verdict {
        let Some(envelope) = &mut self.envelope else { return Refusal::LOCAL_ERROR.into() };
        let (id, unix) = message_id();
        let origin =
            Origin { by: &self.office.hostname, server: &self.conn, id: &id, from: &envelope.from, unix };
        let only = envelope.recipients.len() == 1;
        let sink = &self.office.sink;
        let copy = |(to, way): &(Recipient, Way)| {
            let prefix = if sink.keeps() { prefix(&origin, &to.path, &to.address, only) } else { Vec::new() };
            Copy { user: to.user.clone(), way: *way, prefix }
        };
        let copies = envelope.recipients.iter().map(copy).collect();
        let sender = envelope.from.mailbox().map_or("", |mailbox| mailbox.as_str());
        let together = !self.conn.with_protocol().lmtp;
        envelope.incoming = Some(Incoming::new(sink.clone(), sender, copies, together));
        envelope.id = id;
        Verdict::Accept
    }

    async fn take_body(&mut self) {
        let body = self.conn.body();
        let Some(incoming) = self.envelope.as_mut().and_then(|envelope| envelope.incoming.as_mut()) else {
            let len = body.len();
            return self.conn.consume(len);
        };
        let taken = incoming.push(body);
        if incoming.is_due() && in_time(self.office.answer_timeout, incoming.spill()).await.is_none() {
            incoming.fail(Refusal::LOCAL_ERROR);
        }
        self.conn.consume(taken);
    }

    async fn end_message(&mut self, pending: Pending<MessageEnd>) {
        let Some(envelope) = self.envelope.take() else {
            return self.conn.answer(pending, Refusal::LOCAL_ERROR.into());
        };
        let Envelope { from, recipients, copy_of, incoming, id, .. } = *envelope;
        let Some(incoming) = incoming else {
            return self.conn.answer(pending, Refusal::LOCAL_ERROR.into());
        };
        if incoming.received_fields() > self.office.received_fields {
            info!(id, "message refused: too many Received fields");
            return self.conn.answer(pending, LOOP.into());
        }
        let size = incoming.size();
        // Where the disk is too late, the message may be delivered all the same, and once more when the client tries again:
        // twice is better than never.
        let Some(outcome) = in_time(self.office.answer_timeout, incoming.deliver()).await else {
            return self.conn.answer(pending, Refusal::LOCAL_ERROR.into());
        };
        let mut verdicts = Vec::with_capacity(recipients.len());
        for ((recipient, _), outcome) in recipients.into_iter().zip(outcome) {
            verdicts.push(match outcome {
                Ok(kept) => {
                    log(&id, &from, &recipient, size, &kept);
                    self.office.arrived(&from, recipient, size, kept);
                    // Digits and letters, so nothing is lost.
                    Verdict::AcceptWith(ReplyText::sanitized(&format!("ok, delivered as {id}")))
                }
                Err(refusal) => {
                    info!(id, from = %from, to = %recipient.path, size, %refusal, "not delivered");
                    refusal.into()
                }
            });
        }
        let each = copy_of.into_iter().filter_map(|copy| verdicts.get(copy).cloned()).collect();
        self.conn.answer(pending, Delivered::Each(each));
    }
}

/// Logs what became of a message.
fn log(id: &str, from: &ReversePath, recipient: &Recipient, size: u64, kept: &Kept) {
    let (to, user) = (&recipient.path, &recipient.user);
    let destinations = match kept {
        Kept::Nowhere => return,
        Kept::File(_) | Kept::Stored { .. } | Kept::Memory(_) => {
            info!(id, %from, %to, %user, size, "delivered");
            return;
        }
        Kept::Filed { destinations, .. } => destinations,
    };
    if is_dropped(destinations) {
        info!(id, %from, %to, %user, size, "dropped by the recipient's rules");
    }
    for destination in destinations {
        match destination {
            Destination::File { path, .. } => {
                // Its name may come from the message.
                let folder = Escaped(path.as_os_str().as_bytes());
                info!(id, %from, %to, %user, size, %folder, "delivered");
            }
            Destination::Program => info!(id, %from, %to, %user, size, "given to a program"),
            Destination::Addresses => info!(id, %from, %to, %user, size, "forwarded"),
            _ => {}
        }
    }
}

/// Whether rules sent a message nowhere.
fn is_dropped(destinations: &[Destination]) -> bool {
    destinations.iter().all(|destination| *destination == Destination::Nowhere)
}

/// Waits for a disk or a password check, up to a limit.
pub(super) async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let outcome = tokio::time::timeout(limit, work).await;
    if outcome.is_err() {
        warn!(?limit, "no answer in time from the disk or a password check");
    }
    outcome.ok()
}

/// Waits until the post office is to stop.
pub(super) async fn told(stop: &mut watch::Receiver<bool>) {
    // An error says that the post office is gone, which stops its sessions likewise.
    let _ = stop.wait_for(|stop| *stop).await;
}

impl Shared {
    /// Remembers what was delivered; what rules drop has not arrived.
    fn arrived(&self, from: &ReversePath, recipient: Recipient, size: u64, kept: Kept) {
        let place = match kept {
            Kept::File(delivered) if self.remembers => Place::File(delivered.path()),
            Kept::Filed { destinations, .. } if is_dropped(&destinations) => return,
            Kept::Filed { destinations, message: Some(message) } => Place::Filed { destinations, message },
            Kept::Memory(bytes) => Place::Memory(bytes),
            Kept::Stored { path, message: Some(message) } => Place::Stored { path, message },
            Kept::File(_) | Kept::Stored { .. } | Kept::Filed { .. } | Kept::Nowhere => return,
        };
        self.arrivals.push(Mail::new(from.clone(), &recipient.address, recipient.user, size, place));
    }
}
