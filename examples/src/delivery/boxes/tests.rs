use std::path::Path;

use maildrop::{Fault, FaultPlan, Operation};

use super::super::Way;
use super::*;

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nFrom a\r\n>From b\r\n>>From c\r\n";

fn copy(user: &str) -> Copy {
    Copy {
        user: UserName::parse(user).unwrap(),
        way: Way::Inbox,
        prefix: format!("Delivered-To: {user}\r\n").into_bytes(),
    }
}

async fn deliver(boxes: &Boxes, users: &[&str], together: bool) -> Vec<Result<Kept, Refusal>> {
    let copies = users.iter().map(|user| copy(user)).collect();
    let parts = Parts { sender: "s@x.test".into(), copies, together };
    boxes.deliver(Message::Whole(MESSAGE.to_vec()), parts).await
}

fn mbox(root: &Path, faults: Option<FaultPlan>) -> Boxes {
    let faults = faults.map(|plan| Arc::new(plan) as _);
    Boxes::mbox(root.to_owned(), Duration::from_millis(300), faults, true)
}

fn mh(root: &Path, faults: Option<FaultPlan>) -> Boxes {
    Boxes::mh(root.to_owned(), faults.map(|plan| Arc::new(plan) as _), true)
}

/// What lies in the inbox of a user: the mbox, or the number of messages in the MH folder.
fn in_mbox(root: &Path, user: &str) -> String {
    std::fs::read_to_string(root.join(user).join("mbox")).unwrap_or_default()
}

fn in_mh(root: &Path, user: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root.join(user).join("Mail/inbox")) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_mbox_gets_a_from_line_quotes_and_an_empty_line_at_the_end() {
    let root = tempfile::tempdir().unwrap();
    let boxes = mbox(root.path(), None);
    for verdict in deliver(&boxes, &["a", "b"], true).await {
        let Ok(Kept::Stored { path, message }) = verdict else { panic!("{verdict:?}") };
        assert!(path.ends_with("mbox"), "{path:?}");
        assert!(message.unwrap().ends_with(b"\nSubject: x\n\nFrom a\n>From b\n>>From c\n"));
    }
    for user in ["a", "b"] {
        let text = in_mbox(root.path(), user);
        let (line, rest) = text.split_once('\n').unwrap();
        assert!(line.starts_with("From s@x.test  "), "{line}");
        assert_eq!(rest, format!("Delivered-To: {user}\nSubject: x\n\n>From a\n>>From b\n>>>From c\n\n"));
    }
}

#[tokio::test]
async fn a_session_knows_when_a_message_arrived_whatever_the_zone() {
    use maildrop::store::{Access, Mailbox as _, Store as _};

    let root = tempfile::tempdir().unwrap();
    let boxes = mbox(root.path(), None);
    let before = SystemTime::now() - Duration::from_secs(1);
    assert!(deliver(&boxes, &["a"], true).await[0].is_ok());
    let user = UserName::parse("a").unwrap();
    let mailbox = boxes.reading().open(&user, &Folder::Inbox, Access::ReadOnly).await.unwrap();
    let arrived = mailbox.message(0).arrived.unwrap();
    assert!((before..=SystemTime::now()).contains(&arrived), "{arrived:?}");
}

#[tokio::test]
async fn a_user_who_gets_two_copies_gets_both() {
    let root = tempfile::tempdir().unwrap();
    for together in [true, false] {
        let boxes = mbox(&root.path().join(together.to_string()), None);
        let verdicts = deliver(&boxes, &["a", "b", "a"], together).await;
        assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
        let text = in_mbox(&root.path().join(together.to_string()), "a");
        assert_eq!(text.matches("Delivered-To: a\n").count(), 2);
        let boxes = mh(&root.path().join(together.to_string()), None);
        let verdicts = deliver(&boxes, &["a", "b", "a"], together).await;
        assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
        assert_eq!(in_mh(&root.path().join(together.to_string()), "a"), ["1", "2"]);
    }
}

