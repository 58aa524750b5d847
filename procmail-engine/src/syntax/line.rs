//! The first line of a recipe as it is written, before any variable in it has a value.

use super::text::{Mode, Part, Text, parse_text};
use super::{Recipe, Span};

/// What stands behind the colon of a recipe, read without expanding it.
///
/// The evaluator reads the expanded text instead; the two agree on lines whose flags are written out, which is all but a
/// few.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecipeLine {
    /// The number behind the colon: old rc files count their conditions there.
    pub number: Option<Span>,
    /// The flags, each with the place of its letter.
    pub flags: Vec<(u8, usize)>,
    /// The local lock, if one is asked for.
    pub lock: Option<Lock>,
    /// What procmail skips: from the first byte that is no flag, or behind the name of the lock.
    pub rest: Option<Span>,
    /// The comment at the end of the line.
    pub comment: Option<Span>,
    /// Whether flags may come from variables, backquotes or quotes, so that this is not all there is.
    pub opaque: bool,
}

/// The local lock of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Where its colon stands.
    pub colon: usize,
    /// Its name; nothing if it is to be derived from the folder.
    pub name: Option<Text>,
}

impl RecipeLine {
    /// Reads the line of a recipe in its source.
    pub fn read(source: &[u8], recipe: &Recipe) -> Self {
        let mut line = Self::default();
        let end = recipe.head.span.end;
        let mut at = recipe.head.span.start;
        let blank = |at: usize| matches!(source.get(at), Some(b' ' | b'\t'));
        while at < end && blank(at) {
            at += 1;
        }
        let digits = source[at..end].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            line.number = Some(Span { start: at, end: at + digits });
        }
        at += digits;
        while at < end {
            match source[at] {
                b' ' | b'\t' => {}
                b'#' if at == recipe.head.span.start || blank(at - 1) => {
                    line.comment = Some(Span { start: at, end });
                    return line;
                }
                flag if b"HBDAaEehbfcwWir".contains(&flag) => line.flags.push((flag, at)),
                b':' => {
                    line.read_lock(source, at, end);
                    return line;
                }
                b'$' | b'`' | b'"' | b'\'' | b'\\' => {
                    line.opaque = true;
                    return line;
                }
                _ => {
                    line.read_rest(source, at, end);
                    return line;
                }
            }
            at += 1;
        }
        line
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags.iter().any(|(set, _)| *set == flag)
    }

    /// Where a flag stands.
    pub fn at(&self, flag: u8) -> Option<Span> {
        let (_, at) = self.flags.iter().find(|(set, _)| *set == flag)?;
        Some(Span { start: *at, end: at + 1 })
    }

    fn read_lock(&mut self, source: &[u8], colon: usize, end: usize) {
        let blanks = source[colon + 1..end].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let start = colon + 1 + blanks;
        // Behind the colon a word has begun, so that a hash right there is part of it.
        let comment = start < end && source[start] == b'#' && blanks > 0;
        if start == end || comment {
            self.lock = Some(Lock { colon, name: None });
            self.comment = comment.then_some(Span { start, end });
            return;
        }
        let name = parse_text(&source[..end], start, Mode::Value);
        // A hash that touches the colon is part of the name, though the text would start with a comment.
        if name.span.end == start {
            self.lock = Some(Lock { colon, name: None });
            self.opaque = true;
            return;
        }
        let behind = name.span.end;
        self.lock = Some(Lock { colon, name: Some(name) });
        self.read_rest(source, behind, end);
    }

    fn read_rest(&mut self, source: &[u8], start: usize, end: usize) {
        let mut at = start;
        while at < end && matches!(source[at], b' ' | b'\t') {
            at += 1;
        }
        let mut stop = at;
        while stop < end {
            if source[stop] == b'#' && matches!(source[stop - 1], b' ' | b'\t') {
                self.comment = Some(Span { start: stop, end });
                break;
            }
            stop += 1;
        }
        while stop > at && matches!(source[stop - 1], b' ' | b'\t') {
            stop -= 1;
        }
        if stop > at {
            self.rest = Some(Span { start: at, end: stop });
        }
    }
}

/// Whether two texts give the same words whatever the variables hold: blanks at the end do not count.
pub(crate) fn same_words(one: &Text, other: &Text) -> bool {
    fn parts(text: &Text) -> &[Part] {
        let parts = text.parts.as_slice();
        parts.strip_suffix(&[Part::Break]).unwrap_or(parts)
    }
    parts(one) == parts(other)
}

#[cfg(test)]
mod tests {
    use super::super::{Item, Rc};
    use super::*;

    fn read(source: &str) -> (String, RecipeLine) {
        let rc = Rc::parse(source.as_bytes().to_vec());
        let Item::Recipe(recipe) = &rc.items()[0] else { panic!("a recipe") };
        let line = RecipeLine::read(rc.source(), recipe);
        let text = |span: Option<Span>| {
            span.map_or_else(String::new, |span| String::from_utf8_lossy(rc.text(span)).into_owned())
        };
        let flags: String = line.flags.iter().map(|(flag, _)| char::from(*flag)).collect();
        let lock = match &line.lock {
            None => "none".to_owned(),
            Some(Lock { name: None, .. }) => "derived".to_owned(),
            Some(Lock { name: Some(name), .. }) => text(Some(name.span)),
        };
        let parts = [text(line.number), flags, lock, text(line.rest), text(line.comment)];
        (parts.join("|"), line)
    }

    #[test]
    fn flags_lock_and_comment_are_told_apart() {
        for (source, expected) in [
            (":0\nbox\n", "0||none||"),
            (":0fw:\nbox\n", "0|fw|derived||"),
            (": 0 B f : a.lock # why\nbox\n", "0|Bf|a.lock||# why"),
            (":0:$N$LOCKEXT\nbox\n", "0||$N$LOCKEXT||"),
            (":0: 'a b' c d\nbox\n", "0||'a b'|c d|"),
            (":0 c # copy\nbox\n", "0|c|none||# copy"),
            (":0cxh y\nbox\n", "0|c|none|xh y|"),
            (":A\nbox\n", "|A|none||"),
            (":0 { # c\nbox\n", "0||none|{|# c"),
        ] {
            assert_eq!(read(source).0, expected, "{source}");
        }
    }

    #[test]
    fn flags_from_variables_are_not_guessed() {
        assert!(read(":0 $FLAGS\nbox\n").1.opaque);
        assert!(!read(":0 c:$LOCK\nbox\n").1.opaque);
    }
}
