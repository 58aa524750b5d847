//! Plays one case and compares what came out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use procmail_engine::eval::{Evaluator, Setup};
use procmail_engine::mail::Mail;

use crate::archive::Case;
use crate::host::Host;

const DATE: &str = "Mon Jan  1 00:00:00 2024";
const SENDMAIL: &str = "#!/bin/sh\n{ printf 'ARGS:'; for a in \"$@\"; do printf ' <%s>' \"$a\"; done; echo; cat; \
    echo '=EOM='; } >>\"$HOME/sent\"\n";
const ARGS: &str = "#!/bin/sh\nfor a in \"$@\"; do printf \"<%s>\\n\" \"$a\"; done\n";
const EXIT: &str = "#!/bin/sh\ncat >/dev/null\nexit \"$1\"\n";

pub(crate) fn differences(case: &Case) -> String {
    let mut report = String::new();
    let quiet = run(case, false);
    let lines = |text: &str| case.text(text).unwrap_or_default();
    let mut compare = |what: &str, expected: &str, got: &str| {
        if expected != got {
            let _ = write!(report, "--- {what}: expected\n{expected}\n--- got\n{got}\n");
        }
    };
    compare("exit code", lines("expect.code").trim(), &quiet.code.to_string());
    compare("tree", lines("expect.tree").trim(), quiet.tree.trim());
    for (name, bytes) in &case.files {
        if let Some(name) = name.strip_prefix("expect/") {
            let got = quiet.files.get(name).map(|got| String::from_utf8_lossy(got).into_owned());
            compare(name, &String::from_utf8_lossy(bytes), &got.unwrap_or_default());
        }
    }
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.split('\n').collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    // A shell that nobody waits for complains when it gets to it.
    let unordered = case.files.contains_key("unordered") || case.name == "flag-w-notfound";
    let order = |text: &str| if unordered { sorted(text) } else { text.to_owned() };
    compare("stdout", &lines("expect.stdout"), &quiet.stdout);
    compare("log", &order(&lines("expect.log")), &order(&quiet.log));
    compare("stderr", &order(&lines("expect.stderr")), &order(&quiet.stderr));
    let verbose = run(case, true);
    // Programs tell of their start whenever they get to it.
    if sorted(&lines("expect.vlog")) != sorted(&verbose.log) {
        compare("verbose log", &lines("expect.vlog"), &verbose.log);
    }
    report
}

/// The programs that rc files call. They are written once, before any process is started: a file that a forked child still
/// has open for writing cannot be executed.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("programs-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        for (name, text) in [("sendmail", SENDMAIL), ("args", ARGS), ("rc", EXIT)] {
            let file = place.join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        place
    })
}

struct Played {
    code: i32,
    tree: String,
    files: BTreeMap<String, Vec<u8>>,
    log: String,
    stderr: String,
    stdout: String,
}

