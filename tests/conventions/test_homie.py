"""Homie 5: what devices describe becomes devices of the house, and orders become values to set."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.convention import NOTHING, Message
from sshhome.conventions.homie import Homie
from sshhome.device import ATTRIBUTES, State
from sshhome.errors import Refused
from tests.conventions.listener import Listener, known_of

SAMPLES = {
    sample["id"]: sample
    for line in (Path(__file__).parent.parent / "samples" / "devices.jsonl").read_text().splitlines()
    if (sample := json.loads(line))["convention"] == "homie5"
}


class House(Listener):
    """The devices that a Homie parser has told of."""

    def __init__(self, **options: object) -> None:
        """Start with none."""
        super().__init__(Homie(options))

    def say(self, identity: str, change: State) -> list[tuple[str, str]]:
        """Return what is set for a change, without what all topics begin with."""
        said = self.convention.say(self.devices[identity], change)
        assert all(message.topic.startswith("homie/5/") and message.topic.endswith("/set") for message in said)
        return [(message.topic[len("homie/5/") : -len("/set")], message.payload.decode()) for message in said]

    def state(self, identity: str) -> dict[str, object]:
        """Return what is known of a device's state."""
        return known_of(self.devices[identity])

    @property
    def ids(self) -> dict[str, str]:
        """What each identity is called."""
        return {identity: device.id for identity, device in self.devices.items()}


def described(nodes: Mapping[str, object], **more: object) -> dict[str, Any]:
    """Return a description; nodes are given by their properties."""
    told = {node: {"properties": properties} for node, properties in nodes.items()}
    return {"homie": "5.0", "version": 1, "name": "Box", "nodes": told, **more}


def house(nodes: Mapping[str, object], **more: object) -> House:
    """Return a parser that knows a device which is ready."""
    known = House()
    known.hear("homie/5/box/$state", "ready")
    known.hear("homie/5/box/$description", described(nodes, **more))
    return known


def settable(datatype: str, format_: str = "", **more: object) -> dict[str, object]:
    """Return a property that can be set."""
    return {"datatype": datatype, "settable": True, "format": format_, **more}


POWER = settable("boolean", "off,on")

# -- the samples ------------------------------------------------------------------------------------------------------

