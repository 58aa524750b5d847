use super::*;
use crate::fault::FaultPlan;
use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

fn plain() -> Naming {
    Naming::Inode { prefix: b"msg.".to_vec() }
}

fn names(dir: &Path) -> BTreeSet<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn deliver(folder: &MessageDir, message: &[u8]) -> Result<PathBuf, Error> {
    let mut delivery = folder.deliver()?;
    for chunk in message.chunks(1000) {
        delivery.append(chunk)?;
    }
    assert_eq!(delivery.size(), message.len() as u64);
    delivery.commit().map(|filed| filed.path().to_owned())
}

#[test]
fn numbers_go_on_from_the_largest() {
    let dir = tempfile::tempdir().unwrap();
    let folder = MessageDir::create(dir.path().join("mh"), Naming::Number).unwrap();
    assert_eq!(folder.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(deliver(&folder, b"one").unwrap().ends_with("mh/1"));
    for name in ["7", "12a", ",99", "03", ".mh_sequences"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let path = deliver(&folder, b"eight").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"eight");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(path.ends_with("mh/8"));
    assert_eq!(names(folder.path()).len(), 7);
}

#[test]
fn plain_names_are_prefix_and_inode() {
    let dir = tempfile::tempdir().unwrap();
    let folder = MessageDir::open(dir.path(), plain()).unwrap().mode(0o640);
    let path = deliver(&folder, &vec![b'x'; 100_000]).unwrap();
    let metadata = path.metadata().unwrap();
    assert_eq!((metadata.len(), metadata.nlink()), (100_000, 1));
    assert_eq!(metadata.permissions().mode() & 0o777 & !0o640, 0);
    let name = name::path(name::from_inode(b"msg.", metadata.ino(), 0));
    assert_eq!(path, dir.path().join(name));
    // A name that is taken makes way.
    assert!(folder.link(&path).unwrap().to_str().unwrap().ends_with(".1"));
}

#[test]
fn many_threads_never_get_the_same_number() {
    let dir = tempfile::tempdir().unwrap();
    let folder = MessageDir::open(dir.path(), Naming::Number).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let folder = &folder;
            scope.spawn(move || {
                for number in 0..10 {
                    deliver(folder, format!("{thread} {number}").as_bytes()).unwrap();
                }
            });
        }
    });
    assert_eq!(names(dir.path()), (1..=80).map(|number: u32| number.to_string()).collect());
    let contents: BTreeSet<Vec<u8>> =
        (1..=80).map(|number: u32| std::fs::read(dir.path().join(number.to_string())).unwrap()).collect();
    assert_eq!(contents.len(), 80);
}

#[test]
fn a_failing_step_leaves_nothing() {
    use Operation::{CreateFile, Link, SyncDirectory, SyncFile, Write};
    for naming in [Naming::Number, plain()] {
        for (operation, nth) in
            [(CreateFile, 1), (Write, 1), (Write, 2), (SyncFile, 1), (Link, 1), (SyncDirectory, 1)]
        {
            let dir = tempfile::tempdir().unwrap();
            let plan = FaultPlan::new().nth(operation, nth, Fault::no_space());
            let folder = MessageDir::open(dir.path(), naming.clone()).unwrap().with_faults(Arc::new(plan));
            let error = deliver(&folder, &[b'x'; 30_000]).unwrap_err();
            assert!(error.is_storage_full(), "{operation:?}");
            assert_eq!(names(dir.path()).len(), 0, "{operation:?}");
            deliver(&folder, &[b'x'; 30_000]).unwrap();
            assert_eq!(names(dir.path()).len(), 1);
        }
    }
}

#[test]
fn a_delivery_that_failed_or_was_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plan = FaultPlan::new().nth(Operation::Write, 1, Fault::no_space());
    let folder = MessageDir::open(dir.path(), plain()).unwrap().with_faults(Arc::new(plan));
    let mut delivery = folder.deliver().unwrap();
    assert!(delivery.append(&[b'x'; 30_000]).is_err());
    assert!(matches!(delivery.append(b"x"), Err(Error::Incomplete { .. })));
    assert!(matches!(delivery.commit(), Err(Error::Incomplete { .. })));
    drop(folder.deliver().unwrap());
    assert_eq!(names(dir.path()).len(), 0);
}

#[test]
fn one_message_stands_in_several_folders() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str, naming| MessageDir::create(dir.path().join(name), naming).unwrap();
    let (a, b, c) = (folder("a", Naming::Number), folder("b", Naming::Number), folder("c", plain()));
    let path = deliver(&a, b"message").unwrap();
    for other in [b.link(&path).unwrap(), c.link(&path).unwrap()] {
        assert_eq!(other.metadata().unwrap().ino(), path.metadata().unwrap().ino());
    }
    assert_eq!(path.metadata().unwrap().nlink(), 3);
    assert!(b.link(&dir.path().join("none")).unwrap_err().is_not_found());

    let plan = FaultPlan::new().nth(Operation::SyncDirectory, 1, Fault::io_error());
    assert!(b.clone().with_faults(Arc::new(plan)).link(&path).is_err());
    assert_eq!(names(b.path()).len(), 1);
}

#[test]
fn where_no_link_can_be_made_the_message_is_copied() {
    for errno in [Errno::XDEV, Errno::MLINK] {
        let dir = tempfile::tempdir().unwrap();
        let folder = MessageDir::open(dir.path(), Naming::Number).unwrap();
        let path = deliver(&folder, &[b'x'; 50_000]).unwrap();
        let plan = FaultPlan::new().nth(Operation::Link, 1, Fault::Fail(errno.raw_os_error()));
        let copy = folder.with_faults(Arc::new(plan)).link(&path).unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), [b'x'; 50_000]);
        assert_eq!(copy.metadata().unwrap().nlink(), 1);
    }
}

#[test]
fn no_prefix_leads_out_of_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    for prefix in ["../m", "/m", "a/b", "/"] {
        let naming = Naming::Inode { prefix: prefix.into() };
        let error = MessageDir::create(dir.path().join("plain"), naming).unwrap_err();
        assert!(error.to_string().contains("found a `/` in it"), "{error}");
    }
}
