//! The command line.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// One thing to do, in the order of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Sleep(u32),
    /// `None` is without end.
    Retries(Option<u32>),
    /// 0 is never, and what is less always.
    StaleAfter(i32),
    Suspend(u32),
    Invert,
    LockMailbox,
    UnlockMailbox,
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Usage,
    Help,
    Version,
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Vec<Item>, Refused> {
    let mut arguments = arguments.into_iter();
    let mut items = Vec::new();
    while let Some(argument) = arguments.next() {
        let Some(letters) = argument.as_bytes().strip_prefix(b"-") else {
            items.push(Item::File(argument.into()));
            continue;
        };
        let mut rest = letters;
        while let Some((&letter, behind)) = rest.split_first() {
            rest = behind;
            match letter {
                b'!' => items.push(Item::Invert),
                b'v' => return Err(Refused::Version),
                b'h' | b'?' => return Err(Refused::Help),
                b'0'..=b'9' => {
                    let start = letters.len() - behind.len() - 1;
                    let (seconds, length) = number(&letters[start..]).ok_or(Refused::Usage)?;
                    items.push(Item::Sleep(u32::try_from(seconds).map_err(|_| Refused::Usage)?));
                    rest = &letters[start + length..];
                }
                b'r' | b'l' | b's' => {
                    let value = match rest.is_empty() {
                        true => arguments.next().ok_or(Refused::Usage)?.into_vec(),
                        false => rest.to_vec(),
                    };
                    let (number, _) =
                        number(&value).filter(|(_, length)| *length == value.len()).ok_or(Refused::Usage)?;
                    items.push(match letter {
                        b'r' => Item::Retries(u32::try_from(number).ok()),
                        b'l' => Item::StaleAfter(number),
                        _ => Item::Suspend(u32::try_from(number).map_err(|_| Refused::Usage)?),
                    });
                    break;
                }
                b'm' if rest == b"l" => {
                    items.push(Item::LockMailbox);
                    break;
                }
                b'm' if rest == b"u" => {
                    items.push(Item::UnlockMailbox);
                    break;
                }
                _ => return Err(Refused::Usage),
            }
        }
    }
    Ok(items)
}

/// The number at the start of a text, and how many octets it takes, blanks before it and its sign included. Of a large number
/// only the lowest 32 bits count, as with procmail's lockfile.
fn number(text: &[u8]) -> Option<(i32, usize)> {
    let (sign, digits) = match text.trim_ascii_start() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = digits[..count]
        .iter()
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    (count > 0).then_some(((sign * number) as i32, text.len() - digits.len() + count))
}

/// A path whose name is an octet shorter.
pub(crate) fn shortened(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.as_bytes();
    let shorter = name.split_last().map(|(_, shorter)| shorter).filter(|shorter| !shorter.is_empty())?;
    Some(path.with_file_name(OsString::from_vec(shorter.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Vec<Item>, Refused> {
        parse(words.split('|').filter(|word| !word.is_empty()).map(OsString::from))
    }

    #[test]
    fn items_stay_in_order() {
        let items = parse_words("-5|-r-1|-r|3|-l7|-s|0|-!|a|-ml|-mu|./-a").unwrap();
        let file = |name: &str| Item::File(name.into());
        assert_eq!(
            items,
            [
                Item::Sleep(5),
                Item::Retries(None),
                Item::Retries(Some(3)),
                Item::StaleAfter(7),
                Item::Suspend(0),
                Item::Invert,
                file("a"),
                Item::LockMailbox,
                Item::UnlockMailbox,
                file("./-a"),
            ]
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let signed =
            [Item::Retries(Some(3)), Item::StaleAfter(5), Item::Retries(Some(0)), Item::File("a".into())];
        assert_eq!(parse_words("-r|+3|-l| 5|-r-0|a").unwrap(), signed);
        let together = [Item::Invert, Item::Sleep(15), Item::Retries(Some(0)), Item::File("a".into())];
        assert_eq!(parse_words("-!15r|0|a").unwrap(), together);
        assert_eq!(parse_words("-|a|-"), Ok(vec![Item::File("a".into())]));
        for words in
            ["-q|a", "--", "--r0|a", "-!-|a", "-r|0-x|a", "-r0-x|a", "-ab", "-r", "-mx", "-m", "-l|a"]
        {
            assert_eq!(parse_words(words), Err(Refused::Usage), "{words}");
        }
        for words in ["-99999999999999999999|a", "-2147483648|a", "-s|-5|a", "-s-1|a"] {
            assert_eq!(parse_words(words), Err(Refused::Usage), "{words}");
        }
        assert_eq!(parse_words("a|-v"), Err(Refused::Version));
        assert_eq!(parse_words("-h"), Err(Refused::Help));
    }

    #[test]
    fn numbers_have_32_bits() {
        let table = [
            ("-99999999999", Item::Sleep(1_215_752_191)),
            ("-2147483647", Item::Sleep(i32::MAX.unsigned_abs())),
            ("-l-5", Item::StaleAfter(-5)),
            ("-l2147483648", Item::StaleAfter(i32::MIN)),
            ("-l4294967297", Item::StaleAfter(1)),
            ("-r99999999999999999999", Item::Retries(None)),
        ];
        for (word, item) in table {
            assert_eq!(parse_words(word), Ok(vec![item]), "{word}");
        }
    }

    #[test]
    fn names_are_shortened_but_not_to_nothing() {
        assert_eq!(shortened(Path::new("a/bc")), Some("a/b".into()));
        assert_eq!(shortened(Path::new("a/b")), None);
    }
}
