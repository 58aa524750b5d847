//! [`Rules`]: the rc files of users, which say where their mail goes.
//!
//! An rc file sees the message as it will lie on disk, behind a From_ line. `HOME` and `MAILDIR` are the folder of the user,
//! `DEFAULT` is the inbox in it (`Maildir/`, `mbox` or `Mail/inbox/.`), and nothing outside of it can be reached. What it exits
//! with is what the client is told: 0 is delivered; of the others in sysexits(3), those that stand for trouble of ours or for
//! another try are temporary.

mod rc;
mod rehearsal;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use maildrop::store::StoreFormat;
use maildrop::{FromLine, UserName};
use procmail_engine::effect::{Outcome, ReadRc};
use procmail_engine::eval::{Evaluator, Fate, Finished, Setup};
use procmail_engine::mail::Mail;
use procmail_engine::regex::Library;
use procmail_engine::syntax::Rc;
use smtp_proto::types::Refusal;

use self::rc::{Broken, RcFiles};
use self::rehearsal::{Hindrance, rehearse};
use super::Kept;
use super::turns::{Turn, Turns};
use crate::config::{BrokenRc, FilterConfig};
use crate::filter::{Allowance, Host, Limits, Log, Notices, Places, Programs, Stop};

/// sysexits(3): the addressee is unknown.
const EX_NOUSER: i32 = 67;
/// sysexits(3): from this to [`EX_TEMPFAIL`] it is the system's fault. 73 is what procmail exits with when no folder would
/// take a mail.
const EX_SOFTWARE: i32 = 70;
/// sysexits(3): to be tried again.
const EX_TEMPFAIL: i32 = 75;

/// Bytes that the rules for a message may write to log files.
const MOST_LOG: u64 = 1 << 20;

const UNKNOWN_USER: Refusal = Refusal::from_static(550, (5, 1, 1), "no such user, by the recipient's rules");
const REJECTED: Refusal = Refusal::from_static(554, (5, 7, 1), "refused by the recipient's rules");
const BROKEN: Refusal =
    Refusal::from_static(451, (4, 3, 5), "the recipient's rules are broken, try again later");
const FORBIDDEN: Refusal = Refusal::from_static(
    451,
    (4, 3, 5),
    "the recipient's rules need a program that may not run here, try again later",
);

/// Why rc files cannot be obeyed as the configuration asks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Programs would run as root.
    #[error(
        "expected filter.run_as to name the user as whom programs of rc files run, since the server runs as root"
    )]
    NobodyToRunAs,
    /// Programs of users would run as root.
    #[error("expected filter.run_as to name another user than root, since rc files are their users'")]
    Root,
    /// The user is none.
    #[error("expected filter.run_as to be a user of this system, found {0:?}")]
    UnknownUser(String),
    /// Only root can run programs as somebody else.
    #[error("expected to run as root where filter.run_as is {0:?}, found another user")]
    NotRoot(String),
    /// An rc file is for nobody, or is none.
    #[error("expected an rc file for user {user:?}, found {found}")]
    Given {
        /// The name of the user.
        user: String,
        /// What is wrong.
        found: String,
    },
    /// Mail is filed on disk only; a temporary folder will do.
    #[error(
        "expected a data folder (`data`) for the mail that rc files are to file, found that it is kept in memory"
    )]
    NoData,
    /// An rc file that would not be obeyed.
    #[error("expected a store on disk for what the rc file {path} is to file, found memory: remove that file, or set filter.enabled = false", path = path.display())]
    InMemory {
        /// The rc file.
        path: PathBuf,
    },
    /// The system gives no pipe.
    #[error("expected a pipe from the system, found: {0}")]
    Pipe(#[source] std::io::Error),
}

/// Why a message was not filed.
pub(super) enum Trouble {
    /// The client is told so.
    Refuse(Refusal),
    /// It goes to the inbox, as the configuration has it for a broken rc file.
    Inbox,
}

