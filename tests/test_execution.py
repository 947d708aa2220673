"""What an order that was permitted does: its use is counted, its change kept, and brought back when that was asked."""

import asyncio
import contextlib
import json
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome.config import Duration, Limits
from sshhome.device import Device, State
from sshhome.errors import BadArguments
from sshhome.order import REGISTRY
from sshhome.user import write_whole
from tests.client import Door, until
from tests.conftest import FixedClock
from tests.orders.test_undo import USERS as RESIDENTS
from tests.orders.test_undo import arrive, give, report, settable, state, tell
from tests.test_dispatch import ARGUMENTS, Build, Road, line_of, open_road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

USERS = {
    **RESIDENTS,
    "admin": 'roles = ["admin"]',
    "lara": 'grants = [{ allow = "access:lock.*", values = { locked = true } }]',
    "nobody": "",
    "carl": 'grants = ["read", { allow = "access:lock.*", step_up = "confirm" }, "control"]',
}


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road on which light.garden is offline, and switch.printer never answers."""
    async with build(users=USERS, options={"offline": ["light.garden"], "mute": ["switch.printer"]}) as built:
        yield built


async def wait(road: Road, clock: FixedClock, seconds: float) -> None:
    """Let time pass, and what is due by then be brought back."""
    clock.advance(seconds)
    road.dispatch.execution.look_after()
    while road.dispatch.execution.running:
        await asyncio.sleep(0)
    await arrive(road)


def reverted(road: Road) -> list[tuple[str, Sequence[str], int]]:
    """Return what the audit log tells was brought back: which order, which devices, and how it ended."""
    return [(event["order"], event["devices"], event["status"]) for event in road.audit("order.reverted")]


# -- what comes back by itself ----------------------------------------------------------------------------------------

CHANGING = [order.name for order in REGISTRY if order.changes and order.name != "undo"]


@pytest.mark.parametrize("option", ["--for 30m", "--confirm 30m"])
@pytest.mark.parametrize("name", CHANGING)
async def test_every_change_comes_back(road: Road, clock: FixedClock, name: str, option: str) -> None:
    """Whatever an order changed is at its time as it was before, and not sooner."""
    await give(road, "anna", "on @living", "color living red", "unlock side_door", "arm away", "set fan.bedroom 20")
    for arguments in ARGUMENTS[name]:
        before = settable(road)
        outcome = await road.one("anna", f"{line_of(name, arguments)} {option}")
        assert outcome.status == 0, said(outcome)
        await arrive(road)
        after = settable(road)
        changed = [device_id for device_id in before if before[device_id] != after[device_id]]
        known = len(reverted(road))
        await wait(road, clock, 1799.9)
        assert settable(road) == after
        await wait(road, clock, 0.1)
        assert settable(road) == before
        assert [sorted(devices) for _, devices, _ in reverted(road)[known:]] == ([sorted(changed)] if changed else [])
        await wait(road, clock, 10_000)
        assert settable(road) == before
    assert (await road.one("anna", f"confirm {option}")).status == 64


async def test_what_comes_back_is_audited(road: Road, clock: FixedClock) -> None:
    """Each time something comes back by itself the log has a line: whose order it was, and what it touched."""
    await give(road, "anna", "on @kitchen --for 30m", "on hall --for 40m")
    await wait(road, clock, 1800)
    await wait(road, clock, 600)
    room, hall = road.audit("order.reverted")
    assert room == {
        "at": "2026-06-02T12:30:00Z",
        "event": "order.reverted",
        "user": "anna",
        "order": "on @kitchen",
        "devices": ["light.kitchen", "light.counter", "switch.coffee"],
        "status": 0,
        "ms": 0.0,
    }
    assert (hall["at"], hall["order"], hall["devices"]) == ("2026-06-02T12:40:00Z", "on hall", ["light.hall"])


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("on kitchen --for 30m", "kitchen is on; comes back in 30 min\n"),
        ("on kitchen --for 1h30m", "kitchen is on; comes back in 1 h 30 min\n"),
        ("on kitchen --confirm 5m", "kitchen is on; comes back in 5 min unless you say 'confirm'\n"),
        ("on kitchen --for 90s --no-wait", "sent to kitchen; comes back in 1 min 30 s\n"),
        ("on @living --for 5m", "living is on; comes back in 5 min\nreading is on; comes back in 5 min\ntv is on\n"),
        ("activate evening --for 1d", "evening is activated; comes back in 1 d\n"),
        ("on tv --for 5m", "tv is on\n"),
        ("on kitchen", "kitchen is on\n"),
    ],
)
async def test_when_it_comes_back_is_told(road: Road, line: str, told: str) -> None:
    """People are told when a change comes back and how to let it stay; in JSON the device is all there is."""
    report(road, "switch.tv", on=True)
    assert await tell(road, "anna", line) == (told, "")
    out, _ = await tell(road, "anna", f"{line} --json")
    found = json.loads(out)
    assert {device["kind"] for device in (found if isinstance(found, list) else [found])} <= {
        "light",
        "switch",
        "scene",
    }
    assert "comes back" not in out


async def test_what_was_undone_does_not_come_back(road: Road, clock: FixedClock) -> None:
    """An `undo` is not undone by the time that was set before it."""
    await give(road, "anna", "on hall --for 30m", "undo", "on tv --confirm 30m", "confirm")
    report(road, "light.hall", on=True)
    await wait(road, clock, 1800)
    assert (state(road, "light.hall")["on"], state(road, "switch.tv")["on"]) == (True, True)
    assert reverted(road) == []


@pytest.mark.parametrize("user", ["anna", "ben"])
@pytest.mark.parametrize("line", ["dim counter 30", "on counter", "activate evening", "on counter --no-wait"])
async def test_a_later_order_counts(road: Road, clock: FixedClock, user: str, line: str) -> None:
    """What a later order touched, whoever gave it, stays as that order made it; the rest of the room comes back."""
    await give(road, "anna", "on @kitchen --for 30m", "on @living --for 30m", "dim porch 10 --for 30m")
    await give(road, user, line)
    after = settable(road)
    touched = {"light.living", "light.reading", "light.porch"} if "activate" in line else {"light.counter"}
    await wait(road, clock, 1800)
    assert all(settable(road)[device_id] == after[device_id] for device_id in touched)
    for device_id in {"light.kitchen", "light.counter", "light.living", "light.reading", "switch.tv"} - touched:
        assert state(road, device_id)["on"] is False


async def test_it_comes_back_to_what_it_was_at_first(road: Road, clock: FixedClock) -> None:
    """What is changed for a while, and again for a while, by whomever, comes back to the original, at the last time."""
    await give(road, "anna", "dim desk 40", "off desk")
    original = state(road, "light.desk")
    await give(road, "anna", "on desk --for 30m", "color desk red --for 60m")
    await wait(road, clock, 1800)
    assert state(road, "light.desk")["hue"] == 0
    await give(road, "ben", "dim desk 90 --confirm 60m")
    await wait(road, clock, 1800)
    assert state(road, "light.desk")["brightness"] == 90
    await wait(road, clock, 1800)
    assert state(road, "light.desk") == original
    assert [order for order, *_ in reverted(road)] == ["dim desk 90"]


_LINES = st.sampled_from(
    [
        "on @living",
        "off @living",
        "toggle living",
        "dim living 20",
        "dim living 0",
        "color living red",
        "color living 4000k",
        "set living.saturation 30",
        "activate movie",
        "activate evening",
        "toggle fan.bedroom",
        "set fan.bedroom 30",
        "close cover.living",
        "set climate.living 25",
        "set climate.living.mode off",
        "arm away",
        "disarm",
        "unlock front_door",
    ]
)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40
)
@given(
    st.lists(st.tuples(st.sampled_from(["anna", "ben"]), _LINES, st.integers(1, 60), st.integers(0, 40)), max_size=8)
)
async def test_whatever_is_for_a_while_leaves_nothing(given_: Sequence[tuple[str, str, int, int]]) -> None:
    """Orders for a while, whoever gives them, in whichever order: when all their time is over it is as at first."""
    clock = FixedClock()
    with tempfile.TemporaryDirectory() as folder:
        async with open_road(Path(folder) / "road", clock, users=USERS) as road:
            before = settable(road)
            for user, line, minutes, pause in given_:
                await give(road, user, f"{line} --for {minutes}m")
                await wait(road, clock, pause * 60)
            await wait(road, clock, 3600)
            assert settable(road) == before


async def test_what_is_away_is_tried_again(road: Road, clock: FixedClock) -> None:
    """A device that cannot be reached when it is to be brought back is, once it can be; the rest is in time."""
    await give(road, "anna", "on @kitchen --for 30m")
    report(road, "light.counter", available=False)
    await wait(road, clock, 1800)
    assert [state(road, name)["on"] for name in ("light.kitchen", "switch.coffee")] == [False, False]
    assert reverted(road) == [
        ("on @kitchen", ["light.kitchen", "switch.coffee"], 0),
        ("on @kitchen", ["light.counter"], 69),
    ]
    assert road.audit("order.reverted")[-1]["tried_again"] is True
    for _ in range(10):
        await wait(road, clock, 30)
    assert len(reverted(road)) == 2
    report(road, "light.counter", available=True)
    await wait(road, clock, 29)
    assert state(road, "light.counter")["on"] is True
    await wait(road, clock, 1)
    assert state(road, "light.counter")["on"] is False
    assert reverted(road)[2:] == [("on @kitchen", ["light.counter"], 0)]


async def test_what_has_yet_to_be_found_is_tried_again(road: Road, clock: FixedClock) -> None:
    """A device that its backend has yet to find, as after a start, is waited for as one that is away."""
    await give(road, "anna", "on hall --for 30m")
    hall = road.dispatch.house.devices.pop("light.hall")
    await wait(road, clock, 1800)
    assert reverted(road) == [("on hall", ["light.hall"], 69)]
    road.dispatch.house.devices["light.hall"] = hall
    await wait(road, clock, 30)
    assert reverted(road)[1:] == [("on hall", ["light.hall"], 0)]


async def test_it_is_tried_for_a_day(road: Road, clock: FixedClock) -> None:
    """What cannot be reached for a day stays as it is, and the log says so; a step of the clock is no day."""
    await give(road, "anna", "on hall --for 30m")
    report(road, "light.hall", available=False)
    await wait(road, clock, 1800)
    clock.step(7 * 86400)
    await wait(road, clock, 30)
    assert len(reverted(road)) == 1
    await wait(road, clock, 86400)
    assert reverted(road) == [("on hall", ["light.hall"], 69)] * 2
    assert [event.get("tried_again") for event in road.audit("order.reverted")] == [True, None]
    report(road, "light.hall", available=True)
    await wait(road, clock, 86400)
    assert state(road, "light.hall")["on"] is True
    assert len(reverted(road)) == 2


async def test_what_is_sent_is_brought_back(road: Road, clock: FixedClock) -> None:
    """What is sent and not confirmed is not sent again and again."""
    road.dispatch.house.confirm_within = 0.0
    assert (await road.one("anna", "on printer --for 30m")).status == 3
    report(road, "switch.printer", on=True)
    await wait(road, clock, 1800)
    await wait(road, clock, 1800)
    assert road.backend.applied == [("switch.printer", {"on": True}), ("switch.printer", {"on": False})]
    assert reverted(road) == [("on printer", ["switch.printer"], 3)]


async def test_a_bug_is_tried_again(road: Road, clock: FixedClock, caplog: pytest.LogCaptureFixture) -> None:
    """A bug while one device is brought back hinders no other, has an incident, and is no reason to give up."""
    await give(road, "anna", "on @living --for 30m")
    road.backend.broken["light.living"] = RuntimeError("a bug")
    await wait(road, clock, 1800)
    assert [state(road, name)["on"] for name in ("light.living", "light.reading", "switch.tv")] == [True, False, False]
    failed = road.audit("order.reverted")[-1]
    assert (failed["devices"], failed["status"], failed["code"]) == (["light.living"], 70, "internal")
    assert f"incident {failed['incident']} in" in caplog.text
    road.backend.broken.clear()
    await wait(road, clock, 30)
    assert state(road, "light.living")["on"] is False


async def test_what_a_device_refuses_is_not_tried_again(
    road: Road, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that says no to what it was before says so once."""

    async def refuse(_device: Device, _change: State) -> None:
        raise BadArguments("I cannot")

    await give(road, "anna", "on hall --for 30m")
    monkeypatch.setattr(road.backend, "apply", refuse)
    await wait(road, clock, 1800)
    await wait(road, clock, 1800)
    assert reverted(road) == [("on hall", ["light.hall"], 64)]


