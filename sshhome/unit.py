"""What other systems measure, in the house's words and units.

    number("21.40") == 21.4                              a number, or its text; else None
    canonical(70.7, "°F", "temperature") == 21.5         in the attribute's own unit, neither rounded nor bounded
    reading(70.7, "F", ATTRIBUTES["temperature"]) == 21.5    as a state holds it: rounded, and within its bounds
    attribute_for("temperature", "°F") == "temperature"  the attribute for a device class and a unit; else "value"
    attribute_for("", "kWh") == "energy"                 a unit alone tells a few
    flag_for("garage_door") == "open"                    the attribute for a detector's device class; else "detected"
    shown("lux") == "lx"                                 how a unit is written, for the `unit` of a `value`

What is no number (booleans, NaN, infinity, text) is None, and so is one in a unit that its attribute does not know.
Units are taken as devices write them: `C`, `lux`, `m3`, `sec`. Colours are in `sshhome.color`.
"""

import math
import re
from collections.abc import Mapping

from sshhome.device import Attribute
from sshhome.escape import printable

#: Nobody measures more.
_HUGE = 1e15
# ASCII digits and bounded: `float()` would also take `nan`, `1_0`, `٣` and a million digits.
_NUMBER = re.compile(
    r"\s{0,8}[+-]?(?:[0-9]{1,32}\.?[0-9]{0,32}|\.[0-9]{1,32})(?:[eE][+-]?[0-9]{1,3})?\s{0,8}", re.ASCII
)
#: What may be set, or is a share, and lies beyond its bounds by this part of their width, is at the nearer of them.
_OVER = 0.1
#: Letters of a unit that is shown.
_LONGEST = 16

_TEMPERATURES = ("temperature", "target_temperature", "target_low", "target_high")

