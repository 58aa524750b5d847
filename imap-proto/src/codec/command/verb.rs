//! The tag and the name that a command begins with.

use super::words::words;
use crate::codec::chars::{self, TAG};
use crate::codec::{Cursor, Dialect, Frame, Parse};
use crate::types::command::{Command, Verb};
use crate::types::{Tag, Text};

/// What can be told of a command from its first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The tag, if there is one.
    pub tag: Option<Tag>,
    /// The command, if it is known here.
    pub verb: Option<Verb>,
}

impl Command {
    /// Which command a frame begins with, whether it has ended or not, and whatever follows. Takes the same time however long the
    /// frame is.
    ///
    /// ```
    /// use imap_proto::types::Tag;
    /// use imap_proto::types::command::{Command, Verb};
    ///
    /// let head = Command::head(b"a uid fetch 1:* (FLAGS");
    /// assert_eq!((head.tag, head.verb), (Tag::new("a"), Some(Verb::UidFetch)));
    /// ```
    pub fn head(frame: &[u8]) -> Head {
        // A tag, two spaces, and the longest names.
        let frame = Frame::new(&frame[..frame.len().min(Tag::MAX + 32)]);
        let mut cursor = Cursor::new(&frame, Dialect::SERVER);
        let tag = cursor.command_tag().ok();
        let verb = if tag.is_some() { cursor.verb().ok().flatten() } else { None };
        Head { tag, verb }
    }
}

mod names {
    super::words! {
        CAPABILITY = b"CAPABILITY", NOOP = b"NOOP", LOGOUT = b"LOGOUT", ID = b"ID", LANGUAGE = b"LANGUAGE",
        STARTTLS = b"STARTTLS", AUTHENTICATE = b"AUTHENTICATE", LOGIN = b"LOGIN",
        UNAUTHENTICATE = b"UNAUTHENTICATE", COMPRESS = b"COMPRESS", ENABLE = b"ENABLE", SELECT = b"SELECT",
        EXAMINE = b"EXAMINE", CREATE = b"CREATE", DELETE = b"DELETE", RENAME = b"RENAME",
        SUBSCRIBE = b"SUBSCRIBE", UNSUBSCRIBE = b"UNSUBSCRIBE", LIST = b"LIST", LSUB = b"LSUB",
        NAMESPACE = b"NAMESPACE", STATUS = b"STATUS", APPEND = b"APPEND", IDLE = b"IDLE", SETACL = b"SETACL",
        DELETEACL = b"DELETEACL", GETACL = b"GETACL", LISTRIGHTS = b"LISTRIGHTS", MYRIGHTS = b"MYRIGHTS",
        GETQUOTA = b"GETQUOTA", GETQUOTAROOT = b"GETQUOTAROOT", SETQUOTA = b"SETQUOTA",
        GETMETADATA = b"GETMETADATA", SETMETADATA = b"SETMETADATA", COMPARATOR = b"COMPARATOR",
        NOTIFY = b"NOTIFY", GENURLAUTH = b"GENURLAUTH", URLFETCH = b"URLFETCH", RESETKEY = b"RESETKEY",
        ESEARCH = b"ESEARCH", CHECK = b"CHECK", CLOSE = b"CLOSE", UNSELECT = b"UNSELECT",
        EXPUNGE = b"EXPUNGE", SEARCH = b"SEARCH", SORT = b"SORT", THREAD = b"THREAD", FETCH = b"FETCH",
        STORE = b"STORE", COPY = b"COPY", MOVE = b"MOVE", REPLACE = b"REPLACE",
        CANCELUPDATE = b"CANCELUPDATE", UID = b"UID",
    }
}

