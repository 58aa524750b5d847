//! Conditions.

use std::borrow::Cow;
use std::sync::Arc;

use super::action::Head;
use super::command::RunCommand;
use super::expand::Expand;
use super::score::{LIMIT, Weight, shown, told, whole};
use super::trace::{Found, MOST_TEXT, MailPlace, Subject, Tested, Verdict as Judged};
use super::{Evaluator, Task, Trace, Value, trace};
use crate::effect::Purpose;
use crate::mail::{Area, Mail};
use crate::regex::{Case, Expression, Match, Regex, Searched};
use crate::syntax::{Condition, Item, Mode, Part, Rc, Span, command_text, parse_text};

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
    test: Option<Test>,
}

#[derive(Debug, Clone)]
struct Test {
    text: Vec<u8>,
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

enum Verdict {
    Plain(bool),
    Score(f64),
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

    /// The command behind the `?` with which `text` starts. Shells get its continued lines as they are.
    fn command(&self, text: &[u8]) -> Vec<u8> {
        let written = || {
            let Item::Recipe(recipe) = self.rc.items().get(self.item)? else { return None };
            let condition = recipe.conditions.get(self.which.checked_sub(1)?)?;
            let before = condition.text.strip_suffix(text)?;
            let line = self.rc.text(condition.span).trim_ascii_end();
            let line = line.strip_prefix(b"*").unwrap_or(line).trim_ascii_start().strip_prefix(before)?;
            Some(command_text(line))
        };
        written().as_deref().unwrap_or(text).split_first().map_or_else(Vec::new, |(_, line)| line.to_vec())
    }

    fn subject(&self, test: &Test) -> Subject {
        let area = if test.stage == Stage::Size { Area::Whole } else { self.head.searched() };
        test.subject.clone().unwrap_or(Subject::Area(area))
    }
}

fn skip_blanks(text: &mut Vec<u8>) {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    text.drain(..blanks);
}

impl Evaluator {
    /// Goes on with the conditions of a recipe, and then to its action.
    pub(super) fn conditions(&mut self, mut run: Conditions) {
        let rc = run.rc.clone();
        let Some(Item::Recipe(recipe)) = rc.items().get(run.item) else { return };
        let mut begun = run.test.is_some();
        loop {
            let Some(mut test) = run.test.take() else {
                if self.setup.pauses
                    && std::mem::replace(&mut begun, true)
                    && run.which < recipe.conditions.len()
                {
                    self.tasks.push(Task::Conditions(Box::new(run)));
                    return;
                }
                let Some(condition) = recipe.conditions.get(run.which) else {
                    self.score = shown(run.total);
                    let matches = !run.scored || run.total > 0.0;
                    self.matched(&run, matches, &recipe.action);
                    return;
                };
                run.which += 1;
                if condition.text.len() >= self.numbers.line_buffer {
                    self.overflow();
                    self.score = shown(run.total);
                    self.matched(&run, false, &recipe.action);
                    return;
                }
                run.test = Some(Test {
                    text: condition.text.clone(),
                    negated: false,
                    weight: None,
                    subject: None,
                    stage: Stage::Prefix,
                });
                continue;
            };
            let verdict = match test.stage {
                Stage::Expanded => {
                    match std::mem::take(&mut self.value) {
                        Value::Words(words) => test.text = words.concat(),
                        _ => {
                            self.score = shown(run.total);
                            self.tested(&run, &test, |_, test| untested(test), Judged::TooLong);
                            self.matched(&run, false, &recipe.action);
                            return;
                        }
                    }
                    test.stage = Stage::Prefix;
                    run.test = Some(test);
                    continue;
                }
                Stage::Prefix => match self.prefixes(&mut run, test) {
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
                Verdict::Score(total) => {
                    run.scored = true;
                    run.total = total.clamp(-LIMIT, LIMIT);
                    if run.total == -LIMIT {
                        self.score = shown(run.total);
                        self.matched(&run, false, &recipe.action);
                        return;
                    }
                }
            }
        }
    }

    /// Takes what stands before the condition proper, then tests it. Nothing when a task has to end first.
    fn prefixes(&mut self, run: &mut Conditions, mut test: Test) -> Option<Verdict> {
        loop {
            skip_blanks(&mut test.text);
            match test.text.first() {
                Some(b'!') => {
                    test.negated = !test.negated;
                    test.text.remove(0);
                }
                Some(b'$') => {
                    let text = parse_text(&test.text[1..], 0, Mode::Quoted);
                    test.stage = Stage::Expanded;
                    run.test = Some(test);
                    self.tasks.push(Task::Conditions(Box::new(run.clone())));
                    self.tasks.push(Task::Expand(Expand::new(Arc::new(text), Mode::Quoted, 0)));
                    return None;
                }
                Some(b'<' | b'>') => {
                    if self.unneeded(run, &test) {
                        return Some(Verdict::Score(run.total));
                    }
                    // Words, but values do not split.
                    let mut text = parse_text(&test.text, 0, Mode::Words);
                    for part in text.parts.iter_mut().filter(|part| **part == Part::Break) {
                        *part = Part::Bytes(b" ".to_vec());
                    }
                    test.stage = Stage::Size;
                    run.test = Some(test);
                    self.tasks.push(Task::Conditions(Box::new(run.clone())));
                    self.tasks.push(Task::Expand(Expand::new(Arc::new(text), Mode::Quoted, 0)));
                    return None;
                }
                Some(b'?') => {
                    if self.unneeded(run, &test) {
                        return Some(Verdict::Score(run.total));
                    }
                    let line = run.command(&test.text);
                    let mut input = self.subject(&self.mail, run, &test).into_owned();
                    if !input.ends_with(b"\n\n") {
                        input.push(b'\n');
                    }
                    self.written = input.len() as u64;
                    test.stage = Stage::Program;
                    run.test = Some(test);
                    self.tasks.push(Task::Conditions(Box::new(run.clone())));
                    let command = RunCommand::new(line, Purpose::Condition).fed(input.into());
                    self.tasks.push(Task::Command(command));
                    return None;
                }
                _ => {
                    if let Some((weight, used)) = Weight::parse(&test.text) {
                        test.weight = Some(weight);
                        test.text.drain(..used);
                    } else if let Some((name, used)) = searched_variable(&test.text) {
                        self.header_joined |= matches!(name.as_slice(), b"H" | b"HB" | b"BH");
                        test.subject = Some(match name.as_slice() {
                            b"H" => Subject::Area(Area::Header),
                            b"B" => Subject::Area(Area::Body),
                            b"HB" | b"BH" => Subject::Area(Area::Whole),
                            _ => Subject::Variable(name),
                        });
                        test.text.drain(..used);
                    } else if self.unneeded(run, &test) {
                        return Some(Verdict::Score(run.total));
                    } else {
                        return Some(self.expression(run, &test));
                    }
                }
            }
        }
    }

    /// Whether a condition with a weight no longer counts.
    fn unneeded(&mut self, run: &Conditions, test: &Test) -> bool {
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
        test: &Test,
        what: impl FnOnce(&Self, &Test) -> trace::Test,
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

    /// What a condition looks at. The mail is handed in so that it need not be copied.
    fn subject<'m>(&self, mail: &'m Mail, run: &Conditions, test: &Test) -> Cow<'m, [u8]> {
        match &test.subject {
            None => mail.searched(run.head.searched()),
            Some(Subject::Area(area)) => mail.searched(*area),
            Some(Subject::Variable(name)) => Cow::Owned(self.lookup(name).unwrap_or_default()),
        }
    }

