//! POP3: users collect the mail that arrived.

mod ahead;
mod beginning;
mod logins;
mod maildrops;
mod pace;
mod places;
mod session;
mod settings;
mod tally;

pub(super) use maildrops::Maildrops;
pub(super) use session::Session;
pub(super) use settings::machine;
