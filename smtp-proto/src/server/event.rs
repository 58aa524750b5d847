//! What a server tells its embedder, and how questions are answered.

use super::Server;
use crate::types::{
    Domain, EtrnTarget, ForwardPath, HelloName, MailParams, RcptParams, Refusal, ReversePath, Verdict,
    VerifyTarget, XclientAttributes,
};
use mail_wire::sasl::{self, Mechanism};
use mail_wire::{Pending, ReplyText};

/// What happened on a connection. Events with a [`Pending`] are questions: the connection waits until
/// [`Server::answer`] gets the token back.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client is connected. Accepting greets it, refusing (554, or 421) closes the connection.
    Connected(Pending<Connected>),
    /// HELO, EHLO or LHLO. An envelope that was begun is dropped.
    Hello(HelloName, Pending<Hello>),
    /// MAIL: an envelope begins.
    Mail {
        /// Where the mail comes from.
        from: ReversePath,
        /// Parameters, each checked against what is offered.
        params: MailParams,
        /// To be answered.
        pending: Pending<Mail>,
    },
    /// RCPT: a recipient, to be accepted or refused for itself.
    Recipient {
        /// Where the mail goes.
        to: ForwardPath,
        /// Parameters, each checked against what is offered.
        params: RcptParams,
        /// To be answered.
        pending: Pending<Recipient>,
    },
    /// DATA or the first BDAT: the message is about to come. Accepting lets it.
    Message(Pending<Message>),
    /// [`Server::body`] has bytes of the message, to be taken by [`Server::consume`]. Told again until all are taken.
    Body,
    /// The message being received is void, the client will be told so at its end: it is too large, or holds what is
    /// not let pass. What was taken of it is to be thrown away.
    MessageRefused(Refusal),
    /// The message is whole. Accepting takes responsibility for it (RFC 5321 §6.1): it must be safe on disk before.
    MessageEnd(Pending<MessageEnd>),
    /// The envelope is dropped, and with it any message being received: RSET, or an end of the connection. A HELO,
    /// EHLO or LHLO does the same without this event.
    Reset,
    /// A question of the SASL exchange that AUTH began.
    Sasl(sasl::Question, Pending<Sasl>),
    /// AUTH succeeded; see [`Server::identity`].
    Authenticated,
    /// AUTH failed.
    AuthenticationFailed {
        /// The mechanism.
        mechanism: Mechanism,
        /// Why; not told to the client in full.
        failure: sasl::Failure,
        /// The name that the client gave, as far as the exchange got: at most 255 bytes, the rest is cut off.
        ///
        /// It is text from the peer: [escape](mail_wire::Escaped) it before it is shown. The password is never in it,
        /// but people type that into the field for the name at times: be as careful with the log as with the users'
        /// names, or leave out a name that no user has.
        user: Option<Box<str>>,
    },
    /// VRFY, where it is offered.
    Verify(VerifyTarget, Pending<Verify>),
    /// EXPN, where it is offered.
    Expand(VerifyTarget, Pending<Verify>),
    /// ETRN, where it is offered.
    Etrn(EtrnTarget, Pending<Etrn>),
    /// ATRN after AUTH, where it is offered. When it was accepted, [`Event::Turned`] follows.
    Atrn(Vec<Domain>, Pending<Atrn>),
    /// The roles turn (RFC 2645 §5.2.2): once all is sent, the transport is to be given to a client, with what
    /// [`Server::take_received`] has.
    Turned,
    /// XCLIENT from a trusted peer. Accepting begins the session anew for the client that is described.
    Xclient(XclientAttributes, Pending<Xclient>),
    /// XFORWARD from a trusted peer: facts about the client upstream, for the log.
    Xforward(XclientAttributes, Pending<Xforward>),
}

/// A kind of question, with the type of its answer. Only the kinds below exist.
pub trait Question: Sized {
    /// What [`Server::answer`] takes.
    type Answer;

    #[doc(hidden)]
    fn apply(server: &mut Server, answer: Self::Answer, _: sealed::Seal);
}

