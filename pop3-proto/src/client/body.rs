//! A message on its way in: lent from the receive buffer, with dots taken away.
//!
//! What is looked at is looked at once: so many bytes at the front of the buffer are content, and what comes behind them, a
//! stuffing dot or the end, is remembered until they are taken. Bytes that no message should have (bare CR, bare LF, NUL) are
//! content as others are, since servers send what they once accepted; but nothing save CRLF `.` CRLF is the end.

use super::channel::Channel;
use super::{Client, ClientConfig, ClientError, CommandId, Stage};
use crate::types::{MessageNumber, Reply};
use mail_wire::dot::{Decoded, Decoder, Framing};
use mail_wire::line::Flaw;

/// A message that is being received.
pub(super) struct Body {
    pub(super) id: CommandId,
    pub(super) number: MessageNumber,
    /// The first line of the answer.
    pub(super) reply: Reply,
    decoder: Decoder,
    /// Whether the next byte begins a line, also by a bare LF. Looked at with that quirk only.
    at_line_start: bool,
    /// So many bytes at the front of the buffer are content that was not taken.
    lent: usize,
    next: Next,
    /// Bytes of content so far.
    total: u64,
    /// The embedder does not want the rest.
    pub(super) skipped: bool,
}

/// What stands behind the content that is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// To be looked at, once there is more.
    Unknown,
    /// So many bytes to drop.
    Dot,
    /// The end, and so many bytes to drop.
    End(usize),
}

/// What a look at the message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// More bytes are needed.
    Nothing,
    /// Content is lent.
    Content,
    End,
}

impl Body {
    pub(super) fn new(id: CommandId, number: MessageNumber, reply: Reply) -> Self {
        Self {
            id,
            number,
            reply,
            decoder: Decoder::new(Framing::Dots),
            at_line_start: true,
            lent: 0,
            next: Next::Unknown,
            total: 0,
            skipped: false,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        Stage::Message(self.number)
    }

    pub(super) fn lent<'a>(&self, channel: &'a Channel) -> &'a [u8] {
        if self.skipped { &[] } else { &channel.recv.data()[..self.lent] }
    }

    pub(super) fn consume(&mut self, n: usize, channel: &mut Channel) {
        self.lent -= n;
        channel.recv.consume(n);
    }

    /// Whether the embedder has yet to take what it was lent.
    pub(super) fn waits_for_embedder(&self) -> bool {
        self.lent > 0 && !self.skipped
    }

    /// Looks at what is in the buffer.
    pub(super) fn read(
        &mut self,
        channel: &mut Channel,
        config: &ClientConfig,
    ) -> Result<Found, ClientError> {
        loop {
            self.decode(channel, config)?;
            if self.skipped {
                let lent = self.lent;
                self.consume(lent, channel);
            }
            if self.lent > 0 {
                return Ok(Found::Content);
            }
            match core::mem::replace(&mut self.next, Next::Unknown) {
                Next::Dot => channel.recv.consume(1),
                Next::End(n) => {
                    channel.recv.consume(n);
                    return Ok(Found::End);
                }
                Next::Unknown => return Ok(Found::Nothing),
            }
        }
    }

    /// Goes on with what was not looked at yet.
    fn decode(&mut self, channel: &Channel, config: &ClientConfig) -> Result<(), ClientError> {
        while self.next == Next::Unknown {
            let rest = &channel.recv.data()[self.lent..];
            match self.look(rest, config) {
                Decoded::Data(n) => {
                    self.at_line_start = self.decoder.at_line_start();
                    self.add(n, config)?;
                }
                Decoded::Flaw(flaw) => {
                    self.at_line_start = flaw == Flaw::BareLf;
                    self.add(1, config)?;
                }
                Decoded::StuffedDot => {
                    self.at_line_start = false;
                    self.next = Next::Dot;
                }
                Decoded::End(n) => self.next = Next::End(n),
                Decoded::NeedMore => return Ok(()),
            }
        }
        Ok(())
    }

    fn look(&mut self, rest: &[u8], config: &ClientConfig) -> Decoded {
        if config.quirks.bare_lf && self.at_line_start {
            match rest {
                [] | [b'.'] | [b'.', b'\r'] => return Decoded::NeedMore,
                [b'.', b'\n', ..] => return Decoded::End(2),
                [b'.', b'\r', b'\n', ..] => return Decoded::End(3),
                // Where the decoder has seen the start of the line itself, it is to see the dot as well.
                [b'.', ..] if !self.decoder.at_line_start() => return Decoded::StuffedDot,
                _ => {}
            }
        }
        self.decoder.decode(rest)
    }

    fn add(&mut self, n: usize, config: &ClientConfig) -> Result<(), ClientError> {
        self.lent += n;
        self.total += n as u64;
        let limit = config.limits.message;
        if self.total > limit {
            return Err(ClientError::MessageTooLarge { number: self.number, limit });
        }
        Ok(())
    }

    /// The peer sends no more, and all that could be judged was taken: what was held back until its successor is known is
    /// content, unless it is a dot alone. Whether there is any left.
    pub(super) fn close(&mut self, channel: &mut Channel) -> bool {
        let rest = channel.recv.data();
        if self.skipped || matches!(rest, [b'.'] | [b'.', b'\r']) {
            let n = rest.len();
            channel.recv.consume(n);
        } else {
            self.lent = rest.len();
        }
        self.lent > 0
    }
}

impl Client {
    /// Content of the message that [`Event::Body`](super::Event::Body) told of, with CRLF as it was sent and without stuffing
    /// dots. Empty when there is none.
    pub fn body(&self) -> &[u8] {
        self.receiving().map_or(&[], |body| body.lent(&self.channel))
    }

    /// The first `n` bytes of [`body`](Self::body) were taken.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.body().len(), "more bytes consumed than the message has");
        if let Some((body, channel)) = self.receiving_mut() {
            body.consume(n, channel);
        }
    }

    /// Drops the rest of the message that is being received: it is read, since POP3 has no way to break off, but not lent.
    /// [`Event::Done`](super::Event::Done) comes at its end all the same. Without a message this does nothing.
    pub fn skip_body(&mut self) {
        if let Some((body, _)) = self.receiving_mut() {
            body.skipped = true;
        }
    }
}
