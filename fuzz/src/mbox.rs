//! Where the messages of an mbox begin and end.

use maildrop::{MBOX_NOTES, MboxMessage};

use crate::Knobs;

/// The messages cover the file in order, their octets are counted to the last, and taking some out leaves the others as they
/// are.
pub fn check(data: &[u8]) {
    let (mut knobs, file) = Knobs::split(data);
    for content_length in [true, false] {
        let Some(messages) = MboxMessage::all_in(file, content_length) else {
            let start = file.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(file.len());
            assert!(!file[start..].starts_with(b"From "), "an mbox is taken for none");
            continue;
        };
        let mut at = None;
        for message in &messages {
            let MboxMessage { start, header, body, end, next, .. } = *message;
            assert!(at.is_none_or(|at| at == start), "a gap before {start}");
            assert!(start < header && header <= body && body <= end && end <= next);
            assert!(next - end <= 4, "more than line ends between {end} and {next}");
            let line = slice(file, start, header);
            assert!(line.starts_with(b"From "));
            let text = &*shown(slice(file, header, end));
            let octets = wire_octets(text);
            // A last line without an end may get one.
            let lacks_end = text.last().is_some_and(|&byte| byte != b'\n');
            assert!(message.octets == octets || (lacks_end && message.octets == octets + 2));
            assert!(content_length || !message.counted);
            at = Some(next);
        }
        assert!(at.is_none_or(|at| at == file.len() as u64), "the end of the file is in no message");
    }
    remove_some(file, &mut knobs);
}

fn remove_some(file: &[u8], knobs: &mut Knobs) {
    // What is the first message only, since others were taken out, may be none.
    let hidden = file.windows(6).any(|window| window.eq_ignore_ascii_case(b"x-imap"));
    let Some(messages) = MboxMessage::all_in(file, false).filter(|_| !hidden) else { return };
    let (mut left, mut kept, mut at) = (Vec::new(), Vec::new(), 0);
    for message in &messages {
        if knobs.one_in(2) {
            left.extend_from_slice(slice(file, at, message.start));
            at = message.next;
        } else {
            kept.push(slice(file, message.header, message.end).to_vec());
        }
    }
    left.extend_from_slice(slice(file, at, file.len() as u64));
    let again = MboxMessage::all_in(&left, false).expect("what is left is an mbox");
    let texts: Vec<Vec<u8>> =
        again.iter().map(|message| slice(&left, message.header, message.end).to_vec()).collect();
    assert_eq!(texts, kept);
}

/// A message without the notes that mail readers keep in its header.
fn shown(text: &[u8]) -> Vec<u8> {
    let (mut shown, mut skipped, mut lines) =
        (Vec::new(), false, text.split_inclusive(|&byte| byte == b'\n'));
    for line in lines.by_ref() {
        if !matches!(line, [b' ' | b'\t', ..]) {
            let colon = line.iter().take(64).position(|&byte| byte == b':');
            let name = colon.map(|colon| line[..colon].trim_ascii_end());
            let is = |note: &&str| name.is_some_and(|name| name.eq_ignore_ascii_case(note.as_bytes()));
            skipped = MBOX_NOTES.iter().any(is);
        }
        if !skipped {
            shown.extend_from_slice(line);
        }
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
    }
    shown.extend(lines.flatten());
    shown
}

fn slice(file: &[u8], start: u64, end: u64) -> &[u8] {
    &file[start as usize..end as usize]
}

fn wire_octets(text: &[u8]) -> u64 {
    let lone = |at: &usize| text[*at] == b'\n' && (*at == 0 || text[*at - 1] != b'\r');
    (text.len() + (0..text.len()).filter(lone).count()) as u64
}