fn run(case: &Case, verbose: bool) -> Played {
    // As long as the paths of the recording, which count in logged sizes.
    let base = tempfile::Builder::new().prefix("pmc").rand_bytes(8).tempdir_in("/tmp").unwrap();
    let home = base.path().join("h");
    fs::create_dir(&home).unwrap();
    let home_text = home.to_str().unwrap().to_owned();
    let stderr = base.path().join("stderr");
    fs::create_dir(home.join(".t")).unwrap();
    for name in ["sendmail", "args", "rc"] {
        std::os::unix::fs::symlink(programs().join(name), home.join(".t").join(name)).unwrap();
    }
    for (name, bytes) in &case.files {
        let Some(name) = name.strip_prefix("home/") else { continue };
        let file = home.join(name.trim_end_matches('*'));
        if name.ends_with('/') {
            fs::create_dir_all(&file).unwrap();
            continue;
        }
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let text_file = |name: &str| case.text(name).unwrap_or_default().replace("@HOME@", &home_text);
    if let Some(rc) = case.files.get("rc") {
        fs::write(home.join("rc"), replace(rc, b"@HOME@", home_text.as_bytes())).unwrap();
    }
    if case.files.contains_key("setup") {
        let script = base.path().join("setup");
        fs::write(&script, &case.files["setup"]).unwrap();
        let status = Command::new("/bin/sh")
            .arg("-c")
            .arg("umask 022; . \"$0\"")
            .arg(&script)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &home)
            .current_dir(&home)
            .status()
            .unwrap();
        assert!(status.success(), "the setup of {}", case.name);
    }
    let mut standard: Vec<String> =
        ["HOME=", "SHELL=/bin/sh", "DEFAULT=/default", "ORGMAIL=/orgmail", "LOGFILE=/log"]
            .iter()
            .map(|text| match *text {
                "HOME=" => format!("HOME={home_text}"),
                "SHELL=/bin/sh" => text.to_string(),
                other => other.replacen('/', &format!("{home_text}/"), 1),
            })
            .collect();
    if verbose {
        standard.push("VERBOSE=yes".to_owned());
    }
    let arguments = match case.files.get("args") {
        Some(_) => text_file("args").trim_end_matches('\n').split('\n').map(str::to_owned).collect(),
        None => vec!["@STD@".to_owned(), format!("{home_text}/rc")],
    };
    let arguments = arguments
        .into_iter()
        .flat_map(|argument| if argument == "@STD@" { standard.clone() } else { vec![argument] });
    let mail =
        case.files.get("mail").cloned().unwrap_or_else(|| include_bytes!("cases/default.mail").to_vec());
    let (setup, mail) = command_line(arguments.collect(), mail, &text_file("env"));
    let mut host = Host::new(&home, &stderr);
    let finished = host.evaluate(Evaluator::new(setup, Mail::new(mail)));
    host.wait();
    let log = fs::read(home.join("log")).unwrap_or_default();
    let (tree, files) = snapshot(&home, &home_text);
    Played {
        code: finished.code,
        tree,
        files,
        log: normal(&log, &home_text),
        stderr: normal(&fs::read(&stderr).unwrap_or_default(), &home_text),
        stdout: normal(&host.stdout(), &home_text),
    }
}

/// Options, assignments and rc files, as the program takes them.
fn command_line(arguments: Vec<String>, mut mail: Vec<u8>, environment: &str) -> (Setup, Vec<u8>) {
    let mut setup = Setup::new()
        .variable("LOGNAME", "root")
        .variable("HOME", "/root")
        .variable("SHELL", "/bin/bash")
        .variable("ORGMAIL", "/var/mail/root")
        .variable("DEFAULT", "/var/mail/root")
        .variable("MAILDIR", "/root")
        .variable("TZ", "UTC")
        .variable("HOST", "@HOST@")
        .variable("PROCMAIL_VERSION", "3.23pre");
    setup.host = b"@HOST@".to_vec();
    setup.program = b"/usr/bin/procmail".to_vec();
    setup.process = std::process::id();
    let mut filter = false;
    let mut keep = false;
    let mut sender: Option<String> = None;
    let mut arguments = arguments.into_iter();
    let mut rest = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix('-') {
            Some("-") => {
                rest.extend(arguments.by_ref());
            }
            Some(options) if rest.is_empty() => {
                for (at, letter) in options.char_indices() {
                    let tail = &options[at + 1..];
                    let mut value =
                        || if tail.is_empty() { arguments.next().unwrap() } else { tail.to_owned() };
                    match letter {
                        'm' => filter = true,
                        'p' => keep = true,
                        't' => setup.requeues = true,
                        'Y' => setup.obeys_content_length = false,
                        'f' | 'r' => {
                            sender = Some(value());
                            break;
                        }
                        'a' => {
                            setup.arguments.push(value().into_bytes());
                            break;
                        }
                        _ => {}
                    }
                }
            }
            _ => rest.push(argument),
        }
    }
    if filter {
        setup.falls_back = false;
        // Only with `-p` is there a mailbox to fall back on.
        if !keep {
            setup.environment.retain(|(name, _)| name != b"ORGMAIL");
        }
        let at = rest.iter().position(|argument| !argument.contains('=')).unwrap_or(rest.len());
        setup.assignments = rest[..at].iter().map(|text| text.clone().into_bytes()).collect();
        setup.rc_files = rest.get(at).map(|text| text.clone().into_bytes()).into_iter().collect();
        setup.arguments = rest.iter().skip(at + 1).map(|text| text.clone().into_bytes()).collect();
    } else {
        let (assignments, files): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|argument| argument.contains('='));
        setup.assignments = assignments.into_iter().map(String::into_bytes).collect();
        setup.rc_files = files.into_iter().map(String::into_bytes).collect();
    }
    if keep {
        for (name, value) in environment.lines().filter_map(|line| line.split_once('=')) {
            if !name.starts_with("LD_") {
                setup.environment.insert(0, (name.into(), value.into()));
            }
        }
        setup = setup.variable("LC_ALL", "C");
    }
    setup = setup.variable("PATH", "/root/bin:/usr/local/bin:/usr/bin:/bin");
    let home = setup.assignments.iter().filter_map(|text| text.strip_prefix(b"HOME=")).next_back();
    setup.directory = Some(if filter { b".".to_vec() } else { home.unwrap_or(b"/root").to_vec() });
    if let Some(sender) = sender {
        let end = mail.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let mut who = sender;
        if mail.starts_with(b"From ") {
            if who == "-" {
                who = String::from_utf8_lossy(&mail[5..end]).split(' ').next().unwrap().to_owned();
            }
            mail.drain(..end);
        }
        mail.splice(..0, format!("From {who}  {DATE}\n").into_bytes());
    }
    (setup, mail)
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

