"""What people write for numbers, units and colours, and the one canonical value inside.

Inside and in JSON it is °C, %, K, hue 0-360, W, seconds, bytes; everything else is converted here.
"""

import colorsys
import re
from collections.abc import Mapping

from sshhome.errors import BadArguments

# ASCII digits only and bounded: `int()` and `float()` would also take `nan`, `1_0`, `٣` and a million digits.
_NUMBER = re.compile(r"([+-]?)([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-zA-Z%°]*)", re.ASCII)
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:ms|s|m|h|d))+", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,12})\s*(B|KiB|MiB|GiB|)", re.ASCII)

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

#: word → hue (degrees) and saturation (%)
COLORS: Mapping[str, tuple[int, int]] = {
    "red": (0, 100),
    "orange": (30, 100),
    "amber": (45, 100),
    "yellow": (60, 100),
    "lime": (90, 100),
    "green": (120, 100),
    "turquoise": (174, 72),
    "cyan": (180, 100),
    "blue": (240, 100),
    "purple": (277, 87),
    "magenta": (300, 100),
    "pink": (330, 59),
}
#: words → colour temperature in kelvin
WHITES: Mapping[str, int] = {
    "candle": 2000,
    "warm white": 2700,
    "soft white": 3000,
    "white": 4000,
    "neutral white": 4000,
    "cool white": 5500,
    "daylight": 6500,
}


def number(text: str) -> tuple[str, float, str]:
    """Split `+10%` into its sign (`""`, `"+"`, `"-"`), its size and its unit in lower case."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise BadArguments(f"'{text}' is not a number")
    sign, digits, unit = match.groups()
    return sign, float(digits), unit.lower()


def convert(value: float, given: str, unit: str) -> float:
    """Return a value written in one unit in the canonical one; a bare number is canonical already."""
    if given in {"", unit.lower()} or (unit == "°C" and given in {"c", "°"}) or (unit == "°" and given == "deg"):
        return value
    if unit == "°C" and given in {"f", "°f"}:
        return (value - 32) * 5 / 9
    if unit == "K" and given in {"mired", "mireds"} and value > 0:
        return 1_000_000 / value
    if unit == "W" and given == "kw":
        return value * 1000
    raise BadArguments(f"'{given}' is not a unit for {unit or 'a plain number'}")


def step(now: float, size: float, given: str, unit: str) -> float:
    """Return the canonical value that lies a step, written in some unit, from another."""
    if given in {"f", "°f"} and unit == "°C":
        return now + size * 5 / 9
    if given in {"mired", "mireds"} and unit == "K" and now > 0:
        # Mireds are reciprocal: the same step is wider in kelvin the cooler the light is.
        return 1_000_000 / max(1_000_000 / now + size, 1)
    return now + convert(size, given, unit)


def color(text: str) -> dict[str, float]:
    """Return `{"hue", "saturation"}` or `{"color_temperature"}` for a name, `#rrggbb`, `2700k` or `153mired`."""
    word = " ".join(text.lower().replace("_", " ").split())
    if word in COLORS:
        hue, saturation = COLORS[word]
        return {"hue": hue, "saturation": saturation}
    if word in WHITES:
        return {"color_temperature": WHITES[word]}
    if re.fullmatch(r"#[0-9a-f]{6}", word):
        red, green, blue = (int(word[i : i + 2], 16) / 255 for i in (1, 3, 5))
        hue_turn, saturation_share, _ = colorsys.rgb_to_hsv(red, green, blue)
        return {"hue": round(hue_turn * 360), "saturation": round(saturation_share * 100)}
    if re.fullmatch(r"[0-9.]+ ?(k|mireds?)", word):
        _, value, unit = number(word)
        return {"color_temperature": round(convert(value, unit, "K"))}
    raise BadArguments(
        f"'{text}' is not a colour", "a name such as red or warm white, #ff8800, or a temperature such as 2700k"
    )


def duration(text: str) -> float:
    """Return seconds for `90s`, `5m`, `1h30m` or `250ms`."""
    if not _DURATION.fullmatch(text):
        raise BadArguments(f"'{text}' is not a duration", "such as 90s, 5m or 1h30m")
    return sum(float(n) * _SECONDS[unit] for n, unit in re.findall(r"([0-9]+)(ms|s|m|h|d)", text))


def size(text: str) -> int:
    """Return bytes for `4KiB`, `1MiB` or a bare number."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise BadArguments(f"'{text}' is not a size", "such as 4KiB or 1MiB")
    return int(match[1]) * _BYTES[match[2]]


def span(seconds: float) -> str:
    """Return a duration as people say it: `45 s`, `1 min 30 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, seconds = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
