//! A message some of whose copies go through the rc files of their users.
//!
//! The copies for Maildirs are written first, then the rc files are obeyed one after the other, then the copies for Maildirs
//! are committed. Those for mboxes and MH folders are written in the end: an mbox would be locked meanwhile. Where one
//! recipient's rc file fails and there is one outcome for all (SMTP), the others that were filed before may get the message
//! once more when the client tries again: twice is better than never.

use maildrop::{Error, LineEndings, Staged};
use smtp_proto::types::Refusal;

use super::boxes::Boxes;
use super::maildirs::Maildirs;
use super::rules::{Rules, Trouble};
use super::store::{Copy, Draft, MailStore, Message, Parts, verdicts};
use super::{Kept, Way, refusal, refused};

/// What has become of a copy so far.
enum Copied {
    /// It lies in a Maildir.
    Staged(Staged),
    /// It is to be written to an mbox or an MH folder.
    Waiting(Copy),
    Done(Result<Kept, Refusal>),
}

/// Delivers all copies. There is a verdict for each, in order.
pub(super) async fn deliver(
    store: MailStore,
    rules: Rules,
    message: Message,
    parts: Parts,
) -> Vec<Result<Kept, Refusal>> {
    let (count, sender, together) = (parts.copies.len(), parts.sender.clone(), parts.together);
    let users = parts.copies.iter().filter(|copy| copy.way == Way::Rules).map(|copy| &copy.user);
    let Some(turn) = rules.turn(users).await else { return refused(count, &Refusal::LOCAL_ERROR) };
    let here = store.clone();
    let work = move || {
        // Held until all is done, even if nobody waits for it any more.
        let _turn = turn;
        let text = Text::new(message)?;
        let copied = copy(&here, &rules, &text, &parts);
        Ok::<_, Error>((text.body, copied))
    };
    let (body, copied) = match tokio::task::spawn_blocking(work).await {
        Ok(Ok(copied)) => copied,
        Ok(Err(error)) => return refused(count, &refusal(&error)),
        Err(_) => return refused(count, &Refusal::LOCAL_ERROR),
    };
    let failed = copied.iter().find_map(|copy| match copy {
        Copied::Done(Err(refusal)) => Some(refusal.clone()),
        _ => None,
    });
    if let Some(refusal) = failed.filter(|_| together) {
        return refused(count, &refusal);
    }
    match store {
        MailStore::Maildirs(maildirs) => commit(&maildirs, copied, together).await,
        MailStore::Boxes(boxes) => write(&boxes, body, sender, copied, together).await,
    }
}

/// Makes the copies in Maildirs durable.
async fn commit(maildirs: &Maildirs, copied: Vec<Copied>, together: bool) -> Vec<Result<Kept, Refusal>> {
    let (mut staged, mut done) = (Vec::new(), Vec::with_capacity(copied.len()));
    for copy in copied {
        done.push(match copy {
            Copied::Staged(copy) => {
                staged.push(Ok(copy));
                None
            }
            Copied::Waiting(_) => Some(Err(Refusal::LOCAL_ERROR)),
            Copied::Done(verdict) => Some(verdict),
        });
    }
    let count = staged.len();
    let committed = match count {
        0 => Vec::new(),
        _ => verdicts(maildirs.commit(staged, together).await, count),
    };
    merged(done, committed, together)
}

/// Writes the copies for mboxes and MH folders.
async fn write(
    boxes: &Boxes,
    body: Vec<u8>,
    sender: Box<str>,
    copied: Vec<Copied>,
    together: bool,
) -> Vec<Result<Kept, Refusal>> {
    let (mut copies, mut done) = (Vec::new(), Vec::with_capacity(copied.len()));
    for copy in copied {
        done.push(match copy {
            Copied::Waiting(copy) => {
                copies.push(copy);
                None
            }
            Copied::Staged(_) => Some(Err(Refusal::LOCAL_ERROR)),
            Copied::Done(verdict) => Some(verdict),
        });
    }
    let written = match copies.is_empty() {
        true => Vec::new(),
        false => boxes.deliver_body(body, Parts { sender, copies, together }).await,
    };
    merged(done, written, together)
}

/// Puts verdicts in the places of those that are missing. What an rc file has filed stays filed, but where there is one
/// outcome for all, a failure is that of all.
fn merged(
    done: Vec<Option<Result<Kept, Refusal>>>,
    further: Vec<Result<Kept, Refusal>>,
    together: bool,
) -> Vec<Result<Kept, Refusal>> {
    let why = further.iter().find_map(|verdict| verdict.as_ref().err().cloned());
    if let Some(why) = why.filter(|_| together) {
        return refused(done.len(), &why);
    }
    let mut further = further.into_iter();
    let mut next = || further.next().unwrap_or(Err(Refusal::LOCAL_ERROR));
    done.into_iter().map(|verdict| verdict.unwrap_or_else(&mut next)).collect()
}

/// Writes the copies for Maildirs, and has the rc files file the others. Blocks.
fn copy(store: &MailStore, rules: &Rules, text: &Text, parts: &Parts) -> Vec<Copied> {
    let Parts { sender, copies, together } = parts;
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

/// What copies for Maildirs are made from.
enum Original {
    Whole(Vec<u8>),
    Written(Staged),
    /// There are no Maildirs.
    None,
}

impl Text {
    fn new(message: Message) -> Result<Self, Error> {
        let (begun, rest) = match message {
            Message::Whole(body) => {
                return Ok(Self { body: LineEndings::ToLf.apply(&body), original: Original::Whole(body) });
            }
            Message::Begun(begun, rest) => (begun, rest),
        };
        let mut draft = begun.resume();
        draft.append(&rest)?;
        match draft {
            Draft::Maildir(delivery) => {
                let staged = delivery.stage()?;
                let body = LineEndings::ToLf.apply(&staged.read_body()?);
                Ok(Self { body, original: Original::Written(staged) })
            }
            Draft::Spool(spool) => Ok(Self { body: spool.finish()?.read()?, original: Original::None }),
        }
    }

    fn stage(&self, store: &MailStore, copy: &Copy) -> Copied {
        let MailStore::Maildirs(maildirs) = store else { return Copied::Waiting(copy.clone()) };
        let one = std::slice::from_ref(copy);
        let staged = match &self.original {
            Original::Whole(body) => maildirs.stage_whole(body, one, false),
            Original::Written(staged) => maildirs.duplicate(staged, one),
            Original::None => Vec::new(),
        };
        match staged.into_iter().next() {
            Some(Ok(staged)) => Copied::Staged(staged),
            Some(Err(error)) => Copied::Done(Err(refusal(&error))),
            None => Copied::Done(Err(Refusal::LOCAL_ERROR)),
        }
    }
}
