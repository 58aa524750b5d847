//! A message some of whose copies go through the rc files of their users.
//!
//! The copies for inboxes are written first, then the rc files are obeyed one after the other, then the copies for inboxes
//! are committed. Where one recipient's rc file fails and there is one outcome for all (SMTP), the others that were
//! filed before may get the message once more when the client tries again: twice is better than never.

use maildrop::{Delivery, Error, LineEndings, Staged};
use smtp_proto::types::Refusal;

use super::rules::{Rules, Trouble};
use super::store::{Copy, MailStore};
use super::{Begun, Kept, Way, refusal, refused};

/// A message that is whole.
pub(super) enum Message {
    /// In memory.
    Whole(Vec<u8>),
    /// Partly written out for the first of its copies; then the rest.
    Begun(Box<Begun>, Vec<u8>),
}

/// What else there is to know of it.
pub(super) struct Parts {
    pub(super) sender: Box<str>,
    pub(super) copies: Vec<Copy>,
    pub(super) together: bool,
}

/// What has become of a copy so far.
enum Copied {
    Staged(Staged),
    Done(Result<Kept, Refusal>),
}

/// Delivers all copies. There is a verdict for each, in order.
pub(super) async fn deliver(
    store: MailStore,
    rules: Rules,
    message: Message,
    parts: Parts,
) -> Vec<Result<Kept, Refusal>> {
    let (count, together) = (parts.copies.len(), parts.together);
    let users = parts.copies.iter().filter(|copy| copy.way == Way::Rules).map(|copy| &copy.user);
    let Some(turn) = rules.turn(users).await else { return refused(count, &Refusal::LOCAL_ERROR) };
    let here = store.clone();
    let work = move || {
        // Held until all is done, even if nobody waits for it any more.
        let _turn = turn;
        copy(&here, &rules, message, &parts)
    };
    let Ok(copied) = tokio::task::spawn_blocking(work).await else {
        return refused(count, &Refusal::LOCAL_ERROR);
    };
    commit(&store, copied, together).await
}

/// Makes the copies durable that are not.
async fn commit(store: &MailStore, copied: Vec<Copied>, together: bool) -> Vec<Result<Kept, Refusal>> {
    let failed = copied.iter().find_map(|copy| match copy {
        Copied::Done(Err(refusal)) => Some(refusal.clone()),
        _ => None,
    });
    if let Some(refusal) = failed.filter(|_| together) {
        return refused(copied.len(), &refusal);
    }
    let count = copied.len();
    let mut staged = Vec::new();
    let mut verdicts = Vec::with_capacity(count);
    for copy in copied {
        match copy {
            Copied::Staged(copy) => {
                staged.push(Ok(copy));
                verdicts.push(None);
            }
            Copied::Done(verdict) => verdicts.push(Some(verdict)),
        }
    }
    if staged.is_empty() {
        return verdicts.into_iter().flatten().collect();
    }
    let expected = staged.len();
    let committed = store.commit(staged, together).await.unwrap_or_default();
    if committed.len() != expected {
        let why = committed.into_iter().find_map(Result::err).map(|error| refusal(&error));
        let why = why.unwrap_or(Refusal::LOCAL_ERROR);
        return match together {
            true => refused(count, &why),
            // What an rc file has filed stays filed.
            false => verdicts.into_iter().map(|verdict| verdict.unwrap_or(Err(why.clone()))).collect(),
        };
    }
    let mut committed = committed.into_iter();
    let mut next = || match committed.next() {
        Some(copy) => copy.map(Kept::File).map_err(|error| refusal(&error)),
        None => Err(Refusal::LOCAL_ERROR),
    };
    verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(&mut next)).collect()
}

/// Writes the copies for inboxes, and has the rc files file the others. Blocks.
fn copy(store: &MailStore, rules: &Rules, message: Message, parts: &Parts) -> Vec<Copied> {
    let Parts { sender, copies, together } = parts;
    let text = Text::new(message);
    let text = match text {
        Ok(text) => text,
        Err(error) => return copies.iter().map(|_| Copied::Done(Err(refusal(&error)))).collect(),
    };
    let mut done: Vec<Option<Copied>> =
        copies.iter().map(|copy| (copy.way == Way::Inbox).then(|| text.stage(store, copy))).collect();
    let failed = |done: &[Option<Copied>]| {
        *together && done.iter().flatten().any(|copy| matches!(copy, Copied::Done(Err(_))))
    };
    for (at, copy) in copies.iter().enumerate().filter(|(_, copy)| copy.way == Way::Rules) {
        if failed(&done) {
            break;
        }
        let prefix = LineEndings::ToLf.apply(&copy.prefix);
        let room = match store.room(&copy.user, (prefix.len() + text.body.len()) as u64) {
            Ok(room) => room,
            Err(error) => {
                done[at] = Some(Copied::Done(Err(refusal(&error))));
                continue;
            }
        };
        done[at] = Some(match rules.file(&copy.user, sender, &prefix, &text.body, room) {
            Ok(kept) => {
                if let Kept::Filed { destinations, .. } = &kept {
                    store.note(&copy.user, destinations);
                }
                Copied::Done(Ok(kept))
            }
            Err(Trouble::Refuse(refusal)) => Copied::Done(Err(refusal)),
            Err(Trouble::Inbox) => text.stage(store, copy),
        });
    }
    done.into_iter().map(|copy| copy.unwrap_or(Copied::Done(Err(Refusal::LOCAL_ERROR)))).collect()
}

/// The message, with LF at the ends of lines.
struct Text {
    body: Vec<u8>,
    original: Original,
}

/// What copies are made from.
enum Original {
    Whole(Vec<u8>),
    Written(Staged),
}

impl Text {
    fn new(message: Message) -> Result<Self, Error> {
        match message {
            Message::Whole(body) => {
                Ok(Self { body: LineEndings::ToLf.apply(&body), original: Original::Whole(body) })
            }
            Message::Begun(begun, rest) => {
                let mut delivery: Delivery = begun.resume();
                delivery.append(&rest)?;
                let staged = delivery.stage()?;
                Ok(Self {
                    body: LineEndings::ToLf.apply(&staged.read_body()?),
                    original: Original::Written(staged),
                })
            }
        }
    }

    fn stage(&self, store: &MailStore, copy: &Copy) -> Copied {
        let one = std::slice::from_ref(copy);
        let staged = match &self.original {
            Original::Whole(body) => store.stage_whole(body, one, false),
            Original::Written(staged) => store.duplicate(staged, one),
        };
        match staged.into_iter().next() {
            Some(Ok(staged)) => Copied::Staged(staged),
            Some(Err(error)) => Copied::Done(Err(refusal(&error))),
            None => Copied::Done(Err(Refusal::LOCAL_ERROR)),
        }
    }
}
