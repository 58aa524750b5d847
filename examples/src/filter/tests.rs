use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use procmail_engine::eval::Setup;
use procmail_engine::mail::Mail;
use tempfile::TempDir;

use super::*;

const MAIL: &[u8] = b"From a@b  Tue Jan  2 03:04:05 2001\nSubject: x\n\nbody\n";

struct Desk {
    home: TempDir,
    log: Arc<Mutex<Vec<u8>>>,
    host: Host,
}

impl Desk {
    fn new() -> Desk {
        let home = tempfile::tempdir().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let host =
            Host::new(home.path(), Stop::new().unwrap()).with_log(Log::Memory(Arc::clone(&log), 1 << 20));
        Desk { home, log, host }
    }

    fn map(self, change: impl FnOnce(Host) -> Host) -> Desk {
        Desk { host: change(self.host), ..self }
    }

    fn filter(&mut self, rc: &str) -> Finished {
        self.filter_mail(rc, MAIL)
    }

    fn filter_mail(&mut self, rc: &str, mail: &[u8]) -> Finished {
        fs::write(self.home.path().join("rc"), rc).unwrap();
        let mut setup = Setup::new()
            .variable("HOME", self.home.path().as_os_str().as_bytes())
            .variable("PATH", "/usr/bin:/bin")
            .variable("SHELL", "/bin/sh")
            .variable("DEFAULT", "inbox");
        setup.rc_files.push(b"rc".to_vec());
        setup.requeues = true;
        let finished = self.host.evaluate(Evaluator::new(setup, Mail::new(mail.to_vec())));
        self.host.wait();
        finished
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.home.path().join(name)).unwrap_or_default()).unwrap()
    }

    fn log(&self) -> String {
        String::from_utf8(self.log.lock().unwrap().clone()).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        self.home.path().join(name).metadata().unwrap().mode() & 0o7777
    }

    fn only_in(&self, name: &str) -> PathBuf {
        let mut files: Vec<_> = fs::read_dir(self.home.path().join(name)).unwrap().collect();
        assert_eq!(files.len(), 1, "{name}");
        files.pop().unwrap().unwrap().path()
    }
}

#[test]
fn each_kind_of_folder_gets_the_mail_and_links_are_one_file() {
    let mut desk = Desk::new();
    let finished = desk.filter(":0c\nbox\n:0\nMaildir/ mh/. plain\n");
    assert_eq!(finished, Finished { code: 0, fate: Fate::Delivered });
    assert_eq!(desk.read("box"), format!("{}\n", str::from_utf8(MAIL).unwrap()));
    let first = desk.only_in("Maildir/new");
    assert_eq!(fs::read(&first).unwrap(), b"Subject: x\n\nbody\n");
    for other in [desk.only_in("mh"), desk.only_in("plain")] {
        assert_eq!(other.metadata().unwrap().ino(), first.metadata().unwrap().ino());
    }
    assert!(desk.home.path().join("mh/1").exists());
}

#[test]
fn a_notice_names_the_place_where_the_mail_starts() {
    let mut desk = Desk::new().map(|host| host.with_programs(Programs::Refuse));
    fs::write(desk.home.path().join("box"), "From x\n\nother\n\n").unwrap();
    desk.filter("VERBOSE=yes\nCOMSAT=yes\n:0\nbox\n");
    assert!(desk.log().contains("@15:"), "{}", desk.log());
}

#[test]
fn files_have_the_mode_that_the_umask_leaves() {
    let mut desk = Desk::new();
    desk.filter("UMASK=022\n:0c\nbox\n:0c\nM/\n:0\nmh/.\n");
    assert_eq!((desk.mode("box"), desk.mode("M"), desk.mode("M/new")), (0o645, 0o755, 0o755));
    assert_eq!(desk.mode("mh/1"), 0o645);
    assert_eq!(desk.only_in("M/new").metadata().unwrap().mode() & 0o777, 0o645);
    fs::set_permissions(desk.home.path().join("box"), fs::Permissions::from_mode(0o604)).unwrap();
    desk.filter("UMASK=002\n:0\nbox\n");
    assert_eq!(desk.mode("box"), 0o604);
}

