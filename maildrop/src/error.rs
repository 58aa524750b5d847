//! What can go wrong on the way to the disk, and whose fault it is.
//!
//! A mail server turns an error into a reply with three questions: [`Error::is_over_quota`] (452 4.2.2, the mailbox is
//! full), [`Error::is_storage_full`] (452 4.3.1, the system is full) and [`Error::is_transient`] (any other 451). No
//! error holds message text.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::folder_name::FolderNameError;
use crate::message_name::MessageNameError;
use crate::quota_file::{QuotaLimits, QuotaUsage};
use crate::user::UserNameError;

/// A step of the work on disk: names the step in an error, and the point where a [`Faults`](crate::Faults) hook may
/// interfere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening a directory or a file that should exist.
    Open,
    /// Making a directory.
    CreateDirectory,
    /// Making a message file in `tmp/`.
    CreateFile,
    /// Writing message bytes.
    Write,
    /// Copying the body of a staged message into another Maildir.
    Copy,
    /// Making the bytes of one message file durable.
    SyncFile,
    /// Making all that a file system holds durable in one call, on behalf of a batch.
    SyncFilesystem,
    /// Moving a message from `tmp/` to `new/`.
    Rename,
    /// Making the entries of a directory durable.
    SyncDirectory,
    /// Removing a file.
    Remove,
    /// Reading the entries of a directory.
    List,
    /// Asking for the size or the times of a file.
    Stat,
    /// Reading `maildirsize`.
    ReadQuota,
    /// Appending to or replacing `maildirsize`.
    WriteQuota,
    /// Taking a lock.
    Lock,
    /// Giving a file another name.
    Link,
    /// Setting the length of an mbox: the step that ends a delivery, or takes it back.
    Truncate,
    /// Looking for what a dead program left at the end of an mbox.
    Recover,
    /// Reading a message.
    Read,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Open => "open",
            Operation::CreateDirectory => "create directory",
            Operation::CreateFile => "create message file",
            Operation::Write => "write message to",
            Operation::Copy => "copy message body to",
            Operation::SyncFile => "sync message file",
            Operation::SyncFilesystem => "sync file system of",
            Operation::Rename => "move message to",
            Operation::SyncDirectory => "sync directory",
            Operation::Remove => "remove",
            Operation::List => "list",
            Operation::Stat => "inspect",
            Operation::ReadQuota => "read quota file",
            Operation::WriteQuota => "write quota file",
            Operation::Lock => "lock",
            Operation::Link => "link message to",
            Operation::Truncate => "set length of",
            Operation::Recover => "repair the end of",
            Operation::Read => "read",
        })
    }
}

