//! The command line of procmail(1).

/// What the command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `-p`
    pub(crate) keep_environment: bool,
    /// `-t`
    pub(crate) fails_softly: bool,
    /// `-f` or `-r`
    pub(crate) sender: Option<Vec<u8>>,
    /// `-o`
    pub(crate) overrides_fakes: bool,
    /// `-Y`
    pub(crate) berkeley: bool,
    /// `-a`, or what stands behind the rc file of `-m`.
    pub(crate) arguments: Vec<Vec<u8>>,
    pub(crate) mode: Mode,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Mail for whoever runs this.
    Own(Vec<Vec<u8>>, Vec<Vec<u8>>),
    /// `-d`
    Recipients(Vec<Vec<u8>>),
    /// `-m`
    Filter(Vec<Vec<u8>>, Vec<u8>),
}

impl Default for Mode {
    fn default() -> Mode {
        Mode::Own(Vec::new(), Vec::new())
    }
}

/// What is odd, and stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// What stands behind the letters of an argument that are known.
    Unrecognised(Vec<u8>),
    MissingName,
    MissingArgument,
    MissingRecipient,
    Conflicting,
}

/// Why nothing is filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Help,
    Version,
    Lmtp,
    MissingRcFile,
    /// A long option stands where options or rc files do.
    LongOption,
}

/// Whether this is an option of a whole word; procmail(1) has none.
fn is_long(argument: &[u8]) -> bool {
    argument.starts_with(b"--") && argument.len() > 2
}