#[test]
fn programs_have_the_environment_directory_and_umask_of_the_rc_file() {
    let mut desk = Desk::new();
    fs::create_dir(desk.home.path().join("sub")).unwrap();
    let finished = desk
        .filter("UMASK=026\nMAILDIR=sub\nX=y\n:0w\n| umask >out; pwd >>out; env | sort >>out; cat >>out\n");
    assert_eq!(finished.code, 0);
    let out = desk.read("sub/out");
    let sub = desk.home.path().join("sub");
    assert!(out.starts_with(&format!("0026\n{}\n", sub.display())), "{out}");
    assert!(out.contains("\nX=y\n") && !out.contains("CARGO"), "{out}");
    assert!(out.ends_with("Subject: x\n\nbody\n\n"), "{out}");
}

#[test]
fn a_program_that_cannot_be_executed_is_read_by_the_shell() {
    for umask in ["077", "022"] {
        let mut desk = Desk::new().map(|host| host.with_inherited_umask(0o077));
        fs::write(desk.home.path().join("script"), "cat >out\n").unwrap();
        let finished = desk.filter(&format!("UMASK={umask}\n:0w\n| ./script\n"));
        assert_eq!(finished.fate, Fate::Delivered);
        assert!(desk.read("out").contains("body"));
        desk.filter(&format!("UMASK={umask}\n:0w\n| no-such-program\n"));
        assert!(
            desk.log().contains("Program failure (127) of \"no-such-program\"")
                || desk.log().contains("Program failure (2)"),
            "{}",
            desk.log()
        );
        assert!(desk.read("inbox").contains("body"));
    }
}

#[test]
fn large_mails_pass_through_filters_in_both_directions_at_once() {
    let mut desk = Desk::new();
    let mail = [MAIL, &b"0123456789abcde\n".repeat(100_000)].concat();
    let finished = desk.filter_mail(":0fw\n| cat\n:0\nbox\n", &mail);
    assert_eq!(finished.fate, Fate::Delivered);
    assert_eq!(desk.read("box").len(), mail.len() + 1);
    assert_eq!(desk.log(), "");
}

#[test]
fn a_program_that_does_not_read_everything_has_failed() {
    let mut desk = Desk::new();
    let mail = [MAIL, &b"0123456789abcde\n".repeat(100_000)].concat();
    desk.filter_mail(":0w\n| true\n:0\nbox\n", &mail);
    assert_eq!(desk.log(), "procmail: Error while writing to \"true\"\n");
    assert_eq!(desk.read("box").len(), mail.len() + 1);
}

#[test]
fn a_program_is_ended_when_its_time_is_up_even_if_it_does_not_listen() {
    let mut desk = Desk::new().map(|host| {
        let limits = Limits {
            time: Some(Duration::from_millis(50)),
            grace: Duration::from_millis(50),
            ..Limits::default()
        };
        host.with_programs(Programs::Run(limits))
    });
    let finished = desk.filter(":0w\n| trap '' TERM; while :; do sleep 1; done\n:0\nbox\n");
    assert_eq!(finished.fate, Fate::Delivered);
    assert!(desk.log().contains("Timeout, terminating"), "{}", desk.log());
    assert!(desk.read("box").contains("body"));
}

#[test]
fn what_a_program_leaves_running_is_ended_with_its_group() {
    let limits = Limits { time: Some(Duration::from_millis(300)), as_group: true, ..Limits::default() };
    let mut desk = Desk::new().map(|host| host.with_programs(Programs::Run(limits)));
    // The shell ends at once; what it has started holds its output open.
    let finished = desk.filter("A=`sh -c 'sleep 1000; touch late' & echo $!`\n:0\nbox\n");
    assert_eq!(finished.fate, Fate::Delivered);
    assert!(desk.log().contains("Timeout"), "{}", desk.log());
    assert!(desk.read("box").contains("body"));
}

