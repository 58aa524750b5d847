//! The message on its way out: behind DATA with dots doubled, or in chunks by BDAT.
//!
//! A chunk's size stands before its bytes, so each is gathered whole before it is sent. Chunks go out ahead of the
//! replies to those before them: one while the envelope is not answered, as nobody may want it, then up to
//! [`CHUNKS_AHEAD`].

use super::machine::Phase;
use super::replies::{Channel, Expect, HIGH_WATER};
use super::transaction::{Fate, Pumped, Transfer, TransferStep};
use super::{BodyError, Chunking, Client, ClientConfig, ClientError, Event};
use crate::types::{Body, Capabilities, Command, MailParams};
use mail_wire::dot::{Encoder, Framing, NewlineError};

/// Most chunks whose replies are outstanding.
const CHUNKS_AHEAD: usize = 16;

/// Whether the embedder knows that there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    /// To be told, once there is.
    Due,
    Told,
}

/// How the message travels.
pub(super) enum Content {
    Dots(Encoder),
    Chunks(Chunks),
}

pub(super) struct Chunks {
    /// Sees to line endings; `None` for BINARYMIME, which has none (RFC 3030 §3).
    encoder: Option<Encoder>,
    /// The chunk that is being gathered.
    pending: Vec<u8>,
    limit: usize,
    /// Chunks that were sent and not answered.
    outstanding: usize,
}

impl Content {
    pub(super) fn new(
        params: &MailParams,
        config: &ClientConfig,
        offered: &Capabilities,
        pipelining: bool,
    ) -> Self {
        let limit = config.chunk_limit();
        let binary = params.body == Some(Body::BinaryMime);
        let fits = params.size.is_some_and(|size| size <= limit as u64);
        let chunked = offered.chunking
            && match config.chunking {
                Chunking::Auto => binary || (pipelining && fits),
                Chunking::Never => false,
                Chunking::Always => true,
            };
        if !chunked {
            return Content::Dots(Encoder::new(Framing::Dots, config.newlines));
        }
        let encoder = (!binary).then(|| Encoder::new(Framing::Counted, config.newlines));
        Content::Chunks(Chunks { encoder, pending: Vec::new(), limit, outstanding: 0 })
    }

    pub(super) fn chunk_answered(&mut self) {
        if let Content::Chunks(chunks) = self {
            chunks.outstanding = chunks.outstanding.saturating_sub(1);
        }
    }

    /// Forgets what was not sent.
    pub(super) fn discard(&mut self) {
        if let Content::Chunks(chunks) = self {
            chunks.pending = Vec::new();
        }
    }

    /// How many bytes of the message can be taken.
    fn room(&self, channel: &Channel) -> usize {
        match self {
            Content::Dots(_) => channel.send.room(),
            Content::Chunks(chunks) => chunks.limit.saturating_sub(chunks.pending.len()),
        }
    }

    fn write(&mut self, data: &[u8], channel: &mut Channel) -> Result<(), NewlineError> {
        match self {
            Content::Dots(encoder) => {
                channel.start_clock();
                encoder.encode(data, channel.send.tail())
            }
            Content::Chunks(Chunks { encoder: Some(encoder), pending, .. }) => encoder.encode(data, pending),
            Content::Chunks(Chunks { encoder: None, pending, .. }) => {
                pending.extend_from_slice(data);
                Ok(())
            }
        }
    }

    /// Ends the last line, and behind DATA the message.
    fn end(&mut self, channel: &mut Channel) -> Result<(), NewlineError> {
        match self {
            Content::Dots(encoder) => {
                channel.start_clock();
                encoder.clone().finish(channel.send.tail())
            }
            Content::Chunks(Chunks { encoder, pending, .. }) => {
                encoder.take().map_or(Ok(()), |encoder| encoder.finish(pending))
            }
        }
    }

    fn has_room(&self, channel: &Channel) -> bool {
        match self {
            Content::Dots(_) => channel.send.room() >= HIGH_WATER / 2,
            Content::Chunks(chunks) => chunks.pending.len() < chunks.limit && !channel.send.is_high(),
        }
    }
}

impl Chunks {
    /// Sends the next chunk. Whether it was the last.
    fn send(&mut self, complete: bool, channel: &mut Channel) -> Result<bool, ClientError> {
        let size = self.pending.len().min(self.limit);
        let last = complete && size == self.pending.len();
        let expect = if last { Expect::Message } else { Expect::Chunk };
        channel.issue(&Command::Bdat { size: size as u64, last }, expect)?;
        channel.send.push(&self.pending[..size]);
        if last {
            channel.message_ends();
            self.pending = Vec::new();
        } else {
            self.pending.drain(..size);
            self.outstanding += 1;
        }
        Ok(last)
    }

    fn is_due(&self, complete: bool) -> bool {
        complete || self.pending.len() >= self.limit
    }

    /// Whether the next chunk is the last.
    fn is_last(&self, complete: bool) -> bool {
        complete && self.pending.len() <= self.limit
    }
}

impl Transfer {
    /// Takes what fits of the message; nothing more once it is spoiled.
    fn write(&mut self, data: &[u8], channel: &mut Channel) -> Result<usize, BodyError> {
        if let Some(error) = self.spoiled {
            return Err(error);
        }
        let data = &data[..data.len().min(self.content.room(channel))];
        self.check(data)?;
        let written = self.content.write(data, channel);
        self.unless_spoiled(written.map_err(Into::into))?;
        self.written += data.len() as u64;
        Ok(data.len())
    }

