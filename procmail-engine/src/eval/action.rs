//! Recipes: flags, locks, actions.

use std::borrow::Cow;
use std::sync::Arc;

use super::command::RunCommand;
use super::condition::Conditions;
use super::expand::Expand;
use super::finish::Finish;
use super::lock::TakeLock;
use super::{COPY_COST, Chain, ChainFlag, Chained, Evaluator, Reached, Task, Trace, Value};
use crate::effect::{Deliver, Delivered, Effect, Exit, Note, Outcome, Purpose};
use crate::mail::{Area, Content};
use crate::syntax::{Action, Capture, Item, Mode, Part, Rc, Recipe, Text, parse_text};

/// What the line of a recipe says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) searches_header: bool,
    pub(crate) searches_body: bool,
    pub(crate) exact_case: bool,
    pub(crate) also: bool,
    pub(crate) also_if_succeeded: bool,
    pub(crate) or_else: bool,
    pub(crate) on_error: bool,
    pub(crate) gives_header: bool,
    pub(crate) gives_body: bool,
    pub(crate) filters: bool,
    pub(crate) copies: bool,
    pub(crate) waits: bool,
    pub(crate) waits_quietly: bool,
    pub(crate) ignores_write_errors: bool,
    pub(crate) raw: bool,
    /// The lock, if there is to be one; empty if its name is to be derived.
    pub(crate) lock: Option<Vec<u8>>,
    /// What could not be read.
    pub(crate) rest: Vec<u8>,
}

impl Head {
    /// Reads the expanded words behind the colon.
    pub(crate) fn parse(words: &[impl AsRef<[u8]>]) -> Self {
        let mut head = Self::default();
        let line = match words {
            [word] => Cow::Borrowed(word.as_ref()),
            _ => Cow::Owned(joined(words)),
        };
        let mut at = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        while let Some(&byte) = line.get(at) {
            match byte {
                b' ' | b'\t' => {}
                b'H' => head.searches_header = true,
                b'B' => head.searches_body = true,
                b'D' => head.exact_case = true,
                b'A' => head.also = true,
                b'a' => head.also_if_succeeded = true,
                b'E' => head.or_else = true,
                b'e' => head.on_error = true,
                b'h' => head.gives_header = true,
                b'b' => head.gives_body = true,
                b'f' => head.filters = true,
                b'c' => head.copies = true,
                b'w' => head.waits = true,
                b'W' => head.waits_quietly = true,
                b'i' => head.ignores_write_errors = true,
                b'r' => head.raw = true,
                b':' => {
                    // The name is the next word, whatever it consists of.
                    let (name, rest) = lock_name(words, at + 1);
                    head.lock = Some(name);
                    head.rest = rest;
                    break;
                }
                _ => {
                    head.rest = line[at..].to_vec();
                    break;
                }
            }
            at += 1;
        }
        head
    }

    /// The area that conditions search.
    pub(crate) fn searched(&self) -> Area {
        match (self.searches_header, self.searches_body) {
            (true, true) => Area::Whole,
            (false, true) => Area::Body,
            _ => Area::Header,
        }
    }

    /// The part of the mail that the action gets, if it is not all.
    pub(crate) fn given_part(&self) -> Option<Area> {
        Some(self.given()).filter(|area| *area != Area::Whole)
    }

    /// The area that the action gets.
    fn given(&self) -> Area {
        match (self.gives_header, self.gives_body) {
            (true, false) => Area::Header,
            (false, true) => Area::Body,
            _ => Area::Whole,
        }
    }
}

/// Words with a space between them.
fn joined(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let words: Vec<&[u8]> = words.iter().map(AsRef::as_ref).collect();
    words.join(&b' ')
}

