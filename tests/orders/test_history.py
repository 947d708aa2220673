"""`history` and `why`: how a value was, and who or what changed a device, for those who may see it."""

import asyncio
import contextlib
import csv
import io
import json
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from sshhome.app import Site, running
from sshhome.device import ATTRIBUTES, Device
from sshhome.orders import history as looking_back
from sshhome.render import Look, render
from tests.channels.test_shell import terminal
from tests.client import Door, ask, report, until
from tests.conftest import FixedClock
from tests.test_dispatch import Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

DRAWN = Look(60, drawn=True)


@pytest.fixture
async def road(build: Build, clock: FixedClock) -> AsyncIterator[Road]:
    """Return a road on which an hour has passed: the sensor in the kitchen went up and down, the front door open."""
    async with build() as built:
        devices = built.dispatch.house.devices
        for minute in range(60):
            clock.advance(60)
            warmth = 20.0 + abs(minute - 30) / 10
            built.report(devices["sensor.kitchen_temperature"].with_state({"temperature": warmth}))
            if minute in {20, 25}:
                built.report(devices["binary_sensor.front_door"].with_state({"open": minute == 20}))
            await built.dispatch.recorder.flush()
        clock.advance(60)
        yield built


async def told(road: Road, line: str, user: str = "admin", look: Look | None = None) -> str:
    """Give an order and return what a person reads of it, in their terminal."""
    return "".join(render(await road.one(user, line), look or Look()))


async def test_a_plot(road: Road) -> None:
    """It is as wide as the terminal, with its times by the clock of the house, and tells lowest, mean and highest."""
    lines = (await told(road, "history kitchen_temperature --since 1h", look=DRAWN)).splitlines()
    assert lines[0] == "Kitchen temperature, °C: today 14:01 to now"
    assert lines[1].startswith("23.0 ┤")
    assert lines[-2].split() == ["14:10", "14:20", "14:30", "14:40", "14:50", "15:00"]
    assert lines[-1] == "min 20 °C  mean 21.5 °C  max 23 °C"
    assert max(cell_len(line) for line in lines) == 60
    assert any("\u2801" <= char <= "\u28ff" for char in lines[1])


async def test_a_plot_of_a_flag(road: Road) -> None:
    """What is open or shut is drawn in two steps, called by their names."""
    lines = (await told(road, "history binary_sensor.front_door --since 1h", look=DRAWN)).splitlines()
    assert [line.split("┤")[0].strip() for line in lines[1:3]] == ["open", "closed"]
    assert lines[-1] == "open 5 min (8 %)  closed 55 min (92 %)"


async def test_without_drawing(road: Road) -> None:
    """Where nothing can be drawn it is told in a few rows, and no braille."""
    lines = (await told(road, "history kitchen_temperature --since 1h")).splitlines()
    assert len(lines) == 15
    assert lines[8].split() == ["today", "14:31", "20", "°C", "20.2", "°C", "20.4", "°C"]
    doors = (await told(road, "history binary_sensor.front_door --since 1h")).splitlines()
    assert [line.split() for line in doors[2:5]] == [
        ["today", "14:01", "closed", "20", "min"],
        ["today", "14:21", "open", "5", "min"],
        ["today", "14:26", "closed", "35", "min"],
    ]


async def test_data(road: Road) -> None:
    """JSON and comma-separated values tell of the same, in UTC and canonical units."""
    answer = json.loads(await told(road, "history binary_sensor.front_door --since 1h --json"))
    assert {name: answer[name] for name in ("id", "attribute", "unit", "since", "until", "every")} == {
        "id": "binary_sensor.front_door",
        "attribute": "open",
        "unit": "",
        "since": "2026-06-02T12:01:00Z",
        "until": "2026-06-02T13:01:00Z",
        "every": 0.0,
    }
    assert [(p["at"][11:16], p["value"]) for p in answer["points"]] == [
        ("12:01", False),
        ("12:21", True),
        ("12:26", False),
    ]
    rows = list(csv.reader(io.StringIO(await told(road, "history binary_sensor.front_door --since 1h --csv"))))
    assert rows[0] == ["at", "value", "min", "max"]
    assert [row[1] for row in rows[1:]] == ["false", "true", "false"]
    coarse = json.loads(await told(road, "history kitchen_temperature --since 24h --json"))
    assert coarse["every"] == 300
    assert (coarse["min"], coarse["max"]) == (20.0, 23.0)
    assert coarse["points"][1] == {"at": "2026-06-02T12:05:00Z", "value": 22.4, "min": 22.2, "max": 22.7}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("history nosuch", "no device 'nosuch'"),
        ("history @kitchen", "'@kitchen' may be several; name one device"),
        ("history kitchen_temperature --since bogus", "'bogus' is no time gone by"),
        ("history kitchen_temperature --since tomorrow", "this time is yet to come"),
        ("history kitchen_temperature --since 1h --until 2h", "this time is yet to come"),
        ("history kitchen_temperature.position", "is not a device whose position can be read"),
    ],
)
async def test_what_is_refused(road: Road, line: str, error: str) -> None:
    """What cannot be told says why."""
    outcome = await road.one("admin", line)
    assert (outcome.status, error in "".join(said(outcome))) == (64, True)


async def test_times_of_the_house(road: Road) -> None:
    """Days begin at midnight of the house; before anything was recorded there is nothing, said so."""
    assert "nothing is recorded" in await told(road, "history kitchen_temperature --since 13:30 --until 13:50")
    answer = json.loads(await told(road, "history kitchen_temperature --since yesterday --until today --json"))
    assert (answer["since"], answer["until"], answer["points"]) == ("2026-05-31T22:00:00Z", "2026-06-01T22:00:00Z", [])


