//! [`Capability`] and [`Capabilities`]: what a server says that it can do.

use super::{QuotaResource, Text, ThreadAlgorithm};
use core::fmt;
use core::num::NonZeroU32;

macro_rules! capabilities {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// One thing that a server can do. Two of the same name are the same in any letter case.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Capability {
            $($(#[$doc])* $variant,)*
            /// `AUTH=`: a SASL mechanism, in capitals (RFC 9051 §6.2.2)
            Auth(Text),
            /// `THREAD=` (RFC 5256)
            Thread(ThreadAlgorithm),
            /// `QUOTA=RES-` (RFC 9208)
            QuotaResource(QuotaResource),
            /// `APPENDLIMIT=`: octets of the largest message that can be appended anywhere (RFC 7889). Without a number,
            /// STATUS tells it of each mailbox.
            AppendLimit(Option<u64>),
            /// `MESSAGELIMIT=`: messages that one command may work on (RFC 9738)
            MessageLimit(NonZeroU32),
            /// `SAVELIMIT=`: messages that a saved search may hold (RFC 9738)
            SaveLimit(NonZeroU32),
            /// `RIGHTS=`: the rights beyond those of RFC 2086 (RFC 4314)
            Rights(Text),
            /// Any other, in the letter case in which it came.
            Other(Text),
        }

        /// In which bit of the set a capability without a value is.
        #[repr(u8)]
        enum Bit {
            $($variant,)*
        }

        impl Capability {
            const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$variant),)*];

            fn bit(&self) -> Option<u128> {
                let bit = match self {
                    $(Capability::$variant => Bit::$variant,)*
                    _ => return None,
                };
                Some(1 << bit as u8)
            }

            fn fixed_name(&self) -> Option<&'static str> {
                match self {
                    $(Capability::$variant => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

capabilities! {
    /// IMAP4rev1 (RFC 3501)
    Imap4Rev1 = "IMAP4rev1",
    /// IMAP4rev2 (RFC 9051)
    Imap4Rev2 = "IMAP4rev2",
    /// STARTTLS (RFC 9051 §6.2.1)
    StartTls = "STARTTLS",
    /// LOGIN is refused (RFC 9051 §6.2.3)
    LoginDisabled = "LOGINDISABLED",
    /// AUTHENTICATE with an initial response (RFC 4959)
    SaslIr = "SASL-IR",
    /// Literals of any size need not be asked for (RFC 7888)
    LiteralPlus = "LITERAL+",
    /// Literals of up to 4096 bytes need not be asked for (RFC 7888)
    LiteralMinus = "LITERAL-",
    /// ID (RFC 2971)
    Id = "ID",
    /// ENABLE (RFC 5161)
    Enable = "ENABLE",
    /// IDLE (RFC 2177)
    Idle = "IDLE",
    /// NAMESPACE (RFC 2342)
    Namespace = "NAMESPACE",
    /// UNSELECT (RFC 3691)
    Unselect = "UNSELECT",
    /// `\HasChildren` in LIST (RFC 3348)
    Children = "CHILDREN",
    /// Several messages by one APPEND (RFC 3502)
    MultiAppend = "MULTIAPPEND",
    /// BINARY (RFC 3516)
    Binary = "BINARY",
    /// ACL (RFC 4314)
    Acl = "ACL",
    /// APPENDUID, COPYUID and UID EXPUNGE (RFC 4315)
    UidPlus = "UIDPLUS",
    /// CATENATE (RFC 4469)
    Catenate = "CATENATE",
    /// URLAUTH (RFC 4467)
    UrlAuth = "URLAUTH",
    /// URLAUTH=BINARY (RFC 5524)
    UrlAuthBinary = "URLAUTH=BINARY",
    /// ESEARCH (RFC 4731)
    ESearch = "ESEARCH",
    /// SEARCHRES (RFC 5182)
    SearchRes = "SEARCHRES",
    /// WITHIN (RFC 5032)
    Within = "WITHIN",
    /// COMPRESS=DEFLATE (RFC 4978)
    CompressDeflate = "COMPRESS=DEFLATE",
    /// SORT (RFC 5256)
    Sort = "SORT",
    /// SORT=DISPLAY (RFC 5957)
    SortDisplay = "SORT=DISPLAY",
    /// ESORT (RFC 5267)
    ESort = "ESORT",
    /// CONTEXT=SEARCH (RFC 5267)
    ContextSearch = "CONTEXT=SEARCH",
    /// CONTEXT=SORT (RFC 5267)
    ContextSort = "CONTEXT=SORT",
    /// PARTIAL (RFC 9394)
    Partial = "PARTIAL",
    /// LIST-EXTENDED (RFC 5258)
    ListExtended = "LIST-EXTENDED",
    /// LIST-STATUS (RFC 5819)
    ListStatus = "LIST-STATUS",
    /// LIST-METADATA (RFC 9590)
    ListMetadata = "LIST-METADATA",
    /// LIST-MYRIGHTS (RFC 8440)
    ListMyRights = "LIST-MYRIGHTS",
    /// SPECIAL-USE (RFC 6154)
    SpecialUse = "SPECIAL-USE",
    /// CREATE-SPECIAL-USE (RFC 6154)
    CreateSpecialUse = "CREATE-SPECIAL-USE",
    /// METADATA (RFC 5464)
    Metadata = "METADATA",
    /// METADATA-SERVER (RFC 5464)
    MetadataServer = "METADATA-SERVER",
    /// LANGUAGE (RFC 5255)
    Language = "LANGUAGE",
    /// I18NLEVEL=1 (RFC 5255)
    I18nLevel1 = "I18NLEVEL=1",
    /// I18NLEVEL=2 (RFC 5255)
    I18nLevel2 = "I18NLEVEL=2",
    /// CONDSTORE (RFC 7162)
    CondStore = "CONDSTORE",
    /// QRESYNC (RFC 7162)
    QResync = "QRESYNC",
    /// NOTIFY (RFC 5465)
    Notify = "NOTIFY",
    /// FILTERS (RFC 5466)
    Filters = "FILTERS",
    /// SEARCH=FUZZY (RFC 6203)
    SearchFuzzy = "SEARCH=FUZZY",
    /// MULTISEARCH (RFC 7377)
    MultiSearch = "MULTISEARCH",
    /// MOVE (RFC 6851)
    Move = "MOVE",
    /// UTF8=ACCEPT (RFC 6855)
    Utf8Accept = "UTF8=ACCEPT",
    /// UTF8=ONLY (RFC 6855)
    Utf8Only = "UTF8=ONLY",
    /// QUOTA (RFC 9208)
    Quota = "QUOTA",
    /// QUOTASET (RFC 9208)
    QuotaSet = "QUOTASET",
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate = "UNAUTHENTICATE",
    /// STATUS=SIZE (RFC 8438)
    StatusSize = "STATUS=SIZE",
    /// OBJECTID (RFC 8474)
    ObjectId = "OBJECTID",
    /// REPLACE (RFC 8508)
    Replace = "REPLACE",
    /// SAVEDATE (RFC 8514)
    SaveDate = "SAVEDATE",
    /// PREVIEW (RFC 8970)
    Preview = "PREVIEW",
    /// INPROGRESS (RFC 9585)
    InProgress = "INPROGRESS",
    /// UIDONLY (RFC 9586)
    UidOnly = "UIDONLY",
    /// JMAPACCESS (RFC 9698)
    JmapAccess = "JMAPACCESS",
    /// LOGIN-REFERRALS (RFC 2221)
    LoginReferrals = "LOGIN-REFERRALS",
    /// MAILBOX-REFERRALS (RFC 2193)
    MailboxReferrals = "MAILBOX-REFERRALS",
    /// XLIST, what special use was before RFC 6154
    XList = "XLIST",
    /// X-GM-EXT-1: Gmail's identifiers and labels
    GmailExt1 = "X-GM-EXT-1",
}

impl Capability {
    /// By its name, in any letter case; `None` for what is no atom.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        crate::codec::is_atom(name)
            .then(|| Self::known(name).unwrap_or_else(|| Self::Other(Text::copy(name))))
    }

    /// One whose name or beginning is known.
    pub(crate) fn known(name: &[u8]) -> Option<Self> {
        let same = |(known, _): &&(&str, Self)| known.as_bytes().eq_ignore_ascii_case(name);
        if let Some((_, capability)) = Self::NAMES.iter().find(same) {
            return Some(capability.clone());
        }
        let behind = |start: &[u8]| {
            let (front, value) = name.split_at_checked(start.len())?;
            (front.eq_ignore_ascii_case(start) && !value.is_empty()).then_some(value)
        };
        let limit = |value| number(value).and_then(|value| NonZeroU32::new(u32::try_from(value).ok()?));
        if let Some(mechanism) = behind(b"AUTH=") {
            return Some(Capability::Auth(Text::copy(&mechanism.to_ascii_uppercase())));
        }
        if let Some(algorithm) = behind(b"THREAD=") {
            return ThreadAlgorithm::from_name(algorithm).map(Capability::Thread);
        }
        if let Some(resource) = behind(b"QUOTA=RES-") {
            return QuotaResource::from_name(resource).map(Capability::QuotaResource);
        }
        if let Some(value) = behind(b"APPENDLIMIT=") {
            return number(value).map(|value| Capability::AppendLimit(Some(value)));
        }
        if name.eq_ignore_ascii_case(b"APPENDLIMIT") {
            return Some(Capability::AppendLimit(None));
        }
        if let Some(value) = behind(b"MESSAGELIMIT=") {
            return limit(value).map(Capability::MessageLimit);
        }
        if let Some(value) = behind(b"SAVELIMIT=") {
            return limit(value).map(Capability::SaveLimit);
        }
        behind(b"RIGHTS=").map(|rights| Capability::Rights(Text::copy(rights)))
    }
}

/// A number without needless zeros, so that it is written again as it came.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.len() > 1 && digits[0] == b'0' {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

/// As it is written.
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.fixed_name() {
            return f.write_str(name);
        }
        match self {
            Capability::Auth(mechanism) => write!(f, "AUTH={mechanism}"),
            Capability::Thread(algorithm) => write!(f, "THREAD={algorithm}"),
            Capability::QuotaResource(resource) => write!(f, "QUOTA=RES-{resource}"),
            Capability::AppendLimit(Some(limit)) => write!(f, "APPENDLIMIT={limit}"),
            Capability::AppendLimit(None) => f.write_str("APPENDLIMIT"),
            Capability::MessageLimit(limit) => write!(f, "MESSAGELIMIT={limit}"),
            Capability::SaveLimit(limit) => write!(f, "SAVELIMIT={limit}"),
            Capability::Rights(rights) => write!(f, "RIGHTS={rights}"),
            Capability::Other(name) => name.fmt(f),
            // All others have a fixed name.
            _ => Ok(()),
        }
    }
}

