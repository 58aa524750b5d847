//! What the command-line clients share: where to connect and whom to trust, the conversation shown, and how a program ends.
//!
//! | module | what it gives |
//! |---|---|
//! | [`connect`] | [`HostPort`](connect::HostPort), and connections to the first address that answers |
//! | [`options`] | the command-line options about TLS, and the file with the password |
//! | [`transcript`] | [`Tapped`](transcript::Tapped): a machine whose conversation can be listened to |
//! | [`mbox`] | [`MboxMessage`](mbox::MboxMessage): a message from the wire, on its way into an mbox |
//! | [`exit`] | [`Failure`](exit::Failure): what the user is told, and the code of sysexits(3) |

pub mod connect;
pub mod exit;
pub mod mbox;
pub mod options;
pub mod transcript;
