"""Raw bytes on a socket: what attackers and careless programs send, and the strict answer to each.

Sections: A end of data, B command lines, C addresses, D parameters, E order of commands, F relaying, G other protocols, H ends of
connections, I refused DATA, J BDAT, K STARTTLS, L AUTH, M messages. All rows are sent whole and byte by byte.
"""

import base64
import hashlib
import hmac
import socket
import ssl

from lib.checks import check, equal, expect
from lib.office import USERS, Office, eventually, open_files, resident_kib
from lib.samples import PLAIN, message
from lib.wire import Wire, b64, stuffed, trusting


def run(setting):
    errors = many_errors(setting.office)
    end_of_data(setting)
    command_lines(setting.office)
    addresses(setting.office)
    parameters(setting.office)
    order_of_commands(setting.office)
    relaying(setting.office, trusting(setting.certificates.ca))
    other_protocols(setting.office)
    ends_of_connections(setting.office)
    refused_data(setting.office)
    chunks(setting.office)
    starttls(setting.office, trusting(setting.certificates.ca))
    logins(setting.office, trusting(setting.certificates.ca))
    messages(setting.office)
    errors()
    with check("after all attacks the post office takes mail, and holds no more memory and files than it should"):
        with Wire(setting.office.smtp) as wire:
            wire.hello()
            delivered(setting.office, wire, PLAIN)
        expect(resident_kib(setting.office.child.pid) < 150 << 10, "less than 150 MiB", resident_kib(setting.office.child.pid))
        expect(open_files(setting.office.child.pid) < 100, "less than 100 open files", open_files(setting.office.child.pid))


def delivered(office, wire, content):
    """Sends a message on a connection that has said hello; it must arrive as it is."""
    mark = office.mark()
    wire.envelope()
    wire.cmd("DATA", "354")
    wire.send(stuffed(content))
    wire.expect("250")
    office.arrives(mark, content)


def ways(data):
    """The whole in one write, and byte by byte."""
    return {"whole": [data], "byte by byte": [data[n : n + 1] for n in range(len(data))]}


def end_of_data(setting):
    variants = {
        "LF . LF": b"\n.\n", "LF . CRLF": b"\n.\r\n", "CRLF . LF": b"\r\n.\n", "LF . CR": b"\n.\r", "CR . LF": b"\r.\n",
        "CR . CR": b"\r.\r", "CR . CRLF": b"\r.\r\n", "CRLF . CR": b"\r\n.\r", "CRLF NUL . CRLF": b"\r\n\0.\r\n",
        "CRLF . NUL CRLF": b"\r\n.\0\r\n", "CRLF . CR CRLF": b"\r\n.\r\r\n", "CR CRLF . CR CRLF": b"\r\r\n.\r\r\n",
        "LF LF . CRLF": b"\n\n.\r\n", "LF CR . LF CR": b"\n\r.\n\r", "CRLF . SP CRLF": b"\r\n. \r\n",
        "CRLF . TAB CRLF": b"\r\n.\t\r\n", "CRLF SP . CRLF": b"\r\n .\r\n", "CRLF .. CRLF": b"\r\n..\r\n",
        "CRLF . VT CRLF": b"\r\n.\x0b\r\n", "CRLF . FF CRLF": b"\r\n.\x0c\r\n", "CRLF . NEL CRLF": b"\r\n.\xc2\x85\r\n",
        "CRLF U+2028 . CRLF": b"\r\n\xe2\x80\xa8.\r\n",
    }
    smuggled = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nevil\r\nNOOP"
    policies = {
        "refused": setting.office,
        "repaired": Office(setting, "repair", '[smtp]\nbare_newlines = "repair"\nnul = "strip"\n'),
        "kept": Office(setting, "keep", '[smtp]\nbare_newlines = "keep"\nnul = "keep"\n'),
    }
    for policy, office in policies.items():
        for name, variant in variants.items():
            with check(f"A {name} is no end of data, bare line ends {policy}"):
                content = b"x" + variant + smuggled + b"\r\n"
                clean = b"\0" not in variant and not bare(variant)
                for parts in ways(content + b".\r\nQUIT\r\n").values():
                    mark = office.mark()
                    with Wire(office.smtp) as wire:
                        wire.hello()
                        wire.envelope()
                        wire.cmd("DATA", "354")
                        wire.send_parts(parts)
                        taken = clean or policy != "refused"
                        wire.expect("250 2.0.0" if taken else "550 5.6.11|550 5.6.0")
                        wire.expect("221")
                        wire.closes()
                    if not taken:
                        office.nothing_arrives(mark)
                        continue
                    (mail,) = office.arrived(mark)
                    equal(mail.user, "alice", "who got mail")
                    plain = (b"\r\n" + content).replace(b"\r\n.", b"\r\n")[2:]
                    if policy == "kept":
                        equal(mail.raw[-len(b"evil\nNOOP\n") :], b"evil\nNOOP\n", "the end of the message")
                    elif clean:
                        mail.holds(plain)
                    else:
                        expect(b"\0" not in mail.raw and b"\r" not in mail.raw, "a message without NUL and CR", mail.content)
                        expect(mail.content.endswith(b"evil\nNOOP\n"), "the end of the message", mail.content)
    for name, office in policies.items():
        if office is not setting.office:
            office.stop()
    office = setting.office
    with check("A the end of data right after 354 gives an empty message"):
        for parts in ways(b".\r\n").values():
            mark = office.mark()
            with Wire(office.smtp) as wire:
                wire.hello()
                wire.envelope()
                wire.cmd("DATA", "354")
                wire.send_parts(parts)
                wire.expect("250")
                wire.cmd("NOOP", "250")
            office.arrives(mark, b"")
    with check("A two dots in the first line are one dot of content"):
        with Wire(office.smtp) as wire:
            wire.hello()
            delivered(office, wire, b".\r\n")
            delivered(office, wire, b"..\r\n.\r\n")


