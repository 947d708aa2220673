"""200 sockets send a byte now and then for ever: each is cut when the time to log in is over, and slows nobody down.

The time runs from the connection's first moment, whatever is sent meanwhile, and however much of a login is done.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

from tests.attacks.raw import Raw, kexinit, request, sources, string
from tests.attacks.victim import MIB, Besiege

LIMITS = """
[limits]
login_grace = "2s"
connections = 300
startups = "250:30:300"
"""
LATE = "login took too long"

Drip = Iterator[bytes]


async def endless_version(raw: Raw) -> Drip:
    """Never end the version line."""
    return (b"S" for _ in range(10_000))


async def endless_packet(raw: Raw) -> Drip:
    """Begin a key exchange, and never end its first packet."""
    await raw.greet()
    packet = raw.seal(kexinit() + bytes(10_000))
    return (packet[n : n + 1] for n in range(10_000))


async def endless_exchange(raw: Raw) -> Drip:
    """Never end the key exchange; small talk that strict key exchange does not forbid goes on."""
    await raw.greet()
    raw.send(kexinit(strict=False))
    return (raw.seal(b"\2" + string("")) for _ in range(10_000))


async def endless_small_talk(raw: Raw) -> Drip:
    """Never ask to log in."""
    await raw.begin()
    return (raw.seal(b"\2" + string("")) for _ in range(10_000))


async def endless_requests(raw: Raw) -> Drip:
    """Ask to be let in just so, again and again."""
    await raw.begin()
    return (raw.seal(request("home", "none")) for _ in range(10_000))


#: The ways to be slow, how many sockets each has, and what the server says at the end.
WAYS: list[tuple[int, str, Callable[[Raw], Awaitable[Drip]]]] = [
    (120, LATE, endless_version),
    (20, LATE, endless_packet),
    (20, LATE, endless_exchange),
    (20, LATE, endless_small_talk),
    (20, LATE, endless_requests),
]


async def test_one_byte_a_second(besiege: Besiege) -> None:
    """All 200 are told that it took too long while they go on, others are served, and then the room is free again."""
    async with besiege(LIMITS, memory=24 * MIB) as victim, contextlib.AsyncExitStack() as stack:
        slow: list[tuple[Raw, Drip, asyncio.Task[str]]] = []
        addresses = iter(sources(200))
        told: list[str] = []
        for count, reason, way in WAYS:
            for _ in range(count):
                raw = await stack.enter_async_context(Raw.connect(victim.door, next(addresses)))
                drip = await way(raw)
                slow.append((raw, drip, asyncio.create_task(raw.hung_up())))
                told.append(reason)
        await victim.others_are_served()
        # A drop every 20 ms falls far more often than one a second, and would last for minutes.
        for _ in range(1000):
            for raw, drip, end in slow:
                if not end.done():
                    raw.write(next(drip))
            if all(end.done() for _, _, end in slow):
                break
            await asyncio.sleep(0.02)
        assert [await end for _, _, end in slow] == told
        for source in sources(200)[::20]:
            async with Raw.connect(victim.door, source) as again:
                await again.begin()
        await victim.others_are_served()
        assert not victim.door.audit("ban.set")
