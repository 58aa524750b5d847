//! Folders as mailboxes.

use super::script::{Piece, Value};
use super::values::{Variables, known};
use super::{Options, Reason};

/// Where mail to a folder goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// To nobody.
    Nowhere,
    /// To the inbox.
    Inbox,
    /// To a mailbox.
    Mailbox(Value),
}

/// What mailbox a folder is.
pub(super) fn place(
    folder: &Value,
    root: Option<&Value>,
    variables: &Variables,
    options: &Options,
) -> Result<Place, Reason> {
    if let [Piece::Unknown(name)] = folder.0.as_slice()
        && matches!(name.as_slice(), b"DEFAULT" | b"ORGMAIL")
    {
        return Ok(Place::Inbox);
    }
    let mut rest = named(folder);
    if rest.0 == [Piece::Text(b"/dev/null".to_vec())] {
        return Ok(Place::Nowhere);
    }
    let Some(Piece::Text(start)) = rest.0.first().cloned() else {
        return Err(known(folder).err().unwrap_or(Reason::NoFolder));
    };
    if [&b"/var/mail/"[..], b"/var/spool/mail/", b"/usr/spool/mail/"]
        .iter()
        .any(|spool| start.starts_with(spool))
    {
        return Ok(Place::Inbox);
    }
    if start.starts_with(b"/") || start.starts_with(b"$") || start.starts_with(b"~") {
        let below = roots(root, variables, options).into_iter().find_map(|root| below(&start, &root));
        let Some(below) = below else {
            let unknown = folder.unknown().map(|name| Reason::UnknownVariable(name.to_vec()));
            let is_home = |name: &[u8]| matches!(name, b"HOME" | b"MAILDIR");
            return Err(match unknown {
                Some(Reason::UnknownVariable(name)) if !is_home(&name) => Reason::UnknownVariable(name),
                _ => Reason::ElsewhereFolder(start),
            });
        };
        rest.0[0] = Piece::Text(below);
    }
    // What is left of unknown variables is no name.
    if let Some(name) = rest.0.iter().find_map(|piece| match piece {
        Piece::Text(text) => unknown_in(text),
        _ => None,
    }) {
        return Err(Reason::UnknownVariable(name));
    }
    mailbox(rest, options)
}

/// A text in which unknown variables stand by their names, so that `$HOME/Mail` can be cut off.
fn named(folder: &Value) -> Value {
    let mut out = Value::default();
    for piece in &folder.0 {
        match piece {
            Piece::Unknown(name) => out.push_text(&[MARK, name, MARK].concat()),
            Piece::Text(text) => out.push_text(text),
            Piece::Variable(_) => out.0.push(piece.clone()),
        }
    }
    out
}

/// Stands around the name of an unknown variable.
const MARK: &[u8] = b"$";

fn unknown_in(text: &[u8]) -> Option<Vec<u8>> {
    let mut parts = text.split(|byte| *byte == b'$');
    parts.next()?;
    let name = parts.next()?;
    parts.next()?;
    Some(name.to_vec())
}

/// Below what folders lie.
fn roots(root: Option<&Value>, variables: &Variables, options: &Options) -> Vec<Vec<u8>> {
    let text = |value: &Value| match named(value).0.as_slice() {
        [Piece::Text(text)] => Some(text.clone()),
        _ => None,
    };
    let mut roots = options.folders_below.clone();
    roots.extend(root.and_then(text));
    let home = text(&variables.value(b"HOME")).unwrap_or_default();
    for below in ["/Mail", "/mail", "/Maildir", ""] {
        roots.push([&home, below.as_bytes()].concat());
    }
    roots.push(b"$MAILDIR$".to_vec());
    roots
}

fn below(path: &[u8], root: &[u8]) -> Option<Vec<u8>> {
    let root = root.strip_suffix(b"/").unwrap_or(root);
    if root.is_empty() {
        return None;
    }
    let rest = path.strip_prefix(root)?;
    if rest.is_empty() { Some(Vec::new()) } else { rest.strip_prefix(b"/").map(<[u8]>::to_vec) }
}

