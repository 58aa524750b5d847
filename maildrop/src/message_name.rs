//! File names of messages: `unique,S=size,W=size:2,FLAGS`.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use crate::flags::Flags;
use crate::unique;

/// Longest file name that file systems commonly take (`NAME_MAX`), in octets.
const MAX_FILE_NAME: usize = 255;

/// The file name of a message in `new/` or `cur/`, kept octet for octet.
///
/// Its parts are the unique part (up to the first comma), fields (`S` is the size of the file, `W` its size with each
/// line end as CRLF), and behind `:2,` the flags. Unknown fields, unknown flag letters and
/// unknown kinds of information are kept.
///
/// ```
/// use maildrop::{Flags, MessageName};
///
/// let name = MessageName::parse(b"1700000000.M5P7Q1.mx,S=1200,W=1230:2,RS")?;
/// assert_eq!((name.size(), name.crlf_size()), (Some(1200), Some(1230)));
/// assert_eq!(name.flags(), Flags::SEEN | Flags::REPLIED);
/// let flagged = name.with_flags(name.flags() | Flags::FLAGGED)?;
/// assert_eq!(flagged.as_bytes(), b"1700000000.M5P7Q1.mx,S=1200,W=1230:2,FRS");
/// # Ok::<(), maildrop::MessageNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MessageName {
    bytes: Box<[u8]>,
    /// Where the information starts: the offset of `:`, or the length.
    info: usize,
    size: Option<u64>,
    crlf_size: Option<u64>,
    flags: Flags,
}

/// Why some bytes cannot be the file name of a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageNameError {
    /// Nothing stands before the first comma or colon.
    #[error("expected a message file name with a unique part, but found none")]
    Empty,
    /// Files that begin with a dot are not messages.
    #[error("expected a message file name, but found a leading '.'")]
    LeadingDot,
    /// A `/` or NUL.
    #[error("expected a message file name without '/' and nul, but found one at offset {0}")]
    Forbidden(usize),
    /// The name would be longer than file systems take.
    #[error("expected a message file name of at most 255 octets, but found {0}")]
    TooLong(usize),
}

impl MessageName {
    /// Reads a file name. Flags in any order and repeated are understood; [`MessageName::as_bytes`] still answers what
    /// was read.
    ///
    /// # Errors
    /// [`MessageNameError`] for what cannot be a message's file name.
    pub fn parse(bytes: &[u8]) -> Result<MessageName, MessageNameError> {
        let NameParts { info, size, crlf_size, flags } = NameParts::parse(bytes)?;
        Ok(MessageName { bytes: bytes.into(), info, size, crlf_size, flags })
    }

    /// The name in `new/` of a message with these sizes: no information part. A size for which a unique identifier has no
    /// room is left out: it can be counted, while the identifier has to be the name.
    pub(crate) fn delivered(unique: &str, size: u64, crlf_size: Option<u64>) -> MessageName {
        let mut text = unique.to_owned();
        let mut add = |field: String| {
            let fits = text.len() + field.len() <= unique::MAX;
            if fits {
                text.push_str(&field);
            }
            fits
        };
        let size = Some(size).filter(|size| add(format!(",S={size}")));
        let crlf_size = crlf_size.filter(|size| add(format!(",W={size}")));
        let bytes = text.into_bytes().into_boxed_slice();
        let info = bytes.len();
        MessageName { bytes, info, size, crlf_size, flags: Flags::EMPTY }
    }

    /// The name in `new/` of a message that tells no sizes.
    pub(crate) fn plain(unique: &str) -> MessageName {
        let bytes = unique.as_bytes().into();
        MessageName { bytes, info: unique.len(), size: None, crlf_size: None, flags: Flags::EMPTY }
    }