#[test]
fn a_filter_that_writes_without_end_leaves_the_mail_as_it_was() {
    let mut desk = Desk::new()
        .map(|host| host.with_programs(Programs::Run(Limits { output: 1000, ..Limits::default() })));
    desk.filter(":0f\n| yes\n:0\nbox\n");
    assert_eq!(desk.read("box"), format!("{}\n", str::from_utf8(MAIL).unwrap()));
}

#[test]
fn refused_programs_requeue_the_mail_and_are_named() {
    let mut desk = Desk::new().map(|host| host.with_programs(Programs::Refuse));
    let finished = desk.filter(":0\n* ? test -e /\n| cat > out\n");
    assert_eq!(finished, Finished { code: 75, fate: Fate::Requeued });
    assert_eq!(desk.host.refused(), Some(b"test -e /".as_slice()));
    assert!(!desk.home.path().join("inbox").exists());
}

#[test]
fn folders_elsewhere_are_refused_and_the_mail_goes_on() {
    let outside = tempfile::tempdir().unwrap();
    let mut desk = Desk::new();
    let root = desk.home.path().to_owned();
    desk = desk.map(|host| host.with_places(Places::Below(root)));
    symlink(outside.path(), desk.home.path().join("link")).unwrap();
    symlink(outside.path().join("none"), desk.home.path().join("dangling")).unwrap();
    let away = outside.path().display();
    let rc = format!(
        "LOGFILE={away}/log\n:0c\n{away}/box\n:0c:\n../box\n:0c\nlink/box\n:0c\nlink/M/\n:0c\ndangling\n:0c\nnew/../../box\n:0\nbox\n"
    );
    let finished = desk.filter(&rc);
    assert_eq!(finished.fate, Fate::Delivered);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(desk.read("box").contains("body"), "{}", desk.log());
}

#[test]
fn a_prefix_of_names_leads_into_directories_but_not_elsewhere() {
    let mut desk = Desk::new();
    let root = desk.home.path().to_owned();
    for directory in ["plain", "plain/in", "other"] {
        fs::create_dir(root.join(directory)).unwrap();
    }
    let finished =
        desk.filter("MSGPREFIX=in/m.\n:0c\nplain\nMSGPREFIX=../other/m.\n:0c\nplain\n:0\n/dev/null\n");
    assert_eq!(finished.fate, Fate::Delivered);
    for directory in ["plain/in", "other"] {
        assert!(desk.only_in(directory).file_name().unwrap().as_bytes().starts_with(b"m."));
    }
    let outside = tempfile::tempdir().unwrap();
    let mut desk = desk.map(|host| host.with_places(Places::Below(root)));
    let rc = format!(
        "MSGPREFIX=../../../../../../../../..{}/m.\n:0c\nplain\n:0\n/dev/null\n",
        outside.path().display()
    );
    assert_eq!(desk.filter(&rc).fate, Fate::Delivered);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{}", desk.log());
    assert!(desk.log().contains("Error while writing to"), "{}", desk.log());
}

#[test]
fn a_prefix_of_names_that_leads_nowhere_makes_no_directory_or_mailbox() {
    let mut desk = Desk::new();
    fs::create_dir(desk.home.path().join("plain")).unwrap();
    fs::write(desk.home.path().join("plain/file"), "data\n").unwrap();
    for prefix in ["none/m.", "file/m."] {
        let finished = desk.filter(&format!("MSGPREFIX={prefix}\n:0c\nplain\n:0\nM/ plain\n"));
        assert_eq!(finished.fate, Fate::Delivered);
        let told = "Couldn't create or rename temp file \"plain/";
        assert!(desk.log().contains(told) && desk.log().contains("Skipped \"plain\""), "{}", desk.log());
        assert_eq!(desk.read("plain/file"), "data\n");
        assert_eq!(desk.only_in("plain").file_name().unwrap(), "file");
    }
}

