//! Conversions to Sieve: what becomes what, and that every script is well-formed.

use procmail_engine::sieve::{Conversion, NoteKind, Options, Reason, to_sieve};
use procmail_engine::syntax::Rc;
use proptest::prelude::*;

#[path = "recorded/archive.rs"]
#[allow(clippy::unwrap_used, dead_code, reason = "a test that cannot go on fails; others use the rest")]
mod archive;
#[path = "sieve/grammar.rs"]
mod grammar;

fn convert(rc: &str) -> Conversion {
    convert_with(rc, &Options::new())
}

fn convert_with(rc: &str, options: &Options) -> Conversion {
    let conversion = to_sieve(&Rc::parse(rc.into()), options);
    grammar::check(&conversion.script);
    conversion
}

/// The script on one line, without what it requires.
fn script(rc: &str) -> String {
    let script = convert(rc).script;
    let body = match script.split_once(";\n\n") {
        Some((require, body)) if require.starts_with("require") => body,
        _ => &script,
    };
    body.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The test that a condition becomes, or why it does not.
fn test_of(condition: &str) -> String {
    let conversion = convert(&format!("KNOWN=abc\n:0\n* {condition}\nbox\n"));
    if let Some(note) =
        conversion.notes.iter().find(|note| matches!(note.kind, NoteKind::NotConverted { .. }))
    {
        assert!(conversion.script.contains("NOT CONVERTED"));
        return format!("{:?}", note.reason);
    }
    let line = script(&format!("KNOWN=abc\n:0\n* {condition}\nbox\n"));
    match line.strip_prefix("if ") {
        Some(rest) => rest.split(" {").next().unwrap_or_default().to_owned(),
        None if line.starts_with("fileinto") => "true".to_owned(),
        None => line,
    }
}

#[test]
fn conditions_become_tests() {
    let table = [
        ("^Subject:.*foo", r#"header :contains "Subject" "foo""#),
        ("^Subject: foo$", r#"header :is "Subject" "foo""#),
        ("^Subject: foo", r#"header :matches "Subject" "foo*""#),
        ("^Subject:.*foo$", r#"header :matches "Subject" "*foo""#),
        ("^Subject:.*(foo|bar)", r#"header :contains "Subject" ["foo", "bar"]"#),
        ("^Subject:.*foo.*bar", r#"header :matches "Subject" "*foo*bar*""#),
        ("^Subject:.*f.o", r#"header :regex "Subject" "f.o""#),
        (r"^Subject:.*a\*b", r#"header :contains "Subject" "a*b""#),
        (r"^Subject: a\*.*", r#"header :matches "Subject" "a\\**""#),
        ("^Subject:.*fo+", r#"header :regex "Subject" "fo+""#),
        ("^Subject:.*[^a-z]foo", r#"header :regex "Subject" "(^|[^a-z])foo""#),
        (r"^Subject:.*\<foo\>", r#"header :regex "Subject" "(^|[^a-zA-Z0-9_])foo($|[^a-zA-Z0-9_])""#),
        (r"^Subject: [0-9]+\.$", r#"header :regex "Subject" "^[0-9]+\\.$""#),
        ("^Subject:[ \t]*$", r#"header :regex "Subject" "^[ ]*$""#),
        ("^Subject:", r#"exists "Subject""#),
        ("^Subject:.*", r#"exists "Subject""#),
        ("^(To|Cc):.*joe", r#"header :contains ["To", "Cc"] "joe""#),
        ("^(Resent-)?To:.*joe", r#"header :contains ["Resent-To", "To"] "joe""#),
        ("^(To:.*joe|From:.*ann)", r#"anyof( header :contains "To" "joe", header :contains "From" "ann")"#),
        ("^X-[sS]pam: *yes", r#"header :regex "X-Spam" "^ *yes""#),
        ("! ^Subject:.*foo", r#"not header :contains "Subject" "foo""#),
        ("! ! ^Subject:.*foo", r#"header :contains "Subject" "foo""#),
        (r#"^Subject:.*"a\\b"#, r#"header :contains "Subject" "\"a\\b""#),
        ("$ ^Subject:.*$KNOWN", r#"header :contains "Subject" "abc""#),
        (r"B ?? foo|bar", r#"body :raw :contains ["foo", "bar"]"#),
        ("B ?? ^foo.*bar$", r#"body :raw :regex "(^|${hex:0a})foo[^${hex:0a}]*bar($|${hex:0d}?${hex:0a})""#),
        (
            "HB ?? ^Subject:.*x",
            r#"anyof( header :contains "Subject" "x", body :raw :regex "(^|${hex:0a})subject:[^${hex:0a}]*x")"#,
        ),
        ("> 1000", "size :over 1000"),
        ("! < 1000", "not size :under 1000"),
        ("> 99999999999", "# line 2: this recipe never applies"),
        ("KNOWN ?? ^^abc^^", "true"),
        ("KNOWN ?? x", "# line 2: this recipe never applies"),
        ("NONE ?? ^^^^", "true"),
        ("", "true"),
        ("foo@bar", "NoField"),
        ("^Subject:foo", "NoBlank"),
        ("^Subject:.*foo$.*bar", "SeveralLines"),
        (r"^Subject:.*=\?gb", "EncodedWord"),
        ("1^1 ^Subject:.*foo", "Score"),
        ("? test -f x", "Program"),
        ("B ?? > 5", "SizeOfPart"),
        ("$ ^To:.*$HOME", "UnknownVariable([72, 79, 77, 69])"),
        ("MATCH ?? x", "UnknownVariable([77, 65, 84, 67, 72])"),
        ("$ `date`", "Backquotes"),
        ("^Subject:.*caf\u{e9}", "header :contains \"Subject\" \"caf\u{e9}\""),
    ];
    for (condition, expected) in table {
        assert_eq!(test_of(condition), expected, "{condition}");
    }
}

#[test]
fn the_flag_d_compares_bytes() {
    assert_eq!(
        script(":0 D\n* ^Subject:.*Foo\nbox\n"),
        "if header :contains :comparator \"i;octet\" \"Subject\" \"Foo\" { fileinto :create \"box\"; stop; }"
    );
}

#[test]
fn abbreviations_become_tests_of_their_fields() {
    let to = test_of("^TO_joe@example\\.org");
    assert!(to.starts_with("header :regex [\"Original-Resent-To\""), "{to}");
    assert!(to.ends_with("\"(^|[^.0-9_a-z-])joe@example\\\\.org\""), "{to}");
    let daemon = test_of("^FROM_DAEMON");
    for part in [
        "exists \"Mailing-List\"",
        "header :contains \"Precedence\" [\"junk\", \"bulk\", \"list\"]",
        "header :matches \"To\" \"multiple recipients of *\"",
        "envelope :regex \"from\"",
    ] {
        assert!(daemon.contains(part), "{part} in {daemon}");
    }
}

#[test]
fn actions_become_commands() {
    let table = [
        (":0\nbox\n", "fileinto :create \"box\"; stop;"),
        (":0 c\nbox\n", "fileinto :copy :create \"box\";"),
        (":0\n/dev/null\n", "discard; stop;"),
        (":0 c\n/dev/null\n", ""),
        (":0\n$DEFAULT\n", "keep; stop;"),
        (":0\n! a@b.org, c@d.org\n", "redirect \"a@b.org\"; redirect \"c@d.org\"; stop;"),
        (":0 c\n! a@b.org\n", "redirect :copy \"a@b.org\";"),
        (":0\na/ b/ c\n", "fileinto :create \"a\"; fileinto :create \"b\"; stop;"),
        (":0 c\nbox\n:0\nbox\n", "fileinto :copy :create \"box\"; fileinto :create \"box\"; discard; stop;"),
        (":0\n| /usr/lib/dovecot/dovecot-lda -m lists\n", "fileinto :create \"lists\"; stop;"),
        (":0 Wh: lock\n| formail -D 8192 cache\n", "if duplicate { discard; stop; }"),
        (
            ":0 Whc: lock\n| formail -D 8192 cache\n:0 a:\nduplicates\n",
            "if duplicate { set \"matched_2\" \"yes\"; } \
             if string :is \"${matched_2}\" \"yes\" { fileinto :create \"duplicates\"; stop; }",
        ),
        ("EXITCODE=67\n:0\n/dev/null\n", "reject \"User unknown\"; stop;"),
        ("HOST=\n", "discard; stop;"),
        ("SWITCHRC=\n:0\nbox\n", "stop;"),
        ("DEFAULT=$HOME/Mail/in\n", "# DEFAULT fileinto :create \"in\";"),
        ("DEFAULT=$HOME/Maildir/\n", ""),
        ("INCLUDERC=$HOME/.procmail/lists.rc\n", "include :personal :optional \"lists\";"),
        (
            "INCLUDERC=$HOME/set.rc\n:0\n* LIST ?? x\nx/\n",
            "include :personal :optional \"set\"; # NOT CONVERTED, line 2: the value of $LIST is not known here \
             # :0 # * LIST ?? x # x/ # ATTENTION: procmail may deliver mail here, which goes on to what follows in this \
             script.",
        ),
        ("VERBOSE=yes\nLOGFILE=log\n", ""),
        ("# said\n:0\nbox\n", "# said fileinto :create \"box\"; stop;"),
    ];
    for (rc, expected) in table {
        assert_eq!(script(rc), expected, "{rc}");
    }
}

#[test]
fn flags_that_chain_recipes_become_branches() {
    let (a, b) = ("* ^A:.*1\n", "* ^B:.*1\n");
    let (is_a, is_b) = ("header :contains \"A\" \"1\"", "header :contains \"B\" \"1\"");
    let table = [
        (
            format!(":0 c\n{a}one\n:0 E\n{b}two\n:0 E\nthree\n"),
            format!(
                "if {is_a} {{ fileinto :copy :create \"one\"; }} elsif {is_b} {{ fileinto :create \"two\"; stop; }} \
                 else {{ fileinto :create \"three\"; stop; }}"
            ),
        ),
        (
            format!(":0 c\n{a}one\n:0 A\n{b}two\n:0 Ac\nthree\n"),
            format!(
                "if {is_a} {{ fileinto :copy :create \"one\"; if {is_b} {{ fileinto :create \"two\"; stop; }} \
                 fileinto :copy :create \"three\"; }}"
            ),
        ),
        (
            format!(":0 c\n{a}one\n:0 Ac\n{b}two\n:0 E\nthree\n"),
            format!(
                "if {is_a} {{ fileinto :copy :create \"one\"; if {is_b} {{ set \"matched_2\" \"yes\"; \
                 fileinto :copy :create \"two\"; }} }} \
                 if not string :is \"${{matched_2}}\" \"yes\" {{ fileinto :create \"three\"; stop; }}"
            ),
        ),
        (":0\none\n:0 A\ntwo\n".to_owned(), "fileinto :create \"one\"; stop;".to_owned()),
        (
            format!(":0\n{a}one\n:0 A\ntwo\n"),
            format!("if {is_a} {{ fileinto :create \"one\"; stop; }} # line 4: this recipe never applies"),
        ),
        (
            format!(":0\n{a}{{\n:0\n{b}one\n}}\n:0 E\ntwo\n"),
            format!(
                "if {is_a} {{ if {is_b} {{ fileinto :create \"one\"; stop; }} }} else {{ fileinto :create \"two\"; stop; }}"
            ),
        ),
    ];
    for (rc, expected) in table {
        assert_eq!(script(&rc), expected, "{rc}");
    }
}

#[test]
fn blocks_on_a_copy_deliver_copies_and_go_on() {
    assert_eq!(
        script(":0 c\n{\n:0\n* ^A:.*1\none\n:0\ntwo\n}\n:0\nthree\n"),
        "if header :contains \"A\" \"1\" { fileinto :copy :create \"one\"; set \"matched_1\" \"yes\"; } \
         if not string :is \"${matched_1}\" \"yes\" { fileinto :copy :create \"two\"; set \"matched_1\" \"yes\"; } \
         fileinto :create \"three\"; stop;"
            .replace("matched_1", "matched_2")
    );
    let left = convert(":0 c\n{\n:0\n* ^A:.*1\none\n}\n");
    assert_eq!(left.notes[0].reason, Reason::CopyGoesOn);
}

#[test]
fn variables_are_put_in_where_they_are_known_and_set_where_they_are_not() {
    assert_eq!(script("A=x\n:0\n$A/y/\n"), "fileinto :create \"x/y\"; stop;");
    assert_eq!(
        script("A=x\n:0\n* ^A:.*1\n{ A=y }\n:0\nlists/$A\n"),
        "set \"A\" \"x\"; if header :contains \"A\" \"1\" { set \"A\" \"y\"; } fileinto :create \"lists/${A}\"; stop;"
    );
    assert_eq!(
        script("A=x\n:0\n* ^A:.*1\n{ A=y }\n:0\n* A ?? ^^x\nbox\n"),
        "set \"A\" \"x\"; if header :contains \"A\" \"1\" { set \"A\" \"y\"; } \
         if string :regex \"${A}\" \"^x\" { fileinto :create \"box\"; stop; }"
    );
    let given = Options::new().variable("LOGNAME", "joe");
    let conversion = convert_with(":0\n* $ ^To:.*$LOGNAME\nbox-$LOGNAME\n", &given);
    assert!(conversion.script.contains("header :contains \"To\" \"joe\""), "{}", conversion.script);
    assert!(conversion.script.contains("fileinto :create \"box-joe\""));
}

#[test]
fn nothing_in_a_string_is_read_as_a_variable() {
    let rc = "A=x\n:0\n* ^A:.*1\n{ A='${B}' }\n:0 c\nlists/$A\n:0\n* ^S:.*\\${A}\nbox\n";
    let conversion = convert(rc);
    assert!(conversion.script.contains("set \"dollar\" \"$\";\n"), "{}", conversion.script);
    assert!(conversion.script.contains("set \"A\" \"${dollar}{B}\";"));
    assert!(conversion.script.contains("header :contains \"S\" \"${dollar}{a}\""));
    // Without variables it is a text like any other.
    assert_eq!(test_of(r"^S:.*\${A}"), "header :contains \"S\" \"${a}\"");
}

#[test]
fn what_is_not_converted_is_told_with_its_place_and_what_it_may_do() {
    let rc = "# first\n:0fw\n| spamc\n\n:0:\n* ^Subject:.*x\n  * 2^0 y\nspam\n\n:0 E\nother\n\n:0 e\nsorry\n";
    let conversion = convert(rc);
    assert!(!conversion.is_complete());
    let told: Vec<String> = conversion.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "3:2: not converted: a script cannot filter mail by a program; let the server do that before",
            "7:3: not converted, may deliver: a script cannot add up scores",
            "10:1: not converted, may deliver: it goes by what line 5 does, which is not converted",
            "13:1: not converted, may deliver: a script cannot go on after what failed",
        ]
    );
    assert_eq!(conversion.script.matches("# ATTENTION").count(), 3);
    assert!(
        conversion.script.contains("#   * ^Subject:.*x\n#     * 2^0 y\n#   spam\n"),
        "{}",
        conversion.script
    );
}

#[test]
fn what_cannot_be_said_is_named() {
    let table: &[(&str, Reason)] = &[
        (":0\n| prog\n", Reason::Program),
        (":0 c\nA=| prog\n", Reason::Capture),
        (":0\n|\n", Reason::StandardOutput),
        (":0 h\n* ^From:.*x\n| (formail -r; echo) | $SENDMAIL -t\n", Reason::Reply),
        (":0\n! joe\n", Reason::NoAddress),
        (":0\n! -f x a@b.org\n", Reason::MailerOption),
        (":0\n/opt/box\n", Reason::ElsewhereFolder(b"/opt/box".to_vec())),
        (":0\nlists/$MATCH\n", Reason::UnknownVariable(b"MATCH".to_vec())),
        (":0\n`date +%Y`\n", Reason::Backquotes),
        ("A=`date`\n", Reason::Backquotes),
        ("TRAP=x\n", Reason::Trap),
        ("HOST=other\n", Reason::Host),
        ("INCLUDERC=a.rc\nINCLUDERC=a.rc\n", Reason::IncludedAgain),
    ];
    for (rc, reason) in table {
        let notes = convert(rc).notes;
        let found = notes.iter().find(|note| matches!(note.kind, NoteKind::NotConverted { .. }));
        assert_eq!(found.map(|note| &note.reason), Some(reason), "{rc}");
    }
}

#[test]
fn programs_are_run_where_the_options_say_so() {
    let mut options = Options::new();
    options.programs = true;
    let conversion = convert_with(
        ":0fw\n| /usr/bin/spamc -u joe\n:0\n* ? check it\n| prog a\nA=| get\n:0 c\n| prog b\n:0\n| prog $X\n",
        &options,
    );
    for part in [
        "filter \"spamc\" [\"-u\", \"joe\"];",
        "if execute :pipe \"check\" \"it\" {\n    pipe \"prog\" \"a\";\n    stop;\n}",
        "pipe :copy \"prog\" \"b\";",
    ] {
        let one_line = conversion.script.replace("[\"it\"]", "\"it\"");
        assert!(one_line.contains(part), "{part} in {}", conversion.script);
    }
    assert!(conversion.notes.iter().any(|note| note.reason == Reason::Shell));
}

#[test]
fn options_change_what_is_written() {
    let mut options = Options::new();
    options.create = false;
    options.separator = '.';
    options.regex = false;
    options.includes = false;
    let rc = "INCLUDERC=x.rc\n:0\n* ^S:.*a+\nno\n:0\n* ^S:.*a\nlists/rust/\n";
    let conversion = convert_with(rc, &options);
    assert!(conversion.script.contains("fileinto \"lists.rust\";"), "{}", conversion.script);
    let reasons: Vec<_> = conversion.notes.into_iter().map(|note| note.reason).collect();
    assert_eq!(reasons, [Reason::Include, Reason::Expression]);
}

#[test]
fn blocks_that_nest_too_deep_are_left_out() {
    let rc = format!("{}:0\nbox\n{}", ":0\n* ^A:.*1\n{\n".repeat(40), "}\n".repeat(40));
    let conversion = convert(&rc);
    assert!(conversion.notes.iter().any(|note| note.reason == Reason::TooDeep));
}

#[test]
fn a_script_does_not_grow_without_end() {
    let mut rc = "A=xxxxxxxxxxxxxxxx\n".to_owned();
    for _ in 0..8 {
        rc.push_str("A=$A$A\n");
    }
    rc.push_str(&":0 c\n* $ ^A:.*$A\n$A\n".repeat(3000));
    let conversion = convert(&rc);
    assert!(conversion.script.len() < 3 << 20, "{} bytes", conversion.script.len());
}

#[test]
fn a_whole_script_reads_well() {
    let rc = "\
# Mail of joe
MAILDIR=$HOME/Mail
LISTS=lists

# What came before goes.
:0 Wh: msgid.lock
| formail -D 8192 msgid.cache

# The list, and a copy to ann if it is about crabs
:0
* ^List-Id:.*<rust\\.example\\.org>
{
  :0 c
  * ^Subject:.*crab
  ! ann@example.org

  :0:
  $LISTS/rust
}

:0 E
* > 100000
* ! ^From:.*@example\\.org
big/

:0 B:
* ^click (here|now)$
.junk/
";
    let expected = "\
require [\"body\", \"copy\", \"duplicate\", \"encoded-character\", \"fileinto\", \"mailbox\", \"regex\"];

# Mail of joe
# What came before goes.
if duplicate {
    discard;
    stop;
}

# The list, and a copy to ann if it is about crabs
if header :contains \"List-Id\" \"<rust.example.org>\" {
    if header :contains \"Subject\" \"crab\" {
        redirect :copy \"ann@example.org\";
    }

    fileinto :create \"lists/rust\";
    stop;
} elsif allof(
    size :over 100000,
    not header :contains \"From\" \"@example.org\") {
    fileinto :create \"big\";
    stop;
}

if body :raw :regex \"(^|${hex:0a})click (here|now)($|${hex:0d}?${hex:0a})\" {
    fileinto :create \"junk\";
    stop;
}
";
    assert_eq!(convert(rc).script, expected);
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        ":0\n",
        ":0 c\n",
        ":0 E\n",
        ":0 Ac\n",
        ":0 a\n",
        ":0 e\n",
        ":0 fw\n",
        ":0 D:\n",
        ":0 B\n",
        ":0 HB\n",
        ":0 $A\n",
        "* ^Subject:.*hello\n",
        "* ! ^TO_joe\n",
        "* ^FROM_DAEMON\n",
        "* ^Subject:(a|b?)*\\/.c[]\"x]$\n",
        "* ? true\n",
        "* < 100\n",
        "* $ ^S:.*${A}\n",
        "* A ?? ^x$\n",
        "* 9^9 > 5\n",
        "* B ?? ^a.*\\<b$c\n",
        "* caf\u{e9}\n",
        "* ^S: a\u{1}b\\\"\n",
        "box\n",
        "dir/\n",
        "/dev/null\n",
        "$A\n",
        "a\"b\\\\c\n",
        "{\n",
        "{\n",
        "{\n",
        "}\n",
        "}\n",
        "}\n",
        "| cat -n\n",
        "| formail -D 9 c\n",
        "! a@b.org\n",
        "! \"a b\"@c\n",
        "A=| cat\n",
        "A=x\n",
        "A='${B} \"\\ é'\n",
        "A=\"$A\ny\"\n",
        "A\n",
        "MAILDIR=d\n",
        "INCLUDERC=inc\n",
        "SWITCHRC=inc\n",
        "SWITCHRC=\n",
        "HOST\n",
        "TRAP=t\n",
        "EXITCODE=67\n",
        "DEFAULT=/x\n",
        "DEFAULT=y/\n",
        "B=`date`\n",
        "matched_1=z\n",
        "junk junk\n",
        "# x \u{7f}\t\n",
        "\r\n",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn every_script_is_well_formed(
        pieces in prop::collection::vec(piece(), 0..40),
        [create, regex, programs, includes] in any::<[bool; 4]>(),
    ) {
        let mut options = Options::new().variable("A", "a ${x} \"\\");
        (options.create, options.regex, options.programs, options.includes) = (create, regex, programs, includes);
        let conversion = convert_with(&pieces.concat(), &options);
        let left_out = conversion.script.matches("# NOT CONVERTED").count();
        let noted = conversion.notes.iter().filter(|note| matches!(note.kind, NoteKind::NotConverted { .. })).count();
        prop_assert_eq!(left_out, noted);
    }

    #[test]
    fn any_bytes_become_a_script(source in prop::collection::vec(any::<u8>(), 0..200)) {
        grammar::check(&to_sieve(&Rc::parse(source), &Options::new()).script);
    }
}

#[test]
fn every_recorded_case_becomes_a_script() {
    let mut count = 0;
    for file in
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded/cases")).expect("is there")
    {
        let path = file.expect("can be read").path();
        if path.extension().is_none_or(|extension| extension != "cases") {
            continue;
        }
        for case in archive::parse(&std::fs::read(path).expect("can be read")) {
            if let Some(rc) = case.files.get("rc") {
                grammar::check(&to_sieve(&Rc::parse(rc.clone()), &Options::new()).script);
                count += 1;
            }
        }
    }
    assert!(count > 280, "{count} cases");
}
