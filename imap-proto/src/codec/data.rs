//! Untagged data but that of FETCH, from bytes and to bytes.

use super::{Cursor, Parse, Writer};
use crate::types::{
    Acl, Data, EntryName, Flags, IdField, ListKind, ListRights, MailboxStatus, MessageId, Metadata,
    MetadataEntries, MyRights, Quota, QuotaResource, QuotaRoots, QuotaUsage, Rights, StatusItem, UrlContent,
};

impl Cursor<'_> {
    /// What follows `* ` and does not begin with a number.
    pub(super) fn data(&mut self) -> Parse<Data> {
        let word = self.atom("the name of a response")?;
        let is = |known: &[u8]| word.eq_ignore_ascii_case(known);
        let data = match word.len() {
            2 if is(b"ID") => Data::Id(self.behind_space(Cursor::id_fields)?),
            3 if is(b"ACL") => Data::Acl(Box::new(self.acl()?)),
            4 if is(b"LIST") => self.behind_space(|cursor| cursor.listing(ListKind::List))?,
            4 if is(b"LSUB") => self.behind_space(|cursor| cursor.listing(ListKind::Lsub))?,
            4 if is(b"SORT") => Data::Sort(self.search_results()?),
            5 if is(b"FLAGS") => Data::Flags(self.behind_space(Cursor::flags)?),
            5 if is(b"XLIST") => self.behind_space(|cursor| cursor.listing(ListKind::XList))?,
            5 if is(b"QUOTA") => Data::Quota(Box::new(self.quota()?)),
            6 if is(b"SEARCH") => Data::Search(self.search_results()?),
            6 if is(b"STATUS") => Data::Status(Box::new(self.mailbox_status()?)),
            6 if is(b"THREAD") => Data::Thread(self.threads()?),
            7 if is(b"ESEARCH") => Data::ESearch(Box::new(self.esearch()?)),
            7 if is(b"ENABLED") => Data::Enabled(Box::new(self.capabilities()?)),
            8 if is(b"VANISHED") => self.behind_space(Cursor::vanished)?,
            8 if is(b"MYRIGHTS") => {
                let mailbox = self.behind_space(Cursor::mailbox)?;
                Data::MyRights(Box::new(MyRights { mailbox, rights: self.behind_space(Cursor::rights)? }))
            }
            8 if is(b"METADATA") => Data::Metadata(Box::new(self.metadata()?)),
            8 if is(b"LANGUAGE") => Data::Language(self.behind_space(|cursor| cursor.list(Cursor::astring))?),
            8 if is(b"URLFETCH") => Data::UrlFetch(self.each_behind_space(|cursor| {
                let url = cursor.astring()?;
                Ok(UrlContent { url, content: cursor.behind_space(Cursor::nstring)? })
            })?),
            9 if is(b"NAMESPACE") => Data::Namespace(Box::new(self.behind_space(Cursor::namespaces)?)),
            9 if is(b"QUOTAROOT") => {
                let mailbox = self.behind_space(Cursor::mailbox)?;
                let roots = self.each_behind_space(Cursor::astring)?;
                Data::QuotaRoots(Box::new(QuotaRoots { mailbox, roots }))
            }
            10 if is(b"CAPABILITY") => Data::Capability(Box::new(self.capabilities()?)),
            10 if is(b"LISTRIGHTS") => Data::ListRights(Box::new(self.list_rights()?)),
            10 if is(b"COMPARATOR") => {
                let active = self.behind_space(Cursor::astring)?;
                let matching =
                    if self.eat_space() && !self.is_end() { self.list(Cursor::astring)? } else { Vec::new() };
                Data::Comparator(Box::new((active, matching)))
            }
            10 if is(b"GENURLAUTH") => Data::GenUrlAuth(self.each_behind_space(Cursor::astring)?),
            10 if is(b"JMAPACCESS") => Data::JmapAccess(self.behind_space(Cursor::astring)?),
            _ => return self.fault("the name of a response"),
        };
        Ok(data)
    }

    /// Values to the end of the line, each with a space before it.
    fn each_behind_space<T>(&mut self, mut inner: impl FnMut(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        let mut values = Vec::new();
        while self.eat_space() && !self.is_end() {
            values.push(inner(self)?);
        }
        Ok(values)
    }

    /// Fields and their values in parentheses, or NIL (RFC 2971 §3.3).
    pub(super) fn id_fields(&mut self) -> Parse<Option<Vec<IdField>>> {
        if self.eat_nil() {
            return Ok(None);
        }
        self.list(|cursor| {
            let name = cursor.string()?;
            Ok(IdField { name, value: cursor.behind_space(Cursor::nstring)? })
        })
        .map(Some)
    }

    fn vanished(&mut self) -> Parse<Data> {
        let earlier = self.eat(b'(');
        if earlier {
            if !self.eat_word(b"EARLIER") {
                return self.fault("EARLIER");
            }
            self.expect(b')', "a closing parenthesis")?;
            self.space()?;
        }
        Ok(Data::Vanished { earlier, uids: self.number_set()? })
    }

    pub(super) fn rights(&mut self) -> Parse<Rights> {
        let start = self.at();
        let letters = self.astring()?;
        match Rights::new(letters) {
            Some(rights) => Ok(rights),
            None => {
                self.rewind(start);
                self.fault("rights, one letter each")
            }
        }
    }

    fn acl(&mut self) -> Parse<Acl> {
        let mailbox = self.behind_space(Cursor::mailbox)?;
        let entries = self.each_behind_space(|cursor| {
            let identifier = cursor.astring()?;
            Ok((identifier, cursor.behind_space(Cursor::rights)?))
        })?;
        Ok(Acl { mailbox, entries })
    }

    fn list_rights(&mut self) -> Parse<ListRights> {
        let mailbox = self.behind_space(Cursor::mailbox)?;
        let identifier = self.behind_space(Cursor::astring)?;
        let required = self.behind_space(Cursor::rights)?;
        let optional = self.each_behind_space(Cursor::rights)?;
        Ok(ListRights { mailbox, identifier, required, optional })
    }

    fn quota(&mut self) -> Parse<Quota> {
        let root = self.behind_space(Cursor::astring)?;
        self.space()?;
        let resources = self.list(|cursor| {
            let resource = cursor.quota_resource()?;
            let used = cursor.behind_space(Cursor::size)?;
            let limit = cursor.behind_space(Cursor::size)?;
            Ok(QuotaUsage { resource, used, limit })
        })?;
        Ok(Quota { root, resources })
    }

    pub(super) fn quota_resource(&mut self) -> Parse<QuotaResource> {
        let name = self.atom("a quota resource")?;
        QuotaResource::from_name(name).map_or_else(|| self.fault("a quota resource"), Ok)
    }

    pub(super) fn entry_name(&mut self) -> Parse<EntryName> {
        let start = self.at();
        let name = self.astring()?;
        match EntryName::new(name) {
            Some(name) => Ok(name),
            None => {
                self.rewind(start);
                self.fault("the name of a metadata entry")
            }
        }
    }

    fn metadata(&mut self) -> Parse<Metadata> {
        let mailbox = self.behind_space(Cursor::mailbox)?;
        self.space()?;
        let entries = match self.peek() {
            Some(b'(') => MetadataEntries::Values(self.list(|cursor| {
                let entry = cursor.entry_name()?;
                Ok((entry, cursor.behind_space(Cursor::nstring)?))
            })?),
            _ => {
                let mut entries = vec![self.entry_name()?];
                while self.eat_space() && !self.is_end() {
                    entries.push(self.entry_name()?);
                }
                MetadataEntries::Changed(entries)
            }
        };
        Ok(Metadata { mailbox, entries })
    }

    fn mailbox_status(&mut self) -> Parse<MailboxStatus> {
        let mailbox = self.behind_space(Cursor::mailbox)?;
        self.space()?;
        let items = self.list(|cursor| {
            let start = cursor.at();
            match cursor.status_item() {
                Ok(item) if matches!(cursor.peek(), Some(b' ' | b')')) => Ok(item),
                _ => {
                    cursor.rewind(start);
                    cursor.name_and_value().map(StatusItem::Other)
                }
            }
        })?;
        Ok(MailboxStatus { mailbox, items })
    }

    fn status_item(&mut self) -> Parse<StatusItem> {
        let name = self.atom("a status item")?;
        self.space()?;
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        Ok(match name.len() {
            4 if is(b"SIZE") => StatusItem::Size(self.size()?),
            6 if is(b"RECENT") => StatusItem::Recent(self.number()?),
            6 if is(b"UNSEEN") => StatusItem::Unseen(self.number()?),
            7 if is(b"UIDNEXT") => StatusItem::UidNext(self.uid()?),
            7 if is(b"DELETED") => StatusItem::Deleted(self.number()?),
            8 if is(b"MESSAGES") => StatusItem::Messages(self.number()?),
            9 if is(b"MAILBOXID") => StatusItem::MailboxId(self.in_parentheses(Cursor::object_id)?),
            11 if is(b"UIDVALIDITY") => StatusItem::UidValidity(self.nonzero()?.into()),
            11 if is(b"APPENDLIMIT") && self.eat_nil() => StatusItem::AppendLimit(None),
            11 if is(b"APPENDLIMIT") => StatusItem::AppendLimit(Some(self.number64()?)),
            13 if is(b"HIGHESTMODSEQ") => StatusItem::HighestModSeq(self.mod_seq()?),
            15 if is(b"DELETED-STORAGE") => StatusItem::DeletedStorage(self.size()?),
            _ => return self.fault("a status item"),
        })
    }
}

