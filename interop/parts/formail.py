"""Our formail beside Debian's: random headers and options must give the same output, exit code and cache."""

import os
import random
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

from lib.checks import Failed, check, note
from lib.children import run as run_program

RUNS = 700
DATE = re.compile(rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d 20[2-9]\d")
MESSAGE_ID = re.compile(rb"<\S*@" + os.uname().nodename.encode() + rb">")

ADDRESSES = """a@b|a@b.c|<a@b.c>|<>|"Q R" <q@r.s>|x (c) y|foo|p!q|p!q@r.x|a@b, c@d|g: a@b;|(comment only)|<a@b.c
a@b>|"x, y" <q@z>|<@r.e:a@b>|MAILER-DAEMON||a@[1.2]|a@b (nested (c) d)|=?u?q?x?= <m@n.o>|<a@b> <c@d>|a;b
a.b|local@|x y <f@g.h>|a@b <c@d.e>|x, y <a@b>""".replace("\n", "|").split("|")
WITH_ADDRESS = """From To Cc Reply-To Sender Return-Path Errors-To Resent-From Resent-Reply-To Resent-Sender Path
Return-Receipt-To""".split()
OTHERS = {
    "Subject": ["hello", "Re: hello", "re:hello", "", "long " * 20, "a  b", "Re: Re: x", ":"],
    "Message-ID": ["<1@x>", "<2@x>", "<3@x.y>", "no-brackets"],
    "References": ["<1@x> <2@x>", "<9@x>"],
    "Date": ["Tue, 2 Jan 2001 03:04:05 +0000", "now"],
    "Content-Length": ["5", "0", "20", "100000", "x", "12"],
    "X-Loop": ["me", "you"],
    "X-Two": ["one", "two words"],
    "Received": ["from a by b", "from c by d; now"],
    "Old-Subject": ["older"],
    "Mailing-List": ["x"],
    "Foo-Bar": ["x", "a:b", "\xe9", ""],
}
POSTMARKS = """From a@x Tue Jan  2 03:04:05 2001|From b.c@d.e  Tue Jan  2 03:04:06 2001|From - Tue Jan  2 03:04:06 2001
From a b|From <> Tue Jan  2 03:04:05 2001|From x y\n>From z w|From x!y Tue Jan  2 03:04:05 2001 remote from z""".split("|")
POSTMARKS = [line for group in POSTMARKS for line in re.split(r"\n(?!>)", group)]
LINES = """body||From the body|From a b|>From x|>>From x|Subject: in body|To: inb| indented|-----
long long long long long long long long""".replace("\n", "|").split("|")
FIELDS = """Subject:|Subject: new|To:|X-|X-Two:|X-Foo: 1|From:|Received:|Message-ID:|Resent-Message-ID:|Date:|Re|Subj
X-Loop: me|Cc: a,\n b|Foo: |References:|In-Reply-To:|Status: R|X-New:v|x-two:|Resent-|Reply-To:|Return-Path:""".split("|")
FIELDS = [field for group in FIELDS for field in re.split(r"\n(?! )", group)]
CACHES = [b"", b"<1@x>\0\0", b"<1@x>\0<2@x>\0\0", b"<9@q>\0\0"]


class Random(random.Random):
    """What may come in, from a seed."""

    def likely(self, chance):
        return self.random() < chance

    def field(self):
        if self.likely(0.5):
            name, content = self.choice(WITH_ADDRESS), self.choice(ADDRESSES)
        else:
            name = self.choice(list(OTHERS))
            content = self.choice(OTHERS[name])
        if self.likely(0.1):
            name = name.lower()
        folded = "\n " + self.choice(["folded", "x: y"]) if name == "Subject" and self.likely(0.2) else ""
        return f"{name}:{self.choice([' ', ' ', ' ', '', '  '])}{content}{folded}\n"

    def message(self, postmark):
        header = self.choice(POSTMARKS) + "\n" if self.likely(postmark) else ""
        header += "".join(self.field() for _ in range(self.choice([1, 2, 3, 4, 6])))
        body = "".join(self.choice(LINES) + "\n" for _ in range(self.choice([0, 1, 2, 3, 6])))
        return header + "\n" + body

    def options(self):
        given = [flag for flag in ("-b", "-f", "-c", "-z", "-Y") if self.likely(0.12)]
        if self.likely(0.1):
            given += ["-p", self.choice(["| ", ">>"])]
        if self.likely(0.35):
            given += [self.choice(["-r", "-rt", "-rk", "-rtk", "-rkb"])]
        replies = any(option.startswith("-r") for option in given)
        for option in ("-x", "-X", "-a", "-A", "-i", "-I", "-u", "-U"):
            # With -r, Debian's reads freed memory for -U.
            if self.likely(0.12) and not (option == "-U" and replies):
                given += [option, self.choice(FIELDS)]
        if self.likely(0.08):
            given += ["-R", *self.choice([("Subject:", "X-Old:"), ("X-", "Y-"), ("To:", "Foo:"), ("Foo-", "Bar-")])]
        if self.likely(0.08) and "-x" not in given and "-X" not in given:
            given += ["-l", self.choice(["folder", "x" * 70])]
        if self.likely(0.1):
            given += ["-D", self.choice(["100", "20", "12"]), "cache"]
        return given


def run(setting):
    ours = setting.postoffice.with_name("formail")
    theirs = shutil.which("formail")
    scratch = setting.folder("formail")
    for name, splits in [("one message", False), ("mailboxes and digests", True)]:
        with check(f"formail as Debian's on {name}, {RUNS} times"):
            with ThreadPoolExecutor(4) as pool:
                wrong = [text for text in pool.map(lambda seed: differs(scratch, ours, theirs, seed, splits), range(RUNS)) if text]
            for text in wrong[:5]:
                note(text)
            if wrong:
                raise Failed(f"expected no difference, found {len(wrong)}")


def differs(scratch, ours, theirs, seed, splits):
    """What differs for a seed, or nothing."""
    chance = Random(f"{seed} {splits}")
    arguments = chance.options()
    if splits:
        # Where a wrong length ends in a line, Debian's goes its own ways.
        arguments.append("-Y")
        given = "\n".join(chance.message(0.95) for _ in range(chance.choice([1, 2, 3, 4])))
        arguments += [option for option, likely in (("-d", 0.25), ("+1", 0.15), ("-2", 0.15)) if chance.likely(likely)]
        if "-d" in arguments and {"-f", "-rt", "-r", "-rk", "-rtk", "-rkb"} & set(arguments):
            arguments.remove("-d")
        if chance.likely(0.15):
            arguments += ["-m", "3"]
        # For a message that it drops as a duplicate, Debian's starts the program all the same.
        programs = [[]] if "-D" in arguments else [[], ["sed", "s/^/| /"], ["sh", "-c", 'echo "[$FILENO"; cat; exit 3']]
        arguments += ["-s", *chance.choice(programs)]
    else:
        given = chance.message(0.8)
    cache = chance.choice(CACHES) if "-D" in arguments else None
    results = []
    for number, program in enumerate((theirs, ours)):
        folder = scratch / f"{seed}-{splits}-{number}"
        folder.mkdir()
        if cache is not None:
            (folder / "cache").write_bytes(cache)
        ran = run_program(
            [program, *arguments],
            given.encode("latin1"),
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"},
        )
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        shutil.rmtree(folder)
        # What is wrong with a command line is said in our own words.
        output = b"" if ran.code == 64 else MESSAGE_ID.sub(b"<id>", DATE.sub(b"date", ran.out))
        results.append((ran.code, output, {} if ran.code == 64 else files))
    if results[0] == results[1]:
        return None
    return f"seed {seed}: {arguments} on {given!r}\ntheirs {results[0]}\nours   {results[1]}"
