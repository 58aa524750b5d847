//! A host that does what the evaluator asks for, with nothing but the standard library.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use procmail_engine::effect::{Command, Deliver, Delivered, Effect, Exit, Note, Outcome, Output, Ran, Run};
use procmail_engine::eval::{Evaluator, Finished, Step};

/// What is one for all copies of an evaluator.
pub(crate) struct Shared {
    pub(crate) stdout: Mutex<Vec<u8>>,
    running: Mutex<Vec<JoinHandle<()>>>,
    names: AtomicU32,
}

#[derive(Clone)]
pub(crate) struct Host {
    shared: Arc<Shared>,
    directory: PathBuf,
    umask: u32,
    log: Option<PathBuf>,
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()))
}

impl Host {
    pub(crate) fn new(directory: &Path, stderr: &Path) -> Self {
        let shared = Shared { stdout: Mutex::default(), running: Mutex::default(), names: AtomicU32::new(1) };
        Self {
            shared: Arc::new(shared),
            directory: directory.to_owned(),
            umask: 0o077,
            log: Some(stderr.to_owned()),
        }
    }

    pub(crate) fn stdout(&self) -> Vec<u8> {
        self.shared.stdout.lock().unwrap().clone()
    }

    /// Waits for all programs and copies that still run.
    pub(crate) fn wait(&self) {
        loop {
            let Some(thread) = self.shared.running.lock().unwrap().pop() else { break };
            thread.join().unwrap();
        }
    }

    pub(crate) fn evaluate(&mut self, mut evaluator: Evaluator) -> Finished {
        loop {
            match evaluator.step() {
                Step::Finished(finished) => return finished,
                Step::Effect(effect) => {
                    if let Some(outcome) = self.perform(effect) {
                        evaluator.answer(outcome);
                    }
                }
            }
        }
    }

    fn at(&self, name: &[u8]) -> PathBuf {
        self.directory.join(path(name))
    }

    fn unique(&self) -> u32 {
        self.shared.names.fetch_add(1, Ordering::Relaxed)
    }

