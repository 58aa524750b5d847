//! What is said: addresses, parameters, replies, capabilities. Each value is valid by construction.

mod address;
mod capabilities;
mod command;
mod date;
mod hello;
mod params;
mod reply;
mod trace;
mod xtext;

pub(crate) use address::path_at;
pub use address::{AddressError, ForwardPath, Host, Mailbox, ReversePath};
pub use capabilities::{Capabilities, Limits};
pub use command::{Command, EtrnTarget, Protocol, Verb, VerifyTarget, XclientAttributes};
pub use date::{DateError, DateTime};
pub use hello::{Domain, DomainError, HelloName};
pub use params::{
    Body, ByMode, DeliverBy, Hold, MailAuth, MailParams, Notify, OriginalRecipient, Parameter, RcptParams,
    Ret, Rrvs, RrvsAction,
};
pub use reply::{EnhancedCode, Refusal, RefusalError, Reply, ReplyCode, Verdict};
pub use trace::{Received, WithProtocol, return_path};
pub use xtext::{Xtext, XtextError};
