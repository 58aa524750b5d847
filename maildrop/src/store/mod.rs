//! Reading mail: what a POP3 server needs of a mailbox, and the places where mailboxes lie.
//!
//! # What it is for
//!
//! A [`Store`] opens the mailbox of a user; a [`Mailbox`] is one session with it. The messages that are there when it is
//! opened are numbered, and keep their numbers until the end of the session, whatever other programs do meanwhile; what
//! arrives later belongs to the next session. Reading goes through a [`MessageReader`], which lends the message in slices
//! with the line ends of the wire, so that no message is ever whole in memory. All that a session changes is one
//! [`Update`], given at its end: a process that is killed has done all of its removals, as the next session sees it, or
//! none.
//!
//! | store | mailbox | where the inbox of `alice` lies |
//! |---|---|---|
//! | [`MaildirStore`] | [`MaildirMailbox`] | `ROOT/alice/Maildir` |
//! | [`MboxStore`] | [`MboxMailbox`] | `ROOT/alice/mbox` |
//! | [`MhStore`] | [`MhMailbox`] | `ROOT/alice/Mail/inbox` |
//! | [`MemoryStore`] | [`MemoryMailbox`] | in memory |
//! | [`AnyStore`] | [`AnyMailbox`] | one of these, chosen when the program starts |
//!
//! # Example
//!
//! ```
//! use maildrop::store::{Access, Folder, Mailbox, MessageReader, Store, StoreFormat, AnyStore, Update};
//! use maildrop::{DeliveryOptions, MailRoot, UserName};
//!
//! # let dir = tempfile::tempdir()?;
//! let alice = UserName::parse("alice")?;
//! let mut delivery = MailRoot::new(dir.path()).create(&alice)?.deliver(&DeliveryOptions::new())?;
//! delivery.append(b"Subject: lunch?\r\n\r\nAt noon?\r\n")?;
//! delivery.stage()?.commit()?;
//!
//! async fn fetch_and_delete(store: &impl Store, user: &UserName) -> Result<Vec<u8>, maildrop::Error> {
//!     let mut mailbox = store.open(user, &Folder::Inbox, Access::Exclusive).await?;
//!     let (mut reader, mut text, mut update) = (Default::default(), Vec::new(), Update::new());
//!     for index in 0..mailbox.len() {
//!         mailbox.read(index, &mut reader).await?;
//!         while let chunk @ [_, ..] = reader.chunk().await? {
//!             text.extend_from_slice(chunk);
//!             let taken = chunk.len();
//!             reader.consume(taken);
//!         }
//!         update.remove(index);
//!     }
//!     mailbox.commit(&update).await?;
//!     Ok(text)
//! }
//!
//! let store = AnyStore::new(StoreFormat::Maildir, dir.path());
//! let text = maildrop::store::ready(fetch_and_delete(&store, &alice))?;
//! assert_eq!(text, b"Subject: lunch?\r\n\r\nAt noon?\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Futures that are ready
//!
//! The methods that may have to wait answer futures, for the sake of stores that lie behind a network. Those of this crate
//! do their work, which blocks as `std::fs` does, when they are first polled, and are ready then: the `await` costs
//! nothing. A server runs them where blocking is allowed (in tokio `block_in_place`, or a thread for the session); a
//! program without a runtime calls [`ready`].
//!
//! # Octets
//!
//! Files have lines that end with LF, the wire has CRLF. Each LF that no CR stands before counts as two octets, here and
//! in what a reader lends, and a last line without its end gets one; all else is as it is in the file. So
//! [`Mailbox::octets`] is what a POP3 server sends but for the dots. It is found once: in the name of the file where it says
//! so (`,W=`), else from the file, and of a Maildir whose names do not tell it is kept in a file `maildrop.sizes` there. So it is
//! where a name tells what is wrong, once the message was read to its end and the session closed.
//! Deliveries of this crate say it only where it is that count. Other programs do not count
//! the end that a last line lacks; their word is taken, and such a message is sent with two octets more.
//!
//! # Other programs
//!
//! - Sessions with [`Access::Exclusive`] keep each other out over all processes that use this crate, by a lock of the
//!   kernel's (`flock`) on the directory of a Maildir or the MH folder itself, or on a file of its own beside an mbox, which goes
//!   with the process. Deliveries, and programs that know nothing of the lock, go on meanwhile.
//! - A message that another program has moved or renamed is found again. One that it has removed is [`Error::Vanished`]
//!   when it is read, and nothing else happens to the session. Where files of a Maildir are renamed without rest, a message
//!   may not be found for about a second: that is [`Error::Unsettled`].
//! - What is delivered between the opening and the update stays, and is listed by the next session.
//!
//! # Room for IMAP
//!
//! What IMAP needs more (UIDs and UIDVALIDITY, keywords, mod-sequences, change notices) has its places: facts in
//! [`Message`], kinds of [`Access`], changes in [`Update`], and methods of [`Mailbox`] that follow the mailbox while it is
//! open. These types are `#[non_exhaustive]` for that reason.

mod any;
mod digest;
mod journal;
mod memory;
mod reader;
mod session;
mod unique_id;
mod update;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

