//! Whose mailbox is meant.

use std::path::PathBuf;

/// The lock file of the mailbox of whoever runs this. `LOGNAME` says who that is, if it names an account of the same user.
pub(crate) fn mailbox_lock() -> Option<PathBuf> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let name =
        login_name(&accounts, rustix::process::getuid().as_raw(), std::env::var("LOGNAME").ok().as_deref())?;
    Some(PathBuf::from(format!("/var/mail/{name}.lock")))
}

fn login_name(accounts: &str, user: u32, hint: Option<&str>) -> Option<String> {
    let names = || {
        accounts.lines().filter_map(|line| {
            let mut parts = line.split(':');
            let name = parts.next()?;
            let id = parts.nth(1)?.parse::<u32>().ok()?;
            (id == user && !name.contains('/')).then_some(name)
        })
    };
    let hinted = names().find(|name| Some(*name) == hint);
    hinted.or_else(|| names().next()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_counts_only_for_the_same_user() {
        let accounts = "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:\na:x:5:5::/:\n../b:x:6:5::/:\n";
        assert_eq!(login_name(accounts, 0, None).as_deref(), Some("root"));
        assert_eq!(login_name(accounts, 0, Some("toor")).as_deref(), Some("toor"));
        assert_eq!(login_name(accounts, 0, Some("a")).as_deref(), Some("root"));
        assert_eq!(login_name(accounts, 6, None), None);
        assert_eq!(login_name(accounts, 7, Some("a")), None);
    }
}
