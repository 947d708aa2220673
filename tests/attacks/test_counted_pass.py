"""Whoever has a pass for so many times tries for more: all at once, on many connections, and across crashes."""

import asyncio
import contextlib
import signal
from datetime import date, timedelta
from pathlib import Path

import asyncssh

from sshhome import app
from tests.attacks.victim import others_are_served
from tests.client import Answer, Door, ask
from tests.process import Operator

USES = 3


async def issue(door: Door, uses: int) -> None:
    """Issue a pass for a door that opens so many times, to whoever has the guest's key."""
    line = (door.keys / "guest.pub").read_text().strip()
    today = date.fromisoformat((await door.ask("home", "time --json")).json["local"][:10])
    options = f"--may 'unlock front_door' --until {today + timedelta(days=2)} --uses {uses} --key '{line}'"
    assert (await door.ask("home", f"pass create plumber {options}")).status == 0


async def unlock(connection: asyncssh.SSHClientConnection) -> int:
    """Try to unlock the door."""
    return (await ask(connection, "unlock front_door")).status


async def test_all_at_once(door: Door) -> None:
    """Of many orders at the same moment, from many places, just as many are done as the pass is good for."""
    await issue(door, USES)
    async with contextlib.AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(door.connect("plumber", key="guest", source=f"127.0.0.{number}"))
            for number in range(10, 14)
        ]
        statuses = await asyncio.gather(*(unlock(connection) for connection in connections for _ in range(5)))
    assert sorted(statuses) == [0] * USES + [77] * (20 - USES)
    done = [event for event in door.audit("order.done") if event["user"] == "plumber"]
    assert len(done) == USES
    assert (await door.ask("home", "pass list --json")).json[0]["left"] == [0]
    await others_are_served(door)


async def test_across_crashes(operator: Operator, site: app.Site, keys: Path) -> None:
    """However often the house is killed meanwhile, the door opens no more often than that, and no answer was a lie."""
    opened = 0
    async with operator.serves(site.path, keys) as served:
        await issue(served.door, USES)
    for _ in range(2 * USES):
        async with operator.serves(site.path, keys) as (process, door), contextlib.AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(door.connect("plumber", key="guest")) for _ in range(2)]
            tries = [asyncio.create_task(unlock(connection)) for connection in connections]
            await asyncio.wait(tries, return_when=asyncio.FIRST_COMPLETED)
            process.signal(signal.SIGKILL)
            assert (await process.answer()).status == -signal.SIGKILL
            opened += (await asyncio.gather(*tries, return_exceptions=True)).count(0)
    async with operator.serves(site.path, keys) as (_, door):
        assert 1 <= opened <= USES
        done = [event for event in door.audit("order.done") if event["user"] == "plumber"]
        assert opened <= len(done) <= USES
        assert await door.ask("plumber", "unlock front_door", key="guest") == Answer(
            "", "error: you may not operate lock.front_door: used 3 of 3 times\n", 77
        )
        assert (await door.ask("home", "pass list --json")).json[0]["left"] == [0]
