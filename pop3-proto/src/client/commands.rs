//! Commands of the embedder: how they wait, and what their replies mean.

use super::body::Body;
use super::listing::{self, Listing, ListingKind};
use super::machine::{Phase, Reading};
use super::{Client, ClientError, CommandId, Event, RefusalKind, Request, Stage, SubmitError, Support};
use crate::codec::ReplyError;
use crate::types::{MessageNumber, Reply, Status, Verb};

impl Client {
    /// Takes a command to be sent as soon as may be: at once where the server offers PIPELINING, else when those before it are
    /// answered. Up to [`QUEUE`](Self::QUEUE) may wait; whoever has more goes on at each [`Event::Done`] or [`Event::Refused`].
    ///
    /// TOP, UIDL and LANG are sent also where [`support`](Self::support) does not know of them: a refusal says that they are not
    /// there.
    ///
    /// # Errors
    ///
    /// [`SubmitError::NotReady`] before [`Event::Ready`] and after [`quit`](Self::quit); [`SubmitError::Full`];
    /// [`SubmitError::NotLoggedIn`] where there were no credentials.
    pub fn submit(&mut self, request: Request) -> Result<CommandId, SubmitError> {
        if !matches!(self.phase, Phase::Ready) {
            return Err(SubmitError::NotReady);
        }
        if self.session.authenticated.is_none() && !request.needs_no_login() {
            return Err(SubmitError::NotLoggedIn { verb: request.verb() });
        }
        if self.waiting() >= Self::QUEUE {
            return Err(SubmitError::Full { limit: Self::QUEUE });
        }
        let id = CommandId(self.submitted);
        self.submitted += 1;
        self.queue.push_back((id, request));
        Ok(id)
    }

    /// How many commands were submitted and are not answered.
    pub fn waiting(&self) -> usize {
        self.queue.len() + self.channel.outstanding()
    }

    /// QUIT, when all that was submitted is answered: the server removes what is marked as deleted and ends the connection
    /// (RFC 1939 §6).
    ///
    /// [`Step::Close`](mail_wire::Step::Close) tells how that went. `Ok` says that the server agreed, or, if nothing was marked,
    /// that it has gone. An error has what is known in [`deletions`](ClientError::deletions).
    ///
    /// # Errors
    ///
    /// [`SubmitError::NotReady`] before [`Event::Ready`], and the second time.
    pub fn quit(&mut self) -> Result<(), SubmitError> {
        if !matches!(self.phase, Phase::Ready) {
            return Err(SubmitError::NotReady);
        }
        self.phase = Phase::Leaving;
        Ok(())
    }

    pub(super) fn on_command_reply(&mut self, id: CommandId, request: Request, reply: Reply) {
        let accepted = reply.status() == Status::Ok;
        self.learn(&request, accepted, &reply);
        if !accepted {
            return self.answered(Event::Refused { id, reply });
        }
        match request {
            Request::List(None) => self.begin_listing(Some(id), reply, ListingKind::List),
            Request::Uidl(None) => self.begin_listing(Some(id), reply, ListingKind::Uidl),
            Request::Lang(None) => self.begin_listing(Some(id), reply, ListingKind::Lang),
            Request::Capa => self.begin_listing(Some(id), reply, ListingKind::Capa(Box::default())),
            Request::Retr(number) | Request::Top { number, .. } => self.begin_message(id, number, reply),
            _ => {
                let stage = Stage::Command(request.verb());
                match self.on_single_line(id, &request, &reply) {
                    Ok(event) => {
                        self.events.extend(event);
                        self.answered(Event::Done { id, reply });
                    }
                    Err(error) => self.fail(ClientError::Malformed { stage, error }),
                }
            }
        }
    }

    /// What a positive reply says that is complete in its first line.
    fn on_single_line(
        &mut self,
        id: CommandId,
        request: &Request,
        reply: &Reply,
    ) -> Result<Option<Event>, ReplyError> {
        let (text, quirks) = (reply.text(), self.config.quirks);
        Ok(match request {
            Request::Stat => Some(Event::Stat { id, listing: listing::drop_listing(text, quirks)? }),
            Request::List(Some(number)) => {
                Some(Event::Listed { id, listing: listing::scan_of(*number, text, quirks)? })
            }
            Request::Uidl(Some(number)) => Some(listing::unique_id_of(*number, id, text, quirks)?),
            Request::Dele(_) => {
                self.session.deleted = self.session.deleted.saturating_add(1);
                None
            }
            Request::Rset => {
                self.session.deleted = 0;
                None
            }
            _ => None,
        })
    }

    fn answered(&mut self, event: Event) {
        self.channel.met();
        self.events.push_back(event);
        self.settle();
    }

    fn begin_message(&mut self, id: CommandId, number: MessageNumber, reply: Reply) {
        self.reading = Reading::Body(Box::new(Body::new(id, number, reply)));
        self.channel.begin_transfer();
        self.events.push_back(Event::Message { id, number });
    }

    pub(super) fn begin_listing(&mut self, id: Option<CommandId>, reply: Reply, kind: ListingKind) {
        self.reading = Reading::Listing(Box::new(Listing::new(id, reply, kind)));
        self.channel.begin_transfer();
    }

    /// A listing is at its end. Gives the first line back.
    pub(super) fn on_listing(&mut self, listing: Listing) -> Reply {
        match listing.kind {
            ListingKind::Capa(capabilities) => {
                self.session.capabilities = Some(capabilities);
                if listing.id.is_none() {
                    self.after_capabilities();
                }
            }
            ListingKind::Mechanisms(mechanisms) => {
                self.session.listed = Some(mechanisms);
                self.authenticate();
            }
            ListingKind::List | ListingKind::Uidl | ListingKind::Lang => {}
        }
        listing.reply
    }

    /// Notes what a reply tells of the server.
    fn learn(&mut self, request: &Request, accepted: bool, reply: &Reply) {
        let support = match request.verb() {
            Verb::Top => &mut self.session.top,
            Verb::Uidl => &mut self.session.uidl,
            _ => return,
        };
        // A code gives a reason that lies with the message.
        let gives_reason = RefusalKind::of(reply) != RefusalKind::Unknown;
        match (accepted, *support) {
            (true, _) => *support = Some(Support::Offered),
            (false, None) if !gives_reason => *support = Some(Support::Missing),
            (false, _) => {}
        }
    }
}