    /// The whole file name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The whole file name, to be joined to a path.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.bytes)
    }

    /// What stands before the first comma or colon: the same for as long as the message exists.
    pub fn unique(&self) -> &[u8] {
        let base = self.base();
        &base[..memchr::memchr(b',', base).unwrap_or(base.len())]
    }

    /// What stands before the colon: the unique part and the fields, without flags.
    pub fn base(&self) -> &[u8] {
        &self.bytes[..self.info]
    }

    /// The size of the file in octets, from `,S=`.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The size of the message in octets with each line ended by CRLF, from `,W=`.
    pub fn crlf_size(&self) -> Option<u64> {
        self.crlf_size
    }

    /// The flags. None if there is no information, or not of the kind `2`.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// The same message with other flags, in ASCII order, as it is called in `cur/`. Flag letters unknown to this crate
    /// stay behind them. Information of a kind other than `2` is replaced.
    ///
    /// # Errors
    /// [`MessageNameError::TooLong`] if the flags do not fit.
    pub fn with_flags(&self, flags: Flags) -> Result<MessageName, MessageNameError> {
        let mut bytes = self.base().to_vec();
        bytes.extend_from_slice(b":2,");
        bytes.extend(flags.letters().map(|letter| letter as u8));
        bytes.extend_from_slice(&split_info(&self.bytes[self.info..]).1);
        if bytes.len() > MAX_FILE_NAME {
            return Err(MessageNameError::TooLong(bytes.len()));
        }
        Ok(MessageName { bytes: bytes.into(), flags, ..self.clone() })
    }
}

/// What a file name says, without a copy of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameParts {
    /// Where the information starts: the offset of `:`, or the length.
    pub(crate) info: usize,
    pub(crate) size: Option<u64>,
    pub(crate) crlf_size: Option<u64>,
    pub(crate) flags: Flags,
}

impl NameParts {
    /// Octets of the file, if its name tells.
    pub(crate) fn size_in(name: &[u8]) -> Option<u64> {
        NameParts::parse(name).ok()?.size
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<NameParts, MessageNameError> {
        if bytes.first() == Some(&b'.') {
            return Err(MessageNameError::LeadingDot);
        }
        if let Some(offset) = memchr::memchr2(b'/', 0, bytes) {
            return Err(MessageNameError::Forbidden(offset));
        }
        if bytes.len() > MAX_FILE_NAME {
            return Err(MessageNameError::TooLong(bytes.len()));
        }
        let info = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
        let mut fields = bytes[..info].split(|&byte| byte == b',');
        if fields.next().is_none_or(<[u8]>::is_empty) {
            return Err(MessageNameError::Empty);
        }
        let (mut size, mut crlf_size) = (None, None);
        for field in fields {
            match field {
                [b'S', b'=', digits @ ..] => size = size.or_else(|| number(digits)),
                [b'W', b'=', digits @ ..] => crlf_size = crlf_size.or_else(|| number(digits)),
                _ => {}
            }
        }
        let flags = split_info(&bytes[info..]).0;
        Ok(NameParts { info, size, crlf_size, flags })
    }
}

impl fmt::Debug for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageName({})", self.bytes.escape_ascii())
    }
}

impl fmt::Display for MessageName {
    /// The file name with octets outside printable ASCII escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.escape_ascii().fmt(f)
    }
}

