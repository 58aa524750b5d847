//! Killed while it delivers.
