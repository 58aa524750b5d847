//! Procmail's language.
#![forbid(unsafe_code)]

pub mod regex;
pub mod syntax;
