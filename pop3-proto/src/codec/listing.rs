//! The lines of STAT, LIST, UIDL and LANG.

use super::ReplyError;
use super::decimal::{Digits, digits};
use crate::types::{
    DropListing, LanguageListing, LanguageTag, MessageNumber, ScanListing, UniqueId, UniqueIdListing,
};
use mail_wire::{ReplyText, decimal};

impl DropListing {
    /// Reads the text of a positive reply to STAT. What follows the two numbers is ignored (RFC 1939 §5).
    ///
    /// # Errors
    ///
    /// If it does not begin with two numbers and a space between.
    pub fn parse(text: &[u8]) -> Result<Self, ReplyError> {
        const BAD: ReplyError = ReplyError::expected("the number of messages and their size in octets");
        let (messages, octets) = two_numbers(text).ok_or(BAD)?;
        Ok(Self { messages: u32::try_from(messages).map_err(|_| BAD)?, octets })
    }

    /// Appends the text, without line end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        decimal::encode(out, self.messages.into());
        out.push(b' ');
        decimal::encode(out, self.octets);
    }
}

impl ScanListing {
    /// Reads a line without its CRLF, or the text of a positive reply to LIST with a number. What follows the two numbers is
    /// ignored (RFC 1939 §5).
    ///
    /// # Errors
    ///
    /// If it does not begin with the number of a message, a space and a size.
    pub fn parse(line: &[u8]) -> Result<Self, ReplyError> {
        const BAD: ReplyError = ReplyError::expected("the number of a message and its size in octets");
        let (number, octets) = two_numbers(line).ok_or(BAD)?;
        Ok(Self { number: message(number).ok_or(BAD)?, octets })
    }

    /// Appends the listing, without line end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        decimal::encode(out, self.number.get().into());
        out.push(b' ');
        decimal::encode(out, self.octets);
    }
}

impl UniqueIdListing {
    /// Reads a line without its CRLF, or the text of a positive reply to UIDL with a number.
    ///
    /// # Errors
    ///
    /// If it is not the number of a message, a space and a unique-id.
    pub fn parse(line: &[u8]) -> Result<Self, ReplyError> {
        let (number, id) = Self::split(line)?;
        let id = UniqueId::new(id)
            .map_err(|_| ReplyError::expected("a unique-id of 1 to 70 printable characters"))?;
        Ok(Self { number, id })
    }

    /// Reads the number and gives what stands behind its space, whatever it is: for servers whose unique-ids are odd.
    ///
    /// # Errors
    ///
    /// If the line does not begin with the number of a message and a space.
    pub fn split(line: &[u8]) -> Result<(MessageNumber, &[u8]), ReplyError> {
        const BAD: ReplyError = ReplyError::expected("the number of a message and a space");
        let space = memchr::memchr(b' ', line).ok_or(BAD)?;
        let Digits::Number(number) = digits(&line[..space]) else { return Err(BAD) };
        Ok((message(number).ok_or(BAD)?, &line[space + 1..]))
    }

    /// Appends the listing, without line end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        decimal::encode(out, self.number.get().into());
        out.push(b' ');
        out.extend_from_slice(self.id.as_str().as_bytes());
    }
}

impl LanguageListing {
    /// Reads a line without its CRLF.
    ///
    /// # Errors
    ///
    /// If it is not a language tag, perhaps followed by a space and a text.
    pub fn parse(line: &[u8]) -> Result<Self, ReplyError> {
        let (tag, description) = match memchr::memchr(b' ', line) {
            Some(space) => (&line[..space], Some(&line[space + 1..])),
            None => (line, None),
        };
        let tag = LanguageTag::new(tag).map_err(|_| ReplyError::expected("a language tag"))?;
        let text = |bytes| ReplyText::new(core::str::from_utf8(bytes).ok()?.to_owned()).ok();
        let description = match description {
            None | Some(b"") => None,
            Some(bytes) => Some(text(bytes).ok_or(ReplyError::expected("a language's name in UTF-8"))?),
        };
        Ok(Self { tag, description })
    }

    /// Appends the listing, without line end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tag.as_str().as_bytes());
        if let Some(description) = &self.description {
            out.push(b' ');
            out.extend_from_slice(description.as_str().as_bytes());
        }
    }
}

/// Two numbers with a space between, and the end of the line or a space behind.
fn two_numbers(text: &[u8]) -> Option<(u64, u64)> {
    let mut words = text.split(|byte| *byte == b' ');
    match (digits(words.next()?), digits(words.next()?)) {
        (Digits::Number(first), Digits::Number(second)) => Some((first, second)),
        _ => None,
    }
}

fn message(number: u64) -> Option<MessageNumber> {
    MessageNumber::new(u32::try_from(number).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_may_say_more_than_they_must() {
        for (text, expected) in [
            ("2 320", Some((2, 320))),
            ("0 0", Some((0, 0))),
            ("2 320 and more", Some((2, 320))),
            ("2 18446744073709551615", Some((2, u64::MAX))),
            ("2", None),
            ("2 ", None),
            (" 2 320", None),
            ("2  320", None),
            ("2 320octets", None),
            ("4294967296 1", None),
            ("2 18446744073709551616", None),
            ("-1 1", None),
        ] {
            let read = DropListing::parse(text.as_bytes()).ok().map(|list| (list.messages, list.octets));
            assert_eq!(read, expected, "{text}");
        }
        assert!(ScanListing::parse(b"0 1").is_err(), "no message has the number 0");
        assert_eq!(ScanListing::parse(b"1 200 x").unwrap().octets, 200);
    }

    #[test]
    fn a_unique_id_is_the_whole_rest_of_its_line() {
        let id =
            |line: &[u8]| UniqueIdListing::parse(line).ok().map(|listing| listing.id.as_str().to_owned());
        assert_eq!(id(b"2 QhdPYR:00WBw1Ph7x7").as_deref(), Some("QhdPYR:00WBw1Ph7x7"));
        for bad in ["2", "2 ", "2 a b", "2  a", "x a", "0 a"] {
            assert_eq!(id(bad.as_bytes()), None, "{bad}");
        }
        let (number, odd) = UniqueIdListing::split(b"7 an odd id").unwrap();
        assert_eq!((number.get(), odd), (7, &b"an odd id"[..]));
    }

    #[test]
    fn languages_are_listed_with_and_without_a_name() {
        let read = |line: &str| {
            let listing = LanguageListing::parse(line.as_bytes()).ok()?;
            let mut out = Vec::new();
            listing.encode(&mut out);
            Some(String::from_utf8(out).unwrap())
        };
        for line in ["en English", "en-boont English Boontling dialect", "es Español", "sv"] {
            assert_eq!(read(line).as_deref(), Some(line));
        }
        for bad in ["", " English", "en_US x", "de \u{1b}"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
