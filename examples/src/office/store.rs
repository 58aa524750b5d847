//! Where mail goes, and from where it is collected: one store for both.

use std::path::Path;
use std::sync::Arc;

use maildrop::store::{AnyStore, MaildirStore, MemoryStore, StoreFormat};
use maildrop::{Error, MailRoot};

use super::builder::{Builder, Keeping, REMEMBERED_BYTES};
use super::start_error::StartError;
use crate::config::{Expire, LineEndings};
use crate::delivery::{Boxes, MailStore, Maildirs, Rules, RulesError, Sink, given};
use crate::users::Users;

impl Builder {
    /// Where mail goes, and from where it is collected.
    pub(super) fn build_sink(&self, users: &Users) -> Result<(Sink, AnyStore), StartError> {
        let root = self.config.data.join("mail");
        let format = self.format()?;
        if self.config.discard {
            return Ok((Sink::Discard(Arc::default()), AnyStore::Memory(MemoryStore::new())));
        }
        if format == StoreFormat::Memory {
            self.check_memory(&root, users)?;
            let memory = MemoryStore::with_room(REMEMBERED_BYTES);
            return Ok((Sink::Memory(memory.clone()), AnyStore::Memory(memory)));
        }
        let (faults, remembers) = (self.disk_faults.clone(), self.remember > 0);
        let (store, reading) = match format {
            StoreFormat::Mbox | StoreFormat::Mh => {
                self.check_boxes(format, &root, users)?;
                let boxes = match format {
                    StoreFormat::Mbox => {
                        Boxes::mbox(root.clone(), self.config.timeouts.lock.0, faults, remembers)
                    }
                    _ => Boxes::mh(root.clone(), faults, remembers),
                };
                let reading = boxes.reading();
                (MailStore::Boxes(boxes), reading)
            }
            _ => {
                let line_endings = match self.config.line_endings {
                    LineEndings::Lf => maildrop::LineEndings::ToLf,
                    LineEndings::Crlf => maildrop::LineEndings::Keep,
                };
                let maildirs = Maildirs::new(&root, line_endings, faults).map_err(StartError::Thread)?;
                let reading = AnyStore::Maildir(MaildirStore::new(MailRoot::new(&root)));
                (MailStore::Maildirs(maildirs), reading)
            }
        };
        let rules = match self.config.filter.enabled {
            true => Some(self.build_rules(&root, format)?),
            false => None,
        };
        Ok((Sink::disk(store, rules), reading))
    }

    fn build_rules(&self, root: &Path, format: StoreFormat) -> Result<Rules, RulesError> {
        let given = self.rules.iter().map(|(user, rc)| given(user, rc)).collect::<Result<_, _>>()?;
        let filter = self.config.filter.clone();
        Rules::new(filter, root.to_owned(), format, self.config.hostname(), given, self.remember > 0)
    }

    /// How mail is kept.
    fn format(&self) -> Result<StoreFormat, StartError> {
        match (self.keeping, self.store) {
            (_, Some(StoreFormat::Memory)) | (Keeping::Nothing, None) => Ok(StoreFormat::Memory),
            (Keeping::Nothing, Some(format)) => Err(StartError::NoData(format)),
            (Keeping::Data, chosen) => Ok(chosen.unwrap_or(self.config.store)),
        }
    }

    /// Makes sure that there are no rc files, which write to disk.
    fn check_memory(&self, root: &Path, users: &Users) -> Result<(), StartError> {
        if !self.rules.is_empty() {
            return Err(RulesError::NoData.into());
        }
        if !self.config.filter.enabled || self.keeping == Keeping::Nothing {
            return Ok(());
        }
        let rc_of = |user: &str| self.config.filter.rc_of(user, &root.join(user));
        let mut rc_files = users.names().iter().map(|user| rc_of(user.as_str()));
        match rc_files.find(|path| path.symlink_metadata().is_ok()) {
            Some(path) => Err(RulesError::InMemory { path }.into()),
            None => Ok(()),
        }
    }

    /// Makes sure that nothing is asked for which mboxes and MH folders cannot do.
    fn check_boxes(&self, store: StoreFormat, root: &Path, users: &Users) -> Result<(), StartError> {
        if self.config.line_endings == LineEndings::Crlf {
            return Err(StartError::LineEndings(store));
        }
        // What is not in the sequence `unseen` counts as seen, also where whoever put it there keeps no sequences.
        if store == StoreFormat::Mh && self.config.pop3.expire != Expire::Never {
            return Err(StartError::Expire(store));
        }
        let maildirs = MailRoot::new(root);
        let is_limited = |maildir: &maildrop::Maildir| match maildir.quota() {
            Ok(quota) => quota.is_some(),
            Err(error) => matches!(error, Error::QuotaFile { .. }),
        };
        let limited = users.names().iter().find(|user| maildirs.open(user).is_ok_and(|at| is_limited(&at)));
        match limited {
            Some(user) => Err(StartError::Quota { path: maildirs.path_of(user).join("maildirsize"), store }),
            None => Ok(()),
        }
    }
}
