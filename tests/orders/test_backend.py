"""Orders about backends: how it is with each, tried once more, and opened afresh."""

import json
from collections.abc import AsyncIterator

import pytest

from sshhome.backend import Link
from sshhome.errors import SiteError
from tests.test_dispatch import Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road."""
    async with build() as built:
        yield built


async def told(road: Road, line: str) -> tuple[str, str]:
    """Give an order and return what a person reads."""
    return said(await road.one("admin", line))


async def test_listing(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each backend is listed with how it is, and how many devices it tells of, hidden ones among them."""
    count = len(road.dispatch.house.devices)
    await road.one("admin", "device hide porch")
    assert (await told(road, "backend list"))[0].splitlines() == [
        "backend    up   is              devices",
        f"simulated  yes  simulated here       {count}",
    ]
    monkeypatch.setattr(type(road.backend), "link", Link(up=False, says="cannot reach it, tried again in 30 s"))
    (info,) = json.loads((await told(road, "backend list --json"))[0])
    assert info == {
        "backend": "simulated",
        "up": False,
        "says": "cannot reach it, tried again in 30 s",
        "devices": count,
    }


async def test_trying(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend is tried beside what runs; what is wrong is one line, with the status of what is out of reach."""
    before = road.backend
    out, err = await told(road, "backend test simulated")
    assert (out, err) == ("simulated: 57 simulated devices\n".replace("57", out.split()[1]), "")
    assert int(out.split()[1]) > 40
    assert road.backend is before

    async def fails() -> str:
        raise SiteError("mqtt://nowhere: connection refused", "is it running?")

    monkeypatch.setitem(road.dispatch.house._tests, "simulated", fails)
    outcome = await road.one("admin", "backend test simulated")
    assert outcome.status == 69
    assert said(outcome) == ("", "error: mqtt://nowhere: connection refused (is it running?)\n")


async def test_opening_afresh(road: Road) -> None:
    """A backend that is reloaded is another one, whose devices are there as they were, by the same ids."""
    await road.one("admin", "dim desk 40")
    before, devices = road.backend, dict(road.dispatch.house.devices)
    out, _ = await told(road, "backend reload simulated")
    assert out == f"simulated: simulated here, {len(devices)} devices\n"
    assert road.backend is not before
    assert road.dispatch.house.devices.keys() == devices.keys()
    assert road.dispatch.house.devices["light.desk"].state["brightness"] == 40
    assert (await told(road, "dim desk 50"))[0] == "desk is at 50 %\n"


async def test_opening_afresh_may_fail(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that does not open again is told as such, until it does."""
    openers = road.dispatch.house._openers
    opener = openers["simulated"]

    async def fails(_: object) -> None:
        raise SiteError("state/simulated.db: disk full")

    monkeypatch.setitem(openers, "simulated", fails)
    outcome = await road.one("admin", "backend reload simulated")
    assert (outcome.status, said(outcome)[1]) == (69, "error: state/simulated.db: disk full\n")
    assert "is being opened" in (await told(road, "backend list"))[0]
    assert (await road.one("admin", "on desk")).status == 64
    monkeypatch.setitem(openers, "simulated", opener)
    assert (await road.one("admin", "backend reload simulated")).status == 0
    assert (await road.one("admin", "on desk")).status == 0


@pytest.mark.parametrize("order", ["backend test", "backend reload"])
async def test_no_such_backend(road: Road, order: str) -> None:
    """A backend that there is not is named back, and where to look."""
    outcome = await road.one("admin", f"{order} no such")
    assert outcome.status == 64
    assert said(outcome)[1] == "error: no backend 'no such' (`backend list` lists them)\n"


async def test_they_are_an_admins(road: Road) -> None:
    """Nobody else is told of backends."""
    for user in ("resident", "guest", "viewer", "nobody"):
        for line in ("backend list", "backend test simulated", "backend reload simulated"):
            assert (await road.one(user, line)).status == 77
