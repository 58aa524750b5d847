//! The format of the case files.
//!
//! `== NAME` starts a case; `-- PATH LENGTH` a file of it, followed by so many bytes and a newline; `-- mail-repeat FIRST
//! LENGTH COUNT` a mail whose last LENGTH bytes stand for COUNT of them; `-- big PATH` a file that is too large to keep;
//! `-- needs` a program that must be there.

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Case {
    /// Whether the program is installed that the case needs.
    pub(crate) fn can_be_played(&self) -> bool {
        let is_there = |program: &str| Path::new("/usr/bin").join(program.trim()).is_file();
        self.text("needs").is_none_or(|program| is_there(&program))
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.files.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

pub(crate) fn parse(mut text: &[u8]) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
        let line = std::str::from_utf8(&text[..end]).unwrap();
        text = &text[end + 1..];
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["==", name] => cases.push(Case { name: (*name).to_owned(), files: BTreeMap::new() }),
            ["--", "mail-repeat", first, length, count] => {
                let number = |word: &str| word.parse::<usize>().unwrap();
                let (first, length) = (number(first), number(length));
                let mut mail = text[..first].to_vec();
                mail.extend(text[first..first + length].repeat(number(count)));
                text = &text[first + length + 1..];
                cases.last_mut().unwrap().files.insert("mail".to_owned(), mail);
            }
            ["--", "big", _] => {}
            ["--", path @ .., length] => {
                let length: usize = length.parse().unwrap();
                cases.last_mut().unwrap().files.insert(path.join(" "), text[..length].to_vec());
                text = &text[length + 1..];
            }
            _ => panic!("not a case file: {line}"),
        }
    }
    cases
}
