//! Comments that say that something is meant as it is.

use super::diagnostic::Diagnostic;
use crate::syntax::{Item, Rc, Span};

/// How many such comments may stand before the same item.
const STACKED: usize = 8;

/// What is allowed where.
#[derive(Debug)]
pub(super) struct Allowed {
    /// The bytes in which some codes are allowed, sorted by their start.
    ranges: Vec<(Span, Vec<String>)>,
}

impl Allowed {
    pub(super) fn of(rc: &Rc) -> Self {
        let mut ranges = Vec::new();
        let mut waiting: Vec<(usize, Vec<String>)> = Vec::new();
        for item in rc.items() {
            let span = match item {
                Item::Comment(comment) => {
                    waiting.extend(codes(rc.text(*comment)).map(|codes| (comment.start, codes)));
                    continue;
                }
                Item::Recipe(recipe) => {
                    let inner = recipe.comments.iter().filter_map(|comment| codes(rc.text(*comment)));
                    ranges.extend(inner.map(|codes| (recipe.span, codes)));
                    recipe.span
                }
                Item::Assignment(assignment) => assignment.span,
                Item::Removal { span, .. }
                | Item::Close(span)
                | Item::UnexpectedClose(span)
                | Item::MissingClose(span)
                | Item::Skipped(span) => *span,
            };
            ranges.extend(waiting.drain(..).map(|(start, codes)| (Span { start, end: span.end }, codes)));
        }
        ranges.sort_by_key(|(span, _)| span.start);
        Self { ranges }
    }

    pub(super) fn has(&self, diagnostic: &Diagnostic) -> bool {
        let at = diagnostic.span.start;
        let before = self.ranges.partition_point(|(span, _)| span.start <= at);
        self.ranges[..before]
            .iter()
            .rev()
            .take(STACKED)
            .any(|(span, codes)| at < span.end && codes.iter().any(|code| code == diagnostic.code.name()))
    }
}

/// What a comment allows.
fn codes(comment: &[u8]) -> Option<Vec<String>> {
    let text = comment.trim_ascii_start().strip_prefix(b"#")?.trim_ascii_start();
    let names = text.strip_prefix(b"check: allow ")?;
    let names = String::from_utf8_lossy(names);
    Some(names.split([',', ' ', '\t']).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}
