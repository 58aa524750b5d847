//! [`Ahead`]: the message that a client is likely to ask for next.
//!
//! Many clients ask for a message, wait for it, and then ask for the next; so either waits for the other all the time. Once
//! such a client has asked for two messages in order, the beginning of the third is read while it is busy with the second. That
//! is the read that it would be answered with anyway, as [`begin`] does it: one chunk, which is all of most messages. It
//! is done in place or not at all; errors, and what cannot be read in a moment, are left until the message is asked for. No
//! more than some sessions at a time have a message read ahead, so that thousands that are quiet take no memory for it.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use maildrop::store::{AnyMailbox, Mailbox};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};

use super::beginning::{Begun, begin};
use super::maildrops::{Maildrops, Reader};

/// How long it is kept for a client that does not ask for it, with its buffers.
const KEPT: Duration = Duration::from_secs(1);

/// What a session reads ahead: one message at most.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The message that was asked for last.
    last: Option<usize>,
    /// The one that is to be read.
    next: Option<usize>,
    /// In a place of its own: most sessions are idle.
    read: Option<Box<Read>>,
    /// Set again only when it fires, so that a busy session does not touch the timer wheel.
    timer: Option<Pin<Box<Sleep>>>,
}

/// The beginning of a message.
#[derive(Debug)]
struct Read {
    index: usize,
    reader: Reader,
    begun: Begun,
    _place: OwnedSemaphorePermit,
}

impl Ahead {
    /// The client asks for a message. What was read of it is given, if it was.
    pub(super) fn asked(&mut self, index: usize, maildrops: &Maildrops) -> Option<(Reader, Begun)> {
        let in_order = self.last.is_some_and(|last| last + 1 == index);
        self.last = Some(index);
        self.next = in_order.then_some(index + 1);
        let read = *self.read.take()?;
        if read.index == index {
            return Some((read.reader, read.begun));
        }
        maildrops.put_back(read.reader);
        None
    }

    /// Reads what is to be read, and comes back when it has been kept long enough. To be called while there is nothing else to
    /// do, and may be dropped at any time.
    pub(super) async fn idle(
        &mut self,
        maildrops: &Maildrops,
        mailbox: Option<&mut AnyMailbox>,
        asks_utf8: bool,
    ) {
        if let Some((index, mailbox)) = self.next.take().zip(mailbox)
            && index < mailbox.len()
            && let Some(place) = maildrops.place_ahead()
        {
            let mut reader = maildrops.reader();
            let at_hand =
                || begin(&mut reader, asks_utf8, |reader| mailbox.read_at_hand(index, reader)).transpose();
            if let Some(Ok(begun)) = maildrops.pace.in_place(at_hand) {
                self.read = Some(Box::new(Read { index, reader, begun, _place: place }));
            }
        }
        if self.read.is_none() {
            return pending().await;
        }
        let until = Instant::now() + KEPT;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        loop {
            timer.as_mut().await;
            if Instant::now() >= until {
                break;
            }
            timer.as_mut().reset(until);
        }
        self.timer = None;
        if let Some(read) = self.read.take() {
            maildrops.put_back(read.reader);
        }
    }
}

#[cfg(test)]
mod tests {
    use maildrop::UserName;
    use maildrop::store::{Access, AnyStore, Folder, MessageReader, Store, StoreFormat, ready};
    use tempfile::TempDir;

    use super::*;
    use crate::config::Pop3Config;

    struct Session {
        folder: TempDir,
        maildrops: Maildrops,
        mailbox: AnyMailbox,
        ahead: Ahead,
    }

    impl Session {
        fn with(messages: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = AnyStore::new(StoreFormat::Maildir, folder.path());
            let user = UserName::parse("alice").unwrap();
            let open = || ready(store.open(&user, &Folder::Inbox, Access::ReadOnly)).unwrap();
            open();
            for index in 0..messages {
                std::fs::write(path(&folder, index), format!("Subject: {index}\n")).unwrap();
            }
            let mailbox = open();
            let maildrops = Maildrops::new(store, &Pop3Config::default());
            Self { folder, maildrops, mailbox, ahead: Ahead::default() }
        }

        /// What was read of the message.
        fn asked(&mut self, index: usize) -> Option<String> {
            let (mut reader, begun) = self.ahead.asked(index, &self.maildrops)?;
            let chunk = ready(reader.chunk()).unwrap();
            assert!(matches!(begun, Begun::Read(length) if length == chunk.len()), "{begun:?}");
            Some(String::from_utf8(chunk.to_vec()).unwrap())
        }

        /// Whether it has come back within the time.
        async fn idle(&mut self, time: Duration) -> bool {
            let idle = self.ahead.idle(&self.maildrops, Some(&mut self.mailbox), false);
            tokio::time::timeout(time, idle).await.is_ok()
        }
    }

    fn path(folder: &TempDir, index: usize) -> std::path::PathBuf {
        folder.path().join(format!("alice/Maildir/new/{index}.host"))
    }

    #[tokio::test(start_paused = true)]
    async fn the_third_of_three_in_order_lies_ready_and_the_one_behind_it() {
        let mut session = Session::with(4);
        let read = |index: usize| (index >= 2).then(|| format!("Subject: {index}\r\n"));
        for index in 0..4 {
            assert_eq!(session.asked(index), read(index));
            assert!(!session.idle(Duration::ZERO).await);
            if let Some(next) = read(index + 1).filter(|_| index < 3) {
                // It is in memory.
                std::fs::remove_file(path(&session.folder, index + 1)).unwrap();
                assert_eq!(session.ahead.read.as_ref().map(|read| read.index), Some(index + 1), "{next}");
            } else {
                assert!(session.ahead.read.is_none(), "behind {index}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_given_for_another_message_and_nothing_read_out_of_order() {
        let mut session = Session::with(9);
        for asked in [0, 1, 5, 3, 3, 2, 4] {
            assert_eq!(session.asked(asked), None);
            session.idle(Duration::ZERO).await;
            assert_eq!(session.ahead.read.is_some(), asked == 1, "{asked}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_asked_for_is_given_back_and_not_read_again() {
        let mut session = Session::with(4);
        assert_eq!([0, 1].map(|index| session.asked(index)), [None, None]);
        assert!(!session.idle(KEPT - Duration::from_millis(1)).await);
        assert!(session.ahead.read.is_some());
        assert!(session.idle(KEPT + Duration::from_millis(1)).await);
        assert!(session.ahead.read.is_none() && session.ahead.timer.is_none());
        assert!(!session.idle(10 * KEPT).await, "there is nothing to do");
        assert_eq!(session.asked(2), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_ahead_while_many_others_have_a_message() {
        let mut session = Session::with(5);
        let others: Vec<_> = std::iter::from_fn(|| session.maildrops.place_ahead()).collect();
        assert_eq!([0, 1].map(|index| session.asked(index)), [None, None]);
        assert!(!session.idle(10 * KEPT).await);
        drop(others);
        assert!(!session.idle(10 * KEPT).await, "it was the time then");
        assert_eq!(session.asked(2), None);
        assert!(session.idle(10 * KEPT).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_is_gone_is_left_to_the_time_when_it_is_asked_for() {
        let mut session = Session::with(3);
        std::fs::remove_file(path(&session.folder, 2)).unwrap();
        assert_eq!([0, 1].map(|index| session.asked(index)), [None, None]);
        assert!(!session.idle(10 * KEPT).await);
        assert_eq!(session.asked(2), None);
    }
}
