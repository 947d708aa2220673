"""What a condition asks, of values as they are understood, of the house as it is, and of what cannot be known."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.backends.simulated import family_house
from sshhome.condition import Colors, Facts, HouseState, Values, parse_house, parse_networks, parse_values
from sshhome.device import ATTRIBUTES, Device, Scalar, State
from sshhome.errors import BadArguments
from sshhome.param import NewState, Scope, type_of
from sshhome.target import Index
from tests.conftest import NOON
from tests.test_when import BERLIN

HOUSE = {device.id: device for device in family_house()}
#: What an order sets on a device, by what is typed.
SET: Any = type_of(NewState)


def device_of(device_id: str, **state: Scalar) -> Device:
    """Return a device with some of its state changed."""
    return HOUSE[device_id].with_state(state)


def typed(device: Device, text: str, attribute: str = "") -> State:
    """Return the change that `set DEVICE.ATTRIBUTE TEXT` makes."""
    change: State = SET.parse(text, Scope(Index(HOUSE, HOUSE), device=device, attribute=attribute))
    return change


# -- values: what is written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"brightness": "..60"}, "brightness ..60 %"),
        ({"brightness": "..60%"}, "brightness ..60%"),
        ({"brightness": 60}, "brightness 60 %"),
        ({"brightness": ["..10", "50..60"]}, "brightness ..10 or 50..60 %"),
        ({"temperature": "16..23"}, "target temperature 16..23 °C"),
        ({"target_temperature": "60f..73f"}, "target temperature 60f..73f"),
        ({"temperature": 21.5}, "target temperature 21.5 °C"),
        ({"color": ["red", "Warm White", "#00ff00", "2700k"]}, "color red or Warm White or #00ff00 or 2700k"),
        ({"on": False}, "on off"),
        ({"locked": "locked"}, "locked locked"),
        ({"mode": ["heat", "off"]}, "mode heat or off"),
        ({"armed": "home", "brightness": "5.."}, "armed home, brightness 5.. %"),
        ({"color": "red", "brightness": "5.."}, "brightness 5.. %, color red"),
        ({"position": "0..50", "speed": "..50", "hue": "100..200"}, "hue 100..200 °, position 0..50 %, speed ..50 %"),
    ],
)
def test_values_are_told_as_they_are_written(written: Mapping[str, object], told: str) -> None:
    """What may be set is told in the owner's own words, with its unit, in one order."""
    assert str(parse_values(written)) == told
    assert parse_values(dict(reversed(list(written.items())))) == parse_values(written)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("..60", "values is a table such as"),
        ({}, "values is a table such as"),
        ([], "values is a table such as"),
        ({"brightness": ""}, "values.brightness: '' bounds nothing"),
        ({"brightness": ".."}, "values.brightness: '..' bounds nothing"),
        ({"brightness": " .. "}, "bounds nothing"),
        ({"brightness": "60..40"}, "values.brightness: '60..40' is empty"),
        ({"brightness": "..-1"}, "values.brightness: '..-1' is empty"),
        ({"brightness": "16...23"}, "'.23' is not a number"),
        ({"brightness": "1..2..3"}, "'2..3' is not a number"),
        ({"brightness": "40-60"}, "'40-60' is not a number"),
        ({"brightness": "<60"}, "'<60' is not a number"),
        ({"brightness": "bright"}, "'bright' is not a number"),
        ({"brightness": "..60k"}, "'k' is not a unit for %"),
        ({"brightness": "+10%"}, "values.brightness: '+10%' is no limit, which is a number, in % or none"),
        ({"brightness": True}, "'true' is not a number"),
        ({"brightness": float("nan")}, "'nan' is not a number"),
        ({"brightness": float("inf")}, "'inf' is not a number"),
        ({"brightness": 10**30}, "is not a number"),
        ({"brightness": []}, 'values.brightness is a range such as "16..23", or a list'),
        ({"brightness": [[1]]}, 'values.brightness is a range such as "16..23", or a list'),
        ({"brightness": {"low": 1}}, 'values.brightness is a range such as "16..23", or a list'),
        ({"color_temperature": "..400mired"}, "'400mired' is no limit, which is a number, in K or none"),
        ({"temperature": "16..23", "target_temperature": 20}, "temperature and target_temperature are the same"),
        ({"brigthness": "..60"}, "values: 'brigthness' is nothing an order sets"),
        ({"humidity": "..60"}, "values: 'humidity' is nothing an order sets"),
        ({"moving": "opening"}, "values: 'moving' is nothing an order sets"),
        ({"activated": "x"}, "values: 'activated' is nothing an order sets"),
        ({"": "..60"}, "values: '' is nothing an order sets"),
        ({"on": "maybe"}, "on must be on or off"),
        ({"on": ""}, "on must be on or off"),
        ({"mode": ""}, "values.mode: '' is no such word as off, heat, auto"),
        ({"mode": ["heat", "full speed"]}, "values.mode: 'full speed' is no such word as off, heat, auto"),
        ({"color": "rot"}, "'rot' is not a colour"),
        ({"color": []}, "values.color is a range"),
        ({"color": ["red", ""]}, "'' is not a colour"),
        ({"color": "red, blue"}, "'red, blue' is not a colour"),
    ],
)
def test_values_that_are_not_understood(written: object, message: str) -> None:
    """Values that mean nothing, or nothing certain, are refused by one line that names the word at fault."""
    with pytest.raises(BadArguments) as caught:
        parse_values(written)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


