//! stub, the lead replaces this file.
pub mod sasl;
mod secret;
pub use secret::Secret;
