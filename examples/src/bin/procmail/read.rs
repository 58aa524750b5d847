//! Reading the mail, once and whole.

use std::io::{self, Read};

use mailwright::filter::Stop;
use procmail_engine::eval::Fate;

use super::{EX_CANTCREAT, EX_TEMPFAIL};

/// Bytes of the largest mail that is taken.
const LARGEST: usize = 512 << 20;
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// Why there is no mail to deliver. None of it is the end of the mail: whoever hands it over keeps it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("cannot read the mail: {0}")]
    Unreadable(#[from] io::Error),
    #[error("expected a mail of at most {LARGEST} bytes, found more")]
    TooLarge,
    #[error("expected memory for the mail, found too little")]
    OutOfMemory,
    #[error("Terminating prematurely")]
    Stopped(Fate),
}

impl Refused {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Refused::Stopped(Fate::Bounced) => EX_CANTCREAT,
            Refused::Stopped(Fate::Lost) => 0,
            _ => EX_TEMPFAIL,
        }
    }
}

/// Reads the standard input to its end.
pub(crate) fn mail(stop: &Stop) -> Result<Vec<u8>, Refused> {
    let mut input = io::stdin().lock();
    let mut mail = Vec::new();
    loop {
        stop.wait_for_input(&input)?;
        if let Some(fate) = stop.requested() {
            return Err(Refused::Stopped(fate));
        }
        let length = mail.len();
        if length > LARGEST {
            return Err(Refused::TooLarge);
        }
        mail.try_reserve(CHUNK).map_err(|_| Refused::OutOfMemory)?;
        mail.resize(length + CHUNK, 0);
        match input.read(&mut mail[length..]) {
            Ok(0) => {
                mail.truncate(length);
                return Ok(mail);
            }
            Ok(count) => mail.truncate(length + count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => mail.truncate(length),
            Err(error) => return Err(error.into()),
        }
    }
}