    fn expression(&mut self, run: &Conditions, test: &Test) -> Verdict {
        let case = if run.head.exact_case { Case::Exact } else { Case::Fold };
        let Some(expression) = self.setup.expressions.expression(&test.text, case) else {
            self.overflow();
            self.tested(run, test, |_, test| untested(test), Judged::TooLong);
            return Verdict::Plain(false);
        };
        let Expression { text: shown_text, regex } = &*expression;
        if !regex.is_balanced() {
            self.complain_of("Invalid regexp", shown_text.strip_prefix(b"\\").unwrap_or(shown_text));
        }
        let mail = self.mail.clone();
        let text = self.subject(&mail, run, test);
        let searched = match run.subject(test) {
            Subject::Area(area) => mail.folded(area, &text),
            Subject::Variable(_) => Searched::new(&text),
        };
        let of_match = matches!(&test.subject, Some(Subject::Variable(name)) if name == b"MATCH")
            && self.variables.get(b"MATCH").is_some();
        let mut matches = 0;
        let mut first = None;
        let mut see = |this: &mut Self, found: Match| {
            if let Some(marked) = found.marked() {
                this.set_match(&text[marked], of_match);
            }
            matches += 1;
            first.get_or_insert(found);
        };
        let verdict = match test.weight {
            None => {
                let found = regex.find_first(&searched);
                let is_found = found.is_some();
                if let Some(found) = found {
                    see(self, found);
                }
                self.plain(test, shown_text, is_found)
            }
            Some(weight) if test.negated => {
                let score = match regex.find_first(&searched) {
                    Some(found) => {
                        see(self, found);
                        0.0
                    }
                    None => weight.weight,
                };
                self.scored(run.total, test, shown_text, score)
            }
            Some(weight) => {
                let score = weight.of_matches(regex, &searched, |found| see(self, found));
                self.scored(run.total, test, shown_text, score)
            }
        };
        let what = |this: &Self, test: &Test| trace::Test::Expression {
            pattern: test.text.clone(),
            found: first.map(|found| this.found(&run.subject(test), regex, &text, &found)),
            matches,
        };
        self.tested(run, test, what, verdict.judged(run.total));
        verdict
    }

