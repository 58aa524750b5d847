//! `postoffice`: a mail server. See `postoffice --help`.

mod cli;
mod passwd;
mod serve;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use mailwright::tls::SelfSigned;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help goes to standard output, and is no failure.
            return if error.use_stderr() { ExitCode::from(EX_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let outcome = match cli.command {
        Command::Serve(options) => serve::run(&options),
        Command::Cert(options) => cert(&options),
        Command::Passwd(options) => passwd::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(message)) => {
            eprintln!("postoffice: {message}");
            ExitCode::from(EX_CONFIG)
        }
    }
}

/// Of sysexits(3), as is the other.
const EX_USAGE: u8 = 64;
const EX_CONFIG: u8 = 78;

/// What the user is told.
struct Failure(String);

impl<E: core::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

fn cert(options: &cli::Cert) -> Result<(), Failure> {
    let lifetime = Duration::from_secs(u64::from(options.days) * 24 * 60 * 60);
    SelfSigned::generate_for(options.domain.iter().cloned(), lifetime)?.write(&options.cert, &options.key)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "certificate {}", options.cert.display())?;
    writeln!(out, "key {}", options.key.display())?;
    Ok(())
}
