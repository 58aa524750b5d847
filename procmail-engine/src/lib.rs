//! Procmail's language.
#![forbid(unsafe_code)]

pub mod effect;
pub mod eval;
pub mod mail;
pub mod regex;
pub mod syntax;
