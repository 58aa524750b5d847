//! Whether a directory has been changed.

use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;

/// Two changes within this time may leave a directory with the same time of its last change: kernels take that from a clock
/// that ticks a hundred times a second or more.
const TICK: Duration = Duration::from_millis(20);

/// When a directory was changed last, since the epoch: as programs may set it (rsync and touch do), and as the kernel alone
/// does.
pub(super) type Changed = [Duration; 2];

pub(super) fn changed(dir: &OwnedFd) -> Result<Changed, Errno> {
    let since = |seconds: i128, nanoseconds: i128| {
        let whole = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        whole.saturating_add(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)))
    };
    let stat = rustix::fs::fstat(dir)?;
    Ok([
        since(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
        since(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
    ])
}

/// Whether a directory was changed so shortly before that another change may not be seen. A time that lies far off in the
/// future is of another clock, and tells nothing.
pub(super) fn is_recent(changed: Changed, start: SystemTime) -> bool {
    let start = start.duration_since(UNIX_EPOCH).unwrap_or_default();
    changed.iter().any(|changed| start.abs_diff(*changed) < TICK)
}
