"""`undo` brings back how it was before a user's last change, as far as they still may; `confirm` lets it stay."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sshhome.backends.simulated import MOVE_EVERY
from sshhome.device import Device, Scalar, State
from sshhome.user import write_whole
from tests.client import PATIENCE, Door
from tests.conftest import FixedClock
from tests.test_dispatch import Build, Road, open_road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

#: Anna and Ben live here; Mia is a child; Paul comes in three times; Vera looks.
USERS = {
    "anna": 'roles = ["resident"]',
    "ben": 'roles = ["resident"]',
    "mia": 'grants = ["read", { allow = "control:light.*", values = { brightness = "..60" } }]',
    "paul": 'grants = [{ allow = "access:lock.front_door", uses = 3 }]',
    "vera": 'roles = ["viewer"]',
}
NOTHING = ("", "error: there is nothing to undo\n")


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road on which light.garden is offline, and switch.printer never answers."""
    async with build(users=USERS, options={"offline": ["light.garden"], "mute": ["switch.printer"]}) as built:
        yield built


def settable(road: Road) -> Mapping[str, State]:
    """Return everything in the house that an order may set, as it is now."""
    return {
        device.id: {name: value for name, value in device.settable(device.state).items() if name != "activated"}
        for device in road.dispatch.house.devices.values()
    }


def state(road: Road, device_id: str) -> State:
    """Return how a device is now."""
    return road.dispatch.house.devices[device_id].state


def report(road: Road, device_id: str, *, available: bool = True, **change: Scalar) -> None:
    """Let a device report itself otherwise, as by a switch on the wall."""
    device = road.backend._devices[device_id].with_state(change, available=available)
    road.backend._devices[device_id] = road.backend._kept[device_id] = device
    road.backend._report.changed(device)


async def arrive(road: Road) -> None:
    """Let every cover come to where it is going."""
    while road.backend._goals:
        await road.backend._keep(road.backend._move(MOVE_EVERY))


async def tell(road: Road, user: str, line: str) -> tuple[str, str]:
    """Give one order and return what is told of it."""
    return said(await road.one(user, line))


async def give(road: Road, user: str, *lines: str) -> None:
    """Give orders that end well."""
    for line in lines:
        outcome = await road.one(user, line)
        assert outcome.status == 0, f"{line}: {said(outcome)}"
        await arrive(road)


# -- one after another ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "line", "told"),
    [
        ("", "on hall", "hall is off again"),
        ("dim desk 40; off desk", "on desk", "desk is off again"),
        ("dim desk 40", "off desk", "desk is on, 40 %, 2700 K again"),
        ("dim desk 40", "dim desk 0", "desk is on, 40 %, 2700 K again"),
        ("dim desk 40; off desk", "dim desk 80", "desk is off again"),
        ("dim desk 40; off desk", "color desk red", "desk is off again"),
        ("color desk red", "color desk warm white", "desk is on, 100 %, red again"),
        ("color desk red", "color desk blue", "desk is on, 100 %, red again"),
        ("color desk red", "off desk", "desk is on, 100 %, red again"),
        ("on desk", "set desk.hue 120", "desk is on, 100 %, 2700 K again"),
        ("on desk", "set desk.saturation 50", "desk is on, 100 %, 2700 K again"),
        ("", "toggle tv", "tv is off again"),
        ("", "set fan.bedroom 30", "fan.bedroom is off again"),
        ("set fan.bedroom 30", "off fan.bedroom", "fan.bedroom is on, 30 % again"),
        ("", "set climate.living 25", "climate.living is 21 °C, set to 21 °C again"),
        ("", "set climate.living.mode off", "climate.living is 21 °C, set to 21 °C again"),
        ("", "close cover.living", "cover.living is opening again"),
        ("", "open cover.garage", "cover.garage is closing again"),
        ("", "unlock front_door", "lock.front_door is locked again"),
        ("unlock front_door", "lock front_door", "lock.front_door is unlocked again"),
        ("", "arm night", "house is disarmed again"),
        ("arm away", "disarm", "house is away again"),
    ],
)
async def test_what_was_changed_is_brought_back(road: Road, given: str, line: str, told: str) -> None:
    """Whatever was changed is as it was before, to the last value that can be set, and is said to be."""
    await give(road, "anna", *given.split("; ") if given else ())
    before = settable(road)
    await give(road, "anna", line)
    assert settable(road) != before
    out, err = await tell(road, "anna", "undo")
    assert err == ""
    assert out.endswith(" again\n")
    assert out == f"{told}\n"
    await arrive(road)
    assert settable(road) == before


