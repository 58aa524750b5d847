//! Rc files looked at rather than obeyed: checked, explained, laid out, converted.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mailwright::filter::{Host, Stop};
use procmail_engine::check::{self, Colours, Severity};
use procmail_engine::effect::{Effect, Outcome, Purpose};
use procmail_engine::eval::Setup;
use procmail_engine::explain::{Explainer, Marks};
use procmail_engine::format;
use procmail_engine::mail::Mail;
use procmail_engine::sieve;
use procmail_engine::syntax::Rc;

use super::account::{self, Account};
use super::options::{Mode, Options, Refused};
use super::{EX_IOERR, EX_NOINPUT, EX_NOPERM, EX_USAGE, deliver, environment, say, usage};

/// There is something to mend.
const FOUND: u8 = 1;
/// What is kept of a mode: an rc file is no program that runs with another's rights.
const PERMISSIONS: u32 = 0o777;

/// What is done with rc files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Study {
    Check,
    Explain,
    Format,
    ToSieve,
}

/// A long option that says what to do, and those that go with it.
struct Action {
    name: &'static str,
    study: Study,
    options: &'static [&'static str],
}

const ACTIONS: [Action; 4] = [
    Action { name: "--check", study: Study::Check, options: &["--fix"] },
    Action { name: "--explain", study: Study::Explain, options: &["--ascii", "--run-programs"] },
    Action { name: "--format", study: Study::Format, options: &["--in-place", "--test"] },
    Action { name: "--to-sieve", study: Study::ToSieve, options: &["--programs"] },
];
const HELP: &str = "--help";
const VERSION: &str = "--version";

/// Does what a command line with long options asks for: the exit code.
pub(crate) fn run(arguments: &[OsString], own: impl Fn() -> Account) -> u8 {
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let (options, names) = arguments.split_at(end);
    if options.iter().any(|option| option == HELP) {
        drop(io::stdout().write_all(usage::tools().as_bytes()));
        return 0;
    }
    if options.iter().any(|option| option == VERSION) {
        say(&usage::text(Refused::Version, &own().mailbox()));
        return 0;
    }
    if !account::drop_set_id() {
        say("procmail: Insufficient privileges\n");
        return EX_NOPERM;
    }
    let ended =
        Asked::parse(options, names.get(1..).unwrap_or_default()).and_then(|asked| match asked.study {
            Study::Check => check(&asked),
            Study::Explain => explain(&asked, own()),
            Study::Format => lay_out(&asked),
            Study::ToSieve => to_sieve(&asked),
        });
    ended.unwrap_or_else(|mistake| {
        say(&format!("procmail: {mistake}\n"));
        match mistake {
            Mistake::Unreadable(..) => EX_NOINPUT,
            Mistake::Output(_) | Mistake::Replaced(_) => EX_IOERR,
            _ => EX_USAGE,
        }
    })
}

#[derive(Debug, thiserror::Error)]
enum Mistake {
    #[error("expected {0}; see procmail --help")]
    Usage(&'static str),
    #[error("expected {} beside \"{}\"; see procmail --help", .0.name, .1)]
    Alone(&'static Action, &'static str),
    #[error("expected an option that goes with {}, found \"{}\"; see procmail --help", .0.name, .1.display())]
    Option(&'static Action, OsString),
    #[error("expected an option of those in procmail --help, found \"{}\"{}; nothing is delivered", .0.display(), .1)]
    Unknown(OsString, Nearest),
    #[error("cannot read \"{}\": {}", .0.display(), .1)]
    Unreadable(PathBuf, io::Error),
    #[error("expected \"{}\" to be the file that was read, found another in its place", .0.display())]
    Replaced(PathBuf),
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The option that was probably meant.
#[derive(Debug)]
struct Nearest(Option<&'static str>);

impl Nearest {
    fn of(found: &OsStr) -> Nearest {
        let found = found.to_string_lossy();
        let (word, _) = found.split_once('=').unwrap_or((&found, ""));
        let known = ACTIONS.iter().flat_map(|action| action.options.iter().copied().chain([action.name]));
        let far = |option: &&str| strsim::osa_distance(word, option);
        // Half of the letters shall be right.
        let near = |option: &&str| 2 * far(option) <= word.len().max(option.len()) - "--".len();
        Nearest(known.chain([HELP, VERSION]).filter(near).min_by_key(far))
    }
}

impl std::fmt::Display for Nearest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |option| write!(f, " (did you mean {option}?)"))
    }
}

/// What the command line asks for.
#[derive(Debug)]
struct Asked {
    study: Study,
    /// `--fix` or `--in-place`
    mends: bool,
    /// `--ascii`
    ascii: bool,
    /// `--run-programs` or `--programs`
    programs: bool,
    /// `--test`
    tests: bool,
    assignments: Vec<Vec<u8>>,
    rc_files: Vec<PathBuf>,
}

impl Asked {
    /// Reads options and files in any order, and files behind `--`.
    fn parse(arguments: &[OsString], names: &[OsString]) -> Result<Asked, Mistake> {
        let is_word = |argument: &&OsString| argument.as_bytes().starts_with(b"--");
        let known = |option: &OsString| {
            ACTIONS
                .iter()
                .any(|action| option == action.name || action.options.iter().any(|name| option == name))
        };
        if let Some(unknown) = arguments.iter().filter(is_word).find(|option| !known(option)) {
            return Err(Mistake::Unknown(unknown.clone(), Nearest::of(unknown)));
        }
        let named = |action: &&Action| arguments.iter().any(|argument| argument == action.name);
        let Some(action) = ACTIONS.iter().find(named) else {
            let lone = |action: &'static Action| {
                let name =
                    action.options.iter().find(|name| arguments.iter().any(|argument| argument == *name));
                name.map(|name| Mistake::Alone(action, name))
            };
            return Err(ACTIONS.iter().find_map(lone).unwrap_or(Mistake::Usage("an option")));
        };
        let study = action.study;
        let (assignments, rc_files) = (Vec::new(), Vec::new());
        let mut asked =
            Asked { study, mends: false, ascii: false, programs: false, tests: false, assignments, rc_files };
        for argument in arguments {
            match (study, argument.as_bytes()) {
                (_, text) if text == action.name.as_bytes() => {}
                (Study::Check, b"--fix") | (Study::Format, b"--in-place") => asked.mends = true,
                (Study::Format, b"--test") => asked.tests = true,
                (Study::Explain, b"--ascii") => asked.ascii = true,
                (Study::Explain, b"--run-programs") | (Study::ToSieve, b"--programs") => {
                    asked.programs = true
                }
                (_, [b'-', _, ..]) => return Err(Mistake::Option(action, argument.clone())),
                (_, text) if is_assignment(text) => asked.assignments.push(text.to_vec()),
                _ => asked.rc_files.push(argument.into()),
            }
        }
        asked.rc_files.extend(names.iter().map(PathBuf::from));
        match asked.rc_files.is_empty() {
            true => Err(Mistake::Usage("an rc file (- is the standard input)")),
            false => Ok(asked),
        }
    }

