"""What Zigbee things are, by what they expose; the exposes are those of models that Zigbee2MQTT knows."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from sshhome.conventions.zigbee2mqtt.expose import Expose, Part
from sshhome.conventions.zigbee2mqtt.thing import grouped, parts
from sshhome.device import Device, State
from sshhome.errors import Refused


def exposed(
    type_: str, name: str = "", access: int = 1, *features: Mapping[str, Any], **more: object
) -> Mapping[str, Any]:
    """Return an expose as JSON tells it."""
    told = {"type": type_, "features": features, **more}
    return {**told, "name": name, "access": access, "property": more.get("property", name)} if name else told


def binary(name: str, access: int = 1, *ends: object, **more: object) -> Mapping[str, Any]:
    """Return a flag; its ends are true and false if nothing else is said."""
    on, off = ends or (True, False)
    return exposed("binary", name, access, value_on=on, value_off=off, **more)


def switched(**more: object) -> Mapping[str, Any]:
    """Return the state of what is on or off."""
    return binary("state", 7, "ON", "OFF", **more)


def moved(*values: str) -> Mapping[str, Any]:
    """Return the state of a cover."""
    return exposed("enum", "state", 3, values=values or ("OPEN", "CLOSE", "STOP"))


def found(*exposes: Mapping[str, Any], name: str = "", description: str = "") -> list[Part]:
    """Return what a thing is that exposes these."""
    return parts(msgspec.convert(exposes, list[Expose]), name, description)


def only(*exposes: Mapping[str, Any], name: str = "", description: str = "") -> Part:
    """Return the one part that a thing has."""
    (part,) = found(*exposes, name=name, description=description)
    return part


def say(part: Part, change: State, state: State | None = None) -> Mapping[str, Any]:
    """Return the payload for a change of what is in some state."""
    device = Device(id=f"{part.kind}.it", name="It", attributes=part.attributes, state=state or {})
    return part.say(device, change)


TARGET = exposed("numeric", "occupied_heating_setpoint", 7, value_min=5, value_max=35, unit="°C")
COOLING = exposed("numeric", "occupied_cooling_setpoint", 7, value_min=16, value_max=40, unit="°C")
LOCAL = exposed("numeric", "local_temperature", 5, unit="°C")
MODES = exposed("enum", "system_mode", 7, values=["off", "heat", "cool"])


def test_a_cover_without_positions() -> None:
    """A cover that cannot be told a position is open or closed, and is told nothing between."""
    part = only(exposed("cover", "", 0, moved()))
    assert [part.state({"state": word}, {})["position"] for word in ("OPEN", "CLOSE", "STOP")] == [100, 0, None]
    assert [say(part, {"position": value}) for value in (100, 0)] == [{"state": "OPEN"}, {"state": "CLOSE"}]
    assert say(part, {"moving": None}) == {"state": "STOP"}
    with pytest.raises(Refused, match="it can only be opened and closed"):
        say(part, {"position": 50})


def test_a_cover_that_tilts_and_tells_that_it_moves() -> None:
    """A cover has its tilt, and moves as its motor says; what it is told last is where it goes."""
    position = exposed("numeric", "position", 7, value_min=0, value_max=100)
    tilt = exposed("numeric", "tilt", 7, value_min=0, value_max=100)
    motor = exposed("enum", "motor_state", 1, values=["opening", "closing", "stopped"])
    part = only(exposed("cover", "", 0, moved(), position, tilt), motor)
    told = {"position": 40, "tilt": 80, "state": "OPEN", "motor_state": "closing"}
    assert part.state(told, {}) == {"position": 40, "moving": "closing", "tilt": 80}
    assert part.state({**told, "motor_state": "stopped"}, {})["moving"] is None
    assert say(part, {"tilt": 20}) == {"tilt": 20}
    assert part.ask == "position"


@pytest.mark.parametrize(
    ("name", "guards"),
    [("Garage door", True), ("yard/driveway_gate", True), ("Delegate", False), ("Terrace door blind", False)],
)
def test_covers_that_let_people_in(name: str, guards: bool) -> None:  # noqa: FBT001  (a parameter of a test)
    """A cover whose name speaks of a garage, gate or door lets people in, unless it is a blind before one."""
    part = only(exposed("cover", "", 0, moved()), name=name, description="Roller shutter controller")
    assert Device(id="cover.it", name="It", device_class=part.device_class).guards is guards


def test_a_garage_door_that_is_only_triggered() -> None:
    """A garage door with one button is told to move only if it is known not to be there already."""
    part = only(binary("trigger", 3), binary("garage_door_contact"))
    assert (part.kind, part.device_class) == ("cover", "garage")
    opened, closed = part.state({"garage_door_contact": False}, {}), part.state({"garage_door_contact": True}, {})
    assert (opened, closed) == ({"position": 100, "open": True}, {"position": 0, "open": False})
    assert say(part, {"position": 100}, closed) == {"trigger": True}
    assert say(part, {"position": 0}, opened) == {"trigger": False}
    with pytest.raises(Refused, match="it is open already"):
        say(part, {"position": 100}, opened)
    with pytest.raises(Refused, match="nobody knows how it is"):
        say(part, {"position": 100})


def test_a_valve_is_opened() -> None:
    """A switch that lets water in is a valve; one of a radiator is none."""
    part = only(exposed("switch", "", 0, switched()), description="Zigbee smart water valve")
    assert (part.kind, part.state({"state": "ON"}, {})) == ("valve", {"position": 100})
    assert say(part, {"position": 0}) == {"state": "OFF"}
    with pytest.raises(Refused, match="it can only be opened and closed"):
        say(part, {"position": 50})
    both = found(exposed("climate", "", 0, TARGET), exposed("switch", "", 0, switched()), description="Radiator valve")
    assert [(one.kind, one.endpoint) for one in both] == [("climate", ""), ("switch", "switch")]


def test_a_lock_is_as_its_bolt() -> None:
    """A lock is as its bolt is, not as it was told to be; one that is not fully locked is jammed."""
    bolt = exposed("enum", "lock_state", 1, values=["not_fully_locked", "locked", "unlocked"])
    part = only(exposed("lock", "", 0, binary("state", 7, "LOCK", "UNLOCK"), bolt))
    assert part.state({"state": "LOCK", "lock_state": "unlocked"}, {}) == {"locked": False, "jammed": False}
    assert part.state({"state": "LOCK", "lock_state": "not_fully_locked"}, {}) == {"locked": False, "jammed": True}
    assert part.state({"state": "LOCK"}, {})["locked"] is True
    assert say(part, {"locked": False}) == {"state": "UNLOCK"}


def test_heating_and_cooling() -> None:
    """A thermostat with two targets has both, and as its one the one that counts in its mode."""
    running = exposed("enum", "running_state", 5, values=["idle", "heat", "cool"])
    part = only(exposed("climate", "", 0, TARGET, COOLING, LOCAL, MODES, running))
    told = {
        "occupied_heating_setpoint": 20,
        "occupied_cooling_setpoint": 26,
        "system_mode": "cool",
        "running_state": "cool",
    }
    state = part.state(told, {})
    assert (state["target_temperature"], state["target_low"], state["target_high"]) == (26, 20, 26)
    assert (state["heating"], state["cooling"], state["temperature"]) == (False, True, None)
    assert part.state({**told, "system_mode": "heat"}, {})["target_temperature"] == 20
    assert say(part, {"target_temperature": 25.5}, state) == {"occupied_cooling_setpoint": 25.5}
    assert say(part, {"target_temperature": 21.5, "mode": "heat"}, state) == {
        "occupied_heating_setpoint": 21.5,
        "system_mode": "heat",
    }
    assert (part.attributes["target_temperature"].low, part.attributes["target_temperature"].high) == (5, 40)
    assert part.attributes["mode"].options == ("off", "heat", "cool")


def test_the_other_name_of_a_target() -> None:
    """A thermostat may call its target the current one, and have presets."""
    target = exposed("numeric", "current_heating_setpoint", 3, value_min=5, value_max=30, unit="C")
    preset = exposed("enum", "preset", 3, values=["manual", "Eco"])
    part = only(exposed("climate", "", 0, target, preset))
    assert say(part, {"target_temperature": 21, "preset": "Eco"}) == {"current_heating_setpoint": 21, "preset": "Eco"}


def test_settings_are_no_switches() -> None:
    """What a thermostat exposes as switches beside is a setting, and is left out."""
    setting = exposed("switch", "", 0, binary("state", 7, "ON", "OFF", property="window_detection"))
    assert only(exposed("climate", "", 0, TARGET), setting).kind == "climate"


def test_a_fan_has_speeds() -> None:
    """A fan with words for its speeds has a speed in percent, and what else it can as presets."""
    mode = exposed("enum", "mode", 7, values=["off", "low", "medium", "high", "auto"], property="fan_mode")
    part = only(exposed("fan", "", 0, switched(property="fan_state"), mode))
    assert [part.state({"fan_mode": word}, {})["speed"] for word in ("off", "low", "medium", "auto")] == [
        0,
        33,
        67,
        None,
    ]
    assert [say(part, {"speed": value})["fan_mode"] for value in (0, 1, 34, 100)] == ["off", "low", "medium", "high"]
    # Half of it is the middle one, and comes back as what was wanted.
    assert part.state({"fan_mode": "medium"}, {"speed": 50})["speed"] == 50
    assert part.attributes["preset"].options == ("auto",)
    assert say(part, {"preset": "auto", "on": True}) == {"fan_mode": "auto", "fan_state": "ON"}
    numbered = exposed("enum", "mode", 7, values=["off", "2", "1"])
    assert say(only(exposed("fan", "", 0, numbered)), {"speed": 50}) == {"mode": "1"}
    scaled = only(exposed("fan", "", 0, switched(), exposed("numeric", "speed", 7, value_min=1, value_max=254)))
    assert (say(scaled, {"speed": 50}), scaled.state({"speed": 127}, {})["speed"]) == ({"speed": 127}, 50)


def test_a_siren_sounds_for_a_while() -> None:
    """A siren starts with the first of its alarms, ends by itself, and is stopped by the word for that."""
    mode = exposed("enum", "mode", 2, values=["stop", "burglar", "fire"])
    part = only(exposed("composite", "warning", 2, mode, exposed("numeric", "duration", 2)), binary("tamper"))
    assert part.kind == "siren"
    assert say(part, {"on": True}) == {"warning": {"mode": "burglar", "duration": 60}}
    assert say(part, {"on": False}) == {"warning": {"mode": "stop"}}
    assert part.state({"tamper": True}, {}) == {"on": None, "tamper": True}
    plain = only(binary("alarm", 3, "START", "OFF"), binary("smoke"))
    assert (plain.kind, say(plain, {"on": True}), list(plain.attributes)) == (
        "siren",
        {"alarm": "START"},
        ["on", "smoke"],
    )


def test_values_of_on_and_off_are_of_any_type() -> None:
    """What says on and off may be numbers, and 1 is not true."""
    part = only(exposed("switch", "", 0, binary("state", 7, 1, 0)))
    assert [part.state({"state": told}, {})["on"] for told in (1, 0, True, "1", [1])] == [True, False, None, None, None]
    assert say(part, {"on": False}) == {"state": 0}


def test_readings_stand_beside_what_a_thing_is() -> None:
    """A plug has what it measures; of a panel each gang has its own, and the first what is of none."""
    power, energy = (exposed("numeric", "power", 5, unit="W"), exposed("numeric", "energy", 1, unit="Wh"))
    plug = only(exposed("switch", "", 0, switched()), power, energy, binary("child_lock", 3))
    assert plug.state({"state": "ON", "power": 5.123, "energy": 1500}, {}) == {"on": True, "power": 5.12, "energy": 1.5}
    gangs = [
        exposed("switch", "", 0, switched(endpoint=one, property=f"state_{one}"), endpoint=one) for one in ("l1", "l2")
    ]
    measured = [exposed("numeric", "power", 1, unit="W", endpoint=one, property=f"power_{one}") for one in ("l1", "l2")]
    first, second = found(*gangs, *measured, exposed("numeric", "device_temperature", 1), binary("tamper"))
    assert (list(first.attributes), list(second.attributes)) == (["on", "power", "tamper"], ["on", "power"])
    assert second.state({"power_l1": 1, "power_l2": 2}, {})["power"] == 2


def test_a_meter_of_three_phases() -> None:
    """What is measured at several places is a sensor each, beside what is of the whole."""
    total = exposed("numeric", "power", 1, unit="W")
    phases = [exposed("numeric", "power", 1, unit="W", endpoint=one, property=f"power_{one}") for one in ("a", "b")]
    assert [(one.endpoint, one.kind, list(one.attributes)) for one in found(*phases, total)] == [
        ("", "sensor", ["power"]),
        ("a", "sensor", ["power"]),
        ("b", "sensor", ["power"]),
    ]


def test_what_a_sensor_is_for_comes_first() -> None:
    """A sensor has its readings before its battery; one that detects something has that first."""
    battery = exposed("numeric", "battery", 1, unit="%", category="diagnostic")
    link = exposed("numeric", "linkquality", 1, category="diagnostic")
    sensor = only(battery, exposed("numeric", "humidity", 1, unit="%"), link)
    assert (sensor.kind, list(sensor.attributes), sensor.device_class) == (
        "sensor",
        ["humidity", "battery"],
        "humidity",
    )
    contact = only(battery, exposed("numeric", "temperature", 1, unit="°C"), binary("contact", 1, False, True))
    assert (contact.kind, list(contact.attributes)) == ("binary_sensor", ["open", "temperature", "battery"])
    assert [contact.state({"contact": told}, {})["open"] for told in (True, False, "x")] == [False, True, None]
    alarm = only(binary("water_leak_alarm_1"), binary("water_leak_alarm_2"), binary("battery_low"))
    assert list(alarm.attributes) == ["leak", "low_battery"]
    button = only(exposed("enum", "action", 1, category="diagnostic"), battery)
    assert (button.kind, button.event) == ("event", "action")


def test_readings_without_a_word() -> None:
    """A number that the house has no word for is known by its unit, or is a value with it; a text is a status."""
    probe = exposed("numeric", "water_temperature", 1, unit="°C")
    part = only(probe, exposed("numeric", "ph", 1, unit="pH"), exposed("enum", "filter", 1, values=["clean"]))
    assert part.state({"water_temperature": 20, "ph": 7.2}, {}) == {"temperature": 20, "value": 7.2}
    assert (part.attributes["value"].unit, part.attributes["value"].settable) == ("pH", False)
    status = only(exposed("enum", "filter", 1, values=["clean"]))
    assert (status.kind, status.state({"filter": "cl\x1bean"}, {})) == ("sensor", {"status": "cl\\x1bean"})
    odd = only(binary("rain"))
    assert (odd.kind, odd.state({"rain": True}, {})) == ("binary_sensor", {"detected": True})


def test_what_is_settings_alone() -> None:
    """A thing with nothing but what may be set has a device for each of them; its configuration is left out."""
    told = found(
        exposed("numeric", "delay", 7, value_min=1, value_max=9, unit="sec"),
        exposed("enum", "melody", 3, values=["a", 2]),
        exposed("enum", "start", 2, values=["go"]),
        binary("learn", 3, "ON", "OFF"),
        exposed("text", "code", 2),
        exposed("enum", "identify", 2, values=["identify"], category="config"),
    )
    assert [one.kind for one in told] == ["number", "select", "button", "switch", "text"]
    changes: list[State] = [{"value": 3.0}, {"option": "2"}, {"activated": "now"}, {"on": True}, {"text": "x"}]
    assert [say(one, change) for one, change in zip(told, changes, strict=True)] == [
        {"delay": 3.0},
        {"melody": 2},
        {"start": "go"},
        {"learn": "ON"},
        {"code": "x"},
    ]
    assert (told[0].attributes["value"].high, told[0].attributes["value"].unit) == (9, "s")


def test_a_switch_that_is_generic() -> None:
    """A flag or choice called state is what a thing is, if it is nothing else."""
    assert only(binary("state", 3, "ON", "OFF")).kind == "switch"
    shutter = only(moved("open", "stop", "close"))
    assert (shutter.kind, say(shutter, {"position": 100})) == ("cover", {"state": "open"})
    assert only(exposed("enum", "state", 7, values=["UNLOCK"])).kind == "button"


def test_lamps_of_several_endpoints() -> None:
    """Each lamp of a controller has its own state and colour."""
    lamps = [
        exposed(
            "light",
            "",
            0,
            switched(endpoint=one, property=f"state_{one}"),
            exposed("composite", "color_xy", 7, endpoint=one, property=f"color_{one}"),
            endpoint=one,
        )
        for one in ("l1", "l2")
    ]
    first, second = found(*lamps)
    told = {"color_l1": {"x": 0.7006, "y": 0.2993}, "color_mode_l1": "xy", "color_mode_l2": "xy"}
    assert (first.state(told, {})["hue"], second.state(told, {})["hue"]) == (0, None)
    assert say(second, {"hue": 120}, {"saturation": 100}) == {"color_l2": {"hex": "#00FF00"}}
    group = grouped([first, second])
    assert group is not None
    assert say(group, {"on": True, "hue": 120}) == {"state": "ON", "color": {"hex": "#00FF00"}}


def test_groups_are_of_one_kind() -> None:
    """A group is a lamp if one is in it, keeps what guards, and is nothing of what has no common words."""
    lamp, plug = only(exposed("light", "", 0, switched())), only(exposed("switch", "", 0, switched()))
    valve = only(exposed("switch", "", 0, switched()), name="garden/valve")
    both, wet = grouped([plug, lamp]), grouped([plug, valve])
    assert both is not None
    assert wet is not None
    assert (both.kind, wet.kind) == ("light", "valve")
    assert grouped([only(binary("smoke"))]) is None


def test_nothing_is_nothing() -> None:
    """A repeater exposes nothing that anybody wants to know."""
    assert found(exposed("numeric", "linkquality", 1, category="diagnostic")) == []
    assert found(exposed("light", ""), exposed("cover", ""), exposed("lock", ""), exposed("list", "x", 3)) == []
