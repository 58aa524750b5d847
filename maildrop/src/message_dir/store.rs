//! The MH folders of many users.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::{MessageDir, MhMailbox, Naming};
use crate::error::Error;
use crate::fault::Faults;
use crate::store::{Access, Folder, Store};
use crate::user::{MailRoot, UserName};

/// Where MH keeps its folders in a user's directory, and the one where mail arrives.
const MAIL: &str = "Mail";
const INBOX: &str = "inbox";

/// MH folders: `ROOT/USER/Mail/inbox`, others beside it, folders in folders.
#[derive(Clone, Debug)]
pub struct MhStore {
    root: MailRoot,
}

impl MhStore {
    /// The MH folders of the users below a root.
    pub fn new(root: MailRoot) -> MhStore {
        MhStore { root }
    }

    /// Gives every folder this fault hook.
    #[must_use]
    pub fn with_faults(self, faults: Arc<dyn Faults>) -> MhStore {
        MhStore { root: self.root.with_faults(faults) }
    }

    /// A folder of a user, to deliver to it. The inbox is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Symlink`] if a link stands in place of a directory, or [`Error::Io`], for which [`Error::is_not_found`]
    /// holds if there is no such folder.
    pub fn folder(&self, user: &UserName, folder: &Folder) -> Result<MessageDir, Error> {
        let (home, mut path) = self.root.home(user)?;
        path.push(MAIL);
        let mail = self.enter(&home, MAIL, &path, true)?;
        let (dir, path) = match folder {
            Folder::Inbox => {
                path.push(INBOX);
                (self.enter(&mail, INBOX, &path, true)?, path)
            }
            Folder::Named(name) => {
                name.components().try_fold((mail, path), |(dir, mut path), component| {
                    path.push(component);
                    Ok::<_, Error>((self.enter(&dir, component, &path, false)?, path))
                })?
            }
        };
        let dir = MessageDir::from_dir(dir, path, Naming::Number);
        Ok(match self.root.faults() {
            Some(faults) => dir.with_faults(Arc::clone(faults)),
            None => dir,
        })
    }

    fn enter(&self, parent: &OwnedFd, name: &str, path: &Path, make: bool) -> Result<OwnedFd, Error> {
        match self.root.step_down(parent, name, path) {
            Err(error) if make && error.is_not_found() => self.root.make_and_step_down(parent, name, path),
            entered => entered,
        }
    }
}

impl Store for MhStore {
    type Mailbox = MhMailbox;

    async fn open(&self, user: &UserName, folder: &Folder, access: Access) -> Result<MhMailbox, Error> {
        self.folder(user, folder)?.mailbox(access)
    }
}
