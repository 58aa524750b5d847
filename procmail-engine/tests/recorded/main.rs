//! Plays what the real program was recorded to do: rc file, mail and environment in; files, exit code and logs out.
//!
//! The cases lie in `cases/`, many to a file; `record` makes them. A host made of the standard library does what the
//! evaluator asks for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod archive;
mod host;
mod play;
mod scene;

use archive::Case;

/// What is about the program rather than its language.
const OF_THE_PROGRAM: [&str; 3] = ["cli-h", "cli-v", "cli-m-norc"];

fn play_group(text: &[u8]) {
    let only = std::env::var("CASE").ok();
    let cases: Vec<Case> = archive::parse(text)
        .into_iter()
        .filter(|case| !OF_THE_PROGRAM.contains(&case.name.as_str()))
        .filter(scene::can_be_played)
        .filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only.as_str())))
        .collect();
    let failures: Vec<(String, String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = cases
            .iter()
            .map(|case| scope.spawn(move || (case.name.clone(), play::differences(case))))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no case panics")).collect::<Vec<_>>()
    })
    .into_iter()
    .filter(|(_, differences)| !differences.is_empty())
    .collect();
    let report: String = failures.iter().map(|(name, text)| format!("=== {name}\n{text}")).collect();
    assert!(failures.is_empty(), "{} of {} cases differ\n{report}", failures.len(), cases.len());
}

macro_rules! groups {
    ($($test:ident: $file:literal,)*) => {
        $(#[test]
        fn $test() {
            play_group(include_bytes!(concat!("cases/", $file, ".cases")));
        })*
    };
}

groups! {
    actions_end_as_recorded: "act",
    rc_files_are_read_as_recorded: "basic",
    command_lines_work_as_recorded: "cli",
    conditions_match_as_recorded: "cond",
    corners_are_as_recorded: "corner",
    flags_work_as_recorded: "flag",
    includes_work_as_recorded: "inc",
    locks_are_taken_as_recorded: "lock",
    mailboxes_are_written_as_recorded: "mbox",
    recipes_of_the_manual_work_as_recorded: "manual",
    common_recipes_work_as_recorded: "real",
    expressions_match_as_recorded: "regex",
    scores_add_up_as_recorded: "score",
    skipped_text_is_read_as_recorded: "skip",
    random_rc_files_are_read_as_recorded: "random",
    switches_work_as_recorded: "switch",
    variables_work_as_recorded: "var",
}
