"""Orders on anything at all: `set` reaches every value, and scenes and groups take the right to all they touch."""

import json
from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest

from sshhome.backends.simulated import SimulatedBackend
from sshhome.device import ATTRIBUTES, Device, Scalar, State
from tests.test_complete import offered
from tests.test_dispatch import Build, Recording, Road, said
from tests.test_dispatch import build as build  # noqa: PLC0414 (a fixture, used by its name)

EFFECTS = msgspec.structs.replace(ATTRIBUTES["effect"], options=("none", "Color Loop", "fire"))
SPEED = msgspec.structs.replace(ATTRIBUTES["value"], low=-5, high=5, unit="bar")
MODES = msgspec.structs.replace(ATTRIBUTES["option"], options=("Eco", "Boost 2"))


def thing(device_id: str, *, room: str = "lab", device_class: str = "", **state: Scalar) -> Device:
    """Return a device as the simulated house could have one."""
    own = {"effect": EFFECTS, "value": SPEED, "option": MODES}
    attributes = {name: own.get(name, ATTRIBUTES[name]) for name in state}
    return Device(
        id=device_id,
        identity=device_id,
        name=device_id,
        room=room,
        device_class=device_class,
        attributes=attributes,
        state=state,
    )


#: A thing of each kind that the simulated house has none of.
LAB = (
    thing("media_player.radio", on=False, playback="paused", volume=30, muted=False),
    thing("humidifier.damp", on=False, target_humidity=40),
    thing("siren.loud", on=False),
    thing("valve.garden", position=0, moving=None),
    thing("number.pressure", value=1.5),
    thing("select.program", option="Eco"),
    thing("text.note", text=""),
    thing("light.strip", on=True, brightness=50, effect="none"),
    thing("cover.slats", position=100, tilt=0, moving=None),
    thing("vacuum.robot", activity="docked"),
    thing("script.clean", activated=None),
    thing("button.bell", activated=None),
    thing("lawn_mower.mo", activity="docked"),
)


@pytest.fixture
async def road(build: Build) -> AsyncIterator[Road]:
    """Return a road with a lab."""
    async with build() as built:
        built.report(*LAB)
        yield built


async def told(road: Road, line: str, user: str = "admin") -> str:
    """Give an order and return what a person reads."""
    return "".join(said(await road.one(user, line)))


def state(road: Road, device_id: str) -> State:
    """Return how a device is now."""
    return road.dispatch.house.devices[device_id].state


# -- any value --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("on radio", "radio is on"),
        ("toggle damp", "damp is on"),
        ("on siren.loud", "loud is on"),
        ("off loud", "loud is off"),
        ("open valve.garden 40", "garden is 40 % open"),
        ("close valve.garden", "garden is closed"),
        ("set radio playing", "radio: playback is playing"),
        ("set radio.volume +10", "radio: volume is 40 %"),
        ("set radio 25%", "radio: volume is 25 %"),
        ("set radio.muted yes", "radio: muted is on"),
        ("set damp 55", "damp: target humidity is 55 %"),
        ("set pressure -2.5", "pressure: value is -2.5 bar"),
        ("set program 'boost 2'", "program: option is Boost 2"),
        ("set note 'Milk & $(bread)'", "note: text is Milk & $(bread)"),
        ("set strip 'COLOR LOOP'", "strip: effect is Color Loop"),
        ("set strip.effect fire", "strip: effect is fire"),
        ("set slats.tilt 30 --no-wait", "sent to slats"),
        ("set robot cleaning", "robot: activity is cleaning"),
        ("activate script.clean", "clean is activated"),
        ("activate bell", "bell is activated"),
    ],
)
async def test_every_value_can_be_set(road: Road, line: str, answer: str) -> None:
    """Whatever a device can be told, it is told by its name and a value as a person writes it."""
    assert await told(road, line) == f"{answer}\n"
    assert len(road.backend.applied) == 1


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("set pressure 6", "value must be -5 to 5 bar"),
        ("set program turbo", "option must be one of Eco, Boost 2"),
        ("set strip.effect rainbow", "effect must be one of none, Color Loop, fire"),
        (f"set note {'x' * 256}", "text must have 0 to 255 characters"),
        ("set radio.volume 101", "volume must be 0 to 100 %"),
        ("set bell now", "button.bell takes no value"),
        ("set bell.activated now", "activated cannot be set by hand"),
        ("activate radio", "media_player.radio is not a scene, a script or a button"),
        ("dim radio 30", "media_player.radio is not dimmable"),
        ("on bell", "button.bell is not switchable"),
        ("activate @lab", "nothing in '@lab' is a scene, a script or a button"),
    ],
)
async def test_values_that_do_not_fit(road: Road, line: str, error: str) -> None:
    """A value that a device does not take is refused, naming what it does."""
    assert await told(road, line) == f"error: {error}\n"
    assert road.backend.applied == []