/// Takes an rc file from code.
pub(crate) fn given(user: &str, text: &[u8]) -> Result<(UserName, Arc<Rc>), RulesError> {
    let wrong = |found: String| RulesError::Given { user: user.to_owned(), found };
    let name = UserName::parse(user).map_err(|error| wrong(error.to_string()))?;
    let rc = Rc::parse(text.to_vec());
    if let Some((at, found)) = rc::flaw(&rc) {
        let (line, column) = rc.position(at);
        return Err(wrong(format!("in line {line}, column {column} {found}")));
    }
    Ok((name, Arc::new(rc)))
}

/// The rc files of all users. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Rules(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: FilterConfig,
    /// The folder of the users' folders.
    root: PathBuf,
    /// What the inbox is.
    format: StoreFormat,
    hostname: String,
    programs: Programs,
    files: RcFiles,
    /// Rc files given from code, in the place of those on disk.
    given: HashMap<UserName, Arc<Rc>>,
    expressions: Library,
    turns: Turns,
    stop: Stop,
    /// Whether messages are wanted after they were filed.
    remembers: bool,
}

impl Rules {
    pub(crate) fn new(
        config: FilterConfig,
        root: PathBuf,
        format: StoreFormat,
        hostname: &str,
        given: HashMap<UserName, Arc<Rc>>,
        remembers: bool,
    ) -> Result<Self, RulesError> {
        let programs = match config.programs {
            true => Programs::Run(limits(&config)?),
            false => Programs::Refuse,
        };
        Ok(Self(Arc::new(Shared {
            turns: Turns::new(config.at_once),
            config,
            root,
            format,
            hostname: hostname.to_owned(),
            programs,
            files: RcFiles::default(),
            given,
            expressions: Library::default(),
            stop: Stop::new().map_err(RulesError::Pipe)?,
            remembers,
        })))
    }

    /// Whether the user has an rc file. Blocks.
    pub(crate) fn are_there_for(&self, user: &UserName) -> bool {
        self.0.given.contains_key(user) || self.0.rc_of(user).symlink_metadata().is_ok()
    }

    /// Ends what waits, for a lock or a program: the mail is to come again.
    pub(super) fn stop(&self) {
        self.0.stop.request(Fate::Requeued);
    }

    /// Waits until a message for these users may be filed.
    pub(super) async fn turn(&self, users: impl Iterator<Item = &UserName>) -> Option<Turn> {
        self.0.turns.turn(users).await
    }

    /// Files a message by the rc file of a user, who has a [turn](Self::turn): `prefix` and `body`, with LF at the ends of
    /// lines. There is `room` for so many bytes, if that is limited. Blocks.
    pub(super) fn file(
        &self,
        user: &UserName,
        sender: &str,
        prefix: &[u8],
        body: &[u8],
        room: Option<u64>,
    ) -> Result<Kept, Trouble> {
        let shared = &*self.0;
        let ground = Ground::new(self, user)?;
        // It may have been removed since the recipient was named.
        if ground.own().map_err(|why| shared.broken(user, &why))?.is_none() {
            return Err(Trouble::Inbox);
        }
        let deadline = Instant::now() + shared.config.time.0;
        let offset = jiff::Zoned::now().offset().seconds();
        let from_line = FromLine::new(sender.as_bytes(), SystemTime::now(), offset);
        let message = Mail::new([from_line.as_bytes(), prefix, body].concat());
        let evaluator = Evaluator::new(shared.setup(user, sender, &ground), message);
        let allowance = Allowance { copies: Some(shared.config.copies), bytes: room, log: Some(MOST_LOG) };
        if shared.programs == Programs::Refuse {
            shared.rehearse(user, &ground, evaluator.clone(), deadline, allowance)?;
        }
        let reader = ground.clone();
        let mut host = Host::new(&ground.home, shared.stop.clone())
            .with_programs(shared.programs.clone())
            .with_notices(if shared.config.notices { Notices::Local } else { Notices::Nowhere })
            .with_places(Places::Below(ground.home.clone()))
            .with_log(Log::Nowhere)
            .with_deadline(deadline)
            .with_allowance(allowance)
            .with_reader(move |rc, directory| reader.read(rc, directory).unwrap_or(Outcome::Failed));
        if shared.format == StoreFormat::Mh {
            host = host.with_served_folders();
        }
        let finished = host.evaluate(evaluator);
        let copies = host.wait();
        if host.is_exceeded() {
            return Err(shared.too_many_copies(user, &ground));
        }
        // What a copy could not file is lost to its recipient, unless the message comes again.
        let failed = |copy: &&Finished| matches!(copy.fate, Fate::Bounced | Fate::Requeued);
        let worst = copies.iter().find(failed).unwrap_or(&finished);
        match worst.code {
            // Whatever EXITCODE says, a mail that was filed nowhere is to come again.
            0 if !matches!(worst.fate, Fate::Delivered | Fate::Dropped) => {
                Err(Trouble::Refuse(Refusal::LOCAL_ERROR))
            }
            0 => Ok(Kept::Filed {
                destinations: host.destinations(),
                message: shared.remembers.then(|| [prefix, body].concat().into()),
            }),
            code => Err(Trouble::Refuse(refusal(code))),
        }
    }
}

