//! MAIL, RCPT, and the way into DATA and BDAT.

use super::body::{Chunk, Receiving};
use super::config::TOO_LARGE;
use super::event::{Event, ServerError};
use super::machine::{Asked, Server};
use super::replies::Positive;
use super::session::{Envelope, Progress};
use crate::types::{
    Body, ForwardPath, Hold, MailParams, Parameter, RcptParams, Refusal, ReversePath, Verdict,
};
use mail_wire::Step;
use mail_wire::dot::{Decoder, Framing};
use mail_wire::sasl::MechanismSet;

type Next = Option<Step<Event, ServerError>>;

/// RFC 5321 §4.1.1.11: a parameter that is not implemented.
const UNKNOWN_PARAMETER: Refusal =
    Refusal::from_static(555, (5, 5, 4), "parameter not recognized or not implemented");
const NEEDS_SMTPUTF8: Refusal =
    Refusal::from_static(553, (5, 6, 7), "non-ASCII addresses need the SMTPUTF8 parameter");

impl Server {
    pub(super) fn mail(&mut self, from: ReversePath, params: MailParams) -> Next {
        if let Err(refusal) = self.check_mail(&from, &params) {
            self.reply_error(&refusal);
            return None;
        }
        let envelope = Envelope {
            utf8: params.smtputf8,
            body: params.body,
            accepted: 0,
            attempted: 0,
            progress: Progress::Addressing,
        };
        let pending = self.ask(Asked::Mail(envelope));
        Some(Step::Event(Event::Mail { from, params, pending }))
    }

    fn check_mail(&self, from: &ReversePath, params: &MailParams) -> Result<(), Refusal> {
        if self.config.require_auth && self.session.identity.is_none() {
            return Err(Refusal::AUTHENTICATION_REQUIRED);
        }
        if self.config.extensions.limits.mail_max.is_some_and(|max| self.session.transactions >= max) {
            // RFC 9422 §4.1
            return Err(Refusal::from_static(421, (4, 5, 3), "too many transactions on this connection"));
        }
        self.check_mail_extensions(params)?;
        if !from.is_ascii() && !params.smtputf8 {
            return Err(NEEDS_SMTPUTF8);
        }
        // RFC 1870 §6.1
        if params.size.is_some_and(|size| size > self.config.limits.message_size()) {
            return Err(TOO_LARGE);
        }
        Ok(())
    }

    fn check_mail_extensions(&self, params: &MailParams) -> Result<(), Refusal> {
        let offered = &self.config.extensions;
        let extended = self.session.extended;
        let body = match params.body {
            None => true,
            Some(Body::SevenBit | Body::EightBitMime) => offered.eight_bit_mime,
            Some(Body::BinaryMime) => offered.binary_mime && offered.chunking,
        };
        let dsn = offered.dsn || (params.ret.is_none() && params.envid.is_none());
        let auth = params.auth.is_none() || self.config.mechanisms != MechanismSet::EMPTY;
        let known = body
            && dsn
            && auth
            && (offered.smtputf8 || !params.smtputf8)
            && (offered.deliver_by.is_some() || params.by.is_none())
            && (offered.future_release.is_some() || params.hold.is_none())
            && (offered.mt_priority || params.mt_priority.is_none())
            && (offered.requiretls || !params.requiretls)
            && self.knows_parameters(&params.other)
            && (extended || *params == MailParams::default());
        if !known {
            return Err(UNKNOWN_PARAMETER);
        }
        if params.requiretls && self.session.tls.is_none() {
            // RFC 8689 §4.1
            return Err(Refusal::from_static(530, (5, 7, 10), "REQUIRETLS needs TLS"));
        }
        if let (Some(least), Some(by)) = (offered.deliver_by, params.by) {
            // RFC 2852 §3: less than the announced minimum is refused.
            let too_short =
                by.mode == crate::types::ByMode::Return && i64::from(by.seconds) < i64::from(least);
            if too_short {
                return Err(Refusal::from_static(
                    501,
                    (5, 5, 4),
                    "BY time is below the minimum of this server",
                ));
            }
        }
        if let (Some(longest), Some(Hold::For(seconds))) = (offered.future_release, params.hold)
            && seconds > longest
        {
            // RFC 4865 §5.2
            return Err(Refusal::from_static(501, (5, 5, 4), "hold time is over the maximum of this server"));
        }
        Ok(())
    }

    fn knows_parameters(&self, parameters: &[Parameter]) -> bool {
        let known = &self.config.extensions.other_parameters;
        parameters
            .iter()
            .all(|parameter| known.iter().any(|known| parameter.keyword().eq_ignore_ascii_case(known)))
    }

    pub(super) fn answer_mail(&mut self, verdict: Verdict) {
        let Some(Asked::Mail(envelope)) = self.asked() else { return };
        if let Verdict::Refuse(refusal) = &verdict {
            return self.reply_error(refusal);
        }
        self.session.envelope = Some(envelope);
        self.session.transactions += 1;
        self.reply_verdict(&verdict, &Positive::new(250, (2, 1, 0), "sender ok"));
    }

    pub(super) fn rcpt(&mut self, to: ForwardPath, params: RcptParams) -> Next {
        if let Err(refusal) = self.check_rcpt(&to, &params) {
            self.reply_error(&refusal);
            return None;
        }
        let pending = self.ask(Asked::Recipient);
        Some(Step::Event(Event::Recipient { to, params, pending }))
    }

