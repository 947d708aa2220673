"""The simulated house keeps the contract, and lives."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sshhome.backends import simulated
from sshhome.backends.simulated import SimulatedBackend, family_house
from sshhome.device import Device, State
from sshhome.errors import SiteError, Unavailable
from tests.backends.contract import BackendContract, Reports
from tests.client import until
from tests.conftest import NOON, FixedClock

HOUR = 3600.0
Open = Callable[..., Awaitable[SimulatedBackend]]


class TestContract(BackendContract):
    """The simulated house keeps the contract of all backends."""

    kind = SimulatedBackend
    lamp = "light.kitchen"
    offline = "light.garden"

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """Return options with which one lamp is offline."""
        return {"kind": "simulated", "offline": ["light.garden"]}


@pytest.fixture
def reports() -> Reports:
    """Return what takes the reports."""
    return Reports()


@pytest.fixture
async def house(tmp_path: Path, clock: FixedClock, reports: Reports) -> AsyncIterator[Open]:
    """Return what opens the house; a second time after a close, on the same files."""
    opened = []

    async def open_(**options: Any) -> SimulatedBackend:  # noqa: ANN401 (any option)
        backend = await SimulatedBackend.open({"kind": "simulated", **options}, tmp_path, clock, reports)
        opened.append(backend)
        return backend

    yield open_
    for backend in opened:
        await backend.close()


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the house live a hundred times as fast: covers go as far in a moment as they would in a second."""
    monkeypatch.setattr(simulated, "MOVE_EVERY", 0.01)
    monkeypatch.setattr(simulated, "_SPEED", 500)


def state(backend: SimulatedBackend, device_id: str) -> State:
    """Return how a device is now."""
    return device(backend, device_id).state


def device(backend: SimulatedBackend, device_id: str) -> Device:
    """Return a device as it is now."""
    (found,) = (device for device in backend.devices() if device.id == device_id)
    return found


def number(backend: SimulatedBackend, device_id: str, name: str) -> float:
    """Return one value of a device that is a number."""
    value = state(backend, device_id)[name]
    assert isinstance(value, int | float)
    return value


async def apply(backend: SimulatedBackend, device_id: str, **change: Any) -> Device:  # noqa: ANN401 (any value)
    """Change a device and return it as it is then."""
    await backend.apply(device(backend, device_id), change)
    return device(backend, device_id)


async def live(backend: SimulatedBackend, clock: FixedClock, seconds: float) -> None:
    """Let time pass until the house has looked at its sensors."""
    clock.advance(seconds)
    await until(lambda: backend._sensed == clock.monotonic())


async def at(backend: SimulatedBackend, clock: FixedClock, moment: float) -> None:
    """Let a minute pass up to a moment of the wall clock."""
    clock.step(moment - 60 - clock.now())
    await live(backend, clock, 60)


# -- what a change does -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device_id", "changes", "after"),
    [
        ("light.kitchen", [{"brightness": 40}], {"on": True, "brightness": 40}),
        ("light.kitchen", [{"brightness": 0}], {"on": False, "brightness": 0}),
        ("light.kitchen", [{"brightness": 0}, {"on": True}], {"on": True, "brightness": 100}),
        ("light.kitchen", [{"brightness": 40}, {"on": False}, {"on": True}], {"on": True, "brightness": 40}),
        ("light.garage", [{"on": True}], {"on": True}),
        ("fan.bathroom", [{"on": True}], {"on": True, "speed": 100}),
        ("fan.bathroom", [{"speed": 30}], {"on": True, "speed": 30}),
        ("fan.bathroom", [{"speed": 30}, {"on": False}], {"on": False, "speed": 0}),
        ("light.desk", [{"hue": 32, "saturation": 90}], {"on": True, "hue": 32, "color_temperature": None}),
        ("light.desk", [{"hue": 32}, {"color_temperature": 2700}], {"hue": None, "color_temperature": 2700}),
        ("light.desk", [{"hue": 32}], {"hue": 32, "saturation": 100}),
        ("light.desk", [{"saturation": 30}], {"on": True, "hue": 0, "saturation": 30, "color_temperature": None}),
        ("light.desk", [{"hue": 32, "saturation": 90}, {"saturation": 0}], {"hue": 32, "saturation": 0}),
        ("light.desk", [{"on": False, "hue": 32, "saturation": 90}], {"on": False, "hue": 32, "saturation": 90}),
        ("light.kitchen", [{"color_temperature": 3000}], {"on": True, "color_temperature": 3000}),
        ("lock.front_door", [{"locked": False}], {"locked": False}),
        ("alarm_control_panel.house", [{"armed": "night"}], {"armed": "night"}),
        ("climate.living", [{"mode": "off"}], {"mode": "off"}),
    ],
)
async def test_what_follows_from_a_change(house: Open, device_id: str, changes: list[State], after: State) -> None:
    """A dimmed lamp is on, a lamp dimmed to nothing off, a colour ends a white: as in a real house."""
    backend = await house()
    for change in changes:
        await apply(backend, device_id, **change)
    now = state(backend, device_id)
    assert {name: now[name] for name in after} == after