/// Splits `:2,…` into known flags and the rest, which is kept.
fn split_info(info: &[u8]) -> (Flags, Vec<u8>) {
    let Some(letters) = info.strip_prefix(b":2,") else { return (Flags::EMPTY, Vec::new()) };
    let (mut flags, mut rest) = (Flags::EMPTY, Vec::new());
    for (at, &letter) in letters.iter().enumerate() {
        match Flags::from_letter(letter) {
            Some(flag) => flags |= flag,
            None if letter == b',' => {
                rest.extend_from_slice(&letters[at..]);
                break;
            }
            None => rest.push(letter),
        }
    }
    (flags, rest)
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_this_and_other_programs_are_understood() {
        // (name, unique, size, crlf size, flags)
        type Row = (&'static str, &'static str, Option<u64>, Option<u64>, &'static str);
        let table: [Row; 12] = [
            ("1700.M1P2.h,S=10,W=12:2,S", "1700.M1P2.h", Some(10), Some(12), "S"),
            ("1700.M1P2.h,W=12,S=10", "1700.M1P2.h", Some(10), Some(12), ""),
            ("1700.P2.h:2,", "1700.P2.h", None, None, ""),
            ("1700.P2.h", "1700.P2.h", None, None, ""),
            ("1700.P2.h,S=", "1700.P2.h", None, None, ""),
            ("1700.P2.h,S=1x,S=7,S=8", "1700.P2.h", Some(7), None, ""),
            ("1700.P2.h,S=99999999999999999999", "1700.P2.h", None, None, ""),
            ("1700.P2.h,X=3:2,TSzb", "1700.P2.h", None, None, "STbz"),
            ("1700.P2.h:1,S", "1700.P2.h", None, None, ""),
            ("1700.P2.h:2,S9X,F", "1700.P2.h", None, None, "S"),
            ("1700.P2.h:S", "1700.P2.h", None, None, ""),
            ("a:2,S,S=5", "a", None, None, "S"),
        ];
        for (text, unique, size, crlf_size, flags) in table {
            let name = MessageName::parse(text.as_bytes()).unwrap();
            assert_eq!(name.unique(), unique.as_bytes(), "{text}");
            assert_eq!((name.size(), name.crlf_size()), (size, crlf_size), "{text}");
            assert_eq!(name.flags().to_string(), flags, "{text}");
            assert_eq!(name.as_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn setting_flags_keeps_what_is_not_understood() {
        let table = [
            ("a", "a:2,F"),
            ("a,S=1:2,", "a,S=1:2,F"),
            ("a:2,S", "a:2,F"),
            ("a:2,S9", "a:2,F9"),
            ("a:2,X,opaque", "a:2,FX,opaque"),
            ("a:1,exp", "a:2,F"),
        ];
        for (before, after) in table {
            let name = MessageName::parse(before.as_bytes()).unwrap();
            assert_eq!(name.with_flags(Flags::FLAGGED).unwrap().as_bytes(), after.as_bytes());
        }
    }

    #[test]
    fn what_cannot_be_a_message_is_refused() {
        let table: [(&[u8], MessageNameError); 8] = [
            (b"", MessageNameError::Empty),
            (b":2,S", MessageNameError::Empty),
            (b",S=1", MessageNameError::Empty),
            (b".", MessageNameError::LeadingDot),
            (b"..", MessageNameError::LeadingDot),
            (b"a/b", MessageNameError::Forbidden(1)),
            (b"a\0", MessageNameError::Forbidden(1)),
            (&[b'a'; 256], MessageNameError::TooLong(256)),
        ];
        for (bytes, error) in table {
            assert_eq!(MessageName::parse(bytes), Err(error));
        }
        let full = MessageName::parse(&[b'a'; 255]).unwrap();
        assert_eq!(full.with_flags(Flags::SEEN), Err(MessageNameError::TooLong(259)));
    }

    proptest! {
        #[test]
        fn a_name_is_kept_octet_for_octet(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(name) = MessageName::parse(&bytes) {
                prop_assert_eq!(name.as_bytes(), &bytes[..]);
                let flagged = name.with_flags(name.flags() | Flags::SEEN).unwrap();
                prop_assert_eq!(flagged.base(), name.base());
                prop_assert_eq!(flagged.flags(), name.flags() | Flags::SEEN);
                // What was written is read back as the same.
                prop_assert_eq!(MessageName::parse(flagged.as_bytes()), Ok(flagged));
            }
        }

        #[test]
        fn a_delivered_name_parses_as_what_it_was_made_of(unique in "[0-9a-zA-Z.\\\\]{1,60}", size: u64, crlf_size: Option<u64>) {
            prop_assume!(!unique.starts_with('.'));
            let name = MessageName::delivered(&unique, size, crlf_size);
            prop_assert_eq!(MessageName::parse(name.as_bytes()), Ok(name.clone()));
            prop_assert_eq!(name.unique(), unique.as_bytes());
            prop_assert!(name.as_bytes().len() <= 70);
        }
    }
}