#: sample -> its device, and what is known of it in the end
TOLD: Mapping[str, tuple[str, str, dict[str, object]]] = {
    "homie5-lamp": (
        "lamp1/light",
        "light.reading_lamp",
        {"on": True, "brightness": 40, "hue": 0, "saturation": 100, "power": 4.2},
    ),
    "homie5-thermostat": (
        "hvac/zone1",
        "climate.hvac",
        {"target_temperature": 21, "mode": "heat", "temperature": 20.5},
    ),
}
#: words of an order in a sample -> the change
ORDERS: Mapping[str, State] = {
    "light reading-lamp off": {"on": False},
    "light reading-lamp 70%": {"brightness": 70},
    "set hvac 21.5": {"target_temperature": 21.5},
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_told_and_ordered_as_they_say(name: str) -> None:
    """Each sample becomes its device with its state, and its orders become its messages."""
    sample, known = SAMPLES[name], House()
    for topic, payload in [(sample["topic"], sample["payload"]), *sample["state"]]:
        known.hear(topic, payload)
    identity, id_, state = TOLD[name]
    assert (known.ids, known.state(identity)) == ({identity: id_}, state)
    assert known.devices[identity].available
    for words, topic, payload in sample["orders"]:
        said = known.convention.say(known.devices[identity], ORDERS[words])
        assert said == [Message(topic, payload.encode())]


# -- coming and going -------------------------------------------------------------------------------------------------


def test_it_listens_for_descriptions_then_for_values() -> None:
    """The domain is an option; the values of a device are listened to once it has described itself."""
    known = House(homie_domain="attic")
    assert known.convention.topics == ("attic/5/+/$state", "attic/5/+/$description")
    assert known.hear("attic/5/box/$state", "init").listen == []
    assert known.hear("attic/5/box/$description", described({"a": {"power": POWER}})).listen == ["attic/5/box/+/+"]
    assert known.hear("attic/5/box/$description", described({"a": {"power": POWER}})).listen == []
    assert known.convention.say(known.devices["box/a"], {"on": True}) == [Message("attic/5/box/a/power/set", b"true")]
    assert known.hear("homie/5/box/$state", "ready") is NOTHING


@pytest.mark.parametrize(
    ("state", "available"),
    [("init", False), ("ready", True), ("disconnected", False), ("sleeping", True), ("lost", False), ("hm", False)],
)
def test_states(state: str, *, available: bool) -> None:
    """A device is available when it is ready, or asleep; what is known of it stays."""
    known = house({"a": {"power": POWER}})
    known.hear("homie/5/box/a/power", "true")
    known.hear("homie/5/box/$state", state)
    assert known.devices["box/a"].available is available
    assert known.state("box/a") == {"on": True}


def test_an_empty_state_removes() -> None:
    """A device whose state is emptied is gone, nobody listens to it, and it can be told nothing."""
    known = house({"a": {"power": POWER}})
    device = known.devices["box/a"]
    assert known.hear("homie/5/box/$state", b"").gone == ["box/a"]
    assert (known.devices, known.listening) == ({}, set())
    assert known.hear("homie/5/box/a/power", "true") is NOTHING
    assert known.hear("homie/5/box/$state", b"") is NOTHING
    with pytest.raises(Refused, match="Box has not described itself"):
        known.convention.say(device, {"on": True})


def test_an_empty_description_removes() -> None:
    """A device that describes nothing any more is nothing, until it does again."""
    known = house({"a": {"power": POWER}})
    assert known.hear("homie/5/box/$description", b"").gone == ["box/a"]
    assert known.listening == set()
    known.hear("homie/5/box/$description", described({"a": {"power": POWER}}))
    assert known.devices["box/a"].available
    assert known.listening == {"homie/5/box/+/+"}


def test_described_anew_it_is_what_it_says_now() -> None:
    """A new description takes the place of the old; what was heard, even before it was described, is still known."""
    known = house({"a": {"power": POWER}, "b": {"power": POWER}})
    known.hear("homie/5/box/a/power", "true")
    known.hear("homie/5/box/a/level", "40")
    changed = described({"a": {"power": POWER, "level": settable("integer", "0:100", unit="%")}})
    heard = known.hear("homie/5/box/$description", changed)
    assert sorted(heard.gone) == ["box/b"]
    assert known.ids == {"box/a": "light.box"}
    assert known.state("box/a") == {"on": True, "brightness": 40}


def test_children_are_lost_with_their_root() -> None:
    """What a bridge speaks for is unavailable when the bridge is lost, and as it says itself when that is back."""
    known = House()
    known.hear("homie/5/bridge/$state", "ready")
    for child in ("first", "second"):
        known.hear(f"homie/5/{child}/$state", "ready")
        known.hear(f"homie/5/{child}/$description", described({"a": {"power": POWER}}, root="bridge", name=child))
    known.hear("homie/5/second/$state", "disconnected")
    assert {device.name: device.available for device in known.devices.values()} == {"first": True, "second": False}
    known.hear("homie/5/bridge/$state", "lost")
    assert not any(device.available for device in known.devices.values())
    known.hear("homie/5/first/$state", "ready")
    assert not known.devices["first/a"].available
    known.hear("homie/5/bridge/$state", "init")
    assert {device.name: device.available for device in known.devices.values()} == {"first": True, "second": False}


def test_a_value_that_is_taken_away_is_not_known() -> None:
    """An empty message is no value; a text that is empty is one of a single zero byte."""
    known = house({"a": {"note": settable("string")}})
    known.hear("homie/5/box/a/note", "hello")
    known.hear("homie/5/box/a/note", b"")
    assert known.state("box/a") == {}
    known.hear("homie/5/box/a/note", b"\0")
    assert known.state("box/a") == {"text": ""}
    assert known.say("box/a", {"text": ""}) == [("box/a/note", "\0")]


def test_what_is_intended_is_not_how_things_are() -> None:
    """Neither a target, nor an order of somebody's, nor an alert is a value."""
    known = house({"a": {"power": POWER}})
    for below in ("a/power/$target", "a/power/set", "$alert/power", "$log/warn", "a", "a/power/set/x"):
        assert known.hear(f"homie/5/box/{below}", "true") is NOTHING
    assert known.hear("homie/5/$broadcast/a/power", "true") is NOTHING
    assert known.state("box/a") == {}


# -- what nodes are ---------------------------------------------------------------------------------------------------

LEVEL = settable("integer", "0:100", unit="%")


@pytest.mark.parametrize(
    ("node", "properties", "kinds"),
    [
        ("a", {"power": POWER}, {"box/a": ("switch", {"on"})}),
        ("a", {"power": POWER, "watts": {"datatype": "float", "unit": "W"}}, {"box/a": ("switch", {"on", "power"})}),
        ("a", {"power": POWER, "level": LEVEL}, {"box/a": ("light", {"on", "brightness"})}),
        ("a", {"color": settable("color", "hsv")}, {"box/a": ("light", {"brightness", "hue", "saturation"})}),
        ("a", {"power": POWER, "speed": LEVEL}, {"box/a": ("fan", {"on", "speed"})}),
        ("fan", {"power": POWER, "level": LEVEL}, {"box/fan": ("fan", {"on", "speed"})}),
        ("a", {"position": LEVEL}, {"box/a": ("cover", {"position"})}),
        ("shutter", {"level": LEVEL, "slat": LEVEL}, {"box/shutter": ("cover", {"position", "tilt"})}),
        ("a", {"scene": settable("enum", "day,night")}, {"box/a": ("select", {"option"})}),
        ("a", {"delay": settable("integer", "0:60", unit="s")}, {"box/a": ("number", {"value"})}),
        ("a", {"label": settable("string")}, {"box/a": ("text", {"text"})}),
        ("a", {"lock": settable("boolean", "unlocked,locked")}, {"box/a": ("lock", {"locked"})}),
        ("siren", {"power": POWER}, {"box/siren": ("siren", {"on"})}),
        ("garage", {"open": settable("boolean", "closed,open")}, {"box/garage": ("cover", {"position"})}),
        ("water-valve", {"open": settable("boolean")}, {"box/water-valve": ("valve", {"position"})}),
        (
            "a",
            {"left": POWER, "right": POWER, "warmth": {"datatype": "float", "unit": "°C"}},
            {"box/a/left": ("switch", {"on", "temperature"}), "box/a/right": ("switch", {"on"})},
        ),
        ("a", {"contact": {"datatype": "boolean"}}, {"box/a": ("binary_sensor", {"open"})}),
        (
            "a",
            {"motion": {"datatype": "boolean"}, "battery": {"datatype": "integer", "unit": "%"}},
            {"box/a": ("binary_sensor", {"motion", "battery"})},
        ),
        (
            "a",
            {
                "temperature": {"datatype": "float", "unit": "°F"},
                "humidity": {"datatype": "float", "unit": "%"},
                "co2": {"datatype": "integer", "unit": "ppm"},
                "rotation": {"datatype": "integer", "unit": "rpm"},
                "weather": {"datatype": "enum", "format": "dry,wet"},
            },
            {"box/a": ("sensor", {"temperature", "humidity", "carbon_dioxide", "value", "status"})},
        ),
        (
            "a",
            {"inside": {"datatype": "float", "unit": "°C"}, "outside": {"datatype": "float", "unit": "°C"}},
            {"box/a": ("sensor", {"temperature"}), "box/a/outside": ("sensor", {"temperature"})},
        ),
        (
            "a",
            {"bell": {"datatype": "enum", "format": "short,long", "retained": False}},
            {"box/a/bell": ("event", {"event"})},
        ),
        ("a", {"brew": settable("boolean", retained=False)}, {"box/a/brew": ("event", {"event"})}),
        ("a", {"raw": {"datatype": "json"}, "took": {"datatype": "duration"}}, {}),
        ("a", {}, {}),
    ],
)
def test_nodes_are_what_their_properties_are_for(
    node: str, properties: Mapping[str, object], kinds: Mapping[str, tuple[str, set[str]]]
) -> None:
    """What a node is follows from the types, units and names of its properties."""
    found = house({node: properties}).devices.values()
    assert {device.identity: (device.kind, set(device.attributes)) for device in found} == kinds


def test_what_lets_people_in_takes_access() -> None:
    """Locks, sirens, valves and what opens a garage, a gate or a door are known by any name that says so."""
    known = house({
        "a": {"deadbolt": POWER},
        "b": {"alarm": POWER},
        "c": {"valve": LEVEL},
        "garage-door": {"position": LEVEL},
        "relay": {"power": {**POWER, "name": "Gate opener"}},
        "shutter": {"position": LEVEL},
    })  # fmt: skip
    # Beside these there is no way in by a property of another type.
    more = house(
        {"gate": {"order": settable("string"), "step": settable("integer")}, "a": {"lock": settable("enum", "x,y")}}
    )
    assert more.devices == {}
    lamps = house({"garage-light": {"power": POWER, "level": LEVEL}, "door": {"lamp": POWER}})
    assert lamps.ids == {"box/garage-light": "light.box_garage_light", "box/door": "switch.box_door"}
    guards = {identity.removeprefix("box/"): device.guards for identity, device in known.devices.items()}
    assert guards == {"a": True, "b": True, "c": True, "garage-door": True, "relay": True, "shutter": False}
    assert known.devices["box/garage-door"].device_class == "garage"


def test_devices_are_called_after_their_nodes() -> None:
    """A device with one node has one name; with more, each is called after its node, and what is apart too."""
    known = house({"a": {"left": {**POWER, "name": "Left"}, "right": POWER}, "b": {"power": POWER}})
    assert [device.name for device in known.devices.values()] == ["Box a Left", "Box a right", "Box b"]
    known.hear("homie/5/box/$description", described({"a": {"power": POWER}}, name=None))
    assert [device.name for device in known.devices.values()] == ["box"]
    known.hear("homie/5/box/$description", described({"a": {"power": POWER}}, name="\x1b[2J\u202e" + "x" * 500))
    assert known.devices["box/a"].name.startswith("[2Jxxx")


# -- values and orders ------------------------------------------------------------------------------------------------

LAMP = {
    "power": POWER,
    "level": LEVEL,
    "color": settable("color", "hsv,rgb"),
    "white": settable("integer", "153:500", unit="MK⁻¹"),
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"on": True}, [("power", "true")]),
        ({"on": False, "brightness": 30}, [("power", "false")]),
        ({"brightness": 70}, [("level", "70"), ("power", "true")]),
        ({"brightness": 0}, [("level", "0")]),
        ({"hue": 0, "saturation": 100}, [("color", "hsv,0,100,100"), ("power", "true")]),
        ({"color_temperature": 2700, "on": True}, [("white", "370"), ("power", "true")]),
        (
            {"hue": 0, "saturation": 100, "brightness": 5},
            [("level", "5"), ("color", "hsv,0,100,100"), ("power", "true")],
        ),
    ],
)
def test_a_lamp_that_is_off_is_prepared_and_switched_on(change: State, said: list[tuple[str, str]]) -> None:
    """What shall shine is given its level and colour, and then switched on if it is not."""
    known = house({"a": LAMP})
    known.hear("homie/5/box/a/power", "false")
    assert known.say("box/a", change) == [(f"box/a/{name}", text) for name, text in said]
    known.hear("homie/5/box/a/power", "true")
    if "on" not in change:
        assert ("box/a/power", "true") not in known.say("box/a", change)


