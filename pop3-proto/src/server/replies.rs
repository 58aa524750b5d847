//! Writing replies, and counting those that tell of errors.

use super::event::ServerError;
use super::language::Phrase;
use super::machine::Server;
use crate::codec::encode_reply;
use crate::types::{Refusal, Status};
use mail_wire::{ReplyText, decimal};

impl Server {
    /// The words for a phrase in the language of the session.
    pub(super) fn words(&self, phrase: Phrase) -> &str {
        let language = self.session.language.and_then(|index| self.config.languages.get(index));
        language.map_or(phrase.english(), |language| language.words(phrase))
    }

    /// A positive reply.
    pub(super) fn ok(&mut self, phrase: Phrase) {
        self.ok_numbers(&[], phrase);
    }

    /// A positive reply with numbers before the words.
    pub(super) fn ok_numbers(&mut self, numbers: &[u64], phrase: Phrase) {
        self.begin_ok(numbers);
        if self.session.language.is_none() {
            let out = self.send.tail();
            out.push(b' ');
            out.extend_from_slice(phrase.english().as_bytes());
        } else {
            let words = self.words(phrase).to_owned();
            let out = self.send.tail();
            out.push(b' ');
            out.extend_from_slice(words.as_bytes());
        }
        self.end_line();
    }

    /// `+OK` and numbers.
    pub(super) fn begin_ok(&mut self, numbers: &[u64]) {
        let out = self.send.tail();
        out.extend_from_slice(b"+OK");
        for number in numbers {
            out.push(b' ');
            decimal::encode(out, *number);
        }
    }

    pub(super) fn end_line(&mut self) {
        self.send.push(b"\r\n");
    }

    /// The end of a multi-line reply.
    pub(super) fn end_lines(&mut self) {
        self.send.push(b".\r\n");
    }

    /// A negative reply that is no fault of the client's.
    pub(super) fn err(&mut self, phrase: Phrase) {
        let text = ReplyText::sanitized(self.words(phrase));
        let code = phrase.code().filter(|_| self.config.response_codes);
        encode_reply(self.send.tail(), Status::Err, code.as_ref(), &text);
    }

    /// What the embedder refuses.
    pub(super) fn refuse_with(&mut self, refusal: &Refusal) {
        let code = refusal.code().filter(|_| self.config.response_codes);
        encode_reply(self.send.tail(), Status::Err, code, refusal.text());
    }

    /// A negative reply that counts as an error of the client, and makes clients wait that collect them.
    pub(super) fn error(&mut self, phrase: Phrase) {
        let from = self.send.tail().len();
        self.counters.errors += 1;
        if self.counters.errors >= self.config.limits.errors() {
            self.err(Phrase::TooManyErrors);
            self.close(Err(ServerError::TooManyErrors));
            return;
        }
        self.err(phrase);
        if self.counters.errors >= self.config.limits.soft_errors() {
            let due = self.now + self.config.timeouts.error_delay();
            self.hold_since(from, due);
        }
    }
}
