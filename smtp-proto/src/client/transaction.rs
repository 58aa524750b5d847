//! [`Transfer`]: one transaction on its way, from MAIL to the last reply.
//!
//! ```text
//!              MAIL, RCPT…, DATA             354              the dot               reply
//! Envelope ──────────────────────▶ DataSent ─────▶ Body ───────────────▶ Complete ──────▶ over
//!     └──── MAIL, RCPT… (BDAT) ──────────────────▶ Body ▶ LastChunk ────▶ Complete ──────▶ over
//! any of these ── nobody left to send to, or a chunk refused ──▶ Void ── RSET ──▶ Reset ──▶ over
//! ```
//!
//! With PIPELINING, MAIL, all RCPT and DATA leave in one group (RFC 2920 §3.1), or MAIL, all RCPT and the first chunk;
//! without, each waits for the reply to the one before. The group may begin with the message of the transaction before: then
//! a second transfer is in [`Envelope`](TransferStep::Envelope) while the first is [`Complete`](TransferStep::Complete).
//! Its replies come behind the last of the first.

use super::body::{Content, Feed};
use super::replies::{Channel, Expect, WINDOW};
use super::{BodyError, ClientConfig, ClientError, Event, Outcome, Protocol, Rejection, Stage, Transaction};
use crate::types::{Body, Capabilities, Command, MailParams, Reply};

pub(super) struct Transfer {
    transaction: Transaction,
    pub(super) content: Content,
    /// Whether bytes beyond ASCII may go to this server in this message.
    pub(super) eight_bit: bool,
    /// Bytes of the message that the embedder has written.
    pub(super) written: u64,
    /// Why the message cannot be completed.
    pub(super) spoiled: Option<BodyError>,
    protocol: Protocol,
    pub(super) pipelining: bool,
    pub(super) step: TransferStep,
    mail: MailReply,
    /// How many RCPT commands were sent.
    issued: usize,
    recipients: Vec<Recipient>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransferStep {
    Envelope,
    /// The reply to DATA is awaited.
    DataSent,
    /// The embedder writes the message.
    Body(Feed),
    /// The embedder has written all; the last chunk waits for its turn.
    LastChunk,
    /// The whole message is with the transport.
    Complete,
    /// Nothing more of it is sent, replies that are still owed count for nothing.
    Void(Fate),
    /// RSET was sent.
    Reset(Fate),
}

/// How a transfer that is void ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Sent,
    Aborted,
}

#[derive(Debug)]
enum MailReply {
    NotSent,
    Awaited,
    Accepted,
    Refused,
}

#[derive(Debug)]
enum Recipient {
    /// RCPT was not sent or not answered.
    Open,
    /// Gets the message, if that is accepted.
    Accepted,
    Done(Result<Reply, Rejection>),
}

impl Recipient {
    fn is_done(&self) -> bool {
        matches!(self, Recipient::Done(_))
    }
}

/// What a look at the transfer came to.
#[derive(Debug)]
pub(super) enum Pumped {
    Nothing,
    Progress,
    Event(Event),
    /// It has ended, and [`Transfer::last_event`] tells how. An event may come before.
    Over(Option<Event>),
}

