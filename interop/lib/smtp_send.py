"""`smtp-send`, and the exit codes of sysexits(3) that it ends with."""

from lib.checks import expect
from lib.children import run

OK, DATAERR, NOUSER, NOHOST, UNAVAILABLE, TEMPFAIL, PROTOCOL, NOPERM, CONFIG = (
    0,
    65,
    67,
    68,
    69,
    75,
    76,
    77,
    78,
)


def smtp_send(
    setting,
    port,
    *arguments,
    content=None,
    to=("alice@example.test",),
    code=OK,
    timeout=60,
    wait="15s",
    quiet=False,
):
    """Sends a message, or several with --count; the exit code must be as given."""
    argv = [setting.smtp_send, "--server", f"localhost:{port}", "--from", "sender@example.com"]
    argv += ["--timeout", wait, "-q" if quiet else "-v"]
    argv += ["--hello", "client.example.com"]
    for recipient in to:
        argv += ["--to", recipient]
    ran = run(
        [*argv, *arguments, *(["-"] if content is not None else [])], given=content or b"", timeout=timeout
    )
    expect(
        ran.code in (code if isinstance(code, tuple) else (code,)), f"exit code {code} of smtp-send", ran.code
    )
    return ran.text