/// What differs from run to run gets a name.
fn normal(text: &[u8], home: &str) -> String {
    let text = String::from_utf8_lossy(&replace(text, home.as_bytes(), b"@HOME@")).into_owned();
    let text = text.replace(DATE, "@CTIME@");
    let lines = text.split('\n').map(|line| {
        let mut line = line.to_owned();
        let mut unique = false;
        for token in ["@MAILDIR@", "@INO@"] {
            let mut from = 0;
            while let Some(at) = line[from..].find(token).map(|at| from + at + token.len()) {
                let digits = line[at..].bytes().take_while(u8::is_ascii_digit).count();
                if line[at + digits..].starts_with('@') {
                    line.replace_range(at..=at + digits, "");
                }
                from = at;
                unique = true;
            }
        }
        if unique && line.starts_with("  Folder:") {
            while line.contains("\t\t") {
                line = line.replace("\t\t", "\t");
            }
        }
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

type Entry = (String, Vec<u8>, u32, u64);

fn snapshot(home: &Path, home_text: &str) -> (String, BTreeMap<String, Vec<u8>>) {
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut files = BTreeMap::new();
    let mut unique: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    let mut open = vec![String::new()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(home.join(&directory)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
            if ["rc", "log", ".t"].contains(&path.as_str()) {
                continue;
            }
            let data = fs::symlink_metadata(home.join(&path)).unwrap();
            let mode = data.mode() & 0o7777;
            if data.is_dir() {
                lines.push((path.clone(), format!("d {mode:04o} {path}")));
                open.push(path);
                continue;
            }
            let bytes = normal_bytes(&fs::read(home.join(&path)).unwrap(), home_text);
            if name.contains("@MAILDIR@") || name.contains("@INO@") {
                unique.entry(directory.clone()).or_default().push((name, bytes, mode, data.nlink()));
            } else {
                let links = if data.nlink() > 1 { format!(" nlink={}", data.nlink()) } else { String::new() };
                lines.push((path.clone(), format!("f {mode:04o} {path}{links}")));
                files.insert(path, bytes);
            }
        }
    }
    for (directory, mut entries) in unique {
        entries.sort_by(|one, other| one.1.cmp(&other.1));
        for (number, (name, bytes, mode, links)) in entries.into_iter().enumerate() {
            let prefix = name.split('@').next().unwrap_or_default();
            let path = format!("{directory}/{prefix}@{}", number + 1);
            let links = if links > 1 { format!(" nlink={links}") } else { String::new() };
            lines.push((path.clone(), format!("f {mode:04o} {path}{links}")));
            files.insert(path, bytes);
        }
    }
    lines.sort();
    (lines.into_iter().map(|(_, line)| line + "\n").collect(), files)
}

fn normal_bytes(bytes: &[u8], home: &str) -> Vec<u8> {
    let bytes = replace(bytes, home.as_bytes(), b"@HOME@");
    replace(&bytes, DATE.as_bytes(), b"@CTIME@")
}
