//! The users file: one `user:{SCHEME}data` a line, in Dovecot's passwd-file form.

use std::io;
use std::path::{Path, PathBuf};

use super::{StoredPassword, UserError, Users};

/// Why a users file cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsersFileError {
    /// It cannot be read.
    #[error("expected to read users from {path}, found: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// A line that is not text.
    #[error("{path}:{line}: expected UTF-8")]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A line without a password.
    #[error("{path}:{line}: expected user:{{SCHEME}}password, found no ':'")]
    NoPassword {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A user who cannot be.
    #[error("{path}:{line}: {error}")]
    User {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        error: UserError,
    },
}

pub(super) fn read(users: &mut Users, path: &Path) -> Result<(), UsersFileError> {
    let bytes = std::fs::read(path).map_err(|error| UsersFileError::Read { path: path.into(), error })?;
    parse(users, &bytes, path)
}

fn parse(users: &mut Users, bytes: &[u8], path: &Path) -> Result<(), UsersFileError> {
    let mut found = Vec::new();
    for (index, bytes) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let (path, line) = (path.to_owned(), index + 1);
        let Ok(text) = core::str::from_utf8(bytes.strip_suffix(b"\r").unwrap_or(bytes)) else {
            return Err(UsersFileError::Encoding { path, line });
        };
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let mut fields = text.split(':');
        let (Some(name), Some(password)) = (fields.next(), fields.next()) else {
            return Err(UsersFileError::NoPassword { path, line });
        };
        match StoredPassword::parse(password) {
            Ok(password) => found.push((line, name, password)),
            Err(error) => return Err(UsersFileError::User { path, line, error: error.into() }),
        }
    }
    for (line, name, password) in found {
        users.add(name, password).map_err(|error| UsersFileError::User {
            path: path.to_owned(),
            line,
            error,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Users, String> {
        let mut users = Users::new(["example.test"], vec![7; 32]);
        parse(&mut users, text.as_bytes(), Path::new("users"))
            .map_err(|error| error.to_string())
            .map(|()| users)
    }

    #[test]
    fn comments_blank_lines_and_further_fields_are_passed_over() {
        let users =
            parsed("# team\n\nalice:{plain}x\r\n  \nbob:{PLAIN}y:1000:1000::/home/bob::extra=1\n").unwrap();
        let names: Vec<_> = users.names().iter().map(|name| name.as_str()).collect();
        assert_eq!(names, ["alice", "bob"]);
    }

    #[test]
    fn an_error_names_file_and_line() {
        for (text, expected) in [
            ("alice:{PLAIN}x\nbob:{MD5}y\n", "users:2: expected a password scheme"),
            ("\n\nalice\n", "users:3: expected user:"),
            ("alice:{PLAIN}x\n\nAlice:{PLAIN}y\n", "users:3: expected each user once"),
            ("../alice:{PLAIN}x\n", "users:1: "),
            (":{PLAIN}x\n", "users:1: expected a user name"),
            ("alice:\n", "users:1: expected a password"),
            (
                "a:{PLAIN}x\nb:$argon2id$v=19$m=4194304,t=3,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                "users:2: expected memory m, in KiB, of {ARGON2ID} to be at most 2097152, found 4194304",
            ),
            ("alice@elsewhere.test:{PLAIN}x\n", "users:1: expected a user of example.test"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
        assert_eq!(
            parse(&mut Users::new(["x.test"], vec![7; 32]), b"a:{PLAIN}x\n\xff:y", Path::new("u"))
                .unwrap_err()
                .to_string(),
            "u:2: expected UTF-8"
        );
    }
}
