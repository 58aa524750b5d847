//! The Maildir++ quota of a Maildir, kept in its `maildirsize`.
//!
//! It is a soft quota, the same for every program that keeps it: a message is checked before it is delivered, and counted
//! after. Messages counted by programs that know nothing of the quota, or lost in a crash, make the sum wrong; so it is
//! counted anew when the file has grown beyond 5120 octets, and before a message is refused on the word of a file that
//! holds more than one sum or is older than 15 minutes.
//!
//! The user may do with the file as they like, while a server has one thread deliver for all: so it is neither waited for
//! nor followed, whatever stands in its place, and its lock is hardly waited for.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, OFlags};
use rustix::io::Errno;

use super::{CUR, Dirs, FOLDER_MARK, Maildir, NEW, TMP, TRASH, open_file};
use crate::error::{Error, Operation};
use crate::flags::Flags;
use crate::fs;
use crate::message_name::MessageName;
use crate::quota_file::{Quota, QuotaFile, QuotaLimits, QuotaUsage};
use crate::replacement::Replacement;
use crate::unique::Unique;

pub(super) const FILE: &str = "maildirsize";

/// Size beyond which the file is rewritten with a single sum.
const MAX_FILE: u64 = 5120;

/// Age beyond which a sum is not believed if it would refuse a message.
const TRUSTED_FOR: Duration = Duration::from_secs(15 * 60);

/// Rounds of reading and recounting, where other programs keep replacing the file.
const ATTEMPTS: usize = 4;

/// How long its lock is waited for, which others have while they count.
const LOCK_PATIENCE: Duration = Duration::from_millis(20);
const LOCK_PAUSE: Duration = Duration::from_millis(1);

impl Maildir {
    /// Sets the limits, counts the usage, and writes both to `maildirsize`. `None` lifts the quota. Folders share the quota
    /// of the Maildir that they lie in.
    ///
    /// # Errors
    /// [`Error::Io`] if the messages cannot be counted or the file not be written.
    pub fn set_quota(&self, limits: Option<QuotaLimits>) -> Result<(), Error> {
        match limits {
            Some(limits) => self.recount(&limits.to_string()).map(drop),
            None => {
                let main = self.main();
                match rustix::fs::unlinkat(&main.root, FILE, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(errno) => return Err(Error::io(Operation::Remove, main.path.join(FILE), errno)),
                }
                fs::sync_dir(&main.root).map_err(|e| Error::io(Operation::SyncDirectory, &main.path, e))
            }
        }
    }

    /// The limits and the usage; none if there is no quota.
    ///
    /// # Errors
    /// [`Error::QuotaFile`] if `maildirsize` does not begin with limits, [`Error::NotAFile`] if it is no file or has another
    /// name, or [`Error::Io`].
    pub fn quota(&self) -> Result<Option<Quota>, Error> {
        self.quota_with(QuotaUsage::default())
    }

