"""What an app is told as it happens: in order, nothing twice, nothing left out without saying so."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from sshhome.client import Backoff, BadArguments, Change, Closed, Denied, Gap, Happening, LoginRefused, Watch
from sshhome.client.watch import Told
from tests.apps import Pauses, app
from tests.client import PATIENCE, Door, report, until
from tests.conftest import NoChance
from tests.relay import Relay

Serve = Callable[..., AbstractAsyncContextManager[Door]]


async def told(watch: Watch) -> Told:
    """Return what is told next."""
    async with asyncio.timeout(PATIENCE):
        return await anext(watch)


async def change(watch: Watch) -> Change:
    """Return what is told next, which is a change."""
    event = await told(watch)
    assert isinstance(event, Change), event
    return event


async def happening(watch: Watch) -> Happening:
    """Return what is told next, which is no change."""
    event = await told(watch)
    assert isinstance(event, Happening), event
    return event


def light(door: Door, slug: str, brightness: int) -> None:
    """Let a lamp report how bright it is."""
    house = door.server.visitors.dispatch.house
    device = house.devices[f"light.{slug}"]
    report(house, device.with_state({**device.state, "brightness": brightness}))


# -- what is told -----------------------------------------------------------------------------------------------------


async def test_changes_are_told_as_they_happen(door: Door) -> None:
    """Each change is told with the device as it is now, what of it is new, and who did it."""
    async with app(door) as house, house.watch("light.hall") as watch:
        await house.on("hall")
        on = await change(watch)
        assert (on.id, on.change, on.by) == ("light.hall", {"on": True}, "home: on hall")
        assert on.device is not None
        assert on.device.state["on"] is True
        assert on.at.startswith("2026-06-02T12:00:00")


async def test_target_says_what_is_watched(door: Door) -> None:
    """What is not watched is not told."""
    async with app(door) as house, house.watch("@living") as watch:
        await house.on("hall")
        await house.on("reading")
        assert (await change(watch)).id == "light.reading"


async def test_snapshot(door: Door) -> None:
    """With a snapshot everything is told as it is when it begins."""
    async with app(door) as house, house.watch("@living", snapshot=True) as watch:
        listed = await house.list("@living")
        assert {device.id: device for device in watch.devices} == {device.id: device for device in listed}


async def test_two_watchers(door: Door) -> None:
    """Two who watch are told the same, each at their own pace."""
    async with app(door) as house, house.watch("light.hall") as one, house.watch("light.hall") as other:
        await house.on("hall")
        await house.off("hall")
        first = [await change(one), await change(one)]
        assert [await change(other), await change(other)] == first
        assert [told.change for told in first] == [{"on": True}, {"on": False}]


async def test_device_that_is_gone(door: Door) -> None:
    """A device that is gone is told as none."""
    async with app(door) as house, house.watch() as watch:
        await house.device_hide("light.hall")
        gone = await change(watch)
        assert (gone.id, gone.device) == ("light.hall", None)


async def test_presence_and_audit(door: Door) -> None:
    """Who runs the house is told who comes, and what is done."""
    async with app(door) as house, house.watch(topics=["presence"]) as presence, house.watch(topics=["audit"]) as audit:
        await door.ask("guest", "on hall")
        opened, done = await happening(presence), await happening(audit)
        while opened.fields["user"] != "guest":
            opened = await happening(presence)
        assert (opened.topic, opened.event, opened.fields["channel"]) == ("presence", "session.opened", "exec")
        while done.event != "order.done" or done.fields["user"] != "guest":
            done = await happening(audit)
        assert (done.topic, done.fields["order"]) == ("audit", "on")


async def test_what_cannot_be_watched(door: Door) -> None:
    """What the house refuses is told when it begins."""
    async with app(door, "guest") as house:
        with pytest.raises(Denied):
            async with house.watch(topics=["audit"]):
                pass
        with pytest.raises(BadArguments):
            async with house.watch("nowhere"):
                pass
        assert await house.echo("still there") == "still there"


# -- lost connections -------------------------------------------------------------------------------------------------


async def test_goes_on_where_it_was(door: Door) -> None:
    """What happens while there is no connection is told when there is one again, in order and once."""
    async with Relay.open(door.port) as relay, app(door, port=relay.port) as house, house.watch("@hall") as watch:
        light(door, "hall", 11)
        assert (await change(watch)).change == {"brightness": 11}
        for brightness in (12, 13, 14):
            relay.cut()
            light(door, "hall", brightness)
            light(door, "hall", brightness + 50)
            assert (await change(watch)).change == {"brightness": brightness}
            assert (await change(watch)).change == {"brightness": brightness + 50}
        waiting = asyncio.create_task(told(watch))
        relay.cut()
        await until(lambda: len(door.audit("login.ok")) == 5)
        light(door, "hall", 99)
        event = await waiting
        assert isinstance(event, Change)
        assert event.change == {"brightness": 99}


async def test_swallowed_events_come_again(door: Door) -> None:
    """What the house has sent and nobody has read is sent once more over the next connection."""
    async with Relay.open(door.port) as relay, app(door, port=relay.port) as house, house.watch("light.hall") as watch:
        relay.mute = True
        light(door, "hall", 20)
        await until(lambda: relay.lost > 0)
        relay.mute = False
        relay.cut()
        assert (await change(watch)).change == {"brightness": 20}
        light(door, "hall", 30)
        assert (await change(watch)).change == {"brightness": 30}


async def test_cut_off_reading_loses_nothing(door: Door) -> None:
    """Whoever stops waiting for the next, at any moment, is told it when they ask again."""
    async with app(door) as house, house.watch("light.hall") as watch:
        for brightness in range(1, 40):
            waiting = asyncio.create_task(anext(watch))
            light(door, "hall", brightness)
            for _ in range(brightness):
                await asyncio.sleep(0)
            waiting.cancel()
            try:
                event = await waiting
            except asyncio.CancelledError:
                event = await change(watch)
            assert isinstance(event, Change)
            assert event.change == {"brightness": brightness}


async def test_gap_is_told(door: Door) -> None:
    """Where more has happened than the house keeps, that is told, with everything as it is now."""
    async with (
        Relay.open(door.port) as relay,
        app(door, "home", port=relay.port) as house,
        house.watch("@living", topics=["state", "presence"], snapshot=True) as watch,
    ):
        relay.target = 1
        relay.cut()
        feed = door.server.visitors.dispatch.feed
        for number in range(5000):
            feed._happened("session.opened", {"user": "guest", "session": number})
        waiting = asyncio.create_task(told(watch))
        relay.target = door.port
        gap = await waiting
        assert isinstance(gap, Gap)
        assert "presence" in gap.topics
        assert {device.room for device in gap.devices} == {"living"}


async def test_slow_reader_is_told_the_last_of_it(door: Door) -> None:
    """Who reads slowly costs no memory here: the house tells the last of each device, and nothing comes twice."""
    async with app(door) as house, house.watch("light.*") as watch:
        lamps = ("hall", "desk", "reading", "bedside")
        for number in range(4000):
            light(door, lamps[number % 4], number // 4 % 100 + 1)
            if number % 50 == 0:
                await asyncio.sleep(0)
        light(door, "hall", 55)
        end = {"light.hall": 55, "light.desk": 100, "light.reading": 100, "light.bedside": 100}
        last: dict[str, object] = {}
        seen = 0
        while last != end:
            event = await change(watch)
            last[event.id] = event.change["brightness"]
            seen += 1
        assert seen < 4001
        light(door, "hall", 56)
        assert (await change(watch)).change == {"brightness": 56}


async def test_reading_and_ordering_in_one_task(door: Door) -> None:
    """Who answers each change with an order of their own is never stuck."""
    async with app(door) as house, house.watch("light.hall") as watch:
        for brightness in range(1, 30):
            light(door, "hall", brightness)
            await change(watch)
            assert await house.echo("go on") == "go on"


async def test_what_is_refused_for_now_is_asked_for_less_and_less(door: Door) -> None:
    """A watch that the house refuses after a lost connection takes fewer and fewer of its user's orders."""
    pauses = Pauses()
    backoff = Backoff(pause=pauses, chance=NoChance())
    async with (
        Relay.open(door.port) as relay,
        app(door, port=relay.port, backoff=backoff) as house,
        house.watch("light.hall") as watch,
    ):
        await house.device_hide("light.hall")
        assert (await change(watch)).device is None
        waiting = asyncio.create_task(change(watch))
        relay.cut()
        await until(lambda: len(pauses.waited) >= 6)
        assert pauses.waited[:6] == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
        await house.device_unhide("light.hall")
        light(door, "hall", 77)
        assert (await waiting).device is not None