async def test_a_scene_touches_all_its_members(house: Open, reports: Reports) -> None:
    """A scene sets each of its members, reports each, and tells when it was activated."""
    backend = await house()
    await apply(backend, "light.living", on=True)
    reports.last.clear()
    scene = await apply(backend, "scene.goodnight", activated="now")
    assert scene.state["activated"] == "now"
    for member, wanted in scene.members.items():
        assert {**state(backend, member), **wanted} == state(backend, member)
    assert set(reports.last) == {"scene.goodnight", *scene.members}


async def test_a_scene_passes_over_what_is_offline(house: Open) -> None:
    """A member that cannot be reached stays as it is, and the others are set."""
    backend = await house(offline=["light.porch"])
    await apply(backend, "scene.evening", activated="now")
    assert state(backend, "light.porch")["on"] is False
    assert state(backend, "light.reading")["on"] is True


async def test_mute_and_offline(house: Open, reports: Reports) -> None:
    """What is mute takes a change and never echoes it; what is offline refuses it and says so in its report."""
    backend = await house(mute=["switch.printer"], offline=["light.garden"])
    await apply(backend, "switch.printer", on=True)
    assert state(backend, "switch.printer")["on"] is False
    assert not device(backend, "light.garden").available
    with pytest.raises(Unavailable):
        await apply(backend, "light.garden", on=True)
    assert not reports.all


@pytest.mark.parametrize(
    "options",
    [
        *(
            {"offlin": ["light.garden"]},
            {"offline": "light.garden"},
            {"mute": ["light.nosuch"]},
            {"mute": [5]},
            {"mute": [[]]},
        ),
        *({"offline": 1}, {"offline": {"light.garden": True}}),
    ],
    ids=str,
)
async def test_options_that_are_not_understood(house: Open, options: dict[str, Any]) -> None:
    """An option of another name, type or with a device that is not there keeps the house from opening."""
    with pytest.raises(SiteError, match=r"^sshhome\.toml: backend simulated: "):
        await house(**options)


# -- what outlives it -------------------------------------------------------------------------------------------------


async def test_what_is_echoed_survives_a_kill(house: Open) -> None:
    """Another process that opens the same files sees what was echoed, though the first was never closed."""
    first = await house()
    await apply(first, "light.desk", brightness=40, hue=32, saturation=90)
    await apply(first, "lock.front_door", locked=False)
    await apply(first, "alarm_control_panel.house", armed="night")
    second = await house()
    for device_id in ("light.desk", "lock.front_door", "alarm_control_panel.house"):
        assert state(second, device_id) == state(first, device_id)


@pytest.mark.usefixtures("_fast")
async def test_a_cover_on_its_way_stands_where_it_was_seen(house: Open) -> None:
    """A cover that was moving when the house went down stands still after it, where it was last seen."""
    first = await house()
    await apply(first, "cover.garage", position=100)
    await until(lambda: state(first, "cover.garage")["position"] != 0)
    await first.close()
    stood = state(first, "cover.garage")["position"]
    second = await house()
    assert state(second, "cover.garage") == {"position": stood, "moving": None}


