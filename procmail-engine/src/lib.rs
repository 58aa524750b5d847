//! Procmail's language.
#![forbid(unsafe_code)]

pub mod regex;
