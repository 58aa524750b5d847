//! Compiled expressions, kept for the next mail.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Case, Expanded, Regex, expand_macros};
use crate::syntax::joined;

/// How long an expression can be when its abbreviations are written out.
const MAX_PATTERN: usize = 1 << 20;

/// Expressions of one case after which half of them are forgotten.
const MAX_EXPRESSIONS: usize = 4096;
/// Bytes of all expressions after which half of them are forgotten. What searches have learnt may come on top, up to as much.
const MAX_BYTES: usize = 1 << 25;

/// The expression of a condition.
pub(crate) struct Expression {
    /// As it is told in the log: on one line, the abbreviations written out.
    pub(crate) text: Vec<u8>,
    pub(crate) regex: Regex,
}

/// Those of conditions that do not fold the case of letters, and of those that do, by the text of the condition.
#[derive(Default)]
struct Known {
    expressions: [HashMap<Box<[u8]>, Arc<Expression>>; 2],
    bytes: Arc<AtomicUsize>,
}

/// Expressions of conditions, compiled. Clones share them, over threads too.
#[derive(Clone, Default)]
pub struct Library(Arc<Mutex<Known>>);

impl Library {
    /// The expression of a condition, compiled if it is not known yet. Nothing if it is too long.
    pub(crate) fn expression(&self, condition: &[u8], case: Case) -> Option<Arc<Expression>> {
        let which = usize::from(case == Case::Fold);
        let total = {
            let known = self.lock();
            if let Some(expression) = known.expressions[which].get(condition) {
                return Some(expression.clone());
            }
            known.bytes.clone()
        };
        // Others need not wait for a long expression.
        let joined = without_continuations(condition);
        let Expanded { pattern, folds } = expand_macros(&joined);
        if pattern.len() > MAX_PATTERN {
            return None;
        }
        // A leading backslash quotes what would otherwise be special to conditions.
        let unquoted = pattern.strip_prefix(b"\\").unwrap_or(&pattern);
        let regex = Regex::counted(unquoted, if folds { Case::Fold } else { case }, total, pattern.len());
        let expression = Arc::new(Expression { regex, text: pattern.into_owned() });
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
        Some(known.expressions[which].entry(condition.into()).or_insert(expression).clone())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An expression whose lines are joined. A backslash right at its start quotes the newline behind it as well.
fn without_continuations(text: &[u8]) -> Cow<'_, [u8]> {
    match text {
        [b'\\', rest @ ..] if rest.starts_with(b"\n") => Cow::Owned([b"\\", &*joined(rest)].concat()),
        _ => joined(text),
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
        let a = |library: &Library, case| library.expression(b"a+", case).expect("it is short");
        let first = a(&library, Case::Fold);
        assert!(Arc::ptr_eq(&first, &a(&library.clone(), Case::Fold)));
        assert!(!Arc::ptr_eq(&first, &a(&library, Case::Exact)));
    }

    #[test]
    fn a_condition_is_told_on_one_line_with_its_abbreviations_written_out() {
        let library = Library::default();
        let expression = library.expression(b"\\ab\\\n\t c^TO_x", Case::Exact).expect("it is short");
        assert!(expression.text.starts_with(b"\\abc(^((Original-)?"));
        assert!(expression.regex.is_match(b"abc\nTo: x"));
        assert!(!expression.regex.is_match(b"ABC\nTo: x"));
        let newline = library.expression(b"\\\n  b", Case::Exact).expect("it is short");
        assert_eq!(newline.text, b"\\\nb");
        assert!(newline.regex.is_match(b"a\nb") && !newline.regex.is_match(b"ab"));
        let daemon = library.expression(b"^FROM_DAEMON", Case::Exact).expect("it is short");
        assert!(daemon.regex.is_match(b"FROM: daemon\n"));
        assert!(library.expression(&vec![b'a'; MAX_PATTERN + 1], Case::Fold).is_none());
    }

    #[test]
    fn long_expressions_do_not_add_up_without_end() {
        let library = Library::default();
        for number in 0..100 {
            let text = format!("{}{number}", "a".repeat(20_000));
            let expression = library.expression(text.as_bytes(), Case::Fold).expect("it is short");
            assert!(!expression.regex.is_match(b"aaaa"));
        }
        let bytes = library.lock().bytes.load(Ordering::Relaxed);
        assert!((1 << 20..1 << 26).contains(&bytes), "{bytes} bytes");
        assert!(library.lock().expressions[1].len() > 1, "some are kept");
        drop(library.expression(b"b", Case::Fold));
        let total = library.lock().bytes.clone();
        drop(library);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