def bare(data):
    """Whether there is a CR or LF that stands alone."""
    rest = data.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest


def each(office, section, rows, before=(), port=None):
    """Each row is one line and the one reply to it; the session goes on after it."""
    for line, wanted in rows:
        line = line.encode() if isinstance(line, str) else line
        shown = line if len(line) < 80 else line[:40] + b"... (%d bytes)" % len(line)
        with check(f"{section} {shown!r} gives {wanted}"):
            for parts in ways(line).values():
                with Wire(port or office.smtp) as wire:
                    wire.hello("LHLO" if port == office.lmtp else "EHLO")
                    for command in before:
                        wire.cmd(command, "250")
                    wire.send_parts(parts)
                    wire.expect(wanted)
                    wire.cmd("NOOP", "250 2.0.0")


def command_lines(office):
    each(
        office, "B",
        [
            (b"NOOP\n", "500 5.5.2"), (b"NOOP\rRSET\r\n", "500 5.5.2"), (b"NOOP\0\r\n", "500 5.5.2"), (b"NO\0OP\r\n", "500 5.5.2"),
            (b"\r\n", "500 5.5.2"), (b" NOOP\r\n", "500 5.5.2"), (b"NOOPX\r\n", "500 5.5.2"), (b"\xff\xfe\r\n", "500 5.5.2"),
            (b"NOOP " + b"x" * 500 + b"\r\n", "250"), (b"NOOP " + b"x" * 2100 + b"\r\n", "500 5.5.2"),
            (b"DATA foo\r\n", "501 5.5.4"), (b"STARTTLS foo\r\n", "501 5.5.4"), (b"QUIT foo\r\n", "501 5.5.4"),
            (b"RSET foo\r\n", "501 5.5.4"), (b"EHLO\r\n", "501 5.5.4"), (b"EHLO a b\r\n", "501 5.5.4"), (b"noop\r\n", "250"),
            (b"EXPN staff\r\n", "502 5.5.1"), (b"VRFY alice\r\n", "252"), (b"ETRN example.test\r\n", "502 5.5.1"),
            (b"XCLIENT ADDR=10.0.0.1\r\n", "502 5.5.1|500 5.5.2"), (b"TURN\r\n", "500 5.5.2|502 5.5.1"), (b"LHLO x\r\n", "500 5.5.1"),
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
            expect(resident_kib(office.child.pid) - before < 4096, "less than 4 MiB of memory for it", resident_kib(office.child.pid))
            wire.expect("500 5.5.2")
            wire.closes()


def addresses(office):
    bad = [
        "<a@b@c>", "<.a@x>", "<a.@x>", "<a..b@x>", "<<a@x>>", "<a@x>junk", "<a@x", "a@x", "<a\x01b@x>", "<a\tb@x>", "<a b@x>",
        "<a@[300.1.2.3]>", "<a@[1.2.3]>", "<a@[IPv6:1::2::3]>", "<@a@x>", "<a@>", "<@x>", "<a@-x>", "<a@x_y>", "<a@x..y>",
        '<"a@x>', '<"a\\">', "<a@x> <b@x>", f"<a@{'x.' * 150}test>",
    ]
    each(office, "C", [(f"MAIL FROM:{path}\r\n", "501 5.1.7|501 5.5.4|500 5.5.2") for path in bad])
    good = ['<"a b"@x>', '<"a@b"@x>', '<"\\"\\\\"@x>', "<@r,@s:a@x>", "<a@[127.0.0.1]>", "<a@[IPv6:::1]>", "<a@[IPv6:2001:db8::7]>", "<>",
            "<!#$%&'*+-/=?^_`{|}~@x>", f"<{'a' * 64}@x>"]
    each(office, "C", [(f"MAIL FROM:{path}\r\n", "250 2.1.0") for path in good])
    each(
        office, "C",
        [
            ("MAIL FROM:<ü@x>\r\n", "553 5.6.7"), ("MAIL FROM:<ü@x> SMTPUTF8\r\n", "250"), ("MAIL FROM:<a@ü.x> SMTPUTF8\r\n", "250"),
            (b"MAIL FROM:<\xff@x> SMTPUTF8\r\n", "501 5.1.7|553 5.6.7"), (b"MAIL FROM:<\xed\xa0\x80@x> SMTPUTF8\r\n", "501 5.1.7|553 5.6.7"),
            ("MAIL FROM: <a@x>\r\n", "501 5.5.4"), ("MAIL <a@x>\r\n", "501 5.5.4"), ("MAIL FROM\r\n", "501 5.5.4"),
        ],
    )
    sender = ["MAIL FROM:<a@x>"]
    each(
        office, "C",
        [
            ("RCPT TO:<Postmaster>\r\n", "250"), ("RCPT TO:<postMASTER@example.test>\r\n", "250"), ("RCPT TO:<>\r\n", "501 5.1.3"),
            ('RCPT TO:<"alice"@example.test>\r\n', "250"), ('RCPT TO:<"al\\ice"@example.test>\r\n', "250"),
            ("RCPT TO:<@relay.example,@other.example:alice@example.test>\r\n", "250"), ("RCPT TO:<ALICE@EXAMPLE.TEST>\r\n", "250"),
            ('RCPT TO:<"alice+../../bob"@example.test>\r\n', "250"), ("RCPT TO:<../alice@example.test>\r\n", "501 5.1.3|550 5.1.1"),
            ('RCPT TO:<"../alice"@example.test>\r\n', "550 5.1.1"), ('RCPT TO:<"alice/../bob"@example.test>\r\n', "550 5.1.1"),
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
        office, "D",
        [
            (f"MAIL FROM:<a@x> {parameters}\r\n", wanted)
            for parameters, wanted in [
                ("SIZE=99999999999999999999999", "501 5.5.4|552 5.3.4"), ("SIZE=18446744073709551616", "501 5.5.4|552 5.3.4"),
                ("SIZE=18446744073709551615", "552 5.3.4"), ("SIZE=52428801", "552 5.3.4"), ("SIZE=52428800", "250"),
                ("SIZE=-1", "501 5.5.4"), ("SIZE=0x10", "501 5.5.4"), ("SIZE", "501 5.5.4"), ("SIZE=1 SIZE=2", "501 5.5.4"),
                ("BODY=FOO", "501 5.5.4"), ("BODY=8BITMIME", "250"), ("body=7bit size=10", "250"), ("FOO=BAR", "555 5.5.4"),
                ("FOO", "555 5.5.4"), ("RET=FOO", "501 5.5.4|555 5.5.4"), ("RET=FULL RET=FULL", "501 5.5.4|555 5.5.4"),
                ("ENVID=a+zz", "501 5.5.4|555 5.5.4"), ("SMTPUTF8=1", "501 5.5.4"), ("=", "501 5.5.4|555 5.5.4"),
                ("BODY=BINARYMIME", "555 5.5.4|501 5.5.4"), ("SIZE=1\x01", "501 5.5.4|500 5.5.2"),
            ]
        ],
    )
    each(
        office, "D",
        [
            (f"RCPT TO:<alice@example.test> {parameters}\r\n", wanted)
            for parameters, wanted in [
                ("ORCPT=box", "501 5.5.4|555 5.5.4"), ("NOTIFY=NEVER,SUCCESS", "501 5.5.4|555 5.5.4"), ("FOO=BAR", "555 5.5.4"),
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
        ("RCPT after a second EHLO", ["EHLO x", "MAIL FROM:<a@x>", "EHLO x"], "RCPT TO:<alice@example.test>", "503 5.5.1"),
        ("RCPT after RSET", ["EHLO x", "MAIL FROM:<a@x>", "RSET"], "RCPT TO:<alice@example.test>", "503 5.5.1"),
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
        ("<u@remote.example>", "550 5.7.1"), ("<u%remote.example@example.test>", "550 5.1.1"), ("<remote.example!u@example.test>", "550 5.1.1"),
        ("<remote.example!u>", "501 5.1.3|550 5.7.1"), ("<@example.test:u@remote.example>", "550 5.7.1"),
        ('<"u@remote.example"@example.test>', "550 5.1.1"), ('<"u%remote.example"@example.test>', "550 5.1.1"),
        ("<u@remote.example@example.test>", "501 5.1.3"), ("<postmaster@remote.example>", "550 5.7.1"), ("<alice@[127.0.0.1]>", "550 5.7.1"),
        ("<alice@example.test.remote.example>", "550 5.7.1"), ("<alice@xexample.test>", "550 5.7.1"), ("<alice@localhost>", "550 5.7.1"),
    ]
    each(office, "F", [(f"RCPT TO:{shape}\r\n", wanted) for shape, wanted in shapes], before=["MAIL FROM:<a@x>"])
    each(office, "F LMTP", [(f"RCPT TO:{shape}\r\n", wanted) for shape, wanted in shapes[:3]], before=["MAIL FROM:<a@x>"], port=office.lmtp)
    with check("F relaying is refused after AUTH too"), Wire(office.submissions, tls=context) as wire:
        wire.hello()
        wire.auth_plain("alice", USERS["alice"])
        wire.cmd("MAIL FROM:<alice@example.test>", "250")
        for shape, wanted in shapes:
            wire.cmd(f"RCPT TO:{shape}", wanted)
            if shape == shapes[6][0]:
                break


def other_protocols(office):
    for line in ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT example.test:25 HTTP/1.1", "Subject: x", "Host: example.test"]:
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


def ends_of_connections(office):
    group = b"MAIL FROM:<sender@example.com>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
    with check("H MAIL, RCPT, DATA in one write, then content and QUIT in one"), Wire(office.smtp) as wire:
        mark = office.mark()
        wire.hello()
        wire.send(group)
        for wanted in ["250 2.1.0", "250 2.1.5", "354"]:
            wire.expect(wanted)
        wire.send(stuffed(PLAIN) + b"QUIT\r\n")
        wire.expect("250 2.0.0")
        wire.expect("221 2.0.0")
        wire.closes()
        office.arrives(mark, PLAIN)
    with check("H content, dot, QUIT and FIN in one segment: all replies are still sent"), Wire(office.smtp) as wire:
        mark = office.mark()
        wire.hello()
        wire.envelope()
        wire.cmd("DATA", "354")
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        wire.send(stuffed(PLAIN) + b"QUIT\r\n")
        wire.half_close()
        wire.expect("250 2.0.0")
        wire.expect("221 2.0.0")
        wire.closes()
        office.arrives(mark, PLAIN)
    with check("H content, dot and FIN without QUIT: the reply is still sent"), Wire(office.smtp) as wire:
        mark = office.mark()
        wire.hello()
        wire.envelope()
        wire.cmd("DATA", "354")
        wire.send(stuffed(PLAIN))
        wire.half_close()
        wire.expect("250 2.0.0")
        wire.rest()
        office.arrives(mark, PLAIN)
    for cut in [b"", b"x", b"x\r\n", b"x\r\n.", b"x\r\n.\r"]:
        with check(f"H FIN in a message after {cut!r}: nothing is delivered"), Wire(office.smtp) as wire:
            mark = office.mark()
            wire.hello()
            wire.envelope()
            wire.cmd("DATA", "354")
            wire.send(cut)
            wire.half_close()
            equal([reply.code for reply in wire.rest() if reply.code < 400], [], "positive replies")
            office.nothing_arrives(mark)
    with check("H a reset in the middle of 1 MiB: nothing is delivered, nothing is left"):
        mark = office.mark()
        with Wire(office.smtp) as wire:
            wire.hello()
            wire.envelope()
            wire.cmd("DATA", "354")
            wire.send(b"x" * 78 + b"\r\n" + b"y" * (1 << 20))
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        eventually(lambda: not office.unfinished(), "an empty tmp")
        office.nothing_arrives(mark)
    with check("H a client that is gone after its message and before the reply: the message is delivered, once"):
        mark = office.mark()
        with Wire(office.smtp) as wire:
            wire.hello()
            wire.envelope()
            wire.cmd("DATA", "354")
            wire.send(stuffed(PLAIN))
        eventually(lambda: office.arrived(mark), "the message")
        office.arrives(mark, PLAIN)


def refused_data(office):
    content = b"RSET\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nevil\r\n.\r\n"
    for name, before in [
        ("although every recipient was refused", ["MAIL FROM:<a@x>", "RCPT TO:<nobody@example.test>"]),
        ("without a recipient", ["MAIL FROM:<a@x>"]),
        ("without a sender", []),
    ]:
        with check(f"I content sent along with DATA {name} is not executed"), Wire(office.smtp) as wire:
            mark = office.mark()
            wire.hello()
            for command in before:
                wire.send(command + "\r\n")
                wire.reply()
            wire.send(b"DATA\r\n" + content)
            wire.expect("503|554")
            equal([reply.code for reply in wire.rest() if reply.code < 400], [], "positive replies")
            office.nothing_arrives(mark)


def chunks(office):
    for size in ["-1", "+5", "18446744073709551616", "9223372036854775808", "5 FOO", "", "5x", "0x5", "5 LAST x", "1000000000000 LAST"]:
        with check(f"J 'BDAT {size}' is refused without waiting, and the connection closed"):
            for parts in ways(f"BDAT {size}\r\n".encode()).values():
                mark = office.mark()
                with Wire(office.smtp) as wire:
                    wire.hello()
                    wire.envelope()
                    wire.send_parts(parts)
                    wire.expect("501 5.5.4|521 5.5.4|552 5.3.4")
                    equal([reply.code for reply in wire.rest() if reply.code != 421], [], "further replies")
                office.nothing_arrives(mark)
    with check("J BDAT without an envelope: 503, and the chunk swallowed"), Wire(office.smtp) as wire:
        wire.hello()
        wire.send(b"BDAT 20 LAST\r\nRSET\r\nRSET\r\nRSET\r\n\r\nNOOP\r\n")
        wire.expect("503 5.5.1")
        wire.expect("250 2.0.0")
        wire.cmd("NOOP", "250")
    with check("J BDAT, then DATA: 503"), Wire(office.smtp) as wire:
        mark = office.mark()
        wire.hello()
        wire.envelope()
        wire.send(b"BDAT 4\r\nab\r\n")
        wire.expect("250")
        wire.cmd("DATA", "503 5.5.1")
        wire.cmd("RSET", "250")
        office.nothing_arrives(mark)
    content = b"Subject: chunks\r\n\r\nRSET\r\n.\r\n..\r\nQUIT\r\n.\r\n"
    with check("J chunks of every size that hold CRLF.CRLF and commands are content"):
        for size in [1, 2, 3, 7, len(content) - 1, len(content)]:
            mark = office.mark()
            with Wire(office.smtp) as wire:
                wire.hello()
                wire.envelope()
                pieces = [content[n : n + size] for n in range(0, len(content), size)]
                wire.send(b"".join(b"BDAT %d\r\n%s" % (len(piece), piece) for piece in pieces) + b"BDAT 0 LAST\r\nQUIT\r\n")
                for _ in pieces:
                    wire.expect("250 2.0.0")
                wire.expect("250 2.0.0")
                wire.expect("221 2.0.0")
            office.arrives(mark, content)
    with check("J a chunk with a bare LF: 550 5.6.11, the rest swallowed"), Wire(office.smtp) as wire:
        mark = office.mark()
        wire.hello()
        wire.envelope()
        wire.send(b"BDAT 9\r\nab\ncd\r\nx\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\n")
        codes = [wire.reply() for _ in range(3)]
        expect(codes[-1].fits("250 2.0.0"), "250 to NOOP", str(codes[-1]))
        expect(any(reply.fits("550 5.6.11") for reply in codes[:2]), "550 5.6.11", [str(reply) for reply in codes])
        office.nothing_arrives(mark)
    with check("J a message by BDAT of which the connection is lost is not delivered"):
        mark = office.mark()
        with Wire(office.smtp) as wire:
            wire.hello()
            wire.envelope()
            wire.send(b"BDAT 100 LAST\r\nonly some of it\r\n")
        with Wire(office.smtp) as wire:
            wire.hello()
        office.nothing_arrives(mark)


def starttls(office, context):
    with check("K what is sent behind STARTTLS in one write is not obeyed under TLS"):
        with Wire(office.smtp) as wire:
            wire.hello()
            wire.send(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.com>\r\nNOOP\r\n")
            wire.expect("220")
            wire.upgrade(context)
            wire.cmd("MAIL FROM:<a@x>", "503 5.5.1")
            wire.is_silent(0.3)
    with check("K MAIL, then STARTTLS: refused, or all forgotten"), Wire(office.smtp) as wire:
        wire.hello()
        wire.cmd("MAIL FROM:<a@x>", "250")
        wire.cmd("STARTTLS", "503 5.5.1")
    with check("K under TLS all is to be said again, and STARTTLS is not offered"), Wire(office.smtp) as wire:
        expect("STARTTLS" in wire.hello(), "STARTTLS", "none")
        wire.cmd("AUTH CRAM-MD5", "334")
        wire.cmd("*", "501 5.7.0")
        wire.starttls(context)
        wire.cmd("RCPT TO:<alice@example.test>", "503 5.5.1")
        offered = wire.hello()
        expect("STARTTLS" not in offered and "AUTH" in offered, "AUTH and no STARTTLS", offered)
        wire.cmd("STARTTLS", "503 5.5.1")
        delivered(office, wire, PLAIN)
    with check("K who was logged in before STARTTLS is not so after it"), Wire(office.submission) as wire:
        wire.hello()
        challenge = wire.cmd("AUTH CRAM-MD5", "334").lines[0]
        digest = hmac.new(USERS["alice"].encode(), base64.b64decode(challenge), hashlib.md5).hexdigest()
        wire.cmd(b64(f"alice {digest}"), "235")
        wire.starttls(context)
        wire.hello()
        wire.cmd("MAIL FROM:<a@x>", "530 5.7.0")
    with check("K plain text where TLS is expected closes the connection"), Wire(office.smtp) as wire:
        wire.hello()
        wire.cmd("STARTTLS", "220")
        wire.send(b"EHLO x\r\n" * 10)
        while wire._read():
            pass
    with check("K plain text on the port for TLS closes the connection"):
        with Wire(office.submissions, greeted=False) as wire:
            wire.send(b"EHLO x\r\n" * 10)
            while wire._read():
                pass
        with Wire(office.submissions, tls=context) as wire:
            wire.hello()
    with check("K TLS 1.1 and older are refused"):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        try:
            Wire(office.submissions, tls=old, greeted=False).close()
        except ssl.SSLError:
            pass
        else:
            expect(False, "the handshake to fail", "a connection")


def logins(office, context):
    word = USERS["alice"]
    plain = b64(f"\0alice\0{word}")
    rows = [
        ("PLAIN before TLS", office.submission, None, [(f"AUTH PLAIN {plain}", "538 5.7.11|503|504")]),
        ("an unknown mechanism", office.submissions, context, [("AUTH FOO", "504 5.5.4")]),
        ("XOAUTH2", office.submissions, context, [("AUTH XOAUTH2 eA==", "504 5.5.4")]),
        ("OAUTHBEARER", office.submissions, context, [("AUTH OAUTHBEARER eA==", "504 5.5.4")]),
        ("ANONYMOUS", office.submissions, context, [("AUTH ANONYMOUS eA==", "504 5.5.4")]),
        ("EXTERNAL", office.submissions, context, [("AUTH EXTERNAL =", "504 5.5.4")]),
        ("AUTH without a mechanism", office.submissions, context, [("AUTH", "501 5.5.4")]),
        ("bad base64", office.submissions, context, [("AUTH PLAIN !!!!", "501 5.5.2"), ("AUTH PLAIN", "334"), ("a=b", "501 5.5.2")]),
        ("base64 without its padding", office.submissions, context, [(f"AUTH PLAIN {plain.rstrip('=')}", "501 5.5.2")]),
        ("a cancel", office.submissions, context, [("AUTH PLAIN", "334"), ("*", "501 5.7.0"), ("AUTH LOGIN", "334"), ("*", "501 5.7.0")]),
        ("a response of 13,000 bytes", office.submissions, context, [("AUTH PLAIN", "334"), ("A" * 13000, "500 5.5.6")]),
        ("an initial response of 13,000 bytes", office.submissions, context, [("AUTH PLAIN " + "A" * 13000, "500")]),
        ("PLAIN with an empty password", office.submissions, context, [(f"AUTH PLAIN {b64(chr(0) + 'alice' + chr(0))}", "501 5.5.2|535 5.7.8")]),
        ("PLAIN with four parts", office.submissions, context, [(f"AUTH PLAIN {b64(chr(0).join(['', 'alice', word, 'x']))}", "501 5.5.2|535 5.7.8")]),
        ("PLAIN as somebody else", office.submissions, context, [(f"AUTH PLAIN {b64(chr(0).join(['bob', 'alice', word]))}", "535 5.7.8")]),
        ("PLAIN that is not UTF-8", office.submissions, context, [("AUTH PLAIN " + b64(b"\0\xff\0secret"), "501 5.5.2|535 5.7.8")]),
        ("SCRAM with nonsense", office.submissions, context, [("AUTH SCRAM-SHA-256", "334"), (b64("n,,n=alice"), "501 5.5.2|535 5.7.8")]),
        ("a second AUTH", office.submissions, context, [(f"AUTH PLAIN {plain}", "235"), (f"AUTH PLAIN {plain}", "503 5.5.1")]),
        ("MAIL before AUTH", office.submissions, context, [("MAIL FROM:<a@x>", "530 5.7.0"), ("VRFY alice", "530 5.7.0")]),
        ("MAIL before TLS and AUTH", office.submission, None, [("MAIL FROM:<a@x>", "530 5.7.0")]),
        ("AUTH on LMTP, which offers none", office.lmtp, None, [(f"AUTH PLAIN {plain}", "503 5.5.1")]),
    ]
    for name, port, tls, dialogue in rows:
        with check(f"L {name}"), Wire(port, tls=tls) as wire:
            wire.hello("LHLO" if port == office.lmtp else "EHLO")
            for line, wanted in dialogue:
                wire.cmd(line, wanted)
            wire.cmd("NOOP", "250")
    with check("L a mechanism in the wrong letter case is the same"), Wire(office.submissions, tls=context) as wire:
        wire.hello()
        wire.cmd(f"auth plain {plain}", "235")
    with check("L an unknown user and a wrong password are answered alike"):
        answers = []
        for user in ["alice", "nobody"]:
            with Wire(office.submissions, tls=context) as wire:
                wire.hello()
                answers.append(str(wire.auth_plain(user, "wrong", "535 5.7.8")))
        equal(answers[0], answers[1], "the reply")
    with check("L no AUTH of readable passwords is offered without TLS"):
        for port in [office.smtp, office.submission]:
            with Wire(port) as wire:
                offered = wire.hello().get("AUTH", "").split()
                expect(not {"PLAIN", "LOGIN"} & set(offered), "neither PLAIN nor LOGIN", offered)


def messages(office):
    rows = [
        ("120 Received fields", b"Received: x\r\n" * 120 + PLAIN, "554 5.4.6"),
        ("100 Received fields", b"Received: x\r\n" * 100 + PLAIN, "250"),
        ("5,000 header fields", b"X-Field: x\r\n" * 5000 + PLAIN, "250"),
        ("a header field of 120 kB", b"X-Long: " + b"x" * 120_000 + b"\r\n" + PLAIN, "250"),
        ("a line of 200,000 bytes", message("long", b"x" * 200_000 + b"\r\n"), "250"),
        ("no header", b"just text\r\n", "250"),
        ("a NUL", message("nul", b"a\0b\r\n"), "550 5.6.0"),
        ("a bare CR in the header", b"Subject: a\rBcc: x\r\n\r\n", "550 5.6.11"),
        ("a CR at the very end", PLAIN + b"x\r\r\n", "550 5.6.11"),
        ("invalid UTF-8 in header and body", b"Subject: \xff\xfe\r\n\r\n\xc0\x80\r\n", "250"),
    ]
    for name, content, wanted in rows:
        with check(f"M {name}: {wanted}"), Wire(office.smtp) as wire:
            mark = office.mark()
            wire.hello()
            wire.envelope()
            wire.cmd("DATA", "354")
            wire.send(stuffed(content))
            wire.expect(wanted)
            wire.cmd("NOOP", "250")
            if wanted == "250":
                office.arrives(mark, content)
            else:
                office.nothing_arrives(mark)
    with check("M Return-Path fields that came along are taken out, others kept"), Wire(office.smtp) as wire:
        mark = office.mark()
        wire.hello()
        wire.envelope()
        wire.cmd("DATA", "354")
        wire.send(b"Return-Path: <forged@example.com>\r\nX: 1\r\nreturn-path:\r\n <f@x>\r\nY: 2\r\n\r\nReturn-Path: in the body\r\n.\r\n")
        wire.expect("250")
        office.arrives(mark, b"X: 1\r\nY: 2\r\n\r\nReturn-Path: in the body\r\n")
    with check("M 51 MiB without SIZE: 552 5.3.4, and the session goes on or is closed"), Wire(office.smtp, timeout=30) as wire:
        mark = office.mark()
        wire.hello()
        wire.envelope()
        wire.cmd("DATA", "354")
        wire.send((b"y" * 78 + b"\r\n") * (51 << 20 >> 6) + b".\r\n")
        wire.expect("552 5.3.4")
        office.nothing_arrives(mark)
    with check("M hostile EHLO names cannot break out of the Received field"):
        for name in ["x)(y\\z", "[127.0.0.1]", "[IPv6:::1]", "a.b.", "x_y", "\"q\"", "'); DROP--", "ü.example"]:
            mark = office.mark()
            with Wire(office.smtp) as wire:
                wire.send(f"EHLO {name}\r\n")
                if wire.reply().code == 250:
                    wire.envelope()
                    wire.cmd("DATA", "354")
                    wire.send(stuffed(PLAIN))
                    wire.expect("250")
                    (mail,) = [one for one in office.mails() - mark]
                    text = mail[1].read_bytes()
                    expect(text.endswith(PLAIN.replace(b"\r\n", b"\n")), "the content", text)
                    head = text[: -len(PLAIN.replace(b"\r\n", b"\n"))]
                    expect(head.isascii(), "trace fields of 7 bits", head)
                    equal([line.split(b":")[0] for line in head.splitlines() if line[:1] not in b"\t "],
                          [b"Return-Path", b"Delivered-To", b"Received"], "the fields")
