//! The From_ line: who sent the mail, and when.

use std::time::SystemTime;

use jiff::tz::TimeZone;
use maildrop::FromLine;

/// What becomes of the From_ line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule<'a> {
    /// `-f`
    pub(crate) sender: Option<&'a [u8]>,
    /// Who hands over the mail.
    pub(crate) invoker: &'a [u8],
    /// Whether the mail is for others (`-d`).
    pub(crate) explicit: bool,
    /// Whether the invoker may name other senders.
    pub(crate) trusted: bool,
    /// Whether other senders than the invoker are overridden (`-o`), rather than the invoker named behind them.
    pub(crate) overrides: bool,
}

/// Gives the mail the From_ line that it is to have, in place of empty lines before its header. `date` writes it, asked only
/// if need be.
pub(crate) fn apply(rule: &Rule<'_>, mail: Vec<u8>, date: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let lead = mail.iter().take_while(|&&byte| byte == b'\n').count();
    let existing = mail[lead..].starts_with(b"From ").then(|| {
        let end = memchr::memchr(b'\n', &mail[lead..]).map_or(mail.len(), |at| lead + at + 1);
        lead..end
    });
    let doubted = rule.explicit && !rule.trusted;
    let wanted = rule.sender.is_some() || rule.explicit && (existing.is_none() || doubted);
    if !wanted {
        return mail;
    }
    let date = date();
    let line = |mark: &[u8], who: &[u8]| -> Vec<u8> {
        let who: Vec<u8> = who.iter().map(|&byte| if byte == b'\n' { b'-' } else { byte }).collect();
        [mark, b"From ", &who, b"  ", &date, b"\n"].concat()
    };
    let found = existing.as_ref().map(|range| &mail[range.clone()]);
    let first = match (rule.sender, found) {
        _ if doubted && rule.overrides => line(b"", rule.invoker),
        (Some(b"-"), Some(found)) => line(b"", sender_in(found)),
        (Some(b"-") | None, None) => line(b"", rule.invoker),
        (Some(sender), _) => line(b"", sender),
        (None, Some(found)) => found.to_vec(),
    };
    let named = doubted && !rule.overrides && (rule.sender.is_some() || found.is_some());
    let second = if named { line(b">", rule.invoker) } else { Vec::new() };
    let rest = existing.map_or(lead, |range| range.end);
    [&first, &second, &mail[rest..]].concat()
}

/// The sender that a From_ line names: what stands before the date.
fn sender_in(line: &[u8]) -> &[u8] {
    const DATE: usize = "Tue Jan  2 03:04:05 2001".len();
    let text = line.strip_prefix(b"From ").unwrap_or(line).trim_ascii_end();
    if let Some((before, date)) = text.split_at_checked(text.len().saturating_sub(DATE))
        && date.iter().filter(|&&byte| byte == b':').count() == 2
        && before.ends_with(b" ")
    {
        return before.trim_ascii();
    }
    text.split(|&byte| byte == b' ').find(|word| !word.is_empty()).unwrap_or_default()
}

/// The time, as From_ lines have it, in the local zone.
pub(crate) fn date() -> Vec<u8> {
    let now = SystemTime::now();
    let time = jiff::Timestamp::try_from(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let offset = TimeZone::system().to_offset(time).seconds();
    let line = FromLine::new(b"x", now, offset);
    line.as_bytes().strip_prefix(b"From x").unwrap_or_default().trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: &str = "From a@b  Tue Jan  2 03:04:05 2001\nS: x\n\n";
    const NONE: &str = "S: x\n\n";

    fn rule(sender: Option<&'static str>) -> Rule<'static> {
        Rule {
            sender: sender.map(str::as_bytes),
            invoker: b"joe",
            explicit: false,
            trusted: false,
            overrides: false,
        }
    }

    fn applied(rule: &Rule<'_>, mail: &str) -> String {
        String::from_utf8(apply(rule, mail.into(), || b"NOW".to_vec())).unwrap()
    }

    #[test]
    fn ones_own_mail_is_left_alone_unless_a_sender_is_given() {
        assert_eq!(applied(&rule(None), NONE), NONE);
        assert_eq!(applied(&rule(None), OTHERS), OTHERS);
        let table = [
            (Some("c@d"), OTHERS, "From c@d  NOW\nS: x\n\n"),
            (Some("c@d"), NONE, "From c@d  NOW\nS: x\n\n"),
            (Some("c d\nFrom e"), NONE, "From c d-From e  NOW\nS: x\n\n"),
            (Some("-"), OTHERS, "From a@b  NOW\nS: x\n\n"),
            (Some("-"), NONE, "From joe  NOW\nS: x\n\n"),
            (Some("-"), "\n\nFrom a@b (c) Tue Jan  2 03:04:05 2001\nS: x\n\n", "From a@b (c)  NOW\nS: x\n\n"),
            (Some("-"), "From a@b\nS: x\n\n", "From a@b  NOW\nS: x\n\n"),
            (Some("c@d"), "From", "From c@d  NOW\nFrom"),
            (Some("c@d"), "\n\nS: x\n\nb", "From c@d  NOW\nS: x\n\nb"),
            (Some("-"), "\n\n\n", "From joe  NOW\n"),
            (None, "\n\nS: x\n\nb", "\n\nS: x\n\nb"),
        ];
        for (sender, mail, expected) in table {
            assert_eq!(applied(&rule(sender), mail), expected, "{sender:?} {mail}");
        }
    }

    #[test]
    fn who_hands_over_mail_for_others_is_named_unless_trusted() {
        let rules = |sender, trusted, overrides| Rule { explicit: true, trusted, overrides, ..rule(sender) };
        let table = [
            (rules(None, true, false), OTHERS, OTHERS),
            (rules(None, true, false), NONE, "From joe  NOW\nS: x\n\n"),
            (rules(None, true, false), "\nS: x\n\n", "From joe  NOW\nS: x\n\n"),
            (rules(Some("c@d"), true, true), OTHERS, "From c@d  NOW\nS: x\n\n"),
            (rules(None, false, false), NONE, "From joe  NOW\nS: x\n\n"),
            (
                rules(None, false, false),
                OTHERS,
                "From a@b  Tue Jan  2 03:04:05 2001\n>From joe  NOW\nS: x\n\n",
            ),
            (rules(Some("c@d"), false, false), OTHERS, "From c@d  NOW\n>From joe  NOW\nS: x\n\n"),
            (rules(Some("c@d"), false, true), OTHERS, "From joe  NOW\nS: x\n\n"),
            (rules(None, false, true), OTHERS, "From joe  NOW\nS: x\n\n"),
        ];
        for (rule, mail, expected) in table {
            assert_eq!(applied(&rule, mail), expected, "{rule:?}");
        }
    }
}
