//! Whose mail is ours: never an open relay.

use std::net::IpAddr;

use maildrop::UserName;
use smtp_proto::types::{Domain, ForwardPath, Host, Mailbox, Refusal};

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

/// What is ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) users: &'a Users,
    /// Who gets mail for postmaster.
    pub(super) postmaster: &'a UserName,
    pub(super) hostname: &'a Domain,
    /// The address of ours that the client is connected to, where it is known.
    pub(super) address: Option<IpAddr>,
}

impl Here<'_> {
    /// Whether this is a mailbox at this very host, by its name or its address, rather than in one of our domains.
    fn is_host_of(&self, mailbox: &Mailbox) -> bool {
        let ours = self.address.map(|address| address.to_canonical());
        match mailbox.host() {
            Host::V4(address) => ours == Some(address.into()),
            Host::V6(address) => ours == Some(IpAddr::from(address).to_canonical()),
            _ => mailbox.domain().eq_ignore_ascii_case(self.hostname.as_str()),
        }
    }
}

/// Finds out whose mail this is.
///
/// - `user@domain`, where the domain is ours; letter case does not count.
/// - `user+detail@domain` goes to the user, unless there is a user of the whole name.
/// - `postmaster` is always somebody (RFC 5321 §4.5.1): without domain, in each of our domains, and at this host by its name
///   or address, also with `+detail`.
/// - All else is refused: 550 5.1.1 for an unknown user, 550 5.7.1 for another domain, whoever asks.
///
/// A local part is opaque: `"u@elsewhere"@ours`, `u%elsewhere@ours` and `elsewhere!u@ours` are no routes.
pub(super) fn resolve(path: ForwardPath, here: Here<'_>, authenticated: bool) -> Result<Recipient, Refusal> {
    const NOT_OFFERED: Refusal = Refusal::from_static(550, (5, 7, 1), "relaying is not offered here");
    let Some(mailbox) = path.mailbox() else {
        let domain = here.users.domains().first().map_or("localhost", String::as_str);
        let address = format!("postmaster@{domain}");
        return Ok(Recipient { user: here.postmaster.clone(), path, address });
    };
    let local = mailbox.local_part_unquoted();
    let without_detail = local.split_once('+').map_or(&*local, |(user, _)| user);
    let is_postmaster = without_detail.eq_ignore_ascii_case("postmaster");
    let is_ours = here.users.is_our_domain(mailbox.domain()) || (is_postmaster && here.is_host_of(mailbox));
    if !is_ours {
        return Err(if authenticated { NOT_OFFERED } else { Refusal::RELAY_DENIED });
    }
    let user = here
        .users
        .find_local(&local)
        .or_else(|| here.users.find_local(without_detail))
        .or_else(|| is_postmaster.then_some(here.postmaster));
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
        let hostname = Domain::parse("mail.local.test").unwrap();
        let here = Here {
            users: &users,
            postmaster: users.find("bob").unwrap(),
            hostname: &hostname,
            address: Some("::ffff:192.0.2.1".parse().unwrap()),
        };
        let find = |path: &str| {
            let path = ForwardPath::parse(path).unwrap();
            match resolve(path, here, false) {
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
            ("<alice@[192.0.2.1]>", "5.7.1"),
            ("<alice@mail.local.test>", "5.7.1"),
            ("<postmaster+x@local.test>", "bob"),
            ("<postmaster@Mail.Local.Test>", "bob"),
            ("<postmaster+x@mail.local.test>", "bob"),
            ("<\"Postmaster\"@mail.local.test>", "bob"),
            ("<postmaster@[192.0.2.1]>", "bob"),
            ("<postmaster@[IPv6:::ffff:192.0.2.1]>", "bob"),
            ("<postmaster@[192.0.2.2]>", "5.7.1"),
            ("<postmaster@other.mail.local.test>", "5.7.1"),
            ("<postmasters@mail.local.test>", "5.7.1"),
            ("<x+postmaster@local.test>", "5.1.1"),
        ] {
            assert_eq!(find(path), expected, "{path}");
        }
    }

    #[test]
    fn a_user_who_is_called_postmaster_gets_that_mail() {
        let mut users = Users::new(["local.test"], vec![7; 32]);
        users.add("alice", StoredPassword::plain("x")).unwrap();
        users.add("postmaster", StoredPassword::plain("x")).unwrap();
        let hostname = Domain::parse("mail.local.test").unwrap();
        let postmaster = users.find("alice").unwrap();
        let here = Here { users: &users, postmaster, hostname: &hostname, address: None };
        for path in ["<postmaster@local.test>", "<postmaster+x@mail.local.test>"] {
            let path = ForwardPath::parse(path).unwrap();
            assert_eq!(resolve(path, here, true).unwrap().user.as_str(), "postmaster");
        }
    }
}
