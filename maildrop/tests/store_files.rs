//! What becomes of the files of stores, which other programs know as well.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail where it stands")]

mod store_bench;

use std::path::Path;
use std::time::UNIX_EPOCH;

use maildrop::store::{Access, AnyStore, Mailbox, StoreFormat, ready};
use maildrop::{DeliveryOptions, Error, FromLine};
use store_bench::{Bench, files, ids, message, numbered, removing, subjects, text};

#[test]
fn a_delivery_tells_the_size_on_the_wire_only_if_it_ends_with_a_line() {
    let bench = Bench::with(StoreFormat::Maildir, &["Subject: 1\n\nbody", "Subject: 1\n\nbody\n", ""]);
    let AnyStore::Maildir(store) = &bench.store else { unreachable!() };
    let maildir = store.root().open(&bench.alice).unwrap();
    let names = files(&maildir.path().join("new"));
    let with_size = names.iter().filter(|path| path.to_string_lossy().contains(",W=")).count();
    assert_eq!((names.len(), with_size), (3, 2));
    for (body, told) in [("x", false), ("x\r\n", true), ("", true)] {
        let mut delivery = maildir.deliver(&DeliveryOptions::new().prefix(b"A: b")).unwrap();
        delivery.append(body.as_bytes()).unwrap();
        let staged = delivery.stage().unwrap();
        let copy = staged.duplicate(&maildir, b"C: d").unwrap().commit().unwrap();
        assert_eq!(copy.name().crlf_size().is_some(), told, "{body:?}");
        assert_eq!(staged.commit().unwrap().name().crlf_size().is_some(), told, "{body:?}");
    }
}

#[test]
fn files_with_crlf_are_served_as_they_are() {
    let crlf = message("crlf").replace('\n', "\r\n");
    for format in [StoreFormat::Maildir, StoreFormat::Mbox, StoreFormat::Mh] {
        let bench = Bench::with(format, &[&message("lf")]);
        let home = bench.root.join("alice");
        match format {
            StoreFormat::Maildir => {
                std::fs::write(home.join("Maildir/cur/9999999999.x.y:2,"), &crlf).unwrap()
            }
            StoreFormat::Mh => std::fs::write(home.join("Mail/inbox/2"), &crlf).unwrap(),
            _ => {
                let path = home.join("mbox");
                let mbox = std::fs::read_to_string(&path).unwrap();
                let from = "From bob Tue Jan  2 03:04:05 2001\r\n";
                std::fs::write(&path, format!("{mbox}{from}{crlf}\r\n")).unwrap();
            }
        }
        let mut mailbox = bench.open();
        assert_eq!(text(&mut mailbox, 1).unwrap(), crlf, "{format}");
        assert_eq!(ready(mailbox.octets(1)).unwrap(), crlf.len() as u64, "{format}");
    }
}

#[test]
fn messages_of_a_maildir_are_found_whatever_a_reader_calls_them_meanwhile() {
    let bench = Bench::new(StoreFormat::Maildir);
    numbered(&bench, 30);
    let maildir = bench.root.join("alice/Maildir");
    let rename = |flags: &str| {
        for path in files(&maildir).into_iter().filter(|path| path.to_string_lossy().contains(",S=")) {
            let name = path.file_name().unwrap().to_string_lossy();
            let base = name.split(':').next().unwrap();
            std::fs::rename(&path, maildir.join("cur").join(format!("{base}:2,{flags}"))).unwrap();
        }
    };
    let mut session = bench.open();
    let before = ids(&mut session);
    let all: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    for flags in ["", "S", "FS", "T"] {
        rename(flags);
        assert_eq!(subjects(&mut session), all, "{flags}");
    }
    assert_eq!(ids(&mut session), before);
    rename("R");
    ready(session.commit(&removing(&(1..30).collect::<Vec<_>>()))).unwrap();
    assert_eq!(bench.subjects(), ["0"]);
    assert_eq!(ids(&mut bench.open()), before[..1]);
}

