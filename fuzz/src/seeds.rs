//! What the fuzzers begin with: the transcripts of the protocol crates, recorded rc files, and a few lines for each other
//! target.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// A seed: the target it is for, its name, its bytes.
pub type Seed = (&'static str, String, Vec<u8>);

/// How many settings of the knobs a seed for a machine comes with.
const SETTINGS: u8 = 12;
/// The longest rc file that is worth being cut and changed.
const LONGEST_RC: usize = 3000;

/// All seeds.
///
/// # Errors
///
/// If the transcripts cannot be read.
pub fn all() -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    pop3(&mut seeds)?;
    imap(&mut seeds)?;
    for path in transcripts("smtp-proto")? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (client, server) = sides(&fs::read_to_string(&path)?);
        for (number, line) in client.split_inclusive(|b| *b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r\n").unwrap_or(line);
            seeds.push(("smtp_command", format!("{name}-{number}"), line.to_vec()));
        }
        seeds.push(("smtp_reply", name.clone(), server.clone()));
        for target in ["smtp_server", "line", "dot_codec"] {
            with_knobs(&mut seeds, target, &name, &client);
        }
        with_knobs(&mut seeds, "smtp_client", &name, &server);
    }
    for (number, session) in CLIENT_SESSIONS.iter().enumerate() {
        with_knobs(&mut seeds, "smtp_client", &format!("session-{number}"), session.as_bytes());
    }
    for (number, lines) in SASL.iter().enumerate() {
        for target in ["sasl_server", "sasl_client"] {
            for setting in 0..4 * SETTINGS {
                seeds.push((target, format!("{number}-{setting}"), knobbed(setting, lines)));
            }
        }
    }
    for (number, header) in PROXY.iter().enumerate() {
        seeds.push(("proxy_header", number.to_string(), header.to_vec()));
    }
    for (number, name) in NAMES.iter().enumerate() {
        seeds.push(("names", number.to_string(), name.as_bytes().to_vec()));
    }
    for (number, mail) in MAILS.iter().chain(HEADERS).enumerate() {
        with_knobs(&mut seeds, "mail_header", &number.to_string(), mail.as_bytes());
    }
    for (number, mbox) in MBOXES.iter().enumerate() {
        with_knobs(&mut seeds, "mbox", &number.to_string(), mbox.as_bytes());
        with_knobs(&mut seeds, "mbox_session", &number.to_string(), mbox.as_bytes());
    }
    for (number, folder) in FOLDERS.iter().enumerate() {
        with_knobs(&mut seeds, "mh_folder", &number.to_string(), folder.as_bytes());
    }
    for (number, sequences) in SEQUENCES.iter().enumerate() {
        with_knobs(&mut seeds, "mh_sequences", &number.to_string(), sequences.as_bytes());
    }
    procmail(&mut seeds)?;
    for (number, rc) in RC_FILES.iter().enumerate() {
        with_knobs(&mut seeds, "rc_sieve", &number.to_string(), rc.as_bytes());
        for (mail_number, mail) in MAILS.iter().enumerate() {
            let rc_and_mail = [rc.as_bytes(), b"\0", mail.as_bytes()].concat();
            seeds.push(("rc_explain", format!("{number}-{mail_number}"), knobbed(0, &rc_and_mail)));
        }
    }
    Ok(seeds)
}

/// What Dovecot said: each line with the literals in it, and a few frames together.
fn imap(seeds: &mut Vec<Seed>) -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let responses = fs::read(root.join("imap-proto/tests/data/dovecot-2.3"))?;
    for (number, lines) in
        responses.split_inclusive(|b| *b == b'\n').collect::<Vec<_>>().chunks(6).enumerate()
    {
        seeds.push((
            "imap_response",
            format!("dovecot-{number}"),
            [&[number as u8], &*lines.concat()].concat(),
        ));
    }
    for (number, command) in COMMANDS.iter().enumerate() {
        for setting in 0..8 {
            let seed = [&[setting], command.as_bytes()].concat();
            seeds.push(("imap_command", format!("{number}-{setting}"), seed));
        }
    }
    Ok(())
}