/// An error of this crate. The first variants are the caller's or the peer's (a bad name), then the mailbox owner's
/// (quota), then the operator's (what lies on disk is not what it should be), then the system's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder name cannot be a Maildir++ folder.
    #[error(transparent)]
    FolderName(#[from] FolderNameError),
    /// The user name cannot be a directory of a [`MailRoot`](crate::MailRoot).
    #[error(transparent)]
    UserName(#[from] UserNameError),
    /// The file name cannot be that of a message.
    #[error(transparent)]
    MessageName(#[from] MessageNameError),
    /// The message does not fit into what the quota leaves.
    #[error("expected room for {size} octets in {}, but {usage} of {limits} is used", path.display())]
    OverQuota {
        /// The Maildir whose quota it is.
        path: PathBuf,
        /// Octets of the refused message.
        size: u64,
        /// What is used already.
        usage: QuotaUsage,
        /// What may be used.
        limits: QuotaLimits,
    },
    /// An earlier write to this delivery failed, so the message is not whole and cannot be staged.
    #[error("expected a whole message for {}, but an earlier write failed", path.display())]
    Incomplete {
        /// The Maildir that the delivery was meant for.
        path: PathBuf,
    },
    /// The path lacks a directory that a Maildir has.
    #[error("expected a Maildir at {}, but found no directory {}", path.display(), missing.display())]
    NotAMaildir {
        /// The path that was taken for a Maildir.
        path: PathBuf,
        /// The directory that is missing: the Maildir itself, or its `tmp`, `new` or `cur`.
        missing: PathBuf,
    },
    /// A directory below a mail root or inside a Maildir is a symbolic link. Such links are never followed.
    #[error("expected a directory at {}, but found a symbolic link", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// An mbox or `maildirsize` is not a regular file, or has a second name where users may put anything in its place, and
    /// nothing else is written to; or a message is none.
    #[error("expected a regular file at {}, but found something else", path.display())]
    NotAFile {
        /// What is no file.
        path: PathBuf,
    },
    /// An mbox below a mail root has other names (hard links): it may be somebody else's file, which its user has put there.
    #[error(
        "expected {} to be the only name of its file, but it has {names}: remove the other hard links, or put a copy there",
        path.display()
    )]
    ManyNames {
        /// The mbox.
        path: PathBuf,
        /// How many names its file has.
        names: u64,
    },
    /// The first line of `maildirsize` is not a quota definition.
    #[error("expected a quota definition like 10000000S,1000C in the first line of {}", path.display())]
    QuotaFile {
        /// The `maildirsize` file.
        path: PathBuf,
    },
    /// Another program keeps a lock.
    #[error("expected to get the lock {}, but another held it at {attempts} attempts", path.display())]
    LockHeld {
        /// The lock file, or the mailbox that the kernel keeps locked.
        path: PathBuf,
        /// How often it was tried.
        attempts: u32,
    },
    /// Another program has taken a lock of ours away by force, and holds it.
    #[error("expected to hold the lock {} still, but found another's", path.display())]
    LockLost {
        /// The lock file.
        path: PathBuf,
    },
    /// Another session has the mailbox for itself. POP3 answers `-ERR [IN-USE]` (RFC 2449 §8.1.1).
    #[error("expected to be the only session with {}, but found another", path.display())]
    InUse {
        /// The mailbox.
        path: PathBuf,
    },
    /// Another program has removed a message that was there when the mailbox was opened.
    #[error("expected a message of {}, but another program has removed it", path.display())]
    Vanished {
        /// The mailbox.
        path: PathBuf,
    },
    /// A message could not be found for longer than is waited, while other programs kept renaming files. It may still be
    /// there.
    #[error("expected a message of {} to be found, but other programs keep renaming what is there", path.display())]
    Unsettled {
        /// The mailbox.
        path: PathBuf,
    },
    /// A mailbox that was opened for reading only was to be changed.
    #[error("expected no changes to {}, which was opened for reading", path.display())]
    ReadOnly {
        /// The mailbox.
        path: PathBuf,
    },
    /// A file that is taken for an mbox does not begin with a From_ line.
    #[error(
        "expected an mbox at {}, but its first line does not begin with `From `: move the file away, or mend its start",
        path.display()
    )]
    NotAnMbox {
        /// The file.
        path: PathBuf,
    },
    /// A name that is needed for a message is taken, however often another was chosen.
    #[error("expected a free name for a message in {}, but all that were tried are taken", path.display())]
    NamesTaken {
        /// The directory.
        path: PathBuf,
    },
    /// All that was to be removed is removed, for good, but not all messages could be marked as seen.
    #[error("expected to mark messages as seen, but {source}")]
    NotMarked {
        /// What kept one of them from it.
        source: Box<Error>,
    },
    /// The system refused.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was being done.
        operation: Operation,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(operation: Operation, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Error {
        Error::Io { operation, path: path.into(), source: source.into() }
    }

    pub(crate) fn not_marked(source: Error) -> Error {
        Error::NotMarked { source: Box::new(source) }
    }

    /// Whether an update has removed all that it was to remove, and only marks are missing. POP3 answers `+OK` then: `-ERR`
    /// says that messages were not removed (RFC 1939 §6).
    pub fn is_only_marks(&self) -> bool {
        matches!(self, Error::NotMarked { .. })
    }

    /// Puts another error in place of one that says that something is not there.
    pub(crate) fn or_missing(self, missing: impl FnOnce() -> Error) -> Error {
        match &self {
            Error::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                missing()
            }
            _ => self,
        }
    }

    /// Whether there is no room: the disk is full, the user's disk quota or the Maildir quota is used up. SMTP answers
    /// 452 4.3.1 (or 4.2.2 if [`Error::is_over_quota`]).
    pub fn is_storage_full(&self) -> bool {
        match self {
            Error::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Error::OverQuota { .. } => true,
            Error::NotMarked { source } => source.is_storage_full(),
            _ => false,
        }
    }

    /// Whether it is this mailbox that is full, by Maildir or disk quota, while others may still have room. SMTP answers
    /// 452 4.2.2.
    pub fn is_over_quota(&self) -> bool {
        match self {
            Error::Io { source, .. } => source.kind() == io::ErrorKind::QuotaExceeded,
            Error::OverQuota { .. } => true,
            _ => false,
        }
    }

    /// Whether the same message may be accepted later, when the owner, the operator or the system has done something
    /// about it. Only a name that can never be valid is permanent.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Error::FolderName(_) | Error::UserName(_) | Error::MessageName(_))
    }

    /// Whether something lies where mail should that is none of this crate's formats, or that is not to be touched: it stays
    /// so until somebody puts it right. POP3 answers `-ERR [SYS/PERM]` (RFC 3206 §3), SMTP a 451 all the same, since mail
    /// that waits is not lost.
    pub fn is_misplaced(&self) -> bool {
        matches!(
            self,
            Error::NotAnMbox { .. }
                | Error::NotAFile { .. }
                | Error::ManyNames { .. }
                | Error::Symlink { .. }
        )
    }

    /// Whether the Maildir or folder is simply not there (as opposed to broken or unreachable).
    pub fn is_not_found(&self) -> bool {
        match self {
            Error::NotAMaildir { .. } => true,
            Error::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// What sort of error it is: that of the system's, or what comes nearest.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Error::Io { source, .. } => source.kind(),
            Error::NotMarked { source } => source.kind(),
            Error::OverQuota { .. } => io::ErrorKind::QuotaExceeded,
            Error::FolderName(_) | Error::UserName(_) | Error::MessageName(_) => io::ErrorKind::InvalidInput,
            Error::NotAMaildir { .. } => io::ErrorKind::NotFound,
            Error::LockHeld { .. } => io::ErrorKind::WouldBlock,
            Error::InUse { .. } | Error::Unsettled { .. } => io::ErrorKind::ResourceBusy,
            Error::Vanished { .. } => io::ErrorKind::NotFound,
            Error::ReadOnly { .. } => io::ErrorKind::PermissionDenied,
            Error::NotAnMbox { .. } => io::ErrorKind::InvalidData,
            Error::NamesTaken { .. } => io::ErrorKind::AlreadyExists,
            Error::Incomplete { .. }
            | Error::Symlink { .. }
            | Error::NotAFile { .. }
            | Error::ManyNames { .. }
            | Error::QuotaFile { .. }
            | Error::LockLost { .. } => io::ErrorKind::Other,
        }
    }
}

