//! Where in a configuration file something stands.

use core::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

/// A place in a configuration file. It is shown as `file:line:column`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl Place {
    /// Where a key is set in a file: `["filter", "run_as"]`. None if it is not, or the file cannot be read.
    pub fn of_key(path: &Path, key: &[&str]) -> Option<Self> {
        Self::find(&std::fs::read_to_string(path).ok()?, path, key)
    }

    fn find(text: &str, path: &Path, key: &[&str]) -> Option<Self> {
        let root = DeTable::parse(text).ok()?;
        let mut table = root.get_ref();
        let (last, tables) = key.split_last()?;
        for name in tables {
            table = match table.get(*name)?.get_ref() {
                DeValue::Table(table) => table,
                _ => return None,
            };
        }
        let (key, _) = table.get_key_value(*last)?;
        Some(Self::at(text, path, key.span().start))
    }

    /// The place of a byte of the text.
    pub(super) fn at(text: &str, path: &Path, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or_default();
        Self {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_however_they_are_written() {
        let text =
            "postmaster = \"x\"\n[filter]\n  run_as = \"root\"\n[users]\n\"a.b\" = \"p\"\n[tls]\nkey = 1\n";
        for (key, expected) in [
            (&["postmaster"][..], Some("p.toml:1:1")),
            (&["filter", "run_as"], Some("p.toml:3:3")),
            (&["filter"], Some("p.toml:2:2")),
            (&["users", "a.b"], Some("p.toml:5:1")),
            (&["filter", "programs"], None),
            (&["postmaster", "x"], None),
            (&["limits", "errors"], None),
            (&[], None),
        ] {
            let found = Place::find(text, Path::new("p.toml"), key).map(|place| place.to_string());
            assert_eq!(found.as_deref(), expected, "{key:?}");
        }
        let found = Place::find("filter.run_as = \"x\"\n", Path::new("p"), &["filter", "run_as"]);
        assert_eq!(found.unwrap().to_string(), "p:1:8");
        assert_eq!(Place::find("[", Path::new("p"), &["x"]), None);
        assert_eq!(Place::of_key(Path::new("/nowhere"), &["x"]), None);
    }
}
