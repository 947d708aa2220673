"""An attacker fills the waiting room with connections that never log in: newcomers are turned away by chance, early.

It is MaxStartups 10:30:100 of sshd_config(5): from ten that wait on, the chance is 30 %, and at a hundred certainty.
"""

import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.attacks.raw import Raw, failures, sources, turned_away
from tests.attacks.victim import others_are_served
from tests.client import Door, until

Serve = Callable[..., AbstractAsyncContextManager[Door]]
BUSY = "server busy, try later"
NEWCOMER = "127.0.0.66"


class Chance(random.Random):
    """Chance that falls where it is told to."""

    falls = 1.0

    def random(self) -> float:
        """Return what was told."""
        return self.falls


@contextlib.asynccontextmanager
async def waiting(door: Door, count: int) -> AsyncIterator[Chance]:
    """Let so many connections of as many sources wait; yields the chance that newcomers have."""
    chance = door.server.door._chance = Chance()
    async with contextlib.AsyncExitStack() as stack:
        for source in sources(count):
            await stack.enter_async_context(Raw.connect(door, source))
        await until(lambda: door.server.door.waiting.total() == count)
        yield chance
    await until(lambda: not door.server.door.waiting)


@pytest.mark.parametrize(("count", "percent"), [(9, 0), (10, 30), (55, 65), (99, 99.23), (100, 100)])
async def test_the_chance_of_a_newcomer(serve: Serve, count: int, percent: float) -> None:
    """The more wait, the more newcomers are turned away, and the household, which is known here, is not."""
    async with serve("[limits]\nconnections = 200") as door:
        await others_are_served(door)
        async with waiting(door, count) as chance:
            for falls in (percent - 0.1, percent + 0.1):
                chance.falls = falls / 100
                reason = await turned_away(door, NEWCOMER)
                await until(lambda: NEWCOMER not in door.server.door.sources)
                assert reason == (BUSY if percent and (falls < percent or percent == 100) else None)
            chance.falls = 0.0
            await others_are_served(door)
        assert {event["rule"] for event in door.audit("connection.refused")} <= {"limits.startups"}
        assert failures(door, NEWCOMER) == []


async def test_being_known_is_no_way_around_the_others(serve: Serve) -> None:
    """Who has logged in once is spared the chance, and neither the limits of a source nor those of all."""
    async with serve("[limits]\nconnections = 120") as door:
        assert (await door.ask("guest", "echo in", source=NEWCOMER)).status == 0
        async with waiting(door, 100) as chance, contextlib.AsyncExitStack() as stack:
            chance.falls = 0.0
            for _ in range(4):
                await (await stack.enter_async_context(Raw.connect(door, NEWCOMER))).greeting()
            assert await turned_away(door, NEWCOMER) == BUSY
        assert [event["rule"] for event in door.audit("connection.refused")] == ["limits.startups_per_source"]
