//! What the tests of the protocol crates share: machines that are played against transcripts, whole and in pieces.
//!
//! | module | what it plays |
//! |---|---|
//! | [`client`] | a client machine against a script that stands in the test |
//! | [`server`] | a server machine against transcripts that stand in files |

pub mod client;
pub mod server;

/// The bytes that a text stands for, in which `\xHH`, `\r`, `\n`, `\t`, `\0` and `\\` stand for bytes, and whether its line ends
/// there: a lone `\` at the end says that it does not.
///
/// # Panics
///
/// If there is another escape.
pub fn unescape(text: &str) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (byte, length) = match escape.as_bytes() {
            [] => return (bytes, false),
            [b'x', ..] => {
                let digits = escape.get(1..3).expect("two digits");
                (u8::from_str_radix(digits, 16).expect("hexadecimal digits"), 3)
            }
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b't', ..] => (b'\t', 1),
            [b'0', ..] => (0, 1),
            [b'\\', ..] => (b'\\', 1),
            _ => panic!("unknown escape \\{escape}"),
        };
        bytes.push(byte);
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    (bytes, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_bytes() {
        for (text, bytes, ends) in [
            ("", &b""[..], true),
            ("plain", b"plain", true),
            (r"\x00\r\n\t\0\\x", b"\0\r\n\t\0\\x", true),
            (r"no end\", b"no end", false),
        ] {
            assert_eq!(unescape(text), (bytes.to_vec(), ends), "{text}");
        }
    }
}
