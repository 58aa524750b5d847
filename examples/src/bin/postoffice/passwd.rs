//! `postoffice passwd`.

use std::io::{self, IsTerminal, Write};

use mail_wire::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::Failure;
use super::cli::Passwd;

pub(crate) fn run(options: &Passwd) -> Result<(), Failure> {
    let password = if io::stdin().is_terminal() {
        let once = ask("Password: ")?;
        if once != ask("Again: ")? {
            return Err(Failure("the two passwords differ".to_owned()));
        }
        once
    } else {
        read_line()?
    };
    let hash = options.scheme.hash(&password)?;
    let mut out = io::stdout().lock();
    match &options.user {
        Some(user) => writeln!(out, "{user}:{hash}")?,
        None => writeln!(out, "{hash}")?,
    }
    Ok(())
}

fn ask(prompt: &str) -> io::Result<Secret> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "{prompt}")?;
    terminal.flush()?;
    let quiet = NoEcho::new()?;
    let line = read_line();
    drop(quiet);
    writeln!(terminal)?;
    line
}

fn read_line() -> io::Result<Secret> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(Secret::new(line))
}

/// While this lives, the terminal shows nothing of what is typed.
struct NoEcho(Termios);

impl NoEcho {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        // The terminal is gone then, and with it what it would show.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