@pytest.mark.parametrize(
    ("formats", "told", "state", "said"),
    [
        ("rgb", "rgb,0,127.5,0", {"hue": 120, "saturation": 100, "brightness": 50}, "rgb,0,0,128"),
        ("hsv,rgb", "hsv,30,40,50", {"hue": 30, "saturation": 40, "brightness": 50}, "hsv,240,100,50"),
        ("rgb,hsv", "hsv,360,40,50", {"hue": 0, "saturation": 40, "brightness": 50}, "rgb,0,0,128"),
        ("xyz", "xyz,0.1355,0.0399", {"hue": 240, "saturation": 100}, "xyz,0.1355,0.0399"),
        ("cmyk", "rgb,0,0,0", {"brightness": 0}, "rgb,0,0,255"),
    ],
)
def test_colours(formats: str, told: str, state: dict[str, object], said: str) -> None:
    """A colour is told and ordered in the forms that the device has, the first of which it likes best."""
    known = house({"a": {"color": settable("color", formats)}})
    known.hear("homie/5/box/a/color", told)
    assert known.state("box/a") == state
    assert known.say("box/a", {"hue": 240, "saturation": 100}) == [("box/a/color", said)]


def test_a_colour_without_a_level_bears_it() -> None:
    """A lamp that has nothing but a colour is dimmed by that."""
    known = house({"a": {"color": settable("color", "rgb"), "power": POWER}})
    known.hear("homie/5/box/a/color", "rgb,255,0,0")
    known.hear("homie/5/box/a/power", "true")
    assert known.say("box/a", {"brightness": 20}) == [("box/a/color", "rgb,51,0,0")]


