//! Whose mail is ours: never an open relay.

use maildrop::UserName;
use smtp_proto::types::{ForwardPath, Refusal};

use crate::users::Users;

/// A recipient whose mail is ours.
#[derive(Debug, Clone)]
pub(super) struct Recipient {
    /// Where the mail is kept.
    pub(super) user: UserName,
    /// The path as the client gave it.
    pub(super) path: ForwardPath,
    /// The address, with a domain.
    pub(super) address: String,
}

/// Finds out whose mail this is.
///
/// - `user@domain`, where the domain is ours; letter case does not count.
/// - `user+detail@domain` goes to the user, unless there is a user of the whole name.
/// - `postmaster`, with or without domain, is always somebody (RFC 5321 §4.5.1).
/// - All else is refused: 550 5.1.1 for an unknown user, 550 5.7.1 for another domain, whoever asks.
///
/// A local part is opaque: `"u@elsewhere"@ours`, `u%elsewhere@ours` and `elsewhere!u@ours` are no routes.
pub(super) fn resolve(
    path: ForwardPath,
    users: &Users,
    postmaster: Option<&UserName>,
    authenticated: bool,
) -> Result<Recipient, Refusal> {
    const NOT_OFFERED: Refusal = Refusal::from_static(550, (5, 7, 1), "relaying is not offered here");
    let Some(mailbox) = path.mailbox() else {
        let domain = users.domains().first().map_or("localhost", String::as_str);
        let address = format!("postmaster@{domain}");
        return match postmaster {
            Some(user) => Ok(Recipient { user: user.clone(), path, address }),
            None => Err(Refusal::NO_SUCH_USER),
        };
    };
    if !users.is_our_domain(mailbox.domain()) {
        return Err(if authenticated { NOT_OFFERED } else { Refusal::RELAY_DENIED });
    }
    let local = mailbox.local_part_unquoted();
    let without_detail = local.split_once('+').map(|(user, _)| user);
    let user = users
        .find_local(&local)
        .or_else(|| without_detail.and_then(|user| users.find_local(user)))
        .or_else(|| local.eq_ignore_ascii_case("postmaster").then_some(postmaster).flatten());
    match user.cloned() {
        Some(user) => {
            let address = mailbox.as_str().to_owned();
            Ok(Recipient { user, path, address })
        }
        None => Err(Refusal::NO_SUCH_USER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::StoredPassword;

    #[test]
    fn only_local_users_get_mail() {
        let mut users = Users::new(["local.test", "other.test"], vec![7; 32]);
        for name in ["alice", "bob", "list+announce"] {
            users.add(name, StoredPassword::plain("x")).unwrap();
        }
        let postmaster = users.find("bob").cloned();
        let find = |path: &str| {
            let path = ForwardPath::parse(path).unwrap();
            match resolve(path, &users, postmaster.as_ref(), false) {
                Ok(recipient) => recipient.user.to_string(),
                Err(refusal) => refusal.enhanced().to_string(),
            }
        };
        for (path, expected) in [
            ("<alice@local.test>", "alice"),
            ("<ALICE@Other.Test>", "alice"),
            ("<\"alice\"@local.test>", "alice"),
            ("<alice+spam@local.test>", "alice"),
            ("<alice+a+b@local.test>", "alice"),
            ("<list+announce@local.test>", "list+announce"),
            ("<@elsewhere.test:alice@local.test>", "alice"),
            ("<Postmaster>", "bob"),
            ("<PostMaster@local.test>", "bob"),
            ("<nobody@local.test>", "5.1.1"),
            ("<+alice@local.test>", "5.1.1"),
            ("<u@remote.test>", "5.7.1"),
            ("<postmaster@remote.test>", "5.7.1"),
            ("<u%remote.test@local.test>", "5.1.1"),
            ("<remote.test!u@local.test>", "5.1.1"),
            ("<@local.test:u@remote.test>", "5.7.1"),
            ("<\"u@remote.test\"@local.test>", "5.1.1"),
            ("<\"alice@local.test\"@local.test>", "5.1.1"),
            ("<alice@[127.0.0.1]>", "5.7.1"),
        ] {
            assert_eq!(find(path), expected, "{path}");
        }
    }

    #[test]
    fn a_user_who_is_called_postmaster_gets_that_mail() {
        let mut users = Users::new(["local.test"], vec![7; 32]);
        users.add("alice", StoredPassword::plain("x")).unwrap();
        users.add("postmaster", StoredPassword::plain("x")).unwrap();
        let alice = users.find("alice").cloned();
        let path = ForwardPath::parse("<postmaster@local.test>").unwrap();
        assert_eq!(resolve(path, &users, alice.as_ref(), true).unwrap().user.as_str(), "postmaster");
    }
}
