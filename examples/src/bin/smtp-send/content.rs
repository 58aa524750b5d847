//! [`Content`]: the bytes of a message, in memory or in a file, read in blocks as often as the message is sent.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use mailwright::client::exit::{Exit, Failure};
use memchr::{memchr, memmem};

/// Up to here a message is kept in memory, in bytes.
const IN_MEMORY: u64 = 1 << 20;
/// How much is read at a time.
const BLOCK: usize = 64 << 10;

/// The bytes of a message.
#[derive(Debug)]
pub(crate) enum Content {
    Memory(Vec<u8>),
    /// So many bytes in a file, which any number of readers read at their own pace.
    File {
        file: File,
        len: u64,
    },
}

impl Content {
    /// The message in a file, or on standard input for `-`, and what is to be known of it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Facts), Failure> {
        let failure = |error| unreadable(path, &error);
        if path == Path::new("-") {
            return spool(path, io::stdin().lock());
        }
        let file = File::open(path).map_err(failure)?;
        let metadata = file.metadata().map_err(failure)?;
        // Pipes and devices can be read once only.
        if !metadata.is_file() || metadata.len() <= IN_MEMORY {
            return spool(path, file);
        }
        let (mut scan, mut block, mut len) = (Scan::default(), vec![0; BLOCK], 0);
        loop {
            match file.read_at(&mut block, len).map_err(failure)? {
                0 => return Ok((Self::File { file, len }, scan.facts())),
                n => {
                    scan.read(&block[..n]);
                    len += n as u64;
                }
            }
        }
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// A reader from the start on.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { content: self, at: 0, block: Vec::new(), taken: 0 }
    }
}

/// Takes over what can be read once only: in memory, or in a file without a name if there is much of it.
fn spool(path: &Path, mut source: impl Read) -> Result<(Content, Facts), Failure> {
    let no_room = |error| {
        Failure::new(
            Exit::OsErr,
            format!("expected room for the message in a temporary file, found: {error}"),
        )
    };
    let (mut scan, mut bytes, mut file, mut len) = (Scan::default(), Vec::new(), None, 0);
    let mut block = vec![0; BLOCK];
    loop {
        let n = match source.read(&mut block) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(path, &error)),
        };
        scan.read(&block[..n]);
        len += n as u64;
        match &mut file {
            None => {
                bytes.extend_from_slice(&block[..n]);
                if len > IN_MEMORY {
                    let mut spooled = tempfile::tempfile().map_err(no_room)?;
                    spooled.write_all(&bytes).map_err(no_room)?;
                    bytes = Vec::new();
                    file = Some(spooled);
                }
            }
            Some(file) => file.write_all(&block[..n]).map_err(no_room)?,
        }
    }
    let content = match file {
        None => Content::Memory(bytes),
        Some(file) => Content::File { file, len },
    };
    Ok((content, scan.facts()))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::NoInput, format!("expected a message in {}, found: {error}", path.display()))
}

/// A reader of [`Content`].
pub(crate) struct Reader<'a> {
    content: &'a Content,
    /// How many bytes were taken.
    at: u64,
    /// The block that is being read, if the content is in a file.
    block: Vec<u8>,
    /// How many bytes of it were taken.
    taken: usize,
}

impl Reader<'_> {
    /// The bytes that come next; none at the end.
    ///
    /// Fails if the file cannot be read, or has become shorter than it was.
    pub(crate) fn block(&mut self) -> Result<&[u8], Failure> {
        match self.content {
            Content::Memory(bytes) => Ok(&bytes[usize::try_from(self.at).unwrap_or(bytes.len())..]),
            Content::File { file, len } => {
                if self.taken == self.block.len() && self.at < *len {
                    let size = usize::try_from(len - self.at).unwrap_or(BLOCK).min(BLOCK);
                    self.block.resize(size, 0);
                    self.taken = 0;
                    file.read_exact_at(&mut self.block, self.at).map_err(|error| {
                        let text = format!(
                            "expected the message to stay as it was while it is sent, found: {error}"
                        );
                        Failure::new(Exit::NoInput, text)
                    })?;
                }
                Ok(&self.block[self.taken..])
            }
        }
    }

    /// The first `n` bytes of the block are dealt with.
    pub(crate) fn take(&mut self, n: usize) {
        self.at += n as u64;
        self.taken += n;
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.content.len()
    }
}

/// What the server must be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Size with CRLF line endings, without doubled dots (RFC 1870 §3).
    pub(crate) wire_size: u64,
    pub(crate) eight_bit: bool,
    /// The header holds UTF-8 (RFC 6532).
    pub(crate) utf8_header: bool,
}

impl Facts {
    pub(crate) fn of(content: &[u8]) -> Self {
        let mut scan = Scan::default();
        scan.read(content);
        scan.facts()
    }
}

/// Finds the facts in a message that comes in blocks.
#[derive(Debug, Default)]
struct Scan {
    wire_size: u64,
    eight_bit: bool,
    last: Option<u8>,
    header: Header,
}

