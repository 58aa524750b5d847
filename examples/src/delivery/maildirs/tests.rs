use std::time::SystemTime;

use maildrop::{Fault, FaultPlan, Operation};

use super::super::Way;
use super::*;

fn copy(user: &str) -> Copy {
    Copy {
        user: UserName::parse(user).unwrap(),
        way: Way::Inbox,
        prefix: format!("Delivered-To: {user}\r\n").into_bytes(),
    }
}

fn files(root: &Path, user: &str) -> Vec<String> {
    let new = root.join(user).join("Maildir/new");
    let Ok(entries) = std::fs::read_dir(new) else { return Vec::new() };
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

#[tokio::test]
async fn each_recipient_gets_a_copy_with_its_own_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let store = Maildirs::new(folder.path(), LineEndings::ToLf, None).unwrap();
    let outcome = store.deliver(b"\r\nhi\r\n".to_vec(), vec![copy("a"), copy("b")], true).await.unwrap();
    assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
    assert_eq!(files(folder.path(), "a"), ["Delivered-To: a\n\nhi\n"]);
    assert_eq!(files(folder.path(), "b"), ["Delivered-To: b\n\nhi\n"]);
}

#[tokio::test]
async fn a_message_that_cannot_reach_one_reaches_none_where_that_is_asked_for() {
    for together in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let plan = FaultPlan::new().nth(Operation::CreateFile, 2, Fault::no_space());
        let store = Maildirs::new(folder.path(), LineEndings::ToLf, Some(Arc::new(plan))).unwrap();
        let copies = vec![copy("a"), copy("b"), copy("c")];
        let outcome = store.deliver(b"\r\nhi\r\n".to_vec(), copies, together).await.unwrap();
        assert!(outcome.iter().flat_map(|copy| copy.as_ref().err()).all(Error::is_storage_full));
        let delivered = ["a", "b", "c"].map(|user| files(folder.path(), user).len());
        assert_eq!(delivered, if together { [0, 0, 0] } else { [1, 0, 1] });
    }
}

#[tokio::test]
async fn what_a_crash_left_long_ago_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = || Maildirs::new(folder.path(), LineEndings::ToLf, None).unwrap();
    assert!(store().deliver(b"\r\nhi\r\n".to_vec(), vec![copy("a")], true).await.unwrap()[0].is_ok());
    let tmp = folder.path().join("a/Maildir/tmp");
    for (name, age) in [("old", 2 * STALE_AFTER), ("recent", STALE_AFTER / 2)] {
        let file = std::fs::File::create(tmp.join(name)).unwrap();
        let time = SystemTime::now() - age;
        file.set_times(std::fs::FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
    }
    store().clean_tmp();
    let left: Vec<_> = std::fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["recent"]);
}

#[derive(Debug, Default)]
struct PanicOnce(std::sync::atomic::AtomicBool);

impl Faults for PanicOnce {
    fn inject(&self, _: Operation) -> Fault {
        assert!(self.0.swap(true, std::sync::atomic::Ordering::Relaxed), "a bug");
        Fault::None
    }
}

#[tokio::test]
async fn a_bug_costs_the_messages_at_hand_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Arc::new(PanicOnce::default());
    let store = Maildirs::new(folder.path(), LineEndings::ToLf, Some(faults)).unwrap();
    assert!(store.deliver(b"\r\none\r\n".to_vec(), vec![copy("a")], true).await.is_none());
    assert!(store.deliver(b"\r\ntwo\r\n".to_vec(), vec![copy("a")], true).await.unwrap()[0].is_ok());
    assert_eq!(files(folder.path(), "a"), ["Delivered-To: a\n\ntwo\n"]);
}

#[tokio::test]
async fn a_maildir_that_was_removed_moved_away_or_robbed_is_made_again() {
    type Harm = fn(&Path);
    let harms: [Harm; 3] = [
        |root| std::fs::remove_dir_all(root.join("a")).unwrap(),
        |root| {
            let others = std::fs::read_dir(root).unwrap().count();
            std::fs::rename(root.join("a"), root.join(format!("old{others}"))).unwrap();
        },
        |root| std::fs::remove_dir_all(root.join("a/Maildir/new")).unwrap(),
    ];
    for harm in harms {
        let folder = tempfile::tempdir().unwrap();
        let store = Maildirs::new(folder.path(), LineEndings::ToLf, None).unwrap();
        for _ in 0..2 {
            let outcome = store.deliver(b"\r\nhi\r\n".to_vec(), vec![copy("a")], true).await.unwrap();
            assert!(outcome[0].is_ok(), "{outcome:?}");
            assert_eq!(files(folder.path(), "a").len(), 1);
            harm(folder.path());
        }
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let (hook, gate) = Gate::new();
    let store = Maildirs::new(folder.path(), LineEndings::ToLf, Some(hook)).unwrap();
    let deliver = |text: &'static [u8]| store.deliver(text.to_vec(), vec![copy("a")], true);
    let mut first = Box::pin(deliver(b"\r\none\r\n"));
    // The committer has begun with the first, and stands still in it.
    tokio::select! {
        biased;
        _ = &mut first => panic!("the disk stands still"),
        () = gate.reached() => {}
    }
    let mut given_up = Box::pin(deliver(b"\r\ntwo\r\n"));
    assert!(futures_poll_once(&mut given_up).await.is_none());
    drop(given_up);
    let mut third = Box::pin(deliver(b"\r\nthree\r\n"));
    assert!(futures_poll_once(&mut third).await.is_none());
    gate.open();
    assert!(first.await.unwrap()[0].is_ok());
    assert!(third.await.unwrap()[0].is_ok());
    let mut found = files(folder.path(), "a");
    found.sort();
    assert_eq!(found, ["Delivered-To: a\n\none\n", "Delivered-To: a\n\nthree\n"]);
}

/// A disk that stands still at its first step until it is let go.
#[derive(Debug)]
struct Gate {
    reached: tokio::sync::Notify,
    opened: (Mutex<bool>, std::sync::Condvar),
}

impl Gate {
    fn new() -> (Arc<dyn Faults>, Arc<Self>) {
        let gate = Arc::new(Self { reached: tokio::sync::Notify::new(), opened: Default::default() });
        (Arc::clone(&gate) as _, gate)
    }

    async fn reached(&self) {
        self.reached.notified().await;
    }

    fn open(&self) {
        *self.opened.0.lock().unwrap() = true;
        self.opened.1.notify_all();
    }
}

impl Faults for Gate {
    fn inject(&self, _: Operation) -> Fault {
        self.reached.notify_one();
        drop(self.opened.1.wait_while(self.opened.0.lock().unwrap(), |open| !*open).unwrap());
        Fault::None
    }
}

async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn many_sessions_at_a_time_each_get_their_own_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let store = Maildirs::new(folder.path(), LineEndings::ToLf, None).unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let store = store.clone();
            let user = format!("user{}", n % 7);
            tokio::spawn(async move {
                let body = format!("\r\nmessage {n}\r\n").into_bytes();
                let outcome = store.deliver(body, vec![copy(&user)], true).await.unwrap();
                let path = outcome[0].as_ref().unwrap().path();
                assert!(std::fs::read_to_string(path).unwrap().ends_with(&format!("\nmessage {n}\n")));
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
