//! Where the log goes.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use jiff::tz::TimeZone;
use procmail_engine::effect::LogText;

/// Where a log goes, and what programs write to their standard error.
#[derive(Clone)]
#[non_exhaustive]
pub enum Log {
    /// Nowhere.
    Nowhere,
    /// To the standard error.
    Errors,
    /// To a file, opened for appending.
    File(Arc<File>),
    /// Into memory, up to so many bytes. What programs complain of is not kept.
    Memory(Arc<Mutex<Vec<u8>>>, usize),
}

impl Log {
    pub(super) fn write(&self, text: &[u8]) {
        // A log that cannot be written must not keep a mail from being delivered.
        match self {
            Log::Nowhere => {}
            Log::Errors => drop(std::io::stderr().write_all(text)),
            Log::File(file) => drop((&**file).write_all(text)),
            Log::Memory(kept, most) => {
                let mut kept = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let room = most.saturating_sub(kept.len()).min(text.len());
                kept.extend_from_slice(&text[..room]);
            }
        }
    }

    /// For programs to write to.
    pub(super) fn sink(&self) -> Stdio {
        match self {
            Log::Errors => Stdio::inherit(),
            Log::File(file) => file.try_clone().map_or_else(|_| Stdio::null(), Stdio::from),
            Log::Nowhere | Log::Memory(..) => Stdio::null(),
        }
    }

    /// For what programs write to their standard output, where that goes to the log.
    pub(super) fn output(&self) -> Stdio {
        match self {
            Log::Errors => Stdio::from(std::io::stderr()),
            _ => self.sink(),
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Log::Nowhere => "Nowhere",
            Log::Errors => "Errors",
            Log::File(_) => "File",
            Log::Memory(..) => "Memory",
        })
    }
}

/// The time that verbose mode writes before a message, if the second is another than that of the last.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    last: u64,
}

impl Clock {
    pub(super) fn stamp(&mut self, text: &LogText) -> Option<String> {
        if !text.stamped {
            return None;
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        if std::mem::replace(&mut self.last, now) == now {
            return None;
        }
        let time = jiff::Timestamp::from_second(i64::try_from(now).unwrap_or(0)).unwrap_or_default();
        let time = time.to_zoned(TimeZone::system()).strftime("%a %b %e %H:%M:%S %Y").to_string();
        Some(format!("procmail: [{}] {time}\n", std::process::id()))
    }
}
