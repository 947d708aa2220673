"""The client app's orders: typed answers, the house's own errors, many at once, and lost connections."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from sshhome.client import (
    BadArguments,
    Closed,
    Denied,
    Device,
    House,
    LeftOut,
    NotConfirmed,
    SlowDown,
    SshhomeError,
    Unavailable,
    UnknownOrder,
    Unreachable,
)
from sshhome.client.frames import Frames
from sshhome.errors import OutcomeUnknown
from tests.apps import Pauses, app, way_in
from tests.client import Door, until
from tests.relay import Relay

Serve = Callable[..., AbstractAsyncContextManager[Door]]


@pytest.fixture
async def house(door: Door) -> AsyncIterator[House]:
    """Return the house as the app of its owner has it."""
    async with app(door) as connected:
        yield connected


def is_waited_for(door: Door) -> bool:
    """Return whether an order waits for the printer."""
    return "switch.printer" in door.server.visitors.dispatch.house._waiting


# -- answers ----------------------------------------------------------------------------------------------------------


async def test_one_device_answers(house: House) -> None:
    """An order on one device answers that device, as it is now."""
    (kitchen,) = await house.on("kitchen")
    assert kitchen.id == "light.kitchen"
    assert kitchen.state["on"] is True
    (desk,) = await house.dim("desk", 40)
    assert isinstance(desk, Device)
    assert (desk.kind, desk.room, desk.available, desk.state["brightness"]) == ("light", "study", True, 40)


async def test_several_devices_answer(house: House) -> None:
    """A room answers all that did it."""
    lamps = await house.on("@living")
    assert len(lamps) > 1
    assert {lamp.room for lamp in lamps} == {"living"}
    assert all(lamp.state["on"] for lamp in lamps)


async def test_other_answers_are_typed_dicts(house: House) -> None:
    """What is no device is what `--json` writes."""
    me = await house.whoami()
    assert (me["user"], me["roles"]) == ("home", ["admin"])
    assert [user["user"] for user in await house.user_list()] == ["cleaner", "guest", "home", "kid", "viewer"]


async def test_values_are_numbers_or_as_people_write_them(house: House) -> None:
    """A number is a number; `70f`, `warm white` and `+10` are what they are at a prompt."""
    (warm,) = await house.set("climate.living", "70f")
    assert warm.state["target_temperature"] == pytest.approx(21, abs=0.5)
    (warm,) = await house.set("climate.living", 19.5)
    assert warm.state["target_temperature"] == 19.5
    await house.dim("desk", 40)
    (desk,) = await house.dim("desk", "+10")
    assert desk.state["brightness"] == 50


async def test_options(house: House, door: Door) -> None:
    """Options are named, and those that every order takes, too."""
    past = await house.history("sensor.outdoor_temperature", since="2h")
    assert past["id"] == "sensor.outdoor_temperature"
    await house.on("hall", for_="10m")
    assert [kept["order"] for kept in await house.undo_list()] == ["on hall"]
    rehearsed = await house.call("off", {"target": "hall", "dry_run": True})
    assert rehearsed["change"] == {"on": False}
    assert len(door.audit("order.rehearsed")) == 1


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "params", "error"),
    [
        ("on", {"target": "nowhere"}, BadArguments),
        ("on", {"lamp": "hall"}, BadArguments),
        ("on", {"target": "light.garden"}, Unavailable),
        ("unlock", {"target": "front_door"}, Denied),
        ("user list", {}, Denied),
        ("nonsense", {}, UnknownOrder),
    ],
)
async def test_errors_are_the_houses_own(
    door: Door, order: str, params: dict[str, object], error: type[SshhomeError]
) -> None:
    """An error has the class and the message that it has in the house."""
    async with app(door, "guest") as house:
        with pytest.raises(error) as raised:
            await house.call(order, params)
    assert raised.type is error
    assert raised.value.message


async def test_not_confirmed(house: House, door: Door) -> None:
    """A device that does not answer is no success; sent is all that was asked with `no_wait`."""
    with door.mute_printer():
        with pytest.raises(NotConfirmed):
            await house.on("printer")
        (printer,) = await house.on("printer", no_wait=True)
    assert printer.id == "switch.printer"


async def test_left_out(house: House) -> None:
    """Where some did it and some did not, the error has both."""
    with pytest.raises(LeftOut) as raised:
        await house.on("@outdoor")
    error = raised.value
    assert [device.id for device in error.results] == ["light.porch"]
    assert {name: type(why) for name, why in error.left_out.items()} == {"garden": Unavailable}
    assert isinstance(error.worst, Unavailable)


async def test_left_out_of_what_would_be_done(house: House) -> None:
    """What is merely rehearsed tells what would be done, and of whom it could not be."""
    with pytest.raises(LeftOut) as raised:
        await house.call("on", {"target": "@outdoor", "dry_run": True})
    assert [(plan["id"], plan["change"]) for plan in raised.value.results] == [("light.porch", {"on": True})]


async def test_too_fast(serve: Serve) -> None:
    """Who gives orders too fast is told so, and nothing is tried again behind their back."""
    async with serve("[limits]\norder_burst = 2\norders_per_minute = 2") as door, app(door) as house:
        await house.time()
        await house.time()
        with pytest.raises(SlowDown):
            await house.time()


@pytest.mark.parametrize("text", [float("nan"), "\ud800", "x" * 70_000, object()], ids=lambda text: type(text).__name__)
async def test_what_cannot_be_said(house: House, text: object) -> None:
    """What is no JSON, or more than a house reads, is refused here: there would be no answer to it."""
    with pytest.raises(BadArguments):
        await house.call("echo", {"text": text})
    assert await house.echo("still there") == "still there"


async def test_more_than_this_house_reads(serve: Serve) -> None:
    """What is no message to a house is not sent again and again; whatever else is asked gets its answers."""
    async with serve("[limits]\nrpc_message = '1KiB'") as door, app(door) as house:
        with pytest.raises(Unreachable, match="a message may be 1024 bytes long"):
            await house.echo("x" * 2000)
        assert await house.echo("still there") == "still there"
    assert len(door.audit("session.opened")) == 2


@pytest.mark.parametrize("answer", [b"\xff\xff\xff\xff", b"\0\0\0\1x", b"\0\0\0\2[]", b"\0\1\0\0" + b"[" * 65536])
def test_what_no_house_answers(answer: bytes) -> None:
    """Whatever is no message is an error of one kind."""
    with pytest.raises(ValueError, match=r".+"):
        list(Frames().feed(answer))


# -- many at once -----------------------------------------------------------------------------------------------------


async def test_many_at_once(house: House, door: Door) -> None:
    """A hundred orders given at once are answered, each with its own answer, over one channel."""
    answers = await asyncio.gather(*(house.echo(f"number {number}") for number in range(100)))
    assert answers == [f"number {number}" for number in range(100)]
    assert len(door.audit("session.opened")) == 1


async def test_slow_order_holds_up_no_other(house: House, door: Door) -> None:
    """While one order waits for its device, others are answered."""
    with door.waiting_printer() as echo:
        waiting = asyncio.create_task(house.on("printer"))
        await until(lambda: is_waited_for(door))
        assert await house.echo("meanwhile") == "meanwhile"
        assert not waiting.done()
        echo()
        (printer,) = await waiting
    assert printer.state["on"] is True


async def test_cancelled(house: House, door: Door) -> None:
    """Who does not want to wait any more does not; the order goes on to its end, and the channel on with others."""
    with door.waiting_printer() as echo:
        waiting = asyncio.create_task(house.on("printer"))
        await until(lambda: is_waited_for(door))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await house.echo("next") == "next"
        echo()
    await until(lambda: ("on", 0) in door.orders())


# -- lost connections -------------------------------------------------------------------------------------------------


async def test_lost_connection_is_made_again(door: Door) -> None:
    """After a connection was cut, the next order goes over a new one."""
    async with Relay.open(door.port) as relay, app(door, port=relay.port) as house:
        await house.on("hall")
        relay.cut()
        (hall,) = await house.off("hall")
        assert hall.state["on"] is False
    assert len(door.audit("login.ok")) == 2


async def test_lost_answer_runs_nothing_twice(door: Door) -> None:
    """An order whose answer was lost is asked for again; it has run once, and its first answer is told."""
    async with Relay.open(door.port) as relay, app(door, port=relay.port) as house:
        await house.off("hall")
        relay.mute = True
        waiting = asyncio.create_task(house.toggle("hall"))
        await until(lambda: ("toggle", 0) in door.orders())
        relay.mute = False
        relay.cut()
        (hall,) = await waiting
        assert hall.state["on"] is True
        assert (await house.list("light.hall"))[0].state["on"] is True
    told = [event for event in door.audit("order.done") if event["order"] == "toggle"]
    assert [event.get("repeat", False) for event in told] == [False, True]


async def test_lost_while_it_runs(door: Door) -> None:
    """An order that still runs when it is asked for again is waited for."""
    async with Relay.open(door.port) as relay, app(door, port=relay.port) as house:
        with door.waiting_printer() as echo:
            waiting = asyncio.create_task(house.on("printer"))
            await until(lambda: is_waited_for(door))
            relay.cut()
            await until(lambda: len(door.audit("login.ok")) == 2)
            assert not waiting.done()
            echo()
            (printer,) = await waiting
    assert printer.state["on"] is True


async def test_own_key_runs_once(house: House, door: Door) -> None:
    """With a key of the app's own an order runs once, however often it is given; with another one again."""
    await house.off("hall")
    for _ in range(3):
        (hall,) = await house.toggle("hall", idempotency_key="good-morning-2026-06-02")
        assert hall.state["on"] is True
    (hall,) = await house.toggle("hall", idempotency_key="good-morning-2026-06-03")
    assert hall.state["on"] is False


