//! The command line of formail.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::header::{FROM, Field, given_name, is_blank, trim};

/// Fields that make a header.
const FIELDS: usize = 2;

/// What is done, as the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) keep_from_lines: bool,
    pub(super) prefix: Option<Vec<u8>>,
    pub(super) ignore_content_length: bool,
    pub(super) unfold: bool,
    pub(super) zap: bool,
    pub(super) force: bool,
    pub(super) reply: bool,
    pub(super) keep_body: bool,
    pub(super) trust: bool,
    pub(super) resent: bool,
    pub(super) loud: bool,
    pub(super) log_folder: Option<Vec<u8>>,
    pub(super) cache: Option<(u64, PathBuf)>,
    pub(super) extract: Vec<Vec<u8>>,
    pub(super) extract_whole: Vec<Vec<u8>>,
    pub(super) add_missing: Vec<Vec<u8>>,
    pub(super) add: Vec<Vec<u8>>,
    pub(super) rename_and_add: Vec<Vec<u8>>,
    pub(super) replace: Vec<Vec<u8>>,
    pub(super) first_only: Vec<Vec<u8>>,
    pub(super) last_only: Vec<Vec<u8>>,
    pub(super) rename: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) split: Option<Split>,
}

impl Options {
    /// Whether fields are extracted.
    pub(super) fn extracts(&self) -> bool {
        !self.extract.is_empty() || !self.extract_whole.is_empty()
    }

    /// Whether the command line says something about the postmark, so that none is made up.
    pub(super) fn names_postmark(&self) -> bool {
        let given = self.rename_and_add.iter().chain(&self.replace).map(|field| given_name(field));
        given
            .chain(self.rename.iter().map(|(old, _)| old.as_slice()))
            .any(|name| FROM.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
    }

    /// Whether the body is written too.
    pub(super) fn keeps_body(&self) -> bool {
        self.keep_body || !(self.extracts() || self.reply)
    }
}

/// How the input is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) command: Vec<OsString>,
    pub(super) skip: u64,
    pub(super) most: Option<u64>,
    pub(super) digest: bool,
    pub(super) anywhere: bool,
    pub(super) babyl: bool,
    pub(super) fields: usize,
    /// Programs at a time; zero is without end.
    pub(super) programs: usize,
}

/// Why there is nothing to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// `-h`, `-?`
    Help,
    /// `-v`
    Version,
    /// The command line cannot be understood.
    Usage,
    /// A field name that cannot be one.
    FieldName(Vec<u8>),
}

/// What kind of field an option takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The whole name.
    Whole,
    /// A part of the name will do.
    Part,
}

pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Options, Refused> {
    let mut arguments = arguments.into_iter();
    let mut options = Options::default();
    let mut split = Split {
        command: Vec::new(),
        skip: 0,
        most: None,
        digest: false,
        anywhere: false,
        babyl: false,
        fields: FIELDS,
        programs: 1,
    };
    let (mut splitting, mut only_when_splitting) = (false, false);
    let mut waiting: Option<OsString> = None;
    while let Some(argument) = waiting.take().or_else(|| arguments.next()) {
        let bytes = argument.into_vec();
        let letters = match bytes.as_slice() {
            [b'+', count @ ..] => {
                split.skip = number(count).ok_or(Refused::Usage)?;
                only_when_splitting = true;
                continue;
            }
            [b'-', letters @ ..] => letters,
            _ => return Err(Refused::Usage),
        };
        let mut at = 0;
        while let Some(&letter) = letters.get(at) {
            at += 1;
            // What stands behind the letter, or else the next argument.
            let mut value = |at: &mut usize| {
                let attached = letters[*at..].to_vec();
                *at = letters.len();
                match attached.is_empty() {
                    true => arguments.next().map(OsString::into_vec).ok_or(Refused::Usage),
                    false => Ok(attached),
                }
            };
            match letter {
                b'v' => return Err(Refused::Version),
                b'h' | b'?' => return Err(Refused::Help),
                b'b' => options.keep_from_lines = true,
                b'Y' => options.ignore_content_length = true,
                b'c' => options.unfold = true,
                b'z' => options.zap = true,
                b'f' => options.force = true,
                b'r' => options.reply = true,
                b'k' => options.keep_body = true,
                b't' => options.trust = true,
                b'q' => {
                    options.loud = letters.get(at) == Some(&b'-');
                    at += usize::from(options.loud);
                }
                b'd' | b'e' | b'B' => {
                    only_when_splitting = true;
                    match letter {
                        b'd' => split.digest = true,
                        b'e' => split.anywhere = true,
                        _ => split.babyl = true,
                    }
                }
                b'p' => options.prefix = Some(value(&mut at)?),
                b'l' => options.log_folder = Some(value(&mut at)?),
                b'D' => {
                    let length = number(&value(&mut at)?).ok_or(Refused::Usage)?;
                    let path = arguments.next().ok_or(Refused::Usage)?;
                    options.cache = Some((length, path.into()));
                }
                b'm' => {
                    let fields = number(&value(&mut at)?).ok_or(Refused::Usage)?;
                    let fields = usize::try_from(fields).unwrap_or(usize::MAX);
                    split.fields = if fields == 0 { FIELDS } else { fields };
                    only_when_splitting = true;
                }
                b'n' => {
                    only_when_splitting = true;
                    let digits = letters[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    let mut most = number(&letters[at..at + digits]);
                    at += digits;
                    if most.is_none() && at == letters.len() {
                        waiting = arguments.next();
                        most = waiting.as_ref().and_then(|next| number(next.as_bytes()));
                        waiting = waiting.filter(|_| most.is_none());
                    }
                    split.programs = most.map_or(0, |most| usize::try_from(most).unwrap_or(usize::MAX));
                }
                b's' => {
                    splitting = true;
                    split
                        .command
                        .extend((at < letters.len()).then(|| OsString::from_vec(letters[at..].to_vec())));
                    split.command.extend(waiting.take());
                    split.command.extend(arguments.by_ref());
                    at = letters.len();
                }
                b'0'..=b'9' => {
                    let digits = letters[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    split.most = number(&letters[at - 1..at + digits]);
                    at += digits;
                    only_when_splitting = true;
                }
                b'a' => match value(&mut at)? {
                    field if field.eq_ignore_ascii_case(b"Resent-") && options.reply && options.trust => {
                        options.resent = true;
                    }
                    field => options.add_missing.push(check(field, Kind::Whole)?),
                },
                b'A' => options.add.push(check(value(&mut at)?, Kind::Whole)?),
                b'i' => options.rename_and_add.push(check(value(&mut at)?, Kind::Part)?),
                b'I' => options.replace.push(check(value(&mut at)?, Kind::Part)?),
                b'u' => options.first_only.push(name(value(&mut at)?)?),
                b'U' => options.last_only.push(name(value(&mut at)?)?),
                b'x' => options.extract.push(name(value(&mut at)?)?),
                b'X' => options.extract_whole.push(name(value(&mut at)?)?),
                b'R' => {
                    let old = check(value(&mut at)?, Kind::Part)?;
                    let new = arguments.next().ok_or(Refused::Usage)?.into_vec();
                    let content = &old[given_name(&old).len()..];
                    if !trim(content).is_empty() {
                        // It stands there as a field does, with its line end.
                        let start = content.iter().position(|&byte| !is_blank(byte)).unwrap_or(0);
                        return Err(Refused::FieldName([&content[start..], b"\n"].concat()));
                    }
                    let old = given_name(&old).to_vec();
                    let whole = Field::parse(&old).is_some();
                    let kind = if whole { Kind::Whole } else { Kind::Part };
                    let new = given_name(&check(new, kind)?).to_vec();
                    options.rename.push((old, new));
                }
                _ => return Err(Refused::Usage),
            }
        }
    }
    let contradictory = (only_when_splitting && !splitting)
        || (options.keep_body && !options.reply && !options.extracts())
        || (options.log_folder.is_some() && options.extracts());
    if contradictory {
        return Err(Refused::Usage);
    }
    options.split = splitting.then_some(split);
    Ok(options)
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The name of a field, or a part of a name.
fn name(field: Vec<u8>) -> Result<Vec<u8>, Refused> {
    check(field, Kind::Part).map(|field| given_name(&field).to_vec())
}

/// Lets a field pass whose name can be one.
fn check(field: Vec<u8>, kind: Kind) -> Result<Vec<u8>, Refused> {
    let part = kind == Kind::Part && field.iter().all(|&byte| byte > b' ' && byte != 0x7f && byte != b':');
    let named = field.starts_with(FROM) || Field::parse(&field).is_some_and(|field| !field.is_from());
    if part || named { Ok(field) } else { Err(Refused::FieldName(field)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Options, Refused> {
        parse(words.split('|').filter(|word| !word.is_empty()).map(OsString::from))
    }

    #[test]
    fn letters_and_their_values_may_stand_together_or_apart() {
        let options = parse_words("-czxSubject:").unwrap();
        assert!(options.unfold && options.zap);
        assert_eq!(options.extract, [b"Subject:"]);
        let options = parse_words("-rt|-a|Resent-|-q-|-D|5|cache|-R|a|b|-R|A:|B:").unwrap();
        assert!(options.resent && options.loud && options.add_missing.is_empty());
        assert_eq!(options.cache, Some((5, "cache".into())));
        let options = parse_words("+1|-5|-n|-ds|cat|-x").unwrap().split.unwrap();
        assert!(options.digest);
        assert_eq!((options.skip, options.most, options.programs), (1, Some(5), 0));
        assert_eq!(options.command, ["cat", "-x"]);
        assert_eq!(parse_words("-n3|-s").unwrap().split.unwrap().programs, 3);
        assert_eq!(parse_words("-n|4|-s").unwrap().split.unwrap().programs, 4);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            "-Q",
            "-x",
            "-D|5",
            "-D|x|c",
            "-m",
            "foo",
            "--",
            "+",
            "-k",
            "-e",
            "-d",
            "-m|3",
            "+1",
            "-1",
            "-p",
            "-l|f|-x|X:",
            "-l|f|-k",
            "-R|a",
        ] {
            assert_eq!(parse_words(words), Err(Refused::Usage), "{words}");
        }
        for (words, name) in [
            ("-A|NoColon", "NoColon"),
            ("-A|Bad Name: x", "Bad Name: x"),
            ("-x|a b", "a b"),
            ("-R|A:|Bar", "Bar"),
            ("-R|A: b |Bar:", "b \n"),
            ("-R|A:\r|Bar:", "\r\n"),
            ("-r|-a|Resent-", "Resent-"),
            ("-a| : x", " : x"),
        ] {
            assert_eq!(parse_words(words), Err(Refused::FieldName(name.into())), "{words}");
        }
        assert_eq!(parse_words("-bh"), Err(Refused::Help));
        assert_eq!(parse_words("-v"), Err(Refused::Version));
    }
}
