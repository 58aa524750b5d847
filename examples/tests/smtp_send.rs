//! The program `smtp-send` against a post office, and against servers that misbehave: what it prints, how it ends.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside of test functions, and a failure is to fail the test"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use mailwright::office::{FaultRule, Stage};
use mailwright::{PostOffice, Service};
use tempfile::TempDir;

/// How a run of the program ended.
struct Run {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program with the message on its standard input.
fn smtp_send(arguments: &[&str], message: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_smtp-send"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A run that ends before it reads is fine.
    let _ = child.stdin.take().unwrap().write_all(message.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

const ENVELOPE: [&str; 4] = ["--from", "alice@example.test", "--to", "bob@example.test"];
const MESSAGE: &str = "Subject: hi\n\n.It works.\n";

/// A post office that runs until it is dropped, beside the test.
struct Office {
    office: PostOffice,
    _runtime: tokio::runtime::Runtime,
    folder: TempDir,
}

impl Office {
    fn start(rules: Vec<FaultRule>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut builder = PostOffice::builder()
            .domain("example.test")
            .user("bob", "secret")
            .in_memory()
            .listen(Service::Smtp, "127.0.0.1:0")
            .listen(Service::Submission, "127.0.0.1:0")
            .listen(Service::Submissions, "127.0.0.1:0")
            .listen(Service::Lmtp, "127.0.0.1:0");
        for rule in rules {
            builder = builder.fault(rule);
        }
        let office = runtime.block_on(builder.start()).unwrap();
        Self { office, _runtime: runtime, folder: tempfile::tempdir().unwrap() }
    }

    fn server(&self, service: Service) -> String {
        self.office.addr(service).unwrap().to_string()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Sends to a service with more arguments.
    fn send(&self, service: Service, more: &[&str], message: &str) -> Run {
        let server = self.server(service);
        let arguments = [&ENVELOPE[..], &["--server", &server], more].concat();
        smtp_send(&arguments, message)
    }
}

#[test]
fn a_message_arrives_and_each_recipient_is_told_of() {
    let office = Office::start(Vec::new());
    let run = office.send(Service::Smtp, &["-"], MESSAGE);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(run.out.starts_with("accepted <bob@example.test>: 250 2.0.0"), "{}", run.out);
    let mails = office.office.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].from(), "alice@example.test");
    assert!(mails[0].message().unwrap().ends_with(b"Subject: hi\r\n\r\n.It works.\r\n"));
    let run = office.send(Service::Smtp, &["--to", "nobody@example.test", "-"], MESSAGE);
    assert_eq!(run.code, 67);
    assert!(run.out.starts_with("accepted <bob@example.test>"), "{}", run.out);
    assert!(run.err.starts_with("smtp-send: <nobody@example.test> refused: 550 5.1.1"), "{}", run.err);
}

#[test]
fn lmtp_is_spoken_too() {
    let office = Office::start(Vec::new());
    let run = office.send(Service::Lmtp, &["--lmtp", "--to", "nobody@example.test", "-v", "-"], MESSAGE);
    assert_eq!(run.code, 67, "{}", run.err);
    assert!(run.err.contains("C: LHLO [127.0.0.1]\n"), "{}", run.err);
    assert_eq!(office.office.mails().len(), 1);
}

#[test]
fn the_transcript_shows_the_conversation_but_no_password() {
    let office = Office::start(Vec::new());
    let password = office.file("password", "secret\n");
    let password = password.to_str().unwrap();
    for (service, tls) in [(Service::Submission, "require"), (Service::Submissions, "implicit")] {
        for mechanism in ["PLAIN", "LOGIN", "SCRAM-SHA-256-PLUS"] {
            let more = ["--tls", tls, "--insecure", "--user", "bob", "--password-file", password];
            let run = office.send(
                service,
                &[&more[..], &["--auth", mechanism, "-v", "--from", "bob@example.test", "-"]].concat()[..],
                MESSAGE,
            );
            // The sender given twice: clap refuses.
            assert_eq!(run.code, 64, "{}", run.err);
            let server = office.server(service);
            let arguments = ["--from", "bob@example.test", "--to", "bob@example.test", "--server", &server];
            let arguments = [&arguments[..], &more, &["--auth", mechanism, "-v", "-"]].concat();
            let run = smtp_send(&arguments, MESSAGE);
            assert_eq!(run.code, 0, "{}", run.err);
            assert!(run.err.contains("-- TLSv1.3 with TLS13_") || run.err.contains("-- TLSv1.3 with TLS_"));
            assert!(run.err.contains("C: QUIT\nS: 221 "), "{}", run.err);
            assert!(run.err.contains(&format!("C: AUTH {mechanism}")), "{}", run.err);
            for secret in ["c2VjcmV0", "AGJvYgBzZWNyZXQ", "It works"] {
                assert!(!run.err.contains(secret), "{}", run.err);
            }
        }
    }
}

#[test]
fn certificates_are_verified_where_tls_is_required() {
    let office = Office::start(Vec::new());
    let ca = office.file("ca.pem", office.office.certificate_pem().unwrap());
    let ca = ca.to_str().unwrap();
    let other =
        office.file("other.pem", mailwright::tls::SelfSigned::generate(["x"]).unwrap().certificate_pem());
    let other = other.to_str().unwrap();
    let named = ["--tls", "require", "--tls-name", "example.test"];
    let send = |more: &[&str]| office.send(Service::Smtp, &[&named[..], more, &["-"]].concat(), MESSAGE);
    let run = send(&["--ca-file", ca]);
    assert_eq!(run.code, 0, "{}", run.err);
    let run = send(&["--ca-file", other]);
    assert_eq!(run.code, 76, "{}", run.err);
    assert!(run.err.contains("TLS handshake"), "{}", run.err);
    assert!(run.err.contains("--ca-file"), "{}", run.err);
    let run = send(&["--ca-file", "/nonexistent/ca.pem"]);
    assert_eq!(run.code, 78, "{}", run.err);
    let run = send(&["--insecure"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let run = office.send(Service::Smtp, &["--tls", "never", "-v", "-"], MESSAGE);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(!run.err.contains("STARTTLS\nS: 220"), "{}", run.err);
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let office = Office::start(vec![
        FaultRule::at(Stage::Mail).matching("busy@*").refuse(451, (4, 3, 0), "busy"),
        FaultRule::at(Stage::Mail).matching("never@*").refuse(550, (5, 7, 1), "never"),
    ]);
    let server = office.server(Service::Smtp);
    let wrong = office.file("wrong", "wrong\n");
    let empty = office.file("empty", "\n");
    let (wrong, empty) = (wrong.to_str().unwrap(), empty.to_str().unwrap());
    let base = ["--server", &server, "--to", "bob@example.test"];
    let submission = office.server(Service::Submission);
    let login =
        ["--server", &submission, "--to", "bob@example.test", "--from", "bob@example.test", "--user", "bob"];
    let cases: &[(&[&str], &[&str], i32)] = &[
        (&base, &["--from", "busy@x", "-"], 75),
        (&base, &["--from", "never@x", "-"], 69),
        (&base, &["--from", "a@x", "/nonexistent/mail.eml"], 66),
        (&base, &["--from", "not an address", "-"], 64),
        (&base, &["--from", "a@x"], 64),
        (&base, &["--from", "a@x", "--timeout", "0s", "-"], 64),
        (&base, &["--from", "a@x", "--size", "1MiB", "-"], 64),
        (&base, &["--from", "a@x", "--mail-params", "RET=SOME", "-"], 64),
        (&base, &["--from", "a@x", "--size", "60MiB"], 65),
        (&base, &["--from", "a@x", "--tls", "never", "--mail-params", "REQUIRETLS", "-"], 69),
        (&login, &["--insecure", "--password-file", wrong, "-"], 77),
        (&login, &["--insecure", "--password-file", empty, "-"], 78),
        (&login, &["--insecure", "-"], 64),
        (&login, &["--insecure", "--password-file", wrong, "--auth", "EXTERNAL", "-"], 78),
        (&["--help"], &[], 0),
        (&["--version"], &[], 0),
    ];
    for (first, second, code) in cases {
        let run = smtp_send(&[*first, second].concat(), MESSAGE);
        assert_eq!(run.code, *code, "{second:?}: {}{}", run.out, run.err);
        assert_eq!(run.err.is_empty(), *code == 0, "{second:?}: {}", run.err);
    }
}

/// A server that says these lines to each client, each after it has read one, then closes.
fn scripted(lines: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            converse(stream, lines);
        }
    });
    address
}

fn converse(mut stream: TcpStream, lines: &[&str]) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for (index, line) in lines.iter().enumerate() {
        if index > 0 && reader.read_line(&mut String::new()).unwrap_or(0) == 0 {
            return;
        }
        if stream.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
    // What the client says last is read, so that no reset overtakes what it was told.
    let _ = reader.read_line(&mut String::new());
}

#[test]
fn servers_that_misbehave_are_told_apart() {
    let cases: &[(&'static [&'static str], &str, i32, &str)] = &[
        (&["HTTP/1.1 400 Bad Request\r\n"], MESSAGE, 76, "expected a reply code"),
        (&["554 no\r\n"], MESSAGE, 69, "refused in the greeting: 554 no"),
        (&["421 busy\r\n"], MESSAGE, 75, "421 busy"),
        (&["220 mx\r\n", "250 mx\r\n"], "Subject: \u{e4}\n\n", 65, "does not offer 8BITMIME"),
        (&["220 mx\r\n", "250-mx\r\n250 8BITMIME\r\n"], "Subject: \u{e4}\n\n", 65, "does not offer SMTPUTF8"),
        (&["220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n"], "\n", 75, "may or may not"),
    ];
    for (lines, message, code, text) in cases {
        let server = scripted(lines).to_string();
        let run = smtp_send(&[&ENVELOPE[..], &["--server", &server, "-"]].concat(), message);
        assert_eq!(run.code, *code, "{lines:?}: {}", run.err);
        assert!(run.err.contains(text), "{lines:?}: {}", run.err);
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let run = smtp_send(&[&ENVELOPE[..], &["--server", &nobody, "-"]].concat(), MESSAGE);
    assert_eq!(run.code, 75, "{}", run.err);
}

#[test]
fn many_messages_go_over_few_connections() {
    let office = Office::start(Vec::new());
    for more in [&["--reconnect"][..], &["--threads", "2"], &["--chunking", "never", "--no-pipelining"]] {
        office.office.forget();
        let load = ["--size", "2000", "--count", "50", "--connections", "4"];
        let run = office.send(Service::Smtp, &[&load[..], more].concat(), "");
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{more:?}");
        assert!(run.out.starts_with("accepted 50, refused 0, failed 0\n"), "{}", run.out);
        assert!(run.out.contains("latency p50 "), "{}", run.out);
        assert_eq!(office.office.mails().len(), 50, "{more:?}");
    }
}

#[test]
fn failures_among_many_are_counted_and_the_worst_is_told() {
    let office = Office::start(vec![
        FaultRule::at(Stage::Mail).after(3).times(2).refuse(451, (4, 3, 0), "busy"),
        FaultRule::at(Stage::Mail).after(5).times(1).drop_connection(),
    ]);
    let run = office.send(Service::Smtp, &["--size", "2000", "--count", "10"], "");
    assert_eq!(run.code, 75, "{}", run.err);
    assert!(run.out.starts_with("accepted 7, refused 2, failed 1\n"), "{}", run.out);
    assert!(run.err.contains("451 4.3.0 busy"), "{}", run.err);
    assert_eq!(office.office.mails().len(), 7);
    // For good before for now, whichever comes first.
    for permanent in [1, 4] {
        let office = Office::start(vec![
            FaultRule::at(Stage::Mail).after(permanent).times(1).refuse(554, (5, 7, 1), "never"),
            FaultRule::at(Stage::Mail).after(2).times(1).refuse(451, (4, 3, 0), "busy"),
            FaultRule::at(Stage::Mail).after(6).times(1).refuse(451, (4, 3, 0), "busy"),
        ]);
        let run = office.send(Service::Smtp, &["--size", "2000", "--count", "10"], "");
        assert_eq!(run.code, 69, "{}", run.err);
        assert!(run.out.starts_with("accepted 7, refused 3, failed 0\n"), "{}", run.out);
        assert!(run.err.contains("554 5.7.1 never"), "{}", run.err);
    }
}

#[test]
fn a_long_message_goes_from_a_file_and_from_a_pipe_alike() {
    let office = Office::start(Vec::new());
    let text =
        "Subject: long\n\n".to_owned() + &".a line of some length, and a dot before it\n".repeat(30_000);
    let wire = text.replace('\n', "\r\n");
    let file = office.file("long", &text);
    for (path, input) in [(file.to_str().unwrap(), ""), ("-", &text), ("/dev/stdin", &text)] {
        for chunking in ["never", "always"] {
            office.office.forget();
            let run = office.send(Service::Smtp, &["--chunking", chunking, "--count", "2", path], input);
            assert_eq!((run.code, run.err.as_str()), (0, ""), "{path}");
            let mails = office.office.mails();
            assert_eq!(mails.len(), 2, "{path}");
            for mail in mails {
                assert!(mail.message().unwrap().ends_with(wire.as_bytes()), "{path} by {chunking}");
            }
        }
    }
}

#[test]
fn eight_bit_bytes_that_were_denied_are_not_sent() {
    let office = Office::start(Vec::new());
    let more = ["--mail-params", "BODY=7BIT", "-"];
    let run = office.send(Service::Smtp, &more, "Subject: x\n\n\u{e4}\n");
    assert_eq!(run.code, 65, "{}", run.err);
    assert!(run.err.contains("expected a message of 7-bit bytes, found another at byte 12"), "{}", run.err);
    assert_eq!(office.office.mails().len(), 0);
}

#[test]
fn a_server_that_closes_after_each_message_costs_connections_not_messages() {
    let lines = &[
        "220 mx\r\n",
        "250 mx\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "",
        "",
        "",
        "",
        "250 ok\r\n421 bye\r\n",
    ];
    let server = scripted(lines).to_string();
    let load = ["--server", &server, "--size", "1", "--count", "3"];
    let run = smtp_send(&[&ENVELOPE[..], &load].concat(), "");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(run.out.starts_with("accepted 3, refused 0, failed 0\n"), "{}", run.out);
}

#[test]
fn a_server_that_is_not_there_ends_the_run_soon() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let load = ["--server", &nobody, "--size", "100", "--count", "1000000"];
    let run = smtp_send(&[&ENVELOPE[..], &load].concat(), "");
    assert_eq!(run.code, 75, "{}", run.err);
    assert!(run.out.starts_with("accepted 0, refused 0, failed 1000000\n"), "{}", run.out);
}