async def test_a_device_that_was_replaced(road: Road, clock: FixedClock) -> None:
    """What a new device cannot be set to is not asked of it."""
    await give(road, "anna", "dim hall 40 --for 30m")
    hall = road.backend._devices["light.hall"]
    attributes = {"on": hall.attributes["on"]}
    road.backend._devices[hall.id] = msgspec.structs.replace(hall, attributes=attributes, state={"on": True})
    report(road, hall.id)
    await give(road, "anna", "set climate.living.mode off --for 30m")
    living = road.backend._devices["climate.living"]
    road.backend._devices[living.id] = msgspec.structs.replace(living, attributes={}, state={})
    report(road, living.id)
    await wait(road, clock, 1800)
    assert road.backend.applied[2:] == [("light.hall", {"on": False})]
    assert [status for *_, status in reverted(road)] == [0, 0]


async def test_an_order_under_way_counts(road: Road, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is brought back under the hands of an order; if that did nothing after all, then it is."""
    go, apply = asyncio.Event(), road.backend.apply

    async def slowly(device: Device, change: State) -> None:
        await go.wait()
        await apply(device, change)

    await give(road, "anna", "on hall --for 30m", "on porch --for 30m")
    monkeypatch.setattr(road.backend, "apply", slowly)
    dimmed = asyncio.create_task(road.one("ben", "dim hall 20"))
    failing = asyncio.create_task(road.one("ben", "dim porch 20"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.advance(1800)
    road.dispatch.execution.look_after()
    await asyncio.gather(*road.dispatch.execution.running)
    assert road.dispatch.execution.running == []
    report(road, "light.porch", available=False)
    go.set()
    assert [(await dimmed).status, (await failing).status] == [0, 69]
    report(road, "light.porch", available=True)
    await wait(road, clock, 0)
    assert state(road, "light.hall") == {"on": True, "brightness": 20}
    assert state(road, "light.porch")["on"] is False
    assert reverted(road) == [("on porch", ["light.porch"], 0)]


async def test_an_order_that_fails_takes_over_nothing(road: Road, clock: FixedClock) -> None:
    """Who cannot reach a lamp does not keep it from coming back, and leaves nothing to come back to."""
    await give(road, "anna", "on hall --for 30m")
    report(road, "light.hall", available=False)
    for line in ("off hall", "dim hall 20 --for 5m", "off @hall --for 5m", "activate goodnight"):
        await road.one("ben", line)
    report(road, "light.hall", available=True, on=True, brightness=100)
    await wait(road, clock, 1800)
    assert state(road, "light.hall")["on"] is False
    assert ("on hall", ["light.hall"], 0) in reverted(road)
    assert ("dim hall 20", ["light.hall"], 0) not in reverted(road)


async def test_whoever_is_gone_since(road: Road, clock: FixedClock) -> None:
    """What comes back was permitted when the order was given: it does whether its giver is frozen or removed since."""
    await give(road, "anna", "unlock front_door --for 30m")
    await give(road, "ben", "unlock side_door --for 30m", "on hall --confirm 30m")
    write_whole(road.users.folder / "anna.toml", f"{USERS['anna']}\nfrozen = true")
    (road.users.folder / "ben.toml").unlink()
    road.dispatch.journal.forget("ben")
    await wait(road, clock, 1800)
    assert [state(road, f"lock.{name}")["locked"] for name in ("front_door", "side_door")] == [True, True]
    assert state(road, "light.hall")["on"] is False


# -- whether it may come back -----------------------------------------------------------------------------------------


async def test_what_comes_back_must_be_permitted(road: Road, clock: FixedClock) -> None:
    """Who may lock and not unlock cannot have a door unlocked by locking it for a while."""
    await give(road, "anna", "unlock front_door")
    denied = "you may not operate lock.front_door: it may not be brought back: locked only on"
    for option in ("--for 8h", "--confirm 8h"):
        assert await tell(road, "lara", f"lock front_door {option}") == ("", f"error: {denied}\n")
        assert await tell(road, "lara", f"lock front_door {option} --dry-run") == ("", f"error: {denied}\n")
    assert state(road, "lock.front_door")["locked"] is False
    explained = json.loads((await tell(road, "lara", "explain lock front_door --for 8h --json"))[0])
    assert [found["allowed"] for found in explained] == [False]
    # What was locked already comes back to nothing else.
    await give(road, "lara", "lock front_door", "lock front_door --for 8h")
    await wait(road, clock, 8 * 3600)
    assert state(road, "lock.front_door")["locked"] is True


async def test_nor_by_what_it_waited_to_come_back_to(road: Road, clock: FixedClock) -> None:
    """What comes back is the original: who may not bring that back may not set a time to it either."""
    await give(road, "anna", "unlock front_door", "lock front_door --for 60m")
    assert (await road.one("lara", "lock front_door --for 5m")).status == 77
    await wait(road, clock, 300)
    assert state(road, "lock.front_door")["locked"] is True


async def test_values_bind_what_comes_back(road: Road) -> None:
    """Who may dim up to 60 % has no lamp come back at 100 %, unless it is off then."""
    await give(road, "anna", "on night")
    assert (await road.one("mia", "dim night 50 --for 5m")).status == 77
    await give(road, "anna", "off night")
    await give(road, "mia", "dim night 50 --for 5m")


async def test_what_comes_back_takes_the_same_proof(road: Road, clock: FixedClock) -> None:
    """Where unlocking takes a confirmation, so does locking for a while what is unlocked."""
    write_whole(
        road.users.folder / "carl.toml",
        'grants = ["read", { allow = "access:lock.*", values = { locked = true } },'
        ' { allow = "access:lock.*", step_up = "confirm" }]',
    )
    await give(road, "anna", "unlock front_door")
    outcome = await road.one("carl", "lock front_door --for 5m")
    assert (outcome.status, outcome.error and outcome.error.code) == (77, "step_up")
    await give(road, "carl", "lock front_door --for 5m --yes")
    await wait(road, clock, 300)
    assert state(road, "lock.front_door")["locked"] is False


async def test_its_use_is_that_of_the_order(road: Road, clock: FixedClock) -> None:
    """An unlocking that locks again by itself is one use, not two."""
    for left in (2, 1, 0):
        await give(road, "paul", "unlock front_door --for 5m")
        await wait(road, clock, 300)
        assert state(road, "lock.front_door")["locked"] is True
        assert uses(road) == 3 - left
    assert (await road.one("paul", "unlock front_door --for 5m")).status == 77


@pytest.mark.parametrize("line", ["unlock front_door", "off hall", "stop living", "activate evening", "on @hall"])
async def test_what_could_not_come_back(road: Road, line: str) -> None:
    """Where nobody knows how it is now, or it is nothing that could be set, an order for a while is refused."""
    report(road, "lock.front_door", locked=None)
    report(road, "light.hall", on=None)
    report(road, "cover.living", moving="closing")
    scene = road.backend._devices["scene.evening"]
    road.backend._devices[scene.id] = msgspec.structs.replace(scene, members={})
    report(road, scene.id)
    for option in ("--for 5m", "--confirm 5m --dry-run"):
        outcome = await road.one("anna", f"{line} {option}")
        assert outcome.status == 64
        assert said(outcome)[1].endswith(" could not be brought back to how it is now\n")
    assert road.backend.applied == []
    await give(road, "anna", line)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("on hall --for banana", "'banana' is not a duration (such as 90s, 5m or 1h30m)"),
        ("on hall --for 30", "'30' is not a duration (such as 90s, 5m or 1h30m)"),
        ("on hall --for 999ms", "option '--for' takes 1 s to 30 d"),
        ("on hall --confirm 31d", "option '--confirm' takes 1 s to 30 d"),
        ("on hall --for 99999999999999d", "'99999999999999d' is not a duration (such as 90s, 5m or 1h30m)"),
        ("on hall --for", "option '--for' needs a value"),
        ("on hall --for 5m --confirm 5m", "--confirm and --for exclude each other"),
        ("undo --for 5m", "'undo' takes no option '--for' (it is for orders that change the house)"),
        ("show --confirm 5m", "'show' takes no option '--confirm' (it is for orders that change the house)"),
    ],
)
async def test_what_a_while_is(road: Road, line: str, error: str) -> None:
    """A time that is none, or for what does not come back, is refused, also on trial, and nothing is done."""
    await give(road, "anna", "dim porch 20")
    for option in ("", " --dry-run"):
        outcome = await road.one("anna", line.replace("hall", f"hall{option}") if "hall" in line else line + option)
        assert outcome.status == 64
        assert said(outcome) == ("", f"error: {error}\n")
    assert road.backend.applied == [("light.porch", {"brightness": 20})]


async def test_not_too_much_waits(road: Road) -> None:
    """One user may have twenty changes wait; the next is refused before anything is done, and told why."""
    lamps = [
        device.id for device in road.dispatch.house.devices.values() if device.kind == "light" and device.available
    ]
    targets = [*lamps, "fan.bedroom", "fan.bathroom", "tv", "coffee", "car_charger"][:18]
    await give(road, "anna", *(f"toggle {target} --for 30m" for target in targets))
    await give(road, "anna", "set climate.study 25 --for 30m", "set climate.kids 25 --confirm 30m")
    applied = len(road.backend.applied)
    outcome = await road.one("anna", "set climate.living 25 --for 30m")
    told = "20 of your changes wait to be brought back already (`undo` brings one back now)"
    assert (outcome.status, said(outcome)) == (64, ("", f"error: {told}\n"))
    assert len(road.backend.applied) == applied
    await give(road, "ben", "set climate.living 26 --for 30m")
    await give(road, "anna", "undo", "set climate.living 25 --for 30m", "set climate.bedroom 25")


# -- a use, and a store -----------------------------------------------------------------------------------------------


def uses(road: Road) -> int:
    """Return how often Paul has used his grant."""
    paul = road.users.get("paul")
    assert paul is not None
    return sum(road.dispatch.uses.used("paul", grant.id) for grant in paul.grants)


async def test_a_use_is_taken_once_and_for_all(road: Road, clock: FixedClock) -> None:
    """Of twenty orders at once three are carried out, whichever they are."""
    outcomes = await asyncio.gather(*(road.one("paul", "unlock front_door") for _ in range(20)))
    assert sorted(outcome.status for outcome in outcomes) == [0] * 3 + [77] * 17
    assert len(road.backend.applied) == uses(road) == 3
    assert list((await road.dispatch.store.uses()).values()) == [3]


async def test_a_use_is_given_back_where_nothing_was_sent(road: Road) -> None:
    """An order that could not reach the door is no use of it; nor is one that was refused, or on trial."""
    report(road, "lock.front_door", available=False)
    assert (await road.one("paul", "unlock front_door")).status == 69
    report(road, "lock.front_door", available=True)
    for line in ("unlock side_door", "unlock front_door --dry-run", "unlock front_door --for banana"):
        await road.one("paul", line)
    assert uses(road) == 0
    assert set((await road.dispatch.store.uses()).values()) == {0}


@pytest.mark.parametrize("how", ["not confirmed", "a bug", "out of time", "cut off"])
async def test_a_use_is_a_use_where_something_may_have_been_sent(
    road: Road, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """However an order ends after it was sent, its use is not given back."""
    sent = asyncio.Event()

    async def apply(_device: Device, _change: State) -> None:
        sent.set()
        if how == "a bug":
            raise RuntimeError(how)
        if how in {"out of time", "cut off"}:
            await asyncio.Event().wait()

    monkeypatch.setattr(road.backend, "apply", apply)
    if how == "not confirmed":
        monkeypatch.setattr(road.dispatch.house, "confirm_within", 0.0)
    if how == "out of time":
        monkeypatch.setattr(road.dispatch, "limits", Limits(order_timeout=Duration(0.01)))
    order = asyncio.create_task(road.one("paul", "unlock front_door"))
    await sent.wait()
    if how == "cut off":
        await road.dispatch.cut(lambda session: session.login.user == "paul", "frozen")
    status = {"not confirmed": 3, "a bug": 70, "out of time": 124, "cut off": 77}[how]
    assert (await order).status == status
    assert uses(road) == 1
    assert len(road.dispatch.journal.of("paul")) == 1


@contextlib.contextmanager
def full_disk(road: Road, table: str) -> Any:  # noqa: ANN401 (a context)
    """Let the store keep nothing more in a table."""
    with closing(sqlite3.connect(road.path / "sshhome.db")) as db:
        db.execute(f"CREATE TRIGGER full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        yield
        db.execute("DROP TRIGGER full")


@pytest.mark.parametrize("table", ["use", "change"])
async def test_what_cannot_be_kept_is_not_done(
    road: Road, clock: FixedClock, caplog: pytest.LogCaptureFixture, table: str
) -> None:
    """An order whose use, or whose coming back, cannot be kept does nothing and costs nothing; the next may again."""
    user, line = ("paul", "unlock front_door") if table == "use" else ("anna", "unlock front_door --for 5m")
    with full_disk(road, table):
        outcome = await road.one(user, line)
        assert (outcome.status, outcome.error and outcome.error.code) == (70, "internal")
        assert "disk full" not in said(outcome)[1]
        assert "disk full" in caplog.text
        assert road.backend.applied == []
        assert road.dispatch.journal.all_of(user) == []
        assert uses(road) == 0
        # What need not be kept is done.
        await give(road, "anna", "on hall")
    await give(road, user, line)
    assert state(road, "lock.front_door")["locked"] is False
    await wait(road, clock, 300)
    assert state(road, "lock.front_door")["locked"] is (table == "change")


async def test_an_undo_waits_for_no_store(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that does not come back is answered whatever the store does, and costs it nothing at once."""

    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(road.dispatch.store, "settle", never)
    monkeypatch.setattr(road.dispatch.store, "put_change", never)
    await give(road, "anna", "on hall", "dim @kitchen 20", "undo", "undo")
    monkeypatch.undo()


# -- on trial ---------------------------------------------------------------------------------------------------------


def everything(road: Road) -> object:
    """Return all that an order could change: the house, files, sessions, bans and what is remembered."""
    dispatch = road.dispatch
    return (
        dict(dispatch.house.devices),
        list(road.backend.applied),
        {path.name: path.read_bytes() for path in sorted(road.users.folder.iterdir())},
        [(session.login, session.leaving, dict(session.proved)) for session in dispatch.sessions],
        list(dispatch.bans.in_force()),
        [dispatch.journal.all_of(user) for user in USERS],
        [dispatch.uses.used(user.login, grant.id) for user in road.users for grant in user.grants],
        list(road.ended),
    )


async def remembered(road: Road) -> object:
    """Return all that the store keeps."""
    store = road.dispatch.store
    return (
        await store.bans(),
        await store.failures(0),
        await store.changes(),
        await store.uses(),
        [await store.logins(user) for user in USERS],
    )


@pytest.mark.parametrize("name", [order.name for order in REGISTRY])
async def test_a_trial_changes_nothing(road: Road, name: str) -> None:
    """Whatever the order: with --dry-run it tells what would be done and to what, and nothing at all is otherwise.

    What is denied is denied, and the log tells apart what was done and what was not.
    """
    await give(road, "admin", "on hall", "on tv --confirm 30m")
    road.dispatch.journal.save()
    visitor = road.session("visitor")
    road.dispatch.bans.ban("203.0.113.9", "login", "5 as home", "too many failed logins")
    for arguments in ARGUMENTS[name]:
        # What stands behind an order that takes another one is that one's.
        line = f"--dry-run {line_of(name, arguments)}"
        before, kept, logged = everything(road), await remembered(road), len(road.audit())
        human, machine = (
            await road.one("admin", line),
            await road.one("admin", f"--json {line}"),
        )
        denied = await road.one("nobody", line)
        assert everything(road) == before
        assert await remembered(road) == kept
        assert (human.status, machine.status, denied.status) == (0, 0, 77), said(human)
        told = said(human)[0].splitlines()
        plans = json.loads(said(machine)[0])
        plans = plans if isinstance(plans, list) else [plans]
        assert all(plan["order"].startswith(name) for plan in plans)
        assert len(told) == len(plans)
        for text, plan in zip(told, plans, strict=True):
            assert plan.keys() == {"order", "id", "before", "change"}
            assert bool(plan["id"]) == next(order for order in REGISTRY if order.name == name).changes
            assert plan["before"].keys() == plan["change"].keys()
            if not plan["id"]:
                assert text == f"would give '{plan['order']}'"
            else:
                assert text.startswith(("would change ", "would leave "))
                assert road.dispatch.house.devices[plan["id"]].slug in text
        events = road.audit()[logged:]
        assert [event["event"] for event in events] == ["order.rehearsed", "order.rehearsed", "order.refused"]
        assert all(event["dry_run"] is True for event in events)
    road.dispatch.sessions.close(visitor)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("on hall", "would change hall: on: no → yes\n"),
        ("off hall", "would leave hall as it is\n"),
        ("dim desk 40", "would change desk: brightness: 100 % → 40 %, on: no → yes\n"),
        ("dim desk 0", "would change desk: brightness: 100 % → 0 %\n"),
        ("unlock front_door", "would change front_door: locked: yes → no\n"),
        ("stop living", "would leave living as it is\n"),
        ("close living", "would change living: position: 100 % → 0 %\n"),
        ("color desk red", "would change desk: hue: none → 0 °, saturation: none → 100 %, on: no → yes\n"),
    ],
)
async def test_what_a_trial_tells(road: Road, line: str, told: str) -> None:
    """A trial tells of each value what it is and what it would be, and what follows by itself."""
    out, err = await tell(road, "anna", f"{line} --dry-run")
    assert (out, err) == (told, "")
    before = settable(road)
    await give(road, "anna", line)
    plan = json.loads((await tell(road, "anna", "undo list --json"))[0])
    assert bool(plan) == (settable(road) != before)


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("user freeze mia", "user freeze mia"),
        ("echo one 'two  three'", "echo one two  three"),
        ("user grant mia control:light.* --deny", "user grant mia control:light.* --deny"),
        (
            "pass create tom --until tomorrow --may 'unlock front_door'",
            'pass create tom --may "unlock front_door" --until tomorrow',
        ),
        ("whoami", "whoami"),
    ],
)
async def test_a_trial_tells_the_order_with_its_arguments(road: Road, line: str, order: str) -> None:
    """A trial of an order that changes no device tells that order whole, each option with its name."""
    assert await tell(road, "admin", f"--dry-run {line}") == (f"would give '{order}'\n", "")
    assert json.loads((await tell(road, "admin", f"--json --dry-run {line}"))[0])["order"] == order


