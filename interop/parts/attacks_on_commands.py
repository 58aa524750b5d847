"""Raw bytes on a socket: hostile command lines, addresses, parameters, orders of commands, relaying, other protocols.

The letters are those of the sections: B lines, C addresses, D parameters, E order, F relaying, G other protocols. Every line is
sent whole and byte by byte.
"""

from lib.attack import each
from lib.checks import check, equal, expect
from lib.office import USERS, resident_kib
from lib.samples import PLAIN
from lib.wire import Wire, b64, stuffed, trusting


def run(setting):
    office, context = setting.office, trusting(setting.certificates.ca)
    errors = many_errors(office)
    command_lines(office)
    addresses(office)
    parameters(office)
    order_of_commands(office)
    relaying(office, context)
    other_protocols(office)
    errors()


def command_lines(office):
    each(
        office,
        "B",
        [
            (b"NOOP\n", "500 5.5.2"),
            (b"NOOP\rRSET\r\n", "500 5.5.2"),
            (b"NOOP\0\r\n", "500 5.5.2"),
            (b"NO\0OP\r\n", "500 5.5.2"),
            (b"\r\n", "500 5.5.2"),
            (b" NOOP\r\n", "500 5.5.2"),
            (b"NOOPX\r\n", "500 5.5.2"),
            (b"\xff\xfe\r\n", "500 5.5.2"),
            (b"NOOP " + b"x" * 500 + b"\r\n", "250"),
            (b"NOOP " + b"x" * 2100 + b"\r\n", "500 5.5.2"),
            (b"DATA foo\r\n", "501 5.5.4"),
            (b"STARTTLS foo\r\n", "501 5.5.4"),
            (b"QUIT foo\r\n", "501 5.5.4"),
            (b"RSET foo\r\n", "501 5.5.4"),
            (b"EHLO\r\n", "501 5.5.4"),
            (b"EHLO a b\r\n", "501 5.5.4"),
            (b"noop\r\n", "250"),
            (b"EXPN staff\r\n", "502 5.5.1"),
            (b"VRFY alice\r\n", "252"),
            (b"ETRN example.test\r\n", "502 5.5.1"),
            (b"XCLIENT ADDR=10.0.0.1\r\n", "502 5.5.1|500 5.5.2"),
            (b"TURN\r\n", "500 5.5.2|502 5.5.1"),
            (b"LHLO x\r\n", "500 5.5.1"),
        ],
    )
    with check("B a line of 2 MB without an end is refused while it comes, and the connection closed"):
        before = resident_kib(office.child.pid)
        with Wire(office.smtp) as wire:
            wire.socket.settimeout(10)
            sent = 0
            try:
                while sent < 2 << 20:
                    wire.socket.sendall(b"x" * 4096)
                    sent += 4096
            except OSError:
                pass
            expect(
                resident_kib(office.child.pid) - before < 4096,
                "less than 4 MiB of memory for it",
                resident_kib(office.child.pid),
            )
            wire.expect("500 5.5.2")
            wire.closes()


def addresses(office):
    bad = [
        "<a@b@c>",
        "<.a@x>",
        "<a.@x>",
        "<a..b@x>",
        "<<a@x>>",
        "<a@x>junk",
        "<a@x",
        "a@x",
        "<a\x01b@x>",
        "<a\tb@x>",
        "<a b@x>",
        "<a@[300.1.2.3]>",
        "<a@[1.2.3]>",
        "<a@[IPv6:1::2::3]>",
        "<@a@x>",
        "<a@>",
        "<@x>",
        "<a@-x>",
        "<a@x_y>",
        "<a@x..y>",
        '<"a@x>',
        '<"a\\">',
        "<a@x> <b@x>",
        f"<a@{'x.' * 150}test>",
    ]
    each(office, "C", [(f"MAIL FROM:{path}\r\n", "501 5.1.7|501 5.5.4|500 5.5.2") for path in bad])
    good = [
        '<"a b"@x>',
        '<"a@b"@x>',
        '<"\\"\\\\"@x>',
        "<@r,@s:a@x>",
        "<a@[127.0.0.1]>",
        "<a@[IPv6:::1]>",
        "<a@[IPv6:2001:db8::7]>",
        "<>",
        "<!#$%&'*+-/=?^_`{|}~@x>",
        f"<{'a' * 64}@x>",
    ]
    each(office, "C", [(f"MAIL FROM:{path}\r\n", "250 2.1.0") for path in good])
    each(
        office,
        "C",
        [
            ("MAIL FROM:<ü@x>\r\n", "553 5.6.7"),
            ("MAIL FROM:<ü@x> SMTPUTF8\r\n", "250"),
            ("MAIL FROM:<a@ü.x> SMTPUTF8\r\n", "250"),
            (b"MAIL FROM:<\xff@x> SMTPUTF8\r\n", "501 5.1.7|553 5.6.7"),
            (b"MAIL FROM:<\xed\xa0\x80@x> SMTPUTF8\r\n", "501 5.1.7|553 5.6.7"),
            ("MAIL FROM: <a@x>\r\n", "501 5.5.4"),
            ("MAIL <a@x>\r\n", "501 5.5.4"),
            ("MAIL FROM\r\n", "501 5.5.4"),
        ],
    )
    sender = ["MAIL FROM:<a@x>"]
    each(
        office,
        "C",
        [
            ("RCPT TO:<Postmaster>\r\n", "250"),
            ("RCPT TO:<postMASTER@example.test>\r\n", "250"),
            ("RCPT TO:<>\r\n", "501 5.1.3"),
            ('RCPT TO:<"alice"@example.test>\r\n', "250"),
            ('RCPT TO:<"al\\ice"@example.test>\r\n', "250"),
            ("RCPT TO:<@relay.example,@other.example:alice@example.test>\r\n", "250"),
            ("RCPT TO:<ALICE@EXAMPLE.TEST>\r\n", "250"),
            ('RCPT TO:<"alice+../../bob"@example.test>\r\n', "250"),
            ("RCPT TO:<../alice@example.test>\r\n", "501 5.1.3|550 5.1.1"),
            ('RCPT TO:<"../alice"@example.test>\r\n', "550 5.1.1"),
            ('RCPT TO:<"alice/../bob"@example.test>\r\n', "550 5.1.1"),
            ('RCPT TO:<""@example.test>\r\n', "501 5.1.3|550 5.1.1"),
        ],
        before=sender,
    )
    with check("C a source route is stripped, a quoted local part kept, in what is written down"):
        mark = office.mark()
        with Wire(office.smtp) as wire:
            wire.hello()
            wire.cmd('MAIL FROM:<@relay.example:"odd sender"@example.com>', "250")
            wire.cmd("RCPT TO:<@relay.example:alice+x@example.test>", "250")
            wire.cmd("DATA", "354")
            wire.send(stuffed(PLAIN))
            wire.expect("250")
        (mail,) = office.arrives(mark, PLAIN)
        equal((mail.sender, mail.to), ('<"odd sender"@example.com>', "alice+x@example.test"), "the addresses")


