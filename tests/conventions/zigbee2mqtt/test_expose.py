"""Exposes, and parts that are made of them."""

import msgspec
import pytest

from sshhome.conventions.zigbee2mqtt.expose import GETTABLE, SETTABLE, Expose, Part, as_text, is_open
from sshhome.device import Device
from sshhome.errors import Refused


def told(**expose: object) -> Expose:
    """Return an expose as JSON tells it."""
    return msgspec.convert({"type": "numeric", **expose}, Expose)


def test_a_number_has_the_bounds_of_the_thing() -> None:
    """A number that may be set has the bounds of the thing, if they are any; one that may not has the house's."""
    part = Part("climate")
    part.add_number("target_temperature", told(property="t", access=7, value_min=7, value_max=28), settable=True)
    part.add_number("target_low", told(property="l", access=7, value_min=30, value_max=5), settable=True)
    part.add_number("temperature", told(property="c", access=7, value_min=0, value_max=1))
    bounds = {name: (one.low, one.high, one.settable) for name, one in part.attributes.items()}
    assert bounds == {
        "target_temperature": (7, 28, True),
        "target_low": (5, 30, True),
        "temperature": (-100, 500, False),
    }
    assert part.state({"t": 21.234, "l": "warm", "c": True}, {}) == {
        "target_temperature": 21.23,
        "target_low": None,
        "temperature": None,
    }


def test_what_may_not_be_set_is_refused() -> None:
    """A value that is only told cannot be said, in words that name the device; what is None is left alone."""
    part = Part("number")
    part.add_number("value", told(property="x", access=GETTABLE), settable=True)
    device = Device(id="number.it", name="It", attributes=part.attributes)
    assert part.ask == "x"
    assert part.say(device, {"value": None}) == {}
    with pytest.raises(Refused, match="It cannot be given another value"):
        part.say(device, {"value": 5})
    with pytest.raises(Refused, match="It cannot be stopped"):
        part.say(device, {"moving": None})


def test_choices_are_shown_as_text() -> None:
    """Choices may be numbers, which are sent as they were told; what would do harm where it is shown does not."""
    part = Part("select")
    part.add_choice("option", told(property="o", access=SETTABLE, values=["a", 2, "\x1b[2J", True, None, [], ""]))
    assert part.attributes["option"].options == ("a", "2", "\\x1b[2J")
    values: list[object] = ["a", 2, "2", "\x1b[2J", [], None]
    assert [part.state({"o": value}, {})["option"] for value in values] == [*("a", "2", None, "\\x1b[2J", None, None)]
    device = Device(id="select.it", name="It", attributes=part.attributes)
    assert part.say(device, {"option": "2"}) == {"o": 2}


def test_without_its_endpoint() -> None:
    """In a group a property has no endpoint, and neither have those within it."""
    light = told(
        endpoint="l1", property="color_l1", features=[{"type": "numeric", "property": "x_l1", "endpoint": "l1"}]
    )
    assert (light.common.key, light.common.features[0].key, light.common.endpoint) == ("color", "x", "")


def test_a_contact_is_closed_when_true() -> None:
    """A contact that is true is closed, however that is written."""
    reads = is_open(told(property="contact", value_on=True, value_off=False))
    assert [reads({"contact": value}) for value in (True, False, "ON", "OFF", 1, None)] == [
        *(False, True, False, True, None, None)
    ]


def test_text_is_short_and_harmless() -> None:
    """Text from a device is cut, and what would move a cursor is spelt out."""
    assert as_text("x" * 1000) == "x" * 64
    assert as_text("a\nb") == "a\\x0ab"
    assert as_text(5) == ""