pub(super) mod sealed {
    /// Keeps others from adding kinds of questions.
    #[derive(Debug)]
    pub struct Seal;
}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident => $answer:ty, $apply:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $name {}

            impl Question for $name {
                type Answer = $answer;

                fn apply(server: &mut Server, answer: $answer, _: sealed::Seal) {
                    server.$apply(answer);
                }
            }
        )*
    };
}

questions! {
    /// The question of [`Event::Connected`].
    Connected => Verdict, answer_connected;
    /// The question of [`Event::Hello`].
    Hello => Verdict, answer_hello;
    /// The question of [`Event::Mail`].
    Mail => Verdict, answer_mail;
    /// The question of [`Event::Recipient`].
    Recipient => Verdict, answer_recipient;
    /// The question of [`Event::Message`].
    Message => Verdict, answer_message;
    /// The question of [`Event::MessageEnd`].
    MessageEnd => Delivered, answer_message_end;
    /// The question of [`Event::Sasl`].
    Sasl => sasl::Answer, answer_sasl;
    /// The question of [`Event::Verify`] and [`Event::Expand`].
    Verify => VerifyAnswer, answer_verify;
    /// The question of [`Event::Etrn`].
    Etrn => Verdict, answer_etrn;
    /// The question of [`Event::Atrn`].
    Atrn => Verdict, answer_atrn;
    /// The question of [`Event::Xclient`].
    Xclient => Verdict, answer_xclient;
    /// The question of [`Event::Xforward`].
    Xforward => Verdict, answer_xforward;
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// The same for all recipients.
    All(Verdict),
    /// For each accepted recipient its own, in the order of the RCPT commands. LMTP tells each.
    ///
    /// SMTP has one reply for all (RFC 5321 §4.2.5): a temporary refusal if there is one, since then the client keeps
    /// the message, else a permanent one, else success. Where recipients fail one by one, refuse them at RCPT, or
    /// accept and send a report. Missing verdicts count as 451, surplus ones are ignored.
    Each(Vec<Verdict>),
}

impl From<Verdict> for Delivered {
    fn from(verdict: Verdict) -> Self {
        Delivered::All(verdict)
    }
}

impl From<Refusal> for Delivered {
    fn from(refusal: Refusal) -> Self {
        Delivered::All(refusal.into())
    }
}

/// The answer to VRFY and EXPN.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyAnswer {
    /// 250 with a line for each mailbox found; none says 252.
    Found(Vec<ReplyText>),
    /// 252: cannot be verified, mail will be tried (RFC 5321 §7.3).
    CannotVerify,
    /// Refused.
    Refuse(Refusal),
}

/// Why a connection ended badly. What the embedder refused is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The client went away without QUIT.
    #[error("expected QUIT, found the end of the connection {0}")]
    Eof(Stage),
    /// The client was too slow.
    #[error("client too slow {0}")]
    Timeout(Stage),
    /// The client did not read its replies.
    #[error("client does not read its replies")]
    SendTimeout,
    /// Too many wrong commands, refused recipients or failed AUTH commands.
    #[error("too many errors from the client")]
    TooManyErrors,
    /// The client spoke before it was greeted.
    #[error("client talked before the greeting")]
    EarlyTalker,
    /// The client sent what cannot be read on from.
    #[error("client broke the protocol {0}")]
    Protocol(Stage),
    /// The PROXY header is none.
    #[error("bad PROXY header: {0}")]
    Proxy(crate::codec::ProxyError),
}

/// Where in a session something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Before the greeting.
    Connect,
    /// Between two transactions.
    Command,
    /// While an envelope was being given.
    Envelope,
    /// While a message was being sent.
    Message,
    /// In the midst of AUTH.
    Auth,
    /// In the midst of a TLS handshake.
    Tls,
}

impl core::fmt::Display for Stage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Stage::Connect => "before the greeting",
            Stage::Command => "between transactions",
            Stage::Envelope => "in the envelope",
            Stage::Message => "in the message",
            Stage::Auth => "in the SASL exchange",
            Stage::Tls => "in the TLS handshake",
        })
    }
}
