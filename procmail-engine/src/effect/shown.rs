//! Effects and outcomes for people to read: names as text, and of what may be mail only how long it is.

use std::fmt::{Debug, Formatter, Result};

use super::{Command, Deliver, Effect, LogText, Note, Notice, Outcome, Ran, ReadRc, Run};
use crate::shown::{Length, Text, Texts};

impl Debug for Effect {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut named = |name: &str, value: &dyn Debug| f.debug_tuple(name).field(value).finish();
        match self {
            Self::Log(log) => named("Log", log),
            Self::ReadRc(rc) => named("ReadRc", rc),
            Self::ChangeDirectory(path) => named("ChangeDirectory", &Text(path)),
            Self::OpenLog(path) => named("OpenLog", &Text(path)),
            Self::CloseLog => f.write_str("CloseLog"),
            Self::SetUmask(mask) => f.write_fmt(format_args!("SetUmask({mask:#o})")),
            Self::Run(run) => named("Run", run),
            Self::Deliver(deliver) => named("Deliver", deliver),
            Self::Print(content) => named("Print", content),
            Self::IsMailbox(path) => named("IsMailbox", &Text(path)),
            Self::Lock(path) => named("Lock", &Text(path)),
            Self::Unlock(path) => named("Unlock", &Text(path)),
            Self::BreakLock(path) => named("BreakLock", &Text(path)),
            Self::Sleep(time) => named("Sleep", time),
            Self::Fork { copy, wait } => {
                f.debug_struct("Fork").field("copy", copy).field("wait", wait).finish()
            }
            Self::DropPrivileges => f.write_str("DropPrivileges"),
            Self::Acknowledge => f.write_str("Acknowledge"),
            Self::Notify(notice) => named("Notify", notice),
            Self::Trace(trace) => named("Trace", trace),
            Self::Pause => f.write_str("Pause"),
        }
    }
}

impl Debug for Notice {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Notice")
            .field("service", &Text(&self.service))
            .field("host", &Text(&self.host))
            .field("message", &Text(&self.message))
            .finish()
    }
}

impl Debug for LogText {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("LogText").field("text", &Text(&self.text)).field("stamped", &self.stamped).finish()
    }
}

impl Debug for ReadRc {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ReadRc").field("path", &Text(&self.path)).field("first", &self.first).finish()
    }
}

impl Debug for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Shell { shell, flags, line } => f
                .debug_struct("Shell")
                .field("shell", &Text(shell))
                .field("flags", &Text(flags))
                .field("line", &Text(line))
                .finish(),
            Self::Program(arguments) => f.debug_tuple("Program").field(&Texts(arguments)).finish(),
        }
    }
}

/// Values can hold the mail.
struct Names<'a>(&'a [(Vec<u8>, Vec<u8>)]);

impl Debug for Names<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_map().entries(self.0.iter().map(|(name, value)| (Text(name), Length(value)))).finish()
    }
}

impl Debug for Run {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Run")
            .field("command", &self.command)
            .field("input", &Length(&self.input))
            .field("output", &self.output)
            .field("wait", &self.wait)
            .field("must_read_all", &self.must_read_all)
            .field("timeout", &self.timeout)
            .field("environment", &Names(&self.environment))
            .field("purpose", &self.purpose)
            .finish()
    }
}

impl Debug for Deliver {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Deliver")
            .field("folders", &Texts(&self.folders))
            .field("content", &self.content)
            .field("message_prefix", &Text(&self.message_prefix))
            .finish()
    }
}

impl Debug for Ran {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Ran")
            .field("exit", &self.exit)
            .field("output", &Length(&self.output))
            .field("cut_off", &self.cut_off)
            .field("fed", &self.fed)
            .field("timed_out", &self.timed_out)
            .finish()
    }
}

