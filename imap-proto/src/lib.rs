//! IMAP4rev1 and IMAP4rev2: the [`types`] and the [`codec`], in both directions and for both sides.

pub mod codec;
pub mod types;
