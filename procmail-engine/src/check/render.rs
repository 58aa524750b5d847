//! Diagnostics as text for a terminal.

use std::fmt::Write;

use super::diagnostic::{Applicability, Diagnostic, Edit, Severity};
use super::report::Lines;
use crate::syntax::{Rc, Span};

/// Whether the text has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Colours {
    /// Plain text.
    #[default]
    Never,
    /// The escape sequences of ANSI terminals.
    Ansi,
}

/// As much of a line as is shown before and behind what is meant.
const AROUND: usize = 100;

/// Writes diagnostics with the lines they are about, in the manner of compilers. What is not printable in the source is
/// shown as a replacement character, so that an rc file cannot send commands to a terminal.
///
/// ```
/// use procmail_engine::check::{Colours, check, render};
/// use procmail_engine::syntax::Rc;
///
/// let rc = Rc::parse(b":0\n* ^Subject:.*cats\ncats\n".to_vec());
/// let text = render(&rc, ".procmailrc", &check(&rc), Colours::Never);
/// assert_eq!(
///     text,
///     "\
/// warning[missing-lock]: the mailbox `cats` is written to without a lock
///  --> .procmailrc:1:1
///   |
/// 1 | :0
///   | ^^
///   |
///   = help: add a second colon; or write `cats/` if it is a Maildir, which needs none: `:0:`
///
/// "
/// );
/// ```
pub fn render(rc: &Rc, name: &str, diagnostics: &[Diagnostic], colours: Colours) -> String {
    let source = rc.source();
    let lines = Lines::of(source);
    let mut out = String::new();
    let name: String = name.chars().map(shown).collect();
    for diagnostic in diagnostics {
        let page = Page { source, lines: &lines, name: &name, colours };
        // Writing to a string does not fail.
        let _ = page.diagnostic(&mut out, diagnostic);
    }
    out
}

