//! [`Transaction`]: who a message is from and for, and whether the server at hand can take it.

use super::{Chunking, SendError};
use crate::types::{
    Body, ByMode, Capabilities, DeliverBy, ForwardPath, Hold, MailParams, RcptParams, ReversePath, RrvsAction,
};

/// One message to one or more recipients.
///
/// What the server must know of the message stands in [`params`](Self::params): its size where that is known (with CRLF
/// line endings, without dot-stuffing), [`Body`] where it is other than lines of ASCII, `smtputf8` where its header is
/// UTF-8. It is upon the embedder that they are true; the client only sees to it that no 8-bit byte gets to a server that
/// cannot take it ([`BodyError::EightBit`](super::BodyError::EightBit)). Addresses beyond ASCII set `smtputf8` by
/// themselves.
///
/// ```
/// use smtp_proto::client::Transaction;
/// use smtp_proto::types::{Body, Mailbox};
///
/// let transaction = Transaction::new(Mailbox::parse("alice@example.org")?)
///     .to(Mailbox::parse("bob@example.com")?)
///     .to(Mailbox::parse("carol@example.net")?)
///     .with_size(48_000)
///     .with_body(Body::EightBitMime);
/// # Ok::<(), smtp_proto::types::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// Who gets the report if delivery fails.
    pub from: ReversePath,
    /// Parameters of MAIL.
    pub params: MailParams,
    /// Who gets the message.
    pub recipients: Vec<(ForwardPath, RcptParams)>,
}

impl Transaction {
    /// A transaction without recipients and parameters.
    pub fn new(from: impl Into<ReversePath>) -> Self {
        Self { from: from.into(), params: MailParams::new(), recipients: Vec::new() }
    }

    /// Adds a recipient.
    #[must_use]
    pub fn to(self, to: impl Into<ForwardPath>) -> Self {
        self.to_with(to, RcptParams::new())
    }

    /// Adds a recipient with parameters.
    #[must_use]
    pub fn to_with(mut self, to: impl Into<ForwardPath>, params: RcptParams) -> Self {
        self.recipients.push((to.into(), params));
        self
    }

    /// Sets the parameters of MAIL, all of them.
    #[must_use]
    pub fn with_params(self, params: MailParams) -> Self {
        Self { params, ..self }
    }

    /// Sets the size of the message in bytes.
    #[must_use]
    pub fn with_size(mut self, bytes: u64) -> Self {
        self.params.size = Some(bytes);
        self
    }

    /// Sets which bytes the message may hold.
    #[must_use]
    pub fn with_body(mut self, body: Body) -> Self {
        self.params.body = Some(body);
        self
    }

    /// Says that the header of the message is UTF-8 (RFC 6532).
    #[must_use]
    pub fn with_utf8_header(mut self) -> Self {
        self.params.smtputf8 = true;
        self
    }
}

/// A parameter that the server does not offer and that was left out: the message goes on without it.
///
/// What the embedder owes the sender then: a "relayed" report for NOTIFY=SUCCESS (RFC 3461 §5.2.2) and for `BY=…;N`
/// with trace (RFC 2852 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dropped {
    /// RET and ENVID.
    DsnOfMessage,
    /// NOTIFY and ORCPT of the recipient with this index.
    DsnOfRecipient(usize),
    /// `BY=…;N`.
    DeliverBy,
    /// MT-PRIORITY.
    MtPriority,
    /// AUTH=.
    Auth,
    /// RRVS of the recipient with this index, whose action is to continue.
    Rrvs(usize),
}

/// What a transaction has to fit.
pub(super) struct Offer<'a> {
    pub(super) capabilities: &'a Capabilities,
    pub(super) tls: bool,
    pub(super) chunking: Chunking,
}

