//! Users: who runs this, who gets the mail, and how the rights of the one become those of the other.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{self, Gid, Uid, User};

use super::mailbox::{self, Refused};

/// Where the mailboxes are.
const SPOOL: &str = "/var/mail";
/// Users who may write `From ` lines in the name of others, and hand over mail for others without their name in it.
const TRUSTED: [&str; 10] =
    ["root", "daemon", "uucp", "mail", "x400", "network", "list", "slist", "lists", "news"];

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: Vec<u8>,
    pub(crate) id: u32,
    pub(crate) group: u32,
    pub(crate) home: Vec<u8>,
    pub(crate) shell: Vec<u8>,
}

impl From<User> for Account {
    fn from(user: User) -> Account {
        Account {
            name: user.name.into_bytes(),
            id: user.uid.as_raw(),
            group: user.gid.as_raw(),
            home: user.dir.into_os_string().into_vec(),
            shell: user.shell.into_os_string().into_vec(),
        }
    }
}

impl Account {
    /// Whoever runs this. `hint` says which of several names of the user it is.
    pub(crate) fn own(hint: Option<&[u8]>) -> Account {
        let id = Uid::current();
        let hinted = hint
            .and_then(|name| std::str::from_utf8(name).ok())
            .and_then(|name| find(|| User::from_name(name)));
        let user = hinted.filter(|user| user.uid == id).or_else(|| find(|| User::from_uid(id)));
        user.map_or_else(
            || Account {
                name: format!("#{id}").into_bytes(),
                id: id.as_raw(),
                group: Gid::current().as_raw(),
                home: b"/".to_vec(),
                shell: b"/bin/sh".to_vec(),
            },
            Account::from,
        )
        .with_shell()
    }

    /// A user by name, which may be written in capitals. The system's answer that it cannot tell is an error.
    pub(crate) fn named(name: &[u8]) -> io::Result<Option<Account>> {
        let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
        let found = match User::from_name(name)? {
            None => User::from_name(&name.to_ascii_lowercase())?,
            found => found,
        };
        Ok(found.map(|user| Account::from(user).with_shell()))
    }

    fn with_shell(self) -> Account {
        let shell = if self.shell.is_empty() { b"/bin/sh".to_vec() } else { self.shell };
        Account { shell, ..self }
    }

    pub(crate) fn mailbox(&self) -> PathBuf {
        Path::new(SPOOL).join(std::ffi::OsStr::from_bytes(&self.name))
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.id == 0 || TRUSTED.iter().any(|name| name.as_bytes() == self.name)
    }

    /// Goes on with the rights of this user, for good. Answers whether that is so.
    pub(crate) fn become_it(&self) -> bool {
        let (id, group) = (Uid::from_raw(self.id), Gid::from_raw(self.group));
        let is_it = || Uid::effective() == id && Uid::current() == id && Gid::effective() == group;
        if !Uid::effective().is_root() {
            return is_it();
        }
        let Ok(name) = CString::new(self.name.clone()) else { return false };
        let changed = unistd::initgroups(&name, group)
            .and_then(|()| unistd::setresgid(group, group, group))
            .and_then(|()| unistd::setresuid(id, id, id));
        changed.is_ok() && is_it()
    }

    /// Has the system mailbox ready for mail to this user.
    ///
    /// # Errors
    /// [`Refused`] if no mail is to go there.
    pub(crate) fn make_mailbox(&self) -> Result<(), Refused> {
        if self.name.contains(&b'/') { Ok(()) } else { mailbox::prepare(&self.mailbox(), self.id) }
    }
}

fn find(look_up: impl FnOnce() -> nix::Result<Option<User>>) -> Option<User> {
    look_up().ok().flatten()
}

/// Whether this may act for any user.
pub(crate) fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Gives up rights that come from the file of the program rather than from who runs it. Answers whether they are gone.
pub(crate) fn drop_set_id() -> bool {
    let (id, group) = (Uid::current(), Gid::current());
    if Uid::effective() == id && Gid::effective() == group {
        return true;
    }
    let changed = unistd::setresgid(group, group, group).and_then(|()| unistd::setresuid(id, id, id));
    changed.is_ok() && Uid::effective() == id && Gid::effective() == group
}

/// Takes on the identity of the owner of an rc file of the system's.
pub(crate) fn owner_of(path: &Path) -> Option<Account> {
    let data = fs::symlink_metadata(path).ok()?;
    let user = find(|| User::from_uid(Uid::from_raw(data.uid())))?;
    Some(Account { group: data.gid(), ..Account::from(user).with_shell() })
}