fn verb_by_name(word: u128) -> Option<Verb> {
    Some(match word {
        names::CAPABILITY => Verb::Capability,
        names::NOOP => Verb::Noop,
        names::LOGOUT => Verb::Logout,
        names::ID => Verb::Id,
        names::LANGUAGE => Verb::Language,
        names::STARTTLS => Verb::StartTls,
        names::AUTHENTICATE => Verb::Authenticate,
        names::LOGIN => Verb::Login,
        names::UNAUTHENTICATE => Verb::Unauthenticate,
        names::COMPRESS => Verb::Compress,
        names::ENABLE => Verb::Enable,
        names::SELECT => Verb::Select,
        names::EXAMINE => Verb::Examine,
        names::CREATE => Verb::Create,
        names::DELETE => Verb::Delete,
        names::RENAME => Verb::Rename,
        names::SUBSCRIBE => Verb::Subscribe,
        names::UNSUBSCRIBE => Verb::Unsubscribe,
        names::LIST => Verb::List,
        names::LSUB => Verb::Lsub,
        names::NAMESPACE => Verb::Namespace,
        names::STATUS => Verb::Status,
        names::APPEND => Verb::Append,
        names::IDLE => Verb::Idle,
        names::SETACL => Verb::SetAcl,
        names::DELETEACL => Verb::DeleteAcl,
        names::GETACL => Verb::GetAcl,
        names::LISTRIGHTS => Verb::ListRights,
        names::MYRIGHTS => Verb::MyRights,
        names::GETQUOTA => Verb::GetQuota,
        names::GETQUOTAROOT => Verb::GetQuotaRoot,
        names::SETQUOTA => Verb::SetQuota,
        names::GETMETADATA => Verb::GetMetadata,
        names::SETMETADATA => Verb::SetMetadata,
        names::COMPARATOR => Verb::Comparator,
        names::NOTIFY => Verb::Notify,
        names::GENURLAUTH => Verb::GenUrlAuth,
        names::URLFETCH => Verb::UrlFetch,
        names::RESETKEY => Verb::ResetKey,
        names::ESEARCH => Verb::Esearch,
        names::CHECK => Verb::Check,
        names::CLOSE => Verb::Close,
        names::UNSELECT => Verb::Unselect,
        names::EXPUNGE => Verb::Expunge,
        names::SEARCH => Verb::Search,
        names::SORT => Verb::Sort,
        names::THREAD => Verb::Thread,
        names::FETCH => Verb::Fetch,
        names::STORE => Verb::Store,
        names::COPY => Verb::Copy,
        names::MOVE => Verb::Move,
        names::REPLACE => Verb::Replace,
        names::CANCELUPDATE => Verb::CancelUpdate,
        _ => return None,
    })
}

fn uid_verb_by_name(word: u128) -> Option<Verb> {
    Some(match word {
        names::EXPUNGE => Verb::UidExpunge,
        names::SEARCH => Verb::UidSearch,
        names::SORT => Verb::UidSort,
        names::THREAD => Verb::UidThread,
        names::FETCH => Verb::UidFetch,
        names::STORE => Verb::UidStore,
        names::COPY => Verb::UidCopy,
        names::MOVE => Verb::UidMove,
        names::REPLACE => Verb::UidReplace,
        _ => return None,
    })
}

impl Cursor<'_> {
    /// The tag, of which nothing else of the frame is kept, and the space behind it.
    #[inline]
    pub(super) fn command_tag(&mut self) -> Parse<Tag> {
        let rest = self.rest();
        let len = chars::span(&rest[..rest.len().min(Tag::MAX + 1)], TAG);
        match len {
            0 => return self.fault("a tag"),
            len if len > Tag::MAX => return self.fault("a tag of at most 256 bytes"),
            len => self.skip(len),
        }
        match self.eat(b' ') {
            true => Ok(Tag::trusted(Text::copy(&rest[..len]))),
            false => self.fault("a tag, and a space behind it"),
        }
    }

    /// The name of the command, with `UID` before it where it is there; `None` for one that is not known.
    #[inline]
    pub(super) fn verb(&mut self) -> Parse<Option<Verb>> {
        let start = self.at();
        let (word, len) = self.peek_word();
        if len == 0 {
            return self.fault("the name of a command");
        }
        self.skip(len);
        if word == names::UID && self.eat(b' ') {
            let (word, len) = self.peek_word();
            if len == 0 {
                return self.fault("the name of a command that takes UIDs");
            }
            self.skip(len);
            return Ok(uid_verb_by_name(word));
        }
        if word == names::UID {
            self.rewind(start);
            return self.fault("UID, and the name of a command that takes UIDs");
        }
        Ok(verb_by_name(word))
    }
}