async def test_sirens_are_never_swept_up(road: Road) -> None:
    """`on @lab` and `on all` sound no siren; and a siren takes `access`, by whatever order."""
    await told(road, "on @lab")
    await told(road, "on all")
    assert "siren.loud" not in {device_id for device_id, _ in road.backend.applied}
    assert {"media_player.radio", "humidifier.damp"} <= {device_id for device_id, _ in road.backend.applied}
    road.become("cleaner", 'grants = ["control"]')
    for line in ("on loud", "off siren.loud", "set loud on", "open valve.garden"):
        assert (await road.one("cleaner", line)).status == 77
    assert "loud" not in offered(road, "cleaner", "on ")
    assert "loud" in offered(road, "admin", "on ")


async def test_what_is_activated_is_in_no_way(road: Road) -> None:
    """`show` tells how things are, and leaves out what can only be activated, unless it is asked for it."""
    assert "bell" not in await told(road, "show @lab")
    assert "bell" in await told(road, "show bell")
    assert "button.bell" in await told(road, "list @lab")


async def test_what_is_on_its_way_is_told_so(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that turns and an alarm that counts down have taken the order, and have yet to arrive."""
    plain = Recording._changed

    def changed(self: Recording, device: Device, change: State) -> Device:
        if "locked" in change:
            change = {"moving": "locking" if change["locked"] else "unlocking"}
        if "armed" in change:
            change = {"armed": None, "phase": "disarming" if change["armed"] == "disarmed" else "arming"}
        return plain(self, device, change)

    monkeypatch.setattr(Recording, "_changed", changed)
    house = road.dispatch.house
    for device_id, more in (("lock.front_door", "moving"), ("alarm_control_panel.house", "phase")):
        device = house.devices[device_id]
        road.report(
            msgspec.structs.replace(
                device, attributes={**device.attributes, more: ATTRIBUTES[more]}, state={**device.state, more: None}
            )
        )
    for line, answer in (
        ("unlock front_door", "front_door is unlocking"),
        ("lock front_door", "front_door is locking"),
        ("arm night", "house is arming"),
        ("disarm", "house is disarming"),
    ):
        assert await told(road, line) == f"{answer}\n"


# -- groups and scenes ------------------------------------------------------------------------------------------------


def group(device_id: str, *members: str) -> Device:
    """Return a group of lamps, or of covers."""
    cover = thing(device_id, position=0, moving=None)
    made = cover if cover.kind == "cover" else thing(device_id, on=False, brightness=0)
    return msgspec.structs.replace(made, group=members)


def scene(device_id: str, members: Mapping[str, State]) -> Device:
    """Return a scene."""
    return msgspec.structs.replace(thing(device_id, activated=None), members=members)


@pytest.fixture
def grouping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a group change what is in it, and then itself."""
    plain = SimulatedBackend.apply

    async def apply(self: Recording, device: Device, change: State) -> None:
        self.applied.append((device.id, change))
        for id_ in (*device.group, device.id):
            part = self._devices[id_]
            await plain(self, part, part.settable(change))

    monkeypatch.setattr(Recording, "apply", apply)


_OTHERS = "'control:light.both', 'control:light.desk'"


@pytest.mark.parametrize(
    ("grants", "status"),
    [
        ('["control"]', 0),
        ('["control:light.*"]', 0),
        ('["control:light.both", "control:light.desk"]', 77),
        ('["control:light.desk", "control:light.hall"]', 64),
        ('["control", { deny = "control:light.hall" }]', 77),
        ('["control", { deny = "read:light.hall" }]', 77),
        ('[{ allow = "control", values = { brightness = "..60" } }]', 0),
        (f"[{{ allow = 'control:light.hall', values = {{ brightness = '..30' }} }}, {_OTHERS}]", 77),
    ],
)  # fmt: skip
async def test_a_group_takes_the_right_to_each_of_it(road: Road, grouping: None, grants: str, status: int) -> None:
    """A group of lamps is dimmed by whoever may dim each of them so, and itself."""
    road.report(group("light.both", "light.desk", "light.hall"))
    road.become("cleaner", f"grants = {grants}")
    outcome = await road.one("cleaner", "dim light.both 40")
    assert outcome.status == status
    assert bool(road.backend.applied) == (status == 0)
    assert (state(road, "light.hall")["brightness"] == 40) == (status == 0)
    # What is offered and explained is decided alike.
    assert ("both" in offered(road, "cleaner", "dim ")) == (status == 0 or "..30" in grants)


async def test_a_group_with_a_door_in_it_takes_access(road: Road) -> None:
    """A group of blinds with the garage among them is opened by whoever may open that."""
    road.report(group("cover.every", "cover.living", "cover.garage"))
    road.become("cleaner", 'grants = ["control"]')
    assert (await road.one("cleaner", "open cover.every")).status == 77
    road.become("cleaner", 'grants = ["control", "access"]')
    assert (await road.one("cleaner", "open cover.every")).status == 0


@pytest.mark.parametrize("members", [("?0x09",), ("light.desk", "?0x09"), ("light.desk", "light.gone")])
async def test_what_touches_the_unknown_takes_access(road: Road, members: tuple[str, ...]) -> None:
    """A scene or a group with something in it that is not known could open a door, and takes `access`."""
    road.report(scene("scene.odd", {id_: {"on": True} for id_ in members}), group("light.odd", *members))
    lines = ("activate odd", "on light.odd")
    road.become("cleaner", 'grants = ["control"]')
    for line in lines:
        assert (await road.one("cleaner", line)).status == 77
        assert "takes" not in await told(road, f"explain {line}", "cleaner")
    assert road.backend.applied == []
    road.become("cleaner", 'grants = ["control", "access"]')
    assert (await road.one("cleaner", "on light.odd")).status == 0


async def test_a_hidden_member_is_still_there(road: Road) -> None:
    """What an owner has hidden takes the right to it in a group too: hiding is no way round what is denied."""
    road.report(group("light.both", "light.desk", "light.hall"))
    await told(road, "device hide light.hall")
    road.become("cleaner", 'grants = ["control"]')
    assert (await road.one("cleaner", "on light.both")).status == 0
    road.become("cleaner", 'grants = ["control", "access", { deny = "control:light.hall" }]')
    assert (await road.one("cleaner", "on light.both")).status == 77


@pytest.mark.parametrize("line", ["on light.ring", "on light.ring --dry-run", "explain on light.ring", "undo"])
async def test_a_group_that_holds_itself_ends(road: Road, line: str) -> None:
    """Groups that hold each other, and themselves, are each judged and told once."""
    road.report(
        group("light.ring", "light.ring", "light.other", "light.desk"), group("light.other", "light.ring", "light.hall")
    )
    road.become("cleaner", 'grants = ["control"]')
    if line == "undo":
        await told(road, "on light.ring", "cleaner")
    assert (await road.one("cleaner", line)).status == 0


async def test_undoing_a_group(road: Road, grouping: None) -> None:
    """What a group changed is brought back in each of it as that was before, whatever the group says of itself."""
    road.report(group("light.both", "light.desk", "light.hall"))
    for line in ("dim desk 70", "on hall", "dim hall 20", "off hall"):
        await told(road, line)
    before = {id_: dict(state(road, id_)) for id_ in ("light.desk", "light.hall")}
    assert await told(road, "dim light.both 40") == "both is at 40 %\n"
    assert [state(road, id_)["brightness"] for id_ in before] == [40, 40]
    answer = await told(road, "undo")
    assert sorted(answer.splitlines()) == ["desk is on, 70 %, 2700 K again", "hall is off again"]
    assert {id_: state(road, id_)["on"] for id_ in before} == {id_: was["on"] for id_, was in before.items()}
    assert state(road, "light.desk") == before["light.desk"]


async def test_a_trial_of_a_group(road: Road) -> None:
    """A trial of a group, or of a scene that sets one, tells what would become of each of it."""
    road.report(group("light.both", "light.desk", "light.hall", "?x"), scene("scene.dim", {"light.both": {"on": True}}))
    for line in ("dim light.both 40", "activate scene.dim"):
        plans = json.loads(await told(road, f"{line} --dry-run --json"))
        assert [plan["id"] for plan in plans] == ["light.desk", "light.hall"]
        assert all(plan["change"]["on"] is True for plan in plans)
    assert road.backend.applied == []


# -- at a glance ------------------------------------------------------------------------------------------------------


async def test_at_a_glance(road: Road) -> None:
    """`show` tells of each room what is worth a word; in JSON it is every device as ever."""
    await road.give("admin", "dim desk 40; unlock front_door; open garage")
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in (await told(road, "show")).splitlines()}
    assert (rows["study"], rows["hall"], rows["kitchen"]) == ("20.0 °C Desk 40 %", "Front door unlocked", "21.5 °C")
    found = json.loads(await told(road, "show --json"))
    shown = [device for device in road.dispatch.house.devices.values() if "activated" not in device.attributes]
    assert found == [device.as_json() for device in shown]
    assert "Garage door opening" in await told(road, "show all")