impl Transfer {
    pub(super) fn new(transaction: Transaction, config: &ClientConfig, offered: &Capabilities) -> Self {
        let recipients = transaction.recipients.iter().map(|_| Recipient::Open).collect();
        let pipelining = config.pipelining && offered.pipelining;
        Self {
            content: Content::new(&transaction.params, config, offered, pipelining),
            eight_bit: may_be_eight_bit(&transaction.params, offered),
            written: 0,
            spoiled: None,
            transaction,
            protocol: config.protocol,
            pipelining,
            step: TransferStep::Envelope,
            mail: MailReply::NotSent,
            issued: 0,
            recipients,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        match self.step {
            TransferStep::Body(_) | TransferStep::LastChunk => Stage::Body,
            TransferStep::Complete => Stage::Message,
            _ => Stage::Mail,
        }
    }

    /// Whether the server may have taken the message for somebody although it has not said so, if all of it has left.
    pub(super) fn is_uncertain(&self) -> bool {
        self.step == TransferStep::Complete && !self.recipients.iter().all(Recipient::is_done)
    }

    /// The event that tells the result, where that is known although the transfer is not over.
    pub(super) fn settled(&mut self) -> Option<Event> {
        let known = match self.step {
            TransferStep::Void(fate) | TransferStep::Reset(fate) => fate == Fate::Sent,
            _ => self.recipients.iter().all(Recipient::is_done),
        };
        known.then(|| self.outcome())
    }

    /// The event that tells the result of a transfer that is over.
    pub(super) fn last_event(&mut self) -> Option<Event> {
        match self.step {
            TransferStep::Void(Fate::Aborted) | TransferStep::Reset(Fate::Aborted) => Some(Event::Aborted),
            _ => Some(self.outcome()),
        }
    }

    fn outcome(&mut self) -> Event {
        let results =
            core::mem::take(&mut self.recipients).into_iter().filter_map(|recipient| match recipient {
                Recipient::Done(result) => Some(result),
                Recipient::Open | Recipient::Accepted => None,
            });
        Event::Sent(Outcome::new(results.collect()))
    }

    /// The server refuses the message for all that could still get it.
    pub(super) fn refuse(&mut self, stage: Stage, reply: &Reply) {
        let stage = if stage == Stage::Body { Stage::Message } else { stage };
        for recipient in &mut self.recipients {
            if !recipient.is_done() {
                *recipient = Recipient::Done(Err(Rejection { stage, reply: reply.clone() }));
            }
        }
    }

    fn accepted(&self) -> usize {
        self.recipients.iter().filter(|recipient| matches!(recipient, Recipient::Accepted)).count()
    }

    fn is_open(&self) -> bool {
        self.recipients.iter().any(|recipient| matches!(recipient, Recipient::Open))
    }

    /// Whether every RCPT is answered, and somebody gets the message.
    pub(super) fn is_envelope_accepted(&self) -> bool {
        !self.is_open() && self.accepted() > 0
    }

    pub(super) fn is_lmtp(&self) -> bool {
        self.protocol == Protocol::Lmtp
    }

    /// Sends what may go out.
    pub(super) fn pump(&mut self, channel: &mut Channel) -> Result<Pumped, ClientError> {
        match self.step {
            TransferStep::Envelope => self.pump_envelope(channel),
            TransferStep::Body(_) | TransferStep::LastChunk => self.pump_body(channel),
            TransferStep::Void(fate) if channel.is_settled() => {
                // RFC 3030 §2: after a refused BDAT only RSET makes sure that nothing is left of the transaction; the
                // same after a refused DATA, or when all recipients were.
                if !matches!(self.mail, MailReply::Accepted) {
                    return Ok(Pumped::Over(None));
                }
                channel.issue(&Command::Rset, Expect::Reset)?;
                self.step = TransferStep::Reset(fate);
                Ok(Pumped::Progress)
            }
            TransferStep::DataSent
            | TransferStep::Complete
            | TransferStep::Void(_)
            | TransferStep::Reset(_) => Ok(Pumped::Nothing),
        }
    }

    /// Whether the envelope of the next transaction may follow before the reply to this one has come (RFC 2920 §3.1).
    /// Not behind BDAT: if the last chunk is refused, RSET must come first (RFC 3030 §2).
    pub(super) fn lets_follow(&self) -> bool {
        self.step == TransferStep::Complete && self.pipelining && matches!(self.content, Content::Dots(_))
    }

    /// Sends what may follow the message of the transaction before: MAIL, RCPT and DATA, but no chunk.
    pub(super) fn pump_behind(&mut self, channel: &mut Channel) -> Result<Pumped, ClientError> {
        match self.step {
            TransferStep::Envelope => self.pump_envelope(channel),
            _ => Ok(Pumped::Nothing),
        }
    }

    fn pump_envelope(&mut self, channel: &mut Channel) -> Result<Pumped, ClientError> {
        if !self.pipelining && !channel.is_settled() {
            return Ok(Pumped::Nothing);
        }
        match self.mail {
            MailReply::NotSent => {
                let params = core::mem::take(&mut self.transaction.params);
                let mail = Command::Mail { from: self.transaction.from.clone(), params };
                channel.issue(&mail, Expect::Mail)?;
                self.mail = MailReply::Awaited;
                return Ok(Pumped::Progress);
            }
            MailReply::Refused => return Ok(self.void(Fate::Sent)),
            MailReply::Awaited | MailReply::Accepted => {}
        }
        if let Some((to, params)) = self.transaction.recipients.get_mut(self.issued) {
            if channel.send.is_high() || channel.outstanding() >= WINDOW {
                return Ok(Pumped::Nothing);
            }
            let rcpt = Command::Rcpt { to: to.clone(), params: core::mem::take(params) };
            channel.issue(&rcpt, Expect::Rcpt(self.issued))?;
            self.issued += 1;
            return Ok(Pumped::Progress);
        }
        if !self.is_open() && self.accepted() == 0 {
            return Ok(self.void(Fate::Sent));
        }
        self.step = match self.content {
            Content::Dots(_) => {
                channel.issue(&Command::Data, Expect::Data)?;
                TransferStep::DataSent
            }
            Content::Chunks(_) => TransferStep::Body(Feed::Due),
        };
        Ok(Pumped::Progress)
    }

    /// Sends no more of the transfer.
    pub(super) fn void(&mut self, fate: Fate) -> Pumped {
        self.content.discard();
        self.step = TransferStep::Void(fate);
        Pumped::Progress
    }

    pub(super) fn on_reply(
        &mut self,
        expect: Expect,
        reply: Reply,
        channel: &mut Channel,
    ) -> Result<Pumped, ClientError> {
        if expect == Expect::Reset {
            return Ok(Pumped::Over(None));
        }
        let class = reply.code().class();
        if class == 3 && expect != Expect::Data {
            return Err(ClientError::UnexpectedReply { stage: expect.stage(), reply });
        }
        let refused = class >= 4;
        match expect {
            Expect::Mail => self.on_mail(reply, refused),
            Expect::Rcpt(index) => Ok(self.on_rcpt(index, reply, refused)),
            Expect::Data => self.on_data(reply, channel),
            Expect::Chunk => {
                self.content.chunk_answered();
                if refused && !self.is_void() {
                    self.refuse(Stage::Message, &reply);
                    return Ok(self.void(Fate::Sent));
                }
                Ok(Pumped::Progress)
            }
            Expect::Message if !self.is_void() => Ok(self.on_message(reply, refused, channel)),
            _ => Ok(Pumped::Progress),
        }
    }

    fn is_void(&self) -> bool {
        matches!(self.step, TransferStep::Void(_))
    }

    fn on_mail(&mut self, reply: Reply, refused: bool) -> Result<Pumped, ClientError> {
        if !refused {
            self.mail = MailReply::Accepted;
            return Ok(Pumped::Progress);
        }
        if !self.is_void() {
            self.refuse(Stage::Mail, &reply);
        }
        self.mail = MailReply::Refused;
        Ok(match self.step {
            TransferStep::Void(_) => Pumped::Progress,
            _ => self.void(Fate::Sent),
        })
    }

    fn on_rcpt(&mut self, index: usize, reply: Reply, refused: bool) -> Pumped {
        // What a server says of recipients after it refused MAIL, 503 mostly, says nothing of them.
        if self.is_void() || matches!(self.mail, MailReply::Refused) {
            return Pumped::Progress;
        }
        self.recipients[index] = if refused {
            Recipient::Done(Err(Rejection { stage: Stage::Rcpt, reply: reply.clone() }))
        } else {
            Recipient::Accepted
        };
        let nobody = index + 1 == self.recipients.len() && self.accepted() == 0;
        if nobody {
            self.void(Fate::Sent);
        }
        Pumped::Event(Event::Recipient { index, reply })
    }

    fn on_data(&mut self, reply: Reply, channel: &mut Channel) -> Result<Pumped, ClientError> {
        let nobody = self.accepted() == 0;
        match reply.code().get() {
            354 if !nobody => {
                self.step = TransferStep::Body(Feed::Due);
                Ok(Pumped::Progress)
            }
            // RFC 2920 §3.1: the server waits for a message for nobody. It gets one without content.
            354 if !self.is_lmtp() => {
                channel.expect(Expect::EmptyMessage)?;
                channel.send.push(b".\r\n");
                channel.message_ends();
                Ok(self.void(Fate::Sent))
            }
            400..600 => {
                self.refuse(Stage::Data, &reply);
                Ok(self.void(Fate::Sent))
            }
            // RFC 2033 §4.2: an LMTP server answers 503 to DATA for nobody. There would be no reply to the message.
            _ => Err(ClientError::UnexpectedReply { stage: Stage::Data, reply }),
        }
    }

    fn on_message(&mut self, reply: Reply, refused: bool, channel: &mut Channel) -> Pumped {
        if self.is_lmtp() {
            return self.on_lmtp_message(reply, refused, channel);
        }
        if refused {
            self.refuse(Stage::Message, &reply);
        }
        for recipient in &mut self.recipients {
            if matches!(recipient, Recipient::Accepted) {
                *recipient = Recipient::Done(Ok(reply.clone()));
            }
        }
        self.after_message(refused)
    }

    /// RFC 2033 §4.2: a reply for each accepted recipient, in order.
    fn on_lmtp_message(&mut self, reply: Reply, refused: bool, channel: &mut Channel) -> Pumped {
        let next = self.recipients.iter().position(|recipient| matches!(recipient, Recipient::Accepted));
        let Some(index) = next else { return Pumped::Over(None) };
        let result = if refused {
            Err(Rejection { stage: Stage::Message, reply: reply.clone() })
        } else {
            Ok(reply.clone())
        };
        self.recipients[index] = Recipient::Done(result);
        let event = Event::Delivered { index, reply };
        if self.accepted() == 0 {
            return Pumped::Over(Some(event));
        }
        channel.expect_next(Expect::Message);
        Pumped::Event(event)
    }

    fn after_message(&mut self, refused: bool) -> Pumped {
        match self.content {
            Content::Chunks(_) if refused => self.void(Fate::Sent),
            _ => Pumped::Over(None),
        }
    }
}

/// RFC 5321 §2.4: without 8BITMIME a message is ASCII.
fn may_be_eight_bit(params: &MailParams, offered: &Capabilities) -> bool {
    match params.body {
        Some(Body::EightBitMime | Body::BinaryMime) => true,
        // RFC 6531 §3.1: who offers SMTPUTF8 takes 8-bit bytes.
        _ if params.smtputf8 => true,
        Some(Body::SevenBit) => false,
        None => offered.eight_bit_mime,
    }
}
