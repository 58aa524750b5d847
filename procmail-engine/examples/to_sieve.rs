//! Writes an rc file as a Sieve script: `to_sieve [--programs] [NAME=VALUE]... RC`.
//!
//! What is not converted, or is not quite the same, is told on the standard error, with line and column. The exit code is 1 if
//! anything is not converted.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use procmail_engine::sieve::{Options, to_sieve};
use procmail_engine::syntax::Rc;

fn main() -> std::io::Result<ExitCode> {
    let mut options = Options::new();
    let mut rc = None;
    for argument in std::env::args_os().skip(1) {
        let bytes = argument.as_bytes();
        if bytes == b"--programs" {
            options.programs = true;
        } else if let Some(equals) = bytes.iter().position(|&byte| byte == b'=') {
            options = options.variable(&bytes[..equals], &bytes[equals + 1..]);
        } else {
            rc = Some(argument);
        }
    }
    let Some(rc) = rc else {
        eprintln!("expected an rc file: to_sieve [--programs] [NAME=VALUE]... RC");
        return Ok(ExitCode::from(64));
    };
    let conversion = to_sieve(&Rc::parse(std::fs::read(&rc)?), &options);
    std::io::stdout().write_all(conversion.script.as_bytes())?;
    for note in &conversion.notes {
        eprintln!("{}:{note}", rc.display());
    }
    Ok(if conversion.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
