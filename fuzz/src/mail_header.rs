//! The filter of headers in `postoffice` beside one that has the whole message before it.

use crate::Knobs;

// The one module of the server that is looked at alone: the rest of it needs a runtime and TLS.
#[path = "../../examples/src/delivery/header.rs"]
#[allow(dead_code, reason = "the server uses more of it")]
mod header;

use header::{HELD, HeaderFilter};

/// Fields that are taken out of a message for an mbox.
const NOTES: [&[u8]; 7] =
    [b"content-length", b"status", b"x-status", b"x-keywords", b"x-uid", b"x-imap", b"x-imapbase"];
/// How far the colon of the first field is looked for.
const FIRST: usize = 256;
/// How far the colon behind a name is looked for.
const LOOK: usize = 24;

/// However a message is cut, it comes out as the reference has it; and never runs into the fields put before it.
pub fn check(data: &[u8]) {
    let (mut knobs, message) = Knobs::split(data);
    let for_mbox = knobs.one_in(2);
    let (mut filter, mut out, mut rest) = (HeaderFilter::new(for_mbox), Vec::new(), message);
    let (mut given, mut dropped) = (0, 0);
    let (expected, received) = reference(message, for_mbox, &mut dropped);
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at((1 + knobs.below(40)).min(rest.len()));
        filter.push(chunk, &mut out);
        (rest, given) = (behind, given + chunk.len());
        assert!(out.len() + HELD + dropped >= given, "more is held than is said: {}", message.escape_ascii());
    }
    filter.finish(&mut out);
    assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(filter.received_fields(), received, "{}", message.escape_ascii());
    assert!(!matches!(out.first(), Some(b' ' | b'\t')), "it continues what is put before it");
}

/// The message as it is to come out, and the number of `Received` fields; counts what is dropped.
fn reference(message: &[u8], for_mbox: bool, dropped: &mut usize) -> (Vec<u8>, u32) {
    if message.is_empty() || message.starts_with(b"\n") || message.starts_with(b"\r\n") {
        return (message.to_vec(), 0);
    }
    let quotes = message.iter().take_while(|byte| **byte == b'>').count();
    let from_line = quotes + 5 <= FIRST
        && message[quotes..].get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"From "));
    let name = message.iter().take_while(|byte| byte.is_ascii_graphic() && **byte != b':').count();
    let blanks = message[name..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let is_field = name > 0 && name + blanks < FIRST && message.get(name + blanks) == Some(&b':');
    let (mut out, mut lines) = (Vec::new(), message);
    if from_line {
        let end = message.iter().position(|byte| *byte == b'\n').map_or(message.len(), |at| at + 1);
        out.extend_from_slice(b"X-Mailbox-Line: ");
        out.extend_from_slice(&message[..end]);
        lines = &message[end..];
    } else if !is_field {
        return ([b"\r\n", message].concat(), 0);
    }
    let (mut received, mut drops) = (0, false);
    while !lines.is_empty() {
        if lines.starts_with(b"\n") || lines.starts_with(b"\r\n") {
            break;
        }
        let end = lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |at| at + 1);
        let (line, rest) = lines.split_at(end);
        lines = rest;
        if !matches!(line[0], b' ' | b'\t') {
            let is_note = for_mbox && NOTES.iter().any(|name| is_called(line, name));
            drops = is_note || is_called(line, b"return-path");
            received += u32::from(is_called(line, b"received"));
        }
        if drops {
            *dropped += line.len();
        } else {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(lines);
    (out, received)
}

/// Whether a line is a field of that name, or has so many blanks behind the name that it hides whether it is.
fn is_called(line: &[u8], name: &[u8]) -> bool {
    let start = &line[..line.len().min(LOOK)];
    let Some((before, behind)) = start.split_at_checked(name.len()) else { return false };
    let colon = match behind.iter().find(|byte| !matches!(byte, b' ' | b'\t')) {
        Some(byte) => *byte == b':',
        None => start.len() == LOOK,
    };
    before.eq_ignore_ascii_case(name) && colon
}