async def test_gives_up_in_the_end(door: Door) -> None:
    """An order for which there is no connection in time has not run, and says so; one that was sent may have."""
    pauses = Pauses()
    async with Relay.open(door.port) as relay, app(door, port=relay.port, patience=0.2) as house:
        await house.off("hall")
        relay.target = 1
        relay.cut()
        with pytest.raises(Unreachable):
            await house.on("hall")
        relay.target = door.port
        await house.off("hall")
        relay.mute, relay.target = True, 1
        waiting = asyncio.create_task(house.on("hall"))
        await until(lambda: ("on", 0) in door.orders())
        relay.cut()
        with pytest.raises(OutcomeUnknown):
            await waiting
    assert pauses.waited == []


async def test_no_channel_in_time(serve: Serve) -> None:
    """Where the house has no room for one more session of a user, that is waited for, and not for ever."""
    limit = "[limits]\nsessions_per_user = 1"
    async with serve(limit) as door, app(door, patience=0.2) as house, house.watch("hall"):
        with pytest.raises(Unreachable, match="too many sessions"):
            await house.time()


async def test_stopping_to_wait_leaves_no_channel(door: Door) -> None:
    """Who stops waiting while a channel is being opened, at whatever moment, leaves none behind in the house."""
    async with app(door) as house:
        for moment in range(60):
            watch = house.watch("hall")
            for asking in (asyncio.create_task(house.time()), asyncio.create_task(watch.__aenter__())):
                for _ in range(moment):
                    await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking])
            watch.close()
            if house._channel is not None:
                house._channel.close()
                house._channel = None
        await house.time()
        await until(lambda: len(list(door.server.visitors.sessions)) == 1)


