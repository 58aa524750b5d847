//! One message: its header rewritten, its body escaped.

use std::time::{SystemTime, UNIX_EPOCH};

use maildrop::FromLine;
use memchr::memmem;

use super::header::{self, FROM, Field, line_length};
use super::options::Options;
use super::sender::{self, NOBODY, UNKNOWN, Wanted};

/// What a message becomes.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What is written.
    pub(super) output: Vec<u8>,
    /// By which the message is known in a cache of those that were seen.
    pub(super) key: Vec<u8>,
    /// Whether a reply was asked for, and nobody to reply to found.
    pub(super) no_sender: bool,
    /// Octets of the body that the header promises and that are not there.
    pub(super) missing: u64,
}

/// What the world is asked for.
pub(super) struct World {
    pub(super) now: SystemTime,
    pub(super) utc_offset: i32,
    /// A Message-ID that nobody else makes.
    pub(super) message_id: fn() -> Vec<u8>,
}

/// Rewrites a message as the options say. `message` begins with its header.
pub(super) fn rewrite(message: &[u8], options: &Options, world: &World) -> Outcome {
    let (mut fields, length) = header::parse(message);
    // An empty line ends the header; anything else is the first line of the body.
    let behind = &message[length..];
    let separated = behind.first() == Some(&b'\n');
    let abrupt = !separated && !fields.is_empty() && !fields[0].is_from();
    let body = if separated { &behind[1..] } else { behind };

    let wanted = match (options.resent, options.trust) {
        (true, _) => Wanted::Resent,
        (_, true) => Wanted::Header,
        _ => Wanted::Envelope,
    };
    let id = content_of(&fields, b"Message-ID:").map(<[u8]>::to_vec).unwrap_or_default();
    let key = match options.reply {
        true => sender::sender(&fields, Wanted::Envelope).unwrap_or_default(),
        false => id.strip_prefix(b" ").unwrap_or(&id).to_vec(),
    };
    let covered =
        match options.ignore_content_length || options.split.as_ref().is_some_and(|split| split.digest) {
            true => 0,
            false => content_length(&fields),
        };

    let mut no_sender = false;
    let bare = !fields.iter().any(Field::is_from);
    settle(&mut fields, options);
    if options.reply {
        let address = sender::sender(&fields, wanted).filter(|address| address != NOBODY);
        no_sender = address.is_none();
        fields = reply(&fields, options, &address.unwrap_or_else(|| UNKNOWN.to_vec()), &id);
    } else if !options.force && bare {
        fields.insert(0, from_line(&fields, options, world));
    }
    add(&mut fields, options, world);
    if options.unfold {
        fields.iter_mut().for_each(Field::unfold);
    }
    if options.zap {
        fields.retain(|field| field.is_from() || !matches!(field.content(), [] | [b' ' | b'\t']));
        for field in fields.iter_mut().filter(|field| !field.is_from()) {
            if !field
                .content()
                .first()
                .is_some_and(|&first| first == b' ' || first == b'\t' || first == b'\n')
            {
                *field = Field::new(field.name(), &[b" ", field.content()].concat());
            }
        }
    }

    let extracting = !options.extract.is_empty() || !options.extract_whole.is_empty();
    let mut output = Vec::with_capacity(message.len() + 64);
    if extracting {
        extract(&fields, options, &mut output);
    } else {
        fields.iter().for_each(|field| output.extend_from_slice(field.text()));
    }
    let keep = options.keep_body || !(extracting || options.reply);
    if keep || !extracting {
        output.push(b'\n');
    }
    if keep {
        let covered = usize::try_from(covered).unwrap_or(usize::MAX).min(body.len());
        let place = match () {
            () if abrupt => Place::Abrupt,
            () if separated => Place::Separated,
            () => Place::Inside,
        };
        escape(body, place, covered, options, &mut output);
    }
    let missing = covered.saturating_sub(body.len() as u64);
    Outcome { output, key, no_sender, missing }
}

/// The postmark of a message that has none.
fn from_line(fields: &[Field], options: &Options, world: &World) -> Field {
    let sender = sender::sender(fields, Wanted::Envelope).unwrap_or_else(|| UNKNOWN.to_vec());
    // With `-a Date:` the date is that of the message, as it stands there.
    let date = options.add_missing.iter().any(|field| field.eq_ignore_ascii_case(b"Date:"));
    if let Some(date) = content_of(fields, b"Date:").filter(|_| date) {
        return Field::new(FROM, &[&sender, b" ".as_slice(), date].concat());
    }
    // The sender stands as it was found, blanks in a quoted name included.
    let line = FromLine::new(UNKNOWN, world.now, world.utc_offset);
    let date = &line.as_bytes()[FROM.len() + UNKNOWN.len()..];
    Field::new(FROM, &[&sender, date].concat())
}

