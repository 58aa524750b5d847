//! Which recipes a mail can reach.

use super::Checker;
use super::code::Code;
use crate::syntax::Span;

/// What matters of a recipe for those that follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// Its first line.
    pub(super) line: Span,
    pub(super) copies: bool,
    pub(super) also: bool,
    pub(super) also_if_succeeded: bool,
    pub(super) or_else: bool,
    pub(super) on_error: bool,
    /// It has no condition that could be false.
    pub(super) always: bool,
    /// Its `c`.
    pub(super) copy_flag: Option<Span>,
}

/// What becomes of a mail that a recipe matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// The next recipe has it.
    GoesOn,
    /// It is delivered if a program succeeds.
    Likely,
    /// It is delivered, unless a disk or program fails.
    Delivered,
}

/// The recipes of a file, or of a block.
#[derive(Debug)]
pub(super) struct Level {
    /// The brace and the recipe of the block.
    block: Option<(Span, Facts)>,
    has_recipe: bool,
    /// Whether it is in a block that runs as a copy.
    in_copy: bool,
    /// What ends the level, and whether by a delivery.
    ended: Option<(Span, bool)>,
    told: bool,
    /// One of the chain of `E` always matches.
    always: bool,
    /// The chain of `E`: what becomes of a mail that matches in it, at the worst.
    chain: Outcome,
    /// The last recipe without `A` and `a`, if it keeps the mail.
    head: Option<(Facts, Outcome)>,
    /// That recipe always matches.
    head_always: bool,
    /// What the last recipe does.
    last: Option<(Facts, Outcome)>,
    outcome: Outcome,
}

impl Level {
    pub(super) fn of_file() -> Self {
        Self {
            block: None,
            has_recipe: false,
            in_copy: false,
            ended: None,
            told: false,
            always: false,
            chain: Outcome::GoesOn,
            head: None,
            head_always: false,
            last: None,
            outcome: Outcome::GoesOn,
        }
    }

    fn of_block(brace: Span, facts: Facts) -> Self {
        // Within a block, the one that opened it counts as the recipe before.
        Self { block: Some((brace, facts)), always: true, ..Self::of_file() }
    }

    pub(super) fn brace(&self) -> Span {
        self.block.map_or(Span::default(), |(brace, _)| brace)
    }
}

