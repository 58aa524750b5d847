//! Rc files looked at rather than obeyed: checked, explained, laid out, converted.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
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
use super::options::{Mode, Options};
use super::{EX_IOERR, EX_NOINPUT, EX_NOPERM, EX_USAGE, deliver, environment, say, usage};

/// There is something to mend.
const FOUND: u8 = 1;

/// Does what the command line asks for, if it is to look at rc files: the exit code.
pub(crate) fn run(arguments: &[OsString], own: impl FnOnce() -> Account) -> Option<u8> {
    let (first, rest) = arguments.split_first()?;
    let what: fn(&Asked, Account) -> Result<u8, Mistake> = match first.as_bytes() {
        b"--help" => {
            drop(io::stdout().write_all(usage::tools().as_bytes()));
            return Some(0);
        }
        b"--check" => |asked, _| check(asked),
        b"--explain" => explain,
        b"--format" => |asked, _| lay_out(asked),
        b"--to-sieve" => |asked, _| to_sieve(asked),
        _ => return None,
    };
    if !account::drop_set_id() {
        say("procmail: Insufficient privileges\n");
        return Some(EX_NOPERM);
    }
    let ended = Asked::parse(first, rest).and_then(|asked| what(&asked, own()));
    Some(ended.unwrap_or_else(|mistake| {
        say(&format!("procmail: {mistake}\n"));
        match mistake {
            Mistake::Usage(_) | Mistake::Option(_) => EX_USAGE,
            Mistake::Unreadable(..) => EX_NOINPUT,
            Mistake::Output(_) => EX_IOERR,
        }
    }))
}

#[derive(Debug, thiserror::Error)]
enum Mistake {
    #[error("expected {0}; see procmail --help")]
    Usage(&'static str),
    #[error("expected an option of those in procmail --help, found \"{}\"", .0.display())]
    Option(OsString),
    #[error("cannot read \"{}\": {}", .0.display(), .1)]
    Unreadable(PathBuf, io::Error),
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// What stands behind the first option.
#[derive(Debug, Default)]
struct Asked {
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
    fn parse(what: &OsStr, arguments: &[OsString]) -> Result<Asked, Mistake> {
        let mut asked = Asked::default();
        let assigns = matches!(what.as_bytes(), b"--explain" | b"--to-sieve");
        for argument in arguments {
            match (what.as_bytes(), argument.as_bytes()) {
                (b"--check", b"--fix") | (b"--format", b"--in-place") => asked.mends = true,
                (b"--format", b"--test") => asked.tests = true,
                (b"--explain", b"--ascii") => asked.ascii = true,
                (b"--explain", b"--run-programs") | (b"--to-sieve", b"--programs") => asked.programs = true,
                (_, [b'-', _, ..]) => return Err(Mistake::Option(argument.clone())),
                (_, text) if assigns && text.contains(&b'=') => asked.assignments.push(text.to_vec()),
                _ => asked.rc_files.push(argument.into()),
            }
        }
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

/// An rc file; `-` is the standard input.
fn read(path: &Path) -> Result<Vec<u8>, Mistake> {
    let mut source = Vec::new();
    let read = match path == Path::new("-") {
        true => io::stdin().read_to_end(&mut source).map(|_| source),
        false => std::fs::read(path),
    };
    read.map_err(|error| Mistake::Unreadable(path.to_owned(), error))
}

fn replace(path: &Path, text: &[u8]) -> Result<(), Mistake> {
    if path == Path::new("-") {
        return Ok(io::stdout().write_all(text)?);
    }
    // Beside the file, so that it is replaced as one: mail may come meanwhile.
    let place = path.canonicalize()?;
    let folder = place.parent().unwrap_or(Path::new("/"));
    let entries = std::fs::File::open(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text)?;
    let (old, new) = (std::fs::metadata(&place)?, file.as_file().metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        // Whoever cannot give it back to its owner leaves it as it is.
        std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
    }
    file.as_file().set_permissions(old.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&place).map_err(|error| error.error)?;
    Ok(entries.sync_all()?)
}

fn check(asked: &Asked) -> Result<u8, Mistake> {
    let colours = if io::stdout().is_terminal() { Colours::Ansi } else { Colours::Never };
    let (mut errors, mut others) = (0, 0);
    for path in &asked.rc_files {
        let mut rc = Rc::parse(read(path)?);
        let mut found = check::check(&rc);
        if asked.mends {
            let mended = check::fix(&rc, &found);
            if mended != rc.source() || path == Path::new("-") {
                replace(path, &mended)?;
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
        let tidy = format::format(&source);
        if asked.tests {
            if tidy != source {
                writeln!(io::stdout(), "{}", path.display())?;
                code = FOUND;
            }
        } else if asked.mends {
            if tidy != source || path == Path::new("-") {
                replace(path, &tidy)?;
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
    let conversion = sieve::to_sieve(&Rc::parse(read(path)?), &options);
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
    let presets = std::mem::take(&mut setup.environment);
    setup.host = rustix::system::uname().nodename().to_bytes().to_vec();
    setup.environment = environment::variables(presets, std::env::vars_os(), &options, &own, &setup.host);
    setup.assignments.clone_from(&asked.assignments);
    setup.directory = Some(own.home.clone());
    let mut directory = std::env::current_dir()?;
    let mut host = Host::new(&directory, Stop::new()?).with_inherited_umask(deliver::UMASK);
    let explanation = Explainer::new(setup)
        .rc(name, source)
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