@pytest.mark.parametrize(
    "text", ["rgb,1,2", "rgb,1,2,x", "rgb,-1,-2,-3", "hsv,1,2", "xyz,5,5", "1,2,3", "", "rgb,1,2,3,4"]
)
def test_what_is_no_colour_is_not_known(text: str) -> None:
    """A colour that is none leaves the lamp without one."""
    known = house({"a": {"power": POWER, "level": LEVEL, "color": settable("color", "rgb")}})
    known.hear("homie/5/box/a/color", "rgb,9,0,0")
    known.hear("homie/5/box/a/color", text)
    assert known.state("box/a") == {}


def test_what_was_ordered_is_what_was_taken() -> None:
    """A value that comes back as it was sent is what was ordered, however it was rounded on the way."""
    known = house({"a": LAMP})
    known.say("box/a", {"color_temperature": 2700})
    known.hear("homie/5/box/a/white", "370")
    assert known.state("box/a") == {"color_temperature": 2700}
    known.hear("homie/5/box/a/white", "369")
    assert known.state("box/a") == {"color_temperature": 2710}


@pytest.mark.parametrize(
    ("of", "told", "value", "change", "said"),
    [
        (settable("float", "5:35:0.5", unit="°C"), "21", 21, 21.5, "21.5"),
        (settable("float", "41:95", unit="°F"), "70.7", 21.5, 20, "68"),
        (settable("integer", ":", unit="°C"), "21", 21, 22, "22"),
        (settable("float", "", unit="°C"), "1e1", 10, 19.05, "19.05"),
    ],
)
def test_setpoints_are_in_the_units_of_the_device(
    of: Mapping[str, object], told: str, value: float, change: float, said: str
) -> None:
    """A setpoint is told and ordered in the unit of the property."""
    known = house({"a": {"setpoint": of, "temperature": {"datatype": "float", "unit": "°C"}}})
    assert known.ids == {"box/a": "climate.box"}
    known.hear("homie/5/box/a/setpoint", told)
    assert known.state("box/a") == {"target_temperature": value}
    assert known.say("box/a", {"target_temperature": change}) == [("box/a/setpoint", said)]


