//! xtext: printable text with `+XX` for what may not stand in a parameter value (RFC 3461 §4).

use core::fmt;

/// Decoded xtext: printable ASCII (space included), so that it can be put into a report without looking again.
///
/// ```
/// use smtp_proto::types::Xtext;
///
/// let envid = Xtext::decode("QQ+2B1+20x")?;
/// assert_eq!(envid.as_str(), "QQ+1 x");
/// assert_eq!(envid.to_string(), "QQ+2B1+20x");
/// # Ok::<(), smtp_proto::types::XtextError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Xtext(Box<str>);

/// Why a text is no xtext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XtextError {
    /// `+` without two upper-case hexadecimal digits, or a character that must be encoded.
    #[error(
        "expected xtext at byte {0}: printable characters, others as + and two upper-case hexadecimal digits"
    )]
    Syntax(usize),
    /// The value stands for a control character or 8-bit data.
    #[error("expected xtext for printable ASCII, found an encoded control or 8-bit character at byte {0}")]
    Unprintable(usize),
    /// Empty, or longer than allowed.
    #[error("expected between 1 and {max} characters, found {found}")]
    Length {
        /// The limit.
        max: usize,
        /// What was found.
        found: usize,
    },
}

impl Xtext {
    /// Longest value when decoded: the addresses of ORCPT (RFC 3461 §4.2); ENVID is shorter.
    pub const MAX: usize = 500;

    /// Takes a text that is to be written as xtext.
    ///
    /// # Errors
    ///
    /// If it is empty, too long, or holds anything but printable ASCII and spaces.
    pub fn new(text: &str) -> Result<Self, XtextError> {
        if text.is_empty() || text.len() > Self::MAX {
            return Err(XtextError::Length { max: Self::MAX, found: text.len() });
        }
        match text.bytes().position(|b| !matches!(b, b' '..=b'~')) {
            Some(at) => Err(XtextError::Unprintable(at)),
            None => Ok(Self(text.into())),
        }
    }

    /// Decodes a parameter value.
    ///
    /// # Errors
    ///
    /// If it is not xtext, or stands for what [`new`](Self::new) refuses.
    pub fn decode(encoded: &str) -> Result<Self, XtextError> {
        let bytes = encoded.as_bytes();
        if matches!(bytes.len(), 1..=Self::MAX) && bytes.iter().fold(true, |plain, &b| plain & is_xchar(b)) {
            return Ok(Self(encoded.into()));
        }
        let mut plain = String::with_capacity(bytes.len().min(Self::MAX));
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let (decoded, len) = match byte {
                b'+' => {
                    let high = bytes.get(at + 1).copied().and_then(hex_digit);
                    let low = bytes.get(at + 2).copied().and_then(hex_digit);
                    let (Some(high), Some(low)) = (high, low) else { return Err(XtextError::Syntax(at)) };
                    (high << 4 | low, 3)
                }
                b'=' => return Err(XtextError::Syntax(at)),
                b'!'..=b'~' => (byte, 1),
                _ => return Err(XtextError::Syntax(at)),
            };
            if !matches!(decoded, b' '..=b'~') {
                return Err(XtextError::Unprintable(at));
            }
            plain.push(char::from(decoded));
            at += len;
        }
        Self::new(&plain)
    }

    /// The decoded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 3461 §4: what stands for itself.
fn is_xchar(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') & (byte != b'+') & (byte != b'=')
}

/// RFC 3461 §4: only upper-case digits.
fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Writes the encoded form.
impl fmt::Display for Xtext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'+' | b'=' | b' ' => write!(f, "+{byte:02X}")?,
                _ => write!(f, "{}", char::from(byte))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_true_xtext_is_decoded() {
        use XtextError::*;
        for (text, expected) in [
            ("abc", Ok("abc")),
            ("a+2Bz", Ok("a+z")),
            ("a+3D+20z", Ok("a= z")),
            ("a+zz", Err(Syntax(1))),
            ("a+2b", Err(Syntax(1))),
            ("a+2", Err(Syntax(1))),
            ("a=b", Err(Syntax(1))),
            ("a b", Err(Syntax(1))),
            ("a+0D+0AX-Evil", Err(Unprintable(1))),
            ("a+C3", Err(Unprintable(1))),
            ("", Err(Length { max: 500, found: 0 })),
        ] {
            assert_eq!(Xtext::decode(text).as_ref().map(Xtext::as_str), expected.as_ref().copied(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn encoding_round_trips(text in "[ -~]{1,100}") {
            let xtext = Xtext::new(&text).unwrap();
            prop_assert_eq!(Xtext::decode(&xtext.to_string()), Ok(xtext));
        }
    }
}