async def test_options_are_not_remembered(house: Open) -> None:
    """What was offline once is back when the configuration no longer says so."""
    await (await house(offline=["light.garden"])).close()
    assert device(await house(), "light.garden").available


async def test_what_is_kept_of_devices_no_longer_there(
    house: Open, clock: FixedClock, tmp_path: Path, reports: Reports
) -> None:
    """Rows of devices and values that this version does not have are passed over."""
    backend = await house()
    await backend._database.run(
        lambda db: db.executemany(
            "INSERT OR REPLACE INTO device VALUES (?, ?)",
            [("light.gone", '{"on": true}'), ("light.hall", '{"on": true, "gone": 5}')],
        ).close()
    )
    await backend.close()
    again = await house()
    assert "light.gone" not in [device.id for device in again.devices()]
    assert state(again, "light.hall") == {"on": True, "brightness": 100}


# -- its own life -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_fast")
async def test_a_cover_moves_and_stops(house: Open, reports: Reports) -> None:
    """A cover takes its time: it reports its way step by step, turns back when told, and stops where it is."""
    backend = await house()
    opening = await apply(backend, "cover.garage", position=100)
    assert opening.state["moving"] == "opening"
    await until(lambda: reports.last["cover.garage"].state == {"position": 100, "moving": None})
    way = [report.state["position"] for report in reports.all if report.id == "cover.garage"]
    assert way == [0, *range(5, 101, 5)]

    closing = await apply(backend, "cover.garage", position=0)
    assert closing.state["moving"] == "closing"
    await until(lambda: state(backend, "cover.garage")["position"] != 100)
    turned = await apply(backend, "cover.garage", position=100)
    assert turned.state["moving"] == "opening"
    stopped = await apply(backend, "cover.garage", moving=None)
    assert stopped.state["moving"] is None
    reports.all.clear()
    # Another cover's whole way is time enough for this one to move, if it did.
    await apply(backend, "cover.kids", position=0)
    await until(lambda: state(backend, "cover.kids")["moving"] is None)
    assert state(backend, "cover.garage") == stopped.state
    assert (await apply(backend, "cover.kids", position=0)).state == {"position": 0, "moving": None}


@pytest.mark.usefixtures("_fast")
async def test_a_small_way_is_gone_exactly(house: Open) -> None:
    """A cover stops at just the position it was told, also when that is no whole step away."""
    backend = await house()
    await apply(backend, "cover.living", position=98)
    await until(lambda: state(backend, "cover.living")["moving"] is None)
    assert state(backend, "cover.living")["position"] == 98


@pytest.mark.usefixtures("_fast")
async def test_rooms_warm_up_when_heated_and_cool_down_when_not(
    house: Open, clock: FixedClock, reports: Reports
) -> None:
    """A room told to be warmer heats and gets there; one whose heating is off cools towards outdoors."""
    clock.step(-139 * 24 * HOUR)  # in January
    backend = await house()
    await apply(backend, "climate.living", target_temperature=23)
    await apply(backend, "climate.kids", mode="off")
    await live(backend, clock, 60)
    assert state(backend, "climate.living")["heating"] is True
    warmth, cold = [], []
    for _ in range(36):
        await live(backend, clock, HOUR / 12)
        warmth.append(number(backend, "climate.living", "temperature"))
        cold.append(number(backend, "climate.kids", "temperature"))
    assert warmth[:4] == sorted(warmth[:4])
    assert all(22.3 <= warm <= 23.3 for warm in warmth[12:])
    assert cold == sorted(cold, reverse=True)
    assert cold[-1] < 19
    assert state(backend, "climate.kids")["heating"] is False


@pytest.mark.usefixtures("_fast")
async def test_outdoors_follows_the_day_and_the_year(house: Open, clock: FixedClock) -> None:
    """It is warmer at noon than before dawn, and in July than in January."""

    async def outdoors(day: int, hour: float) -> float:
        await at(backend, clock, NOON + day * 24 * HOUR + (hour - 12) * HOUR)
        return number(backend, "sensor.outdoor_temperature", "temperature")

    backend = await house()
    january, july = [await outdoors(day, 15) for day in (-139, 42)]
    night, noon = [await outdoors(0, hour) for hour in (4, 15)]
    assert january + 10 < july
    assert night + 4 < noon