def parameters(office):
    each(
        office,
        "D",
        [
            (f"MAIL FROM:<a@x> {parameters}\r\n", wanted)
            for parameters, wanted in [
                ("SIZE=99999999999999999999999", "501 5.5.4|552 5.3.4"),
                ("SIZE=18446744073709551616", "501 5.5.4|552 5.3.4"),
                ("SIZE=18446744073709551615", "552 5.3.4"),
                ("SIZE=52428801", "552 5.3.4"),
                ("SIZE=52428800", "250"),
                ("SIZE=-1", "501 5.5.4"),
                ("SIZE=0x10", "501 5.5.4"),
                ("SIZE", "501 5.5.4"),
                ("SIZE=1 SIZE=2", "501 5.5.4"),
                ("BODY=FOO", "501 5.5.4"),
                ("BODY=8BITMIME", "250"),
                ("body=7bit size=10", "250"),
                ("FOO=BAR", "555 5.5.4"),
                ("FOO", "555 5.5.4"),
                ("RET=FOO", "501 5.5.4|555 5.5.4"),
                ("RET=FULL RET=FULL", "501 5.5.4|555 5.5.4"),
                ("ENVID=a+zz", "501 5.5.4|555 5.5.4"),
                ("SMTPUTF8=1", "501 5.5.4"),
                ("=", "501 5.5.4|555 5.5.4"),
                ("BODY=BINARYMIME", "555 5.5.4|501 5.5.4"),
                ("SIZE=1\x01", "501 5.5.4|500 5.5.2"),
            ]
        ],
    )
    each(
        office,
        "D",
        [
            (f"RCPT TO:<alice@example.test> {parameters}\r\n", wanted)
            for parameters, wanted in [
                ("ORCPT=box", "501 5.5.4|555 5.5.4"),
                ("NOTIFY=NEVER,SUCCESS", "501 5.5.4|555 5.5.4"),
                ("FOO=BAR", "555 5.5.4"),
                ("SIZE=1", "555 5.5.4|501 5.5.4"),
            ]
        ],
        before=["MAIL FROM:<a@x>"],
    )


