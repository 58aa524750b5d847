//! The cache of Message-IDs: a file with entries that end with NUL, written in a circle. An empty entry stands where the
//! next one goes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// More than this is not read: no cache is meant to be as long.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Looks a key up, and notes it if it is not there. Answers whether it was. The file is locked meanwhile where that works.
pub(super) fn seen(path: &Path, length: u64, key: &[u8]) -> io::Result<bool> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    let _ = rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::LockExclusive);
    if key.is_empty() {
        return Ok(false);
    }
    let mut cache = Vec::new();
    Read::by_ref(&mut file).take(LONGEST).read_to_end(&mut cache)?;
    let Some(next) = find(&cache, key) else { return Ok(true) };
    let offset = if next >= length { 0 } else { next };
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(&[key, b"\0\0"].concat())?;
    Ok(false)
}

/// Where a key is to be written, or nothing if it is there.
fn find(cache: &[u8], key: &[u8]) -> Option<u64> {
    let (mut at, mut next) = (0, None);
    for entry in cache.split(|&byte| byte == 0) {
        if entry == key {
            return None;
        }
        if entry.is_empty() && next.is_none() {
            next = Some(at as u64);
        }
        at += entry.len() + 1;
    }
    Some(next.unwrap_or(cache.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_go_round_in_a_circle_as_with_formail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        // What formail 3.22 leaves after each.
        let table: [(&str, &[u8]); 6] = [
            ("<mmm1>", b"<mmm1>\0\0"),
            ("<mmm2>", b"<mmm1>\0<mmm2>\0\0"),
            ("<mmm3>", b"<mmm1>\0<mmm2>\0<mmm3>\0\0"),
            ("<mmm4>", b"<mmm4>\0\0mmm2>\0<mmm3>\0\0"),
            ("<mmm5>", b"<mmm4>\0<mmm5>\0\0mmm3>\0\0"),
            ("<mmm6>", b"<mmm4>\0<mmm5>\0<mmm6>\0\0"),
        ];
        for (key, expected) in table {
            assert!(!seen(&path, 15, key.as_bytes()).unwrap());
            assert_eq!(std::fs::read(&path).unwrap(), expected);
            assert!(seen(&path, 15, key.as_bytes()).unwrap());
        }
        assert!(!seen(&path, 15, b"").unwrap());
        assert!(seen(&dir.path().join("no/cache"), 15, b"x").is_err());
    }
}
