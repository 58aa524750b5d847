//! Which exit code of sysexits(3) stands for what became of the recipients.

use mailwright::client::exit::Exit;
use smtp_proto::client::{Outcome, Rejection, Stage};

/// The worst that happened to a recipient; `None` if all were accepted.
pub(crate) fn worst(outcome: &Outcome) -> Option<(Exit, &Rejection)> {
    let mut worst: Option<(Exit, &Rejection)> = None;
    for (_, rejection) in outcome.rejected() {
        let exit = of_rejection(rejection);
        if worst.is_none_or(|(worst, _)| exit.is_worse(worst)) {
            worst = Some((exit, rejection));
        }
    }
    worst
}

fn of_rejection(rejection: &Rejection) -> Exit {
    match rejection {
        _ if rejection.is_temporary() => Exit::TempFail,
        _ if is_about_the_recipient(rejection) => Exit::NoUser,
        _ => Exit::Unavailable,
    }
}

/// Whether there is no such user, rather than that the user may not be sent to.
fn is_about_the_recipient(rejection: &Rejection) -> bool {
    rejection.stage == Stage::Rcpt
        && match rejection.reply.enhanced() {
            // RFC 3463 §3.2; 7 and 8 are about the sender.
            Some(enhanced) => enhanced.subject() == 1 && !matches!(enhanced.detail(), 7 | 8),
            None => matches!(rejection.reply.code().get(), 550 | 551 | 553),
        }
}
