//! Compiled expressions, kept for the next mail.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Case, Regex};

/// Expressions of one case after which all are forgotten.
const MAX_EXPRESSIONS: usize = 4096;

/// Those that do not fold the case of letters, and those that do.
type Known = [HashMap<Box<[u8]>, Arc<Regex>>; 2];

/// Expressions by their text. Clones share them, over threads too.
#[derive(Clone, Default)]
pub struct Library(Arc<Mutex<Known>>);

impl Library {
    /// The compiled form of an expression, compiled if it is not known yet.
    pub fn regex(&self, pattern: &[u8], case: Case) -> Arc<Regex> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut known[usize::from(case == Case::Fold)];
        if let Some(regex) = known.get(pattern) {
            return regex.clone();
        }
        if known.len() >= MAX_EXPRESSIONS {
            known.clear();
        }
        let regex = Arc::new(Regex::new(pattern, case));
        known.insert(pattern.into(), regex.clone());
        regex
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_expression_is_compiled_once_for_each_case() {
        let library = Library::default();
        let first = library.regex(b"a+", Case::Fold);
        assert!(Arc::ptr_eq(&first, &library.clone().regex(b"a+", Case::Fold)));
        assert!(!Arc::ptr_eq(&first, &library.regex(b"a+", Case::Exact)));
    }
}