def test_bounds_are_those_of_the_device() -> None:
    """Numbers have the bounds of their format, in our units, and ours where that has none."""
    known = house({"a": {"setpoint": settable("float", "41:95", unit="°F"), "mode": settable("enum", "off,heat")}})
    target = known.devices["box/a"].attributes["target_temperature"]
    assert (target.low, target.high) == (5, 35)
    assert known.devices["box/a"].attributes["mode"].options == ("off", "heat")
    known = house({"a": {"delay": settable("float", "0.5:60:0.5", unit="sec")}, "b": {"delay": settable("float")}})
    delay = known.devices["box/a"].attributes["value"]
    assert (delay.low, delay.high, delay.unit) == (0.5, 60, "s")
    assert known.devices["box/b"].attributes["value"].high == ATTRIBUTES["value"].high
    known = house({"a": {**LAMP, "white": settable("integer", "0:1000", unit="K")}})
    assert known.devices["box/a"].attributes["color_temperature"].low > 0


@pytest.mark.parametrize(
    ("of", "told", "said"),
    [
        (settable("integer", "0:100", unit="%"), "40", "70"),
        (settable("float", "0:1"), "0.4", "0.7"),
        (settable("integer", "0:255"), "102", "178"),
        (settable("float", unit="%"), "40.4", "70"),
    ],
)
def test_levels_are_shares_of_their_own_range(of: Mapping[str, object], told: str, said: str) -> None:
    """A level without a unit is a share of its range."""
    known = house({"a": {"power": POWER, "brightness": of}})
    known.hear("homie/5/box/a/power", "true")
    known.hear("homie/5/box/a/brightness", told)
    assert known.state("box/a") == {"on": True, "brightness": 40}
    assert known.say("box/a", {"brightness": 70}) == [("box/a/brightness", said)]


