//! The check of rc files, and their layout.

use procmail_engine::check::{Colours, check as diagnostics, fix, render};
use procmail_engine::format::{format, same_meaning};
use procmail_engine::syntax::Rc;

/// What is found lies in the file and can be shown; layout keeps the meaning, and done twice is done once.
pub fn check(data: &[u8]) {
    let rc = Rc::parse(data.to_vec());
    let found = diagnostics(&rc);
    assert!(found.is_sorted_by_key(|diagnostic| diagnostic.span.start));
    for diagnostic in &found {
        let related = diagnostic.related.iter().map(|related| related.span);
        let edits =
            diagnostic.suggestion.iter().flat_map(|suggestion| &suggestion.edits).map(|edit| edit.span);
        for span in related.chain(edits).chain([diagnostic.span]) {
            assert!(span.start <= span.end && span.end <= data.len(), "{diagnostic:?}");
        }
        let place = diagnostic.place;
        assert_eq!((place.line, place.column), rc.position(diagnostic.span.start));
    }
    assert!(
        !render(&rc, "rc", &found, Colours::Never).contains('\x1b'),
        "the file cannot command the terminal"
    );
    laid_out(&rc);
    laid_out(&Rc::parse(fix(&rc, &found)));
}

fn laid_out(rc: &Rc) {
    let once = Rc::parse(format(rc.source()));
    assert!(same_meaning(rc, &once));
    assert_eq!(format(once.source()), once.source());
}
