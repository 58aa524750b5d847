//! [`Channel`]: the buffers, and the replies that are owed for what was sent.
//!
//! Replies carry no name: which command one belongs to is known by counting alone (RFC 2920 §3.1). So each command that
//! goes out puts what it [expects](Expect) into a queue, and each reply that comes in takes the first out. A reply with
//! nothing to take out, or one that lies in the buffer before its command was sent, comes from somebody else, or from a
//! server that is out of step.

use super::{ClientConfig, ClientError, Stage, Timeouts};
use crate::codec::ReplyReader;
use crate::types::{Command, Reply, Verb};
use core::time::Duration;
use mail_wire::line::{Flaw, LineScanner, Scan};
use mail_wire::sasl::wire;
use mail_wire::{RecvBuffer, Secret, SendBuffer};
use std::collections::VecDeque;
use std::time::Instant;

/// Most replies that may be outstanding before no further RCPT goes out.
pub(super) const WINDOW: usize = 256;
/// Bytes that may wait to be sent before no further command or message content is taken.
pub(super) const HIGH_WATER: usize = 64 * 1024;
/// Bytes that may wait to be parsed.
const RECEIVE: usize = 32 * 1024;

/// What the next reply is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    Greeting,
    Hello(Verb),
    StartTls,
    Auth,
    /// The reply to `*`.
    AuthCancel,
    Mail,
    /// With the index of the recipient.
    Rcpt(usize),
    Data,
    /// A chunk that is not the last.
    Chunk,
    /// The whole message.
    Message,
    /// A message without content and recipients, sent because DATA was accepted all the same.
    EmptyMessage,
    Reset,
    Command(Verb),
    Quit,
}

impl Expect {
    pub(super) fn stage(self) -> Stage {
        match self {
            Expect::Greeting => Stage::Greeting,
            Expect::Hello(_) => Stage::Hello,
            Expect::StartTls => Stage::StartTls,
            Expect::Auth | Expect::AuthCancel => Stage::Auth,
            Expect::Mail => Stage::Mail,
            Expect::Rcpt(_) => Stage::Rcpt,
            Expect::Data => Stage::Data,
            Expect::Chunk => Stage::Body,
            Expect::Message | Expect::EmptyMessage => Stage::Message,
            Expect::Reset => Stage::Command(Verb::Rset),
            Expect::Command(verb) => Stage::Command(verb),
            Expect::Quit => Stage::Command(Verb::Quit),
        }
    }

    fn timeout(self, timeouts: &Timeouts) -> Duration {
        match self {
            Expect::Greeting => timeouts.greeting,
            Expect::Mail => timeouts.mail,
            Expect::Rcpt(_) => timeouts.rcpt,
            Expect::Data => timeouts.data,
            Expect::Chunk => timeouts.block,
            Expect::Message | Expect::EmptyMessage => timeouts.termination,
            Expect::Quit => timeouts.quit,
            Expect::Hello(_)
            | Expect::StartTls
            | Expect::Auth
            | Expect::AuthCancel
            | Expect::Reset
            | Expect::Command(_) => timeouts.command,
        }
    }
}

/// Both directions of the connection.
pub(super) struct Channel {
    pub(super) recv: RecvBuffer,
    pub(super) send: SendBuffer,
    scanner: LineScanner,
    reader: ReplyReader,
    awaited: VecDeque<Expect>,
    pub(super) now: Instant,
    /// When the wait began for what is waited for; `None` until some of it has left.
    since: Option<Instant>,
    /// The peer sends no more.
    pub(super) ended: bool,
    /// So many bytes at the front of what is to be sent belong to a message that is whole, or stand before it.
    message_unsent: usize,
}

