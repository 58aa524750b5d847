//! Names and passwords, found to be well here, where the place in the file is known.

use serde::de::{self, Deserialize, Deserializer, Error as _, Visitor};

use mail_wire::Secret;
use maildrop::UserName;
use smtp_proto::types::Domain;

use crate::users::{StoredPassword, local_part};

/// The name of a domain, found to be one here, where the place in the file is known.
pub(super) struct DomainName(pub(super) String);

impl<'de> Deserialize<'de> for DomainName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match Domain::parse(&name) {
            Ok(_) => Ok(Self(name)),
            Err(_) => {
                Err(D::Error::custom(format!("expected a domain name such as example.test, found {name:?}")))
            }
        }
    }
}

/// The name of a user, found to be one but for its domain.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct User(pub(super) String);

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match UserName::parse(local_part(&name)) {
            Ok(_) => Ok(Self(name)),
            Err(error) => Err(D::Error::custom(error)),
        }
    }
}

/// A password, or `{SCHEME}data` that was found to be well: here, where the place in the file is known.
pub(super) struct Password(pub(super) Secret);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PasswordVisitor)
    }
}

struct PasswordVisitor;

/// What a password looks like that has lost its quotes. The ordinary error would show it.
macro_rules! no_password {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E: de::Error>(self, _: $type) -> Result<Password, E> {
            Err(E::custom("expected a password in quotes"))
        })*
    };
}

impl Visitor<'_> for PasswordVisitor {
    type Value = Password;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a password in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Password, E> {
        StoredPassword::parse_or_plain(text).map_err(E::custom)?;
        Ok(Password(Secret::new(text)))
    }

    no_password!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
}
