//! What is read without being evaluated: blocks and actions of recipes that do not match.
//!
//! Procmail reads them as it reads all else, only that variables have no values and no program runs. So it tells of what is
//! wrong in them, too.

use std::sync::Arc;

use super::Evaluator;
use super::action::length_of;
use super::head::Head;
use crate::syntax::{Action, Condition, Item, Mode, Part, Rc, Text};

/// A name at the start of an action leaves so much of a line to what may follow.
const BEHIND_NAME: usize = 5;

impl Evaluator {
    /// Goes behind the item that closes a block, whose first item is `from`.
    pub(super) fn skip_block(&mut self, from: usize, close: usize) {
        let Some(file) = self.files.last_mut() else { return };
        let rc = file.rc.clone();
        let Some(Item::Recipe(recipe)) = rc.items().get(from.wrapping_sub(1)) else { return };
        // The end of the file is met as an item.
        let (end, next) = match rc.items().get(close) {
            Some(Item::Close(span)) => (span.end, close.saturating_add(1)),
            _ => (rc.source().len(), close),
        };
        file.at = next;
        let Some((items, skipped_end)) = rc.skipped_block(recipe.span.end) else {
            self.skip_items(&rc, rc.items().get(from..close).unwrap_or_default());
            return;
        };
        if skipped_end != end {
            file.rc = Arc::new(rc.from(skipped_end, file.blocks.len()));
            file.at = 0;
        }
        self.skip_items(&rc, &items);
    }

    fn skip_items(&mut self, rc: &Rc, items: &[Item]) {
        for item in items {
            match item {
                Item::Skipped(span) => self.complain_of("Skipped", rc.text(*span)),
                Item::Assignment(assignment) => {
                    self.skip_text(&assignment.value, Mode::Value, assignment.name.len() + 1);
                }
                Item::Removal { name, .. } if name.len() + 1 >= self.numbers.line_buffer => {
                    self.overflow();
                    self.leave_files();
                    return;
                }
                Item::Recipe(recipe) => {
                    let Some(words) = self.expand_skipped(&recipe.head, Mode::Words, 0) else {
                        self.leave_files();
                        return;
                    };
                    let head = Head::parse(&words);
                    self.complain_of_head(&head);
                    self.skip_conditions(&recipe.conditions);
                    self.complain_of_extras(&head, &recipe.action);
                    self.skip_action(rc, &recipe.action);
                }
                _ => {}
            }
        }
    }

    /// Reads conditions that are not tested.
    pub(super) fn skip_conditions(&mut self, conditions: &[Condition]) {
        for condition in conditions {
            if condition.written().len() >= self.numbers.line_buffer {
                self.overflow();
            }
        }
    }

    /// Reads an action that is not performed.
    pub(super) fn skip_action(&mut self, rc: &Rc, action: &Action) {
        if self.is_too_long(rc, action) {
            self.overflow();
            return;
        }
        match action {
            Action::Missing => self.complain("Missing action"),
            Action::Incomplete => self.complain("Incomplete recipe"),
            Action::Folders(folders) => self.skip_text(folders, Mode::Words, 0),
            Action::Forward { arguments, .. } => {
                let used = length_of(&self.mailer());
                self.skip_text(arguments, Mode::Words, used);
            }
            Action::Block { .. } | Action::Pipe { .. } => {}
        }
    }

    /// Whether an action does not fit into `LINEBUF`, whatever variables hold.
    pub(super) fn is_too_long(&self, rc: &Rc, action: &Action) -> bool {
        let limit = self.numbers.line_buffer;
        let name = match action {
            Action::Folders(folders) if folders.span.end - folders.span.start + BEHIND_NAME < limit => 0,
            Action::Folders(folders) => leading_name(rc.text(folders.span)),
            Action::Pipe { capture, command, .. } if command.len() < limit => {
                capture.as_ref().map_or(0, |capture| capture.name.len())
            }
            Action::Pipe { .. } => return true,
            Action::Forward { capture, .. } => capture.as_ref().map_or(0, |capture| capture.name.len()),
            Action::Block { .. } | Action::Missing | Action::Incomplete => 0,
        };
        name + BEHIND_NAME >= limit
    }

    fn skip_text(&mut self, text: &Text, mode: Mode, used: usize) {
        let wrong = |part: &Part| matches!(part, Part::BadSubstitution(_) | Part::UnexpectedEnd);
        let fits = used + text.span.end - text.span.start <= self.numbers.line_buffer;
        if !fits || text.parts.iter().any(wrong) {
            self.expand_skipped(text, mode, used);
        }
    }
}

/// How long the name is with which a text starts that could become `NAME=|`.
fn leading_name(text: &[u8]) -> usize {
    if text.first().is_some_and(u8::is_ascii_digit) {
        return 0;
    }
    text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
}
