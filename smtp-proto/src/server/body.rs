//! Messages as they come: un-stuffed or counted, checked, lent to the embedder in slices, and concluded.

use super::config::{BARE_NEWLINE, BareNewlines, NUL_IN_MESSAGE, NulPolicy, TOO_LARGE};
use super::event::{Delivered, Event, MessageEnd, ServerError, Stage};
use super::machine::{Asked, Server, State};
use super::replies::Positive;
use super::session::Progress;
use crate::types::{Refusal, Verdict};
use core::fmt;
use mail_wire::dot::{Decoded, Decoder, Framing};
use mail_wire::line::Flaw;
use mail_wire::{ReplyText, Step};

type Next = Option<Step<Event, ServerError>>;

/// The state of a message, or of one chunk of it, on its way in.
pub(super) struct Receiving {
    decoder: Decoder,
    chunk: Option<Chunk>,
    /// Any byte may come: BODY=BINARYMIME.
    binary: bool,
    /// Bytes of content so far, over all chunks.
    size: u64,
    /// So many bytes at the front of the received data are clean content that the embedder has not taken.
    lent: usize,
    /// Content that stands for something else that came; lent before what is in the buffer.
    substitute: &'static [u8],
    /// The chunk before ended with a CR.
    held_cr: bool,
    refused: Option<Refusal>,
    /// Bytes dropped since the message was refused.
    dropped: u64,
}

/// A BDAT chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    pub(super) size: u64,
    pub(super) left: u64,
    pub(super) last: bool,
}

/// Without the content.
impl fmt::Debug for Receiving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving")
            .field("chunk", &self.chunk)
            .field("size", &self.size)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl Receiving {
    pub(super) fn dots(decoder: Decoder) -> Self {
        Self {
            decoder,
            chunk: None,
            binary: false,
            size: 0,
            lent: 0,
            substitute: &[],
            held_cr: false,
            refused: None,
            dropped: 0,
        }
    }

    pub(super) fn chunk(chunk: Chunk, size: u64, held_cr: bool, binary: bool) -> Self {
        Self { chunk: Some(chunk), size, held_cr, binary, ..Self::dots(Decoder::new(Framing::Counted)) }
    }

    pub(super) fn refused_chunk(chunk: Chunk, refusal: Refusal) -> Self {
        Self { refused: Some(refusal), ..Self::chunk(chunk, 0, false, true) }
    }

    /// Whether the embedder has content to take.
    pub(super) fn is_lent(&self) -> bool {
        self.lent > 0 || !self.substitute.is_empty()
    }

    /// Says what the front of `data` is. Whatever is told is to be taken off before the next call.
    fn front(&mut self, data: &[u8]) -> Front {
        let Some(chunk) = self.chunk else {
            let decoded = match self.refused {
                None => self.decoder.decode(data),
                Some(_) => match self.decoder.skip(data) {
                    Decoded::Data(n) => return Front::Refused(n),
                    other => other,
                },
            };
            return match decoded {
                Decoded::Data(n) => Front::Content(n),
                Decoded::StuffedDot => Front::Dot,
                Decoded::Flaw(flaw) => Front::Flaw(flaw),
                Decoded::End(n) => Front::End(n),
                Decoded::NeedMore => Front::NeedMore,
            };
        };
        let data = &data[..data.len().min(usize::try_from(chunk.left).unwrap_or(usize::MAX))];
        let whole = data.len() as u64 == chunk.left;
        match data {
            [] => Front::NeedMore,
            _ if self.refused.is_some() => Front::Refused(data.len()),
            _ if self.binary => Front::Content(data.len()),
            [b'\n', ..] if self.held_cr => Front::CompletesCr,
            _ if self.held_cr => Front::LeavesCrBare,
            [b'\r'] if whole => Front::HoldCr,
            _ => match self.decoder.decode(data) {
                Decoded::Data(n) => Front::Content(n),
                Decoded::Flaw(flaw) => Front::Flaw(flaw),
                // Neither dots nor an end in counted framing.
                Decoded::NeedMore | Decoded::StuffedDot | Decoded::End(_) => Front::NeedMore,
            },
        }
    }
}

/// What the front of the received data is.
enum Front {
    /// Content, to be lent.
    Content(usize),
    /// Bytes of a message that is refused, up to its end at the most.
    Refused(usize),
    /// A stuffing dot.
    Dot,
    /// One byte that should not be there.
    Flaw(Flaw),
    /// The CR held back from the chunk before has its LF here.
    CompletesCr,
    /// The CR held back from the chunk before stays alone; nothing of it is in the buffer.
    LeavesCrBare,
    /// The last byte of a chunk is a CR.
    HoldCr,
    End(usize),
    NeedMore,
}