impl Scan {
    fn read(&mut self, block: &[u8]) {
        let lf = memchr::memchr_iter(b'\n', block).count();
        let across = self.last == Some(b'\r') && block.starts_with(b"\n");
        let crlf = memmem::find_iter(block, b"\r\n").count() + usize::from(across);
        self.wire_size += (block.len() + lf - crlf) as u64;
        self.eight_bit |= !block.is_ascii();
        self.last = block.last().copied().or(self.last);
        self.header.read(block);
    }

    fn facts(self) -> Facts {
        let unended = self.last.is_some_and(|last| last != b'\n');
        Facts {
            wire_size: self.wire_size + if unended { 2 } else { 0 },
            eight_bit: self.eight_bit,
            utf8_header: self.header.is_utf8(),
        }
    }
}

/// The header: all up to the first empty line.
#[derive(Debug, Default)]
struct Header {
    ended: bool,
    /// Whether there is something on the line so far.
    begun: bool,
    eight_bit: bool,
    malformed: bool,
    /// The first bytes of a character of which the rest is to come.
    partial: Vec<u8>,
}

impl Header {
    fn read(&mut self, mut block: &[u8]) {
        while !self.ended && !block.is_empty() {
            let end = memchr(b'\n', block);
            let (line, rest) = block.split_at(end.map_or(block.len(), |at| at + 1));
            block = rest;
            self.characters(line);
            self.begun |= line.iter().any(|byte| !matches!(byte, b'\r' | b'\n'));
            if end.is_some() {
                self.ended = !core::mem::take(&mut self.begun);
            }
        }
    }

    fn characters(&mut self, line: &[u8]) {
        if self.malformed || (self.partial.is_empty() && line.is_ascii()) {
            return;
        }
        self.eight_bit = true;
        self.partial.extend_from_slice(line);
        match core::str::from_utf8(&self.partial) {
            Ok(_) => self.partial.clear(),
            Err(error) if error.error_len().is_none() => drop(self.partial.drain(..error.valid_up_to())),
            Err(_) => self.malformed = true,
        }
    }

    /// Whether it holds UTF-8 beyond ASCII, and nothing else beyond ASCII.
    fn is_utf8(&self) -> bool {
        self.eight_bit && !self.malformed && self.partial.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(wire_size: u64, eight_bit: bool, utf8_header: bool) -> Facts {
        Facts { wire_size, eight_bit, utf8_header }
    }

    #[test]
    fn facts_are_what_goes_on_the_wire() {
        for (content, expected) in [
            (&b""[..], facts(0, false, false)),
            (b"a", facts(3, false, false)),
            (b"a\n", facts(3, false, false)),
            (b"a\r\nb\n\r\n", facts(8, false, false)),
            (b"a\r", facts(4, false, false)),
            ("Subject: \u{e4}\n\nx\n".as_bytes(), facts(18, true, true)),
            ("Subject: \u{20ac}\r\nX: \u{1f600}\r\n\r\n\n".as_bytes(), facts(27, true, true)),
            ("Subject: a\n\n\u{e4}\n".as_bytes(), facts(18, true, false)),
            ("\n\u{e4}\n\n".as_bytes(), facts(8, true, false)),
            (b"Subject: \xe4\r\n\r\n", facts(14, true, false)),
            (b"Subject: \xc3", facts(12, true, false)),
        ] {
            for chunk in [1, 2, 3, 1000] {
                let mut scan = Scan::default();
                content.chunks(chunk).for_each(|block| scan.read(block));
                assert_eq!(scan.facts(), expected, "{} by {chunk}", content.escape_ascii());
            }
        }
    }

    /// What a reader gives, taken in odd pieces.
    fn read(content: &Content) -> Result<Vec<u8>, Failure> {
        let (mut reader, mut bytes) = (content.reader(), Vec::new());
        while !reader.is_at_end() {
            let block = reader.block()?;
            let n = block.len().min(40_001);
            bytes.extend_from_slice(&block[..n]);
            reader.take(n);
        }
        assert_eq!(reader.block()?, b"");
        Ok(bytes)
    }

    #[test]
    fn long_messages_lie_in_files_and_read_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("message");
        for len in [0, 1, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY + 17] {
            let bytes: Vec<u8> = (0..len).map(|n| (n * 7 % 251) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            let opened = Content::open(&path).unwrap();
            let spooled = spool(&path, &bytes[..]).unwrap();
            for (content, facts) in [opened, spooled] {
                assert_eq!(matches!(content, Content::File { .. }), len > IN_MEMORY, "{len}");
                assert_eq!(content.len(), len);
                assert_eq!(facts, Facts::of(&bytes), "{len}");
                assert!(read(&content).unwrap() == bytes && read(&content).unwrap() == bytes, "{len}");
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_short_is_noticed_and_one_that_grows_is_sent_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("message");
        let bytes = vec![b'x'; 2 << 20];
        std::fs::write(&path, &bytes).unwrap();
        let (content, _) = Content::open(&path).unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        (&file).write_all(b"more").unwrap();
        assert!(read(&content).unwrap() == bytes);
        file.set_len(1 << 20).unwrap();
        let failure = read(&content).unwrap_err();
        assert_eq!(failure.exit, Exit::NoInput);
        assert!(failure.text.starts_with("expected the message to stay as it was"), "{failure}");
    }
}