#: attribute -> unit as devices write it -> how many of the attribute's own unit it is
_FACTORS: Mapping[str, Mapping[str, float]] = {
    "power": {"mW": 1e-3, "W": 1, "kW": 1e3, "MW": 1e6, "GW": 1e9, "BTU/h": 0.29307107},
    "energy": {"mWh": 1e-6, "Wh": 1e-3, "kWh": 1, "MWh": 1e3, "GWh": 1e6, "TWh": 1e9}
    | {"J": 1 / 3.6e6, "kJ": 1 / 3.6e3, "MJ": 1 / 3.6, "GJ": 1 / 3.6e-3}
    | {"cal": 1.163e-6, "kcal": 1.163e-3, "Mcal": 1.163, "Gcal": 1.163e3},
    "voltage": {"µV": 1e-6, "mV": 1e-3, "V": 1, "kV": 1e3, "MV": 1e6},
    "current": {"mA": 1e-3, "A": 1},
    "frequency": {"mHz": 1e-3, "Hz": 1, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
    "pressure": {"mPa": 1e-5, "Pa": 1e-2, "hPa": 1, "kPa": 10, "MPa": 1e4}
    | {"mbar": 1, "cbar": 10, "bar": 1e3, "psi": 68.94757}
    | {"inHg": 33.86389, "mmHg": 1.333224, "inH₂O": 2.490889},
    "illuminance": {"lx": 1, "klx": 1e3},
    "carbon_dioxide": {"ppb": 1e-3, "ppm": 1, "%": 1e4},
    "fine_dust": {"µg/m³": 1, "mg/m³": 1e3},
    "volatile_compounds": {"ppb": 1, "ppm": 1e3},
    "noise": {"dB": 1, "dBA": 1},
    "distance": {"mm": 1e-3, "cm": 1e-2, "dm": 0.1, "m": 1, "km": 1e3}
    | {"in": 0.0254, "ft": 0.3048, "yd": 0.9144, "mi": 1609.344, "nmi": 1852},
    "weight": {"µg": 1e-9, "mg": 1e-6, "g": 1e-3, "kg": 1, "t": 1e3}
    | {"oz": 0.028349523, "lb": 0.45359237, "st": 6.35029318},
    "volume_used": {"mL": 1e-6, "L": 1e-3, "m³": 1, "ft³": 0.028316847, "CCF": 2.8316847, "MCF": 28.316847}
    | {"gal": 0.003785412, "fl. oz.": 2.9573530e-5},
    "flow": {"m³/h": 1, "m³/min": 60, "m³/s": 3600, "L/h": 1e-3, "L/min": 0.06, "L/s": 3.6, "mL/s": 3.6e-3}
    | {"ft³/min": 1.6990108, "gal/h": 0.003785412, "gal/min": 0.22712471, "gal/d": 1.577255e-4},
    "rain": {"mm": 1, "cm": 10, "in": 25.4},
    "wind_speed": {"m/s": 3.6, "km/h": 1, "m/min": 0.06, "mph": 1.609344, "kn": 1.852, "ft/s": 1.09728},
    "duration": {"µs": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800},
    **{name: {"%": 1} for name in ("humidity", "target_humidity", "moisture", "battery")},
}

#: What some write for a unit, in lower case.
_SPELLED: Mapping[str, str] = {
    **dict.fromkeys(("c", "°c", "℃", "º c", "degc", "deg c", "celsius", "degree celsius"), "°C"),
    **dict.fromkeys(("f", "°f", "℉", "degf", "deg f", "fahrenheit"), "°F"),
    **dict.fromkeys(("k", "°k", "kelvin"), "K"),
    **dict.fromkeys(("mired", "mireds", "mirek", "mk⁻¹", "mk-1"), "mired"),
    **dict.fromkeys(("lux", "lm/m²"), "lx"),
    **dict.fromkeys(("percent", "pct", "%rh", "rh%", "% rh"), "%"),
    "us": "µs",
    "ug/m³": "µg/m³",
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("watt", "watts"), "W"),
    **dict.fromkeys(("volt", "volts"), "V"),
    **dict.fromkeys(("amp", "amps", "ampere"), "A"),
    **dict.fromkeys(("liter", "litre", "liters", "litres"), "L"),
    **dict.fromkeys(("cubic meter", "cubic meters"), "m³"),
    **dict.fromkeys(("lpm", "l/m"), "L/min"),
    **dict.fromkeys(("kph", "kmh", "kmph"), "km/h"),
    **dict.fromkeys(("knots", "kt", "kts"), "kn"),
    **dict.fromkeys(("inch", "inches", '"'), "in"),
    **dict.fromkeys(("feet", "foot"), "ft"),
    **dict.fromkeys(("mile", "miles"), "mi"),
    **dict.fromkeys(("lbs", "pound", "pounds"), "lb"),
    **dict.fromkeys(("db(a)", "db a"), "dBA"),
}

#: Sensor device classes, which are Home Assistant's words and Zigbee2MQTT's names of readings -> attributes
_CLASSES: Mapping[str, str] = {
    **{name: name for name in ("temperature", "humidity", "power", "energy", "voltage", "current", "frequency")},
    **{name: name for name in ("pressure", "illuminance", "carbon_dioxide", "moisture", "distance", "weight")},
    **{name: name for name in ("wind_speed", "duration", "battery")},
    "atmospheric_pressure": "pressure",
    "pm25": "fine_dust",
    "volatile_organic_compounds": "volatile_compounds",
    "volatile_organic_compounds_parts": "volatile_compounds",
    "sound_pressure": "noise",
    "water": "volume_used",
    "gas": "volume_used",
    "volume": "volume_used",
    "volume_flow_rate": "flow",
    "precipitation": "rain",
}

#: Units that measure one thing alone -> attributes
_TOLD_BY_UNIT: Mapping[str, str] = {
    **dict.fromkeys(("°C", "°F"), "temperature"),
    **dict.fromkeys(("mW", "W", "kW"), "power"),
    **dict.fromkeys(("Wh", "kWh", "MWh"), "energy"),
    **dict.fromkeys(("mV", "V"), "voltage"),
    **dict.fromkeys(("mA", "A"), "current"),
    "Hz": "frequency",
    **dict.fromkeys(("Pa", "hPa", "kPa", "mbar"), "pressure"),
    "lx": "illuminance",
}