async def test_a_trial_of_several(road: Road) -> None:
    """A trial of a room or a scene names each thing in it, and what would be left out."""
    outcome = await road.one("anna", "on @outdoor --dry-run")
    assert (outcome.status, *said(outcome)) == (
        69,
        "would change porch: on: no → yes\n",
        "left out: garden (unavailable)\n",
    )
    assert (await road.one("anna", "on garden --dry-run")).status == 69
    out, _ = await tell(road, "anna", "activate movie --dry-run")
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "would change light.living",
        "would leave reading as it is",
        "would change tv",
        "would change cover.living",
    ]
    assert [plan["id"] for plan in json.loads((await tell(road, "anna", "activate movie --dry-run --json"))[0])] == [
        "light.living",
        "light.reading",
        "switch.tv",
        "cover.living",
    ]
    write_whole(road.users.folder / "vera.toml", 'grants = ["read", "control:light.kitchen"]')
    outcome = await road.one("vera", "on @kitchen --dry-run")
    assert said(outcome) == (
        "would change kitchen: on: no → yes\n",
        "left out: counter (not permitted), coffee (not permitted)\n",
    )
    assert [event["event"] for event in road.audit()] == ["order.rehearsed", "order.failed", *["order.rehearsed"] * 3]


async def test_a_trial_asks_for_nothing_and_uses_nothing(road: Road) -> None:
    """A trial takes no use, and asks for no proof."""
    await give(road, "carl", "unlock front_door --dry-run")
    await give(road, "paul", "unlock front_door --dry-run")
    assert uses(road) == 0
    session = road.session("carl")
    async for outcome in road.dispatch.run_line(session, "unlock front_door --dry-run --yes"):
        assert outcome.status == 0
    assert session.proved == {}


