//! Preparation of names, passwords and traces: SASLprep (RFC 4013) and the "trace" profile (RFC 4505 §3).

use stringprep::tables;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::Failure;
use crate::Secret;

/// What becomes of code points that Unicode 3.2 had not assigned (RFC 3454 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unassigned {
    /// Passed through: the text is a query.
    Allow,
    /// Refused: the text is to be stored, or hashed into something stored.
    Refuse,
}

/// Prepares a text by SASLprep; `None` where it is refused or nothing is left of it.
pub(super) fn saslprep(text: &str, unassigned: Unassigned) -> Option<Zeroizing<String>> {
    // Sized for the usual growth at once, since what a growing string leaves behind is not wiped.
    let mut prepared = Zeroizing::new(String::with_capacity(text.len() * 3));
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control()) {
        prepared.push_str(text);
    } else {
        // RFC 4013 §2.1 and §2.2: mapping, then normalisation form KC.
        let mapped = text
            .chars()
            .map(|c| if tables::non_ascii_space_character(c) { ' ' } else { c })
            .filter(|&c| !tables::commonly_mapped_to_nothing(c));
        prepared.extend(mapped.nfkc());
    }
    let refused = |c: char| {
        // RFC 4013 §2.3 and §2.5
        tables::non_ascii_space_character(c)
            || tables::inappropriate_for_canonical_representation(c)
            || is_never_text(c)
            || (unassigned == Unassigned::Refuse && tables::unassigned_code_point(c))
    };
    let valid = !prepared.is_empty() && !prepared.contains(refused) && is_bidirectionally_sound(&prepared);
    valid.then_some(prepared)
}

/// Prepares a password for SCRAM; `None` where it is not UTF-8 or SASLprep refuses it.
pub(super) fn password(password: &Secret, unassigned: Unassigned) -> Option<Secret> {
    let mut prepared = saslprep(password.expose_str()?, unassigned)?;
    Some(Secret::new(core::mem::take(&mut *prepared)))
}

/// Prepares a password by SASLprep (RFC 4013), as a stored string; `None` where it is not UTF-8 or is refused.
///
/// The mechanisms do so themselves. It is for the APOP of POP3 (RFC 6856 §2.2).
pub fn prepare_password(secret: &Secret) -> Option<Secret> {
    password(secret, Unassigned::Refuse)
}

/// Reads a name that a client sent: UTF-8, without NUL, not empty, prepared as a query.
pub(super) fn name(bytes: &[u8], expected: &'static str) -> Result<String, Failure> {
    let text = core::str::from_utf8(bytes).map_err(|_| Failure::Malformed { expected })?;
    prepare_name(text).ok_or(Failure::Malformed { expected })
}

/// Prepares a name by SASLprep (RFC 4013), as a query; `None` where it is refused or nothing is left of it.
///
/// The mechanisms do so themselves. It is for names that come without SASL, as by the USER and APOP of POP3 (RFC 6856 §2.2).
pub fn prepare_name(text: &str) -> Option<String> {
    saslprep(text, Unassigned::Allow).map(|mut prepared| core::mem::take(&mut *prepared))
}

/// Whether a text may be sent as ANONYMOUS trace.
pub(super) fn is_trace(text: &str) -> bool {
    !text.contains(is_never_text) && is_bidirectionally_sound(text)
}

/// What SASLprep and "trace" both prohibit: the tables C.2.1, C.2.2, C.3, C.4, C.5, C.6, C.8 and C.9 of RFC 3454.
fn is_never_text(c: char) -> bool {
    tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::surrogate_code(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

/// RFC 3454 §6: a text with a right-to-left character begins and ends with one and has no left-to-right one.
fn is_bidirectionally_sound(text: &str) -> bool {
    !text.contains(tables::bidi_r_or_al)
        || (!text.contains(tables::bidi_l)
            && text.starts_with(tables::bidi_r_or_al)
            && text.ends_with(tables::bidi_r_or_al))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(text: &str, unassigned: Unassigned) -> Option<String> {
        saslprep(text, unassigned).map(|text| text.to_string())
    }

    #[test]
    fn names_are_queries_and_stored_passwords_are_not() {
        assert_eq!(prepare_name("I\u{ad}X").as_deref(), Some("IX"));
        assert_eq!(prepare_name("a\u{7}"), None);
        assert_eq!(prepare_name("\u{221}").as_deref(), Some("\u{221}"), "unassigned in Unicode 3.2");
        assert_eq!(prepare_password(&"\u{aa}".into()), Some("a".into()));
        assert_eq!(prepare_password(&"\u{221}".into()), None);
        assert_eq!(prepare_password(&vec![0xff].into()), None);
    }

    #[test]
    fn saslprep_matches_the_examples_of_its_rfc() {
        let cases = [
            ("I\u{ad}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{aa}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("\u{627}1", None),
            ("\u{a0}", Some(" ")),
            ("\u{bd}", Some("1\u{2044}2")),
            ("", None),
            ("\u{ad}", None),
            ("a\0b", None),
            ("\u{e000}", None),
            ("\u{202e}x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(prepare(text, Unassigned::Refuse).as_deref(), expected, "{text:?}");
            assert_eq!(prepare(text, Unassigned::Allow).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_unassigned_code_point_passes_in_a_query_only() {
        assert_eq!(prepare("\u{1f511}", Unassigned::Allow).as_deref(), Some("\u{1f511}"));
        assert_eq!(prepare("\u{1f511}", Unassigned::Refuse), None);
    }

    #[test]
    fn a_trace_keeps_its_spelling_but_holds_no_controls() {
        assert!(is_trace("sirhc"));
        assert!(is_trace("\u{2168}@example.test"));
        for bad in ["a\r\nb", "\0", "\u{85}", "\u{e000}", "\u{627}1"] {
            assert!(!is_trace(bad), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_stored_text_is_prepared_as_the_stringprep_crate_does(text: String) {
            let theirs = stringprep::saslprep(&text).ok().filter(|text| !text.is_empty());
            let ours = prepare(&text, Unassigned::Refuse);
            proptest::prop_assert_eq!(ours.as_deref(), theirs.as_deref());
        }
    }
}
