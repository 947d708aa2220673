"""An attacker lies about the sizes of packets, in the clear and under encryption: the line is cut, nothing is kept."""

import contextlib
import os
from collections.abc import Callable

import pytest

from tests.attacks.raw import IGNORE, SEALS, Raw, kexinit, sources, string
from tests.attacks.victim import Besiege

Write = Callable[[Raw], None]
KIB = 1024


def told(length: int, padding: int | None = None) -> Write:
    """Return what sends a good message as a packet that tells of another length or padding, and more bytes after it."""

    def write(raw: Raw) -> None:
        raw.write(raw.seal(bytes([IGNORE]) + string(b"x" * 100), length=length, padding=padding))
        raw.write(os.urandom(130 * KIB))

    return write


#: The lies; all are followed by more bytes than anybody may send before a login.
LIES: dict[str, Write] = {
    "4 GiB": told(0xFFFFFFFF),
    "2 GiB": told(0x80000000),
    "300 KB": told(300_000),
    "as much as there may be": told(256 * KIB),
    "more than the budget": told(200 * KIB),
    "nothing": told(0),
    "one byte": told(1),
    "four bytes": told(4),
    "five bytes": told(5),
    "no multiple of 8": told(121),
    "less than there is": told(64),
    "all of it padding": told(116, 115),
    "more padding than packet": told(116, 255),
    "no padding": told(116, 0),
}


@pytest.mark.parametrize("where", ["in the clear", *SEALS])
async def test_lies_about_sizes(besiege: Besiege, where: str) -> None:
    """Each lie ends its connection, before and after the first key exchange; others are served between them."""
    async with besiege() as victim:
        for lie, source in zip(LIES, sources(len(LIES)), strict=True):
            async with Raw.connect(victim.door, source) as raw:
                if where in SEALS:
                    await raw.begin(cipher=where)
                else:
                    await raw.greet()
                LIES[lie](raw)
                # It may be cut at the lie, at the bytes that make no sense after it, or where the budget ends.
                await raw.hung_up()
            await victim.others_are_served()
        assert not victim.door.audit("login.failed")
        assert not [event for event in victim.door.audit("login.ok") if event["source"] in sources(len(LIES))]


async def test_packets_that_never_end(besiege: Besiege) -> None:
    """Sixty packets of 100 KiB that lack their last bytes hold no more than that, until the time to log in is over."""
    limits = '[limits]\nlogin_grace = "2s"\nstartups = "99:30:99"'
    async with besiege(limits) as victim, contextlib.AsyncExitStack() as stack:
        waiting = []
        for source in sources(60):
            raw = await stack.enter_async_context(Raw.connect(victim.door, source))
            await raw.greet()
            raw.write(raw.seal(kexinit() + bytes(100 * KIB))[:-8])
            waiting.append(raw)
        await victim.others_are_served()
        assert [await raw.hung_up() for raw in waiting] == ["login took too long"] * 60


async def test_a_megabyte_before_the_login(besiege: Besiege) -> None:
    """Good packets that are too many are cut after 128 KiB, whether they are small or large."""
    async with besiege() as victim:
        for size, source in zip((0, 100, 10_000, 100_000), sources(4), strict=True):
            async with Raw.connect(victim.door, source) as raw:
                await raw.begin()
                message = bytes([IGNORE]) + string(bytes(size))
                raw.send(*[message] * (2**20 // (size + 64)))
                assert await raw.hung_up() == ""
            await victim.others_are_served()
