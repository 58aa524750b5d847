//! Durable mail storage on local disks: delivery that survives power failures, to Maildirs, mbox files, MH folders and plain
//! folders; and reading and removing what lies there.
//!
//! # What it is for
//!
//! Mail servers, delivery agents and fetchers that put messages into Maildirs, where mutt, Dovecot and other programs
//! read them. A message is written to `tmp/` as it arrives, in chunks of any size; then it is made durable and moved to
//! `new/`, alone or in a batch with others. When a delivery is reported as done, the message survives a power failure;
//! when it is not, nothing of it is left. Readers see whole messages only, at any time.
//!
//! Servers read it through the traits in [`store`], where a [`Mailbox`](store::Mailbox) is one session with the mail of a
//! user, wherever that lies.
//!
//! It is synchronous code on `std::fs` and system calls, for Unix. From an async server, call it on a thread that may
//! block. It knows nothing of protocols.
//!
//! # Delivering
//!
//! ```
//! use maildrop::{DeliveryOptions, Error, MailRoot, UserName};
//!
//! # let dir = tempfile::tempdir()?;
//! // Names made by a peer are checked before they become paths.
//! let root = MailRoot::new(dir.path().join("mail"));
//! let alice = UserName::parse("alice")?;
//! let maildir = root.create(&alice)?;
//!
//! // What arrives is written as it comes, with line ends as the wire has them.
//! let options = DeliveryOptions::new().prefix(b"Return-Path: <bob@example.org>\r\nDelivered-To: alice\r\n");
//! let mut delivery = maildir.deliver(&options)?;
//! for chunk in [b"Subject: lunch?\r".as_slice(), b"\n\r\nAt no", b"on?\r\n"] {
//!     delivery.append(chunk)?;
//! }
//!
//! // Nothing is promised before this returns.
//! let delivered = delivery.stage()?.commit()?;
//!
//! let stored = std::fs::read(delivered.path())?;
//! assert!(stored.ends_with(b"Delivered-To: alice\nSubject: lunch?\n\nAt noon?\n"));
//! assert_eq!(delivered.name().size(), Some(stored.len() as u64));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How do I …
//!
//! - **… answer an SMTP client when the disk fails?** [`Error::is_over_quota`] is 452 4.2.2, [`Error::is_storage_full`]
//!   452 4.3.1, [`Error::is_transient`] any other 451.
//! - **… deliver fast?** Collect the [`Staged`] messages that end while the disk is busy, and [`commit_all`] of them: 50
//!   messages cost about three waits for the disk rather than a hundred.
//! - **… deliver one message to many users?** Write it once, then [`Staged::duplicate`] it, each copy behind its own
//!   header lines.
//! - **… deliver to folders?** [`Maildir::create_folder`] with a [`FolderName`] (Maildir++).
//! - **… append to an mbox?** [`Mbox::append`], with a [`FromLine`] before the message. It locks, quotes, and takes back what
//!   is not whole.
//! - **… deliver to MH and plain folders?** [`MessageDir`], and [`MessageDir::link`] and [`Maildir::link`] for one
//!   message in several. [`Filed::take_back`] takes one back.
//! - **… read mail?** Open a [`store::Mailbox`] with [`store::AnyStore`], or one of a single Maildir, mbox or MH folder with
//!   [`Maildir::mailbox`], [`Mbox::mailbox`] or [`MessageDir::mailbox`].
//! - **… remove mail so that a crash does not leave half of it?** [`store::Mailbox::commit`].
//! - **… let one POP3 session at a time in?** [`store::Access::Exclusive`].
//! - **… keep other programs away from a file?** [`DotLock`].
//! - **… limit a mailbox?** [`Maildir::set_quota`] (Maildir++, shared with Dovecot and Courier).
//! - **… remove what crashed programs left?** [`Maildir::clean_tmp`], about once a day.
//! - **… test that my server copes with a full disk?** Set a [`FaultPlan`]; see [`Faults`].
//!
//! # What it promises
//!
//! - *Order*: file contents are on stable storage before the message appears in `new/`, and its entry there is before
//!   `Ok`. A crash at any point leaves no message or a whole one.
//! - *Names*: unique over threads, forks, processes, hosts and steps of the clock; no file is ever replaced.
//! - *Confinement*: no user or folder name leads out of its directory, and below a [`MailRoot`] or inside a Maildir no
//!   symbolic link is followed.
//! - *Privacy*: directories are made with mode 0700, files with 0600.
//! - *Updates*: what a session removes is removed as a whole, whenever its process dies.
//! - *Memory*: 16 KiB (64 KiB for an mbox) while a message is being written, 130 KiB at most while one is being read, some
//!   tens of octets and the name for each message of an open mailbox.
//!
//! # What it follows
//!
//! The [Maildir] convention, [Maildir++] for folders and quotas, the `,S=` and `,W=` sizes in file names as Dovecot and
//! Courier know them, the mbox and MH formats as procmail 3.22 writes them and mutt, Dovecot and nmh read them, RFC 1939 for
//! octet counts and unique identifiers, and RFC 3501 §5.1.3 (modified UTF-7) for the names of folders on disk.
//!
//! [Maildir]: https://cr.yp.to/proto/maildir.html
//! [Maildir++]: https://www.courier-mta.org/imap/README.maildirquota.html
#![forbid(unsafe_code)]

mod dot_lock;
mod error;
mod fault;
mod flags;
mod folder_name;
mod from_line;
mod fs;
mod kernel_lock;
mod line_endings;
mod lock_owner;
mod maildir;
mod mbox;
mod message_dir;
mod message_name;
pub mod mutf7;
mod quota_file;
mod replacement;
pub mod store;
mod unique;
mod user;

pub use dot_lock::{DotLock, DotLockOptions, HeldLock, LockAttempt, LockWait};
pub use error::{Error, Operation};
pub use fault::{Fault, FaultPlan, Faults};
pub use flags::{Flags, FlagsError};
pub use folder_name::{FolderName, FolderNameError};
pub use from_line::FromLine;
pub use line_endings::LineEndings;
pub use maildir::{
    Cleaned, Delivered, Delivery, DeliveryOptions, Maildir, STALE_AFTER, Staged, SyncStrategy, commit_all,
    commit_all_with,
};
pub use mbox::{
    Appended, MBOX_NOTES, Mbox, MboxAppend, MboxMessage, MboxOptions, Quoting, Separation, fit_content_length,
};
pub use message_dir::{Filed, MessageDelivery, MessageDir, MhSequences, Naming};
pub use message_name::{MessageName, MessageNameError};
pub use quota_file::{Quota, QuotaLimits, QuotaLimitsError, QuotaUsage};
pub use user::{MailRoot, UserName, UserNameError};
