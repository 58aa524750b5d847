//! Actions: folders, programs, addresses and blocks.

mod after;
mod local_lock;

use std::sync::Arc;

use super::command::RunCommand;
use super::expand::Expand;
use super::head::Head;
use super::{COPY_COST, Chain, Evaluator, Task, Trace, Value};
use crate::effect::{Deliver, Effect, Outcome, Purpose};
use crate::mail::{Area, Content};
use crate::syntax::{Action, Capture, Item, Mode, Rc, Text};

/// How much of a line words take that stand before others.
pub(super) fn length_of(words: &[Vec<u8>]) -> usize {
    words.iter().map(|word| word.len() + 1).sum()
}

/// Whether what is written gets an end, and its `From ` lines escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    Repaired,
    Raw,
}

/// An action on its way.
#[derive(Debug, Clone)]
pub(super) struct Act {
    rc: Arc<Rc>,
    item: usize,
    head: Head,
    stage: Stage,
    words: Vec<Vec<u8>>,
    /// Which word stands for all arguments.
    arguments_at: Option<usize>,
    /// The value of the variable that is to capture the output, before.
    before: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Words,
    LockName,
    Locked,
    Ran,
    Delivered,
    Forked,
}

impl Act {
    pub(super) fn new(rc: Arc<Rc>, item: usize, head: Head) -> Box<Self> {
        let (words, arguments_at, before) = (Vec::new(), None, None);
        Box::new(Self { rc, item, head, stage: Stage::Start, words, arguments_at, before })
    }
}

impl Evaluator {
    /// Goes on with an action.
    pub(super) fn act(&mut self, mut act: Box<Act>) {
        let rc = act.rc.clone();
        let Some(Item::Recipe(recipe)) = rc.items().get(act.item) else { return };
        let action = &recipe.action;
        match act.stage {
            Stage::Start => self.start_action(act, action),
            Stage::Words => {
                let Value::Words(mut words) = std::mem::take(&mut self.value) else {
                    self.chain.succeeded = false;
                    return;
                };
                if words.is_empty() {
                    words.push(Vec::new());
                }
                act.arguments_at = self.arguments_at.take().map(|at| at + act.words.len());
                act.words.extend(words);
                self.find_lock(act, action);
            }
            Stage::LockName => {
                let name = match std::mem::take(&mut self.value) {
                    Value::Words(words) => words.into_iter().next().unwrap_or_default(),
                    _ => Vec::new(),
                };
                if let Action::Pipe { command, .. } = action
                    && name.is_empty()
                {
                    self.complain_of_lock(command);
                }
                self.lock_beside(act, &name, action);
            }
            Stage::Locked => {
                let locked = matches!(std::mem::take(&mut self.value), Value::Locked(true));
                if let Some(lock) = act.head.lock.clone().filter(|_| locked) {
                    self.local_lock = Some(lock);
                }
                self.perform(act, action);
            }
            Stage::Ran => self.action_ran(&act, action),
            Stage::Delivered => {
                let size = self.delivered_to();
                self.settle(&act, size);
            }
            Stage::Forked => {
                match self.outcome.take() {
                    Some(Outcome::Ran(ran)) => {
                        self.complain_of_exit(ran.exit, b"procmail", act.head.waits_quietly);
                        self.chain.succeeded = ran.exit.is_success();
                    }
                    Some(Outcome::Failed) => {
                        self.complain_of("Failed forking", b"procmail");
                        if let Some(file) = self.files.last_mut() {
                            file.at = act.item + 1;
                        }
                        return self.enter_block();
                    }
                    _ => self.chain.succeeded = true,
                }
                if let Action::Block { close } = action {
                    self.skip_block(act.item + 1, *close);
                }
            }
        }
    }

    fn start_action(&mut self, mut act: Box<Act>, action: &Action) {
        if self.is_too_long(&act.rc, action) {
            self.overflow();
            self.chain.succeeded = false;
            return;
        }
        match action {
            Action::Block { .. } => {
                self.find_lock(act, action);
            }
            Action::Pipe { .. } => self.find_lock(act, action),
            Action::Forward { arguments, .. } => {
                act.words = self.mailer();
                self.expand_words(act, arguments);
            }
            Action::Folders(folders) => {
                if act.head.filters {
                    act.head.gives_header = false;
                    act.head.gives_body = false;
                    act.head.filters = false;
                }
                self.expand_words(act, folders);
            }
            Action::Missing | Action::Incomplete => {}
        }
    }

    fn expand_words(&mut self, mut act: Box<Act>, text: &Text) {
        act.stage = Stage::Words;
        let used = length_of(&act.words);
        self.tasks.push(Task::Act(act));
        self.tasks.push(Task::Expand(Expand::new(Arc::new(text.clone()), Mode::Words, used)));
    }