    /// Whether the server may get these bytes.
    fn check(&mut self, data: &[u8]) -> Result<(), BodyError> {
        if self.eight_bit || data.is_ascii() {
            return Ok(());
        }
        let at = data.iter().position(|byte| !byte.is_ascii()).unwrap_or_default();
        self.unless_spoiled(Err(BodyError::EightBit { at: self.written + at as u64 }))
    }

    /// Ends the message.
    fn complete(&mut self, channel: &mut Channel) -> Result<(), BodyError> {
        if let Some(error) = self.spoiled {
            return Err(error);
        }
        let ended = self.content.end(channel);
        self.unless_spoiled(ended.map_err(Into::into))?;
        self.step = match self.content {
            Content::Chunks(_) => TransferStep::LastChunk,
            Content::Dots(_) => TransferStep::Complete,
        };
        Ok(())
    }

    /// Notes an error, after which the message cannot be completed.
    fn unless_spoiled(&mut self, result: Result<(), BodyError>) -> Result<(), BodyError> {
        self.spoiled = result.err();
        result
    }

    /// Sends a chunk if one is due and may go, and asks for more where there is room.
    pub(super) fn pump_body(&mut self, channel: &mut Channel) -> Result<Pumped, ClientError> {
        let complete = self.step == TransferStep::LastChunk;
        let may_send = self.may_send_chunk(complete, channel);
        if let Content::Chunks(chunks) = &mut self.content
            && may_send
            && chunks.is_due(complete)
        {
            if chunks.send(complete, channel)? {
                self.step = TransferStep::Complete;
            }
            return Ok(Pumped::Progress);
        }
        if self.step == TransferStep::Body(Feed::Due) && self.content.has_room(channel) {
            self.step = TransferStep::Body(Feed::Told);
            return Ok(Pumped::Event(Event::Body));
        }
        Ok(Pumped::Nothing)
    }

    fn may_send_chunk(&self, complete: bool, channel: &Channel) -> bool {
        let Content::Chunks(chunks) = &self.content else { return false };
        if channel.send.is_high() {
            return false;
        }
        if !self.pipelining {
            return channel.is_settled();
        }
        match chunks.outstanding {
            0 => true,
            // How many replies there are to the last chunk depends on whether those before it were accepted.
            _ if self.is_lmtp() && chunks.is_last(complete) => false,
            ahead => ahead < CHUNKS_AHEAD && self.is_envelope_accepted(),
        }
    }
}

impl Client {
    /// Takes as much of the message as there is room for, and gives how much that was. Line endings are seen to as
    /// configured, dots are doubled here.
    ///
    /// Of what does not fit, the rest is to be given again after the next [`Event::Body`].
    ///
    /// # Errors
    ///
    /// [`BodyError::NotNow`] if no message is asked for; [`BodyError::Newline`] at a bare CR or LF, where those are not
    /// [repaired](ClientConfig::newlines); [`BodyError::EightBit`] at a byte beyond ASCII in a message of which the
    /// server was not told. After the last two the message cannot be completed: each further call says the same, and
    /// what is left is to [`abort`](Self::abort).
    pub fn write_body(&mut self, data: &[u8]) -> Result<usize, BodyError> {
        let Phase::Transfer(transfer) = &mut self.phase else { return Err(BodyError::NotNow) };
        if !matches!(transfer.step, TransferStep::Body(_)) {
            return Err(BodyError::NotNow);
        }
        let taken = transfer.write(data, &mut self.channel)?;
        transfer.step = TransferStep::Body(Feed::Due);
        Ok(taken)
    }

    /// The message is complete. A last line without its end gets one.
    ///
    /// # Errors
    ///
    /// As for [`write_body`](Self::write_body).
    pub fn finish_body(&mut self) -> Result<(), BodyError> {
        let Phase::Transfer(transfer) = &mut self.phase else { return Err(BodyError::NotNow) };
        if !matches!(transfer.step, TransferStep::Body(_)) {
            return Err(BodyError::NotNow);
        }
        transfer.complete(&mut self.channel)?;
        if transfer.step == TransferStep::Complete {
            self.channel.message_ends();
            let expected = self.channel.expect_verdict();
            self.fail_on(expected);
        }
        Ok(())
    }

    /// Breaks the transaction off.
    ///
    /// By BDAT, or before the message was asked for, it is reset and the connection goes on: [`Event::Aborted`] tells
    /// when. Behind DATA the only way not to have half a message accepted is to close the connection:
    /// [`ClientError::Aborted`]. When the whole message has left it is too late, and what becomes of it is
    /// [uncertain](ClientError::Uncertain); a transaction that was [sent](Self::send) behind it goes with it.
    ///
    /// # Errors
    ///
    /// [`BodyError::NotNow`] if there is no transaction, or its result is known and about to be told.
    pub fn abort(&mut self) -> Result<(), BodyError> {
        let Phase::Transfer(transfer) = &mut self.phase else { return Err(BodyError::NotNow) };
        let chunked = matches!(transfer.content, Content::Chunks(_));
        match transfer.step {
            TransferStep::Envelope => {
                transfer.void(Fate::Aborted);
            }
            TransferStep::Body(_) | TransferStep::LastChunk if chunked => {
                transfer.void(Fate::Aborted);
            }
            TransferStep::Void(_) | TransferStep::Reset(_) => return Err(BodyError::NotNow),
            _ => self.fail(ClientError::Aborted),
        }
        Ok(())
    }
}
