//! Which command may come when (RFC 1939 §3), as a table.

use super::language::Phrase;
use crate::types::Verb;

/// How far a session has come. UPDATE is no phase for commands: QUIT enters it, and it ends with the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// AUTHORIZATION: the client is not known.
    Authorization,
    /// AUTHORIZATION, and USER has named a mailbox.
    Named,
    /// TRANSACTION: a maildrop is open.
    Transaction,
}

const AUTHORIZATION: u8 = 1;
const NAMED: u8 = 2;
const TRANSACTION: u8 = 4;
const LOGIN: u8 = AUTHORIZATION | NAMED;
const ANY: u8 = LOGIN | TRANSACTION;

/// The phases in which each verb may come.
const fn phases(verb: Verb) -> u8 {
    match verb {
        Verb::User | Verb::Apop | Verb::Auth => LOGIN,
        // RFC 1939 §7: only behind USER. RPOP stands in for PASS.
        Verb::Pass | Verb::Rpop => NAMED,
        // RFC 2595 §4
        Verb::Stls => LOGIN,
        // RFC 6856 §2
        Verb::Utf8 => LOGIN,
        Verb::Stat | Verb::List | Verb::Retr | Verb::Dele | Verb::Noop | Verb::Rset => TRANSACTION,
        Verb::Top | Verb::Uidl => TRANSACTION,
        Verb::Quit | Verb::Capa | Verb::Lang => ANY,
    }
}

/// Whether `verb` may come in `phase`; if not, what to say.
pub(super) fn check(verb: Verb, phase: Phase) -> Result<(), Phrase> {
    let bit = match phase {
        Phase::Authorization => AUTHORIZATION,
        Phase::Named => NAMED,
        Phase::Transaction => TRANSACTION,
    };
    let allowed = phases(verb);
    if allowed & bit != 0 {
        Ok(())
    } else if phase == Phase::Transaction {
        Err(Phrase::LoggedInAlready)
    } else if allowed == NAMED {
        Err(Phrase::NeedUser)
    } else {
        Err(Phrase::NeedLogin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_allows_what_the_rfcs_allow_and_nothing_else() {
        let allowed = [
            (Verb::User, "AN"),
            (Verb::Pass, "N"),
            (Verb::Apop, "AN"),
            (Verb::Rpop, "N"),
            (Verb::Auth, "AN"),
            (Verb::Stls, "AN"),
            (Verb::Utf8, "AN"),
            (Verb::Capa, "ANT"),
            (Verb::Lang, "ANT"),
            (Verb::Quit, "ANT"),
            (Verb::Stat, "T"),
            (Verb::List, "T"),
            (Verb::Retr, "T"),
            (Verb::Dele, "T"),
            (Verb::Noop, "T"),
            (Verb::Rset, "T"),
            (Verb::Top, "T"),
            (Verb::Uidl, "T"),
        ];
        assert_eq!(allowed.len(), Verb::ALL.len());
        for (verb, phases) in allowed {
            for (letter, phase) in
                [('A', Phase::Authorization), ('N', Phase::Named), ('T', Phase::Transaction)]
            {
                assert_eq!(check(verb, phase).is_ok(), phases.contains(letter), "{verb} in {phase:?}");
            }
        }
    }

    #[test]
    fn each_verb_out_of_order_is_told_why() {
        for (verb, phase, why) in [
            (Verb::Pass, Phase::Authorization, Phrase::NeedUser),
            (Verb::Retr, Phase::Authorization, Phrase::NeedLogin),
            (Verb::Retr, Phase::Named, Phrase::NeedLogin),
            (Verb::User, Phase::Transaction, Phrase::LoggedInAlready),
            (Verb::Stls, Phase::Transaction, Phrase::LoggedInAlready),
        ] {
            assert_eq!(check(verb, phase), Err(why));
        }
    }
}
