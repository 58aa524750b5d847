//! The message: in a file, from standard input or made up, and what must be known of it before it is sent.

use std::time::{SystemTime, UNIX_EPOCH};

use mailwright::client::exit::{Exit, Failure};
use smtp_proto::client::Transaction;
use smtp_proto::types::{Body, DateTime};

use crate::content::{Content, Facts};
use crate::options::Options;

/// A message as it goes out, with an envelope for it.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) content: Content,
    pub(crate) transaction: Transaction,
}

impl Message {
    /// The message that the options ask for.
    pub(crate) fn of(options: &Options) -> Result<Self, Failure> {
        let (content, facts) = match (&options.file, options.size) {
            (Some(path), _) => Content::open(path)?,
            (None, size) => {
                let size = size.map_or(0, |size| size.0);
                let size = usize::try_from(size).map_err(|error| Failure::new(Exit::Usage, error))?;
                let content = made_up(options, size);
                let facts = Facts::of(&content);
                (Content::Memory(content), facts)
            }
        };
        let params = (*options.mail_params).clone();
        let mut transaction = Transaction::new(options.from.clone()).with_params(params);
        for to in &options.to {
            transaction = transaction.to_with(to.clone(), options.rcpt_params.clone());
        }
        transaction.params.size.get_or_insert(facts.wire_size);
        if transaction.params.body.is_none() && facts.eight_bit {
            transaction = transaction.with_body(Body::EightBitMime);
        }
        if facts.utf8_header {
            transaction = transaction.with_utf8_header();
        }
        Ok(Self { content, transaction })
    }
}

/// A message of that size, or a little more than its header needs.
fn made_up(options: &Options, size: usize) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let date = DateTime::from_unix(i64::try_from(now).unwrap_or_default()).rfc5322();
    let from = options.from.mailbox().map_or_else(|| "nobody@localhost".into(), ToString::to_string);
    let mut content =
        format!("From: <{from}>\r\nDate: {date}\r\nSubject: {size} bytes by smtp-send\r\n\r\n").into_bytes();
    const LINE: &[u8] = b"The quick brown fox jumps over the lazy dog, and over and over, and once more.\r\n";
    while content.len() < size {
        let left = size - content.len();
        match left.checked_sub(LINE.len()) {
            // Two bytes are left for a last line at the least, or none.
            Some(0 | 2..) => content.extend_from_slice(LINE),
            _ => {
                let text = left.saturating_sub(2).min(LINE.len() - 2);
                let text = if left == LINE.len() + 1 { text - 2 } else { text };
                content.extend_from_slice(&LINE[..text]);
                content.extend_from_slice(b"\r\n");
            }
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_made_up_message_has_just_its_size() {
        let options = Options::try_parse_from(["smtp-send", "--from", "a@b", "--to", "c@d", "-"]).unwrap();
        for size in (200..600).chain([4096, 1 << 20]) {
            let content = made_up(&options, size);
            assert_eq!(content.len(), size, "{size}");
            assert!(content.ends_with(b"\r\n"));
            assert_eq!(Facts::of(&content).wire_size, size as u64);
        }
        assert!(made_up(&options, 0).starts_with(b"From: <a@b>\r\n"));
    }
}
