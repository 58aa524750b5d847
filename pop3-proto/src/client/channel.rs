//! [`Channel`]: the buffers, and the replies that are owed for what was sent.
//!
//! Replies carry no name: which command one belongs to is known by counting alone (RFC 2449 §6.6). So each command that goes
//! out puts what it [expects](Expect) into a queue, and each reply that is complete takes the first out. A reply with nothing
//! to take out, or one that lies in the buffer before its command was sent, comes from somebody else, or from a server that is
//! out of step.

use super::{ClientConfig, ClientError, CommandId, Request, Stage, Timeouts};
use crate::codec::{MAX_COMMAND, ReplyError, ReplyLine};
use crate::types::{Command, Verb};
use core::time::Duration;
use mail_wire::line::{Flaw, Line, LineScanner, Scan};
use mail_wire::sasl::wire;
use mail_wire::{RecvBuffer, Secret, SendBuffer};
use std::collections::VecDeque;
use std::time::Instant;

/// Bytes that may wait to be sent before no further command is sent.
const HIGH_WATER: usize = 16 * 1024;
/// Bytes that may wait to be parsed or taken.
const RECEIVE: usize = 64 * 1024;
/// What a server must send within [`Timeouts::transfer`].
const PROGRESS: usize = 1024;

/// What the next reply is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expect {
    Greeting,
    /// CAPA in the course of the login.
    Capa,
    Stls,
    Utf8,
    User,
    /// PASS, or RPOP in its place.
    Pass,
    Apop,
    /// AUTH without argument.
    AuthList,
    Auth,
    /// The reply to `*`.
    AuthCancel,
    Command(CommandId, Request),
    Quit,
}

impl Expect {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Expect::Greeting => Stage::Greeting,
            Expect::Capa => Stage::Command(Verb::Capa),
            Expect::Stls => Stage::Stls,
            Expect::Utf8 => Stage::Command(Verb::Utf8),
            Expect::AuthList => Stage::Command(Verb::Auth),
            Expect::User | Expect::Pass | Expect::Apop | Expect::Auth | Expect::AuthCancel => Stage::Login,
            Expect::Command(_, request) => Stage::Command(request.verb()),
            Expect::Quit => Stage::Command(Verb::Quit),
        }
    }

    fn timeout(&self, timeouts: &Timeouts) -> Duration {
        match self {
            Expect::Greeting => timeouts.greeting,
            Expect::Command(..) => timeouts.command,
            Expect::Quit => timeouts.quit,
            _ => timeouts.login,
        }
    }
}

/// The time that a server has. What the embedder takes to deal with an event does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// Nothing of what is to be answered has left.
    Unsent,
    /// The embedder was told something: the time counts on from when the driver tells it next.
    Held,
    Running(Instant),
}

/// Both directions of the connection.
pub(super) struct Channel {
    pub(super) recv: RecvBuffer,
    pub(super) send: SendBuffer,
    scanner: LineScanner,
    awaited: VecDeque<Expect>,
    pub(super) now: Instant,
    clock: Clock,
    /// How long the server has been waited for, without the time of the embedder.
    spent: Duration,
    /// Bytes received in that time.
    progress: usize,
    /// Within a listing or a message.
    pub(super) transfers: bool,
    /// The peer sends no more.
    pub(super) ended: bool,
}

