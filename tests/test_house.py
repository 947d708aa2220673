"""The house: every device as it last reported itself, and changes confirmed by the device's own echo."""

import asyncio
import contextlib
import errno
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sshhome import house as house_module
from sshhome.backend import Backend, Link, Report
from sshhome.backends.simulated import SimulatedBackend
from sshhome.clock import Clock
from sshhome.device import ATTRIBUTES, Device, Scalar, State
from sshhome.errors import NotConfirmed, Refused, SiteError, Unavailable
from sshhome.house import CONFIRM_WITHIN, Event, House, Open, Test
from sshhome.naming import Naming
from sshhome.stores.sqlite import SqliteStore
from tests.client import PATIENCE, report
from tests.conftest import FixedClock

OPTIONS = {"kind": "simulated", "offline": ["light.garden"], "mute": ["switch.printer"]}


@contextlib.asynccontextmanager
async def make_house(path: Path) -> AsyncIterator[House]:
    """Make a house without backends, whose names are kept in a folder."""
    store = await SqliteStore.open(path / "sshhome.db")
    naming = Naming(store)
    await naming.load()
    made = House(naming, PATIENCE)
    yield made
    await made.close()
    await store.close()


def ways(kind: type[Backend], options: Mapping[str, Any], state: Path, clock: Clock) -> tuple[Open, Test]:
    """Return what opens a backend, and what tries it."""
    return partial(kind.open, options, state, clock), partial(kind.test, options)


@pytest.fixture
async def house(tmp_path: Path, clock: FixedClock) -> AsyncIterator[House]:
    """Return the simulated house; light.garden is offline and switch.printer never answers."""
    async with make_house(tmp_path) as opened:
        await opened.add("first", *ways(SimulatedBackend, OPTIONS, tmp_path, clock))
        yield opened


async def test_a_change_is_answered_by_the_echo(house: House) -> None:
    """A change returns the device as it reports itself, what follows from the change included."""
    assert CONFIRM_WITHIN == 2.0
    lamp = await house.change("light.kitchen", {"brightness": 40})
    assert lamp is house.devices["light.kitchen"]
    assert (lamp.state["on"], lamp.state["brightness"]) == (True, 40)


async def test_without_an_echo_it_is_not_confirmed(house: House) -> None:
    """A device that does not echo in time is not confirmed, and nothing waits for it any longer."""
    house.confirm_within = 0.01
    with pytest.raises(NotConfirmed, match=r"sent to switch\.printer, not confirmed"):
        await house.change("switch.printer", {"on": True})
    assert house.devices["switch.printer"].state["on"] is False
    assert not house._waiting


async def test_no_wait_stops_at_sent(house: House) -> None:
    """Without waiting, a change returns as soon as it is sent, the device as it is known then."""
    printer = await house.change("switch.printer", {"on": True}, wait=False)
    assert printer.state["on"] is False
    assert not house._waiting


async def test_unavailable_devices_are_sent_nothing(house: House) -> None:
    """A change of a device that is unavailable is refused before it is sent."""
    with pytest.raises(Unavailable, match=r"light\.garden is unavailable"):
        await house.change("light.garden", {"on": True})
    assert not house._waiting


async def test_anothers_echo_is_not_mine(house: House) -> None:
    """Of two changes of one device each waits for its own echo, and a report of another state is none."""
    dim = asyncio.create_task(house.change("light.desk", {"brightness": 20}))
    red = asyncio.create_task(house.change("light.desk", {"hue": 0, "saturation": 100}))
    dimmed, coloured = await asyncio.gather(dim, red)
    assert dimmed.state["brightness"] == 20
    assert coloured.state["hue"] == 0
    house.confirm_within = 0.05
    waiting = asyncio.create_task(house.change("switch.printer", {"on": True}))
    await asyncio.sleep(0)
    report(house, house.devices["switch.printer"])
    with pytest.raises(NotConfirmed):
        await waiting


async def test_an_echo_from_elsewhere_counts(house: House) -> None:
    """The device's own report of the wanted state confirms, however it came to be so."""
    waiting = asyncio.create_task(house.change("switch.printer", {"on": True}))
    await asyncio.sleep(0)
    report(house, house.devices["switch.printer"].with_state({"on": True}))
    assert (await waiting).state["on"] is True