async def test_a_room_is_brought_back_lamp_by_lamp(road: Road) -> None:
    """Each thing in a room comes back to how it was itself."""
    await give(road, "anna", "dim living 10", "color living red", "dim reading 70", "off reading", "on tv")
    before = settable(road)
    await give(road, "anna", "off @living", "undo")
    assert settable(road) == before
    await give(road, "anna", "toggle @living", "undo")
    assert settable(road) == before


@pytest.mark.parametrize("scene", ["evening", "movie", "goodnight"])
async def test_a_scene_is_brought_back(road: Road, scene: str) -> None:
    """Everything that a scene touched is as it was, locks and covers included."""
    await give(road, "anna", "on @living", "color living blue", "unlock side_door", "on hall")
    before = settable(road)
    await give(road, "anna", f"activate {scene}")
    assert settable(road) != before
    await give(road, "anna", "undo")
    assert settable(road) == before


async def test_two_scenes_at_once_are_brought_back(road: Road) -> None:
    """A lamp that several scenes of one order touch comes back whole."""
    await give(road, "anna", "dim living 40", "on porch")
    before = settable(road)
    await give(road, "anna", "activate all", "undo")
    assert settable(road) == before


async def test_a_scene_that_says_nothing_of_what_it_touches_is_not_activated_again(road: Road) -> None:
    """That a scene was activated cannot be brought back: it is activated no second time."""
    scene = road.backend._devices["scene.evening"]
    road.backend._devices[scene.id] = msgspec.structs.replace(scene, members={})
    report(road, scene.id)
    await give(road, "anna", "activate evening", "activate evening")
    assert await tell(road, "anna", "undo") == NOTHING


async def test_several_in_a_row(road: Road) -> None:
    """Changes are undone one after another, the latest first, until there is none."""
    lines = ["on hall", "dim hall 20", "off hall", "set climate.living 25", "on @kitchen"]
    befores = []
    for line in lines:
        befores.append(settable(road))
        await give(road, "anna", line)
    for before in reversed(befores):
        await give(road, "anna", "undo")
        assert settable(road) == before
    assert await tell(road, "anna", "undo") == NOTHING


async def test_a_cover_on_its_way(road: Road) -> None:
    """A cover goes back to where it was when the order came, whether it has arrived meanwhile or not."""
    await road.one("anna", "close living")
    await road.backend._keep(road.backend._move(3.0))
    assert (state(road, "cover.living")["position"], state(road, "cover.living")["moving"]) == (85, "closing")
    await road.one("anna", "undo")
    assert state(road, "cover.living")["moving"] == "opening"
    await arrive(road)
    assert state(road, "cover.living")["position"] == 100
    await road.one("anna", "close living")
    await road.backend._keep(road.backend._move(3.0))
    await road.one("anna", "stop living")
    # To have stopped is nothing that could be undone: it is the closing that is.
    await give(road, "anna", "undo")
    assert state(road, "cover.living")["position"] == 100


async def test_it_is_one_s_own(road: Road) -> None:
    """Nobody undoes what another did; in all sessions of theirs, it is one list of a user."""
    await give(road, "anna", "on hall")
    await give(road, "ben", "on tv")
    assert await tell(road, "vera", "undo") == ("", "error: 'undo' needs the control privilege\n")
    assert await tell(road, "mia", "undo") == NOTHING
    assert await tell(road, "anna", "undo") == ("hall is off again\n", "")
    assert await tell(road, "anna", "undo") == NOTHING
    assert state(road, "switch.tv")["on"] is True
    first, second = road.session("anna"), road.session("anna", "192.168.1.9")
    for session, line in ((first, "on hall"), (second, "on porch"), (first, "undo"), (second, "undo")):
        async for outcome in road.dispatch.run_line(session, line):
            assert outcome.status == 0
    assert (state(road, "light.hall")["on"], state(road, "light.porch")["on"]) == (False, False)


