//! Names of Maildir++ folders, valid by construction.
//!
//! Maildir++ keeps all folders flat beside `cur`, `new` and `tmp`: the folder `Work/2024` is the directory `.Work.2024`.
//! A [`FolderName`] is a list of components that is certain to give such a directory and no other: no component is empty
//! or holds `/`, `.`, NUL or a control character, so no name can lead out of the Maildir. A dot inside a component would
//! make two folders share a directory, and is refused (Dovecot's default layout does the same) rather than escaped in a
//! way that other programs would not understand.

use std::fmt;
use std::str::FromStr;

use crate::mutf7::{self, Mutf7Error};

/// Longest directory name that file systems commonly take (`NAME_MAX`), in octets.
const MAX_DIRECTORY_NAME: usize = 255;

/// The name of a Maildir++ folder: one or more components, outermost first.
///
/// Its text form separates the components by `/`, which no component can hold:
///
/// ```
/// use maildrop::FolderName;
///
/// let name = FolderName::parse("Arbeit/Entwürfe")?;
/// assert_eq!(name.components().collect::<Vec<_>>(), ["Arbeit", "Entwürfe"]);
/// assert_eq!(name.directory_name(), ".Arbeit.Entw&APw-rfe");
/// assert!(FolderName::parse("../../etc").is_err());
/// # Ok::<(), maildrop::FolderNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderName {
    /// Components joined by `/`.
    text: String,
}

/// Why a name cannot be that of a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderNameError {
    /// No component, or one of no characters.
    #[error("expected a folder name of non-empty components, but found an empty one")]
    Empty,
    /// A component holds a character that cannot be part of a directory name or would change its meaning.
    #[error("expected a folder name without '.', '/' and control characters, but found {0:?}")]
    Forbidden(char),
    /// The directory name would be longer than file systems take.
    #[error("expected a folder name of at most 255 octets as a directory, but found {0}")]
    TooLong(usize),
    /// The directory name does not begin with a dot.
    #[error("expected a directory name that begins with '.', but found none")]
    NotAFolder,
    /// The directory name is not modified UTF-7.
    #[error("expected modified utf-7 in a directory name: {0}")]
    Encoding(#[from] Mutf7Error),
}

impl FolderName {
    /// Joins components, outermost first.
    ///
    /// # Errors
    /// [`FolderNameError`] if there is none, or one is empty or holds `/`, `.`, NUL or another control character, or the
    /// directory name would exceed 255 octets.
    pub fn new<C: AsRef<str>>(
        components: impl IntoIterator<Item = C>,
    ) -> Result<FolderName, FolderNameError> {
        let mut text = String::new();
        for (index, component) in components.into_iter().enumerate() {
            let component = component.as_ref();
            if component.is_empty() {
                return Err(FolderNameError::Empty);
            }
            if let Some(forbidden) = component.chars().find(|c| matches!(c, '/' | '.') || c.is_control()) {
                return Err(FolderNameError::Forbidden(forbidden));
            }
            if index > 0 {
                text.push('/');
            }
            text.push_str(component);
        }
        if text.is_empty() {
            return Err(FolderNameError::Empty);
        }
        let name = FolderName { text };
        match name.directory_name().len() {
            0..=MAX_DIRECTORY_NAME => Ok(name),
            long => Err(FolderNameError::TooLong(long)),
        }
    }

    /// Reads the text form, components separated by `/`.
    ///
    /// # Errors
    /// As [`FolderName::new`].
    pub fn parse(text: &str) -> Result<FolderName, FolderNameError> {
        FolderName::new(text.split('/'))
    }

    /// Reads the name of a Maildir++ directory, such as `.Work.2024`.
    ///
    /// # Errors
    /// [`FolderNameError`] if [`FolderName::directory_name`] would never answer this.
    pub fn from_directory_name(directory: &[u8]) -> Result<FolderName, FolderNameError> {
        let flat = directory.strip_prefix(b".").ok_or(FolderNameError::NotAFolder)?;
        let components =
            flat.split(|&byte| byte == b'.').map(mutf7::decode).collect::<Result<Vec<_>, _>>()?;
        FolderName::new(components)
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.split('/')
    }