async def test_hanging_up_while_an_order_waits(door: Door) -> None:
    """Who hangs up while an order waits is told that it may have run."""
    with door.waiting_printer():
        async with app(door) as house:
            waiting = asyncio.create_task(house.on("printer"))
            await until(lambda: is_waited_for(door))
            looking = asyncio.create_task(house.time())
        with pytest.raises(OutcomeUnknown):
            await waiting
        assert await asyncio.gather(looking, return_exceptions=True)
        with pytest.raises(Closed):
            await house.time()


async def test_key_that_is_taken_away(door: Door) -> None:
    """Who is thrown out is not let in again, and is told why the order did not run."""
    async with app(door, "guest") as house:
        await house.on("hall")
        assert (await door.ask("home", "user freeze guest")).status == 0
        with pytest.raises(SshhomeError):
            await house.on("hall")
        with pytest.raises(Unreachable):
            await house.on("hall")


async def test_no_channel_for_apps(door: Door, keys: pytest.TempPathFactory) -> None:
    """A key with a command of its own has no channel for apps: that is told, and not tried for ever."""
    line = (door.keys / "plumber.pub").read_text().strip()
    door.site.users.edit("guest", lambda document: document["keys"].append(f'command="show" {line}'))
    way = {**way_in(door, "guest"), "key": door.keys / "plumber"}
    async with House.connect(**way) as house:
        with pytest.raises(Unreachable, match="does not speak"):
            await house.on("hall")


def test_it_needs_asyncssh_alone() -> None:
    """Importing it brings in asyncssh, and of ours the errors alone."""
    program = (
        "import sys, asyncssh; before = set(sys.modules); import sshhome.client, sshhome.client.blocking\n"
        "print(*sorted(m for m in set(sys.modules) - before if m.partition('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    others = [name for name in done.stdout.split() if not name.startswith("sshhome.client")]
    assert others == ["sshhome", "sshhome.errors"]
