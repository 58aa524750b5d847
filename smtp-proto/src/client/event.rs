//! What a client tells its embedder.

use super::Stage;
use crate::types::{Reply, Verb};

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// TLS was wanted if possible, and is not: STARTTLS is not offered, or refused by this reply. What follows goes in
    /// the clear. Comes before [`Event::Ready`].
    Unencrypted {
        /// The refusal; `None` where STARTTLS was not offered.
        refusal: Option<Reply>,
    },
    /// Greeted, encrypted and logged in as configured: [`Client::send`](super::Client::send) may be called. Comes again
    /// after XCLIENT.
    Ready,
    /// The reply to a RCPT. A refused recipient keeps nobody else from getting the message.
    Recipient {
        /// Which recipient of the transaction, counted from 0.
        index: usize,
        /// What the server said of it.
        reply: Reply,
    },
    /// There is room for more of the message: [`write_body`](super::Client::write_body) it, or
    /// [`finish_body`](super::Client::finish_body). Comes again after each write, once there is room.
    Body,
    /// LMTP: what became of the message for one recipient. All are told again by [`Event::Sent`]; this comes first in
    /// case the connection breaks in between.
    Delivered {
        /// Which recipient of the transaction, counted from 0.
        index: usize,
        /// What the server said.
        reply: Reply,
    },
    /// The transaction is over. Idle again, unless another was [sent](super::Client::send) behind it, or the server goes
    /// down with it (421): then the next poll says so.
    Sent(Outcome),
    /// The transaction was broken off by [`Client::abort`](super::Client::abort). Idle again.
    Aborted,
    /// The reply to a command other than those of a transaction. Idle again.
    Reply {
        /// The command.
        verb: Verb,
        /// The reply.
        reply: Reply,
    },
    /// ATRN was accepted: this side is the server from here on (RFC 2645 §5.2.1). See
    /// [`Client::atrn`](super::Client::atrn).
    Turned,
}

/// What became of a transaction, recipient by recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    results: Vec<Result<Reply, Rejection>>,
}

/// A recipient does not get the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reply} (in {stage})")]
pub struct Rejection {
    /// Which reply it was: to MAIL, to RCPT, to DATA, or to the message.
    pub stage: Stage,
    /// The reply.
    pub reply: Reply,
}

impl Rejection {
    /// Whether the same may succeed later.
    pub fn is_temporary(&self) -> bool {
        // RFC 5321 §4.5.3.1.10: 552 to RCPT is how old servers say "too many recipients".
        self.reply.code().is_temporary() || (self.stage == Stage::Rcpt && self.reply.code().get() == 552)
    }
}

impl Outcome {
    pub(super) fn new(results: Vec<Result<Reply, Rejection>>) -> Self {
        Self { results }
    }

    /// The results, in the order of the recipients: the server has taken responsibility for the message (`Ok`, with its
    /// reply to the message) or not.
    pub fn results(&self) -> &[Result<Reply, Rejection>] {
        &self.results
    }

    /// Whether every recipient gets the message.
    pub fn is_success(&self) -> bool {
        self.results.iter().all(Result::is_ok)
    }

    /// The indices of recipients that get the message.
    pub fn accepted(&self) -> impl Iterator<Item = usize> {
        self.results.iter().enumerate().filter(|(_, result)| result.is_ok()).map(|(index, _)| index)
    }

    /// The recipients that do not, by index, whether for now or for good.
    pub fn rejected(&self) -> impl Iterator<Item = (usize, &Rejection)> {
        self.results.iter().enumerate().filter_map(|(index, result)| Some((index, result.as_ref().err()?)))
    }

    /// The indices of recipients to try again later.
    pub fn temporary(&self) -> impl Iterator<Item = usize> {
        self.rejected().filter(|(_, rejection)| rejection.is_temporary()).map(|(index, _)| index)
    }

    /// The indices of recipients that were refused for good.
    pub fn permanent(&self) -> impl Iterator<Item = usize> {
        self.rejected().filter(|(_, rejection)| !rejection.is_temporary()).map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ReplyReader;

    #[test]
    fn an_outcome_sorts_its_recipients() {
        let reply = |line: &str| ReplyReader::new().line(line.as_bytes()).unwrap().unwrap();
        let rejected = |stage, line| Err(Rejection { stage, reply: reply(line) });
        let outcome = Outcome::new(vec![
            Ok(reply("250 ok")),
            rejected(Stage::Rcpt, "550 no"),
            rejected(Stage::Rcpt, "450 later"),
            rejected(Stage::Rcpt, "552 too many recipients"),
            rejected(Stage::Message, "552 too large"),
        ]);
        assert!(!outcome.is_success());
        assert_eq!(outcome.accepted().collect::<Vec<_>>(), [0]);
        assert_eq!(outcome.temporary().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(outcome.permanent().collect::<Vec<_>>(), [1, 4]);
        assert_eq!(outcome.results()[1].as_ref().unwrap_err().to_string(), "550 no (in the reply to RCPT)");
    }
}