    fn check_rcpt(&mut self, to: &ForwardPath, params: &RcptParams) -> Result<(), Refusal> {
        let offered = &self.config.extensions;
        let announced = offered.limits.rcpt_max.map_or(usize::MAX, |max| max as usize);
        let max = self.config.limits.recipients().min(announced);
        let Some(envelope) = &mut self.session.envelope else { return Ok(()) };
        envelope.attempted += 1;
        let dsn = offered.dsn || (params.notify.is_none() && params.orcpt.is_none());
        let rrvs = offered.rrvs || params.rrvs.is_none();
        let utf8 = envelope.utf8;
        if envelope.accepted >= max {
            // RFC 5321 §4.5.3.1.10
            return Err(Refusal::from_static(452, (4, 5, 3), "too many recipients"));
        }
        if !dsn || !rrvs || !self.knows_parameters(&params.other) {
            return Err(UNKNOWN_PARAMETER);
        }
        if !self.session.extended && *params != RcptParams::default() {
            return Err(UNKNOWN_PARAMETER);
        }
        if !to.is_ascii() && !utf8 {
            return Err(NEEDS_SMTPUTF8);
        }
        self.check_recipient_domain(to)
    }

    /// RFC 9422 §4.3: keeps RCPTDOMAINMAX, where it is announced.
    fn check_recipient_domain(&mut self, to: &ForwardPath) -> Result<(), Refusal> {
        let (Some(max), Some(mailbox)) = (self.config.extensions.limits.rcpt_domain_max, to.mailbox()) else {
            return Ok(());
        };
        let domains = &mut self.session.recipient_domains;
        if domains.iter().any(|known| known.eq_ignore_ascii_case(mailbox.domain())) {
            return Ok(());
        }
        if domains.len() >= max as usize {
            return Err(Refusal::from_static(452, (4, 5, 3), "too many recipient domains"));
        }
        domains.push(mailbox.domain().into());
        Ok(())
    }

    pub(super) fn answer_recipient(&mut self, verdict: Verdict) {
        self.asked();
        if let Verdict::Refuse(refusal) = &verdict {
            return self.reply_error(refusal);
        }
        if let Some(envelope) = &mut self.session.envelope {
            envelope.accepted += 1;
        }
        self.reply_verdict(&verdict, &Positive::new(250, (2, 1, 5), "recipient ok"));
    }

    pub(super) fn data(&mut self) -> Next {
        if self.session.envelope.as_ref().is_some_and(|envelope| envelope.body == Some(Body::BinaryMime)) {
            // RFC 3030 §3: BINARYMIME goes by BDAT only.
            const NEEDS_BDAT: Refusal = Refusal::from_static(503, (5, 5, 1), "BODY=BINARYMIME needs BDAT");
            self.reply_error(&NEEDS_BDAT);
            self.drop_content_behind_data();
            return None;
        }
        let pending = self.ask(Asked::Data);
        Some(Step::Event(Event::Message(pending)))
    }

    pub(super) fn bdat(&mut self, size: u64, last: bool) -> Next {
        if !self.config.extensions.chunking || !self.session.extended {
            const NOT_OFFERED: Refusal = Refusal::from_static(502, (5, 5, 1), "BDAT not offered");
            self.swallow_chunk(size, last, NOT_OFFERED);
            return None;
        }
        let Some(envelope) = &self.session.envelope else {
            self.swallow_chunk(size, last, Refusal::LOCAL_ERROR);
            return None;
        };
        let before = match envelope.progress {
            Progress::Chunks { size, .. } => size,
            Progress::Addressing | Progress::Failed => 0,
        };
        if before.checked_add(size).is_none_or(|total| total > self.config.limits.message_size()) {
            self.swallow_chunk(size, last, TOO_LARGE);
            return None;
        }
        match envelope.progress {
            Progress::Chunks { size: before, held_cr } => {
                self.receive_chunk(Chunk { size, left: size, last }, before, held_cr);
                None
            }
            Progress::Addressing | Progress::Failed => {
                let pending = self.ask(Asked::Chunk { size, last });
                Some(Step::Event(Event::Message(pending)))
            }
        }
    }

    pub(super) fn answer_message(&mut self, verdict: Verdict) {
        match (self.asked(), verdict) {
            (Some(Asked::Data), Verdict::Refuse(refusal)) => {
                self.session.envelope = None;
                self.queued = Some(Event::Reset);
                self.reply_error(&refusal);
                self.drop_content_behind_data();
            }
            (Some(Asked::Data), _) => {
                self.reply(&Positive::plain(354, "go ahead, end with CRLF.CRLF"));
                let decoder = Decoder::new(Framing::Dots);
                self.await_body(Receiving::dots(decoder));
            }
            (Some(Asked::Chunk { size, last }), Verdict::Refuse(refusal)) => {
                self.swallow_chunk(size, last, refusal)
            }
            (Some(Asked::Chunk { size, last }), _) => {
                self.receive_chunk(Chunk { size, left: size, last }, 0, false);
            }
            _ => {}
        }
    }

    fn receive_chunk(&mut self, chunk: Chunk, before: u64, held_cr: bool) {
        let binary =
            self.session.envelope.as_ref().is_some_and(|envelope| envelope.body == Some(Body::BinaryMime));
        self.await_body(Receiving::chunk(chunk, before, held_cr, binary));
    }

    /// Reads and drops a chunk whose reply is a refusal; where it is too large for that, closes the connection.
    pub(super) fn swallow_chunk(&mut self, size: u64, last: bool, refusal: Refusal) {
        if size > self.config.limits.refused_bytes() || size > self.config.limits.message_size() {
            self.reply_refusal(&refusal);
            self.reply_fatal(
                &Refusal::from_static(421, (4, 5, 0), "chunk is too large to read past, closing connection"),
                super::Stage::Message,
            );
            return;
        }
        self.await_body(Receiving::refused_chunk(Chunk { size, left: size, last }, refusal));
    }
}
