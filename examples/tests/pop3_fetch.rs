//! The program `pop3-fetch` against a post office, and against servers that misbehave: what it prints, stores and deletes.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside of test functions, and a failure is to fail the test"
)]

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use mailwright::config::Config;
use mailwright::{PostOffice, Service};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

/// How a run of the program ended.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A folder with a password, to fetch to.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "secret\n").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program in the folder, logged in to this server.
    fn start(&self, server: SocketAddr, more: &[&str]) -> Child {
        self.start_by(&mut Command::new(PROGRAM), server, more)
    }

    /// The same, by a shell that has done something `before`.
    fn start_after(&self, before: &str, server: SocketAddr, more: &[&str]) -> Child {
        let script = format!("{before}; exec \"$0\" \"$@\"");
        self.start_by(Command::new("sh").args(["-c", &script, PROGRAM]), server, more)
    }

    fn start_by(&self, command: &mut Command, server: SocketAddr, more: &[&str]) -> Child {
        command.arg(server.to_string());
        if !more.contains(&"--user") {
            command.args(["--user", "alice"]);
        }
        if !more.iter().any(|option| ["--token-file", "--certificate"].contains(option)) {
            command.args(["--password-file", "password"]);
        }
        command
            .current_dir(self.folder.path())
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn run(&self, server: SocketAddr, more: &[&str]) -> Run {
        self.start(server, more).wait_with_output().unwrap().into()
    }

    /// In the clear, as the scripted servers have it.
    fn plain(&self, server: SocketAddr, more: &[&str]) -> Run {
        self.run(server, &[&PLAIN[..], more].concat())
    }

    /// The unique-ids in the file `seen`, behind the line that tells whose they are.
    fn seen(&self) -> String {
        let text = self.read("seen");
        let (owner, ids) = text.split_once('\n').unwrap_or_default();
        assert!(text.is_empty() || owner.starts_with("# pop3-fetch: alice at 127.0.0.1:"), "{text}");
        ids.to_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_pop3-fetch");
const PLAIN: [&str; 3] = ["--tls", "never", "--plaintext-auth"];

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// A server that greets and gives to each command the answer that is listed for it, or `+OK`; without an answer (`""`) it says
/// nothing, at `HANGUP` it hangs up. Keeps the commands.
struct Fake {
    address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
}

type Answers = &'static [(&'static str, &'static str)];

impl Fake {
    fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&said);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                converse(stream, answers, &keep);
            }
        });
        Self { address, said }
    }

    fn all(&self) -> Vec<String> {
        std::mem::take(&mut *self.said.lock().unwrap())
    }

    /// What was said behind the login.
    fn said(&self) -> Vec<String> {
        self.all().into_iter().skip_while(|line| !line.starts_with("PASS")).skip(1).collect()
    }
}

/// A server that says this and no more.
fn speaker(text: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.read(&mut [0; 100]);
        }
    });
    address
}

fn converse(mut stream: TcpStream, answers: Answers, said: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut answer = "+OK\r\n";
    loop {
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let command = line.trim_end();
        said.lock().unwrap().push(command.to_owned());
        answer = match answers.iter().find(|(known, _)| *known == command) {
            Some((_, "HANGUP")) => return,
            Some((_, answer)) => answer,
            None if command == "CAPA" => "-ERR what\r\n",
            None => "+OK\r\n",
        };
        if command == "QUIT" {
            let _ = stream.write_all(answer.as_bytes());
            return;
        }
    }
}

const TWO: &str = "+OK\r\n1 20\r\n2 20\r\n.\r\n";
const IDS: &str = "+OK\r\n1 a\r\n2 b\r\n.\r\n";
const MESSAGE: &str = "+OK\r\nSubject: x\r\n\r\ntext\r\n.\r\n";

#[test]
fn what_was_noted_before_is_deleted_too() {
    let fake = Fake::start(&[("LIST", TWO), ("UIDL", IDS), ("RETR 1", MESSAGE), ("RETR 2", MESSAGE)]);
    let place = Place::new();
    std::fs::write(place.path("seen"), "a\n").unwrap();
    let fetch = ["--to", "maildir:mail", "--seen", "seen"];
    let run = place.plain(fake.address, &[&fetch[..], &["--delete"]].concat());
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(fake.said(), ["LIST", "UIDL", "DELE 1", "RETR 2", "DELE 2", "QUIT"]);
    assert!(run.out.starts_with("fetched 1 "), "{}", run.out);
    assert_eq!(files(&place.path("mail/new")), 1);
    assert_eq!(place.seen(), "");
}

