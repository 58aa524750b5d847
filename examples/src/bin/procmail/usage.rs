//! What it says of itself.

use std::path::Path;

use super::options::{Complaint, Refused};

/// The version of procmail whose behaviour this has, as `PROCMAIL_VERSION` and Debian have it.
pub(crate) const PROCMAIL_VERSION: &str = "3.23pre";

const USAGE: &str = "\
Usage: procmail [-vptoY] [-f fromwhom] [parameter=value | rcfile] ...
   Or: procmail [-toY] [-f fromwhom] [-a argument] ... -d recipient ...
   Or: procmail [-ptY] [-f fromwhom] -m [parameter=value] ... rcfile [arg] ...
   Or: procmail [-toY] [-a argument] ... -z
";

const LONG_USAGE: &str = "\
   Or: procmail --check | --explain | --format | --to-sieve rcfile ...
";

const HELP: &str = "\
\t-v\t\tsay which version this is
\t-p\t\tkeep the environment
\t-t\t\tlet mail that cannot be delivered be tried again (exit code 75)
\t-f fromwhom\twrite a new \"From \" line; - keeps the sender
\t-o\t\toverride \"From \" lines of users who may not write them
\t-Y\t\ttake Content-Length: for a field like any other
\t-a argument\tset $1, $2 and so on
\t-d recipient\tdeliver to these users, as root
\t-z\t\tLMTP, which postoffice speaks instead
\t-m\t\tfilter by an rc file: no mailbox to fall back to
\t--help\t\ttell of what goes beyond procmail 3.22
Flags of recipes:
\tH search the header (default)\tB search the body
\tD mind upper and lower case
\tA if the recipe before without A or a matched
\ta the same, and the action before succeeded
\tE if the recipe before did not match
\te if the action of the recipe before failed
\th give the header\t\tb give the body
\tf filter\t\t\tc copy, and go on
\tw wait for the program\t\tW the same, quietly
\ti ignore write errors\t\tr write the mail as it is
";

const TOOLS: &str = "
What goes beyond procmail 3.22 looks at rc files, and delivers nothing. An rc file - is the standard input.

procmail --check [--fix] rcfile ...
\tTell of everything that is wrong, or probably so, with its place. --fix mends what needs no second look.
\tThe exit code is 1 if there are errors, 0 if there are warnings or nothing.
procmail --explain [--ascii] [--run-programs] [NAME=value ...] rcfile < mail
\tTell what becomes of a mail: each recipe and condition, what matched and where, scores, folders, and
\twhat was assumed. No program is run unless --run-programs says so; programs that deliver never are.
procmail --format [--in-place | --test] rcfile ...
\tLay out, without changing what it does. --test names the files that are not laid out so, and ends with 1.
procmail --to-sieve [--programs] [NAME=value ...] rcfile
\tWrite a Sieve script that does the same. What cannot be converted is told; the exit code is 1 then.
\t--programs makes use of Dovecot's extensions for them.
";

/// Tells of what goes beyond procmail.
pub(crate) fn tools() -> String {
    [USAGE, LONG_USAGE, TOOLS].concat()
}

pub(crate) fn text(refused: Refused, mailbox: &Path) -> String {
    match refused {
        Refused::Help => [USAGE, LONG_USAGE, HELP].concat(),
        Refused::Version => format!(
            "procmail v{PROCMAIL_VERSION}, as Mailwright {} does it\n\n\
             Locking strategies:\tdotlocking, fcntl()\n\
             Default rcfile:\t\t$HOME/.procmailrc\n\
             \tIt may be writable by your primary group\n\
             Your system mailbox:\t{}\n",
            env!("CARGO_PKG_VERSION"),
            mailbox.display(),
        ),
        Refused::Lmtp => "procmail: LMTP is spoken by postoffice, not by this program\n".to_owned(),
        Refused::MissingRcFile => "procmail: Missing rcfile\n".to_owned(),
        Refused::LongOption => [USAGE, LONG_USAGE].concat(),
    }
}

pub(crate) fn complaint(complaint: &Complaint) -> String {
    match complaint {
        Complaint::Unrecognised(letters) => {
            let letters = String::from_utf8_lossy(letters);
            format!("procmail: Unrecognised options: \"{letters}\"\n{USAGE}Processing continued\n")
        }
        Complaint::MissingName => "procmail: Missing name\n".to_owned(),
        Complaint::MissingArgument => "procmail: Missing argument\n".to_owned(),
        Complaint::MissingRecipient => "procmail: Missing recipient\n".to_owned(),
        Complaint::Conflicting => format!("procmail: Conflicting options\n{USAGE}"),
    }
}
