"""An attacker fails no login and yet comes back for ever: with garbage, too slowly, or to leave again at once.

A few of that are forgiven; then their source is turned away before any key exchange, and nobody else is.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.attacks.raw import Raw, failures, kexinit, request, string, turned_away
from tests.attacks.victim import MIB, Besiege, others_are_served
from tests.client import Door, until
from tests.conftest import FixedClock

Serve = Callable[..., AbstractAsyncContextManager[Door]]
SOURCE = "127.0.0.66"


async def garbage(raw: Raw) -> None:
    """Send bytes that are no packets."""
    await raw.greet()
    raw.write(b"\xff" * 100)
    await raw.hung_up()


async def broken_mac(raw: Raw) -> None:
    """Send a packet that has been tampered with."""
    await raw.begin()
    raw.write(raw.seal(b"\2" + string("x"))[:-1] + b"?")
    await raw.hung_up()


async def too_early(raw: Raw) -> None:
    """Open a channel before the login."""
    await raw.begin()
    raw.send(b"\x5a" + string("session") + bytes(12))
    await raw.hung_up()


async def another_protocol(raw: Raw) -> None:
    """Speak HTTP."""
    raw.write(b"GET / HTTP/1.1\r\n\r\n")
    await raw.hung_up()


async def no_ascii(raw: Raw) -> None:
    """Send a version that cannot be read."""
    raw.write(b"SSH-2.0-caf\xe9\r\n")
    await raw.hung_up()


async def an_empty_packet(raw: Raw) -> None:
    """Send a packet without a message."""
    await raw.greet()
    raw.write(bytes([0, 0, 0, 12, 11]) + bytes(11))
    await raw.hung_up()


async def a_cut_message(raw: Raw) -> None:
    """Send messages that end too early."""
    await raw.greet()
    raw.send(kexinit()[:20])
    await raw.hung_up()


async def a_cut_request(raw: Raw) -> None:
    """Ask to log in, and end too early."""
    await raw.begin()
    raw.send(request("home", "password"))
    await raw.hung_up()


async def strange_algorithms(raw: Raw) -> None:
    """Offer algorithms that are not even names."""
    await raw.greet()
    raw.send(kexinit(cipher="caf\u00e9"))
    await raw.hung_up()


async def nothing_fits(raw: Raw) -> None:
    """Offer algorithms that nobody has."""
    await raw.greet()
    raw.send(kexinit(kex=["none"]))
    await raw.hung_up()


async def silence(raw: Raw) -> None:
    """Wait for the end."""
    await raw.hung_up()


async def leaving(raw: Raw) -> None:
    """Read the version and go."""
    await raw.greeting()


async def leaving_in_the_exchange(raw: Raw) -> None:
    """Let the server work on a key exchange and go."""
    await raw.greet()
    raw.send(kexinit())
    await raw.expect(20)


async def leaving_at_the_login(raw: Raw) -> None:
    """Go after a whole key exchange, which costs the server more than anything else before a login."""
    await raw.begin()


#: The ways to be a nuisance, and at how many the patience ends at the latest.
WAYS: list[tuple[int, Callable[[Raw], Awaitable[None]]]] = [
    *((3, way) for way in (garbage, broken_mac, too_early, another_protocol, no_ascii, an_empty_packet, silence)),
    *((3, way) for way in (a_cut_message, a_cut_request, strange_algorithms)),
    *((20, way) for way in (nothing_fits, leaving, leaving_in_the_exchange, leaving_at_the_login)),
]


@pytest.mark.parametrize(("most", "way"), WAYS, ids=lambda value: getattr(value, "__name__", ""))
async def test_again_and_again(
    serve: Serve, clock: FixedClock, most: int, way: Callable[[Raw], Awaitable[None]]
) -> None:
    """One time is forgiven; soon after that the source is refused with the reason, until that has been long enough."""
    async with serve('[limits]\nlogin_grace = "200ms"\nstartups_per_source = 100') as door:
        times = 0
        while (refused := await turned_away_at_once(door)) is None and times < 50:
            async with Raw.connect(door, SOURCE) as raw:
                await way(raw)
            await until(lambda: not door.server.door.sources)
            times += 1
        assert 2 <= times <= most
        assert refused
        assert re.fullmatch(rf".+ from {re.escape(SOURCE)}, try again in [0-9a-z ]+", refused)
        await others_are_served(door)
        assert await turned_away(door, "127.0.0.67") is None
        assert [event["rule"] for event in door.audit("connection.refused")] == ["penalty"]
        # It is no ban, and no failed login: nobody has to lift it.
        assert not door.audit("ban.set")
        assert failures(door, SOURCE) == []
        clock.advance(600)
        assert await turned_away_at_once(door) is None


async def turned_away_at_once(door: Door) -> str | None:
    """Return why the source would be turned away now, without a connection that would itself be a nuisance."""
    if door.server.visitors.bans.penalties.find(SOURCE) is None:
        return None
    return await turned_away(door, SOURCE)


async def test_coming_and_going_as_who_one_is(door: Door) -> None:
    """A hundred logins that do nothing are no nuisance, and neither are the household's between an attacker's."""
    for _ in range(100):
        async with door.connect("guest", source=SOURCE):
            pass
    await until(lambda: not door.server.visitors)
    assert door.server.visitors.bans.penalties.find(SOURCE) is None


async def test_a_thousand_connections_of_garbage(besiege: Besiege) -> None:
    """A source that goes on costs a refusal each time, and the log counts them."""
    async with besiege(memory=8 * MIB) as victim:

        async def one() -> None:
            async with Raw.connect(victim.door, SOURCE) as raw:
                raw.write(b"SSH-2.0-raw\r\n" + b"\xff" * 1000)
                await raw.hung_up()

        for _ in range(40):
            await asyncio.gather(*(one() for _ in range(25)))
        await victim.others_are_served()
        events = victim.door.audit()
        assert len([event for event in events if event.get("source") == SOURCE]) < 100
        assert not [event for event in events if event["event"] == "ban.set"]