#: Detectors' device classes -> attributes, each of which is true for what is open or alarms
_FLAGS: Mapping[str, str] = {
    **dict.fromkeys(("door", "window", "garage_door", "opening"), "open"),
    **dict.fromkeys(("occupancy", "presence"), "presence"),
    **{name: name for name in ("motion", "smoke", "gas", "carbon_monoxide", "vibration", "tamper", "problem")},
    "moisture": "leak",
    "plug": "plugged",
    "battery_charging": "charging",
    "battery": "low_battery",
}


def _lookup(units: Mapping[str, float]) -> Mapping[str, float]:
    """Return units with their lower case, where that is not another unit too, as milliwatt and megawatt are."""
    lower = [unit.lower() for unit in units]
    return {unit.lower(): factor for unit, factor in units.items() if lower.count(unit.lower()) == 1} | dict(units)


_BY_UNIT: Mapping[str, Mapping[str, float]] = {name: _lookup(units) for name, units in _FACTORS.items()}


def number(value: object) -> float | None:
    """Return what is a number, or the text of one; None for everything else, and for what nobody measures."""
    if isinstance(value, str):
        if _NUMBER.fullmatch(value) is None:
            return None
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An int too large for a float is compared as it is.
    return float(value) if -_HUGE <= value <= _HUGE and not math.isnan(value) else None


def canonical(value: object, unit: str, attribute: str) -> float | None:
    """Return a number in the unit of an attribute; without a unit it is in that already."""
    size = number(value)
    given = _spelled(unit)
    if size is None or not given:
        return size
    if attribute in _TEMPERATURES:
        return {"°C": size, "°F": (size - 32) * 5 / 9, "K": size - 273.15}.get(given)
    if attribute == "color_temperature":
        return {"K": size, "mired": 1e6 / size if size >= 1 else None}.get(given)
    factor = _factor(given, attribute)
    if factor is not None:
        return size * factor
    return size if attribute not in _FACTORS else None


def reading(value: object, unit: str, attribute: Attribute) -> int | float | None:
    """Return a number as the state of a device holds it, in the unit of the attribute, rounded and in its bounds.

    A lamp may be a little warmer than it says it can; a temperature that is out of bounds is none.
    """
    size = canonical(value, unit, attribute.name)
    if size is None:
        return None
    over = (attribute.high - attribute.low) * _OVER if attribute.settable or attribute.unit == "%" else 0
    if not attribute.low - over <= size <= attribute.high + over:
        return None
    held = min(max(size, attribute.low), attribute.high)
    return round(held) if attribute.type is int else round(held, 2)


def attribute_for(device_class: str, unit: str) -> str:
    """Return the attribute that a sensor's reading is; it is a `value` when no attribute has such a unit."""
    given = _spelled(unit)
    if not device_class:
        return _TOLD_BY_UNIT.get(given, "value")
    name = _CLASSES.get(device_class, "value")
    if name == "value" or not given or canonical(1.0, given, name) is not None:
        return name
    return "value"


def flag_for(device_class: str) -> str:
    """Return the attribute that a detector's flag is."""
    return _FLAGS.get(device_class, "detected")


def shown(unit: str) -> str:
    """Return how a unit is written: as the house does if it knows it, never longer or other than a line can bear."""
    return printable(_spelled(unit))[:_LONGEST].strip()


def _spelled(unit: str) -> str:
    """Return how the house writes a unit."""
    # Two characters look like a micro sign, and devices write both.
    plain = " ".join(unit[: 4 * _LONGEST].replace("\u03bc", "\u00b5").replace("m3", "m³").split())
    return _SPELLED.get(plain.lower(), plain)


def _factor(unit: str, attribute: str) -> float | None:
    units = _BY_UNIT.get(attribute, {})
    return units.get(unit, units.get(unit.lower()))
