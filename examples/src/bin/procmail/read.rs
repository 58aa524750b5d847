//! Reading the mail, once and whole.

use std::io;

use mailwright::filter::Stop;
use procmail_engine::eval::Fate;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::{EX_CANTCREAT, EX_TEMPFAIL};

/// Bytes of the largest mail that is taken.
const LARGEST: usize = 512 << 20;
/// How many copies of a large mail there may be at a time while it is delivered.
const COPIES: usize = 4;
/// Bytes of a mail for which memory is not asked for beforehand.
const SMALL: usize = 1 << 20;
/// Bytes for which room is made at least.
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
    let input = io::stdin().lock();
    let mut mail = Vec::new();
    loop {
        stop.wait_for_input(&input)?;
        if let Some(fate) = stop.requested() {
            return Err(Refused::Stopped(fate));
        }
        if mail.len() > LARGEST {
            return Err(Refused::TooLarge);
        }
        if mail.len() == mail.capacity() {
            mail.try_reserve(CHUNK).map_err(|_| Refused::OutOfMemory)?;
        }
        match rustix::io::read(&input, spare_capacity(&mut mail)) {
            Ok(0) => return if has_room_for(mail.len()) { Ok(mail) } else { Err(Refused::OutOfMemory) },
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Refused::Unreadable(error.into())),
        }
    }
}

/// Whether there is memory to deliver a mail. To be out of it later ends the process by a signal.
fn has_room_for(length: usize) -> bool {
    length <= SMALL || Vec::<u8>::new().try_reserve_exact(length.saturating_mul(COPIES)).is_ok()
}
