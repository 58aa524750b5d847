//! The parser of rc files: nothing is lost, and everything stands where it says.

use procmail_engine::syntax::{Action, Item, Rc, Span};

/// Spans in the order of the file and inside it, comments that are comments, blocks that end behind where they start.
pub fn check(data: &[u8]) {
    let rc = Rc::parse(data.to_vec());
    assert_eq!(rc.source(), data);
    let mut end = 0;
    for (number, item) in rc.items().iter().enumerate() {
        let span = span(item);
        assert!(
            end <= span.start && span.start <= span.end && span.end <= data.len(),
            "{item:?} after {end}"
        );
        end = span.end;
        match item {
            Item::Comment(span) => comment(&rc, *span),
            Item::Assignment(assignment) => assert!(data[span.start..].starts_with(&assignment.name)),
            Item::Removal { name, .. } => assert_eq!(rc.text(span), name),
            Item::Close(_) | Item::UnexpectedClose(_) => assert_eq!(rc.text(span), b"}"),
            Item::Recipe(recipe) => {
                assert_eq!(data[span.start], b':');
                let mut inner = span.start;
                for condition in &recipe.conditions {
                    assert!(inner <= condition.span.start && condition.span.end <= span.end);
                    inner = condition.span.end;
                }
                for span in &recipe.comments {
                    comment(&rc, *span);
                }
                if let Action::Block { close } = recipe.action {
                    assert!(number < close, "a block ends behind where it starts");
                    assert!(matches!(rc.items().get(close), Some(Item::Close(_) | Item::MissingClose(_))));
                }
            }
            _ => {}
        }
        let (line, column) = rc.position(span.start);
        assert!(line >= 1 && column >= 1);
    }
}

fn comment(rc: &Rc, span: Span) {
    let text = rc.text(span);
    assert!(text.starts_with(b"#") && !text.contains(&b'\n'));
}

fn span(item: &Item) -> Span {
    match item {
        Item::Comment(span)
        | Item::Close(span)
        | Item::UnexpectedClose(span)
        | Item::MissingClose(span)
        | Item::Skipped(span)
        | Item::Removal { span, .. } => *span,
        Item::Assignment(assignment) => assignment.span,
        Item::Recipe(recipe) => recipe.span,
    }
}