impl Server {
    /// Content of the message that [`Event::Body`] told of. Empty when there is none.
    pub fn body(&self) -> &[u8] {
        match &self.state {
            State::Body(Receiving { substitute, .. }) if !substitute.is_empty() => substitute,
            State::Body(receiving) => &self.recv.data()[..receiving.lent],
            _ => &[],
        }
    }

    /// The first `n` bytes of [`body`](Self::body) were taken.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.body().len(), "more bytes of the message consumed than there were");
        let State::Body(receiving) = &mut self.state else { return };
        if receiving.substitute.is_empty() {
            receiving.lent -= n;
            self.take(n);
        } else {
            receiving.substitute = &receiving.substitute[n..];
        }
    }

    /// Size of the message so far in bytes, as SIZE counts (RFC 1870 §3).
    pub fn message_size(&self) -> u64 {
        match (&self.state, &self.session.envelope) {
            (State::Body(receiving), _) => receiving.size,
            (_, Some(envelope)) => match envelope.progress {
                Progress::Chunks { size, .. } => size,
                _ => 0,
            },
            _ => 0,
        }
    }

    /// Takes `n` bytes off the buffer and off the chunk.
    fn take(&mut self, n: usize) {
        self.recv.consume(n);
        if let State::Body(Receiving { chunk: Some(chunk), .. }) = &mut self.state {
            chunk.left -= n as u64;
        }
    }

    pub(super) fn read_body(&mut self) -> Next {
        let State::Body(receiving) = &mut self.state else { return None };
        if receiving.is_lent() {
            return Some(Step::Event(Event::Body));
        }
        if let Some(chunk) = receiving.chunk.filter(|chunk| chunk.left == 0) {
            return self.end_of_chunk(chunk);
        }
        match receiving.front(self.recv.data()) {
            Front::Content(n) => {
                receiving.lent = n;
                self.charge(n)
            }
            Front::Refused(n) => self.drop_refused(n),
            Front::Dot => {
                self.take(1);
                None
            }
            Front::Flaw(flaw) => {
                self.take(1);
                self.flaw(flaw)
            }
            Front::CompletesCr => {
                receiving.held_cr = false;
                receiving.substitute = b"\r\n";
                self.take(1);
                self.charge(2)
            }
            Front::LeavesCrBare => {
                receiving.held_cr = false;
                self.flaw(Flaw::BareCr)
            }
            Front::HoldCr => {
                receiving.held_cr = true;
                self.take(1);
                None
            }
            Front::End(n) => {
                self.take(n);
                self.end_of_message()
            }
            Front::NeedMore => self.blocked(),
        }
    }

    /// Counts content that was just made ready to be lent; where the message gets too large, takes it back.
    fn charge(&mut self, content: usize) -> Next {
        let limit = self.config.limits.message_size();
        let State::Body(receiving) = &mut self.state else { return None };
        receiving.size += content as u64;
        if receiving.size > limit { self.refuse_message(TOO_LARGE) } else { None }
    }

    /// Drops bytes of a message that is refused. One that goes on and on is told why, and the connection closed.
    fn drop_refused(&mut self, n: usize) -> Next {
        let most = self.config.limits.refused_bytes();
        self.take(n);
        let State::Body(receiving) = &mut self.state else { return None };
        receiving.dropped += n as u64;
        if receiving.dropped > most {
            if let Some(refusal) = receiving.refused.take() {
                self.reply_refusal(&refusal);
            }
            self.close(Err(ServerError::Protocol(Stage::Message)));
        }
        None
    }

    /// Refuses the message that is coming: what was ready to be lent and what follows is dropped, the reply waits for
    /// the end.
    fn refuse_message(&mut self, refusal: Refusal) -> Next {
        let State::Body(receiving) = &mut self.state else { return None };
        receiving.refused = Some(refusal.clone());
        receiving.substitute = &[];
        let lent = core::mem::take(&mut receiving.lent);
        self.take(lent);
        Some(Step::Event(Event::MessageRefused(refusal)))
    }

    /// Deals with a byte that should not have been there, and is not in the buffer any more.
    fn flaw(&mut self, flaw: Flaw) -> Next {
        let (bare, nul) = (self.config.bare_newlines, self.config.nul);
        let State::Body(receiving) = &mut self.state else { return None };
        receiving.substitute = match (flaw, bare, nul) {
            (Flaw::Nul, _, NulPolicy::Reject) => return self.refuse_message(NUL_IN_MESSAGE),
            (Flaw::Nul, _, NulPolicy::Strip) => b"",
            (Flaw::Nul, _, NulPolicy::Keep) => b"\0",
            (_, BareNewlines::Reject, _) => return self.refuse_message(BARE_NEWLINE),
            (Flaw::BareCr, BareNewlines::Repair, _) => b" ",
            (_, BareNewlines::Repair, _) => b"\r\n",
            (Flaw::BareCr, BareNewlines::Keep, _) => b"\r",
            (_, BareNewlines::Keep, _) => b"\n",
        };
        // What is stripped counts as well, or a message of nothing else would have no end.
        let content = receiving.substitute.len().max(1);
        self.charge(content)
    }

    fn end_of_chunk(&mut self, chunk: Chunk) -> Next {
        let State::Body(receiving) = &mut self.state else { return None };
        if let Some(refusal) = receiving.refused.take() {
            self.refuse_chunk(&refusal, chunk);
            return None;
        }
        if chunk.last && core::mem::take(&mut receiving.held_cr) {
            return self.flaw(Flaw::BareCr);
        }
        let progress = Progress::Chunks { size: receiving.size, held_cr: receiving.held_cr };
        if let Some(envelope) = &mut self.session.envelope {
            envelope.progress = progress;
        }
        if chunk.last {
            return self.end_of_message();
        }
        self.await_command();
        let from = self.send.tail().len();
        let text = ReplyText::sanitized(&format!("{} bytes received", chunk.size));
        self.reply_verdict(&Verdict::AcceptWith(text), &Positive::new(250, (2, 0, 0), ""));
        if chunk.size == 0 {
            self.count_junk(from);
        }
        None
    }

    /// RFC 3030 §2: after a BDAT that failed the transaction can only be given up; after the last it is over.
    fn refuse_chunk(&mut self, refusal: &Refusal, chunk: Chunk) {
        self.await_command();
        let failed_now = match &mut self.session.envelope {
            Some(envelope) if envelope.accepted > 0 => {
                core::mem::replace(&mut envelope.progress, Progress::Failed) != Progress::Failed
            }
            _ => false,
        };
        if chunk.last && failed_now {
            self.conclude(Delivered::All(refusal.clone().into()));
        } else {
            self.reply_error(refusal);
        }
    }

    fn end_of_message(&mut self) -> Next {
        let State::Body(receiving) = &mut self.state else { return None };
        if let Some(refusal) = receiving.refused.take() {
            self.await_command();
            self.conclude(Delivered::All(refusal.into()));
            return None;
        }
        let pending = self.ask::<MessageEnd>(Asked::MessageEnd);
        Some(Step::Event(Event::MessageEnd(pending)))
    }

    pub(super) fn answer_message_end(&mut self, delivered: Delivered) {
        self.asked();
        self.conclude(delivered);
    }

    /// Writes the reply or replies for a message and ends the transaction.
    fn conclude(&mut self, delivered: Delivered) {
        const OK: Positive = Positive::new(250, (2, 0, 0), "ok, message accepted");
        const PER_RECIPIENT: Positive = Positive::new(250, (2, 1, 5), "ok, message accepted");
        let recipients = self.session.envelope.take().map_or(0, |envelope| envelope.accepted);
        if self.is_lmtp() {
            // RFC 2033 §4.2: in the order of the RCPT commands.
            let verdicts = match delivered {
                Delivered::All(verdict) => vec![verdict; recipients],
                Delivered::Each(mut verdicts) => {
                    verdicts.resize(recipients, Verdict::Refuse(Refusal::LOCAL_ERROR));
                    verdicts
                }
            };
            let mut accepted = false;
            for verdict in &verdicts {
                accepted |= !matches!(verdict, Verdict::Refuse(_));
                self.reply_verdict(verdict, &PER_RECIPIENT);
            }
            return if accepted {
                self.forgive()
            };
        }
        let verdict = match delivered {
            Delivered::All(verdict) => verdict,
            Delivered::Each(verdicts) if verdicts.len() < recipients => Verdict::Refuse(Refusal::LOCAL_ERROR),
            Delivered::Each(verdicts) => {
                verdicts.into_iter().take(recipients).max_by_key(weight).unwrap_or(Verdict::Accept)
            }
        };
        self.reply_verdict(&verdict, &OK);
        if !matches!(verdict, Verdict::Refuse(_)) {
            self.forgive();
        }
    }

    /// A client that delivers mail may err again.
    fn forgive(&mut self) {
        self.counters.errors = 0;
        self.counters.junk = 0;
    }
}

/// Which verdict speaks for all recipients: the heaviest.
fn weight(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Accept | Verdict::AcceptWith(_) => 0,
        Verdict::Refuse(refusal) if refusal.code().is_permanent() => 1,
        Verdict::Refuse(_) => 2,
    }
}
