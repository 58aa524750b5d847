//! NOTIFY, and the filters of mailboxes that it shares with ESEARCH.

use super::words::words;
use crate::codec::{Cursor, Parse, Writer};
use crate::types::command::{Event, EventGroup, MailboxFilter, Notify};
use crate::types::{Atom, MailboxName, NonEmpty};

mod names {
    super::words! {
        NONE = b"NONE", SET = b"SET", SELECTED = b"SELECTED",
        SELECTED_DELAYED = b"SELECTED-DELAYED", INBOXES = b"INBOXES", PERSONAL = b"PERSONAL",
        SUBSCRIBED = b"SUBSCRIBED", SUBTREE = b"SUBTREE", SUBTREE_ONE = b"SUBTREE-ONE",
        MAILBOXES = b"MAILBOXES",
    }
}

/// The events that have nothing behind them.
const EVENTS: [(&[u8], Event); 7] = [
    (b"MessageExpunge", Event::MessageExpunge),
    (b"FlagChange", Event::FlagChange),
    (b"AnnotationChange", Event::AnnotationChange),
    (b"MailboxName", Event::MailboxName),
    (b"SubscriptionChange", Event::SubscriptionChange),
    (b"MailboxMetadataChange", Event::MailboxMetadataChange),
    (b"ServerMetadataChange", Event::ServerMetadataChange),
];

impl Cursor<'_> {
    pub(super) fn notify(&mut self) -> Parse<Notify> {
        self.argument()?;
        let (word, len) = self.peek_word();
        match word {
            names::NONE => {
                self.skip(len);
                return Ok(Notify::None);
            }
            names::SET => self.skip(len),
            _ => return self.fault("SET or NONE"),
        }
        let rest = self.rest();
        let status = rest.first_chunk::<8>().is_some_and(|next| next.eq_ignore_ascii_case(b" STATUS "));
        self.skip(if status { 7 } else { 0 });
        let groups = self.arguments(Cursor::event_group)?;
        Ok(Notify::Set { status, groups: self.non_empty(groups, "a space, and (mailboxes events)")? })
    }

    fn event_group(&mut self) -> Parse<EventGroup> {
        self.expect(b'(', "mailboxes and events in parentheses")?;
        let mailboxes = self.mailbox_filter()?;
        self.expect(b' ', "a space, and events")?;
        let events = match self.peek() {
            Some(b'(') => self.non_empty_list("an event, such as MessageNew", Cursor::event)?.into_vec(),
            _ => {
                let (word, len) = self.peek_word();
                if word != names::NONE {
                    return self.fault("events in parentheses, or NONE");
                }
                self.skip(len);
                Vec::new()
            }
        };
        self.expect(b')', "a closing parenthesis")?;
        Ok(EventGroup { mailboxes, events })
    }

    pub(super) fn mailbox_filter(&mut self) -> Parse<MailboxFilter> {
        let (word, len) = self.peek_word();
        self.skip(len);
        Ok(match word {
            names::SELECTED => MailboxFilter::Selected,
            names::SELECTED_DELAYED => MailboxFilter::SelectedDelayed,
            names::INBOXES => MailboxFilter::Inboxes,
            names::PERSONAL => MailboxFilter::Personal,
            names::SUBSCRIBED => MailboxFilter::Subscribed,
            names::SUBTREE => MailboxFilter::Subtree(self.one_or_more_mailboxes()?),
            names::SUBTREE_ONE => MailboxFilter::SubtreeOne(self.one_or_more_mailboxes()?),
            names::MAILBOXES => MailboxFilter::Mailboxes(self.one_or_more_mailboxes()?),
            _ => {
                self.rewind(self.at() - len);
                return self.fault("mailboxes, such as selected, personal or subtree");
            }
        })
    }

    fn one_or_more_mailboxes(&mut self) -> Parse<NonEmpty<MailboxName>> {
        self.expect(b' ', "a space, and names of mailboxes")?;
        match self.peek() {
            Some(b'(') => self.non_empty_list("the name of a mailbox", Cursor::mailbox),
            _ => self.mailbox().map(NonEmpty::one),
        }
    }

    fn event(&mut self) -> Parse<Event> {
        let start = self.at();
        let name = self.atom("an event, such as MessageNew")?;
        if name.eq_ignore_ascii_case(b"MessageNew") {
            return self.optional_attributes().map(Event::MessageNew);
        }
        let known = EVENTS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        Ok(match known {
            Some((_, event)) => event.clone(),
            None => Event::Other(Atom::trusted(self.text(start..self.at()))),
        })
    }

    /// What to fetch in parentheses, with a space before, if it is there.
    pub(super) fn optional_attributes(&mut self) -> Parse<Vec<crate::types::FetchAttribute>> {
        if !matches!(self.rest(), [b' ', b'(', ..]) {
            return Ok(Vec::new());
        }
        self.skip(1);
        self.fetch_attributes().map(NonEmpty::into_vec)
    }
}

impl Writer<'_> {
    pub(super) fn notify(&mut self, notify: &Notify) {
        let Notify::Set { status, groups } = notify else { return self.raw(b" NONE") };
        self.raw(b" SET");
        if *status {
            self.raw(b" STATUS");
        }
        for group in groups {
            self.raw(b" (");
            self.mailbox_filter(&group.mailboxes);
            match &*group.events {
                [] => self.raw(b" NONE"),
                events => {
                    self.space();
                    self.list(events, Writer::event);
                }
            }
            self.byte(b')');
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::MessageNew(attributes) => {
                self.raw(b"MessageNew");
                self.optional_list(attributes, Writer::fetch_attribute);
            }
            Event::Other(name) => self.raw(name.as_bytes()),
            event => {
                let known = EVENTS.iter().find(|(_, known)| known == event);
                self.raw(known.map_or(b"NONE", |(name, _)| name));
            }
        }
    }

    pub(super) fn mailbox_filter(&mut self, filter: &MailboxFilter) {
        let (name, mailboxes): (&[u8], _) = match filter {
            MailboxFilter::Selected => (b"selected", None),
            MailboxFilter::SelectedDelayed => (b"selected-delayed", None),
            MailboxFilter::Inboxes => (b"inboxes", None),
            MailboxFilter::Personal => (b"personal", None),
            MailboxFilter::Subscribed => (b"subscribed", None),
            MailboxFilter::Subtree(mailboxes) => (b"subtree", Some(mailboxes)),
            MailboxFilter::SubtreeOne(mailboxes) => (b"subtree-one", Some(mailboxes)),
            MailboxFilter::Mailboxes(mailboxes) => (b"mailboxes", Some(mailboxes)),
        };
        self.raw(name);
        match mailboxes.map(|mailboxes| &**mailboxes) {
            None => {}
            Some([mailbox]) => self.mailbox_argument(mailbox),
            Some(mailboxes) => {
                self.space();
                self.list(mailboxes, Writer::mailbox);
            }
        }
    }
}
