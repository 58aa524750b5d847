//! Plays one case with a host made of the standard library.

use procmail_engine::eval::{Evaluator, Setup};
use procmail_engine::mail::Mail;

use crate::archive::Case;
use crate::host::Host;
use crate::scene::{self, Played, Scene};

const DATE: &str = "Mon Jan  1 00:00:00 2024";

pub(crate) fn differences(case: &Case) -> String {
    scene::differences(case, run)
}

fn run(case: &Case, verbose: bool) -> Played {
    let scene = Scene::new(case, |bytes| scene::replace(bytes, DATE.as_bytes(), b"@CTIME@"));
    let arguments = scene.arguments(case, verbose);
    let (setup, mail) = command_line(arguments, Scene::mail(case), &scene.text(case, "env"));
    let mut host = Host::new(&scene.home, &scene.stderr());
    let finished = host.evaluate(Evaluator::new(setup, Mail::new(mail)));
    host.wait();
    scene.look(finished.code, &host.stdout())
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
