"""Entities of Home Assistant as devices, old forms and new, and whatever else anybody may tell."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.backends.home_assistant.entity import Told, device, guarding, moment
from sshhome.backends.home_assistant.entry import Entry
from sshhome.device import ATTRIBUTES, Device, State

NOTHING: Mapping[str, object] = {}
MIREDS = {"supported_color_modes": ["color_temp"], "min_mireds": 153, "max_mireds": 500}
KELVINS = {"supported_color_modes": ["color_temp", "hs"], "min_color_temp_kelvin": 2000, "max_color_temp_kelvin": 6535}
HEATING = {
    "supported_features": 401,
    "hvac_modes": ["heat", "off"],
    "preset_modes": ["eco", "none"],
    "preset_mode": "eco",
    "min_temp": 45,
    "max_temp": 95,
    "temperature": 70,
    "current_temperature": 68,
    "hvac_action": "idle",
}
PLAYING = {"supported_features": 16384 | 1 | 4 | 8 | 128 | 256 | 2048, "source_list": ["Radio"], "source": "Radio"}


def made(entity_id: str, state: str, attributes: Mapping[str, object] = NOTHING, unit: str = "°C") -> Device:
    """Return an entity as a device."""
    return device(Entry(entity_id, entity_id), Told(state, attributes), unit)


@pytest.mark.parametrize(
    ("entity_id", "state", "attributes", "expected"),
    [
        ("light.a", "on", {"supported_color_modes": ["onoff"]}, {"on": True}),
        ("light.a", "off", NOTHING, {"on": False}),
        ("light.a", "unknown", NOTHING, {"on": None}),
        ("light.a", "on", {"supported_color_modes": ["brightness"], "brightness": 102}, {"on": True, "brightness": 40}),
        ("light.a", "on", {"supported_color_modes": ["brightness"], "brightness": 1}, {"on": True, "brightness": 1}),
        (
            "light.a",
            "on",
            {"supported_color_modes": ["brightness"], "brightness": 999},
            {"on": True, "brightness": None},
        ),
        ("light.a", "off", {"supported_color_modes": ["brightness"]}, {"on": False, "brightness": None}),
        # Up to 2025 in mireds too, since then in kelvins alone.
        (
            *("light.a", "on", {**MIREDS, "color_mode": "color_temp", "color_temp": 370, "brightness": 255}),
            {"on": True, "brightness": 100, "color_temperature": 2703},
        ),
        (
            *(
                "light.a",
                "on",
                {**KELVINS, "color_mode": "color_temp", "color_temp_kelvin": 2700, "hs_color": [28, 65]},
            ),
            {"on": True, "brightness": None, "color_temperature": 2700, "hue": None, "saturation": None},
        ),
        (
            *("light.a", "on", {**KELVINS, "color_mode": "hs", "hs_color": [345.2, 75.0]}),
            {"on": True, "brightness": None, "color_temperature": None, "hue": 345, "saturation": 75},
        ),
        (
            *("light.a", "on", {"supported_features": 4, "effect_list": ["Rain", "None"], "effect": "Rain"}),
            {"on": True, "effect": "Rain"},
        ),
        ("switch.a", "unavailable", NOTHING, {"on": None}),
        ("input_boolean.a", "on", NOTHING, {"on": True}),
        ("cover.a", "open", {"current_position": 30, "supported_features": 15}, {"position": 30, "moving": None}),
        ("cover.a", "closing", {"current_position": 30}, {"position": 30, "moving": "closing"}),
        ("cover.a", "opening", NOTHING, {"position": 0, "moving": "opening"}),
        ("cover.a", "closed", {"supported_features": 3, "is_closed": True}, {"position": 0, "moving": None}),
        ("cover.a", "unknown", NOTHING, {"position": None, "moving": None}),
        (
            *("cover.a", "open", {"supported_features": 240, "current_tilt_position": 60}),
            {"position": 100, "moving": None, "tilt": 60},
        ),
        ("valve.a", "open", {"supported_features": 3}, {"position": 100, "moving": None}),
        ("lock.a", "locked", NOTHING, {"locked": True, "moving": None, "jammed": False}),
        ("lock.a", "unlocking", NOTHING, {"locked": True, "moving": "unlocking", "jammed": False}),
        ("lock.a", "locking", NOTHING, {"locked": False, "moving": "locking", "jammed": False}),
        ("lock.a", "open", NOTHING, {"locked": False, "moving": None, "jammed": False}),
        ("lock.a", "jammed", NOTHING, {"locked": None, "moving": None, "jammed": True}),
        ("lock.a", "unavailable", NOTHING, {"locked": None, "moving": None, "jammed": None}),
        ("fan.a", "on", {"supported_features": 1, "percentage": 33}, {"on": True, "speed": 33}),
        ("fan.a", "off", {"supported_features": 1, "percentage": None}, {"on": False, "speed": 0}),
        (
            *("humidifier.a", "on", {"min_humidity": 30, "max_humidity": 80, "humidity": 45, "current_humidity": 40.6}),
            {"on": True, "target_humidity": 45, "humidity": 41},
        ),
        (
            *("media_player.a", "playing", {**PLAYING, "volume_level": 0.31, "is_volume_muted": False}),
            {"on": True, "playback": "playing", "volume": 31, "muted": False, "source": "Radio", "title": None},
        ),
        (
            *("media_player.a", "off", PLAYING),
            {"on": False, "playback": "stopped", "volume": None, "muted": None, "source": "Radio", "title": None},
        ),
        ("vacuum.a", "cleaning", {"battery_level": 80}, {"activity": "cleaning", "doing": None, "battery": 80}),
        ("vacuum.a", "returning", NOTHING, {"activity": None, "doing": "returning"}),
        ("vacuum.a", "idle", NOTHING, {"activity": "stopped", "doing": None}),
        ("lawn_mower.a", "mowing", {"supported_features": 7}, {"activity": "mowing", "doing": None}),
        ("lawn_mower.a", "error", {"supported_features": 7}, {"activity": None, "doing": "error"}),
        ("alarm_control_panel.a", "armed_home", {"supported_features": 3}, {"armed": "home", "phase": None}),
        ("alarm_control_panel.a", "armed_vacation", NOTHING, {"armed": "vacation", "phase": None}),
        ("alarm_control_panel.a", "arming", {"supported_features": 3}, {"armed": None, "phase": "arming"}),
        ("alarm_control_panel.a", "triggered", {"supported_features": 3}, {"armed": None, "phase": "triggered"}),
        ("number.a", "0.42", {"min": 0, "max": 1}, {"value": 0.42}),
        ("number.a", "unknown", {"min": 0, "max": 1}, {"value": None}),
        ("select.a", "two", {"options": ["one", "two"]}, {"option": "two"}),
        ("select.a", "three", {"options": ["one", "two"]}, {"option": None}),
        ("text.a", "Good morning", {"min": 0, "max": 255}, {"text": "Good morning"}),
        ("text.a", "hunter2", {"mode": "password"}, {"text": None}),
        ("button.a", "unknown", NOTHING, {"activated": None}),
        ("scene.a", "2026-06-02T14:00:00.123456+02:00", NOTHING, {"activated": "2026-06-02T12:00:00Z"}),
        ("script.a", "off", {"last_triggered": "2026-06-02T12:00:00+00:00"}, {"activated": "2026-06-02T12:00:00Z"}),
        ("script.a", "on", {"last_triggered": None}, {"activated": None}),
        ("sensor.a", "70.7", {"device_class": "temperature", "unit_of_measurement": "°F"}, {"temperature": 21.5}),
        ("sensor.a", "1.5", {"device_class": "energy", "unit_of_measurement": "MWh"}, {"energy": 1500.0}),
        ("sensor.a", "7", {"unit_of_measurement": "clicks"}, {"value": 7.0}),
        ("sensor.a", "7.1", {"device_class": "ph"}, {"value": 7.1}),
        ("sensor.a", "nan", {"state_class": "measurement"}, {"value": None}),
        ("sensor.a", "eco", {"device_class": "enum"}, {"status": "eco"}),
        ("sensor.a", "unavailable", NOTHING, {"status": None}),
        ("binary_sensor.a", "on", {"device_class": "garage_door"}, {"open": True}),
        ("binary_sensor.a", "off", {"device_class": "occupancy"}, {"presence": False}),
        ("binary_sensor.a", "unknown", {"device_class": "cold"}, {"detected": None}),
        ("event.a", "2026-06-02T12:00:00+00:00", {"event_type": "pressed"}, {"event": "pressed"}),
        ("person.a", "home", NOTHING, {"presence": True, "status": "home"}),
        ("person.a", "School", NOTHING, {"presence": False, "status": "School"}),
        ("person.a", "unknown", NOTHING, {"presence": None, "status": None}),
        (
            *("weather.a", "rainy", {"temperature": 50, "temperature_unit": "°F", "humidity": 92}),
            {"status": "rainy", "temperature": 10.0, "humidity": 92},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_states(entity_id: str, state: str, attributes: Mapping[str, object], expected: State) -> None:
    """Each entity has the attributes that it tells, in the house's units, and None for what it does not."""
    assert dict(made(entity_id, state, attributes).state) == expected


