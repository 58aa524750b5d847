//! What is left out of a script, and what is said of it.

use super::chain::{Chain, Truth};
use super::recipes::Converter;
use super::script::Command;
use super::values::Binding;
use super::{Note, NoteKind, Reason};
use crate::eval::Head;
use crate::shown::shown;
use crate::syntax::{Action, Item, Recipe, Span};

/// How much of a line is quoted.
pub(super) const WIDEST: usize = 400;

impl Converter<'_> {
    pub(super) fn note(&mut self, span: Span, kind: NoteKind, reason: Reason) {
        let line = self.line(span.start);
        let start = self.lines.get(line.wrapping_sub(1)).copied().unwrap_or(0);
        self.notes.push(Note { line, column: span.start - start + 1, kind, reason });
    }

    /// Leaves something out of the script: notes why, and writes it as a comment.
    pub(super) fn left_out(
        &mut self,
        span: Span,
        reason: Reason,
        delivers: bool,
        warning: Option<&str>,
        out: &mut Vec<Command>,
    ) {
        let text = format!("NOT CONVERTED, line {}: {reason}", self.line(span.start));
        out.push(Command::Comment(text));
        self.quote(span, out);
        let warning = warning.or(delivers
            .then_some("procmail may deliver mail here, which goes on to what follows in this script"));
        if let Some(warning) = warning {
            out.push(Command::Comment(format!("ATTENTION: {warning}.")));
        }
        out.push(Command::Gap);
        self.note(span, NoteKind::NotConverted { delivers }, reason);
    }

    /// The source as a comment.
    fn quote(&mut self, span: Span, out: &mut Vec<Command>) {
        let source = self.rc.text(span);
        if source.is_empty() {
            return;
        }
        for line in source.split(|&byte| byte == b'\n') {
            self.written += line.len();
            out.push(Command::Comment(format!("  {}", shown(&untabbed(line), WIDEST)).trim_end().to_owned()));
        }
    }

    /// Leaves a recipe out of the script.
    pub(super) fn give_up(
        &mut self,
        recipe: &Recipe,
        whole: Span,
        next: usize,
        (span, reason): (Span, Reason),
        out: &mut Vec<Command>,
    ) {
        let delivers = self.may_deliver(recipe, next);
        self.left_out(whole, reason.clone(), delivers, None, out);
        if span.start != whole.start
            && let Some(note) = self.notes.last_mut()
        {
            let line = self.lines.partition_point(|&start| start <= span.start);
            let start = self.lines.get(line.wrapping_sub(1)).copied().unwrap_or(0);
            (note.line, note.column) = (line, span.start - start + 1);
        }
        let line = self.line(whole.start);
        let head = recipe.head.literal().map(|head| Head::parse(&[head])).unwrap_or_default();
        let chained = head.also || head.also_if_succeeded;
        self.chain = Chain {
            last: if chained { self.chain.last } else { Truth::Unknown(line) },
            previous: Truth::Unknown(line),
            succeeded: Truth::Unknown(line),
            elsif: false,
            nest: false,
            nest_succeeded: false,
        };
        // What it may set is not known any more.
        let mut names: Vec<Vec<u8>> = vec![b"LASTFOLDER".to_vec()];
        let items: &[Item] = match recipe.action {
            Action::Block { close } => {
                self.rc.items().get(next..close.min(self.rc.items().len())).unwrap_or_default()
            }
            _ => &[],
        };
        names.extend(captured(&recipe.action));
        for item in items {
            match item {
                Item::Assignment(assignment) => names.push(assignment.name.clone()),
                Item::Removal { name, .. } => names.push(name.clone()),
                Item::Recipe(recipe) => names.extend(captured(&recipe.action)),
                _ => {}
            }
        }
        for name in names {
            self.variables.set(&name, Binding::Unknown);
        }
    }

    fn may_deliver(&self, recipe: &Recipe, next: usize) -> bool {
        match &recipe.action {
            Action::Block { close } => self
                .rc
                .items()
                .iter()
                .take((*close).min(self.rc.items().len()))
                .skip(next)
                .any(|item| matches!(item, Item::Recipe(recipe) if delivers(recipe))),
            _ => delivers(recipe),
        }
    }
}

/// Whether a recipe delivers for good, as far as its flags say.
fn delivers(recipe: &Recipe) -> bool {
    let head = recipe.head.literal().map(|head| Head::parse(&[head])).unwrap_or_default();
    match &recipe.action {
        Action::Folders(_) => !head.copies,
        Action::Forward { capture, .. } | Action::Pipe { capture, .. } => {
            capture.is_none() && !head.copies && !head.filters
        }
        Action::Block { .. } | Action::Missing | Action::Incomplete => false,
    }
}

pub(super) fn captured(action: &Action) -> Option<Vec<u8>> {
    match action {
        Action::Pipe { capture: Some(capture), .. } | Action::Forward { capture: Some(capture), .. } => {
            Some(capture.variable().to_vec())
        }
        _ => None,
    }
}

pub(super) fn untabbed(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    for &byte in line {
        if byte == b'\t' {
            out.push(b' ');
        } else {
            out.push(byte);
        }
    }
    out
}