impl Writer<'_> {
    pub(super) fn data(&mut self, data: &Data) {
        match data {
            Data::Capability(capabilities) => {
                self.raw(b"CAPABILITY");
                self.capabilities(capabilities);
            }
            Data::Enabled(capabilities) => {
                self.raw(b"ENABLED");
                self.capabilities(capabilities);
            }
            Data::Flags(flags) => self.mailbox_flags(flags),
            Data::Exists(count) => {
                self.number(*count);
                self.raw(b" EXISTS");
            }
            Data::Recent(count) => {
                self.number(*count);
                self.raw(b" RECENT");
            }
            Data::Expunge(message) => {
                self.number(message.get());
                self.raw(b" EXPUNGE");
            }
            Data::Vanished { earlier, uids } => {
                self.raw(if *earlier { b"VANISHED (EARLIER) " } else { b"VANISHED " });
                self.number_set(uids);
            }
            Data::Fetch(fetch) => {
                match fetch.message {
                    MessageId::Seq(number) => {
                        self.number(number.get());
                        self.raw(b" FETCH ");
                    }
                    MessageId::Uid(uid) => {
                        self.number(uid.get());
                        self.raw(b" UIDFETCH ");
                    }
                }
                self.fetch_items(&fetch.items);
            }
            Data::List(listing) => self.listing(listing),
            Data::Status(status) => self.mailbox_status(status),
            Data::Search(results) => self.search_results(b"SEARCH", results),
            Data::Sort(results) => self.search_results(b"SORT", results),
            Data::Thread(threads) => self.threads(threads),
            Data::ESearch(esearch) => self.esearch(esearch),
            Data::Namespace(namespaces) => self.namespaces(namespaces),
            Data::Id(fields) => {
                self.raw(b"ID ");
                self.id_fields(fields.as_deref());
            }
            Data::Acl(acl) => {
                self.raw(b"ACL ");
                self.mailbox(&acl.mailbox);
                for (identifier, rights) in &acl.entries {
                    self.behind_space(identifier);
                    self.behind_space(rights.as_bytes());
                }
            }
            Data::ListRights(list) => {
                self.raw(b"LISTRIGHTS ");
                self.mailbox(&list.mailbox);
                self.behind_space(&list.identifier);
                self.behind_space(list.required.as_bytes());
                list.optional.iter().for_each(|rights| self.behind_space(rights.as_bytes()));
            }
            Data::MyRights(my) => {
                self.raw(b"MYRIGHTS ");
                self.mailbox(&my.mailbox);
                self.behind_space(my.rights.as_bytes());
            }
            Data::Quota(quota) => {
                self.raw(b"QUOTA ");
                self.astring(&quota.root);
                self.space();
                self.list(&quota.resources, |writer, resource| {
                    writer.word(resource.resource.as_bytes());
                    writer.space();
                    writer.number(resource.used);
                    writer.space();
                    writer.number(resource.limit);
                });
            }
            Data::QuotaRoots(roots) => {
                self.raw(b"QUOTAROOT ");
                self.mailbox(&roots.mailbox);
                roots.roots.iter().for_each(|root| self.behind_space(root));
            }
            Data::Metadata(metadata) => self.metadata(metadata),
            Data::Language(languages) => {
                self.raw(b"LANGUAGE ");
                self.list(languages, |writer, language| writer.astring(language));
            }
            Data::Comparator(comparator) => {
                let (active, matching) = &**comparator;
                self.raw(b"COMPARATOR ");
                self.astring(active);
                if !matching.is_empty() {
                    self.space();
                    self.list(matching, |writer, comparator| writer.astring(comparator));
                }
            }
            Data::GenUrlAuth(urls) => {
                self.raw(b"GENURLAUTH");
                urls.iter().for_each(|url| self.behind_space(url));
            }
            Data::UrlFetch(contents) => {
                self.raw(b"URLFETCH");
                for content in contents {
                    self.behind_space(&content.url);
                    self.space();
                    self.nstring(content.content.as_deref());
                }
            }
            Data::JmapAccess(url) => {
                self.raw(b"JMAPACCESS ");
                self.string(url);
            }
            Data::Other(raw) => self.raw(raw.as_bytes()),
        }
    }

    fn behind_space(&mut self, bytes: &[u8]) {
        self.space();
        self.astring(bytes);
    }

    fn mailbox_flags(&mut self, flags: &Flags) {
        self.raw(b"FLAGS ");
        self.flags(flags);
    }

    pub(super) fn id_fields(&mut self, fields: Option<&[IdField]>) {
        match fields {
            None => self.raw(b"NIL"),
            Some(fields) => self.list(fields, |writer, field| {
                writer.string(&field.name);
                writer.space();
                writer.nstring(field.value.as_deref());
            }),
        }
    }

    fn metadata(&mut self, metadata: &Metadata) {
        self.raw(b"METADATA ");
        self.mailbox(&metadata.mailbox);
        self.space();
        match &metadata.entries {
            MetadataEntries::Values(values) => self.list(values, |writer, (entry, value)| {
                writer.astring(entry.as_bytes());
                writer.space();
                writer.nstring(value.as_deref());
            }),
            MetadataEntries::Changed(entries) => {
                self.spaced(entries, |writer, entry| writer.astring(entry.as_bytes()));
            }
        }
    }

    fn mailbox_status(&mut self, status: &MailboxStatus) {
        self.raw(b"STATUS ");
        self.mailbox(&status.mailbox);
        self.space();
        self.list(&status.items, Writer::status_item);
    }

    fn status_item(&mut self, item: &StatusItem) {
        match item {
            StatusItem::Messages(count) => self.numbered(b"MESSAGES ", *count),
            StatusItem::Recent(count) => self.numbered(b"RECENT ", *count),
            StatusItem::UidNext(uid) => self.numbered(b"UIDNEXT ", uid.get()),
            StatusItem::UidValidity(validity) => self.numbered(b"UIDVALIDITY ", validity.get()),
            StatusItem::Unseen(count) => self.numbered(b"UNSEEN ", *count),
            StatusItem::Deleted(count) => self.numbered(b"DELETED ", *count),
            StatusItem::Size(octets) => self.numbered(b"SIZE ", *octets),
            StatusItem::HighestModSeq(mod_seq) => self.numbered(b"HIGHESTMODSEQ ", mod_seq.get()),
            StatusItem::AppendLimit(Some(octets)) => self.numbered(b"APPENDLIMIT ", *octets),
            StatusItem::AppendLimit(None) => self.raw(b"APPENDLIMIT NIL"),
            StatusItem::MailboxId(id) => {
                self.raw(b"MAILBOXID (");
                self.word(id);
                self.byte(b')');
            }
            StatusItem::DeletedStorage(octets) => self.numbered(b"DELETED-STORAGE ", *octets),
            StatusItem::Other(raw) => self.raw(raw.as_bytes()),
        }
    }
}
