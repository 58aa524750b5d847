//! A message that is whole in `tmp/` and waits to be committed.

use std::fmt;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

use super::delivery::{Sizes, Spool, TmpFile};
use super::{Delivered, Maildir, SyncStrategy, commit_all_with};
use crate::error::{Error, Operation};
use crate::fault::Fault;
use crate::line_endings::{Converter, LineEndings, Sink};

/// Bodies up to this size are copied through the write buffer, in one system call with their prefix.
const SMALL: u64 = 15 * 1024;

/// A message that is whole, but not durable and not visible yet. Commit it alone with [`Staged::commit`] or together with
/// others with [`commit_all`](crate::commit_all), which is much cheaper per message. Dropped, it leaves nothing behind.
#[must_use = "a staged message that is dropped is taken back"]
pub struct Staged {
    pub(super) file: TmpFile,
    pub(super) sizes: Sizes,
    prefix: Sizes,
    line_endings: LineEndings,
    /// Whether there is a quota to be kept.
    pub(super) limited: bool,
}

impl Staged {
    /// Takes a whole file, if the quota of its Maildir has room for it.
    pub(super) fn new(
        file: TmpFile,
        sizes: Sizes,
        prefix: Sizes,
        line_endings: LineEndings,
    ) -> Result<Staged, Error> {
        let limited = file.maildir.check_quota(sizes.stored)?;
        Ok(Staged { file, sizes, prefix, line_endings, limited })
    }

    /// Octets of the file: `S` in its name.
    pub fn size(&self) -> u64 {
        self.sizes.stored
    }

    /// Octets of the message with each line end as CRLF: `W` in its name, where it is left out if the last line has no end.
    pub fn crlf_size(&self) -> u64 {
        self.sizes.crlf
    }

    /// The Maildir that the message is for.
    pub fn maildir(&self) -> &Maildir {
        &self.file.maildir
    }

    /// Makes the message durable and visible in `new/`: fsync, rename, fsync of the directory. When this answers `Ok`,
    /// the message survives a power failure.
    ///
    /// # Errors
    /// [`Error::OverQuota`] if others took the room meanwhile, or [`Error::Io`]. In each case nothing is left behind.
    pub fn commit(self) -> Result<Delivered, Error> {
        let mut results = commit_all_with(vec![self], SyncStrategy::EachFile);
        results.pop().expect("a batch has one result per message")
    }

    /// Stages the same message for another Maildir, behind another prefix. The body is copied by the kernel, so a message
    /// for many recipients goes through this process once. Line endings are as in the original.
    ///
    /// ```
    /// use maildrop::{DeliveryOptions, MailRoot, UserName, commit_all};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let root = MailRoot::new(dir.path());
    /// let [alice, bob] = ["alice", "bob"].map(|name| UserName::parse(name).unwrap());
    /// let prefix = DeliveryOptions::new().prefix(b"Delivered-To: alice\r\n");
    /// let mut delivery = root.create(&alice)?.deliver(&prefix)?;
    /// delivery.append(b"Subject: to both\r\n\r\n")?;
    /// let for_alice = delivery.stage()?;
    /// let for_bob = for_alice.duplicate(&root.create(&bob)?, b"Delivered-To: bob\r\n")?;
    /// for result in commit_all(vec![for_alice, for_bob]) {
    ///     println!("delivered {}", result?.path().display());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OverQuota`] if it does not fit into the other Maildir, or [`Error::Io`]. The original is not affected.
    pub fn duplicate(&self, maildir: &Maildir, prefix: &[u8]) -> Result<Staged, Error> {
        let mut spool = Spool::new(TmpFile::create(maildir)?);
        let mut converter = Converter::new(self.line_endings);
        converter.push(prefix, &mut spool)?;
        if prefix.last().is_some_and(|&last| last != b'\n') {
            converter.push(b"\r\n", &mut spool)?;
        }
        let prefix = Sizes { stored: spool.size(), crlf: spool.size() + converter.lone_lfs(), ended: true };
        let body = Sizes {
            stored: self.sizes.stored - self.prefix.stored,
            crlf: self.sizes.crlf - self.prefix.crlf,
            ended: self.sizes.ended || self.sizes.stored == self.prefix.stored,
        };
        if body.stored <= SMALL {
            self.copy_through_buffer(&mut spool, self.prefix.stored)?;
        } else {
            spool.flush()?;
            self.copy_in_kernel(&mut spool)?;
        }
        spool.flush()?;
        let sizes =
            Sizes { stored: prefix.stored + body.stored, crlf: prefix.crlf + body.crlf, ended: body.ended };
        Staged::new(spool.into_file(), sizes, prefix, self.line_endings)
    }

    /// Reads the message without its prefix, as it is stored.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read_body(&self) -> Result<Vec<u8>, Error> {
        let length = usize::try_from(self.sizes.stored - self.prefix.stored).unwrap_or(usize::MAX);
        let mut body = vec![0; length];
        self.file
            .file
            .read_exact_at(&mut body, self.prefix.stored)
            .map_err(|error| self.file.error(Operation::Copy, error))?;
        Ok(body)
    }

    fn copy_in_kernel(&self, spool: &mut Spool) -> Result<(), Error> {
        let mut from = self.prefix.stored;
        while from < self.sizes.stored {
            let rest = usize::try_from(self.sizes.stored - from).unwrap_or(usize::MAX);
            let copied = match spool.target().maildir.inject(Operation::Copy) {
                Fault::None => copy_range(self, &mut from, spool.target(), rest),
                Fault::Short(most) => copy_range(self, &mut from, spool.target(), most.clamp(1, rest)),
                fault @ Fault::Fail(_) => {
                    return fault.check().map_err(|error| spool.target().error(Operation::Copy, error));
                }
            };
            match copied {
                Ok(1..) | Err(Errno::INTR) => {}
                // The systems lie on different disks, or one of them cannot; short of the end is for the reader to tell.
                Ok(0) | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::PERM) => {
                    return self.copy_through_buffer(spool, from);
                }
                Err(errno) => return Err(spool.target().error(Operation::Copy, errno)),
            }
        }
        Ok(())
    }

    fn copy_through_buffer(&self, spool: &mut Spool, mut from: u64) -> Result<(), Error> {
        let mut chunk = [0; 8192];
        while from < self.sizes.stored {
            let most =
                usize::try_from(self.sizes.stored - from).map_or(chunk.len(), |rest| rest.min(chunk.len()));
            match self.file.file.read_at(&mut chunk[..most], from) {
                Ok(0) => {
                    let end = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                    return Err(self.file.error(Operation::Copy, end));
                }
                Ok(count) => {
                    spool.append(&chunk[..count])?;
                    from += count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.file.error(Operation::Copy, error)),
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn copy_range(from: &Staged, offset: &mut u64, to: &TmpFile, octets: usize) -> rustix::io::Result<usize> {
    rustix::fs::copy_file_range(&from.file.file, Some(offset), &to.file, None, octets)
}

#[cfg(not(target_os = "linux"))]
fn copy_range(_: &Staged, _: &mut u64, _: &TmpFile, _: usize) -> rustix::io::Result<usize> {
    Err(Errno::NOSYS)
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged").field("file", &self.file).field("size", &self.size()).finish()
    }
}
