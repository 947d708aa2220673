"""A user gives orders as fast as they can, over all channels at once: twenty, and then one a second."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from tests.attacks.victim import others_are_served
from tests.client import Answer, Door, RawChannel, ask, until
from tests.conftest import FixedClock

Serve = Callable[..., AbstractAsyncContextManager[Door]]
#: The limits as they are when nobody sets any.
DEFAULTS = "[limits]\n"
BURST = 20
SLOW_DOWN = Answer("", "error: 60 orders a minute, no more (try again in 1 s)\n", 75)


def done(door: Door) -> Counter[str]:
    """Return how many orders of each user have run."""
    return Counter(event["user"] for event in door.audit("order.done"))


async def test_orders_one_by_one(serve: Serve, clock: FixedClock) -> None:
    """Twenty orders run at once, the next reads when to try again, a second later one more runs, and an hour is 20."""
    async with serve(DEFAULTS) as door, door.connect("guest") as connection:
        for _ in range(BURST):
            assert (await ask(connection, "echo one")).status == 0
        for _ in range(3):
            assert await ask(connection, "echo one") == SLOW_DOWN
        clock.advance(1)
        assert (await ask(connection, "echo one")).status == 0
        assert await ask(connection, "echo one") == SLOW_DOWN
        clock.advance(3600)
        assert [(await ask(connection, "echo one")).status for _ in range(BURST + 1)] == [0] * BURST + [75]
        await others_are_served(door)


async def test_orders_on_ten_channels_of_two_connections(serve: Serve) -> None:
    """A hundred orders at once, over ten channels of each of two connections, are twenty orders of one user."""
    async with serve(DEFAULTS) as door, door.connect("guest") as one, door.connect("guest", source="127.0.0.8") as two:
        answers: list[Answer] = []
        for _ in range(5):
            answers += await asyncio.gather(*(ask(c, "toggle hall") for c in (one, two) for _ in range(10)))
        assert Counter(answer.status for answer in answers) == {0: BURST, 75: 100 - BURST}
        await others_are_served(door)
        assert (await ask(one, "toggle hall")).status == 75
    assert done(door) == {"guest": BURST, "home": 1}


@pytest.mark.parametrize("way", ["exec", "batch", "shell"])
async def test_orders_on_one_line(serve: Serve, way: str) -> None:
    """A line, or a file, of 300 orders is no way around: each counts, whether it is known or not."""
    line = ";".join(["upper --keep-going a", "nonsense --keep-going", "upper --keep-going b"] * 100)
    async with serve(DEFAULTS) as door, door.connect("guest") as connection:
        if way == "exec":
            answer = await ask(connection, line[:4096].rpartition(";")[0])
            text = answer.out + answer.err
        elif way == "batch":
            answer = await ask(connection, "--keep-going", stdin=line.replace(";", "\n"))
            text = answer.out + answer.err
        else:
            raw = await RawChannel.open(connection)
            assert await raw.terminal("dumb")
            assert await raw.ask("shell")
            raw.channel.write(f"{line[:4096].rpartition(';')[0]}\rexit\r")
            await until(lambda: raw.heard.out.count("60 orders a minute") > 100)
            text = raw.heard.out
        assert text.count("A\n") + text.count("B\n") <= 2 * BURST
        assert "60 orders a minute, no more (try again in 1 s)" in text
        await others_are_served(door)
    ran = [event for event in door.audit() if event.get("user") == "guest" and "status" in event]
    assert sum(event["status"] != 75 for event in ran) == BURST
    assert sum(event.get("hidden", 0) for event in door.audit("order.refused")) > 50


async def test_a_flood_changes_nothing_in_the_house(serve: Serve) -> None:
    """An order that came too fast reaches no device, and is in the audit log as refused."""
    async with serve(DEFAULTS) as door, door.connect("guest") as connection:
        for _ in range(BURST):
            await ask(connection, "off hall")
        assert await ask(connection, "on hall") == SLOW_DOWN
        assert door.server.visitors.dispatch.house.devices["light.hall"].state["on"] is False
    (event,) = door.audit("order.refused")
    assert (event["order"], event["code"], event["status"]) == ("on hall", "slow_down", 75)


async def test_a_flood_fills_no_log(serve: Serve) -> None:
    """Of thousands of orders that come too fast a few are in the audit log, and how many there were is told."""
    many = 3_000
    async with serve(DEFAULTS) as door, door.connect("guest") as connection:
        await ask(connection, "--keep-going", stdin="echo a\n" * many)
        await others_are_served(door)
    refused = [event for event in door.audit() if event.get("code") == "slow_down" or "hidden" in event]
    assert len(refused) < 100
    assert sum(event.get("hidden", 1) for event in refused) == many - BURST
