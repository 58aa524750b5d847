//! `.mh_sequences`.

use maildrop::MhSequences;

use crate::Knobs;

/// What is written is read as the same, and a message that is taken out is in no sequence but `cur`, while others stay.
pub fn check(data: &[u8]) {
    let (mut knobs, content) = Knobs::split(data);
    let Ok(content) = core::str::from_utf8(content) else { return };
    let sequences = MhSequences::parse(content);
    let again = MhSequences::parse(&sequences.to_string());
    assert_eq!(again.to_string(), sequences.to_string());
    let names: Vec<&str> = content.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let removed = knobs.below(40) as u64;
    let mut left = sequences.clone();
    left.remove(removed);
    for name in names {
        assert_eq!(left.contains(name, removed), name == "cur" && sequences.contains(name, removed));
        for number in (0..40).chain([u64::MAX]).filter(|number| *number != removed) {
            assert_eq!(left.contains(name, number), sequences.contains(name, number), "{name} {number}");
        }
    }
}
