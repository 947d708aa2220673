"""Sensors, detectors and events."""

import pytest

from tests.conventions.discovery.components.described import Described


@pytest.mark.parametrize(
    ("config", "payload", "state"),
    [
        ({"device_class": "temperature", "unit_of_measurement": "°F"}, "70.7", {"temperature": 21.5}),
        ({"device_class": "energy", "unit_of_measurement": "Wh"}, "1500", {"energy": 1.5}),
        ({"device_class": "humidity", "unit_of_measurement": "%"}, "48.6", {"humidity": 49}),
        ({"device_class": "pressure", "unit_of_measurement": "kPa"}, "101.3", {"pressure": 1013}),
        ({"device_class": "battery"}, "80", {"battery": 80}),
        ({"device_class": "temperature"}, "unavailable", {"temperature": None}),
        ({"device_class": "power", "unit_of_measurement": "W"}, "nan", {"power": None}),
        ({"unit_of_measurement": "lqi"}, "120", {"value": 120}),
        ({"unit_of_measurement": "kWh"}, "1.5", {"energy": 1.5}),
        ({"state_class": "measurement"}, "5", {"value": 5}),
        ({"device_class": "timestamp"}, "2026-11-21T12:00:00Z", {"status": "2026-11-21T12:00:00Z"}),
        ({"device_class": "enum", "options": ["a"]}, "a", {"status": "a"}),
        ({}, "all \x1b[31mwell", {"status": "all [31mwell"}),
        ({}, "None", {"status": None}),
        ({}, "", {"status": None}),
    ],
)
def test_a_sensor_reads_in_the_houses_units(config: dict[str, str], payload: str, state: dict[str, object]) -> None:
    """A sensor is the attribute of its device class, in that one's unit; without any it is a text."""
    sensor = Described("sensor", state_topic="s", **config)
    assert list(sensor.device.state.values()) == [None]
    assert sensor.hears("s", payload) == state
    assert sensor.settable == set()


def test_the_unit_of_a_value_is_the_sensors_own() -> None:
    """A reading of a kind of its own keeps its unit, made harmless."""
    assert Described("sensor", unit_of_measurement="VA").device.attributes["value"].unit == "VA"
    assert Described("sensor", unit_of_measurement="\x1b]0;").device.attributes["value"].unit == "\\x1b]0;"


@pytest.mark.parametrize(
    ("config", "payload", "state"),
    [
        ({"device_class": "door"}, "ON", {"open": True}),
        ({"device_class": "moisture"}, "OFF", {"leak": False}),
        ({"device_class": "battery"}, "ON", {"low_battery": True}),
        ({}, "ON", {"detected": True}),
        ({"device_class": "door", "payload_on": False, "payload_off": True}, "False", {"open": True}),
        ({"payload_on": "a"}, "None", {"detected": None}),
        ({"payload_on": "a"}, "ON", {"detected": None}),
    ],
)
def test_a_detector_has_a_flag(config: dict[str, object], payload: str, state: dict[str, object]) -> None:
    """A detector's flag is that of its device class, true for what is open or alarms."""
    assert Described("binary_sensor", state_topic="s", **config).hears("s", payload) == state


def test_an_event_is_the_last_one() -> None:
    """An event tells in JSON what has happened; anything else is none."""
    bell = Described("event", state_topic="e", event_types=["press"])
    assert bell.hears("e", '{"event_type": "press", "force": 1}') == {"event": "press"}
    for payload in ("press", "{}", '{"event_type": ["x"]}', "[1]", ""):
        assert bell.hears("e", payload) == {"event": "press"}