    fn append(&self, text: &[u8]) {
        if let Some(log) = &self.log {
            let _ = OpenOptions::new()
                .append(true)
                .create(true)
                .open(log)
                .and_then(|mut file| file.write_all(text));
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Outcome> {
        Some(match effect {
            Effect::Log(log) => {
                self.append(&log.text);
                return None;
            }
            Effect::ReadRc(rc) => {
                let file = self.at(&rc.path);
                match fs::read(&file) {
                    Ok(source) => Outcome::Read(source),
                    Err(_) if rc.first && file.is_dir() => Outcome::Read(Vec::new()),
                    Err(_) => Outcome::Failed,
                }
            }
            Effect::ChangeDirectory(directory) => {
                let to = self.at(&directory);
                if to.is_dir() {
                    self.directory = to;
                    Outcome::Done
                } else {
                    Outcome::Failed
                }
            }
            Effect::OpenLog(name) => {
                let file = self.at(&name);
                match OpenOptions::new().append(true).create(true).mode(0o666 & !self.umask).open(&file) {
                    Ok(_) => {
                        self.log = Some(file);
                        Outcome::Done
                    }
                    Err(_) => Outcome::Failed,
                }
            }
            Effect::CloseLog => {
                self.log = None;
                return None;
            }
            Effect::SetUmask(mask) => {
                self.umask = mask;
                return None;
            }
            Effect::Run(run) => Outcome::Ran(self.run(*run)),
            Effect::Deliver(deliver) => Outcome::Delivered(self.deliver(&deliver)),
            Effect::Print(content) => {
                let bytes = content.with_end();
                self.shared.stdout.lock().unwrap().extend_from_slice(&bytes);
                Outcome::Delivered(Delivered {
                    notes: vec![Note::Folder(b"|".to_vec())],
                    size: Some(bytes.len() as u64),
                })
            }
            Effect::IsMailbox(folder) => match self.at(&folder).is_dir() {
                true => Outcome::Failed,
                false => Outcome::Done,
            },
            Effect::Lock(name) => self.lock(&name),
            Effect::Unlock(name) => {
                let _ = fs::remove_file(self.at(&name));
                return None;
            }
            Effect::BreakLock(name) => {
                let _ = fs::remove_file(self.at(&name));
                Outcome::Done
            }
            Effect::Sleep(time) => {
                // A little longer, so that what a case does at the same second has been done.
                std::thread::sleep(time + Duration::from_millis(150));
                Outcome::Done
            }
            Effect::Fork { copy, wait } => {
                let mut host = self.clone();
                if wait {
                    Outcome::Ran(Ran::ended(Exit::Code(host.evaluate(*copy).code)))
                } else {
                    let thread = std::thread::spawn(move || {
                        host.evaluate(*copy);
                    });
                    self.shared.running.lock().unwrap().push(thread);
                    Outcome::Done
                }
            }
            _ => return None,
        })
    }

    fn lock(&self, name: &[u8]) -> Outcome {
        let file = self.at(name);
        match OpenOptions::new().write(true).create_new(true).mode(0o444 & !self.umask).open(&file) {
            Ok(mut lock) => {
                lock.write_all(b"0").unwrap();
                Outcome::Done
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let age = fs::metadata(&file).ok().and_then(|data| data.modified().ok()?.elapsed().ok());
                Outcome::Held(age)
            }
            Err(_) => {
                let place = name.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
                Outcome::NoPlace([&name[..place], b"@TMP@"].concat())
            }
        }
    }

    fn process(&self, run: &Run) -> Process {
        let find = |program: &[u8]| -> Option<PathBuf> {
            if program.contains(&b'/') {
                return self.at(program).is_file().then(|| path(program));
            }
            let search =
                run.environment.iter().find(|(name, _)| name == b"PATH").map(|(_, value)| value.clone())?;
            search
                .split(|&byte| byte == b':')
                .map(|place| path(place).join(path(program)))
                .find(|file| file.is_file())
        };
        let words = match &run.command {
            Command::Shell { shell, flags, line } => vec![shell.clone(), flags.clone(), line.clone()],
            Command::Program(words) => match find(&words[0]) {
                Some(_) => words.clone(),
                None => [&[b"/bin/sh".to_vec()], words.as_slice()].concat(),
            },
            _ => unreachable!("there are two kinds"),
        };
        let mut process = Process::new("/bin/sh");
        process.arg("-c").arg(format!("umask {:o}; exec \"$@\"", self.umask)).arg("sh");
        for word in &words {
            process.arg(std::ffi::OsStr::from_bytes(word));
        }
        process.env_clear().current_dir(&self.directory);
        for (name, value) in &run.environment {
            process.env(std::ffi::OsStr::from_bytes(name), std::ffi::OsStr::from_bytes(value));
        }
        process
    }

    fn sink(&self) -> Stdio {
        let open = |log: &Path| OpenOptions::new().append(true).create(true).open(log).ok();
        self.log.as_deref().and_then(open).map_or_else(Stdio::null, Stdio::from)
    }

    fn run(&self, run: Run) -> Ran {
        let mut process = self.process(&run);
        let (stdin, mut feed) = std::io::pipe().unwrap();
        // What the pipe can hold is there before the program starts, as it mostly is when procmail runs one.
        let ahead = run.input.len().min(60_000);
        feed.write_all(&run.input[..ahead]).unwrap();
        process.stdin(stdin).stderr(self.sink());
        let captures = matches!(run.output, Output::Capture(_));
        process.stdout(match run.output {
            Output::Capture(_) => Stdio::piped(),
            Output::Log => self.sink(),
            _ => Stdio::null(),
        });
        let mut child = process.spawn().unwrap();
        drop(process);
        let input = run.input.clone();
        let feeder = std::thread::spawn(move || feed.write_all(&input[ahead..]).is_ok());
        let reader = child.stdout.take().map(|mut stdout| {
            std::thread::spawn(move || {
                let mut output = Vec::new();
                let _ = stdout.read_to_end(&mut output);
                output
            })
        });
        if !run.wait && !captures {
            let fed = feeder.join().unwrap();
            let thread = std::thread::spawn(move || {
                let _ = child.wait();
            });
            self.shared.running.lock().unwrap().push(thread);
            return Ran { fed, ..Ran::ended(Exit::Unknown) };
        }
        let started = Instant::now();
        let mut timed_out = false;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if !timed_out && run.timeout.is_some_and(|limit| started.elapsed() > limit) {
                timed_out = true;
                // Never a negative number: some versions of kill(1) take it for every process there is.
                let end = format!("kill -TERM {}", child.id());
                Process::new("/bin/sh").arg("-c").arg(end).status().unwrap();
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let exit = match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, signal) => Exit::Signal(signal.unwrap_or(0)),
        };
        let mut output = reader.map(|thread| thread.join().unwrap()).unwrap_or_default();
        let mut cut_off = false;
        if let Output::Capture(Some(limit)) = run.output {
            cut_off = output.len() > limit;
            output.truncate(limit);
        }
        Ran { exit, output, cut_off, fed: feeder.join().unwrap(), timed_out }
    }

    fn make_directory(&self, name: &Path) -> bool {
        let mode = fs::Permissions::from_mode(0o777 & !self.umask);
        name.is_dir() || DirBuilder::new().create(name).and_then(|()| fs::set_permissions(name, mode)).is_ok()
    }

    /// Writes a file; adds the right to execute if the umask lets others have it.
    fn write(&self, file: &Path, bytes: &[u8], new: bool) -> bool {
        let existed = file.exists();
        let mut options = OpenOptions::new();
        options.append(true).mode(0o666 & !self.umask);
        if new {
            options.create_new(true)
        } else {
            options.create(true)
        };
        let Ok(mut open) = options.open(file) else { return false };
        if open.write_all(bytes).is_err() {
            return false;
        }
        if !existed {
            let mode = 0o666 & !self.umask | u32::from(self.umask & 1 == 0);
            open.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
        }
        true
    }

    /// Where in a directory the mail goes. The name is made unique by the file system.
    fn place(&self, folder: &[u8], prefix: &[u8]) -> Option<(Vec<u8>, bool)> {
        let bare =
            |name: &[u8]| name[..name.iter().rposition(|&byte| byte != b'/').map_or(0, |at| at + 1)].to_vec();
        if let Some(name) = folder.strip_suffix(b"/.").map(bare) {
            let name = name.as_slice();
            self.make_directory(&self.at(name)).then_some(())?;
            let highest = fs::read_dir(self.at(name))
                .ok()?
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
            let number = highest.max().unwrap_or(0) + 1;
            return Some(([name, b"/", number.to_string().as_bytes()].concat(), false));
        }
        if let Some(name) = folder.strip_suffix(b"/").map(bare) {
            let name = name.as_slice();
            self.make_directory(&self.at(name)).then_some(())?;
            for part in ["tmp", "new", "cur"] {
                self.make_directory(&self.at(name).join(part)).then_some(())?;
            }
            return Some((
                format!("{}/new/@MAILDIR@{}@", String::from_utf8_lossy(name), self.unique()).into(),
                true,
            ));
        }
        let name = String::from_utf8_lossy(folder).into_owned();
        let prefix = String::from_utf8_lossy(prefix).into_owned();
        Some((format!("{name}/{prefix}@INO@{}@", self.unique()).into(), false))
    }

    fn deliver(&self, deliver: &Deliver) -> Delivered {
        let mut notes = Vec::new();
        let first = deliver.folders[0].clone();
        let content = &deliver.content;
        let directory =
            first.ends_with(b"/") || first.ends_with(b"/.") || self.at(&first).is_dir() && !first.is_empty();
        if directory && let Some((name, maildir)) = self.place(&first, &deliver.message_prefix) {
            let bytes =
                if maildir { content.for_maildir().to_vec() } else { content.with_end().into_owned() };
            notes.push(Note::Folder(name.clone()));
            if !maildir {
                notes.push(Note::Opening(name.clone()));
                notes.push(Note::KernelLock);
            }
            let size = self.write(&self.at(&name), &bytes, true).then_some(bytes.len() as u64);
            for folder in &deliver.folders[1..] {
                self.link(&name, folder, &deliver.message_prefix, &mut notes);
            }
            return Delivered { notes, size };
        }
        let mut name = first.as_slice();
        if directory {
            name = name.strip_suffix(b"/.").or_else(|| name.strip_suffix(b"/")).unwrap_or(name);
            notes.push(Note::NotDirectory(name.to_vec()));
        }
        if deliver.folders.len() > 1 {
            notes.push(Note::Skipped(deliver.folders[1..].join(&b' ')));
        }
        notes.push(Note::Folder(name.to_vec()));
        notes.push(Note::Opening(name.to_vec()));
        if name == b"/dev/null" {
            return Delivered { notes, size: Some(content.raw().len() as u64) };
        }
        let bytes = content.for_mbox();
        if !name.is_empty() && self.write(&self.at(name), &bytes, false) {
            notes.push(Note::KernelLock);
            return Delivered { notes, size: Some(bytes.len() as u64) };
        }
        notes.push(Note::WriteError(name.to_vec()));
        Delivered { notes, size: None }
    }

    fn link(&self, from: &[u8], folder: &[u8], prefix: &[u8], notes: &mut Vec<Note>) {
        let plain = !folder.ends_with(b"/") && !folder.ends_with(b"/.");
        let place =
            if plain && !self.make_directory(&self.at(folder)) { None } else { self.place(folder, prefix) };
        match place {
            Some((name, _)) => {
                fs::hard_link(self.at(from), self.at(&name)).unwrap();
                notes.push(Note::Linking(name));
            }
            None => {
                notes.push(Note::NotDirectory(folder.to_vec()));
                notes.push(Note::Skipped(folder.to_vec()));
            }
        }
    }
}
