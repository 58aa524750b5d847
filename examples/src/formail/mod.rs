//! formail: headers rewritten and extracted, mailboxes and digests split, replies begun.
//!
//! [`run`] is the program: it takes the arguments, reads the standard input, and answers the exit code. It keeps to
//! formail(1) of procmail 3.22, messages and oddities included, so that scripts and rc files that use it go on working.
//!
//! The input is read as a whole before anything is written.

mod header;
mod id_cache;
mod message;
mod options;
mod sender;
mod split;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use self::message::{Outcome, World};
use self::options::{Options, Refused, Split};

/// `EX_USAGE` of sysexits(3).
const EX_USAGE: u8 = 64;
/// `EX_NOUSER`: there is nobody to reply to.
const EX_NOUSER: u8 = 67;
/// `EX_OSERR`
const EX_OSERR: u8 = 71;
/// `EX_CANTCREAT`
const EX_CANTCREAT: u8 = 73;
/// `EX_IOERR`
const EX_IOERR: u8 = 74;

const USAGE: &str = "\
Usage: formail [-vbczfrktqY] [-D nnn idcache] [-p prefix] [-l folder]
\t[-xXaAiIuU field] [-R ofield nfield]
   Or: formail [+nnn] [-nnn] [-bczfrktedqBY] [-D nnn idcache] [-p prefix]
\t[-n [nnn]] [-m nnn] [-l folder] [-xXaAiIuU field] [-R ofield nfield]
\t-s [prg [arg ...]]
";

const HELP: &str = " -v\t\tsay which version this is
 -b\t\tleave lines that begin with \"From \" alone
 -Y\t\ttake Content-Length: for a field like any other
 -c\t\tmake one line of each field
 -z\t\tput a blank behind field names, drop empty fields
 -f\t\tadd no \"From \" line
 -r\t\tbegin a reply; keep the fields named with -i
 -k\t\tkeep the body with -r, -x or -X; -b leaves it unquoted
 -t\t\treply to whom the header names, not to the envelope sender
 -l folder\twrite a log entry as procmail does
 -D nnn idcache\tknow duplicates by a cache of nnn octets
 -s prg arg\tsplit the input, start prg for each message
 +nnn\t\tskip nnn messages\t-nnn\tat most nnn messages
 -n [nnn]\trun nnn programs at once\t-e\tmessages begin on any line
 -d\t\tsplit digests too\t-B\tsplit a BABYL file
 -q\t\tsay nothing (-q-: do)\t-p prefix\tquote with this
 -m nnn \t\tfields that make a header (default 2)
 -x field\textract content\t\t-X field\textract whole field
 -a field\tadd if missing\t\t-A field\tadd
 -i field\trename old, add\t\t-I field\tremove old, add
 -u field\tkeep the first\t\t-U field\tkeep the last
 -R oldfield newfield\trename
";

/// Runs formail with the arguments behind its name, and answers its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let options = match options::parse(arguments) {
        Ok(options) => options,
        Err(refused) => {
            let text = match refused {
                Refused::Usage => USAGE.to_owned(),
                Refused::Help => [USAGE, HELP].concat(),
                Refused::Version => {
                    format!("formail {} (Mailwright), as of procmail 3.22\n", env!("CARGO_PKG_VERSION"))
                }
                Refused::FieldName(name) => {
                    format!("formail: Invalid field-name: \"{}\"\n{USAGE}", String::from_utf8_lossy(&name))
                }
            };
            let _ = io::stderr().write_all(text.as_bytes());
            return EX_USAGE;
        }
    };
    let mut input = Vec::new();
    if let Err(error) = io::stdin().lock().read_to_end(&mut input) {
        eprintln!("formail: cannot read the standard input: {error}");
        return EX_IOERR;
    }
    let now = SystemTime::now();
    let world = World { now, utc_offset: utc_offset(now), message_id: message::message_id };
    match &options.split {
        Some(split) => run_split(&input, &options, split, &world),
        None => run_whole(&input, &options, &world),
    }
}