#[test]
fn the_null_device_is_no_lock_file_for_users() {
    let desk = Desk::new();
    let root = desk.home.path().to_owned();
    let mut desk = desk.map(|host| host.with_places(Places::Below(root)));
    assert!(matches!(desk.host.lock(b"/dev/null", false), Outcome::Failed));
    assert_eq!(desk.filter("LOGFILE=/dev/null\n:0\n/dev/null\n").fate, Fate::Delivered);
}

#[test]
fn a_stop_ends_what_waits_and_gives_up_locks() {
    let mut desk = Desk::new();
    fs::write(desk.home.path().join("held.lock"), "").unwrap();
    let stop = desk.host.stop.clone();
    let lock = desk.home.path().join("mine.lock");
    let watcher = std::thread::spawn(move || {
        while !lock.exists() {
            std::thread::yield_now();
        }
        stop.request(Fate::Requeued);
    });
    let finished = desk.filter("LOCKFILE=mine.lock\nLOGABSTRACT=yes\n:0:held.lock\nbox\n");
    watcher.join().unwrap();
    assert_eq!(finished, Finished { code: 75, fate: Fate::Requeued });
    assert!(!desk.home.path().join("mine.lock").exists());
    assert!(!desk.home.path().join("inbox").exists());
    let told = "procmail: Terminating prematurely whilst waiting for lockfile \"held.lock\"\n\
        From a@b  Tue Jan  2 03:04:05 2001\n  Folder: **Requeued**\t\t\t\t\t\t\t      0\n";
    assert_eq!(desk.log(), told);
}

#[test]
fn a_stop_ends_the_wait_for_the_kernels_lock() {
    let mut desk = Desk::new();
    let held = maildrop::Mbox::new(desk.home.path().join("box")).begin().unwrap();
    let stop = desk.host.stop.clone();
    let started = desk.home.path().join("started");
    let watcher = std::thread::spawn(move || {
        while !started.exists() {
            std::thread::yield_now();
        }
        stop.request(Fate::Bounced);
    });
    let finished = desk.filter(":0\n* ? echo >started\nbox\n");
    assert_eq!(finished.fate, Fate::Bounced);
    watcher.join().unwrap();
    drop(held);
    assert_eq!(desk.read("box"), "");
}

/// A pipe in the home, with a reader that does not read.
fn pipe(desk: &Desk) -> fs::File {
    use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
    let path = desk.home.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap().into()
}

#[test]
fn a_pipe_that_is_not_read_holds_nothing_up() {
    let mail = [MAIL, &b"0123456789abcde\n".repeat(20_000)].concat();
    // It is told to stop, and has no time left.
    let mut desk = Desk::new();
    let reader = pipe(&desk);
    let stop = desk.host.stop.clone();
    let watcher = std::thread::spawn(move || {
        while rustix::io::ioctl_fionread(&reader).unwrap() < 4096 {
            std::thread::yield_now();
        }
        stop.request(Fate::Requeued);
        reader
    });
    assert_eq!(desk.filter_mail(":0\npipe\n:0\nbox\n", &mail).fate, Fate::Requeued);
    watcher.join().unwrap();
    assert_eq!(desk.read("box"), "");
    let mut desk = Desk::new().map(|host| host.with_deadline(Instant::now() + Duration::from_millis(100)));
    let _reader = pipe(&desk);
    assert_eq!(desk.filter_mail(":0\npipe\n:0\nbox\n", &mail).fate, Fate::Requeued);
    // It has waited for long enough.
    let mut desk = Desk::new();
    let _reader = pipe(&desk);
    assert_eq!(desk.filter_mail("TIMEOUT=1\n:0\npipe\n:0\nbox\n", &mail).fate, Fate::Delivered);
    assert_eq!(desk.read("box").len(), mail.len() + 1);
}

