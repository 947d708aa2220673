"""Changes as services of Home Assistant: the fewest that do it, and none for what an entity cannot do."""

from collections.abc import Mapping, Sequence

import pytest

from sshhome.backends.home_assistant.entity import Told, device
from sshhome.backends.home_assistant.entry import Entry
from sshhome.backends.home_assistant.service import Call, calls
from sshhome.device import State
from sshhome.errors import Refused

HS = {"supported_color_modes": ["hs", "color_temp"], "min_color_temp_kelvin": 2000, "max_color_temp_kelvin": 6500}
OLD = {"supported_color_modes": ["color_temp"], "min_mireds": 153, "max_mireds": 500}
RANGE = {"supported_features": 2, "hvac_modes": ["auto"], "target_temp_low": 18, "target_temp_high": 24}
Said = tuple[str, Mapping[str, object]]


def said(entity_id: str, change: State, attributes: Mapping[str, object], **how: str) -> Sequence[Call]:
    """Return what is called for a change of an entity with these attributes, and a state that says nothing."""
    told = Told("unknown", attributes)
    return calls(entity_id, told, device(Entry(entity_id, "i"), told, how.get("unit", "°C")), change, **how)


@pytest.mark.parametrize(
    ("entity_id", "change", "attributes", "expected"),
    [
        ("light.a", {"on": True}, {}, [("turn_on", {})]),
        ("light.a", {"on": False, "brightness": 40}, {}, [("turn_off", {})]),
        ("light.a", {"on": True, "brightness": 40}, {}, [("turn_on", {"brightness_pct": 40})]),
        ("light.a", {"brightness": 0}, {}, [("turn_on", {"brightness_pct": 0})]),
        ("light.a", {"hue": 32}, HS, [("turn_on", {"hs_color": [32, 100]})]),
        ("light.a", {"hue": 32}, {**HS, "hs_color": [1, 7], "color_mode": "hs"}, [("turn_on", {"hs_color": [32, 7]})]),
        ("light.a", {"saturation": 0}, HS, [("turn_on", {"hs_color": [0, 0]})]),
        (
            *("light.a", {"on": True, "brightness": 30, "hue": 0, "saturation": 90, "color_temperature": None}, HS),
            [("turn_on", {"brightness_pct": 30, "hs_color": [0, 90]})],
        ),
        ("light.a", {"color_temperature": 2700}, HS, [("turn_on", {"color_temp_kelvin": 2700})]),
        ("light.a", {"color_temperature": 2700}, OLD, [("turn_on", {"color_temp": 370})]),
        ("light.a", {"effect": "Rain", "brightness": 9}, {}, [("turn_on", {"brightness_pct": 9, "effect": "Rain"})]),
        ("light.a", {"brightness": None}, {}, []),
        ("switch.a", {"on": False}, {}, [("turn_off", {})]),
        ("siren.a", {"on": True}, {}, [("turn_on", {})]),
        ("cover.a", {"position": 100}, {"supported_features": 15}, [("open_cover", {})]),
        ("cover.a", {"position": 0}, {"supported_features": 15}, [("close_cover", {})]),
        ("cover.a", {"position": 0}, {"supported_features": 4}, [("set_cover_position", {"position": 0})]),
        ("cover.a", {"position": 30}, {"supported_features": 15}, [("set_cover_position", {"position": 30})]),
        ("cover.a", {"moving": None}, {"supported_features": 15}, [("stop_cover", {})]),
        ("cover.a", {"moving": None}, {"supported_features": 64}, [("stop_cover_tilt", {})]),
        ("cover.a", {"tilt": 45}, {"supported_features": 128}, [("set_cover_tilt_position", {"tilt_position": 45})]),
        ("cover.a", {"tilt": 100}, {"supported_features": 48}, [("open_cover_tilt", {})]),
        ("cover.a", {"tilt": 0}, {"supported_features": 48}, [("close_cover_tilt", {})]),
        ("valve.a", {"position": 0}, {"supported_features": 3}, [("close_valve", {})]),
        ("valve.a", {"position": 30}, {"supported_features": 4}, [("set_valve_position", {"position": 30})]),
        ("valve.a", {"moving": None}, {"supported_features": 8}, [("stop_valve", {})]),
        ("lock.a", {"locked": True}, {}, [("lock", {})]),
        ("lock.a", {"locked": False}, {}, [("unlock", {})]),
        ("climate.a", {"target_temperature": 21.5}, {}, [("set_temperature", {"temperature": 21.5})]),
        (
            *("climate.a", {"mode": "heat", "target_temperature": 21.5}, {}),
            [("set_hvac_mode", {"hvac_mode": "heat"}), ("set_temperature", {"temperature": 21.5})],
        ),
        (
            *("climate.a", {"target_low": 20.0}, RANGE),
            [("set_temperature", {"target_temp_low": 20.0, "target_temp_high": 24.0})],
        ),
        (
            *("climate.a", {"preset": "eco", "fan_mode": "low", "target_humidity": 40}, {}),
            [("set_preset_mode", {"preset_mode": "eco"}), ("set_humidity", {"humidity": 40}),
             ("set_fan_mode", {"fan_mode": "low"})],
        ),
        ("fan.a", {"on": True}, {}, [("turn_on", {})]),
        ("fan.a", {"on": True, "speed": 30}, {}, [("turn_on", {"percentage": 30})]),
        ("fan.a", {"on": True, "preset": "auto"}, {}, [("turn_on", {"preset_mode": "auto"})]),
        ("fan.a", {"on": False, "speed": 0}, {}, [("turn_off", {})]),
        ("fan.a", {"speed": 0}, {}, [("set_percentage", {"percentage": 0})]),
        ("fan.a", {"preset": "auto"}, {}, [("set_preset_mode", {"preset_mode": "auto"})]),
        ("humidifier.a", {"on": True, "target_humidity": 40, "mode": "eco"}, {},
         [("turn_on", {}), ("set_humidity", {"humidity": 40}), ("set_mode", {"mode": "eco"})]),
        ("media_player.a", {"on": True, "volume": 31, "muted": False}, {"supported_features": 128},
         [("turn_on", {}), ("volume_set", {"volume_level": 0.31}), ("volume_mute", {"is_volume_muted": False})]),
        ("media_player.a", {"playback": "stopped", "source": "Radio"}, {"supported_features": 4096},
         [("select_source", {"source": "Radio"}), ("media_stop", {})]),
        ("vacuum.a", {"activity": "docked", "fan_mode": "max"}, {"supported_features": 16},
         [("set_fan_speed", {"fan_speed": "max"}), ("return_to_base", {})]),
        ("lawn_mower.a", {"activity": "mowing"}, {"supported_features": 7}, [("start_mowing", {})]),
        ("alarm_control_panel.a", {"armed": "night"}, {}, [("alarm_arm_night", {})]),
        ("alarm_control_panel.a", {"armed": "disarmed"}, {}, [("alarm_disarm", {})]),
        ("number.a", {"value": 7.5}, {}, [("set_value", {"value": 7.5})]),
        ("select.a", {"option": "two"}, {}, [("select_option", {"option": "two"})]),
        ("text.a", {"text": "{{ 7 }}"}, {}, [("set_value", {"value": "{{ 7 }}"})]),
        ("button.a", {"activated": "now"}, {}, [("press", {})]),
        ("input_button.a", {"activated": "now"}, {}, [("press", {})]),
        ("scene.a", {"activated": "now"}, {}, [("turn_on", {})]),
        ("script.a", {"activated": "now"}, {}, [("turn_on", {})]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_calls(entity_id: str, change: State, attributes: Mapping[str, object], expected: Sequence[Said]) -> None:
    """A change is the fewest services that are sure to make it, of the entity's own domain."""
    found = said(entity_id, change, attributes)
    assert [(call.service, dict(call.data)) for call in found] == expected
    assert {call.domain for call in found} <= {entity_id.partition(".")[0]}


@pytest.mark.parametrize(
    ("entity_id", "change", "attributes"),
    [
        ("cover.a", {"position": 30}, {"supported_features": 3}),
        ("cover.a", {"position": 0}, {"supported_features": 1}),
        ("cover.a", {"moving": None}, {"supported_features": 7}),
        ("cover.a", {"moving": "opening"}, {"supported_features": 15}),
        ("cover.a", {"tilt": 45}, {"supported_features": 48}),
        ("climate.a", {"target_low": 20.0}, {"supported_features": 2}),
        ("media_player.a", {"on": False}, {"supported_features": 128}),
        ("media_player.a", {"playback": "paused"}, {"supported_features": 16384}),
        ("vacuum.a", {"activity": "cleaning"}, {"supported_features": 16}),
        ("lawn_mower.a", {"activity": "docked"}, {"supported_features": 1}),
        ("sensor.a", {"value": 3.0}, {}),
        ("switch.a", {"on": True, "brightness": 3}, {}),
    ],
)
def test_what_cannot_be_done(entity_id: str, change: State, attributes: Mapping[str, object]) -> None:
    """What an entity cannot do is refused before anything is said."""
    with pytest.raises(Refused):
        said(entity_id, change, attributes)


def test_temperatures_are_said_in_its_unit() -> None:
    """What is set in °C is said in °F where Home Assistant or the entity reckons so, and rounded as people do."""
    (call,) = said("climate.a", {"target_temperature": 21.5}, {}, unit="°F")
    assert call.data == {"temperature": 70.7}
    (call,) = said("climate.a", {"target_temperature": 20.0}, {"temperature_unit": "°F"})
    assert call.data == {"temperature": 68.0}


@pytest.mark.parametrize("entity_id", ["lock.a", "alarm_control_panel.a"])
def test_codes_are_for_what_wants_one(entity_id: str) -> None:
    """A code is told to what wants one alone."""
    change: State = {"locked": False} if entity_id == "lock.a" else {"armed": "disarmed"}
    (call,) = said(entity_id, change, {"code_format": "number"}, code="1234")
    assert call.data == {"code": "1234"}
    (call,) = said(entity_id, change, {"code_format": None}, code="1234")
    assert call.data == {}
    (call,) = said(entity_id, change, {"code_format": "number"})
    assert call.data == {}
