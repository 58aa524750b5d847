//! `procmail`: files mail as rc files say. A drop-in for procmail(1) 3.22.
//!
//! # Synopsis
//!
//! ```text
//! procmail [-vptoY] [-f sender] [NAME=value | rcfile] ...
//! procmail [-toY] [-f sender] [-a argument] ... -d user ...
//! procmail [-ptY] [-f sender] -m [NAME=value] ... rcfile [argument] ...
//!
//! procmail --check [--fix] rcfile ...
//! procmail --explain [--ascii] [--run-programs] [NAME=value ...] rcfile < mail
//! procmail --format [--in-place | --test] rcfile ...
//! procmail --to-sieve [--programs] [NAME=value ...] rcfile
//! ```
//!
//! The mail comes on the standard input. It is filed as the first rc file says that can be read, else as `/etc/procmailrc`
//! and `~/.procmailrc` say; what they do not file goes to `DEFAULT`, and if that fails to `ORGMAIL`. The options are those of
//! procmail(1); the language is that of procmailrc(5).
//!
//! The long options look at rc files, and deliver nothing; `procmail --help` tells of them. They may stand wherever options
//! or rc files do.
//!
//! # Exit codes
//!
//! 0: the mail is delivered, on stable storage. 64: usage. 66: no rc file with `-m`. 67: no such user. 71: the system refused.
//! 73: the mail could not be delivered, and is to be returned. 75: the same, to be tried again (`-t`, SIGTERM, no memory for
//! the mail). 77: `-d` without the rights for it. `EXITCODE` overrides. `--check`, `--format --test` and `--to-sieve` end with
//! 1 if there is something to mend.
//!
//! # What differs from procmail 3.22
//!
//! - What is delivered is on stable storage (fsync of file and directory) before the exit code says so, and half of a mail
//!   is taken back from a mailbox, also after a kill, by the delivery that follows. (It stays, as a message of its own, if
//!   it has a `From ` line that a `Content-Length` covers.)
//! - A mail of more than 512 MiB, or one for which there is no memory, is refused with 75.
//! - `c` on a block goes on in a thread rather than a process, and the exit code waits for it; it is 75 if a signal keeps
//!   the copy from filing its mail. So does that of `DELIVERED=yes`, which is 0 whatever happens then. There are at most 512
//!   copies of a mail. One in `/etc/procmailrc` that waits for a lock of the original goes on with the recipient's rights, and
//!   so does whoever waits there for a lock of a copy that is done with that file.
//! - It is not made to be installed with set-user-id or set-group-id bits. With them, it gives up what they grant at once,
//!   except for `-d`, where it becomes the recipient after `/etc/procmailrc`. In a spool directory that the recipient
//!   cannot write to, no lock file can be made, as with procmail once it is the recipient; the kernel's lock then does the
//!   work. As root, the mailbox is looked over and made if need be, for the recipient, before their rights are taken on.
//! - A named pipe is a mailbox only while somebody reads it; without a reader, delivery to it fails at once, and with one that
//!   reads nothing for as long as `TIMEOUT` says.
//! - An option of a whole word that is not known ends it with 64, and nothing is delivered, where procmail complains and goes
//!   on: it is more likely that somebody wanted a file to be looked at.
//! - LMTP (`-z`) is not spoken; `postoffice` does that.
#![forbid(unsafe_code)]

mod account;
mod deliver;
mod environment;
mod mailbox;
mod options;
mod read;
mod sender;
mod study;
mod usage;

use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

use account::Account;
use options::{Mode, Refused};

/// Exit codes of sysexits(3).
pub(crate) const EX_USAGE: u8 = 64;
pub(crate) const EX_NOINPUT: u8 = 66;
pub(crate) const EX_NOUSER: u8 = 67;
pub(crate) const EX_OSERR: u8 = 71;
pub(crate) const EX_CANTCREAT: u8 = 73;
pub(crate) const EX_IOERR: u8 = 74;
pub(crate) const EX_TEMPFAIL: u8 = 75;
pub(crate) const EX_NOPERM: u8 = 77;

fn main() -> ExitCode {
    // A bug must not bounce mail.
    ExitCode::from(std::panic::catch_unwind(run).unwrap_or(EX_TEMPFAIL))
}

fn run() -> u8 {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(deliver::UMASK));
    let hint = std::env::var_os("LOGNAME");
    let own = || Account::own(hint.as_ref().map(|name| name.as_bytes()));
    let arguments = std::env::args_os().map(OsStringExt::into_vec);
    let options = match options::parse(arguments, |complaint| say(&usage::complaint(&complaint))) {
        Ok(options) => options,
        Err(Refused::LongOption) => {
            let arguments: Vec<_> = std::env::args_os().skip(1).collect();
            return study::run(&arguments, own);
        }
        Err(refused) => {
            say(&usage::text(refused, &own().mailbox()));
            return match refused {
                Refused::Version => 0,
                Refused::MissingRcFile => EX_NOINPUT,
                Refused::Help | Refused::Lmtp | Refused::LongOption => EX_USAGE,
            };
        }
    };
    let own = own();
    if matches!(options.mode, Mode::Own(..))
        && account::is_root()
        && let Err(refused) = own.make_mailbox()
    {
        say(&format!("procmail: {refused}\n"));
        return refused.code();
    }
    if !matches!(options.mode, Mode::Recipients(_)) && !account::drop_set_id() {
        say("procmail: Insufficient privileges\n");
        return EX_NOPERM;
    }
    let stop = match deliver::stop_on_signals() {
        Ok(stop) => stop,
        Err(error) => {
            say(&format!("procmail: cannot wait for signals: {error}\n"));
            return EX_OSERR;
        }
    };
    match read::mail(&stop) {
        Ok(mail) => deliver::deliver(&options, &own, mail, &stop),
        Err(refused) => {
            say(&format!("procmail: {refused}\n"));
            refused.code()
        }
    }
}

/// Says something on the standard error. Nothing can be done if that does not work.
pub(crate) fn say(text: &str) {
    drop(std::io::stderr().write_all(text.as_bytes()));
}
