//! What an evaluation starts with: variables, rc files, the ways of the command line.

use crate::regex::Library;

/// What an evaluator starts with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Setup {
    /// The variables, presets such as `HOME`, `SHELL` and `DEFAULT` included. [`Setup::new`] gives those that do not
    /// depend on the user.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// Variables that rc files and programs see, but which say nothing of how to go about things until they are assigned: a
    /// `TIMEOUT`, `TRAP` or `VERBOSE` that was inherited (`-p`) changes nothing. What is in `environment` too counts from there.
    pub inherited: Vec<(Vec<u8>, Vec<u8>)>,
    /// Presets that count until they are assigned, and are not seen: with `-p` and `-m`, rc files and programs see what was
    /// inherited in their place, or nothing.
    pub hidden: Vec<(Vec<u8>, Vec<u8>)>,
    /// `$0`.
    pub program: Vec<u8>,
    /// `$1` and on.
    pub arguments: Vec<Vec<u8>>,
    /// `$$`.
    pub process: u32,
    /// The name of this host, which `HOST` is compared with.
    pub host: Vec<u8>,
    /// Assignments of the command line, `NAME=value` each, done before any rc file.
    pub assignments: Vec<Vec<u8>>,
    /// The rc files, of which the first that can be read is used.
    pub rc_files: Vec<Vec<u8>>,
    /// Whether nothing is said when none of them can be read: nobody has asked for them.
    pub rc_files_are_presets: bool,
    /// What `MAILDIR` becomes when the first rc file is opened, unless the command line has set it; nothing leaves it alone.
    pub directory: Option<Vec<u8>>,
    /// Whether rc files whose path is relative and does not start with `./` are looked for in `HOME`. The first that is opened
    /// makes `HOME` the value of `MAILDIR`, or `.` if it starts with `./`, whatever `directory` says.
    pub home_relative: bool,
    /// An rc file of the system's, read before all others.
    pub system_rc: Option<SystemRc>,
    /// Whether the mail goes to `DEFAULT` when no recipe delivers it. Otherwise (`-m`) only a `DEFAULT` that is assigned by the
    /// command line or an rc file counts.
    pub falls_back: bool,
    /// Whether a failure is temporary (`-t`).
    pub requeues: bool,
    /// Whether `Content-Length` counts (not with `-Y`).
    pub obeys_content_length: bool,
    /// How many items of rc files are evaluated at most, by all copies together; a copy counts as a thousand. Then rc files
    /// end as if there were no more in them, so that those that include or copy themselves do not go on for ever.
    pub most_items: u32,
    /// Compiled expressions. Hosts that filter many mails hand the same to all.
    pub expressions: Library,
    /// Whether [`Effect::Trace`](crate::effect::Effect::Trace) tells of the way.
    pub traces: bool,
    /// Whether [`Effect::Pause`](crate::effect::Effect::Pause) comes before each item and each condition, so that hosts that
    /// look at a clock can do so however little an rc file asks of them.
    pub pauses: bool,
}

impl Setup {
    /// The presets of procmail that do not depend on the user.
    pub fn new() -> Self {
        let preset = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        Self {
            environment: vec![
                preset("SENDMAIL", "/usr/sbin/sendmail"),
                preset("SENDMAILFLAGS", "-oi"),
                preset("SHELLMETAS", "&|<>~;?*["),
                preset("SHELLFLAGS", "-c"),
                preset("MSGPREFIX", "msg."),
                preset("LOCKEXT", ".lock"),
                preset("COMSAT", "no"),
                preset("LINEBUF", "2048"),
                preset("PROCMAIL_VERSION", "3.22"),
            ],
            inherited: Vec::new(),
            hidden: Vec::new(),
            program: b"procmail".to_vec(),
            arguments: Vec::new(),
            process: 1,
            host: b"localhost".to_vec(),
            assignments: Vec::new(),
            rc_files: Vec::new(),
            rc_files_are_presets: false,
            directory: None,
            home_relative: false,
            system_rc: None,
            falls_back: true,
            requeues: false,
            obeys_content_length: true,
            most_items: 1_000_000,
            expressions: Library::default(),
            traces: false,
            pauses: false,
        }
    }

    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

/// An rc file of the system's: it is read if it is there, before [`Effect::DropPrivileges`](crate::effect::Effect::DropPrivileges).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemRc {
    /// Its path.
    pub path: Vec<u8>,
    /// `PATH` while it is evaluated.
    pub search_path: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::{Effect, Outcome};
    use crate::eval::{Evaluator, Fate, Finished, Step};
    use crate::mail::Mail;

    /// How it ends, what it asks for but pauses, and how many pauses there are.
    fn evaluate(rc: &str, pauses: bool) -> (Finished, Vec<String>, usize) {
        let mut setup = Setup { pauses, ..Setup::new().variable("DEFAULT", "inbox") };
        setup.rc_files.push(b"rc".to_vec());
        let mut evaluator = Evaluator::new(setup, Mail::new(b"Subject: x\n\nbody\n".to_vec()));
        let (mut effects, mut paused) = (Vec::new(), 0);
        loop {
            match evaluator.step() {
                Step::Finished(finished) => return (finished, effects, paused),
                Step::Effect(Effect::Pause) => paused += 1,
                Step::Effect(effect) => {
                    effects.push(format!("{effect:?}"));
                    evaluator.answer(match effect {
                        Effect::ReadRc(_) => Outcome::Read(rc.into()),
                        _ => Outcome::Done,
                    });
                }
            }
        }
    }

    #[test]
    fn pauses_come_before_items_and_conditions_and_change_nothing() {
        for (rc, expected) in [
            ("", 1),
            ("A=b\n", 2),
            (":0\n* x\n* body\n* ! y\n* > 1000\nbox\n", 3),
            (":0B\n* body\n* ! z\n* > 3\n* < 1000\n{\n LOG=found\n}\n", 9),
            (":0\n* 1^1 ? true\n* 1^1 .\nbox\n:0\n* Subject\nlast\n", 5),
        ] {
            let (finished, effects, paused) = evaluate(rc, true);
            assert_eq!((finished, effects, 0), evaluate(rc, false), "{rc:?}");
            assert_eq!(paused, expected, "{rc:?}");
        }
    }

    #[test]
    fn an_evaluation_can_be_abandoned_in_a_pause() {
        let mut setup = Setup { pauses: true, ..Setup::new() };
        setup.rc_files.push(b"rc".to_vec());
        let mut evaluator = Evaluator::new(setup, Mail::new(b"\n".to_vec()));
        loop {
            match evaluator.step() {
                Step::Effect(Effect::Pause) => evaluator.abandon(Fate::Requeued),
                Step::Effect(effect) => {
                    assert!(matches!(effect, Effect::ReadRc(_) | Effect::Log(_)), "{effect:?}");
                    evaluator.answer(Outcome::Read(b":0\nbox\n".to_vec()));
                }
                Step::Finished(finished) => break assert_eq!(finished.fate, Fate::Requeued),
            }
        }
    }
}
