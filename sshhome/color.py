"""Colours as devices tell them - red, green and blue, or a place in CIE 1931 - and as the house does: hue, saturation.

    of_rgb(255, 0, 0) == (0, 100)            to_rgb(0, 100) == (255, 0, 0)
    of_xy(0.7006, 0.2993) == (0, 100)        to_xy(0, 100) == (0.7006, 0.2993)
    kelvin(370) == 2703                      mireds(2700) == 370

A hue is 0 to 360 and a saturation 0 to 100, both whole; how bright a colour is, is a matter of its own. What devices
tell is taken as it comes: channels are weighed against the brightest of them, and None is what is no colour at all.
"""

import colorsys
import math

#: What a hue and a saturation are made from, and a colour in CIE 1931, and back: the wide gamut and the white of D65
#: that Philips published for its lamps, and that other bridges follow.
_TO_XYZ = ((0.664511, 0.154324, 0.162028), (0.283881, 0.668433, 0.047685), (0.000088, 0.07231, 0.986039))
_FROM_XYZ = ((1.656492, -0.354851, -0.255038), (-0.707196, 1.655397, 0.036152), (0.051713, -0.121364, 1.01153))


def of_rgb(red: float, green: float, blue: float) -> tuple[int, int] | None:
    """Return hue and saturation of channels on any one scale; of black nobody can say."""
    channels = [float(channel) for channel in (red, green, blue)]
    brightest = max(channels)
    if not all(map(math.isfinite, channels)) or min(channels) < 0 or not brightest:
        return None
    hue, saturation, _ = colorsys.rgb_to_hsv(*(channel / brightest for channel in channels))
    return round(hue * 360) % 360, round(saturation * 100)


def to_rgb(hue: float, saturation: float, value: float = 100) -> tuple[int, int, int]:
    """Return the channels, 0 to 255, of a hue and a saturation, as bright as `value` (0 to 100) says."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation / 100, value / 100)
    return round(red * 255), round(green * 255), round(blue * 255)


def of_xy(x: float, y: float) -> tuple[int, int] | None:
    """Return hue and saturation of a place in CIE 1931."""
    if not (0 <= x <= 1 and 0 < y <= 1):
        return None
    linear = _product(_FROM_XYZ, (x / y, 1.0, (1 - x - y) / y))
    # What a screen cannot show is shown as the nearest that it can.
    brightest = max(linear)
    return of_rgb(*(_gamma(max(channel / brightest, 0)) for channel in linear))


def to_xy(hue: float, saturation: float) -> tuple[float, float]:
    """Return the place in CIE 1931, to four digits, of a hue and a saturation."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation / 100, 1)
    xyz = _product(_TO_XYZ, (_linear(red), _linear(green), _linear(blue)))
    return round(xyz[0] / sum(xyz), 4), round(xyz[1] / sum(xyz), 4)


def kelvin(mired: float) -> int | None:
    """Return a colour temperature told in mireds."""
    return round(1_000_000 / mired) if mired >= 1 else None


def mireds(kelvins: float) -> int:
    """Return a colour temperature of at least 1 K in mireds."""
    return round(1_000_000 / kelvins)


def _product(matrix: tuple[tuple[float, ...], ...], vector: tuple[float, ...]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def _gamma(channel: float) -> float:
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
