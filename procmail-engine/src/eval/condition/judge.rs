//! What a condition comes to: an expression, a size, or the exit code of a program.

use super::super::score::{added, told};
use super::super::trace::{self, Found, MOST_TEXT, MailPlace, Subject};
use super::super::{Evaluator, Value};
use super::{Conditions, Judged, Test, Verdict, untested};
use crate::mail::Area;
use crate::regex::{Case, Expression, Match, Regex, Searched};

impl Evaluator {
    pub(super) fn expression(&mut self, run: &Conditions, test: &Test<'_>) -> Verdict {
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
            Subject::Area(area) if self.header_joined => mail.folded(area, &text),
            _ => Searched::new(&text),
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
                let total = match regex.find_first(&searched) {
                    Some(found) => {
                        see(self, found);
                        run.total
                    }
                    None => run.total + weight.weight,
                };
                self.scored(run.total, test, shown_text, total)
            }
            Some(weight) => {
                let total = weight.of_matches(run.total, regex, &searched, |found| see(self, found));
                self.scored(run.total, test, shown_text, total)
            }
        };
        let what = |this: &Self, test: &Test<'_>| trace::Test::Expression {
            pattern: test.text.to_vec(),
            found: first.map(|found| this.found(&run.subject(test), regex, &text, &found)),
            matches,
        };
        self.tested(run, test, what, verdict.judged(run.total));
        verdict
    }

    /// What is told of a match.
    fn found(&self, subject: &Subject, regex: &Regex, text: &[u8], found: &Match) -> Found {
        let start = regex.last_start(text, found.end());
        let end = found.marked().map_or(0, |marked| marked.end).max(found.end()).min(text.len());
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

    fn plain(&mut self, test: &Test<'_>, text: &[u8], found: bool) -> Verdict {
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

    /// Tells of the score. The verdict has the total.
    fn scored(&mut self, before: f64, test: &Test<'_>, text: &[u8], total: f64) -> Verdict {
        let added = added(before, total);
        let not = if test.negated { " !" } else { "" };
        let line = format!("Score: {added:7} {:>7}{not} \"", told(total));
        self.tell(&[line.as_bytes(), text, b"\""].concat());
        Verdict::Score(total)
    }

    pub(super) fn size(&mut self, run: &Conditions, test: &Test<'_>, text: Vec<u8>) -> Verdict {
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
                let total = weight.of_ratio(run.total, size, limit, less);
                self.scored(run.total, test, &text, total)
            }
        };
        let what = |_: &Self, _: &Test<'_>| trace::Test::Size { less, limit, size };
        self.tested(run, test, what, verdict.judged(run.total));
        verdict
    }

    pub(super) fn program(&mut self, run: &Conditions, test: &Test<'_>, value: Value) -> Verdict {
        let (code, text) = match value {
            Value::Ran(ran, command) => {
                self.complain_of_exit(ran.exit, command.name(), true);
                (ran.exit.number(), command.text(b" "))
            }
            // What did not run has not failed.
            Value::NotStarted(command) => (0, command.text(b" ")),
            _ => (1, Vec::new()),
        };
        let verdict = match test.weight {
            None => self.plain(test, &text, code == 0),
            Some(weight) => {
                let total = match (test.negated, code) {
                    (false, 0) => run.total + weight.weight,
                    (false, ..0) => run.total,
                    (false, _) => run.total + weight.exponent,
                    (true, code) => weight.of_count(run.total, code),
                };
                let verdict = self.scored(run.total, test, &text, total);
                // What a signal ended adds nothing, and no recipe matches with it.
                if code < 0 && !test.negated { Verdict::Fatal(total) } else { verdict }
            }
        };
        let what = |_: &Self, _: &Test<'_>| trace::Test::Program { command: text, exit: code };
        self.tested(run, test, what, verdict.judged(run.total));
        verdict
    }
}