async def test_two_at_once(road: Road) -> None:
    """Of two `undo` at once one undoes the latest change, the other the one before it, or finds nothing."""
    await give(road, "anna", "on hall", "on tv")
    told = await asyncio.gather(*(tell(road, "anna", "undo") for _ in range(3)))
    assert sorted(told) == sorted([("hall is off again\n", ""), ("tv is off again\n", ""), NOTHING])
    assert [line for line in road.backend.applied if line[1] == {"on": False}] == [
        ("switch.tv", {"on": False}),
        ("light.hall", {"on": False}),
    ]


async def test_another_s_order_since_does_not_hinder(road: Road) -> None:
    """Who undoes a change undoes it also where somebody else has changed the same since, if they may."""
    await give(road, "anna", "dim @kitchen 20")
    await give(road, "ben", "dim counter 90")
    await give(road, "anna", "undo")
    assert state(road, "light.counter") == {"on": False, "brightness": 100}
    await give(road, "ben", "undo")
    assert state(road, "light.counter") == {"on": True, "brightness": 20}


# -- what is in the list ----------------------------------------------------------------------------------------------


async def test_what_did_nothing_is_not_in_the_list(road: Road) -> None:
    """Orders that were refused, failed before anything was sent, only looked, or changed nothing cannot be undone."""
    await give(road, "anna", "on hall")
    for line in ("on garden", "dim hall 200", "nonsense", "dim tv 5", "whoami", "on hall", "on hall --dry-run", "show"):
        await road.one("anna", line)
    for line in ("off hall --for 1ms", "off hall --confirm 5m --for 5m", "activate nothing", "undo --for 5m"):
        assert (await road.one("anna", line)).status == 64
    assert (await road.one("vera", "off hall")).status == 77
    assert await tell(road, "anna", "undo") == ("hall is off again\n", "")
    for user in ("anna", "vera"):
        assert await tell(road, user, "undo list") == ("nothing to undo\n", "")


async def test_what_was_left_out_is_not_undone(road: Road) -> None:
    """Of a room only what the order reached is brought back: who did not switch a lamp on does not switch it off."""
    await give(road, "anna", "dim hall 30")
    assert (await road.one("anna", "on @outdoor")).status == 69
    report(road, "light.garden", on=True)
    assert await tell(road, "anna", "undo") == ("porch is off again\n", "")
    assert state(road, "light.garden")["on"] is True


@pytest.mark.parametrize(("options", "status"), [("", 3), (" --no-wait", 0)])
async def test_what_was_sent_and_not_confirmed_can_be_undone(road: Road, options: str, status: int) -> None:
    """Whether an order was confirmed or not waited for: what was sent can be undone."""
    road.dispatch.house.confirm_within = 0.0
    assert (await road.one("anna", f"on printer{options}")).status == status
    assert (await road.one("anna", "on tv --no-wait")).status == 0
    road.dispatch.house.confirm_within = PATIENCE
    await give(road, "anna", "undo")
    assert state(road, "switch.tv")["on"] is False
    # The printer came on after all.
    report(road, "switch.printer", on=True)
    road.dispatch.house.confirm_within = 0.0
    assert await tell(road, "anna", "undo") == ("", "sent to printer, not confirmed\n")
    assert road.backend.applied[-1] == ("switch.printer", {"on": False})
    assert await tell(road, "anna", "undo") == NOTHING