/// The header of a reply.
fn reply(fields: &[Field], options: &Options, address: &[u8], id: &[u8]) -> Vec<Field> {
    let kept = |field: &Field| {
        field.is(b"X-Loop:") || options.rename_and_add.iter().any(|named| field.matches(name_of(named)))
    };
    let mut header: Vec<Field> = fields.iter().filter(|field| kept(field)).cloned().collect();
    header.push(Field::new(b"To:", &[b" ", address].concat()));
    if let Some(subject) = content_of(fields, b"Subject:").filter(|subject| !subject.is_empty()) {
        let blank: &[u8] = if subject.starts_with(b" ") || subject.starts_with(b"\t") { b"" } else { b" " };
        header.push(Field::new(b"Subject:", &[b" Re:", blank, subject].concat()));
    }
    let references = content_of(fields, b"References:").unwrap_or_default();
    let references = [references, id].concat();
    if !references.is_empty() {
        header.push(Field::new(b"References:", &references));
    }
    if !id.is_empty() {
        header.push(Field::new(b"In-Reply-To:", id));
    }
    header
}

/// Removes and renames fields that came with the message. For a reply, those that are to be kept keep their names.
fn settle(fields: &mut Vec<Field>, options: &Options) {
    fields.retain(|field| !removed(options, field));
    for field in fields.iter_mut().filter(|_| !options.reply) {
        if options.rename_and_add.iter().any(|named| field.matches(name_of(named))) {
            field.rename(0, b"Old-");
        }
    }
    for (old, new) in &options.rename {
        for field in fields.iter_mut().filter(|field| field.matches(old)) {
            field.rename(old.len(), new);
        }
    }
}

/// Adds fields, and leaves one of each that is to be unique.
fn add(fields: &mut Vec<Field>, options: &Options, world: &World) {
    for field in &options.add_missing {
        let name = name_of(field);
        if fields.iter().any(|other| other.is(name)) {
            continue;
        }
        let ids = [b"Message-ID:".as_slice(), b"Resent-Message-ID:"];
        if name == FROM && content_is_empty(field) {
            fields.insert(0, from_line(fields, options, world));
        } else if content_is_empty(field) && ids.iter().any(|id| name.eq_ignore_ascii_case(id)) {
            fields.push(Field::new(name, &[b" ", (world.message_id)().as_slice()].concat()));
        } else {
            fields.extend(Field::parse(field));
        }
    }
    for field in options.add.iter().chain(&options.rename_and_add).chain(&options.replace) {
        if !content_is_empty(field) {
            fields.extend(Field::parse(field));
        }
    }
    for name in &options.first_only {
        let mut seen = false;
        fields.retain(|field| !field.is(name_of(name)) || !std::mem::replace(&mut seen, true));
    }
    for name in &options.last_only {
        let mut left = fields.iter().filter(|field| field.is(name_of(name))).count();
        fields.retain(|field| {
            let same = field.is(name_of(name));
            left -= usize::from(same);
            !same || left == 0
        });
    }
}

fn removed(options: &Options, field: &Field) -> bool {
    options.replace.iter().any(|named| field.matches(name_of(named)))
}

/// The name in a field of the command line, or all of it if that is a part of a name.
fn name_of(field: &[u8]) -> &[u8] {
    if field.starts_with(FROM) {
        return FROM;
    }
    memchr::memchr(b':', field).map_or(field, |colon| &field[..=colon])
}

fn content_is_empty(field: &[u8]) -> bool {
    field.len() == name_of(field).len()
}

fn content_of<'a>(fields: &'a [Field], name: &[u8]) -> Option<&'a [u8]> {
    fields.iter().find(|field| field.is(name)).map(Field::content)
}

fn extract(fields: &[Field], options: &Options, output: &mut Vec<u8>) {
    for field in fields {
        if options.extract.iter().any(|name| field.matches(name)) {
            let content = if options.zap { field.content().trim_ascii() } else { field.content() };
            if !options.zap || !content.is_empty() {
                output.extend_from_slice(content);
                output.push(b'\n');
            }
        } else if options.extract_whole.iter().any(|name| field.matches(name)) {
            output.extend_from_slice(field.text());
        }
    }
}

/// Octets of the body that `Content-Length:` says there are.
pub(super) fn content_length(fields: &[Field]) -> u64 {
    let content = content_of(fields, b"Content-Length:").unwrap_or_default().trim_ascii_start();
    let digits = content.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

/// What stands before a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// An empty line.
    Separated,
    /// A header with a postmark, which ends where its fields do.
    Inside,
    /// A header without one that ends where its fields do: the next line may be the postmark of another message.
    Abrupt,
}

