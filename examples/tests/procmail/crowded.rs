//! A system that has no room for another process.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::PROGRAM;

/// A user that nobody is, so that no other process counts.
const USER: u32 = 1_740_022;

#[test]
fn a_program_for_which_there_is_no_room_is_tried_again_and_then_passed_over() {
    // The limit does not bind root, and only root can be somebody else.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    open(home.path());
    // Where it was built need not be open to everybody.
    let program = home.path().join("procmail");
    std::fs::copy(PROGRAM, &program).unwrap();
    open(&program);
    let rc = "LOGFILE=log\nLOGABSTRACT=no\nSUSPEND=0\n:0 c\n| cat >out\n:0 e\n* ? false\nbox\n";
    std::fs::write(home.path().join("rc"), rc).unwrap();
    std::fs::write(home.path().join("mail"), "From a@b  Tue Jan  2 03:04:05 2001\nSubject: x\n\nhi\n")
        .unwrap();
    let status = Command::new("prlimit")
        .args(["--nproc=1", "./procmail", "-m", "./rc"])
        .current_dir(home.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::from(std::fs::File::open(home.path().join("mail")).unwrap()))
        .uid(USER)
        .gid(USER)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    let read = |name| std::fs::read_to_string(home.path().join(name)).unwrap_or_default();
    assert_eq!(
        read("log"),
        "procmail: Failed forking \" cat >out\"\nprocmail: Failed forking \"false\"\n",
        "{}",
        read("box")
    );
    assert!(read("box").contains("Subject: x"));
}
