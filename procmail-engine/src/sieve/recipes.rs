//! The way through an rc file: recipes, blocks, and the flags that chain them.

use std::collections::BTreeSet;

use super::chain::{Chain, Truth};
use super::conditions::condition;
use super::fields::length as test_length;
use super::left_out::{WIDEST, untabbed};
use super::script::{Command, Test, Value, ends};
use super::values::{Binding, Variables};
use super::{Note, NoteKind, Options, Reason};
use crate::eval::Head;
use crate::shown::shown;
use crate::syntax::{Action, Item, Mode, Rc, Recipe, Span};

/// How deep blocks may nest: every implementation has at least so many levels (RFC 5228 §2.10.5), and a recipe needs two.
const DEEPEST: usize = 12;
/// How long a script may become; what comes then is left out, and told.
const LONGEST: usize = 1 << 20;
/// How long the tests of a recipe may be.
const MOST_OF_TESTS: usize = 1 << 16;

pub(super) struct Converter<'a> {
    pub(super) rc: &'a Rc,
    pub(super) options: &'a Options,
    pub(super) lines: Vec<usize>,
    pub(super) notes: Vec<Note>,
    pub(super) variables: Variables,
    pub(super) root: Option<Value>,
    pub(super) chain: Chain,
    /// Within the block of a copy: the flag that says that the copy is delivered.
    pub(super) copying: Option<usize>,
    /// Whether that flag is set already.
    done: Done,
    pub(super) flags: usize,
    pub(super) included: BTreeSet<Vec<u8>>,
    /// Where copies go.
    pub(super) copies: BTreeSet<Value>,
    pub(super) depth: usize,
    pub(super) written: usize,
}

/// Whether a copy is delivered at some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    No,
    Maybe,
    Surely,
}

/// What an action becomes.
pub(super) struct Body {
    pub(super) commands: Vec<Command>,
    /// Whether it delivers the mail for good.
    pub(super) delivers: bool,
    /// What may be different, if it is not whether it succeeds.
    pub(super) inexact: Vec<Reason>,
    /// Whether it succeeds, if that is known later.
    pub(super) succeeded: Truth,
}

impl Body {
    pub(super) fn of(commands: Vec<Command>) -> Self {
        Self { commands, delivers: false, inexact: Vec::new(), succeeded: Truth::Yes }
    }
}

impl<'a> Converter<'a> {
    pub(super) fn new(rc: &'a Rc, options: &'a Options) -> Self {
        let starts = memchr::memchr_iter(b'\n', rc.source()).map(|at| at + 1);
        let mut variables = Variables::default();
        for (name, value) in &options.variables {
            variables.set(name, Binding::Known(Value::text(value.clone())));
        }
        Self {
            rc,
            options,
            lines: std::iter::once(0).chain(starts).collect(),
            notes: Vec::new(),
            root: match variables.get(b"MAILDIR") {
                Binding::Known(value) => Some(value),
                _ => None,
            },
            variables,
            chain: Chain::at_start(Truth::No),
            copying: None,
            done: Done::No,
            flags: 0,
            included: BTreeSet::new(),
            copies: BTreeSet::new(),
            depth: 0,
            written: 0,
        }
    }

    pub(super) fn script(&mut self) -> Vec<Command> {
        let mut commands: Vec<Command> = Vec::new();
        for (name, value) in &self.options.variables {
            let value = Value::text(value.clone());
            if value.is_writable() {
                commands.push(Command::Set { name: name.clone(), value });
            }
        }
        commands.extend(self.sequence(0, self.rc.items().len()));
        if !ends(&commands) {
            self.fall_back(&mut commands);
        }
        commands
    }