# -- values: what is taken --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["21.5", "70.7f", "70.7 °F", "21.5c", "21.5 °C", "+0.5", "-1.5", "+0.9f"])
def test_one_value_has_one_decision_however_it_is_written(text: str) -> None:
    """The value that the device would get decides: `21.5`, `70.7f` and a step that leads there are the same."""
    device = device_of("climate.living", target_temperature=23 if text[0] == "-" else 21)
    change = typed(device, text)
    assert change == {"target_temperature": 21.5}
    assert parse_values({"temperature": "16..21.5"}).unmet(device, change) == []
    assert parse_values({"temperature": "16..21.4"}).unmet(device, change) == ["target temperature only 16..21.4 °C"]
    assert parse_values({"temperature": "70f..70.7f"}).met(device, change)
    assert not parse_values({"temperature": "70.8f.."}).met(device, change)


@pytest.mark.parametrize("degrees", range(41, 87))
def test_a_limit_in_another_unit_is_reached(degrees: int) -> None:
    """A limit is rounded as what is given is: `73f` is in `..73f` and in `73f..`."""
    device = HOUSE["climate.living"]
    change = typed(device, f"{degrees}f")
    for written in (f"..{degrees}f", f"{degrees}f..", f"{degrees}f"):
        assert parse_values({"temperature": written}).unmet(device, change) == []


LAMP = {"on": True, "brightness": 50, "hue": None, "saturation": None, "color_temperature": 2700}
OFF = {**LAMP, "on": False}
RED = {**LAMP, "hue": 0, "saturation": 100, "color_temperature": None}
UNKNOWN: dict[str, Scalar] = dict.fromkeys(LAMP)