#[tokio::test]
async fn an_mbox_that_another_program_has_locked_keeps_the_message_out_of_all_or_of_that_one() {
    for (together, expected) in [(true, [0, 0, 0]), (false, [1, 0, 1])] {
        let root = tempfile::tempdir().unwrap();
        let boxes = mbox(root.path(), None);
        std::fs::create_dir(root.path().join("b")).unwrap();
        let lock = root.path().join("b/mbox.lock");
        std::fs::write(&lock, "0").unwrap();
        let verdicts = deliver(&boxes, &["a", "b", "c"], together).await;
        let refused: Vec<&Refusal> = verdicts.iter().filter_map(|verdict| verdict.as_ref().err()).collect();
        assert!(refused.iter().all(|refusal| **refusal == super::super::LOCKED), "{refused:?}");
        let found = ["a", "b", "c"].map(|user| in_mbox(root.path(), user).matches("Subject: x\n").count());
        assert_eq!(found, expected);
        assert_eq!(refused.len(), if together { 3 } else { 1 });
        // Later it is delivered.
        std::fs::remove_file(lock).unwrap();
        assert!(deliver(&boxes, &["b"], together).await[0].is_ok());
        assert_eq!(in_mbox(root.path(), "b").matches("Subject: x\n").count(), 1);
        assert_eq!(std::fs::read_dir(root.path().join("b")).unwrap().count(), 1, "and no lock stays");
    }
}

#[tokio::test]
async fn a_disk_that_fails_for_one_keeps_the_message_out_of_all_mh_folders_where_that_is_asked_for() {
    for operation in [Operation::Write, Operation::SyncFile, Operation::SyncDirectory] {
        for (together, expected) in [(true, [0, 0, 0]), (false, [1, 0, 1])] {
            let root = tempfile::tempdir().unwrap();
            let plan = FaultPlan::new().nth(operation, 2, Fault::no_space());
            let verdicts = deliver(&mh(root.path(), Some(plan)), &["a", "b", "c"], together).await;
            let refused = verdicts.iter().filter_map(|verdict| verdict.as_ref().err());
            let refused: Vec<_> = refused.collect();
            assert!(refused.iter().all(|refusal| **refusal == Refusal::INSUFFICIENT_STORAGE), "{refused:?}");
            assert_eq!(refused.len(), if together { 3 } else { 1 });
            let found = ["a", "b", "c"].map(|user| in_mh(root.path(), user).len());
            assert_eq!(found, expected, "{operation}");
        }
    }
}

/// Puts a link in place of a folder in the moment in which the disk fails.
#[derive(Debug)]
struct Swap {
    plan: FaultPlan,
    folder: PathBuf,
    moved: PathBuf,
    link_to: PathBuf,
}

impl Faults for Swap {
    fn inject(&self, operation: Operation) -> Fault {
        let fault = self.plan.inject(operation);
        if fault != Fault::None {
            std::fs::rename(&self.folder, &self.moved).unwrap();
            std::os::unix::fs::symlink(&self.link_to, &self.folder).unwrap();
        }
        fault
    }
}

#[tokio::test]
async fn a_copy_is_taken_back_from_the_folder_that_it_was_delivered_to() {
    let root = tempfile::tempdir().unwrap();
    assert!(deliver(&mh(root.path(), None), &["victim"], true).await[0].is_ok());
    let mail = root.path().join("mallory/Mail");
    let faults = Arc::new(Swap {
        plan: FaultPlan::new().nth(Operation::SyncDirectory, 2, Fault::no_space()),
        folder: mail.join("inbox"),
        moved: mail.join("moved"),
        link_to: root.path().join("victim/Mail/inbox"),
    });
    let boxes = Boxes::mh(root.path().to_owned(), Some(faults), false);
    let verdicts = deliver(&boxes, &["mallory", "other"], true).await;
    assert!(verdicts.iter().all(Result::is_err), "{verdicts:?}");
    assert_eq!(in_mh(root.path(), "victim"), ["1"], "what is another's stays");
    assert_eq!(std::fs::read_dir(mail.join("moved")).unwrap().count(), 0);
    assert_eq!(in_mh(root.path(), "other").len(), 0);
}

#[tokio::test]
async fn a_disk_that_is_full_leaves_nothing_in_any_mbox() {
    for operation in [Operation::Open, Operation::Write] {
        for (together, expected) in [(true, [0, 0, 0]), (false, [1, 0, 1])] {
            let root = tempfile::tempdir().unwrap();
            // An mbox takes a guard and the message, which are two writes.
            let plan = FaultPlan::new().nth(
                operation,
                if operation == Operation::Write { 3 } else { 2 },
                Fault::no_space(),
            );
            let verdicts = deliver(&mbox(root.path(), Some(plan)), &["a", "b", "c"], together).await;
            let refused = verdicts.iter().filter_map(|verdict| verdict.as_ref().err()).count();
            assert_eq!(refused, if together { 3 } else { 1 }, "{operation}");
            let found =
                ["a", "b", "c"].map(|user| in_mbox(root.path(), user).matches("Subject: x\n").count());
            assert_eq!(found, expected, "{operation}");
            assert!(
                ["a", "b", "c"]
                    .iter()
                    .zip(found)
                    .all(|(user, count)| count > 0 || in_mbox(root.path(), user).is_empty())
            );
        }
    }
}