async def test_what_was_cut_short_can_be_undone(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that ran out of time, failed by a bug or was cut off may have done something, so it can be undone."""
    apply = road.backend.apply

    async def forever(device: Device, change: State) -> None:
        await apply(device, change)
        await asyncio.Event().wait()

    monkeypatch.setattr(road.backend, "apply", forever)
    monkeypatch.setattr(Device, "echoes", lambda *_: False)
    with monkeypatch.context() as patch:
        patch.setattr(road.dispatch, "limits", msgspec.structs.replace(road.dispatch.limits, order_timeout=0.01))
        assert (await road.one("anna", "on hall")).status == 124
    order = asyncio.create_task(road.one("anna", "on tv"))
    while not state(road, "switch.tv")["on"]:
        await asyncio.sleep(0)
    await road.dispatch.cut(lambda session: session.login.user == "anna", "frozen")
    assert (await order).status == 77
    monkeypatch.undo()
    road.backend.broken["light.porch"] = RuntimeError("a bug")
    assert (await road.one("anna", "on porch")).status == 70
    report(road, "light.porch", on=True)
    road.backend.broken.clear()
    await give(road, "anna", "undo", "undo", "undo")
    assert {state(road, name)["on"] for name in ("light.hall", "switch.tv", "light.porch")} == {False}


async def test_the_list(road: Road, clock: FixedClock) -> None:
    """`undo list` tells what was ordered and when, how it was before, and what comes back by itself and when."""
    await give(road, "anna", "dim desk 40")
    clock.advance(60)
    await give(road, "anna", "on hall --for 30m")
    table, _ = await tell(road, "anna", "undo list")
    assert [line.split("  ")[0] for line in table.splitlines()] == ["order", "on hall", "dim desk 40"]
    assert "on hall      today 14:01  today 14:31\n" in table
    assert json.loads((await tell(road, "anna", "undo list --json"))[0]) == [
        {
            "at": "2026-06-02T12:01:00Z",
            "order": "on hall",
            "before": {"light.hall": {"on": False}},
            "due": "2026-06-02T12:31:00Z",
            "back": {"light.hall": {"on": False}},
            "said": "today 14:01",
            "due_said": "today 14:31",
        },
        {
            "at": "2026-06-02T12:00:00Z",
            "order": "dim desk 40",
            "before": {"light.desk": {"on": False, "brightness": 100}},
            "due": "",
            "back": {},
            "said": "today 14:00",
            "due_said": "",
        },
    ]
    # What has nothing to undo and comes back by itself is there too.
    await give(road, "anna", "on hall --for 60m")
    table, _ = await tell(road, "anna", "undo list")
    assert [line.split()[-1] for line in table.splitlines()[1:]] == ["15:01", "14:01", "14:00"]


# -- if they still may ------------------------------------------------------------------------------------------------


async def test_a_right_that_is_gone(road: Road) -> None:
    """Who may not unlock any more does not by `undo`; the change stays, and is undone once they may again."""
    await give(road, "anna", "unlock front_door", "lock front_door")
    write_whole(road.users.folder / "anna.toml", 'grants = ["read", "control"]')
    denied = ("", "error: you may not operate lock.front_door\n")
    assert await tell(road, "anna", "undo") == denied
    assert await tell(road, "anna", "undo") == denied
    write_whole(road.users.folder / "anna.toml", USERS["anna"])
    await give(road, "anna", "undo", "undo")
    assert state(road, "lock.front_door")["locked"] is True
    assert await tell(road, "anna", "undo") == NOTHING


async def test_a_right_to_a_part_that_is_gone(road: Road) -> None:
    """Of a scene they bring back what they may; the rest is named, stays, and is undone once they may."""
    await give(road, "anna", "unlock front_door", "on tv", "activate goodnight")
    write_whole(road.users.folder / "anna.toml", 'grants = ["read", "control"]')
    outcome = await road.one("anna", "undo")
    assert outcome.status == 77
    assert [label for label, _ in outcome.left_out] == ["lock.front_door"]
    assert (state(road, "switch.tv")["on"], state(road, "lock.front_door")["locked"]) == (True, True)
    assert (await road.one("anna", "undo")).status == 77
    write_whole(road.users.folder / "anna.toml", USERS["anna"])
    assert await tell(road, "anna", "undo") == ("lock.front_door is unlocked again\n", "")
    await give(road, "anna", "undo", "undo")
    assert await tell(road, "anna", "undo") == NOTHING


async def test_values_bind_it(road: Road) -> None:
    """Who may dim up to 60 % does not come to 100 % by `undo`, unless of a lamp that is off again."""
    await give(road, "anna", "on night")
    await give(road, "mia", "dim night 50")
    denied = ("", "error: you may not operate light.night: brightness only ..60 %\n")
    assert await tell(road, "mia", "undo") == denied
    assert state(road, "light.night")["brightness"] == 50
    write_whole(road.users.folder / "mia.toml", 'grants = ["control"]')
    await give(road, "mia", "undo")
    write_whole(road.users.folder / "mia.toml", USERS["mia"])
    await give(road, "anna", "off night")
    await give(road, "mia", "dim night 50", "undo")
    assert state(road, "light.night") == {"on": False, "brightness": 100}
    assert (await road.one("mia", "on night")).status == 77


async def test_uses_are_counted(road: Road) -> None:
    """To undo by a counted grant is a use of it; where there is none left it stays."""
    await give(road, "paul", "unlock front_door", "lock front_door", "undo")
    assert await tell(road, "paul", "undo") == ("", "error: you may not operate lock.front_door: used 3 of 3 times\n")
    assert len(road.dispatch.journal.of("paul")) == 1
    assert (await tell(road, "paul", "undo list"))[0].splitlines()[1].startswith("unlock front_door")


async def test_a_step_up_is_asked_for(build: Build) -> None:
    """What takes a confirmation to do takes one to undo."""
    users = {"anna": 'grants = [{ allow = "access:lock.*", step_up = "confirm" }]'}
    async with build(users=users) as road:
        await give(road, "anna", "unlock front_door --yes")
        outcome = await road.one("anna", "undo")
        assert (outcome.status, outcome.error and outcome.error.code) == (77, "step_up")
        await give(road, "anna", "undo --yes")
        assert state(road, "lock.front_door")["locked"] is True


async def test_what_is_hidden_or_gone_is_passed_over(road: Road) -> None:
    """A device that is not there for them any more is passed over for older changes, and undone when it is again."""
    await give(road, "anna", "on tv", "on @kitchen", "on hall")
    write_whole(road.users.folder / "anna.toml", f'{USERS["anna"]}\ngrants = [{{ deny = "read:light.*" }}]')
    table, _ = await tell(road, "anna", "undo list")
    assert [line.split("  ")[0] for line in table.splitlines()] == ["order", "on @kitchen", "on tv"]
    assert "light" not in (await tell(road, "anna", "undo list --json"))[0]
    assert await tell(road, "anna", "undo") == ("coffee is off again\n", "")
    house = road.dispatch.house
    del house.devices["switch.tv"]
    house.version += 1
    assert await tell(road, "anna", "undo") == NOTHING
    write_whole(road.users.folder / "anna.toml", USERS["anna"])
    assert await tell(road, "anna", "undo") == ("hall is off again\n", "")
    assert await tell(road, "anna", "undo") == ("kitchen is off again\ncounter is off again\n", "")


async def test_what_is_away_stays_to_be_undone(road: Road) -> None:
    """A device that cannot be reached is named, and is undone once it can be."""
    await give(road, "anna", "on @kitchen")
    report(road, "light.counter", available=False)
    outcome = await road.one("anna", "undo")
    assert outcome.status == 69
    assert said(outcome) == ("kitchen is off again\ncoffee is off again\n", "left out: counter (unavailable)\n")
    assert await tell(road, "anna", "undo") == ("", "error: light.counter is unavailable\n")
    await give(road, "anna", "on hall", "undo")
    report(road, "light.counter", available=True)
    assert await tell(road, "anna", "undo") == ("counter is off again\n", "")
    assert await tell(road, "anna", "undo") == NOTHING


async def test_a_device_that_was_replaced(road: Road) -> None:
    """A lamp that can do less than the one before is brought back as far as it can."""
    await give(road, "anna", "on desk", "color desk red")
    lamp = road.backend._devices["light.desk"]
    attributes = {name: lamp.attributes[name] for name in ("on", "brightness")}
    plain = msgspec.structs.replace(lamp, attributes=attributes, state={"on": True, "brightness": 100})
    road.backend._devices[lamp.id] = plain
    road.backend._report.changed(plain)
    # The colour is nothing that it could be given; the change before is next.
    assert await tell(road, "anna", "undo") == ("desk is off again\n", "")


async def test_a_narrower_key_undoes_what_it_may(road: Road) -> None:
    """With a key that is good for less, one undoes no more than with it one may do."""
    await give(road, "anna", "unlock front_door")
    outcome = await road.one("anna", "undo", key='sshhome-grants="read,control:light.*"')
    assert outcome.status == 77
    assert state(road, "lock.front_door")["locked"] is False
    await give(road, "anna", "undo")


# -- restarts, and the answer -----------------------------------------------------------------------------------------


async def test_after_a_restart(serve: Callable[..., AbstractAsyncContextManager[Door]], clock: FixedClock) -> None:
    """What was changed before a restart is undone after it, in the same order."""
    async with serve() as door:
        for line in ("on hall", "dim @living 30", "unlock front_door"):
            assert (await door.ask("home", line)).status == 0
    async with serve() as door:
        for told in ("lock.front_door is locked again\n", "light.living is off again\nreading is off again\n"):
            assert (await door.ask("home", "undo")).out == told
    async with serve() as door:
        assert (await door.ask("home", "undo")).out == "hall is off again\n"
        assert (await door.ask("home", "undo")).status == 64


async def test_the_answer_in_json(road: Road) -> None:
    """One device is an object, several are an array, as for any order; `--dry-run` tells and changes nothing."""
    await give(road, "anna", "on hall", "on @kitchen")
    before = settable(road)
    plans = json.loads((await tell(road, "anna", "undo --dry-run --json"))[0])
    assert [plan["id"] for plan in plans] == ["light.kitchen", "light.counter", "switch.coffee"]
    assert plans[1] == {"order": "undo", "id": "light.counter", "before": {"on": True}, "change": {"on": False}}
    assert settable(road) == before
    assert [device["id"] for device in json.loads((await tell(road, "anna", "undo --json"))[0])] == [
        "light.kitchen",
        "light.counter",
        "switch.coffee",
    ]
    assert json.loads((await tell(road, "anna", "undo --json"))[0])["id"] == "light.hall"
    out, err = await tell(road, "anna", "undo --json")
    assert (out, json.loads(err)["error"]["code"]) == ("", "bad_arguments")


async def test_it_is_audited(road: Road) -> None:
    """The log tells of an `undo` which devices it changed."""
    await give(road, "anna", "on @kitchen", "undo")
    event = road.audit("order.done")[-1]
    assert (event["order"], event["devices"]) == ("undo", ["light.kitchen", "light.counter", "switch.coffee"])


# -- confirm ----------------------------------------------------------------------------------------------------------


async def test_confirm(road: Road, clock: FixedClock) -> None:
    """`confirm` lets stay what was changed with --confirm, one's own and all of it; nothing else waits for it."""
    nothing = ("", "error: nothing waits to be confirmed\n")
    assert await tell(road, "anna", "confirm") == nothing
    await give(road, "anna", "on hall --confirm 5m", "set climate.living 25 --confirm=5m", "on tv --for 5m")
    assert await tell(road, "ben", "confirm") == nothing
    assert await tell(road, "anna", "confirm") == ("confirmed: on hall, set climate.living 25\n", "")
    assert await tell(road, "anna", "confirm") == nothing
    await give(road, "anna", "on porch --confirm 5m")
    assert json.loads((await tell(road, "anna", "confirm --json"))[0]) == ["on porch"]
    assert await tell(road, "vera", "confirm") == nothing
    clock.advance(300)
    road.dispatch.execution.look_after()
    await road.dispatch.settle()
    assert {name: state(road, name)["on"] for name in ("light.hall", "light.porch", "switch.tv")} == {
        "light.hall": True,
        "light.porch": True,
        "switch.tv": False,
    }
    # What was confirmed can still be undone.
    assert await tell(road, "anna", "undo") == ("porch is off again\n", "")


async def test_whoever_may_only_open_the_door_confirms_that(build: Build) -> None:
    """To confirm and to see one's changes takes no more than to have made them."""
    async with build(users={"paul": 'grants = ["access:lock.front_door"]'}) as road:
        await give(road, "paul", "unlock front_door --confirm 5m", "undo list", "confirm", "undo")


async def test_a_key_that_is_good_for_less_confirms_less(road: Road) -> None:
    """What one could not have ordered with a key, one does not confirm with it."""
    await give(road, "anna", "unlock front_door --confirm 5m", "on hall --confirm 5m")
    for grants in ("read", "read,control:light.desk", "access:lock.side_door"):
        outcome = await road.one("anna", "confirm", key=f'sshhome-grants="{grants}"')
        assert said(outcome) == ("", "error: nothing waits to be confirmed\n")
    outcome = await road.one("anna", "confirm", key='sshhome-grants="control:light.*"')
    assert said(outcome) == ("confirmed: on hall\n", "")
    assert await tell(road, "anna", "confirm") == ("confirmed: unlock front_door\n", "")


async def test_what_is_gone_hinders_no_confirmation(road: Road) -> None:
    """A device that is no longer there keeps nothing from being confirmed; what is there alone decides."""
    await give(road, "anna", "on @kitchen --confirm 5m")
    del road.dispatch.house.devices["light.counter"]
    assert await tell(road, "anna", "confirm") == ("confirmed: on @kitchen\n", "")


# -- whatever is ordered ----------------------------------------------------------------------------------------------

_TARGETS = ("desk", "living", "kitchen", "night", "@living", "@kids", "light.*")
_LINES = st.one_of(
    st.builds("{} {}".format, st.sampled_from(["on", "off", "toggle"]), st.sampled_from([*_TARGETS, "tv", "fan.*"])),
    st.builds("dim {} {}".format, st.sampled_from(_TARGETS), st.sampled_from(["0", "1", "60", "100", "+30", "-40"])),
    st.builds(
        "color {} {}".format,
        st.sampled_from(["desk", "living", "@kids"]),
        st.sampled_from(["red", "#80ff00", "warm white", "6500k"]),
    ),
    st.builds("set desk.{}".format, st.sampled_from(["hue 10", "saturation 0", "color_temperature 3000", "on on"])),
    st.builds("set fan.bedroom.speed {}".format, st.sampled_from([0, 30, 100])),
    st.builds("set climate.{}".format, st.sampled_from(["living 25", "kids.mode off", "*.mode auto", "* 17"])),
    st.builds("{} cover.{}".format, st.sampled_from(["open", "close", "stop"]), st.sampled_from(["living", "*"])),
    st.builds("set cover.living {}%".format, st.integers(0, 100)),
    st.builds("{} {}".format, st.sampled_from(["lock", "unlock"]), st.sampled_from(["front_door", "lock.*"])),
    st.sampled_from(["arm night", "arm away", "disarm"]),
    st.builds("activate {}".format, st.sampled_from(["movie", "evening", "goodnight", "all"])),
)
_GIVEN = st.builds("{}{}".format, _LINES, st.sampled_from(["", "", " --for 1h", " --confirm 1h", " --no-wait"]))


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40
)
@given(st.lists(_GIVEN | st.just("undo"), max_size=8))
async def test_to_undo_all_is_to_have_done_nothing(lines: Sequence[str]) -> None:
    """Whatever was ordered: each `undo` gives the house as it was before the change, whatever can be set of it."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_road(Path(folder) / "road", FixedClock(), users=USERS) as road:
            befores: list[Mapping[str, State]] = []
            for line in [*lines, *["undo"] * len(lines)]:
                before, known = settable(road), len(road.dispatch.journal.of("anna"))
                outcome = await road.one("anna", line)
                await arrive(road)
                if line != "undo":
                    assert outcome.status == 0, f"{line}: {said(outcome)}"
                    befores += [before] * (len(road.dispatch.journal.of("anna")) - known)
                    # What is not in the list has changed nothing.
                    assert len(road.dispatch.journal.of("anna")) > known or settable(road) == before
                elif befores:
                    assert outcome.status == 0, said(outcome)
                    assert settable(road) == befores.pop()
                else:
                    assert said(outcome) == NOTHING
            assert not befores
