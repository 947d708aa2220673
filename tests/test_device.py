"""What a device takes, shows and echoes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.device import ATTRIBUTES, Attribute, Device, Scalar, State, asked, reached, touched
from sshhome.errors import BadArguments

WARM = msgspec.structs.replace(ATTRIBUTES["color_temperature"], low=2200)
EFFECT = msgspec.structs.replace(ATTRIBUTES["effect"], options=("none", "Color Loop"))
OUTDOOR = msgspec.structs.replace(ATTRIBUTES["target_temperature"], low=-20, high=30)


def device(device_id: str, *attributes: str, device_class: str = "", **state: Scalar) -> Device:
    """Return a device with these attributes."""
    known = {name: ATTRIBUTES[name] for name in attributes}
    return Device(id=device_id, name=device_id, device_class=device_class, attributes=known, state=state)


@pytest.mark.parametrize(
    ("attribute", "text", "value"),
    [
        (ATTRIBUTES["on"], "ON", True),
        (ATTRIBUTES["on"], "no", False),
        (ATTRIBUTES["locked"], "unlocked", False),
        (ATTRIBUTES["locked"], "yes", True),
        (ATTRIBUTES["brightness"], "40%", 40),
        (ATTRIBUTES["brightness"], "40.4", 40),
        (ATTRIBUTES["brightness"], "0", 0),
        (ATTRIBUTES["brightness"], "100", 100),
        (ATTRIBUTES["position"], "open", 100),
        (ATTRIBUTES["position"], "closed", 0),
        (ATTRIBUTES["target_temperature"], "70f", 21.11),
        (ATTRIBUTES["target_temperature"], "21.456", 21.46),
        (WARM, "2200k", 2200),
        (WARM, "400mired", 2500),
        (ATTRIBUTES["mode"], " Heat ", "heat"),
        (OUTDOOR, "-5", -5),
        (ATTRIBUTES["text"], " As it is ", " As it is "),
        (ATTRIBUTES["text"], "", ""),
        (EFFECT, "COLOR LOOP", "Color Loop"),
        (EFFECT, "none", "none"),
        (ATTRIBUTES["value"], "-1.5", -1.5),
    ],
)
def test_values(attribute: Attribute, text: str, value: Scalar) -> None:
    """What a person writes becomes the canonical value, of the attribute's own type."""
    parsed = attribute.parse(text)
    assert parsed == value
    assert type(parsed) is attribute.type


@pytest.mark.parametrize(
    ("attribute", "text", "current", "value"),
    [
        (ATTRIBUTES["brightness"], "+10%", 40, 50),
        (ATTRIBUTES["brightness"], "+10", 95, 100),
        (ATTRIBUTES["brightness"], "-10", 5, 0),
        (ATTRIBUTES["brightness"], "+10", None, 10),
        (ATTRIBUTES["target_temperature"], "+1", 21.5, 22.5),
        (ATTRIBUTES["target_temperature"], "+9f", 20.0, 25.0),
        (ATTRIBUTES["target_temperature"], "-1.5c", 21.0, 19.5),
        (OUTDOOR, "+1", -3.0, -2.0),
        (WARM, "+300k", 2700, 3000),
    ],
)
def test_signed_numbers_are_steps(attribute: Attribute, text: str, current: Scalar, value: Scalar) -> None:
    """A signed number is a step from where the device is now, and stops at the attribute's bounds."""
    assert attribute.parse(text, current) == value


def test_step_in_mired_is_no_leap() -> None:
    """A step in mired, which count the other way round, is converted where the lamp is now, or refused."""
    try:
        value = WARM.parse("+10mired", 2700)
    except BadArguments:
        return
    assert value == pytest.approx(2629, abs=2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("on", ""),
        ("on", "maybe"),
        ("on", "2"),
        ("brightness", "101"),
        ("brightness", "100.4"),
        ("brightness", "on"),
        ("brightness", "40c"),
        ("brightness", "nan"),
        ("position", "ajar"),
        ("target_temperature", "4.9"),
        ("target_temperature", "31"),
        ("target_temperature", "90f"),
        ("color_temperature", "1999"),
        ("mode", "cool"),
        ("armed", ""),
        ("text", "x" * 256),
        ("status", "x"),
        ("activated", "0"),
        ("activated", "now"),
    ],
)
def test_values_that_do_not_fit(name: str, text: str) -> None:
    """A value of another type, in a foreign unit or out of bounds is refused, naming what is taken."""
    with pytest.raises(BadArguments):
        ATTRIBUTES[name].parse(text)


