"""What other systems measure becomes the house's words and units."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome.device import ATTRIBUTES
from sshhome.unit import attribute_for, canonical, flag_for, number, reading, shown

NUMBERS = [(21, 21.0), (21.5, 21.5), ("21.40", 21.4), (" -3 ", -3.0), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0)]
NO_NUMBERS: list[object] = [
    None,
    True,
    [1],
    {},
    "",
    "on",
    "nan",
    "inf",
    "1_0",
    "٣",
    "5 °C",
    math.nan,
    math.inf,
    10**400,
    "9" * 40,
    b"1",
]


@pytest.mark.parametrize(("value", "wanted"), NUMBERS)
def test_a_number_is_one_as_a_text_too(value: object, wanted: float) -> None:
    """Numbers and their texts are numbers."""
    assert number(value) == wanted


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number_is_none(value: object) -> None:
    """Booleans, words, what is not a number, and what nobody measures are no numbers."""
    assert number(value) is None


@pytest.mark.parametrize(
    ("value", "unit", "attribute", "wanted"),
    [
        (70.7, "°F", "temperature", 21.5),
        (70.7, "F", "target_temperature", 21.5),
        (294.65, "K", "temperature", 21.5),
        (21.5, "C", "temperature", 21.5),
        (21.5, "", "temperature", 21.5),
        (250, "mired", "color_temperature", 4000),
        (0, "mired", "color_temperature", None),
        (5, "mW", "power", 0.005),
        (5, "MW", "power", 5e6),
        (5, "KW", "power", 5e3),
        (5, "mw", "power", None),
        (1500, "Wh", "energy", 1.5),
        (3.6, "MJ", "energy", 1),
        (3100, "mV", "voltage", 3.1),
        (101.3, "kPa", "pressure", 1013),
        (29.92, "inHg", "pressure", 1013.21),
        (14.5, "psi", "pressure", 999.74),
        (1, "bar", "pressure", 1000),
        (12, "lux", "illuminance", 12),
        (12, "Lx", "illuminance", 12),
        (2, "mi", "distance", 3218.69),
        (7, "mm", "distance", 0.007),
        (2, "m3", "volume_used", 2),
        (2, "liters", "volume_used", 0.002),
        (10, "L/min", "flow", 0.6),
        (2, "m3/h", "flow", 2),
        (10, "m/s", "wind_speed", 36),
        (2, "Hours", "duration", 7200),
        (3, "ug/m3", "fine_dust", 3),
        (3, "\u03bcg/m\u00b3", "fine_dust", 3),
        (3, "µg/m³", "volatile_compounds", None),
        (50, "%", "brightness", 50),
        (5, "bananas", "power", None),
        ("off", "W", "power", None),
    ],
)
def test_units_become_the_attributes_own(value: object, unit: str, attribute: str, wanted: float | None) -> None:
    """A number in a unit as devices write it is told in the unit of the attribute, one in a foreign unit not at all."""
    found = canonical(value, unit, attribute)
    assert found == (None if wanted is None else pytest.approx(wanted, rel=1e-4))


def test_a_reading_is_rounded_and_within_bounds() -> None:
    """Whole attributes are whole, others have two digits; a little over a bound is at it, absurdity is unknown."""
    lamp = msgspec.structs.replace(ATTRIBUTES["color_temperature"], low=2000, high=6536)
    assert reading(21.476, "", ATTRIBUTES["temperature"]) == 21.48
    assert reading("48.7", "%", ATTRIBUTES["humidity"]) == 49
    assert isinstance(reading(48, "%", ATTRIBUTES["humidity"]), int)
    assert reading(101, "%", ATTRIBUTES["battery"]) == 100
    assert reading(150, "mired", lamp) == 6536
    assert [reading(value, "", ATTRIBUTES["battery"]) for value in (255, -50, None, True)] == [None] * 4
    assert reading(-273.16, "", ATTRIBUTES["temperature"]) is None


def test_device_classes_and_units_name_the_attribute() -> None:
    """A device class names an attribute if that has such a unit; a unit alone names what only it measures."""
    assert attribute_for("temperature", "°F") == "temperature"
    assert attribute_for("atmospheric_pressure", "inHg") == "pressure"
    assert attribute_for("pm25", "µg/m³") == "fine_dust"
    assert attribute_for("volatile_organic_compounds", "µg/m³") == "value"
    assert attribute_for("volatile_organic_compounds_parts", "ppb") == "volatile_compounds"
    assert attribute_for("gas", "ppm") == "value"
    assert attribute_for("temperature_delta", "°C") == "value"
    assert [attribute_for("", unit) for unit in ("kWh", "C", "%", "ppm", "")] == [
        "energy",
        "temperature",
        *["value"] * 3,
    ]


def test_detectors_have_flags() -> None:
    """A detector's device class names its flag, and any other has detected something."""
    wanted = {"garage_door": "open", "occupancy": "presence", "moisture": "leak", "battery": "low_battery"}
    assert {name: flag_for(name) for name in wanted} == wanted
    assert flag_for("") == flag_for("sound") == "detected"


def test_a_unit_is_shown_as_the_house_writes_it() -> None:
    """Known units are spelled one way; others are shown as they are, if that is harmless and short."""
    assert [shown(unit) for unit in ("lux", "C", "VA", " m3 ", "")] == ["lx", "°C", "VA", "m³", ""]
    assert shown("\x1b[2J") == "\\x1b[2J"
    assert len(shown("x" * 1000)) == 16


@settings(deadline=None)
@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans()), st.text(), st.sampled_from(sorted(ATTRIBUTES)))
def test_whatever_is_measured_is_within_bounds(value: object, unit: str, name: str) -> None:
    """No number and no unit makes a reading that its attribute does not allow."""
    attribute = ATTRIBUTES[name]
    found = reading(value, unit, attribute)
    assert found is None or attribute.low <= found <= attribute.high
    assert len(shown(unit)) <= 16