/// Commands of IMAP, with their literals.
const COMMANDS: [&str; 12] = [
    "a LOGIN {3+}\r\nbob \"pass word\"",
    "a SELECT INBOX (CONDSTORE QRESYNC (7 20 1:9 (1,3 4,9)))",
    "a UID SEARCH RETURN (MIN COUNT SAVE) CHARSET UTF-8 OR (FROM x NOT SEEN) {2+}\r\nid UID 1:*,$",
    "a FETCH 1:* (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (To \"a b\")]<0.9>) (CHANGEDSINCE 4 VANISHED)",
    "a UID STORE 1,9:* (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Deleted $Junk)",
    "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (INBOX % a/*) RETURN (STATUS (MESSAGES SIZE) CHILDREN)",
    "a NOTIFY SET STATUS (SELECTED MessageNew (UID) MessageExpunge) (SUBTREE (a b) MailboxName)",
    "a UID THREAD REFERENCES UTF-8 SINCE 1-Feb-1994",
    "a SETMETADATA INBOX (/private/comment {2+}\r\nhi /shared/x NIL)",
    "a APPEND x (\\Seen) \" 1-Feb-1994 00:00:00 +0000\" {4+}\r\ntext (\\Draft) ~{2+}\r\n\r\n\r\n",
    "a APPEND {1+}\r\nx CATENATE (URL \"/a;UID=1\" TEXT {2+}\r\nhi URL b)\r\n",
    "a UID REPLACE 9 x UTF8 (~{3+}\r\nabc)\r\n",
];

/// The sessions of POP3, as its server machine plays them.
fn pop3(seeds: &mut Vec<Seed>) -> io::Result<()> {
    for path in transcripts("pop3-proto")? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (client, server) = sides(&fs::read_to_string(&path)?);
        for (number, line) in client.split_inclusive(|b| *b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r\n").unwrap_or(line);
            seeds.push(("pop3_command", format!("{name}-{number}"), line.to_vec()));
        }
        seeds.push(("pop3_reply", name.clone(), server.clone()));
        with_knobs(seeds, "pop3_server", &name, &client);
        with_knobs(seeds, "pop3_client", &name, &server);
    }
    for (number, session) in POP3_CLIENT_SESSIONS.iter().enumerate() {
        with_knobs(seeds, "pop3_client", &format!("session-{number}"), session.as_bytes());
    }
    Ok(())
}

/// The rc files that were recorded with procmail, and the expressions of their conditions.
fn procmail(seeds: &mut Vec<Seed>) -> io::Result<()> {
    let mail = fs::read(cases().join("default.mail"))?;
    let mut expressions = std::collections::BTreeSet::new();
    for (name, rc) in rc_files()? {
        let conditions = rc.split(|&byte| byte == b'\n').filter_map(|line| line.strip_prefix(b"* "));
        expressions.extend(conditions.filter(|text| text.len() <= 40).map(<[u8]>::to_vec));
        if rc.len() <= LONGEST_RC {
            let setting = (rc.len() % 251) as u8;
            seeds.push((
                "procmail_eval",
                name.clone(),
                knobbed(setting, &[&rc, b"\0".as_slice(), &mail].concat()),
            ));
            seeds.push(("procmail_rc", name.clone(), rc.clone()));
        }
        seeds.push(("rc_check", name, rc));
    }
    for (number, expression) in expressions.iter().enumerate() {
        for (setting, text) in [&b"a b\nc ab"[..], b"", b"Subject: aab\n"].into_iter().enumerate() {
            let bytes = knobbed(setting as u8, &[expression, &b"\0"[..], text].concat());
            seeds.push(("procmail_regex", format!("{number}-{setting}"), bytes));
        }
    }
    Ok(())
}

