//! formail: headers rewritten and extracted, mailboxes and digests split, replies begun.
//!
//! [`run`] is the program: it takes the arguments, reads the standard input, and answers the exit code. It keeps to
//! formail(1) of procmail 3.22, messages and oddities included, so that scripts and rc files that use it go on working.
//!
//! Headers are held in memory, bodies go through in pieces, so that mailboxes of any size can be split. A header of more
//! than 16 MiB ends there, whatever line that is in: what follows is body, where no field is looked for. That of a BABYL
//! mailbox's message has 8 MiB.

mod babyl;
mod body;
mod header;
mod id_cache;
mod input;
mod message;
mod options;
mod output;
mod sender;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use self::body::{Body, Place};
use self::input::Input;
use self::message::{Rewritten, World};
use self::options::{Options, Refused, Split};
use self::output::{Output, Target};

/// `EX_USAGE` of sysexits(3).
const EX_USAGE: u8 = 64;
/// `EX_NOUSER`: there is nobody to reply to.
const EX_NOUSER: u8 = 67;
/// `EX_UNAVAILABLE`: a program was ended by a signal.
const EX_UNAVAILABLE: u8 = 69;
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

const HELP: &str = "
Reads a mail, or with -s a mailbox, from its standard input, and writes it again
with its header changed. Without options it makes a mail fit for a mailbox: it
adds a \"From \" line if there is none, and escapes such lines in the body.

Fields. A field is a name with its colon, or with content behind it: \"Subject: x\".
Part of a name (\"X-\") stands for all names that begin so with -i -I -u -U -x -X -R.
  -a field            add this field if there is none; Message-ID: is made up if empty
  -A field            add this field
  -i field            add this field, and rename those that are there to Old-...
  -I field            add this field in place of those that are there; a mere name deletes
  -R ofield nfield    rename
  -u field  -U field  keep only the first, the last of several
  -c                  make one line of each field that is continued
  -z                  drop empty fields, put a blank behind each name

Output.
  -x field  -X field  write the content, the whole, of this field, and nothing else
  -k                  write the body too, with -r, -x or -X
  -f                  add no \"From \" line
  -b                  leave lines alone that begin with \"From \"; with -rk, quote nothing
  -p prefix           quote with this in place of \">\"
  -l folder           write an entry of a log, as procmail does, in place of the mail
  -Y                  take Content-Length: for a field like any other

Replies.
  -r                  begin a reply; of the header, X-Loop: and fields named with -i stay
  -t                  reply to whom the header names, not to the sender of the envelope
  -a Resent-          with -rt: to whom the Resent- fields name

Mailboxes and digests.
  -s [prg [arg ...]]  write each mail, or give it to this program; must be the last
  -d                  mails may begin without \"From \", as in digests
  -e                  mails may begin behind any line, not just an empty one
  -m nnn              so many fields make a header (2)
  -B                  the mailbox is one of Emacs (BABYL)
  +nnn  -nnn          skip so many mails; stop after so many
  -n [nnn]            run so many programs at a time; without a number, all at once
The number of the mail, from 000, stands in FILENO; set FILENO to begin elsewhere.

Duplicates.
  -D nnn idcache      keep Message-IDs, with -r senders, in a file of about nnn octets; the
                      exit code is 0 for one that is known. With -s, those are left out.

  -q                  say nothing of duplicates and wrong lengths; -q- does
  -v  -h              say which version this is; say this

A header has 16 MiB at most; what follows is taken for the body.

Exit codes: 0, 1 (-D: not a duplicate), 64 wrong usage, 67 (-r: no sender found), 69 a
program was killed, 73 no cache can be written, 74 cannot read or write; with -s, that of the
last program that failed.
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
    let now = SystemTime::now();
    let world = World { now, utc_offset: utc_offset(now), message_id: message::message_id };
    let mut input = Input::new(io::stdin().lock());
    let done = match &options.split {
        Some(split) => Splitting::new(&options, split, &world).run(&mut input),
        None => run_whole(&mut input, &options, &world),
    };
    done.unwrap_or_else(|error| {
        eprintln!("formail: cannot read the standard input: {error}");
        EX_IOERR
    })
}