@given(st.sampled_from(sorted(ATTRIBUTES)), st.text() | st.from_regex(r"[+-]?[0-9]{1,9}(\.[0-9]{1,3})?[kfc%]?"))
def test_parsed_values_are_within_bounds(name: str, text: str) -> None:
    """Whatever is written, a value is refused or within the attribute's bounds and of its type."""
    attribute = ATTRIBUTES[name]
    try:
        value = attribute.parse(text, attribute.low)
    except BadArguments:
        return
    if attribute.options:
        assert value in attribute.options
    elif attribute.type is str:
        assert isinstance(value, str)
        assert attribute.low <= len(value) <= attribute.high
    else:
        assert isinstance(value, bool if attribute.type is bool else int | float)
        assert isinstance(value, bool) or attribute.low <= value <= attribute.high


@pytest.mark.parametrize(
    ("device_id", "device_class", "guards"),
    [
        ("lock.x", "", True),
        ("alarm_control_panel.x", "", True),
        ("siren.x", "", True),
        ("valve.x", "water", True),
        ("cover.x", "garage", True),
        ("cover.x", "gate", True),
        ("cover.x", "door", True),
        ("cover.x", "blind", False),
        ("cover.x", "", False),
        ("binary_sensor.x", "door", False),
        ("light.lock", "", False),
        ("climate.x", "", False),
        ("scene.x", "", False),
    ],
)
def test_what_lets_people_in_or_alarms(device_id: str, device_class: str, guards: bool) -> None:  # noqa: FBT001 (a column)
    """Locks, alarms, sirens, valves and covers of garages, gates and doors guard; nothing else does."""
    assert device(device_id, device_class=device_class).guards is guards


@pytest.mark.parametrize(
    ("attributes", "primary"),
    [
        (("temperature", "target_temperature", "mode"), "target_temperature"),
        (("moving", "position"), "position"),
        (("on", "brightness"), "brightness"),
        (("on", "speed"), "speed"),
        (("battery", "locked"), "locked"),
        (("temperature", "battery"), "temperature"),
        ((), None),
    ],
)
def test_primary_attribute(attributes: tuple[str, ...], primary: str | None) -> None:
    """The attribute meant when none is named is the main one that can be set, else the first there is."""
    found = device("x.y", *attributes).primary
    assert (found.name if found else None) == primary


@pytest.mark.parametrize(
    ("now", "change", "echoed"),
    [
        ({"on": True}, {"on": True}, True),
        ({"on": False}, {"on": True}, False),
        ({"on": True, "brightness": 39}, {"on": True, "brightness": 40}, False),
        ({"brightness": 40.4}, {"brightness": 40}, True),
        ({"target_temperature": 21.46}, {"target_temperature": 21.5}, True),
        ({"target_temperature": 21.4}, {"target_temperature": 21.5}, False),
        ({"brightness": None}, {"brightness": 40}, False),
        ({}, {"on": True}, False),
        ({"position": 10, "moving": "opening"}, {"position": 100}, True),
        ({"position": 10, "moving": "closing"}, {"position": 100}, False),
        ({"position": 90, "moving": "closing"}, {"position": 0}, True),
        ({"position": 10, "moving": None}, {"position": 100}, False),
        ({"position": 10, "moving": None}, {"moving": None}, True),
        ({"activated": "b"}, {"activated": "a"}, False),
        ({"locked": None, "moving": "locking"}, {"locked": True}, True),
        ({"locked": True, "moving": "unlocking"}, {"locked": False}, True),
        ({"locked": False, "moving": "unlocking"}, {"locked": True}, False),
        ({"locked": None, "moving": None}, {"locked": True}, False),
        ({"armed": None, "phase": "arming"}, {"armed": "away"}, True),
        ({"armed": None, "phase": "arming"}, {"armed": "disarmed"}, False),
        ({"armed": "away", "phase": "disarming"}, {"armed": "disarmed"}, True),
        ({"armed": None, "phase": "triggered"}, {"armed": "away"}, False),
        ({"text": "Milk"}, {"text": "milk"}, False),
        ({"volume": 30, "playback": "paused"}, {"volume": 30, "playback": "playing"}, False),
    ],
)
def test_echo(now: dict[str, Scalar], change: State, echoed: bool) -> None:  # noqa: FBT001 (a column)
    """A device echoes a change when its own report has it, or shows it on its way there."""
    assert device("x.y", *now).with_state(now).echoes(change) is echoed


