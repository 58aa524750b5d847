//! Receive and send buffers: bounded, small when idle, compacted rarely.
//!
//! Both grow while traffic fills them, up to their cap, and give the memory back when they are drained
//! and the machine says that it is [idle](RecvBuffer::shrink). A machine keeps one of each for its whole life.
//!
//! Lines that hold a password leave nothing behind: see [`RecvBuffer::consume_secret`] and [`SendBuffer::push_secret`].

use core::fmt;
use zeroize::Zeroize;

/// Size of a buffer after its first use.
const FIRST: usize = 2048;
/// Growth at a time: few steps to the cap, since each costs a read that could have been larger.
const GROWTH: usize = 4;
/// What an idle connection may keep: enough for commands and a small message in one read.
const IDLE: usize = 8192;

/// Bytes that have come from the peer and are not consumed yet.
///
/// ```
/// let mut recv = mail_wire::RecvBuffer::new(65536);
/// recv.spare()[..6].copy_from_slice(b"NOOP\r\n");
/// recv.filled(6);
/// assert_eq!(recv.data(), b"NOOP\r\n");
/// recv.consume(6);
/// assert!(recv.data().is_empty());
/// ```
pub struct RecvBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    max: usize,
    /// The last read filled all the room there was: more is likely waiting.
    grow: bool,
}