    /// What is told of a match.
    fn found(&self, subject: &Subject, regex: &Regex, text: &[u8], found: &Match) -> Found {
        let end = found.end().min(text.len());
        let start = regex.last_start(text, found.end());
        let range = start..end.max(start);
        let offset = match subject {
            Subject::Area(Area::Body) => Some(self.mail.area(Area::Header).len() + start),
            Subject::Area(_) => Some(start),
            Subject::Variable(_) => None,
        };
        Found {
            text: text[range.start..range.end.min(range.start.saturating_add(MOST_TEXT))].to_vec(),
            marked: found.marked(),
            place: offset.map(|offset| MailPlace::new(&self.mail, offset)),
            range,
        }
    }

    fn set_match(&mut self, value: &[u8], of_match: bool) {
        // Variables end at a NUL.
        let value = value.split(|&byte| byte == 0).next().unwrap_or_default();
        if !of_match {
            self.tell_of("Assigning", b"MATCH=");
        }
        self.set_variable(b"MATCH", value);
        self.tell_of("Matched", value);
    }

    fn plain(&mut self, test: &Test, text: &[u8], found: bool) -> Verdict {
        let matches = found != test.negated;
        let what = match (matches, test.negated) {
            (true, false) => "Match on",
            (false, false) => "No match on",
            (true, true) => "Match on !",
            (false, true) => "No match on !",
        };
        self.tell_of(what, text);
        Verdict::Plain(matches)
    }

    /// Adds to the score. The verdict has the total.
    fn scored(&mut self, total: f64, test: &Test, text: &[u8], score: f64) -> Verdict {
        let total = total + score;
        let not = if test.negated { " !" } else { "" };
        let line = format!("Score: {:7} {:>7}{not} \"", whole(score), told(total));
        self.tell(&[line.as_bytes(), text, b"\""].concat());
        Verdict::Score(total)
    }

    fn size(&mut self, run: &Conditions, test: &Test, text: Vec<u8>) -> Verdict {
        let operand = text.get(1..).unwrap_or_default();
        let blanks = operand.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let sign = usize::from(matches!(operand.get(blanks), Some(b'+' | b'-')));
        let digits = operand[blanks + sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let used = if digits > 0 { blanks + sign + digits } else { blanks };
        let limit = operand[used - digits..used]
            .iter()
            .fold(0i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
        let limit = if digits > 0 && operand[blanks] == b'-' { -limit } else { limit };
        let rest = operand[used..].trim_ascii();
        if !rest.is_empty() {
            self.complain_of("Skipped", rest);
        }
        let size = match &test.subject {
            None => self.mail.bytes().len(),
            Some(Subject::Area(area)) => self.mail.area(*area).len(),
            Some(Subject::Variable(name)) => self.lookup(name).unwrap_or_default().len(),
        } as i64;
        let less = text.first() == Some(&b'<');
        let verdict = match test.weight {
            None => self.plain(test, &text, if less { size < limit } else { size > limit }),
            Some(weight) => {
                let (size, limit) = (size as f64, limit as f64);
                let less = less != test.negated;
                let (size, limit) = if less { (limit, size) } else { (size, limit) };
                let score = weight.of_ratio(size, limit, less);
                self.scored(run.total, test, &text, score)
            }
        };
        let what = |_: &Self, _: &Test| trace::Test::Size { less, limit, size };
        self.tested(run, test, what, verdict.judged(run.total));
        verdict
    }

    fn program(&mut self, run: &Conditions, test: &Test, value: Value) -> Verdict {
        let (code, text) = match value {
            Value::Ran(ran, command) => {
                self.complain_of_exit(ran.exit, command.name(), true);
                (ran.exit.number(), command.text(b" "))
            }
            _ => (1, Vec::new()),
        };
        let verdict = match test.weight {
            None => self.plain(test, &text, code == 0),
            Some(weight) => {
                let score = match (test.negated, code) {
                    (false, 0) => weight.weight,
                    (false, _) => weight.exponent,
                    (true, code) => weight.of_count(code),
                };
                self.scored(run.total, test, &text, score)
            }
        };
        let what = |_: &Self, _: &Test| trace::Test::Program { command: text, exit: code };
        self.tested(run, test, what, verdict.judged(run.total));
        verdict
    }
}

impl Verdict {
    fn judged(&self, before: f64) -> Judged {
        match *self {
            Self::Plain(true) => Judged::Holds,
            Self::Plain(false) => Judged::Fails,
            Self::Score(total) => Judged::Scores { added: total - before, total },
        }
    }
}

fn untested(test: &Test) -> trace::Test {
    trace::Test::None(test.text.clone())
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