/// The name of a mailbox, without what says of which kind it is.
fn mailbox(mut path: Value, options: &Options) -> Result<Place, Reason> {
    let separator = options.separator.to_string();
    if let Some(Piece::Text(start)) = path.0.first_mut() {
        while let Some(rest) = start.strip_prefix(b"./") {
            *start = rest.to_vec();
        }
    }
    if let Some(Piece::Text(end)) = path.0.last_mut() {
        if end.ends_with(b"/.") {
            end.pop();
        }
        while end.last() == Some(&b'/') {
            end.pop();
        }
    }
    path.0.retain(|piece| *piece != Piece::Text(Vec::new()));
    let maildir =
        matches!(path.0.first(), Some(Piece::Text(start)) if start.starts_with(b".") && start != b".");
    for (number, piece) in path.0.iter_mut().enumerate() {
        let Piece::Text(text) = piece else { continue };
        if maildir && number == 0 {
            text.remove(0);
        }
        let divides = |byte: u8| byte == b'/' || (maildir && byte == b'.');
        let parts: Vec<&[u8]> = text.split(|&byte| divides(byte)).collect();
        *text = parts.join(separator.as_bytes());
    }
    path.0.retain(|piece| *piece != Piece::Text(Vec::new()));
    let inbox = path
        .known()
        .is_some_and(|name| name.is_empty() || name == b"." || name.eq_ignore_ascii_case(b"inbox"));
    if inbox {
        return Ok(Place::Inbox);
    }
    let whole = |piece: &Piece| match piece {
        Piece::Text(text) => {
            str::from_utf8(text).is_ok_and(|text| !text.chars().any(char::is_control))
                && !text.starts_with(b"../")
        }
        _ => true,
    };
    if path.0.is_empty() || !path.0.iter().all(whole) {
        return Err(Reason::NotUtf8);
    }
    Ok(Place::Mailbox(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(folder: &str, maildir: &str, options: &Options) -> Result<Place, Reason> {
        let value = |text: &str| {
            let mut value = Value::default();
            for (number, part) in text.split('$').enumerate() {
                if number % 2 == 1 {
                    value.0.push(Piece::Unknown(part.as_bytes().to_vec()));
                } else {
                    value.push_text(part.as_bytes());
                }
            }
            value
        };
        place(&value(folder), Some(&value(maildir)), &Variables::default(), options)
    }

    #[test]
    fn folders_become_mailboxes() {
        let mut options = Options::new();
        let mailbox = |name: &str| Ok(Place::Mailbox(Value::text(name)));
        for (folder, expected) in [
            ("box", mailbox("box")),
            ("lists/rust/", mailbox("lists/rust")),
            ("lists/.", mailbox("lists")),
            (".a.b/", mailbox("a/b")),
            ("./x", mailbox("x")),
            ("$HOME$/Mail/x", mailbox("x")),
            ("$HOME$/Maildir/.x.y/", mailbox("x/y")),
            ("$HOME$/Maildir/", Ok(Place::Inbox)),
            ("$HOME$/other/x", mailbox("other/x")),
            ("/srv/mail/x", mailbox("x")),
            ("/dev/null", Ok(Place::Nowhere)),
            ("/var/spool/mail/joe", Ok(Place::Inbox)),
            ("$DEFAULT$", Ok(Place::Inbox)),
            ("$ORGMAIL$", Ok(Place::Inbox)),
            ("./", Ok(Place::Inbox)),
            ("INBOX", Ok(Place::Inbox)),
            ("/opt/x", Err(Reason::ElsewhereFolder(b"/opt/x".to_vec()))),
            ("x-$LOGNAME$", Err(Reason::UnknownVariable(b"LOGNAME".to_vec()))),
            ("$MATCH$", Err(Reason::UnknownVariable(b"MATCH".to_vec()))),
        ] {
            assert_eq!(of(folder, "/srv/mail", &options), expected, "{folder}");
        }
        options.separator = '.';
        assert_eq!(of(".a.b/", "", &options), mailbox("a.b"));
        options.folders_below = vec![b"/opt/".to_vec()];
        assert_eq!(of("/opt/x/y", "", &options), mailbox("x.y"));
    }
}
