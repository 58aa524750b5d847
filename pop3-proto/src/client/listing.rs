//! The lines of listings (LIST, UIDL, LANG, CAPA, AUTH): one event for each, none kept.

use super::channel::Channel;
use super::{ClientConfig, ClientError, CommandId, Event, Quirks, Stage};
use crate::codec::ReplyError;
use crate::types::{
    Capabilities, Capability, DropListing, LanguageListing, MessageNumber, Reply, ScanListing,
    UniqueIdListing, Verb,
};
use mail_wire::sasl::{Mechanism, MechanismSet};

/// Most lines of CAPA and AUTH; what is unknown in them is bounded by [`Capabilities`].
const CAPA_LINES: u64 = 1000;

/// What is wrong with a reply about another message than the one that was asked about.
const OTHER_NUMBER: ReplyError = ReplyError { expected: "the number of the message that was asked about" };

/// A listing that is being read.
pub(super) struct Listing {
    /// The command that it is the answer to; `None` in the course of the login.
    pub(super) id: Option<CommandId>,
    /// The first line of the answer.
    pub(super) reply: Reply,
    pub(super) kind: ListingKind,
    lines: u64,
}

pub(super) enum ListingKind {
    List,
    Uidl,
    Lang,
    Capa(Box<Capabilities>),
    /// AUTH without argument.
    Mechanisms(MechanismSet),
}

/// What a look at the listing came to.
pub(super) enum Read {
    /// More bytes are needed.
    Nothing,
    /// A line that gives no event.
    Line,
    Event(Event),
    /// The line with the dot.
    End,
}

impl Listing {
    pub(super) fn new(id: Option<CommandId>, reply: Reply, kind: ListingKind) -> Self {
        Self { id, reply, kind, lines: 0 }
    }

    fn verb(&self) -> Verb {
        match self.kind {
            ListingKind::List => Verb::List,
            ListingKind::Uidl => Verb::Uidl,
            ListingKind::Lang => Verb::Lang,
            ListingKind::Capa(_) => Verb::Capa,
            ListingKind::Mechanisms(_) => Verb::Auth,
        }
    }

    pub(super) fn stage(&self) -> Stage {
        Stage::Listing(self.verb())
    }

    /// Reads the next line.
    pub(super) fn read(&mut self, channel: &mut Channel, config: &ClientConfig) -> Result<Read, ClientError> {
        let stage = self.stage();
        let Some(line) = channel.line(config, stage)? else { return Ok(Read::Nothing) };
        let text = channel.text(line);
        // RFC 1939 §3: a dot alone is the end, a dot with more is there to be taken away.
        let text = match text {
            b"." => {
                channel.take(line);
                return Ok(Read::End);
            }
            [b'.', text @ ..] => text,
            text => text,
        };
        self.lines += 1;
        let limit = match self.kind {
            ListingKind::Capa(_) | ListingKind::Mechanisms(_) => CAPA_LINES,
            _ => config.limits.listing,
        };
        if self.lines > limit {
            return Err(ClientError::ListingTooLong { verb: self.verb(), limit });
        }
        let result = self.line(text, config.quirks);
        channel.take(line);
        result.map_err(|error| ClientError::Malformed { stage, error })
    }

    fn line(&mut self, text: &[u8], quirks: Quirks) -> Result<Read, ReplyError> {
        let event = match (&mut self.kind, self.id) {
            (ListingKind::List, Some(id)) => Event::Listed { id, listing: scan_listing(text, quirks)? },
            (ListingKind::Uidl, Some(id)) => unique_id(id, text, quirks)?,
            (ListingKind::Lang, Some(id)) => Event::Language { id, listing: LanguageListing::parse(text)? },
            (ListingKind::Capa(capabilities), _) => {
                // A line that cannot be read says nothing that is of use; what the others say is.
                if let Ok(capability) = Capability::parse(text) {
                    capabilities.insert(capability);
                }
                return Ok(Read::Line);
            }
            (ListingKind::Mechanisms(mechanisms), _) => {
                let name = core::str::from_utf8(text.trim_ascii()).ok();
                if let Some(mechanism) = name.and_then(Mechanism::parse) {
                    mechanisms.insert(mechanism);
                }
                return Ok(Read::Line);
            }
            _ => return Ok(Read::Line),
        };
        Ok(Read::Event(event))
    }
}

/// Reads the text of a reply to STAT.
pub(super) fn drop_listing(text: &[u8], quirks: Quirks) -> Result<DropListing, ReplyError> {
    match DropListing::parse(text) {
        Err(_) if quirks.odd_listings => DropListing::parse(&tidied(text)),
        result => result,
    }
}

/// Reads a line of LIST.
pub(super) fn scan_listing(text: &[u8], quirks: Quirks) -> Result<ScanListing, ReplyError> {
    match ScanListing::parse(text) {
        Err(_) if quirks.odd_listings => ScanListing::parse(&tidied(text)),
        result => result,
    }
}

/// Reads the reply to LIST with the number of a message.
pub(super) fn scan_of(number: MessageNumber, text: &[u8], quirks: Quirks) -> Result<ScanListing, ReplyError> {
    match scan_listing(text, quirks) {
        Ok(listing) if listing.number == number => Ok(listing),
        _ if quirks.odd_listings => {
            ScanListing::parse(&with_number(number, text.trim_ascii())).map_err(|_| OTHER_NUMBER)
        }
        Ok(_) => Err(OTHER_NUMBER),
        Err(error) => Err(error),
    }
}

