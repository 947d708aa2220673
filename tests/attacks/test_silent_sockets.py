"""Thousands of sockets connect and say nothing: few are let wait, each costs little, and their time is short."""

import asyncio
import contextlib
import resource
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.attacks.raw import Raw, sources, turned_away
from tests.attacks.victim import ELSEWHERE, MIB, Besiege
from tests.client import Door, until

LATE = "login took too long"
BUSY = "server busy, try later"


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    """Let this process, and the server it starts, open as many files as the system allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def keep_silent(door: Door, source: str) -> str:
    """Connect, say nothing, and return why that ends."""
    try:
        async with Raw.connect(door, source) as raw:
            return await raw.hung_up()
    except ConnectionError:
        return ""


async def test_150_silent_sockets(besiege: Besiege) -> None:
    """With the usual limits a hundred wait at most, the household is served meanwhile, and then there is room."""
    async with besiege('[limits]\nlogin_grace = "2s"') as victim:
        silent = [asyncio.create_task(keep_silent(victim.door, source)) for source in sources(150)]
        await until(lambda: victim.door.audit("connection.refused"))
        # They have been here before: whoever fills the waiting room does not keep them out.
        await victim.others_are_served()
        ends = Counter(await asyncio.gather(*silent))
        assert 10 <= ends[LATE] <= 100
        assert ends[LATE] + ends[BUSY] + ends[""] == 150
        # There is room again, for anybody.
        assert await turned_away(victim.door, sources(200)[-1]) is None
        await victim.others_are_served()
        refused = victim.door.audit("connection.refused")
        assert {event.get("rule", "") for event in refused} <= {"limits.startups", ""}


async def test_20_silent_sockets_of_one_source(besiege: Besiege) -> None:
    """A source has four connections without a login at once; the others are turned away, and nobody else is."""
    source = "127.0.0.66"
    async with besiege('[limits]\nlogin_grace = "2s"') as victim, contextlib.AsyncExitStack() as stack:
        silent = []
        for _ in range(4):
            raw = await stack.enter_async_context(Raw.connect(victim.door, source))
            await raw.greeting()
            silent.append(raw)
        assert [await turned_away(victim.door, source) for _ in range(16)] == [BUSY] * 3 + [""] * 13
        await victim.others_are_served()
        assert await turned_away(victim.door, "127.0.0.67") is None
        assert [await raw.hung_up() for raw in silent] == [LATE] * 4
        refused = victim.door.audit("connection.refused")
        assert [(event["source"], event["rule"]) for event in refused] == [(source, "limits.startups_per_source")] * 16


@pytest.mark.flood
async def test_2000_silent_sockets(besiege: Besiege) -> None:
    """Where the limits are so wide that they do wait, 2,000 cost 20 KiB each, and all is given back."""
    limits = """
    [limits]
    login_grace = "10s"
    connections = 2500
    startups = "2100:30:2500"
    """
    async with besiege(limits, memory=40 * MIB) as victim:
        silent = [asyncio.create_task(keep_silent(victim.door, source)) for source in sources(2000)]
        await victim.others_are_served()
        assert Counter(await asyncio.gather(*silent)) == {LATE: 2000}
        assert not victim.door.audit("connection.refused")


@pytest.mark.flood
async def test_2000_silent_sockets_at_the_usual_limits(besiege: Besiege) -> None:
    """Wave after wave of silent sockets from everywhere is turned away; the household is served, the log is short."""
    async with besiege('[limits]\nlogin_grace = "2s"') as victim:
        for wave in range(4):
            silent = [asyncio.create_task(keep_silent(victim.door, s)) for s in sources(2000)[500 * wave :][:500]]
            await victim.others_are_served()
            ends = Counter(await asyncio.gather(*silent))
            assert ends[LATE] <= 100
        await until(lambda: sum(event.get("hidden", 1) for event in victim.door.audit("connection.refused")) > 1500)
        refused = victim.door.audit("connection.refused")
        assert len(refused) < 200
        assert ELSEWHERE not in {event.get("source") for event in refused}
