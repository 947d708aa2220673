"""The house: every device as it last reported itself, and changes confirmed by the device's own echo."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from sshhome.backends.simulated import SimulatedBackend
from sshhome.device import Device, State
from sshhome.errors import NotConfirmed, Unavailable
from sshhome.house import CONFIRM_WITHIN, House
from tests.client import PATIENCE
from tests.conftest import FixedClock

OPTIONS = {"kind": "simulated", "offline": ["light.garden"], "mute": ["switch.printer"]}


@pytest.fixture
async def house(tmp_path: Path, clock: FixedClock) -> AsyncIterator[House]:
    """Return the simulated house; light.garden is offline and switch.printer never answers."""
    opened = House(PATIENCE)
    backend = await SimulatedBackend.open(OPTIONS, tmp_path, clock, opened.reporter("first"))
    opened.add("first", backend)
    yield opened
    await backend.close()


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
    house.reporter("first")(house.devices["switch.printer"])
    with pytest.raises(NotConfirmed):
        await waiting


async def test_an_echo_from_elsewhere_counts(house: House) -> None:
    """The device's own report of the wanted state confirms, however it came to be so."""
    waiting = asyncio.create_task(house.change("switch.printer", {"on": True}))
    await asyncio.sleep(0)
    house.reporter("first")(house.devices["switch.printer"].with_state({"on": True}))
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
    house = House(PATIENCE)
    backend = await Unreachable.open({"kind": "simulated"}, tmp_path, clock, house.reporter("first"))
    house.add("first", backend)
    with pytest.raises(TimeoutError, match="Connection timed out"):
        await house.change("light.kitchen", {"on": True})
    await backend.close()


async def test_a_device_belongs_to_the_backend_that_came_first(
    house: House, tmp_path: Path, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A second backend that reports a known id is ignored, and the log tells."""
    second = await SimulatedBackend.open({"kind": "simulated"}, tmp_path / "2", clock, house.reporter("second"))
    house.add("second", second)
    assert not house.devices["light.garden"].available
    assert "two backends report light.garden: that of second is ignored" in caplog.text
    await house.change("light.kitchen", {"on": True})
    assert [device.state["on"] for device in second.devices() if device.id == "light.kitchen"] == [False]
    await second.close()


async def test_watchers_see_every_report(house: House) -> None:
    """A watcher is told of each report from when it begins to when it ends."""
    seen: list[Device] = []
    end = house.watch(seen.append)
    lamp = await house.change("light.kitchen", {"on": True})
    end()
    await house.change("light.kitchen", {"on": False})
    assert seen == [lamp]


async def test_a_watcher_may_end_while_it_is_told(house: House) -> None:
    """A watcher that ends itself costs the others no report."""
    seen: list[str] = []
    ends: list[Callable[[], None]] = []

    def once(device: Device) -> None:
        seen.append(f"once {device.id}")
        ends.pop()()

    ends.append(house.watch(once))
    house.watch(lambda device: seen.append(f"always {device.id}"))
    await house.change("light.kitchen", {"on": True})
    assert seen == ["once light.kitchen", "always light.kitchen"]


async def test_the_version_grows_with_names_alone(house: House) -> None:
    """What is kept about ids and names stays good through changes of state, and not when one comes or moves."""
    version = house.version
    lamp = await house.change("light.kitchen", {"on": True})
    assert house.version == version
    report = house.reporter("first")
    versions = [version]
    for name, room in (("Stove", "kitchen"), ("Stove", "hall")):
        report(msgspec.structs.replace(lamp, name=name, room=room))
        versions.append(house.version)
    report(Device(id="light.new", name="New"))
    versions.append(house.version)
    assert versions == sorted(set(versions))
