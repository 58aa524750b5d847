//! Rc files as Sieve scripts.

use procmail_engine::sieve::{NoteKind, Options, to_sieve};
use procmail_engine::syntax::Rc;

use crate::Knobs;

/// Whatever the rc file, there is a script, no longer than it may be; what is left out of it is told.
pub fn check(data: &[u8]) {
    let (mut knobs, rc) = Knobs::split(data);
    let mut options = Options::new().variable("HOME", "/home/joe");
    options.create = knobs.one_in(2);
    options.regex = knobs.one_in(2);
    options.programs = knobs.one_in(2);
    options.includes = knobs.one_in(2);
    let rc = Rc::parse(rc.to_vec());
    let conversion = to_sieve(&rc, &options);
    assert!(conversion.script.len() < 8 << 20, "{} bytes", conversion.script.len());
    assert!(!conversion.script.contains(['\0', '\r']));
    let left_out =
        conversion.notes.iter().filter(|note| matches!(note.kind, NoteKind::NotConverted { .. })).count();
    let commented = conversion.script.matches("# NOT CONVERTED, line ").count();
    assert!(commented >= left_out, "{commented} in the script, {left_out} told");
    assert_eq!(conversion.is_complete(), left_out == 0);
    let lines = rc.source().iter().filter(|&&byte| byte == b'\n').count() + 1;
    assert!(conversion.notes.iter().all(|note| note.line >= 1 && note.line <= lines && note.column >= 1));
    check_signs(&conversion.script);
}

/// Strings are closed, braces are balanced, and what stands outside of strings is plain.
fn check_signs(script: &str) {
    let mut depth = 0usize;
    let mut rest = script.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => loop {
                match rest.next().expect("strings are closed") {
                    b'"' => break,
                    b'\\' => assert!(matches!(rest.next(), Some(b'"' | b'\\'))),
                    byte => assert_ne!(byte, b'\n'),
                }
            },
            b'#' => assert!(rest.any(|byte| byte == b'\n'), "comments end"),
            b'{' => depth += 1,
            b'}' => depth = depth.checked_sub(1).expect("braces are balanced"),
            byte => assert!(byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n'), "{byte:#x} in {script}"),
        }
    }
    assert_eq!(depth, 0, "braces are balanced");
}
