//! Reading a message with the line ends of the wire.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::digest::MessageHasher;
use super::unique_id::MessageDigest;
use crate::error::{Error, Operation};
use crate::line_endings::{count_lone_lfs, expand};
use crate::mbox::{FieldFilter, FieldKind, Unquoter, Watch};

/// Octets that are read at once: more than most messages have.
const CHUNK: usize = 32 * 1024;
/// Octets that are held back of what is stripped, and more.
const HELD: usize = 128;

/// Reads one message after the other, a slice at a time.
pub trait MessageReader: Default + Send + 'static {
    /// The octets that come next, with CRLF line ends, one behind the last line too; none at the end of the message. The
    /// same again until some are [consumed](Self::consume).
    ///
    /// # Errors
    /// [`Error::Vanished`] if what is read is not there any more, or [`Error::Io`].
    fn chunk(&mut self) -> impl Future<Output = Result<&[u8], Error>> + Send;

    /// Goes on by so many octets of the chunk.
    ///
    /// # Panics
    /// If the chunk has not so many.
    fn consume(&mut self, octets: usize);
}

/// Reads messages of local files and of memory. Its buffers hold at most 130 KiB, and nothing before the first message;
/// they serve all messages that it reads, until it is dropped.
pub struct LocalReader {
    source: Source,
    raw: Vec<u8>,
    /// What is lent next, from `at` on.
    out: Vec<u8>,
    at: usize,
    /// The last octet read, an LF before the first: tells whether an LF at the start of the next chunk has a CR before it,
    /// and whether the last line has an end.
    last: u8,
    /// Octets of the file that were read, and those that they are on the wire, without an end that the last line lacks.
    counted: Counted,
    told: Option<Told>,
}

/// Octets of a message: of its file, and with CRLF line ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) stored: u64,
    pub(crate) octets: u64,
}

/// By message, what was found to be other than its mailbox says.
pub(crate) type Miscounts = Arc<Mutex<BTreeMap<usize, Counted>>>;

/// Octets that a mailbox has told of a message, and where it wants to learn that they are others.
pub(crate) struct Told {
    pub(crate) index: usize,
    pub(crate) octets: u64,
    pub(crate) miscounts: Miscounts,
}

enum Source {
    Nothing,
    /// A whole file.
    File {
        file: File,
        path: PathBuf,
        /// What its name says that it has.
        size: Option<u64>,
        read: u64,
    },
    /// A part of a file.
    Part {
        file: Arc<File>,
        path: Arc<Path>,
        next: u64,
        end: u64,
        stripper: Option<Box<Stripper>>,
        watch: Option<Box<Watch>>,
    },
    /// Octets as the wire has them.
    Memory(Arc<[u8]>),
}

/// What of an mbox is not lent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strip {
    /// The notes of mail readers in the header that the part begins with.
    pub(crate) notes: bool,
    /// One `>` of each line that begins with some and `From `.
    pub(crate) quoting: bool,
}

struct Stripper {
    filter: Option<FieldFilter>,
    unquoter: Option<Unquoter>,
    plain: Vec<u8>,
}

impl Stripper {
    fn new(strip: Strip) -> Option<Box<Stripper>> {
        let filter = strip.notes.then(|| FieldFilter::new(|kind| kind == FieldKind::Note));
        let unquoter = strip.quoting.then(Unquoter::default);
        let any = filter.is_some() || unquoter.is_some();
        any.then(|| Box::new(Stripper { filter, unquoter, plain: Vec::with_capacity(CHUNK + HELD) }))
    }

    fn push(&mut self, chunk: &[u8]) {
        let Stripper { filter, unquoter, plain } = self;
        let mut unquote = |piece: &[u8]| match unquoter {
            Some(unquoter) => unquoter.push(piece, plain),
            None => plain.extend_from_slice(piece),
        };
        match filter {
            Some(filter) => filter.push(chunk, unquote),
            None => unquote(chunk),
        }
    }

    fn finish(&mut self) {
        let Stripper { filter, unquoter, plain } = self;
        let unquote = |piece: &[u8]| match unquoter {
            Some(unquoter) => unquoter.push(piece, plain),
            None => plain.extend_from_slice(piece),
        };
        if let Some(filter) = filter {
            filter.finish(unquote);
        }
        if let Some(unquoter) = unquoter {
            unquoter.finish(plain);
        }
    }
}