/// The word behind the colon that ends the first `before` bytes of the line, and the words behind it.
fn lock_name(words: &[impl AsRef<[u8]>], before: usize) -> (Vec<u8>, Vec<u8>) {
    let mut seen = 0;
    for (number, word) in words.iter().enumerate() {
        let word = word.as_ref();
        if seen + word.len() >= before {
            let inside = &word[before - seen..];
            let (name, rest) = if inside.is_empty() {
                let next = words.get(number + 1).map(AsRef::as_ref);
                (next.unwrap_or_default(), words.get(number + 2..).unwrap_or_default())
            } else {
                (inside, &words[number + 1..])
            };
            return (name.to_vec(), joined(rest));
        }
        seen += word.len() + 1;
    }
    (Vec::new(), Vec::new())
}

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
                let act = Act {
                    rc,
                    item,
                    head,
                    stage: Stage::Start,
                    words: Vec::new(),
                    arguments_at: None,
                    before: None,
                };
                self.tasks.push(Task::Act(Box::new(act)));
            }
        }
    }

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
                if let Some(Outcome::Ran(ran)) = self.outcome.take() {
                    self.complain_of_exit(ran.exit, b"procmail", act.head.waits_quietly);
                    self.chain.succeeded = ran.exit.is_success();
                } else {
                    self.chain.succeeded = true;
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

    /// Takes the local lock, if the recipe wants one.
    fn find_lock(&mut self, mut act: Box<Act>, action: &Action) {
        let Some(lock) = act.head.lock.clone() else {
            self.perform(act, action);
            return;
        };
        if !lock.is_empty() {
            self.lock_action(act, lock, action);
            return;
        }
        match action {
            Action::Folders(_) => {
                let folder = act.words.first().cloned().unwrap_or_default();
                if folder == b"/dev/null" {
                    self.perform(act, action);
                } else {
                    self.lock_beside(act, &folder, action);
                }
            }
            Action::Pipe { command, .. } => {
                if self.is_nothing(command) {
                    self.perform(act, action);
                    return;
                }
                match memchr::memmem::find(command, b">>") {
                    Some(at) => {
                        let rest = &command[at + 2..];
                        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                        let rest = &rest[blanks..];
                        let end =
                            rest.iter().position(|byte| b" \t\n;&|<>()".contains(byte)).unwrap_or(rest.len());
                        let text = parse_text(&rest[..end], 0, Mode::Value);
                        act.stage = Stage::LockName;
                        self.tasks.push(Task::Act(act));
                        self.tasks.push(Task::Expand(Expand::new(Arc::new(text), Mode::Value, 0)));
                    }
                    None => {
                        self.complain_of_lock(command);
                        self.lock_beside(act, b"", action);
                    }
                }
            }
            Action::Forward { .. } => {
                let name = act.words.first().cloned().unwrap_or_default();
                self.complain_of("Couldn't determine implicit lockfile from", &name);
                self.lock_beside(act, b"", action);
            }
            Action::Block { .. } => self.lock_beside(act, b"", action),
            Action::Missing | Action::Incomplete => {}
        }
    }

    /// Tells that no name for a lock was found in a command: of one that a shell runs all is shown, of others the program.
    fn complain_of_lock(&mut self, command: &[u8]) {
        let mut shown = command.to_vec();
        if !self.needs_shell(command) {
            let text = parse_text(command, 0, Mode::Words);
            let word = text.parts.iter().take_while(|part| **part != Part::Break);
            shown = word.fold(Vec::new(), |mut shown, part| {
                match part {
                    Part::Bytes(bytes) => shown.extend_from_slice(bytes),
                    Part::Variable { name, .. } => shown.extend(self.lookup(name).unwrap_or_default()),
                    _ => {}
                }
                shown
            });
        }
        self.complain_of("Couldn't determine implicit lockfile from", &shown);
    }

    fn lock_beside(&mut self, act: Box<Act>, name: &[u8], action: &Action) {
        let lock = [name, self.variables.value("LOCKEXT")].concat();
        self.lock_action(act, lock, action);
    }

    fn lock_action(&mut self, mut act: Box<Act>, lock: Vec<u8>, action: &Action) {
        if self.lock_file.as_ref() == Some(&lock) {
            self.complain_of("Deadlock attempted on", &lock);
            self.perform(act, action);
            return;
        }
        act.head.lock = Some(lock.clone());
        act.stage = Stage::Locked;
        self.tasks.push(Task::Act(act));
        self.tasks.push(Task::Lock(TakeLock::new(lock)));
    }

    /// What a recipe gives to its action.
    pub(super) fn content(&self, area: Area, writing: Writing) -> Content {
        let bytes = self.mail.area(area).to_vec();
        let body = match area {
            Area::Header => bytes.len(),
            Area::Body => 0,
            Area::Whole => self.mail.area(Area::Header).len(),
        };
        Content { bytes, body, raw: writing == Writing::Raw, obey_length: self.setup.obeys_content_length }
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
                let run =
                    RunCommand::new(Vec::new(), purpose).fed(input.into()).waiting(act.head.waits_for_exit());
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

    /// A program that an action ran has ended.
    fn action_ran(&mut self, act: &Act, action: &Action) {
        let Value::Ran(ran, command) = std::mem::take(&mut self.value) else {
            self.chain.succeeded = false;
            return;
        };
        let (capture, size) = match action {
            Action::Pipe { capture, .. } => (capture.as_ref(), self.given(&act.head).with_end().len()),
            Action::Forward { capture, .. } => (capture.as_ref(), self.given(&act.head).for_mailer().len()),
            _ => (None, 0),
        };
        let head = &act.head;
        if capture.is_none() && !head.filters {
            self.written = size as u64;
        }
        let mut failed = false;
        if !ran.fed && !head.ignores_write_errors && !ran.timed_out {
            self.complain_of("Error while writing to", command.name());
            failed = true;
        }
        let waited = head.waits_for_exit() && ran.exit != Exit::Unknown;
        if waited && !ran.exit.is_success() {
            failed = true;
            if !(ran.timed_out && head.filters) {
                self.complain_of_exit(ran.exit, command.name(), !head.waits || head.waits_quietly);
            }
        }
        if ran.timed_out {
            failed = true;
        }
        if let Some(capture) = capture {
            failed = !self.captured(act, capture, ran.output, failed);
        } else if head.filters {
            if failed {
                if !head.waits_quietly || self.numbers.verbose {
                    self.complain("Rescue of unfiltered data succeeded");
                }
            } else {
                let mut output = ran.output;
                // The line that was not sent stays.
                let kept = self
                    .mail
                    .from_line()
                    .filter(|_| matches!(action, Action::Forward { .. }) && head.given() != Area::Body);
                if let Some(line) = kept {
                    output = [line, b"\n", &output].concat();
                }
                self.mail = Arc::new(self.mail.with(head.given(), &output));
            }
        } else {
            let shown = self.shown.take().unwrap_or_else(|| command.text(b" "));
            self.place = None;
            self.assign_quietly(b"LASTFOLDER", &shown);
            self.settle(act, (!failed).then_some(size as u64));
            return;
        }
        self.chain.succeeded = !failed;
    }

    /// Gives a variable what a program has said, and tells whether it has got it.
    fn captured(&mut self, act: &Act, capture: &Capture, mut output: Vec<u8>, mut failed: bool) -> bool {
        if !failed && self.variables.size() + output.len() > self.most_variables() {
            self.overflow();
            failed = true;
        }
        if failed {
            match &act.before {
                Some(before) => {
                    if !act.head.waits_quietly || self.numbers.verbose {
                        self.complain("Rescue of unfiltered data succeeded");
                    }
                    self.set_variable(capture.variable(), before);
                }
                None => self.remove_variable(capture.variable()),
            }
            return false;
        }
        if output.last() == Some(&b'\n') {
            output.pop();
        }
        let name = capture.variable().to_vec();
        self.set_variable(&name, &output);
        self.numbers.assigned(&name, &output);
        self.assigned(name, output);
        true
    }

    /// Tells of a delivery, and gives its size if it succeeded.
    pub(super) fn delivered_to(&mut self) -> Option<u64> {
        let Some(Outcome::Delivered(Delivered { notes, size })) = self.outcome.take() else { return None };
        let mut folders: Vec<Vec<u8>> = Vec::new();
        let mut start = 0;
        for note in notes {
            match note {
                Note::Start(at) => start = at,
                Note::NotDirectory(name) => self.complain_of("Unable to treat as directory", &name),
                Note::Skipped(name) => self.complain_of("Skipped", &name),
                Note::Folder(name) => {
                    self.assign_quietly(b"LASTFOLDER", &name);
                    folders.push(name);
                }
                Note::Opening(name) => self.tell_of("Opening", &name),
                Note::KernelLock => self.tell(b"Acquiring kernel-lock"),
                Note::Linking(name) => {
                    self.tell_of("Linking to", &name);
                    folders.push(name);
                }
                Note::WriteError(name) => self.complain_of("Error while writing to", &name),
                Note::NoFile(name) => self.complain_of("Couldn't create or rename temp file", &name),
                Note::NoSpace(name) => self.complain_of("No space left to finish writing", &name),
                Note::OverQuota(name) => self.complain_of("Quota exceeded while writing", &name),
                Note::Begun(length) => self.written = length,
                Note::KernelLockAwaited => {}
                Note::Truncated => self.complain("Truncated file to former size"),
            }
        }
        self.place = Some((start, folders.first().cloned().unwrap_or_default()));
        if folders.len() > 1 {
            self.set_variable(b"LASTFOLDER", &folders.join(&b' '));
        }
        self.written = size.unwrap_or(self.written);
        size
    }

    /// A recipe that delivers has done so, or not.
    fn settle(&mut self, act: &Act, size: Option<u64>) {
        self.chain.succeeded = size.is_some();
        let Some(size) = size else { return };
        if act.head.copies {
            if self.logs_copies() {
                self.log_abstract(size);
            }
        } else {
            self.tasks.clear();
            self.tasks.push(Task::Finish(Finish::Delivered(size)));
        }
    }
}

impl Head {
    /// What the flags say that make the recipe depend on those before it.
    fn chained(&self, chain: Chain) -> impl Iterator<Item = Chained> {
        let flags = [
            (self.also, ChainFlag::And, chain.last),
            (self.also_if_succeeded, ChainFlag::AndSucceeded, chain.last && chain.succeeded),
            (self.or_else && !self.on_error, ChainFlag::Else, !chain.previous),
            (self.on_error, ChainFlag::OnError, chain.previous && !chain.succeeded),
        ];
        flags.into_iter().filter(|(set, ..)| *set).map(|(_, flag, holds)| Chained { flag, holds })
    }

    fn waits_for_exit(&self) -> bool {
        self.waits || self.waits_quietly || self.lock.is_some()
    }
}
