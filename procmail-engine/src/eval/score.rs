//! Weighted scoring.

use crate::regex::{Match, Regex, Searched};

/// Scores do not leave this range.
pub(super) const LIMIT: f64 = 2_147_483_647.0;

/// How often each byte may be looked at, on average, to find the longest of what `\/` marks.
const MOST_LOOKS: usize = 16;

/// `w^x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weight {
    pub(crate) weight: f64,
    pub(crate) exponent: f64,
}

impl Weight {
    /// Reads a weight at the start of a condition. Gives it and how many bytes it took.
    pub(crate) fn parse(text: &[u8]) -> Option<(Self, usize)> {
        let blanks = |text: &[u8]| text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let (weight, mut at) = float(text)?;
        at += blanks(&text[at..]);
        if text.get(at) != Some(&b'^') {
            return None;
        }
        at += 1;
        at += blanks(&text[at..]);
        let (exponent, used) = float(&text[at..]).or_else(|| endless(&text[at..]))?;
        Some((Self { weight, exponent }, at + used))
    }

    /// The total after each of the shortest matches, one behind the other; behind what `\/` marks, if there is that.
    pub(super) fn of_matches(
        self,
        before: f64,
        regex: &Regex,
        text: &Searched<'_>,
        mut seen: impl FnMut(Match),
    ) -> f64 {
        let mut score = before;
        let mut weight = self.weight;
        let mut at = 0;
        let mut patience = text.bytes().len().saturating_mul(MOST_LOOKS);
        while weight != 0.0 && is_open(score) {
            let Some(found) = regex.find_within(text, at, &mut patience) else { break };
            let end = found.marked().map_or(found.end(), |marked| marked.end);
            seen(found);
            score += weight;
            if end == at {
                if self.exponent > 0.0 && self.exponent < 1.0 {
                    score += weight * self.exponent / (1.0 - self.exponent);
                } else if self.exponent >= 1.0 && weight != 0.0 {
                    score += if weight < 0.0 { -LIMIT } else { LIMIT };
                }
                break;
            }
            at = end;
            let before = weight * weight;
            weight *= self.exponent;
            let after = weight * weight;
            if before < 1.0 && after < before {
                break;
            }
        }
        score
    }

    /// The total after so many matches of a program.
    pub(super) fn of_count(self, before: f64, count: i32) -> f64 {
        let mut score = before;
        let mut weight = self.weight;
        for _ in 0..count.clamp(0, 255) {
            if !is_open(score) {
                break;
            }
            score += weight;
            weight *= self.exponent;
        }
        score
    }

    /// The total after the ratio of two sizes. What is divided by nothing makes it the highest, whatever it was; nothing
    /// divided by nothing goes the way that the comparison goes.
    pub(super) fn of_ratio(self, before: f64, size: f64, limit: f64, less: bool) -> f64 {
        match (size == 0.0, limit == 0.0) {
            (true, true) if less => -LIMIT,
            (_, true) => LIMIT,
            _ => before + self.weight * libm::pow(size / limit, self.exponent),
        }
    }
}

/// Whether more can be added to a total.
fn is_open(total: f64) -> bool {
    total > -LIMIT && total < LIMIT
}

/// Whether a recipe with this total matches. What is no number does.
pub(super) fn is_enough(total: f64) -> bool {
    total > 0.0 || total.is_nan()
}

/// How much was added, as the log has it. It can be more than a total can be.
pub(super) fn added(before: f64, total: f64) -> i64 {
    integer(total.clamp(-LIMIT, LIMIT) - before)
}

/// As C has it on most machines: what is no number becomes the lowest.
fn integer(number: f64) -> i64 {
    if number.is_nan() { i64::MIN } else { number as i64 }
}

/// A score as `$=` has it: without its fraction, but never 0 when it is more.
pub(super) fn shown(score: f64) -> i64 {
    if score > 0.0 && score < 1.0 { 1 } else { whole(score) }
}

/// A score without its fraction.
fn whole(score: f64) -> i64 {
    integer(score.clamp(-LIMIT, LIMIT))
}

/// A total as the log has it: a plus before a zero that is more than nothing.
pub(super) fn told(total: f64) -> String {
    if total > 0.0 && total < 1.0 { "+0".to_owned() } else { whole(total).to_string() }
}

/// A number as `strtod` reads it, except for infinity and NaN, and how many bytes it took.
fn float(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let negative = text.first() == Some(&b'-');
    let digits = |from: usize, hex: bool| {
        text[from.min(text.len())..]
            .iter()
            .take_while(|byte| if hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() })
            .count()
    };
    if text.get(sign) == Some(&b'0')
        && matches!(text.get(sign + 1), Some(b'x' | b'X'))
        && let Some((value, used)) = hexadecimal(&text[sign + 2..])
    {
        return Some((if negative { -value } else { value }, sign + 2 + used));
    }
    let whole = digits(sign, false);
    let mut end = sign + whole;
    let mut fraction = 0;
    if text.get(end) == Some(&b'.') {
        fraction = digits(end + 1, false);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return None;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(text.get(end + 1), Some(b'-' | b'+')));
        let power = digits(end + 1 + signed, false);
        if power > 0 {
            end += 1 + signed + power;
        }
    }
    let value: f64 = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    Some((value, end))
}

