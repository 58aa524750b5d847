//! From the command line to the exit code: one evaluation, or one for each recipient.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mailwright::filter::{Host, Owners, Stop};
use procmail_engine::eval::{Evaluator, Fate, Finished, Setup, SystemRc};
use procmail_engine::mail::Mail;
use rustix::fs::{OFlags, major, minor};
use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ,
};

use super::account::{self, Account};
use super::options::{Mode, Options};
use super::{EX_CANTCREAT, EX_NOPERM, EX_NOUSER, EX_OSERR, EX_TEMPFAIL, environment, say, sender};

/// Files are for their owner, unless `UMASK` says otherwise.
pub(crate) const UMASK: u32 = 0o077;
/// The rc file of the system.
const SYSTEM_RC: &str = "/etc/procmailrc";
/// The rc file of a user, in the home directory.
const USER_RC: &str = ".procmailrc";
/// Rc files here are evaluated with the rights of their owner.
const PRIVILEGED_RCS: &str = "/etc/procmailrcs";
/// How often a delivery that another process does is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// Has signals do what procmail(1) says.
pub(crate) fn stop_on_signals() -> io::Result<Stop> {
    let stop = Stop::new()?;
    let ignored = ignored_signals();
    for (signal, fate) in
        [(SIGTERM, Fate::Requeued), (SIGHUP, Fate::Bounced), (SIGINT, Fate::Bounced), (SIGQUIT, Fate::Lost)]
    {
        // Whoever starts this in the background has the keyboard's signals ignored.
        if signal == SIGTERM || ignored & 1 << (signal - 1) == 0 {
            stop.on_signal(signal, fate)?;
        }
    }
    stop.timeout_on_signal(SIGALRM)?;
    // What is too large for a file is an error where it is written, and so is told and gone on from.
    for signal in [SIGXFSZ, SIGXCPU] {
        signal_hook::flag::register(signal, Arc::default())?;
    }
    // Whoever starts this may have the ends of its programs ignored; without a handler, no more would be told of them.
    signal_hook::flag::register(SIGCHLD, Arc::default())?;
    stop.verbose_on_signals(SIGUSR1, SIGUSR2)?;
    Ok(stop)
}

/// The signals that this process was started to ignore, the first in the lowest bit. None where the system does not tell.
fn ignored_signals() -> u64 {
    // The system writes it anew for each piece that is read.
    let mut status = String::with_capacity(4096);
    let read = File::open("/proc/self/status").and_then(|mut file| file.read_to_string(&mut status));
    if read.is_err() {
        return 0;
    }
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Delivers a mail, and answers the exit code.
pub(crate) fn deliver(options: &Options, own: &Account, mail: Vec<u8>, stop: &Stop) -> u8 {
    let Mode::Recipients(names) = &options.mode else {
        let mail = with_sender(options, own, mail);
        return evaluate(options, own, mail, stop);
    };
    let Some((last, others)) = names.split_last() else { return EX_NOUSER };
    let mut apart = 0;
    for name in others {
        apart = match deliver_apart(options, name, &mail, stop) {
            0 => apart,
            // What the system refused today it may grant tomorrow.
            EX_TEMPFAIL | EX_OSERR => EX_TEMPFAIL,
            _ if apart == EX_TEMPFAIL || options.fails_softly => EX_TEMPFAIL,
            _ => EX_CANTCREAT,
        };
    }
    let code = deliver_to(options, own, last, mail, stop);
    // Whoever is to be tried again must not get a bounce for another.
    if code == 0 || apart == EX_TEMPFAIL { apart } else { code }
}

/// Delivers to one user, whose rights are taken on.
fn deliver_to(options: &Options, own: &Account, name: &[u8], mail: Vec<u8>, stop: &Stop) -> u8 {
    let recipient = match Account::named(name) {
        Ok(Some(recipient)) => recipient,
        Ok(None) => {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            say(&format!("procmail: Unknown user \"{name}\"\n"));
            return EX_NOUSER;
        }
        // Who cannot be asked today may be there tomorrow.
        Err(error) => {
            say(&format!("procmail: cannot look up \"{}\": {error}\n", String::from_utf8_lossy(name)));
            return EX_TEMPFAIL;
        }
    };
    if account::is_root() {
        if let Err(refused) = recipient.make_mailbox() {
            say(&format!("procmail: {refused}\n"));
            return refused.code();
        }
    } else if !recipient.become_it() {
        say("procmail: Insufficient privileges\n");
        return EX_NOPERM;
    }
    let mail = with_sender(options, own, mail);
    evaluate(options, &recipient, mail, stop)
}

/// Delivers to one of several users in a process of its own, since rights that are given up do not come back.
fn deliver_apart(options: &Options, name: &[u8], mail: &[u8], stop: &Stop) -> u8 {
    let run = || -> io::Result<u8> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(options_for_one(options)).arg("-d").arg(OsStr::from_bytes(name)).stdin(Stdio::piped());
        let mut child = command.spawn()?;
        let fed = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(mail));
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                // Whoever did not get all of the mail has not delivered it, whatever it says.
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                return Ok(code.filter(|&code| code != 0 || fed.is_ok()).unwrap_or(EX_TEMPFAIL));
            }
            if stop.requested().is_some() && !std::mem::replace(&mut told, true) {
                terminate(&child);
            }
            std::thread::sleep(GLANCE);
        }
    };
    run().unwrap_or_else(|error| {
        say(&format!("procmail: cannot deliver to \"{}\": {error}\n", String::from_utf8_lossy(name)));
        EX_OSERR
    })
}