impl Offer<'_> {
    /// Takes out of the transaction what the server does not offer and the message can go without.
    pub(super) fn fit(&self, transaction: &mut Transaction) -> Result<Vec<Dropped>, SendError> {
        if transaction.recipients.is_empty() {
            return Err(SendError::NoRecipients);
        }
        let limit = self.capabilities.limits.rcpt_max;
        let recipients = transaction.recipients.len();
        if let Some(limit) = limit.filter(|limit| recipients as u64 > u64::from(*limit)) {
            return Err(SendError::TooManyRecipients { recipients, limit });
        }
        let mut dropped = Vec::new();
        self.fit_content(transaction)?;
        self.fit_mail(&mut transaction.params, &mut dropped)?;
        for (index, (_, params)) in transaction.recipients.iter_mut().enumerate() {
            self.fit_recipient(index, params, &mut dropped)?;
        }
        Ok(dropped)
    }

    /// Size, bytes and characters of the message. None of it can be left out.
    fn fit_content(&self, transaction: &mut Transaction) -> Result<(), SendError> {
        let offered = self.capabilities;
        let params = &mut transaction.params;
        match (params.size, offered.size) {
            (Some(size), Some(limit)) if limit > 0 && size > limit => {
                return Err(SendError::TooLarge { size, limit });
            }
            (_, Some(_)) => {}
            (_, None) => params.size = None,
        }
        match params.body {
            None => {}
            // RFC 6152 §3: without the extension 7BIT goes without saying.
            Some(Body::SevenBit) if !offered.eight_bit_mime => params.body = None,
            Some(Body::SevenBit) => {}
            Some(Body::EightBitMime) => {
                need(offered.eight_bit_mime, "8BITMIME", "a message with 8-bit bytes")?;
            }
            // RFC 3030 §3: BINARYMIME goes with BDAT only.
            Some(Body::BinaryMime) => {
                need(offered.binary_mime, "BINARYMIME", "a binary message")?;
                let chunking = offered.chunking && self.chunking != Chunking::Never;
                need(chunking, "CHUNKING", "a binary message")?;
            }
        }
        let recipients = &transaction.recipients;
        let ascii = transaction.from.is_ascii() && recipients.iter().all(|(to, _)| to.is_ascii());
        if !ascii {
            need(offered.smtputf8, "SMTPUTF8", "an address beyond ASCII")?;
            params.smtputf8 = true;
        } else if params.smtputf8 {
            need(offered.smtputf8, "SMTPUTF8", "a header beyond ASCII")?;
        }
        Ok(())
    }

    fn fit_mail(&self, params: &mut MailParams, dropped: &mut Vec<Dropped>) -> Result<(), SendError> {
        let offered = self.capabilities;
        if !offered.dsn && (params.ret.is_some() || params.envid.is_some()) {
            (params.ret, params.envid) = (None, None);
            dropped.push(Dropped::DsnOfMessage);
        }
        if offered.auth.is_empty() && params.auth.take().is_some() {
            dropped.push(Dropped::Auth);
        }
        match (params.by, offered.deliver_by) {
            (None, _) => {}
            (Some(DeliverBy { mode: ByMode::Return, .. }), None) => {
                need(false, "DELIVERBY", "a message that must be delivered in time or returned")?;
            }
            (Some(_), None) => {
                params.by = None;
                dropped.push(Dropped::DeliverBy);
            }
            // RFC 2852 §4: a server refuses BY=…;R below the minimum it announced.
            (Some(DeliverBy { mode: ByMode::Return, seconds, .. }), Some(least))
                if i64::from(seconds) < i64::from(least) =>
            {
                return Err(SendError::TooSoon { seconds, least });
            }
            (Some(_), Some(_)) => {}
        }
        match (params.hold, offered.future_release) {
            (None, _) => {}
            (Some(_), None) => {
                need(false, "FUTURERELEASE", "a message that must not be released before its time")?
            }
            (Some(Hold::For(seconds)), Some(most)) if most > 0 && seconds > most => {
                return Err(SendError::TooLate { seconds, most });
            }
            (Some(_), Some(_)) => {}
        }
        if !offered.mt_priority && params.mt_priority.take().is_some() {
            dropped.push(Dropped::MtPriority);
        }
        if params.requiretls {
            if !self.tls {
                return Err(SendError::RequireTlsInClear);
            }
            // RFC 8689 §4.2.1: never to a server that does not offer it.
            need(offered.requiretls, "REQUIRETLS", "a message that requires TLS")?;
        }
        Ok(())
    }

    fn fit_recipient(
        &self,
        index: usize,
        params: &mut RcptParams,
        dropped: &mut Vec<Dropped>,
    ) -> Result<(), SendError> {
        let offered = self.capabilities;
        // RFC 3461 §5.2.2 (a)
        if !offered.dsn && (params.notify.is_some() || params.orcpt.is_some()) {
            (params.notify, params.orcpt) = (None, None);
            dropped.push(Dropped::DsnOfRecipient(index));
        }
        if let Some(rrvs) = params.rrvs.filter(|_| !offered.rrvs) {
            // RFC 7293 §3.1: R says to reject the recipient rather than to go on.
            need(
                rrvs.action == RrvsAction::Continue,
                "RRVS",
                "a recipient whose mailbox must not have changed hands",
            )?;
            params.rrvs = None;
            dropped.push(Dropped::Rrvs(index));
        }
        Ok(())
    }
}

fn need(offered: bool, extension: &'static str, purpose: &'static str) -> Result<(), SendError> {
    if offered { Ok(()) } else { Err(SendError::NotOffered { extension, purpose }) }
}
