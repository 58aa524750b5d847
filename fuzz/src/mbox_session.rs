//! A session with an mbox of any content.

use std::fs;

use maildrop::store::{Access, LocalReader, Mailbox, MessageReader, Unquoting, Update, ready};
use maildrop::{Flags, Mbox, MboxMessage, MboxOptions};

use crate::Knobs;
use crate::mh_folder::place;

/// What a session lends is what it counts, and what is in the file; what it removes is gone, and what it marks as seen is;
/// all other octets stay, and what was appended meanwhile. Unique identifiers last.
pub fn check(data: &[u8]) {
    let (mut knobs, file) = Knobs::split(data);
    let content_length = knobs.one_in(2);
    let Some(messages) = MboxMessage::all_in(file, content_length) else { return };
    let dir = tempfile::Builder::new().tempdir_in(place()).expect("the disk has room");
    let path = dir.path().join("box");
    fs::write(&path, file).expect("the disk has room");
    let options = MboxOptions::new()
        .dot_lock(None)
        .content_length(content_length)
        .unquoting(if knobs.one_in(2) { Unquoting::Rd } else { Unquoting::AsFound });
    let mbox = Mbox::with_options(&path, options);
    let mut mailbox = mbox.mailbox(Access::Exclusive).expect("nobody else has it");
    assert_eq!(mailbox.len(), messages.len());
    let late = b"From late@x Tue Jan  2 03:04:05 2001\nSubject: late\n\nlate\n\n";
    let appended = file.ends_with(b"\n\n") && knobs.one_in(2);
    let (mut update, mut left, mut at) = (Update::new(), Vec::new(), 0);
    let mut ids = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let octets = ready(mailbox.octets(index)).expect("it is there");
        assert_eq!(octets, length_of(&mut mailbox, index), "octets that are counted and lent");
        let id = ready(mailbox.unique_id(index)).expect("it is there");
        assert!(!ids.contains(&id), "one identifier for two messages");
        ids.push(id);
        let (start, next) = (message.start as usize, message.next as usize);
        left.extend_from_slice(&file[at..start]);
        at = next;
        if knobs.one_in(2) {
            update.remove(index);
        } else {
            left.extend_from_slice(&file[start..next]);
        }
        if appended && index == 0 {
            fs::write(&path, [file, late].concat()).expect("the disk has room");
        }
    }
    left.extend_from_slice(&file[at..]);
    let kept: Vec<usize> =
        (0..messages.len()).filter(|index| !update.removed().any(|gone| gone == *index)).collect();
    let marked = knobs.one_in(2) && !kept.is_empty();
    if marked {
        update.seen(kept[knobs.below(kept.len())]);
    }
    ready(mailbox.commit(&update)).expect("nothing keeps it from being done");
    let after = fs::read(&path).expect("it is still there");
    if appended && !messages.is_empty() {
        assert!(after.ends_with(late), "mail that came meanwhile is lost");
        left.extend_from_slice(late);
    }
    if !marked {
        assert_eq!(after, left);
        return;
    }
    // What is the first message only, since others were taken out, may be none.
    let hidden = file.windows(6).any(|window| window.eq_ignore_ascii_case(b"x-imap"));
    // Without its length, what follows a message may be told otherwise when others are taken out.
    if hidden || content_length || appended {
        return;
    }
    let mut again = mbox.mailbox(Access::Exclusive).expect("nobody else has it");
    assert_eq!(again.len(), kept.len());
    for (place, &index) in kept.iter().enumerate() {
        let is_copy = ids[index].as_str().contains('.');
        let id = ready(again.unique_id(place)).expect("it is there");
        assert!(is_copy || id == ids[index], "another identifier");
        let seen = again.message(place).flags.contains(Flags::SEEN);
        let was_seen = messages[index].flags.contains(Flags::SEEN);
        assert!(seen || !was_seen, "a flag is lost");
    }
}

fn length_of(mailbox: &mut impl Mailbox<Reader = LocalReader>, index: usize) -> u64 {
    let mut reader = LocalReader::default();
    ready(mailbox.read(index, &mut reader)).expect("it is there");
    let mut length = 0;
    while let chunk @ [_, ..] = ready(reader.chunk()).expect("the file can be read") {
        let taken = chunk.len();
        length += taken as u64;
        reader.consume(taken);
    }
    length
}