async def test_whoever_leaves_waits_no_longer(house: House) -> None:
    """A change whose caller is cancelled leaves nothing behind."""
    waiting = asyncio.create_task(house.change("switch.printer", {"on": True}))
    await asyncio.sleep(0)
    assert house._waiting
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not house._waiting


class Unreachable(SimulatedBackend):
    """A house whose own connection times out, as a socket does."""

    async def apply(self, device: Device, change: State) -> None:
        """Raise what a socket raises."""
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")


async def test_a_backends_timeout_is_not_taken_for_a_missing_echo(tmp_path: Path, clock: FixedClock) -> None:
    """A change that could not even be sent, because the backend's own connection timed out, is not told as sent."""
    async with make_house(tmp_path) as house:
        await house.add("first", *ways(Unreachable, {"kind": "simulated"}, tmp_path, clock))
        with pytest.raises(TimeoutError, match="Connection timed out"):
            await house.change("light.kitchen", {"on": True})


async def test_two_backends_may_use_the_same_names(house: House, tmp_path: Path, clock: FixedClock) -> None:
    """What a second backend calls by an id that is taken gets the next one, and each is told to change by its own."""
    (tmp_path / "2").mkdir()
    await house.add("second", *ways(SimulatedBackend, {"kind": "simulated"}, tmp_path / "2", clock))
    assert not house.devices["light.garden"].available
    assert house.devices["light.garden_2"].available
    await house.change("light.kitchen_2", {"on": True})
    assert house.devices["light.kitchen_2"].state["on"] is True
    assert house.devices["light.kitchen"].state["on"] is False


async def test_watchers_see_every_report(house: House) -> None:
    """A watcher is told of each report from when it begins to when it ends."""
    seen: list[Event] = []
    before = house.devices["light.kitchen"]
    end = house.watch(seen.append)
    lamp = await house.change("light.kitchen", {"on": True}, by="anna: on kitchen")
    end()
    await house.change("light.kitchen", {"on": False})
    assert seen == [Event(lamp.id, lamp, before, "anna: on kitchen")]


async def test_a_watcher_may_end_while_it_is_told(house: House) -> None:
    """A watcher that ends itself costs the others no report."""
    seen: list[str] = []
    ends: list[Callable[[], None]] = []

    def once(event: Event) -> None:
        seen.append(f"once {event.id}")
        ends.pop()()

    ends.append(house.watch(once))
    house.watch(lambda event: seen.append(f"always {event.id}"))
    await house.change("light.kitchen", {"on": True})
    assert seen == ["once light.kitchen", "always light.kitchen"]


async def test_the_version_grows_with_names_alone(house: House) -> None:
    """What is kept about ids and names stays good through changes of state, and not when one comes or moves."""
    version = house.version
    lamp = await house.change("light.kitchen", {"on": True})
    assert house.version == version
    versions = [version]
    for name, room in (("Stove", "kitchen"), ("Stove", "hall")):
        report(house, msgspec.structs.replace(lamp, name=name, room=room))
        versions.append(house.version)
    report(house, Device(id="light.new", name="New"))
    versions.append(house.version)
    assert versions == sorted(set(versions))


# -- what backends tell -----------------------------------------------------------------------------------------------


class Telling:
    """A backend that tells what a test has it tell, and keeps what it is told to change."""

    def __init__(self, report: Report, devices: Sequence[Device]) -> None:
        """Know these devices at first."""
        self.report = report
        self.applied: list[tuple[str, State]] = []
        self.link = Link(up=True, says="here", hint="it sleeps")
        self.closed = False
        self._devices = devices

    def devices(self) -> Sequence[Device]:
        """Return those that are known at first."""
        return self._devices

    async def apply(self, device: Device, change: State) -> None:
        """Note the change."""
        self.applied.append((device.identity, change))

    async def close(self) -> None:
        """Note that it is over."""
        self.closed = True


def lamp(identity: str, slug: str = "", *, hardware: str = "", kind: str = "light", **state: Scalar) -> Device:
    """Return a lamp as a backend tells it."""
    return Device(
        id=f"{kind}.{slug or identity}",
        identity=identity,
        name=slug or identity,
        hardware=hardware,
        attributes={"on": ATTRIBUTES["on"]},
        state=state or {"on": False},
    )


def group(identity: str, *members: str) -> Device:
    """Return a group of lamps as a backend tells it."""
    return msgspec.structs.replace(lamp(identity), group=members)


