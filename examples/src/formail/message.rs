//! One message: its header rewritten.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use maildrop::FromLine;

use super::header::{FROM, Field, given_name, trim};
use super::options::Options;
use super::sender::{self, UNKNOWN, Wanted};

/// What a header becomes.
#[derive(Debug)]
pub(super) struct Rewritten {
    fields: Vec<Field>,
    /// From_ line and subject, for the log: those that the message came with.
    logged: Vec<Field>,
    /// By which the message is known in a cache of those that were seen.
    pub(super) key: Vec<u8>,
    /// Whether a reply was asked for, and nobody to reply to found.
    pub(super) no_sender: bool,
    /// Whether a postmark was made up.
    pub(super) postmarked: bool,
    /// Octets of the body that `Content-Length:` says there are, if that is to be heeded.
    pub(super) covered: u64,
}

/// What the world is asked for.
pub(super) struct World {
    pub(super) now: SystemTime,
    pub(super) utc_offset: i32,
    /// A Message-ID that nobody else makes.
    pub(super) message_id: fn() -> Vec<u8>,
}

impl Rewritten {
    /// Rewrites a header as the options say.
    pub(super) fn new(mut fields: Vec<Field>, options: &Options, world: &World) -> Rewritten {
        if options.unfold {
            fields.iter_mut().for_each(Field::unfold);
        }
        if options.zap {
            zap(&mut fields);
        }
        let wanted = match (options.resent, options.trust) {
            (true, _) => Wanted::Resent,
            (_, true) => Wanted::Header,
            _ => Wanted::Envelope,
        };
        let bare = !fields.iter().any(Field::is_from);
        let generate = bare && !options.force && !options.names_postmark() && !options.reply;
        let mut no_sender = false;
        rename(&mut fields, options, !options.reply);
        // What is replaced may still tell whom to reply to; what is deleted may not.
        fields.retain(|field| !deleted(options, field));
        let address = sender::sender(&fields, wanted);
        fields.retain(|field| !removed(options, field));
        let id = content_of(&fields, b"Message-ID:").map(<[u8]>::to_vec).unwrap_or_default();
        if options.reply {
            no_sender = address.is_none();
            fields.retain(|field| !options.first_only.iter().any(|name| field.matches(name)));
            let mut made = reply(&fields, address.as_deref().unwrap_or(UNKNOWN), &id);
            rename(&mut made, options, true);
            made.retain(|field| !removed(options, field));
            fields.retain(|field| kept(options, field));
            fields.append(&mut made);
        } else if generate {
            fields.insert(0, from_line(&fields, options, world));
        }
        let key = match options.reply {
            true => address.unwrap_or_default(),
            false => id.strip_prefix(b" ").map_or(id.as_slice(), |rest| rest.trim_ascii_start()).to_vec(),
        };
        let digest = options.split.as_ref().is_some_and(|split| split.digest);
        let quoting = options.reply && options.keep_body;
        // What is left out does not count, but where whole fields are extracted only.
        let whole = &options.extract_whole;
        let length = Field::new(b"Content-Length:", b"");
        let left_out = !whole.is_empty() && !whole.iter().any(|name| length.matches(name));
        let covered = match options.ignore_content_length || digest || quoting || left_out {
            true => 0,
            false => content_length(&fields),
        };
        let logged =
            fields.iter().filter(|field| field.is_from() || field.is(b"Subject:")).cloned().collect();
        add(&mut fields, options, world);
        leave_one(&mut fields, options);
        Rewritten { fields, logged, key, no_sender, covered, postmarked: generate }
    }

    /// What is written before the body.
    pub(super) fn head(&self, options: &Options) -> Vec<u8> {
        let mut head = Vec::new();
        if options.extracts() {
            extract(&self.fields, options, &mut head);
        } else {
            self.fields.iter().for_each(|field| head.extend_from_slice(field.text()));
        }
        if options.keeps_body() || !options.extracts() {
            head.push(b'\n');
        }
        head
    }

