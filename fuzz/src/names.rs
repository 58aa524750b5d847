//! Names that become paths on a disk, and modified UTF-7.

use maildrop::{Flags, FolderName, MailRoot, MessageName, UserName, mutf7};
use std::path::{Component, Path};

/// No name leads out of its directory, and each that is taken is written as it was read.
pub fn check(data: &[u8]) {
    if let Ok(name) = MessageName::parse(data) {
        assert_eq!(name.as_bytes(), data);
        assert!(is_one_component(Path::new(name.as_os_str())));
        assert!(data.starts_with(name.base()) && name.base().starts_with(name.unique()));
        if let Ok(flagged) = name.with_flags(name.flags() | Flags::SEEN) {
            assert_eq!(flagged.flags(), name.flags() | Flags::SEEN);
            assert_eq!((flagged.base(), flagged.size()), (name.base(), name.size()));
            assert_eq!(MessageName::parse(flagged.as_bytes()), Ok(flagged));
        }
    }
    if let Ok(folder) = FolderName::from_directory_name(data) {
        assert_eq!(folder.directory_name().as_bytes(), data);
        check_folder(&folder);
    }
    if let Ok(name) = mutf7::decode(data) {
        assert_eq!(mutf7::encode(&name).as_bytes(), data, "each name has one form");
    }
    let Ok(text) = core::str::from_utf8(data) else { return };
    let encoded = mutf7::encode(text);
    assert!(encoded.bytes().all(|b| matches!(b, b' '..=b'~')));
    assert_eq!(mutf7::decode(encoded.as_bytes()).as_deref(), Ok(text));
    if let Ok(folder) = FolderName::parse(text) {
        assert_eq!(folder.to_string(), text);
        check_folder(&folder);
        assert_eq!(FolderName::from_directory_name(folder.directory_name().as_bytes()), Ok(folder));
    }
    if let Ok(user) = UserName::parse(text) {
        let root = MailRoot::new("/mail");
        let path = root.path_of(&user);
        let inner = path.strip_prefix("/mail").expect("a user's mail lies below the root");
        assert!(inner.components().all(|part| matches!(part, Component::Normal(_))), "{inner:?}");
    }
}

fn check_folder(folder: &FolderName) {
    let directory = folder.directory_name();
    assert!(is_one_component(Path::new(&directory)), "{directory:?}");
    assert!(directory.len() <= 255 && directory.starts_with('.') && directory != "." && directory != "..");
}

fn is_one_component(path: &Path) -> bool {
    let mut parts = path.components();
    matches!(parts.next(), Some(Component::Normal(part)) if part == path.as_os_str())
        && parts.next().is_none()
}
