//! `formail`: rewrites mail headers and splits mailboxes. See `formail -h`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(mailwright::formail::run(std::env::args_os().skip(1)))
}
