//! The mboxes of all users, below a mail root.

use std::sync::Arc;
use std::time::Duration;

use super::mailbox::MboxMailbox;
use super::{Mbox, MboxOptions};
use crate::dot_lock::DotLockOptions;
use crate::error::{Error, Operation};
use crate::fault::Faults;
use crate::fs;
use crate::store::{Access, Folder, Store};
use crate::user::{MailRoot, UserName};

/// Mboxes: `ROOT/USER/mbox` for the inbox, `ROOT/USER/folders/NAME` for others, with dots between the components of the
/// name.
#[derive(Clone, Debug)]
pub struct MboxStore {
    root: MailRoot,
    options: MboxOptions,
}

impl MboxStore {
    /// The mboxes of the users below a root. Locks are waited for up to ten seconds.
    pub fn new(root: MailRoot) -> MboxStore {
        let dot_lock = DotLockOptions::new().tell_owner().sleep(Duration::from_millis(250)).retries(40);
        let options = MboxOptions::new().dot_lock(Some(dot_lock)).kernel_lock(Some(Duration::from_secs(10)));
        MboxStore { root, options }
    }

    /// Locks and reads with these options.
    #[must_use]
    pub fn with_options(self, options: MboxOptions) -> MboxStore {
        MboxStore { options, ..self }
    }

    /// Gives every mbox this fault hook.
    #[must_use]
    pub fn with_faults(self, faults: Arc<dyn Faults>) -> MboxStore {
        MboxStore { options: self.options.with_faults(faults), ..self }
    }

    /// The mbox of a user, to deliver to it. The file need not exist; the directory is made.
    ///
    /// Users may be able to change what is in their directories while it is being worked in: whatever they put there, nothing
    /// but a regular file that has no other name is read, written or replaced, and nothing outside the directory. Only the lock
    /// file is found by its path.
    ///
    /// # Errors
    /// [`Error::Symlink`] if a link stands in place of a directory or of the file, or [`Error::Io`].
    pub fn mbox(&self, user: &UserName, folder: &Folder) -> Result<Mbox, Error> {
        let (home, mut path) = self.root.home(user)?;
        let (dir, name) = match folder {
            Folder::Inbox => (home, "mbox".to_owned()),
            Folder::Named(name) => {
                path.push("folders");
                let dir = self.root.make_and_step_down(&home, "folders", &path)?;
                (dir, name.directory_name().split_off(1))
            }
        };
        path.push(&name);
        if fs::is_symlink(&dir, &*name) {
            return Err(Error::Symlink { path });
        }
        Ok(Mbox::inside(dir, path, self.options.clone()))
    }
}

impl Store for MboxStore {
    type Mailbox = MboxMailbox;

    async fn open(&self, user: &UserName, folder: &Folder, access: Access) -> Result<MboxMailbox, Error> {
        let mbox = self.mbox(user, folder)?;
        if *folder != Folder::Inbox {
            mbox.named().map_err(|errno| Error::io(Operation::Open, mbox.path(), errno))?;
        }
        mbox.mailbox(access)
    }
}
