//! The variables that rc files and programs start with.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use procmail_engine::eval::Setup;

use super::account::Account;
use super::options::{Mode, Options};
use super::usage::PROCMAIL_VERSION;

/// `PATH` behind the user's own `bin`, and in the system's rc file.
pub(crate) const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

type Variables = Vec<(Vec<u8>, Vec<u8>)>;

/// Puts together the presets that the setup has, what the caller's environment has if it is kept, and what depends on the
/// user, the host and the command line.
pub(crate) fn set_up(
    setup: &mut Setup,
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
    options: &Options,
    account: &Account,
) {
    let filters = matches!(options.mode, Mode::Filter(..));
    // With both `-p` and `-m`, what is inherited is seen in place of most of the presets.
    let hides = filters && options.keep_environment;
    let mailbox = account.mailbox();
    let mailbox = mailbox.as_os_str().as_bytes();
    let mut presets = std::mem::take(&mut setup.environment);
    let mut set = |name: &str, value: &[u8]| presets.push((name.as_bytes().to_vec(), value.to_vec()));
    if !hides {
        set("PROCMAIL_VERSION", PROCMAIL_VERSION.as_bytes());
        set("DEFAULT", mailbox);
        set("HOST", &setup.host);
        set("PATH", &[account.home.as_slice(), b"/bin:", SEARCH_PATH.as_bytes()].concat());
    }
    set("LOGNAME", &account.name);
    set("HOME", &account.home);
    set("SHELL", &account.shell);
    if !filters {
        set("ORGMAIL", mailbox);
    }
    let names_rc = match &options.mode {
        Mode::Own(_, rc_files) => !rc_files.is_empty(),
        Mode::Recipients(_) => false,
        Mode::Filter(..) => true,
    };
    if !names_rc || options.keep_environment {
        let told = |(name, _): &mut (Vec<u8>, _)| name == b"COMSAT";
        let preset = presets.extract_if(.., told);
        // Only whoever names an rc file does not want to be told of mail, unless that says so.
        setup.hidden = preset.filter(|_| names_rc).collect();
    }
    if hides {
        let seen = |(name, _): &(Vec<u8>, _)| {
            matches!(name.as_slice(), b"LINEBUF" | b"LOGNAME" | b"HOME" | b"SHELL")
        };
        let (seen, hidden): (Variables, _) = presets.into_iter().partition(seen);
        presets = seen;
        setup.hidden.extend::<Variables>(hidden);
    }
    setup.environment = presets;
    setup.inherited = kept(inherited, options.keep_environment, filters);
}

/// What of the caller's environment stays: with `-p` all but what shells and the dynamic linker could be led astray by, and
/// what procmail itself sets on the way; with `-m` too, shells have to see to themselves. Else the time zone. Of two entries of
/// one name, the first counts.
fn kept(inherited: impl IntoIterator<Item = (OsString, OsString)>, all: bool, filters: bool) -> Variables {
    const DANGEROUS: [&[u8]; 7] = [
        b"LD_",
        b"_RLD",
        b"LIBPATH=",
        b"ELF_LD_",
        b"AOUT_LD_",
        // What bash reads or defines before it does anything; procmail knows the like of other shells only.
        b"BASH_ENV",
        b"BASH_FUNC_",
    ];
    const RESET: [&[u8]; 5] = [b"IFS", b"ENV", b"PWD", b"EXITCODE", b"LASTFOLDER"];
    let mut kept: Variables = Vec::new();
    for (name, value) in inherited {
        let name = name.into_vec();
        let entry = [name.as_slice(), b"="].concat();
        let stays = match (all, filters) {
            _ if DANGEROUS.iter().any(|start| entry.starts_with(start)) => false,
            (true, true) => name != b"ORGMAIL",
            (true, false) => !RESET.contains(&name.as_slice()),
            (false, _) => name == b"TZ",
        };
        if stays && !kept.iter().any(|(other, _)| *other == name) {
            kept.push((name, value.into_vec()));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options;

    fn made(line: &str) -> std::collections::BTreeMap<String, String> {
        let account = Account {
            name: b"joe".to_vec(),
            id: 1,
            group: 1,
            home: b"/home/joe".to_vec(),
            shell: b"/bin/zsh".to_vec(),
        };
        let options = options::parse(line.split(' ').map(|word| word.as_bytes().to_vec()), drop).unwrap();
        let inherited = [
            ("TZ", "UTC"),
            ("FOO", "1"),
            ("FOO", "2"),
            ("PATH", "/x"),
            ("LD_PRELOAD", "x"),
            ("IFS", "x"),
            ("BASH_ENV", "x"),
            ("BASH_FUNC_ls%%", "() { :; }"),
            ("HOME", "/x"),
            ("SENDMAIL", "/x"),
            ("ORGMAIL", "/x"),
            ("LIBPATH", "x"),
            ("LIBPATHS", "x"),
            ("EXITCODE", "7"),
        ];
        let mut setup = Setup::new();
        setup.host = b"host".to_vec();
        let inherited = inherited.map(|(name, value)| (name.into(), value.into()));
        set_up(&mut setup, inherited, &options, &account);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let seen = setup.inherited.into_iter().chain(setup.environment);
        seen.map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn only_the_time_zone_stays_unless_the_environment_is_kept() {
        let plain = made("procmail rc");
        assert_eq!((plain["TZ"].as_str(), plain.get("FOO")), ("UTC", None));
        assert_eq!(plain["PATH"], "/home/joe/bin:/usr/local/bin:/usr/bin:/bin");
        let kept = made("procmail -p rc");
        assert_eq!((kept["FOO"].as_str(), kept["SENDMAIL"].as_str()), ("1", "/usr/sbin/sendmail"));
        assert_eq!((kept["HOME"].as_str(), kept["PATH"].as_str()), ("/home/joe", plain["PATH"].as_str()));
        for gone in ["LD_PRELOAD", "IFS", "LIBPATH", "EXITCODE", "COMSAT", "BASH_ENV", "BASH_FUNC_ls%%"] {
            assert!(!kept.contains_key(gone), "{gone}");
        }
        assert!(kept.contains_key("LIBPATHS"));
    }

    #[test]
    fn a_filter_has_no_mailbox_of_the_system_and_few_presets() {
        let filter = made("procmail -m rc");
        assert!(!filter.contains_key("ORGMAIL"));
        assert_eq!(filter["DEFAULT"], "/var/mail/joe");
        assert_eq!(filter["SENDMAIL"], "/usr/sbin/sendmail");
        let kept = made("procmail -p -m rc");
        let expected = [
            ("EXITCODE", "7"),
            ("FOO", "1"),
            ("HOME", "/home/joe"),
            ("IFS", "x"),
            ("LIBPATHS", "x"),
            ("LINEBUF", "2048"),
            ("LOGNAME", "joe"),
            ("PATH", "/x"),
            ("SENDMAIL", "/x"),
            ("SHELL", "/bin/zsh"),
            ("TZ", "UTC"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(kept, expected.into());
    }

    #[test]
    fn who_names_an_rc_file_is_not_told_of_mail() {
        assert_eq!(made("procmail rc").get("COMSAT").map(String::as_str), Some("no"));
        assert_eq!(made("procmail X=1").get("COMSAT"), None);
        assert_eq!(made("procmail -d joe").get("COMSAT"), None);
    }
}