def test_temperatures_in_fahrenheit() -> None:
    """Where temperatures are in °F, those of a thermostat and its bounds are in °C here; 2026 tells the unit itself."""
    for heating in (
        made("climate.a", "heat", HEATING, "°F"),
        made("climate.a", "heat", HEATING | {"temperature_unit": "°F"}),
    ):
        assert heating.state["target_temperature"] == 21.11
        assert heating.state["temperature"] == 20.0
        target = heating.attributes["target_temperature"]
        assert (target.low, target.high, target.unit) == (7.22, 35.0, "°C")
    assert heating.attributes["mode"].options == ("heat", "off")
    assert (heating.state["mode"], heating.state["heating"], heating.state["preset"]) == ("heat", False, "eco")
    assert "cooling" not in heating.state


@pytest.mark.parametrize(
    ("entity_id", "attributes", "settable"),
    [
        ("cover.a", {"supported_features": 0}, set()),
        ("cover.a", {"supported_features": 3}, {"position"}),
        ("cover.a", {"supported_features": 240, "current_tilt_position": 0}, {"tilt"}),
        ("siren.a", {"supported_features": 0}, set()),
        ("media_player.a", {"supported_features": 0, "volume_level": 0.5}, set()),
        ("media_player.a", {"supported_features": 4}, {"volume"}),
        ("vacuum.a", {"supported_features": 0}, set()),
        ("vacuum.a", {"supported_features": 8192}, {"activity"}),
        ("climate.a", {"supported_features": 2, "hvac_modes": ["auto"]}, {"mode", "target_low", "target_high"}),
        ("text.a", {"mode": "password"}, set()),
        ("sensor.a", {"unit_of_measurement": "W"}, set()),
        ("binary_sensor.a", {}, set()),
        ("event.a", {}, set()),
        ("person.a", {}, set()),
        ("lock.a", {}, {"locked"}),
    ],
)
def test_what_may_be_set(entity_id: str, attributes: Mapping[str, object], settable: set[str]) -> None:
    """What an entity cannot do, by its own features, no order may set."""
    held = made(entity_id, "unknown", attributes).attributes
    assert {name for name, attribute in held.items() if attribute.settable} == settable