    /// The program that forwards, with its flags.
    pub(super) fn mailer(&self) -> Vec<Vec<u8>> {
        let flags = self.variables.value("SENDMAILFLAGS").split(|byte| matches!(byte, b' ' | b'\t' | b'\n'));
        let flags = flags.filter(|word| !word.is_empty());
        std::iter::once(self.variables.value("SENDMAIL")).chain(flags).map(<[u8]>::to_vec).collect()
    }

    fn extraneous_copy(&mut self, act: &mut Act, capture: Option<&Capture>) {
        if (act.head.filters || capture.is_some()) && std::mem::take(&mut act.head.copies) {
            self.complain("Extraneous copy-flag ignored");
        }
    }

    /// What a recipe gives to its action.
    pub(super) fn content(&self, area: Area, writing: Writing) -> Content {
        self.mail.content(area, writing == Writing::Raw)
    }

    fn given(&self, head: &Head) -> Content {
        self.content(head.given(), if head.raw { Writing::Raw } else { Writing::Repaired })
    }

    fn perform(&mut self, mut act: Box<Act>, action: &Action) {
        match action {
            Action::Block { close } => {
                if act.head.copies {
                    self.fork(act, *close);
                } else {
                    self.enter_block();
                }
            }
            Action::Folders(_) => {
                let folders = std::mem::take(&mut act.words);
                let content = self.given(&act.head);
                let message_prefix = self.variables.value("MSGPREFIX").to_vec();
                act.stage = Stage::Delivered;
                self.tasks.push(Task::Act(act));
                self.emit(Effect::Deliver(Box::new(Deliver { folders, content, message_prefix })));
            }
            Action::Pipe { command, .. } if self.is_nothing(command) => {
                let content = self.given(&act.head);
                act.stage = Stage::Delivered;
                self.tasks.push(Task::Act(act));
                self.emit(Effect::Print(Box::new(content)));
            }
            Action::Pipe { capture, command, .. } => {
                self.extraneous_copy(&mut act, capture.as_ref());
                let purpose = self.start_capture(&mut act, capture.as_ref(), Purpose::Delivery);
                let input = self.given(&act.head).with_end().into_owned();
                if purpose == Purpose::Delivery {
                    self.written = input.len() as u64;
                }
                let run = RunCommand::new(command.clone(), purpose)
                    .fed(input.into())
                    .reading_all(!act.head.ignores_write_errors)
                    .waiting(act.head.waits_for_exit());
                act.stage = Stage::Ran;
                self.tasks.push(Task::Act(act));
                self.tasks.push(Task::Command(run));
            }
            Action::Forward { capture, .. } => {
                self.extraneous_copy(&mut act, capture.as_ref());
                let purpose = self.start_capture(&mut act, capture.as_ref(), Purpose::Forward);
                let content = self.given(&act.head);
                let input = content.for_mailer().into_owned();
                let run = RunCommand::new(Vec::new(), purpose)
                    .fed(input.into())
                    .reading_all(!act.head.ignores_write_errors)
                    .waiting(act.head.waits_for_exit());
                let mut words = std::mem::take(&mut act.words);
                self.with_arguments(&mut words, act.arguments_at);
                act.stage = Stage::Ran;
                self.tasks.push(Task::Act(act));
                self.run_words(words, run);
            }
            Action::Missing | Action::Incomplete => {}
        }
    }

    fn start_capture(&mut self, act: &mut Act, capture: Option<&Capture>, otherwise: Purpose) -> Purpose {
        match capture {
            Some(capture) => {
                act.before = self.variables.get(capture.variable()).map(<[u8]>::to_vec);
                self.tell_of("Assigning", &[capture.variable(), b"="].concat());
                Purpose::Capture
            }
            None if act.head.filters => Purpose::Filter,
            None => otherwise,
        }
    }

    fn enter_block(&mut self) {
        if let Some(file) = self.files.last_mut() {
            file.blocks.push(self.chain);
        }
        self.chain = Chain { last: true, previous: true, succeeded: true };
        self.trace(|_| Trace::BlockEntered);
    }

    fn fork(&mut self, mut act: Box<Act>, close: usize) {
        self.tell_of("Forking", b"procmail");
        if !self.spend(COPY_COST) {
            self.complain_of("Failed forking", b"procmail");
            self.chain.succeeded = false;
            self.trace(|_| Trace::BlockSkipped);
            self.skip_block(act.item + 1, close);
            return;
        }
        let wait = act.head.waits || act.head.waits_quietly || self.local_lock.is_some();
        let mut copy = Box::new(self.clone());
        copy.budget = self.budget.share();
        copy.queue.clear();
        copy.lock_file = None;
        copy.local_lock = None;
        copy.enter_block();
        if let Some(file) = self.files.last_mut() {
            file.at = close.saturating_add(1);
        }
        act.stage = Stage::Forked;
        self.tasks.push(Task::Act(act));
        self.emit(Effect::Fork { copy, wait });
    }
}