impl Checker<'_> {
    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the level of the file stays")
    }

    pub(super) fn at_top(&self) -> bool {
        self.levels.len() == 1
    }

    pub(super) fn in_copy(&self) -> bool {
        self.levels.last().is_some_and(|level| level.in_copy)
    }

    /// A recipe starts.
    pub(super) fn reach(&mut self, facts: Facts) {
        let top = self.at_top();
        let includes = self.variables.includes;
        let level = self.level();
        let first = !std::mem::replace(&mut level.has_recipe, true);
        let (always, head, last) = (level.always, level.head, level.last);
        if let Some((end, delivers)) = level.ended.filter(|_| !level.told && !facts.on_error) {
            level.told = true;
            let (message, related) = if delivers {
                ("this recipe is reached only if the delivery above fails", "this takes every mail")
            } else {
                ("this recipe is never reached", "processing ends here")
            };
            self.report.add(Code::Unreachable, facts.line, message).related(end, related);
            return;
        }
        if facts.or_else && !facts.on_error && always {
            let entry = self.report.add(
                Code::Unreachable,
                facts.line,
                if first {
                    "`E` on the first recipe of a block never applies: the block counts as one that matched"
                } else {
                    "`E` never applies here: a recipe before it in the chain always matches"
                },
            );
            if let Some((last, _)) = last {
                entry.related(last.line, "the recipe before");
            }
            return;
        }
        let chained = facts.also || facts.also_if_succeeded || facts.on_error;
        if first && top && (chained || facts.or_else) && !includes {
            let message = if chained {
                "this recipe depends on the one before, and there is none: it never applies"
            } else {
                "`E` depends on the recipe before, and there is none: it always applies"
            };
            self.report
                .add(Code::ChainWithoutStart, facts.line, message)
                .help("remove the flag, unless another rc file includes this one");
            return;
        }
        if facts.on_error {
            return;
        }
        let ends = |(before, outcome): &(Facts, Outcome), least: Outcome| !before.copies && *outcome >= least;
        let before = if facts.also_if_succeeded {
            last.filter(|last| ends(last, Outcome::Likely))
        } else if facts.also {
            head.filter(|head| ends(head, Outcome::Delivered))
        } else {
            None
        };
        if let Some((before, _)) = before {
            self.report
                .add(
                    Code::AlsoAfterDelivery,
                    facts.line,
                    "this recipe applies only if the one before matched, but that one keeps the mail",
                )
                .related(before.line, "this one needs the `c` flag to let the mail go on");
        }
    }

    /// Whether a recipe runs only once another has delivered a copy.
    pub(super) fn copied_before(&self, facts: Facts) -> bool {
        let Some(level) = self.levels.last() else { return false };
        let before = if facts.also_if_succeeded { level.last } else { level.head.filter(|_| facts.also) };
        before.is_some_and(|(before, _)| before.copies)
    }

    /// A recipe ends, be it a block or not.
    pub(super) fn pass(&mut self, facts: Facts, outcome: Outcome) {
        let outcome = if facts.copies { Outcome::GoesOn } else { outcome };
        let level = self.level();
        level.last = Some((facts, outcome));
        let chained = facts.also || facts.also_if_succeeded || facts.on_error;
        if !facts.also && !facts.also_if_succeeded {
            level.head = Some((facts, outcome));
            level.head_always = facts.always && !facts.or_else && !facts.on_error;
        }
        let takes = |level: &Level, worst: Outcome| {
            if worst == Outcome::Delivered { level.ended.or(Some((facts.line, true))) } else { level.ended }
        };
        if chained {
            level.always = false;
            level.chain = Outcome::GoesOn;
            if level.head_always && facts.always && !facts.on_error {
                level.outcome = level.outcome.max(outcome.min(Outcome::Likely));
            }
            return;
        }
        if facts.or_else {
            level.chain = level.chain.min(outcome);
            level.always |= facts.always;
        } else {
            level.chain = outcome;
            level.always = facts.always;
        }
        if level.always {
            level.ended = takes(level, level.chain);
            level.outcome = level.outcome.max(level.chain);
        }
    }

    /// The file, or what stands for it, may end here by an assignment.
    pub(super) fn may_stop(&mut self, span: Span, surely: bool) {
        let level = self.level();
        level.outcome = level.outcome.max(Outcome::Likely);
        if surely {
            level.ended = level.ended.or(Some((span, false)));
        }
    }

    /// A block opens.
    pub(super) fn open(&mut self, brace: Span, facts: Facts) {
        let in_copy = self.in_copy() || facts.copies;
        self.levels.push(Level { in_copy, ..Level::of_block(brace, facts) });
    }

    /// A block closes.
    pub(super) fn close(&mut self, span: Span) {
        if self.levels.len() < 2 {
            return;
        }
        let Some(level) = self.levels.pop() else { return };
        let Some((brace, facts)) = level.block else { return };
        if self.suspect.is_none() {
            let column = |at: usize| self.report.lines.place(at).column;
            let lines = (self.report.lines.line(brace.start), self.report.lines.line(span.start));
            let start = self.report.lines.start(lines.1);
            // A brace further to the right than this is no question of indentation.
            let near = span.start - start < 200;
            let first_on_line = near && self.report.source[start..span.start].trim_ascii().is_empty();
            if first_on_line && lines.0 != lines.1 && column(span.start) < column(brace.start) {
                self.suspect = Some((brace, span));
            }
        }
        if let Some(flag) =
            facts.copy_flag.filter(|_| level.outcome == Outcome::GoesOn && level.ended.is_none())
        {
            self.report
                .add(
                    Code::ForkFallsOut,
                    flag,
                    "the copy that runs this block goes on behind it, as the mail itself does: both are delivered there",
                )
                .related(span, "the copy comes out here")
                .help("end the block with a recipe that delivers in any case");
        }
        let outcome = match level.ended {
            Some((_, false)) => Outcome::Likely,
            _ => level.outcome,
        };
        self.pass(facts, outcome);
    }

    /// The file ends.
    pub(super) fn end(&mut self) {
        if let Some((span, folder)) = self.last_copy.take() {
            self.report
                .add(
                    Code::CopyFallsThrough,
                    span,
                    format!("a copy goes to `{folder}`, and the mail itself goes on to $DEFAULT"),
                )
                .help("leave the `c` out if the folder is where the mail belongs");
        }
    }
}