/// Reads a line of UIDL.
pub(super) fn unique_id(id: CommandId, text: &[u8], quirks: Quirks) -> Result<Event, ReplyError> {
    match UniqueIdListing::parse(text) {
        Ok(listing) => Ok(Event::UniqueId { id, listing }),
        Err(error) if quirks.odd_unique_ids => odd_unique_id(id, text).map_err(|_| error),
        Err(error) => Err(error),
    }
}

/// Reads the reply to UIDL with the number of a message.
pub(super) fn unique_id_of(
    number: MessageNumber,
    id: CommandId,
    text: &[u8],
    quirks: Quirks,
) -> Result<Event, ReplyError> {
    match unique_id(id, text, quirks) {
        Ok(event) if number_of(&event) == Some(number) => Ok(event),
        _ if quirks.odd_unique_ids => odd_unique_id(id, &with_number(number, text)),
        Ok(_) => Err(OTHER_NUMBER),
        Err(error) => Err(error),
    }
}

fn number_of(event: &Event) -> Option<MessageNumber> {
    match event {
        Event::UniqueId { listing, .. } => Some(listing.number),
        Event::OddUniqueId { number, .. } => Some(*number),
        _ => None,
    }
}

fn odd_unique_id(id: CommandId, line: &[u8]) -> Result<Event, ReplyError> {
    let end = line.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(line.len());
    let text = line[end..].trim_ascii();
    let tidy = [&line[..end], b" ", text].concat();
    let (number, text) = match line.get(end) {
        None | Some(b' ' | b'\t') => UniqueIdListing::split(&tidy)?,
        Some(_) => UniqueIdListing::split(line)?,
    };
    // Only what stood before it was odd.
    if let Ok(listing) = UniqueIdListing::parse(&tidy) {
        return Ok(Event::UniqueId { id, listing });
    }
    Ok(Event::OddUniqueId { id, number, text: text.into() })
}

/// The line with one space for each run of spaces and tabs, and none around.
fn tidied(text: &[u8]) -> Vec<u8> {
    let words = text.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ')
}

/// The line as it would be if the server had said the number.
fn with_number(number: MessageNumber, text: &[u8]) -> Vec<u8> {
    let mut line = number.to_string().into_bytes();
    line.push(b' ');
    line.extend_from_slice(text);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: CommandId = CommandId(7);

    fn shown(event: Result<Event, ReplyError>) -> String {
        match event {
            Ok(Event::UniqueId { listing, .. }) => format!("{} {}", listing.number, listing.id),
            Ok(Event::OddUniqueId { number, text, .. }) => format!("{number} odd {}", text.escape_ascii()),
            other => format!("{}", other.unwrap_err()),
        }
    }

    #[test]
    fn odd_unique_ids_are_taken_only_where_asked_for() {
        let quirks = Quirks { odd_unique_ids: true, ..Quirks::NONE };
        let long = format!("5 {}", "x".repeat(288));
        let long_shown = format!("5 odd {}", "x".repeat(288));
        for (line, strict, lenient) in [
            ("1 abc", true, "1 abc"),
            ("1   abc", false, "1 abc"),
            ("1\tabc", false, "1 abc"),
            ("1", false, "1 odd "),
            ("1 ", false, "1 odd "),
            ("1 a b", false, "1 odd a b"),
            ("1 a\u{e9}", false, r"1 odd a\xc3\xa9"),
            (&long, false, &long_shown),
            ("x abc", false, "expected the number"),
            ("0 abc", false, "expected the number"),
            ("", false, "expected the number"),
        ] {
            assert_eq!(unique_id(ID, line.as_bytes(), Quirks::NONE).is_ok(), strict, "{line}");
            let shown = shown(unique_id(ID, line.as_bytes(), quirks));
            if lenient.starts_with("expected") {
                assert!(shown.starts_with("expected"), "{line}: {shown}");
            } else {
                assert_eq!(shown, lenient, "{line}");
            }
        }
    }

    #[test]
    fn a_reply_about_one_message_may_leave_its_number_out_where_asked_for() {
        let number = MessageNumber::new(9).unwrap();
        let odd = Quirks { odd_unique_ids: true, odd_listings: true, ..Quirks::NONE };
        for (text, expected) in
            [("9 00001a14", "9 00001a14"), ("a0001a14", "9 a0001a14"), ("1a.b", "9 1a.b"), ("123", "9 123")]
        {
            assert_eq!(shown(unique_id_of(number, ID, text.as_bytes(), odd)), expected);
        }
        assert!(unique_id_of(number, ID, b"a0001a14", Quirks::NONE).is_err());
        assert_eq!(unique_id_of(number, ID, b"8 abc", Quirks::NONE), Err(OTHER_NUMBER));
        assert_eq!(scan_of(number, b"8 320", Quirks::NONE), Err(OTHER_NUMBER));
        assert_eq!(scan_of(number, b"320", odd), Ok(ScanListing { number, octets: 320 }));
        assert_eq!(scan_of(number, b"9  320 octets", odd), Ok(ScanListing { number, octets: 320 }));
        assert!(scan_of(number, b"320", Quirks::NONE).is_err());
        assert!(scan_of(number, b"x", odd).is_err());
    }

    #[test]
    fn numbers_may_stand_apart_where_asked_for() {
        let odd = Quirks { odd_listings: true, ..Quirks::NONE };
        assert_eq!(scan_listing(b" 1\t 120 ", odd).map(|listing| listing.octets), Ok(120));
        assert_eq!(drop_listing(b"2  320", odd).map(|listing| listing.messages), Ok(2));
        for line in ["1\t120", "1  120"] {
            assert!(scan_listing(line.as_bytes(), Quirks::NONE).is_err(), "{line}");
            assert!(drop_listing(line.as_bytes(), Quirks::NONE).is_err(), "{line}");
        }
    }
}