#[test]
fn a_pipe_is_no_folder_of_those_who_are_kept_to_theirs() {
    let desk = Desk::new();
    let root = desk.home.path().to_owned();
    let mut desk = desk.map(|host| host.with_places(Places::Below(root)));
    let _reader = pipe(&desk);
    assert_eq!(desk.filter(":0\npipe\n:0\nbox\n").fate, Fate::Delivered);
    assert!(desk.log().contains("Error while writing to \"pipe\""), "{}", desk.log());
    assert!(desk.read("box").contains("body"));
}

#[test]
fn a_stop_is_told_of_as_procmail_does() {
    // What a host that was told to stop in the middle of it answers.
    let stopped = |rc: &str, interrupted: fn(&Effect) -> bool, answer: Option<Outcome>| {
        let mut setup = Setup::new().variable("LOGABSTRACT", "yes");
        setup.rc_files.push(b"rc".to_vec());
        let mut evaluator = Evaluator::new(setup, Mail::new(MAIL.to_vec()));
        let mut log = Vec::new();
        loop {
            match evaluator.step() {
                Step::Finished(_) => return String::from_utf8(log).unwrap(),
                Step::Effect(Effect::Log(text)) => log.extend(text.text),
                Step::Effect(Effect::ReadRc(_)) => evaluator.answer(Outcome::Read(rc.into())),
                Step::Effect(effect) if interrupted(&effect) => {
                    answer.clone().into_iter().for_each(|answer| evaluator.answer(answer));
                    evaluator.abandon(Fate::Bounced);
                }
                Step::Effect(effect) if effect.needs_answer() => evaluator.answer(Outcome::Done),
                Step::Effect(_) => {}
            }
        }
    };
    let abstract_ = |from: &str, size: u32| format!("{from}  Folder: **Bounced**\t\t\t\t\t\t\t{size:>7}\n");
    let from = "From a@b  Tue Jan  2 03:04:05 2001\n";
    let runs = |effect: &Effect| matches!(effect, Effect::Run(_));
    let delivers = |effect: &Effect| matches!(effect, Effect::Deliver(_));
    let ended = "procmail: Terminating prematurely\n";
    assert_eq!(stopped(":0w\n| x\n", runs, None), format!("{ended}{}", abstract_(from, 53)));
    assert_eq!(
        stopped(":0fw\n| x\n", runs, None),
        format!("procmail: Rescue of unfiltered data succeeded\n{ended}{}", abstract_("", 0))
    );
    let notes = vec![Note::Folder(b"box".to_vec()), Note::KernelLock, Note::KernelLockAwaited];
    assert_eq!(
        stopped(":0\nbox\n", delivers, Some(Outcome::Delivered(Delivered { notes, size: None }))),
        format!("procmail: Terminating prematurely whilst waiting for a kernel-lock\n{}", abstract_(from, 0))
    );
}

#[test]
fn a_full_disk_is_told_of_and_the_mail_goes_on() {
    let mut desk = Desk::new();
    let finished = desk.filter(":0\n/dev/full\n:0\nbox\n");
    assert_eq!(finished.fate, Fate::Delivered);
    assert_eq!(desk.log(), "procmail: No space left to finish writing \"/dev/full\"\n");
    assert!(desk.read("box").contains("body"));
}

#[test]
fn a_deadline_ends_rules_that_ask_for_nothing() {
    for (pauses, fate) in [(true, Fate::Requeued), (false, Fate::Lost)] {
        let mut setup = Setup::new();
        setup.pauses = pauses;
        setup.rc_files.push(b"rc".to_vec());
        let mut evaluator = Evaluator::new(setup, Mail::new(MAIL.to_vec()));
        assert!(matches!(evaluator.step(), Step::Effect(Effect::ReadRc(_))));
        evaluator.answer(Outcome::Read(b"DELIVERED=yes\n".to_vec()));
        let mut desk = Desk::new().map(|host| host.with_deadline(Instant::now()));
        // Lost means that the rules were still obeyed, by which the mail is as good as delivered.
        assert_eq!(desk.host.evaluate(evaluator).fate, fate);
    }
}

