"""A house's state kept at hand: as it is, also after whatever was missed."""

import asyncio

import pytest

from sshhome.client import Change, Closed, Mirror
from tests.apps import app
from tests.client import PATIENCE, Door, report
from tests.relay import Relay


def light(door: Door, slug: str, brightness: int) -> None:
    """Let a lamp report how bright it is."""
    house = door.server.visitors.dispatch.house
    device = house.devices[f"light.{slug}"]
    report(house, device.with_state({**device.state, "brightness": brightness}))


def same(mirror: Mirror, door: Door) -> bool:
    """Return whether the mirror shows the house as it is."""
    real = {id_: dict(device.state) for id_, device in door.server.visitors.dispatch.house.devices.items()}
    return {id_: dict(device.state) for id_, device in mirror.items()} == real


async def test_it_begins_with_everything(door: Door) -> None:
    """From the beginning all that may be seen is there."""
    async with app(door) as house, house.mirror() as mirror:
        assert same(mirror, door)
        assert mirror["lock.front_door"].state["locked"] is True


async def test_it_follows(door: Door) -> None:
    """It is up to date by itself, and can be waited for."""
    async with app(door) as house, house.mirror() as mirror:
        await house.on("hall")
        await mirror.until(lambda now: now["light.hall"].state["on"])
        assert same(mirror, door)
        await house.device_hide("light.hall")
        await mirror.until(lambda now: "light.hall" not in now)


async def test_a_room(door: Door) -> None:
    """Of a room there is what is in it: what moves there comes, and what moves away is gone."""
    async with app(door) as house, house.mirror("@hall") as mirror:
        await house.device_move("light.desk", "hall")
        await mirror.until(lambda now: "light.desk" in now)
        await house.device_move("light.hall", "study")
        await mirror.until(lambda now: "light.hall" not in now)


async def test_changes(door: Door) -> None:
    """Two who iterate are told each change, each from when they began."""
    async with app(door) as house, house.mirror("light.hall") as mirror:
        one, other = mirror.changes(), mirror.changes()
        light(door, "hall", 7)
        assert (await anext(one)).change == (await anext(other)).change == {"brightness": 7}
        light(door, "hall", 8)
        light(door, "hall", 9)
        assert [(await anext(one)).change, (await anext(one)).change] == [{"brightness": 8}, {"brightness": 9}]
        await one.aclose()
        await other.aclose()
        assert mirror._readers == []


async def test_who_is_far_behind_costs_no_more(door: Door) -> None:
    """Of what nobody iterates over fast enough, the changes of one device become one, and none gets lost."""
    async with app(door) as house, house.mirror("light.hall") as mirror:
        changes = mirror.changes()
        light(door, "hall", 1)
        await anext(changes)
        for number in range(2500):
            await mirror._apply([Change("light.hall", mirror["light.hall"], {f"number{number % 3}": number})])
        assert len(mirror._readers[0]) == 1000
        last = list(mirror._readers[0])[-1]
        assert last.change == {"number0": 2499, "number1": 2497, "number2": 2498}
        await changes.aclose()


async def test_after_a_gap_it_tells_what_is_different(door: Door) -> None:
    """Where the house cannot tell what was missed, whoever iterates is told what is other than it was, and no more."""
    async with Relay.open(door.port) as relay, app(door, port=relay.port) as house, house.mirror() as mirror:
        changes = mirror.changes()
        relay.target = 1
        relay.cut()
        for number in range(5000):
            light(door, "hall", number % 100)
        light(door, "desk", 33)
        # What it kept of the past is of no more use to anybody, as after a restart.
        door.server.visitors.dispatch.feed._secret = b"another"
        relay.target = door.port
        async with asyncio.timeout(PATIENCE):
            await mirror.until(lambda now: now["light.desk"].state["brightness"] == 33)
        seen = [await anext(changes), await anext(changes)]
        assert sorted((change.id, *change.change.items()) for change in seen) == [
            ("light.desk", ("brightness", 33)),
            ("light.hall", ("brightness", 99)),
        ]
        assert not mirror._readers[0]
        assert same(mirror, door)
        await changes.aclose()


async def test_leaving_it_is_told(door: Door) -> None:
    """Who iterates or waits in another task hears of it when nobody follows any more."""
    async with app(door) as house:
        async with house.mirror("light.hall") as mirror:
            waiting = asyncio.gather(anext(mirror.changes()), mirror.until(lambda _: False), return_exceptions=True)
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            assert [type(error) for error in await waiting] == [Closed, Closed]


async def test_its_end_is_told(door: Door) -> None:
    """Who iterates or waits is told why there is no more."""
    async with app(door) as house, house.mirror("light.hall") as mirror:
        changes = mirror.changes()
        iterating = asyncio.create_task(anext(changes))
        waiting = asyncio.create_task(mirror.until(lambda _: False))
        await asyncio.sleep(0)
        await house.hang_up()
        with pytest.raises(Closed):
            await iterating
        with pytest.raises(Closed):
            await waiting