fn terminate(child: &std::process::Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// The command line again, without the recipients.
fn options_for_one(options: &Options) -> Vec<OsString> {
    let mut line = Vec::new();
    for (set, letter) in
        [(options.fails_softly, "-t"), (options.overrides_fakes, "-o"), (options.berkeley, "-Y")]
    {
        line.extend(set.then(|| OsString::from(letter)));
    }
    let values = options.sender.iter().map(|value| ("-f", value));
    for (letter, value) in values.chain(options.arguments.iter().map(|value| ("-a", value))) {
        line.extend([letter.into(), OsString::from_vec(value.clone())]);
    }
    line
}

fn with_sender(options: &Options, invoker: &Account, mail: Vec<u8>) -> Vec<u8> {
    let rule = sender::Rule {
        sender: options.sender.as_deref(),
        invoker: &invoker.name,
        explicit: matches!(options.mode, Mode::Recipients(_)),
        trusted: invoker.is_trusted(),
        overrides: options.overrides_fakes,
    };
    sender::apply(&rule, mail, sender::date)
}

/// Evaluates the rc files for one user.
fn evaluate(options: &Options, account: &Account, mail: Vec<u8>, stop: &Stop) -> u8 {
    let mut account = account.clone();
    let mut setup = Setup::new();
    let mut owners = Owners::User { id: account.id, group: None };
    match &options.mode {
        Mode::Filter(assignments, rc_file) => {
            if let Some(owner) = privileged_owner(options, assignments, rc_file) {
                account = owner;
            }
            owners = Owners::Anybody;
            setup.falls_back = false;
            // With a full path the rc file starts in the home, else where the program is.
            setup.home_relative = rc_file.starts_with(b"/");
            setup.directory = Some(b".".to_vec());
            setup.assignments.clone_from(assignments);
            setup.rc_files = vec![rc_file.clone()];
        }
        Mode::Own(assignments, rc_files) => {
            setup.assignments.clone_from(assignments);
            setup.rc_files.clone_from(rc_files);
        }
        Mode::Recipients(_) => {}
    }
    if setup.rc_files.is_empty() {
        owners = Owners::User { id: account.id, group: Some(account.group) };
        setup.rc_files.push(USER_RC.into());
        setup.rc_files_are_presets = true;
        if !options.keep_environment {
            let (path, search_path) = (SYSTEM_RC.into(), environment::SEARCH_PATH.into());
            setup.system_rc = Some(SystemRc { path, search_path });
        }
    }
    let uname = rustix::system::uname();
    setup.host = uname.nodename().to_bytes().to_vec();
    environment::set_up(&mut setup, std::env::vars_os(), options, &account);
    setup.home_relative |= setup.falls_back;
    setup.requeues = options.fails_softly;
    setup.obeys_content_length = !options.berkeley;
    setup.arguments.clone_from(&options.arguments);
    setup.process = std::process::id();
    setup.program = std::env::args_os().next().unwrap_or_default().into_vec();
    let mut host = Host::new(".", stop.clone()).with_owners(owners).with_inherited_umask(UMASK);
    if let Some(output) = output() {
        host = host.with_output(Arc::new(Mutex::new(output)));
    }
    if matches!(options.mode, Mode::Recipients(_)) {
        let recipient = account;
        host = host.with_dropping(move || recipient.become_it());
    }
    let finished = host.evaluate(Evaluator::new(setup, Mail::new(mail)));
    let copies = host.wait();
    // Those that drop the mail, or lose what was called delivered, were to do so.
    let kept_from_filing = |copy: &Finished| matches!(copy.fate, Fate::Requeued | Fate::Bounced);
    let cut_off = stop.requested().is_some() && copies.iter().any(kept_from_filing);
    match finished.code as u8 {
        // What a copy was kept from filing is to be tried again.
        0 if cut_off => EX_TEMPFAIL,
        code => code,
    }
}

/// The standard output, if whoever starts this gave one that can be written to.
fn output() -> Option<File> {
    const NULL_DEVICE: (u32, u32) = (1, 3);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned().ok()?);
    let access = rustix::fs::fcntl_getfl(&output).ok()? & OFlags::ACCMODE;
    let device = rustix::fs::fstat(&output).ok()?.st_rdev;
    // What was closed has been opened as the null device, for reading and writing, before this program began: a mail must
    // not end there. Who wants it thrown away opens it for writing only.
    let was_closed = access == OFlags::RDWR && (major(device), minor(device)) == NULL_DEVICE;
    (access != OFlags::RDONLY && !was_closed).then_some(output)
}

/// Whose rights an rc file in the system's folder for it is evaluated with; they are taken on.
fn privileged_owner(options: &Options, assignments: &[Vec<u8>], rc_file: &[u8]) -> Option<Account> {
    let path = Path::new(OsStr::from_bytes(rc_file));
    let backward = path.components().any(|component| component == Component::ParentDir);
    if backward || !path.starts_with(PRIVILEGED_RCS) {
        return None;
    }
    let may = !options.keep_environment && assignments.is_empty();
    let owner = account::owner_of(path).filter(|owner| may && owner.become_it());
    if owner.is_none() {
        say(&format!("procmail: Denying special privileges for \"{}\"\n", path.display()));
    }
    owner
}