#[test]
fn removed_messages_no_longer_count_towards_the_quota() {
    let bench = Bench::new(StoreFormat::Maildir);
    numbered(&bench, 3);
    let AnyStore::Maildir(store) = &bench.store else { unreachable!() };
    let maildir = store.root().open(&bench.alice).unwrap();
    // Neither does one whose name tells no size.
    std::fs::write(maildir.path().join("new/9999999999.x.y"), message("x")).unwrap();
    maildir.set_quota(Some("1000000S,100C".parse().unwrap())).unwrap();
    ready(bench.open().commit(&removing(&[0, 3]))).unwrap();
    let usage = maildir.quota().unwrap().unwrap().usage;
    assert_eq!((usage.messages, usage.bytes), (2, 2 * message("1").len() as u64));
}

#[test]
fn messages_of_an_mh_folder_are_found_when_it_is_packed_and_numbers_are_no_names() {
    let bench = Bench::new(StoreFormat::Mh);
    numbered(&bench, 4);
    let inbox = bench.root.join("alice/Mail/inbox");
    for name in ["0", "007", "x", ",9", "10.txt"] {
        std::fs::write(inbox.join(name), "no message").unwrap();
    }
    std::fs::create_dir(inbox.join("12")).unwrap();
    let mut session = bench.open();
    let before = ids(&mut session);
    assert_eq!(subjects(&mut session), ["0", "1", "2", "3"]);
    std::fs::remove_file(inbox.join("1")).unwrap();
    for number in 2..5 {
        std::fs::rename(inbox.join(number.to_string()), inbox.join((number - 1).to_string())).unwrap();
    }
    assert_eq!(subjects(&mut session), ["gone", "1", "2", "3"]);
    assert_eq!(ids(&mut session), before);
    bench.deliver(&message("new"));
    ready(session.commit(&removing(&[0, 3]))).unwrap();
    assert_eq!(bench.subjects(), ["1", "2", "new"]);
}

#[test]
fn an_mbox_keeps_its_place_mode_and_times_when_messages_go() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let (link, real) = (dir.path().join("link"), dir.path().join("deep/real"));
    std::fs::create_dir(dir.path().join("deep")).unwrap();
    symlink("deep/real", &link).unwrap();
    let mbox = maildrop::Mbox::new(&link);
    for number in 0..3 {
        let line = FromLine::new(b"bob", UNIX_EPOCH, 0);
        mbox.append(&[line.as_bytes(), message(&number.to_string()).as_bytes()].concat()).unwrap();
    }
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
    let before = real.metadata().unwrap();
    ready(mbox.mailbox(Access::Exclusive).unwrap().commit(&removing(&[0]))).unwrap();
    assert!(link.is_symlink());
    let after = real.metadata().unwrap();
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    let content = std::fs::read_to_string(&real).unwrap();
    assert!(content.contains("Subject: 1") && !content.contains("Subject: 0"));
    let names =
        |dir: &Path| files(dir).into_iter().map(|p| p.file_name().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&dir.path().join("deep")).len(), 2);
}

#[test]
fn what_is_no_mbox_is_said_to_be_none_and_is_left_alone() {
    let bench = Bench::with(StoreFormat::Mbox, &[&message("a")]);
    let path = bench.root.join("alice/mbox");
    std::fs::write(&path, "Subject: no mbox\n\n").unwrap();
    let error = bench.try_open(Access::Exclusive).unwrap_err();
    assert!(matches!(error, Error::NotAnMbox { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Subject: no mbox\n\n");
}

#[test]
fn links_in_place_of_a_users_mail_are_not_followed() {
    use std::os::unix::fs::symlink;
    for format in [StoreFormat::Maildir, StoreFormat::Mbox, StoreFormat::Mh] {
        let victim = Bench::with(format, &[&message("secret")]);
        let bench = Bench::with(format, &[&message("a")]);
        let home = bench.root.join("alice");
        let name = match format {
            StoreFormat::Maildir => "Maildir",
            StoreFormat::Mbox => "mbox",
            _ => "Mail",
        };
        std::fs::rename(home.join(name), home.join("old")).unwrap();
        symlink(victim.root.join("alice").join(name), home.join(name)).unwrap();
        let error = bench.try_open(Access::Exclusive).unwrap_err();
        assert!(matches!(error, Error::Symlink { .. }), "{format}: {error}");
    }
}