@pytest.mark.usefixtures("_fast")
async def test_power_follows_what_is_on(house: Open, clock: FixedClock) -> None:
    """What the house draws grows with what is on, by its watts and its brightness."""

    async def power() -> float:
        await at(backend, clock, NOON)
        return number(backend, "sensor.house_power", "power")

    backend = await house()
    idle = await power()
    assert 150 <= idle < 210
    await apply(backend, "switch.coffee", on=True)
    assert await power() == idle + 1100
    await apply(backend, "switch.car_charger", on=True)
    assert await power() == idle + 8300
    for switch in ("switch.coffee", "switch.car_charger"):
        await apply(backend, switch, on=False)
    await apply(backend, "light.living", brightness=50)
    assert idle + 4 <= await power() <= idle + 5


@pytest.mark.usefixtures("_fast")
async def test_the_clock_may_be_set_back(house: Open, clock: FixedClock, reports: Reports) -> None:
    """A wall clock set by a day neither stops the house's life nor lets a day of it pass at once."""
    clock.step(-139 * 24 * HOUR)
    backend = await house()
    await apply(backend, "climate.kids", mode="off")
    warm = number(backend, "climate.kids", "temperature")
    clock.step(24 * HOUR)
    reports.last.clear()
    clock.advance(10)
    await until(lambda: "climate.kids" in reports.last)
    assert warm - 0.1 < number(backend, "climate.kids", "temperature") < warm
    clock.step(-48 * HOUR)
    reports.last.clear()
    clock.advance(60)
    await until(lambda: "climate.kids" in reports.last)


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles", "Asia/Kolkata"])
async def test_the_house_is_the_same_wherever_the_machine_is(
    house: Open, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """At one moment the sensors read the same in whichever zone the machine is, so that transcripts hold anywhere."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    here = {device.id: device.state for device in (await house()).devices()}
    try:
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        there = {device.id: device.state for device in (await house()).devices()}
    finally:
        monkeypatch.undo()
        time.tzset()
    assert there == here


async def test_the_family_house_holds_what_people_try() -> None:
    """The house has every kind that the contract names for it, in rooms, and scenes of devices that are there."""
    devices = {device.id: device for device in family_house()}
    kinds = {device.kind for device in devices.values()}
    assert kinds >= {"light", "switch", "lock", "cover", "climate", "fan", "sensor", "alarm_control_panel", "scene"}
    assert {device.device_class for device in devices.values() if device.kind == "cover"} == {"blind", "garage"}
    assert all(device.room for device in devices.values())
    for scene in devices.values():
        for member, change in scene.members.items():
            assert all(devices[member].can_set(name) for name in change)


async def test_closing_while_changes_are_under_way(house: Open) -> None:
    """What was being applied when the house closes is done, and no change hangs."""
    backend = await house()
    changes = [asyncio.create_task(apply(backend, "light.kitchen", brightness=level)) for level in range(1, 20)]
    await asyncio.sleep(0)
    await backend.close()
    assert [(await change).id for change in changes] == ["light.kitchen"] * 19
    again = await house()
    assert state(again, "light.kitchen")["brightness"] == 19


async def test_a_change_that_is_cut_off(house: Open, reports: Reports) -> None:
    """However soon a change is cut off, once it is nothing of it comes any more, and what came was reported."""
    backend = await house()
    for turns in range(12):
        wanted = not state(backend, "light.hall")["on"]
        change = asyncio.create_task(backend.apply(device(backend, "light.hall"), {"on": wanted}))
        for _ in range(turns):
            await asyncio.sleep(0)
        change.cancel()
        await asyncio.wait([change])
        told = state(backend, "light.hall"), len(reports.all)
        assert turns == 0 or reports.last["light.hall"].state == told[0]
        # What is asked of the file now comes after all that was asked before.
        await backend._database.run(lambda _: None)
        assert (state(backend, "light.hall"), len(reports.all)) == told
