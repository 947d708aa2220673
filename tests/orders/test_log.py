"""`log`: what was done and by whom, to each as much of it as they may know."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from sshhome.user import write_whole
from tests.client import Door, until
from tests.conftest import FixedClock
from tests.orders.test_watch import give
from tests.test_dispatch import Build, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road on which a few people have done something."""
    async with build() as built:
        await built.give("resident", "dim kitchen 40; off @kids; unlock front_door")
        await built.give("cleaner", "on kitchen; show; whoami; unlock side_door")
        await built.give("cleaner", "nonsense 'in one word'")
        await built.give("admin", "user freeze away")
        built.dispatch.audit.write("login.ok", user="resident", source="10.0.0.1")
        built.dispatch.audit.write("login.ok", user="resident", source="10.0.0.1")
        built.dispatch.audit.write("login.failed", user="cleaner", source="10.0.0.2", reason="wrong password")
        yield built


async def lines(road: Road, user: str, line: str = "log") -> list[str]:
    """Return who did what, as somebody reads of it."""
    outcome = await road.one(user, line)
    return [f"{entry.user}: {entry.what}" for entry in outcome.answers[0].value]


async def test_who_runs_the_house_reads_all(road: Road) -> None:
    """They read each order as it was given, how it ended, and what happened at the door; nothing that only looked."""
    assert await lines(road, "admin") == [
        "resident: dim kitchen 40",
        "resident: off @kids",
        "resident: unlock front_door",
        "cleaner: on kitchen",
        "cleaner: unlock side_door (refused: no device 'side_door')",
        "cleaner: nonsense in one word (refused: unknown order 'nonsense')",
        "admin: user freeze away",
        "resident: logged in from 10.0.0.1",
        "cleaner: did not get in from 10.0.0.2: wrong password",
    ]


async def test_others_read_of_what_they_may_see(road: Road) -> None:
    """Who may see less reads their own in full, and of others what became of what they see; not how it was called."""
    assert await lines(road, "cleaner") == [
        "resident: dim light.kitchen 40",
        "resident: unlock lock.front_door",
        "cleaner: on kitchen",
        "cleaner: unlock side_door (refused: no device 'side_door')",
        "cleaner: nonsense in one word (refused: unknown order 'nonsense')",
    ]
    assert await lines(road, "viewer") == [
        "resident: dim light.kitchen 40",
        "resident: off light.kids, light.night",
        "resident: unlock lock.front_door",
        "cleaner: on light.kitchen",
    ]
    assert (await road.one("nobody", "log")).status == 77


async def test_one_user(road: Road) -> None:
    """What one user did can be asked for, and of one that there is not there is nothing, to everybody."""
    assert await lines(road, "viewer", "log --user cleaner") == ["cleaner: on light.kitchen"]
    assert await lines(road, "viewer", "log --user nosuch") == await lines(road, "admin", "log --user nosuch") == []
    assert "nothing was done" in said(await road.one("viewer", "log --user nosuch"))[0]


async def test_what_was_asked_again(road: Road) -> None:
    """An order of an app that was answered again is told with what it was, and that it was not carried out again."""
    session = road.session("resident")
    for _ in range(2):
        await road.dispatch.call(session, "off", {"target": "hall", "idempotency_key": "k"})
    assert (await lines(road, "admin"))[-2:] == ["resident: off hall", "resident: off hall (asked again)"]


async def test_a_narrower_key_and_a_blind_spot(road: Road) -> None:
    """A key that is good for less does not read what its owner wrote; nor does an admin of what they may not see."""
    outcome = await road.one("admin", "log", key='sshhome-role="viewer"')
    assert "user freeze away" not in [entry.what for entry in outcome.answers[0].value]
    road.become("half", 'grants = ["admin", "read", { deny = "read:@kids" }]')
    told = await lines(road, "half")
    assert [line for line in told if "kid" in line or "night" in line] == []
    assert "cleaner: did not get in from 10.0.0.2: wrong password" in told
    assert not [line for line in told if "side_door" in line]