@pytest.mark.parametrize(
    ("device", "change", "values", "takes"),
    [
        # a level, given or come back with
        (device_of("light.desk", **LAMP), {"brightness": 60}, {"brightness": "..60"}, True),
        (device_of("light.desk", **LAMP), {"brightness": 61}, {"brightness": "..60"}, False),
        (device_of("light.desk", **LAMP), {"brightness": 0}, {"brightness": "..60"}, True),
        (device_of("light.desk", **LAMP), {"brightness": 0}, {"brightness": "10..60"}, False),
        (device_of("light.desk", **LAMP), {"brightness": 30}, {"brightness": ["..10", "50..60"]}, False),
        (device_of("light.desk", **LAMP), {"brightness": 55}, {"brightness": ["..10", "50..60"]}, True),
        (device_of("light.desk", **LAMP), {"on": True}, {"brightness": "..20"}, True),
        (device_of("light.desk", **LAMP), {"on": False}, {"brightness": "..20"}, True),
        (device_of("light.desk", **OFF), {"on": True}, {"brightness": "..50"}, True),
        (device_of("light.desk", **OFF), {"on": True}, {"brightness": "..49"}, False),
        (device_of("light.desk", **OFF), {"color_temperature": 3000}, {"brightness": "..49"}, False),
        (device_of("light.desk", **OFF), {"hue": 5, "saturation": 5}, {"brightness": "..49"}, False),
        (device_of("light.desk", **{**OFF, "brightness": None}), {"on": True}, {"brightness": "..99"}, False),
        (device_of("light.desk", **{**OFF, "brightness": 0}), {"on": True}, {"brightness": "..99"}, False),
        (device_of("light.desk", **UNKNOWN), {"on": True}, {"brightness": "..100"}, False),
        (device_of("light.desk", **UNKNOWN), {"brightness": 40}, {"brightness": "..60"}, True),
        (device_of("light.desk", **UNKNOWN), {"on": False}, {"brightness": "..60"}, True),
        (device_of("light.garage", on=False), {"on": True}, {"brightness": "..60"}, True),
        (device_of("fan.bedroom", on=False, speed=0), {"on": True}, {"speed": "..50"}, False),
        (device_of("fan.bedroom", on=False, speed=40), {"on": True}, {"speed": "..50"}, True),
        (device_of("fan.bedroom", on=False, speed=0), {"speed": 50}, {"speed": "..50"}, True),
        (device_of("fan.bedroom", on=True, speed=0), {"speed": 51}, {"speed": "..50"}, False),
        # whether it is on at all
        (device_of("light.desk", **LAMP), {"on": False}, {"on": False}, True),
        (device_of("light.desk", **OFF), {"on": True}, {"on": False}, False),
        (device_of("light.desk", **OFF), {"brightness": 40}, {"on": False}, False),
        (device_of("light.desk", **OFF), {"hue": 5}, {"on": False}, False),
        (device_of("light.desk", **LAMP), {"brightness": 0}, {"on": False}, True),
        # a colour or a white
        (device_of("light.desk", **LAMP), {"hue": 0, "saturation": 100}, {"color": ["red", "blue"]}, True),
        (device_of("light.desk", **LAMP), {"hue": 120, "saturation": 100}, {"color": ["red", "blue"]}, False),
        (device_of("light.desk", **LAMP), {"hue": 360, "saturation": 100}, {"color": "red"}, True),
        (device_of("light.desk", **LAMP), {"hue": 0, "saturation": 100}, {"color": "#ff0001"}, True),
        (device_of("light.desk", **LAMP), {"hue": 0, "saturation": 99}, {"color": "red"}, False),
        (device_of("light.desk", **LAMP), {"color_temperature": 2700}, {"color": "warm white"}, True),
        (device_of("light.desk", **LAMP), {"color_temperature": 2700}, {"color": "2700k"}, True),
        (device_of("light.desk", **LAMP), {"color_temperature": 2701}, {"color": "warm white"}, False),
        (device_of("light.desk", **LAMP), {"color_temperature": 2700}, {"color": "red"}, False),
        (device_of("light.desk", **LAMP), {"brightness": 10}, {"color": "red"}, True),
        (device_of("light.desk", **LAMP), {"hue": 0}, {"color": "red"}, False),
        (device_of("light.desk", **RED), {"hue": 240}, {"color": "blue"}, True),
        (device_of("light.desk", **RED), {"saturation": 50}, {"color": "red"}, False),
        (device_of("light.desk", **{**RED, "on": False}), {"on": True}, {"color": "red"}, True),
        (device_of("light.desk", **{**RED, "on": False}), {"on": True}, {"color": "blue"}, False),
        (device_of("light.desk", **{**RED, "on": False}), {"brightness": 5}, {"color": "blue"}, False),
        (device_of("light.desk", **UNKNOWN), {"on": True}, {"color": "red"}, False),
        (device_of("light.desk", **UNKNOWN), {"hue": 0, "saturation": 100}, {"color": "red"}, True),
        (
            device_of("light.kitchen", on=False, color_temperature=None),
            {"on": True},
            {"color": "2700k"},
            False,
        ),
        (device_of("light.hall", on=False, brightness=5), {"on": True}, {"color": "red"}, True),
        (device_of("light.desk", **LAMP), {"color_temperature": 2700}, {"hue": "100..200"}, False),
        (device_of("light.desk", **LAMP), {"hue": 150}, {"color_temperature": "2700.."}, False),
        # whatever else there is
        (HOUSE["cover.living"], {"position": 50}, {"position": "..50"}, True),
        (HOUSE["cover.living"], {"position": 51}, {"position": "..50"}, False),
        (HOUSE["cover.living"], {"moving": None}, {"position": "..50"}, True),
        (HOUSE["climate.living"], {"mode": "off"}, {"mode": ["heat", "auto"]}, False),
        (HOUSE["climate.living"], {"mode": "heat"}, {"mode": ["heat", "auto"]}, True),
        (HOUSE["climate.living"], {"mode": "off"}, {"temperature": "16..23"}, True),
        (HOUSE["lock.front_door"], {"locked": True}, {"locked": "locked"}, True),
        (HOUSE["lock.front_door"], {"locked": False}, {"locked": True}, False),
        (HOUSE["alarm_control_panel.house"], {"armed": "home"}, {"armed": "home"}, True),
        (HOUSE["alarm_control_panel.house"], {"armed": "disarmed"}, {"armed": "home"}, False),
    ],
)
def test_what_values_take(device: Device, change: State, values: Mapping[str, object], takes: bool) -> None:  # noqa: FBT001 (a column)
    """A change is taken if what the device would become is certainly allowed, whatever brought that about."""
    assert (parse_values(values).unmet(device, change) == []) is takes