#[test]
fn what_is_allowed_bounds_folders_copies_and_logs() {
    let allowance = Allowance { copies: Some(3), bytes: Some(150), log: Some(10) };
    let mut desk = Desk::new().map(|host| host.with_allowance(allowance));
    // There is room for two copies of the mail, of 52 bytes and a line end each. The third fails, the fourth is one too many.
    let rc = "LOGFILE=log\nLOG=12345678\nLOG=9abcd\nLOG=9a\n:0 c\none\n:0 c\n/dev/null\n:0 c\ntwo\n:0 c\nthree\n:0\nfour\n";
    let finished = desk.filter(rc);
    assert_eq!(finished.fate, Fate::Requeued);
    assert!(desk.host.is_exceeded());
    assert_eq!(desk.read("log"), "123456789a");
    let written = ["one", "two", "three", "four"].map(|folder| !desk.read(folder).is_empty());
    assert_eq!(written, [true, true, false, false]);
    let destinations = desk.host.destinations();
    let file = |name: &str| Destination::File { path: desk.home.path().join(name), bytes: 53 };
    assert_eq!(destinations, [file("one"), Destination::Nowhere, file("two")]);
}

#[test]
fn a_program_is_a_destination_if_it_has_taken_the_mail() {
    let mail = [MAIL, &b"0123456789abcde\n".repeat(100_000)].concat();
    for (recipe, takes_it) in [
        (":0 w\n| cat >/dev/null", true),
        (":0 w\n| true", false),
        (":0\n| true", false),
        (":0 wi\n| true", true),
        (":0 i\n| true", true),
        (":0 wi\n| false", false),
    ] {
        let mut desk = Desk::new();
        desk.filter_mail(&format!("{recipe}\n:0\n/dev/null\n"), &mail);
        let taken = if takes_it { Destination::Program } else { Destination::Nowhere };
        assert_eq!(desk.host.destinations(), [taken], "{recipe}: {}", desk.log());
    }
}

#[test]
fn a_default_that_is_a_directory_is_not_locked() {
    let mut desk = Desk::new();
    fs::create_dir(desk.home.path().join("inbox")).unwrap();
    desk.filter("VERBOSE=yes\n");
    assert!(!desk.log().contains("Locking"), "{}", desk.log());
    fs::remove_dir_all(desk.home.path().join("inbox")).unwrap();
    desk.filter("VERBOSE=yes\n");
    assert!(desk.log().contains("Locking \"inbox.lock\""), "{}", desk.log());
}

#[test]
fn a_stop_ends_a_running_program() {
    let mut desk = Desk::new();
    let stop = desk.host.stop.clone();
    let started = desk.home.path().join("started");
    let watcher = std::thread::spawn(move || {
        while !started.exists() {
            std::thread::yield_now();
        }
        stop.request(Fate::Bounced);
    });
    let finished = desk.filter(":0w\n| echo >started; exec sleep 1000\n");
    watcher.join().unwrap();
    assert_eq!(finished.fate, Fate::Bounced);
}

#[test]
fn rc_files_that_others_can_write_are_not_read() {
    let mut desk = Desk::new()
        .map(|host| host.with_owners(Owners::User { id: rustix::process::getuid().as_raw(), group: None }));
    let rc = desk.home.path().join("rc");
    fs::write(&rc, "").unwrap();
    fs::set_permissions(&rc, fs::Permissions::from_mode(0o666)).unwrap();
    desk.filter(":0\nbox\n");
    assert_eq!(desk.log(), "procmail: Suspicious rcfile \"rc\"\nprocmail: Couldn't read \"rc\"\n");
    assert!(desk.read("inbox").contains("body"));
    fs::set_permissions(&rc, fs::Permissions::from_mode(0o600)).unwrap();
    desk.filter(":0\nbox\n");
    assert!(desk.read("box").contains("body"));
}