impl Default for LocalReader {
    fn default() -> LocalReader {
        LocalReader {
            source: Source::Nothing,
            raw: Vec::new(),
            out: Vec::new(),
            at: 0,
            last: b'\n',
            counted: Counted::default(),
            told: None,
        }
    }
}

impl LocalReader {
    pub(crate) fn begin_file(&mut self, file: File, path: PathBuf, size: Option<u64>) {
        self.begin(Source::File { file, path, size, read: 0 });
    }

    /// A part of a file that begins with a line, but for what is not to be lent.
    pub(crate) fn begin_part(
        &mut self,
        file: Arc<File>,
        path: Arc<Path>,
        part: std::ops::Range<u64>,
        strip: Strip,
    ) {
        let stripper = Stripper::new(strip);
        self.begin(Source::Part { file, path, next: part.start, end: part.end, stripper, watch: None });
    }

    /// Lends nothing of the part that the watch does not find to be of its message.
    pub(crate) fn watch(&mut self, watch: Watch) {
        if let Source::Part { watch: none, .. } = &mut self.source {
            *none = Some(Box::new(watch));
        }
    }

    /// Compares what is lent, once all of it was, with what was told.
    pub(crate) fn compare(&mut self, told: Told) {
        self.told = Some(told);
    }

    pub(crate) fn begin_memory(&mut self, text: Arc<[u8]>) {
        self.begin(Source::Memory(text));
    }

    pub(crate) fn end(&mut self) {
        self.begin(Source::Nothing);
    }

    fn begin(&mut self, source: Source) {
        self.source = source;
        self.out.clear();
        (self.at, self.last) = (0, b'\n');
        (self.counted, self.told) = (Counted::default(), None);
    }

    /// Reads all of the message and counts what would be lent.
    pub(crate) fn measure(&mut self) -> Result<u64, Error> {
        if let Source::Memory(text) = &self.source {
            return Ok(text.len() as u64);
        }
        let (mut octets, mut last) = (0, b'\n');
        loop {
            let read = read_some(&mut self.source, &mut self.raw)?;
            let Some(&end) = read.last() else { return Ok(octets + missing_end(last).len() as u64) };
            octets += read.len() as u64 + count_lone_lfs(read, last);
            last = end;
        }
    }

    /// Reads all of the message and takes its digest, of what is in the file without quoting.
    pub(crate) fn digest(&mut self) -> Result<MessageDigest, Error> {
        let mut hasher = MessageHasher::new();
        loop {
            let read = read_some(&mut self.source, &mut self.raw)?;
            if read.is_empty() {
                return Ok(hasher.finish());
            }
            hasher.push(read);
        }
    }

    fn fill(&mut self) -> Result<(), Error> {
        self.out.clear();
        self.at = 0;
        let read = read_some(&mut self.source, &mut self.raw)?;
        expand(read, &mut self.last, &mut self.out);
        self.counted.stored += read.len() as u64;
        self.counted.octets += self.out.len() as u64;
        if read.is_empty() {
            self.out.extend_from_slice(missing_end(self.last));
            self.last = b'\n';
            if let Some(Told { index, octets, miscounts }) = self.told.take() {
                let whole = Counted { octets: self.counted.octets + self.out.len() as u64, ..self.counted };
                // Not all count an end that is lacking.
                if ![self.counted.octets, whole.octets].contains(&octets) {
                    miscounts.lock().unwrap_or_else(PoisonError::into_inner).insert(index, whole);
                }
            }
        }
        Ok(())
    }
}

/// What a message lacks that ends with this octet: a server has to end its last line (RFC 1939 §3), and counts what it sends.
pub(super) fn missing_end(last: u8) -> &'static [u8] {
    if last == b'\n' { b"" } else { b"\r\n" }
}

impl MessageReader for LocalReader {
    async fn chunk(&mut self) -> Result<&[u8], Error> {
        let in_memory = matches!(self.source, Source::Memory(_));
        if !in_memory && self.at == self.out.len() {
            self.fill()?;
        }
        match &self.source {
            Source::Memory(text) => Ok(&text[self.at..]),
            _ => Ok(&self.out[self.at..]),
        }
    }