impl Debug for Note {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut named = |name: &str, value: &dyn Debug| f.debug_tuple(name).field(value).finish();
        match self {
            Self::NotDirectory(name) => named("NotDirectory", &Text(name)),
            Self::Skipped(name) => named("Skipped", &Text(name)),
            Self::Folder(name) => named("Folder", &Text(name)),
            Self::Opening(name) => named("Opening", &Text(name)),
            Self::KernelLock => f.write_str("KernelLock"),
            Self::Linking(name) => named("Linking", &Text(name)),
            Self::WriteError(name) => named("WriteError", &Text(name)),
            Self::NoFile(name) => named("NoFile", &Text(name)),
            Self::NoSpace(name) => named("NoSpace", &Text(name)),
            Self::OverQuota(name) => named("OverQuota", &Text(name)),
            Self::Begun(length) => named("Begun", length),
            Self::KernelLockAwaited => f.write_str("KernelLockAwaited"),
            Self::Start(at) => named("Start", at),
            Self::Truncated => f.write_str("Truncated"),
        }
    }
}

impl Debug for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut named = |name: &str, value: &dyn Debug| f.debug_tuple(name).field(value).finish();
        match self {
            Self::Done => f.write_str("Done"),
            Self::Failed => f.write_str("Failed"),
            Self::Read(source) => named("Read", &Length(source)),
            Self::Parsed(rc) => named("Parsed", &Length(rc.source())),
            Self::Ran(ran) => named("Ran", ran),
            Self::NoResources => f.write_str("NoResources"),
            Self::Delivered(delivered) => named("Delivered", delivered),
            Self::Held(age) => named("Held", age),
            Self::NoPlace(path) => named("NoPlace", &Text(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Delivered, Exit};
    use super::*;
    use crate::eval::{Evaluator, Setup, Step};
    use crate::mail::Mail;

    #[test]
    fn names_are_shown_as_text_and_mail_as_its_length() {
        assert_eq!(
            format!("{:?}", Effect::ReadRc(ReadRc { path: b"a\xff/\"\xc3\xbc\n".to_vec(), first: true })),
            r#"ReadRc(ReadRc { path: "a\xff/\"ü\n", first: true })"#
        );
        assert_eq!(
            format!("{:?}", Outcome::Ran(Ran { output: b"secret".to_vec(), ..Ran::ended(Exit::Code(1)) })),
            "Ran(Ran { exit: Code(1), output: 6 bytes, cut_off: false, fed: true, timed_out: false })"
        );
        let notes = vec![Note::Folder(b"box".to_vec()), Note::Truncated];
        assert_eq!(
            format!("{:?}", Outcome::Delivered(Delivered { notes, size: Some(3) })),
            r#"Delivered(Delivered { notes: [Folder("box"), Truncated], size: Some(3) })"#
        );
    }

    #[test]
    fn nothing_of_a_mail_is_shown_whatever_is_done_with_it() {
        let rc = b"TEXT=`cat`\n:0\n* B ?? \\/se.*\n{ X=$MATCH }\n:0c\n| cat\n:0fw\n| cat\n:0c\n{ :0\n! a }\n:0c\n|\n:0\nbox\n";
        let mut setup = Setup::new().variable("DEFAULT", "inbox");
        setup.rc_files.push(b"rc".to_vec());
        setup.traces = true;
        let mail = b"Subject: x\n\nsecret\n".to_vec();
        assert!(!format!("{:?}", Mail::new(mail.clone())).contains("secret"));
        let mut evaluator = Evaluator::new(setup, Mail::new(mail.clone()));
        let numbers = format!("{:?}", b"secret").replace(['[', ']'], "");
        let mut effects = 0;
        loop {
            let step = evaluator.step();
            let mut shown = format!("{step:?} {evaluator:?}");
            let Step::Effect(effect) = step else { break };
            let outcome = match effect {
                Effect::ReadRc(_) => Outcome::Read(rc.to_vec()),
                Effect::Run(_) => Outcome::Ran(Ran { output: mail.clone(), ..Ran::ended(Exit::Code(0)) }),
                Effect::Deliver(_) | Effect::Print(_) => {
                    Outcome::Delivered(Delivered { notes: Vec::new(), size: Some(1) })
                }
                _ => Outcome::Done,
            };
            shown.push_str(&format!("{outcome:?}"));
            assert!(!shown.contains("secret") && !shown.contains(&numbers), "{shown}");
            evaluator.answer(outcome);
            effects += 1;
        }
        assert!(effects > 20, "{effects} effects");
    }
}