#[test]
fn what_was_deleted_is_not_taken_for_another_message_of_the_same_unique_id() {
    // Of one that stays the id is kept, as is that of all if the server did not agree to delete any.
    let cases: &[(Answers, &str, &[&str])] = &[
        (&[("UIDL", IDS)], "", &["RETR 1", "RETR 2", "DELE 1", "DELE 2"]),
        (&[("UIDL", IDS), ("DELE 1", "-ERR no\r\n")], "a\n", &["DELE 1", "RETR 2", "DELE 2"]),
        (&[("UIDL", SAME), ("DELE 2", "-ERR no\r\n")], "a\na\n", &[]),
        (&[("UIDL", SAME)], "", &["RETR 1", "RETR 2", "DELE 1", "DELE 2"]),
        (&[("UIDL", IDS), ("QUIT", "-ERR no\r\n")], "a\nb\n", &["DELE 1", "DELE 2"]),
    ];
    const SAME: &str = "+OK\r\n1 a\r\n2 a\r\n.\r\n";
    for (answers, kept, again) in cases {
        let fake = Fake::start(
            [*answers, &[("LIST", TWO), ("RETR 1", MESSAGE), ("RETR 2", MESSAGE)]].concat().leak(),
        );
        let place = Place::new();
        let fetch = ["--to", "maildir:mail", "--seen", "seen", "--delete"];
        place.plain(fake.address, &fetch);
        assert!(fake.said().ends_with(&["QUIT".to_owned()]), "{answers:?}");
        assert_eq!(place.seen(), *kept, "{answers:?}");
        place.plain(fake.address, &fetch);
        let mut said = fake.said();
        said.retain(|line| !["LIST", "UIDL", "QUIT"].contains(&line.as_str()));
        said.sort_unstable();
        let mut again = again.to_vec();
        again.sort_unstable();
        assert_eq!(said, again, "{answers:?}");
    }
}

#[test]
fn a_file_of_unique_ids_is_bound_by_a_login_that_worked() {
    let none = Fake::start(&[("LIST", "+OK\r\n.\r\n"), ("UIDL", "+OK\r\n.\r\n")]);
    let refusing = Fake::start(&[("PASS secret", "-ERR [AUTH] no\r\n")]);
    let place = Place::new();
    let fetch = ["--to", "maildir:mail", "--seen", "seen"];
    for text in ["", "a\n", "a\nb", "half", "# pop3-fetch: bob at example.org\n"] {
        std::fs::write(place.path("seen"), text).unwrap();
        let run = place.plain(refusing.address, &fetch);
        assert_eq!((run.code, place.read("seen").as_str()), (77, text), "{}", run.err);
        let run = place.plain(none.address, &fetch);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{text}");
        assert_eq!(place.read("seen"), format!("# pop3-fetch: alice at {}\n", none.address), "{text}");
    }
}