async def tells(house: House, name: str, *devices: Device) -> Telling:
    """Add a backend that tells of these devices."""
    opened: list[Telling] = []

    async def open_(report: Report) -> Telling:
        opened.append(Telling(report, devices if not opened else ()))
        return opened[-1]

    async def test() -> str:
        return f"{len(devices)} devices"

    await house.add(name, open_, test)  # type: ignore[arg-type]  # (all of a backend that a house looks at)
    return opened[0]


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[House]:
    """Return a house without backends."""
    async with make_house(tmp_path) as opened:
        yield opened


def hide(house: House, id_: str, *, hidden: bool = True) -> None:
    """Hide a device as its owner does, or show it again."""
    record = house.naming.of(id_)
    assert record is not None
    house.naming.keep(msgspec.structs.replace(record, hidden=hidden))
    house.renamed(id_)


async def test_what_comes_and_goes(empty: House) -> None:
    """A device that is told of is there, one that is gone is not; whoever watches is told both, and the id waits."""
    backend, seen = await tells(empty, "a", lamp("1", "desk")), list[Event]()
    empty.watch(seen.append)
    first = empty.devices["light.desk"]
    backend.report.gone("1")
    backend.report.gone("1")
    backend.report.gone("nosuch")
    assert not empty.devices
    assert empty.told() == []
    backend.report.changed(lamp("1", "desk", on=True), by="a wall")
    second = empty.devices["light.desk"]
    assert seen == [Event("light.desk", None, first), Event("light.desk", second, None, "a wall")]


async def test_what_is_gone_is_waited_for_no_longer(empty: House) -> None:
    """An order to a device that goes meanwhile is told so at once; so is one that its owner hides."""
    backend = await tells(empty, "a", lamp("1"), lamp("2"))
    waiting = [asyncio.create_task(empty.change(f"light.{n}", {"on": True})) for n in (1, 2)]
    await asyncio.sleep(0)
    backend.report.gone("1")
    hide(empty, "light.2")
    for task, n in zip(waiting, (1, 2), strict=True):
        with pytest.raises(Unavailable, match=rf"light\.{n} is gone"):
            await task
    assert not empty._waiting


async def test_a_refusal_is_told_in_the_devices_own_words(empty: House) -> None:
    """A device that says that it will not ends the order that waits for it, and no other."""
    backend = await tells(empty, "a", lamp("1"), lamp("2"))
    empty.confirm_within = 0.05
    refused, other = (asyncio.create_task(empty.change(f"light.{n}", {"on": True})) for n in (1, 2))
    await asyncio.sleep(0)
    backend.report.refused("1", "the child lock is on")
    backend.report.refused("nosuch", "what?")
    with pytest.raises(Refused, match="the child lock is on"):
        await refused
    with pytest.raises(NotConfirmed) as error:
        await other
    assert error.value.hint == "it sleeps"