impl RecvBuffer {
    /// An empty buffer that never holds more than `max` bytes. Allocates nothing yet.
    pub fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, max: max.max(FIRST), grow: false }
    }

    /// Room for the next read. Empty only when `max` bytes lie unconsumed.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        let tail = self.bytes.len() - self.end;
        if self.start > 0 && tail < self.bytes.len() / 4 {
            self.bytes.copy_within(self.start..self.end, 0);
            let left = self.end - self.start;
            // It may be part of a line with a password, of which no copy is to stay.
            self.bytes[left.max(self.start)..self.end].fill(0);
            self.end = left;
            self.start = 0;
        }
        if (self.end == self.bytes.len() || self.grow) && self.bytes.len() < self.max {
            let size = (self.bytes.len() * GROWTH).clamp(FIRST, self.max);
            let mut grown = vec![0; size];
            grown[self.start..self.end].copy_from_slice(self.data());
            wipe(&mut self.bytes[self.start..self.end]);
            self.bytes = grown;
        }
        self.grow = false;
        &mut self.bytes[self.end..]
    }

    /// `n` bytes were put at the front of [`spare`](Self::spare).
    ///
    /// # Panics
    ///
    /// If there was no room for so many.
    pub fn filled(&mut self, n: usize) {
        assert!(n <= self.bytes.len() - self.end, "more bytes received than there was room for");
        self.end += n;
        self.grow = self.end == self.bytes.len();
    }

    /// What is not consumed yet.
    pub fn data(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Drops the first `n` bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.end - self.start, "more bytes consumed than received");
        self.start += n;
    }

    /// Drops the first `n` bytes and overwrites them: for lines that hold a password. Where they were moved on their way
    /// through the buffer, no copy was left.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn consume_secret(&mut self, n: usize) {
        assert!(n <= self.end - self.start, "more bytes consumed than received");
        self.bytes[self.start..self.start + n].fill(0);
        self.start += n;
    }

    /// Forgets everything received, as after STARTTLS.
    pub fn purge(&mut self) {
        self.bytes[self.start..self.end].fill(0);
        self.start = 0;
        self.end = 0;
        self.grow = false;
    }

    /// Gives memory back, where the buffer is empty and has grown past what an idle connection may keep.
    pub fn shrink(&mut self) {
        if self.start == self.end && self.bytes.len() > IDLE {
            *self = Self::new(self.max);
        }
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Bytes on their way to the peer.
///
/// Replies are small and bounded by what the peer may ask; above the [high-water mark](Self::is_high) a machine parses
/// no further command, so that a peer that sends without reading cannot make the buffer grow.
pub struct SendBuffer {
    bytes: Vec<u8>,
    start: usize,
    high: usize,
    /// Some of the bytes are to be wiped once they are sent.
    secret: bool,
}

impl SendBuffer {
    /// An empty buffer with its high-water mark at `high` bytes. Allocates nothing yet.
    pub fn new(high: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, high, secret: false }
    }

    /// What is to be sent.
    pub fn data(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// The first `n` bytes are sent.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub fn sent(&mut self, n: usize) {
        assert!(n <= self.bytes.len() - self.start, "more bytes sent than there were");
        if self.secret {
            self.bytes[self.start..self.start + n].zeroize();
        }
        self.start += n;
        if self.start == self.bytes.len() {
            self.start = 0;
            self.bytes.clear();
            self.secret = false;
        } else if self.start > self.bytes.len() / 2 && !self.secret {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Adds bytes at the end.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.secret {
            self.reserve_wiping(bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds bytes at the end that hold a password: they are overwritten as soon as they are sent, or dropped.
    pub fn push_secret(&mut self, bytes: &[u8]) {
        self.secret = true;
        self.push(bytes);
    }

    /// Makes room without leaving a copy of what waits in the memory that is given back.
    fn reserve_wiping(&mut self, more: usize) {
        if self.bytes.capacity() - self.bytes.len() < more {
            let mut grown = Vec::with_capacity((self.bytes.len() + more).max(2 * self.bytes.capacity()));
            grown.extend_from_slice(&self.bytes);
            self.bytes.zeroize();
            self.bytes = grown;
        }
    }

    /// The buffer for encoders to append to. What is appended while a [secret](Self::push_secret) waits may leave a copy
    /// of that behind.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether so much waits that the machine should parse no further command.
    pub fn is_high(&self) -> bool {
        self.bytes.len() - self.start >= self.high
    }

    /// How many bytes fit below the high-water mark.
    pub fn room(&self) -> usize {
        self.high.saturating_sub(self.bytes.len() - self.start)
    }

    /// Forgets everything not sent yet.
    pub fn purge(&mut self) {
        self.bytes.zeroize();
        self.start = 0;
        self.secret = false;
    }

    /// Gives memory back, where the buffer is empty and has grown past what an idle connection may keep.
    pub fn shrink(&mut self) {
        if self.is_empty() && self.bytes.capacity() > IDLE {
            self.bytes = Vec::new();
            self.start = 0;
        }
    }

    /// Bytes of memory held.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Overwrites bytes whose memory is given back next.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    // At the speed of memset, unlike volatile writes, and yet not to be optimised out.
    core::hint::black_box(bytes);
}

impl Drop for RecvBuffer {
    fn drop(&mut self) {
        wipe(&mut self.bytes[self.start..self.end]);
    }
}

impl Drop for SendBuffer {
    fn drop(&mut self) {
        if self.secret {
            self.bytes.zeroize();
        }
    }
}

/// Without the bytes, which may hold a password or a message.
impl fmt::Debug for RecvBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecvBuffer({} bytes)", self.data().len())
    }
}

/// Without the bytes, which may hold a password or a message.
impl fmt::Debug for SendBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendBuffer({} bytes)", self.data().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(recv: &mut RecvBuffer, mut bytes: &[u8]) -> usize {
        let mut fed = 0;
        while !bytes.is_empty() {
            let spare = recv.spare();
            let n = spare.len().min(bytes.len());
            if n == 0 {
                break;
            }
            spare[..n].copy_from_slice(&bytes[..n]);
            recv.filled(n);
            bytes = &bytes[n..];
            fed += n;
        }
        fed
    }

    #[test]
    fn the_receive_buffer_stops_at_its_cap_and_goes_on_after_consumption() {
        let mut recv = RecvBuffer::new(5000);
        assert_eq!(feed(&mut recv, &[7; 9000]), 5000);
        assert!(recv.spare().is_empty());
        recv.consume(4000);
        assert_eq!(recv.data(), &[7; 1000]);
        assert_eq!(feed(&mut recv, &[8; 9000]), 4000);
        assert_eq!(&recv.data()[998..1002], &[7, 7, 8, 8]);
    }

    #[test]
    fn an_idle_receive_buffer_gives_its_memory_back() {
        let mut recv = RecvBuffer::new(65536);
        feed(&mut recv, &[1; 65536]);
        recv.shrink();
        assert!(recv.capacity() >= 65536, "not while it holds data");
        recv.consume(65536);
        recv.shrink();
        assert!(recv.capacity() <= IDLE);
    }

    #[test]
    fn secrets_are_wiped() {
        let mut recv = RecvBuffer::new(1024);
        feed(&mut recv, b"secret rest");
        recv.consume_secret(6);
        assert_eq!(recv.data(), b" rest");
        assert_eq!(&recv.bytes[..6], &[0; 6]);
        recv.purge();
        assert!(recv.bytes.iter().all(|&b| b == 0));
    }

    #[test]
    fn no_copy_of_a_line_stays_where_it_was_moved_away() {
        for filler in [1600, 1000] {
            let mut recv = RecvBuffer::new(FIRST);
            feed(&mut recv, &vec![b'x'; filler]);
            let line = vec![b'p'; FIRST - filler - 100];
            feed(&mut recv, &line);
            recv.consume(filler);
            recv.spare();
            assert_eq!((recv.start, recv.data()), (0, &*line), "moved to the front");
            assert!(!recv.bytes[recv.end..].contains(&b'p'), "{filler}");
        }
    }

    #[test]
    fn a_secret_is_wiped_as_it_is_sent_and_before_its_memory_is_given_back() {
        let mut send = SendBuffer::new(1024);
        send.push(b"AUTH ");
        send.push_secret(b"password\r\n");
        for n in 1..15 {
            send.sent(1);
            assert_eq!(&send.bytes[..n], vec![0; n], "{n} bytes sent");
            assert_eq!(send.data(), &b"AUTH password\r\n"[n..]);
        }
        send.push(&[b'x'; 5000]);
        assert_eq!(&send.data()[..2], b"\nx");
        send.sent(5001);
        assert!(send.is_empty() && !send.secret);
        send.push_secret(b"password");
        send.purge();
        assert!(send.is_empty() && !send.secret);
    }

    #[test]
    fn the_send_buffer_knows_its_water_mark_and_keeps_order() {
        let mut send = SendBuffer::new(8);
        send.push(b"abcdef");
        assert_eq!(send.room(), 2);
        assert!(!send.is_high());
        send.push(b"ghi");
        assert!(send.is_high());
        assert_eq!(send.room(), 0);
        send.sent(5);
        assert_eq!(send.data(), b"fghi");
        send.sent(4);
        assert!(send.is_empty());
    }
}
