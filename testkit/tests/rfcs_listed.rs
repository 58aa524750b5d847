//! Each RFC that a source of this workspace cites stands in `RFCS.md`.

use std::collections::BTreeSet;
use std::path::Path;

fn cited(folder: &Path, found: &mut BTreeSet<(u32, String)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" {
            cited(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("sources are readable");
            for rest in text.split("RFC ").skip(1) {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                if let Ok(number) = digits.parse() {
                    found.insert((number, path.display().to_string()));
                }
            }
        }
    }
}

#[test]
fn every_cited_rfc_stands_in_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = std::fs::read_to_string(root.join("RFCS.md")).expect("the list is readable");
    let listed: BTreeSet<u32> =
        list.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect();
    let mut found = BTreeSet::new();
    for folder in [
        "mail-wire",
        "smtp-proto",
        "pop3-proto",
        "imap-proto",
        "maildrop",
        "procmail-engine",
        "examples",
        "fuzz",
        "benches",
        "testkit",
    ] {
        cited(&root.join(folder), &mut found);
    }
    assert!(found.len() > 50, "found only {} citations", found.len());
    let missing: Vec<_> = found.iter().filter(|(number, _)| !listed.contains(number)).collect();
    assert!(missing.is_empty(), "not in RFCS.md: {missing:?}");
}
