"""A banned attacker waits for a restart, or for somebody to set the clock: neither lets them in a second too early."""

import signal
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from sshhome import app
from tests.attacks.raw import FAILURE, HungUp, Raw, failures, turned_away
from tests.attacks.victim import others_are_served
from tests.client import Door, until
from tests.conftest import FixedClock
from tests.process import Operator

Serve = Callable[..., AbstractAsyncContextManager[Door]]
SOURCE = "127.0.0.66"
DAY = 86400.0
BANNED = f"too many failed logins from {SOURCE}, try again in "


async def fail(door: Door, times: int) -> None:
    """Sign in vain so many times."""
    for _ in range(times):
        async with Raw.connect(door, SOURCE) as raw:
            await raw.begin()
            assert await raw.answer(raw.signed("home", door.key("home"), door.key("attacker"))) == FAILURE


def stored(site: app.Site) -> int:
    """Return how many failures the store's file has."""
    with closing(sqlite3.connect(site.path / "state" / "sshhome.db")) as db:
        return int(db.execute("SELECT count(*) FROM failure").fetchone()[0])


async def is_banned(door: Door) -> bool:
    """Return whether the source is turned away for its failures, with a reason or without a word."""
    reason = await turned_away(door, SOURCE)
    if reason:
        assert reason.startswith(BANNED)
    return reason is not None


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=lambda end: end.name)
async def test_restarts(operator: Operator, site: app.Site, keys: Path, end: signal.Signals) -> None:
    """Failures add up over restarts, and the ban they earn outlasts each restart, however the house ended."""
    for count, left in ((2, 2), (2, 4), (1, 0)):
        async with operator.serves(site.path, keys) as (process, door):
            assert not await is_banned(door)
            await fail(door, count)
            await others_are_served(door)
            # What is stored comes a moment after the answer; a ban spends the failures that earned it.
            await until(lambda left=left: stored(site) == left)  # type: ignore[misc]
            process.signal(end)
            await process.answer()
    assert len(failures(door, SOURCE)) == 5
    for _ in range(2):
        async with operator.serves(site.path, keys) as (process, door):
            assert await is_banned(door)
            await others_are_served(door)
            process.signal(end)
            await process.answer()
    assert len(door.audit("ban.set")) == 1


@pytest.mark.parametrize("step", [-365 * DAY, -DAY, -1.0, 1.0, DAY, 365 * DAY])
async def test_clock_steps(serve: Serve, clock: FixedClock, step: float) -> None:
    """While the house runs a step of the clock neither ends a ban nor makes it last."""
    async with serve() as door:
        await fail(door, 5)
        clock.step(step)
        assert await is_banned(door)
        clock.advance(59)
        assert await is_banned(door)
        await others_are_served(door)
        clock.advance(2)
        assert not await is_banned(door)


async def test_clock_steps_between_failures(serve: Serve, clock: FixedClock) -> None:
    """A clock that is set after each failure makes none of them too old to count."""
    async with serve() as door:
        for step in (DAY, -DAY, 365 * DAY, -400 * DAY):
            await fail(door, 1)
            clock.step(step)
        assert not door.audit("ban.set")
        await fail(door, 1)
        assert await is_banned(door)


@pytest.mark.parametrize("step", [-DAY, 0.0, 30.0])
async def test_a_clock_step_over_a_restart(serve: Serve, clock: FixedClock, step: float) -> None:
    """A clock that is set while the house is down prolongs no ban, and shortens one by that step at most."""
    async with serve() as door:
        await fail(door, 5)
        assert await is_banned(door)
    clock.step(step)
    async with serve() as door:
        assert await is_banned(door)
        await others_are_served(door)
        clock.advance(60 - max(step, 0.0) - 1)
        assert await is_banned(door)
        clock.advance(2)
        assert not await is_banned(door)


async def test_a_connection_kept_in_reserve(serve: Serve, clock: FixedClock) -> None:
    """Connections made before the ban are worth nothing during it, whatever proof they then bring."""
    async with serve() as door, Raw.connect(door, SOURCE) as one, Raw.connect(door, SOURCE) as two:
        await one.begin()
        await two.begin()
        await fail(door, 5)
        for raw, user in ((one, "home"), (two, "guest")):
            with pytest.raises(HungUp, match=f"^{BANNED}"):
                await raw.answer(raw.signed(user, door.key(user)))
            clock.step(DAY)
        await others_are_served(door)
        assert not [event for event in door.audit("login.ok") if event["source"] == SOURCE]