impl From<Error> for io::Error {
    /// Keeps the kind of the system's error, and the whole [`Error`] as the inner one.
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn each_error_knows_the_reply_it_deserves() {
        let io = |errno: Errno| Error::io(Operation::Write, "/m", errno);
        let over = Error::OverQuota {
            path: "/m".into(),
            size: 1,
            usage: QuotaUsage { bytes: 9, messages: 1 },
            limits: QuotaLimits { bytes: Some(9), messages: None },
        };
        let bad_name = Error::from(crate::UserName::parse("../x").unwrap_err());
        // (error, storage full, over quota, transient)
        let table = [
            (io(Errno::NOSPC), true, false, true),
            (io(Errno::DQUOT), true, true, true),
            (io(Errno::IO), false, false, true),
            (io(Errno::MFILE), false, false, true),
            (over, true, true, true),
            (bad_name, false, false, false),
        ];
        for (error, full, quota, transient) in table {
            assert_eq!(
                (error.is_storage_full(), error.is_over_quota(), error.is_transient()),
                (full, quota, transient),
                "{error}"
            );
        }
    }

    #[test]
    fn an_error_keeps_its_kind_when_it_passes_through_io_write() {
        let error = io::Error::from(Error::io(Operation::Write, "/m", Errno::NOSPC));
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>()).unwrap();
        assert!(inner.is_storage_full());
    }

    #[test]
    fn messages_say_what_was_expected_where_and_what_was_found() {
        let error =
            Error::NotAMaildir { path: "/home/a/Maildir".into(), missing: "/home/a/Maildir/tmp".into() };
        assert_eq!(
            error.to_string(),
            "expected a Maildir at /home/a/Maildir, but found no directory /home/a/Maildir/tmp"
        );
        let error = Error::ManyNames { path: "/home/a/mbox".into(), names: 2 };
        assert_eq!(
            error.to_string(),
            "expected /home/a/mbox to be the only name of its file, but it has 2: remove the other hard links, \
             or put a copy there"
        );
    }
}