    /// The summary of a message for a log, as procmail writes it.
    pub(super) fn log_entry(&self, size: u64, folder: &[u8]) -> Vec<u8> {
        const SUBJECT: usize = 78;
        const FOLDER: usize = 61;
        let mut entry = Vec::new();
        if let Some(from) = self.logged.iter().find(|field| field.is_from()) {
            entry.extend_from_slice(from.text());
        }
        if let Some(subject) = self.logged.iter().find(|field| field.is(b"Subject:")) {
            let text = &subject.text()[..subject.text().len() - 1];
            entry.push(b' ');
            let blank = |&byte: &u8| if matches!(byte, b'\t'..=b'\r') { b' ' } else { byte };
            entry.extend(text.iter().take(SUBJECT).map(blank));
            entry.push(b'\n');
        }
        let folder = &folder[..folder.len().min(FOLDER)];
        entry.extend_from_slice(b"  Folder: ");
        entry.extend_from_slice(folder);
        // The size begins at column 72.
        let column = 10 + folder.len();
        let tabs = (72_usize.saturating_sub(column / 8 * 8)).div_ceil(8).max(1);
        entry.extend(std::iter::repeat_n(b'\t', tabs));
        entry.extend_from_slice(format!("{size:7}\n").as_bytes());
        entry
    }
}

/// Drops fields that are empty, and puts a blank behind the names of others.
fn zap(fields: &mut Vec<Field>) {
    fields.retain(|field| field.is_from() || !matches!(field.content(), [] | [b' ' | b'\t']));
    for field in fields.iter_mut().filter(|field| !field.is_from()) {
        if !matches!(field.content().first(), Some(b' ' | b'\t' | b'\n')) {
            *field = Field::new(field.name(), &[b" ", field.content()].concat());
        }
    }
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

/// The fields that a reply begins with.
fn reply(fields: &[Field], address: &[u8], id: &[u8]) -> Vec<Field> {
    let mut header = vec![Field::new(b"To:", &[b" ", address].concat())];
    if let Some(subject) = content_of(fields, b"Subject:").filter(|subject| !subject.is_empty()) {
        let blank: &[u8] = if subject.starts_with(b" ") || subject.starts_with(b"\t") { b"" } else { b" " };
        header.push(Field::new(b"Subject:", &[b" Re:", blank, subject].concat()));
    }
    let apart = |content: &[u8]| match content {
        [] | [b' ' | b'\t' | b'\n', ..] => content.to_vec(),
        content => [b" ", content].concat(),
    };
    let id = apart(id);
    let references = apart(content_of(fields, b"References:").unwrap_or_default());
    let references = [references, id.clone()].concat();
    if !references.is_empty() {
        header.push(Field::new(b"References:", &references));
    }
    if !id.is_empty() {
        header.push(Field::new(b"In-Reply-To:", &id));
    }
    header
}

/// Renames each field once. What is added anew is put `aside` as an old one, unless a reply is to keep it.
fn rename(fields: &mut [Field], options: &Options, aside: bool) {
    for field in fields {
        if removed(options, field) {
            continue;
        }
        let named = |given: &&Vec<u8>| field.matches(given_name(given));
        if let Some(given) = options.rename_and_add.iter().find(named) {
            if aside && !(options.reply && content_is_empty(given)) {
                field.rename(0, b"Old-");
            }
        } else if let Some((old, new)) = options.rename.iter().find(|(old, _)| field.matches(old)) {
            field.rename(old.len(), new);
        }
    }
}

/// Adds fields.
fn add(fields: &mut Vec<Field>, options: &Options, world: &World) {
    for field in &options.add_missing {
        let name = given_name(field);
        if fields.iter().any(|other| other.is(name)) {
            continue;
        }
        let ids = [b"Message-ID:".as_slice(), b"Resent-Message-ID:"];
        if name == FROM && content_is_empty(field) && !options.reply {
            fields.insert(0, from_line(fields, options, world));
        } else if content_is_empty(field) && ids.iter().any(|id| name.eq_ignore_ascii_case(id)) {
            fields.push(Field::new(name, &[b" ", (world.message_id)().as_slice()].concat()));
        } else {
            fields.push(Field::given(field));
        }
    }
    for field in options.add.iter().chain(&options.rename_and_add).chain(&options.replace) {
        if !content_is_empty(field) {
            fields.push(Field::given(field));
        }
    }
}

/// Leaves one of each field that is to be unique.
fn leave_one(fields: &mut Vec<Field>, options: &Options) {
    let matches = |names: &[Vec<u8>], field: &Field| names.iter().any(|name| field.matches(name));
    let mut seen = HashSet::new();
    let mut first = |field: &Field| {
        !matches(&options.first_only, field) || seen.insert(field.name().to_ascii_lowercase())
    };
    fields.retain(&mut first);
    let mut seen = HashSet::new();
    let mut last =
        |field: &Field| !matches(&options.last_only, field) || seen.insert(field.name().to_ascii_lowercase());
    fields.reverse();
    fields.retain(&mut last);
    fields.reverse();
}

/// Whether a field goes into a reply as it is.
fn kept(options: &Options, field: &Field) -> bool {
    let named = |given: &Vec<u8>| content_is_empty(given) && field.matches(given_name(given));
    field.is(b"X-Loop:") || options.rename_and_add.iter().any(named)
}

/// Whether a field is named with `-I`, and none comes in its place.
fn deleted(options: &Options, field: &Field) -> bool {
    options.replace.iter().any(|named| content_is_empty(named) && field.matches(given_name(named)))
}

fn removed(options: &Options, field: &Field) -> bool {
    options.replace.iter().any(|named| field.matches(given_name(named)))
}

fn content_is_empty(field: &[u8]) -> bool {
    field.len() == given_name(field).len()
}

/// What the last field of a name holds that holds anything.
fn content_of<'a>(fields: &'a [Field], name: &[u8]) -> Option<&'a [u8]> {
    fields.iter().rev().filter(|field| field.is(name)).map(Field::content).find(|content| !content.is_empty())
}