#[test]
fn a_file_of_unique_ids_stays_that_of_its_owner_and_group() {
    let fake = Fake::start(&[("LIST", TWO), ("UIDL", IDS)]);
    let place = Place::new();
    std::fs::write(place.path("seen"), "a\nb\nc\n").unwrap();
    // Nothing changes where the tests may not do that.
    let _ = std::os::unix::fs::chown(place.path("seen"), Some(1234), Some(1235));
    let owner = || {
        let found = std::fs::metadata(place.path("seen")).unwrap();
        (found.uid(), found.gid(), found.mode())
    };
    let before = owner();
    let run = place.plain(fake.address, &["--to", "maildir:mail", "--seen", "seen"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!((owner(), place.seen().as_str()), (before, "a\nb\n"));
}

#[test]
fn unique_ids_stay_where_no_file_can_be_put_in_place_of_theirs() {
    let fake = Fake::start(&[("LIST", TWO), ("UIDL", IDS), ("RETR 2", MESSAGE)]);
    let place = Place::new();
    let folder = place.path("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("seen"), "a\nc\n").unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    // Root may do so all the same.
    let stuck = std::fs::File::create(folder.join("other")).is_err();
    let run = place.plain(fake.address, &["--to", "maildir:mail", "--seen", "folder/seen"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    if stuck {
        assert_eq!(place.read("folder/seen"), "a\nc\nb\n");
    }
}

#[test]
fn deletion_is_told_of_when_the_server_has_done_it() {
    const ONE: &str = "+OK\r\n1 20\r\n.\r\n";
    const FETCHED: &str = "fetched 1 message, 20 octets\n";
    let cases: &[(Answers, &[&str], i32, &str)] = &[
        (&[], &[], 0, FETCHED),
        (&[], &["--delete"], 0, "fetched 1 message, 20 octets, 1 deleted on the server\n"),
        (&[("DELE 1", "-ERR no\r\n")], &["--delete"], 69, FETCHED),
        (&[("QUIT", "-ERR not removed\r\n")], &["--delete"], 69, FETCHED),
        (&[("QUIT", "HANGUP")], &["--delete"], 75, FETCHED),
        (&[("QUIT", "HANGUP")], &[], 0, FETCHED),
    ];
    for (answers, more, code, out) in cases {
        let place = Place::new();
        let all = [*answers, &[("LIST", ONE), ("RETR 1", MESSAGE)]].concat();
        let fake = Fake::start(all.leak());
        let run = place.plain(fake.address, &[&["--to", "mbox:mail"], *more].concat());
        assert_eq!((run.code, run.out.as_str()), (*code, *out), "{answers:?} {more:?}: {}", run.err);
        assert_eq!(run.err.is_empty(), *code == 0, "{answers:?} {more:?}: {}", run.err);
    }
}

#[test]
fn odd_unique_ids_are_as_good_as_others() {
    let long = "x".repeat(300);
    let ids = format!("+OK\r\n1 a b\r\n2 {long}\r\n3 a\u{e9}\r\n4 \r\n.\r\n").leak();
    let answers: Vec<(&str, &str)> = vec![
        ("LIST", "+OK\r\n1 20\r\n2 20\r\n3 20\r\n4 20\r\n.\r\n"),
        ("UIDL", ids),
        ("RETR 1", MESSAGE),
        ("RETR 2", MESSAGE),
        ("RETR 3", MESSAGE),
        ("RETR 4", MESSAGE),
    ];
    let fake = Fake::start(answers.leak());
    let place = Place::new();
    let run = place.plain(fake.address, &[]);
    let listed = format!("1 20 a b\n2 20 {long}\n3 20 a\\xc3\\xa9\n4 20 -\n");
    assert_eq!((run.code, run.err.as_str(), run.out), (0, "", listed));
    let fetch = ["--to", "maildir:mail", "--seen", "seen"];
    for fetched in ["fetched 4 messages, 80 octets\n", "fetched 1 message, 20 octets\n"] {
        let run = place.plain(fake.address, &fetch);
        assert_eq!((run.code, run.err.as_str(), run.out.as_str()), (0, "", fetched));
    }
    assert_eq!(place.seen(), format!("a b\n{long}\na\\xc3\\xa9\n"));
}

#[test]
fn a_server_that_closes_after_the_login_is_heard_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let answers = ["+OK\r\n", "+OK\r\nUSER\r\n.\r\n", "+OK\r\n", "+OK\r\n", "-ERR mailbox is broken\r\n"];
        for (at, answer) in answers.iter().enumerate() {
            if at > 0 {
                reader.read_line(&mut String::new()).unwrap();
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let run = Place::new().plain(server, &[]);
    assert_eq!((run.code, run.out.as_str()), (75, ""), "{}", run.err);
    assert!(run.err.contains("the server said before: -ERR mailbox is broken"), "{}", run.err);
}

#[test]
fn other_quirks_are_let_pass_where_asked_for() {
    const SPACED: &str = "+OK\r\n1  20\r\n.\r\n";
    let fake = Fake::start(&[("LIST", SPACED), ("UIDL", "+OK\r\n1 a\r\n.\r\n")]);
    let place = Place::new();
    let run = place.plain(fake.address, &[]);
    assert_eq!(run.code, 76, "{}", run.err);
    let run = place.plain(fake.address, &["--quirk", "odd-listings"]);
    assert_eq!((run.code, run.err.as_str(), run.out.as_str()), (0, "", "1 20 a\n"));
    for wrong in [["--quirk", "odd"], ["--timeout", "0"]] {
        let run = place.plain(fake.address, &wrong);
        assert_eq!(run.code, 64, "{wrong:?}: {}", run.err);
    }
}

#[test]
fn a_server_without_unique_ids_can_be_listed() {
    let fake = Fake::start(&[("LIST", TWO), ("UIDL", "-ERR what is that?\r\n")]);
    let place = Place::new();
    let run = place.plain(fake.address, &[]);
    assert_eq!((run.code, run.err.as_str(), run.out.as_str()), (0, "", "1 20 -\n2 20 -\n"));
    let run = place.plain(fake.address, &["--to", "maildir:mail", "--seen", "seen"]);
    assert_eq!(run.code, 69, "{}", run.err);
    assert!(run.err.contains("--seen") && run.err.contains("-ERR what is that?"), "{}", run.err);
}

#[test]
fn a_handshake_that_fails_says_what_would_help() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let builder = PostOffice::builder()
        .domain("example.test")
        .user("alice", "secret")
        .in_memory()
        .listen(Service::Pop3, "127.0.0.1:0")
        .listen(Service::Pop3s, "127.0.0.1:0");
    let office = runtime.block_on(builder.start()).unwrap();
    let place = Place::new();
    std::fs::write(place.path("ca.pem"), office.certificate_pem().unwrap()).unwrap();
    // Authorities that have the name of the server's own certificate.
    for (file, algorithm) in [("same.pem", &rcgen::PKCS_ECDSA_P256_SHA256), ("ed.pem", &rcgen::PKCS_ED25519)]
    {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "example.test");
        let key = KeyPair::generate_for(algorithm).unwrap();
        std::fs::write(place.path(file), params.self_signed(&key).unwrap().pem()).unwrap();
    }
    let same = ["--tls-name", "example.test", "--ca-file", "same.pem"];
    let same_ed = ["--tls-name", "example.test", "--ca-file", "ed.pem"];
    let other = ["--ca-file", "ca.pem", "--tls-name", "other.example"];
    let cases: &[(Service, &[&str], &[&str])] = &[
        (Service::Pop3, &[], &["UnknownIssuer", "--ca-file", "--insecure"]),
        (Service::Pop3s, &["--tls", "implicit"], &["UnknownIssuer", "--ca-file", "--insecure"]),
        (Service::Pop3, &other, &["other.example", "--tls-name"]),
        (Service::Pop3, &same, &["BadSignature", "same name", "--ca-file", "--insecure"]),
        (Service::Pop3, &same_ed, &["another kind of key", "same name", "--ca-file", "--insecure"]),
        (Service::Pop3, &["--tls", "implicit"], &["plain text", "--tls require"]),
    ];
    for (service, more, texts) in cases {
        let run = place.run(office.addr(*service).unwrap(), more);
        assert_eq!(run.code, 76, "{more:?}: {}", run.err);
        for text in *texts {
            assert!(run.err.contains(text), "{text}: {}", run.err);
        }
    }
    let good = ["--ca-file", "ca.pem", "--tls-name", "example.test"];
    let run = place.run(office.addr(Service::Pop3).unwrap(), &good);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
}

/// A signal that ends a program which is started here: this one, unless it is ignored here, as a shell sets it for what runs
/// in the background. What is ignored stays ignored in children.
fn heeded(signal: Signal) -> Signal {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map_or("0", str::trim);
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    if ignored >> (signal.as_raw() - 1) & 1 == 1 { Signal::TERM } else { signal }
}

#[test]
fn an_interrupted_run_keeps_what_is_whole_and_leaves_nothing_else() {
    let fake = Fake::start(&[
        ("LIST", TWO),
        ("UIDL", IDS),
        ("RETR 1", MESSAGE),
        ("RETR 2", "+OK\r\nSubject: half\r\n"),
    ]);
    let cases = [
        ("maildir:mail", "mail/tmp", Signal::INT),
        ("mbox:box", "box", Signal::TERM),
        ("mbox:box", "box", Signal::HUP),
    ];
    for (to, begun, signal) in cases {
        let place = Place::new();
        let more = [&PLAIN[..], &["--to", to, "--seen", "seen", "--delete"]].concat();
        let child = place.start(fake.address, &more);
        let half_way = || fake.said.lock().unwrap().iter().any(|line| line == "RETR 2");
        while !half_way() || !place.path(begun).exists() {
            thread::yield_now();
        }
        rustix::process::kill_process(Pid::from_child(&child), heeded(signal)).unwrap();
        let run = Run::from(child.wait_with_output().unwrap());
        assert_eq!((run.code, run.out.as_str()), (75, "fetched 1 message, 20 octets\n"), "{}", run.err);
        assert!(run.err.contains("interrupted"), "{}", run.err);
        assert_eq!(fake.said(), ["LIST", "UIDL", "RETR 1", "RETR 2"]);
        assert_eq!(place.seen(), "a\n");
        if to.starts_with("maildir") {
            assert_eq!((files(&place.path("mail/tmp")), files(&place.path("mail/new"))), (0, 1));
        } else {
            assert!(!place.path("box.lock").exists());
            assert!(!place.read("box").contains("half"), "{}", place.read("box"));
        }
    }
}

#[test]
fn what_was_fetched_is_noted_whole_or_not_at_all() {
    const LONG: &str = "+OK\r\n1 one-of-twenty-octets\r\n2 two-of-twenty-octets\r\n.\r\n";
    let fake = Fake::start(&[("LIST", TWO), ("UIDL", LONG), ("RETR 1", MESSAGE), ("RETR 2", MESSAGE)]);
    let place = Place::new();
    // A file takes 512 octets.
    let before = format!("{}\n", "x".repeat(450));
    let owner = format!("# pop3-fetch: alice at {}\n", fake.address);
    std::fs::write(place.path("seen"), owner + &before).unwrap();
    let more = [&PLAIN[..], &["--to", "maildir:mail", "--seen", "seen", "--delete"]].concat();
    let child = place.start_after("trap '' XFSZ; ulimit -f 1", fake.address, &more);
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.out.as_str()), (73, "fetched 2 messages, 40 octets\n"), "{}", run.err);
    assert_eq!(fake.said(), ["LIST", "UIDL", "RETR 1", "RETR 2"]);
    assert_eq!(place.seen(), before);
}

#[test]
fn unique_ids_are_those_of_one_user_of_one_server() {
    const ONE: Answers =
        &[("LIST", "+OK\r\n1 20\r\n.\r\n"), ("UIDL", "+OK\r\n1 a\r\n.\r\n"), ("RETR 1", MESSAGE)];
    let place = Place::new();
    let fetch = ["--to", "maildir:mail", "--seen", "seen"];
    // One that was written before whose it is stood there.
    std::fs::write(place.path("seen"), "b\n").unwrap();
    let first = Fake::start(ONE);
    assert_eq!(place.plain(first.address, &fetch).out, "fetched 1 message, 20 octets\n");
    let other = Fake::start(ONE);
    for (fake, user) in [(&other, "alice"), (&first, "bob")] {
        fake.all();
        let run = place.plain(fake.address, &[&fetch[..], &["--user", user]].concat());
        assert_eq!((run.code, run.out.as_str()), (78, ""), "{}", run.err);
        let expected = format!("of {user} at {}, found those of alice at {}", fake.address, first.address);
        assert!(run.err.contains(&expected), "{}", run.err);
        assert!(fake.all().is_empty());
    }
    assert_eq!(place.read("seen"), format!("# pop3-fetch: alice at {}\na\n", first.address));
}

#[test]
fn what_the_server_lists_no_more_is_forgotten_when_all_went_well() {
    for (quit, kept) in [("+OK\r\n", ""), ("-ERR not removed\r\n", "b\nc\na\n")] {
        let answers = vec![("LIST", TWO), ("UIDL", IDS), ("RETR 1", MESSAGE), ("QUIT", quit)];
        let fake = Fake::start(answers.leak());
        let place = Place::new();
        std::fs::write(place.path("seen"), "b\nc\n").unwrap();
        place.plain(fake.address, &["--to", "maildir:mail", "--seen", "seen", "--delete"]);
        let mut lines: Vec<_> = place.seen().lines().map(str::to_owned).collect();
        let mut expected: Vec<_> = kept.lines().map(str::to_owned).collect();
        lines.sort();
        expected.sort();
        assert_eq!(lines, expected, "{quit}");
    }
}

#[test]
fn a_message_is_not_deleted_for_a_unique_id_that_another_has_too() {
    let fake = Fake::start(&[("LIST", TWO), ("UIDL", "+OK\r\n1 a\r\n2 a\r\n.\r\n")]);
    let place = Place::new();
    std::fs::write(place.path("seen"), "a\n").unwrap();
    let run = place.plain(fake.address, &["--to", "maildir:mail", "--seen", "seen", "--delete"]);
    assert_eq!((run.code, run.err.as_str(), run.out.as_str()), (0, "", "fetched 0 messages, 0 octets\n"));
    assert_eq!(fake.said(), ["LIST", "UIDL", "QUIT"]);
}

#[test]
fn half_a_unique_id_is_none() {
    let fake = Fake::start(&[("LIST", TWO), ("UIDL", IDS), ("RETR 1", MESSAGE), ("RETR 2", MESSAGE)]);
    let place = Place::new();
    std::fs::write(place.path("seen"), "b\na").unwrap();
    let run = place.plain(fake.address, &["--to", "maildir:mail", "--seen", "seen"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(fake.said(), ["LIST", "UIDL", "RETR 1", "QUIT"]);
    assert_eq!(place.seen(), "b\na\n");
}

#[test]
fn a_file_of_unique_ids_is_used_by_one_program_at_a_time() {
    let fake = Fake::start(&[("LIST", "-ERR\r\n")]);
    let place = Place::new();
    let other = std::fs::File::create(place.path("seen")).unwrap();
    other.lock().unwrap();
    let run = place.plain(fake.address, &["--to", "maildir:mail", "--seen", "seen"]);
    assert_eq!((run.code, run.out.as_str()), (75, ""));
    assert!(run.err.contains("seen: another program is using it"), "{}", run.err);
}

#[test]
fn of_messages_that_did_not_all_find_room_those_that_did_are_noted() {
    let fake = Fake::start(&[("LIST", TWO), ("UIDL", IDS), ("RETR 1", MESSAGE), ("RETR 2", MESSAGE)]);
    let place = Place::new();
    let fetch = ["--to", "maildir:mail", "--seen", "seen", "--delete"];
    assert_eq!(
        place.plain(Fake::start(&[("LIST", "+OK\r\n.\r\n")]).address, &["--to", "maildir:mail"]).code,
        0
    );
    std::fs::write(place.path("mail/maildirsize"), "30S\n").unwrap();
    let run = place.plain(fake.address, &fetch);
    assert_eq!((run.code, run.out.as_str()), (75, "fetched 1 message, 20 octets\n"), "{}", run.err);
    assert_eq!((files(&place.path("mail/new")), place.seen().as_str()), (1, "a\n"));
    assert!(!fake.said().contains(&"QUIT".to_owned()));
}

#[test]
fn what_stands_in_an_mbox_is_noted_at_once() {
    let fake =
        Fake::start(&[("LIST", TWO), ("UIDL", IDS), ("RETR 1", MESSAGE), ("RETR 2", "+OK\r\nhalf\r\n")]);
    let place = Place::new();
    let more = [&PLAIN[..], &["--to", "mbox:box", "--seen", "seen"]].concat();
    let mut child = place.start(fake.address, &more);
    while !place.path("seen").exists() || place.seen() != "a\n" {
        assert!(child.try_wait().unwrap().is_none());
        thread::yield_now();
    }
    // Others can use it while the server takes its time.
    maildrop::Mbox::new(place.path("box")).append(b"From x\nSubject: other\n\n").unwrap();
    assert!(!place.path("box.lock").exists());
    rustix::process::kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
}

#[test]
fn locks_of_others_are_waited_for_until_a_signal_or_the_time_ends_that() {
    let fake = Fake::start(&[
        ("LIST", "+OK\r\n1 20\r\n.\r\n"),
        ("UIDL", "+OK\r\n1 a\r\n.\r\n"),
        ("RETR 1", MESSAGE),
    ]);
    let more = [&PLAIN[..], &["--to", "mbox:box", "--seen", "seen", "--delete"]].concat();
    for signal in [None, Some(Signal::INT), Some(Signal::TERM)] {
        let place = Place::new();
        std::fs::write(place.path("box.lock"), "0").unwrap();
        let limit: &[&str] = if signal.is_none() { &["--timeout", "1s"] } else { &[] };
        let child = place.start(fake.address, &[&more[..], limit].concat());
        if let Some(signal) = signal {
            while !fake.said.lock().unwrap().iter().any(|line| line == "RETR 1") {
                thread::yield_now();
            }
            rustix::process::kill_process(Pid::from_child(&child), heeded(signal)).unwrap();
        }
        let run = Run::from(child.wait_with_output().unwrap());
        assert_eq!((run.code, run.out.as_str()), (75, ""), "{}", run.err);
        let why =
            if signal.is_none() { "box.lock, but other programs held it for 1 s" } else { "interrupted by" };
        assert!(run.err.contains(why), "{}", run.err);
        assert_eq!(fake.said(), ["LIST", "UIDL", "RETR 1"]);
        assert_eq!((place.path("box").exists(), place.seen().as_str()), (false, ""));
    }
}

#[test]
fn a_sender_hides_no_other_message_of_an_mbox() {
    const LYING: &str =
        "+OK\r\nX-IMAP: 1 2\r\nContent-Length: 5000\r\nStatus: RO\r\nSubject: lies\r\n\r\ntext\r\n.\r\n";
    let fake = Fake::start(&[("LIST", TWO), ("RETR 1", LYING), ("RETR 2", MESSAGE)]);
    let place = Place::new();
    let run = place.plain(fake.address, &["--to", "mbox:box"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let text = place.read("box");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("From MAILER-DAEMON ")).collect();
    assert_eq!(lines, ["Subject: lies", "", "text", "", "Subject: x", "", "text", ""]);
}

#[test]
fn what_was_sent_is_known_again_from_an_mbox() {
    const QUOTED: &str = "+OK\r\nSubject: x\r\n\r\nFrom a\r\n>From b\r\n.\r\n";
    let fake = Fake::start(&[("LIST", "+OK\r\n1 20\r\n.\r\n"), ("RETR 1", QUOTED)]);
    let place = Place::new();
    let run = place.plain(fake.address, &["--to", "mbox:box"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let text = place.read("box");
    assert!(text.ends_with("\nSubject: x\n\n>From a\n>>From b\n\n"), "{text}");
}

#[test]
fn signals_that_were_ignored_stay_so() {
    let fake = Fake::start(&[("LIST", TWO), ("RETR 1", "+OK\r\nSubject: half\r\n")]);
    let place = Place::new();
    let more = [&PLAIN[..], &["--to", "maildir:mail"]].concat();
    let child = place.start_after("trap '' HUP", fake.address, &more);
    while !place.path("mail/tmp").exists() || files(&place.path("mail/tmp")) == 0 {
        thread::yield_now();
    }
    for signal in [Signal::HUP, Signal::TERM] {
        rustix::process::kill_process(Pid::from_child(&child), signal).unwrap();
    }
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!((run.code, run.err.as_str()), (75, "pop3-fetch: interrupted by SIGTERM before the end\n"));
}

#[test]
fn a_token_logs_in_where_the_server_takes_one() {
    const XOAUTH2: &str = "AUTH XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciBzZWNyZXQBAQ==";
    const OAUTHBEARER: &str = "AUTH OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciBzZWNyZXQBAQ==";
    const CAPA: (&str, &str) = ("CAPA", "+OK\r\nUSER\r\nSASL PLAIN XOAUTH2 OAUTHBEARER\r\n.\r\n");
    const NONE: &str = "+OK\r\n.\r\n";
    const EXPIRED: &str = "+ eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJtYWlsIn0=\r\n";
    let place = Place::new();
    let token = ["--token-file", "password"];
    let fake = Fake::start(&[CAPA, ("LIST", NONE), ("UIDL", NONE)]);
    for (auth, command) in [("OAUTHBEARER", OAUTHBEARER), ("XOAUTH2", XOAUTH2)] {
        let run = place.plain(fake.address, &[&token[..], &["--auth", auth]].concat());
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{auth}");
        let said = fake.all();
        assert_eq!(said[..2], ["CAPA", command], "{auth}");
        assert!(said.iter().all(|line| !line.starts_with("USER") && !line.starts_with("APOP")), "{said:?}");
    }
    let fake = Fake::start(&[
        CAPA,
        (XOAUTH2, EXPIRED),
        (OAUTHBEARER, EXPIRED),
        ("", "-ERR [AUTH] no\r\n"),
        ("AQ==", "-ERR no\r\n"),
    ]);
    for auth in ["OAUTHBEARER", "XOAUTH2"] {
        let run = place.plain(fake.address, &[&token[..], &["--auth", auth, "-v"]].concat());
        assert_eq!(run.code, 77, "{auth}: {}", run.err);
        assert!(run.err.contains("invalid_token") && !run.err.contains(XOAUTH2), "{}", run.err);
    }
    let run = place.run(fake.address, &[&token[..], &["--tls", "never"]].concat());
    assert_eq!(run.code, 78, "no token in the clear: {}", run.err);
}

#[test]
fn a_certificate_logs_in_without_a_password() {
    let place = Place::new();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(place.path("authority.pem"), authority.pem()).unwrap();
    for name in ["alice", "mallory"] {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        std::fs::write(place.path(name), params.signed_by(&key, &authority).unwrap().pem()).unwrap();
        std::fs::write(place.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    let mut config = Config::default();
    config.tls.client_ca = Some(place.path("authority.pem"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let builder = PostOffice::builder()
        .config(config)
        .domain("localhost")
        .user("alice", "secret")
        .user("mallory", "secret")
        .in_memory()
        .listen(Service::Pop3, "127.0.0.1:0");
    let office = runtime.block_on(builder.start()).unwrap();
    let server = office.addr(Service::Pop3).unwrap();
    for (file, code) in [("alice", 0), ("mallory", 77)] {
        let key = format!("{file}.key");
        let run = place.run(server, &["--insecure", "--certificate", file, "--key", &key]);
        assert_eq!(run.code, code, "{file}: {}", run.err);
    }
    let run = place.run(server, &["--insecure", "--certificate", "alice", "--key", "mallory.key"]);
    assert_eq!(run.code, 78, "{}", run.err);
    assert!(run.err.contains("alice") && run.err.contains("mallory.key"), "{}", run.err);
}

#[test]
fn a_server_of_another_protocol_is_told_from_a_broken_one() {
    let place = Place::new();
    for (greeting, texts) in [
        ("220 mx.example ESMTP\r\n", ["found \"220 mx.example ESMTP\"", "speak SMTP"]),
        ("* OK [CAPABILITY IMAP4rev1] hi\r\n", ["found \"* OK [CAPABILITY IMAP4rev1] hi\"", "speak IMAP"]),
        ("hello\r\n", ["found \"hello\"", "speak another protocol"]),
        ("+OKAY\r\n", ["expected a space", ""]),
    ] {
        let run = place.plain(speaker(greeting), &[]);
        assert_eq!(run.code, 76, "{greeting}: {}", run.err);
        for text in texts {
            assert!(run.err.contains(text), "{text}: {}", run.err);
        }
        assert_eq!(run.err.contains("port 110"), !greeting.starts_with('+'), "{}", run.err);
    }
    let run = place.plain(speaker(""), &["--timeout", "1s"]);
    assert_eq!(run.code, 75, "{}", run.err);
    assert!(run.err.contains("--tls implicit"), "{}", run.err);
}

#[test]
fn sizes_that_a_server_makes_up_do_no_harm() {
    const HUGE: &str = "+OK\r\n1 18446744073709551615\r\n2 18446744073709551615\r\n.\r\n";
    let fake = Fake::start(&[("LIST", HUGE), ("RETR 1", MESSAGE), ("RETR 2", MESSAGE)]);
    let run = Place::new().plain(fake.address, &["--to", "maildir:mail"]);
    assert_eq!((run.code, run.err.as_str(), run.out.as_str()), (0, "", "fetched 2 messages, 40 octets\n"));
}

#[test]
fn each_message_is_fetched_once_in_whatever_order_it_is_listed() {
    const MIXED: &str = "+OK\r\n2 20\r\n1 20\r\n2 20\r\n.\r\n";
    let fake = Fake::start(&[("LIST", MIXED), ("UIDL", IDS), ("RETR 1", MESSAGE), ("RETR 2", MESSAGE)]);
    let place = Place::new();
    let run = place.plain(fake.address, &["--to", "maildir:mail", "--seen", "seen"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(fake.said(), ["LIST", "UIDL", "RETR 1", "RETR 2", "QUIT"]);
    assert_eq!(place.seen(), "a\nb\n");
}

#[test]
fn a_unique_id_that_different_messages_have_is_not_relied_on() {
    for (sizes, again) in [("+OK\r\n1 20\r\n2 21\r\n.\r\n", 2), (TWO, 0)] {
        let answers = vec![
            ("LIST", sizes),
            ("UIDL", "+OK\r\n1 a\r\n2 a\r\n.\r\n"),
            ("RETR 1", MESSAGE),
            ("RETR 2", MESSAGE),
        ];
        let fake = Fake::start(answers.leak());
        let place = Place::new();
        for fetched in [2, again] {
            let run = place.plain(fake.address, &["--to", "maildir:mail", "--seen", "seen"]);
            assert_eq!((run.code, run.err.as_str()), (0, ""));
            let expected = format!("fetched {fetched} messages, {} octets\n", fetched * 20);
            assert_eq!(run.out, expected, "{sizes:?}");
        }
    }
}