def test_json_form() -> None:
    """A device has the one JSON form of the contract."""
    lamp = Device(id="light.desk", name="Desk", room="study", state={"on": True, "brightness": 40})
    expected: dict[str, Any] = {"id": "light.desk", "kind": "light", "name": "Desk", "room": "study", "available": True}
    assert lamp.as_json() == {**expected, "state": {"on": True, "brightness": 40}}
    assert list(lamp.as_json()) == ["id", "kind", "name", "room", "available", "state"]


def test_change_makes_a_new_device() -> None:
    """A change leaves the device as it was and keeps the rest of its state."""
    lamp = device("light.desk", "on", "brightness", on=False, brightness=40)
    lit = lamp.with_state({"on": True})
    assert (lamp.state, lit.state) == ({"on": False, "brightness": 40}, {"on": True, "brightness": 40})
    assert not lamp.with_state({}, available=False).available


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        *(
            ("on", True, "on"),
            ("brightness", 40, "40 %"),
            ("target_temperature", 21.46, "21.5 °C"),
            ("mode", "heat", "heat"),
        ),
        *(("power", None, "unknown"), ("hue", 32, "32 °"), ("energy", 1234567.89, "1234567.9 kWh"), ("text", "a", "a")),
    ],
)
def test_shown_values(name: str, value: Scalar, shown: str) -> None:
    """A value is shown with its unit, and one that is not known says so."""
    assert ATTRIBUTES[name].show(value) == shown


# -- what follows from a change, and what brings it back --------------------------------------------------------------

#: A lamp that is on, shows white and can show a colour; the same one as it is otherwise.
LAMP = device("light.x", "on", "brightness", "color_temperature", "hue", "saturation")
WHITE: State = {"on": True, "brightness": 40, "color_temperature": 2700, "hue": None, "saturation": None}
RED: State = {"on": True, "brightness": 40, "color_temperature": None, "hue": 0, "saturation": 100}
NOT_KNOWN: State = dict.fromkeys(("on", "brightness", "color_temperature", "hue", "saturation"))
FAN = device("fan.x", "on", "speed")


def off(state: State) -> State:
    """Return the state of a lamp that is off and comes back so."""
    return {**state, "on": False}


@pytest.mark.parametrize(
    ("now", "change", "completed"),
    [
        (WHITE, {"on": True}, {"on": True}),
        (WHITE, {"on": False}, {"on": False}),
        (WHITE, {"brightness": 80}, {"brightness": 80}),
        (WHITE, {"brightness": 0}, {"brightness": 0, "on": False}),
        (WHITE, {"hue": 120}, {"hue": 120, "color_temperature": None}),
        (WHITE, {"hue": 0, "saturation": 9}, {"hue": 0, "saturation": 9, "color_temperature": None}),
        (RED, {"color_temperature": 3000}, {"color_temperature": 3000, "hue": None, "saturation": None}),
        (off(WHITE), {"on": True}, {"on": True, "brightness": 40, "color_temperature": 2700}),
        (off(WHITE), {"brightness": 80}, {"on": True, "brightness": 80, "color_temperature": 2700}),
        (off(WHITE), {"brightness": 0}, {"brightness": 0, "on": False}),
        (off(RED), {"on": True}, {"on": True, "brightness": 40, "hue": 0, "saturation": 100}),
        (off(RED), {"brightness": 80}, {"on": True, "brightness": 80, "hue": 0, "saturation": 100}),
        (
            off(RED),
            {"color_temperature": 3000},
            {"on": True, "brightness": 40, "color_temperature": 3000, "hue": None, "saturation": None},
        ),
        # What it comes back with and that is not known may be anything.
        (NOT_KNOWN, {"on": True}, {**NOT_KNOWN, "on": True}),
        (off({**WHITE, "brightness": 0}), {"on": True}, {"on": True, "brightness": None, "color_temperature": 2700}),
        # What is off shows nothing, whatever it comes back with.
        (WHITE, {"on": False, "brightness": 100, "hue": 0}, {"on": False}),
        (WHITE, {"moving": None}, {"moving": None}),
    ],
)
def test_what_follows_from_a_change(now: State, change: State, completed: State) -> None:
    """A change of a lamp is that with what it comes back with; a colour takes the place of a white."""
    assert LAMP.with_state(now).completed(change) == completed


