//! Where a case is played: the files that it starts with, and a picture of what it ends with.
//!
//! What differs from run to run gets a name in the picture. The player's `tidy` gives it: `@CTIME@` to dates, and to unique
//! names `@MAILDIR@` or `@INO@`, with digits and an at sign behind to tell several of them apart, if need be.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::archive::Case;

const SENDMAIL: &str = "#!/bin/sh\n{ printf 'ARGS:'; for a in \"$@\"; do printf ' <%s>' \"$a\"; done; echo; cat; \
    echo '=EOM='; } >>\"$HOME/sent\"\n";
const ARGS: &str = "#!/bin/sh\nfor a in \"$@\"; do printf \"<%s>\\n\" \"$a\"; done\n";
const EXIT: &str = "#!/bin/sh\ncat >/dev/null\nexit \"$1\"\n";

/// What a case ended with.
pub(crate) struct Played {
    pub(crate) code: i32,
    pub(crate) tree: String,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) log: String,
    pub(crate) stderr: String,
    pub(crate) stdout: String,
}

/// Plays a case quietly and in verbose mode, and tells where it ends otherwise than recorded.
pub(crate) fn differences(case: &Case, run: impl Fn(&Case, bool) -> Played) -> String {
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
    // Programs tell of their start whenever they get to it, and whoever waits for a lock tries as often as it takes.
    let told = |text: &str| {
        let text = sorted(text);
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        lines.dedup_by(|line, before| line == before && line.starts_with("procmail: Locking "));
        lines
    };
    if told(&lines("expect.vlog")) != told(&verbose.log) {
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

/// A home folder with the files of a case.
pub(crate) struct Scene {
    base: TempDir,
    pub(crate) home: PathBuf,
    home_text: String,
    tidy: fn(&[u8]) -> Vec<u8>,
}

impl Scene {
    pub(crate) fn new(case: &Case, tidy: fn(&[u8]) -> Vec<u8>) -> Self {
        // As long as the paths of the recording, which count in logged sizes.
        let base = tempfile::Builder::new().prefix("pmc").rand_bytes(8).tempdir_in("/tmp").unwrap();
        let home = base.path().join("h");
        fs::create_dir(&home).unwrap();
        let home_text = home.to_str().unwrap().to_owned();
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
        Self { base, home, home_text, tidy }
    }

    /// Where the standard error goes.
    pub(crate) fn stderr(&self) -> PathBuf {
        self.base.path().join("stderr")
    }

    /// A file of the case that names the home folder.
    pub(crate) fn text(&self, case: &Case, name: &str) -> String {
        case.text(name).unwrap_or_default().replace("@HOME@", &self.home_text)
    }

    /// The command line, without the program.
    pub(crate) fn arguments(&self, case: &Case, verbose: bool) -> Vec<String> {
        let home = &self.home_text;
        let mut standard = vec![
            format!("HOME={home}"),
            "SHELL=/bin/sh".to_owned(),
            format!("DEFAULT={home}/default"),
            format!("ORGMAIL={home}/orgmail"),
            format!("LOGFILE={home}/log"),
        ];
        if verbose {
            standard.push("VERBOSE=yes".to_owned());
        }
        let arguments = match case.files.get("args") {
            Some(_) => {
                self.text(case, "args").trim_end_matches('\n').split('\n').map(str::to_owned).collect()
            }
            None => vec!["@STD@".to_owned(), format!("{home}/rc")],
        };
        let written_out =
            |argument: String| if argument == "@STD@" { standard.clone() } else { vec![argument] };
        arguments.into_iter().flat_map(written_out).collect()
    }

    pub(crate) fn mail(case: &Case) -> Vec<u8> {
        case.files.get("mail").cloned().unwrap_or_else(|| include_bytes!("cases/default.mail").to_vec())
    }

    /// Looks at what is there when all is done.
    pub(crate) fn look(&self, code: i32, stdout: &[u8]) -> Played {
        let read = |path: PathBuf| fs::read(path).unwrap_or_default();
        let (tree, files) = self.snapshot();
        Played {
            code,
            tree,
            files,
            log: self.normal(&read(self.home.join("log"))),
            stderr: self.normal(&read(self.stderr())),
            stdout: self.normal(stdout),
        }
    }

    fn normal_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        (self.tidy)(&replace(bytes, self.home_text.as_bytes(), b"@HOME@"))
    }

    /// What differs from run to run gets a name.
    fn normal(&self, text: &[u8]) -> String {
        let text = String::from_utf8_lossy(&self.normal_bytes(text)).into_owned();
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

    fn snapshot(&self) -> (String, BTreeMap<String, Vec<u8>>) {
        let home = &self.home;
        let mut lines: Vec<(String, String)> = Vec::new();
        let mut files = BTreeMap::new();
        let mut unique: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        let mut open = vec![String::new()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(home.join(&directory)).unwrap() {
                let name = entry.unwrap().file_name().to_string_lossy().into_owned();
                let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
                let name = String::from_utf8((self.tidy)(name.as_bytes())).unwrap();
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
                let bytes = self.normal_bytes(&fs::read(home.join(&path)).unwrap());
                if name.contains("@MAILDIR@") || name.contains("@INO@") {
                    unique.entry(directory.clone()).or_default().push((name, bytes, mode, data.nlink()));
                } else {
                    let links =
                        if data.nlink() > 1 { format!(" nlink={}", data.nlink()) } else { String::new() };
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
}

type Entry = (String, Vec<u8>, u32, u64);

pub(crate) fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
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