/// The capabilities of a server, in the order in which they were told. To ask for one costs no search.
///
/// ```
/// use imap_proto::types::{Capabilities, Capability};
///
/// let capabilities = Capabilities::from_iter([Capability::Imap4Rev1, Capability::Idle, Capability::Auth("PLAIN".into())]);
/// assert!(capabilities.has(&Capability::Idle) && !capabilities.has(&Capability::Move));
/// assert!(capabilities.has(&Capability::Auth("PLAIN".into())));
/// assert_eq!(capabilities.to_string(), "IMAP4rev1 IDLE AUTH=PLAIN");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    fixed: u128,
    list: Vec<Capability>,
}

impl Capabilities {
    /// Adds a capability.
    pub fn insert(&mut self, capability: Capability) {
        if let Some(bit) = capability.bit() {
            if self.fixed & bit != 0 {
                return;
            }
            self.fixed |= bit;
        }
        self.list.push(capability);
    }

    /// Whether a capability is among them. One without a value is found without a search.
    pub fn has(&self, capability: &Capability) -> bool {
        match capability.bit() {
            Some(bit) => self.fixed & bit != 0,
            None => self.list.contains(capability),
        }
    }

    /// All, in the order in which they were told.
    pub fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.list.iter()
    }

    /// The SASL mechanisms, in capitals.
    pub fn mechanisms(&self) -> impl Iterator<Item = &Text> {
        self.list.iter().filter_map(|capability| match capability {
            Capability::Auth(mechanism) => Some(mechanism),
            _ => None,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<T: IntoIterator<Item = Capability>>(capabilities: T) -> Self {
        let mut set = Self::default();
        capabilities.into_iter().for_each(|capability| set.insert(capability));
        set
    }
}

/// As they are written.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, capability) in self.list.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            write!(f, "{space}{capability}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capabilities({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_letter_case_and_written_as_registered() {
        for (name, written) in [
            ("imap4REV1", "IMAP4rev1"),
            ("auth=scram-sha-1", "AUTH=SCRAM-SHA-1"),
            ("Thread=refs", "THREAD=REFS"),
            ("THREAD=X", "THREAD=X"),
            ("QUOTA=RES-STORAGE", "QUOTA=RES-STORAGE"),
            ("APPENDLIMIT", "APPENDLIMIT"),
            ("APPENDLIMIT=257890", "APPENDLIMIT=257890"),
            ("APPENDLIMIT=007", "APPENDLIMIT=007"),
            ("MESSAGELIMIT=0", "MESSAGELIMIT=0"),
            ("RIGHTS=texk", "RIGHTS=texk"),
            ("AUTH=", "AUTH="),
            ("xFoo", "xFoo"),
        ] {
            let capability = Capability::from_name(name.as_bytes()).unwrap();
            assert_eq!(capability.to_string(), written);
            assert_eq!(Capability::from_name(written.as_bytes()).unwrap(), capability);
        }
        assert_eq!(Capability::from_name(b"two words"), None);
    }

    #[test]
    fn each_known_name_is_its_own() {
        for (name, capability) in Capability::NAMES {
            assert_eq!(Capability::known(name.as_bytes()).as_ref(), Some(capability));
            assert_eq!(capability.to_string(), *name);
        }
        let all: Capabilities = Capability::NAMES.iter().map(|(_, capability)| capability.clone()).collect();
        assert_eq!(all.len(), Capability::NAMES.len());
        assert!(Capability::NAMES.iter().all(|(_, capability)| all.has(capability)));
        assert!(!Capabilities::default().has(&Capability::GmailExt1));
    }
}
