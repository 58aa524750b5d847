//! The abbreviations `^TO_`, `^TO`, `^FROM_DAEMON` and `^FROM_MAILER`.

use std::borrow::Cow;

const TO_WORD: &[u8] =
    b"(^((Original-)?(Resent-)?(To|Cc|Bcc)|(X-Envelope|Apparently(-Resent)?)-To):(.*[^-a-zA-Z0-9_.])?)";
const TO: &[u8] =
    b"(^((Original-)?(Resent-)?(To|Cc|Bcc)|(X-Envelope|Apparently(-Resent)?)-To):(.*[^a-zA-Z])?)";
const FROM_DAEMON: &[u8] = b"(^(Mailing-List:|Precedence:.*(junk|bulk|list)|To: Multiple recipients of \
|(((Resent-)?(From|Sender)|X-Envelope-From):|>?From )([^>]*[^(.%@a-z0-9])?(Post(ma?(st(e?r)?|n)|office)\
|(send)?Mail(er)?|daemon|m(mdf|ajordomo)|n?uucp|LIST(SERV|proc)|NETSERV|o(wner|ps)|r(e(quest|sponse)|oot)\
|b(ounce|bs\\.smtp)|echo|mirror|s(erv(ices?|er)|mtp(error)?|ystem)|A(dmin(istrator)?|MMGR|utoanswer))\
(([^).!:a-z0-9][-_a-z0-9]*)?[%@>\t ][^<)]*(\\(.*\\).*)?)?$([^>]|$)))";
const FROM_MAILER: &[u8] = b"(^(((Resent-)?(From|Sender)|X-Envelope-From):|>?From )([^>]*[^(.%@a-z0-9])?\
(Post(ma(st(er)?|n)|office)|(send)?Mail(er)?|daemon|mmdf|n?uucp|ops|r(esponse|oot)|(bbs\\.)?smtp(error)?\
|s(erv(ices?|er)|ystem)|A(dmin(istrator)?|MMGR))(([^).!:a-z0-9][-_a-z0-9]*)?[%@>\t ][^<)]*(\\(.*\\).*)?)?$([^>]|$))";

/// `^TO` comes last: it is the start of another.
const MACROS: [(&[u8], &[u8], bool); 4] = [
    (b"^FROM_DAEMON", FROM_DAEMON, true),
    (b"^FROM_MAILER", FROM_MAILER, false),
    (b"^TO_", TO_WORD, false),
    (b"^TO", TO, false),
];

/// An expression with its abbreviations written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded<'a> {
    /// The expression.
    pub pattern: Cow<'a, [u8]>,
    /// Whether `^FROM_DAEMON` was in it, for which the case of letters is ignored, whatever the flags say.
    pub folds: bool,
}

/// Writes out the abbreviations. A backslash before one keeps it as it is, and the same that stand behind it.
///
/// ```
/// let expanded = procmail_engine::regex::expand_macros(b"^TO_joe");
/// assert!(expanded.pattern.ends_with(b"-To):(.*[^-a-zA-Z0-9_.])?)joe"));
/// ```
pub fn expand_macros(pattern: &[u8]) -> Expanded<'_> {
    let mut out: Option<Vec<u8>> = None;
    let mut folds = false;
    let mut copied = 0;
    let mut from = 0;
    let mut kept = [false; MACROS.len()];
    while let Some(offset) = memchr::memchr(b'^', &pattern[from..]) {
        let at = from + offset;
        from = at + 1;
        let escaped = at > 0 && pattern[at - 1] == b'\\';
        for ((name, ..), kept) in MACROS.iter().zip(&mut kept) {
            *kept |= escaped && pattern[at..].starts_with(name);
        }
        let found =
            MACROS.iter().zip(kept).find(|((name, ..), kept)| !kept && pattern[at..].starts_with(name));
        if let Some(((name, written_out, ignores_case), _)) = found {
            let out = out.get_or_insert_with(Vec::new);
            out.extend_from_slice(&pattern[copied..at]);
            out.extend_from_slice(written_out);
            folds |= ignores_case;
            from = at + name.len();
            copied = from;
        }
    }
    let pattern = match out {
        None => Cow::Borrowed(pattern),
        Some(mut out) => {
            out.extend_from_slice(&pattern[copied..]);
            Cow::Owned(out)
        }
    };
    Expanded { pattern, folds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_upper_case_names_without_a_backslash_are_written_out() {
        for plain in [b"^to_joe".as_slice(), br"\^TO_joe", b"TO_joe", b"^T", br"\^TO_a|^TO_b|^TOc"] {
            assert_eq!(expand_macros(plain).pattern, plain);
        }
        let both = expand_macros(b"(^TOa|^TO_b)");
        assert_eq!(both.pattern, [b"(".as_slice(), TO, b"a|", TO_WORD, b"b)"].concat());
        assert!(!both.folds);
        let behind = expand_macros(br"^TO_a|\^TO_b|^TO_c|^FROM_MAILER");
        assert_eq!(behind.pattern, [TO_WORD, br"a|\^TO_b|^TO_c|", FROM_MAILER].concat());
        assert!(!behind.folds);
        assert!(expand_macros(b"^FROM_DAEMON").folds);
    }
}