    /// The folder that this one lies in; none for a top-level folder.
    pub fn parent(&self) -> Option<FolderName> {
        self.text.rsplit_once('/').map(|(parent, _)| FolderName { text: parent.to_owned() })
    }

    /// The directory inside the Maildir: each component in modified UTF-7 behind a dot.
    pub fn directory_name(&self) -> String {
        let mut directory = String::with_capacity(self.text.len() + 1);
        for component in self.components() {
            directory.push('.');
            directory.push_str(&mutf7::encode(component));
        }
        directory
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for FolderName {
    type Err = FolderNameError;

    fn from_str(text: &str) -> Result<FolderName, FolderNameError> {
        FolderName::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_would_leave_the_maildir_is_refused() {
        let table = [
            ("", FolderNameError::Empty),
            ("/", FolderNameError::Empty),
            ("/etc", FolderNameError::Empty),
            ("A//B", FolderNameError::Empty),
            ("A/", FolderNameError::Empty),
            (".", FolderNameError::Forbidden('.')),
            ("..", FolderNameError::Forbidden('.')),
            ("../x", FolderNameError::Forbidden('.')),
            ("A/../../x", FolderNameError::Forbidden('.')),
            ("A.B", FolderNameError::Forbidden('.')),
            ("A\0", FolderNameError::Forbidden('\0')),
            ("A\nB", FolderNameError::Forbidden('\n')),
            ("A\u{7f}", FolderNameError::Forbidden('\u{7f}')),
            ("A\u{85}", FolderNameError::Forbidden('\u{85}')),
        ];
        for (text, error) in table {
            assert_eq!(FolderName::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(FolderName::new(["A/B"]), Err(FolderNameError::Forbidden('/')));
        assert_eq!(FolderName::new([""; 0]), Err(FolderNameError::Empty));
    }

    #[test]
    fn the_limit_is_on_the_directory_name() {
        assert!(FolderName::parse(&"a".repeat(254)).is_ok());
        assert_eq!(FolderName::parse(&"a".repeat(255)), Err(FolderNameError::TooLong(256)));
        assert!(FolderName::parse(&"ü".repeat(130)).is_err());
    }

    #[test]
    fn directory_names_of_others_are_read_or_refused() {
        let read = |name: &[u8]| FolderName::from_directory_name(name).map(|name| name.to_string());
        assert_eq!(read(b".Sent"), Ok("Sent".into()));
        assert_eq!(read(b".A.B.&APw-"), Ok("A/B/ü".into()));
        assert_eq!(read(b"Sent"), Err(FolderNameError::NotAFolder));
        assert_eq!(read(b"."), Err(FolderNameError::Empty));
        assert_eq!(read(b".."), Err(FolderNameError::Empty));
        assert_eq!(read(b".A..B"), Err(FolderNameError::Empty));
        // An encoded slash, dot or control character decodes to what no component may hold.
        assert!(matches!(read(b".&AC8-"), Err(FolderNameError::Encoding(_))));
        assert_eq!(read(b".&AAo-"), Err(FolderNameError::Forbidden('\n')));
        assert!(matches!(read(b".Entw\xc3\xbcrfe"), Err(FolderNameError::Encoding(_))));
    }

    #[test]
    fn a_folder_knows_its_parent() {
        let name = FolderName::parse("A/B/C").unwrap();
        assert_eq!(name.parent(), Some(FolderName::parse("A/B").unwrap()));
        assert_eq!(FolderName::parse("A").unwrap().parent(), None);
    }

    proptest! {
        #[test]
        fn a_name_survives_as_a_directory(components in proptest::collection::vec("\\PC{1,12}", 1..4)) {
            if let Ok(name) = FolderName::new(&components) {
                let directory = name.directory_name();
                prop_assert!(directory.starts_with('.') && !directory.starts_with("..") && !directory.contains('/'));
                prop_assert_eq!(FolderName::from_directory_name(directory.as_bytes()), Ok(name.clone()));
                prop_assert!(name.components().eq(components.iter()));
            }
        }

        #[test]
        fn arbitrary_text_never_gives_a_directory_elsewhere(text in ".*") {
            if let Ok(name) = FolderName::parse(&text) {
                let directory = name.directory_name();
                prop_assert!(directory.len() > 1 && !directory.contains(['/', '\0']) && !directory.contains(".."));
            }
        }
    }
}