fn extract(fields: &[Field], options: &Options, output: &mut Vec<u8>) {
    for field in fields {
        if options.extract.iter().any(|name| field.matches(name)) {
            let content = if options.zap { trim(field.content()) } else { field.content() };
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
fn content_length(fields: &[Field]) -> u64 {
    let field = fields.iter().find(|field| field.is(b"Content-Length:"));
    let content = field.map(Field::content).unwrap_or_default().trim_ascii_start();
    let digits = content.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
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
    use crate::formail::header;

    fn entry(header: &str, folder: &str) -> String {
        let world = World { now: UNIX_EPOCH, utc_offset: 0, message_id };
        let options = Options { force: true, ..Options::default() };
        let rewritten = Rewritten::new(header::parse(header.as_bytes()).0, &options, &world);
        String::from_utf8(rewritten.log_entry(13, folder.as_bytes())).unwrap()
    }

    #[test]
    fn a_log_entry_is_laid_out_as_procmail_does() {
        let table =
            [(1, 8), (5, 8), (6, 7), (13, 7), (14, 6), (22, 5), (30, 4), (59, 1), (60, 1), (61, 1), (70, 1)];
        for (length, tabs) in table {
            let folder = "g".repeat(length.min(61));
            let expected = format!("From a b\n  Folder: {folder}{}     13\n", "\t".repeat(tabs));
            assert_eq!(entry("From a b\n", &"g".repeat(length)), expected);
        }
        let entry = entry(&format!("Subject:{}\n\tx\n", "s".repeat(69)), "f");
        assert!(entry.starts_with(&format!(" Subject:{} \n", "s".repeat(69))), "{entry}");
    }

    #[test]
    fn message_ids_differ() {
        assert_ne!(message_id(), message_id());
    }
}