async def test_names_of_any_letters(road: Road) -> None:
    """Wide letters and marks that would turn a line around break no plot."""
    mode = ATTRIBUTES["mode"]
    odd = Device(id="climate.odd", name="客厅 \u202e🔥", attributes={"mode": mode}, state={"mode": "暖房\u202e"})
    road.report(odd)
    road.report(odd.with_state({"mode": "冷房 ❄️"}))
    road.dispatch.clock.advance(60)  # type: ignore[attr-defined]  # (the clock of the tests)
    text = await told(road, "history climate.odd.mode --since 1h", look=DRAWN)
    assert "\u202e" not in text
    assert "客厅" in text
    assert max(cell_len(line) for line in text.splitlines()[1:]) <= 60


async def test_only_what_may_be_seen(road: Road) -> None:
    """A device that may not be seen has no history and no reason, exactly as one that there is not."""
    for order in ("history", "why"):
        hidden = "".join(said(await road.one("cleaner", f"{order} light.night")))
        missing = "".join(said(await road.one("cleaner", f"{order} light.nosuch")))
        assert hidden.partition(" (")[0] == missing.partition(" (")[0].replace("nosuch", "night")
        assert (await road.one("cleaner", f"{order} light.kitchen")).status == 0


async def test_why(road: Road) -> None:
    """It tells who gave which order, and what came by itself; a scene that set a lamp is why it is on."""
    await road.give("guest", "dim kitchen 40")
    assert await told(road, "why kitchen") == (
        "light.kitchen is on, 40 %, 2700 K\n  today 15:01: on, brightness 40 %, guest gave 'dim kitchen 40'\n"
    )
    assert "guest gave 'dim'\n" in await told(road, "why kitchen", "viewer")
    assert "guest gave 'dim kitchen 40'\n" in await told(road, "why kitchen", "guest")
    await road.give("admin", "activate evening")
    assert "admin gave 'activate evening'" in await told(road, "why light.living")
    answer = json.loads(await told(road, "why binary_sensor.front_door --json"))
    assert answer["changes"] == [
        {
            "at": "2026-06-02T12:26:00Z",
            "user": "",
            "order": "",
            "change": {"open": False},
            "said": "today 14:26: closed, by itself or by hand",
        }
    ]
    assert "nothing has changed it" in await told(road, "why garden")


async def test_in_a_terminal(door: Door, clock: FixedClock) -> None:
    """In a shell it is drawn; a terminal that cannot move its cursor, or is none, is told in rows."""
    house = door.server.visitors.dispatch.house
    clock.advance(600)
    report(house, house.devices["light.kitchen"].with_state({"on": True}))
    clock.advance(600)
    async with terminal(door) as screen:
        screen.type("history light.kitchen\r")
        await until(lambda: "on 10 min" in str(screen))
        assert "┤" in str(screen)
        assert "⡤" in str(screen)
    async with door.connect("home") as connection:
        assert "┤" not in (await ask(connection, "history light.kitchen")).out


@pytest.mark.parametrize("damage", ["garbage", "newer", "folder"])
async def test_a_damaged_history(site: Site, clock: FixedClock, keys: Path, damage: str) -> None:
    """A history that cannot be opened keeps nobody out: orders work, and `history` says what is the matter."""
    path = site.path / "state" / "history.db"
    path.parent.mkdir(exist_ok=True)
    if damage == "folder":
        path.mkdir()
    elif damage == "newer":
        with contextlib.closing(sqlite3.connect(path)) as newer:
            newer.execute("PRAGMA user_version = 99")
    else:
        path.write_bytes(b"no database at all" * 1000)
    async with running(site, ["127.0.0.1:0"], clock) as served:
        door = Door(served.server, site, served.addresses[0], keys, served.reload)
        assert (await door.ask("home", "on kitchen")).out == "kitchen is on\n"
        answer = await door.ask("home", "history kitchen")
        assert (answer.status, "no history is recorded" in answer.err) == (69, True)
        assert "home gave 'on kitchen'" in (await door.ask("home", "why kitchen")).out


async def test_no_history_is_kept(serve: Callable[[str], AbstractAsyncContextManager[Door]]) -> None:
    """A house that shall not be recorded is not."""
    async with serve("[history]\nrecord = false") as door:
        assert (await door.ask("home", "history kitchen")).status == 69
        assert not (door.site.path / "state" / "history.db").exists()


@pytest.mark.parametrize("since", ["9999999d", "1971-01-02"])
@pytest.mark.parametrize("order", ["history kitchen", "log", "history kitchen --json"])
async def test_since_long_ago(road: Road, order: str, since: str) -> None:
    """Since before there were calendars is since the beginning."""
    assert (await road.one("admin", f"{order} --since {since}")).error is None


async def test_a_long_look_back_keeps_nobody_waiting(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a year of changes comes to is worked out beside the event loop, for one order at a time."""
    threads: list[int] = []
    points = looking_back._points

    def counted(*args: Any) -> Any:  # noqa: ANN401 (as the one it counts)
        threads.append(threading.get_ident())
        return points(*args)

    monkeypatch.setattr(looking_back, "_points", counted)
    looking = road.dispatch.recorder.looking
    async with looking:
        orders = [asyncio.ensure_future(road.one("viewer", "history kitchen --since 365d")) for _ in range(2)]
        await until(lambda: len(looking._waiters or ()) == 2)
        assert threads == []
    assert [(await order).error for order in orders] == [None, None]
    assert threading.get_ident() not in threads


async def test_why_with_a_narrower_key(road: Road) -> None:
    """A key that is good for less does not read what its owner wrote."""
    await road.give("guest", "dim kitchen 40")
    outcome = await road.one("guest", "why kitchen", key='sshhome-role="viewer"')
    assert "guest gave 'dim'\n" in "".join(said(outcome))
