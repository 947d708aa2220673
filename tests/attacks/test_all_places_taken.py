"""An attacker takes all the places there are: one source gets its share alone, and those who are in are served on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.attacks.raw import SUCCESS, Raw, sources, turned_away
from tests.attacks.victim import Besiege
from tests.client import PATIENCE, Door, ask

BUSY = "server busy, try later"
SOURCE = "127.0.0.66"


@contextlib.asynccontextmanager
async def logged_in(door: Door, addresses: list[str]) -> AsyncIterator[list[Raw]]:
    """Log in from each address and stay."""
    async with contextlib.AsyncExitStack() as stack:
        stayed = []
        for source in addresses:
            raw = await stack.enter_async_context(Raw.connect(door, source))
            await raw.begin()
            assert await raw.answer(raw.signed("guest", door.key("guest"))) == SUCCESS
            stayed.append(raw)
        yield stayed


async def there_is_room(door: Door, source: str) -> None:
    """Knock until the server has noticed who left."""
    async with asyncio.timeout(PATIENCE):
        while await turned_away(door, source) is not None:
            pass


async def test_one_source(besiege: Besiege) -> None:
    """A user's app that connects for ever gets twenty connections; the next are turned away, till one leaves."""
    async with besiege() as victim:
        async with logged_in(victim.door, [SOURCE] * 20) as stayed:
            assert [await turned_away(victim.door, SOURCE) for _ in range(30)] == [BUSY] * 3 + [""] * 27
            await victim.others_are_served()
            assert {await raw.give("upper in") for raw in stayed} == {b"IN\n"}
            refused = victim.door.audit("connection.refused")
            assert [(e["source"], e["rule"]) for e in refused[:20]] == [(SOURCE, "limits.connections_per_source")] * 20
        await there_is_room(victim.door, SOURCE)
        await victim.others_are_served()


async def test_many_sources(besiege: Besiege) -> None:
    """When all places are taken nobody else is let in, whoever they are; whoever is in goes on, and one makes room."""
    async with besiege("[limits]\nconnections = 30") as victim, victim.door.connect("home") as inside:
        async with logged_in(victim.door, list(sources(29))):
            for source in [*sources(40)[30:], SOURCE]:
                assert await turned_away(victim.door, source) == BUSY
            assert (await victim.door.ask("home", "upper served")).err == f"disconnected: {BUSY}\n"
            assert (await ask(inside, "upper served")).out == "SERVED\n"
            assert {event["rule"] for event in victim.door.audit("connection.refused")} == {"limits.connections"}
        await there_is_room(victim.door, SOURCE)
        await victim.others_are_served()