    fn only_rc(&self) -> Result<&Path, Mistake> {
        match self.rc_files.as_slice() {
            [rc] => Ok(rc),
            _ => Err(Mistake::Usage("one rc file")),
        }
    }
}

/// Whether an argument sets a variable rather than naming a file.
fn is_assignment(argument: &[u8]) -> bool {
    let name = argument.iter().position(|&byte| byte == b'=').map(|at| &argument[..at]);
    name.is_some_and(|name| {
        name.first().is_some_and(|first| !first.is_ascii_digit())
            && name.iter().all(|&byte| byte == b'_' || byte.is_ascii_alphanumeric())
    })
}

/// An rc file that was read; `-` is the standard input.
struct Source {
    text: Vec<u8>,
    /// What it was read from, unless that is the standard input. Kept open, no other file can be taken for it.
    file: Option<File>,
}

fn read(path: &Path) -> Result<Source, Mistake> {
    let mut text = Vec::new();
    let read = match path == Path::new("-") {
        true => io::stdin().read_to_end(&mut text).map(|_| None),
        false => File::open(path).and_then(|mut file| {
            file.read_to_end(&mut text)?;
            Ok(Some(file))
        }),
    };
    read.map(|file| Source { text, file }).map_err(|error| Mistake::Unreadable(path.to_owned(), error))
}

/// Puts a text in the place of what was read.
fn replace(path: &Path, read: Option<&File>, text: &[u8]) -> Result<(), Mistake> {
    let Some(read) = read else { return Ok(io::stdout().write_all(text)?) };
    // Beside the file, so that it is replaced as one: mail may come meanwhile.
    let place = path.canonicalize()?;
    let folder = place.parent().unwrap_or(Path::new("/"));
    let entries = File::open(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text)?;
    let (old, new) = (read.metadata()?, file.as_file().metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        // Whoever cannot give it back to its owner leaves it as it is.
        std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
    }
    file.as_file().set_permissions(Permissions::from_mode(old.mode() & PERMISSIONS))?;
    file.as_file().sync_all()?;
    let found = std::fs::symlink_metadata(&place)?;
    if (found.dev(), found.ino()) != (old.dev(), old.ino()) {
        return Err(Mistake::Replaced(path.to_owned()));
    }
    file.persist(&place).map_err(|error| error.error)?;
    Ok(entries.sync_all()?)
}

fn check(asked: &Asked) -> Result<u8, Mistake> {
    let colours = if io::stdout().is_terminal() { Colours::Ansi } else { Colours::Never };
    let (mut errors, mut others) = (0, 0);
    for path in &asked.rc_files {
        let source = read(path)?;
        let mut rc = Rc::parse(source.text);
        let mut found = check::check(&rc);
        if asked.mends {
            let mended = check::fix(&rc, &found);
            if mended != rc.source() || path == Path::new("-") {
                replace(path, source.file.as_ref(), &mended)?;
            }
            rc = Rc::parse(mended);
            found = check::check(&rc);
        }
        let shown = check::render(&rc, &path.display().to_string(), &found, colours);
        match asked.mends && path == Path::new("-") {
            true => say(&shown),
            false => io::stdout().write_all(shown.as_bytes())?,
        }
        let wrong = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        errors += wrong;
        others += found.len() - wrong;
    }
    if errors + others > 0 {
        say(&format!("errors: {errors}; warnings and hints: {others}\n"));
    }
    Ok(if errors > 0 { FOUND } else { 0 })
}

