"""The order `dash`: what is new of the house as it changes, for who may see it then, and what operates it."""

import json
from typing import Any

import pytest

from sshhome.device import ATTRIBUTES, Device
from sshhome.orders.dash import _orders
from sshhome.user import write_whole
from tests.client import Door, ask, report, until
from tests.conftest import FixedClock
from tests.loop import advance
from tests.orders.test_watch import give, house, watching


def boards(lines: list[str]) -> list[dict[str, Any]]:
    """Return what was read."""
    return [json.loads(line) for line in lines]


def tiles(board: dict[str, Any]) -> dict[str, Any]:
    """Return what is on a board, by id."""
    return {tile["device"]["id"]: tile for card in board["cards"] for tile in card["tiles"]}


async def test_the_house_and_then_what_is_new(door: Door) -> None:
    """The first line has all of the house, and each one after it what is other than before, as it is now."""
    async with watching(door, "home", "dash --json") as watch:
        await until(lambda: watch.lines)
        assert await give(door, "dim kitchen 40") == 0
        await until(lambda: len(watch.lines) > 1)
        first, second = boards(watch.lines)[:2]
    assert set(tiles(first)) == set(house(door).devices)
    assert [card["room"] for card in first["cards"]][:3] == ["hall", "kitchen", "living"]
    assert (second["news"], second["gone"]) == (["light.kitchen"], [])
    (tile,) = tiles(second).values()
    assert tile["device"] == house(door).devices["light.kitchen"].as_json()
    assert (tile["said"], tile["tone"], tile["level"]) == ("on, 40 %, 2700 K", "active", 0.4)
    assert tile["orders"]["less"] == "dim light.kitchen -10"


async def test_how_it_was(door: Door, clock: FixedClock) -> None:
    """What is measured comes with how it was in the last three hours, which is no news to who reads lines."""
    for backend in house(door)._backends.values():
        # What lives does so by chance.
        await backend.close()
    sensor = house(door).devices["sensor.outdoor_temperature"]
    for degrees in (10, 12, 14):
        report(house(door), sensor.with_state({"temperature": degrees}))
        clock.advance(3600)
    async with watching(door, "home", "dash outdoor --json") as watch, watching(door, "home", "dash outdoor") as lines:
        await until(lambda: watch.lines and lines.lines)
        (first,) = boards(watch.lines)
        assert tiles(first)["sensor.outdoor_temperature"]["recent"] == [10] * 8 + [12] * 8 + [14] * 8
        assert tiles(first)["light.porch"]["recent"] == []
        clock.advance(1800)
        advance(61)
        await until(lambda: len(watch.lines) > 1)
        second = boards(watch.lines)[1]
        assert second["news"] == []
        assert tiles(second)["sensor.outdoor_temperature"]["recent"][:5] == [10] * 4 + [12]
        assert lines.lines == [
            "outdoor: Porch off; Garden unavailable; Outdoor temperature 14 °C; Driveway motion no motion"
        ]


async def test_without_a_history(door: Door) -> None:
    """Where nothing is recorded there is everything else."""
    recorder = door.server.visitors.dispatch.recorder
    kept, recorder._history = recorder._history, None
    async with watching(door, "home", "dash hall") as watch:
        await until(lambda: watch.lines)
        assert "House power" in watch.lines[0]
    recorder._history = kept


async def test_what_comes_and_goes(door: Door) -> None:
    """What is new in the house is shown where everything is, and what is gone is told of."""
    async with watching(door, "home", "dash") as watch, watching(door, "home", "dash hall") as hall:
        await until(lambda: watch.lines and hall.lines)
        before = len(watch.lines)
        report(house(door), Device(id="light.new", name="New", room="loft"))
        await until(lambda: len(watch.lines) == before + 1)
        next(iter(house(door)._reporters.values())).gone("light.new")
        await until(lambda: len(watch.lines) == before + 2)
        assert watch.lines[-2:] == ["loft: New unknown", "light.new is gone"]
        assert len(hall.lines) == 1


async def test_only_what_may_be_seen(door: Door) -> None:
    """What a user may no longer see is gone by itself, and what changes unseen is not told."""
    async with watching(door, "cleaner", "dash --json") as watch:
        await until(lambda: watch.lines)
        seen = set(tiles(boards(watch.lines)[0]))
        assert "light.kitchen" in seen
        assert not seen & {"light.kids", "light.night", "switch.coffee"}
        path = door.site.path / "authorized_users" / "cleaner.toml"
        write_whole(path, path.read_text().replace('"control:light.*"', '"control:light.desk"'))
        assert await give(door, "on light.kids; on light.bathroom") == 0
        advance(1)

        def gone() -> set[str]:
            return {device_id for board in boards(watch.lines) for device_id in board["gone"]}

        await until(lambda: "light.kitchen" in gone())
    assert gone() == {device_id for device_id in seen if device_id.startswith("light.")} - {"light.hall", "light.desk"}
    assert not any(tiles(board) for board in boards(watch.lines)[1:])


async def test_filters(door: Door) -> None:
    """What goes on is filtered line by line, as that of any order."""
    async with watching(door, "home", "dash kids | match night") as watch:
        await until(lambda: watch.lines)
        assert await give(door, "on kids; on night") == 0
        await until(lambda: len(watch.lines) > 1)
    async with door.connect("home") as connection:
        assert (await ask(connection, "dash | count")).status == 64


def _device(id_: str, device_class: str = "", **state: Any) -> Device:  # noqa: ANN401 (any state)
    return Device(
        id=id_, name="X", device_class=device_class, attributes={name: ATTRIBUTES[name] for name in state}, state=state
    )


@pytest.mark.parametrize(
    ("device", "orders"),
    [
        (_device("light.x", on=False, brightness=70), {"toggle": "toggle light.x", "more": "dim light.x 10"}),
        (_device("lock.x", locked=True), {"lock": "lock lock.x", "unlock": "unlock lock.x"}),
        (_device("lock.x", locked=None), {"lock": "lock lock.x", "unlock": "unlock lock.x", "toggle": "lock lock.x"}),
        (_device("siren.x", on=False), {}),
        (_device("siren.x", on=True), {"toggle": "toggle siren.x"}),
        (_device("scene.x", activated=None), {"toggle": "activate scene.x"}),
        (_device("media_player.x", playback="playing"), {"toggle": "set media_player.x.playback paused"}),
        (_device("sensor.x", temperature=20.0), {}),
        (
            _device("climate.x", target_temperature=20.0),
            {"more": "set climate.x.target_temperature +0.5", "less": "set climate.x.target_temperature -0.5"},
        ),
    ],
    ids=lambda value: value.id if isinstance(value, Device) else "",
)
def test_what_operates_it(device: Device, orders: dict[str, str]) -> None:
    """Each kind of device has lines of its own; what guards the house is only made safer by toggling it."""
    assert dict(_orders(device)) == orders


@pytest.mark.parametrize(
    ("device_class", "state", "toggle"),
    [
        ("blind", {"position": 0}, "open cover.x"),
        ("blind", {"position": 40}, "close cover.x"),
        ("blind", {"position": 40, "moving": "opening"}, "stop cover.x"),
        ("garage", {"position": 0}, None),
        ("garage", {"position": 40}, "close cover.x"),
    ],
)
def test_what_opens(device_class: str, state: dict[str, Any], toggle: str | None) -> None:
    """A blind goes the other way or stops; a door to the house opens by its own line alone."""
    assert dict(_orders(_device("cover.x", device_class, **state))).get("toggle") == toggle
