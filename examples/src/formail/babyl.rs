//! The messages of an Emacs mail file (BABYL). Each begins behind a line with US and FF, and a line with its labels.
//! Behind the whole header, unless that is empty, comes a mark and the header as it was shown.

use std::io::{self, Read};

use memchr::memchr;

use super::input::Input;

/// What begins a section, and what stands behind the whole header.
const US: u8 = 0x1f;
const MARK: &[u8] = b"*** EOOH ***\n";
/// What is longer than this is not taken for a header.
const LONGEST_HEADER: usize = 8 * 1024 * 1024;

/// Passes over what stands before the next message, and its labels. Answers whether there is one.
pub(super) fn next(input: &mut Input<impl Read>) -> io::Result<bool> {
    loop {
        let held = input.fill(1)?;
        if held.is_empty() {
            return Ok(false);
        }
        let found = memchr(US, held);
        let passed = found.map_or(held.len(), |at| at + 1);
        input.consume(passed);
        if found.is_none() || !input.fill(2)?.starts_with(b"\x0c\n") {
            continue;
        }
        input.consume(2);
        loop {
            let length = input.line()?;
            let whole = input.held()[..length].ends_with(b"\n");
            input.consume(length);
            if whole || length == 0 {
                return Ok(true);
            }
        }
    }
}

/// The header of the message that comes next, and lines that were taken for one.
pub(super) fn header(input: &mut Input<impl Read>) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    let marked = collect(input, &mut whole, MARK)?;
    if !marked {
        return Ok(whole);
    }
    let mut shown = Vec::new();
    collect(input, &mut shown, b"\n")?;
    let mut header = if whole.trim_ascii().is_empty() { shown } else { whole.trim_ascii_end().to_vec() };
    if !header.ends_with(b"\n") {
        header.push(b'\n');
    }
    header.push(b'\n');
    Ok(header)
}

/// Takes lines up to this one, and it too. Answers whether it was found in the section.
fn collect(input: &mut Input<impl Read>, into: &mut Vec<u8>, end: &[u8]) -> io::Result<bool> {
    while into.len() < LONGEST_HEADER {
        let length = input.line()?;
        let line = &input.held()[..length];
        let rest = memchr(US, line).map(|at| &line[..at]);
        let taken = rest.unwrap_or(line);
        let (count, found) = (taken.len(), taken == end);
        if !found {
            into.extend_from_slice(taken);
        }
        let ended = rest.is_some() || length == 0;
        input.consume(count);
        if found || ended {
            return Ok(found);
        }
    }
    Ok(false)
}

/// The rest of a message.
pub(super) struct Section<'a, R>(pub(super) &'a mut Input<R>);

impl<R: Read> Read for Section<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let held = self.0.fill(1)?;
        let end = memchr(US, held).unwrap_or(held.len());
        let count = end.min(into.len());
        into[..count].copy_from_slice(&held[..count]);
        self.0.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_babyl_file_holds_whole_or_shown_headers() {
        let text = b"BABYL OPTIONS:\nVersion: 5\n\x1f\x0c\n1,,\nReceived: x\nFrom: a@b\n\n*** EOOH ***\nFrom: a@b\n\nbody\n\x1f\x0c\n0, unseen,,\n*** EOOH ***\nFrom: d@b\n\nbody2\n\x1f";
        let mut input = Input::new(text.as_slice());
        let mut found = Vec::new();
        while next(&mut input).unwrap() {
            let mut message = header(&mut input).unwrap();
            Section(&mut input).read_to_end(&mut message).unwrap();
            found.push(String::from_utf8(message).unwrap());
        }
        assert_eq!(found, ["Received: x\nFrom: a@b\n\nbody\n", "From: d@b\n\nbody2\n"]);
    }
}