fn shown(c: char) -> char {
    if c == '\t' {
        ' '
    } else if c.is_control() {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

struct Page<'a> {
    source: &'a [u8],
    lines: &'a Lines,
    name: &'a str,
    colours: Colours,
}

impl Page<'_> {
    fn paint(&self, code: &str, text: &str) -> String {
        match self.colours {
            Colours::Never => text.to_owned(),
            Colours::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    fn diagnostic(&self, out: &mut String, diagnostic: &Diagnostic) -> std::fmt::Result {
        let colour = match diagnostic.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Hint => "1;36",
        };
        let kind = self.paint(colour, &format!("{}[{}]", diagnostic.severity, diagnostic.code));
        let message: String = diagnostic.message.chars().map(shown).collect();
        writeln!(out, "{kind}: {message}")?;
        let digits = diagnostic
            .related
            .iter()
            .map(|related| related.place.line)
            .chain([diagnostic.place.line])
            .max()
            .unwrap_or(0)
            .to_string()
            .len();
        let bar = format!("{:digits$} {}", "", self.paint("34", "|"));
        let place = diagnostic.place;
        let arrow = self.paint("34", "-->");
        writeln!(out, "{:digits$}{arrow} {}:{}:{}", "", self.name, place.line, place.column)?;
        writeln!(out, "{bar}")?;
        match &diagnostic.related {
            None => self.excerpt(out, diagnostic.span, digits, colour, "")?,
            Some(related) => {
                let message: String = related.message.chars().map(shown).collect();
                let (first, second) = (diagnostic.place.line, related.place.line);
                let above = second < first;
                if above {
                    self.excerpt(out, related.span, digits, "34", &message)?;
                    self.gap(out, second, first)?;
                }
                self.excerpt(out, diagnostic.span, digits, colour, "")?;
                if !above {
                    self.gap(out, first, second)?;
                    self.excerpt(out, related.span, digits, "34", &message)?;
                }
            }
        }
        if let Some(suggestion) = &diagnostic.suggestion {
            writeln!(out, "{bar}")?;
            let how = self.edited(&suggestion.edits).map_or_else(String::new, |line| format!(": `{line}`"));
            let message: String = suggestion.message.chars().chain(how.chars()).map(shown).collect();
            writeln!(out, "{:digits$} {} help: {message}", "", self.paint("34", "="))?;
        }
        writeln!(out)
    }

    /// Stands for the lines between two.
    fn gap(&self, out: &mut String, first: usize, second: usize) -> std::fmt::Result {
        if second > first + 1 { writeln!(out, "{}", self.paint("34", "...")) } else { Ok(()) }
    }

    /// What a line looks like once the edits in it are made; nothing if there is not much to see.
    fn edited(&self, edits: &[Edit]) -> Option<String> {
        let (first, last) = (edits.first()?, edits.last()?);
        let number = self.lines.line(first.span.start);
        let start = self.lines.start(number);
        let near = &self.source[start..self.source.len().min(start + 2 * AROUND)];
        let cut = start + near.len() < self.source.len();
        let end = match memchr::memchr(b'\n', near) {
            Some(end) => start + end,
            // Too long a line to be shown again.
            None if cut => return None,
            None => self.source.len(),
        };
        if last.span.end > end {
            return None;
        }
        let mut text = String::new();
        let mut at = start;
        for edit in edits {
            text += &String::from_utf8_lossy(self.source.get(at..edit.span.start)?);
            text += &edit.replacement;
            at = edit.span.end;
        }
        text += &String::from_utf8_lossy(&self.source[at..end]);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn excerpt(
        &self,
        out: &mut String,
        span: Span,
        digits: usize,
        colour: &str,
        label: &str,
    ) -> std::fmt::Result {
        let number = self.lines.line(span.start);
        let start = self.lines.start(number);
        let rest = &self.source[span.start..];
        let line_end = span.start
            + rest[..rest.len().min(2 * AROUND)]
                .iter()
                .position(|&byte| byte == b'\n')
                .unwrap_or(rest.len().min(2 * AROUND));
        let from = span.start.saturating_sub(AROUND).max(start);
        let to = span.end.clamp(span.start, line_end);
        let text = |from: usize, to: usize| -> String {
            String::from_utf8_lossy(&self.source[from..to]).chars().map(shown).collect()
        };
        let before = text(from, span.start);
        let marked = text(span.start, to);
        let behind = text(to, line_end);
        let cut = if from > start { "…" } else { "" };
        let line = self.paint("34", &format!("{:digits$} |", number + 1));
        writeln!(out, "{line} {cut}{}", format!("{before}{marked}{behind}").trim_end())?;
        let bar = format!("{:digits$} {}", "", self.paint("34", "|"));
        let indent = before.chars().count() + cut.chars().count();
        let sign = if label.is_empty() { "^" } else { "-" };
        let carets = self.paint(colour, &sign.repeat(marked.trim_end().chars().count().max(1)));
        let label = if label.is_empty() { String::new() } else { format!(" {label}") };
        writeln!(out, "{bar} {:indent$}{carets}{label}", "")
    }
}

/// Makes the edits that need no look at them ([`Applicability::Automatic`]). Where two overlap, the first one is made.
///
/// ```
/// use procmail_engine::check::{check, fix};
/// use procmail_engine::syntax::Rc;
///
/// let rc = Rc::parse(b":0f\n| spamc\n".to_vec());
/// assert_eq!(fix(&rc, &check(&rc)), b":0fw\n| spamc\n");
/// ```
pub fn fix(rc: &Rc, diagnostics: &[Diagnostic]) -> Vec<u8> {
    let mut edits: Vec<_> = diagnostics
        .iter()
        .filter_map(|diagnostic| diagnostic.suggestion.as_ref())
        .filter(|suggestion| suggestion.applicability == Applicability::Automatic)
        .flat_map(|suggestion| &suggestion.edits)
        .collect();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let source = rc.source();
    let mut out = Vec::with_capacity(source.len());
    let mut at = 0;
    let mut inserted_at = None;
    for edit in edits {
        if edit.span.start < at || inserted_at == Some(edit.span.start) {
            continue;
        }
        out.extend_from_slice(&source[at..edit.span.start]);
        out.extend_from_slice(edit.replacement.as_bytes());
        at = edit.span.end;
        inserted_at = Some(edit.span.start);
    }
    out.extend_from_slice(&source[at..]);
    out
}