#[test]
fn copies_go_on_beside_and_are_waited_for() {
    let mut desk = Desk::new();
    let blocks: String = (0..40).map(|number| format!(":0c\n{{\n:0\nbox{number}\n}}\n")).collect();
    let finished = desk.filter(&blocks);
    assert_eq!(finished.fate, Fate::Delivered);
    for number in 0..40 {
        assert!(desk.read(&format!("box{number}")).contains("body"), "{number}");
    }
}

#[test]
fn copies_of_copies_are_all_made_however_many() {
    let mut desk = Desk::new();
    let blocks: String = (0..60).map(|number| format!(":0c\n{{\n:0\nbox{number}\n}}\n")).collect();
    let finished = desk.filter(&format!(":0c\n{{\n{blocks}:0\nouter\n}}\n:0\nbox\n"));
    assert_eq!(finished.fate, Fate::Delivered);
    for name in (0..60).map(|number| format!("box{number}")).chain(["outer".into(), "box".into()]) {
        assert!(desk.read(&name).contains("body"), "{name}: {}", desk.log());
    }
}

#[test]
fn copies_that_make_copies_of_themselves_come_to_an_end() {
    let mut desk = Desk::new();
    let again = ":0c\n* ! DEPTH ?? xxxxxxxxxxx\n{\nINCLUDERC=rc\n}\n";
    let finished = desk.filter(&format!("DEPTH=${{DEPTH}}x\n{again}{again}:0\n/dev/null\n"));
    assert_eq!(finished.fate, Fate::Delivered);
    assert!(desk.log().contains("Failed forking"), "{}", desk.log());
}

#[test]
fn a_lock_of_a_copy_that_waits_for_rights_to_be_given_up_stalls_nobody() {
    // A copy takes the lock, and waits for the original to give up rights, which is to be done at the end.
    let keeps = "LOCKSLEEP=0\nLOCKTIMEOUT=30\n:0 c\n{\nLOCKFILE=kept\nDROPPRIVS=yes\n:0\nkeeper\n}\n\
        :0\n* ! ? while [ ! -e kept ]; do :; done\nnever\n";
    let wants = "LOCKFILE=kept\nDROPPRIVS=yes\n:0\n";
    let rest = "DROPPRIVS=yes\n:0\n";
    let table = [
        ("the original wants it", format!("{wants}box\n"), vec!["box"]),
        ("another copy wants it", format!(":0 c\n{{\n{wants}other\n}}\n{rest}box\n"), vec!["other", "box"]),
        (
            "another copy wants it and has one that the original wants",
            format!(
                ":0 c\n{{\nLOCKFILE=more\n:0:kept\nother\n}}\n\
                :0\n* ! ? while [ ! -e more ]; do :; done\nnever\nLOCKFILE=more\n{rest}box\n"
            ),
            vec!["other", "box"],
        ),
    ];
    for (what, rc, folders) in table {
        let dropped = Arc::new(Mutex::new(0));
        let count = Arc::clone(&dropped);
        let mut desk = Desk::new().map(|host| {
            host.with_dropping(move || {
                *count.lock().unwrap() += 1;
                true
            })
        });
        let finished = desk.filter(&format!("{keeps}{rc}"));
        assert_eq!(finished.fate, Fate::Delivered, "{what}");
        assert_eq!((desk.log(), *dropped.lock().unwrap()), (String::new(), 1), "{what}");
        for folder in folders.into_iter().chain(["keeper"]) {
            assert!(desk.read(folder).contains("body"), "{what}: {folder}");
        }
    }
}
