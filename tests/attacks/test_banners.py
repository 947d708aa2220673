"""An attacker does not speak SSH, or never stops to introduce itself: the line is cut early, and nothing is kept."""

import contextlib

import pytest

from tests.attacks.raw import KEXINIT, HungUp, Raw, sources
from tests.attacks.victim import Besiege

MIB = 2**20
TLS = bytes.fromhex("16030100c8010000c40303") + bytes(189)
#: What nobody who speaks SSH 2 begins with (RFC 4253 §4.2).
STRANGE: dict[str, bytes] = {
    "a megabyte without a line end": b"x" * MIB,
    "a megabyte that begins well": b"SSH-2.0-" + b"x" * MIB,
    "10,000 lines before the version": b"hello\r\n" * 10_000 + b"SSH-2.0-raw\r\n",
    "10,000 empty lines": b"\r\n" * 10_000 + b"SSH-2.0-raw\r\n",
    "one line before the version": b"hello\r\nSSH-2.0-raw\r\n",
    "a comment of 10 KB": b"SSH-2.0-raw " + b"x" * 10_000 + b"\r\n",
    "a comment of 300 bytes": b"SSH-2.0-raw " + b"x" * 300 + b"\r\n",
    "nothing but NULs": bytes(100_000),
    "a NUL line": b"\0\n",
    "HTTP": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "HTTP, a large request": b"POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n" + b"x" * 200_000,
    "TLS": TLS,
    "SSH 1": b"SSH-1.5-raw\r\n",
    "SSH 3": b"SSH-3.0-raw\r\n",
    "lower case": b"ssh-2.0-raw\r\n",
    "no dash": b"SSH-2.0\r\n",
    "bytes that are no ASCII": b"SSH-2.0-caf\xe9\r\n",
    "the PROXY protocol": b"PROXY TCP4 127.0.0.9 127.0.0.1 1 22\r\nSSH-2.0-raw\r\n",
    "the PROXY protocol, binary": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + b"SSH-2.0-raw\r\n",
    "a session of RDP": bytes.fromhex("030000130ee000000000000100080003000000"),
}


async def test_strangers(besiege: Besiege) -> None:
    """Each is cut before any key exchange, and the next person is served."""
    async with besiege("[limits]\norder_burst = 100") as victim:
        for strange, source in zip(STRANGE, sources(len(STRANGE)), strict=True):
            async with Raw.connect(victim.door, source) as raw:
                raw.write(STRANGE[strange])
                if not STRANGE[strange].endswith(b"\n"):
                    # A line that never ends is cut where it is too long, or when there is no more of it.
                    await raw.flush()
                    raw.half_close()
                messages, _ = await raw.heard()
                assert KEXINIT not in {message[0] for message in messages}, strange
            await victim.others_are_served()
        assert not victim.door.audit("login.failed")


async def test_a_version_that_is_both(besiege: Besiege) -> None:
    """`SSH-1.99`, which a server says that speaks both, gets SSH 2 or nothing."""
    async with besiege() as victim, Raw.connect(victim.door) as raw:
        await raw.greet(b"SSH-1.99-raw")
        with contextlib.suppress(HungUp):
            await raw.exchange()
        await victim.others_are_served()


async def test_a_version_that_draws(besiege: Besiege) -> None:
    """Escape sequences in a version reach neither the audit log nor what the process says as they are."""
    async with besiege() as victim:
        async with Raw.connect(victim.door) as raw:
            await raw.greet(b"SSH-2.0-\x1b[2J\x1b]0;pwned\x07 \x9b31m")
            with pytest.raises(HungUp):
                await raw.exchange()
        await victim.others_are_served()
        log = (victim.door.site.path / "state" / "audit.jsonl").read_bytes()
        assert b"\x1b" not in log
        assert "\x1b" not in victim.process.out + victim.process.err
