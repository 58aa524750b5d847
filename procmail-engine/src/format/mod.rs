//! The layout of an rc file: `fmt` for procmail.
//!
//! [`format()`] gives each recipe one shape, indents blocks, and keeps every comment. It never changes what the file does:
//! its result is parsed and compared with what it was given, and if the two were not [the same](same_meaning), the file
//! would be handed back as it is. Formatting what is formatted changes nothing.
//!
//! ```
//! let untidy = b"MAILDIR = $HOME/Mail\n:0fw : spam.lock\n*   < 256000\n| spamc\n:0\n*^X-Spam-Status: Yes\n{\n:0:\nspam\n}\n";
//! let tidy = b"MAILDIR=$HOME/Mail\n:0 fw: spam.lock\n* < 256000\n| spamc\n\n:0\n* ^X-Spam-Status: Yes\n{\n  :0:\n  spam\n}\n";
//! assert_eq!(procmail_engine::format::format(untidy), tidy);
//! ```
//!
//! # The layout
//!
//! - A recipe is `:0 FLAGS: LOCK`, then a line for each condition (`* …`), then its action; no empty lines in between, one
//!   behind it.
//! - Blocks are indented by two blanks; their braces stand on lines of their own. A block with nothing in it is `{ }`.
//! - Assignments have no blanks around `=`, and a line of their own.
//! - Comments are indented as what they stand before. One at the end of a line stays there, two blanks behind the text.
//! - Several empty lines become one; there are none at the start or end of a file or block. One stays behind a recipe with a
//!   lock that ends the file, for without it procmail holds that lock longer.
//!
//! # What stays as it is
//!
//! The insides of values, folders, commands and regular expressions; the lines of a command, whose blanks the shell may see;
//! flags that are not all known; lines that procmail skips with a message, and what stands on one line with them. A file
//! that procmail would read otherwise if it skipped it (a double quote between backquotes between double quotes) is not
//! touched at all.

mod meaning;
mod write;

pub use meaning::same_meaning;

use crate::syntax::Rc;

/// Lays out an rc file. Takes time linear in its length.
pub fn format(source: &[u8]) -> Vec<u8> {
    let rc = Rc::parse(source.to_vec());
    if rc.is_ambiguous() {
        return source.to_vec();
    }
    let formatted = Rc::parse(write::file(&rc));
    if same_meaning(&rc, &formatted) { formatted.source().to_vec() } else { source.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(source: &str) -> String {
        let once = format(source.as_bytes());
        assert_eq!(format(&once), once, "formatting twice: {source:?}");
        String::from_utf8(once).expect("text in, text out")
    }

    #[test]
    fn files_get_one_layout() {
        for (source, expected) in [
            ("", ""),
            ("\n\n# one\n\n\n# two\n\n", "# one\n\n# two\n"),
            ("A = b   # why\n  B='x y'\nC\n", "A=b  # why\nB='x y'\nC\n"),
            ("A=val X Z=zed # c\n", "A=val\nX\nZ=zed  # c\n"),
            (":0\nbox", ":0\nbox\n"),
            (":0c :\n\n* a\n  # why\n*b\n\n  box\n", ":0 c:\n* a\n# why\n* b\nbox\n"),
            (": 0 fw:lock  # c\n|cat \n", ":0 fw: lock  # c\n|cat \n"),
            (":0:\nbox\n\n\n\n", ":0:\nbox\n\n"),
            (":0\nbox\n\n\n\n", ":0\nbox\n"),
            (":0: a\n| cat\n \n", ":0: a\n| cat\n\n"),
            (":0\n!a@b  \n", ":0\n! a@b\n"),
            (":0\nX = | date\n", ":0\nX =| date\n"),
            (":0\nX= | date\n", ":0\nX=| date\n"),
            (":0\n*\nbox   # here\n", ":0\n*\nbox   # here\n"),
            (":0\n* a\\\n      b \\\n c\nbox\n", ":0\n* a\\\n  b \\\n  c\nbox\n"),
            (":0\nbox\n:0\nbix\nA=b\n", ":0\nbox\n\n:0\nbix\n\nA=b\n"),
            (":0\n{ }\n:0 E\nbox\n", ":0\n{ }\n\n:0 E\nbox\n"),
            (":0\n{ A=1 :0 c\nbox\n}B=2\n", ":0\n{\n  A=1\n  :0 c\n  box\n}\n\nB=2\n"),
            (
                ":0\n{ # in\n:0\n{\n# deep\n}\n} # out\n",
                ":0\n{  # in\n  :0\n  {\n    # deep\n  }\n}  # out\n",
            ),
            (":0\n* a\n:0\nbox\n", ":0\n* a\n:0\n\nbox\n"),
            (":2\na\n\tb\nbox\n", ":2\n* a\n* b\nbox\n"),
        ] {
            assert_eq!(formatted(source), expected, "{source:?}");
        }
    }

    #[test]
    fn what_procmail_skips_stays_as_it_is() {
        for source in [
            "=foo\n",
            "12=13   x\n",
            "a-b=c\n",
            "F=one \\\nG=two\n",
            ":0 cz  k\nbox\n",
            ":0 $FLAGS :\nbox\n",
            ":0: a.lock   c\nbox\n",
        ] {
            assert_eq!(formatted(source), source, "{source:?}");
        }
        assert_eq!(formatted("A = 1\n*  x\nP}\n  B = 2\n"), "A=1\n*  x\nP}\nB=2\n");
    }

    #[test]
    fn what_blanks_and_ends_of_lines_mean_is_kept() {
        for source in [
            ":0\n* a\\ \nbox\n",
            ":0\nbox\\ \n",
            "A='x\n  y'\n",
            "A='never closed\n",
            "A=`never closed\n",
            ":0\n* a\\",
            ":0\n| cat \\\n    >box\n",
            ":0\n* a\n\n:0\nbox\n",
            ":0\n* a\n",
            "# kept \\ \nA=b\n",
        ] {
            assert_eq!(formatted(source), source, "{source:?}");
        }
    }

    #[test]
    fn a_file_that_reads_otherwise_when_skipped_is_not_touched() {
        let source = ":0\n*  a\n{\nA=\"`b\"\n}`\"\n}\n";
        assert_eq!(formatted(source), source);
    }

    #[test]
    fn a_megabyte_of_braces_neither_overflows_nor_slows_down() {
        let mut source = b":0\n{\n".repeat(100_000);
        source.extend(b"}\n".repeat(100_000));
        let once = format(&source);
        assert_eq!(format(&once), once);
    }
}
