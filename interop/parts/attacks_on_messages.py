"""Raw bytes on a socket: what must not end a message, nor get into one, nor be lost.

The letters are those of the sections: A end of data, H ends of connections, I refused DATA, J BDAT, M contents.
"""

import socket

from lib.attack import delivered, ways
from lib.checks import check, equal, expect
from lib.office import Office, eventually, open_files, resident_kib
from lib.samples import PLAIN, message
from lib.wire import Wire, stuffed


def run(setting):
    office = setting.office
    end_of_data(setting)
    ends_of_connections(office)
    refused_data(office)
    chunks(office)
    contents(office)
    with check(
        "after the attacks the post office takes mail, and holds no more memory and files than it should"
    ):
        with Wire(office.smtp) as wire:
            wire.hello()
            delivered(office, wire, PLAIN)
        kib, files = resident_kib(office.child.pid), open_files(office.child.pid)
        expect(kib < 150 << 10, "less than 150 MiB", f"{kib} KiB")
        expect(files < 100, "less than 100 open files", files)


def end_of_data(setting):
    variants = {
        "LF . LF": b"\n.\n",
        "LF . CRLF": b"\n.\r\n",
        "CRLF . LF": b"\r\n.\n",
        "LF . CR": b"\n.\r",
        "CR . LF": b"\r.\n",
        "CR . CR": b"\r.\r",
        "CR . CRLF": b"\r.\r\n",
        "CRLF . CR": b"\r\n.\r",
        "CRLF NUL . CRLF": b"\r\n\0.\r\n",
        "CRLF . NUL CRLF": b"\r\n.\0\r\n",
        "CRLF . CR CRLF": b"\r\n.\r\r\n",
        "CR CRLF . CR CRLF": b"\r\r\n.\r\r\n",
        "LF LF . CRLF": b"\n\n.\r\n",
        "LF CR . LF CR": b"\n\r.\n\r",
        "CRLF . SP CRLF": b"\r\n. \r\n",
        "CRLF . TAB CRLF": b"\r\n.\t\r\n",
        "CRLF SP . CRLF": b"\r\n .\r\n",
        "CRLF .. CRLF": b"\r\n..\r\n",
        "CRLF . VT CRLF": b"\r\n.\x0b\r\n",
        "CRLF . FF CRLF": b"\r\n.\x0c\r\n",
        "CRLF . NEL CRLF": b"\r\n.\xc2\x85\r\n",
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
                        expect(
                            b"\0" not in mail.raw and b"\r" not in mail.raw,
                            "a message without NUL and CR",
                            mail.content,
                        )
                        expect(mail.content.endswith(b"evil\nNOOP\n"), "the end of the message", mail.content)
    for office in policies.values():
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
    with (
        check("H content, dot, QUIT and FIN in one segment: all replies are still sent"),
        Wire(office.smtp) as wire,
    ):
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
    with check(
        "H a client that is gone after its message and before the reply: the message is delivered, once"
    ):
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
    for size in [
        "-1",
        "+5",
        "18446744073709551616",
        "9223372036854775808",
        "5 FOO",
        "",
        "5x",
        "0x5",
        "5 LAST x",
        "1000000000000 LAST",
    ]:
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
                wire.send(
                    b"".join(b"BDAT %d\r\n%s" % (len(piece), piece) for piece in pieces)
                    + b"BDAT 0 LAST\r\nQUIT\r\n"
                )
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
        expect(
            any(reply.fits("550 5.6.11") for reply in codes[:2]),
            "550 5.6.11",
            [str(reply) for reply in codes],
        )
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


def contents(office):
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
        wire.send(
            b"Return-Path: <forged@example.com>\r\nX: 1\r\nreturn-path:\r\n <f@x>\r\nY: 2\r\n\r\nReturn-Path: in the body\r\n.\r\n"
        )
        wire.expect("250")
        office.arrives(mark, b"X: 1\r\nY: 2\r\n\r\nReturn-Path: in the body\r\n")
    with (
        check("M 51 MiB without SIZE: 552 5.3.4, and the session goes on or is closed"),
        Wire(office.smtp, timeout=30) as wire,
    ):
        mark = office.mark()
        wire.hello()
        wire.envelope()
        wire.cmd("DATA", "354")
        wire.send((b"y" * 78 + b"\r\n") * (51 << 20 >> 6) + b".\r\n")
        wire.expect("552 5.3.4")
        office.nothing_arrives(mark)
    with check("M hostile EHLO names cannot break out of the Received field"):
        for name in ["x)(y\\z", "[127.0.0.1]", "[IPv6:::1]", "a.b.", "x_y", '"q"', "'); DROP--", "ü.example"]:
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
                    equal(
                        [line.split(b":")[0] for line in head.splitlines() if line[:1] not in b"\t "],
                        [b"Return-Path", b"Delivered-To", b"Received"],
                        "the fields",
                    )
