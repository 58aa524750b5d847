//! Header fields as formail sees them: octets with a name that ends with a colon, or `From ` on the first line.

use memchr::memchr;

/// What the postmark of an mbox begins with.
pub(super) const FROM: &[u8] = b"From ";

/// One field: a line and those that continue it, LF included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    text: Vec<u8>,
    /// Octets of the name, its colon included.
    name: usize,
}

impl Field {
    /// The field that `text` is, if it begins with a name. An LF is added where there is none.
    pub(super) fn parse(text: &[u8]) -> Option<Field> {
        let (name, blanks) = name_length(text)?;
        let mut text = text.to_vec();
        // Blanks before the colon are dropped.
        text.drain(name - 1..name - 1 + blanks);
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        Some(Field { text, name })
    }

    /// A field of the command line, as it stands there.
    pub(super) fn given(text: &[u8]) -> Field {
        let name = given_name(text);
        Field::new(name, &text[name.len()..])
    }

    /// A field made of its parts; the content may be folded.
    pub(super) fn new(name: &[u8], content: &[u8]) -> Field {
        let mut text = [name, content].concat();
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        Field { text, name: name.len() }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.text[..self.name]
    }

    /// What stands behind the name, without the last LF.
    pub(super) fn content(&self) -> &[u8] {
        &self.text[self.name..self.text.len() - 1]
    }

    pub(super) fn is_from(&self) -> bool {
        self.name() == FROM
    }

    /// Whether the name is this one, or begins with it if it has no colon.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && name.len() <= self.name
    }

    /// Whether the whole name is this one.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// Puts another name in place of the part that `old` matched, or of all of the name.
    pub(super) fn rename(&mut self, old: usize, new: &[u8]) {
        let whole = new == FROM || new.ends_with(b":");
        let old = if whole { self.name } else { old };
        if self.is_from() {
            // Older postmarks become lines that continue a field.
            let mut at = 0;
            while let Some(lf) = memchr(b'\n', &self.text[at..]) {
                at += lf + 1;
                if self.text[at..].starts_with(b">From ") {
                    self.text[at] = b' ';
                }
            }
        }
        self.text.splice(..old, new.iter().copied());
        self.name = self.name - old + new.len();
    }

    /// Makes one line of it.
    pub(super) fn unfold(&mut self) {
        if !self.is_from() {
            let last = self.text.len() - 1;
            self.text[..last].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        }
    }
}

/// Octets of the name at the start of a line with its colon, and how many blanks stand before that.
fn name_length(line: &[u8]) -> Option<(usize, usize)> {
    if is_from(line) {
        return Some((FROM.len(), 0));
    }
    let end = line.iter().position(|&byte| byte <= b' ' || byte == b':' || byte == 0x7f)?;
    let blanks = line[end..].iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    (end > 0 && line.get(end + blanks) == Some(&b':')).then_some((end + 1, blanks))
}

/// Whether a line begins as a postmark does, and not as `From:` with blanks before the colon.
fn is_from(line: &[u8]) -> bool {
    let blank = |byte: &&u8| !matches!(byte, b' ' | b'\t');
    line.strip_prefix(FROM).is_some_and(|rest| rest.iter().find(blank) != Some(&b':'))
}

/// Whether formail takes an octet for a blank: a CR is none.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

/// A content without the blanks around it.
pub(super) fn trim(content: &[u8]) -> &[u8] {
    let Some(start) = content.iter().position(|&byte| !is_blank(byte)) else { return b"" };
    let end = content.iter().rposition(|&byte| !is_blank(byte)).map_or(start, |last| last + 1);
    &content[start..end]
}

/// Octets up to the end of the first line, its LF included.
pub(super) fn line_length(text: &[u8]) -> usize {
    memchr(b'\n', text).map_or(text.len(), |at| at + 1)
}

/// The name in a field of the command line, or all of it if that is a part of a name.
pub(super) fn given_name(field: &[u8]) -> &[u8] {
    if field.starts_with(FROM) {
        return FROM;
    }
    memchr(b':', field).map_or(field, |colon| &field[..=colon])
}

