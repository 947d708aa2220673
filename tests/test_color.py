"""Colours as devices tell them and as the house does are the same colours."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sshhome import color

HUES, SATURATIONS = st.integers(0, 359), st.integers(1, 100)


@pytest.mark.parametrize(
    ("channels", "tint"),
    [((255, 0, 0), (0, 100)), ((0, 20, 0), (120, 100)), ((255, 255, 255), (0, 0)), ((1.0, 0.5, 0.0), (30, 100))],
)
def test_channels_are_a_hue_and_a_saturation(channels: tuple[float, ...], tint: tuple[int, int]) -> None:
    """Red, green and blue tell a colour on any scale, however bright it is."""
    assert color.of_rgb(*channels) == tint


def test_black_and_nonsense_are_no_colour() -> None:
    """Of black, of what is below it, and of a place outside of the diagram nobody can say a colour."""
    assert [color.of_rgb(*one) for one in ((0, 0, 0), (-1, 5, 5), (math.nan, 1, 1), (math.inf, 1, 1))] == [None] * 4
    assert [color.of_xy(*one) for one in ((0.3, 0), (2, 0.3), (-0.1, 0.3), (math.nan, 0.3))] == [None] * 4


def test_brightness_is_in_the_channels_if_it_is_asked_for() -> None:
    """The channels of a colour are as bright as they should be."""
    assert color.to_rgb(0, 100) == (255, 0, 0)
    assert color.to_rgb(240, 50, 50) == (64, 64, 128)


def test_red_is_where_bridges_have_it() -> None:
    """The corner of the wide gamut is red, in both directions, as Zigbee2MQTT and Home Assistant reckon."""
    assert color.to_xy(0, 100) == (0.7006, 0.2993)
    assert color.of_xy(0.7006, 0.2993) == (0, 100)


def test_kelvin_and_mireds_are_reciprocal() -> None:
    """A colour temperature is told in kelvin or in mireds; none is not one."""
    assert (color.kelvin(370), color.mireds(2700)) == (2703, 370)
    assert color.kelvin(0) is None


@settings(deadline=None)
@given(HUES, SATURATIONS)
def test_a_place_tells_the_colour_it_was_made_of(hue: int, saturation: int) -> None:
    """There and back through CIE 1931 is the same colour, to a degree and a percent."""
    found = color.of_xy(*color.to_xy(hue, saturation))
    assert found is not None
    assert abs((found[0] - hue + 180) % 360 - 180) <= 1
    assert abs(found[1] - saturation) <= 1


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1, exclude_min=True))
def test_every_place_is_some_colour(x: float, y: float) -> None:
    """Whatever is told of the diagram is a colour in bounds."""
    found = color.of_xy(x, y)
    assert found is None or (0 <= found[0] < 360 and 0 <= found[1] <= 100)
