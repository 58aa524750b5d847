//! Names of message files.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The number of a message in an MH folder: digits only.
pub(super) fn number(name: &[u8]) -> Option<u64> {
    match name {
        [_, ..] if name.iter().all(u8::is_ascii_digit) => std::str::from_utf8(name).ok()?.parse().ok(),
        _ => None,
    }
}

/// The name of a file by its inode number. Where it is taken, since the number was given to a new file while an old one is
/// still there under its name, more attempts give other names.
pub(super) fn from_inode(prefix: &[u8], inode: u64, attempt: usize) -> Vec<u8> {
    let mut name = prefix.to_vec();
    let mut rest = inode;
    while rest > 0 {
        name.push(DIGITS[(rest % 64) as usize]);
        rest /= 64;
    }
    if attempt > 0 {
        name.push(b'.');
        name.extend_from_slice(attempt.to_string().as_bytes());
    }
    name
}

pub(super) fn path(name: Vec<u8>) -> PathBuf {
    OsString::from_vec(name).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inode_numbers_are_written_as_procmail_does() {
        assert_eq!(from_inode(b"msg.", 11_223_139, 0), b"msg.jB0q");
        assert_eq!(from_inode(b"m-", 63, 0), b"m-_");
        assert_eq!(from_inode(b"m-", 64, 2), b"m-AB.2");
    }

    #[test]
    fn only_plain_numbers_are_message_numbers() {
        let table = [
            ("1", Some(1)),
            ("10", Some(10)),
            ("0", Some(0)),
            ("009", Some(9)),
            ("1a", None),
            ("-1", None),
            ("", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("99999999999999999999", None),
            (",1", None),
        ];
        for (name, expected) in table {
            assert_eq!(number(name.as_bytes()), expected, "{name}");
        }
    }
}