@pytest.mark.parametrize(
    ("device", "change", "values", "met"),
    [
        (device_of("light.desk", **LAMP), {"brightness": 61}, {"brightness": "61.."}, True),
        (device_of("light.desk", **LAMP), {"brightness": 60}, {"brightness": "61.."}, False),
        (device_of("light.desk", **LAMP), {"on": False}, {"brightness": "1.."}, False),
        (device_of("light.desk", **OFF), {"on": True}, {"brightness": "50.."}, True),
        (device_of("light.desk", **OFF), {"on": True}, {"brightness": "51.."}, False),
        (device_of("light.desk", **UNKNOWN), {"on": True}, {"brightness": "99.."}, True),
        (device_of("light.desk", **UNKNOWN), {"on": True}, {"brightness": "..1"}, True),
        (device_of("light.desk", **{**OFF, "brightness": 0}), {"on": True}, {"brightness": "..1"}, True),
        (device_of("light.desk", **LAMP), {"hue": 0, "saturation": 100}, {"color": "red"}, True),
        (device_of("light.desk", **LAMP), {"hue": 360, "saturation": 100}, {"color": "red"}, True),
        (device_of("light.desk", **LAMP), {"hue": 240, "saturation": 100}, {"color": "red"}, False),
        (device_of("light.desk", **LAMP), {"color_temperature": 2700}, {"color": ["red", "2700k"]}, True),
        (device_of("light.desk", **LAMP), {"color_temperature": 2700}, {"color": "red"}, False),
        (device_of("light.desk", **LAMP), {"hue": 0}, {"color": "red"}, True),
        (device_of("light.desk", **LAMP), {"hue": 5}, {"color": "red"}, False),
        (device_of("light.desk", **LAMP), {"saturation": 100}, {"color": "red"}, True),
        (device_of("light.desk", **{**RED, "on": False}), {"on": True}, {"color": "red"}, True),
        (device_of("light.desk", **{**RED, "on": False}), {"brightness": 5}, {"color": "red"}, True),
        (device_of("light.desk", **UNKNOWN), {"on": True}, {"color": "red"}, True),
        (device_of("light.desk", **UNKNOWN), {"on": True}, {"color": "2700k"}, True),
        (device_of("light.desk", **UNKNOWN), {"on": True}, {"hue": "100..200"}, True),
        (device_of("light.desk", **UNKNOWN), {"on": False}, {"color": "red", "brightness": "1.."}, False),
        (device_of("light.desk", **LAMP), {"color_temperature": 2700}, {"hue": "100..200"}, False),
        (device_of("light.kitchen", on=False, color_temperature=None), {"on": True}, {"color": "red"}, False),
        (device_of("light.desk", **LAMP), {"brightness": 5}, {"brightness": "61..", "color": "red"}, False),
        (device_of("light.desk", **LAMP), {"brightness": 65}, {"brightness": "61..", "color": "red"}, True),
        (HOUSE["climate.living"], {"mode": "off"}, {"mode": "off"}, True),
        (HOUSE["cover.living"], {"moving": None}, {"position": "0.."}, False),
    ],
)
def test_what_a_deny_with_values_is_about(
    device: Device, change: State, values: Mapping[str, object], *, met: bool
) -> None:
    """A deny is about a change that may set any of its values; what is not known may be any of them."""
    assert parse_values(values).met(device, change) is met