fn lay_out(asked: &Asked) -> Result<u8, Mistake> {
    let mut code = 0;
    for path in &asked.rc_files {
        let source = read(path)?;
        let tidy = format::format(&source.text);
        if asked.tests {
            if tidy != source.text {
                writeln!(io::stdout(), "{}", path.display())?;
                code = FOUND;
            }
        } else if asked.mends {
            if tidy != source.text || path == Path::new("-") {
                replace(path, source.file.as_ref(), &tidy)?;
            }
        } else {
            io::stdout().write_all(&tidy)?;
        }
    }
    Ok(code)
}

fn to_sieve(asked: &Asked) -> Result<u8, Mistake> {
    let path = asked.only_rc()?;
    let mut options = sieve::Options::new();
    options.programs = asked.programs;
    for assignment in &asked.assignments {
        let equals = assignment.iter().position(|&byte| byte == b'=').unwrap_or(assignment.len());
        options = options.variable(&assignment[..equals], assignment.get(equals + 1..).unwrap_or_default());
    }
    let conversion = sieve::to_sieve(&Rc::parse(read(path)?.text), &options);
    io::stdout().write_all(conversion.script.as_bytes())?;
    for note in &conversion.notes {
        say(&format!("{}:{note}\n", path.display()));
    }
    Ok(if conversion.is_complete() { 0 } else { FOUND })
}

fn explain(asked: &Asked, own: Account) -> Result<u8, Mistake> {
    let path = asked.only_rc()?;
    if path == Path::new("-") {
        return Err(Mistake::Usage("an rc file by name, and the mail on the standard input"));
    }
    let source = read(path)?;
    let name = path.as_os_str().as_bytes();
    let mut mail = Vec::new();
    io::stdin().read_to_end(&mut mail)?;
    let mut setup = Setup::new();
    let options = Options { mode: Mode::Own(Vec::new(), vec![name.to_vec()]), ..Options::default() };
    setup.host = rustix::system::uname().nodename().to_bytes().to_vec();
    environment::set_up(&mut setup, std::env::vars_os(), &options, &own);
    setup.assignments.clone_from(&asked.assignments);
    setup.directory = Some(own.home.clone());
    let mut directory = std::env::current_dir()?;
    let mut host = Host::new(&directory, Stop::new()?).with_inherited_umask(deliver::UMASK);
    let explanation = Explainer::new(setup)
        .rc(name, source.text)
        .answering(|effect| match effect {
            Effect::ReadRc(rc) if !rc.first => {
                std::fs::read(directory.join(OsStr::from_bytes(&rc.path))).ok().map(Outcome::Read)
            }
            Effect::ChangeDirectory(to) => {
                let to = directory.join(OsStr::from_bytes(to));
                to.is_dir().then(|| {
                    directory = to;
                    host.enter(&directory);
                    Outcome::Done
                })
            }
            // What delivers, and what comes at the end, is never run.
            Effect::Run(run)
                if asked.programs
                    && matches!(
                        run.purpose,
                        Purpose::Condition | Purpose::Substitution | Purpose::Filter | Purpose::Capture
                    ) =>
            {
                host.run(run)
            }
            _ => None,
        })
        .explain(Mail::new(mail));
    let marks = if asked.ascii { Marks::Ascii } else { Marks::Unicode };
    io::stdout().write_all(explanation.render(marks).as_bytes())?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_read_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let rc = dir.path().join("rc");
        let text = || std::fs::read(&rc).unwrap();
        std::fs::write(&rc, "old").unwrap();
        std::fs::set_permissions(&rc, Permissions::from_mode(0o4755)).unwrap();
        let source = read(&rc).unwrap();
        replace(&rc, source.file.as_ref(), b"new").unwrap();
        assert_eq!((text(), std::fs::metadata(&rc).unwrap().mode() & 0o7777), (b"new".to_vec(), 0o755));
        // What was read before stands there no more, but a file that is another's, or a link to one.
        let found = replace(&rc, source.file.as_ref(), b"newer");
        assert!(matches!(found, Err(Mistake::Replaced(_))), "{found:?}");
        std::fs::rename(&rc, dir.path().join("other")).unwrap();
        std::os::unix::fs::symlink("other", &rc).unwrap();
        let found = replace(&rc, source.file.as_ref(), b"newer");
        assert!(matches!(found, Err(Mistake::Replaced(_))), "{found:?}");
        assert_eq!((text(), std::fs::read_dir(dir.path()).unwrap().count()), (b"new".to_vec(), 2));
        // By way of the link it is what was read.
        let source = read(&rc).unwrap();
        replace(&rc, source.file.as_ref(), b"newer").unwrap();
        assert_eq!((text(), rc.is_symlink()), (b"newer".to_vec(), true));
    }
}