/// Writes the body: `From ` at the start of a line is escaped behind the octets that are covered by `Content-Length:`,
/// but not in what looks like a postmark and was found to start no message; in a reply each line is quoted. It ends with
/// an empty line.
fn escape(body: &[u8], place: Place, covered: usize, options: &Options, output: &mut Vec<u8>) {
    let prefix = options.prefix.as_deref().unwrap_or(b">");
    let splitting = options.split.is_some();
    let anywhere = options.split.as_ref().is_some_and(|split| split.anywhere);
    let start = output.len();
    match (options.reply, options.keep_from_lines) {
        (_, true) => output.extend_from_slice(body),
        (true, false) => {
            let mut rest = body;
            while !rest.is_empty() {
                let (line, next) = rest.split_at(line_length(rest));
                if line != b"\n" {
                    output.extend_from_slice(prefix);
                }
                if line.starts_with(FROM) {
                    output.extend_from_slice(prefix);
                }
                output.extend_from_slice(line);
                rest = next;
            }
        }
        (false, false) => {
            output.extend_from_slice(&body[..covered]);
            let mut at = covered;
            loop {
                let rest = &body[at..];
                let at_line_start = at == 0 || body[at - 1] == b'\n';
                if at_line_start && rest.starts_with(FROM) {
                    let may_start = match (at, place) {
                        (0, Place::Abrupt) => true,
                        (0, Place::Inside) => false,
                        (0, Place::Separated) => header::is_postmark(rest),
                        _ => {
                            (anywhere || at == 1 || body[..at].ends_with(b"\n\n"))
                                && header::is_postmark(rest)
                        }
                    };
                    if !(splitting && may_start) {
                        output.extend_from_slice(prefix);
                    }
                }
                match memmem::find(rest, b"\nFrom ") {
                    Some(lf) => {
                        output.extend_from_slice(&rest[..=lf]);
                        at += lf + 1;
                    }
                    None => {
                        output.extend_from_slice(rest);
                        break;
                    }
                }
            }
        }
    }
    if output.len() == start {
        return;
    }
    if output.last() != Some(&b'\n') {
        output.push(b'\n');
    }
    // What stands before the body ends with an empty line too.
    if !output.ends_with(b"\n\n") {
        output.push(b'\n');
    }
}

/// The summary of a message for a log, as procmail writes it.
pub(super) fn log_entry(message: &[u8], folder: &[u8]) -> Vec<u8> {
    const SUBJECT: usize = 78;
    const FOLDER: usize = 61;
    let mut entry = Vec::new();
    let (fields, _) = header::parse(message);
    if let Some(from) = fields.iter().find(|field| field.is_from()) {
        entry.extend_from_slice(from.text());
    }
    if let Some(subject) = fields.iter().find(|field| field.is(b"Subject:")) {
        let text = &subject.text()[..subject.text().len() - 1];
        entry.push(b' ');
        let blank = |&byte: &u8| if matches!(byte, b'\t' | b'\n') { b' ' } else { byte };
        entry.extend(text.iter().take(SUBJECT).map(blank));
        entry.push(b'\n');
    }
    let folder = &folder[..folder.len().min(FOLDER)];
    entry.extend_from_slice(b"  Folder: ");
    entry.extend_from_slice(folder);
    // The size begins at column 72.
    let column = 10 + folder.len();
    entry.extend(std::iter::repeat_n(b'\t', (72_usize.saturating_sub(column / 8 * 8)).div_ceil(8).max(1)));
    entry.extend_from_slice(format!("{:7}\n", message.len()).as_bytes());
    entry
}

/// A Message-ID from the clock, random bits and the name of this host.
pub(super) fn message_id() -> Vec<u8> {
    let mut random = [0; 8];
    // Without them the nanoseconds must do.
    let _ = getrandom::fill(&mut random);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = rustix::system::uname();
    let host = name.nodename().to_string_lossy().into_owned();
    let random = u64::from_ne_bytes(random);
    format!("<{:013}.{:08x}{random:016x}@{host}>", now.as_millis(), now.subsec_nanos()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_entry_is_laid_out_as_procmail_does() {
        let table =
            [(1, 8), (5, 8), (6, 7), (13, 7), (14, 6), (22, 5), (30, 4), (59, 1), (60, 1), (61, 1), (70, 1)];
        for (length, tabs) in table {
            let entry = log_entry(b"From a b\n\nb\n\n", "g".repeat(length).as_bytes());
            let folder = "g".repeat(length.min(61));
            let expected = format!("From a b\n  Folder: {folder}{}     13\n", "\t".repeat(tabs));
            assert_eq!(String::from_utf8(entry).unwrap(), expected);
        }
        let message = format!("Subject:{}\n\tx\n\n", "s".repeat(69));
        let entry = String::from_utf8(log_entry(message.as_bytes(), b"f")).unwrap();
        assert!(entry.starts_with(&format!(" Subject:{} \n", "s".repeat(69))), "{entry}");
    }

    #[test]
    fn message_ids_differ() {
        assert_ne!(message_id(), message_id());
    }
}
