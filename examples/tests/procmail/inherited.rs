//! What of the environment is kept with `-p`: it is seen, and changes nothing.

use std::fs;
use std::process::Command;

use crate::PROGRAM;

/// Each shows what it sees, then tells of itself if it heeds anything of it.
const RC: &str = "LOG=\"[$VERBOSE][$TRAP][$EXITCODE][$TIMEOUT][$LINEBUF][$COMSAT][$SENDMAIL][$MSGPREFIX][$IFS][$ORGMAIL]\n\"\n\
    X=`echo a; exit 3`\nLOG=\"$X\n\"\n:0\nfolder\n";

/// Exit code, standard error, and what the file in the folder is called at its start.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("rc"), RC).unwrap();
    fs::create_dir(home.path().join("folder")).unwrap();
    let ended = Command::new(PROGRAM)
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .envs([("HOME", "/nowhere"), ("LOGNAME", "root"), ("VERBOSE", "on"), ("TRAP", "echo trapped")])
        .envs([
            ("EXITCODE", "9"),
            ("TIMEOUT", "1"),
            ("LINEBUF", "130"),
            ("COMSAT", "yes"),
            ("SENDMAIL", "/x"),
        ])
        .envs([
            ("MSGPREFIX", "x."),
            ("SHELLMETAS", "%"),
            ("SHELLFLAGS", "-n"),
            ("IFS", ":"),
            ("ORGMAIL", "/x"),
        ])
        .output()
        .unwrap();
    let mut files = fs::read_dir(home.path().join("folder")).unwrap();
    let file = files.next().unwrap().unwrap().file_name().into_string().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap(), file[..4].to_owned())
}

#[test]
fn what_is_inherited_is_seen_and_changes_nothing() {
    // As procmail 3.22 did it; with -m too, its presets count and are not seen.
    let (code, told, file) = run(&["-p", "ORGMAIL=/y", "./rc"]);
    let expected = "[on][echo trapped][][1][2048][yes][/usr/sbin/sendmail][msg.][][/y]\na\n";
    assert_eq!((code, told.as_str(), file.as_str()), (Some(0), expected, "msg."));
    let (code, told, file) = run(&["-p", "-m", "./rc"]);
    let expected = "[on][echo trapped][9][1][2048][yes][/x][x.][:][]\na\n";
    assert_eq!((code, told.as_str(), file.as_str()), (Some(0), expected, "msg."));
}