fn utc_offset(now: SystemTime) -> i32 {
    let now = jiff::Timestamp::try_from(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::tz::TimeZone::system().to_offset(now).seconds()
}

fn run_whole(input: &mut Input<impl Read>, options: &Options, world: &World) -> io::Result<u8> {
    input.skip_empty_lines()?;
    let message = Message::read(input, options, world)?;
    if options.cache.is_some() {
        input.drain()?;
        return Ok(match message.is_duplicate(options) {
            Ok(duplicate) => u8::from(!duplicate),
            Err(code) => code,
        });
    }
    let (_, written) = message.copy(input, options, Some(Target::Stdout))?;
    input.drain()?;
    Ok(match written {
        false => {
            complain_of_output(options);
            EX_IOERR
        }
        true if message.rewritten.no_sender => EX_NOUSER,
        true => 0,
    })
}

/// A message whose header has been read.
struct Message {
    rewritten: Rewritten,
    place: Place,
}

impl Message {
    fn read(input: &mut Input<impl Read>, options: &Options, world: &World) -> io::Result<Message> {
        let length = input.header()?;
        let (fields, _) = header::parse(&input.held()[..length]);
        input.consume(length);
        // An empty line ends the header; anything else is the first line of the body.
        let separated = input.fill(1)?.first() == Some(&b'\n');
        input.consume(usize::from(separated));
        let some = !fields.is_empty();
        let rewritten = Rewritten::new(fields, options, world);
        let place = match separated {
            true => Place::Separated,
            false if some && rewritten.postmarked => Place::Abrupt,
            false => Place::Inside,
        };
        Ok(Message { rewritten, place })
    }

    fn is_duplicate(&self, options: &Options) -> Result<bool, u8> {
        let Some((length, path)) = &options.cache else { return Ok(false) };
        let key = &self.rewritten.key;
        let seen = id_cache::seen(path, *length, key).map_err(|error| {
            eprintln!("formail: Couldn't open \"{}\": {error}", path.display());
            EX_CANTCREAT
        })?;
        if seen && options.loud {
            eprintln!("formail: Duplicate key found:{}", String::from_utf8_lossy(key));
        }
        Ok(seen)
    }

    /// Writes the message, or a log entry in its place. Answers whether another one follows, and whether all could be
    /// written.
    fn copy(
        &self,
        input: &mut Input<impl Read>,
        options: &Options,
        target: Option<Target>,
    ) -> io::Result<(bool, bool)> {
        let (wanted, target) = (target.is_some(), target.unwrap_or(Target::Nobody));
        let body = Body::new(options, self.place, self.rewritten.covered);
        let logged = options.log_folder.as_ref();
        let (mut output, log) = match logged {
            Some(_) => (Output::to(Target::Nobody), Some(Output::to(target))),
            None => (Output::to(target), None),
        };
        output.put(&self.rewritten.head(options));
        let end = match options.keeps_body() {
            true => body.copy(input, &mut output)?,
            false => body.copy(input, &mut Output::to(Target::Nobody))?,
        };
        if wanted && options.loud && end.missing > 0 {
            eprintln!("formail: Content-Length: field exceeds actual length by {} bytes", end.missing);
        }
        if let (Some(folder), Some(mut log)) = (logged, log) {
            log.put(&self.rewritten.log_entry(output.size(), folder));
            return Ok((end.more, log.finish()));
        }
        Ok((end.more, output.finish()))
    }
}

fn complain_of_output(options: &Options) {
    if options.loud {
        eprintln!("formail: Couldn't write to stdout");
    }
}

/// The number in `FILENO`: where it begins and how wide it is. `None` if the variable holds something else.
fn file_numbers() -> Option<(u64, usize)> {
    match std::env::var("FILENO") {
        Err(_) => Some((0, 3)),
        Ok(text) if text.is_empty() => Some((0, 0)),
        Ok(text) => text.parse().ok().map(|number| (number, text.len())),
    }
}

fn file_number(number: u64, width: usize) -> String {
    let number = number.to_string();
    // By hand, since a format goes no further than 65535.
    "0".repeat(width.saturating_sub(number.len())) + &number
}

/// Splits the input, and gives each message to a program or the standard output.
struct Splitting<'a> {
    options: &'a Options,
    split: &'a Split,
    world: &'a World,
    skip: u64,
    left: u64,
    numbers: Option<(u64, usize)>,
    running: VecDeque<Child>,
    /// How the last program that failed did.
    failed: u8,
    no_sender: bool,
}

