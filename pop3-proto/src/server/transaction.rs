//! TRANSACTION and UPDATE: the commands that have to do with the maildrop (RFC 1939 §5 to §7).

use super::UniqueIds;
use super::event::{Event, ServerError};
use super::language::Phrase;
use super::machine::{Asked, Server, State, Timer};
use super::maildrop::Opened;
use crate::types::{MessageNumber, Refusal};
use mail_wire::{Step, decimal};

type Next = Option<Step<Event, ServerError>>;

/// A listing of all messages that is being sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listing {
    kind: Kind,
    /// The index of the message that comes next.
    next: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sizes,
    UniqueIds,
}

impl Server {
    /// The size of a message, or else a reply that there is none.
    pub(super) fn existing(&mut self, number: MessageNumber) -> Option<u64> {
        let opened = self.session.opened.as_deref()?;
        let size = opened.size(number);
        if size.is_none() {
            let deleted = opened.deleted.contains(number);
            self.err(if deleted { Phrase::DeletedAlready } else { Phrase::NoSuchMessage });
        }
        size
    }

    pub(super) fn stat(&mut self) -> Next {
        let (messages, octets) = self.session.opened.as_deref().map_or((0, 0), Opened::count);
        self.begin_ok(&[messages.into(), octets]);
        self.end_line();
        None
    }

    pub(super) fn list(&mut self, number: Option<MessageNumber>) -> Next {
        match number {
            None => {
                self.ok(Phrase::ListFollows);
                self.begin_listing(Kind::Sizes);
            }
            Some(number) => {
                if let Some(size) = self.existing(number) {
                    self.begin_ok(&[number.get().into(), size]);
                    self.end_line();
                }
            }
        }
        None
    }

    pub(super) fn delete(&mut self, number: MessageNumber) -> Next {
        if self.existing(number).is_some() {
            if let Some(opened) = self.session.opened.as_deref_mut() {
                opened.delete(number);
            }
            self.ok(Phrase::MarkedDeleted);
        }
        None
    }

    pub(super) fn reset(&mut self) -> Next {
        if let Some(opened) = self.session.opened.as_deref_mut() {
            opened.reset();
        }
        self.ok(Phrase::MarksRemoved);
        None
    }

    pub(super) fn uidl(&mut self, number: Option<MessageNumber>) -> Next {
        if let Some(number) = number {
            self.existing(number)?;
        }
        if self.unique_ids().is_some() {
            self.list_unique_ids(number);
            return None;
        }
        let pending = self.ask(Asked::UniqueIds(number));
        Some(Step::Event(Event::UniqueIds(pending)))
    }

    fn unique_ids(&self) -> Option<&UniqueIds> {
        let maildrop = &self.session.opened.as_deref()?.maildrop;
        maildrop.unique_ids.as_ref().filter(|ids| ids.len() == maildrop.len())
    }

    pub(super) fn answer_unique_ids(&mut self, answer: Result<UniqueIds, Refusal>) {
        let Some(Asked::UniqueIds(number)) = self.asked() else { return };
        match answer {
            Ok(ids) => {
                if let Some(opened) = self.session.opened.as_deref_mut() {
                    opened.maildrop.unique_ids = Some(ids);
                }
                match self.unique_ids() {
                    Some(_) => self.list_unique_ids(number),
                    None => self.err(Phrase::LocalError),
                }
            }
            Err(refusal) => self.refuse_with(&refusal),
        }
    }

    fn list_unique_ids(&mut self, number: Option<MessageNumber>) {
        let Some(number) = number else {
            self.ok(Phrase::UniqueIdsFollow);
            return self.begin_listing(Kind::UniqueIds);
        };
        self.begin_ok(&[number.get().into()]);
        let ids = self.session.opened.as_deref().and_then(|opened| opened.maildrop.unique_ids.as_ref());
        let id = ids.and_then(|ids| ids.get(number.index())).unwrap_or_default();
        let out = self.send.tail();
        out.push(b' ');
        out.extend_from_slice(id.as_bytes());
        self.end_line();
    }

    fn begin_listing(&mut self, kind: Kind) {
        self.state = State::Listing(Listing { kind, next: 0 });
        self.set_timer(Timer::Wait, self.config.timeouts.autologout());
    }

    /// Writes lines as long as there is room.
    pub(super) fn continue_listing(&mut self) -> Next {
        let State::Listing(listing) = &mut self.state else { return None };
        let opened = self.session.opened.as_deref()?;
        let ids = opened.maildrop.unique_ids.as_ref();
        loop {
            if self.send.is_high() {
                return Some(Step::Blocked);
            }
            if listing.next >= opened.maildrop.len() {
                break;
            }
            let index = listing.next;
            listing.next += 1;
            let number = MessageNumber::from_index(index);
            let Some((number, size)) = number.and_then(|number| Some((number, opened.size(number)?))) else {
                continue;
            };
            let out = self.send.tail();
            decimal::encode(out, number.get().into());
            out.push(b' ');
            match listing.kind {
                Kind::Sizes => decimal::encode(out, size),
                Kind::UniqueIds => {
                    let id = ids.and_then(|ids| ids.get(index)).unwrap_or_default();
                    out.extend_from_slice(id.as_bytes());
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        self.end_lines();
        self.await_command();
        None
    }

    pub(super) fn quit(&mut self) -> Next {
        let Some(opened) = self.session.opened.take() else {
            self.ok(Phrase::Bye);
            self.close(Ok(()));
            return None;
        };
        let pending = self.ask(Asked::Commit);
        Some(Step::Event(Event::Commit(opened.deleted, pending)))
    }

    pub(super) fn answer_commit(&mut self, answer: Result<(), Refusal>) {
        if self.asked().is_none() {
            return;
        }
        match answer {
            Ok(()) => self.ok(Phrase::Bye),
            // RFC 1939 §6: the connection is closed all the same.
            Err(refusal) => self.refuse_with(&refusal),
        }
        self.close(Ok(()));
    }
}