async def test_what_one_may_see_at_a_glance(road: Road) -> None:
    """Whoever sees a part of the house sees that part at a glance, and a kind of which they see nothing is none."""
    road.become("cleaner", 'grants = ["read:@study"]')
    assert [line.split()[0] for line in (await told(road, "show", "cleaner")).splitlines()] == ["room", "study"]
    assert await told(road, "show locks", "cleaner") == "error: nothing matches 'locks'\n"
    assert "locks" not in offered(road, "cleaner", "show ")
    assert "locks" in offered(road, "admin", "show ")


async def test_all_of_a_kind(road: Road) -> None:
    """`show locks` is all locks, room by room, unless a room is called so; batteries tell how full they are."""
    assert (await told(road, "show locks")).splitlines() == [
        "device        is      id",
        "hall",
        "  Front door  locked  lock.front_door",
        "garage",
        "  Side door   locked  lock.side_door",
    ]
    assert "81 %" in await told(road, "show batteries")
    assert [device["id"] for device in json.loads(await told(road, "list LOCKS --json"))] == [
        "lock.front_door",
        "lock.side_door",
    ]
    road.report(thing("light.bulb", room="locks", on=True))
    assert "light.bulb" in await told(road, "show locks")
    assert (await road.one("admin", "lock locks")).status == 64
