//! [`MailStore`]: where the mail of all users lies on disk, in one of the formats, and how a message comes there.

use std::sync::Arc;

use maildrop::{Delivery, Error, UserName};
use smtp_proto::types::Refusal;
use tokio::sync::Semaphore;

use super::boxes::Boxes;
use super::maildirs::{Maildirs, Outcome};
use super::spool::SpoolFile;
use super::{Begun, Kept, Way, refusal, refused};
use crate::filter::Destination;

/// A copy of a message: whose it is, and the fields that stand before it.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub(crate) user: UserName,
    pub(crate) way: Way,
    pub(crate) prefix: Vec<u8>,
}

/// A message that is whole, as it came.
pub(super) enum Message {
    /// In memory.
    Whole(Vec<u8>),
    /// Partly written out for the first of its copies; then the rest.
    Begun(Box<Begun>, Vec<u8>),
}

/// What else there is to know of it.
pub(super) struct Parts {
    /// The reverse-path, empty for `<>`.
    pub(super) sender: Box<str>,
    pub(super) copies: Vec<Copy>,
    /// Whether all copies are to be delivered or none.
    pub(super) together: bool,
}

/// A message that is being written out.
pub(super) enum Draft {
    /// In the Maildir of the first who gets a copy.
    Maildir(Box<Delivery>),
    /// In a file that has no name.
    Spool(SpoolFile),
}

impl Draft {
    /// One that is none in a Maildir is of another store.
    fn into_delivery(self) -> Delivery {
        match self {
            Self::Maildir(delivery) => *delivery,
            Self::Spool(_) => unreachable!("a message goes on in the store where it was begun"),
        }
    }

    /// One in a Maildir is of another store.
    pub(super) fn into_spool(self) -> SpoolFile {
        match self {
            Self::Spool(file) => file,
            Self::Maildir(_) => unreachable!("a message goes on in the store where it was begun"),
        }
    }

    /// Adds to it. Blocks.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::Maildir(delivery) => delivery.append(bytes),
            Self::Spool(file) => file.append(bytes),
        }
    }
}

/// The mail of all users on disk. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum MailStore {
    Maildirs(Maildirs),
    /// Mboxes or MH folders.
    Boxes(Boxes),
}

impl MailStore {
    /// Whether messages of a user stand in one file.
    pub(super) fn is_mbox(&self) -> bool {
        matches!(self, Self::Boxes(boxes) if boxes.is_mbox())
    }

    /// Begins to write a message out. Blocks.
    pub(super) fn begin(&self, first: &Copy) -> Result<Draft, Error> {
        match self {
            Self::Maildirs(maildirs) => {
                maildirs.begin(first).map(|delivery| Draft::Maildir(Box::new(delivery)))
            }
            Self::Boxes(boxes) => boxes.spool(&first.user).map(Draft::Spool),
        }
    }

    /// Delivers a message to inboxes. There is a verdict for each copy, in order; what was delivered is safe.
    pub(super) async fn deliver(
        &self,
        message: Message,
        parts: Parts,
        writers: Arc<Semaphore>,
    ) -> Vec<Result<Kept, Refusal>> {
        let count = parts.copies.len();
        let outcome = match self {
            Self::Boxes(boxes) => return boxes.deliver(message, parts).await,
            Self::Maildirs(maildirs) => match message {
                Message::Whole(body) => maildirs.deliver(body, parts.copies, parts.together).await,
                Message::Begun(begun, rest) => {
                    let Ok(permit) = writers.acquire_owned().await else {
                        return refused(count, &Refusal::LOCAL_ERROR);
                    };
                    let (here, together) = (maildirs.clone(), parts.together);
                    let staged = tokio::task::spawn_blocking(move || {
                        // Held until the disk is done, even if nobody waits for it any more.
                        let _permit = permit;
                        let mut delivery = begun.resume().into_delivery();
                        match delivery.append(&rest) {
                            Ok(()) => here.stage(delivery, &parts.copies, parts.together),
                            Err(error) => vec![Err(error)],
                        }
                    });
                    match staged.await {
                        Ok(staged) => maildirs.commit(staged, together).await,
                        Err(_) => None,
                    }
                }
            },
        };
        verdicts(outcome, count)
    }

    /// Whether a message of that size would not fit into the user's quota, of which Maildirs alone know. Makes what there has
    /// to be for mail of the user. Blocks.
    pub(super) fn would_exceed(&self, user: &UserName, size: u64) -> Result<bool, Error> {
        match self {
            Self::Maildirs(maildirs) => maildirs.would_exceed(user, size),
            Self::Boxes(boxes) => boxes.prepare(user).map(|()| false),
        }
    }

    /// How many bytes more the user may keep, if that is limited; counted carefully where it is less than `wanted`. Blocks.
    pub(super) fn room(&self, user: &UserName, wanted: u64) -> Result<Option<u64>, Error> {
        match self {
            Self::Maildirs(maildirs) => maildirs.room(user, wanted),
            Self::Boxes(boxes) => boxes.prepare(user).map(|()| None),
        }
    }

    /// Notes what was filed for a user by other ways than this store.
    pub(super) fn note(&self, user: &UserName, destinations: &[Destination]) {
        if let Self::Maildirs(maildirs) = self {
            maildirs.note(user, destinations);
        }
    }
}

/// A verdict for each copy. Where there are fewer outcomes than copies, the message failed for all.
pub(super) fn verdicts(outcome: Option<Outcome>, count: usize) -> Vec<Result<Kept, Refusal>> {
    let outcome = outcome.unwrap_or_default();
    let complete = outcome.len() == count;
    let mut verdicts: Vec<Result<Kept, Refusal>> =
        outcome.into_iter().map(|copy| copy.map(Kept::File).map_err(|error| refusal(&error))).collect();
    if !complete {
        let why = verdicts.drain(..).find_map(Result::err);
        return refused(count, &why.unwrap_or(Refusal::LOCAL_ERROR));
    }
    verdicts
}
