//! [`SpoolFile`]: a large message that waits, in a file that has no name, until it is whole; and [`Body`], one that is.
//!
//! An mbox is locked while a message is being written to it, so nobody is waited for meanwhile.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use maildrop::{Error, LineEndings, Operation};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// A message being written out, with LF at the ends of lines. The system removes it with the last handle.
#[derive(Debug)]
pub(super) struct SpoolFile {
    file: File,
    folder: PathBuf,
    /// Whether a CR is held back, which may be half of a line's end.
    held: bool,
    size: u64,
}

impl SpoolFile {
    /// Makes one on the disk that has this folder.
    pub(super) fn create(folder: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(folder).map_err(|source| Error::Io {
            operation: Operation::CreateFile,
            path: folder.to_owned(),
            source,
        })?;
        Ok(Self { file, folder: folder.to_owned(), held: false, size: 0 })
    }

    /// Adds to the message, as it comes from the wire.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut text = Vec::with_capacity(bytes.len() + 1);
        text.extend(std::mem::take(&mut self.held).then_some(b'\r'));
        text.extend_from_slice(bytes);
        self.held = text.pop_if(|last| *last == b'\r').is_some();
        self.write(&LineEndings::ToLf.apply(&text))
    }

    /// Ends the message.
    pub(super) fn finish(mut self) -> Result<Body, Error> {
        if self.held {
            self.write(b"\r")?;
        }
        Ok(Body::Spooled { file: self.file, folder: self.folder, size: self.size })
    }

    fn write(&mut self, text: &[u8]) -> Result<(), Error> {
        self.file.write_all(text).map_err(|source| Error::Io {
            operation: Operation::Write,
            path: self.folder.clone(),
            source,
        })?;
        self.size += text.len() as u64;
        Ok(())
    }
}

/// A message that is whole, with LF at the ends of lines.
pub(super) enum Body {
    Memory(Vec<u8>),
    Spooled { file: File, folder: PathBuf, size: u64 },
}

impl Body {
    /// Gives it away piece by piece.
    pub(super) fn each(&self, mut take: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let (file, folder, size) = match self {
            Self::Memory(text) => return take(text),
            Self::Spooled { file, folder, size } => (file, folder, *size),
        };
        let mut chunk = vec![0; CHUNK];
        let mut at = 0;
        while at < size {
            let length = usize::try_from(size - at).map_or(CHUNK, |rest| rest.min(CHUNK));
            file.read_exact_at(&mut chunk[..length], at).map_err(|source| Error::Io {
                operation: Operation::Read,
                path: folder.clone(),
                source,
            })?;
            take(&chunk[..length])?;
            at += length as u64;
        }
        Ok(())
    }

    /// The whole of it.
    pub(super) fn read(&self) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        self.each(|chunk| {
            text.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_stored_with_lf_however_it_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let wire = b"a\r\nb\rc\r\r\n\r\n\n\r";
        for size in 1..=wire.len() {
            let mut spool = SpoolFile::create(folder.path()).unwrap();
            for chunk in wire.chunks(size) {
                spool.append(chunk).unwrap();
            }
            let stored = spool.finish().unwrap().read().unwrap();
            assert_eq!(stored, LineEndings::ToLf.apply(wire), "{size}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_message_that_is_read_in_many_pieces_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let text: Vec<u8> = (0..3 * CHUNK + 7).map(|n| b'a' + (n % 23) as u8).collect();
        let mut spool = SpoolFile::create(folder.path()).unwrap();
        spool.append(&text).unwrap();
        let body = spool.finish().unwrap();
        let mut pieces = 0;
        body.each(|_| {
            pieces += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(pieces, 4);
        assert!(body.read().unwrap() == text);
    }
}