def test_every_bound_that_is_broken_is_told() -> None:
    """All that a change breaks is told at once, so that nobody has to find out one after another."""
    values = parse_values({"brightness": "..40", "color": ["blue", "green"]})
    assert values.unmet(device_of("light.desk", **{**RED, "on": False}), {"on": True}) == [
        "brightness only ..40 %",
        "color only blue or green",
    ]


@pytest.mark.parametrize("name", ["red", "#ff0000", "#FF0000", "RED"])
def test_one_colour_has_one_decision_however_it_is_written(name: str) -> None:
    """A colour is the same by its name and by its hexadecimal digits, in a grant as in an order."""
    colors = parse_values({"color": name}).colors
    assert colors == Colors(((("hue", 0), ("saturation", 100)),), name)
    assert colors.takes({"hue": 0, "saturation": 100})


@given(st.sampled_from(sorted(HOUSE)), st.data())
def test_what_is_certainly_taken_is_certainly_met(device_id: str, data: st.DataObject) -> None:
    """Whatever the state, and however much of it is unknown: what an allow takes, a deny of the same is about."""
    device = HOUSE[device_id]
    names = [attribute.name for attribute in device.attributes.values() if attribute.settable]
    unknown = data.draw(st.sets(st.sampled_from(sorted(device.attributes))))
    device = device.with_state(dict.fromkeys(unknown))
    change = data.draw(changes(device))
    values = data.draw(bounds(names))
    taken, after = values.unmet(device, change) == [], device.completed(change)
    touched = any(bound.attribute in after for bound in values.bounds)
    if taken and touched:
        assert values.met(device, change)
    # What is known in full is either taken or not, and a deny of one bound is the opposite of an allow.
    if len(values.bounds) == 1 and touched and not values.met(device, change):
        assert not taken


def changes(device: Device) -> st.SearchStrategy[dict[str, Any]]:
    """Return what an order could set on a device."""
    made = {
        bool: st.booleans(),
        int: st.integers(0, 100),
        float: st.floats(5, 30).map(lambda value: round(value, 2)),
    }
    choices = {
        attribute.name: st.sampled_from(attribute.options) if attribute.options else made[attribute.type]
        for attribute in device.attributes.values()
        if attribute.settable and (attribute.type in made or attribute.options)
    }
    return st.fixed_dictionaries({}, optional=choices)


def bounds(names: list[str]) -> st.SearchStrategy[Values]:
    """Return values that may be set, of some attributes."""
    numbers = [name for name in names if ATTRIBUTES[name].type in {int, float}]
    if not numbers:
        return st.just(Values())
    limits = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda ends: f"{min(ends)}..{max(ends) + 1}")
    return st.dictionaries(st.sampled_from(numbers), limits, min_size=1, max_size=2).map(parse_values)


# -- the house --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "states"),
    [
        (
            "alarm_control_panel.house = disarmed",
            [HouseState("alarm_control_panel.house", "", "=", "disarmed")],
        ),
        ("climate.living.temperature<25", [HouseState("climate.living", "temperature", "<", "25")]),
        (
            ["lock.front_door = locked", " cover.garage  !=  closed "],
            [HouseState("lock.front_door", "", "=", "locked"), HouseState("cover.garage", "", "!=", "closed")],
        ),
    ],
)
def test_the_house_as_it_is_written(written: object, states: list[HouseState]) -> None:
    """A condition on the house is a device, maybe one of its attributes, a comparison, and what it is compared with."""
    assert list(parse_house(written)) == states
    assert parse_house([str(state) for state in states]) == tuple(states)