#[tokio::test]
async fn many_messages_for_the_same_users_at_a_time_do_not_wait_for_each_others_locks() {
    let root = tempfile::tempdir().unwrap();
    let boxes = mbox(root.path(), None);
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let boxes = boxes.clone();
            let users = if n % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
            tokio::spawn(async move { deliver(&boxes, &users, n % 3 == 0).await })
        })
        .collect();
    for task in tasks {
        let verdicts = task.await.unwrap();
        assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
    }
    for user in ["a", "b"] {
        assert_eq!(in_mbox(root.path(), user).matches("\nSubject: x\n").count(), 40);
    }
}

#[tokio::test]
async fn a_locked_mbox_keeps_no_mail_of_others_waiting() {
    let root = tempfile::tempdir().unwrap();
    let boxes = Boxes::mbox(root.path().to_owned(), Duration::from_secs(2), None, false);
    let users: Vec<String> = (0..10).map(|n| format!("z{n}")).collect();
    for user in &users {
        std::fs::create_dir(root.path().join(user)).unwrap();
        std::fs::write(root.path().join(user).join("mbox.lock"), "0").unwrap();
    }
    let mut waiting = tokio::task::JoinSet::new();
    for user in users.clone() {
        let boxes = boxes.clone();
        waiting.spawn(async move { deliver(&boxes, &["a", &user], true).await });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    assert!(deliver(&boxes, &["a"], true).await[0].is_ok());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    std::fs::remove_file(root.path().join("z0/mbox.lock")).unwrap();
    let mut delivered = 0;
    while let Some(verdicts) = waiting.join_next().await {
        delivered += usize::from(verdicts.unwrap().iter().all(Result::is_ok));
    }
    assert_eq!(delivered, 1, "only the one whose lock was given up");
    assert_eq!(in_mbox(root.path(), "a").matches("Subject: x\n").count(), 2);
}

#[tokio::test]
async fn lock_files_that_are_old_keep_no_mail_waiting() {
    let root = tempfile::tempdir().unwrap();
    let boxes = Boxes::mbox(root.path().to_owned(), Duration::from_secs(5), None, false);
    let users: Vec<String> = (0..WRITERS).map(|n| format!("z{n}")).collect();
    for user in &users {
        std::fs::create_dir(root.path().join(user)).unwrap();
        let lock = std::fs::File::create(root.path().join(user).join("mbox.lock")).unwrap();
        lock.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }
    let began = Instant::now();
    let mut waiting = tokio::task::JoinSet::new();
    for user in users.clone() {
        let boxes = boxes.clone();
        // The first copy is waited for by none, the second a while.
        waiting.spawn(async move { deliver(&boxes, &[&user, &user], true).await });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(deliver(&boxes, &["a"], true).await[0].is_ok());
    while let Some(verdicts) = waiting.join_next().await {
        assert!(verdicts.unwrap().iter().all(Result::is_ok));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test]
async fn only_some_wait_for_a_mbox_and_none_soon_after_one_waited_in_vain() {
    let root = tempfile::tempdir().unwrap();
    let patience = Duration::from_secs(2);
    let boxes = Boxes::mbox(root.path().to_owned(), patience, None, false);
    std::fs::create_dir(root.path().join("z")).unwrap();
    let lock = root.path().join("z/mbox.lock");
    std::fs::write(&lock, "0").unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let boxes = boxes.clone();
        waiting.spawn(async move {
            let began = Instant::now();
            (deliver(&boxes, &["z"], false).await[0].is_err(), began.elapsed() >= Duration::from_secs(1))
        });
    }
    let outcomes = waiting.join_all().await;
    assert!(outcomes.iter().all(|&(refused, _)| refused));
    assert_eq!(outcomes.iter().filter(|&&(_, waited)| waited).count(), 8);
    let began = Instant::now();
    assert_eq!(deliver(&boxes, &["z"], true).await[0].as_ref().unwrap_err(), &super::super::LOCKED);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    std::fs::remove_file(&lock).unwrap();
    assert!(deliver(&boxes, &["z"], true).await[0].is_ok(), "what is free is written to at any time");
}
