//! When a message was delivered, as the name of its file tells.

/// Seconds, microseconds, and the number of the delivery within its process.
pub(super) type Arrival = (u64, u64, u64);

/// Reads `<seconds>.M<microseconds>P<process>Q<number>.<host>`, in which `M`, `P` and `Q` may stand in any order among other
/// letters, and procmail's `<seconds>.<process>_<number>.<host>`. What does not look like that comes first.
pub(super) fn arrival(base: &[u8]) -> Arrival {
    let Some((seconds, rest)) = number(base) else { return (0, 0, 0) };
    let Some(rest) = rest.strip_prefix(b".") else { return (seconds, 0, 0) };
    let delivery = &rest[..memchr::memchr2(b'.', b',', rest).unwrap_or(rest.len())];
    let field = |letter: u8| {
        let at = memchr::memchr(letter, delivery)?;
        number(&delivery[at + 1..]).map(|(number, _)| number)
    };
    (seconds, field(b'M').unwrap_or(0), field(b'Q').or_else(|| field(b'_')).unwrap_or(0))
}

/// The decimal number that some octets begin with, and what is behind it.
pub(super) fn number(octets: &[u8]) -> Option<(u64, &[u8])> {
    let digits = octets.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = octets.split_at(digits);
    let value = digits
        .iter()
        .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    value.filter(|_| !digits.is_empty()).map(|value| (value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_programs_tell_when_a_message_came() {
        let table: [(&str, Arrival); 9] = [
            ("1700000000.M5P7Q1.mx,S=12", (1_700_000_000, 5, 1)),
            ("1700000000.M5P7Q12R0123456789abcdef.mx", (1_700_000_000, 5, 12)),
            ("1700000000.12_3.mx", (1_700_000_000, 0, 3)),
            ("1700000000.V1I2M345.mx", (1_700_000_000, 345, 0)),
            ("1700000000.77.mx", (1_700_000_000, 0, 0)),
            ("1700000000", (1_700_000_000, 0, 0)),
            ("mx.M5", (0, 0, 0)),
            ("99999999999999999999999.M5", (0, 0, 0)),
            ("17.M99999999999999999999999Q5.mx", (17, 0, 5)),
        ];
        for (name, expected) in table {
            assert_eq!(arrival(name.as_bytes()), expected, "{name}");
        }
    }
}
