//! Many deliveries at once.
