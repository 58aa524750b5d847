//! What procmail cannot read.

use super::Checker;
use super::code::Code;
use crate::syntax::{Item, Span};

impl Checker<'_> {
    pub(super) fn skipped(&mut self, number: usize, span: Span) {
        let source = self.report.source;
        let items = self.rc.items();
        if !self.tells_of_line(span.start) {
            return;
        }
        let value = match number.checked_sub(1).map(|before| &items[before]) {
            Some(Item::Assignment(before)) if !source[before.span.end..span.start].contains(&b'\n') => {
                Some(self.rc.text(before.value.span))
            }
            _ => None,
        };
        let end = match items.get(number + 1) {
            Some(Item::Skipped(next)) if next.start == span.end => next.end,
            _ => span.end,
        };
        let text = source[span.start..end].trim_ascii_end();
        let span = Span { start: span.start, end: span.start + text.len() };
        let after_recipe = number.checked_sub(1).is_some_and(|before| {
            matches!(&items[before], Item::Recipe(recipe)
                if memchr::memchr_iter(b'\n', &source[recipe.span.end..span.start]).count() <= 1)
        });
        let line = self.report.lines.start(self.report.lines.line(span.start));
        let starts_line = source[line..span.start].trim_ascii().is_empty();
        let quote = self.report.quote(span);
        let message = format!("skipped: procmail cannot read `{quote}`");
        let entry = self.report.add(Code::SkippedText, span, message);
        match text {
            _ if value.is_some_and(|value| value.starts_with(b"$(") || value.starts_with(b"\"$(")) => {
                entry.help("there is no `$(…)`: put the command between backquotes")
            }
            _ if value.is_some() => entry.help("the value ends at the blank: quote it if this belongs to it"),
            [b'*', ..] => entry.help(
                "a condition belongs below the first line of a recipe, before its action; the action before this ended the recipe",
            ),
            [b'{', ..] => entry.help("a block is the action of a recipe: it needs a line such as `:0` before it"),
            [b'|' | b'!', ..] if after_recipe => {
                entry.help("a recipe has one action; for several, put recipes with the `c` flag into a block")
            }
            [b'|' | b'!', ..] => entry.help("an action needs a recipe: put `:0` before it"),
            [b'$', name @ ..] if assigns(name) => {
                entry.fix("variables are set without the `$`", Span { start: span.start, end: span.start + 1 }, "")
            }
            [b'\\'] => entry.help("only conditions, commands and quoted text can be continued on the next line"),
            [b'/', b'/' | b'*', ..] | [b';' | b'%' | b'"', ..] | [b'-', b'-', ..] if starts_line => entry.try_edit(
                "comments start with `#`",
                Span { start: span.start, end: span.start },
                "# ",
            ),
            [b'/' | b'~' | b'.', ..] if after_recipe => {
                entry.help("a recipe has one action; for several folders, use recipes with the `c` flag")
            }
            text if text.contains(&b'=') && text[0].is_ascii_alphabetic() => {
                entry.help("names of variables consist of letters, digits and underscores")
            }
            _ => entry.help("a line is an assignment, a comment, the start of a recipe or a closing brace"),
        };
    }
}

/// Whether the text is an assignment.
fn assigns(text: &[u8]) -> bool {
    let name = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    name > 0 && text[name..].trim_ascii_start().starts_with(b"=")
}
