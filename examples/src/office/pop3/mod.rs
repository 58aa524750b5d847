//! POP3: users collect the mail that arrived.

mod maildrops;
mod session;
mod settings;

pub(super) use maildrops::Maildrops;
pub(super) use session::Session;
pub(super) use settings::machine;