    pub(super) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start <= offset)
    }

    fn sequence(&mut self, from: usize, to: usize) -> Vec<Command> {
        let mut out = Vec::new();
        let mut comments = Vec::new();
        let mut at = from;
        while at < to {
            let Some(item) = self.rc.items().get(at) else { break };
            at += 1;
            if self.written > LONGEST {
                let span = Span { start: start_of(item), end: start_of(item) };
                self.left_out(span, Reason::TooLong, true, None, &mut out);
                self.chain = Chain::at_start(Truth::Unknown(self.line(span.start)));
                break;
            }
            match item {
                Item::Comment(span) => {
                    let text = self.rc.text(*span);
                    let text = text.strip_prefix(b"#").unwrap_or(text);
                    let text = text.strip_prefix(b" ").unwrap_or(text);
                    self.written += text.len();
                    comments.push(Command::Comment(shown(&untabbed(text), WIDEST).trim_end().to_owned()));
                }
                Item::Recipe(recipe) => {
                    let before = std::mem::take(&mut comments);
                    self.recipe(recipe, at, before, &mut out);
                    if let Action::Block { close } = recipe.action {
                        at = close.saturating_add(1);
                    }
                }
                Item::Assignment(assignment) => {
                    let before = out.len();
                    out.append(&mut comments);
                    self.assignment(assignment, &mut out);
                    self.apart(out.len() > before);
                }
                Item::Removal { span, name } => {
                    let before = out.len();
                    out.append(&mut comments);
                    self.removal(*span, name, &mut out);
                    self.apart(out.len() > before);
                }
                Item::Close(_) | Item::MissingClose(_) => {}
                Item::UnexpectedClose(span) | Item::Skipped(span) => {
                    self.note(*span, NoteKind::Ignored, Reason::Malformed);
                }
            }
            if ends(&out) || (self.copying.is_some() && self.done == Done::Surely) {
                // What stands behind is never reached; procmail does not get there either.
                let is_comment = |item: &Item| matches!(item, Item::Comment(_));
                if self.rc.items().get(at..to).is_some_and(|rest| !rest.iter().all(is_comment)) {
                    let span = self.rc.items().get(at).map_or_else(Span::default, |item| Span {
                        start: start_of(item),
                        end: start_of(item),
                    });
                    self.note(span, NoteKind::Ignored, Reason::Unreachable);
                }
                break;
            }
        }
        out.append(&mut comments);
        out
    }

    /// A command came between recipes.
    fn apart(&mut self, really: bool) {
        if really {
            self.chain = Chain { elsif: false, nest: false, nest_succeeded: false, ..self.chain };
        }
    }

    pub(super) fn flag(&mut self) -> usize {
        self.flags += 1;
        self.flags
    }

    fn recipe(&mut self, recipe: &Recipe, next: usize, mut comments: Vec<Command>, out: &mut Vec<Command>) {
        for span in &recipe.comments {
            let text = self.rc.text(*span);
            let text = text.strip_prefix(b"#").unwrap_or(text);
            comments.push(Command::Comment(shown(&untabbed(text.trim_ascii()), WIDEST)));
        }
        let close = match recipe.action {
            Action::Block { close } => Some(close),
            _ => None,
        };
        let whole = Span {
            start: recipe.span.start,
            end: close.map_or(recipe.span.end, |close| match self.rc.items().get(close) {
                Some(Item::Close(span)) => span.end,
                _ => self.rc.source().len(),
            }),
        };
        let (notes, flags, chain) = (self.notes.len(), self.flags, self.chain);
        if let Err((span, reason)) = self.convert(recipe, next, &comments, out) {
            self.notes.truncate(notes);
            self.flags = flags;
            self.chain = chain;
            out.append(&mut comments);
            self.give_up(recipe, whole, next, (span, reason), out);
        }
    }

    /// Converts a recipe, or tells why not and where.
    fn convert(
        &mut self,
        recipe: &Recipe,
        next: usize,
        comments: &[Command],
        out: &mut Vec<Command>,
    ) -> Result<(), (Span, Reason)> {
        let at_head = |reason| (recipe.span, reason);
        let words = self.variables.known(&recipe.head, Mode::Words).map_err(at_head)?;
        let mut head = Head::parse(&words);
        if !head.rest.is_empty() {
            self.note(recipe.head.span, NoteKind::Ignored, Reason::Malformed);
        }
        if matches!(recipe.action, Action::Missing | Action::Incomplete) {
            return Err(at_head(Reason::Malformed));
        }
        head.also_if_succeeded &= !head.on_error;
        head.or_else &= !head.on_error;
        if head.on_error {
            return Err(at_head(Reason::OnError));
        }
        let mut tests = Vec::new();
        let mut length = 0;
        for written in &recipe.conditions {
            let converted = condition(&written.text, &head, &self.variables, self.options)
                .map_err(|reason| (written.span, reason))?;
            for what in converted.inexact {
                self.note(written.span, NoteKind::Approximate, Reason::Inexact(what));
            }
            length += 64 + test_length(&converted.test);
            if length > MOST_OF_TESTS {
                return Err((written.span, Reason::TooComplex));
            }
            tests.push(converted.test);
        }
        self.written += length;
        let test = Test::all(tests);
        let chain = self.chain;
        let placing = self.placing(&head, chain);
        let mut guards = Vec::new();
        if let Placing::Apart = placing {
            if head.also || head.also_if_succeeded {
                guards.push(chain.last.test().map_err(at_head)?);
            }
            if head.also_if_succeeded {
                guards.push(chain.succeeded.test().map_err(at_head)?);
            }
            if head.or_else {
                guards.push(chain.previous.test().map_err(at_head)?.negated());
            }
        }
        let conditional = test != Test::Always || !guards.is_empty() || placing != Placing::Apart;
        if let Some(done) = self.copying.filter(|_| self.done != Done::No) {
            guards.push(Test::Flag(done).negated());
        }
        guards.push(test);
        let test = Test::all(guards);
        if test == Test::Never {
            self.note(recipe.span, NoteKind::Ignored, Reason::NeverApplies);
            // A recipe that does not match is one that did not match.
            if !head.also && !head.also_if_succeeded {
                self.chain.last = Truth::No;
            }
            self.chain.previous = if head.or_else { chain.previous } else { Truth::No };
            self.apart(true);
            out.extend_from_slice(comments);
            out.push(Command::Comment(format!(
                "line {}: {}",
                self.line(recipe.span.start),
                Reason::NeverApplies
            )));
            return Ok(());
        }
        let before = self.done;
        let own = self.flag();
        let body = match &recipe.action {
            Action::Block { close } => self.block(recipe, &head, next, *close)?,
            action => self.action(&head, action).map_err(|reason| (recipe.action_span(), reason))?,
        };
        self.written += 64 + body.commands.iter().map(Command::length).sum::<usize>();
        for reason in &body.inexact {
            self.note(recipe.action_span(), NoteKind::Approximate, reason.clone());
        }
        if self.copying.is_some() {
            let inside = if body.delivers { Done::Surely } else { self.done };
            self.done = if conditional { before.max(inside.min(Done::Maybe)) } else { before.max(inside) };
        }
        self.put(&head, chain, placing, test, own, body, comments, out);
        Ok(())
    }

    fn placing(&self, head: &Head, chain: Chain) -> Placing {
        let also = head.also || head.also_if_succeeded;
        let nests =
            (!head.also_if_succeeded || chain.nest_succeeded) && (head.also_if_succeeded || chain.nest);
        if head.or_else && !also && chain.elsif {
            Placing::Elsif
        } else if also && !head.or_else && nests {
            Placing::Nested
        } else {
            Placing::Apart
        }
    }

    /// Puts what a recipe became where it belongs, and keeps account of what the next ones go by.
    #[allow(clippy::too_many_arguments, reason = "all of what is known of one recipe")]
    fn put(
        &mut self,
        head: &Head,
        chain: Chain,
        placing: Placing,
        test: Test,
        own: usize,
        body: Body,
        comments: &[Command],
        out: &mut Vec<Command>,
    ) {
        let also = head.also || head.also_if_succeeded;
        let always = test == Test::Always;
        let stops = ends(&body.commands);
        let matched = match (stops, always, placing) {
            (true, ..) => Truth::No,
            (false, true, Placing::Apart) => Truth::Yes,
            _ => Truth::Flag(own),
        };
        let mut commands = Vec::new();
        if !stops {
            commands.push(Command::Flag(own));
        }
        // The chain of `E` goes on with the flag of its first.
        let previous = match (head.or_else, chain.previous) {
            (false, _) | (true, Truth::No) => matched,
            (true, Truth::Flag(flag)) => {
                if !stops {
                    commands.push(Command::Flag(flag));
                }
                Truth::Flag(flag)
            }
            (true, other) => other,
        };
        commands.extend(body.commands);
        let mut next = Chain {
            last: if also { chain.last } else { matched },
            previous,
            succeeded: body.succeeded,
            elsif: false,
            nest: false,
            nest_succeeded: false,
        };
        let known_success = body.succeeded == Truth::Yes;
        match placing {
            Placing::Elsif => {
                let Some(Command::If { branches, otherwise }) = out.last_mut() else { return };
                let commands = [comments.to_vec(), commands].concat();
                if always {
                    *otherwise = Some(commands);
                } else {
                    branches.push((test, commands));
                    next.elsif = true;
                    next.nest = !stops;
                    next.nest_succeeded = !stops && known_success;
                }
            }
            Placing::Nested => {
                let Some(Command::If { branches, .. }) = out.last_mut() else { return };
                let Some((_, inside)) = branches.last_mut() else { return };
                inside.extend_from_slice(comments);
                if always {
                    inside.extend(commands);
                } else {
                    inside.push(Command::If { branches: vec![(test, commands)], otherwise: None });
                }
                if ends(inside) {
                    next.last = Truth::No;
                    next.previous = Truth::No;
                } else {
                    next.nest = chain.nest;
                    next.nest_succeeded = chain.nest_succeeded && known_success;
                }
            }
            Placing::Apart => {
                out.extend_from_slice(comments);
                if always {
                    out.extend(commands);
                } else {
                    out.push(Command::If { branches: vec![(test, commands)], otherwise: None });
                    next.elsif = !head.or_else;
                    next.nest = !also && !stops;
                    next.nest_succeeded = !also && !stops && known_success;
                }
            }
        }
        // What delivers a copy for good ends the block of the copy.
        if body.delivers && self.copying.is_some() {
            next.nest = false;
            next.nest_succeeded = false;
        }
        self.chain = next;
    }

    fn block(
        &mut self,
        recipe: &Recipe,
        head: &Head,
        from: usize,
        close: usize,
    ) -> Result<Body, (Span, Reason)> {
        if self.depth >= DEEPEST {
            return Err((recipe.span, Reason::TooDeep));
        }
        let outer = (self.copying, self.done);
        let done = head.copies.then(|| self.flag());
        if done.is_some() {
            (self.copying, self.done) = (done, Done::No);
        }
        self.depth += 1;
        self.chain = Chain::at_start(Truth::Yes);
        let before = self.variables.clone();
        let mut commands = self.sequence(from, close);
        self.depth -= 1;
        let delivered = self.done;
        if done.is_some() {
            (self.copying, self.done) = outer;
        }
        self.variables = if head.copies {
            before.restored(&self.variables, &mut commands)
        } else if recipe.conditions.is_empty() && self.chain_is_free(head) {
            std::mem::take(&mut self.variables)
        } else {
            before.merged(&self.variables)
        };
        let mut body = Body::of(commands);
        body.succeeded = if head.copies { Truth::Yes } else { self.chain.succeeded };
        if done.is_some() && delivered != Done::Surely {
            body.inexact.push(Reason::CopyGoesOn);
        }
        Ok(body)
    }

    fn chain_is_free(&self, head: &Head) -> bool {
        !(head.also || head.also_if_succeeded || head.or_else)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placing {
    Elsif,
    Nested,
    Apart,
}

fn start_of(item: &Item) -> usize {
    match item {
        Item::Comment(span)
        | Item::Close(span)
        | Item::UnexpectedClose(span)
        | Item::MissingClose(span)
        | Item::Skipped(span)
        | Item::Removal { span, .. } => span.start,
        Item::Assignment(assignment) => assignment.span.start,
        Item::Recipe(recipe) => recipe.span.start,
    }
}