    fn consume(&mut self, octets: usize) {
        let length = match &self.source {
            Source::Memory(text) => text.len(),
            _ => self.out.len(),
        };
        assert!(octets <= length - self.at, "expected at most {} octets to be consumed", length - self.at);
        self.at += octets;
    }
}

impl fmt::Debug for LocalReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalReader").finish_non_exhaustive()
    }
}

/// Reads what fits into `raw`, as it is in the file but for what is stripped. Nothing at the end.
fn read_some<'a>(source: &'a mut Source, raw: &'a mut Vec<u8>) -> Result<&'a [u8], Error> {
    raw.resize(CHUNK, 0);
    match source {
        Source::Nothing | Source::Memory(_) => Ok(&[]),
        Source::File { file, path, size, read } => {
            let count =
                retry(|| file.read(raw)).map_err(|error| Error::io(Operation::Read, &**path, error))?;
            *read += count as u64;
            // A read that gave less than it could, up to where the name says that the file ends: no need to ask again.
            // What says otherwise may be a file system that gives less at will, or a name that lies.
            if count == 0 || (count < raw.len() && *size == Some(*read)) {
                *source = Source::Nothing;
            }
            Ok(&raw[..count])
        }
        Source::Part { file, path, next, end, stripper, watch } => {
            let mut part = |end: u64, raw: &mut [u8]| {
                let most = usize::try_from(end - *next).unwrap_or(usize::MAX).min(raw.len());
                let error = |error| Error::io(Operation::Read, &**path, error);
                let count = retry(|| file.read_at(&mut raw[..most], *next)).map_err(error)?;
                if let Some(watch) = watch
                    && !watch.holds(file, count, *next + count as u64 == end).map_err(error)?
                {
                    return Err(Error::Vanished { path: path.to_path_buf() });
                }
                if count == 0 && most > 0 {
                    return Err(error(io::ErrorKind::UnexpectedEof.into()));
                }
                *next += count as u64;
                Ok(count)
            };
            let Some(stripper) = stripper else {
                let count = part(*end, raw)?;
                return Ok(&raw[..count]);
            };
            stripper.plain.clear();
            while stripper.plain.is_empty() {
                let count = part(*end, raw)?;
                if count == 0 {
                    stripper.finish();
                    break;
                }
                stripper.push(&raw[..count]);
            }
            Ok(&stripper.plain)
        }
    }
}