def test_covers_move_and_stop() -> None:
    """A cover is told where to go, and to stop if it knows that; it may tell which way it goes."""
    moves = settable("enum", "Up,Down,Stop")
    way = {"datatype": "enum", "format": "opening,closing,still"}
    known = house({"blind": {"position": LEVEL, "move": moves, "way": way}, "shutter": {"position": LEVEL}})
    known.hear("homie/5/box/blind/position", "30")
    known.hear("homie/5/box/blind/way", "opening")
    assert known.state("box/blind") == {"position": 30, "moving": "opening"}
    known.hear("homie/5/box/blind/way", "still")
    known.hear("homie/5/box/blind/move", "Up")
    assert known.state("box/blind") == {"position": 30}
    assert known.say("box/blind", {"position": 100}) == [("box/blind/position", "100")]
    assert known.say("box/blind", {"moving": None}) == [("box/blind/move", "Stop")]
    with pytest.raises(Refused, match="Box shutter cannot do that"):
        known.say("box/shutter", {"moving": None})


@pytest.mark.parametrize(
    ("of", "told", "state", "change", "said"),
    [
        (("lock", "unlocked,locked"), "true", {"locked": True}, {"locked": False}, "false"),
        (("lock", "locked,unlocked"), "true", {"locked": False}, {"locked": True}, "false"),
        (("lock", ""), "false", {"locked": False}, {"locked": True}, "true"),
        (("gate", "closed,open"), "true", {"position": 100}, {"position": 0}, "false"),
        (("gate", "open,closed"), "true", {"position": 0}, {"position": 100}, "false"),
        (("valve", ""), "false", {"position": 0}, {"position": 100}, "true"),
        (("power", "off,on"), "TRUE", {}, {"on": True}, "true"),
        (("lock", "LOCK,UNLOCK"), "UNLOCK", {"locked": False}, {"locked": True}, "LOCK"),
        (("gate", "up,down,stop"), "up", {"position": 100}, {"position": 0}, "down"),
        (("gate", "up,down,stop"), "stop", {}, {"moving": None}, "stop"),
        (("siren", "off,on"), "on", {"on": True}, {"on": False}, "off"),
    ],
)
def test_truths_mean_what_they_are_said_to(
    of: tuple[str, str], told: str, state: dict[str, object], change: State, said: str
) -> None:
    """The words for a truth say which of its two values is which; only `true` and `false` are values."""
    property_, words = of
    datatype = "enum" if said not in {"true", "false"} else "boolean"
    known = house({"a": {property_: settable(datatype, words)}})
    known.hear(f"homie/5/box/a/{property_}", told)
    assert known.state("box/a") == state
    assert known.say("box/a", change) == [(f"box/a/{property_}", said)]


def test_readings() -> None:
    """Readings are in our units, what is not one is not known, and text is harmless."""
    known = house({
        "a": {
            "pressure": {"datatype": "float", "unit": "Pa"},
            "supply": {"datatype": "float", "unit": "kW"},
            "power-factor": {"datatype": "float"},
            "door": {"datatype": "boolean", "format": "open,closed"},
            "battery-low": {"datatype": "boolean"},
            "note": {"datatype": "string"},
        },
    })  # fmt: skip
    values = {"pressure": "101300", "supply": "1.5", "power-factor": "0.98", "door": "true", "battery-low": "true"}
    for name, text in {**values, "note": "\x1b[2Jhi\n"}.items():
        known.hear(f"homie/5/box/a/{name}", text)
    expected = {"pressure": 1013, "power": 1500, "value": 0.98, "open": False, "low_battery": True, "status": "[2Jhi"}
    assert known.state("box/a") == expected
    for silent in ("nan", "1_0", "1e999", "x", "true"):
        known.hear("homie/5/box/a/pressure", silent)
        assert "pressure" not in known.state("box/a")


def test_choices_are_those_there_are() -> None:
    """A choice that there is not is not known; those that cannot be shown are none."""
    known = house({"a": {"scene": settable("enum", "day,night,,night,\x1b[2J")}})
    assert known.devices["box/a"].attributes["option"].options == ("day", "night")
    known.hear("homie/5/box/a/scene", "Night")
    assert known.state("box/a") == {}
    known.hear("homie/5/box/a/scene", "night")
    assert known.state("box/a") == {"option": "night"}
    assert known.say("box/a", {"option": "day"}) == [("box/a/scene", "day")]


def test_events_are_told_each_time() -> None:
    """What happens again is told again."""
    known = house({"a": {"bell": {"datatype": "enum", "format": "short,long", "retained": False}}})
    for _ in range(2):
        assert len(known.hear("homie/5/box/a/bell", "long").changed) == 1
    assert known.state("box/a/bell") == {"event": "long"}