impl Channel {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            recv: RecvBuffer::new(RECEIVE),
            send: SendBuffer::new(HIGH_WATER),
            scanner: LineScanner::new(),
            awaited: VecDeque::new(),
            now,
            clock: Clock::Running(now),
            spent: Duration::ZERO,
            progress: 0,
            transfers: false,
            ended: false,
        }
    }

    /// Sends a command.
    pub(super) fn issue(&mut self, command: &Command, expect: Expect) -> Result<(), ClientError> {
        self.expect(expect)?;
        command.encode(self.send.tail());
        Ok(())
    }

    /// Sends a command that proves who we are: nothing of it stays in memory once it has left.
    pub(super) fn issue_hidden(&mut self, command: &Command, expect: Expect) -> Result<(), ClientError> {
        // Room for the longest, since what grows leaves a copy behind.
        let mut line = Vec::with_capacity(MAX_COMMAND);
        command.encode(&mut line);
        self.issue_secret(&Secret::new(line), expect)
    }

    /// Sends a line, given with its CRLF, of which nothing is to stay in memory once it has left.
    pub(super) fn issue_secret(&mut self, line: &Secret, expect: Expect) -> Result<(), ClientError> {
        self.expect(expect)?;
        self.send.push_secret(line.expose());
        Ok(())
    }

    /// Notes that a reply is owed for what the caller pushes next.
    fn expect(&mut self, expect: Expect) -> Result<(), ClientError> {
        // What was read before its command was sent answers nothing; but a server that closes an idle connection may say so.
        if self.awaited.is_empty() && !matches!(self.recv.data(), [] | [b'-', ..]) {
            return Err(ClientError::Unsolicited { stage: Stage::Idle });
        }
        if self.awaited.is_empty() && self.send.is_empty() {
            self.clock = Clock::Unsent;
        }
        self.awaited.push_back(expect);
        Ok(())
    }

    /// Waits for a reply that nothing is sent for.
    pub(super) fn expect_next(&mut self, expect: Expect) {
        self.awaited.push_front(expect);
        self.restart_clock();
    }

    /// The first of the replies that are owed.
    pub(super) fn awaits(&self) -> Option<&Expect> {
        self.awaited.front()
    }

    /// The command that was sent last, if its reply is owed.
    pub(super) fn last(&self) -> Option<&Expect> {
        self.awaited.back()
    }

    pub(super) fn outstanding(&self) -> usize {
        self.awaited.len()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Takes the expectation that a whole reply has met.
    pub(super) fn met(&mut self) -> Option<Expect> {
        self.restart_clock();
        self.transfers = false;
        self.awaited.pop_front()
    }

    fn restart_clock(&mut self) {
        self.clock = Clock::Running(self.now);
        self.spent = Duration::ZERO;
        self.progress = 0;
    }

    /// Notes what time it is.
    pub(super) fn tick(&mut self, now: Instant) {
        self.now = now;
        match self.clock {
            Clock::Unsent => return,
            Clock::Held => {}
            Clock::Running(since) => self.spent += now.saturating_duration_since(since),
        }
        self.clock = Clock::Running(now);
    }

    /// An event goes to the embedder.
    pub(super) fn hold_clock(&mut self) {
        if self.clock != Clock::Unsent {
            self.clock = Clock::Held;
        }
    }

    /// The first line of a reply is there, and more is to come.
    pub(super) fn begin_transfer(&mut self) {
        self.transfers = true;
        self.restart_clock();
    }

    /// Finds the next whole line, which stays in the buffer until [`take`](Self::take).
    pub(super) fn line(&mut self, config: &ClientConfig, stage: Stage) -> Result<Option<Line>, ClientError> {
        // RFC 5034 §4: challenges may be longer than other replies; with `+ ` and CRLF.
        let limit = if stage == Stage::Login { wire::MAX_LINE + 4 } else { config.limits.line() };
        let line = match self.scanner.scan(self.recv.data(), limit) {
            Scan::Partial => return Ok(None),
            Scan::TooLong => return Err(ClientError::LineTooLong { stage, limit }),
            Scan::Line(line) => line,
        };
        match line.flaw {
            None => Ok(Some(line)),
            Some(Flaw::BareLf) if config.quirks.bare_lf => Ok(Some(line)),
            Some(flaw) => Err(ClientError::Flaw { stage, flaw }),
        }
    }

    /// The text of a line that was found.
    pub(super) fn text(&self, line: Line) -> &[u8] {
        &self.recv.data()[..line.text]
    }

    /// Drops a line that was found.
    pub(super) fn take(&mut self, line: Line) {
        self.recv.consume(line.total);
    }

    /// Forgets all that was received and all that was to be sent.
    pub(super) fn purge(&mut self) {
        self.recv.purge();
        self.send.purge();
        self.scanner.reset();
        self.awaited.clear();
        self.transfers = false;
    }

    pub(super) fn received(&mut self, n: usize, now: Instant) {
        self.tick(now);
        if n == 0 {
            self.ended = true;
            return;
        }
        self.recv.filled(n);
        self.progress += n;
        if self.transfers && self.progress >= PROGRESS {
            self.restart_clock();
        }
    }

    pub(super) fn sent(&mut self, n: usize, now: Instant) {
        self.tick(now);
        self.send.sent(n);
        // What leaves behind other commands is no sign of life from the server.
        if self.clock == Clock::Unsent || self.outstanding() <= 1 && !self.transfers {
            self.restart_clock();
        }
    }

    /// When the wait for the first outstanding reply is over, with its length. In the past where the clock is held, so that the
    /// driver tells the time.
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Option<(Instant, Duration)> {
        let after = match self.awaits() {
            Some(_) if self.transfers => timeouts.transfer,
            Some(expect) => expect.timeout(timeouts),
            None if !self.send.is_empty() => timeouts.command,
            None => return None,
        };
        match self.clock {
            Clock::Unsent => None,
            Clock::Held => Some((self.now, after)),
            Clock::Running(since) => Some((since + after.saturating_sub(self.spent), after)),
        }
    }

    /// Gives memory back, where nothing is under way.
    pub(super) fn shrink(&mut self) {
        self.recv.shrink();
        self.send.shrink();
        self.awaited.shrink_to(16);
    }
}

