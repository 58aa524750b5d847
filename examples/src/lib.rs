//! Mailwright as a program: the tokio and rustls driver for its protocol machines, and the mail server put together.

pub mod driver;
pub mod limits;
pub mod tls;
pub mod users;
