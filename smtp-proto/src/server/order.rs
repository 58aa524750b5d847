//! Which command may come when (RFC 5321 §4.1.4), as a table.

use crate::types::{Refusal, Verb};

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No HELO, EHLO or LHLO.
    Start,
    /// Between transactions.
    Ready,
    /// MAIL was accepted, no recipient yet.
    Mail,
    /// At least one recipient was accepted.
    Recipients,
    /// A BDAT was accepted that was not the last.
    Chunks,
    /// A BDAT failed; the transaction can only be given up (RFC 3030 §2).
    Failed,
}

const START: u8 = 1;
const READY: u8 = 2;
const MAIL: u8 = 4;
const RECIPIENTS: u8 = 8;
const CHUNKS: u8 = 16;
const FAILED: u8 = 32;
const ANY: u8 = START | READY | MAIL | RECIPIENTS | CHUNKS | FAILED;

/// The phases in which each verb may come.
const fn phases(verb: Verb) -> u8 {
    match verb {
        Verb::Ehlo | Verb::Helo | Verb::Lhlo => ANY,
        Verb::Rset | Verb::Noop | Verb::Quit | Verb::Help | Verb::Vrfy | Verb::Expn => ANY,
        Verb::Mail => READY,
        Verb::Rcpt => MAIL | RECIPIENTS,
        Verb::Data => RECIPIENTS,
        Verb::Bdat => RECIPIENTS | CHUNKS,
        // It is never offered, and refused wherever it comes.
        Verb::Burl => ANY,
        // RFC 3207 §4 wants no EHLO first, and some clients send none: what it tells is void after the handshake anyhow.
        Verb::StartTls => START | READY,
        // RFC 4954 §4: not within a transaction.
        Verb::Auth => READY,
        Verb::Etrn | Verb::Atrn | Verb::Xforward => READY,
        Verb::Xclient => START | READY,
    }
}

/// Why a verb may not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutOfOrder {
    NeedHello,
    NeedMail,
    NeedRecipient,
    WithinTransaction,
    WithinChunks,
    NeedReset,
}

impl OutOfOrder {
    /// The reply that says so.
    pub(super) const fn refusal(self) -> Refusal {
        let text = match self {
            OutOfOrder::NeedHello => "bad sequence of commands: send EHLO first",
            OutOfOrder::NeedMail => "bad sequence of commands: need MAIL",
            OutOfOrder::NeedRecipient => "bad sequence of commands: need RCPT",
            OutOfOrder::WithinTransaction => "not within a mail transaction",
            OutOfOrder::WithinChunks => "BDAT already in progress",
            OutOfOrder::NeedReset => "transaction failed, need RSET",
        };
        Refusal::from_static(503, (5, 5, 1), text)
    }
}

/// Whether `verb` may come in `phase`.
pub(super) fn check(verb: Verb, phase: Phase) -> Result<(), OutOfOrder> {
    let bit = match phase {
        Phase::Start => START,
        Phase::Ready => READY,
        Phase::Mail => MAIL,
        Phase::Recipients => RECIPIENTS,
        Phase::Chunks => CHUNKS,
        Phase::Failed => FAILED,
    };
    if phases(verb) & bit != 0 {
        return Ok(());
    }
    Err(match (phase, verb) {
        (Phase::Start, _) => OutOfOrder::NeedHello,
        (Phase::Ready, _) => OutOfOrder::NeedMail,
        (Phase::Mail, Verb::Data | Verb::Bdat) => OutOfOrder::NeedRecipient,
        (Phase::Chunks, Verb::Data | Verb::Rcpt) => OutOfOrder::WithinChunks,
        (Phase::Failed, _) => OutOfOrder::NeedReset,
        _ => OutOfOrder::WithinTransaction,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_allows_what_the_rfcs_allow_and_nothing_else() {
        let verbs = [
            ("EHLO", Verb::Ehlo, "SRMTCF"),
            ("MAIL", Verb::Mail, "R"),
            ("RCPT", Verb::Rcpt, "MT"),
            ("DATA", Verb::Data, "T"),
            ("BDAT", Verb::Bdat, "TC"),
            ("RSET", Verb::Rset, "SRMTCF"),
            ("NOOP", Verb::Noop, "SRMTCF"),
            ("QUIT", Verb::Quit, "SRMTCF"),
            ("STARTTLS", Verb::StartTls, "SR"),
            ("AUTH", Verb::Auth, "R"),
            ("XCLIENT", Verb::Xclient, "SR"),
        ];
        let phases = [
            ('S', Phase::Start),
            ('R', Phase::Ready),
            ('M', Phase::Mail),
            ('T', Phase::Recipients),
            ('C', Phase::Chunks),
            ('F', Phase::Failed),
        ];
        for (name, verb, allowed) in verbs {
            for (letter, phase) in phases {
                assert_eq!(check(verb, phase).is_ok(), allowed.contains(letter), "{name} in {phase:?}");
            }
        }
    }

    #[test]
    fn each_verb_out_of_order_is_told_why() {
        use OutOfOrder::*;
        for (verb, phase, why) in [
            (Verb::Mail, Phase::Start, NeedHello),
            (Verb::Rcpt, Phase::Ready, NeedMail),
            (Verb::Data, Phase::Mail, NeedRecipient),
            (Verb::Mail, Phase::Recipients, WithinTransaction),
            (Verb::Data, Phase::Chunks, WithinChunks),
            (Verb::Mail, Phase::Failed, NeedReset),
        ] {
            assert_eq!(check(verb, phase), Err(why));
            assert_eq!(why.refusal().code().get(), 503);
        }
    }
}