async def test_a_refusal_that_nobody_waits_for(empty: House, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal that comes after an order has stopped waiting costs nothing, and no other order."""
    backend = await tells(empty, "a", lamp("1"))
    await empty.change("light.1", {"on": True}, wait=False)
    backend.report.refused("1", "no")
    task = asyncio.create_task(empty.change("light.1", {"on": True}, wait=False))
    await asyncio.sleep(0)
    backend.report.refused("1", "no")
    await task
    assert caplog.records == []


async def test_what_follows_an_order_is_its_givers(empty: House) -> None:
    """An echo is by whoever gave the order; whatever else is heard is by whom the backend says."""
    backend, seen = await tells(empty, "a", lamp("1")), list[str]()
    empty.watch(lambda event: seen.append(event.by))
    task = asyncio.create_task(empty.change("light.1", {"on": True}, by="anna: on 1"))
    await asyncio.sleep(0)
    backend.report.changed(lamp("1", on=False), by="rule")
    backend.report.changed(lamp("1", on=True))
    await task
    backend.report.changed(lamp("1", on=True))
    assert seen == ["rule", "anna: on 1", ""]


async def test_members_are_known_once_they_are_told(empty: House) -> None:
    """A group that is told before its members touches something unknown, and them once they come."""
    backend = await tells(empty, "a", group("g", "1", "2", "g"))
    assert empty.devices["light.g"].group == ("?1", "?2", "light.g")
    backend.report.changed(lamp("2", "two"))
    assert empty.devices["light.g"].group == ("?1", "light.two", "light.g")
    backend.report.changed(lamp("1", "one"))
    assert empty.devices["light.g"].group == ("light.one", "light.two", "light.g")
    assert not empty._incomplete
    # The other way round it knows them from the first.
    backend.report.changed(group("h", "1", "2"))
    assert empty.devices["light.h"].group == ("light.one", "light.two")


async def test_a_member_that_was_a_twin(empty: House) -> None:
    """A member that counts only later, since another told of the thing too, is known then."""
    first = await tells(empty, "a", lamp("x", hardware="aa"))
    second = await tells(empty, "b", group("g", "y"))
    second.report.changed(lamp("y", hardware="aa"))
    first.report.gone("x")
    assert empty.devices["light.g"].group == ("light.y",)


async def test_another_kind_is_another_device(empty: House) -> None:
    """What becomes of another kind is gone under its old id, which nothing else ever gets, also after a restart."""
    backend = await tells(empty, "a", lamp("1", "desk"))
    version = empty.version
    backend.report.changed(lamp("1", "desk", kind="switch"))
    assert set(empty.devices) == {"switch.desk"}
    assert empty.version > version
    backend.report.changed(lamp("2", "desk"))
    assert set(empty.devices) == {"switch.desk", "light.desk_2"}
    assert len(empty.told()) == 2


async def test_another_kind_after_a_restart(tmp_path: Path) -> None:
    """A thing that is of another kind when the house starts again is taken in as that."""
    async with make_house(tmp_path) as house:
        await tells(house, "a", lamp("1", "desk"))
    async with make_house(tmp_path) as house:
        backend = await tells(house, "a", lamp("1", "desk", kind="switch"))
        assert set(house.devices) == {"switch.desk"}
        backend.report.gone("1")
        assert house.told() == []


async def test_of_twins_the_first_backend_counts(empty: House) -> None:
    """A thing that two backends tell of is one device, that of the backend added first, whoever tells first."""
    first = await tells(empty, "a")
    second = await tells(empty, "b", lamp("y", hardware="aa", on=True))
    assert set(empty.devices) == {"light.y"}
    first.report.changed(lamp("x", hardware="aa", on=False))
    assert set(empty.devices) == {"light.x"}
    second.report.changed(lamp("y", hardware="aa", on=False))
    assert set(empty.devices) == {"light.x"}
    assert [(told.device.id, told.record.backend) for told in empty.told()] == [("light.y", "b"), ("light.x", "a")]
    first.report.gone("x")
    assert set(empty.devices) == {"light.y"}
    first.report.changed(lamp("x", hardware="aa"))
    # It has another address now: it was replaced, and the two are two things.
    first.report.changed(lamp("x", hardware="bb"))
    assert set(empty.devices) == {"light.x", "light.y"}


async def test_what_is_hidden_is_not_there(empty: House) -> None:
    """A hidden device vanishes at once, with its twins, stays away whatever it reports, and comes back when shown."""
    first = await tells(empty, "a", lamp("x", hardware="aa"))
    await tells(empty, "b", lamp("y", hardware="aa"))
    version, seen = empty.version, list[Event]()
    empty.watch(seen.append)
    hide(empty, "light.x")
    first.report.changed(lamp("x", hardware="aa", on=True))
    assert not empty.devices
    assert empty.version > version
    assert [(event.id, event.device) for event in seen] == [("light.x", None)]
    assert [told.record.hidden for told in empty.told()] == [True, False]
    version = empty.version
    hide(empty, "light.x", hidden=False)
    assert empty.devices["light.x"].state == {"on": True}
    assert empty.version > version
    empty.renamed("light.nosuch")


async def test_what_its_owner_calls_it(empty: House) -> None:
    """A name of the owner counts from the moment it is kept; what is kept about names is void then."""
    await tells(empty, "a", lamp("1", "desk"))
    record, version = empty.naming.of("light.desk"), empty.version
    assert record is not None
    empty.naming.keep(msgspec.structs.replace(record, name="Mine", aliases=("m",)))
    empty.renamed("light.desk")
    device = empty.devices["light.desk"]
    assert (device.name, device.aliases, device.id) == ("Mine", ("m",), "light.desk")
    assert empty.version > version


async def test_there_are_not_more_than_so_many(
    empty: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A backend that tells of too many devices has as many as there may be; the log says so once."""
    monkeypatch.setattr(house_module, "MOST_DEVICES", 3)
    backend = await tells(empty, "a", *(lamp(str(n)) for n in range(5)))
    assert set(empty.devices) == {"light.0", "light.1", "light.2"}
    backend.report.changed(lamp("1", on=True))
    assert empty.devices["light.1"].state["on"] is True
    backend.report.gone("0")
    backend.report.changed(lamp("9"))
    assert set(empty.devices) == {"light.1", "light.2", "light.9"}
    await tells(empty, "b", lamp("0"))
    assert "light.0_2" in empty.devices
    assert [(record.levelno, record.name) for record in caplog.records] == [(logging.ERROR, "sshhome.house")]


async def test_nor_have_there_ever_been(empty: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids stay taken, so that there is a bound on how many there ever were; those that are known still come."""
    monkeypatch.setattr(house_module, "MOST_EVER", 3)
    backend = await tells(empty, "a", *(lamp(str(n)) for n in range(3)))
    for n in range(3):
        backend.report.gone(str(n))
    backend.report.changed(lamp("9"))
    assert not empty.devices
    backend.report.changed(lamp("1"))
    assert set(empty.devices) == {"light.1"}


# -- backends ---------------------------------------------------------------------------------------------------------


async def test_a_backend_is_opened_afresh(empty: House) -> None:
    """A backend that is reloaded is closed, all that it told of is gone, and what it tells now is there."""
    backend = await tells(empty, "a", lamp("1"))
    await tells(empty, "b", lamp("2"))
    waiting = asyncio.create_task(empty.change("light.1", {"on": True}))
    await asyncio.sleep(0)
    await empty.reload("a")
    assert backend.closed
    assert set(empty.devices) == {"light.2"}
    assert empty.links == {name: Link(up=True, says="here", hint="it sleeps") for name in "ab"}
    with pytest.raises(Unavailable):
        await waiting


async def test_a_backend_that_does_not_open_again(empty: House) -> None:
    """A backend that cannot be opened again is told as such, and can be once more."""
    broken: list[SiteError] = []

    async def open_(report: Report) -> Telling:
        if broken:
            raise broken.pop()
        return Telling(report, [lamp("1")])

    async def test() -> str:
        return "well"

    await empty.add("a", open_, test)  # type: ignore[arg-type]  # (all of a backend that a house looks at)
    assert await empty.test("a") == "well"
    broken.append(SiteError("no such file"))
    with pytest.raises(SiteError, match="no such file"):
        await empty.reload("a")
    assert empty.links == {"a": Link(up=False, says="is being opened")}
    assert not empty.devices
    await empty.reload("a")
    assert set(empty.devices) == {"light.1"}
    await empty.close()
    await empty.reload("a")
    assert not empty._backends


async def test_two_reload_a_backend_at_once(empty: House) -> None:
    """A backend is open once, however many have it reloaded at the same time, and also if they leave."""
    opened: list[Telling] = []
    go = asyncio.Event()

    async def open_(report: Report) -> Telling:
        if opened:
            await go.wait()
        opened.append(Telling(report, [lamp("1")]))
        return opened[-1]

    async def test() -> str:
        return ""

    await empty.add("a", open_, test)  # type: ignore[arg-type]  # (all of a backend that a house looks at)
    reloads = [asyncio.create_task(empty.reload("a")) for _ in range(3)]
    await asyncio.sleep(0)
    reloads[0].cancel()
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*reloads, return_exceptions=True)
    assert [backend.closed for backend in opened] == [True, True, True, False]
    assert set(empty.devices) == {"light.1"}


async def test_why_it_is_unavailable(empty: House) -> None:
    """Of a device whose backend reaches nothing it is told how that is."""
    backend = await tells(empty, "a", msgspec.structs.replace(lamp("1"), available=False))
    with pytest.raises(Unavailable) as error:
        await empty.change("light.1", {"on": True})
    assert (error.value.message, error.value.hint) == ("light.1 is unavailable", "")
    backend.link = Link(up=False, says="cannot reach the broker")
    with pytest.raises(Unavailable) as error:
        await empty.change("light.1", {"on": True})
    assert error.value.hint == "cannot reach the broker"
    assert backend.applied == []
