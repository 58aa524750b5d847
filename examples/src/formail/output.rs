//! Where a message goes: written in large pieces, counted, or nowhere.

use std::io::{self, Write};
use std::process::ChildStdin;

/// Octets that are collected before they are written.
const PIECE: usize = 64 * 1024;

/// Who gets the message.
#[derive(Debug)]
pub(super) enum Target {
    Stdout,
    Program(ChildStdin),
    Nobody,
}

/// A message that is being written.
#[derive(Debug)]
pub(super) struct Output {
    target: Target,
    buffer: Vec<u8>,
    /// The last two octets.
    tail: [u8; 2],
    size: u64,
    failed: bool,
}

impl Output {
    pub(super) fn to(target: Target) -> Output {
        Output { target, buffer: Vec::new(), tail: *b"  ", size: 0, failed: false }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.tail = match bytes {
            [] => self.tail,
            [last] => [self.tail[1], *last],
            [.., before, last] => [*before, *last],
        };
        self.size += bytes.len() as u64;
        if self.failed || matches!(self.target, Target::Nobody) {
            return;
        }
        if self.buffer.len() + bytes.len() > PIECE {
            self.flush();
        }
        if bytes.len() >= PIECE {
            self.write(bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Octets so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether the last octets are these.
    pub(super) fn ends_with(&self, bytes: &[u8]) -> bool {
        self.tail.ends_with(bytes)
    }

    /// Writes what is left, and answers whether all could be written.
    pub(super) fn finish(mut self) -> bool {
        self.flush();
        !self.failed
    }

    fn flush(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.write(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
    }

    fn write(&mut self, bytes: &[u8]) {
        let done = match &mut self.target {
            Target::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Target::Program(stdin) => stdin.write_all(bytes),
            Target::Nobody => Ok(()),
        };
        self.failed |= done.is_err();
    }
}
