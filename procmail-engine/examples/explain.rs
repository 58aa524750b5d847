//! Tells what an rc file would do with a mail, and why: `explain [--ascii] RC < MAIL`.
//!
//! Nothing is delivered and no program is run. Included files are read from the disk.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use procmail_engine::effect::{Effect, Outcome};
use procmail_engine::eval::Setup;
use procmail_engine::explain::{Explainer, Marks};
use procmail_engine::mail::Mail;

fn main() -> std::io::Result<ExitCode> {
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let ascii = arguments.first().is_some_and(|first| first == "--ascii");
    if ascii {
        arguments.remove(0);
    }
    let [rc] = arguments.as_slice() else {
        eprintln!("expected one rc file: explain [--ascii] RC < MAIL");
        return Ok(ExitCode::from(64));
    };
    let mut setup = Setup::new();
    for name in ["HOME", "LOGNAME"] {
        if let Some(value) = std::env::var_os(name) {
            setup = setup.variable(name, value.as_bytes());
        }
    }
    setup = setup.variable("DEFAULT", "/var/mail/you").variable("SHELL", "/bin/sh");
    let mut mail = Vec::new();
    std::io::stdin().read_to_end(&mut mail)?;
    let explanation = Explainer::new(setup)
        .rc(rc.as_bytes(), std::fs::read(rc)?)
        .answering(|effect| match effect {
            Effect::ReadRc(read) if !read.first => {
                std::fs::read(OsStr::from_bytes(&read.path)).ok().map(Outcome::Read)
            }
            _ => None,
        })
        .explain(Mail::new(mail));
    let marks = if ascii { Marks::Ascii } else { Marks::Unicode };
    std::io::stdout().write_all(explanation.render(marks).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