@pytest.mark.parametrize(
    ("now", "change", "before"),
    [
        (WHITE, {"on": True}, {}),
        (WHITE, {"brightness": 40}, {}),
        (WHITE, {"brightness": 80}, {"brightness": 40}),
        (WHITE, {"on": False}, {"on": True, "brightness": 40, "color_temperature": 2700}),
        (WHITE, {"brightness": 0}, {"on": True, "brightness": 40, "color_temperature": 2700}),
        (WHITE, {"hue": 0, "saturation": 100}, {"color_temperature": 2700}),
        (WHITE, {"saturation": 50}, {"color_temperature": 2700}),
        (RED, {"hue": 240}, {"hue": 0, "saturation": 100}),
        (RED, {"on": False}, {"on": True, "brightness": 40, "hue": 0, "saturation": 100}),
        (RED, {"color_temperature": 3000}, {"hue": 0, "saturation": 100}),
        (off(WHITE), {"on": False}, {}),
        (off(WHITE), {"on": True}, {"on": False}),
        (off(WHITE), {"brightness": 80}, {"on": False, "brightness": 40}),
        (off(WHITE), {"brightness": 0}, {"on": False, "brightness": 40}),
        (off(WHITE), {"hue": 0, "saturation": 100}, {"on": False, "color_temperature": 2700}),
        # What is not known cannot be brought back.
        (NOT_KNOWN, {"on": True}, {}),
        ({**NOT_KNOWN, "on": False}, {"brightness": 80}, {"on": False}),
        ({**NOT_KNOWN, "on": True}, {"on": False}, {"on": True}),
        (WHITE, {"moving": None}, {}),
    ],
)
def test_what_brings_a_lamp_back(now: State, change: State, before: State) -> None:
    """What brings a lamp back is what was otherwise; of a colour, and of one that went out, all that it showed."""
    assert LAMP.with_state(now).before(change) == before


@pytest.mark.parametrize(
    ("thing", "now", "change", "before"),
    [
        (FAN, {"on": True, "speed": 30}, {"on": False}, {"on": True, "speed": 30}),
        (FAN, {"on": False, "speed": 0}, {"speed": 30}, {"on": False, "speed": 0}),
        (device("switch.x", "on"), {"on": False}, {"on": True}, {"on": False}),
        (
            device("cover.x", "position", "moving"),
            {"position": 60, "moving": "closing"},
            {"position": 0},
            {"position": 60},
        ),
        (device("cover.x", "position", "moving"), {"position": 60, "moving": "closing"}, {"moving": None}, {}),
        (device("climate.x", "mode", "target_temperature"), {"mode": "heat"}, {"mode": "off"}, {"mode": "heat"}),
        (device("lock.x", "locked", "battery"), {"locked": True, "battery": 9}, {"locked": False}, {"locked": True}),
        (device("scene.x", "activated"), {"activated": "yesterday"}, {"activated": "today"}, {}),
        (device("sensor.x", "temperature"), {"temperature": 20}, {"temperature": 21}, {}),
    ],
)
def test_what_brings_anything_back(thing: Device, now: State, change: State, before: State) -> None:
    """Only what an order may set is brought back, and that a scene was activated is nothing to bring back."""
    assert thing.with_state(now).before(change) == before


def test_what_may_be_set() -> None:
    """Of a state that is to be set, what a device cannot set is left out."""
    assert FAN.settable({"on": True, "speed": 30, "hue": 10, "battery": 9}) == {"on": True, "speed": 30}


# -- what touches other things ----------------------------------------------------------------------------------------


def holder(device_id: str, *group: str, **members: State) -> Device:
    """Return a group, or a scene, of what is named; `light__a` is light.a."""
    plain = device(device_id, "on", "brightness")
    named = {member.replace("__", "."): state for member, state in members.items()}
    return msgspec.structs.replace(plain, group=group, members=named)