async def test_a_name_that_was_given_anew(road: Road) -> None:
    """Whoever bears the name of somebody who is gone does not read what that one did."""
    await road.give("admin", "user remove cleaner --yes")
    road.dispatch.audit.write("order.done", user="admin", order="user add", args={"login": "cleaner"}, status=0)
    road.become("cleaner", "grants = ['read:light.porch']")
    await road.give("cleaner", "on porch")
    assert await lines(road, "cleaner") == ["cleaner: on (refused: 'on' needs the control privilege)"]


async def test_times(road: Road, clock: FixedClock) -> None:
    """Since when can be said; a person reads the house's clock, a program UTC."""
    clock.advance(7200)
    await road.give("resident", "on porch")
    assert await lines(road, "viewer", "log --since 1h") == ["resident: on light.porch"]
    table = await road.one("viewer", "log --since 1h")
    assert "today 16:00  resident  on light.porch" in said(table)[0]
    (entry,) = json.loads(said(await road.one("viewer", "log --since 1h --json"))[0])
    assert entry == {
        "at": "2026-06-02T14:00:00Z",
        "event": "order.done",
        "user": "resident",
        "what": "on light.porch",
        "devices": ["light.porch"],
        "said": "today 16:00",
    }


async def test_lines_of_any_kind(road: Road) -> None:
    """Lines that are no events, or not as they should be, are passed over or told as far as they go."""
    with (road.path / "audit.jsonl").open("ab") as log:
        log.write(b'\xff\xfe\n[1]\n{"at": 5}\n{"at": "2026-06-02T12:00:00Z", "event": "nosuch"}\n{"half')
        log.write(
            b'\n{"at":"2026-06-02T12:00:00Z","event":"order.done","user":7,"order":"on","args":[1],"devices":[]}\n'
        )
        log.write(b'{"at":"when?","event":"ban.set","source":"\\u001b[2J{0.x}"}\n')
    told = await lines(road, "admin")
    assert told[-2:] == ["7: on", ": \x1b[2J{0.x} is banned"]
    assert "\x1b" not in said(await road.one("admin", "log"))[0]


async def test_following(door: Door) -> None:
    """With --follow it goes on with what is done from then on, to who may see it by then, and ends with its reader."""
    assert await give(door, "on kitchen") == 0
    audit = door.server.visitors.dispatch.audit
    watchers = len(audit._watchers)
    async with door.connect("cleaner") as connection:
        process = await connection.create_process("log --follow --json")
        first = json.loads(await process.stdout.readline())
        assert (first["user"], first["what"]) == ("home", "on light.kitchen")
        await until(lambda: len(audit._watchers) > watchers)
        assert await give(door, "on kids") == 0
        assert await give(door, "unlock front_door") == 0
        assert json.loads(await process.stdout.readline())["what"] == "unlock lock.front_door"
        path = door.site.path / "authorized_users" / "cleaner.toml"
        write_whole(path, path.read_text().replace('"access:lock.front_door",', "").replace('"read:@hall",', ""))
        assert await give(door, "lock front_door") == 0
        assert await give(door, "off kitchen") == 0
        assert json.loads(await process.stdout.readline())["what"] == "off light.kitchen"
        process.close()
        await process.wait_closed()
    await until(lambda: len(audit._watchers) == watchers)


async def test_a_long_log_is_read_bit_by_bit(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is, a few lines of it are in memory at once, of one order; others go on in between."""
    event = {"at": "2026-06-02T11:59:00Z", "event": "order.done", "user": "x", "order": "off", "devices": ["lock.safe"]}
    before, reading, most = await lines(road, "cleaner"), [0], [0]
    read = road.dispatch.audit.read

    def counted(since: float) -> Iterator[Mapping[str, Any]]:
        reading[0] += 1
        most[0] = max(most[0], reading[0])
        yield from [event] * 2000
        yield from read(since)
        reading[0] -= 1

    monkeypatch.setattr(road.dispatch.audit, "read", counted)
    asked = [asyncio.ensure_future(lines(road, "cleaner")) for _ in range(3)]
    assert [await one for one in asked] == [before] * 3
    assert most == [1]