@pytest.mark.parametrize(
    "written",
    [
        *("", [], 5, {"lock.front_door": "locked"}, ["lock.front_door = locked", ""], [5], "locked", "lock = locked"),
        *("lock.front_door", "lock.front_door =", "lock.front_door locked", "= locked", "Lock.front_door = locked"),
        *("lock.front_door == locked", "lock.front_door = locked = locked", "lock.front_door => locked"),
        *("lock.front_door =! locked", "lock.* = locked", "@hall = locked", "light.desk.bright > 5", "light.a.b.c = 5"),
        *("climate.living.temperature < warm", "climate.living.temperature < 21w", "light.desk.on = maybe"),
        *("light.desk.on < on", "lock.front_door.locked >= locked", "alarm_control_panel.house.armed < home"),
        *("scene.evening.activated = now", "light.desk.brightness > 101"),
    ],
)
def test_a_house_that_is_not_understood(written: object) -> None:
    """A condition on the house that can hold of no device, or may mean anything, is refused."""
    with pytest.raises(BadArguments) as caught:
        parse_house(written)
    assert "\n" not in caught.value.message


AWAY = msgspec.structs.replace(HOUSE["alarm_control_panel.house"], available=False)


@pytest.mark.parametrize(
    ("written", "holds"),
    [
        ("alarm_control_panel.house = disarmed", True),
        ("alarm_control_panel.house = DISARMED", True),
        ("alarm_control_panel.house.armed = disarmed", True),
        ("alarm_control_panel.house != disarmed", False),
        ("alarm_control_panel.house = away", False),
        ("alarm_control_panel.house = asleep", None),
        ("alarm_control_panel.house < home", None),
        ("lock.front_door = locked", True),
        ("lock.front_door = unlocked", False),
        ("lock.front_door != unlocked", True),
        ("lock.front_door < locked", None),
        ("lock.front_door.battery > 80", True),
        ("cover.garage = closed", True),
        ("cover.garage != open", True),
        ("cover.living >= 50%", True),
        ("climate.living = 21", True),
        ("climate.living.temperature < 70f", True),
        ("climate.living.temperature <= 21", True),
        ("climate.living.temperature > 21", False),
        ("climate.living.humidity > 21", None),
        ("sensor.outdoor_temperature > -5", True),
        ("sensor.kitchen_humidity >= 46%", True),
        ("binary_sensor.front_door = closed", True),
        ("binary_sensor.front_door = open", False),
        ("binary_sensor.hall_motion.motion = off", True),
        ("light.desk = 100", True),
        ("light.desk = off", True),
        ("light.desk != on", True),
        ("light.desk < on", None),
        ("climate.living = heat", True),
        ("climate.living = off", False),
        ("climate.living != off", True),
        ("light.desk.on = off", True),
        ("light.desk.hue < 10", None),
        ("light.nosuch = on", None),
    ],
)
def test_whether_the_house_is_so(written: str, holds: bool | None) -> None:  # noqa: FBT001 (a column)
    """A state holds, or not, or it cannot be known: no such device, no such attribute, no value, no such word."""
    (state,) = parse_house(written)
    assert state.holds(HOUSE) is holds


def test_what_is_away_is_not_known() -> None:
    """Nothing is known of a device that is unavailable, whatever it last was."""
    for comparison in ("=", "!="):
        (state,) = parse_house(f"{AWAY.id} {comparison} disarmed")
        assert state.holds({AWAY.id: AWAY}) is None


# -- where from -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    ["", [], 5, "home", "192.168.0.0/33", "192.168.0.1/16", ["10.0.0.0/8", "x"], {"a": 1}, "10.0.0.0/8,10.1.0.0/16"],
)
def test_networks_that_are_not_understood(written: object) -> None:
    """A network is an address with its length, and no name, as nobody asks the DNS."""
    with pytest.raises(BadArguments, match=r"^from"):
        parse_networks(written)


@pytest.mark.parametrize(
    ("source", "inside"),
    [
        ("192.168.1.2", True),
        ("::ffff:192.168.1.2", True),
        ("192.169.1.2", False),
        ("2001:db8::5", True),
        ("2001:db8::5%eth0", True),
        ("2001:db9::5", False),
        ("", None),
    ],
)
def test_where_somebody_comes_from(source: str, inside: bool | None) -> None:  # noqa: FBT001 (a column)
    """Somebody comes from a network or not, IPv4 in whatever form; or nobody knows where they are."""
    facts = Facts(NOON, BERLIN, source)
    assert facts.comes_from(parse_networks(["192.168.0.0/16", "2001:db8::/32"])) is inside