/// Why splitting ends before the input does.
type Stopped = u8;

impl<'a> Splitting<'a> {
    fn new(options: &'a Options, split: &'a Split, world: &'a World) -> Splitting<'a> {
        Splitting {
            options,
            split,
            world,
            skip: split.skip,
            left: split.most.unwrap_or(u64::MAX),
            numbers: file_numbers(),
            running: VecDeque::new(),
            failed: 0,
            no_sender: false,
        }
    }

    fn run(mut self, input: &mut Input<impl Read>) -> io::Result<u8> {
        if self.left == 0 {
            complain_of_output(self.options);
            return Ok(EX_IOERR);
        }
        let stopped = match self.split.babyl {
            true => self.babyl(input)?,
            false => self.mailbox(input)?,
        };
        input.drain()?;
        while !self.running.is_empty() {
            self.finish_one();
        }
        Ok(match stopped {
            Some(code) => code,
            None if self.no_sender => EX_NOUSER,
            None => self.failed,
        })
    }

    fn mailbox(&mut self, input: &mut Input<impl Read>) -> io::Result<Option<Stopped>> {
        let mut more = input.skip_empty_lines()?;
        while more && self.left > 0 {
            match self.message(input)? {
                Ok(follows) => more = follows,
                Err(stopped) => return Ok(Some(stopped)),
            }
        }
        Ok(None)
    }

    fn babyl(&mut self, input: &mut Input<impl Read>) -> io::Result<Option<Stopped>> {
        while self.left > 0 && babyl::next(input)? {
            let header = babyl::header(input)?;
            let mut message = Input::new(header.chain(babyl::Section(input)));
            if let Err(stopped) = self.message(&mut message)? {
                return Ok(Some(stopped));
            }
        }
        Ok(None)
    }

    /// Answers whether another message follows.
    fn message(&mut self, input: &mut Input<impl Read>) -> io::Result<Result<bool, Stopped>> {
        let message = Message::read(input, self.options, self.world)?;
        self.no_sender |= message.rewritten.no_sender;
        let skipped = self.skip > 0;
        self.skip = self.skip.saturating_sub(1);
        self.left -= u64::from(!skipped);
        // Those that are skipped are noted as seen too.
        let wanted = message.is_duplicate(self.options).map(|duplicate| !duplicate && !skipped);
        let target = match wanted {
            Err(code) => return Ok(Err(code)),
            Ok(false) => None,
            Ok(true) if self.split.command.is_empty() => Some(Target::Stdout),
            Ok(true) => match self.start() {
                Ok(stdin) => Some(stdin),
                Err(error) => {
                    eprintln!("formail: Can't fork: {error}");
                    return Ok(Err(EX_OSERR));
                }
            },
        };
        let (more, written) = message.copy(input, self.options, target)?;
        if !written {
            complain_of_output(self.options);
            if self.split.command.is_empty() {
                return Ok(Err(EX_IOERR));
            }
        }
        while !self.running.is_empty() && self.split.programs > 0 && self.running.len() >= self.split.programs
        {
            self.finish_one();
        }
        Ok(Ok(more))
    }

    fn start(&mut self) -> io::Result<Target> {
        let started = start(&self.split.command, self.numbers);
        if let Some((number, _)) = &mut self.numbers {
            *number += 1;
        }
        let mut child = started?;
        let stdin = child.stdin.take();
        self.running.push_back(child);
        Ok(stdin.map_or(Target::Nobody, Target::Program))
    }

    /// Waits for the program that was started first.
    fn finish_one(&mut self) {
        let Some(Ok(status)) = self.running.pop_front().map(|mut child| child.wait()) else { return };
        let code = status.code().map_or(EX_UNAVAILABLE, |code| u8::try_from(code & 0xff).unwrap_or(1));
        if code != 0 {
            self.failed = code;
        }
    }
}

/// Starts a program, or a shell with it as its script if it cannot be started itself.
fn start(command: &[OsString], number: Option<(u64, usize)>) -> io::Result<Child> {
    let spawn = |program: &mut Command| {
        if let Some((number, width)) = number {
            program.env("FILENO", file_number(number, width));
        }
        program.stdin(Stdio::piped()).spawn()
    };
    spawn(Command::new(&command[0]).args(&command[1..]))
        .or_else(|_| spawn(Command::new("/bin/sh").args(command)))
}