# -- the end ----------------------------------------------------------------------------------------------------------


async def test_hanging_up_ends_it(door: Door) -> None:
    """Who waits for the next when the house is closed here, or the watch, is told that there is no more."""
    async with app(door) as house:
        one, other = house.watch("light.hall"), house.watch("light.hall")
        async with one, other:
            waiting = [asyncio.create_task(anext(watch, None)) for watch in (one, other)]
            await asyncio.sleep(0)
            one.close()
            assert await waiting[0] is None
            await house.hang_up()
            assert await waiting[1] is None
            assert [event async for event in other] == []
        with pytest.raises(Closed):
            async with house.watch("light.hall"):
                pass


async def test_closing_it_while_it_connects_again(door: Door) -> None:
    """Who waits for a watch whose connection is lost is told that there is no more as soon as it is closed."""
    pauses = asyncio.Queue[float]()

    async def for_ever(seconds: float) -> None:
        pauses.put_nowait(seconds)
        await asyncio.Event().wait()

    async with (
        Relay.open(door.port) as relay,
        app(door, port=relay.port, backoff=Backoff(pause=for_ever)) as house,
        house.watch("light.hall") as watch,
    ):
        waiting, other = asyncio.create_task(anext(watch, None)), house.watch("light.hall")
        relay.cut()
        async with asyncio.timeout(PATIENCE):
            await pauses.get()
            watch.close()
            assert await waiting is None
        # Whoever is cut off instead is cut off.
        leaving = asyncio.create_task(anext(other, None))
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving


async def test_who_is_thrown_out_is_told(door: Door) -> None:
    """Whoever is frozen while they watch is told that they are not let in any more."""
    async with app(door, "guest") as house, house.watch("light.hall") as watch:
        waiting = asyncio.create_task(anext(watch))
        assert (await door.ask("home", "user freeze guest")).status == 0
        with pytest.raises((LoginRefused, Denied)):
            await waiting
