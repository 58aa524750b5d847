//! Conditions: what stands before one, and whether all of a recipe hold.

mod judge;

use std::borrow::Cow;
use std::sync::Arc;

use super::command::RunCommand;
use super::expand::Expand;
use super::head::Head;
use super::score::{LIMIT, Weight, is_enough, shown};
use super::trace::{Subject, Tested, Verdict as Judged};
use super::{Evaluator, Task, Trace, Value, trace};
use crate::effect::Purpose;
use crate::mail::{Area, Mail};
use crate::syntax::{Condition, Item, Mode, Part, Rc, Span, joined, parse_text};

/// The conditions of a recipe, being tested.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    rc: Arc<Rc>,
    item: usize,
    head: Head,
    which: usize,
    total: f64,
    scored: bool,
    /// What is known of the condition at hand.
    test: Option<Test<'static>>,
}

#[derive(Debug, Clone)]
struct Test<'c> {
    /// What is not read yet of the condition as it was written, or as it was expanded.
    text: Cow<'c, [u8]>,
    negated: bool,
    weight: Option<Weight>,
    /// What is looked at, if it is not what the flags say.
    subject: Option<Subject>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Prefix,
    Expanded,
    Size,
    Program,
}

impl<'c> Test<'c> {
    fn new(text: &'c [u8]) -> Self {
        Self { text: Cow::Borrowed(text), negated: false, weight: None, subject: None, stage: Stage::Prefix }
    }

    /// Goes behind what is read.
    fn skip(&mut self, bytes: usize) {
        match &mut self.text {
            Cow::Borrowed(text) => *text = &text[bytes..],
            Cow::Owned(text) => drop(text.drain(..bytes)),
        }
    }

    fn skip_blanks(&mut self) {
        let blanks = self.text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if blanks > 0 {
            self.skip(blanks);
        }
    }

    /// The test, to be gone on with at a stage.
    fn at(&mut self, stage: Stage) -> Test<'static> {
        Test {
            text: Cow::Owned(std::mem::take(&mut self.text).into_owned()),
            negated: self.negated,
            weight: self.weight,
            subject: self.subject.take(),
            stage,
        }
    }
}

enum Verdict {
    Plain(bool),
    /// What the total has become.
    Score(f64),
    /// What the total is of a recipe that does not match.
    Fatal(f64),
}

impl Conditions {
    pub(super) fn new(rc: Arc<Rc>, item: usize, head: Head) -> Self {
        Self { rc, item, head, which: 0, total: 0.0, scored: false, test: None }
    }

    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// The rc file it stands in.
    pub(super) fn rc(&self) -> &Arc<Rc> {
        &self.rc
    }

    /// Which item of the rc file it is.
    pub(super) fn item(&self) -> usize {
        self.item
    }

    pub(super) fn parts(&self) -> (Arc<Rc>, usize, Head) {
        (self.rc.clone(), self.item, self.head.clone())
    }