pub use self::any::{AnyMailbox, AnyStore, StoreFormat, StoreFormatError};
pub use self::memory::{MemoryMailbox, MemoryStore};
pub(crate) use self::reader::Strip;
pub use self::reader::{LocalReader, MessageReader};
pub use self::unique_id::{UniqueId, UniqueIdError};
pub use self::update::Update;
pub use crate::maildir::{MaildirMailbox, MaildirStore};
pub use crate::mbox::{MboxMailbox, MboxStore, Unquoting};
pub use crate::message_dir::{MhMailbox, MhStore};

pub(crate) use self::journal::{Found, Journal, JournaledRemoval, Names};
pub(crate) use self::reader::{Miscounts, Told};
pub(crate) use self::session::SessionLock;
pub(crate) use self::unique_id::MessageDigest;

use crate::error::Error;
use crate::flags::Flags;
use crate::folder_name::FolderName;
use crate::user::UserName;

/// A folder of a user's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Folder {
    /// Where mail arrives, and all that POP3 knows. Each user has one: what is missing of it is made when it is opened.
    #[default]
    Inbox,
    /// Another one, which must exist.
    Named(FolderName),
}

/// What a session with a mailbox is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// Read and update, as the only one: what RFC 1939 §4 asks for.
    Exclusive,
    /// Read, whoever else is there. Updates are refused.
    ReadOnly,
}

/// What is known of a message without opening it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Octets with the line ends of the wire, if they are known already. Ask [`Mailbox::octets`] otherwise.
    pub octets: Option<u64>,
    /// Its flags.
    pub flags: Flags,
    /// When it was delivered, where a file, its name, or the From_ line in an mbox tells.
    pub arrived: Option<SystemTime>,
}

/// Where the mail of many users lies.
pub trait Store: Send + Sync {
    /// A session with one mailbox.
    type Mailbox: Mailbox;

    /// Opens a mailbox and lists what is in it.
    ///
    /// # Errors
    /// [`Error::InUse`] if there is another [`Access::Exclusive`] session; an error for which [`Error::is_not_found`]
    /// holds if there is no such folder; others as the disk has them.
    fn open(
        &self,
        user: &UserName,
        folder: &Folder,
        access: Access,
    ) -> impl Future<Output = Result<Self::Mailbox, Error>> + Send;
}

/// A session with a mailbox. Messages are numbered from 0 in the order of their arrival.
///
/// # Panics
/// Methods with an `index` panic if there is no such message, as slices do.
pub trait Mailbox: Send {
    /// What reads messages.
    type Reader: MessageReader;

    /// How many messages there were when the mailbox was opened.
    fn len(&self) -> usize;

    /// Whether there was none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of a message. Cheap: nothing is opened.
    fn message(&self, index: usize) -> Message;

    /// Octets of a message with each line ended by CRLF (RFC 1939 §11), as [`Mailbox::read`] will lend them. Where
    /// [`Message::octets`] does not tell, the message is read once, and the number kept.
    ///
    /// # Errors
    /// [`Error::Vanished`] if another program has removed it, or [`Error::Io`].
    fn octets(&mut self, index: usize) -> impl Future<Output = Result<u64, Error>> + Send;

    /// The name of a message that no other in this mailbox has, and that it keeps over all sessions (RFC 1939 §7).
    ///
    /// # Errors
    /// [`Error::Vanished`] or [`Error::Io`], where it has to be read for that.
    fn unique_id(&mut self, index: usize) -> impl Future<Output = Result<UniqueId, Error>> + Send;

    /// Makes a reader begin with a message. What it was reading before is forgotten; its buffers are used again.
    ///
    /// # Errors
    /// [`Error::Vanished`] if another program has removed it, or [`Error::Io`]. The reader then reads nothing.
    fn read(
        &mut self,
        index: usize,
        reader: &mut Self::Reader,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes all changes as one, and ends the session. When this answers `Ok`, they survive a power failure. Whoever drops
    /// the mailbox instead has changed nothing.
    ///
    /// If the process dies, the next session finds all messages that were to be removed, or none; only on a full disk, where
    /// there is no room to note them all, messages of a Maildir or an MH folder may go one by one, and more than 262 144 of them
    /// go in parts. Flags are set one by one.
    ///
    /// # Errors
    /// What cannot be marked keeps nothing from being removed. If all removals are done and only marks are missing, or may be
    /// after a power failure, that is [`Error::NotMarked`], for which
    /// [`Error::is_only_marks`] holds. Else [`Error::ReadOnly`], or what kept some of it from being done, or from being known to be done. Messages that the disk
    /// did not let be removed are still there. Others may be gone already, though after a power failure they could be there
    /// again, or go when the mailbox is opened next: those of a Maildir that other programs renamed without rest
    /// ([`Error::Unsettled`]), or whose removal could not be made durable. No others are touched, and to
    /// remove the same once more does no harm.
    fn commit(self, update: &Update) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Takes the result of a future that is ready at once, as all those of this crate's stores are: for programs without a
/// runtime.
///
/// # Panics
/// If the future is not ready.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("expected a future that is ready at once"),
    }
}