/// What stands behind `0x`.
fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let mut value = 0.0;
    let mut scale = 1.0;
    let (mut digits, mut point, mut at) = (0, false, 0);
    while let Some(&byte) = text.get(at) {
        match char::from(byte).to_digit(16) {
            Some(digit) => {
                digits += 1;
                value = value * 16.0 + f64::from(digit);
                if point {
                    scale /= 16.0;
                }
            }
            None if byte == b'.' && !point => point = true,
            None => break,
        }
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    value *= scale;
    if matches!(text.get(at), Some(b'p' | b'P')) {
        let negative = text.get(at + 1) == Some(&b'-');
        let from = at + 1 + usize::from(matches!(text.get(at + 1), Some(b'-' | b'+')));
        let count = text[from.min(text.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count > 0 {
            let power: i32 = std::str::from_utf8(&text[from..from + count]).ok()?.parse().unwrap_or(i32::MAX);
            value *= 2f64.powi(if negative { -power } else { power });
            at = from + count;
        }
    }
    Some((value, at))
}

/// Infinity and NaN, as `strtod` reads them.
fn endless(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let (name, value) = [("infinity", f64::INFINITY), ("inf", f64::INFINITY), ("nan", f64::NAN)]
        .into_iter()
        .find(|(name, _)| {
            text.get(sign..sign + name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name.as_bytes()))
        })?;
    Some((if text.first() == Some(&b'-') { -value } else { value }, sign + name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regex::Case;

    fn parse(text: &str) -> Option<(f64, f64, usize)> {
        Weight::parse(text.as_bytes()).map(|(weight, used)| (weight.weight, weight.exponent, used))
    }

    #[test]
    fn weights_are_read_as_procmail_reads_them() {
        assert_eq!(parse("+5^+0 a"), Some((5.0, 0.0, 5)));
        assert_eq!(parse("5 ^ 1X ?? a"), Some((5.0, 1.0, 5)));
        assert_eq!(parse("5.^1. a"), Some((5.0, 1.0, 5)));
        assert_eq!(parse("1e2^.5"), Some((100.0, 0.5, 6)));
        assert_eq!(parse("0x10^0"), Some((16.0, 0.0, 6)));
        assert_eq!(parse("0x1p3^0x.8"), Some((8.0, 0.5, 10)));
        assert_eq!(parse("1^-inf X"), Some((1.0, f64::NEG_INFINITY, 6)));
        for text in ["5^ X", "5 X", "5,5^0", "-^0", ".^0", "inf^0", ""] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn matches_add_up_as_the_weight_shrinks_or_grows() {
        let score = |weight, exponent, pattern: &str, text: &str| {
            let regex = Regex::new(pattern.as_bytes(), Case::Fold);
            shown(Weight { weight, exponent }.of_matches(
                0.0,
                &regex,
                &Searched::new(text.as_bytes()),
                |_| {},
            ))
        };
        for (weight, exponent, expected) in [
            (5.0, 0.0, 5),
            (5.0, 1.0, 20),
            (5.0, 0.5, 9),
            (5.0, 2.0, 75),
            (-5.0, 1.0, -20),
            (5.0, -1.0, 0),
            (5.0, -0.5, 3),
        ] {
            assert_eq!(score(weight, exponent, "a", "abababa"), expected, "{weight}^{exponent}");
        }
        assert_eq!(score(1.0, 1.0, "^.*$", "one\ntwo\n"), 3);
        assert_eq!(score(1.0, 1.0, "^", "one"), 2_147_483_647);
        assert_eq!(score(1.0, 0.5, "", "one"), 2);
        for (pattern, text, expected) in [
            (r"a\/.*", "aaaa\nab\n", 2),
            (r"(z\/|a)(a|b)*", "aaaa\nab\n", 5),
            (r"(z\/)?a.*", "aaaa\nzaaab\naaa\n", 8),
            (r"a\/()", "aaaa\n", 4),
            (r"a\/(b|.*c)", "abbababb\n", 3),
            (r"^[ab]*\/b?a*", r"bB\*b", 1),
            (r"()^\/[^ ]*$", "a\nb", 3),
            (r"^\<", "$", 2),
        ] {
            assert_eq!(score(1.0, 1.0, pattern, text), expected, "{pattern}");
        }
    }

    #[test]
    fn sizes_score_by_their_ratio_and_without_end_by_nothing() {
        let score = |weight, exponent, size, limit, less| {
            Weight { weight, exponent }.of_ratio(-7.0, size, limit, less)
        };
        assert_eq!(score(5.0, 1.0, 6.0, 3.0, false), 3.0);
        assert_eq!(score(-5.0, -1.0, 6.0, 0.0, false), LIMIT);
        assert_eq!(score(5.0, 1.0, 0.0, 0.0, false), LIMIT);
        assert_eq!(score(5.0, 1.0, 0.0, 0.0, true), -LIMIT);
    }

    #[test]
    fn the_added_is_told_by_what_the_total_has_become() {
        assert_eq!(added(-10.0, 5e9), 2_147_483_657);
        assert_eq!(added(100.0, LIMIT), 2_147_483_547);
        assert_eq!(added(10.0, f64::NEG_INFINITY), -2_147_483_657);
        assert_eq!(added(5.0, f64::NAN), i64::MIN);
        assert!(is_enough(f64::NAN) && is_enough(0.1) && !is_enough(0.0));
    }

    #[test]
    fn programs_count_until_the_total_can_take_no_more() {
        let score = |weight, exponent, before| Weight { weight, exponent }.of_count(before, 2);
        assert_eq!(score(1e308, -1e308, -10.0), 1e308);
        assert_eq!(score(5.0, 2.0, 1.0), 16.0);
    }

    #[test]
    fn a_total_below_one_is_told_with_a_plus() {
        assert_eq!([0.0, 0.3, 1.9, -0.3].map(told), ["0", "+0", "1", "0"]);
        assert_eq!([0.0, 0.3, 1.9, -0.3].map(shown), [0, 1, 1, 0]);
    }
}
