//! Names that both a command and its response say: status attributes, rights, quota resources, metadata entries, threading
//! algorithms. One that is not known here is kept and written again.

use super::Text;
use core::fmt;

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// Any other, an atom.
            Other(Text),
        }

        impl $name {
            /// By its name, in any letter case; `None` for what is no atom.
            pub fn from_name(name: &[u8]) -> Option<Self> {
                $(if name.eq_ignore_ascii_case($text) {
                    return Some($name::$variant);
                })*
                crate::codec::is_atom(name).then(|| $name::Other(Text::copy(name)))
            }

            /// Its name.
            pub fn as_bytes(&self) -> &[u8] {
                match self {
                    $($name::$variant => $text,)*
                    $name::Other(name) => name,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&mail_wire::Escaped(self.as_bytes()), f)
            }
        }
    };
}

names! {
    /// What STATUS tells of a mailbox (RFC 9051 §6.3.11).
    StatusAttribute {
        /// How many messages there are.
        Messages = b"MESSAGES",
        /// How many have `\Recent`; of IMAP4rev1.
        Recent = b"RECENT",
        /// The next UID.
        UidNext = b"UIDNEXT",
        /// The UIDVALIDITY.
        UidValidity = b"UIDVALIDITY",
        /// How many have no `\Seen`.
        Unseen = b"UNSEEN",
        /// How many have `\Deleted`.
        Deleted = b"DELETED",
        /// Octets of all messages (RFC 8438).
        Size = b"SIZE",
        /// The highest modification sequence (RFC 7162).
        HighestModSeq = b"HIGHESTMODSEQ",
        /// Octets of the largest message that can be appended (RFC 7889).
        AppendLimit = b"APPENDLIMIT",
        /// The identifier of the mailbox (RFC 8474).
        MailboxId = b"MAILBOXID",
        /// Octets that an expunge would free (RFC 9208).
        DeletedStorage = b"DELETED-STORAGE",
    }
}

names! {
    /// What a quota limits (RFC 9208 §5).
    QuotaResource {
        /// Octets of all messages, in units of 1024.
        Storage = b"STORAGE",
        /// Number of messages.
        Message = b"MESSAGE",
        /// Number of mailboxes.
        Mailbox = b"MAILBOX",
        /// Octets of annotations, in units of 1024.
        AnnotationStorage = b"ANNOTATION-STORAGE",
    }
}

names! {
    /// How THREAD finds out which message answers which (RFC 5256).
    ThreadAlgorithm {
        /// By the subject alone.
        OrderedSubject = b"ORDEREDSUBJECT",
        /// By the references in the header, then the subject.
        References = b"REFERENCES",
        /// By the references in the header alone, as Dovecot offers it.
        Refs = b"REFS",
    }
}

/// Rights of an access control list, one letter each (RFC 4314 §2.1).
///
/// ```
/// use imap_proto::types::Rights;
///
/// let rights = Rights::new("lrs").unwrap();
/// assert!(rights.has('r') && !rights.has('w'));
/// assert_eq!(Rights::new("l r"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Rights(Text);

impl Rights {
    /// Takes letters and digits, in the order in which they are to be written; none at all are no rights.
    pub fn new(letters: impl AsRef<[u8]>) -> Option<Self> {
        let letters = letters.as_ref();
        letters.iter().all(u8::is_ascii_alphanumeric).then(|| Self(Text::copy(letters)))
    }

    /// Whether a right is among them.
    pub fn has(&self, right: char) -> bool {
        self.0.iter().any(|letter| char::from(*letter) == right)
    }

    /// The letters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Name of a metadata entry, such as `/private/comment` (RFC 5464 §4.1).
///
/// ```
/// use imap_proto::types::EntryName;
///
/// assert!(EntryName::new("/shared/comment").is_some());
/// assert_eq!(EntryName::new("/shared//x"), None);
/// assert_eq!(EntryName::new("/private/*"), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntryName(Text);

impl EntryName {
    /// Takes a name: ASCII without control characters that begins with a slash, ends with none, has no two of them in a row,
    /// and neither `*` nor `%`.
    pub fn new(name: impl AsRef<[u8]>) -> Option<Self> {
        let name = name.as_ref();
        let valid = name.len() > 1
            && name.starts_with(b"/")
            && !name.ends_with(b"/")
            && !name.windows(2).any(|pair| pair == b"//")
            && name.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'*' | b'%'));
        valid.then(|| Self(Text::copy(name)))
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_letter_case_and_others_are_kept() {
        assert_eq!(StatusAttribute::from_name(b"uidNext"), Some(StatusAttribute::UidNext));
        assert_eq!(StatusAttribute::from_name(b"X-NEW"), Some(StatusAttribute::Other("X-NEW".into())));
        assert_eq!(StatusAttribute::from_name(b"two words"), None);
        assert_eq!(QuotaResource::AnnotationStorage.as_bytes(), b"ANNOTATION-STORAGE");
        assert_eq!(ThreadAlgorithm::from_name(b""), None);
    }
}
