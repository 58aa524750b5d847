//! Decimal numbers, without the machinery of formatting.

/// Appends a number in decimal digits.
///
/// ```
/// let mut out = b"+OK ".to_vec();
/// mail_wire::decimal::encode(&mut out, 320);
/// assert_eq!(out, b"+OK 320");
/// ```
#[inline]
pub fn encode(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_up_to_the_largest() {
        for number in [0, 1, 9, 10, 99, 100, 4_294_967_296, u64::MAX] {
            let mut out = Vec::new();
            encode(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