@pytest.mark.parametrize("change", [{"brightness": 4}, {"moving": None}, {"power": 3}, {"on": None}, {}])
def test_orders_that_do_not_fit_are_refused(change: State) -> None:
    """What a device does not have, or cannot be set, is refused before anything is sent."""
    known = house({"a": {"power": POWER, "watts": {"datatype": "float", "unit": "W"}}})
    with pytest.raises(Refused, match="Box cannot do that"):
        known.say("box/a", change)


# -- what nobody should send ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff",
        b"{",
        b"[]",
        b"null",
        b'{"nodes":[]}',
        b'{"nodes":{"a":{"properties":{"p":{"datatype":5}}}}}',
        b"[" * 99_999,
    ],
)
def test_what_is_no_description_is_none(payload: bytes) -> None:
    """A description that is wrong anywhere is not taken, and the one before holds."""
    known = house({"a": {"power": POWER}})
    assert known.hear("homie/5/box/$description", payload) is NOTHING
    assert known.say("box/a", {"on": True})


def test_names_that_are_no_topic_are_left_out() -> None:
    """A node or a property whose name would be more than one level of a topic is not taken, nor is such a device."""
    assert house({"a/b": {"power": POWER}, "#": {"power": POWER}, "a": {"x/set": POWER, "+": POWER}}).devices == {}
    known = House()
    for id_ in ("", "$x", "a b", "x" * 65):
        assert known.hear(f"homie/5/{id_}/$state", "ready") is NOTHING


def test_what_is_too_large_or_too_many_is_ignored() -> None:
    """Huge messages, and devices, nodes, properties and values beyond those a house can have, change nothing."""
    known = house({"a": {"note": {"datatype": "string"}}})
    assert known.hear("homie/5/box/a/note", "x" * 513) is NOTHING
    assert known.hear("homie/5/box/$description", json.dumps(described({})) + " " * 2**18) is NOTHING
    heard = [known.hear(f"homie/5/box/a/p{number}", "1") for number in range(300)]
    assert sum(one is NOTHING for one in heard) == 300 - 256
    heard = [known.hear(f"homie/5/box{number}/$state", "ready") for number in range(600)]
    assert sum(one is not NOTHING for one in heard) == 499
    many = {f"n{node}": {f"p{number}": POWER for number in range(100)} for node in range(9)}
    known.hear("homie/5/box/$description", described(many))
    assert len(known.devices) == 64


TEXT = st.text(max_size=12) | st.sampled_from(
    ["true", "1", "-0", "1e308", "0:100", "rgb,1,2,3", "xyz,0,0", "°F", "%", "K"]
)
PROPERTY = st.fixed_dictionaries(
    {"datatype": st.sampled_from(["integer", "float", "boolean", "string", "enum", "color", "datetime", "json"])},
    optional={
        "format": TEXT | st.tuples(st.floats(), st.floats()).map(lambda ends: f"{ends[0]}:{ends[1]}"),
        "settable": st.booleans(),
        "retained": st.booleans(),
        "unit": TEXT,
        "name": TEXT,
    },
)
NAMES = st.sampled_from(
    ["power", "level", "color", "setpoint", "temperature", "mode", "position", "lock", "speed", "x"]
)


@given(
    st.dictionaries(NAMES, st.dictionaries(NAMES, PROPERTY, max_size=5), max_size=3),
    st.lists(st.tuples(NAMES, NAMES, TEXT), max_size=5),
)
def test_whatever_is_described_devices_are_sound(
    nodes: dict[str, dict[str, object]], values: list[tuple[str, str, str]]
) -> None:
    """Whatever is described and told, the devices are such as the house takes, and what they take can be said."""
    known = house(nodes)
    for node, name, text in values:
        known.hear(f"homie/5/box/{node}/{name}", text)
    for identity, device in known.devices.items():
        for name, attribute in device.attributes.items():
            if attribute.settable and attribute.type in {int, float}:
                assert known.say(identity, {name: attribute.type(attribute.low)})
                assert known.say(identity, {name: attribute.type(attribute.high)})


@given(
    st.text(max_size=30) | st.sampled_from(["homie/5/box/$state", "homie/5/box/$description", "homie/5/box/a/power"]),
    st.binary(max_size=50),
)
def test_any_bytes_anywhere_raise_nothing(topic: str, payload: bytes) -> None:
    """Any bytes on any topic are taken."""
    house({"a": {"power": POWER}}).hear(topic, payload)