def order_of_commands(office):
    rows = [
        ("RCPT before MAIL", ["EHLO x"], "RCPT TO:<alice@example.test>", "503 5.5.1"),
        ("DATA before MAIL", ["EHLO x"], "DATA", "503 5.5.1"),
        ("DATA before RCPT", ["EHLO x", "MAIL FROM:<a@x>"], "DATA", "503 5.5.1"),
        ("MAIL before EHLO", [], "MAIL FROM:<a@x>", "503 5.5.1"),
        ("AUTH before EHLO", [], "AUTH CRAM-MD5", "503 5.5.1"),
        ("MAIL within a transaction", ["EHLO x", "MAIL FROM:<a@x>"], "MAIL FROM:<b@x>", "503 5.5.1"),
        ("AUTH within a transaction", ["EHLO x", "MAIL FROM:<a@x>"], "AUTH CRAM-MD5", "503 5.5.1"),
        ("STARTTLS within a transaction", ["EHLO x", "MAIL FROM:<a@x>"], "STARTTLS", "503 5.5.1"),
        (
            "RCPT after a second EHLO",
            ["EHLO x", "MAIL FROM:<a@x>", "EHLO x"],
            "RCPT TO:<alice@example.test>",
            "503 5.5.1",
        ),
        (
            "RCPT after RSET",
            ["EHLO x", "MAIL FROM:<a@x>", "RSET"],
            "RCPT TO:<alice@example.test>",
            "503 5.5.1",
        ),
        ("a response where none was asked for", ["EHLO x"], b64("\0alice\0secret"), "500 5.5.2"),
    ]
    for name, before, line, wanted in rows:
        with check(f"E {name} gives {wanted}"), Wire(office.smtp) as wire:
            for command in before:
                wire.cmd(command, "250")
            wire.cmd(line, wanted)
            wire.cmd("NOOP", "250")
    with check("E EHLO and HELO on the LMTP port give 500"), Wire(office.lmtp) as wire:
        wire.cmd("EHLO x", "500 5.5.1")
        wire.cmd("HELO x", "500 5.5.1")
        wire.cmd("LHLO x", "250")
    with check("E a refused recipient leaves the transaction as it was"), Wire(office.smtp) as wire:
        mark = office.mark()
        wire.hello()
        wire.envelope()
        wire.cmd("RCPT TO:<nobody@example.test>", "550 5.1.1")
        wire.cmd("RCPT TO:<a@b@c>", "501 5.1.3")
        wire.cmd("MAIL FROM:<second@example.com>", "503 5.5.1")
        wire.cmd("DATA", "354")
        wire.send(stuffed(PLAIN))
        wire.expect("250")
        office.arrives(mark, PLAIN, sender="sender@example.com")
    with check("E 1005 recipients: 452 4.5.3 from the 1001st on"), Wire(office.smtp) as wire:
        wire.hello()
        wire.cmd("MAIL FROM:<a@x>", "250")
        wire.send("".join(f"RCPT TO:<alice+{n}@example.test>\r\n" for n in range(1005)))
        for n in range(1005):
            wire.expect("250 2.1.5" if n < 1000 else "452 4.5.3")
        wire.cmd("RSET", "250")


def relaying(office, context):
    shapes = [
        ("<u@remote.example>", "550 5.7.1"),
        ("<u%remote.example@example.test>", "550 5.1.1"),
        ("<remote.example!u@example.test>", "550 5.1.1"),
        ("<remote.example!u>", "501 5.1.3|550 5.7.1"),
        ("<@example.test:u@remote.example>", "550 5.7.1"),
        ('<"u@remote.example"@example.test>', "550 5.1.1"),
        ('<"u%remote.example"@example.test>', "550 5.1.1"),
        ("<u@remote.example@example.test>", "501 5.1.3"),
        ("<postmaster@remote.example>", "550 5.7.1"),
        ("<alice@[127.0.0.1]>", "550 5.7.1"),
        ("<alice@example.test.remote.example>", "550 5.7.1"),
        ("<alice@xexample.test>", "550 5.7.1"),
        ("<alice@localhost>", "550 5.7.1"),
    ]
    each(
        office,
        "F",
        [(f"RCPT TO:{shape}\r\n", wanted) for shape, wanted in shapes],
        before=["MAIL FROM:<a@x>"],
    )
    each(
        office,
        "F LMTP",
        [(f"RCPT TO:{shape}\r\n", wanted) for shape, wanted in shapes[:3]],
        before=["MAIL FROM:<a@x>"],
        port=office.lmtp,
    )
    with check("F relaying is refused after AUTH too"), Wire(office.submissions, tls=context) as wire:
        wire.hello()
        wire.auth_plain("alice", USERS["alice"])
        wire.cmd("MAIL FROM:<alice@example.test>", "250")
        for shape, wanted in shapes:
            wire.cmd(f"RCPT TO:{shape}", wanted)
            if shape == shapes[6][0]:
                break


def other_protocols(office):
    for line in [
        "GET / HTTP/1.1",
        "POST / HTTP/1.1",
        "CONNECT example.test:25 HTTP/1.1",
        "Subject: x",
        "Host: example.test",
    ]:
        with check(f"G {line!r} as a command closes the connection at once"), Wire(office.smtp) as wire:
            wire.send(f"{line}\r\nEHLO x\r\nMAIL FROM:<a@x>\r\n")
            wire.expect("221|421|500|521|554")
            wire.closes()


def many_errors(office):
    """Begun early, since the server takes its time with such clients."""
    wire = Wire(office.smtp)
    wire.send(b"WHAT\r\n" * 60)
    junk = Wire(office.smtp)
    junk.send(b"NOOP\r\n" * 200)

    def ended():
        with check("B 60 unknown commands: closed after 20"), wire:
            wire.socket.settimeout(30)
            codes = [reply.code for reply in wire.rest()]
            equal(codes, [500] * 20 + [421], "the replies")
        with check("B 200 NOOP: closed before they end"), junk:
            junk.socket.settimeout(30)
            codes = [reply.code for reply in junk.rest()]
            expect(codes[-1] == 421 and len(codes) < 150, "421 after less than 150", codes[-3:])

    return ended