/// What a line is to the header it may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A field begins; `postmark` says whether it is `From `, which is continued by `>From `.
    Field { postmark: bool },
    /// The field before it goes on.
    Continued,
    /// The header has ended.
    Other,
}

impl Line {
    /// What `line` is behind a field, if any, that is a postmark or not.
    pub(super) fn of(line: &[u8], field: Option<bool>) -> Line {
        let continues = match field {
            None => false,
            Some(true) => {
                let quoted = line.iter().take_while(|&&byte| byte == b'>').count();
                quoted > 0 && line[quoted..].starts_with(FROM)
            }
            Some(false) => matches!(line.first(), Some(b' ' | b'\t')),
        };
        let postmark = is_from(line);
        match () {
            () if continues => Line::Continued,
            // A postmark counts only as the first field.
            () if postmark && field.is_some() || name_length(line).is_none() => Line::Other,
            () => Line::Field { postmark },
        }
    }
}

/// The fields at the start of `text`, and the octets they take.
pub(super) fn parse(text: &[u8]) -> (Vec<Field>, usize) {
    let (mut fields, mut start, mut at) = (Vec::new(), 0, 0);
    let mut field = None;
    loop {
        let line = &text[at..at + line_length(&text[at..])];
        let kind = Line::of(line, field);
        if kind != Line::Continued && at > start {
            fields.extend(Field::parse(&text[start..at]));
            start = at;
        }
        match kind {
            Line::Field { postmark } => field = Some(postmark),
            Line::Continued => {}
            Line::Other => return (fields, at),
        }
        at += line.len();
    }
}

/// Whether `text` begins with a line that starts a message in an mbox.
pub(super) fn is_postmark(text: &[u8]) -> bool {
    let Some(line) = text[..line_length(text)].strip_prefix(FROM) else { return false };
    let mut words = line.split(|byte| b"\t\n ".contains(byte)).filter(|word| !word.is_empty());
    words.next().is_some() && words.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let (fields, _) = parse(text.as_bytes());
        fields.iter().map(|field| String::from_utf8_lossy(field.name()).into_owned()).collect()
    }

    #[test]
    fn fields_are_found_up_to_what_is_none() {
        // (text, names, octets)
        let table: [(&str, &[&str], usize); 7] = [
            ("From a b\n>From c\nTo: x\n y\n\nbody", &["From ", "To:"], 26),
            ("To: x\nFrom a b\n", &["To:"], 6),
            ("To: x\nno field\n", &["To:"], 6),
            ("Subject : x\nA:\n", &["Subject:", "A:"], 15),
            (": x\n", &[], 0),
            ("To", &[], 0),
            ("To:", &["To:"], 3),
        ];
        for (text, expected, octets) in table {
            assert_eq!(names(text), expected, "{text:?}");
            assert_eq!(parse(text.as_bytes()).1, octets, "{text:?}");
        }
    }

    #[test]
    fn names_match_in_part_or_whole_and_can_be_changed() {
        let mut field = Field::parse(b"X-Loop: a\n b").unwrap();
        assert!(field.matches(b"x-") && field.matches(b"X-LOOP:") && field.matches(b""));
        assert!(!field.matches(b"X-Loop: a") && !field.matches(b"Loop"));
        assert!(field.is(b"x-loop:") && !field.is(b"X-Loop"));
        field.unfold();
        field.rename(2, b"Y-Z");
        assert_eq!((field.name(), field.text()), (b"Y-ZLoop:".as_slice(), b"Y-ZLoop: a  b\n".as_slice()));
        let mut from = Field::parse(b"From a b\n>From c d\n").unwrap();
        from.rename(5, b"X-From:");
        assert_eq!(from.text(), b"X-From:a b\n From c d\n");
    }

    #[test]
    fn a_postmark_has_two_words() {
        for (line, expected) in
            [("From a b", true), ("From a\tb\n", true), ("From a \n", false), ("From ", false)]
        {
            assert_eq!(is_postmark(line.as_bytes()), expected, "{line:?}");
        }
    }
}