fn retry<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ready;

    fn rest_of(reader: &mut LocalReader, step: usize) -> Vec<u8> {
        let mut text = Vec::new();
        loop {
            let chunk = ready(reader.chunk()).unwrap();
            if chunk.is_empty() {
                return text;
            }
            let taken = chunk.len().min(step);
            text.extend_from_slice(&chunk[..taken]);
            reader.consume(taken);
        }
    }

    /// Line ends of all kinds on both sides of where reads end.
    fn texts() -> Vec<Vec<u8>> {
        let ends: [&[u8]; 6] = [b"\n", b"\r\n", b"\r", b"\n\n", b"\r\r\n", b"x"];
        let mut texts = vec![Vec::new(), b"\n".to_vec(), b"\r\n".to_vec()];
        for end in ends {
            for length in CHUNK - 3..CHUNK + 2 {
                texts.push([&vec![b'a'; length], end, b"b", end].concat());
            }
        }
        texts
    }

    /// What is lent of a text.
    fn wire(text: &[u8]) -> String {
        let text = std::str::from_utf8(text).unwrap().replace("\r\n", "\n").replace('\n', "\r\n");
        if text.is_empty() || text.ends_with('\n') { text } else { text + "\r\n" }
    }

    #[test]
    fn a_file_is_lent_with_crlf_and_measured_to_the_octet_whatever_its_name_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("message");
        let mut reader = LocalReader::default();
        for text in texts() {
            std::fs::write(&path, &text).unwrap();
            let expected = wire(&text);
            for size in [None, Some(text.len() as u64), Some(1), Some(CHUNK as u64)] {
                for step in [usize::MAX, 1000] {
                    reader.begin_file(File::open(&path).unwrap(), path.clone(), size);
                    assert_eq!(rest_of(&mut reader, step), expected.as_bytes(), "{size:?} {step}");
                }
                reader.begin_file(File::open(&path).unwrap(), path.clone(), size);
                assert_eq!(reader.measure().unwrap(), expected.len() as u64);
            }
        }
    }

    #[test]
    fn a_part_of_a_file_is_lent_and_no_more_and_one_that_is_cut_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        for text in texts() {
            std::fs::write(&path, [b"before\n", &*text, b"behind\n"].concat()).unwrap();
            let file = Arc::new(File::open(&path).unwrap());
            let part = 7..7 + text.len() as u64;
            let expected = wire(&text);
            let mut reader = LocalReader::default();
            let begin = |reader: &mut LocalReader| {
                reader.begin_part(Arc::clone(&file), Arc::from(&*path), part.clone(), Strip::default());
            };
            begin(&mut reader);
            assert_eq!(rest_of(&mut reader, usize::MAX), expected.as_bytes());
            begin(&mut reader);
            assert_eq!(reader.measure().unwrap(), expected.len() as u64);
            begin(&mut reader);
            File::options().write(true).open(&path).unwrap().set_len(part.end.saturating_sub(1)).unwrap();
            if !expected.is_empty() {
                assert!(reader.measure().is_err());
            }
        }
    }

    #[test]
    fn quoting_is_taken_off_where_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let mut quoted = b"H: x\n\n>From a\n>>From b\n>Fro\n>From c".to_vec();
        let quoting = Strip { notes: false, quoting: true };
        let mut expected = "H: x\r\n\r\nFrom a\r\n>From b\r\n>Fro\r\nFrom c\r\n".to_owned();
        for _ in 0..2 {
            std::fs::write(&path, &quoted).unwrap();
            let file = Arc::new(File::open(&path).unwrap());
            let mut reader = LocalReader::default();
            let part = 0..quoted.len() as u64;
            reader.begin_part(Arc::clone(&file), Arc::from(&*path), part.clone(), quoting);
            assert_eq!(String::from_utf8(rest_of(&mut reader, 3)).unwrap(), expected);
            reader.begin_part(Arc::clone(&file), Arc::from(&*path), part, quoting);
            assert_eq!(reader.measure().unwrap(), expected.len() as u64);
            // Nothing but quotes for longer than a read.
            quoted = [&vec![b'>'; 2 * CHUNK], b"From a\n>".as_slice()].concat();
            expected = format!("{}From a\r\n>\r\n", ">".repeat(2 * CHUNK - 1));
        }
    }

    #[test]
    fn notes_of_readers_are_stripped_wherever_reads_end_and_with_quoting_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box");
        let notes = "X-Keywords: a\n b\nStatus: RO\n";
        for length in (CHUNK - 40..CHUNK + 8).chain([3 * CHUNK]) {
            let header = format!("S: {}\n{notes}T: x\n", "x".repeat(length - 4));
            let long_note = format!("X-IMAPbase: {}\nT: x\n", "x".repeat(length - 4));
            for (text, shown) in [
                (
                    format!("{header}\n{notes}>From x"),
                    header.replace(notes, "") + &format!("\n{notes}>From x\n"),
                ),
                (format!("{long_note}\n>From x\n"), "T: x\n\n>From x\n".to_owned()),
                (long_note.replace("T: x\n", ""), String::new()),
                (
                    header.replace("T: x\n", "").trim_end().to_owned(),
                    header.replace(notes, "").replace("T: x\n", ""),
                ),
            ] {
                std::fs::write(&path, &text).unwrap();
                let file = Arc::new(File::open(&path).unwrap());
                for quoting in [false, true] {
                    let expected = if quoting { shown.replace(">From", "From") } else { shown.clone() };
                    let expected = wire(expected.as_bytes());
                    let mut reader = LocalReader::default();
                    let begin = |reader: &mut LocalReader| {
                        let strip = Strip { notes: true, quoting };
                        reader.begin_part(Arc::clone(&file), Arc::from(&*path), 0..text.len() as u64, strip);
                    };
                    for step in [usize::MAX, 999] {
                        begin(&mut reader);
                        assert!(rest_of(&mut reader, step) == expected.as_bytes(), "{length} {quoting}");
                    }
                    begin(&mut reader);
                    assert_eq!(reader.measure().unwrap(), expected.len() as u64);
                }
            }
        }
    }
}