impl Channel {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            recv: RecvBuffer::new(RECEIVE),
            send: SendBuffer::new(HIGH_WATER),
            scanner: LineScanner::new(),
            reader: ReplyReader::new(),
            awaited: VecDeque::new(),
            now,
            since: Some(now),
            ended: false,
            message_unsent: 0,
        }
    }

    /// Sends a command.
    pub(super) fn issue(&mut self, command: &Command, expect: Expect) -> Result<(), ClientError> {
        self.expect(expect)?;
        command.encode(self.send.tail());
        Ok(())
    }

    /// Sends a line, given with its CRLF, of which nothing is to stay in memory once it has left.
    pub(super) fn issue_secret(&mut self, line: &Secret, expect: Expect) -> Result<(), ClientError> {
        self.expect(expect)?;
        self.send.push_secret(line.expose());
        Ok(())
    }

    /// Notes that a reply is owed for what the caller pushes next.
    pub(super) fn expect(&mut self, expect: Expect) -> Result<(), ClientError> {
        self.start_clock();
        if self.awaited.is_empty() && self.holds_unasked_input() {
            return Err(ClientError::Unsolicited { stage: Stage::Idle });
        }
        self.awaited.push_back(expect);
        Ok(())
    }

    /// Notes that the reply to the message is owed, which was pushed. A refusal that came early will do; anything else
    /// that did not wait for the message is not about it.
    pub(super) fn expect_verdict(&mut self) -> Result<(), ClientError> {
        let early = self.reader.is_partial() || !matches!(self.recv.data(), [] | [b'4' | b'5', ..]);
        if early {
            return Err(ClientError::Unsolicited { stage: Stage::Body });
        }
        self.awaited.push_back(Expect::Message);
        Ok(())
    }

    /// Notes that what was pushed so far ends a message.
    pub(super) fn message_ends(&mut self) {
        self.message_unsent = self.send.data().len();
    }

    /// Whether some of a whole message is still to leave.
    pub(super) fn holds_message(&self) -> bool {
        self.message_unsent > 0
    }

    /// Waits for a reply that nothing is sent for, or for another one to the same command.
    pub(super) fn expect_next(&mut self, expect: Expect) {
        self.awaited.push_front(expect);
        self.since = Some(self.now);
    }

    /// What was read before its command was sent answers nothing, unless the server goes down.
    fn holds_unasked_input(&self) -> bool {
        let data = self.recv.data();
        let start = &data[..data.len().min(3)];
        self.reader.is_partial() || !b"421".starts_with(start)
    }

    /// To be called before anything is pushed: if nothing was under way, the time to wait begins when it has left.
    pub(super) fn start_clock(&mut self) {
        if self.awaited.is_empty() && self.send.is_empty() {
            self.since = None;
        }
    }

    /// The first of the replies that are owed.
    pub(super) fn awaits(&self) -> Option<Expect> {
        self.awaited.front().copied()
    }

    pub(super) fn outstanding(&self) -> usize {
        self.awaited.len()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Takes the expectation that a reply has met.
    pub(super) fn met(&mut self) -> Option<Expect> {
        self.since = Some(self.now);
        self.awaited.pop_front()
    }

    /// The next whole reply in the buffer.
    pub(super) fn reply(
        &mut self,
        config: &ClientConfig,
        stage: Stage,
    ) -> Result<Option<Reply>, ClientError> {
        // RFC 4954 §4: challenges may be longer than other replies; with code and CRLF.
        let limit = if stage == Stage::Auth { wire::MAX_LINE + 6 } else { config.reply_line_limit() };
        loop {
            let line = match self.scanner.scan(self.recv.data(), limit) {
                Scan::Partial => return Ok(None),
                Scan::TooLong => return Err(ClientError::LineTooLong { stage, limit }),
                Scan::Line(line) => line,
            };
            match line.flaw {
                None => {}
                Some(Flaw::BareLf) if config.bare_lf_replies => {}
                Some(flaw) => return Err(ClientError::Flaw { stage, flaw }),
            }
            let result = self.reader.line(&self.recv.data()[..line.text]);
            self.recv.consume(line.total);
            match result {
                Ok(None) => {}
                Ok(Some(reply)) => return Ok(Some(reply)),
                Err(error) => return Err(ClientError::Malformed { stage, error }),
            }
        }
    }

    /// Forgets all that was received and all that was to be sent.
    pub(super) fn purge(&mut self) {
        self.recv.purge();
        self.send.purge();
        self.scanner.reset();
        self.reader = ReplyReader::new();
        self.awaited.clear();
        self.message_unsent = 0;
    }

    pub(super) fn sent(&mut self, n: usize, now: Instant) {
        self.now = now;
        self.send.sent(n);
        self.message_unsent = self.message_unsent.saturating_sub(n);
        self.since = Some(now);
    }

    /// When the wait for the first outstanding reply, or for the peer to take what is being sent, is over; with its
    /// length.
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Option<(Instant, Duration)> {
        let after = match self.awaits() {
            // While the message is still leaving, it is the peer's taking it that is waited for.
            Some(Expect::Message) if self.holds_message() => timeouts.block,
            Some(expect) => expect.timeout(timeouts),
            None if !self.send.is_empty() => timeouts.block,
            None => return None,
        };
        Some((self.since? + after, after))
    }

    /// Gives memory back, now that nothing is under way.
    pub(super) fn shrink(&mut self) {
        self.recv.shrink();
        self.send.shrink();
        self.awaited.shrink_to(16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::HelloName;

    fn channel(input: &[u8]) -> Channel {
        let mut channel = Channel::new(Instant::now());
        channel.recv.spare()[..input.len()].copy_from_slice(input);
        channel.recv.filled(input.len());
        channel
    }

    #[test]
    fn what_lies_in_the_buffer_before_a_command_is_no_answer_to_it() {
        for (input, fine) in [
            ("", true),
            ("4", true),
            ("421 bye\r\n", true),
            ("250 ok\r\n", false),
            ("42 ", false),
            ("22", false),
        ] {
            let result = channel(input.as_bytes()).issue(&Command::Noop, Expect::Command(Verb::Noop));
            assert_eq!(result.is_ok(), fine, "{input:?}");
        }
    }

    #[test]
    fn only_a_refusal_may_come_before_the_end_of_a_message() {
        for (input, fine) in [
            ("", true),
            ("5", true),
            ("452 full\r\n", true),
            ("250 ok\r\n", false),
            ("2", false),
            ("x", false),
        ] {
            assert_eq!(channel(input.as_bytes()).expect_verdict().is_ok(), fine, "{input:?}");
        }
        let config = ClientConfig::new(HelloName::parse("localhost").unwrap());
        let mut channel = channel(b"250-part\r\n");
        assert_eq!(channel.reply(&config, Stage::Body), Ok(None));
        assert!(channel.expect_verdict().is_err());
    }

    #[test]
    fn part_of_a_reply_is_no_answer_to_a_later_command_either() {
        let config = ClientConfig::new(HelloName::parse("localhost").unwrap());
        let mut channel = channel(b"250-part\r\n");
        assert_eq!(channel.reply(&config, Stage::Idle), Ok(None));
        assert!(channel.recv.data().is_empty());
        assert!(channel.issue(&Command::Noop, Expect::Command(Verb::Noop)).is_err());
    }

    #[test]
    fn the_clock_of_a_reply_starts_when_its_command_leaves() {
        let timeouts = Timeouts::default();
        let mut channel = channel(b"");
        let later = channel.now + Duration::from_secs(3600);
        channel.issue(&Command::Noop, Expect::Mail).unwrap();
        assert_eq!(channel.deadline(&timeouts), None);
        channel.sent(6, later);
        assert_eq!(channel.deadline(&timeouts), Some((later + timeouts.mail, timeouts.mail)));
    }
}