    /// The conditions behind those that were tested.
    pub(super) fn untested(&self) -> &[Condition] {
        match self.rc.items().get(self.item) {
            Some(Item::Recipe(recipe)) => recipe.conditions.get(self.which..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// What the conditions tested so far have scored.
    pub(super) fn score(&self) -> Option<i64> {
        self.scored.then(|| shown(self.total))
    }

    /// Where the condition at hand stands.
    fn span(&self) -> Span {
        match self.rc.items().get(self.item) {
            Some(Item::Recipe(recipe)) => recipe.conditions.get(self.which.wrapping_sub(1)),
            _ => None,
        }
        .map_or_else(Span::default, |condition| condition.span)
    }

    fn subject(&self, test: &Test<'_>) -> Subject {
        let area = if test.stage == Stage::Size { Area::Whole } else { self.head.searched() };
        test.subject.clone().unwrap_or(Subject::Area(area))
    }
}

impl Evaluator {
    /// Goes on with the conditions of a recipe, and then to its action.
    pub(super) fn conditions(&mut self, mut run: Conditions) {
        let rc = run.rc.clone();
        let Some(Item::Recipe(recipe)) = rc.items().get(run.item) else { return };
        let mut begun = run.test.is_some();
        loop {
            let mut test = match run.test.take() {
                Some(test) => test,
                None => {
                    if self.setup.pauses
                        && std::mem::replace(&mut begun, true)
                        && run.which < recipe.conditions.len()
                    {
                        self.tasks.push(Task::Conditions(Box::new(run)));
                        return;
                    }
                    let Some(condition) = recipe.conditions.get(run.which) else {
                        self.score = shown(run.total);
                        let matches = !run.scored || is_enough(run.total);
                        self.matched(&run, matches, &recipe.action);
                        return;
                    };
                    run.which += 1;
                    if condition.written().len() >= self.numbers.line_buffer {
                        self.overflow();
                        self.score = shown(run.total);
                        self.matched(&run, false, &recipe.action);
                        return;
                    }
                    Test::new(condition.written())
                }
            };
            if test.stage == Stage::Expanded {
                let Value::Words(words) = std::mem::take(&mut self.value) else {
                    self.score = shown(run.total);
                    self.tested(&run, &test, |_, test| untested(test), Judged::TooLong);
                    self.matched(&run, false, &recipe.action);
                    return;
                };
                test.text = Cow::Owned(words.concat());
            }
            let verdict = match test.stage {
                Stage::Prefix | Stage::Expanded => match self.prefixes(&mut run, &mut test) {
                    Some(verdict) => verdict,
                    None => return,
                },
                Stage::Size => {
                    let Value::Words(words) = std::mem::take(&mut self.value) else {
                        self.tested(&run, &test, |_, test| untested(test), Judged::TooLong);
                        self.matched(&run, false, &recipe.action);
                        return;
                    };
                    self.size(&run, &test, words.concat())
                }
                Stage::Program => {
                    let value = std::mem::take(&mut self.value);
                    self.program(&run, &test, value)
                }
            };
            match verdict {
                Verdict::Plain(true) => {}
                Verdict::Plain(false) => {
                    self.score = shown(run.total);
                    self.matched(&run, false, &recipe.action);
                    return;
                }
                Verdict::Score(total) | Verdict::Fatal(total) => {
                    run.scored = true;
                    run.total = total.clamp(-LIMIT, LIMIT);
                    if run.total == -LIMIT || matches!(verdict, Verdict::Fatal(_)) {
                        self.score = shown(run.total);
                        self.matched(&run, false, &recipe.action);
                        return;
                    }
                }
            }
        }
    }

    /// Takes what stands before the condition proper, then tests it. Nothing when a task has to end first.
    fn prefixes(&mut self, run: &mut Conditions, test: &mut Test<'_>) -> Option<Verdict> {
        loop {
            test.skip_blanks();
            match test.text.first() {
                Some(b'!') => {
                    test.negated = !test.negated;
                    test.skip(1);
                }
                Some(b'$') => {
                    let text = parse_text(&joined(&test.text[1..]), 0, Mode::Quoted);
                    run.test = Some(test.at(Stage::Expanded));
                    self.tasks.push(Task::Conditions(Box::new(run.clone())));
                    self.tasks.push(Task::Expand(Expand::new(Arc::new(text), Mode::Quoted, 0)));
                    return None;
                }
                Some(b'<' | b'>') => {
                    if self.unneeded(run, test) {
                        return Some(Verdict::Score(run.total));
                    }
                    // Words, but values do not split.
                    let mut text = parse_text(&test.text, 0, Mode::Words);
                    for part in text.parts.iter_mut().filter(|part| **part == Part::Break) {
                        *part = Part::Bytes(b" ".to_vec());
                    }
                    run.test = Some(test.at(Stage::Size));
                    self.tasks.push(Task::Conditions(Box::new(run.clone())));
                    self.tasks.push(Task::Expand(Expand::new(Arc::new(text), Mode::Quoted, 0)));
                    return None;
                }
                Some(b'?') => {
                    if self.unneeded(run, test) {
                        return Some(Verdict::Score(run.total));
                    }
                    let line = test.text.get(1..).unwrap_or_default().to_vec();
                    let mut input = self.subject(&self.mail, run, test).into_owned();
                    if !input.ends_with(b"\n\n") {
                        input.push(b'\n');
                    }
                    self.written = input.len() as u64;
                    run.test = Some(test.at(Stage::Program));
                    self.tasks.push(Task::Conditions(Box::new(run.clone())));
                    let command = RunCommand::new(line, Purpose::Condition).fed(input.into());
                    self.tasks.push(Task::Command(command));
                    return None;
                }
                _ => {
                    if let Some((weight, used)) = Weight::parse(&test.text) {
                        test.weight = Some(weight);
                        test.skip(used);
                    } else if let Some((name, used)) = searched_variable(&test.text) {
                        self.header_joined |= matches!(name.as_slice(), b"H" | b"HB" | b"BH");
                        test.subject = Some(match name.as_slice() {
                            b"H" => Subject::Area(Area::Header),
                            b"B" => Subject::Area(Area::Body),
                            b"HB" | b"BH" => Subject::Area(Area::Whole),
                            _ => Subject::Variable(name),
                        });
                        test.skip(used);
                    } else if self.unneeded(run, test) {
                        return Some(Verdict::Score(run.total));
                    } else {
                        return Some(self.expression(run, test));
                    }
                }
            }
        }
    }

    /// Whether a condition with a weight no longer counts.
    fn unneeded(&mut self, run: &Conditions, test: &Test<'_>) -> bool {
        let unneeded = test.weight.is_some() && run.total >= LIMIT;
        if unneeded {
            self.tested(run, test, |_, test| untested(test), Judged::Unneeded);
        }
        unneeded
    }

    /// Tells what came of a condition, if anybody wants to know.
    fn tested(
        &mut self,
        run: &Conditions,
        test: &Test<'_>,
        what: impl FnOnce(&Self, &Test<'_>) -> trace::Test,
        verdict: Judged,
    ) {
        self.trace(|this| {
            Trace::Condition(Box::new(Tested {
                span: run.span(),
                negated: test.negated,
                weight: test.weight.map(|weight| (weight.weight, weight.exponent)),
                subject: run.subject(test),
                test: what(this, test),
                verdict,
            }))
        });
    }

    /// An area as conditions see it. Backquotes undo what was done to the header for those behind them.
    fn seen<'m>(&self, mail: &'m Mail, area: Area) -> Cow<'m, [u8]> {
        if self.header_joined { mail.searched(area) } else { Cow::Borrowed(mail.area(area)) }
    }

    /// What a condition looks at. The mail is handed in so that it need not be copied.
    fn subject<'m>(&self, mail: &'m Mail, run: &Conditions, test: &Test<'_>) -> Cow<'m, [u8]> {
        match &test.subject {
            None => self.seen(mail, run.head.searched()),
            Some(Subject::Area(area)) => self.seen(mail, *area),
            Some(Subject::Variable(name)) => Cow::Owned(self.lookup(name).unwrap_or_default()),
        }
    }
}

impl Verdict {
    fn judged(&self, before: f64) -> Judged {
        match *self {
            Self::Plain(true) => Judged::Holds,
            Self::Plain(false) => Judged::Fails,
            Self::Score(total) | Self::Fatal(total) => Judged::Scores { added: total - before, total },
        }
    }
}

fn untested(test: &Test<'_>) -> trace::Test {
    trace::Test::None(test.text.to_vec())
}

/// `NAME ??` at the start of a condition: the name, and how many bytes it takes.
pub(crate) fn searched_variable(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let name = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    if name == 0 || text[0].is_ascii_digit() {
        return None;
    }
    let blanks = text[name..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    text[name + blanks..].starts_with(b"??").then(|| (text[..name].to_vec(), name + blanks + 2))
}