fn utc_offset(now: SystemTime) -> i32 {
    let now = jiff::Timestamp::try_from(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::tz::TimeZone::system().to_offset(now).seconds()
}

fn run_whole(input: &[u8], options: &Options, world: &World) -> u8 {
    let leading = input.iter().take_while(|&&byte| byte == b'\n').count();
    let outcome = message::rewrite(&input[leading..], options, world);
    warn_of_length(options, &outcome);
    if options.cache.is_some() {
        return match is_duplicate(options, &outcome) {
            Ok(duplicate) => u8::from(!duplicate),
            Err(code) => code,
        };
    }
    if !write_out(&emitted(options, outcome.output), options) {
        return EX_IOERR;
    }
    if outcome.no_sender { EX_NOUSER } else { 0 }
}

/// What goes out for a message: itself, or a log entry in its place.
fn emitted(options: &Options, output: Vec<u8>) -> Vec<u8> {
    match &options.log_folder {
        Some(folder) => message::log_entry(&output, folder),
        None => output,
    }
}

fn warn_of_length(options: &Options, outcome: &Outcome) {
    if options.loud && outcome.missing > 0 {
        eprintln!("formail: Content-Length: field exceeds actual length by {} bytes", outcome.missing);
    }
}

fn is_duplicate(options: &Options, outcome: &Outcome) -> Result<bool, u8> {
    let Some((length, path)) = &options.cache else { return Ok(false) };
    let seen = id_cache::seen(path, *length, &outcome.key).map_err(|error| {
        eprintln!("formail: Couldn't open \"{}\": {error}", path.display());
        EX_CANTCREAT
    })?;
    if seen && options.loud {
        eprintln!("formail: Duplicate key found:{}", String::from_utf8_lossy(&outcome.key));
    }
    Ok(seen)
}

fn write_out(output: &[u8], options: &Options) -> bool {
    let mut stdout = io::stdout().lock();
    let done = stdout.write_all(output).and_then(|()| stdout.flush());
    if done.is_err() && options.loud {
        eprintln!("formail: Couldn't write to stdout");
    }
    done.is_ok()
}

/// The number in `FILENO`: where it begins and how wide it is. `None` if the variable holds something else.
fn file_numbers() -> Option<(u64, usize)> {
    match std::env::var("FILENO") {
        Err(_) => Some((0, 3)),
        Ok(text) if text.is_empty() => Some((0, 3)),
        Ok(text) => text.parse().ok().map(|number| (number, text.len())),
    }
}

fn run_split(input: &[u8], options: &Options, split: &Split, world: &World) -> u8 {
    let mut running: VecDeque<Child> = VecDeque::new();
    let mut code = 0;
    let mut numbers = file_numbers();
    let messages = split::messages(input, split, options.ignore_content_length);
    let skip = usize::try_from(split.skip).unwrap_or(usize::MAX);
    let most = split.most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    for text in messages.iter().skip(skip).take(most) {
        let outcome = message::rewrite(text, options, world);
        warn_of_length(options, &outcome);
        match is_duplicate(options, &outcome) {
            Ok(false) => {}
            Ok(true) => continue,
            Err(failed) => return failed,
        }
        let output = emitted(options, outcome.output);
        if split.command.is_empty() {
            if !write_out(&output, options) {
                return EX_IOERR;
            }
            continue;
        }
        let child = start(&split.command, numbers);
        if let Some((number, _)) = &mut numbers {
            *number += 1;
        }
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                eprintln!("formail: Can't fork: {error}");
                return EX_OSERR;
            }
        };
        if let Some(mut stdin) = child.stdin.take()
            && stdin.write_all(&output).is_err()
            && options.loud
        {
            eprintln!("formail: Couldn't write to stdout");
        }
        running.push_back(child);
        while !running.is_empty() && split.programs > 0 && running.len() >= split.programs {
            code = finish(&mut running).unwrap_or(code);
        }
    }
    while !running.is_empty() {
        code = finish(&mut running).unwrap_or(code);
    }
    code
}

/// Waits for the program that was started first; answers its exit code if that is not zero.
fn finish(running: &mut VecDeque<Child>) -> Option<u8> {
    let status = running.pop_front()?.wait().ok()?;
    let code = status.code().or_else(|| status.signal()).unwrap_or(i32::from(EX_OSERR));
    (code != 0).then(|| u8::try_from(code & 0xff).unwrap_or(1))
}

/// Starts a program, or a shell with it as its script if it cannot be started itself.
fn start(command: &[OsString], number: Option<(u64, usize)>) -> io::Result<Child> {
    let spawn = |program: &mut Command| {
        if let Some((number, width)) = number {
            program.env("FILENO", format!("{number:0width$}"));
        }
        program.stdin(Stdio::piped()).spawn()
    };
    spawn(Command::new(&command[0]).args(&command[1..]))
        .or_else(|_| spawn(Command::new("/bin/sh").args(command)))
}