    /// Whether a message of `size` octets would be refused here. Messages in the folder `Trash` never are, nor is any
    /// while `maildirsize` cannot be read: mail is not lost for a quota that nobody can tell.
    ///
    /// # Errors
    /// [`Error::Io`], as for [`Maildir::quota`].
    pub fn would_exceed(&self, size: u64) -> Result<bool, Error> {
        if !self.dirs.counted {
            return Ok(false);
        }
        match self.quota_with(QuotaUsage { bytes: size, messages: 1 }) {
            Ok(quota) => Ok(quota.is_some_and(|quota| quota.would_exceed(size))),
            Err(Error::QuotaFile { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Adds a line to `maildirsize`: what was added, or removed if negative, by other means than a [`Delivery`]. Nothing
    /// is done if there is no quota, or in the folder `Trash`.
    ///
    /// [`Delivery`]: crate::Delivery
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn adjust_usage(&self, bytes: i64, messages: i64) -> Result<(), Error> {
        let main = self.main();
        let io = |error: std::io::Error| Error::io(Operation::WriteQuota, main.path.join(FILE), error);
        if !self.dirs.counted {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            let Some(mut file) = main.open_quota(OFlags::WRONLY | OFlags::APPEND, Operation::WriteQuota)?
            else {
                return Ok(());
            };
            self.inject(Operation::WriteQuota).check().map_err(io)?;
            // Who recounts holds the lock alone, so that no line goes to a file that is about to be replaced. One that does
            // is made good when it is counted again.
            let _ = lock(&file, FlockOperation::NonBlockingLockShared);
            if is_replaced(&file) {
                continue;
            }
            // One write with O_APPEND: lines of several programs do not mix.
            return file.write_all(format!("{bytes} {messages}\n").as_bytes()).map_err(io);
        }
        Ok(())
    }

    /// Refuses a message that does not fit; else answers whether there is a quota to be kept.
    pub(super) fn check_quota(&self, size: u64) -> Result<bool, Error> {
        if !self.dirs.counted {
            return Ok(false);
        }
        match self.quota_with(QuotaUsage { bytes: size, messages: 1 }) {
            Ok(Some(quota)) if quota.would_exceed(size) => Err(self.over_quota(size, quota)),
            Ok(quota) => Ok(quota.is_some()),
            // Mail is not lost for a quota that nobody can tell.
            Err(Error::QuotaFile { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn over_quota(&self, size: u64, quota: Quota) -> Error {
        Error::OverQuota { path: self.main().path.clone(), size, usage: quota.usage, limits: quota.limits }
    }

    /// The quota, counted anew if it cannot be believed, or if `more` would be refused on an old word.
    pub(super) fn quota_with(&self, more: QuotaUsage) -> Result<Option<Quota>, Error> {
        let main = self.main();
        let path = || main.path.join(FILE);
        let io = |error: std::io::Error| Error::io(Operation::ReadQuota, path(), error);
        let mut latest = None;
        for _ in 0..ATTEMPTS {
            let Some(file) = main.open_quota(OFlags::RDONLY, Operation::ReadQuota)? else { return Ok(None) };
            self.inject(Operation::ReadQuota).check().map_err(io)?;
            let mut content = Vec::new();
            (&file).take(MAX_FILE + 1).read_to_end(&mut content).map_err(io)?;
            let parsed = QuotaFile::parse(&content).map_err(|_| Error::QuotaFile { path: path() })?;
            let quota = parsed.usage.map(|usage| Quota { limits: parsed.limits, usage });
            let believed = quota.filter(|quota| {
                content.len() as u64 <= MAX_FILE
                    && (!quota.exceeded_by(more) || (parsed.changes <= 1 && is_recent(&file)))
            });
            if believed.is_some() {
                return Ok(believed);
            }
            if !lock(&file, FlockOperation::NonBlockingLockExclusive) {
                // Somebody is counting, and who asks again is told what they find.
                return Ok(quota.or(latest));
            }
            if is_replaced(&file) {
                // Somebody else has counted meanwhile.
                latest = quota.or(latest);
                continue;
            }
            let usage = self.recount(&parsed.definition)?;
            return Ok(Some(Quota { limits: parsed.limits, usage }));
        }
        Ok(latest)
    }

    /// Counts all messages and replaces `maildirsize`.
    fn recount(&self, definition: &str) -> Result<QuotaUsage, Error> {
        let main = self.main();
        let usage = main.count()?;
        let name = Unique::generate(&self.host).text;
        let tmp_path = || main.path.join(TMP).join(&name);
        let io = |error: std::io::Error| Error::io(Operation::WriteQuota, tmp_path(), error);
        self.inject(Operation::WriteQuota).check().map_err(io)?;
        let mut replacement = Replacement::create(&main.tmp, &name).map_err(|errno| io(errno.into()))?;
        // The limits are in this file alone, so it must never be empty after a crash.
        replacement
            .write(QuotaFile::render(definition, usage).as_bytes())
            .and_then(|()| replacement.sync())
            .and_then(|()| Ok(replacement.put_in_place(&main.root, FILE)?))
            .map_err(io)?;
        fs::sync_dir(&main.root).map_err(|e| Error::io(Operation::SyncDirectory, &main.path, e))?;
        Ok(usage)
    }
}

impl Dirs {
    /// Opens the file, if there is one.
    fn open_quota(&self, flags: OFlags, operation: Operation) -> Result<Option<File>, Error> {
        let path = || self.path.join(FILE);
        // Neither the other end of a pipe is waited for, nor one that has a lease on the file.
        let file = match open_file(&self.root, FILE, flags | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Error::io(operation, path(), errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|errno| Error::io(operation, path(), errno))?;
        // What has a second name may be somebody else's.
        match FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_nlink <= 1 {
            true => Ok(Some(file)),
            false => Err(Error::NotAFile { path: path() }),
        }
    }

    /// Counts the messages of a Maildir and its folders, but those marked as trashed or in the folder `Trash`.
    fn count(&self) -> Result<QuotaUsage, Error> {
        let list_error = |errno: Errno| Error::io(Operation::List, &self.path, errno);
        let mut usage = QuotaUsage::default();
        count_messages(&self.root, &mut usage).map_err(list_error)?;
        for entry in Dir::read_from(&self.root).map_err(list_error)? {
            let entry = entry.map_err(list_error)?;
            let name = entry.file_name().to_bytes();
            if !name.starts_with(b".") || matches!(name, b"." | b"..") || name == TRASH.as_bytes() {
                continue;
            }
            // What is no directory is no folder; one that has gone meanwhile counts nothing.
            let Ok(folder) = fs::open_dir_at(&self.root, entry.file_name()) else { continue };
            if super::exists(&folder, FOLDER_MARK) || super::exists(&folder, CUR) {
                count_messages(&folder, &mut usage).map_err(list_error)?;
            }
        }
        Ok(usage)
    }
}

fn count_messages(maildir: &OwnedFd, usage: &mut QuotaUsage) -> rustix::io::Result<()> {
    for name in [NEW, CUR] {
        let dir = match fs::open_dir_at(maildir, name) {
            Ok(dir) => dir,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let Ok(name) = MessageName::parse(entry.file_name().to_bytes()) else { continue };
            if name.flags().contains(Flags::TRASHED) {
                continue;
            }
            match name.size() {
                Some(size) => usage.add(size),
                None => match rustix::fs::statat(&dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => usage.add(u64::try_from(stat.st_size).unwrap_or(0)),
                    // Moved or removed while counting.
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                },
            }
        }
    }
    Ok(())
}

/// Takes a lock, unless another has it for long. Where there are no such locks, it is as if it were taken.
fn lock(file: &File, operation: FlockOperation) -> bool {
    let start = Instant::now();
    loop {
        match rustix::fs::flock(file, operation) {
            Err(Errno::WOULDBLOCK) if start.elapsed() < LOCK_PATIENCE => std::thread::sleep(LOCK_PAUSE),
            Err(Errno::INTR) => {}
            done => return done != Err(Errno::WOULDBLOCK),
        }
    }
}

/// Whether another file has taken the place of this one.
fn is_replaced(file: &File) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| stat.st_nlink == 0)
}

fn is_recent(file: &File) -> bool {
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    // A file from the future is as good as one of this moment.
    modified.is_ok_and(|at| SystemTime::now().duration_since(at).unwrap_or_default() < TRUSTED_FOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeliveryOptions, FolderName};

    fn limits(text: &str) -> Option<QuotaLimits> {
        Some(text.parse().unwrap())
    }

    fn usage(maildir: &Maildir) -> (u64, u64) {
        let usage = maildir.quota().unwrap().unwrap().usage;
        (usage.bytes, usage.messages)
    }

    fn maildir() -> (tempfile::TempDir, Maildir) {
        let dir = tempfile::tempdir().unwrap();
        let maildir = Maildir::create(dir.path().join("Maildir")).unwrap();
        (dir, maildir)
    }

    fn put(maildir: &Maildir, name: &str, octets: usize) {
        std::fs::write(maildir.path().join(name), vec![b'x'; octets]).unwrap();
    }

    fn file(maildir: &Maildir) -> String {
        std::fs::read_to_string(maildir.path().join(FILE)).unwrap()
    }

    fn make_old(maildir: &Maildir) {
        let file = File::options().write(true).open(maildir.path().join(FILE)).unwrap();
        file.set_modified(SystemTime::now() - TRUSTED_FOR - Duration::from_secs(1)).unwrap();
    }

    #[test]
    fn counting_takes_sizes_from_names_else_from_files_and_leaves_out_trash() {
        let (_dir, maildir) = maildir();
        let sent = maildir.create_folder(&FolderName::parse("Sent").unwrap()).unwrap();
        let trash = maildir.create_folder(&FolderName::parse("Trash").unwrap()).unwrap();
        let trash_below = maildir.create_folder(&FolderName::parse("Trash/Old").unwrap()).unwrap();
        put(&maildir, "new/1.a,S=1000", 5);
        put(&maildir, "cur/2.a:2,S", 20);
        put(&maildir, "cur/3.a,S=50000:2,ST", 1);
        put(&maildir, "new/.hidden", 7);
        put(&maildir, "tmp/4.a", 7);
        put(&sent, "cur/5.a,S=300:2,", 1);
        put(&trash, "cur/6.a,S=70000:2,", 1);
        put(&trash_below, "cur/7.a,S=4:2,", 1);
        maildir.set_quota(limits("5000S,100C")).unwrap();
        assert_eq!(file(&maildir), "5000S,100C\n1324 4\n");
        assert_eq!(usage(&sent), (1324, 4));
        maildir.set_quota(None).unwrap();
        assert_eq!(maildir.quota().unwrap(), None);
        maildir.set_quota(None).unwrap();
    }

    #[test]
    fn changes_are_appended_and_summed() {
        let (_dir, maildir) = maildir();
        maildir.adjust_usage(5, 1).unwrap();
        assert!(!maildir.path().join(FILE).exists(), "no quota, no file");
        maildir.set_quota(limits("5000S")).unwrap();
        maildir.adjust_usage(700, 2).unwrap();
        maildir.adjust_usage(-200, -1).unwrap();
        assert_eq!(file(&maildir), "5000S\n0 0\n700 2\n-200 -1\n");
        assert_eq!(usage(&maildir), (500, 1));
    }

    #[test]
    fn a_long_file_is_counted_anew_and_keeps_limits_of_other_kinds() {
        let (_dir, maildir) = maildir();
        put(&maildir, "new/1.a,S=40", 1);
        let mut content = String::from("5000S,7X\n");
        while content.len() as u64 <= MAX_FILE {
            content.push_str("1 1\n");
        }
        std::fs::write(maildir.path().join(FILE), content).unwrap();
        assert_eq!(usage(&maildir), (40, 1));
        assert_eq!(file(&maildir), "5000S,7X\n40 1\n");
    }

    #[test]
    fn nonsense_sums_are_counted_anew() {
        let (_dir, maildir) = maildir();
        put(&maildir, "new/1.a,S=40", 1);
        for content in ["5000S\n-7 1\n", "5000S\nx y\n", "5000S\n1 1 1\n"] {
            std::fs::write(maildir.path().join(FILE), content).unwrap();
            assert_eq!(usage(&maildir), (40, 1), "{content:?}");
        }
    }

    #[test]
    fn before_refusing_an_untrusted_sum_is_counted_anew() {
        // (content, old, refused)
        let table = [
            ("100S\n99 1\n", false, true),       // one recent sum is believed
            ("100S\n99 1\n", true, false),       // but not an old one
            ("100S\n9 1\n90 1\n", false, false), // nor one of several parts
            ("100S\n9 1\n", true, false),        // what fits need not be counted
        ];
        for (content, old, refused) in table {
            let (_dir, maildir) = maildir();
            std::fs::write(maildir.path().join(FILE), content).unwrap();
            if old {
                make_old(&maildir);
            }
            assert_eq!(maildir.would_exceed(10).unwrap(), refused, "{content:?} old: {old}");
            // The Maildir is empty: what was counted anew is zero.
            let counted = content != "100S\n9 1\n" && !refused;
            assert_eq!(file(&maildir) == "100S\n0 0\n", counted, "{content:?} old: {old}");
        }
    }

    #[test]
    fn a_file_without_limits_is_reported_but_refuses_no_mail() {
        let (_dir, maildir) = maildir();
        std::fs::write(maildir.path().join(FILE), "").unwrap();
        assert!(matches!(maildir.quota(), Err(Error::QuotaFile { .. })));
        let mut delivery = maildir.deliver(&DeliveryOptions::new()).unwrap();
        delivery.append(b"x").unwrap();
        delivery.stage().unwrap().commit().unwrap();
        assert_eq!(file(&maildir), "");
    }

    #[test]
    fn a_link_in_place_of_the_quota_file_is_not_followed() {
        let (dir, maildir) = maildir();
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "100S\n").unwrap();
        std::os::unix::fs::symlink(&outside, maildir.path().join(FILE)).unwrap();
        assert!(maildir.adjust_usage(1, 1).is_err());
        assert!(maildir.quota().is_err());
        assert_eq!(std::fs::read(&outside).unwrap(), b"100S\n");
    }

    /// Does something that shall not wait for anybody.
    fn soon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, outcome) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(work()));
        outcome.recv_timeout(Duration::from_secs(10)).expect("nothing is waited for")
    }

    fn deliver(maildir: &Maildir) -> Result<crate::Delivered, Error> {
        let mut delivery = maildir.deliver(&DeliveryOptions::new())?;
        delivery.append(b"x")?;
        delivery.stage()?.commit()
    }

    #[test]
    fn what_is_no_file_or_has_a_second_name_is_neither_waited_for_nor_written_to() {
        use rustix::fs::{CWD, Mode, mknodat};

        let (dir, maildir) = maildir();
        let path = maildir.path().join(FILE);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let theirs = maildir.clone();
        let found = soon(move || (theirs.quota(), theirs.adjust_usage(1, 1), deliver(&theirs)));
        assert!(matches!(found.0, Err(Error::NotAFile { .. })), "{found:?}");
        assert!(found.1.is_err() && found.2.is_err(), "{found:?}");

        let outside = dir.path().join("outside");
        std::fs::write(&outside, "100S\n0 0\n").unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::hard_link(&outside, &path).unwrap();
        assert!(matches!(maildir.adjust_usage(1, 1), Err(Error::NotAFile { .. })));
        assert!(matches!(maildir.quota(), Err(Error::NotAFile { .. })));
        assert_eq!(std::fs::read(&outside).unwrap(), b"100S\n0 0\n");
    }

    #[test]
    fn who_keeps_the_lock_keeps_no_mail_waiting() {
        let (_dir, maildir) = maildir();
        // One recent sum, and one that is to be counted anew.
        for (content, counted) in [("5000S\n9 1\n", "5000S\n9 1\n1 1\n"), ("50S\n9 1\n90 1\n", "")] {
            std::fs::write(maildir.path().join(FILE), content).unwrap();
            let held = File::open(maildir.path().join(FILE)).unwrap();
            rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
            let theirs = maildir.clone();
            let delivered = soon(move || deliver(&theirs));
            assert_eq!(delivered.is_ok(), !counted.is_empty(), "{delivered:?}");
            assert_eq!(file(&maildir), if counted.is_empty() { content } else { counted });
        }
    }

    /// Lets another program replace the file between opening and locking it.
    #[derive(Debug)]
    struct ReplaceOnce(Maildir, std::sync::Once);

    impl crate::Faults for ReplaceOnce {
        fn inject(&self, operation: Operation) -> crate::Fault {
            if operation == Operation::WriteQuota {
                self.1.call_once(|| self.0.set_quota(limits("7000S")).unwrap());
            }
            crate::Fault::None
        }
    }

    #[test]
    fn a_change_goes_to_the_file_that_took_the_place_of_the_one_opened() {
        let (_dir, maildir) = maildir();
        maildir.set_quota(limits("5000S")).unwrap();
        let hook = std::sync::Arc::new(ReplaceOnce(maildir.clone(), std::sync::Once::new()));
        maildir.clone().with_faults(hook).adjust_usage(7, 1).unwrap();
        assert_eq!(file(&maildir), "7000S\n0 0\n7 1\n");
    }

    #[test]
    fn appends_from_many_threads_are_all_counted() {
        let (_dir, maildir) = maildir();
        maildir.set_quota(limits("1000000000S")).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| maildir.adjust_usage(7, 1).unwrap()));
            }
        });
        assert_eq!(usage(&maildir), (2800, 400));
    }
}