/// Reads the command line, the name of the program first, and complains of what is odd on the way.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = Vec<u8>>,
    mut complain: impl FnMut(Complaint),
) -> Result<Options, Refused> {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_default();
    let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let mut options = Options::default();
    let mut filters = false;
    let mut recipients = (!name.starts_with(b"procmail")).then(Vec::new);
    let mut rest = Vec::new();
    let mut options_ended = false;
    'arguments: while let Some(argument) = arguments.next() {
        let mut letters = match argument.as_slice() {
            b"--" => {
                options_ended = true;
                break;
            }
            long if is_long(long) => return Err(Refused::LongOption),
            [b'-', letters @ ..] => letters,
            _ => {
                rest.push(argument);
                break;
            }
        };
        while let Some((&letter, behind)) = letters.split_first() {
            letters = behind;
            let mut value = || (!behind.is_empty()).then(|| behind.to_vec()).or_else(|| arguments.next());
            match letter {
                b'h' | b'?' => return Err(Refused::Help),
                b'v' => return Err(Refused::Version),
                b'z' => return Err(Refused::Lmtp),
                b'p' => options.keep_environment = true,
                b't' => options.fails_softly = true,
                b'o' => options.overrides_fakes = true,
                b'Y' | b'y' => options.berkeley = true,
                b'm' => filters = true,
                b'f' | b'r' => {
                    options.sender = value();
                    if options.sender.is_none() {
                        complain(Complaint::MissingName);
                    }
                    continue 'arguments;
                }
                b'a' => {
                    match value() {
                        Some(value) => options.arguments.push(value),
                        None => complain(Complaint::MissingArgument),
                    }
                    continue 'arguments;
                }
                b'd' => {
                    let mut names = Vec::new();
                    names.extend((!behind.is_empty()).then(|| behind.to_vec()));
                    recipients = Some(names);
                    break 'arguments;
                }
                b'-' if behind.is_empty() => {}
                b'-' => {
                    complain(Complaint::Unrecognised(behind.to_vec()));
                    continue 'arguments;
                }
                letter => {
                    complain(Complaint::Unrecognised([&[letter], behind].concat()));
                    continue 'arguments;
                }
            }
        }
    }
    rest.extend(arguments);
    if let Some(mut names) = recipients {
        if options.keep_environment || filters {
            complain(Complaint::Conflicting);
            options.keep_environment = false;
        }
        names.append(&mut rest);
        if names.is_empty() {
            complain(Complaint::MissingRecipient);
        } else {
            options.mode = Mode::Recipients(names);
        }
        return Ok(options);
    }
    // What stands behind the rc file of a filter is for that file.
    let rc_file = rest.iter().position(|argument| !argument.contains(&b'='));
    let before = if filters { rc_file.map_or(rest.len(), |at| at + 1) } else { rest.len() };
    if !options_ended && rest[..before].iter().any(|argument| is_long(argument)) {
        return Err(Refused::LongOption);
    }
    options.mode = if filters {
        if !options.arguments.is_empty() {
            complain(Complaint::Conflicting);
        }
        let at = rc_file.ok_or(Refused::MissingRcFile)?;
        options.arguments = rest.split_off(at + 1);
        let rc_file = rest.pop().unwrap_or_default();
        Mode::Filter(rest, rc_file)
    } else {
        let (assignments, rc_files) = rest.into_iter().partition(|argument| argument.contains(&b'='));
        Mode::Own(assignments, rc_files)
    };
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn complaints(line: &str) -> (Result<Options, Refused>, Vec<Complaint>) {
        let mut complaints = Vec::new();
        (parse(words(line), |complaint| complaints.push(complaint)), complaints)
    }

    fn refused(line: &str) -> Option<Refused> {
        complaints(line).0.err()
    }

    fn options(line: &str) -> Options {
        complaints(line).0.unwrap()
    }

    #[test]
    fn letters_may_stand_together_and_values_behind_them() {
        let expected = Options {
            fails_softly: true,
            overrides_fakes: true,
            berkeley: true,
            sender: Some(b"a@b".to_vec()),
            mode: Mode::Own(words("X=1 Y=2"), words("rc other")),
            ..Options::default()
        };
        for line in [
            "procmail -toY -f a@b X=1 rc Y=2 other",
            "/usr/bin/procmail -toYfa@b X=1 rc Y=2 other",
            "procmail -t -o -y -ra@b -- X=1 rc Y=2 other",
        ] {
            assert_eq!(options(line), expected, "{line}");
        }
    }

    #[test]
    fn a_lone_dash_says_nothing() {
        assert_eq!(options("procmail - -t- X=1 rc"), options("procmail -t X=1 rc"));
    }

    #[test]
    fn long_options_are_seen_wherever_options_or_rc_files_stand_and_nowhere_else() {
        for line in [
            "procmail --foo",
            "procmail -t --check rc",
            "procmail X=1 --check rc",
            "procmail rc --check",
            "procmail --check=rc",
            "procmail -m X=1 --check rc",
        ] {
            assert_eq!(refused(line), Some(Refused::LongOption), "{line}");
        }
        for line in [
            "procmail -a --check rc",
            "procmail -f --check rc",
            "procmail -d --check",
            "procmail -d joe --check",
            "rmail joe --check",
            "procmail -m rc --check",
            "procmail -- --check rc",
        ] {
            assert_eq!(refused(line), None, "{line}");
        }
    }

    #[test]
    fn what_follows_d_are_recipients_whatever_they_look_like() {
        for (line, recipients) in [
            ("procmail -d joe ann", "joe ann"),
            ("procmail -td joe -a x", "joe -a x"),
            ("procmail -djoe", "joe"),
            ("rmail joe X=1", "joe X=1"),
        ] {
            assert_eq!(options(line).mode, Mode::Recipients(words(recipients)), "{line}");
        }
        assert_eq!(options("procmail -a 1 -a2 -d joe").arguments, words("1 2"));
    }

    #[test]
    fn with_m_assignments_stand_before_the_rc_file_and_arguments_behind() {
        let options = options("procmail -a no -m A=1 rc B=2 c");
        assert_eq!(options.mode, Mode::Filter(words("A=1"), b"rc".to_vec()));
        assert_eq!(options.arguments, words("B=2 c"));
        assert_eq!(refused("procmail -m A=1"), Some(Refused::MissingRcFile));
    }

    #[test]
    fn odd_options_are_complained_of_and_the_mail_is_delivered_all_the_same() {
        for (line, complaint) in [
            ("procmail -q", Complaint::Unrecognised(b"q".to_vec())),
            ("procmail -tqYf x", Complaint::Unrecognised(b"qYf".to_vec())),
            ("procmail -t-Y rc", Complaint::Unrecognised(b"Y".to_vec())),
            ("procmail -m -a x rc", Complaint::Conflicting),
            ("procmail -pm -a x rc", Complaint::Conflicting),
            ("procmail -f", Complaint::MissingName),
            ("procmail -a", Complaint::MissingArgument),
            ("procmail -d", Complaint::MissingRecipient),
            ("procmail -p -d joe", Complaint::Conflicting),
            ("procmail -m -d joe", Complaint::Conflicting),
        ] {
            assert_eq!(complaints(line).1, [complaint], "{line}");
        }
        for line in ["procmail -q -w rc", "procmail -q -w -h", "procmail -q -m -a x"] {
            assert_eq!(complaints(line).1.len(), 2, "{line}");
        }
        for (line, expected) in [
            ("procmail -h", Refused::Help),
            ("procmail -?", Refused::Help),
            ("procmail -tv", Refused::Version),
            ("procmail -z", Refused::Lmtp),
        ] {
            assert_eq!(refused(line), Some(expected), "{line}");
        }
    }
}