async def test_a_trial_counts_for_the_rate(build: Build) -> None:
    """Trials are orders as any other to the rate limit."""
    async with build(users=USERS, limits=Limits(orders_per_minute=60, order_burst=2)) as road:
        statuses = [(await road.one("anna", "on hall --dry-run")).status for _ in range(3)]
    assert statuses == [0, 0, 75]


# -- across a restart -------------------------------------------------------------------------------------------------

Serve = Callable[..., AbstractAsyncContextManager[Door]]


async def test_what_is_overdue_comes_back_at_once(serve: Serve, clock: FixedClock) -> None:
    """What was to come back while the house was down does when it is up, and what is not due yet in its time."""
    async with serve() as door:
        for line in (
            "on hall --for 30m",
            "on porch --confirm 30m",
            "unlock front_door --for 3h",
            "on tv --confirm 30m",
        ):
            assert (await door.ask("home", line)).status == 0
        assert (await door.ask("home", "undo")).status == 0
    clock.advance(3600)
    async with serve() as door:
        devices = door.server.visitors.dispatch.house.devices
        await until(lambda: not devices["light.hall"].state["on"] and not devices["light.porch"].state["on"])
        assert devices["lock.front_door"].state["locked"] is False
        clock.advance(7200)
        await until(lambda: devices["lock.front_door"].state["locked"])
        assert [event["order"] for event in door.audit("order.reverted")][:2] == ["on hall", "on porch"]
        assert (await door.ask("home", "undo list --json")).json == []


async def test_what_was_confirmed_or_taken_over_stays_so(serve: Serve, clock: FixedClock) -> None:
    """A restart forgets neither a confirmation nor a later order."""
    async with serve() as door:
        lines = ("on hall --confirm 30m", "confirm", "on @kitchen --for 30m", "dim counter 20")
        for line in lines:
            assert (await door.ask("home", line)).status == 0
    clock.advance(3600)
    async with serve() as door:
        devices = door.server.visitors.dispatch.house.devices
        await until(lambda: not devices["light.kitchen"].state["on"])
        await until(lambda: door.audit("order.reverted"))
        assert devices["light.counter"].state == {"on": True, "brightness": 20}
        assert devices["light.hall"].state["on"] is True