def lights(*devices: Device) -> dict[str, Device]:
    """Return a house of two lamps and a switch, and of some more."""
    plain = (device("light.a", "on", "brightness"), device("light.b", "on", "brightness"), device("switch.c", "on"))
    return {one.id: one for one in (*plain, *devices)}


DIMMED: State = {"on": True, "brightness": 40}


@pytest.mark.parametrize(
    ("thing", "others", "change", "found"),
    [
        (device("light.a", "on"), [], {"on": True}, {"light.a": {"on": True}}),
        (holder("light.g", "light.a", "switch.c"), [], DIMMED,
         {"light.g": DIMMED, "light.a": DIMMED, "switch.c": {"on": True}}),
        # What a change makes of a member that can take nothing of it, nobody knows.
        (holder("light.g", "switch.c"), [], {"brightness": 4},
         {"light.g": {"brightness": 4}, "switch.c": {"on": None}}),
        (holder("light.g", "?x"), [], DIMMED, {"light.g": DIMMED, "?x": None}),
        (holder("light.g", "light.g", "light.a"), [], DIMMED, {"light.g": DIMMED, "light.a": DIMMED}),
        (holder("light.g", "light.h"), [holder("light.h", "light.g", "light.a")], DIMMED,
         {"light.g": DIMMED, "light.h": DIMMED, "light.a": DIMMED}),
        (holder("scene.s", light__a={"on": False}, light__b={}), [], {"activated": "now"},
         {"scene.s": {"activated": "now"}, "light.a": {"on": False}, "light.b": {"on": None, "brightness": None}}),
        (holder("scene.s", light__g={"on": False}), [holder("light.g", "light.a")], {"activated": "now"},
         {"scene.s": {"activated": "now"}, "light.g": {"on": False}, "light.a": {"on": False}}),
        # What a member cannot do is not done to it.
        (holder("scene.s", switch__c={"on": True, "brightness": 4}), [], {"activated": "now"},
         {"scene.s": {"activated": "now"}, "switch.c": {"on": True}}),
        (holder("light.g", "light.a"), [], None, {"light.g": None, "light.a": None}),
    ],
    ids=[
        *("lamp", "group", "other", "unknown", "itself", "circle", "scene", "scene of a group", "cannot", "no change"),
    ],
)  # fmt: skip
def test_what_a_change_touches(
    thing: Device, others: list[Device], change: State | None, found: dict[str, State | None]
) -> None:
    """A change touches the device itself first, then all that is in it, each once, with what becomes of it."""
    house = lights(thing, *others)
    told = touched(thing, change, house.get)
    assert told == found
    assert next(iter(told)) == thing.id


def test_on_what_a_change_ends() -> None:
    """A change of a scene or a group ends on what holds nothing itself; one of what is all unknown on itself."""
    group = holder("light.g", "light.a", "light.b", "light.g", "?x")
    scene = holder("scene.s", light__g={"on": False}, switch__c={"on": True})
    house = lights(group, scene)
    assert reached(group, DIMMED, house.get) == {"light.a": DIMMED, "light.b": DIMMED}
    assert reached(scene, {"activated": "now"}, house.get) == {
        "light.a": {"on": False},
        "light.b": {"on": False},
        "switch.c": {"on": True},
    }
    lost = holder("light.g", "?x")
    assert reached(lost, DIMMED, lights(lost).get) == {"light.g": DIMMED}
    assert reached(house["light.a"], DIMMED, house.get) == {"light.a": DIMMED}


def test_deep_groups_are_walked_once() -> None:
    """A hundred groups that all hold each other are each looked at once."""
    names = [f"light.g{n}" for n in range(100)]
    house = lights(*(holder(name, *names, "light.a") for name in names))
    looked: list[str] = []

    def find(id_: str) -> Device | None:
        looked.append(id_)
        return house.get(id_)

    assert set(touched(house["light.g0"], DIMMED, find)) == {*names, "light.a"}
    assert len(looked) == len(names)


def test_what_a_change_asks_for() -> None:
    """None leaves a value alone, and stops what moves."""
    assert asked({"on": True, "brightness": None, "moving": None}) == {"on": True, "moving": None}