/// Writes all seeds below `corpus`, a folder for each target.
///
/// # Errors
///
/// If the disk does not let it.
pub fn write(corpus: &Path) -> io::Result<usize> {
    let seeds = all()?;
    for (target, name, bytes) in &seeds {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)?;
    }
    Ok(seeds.len())
}

fn transcripts(package: &str) -> io::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("tests/transcripts");
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The rc files of the recorded cases of procmail, by the names of their cases.
fn rc_files() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(cases())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "cases") {
            rc_files_of(&fs::read(path)?, &mut files);
        }
    }
    files.sort();
    Ok(files)
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../procmail-engine/tests/recorded/cases")
}

/// `== NAME` starts a case; `-- PATH LENGTH` a file of it, followed by so many bytes and a newline.
fn rc_files_of(mut text: &[u8], files: &mut Vec<(String, Vec<u8>)>) {
    let mut case = String::new();
    while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&text[..end]).into_owned();
        text = &text[end + 1..];
        let words: Vec<&str> = line.split(' ').collect();
        let length = |word: &str| word.parse::<usize>().unwrap_or(0);
        let taken = match words.as_slice() {
            ["==", name] => {
                case = (*name).to_owned();
                continue;
            }
            ["--", "big", _] => continue,
            ["--", "mail-repeat", first, repeated, _] => length(first) + length(repeated),
            ["--", "rc", size] => {
                files.push((case.clone(), text[..length(size).min(text.len())].to_vec()));
                length(size)
            }
            _ => words.last().map_or(0, |size| length(size)),
        };
        text = text.get(taken + 1..).unwrap_or_default();
    }
}

fn with_knobs(seeds: &mut Vec<Seed>, target: &'static str, name: &str, wire: &[u8]) {
    for setting in 0..SETTINGS {
        seeds.push((target, format!("{name}-{setting}"), knobbed(setting, wire)));
    }
}

fn knobbed(setting: u8, wire: &[u8]) -> Vec<u8> {
    [&[setting, 0, 0, 0], wire].concat()
}

/// What each side of a transcript sends.
fn sides(transcript: &str) -> (Vec<u8>, Vec<u8>) {
    let (mut client, mut server) = (Vec::new(), Vec::new());
    for line in transcript.lines() {
        if let Some(text) = line.strip_prefix("C: ") {
            unescape(text, &mut client);
        } else if let Some(text) = line.strip_prefix("S: ") {
            unescape(text, &mut server);
        }
    }
    (client, server)
}

