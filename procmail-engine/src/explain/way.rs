//! The way of a mail through the rc files, as it is seen so far.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::event::{Assumption, Entry, Event, Place};
use crate::eval::{Opened, Trace};
use crate::syntax::{Rc, Span};

#[derive(Debug)]
pub(super) struct Limits {
    pub(super) entries: usize,
    pub(super) bytes: usize,
    pub(super) copies: usize,
    pub(super) answers: usize,
}

/// What has been seen of the way so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    pub(super) entries: Vec<Entry>,
    pub(super) files: Vec<File>,
    /// Whether the recipe at hand works on a copy.
    pub(super) copies: bool,
    pub(super) assumptions: BTreeSet<Assumption>,
    pub(super) cut_off: bool,
}

/// An rc file on the way.
#[derive(Debug, Clone)]
pub(super) struct File {
    path: Arc<[u8]>,
    rc: Arc<Rc>,
    lines: Arc<[usize]>,
    blocks: usize,
    /// Where what is being done stands.
    at: usize,
    /// Where the action of the recipe at hand stands.
    action: usize,
}

impl File {
    fn place(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|&start| start <= offset);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(0);
        Place { file: self.path.clone(), line, column: offset - start + 1 }
    }
}

impl Way {
    pub(super) fn trace(&mut self, trace: Trace, limits: &mut Limits) {
        match trace {
            Trace::Opened { path, rc, how } => {
                if how == Opened::Switched {
                    self.files.pop();
                }
                let starts = memchr::memchr_iter(b'\n', rc.source()).map(|at| at + 1);
                let file = File {
                    path: path.as_slice().into(),
                    lines: std::iter::once(0).chain(starts).collect(),
                    rc,
                    blocks: 0,
                    at: 0,
                    action: 0,
                };
                self.add(Event::Opened { path, how }, limits);
                self.files.push(file);
            }
            Trace::Closed => {
                self.copies = false;
                self.files.pop();
            }
            Trace::Assignment(span) => self.reach(span),
            Trace::Variable { name, value } => self.add(Event::Variable { name, value }, limits),
            Trace::Recipe(reached) => {
                self.reach(reached.span);
                self.copies = reached.copies;
                if let Some(file) = self.files.last_mut() {
                    file.action = reached.action.start;
                }
                self.add(Event::Recipe(reached), limits);
            }
            Trace::Condition(tested) => {
                let text = self.files.last().map_or(&b""[..], |file| file.rc.text(tested.span));
                let text = text.strip_prefix(b"*").unwrap_or(text);
                let text = joined(text.trim_ascii_start());
                let start = tested.span.start;
                self.add_at(start, Event::Condition { text, tested }, limits);
                self.settle_condition();
            }
            Trace::Decided { matches, score } => {
                self.add(Event::Decided { matches, score }, limits);
                if let Some(file) = self.files.last_mut() {
                    file.at = file.action;
                }
            }
            Trace::BlockEntered => {
                self.copies = false;
                self.add(Event::BlockEntered, limits);
                if let Some(file) = self.files.last_mut() {
                    file.blocks += 1;
                }
            }
            Trace::BlockSkipped => self.add(Event::BlockSkipped, limits),
            Trace::BlockLeft(span) => {
                self.reach(span);
                if let Some(file) = self.files.last_mut() {
                    file.blocks = file.blocks.saturating_sub(1);
                }
                self.add(Event::BlockLeft, limits);
            }
        }
    }

    /// Has what a condition did stand at its place, and what it gave to `MATCH` behind it. The condition is the last entry.
    fn settle_condition(&mut self) {
        let Some((condition, before)) = self.entries.split_last() else { return };
        let place = condition.place.clone();
        let of_recipe = |entry: &Entry| matches!(entry.event, Event::Condition { .. } | Event::Recipe(_));
        let start = before.iter().rposition(of_recipe).map_or(before.len(), |at| at + 1);
        let of_match =
            |entry: &Entry| matches!(&entry.event, Event::Variable { name, .. } if name == b"MATCH");
        let matches = before[start..].iter().rev().take_while(|entry| of_match(entry)).count();
        let first_match = before.len() - matches;
        self.entries[first_match..].rotate_right(1);
        for entry in &mut self.entries[start..] {
            entry.place.clone_from(&place);
        }
    }

    fn reach(&mut self, span: Span) {
        self.copies = false;
        if let Some(file) = self.files.last_mut() {
            file.at = span.start;
        }
    }

    pub(super) fn add(&mut self, event: Event, limits: &mut Limits) {
        match self.files.last().map(|file| file.at) {
            Some(start) => self.add_at(start, event, limits),
            None => self.push(None, event, limits),
        }
    }

    fn add_at(&mut self, start: usize, event: Event, limits: &mut Limits) {
        let place = self.files.last().map(|file| file.place(start));
        self.push(place, event, limits);
    }

    fn push(&mut self, place: Option<Place>, event: Event, limits: &mut Limits) {
        let size = event.size();
        if limits.entries == 0 || limits.bytes < size {
            self.cut_off = true;
            return;
        }
        limits.entries -= 1;
        limits.bytes -= size;
        let blocks: usize = self.files.iter().map(|file| file.blocks).sum();
        let depth = blocks + self.files.len().saturating_sub(1);
        self.entries.push(Entry { place, depth, event });
    }
}

/// Continued lines as one, as conditions read them.
fn joined(text: &[u8]) -> Vec<u8> {
    let mut lines = text.split(|&byte| byte == b'\n');
    let mut out = lines.next().unwrap_or_default().to_vec();
    for line in lines {
        if out.last() == Some(&b'\\') {
            out.pop();
        }
        out.extend_from_slice(line.trim_ascii_start());
    }
    out
}
