//! Limits, stopping, and the program itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::client::Client;
use mailwright::{PostOffice, Service};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use x509_cert::der::Decode;

async fn smtp(office: &PostOffice) -> Client {
    Client::connect(office.addr(Service::Smtp).unwrap()).await
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_421() {
    let office = PostOffice::builder()
        .user("alice", "secret")
        .max_connections(10, 2)
        .listen(Service::Smtp, "127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let addr = office.addr(Service::Smtp).unwrap();
    let (mut one, mut two) = (Client::connect(addr).await, Client::connect(addr).await);
    let mut three = Client::silent(addr).await;
    three.expect("421 4.7.0").await;
    three.expect_end().await;
    one.say("QUIT", "221").await;
    one.expect_end().await;
    drop(one);
    while office.connections() > 1 {
        tokio::task::yield_now().await;
    }
    Client::connect(addr).await.say("NOOP", "250").await;
    two.say("NOOP", "250").await;
}

#[tokio::test]
async fn a_shutdown_finishes_the_message_under_way_and_tells_the_rest() {
    let data = tempfile::tempdir().unwrap();
    let office = PostOffice::builder()
        .data(data.path())
        .user("alice", "secret")
        .listen(Service::Smtp, "127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let addr = office.addr(Service::Smtp).unwrap();
    let mut idle = smtp(&office).await;
    let mut busy = smtp(&office).await;
    busy.begin("alice@localhost").await;
    busy.send("Subject: x\r\n\r\nhalf of it\r\n").await;
    let stopping = tokio::spawn(office.shutdown());
    idle.expect("421 4.3.2").await;
    idle.expect_end().await;
    drop(idle);
    while tokio::net::TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    busy.send("and the other half\r\n.\r\n").await;
    busy.expect("250 2.0.0").await;
    busy.expect("421").await;
    busy.expect_end().await;
    drop(busy);
    stopping.await.unwrap();
    assert_eq!(std::fs::read_dir(data.path().join("mail/alice/Maildir/new")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let mut config = mailwright::config::Config::default();
    config.timeouts.shutdown.0 = Duration::from_millis(200);
    let data = tempfile::tempdir().unwrap();
    config.data = data.path().to_owned();
    let office = PostOffice::builder()
        .config(config)
        .user("alice", "secret")
        .listen(Service::Smtp, "127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let mut stuck = smtp(&office).await;
    stuck.begin("alice@localhost").await;
    stuck.send("Subject: never ends\r\n").await;
    office.shutdown().await;
    stuck.expect_end().await;
}

#[tokio::test]
async fn dropping_an_office_cuts_everybody_off() {
    let office = PostOffice::builder()
        .user("alice", "secret")
        .listen(Service::Smtp, "127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let mut client = smtp(&office).await;
    drop(office);
    client.expect_end().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let error = PostOffice::builder()
        .user("alice", "secret")
        .listen(Service::Smtp, &addr)
        .start()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains(&addr) && error.contains("smtp"), "{error}");
}

/// The program, running; killed on drop.
struct Program {
    child: Child,
    smtp: SocketAddr,
}

impl Program {
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_postoffice"))
            .arg("serve")
            .args(["--user", "alice:secret", "--listen", "smtp=127.0.0.1:0", "--log", "error", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let first = lines.next().unwrap();
        let smtp = first.strip_prefix("listening smtp ").unwrap().parse().unwrap();
        assert_eq!(lines.next().as_deref(), Some("ready"));
        Self { child, smtp }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_kill_of_the_process() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(data.path(), &[]);
    let mut client = Client::connect(program.smtp).await;
    assert!(client.deliver("alice@localhost", "Subject: x\r\n\r\nhi").await.starts_with("250"));
    program.signal(rustix::process::Signal::KILL);
    let new = data.path().join("mail/alice/Maildir/new");
    let files: Vec<_> = std::fs::read_dir(new).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert!(std::fs::read_to_string(&files[0]).unwrap().ends_with("Subject: x\n\nhi\n"));
}

#[tokio::test]
async fn sigterm_ends_the_program_in_order() {
    let data = tempfile::tempdir().unwrap();
    let mut program = Program::start(data.path(), &[]);
    let mut client = Client::connect(program.smtp).await;
    program.signal(rustix::process::Signal::TERM);
    client.expect("421 4.3.2").await;
    client.expect_end().await;
    drop(client);
    assert!(program.child.wait().unwrap().success());
}

#[tokio::test]
async fn sigterm_ends_the_program_in_time_though_a_password_is_being_checked() {
    let data = tempfile::tempdir().unwrap();
    // So many rounds take a minute or more; nothing waits for their end.
    let hash = format!("$6$rounds=9999999$salt${}", ".".repeat(86));
    let config = data.path().join("p.toml");
    let text = format!(
        "[users]\nbob = \"{{SHA512-CRYPT}}{hash}\"\n[timeouts]\nshutdown = \"100ms\"\n[auth]\nplaintext_without_tls = true\n"
    );
    std::fs::write(&config, text).unwrap();
    let mut program = Program::start(data.path(), &["--config", config.to_str().unwrap()]);
    let mut client = Client::connect(program.smtp).await;
    client.say("EHLO client.test", "250").await;
    client.send("AUTH PLAIN AGJvYgB4\r\n").await;
    // A reply on another connection shows that the line before it has been read.
    let mut other = Client::connect(program.smtp).await;
    other.say("NOOP", "250").await;
    program.signal(rustix::process::Signal::TERM);
    program.child.wait().unwrap();
}

#[tokio::test]
async fn mail_goes_on_though_nobody_reads_the_log() {
    let data = tempfile::tempdir().unwrap();
    let (unread, stderr) = std::io::pipe().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_postoffice"))
        .args(["serve", "--user", "alice:secret", "--listen", "smtp=127.0.0.1:0", "--log", "info", "--data"])
        .arg(data.path())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let smtp = lines.next().unwrap().strip_prefix("listening smtp ").unwrap().parse().unwrap();
    let mut program = Program { child, smtp };
    let mut client = Client::connect(program.smtp).await;
    // Each has a line of more than 200 bytes in the log, and the pipe has room for 64 KiB.
    for _ in 0..400 {
        assert!(client.deliver("alice@localhost", "Subject: x\r\n\r\nhi").await.starts_with("250"));
    }
    program.signal(rustix::process::Signal::TERM);
    program.child.wait().unwrap();
    drop(unread);
}

fn postoffice(args: &[&str], input: &str) -> (bool, String, String) {
    let (code, out, error) = postoffice_code(args, input);
    (code == 0, out, error)
}

/// Runs the program: exit code, standard output and standard error.
fn postoffice_code(args: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_postoffice"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without reading, for an error in its arguments.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn hashes_of_passwords_log_in() {
    for scheme in ["PLAIN", "argon2id", "{SCRAM-SHA-256}", "SHA512-CRYPT"] {
        let (done, line, _) = postoffice(&["passwd", "--scheme", scheme, "--user", "alice"], "secret\n");
        assert!(done);
        let hash = line.trim_end().strip_prefix("alice:").unwrap();
        mailwright::users::StoredPassword::parse(hash).unwrap();
        assert_eq!(hash.contains("secret"), scheme == "PLAIN");
    }
    let (done, _, error) = postoffice(&["passwd", "--scheme", "MD5"], "secret\n");
    assert!(!done && error.contains("ARGON2ID"), "{error}");
    let (done, _, error) = postoffice(&["passwd"], "\n");
    assert!(!done && error.contains("expected a password"), "{error}");
}

#[test]
fn a_certificate_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let args = ["cert", "--domain", "localhost", "--cert", &cert, "--key", &key];
    assert!(postoffice(&args, "").0);
    mailwright::tls::ServerTls::from_pem_files(cert.as_ref(), key.as_ref()).unwrap();
    let (done, _, error) = postoffice(&args, "");
    assert!(!done && error.contains("not overwritten"), "{error}");
}

#[test]
fn a_certificate_is_valid_for_as_many_days_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let days = |days: &str| {
        let _ = (std::fs::remove_file(&cert), std::fs::remove_file(&key));
        postoffice(&["cert", "--domain", "a.test", "--cert", &cert, "--key", &key, "--days", days], "")
    };
    for asked in [1, 90, 36_500] {
        let now = SystemTime::now();
        assert!(days(&asked.to_string()).0);
        let der = CertificateDer::from_pem_file(&cert).unwrap();
        let end = x509_cert::Certificate::from_der(&der).unwrap().tbs_certificate().validity().not_after;
        let days =
            (end.to_system_time() + Duration::from_secs(60)).duration_since(now).unwrap().as_secs() / 86_400;
        assert_eq!(days, asked);
    }
    for bad in ["0", "-1", "36501", "soon"] {
        assert!(!days(bad).0, "{bad}");
    }
}

#[test]
fn a_limit_below_the_least_is_told_at_start() {
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("p.toml");
    std::fs::write(&config, "data = \"d\"\n[limits]\nrecipients = 7\n[users]\na = \"b\"\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_postoffice"))
        .args([
            "serve",
            "--listen",
            "smtp=127.0.0.1:0",
            "--max-message-size",
            "1000",
            "--log",
            "warn",
            "--config",
        ])
        .arg(&config)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    while !ready.ends_with("ready\n") {
        assert_ne!(out.read_line(&mut ready).unwrap(), 0, "{ready}");
    }
    // The log has a thread of its own.
    let mut logs = String::new();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    while logs.lines().count() < 2 {
        assert_ne!(log.read_line(&mut logs).unwrap(), 0, "{logs}");
    }
    child.kill().unwrap();
    log.read_to_string(&mut logs).unwrap();
    child.wait().unwrap();
    for expected in
        ["limit=\"message_size\" asked=1000 taken=65536", "limit=\"recipients\" asked=7 taken=100"]
    {
        assert!(logs.contains("WARN") && logs.contains(expected), "{logs}");
    }
    assert_eq!(logs.lines().count(), 2, "{logs}");
}

#[test]
fn errors_say_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let path = |name: &str| data.path().join(name).to_str().unwrap().to_owned();
    let (users, config, bad) = (path("users"), path("p.toml"), path("bad.toml"));
    std::fs::write(&users, "alice:{PLAIN}x\nbob:{MD5}y\n").unwrap();
    std::fs::write(&config, "domain = \"x.test\"\n").unwrap();
    std::fs::write(&bad, "[users]\nalice = \"x\"\nbob = \"{MD5}y\"\n").unwrap();
    let (late, filter) = (path("late.toml"), path("filter.toml"));
    std::fs::write(&late, "data = \"d\"\npostmaster = \"nobody\"\n[users]\nalice = \"x\"\n").unwrap();
    let text = "data = \"d\"\n[users]\nalice = \"x\"\n[filter]\nprograms = true\n  run_as = \"root\"\n";
    std::fs::write(&filter, text).unwrap();
    let listen = ["--listen", "smtp=127.0.0.1:0"];
    let cases: [(&[&str], &str); 9] = [
        (&["--config", &late, listen[0], listen[1]], "late.toml:2:1: expected postmaster to be one of"),
        (
            &["--config", &late, "--postmaster", "joe", listen[0], listen[1]],
            "postoffice: expected postmaster to be one of the users, found \"joe\"",
        ),
        (
            &["--config", &filter, listen[0], listen[1]],
            "filter.toml:6:3: expected filter.run_as to name another",
        ),
        (&["--data", &path("d")], "add --user NAME:PASSWORD"),
        (&["--data", &path("d"), "--users", &users], "users:2: expected a password scheme of {PLAIN}"),
        (&["--config", &config], "p.toml:1:1: unknown field `domain`"),
        (&["--config", &bad], "bad.toml:3:7: expected a password scheme of {PLAIN}"),
        (&["--user", "a:b", "--listen", "smpt=127.0.0.1:0"], "expected a service of smtp, submission"),
        (&["--data", &path("d"), "--user", "../a:b", "--listen", "smtp=127.0.0.1:0"], "user \"../a\""),
    ];
    for (args, expected) in cases {
        let args: Vec<&str> = ["serve"].into_iter().chain(args.iter().copied()).collect();
        let (done, _, error) = postoffice(&args, "");
        assert!(!done && error.contains(expected), "{args:?}: {error}");
    }
}

#[tokio::test]
async fn nobody_to_log_in_and_no_domain_are_told_at_start() {
    use mailwright::config::Config;

    let folder = tempfile::tempdir().unwrap();
    let start = async |text: &str, service| {
        let mut config = Config::parse(text, Path::new("p.toml")).unwrap();
        config.data = folder.path().join("data");
        if text.is_empty() {
            config.domains.clear();
        }
        let builder = PostOffice::builder().config(config).user("alice", "secret");
        builder.listen(service, "127.0.0.1:0").start().await.map(drop).map_err(|error| error.to_string())
    };
    let none = "[auth]\nmechanisms = []";
    for service in [Service::Submission, Service::Submissions] {
        let error = start(none, service).await.unwrap_err();
        assert!(error.starts_with("expected SASL mechanisms for submission"), "{error}");
    }
    let other = "[auth]\nmechanisms = [\"XOAUTH2\"]";
    start(other, Service::Submission).await.unwrap_err();
    start(none, Service::Smtp).await.unwrap();
    start(none, Service::Lmtp).await.unwrap();
    let error = start("", Service::Smtp).await.unwrap_err();
    assert!(error.starts_with("expected a domain at least"), "{error}");
}

#[test]
fn exit_codes_tell_a_wrong_command_line_from_the_rest() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("smtp={}", taken.local_addr().unwrap());
    for (args, expected) in [
        (&["--help"][..], 0),
        (&["serve", "--help"], 0),
        (&["--version"], 0),
        (&[], 64),
        (&["sevre"], 64),
        (&["serve", "--listen", "smpt=127.0.0.1:0"], 64),
        (&["passwd", "--scheme", "MD5"], 64),
        (&["passwd", "--user", "a:b"], 64),
        (&["passwd"], 78),
        (&["serve", "--config", "/nonexistent/p.toml"], 78),
        (&["serve", "--data", data, "--user", "a:b", "--listen", &taken], 78),
    ] {
        let (code, out, error) = postoffice_code(args, "\n");
        assert_eq!(code, expected, "{args:?}: {error}");
        assert_eq!(out.is_empty(), expected != 0, "{args:?}: {out}");
    }
    let (_, help, _) = postoffice_code(&["--help"], "");
    assert!(help.contains("  64  ") && help.contains("  78  "), "{help}");
}
