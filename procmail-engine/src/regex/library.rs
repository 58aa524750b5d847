//! Compiled expressions, kept for the next mail.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Case, Regex};

/// Expressions of one case after which half of them are forgotten.
const MAX_EXPRESSIONS: usize = 4096;
/// Bytes of all expressions after which half of them are forgotten. What searches have learnt may come on top, up to as much.
const MAX_BYTES: usize = 1 << 25;

/// Those that do not fold the case of letters, and those that do.
#[derive(Default)]
struct Known {
    expressions: [HashMap<Box<[u8]>, Arc<Regex>>; 2],
    bytes: Arc<AtomicUsize>,
}

/// Expressions by their text. Clones share them, over threads too.
#[derive(Clone, Default)]
pub struct Library(Arc<Mutex<Known>>);

impl Library {
    /// The compiled form of an expression, compiled if it is not known yet.
    pub fn regex(&self, pattern: &[u8], case: Case) -> Arc<Regex> {
        let which = usize::from(case == Case::Fold);
        let total = {
            let known = self.lock();
            if let Some(regex) = known.expressions[which].get(pattern) {
                return regex.clone();
            }
            known.bytes.clone()
        };
        // Others need not wait for a long expression.
        let regex = Arc::new(Regex::counted(pattern, case, total));
        let mut known = self.lock();
        let full = known.expressions[which].len() >= MAX_EXPRESSIONS;
        if full || known.bytes.load(Ordering::Relaxed) > MAX_BYTES {
            for expressions in &mut known.expressions {
                let mut keep = false;
                expressions.retain(|_, _| {
                    keep = !keep;
                    keep
                });
            }
        }
        known.expressions[which].entry(pattern.into()).or_insert(regex).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn long_expressions_do_not_add_up_without_end() {
        let library = Library::default();
        for number in 0..100 {
            let regex = library.regex(format!("{}{number}", "a".repeat(20_000)).as_bytes(), Case::Fold);
            assert!(!regex.is_match(b"aaaa"));
        }
        let bytes = library.lock().bytes.load(Ordering::Relaxed);
        assert!((1 << 20..1 << 26).contains(&bytes), "{bytes} bytes");
        assert!(library.lock().expressions[1].len() > 1, "some are kept");
        drop(library.regex(b"b", Case::Fold));
        let total = library.lock().bytes.clone();
        drop(library);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