fn unescape(text: &str, out: &mut Vec<u8>) {
    let mut chars = text.bytes();
    while let Some(byte) = chars.next() {
        match byte {
            b'\\' => match chars.next() {
                // The line does not end here.
                None => return,
                Some(b'r') => out.push(b'\r'),
                Some(b'n') => out.push(b'\n'),
                Some(b'0') => out.push(0),
                Some(b'x') => {
                    let mut digit =
                        || chars.next().and_then(|d| char::from(d).to_digit(16)).unwrap_or(0) as u8;
                    out.push(digit() << 4 | digit());
                }
                Some(other) => out.push(other),
            },
            _ => out.push(byte),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// What servers say to a client.
const CLIENT_SESSIONS: &[&str] = &[
    "220 mx ESMTP\r\n250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 8BITMIME\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n\
     354 go\r\n250 2.0.0 queued\r\n250 ok\r\n221 bye\r\n",
    "220 mx ESMTP\r\n250-mx\r\n250-STARTTLS\r\n250 SIZE 1000\r\n220 go\r\n250-mx\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n\
     334 \r\n235 2.7.0 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n221 bye\r\n",
    "220 mx LMTP\r\n250-mx\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go\r\n250 ok\r\n\
     452 4.2.2 full\r\n250 ok\r\n221 bye\r\n",
    "220 mx\r\n502 what\r\n250 mx\r\n250 ok\r\n550 no\r\n550 no\r\n550 no\r\n503 no recipients\r\n250 ok\r\n221 bye\r\n",
    "220-mx\r\n220 ESMTP\r\n421 4.3.2 going down\r\n",
    "220 mx\r\n250-mx\r\n250-AUTH LOGIN CRAM-MD5\r\n250 LIMITS RCPTMAX=2\r\n334 PDEuMUBteD4=\r\n535 5.7.8 no\r\n\
     334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 ok\r\n",
];

/// What servers say to the POP3 client, up to its commands and beyond.
const POP3_CLIENT_SESSIONS: &[&str] = &[
    "+OK <1.2@b>\r\n+OK\r\nSTLS\r\nPIPELINING\r\nUSER\r\n.\r\n+OK go\r\n+OK\r\nSASL PLAIN\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\n\
     PIPELINING\r\n.\r\n+OK 2 320\r\n+OK\r\n1 120\r\n2 200\r\n.\r\n+OK\r\na\r\n..b\r\n.\r\n+OK\r\n+OK\r\n.\r\n+OK bye\r\n",
    "+OK ready\r\n-ERR what\r\n-ERR what\r\n+OK\r\n+OK\r\n+OK 1 uid\r\n+OK 1 120\r\n+OK\r\na\n.\nb\0\r\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n",
    "+OK <1.2@b>\r\n+OK\r\nUTF8\r\nLANG\r\nAUTH-RESP-CODE\r\nUSER\r\n.\r\n-ERR no\r\n+OK\r\n-ERR [IN-USE] locked\r\n",
    "+ok ready\n-err\n+ok\n+ok\n+ok\n1\tabc\n2 a b\n3\n.\n+ok\nline\n..\n.\n+ok\n",
    "+OK\r\n+OK\r\nSASL SCRAM-SHA-256 CRAM-MD5 LOGIN\r\nPIPELINING\r\n.\r\n-ERR\r\n+ PDFAMj4=\r\n+OK\r\n+OK\r\n.\r\n+OK\r\nno end",
];

/// Lines of exchanges: for a server what a client says, for a client name, password and challenges.
const SASL: &[&[u8]] = &[
    b"\0alice\0correct horse",
    b"other\0alice\0correct horse\n",
    b"alice\ncorrect horse\n",
    b"n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL\nc=biws,r=fyko+d2lbbFgONRv9qkxdawLBwcHBwcHBwcHBwcHBwcHBwcHBwcH,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=\n",
    b"p=tls-exporter,,n=alice,r=abc\nc=cD10bHMtZXhwb3J0ZXIsLA==,r=abcBwcH,p=AAAA\n",
    b"y,a=bob,n=a=2Cb,r=abc\n",
    b"alice 0123456789abcdef0123456789abcdef\n",
    b"user=alice@mx.example\x01auth=Bearer ya29.token\x01\x01\n\n",
    b"n,a=alice,\x01host=mx.example\x01port=587\x01auth=Bearer ya29.token\x01\x01\n\x01\n",
    b"alice\npencil\nr=BQUFBQUFBQUFBQUFBQUFBQUFBQUFxyz,s=QSXCR+Q6sek8bf92,i=4\nv=rmF9pqV8S7suAoZWja4dJRkFsKQ=\n",
    b"alice\npencil\n{\"status\":\"invalid_token\",\"scope\":\"mail\"}\n",
    b"\xc3\xa9lise\np\xc2\xaassword\n",
    b"\n\n",
];

const PROXY: &[&[u8]] = &[
    b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 25\r\nEHLO x\r\n",
    b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
    b"PROXY UNKNOWN ffff::1 whatever\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\x04\xd2\0\x19",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x01\xc6\x33\x64\x01\x04\xd2\0\x19\x04\0\x01\0",
];

const NAMES: &[&str] = &[
    "1700000000.M5P7Q1.mx,S=1200,W=1230:2,RS",
    "1700000000.1.mx:1,x",
    ".Work.2024",
    ".Arbeit.Entw&APw-rfe &- Co",
    "Arbeit/Entwürfe",
    "../../etc/passwd",
    "&U,BTFw-",
    "alice@example.org",
    "..",
    "用户/😀",
];

/// Rc files with a little of everything.
const RC_FILES: &[&str] = &[
    "MAILDIR=$HOME/Mail\nA=x\n:0:\n* ^Subject:.*\\/hello\n* ! ^FROM_DAEMON\nlists/$A\n:0 E\n* > 100\nbig/\n",
    ":0 c\n{\n:0\n* ^TO_joe\n! a@b.org\n:0 A\ntwo\n}\n:0 fw\n* 3^0.5 B ?? cats\n* -1^0\n| formail -I X\n:0 e\n/dev/null\n",
    "INCLUDERC=more\nA=`date`\n:0 B\n* ^a.*(b|c?)[^x]*$\n{ A=\"$A y\" }\n:0 a\n* A ?? ^^y\n$A/.\nHOST\n",
    ":0 Whc: lock\n| formail -D 99 cache\n:0 a\nduplicates\n:0 D\n* $ ^(From|To):.*$\\HOME\nA=| cat\nSWITCHRC=\n",
];

/// Beginnings of messages that are told apart late, fields that are taken out or counted, and what hides them.
const HEADERS: &[&str] = &[
    "Received: a\r\n\tb\r\nReturn-Path: <x@y>\r\n more\r\nreceived : c\r\nSubject: d\r\n\r\nReceived: body\r\n",
    "RETURN-PATH\t : <x>\r\nReturn-Path                      : hidden\r\nReturn-Pathology: kept\r\n\r\n",
    ">>From a@b today\r\n folded\r\nReceived: a\r\n\r\n",
    "From: me\r\n\r\nx",
    " continued\r\nReceived: no\r\n",
    "\r\rX: y\r\n",
    "received",
    "Return-Path \t ",
    "From",
    "Name of no field\r\n\r\n",
    "\r\nbody",
];

const MBOXES: &[&str] = &[
    "From a@b Tue Jan  2 03:04:05 2001\nSubject: x\n\nFrom me to you\n\nFrom c@d Tue Jan  2 03:04:06 2001\nStatus: RO\n\n>From x\n\n",
    "From a@b Tue Jan  2 03:04:05 2001\nContent-Length: 40\n\n012\nFrom a@b Tue Jan  2 03:04:05 2001\n\n\nFrom c@d Tue Jan  2 03:04:06 2001\n\n",
    "\nFrom a@b Tue Jan  2 03:04:05 CET 2001\r\n>From root\r\nSubject: x\r\n\r\nbody\r\n\r\nFrom - Tue, 2 Jan 2001 03:04:05 +0100\r\nS: y\r\n\r\n",
    "From a@b Tue Jan  2 03:04:05 2001\nX-IMAP: 1 2\n\n\nFrom c@d Tue Jan  2 03:04:06 2001\nFrom e@f Tue Jan  2 03:04:07 2001",
    "Subject: no mbox\n\n",
];

/// Names of files, and sequences.
const FOLDERS: &[&str] = &[
    "1\n2\n3\n10\n,4\n#5#\n6~\n0001\n0\n12345678901234567890\n18446744073709551615\n-7\n+8\n\ncur: 2\nunseen: 1-3 10\nx: 2\n",
    "99999999999999999999999\n1\n1\n 1\n1 \nBACKUP\n\nunseen: 1-18446744073709551615\n",
    "5\n\nodd line\nunseen: 4-6\n  9\nx: 5-5 7-\n",
];

const SEQUENCES: &[&str] = &[
    "cur: 3\nunseen: 1-4 7\n  9-12 30\nmine: 5-2 8\n",
    "odd line\nunseen: a\n: 4\nlast: 18446744073709551615 0-3\n",
];

const MAILS: &[&str] = &[
    "From ann@example.org Tue Jan  2 03:04:05 2001\nSubject: hello\nTo: you,\n\tjoe@example.org\n\nmany cats\n",
    "Subject: a b\n\n\nab\n",
    "",
];
