//! The program `procmail`, played against what the real one was recorded to do, killed while it delivers, and run in crowds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../../../procmail-engine/tests/recorded/archive.rs"]
mod archive;
mod crowd;
mod crowded;
mod inherited;
mod killed;
mod limited;
mod recorded;
#[path = "../../../procmail-engine/tests/recorded/scene.rs"]
mod scene;
mod stopped;
mod study;

/// The program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_procmail");
