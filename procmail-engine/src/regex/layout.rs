//! The instructions of an expression, in the order in which procmail lays them out.

use super::parse::Inst;
use super::tokens::{Item, Repeat, Token};

/// The instructions for the tokens, and the marks among them, each with where the text says that it goes on.
pub(super) fn lay_out(tokens: &[Token]) -> (Vec<Inst>, Vec<(usize, usize)>) {
    let mut layout = Layout { insts: Vec::new(), labels: vec![0], open: Vec::new(), marks: Vec::new() };
    layout.lay_out(tokens);
    layout.finish()
}

/// Lays out the program. Until it is done, instructions name labels rather than places.
struct Layout {
    insts: Vec<Inst>,
    /// The place of each label; the first is the end of the program.
    labels: Vec<usize>,
    open: Vec<Around>,
    /// The marks, each with the label at which the text says that it goes on.
    marks: Vec<(usize, usize)>,
}

const END: usize = 0;

/// What is to be done around an item, or around all.
struct Around {
    /// Where what is inside goes on.
    inside: usize,
    /// Where the next alternative starts, if a fork leads there.
    alternative: Option<usize>,
    repeat: Repeat,
    start: usize,
    behind: usize,
    last: bool,
}

impl Layout {
    fn lay_out(&mut self, tokens: &[Token]) {
        self.open.push(Around {
            inside: END,
            alternative: None,
            repeat: Repeat::Once,
            start: END,
            behind: END,
            last: true,
        });
        for token in tokens {
            match *token {
                Token::Alternative { more, empty } => self.alternative(more, empty),
                Token::Item { what, repeat, last } => {
                    let around = self.before(repeat, last);
                    let next = around.inside;
                    let behind = self.insts.len() + 1;
                    match what {
                        Item::Set(number) => self.insts.push(Inst::Bytes(number, next)),
                        Item::Edge => self.insts.push(Inst::Edge(next)),
                        Item::Mark => {
                            self.marks.push((behind - 1, next));
                            self.insts.push(Inst::Mark(behind));
                        }
                        Item::Group => {
                            self.open.push(around);
                            continue;
                        }
                    }
                    self.behind(&around);
                }
                Token::Close => {
                    if let Some(around) = self.open.pop() {
                        self.behind(&around);
                    }
                }
            }
        }
    }

    /// With the places of the labels: the program, and the marks.
    fn finish(mut self) -> (Vec<Inst>, Vec<(usize, usize)>) {
        self.labels[END] = self.insts.len();
        let labels = &self.labels;
        for inst in &mut self.insts {
            match inst {
                Inst::Jump(label) | Inst::Fork(_, label) | Inst::Bytes(_, label) | Inst::Edge(label) => {
                    *label = labels[*label];
                }
                Inst::Mark(_) | Inst::Accept => {}
            }
        }
        for (_, label) in &mut self.marks {
            *label = labels[*label];
        }
        self.insts.push(Inst::Accept);
        (self.insts, self.marks)
    }

    fn label(&mut self) -> usize {
        self.labels.push(usize::MAX);
        self.labels.len() - 1
    }

    fn bind(&mut self, label: usize) {
        self.labels[label] = self.insts.len();
    }

    fn fork(&mut self, label: usize) {
        self.insts.push(Inst::Fork(self.insts.len() + 1, label));
    }

    fn alternative(&mut self, more: bool, empty: bool) {
        let next = self.label();
        let Some(group) = self.open.last_mut() else { return };
        let inside = group.inside;
        let this = group.alternative.take();
        group.alternative = (more && !empty).then_some(next);
        if let Some(this) = this {
            self.bind(this);
        }
        match (more, empty) {
            (true, true) => self.fork(inside),
            (true, false) => self.fork(next),
            (false, true) => self.insts.push(Inst::Jump(inside)),
            (false, false) => {}
        }
    }

    /// What stands before an item.
    fn before(&mut self, repeat: Repeat, last: bool) -> Around {
        let outside = self.open.last().map_or(END, |group| group.inside);
        let behind = self.label();
        let start = self.label();
        self.bind(start);
        let exit = if last { outside } else { behind };
        let inside = match repeat {
            Repeat::Once => exit,
            Repeat::Optional => {
                self.fork(exit);
                exit
            }
            Repeat::Any => {
                self.fork(exit);
                start
            }
            Repeat::Many => self.label(),
        };
        Around { inside, alternative: None, repeat, start, behind, last }
    }

    /// What stands behind it.
    fn behind(&mut self, around: &Around) {
        if around.repeat == Repeat::Many {
            self.bind(around.inside);
            self.fork(around.start);
            if around.last {
                let outside = self.open.last().map_or(END, |group| group.inside);
                self.insts.push(Inst::Jump(outside));
            }
        }
        if around.behind != END {
            self.bind(around.behind);
        }
    }
}
