//! Fault injection: make the disk fail on purpose.
//!
//! Whether a server answers 452 on a full disk, or leaves half a message behind when power fails, cannot be seen on a
//! healthy disk. A [`Faults`] hook set with [`Maildir::with_faults`](crate::Maildir::with_faults) or
//! [`MailRoot::with_faults`](crate::MailRoot::with_faults) is asked before each step of a delivery and may make it fail,
//! or hold the process there while a test kills it. Without a hook the cost is one branch per step.
//!
//! ```
//! use std::sync::Arc;
//! use maildrop::{DeliveryOptions, Fault, FaultPlan, Maildir, Operation};
//!
//! # let dir = tempfile::tempdir()?;
//! let plan = FaultPlan::new().nth(Operation::Write, 1, Fault::no_space());
//! let maildir = Maildir::create(dir.path().join("Maildir"))?.with_faults(Arc::new(plan));
//! let mut delivery = maildir.deliver(&DeliveryOptions::new())?;
//! delivery.append(b"Subject: hello\r\n\r\n")?; // buffered: nothing is on disk yet
//! let error = delivery.stage().unwrap_err();
//! assert!(error.is_storage_full());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt::Debug;
use std::io;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use crate::error::Operation;

/// A hook that is asked before each step on disk. It runs on the delivering thread and may block.
pub trait Faults: Debug + Send + Sync {
    /// What shall happen to the step that is about to be done.
    fn inject(&self, operation: Operation) -> Fault;
}

/// What a [`Faults`] hook does to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: the step is done as usual.
    None,
    /// The step is not done and fails with this raw error number.
    Fail(i32),
    /// A write or copy transfers at most this many octets (at least one). Other steps are done as usual.
    Short(usize),
}

impl Fault {
    /// The disk is full (`ENOSPC`).
    pub fn no_space() -> Fault {
        Fault::Fail(Errno::NOSPC.raw_os_error())
    }

    /// The user's disk quota is used up (`EDQUOT`).
    pub fn disk_quota() -> Fault {
        Fault::Fail(Errno::DQUOT.raw_os_error())
    }

    /// The device failed (`EIO`).
    pub fn io_error() -> Fault {
        Fault::Fail(Errno::IO.raw_os_error())
    }

    pub(crate) fn check(self) -> io::Result<()> {
        match self {
            Fault::Fail(errno) => Err(io::Error::from_raw_os_error(errno)),
            Fault::None | Fault::Short(_) => Ok(()),
        }
    }
}

/// A ready-made [`Faults`] hook: a list of rules, each striking at the nth step of a kind or at all of them.
#[derive(Debug, Default)]
pub struct FaultPlan {
    rules: Mutex<Vec<Rule>>,
}

#[derive(Debug)]
struct Rule {
    operation: Operation,
    /// Steps to let pass; `None` strikes always.
    skip: Option<u64>,
    fault: Fault,
}

impl FaultPlan {
    /// A plan without rules.
    pub fn new() -> FaultPlan {
        FaultPlan::default()
    }

    /// Strikes once, at the `nth` step of this kind (counted from 1, over all Maildirs that share the plan).
    #[must_use]
    pub fn nth(self, operation: Operation, nth: u64, fault: Fault) -> FaultPlan {
        self.with(Rule { operation, skip: Some(nth.saturating_sub(1)), fault })
    }

    /// Strikes at each step of this kind.
    #[must_use]
    pub fn always(self, operation: Operation, fault: Fault) -> FaultPlan {
        self.with(Rule { operation, skip: None, fault })
    }

    /// Forgets all rules: the disk is healthy from here on.
    pub fn heal(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn with(self, rule: Rule) -> FaultPlan {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
        self
    }
}

impl Faults for FaultPlan {
    fn inject(&self, operation: Operation) -> Fault {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for (index, rule) in rules.iter_mut().enumerate().filter(|(_, rule)| rule.operation == operation) {
            match &mut rule.skip {
                Some(skip @ 1..) => *skip -= 1,
                Some(0) | None => struck = struck.or(Some(index)),
            }
        }
        let Some(index) = struck else { return Fault::None };
        if rules[index].skip.is_some() { rules.remove(index).fault } else { rules[index].fault }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_strikes_at_the_nth_step_of_its_kind_only() {
        let plan = FaultPlan::new()
            .nth(Operation::Write, 2, Fault::Short(3))
            .nth(Operation::Write, 3, Fault::no_space())
            .always(Operation::Rename, Fault::io_error());
        let seen: Vec<Fault> = [
            Operation::Write,
            Operation::SyncFile,
            Operation::Write,
            Operation::Write,
            Operation::Write,
            Operation::Rename,
            Operation::Rename,
        ]
        .into_iter()
        .map(|operation| plan.inject(operation))
        .collect();
        assert_eq!(
            seen,
            [
                Fault::None,
                Fault::None,
                Fault::Short(3),
                Fault::no_space(),
                Fault::None,
                Fault::io_error(),
                Fault::io_error()
            ]
        );
        plan.heal();
        assert_eq!(plan.inject(Operation::Rename), Fault::None);
    }
}