/// Reads the first line of a reply, as leniently as configured.
pub(super) fn reply_line<'a>(config: &ClientConfig, text: &'a [u8]) -> Result<ReplyLine<'a>, ReplyError> {
    match ReplyLine::parse(text) {
        Err(_) if config.quirks.loose_status => ReplyLine::parse_loose(text),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(input: &[u8]) -> Channel {
        let mut channel = Channel::new(Instant::now());
        channel.recv.spare()[..input.len()].copy_from_slice(input);
        channel.recv.filled(input.len());
        channel
    }

    fn noop() -> Expect {
        Expect::Command(CommandId(0), Request::Noop)
    }

    #[test]
    fn what_lies_in_the_buffer_before_a_command_is_no_answer_to_it() {
        for (input, fine) in
            [("", true), ("-", true), ("-ERR idle\r\n", true), ("+OK\r\n", false), ("x", false)]
        {
            let result = channel(input.as_bytes()).issue(&Command::Noop, noop());
            assert_eq!(result.is_ok(), fine, "{input:?}");
        }
    }

    #[test]
    fn the_clock_of_a_reply_starts_when_its_command_leaves() {
        let timeouts = Timeouts::default();
        let mut channel = channel(b"");
        let later = channel.now + Duration::from_secs(3600);
        channel.issue(&Command::Noop, noop()).unwrap();
        assert_eq!(channel.deadline(&timeouts), None);
        channel.sent(6, later);
        assert_eq!(channel.deadline(&timeouts), Some((later + timeouts.command, timeouts.command)));
    }

    #[test]
    fn sending_more_does_not_stop_the_clock_of_what_was_sent_before() {
        let timeouts = Timeouts::default();
        let mut channel = channel(b"");
        let start = channel.now;
        channel.issue(&Command::Noop, noop()).unwrap();
        channel.sent(6, start);
        channel.issue(&Command::Noop, noop()).unwrap();
        channel.sent(6, start + Duration::from_secs(299));
        assert_eq!(channel.deadline(&timeouts), Some((start + timeouts.command, timeouts.command)));
    }

    #[test]
    fn the_time_of_the_embedder_does_not_count() {
        let timeouts = Timeouts::default();
        let mut channel = channel(b"");
        let second = Duration::from_secs(1);
        channel.issue(&Command::Noop, noop()).unwrap();
        channel.sent(6, channel.now);
        channel.tick(channel.now + 100 * second);
        channel.hold_clock();
        assert_eq!(channel.deadline(&timeouts), Some((channel.now, timeouts.command)), "what time is it?");
        channel.tick(channel.now + 1000 * second);
        assert_eq!(channel.deadline(&timeouts), Some((channel.now + 200 * second, timeouts.command)));
    }
}
