//! The variables that rc files and programs start with.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::account::Account;
use super::options::{Mode, Options};
use super::usage::PROCMAIL_VERSION;

/// `PATH` behind the user's own `bin`, and in the system's rc file.
pub(crate) const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

type Variables = Vec<(Vec<u8>, Vec<u8>)>;

/// Puts together what `presets` has, what the caller's environment has if it is kept, and what depends on the user and the
/// command line.
pub(crate) fn variables(
    presets: Variables,
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
    options: &Options,
    account: &Account,
    host: &[u8],
) -> Variables {
    let filters = matches!(options.mode, Mode::Filter(..));
    let mut presets = presets;
    let mut set = |name: &str, value: &[u8]| presets.push((name.as_bytes().to_vec(), value.to_vec()));
    let mailbox = account.mailbox();
    let mailbox = mailbox.as_os_str().as_bytes();
    set("PROCMAIL_VERSION", PROCMAIL_VERSION.as_bytes());
    set("DEFAULT", mailbox);
    set("HOST", host);
    set("PATH", &[account.home.as_slice(), b"/bin:", SEARCH_PATH.as_bytes()].concat());
    let names_rc = match &options.mode {
        Mode::Own(_, rc_files) => !rc_files.is_empty(),
        Mode::Recipients(_) => false,
        Mode::Filter(..) => true,
    };
    if !names_rc {
        // Only whoever names an rc file does not want to be told of mail.
        presets.retain(|(name, _)| name != b"COMSAT");
    }
    let kept = kept(inherited, options.keep_environment);
    // With both `-p` and `-m`, what is inherited counts more than most of the presets.
    let mut all = match filters && options.keep_environment {
        true => [presets, kept].concat(),
        false => [kept, presets].concat(),
    };
    all.push((b"LOGNAME".to_vec(), account.name.clone()));
    all.push((b"HOME".to_vec(), account.home.clone()));
    all.push((b"SHELL".to_vec(), account.shell.clone()));
    if !filters || options.keep_environment {
        all.push((b"ORGMAIL".to_vec(), mailbox.to_vec()));
    }
    all
}

/// What of the caller's environment stays: with `-p` all but what shells and the dynamic linker could be led astray by, else
/// the time zone. Of two entries of one name, the first counts.
fn kept(inherited: impl IntoIterator<Item = (OsString, OsString)>, all: bool) -> Variables {
    const DANGEROUS: [&[u8]; 8] = [
        b"LD_",
        b"_RLD",
        b"LIBPATH",
        b"ELF_LD_",
        b"AOUT_LD_",
        b"SHLIB_PATH",
        // What bash reads or defines before it does anything; procmail knows the like of other shells only.
        b"BASH_ENV",
        b"BASH_FUNC_",
    ];
    const RESET: [&[u8]; 3] = [b"IFS", b"ENV", b"PWD"];
    let mut kept: Variables = Vec::new();
    for (name, value) in inherited {
        let name = name.into_vec();
        let stays = match all {
            true => {
                !DANGEROUS.iter().any(|start| name.starts_with(start)) && !RESET.contains(&name.as_slice())
            }
            false => name == b"TZ",
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
        let options = options::parse(line.split(' ').map(|word| word.as_bytes().to_vec())).unwrap();
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
        ];
        let presets = vec![(b"SENDMAIL".to_vec(), b"/s".to_vec()), (b"COMSAT".to_vec(), b"no".to_vec())];
        let all = variables(
            presets,
            inherited.map(|(name, value)| (name.into(), value.into())),
            &options,
            &account,
            b"host",
        );
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        all.into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn only_the_time_zone_stays_unless_the_environment_is_kept() {
        let plain = made("procmail rc");
        assert_eq!((plain["TZ"].as_str(), plain.get("FOO")), ("UTC", None));
        assert_eq!(plain["PATH"], "/home/joe/bin:/usr/local/bin:/usr/bin:/bin");
        let kept = made("procmail -p rc");
        assert_eq!((kept["FOO"].as_str(), kept["SENDMAIL"].as_str()), ("1", "/s"));
        assert_eq!((kept["HOME"].as_str(), kept["PATH"].as_str()), ("/home/joe", plain["PATH"].as_str()));
        for dangerous in ["LD_PRELOAD", "IFS", "BASH_ENV", "BASH_FUNC_ls%%"] {
            assert!(!kept.contains_key(dangerous), "{dangerous}");
        }
    }

    #[test]
    fn a_filter_has_no_mailbox_of_the_system_and_few_presets() {
        let filter = made("procmail -m rc");
        assert!(!filter.contains_key("ORGMAIL"));
        assert_eq!((filter["DEFAULT"].as_str(), filter["SENDMAIL"].as_str()), ("/var/mail/joe", "/s"));
        let kept = made("procmail -p -m rc");
        assert_eq!((kept["PATH"].as_str(), kept["SENDMAIL"].as_str()), ("/x", "/x"));
        assert_eq!((kept["HOME"].as_str(), kept["ORGMAIL"].as_str()), ("/home/joe", "/var/mail/joe"));
    }

    #[test]
    fn who_names_an_rc_file_is_not_told_of_mail() {
        assert_eq!(made("procmail rc").get("COMSAT").map(String::as_str), Some("no"));
        assert_eq!(made("procmail X=1").get("COMSAT"), None);
        assert_eq!(made("procmail -d joe").get("COMSAT"), None);
    }
}