def test_a_number_has_its_own_unit() -> None:
    """A number keeps the unit it has, a reading has that of its attribute."""
    value = made("number.a", "22", {"min": 15, "max": 35, "unit_of_measurement": "°F"}).attributes["value"]
    assert (value.low, value.high, value.unit, value.settable) == (15.0, 35.0, "°F", True)
    assert made("sensor.a", "3", {"unit_of_measurement": "clicks"}).attributes["value"].unit == "clicks"
    assert made("sensor.a", "3", {"unit_of_measurement": "kW"}).attributes["power"].unit == "W"


def test_names() -> None:
    """A device is called what Home Assistant calls it, on one line and not for ever."""
    entry = Entry("light.big_lamp", "light/hue/1", name="Own")
    assert device(entry, Told("on", {"friendly_name": "Hall\n\x1b[2J lamp\u202e"}), "°C").name == "Hall [2J lamp"
    assert device(entry, Told("on", {"friendly_name": "x" * 500}), "°C").name == "x" * 64
    assert device(entry, Told("on"), "°C").name == "Own"
    assert device(Entry("light.big_lamp", "a"), Told("on"), "°C").name == "big lamp"
    assert device(Entry("light.big_lamp", "a"), Told("on"), "°C").id == "light.big_lamp"
    assert device(Entry("input_number.a", "a"), Told("1"), "°C").id == "number.a"