/// Where in the folder of a user the inbox lies. What it ends with tells procmail what it is.
fn inbox(format: StoreFormat) -> &'static [u8] {
    match format {
        StoreFormat::Mbox => b"/mbox",
        StoreFormat::Mh => b"/Mail/inbox/.",
        _ => b"/Maildir/",
    }
}

fn limits(config: &FilterConfig) -> Result<Limits, RulesError> {
    let root = rustix::process::geteuid().is_root();
    let user = match &config.run_as {
        Some(name) if name == "root" => return Err(RulesError::Root),
        None if root => return Err(RulesError::NobodyToRunAs),
        None => None,
        Some(name) if !root => return Err(RulesError::NotRoot(name.clone())),
        Some(name) => match nix::unistd::User::from_name(name) {
            Ok(Some(user)) if user.uid.is_root() => return Err(RulesError::Root),
            Ok(Some(user)) => Some((user.uid.as_raw(), user.gid.as_raw())),
            _ => return Err(RulesError::UnknownUser(name.clone())),
        },
    };
    Ok(Limits {
        time: Some(config.program_time.0),
        output: usize::try_from(config.program_output.0).unwrap_or(usize::MAX),
        user,
        as_group: true,
        ..Limits::default()
    })
}

impl Shared {
    fn folder(&self, user: &UserName) -> PathBuf {
        self.root.join(user.as_str())
    }

    fn rc_of(&self, user: &UserName) -> PathBuf {
        self.config.rc_of(user.as_str(), &self.folder(user))
    }

    /// Makes sure that no program will be wanted, nor a broken rc file included, and that no more is written than may be.
    fn rehearse(
        &self,
        user: &UserName,
        ground: &Ground,
        evaluator: Evaluator,
        deadline: Instant,
        allowance: Allowance,
    ) -> Result<(), Trouble> {
        let mut why = None;
        let mut read = |rc: &ReadRc, directory: &Path| {
            ground.read(rc, directory).map_err(|error| {
                why = Some(error);
                Hindrance::Broken
            })
        };
        match rehearse(evaluator, &ground.home, deadline, allowance, &mut read) {
            Ok(()) => Ok(()),
            Err(Hindrance::Time) => {
                tracing::warn!(%user, "the rc file does not come to an end");
                Err(Trouble::Refuse(Refusal::LOCAL_ERROR))
            }
            Err(Hindrance::Copies) => Err(self.too_many_copies(user, ground)),
            Err(Hindrance::Room) => Err(Trouble::Refuse(Refusal::MAILBOX_FULL)),
            Err(Hindrance::Broken) => Err(why.map_or(Trouble::Inbox, |why| self.broken(user, &why))),
            Err(Hindrance::Program(purpose)) => {
                tracing::warn!(%user, ?purpose, "the rc file runs a program, which filter.programs does not allow");
                Err(Trouble::Refuse(FORBIDDEN))
            }
        }
    }

