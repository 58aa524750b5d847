//! An MH folder as a whole: names of files of any kind, and `.mh_sequences`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use maildrop::store::{Access, LocalReader, Mailbox, MessageReader, Update, ready};
use maildrop::{Flags, MessageDir, MhSequences, Naming};

use crate::Knobs;

/// Files of a folder; more take longer and tell no more.
const MOST: usize = 24;

/// A session lists the files that are named by numbers, in their order, with the flags that the sequences give them. What it
/// removes is gone from the folder and from the sequences but `cur`, and nothing else is.
///
/// The first lines are names, up to an empty one; then the sequences.
pub fn check(data: &[u8]) {
    let (mut knobs, rest) = Knobs::split(data);
    let end = rest.windows(2).position(|two| two == b"\n\n").unwrap_or(rest.len());
    let (names, sequences) = (&rest[..end], rest.get(end + 2..).unwrap_or_default());
    let dir = tempfile::Builder::new().tempdir_in(place()).expect("the disk has room");
    let mut numbers = BTreeSet::new();
    for name in names.split(|&byte| byte == b'\n').take(MOST) {
        if let Some(number) = make(dir.path(), name, &mut knobs) {
            assert_eq!(number.to_string().as_bytes(), name, "a message has one name");
            numbers.insert(number);
        }
    }
    fs::write(dir.path().join(MhSequences::FILE), sequences).expect("the disk has room");
    let numbers: Vec<u64> = numbers.into_iter().collect();
    let folder = MessageDir::open(dir.path(), Naming::Number).expect("it is a directory");
    let mut mailbox = folder.mailbox(Access::Exclusive).expect("nobody else has it");
    assert_eq!(mailbox.len(), numbers.len());
    let parsed = MhSequences::parse(std::str::from_utf8(sequences).unwrap_or_default());
    let mut update = Update::new();
    let (mut gone, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (index, &number) in numbers.iter().enumerate() {
        let flags = mailbox.message(index).flags;
        assert_eq!(flags.contains(Flags::SEEN), !parsed.contains("unseen", number), "{number}");
        assert_eq!(text_of(&mut mailbox, index), number.to_string(), "the text of another");
        match knobs.below(3) {
            0 => {
                update.remove(index);
                gone.insert(number);
            }
            1 => {
                update.seen(index);
                seen.insert(number);
            }
            _ => {}
        }
    }
    ready(mailbox.commit(&update)).expect("nothing keeps it from being done");
    let left: Vec<u64> = numbers.iter().copied().filter(|number| !gone.contains(number)).collect();
    let again = folder.mailbox(Access::ReadOnly).expect("it is still there");
    assert_eq!(again.len(), left.len());
    let after = fs::read(dir.path().join(MhSequences::FILE)).expect("it is still there");
    let Ok(after) = std::str::from_utf8(&after) else { return };
    let after = MhSequences::parse(after);
    for number in numbers {
        for name in ["cur", "unseen", "x"] {
            let stays =
                name == "cur" || !(gone.contains(&number) || (name == "unseen" && seen.contains(&number)));
            assert_eq!(
                after.contains(name, number),
                stays && parsed.contains(name, number),
                "{name} {number}"
            );
        }
    }
}

/// Makes a file or a folder of this name, if there can be one. Answers the number of a message.
fn make(dir: &Path, name: &[u8], knobs: &mut Knobs) -> Option<u64> {
    let text = std::str::from_utf8(name).ok()?;
    let plain = !text.is_empty() && text.len() < 100 && !text.contains(['/', '\0']) && !text.starts_with('.');
    let path = dir.join(text);
    if !plain || path.symlink_metadata().is_ok() {
        return None;
    }
    match knobs.below(8) {
        0 => fs::create_dir(path).ok().and(None),
        1 => std::os::unix::fs::symlink("/dev/null", path).ok().and(None),
        _ => fs::write(path, text).ok().and(MessageDir::number_of(name)),
    }
}

fn text_of(mailbox: &mut impl Mailbox<Reader = LocalReader>, index: usize) -> String {
    let mut reader = LocalReader::default();
    ready(mailbox.read(index, &mut reader)).expect("nobody has removed it");
    let mut text = Vec::new();
    while let chunk @ [_, ..] = ready(reader.chunk()).expect("the file can be read") {
        text.extend_from_slice(chunk);
        let taken = chunk.len();
        reader.consume(taken);
    }
    // A last line without an end may get one.
    String::from_utf8(text).expect("it was text").trim_end().to_owned()
}

/// Where files cost least.
pub(crate) fn place() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory } else { Path::new("/tmp") }
}
