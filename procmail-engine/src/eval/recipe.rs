//! Recipes: whether one is tried, and what happens when its conditions are met or not.

use std::sync::Arc;

use super::action::Act;
use super::condition::Conditions;
use super::head::{Head, joined};
use super::trace::{Reached, Trace};
use super::{Evaluator, Task, Value};
use crate::mail::Area;
use crate::syntax::{Action, Item, Rc, Recipe};

impl Evaluator {
    /// The line of a recipe is expanded.
    pub(super) fn head(&mut self, item: usize) {
        let Value::Words(words) = std::mem::take(&mut self.value) else {
            // Too long a line ends all rc files.
            self.leave_files();
            return;
        };
        let Some(rc) = self.files.last().map(|file| file.rc.clone()) else { return };
        let Some(Item::Recipe(recipe)) = rc.items().get(item) else { return };
        self.recipe(&rc, item, recipe, &words);
    }

    /// Goes on with a recipe whose line has these words.
    pub(super) fn recipe(&mut self, rc: &Arc<Rc>, item: usize, recipe: &Recipe, words: &[impl AsRef<[u8]>]) {
        let mut head = Head::parse(words);
        self.complain_of_head(&head);
        head.also_if_succeeded &= !head.on_error;
        self.header_joined |= head.searched() != Area::Body;
        let chain = self.chain;
        let applies = head.chained(chain).all(|flag| flag.holds);
        self.trace(|_| {
            Trace::Recipe(Box::new(Reached {
                span: recipe.span,
                action: recipe.action_span(),
                head: joined(words),
                copies: head.copies,
                chain: head.chained(chain).collect(),
            }))
        });
        let run = Conditions::new(rc.clone(), item, head);
        if applies {
            self.conditions(run);
        } else {
            self.matched(&run, false, &recipe.action);
        }
    }

    /// Tells of what is wrong with the line of a recipe, whether it is evaluated or not.
    pub(super) fn complain_of_head(&mut self, head: &Head) {
        if !head.rest.is_empty() {
            self.complain_of("Skipped", &head.rest);
        }
        if head.on_error && head.or_else {
            self.complain("Conflicting else-if-flag suppressed");
        }
        if head.on_error && head.also_if_succeeded {
            self.complain("Conflicting also-if-succeeded-flag suppressed");
        }
    }

    /// Tells of what the line of a recipe says that means nothing to its action, whether it is performed or not.
    pub(super) fn complain_of_extras(&mut self, head: &Head, action: &Action) {
        let block = matches!(action, Action::Block { .. });
        let program = matches!(
            action,
            Action::Pipe { capture: None, .. }
                | Action::Forward { capture: None, .. }
                | Action::Missing
                | Action::Incomplete
        );
        let extras = [
            (!program && head.filters, "Extraneous filter-flag ignored"),
            (block && head.lock.is_some() && !head.copies, "Extraneous locallockfile ignored"),
            (block && head.gives_body, "Extraneous deliver-body flag ignored"),
            (block && head.gives_header, "Extraneous deliver-head flag ignored"),
            (block && head.ignores_write_errors, "Extraneous ignore-write-error flag ignored"),
            (block && head.raw, "Extraneous raw-mode flag ignored"),
        ];
        for (_, text) in extras.iter().filter(|(set, _)| *set) {
            self.complain(text);
        }
    }

    /// The conditions of a recipe are tested.
    pub(super) fn matched(&mut self, run: &Conditions, matches: bool, action: &Action) {
        let head = run.head();
        self.skip_conditions(run.untested());
        self.header_joined &= !matches;
        // A recipe that has no action does not count as one that matched.
        let counts = matches && !matches!(action, Action::Missing | Action::Incomplete);
        let was_chain = head.or_else && !head.on_error && self.chain.previous;
        if !head.also && !head.also_if_succeeded {
            self.chain.last = counts;
        }
        self.chain.previous = counts || was_chain;
        self.trace(|_| Trace::Decided { matches, score: run.score() });
        self.complain_of_extras(head, action);
        match action {
            Action::Block { close } if !matches => {
                self.trace(|_| Trace::BlockSkipped);
                self.skip_block(run.item() + 1, *close);
            }
            Action::Missing | Action::Incomplete => self.skip_action(run.rc(), action),
            _ if !matches => self.skip_action(run.rc(), action),
            _ => {
                let (rc, item, head) = run.parts();
                self.tasks.push(Task::Act(Act::new(rc, item, head)));
            }
        }
    }
}