    fn too_many_copies(&self, user: &UserName, ground: &Ground) -> Trouble {
        self.broken(user, &Broken::Copies { path: ground.rc.clone(), most: self.config.copies })
    }

    fn broken(&self, user: &UserName, why: &Broken) -> Trouble {
        tracing::warn!(%user, "{why}");
        match self.config.broken {
            BrokenRc::Defer => Trouble::Refuse(BROKEN),
            BrokenRc::Inbox => Trouble::Inbox,
        }
    }

    fn setup(&self, user: &UserName, sender: &str, ground: &Ground) -> Setup {
        let home = ground.home.as_os_str().as_bytes();
        let inbox = [home, inbox(self.format)].concat();
        let mut setup = Setup::new()
            .variable("LOGNAME", user.as_str())
            .variable("HOME", home)
            .variable("SHELL", "/bin/sh")
            .variable("PATH", "/usr/local/bin:/usr/bin:/bin")
            .variable("HOST", self.hostname.as_str())
            .variable("SENDER", sender)
            .variable("DEFAULT", inbox.as_slice())
            .variable("ORGMAIL", inbox);
        setup.host = self.hostname.clone().into_bytes();
        setup.process = std::process::id();
        setup.directory = Some(home.to_vec());
        setup.rc_files = vec![ground.rc.as_os_str().as_bytes().to_vec()];
        setup.requeues = true;
        setup.pauses = true;
        setup.expressions = self.expressions.clone();
        setup
    }
}

/// What the client is told of an exit code.
fn refusal(code: i32) -> Refusal {
    match code {
        EX_NOUSER => UNKNOWN_USER,
        EX_SOFTWARE..=EX_TEMPFAIL => Refusal::LOCAL_ERROR,
        _ => REJECTED,
    }
}

/// Where the rc file of a user may read.
#[derive(Debug, Clone)]
struct Ground {
    rules: Rules,
    home: PathBuf,
    rc: PathBuf,
    given: Option<Arc<Rc>>,
    /// Who may have written rc files.
    owners: [u32; 3],
}

impl Ground {
    fn new(rules: &Rules, user: &UserName) -> Result<Self, Trouble> {
        let shared = &rules.0;
        let folder = shared.folder(user);
        let found = folder.canonicalize().and_then(|home| Ok((home.metadata()?.uid(), home)));
        let (owner, home) = found.map_err(|error| {
            tracing::error!(path = %folder.display(), %error, "the folder of a user cannot be used");
            Trouble::Refuse(Refusal::LOCAL_ERROR)
        })?;
        let owners = [0, rustix::process::geteuid().as_raw(), owner];
        let rc = shared.config.rc_of(user.as_str(), &home);
        Ok(Self { rules: rules.clone(), rc, given: shared.given.get(user).cloned(), home, owners })
    }

    /// The rc file of the user.
    fn own(&self) -> Result<Option<Arc<Rc>>, Broken> {
        match &self.given {
            Some(given) => Ok(Some(Arc::clone(given))),
            None => self.rules.0.files.read(&self.rc, &self.owners),
        }
    }

    /// The rc file that is asked for.
    fn read(&self, rc: &ReadRc, directory: &Path) -> Result<Outcome, Broken> {
        if rc.first {
            return Ok(self.own()?.map_or(Outcome::Failed, Outcome::Parsed));
        }
        let path = directory.join(OsStr::from_bytes(&rc.path));
        let allowed = Places::Below(self.home.clone()).allow(&path)
            || self.rules.0.config.includes.iter().any(|folder| Places::Below(folder.clone()).allow(&path));
        let read = if allowed { self.rules.0.files.read(&path, &self.owners)? } else { None };
        Ok(read.map_or(Outcome::Failed, Outcome::Parsed))
    }
}