def test_a_battery_that_another_entity_tells() -> None:
    """The level of the battery is borne by what runs on it."""
    lock = device(Entry("lock.a", "a"), Told("locked"), "°C", battery=Told("81"))
    assert lock.state["battery"] == 81
    assert device(Entry("lock.a", "a"), Told("locked"), "°C", battery=Told("unavailable")).state["battery"] is None


@pytest.mark.parametrize("text", ["", "soon", "99999-01-01", "2026-13-01T00:00:00"])
def test_what_is_no_moment(text: str) -> None:
    """What is no moment is none."""
    assert moment(text) is None


def test_a_group_guards_as_its_parts() -> None:
    """A group of covers with a garage door in it is one, as far as who may open it is concerned."""
    assert guarding(["blind", "garage", "shutter"]) == "garage"
    assert not guarding(["blind", ""])


_DOMAINS = (
    *("light", "switch", "cover", "valve", "lock", "climate", "fan", "humidifier", "media_player", "vacuum", "siren"),
    *("lawn_mower", "alarm_control_panel", "number", "select", "text", "button", "scene", "script", "sensor"),
    *("binary_sensor", "event", "weather", "person"),
)
_NAMES = (
    *(
        "supported_features",
        "supported_color_modes",
        "brightness",
        "hs_color",
        "color_mode",
        "color_temp",
        "max_mireds",
    ),
    *("min_color_temp_kelvin", "max_color_temp_kelvin", "effect_list", "effect", "current_position", "hvac_modes"),
    *("current_tilt_position", "temperature", "min_temp", "max_temp", "temperature_unit", "hvac_action", "percentage"),
    *("humidity", "min_humidity", "max_humidity", "source_list", "source", "volume_level", "media_title", "options"),
    *("min", "max", "mode", "unit_of_measurement", "device_class", "friendly_name", "last_triggered", "battery_level"),
    *("event_type", "pressure", "pressure_unit", "state_class", "is_volume_muted", "preset_modes", "fan_modes"),
)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300)
_VALUES = (
    st.sampled_from(
        ["on", "off", "color_temp", "hs", "°F", "°C", "temperature", "garage", -1, 255, 2**80, [1, 2], ["hs"]]
    )
    | _SCALARS
    | st.lists(_SCALARS, max_size=4)
    | st.dictionaries(st.text(max_size=4), _SCALARS, max_size=2)
)


@given(
    st.sampled_from(_DOMAINS),
    st.text(max_size=300) | st.sampled_from(["on", "open", "locked", "1e400", "playing", "armed_home", "returning"]),
    st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=12),
)
def test_whatever_is_told(domain: str, state: str, attributes: Mapping[str, object]) -> None:
    """Whatever an entity tells, its device is well-formed: known attributes, of their types, within their bounds."""
    told = made(f"{domain}.x", state, attributes)
    assert told.name
    assert told.name.isprintable()
    assert told.state.keys() == told.attributes.keys() <= ATTRIBUTES.keys()
    for name, value in told.state.items():
        attribute = told.attributes[name]
        assert (attribute.name, attribute.type) == (name, ATTRIBUTES[name].type)
        wanted = (int, float) if attribute.type in {int, float} else attribute.type
        assert value is None or isinstance(value, wanted)
        assert isinstance(value, bool) <= (attribute.type is bool)
        if attribute.options:
            assert value is None or value in attribute.options
        elif isinstance(value, int | float) and not isinstance(value, bool):
            assert attribute.low <= value <= attribute.high
        elif isinstance(value, str):
            assert value.isprintable()
