//! `Content-Length:`, with which some systems say where a message in an mbox ends.

use memchr::memchr;

const NAME: &[u8] = b"content-length:";

/// Writes the true length of the body into the `Content-Length:` field of a header, as procmail does, and answers how
/// many octets of the body the field covers: those need no `From ` quoting. `None` if there is no such field.
///
/// The field keeps its width, so that nothing behind it moves: the number is set to the right end of what stands there, or
/// of its first 26 columns; if it does not fit, it becomes as many nines as do. A field with no octet of content is left alone, as is any but the
/// first.
///
/// ```
/// let mut header = b"From a@b Tue Jan  2 03:04:05 2001\nContent-Length: 5\n\n".to_vec();
/// assert_eq!(maildrop::fit_content_length(&mut header, 22), Some(22));
/// assert!(header.ends_with(b"\nContent-Length:22\n\n"));
/// assert_eq!(maildrop::fit_content_length(&mut header, 2000), Some(99));
/// assert_eq!(maildrop::fit_content_length(&mut b"Subject: x\n\n".to_vec(), 5), None);
/// ```
pub fn fit_content_length(header: &mut [u8], body: u64) -> Option<u64> {
    let mut start = 0;
    while start < header.len() {
        let end = memchr(b'\n', &header[start..]).map_or(header.len(), |at| start + at);
        let line = &mut header[start..end];
        if line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME) {
            return Some(fit(&mut line[NAME.len()..], body));
        }
        start = end + 1;
    }
    None
}

/// Columns of a field into which its number is set to the right.
const LONGEST_NUMBER: usize = 26;

/// Writes a number to the right end of a field, or nines all over it.
fn fit(field: &mut [u8], number: u64) -> u64 {
    field.fill(b' ');
    let width = field.len().min(LONGEST_NUMBER);
    let mut digits = number.to_string().into_bytes();
    if digits.len() > width {
        digits = vec![b'9'; width];
    }
    field[width - digits.len()..width].copy_from_slice(&digits);
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_gets_the_true_length_as_procmail_writes_it() {
        // (field, length of the body, field afterwards, covered)
        let table = [
            ("Content-Length: 5\n", 22, "Content-Length:22\n", Some(22)),
            ("Content-Length: 100\n", 22, "Content-Length:  22\n", Some(22)),
            ("Content-Length:5\n", 22, "Content-Length:9\n", Some(9)),
            ("Content-Length: 5\n", 133, "Content-Length:99\n", Some(99)),
            ("content-length: -3\t\n", 22, "content-length:  22\n", Some(22)),
            ("Content-Length: 500 x\n", 22, "Content-Length:    22\n", Some(22)),
            ("Content-Length: 5\n 6\n", 22, "Content-Length:22\n 6\n", Some(22)),
            ("Content-Length: 5\nContent-Length: 6\n", 7, "Content-Length: 7\nContent-Length: 6\n", Some(7)),
            ("Content-Length: 5", 0, "Content-Length: 0", Some(0)),
            (
                "Content-Length:                              5\n",
                22,
                "Content-Length:                        22     \n",
                Some(22),
            ),
            ("Content-Length:\n", 22, "Content-Length:\n", None),
            ("Content-Length : 5\n", 22, "Content-Length : 5\n", None),
            ("X-Content-Length: 5\n", 22, "X-Content-Length: 5\n", None),
        ];
        for (field, body, after, covered) in table {
            let mut header = field.as_bytes().to_vec();
            assert_eq!(fit_content_length(&mut header, body), covered, "{field}");
            assert_eq!(String::from_utf8(header).unwrap(), after);
        }
    }
}
